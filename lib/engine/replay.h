/*
 * The log carried out again: what versions, votes and authors there must be, when each leaf is
 * done after the one before by the rules of model/version.h. What a leaf does against the rules is
 * found; it is then done all the same, so that one fault is found once.
 *
 * What policies said at the time is not asked again: how many votes were needed is taken from
 * what came of them.
 *
 * Memory: some 250 bytes for each version of the log.
 */
#ifndef FV_ENGINE_REPLAY_H
#define FV_ENGINE_REPLAY_H

#include "crypto/crypto.h"
#include "engine/finding.h"
#include "model/leaf.h"
#include "util/map.h"

/* Actors are numbers of `actors`, FV_MAP_NONE: nobody. `seen` is for who compares. */
struct fv_replayed_vote {
    uint32_t actor;
    uint8_t content_hash[FV_DIGEST_SIZE], note_hash[FV_DIGEST_SIZE];
    int64_t time;
    uint64_t leaf;
    bool seen;
    struct fv_replayed_vote *next;
};

/* One who has edited a version that another has created. */
struct fv_replayed_author {
    uint32_t actor;
    uint64_t leaf;
    bool seen;
    struct fv_replayed_author *next;
};

struct fv_replayed_version {
    uint32_t parent_no, base_no, reverts_no, superseded_by;
    int32_t state; /* 0: no leaf has made it */
    uint32_t bits;
    int64_t rev;
    int64_t created_at, submitted_at, decided_at, superseded_at;
    uint32_t created_by, decided_by;
    uint8_t content_hash[FV_DIGEST_SIZE], decisions_hash[FV_DIGEST_SIZE];
    uint8_t note_hash[FV_DIGEST_SIZE]; /* of the note that was said last */
    uint64_t leaf;                     /* the last one about it */
    bool shredded, seen;
    struct fv_replayed_vote *votes;
    struct fv_replayed_author *authors;
};

struct fv_replayed_series {
    struct fv_replayed_version *versions; /* by number, from 1 on at 0 */
    size_t count, capacity;
    uint32_t current_no;
    int64_t changed_at;
    uint64_t leaf; /* the last one about it */
    bool seen;
};

struct fv_replay {
    struct fv_findings *findings;
    struct fv_arena arena;
    struct fv_map actors;
    struct fv_map names; /* of series: phase, newline, subject */
    struct fv_replayed_series *series;
    size_t series_capacity;
    struct fv_text name; /* for making them */
};

void fv_replay_init(struct fv_replay *replay, struct fv_findings *findings);
void fv_replay_clear(struct fv_replay *replay);

/* FLAGVER_ENOMEM. */
int fv_replay_leaf(struct fv_replay *replay, const struct fv_audit_leaf *leaf, flagver_error *err);

/* NULL: the log knows of none. */
struct fv_replayed_series *fv_replay_find(struct fv_replay *replay, flagver_bytes phase,
                                          flagver_bytes subject);

/* FV_MAP_NONE for "none", and for one that the log does not know. */
uint32_t fv_replay_actor(const struct fv_replay *replay, flagver_bytes name);

#endif
