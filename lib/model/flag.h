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
    const char *pointer; /* of the place that says so: a segment's name, or an object with "flag" */
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

/* What a flag asks before it comes to its own split, percentage or schedule. */
struct fv_plan {
    const struct fv_requirement *requirements;
    const struct fv_rule *rules;
    struct fv_keyset targets; /* targeting key → variant */
    const struct fv_reference *refs;
    uint32_t requirement_count;
    uint32_t rule_count;
    uint32_t ref_count;
    uint32_t leaf_count; /* in all conditions, for the limit on what one evaluation may cost */
};

/* All of a flag but what a lookup touches; what evaluation needs comes first. */
struct fv_flag_body {
    const struct fv_variant *variants; /* in byte order of their names */
    const struct fv_plan *plan;        /* when `asks` says so */
    struct fv_serve serve;
    uint32_t fallback, off; /* variants: "default" and "off" */

    struct fv_chunks memory; /* of the flag and all it points to */
    atomic_uint references;
    uint32_t slot;
    uint32_t counter; /* index of its first counter: errors; then one a variant */
    uint64_t mark;    /* hash of what it was compiled from: tells what has changed */
    uint32_t variant_count;
    uint32_t on;          /* a boolean's true variant */
    const char *metadata; /* canonical JSON, or NULL */
    int64_t version;
    const char *why;        /* of a spoiled flag; else NULL */
    atomic_bool guard_told; /* that a guard of its schedule has tripped, and it could not go back */
    struct fv_flag *origin; /* of one that stands in for another, forced or spoiled; held */
};

enum fv_asks {
    FV_ASKS_REQUIREMENTS = 1,
    FV_ASKS_TARGETS = 2,
    FV_ASKS_RULES = 4,
    FV_ASKS_SERVE = 8
};

/*
 * The first cache line of a flag: all that a lookup and a settled flag's value
 * take, and a key of up to 32 bytes. A settled flag has the same outcome for
 * every valid context.
 */
struct fv_flag {
    uint16_t key_length;
    uint8_t type;    /* FLAGVER_TYPE_… */
    uint8_t settled; /* the type again, or 0: not settled */
    uint8_t asks;    /* FV_ASKS_… */
    bool forced;     /* settled from outside: not even the context is looked at */
    uint8_t reason;  /* of a settled flag, and so the rest: */
    uint8_t error;   /* of a spoiled flag: FLAGVER_ERROR_…; it asks nothing, and is not settled */
    uint32_t served; /* index of the counter of its variant */
    uint32_t variant;
    union fv_payload value;
    struct fv_flag_body *body;
    char key[];
};

/* A group of contexts. */
struct fv_segment {
    struct fv_chunks memory;
    atomic_uint references;
    uint64_t mark;   /* hash of what it was compiled from: tells what has changed */
    const char *why; /* of a malformed one: it counts as not there; else NULL */
    const char *name;
    size_t name_length;
    struct fv_keyset include, exclude; /* targeting keys; include wins */
    struct fv_condition condition;
    const struct fv_reference *refs;
    uint32_t ref_count;
    uint32_t leaf_count;
};

/*
 * An empty flag in an arena; NULL: memory is short. When it is complete it takes
 * over the arena's memory and is held once.
 */
struct fv_flag *fv_flag_new(struct fv_arena *arena, const char *key, size_t length);
void fv_flag_complete(struct fv_flag *flag, struct fv_arena *arena, bool enabled);

/* The same for one that is malformed; `why` is copied. False: memory is short. */
bool fv_flag_complete_spoiled(struct fv_flag *flag, struct fv_arena *arena, const char *why);

/* The size of a first chunk in which the flag and `more` bytes fit. */
size_t fv_flag_chunk(size_t key_length, size_t more);

/* The same flag, serving one variant to everybody. NULL: memory is short. */
struct fv_flag *fv_flag_force(struct fv_flag *flag, uint32_t variant);

/* The same flag, spoiled by what it refers to. NULL: memory is short. */
struct fv_flag *fv_flag_spoil(struct fv_flag *flag, const char *why);

/* The same for segments. */
struct fv_segment *fv_segment_new(struct fv_arena *arena, const char *name, size_t length);
void fv_segment_complete(struct fv_segment *segment, struct fv_arena *arena);

void fv_flag_hold(struct fv_flag *flag);
void fv_flag_release(struct fv_flag *flag);
void fv_segment_hold(struct fv_segment *segment);
void fv_segment_release(struct fv_segment *segment);

/* The index of a variant, FV_NO_VARIANT when the flag has none of that name. */
uint32_t fv_flag_variant(const struct fv_flag *flag, const char *name);

#endif
