/*
 * Schedules against the definition of them, computed without any care for size.
 */
#include "flags.h"
#include "seed.h"

#include "model/schedule.h"

/* ---- numbers of any size ---- */

/* A whole number of 192 bits, lowest word first, in 32-bit words: for one product and one quotient. */
struct big {
    uint32_t words[6];
};

static struct big big_of(uint64_t number)
{
    return (struct big){ { (uint32_t)number, (uint32_t)(number >> 32) } };
}

static struct big big_times(const struct big *a, uint32_t factor)
{
    struct big product = { { 0 } };
    uint64_t carry = 0;
    int i;

    for (i = 0; i < 6; i++) {
        carry += (uint64_t)a->words[i] * factor;
        product.words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return product;
}

static struct big big_plus(const struct big *a, const struct big *b)
{
    struct big sum;
    uint64_t carry = 0;
    int i;

    for (i = 0; i < 6; i++) {
        carry += (uint64_t)a->words[i] + b->words[i];
        sum.words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return sum;
}

static bool big_at_most(const struct big *a, const struct big *b)
{
    int i;

    for (i = 5; i >= 0; i--)
        if (a->words[i] != b->words[i])
            return a->words[i] < b->words[i];
    return true;
}

/*
 * floor((from × (whole - elapsed) + to × elapsed) / whole): the point between
 * two steps, without a subtraction. The largest q with q × whole at most that.
 */
static uint32_t between(uint32_t from, uint32_t to, uint64_t elapsed, uint64_t whole)
{
    struct big left = big_of(whole - elapsed), right = big_of(elapsed), divisor = big_of(whole);
    struct big sum, product;
    uint32_t low = 0, high = FV_SCALE, middle;

    left = big_times(&left, from);
    right = big_times(&right, to);
    sum = big_plus(&left, &right);
    while (low < high) {
        middle = low + (high - low + 1) / 2;
        product = big_times(&divisor, middle);
        if (big_at_most(&product, &sum))
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static uint32_t threshold_of(const struct fv_schedule *schedule, int64_t now)
{
    const struct fv_schedule_step *steps = schedule->steps;
    size_t i;

    if (now < steps[0].at)
        return 0;
    for (i = 0; i + 1 < schedule->count && now >= steps[i + 1].at; i++)
        ;
    if (!schedule->linear || i + 1 == schedule->count)
        return steps[i].threshold;
    return between(steps[i].threshold, steps[i + 1].threshold,
                   (uint64_t)now - (uint64_t)steps[i].at,
                   (uint64_t)steps[i + 1].at - (uint64_t)steps[i].at);
}

/* ---- random schedules ---- */

#define MOST_STEPS 6

/* Within this many bits around 2026, so that steps lie near and far from each other. */
static int64_t random_time(struct seed *seed, uint32_t bits)
{
    uint64_t mask = (UINT64_C(1) << bits) - 1;

    return INT64_C(1767225600000) + (int64_t)(seed_next(seed) & mask) - (int64_t)(mask / 2);
}

static int compare_steps(const void *a, const void *b)
{
    const struct fv_schedule_step *left = a, *right = b;

    return (left->at > right->at) - (left->at < right->at);
}

static size_t random_steps(struct seed *seed, uint32_t bits,
                           struct fv_schedule_step steps[MOST_STEPS])
{
    static const uint32_t usual[] = { 0, 1, 10000, 25000, 50000, 75000, 99999, 100000 };
    size_t count = 1 + seed_below(seed, MOST_STEPS), used = 1, i;

    for (i = 0; i < count; i++) {
        steps[i].at = random_time(seed, bits);
        steps[i].threshold = seed_below(seed, 2) ? usual[seed_below(seed, COUNT(usual))]
                                                 : seed_below(seed, FV_SCALE + 1);
    }
    qsort(steps, count, sizeof *steps, compare_steps);
    for (i = 1; i < count; i++)
        if (steps[i].at != steps[used - 1].at)
            steps[used++] = steps[i];
    return used;
}

/* Any time, or one beside a step. */
static int64_t random_moment(struct seed *seed, uint32_t bits, const struct fv_schedule *schedule)
{
    if (seed_below(seed, 2))
        return random_time(seed, bits);
    return schedule->steps[seed_below(seed, (uint32_t)schedule->count)].at +
           (int64_t)seed_below(seed, 3) - 1;
}

START_TEST(a_threshold_is_what_the_definition_says)
{
    static const uint32_t sizes[] = { 3, 8, 20, 33, 40, 48, 62 };
    struct seed seed = seed_new((uint64_t)_i);
    struct fv_schedule_step steps[MOST_STEPS];
    struct fv_schedule schedule = { .steps = steps };
    uint32_t threshold, expected;
    int64_t now;
    int i, j;

    for (i = 0; i < 5000; i++) {
        schedule.count = random_steps(&seed, sizes[_i], steps);
        for (j = 0; j < 10; j++) {
            now = random_moment(&seed, sizes[_i], &schedule);
            schedule.linear = j % 4 != 0;
            threshold = fv_schedule_threshold(&schedule, now);
            expected = threshold_of(&schedule, now);
            must(threshold == expected, "schedule %d at %" PRId64 ": %u, not %u", i, now, threshold,
                 expected);
        }
    }
}
END_TEST

START_TEST(a_rising_schedule_never_lets_anybody_drop_out)
{
    struct seed seed = seed_new(100 + (uint64_t)_i);
    struct fv_schedule_step steps[MOST_STEPS];
    struct fv_schedule schedule = { .steps = steps, .linear = true };
    uint32_t before, threshold;
    int64_t now;
    size_t step;
    int i, j;

    for (i = 0; i < 300; i++) {
        schedule.count = random_steps(&seed, 12, steps);
        for (step = 1; step < schedule.count; step++)
            if (steps[step].threshold < steps[step - 1].threshold)
                steps[step].threshold = steps[step - 1].threshold;
        for (j = 0, before = 0, now = steps[0].at - 3; j < 4200; j++, before = threshold) {
            threshold = fv_schedule_threshold(&schedule, now++);
            must(threshold >= before, "schedule %d falls from %u to %u", i, before, threshold);
        }
    }
}
END_TEST

/* ---- the same through definitions ---- */

static void add_schedule(struct fv_text *text, const struct fv_schedule *schedule)
{
    char at[FV_DATETIME_SIZE];
    size_t i;

    fv_text_format(text,
                   "{'flags': {'f': {'type': 'boolean', 'schedule': {'interpolate': '%s', "
                   "'steps': [",
                   schedule->linear ? "linear" : "step");
    for (i = 0; i < schedule->count; i++) {
        fv_datetime_format(schedule->steps[i].at, at);
        fv_text_format(text, "%s{'at': '%s', 'percentage': %u.%03u}", i ? ", " : "", at,
                       schedule->steps[i].threshold / 1000, schedule->steps[i].threshold % 1000);
    }
    fv_text_add(text, "]}}}}");
}

START_TEST(a_flag_follows_its_schedule)
{
    struct seed seed = seed_new(200);
    struct fv_schedule_step steps[MOST_STEPS];
    struct fv_schedule schedule = { .steps = steps };
    struct fv_text text = FV_TEXT_INIT;
    flagver_context *context = flagver_context_new(NULL);
    flagver_detail detail = { .size = sizeof detail };
    flagver_client *client;
    uint32_t expected;
    int64_t now = 0;
    char user[24];
    int i, j;

    for (i = 0; i < 400; i++) {
        schedule.count = random_steps(&seed, 36, steps);
        schedule.linear = i % 2;
        fv_text_reset(&text);
        add_schedule(&text, &schedule);
        client = client_of(text.data, &now);
        for (j = 0; j < 50; j++) {
            now = random_moment(&seed, 36, &schedule);
            expected = threshold_of(&schedule, now);
            snprintf(user, sizeof user, "user%u", seed_below(&seed, 1000000));
            flagver_context_set_key(context, user, strlen(user));
            must(flagver_flag_evaluate(client, "f", 1, context, FLAGVER_TYPE_BOOL, &detail) == 0,
                 "an error");
            if (expected == 0 || expected == FV_SCALE)
                must(detail.bucket == -1 && detail.reason == FLAGVER_REASON_DEFAULT &&
                         detail.value.boolean == (expected != 0),
                     "%s at %" PRId64, text.data, now);
            else
                must(detail.reason == FLAGVER_REASON_SPLIT &&
                         detail.value.boolean == ((uint32_t)detail.bucket < expected),
                     "%s at %" PRId64 ": bucket %d, threshold %u", text.data, now,
                     (int)detail.bucket, expected);
        }
        flagver_close(client);
    }
    flagver_context_free(context);
    fv_text_clear(&text);
}
END_TEST

static Suite *schedule_suite(void)
{
    Suite *suite = suite_create("schedules");
    TCase *tcase = tcase_create("schedules");

    tcase_add_loop_test(tcase, a_threshold_is_what_the_definition_says, 0, 7);
    tcase_add_test(tcase, a_rising_schedule_never_lets_anybody_drop_out);
    tcase_add_test(tcase, a_flag_follows_its_schedule);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(schedule_suite());
}
