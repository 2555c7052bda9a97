#include "codec/migration.h"

#include <string.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/reading.h"
#include "model/schedule.h"
#include "util/fail.h"
#include "util/hash.h"

enum {
    STAGE,
    PERCENTAGE,
    STAGES,
    SALT,
    CHECK_RATIO,
    SAMPLING_RATIO,
    GATES,
    GUARDS,
    FORCED,
    FIELDS
};
static const char *const field_names[FIELDS] = { "stage", "percentage",  "stages",
                                                 "salt",  "check_ratio", "sampling_ratio",
                                                 "gates", "guards",      "forced" };

enum { MATCH_RATE, SAMPLES, SOAK, GATE_FIELDS };
static const char *const gate_names[GATE_FIELDS] = { "match_rate", "samples", "soak_s" };

enum { RATE, ERROR_RATE, P99_RATIO, OLDEST, GUARD_SAMPLES, GUARD_FIELDS };
static const char *const guard_names[GUARD_FIELDS] = { "match_rate", "error_rate", "p99_ratio",
                                                       "oldest_s", "samples" };

/* ---- one field ---- */

/* Absent: *ret_number stays. */
static int read_number(const struct fv_reading *reading, const struct fv_place *place,
                       const json_t *value, int64_t most, int64_t *ret_number)
{
    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > most)
        return fv_refuse(reading, place, "must be a whole number from 0 to %lld", (long long)most);
    *ret_number = json_integer_value(value);
    return 0;
}

static int read_ratio(const struct fv_reading *reading, const struct fv_place *place,
                      const json_t *value, uint32_t *ret_ratio, bool *ret_there)
{
    int64_t ratio = 1;
    int r;

    r = read_number(reading, place, value, UINT32_MAX, &ratio);
    *ret_ratio = (uint32_t)ratio;
    *ret_there = value != NULL;
    return r;
}

/* Of a value that is a string, or not there. */
static int read_text(const struct fv_reading *reading, const struct fv_place *place,
                     const json_t *value, const char *what, const char **ret_text)
{
    int r;

    if (!value)
        return 0;
    r = fv_expect_string(reading, place, value);
    if (r == 0)
        r = fv_expect_name(reading, place, json_string_value(value), json_string_length(value),
                           FLAGVER_NOTE_LIMIT, what);
    *ret_text = json_string_value(value);
    return r;
}

/* ---- stages ---- */

static int read_stages(const struct fv_reading *reading, json_t *const *fields,
                       struct fv_migration *migration)
{
    int64_t stages = 8;
    int r;

    r = read_number(reading, fv_at_key(NULL, "stages"), fields[STAGES], 8, &stages);
    if (r < 0)
        return r;
    if (!fv_stage_in(FLAGVER_STAGE_OFF, (uint32_t)stages))
        return fv_refuse(reading, fv_at_key(NULL, "stages"), "there are 2, 4, 6 or 8 stages");
    migration->stages = (uint32_t)stages;
    return 0;
}

static int refuse_stage(const struct fv_reading *reading, const struct fv_place *place,
                        const struct fv_migration *migration)
{
    struct fv_text names = FV_TEXT_INIT;
    int r;

    for (int stage = FLAGVER_STAGE_OFF; stage; stage = fv_stage_next(stage, migration->stages))
        fv_text_format(&names, "%s%s", names.length ? ", " : "", fv_stage_name(stage));
    r = names.failed
            ? fv_fail_memory(reading->err)
            : fv_refuse(reading, place, "a migration of %u stages has no \"%s\"; it has %s",
                        migration->stages, fv_stage_name(migration->stage), names.data);
    fv_text_clear(&names);
    return r;
}

static int read_stage(const struct fv_reading *reading, json_t *const *fields,
                      struct fv_migration *migration)
{
    const struct fv_place *place = fv_at_key(NULL, "stage");
    int r;

    if (!fields[STAGE])
        return fv_refuse(reading, NULL, "\"stage\" is missing");
    r = fv_expect_string(reading, place, fields[STAGE]);
    if (r < 0)
        return r;
    migration->stage = fv_stage_parse(json_string_value(fields[STAGE]),
                                      json_string_length(fields[STAGE]));
    if (migration->stage == 0)
        return fv_refuse(reading, place,
                         "unknown stage \"%.64s\"; known are off, dualwrite, backfill, shadow, "
                         "ramp, live, rampdown, complete",
                         json_string_value(fields[STAGE]));
    if (!fv_stage_in(migration->stage, migration->stages))
        return refuse_stage(reading, place, migration);
    return 0;
}

static int read_bound(const struct fv_reading *reading, json_t *const *fields,
                      struct fv_migration *migration)
{
    uint32_t threshold = 0;
    int r = 0;

    if (fields[PERCENTAGE])
        r = fv_read_percentage(reading, fv_at_key(NULL, "percentage"), fields[PERCENTAGE],
                               &threshold);
    if (r == 0 && threshold % (FV_SCALE / FV_READ_SCALE) != 0)
        r = fv_refuse(reading, fv_at_key(NULL, "percentage"), "has more than two decimals");
    migration->bound = threshold / (FV_SCALE / FV_READ_SCALE);
    return r;
}

/* ---- gates ---- */

static int read_gates(const struct fv_reading *reading, const json_t *value,
                      struct fv_gate_limits *gates)
{
    const struct fv_place *place = fv_at_key(NULL, "gates");
    json_t *fields[GATE_FIELDS] = { 0 };
    int64_t samples = 300, soak = 0;
    uint32_t rate = 99 * (FV_SCALE / 100);
    int r = 0;

    if (value)
        r = fv_read_fields(reading, place, value, gate_names, GATE_FIELDS, fields);
    if (r == 0 && fields[MATCH_RATE])
        r = fv_read_percentage(reading, fv_at_key(place, "match_rate"), fields[MATCH_RATE], &rate);
    if (r == 0)
        r = read_number(reading, fv_at_key(place, "samples"), fields[SAMPLES], INT64_MAX, &samples);
    if (r == 0)
        r = read_number(reading, fv_at_key(place, "soak_s"), fields[SOAK], 1000000000, &soak);
    *gates = (struct fv_gate_limits){ (double)rate / FV_SCALE, (uint64_t)samples, soak * 1000000 };
    return r;
}

/* ---- guards ---- */

/* Absent: no guard. */
static int read_share(const struct fv_reading *reading, const struct fv_place *place,
                      const json_t *value, double *ret_share)
{
    uint32_t threshold = 0;
    int r = 0;

    if (value)
        r = fv_read_percentage(reading, place, value, &threshold);
    *ret_share = (double)threshold / FV_SCALE;
    return r;
}

static int read_limit(const struct fv_reading *reading, const struct fv_place *place,
                      const json_t *value, double *ret_limit)
{
    if (!value)
        return 0;
    if (!json_is_number(value) || json_number_value(value) < 1 || json_number_value(value) > 1000)
        return fv_refuse(reading, place, "must be a number from 1 to 1000");
    *ret_limit = json_number_value(value);
    return 0;
}

static int read_guards(const struct fv_reading *reading, const json_t *value,
                       struct fv_guard_limits *guards)
{
    const struct fv_place *place = fv_at_key(NULL, "guards");
    json_t *fields[GUARD_FIELDS] = { 0 };
    int64_t samples = 1000, oldest = 0;
    int r = 0;

    *guards = (struct fv_guard_limits){ 0 };
    if (value)
        r = fv_read_fields(reading, place, value, guard_names, GUARD_FIELDS, fields);
    if (r == 0)
        r = read_share(reading, fv_at_key(place, "match_rate"), fields[RATE], &guards->match_rate);
    if (r == 0)
        r = read_share(reading, fv_at_key(place, "error_rate"), fields[ERROR_RATE],
                       &guards->error_rate);
    if (r == 0)
        r = read_limit(reading, fv_at_key(place, "p99_ratio"), fields[P99_RATIO],
                       &guards->p99_ratio);
    if (r == 0)
        r = read_number(reading, fv_at_key(place, "oldest_s"), fields[OLDEST], 1000000000, &oldest);
    if (r == 0)
        r = read_number(reading, fv_at_key(place, "samples"), fields[GUARD_SAMPLES], INT64_MAX,
                        &samples);
    guards->oldest_ms = oldest * 1000;
    guards->samples = (uint64_t)samples;
    return r;
}

/* ---- the whole ---- */

static int read_fields(const struct fv_reading *reading, const char *name, json_t *const *fields,
                       struct fv_migration *migration)
{
    const char *salt = name, *forced = NULL;
    int r;

    r = read_stages(reading, fields, migration);
    if (r == 0)
        r = read_stage(reading, fields, migration);
    if (r == 0)
        r = read_bound(reading, fields, migration);
    if (r == 0)
        r = read_text(reading, fv_at_key(NULL, "salt"), fields[SALT], "salt", &salt);
    if (r == 0)
        r = read_ratio(reading, fv_at_key(NULL, "check_ratio"), fields[CHECK_RATIO],
                       &migration->check_ratio, &migration->has_check_ratio);
    if (r == 0)
        r = read_ratio(reading, fv_at_key(NULL, "sampling_ratio"), fields[SAMPLING_RATIO],
                       &migration->sampling_ratio, &migration->has_sampling_ratio);
    if (r == 0)
        r = read_gates(reading, fields[GATES], &migration->gates);
    if (r == 0)
        r = read_guards(reading, fields[GUARDS], &migration->guards);
    if (r == 0)
        r = read_text(reading, fv_at_key(NULL, "forced"), fields[FORCED], "forced", &forced);
    if (r < 0)
        return r;
    migration->forced = forced != NULL;
    migration->salt = fv_murmur3(salt, strlen(salt), 0);
    return 0;
}

int fv_migration_read(const char *name, const char *json, size_t length,
                      struct fv_migration *ret_migration, flagver_error *err)
{
    const struct fv_reading reading = { json, length, NULL, err };
    struct fv_migration migration = { 0 };
    json_t *root, *fields[FIELDS];
    int r;

    r = fv_json_parse(json, length, NULL, &root, err);
    if (r < 0)
        return r;
    r = fv_read_fields(&reading, NULL, root, field_names, FIELDS, fields);
    if (r == 0)
        r = read_fields(&reading, name, fields, &migration);
    json_decref(root);
    if (r == 0)
        *ret_migration = migration;
    return r;
}

/* ---- another version ---- */

static int set(json_t *root, const char *name, json_t *value)
{
    return json_object_set_new(root, name, value);
}

/* `percentage` only where it says something. */
static bool apply(json_t *root, const struct fv_migration_edit *edit)
{
    int failed = set(root, "stage", json_string(fv_stage_name(edit->stage)));

    if (edit->bound > 0 && edit->bound % 100 == 0)
        failed |= set(root, "percentage", json_integer(edit->bound / 100));
    else if (edit->bound > 0)
        failed |= set(root, "percentage", json_real(edit->bound / 100.0));
    else
        json_object_del(root, "percentage");
    if (edit->forced)
        failed |= set(root, "forced", json_string(edit->forced));
    else
        json_object_del(root, "forced");
    return failed == 0;
}

int fv_migration_edit(const char *json, size_t length, const struct fv_migration_edit *edit,
                      struct fv_text *out, flagver_error *err)
{
    json_t *root;
    int r;

    r = fv_json_parse(json, length, NULL, &root, err);
    if (r < 0)
        return r;
    r = apply(root, edit) ? fv_canonical_write(out, root, err) : fv_fail_memory(err);
    json_decref(root);
    return r;
}
