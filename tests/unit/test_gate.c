/* Gates: what a migration has shown, in bytes and in words, and which gates that opens. */
#include <math.h>

#include "flags.h"
#include "model/gate.h"

/* ---- Wilson's bound ---- */

/* Roots of (p - q)^2 = z^2 q (1 - q) / n, found by bisection. */
static const struct {
    uint64_t matched, compared;
    double bound;
} bounds[] = {
    { 1, 1, 0.206549314 },
    { 300, 300, 0.987357029 },
    { 5, 10, 0.236593091 },
    { 9, 10, 0.595849973 },
    { 95, 100, 0.888249531 },
    { 990, 1000, 0.981690531 },
    { 1, 100, 0.001767432 },
    { 381, 381, 0.990018074 },
    { 380, 380, 0.989992069 },
    { 999999, 1000000, 0.999994335 },
    { 1000000000, 1000000000, 0.999999996 },
};

START_TEST(the_lower_bound_is_that_of_wilson)
{
    double bound = fv_lower_bound(bounds[_i].matched, bounds[_i].compared);

    ck_assert_msg(fabs(bound - bounds[_i].bound) < 1e-8, "%.10f, not %.10f", bound,
                  bounds[_i].bound);
}
END_TEST

START_TEST(nothing_and_no_matches_have_a_bound_of_zero)
{
    ck_assert_double_eq(fv_lower_bound(0, 0), 0);
    for (uint64_t n = 1; n < UINT64_MAX / 10; n *= 10) {
        ck_assert_double_ge(fv_lower_bound(0, n), 0);
        ck_assert_double_lt(fv_lower_bound(0, n), 1e-9);
    }
}
END_TEST

START_TEST(the_lower_bound_rises_with_matches_and_with_samples_and_stays_below_the_rate)
{
    for (uint64_t n = 1; n <= 200; n++) {
        double before = -1;

        for (uint64_t k = 0; k <= n; k++) {
            double bound = fv_lower_bound(k, n);

            ck_assert_double_gt(bound, before);
            ck_assert_double_le(bound, (double)k / (double)n + 1e-15);
            if (k > 0)
                ck_assert_double_gt(fv_lower_bound(2 * k, 2 * n), bound);
            before = bound;
        }
    }
    ck_assert_double_le(fv_lower_bound(UINT64_MAX, UINT64_MAX), 1);
}
END_TEST

/* ---- bytes ---- */

static const struct fv_evidence some_evidence = {
    .authority = { FV_ROLE_AUTHORITY, FLAGVER_STAGE_RAMP, 2500, 9, 7, 12 },
    .believed = FV_OLD,
    .origin = FV_NEW,
    .since = INT64_C(1790000000000001),
    .whole_epoch = { 6, 7 },
    .verified_epoch = 8,
    .compared = 1000,
    .matched = 997
};

static void assert_same(const struct fv_evidence *a, const struct fv_evidence *b)
{
    ck_assert(fv_fence_equal(&a->authority, &b->authority));
    ck_assert_int_eq(a->believed, b->believed);
    ck_assert_int_eq(a->origin, b->origin);
    ck_assert_int_eq(a->no_origin, b->no_origin);
    ck_assert_int_eq(a->since, b->since);
    ck_assert_uint_eq(a->whole_epoch[FV_OLD], b->whole_epoch[FV_OLD]);
    ck_assert_uint_eq(a->whole_epoch[FV_NEW], b->whole_epoch[FV_NEW]);
    ck_assert_uint_eq(a->verified_epoch, b->verified_epoch);
    ck_assert_uint_eq(a->compared, b->compared);
    ck_assert_uint_eq(a->matched, b->matched);
}

START_TEST(evidence_is_what_it_was_when_it_is_read_again)
{
    struct fv_evidence evidence = some_evidence, again;
    uint8_t bytes[FV_EVIDENCE_BYTES];
    size_t length;

    evidence.believed = _i & 1 ? FV_NEW : FV_OLD;
    evidence.origin = _i & 2 ? FV_NEW : FV_OLD;
    evidence.no_origin = _i & 8;
    if (_i & 4) {
        evidence.since = INT64_MIN;
        evidence.whole_epoch[FV_OLD] = evidence.whole_epoch[FV_NEW] = UINT64_MAX;
        evidence.verified_epoch = UINT64_MAX;
        evidence.compared = evidence.matched = UINT64_MAX;
    }
    length = fv_evidence_encode(&evidence, bytes);
    ck_assert_uint_le(length, FV_EVIDENCE_BYTES);
    assert_ok(fv_evidence_decode(bytes, length, &again, &error));
    assert_same(&again, &evidence);
}
END_TEST

START_TEST(evidence_that_was_cut_off_is_none)
{
    struct fv_evidence untouched = some_evidence;
    uint8_t bytes[FV_EVIDENCE_BYTES];
    size_t length = fv_evidence_encode(&some_evidence, bytes);

    for (size_t cut = 0; cut < length; cut++) {
        /* A copy of its own, so that a look behind the end is seen. */
        uint8_t *copy = malloc(cut ? cut : 1);

        memcpy(copy, bytes, cut);
        assert_fails(FLAGVER_ECORRUPT, fv_evidence_decode(copy, cut, &untouched, &error));
        free(copy);
    }
    assert_same(&untouched, &some_evidence);
}
END_TEST

START_TEST(evidence_that_makes_no_sense_is_none)
{
    struct fv_evidence evidence = some_evidence, again;
    uint8_t bytes[FV_EVIDENCE_BYTES + 1] = { 0 };
    size_t length = fv_evidence_encode(&evidence, bytes);

    assert_fails(FLAGVER_ECORRUPT, fv_evidence_decode(bytes, length + 1, &again, &error));
    bytes[7] = 2; /* another form */
    assert_fails(FLAGVER_ECORRUPT, fv_evidence_decode(bytes, length, &again, &error));
    bytes[7] = 1;
    bytes[6] |= 8; /* a bit that nobody has set */
    assert_fails(FLAGVER_ECORRUPT, fv_evidence_decode(bytes, length, &again, &error));

    evidence.matched = evidence.compared + 1;
    length = fv_evidence_encode(&evidence, bytes);
    assert_fails(FLAGVER_ECORRUPT, fv_evidence_decode(bytes, length, &again, &error));
    evidence = some_evidence;
    evidence.authority = (struct fv_fence){ 0 };
    length = fv_evidence_encode(&evidence, bytes);
    assert_fails(FLAGVER_ECORRUPT, fv_evidence_decode(bytes, length, &again, &error));
}
END_TEST

/* ---- gates ---- */

#define ALL_GATES \
    (FV_GATE_WHOLE | FV_GATE_VERIFIED | FV_GATE_MATCHING | FV_GATE_REPAIRED | FV_GATE_SOAKED)

static const struct fv_gate_limits limits = { .match_rate = 0.99, .samples = 300, .soak = 1000 };

/* Both sides written since epoch 5, nothing shown yet. */
#define BARE .authority = { FV_ROLE_AUTHORITY, FLAGVER_STAGE_SHADOW, 0, 9, 5, 3 }, .since = 5000

/* Limits are met exactly, and then missed by the least that there is. */
static const struct {
    const char *label;
    struct fv_evidence evidence;
    int64_t now;
    uint32_t shut;
} gates[] = {
    { "nothing", { BARE }, 5000, ALL_GATES & ~FV_GATE_REPAIRED },
    { "copied in this period",
      { BARE, .whole_epoch = { 0, 5 } },
      5000,
      FV_GATE_VERIFIED | FV_GATE_MATCHING | FV_GATE_SOAKED },
    { "copied in the period before",
      { BARE, .whole_epoch = { 0, 4 } },
      5000,
      FV_GATE_WHOLE | FV_GATE_VERIFIED | FV_GATE_MATCHING | FV_GATE_SOAKED },
    { "who was the authority has it all",
      { BARE, .believed = FV_NEW, .origin = FV_OLD },
      5000,
      FV_GATE_VERIFIED | FV_GATE_MATCHING | FV_GATE_SOAKED },
    { "nobody knows who was the authority",
      { BARE, .believed = FV_NEW, .origin = FV_OLD, .no_origin = true },
      5000,
      ALL_GATES & ~FV_GATE_REPAIRED },
    { "equal since the same side is believed",
      { BARE, .verified_epoch = 9 },
      5000,
      FV_GATE_WHOLE | FV_GATE_MATCHING | FV_GATE_SOAKED },
    { "equal when the other side was believed",
      { BARE, .verified_epoch = 8 },
      5000,
      ALL_GATES & ~FV_GATE_REPAIRED },
    { "381 of 381 agree",
      { BARE, .compared = 381, .matched = 381 },
      5000,
      FV_GATE_WHOLE | FV_GATE_VERIFIED | FV_GATE_SOAKED },
    { "380 of 380: the rate may be below 99 %",
      { BARE, .compared = 380, .matched = 380 },
      5000,
      ALL_GATES & ~FV_GATE_REPAIRED },
    { "one of 500 does not agree",
      { BARE, .compared = 500, .matched = 499 },
      5000,
      ALL_GATES & ~FV_GATE_REPAIRED },
    { "as long as asked for", { BARE }, 6000, FV_GATE_WHOLE | FV_GATE_VERIFIED | FV_GATE_MATCHING },
    { "a moment too early", { BARE }, 5999, ALL_GATES & ~FV_GATE_REPAIRED },
    { "the clock went back", { BARE }, 0, ALL_GATES & ~FV_GATE_REPAIRED },
    { "one side is written: what was shown before is over",
      { .authority = { FV_ROLE_AUTHORITY, FLAGVER_STAGE_COMPLETE, 0, 9, 0, 3 },
        .believed = FV_NEW,
        .origin = FV_OLD,
        .whole_epoch = { 0, 9 },
        .verified_epoch = 9 },
      6000,
      FV_GATE_WHOLE | FV_GATE_VERIFIED | FV_GATE_MATCHING },
};

START_TEST(each_gate_opens_at_its_limit)
{
    uint32_t shut = fv_gates_shut(ALL_GATES, &gates[_i].evidence, &limits, gates[_i].now);

    ck_assert_msg(shut == gates[_i].shut, "%s: %u are shut, not %u", gates[_i].label, shut,
                  gates[_i].shut);
    for (uint32_t gate = 1; gate <= FV_GATE_SOAKED; gate <<= 1)
        ck_assert_uint_eq(fv_gates_shut(gate, &gates[_i].evidence, &limits, gates[_i].now),
                          shut & gate);
    ck_assert_uint_eq(fv_gates_shut(0, &gates[_i].evidence, &limits, gates[_i].now), 0);
}
END_TEST

/* ---- stages that have come ---- */

static const struct fv_fence alone = { FV_ROLE_AUTHORITY, FLAGVER_STAGE_OFF, 0, 1, 0, 1 };
static const struct fv_fence both = { FV_ROLE_AUTHORITY, FLAGVER_STAGE_SHADOW, 0, 2, 2, 2 };
static const struct fv_fence flipped = { FV_ROLE_AUTHORITY, FLAGVER_STAGE_LIVE, 0, 3, 2, 3 };

START_TEST(who_was_believed_alone_has_everything_in_the_period_that_follows)
{
    struct fv_evidence evidence = { 0 };

    fv_evidence_arrive(&evidence, FV_OLD, &alone, 10);
    ck_assert(!fv_evidence_whole(&evidence, FV_OLD));
    fv_evidence_arrive(&evidence, FV_OLD, &both, 20);
    ck_assert(fv_evidence_whole(&evidence, FV_OLD));
    ck_assert(!fv_evidence_whole(&evidence, FV_NEW));
    fv_evidence_arrive(&evidence, FV_NEW, &flipped, 30);
    ck_assert_int_eq(evidence.believed, FV_NEW);
    ck_assert(fv_evidence_whole(&evidence, FV_OLD));
    ck_assert(!fv_evidence_whole(&evidence, FV_NEW));
    ck_assert_int_eq(evidence.since, 30);
}
END_TEST

START_TEST(nobody_is_known_to_have_everything_where_a_flip_was_not_seen)
{
    struct fv_evidence seen = { 0 }, unseen = { 0 };

    fv_evidence_arrive(&seen, FV_OLD, &alone, 10);
    fv_evidence_arrive(&seen, FV_NEW, &flipped, 20);
    fv_evidence_arrive(&unseen, FV_NEW, &flipped, 20);
    for (int side = FV_OLD; side <= FV_NEW; side++) {
        ck_assert(!fv_evidence_whole(&seen, (enum fv_side)side));
        ck_assert(!fv_evidence_whole(&unseen, (enum fv_side)side));
    }
}
END_TEST

START_TEST(what_reads_have_shown_is_of_one_stage)
{
    struct fv_evidence evidence = { BARE, .compared = 7, .matched = 6 };
    struct fv_fence next = evidence.authority;

    next.version++;
    fv_evidence_arrive(&evidence, FV_OLD, &next, 6000);
    ck_assert_uint_eq(evidence.compared, 7);
    ck_assert_int_eq(evidence.since, 5000);
    next.version++;
    next.stage = FLAGVER_STAGE_RAMP;
    fv_evidence_arrive(&evidence, FV_OLD, &next, 7000);
    ck_assert_uint_eq(evidence.compared, 0);
    ck_assert_uint_eq(evidence.matched, 0);
    ck_assert_int_eq(evidence.since, 7000);
    fv_evidence_arrive(&evidence, FV_OLD, &next, 8000);
    ck_assert_int_eq(evidence.since, 7000);
}
END_TEST

START_TEST(samples_are_asked_for_beside_the_rate)
{
    const struct fv_gate_limits lax = { .match_rate = 0.1, .samples = 10 };
    struct fv_evidence evidence = { BARE, .compared = 9, .matched = 9 };

    ck_assert_uint_eq(fv_gates_shut(FV_GATE_MATCHING, &evidence, &lax, 0), FV_GATE_MATCHING);
    evidence.compared = 10;
    ck_assert_uint_eq(fv_gates_shut(FV_GATE_MATCHING, &evidence, &lax, 0), 0);
}
END_TEST

START_TEST(no_limits_ask_for_nothing)
{
    const struct fv_gate_limits none = { 0 };
    const struct fv_evidence evidence = { BARE };

    ck_assert_uint_eq(fv_gates_shut(FV_GATE_MATCHING | FV_GATE_SOAKED, &evidence, &none, 5000), 0);
}
END_TEST

START_TEST(the_first_gate_that_is_shut_says_what_it_asks_for)
{
    static const struct {
        uint32_t gates;
        const char *words;
    } cases[] = {
        { ALL_GATES, "not everything has been copied" },
        { FV_GATE_VERIFIED | FV_GATE_SOAKED, "since the new one is believed" },
        { FV_GATE_MATCHING | FV_GATE_SOAKED, "60 of 60 reads of both sides agree, so at least "
                                             "93.98 %; asked for are 300 reads and 99.00 %" },
        { FV_GATE_SOAKED, "in its stage for 3 s; asked for are 90" },
        { FV_GATE_REPAIRED, "waiting to be repaired" },
    };
    const struct fv_gate_limits long_soak = { .match_rate = 0.99,
                                              .samples = 300,
                                              .soak = 90000000 };
    const struct fv_evidence evidence = { BARE, .believed = FV_NEW, .compared = 60, .matched = 60 };
    const struct fv_evidence nothing = { BARE };
    struct fv_text words = FV_TEXT_INIT;

    fv_gate_words(&words, FV_GATE_MATCHING, &nothing, &long_soak, 3005000);
    ck_assert_ptr_nonnull(strstr(words.data, "no reads of both sides are known to be compared"));
    ck_assert_ptr_nonnull(strstr(words.data, "asked for are 300 reads and 99.00 %"));
    fv_text_reset(&words);
    for (int i = 0; i < COUNT(cases); i++) {
        fv_gate_words(&words, cases[i].gates, &evidence, &long_soak, 3005000);
        ck_assert_msg(strstr(words.data, cases[i].words), "\"%s\"", words.data);
        fv_text_reset(&words);
    }
    fv_text_clear(&words);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gates");
    TCase *tests = tcase_create("gates");

    tcase_add_loop_test(tests, the_lower_bound_is_that_of_wilson, 0, COUNT(bounds));
    tcase_add_test(tests, nothing_and_no_matches_have_a_bound_of_zero);
    tcase_add_test(tests,
                   the_lower_bound_rises_with_matches_and_with_samples_and_stays_below_the_rate);
    tcase_add_loop_test(tests, evidence_is_what_it_was_when_it_is_read_again, 0, 16);
    tcase_add_test(tests, evidence_that_was_cut_off_is_none);
    tcase_add_test(tests, evidence_that_makes_no_sense_is_none);
    tcase_add_loop_test(tests, each_gate_opens_at_its_limit, 0, COUNT(gates));
    tcase_add_test(tests, who_was_believed_alone_has_everything_in_the_period_that_follows);
    tcase_add_test(tests, nobody_is_known_to_have_everything_where_a_flip_was_not_seen);
    tcase_add_test(tests, what_reads_have_shown_is_of_one_stage);
    tcase_add_test(tests, samples_are_asked_for_beside_the_rate);
    tcase_add_test(tests, no_limits_ask_for_nothing);
    tcase_add_test(tests, the_first_gate_that_is_shut_says_what_it_asks_for);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
