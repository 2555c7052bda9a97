/*
 * The context of an evaluation: a targeting key and attributes; and paths,
 * which name attributes.
 */
#ifndef FV_MODEL_CONTEXT_H
#define FV_MODEL_CONTEXT_H

#include "flagver/context.h"
#include "model/value.h"
#include "util/memory.h"

#define FV_CONTEXT_DEPTH 100
#define FV_FIRST_HASHES 6u
#define FV_OWN_MEMBERS 4u
#define FV_ATTRIBUTE_NAME_LIMIT 255

struct fv_open_container; /* a list or object that is being built */

/*
 * Everything a context holds lies in one arena, close together: evaluation
 * touches few cache lines of it. What is replaced is left behind there until it
 * is more than what is still in use; then the rest moves to a fresh arena.
 */
struct flagver_context {
    /* The first cache line: what a search looks at first. */
    struct fv_value key; /* FV_STRING, or FV_NULL: missing */
    uint64_t key_hash;   /* fv_hash() of the key */
    struct fv_member *members;
    uint32_t count;
    bool key_invalid;                       /* the key given was no string or integer */
    uint32_t first_hashes[FV_FIRST_HASHES]; /* of the first members' names */

    /* The next two: most contexts have no more attributes than these. */
    struct fv_member own_members[FV_OWN_MEMBERS];

    size_t capacity;
    void *block; /* what was allocated for this struct */
    struct fv_arena arena;
    size_t left_behind; /* bytes in the arena that nothing points to any more */
    bool names_differ;  /* while it is filled from JSON, in which no name stands twice */

    struct fv_member *pending; /* members of open containers, outermost first */
    size_t pending_count, pending_capacity;
    struct fv_open_container *open;
    size_t open_count, open_capacity;
};

struct fv_path_step {
    const char *name;
    uint32_t length;
    uint32_t hash;
};

/* An attribute's name, or the way to a member of a nested one: "account.plan". */
struct fv_path {
    struct fv_path_step whole;
    const struct fv_path_step *steps; /* the parts between dots, when there are any */
    uint32_t step_count;
    bool is_key; /* "targetingKey" */
};

/* Prepare a path; it keeps the pointer to the name. 0 or FLAGVER_ENOMEM. */
int fv_path_init(struct fv_path *path, struct fv_arena *arena, const char *name, size_t length);

/*
 * The value a path leads to; NULL when it is missing or null. The exact name
 * counts before the path, even when it holds null.
 */
const struct fv_value *fv_context_find(const flagver_context *context, const struct fv_path *path);

/*
 * Whether the key given was no string or integer. Contexts that may be so stand
 * at addresses in which this bit is set: for the others, which are nearly all,
 * a settled flag is answered without touching the context.
 */
#define FV_SUSPECT_BIT 8u

static inline bool fv_context_is_invalid(const flagver_context *context)
{
    return ((uintptr_t)context & FV_SUSPECT_BIT) && context->key_invalid;
}

/* What the public calls of flagver/context.h do, with lengths. */
flagver_context *fv_context_new(bool suspect);
void fv_context_free(flagver_context *context);
void fv_context_reset(flagver_context *context);
int fv_context_set_key(flagver_context *context, const char *key, size_t length);
int fv_context_set(flagver_context *context, const char *name, size_t length,
                   const struct fv_value *value);
int fv_context_begin(flagver_context *context, const char *name, size_t length, enum fv_kind kind);
int fv_context_end(flagver_context *context);

#endif
