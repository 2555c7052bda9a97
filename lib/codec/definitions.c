#include "codec/definitions.h"

#include <stdio.h>
#include <string.h>

#include "codec/compile.h"
#include "codec/json.h"
#include "model/graph.h"
#include "util/fail.h"

#define SCRATCH_CHUNK 4096

enum section { FLAGS, SEGMENTS, PHASES, ASSIGNMENTS, MIGRATIONS, RECORDS, SECTIONS };

static const char *const section_names[SECTIONS] = {
    [FLAGS] = "flags",           [SEGMENTS] = "segments",
    [PHASES] = "phases",         [ASSIGNMENTS] = "assignments",
    [MIGRATIONS] = "migrations", [RECORDS] = "records",
};

/* One reading of definitions: what is there so far, and the tools to go on. */
struct session {
    const struct fv_definitions_source *source;
    struct fv_definitions *result;
    struct fv_compiling compiling;
    struct fv_reading reading;
    bool names_changed; /* a flag is there whose key was not */
};

void fv_definitions_hold(struct fv_definitions *definitions)
{
    atomic_fetch_add_explicit(&definitions->references, 1, memory_order_relaxed);
}

void fv_definitions_release(struct fv_definitions *definitions)
{
    uint32_t i;

    if (!definitions ||
        atomic_fetch_sub_explicit(&definitions->references, 1, memory_order_acq_rel) != 1)
        return;
    for (i = 0; i < definitions->flag_count; i++)
        fv_flag_release(definitions->flags[i]);
    for (i = 0; i < definitions->segment_count; i++)
        fv_segment_release(definitions->segments[i]);
    fv_release(definitions->memory, definitions->flags);
    fv_release(definitions->memory, definitions->segments);
    fv_release(definitions->memory, definitions);
}

struct fv_world fv_definitions_world(const struct fv_definitions *definitions)
{
    return (struct fv_world){ definitions->flags, definitions->segments, definitions->flag_count,
                              definitions->segment_count };
}

static struct fv_flag *current_flag(const struct fv_definitions *current, uint32_t slot)
{
    return current && slot < current->flag_count ? current->flags[slot] : NULL;
}

static struct fv_segment *current_segment(const struct fv_definitions *current, uint32_t slot)
{
    return current && slot < current->segment_count ? current->segments[slot] : NULL;
}

/* Grows an array of pointers by slot, with some to spare; new slots are empty. */
static bool cover(const flagver_allocator *memory, void **array, uint32_t *count, size_t wanted)
{
    void **moved;

    if (wanted <= *count)
        return true;
    if (wanted < (size_t)*count * 2)
        wanted = (size_t)*count * 2;
    moved = fv_reallocate(memory, *array, wanted * sizeof *moved);
    if (!moved)
        return false;
    memset(moved + *count, 0, (wanted - *count) * sizeof *moved);
    *array = moved;
    *count = (uint32_t)wanted;
    return true;
}

static int cover_slots(struct session *session, size_t flags, size_t segments)
{
    struct fv_definitions *result = session->result;

    if (!cover(result->memory, (void **)&result->flags, &result->flag_count, flags) ||
        !cover(result->memory, (void **)&result->segments, &result->segment_count, segments))
        return fv_fail_memory(session->reading.err);
    return 0;
}

/* Every name that has a slot has a place in the arrays. */
static int cover_names(struct session *session)
{
    return cover_slots(session, session->source->flag_names->count,
                       session->source->segment_names->count);
}

/* A merge begins with all that is there. */
static int begin_merge(struct session *session)
{
    const struct fv_definitions *current = session->source->current;
    struct fv_definitions *result = session->result;
    uint32_t i;
    int r;

    if (!current)
        return 0;
    r = cover_slots(session, current->flag_count, current->segment_count);
    if (r < 0)
        return r;
    for (i = 0; i < current->flag_count; i++) {
        result->flags[i] = current->flags[i];
        if (result->flags[i])
            fv_flag_hold(result->flags[i]);
    }
    for (i = 0; i < current->segment_count; i++) {
        result->segments[i] = current->segments[i];
        if (result->segments[i])
            fv_segment_hold(result->segments[i]);
    }
    return 0;
}

/* The slot of a name, with room for it in the result. */
static int add_name(struct session *session, struct fv_map *names, const char *name,
                    uint32_t *ret_slot)
{
    *ret_slot = fv_map_add(names, name, strlen(name));
    if (*ret_slot == FV_MAP_NONE)
        return fv_fail_memory(session->reading.err);
    return cover_names(session);
}

static int read_flag(struct session *session, const struct fv_place *place, const char *key,
                     const json_t *value)
{
    const struct fv_definitions_source *source = session->source;
    struct fv_flag *flag = NULL, *present;
    uint64_t mark = fv_definition_mark(source, value);
    uint32_t slot;
    int r;

    r = add_name(session, source->flag_names, key, &slot);
    if (r < 0)
        return r;
    present = current_flag(source->current, slot);
    if (present && present->body->mark == mark) {
        flag = present;
        fv_flag_hold(flag);
    } else if (!source->merge || !json_is_null(value)) {
        r = fv_compile_flag(&session->compiling, place, value, key, slot, &flag);
        if (r >= 0)
            r = cover_names(session); /* it may have named others */
        if (r < 0) {
            fv_flag_release(flag);
            return r;
        }
        flag->body->mark = mark;
        session->names_changed |= !present;
    }
    fv_flag_release(session->result->flags[slot]);
    session->result->flags[slot] = flag;
    return 0;
}

static int read_segment(struct session *session, const struct fv_place *place, const char *name,
                        const json_t *value)
{
    const struct fv_definitions_source *source = session->source;
    struct fv_segment *segment = NULL, *present;
    uint64_t mark = fv_definition_mark(source, value);
    uint32_t slot;
    int r;

    r = add_name(session, source->segment_names, name, &slot);
    if (r < 0)
        return r;
    present = current_segment(source->current, slot);
    if (present && present->mark == mark) {
        segment = present;
        fv_segment_hold(segment);
    } else if (!source->merge || !json_is_null(value)) {
        r = fv_compile_segment(&session->compiling, place, value, name, &segment);
        if (r >= 0)
            r = cover_names(session);
        if (r < 0) {
            fv_segment_release(segment);
            return r;
        }
        segment->mark = mark;
    }
    fv_segment_release(session->result->segments[slot]);
    session->result->segments[slot] = segment;
    return 0;
}

static int read_each(struct session *session, enum section section, const json_t *object)
{
    const struct fv_place *place = fv_at_key(NULL, section_names[section]);
    const char *name;
    json_t *value;
    int r;

    if (!object)
        return 0;
    r = fv_expect_object(&session->reading, place, object);
    if (r < 0)
        return r;
    json_object_foreach((json_t *)object, name, value)
    {
        r = section == FLAGS ? read_flag(session, fv_at_key(place, name), name, value)
                             : read_segment(session, fv_at_key(place, name), name, value);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Sections that other parts of the library read. */
static int check_others(struct session *session, json_t *const sections[SECTIONS])
{
    int section;

    for (section = PHASES; section < SECTIONS; section++)
        if (sections[section] && !json_is_object(sections[section]) &&
            !json_is_array(sections[section]))
            return fv_refuse(&session->reading, fv_at_key(NULL, section_names[section]),
                             "must be an object or an array, not %s",
                             fv_json_kind(sections[section]));
    return 0;
}

/* ---- what flags say about each other ---- */

static int refuse_at(struct session *session, const struct fv_graph_problem *problem,
                     const char *words)
{
    const struct fv_reference *reference = problem->reference;
    const struct fv_reading *reading = &session->reading;
    struct fv_text pointer = FV_TEXT_INIT;
    int r;

    fv_text_add(&pointer, reference->pointer);
    if (reference->to_flag)
        fv_text_add(&pointer, problem->fault == FV_GRAPH_NO_VARIANT ? "/variant" : "/flag");
    if (pointer.failed)
        r = fv_fail_memory(reading->err);
    else
        r = fv_json_fail(reading->err, reading->text, reading->length, reading->name, pointer.data,
                         false, "%s", words);
    fv_text_clear(&pointer);
    return r;
}

static int refuse_graph(struct session *session, const struct fv_graph_problem *problem)
{
    const struct fv_reference *reference = problem->reference;
    const char *owner = problem->owner_is_flag ? "flag" : "segment";
    const char *kind = reference->to_flag ? "flag" : "segment";
    char words[700];

    switch (problem->fault) {
    case FV_GRAPH_NO_FLAG:
    case FV_GRAPH_NO_SEGMENT:
        snprintf(words, sizeof words, "%s \"%.200s\" names a %s \"%.200s\" that does not exist",
                 owner, problem->owner, kind, reference->name);
        break;
    case FV_GRAPH_NO_VARIANT:
        snprintf(words, sizeof words,
                 "%s \"%.200s\" asks for variant \"%.128s\", which flag \"%.200s\" does not have",
                 owner, problem->owner, reference->variant, reference->name);
        break;
    case FV_GRAPH_CYCLE:
        snprintf(words, sizeof words, "%s \"%.200s\" depends on itself through %s \"%.200s\"",
                 owner, problem->owner, kind, reference->name);
        break;
    case FV_GRAPH_TOO_DEEP:
        snprintf(words, sizeof words,
                 "flags and segments lead on from %s \"%.200s\" more than %d "
                 "times",
                 owner, problem->owner, FV_REFERENCE_DEPTH);
        break;
    default:
        snprintf(words, sizeof words,
                 "one evaluation of %s \"%.200s\" could make more than %u "
                 "tests",
                 owner, problem->owner, FV_TEST_LIMIT);
        break;
    }
    return refuse_at(session, problem, words);
}

static int check_graph(struct session *session)
{
    struct fv_world world = fv_definitions_world(session->result);
    struct fv_graph_problem problem;

    if (fv_graph_check(&world, session->source->memory, &problem) < 0)
        return fv_fail_memory(session->reading.err);
    return problem.fault == FV_GRAPH_FINE ? 0 : refuse_graph(session, &problem);
}

/* ---- environment variables that force a flag ---- */

void fv_force_variable(const char *key, size_t length, char out[FV_FLAG_KEY_LIMIT + 1])
{
    size_t i;
    char c;

    for (i = 0; i < length && i < FV_FLAG_KEY_LIMIT; i++) {
        c = key[i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
            c = '_';
        out[i] = c;
    }
    out[i] = 0;
}

static int refuse_collision(struct session *session, const struct fv_flag *flag,
                            const struct fv_flag *other, const char *variable)
{
    return fv_refuse_key(&session->reading, fv_at_key(fv_at_key(NULL, "flags"), flag->key),
                         "the variable " FV_FORCE_PREFIX "%.100s would force \"%.128s\" too",
                         variable, other->key);
}

/* Two flags may not share the variable that forces them. */
static int check_variables(struct session *session)
{
    const struct fv_definitions *result = session->result;
    char variable[FV_FLAG_KEY_LIMIT + 1];
    struct fv_flag **owners;
    struct fv_map map;
    uint32_t i, number;
    size_t before;
    int r = 0;

    if (!session->names_changed)
        return 0;
    fv_map_init(&map, result->memory);
    owners = fv_allocate_zeroed(result->memory, result->flag_count, sizeof(struct fv_flag *));
    for (i = 0; owners && r == 0 && i < result->flag_count; i++) {
        if (!result->flags[i])
            continue;
        fv_force_variable(result->flags[i]->key, result->flags[i]->key_length, variable);
        before = map.count;
        number = fv_map_add(&map, variable, strlen(variable));
        if (number == FV_MAP_NONE)
            r = fv_fail_memory(session->reading.err);
        else if (number < before)
            r = refuse_collision(session, result->flags[i], owners[number], variable);
        else
            owners[number] = result->flags[i];
    }
    if (!owners)
        r = fv_fail_memory(session->reading.err);
    fv_release(result->memory, owners);
    fv_map_clear(&map);
    return r;
}

/* ---- all of it ---- */

static void mark_used(const struct fv_reference *refs, uint32_t count, bool *used)
{
    uint32_t i;

    for (i = 0; i < count; i++)
        if (!refs[i].to_flag)
            used[refs[i].slot] = true;
}

/* Lint: segments that nothing names. */
static void check_unused(struct session *session)
{
    const struct fv_definitions *result = session->result;
    bool *used = fv_allocate_zeroed(result->memory, result->segment_count, sizeof *used);
    const struct fv_segment *segment;
    uint32_t i;

    for (i = 0; used && i < result->flag_count; i++)
        if (result->flags[i] && result->flags[i]->body->plan)
            mark_used(result->flags[i]->body->plan->refs, result->flags[i]->body->plan->ref_count,
                      used);
    for (i = 0; used && i < result->segment_count; i++)
        if (result->segments[i])
            mark_used(result->segments[i]->refs, result->segments[i]->ref_count, used);

    for (i = 0; used && i < result->segment_count; i++) {
        segment = result->segments[i];
        if (segment && !used[i])
            fv_lint(&session->compiling, fv_at_key(fv_at_key(NULL, "segments"), segment->name),
                    "no flag and no segment names this segment");
    }
    fv_release(result->memory, used);
}

static int read_root(struct session *session, const json_t *root)
{
    json_t *sections[SECTIONS];
    int r;

    r = fv_read_fields(&session->reading, NULL, root, section_names, SECTIONS, sections);
    if (r >= 0 && session->source->merge)
        r = begin_merge(session);
    if (r >= 0)
        r = read_each(session, SEGMENTS, sections[SEGMENTS]);
    if (r >= 0)
        r = read_each(session, FLAGS, sections[FLAGS]);
    if (r >= 0)
        r = check_others(session, sections);
    if (r >= 0)
        r = cover_names(session);
    if (r >= 0)
        r = check_graph(session);
    if (r >= 0)
        r = check_variables(session);
    if (r >= 0 && session->source->lint)
        check_unused(session);
    return r;
}

/* Parses the text and reads it into the session's empty result. */
static int read_text(struct session *session)
{
    const struct fv_definitions_source *source = session->source;
    json_t *root;
    int r;

    r = fv_json_parse(source->text, source->length, source->name, &root, session->reading.err);
    if (r < 0)
        return r;
    fv_arena_init(&session->compiling.scratch, source->memory, SCRATCH_CHUNK);
    r = read_root(session, root);
    fv_compiling_clear(&session->compiling);
    json_decref(root);
    return r;
}

int fv_definitions_read(const struct fv_definitions_source *source,
                        struct fv_definitions **ret_definitions, flagver_error *err)
{
    struct session session = { .source = source };
    int r;

    session.result = fv_allocate_zeroed(source->memory, 1, sizeof *session.result);
    if (!session.result)
        return fv_fail_memory(err);
    session.result->memory = source->memory;
    atomic_init(&session.result->references, 1);
    session.reading = (struct fv_reading){ source->text, source->length, source->name, err };
    session.compiling.reading = &session.reading;
    session.compiling.source = source;

    r = read_text(&session);
    if (r < 0)
        fv_definitions_release(session.result);
    else
        *ret_definitions = session.result;
    return r;
}
