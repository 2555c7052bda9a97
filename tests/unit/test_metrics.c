/*
 * Metrics of a store, against an oracle that looks at every version once for each group.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "records.h"

#include "flagver/metric.h"
#include "seed.h"

#define MANY 400

/* ---- what there is, by the histories ---- */

static struct seen {
    char phase[32], subject[32];
    int32_t state;
    bool emergency;
    int64_t created_at, submitted_at, decided_at;
} seen[MANY];
static size_t seen_count;

static bool see(void *data, const flagver_version *version)
{
    struct seen *one = &seen[seen_count++];

    (void)data;
    ck_assert_uint_lt(seen_count, MANY);
    snprintf(one->phase, sizeof one->phase, "%s", version->phase);
    snprintf(one->subject, sizeof one->subject, "%s", version->subject);
    one->state = version->state;
    one->emergency = version->emergency;
    one->created_at = version->created_at;
    one->submitted_at = version->submitted_at;
    one->decided_at = version->decided_at;
    return true;
}

static const char *const subjects[] = { "a", "a/x", "a/y", "a/y/z", "a!", "b/x", "ab" };
static const char *const phases[] = { FLAGVER_PHASE_FLAG, FLAGVER_PHASE_SEGMENT };

#define SUBJECTS (sizeof subjects / sizeof subjects[0])

static void see_all(flagver_client *client)
{
    size_t i, phase;

    seen_count = 0;
    for (phase = 0; phase < 2; phase++)
        for (i = 0; i < SUBJECTS; i++)
            assert_ok(flagver_version_history(client, phases[phase], subjects[i], NULL, see, NULL,
                                              &error));
}

/* ---- the oracle ---- */

static bool begins(const char *subject, const char *prefix)
{
    size_t length = prefix ? strlen(prefix) : 0;

    return strncmp(subject, prefix ? prefix : "", length) == 0 &&
           (length == 0 || prefix[length - 1] == '/' || strchr("/", subject[length]));
}

/* Is the group's subject what the first parts of this one are? */
static bool is_of(const char *subject, const char *of, int32_t parts)
{
    size_t length = strlen(of);
    int32_t slashes = 0;
    size_t i;

    for (i = 0; i < length; i++)
        slashes += of[i] == '/';
    if (parts == 0)
        return length == 0;
    return strncmp(subject, of, length) == 0 &&
           (!subject[length] ? slashes < parts : subject[length] == '/' && slashes == parts - 1);
}

struct sample {
    int64_t durations[MANY];
    size_t count;
};

static void assert_near(double a, double b)
{
    ck_assert_msg(a <= b * (1 + 1e-12) && a >= b * (1 - 1e-12), "%.17g, not %.17g", a, b);
}

/* The smallest of them that so many percent do not exceed. */
static double ranked(const struct sample *sample, size_t percent)
{
    int64_t best = INT64_MAX;
    size_t i, k, below;

    for (i = 0; i < sample->count; i++) {
        for (below = k = 0; k < sample->count; k++)
            below += sample->durations[k] <= sample->durations[i];
        if (below * 100 >= percent * sample->count && sample->durations[i] < best)
            best = sample->durations[i];
    }
    return (double)best / 3600e6;
}

static void assert_hours(const flagver_metric_hours *hours, const struct sample *sample)
{
    double sum = 0;
    size_t i;

    ck_assert_uint_eq(hours->count, sample->count);
    if (!sample->count) {
        ck_assert(hours->mean == 0 && hours->median == 0 && hours->p95 == 0);
        return;
    }
    for (i = 0; i < sample->count; i++)
        sum += (double)sample->durations[i];
    assert_near(hours->mean, sum / (double)sample->count / 3600e6);
    ck_assert_double_eq(hours->median, ranked(sample, 50));
    ck_assert_double_eq(hours->p95, ranked(sample, 95));
}

struct check {
    flagver_metric_options options;
    char last[128]; /* the group before, as text */
    uint64_t created;
    size_t groups;
};

static bool is_asked_for(const flagver_metric_options *options, const struct seen *one)
{
    return (!options->phase || strcmp(options->phase, one->phase) == 0) &&
           begins(one->subject, options->prefix) &&
           (!options->from || one->created_at >= options->from) &&
           (!options->to || one->created_at < options->to);
}

static void check_group(void *data, const flagver_metric_group *group)
{
    static struct sample to_submit, to_approve;
    struct check *check = data;
    uint64_t created = 0, emergencies = 0, states[8] = { 0 };
    const struct seen *one;
    char name[128];

    snprintf(name, sizeof name, "%s\1%s\1%s", group->phase, group->subject, group->month);
    ck_assert_msg(strcmp(check->last, name) < 0, "%s behind %s", name, check->last);
    strcpy(check->last, name);
    ck_assert_uint_eq(strlen(group->month), check->options.by_month ? 7 : 0);

    to_submit.count = to_approve.count = 0;
    for (one = seen; one < seen + seen_count; one++) {
        if (!is_asked_for(&check->options, one) || strcmp(one->phase, group->phase) != 0 ||
            !is_of(one->subject, group->subject, check->options.parts))
            continue;
        created++;
        emergencies += one->emergency;
        states[one->state]++;
        if (one->submitted_at)
            to_submit.durations[to_submit.count++] = one->submitted_at - one->created_at;
        if (one->state == FLAGVER_STATE_APPROVED || one->state == FLAGVER_STATE_SUPERSEDED)
            to_approve.durations[to_approve.count++] = one->decided_at - one->created_at;
    }
    ck_assert_uint_eq(group->created, created);
    ck_assert_uint_eq(group->emergencies, emergencies);
    ck_assert_mem_eq(group->states, states, sizeof states);
    assert_hours(&group->to_submit, &to_submit);
    assert_hours(&group->to_approve, &to_approve);
    check->created += created;
    check->groups++;
}

/* Every version that is asked for is in one group; how many groups there are. */
static size_t check_metrics(flagver_client *client, const flagver_metric_options *options)
{
    struct check check = { .options = *options };
    uint64_t asked = 0;
    size_t i;

    assert_ok(flagver_version_metrics(client, options, check_group, &check, &error));
    for (i = 0; i < seen_count; i++)
        asked += is_asked_for(options, &seen[i]);
    ck_assert_uint_eq(check.created, asked);
    return check.groups;
}

/* ---- something to count ---- */

static uint32_t newest(flagver_client *client, const char *phase, const char *subject)
{
    seen_count = 0;
    assert_ok(flagver_version_history(client, phase, subject, NULL, see, NULL, &error));
    return (uint32_t)seen_count;
}

/* What is refused is refused: any state may be met. */
static void act(flagver_client *client, uint64_t random)
{
    const char *phase = phases[random % 2], *subject = subjects[random / 2 % SUBJECTS];
    const char *json = random % 2 ? "{\"include\":[\"u\"]}" : "{\"type\":\"boolean\"}";
    uint32_t no = newest(client, phase, subject);
    flagver_txn *txn = begin(client);
    int r = 0;

    switch (random / 16 % 5) {
    case 0:
    case 1:
        r = flagver_version_create(txn, phase, subject, json, strlen(json), NULL, NULL, &error);
        break;
    case 2:
        r = flagver_version_submit(txn, phase, subject, no, NULL, NULL, &error);
        break;
    case 3:
        r = flagver_version_withdraw(txn, phase, subject, no, NULL, NULL, &error);
        break;
    case 4:
        r = flagver_version_put(txn, phase, subject, json, strlen(json), NULL, NULL, &error);
    }
    ck_assert_msg(r == 0 || flagver_error_class(r) == FLAGVER_CLASS_MISTAKE, "%d: %s", r,
                  error.message);
    if (r == 0)
        assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
}

static void fill(flagver_client *client, int actions)
{
    struct seed seed = seed_new(0);

    while (actions-- > 0)
        act(client, seed_next(&seed));
    see_all(client);
}

START_TEST(groups_agree_with_the_histories)
{
    flagver_client *client = open_store(_i);
    flagver_metric_options options = { .size = sizeof options };
    const char *const prefixes[] = { NULL, "", "a", "a/", "a/y", "b", "c" };
    size_t groups = 0, phase, prefix;
    int64_t middle;

    fill(client, 120);
    middle = seen[seen_count / 2].created_at;
    for (phase = 0; phase < 3; phase++)
        for (prefix = 0; prefix < sizeof prefixes / sizeof prefixes[0]; prefix++)
            for (options.parts = 0; options.parts < 4; options.parts++) {
                options.phase = phase < 2 ? phases[phase] : NULL;
                options.prefix = prefixes[prefix];
                options.by_month = options.parts % 2;
                groups += check_metrics(client, &options);
            }
    ck_assert_uint_gt(groups, 100);

    options = (flagver_metric_options){ .size = sizeof options, .from = middle };
    check_metrics(client, &options);
    options = (flagver_metric_options){ .size = sizeof options, .to = middle };
    check_metrics(client, &options);
    options = (flagver_metric_options){ .size = sizeof options, .from = middle, .to = middle + 1 };
    ck_assert_uint_eq(check_metrics(client, &options), 1);
    flagver_close(client);
}
END_TEST

/* ---- hours ---- */

#define P "scoping"

#define HOUR INT64_C(3600000)

struct found {
    flagver_metric_group group;
    char subject[64], month[16];
    int count;
};

static void note_group(void *data, const flagver_metric_group *group)
{
    struct found *found = data;

    found->group = *group;
    snprintf(found->subject, sizeof found->subject, "%s", group->subject);
    snprintf(found->month, sizeof found->month, "%s", group->month);
    found->count++;
}

static void assert_equal_hours(const flagver_metric_hours *hours, uint64_t count, double mean,
                               double median, double p95)
{
    ck_assert_uint_eq(hours->count, count);
    ck_assert_double_eq(hours->mean, mean);
    ck_assert_double_eq(hours->median, median);
    ck_assert_double_eq(hours->p95, p95);
}

/* Created by ann at `*now`, handed in and decided so many hours later. */
static void decide(flagver_client *client, int64_t *now, const char *subject, int64_t submit,
                   int64_t decided, bool approve)
{
    const int64_t begun = *now;

    done(client, ann, CREATE, P, subject, .json = "{}");
    *now = begun + submit * HOUR;
    done(client, ann, SUBMIT, P, subject, 1);
    *now = begun + decided * HOUR;
    done(client, ben, approve ? APPROVE : REJECT, P, subject, 1);
    *now = begun;
}

START_TEST(hours_are_counted_from_creation)
{
    int64_t now = INT64_C(1772366400000); /* 2026-03-01T12:00:00Z */
    flagver_options options = quiet_options();
    const flagver_metric_options asked = {
        .size = sizeof asked, .phase = P, .parts = 1, .by_month = 1
    };
    struct found found = { .count = 0 };
    flagver_client *client;

    options.clock = tell_time;
    options.clock_data = &now;
    client = open_with(_i, &options);
    set_policy(client, &dan, P, "{'approval':{'rule':'anyone'}}");
    decide(client, &now, "cycle-7/1", 1, 2, true);
    decide(client, &now, "cycle-7/2", 2, 4, true);
    decide(client, &now, "cycle-7/3", 3, 48, true);
    decide(client, &now, "cycle-7/4", 10, 20, false);
    done(client, ann, CREATE, P, "cycle-7/5", .json = "{}");
    done(client, ann, SUBMIT, P, "cycle-7/5", 1);
    now += 72 * HOUR;
    done(client, ann, RETURN, P, "cycle-7/5", 1);

    assert_ok(flagver_version_metrics(client, &asked, note_group, &found, &error));
    ck_assert_int_eq(found.count, 1);
    ck_assert_str_eq(found.subject, "cycle-7");
    ck_assert_str_eq(found.month, "2026-03");
    ck_assert_uint_eq(found.group.created, 5);
    ck_assert_uint_eq(found.group.states[FLAGVER_STATE_APPROVED], 3);
    ck_assert_uint_eq(found.group.states[FLAGVER_STATE_REJECTED], 1);
    ck_assert_uint_eq(found.group.states[FLAGVER_STATE_DRAFT], 1);
    assert_equal_hours(&found.group.to_submit, 4, 4, 2, 10);
    assert_equal_hours(&found.group.to_approve, 3, 18, 4, 48);
    flagver_close(client);
}
END_TEST

START_TEST(emergencies_are_counted)
{
    flagver_client *client = open_store(_i);
    const flagver_write_options urgent = { .size = sizeof urgent,
                                           .note = "it burns",
                                           .flags = FLAGVER_WRITE_EMERGENCY };
    const flagver_metric_options asked = { .size = sizeof asked, .phase = FLAGVER_PHASE_FLAG };
    struct found found = { .count = 0 };
    flagver_txn *txn;

    put_flag(client, "f", SIMPLE);
    set_policy(client, &dan, FLAGVER_PHASE_FLAG, "{'emergency':'anyone'}");
    txn = begin(client);
    assert_ok(flagver_flag_disable(txn, "f", &urgent, NULL, &error));
    commit(txn);
    assert_ok(flagver_version_metrics(client, &asked, note_group, &found, &error));
    ck_assert_uint_eq(found.group.created, 2);
    ck_assert_uint_eq(found.group.emergencies, 1);
    ck_assert_uint_eq(found.group.to_approve.count, 2);
    flagver_close(client);
}
END_TEST

static void no_group(void *data, const flagver_metric_group *group)
{
    (void)data;
    ck_abort_msg("group %s %s", group->phase, group->subject);
}

START_TEST(an_empty_store_has_no_groups)
{
    flagver_client *client = open_store(_i);

    assert_ok(flagver_version_metrics(client, NULL, no_group, NULL, &error));
    flagver_close(client);
}
END_TEST

START_TEST(of_another_tenant_nothing_is_counted)
{
    flagver_client *client = open_store(_i), *other = NULL;

    put_flag(client, "f", SIMPLE);
    assert_ok(flagver_client_tenant(client, "other", &other, &error));
    assert_ok(flagver_version_metrics(other, NULL, no_group, NULL, &error));
    flagver_close(other);
    flagver_close(client);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
    flagver_client *client = open_store(0), *bare = NULL;
    flagver_metric_options options = { .size = sizeof options, .parts = -1 };

    assert_fails(FLAGVER_EINVAL, flagver_version_metrics(client, NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_metrics(NULL, NULL, no_group, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_metrics(client, &options, no_group, NULL, &error));
    assert_words("parts");
    options = (flagver_metric_options){ .size = sizeof options, .phase = "" };
    assert_fails(FLAGVER_EINVAL, flagver_version_metrics(client, &options, no_group, NULL, &error));
    assert_words("phase");
    options = (flagver_metric_options){ .size = 1 };
    assert_fails(FLAGVER_EINVAL, flagver_version_metrics(client, &options, no_group, NULL, &error));
    assert_ok(flagver_open("definitions:", NULL, &bare, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_version_metrics(bare, NULL, no_group, NULL, &error));
    flagver_close(bare);
    flagver_close(client);
}
END_TEST

START_TEST(an_error_of_the_store_is_passed_on)
{
    flagver_client *client = open_store(FAULT_KIND);

    put_flag(client, "f", SIMPLE);
    flagver_fault_fail(fault, FLAGVER_FAULT_NEXT, 1, FLAGVER_EIO, false);
    assert_fails(FLAGVER_EIO, flagver_version_metrics(client, NULL, no_group, NULL, &error));
    flagver_close(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tcase = add_store_tcase(suite, "metrics");

    tcase_add_loop_test(tcase, groups_agree_with_the_histories, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, hours_are_counted_from_creation, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, emergencies_are_counted, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, an_empty_store_has_no_groups, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, of_another_tenant_nothing_is_counted, 0, STORE_KINDS);
    tcase_add_test(tcase, what_makes_no_sense_is_refused);
    tcase_add_test(tcase, an_error_of_the_store_is_passed_on);
    return run_store_suite(suite);
}
