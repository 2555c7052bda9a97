/*
 * Stores that tell of changes: whoever waits for the next look at one looks as soon as it
 * tells, and a store that tells too much keeps nobody busy.
 */
#define _GNU_SOURCE /* mkdtemp, nanosleep, pipe2 */
#include "stores.h"
#include "waiting.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>

#define NEVER (24 * 3600 * 1000) /* no test takes that long */

/* ---- a driver that tells: SQLite's, and a pipe for each store ---- */

#define STORES 16

static flagver_driver teller;
static struct tube {
    _Atomic(flagver_store *) store;
    int ends[2];
} tubes[STORES];
static atomic_int tube_count, asked; /* how often for changes */
static atomic_bool deaf, silent;     /* deaf: the pipe is not emptied; silent: there is none */
static atomic_int fails;             /* a code for `changes` */

static int open_teller(const flagver_driver_config *config, flagver_store **ret_store,
                       flagver_error *err)
{
    int number = tube_count++, r;

    ck_assert_int_lt(number, STORES);
    ck_assert_int_eq(pipe2(tubes[number].ends, O_CLOEXEC | O_NONBLOCK), 0);
    r = fv_sqlite_driver.open(config, ret_store, err);
    if (r == 0)
        tubes[number].store = *ret_store;
    return r;
}

static struct tube *tube_of(const flagver_store *store)
{
    int i;

    for (i = 0; i < tube_count; i++)
        if (tubes[i].store == store)
            return &tubes[i];
    ck_abort_msg("a store that nobody has opened");
    return NULL;
}

/* As the contract has it: descriptors go with their store. */
static void close_teller(flagver_store *store)
{
    struct tube *tube = tube_of(store);

    close(tube->ends[0]);
    close(tube->ends[1]);
    tube->store = NULL;
    fv_sqlite_driver.close(store);
}

static int changes_of_teller(flagver_store *store, flagver_bytes tenant, uint64_t *ret_size,
                             flagver_error *err)
{
    char bytes[64];

    asked++;
    while (!deaf && read(tube_of(store)->ends[0], bytes, sizeof bytes) > 0)
        continue;
    if (!fails)
        return fv_sqlite_driver.changes(store, tenant, ret_size, err);
    if (err)
        *err = (flagver_error){ .code = fails, .message = "it is away" };
    return fails;
}

static int watch_teller(flagver_store *store)
{
    return silent ? -1 : tube_of(store)->ends[0];
}

static void tell(int number)
{
    ck_assert_int_eq(write(tubes[number].ends[1], "!", 1), 1);
}

static char path[128]; /* the same in a child */

static void set_up(void)
{
    snprintf(path, sizeof path, "%s", file_named("store"));
    teller = fv_sqlite_driver;
    teller.name = "teller";
    teller.open = open_teller;
    teller.close = close_teller;
    teller.changes = changes_of_teller;
    teller.watch_fd = watch_teller;
    tube_count = asked = fails = 0;
    deaf = silent = false;
    assert_ok(flagver_driver_register(&teller, &error));
}

static flagver_client *open_teller_with(int background, int poll_ms)
{
    flagver_options options = quiet_options();
    flagver_client *client = NULL;
    char uri[160];

    snprintf(uri, sizeof uri, "teller:%s", path);
    options.background = background;
    options.poll_ms = poll_ms;
    assert_ok(flagver_open(uri, &options, &client, &error));
    return client;
}

/* Somebody else changes the flag, and the store does not tell by itself. */
static void change_elsewhere(const char *tenant, int value)
{
    flagver_options options = quiet_options();
    flagver_client *client = NULL;
    char uri[160], json[96];

    options.tenant = tenant;
    snprintf(uri, sizeof uri, "sqlite:%s", path);
    snprintf(json, sizeof json, "{'type':'integer','variants':{'v':%d},'default':'v'}", value);
    assert_ok(flagver_open(uri, &options, &client, &error));
    put_flag(client, "f", json);
    flagver_close(client);
}

static int64_t value_of(flagver_client *client)
{
    return flagver_flag_int(client, "f", NULL, -1);
}

/* The client has begun, for which it looks once, and its thread, which looks again; it looks at nothing any more. */
static void settle(void)
{
    int before;

    wait_until(asked > 1);
    do {
        before = asked;
        rest(40);
    } while (asked != before);
}

/* ---- the refresher ---- */

START_TEST(a_client_looks_at_once_when_the_store_tells)
{
    flagver_client *client = open_teller_with(1, NEVER);
    int before, i;

    settle();
    for (i = 1; i <= 3; i++) {
        before = asked;
        change_elsewhere(NULL, i);
        rest(30);
        ck_assert_int_eq(asked, before);
        tell(0);
        wait_until(value_of(client) == i);
    }
    flagver_close(client);
}
END_TEST

START_TEST(a_commit_of_ones_own_wakes_it_as_ever)
{
    flagver_client *client = open_teller_with(1, NEVER);

    put_flag(client, "f", VALUE(5));
    wait_until(value_of(client) == 5);
    flagver_close(client);
}
END_TEST

START_TEST(what_it_misses_is_found_by_asking)
{
    flagver_client *client = open_teller_with(1, 30);

    change_elsewhere(NULL, 4);
    wait_until(value_of(client) == 4);
    silent = true;
    change_elsewhere(NULL, 5);
    wait_until(value_of(client) == 5);
    flagver_close(client);
}
END_TEST

START_TEST(a_descriptor_that_comes_later_counts_from_then_on)
{
    flagver_client *client;

    silent = true;
    client = open_teller_with(1, NEVER);
    settle();
    silent = false;
    put_flag(client, "f", VALUE(1)); /* a reason to look */
    wait_until(value_of(client) == 1);
    settle();
    change_elsewhere(NULL, 2);
    tell(0);
    wait_until(value_of(client) == 2);
    flagver_close(client);
}
END_TEST

static int64_t now_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* As with a driver that breaks its contract: 20 ms lie between two looks, however long they take. */
START_TEST(a_store_that_does_not_stop_telling_keeps_nobody_busy)
{
    flagver_client *client = open_teller_with(1, NEVER);
    int64_t begun;
    int before;

    settle();
    deaf = true;
    fails = _i ? FLAGVER_EUNAVAILABLE : 0;
    before = asked;
    begun = now_ms();
    tell(0);
    wait_until(asked > before);
    rest(200);
    ck_assert_int_le(asked - before, 2 + (now_ms() - begun) / 20);
    flagver_close(client);
}
END_TEST

START_TEST(a_store_that_is_away_is_looked_at_when_it_tells)
{
    flagver_client *client = open_teller_with(1, NEVER);

    settle();
    fails = FLAGVER_EUNAVAILABLE;
    change_elsewhere(NULL, 8);
    tell(0);
    settle();
    ck_assert_int_eq(value_of(client), -1);
    fails = 0;
    tell(0);
    wait_until(value_of(client) == 8);
    flagver_close(client);
}
END_TEST

/* One of them empties the pipe; the others are woken all the same. */
START_TEST(all_tenants_of_a_store_hear_it)
{
    const char *const names[] = { "one", "two", "three", "four" };
    flagver_client *first = open_teller_with(1, NEVER), *clients[4];
    int i, round;

    for (i = 0; i < 4; i++)
        assert_ok(flagver_client_tenant(first, names[i], &clients[i], &error));
    settle();
    ck_assert_int_eq(tube_count, 1);
    for (round = 1; round <= 5; round++) {
        for (i = 0; i < 4; i++)
            change_elsewhere(names[i], round);
        tell(0);
        for (i = 0; i < 4; i++)
            wait_until(value_of(clients[i]) == round);
    }
    for (i = 0; i < 4; i++)
        flagver_close(clients[i]);
    flagver_close(first);
}
END_TEST

START_TEST(a_store_that_is_opened_again_is_listened_to)
{
    flagver_client *client = open_teller_with(1, NEVER);

    settle();
    assert_ok(flagver_client_reopen(client, &error));
    ck_assert_int_eq(tube_count, 2);
    settle();
    change_elsewhere(NULL, 3);
    tell(1);
    wait_until(value_of(client) == 3);
    flagver_close(client);
}
END_TEST

/* ---- how often ---- */

START_TEST(a_store_that_tells_is_asked_half_as_often)
{
    flagver_client *told = open_teller_with(0, 0), *asking = open_store(FAULT_KIND),
                   *chosen = open_teller_with(0, 77);

    ck_assert_int_eq(told->stored->poll_ms, 500);
    ck_assert_int_eq(asking->stored->poll_ms, 250);
    ck_assert_int_eq(chosen->stored->poll_ms, 77);
    flagver_close(told);
    flagver_close(asking);
    flagver_close(chosen);
}
END_TEST

/* ---- the host's own loop ---- */

static bool is_readable(int descriptor, int timeout_ms)
{
    struct pollfd entry = { .fd = descriptor, .events = POLLIN };

    return poll(&entry, 1, timeout_ms) == 1 && entry.revents & POLLIN;
}

START_TEST(a_clients_descriptor_is_readable_when_the_store_tells)
{
    flagver_client *client = open_teller_with(0, NEVER);
    int descriptor = flagver_client_fd(client, &error), i;

    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(flagver_client_fd(client, &error), descriptor);
    for (i = 1; i <= 3; i++) {
        ck_assert(!is_readable(descriptor, 0));
        change_elsewhere(NULL, i);
        tell(0);
        ck_assert(is_readable(descriptor, 20000));
        assert_ok(flagver_client_refresh(client, &error));
        ck_assert_int_eq(value_of(client), i);
    }
    ck_assert(!is_readable(descriptor, 0));
    flagver_close(client);
}
END_TEST

START_TEST(it_can_be_held_by_another_epoll_descriptor)
{
    flagver_client *client = open_teller_with(0, NEVER);
    struct epoll_event event = { .events = EPOLLIN };
    int loop = epoll_create1(EPOLL_CLOEXEC);

    ck_assert_int_eq(epoll_ctl(loop, EPOLL_CTL_ADD, flagver_client_fd(client, &error), &event), 0);
    ck_assert_int_eq(epoll_wait(loop, &event, 1, 0), 0);
    tell(0);
    ck_assert_int_eq(epoll_wait(loop, &event, 1, 20000), 1);
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert_int_eq(epoll_wait(loop, &event, 1, 0), 0);
    close(loop);
    flagver_close(client);
}
END_TEST

START_TEST(it_is_readable_when_the_time_is_up_too)
{
    flagver_client *client = open_teller_with(0, 200);
    int descriptor = flagver_client_fd(client, &error);

    ck_assert(is_readable(descriptor, 20000));
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert(is_readable(descriptor, 20000));
    flagver_close(client);
}
END_TEST

START_TEST(a_failed_refresh_makes_it_rest)
{
    flagver_client *client = open_teller_with(0, NEVER);
    int descriptor = flagver_client_fd(client, &error);

    tell(0);
    fails = FLAGVER_EUNAVAILABLE;
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_client_refresh(client, &error));
    ck_assert(!is_readable(descriptor, 0));
    flagver_close(client);
}
END_TEST

START_TEST(what_the_store_gets_later_is_in_it_after_a_refresh)
{
    flagver_client *client;
    int descriptor;

    silent = true;
    client = open_teller_with(0, NEVER);
    descriptor = flagver_client_fd(client, &error);
    tell(0);
    ck_assert(!is_readable(descriptor, 0));
    assert_ok(flagver_client_refresh(client, &error)); /* empties the pipe */
    silent = false;
    assert_ok(flagver_client_refresh(client, &error));
    tell(0);
    ck_assert(is_readable(descriptor, 20000));
    flagver_close(client);
}
END_TEST

START_TEST(it_stays_the_same_when_the_store_is_opened_again)
{
    flagver_client *client = open_teller_with(0, NEVER);
    int descriptor = flagver_client_fd(client, &error), i;

    for (i = 1; i <= 4; i++) {
        assert_ok(flagver_client_reopen(client, &error));
        ck_assert_int_eq(flagver_client_fd(client, &error), descriptor);
        ck_assert(!is_readable(descriptor, 0));
        tell(i);
        ck_assert(is_readable(descriptor, 20000));
        assert_ok(flagver_client_refresh(client, &error));
    }
    flagver_close(client);
}
END_TEST

/* ---- fork ---- */

#define require(condition)               \
    do {                                 \
        if (!(condition))                \
            _exit(100 + __LINE__ % 100); \
    } while (0)

static void watch_in_child(flagver_client *client, int descriptor)
{
    require(flagver_client_refresh(client, &error) == FLAGVER_EFORKED);
    require(flagver_client_reopen(client, &error) == 0);
    require(flagver_client_fd(client, &error) == descriptor);
    require(tube_count == 2);
    require(!is_readable(descriptor, 0));
    require(write(tubes[0].ends[1], "!", 1) == 1); /* the parent's */
    require(!is_readable(descriptor, 0));
    require(write(tubes[1].ends[1], "!", 1) == 1);
    require(is_readable(descriptor, 20000));
    require(flagver_client_refresh(client, &error) == 0);
    require(!is_readable(descriptor, 0));
    flagver_close(client);
    _exit(0);
}

static void await_child(pid_t child)
{
    int status = 0;

    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child: %#x",
                  (unsigned)status);
}

START_TEST(a_child_has_a_descriptor_of_its_own)
{
    flagver_client *client = open_teller_with(0, NEVER);
    int descriptor = flagver_client_fd(client, &error);
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0)
        watch_in_child(client, descriptor);
    await_child(child);
    ck_assert(is_readable(descriptor, 0)); /* the child wrote, and did not take */
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert(!is_readable(descriptor, 0));
    tell(0);
    ck_assert(is_readable(descriptor, 0));
    flagver_close(client);
}
END_TEST

static void be_woken_in_child(flagver_client *client)
{
    int left = 4000;

    require(flagver_client_reopen(client, &error) == 0);
    change_elsewhere(NULL, 6);
    for (; left > 0 && value_of(client) != 6; left--) {
        require(write(tubes[1].ends[1], "!", 1) == 1);
        rest(5);
    }
    require(left > 0);
    flagver_close(client);
    _exit(0);
}

START_TEST(a_childs_refresher_does_not_wake_its_parents)
{
    flagver_client *client = open_teller_with(1, NEVER);
    pid_t child;
    int before;

    settle();
    before = asked;
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        be_woken_in_child(client);
    await_child(child);
    rest(30);
    ck_assert_int_eq(asked, before);
    tell(0);
    wait_until(value_of(client) == 6);
    flagver_close(client);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = add_store_tcase(suite, name);

    tcase_add_checked_fixture(tcase, set_up, NULL);
    return tcase;
}

static Suite *watch_suite(void)
{
    Suite *suite = suite_create("watch");
    TCase *tcase;

    tcase = add_case(suite, "refresher");
    tcase_add_test(tcase, a_client_looks_at_once_when_the_store_tells);
    tcase_add_test(tcase, a_commit_of_ones_own_wakes_it_as_ever);
    tcase_add_test(tcase, what_it_misses_is_found_by_asking);
    tcase_add_test(tcase, a_descriptor_that_comes_later_counts_from_then_on);
    tcase_add_loop_test(tcase, a_store_that_does_not_stop_telling_keeps_nobody_busy, 0, 2);
    tcase_add_test(tcase, a_store_that_is_away_is_looked_at_when_it_tells);
    tcase_add_test(tcase, all_tenants_of_a_store_hear_it);
    tcase_add_test(tcase, a_store_that_is_opened_again_is_listened_to);
    tcase_add_test(tcase, a_store_that_tells_is_asked_half_as_often);

    tcase = add_case(suite, "descriptor");
    tcase_add_test(tcase, a_clients_descriptor_is_readable_when_the_store_tells);
    tcase_add_test(tcase, it_can_be_held_by_another_epoll_descriptor);
    tcase_add_test(tcase, it_is_readable_when_the_time_is_up_too);
    tcase_add_test(tcase, a_failed_refresh_makes_it_rest);
    tcase_add_test(tcase, what_the_store_gets_later_is_in_it_after_a_refresh);
    tcase_add_test(tcase, it_stays_the_same_when_the_store_is_opened_again);

    tcase = add_case(suite, "fork");
    tcase_set_tags(tcase, "fork"); /* valgrind leaves it out */
    tcase_add_test(tcase, a_child_has_a_descriptor_of_its_own);
    tcase_add_test(tcase, a_childs_refresher_does_not_wake_its_parents);
    return suite;
}

int main(void)
{
    return run_store_suite(watch_suite());
}
