/*
 * Two processes of eight threads work on a few records under approval, of which policies and
 * owners change meanwhile; and four processes of four, each thread with a client of its own, create
 * and approve versions of the same four records. The log is then told again by the pure table: every
 * result, every leaf and every row must be what it says (tests/replay.h). And the same deals one
 * after the other must come to the same log on stores of other kinds. All of it on SQLite and on
 * PostgreSQL.
 *
 * FLAGVER_TEST_OPERATIONS says how many acts there are.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>

#include "../examples/drivers/jsonfile.h"
#include "cluster.h"
#include "crash/site.h"
#include "replay.h"

#define THREADS 16
#define FEWER 150 /* deals for a store that takes its time with each commit */
#define SEEN 4096 /* heads, and decided versions */
#define LONG_LOG (64u << 20)

/* A version that was decided, as somebody has seen it. */
struct sight {
    uint8_t topic;
    uint32_t no;
    uint64_t digest;
};

static struct {
    struct history history;
    atomic_int ready, working;
    atomic_bool failed;
    struct head heads[SEEN];
    struct sight sights[SEEN];
    atomic_uint head_count, sight_count, repeated, misused, looks;
    uint64_t longest; /* bytes, of the write-ahead log */
} * board;

static uint32_t acts_of_each;
static struct site site;
static struct seed seed;
static int processes;

static uint32_t operations(void)
{
    static const int usual[] = { 20000, 1000 };

    return (uint32_t)scale("FLAGVER_TEST_OPERATIONS", usual[site.kind]);
}

static int open_client(const char *uri, flagver_client **ret_client)
{
    const flagver_options options = { .size = sizeof options,
                                      .no_environment = 1,
                                      .clock = tell_deal_time,
                                      .clock_data = &board->history.ticks };
    flagver_error problem;
    int r = flagver_open(uri, &options, ret_client, &problem);

    if (r < 0)
        complain("opening %s: %s", uri, problem.message);
    return r;
}

/* ---- what a thread sees beside its work ---- */

struct worker {
    uint32_t thread;
    flagver_client *client; /* of the process, or its own */
    struct seed seed;
    struct story story;
    bool fine;

    uint32_t waiting[RACES], base[RACES]; /* what it has handed in for the race, over what */
};

/* What never changes any more of a version that was decided: FNV-1a over it as a text. */
static uint64_t digest_of(const flagver_version *version)
{
    char text[1024];
    const char *at = text;
    uint64_t digest = UINT64_C(0xcbf29ce484222325);

    snprintf(text, sizeof text, "%s %u %u %u %u %lld %lld %lld %s %s %s %02x%02x%02x%02x%02x %d %d",
             version->id, version->no, version->parent_no, version->base_no, version->reverts_no,
             (long long)version->created_at, (long long)version->submitted_at,
             (long long)version->decided_at, version->created_by,
             version->decided_by ? version->decided_by : "-", version->note ? version->note : "-",
             version->content_hash[0], version->content_hash[7], version->content_hash[15],
             version->content_hash[23], version->content_hash[31], version->tombstone,
             version->emergency);
    while (*at)
        digest = (digest ^ (unsigned char)*at++) * UINT64_C(0x100000001b3);
    return digest;
}

static bool is_decided(const flagver_version *version)
{
    return version->state >= FLAGVER_STATE_APPROVED;
}

static void see_version(struct worker *worker, const struct act *act)
{
    flagver_version *version = NULL;
    uint32_t at;

    if (flagver_version_get(worker->client, topics[act->topic].phase, topics[act->topic].subject,
                            act->ret_no, &version, NULL) < 0)
        return;
    at = is_decided(version) ? atomic_fetch_add(&board->sight_count, 1) : SEEN;
    if (at < SEEN)
        board->sights[at] = (struct sight){ act->topic, version->no, digest_of(version) };
    flagver_version_free(version);
}

static bool see_head(struct worker *worker)
{
    uint32_t at = atomic_fetch_add(&board->head_count, 1);
    flagver_error problem;
    struct head head;

    if (at >= SEEN)
        return true;
    if (flagver_audit_head(worker->client, &head.size, head.root, &problem) < 0)
        return complain("head: %s", problem.message);
    board->heads[at] = head;
    return true;
}

/* Under its key it happens once; something else under it does not happen at all. */
static bool repeat(struct worker *worker, const struct deal *deal)
{
    struct act acts[ASKED + 1];
    struct deal other = *deal;
    char found[FOUND_SIZE];
    flagver_error problem;
    int r;

    if (!deal_comes_to_the_same(worker->client, deal, found))
        return complain("again: %s", found);
    atomic_fetch_add(&board->repeated, 1);
    if (deal->number % 4)
        return true;
    memcpy(acts, deal->acts, sizeof acts);
    acts[0].note += 10000;
    other.acts = acts;
    r = run_deal(worker->client, &other, &problem);
    if (r != FLAGVER_EIDEM)
        return complain("deal %u-%u with another note: %d", deal->thread, deal->number, r);
    atomic_fetch_add(&board->misused, 1);
    return true;
}

/* ---- a thread that does anything ---- */

static bool make(struct worker *worker, struct deal *deal)
{
    flagver_error problem;

    enter_deal(&board->history, deal);
    if (make_deal(worker->client, deal, &problem) < 0)
        return complain("deal %u-%u: %s", deal->thread, deal->number, problem.message);
    spread_deal(&board->history, deal);
    return true;
}

static bool do_anything(struct worker *worker, uint32_t *made)
{
    struct deal *deal = new_deal(&board->history, worker->thread);
    bool is_told = choose_next(&board->history, &worker->seed, &worker->story, deal);
    uint32_t i;

    for (i = 0; i < deal->asked; i++)
        if (looks_first(&deal->acts[i], &worker->seed))
            look(worker->client, &deal->acts[i]);
    if (!make(worker, deal))
        return false;
    if (is_told)
        go_on(&worker->story, deal);
    *made += deal->asked;
    if (seed_below(&worker->seed, 8) == 0 && deal->acts[0].ret_no)
        see_version(worker, &deal->acts[0]);
    if (seed_below(&worker->seed, 64) == 0 && !see_head(worker))
        return false;
    return seed_below(&worker->seed, 16) || repeat(worker, deal);
}

/* ---- a thread in the race ---- */

static void choose_race_act(struct worker *worker, uint32_t race, bool approves, struct act *act)
{
    *act = (struct act){ .topic = (uint8_t)(FIRST_RACE + race), .deed = DO_PUT };
    if (!approves)
        return;
    act->deed = DO_APPROVE;
    act->no = worker->waiting[race];
    /* What is expected to be in force is what it was made from. */
    if (seed_below(&worker->seed, 2))
        act->expect_no = worker->base[race] ? worker->base[race] : FLAGVER_EXPECT_NONE;
}

/* One to five acts on the four records in any order: those that wait are approved, once. */
static void choose_race(struct worker *worker, bool approves, struct deal *deal)
{
    uint32_t wanted = 1 + seed_below(&worker->seed, ASKED), tries = 0, race;
    bool taken[RACES] = { false };

    deal->member = (uint8_t)((worker->thread + approves) % MEMBERS);
    while (deal->asked < wanted && tries++ < 32) {
        race = seed_below(&worker->seed, RACES);
        if (approves && (taken[race] || !worker->waiting[race]))
            continue;
        taken[race] = true;
        choose_race_act(worker, race, approves, &deal->acts[deal->asked++]);
    }
}

static bool is_fair(int code)
{
    return code == 0 || code == FLAGVER_ESTALE || code == FLAGVER_ECONFLICT;
}

static bool look_at_base(struct worker *worker, const struct act *act)
{
    flagver_version *version = NULL;
    flagver_error problem;
    uint32_t race = act->topic - (uint32_t)FIRST_RACE;

    if (flagver_version_get(worker->client, topics[act->topic].phase, topics[act->topic].subject,
                            act->ret_no, &version, &problem) < 0)
        return complain("%s", problem.message);
    worker->waiting[race] = version->no;
    worker->base[race] = version->base_no;
    flagver_version_free(version);
    return true;
}

static bool race_once(struct worker *worker, bool approves, uint32_t *made)
{
    struct deal *deal = new_deal(&board->history, worker->thread);
    const struct act *act;
    uint32_t i;

    choose_race(worker, approves, deal);
    if (!deal->asked)
        return true;
    if (!make(worker, deal))
        return false;
    *made += deal->asked;
    for (i = 0; i < deal->asked; i++) {
        act = &deal->acts[i];
        if (!is_fair(act->code))
            return complain("%s %s %u: %s", deed_words[act->deed], topics[act->topic].subject,
                            act->no, flagver_error_name(act->code));
        if (approves)
            worker->waiting[act->topic - FIRST_RACE] = 0;
        else if (!look_at_base(worker, act))
            return false;
    }
    return true;
}

static bool race(struct worker *worker, uint32_t *made)
{
    return race_once(worker, false, made) && race_once(worker, true, made);
}

/* ---- threads and processes ---- */

static bool (*work)(struct worker *worker, uint32_t *made); /* what all do */

static void wait_for_all(void)
{
    atomic_fetch_add(&board->ready, 1);
    while (atomic_load(&board->ready) < THREADS && !atomic_load(&board->failed))
        pause_us(200);
}

static void *run_thread(void *data)
{
    struct worker *worker = data;
    uint32_t made = 0;

    wait_for_all();
    while (worker->fine && made < acts_of_each && !atomic_load(&board->failed))
        worker->fine = work(worker, &made);
    if (!worker->fine)
        atomic_store(&board->failed, true);
    return NULL;
}

static bool begin_worker(struct worker *worker, uint32_t thread, flagver_client *common)
{
    *worker = (struct worker){ .thread = thread,
                               .client = common,
                               .seed = { seed.state + 1000 * (uint64_t)thread },
                               .fine = true };
    return common || open_client(site.uri, &worker->client) == 0;
}

/* Each thread with a client of its own, or all with one. */
static bool run_threads(uint32_t process, flagver_client *common)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    uint32_t each = THREADS / (uint32_t)processes, i;
    bool fine = true;

    for (i = 0; i < each; i++)
        if (!begin_worker(&workers[i], process * each + i, common))
            return false;
    for (i = 0; i < each; i++)
        if (pthread_create(&threads[i], NULL, run_thread, &workers[i]) != 0)
            return complain("a thread cannot be started");
    for (i = 0; i < each; i++) {
        pthread_join(threads[i], NULL);
        fine &= workers[i].fine;
        if (!common)
            flagver_close(workers[i].client);
    }
    return fine;
}

static int run_process(void *number)
{
    flagver_client *common = NULL;
    bool fine;

    if (work == do_anything && open_client(site.uri, &common) < 0) {
        atomic_store(&board->failed, true);
        return 1;
    }
    fine = run_threads(*(uint32_t *)number, common);
    flagver_close(common);
    atomic_fetch_sub(&board->working, 1);
    return !fine;
}

static int begin_history(void *unused)
{
    flagver_client *client;
    flagver_error problem;
    int r;

    (void)unused;
    if (open_client(site.uri, &client) < 0)
        return 1;
    r = make_beginning(client, &board->history, &problem);
    flagver_close(client);
    return r < 0 && !complain("the beginning: %s", problem.message);
}

/* ---- who watches the race ---- */

struct watch {
    char subject[8];
    bool fine;
};

static bool see_approved(void *data, const flagver_version *version)
{
    struct watch *watch = data;

    watch->fine = strcmp(watch->subject, version->subject) != 0 ||
                  complain("two versions of %s are approved", version->subject);
    snprintf(watch->subject, sizeof watch->subject, "%s", version->subject);
    return watch->fine;
}

static void see_log(const char *path)
{
    struct stat status;

    if (stat(path, &status) == 0 && (uint64_t)status.st_size > board->longest)
        board->longest = (uint64_t)status.st_size;
}

/* Never are two approved at the same time; and the file's log does not go on growing. */
static int watch_race(void *unused)
{
    const flagver_list_options options = { .size = sizeof options,
                                           .states = FLAGVER_STATES(FLAGVER_STATE_APPROVED) };
    struct watch watch = { .fine = true };
    flagver_client *client;
    flagver_error problem;
    char log[128];
    int r;

    (void)unused;
    if (open_client(site.uri, &client) < 0)
        return 1;
    while (watch.fine && atomic_load(&board->working) > 0 && !atomic_load(&board->failed)) {
        watch.subject[0] = 0;
        r = flagver_version_list(client, "race", &options, see_approved, &watch, &problem);
        if (r < 0)
            watch.fine = complain("watching: %s", problem.message);
        atomic_fetch_add(&board->looks, 1);
        see_log(place_file(&site.place, "store-wal", log)); /* there is none on PostgreSQL */
        pause_us(500);
    }
    flagver_close(client);
    return !watch.fine;
}

/* ---- afterwards ---- */

static int compare_heads(const void *a, const void *b)
{
    const struct head *left = a, *right = b;

    return (left->size > right->size) - (left->size < right->size);
}

static bool see_same(struct replay *replay, flagver_client *client, const struct sight *sight)
{
    flagver_version *version = NULL;
    flagver_error problem;
    bool fine;

    if (flagver_version_get(client, topics[sight->topic].phase, topics[sight->topic].subject,
                            sight->no, &version, &problem) < 0)
        return find(replay, "%s", problem.message);
    fine = digest_of(version) == sight->digest ||
           find(replay, "version %u of %s/%s has changed since it was decided", sight->no,
                topics[sight->topic].phase, topics[sight->topic].subject);
    flagver_version_free(version);
    return fine;
}

static bool sights_hold(struct replay *replay, flagver_client *client)
{
    uint32_t count = atomic_load(&board->sight_count), i;

    for (i = 0; i < count && i < SEEN; i++)
        if (!see_same(replay, client, &board->sights[i]))
            return false;
    return true;
}

/* ---- series and editors, which no call gives, from the tables ---- */

static const char *const series_queries[] = {
    "SELECT phase, subject, last_no, current_no, changed_at FROM flagver_series",
    "SELECT phase, subject, last_no, current_no, changed_at FROM flagver.series"
};

static long long number_in(const char *value)
{
    return value ? atoll(value) : 0;
}

static bool is_series_as_told(void *data, char **values)
{
    struct replay *replay = data;
    uint8_t topic = topic_of(values[0], values[1]);
    const struct told_series *series;

    if (topic == TOPICS)
        return find(replay, "%s/%s is there", values[0], values[1]);
    series = &replay->series[topic];
    return (number_in(values[2]) == series->count && number_in(values[3]) == series->current_no &&
            number_in(values[4]) == series->changed_at) ||
           find(replay, "the series %s/%s is not as told", values[0], values[1]);
}

static const char *const editors_queries[] = {
    "SELECT s.phase, s.subject, c.no, c.actor FROM "
    "flagver_contributor c JOIN flagver_series s ON s.id = c.series",
    "SELECT s.phase, s.subject, c.no, c.actor FROM "
    "flagver.contributor c JOIN flagver.series s ON s.id = c.series"
};

struct editors {
    struct replay *replay;
    uint32_t left; /* of those who were told of */
};

static bool is_editor_as_told(void *data, char **values)
{
    struct editors *editors = data;
    const struct told_series *series;
    uint32_t no = (uint32_t)number_in(values[2]);
    uint8_t topic = topic_of(values[0], values[1]), member = member_named(values[3]);

    series = topic < TOPICS ? &editors->replay->series[topic] : NULL;
    if (!series || !no || no > series->count ||
        !((unsigned)series->versions[no - 1].editors >> member & 1u))
        return find(editors->replay, "%s has edited version %u of %s/%s", values[3], no, values[0],
                    values[1]);
    editors->left--;
    return true;
}

static uint32_t count_editors(const struct replay *replay)
{
    uint32_t count = 0, no, i;
    size_t topic;

    for (topic = 0; topic < TOPICS; topic++)
        for (no = 0; no < replay->series[topic].count; no++)
            for (i = 0; i < MEMBERS; i++)
                count += (unsigned)replay->series[topic].versions[no].editors >> i & 1u;
    return count;
}

static bool tables_hold(struct replay *replay)
{
    struct editors editors = { replay, count_editors(replay) };

    if (!site_read(&site, series_queries, is_series_as_told, replay) ||
        !site_read(&site, editors_queries, is_editor_as_told, &editors))
        return false;
    return editors.left == 0 ||
           find(replay, "%u who have edited something are not there", editors.left);
}

static bool store_holds(struct replay *replay, flagver_client *client)
{
    uint32_t heads = atomic_load(&board->head_count);

    replay->heads = board->heads;
    replay->head_count = heads < SEEN ? heads : SEEN;
    qsort(replay->heads, replay->head_count, sizeof *replay->heads, compare_heads);
    return replay_store(replay, client) && sights_hold(replay, client) && tables_hold(replay);
}

/* ---- the same on other stores, one deal after the other ---- */

static void assert_same_elsewhere(const struct replay *replay, const char *uri, size_t count,
                                  struct head *ret_head)
{
    flagver_client *client = NULL;
    char found[FOUND_SIZE];
    size_t i;

    ck_assert_int_eq(open_client(uri, &client), 0);
    for (i = 0; i < count; i++)
        must(deal_comes_to_the_same(client, replay->order[i], found), "%s: %s", uri, found);
    assert_ok(flagver_audit_head(client, &ret_head->size, ret_head->root, &error));
    flagver_close(client);
}

static void assert_same_head(const struct head *a, const struct head *b)
{
    ck_assert_uint_eq(a->size, b->size);
    ck_assert_mem_eq(a->root, b->root, 32);
}

static void assert_same_everywhere(struct replay *replay)
{
    size_t all = replay->deal_count, fewer = all < FEWER ? all : FEWER;
    struct head told = { .size = replay->size }, head, first;
    struct site other;
    char path[128], uri[160];

    replay_root(replay, told.root);
    assert_same_elsewhere(replay, "memory:", all, &head);
    assert_same_head(&head, &told);
    snprintf(uri, sizeof uri, "sqlite:%s", place_file(&site.place, "again", path));
    assert_same_elsewhere(replay, uri, all, &head);
    assert_same_head(&head, &told);

    assert_same_elsewhere(replay, "memory:", fewer, &first);
    snprintf(uri, sizeof uri, "jsonfile:%s", place_file(&site.place, "json", path));
    assert_same_elsewhere(replay, uri, fewer, &head);
    assert_same_head(&head, &first);
    if (site.kind == ON_POSTGRES || !site_is_possible(ON_POSTGRES))
        return;
    other = site_new(ON_POSTGRES);
    assert_same_elsewhere(replay, other.uri, fewer, &head);
    assert_same_head(&head, &first);
    site_remove(&other);
}

/* ---- the tests ---- */

static void begin_test(int kind, int count, bool (*worker)(struct worker *worker, uint32_t *made))
{
    site = site_new(kind);
    processes = count;
    work = worker;
    acts_of_each = operations() / THREADS;
    board = shared(sizeof *board);
    /* A deal of one act is the shortest, and one for each policy comes before. */
    history_init(&board->history, THREADS, acts_of_each + (uint32_t)TOPICS, shared);
    board->working = processes;
    ck_assert_int_eq(in_process(begin_history, NULL), 0);
}

static double run_processes(bool watched)
{
    uint32_t numbers[THREADS], i;
    pid_t children[THREADS], watcher = watched ? start(watch_race, NULL) : 0;
    double begun = now_ms();
    int failed = 0;

    for (i = 0; i < (uint32_t)processes; i++) {
        numbers[i] = i;
        children[i] = start(run_process, &numbers[i]);
    }
    for (i = 0; i < (uint32_t)processes; i++)
        failed += finish(children[i]) != 0;
    begun = now_ms() - begun;
    if (watched)
        failed += finish(watcher) != 0;
    ck_assert_int_eq(failed, 0);
    return begun;
}

static uint32_t runs_again(const struct replay *replay)
{
    uint32_t again = 0;
    size_t i;

    for (i = 0; i < replay->deal_count; i++)
        again += replay->order[i]->runs - 1;
    return again;
}

static void check_store(struct replay *replay)
{
    flagver_client *client = NULL;
    bool fine;

    ck_assert_int_eq(open_client(site.uri, &client), 0);
    replay_init(replay, &board->history);
    fine = store_holds(replay, client);
    flagver_close(client);
    ck_assert_msg(fine, "%s", replay->found);
}

static void report(const struct replay *replay, double took)
{
    char words[1000];

    sum_up(replay, words);
    measured("%s: %u acts in %zu deals of %d processes in %.1f s, %u run again, %llu leaves",
             site_names[site.kind], operations(), replay->deal_count, processes, took / 1e3,
             runs_again(replay), (unsigned long long)replay->size);
    measured("%s", words);
}

START_TEST(what_many_do_is_what_one_would_have_done)
{
    struct replay replay;
    double took;

    seed = seed_new(0);
    begin_test(_i, 2, do_anything);
    took = run_processes(false);
    check_store(&replay);
    report(&replay, took);
    measured("%u deals again under their keys, %u others under keys that were taken; %u heads and "
             "%u decided versions were seen",
             board->repeated, board->misused, board->head_count, board->sight_count);
    assert_same_everywhere(&replay);
    replay_free(&replay);
    site_remove(&site);
}
END_TEST

START_TEST(one_wins_and_the_others_are_told)
{
    struct replay replay;
    double took;
    uint32_t i;

    seed = seed_new(1);
    begin_test(_i, 4, race);
    took = run_processes(true);
    check_store(&replay);
    report(&replay, took);
    measured("the states were looked at %u times", board->looks);
    if (site.kind == ON_SQLITE)
        measured("the write-ahead log had up to %.1f MiB", (double)board->longest / (1 << 20));
    ck_assert_uint_lt(board->longest, LONG_LOG);
    for (i = FIRST_RACE; i < FIRST_RACE + RACES; i++)
        ck_assert_uint_gt(replay.series[i].current_no, 0);
    ck_assert_uint_gt(replay.codes[-FLAGVER_ESTALE], 0);
    ck_assert_uint_gt(replay.codes[-FLAGVER_ECONFLICT], 0);
    replay_free(&replay);
    site_remove(&site);
}
END_TEST

static Suite *approvals_suite(void)
{
    Suite *suite = suite_create("approvals");
    TCase *tests = tcase_create("by many"), *races = tcase_create("a race");

    tcase_set_timeout(tests, 600);
    tcase_set_timeout(races, 600);
    tcase_add_loop_test(tests, what_many_do_is_what_one_would_have_done, 0, sites_to_test());
    tcase_add_loop_test(races, one_wins_and_the_others_are_told, 0, sites_to_test());
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, races);
    return suite;
}

int main(void)
{
    if (flagver_driver_register(&jsonfile_driver, NULL) < 0)
        return EXIT_FAILURE;
    return run_suite(approvals_suite());
}
