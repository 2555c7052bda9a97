/*
 * What a rollout promises: nobody who is in drops out while it rises, and as
 * many are in as it says.
 */
#include "flags.h"
#include "seed.h"

#define RAMP_USERS 100000
#define SHARE_USERS 1000000

/* Users as they come in practice: counted names, and random ones. */
static void name_user(char out[24], uint64_t salt, int number)
{
    if (number % 2)
        snprintf(out, 24, "user%d", number);
    else
        snprintf(out, 24, "%016" PRIx64, ((uint64_t)number * 2 + 1) * (salt | 1));
}

static void set_user(flagver_context *context, uint64_t salt, int number)
{
    char name[24];
    int r;

    name_user(name, salt, number);
    r = flagver_context_set_key(context, name, strlen(name));
    must(r == 0, "no memory");
}

/* ---- ramps ---- */

struct ramp {
    const char *words; /* how to bucket */
    int step;          /* thousandths of a percent */
};

static const struct ramp ramps[] = {
    { "'salt': 'ramp'", 500 },
    { "'bucketing': 'md5-mod100'", 1000 },
};

/* Asks for all users; returns how many are in. Whoever was in must still be. */
static int ask_all(const flagver_bound *bound, flagver_context *context, char (*names)[24],
                   bool *in, int threshold)
{
    int user, count = 0;
    bool now;

    for (user = 0; user < RAMP_USERS; user++) {
        flagver_context_set_key(context, names[user], strlen(names[user]));
        now = flagver_bound_bool(bound, context, !in[user]);
        must(now || !in[user], "%s drops out at %d/1000 %%", names[user], threshold);
        in[user] = now;
        count += now;
    }
    return count;
}

/* The client's flag is merged anew with each step, as in production. */
START_TEST(nobody_drops_out_while_a_rollout_rises)
{
    const struct ramp *ramp = &ramps[_i];
    struct seed seed = seed_new((uint64_t)_i);
    uint64_t salt = seed_next(&seed);
    flagver_context *context = flagver_context_new(NULL);
    flagver_client *client = client_of("{}", NULL);
    char(*names)[24] = malloc(RAMP_USERS * sizeof *names);
    bool *in = calloc(RAMP_USERS, sizeof *in);
    struct fv_text text = FV_TEXT_INIT;
    const flagver_bound *bound;
    int threshold, user, count;

    ck_assert(in && names);
    for (user = 0; user < RAMP_USERS; user++)
        name_user(names[user], salt, user);
    assert_ok(flagver_flag_bind(client, "f", &bound, &error));
    for (threshold = 0; threshold <= 100000; threshold += ramp->step) {
        fv_text_reset(&text);
        fv_text_format(&text, "{'flags': {'f': {'type': 'boolean', 'percentage': %d.%03d, %s}}}",
                       threshold / 1000, threshold % 1000, ramp->words);
        assert_ok(merge_into(client, text.data));
        count = ask_all(bound, context, names, in, threshold);
        ck_assert_msg(count * 100 > (threshold - 1000) * (RAMP_USERS / 1000) &&
                          count * 100 < (threshold + 1000) * (RAMP_USERS / 1000),
                      "%d are in at %d/1000 %%", count, threshold);
    }
    ck_assert_int_eq(count, RAMP_USERS);
    free(names);
    free(in);
    flagver_context_free(context);
    flagver_close(client);
    fv_text_clear(&text);
}
END_TEST

/* All steps of the ramp at once: each user's answers are no, no, …, yes, yes. */
START_TEST(a_users_answers_change_once)
{
    const struct ramp *ramp = &ramps[_i];
    struct seed seed = seed_new(10 + (uint64_t)_i);
    uint64_t salt = seed_next(&seed);
    flagver_context *context = flagver_context_new(NULL);
    struct fv_text text = FV_TEXT_INIT;
    flagver_detail detail = { .size = sizeof detail };
    const flagver_bound *bounds[201];
    flagver_client *client;
    bool in;
    int i, user;
    char key[16];

    fv_text_add(&text, "{'flags': {");
    for (i = 0; i <= 200; i++)
        fv_text_format(&text, "%s'p%d': {'type': 'boolean', 'percentage': %d.%d, %s}",
                       i ? ", " : "", i, i / 2, i % 2 * 5, ramp->words);
    fv_text_add(&text, "}}");
    client = client_of(text.data, NULL);
    for (i = 0; i <= 200; i++) {
        snprintf(key, sizeof key, "p%d", i);
        assert_ok(flagver_flag_bind(client, key, &bounds[i], &error));
    }

    for (user = 0; user < RAMP_USERS / 10; user++) {
        set_user(context, salt, user);
        must(flagver_bound_evaluate(bounds[100], context, 0, &detail) == 0, "an error");
        for (i = 0; i <= 200; i++) {
            in = flagver_bound_bool(bounds[i], context, false);
            must(in == (_i ? detail.bucket * 2 < i : detail.bucket < i * 500),
                 "user %d of bucket %d at %d/2 %%", user, (int)detail.bucket, i);
        }
    }
    flagver_context_free(context);
    flagver_close(client);
    fv_text_clear(&text);
}
END_TEST

/* ---- thousandths ---- */

/* Each user is out at the percentage that is its bucket, and in a thousandth above. */
START_TEST(every_thousandth_of_a_percent_counts)
{
    enum { USERS = 10000 };
    struct seed seed = seed_new(20);
    uint64_t salt = seed_next(&seed);
    flagver_client *client = client_of(
        "{'flags': {'half': {'type': 'boolean', 'percentage': 50, 'salt': 'x'}}}", NULL);
    flagver_context *context = flagver_context_new(NULL);
    flagver_detail detail = { .size = sizeof detail };
    int32_t *buckets = malloc(USERS * sizeof *buckets);
    struct fv_text text = FV_TEXT_INIT;
    char key[16];
    int user;

    ck_assert_ptr_nonnull(buckets);
    fv_text_add(&text, "{'flags': {'z': {'type': 'boolean'}");
    for (user = 0; user < USERS; user++) {
        set_user(context, salt, user);
        must(flagver_flag_evaluate(client, "half", 4, context, 0, &detail) == 0, "an error");
        buckets[user] = detail.bucket;
        fv_text_format(&text,
                       ", 'a%d': {'type': 'boolean', 'percentage': %d.%03d, 'salt': 'x'}"
                       ", 'b%d': {'type': 'boolean', 'percentage': %d.%03d, 'salt': 'x'}",
                       user, (int)detail.bucket / 1000, (int)detail.bucket % 1000, user,
                       (int)(detail.bucket + 1) / 1000, (int)(detail.bucket + 1) % 1000);
    }
    fv_text_add(&text, "}}");
    assert_ok(load_into(client, text.data));

    for (user = 0; user < USERS; user++) {
        set_user(context, salt, user);
        snprintf(key, sizeof key, "a%d", user);
        must(!flagver_flag_bool(client, key, context, true), "bucket %d is in", (int)buckets[user]);
        key[0] = 'b';
        must(flagver_flag_bool(client, key, context, false), "bucket %d is out",
             (int)buckets[user]);
    }
    free(buckets);
    flagver_context_free(context);
    flagver_close(client);
    fv_text_clear(&text);
}
END_TEST

/* ---- shares ---- */

struct share {
    const char *words;
    double expected; /* of 100 */
};

static const struct share shares[] = {
    { "'percentage': 0.5", 0.5 },
    { "'percentage': 10, 'salt': ''", 10 },
    { "'percentage': 25, 'salt': 's1'", 25 },
    { "'percentage': 50, 'salt': 'checkout'", 50 },
    { "'percentage': 99, 'salt': 'größe'", 99 },
    { "'percentage': 25, 'bucketing': 'md5-mod100'", 25 },
    { "'split': {'on': 1, 'off': 2}", 33.333 },
};

START_TEST(as_many_are_in_as_the_percentage_says)
{
    const struct share *share = &shares[_i];
    struct seed seed = seed_new(30 + (uint64_t)_i);
    uint64_t salt = seed_next(&seed);
    flagver_context *context = flagver_context_new(NULL);
    struct fv_text text = FV_TEXT_INIT;
    const flagver_bound *bound;
    flagver_client *client;
    int user, in = 0;
    double found;

    fv_text_format(&text, "{'flags': {'f': {'type': 'boolean', %s}}}", share->words);
    client = client_of(text.data, NULL);
    assert_ok(flagver_flag_bind(client, "f", &bound, &error));
    for (user = 0; user < SHARE_USERS; user++) {
        set_user(context, salt, user);
        in += flagver_bound_bool(bound, context, false);
    }
    found = in * 100.0 / SHARE_USERS;
    ck_assert_msg(found > share->expected - 0.5 && found < share->expected + 0.5,
                  "%s: %g %% are in", share->words, found);
    flagver_context_free(context);
    flagver_close(client);
    fv_text_clear(&text);
}
END_TEST

START_TEST(a_split_gives_each_variant_its_share)
{
    static const double weights[] = { 1, 9, 0, 40, 350, 600 };
    struct seed seed = seed_new(40);
    uint64_t salt = seed_next(&seed);
    flagver_context *context = flagver_context_new(NULL);
    int counts[COUNT(weights)] = { 0 }, user, i;
    const flagver_bound *bound;
    flagver_client *client = client_of(
        "{'flags': {'f': {'type': 'integer', 'default': 'a', 'variants': {'a': 0, 'b': 1, 'c': 2, "
        "'d': 3, 'e': 4, 'f': 5}, 'split': {'f': 600, 'e': 350, 'd': 40, 'c': 0, 'b': 9, "
        "'a': 1}}}}",
        NULL);
    double found;

    assert_ok(flagver_flag_bind(client, "f", &bound, &error));
    for (user = 0; user < SHARE_USERS; user++) {
        set_user(context, salt, user);
        i = (int)flagver_bound_int(bound, context, -1);
        must(i >= 0 && i < COUNT(weights), "variant %d", i);
        counts[i]++;
    }
    for (i = 0; i < COUNT(weights); i++) {
        found = counts[i] * 100.0 / SHARE_USERS;
        ck_assert_msg(found > weights[i] / 10 - 0.5 && found < weights[i] / 10 + 0.5,
                      "variant %d: %g %%", i, found);
    }
    ck_assert_int_eq(counts[2], 0);
    ck_assert_int_gt(counts[0], 0);
    flagver_context_free(context);
    flagver_close(client);
}
END_TEST

/* Of two halves by different salts a quarter is in both; by one salt the same half is. */
START_TEST(salts_make_rollouts_independent)
{
    enum { USERS = 200000 };
    struct seed seed = seed_new(50);
    uint64_t salt = seed_next(&seed);
    flagver_context *context = flagver_context_new(NULL);
    flagver_client *client = client_of("{'flags': {'a': {'type': 'boolean', 'percentage': 50}, "
                                       "'b': {'type': 'boolean', 'percentage': 50}, "
                                       "'c': {'type': 'boolean', 'percentage': 50, 'salt': 'a'}}}",
                                       NULL);
    int user, both = 0;
    bool a, b;

    for (user = 0; user < USERS; user++) {
        set_user(context, salt, user);
        a = flagver_flag_bool(client, "a", context, false);
        b = flagver_flag_bool(client, "b", context, false);
        both += a && b;
        must(flagver_flag_bool(client, "c", context, !a) == a, "user %d", user);
    }
    ck_assert_msg(both > USERS * 0.245 && both < USERS * 0.255, "%d of %d are in both", both,
                  USERS);
    flagver_context_free(context);
    flagver_close(client);
}
END_TEST

static Suite *rollout_suite(void)
{
    Suite *suite = suite_create("rollout");
    TCase *tcase = tcase_create("rollout");

    tcase_add_loop_test(tcase, nobody_drops_out_while_a_rollout_rises, 0, COUNT(ramps));
    tcase_add_loop_test(tcase, a_users_answers_change_once, 0, COUNT(ramps));
    tcase_add_test(tcase, every_thousandth_of_a_percent_counts);
    tcase_add_loop_test(tcase, as_many_are_in_as_the_percentage_says, 0, COUNT(shares));
    tcase_add_test(tcase, a_split_gives_each_variant_its_share);
    tcase_add_test(tcase, salts_make_rollouts_independent);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(rollout_suite());
}
