/*
 * Gates: what a migration has shown so far, and whether that is enough to go on.
 */
#ifndef FV_MODEL_GATE_H
#define FV_MODEL_GATE_H

#include "model/route.h"
#include "util/text.h"

/*
 * What is known of a migration, as of the last look. `believed` is the authority, and `authority` its
 * fence; `origin` was the authority when both sides began to be written, so it has everything all the
 * same. whole_epoch is of each side: an epoch in which it was found to have everything that the other
 * one had; verified_epoch, one in which they were found equal, and not to differ after that. 0: never.
 * Times are microseconds since the epoch.
 */
struct fv_evidence {
    struct fv_fence authority;
    enum fv_side believed, origin;
    bool no_origin; /* it is not known */
    int64_t since;  /* it is in its stage */
    uint64_t whole_epoch[2], verified_epoch;
    uint64_t compared, matched; /* shadow reads in this stage */
};

#define FV_EVIDENCE_BYTES (8 + 6 * 8 + FV_FENCE_BYTES)

size_t fv_evidence_encode(const struct fv_evidence *evidence, uint8_t out[FV_EVIDENCE_BYTES]);

/* FLAGVER_ECORRUPT: the bytes are no evidence. */
int fv_evidence_decode(const void *data, size_t length, struct fv_evidence *ret_evidence,
                       flagver_error *err);

/* The side `believed` is it now, by this fence. */
void fv_evidence_arrive(struct fv_evidence *evidence, enum fv_side believed,
                        const struct fv_fence *authority, int64_t now);

/* Has this side everything? */
bool fv_evidence_whole(const struct fv_evidence *evidence, enum fv_side side);

/* Were both sides found equal since the one that is believed has been? */
bool fv_evidence_verified(const struct fv_evidence *evidence);

/* What a migration asks for. */
struct fv_gate_limits {
    double match_rate; /* 0 … 1: the lower bound of the rate of shadow reads that agree */
    uint64_t samples;  /* at least so many of them */
    int64_t soak;      /* microseconds */
};

/* Those of `gates` that are shut; the backlog is not known here, so FV_GATE_REPAIRED never is. */
uint32_t fv_gates_shut(uint32_t gates, const struct fv_evidence *evidence,
                       const struct fv_gate_limits *limits, int64_t now);

/* What the first of these gates, which are shut, asks for, and what there is instead. */
void fv_gate_words(struct fv_text *out, uint32_t gates, const struct fv_evidence *evidence,
                   const struct fv_gate_limits *limits, int64_t now);

/*
 * The lower end of the interval that the true rate lies in with 95 % probability, by Wilson's
 * score (E. B. Wilson 1927); 0 for no samples.
 */
double fv_lower_bound(uint64_t matched, uint64_t compared);

#endif
