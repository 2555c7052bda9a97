/* W1 to W5: one evaluation against the least C that gives the same answer. */
#include "evaluation.h"

#include <stdio.h>
#include <string.h>

#include "report.h"
#include "work.h"

/* ------------------------------------------------------------------------
 * The cases
 */

static const enum bare_kind all_static[] = { BARE_STATIC };
static const enum bare_kind all_percentage[] = { BARE_PERCENTAGE };
static const enum bare_kind all_md5[] = { BARE_MD5 };
static const enum bare_kind all_split[] = { BARE_SPLIT };
static const enum bare_kind all_rule[] = { BARE_RULE };

/* 100 lists in all, more than the caches near a core hold; the other flags are static. */
static const enum bare_kind some_beta[BENCH_FLAGS / 100] = { BARE_BETA };
static const enum bare_kind one_beta[BENCH_FLAGS] = { BARE_BETA };

struct one_case {
    const char *id, *what;
    const enum bare_kind *pattern;
    size_t period;
    enum bare_kind kind; /* that is asked for */
    size_t listed;       /* users on each beta list */
    pass_function *library, *bare;
    double asked;
};

#define ALL(pattern) pattern, sizeof(pattern) / sizeof *(pattern)

static const struct one_case cases[] = {
    { "W1", "static boolean", ALL(all_static), BARE_STATIC, 0, pass_bool, pass_bare_static, 1.5 },
    { "W1", "the same, bound handle", ALL(all_static), BARE_STATIC, 0, pass_bound, pass_bare_static,
      0.6 },
    { "W2", "beta list of 1,000", ALL(some_beta), BARE_BETA, 1000, pass_bool, pass_bare_beta, 1.5 },
    { "W3", "25 % by murmur3", ALL(all_percentage), BARE_PERCENTAGE, 0, pass_bool,
      pass_bare_percentage, 1.5 },
    { "W3", "25 % by md5-mod100", ALL(all_md5), BARE_MD5, 0, pass_bool, pass_bare_md5, 1.2 },
    { "W4", "one of 4 strings by weight", ALL(all_split), BARE_SPLIT, 0, pass_string,
      pass_bare_split, 1.5 },
    { "W5", "country, version, then 50 %", ALL(all_rule), BARE_RULE, 0, pass_bool, pass_bare_rule,
      2.0 },
};

/* ------------------------------------------------------------------------
 * Do both sides say the same?
 */

/* The bare loop's answer, by the function that is timed. */
static struct bare_value ask_bare(const struct work *work, enum bare_kind kind, size_t k, size_t u)
{
    const char *key = work->key[k];
    const struct bare_user *user = work->user[u];
    struct bare_value value = { false, NULL };

    switch (kind) {
    case BARE_STATIC:
        value.boolean = bare_static(work->table, key);
        break;
    case BARE_BETA:
        value.boolean = bare_beta(work->table, key, user);
        break;
    case BARE_PERCENTAGE:
        value.boolean = bare_percentage(work->table, key, user);
        break;
    case BARE_MD5:
        value.boolean = bare_md5(work->table, key, user);
        break;
    case BARE_SPLIT:
        value.text = bare_split(work->table, key, user);
        break;
    case BARE_RULE:
        value.boolean = bare_rule(work->table, key, user);
        break;
    }
    return value;
}

/* The default that is passed in is never the right answer. */
static bool library_agrees(const struct work *work, size_t k, size_t u,
                           const struct bare_value *bare)
{
    flagver_context *context = work->context[u];

    if (bare->text)
        return strcmp(flagver_flag_string(work->client, work->key[k], context, ""), bare->text) ==
               0;
    return flagver_flag_bool(work->client, work->key[k], context, !bare->boolean) ==
               bare->boolean &&
           flagver_bound_bool(work->bound[k], context, !bare->boolean) == bare->boolean;
}

static void compare_answers(const struct work *work, enum bare_kind kind)
{
    size_t u, k = 0, in = 0;
    struct bare_value bare;

    for (u = 0; u < BENCH_USERS; u++) {
        bare = ask_bare(work, kind, k, u);
        if (!library_agrees(work, k, u, &bare))
            bench_die("%s for %s: the library and the bare loop disagree", work->key[k],
                      work->user[u]->key);
        in += bare.boolean;
        k = (k + 1) % work->keys;
    }

    /* Where everybody gets the same answer, too little would be measured. */
    if (kind != BARE_STATIC && kind != BARE_SPLIT &&
        (in < BENCH_USERS / 10 || in > BENCH_USERS * 6 / 10))
        bench_die("%s: %zu of %d users are in", work->key[0], in, BENCH_USERS);
}

/* ------------------------------------------------------------------------
 * What an evaluation must not do
 */

static void add_count(void *data, const char *flag, const char *variant, uint64_t count)
{
    uint64_t *sum = data;

    (void)flag;
    (void)variant;
    *sum += count;
}

static uint64_t served(flagver_client *client)
{
    uint64_t sum = 0;
    flagver_error err;

    bench_must(flagver_flag_counts(client, add_count, &sum, &err), err.message);
    return sum;
}

void tally_add(struct tally *tally, const struct counts *counts, int64_t evaluations)
{
    tally->allocations += counts->allocations;
    tally->locks += counts->locks;
    tally->evaluations += evaluations;
}

/* One more pass, with an eye on allocations and locks, and on the library's own counters. */
static void count_pass(const struct work *work, pass_function *pass, struct tally *tally)
{
    uint64_t before = served(work->client);
    struct counts counts;

    counting_start();
    bench_sink += pass(work, 0);
    counts = counting_stop();
    tally_add(tally, &counts, BENCH_USERS);

    if (served(work->client) - before != BENCH_USERS)
        bench_die("%s: the library counted %ld evaluations of %d", work->key[0],
                  (long)(served(work->client) - before), BENCH_USERS);
}

static void report_tally(struct report *report, const struct tally *tally)
{
    char how[32];

    report_group(report,
                 "What the library asked of the system in all, while counting what it served", "",
                 "");
    if (!counting_works()) {
        report_text(report, "not counted in this build");
        return;
    }
    snprintf(how, sizeof how, "in %lld", (long long)tally->evaluations);
    report_number(report, "", "allocations", how, "", (double)tally->allocations, 0);
    report_number(report, "", "locks", how, "", (double)tally->locks, 0);
}

/* ------------------------------------------------------------------------
 * Measuring
 */

static void measure(const struct bench_options *options, const struct one_case *one,
                    const struct work *work, bool hot)
{
    struct turn ours = { work, one->library, options->passes, 4 };
    struct turn theirs = { work, one->bare, options->passes, 4 };
    const struct bench_task library = { work_take_turn, &ours };
    const struct bench_task bare = { work_take_turn, &theirs };
    struct row row = { .id = one->id, .what = one->what, .unit = "ns" };

    row.how = hot ? "hot key" : "random keys";
    bench_turns(&library, &bare, options->rounds, (double)options->passes * BENCH_USERS,
                &row.library, &row.other);
    report_ratio(options->report, &row, one->asked);
}

static void run_case(const struct bench_options *options, const struct one_case *one,
                     const struct users *users, struct tally *tally)
{
    struct plan plan = { .count = BENCH_FLAGS, .pattern = one->pattern, .period = one->period };
    struct fixture fixture;
    struct names list;
    struct work *work;
    int hot;

    names_init(&list, users, one->listed, 0);
    plan.list = &list;
    fixture_init(&fixture, &plan);
    work = work_new(&fixture, users, one->listed);
    for (hot = 1; hot >= 0; hot--) {
        work_use_keys(work, one->kind, hot);
        compare_answers(work, one->kind);
        measure(options, one, work, hot);
        count_pass(work, one->library, tally);
    }

    work_free(work);
    fixture_clear(&fixture);
    names_clear(&list);
}

/* ------------------------------------------------------------------------
 * A long list against a short one
 */

struct list_case {
    struct names list;
    struct fixture fixture;
    struct work *work;
};

static void list_case_init(struct list_case *one, const struct users *users, size_t known,
                           size_t others)
{
    struct plan plan = { .count = BENCH_FLAGS, .pattern = one_beta, .period = BENCH_FLAGS };

    names_init(&one->list, users, known, others);
    plan.list = &one->list;
    fixture_init(&one->fixture, &plan);
    one->work = work_new(&one->fixture, users, known);
    work_use_keys(one->work, BARE_BETA, true);
    compare_answers(one->work, BARE_BETA);
}

static void list_case_clear(struct list_case *one)
{
    work_free(one->work);
    fixture_clear(&one->fixture);
    names_clear(&one->list);
}

static void compare_lists(const struct bench_options *options, const struct users *users)
{
    struct row row = { .id = "W2", .what = "beta list of 100,000", .how = "hot key", .unit = "ns" };
    struct bench_task library = { work_take_turn, NULL }, other = { work_take_turn, NULL };
    struct turn many = { NULL, pass_bool, options->passes, 4 }, few = many;
    struct list_case long_list, short_list;

    list_case_init(&long_list, users, BENCH_USERS / 2, 100000 - BENCH_USERS / 2);
    list_case_init(&short_list, users, 1000, 0);
    many.work = long_list.work;
    few.work = short_list.work;
    library.data = &many;
    other.data = &few;

    report_group(options->report, "A long beta list against a short one, in ns per evaluation",
                 "1,000", "ratio");
    bench_turns(&library, &other, options->rounds, (double)options->passes * BENCH_USERS,
                &row.library, &row.other);
    report_ratio(options->report, &row, 2);
    list_case_clear(&long_list);
    list_case_clear(&short_list);
}

void bench_evaluation(const struct bench_options *options)
{
    struct users *users = users_new();
    struct tally tally = { 0 };
    size_t i;

    report_group(options->report,
                 "One evaluation, in ns: 10,000 flags, 10,000 users in shuffled order, one thread",
                 "bare", "ratio");
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (bench_wanted(options, cases[i].id))
            run_case(options, &cases[i], users, &tally);
    }
    if (bench_wanted(options, "W6"))
        walk_flags(options, users, &tally);
    if (bench_wanted(options, "W2"))
        compare_lists(options, users);
    if (tally.evaluations)
        report_tally(options->report, &tally);
    users_free(users);
}
