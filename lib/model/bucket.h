/*
 * Buckets: how a context is assigned one of the variants of a split.
 *
 * What engines do differently is data here: the hash, what is hashed, the scale
 * of its result. The native hash is murmur3_x86_32 of "salt:value", spread over
 * FV_SCALE buckets; md5-mod100 is the MD5 of the bare value modulo 100.
 */
#ifndef FV_MODEL_BUCKET_H
#define FV_MODEL_BUCKET_H

#include "model/context.h"
#include "model/schedule.h"
#include "util/hash.h"

enum fv_bucket_hash { FV_HASH_MURMUR3, FV_HASH_MD5_MOD100 };

/* "murmur3" or "md5-mod100"; false for any other name. */
bool fv_bucket_hash_parse(const char *name, enum fv_bucket_hash *ret_hash);

struct fv_bucketing {
    enum fv_bucket_hash hash;
    struct fv_murmur3_prefix salt; /* "salt:", worked through at load */
    struct fv_path by;             /* the attribute whose value is hashed */
};

/*
 * The bucket of a context. *ret_point is comparable to bounds on FV_SCALE,
 * *ret_bucket is the number as the hash has it (0 to 99 for md5-mod100).
 * False when `by` is missing or neither a string nor an integer.
 */
bool fv_bucket(const struct fv_bucketing *bucketing, const flagver_context *context,
               uint32_t *ret_point, int32_t *ret_bucket);

#define FV_NO_VARIANT UINT32_MAX

struct fv_range {
    uint32_t bound; /* buckets below it, down to the previous bound, get the variant */
    uint32_t variant;
};

/*
 * What to serve: one variant, or a split. Who is in no range gets the remainder.
 * With a schedule there is one range, and its bound is the schedule's threshold.
 */
struct fv_serve {
    uint32_t remainder; /* the one variant when there are no ranges */
    uint32_t range_count;
    struct fv_range first;       /* most splits have but one: no need to look further */
    const struct fv_range *more; /* the other range_count - 1 */
    const struct fv_schedule *schedule;
    const struct fv_bucketing *bucketing;
};

/*
 * Prepare a split. Weights go with the variants 0 … count-1, in byte order of
 * their names; their sum is positive. Bound i is floor(sum of the first i
 * weights × FV_SCALE / total). One positive weight needs no bucket.
 *
 * @return 0 or FLAGVER_ENOMEM
 */
int fv_serve_split(struct fv_serve *serve, struct fv_arena *arena, const uint32_t *weights,
                   size_t count, const struct fv_bucketing *bucketing);

/* `threshold` of FV_SCALE get `in`, the others `out`. Nobody or everybody needs no bucket. */
void fv_serve_share(struct fv_serve *serve, uint32_t threshold, uint32_t in, uint32_t out,
                    const struct fv_bucketing *bucketing);
void fv_serve_schedule(struct fv_serve *serve, const struct fv_schedule *schedule, uint32_t in,
                       uint32_t out, const struct fv_bucketing *bucketing);

#endif
