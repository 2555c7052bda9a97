/*
 * What is served: a variant, a split, a percentage, a schedule.
 */
#include <string.h>

#include "codec/compile.h"
#include "flagver/flag.h"
#include "model/rollout_guard.h"

int fv_read_variant(struct fv_compiling *compiling, const struct fv_place *place,
                    const json_t *value, uint32_t *ret_variant)
{
    int r = fv_expect_string(compiling->reading, place, value);

    if (r < 0)
        return r;
    *ret_variant = fv_flag_variant(compiling->flag, json_string_value(value));
    if (*ret_variant == FV_NO_VARIANT)
        return fv_refuse(compiling->reading, place, "the flag has no variant \"%.128s\"",
                         json_string_value(value));
    return 0;
}

int fv_read_bucket_words(struct fv_compiling *compiling, const struct fv_place *place,
                         const json_t *by, const json_t *salt, const json_t *hash,
                         struct fv_bucket_words *words)
{
    const struct fv_reading *reading = compiling->reading;
    int r = 0;

    if (hash) {
        r = fv_expect_string(reading, fv_at_key(place, "bucketing"), hash);
        if (r >= 0 && !fv_bucket_hash_parse(json_string_value(hash), &words->hash))
            r = fv_refuse(reading, fv_at_key(place, "bucketing"),
                          "unknown bucketing \"%.60s\"; known are murmur3, md5-mod100",
                          json_string_value(hash));
    }
    if (r >= 0 && by) {
        r = fv_expect_string(reading, fv_at_key(place, "by"), by);
        if (r >= 0 && json_string_length(by) == 0)
            r = fv_refuse(reading, fv_at_key(place, "by"), "must not be empty");
        words->by = json_string_value(by);
        words->by_length = json_string_length(by);
    }
    if (r >= 0 && salt) {
        r = fv_expect_string(reading, fv_at_key(place, "salt"), salt);
        if (r >= 0 && hash && words->hash == FV_HASH_MD5_MOD100)
            r = fv_refuse_key(reading, fv_at_key(place, "salt"),
                              "md5-mod100 takes no salt: it hashes the bare value");
        words->salt = json_string_value(salt);
        words->salt_length = json_string_length(salt);
    }
    return r;
}

static bool same_words(const struct fv_bucket_words *a, const struct fv_bucket_words *b)
{
    return a->by == b->by && a->salt == b->salt && a->hash == b->hash;
}

/* The flag's own words make one bucketing, shared by all that say nothing else. */
static int make_bucketing(struct fv_compiling *compiling, const struct fv_bucket_words *words,
                          const struct fv_bucketing **ret_bucketing)
{
    bool own = same_words(words, &compiling->bucket_words);
    const struct fv_flag *flag = compiling->flag;
    const char *salt = words->salt ? words->salt : flag->key;
    size_t salt_length = words->salt ? words->salt_length : flag->key_length;
    struct fv_bucketing *bucketing;
    char *prefix;
    int r;

    if (own && compiling->bucketing) {
        *ret_bucketing = compiling->bucketing;
        return 0;
    }
    bucketing = fv_arena_allocate_zeroed(compiling->arena, 1, sizeof *bucketing);
    prefix = fv_arena_allocate(&compiling->scratch, salt_length + 1);
    if (!bucketing || !prefix)
        return fv_no_memory(compiling);
    r = fv_compile_path(compiling, words->by, words->by_length, &bucketing->by);
    if (r < 0)
        return r;

    memcpy(prefix, salt, salt_length);
    prefix[salt_length] = ':';
    bucketing->hash = words->hash;
    fv_murmur3_begin(&bucketing->salt, prefix, salt_length + 1, 0);
    if (own)
        compiling->bucketing = bucketing;
    *ret_bucketing = bucketing;
    return 0;
}

#define WEIGHT_LIMIT 1000000

static int read_weights(struct fv_compiling *compiling, const struct fv_place *place,
                        const json_t *value, uint32_t *weights)
{
    uint64_t total = 0;
    const char *name;
    json_t *weight;
    uint32_t variant;

    json_object_foreach((json_t *)value, name, weight)
    {
        variant = fv_flag_variant(compiling->flag, name);
        if (variant == FV_NO_VARIANT)
            return fv_refuse_key(compiling->reading, fv_at_key(place, name),
                                 "the flag has no variant \"%.128s\"", name);
        if (!json_is_integer(weight) || json_integer_value(weight) < 0 ||
            json_integer_value(weight) > WEIGHT_LIMIT)
            return fv_refuse(compiling->reading, fv_at_key(place, name),
                             "weight is %s; an integer from 0 to %d allowed",
                             json_is_integer(weight) ? "out of range" : fv_json_kind(weight),
                             WEIGHT_LIMIT);
        weights[variant] = (uint32_t)json_integer_value(weight);
        total += weights[variant];
    }
    if (total == 0)
        return fv_refuse(compiling->reading, place, "the weights sum up to 0");
    return 0;
}

int fv_compile_split(struct fv_compiling *compiling, const struct fv_place *place,
                     const json_t *value, const struct fv_bucket_words *words,
                     struct fv_serve *ret_serve)
{
    uint32_t variants = compiling->flag->body->variant_count;
    uint32_t *weights;
    int r;

    r = fv_expect_object(compiling->reading, place, value);
    if (r < 0)
        return r;
    weights = fv_arena_allocate_zeroed(&compiling->scratch, variants, sizeof *weights);
    if (!weights)
        return fv_no_memory(compiling);
    r = read_weights(compiling, place, value, weights);
    if (r < 0)
        return r;

    if (fv_serve_split(ret_serve, compiling->arena, weights, variants, NULL) < 0)
        return fv_no_memory(compiling);
    return ret_serve->range_count ? make_bucketing(compiling, words, &ret_serve->bucketing) : 0;
}

int fv_compile_share(struct fv_compiling *compiling, uint32_t threshold,
                     const struct fv_bucket_words *words, struct fv_serve *ret_serve)
{
    const struct fv_flag_body *body = compiling->flag->body;

    fv_serve_share(ret_serve, threshold, body->on, body->fallback, NULL);
    return ret_serve->range_count ? make_bucketing(compiling, words, &ret_serve->bucketing) : 0;
}

int fv_compile_percentage(struct fv_compiling *compiling, const struct fv_place *place,
                          const json_t *value, const struct fv_bucket_words *words,
                          struct fv_serve *ret_serve)
{
    uint32_t threshold;
    int r;

    if (compiling->flag->type != FLAGVER_TYPE_BOOL)
        return fv_refuse_key(compiling->reading, place,
                             "only boolean flags take a percentage; use \"split\"");
    r = fv_read_percentage(compiling->reading, place, value, &threshold);
    return r < 0 ? r : fv_compile_share(compiling, threshold, words, ret_serve);
}

int fv_compile_serve(struct fv_compiling *compiling, const struct fv_place *place,
                     const json_t *value, struct fv_serve *ret_serve)
{
    static const char *const names[] = { "split", "percentage", "by", "salt", "bucketing" };
    struct fv_bucket_words words = compiling->bucket_words;
    json_t *fields[5];
    int r;

    if (json_is_string(value)) {
        *ret_serve = (struct fv_serve){ 0 };
        return fv_read_variant(compiling, place, value, &ret_serve->remainder);
    }
    if (!json_is_object(value))
        return fv_refuse(compiling->reading, place, "must be a variant's name or an object, not %s",
                         fv_json_kind(value));

    r = fv_read_fields(compiling->reading, place, value, names, 5, fields);
    if (r >= 0)
        r = fv_read_bucket_words(compiling, place, fields[2], fields[3], fields[4], &words);
    if (r < 0)
        return r;
    if (!fields[0] == !fields[1])
        return fv_refuse(compiling->reading, place, "needs either \"split\" or \"percentage\"");
    if (fields[0])
        return fv_compile_split(compiling, fv_at_key(place, "split"), fields[0], &words, ret_serve);
    return fv_compile_percentage(compiling, fv_at_key(place, "percentage"), fields[1], &words,
                                 ret_serve);
}

/* ---- schedules ---- */

#define P95_MS_LIMIT 86400000 /* a day */
#define P95_RATIO_LIMIT 1000
#define SAMPLES_LIMIT 1000000000
#define SAMPLES_USUAL 100

static int read_step(struct fv_compiling *compiling, const struct fv_place *place,
                     const json_t *value, struct fv_schedule_step *step)
{
    static const char *const names[] = { "at", "percentage" };
    const struct fv_reading *reading = compiling->reading;
    json_t *fields[2];
    int r;

    r = fv_read_fields(reading, place, value, names, 2, fields);
    if (r < 0)
        return r;
    if (!fields[0] || !fields[1])
        return fv_refuse(reading, place, "a step needs \"at\" and \"percentage\"");
    r = fv_read_datetime(reading, fv_at_key(place, "at"), fields[0], &step->at);
    if (r < 0)
        return r;
    return fv_read_percentage(reading, fv_at_key(place, "percentage"), fields[1], &step->threshold);
}

static int read_steps(struct fv_compiling *compiling, const struct fv_place *place,
                      const json_t *array, struct fv_schedule *schedule)
{
    const struct fv_reading *reading = compiling->reading;
    struct fv_schedule_step *steps;
    size_t i, count;
    int r;

    r = fv_expect_array(reading, place, array, false);
    if (r < 0)
        return r;
    count = json_array_size(array);
    steps = fv_arena_allocate(compiling->arena, count * sizeof *steps);
    if (!steps)
        return fv_no_memory(compiling);

    for (i = 0; i < count; i++) {
        r = read_step(compiling, fv_at_index(place, i), json_array_get(array, i), &steps[i]);
        if (r < 0)
            return r;
        if (i && steps[i].at <= steps[i - 1].at)
            return fv_refuse(reading, fv_at_key(fv_at_index(place, i), "at"),
                             "steps must follow one another in time");
        if (i && steps[i].threshold < steps[i - 1].threshold)
            fv_lint(compiling, fv_at_key(fv_at_index(place, i), "percentage"),
                    "the percentage falls: some who were in drop out");
    }
    schedule->steps = steps;
    schedule->count = count;
    return 0;
}

static int read_interpolation(struct fv_compiling *compiling, const struct fv_place *place,
                              const json_t *value, bool *ret_linear)
{
    int r = fv_expect_string(compiling->reading, place, value);

    if (r < 0)
        return r;
    *ret_linear = strcmp(json_string_value(value), "linear") == 0;
    if (!*ret_linear && strcmp(json_string_value(value), "step") != 0)
        return fv_refuse(compiling->reading, place,
                         "unknown interpolation \"%.60s\"; known are step, linear",
                         json_string_value(value));
    return 0;
}

/* Absent: no limit. */
static int read_error_rate(const struct fv_reading *reading, const struct fv_place *place,
                           const json_t *value, double *ret_percent)
{
    uint32_t threshold = 0;
    int r = value ? fv_read_percentage(reading, place, value, &threshold) : 0;

    if (r >= 0 && value && threshold == 0)
        r = fv_refuse(reading, place, "must be above 0: a guard that always trips is none");
    *ret_percent = threshold / (FV_SCALE / 100.0);
    return r;
}

static int read_p95_ms(const struct fv_reading *reading, const struct fv_place *place,
                       const json_t *value, double *ret_ms)
{
    if (!value)
        return 0;
    if (!json_is_number(value) || json_number_value(value) <= 0 ||
        json_number_value(value) > P95_MS_LIMIT)
        return fv_refuse(reading, place, "must be a number above 0 and up to %d", P95_MS_LIMIT);
    *ret_ms = json_number_value(value);
    return 0;
}

static int read_p95_ratio(const struct fv_reading *reading, const struct fv_place *place,
                          const json_t *value, double *ret_ratio)
{
    if (!value)
        return 0;
    if (!json_is_number(value) || json_number_value(value) < 1 ||
        json_number_value(value) > P95_RATIO_LIMIT)
        return fv_refuse(reading, place, "must be a number from 1 to %d", P95_RATIO_LIMIT);
    *ret_ratio = json_number_value(value);
    return 0;
}

static int read_samples(const struct fv_reading *reading, const struct fv_place *place,
                        const json_t *value, uint64_t *ret_samples)
{
    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 1 ||
        json_integer_value(value) > SAMPLES_LIMIT)
        return fv_refuse(reading, place, "must be a whole number from 1 to %d", SAMPLES_LIMIT);
    *ret_samples = (uint64_t)json_integer_value(value);
    return 0;
}

static int read_way_back(const struct fv_reading *reading, const struct fv_place *place,
                         const json_t *value, bool *ret_to_zero)
{
    int r = value ? fv_expect_string(reading, place, value) : 0;

    if (r < 0 || !value)
        return r;
    *ret_to_zero = strcmp(json_string_value(value), "zero") == 0;
    if (!*ret_to_zero && strcmp(json_string_value(value), "step") != 0)
        return fv_refuse(reading, place, "there is no way back to \"%.60s\"; known are step, zero",
                         json_string_value(value));
    return 0;
}

static int read_guards(struct fv_compiling *compiling, const struct fv_place *place,
                       const json_t *value, const struct fv_rollout_guards **ret_guards)
{
    enum { ERROR_RATE, P95_MS, P95_RATIO, SAMPLES, BACK, FIELDS };
    static const char *const names[] = { "error_rate", "p95_ms", "p95_ratio", "samples", "back" };
    const struct fv_reading *reading = compiling->reading;
    struct fv_rollout_guards *guards;
    json_t *fields[FIELDS];
    int r;

    r = fv_read_fields(reading, place, value, names, FIELDS, fields);
    if (r < 0)
        return r;
    if (!fields[ERROR_RATE] && !fields[P95_MS] && !fields[P95_RATIO])
        return fv_refuse(reading, place, "needs \"error_rate\", \"p95_ms\" or \"p95_ratio\"");
    guards = fv_arena_allocate_zeroed(compiling->arena, 1, sizeof *guards);
    if (!guards)
        return fv_no_memory(compiling);

    guards->samples = SAMPLES_USUAL;
    r = read_error_rate(reading, fv_at_key(place, "error_rate"), fields[ERROR_RATE],
                        &guards->error_rate);
    if (r >= 0)
        r = read_p95_ms(reading, fv_at_key(place, "p95_ms"), fields[P95_MS], &guards->p95_ms);
    if (r >= 0)
        r = read_p95_ratio(reading, fv_at_key(place, "p95_ratio"), fields[P95_RATIO],
                           &guards->p95_ratio);
    if (r >= 0)
        r = read_samples(reading, fv_at_key(place, "samples"), fields[SAMPLES], &guards->samples);
    if (r >= 0)
        r = read_way_back(reading, fv_at_key(place, "back"), fields[BACK], &guards->to_zero);
    *ret_guards = guards;
    return r;
}

int fv_compile_schedule(struct fv_compiling *compiling, const struct fv_place *place,
                        const json_t *value, struct fv_serve *serve)
{
    static const char *const names[] = { "interpolate", "steps", "guards" };
    const struct fv_bucketing *bucketing;
    struct fv_schedule *schedule;
    json_t *fields[3];
    int r;

    r = fv_read_fields(compiling->reading, place, value, names, 3, fields);
    if (r < 0)
        return r;
    if (!fields[1])
        return fv_refuse(compiling->reading, place, "\"steps\" is missing");
    schedule = fv_arena_allocate_zeroed(compiling->arena, 1, sizeof *schedule);
    if (!schedule)
        return fv_no_memory(compiling);

    if (fields[0])
        r = read_interpolation(compiling, fv_at_key(place, "interpolate"), fields[0],
                               &schedule->linear);
    if (r >= 0)
        r = read_steps(compiling, fv_at_key(place, "steps"), fields[1], schedule);
    if (r >= 0 && fields[2])
        r = read_guards(compiling, fv_at_key(place, "guards"), fields[2], &schedule->guards);
    if (r >= 0)
        r = make_bucketing(compiling, &compiling->bucket_words, &bucketing);
    if (r >= 0)
        fv_serve_schedule(serve, schedule, compiling->flag->body->on,
                          compiling->flag->body->fallback, bucketing);
    return r;
}
