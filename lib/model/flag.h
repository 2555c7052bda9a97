/*
 * Compiled flags and segments: immutable, prepared so that evaluating them
 * parses, allocates and looks up nothing that could be done at load.
 *
 * A flag lives in an arena of its own and is shared by every snapshot in which
 * it is unchanged. Others are referred to by slot: a number that belongs to a
 * key for as long as its client lives.
 */
#ifndef FV_MODEL_FLAG_H
#define FV_MODEL_FLAG_H

#include <stdatomic.h>

#include "model/bucket.h"
#include "model/condition.h"

#define FV_FLAG_KEY_LIMIT 256
#define FV_VARIANT_NAME_LIMIT 128
#define FV_VARIANT_LIMIT 65535u

/* A variant's value is of its flag's type; JSON is FV_STRING, as canonical text. */
struct fv_variant {
    const char *name;
    uint32_t length;
    struct fv_value value;
};

struct fv_rule {
    const char *id; /* NULL: none */
    struct fv_condition condition;
    struct fv_serve serve;
};

/* One flag or segment needs another: for finding cycles and what is missing. */
struct fv_reference {
    bool to_flag;
    uint32_t slot;
    const char *name;    /* of the flag or segment */
    const char *variant; /* that the flag is to serve */
    const char *pointer; /* JSON pointer of the place that says so */
};

struct fv_requirement {
    uint32_t slot;
    const char *variant;
};

/* What one evaluation comes to. */
struct fv_outcome {
    uint32_t variant; /* FV_NO_VARIANT after an error */
    uint8_t reason;   /* FLAGVER_REASON_… */
    uint8_t error;    /* FLAGVER_ERROR_… */
    int32_t bucket;   /* -1: none was used */
    const char *rule; /* id of the rule that decided, or NULL */
};

/* All of a flag but what a lookup touches first. */
struct fv_flag_body {
    struct fv_arena arena; /* holds the flag, this body and all they point to */
    atomic_uint references;
    uint64_t mark; /* hash of what it was compiled from: tells what has changed */

    const struct fv_variant *variants; /* in byte order of their names */
    uint32_t variant_count;
    uint32_t on, off, fallback; /* `on`: a boolean's true variant; `fallback`: "default" */
    const char *metadata;       /* canonical JSON, or NULL */
    int64_t version;

    const struct fv_requirement *requirements;
    uint32_t requirement_count;
    struct fv_keyset targets; /* targeting key → variant */
    const struct fv_rule *rules;
    uint32_t rule_count;
    const struct fv_serve *serve; /* of the flag itself, or NULL */

    const struct fv_reference *refs;
    uint32_t ref_count;
    uint32_t leaf_count; /* in all conditions, for the limit on what one evaluation may cost */

    const struct fv_flag *origin; /* of a forced flag: the flag as defined */
};

/*
 * The first cache line of a flag. A settled flag has the same outcome for every
 * valid context, and its value stands here.
 */
struct fv_flag {
    uint32_t key_length;
    uint32_t slot;
    uint32_t counter; /* index of its first counter: errors; then one a variant */
    uint8_t type;     /* FLAGVER_TYPE_… */
    bool settled;
    bool forced;    /* settled from outside: not even the context is looked at */
    uint8_t reason; /* of a settled flag */
    struct fv_value value;
    struct fv_flag_body *body;
    uint32_t variant;
    char key[];
};

/* A group of contexts. */
struct fv_segment {
    struct fv_arena arena;
    atomic_uint references;
    uint64_t mark; /* hash of what it was compiled from: tells what has changed */
    const char *name;
    struct fv_keyset include, exclude; /* targeting keys; include wins */
    struct fv_condition condition;
    const struct fv_reference *refs;
    uint32_t ref_count;
    uint32_t leaf_count;
};

/* An empty flag or segment in an arena of its own, held once; NULL: memory is short. */
struct fv_flag *fv_flag_new(const flagver_allocator *memory, const char *key, size_t length);
struct fv_segment *fv_segment_new(const flagver_allocator *memory, const char *name,
                                  size_t length);

/* The same flag, serving one variant to everybody. Holds the original. */
struct fv_flag *fv_flag_force(struct fv_flag *flag, uint32_t variant);

/* Works out whether the flag is settled. The last step of building one. */
void fv_flag_settle(struct fv_flag *flag, bool enabled);

void fv_flag_hold(struct fv_flag *flag);
void fv_flag_release(struct fv_flag *flag);
void fv_segment_hold(struct fv_segment *segment);
void fv_segment_release(struct fv_segment *segment);

/* The index of a variant, FV_NO_VARIANT when the flag has none of that name. */
uint32_t fv_flag_variant(const struct fv_flag *flag, const char *name);

#endif
