/*
 * Processes are killed with SIGKILL inside each action on records under approval. What was
 * acknowledged is there; a transaction that was cut off is there as a whole or not at all, and the
 * log is what the rules make of those that are there (tests/replay.h). On SQLite and on PostgreSQL.
 *
 * FLAGVER_KILLS says how many processes are killed on SQLite; on PostgreSQL, which takes its time,
 * it is a fifth of that.
 */
#define _GNU_SOURCE
#include <stdatomic.h>

#include "cluster.h"
#include "crash/site.h"
#include "replay.h"

#define KILLS 115
#define DEALS 20000      /* in one store, at most */
#define WAITING_MS 10000 /* for a worker to come to where it is to be killed */
#define STEPS 5

enum { ANN, BEN, CAT, DAN, EVE, FAY };
enum { PLAN = 0, FREE = 4, BOOK = 5, A_FLAG = 6, PLAN_POLICY = 10, FREE_POLICY = 13 };

/* One transaction. Those after the first are about the version that was made by the ones before. */
struct step {
    uint8_t member, topic;
    uint8_t deeds[ASKED]; /* + 1; 0: no more */
};

/* What leads to an action that the rules allow, and last the action. */
struct script {
    const char *name;
    struct step steps[STEPS];
};

#define STEP(member, topic, ...) \
    {                            \
        member, topic,           \
        {                        \
            __VA_ARGS__          \
        }                        \
    }
#define ONE(deed) (deed) + 1

static const struct script scripts[] = {
    { "create", { STEP(ANN, PLAN, ONE(DO_CREATE)) } },
    { "edit", { STEP(ANN, PLAN, ONE(DO_CREATE)), STEP(BEN, PLAN, ONE(DO_EDIT)) } },
    { "rebase", { STEP(ANN, PLAN, ONE(DO_CREATE)), STEP(ANN, PLAN, ONE(DO_REBASE)) } },
    { "submit", { STEP(ANN, PLAN, ONE(DO_CREATE)), STEP(ANN, PLAN, ONE(DO_SUBMIT)) } },
    { "return", { STEP(ANN, PLAN, ONE(DO_PUT)), STEP(ANN, PLAN, ONE(DO_RETURN)) } },
    { "reject", { STEP(ANN, PLAN, ONE(DO_PUT)), STEP(BEN, PLAN, ONE(DO_REJECT)) } },
    { "withdraw", { STEP(ANN, PLAN, ONE(DO_PUT)), STEP(ANN, PLAN, ONE(DO_WITHDRAW)) } },
    { "first vote", { STEP(ANN, PLAN, ONE(DO_PUT)), STEP(BEN, PLAN, ONE(DO_APPROVE)) } },
    { "last vote",
      { STEP(ANN, PLAN, ONE(DO_PUT)), STEP(BEN, PLAN, ONE(DO_APPROVE)),
        STEP(CAT, PLAN, ONE(DO_APPROVE)) } },
    { "items put", { STEP(ANN, PLAN, ONE(DO_CREATE)), STEP(ANN, PLAN, ONE(DO_ITEMS_PUT)) } },
    { "items remove",
      { STEP(ANN, PLAN, ONE(DO_CREATE), ONE(DO_ITEMS_PUT)),
        STEP(ANN, PLAN, ONE(DO_ITEMS_REMOVE)) } },
    { "decide",
      { STEP(ANN, PLAN, ONE(DO_CREATE), ONE(DO_ITEMS_PUT), ONE(DO_SUBMIT)),
        STEP(BEN, PLAN, ONE(DO_DECIDE)) } },
    { "carry forward",
      { STEP(ANN, PLAN, ONE(DO_CREATE), ONE(DO_ITEMS_PUT), ONE(DO_SUBMIT)),
        STEP(BEN, PLAN, ONE(DO_DECIDE), ONE(DO_APPROVE)), STEP(CAT, PLAN, ONE(DO_APPROVE)),
        STEP(ANN, PLAN, ONE(DO_REVERT)) } },
    { "revert",
      { STEP(ANN, PLAN, ONE(DO_PUT), ONE(DO_WITHDRAW)), STEP(ANN, PLAN, ONE(DO_REVERT)) } },
    { "shred", { STEP(ANN, PLAN, ONE(DO_PUT), ONE(DO_WITHDRAW)), STEP(EVE, PLAN, ONE(DO_SHRED)) } },
    { "record", { STEP(ANN, BOOK, ONE(DO_RECORD)) } },
    { "put", { STEP(ANN, FREE, ONE(DO_PUT)) } },
    { "remove", { STEP(ANN, FREE, ONE(DO_PUT)), STEP(ANN, FREE, ONE(DO_REMOVE)) } },
    { "policy", { STEP(ANN, FREE_POLICY, ONE(DO_PUT)) } },
    { "emergency",
      { STEP(ANN, A_FLAG, ONE(DO_PUT)), STEP(BEN, A_FLAG, ONE(DO_APPROVE)),
        STEP(FAY, A_FLAG, ONE(DO_DISABLE)) } },
    { "review",
      { STEP(ANN, A_FLAG, ONE(DO_PUT)), STEP(BEN, A_FLAG, ONE(DO_APPROVE)),
        STEP(FAY, A_FLAG, ONE(DO_DISABLE)), STEP(CAT, A_FLAG, ONE(DO_REVIEW)) } },
    { "submit and approve", { STEP(ANN, PLAN, ONE(DO_CREATE)), STEP(CAT, PLAN, ONE(DO_APPROVE)) } },
    { "many at once",
      { STEP(ANN, PLAN, ONE(DO_CREATE), ONE(DO_ITEMS_PUT), ONE(DO_EDIT), ONE(DO_SUBMIT),
             ONE(DO_WITHDRAW)) } },
};
#define SCRIPTS (sizeof scripts / sizeof *scripts)
#define STORE_KILLS (2 * (int)SCRIPTS) /* then a fresh store is begun */
#define IS_BETWEEN (-1)

static struct {
    struct history history;
    atomic_int at;    /* the script whose last transaction is under way, or IS_BETWEEN */
    atomic_uint took; /* ns, the last time; 0: it was not there yet */
} * board;

static struct site site;
static struct seed dice;
static int cut_off[SCRIPTS], took_place[SCRIPTS];

/* ---- who is killed ---- */

struct worker {
    flagver_client *client;
    struct seed seed;
    uint32_t no; /* that the step before has left */
};

static void choose_step(struct worker *worker, const struct step *step, struct deal *deal)
{
    struct act *act;

    deal->member = step->member;
    while (deal->asked < ASKED && step->deeds[deal->asked]) {
        act = &deal->acts[deal->asked];
        *act = (struct act){ .deed = (uint8_t)(step->deeds[deal->asked] - 1),
                             .topic = step->topic,
                             .no = worker->no,
                             .follows = deal->asked > 0,
                             .items = 3,
                             .status = FLAGVER_ITEM_APPROVED,
                             .content = choose_content(step->topic, &worker->seed),
                             .note = 1 + seed_below(&worker->seed, 100) };
        act->submits = act->deed == DO_APPROVE;
        act->emergency = act->deed == DO_DISABLE;
        deal->asked++;
    }
}

static bool run_step(struct worker *worker, const struct step *step)
{
    struct deal *deal = new_deal(&board->history, 0);
    flagver_error problem;
    const struct act *act;
    uint32_t i;

    choose_step(worker, step, deal);
    enter_deal(&board->history, deal);
    if (make_deal(worker->client, deal, &problem) < 0)
        return complain("deal %u: %s", deal->number, problem.message);
    for (i = 0; i < deal->asked; i++) {
        act = &deal->acts[i];
        if (act->code < 0)
            return complain("%s %s/%s %u by %s: %s", deed_words[act->deed],
                            topics[act->topic].phase, topics[act->topic].subject, act->no,
                            members[deal->member].id, flagver_error_name(act->code));
        worker->no = act->ret_no;
    }
    return true;
}

static bool run_script(struct worker *worker, int number)
{
    const struct script *script = &scripts[number];
    uint64_t begun = 0;
    bool fine = true;
    size_t i;

    for (i = 0; fine && i < STEPS && script->steps[i].deeds[0]; i++) {
        if (i + 1 == STEPS || !script->steps[i + 1].deeds[0]) {
            begun = now_ns();
            atomic_store(&board->at, number);
        }
        fine = run_step(worker, &script->steps[i]);
    }
    atomic_store(&board->at, IS_BETWEEN);
    atomic_store(&board->took, (unsigned)(now_ns() - begun));
    return fine;
}

/* Is it to be run again, as it was cut off? Every other one is. */
static bool run_last_again(struct worker *worker)
{
    struct diary *diary = &board->history.diaries[0];
    struct deal *deal = &diary->deals[diary->count - 1];
    flagver_error problem;

    if (deal->ended || deal->number % 2)
        return true;
    return make_deal(worker->client, deal, &problem) == 0 ||
           complain("deal %u again: %s", deal->number, problem.message);
}

static int open_client(flagver_client **ret_client)
{
    const flagver_options options = { .size = sizeof options,
                                      .no_environment = 1,
                                      .clock = tell_deal_time,
                                      .clock_data = &board->history.ticks };
    flagver_error problem;
    int r = flagver_open(site.uri, &options, ret_client, &problem);

    return r < 0 && !complain("opening: %s", problem.message);
}

static int work(void *number)
{
    struct worker worker = { .seed = { dice.state } };
    bool fine;

    if (open_client(&worker.client))
        return 1;
    fine = run_last_again(&worker);
    while (fine)
        fine = run_script(&worker, *(int *)number);
    return 1;
}

/* ---- whoever comes after ---- */

/* 1: it is, and the last deal is there; 0: it is without; 2: it is not. */
static int check_store(void *thoroughly)
{
    const struct diary *diary = &board->history.diaries[0];
    struct replay replay;
    flagver_client *client;
    int status = 2;

    if (open_client(&client))
        return 2;
    replay_init(&replay, &board->history);
    if (replay_store(&replay, client))
        status = replay.order[replay.deal_count - 1] == &diary->deals[diary->count - 1];
    else
        complain("%s", replay.found);
    replay_free(&replay);
    flagver_close(client);
    if (*(bool *)thoroughly && !site_is_whole(&site))
        status = 2;
    return status;
}

/* Plans need two votes from now on, and their drafts do not grow stale. */
static bool ask_for_two(flagver_client *client)
{
    static const uint8_t deeds[] = { DO_PUT, DO_APPROVE };
    flagver_error problem;
    struct deal *deal;
    int i;

    for (i = 0; i < 2; i++) {
        deal = new_deal(&board->history, 0);
        deal->member = i ? BEN : ANN;
        deal->asked = 1;
        deal->acts[0] =
            (struct act){ .deed = deeds[i], .topic = PLAN_POLICY, .no = 2, .content = 1 };
        enter_deal(&board->history, deal);
        if (make_deal(client, deal, &problem) < 0 || deal->acts[0].code < 0)
            return complain("the policy of plans: %d %s", deal->acts[0].code, problem.message);
    }
    return true;
}

static int begin_history(void *unused)
{
    flagver_client *client;
    flagver_error problem;
    bool fine;

    (void)unused;
    if (open_client(&client))
        return 1;
    fine = make_beginning(client, &board->history, &problem) == 0 ||
           complain("%s", problem.message);
    fine = fine && ask_for_two(client);
    flagver_close(client);
    return !fine;
}

/* ---- killing ---- */

static void begin_store(int kind)
{
    board = shared(sizeof *board);
    history_init(&board->history, 1, DEALS, shared);
    board->at = IS_BETWEEN;
    site = site_new(kind);
    ck_assert_int_eq(in_process(begin_history, NULL), 0);
}

static void end_store(void)
{
    munmap(board->history.diaries[0].acts, (size_t)DEALS * (ASKED + 1) * sizeof(struct act));
    munmap(board->history.diaries[0].deals, (size_t)DEALS * sizeof(struct deal));
    munmap(board, sizeof *board);
    site_remove(&site);
}

static bool comes_to(int number)
{
    double begun = now_ms();

    while (atomic_load(&board->at) != number || !atomic_load(&board->took)) {
        if (now_ms() - begun > WAITING_MS)
            return false;
        pause_us(20);
    }
    return true;
}

/* Somewhere inside the last transaction of the script, which it has run through before. */
static void kill_worker(int number)
{
    uint64_t end;
    pid_t worker;
    int status;

    atomic_store(&board->at, IS_BETWEEN);
    atomic_store(&board->took, 0);
    worker = start(work, &number);
    comes_to(number);
    end = now_ns() + seed_below(&dice, atomic_load(&board->took) + 1);
    while (now_ns() < end)
        ;
    kill(worker, SIGKILL);
    status = finish(worker);
    ck_assert_msg(status == 1000 + SIGKILL, "%s: a worker ended by itself, with %d",
                  scripts[number].name, status);
}

static void check_after(int number, bool thoroughly)
{
    const struct diary *diary = &board->history.diaries[0];
    bool was_cut_off = !diary->deals[diary->count - 1].ended;
    int status;

    site_await_quiet(&site);
    status = in_process(check_store, &thoroughly);
    ck_assert_msg(status <= 1, "after a kill inside %s the store does not hold",
                  scripts[number].name);
    if (was_cut_off) {
        cut_off[number]++;
        took_place[number] += status;
    }
}

static void report(int count)
{
    int all = 0, there = 0;
    size_t i;

    for (i = 0; i < SCRIPTS; i++) {
        all += cut_off[i];
        there += took_place[i];
    }
    measured(
        "%s: %d kills, %d of them inside a transaction; %d of these have taken place all the same",
        site_names[site.kind], count, all, there);
    for (i = 0; i < SCRIPTS; i++)
        measured("  %s: %d cut off, %d there", scripts[i].name, cut_off[i], took_place[i]);
}

START_TEST(an_action_is_done_or_not)
{
    int count = scale("FLAGVER_KILLS", KILLS) / (_i == ON_POSTGRES ? 5 : 1), i, number;

    dice = seed_new(0);
    for (i = 0; i < count; i++) {
        if (i % STORE_KILLS == 0)
            begin_store(_i);
        number = i % (int)SCRIPTS;
        seed_next(&dice);
        kill_worker(number);
        check_after(number, i % 20 == 19 || i == count - 1);
        if (i % STORE_KILLS == STORE_KILLS - 1 || i == count - 1)
            end_store();
    }
    report(count);
}
END_TEST

static Suite *kill_suite(void)
{
    Suite *suite = suite_create("killed while approving");
    TCase *tests = tcase_create("inside each action");

    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, an_action_is_done_or_not, 0, sites_to_test());
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(kill_suite());
}
