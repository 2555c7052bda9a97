#include "model/gate.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "util/fail.h"

/* ---- bytes ---- */

#define FORM 1 /* of the bytes; what stands in its word beside it */
#define BELIEVED (1u << 8)
#define ORIGIN (1u << 9)
#define NO_ORIGIN (1u << 10)

static uint8_t *put(uint8_t *at, uint64_t number)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(number >> shift);
    return at;
}

static const uint8_t *get(const uint8_t *at, uint64_t *ret_number)
{
    *ret_number = 0;
    for (int i = 0; i < 8; i++)
        *ret_number = *ret_number << 8 | *at++;
    return at;
}

size_t fv_evidence_encode(const struct fv_evidence *evidence, uint8_t out[FV_EVIDENCE_BYTES])
{
    uint8_t *at = put(out, FORM | (evidence->believed == FV_NEW ? BELIEVED : 0) |
                               (evidence->origin == FV_NEW ? ORIGIN : 0) |
                               (evidence->no_origin ? NO_ORIGIN : 0));

    at = put(at, (uint64_t)evidence->since);
    at = put(at, evidence->whole_epoch[FV_OLD]);
    at = put(at, evidence->whole_epoch[FV_NEW]);
    at = put(at, evidence->verified_epoch);
    at = put(at, evidence->compared);
    at = put(at, evidence->matched);
    return (size_t)(at - out) + fv_fence_encode(&evidence->authority, at);
}

int fv_evidence_decode(const void *data, size_t length, struct fv_evidence *ret_evidence,
                       flagver_error *err)
{
    const uint8_t *at = data, *start = data;
    struct fv_evidence evidence;
    uint64_t form, since;
    int r;

    if (length < 7 * 8)
        return fv_fail(err, FLAGVER_ECORRUPT, "a migration's evidence is %zu bytes", length);
    at = get(at, &form);
    at = get(at, &since);
    at = get(at, &evidence.whole_epoch[FV_OLD]);
    at = get(at, &evidence.whole_epoch[FV_NEW]);
    at = get(at, &evidence.verified_epoch);
    at = get(at, &evidence.compared);
    at = get(at, &evidence.matched);
    evidence.since = (int64_t)since;
    evidence.believed = form & BELIEVED ? FV_NEW : FV_OLD;
    evidence.origin = form & ORIGIN ? FV_NEW : FV_OLD;
    evidence.no_origin = form & NO_ORIGIN;
    if ((form & ~(uint64_t)(BELIEVED | ORIGIN | NO_ORIGIN)) != FORM ||
        evidence.matched > evidence.compared)
        return fv_fail(err, FLAGVER_ECORRUPT, "a migration's evidence cannot be read");
    r = fv_fence_decode(at, length - (size_t)(at - start), &evidence.authority, err);
    if (r == 0)
        *ret_evidence = evidence;
    return r;
}

/* ---- stages that have come ---- */

/*
 * The origin of a period is who was believed alone before it. If somebody else was when that was noted last, the
 * flip may have come after both sides began to be written: then nobody knows.
 */
void fv_evidence_arrive(struct fv_evidence *evidence, enum fv_side believed,
                        const struct fv_fence *authority, int64_t now)
{
    const struct fv_fence *before = &evidence->authority;

    if (before->version == authority->version && fv_fence_equal(before, authority))
        return;
    if (before->stage != authority->stage) {
        evidence->since = now;
        evidence->compared = 0;
        evidence->matched = 0;
    }
    if (before->period != authority->period) {
        evidence->origin = believed;
        evidence->no_origin = believed != evidence->believed;
    }
    evidence->authority = *authority;
    evidence->believed = believed;
}

/* ---- gates ---- */

#define SECOND 1000000 /* in microseconds */

/* The quantile of the normal distribution below which 97.5 % lie. */
#define Z 1.959963984540054

double fv_lower_bound(uint64_t matched, uint64_t compared)
{
    double n = (double)compared, rate, centre, width;

    if (compared == 0)
        return 0;
    rate = (double)matched / n;
    centre = rate + Z * Z / (2 * n);
    width = Z * sqrt((rate * (1 - rate) + Z * Z / (4 * n)) / n);
    return fmax(0, (centre - width) / (1 + Z * Z / n));
}

bool fv_evidence_whole(const struct fv_evidence *evidence, enum fv_side side)
{
    return fv_fence_gate_holds(&evidence->authority, evidence->whole_epoch[side]) ||
           (evidence->authority.period != 0 && !evidence->no_origin && side == evidence->origin);
}

bool fv_evidence_verified(const struct fv_evidence *evidence)
{
    return fv_fence_is_current(&evidence->authority, evidence->verified_epoch);
}

uint32_t fv_gates_shut(uint32_t gates, const struct fv_evidence *evidence,
                       const struct fv_gate_limits *limits, int64_t now)
{
    uint32_t open = FV_GATE_REPAIRED;

    if (fv_evidence_whole(evidence, fv_side_other(evidence->believed)))
        open |= FV_GATE_WHOLE;
    if (fv_evidence_verified(evidence))
        open |= FV_GATE_VERIFIED;
    if (evidence->compared >= limits->samples &&
        fv_lower_bound(evidence->matched, evidence->compared) >= limits->match_rate)
        open |= FV_GATE_MATCHING;
    if (now - evidence->since >= limits->soak)
        open |= FV_GATE_SOAKED;
    return gates & ~open;
}

void fv_gate_words(struct fv_text *out, uint32_t gates, const struct fv_evidence *evidence,
                   const struct fv_gate_limits *limits, int64_t now)
{
    if (gates & FV_GATE_WHOLE)
        fv_text_add(out, "not everything has been copied: routes that take steps do that, where "
                         "the side that is believed has a scan");
    else if (gates & FV_GATE_VERIFIED)
        fv_text_format(out,
                       "the sides have not been found equal since the %s one is believed: compare "
                       "them by options.verify or flagver_route_verify()",
                       evidence->believed == FV_NEW ? "new" : "old");
    else if (gates & FV_GATE_MATCHING && evidence->compared == 0)
        fv_text_format(out,
                       "no reads of both sides are known to be compared in this stage: that takes "
                       "options.compare, and steps; asked for are %" PRIu64 " reads and %.2f %%",
                       limits->samples, limits->match_rate * 100);
    else if (gates & FV_GATE_MATCHING)
        fv_text_format(out,
                       "%" PRIu64 " of %" PRIu64 " reads of both sides agree, so at least %.2f %%; "
                       "asked for are %" PRIu64 " reads and %.2f %%",
                       evidence->matched, evidence->compared,
                       fv_lower_bound(evidence->matched, evidence->compared) * 100, limits->samples,
                       limits->match_rate * 100);
    else if (gates & FV_GATE_SOAKED)
        fv_text_format(out, "it has been in its stage for %" PRId64 " s; asked for are %" PRId64,
                       (now - evidence->since) / SECOND, limits->soak / SECOND);
    else
        fv_text_add(out, "keys are waiting to be repaired");
}
