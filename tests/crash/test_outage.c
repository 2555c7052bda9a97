/*
 * The store goes away under a client that refreshes itself: it is locked, moved,
 * deleted, replaced, read-only, the disk is full. Flags are evaluated all the time, as
 * they were last; health says what is wrong; nothing that was acknowledged is lost; and
 * when the cause is gone it works again by itself.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define POLL_MS 20
#define WAIT_MS 200
#define DEADLINE_MS 10000 /* of what should take less than a second */
#define NOBODY 65534

#include "crash/outage.h"

static const flagver_actor actor = { .size = sizeof actor, .id = "outage" };
static flagver_error problem;

static struct place place;

/* ---- writing ---- */

static int put(flagver_txn *txn, uint32_t *ret_no)
{
    static const char json[] = "{\"type\":\"boolean\",\"percentage\":100}";

    return flagver_flag_put(txn, "flag", json, sizeof json - 1, NULL, ret_no, &problem);
}

/* One try, without the patience of flagver_txn_run(). */
static int write_with(flagver_client *writer, uint32_t *ret_no)
{
    flagver_txn *txn;
    int r;

    r = flagver_txn_begin(writer, &actor, NULL, &txn, &problem);
    if (r < 0)
        return r;
    r = put(txn, ret_no);
    if (r == 0)
        r = flagver_txn_commit(txn, &problem);
    flagver_txn_free(txn);
    return r;
}

static int write_once(void)
{
    uint32_t no = 0;
    int r = write_with(client, &no);

    if (r == 0)
        acknowledged = no;
    return r;
}

/* ---- beginning and ending ---- */

static void open_client(const char *cache_file)
{
    const flagver_options options = { .size = sizeof options,
                                      .background = 1,
                                      .poll_ms = POLL_MS,
                                      .wait_ms = WAIT_MS,
                                      .cache_file = cache_file };

    assert_ok(flagver_open(place.uri, &options, &client, &error));
    assert_ok(write_once());
    await(serves_the_latest);
    start_evaluating();
}

/* A file beside the store, whose name begins with that of the store. */
static const char *beside(const char *suffix)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s%s", place.path, suffix);
    return path;
}

static void begin(void)
{
    place = place_new();
    open_client(NULL);
}

/* All is well again, by itself, and nothing is lost. */
static void assert_recovered(void)
{
    await(is_well);
    assert_ok(write_once());
    await(serves_the_latest);
    assert_evaluating();
    ck_assert(holds(client));
}

static void assert_nothing_lost(void)
{
    struct held held;

    ck_assert(held_read(client, &held));
    ck_assert_uint_eq(held_find(&held, FLAGVER_PHASE_FLAG, "flag")->count, acknowledged);
    held_free(&held);
}

static void end(void)
{
    assert_recovered();
    assert_nothing_lost();
    stop_evaluating();
    flagver_close(client);
    ck_assert(schema_holds(place.uri));
    place_remove(&place);
}

/* ---- other processes ---- */

/* It is started before this process opens a store, and writes whenever it is told to. */
static int channel[2];

static int write_when_told(void *unused)
{
    flagver_client *other;
    uint32_t no;
    char byte;

    (void)unused;
    close(channel[0]);
    if (read(channel[1], &byte, 1) != 1 || flagver_open(place.uri, NULL, &other, &problem) < 0)
        return 1;
    do {
        if (write_with(other, &no) < 0)
            return !complain("the other process: %s", problem.message);
        if (write(channel[1], &no, sizeof no) != sizeof no)
            return 1;
    } while (read(channel[1], &byte, 1) == 1);
    flagver_close(other);
    return 0;
}

static pid_t start_neighbour(void)
{
    pid_t child;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, channel), 0);
    child = start(write_when_told, NULL);
    close(channel[1]);
    return child;
}

static void let_neighbour_write(void)
{
    ck_assert_int_eq(write(channel[0], "w", 1), 1);
    ck_assert_int_eq(read(channel[0], &acknowledged, sizeof acknowledged), sizeof acknowledged);
}

static void end_neighbour(pid_t child)
{
    close(channel[0]);
    ck_assert_int_eq(finish(child), 0);
}

START_TEST(what_another_process_changes_is_soon_served)
{
    const flagver_options options = { .size = sizeof options, .background = 1 };
    double begun, took, worst = 0, sum = 0;
    pid_t neighbour;
    int i;

    place = place_new();
    neighbour = start_neighbour();
    assert_ok(flagver_open(place.uri, &options, &client, &error));
    for (i = 0; i < 20; i++) {
        pause_us(i * 10000);
        let_neighbour_write();
        begun = now_ms();
        await(serves_the_latest);
        took = now_ms() - begun;
        sum += took;
        if (took > worst)
            worst = took;
    }
    measured("a change of another process is served after %.0f ms, at most %.0f ms", sum / i,
             worst);
    end_neighbour(neighbour);
    flagver_close(client);
    place_remove(&place);
}
END_TEST

/* ---- locked ---- */

static void execute(sqlite3 *db, const char *sql)
{
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
}

static const char *const locks[] = { "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE" };

START_TEST(while_others_have_it_locked_flags_are_read)
{
    sqlite3 *db;

    begin();
    ck_assert_int_eq(sqlite3_open(place.path, &db), SQLITE_OK);
    execute(db, locks[_i]);
    ck_assert_int_eq(write_once(), FLAGVER_EBUSY);
    assert_evaluating();
    ck_assert(is_well());
    execute(db, "ROLLBACK");
    sqlite3_close(db);
    end();
}
END_TEST

/* ---- moved, deleted, replaced ---- */

static void assert_outage(void)
{
    await(is_unavailable);
    ck_assert_int_eq(write_once(), FLAGVER_EUNAVAILABLE);
    assert_evaluating();
    ck_assert_int_eq(served(), acknowledged);
}

START_TEST(a_store_that_is_moved_away_may_come_back)
{
    int i;

    begin();
    for (i = 0; i < 5; i++) {
        ck_assert_int_eq(rename(place.path, beside("-away")), 0);
        assert_outage();
        ck_assert(!is_there(place.path));
        ck_assert_int_eq(rename(beside("-away"), place.path), 0);
        assert_recovered();
    }
    end();
}
END_TEST

START_TEST(a_directory_that_is_moved_away_may_come_back)
{
    char away[80];

    begin();
    snprintf(away, sizeof away, "%s-away", place.directory);
    ck_assert_int_eq(rename(place.directory, away), 0);
    assert_outage();
    ck_assert_int_eq(rename(away, place.directory), 0);
    end();
}
END_TEST

START_TEST(a_store_that_is_deleted_is_not_made_anew)
{
    begin();
    ck_assert_int_eq(unlink(place.path), 0);
    assert_outage();
    ck_assert(!is_there(place.path));
    stop_evaluating();
    flagver_close(client);
    ck_assert(!is_there(place.path));
    place_remove(&place);
}
END_TEST

/* A sound copy of the store, with all that is in its log, beside it as "copy". */
static void copy_store(void)
{
    char statement[160];
    sqlite3 *db;

    snprintf(statement, sizeof statement, "VACUUM INTO '%s'", beside("-copy"));
    ck_assert_int_eq(sqlite3_open(place.path, &db), SQLITE_OK);
    execute(db, statement);
    sqlite3_close(db);
}

static void remove_log(void)
{
    unlink(beside("-wal"));
    unlink(beside("-shm"));
}

START_TEST(a_copy_takes_the_place_of_the_store)
{
    int i;

    begin();
    for (i = 0; i < 5; i++) {
        copy_store();
        remove_log();
        ck_assert_int_eq(rename(beside("-copy"), place.path), 0);
        assert_recovered();
    }
    end();
}
END_TEST

/* An older copy: what was written since is gone with the file, not lost by us. */
START_TEST(an_older_copy_is_followed)
{
    begin();
    copy_store();
    assert_ok(write_once());
    assert_ok(write_once());
    await(serves_the_latest);
    atomic_store(&may_fall, true);
    remove_log();
    ck_assert_int_eq(rename(beside("-copy"), place.path), 0);
    acknowledged -= 2;
    await(serves_the_latest);
    end();
}
END_TEST

/* With the log of the file before beside it a copy would be destroyed; all who find it set it aside. */
START_TEST(a_copy_moved_over_the_store_is_followed_without_the_old_log)
{
    pid_t neighbour;
    int i;

    place = place_new();
    neighbour = start_neighbour();
    open_client(NULL);
    atomic_store(&may_fall, true);
    for (i = 0; i < 5; i++) {
        let_neighbour_write();
        copy_store();
        assert_ok(write_once());
        assert_ok(write_once());
        await(serves_the_latest);
        pause_us(20000); /* as between two commands */
        ck_assert_int_eq(rename(beside("-copy"), place.path), 0);
        acknowledged -= 2;
        if (i % 2)
            let_neighbour_write();
        await(serves_the_latest);
        ck_assert(is_there(beside("-wal.replaced")));
    }
    let_neighbour_write();
    await(serves_the_latest);
    end_neighbour(neighbour);
    end();
}
END_TEST

START_TEST(a_copy_beside_a_log_that_somebody_writes_is_not_touched)
{
    struct timespec later[2];

    begin();
    copy_store();
    clock_gettime(CLOCK_REALTIME, &later[0]);
    later[0].tv_sec += 60; /* after the copy has come */
    later[1] = later[0];
    ck_assert_int_eq(utimensat(AT_FDCWD, beside("-wal"), later, 0), 0);
    ck_assert_int_eq(rename(beside("-copy"), place.path), 0);
    assert_outage();
    remove_log();
    end();
}
END_TEST

static void make_another_store(uint32_t versions)
{
    flagver_client *other;
    char uri[160];
    uint32_t no = 0;

    snprintf(uri, sizeof uri, "sqlite:%s", beside("-other"));
    assert_ok(flagver_open(uri, NULL, &other, &error));
    while (no < versions)
        assert_ok(write_with(other, &no));
    flagver_close(other);
}

START_TEST(another_store_is_taken_only_when_the_host_says_so)
{
    begin();
    make_another_store(7);
    remove_log();
    ck_assert_int_eq(rename(beside("-other"), place.path), 0);
    assert_outage();
    atomic_store(&may_fall, true);
    assert_ok(flagver_client_reopen(client, &error));
    acknowledged = 7;
    await(serves_the_latest);
    end();
}
END_TEST

static bool is_stale(void)
{
    return health_has("\"status\":\"stale\"");
}

START_TEST(what_is_no_store_is_not_taken_for_one)
{
    static const char words[] = "this is no database, and long enough for that to be seen at once";
    FILE *file;

    begin();
    ck_assert_int_eq(rename(place.path, beside("-away")), 0);
    ck_assert_ptr_nonnull((file = fopen(place.path, "w")));
    fputs(words, file);
    fclose(file);
    await(is_stale);
    ck_assert_int_lt(write_once(), 0);
    assert_evaluating();
    ck_assert_int_eq(rename(beside("-away"), place.path), 0);
    end();
}
END_TEST

static void bridge_an_outage(void)
{
    const flagver_options options = {
        .size = sizeof options, .background = 1, .poll_ms = POLL_MS, .cache_file = beside("-cache")
    };

    assert_ok(flagver_open(place.uri, NULL, &client, &error));
    assert_ok(write_once());
    flagver_close(client);
    assert_ok(flagver_open(place.uri, &options, &client, &error));
    flagver_close(client);
    ck_assert(is_there(beside("-cache")));

    ck_assert_int_eq(rename(place.path, beside("-away")), 0);
    ck_assert_int_eq(mkdir(place.path, 0700), 0);
    assert_ok(flagver_open(place.uri, &options, &client, &error));
    start_evaluating();
    assert_outage();
    ck_assert_int_eq(rmdir(place.path), 0);
    ck_assert_int_eq(rename(beside("-away"), place.path), 0);
    end();
}

START_TEST(a_cache_file_bridges_an_outage_at_the_start)
{
    place = place_new();
    bridge_an_outage();
}
END_TEST

/* ---- read-only ---- */

static void make_read_only(bool read_only)
{
    chmod(place.path, read_only ? 0444 : 0600);
    chmod(beside("-wal"), read_only ? 0444 : 0600);
    chmod(beside("-shm"), read_only ? 0444 : 0600);
    chmod(place.directory, read_only ? 0555 : 0700);
}

/* Root may write whatever the mode says. */
static bool become_nobody(void)
{
    if (geteuid() != 0)
        return true;
    if (chown(place.directory, NOBODY, NOBODY) < 0 || setgroups(0, NULL) < 0 ||
        setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0) {
        printf("SKIPPED: the test cannot become another user: %s\n", strerror(errno));
        return false;
    }
    return true;
}

/* Who has it open already may go on writing; who comes now may not, and is told. */
START_TEST(files_that_may_not_be_written_are_read)
{
    flagver_client *other = NULL;
    uint32_t no;
    int r;

    place = place_new();
    if (!become_nobody()) {
        place_remove(&place);
        return;
    }
    open_client(NULL);
    make_read_only(true);
    r = flagver_open(place.uri, NULL, &other, &problem);
    if (r == 0) {
        ck_assert_int_eq(write_with(other, &no), FLAGVER_EUNAVAILABLE);
        flagver_close(other);
    }
    ck_assert_msg(r == 0 || r == FLAGVER_EUNAVAILABLE, "%s", problem.message);
    r = write_once();
    ck_assert_msg(r == 0 || r == FLAGVER_EUNAVAILABLE, "%s", problem.message);
    await(serves_the_latest);
    assert_evaluating();
    make_read_only(false);
    end();
}
END_TEST

static bool set_one_immutable(const char *path, bool immutable)
{
    int file = open(path, O_RDONLY | O_CLOEXEC), bits = 0;
    bool done = file >= 0 && ioctl(file, FS_IOC_GETFLAGS, &bits) == 0;

    bits = immutable ? bits | FS_IMMUTABLE_FL : bits & ~FS_IMMUTABLE_FL;
    done = done && ioctl(file, FS_IOC_SETFLAGS, &bits) == 0;
    if (file >= 0)
        close(file);
    return done;
}

struct immutable {
    const char *paths[2];
    bool on;
};

/*
 * A file that cannot be written fails before the commit or in it. What became of that is asked
 * for, and the answer is that it did not take place, or none.
 */
static bool may_be_refused_with(int r)
{
    return r == FLAGVER_EUNAVAILABLE || r == FLAGVER_EBUSY || r == FLAGVER_EUNKNOWN;
}

/* In a process of its own: closing a file gives up all locks that a process has on it. */
static int set_immutable(void *data)
{
    const struct immutable *files = data;

    return !(set_one_immutable(files->paths[0], files->on) &&
             set_one_immutable(files->paths[1], files->on));
}

/* As when a file system has become read-only under those who use it. */
START_TEST(files_that_cannot_be_written_any_more_are_read)
{
    struct immutable files = { { place.path, NULL }, true };
    int r = 0;

    ck_assert(place_make(&place, "/tmp"));
    files.paths[1] = beside("-wal");
    open_client(NULL);
    if (in_process(set_immutable, &files) == 0)
        r = write_once();
    if (r == 0) {
        printf("SKIPPED: this file system has no files that cannot be written\n");
    } else {
        ck_assert_msg(may_be_refused_with(r), "%d: %s", r, problem.message);
        await(serves_the_latest);
        assert_evaluating();
    }
    files.on = false;
    in_process(set_immutable, &files);
    end();
}
END_TEST

/* ---- no room ---- */

static void write_until_refused(void)
{
    int i, r = 0;

    for (i = 0; i < 10000 && r == 0; i++)
        r = write_once();
    ck_assert_msg(may_be_refused_with(r), "%d: %s", r, problem.message);
    r = write_once();
    ck_assert_msg(may_be_refused_with(r), "%d: %s", r, problem.message);
    await(serves_the_latest);
    assert_evaluating();
    ck_assert(holds(client));
}

static void make_ballast(const char *path, size_t kilobytes)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    while (kilobytes--)
        fprintf(file, "%1024d", 0);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_full_disk_loses_nothing)
{
    place = place_new();
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", place.directory, "tmpfs", 0, "size=1m") < 0) {
        printf("SKIPPED: no tmpfs: %s\n", strerror(errno));
        place_remove(&place);
        return;
    }
    make_ballast(beside("-ballast"), 512);
    open_client(beside("-cache"));
    write_until_refused();
    ck_assert_int_eq(unlink(beside("-ballast")), 0);
    end();
}
END_TEST

/* The same where no file system can be mounted: files may not grow any more. */
START_TEST(files_that_may_not_grow_lose_nothing)
{
    struct rlimit before, tight;

    begin();
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 200000;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    write_until_refused();
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    end();
}
END_TEST

static Suite *outage_suite(void)
{
    Suite *suite = suite_create("outages");
    TCase *tests = tcase_create("the store is away");

    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, what_another_process_changes_is_soon_served);
    tcase_add_loop_test(tests, while_others_have_it_locked_flags_are_read, 0, 2);
    tcase_add_test(tests, a_store_that_is_moved_away_may_come_back);
    tcase_add_test(tests, a_directory_that_is_moved_away_may_come_back);
    tcase_add_test(tests, a_store_that_is_deleted_is_not_made_anew);
    tcase_add_test(tests, a_copy_takes_the_place_of_the_store);
    tcase_add_test(tests, an_older_copy_is_followed);
    tcase_add_test(tests, a_copy_moved_over_the_store_is_followed_without_the_old_log);
    tcase_add_test(tests, a_copy_beside_a_log_that_somebody_writes_is_not_touched);
    tcase_add_test(tests, another_store_is_taken_only_when_the_host_says_so);
    tcase_add_test(tests, what_is_no_store_is_not_taken_for_one);
    tcase_add_test(tests, a_cache_file_bridges_an_outage_at_the_start);
    tcase_add_test(tests, files_that_may_not_be_written_are_read);
    tcase_add_test(tests, files_that_cannot_be_written_any_more_are_read);
    tcase_add_test(tests, a_full_disk_loses_nothing);
    tcase_add_test(tests, files_that_may_not_grow_lose_nothing);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(outage_suite());
}
