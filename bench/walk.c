/* W6: all of 100 flags for one user, in nanoseconds per flag. */
#include <stdlib.h>
#include <string.h>

#include "evaluation.h"
#include "report.h"

#define FLAGS 100
#define LISTED 1000
#define STRIDE 100 /* users in one pass, where other cases take all */

/* 40 static, 20 by beta list, 20 by percentage, 10 splits, 10 rules. */
static const enum bare_kind mixed[10] = { BARE_STATIC, BARE_BETA,      BARE_PERCENTAGE, BARE_STATIC,
                                          BARE_SPLIT,  BARE_STATIC,    BARE_RULE,       BARE_BETA,
                                          BARE_STATIC, BARE_PERCENTAGE };

struct walk {
    const struct fixture *fixture;
    flagver_context *context[BENCH_USERS];
    const struct bare_user *user[BENCH_USERS];
    size_t count; /* of users in one turn */
};

/* One side of the comparison. Each turn takes the next users. */
struct side {
    const struct walk *walk;
    size_t next;
};

static size_t next_user(struct side *side)
{
    return side->next++ % BENCH_USERS;
}

/* ------------------------------------------------------------------------
 * The loops
 */

static bool add_detail(void *data, const flagver_detail *detail)
{
    uint64_t *sum = data;

    *sum += detail->value.type == FLAGVER_TYPE_BOOL ? detail->value.boolean
                                                    : (uintptr_t)detail->value.string;
    return true;
}

static bool add_value(void *data, const struct bare_flag *flag, const struct bare_value *value)
{
    uint64_t *sum = data;

    (void)flag;
    *sum += value->text ? (uintptr_t)value->text : value->boolean;
    return true;
}

static void walk_library(void *data)
{
    struct side *side = data;
    const struct walk *walk = side->walk;
    uint64_t sum = 0;
    size_t i;

    for (i = 0; i < walk->count; i++)
        flagver_flag_all(walk->fixture->client, walk->context[next_user(side)], add_detail, &sum);
    bench_sink += sum;
}

static void walk_bare_by_key(void *data)
{
    struct side *side = data;
    const struct walk *walk = side->walk;
    const struct bare_user *user;
    uint64_t sum = 0;
    size_t i, k;

    for (i = 0; i < walk->count; i++) {
        user = walk->user[next_user(side)];
        for (k = 0; k < FLAGS; k++)
            sum += bare_any(&walk->fixture->table, walk->fixture->keys[k], user);
    }
    bench_sink += sum;
}

static void walk_bare_in_order(void *data)
{
    struct side *side = data;
    const struct walk *walk = side->walk;
    uint64_t sum = 0;
    size_t i;

    for (i = 0; i < walk->count; i++)
        bare_all(&walk->fixture->table, walk->user[next_user(side)], add_value, &sum);
    bench_sink += sum;
}

/* ------------------------------------------------------------------------
 * Do both sides say the same?
 */

/* The bare loop's answers for one user, in the order of the keys. */
struct answers {
    struct bare_value value[FLAGS];
    const char *user;
    size_t next;
};

static bool note_value(void *data, const struct bare_flag *flag, const struct bare_value *value)
{
    struct answers *answers = data;

    (void)flag;
    answers->value[answers->next++] = *value;
    return true;
}

static bool compare_detail(void *data, const flagver_detail *detail)
{
    struct answers *answers = data;
    const struct bare_value *bare = &answers->value[answers->next++];
    bool agree;

    if (bare->text)
        agree = detail->value.type == FLAGVER_TYPE_STRING &&
                strcmp(detail->value.string, bare->text) == 0;
    else
        agree = detail->value.type == FLAGVER_TYPE_BOOL && detail->value.boolean == bare->boolean;
    if (!agree)
        bench_die("%s for %s: the library and the bare loop disagree", detail->flag, answers->user);
    return true;
}

static void compare_answers(const struct walk *walk)
{
    struct answers answers;
    size_t u;

    for (u = 0; u < BENCH_USERS; u += 10) {
        answers.user = walk->user[u]->key;
        answers.next = 0;
        bare_all(&walk->fixture->table, walk->user[u], note_value, &answers);
        answers.next = 0;
        if (flagver_flag_all(walk->fixture->client, walk->context[u], compare_detail, &answers) !=
            FLAGS)
            bench_die("the library did not visit all flags");
    }
}

/* ------------------------------------------------------------------------
 * Measuring
 */

static void measure(const struct bench_options *options, const struct walk *walk, const char *how,
                    void (*run_bare)(void *data))
{
    struct side ours = { .walk = walk }, theirs = ours;
    const struct bench_task library = { walk_library, &ours }, bare = { run_bare, &theirs };
    struct row row = { .id = "W6", .what = "all of 100 flags, per flag", .how = how, .unit = "ns" };

    bench_turns(&library, &bare, options->rounds, (double)walk->count * FLAGS, &row.library,
                &row.other);
    report_ratio(options->report, &row, 2);
}

static void count_turn(const struct walk *walk, struct tally *tally)
{
    struct side side = { .walk = walk };
    struct counts counts;

    counting_start();
    walk_library(&side);
    counts = counting_stop();
    tally_add(tally, &counts, (int64_t)walk->count * FLAGS);
}

void walk_flags(const struct bench_options *options, const struct users *users, struct tally *tally)
{
    struct plan plan = { .count = FLAGS, .pattern = mixed, .period = 10 };
    struct walk *walk = bench_allocate(1, sizeof *walk);
    struct fixture fixture;
    struct names list;

    names_init(&list, users, LISTED, 0);
    plan.list = &list;
    fixture_init(&fixture, &plan);
    walk->fixture = &fixture;
    walk->count = STRIDE * (size_t)options->passes;
    users_order(users, LISTED, walk->context, walk->user);

    compare_answers(walk);
    measure(options, walk, "bare by key", walk_bare_by_key);
    measure(options, walk, "bare walks", walk_bare_in_order);
    count_turn(walk, tally);

    fixture_clear(&fixture);
    names_clear(&list);
    free(walk);
}
