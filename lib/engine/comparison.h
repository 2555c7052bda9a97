/*
 * Rows held against the log that was carried out again (engine/replay.h): everything that a leaf
 * says, and whether contents have the hashes they should have. Rows come in the order of an
 * export: a series, its versions in order of their numbers, and behind each what belongs to it.
 *
 * Ids, and how often a series was changed, are in no leaf: nothing is known of them.
 */
#ifndef FV_ENGINE_COMPARISON_H
#define FV_ENGINE_COMPARISON_H

#include "engine/replay.h"

struct fv_comparison {
    struct fv_replay *replay;
    struct fv_findings *findings;
    struct fv_digest *content, *decisions, *part; /* the first two grow from item to item */
    struct fv_text name;                          /* of the series: phase "subject" */
    struct fv_text phase, subject;
    struct fv_replayed_series *series;   /* NULL: the log knows of none */
    struct fv_replayed_version *version; /* NULL: there is none, or the log knows of none */
    uint32_t no;                         /* of the version's row; 0: there was none yet */
    bool readable;                       /* its payload */
    bool has_decisions;
    uint8_t content_hash[FV_DIGEST_SIZE]; /* of the row */
    uint64_t versions, payloads;          /* that were looked at; payloads: and could be read */
    uint64_t sealed, shredded;            /* payloads that could not */
};

/* FLAGVER_ENOMEM. */
int fv_comparison_init(struct fv_comparison *comparison, struct fv_crypto *crypto,
                       struct fv_replay *replay, struct fv_findings *findings, flagver_error *err);
void fv_comparison_clear(struct fv_comparison *comparison);

/*
 * Payloads are as they were before they were sealed; one whose key is not 0 is still sealed, and
 * only its other columns are looked at. Texts are borrowed for the call. FLAGVER_ENOMEM.
 */
int fv_compare_series(struct fv_comparison *comparison, const flagver_series_row *row,
                      flagver_error *err);
int fv_compare_version(struct fv_comparison *comparison, const flagver_version_row *row,
                       flagver_error *err);
int fv_compare_contributor(struct fv_comparison *comparison, const flagver_contributor_row *row,
                           flagver_error *err);
int fv_compare_item(struct fv_comparison *comparison, const flagver_item_row *row,
                    flagver_error *err);
int fv_compare_vote(struct fv_comparison *comparison, const flagver_vote_row *row,
                    flagver_error *err);

/* There are no more rows: what is missing? */
int fv_compare_end(struct fv_comparison *comparison, flagver_error *err);

#endif
