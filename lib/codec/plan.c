#include "codec/plan.h"

#include <stdlib.h>
#include <string.h>

#include "codec/canonical.h"
#include "codec/diff.h"
#include "codec/gather.h"
#include "codec/json.h"
#include "codec/payload.h"
#include "util/fail.h"
#include "util/utf8.h"

/* ---- records in order ---- */

/* A record that is there. */
struct present {
    enum fv_form form;
    const struct fv_record *record;
    bool wanted; /* the file has it, too */
};

/* By form, and in byte order of their keys. */
struct index {
    struct present *items;
    size_t count;
};

static int compare_items(const struct present *a, const struct present *b)
{
    if (a->form != b->form)
        return a->form > b->form ? 1 : -1;
    return fv_compare_keys(a->record->key, a->record->key_length, b->record->key,
                           b->record->key_length);
}

/* Records with one key stay in the order in which they were given. */
static int compare_present(const void *a, const void *b)
{
    const struct present *left = a, *right = b;
    int order = compare_items(left, right);

    return order ? order : (left->record > right->record) - (left->record < right->record);
}

static int index_begin(struct index *index, size_t room, flagver_error *err)
{
    index->count = 0;
    index->items = fv_allocate_zeroed(NULL, room, sizeof *index->items);
    return index->items ? 0 : fv_fail_memory(err);
}

static void index_add(struct index *index, enum fv_form form, const struct fv_record *record)
{
    index->items[index->count].form = form;
    index->items[index->count++].record = record;
}

static void index_definitions(struct index *index, const struct fv_record *records, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        index_add(index, records[i].is_segment ? FV_FORM_SEGMENT : FV_FORM_FLAG, &records[i]);
}

static void index_documents(struct index *index, enum fv_form form,
                            const struct fv_plan_documents *documents)
{
    size_t i;

    for (i = 0; i < documents->count; i++)
        index_add(index, form, &documents->records[i]);
}

/* Of those with one key the last counts, and without text it says that there is none. */
static void index_settle(struct index *index)
{
    size_t count = index->count, i;

    if (count)
        qsort(index->items, count, sizeof *index->items, compare_present);
    index->count = 0;
    for (i = 0; i < count; i++)
        if ((i + 1 == count || compare_items(&index->items[i], &index->items[i + 1]) != 0) &&
            index->items[i].record->text)
            index->items[index->count++] = index->items[i];
}

static int compare_key(const void *wanted, const void *item)
{
    return compare_items(wanted, item);
}

static struct present *find(const struct index *index, enum fv_form form, const char *key,
                            size_t length)
{
    const struct fv_record record = { .key = key, .key_length = length };
    const struct present wanted = { .form = form, .record = &record };

    return bsearch(&wanted, index->items, index->count, sizeof *index->items, compare_key);
}

/* ---- steps ---- */

struct planning {
    struct index index;
    struct fv_plan_steps *steps;
    size_t capacity;
    struct fv_text text, before, diff; /* of the definition at hand */
    flagver_error *err;
};

static int no_memory(const struct planning *planning)
{
    return fv_fail_memory(planning->err);
}

static const char *keep(struct planning *planning, const char *text, size_t length)
{
    return fv_arena_string(&planning->steps->memory, text, length);
}

/* Fills `before` with the canonical text that is there; {} for nothing, and for what is no JSON. */
static int read_before(struct planning *planning, const struct present *present)
{
    int r = FLAGVER_EPARSE;

    fv_text_reset(&planning->before);
    if (present)
        r = fv_payload_canonical(present->record->text, present->record->length, &planning->before,
                                 NULL);
    if (r == FLAGVER_EPARSE)
        fv_text_add(&planning->before, "{}");
    return r == FLAGVER_ENOMEM || planning->before.failed ? no_memory(planning) : 0;
}

static int add_step(struct planning *planning, const struct fv_plan_step *step)
{
    struct fv_plan_steps *steps = planning->steps;
    struct fv_plan_step kept = *step;
    int r;

    fv_text_reset(&planning->diff);
    r = fv_diff_lines(planning->before.data, planning->before.length,
                      step->text ? step->text : "{}", step->text ? step->length : 2,
                      &planning->diff, planning->err);
    if (r < 0)
        return r;
    kept.key = keep(planning, step->key, step->key_length);
    kept.text = step->text ? keep(planning, step->text, step->length) : NULL;
    kept.diff = keep(planning, planning->diff.data, planning->diff.length);
    if (!kept.key || !kept.diff || (step->text && !kept.text) ||
        !fv_grow(NULL, (void **)&steps->steps, &planning->capacity, steps->count, sizeof kept))
        return no_memory(planning);
    steps->steps[steps->count++] = kept;
    return 0;
}

static int plan_deletion(struct planning *planning, const struct present *present)
{
    const struct fv_record *record = present->record;
    const struct fv_plan_step step = { .action = FV_PLAN_DELETE,
                                       .form = present->form,
                                       .key = record->key,
                                       .key_length = record->key_length,
                                       .version = record->version };
    int r = read_before(planning, present);

    return r < 0 ? r : add_step(planning, &step);
}

static bool same_text(const char *a, size_t a_length, const struct fv_text *b)
{
    return a_length == b->length && memcmp(a, b->data, a_length) == 0;
}

static int plan_definition(struct planning *planning, enum fv_form form, const char *key,
                           const json_t *value)
{
    struct present *present = find(&planning->index, form, key, strlen(key));
    struct fv_plan_step step = { .action = present ? FV_PLAN_CHANGE : FV_PLAN_CREATE,
                                 .form = form,
                                 .key = key,
                                 .key_length = strlen(key),
                                 .version = present ? present->record->version : 0 };
    int r;

    if (json_is_null(value)) /* of a merge; else the file was refused */
        return present ? plan_deletion(planning, present) : 0;
    fv_text_reset(&planning->text);
    r = fv_canonical_write(&planning->text, value, planning->err);
    if (r < 0)
        return r;

    if (present) {
        present->wanted = true;
        if (same_text(present->record->text, present->record->length, &planning->text))
            return 0;
    }
    r = read_before(planning, present);
    if (r < 0 ||
        (present && same_text(planning->before.data, planning->before.length, &planning->text)))
        return r;
    step.text = planning->text.data;
    step.length = planning->text.length;
    return add_step(planning, &step);
}

static const struct {
    const char *name;
    enum fv_form form;
    bool by_itself; /* a file without the section says nothing about it, not even with `prune` */
} sections[] = {
    { "segments", FV_FORM_SEGMENT, false },
    { "flags", FV_FORM_FLAG, false },
    { "assignments", FV_FORM_ASSIGNMENT, true },
    { "phases", FV_FORM_POLICY, true },
};
#define SECTIONS (sizeof sections / sizeof *sections)

static int plan_section(struct planning *planning, enum fv_form form, const json_t *section)
{
    const char *key;
    json_t *value;
    int r = 0;

    json_object_foreach((json_t *)section, key, value)
    {
        r = plan_definition(planning, form, key, value);
        if (r < 0)
            break;
    }
    return r;
}

static size_t section_of(enum fv_form form)
{
    size_t section = 0;

    while (sections[section].form != form)
        section++;
    return section;
}

static int compare_steps(const void *a, const void *b)
{
    const struct fv_plan_step *left = a, *right = b;
    bool left_goes = left->action == FV_PLAN_DELETE, right_goes = right->action == FV_PLAN_DELETE;

    if (left_goes != right_goes)
        return left_goes ? 1 : -1;
    if (left->form != right->form)
        return section_of(left->form) < section_of(right->form) ? -1 : 1;
    return fv_compare_keys(left->key, left->key_length, right->key, right->key_length);
}

static int index_all(struct index *index, const struct fv_plan_request *request, flagver_error *err)
{
    int r = index_begin(index,
                        request->count + request->policies.count + request->assignments.count, err);

    if (r < 0)
        return r;
    index_definitions(index, request->records, request->count);
    index_documents(index, FV_FORM_POLICY, &request->policies);
    index_documents(index, FV_FORM_ASSIGNMENT, &request->assignments);
    index_settle(index);
    return 0;
}

static int prune(struct planning *planning, const json_t *root)
{
    const struct present *present;
    size_t i, section;
    int r = 0;

    for (i = 0; r == 0 && i < planning->index.count; i++) {
        present = &planning->index.items[i];
        section = section_of(present->form);
        if (!present->wanted &&
            (!sections[section].by_itself || json_object_get(root, sections[section].name)))
            r = plan_deletion(planning, present);
    }
    return r;
}

static int plan_file(struct planning *planning, const struct fv_plan_request *request,
                     const json_t *root)
{
    struct fv_plan_steps *steps = planning->steps;
    size_t i;
    int r;

    r = index_all(&planning->index, request, planning->err);
    for (i = 0; r == 0 && i < SECTIONS; i++)
        r = plan_section(planning, sections[i].form, json_object_get(root, sections[i].name));
    if (r == 0 && request->prune)
        r = prune(planning, root);
    if (steps->count)
        qsort(steps->steps, steps->count, sizeof *steps->steps, compare_steps);
    return r;
}

/* ---- the file ---- */

/* Reads it as a client would: with `prune` by itself, else over the records. */
static int read_over(const struct fv_plan_request *request, struct fv_definitions_source *source,
                     const json_t *root, flagver_error *err)
{
    struct fv_definitions *current = NULL, *result = NULL;
    int r = 0;

    if (!request->prune)
        r = fv_definitions_from_records(source, request->records, request->count, &current, err);
    if (r < 0)
        return r;
    source->text = request->text;
    source->length = request->length;
    source->name = request->name;
    source->merge = !request->prune;
    source->current = current;
    r = fv_definitions_read_tree(source, root, &result, err);
    fv_definitions_release(result);
    fv_definitions_release(current);
    return r;
}

static int check_file(const struct fv_plan_request *request, const json_t *root, flagver_error *err)
{
    struct fv_map flags, segments, attributes;
    struct fv_definitions_source source = { .flag_names = &flags,
                                            .segment_names = &segments,
                                            .attribute_names = &attributes };
    int r;

    fv_map_init(&flags, NULL);
    fv_map_init(&segments, NULL);
    fv_map_init(&attributes, NULL);
    r = read_over(request, &source, root, err);
    fv_map_clear(&flags);
    fv_map_clear(&segments);
    fv_map_clear(&attributes);
    return r;
}

int fv_plan_make(const struct fv_plan_request *request, struct fv_plan_steps *ret_steps,
                 flagver_error *err)
{
    struct fv_plan_steps steps = { 0 };
    struct planning planning = { .steps = &steps,
                                 .text = FV_TEXT_INIT,
                                 .before = FV_TEXT_INIT,
                                 .diff = FV_TEXT_INIT,
                                 .err = err };
    json_t *root;
    int r;

    r = fv_json_parse(request->text, request->length, request->name, &root, err);
    if (r < 0)
        return r;
    fv_arena_init(&steps.memory, NULL, 1024);
    r = check_file(request, root, err);
    if (r == 0)
        r = plan_file(&planning, request, root);
    json_decref(root);
    fv_release(NULL, planning.index.items);
    fv_text_clear(&planning.text);
    fv_text_clear(&planning.before);
    fv_text_clear(&planning.diff);
    if (r < 0)
        fv_plan_clear(&steps);
    else
        *ret_steps = steps;
    return r;
}

void fv_plan_clear(struct fv_plan_steps *steps)
{
    fv_release(NULL, steps->steps);
    fv_arena_clear(&steps->memory);
    steps->steps = NULL;
    steps->count = 0;
}

/* ---- the way back ---- */

static int refuse_record(const struct fv_record *record, const char *why, flagver_error *err)
{
    int length = record->key_length < 128 ? (int)record->key_length : 128;

    return fv_fail(err, FLAGVER_EPARSE, "%s \"%.*s\" cannot be exported: %s",
                   record->is_segment ? "segment" : "flag", length, record->key, why);
}

static int export_record(const struct fv_record *record, struct fv_text *out, flagver_error *err)
{
    flagver_error why;
    int r;

    if (!fv_utf8_valid(record->key, record->key_length) ||
        memchr(record->key, 0, record->key_length))
        return refuse_record(record, "its key is not UTF-8 or holds a NUL", err);
    fv_canonical_string(out, record->key, record->key_length);
    fv_text_add(out, ": ");
    r = fv_payload_canonical(record->text, record->length, out, &why);
    if (r == FLAGVER_ENOMEM)
        return fv_fail_memory(err);
    return r < 0 ? refuse_record(record, why.message, err) : 0;
}

static int export_section(const struct index *index, bool is_segment, struct fv_text *out,
                          flagver_error *err)
{
    size_t i, written = 0;
    int r = 0;

    fv_text_add(out, is_segment ? "\"segments\": {" : "{\"flags\": {");
    for (i = 0; r == 0 && i < index->count; i++) {
        if (index->items[i].record->is_segment != is_segment)
            continue;
        fv_text_add(out, written++ ? ",\n" : "\n");
        r = export_record(index->items[i].record, out, err);
    }
    fv_text_add(out, written ? "\n}" : "}");
    fv_text_add(out, is_segment ? "}\n" : ",\n");
    return r;
}

int fv_definitions_export(const struct fv_record *records, size_t count, struct fv_text *out,
                          flagver_error *err)
{
    size_t before = out->length;
    struct index index;
    int r;

    r = index_begin(&index, count, err);
    if (r < 0)
        return r;
    index_definitions(&index, records, count);
    index_settle(&index);
    r = export_section(&index, false, out, err);
    if (r == 0)
        r = export_section(&index, true, out, err);
    if (r == 0 && out->failed)
        r = fv_fail_memory(err);
    if (r < 0 && out->capacity) {
        out->length = before;
        out->data[before] = 0;
    }
    fv_release(NULL, index.items);
    return r;
}
