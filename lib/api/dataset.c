#define _POSIX_C_SOURCE 200809L /* strdup() */

#include "flagver/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "codec/payload.h"
#include "engine/client.h"
#include "engine/dataset.h"
#include "util/fail.h"
#include "util/memory.h"
#include "util/options.h"

#define RULES_CHUNK 1024

/* ---- inputs ---- */

static int check_phase(const flagver_dataset_input *input, flagver_error *err)
{
    int r = fv_check_text("input.phase", input->phase, FLAGVER_PHASE_LIMIT, err);

    if (r == 0 && !input->client)
        r = fv_fail(err, FLAGVER_EINVAL, "input.client is NULL");
    if (r == 0 && input->path)
        r = fv_fail(err, FLAGVER_EINVAL, "input has both a phase and a path");
    if (r == 0 && input->prefix)
        r = fv_check_text("input.prefix", input->prefix, FLAGVER_SUBJECT_LIMIT, err);
    if (r == 0 && input->as_of < 0)
        r = fv_fail(err, FLAGVER_EINVAL, "input.as_of is before 1970");
    return r;
}

static int check_path(const char *what, const char *path, flagver_error *err)
{
    if (!path || !*path)
        return fv_fail(err, FLAGVER_EINVAL, "%s is %s", what, path ? "empty" : "NULL");
    return 0;
}

/* `tenancy` is to be released when ret_source->tenancy is not NULL. */
static int read_input(const flagver_dataset_input *input, struct fv_tenancy *tenancy,
                      struct fv_dataset_source *ret_source, flagver_error *err)
{
    flagver_dataset_input given;
    int r;

    if (!input)
        return fv_fail(err, FLAGVER_EINVAL, "input is NULL");
    r = fv_options_copy("input", input, &given, sizeof given, err);
    if (r < 0)
        return r;
    *ret_source = (struct fv_dataset_source){
        .phase = given.phase, .prefix = given.prefix, .as_of = given.as_of, .path = given.path
    };
    if (!given.phase && (given.client || given.prefix || given.as_of))
        return fv_fail(err, FLAGVER_EINVAL, "input.phase is NULL");
    if (!given.phase)
        return check_path("input.path", given.path, err);
    r = check_phase(&given, err);
    if (r == 0)
        r = fv_client_tenancy(given.client, tenancy, err);
    if (r == 0)
        ret_source->tenancy = tenancy;
    return r;
}

static void release_input(const struct fv_dataset_source *source)
{
    if (source->tenancy)
        fv_store_release(source->tenancy->store);
}

/* ---- rules ---- */

struct rules {
    struct fv_field_rule *rules;
    size_t count;
    struct fv_arena names;
};

static void clear_rules(struct rules *rules)
{
    free(rules->rules);
    fv_arena_clear(&rules->names);
}

/* "price" is "/price". */
static int read_field(struct rules *rules, const char *field, const char **ret_field,
                      flagver_error *err)
{
    size_t length = field ? strlen(field) : 0;
    char *name;

    if (!field)
        return fv_fail(err, FLAGVER_EINVAL, "a rule's field is NULL");
    if (length >= FV_FIELD_NAME_LIMIT)
        return fv_fail(err, FLAGVER_EINVAL, "a rule's field is %zu bytes; up to %d allowed", length,
                       FV_FIELD_NAME_LIMIT - 1);
    name = fv_arena_allocate(&rules->names, length + 2);
    if (!name)
        return fv_fail_memory(err);
    name[0] = '/';
    memcpy(name + 1, field, length + 1);
    *ret_field = *field && *field != '/' ? name : name + 1;
    return 0;
}

static int read_rule(struct rules *rules, const flagver_dataset_rule *given,
                     bool (*read)(const char *text, struct fv_field_rule *rule),
                     const char *examples, flagver_error *err)
{
    struct fv_field_rule *rule = &rules->rules[rules->count];
    int r = read_field(rules, given->field, &rule->field, err);

    if (r < 0)
        return r;
    if (!given->rule || !read(given->rule, rule))
        return fv_fail(err, FLAGVER_EINVAL, "the rule \"%.60s\" for \"%.200s\" is none of %s",
                       given->rule ? given->rule : "NULL", given->field, examples);
    rules->count++;
    return 0;
}

/* To be cleared in any case. */
static int read_rules(struct rules *rules, const flagver_dataset_rule *given, size_t count,
                      bool (*read)(const char *text, struct fv_field_rule *rule),
                      const char *examples, flagver_error *err)
{
    size_t i;
    int r = 0;

    *rules = (struct rules){ 0 };
    fv_arena_init(&rules->names, NULL, RULES_CHUNK);
    if (count > FLAGVER_DATASET_RULE_LIMIT)
        return fv_fail(err, FLAGVER_EINVAL, "%zu rules; up to %d allowed", count,
                       FLAGVER_DATASET_RULE_LIMIT);
    if (count && !given)
        return fv_fail(err, FLAGVER_EINVAL, "options.rules is NULL");
    rules->rules = calloc(count + 1, sizeof *rules->rules);
    if (!rules->rules)
        return fv_fail_memory(err);
    for (i = 0; r == 0 && i < count; i++)
        r = read_rule(rules, &given[i], read, examples, err);
    return r;
}

/* ---- reading ---- */

struct visiting {
    bool (*visit)(void *data, const flagver_dataset_record *record);
    void *data;
};

static int visit_record(void *data, const flagver_dataset_record *record,
                        const struct fv_schema *schema, flagver_error *err)
{
    const struct visiting *visiting = data;

    (void)schema;
    (void)err;
    return visiting->visit(visiting->data, record) ? 0 : 1;
}

int flagver_dataset_read(const flagver_dataset_input *input,
                         bool (*visit)(void *data, const flagver_dataset_record *record),
                         void *data, flagver_error *err)
{
    struct visiting visiting = { visit, data };
    struct fv_dataset_source source;
    struct fv_tenancy tenancy;
    int r;

    if (!visit)
        return fv_fail(err, FLAGVER_EINVAL, "visit is NULL");
    r = read_input(input, &tenancy, &source, err);
    if (r < 0)
        return r;
    r = fv_dataset_read(&source, visit_record, &visiting, err);
    release_input(&source);
    return r;
}

/* ---- saving ---- */

int flagver_dataset_save(const flagver_dataset_input *input, const char *path,
                         flagver_dataset_saved *ret_saved, flagver_error *err)
{
    struct fv_dataset_source source;
    struct fv_tenancy tenancy;
    int r;

    r = check_path("path", path, err);
    if (r == 0)
        r = read_input(input, &tenancy, &source, err);
    if (r < 0)
        return r;
    r = fv_dataset_save(&source, path, ret_saved, err);
    release_input(&source);
    return r;
}

struct flagver_dataset {
    struct fv_dataset_writer writer;
    char *path;
    struct fv_text value;
    uint64_t puts;
    int broken; /* the code of what cannot be made good */
    bool finished;
};

int flagver_dataset_new(const char *path, flagver_dataset **ret_dataset, flagver_error *err)
{
    struct fv_dataset_head head = { .time = fv_dataset_now() };
    flagver_dataset *dataset;
    int r = check_path("path", path, err);

    if (r == 0 && !ret_dataset)
        r = fv_fail(err, FLAGVER_EINVAL, "ret_dataset is NULL");
    if (r < 0)
        return r;
    dataset = calloc(1, sizeof *dataset);
    if (!dataset)
        return fv_fail_memory(err);
    dataset->value = (struct fv_text)FV_TEXT_INIT;
    dataset->path = strdup(path);
    if (!dataset->path) {
        free(dataset);
        return fv_fail_memory(err);
    }
    r = fv_dataset_writer_open(&dataset->writer, dataset->path, &head, err);
    if (r < 0) {
        flagver_dataset_free(dataset);
        return r;
    }
    *ret_dataset = dataset;
    return 0;
}

static int check_open(const flagver_dataset *dataset, flagver_error *err)
{
    if (!dataset)
        return fv_fail(err, FLAGVER_EINVAL, "dataset is NULL");
    if (dataset->finished)
        return fv_fail(err, FLAGVER_EINVAL, "the data set is finished");
    if (dataset->broken)
        return fv_fail(err, dataset->broken, "the data set can only be freed");
    return 0;
}

static int check_key(const char *key, size_t length, flagver_error *err)
{
    char words[FV_DATASET_WORDS];

    if (!key)
        return fv_fail(err, FLAGVER_EINVAL, "key is NULL");
    if (fv_dataset_key_fault(key, length, words))
        return fv_fail(err, FLAGVER_EINVAL, "the key %s", words);
    return 0;
}

int flagver_dataset_put(flagver_dataset *dataset, const char *key, size_t key_length,
                        const char *json, size_t length, flagver_error *err)
{
    flagver_dataset_record record = { .key = key, .key_length = key_length };
    int r = check_open(dataset, err);

    if (r == 0)
        r = check_key(key, key_length, err);
    if (r == 0 && !json)
        r = fv_fail(err, FLAGVER_EINVAL, "json is NULL");
    if (r < 0)
        return r;
    fv_text_reset(&dataset->value);
    r = fv_payload_canonical(json, length, &dataset->value, err);
    if (r == FLAGVER_EPARSE)
        return r;
    record.value = dataset->value.data;
    record.value_length = dataset->value.length;
    record.line = ++dataset->puts;
    if (r == 0)
        r = fv_dataset_writer_collect(&dataset->writer, &record, err);
    dataset->broken = r;
    return r;
}

int flagver_dataset_finish(flagver_dataset *dataset, flagver_dataset_saved *ret_saved,
                           flagver_error *err)
{
    int r = check_open(dataset, err);

    if (r < 0)
        return r;
    r = fv_dataset_writer_finish(&dataset->writer, ret_saved, err);
    dataset->broken = r;
    dataset->finished = r == 0;
    return r;
}

void flagver_dataset_free(flagver_dataset *dataset)
{
    if (!dataset)
        return;
    fv_dataset_writer_close(&dataset->writer);
    fv_text_clear(&dataset->value);
    free(dataset->path);
    free(dataset);
}

/* ---- comparing ---- */

const char *flagver_difference_name(int32_t kind)
{
    static const char *const names[] = { [FLAGVER_DIFFERENCE_MISSING] = "MISSING",
                                         [FLAGVER_DIFFERENCE_EXTRA] = "EXTRA",
                                         [FLAGVER_DIFFERENCE_VALUE] = "VALUE" };

    return kind > 0 && kind <= FLAGVER_DIFFERENCE_VALUE ? names[kind] : NULL;
}

static int read_judge(const flagver_dataset_compare_options *options, struct rules *rules,
                      struct fv_dataset_judge *judge, flagver_error *err)
{
    flagver_dataset_compare_options given;
    int r = fv_options_copy("options", options, &given, sizeof given, err);

    *rules = (struct rules){ 0 };
    *judge = (struct fv_dataset_judge){ .tolerance.relative = FLAGVER_DATASET_TOLERANCE };
    if (r < 0)
        return r;
    if (given.tolerance && !fv_tolerance_parse(given.tolerance, &judge->tolerance))
        return fv_fail(err, FLAGVER_EINVAL,
                       "the tolerance \"%.60s\" is none: 5%%, abs:0.01 or 5%%,abs:0.01",
                       given.tolerance);
    r = read_rules(rules, given.rules, given.rule_count, fv_field_read_comparison,
                   "5%, abs:0.01, \"5%,abs:0.01\", exact, ignore", err);
    judge->rules = rules->rules;
    judge->rule_count = rules->count;
    judge->strict = given.strict != 0;
    return r;
}

int flagver_dataset_compare(const char *before, const char *after,
                            const flagver_dataset_compare_options *options,
                            bool (*visit)(void *data, const flagver_dataset_difference *difference),
                            void *data, flagver_dataset_comparison *ret_result, flagver_error *err)
{
    struct fv_dataset_judge judge;
    struct rules rules;
    int r = check_path("before", before, err);

    if (r == 0)
        r = check_path("after", after, err);
    if (r < 0)
        return r;
    r = read_judge(options, &rules, &judge, err);
    if (r == 0)
        r = fv_dataset_compare(before, after, &judge, visit, data, ret_result, err);
    clear_rules(&rules);
    return r;
}

/* ---- looking over ---- */

static int read_types(const flagver_dataset_audit_options *options, struct rules *rules,
                      flagver_error *err)
{
    flagver_dataset_audit_options given;
    int r = fv_options_copy("options", options, &given, sizeof given, err);

    *rules = (struct rules){ 0 };
    if (r < 0)
        return r;
    return read_rules(rules, given.rules, given.rule_count, fv_field_read_types,
                      "null, boolean, integer, number, string, array, object, datetime, uuid, any",
                      err);
}

int flagver_dataset_audit(const flagver_dataset_input *input,
                          const flagver_dataset_audit_options *options,
                          void (*visit)(void *data, const flagver_dataset_field *field), void *data,
                          flagver_dataset_health *ret_health, flagver_error *err)
{
    struct fv_dataset_source source;
    struct fv_tenancy tenancy;
    struct rules rules;
    int r;

    r = read_types(options, &rules, err);
    if (r == 0)
        r = read_input(input, &tenancy, &source, err);
    if (r == 0) {
        r = fv_dataset_audit(&source, rules.rules, rules.count, visit, data, ret_health, err);
        release_input(&source);
    }
    clear_rules(&rules);
    return r;
}
