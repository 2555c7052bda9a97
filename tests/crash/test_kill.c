/*
 * Processes are killed with SIGKILL at random moments: while they change flags,
 * and while a store, its schema, an export, an import or a cache file is made.
 * What was acknowledged is there; the rest is there as a whole or not at all; and
 * the next process finds a store that it can use.
 *
 * FLAGVER_KILLS says how many processes are to be killed while they change flags;
 * a tenth of that in each of the other tests.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sqlite3.h>

#include "crash/race.h"
#include "crash/serial.h"

#define KILLS 200
#define FLAGS 6
#define OPERATIONS 4
#define STORE_KILLS 50 /* then a fresh store is begun */

static struct place place;

static int kills(void)
{
    return scale("FLAGVER_KILLS", KILLS);
}

static int fewer_kills(void)
{
    return kills() < 10 ? 1 : kills() / 10;
}

static const flagver_actor actor = { .size = sizeof actor, .id = "killed" };

/* ---- transactions, the same for the same serial number ---- */

enum kind { READY, INTENDED, ACKNOWLEDGED };

struct message {
    enum kind kind;
    uint32_t serial, count;
    struct operation operations[OPERATIONS];
};

static const char *name_of(uint32_t subject, char name[16])
{
    snprintf(name, 16, "flag-%u", subject);
    return name;
}

static int operate(flagver_txn *txn, struct seed *seed, const char *note,
                   struct operation *operation, flagver_error *err)
{
    const flagver_write_options options = { .size = sizeof options, .note = note };
    uint32_t kind = seed_below(seed, 5), value = seed_below(seed, 101);
    char name[16];

    operation->subject = seed_below(seed, FLAGS);
    name_of(operation->subject, name);
    return change_flag(txn, name, kind, value, &options, &operation->no, err);
}

struct run {
    struct message message;
    int pipe;
};

static void tell(const struct run *run, enum kind kind)
{
    struct message message = run->message;

    message.kind = kind;
    if (write(run->pipe, &message, sizeof message) != sizeof message)
        _exit(3);
}

static int make_changes(void *data, flagver_txn *txn, flagver_error *err)
{
    struct run *run = data;
    struct seed seed = { run->message.serial };
    char note[16];
    uint32_t i;
    int r = 0;

    snprintf(note, sizeof note, "%u", run->message.serial);
    run->message.count = 1 + seed_below(&seed, OPERATIONS);
    for (i = 0; r == 0 && i < run->message.count; i++)
        r = operate(txn, &seed, note, &run->message.operations[i], err);
    if (r == 0)
        tell(run, INTENDED);
    return r;
}

static int run_one(flagver_client *client, int pipe, uint32_t serial, flagver_error *err)
{
    struct run run = { { .serial = serial }, pipe };
    flagver_txn_options options = { .size = sizeof options };
    char key[16];
    int r;

    snprintf(key, sizeof key, "%u", serial);
    if (is_keyed(serial))
        options.idempotency_key = key;
    r = flagver_txn_run(client, &actor, &options, make_changes, &run, err);
    if (r == 0)
        tell(&run, ACKNOWLEDGED);
    return r;
}

/* ---- who is killed ---- */

struct job {
    int pipe;
    uint32_t first, again; /* again: the transaction that was cut off; 0: none */
};

static int work(void *data)
{
    const struct job *job = data;
    const struct run ready = { .pipe = job->pipe };
    flagver_client *client;
    flagver_error problem;
    uint32_t serial = job->first;
    int r;

    r = flagver_open(place.uri, NULL, &client, &problem);
    if (r < 0)
        return !complain("opening: %s", problem.message);
    tell(&ready, READY);
    if (job->again)
        r = run_one(client, job->pipe, job->again, &problem);
    while (r == 0)
        r = run_one(client, job->pipe, serial++, &problem);
    return !complain("transaction %u: %s", serial - 1, problem.message);
}

/* ---- what is known about the transactions of a store ---- */

struct known {
    enum { NEVER_SEEN, CUT_OFF, DONE } state;
    uint32_t count, found;
    struct operation operations[OPERATIONS];
};

static struct {
    struct known *transactions; /* by serial number, 1 first */
    uint32_t count;
    uint32_t again;
} ledger;

static int committed, cut_off; /* in all stores */

static void enter(const struct message *message)
{
    struct known *known;

    while (ledger.count < message->serial) {
        ledger.transactions = held_grow(ledger.transactions, ledger.count, sizeof(struct known));
        ledger.transactions[ledger.count++] = (struct known){ 0 };
    }
    known = &ledger.transactions[message->serial - 1];
    known->state = message->kind == ACKNOWLEDGED ? DONE : CUT_OFF;
    known->count = message->count;
    memcpy(known->operations, message->operations, sizeof known->operations);
    committed += message->kind == ACKNOWLEDGED;
    ledger.again = message->kind == INTENDED && is_keyed(message->serial) ? message->serial : 0;
}

/* Version by version: whose is it? The first ones of all flags are nobody's. */
static bool find_owners(const struct held *held)
{
    const struct held_series *series;
    unsigned long serial;
    struct known *known;
    uint32_t no;
    size_t i;

    for (i = 0; i < held->count; i++) {
        series = &held->series[i];
        for (no = 2; no <= series->count; no++) {
            serial = strtoul(series->versions[no - 1].note, NULL, 10);
            if (!serial || serial > ledger.count)
                return complain("version %u of %s was never announced", no, series->subject);
            known = &ledger.transactions[serial - 1];
            if (!is_among(known->operations, known->count, series->subject, no))
                return complain("version %u of %s is of transaction %lu, which does not know it",
                                no, series->subject, serial);
            known->found++;
        }
    }
    return true;
}

static bool ledger_holds(const struct held *held)
{
    const struct known *known;
    uint32_t i;

    if (!find_owners(held))
        return false;
    for (i = 0; i < ledger.count; i++) {
        known = &ledger.transactions[i];
        if (known->found != known->count && (known->state == DONE || known->found))
            return complain("of transaction %u (%s) %u of %u operations are there", i + 1,
                            known->state == DONE ? "acknowledged" : "cut off", known->found,
                            known->count);
    }
    return true;
}

static int note_line(void *data, int count, char **values, char **names)
{
    (void)count;
    (void)names;
    *(bool *)data = values[0] && strcmp(values[0], "ok") == 0;
    return 0;
}

static bool file_holds(void)
{
    sqlite3 *db = NULL;
    bool fine = false;

    if (sqlite3_open(place.path, &db) == SQLITE_OK)
        sqlite3_exec(db, "PRAGMA integrity_check", note_line, &fine, NULL);
    sqlite3_close(db);
    return fine || complain("integrity_check does not say ok");
}

static int check_ledger(void *thoroughly)
{
    flagver_client *client;
    flagver_error problem;
    struct held held;
    bool fine;

    if (flagver_open(place.uri, NULL, &client, &problem) < 0)
        return !complain("opening after a kill: %s", problem.message);
    fine = held_read(client, &held) && ledger_holds(&held);
    held_free(&held);
    flagver_close(client);
    if (fine && *(const bool *)thoroughly)
        fine = schema_holds(place.uri) && file_holds();
    return !fine;
}

/* ---- killing those who change flags ---- */

static int put_all(void *unused, flagver_txn *txn, flagver_error *err)
{
    static const char json[] = "{\"type\":\"boolean\",\"percentage\":1}";
    uint32_t flag;
    char name[16];
    int r = 0;

    (void)unused;
    for (flag = 0; r == 0 && flag < FLAGS; flag++)
        r = flagver_flag_put(txn, name_of(flag, name), json, sizeof json - 1, NULL, NULL, err);
    return r;
}

static int fill(void *unused)
{
    flagver_client *client;
    flagver_error problem;
    int r;

    (void)unused;
    r = flagver_open(place.uri, NULL, &client, &problem);
    if (r < 0)
        return !complain("%s", problem.message);
    r = flagver_txn_run(client, &actor, NULL, put_all, NULL, &problem);
    flagver_close(client);
    return r < 0 && !complain("%s", problem.message);
}

static void begin_store(void)
{
    free(ledger.transactions);
    memset(&ledger, 0, sizeof ledger);
    place = place_new();
    ck_assert_int_eq(in_process(fill, NULL), 0);
}

static bool receive(int pipe, struct message *message)
{
    ssize_t got = read(pipe, message, sizeof *message);

    if (got != 0 && got != sizeof *message)
        ck_abort_msg("a pipe gave %zd bytes: %s", got, strerror(errno));
    return got > 0;
}

static long random_delay(void)
{
    return seed_below(&dice, 8) ? seed_below(&dice, 6000) : seed_below(&dice, 40000);
}

/* Most are killed while they write, some while they open the store. */
static void kill_worker(void)
{
    struct job job = { .first = ledger.count + 1, .again = ledger.again };
    bool was_ready = seed_below(&dice, 10) < 7;
    struct message message = { .kind = READY };
    uint32_t before = ledger.count;
    int ends[2], status;
    pid_t worker;

    ck_assert_int_eq(pipe(ends), 0);
    job.pipe = ends[1];
    worker = start(work, &job);
    close(ends[1]);
    if (was_ready)
        ck_assert_msg(receive(ends[0], &message), "a worker ended before it was killed");
    pause_us(random_delay());
    kill(worker, SIGKILL);
    while (receive(ends[0], &message))
        if (message.kind != READY)
            enter(&message);
    close(ends[0]);
    status = finish(worker);
    ck_assert_msg(status == 1000 + SIGKILL, "a worker ended by itself, with %d", status);
    cut_off += ledger.count > before && ledger.transactions[ledger.count - 1].state == CUT_OFF;
}

START_TEST(a_killed_process_leaves_whole_transactions)
{
    bool thoroughly;
    int i, count = kills();

    dice = seed_new(0);
    for (i = 0; i < count; i++) {
        if (i % STORE_KILLS == 0)
            begin_store();
        kill_worker();
        thoroughly = i % 20 == 19 || i == count - 1;
        /* Not every time: the next worker, too, shall find what the one before has left. */
        if (thoroughly || seed_below(&dice, 2))
            ck_assert_int_eq(in_process(check_ledger, &thoroughly), 0);
        if (i % STORE_KILLS == STORE_KILLS - 1 || i == count - 1)
            place_remove(&place);
    }
    measured("%d kills: %d transactions acknowledged, %d cut off between announcement and "
             "acknowledgement",
             count, committed, cut_off);
    free(ledger.transactions);
}
END_TEST

/* ---- creating a store ---- */

static int open_it(void *unused)
{
    flagver_client *client;
    flagver_error problem;

    (void)unused;
    if (flagver_open(place.uri, NULL, &client, &problem) < 0)
        return !complain("opening: %s", problem.message);
    flagver_close(client);
    return 0;
}

static int use_it(void *unused)
{
    flagver_client *client;
    bool fine;

    if (fill(unused) || flagver_open(place.uri, NULL, &client, NULL) < 0)
        return 1;
    fine = holds(client);
    flagver_close(client);
    return !(fine && schema_holds(place.uri) && file_holds());
}

START_TEST(a_store_that_was_half_made_is_made_by_the_next)
{
    int i;

    begin_race(1);
    place = place_new();
    measure(open_it, NULL);
    for (i = 0; i < 2 * fewer_kills(); i++) {
        place_remove(&place);
        place = place_new();
        kill_during(open_it, NULL);
        ck_assert_int_eq(in_process(use_it, NULL), 0);
    }
    place_remove(&place);
    report("creating a store");
}
END_TEST

/* ---- copies ---- */

/* What everything is compared with, and what is made and killed. */
static char whole[128], copy[128], backup[128];
static char target_uri[160];

static int make_whole(void *unused)
{
    (void)unused;
    return fill_much(place.uri, whole);
}

static void begin_copies(void)
{
    char path[128];

    place = place_new();
    place_file(&place, "whole", whole);
    place_file(&place, "copy", copy);
    place_file(&place, "backup", backup);
    snprintf(target_uri, sizeof target_uri, "sqlite:%s", place_file(&place, "target", path));
    ck_assert_int_eq(in_process(make_whole, NULL), 0);
}

static int export_it(void *unused)
{
    flagver_error problem;

    (void)unused;
    return flagver_store_export(place.uri, NULL, copy, &problem) < 0 &&
           !complain("export: %s", problem.message);
}

START_TEST(an_export_is_complete_or_not_there)
{
    int i;

    begin_race(2);
    begin_copies();
    measure(export_it, NULL);
    for (i = 0; i < fewer_kills(); i++) {
        unlink(copy);
        kill_during(export_it, NULL);
        ck_assert_msg(!is_there(copy) || same_file(copy, whole), "an export is incomplete");
    }
    ck_assert_int_eq(in_process(export_it, NULL), 0);
    ck_assert(same_file(copy, whole));
    place_remove(&place);
    report("export");
}
END_TEST

static int import_it(void *path)
{
    flagver_error problem;

    return flagver_store_import(target_uri, path, &problem) < 0 &&
           !complain("import: %s", problem.message);
}

/* 0: there is nothing in the target, 1: everything; else something is wrong. */
static int how_much(void *unused)
{
    flagver_client *client;
    flagver_error problem;
    struct held held;
    int status = 2;

    (void)unused;
    if (flagver_open(target_uri, NULL, &client, &problem) < 0)
        return complain("%s", problem.message) + status;
    if (held_read(client, &held))
        status = held.count == 0 && held.leaves == 0 ? 0 : held.count == MANY ? 1 : 2;
    held_free(&held);
    flagver_close(client);
    if (status == 1 &&
        (flagver_store_export(target_uri, NULL, copy, &problem) < 0 || !same_file(copy, whole)))
        return complain("what was imported is not what was exported") + 2;
    return schema_holds(target_uri) ? status : 2;
}

START_TEST(an_import_is_complete_or_did_not_happen)
{
    int i, amount;

    begin_race(3);
    begin_copies();
    measure(import_it, whole);
    for (i = 0; i < fewer_kills(); i++) {
        place_empty(&place, "target");
        kill_during(import_it, whole);
        amount = in_process(how_much, NULL);
        ck_assert_int_le(amount, 1);
        if (amount == 0)
            ck_assert_int_eq(in_process(import_it, whole), 0);
        ck_assert_int_eq(in_process(how_much, NULL), 1);
    }
    place_remove(&place);
    report("import");
}
END_TEST

/* ---- the schema ---- */

static int take_down(void *path)
{
    flagver_error problem;

    return flagver_schema_down(target_uri, 0, path, false, &problem) < 0 &&
           !complain("schema down: %s", problem.message);
}

static int bring_up(void *unused)
{
    flagver_error problem;

    (void)unused;
    return flagver_schema_up(target_uri, &problem) < 0 &&
           !complain("schema up: %s", problem.message);
}

static int version_is_whole(void *unused)
{
    flagver_error problem;
    uint32_t version = 0;

    (void)unused;
    if (flagver_schema_version(target_uri, &version, NULL, &problem) < 0)
        return !complain("schema version: %s", problem.message);
    if (version > FLAGVER_SCHEMA_VERSION)
        return !complain("the schema has version %u", version);
    return version && !schema_holds(target_uri);
}

/* Whatever the moment: what was in the store is in it, or in the backup. */
START_TEST(taking_the_schema_down_loses_nothing_without_a_backup)
{
    int i, amount;

    begin_race(4);
    begin_copies();
    ck_assert_int_eq(in_process(import_it, whole), 0);
    measure(take_down, backup);
    for (i = 0; i < fewer_kills(); i++) {
        place_empty(&place, "target");
        place_empty(&place, "backup");
        ck_assert_int_eq(in_process(import_it, whole), 0);
        kill_during(take_down, backup);
        ck_assert_int_eq(in_process(version_is_whole, NULL), 0);
        kill_during(bring_up, NULL);
        ck_assert_int_eq(in_process(version_is_whole, NULL), 0);
        ck_assert_int_eq(in_process(bring_up, NULL), 0);
        amount = in_process(how_much, NULL);
        ck_assert_int_le(amount, 1);
        ck_assert_msg(!is_there(backup) || same_file(backup, whole), "a backup is incomplete");
        ck_assert_msg(amount == 1 || is_there(backup), "everything is lost");
    }
    place_remove(&place);
    report("schema down and up");
}
END_TEST

/* ---- the cache file ---- */

static const flagver_options cached = { .size = sizeof cached, .cache_file = copy };

/* Each time that it is opened the client writes the file, as there is something new. */
static int write_caches(void *unused)
{
    bool again = true;
    flagver_client *client;
    flagver_error problem;
    int i, r = 0;

    (void)unused;
    for (i = 0; r == 0 && i < 3; i++) {
        r = flagver_open(place.uri, &cached, &client, &problem);
        if (r < 0)
            break;
        r = flagver_txn_run(client, &actor, NULL, put_many, &again, &problem);
        flagver_close(client);
    }
    return r < 0 && !complain("%s", problem.message);
}

/* Without the store only the file can tell the flags. */
static int start_from_cache(void *unused)
{
    flagver_detail detail = { .size = sizeof detail };
    flagver_client *client;
    flagver_error problem;
    char away[128];
    int r;
    bool fine;

    (void)unused;
    snprintf(away, sizeof away, "%s/away", place.directory);
    if (rename(place.path, away) < 0 || mkdir(place.path, 0700) < 0)
        return 1;
    r = flagver_open(place.uri, &cached, &client, &problem);
    if (r == 0) {
        flagver_flag_bool_detail(client, "flag-1", NULL, false, &detail);
        flagver_close(client);
    }
    fine = r == 0 && detail.version > 1;
    if (rmdir(place.path) < 0 || rename(away, place.path) < 0)
        return 1;
    return !fine && !complain("from the cache file: %d %s", r, r < 0 ? problem.message : "");
}

START_TEST(a_cache_file_can_be_used_or_is_not_there)
{
    int i;

    begin_race(5);
    begin_copies();
    measure(write_caches, NULL);
    for (i = 0; i < fewer_kills(); i++) {
        unlink(copy);
        kill_during(write_caches, NULL);
        if (is_there(copy))
            ck_assert_int_eq(in_process(start_from_cache, NULL), 0);
    }
    ck_assert_int_eq(in_process(write_caches, NULL), 0);
    ck_assert(is_there(copy));
    place_remove(&place);
    report("cache file");
}
END_TEST

static Suite *kill_suite(void)
{
    Suite *suite = suite_create("killed");
    TCase *tests = tcase_create("at any moment");

    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, a_killed_process_leaves_whole_transactions);
    tcase_add_test(tests, a_store_that_was_half_made_is_made_by_the_next);
    tcase_add_test(tests, an_export_is_complete_or_not_there);
    tcase_add_test(tests, an_import_is_complete_or_did_not_happen);
    tcase_add_test(tests, taking_the_schema_down_loses_nothing_without_a_backup);
    tcase_add_test(tests, a_cache_file_can_be_used_or_is_not_there);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(kill_suite());
}
