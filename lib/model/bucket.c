#include "model/bucket.h"

#include <string.h>

#define MOD100_SCALE (FV_SCALE / 100)

/* "-9223372036854775808" */
#define INTEGER_SIZE 20

bool fv_bucket_hash_parse(const char *name, enum fv_bucket_hash *ret_hash)
{
    if (strcmp(name, "murmur3") == 0)
        *ret_hash = FV_HASH_MURMUR3;
    else if (strcmp(name, "md5-mod100") == 0)
        *ret_hash = FV_HASH_MD5_MOD100;
    else
        return false;
    return true;
}

/* Writes the decimal digits to the end of `out` and returns where they begin. */
static const char *format_integer(int64_t value, char out[INTEGER_SIZE], size_t *ret_length)
{
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *at = out + INTEGER_SIZE;

    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0)
        *--at = '-';
    *ret_length = (size_t)(out + INTEGER_SIZE - at);
    return at;
}

bool fv_bucket(const struct fv_bucketing *bucketing, const flagver_context *context,
               uint32_t *ret_point, int32_t *ret_bucket)
{
    const struct fv_value *value = fv_context_find(context, &bucketing->by);
    char digits[INTEGER_SIZE];
    const char *text;
    size_t length;
    uint32_t bucket;

    if (value && value->kind == FV_STRING) {
        text = value->as.string;
        length = value->count;
    } else if (value && value->kind == FV_INTEGER) {
        text = format_integer(value->as.integer, digits, &length);
    } else {
        return false;
    }

    if (bucketing->hash == FV_HASH_MD5_MOD100) {
        bucket = fv_md5_mod100(text, length);
        *ret_point = bucket * MOD100_SCALE;
    } else {
        bucket = (uint32_t)((uint64_t)fv_murmur3_finish(&bucketing->salt, text, length) *
                                FV_SCALE >>
                            32);
        *ret_point = bucket;
    }
    *ret_bucket = (int32_t)bucket;
    return true;
}

static struct fv_serve serve_one(uint32_t variant)
{
    return (struct fv_serve){ .remainder = variant };
}

int fv_serve_split(struct fv_serve *serve, struct fv_arena *arena, const uint32_t *weights,
                   size_t count, const struct fv_bucketing *bucketing)
{
    struct fv_range *ranges;
    uint64_t total = 0, sum = 0;
    uint32_t used = 0;
    size_t i, positive = 0, last = 0;

    for (i = 0; i < count; i++) {
        total += weights[i];
        if (weights[i]) {
            positive++;
            last = i;
        }
    }
    *serve = serve_one((uint32_t)last);
    if (positive < 2)
        return 0;

    ranges = fv_arena_allocate(arena, (positive - 1) * sizeof *ranges);
    if (!ranges)
        return FLAGVER_ENOMEM;
    /* The last one's bound would be FV_SCALE: it is the remainder. */
    for (i = 0; i < last; i++) {
        sum += weights[i];
        if (weights[i])
            ranges[used++] = (struct fv_range){ (uint32_t)(sum * FV_SCALE / total), (uint32_t)i };
    }
    serve->first = ranges[0];
    serve->more = ranges + 1;
    serve->range_count = used;
    serve->bucketing = bucketing;
    return 0;
}

static struct fv_serve serve_two(uint32_t threshold, uint32_t in, uint32_t out,
                                 const struct fv_bucketing *bucketing)
{
    return (struct fv_serve){
        .remainder = out, .range_count = 1, .first = { threshold, in }, .bucketing = bucketing
    };
}

void fv_serve_share(struct fv_serve *serve, uint32_t threshold, uint32_t in, uint32_t out,
                    const struct fv_bucketing *bucketing)
{
    if (threshold == 0 || threshold == FV_SCALE)
        *serve = serve_one(threshold ? in : out);
    else
        *serve = serve_two(threshold, in, out, bucketing);
}

void fv_serve_schedule(struct fv_serve *serve, const struct fv_schedule *schedule, uint32_t in,
                       uint32_t out, const struct fv_bucketing *bucketing)
{
    *serve = serve_two(0, in, out, bucketing);
    serve->schedule = schedule;
}
