/*
 * What the leaves of a log did, done again on another store: each leaf becomes the changes of rows
 * that it stood for, in their order, so that the rules of every driver hold all the way. What a
 * leaf does not say (payloads, items, notes, ids) is read from the source.
 *
 *     fv_mover_init(&mover, &source, &target);
 *     fv_mover_lock(&mover, leaves, count, err);      the series of all leaves that may come
 *     fv_mover_leaf(&mover, &leaves[i], err);         each, in order
 *     fv_mover_may_stop(&mover)                       can the rest be left to another transaction?
 *     fv_mover_finish(&mover, err);
 *     … mover.changes, to be applied …
 *     fv_mover_clear(&mover);
 *
 * The source is one state of a store that may be further than the leaves are. What was in force
 * once never changes, so of that the target has exactly what the log says. Of open versions the
 * source keeps only what they say now: drafts and what is submitted have content, note and
 * decisions of the source's state from the beginning, until the leaves have come as far.
 */
#ifndef FV_ENGINE_MOVER_H
#define FV_ENGINE_MOVER_H

#include "model/leaf.h"
#include "model/policy.h"
#include "store/store.h"
#include "util/map.h"
#include "util/memory.h"

/* Items of a version, in order of their keys, without payloads unless they were asked for. */
struct fv_moved_items {
    flagver_item_row *rows;
    size_t count, capacity;
    bool known;
};

struct fv_moved_author {
    flagver_bytes actor;
    struct fv_moved_author *next;
};

/* A version that leaves are about. */
struct fv_moved_version {
    flagver_version_row row;    /* in the target, as it will be */
    flagver_version_row source; /* in the source; no 0: it was not asked for */
    bool born;                  /* by a leaf of these */
    bool has_content;           /* that of the source */
    bool undecided;             /* decisions about items are to follow */
    struct fv_moved_items items, source_items;
    bool knows_authors;
    struct fv_moved_author *authors; /* who have edited what another has created */
    struct fv_moved_version *next;
};

struct fv_moved_series {
    flagver_series_row row;      /* in the target, as it will be */
    flagver_series_row source;   /* in the source */
    flagver_series_row *pending; /* the last change of it; may be added to */
    bool owed;                   /* it is different, and there is no change that says so */
    struct fv_moved_version *versions;
};

struct fv_mover {
    struct fv_read *source, *target; /* one state, and a transaction that writes */
    struct fv_digest *digest;
    struct fv_arena arena; /* what changes point to */
    struct fv_map names;   /* of series: phase, newline, subject */
    struct fv_moved_series **series;
    size_t series_capacity;
    flagver_change *changes;
    size_t change_count, change_capacity;
    struct fv_text name;    /* for making them */
    bool changed[FV_FORMS]; /* has a record of this form come into force? */
};

/* FLAGVER_ENOMEM. `source` and `target` leave payloads sealed. */
int fv_mover_init(struct fv_mover *mover, struct fv_read *source, struct fv_read *target,
                  flagver_error *err);
void fv_mover_clear(struct fv_mover *mover);

/* FLAGVER_ECONFLICT: a series of the target is not the source's. */
int fv_mover_lock(struct fv_mover *mover, const struct fv_audit_leaf *leaves, size_t count,
                  flagver_error *err);

/* FLAGVER_ECORRUPT: the leaf and the rows contradict each other. The leaf's texts must stay. */
int fv_mover_leaf(struct fv_mover *mover, const struct fv_audit_leaf *leaf, flagver_error *err);

/*
 * Series count their changes. Those that the source has counted are enough for leaves that are
 * carried over a transaction of the source at a time; where one was cut in two it may be that they
 * are not, and more leaves have to come first.
 */
bool fv_mover_may_stop(const struct fv_mover *mover);

int fv_mover_finish(struct fv_mover *mover, flagver_error *err);

/* ---- for the files of it ---- */

bool fv_mover_keep(struct fv_mover *mover, flagver_bytes *bytes);
int fv_mover_stage(struct fv_mover *mover, const flagver_change *change, flagver_error *err);

/* A payload, and SHRED of one that is gone. */
int fv_mover_payload(struct fv_mover *mover, const flagver_payload_row *row, flagver_error *err);
int fv_mover_shred(struct fv_mover *mover, const flagver_id *id, flagver_error *err);

/* The one row that a query finds, borrowed until the next: 1, 0, or an error. */
int fv_mover_find(struct fv_read *read, const flagver_query *query, flagver_row *ret_row,
                  flagver_error *err);

/*
 * Makes the items of a version in the target those of the source. Of a version that is not a draft
 * any more only decisions change.
 */
int fv_mover_items(struct fv_mover *mover, struct fv_moved_version *version, flagver_error *err);

/* SHRED of the payloads of all its items. */
int fv_mover_shred_items(struct fv_mover *mover, struct fv_moved_version *version,
                         flagver_error *err);

#endif
