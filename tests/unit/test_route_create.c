/*
 * Records whose keys detached sides make, while both sides are written: what is remembered of them
 * before they have a key, and what a repair finds out when a side or a process has failed meanwhile.
 */
#define _DEFAULT_SOURCE /* fork(), usleep() */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/route.h"
#include "entries.h"
#include "sides.h"
#include "stores.h"

#define OLD FLAGVER_SIDE_OLD
#define NEW FLAGVER_SIDE_NEW
#define MADE 64

/* What a side does besides what it is asked for. */
enum mood {
    WELL,
    DIES_BEFORE,
    DIES_AFTER,    /* it has written */
    LOSES_ANSWERS, /* the same, and says that it has failed */
    WRITES_NOTHING
};

/* Shared with processes that die. It remembers which operation has made which record. */
struct maker {
    struct table table;
    struct {
        char operation[256], key[32];
    } made[MADE];
    int made_count;
    enum mood mood;
    int find_returns; /* 0: what is true */
    const char *find_gives;
    unsigned finds;
    void (*meanwhile)(void); /* once, after a record was made */
};

static struct maker *makers; /* by side */
static flagver_client *client;
static flagver_route *route;
static flagver_route_result result;

/* ---- sides that make keys ---- */

static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

static const char *key_made_by(const struct maker *maker, const char *operation)
{
    for (int i = 0; i < maker->made_count; i++)
        if (strcmp(maker->made[i].operation, operation) == 0)
            return maker->made[i].key;
    return NULL;
}

static const char *make_key(struct maker *maker, const char *operation)
{
    int i = maker->made_count++;

    ck_assert_int_lt(i, MADE);
    snprintf(maker->made[i].operation, sizeof maker->made[i].operation, "%s", operation);
    snprintf(maker->made[i].key, sizeof maker->made[i].key, "made-%d", i + 1);
    return maker->made[i].key;
}

/* One that is tried again makes no second record. */
static int create(struct maker *maker, const flagver_side_call *call, const char *text,
                  flagver_sink *sink)
{
    void (*meanwhile)(void) = maker->meanwhile;
    const char *key = key_made_by(maker, call->operation_id);

    if (!key)
        key = make_key(maker, call->operation_id);
    table_put(&maker->table, key, text);
    maker->meanwhile = NULL;
    if (meanwhile) { /* which may call sides */
        pthread_mutex_unlock(&making);
        meanwhile();
        pthread_mutex_lock(&making);
    }
    return flagver_sink_key(sink, key);
}

static int write_as_told(struct maker *maker, const flagver_side_call *call, const void *value,
                         size_t length, flagver_sink *sink)
{
    char text[256];
    int r = 0;

    if (maker->mood == DIES_BEFORE)
        _exit(0);
    if (maker->mood == WRITES_NOTHING)
        return FLAGVER_EUNAVAILABLE;
    snprintf(text, sizeof text, "%.*s", (int)length, (const char *)value);
    if (call->key)
        table_put(&maker->table, call->key, text);
    else
        r = create(maker, call, text, sink);
    if (maker->mood == DIES_AFTER)
        _exit(0);
    return maker->mood == LOSES_ANSWERS ? FLAGVER_EUNAVAILABLE : r;
}

static int maker_write(void *data, const flagver_side_call *call, const void *value, size_t length,
                       flagver_sink *sink, flagver_error *err)
{
    int r;

    (void)err;
    pthread_mutex_lock(&making);
    r = write_as_told(data, call, value, length, sink);
    pthread_mutex_unlock(&making);
    return r;
}

static int maker_find(void *data, const flagver_side_call *call, flagver_sink *sink,
                      flagver_error *err)
{
    struct maker *maker = data;
    const char *key;

    (void)err;
    pthread_mutex_lock(&making);
    key = key_made_by(maker, call->operation_id);
    pthread_mutex_unlock(&making);
    ck_assert_int_eq(call->operation, FLAGVER_ROUTE_FIND);
    ck_assert_ptr_null(call->key);
    maker->finds++;
    if (maker->find_returns != 0)
        return maker->find_returns;
    if (maker->find_gives)
        key = maker->find_gives;
    return key ? (*key ? flagver_sink_key(sink, key) : 0) : FLAGVER_ENOTFOUND;
}

static int maker_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                      flagver_error *err)
{
    int r;

    pthread_mutex_lock(&making);
    r = table_read(&((struct maker *)data)->table, call, sink, err);
    pthread_mutex_unlock(&making);
    return r;
}

static int maker_remove(void *data, const flagver_side_call *call, flagver_error *err)
{
    int r;

    pthread_mutex_lock(&making);
    r = table_remove(&((struct maker *)data)->table, call, err);
    pthread_mutex_unlock(&making);
    return r;
}

static int maker_scan(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                      flagver_sink *sink, flagver_error *err)
{
    int r;

    pthread_mutex_lock(&making);
    r = table_scan(&((struct maker *)data)->table, call, after, limit, sink, err);
    pthread_mutex_unlock(&making);
    return r;
}

/* ---- routes ---- */

static flagver_side side_of(int side)
{
    return (flagver_side){ .size = sizeof(flagver_side),
                           .data = &makers[side],
                           .read = maker_read,
                           .write = maker_write,
                           .remove = maker_remove,
                           .scan = maker_scan,
                           .find_by_operation = maker_find };
}

static flagver_route *open_another(void)
{
    return open_route(client, "users", side_of(OLD), side_of(NEW), (flagver_route_options){ 0 });
}

static void arrange(int kind, int stage)
{
    makers = mmap(NULL, 2 * sizeof *makers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                  0);
    ck_assert_ptr_ne(makers, MAP_FAILED);
    for (int side = OLD; side <= NEW; side++)
        table_init(&makers[side].table);
    client = open_store(kind);
    put_migration(client, "users",
                  "{'stage': 'off', 'stages': 4, 'gates': {'samples': 0, 'match_rate': 0}}");
    route = open_another();
    result = (flagver_route_result){ .size = sizeof result };
    for (int next = FLAGVER_STAGE_SHADOW; next <= stage; next += 2) {
        const flagver_route_change change = { .size = sizeof change, .forced = "a test" };

        assert_ok(flagver_route_stage(route, &alice, next, &change, &error));
    }
}

static void leave(void)
{
    flagver_route_result_clear(&result);
    close_route(route);
    flagver_close(client);
    munmap(makers, 2 * sizeof *makers);
}

static int create_as(const char *operation)
{
    const flagver_route_call call = { .size = sizeof call, .operation_id = operation };

    flagver_route_result_clear(&result);
    return flagver_route_write(route, NULL, "Ada", 3, &call, &result, &error);
}

static sqlite3 *open_rows(void)
{
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(file_named("store"), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    return db;
}

static void let_time_pass(void)
{
    entries_change(file_named("store"), entry_age);
}

/* Until nothing waits: what has failed is tried again after a while. */
static uint64_t come_to_rest(void)
{
    flagver_route_progress progress;
    uint64_t repaired = 0;

    for (int i = 0; i < 500; i++) {
        progress = take_steps(route);
        repaired += progress.repaired;
        if (progress.waiting == 0)
            return repaired;
        usleep(20000);
    }
    ck_abort_msg("%llu keys wait", (unsigned long long)progress.waiting);
    return 0;
}

static void assert_both_have(const char *key)
{
    for (int side = OLD; side <= NEW; side++) {
        const char *value = table_get(&makers[side].table, key);

        ck_assert_msg(value && strcmp(value, "Ada") == 0, "%s: \"%s\"", side ? "new" : "old",
                      value ? value : "");
        ck_assert_uint_eq(makers[side].table.count, 1);
    }
}

static void assert_nobody_has_any(void)
{
    ck_assert_uint_eq(makers[OLD].table.count, 0);
    ck_assert_uint_eq(makers[NEW].table.count, 0);
}

/* ---- when nothing fails ---- */

static const int authorities[] = { FLAGVER_STAGE_SHADOW, FLAGVER_STAGE_LIVE };

START_TEST(what_the_authority_creates_the_other_side_gets_under_that_key)
{
    arrange(FAULT_KIND, authorities[_i]);
    assert_ok(create_as(NULL));
    ck_assert_str_eq(result.key, "made-1");
    ck_assert(!result.pending);
    ck_assert_int_eq(result.side, _i ? NEW : OLD);
    assert_both_have("made-1");
    ck_assert_uint_eq(come_to_rest(), 0);
    ck_assert_uint_eq(makers[OLD].finds + makers[NEW].finds, 0);
    leave();
}
END_TEST

START_TEST(while_one_side_is_written_nothing_is_remembered)
{
    arrange(FAULT_KIND, FLAGVER_STAGE_OFF);
    assert_ok(create_as(NULL));
    ck_assert_str_eq(result.key, "made-1");
    ck_assert_uint_eq(makers[NEW].table.count, 0);
    ck_assert_uint_eq(take_steps(route).waiting, 0);
    leave();
}
END_TEST

START_TEST(a_side_that_cannot_find_creates_nothing)
{
    flagver_side sides[2];

    arrange(FAULT_KIND, FLAGVER_STAGE_SHADOW);
    close_route(route);
    sides[OLD] = side_of(OLD);
    sides[NEW] = side_of(NEW);
    sides[OLD].find_by_operation = NULL;
    route = open_route(client, "users", sides[OLD], sides[NEW], (flagver_route_options){ 0 });
    assert_fails(FLAGVER_EINVAL, create_as("op"));
    assert_words("options.old_side.find_by_operation is NULL");
    ck_assert_ptr_null(result.key);
    assert_nobody_has_any();
    ck_assert_uint_eq(take_steps(route).waiting, 0);
    write_text(route, "k", "v");
    leave();
}
END_TEST

/* ---- when something fails ---- */

START_TEST(what_an_authority_that_fails_has_not_created_is_forgotten)
{
    arrange(FAULT_KIND, FLAGVER_STAGE_SHADOW);
    makers[OLD].mood = WRITES_NOTHING;
    assert_fails(FLAGVER_EUNAVAILABLE, create_as("op"));
    ck_assert_ptr_null(result.key);
    ck_assert_uint_eq(take_steps(route).waiting, 1);
    ck_assert_uint_eq(makers[OLD].finds, 0); /* the call may still be on its way */
    let_time_pass();
    ck_assert_uint_eq(come_to_rest(), 0);
    ck_assert_uint_eq(makers[OLD].finds, 1);
    assert_nobody_has_any();
    leave();
}
END_TEST

START_TEST(what_an_authority_that_fails_has_created_is_found_and_brought_over)
{
    arrange(FAULT_KIND, authorities[_i]);
    makers[_i].mood = LOSES_ANSWERS;
    assert_fails(FLAGVER_EUNAVAILABLE, create_as("op"));
    makers[_i].mood = WELL;
    ck_assert_uint_eq(makers[!_i].table.count, 0);
    let_time_pass();
    ck_assert_uint_eq(come_to_rest(), 1);
    assert_both_have("made-1");
    leave();
}
END_TEST

START_TEST(a_comparison_may_amend_what_is_not_known_yet_to_have_been_created)
{
    const flagver_compare_options amend = { .size = sizeof amend, .confirm_ms = 1, .repair = 1 };
    uint64_t differences;

    arrange(FAULT_KIND, authorities[_i]);
    makers[_i].mood = LOSES_ANSWERS;
    assert_fails(FLAGVER_EUNAVAILABLE, create_as("op"));
    makers[_i].mood = WELL;
    assert_ok(flagver_route_verify(route, &amend, NULL, NULL, NULL, &differences, &error));
    ck_assert_uint_eq(differences, 1);
    assert_both_have("made-1");
    let_time_pass();
    come_to_rest();
    assert_both_have("made-1");
    leave();
}
END_TEST

START_TEST(who_tries_again_gets_the_record_that_was_made)
{
    arrange(FAULT_KIND, FLAGVER_STAGE_SHADOW);
    makers[OLD].mood = LOSES_ANSWERS;
    assert_fails(FLAGVER_EUNAVAILABLE, create_as("op"));
    makers[OLD].mood = WELL;
    assert_ok(create_as("op"));
    ck_assert_str_eq(result.key, "made-1");
    assert_both_have("made-1");
    let_time_pass();
    come_to_rest();
    assert_both_have("made-1");
    leave();
}
END_TEST

START_TEST(what_the_other_side_does_not_take_is_repaired)
{
    arrange(FAULT_KIND, authorities[_i]);
    makers[!_i].mood = WRITES_NOTHING;
    assert_ok(create_as("op"));
    ck_assert(result.pending);
    ck_assert_str_eq(result.key, "made-1");
    makers[!_i].mood = WELL;
    ck_assert_uint_eq(come_to_rest(), 1); /* its time need not end first */
    assert_both_have("made-1");
    leave();
}
END_TEST

START_TEST(an_intent_that_cannot_be_written_creates_nothing)
{
    arrange(FAULT_KIND, FLAGVER_STAGE_SHADOW);
    write_text(route, "k", "v"); /* with a lease the intent is all there is to write */
    come_to_rest();
    flagver_fault_fail(fault, FLAGVER_FAULT_APPLY, 1, FLAGVER_EIO, true);
    assert_fails(FLAGVER_EIO, create_as("op"));
    ck_assert_int_eq(makers[OLD].made_count, 0);
    flagver_fault_reset(fault);
    ck_assert_uint_eq(take_steps(route).waiting, 0);
    leave();
}
END_TEST

static void break_store(void)
{
    flagver_fault_fail(fault, FLAGVER_FAULT_APPLY, 1, FLAGVER_EIO, true);
}

START_TEST(a_key_that_cannot_be_written_down_is_found_again)
{
    arrange(FAULT_KIND, FLAGVER_STAGE_SHADOW);
    makers[OLD].meanwhile = break_store;
    assert_fails(FLAGVER_EIO, create_as("op"));
    ck_assert_ptr_null(result.key);
    flagver_fault_reset(fault);
    ck_assert_uint_eq(makers[NEW].table.count, 0);
    let_time_pass();
    ck_assert_uint_eq(come_to_rest(), 1);
    assert_both_have("made-1");
    leave();
}
END_TEST

static const struct {
    int returns;
    const char *gives;
} nonsense[] = { { FLAGVER_EUNAVAILABLE, NULL }, { 7, NULL }, { 0, "" }, { 0, "with\nlines" } };

/* A record that was made is not given up because its side cannot be asked, or talks nonsense. */
START_TEST(who_cannot_say_what_was_created_is_asked_again)
{
    flagver_route_progress progress;

    arrange(FAULT_KIND, FLAGVER_STAGE_SHADOW);
    makers[OLD].find_returns = nonsense[_i].returns;
    makers[OLD].find_gives = nonsense[_i].gives;
    makers[OLD].mood = LOSES_ANSWERS;
    assert_fails(FLAGVER_EUNAVAILABLE, create_as("op"));
    makers[OLD].mood = WELL;
    let_time_pass();
    while (makers[OLD].finds < 2) {
        progress = take_steps(route);
        ck_assert_uint_eq(progress.waiting, 1);
        usleep(20000);
    }
    ck_assert_uint_eq(progress.unrepaired, 1);
    makers[OLD].find_returns = 0;
    makers[OLD].find_gives = NULL;
    ck_assert_uint_eq(come_to_rest(), 1);
    assert_both_have("made-1");
    leave();
}
END_TEST

/* ---- crashes ---- */

static const struct {
    int side; /* that takes the process with it */
    enum mood mood;
    bool creates;
} crashes[] = { { OLD, DIES_BEFORE, false },
                { OLD, DIES_AFTER, true },
                { NEW, DIES_BEFORE, true },
                { NEW, DIES_AFTER, true } };

START_TEST(whenever_a_process_dies_both_sides_are_equal_in_the_end)
{
    int status;
    pid_t child;

    arrange(FAULT_KIND + 1, FLAGVER_STAGE_SHADOW);
    makers[crashes[_i].side].mood = crashes[_i].mood;
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(30);
        if (flagver_client_reopen(client, &error) != 0)
            _exit(1);
        route = open_another();
        create_as(NULL);
        _exit(2);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    makers[crashes[_i].side].mood = WELL;
    ck_assert_uint_eq(take_steps(route).waiting, 1);
    let_time_pass();
    ck_assert_uint_eq(come_to_rest(), crashes[_i].creates);
    if (crashes[_i].creates)
        assert_both_have("made-1");
    else
        assert_nobody_has_any();
    leave();
}
END_TEST

/* ---- meanwhile ---- */

static const flagver_route_change at_once = { .size = sizeof at_once,
                                              .forced = "a test",
                                              .wait_ms = 1 };

START_TEST(the_authority_does_not_change_before_it_is_known_what_was_created)
{
    arrange(FAULT_KIND, FLAGVER_STAGE_SHADOW);
    makers[OLD].mood = LOSES_ANSWERS;
    assert_fails(FLAGVER_EUNAVAILABLE, create_as("op"));
    makers[OLD].mood = WELL;
    assert_fails(FLAGVER_EBUSY,
                 flagver_route_stage(route, &alice, FLAGVER_STAGE_LIVE, &at_once, &error));
    ck_assert_ptr_null(table_get(&makers[NEW].table, "made-1"));
    let_time_pass();
    while (!take_steps(route).settled)
        usleep(20000);
    assert_both_have("made-1");
    leave();
}
END_TEST

/* By another route, as by another process. */
static void begin_flip(void)
{
    flagver_route *other = open_another();

    assert_fails(FLAGVER_EBUSY,
                 flagver_route_stage(other, &alice, FLAGVER_STAGE_LIVE, &at_once, &error));
    close_route(other);
}

START_TEST(a_creation_that_a_flip_has_overtaken_is_finished_before_that)
{
    arrange(FAULT_KIND + 1, FLAGVER_STAGE_SHADOW);
    makers[OLD].meanwhile = begin_flip;
    assert_ok(create_as("op"));
    ck_assert_str_eq(result.key, "made-1");
    ck_assert_int_eq(result.side, OLD);
    assert_both_have("made-1");
    while (!take_steps(route).settled)
        usleep(20000);
    ck_assert_int_eq(take_steps(route).stage, FLAGVER_STAGE_LIVE);
    assert_both_have("made-1");
    leave();
}
END_TEST

static void lose_intent(void)
{
    sqlite3 *db = open_rows();

    ck_assert_int_eq(sqlite3_exec(db, "DELETE FROM flagver_keyed WHERE space = 'route.intent'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

/* As if a repair had asked for the record before the side has made it. */
START_TEST(what_comes_after_its_lease_is_left_to_a_repair)
{
    arrange(FAULT_KIND + 1, FLAGVER_STAGE_SHADOW);
    makers[OLD].meanwhile = lose_intent;
    assert_ok(create_as("op"));
    ck_assert(result.pending);
    ck_assert_str_eq(result.key, "made-1");
    ck_assert_uint_eq(makers[NEW].table.count, 0);
    ck_assert_uint_eq(come_to_rest(), 1);
    assert_both_have("made-1");
    leave();
}
END_TEST

static void lose_intent_to_flip(void)
{
    lose_intent();
    begin_flip();
}

START_TEST(what_comes_after_its_lease_and_in_a_flip_is_not_acknowledged)
{
    arrange(FAULT_KIND + 1, FLAGVER_STAGE_SHADOW);
    makers[OLD].meanwhile = lose_intent_to_flip;
    assert_fails(FLAGVER_ETIMEDOUT, create_as("op"));
    assert_words("made-1");
    ck_assert_ptr_null(result.key);
    leave();
}
END_TEST

/* ---- many at once ---- */

#define THREADS 4
#define EACH 10

static void *create_some(void *unused)
{
    flagver_error problem;

    (void)unused;
    for (int i = 0; i < EACH; i++) {
        pthread_mutex_lock(&making);
        makers[NEW].mood = i % 3 == 1 ? WRITES_NOTHING : WELL;
        pthread_mutex_unlock(&making);
        if (flagver_route_write(route, NULL, "Ada", 3, NULL, NULL, &problem) < 0)
            return "a creation has failed";
    }
    return NULL;
}

START_TEST(many_create_at_once_while_others_repair)
{
    flagver_side sides[2];
    pthread_t threads[THREADS];
    void *complaint;

    arrange(FAULT_KIND + 1, FLAGVER_STAGE_SHADOW);
    close_route(route);
    for (int side = OLD; side <= NEW; side++) {
        sides[side] = side_of(side);
        sides[side].scan = NULL; /* what copies could not write would be left alone for longer */
    }
    route = open_route(client, "users", sides[OLD], sides[NEW], (flagver_route_options){ 0 });
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, create_some, NULL), 0);
    for (int i = 0; i < 10; i++) /* what the new side refuses just then it takes later */
        flagver_route_step(route, 1000, NULL, NULL);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &complaint);
        ck_assert_msg(!complaint, "%s", (const char *)complaint);
    }
    makers[NEW].mood = WELL;
    come_to_rest();
    ck_assert_uint_eq(makers[OLD].table.count, THREADS * EACH);
    ck_assert_uint_eq(makers[NEW].table.count, THREADS * EACH);
    leave();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("records whose keys sides make");
    TCase *tests = add_store_tcase(suite, "creations"), *forks = add_store_tcase(suite, "fork");

    tcase_set_tags(forks, "fork"); /* valgrind leaves it out: what a child leaves is its parent's */
    tcase_add_loop_test(forks, whenever_a_process_dies_both_sides_are_equal_in_the_end, 0,
                        COUNT(crashes));
    tcase_add_loop_test(tests, what_the_authority_creates_the_other_side_gets_under_that_key, 0, 2);
    tcase_add_test(tests, while_one_side_is_written_nothing_is_remembered);
    tcase_add_test(tests, a_side_that_cannot_find_creates_nothing);
    tcase_add_test(tests, what_an_authority_that_fails_has_not_created_is_forgotten);
    tcase_add_loop_test(tests, what_an_authority_that_fails_has_created_is_found_and_brought_over,
                        0, 2);
    tcase_add_loop_test(tests, a_comparison_may_amend_what_is_not_known_yet_to_have_been_created, 0,
                        2);
    tcase_add_test(tests, who_tries_again_gets_the_record_that_was_made);
    tcase_add_loop_test(tests, what_the_other_side_does_not_take_is_repaired, 0, 2);
    tcase_add_test(tests, an_intent_that_cannot_be_written_creates_nothing);
    tcase_add_test(tests, a_key_that_cannot_be_written_down_is_found_again);
    tcase_add_loop_test(tests, who_cannot_say_what_was_created_is_asked_again, 0, COUNT(nonsense));
    tcase_add_test(tests, the_authority_does_not_change_before_it_is_known_what_was_created);
    tcase_add_test(tests, a_creation_that_a_flip_has_overtaken_is_finished_before_that);
    tcase_add_test(tests, what_comes_after_its_lease_is_left_to_a_repair);
    tcase_add_test(tests, many_create_at_once_while_others_repair);
    tcase_add_test(tests, what_comes_after_its_lease_and_in_a_flip_is_not_acknowledged);
    return run_store_suite(suite);
}
