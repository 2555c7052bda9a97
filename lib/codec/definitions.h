/*
 * Definitions: from JSON text to compiled flags and segments. The form is
 * described in docs/flags.md.
 */
#ifndef FV_CODEC_DEFINITIONS_H
#define FV_CODEC_DEFINITIONS_H

#include "model/evaluate.h"
#include "util/map.h"

/* What a boolean has that names no variants: "off" and "on". */
extern const struct fv_variant fv_usual_variants[2];

/* A flag or segment that cannot be used, and why: one line. */
struct fv_spoiled {
    bool is_segment;
    const char *key;
    size_t key_length;
    const char *why;
};

/*
 * Flags and segments by slot; each that is there is held once. Immutable once
 * read, and shared by all snapshots that are taken of it.
 */
struct fv_definitions {
    atomic_uint references;
    const flagver_allocator *memory;
    struct fv_flag **flags;  /* as they are defined */
    struct fv_flag **served; /* as they are evaluated: the same but for spoiled ones that what they
                                 refer to has spoiled; NULL: no flag is */
    struct fv_segment **segments;
    uint32_t flag_count, segment_count; /* slots */
    struct fv_spoiled *spoiled;         /* flags, then segments, in byte order of their keys */
    size_t spoiled_count;
    struct fv_arena words; /* why */
};

void fv_definitions_hold(struct fv_definitions *definitions);
void fv_definitions_release(struct fv_definitions *definitions); /* NULL is fine */

/* The same as a view for evaluation: flags as they are served. */
struct fv_world fv_definitions_world(const struct fv_definitions *definitions);

/* Where messages that are no errors go: an ignored variable, a warning of lint. */
struct fv_listener {
    void (*tell)(void *data, const char *message);
    void *data;
};

#define FV_LINT_LIMIT 100 /* finding the place of one takes as long as reading the text */

struct fv_definitions_source {
    const char *text;
    size_t length;
    const char *name; /* of the file, for places; NULL: none */
    const flagver_allocator *memory;
    struct fv_map *flag_names; /* key → slot; new ones are added */
    struct fv_map *segment_names;
    struct fv_map *attribute_names;       /* all flags share the texts of the names they ask for */
    const struct fv_definitions *current; /* what is unchanged is kept from here; or NULL */
    bool merge;                           /* the text adds to `current`: null removes */
    const char *(*variable)(void *data, const char *name); /* environment; NULL: none */
    void *variable_data;
    const struct fv_listener *ignored; /* is told of variables that were ignored; or NULL */
    const struct fv_listener *spoiled; /* is told of what `current` did not know as spoiled, or for
                                          another reason: one line each; or NULL */
    const struct fv_listener *lint;    /* is told of what is hardly meant; or NULL */
    size_t *lint_count;                /* with it: how often; only the first are told */
};

/*
 * Read definitions. All or nothing: with an error nothing has changed but that
 * names may have got slots.
 *
 * @param ret_definitions  all flags and segments that are there now, held once
 * @return 0, FLAGVER_EPARSE, FLAGVER_ENOMEM
 */
int fv_definitions_read(const struct fv_definitions_source *source,
                        struct fv_definitions **ret_definitions, flagver_error *err);

/* "FLAGVER_FLAG_" and the key, upper-cased, other bytes than A–Z and 0–9 as "_". */
#define FV_FORCE_PREFIX "FLAGVER_FLAG_"
void fv_force_variable(const char *key, size_t length, char out[FV_FLAG_KEY_LIMIT + 1]);

/*
 * Does the variable that forces this flag belong to another one, too? Then it
 * forces neither. Looks at all flags, so ask only when the variable is set.
 */
bool fv_force_is_shared(const struct fv_definitions *definitions, const struct fv_flag *flag);

#endif
