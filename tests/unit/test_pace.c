/* How large chunks of a copy are, how long it rests, and what is told of its headway. */
#include "flags.h"
#include "model/pace.h"

#define MS 1000

/* ---- chunks ---- */

static const struct {
    int64_t chunk;
    uint32_t asked;
    uint64_t found;
    int64_t took;
    uint32_t next;
} chunks[] = {
    { 100 * MS, 500, 500, 100 * MS, 500 },  /* as it should be */
    { 100 * MS, 500, 500, 200 * MS, 250 },  /* too slow */
    { 100 * MS, 500, 500, 50000 * MS, 1 },  /* at once, not by halves */
    { 100 * MS, 500, 500, 80 * MS, 625 },   /* faster */
    { 100 * MS, 500, 500, 1 * MS, 1000 },   /* twice as many at most */
    { 100 * MS, 500, 500, 0, 1000 },        /* too fast for the clock */
    { 100 * MS, 4000, 4000, 1 * MS, 5000 }, /* there is an end to it */
    { 100 * MS, 5000, 5000, 1 * MS, 5000 },
    { 100 * MS, 1, 1, 1 * MS, 2 },
    { 100 * MS, 1, 1, 900 * MS, 1 },
    { 100 * MS, 500, 3, 2 * MS, 500 },     /* the table's end says nothing of a full chunk */
    { 100 * MS, 500, 3, 300 * MS, 1 },     /* unless it is slow all the same */
    { 100 * MS, 500, 0, 300 * MS, 1 },     /* nothing was found, slowly */
    { 100 * MS, 500, 800, 100 * MS, 800 }, /* a side that gives more than it is asked for */
    { 500 * MS, 500, 500, 100 * MS, 1000 },
};

START_TEST(the_next_chunk_takes_about_as_long_as_it_should)
{
    const struct fv_pace pace = { chunks[_i].chunk, 100 };

    ck_assert_uint_eq(fv_pace_rows(&pace, chunks[_i].asked, chunks[_i].found, chunks[_i].took),
                      chunks[_i].next);
}
END_TEST

START_TEST(after_failures_a_record_is_alone_in_the_end)
{
    uint32_t rows = 500;

    for (int i = 0; i < 9; i++) {
        ck_assert_uint_lt(fv_pace_fewer(rows), rows);
        rows = fv_pace_fewer(rows);
        if (rows == 1)
            break;
    }
    ck_assert_uint_eq(rows, 1);
    ck_assert_uint_eq(fv_pace_fewer(1), 1);
}
END_TEST

static const struct {
    int share;
    int64_t took, rest;
} rests[] = {
    { 100, 80 * MS, 0 },
    { 50, 80 * MS, 80 * MS },
    { 25, 80 * MS, 240 * MS },
    { 1, 10 * MS, 990 * MS },
    { 10, 0, 0 },
};

START_TEST(it_rests_for_as_long_as_its_share_of_the_time_asks_for)
{
    const struct fv_pace pace = { 100 * MS, rests[_i].share };

    ck_assert_int_eq(fv_pace_rest(&pace, rests[_i].took), rests[_i].rest);
}
END_TEST

/* ---- headway ---- */

#define SECOND 1000000

START_TEST(the_rate_is_that_of_the_last_seconds)
{
    struct fv_headway headway = fv_headway_begin(SECOND);
    int64_t now = SECOND;

    ck_assert_double_eq(fv_headway_rate(&headway, now), 0);
    for (int i = 0; i < 100; i++) /* 100 a second */
        fv_headway_add(&headway, 100, now += SECOND);
    ck_assert_double_eq_tol(fv_headway_rate(&headway, now), 100, 1e-9);
    for (int i = 0; i < 30; i++) /* then 10 */
        fv_headway_add(&headway, 10, now += SECOND);
    ck_assert_double_eq_tol(fv_headway_rate(&headway, now), 10, 1e-9);
    ck_assert_double_lt(fv_headway_rate(&headway, now + 100 * SECOND), 2);

    headway.done = true; /* of the whole copy */
    ck_assert_double_eq_tol(fv_headway_rate(&headway, now + 100 * SECOND), 10300 / 130.0, 1e-9);
}
END_TEST

START_TEST(what_is_left_is_known_when_the_whole_is)
{
    struct fv_headway headway = fv_headway_begin(0);

    fv_headway_add(&headway, 100, SECOND);
    ck_assert_int_eq(fv_headway_left(&headway, SECOND), -1);
    headway.total = 400;
    ck_assert_int_eq(fv_headway_left(&headway, SECOND), 3 * SECOND);
    headway.total = 50; /* an estimate */
    ck_assert_int_eq(fv_headway_left(&headway, SECOND), 0);
    headway.done = true;
    headway.total = 0;
    ck_assert_int_eq(fv_headway_left(&headway, SECOND), 0);
}
END_TEST

START_TEST(before_the_first_record_nothing_is_known)
{
    struct fv_headway headway = fv_headway_begin(7);

    headway.total = 10;
    ck_assert_int_eq(fv_headway_left(&headway, 7), -1);
    ck_assert_int_eq(fv_headway_left(&headway, SECOND), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pace");
    TCase *tcase = tcase_create("pace");

    tcase_add_loop_test(tcase, the_next_chunk_takes_about_as_long_as_it_should, 0, COUNT(chunks));
    tcase_add_test(tcase, after_failures_a_record_is_alone_in_the_end);
    tcase_add_loop_test(tcase, it_rests_for_as_long_as_its_share_of_the_time_asks_for, 0,
                        COUNT(rests));
    tcase_add_test(tcase, the_rate_is_that_of_the_last_seconds);
    tcase_add_test(tcase, what_is_left_is_known_when_the_whole_is);
    tcase_add_test(tcase, before_the_first_record_nothing_is_known);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
