#include "codec/definitions.h"

#include <stdio.h>
#include <string.h>

#include "codec/gather.h"
#include "codec/json.h"
#include "codec/policy_tree.h"
#include "util/fail.h"

enum section { FLAGS, SEGMENTS, PHASES, ASSIGNMENTS, MIGRATIONS, RECORDS, SECTIONS };

static const char *const section_names[SECTIONS] = {
    [FLAGS] = "flags",           [SEGMENTS] = "segments",
    [PHASES] = "phases",         [ASSIGNMENTS] = "assignments",
    [MIGRATIONS] = "migrations", [RECORDS] = "records",
};

static int read_flag(struct fv_gathering *gathering, const struct fv_place *place, const char *key,
                     const json_t *value)
{
    const struct fv_definitions_source *source = gathering->source;
    struct fv_flag *flag = NULL, *present;
    uint64_t mark = fv_definition_mark(source, value);
    uint32_t slot;
    int r;

    r = fv_gather_flag_slot(gathering, key, strlen(key), &slot);
    if (r < 0)
        return r;
    present = fv_gather_current_flag(gathering, slot);
    if (present && present->body->mark == mark) {
        flag = present;
        fv_flag_hold(flag);
    } else if (!source->merge || !json_is_null(value)) {
        r = fv_compile_flag(&gathering->compiling, place, value, key, strlen(key), slot, &flag);
        if (r < 0)
            return r;
        flag->body->mark = mark;
    }
    fv_gather_put_flag(gathering, slot, flag);
    return 0;
}

static int read_segment(struct fv_gathering *gathering, const struct fv_place *place,
                        const char *name, const json_t *value)
{
    const struct fv_definitions_source *source = gathering->source;
    struct fv_segment *segment = NULL, *present;
    uint64_t mark = fv_definition_mark(source, value);
    uint32_t slot;
    int r;

    r = fv_gather_segment_slot(gathering, name, strlen(name), &slot);
    if (r < 0)
        return r;
    present = fv_gather_current_segment(gathering, slot);
    if (present && present->mark == mark) {
        segment = present;
        fv_segment_hold(segment);
    } else if (!source->merge || !json_is_null(value)) {
        r = fv_compile_segment(&gathering->compiling, place, value, name, strlen(name), &segment);
        if (r < 0)
            return r;
        segment->mark = mark;
    }
    fv_gather_put_segment(gathering, slot, segment);
    return 0;
}

static int read_each(struct fv_gathering *gathering, enum section section, const json_t *object)
{
    const struct fv_place *place = fv_at_key(NULL, section_names[section]);
    const char *name;
    json_t *value;
    int r;

    if (!object)
        return 0;
    r = fv_expect_object(&gathering->reading, place, object);
    if (r < 0)
        return r;
    json_object_foreach((json_t *)object, name, value)
    {
        r = section == FLAGS ? read_flag(gathering, fv_at_key(place, name), name, value)
                             : read_segment(gathering, fv_at_key(place, name), name, value);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Sections that other parts of the library read. */
static int check_others(struct fv_gathering *gathering, json_t *const sections[SECTIONS])
{
    int section;

    for (section = MIGRATIONS; section < SECTIONS; section++)
        if (sections[section] && !json_is_object(sections[section]) &&
            !json_is_array(sections[section]))
            return fv_refuse(&gathering->reading, fv_at_key(NULL, section_names[section]),
                             "must be an object or an array, not %s",
                             fv_json_kind(sections[section]));
    return 0;
}

/* ---- environment variables that force a flag ---- */

static char variable_byte(char c)
{
    if (c >= 'a' && c <= 'z')
        return (char)(c - 'a' + 'A');
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
}

void fv_force_variable(const char *key, size_t length, char out[FV_FLAG_KEY_LIMIT + 1])
{
    size_t i;

    for (i = 0; i < length && i < FV_FLAG_KEY_LIMIT; i++)
        out[i] = variable_byte(key[i]);
    out[i] = 0;
}

bool fv_force_is_shared(const struct fv_definitions *definitions, const struct fv_flag *flag)
{
    const struct fv_flag *other;
    uint32_t slot;
    size_t i;

    for (slot = 0; slot < definitions->flag_count; slot++) {
        other = definitions->flags[slot];
        if (!other || other->key_length != flag->key_length || slot == flag->body->slot)
            continue;
        for (i = 0; i < flag->key_length; i++)
            if (variable_byte(flag->key[i]) != variable_byte(other->key[i]))
                break;
        if (i == flag->key_length)
            return true;
    }
    return false;
}

static bool is_new(const struct fv_gathering *gathering, const struct fv_flag *flag)
{
    return !fv_gather_current_flag(gathering, flag->body->slot);
}

static int refuse_collision(struct fv_gathering *gathering, const struct fv_flag *flag,
                            const struct fv_flag *other, const char *variable)
{
    return fv_refuse_key(&gathering->reading, fv_at_key(fv_at_key(NULL, "flags"), flag->key),
                         "the variable " FV_FORCE_PREFIX "%.100s would force \"%.128s\" too",
                         variable, other->key);
}

/* Gives a flag its variable, unless another one has it. Records that share one may go on. */
static int claim_variable(struct fv_gathering *gathering, struct fv_flag *flag, struct fv_map *map,
                          struct fv_flag **owners)
{
    char variable[FV_FLAG_KEY_LIMIT + 1];
    size_t before = map->count;
    uint32_t number;

    fv_force_variable(flag->key, flag->key_length, variable);
    number = fv_map_add(map, variable, strlen(variable));
    if (number == FV_MAP_NONE)
        return fv_fail_memory(gathering->err);
    if (number == before)
        owners[number] = flag;
    else if (is_new(gathering, flag) || is_new(gathering, owners[number]))
        return refuse_collision(gathering, flag, owners[number], variable);
    return 0;
}

/* Two flags may not share the variable that forces them. */
static int check_variables(struct fv_gathering *gathering)
{
    const struct fv_definitions *result = gathering->result;
    struct fv_flag **owners;
    struct fv_map map;
    uint32_t i;
    int r = 0;

    if (!gathering->names_changed)
        return 0;
    owners = fv_allocate_zeroed(result->memory, result->flag_count, sizeof(struct fv_flag *));
    if (!owners)
        return fv_fail_memory(gathering->err);
    fv_map_init(&map, result->memory);
    for (i = 0; r == 0 && i < result->flag_count; i++)
        if (result->flags[i])
            r = claim_variable(gathering, result->flags[i], &map, owners);
    fv_map_clear(&map);
    fv_release(result->memory, owners);
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
static void check_unused(struct fv_gathering *gathering)
{
    const struct fv_definitions *result = gathering->result;
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
            fv_lint(&gathering->compiling, fv_at_key(fv_at_key(NULL, "segments"), segment->name),
                    "no flag and no segment names this segment");
    }
    fv_release(result->memory, used);
}

static int read_root(struct fv_gathering *gathering, const json_t *root)
{
    json_t *sections[SECTIONS];
    int r;

    r = fv_read_fields(&gathering->reading, NULL, root, section_names, SECTIONS, sections);
    if (r >= 0)
        r = read_each(gathering, SEGMENTS, sections[SEGMENTS]);
    if (r >= 0)
        r = read_each(gathering, FLAGS, sections[FLAGS]);
    if (r >= 0)
        r = fv_phases_check(&gathering->reading, sections[PHASES], gathering->source->merge);
    if (r >= 0)
        r = fv_assignments_check(&gathering->reading, sections[ASSIGNMENTS],
                                 gathering->source->merge);
    if (r >= 0)
        r = check_others(gathering, sections);
    if (r >= 0)
        r = fv_gather_settle(gathering, true);
    if (r >= 0)
        r = check_variables(gathering);
    if (r >= 0 && gathering->source->lint)
        check_unused(gathering);
    return r;
}

int fv_definitions_read_tree(const struct fv_definitions_source *source, const json_t *root,
                             struct fv_definitions **ret_definitions, flagver_error *err)
{
    struct fv_gathering gathering;
    int r;

    r = fv_gather_begin(&gathering, source, err);
    gathering.reading = (struct fv_reading){ source->text, source->length, source->name, err };
    if (r == 0)
        r = read_root(&gathering, root);
    return fv_gather_end(&gathering, r, ret_definitions);
}

int fv_definitions_read(const struct fv_definitions_source *source,
                        struct fv_definitions **ret_definitions, flagver_error *err)
{
    json_t *root;
    int r;

    r = fv_json_parse(source->text, source->length, source->name, &root, err);
    if (r < 0)
        return r;
    r = fv_definitions_read_tree(source, root, ret_definitions, err);
    json_decref(root);
    return r;
}
