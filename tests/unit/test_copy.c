/*
 * Copies straight from store to store, of every kind: the target is the source to the last byte of
 * an export, whatever happened there, however it was cut up, stopped, begun again and followed; and
 * nobody else writes to it unnoticed.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, clock_gettime */
#include "stores.h"

#include "flagver/audit.h"
#include "flagver/key.h"
#include "flagver/store.h"
#include "history.h"
#include "store/sealing.h"

#include <sqlite3.h>

#define DEALS 300
#define FEWER 40 /* where every commit writes the whole store, or asks another process */

/* ---- two stores ---- */

/* Pairs of kinds of stores that stay when they are closed; of PostgreSQL's there is one in a test. */
#define KINDS (ALL_KINDS - JSONFILE_KIND)
#define PAIRS (KINDS * KINDS)
#define PAIR(source, target) (((source)-JSONFILE_KIND) * KINDS + (target)-JSONFILE_KIND)
#define SQLITE_PAIR PAIR(SQLITE_KIND, SQLITE_KIND)

static int source_kind(int pair)
{
    return JSONFILE_KIND + pair / KINDS;
}

static int target_kind(int pair)
{
    return JSONFILE_KIND + pair % KINDS;
}

static bool is_of(int pair, int kind)
{
    return source_kind(pair) == kind || target_kind(pair) == kind;
}

/* Is this pair one of those that are tested? Databases are not to be had for nothing. */
static bool is_tested(int pair)
{
    return !is_of(pair, POSTGRES_KIND) ||
           (STORE_KINDS == ALL_KINDS && source_kind(pair) != target_kind(pair) &&
            !is_of(pair, FAULT_KIND));
}

/* And may others have them open meanwhile? */
static bool is_shared(int pair)
{
    return is_tested(pair) && !is_of(pair, JSONFILE_KIND);
}

static const char *source_uri(int pair)
{
    return store_uri(source_kind(pair));
}

static const char *target_uri(int pair)
{
    static char uri[512];

    if (target_kind(pair) == POSTGRES_KIND)
        snprintf(uri, sizeof uri, "%s", store_uri(POSTGRES_KIND));
    else
        snprintf(uri, sizeof uri, "%s%s", store_kinds[target_kind(pair)], file_named("target"));
    return uri;
}

static uint32_t deals_for(int pair)
{
    return is_of(pair, JSONFILE_KIND) || is_of(pair, POSTGRES_KIND) ? FEWER : DEALS;
}

/* ---- what is the same ---- */

static char *export_of(const char *uri)
{
    char path[128];
    FILE *file;
    char *text;
    long size;

    snprintf(path, sizeof path, "%s", file_named("export"));
    assert_ok(flagver_store_export(uri, "default", path, &error));
    file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    text = calloc(1, (size_t)size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(fread(text, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    remove(path);
    return text;
}

/* The first lines that differ. */
static void assert_same_text(const char *one, const char *other)
{
    size_t line = 0, i;

    for (i = 0; one[i] && one[i] == other[i]; i++)
        if (one[i] == '\n')
            line = i + 1;
    ck_assert_msg(one[i] == other[i], "source: %.800s\ntarget: %.800s", one + line, other + line);
}

static void print_line(void *data, const char *line)
{
    (void)data;
    fprintf(stderr, "    %s\n", line);
}

static flagver_client *open_uri(const char *uri)
{
    const flagver_options options = quiet_options();
    flagver_client *client = NULL;

    assert_ok(flagver_open(uri, &options, &client, &error));
    return client;
}

static void assert_same_stores(int pair)
{
    char *one = export_of(source_uri(pair)), *other = export_of(target_uri(pair));
    flagver_client *client;
    int r;

    assert_same_text(one, other);
    free(one);
    free(other);
    client = open_uri(target_uri(pair));
    r = flagver_audit_verify(client, NULL, print_line, NULL, NULL, &error);
    ck_assert_msg(r == 0, "verify: %d %s", r, error.message);
    flagver_close(client);
}

/* ---- histories ---- */

static void *zeros(size_t size)
{
    void *memory = calloc(1, size);

    ck_assert_ptr_nonnull(memory);
    return memory;
}

/* A source whose history goes on when it is asked to. */
struct teller {
    struct history history;
    struct seed seed;
    struct story story;
    flagver_client *client;
};

static void begin_history(struct teller *teller, int pair, uint32_t deals, uint64_t number)
{
    flagver_options options = quiet_options();

    *teller = (struct teller){ .seed = seed_new(number) };
    history_init(&teller->history, 1, deals + TOPICS, zeros);
    options.clock = tell_deal_time;
    options.clock_data = &teller->history.ticks;
    teller->client = open_with(source_kind(pair), &options);
    assert_ok(make_beginning(teller->client, &teller->history, &error));
}

static void go_on_telling(struct teller *teller, uint32_t deals)
{
    struct deal *deal;
    bool is_told;

    for (; deals; deals--) {
        deal = new_deal(&teller->history, 0);
        is_told = choose_next(&teller->history, &teller->seed, &teller->story, deal);
        enter_deal(&teller->history, deal);
        assert_ok(make_deal(teller->client, deal, &error));
        spread_deal(&teller->history, deal);
        if (is_told)
            go_on(&teller->story, deal);
    }
}

static void end_history(struct teller *teller)
{
    flagver_close(teller->client);
    free(teller->history.diaries->deals);
    free(teller->history.diaries->acts);
    free(teller->history.diaries);
}

static void put_by(const char *uri, const char *key)
{
    flagver_client *client = open_uri(uri);

    put_flag(client, key, SIMPLE);
    flagver_close(client);
}

static void put_in(flagver_client *client, const char *phase, const char *subject, const char *json)
{
    flagver_txn *txn = begin(client);

    assert_ok(try_put(txn, phase, subject, json, NULL, NULL));
    commit(txn);
}

/* ---- copies ---- */

/* What a copy has told, and what it is to do. */
struct told {
    flagver_copy_state last;
    int portions, equal;
    bool (*next)(struct told *told); /* what `tell` returns; NULL: go on */
    struct teller *teller;
    struct seed *seed;
    flagver_client *client;
    int pair, left;
};

static bool note_state(void *data, const flagver_copy_state *state)
{
    struct told *told = data;

    told->last = *state;
    told->portions += state->stage == FLAGVER_COPY_BEHIND;
    told->equal += state->stage == FLAGVER_COPY_EQUAL;
    return told->next ? told->next(told) : true;
}

static flagver_copy_options options_with(uint32_t leaves, struct told *told)
{
    return (flagver_copy_options){ .size = sizeof(flagver_copy_options),
                                   .tenant = "default",
                                   .leaves = leaves,
                                   .tell = told ? note_state : NULL,
                                   .data = told };
}

static int try_copy(int pair, const flagver_copy_options *options)
{
    char from[512];

    snprintf(from, sizeof from, "%s", source_uri(pair));
    memset(&error, 0, sizeof error);
    return flagver_store_copy(from, target_uri(pair), options, &error);
}

static void copy_ok(int pair, const flagver_copy_options *options)
{
    assert_ok(try_copy(pair, options));
}

static void copy_all(int pair)
{
    const flagver_copy_options options = options_with(0, NULL);

    copy_ok(pair, &options);
}

/* ---- whole ---- */

static const uint32_t limits[] = { 7, 0, 1, 2, 50 };
#define LIMITS ((int)(sizeof limits / sizeof *limits))
#define FEWER_LIMITS 2

START_TEST(a_copy_is_the_source_to_the_last_byte)
{
    int pair = _i / LIMITS;
    uint32_t limit = limits[_i % LIMITS];
    struct told told = { .portions = 0 };
    const flagver_copy_options options = options_with(limit, &told);
    uint8_t root[32];
    struct teller teller;
    uint64_t size;

    if (!is_tested(pair) || (is_of(pair, POSTGRES_KIND) && _i % LIMITS >= FEWER_LIMITS))
        return;
    begin_history(&teller, pair, deals_for(pair), (uint64_t)_i);
    go_on_telling(&teller, deals_for(pair));
    assert_ok(flagver_audit_head(teller.client, &size, root, &error));
    end_history(&teller);
    copy_ok(pair, &options);
    assert_same_stores(pair);

    ck_assert_int_eq(told.last.stage, FLAGVER_COPY_EQUAL);
    ck_assert_int_eq(told.equal, 1);
    ck_assert_uint_eq(told.last.copied, size);
    ck_assert_uint_eq(told.last.leaves, size);
    ck_assert_mem_eq(told.last.root, root, sizeof root);
    ck_assert(limit != 1 || told.portions > 10);
}
END_TEST

START_TEST(what_is_there_already_is_not_carried_again)
{
    struct told told = { .portions = 0 };
    const flagver_copy_options options = options_with(1, &told);

    if (!is_tested(_i))
        return;
    put_by(source_uri(_i), "a");
    copy_all(_i);
    copy_ok(_i, &options);
    ck_assert_int_eq(told.portions, 0);
    ck_assert_int_eq(told.equal, 1);

    put_by(source_uri(_i), "b");
    copy_all(_i);
    assert_same_stores(_i);
}
END_TEST

/* ---- stopped, and begun again ---- */

/* Only of open versions, and of what was shredded since, the target may be ahead of its log. */
static void check_line(void *open, const char *line)
{
    static const char *const allowed[] = { "content_hash is not what the log says",
                                           "note is not what the log says",
                                           "what was decided about items is not what the log says",
                                           "its payload is gone, and no leaf says" };
    size_t i;

    for (i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (strstr(line, allowed[i]))
            return;
    ck_abort_msg("%s: %s", (const char *)open, line);
}

static void check_beginning(int pair, uint64_t size)
{
    flagver_client *client = open_uri(target_uri(pair));
    char words[64];

    ck_assert_uint_eq(leaves_of(client), size);
    snprintf(words, sizeof words, "after %llu leaves", (unsigned long long)size);
    ck_assert_int_ge(flagver_audit_verify(client, NULL, check_line, words, NULL, &error), 0);
    flagver_close(client);
}

static bool stop_now_and_then(struct told *told)
{
    return seed_below(told->seed, 3) != 0;
}

START_TEST(a_copy_that_was_stopped_goes_on)
{
    struct seed seed = seed_new((uint64_t)_i);
    struct told told = { .next = stop_now_and_then, .seed = &seed };
    flagver_copy_options options = options_with(0, &told);
    struct teller teller;
    int r, runs = 0;

    if (!is_tested(_i))
        return;
    begin_history(&teller, _i, deals_for(_i) * 2, (uint64_t)_i);
    go_on_telling(&teller, deals_for(_i));
    end_history(&teller);
    do {
        options.leaves = 1 + seed_below(&seed, 60);
        r = try_copy(_i, &options);
        ck_assert_msg(r == 0 || r == 1, "%d %s", r, error.message);
        check_beginning(_i, told.last.copied);
        runs++;
    } while (r == 1);
    ck_assert(runs > 1 || deals_for(_i) == FEWER);
    assert_same_stores(_i);
}
END_TEST

/* What goes on at the source meanwhile changes nothing about that. */
static bool tell_on(struct told *told)
{
    if (told->left > 0) {
        told->left--;
        go_on_telling(told->teller, 3);
    }
    return stop_now_and_then(told);
}

START_TEST(others_go_on_writing_to_the_source)
{
    struct seed seed = seed_new((uint64_t)_i);
    struct teller teller;
    struct told told = {
        .next = tell_on, .seed = &seed, .teller = &teller, .left = (int)deals_for(_i) / 3
    };
    flagver_copy_options options = options_with(0, &told);
    int r;

    if (!is_shared(_i))
        return;
    begin_history(&teller, _i, 3 * deals_for(_i), (uint64_t)_i);
    go_on_telling(&teller, deals_for(_i));
    do {
        options.leaves = 1 + seed_below(&seed, 20);
        r = try_copy(_i, &options);
        ck_assert_msg(r == 0 || r == 1, "%d %s", r, error.message);
        check_beginning(_i, told.last.copied);
    } while (r == 1 || told.left > 0);
    end_history(&teller);
    copy_all(_i);
    assert_same_stores(_i);
}
END_TEST

/* ---- following ---- */

static bool follow_a_while(struct told *told)
{
    if (told->last.stage != FLAGVER_COPY_FOLLOWING)
        return true;
    ck_assert_uint_eq(told->last.copied, told->last.leaves);
    if (told->left-- == 0) {
        go_on_telling(told->teller, 1); /* this comes along as well */
        return false;
    }
    assert_same_stores(told->pair);
    go_on_telling(told->teller, told->left % 2 ? 1 : 5);
    return true;
}

START_TEST(a_copy_keeps_up_until_the_switch)
{
    struct teller teller;
    struct told told = { .next = follow_a_while, .teller = &teller, .pair = _i, .left = 15 };
    flagver_copy_options options = options_with(0, &told);
    uint8_t root[32];
    uint64_t size;

    if (!is_shared(_i))
        return;
    begin_history(&teller, _i, 200, (uint64_t)_i);
    go_on_telling(&teller, FEWER);
    options.follow = 1;
    copy_ok(_i, &options);
    assert_ok(flagver_audit_head(teller.client, &size, root, &error));
    end_history(&teller);
    assert_same_stores(_i);
    ck_assert_int_eq(told.equal, 2);
    ck_assert_int_eq(told.last.stage, FLAGVER_COPY_EQUAL);
    ck_assert_uint_eq(told.last.copied, size);
    ck_assert_mem_eq(told.last.root, root, sizeof root);
}
END_TEST

/* ---- others who write to the target ---- */

START_TEST(a_target_with_records_of_its_own_is_refused)
{
    const flagver_copy_options options = options_with(0, NULL);

    put_by(source_uri(SQLITE_PAIR), "a");
    put_by(target_uri(SQLITE_PAIR), "a");
    assert_fails(FLAGVER_ECONFLICT, try_copy(SQLITE_PAIR, &options));
    assert_words("leaf 0 of tenant \"default\"");
}
END_TEST

START_TEST(a_target_with_more_than_the_source_is_refused)
{
    const flagver_copy_options options = options_with(0, NULL);

    put_by(source_uri(SQLITE_PAIR), "a");
    copy_all(SQLITE_PAIR);
    put_by(target_uri(SQLITE_PAIR), "b");
    assert_fails(FLAGVER_ECONFLICT, try_copy(SQLITE_PAIR, &options));
    assert_words("leaf 2 of tenant \"default\"");
    put_by(source_uri(SQLITE_PAIR), "c");
    put_by(source_uri(SQLITE_PAIR), "d");
    assert_fails(FLAGVER_ECONFLICT, try_copy(SQLITE_PAIR, &options));
    assert_words("leaf 2 of tenant \"default\"");
}
END_TEST

static void write_bare(const char *path, const flagver_change *change, size_t count)
{
    const flagver_driver_config config = { .size = sizeof config, .path = path, .wait_ms = 1000 };
    flagver_driver_txn *txn;
    flagver_store *store;

    assert_ok(fv_sqlite_driver.open(&config, &store, &error));
    assert_ok(fv_sqlite_driver.begin(store, fv_bytes("default"), FLAGVER_MODE_WRITE, &txn, &error));
    assert_ok(fv_sqlite_driver.apply(txn, change, count, &error));
    assert_ok(fv_sqlite_driver.commit(txn, &error));
    fv_sqlite_driver.close(store);
}

START_TEST(a_target_with_records_and_no_log_is_refused)
{
    const flagver_copy_options options = options_with(0, NULL);
    const flagver_series_row series = { .id = { { 1 } },
                                        .tenant = fv_bytes("default"),
                                        .phase = fv_bytes("plan"),
                                        .subject = fv_bytes("a"),
                                        .rev = 1 };
    const flagver_change change = { .kind = FLAGVER_CHANGE_SERIES, .row.series = &series };

    put_by(source_uri(SQLITE_PAIR), "a");
    write_bare(file_named("target"), &change, 1);
    assert_fails(FLAGVER_EEXIST, try_copy(SQLITE_PAIR, &options));
    assert_words("has records");
}
END_TEST

START_TEST(a_target_with_keys_and_no_log_is_refused)
{
    const flagver_copy_options options = options_with(0, NULL);
    const flagver_keyed_row key = { .tenant = fv_bytes("default"),
                                    .space = fv_bytes(FV_KEY_SPACE),
                                    .key = fv_bytes("0000000001"),
                                    .rev = 1,
                                    .value = fv_bytes("") };
    const flagver_change change = { .kind = FLAGVER_CHANGE_KEYED, .row.keyed = &key };

    put_by(source_uri(SQLITE_PAIR), "a");
    write_bare(file_named("target"), &change, 1);
    assert_fails(FLAGVER_EEXIST, try_copy(SQLITE_PAIR, &options));
    assert_words("has keys");
}
END_TEST

static bool write_to_target(struct told *told)
{
    if (told->left-- == 0)
        put_by(target_uri(told->pair), "foreign");
    return true;
}

START_TEST(who_writes_to_the_target_between_portions_is_found_out)
{
    struct told told = { .next = write_to_target, .pair = _i, .left = 1 };
    flagver_copy_options options = options_with(2, &told);
    flagver_client *client;

    if (!is_shared(_i))
        return;
    client = open_store(source_kind(_i));
    put_flag(client, "a", SIMPLE);
    put_flag(client, "b", SIMPLE);
    put_flag(client, "c", SIMPLE);
    put_flag(client, "d", SIMPLE);
    flagver_close(client);
    assert_fails(FLAGVER_ECONFLICT, try_copy(_i, &options));
    assert_words("leaf 4 of tenant \"default\"");
}
END_TEST

static bool write_while_following(struct told *told)
{
    return told->last.stage == FLAGVER_COPY_FOLLOWING ? write_to_target(told) : true;
}

START_TEST(who_writes_to_the_target_while_it_follows_is_found_out)
{
    struct told told = { .next = write_while_following, .pair = SQLITE_PAIR, .left = 2 };
    flagver_copy_options options = options_with(0, &told);

    put_by(source_uri(SQLITE_PAIR), "a");
    options.follow = 1;
    assert_fails(FLAGVER_ECONFLICT, try_copy(SQLITE_PAIR, &options));
    assert_words("leaf 2 of tenant \"default\"");
}
END_TEST

/* Two copies at once are none the worse for it. */
static bool copy_too(struct told *told)
{
    if (told->left-- > 0)
        copy_all(told->pair);
    return true;
}

START_TEST(a_second_copy_does_no_harm)
{
    struct told told = { .next = copy_too, .pair = _i, .left = 1 };
    flagver_copy_options options = options_with(5, &told);
    struct teller teller;

    if (!is_shared(_i))
        return;
    begin_history(&teller, _i, 50, 1);
    go_on_telling(&teller, 50);
    end_history(&teller);
    copy_ok(_i, &options);
    assert_same_stores(_i);
}
END_TEST

/* ---- what goes wrong ---- */

static void change_file(const char *name, const char *sql)
{
    sqlite3 *db;
    char *words = NULL;

    ck_assert_int_eq(sqlite3_open(file_named(name), &db), SQLITE_OK);
    sqlite3_exec(db, sql, NULL, NULL, &words);
    ck_assert_msg(!words, "%s", words ? words : "");
    sqlite3_close(db);
}

START_TEST(a_leaf_that_was_changed_is_found)
{
    const flagver_copy_options options = options_with(0, NULL);

    put_by(source_uri(SQLITE_PAIR), "a");
    put_by(source_uri(SQLITE_PAIR), "b");
    change_file("store", "DROP TRIGGER flagver_leaf_frozen;"
                         "UPDATE flagver_leaf SET leaf = CAST(replace(CAST(leaf AS TEXT), 'alice', "
                         "'malic') AS BLOB) WHERE no = 2");
    assert_fails(FLAGVER_ECORRUPT, try_copy(SQLITE_PAIR, &options));
    assert_words("leaf 2");
}
END_TEST

START_TEST(a_version_that_is_missing_is_found)
{
    const flagver_copy_options options = options_with(0, NULL);

    put_by(source_uri(SQLITE_PAIR), "a");
    put_by(source_uri(SQLITE_PAIR), "b");
    change_file("store",
                "DROP TRIGGER flagver_version_stays;"
                "DELETE FROM flagver_version WHERE series = (SELECT id FROM flagver_series "
                "WHERE subject = 'b')");
    assert_fails(FLAGVER_ECORRUPT, try_copy(SQLITE_PAIR, &options));
    assert_words("\"b\" version 1");
}
END_TEST

START_TEST(a_row_of_the_target_that_was_changed_is_found)
{
    const flagver_copy_options options = options_with(0, NULL);

    put_by(source_uri(SQLITE_PAIR), "a");
    put_by(source_uri(SQLITE_PAIR), "b");
    copy_all(SQLITE_PAIR);
    change_file("target", "DROP TRIGGER flagver_payload_frozen; UPDATE flagver_payload SET body = "
                          "x'7b7d' WHERE id = (SELECT payload FROM flagver_version WHERE series = "
                          "(SELECT id FROM flagver_series WHERE subject = 'b'))");
    assert_fails(FLAGVER_ECONFLICT, try_copy(SQLITE_PAIR, &options));
    assert_words("from flagver.flag \"b\" on");
}
END_TEST

/* Whatever call fails, on either side: the same command goes on, and nothing is there twice. */
static void fail_in_turn(int pair, int call, int code)
{
    const flagver_copy_options options = options_with(3, NULL);
    uint64_t n;
    int r = -1;

    for (n = 1; r < 0; n++) {
        flagver_fault_reset(fault);
        flagver_fault_fail(fault, call, n, code, true);
        r = try_copy(pair, &options);
        ck_assert_msg(r == 0 || r == code, "%d %s", r, error.message);
        if (flagver_fault_failures(fault) == 0)
            break;
    }
    flagver_fault_reset(fault);
    ck_assert_uint_gt(n, 3);
    copy_ok(pair, &options);
    assert_same_stores(pair);
}

static const int failing_calls[] = { FLAGVER_FAULT_BEGIN, FLAGVER_FAULT_COMMIT,
                                     FLAGVER_FAULT_LOCK,  FLAGVER_FAULT_LOCK_LOG,
                                     FLAGVER_FAULT_APPLY, FLAGVER_FAULT_SCAN,
                                     FLAGVER_FAULT_NEXT };
#define FAILING_CALLS ((int)(sizeof failing_calls / sizeof *failing_calls))

static void tell_briefly(int pair)
{
    struct teller teller;

    begin_history(&teller, pair, 15, 3);
    go_on_telling(&teller, 15);
    end_history(&teller);
}

START_TEST(after_any_failure_the_copy_goes_on)
{
    int pair = PAIR(SQLITE_KIND, FAULT_KIND);

    tell_briefly(pair);
    fail_in_turn(pair, failing_calls[_i], FLAGVER_ENOMEM);
}
END_TEST

START_TEST(after_a_failure_of_the_source_the_copy_goes_on)
{
    int pair = PAIR(FAULT_KIND, SQLITE_KIND);

    tell_briefly(pair);
    fail_in_turn(pair, _i ? FLAGVER_FAULT_NEXT : FLAGVER_FAULT_SCAN, FLAGVER_ENOMEM);
}
END_TEST

/* A store that is away for a moment is waited for; commits of which nothing is known are found out. */
START_TEST(what_passes_is_waited_for)
{
    static const int codes[] = { FLAGVER_EBUSY, FLAGVER_EUNAVAILABLE, FLAGVER_ECONFLICT };
    const flagver_copy_options options = options_with(3, NULL);
    int pair = PAIR(SQLITE_KIND, FAULT_KIND);

    tell_briefly(pair);
    flagver_fault_fail(fault, FLAGVER_FAULT_APPLY, 5, codes[_i], false);
    copy_ok(pair, &options);
    ck_assert_uint_eq(flagver_fault_failures(fault), 1);
    assert_same_stores(pair);
}
END_TEST

START_TEST(a_commit_of_which_nothing_is_known_is_found_out)
{
    const flagver_copy_options options = options_with(3, NULL);
    int pair = PAIR(SQLITE_KIND, FAULT_KIND);

    tell_briefly(pair);
    flagver_fault_lie(fault, 4, _i ? FLAGVER_FAULT_DONE : FLAGVER_FAULT_NOT_DONE);
    copy_ok(pair, &options);
    ck_assert_uint_eq(flagver_fault_failures(fault), 1);
    assert_same_stores(pair);
}
END_TEST

static bool go_away(struct told *told)
{
    if (told->last.stage == FLAGVER_COPY_FOLLOWING && told->left == 3) {
        told->left--;
        put_by(source_uri(told->pair), "new");
        flagver_fault_fail(fault, FLAGVER_FAULT_ANY, 1, FLAGVER_EUNAVAILABLE, true);
    } else if (told->last.stage == FLAGVER_COPY_WAITING && told->left > 0) {
        ck_assert_int_eq(told->last.problem->code, FLAGVER_EUNAVAILABLE);
        if (--told->left == 0)
            flagver_fault_reset(fault);
    } else if (told->last.stage == FLAGVER_COPY_FOLLOWING && told->left == 0) {
        return false;
    }
    return true;
}

START_TEST(following_goes_on_when_the_target_comes_back)
{
    int pair = PAIR(SQLITE_KIND, FAULT_KIND);
    struct told told = { .next = go_away, .pair = pair, .left = 3 };
    flagver_copy_options options = options_with(0, &told);

    put_by(source_uri(pair), "a");
    options.follow = 1;
    copy_ok(pair, &options);
    ck_assert_int_eq(told.left, 0);
    assert_same_stores(pair);
}
END_TEST

/* ---- series count their changes ---- */

static int64_t hours; /* since some day */

static int64_t tell_hours(void *unused)
{
    (void)unused;
    return INT64_C(1767225600000) + hours * 3600000;
}

/*
 * The leaves of one transaction look like those of several: one record is an hour ahead. It has
 * counted one change for a version that is made and submitted.
 */
START_TEST(a_transaction_that_is_cut_in_two_is_carried_all_the_same)
{
    flagver_options options = quiet_options();
    const flagver_copy_options one = options_with(1, NULL);
    flagver_client *client;
    flagver_txn *txn;
    uint32_t no;

    options.clock = tell_hours;
    client = open_with(SQLITE_KIND, &options);
    put_in(client, FLAGVER_PHASE_PHASE, "plan", "{'approval':{'rule':'anyone'}}");
    hours = 1;
    put_in(client, "plan", "ahead", "1");
    hours = 0;
    for (no = 2; no < 5; no++) {
        txn = begin(client);
        assert_ok(flagver_version_create(txn, "plan", "ahead", "2", 1, NULL, NULL, &error));
        put_flag_in(txn, "b", SHARE(4));
        assert_ok(flagver_version_submit(txn, "plan", "ahead", no, NULL, NULL, &error));
        put_flag_in(txn, "c", SIMPLE);
        commit(txn);
    }
    flagver_close(client);
    copy_ok(SQLITE_PAIR, &one);
    assert_same_stores(SQLITE_PAIR);
}
END_TEST

/* ---- what comes along ---- */

/* 32 times 'a', 'b', in base64 */
#define KEY_A "a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
#define KEY_B "b:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="
#define ENCRYPTED "{'approval':{'required':false},'encrypt':true,'shred':'anyone'}"

static flagver_client *open_keyed(const char *uri, const char *keys)
{
    flagver_client *client;

    setenv("FLAGVER_KEYS", keys, 1);
    client = open_uri(uri);
    unsetenv("FLAGVER_KEYS");
    return client;
}

static void assert_says(flagver_client *client, const char *phase, const char *subject,
                        const char *json)
{
    flagver_version *version;
    char *text = quoted(json);

    assert_ok(flagver_version_current(client, phase, subject, &version, &error));
    ck_assert_str_eq(version->payload, text);
    flagver_version_free(version);
    free(text);
}

START_TEST(what_is_encrypted_stays_so_and_can_be_read)
{
    flagver_client *client;
    flagver_txn *txn;

    if (!is_tested(_i))
        return;
    client = open_keyed(source_uri(_i), KEY_A);
    put_in(client, FLAGVER_PHASE_PHASE, "secret", ENCRYPTED);
    put_in(client, "secret", "a", "{'pin':1}");
    flagver_close(client);
    copy_all(_i);

    client = open_keyed(source_uri(_i), KEY_B "," KEY_A);
    txn = begin(client);
    assert_ok(flagver_key_rotate(txn, NULL, &error));
    commit(txn);
    put_in(client, "secret", "a", "{'pin':2}");
    put_in(client, "secret", "b", "{'pin':3}");
    txn = begin(client);
    assert_ok(flagver_version_shred(txn, "secret", "a", 1, NULL, &error));
    commit(txn);
    flagver_close(client);
    copy_all(_i);

    assert_same_stores(_i);
    client = open_keyed(target_uri(_i), KEY_B);
    assert_says(client, "secret", "a", "{'pin':2}");
    assert_says(client, "secret", "b", "{'pin':3}");
    flagver_close(client);
}
END_TEST

static uint32_t put_with_key(const char *uri, const char *key)
{
    flagver_client *client = open_uri(uri);
    flagver_txn *txn = begin_with_key(client, key);
    uint32_t no = 0;

    assert_ok(flagver_flag_put(txn, "a", "{\"type\":\"boolean\"}", 18, NULL, &no, &error));
    commit(txn);
    flagver_close(client);
    return no;
}

START_TEST(what_was_done_under_a_key_is_known_at_the_target)
{
    flagver_client *client;
    uint32_t no;

    if (!is_tested(_i))
        return;
    put_with_key(source_uri(_i), "first");
    no = put_with_key(source_uri(_i), "second");
    copy_all(_i);
    ck_assert_uint_eq(put_with_key(target_uri(_i), "second"), no);
    client = open_uri(target_uri(_i));
    ck_assert_uint_eq(leaves_of(client), 4);
    flagver_close(client);
    ck_assert_uint_eq(put_with_key(target_uri(_i), "third"), no + 1);
}
END_TEST

/* A client of the target has read the policies before they came. */
START_TEST(clients_of_the_target_see_new_policies)
{
    flagver_client *client, *other;
    flagver_txn *txn;

    if (!is_shared(_i))
        return;
    client = open_uri(source_uri(_i));
    put_in(client, FLAGVER_PHASE_PHASE, "plan",
           "{'approval':{'required':false},'write':{'role_in':['Nobody']}}");
    copy_all(_i);
    other = open_uri(target_uri(_i));
    txn = begin(other);
    assert_fails(FLAGVER_EDENIED, try_put(txn, "plan", "a", "1", NULL, NULL));
    flagver_txn_free(txn);
    put_in(client, FLAGVER_PHASE_PHASE, "plan", "{'approval':{'required':false}}");
    flagver_close(client);
    copy_all(_i);
    put_in(other, "plan", "a", "1");
    flagver_close(other);
}
END_TEST

/* ---- tenants ---- */

static flagver_client *open_tenant(const char *uri, const char *tenant)
{
    flagver_options options = quiet_options();
    flagver_client *client = NULL;

    options.tenant = tenant;
    assert_ok(flagver_open(uri, &options, &client, &error));
    return client;
}

static void put_for(const char *uri, const char *tenant, const char *key)
{
    flagver_client *client = open_tenant(uri, tenant);

    put_flag(client, key, SIMPLE);
    flagver_close(client);
}

static uint64_t leaves_for(const char *uri, const char *tenant)
{
    flagver_client *client = open_tenant(uri, tenant);
    uint64_t count = leaves_of(client);

    flagver_close(client);
    return count;
}

START_TEST(all_tenants_are_copied_or_one)
{
    flagver_copy_options options = options_with(0, NULL);
    const char *source = source_uri(SQLITE_PAIR), *target = target_uri(SQLITE_PAIR);

    put_for(source, "one", "a");
    put_for(source, "two", "a");
    put_for(source, "two", "b");
    options.tenant = "two";
    copy_ok(SQLITE_PAIR, &options);
    ck_assert_uint_eq(leaves_for(target, "one"), 0);
    ck_assert_uint_eq(leaves_for(target, "two"), 4);
    options.tenant = NULL;
    copy_ok(SQLITE_PAIR, &options);
    ck_assert_uint_eq(leaves_for(target, "one"), 2);
    ck_assert_uint_eq(leaves_for(target, "two"), 4);
}
END_TEST

START_TEST(a_tenant_that_is_not_there_is_not_found)
{
    flagver_copy_options options = options_with(0, NULL);

    put_for(source_uri(SQLITE_PAIR), "one", "a");
    options.tenant = "two";
    assert_fails(FLAGVER_ENOTFOUND, try_copy(SQLITE_PAIR, &options));
    assert_words("no tenant \"two\"");
    options.tenant = "";
    assert_fails(FLAGVER_EINVAL, try_copy(SQLITE_PAIR, &options));
}
END_TEST

static bool bring_a_tenant(struct told *told)
{
    if (told->last.stage != FLAGVER_COPY_FOLLOWING)
        return true;
    if (told->left == 2)
        put_for(source_uri(told->pair), "two", "a");
    else if (told->left == 0)
        put_for(source_uri(told->pair), "three", "a");
    return told->left-- > 0;
}

START_TEST(tenants_that_come_while_it_follows_are_copied)
{
    struct told told = { .next = bring_a_tenant, .pair = SQLITE_PAIR, .left = 2 };
    flagver_copy_options options = options_with(0, &told);

    put_for(source_uri(SQLITE_PAIR), "one", "a");
    options.tenant = NULL;
    options.follow = 1;
    copy_ok(SQLITE_PAIR, &options);
    ck_assert_uint_eq(leaves_for(target_uri(SQLITE_PAIR), "one"), 2);
    ck_assert_uint_eq(leaves_for(target_uri(SQLITE_PAIR), "two"), 2);
    ck_assert_uint_eq(leaves_for(target_uri(SQLITE_PAIR), "three"), 2);
}
END_TEST

START_TEST(an_empty_store_is_copied)
{
    flagver_copy_options options = options_with(0, NULL);

    flagver_close(open_store(SQLITE_KIND));
    options.tenant = NULL;
    copy_ok(SQLITE_PAIR, &options);
}
END_TEST

/* ---- misuse ---- */

START_TEST(misuse_is_refused)
{
    flagver_copy_options options = options_with(0, NULL);

    assert_fails(FLAGVER_EINVAL, flagver_store_copy(NULL, "sqlite:x", NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_store_copy("sqlite:x", NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_store_copy("sqlite:x", "sqlite:x", NULL, &error));
    options.follow = 1;
    assert_fails(FLAGVER_EINVAL, try_copy(SQLITE_PAIR, &options));
    assert_words("options.tell");
    options = (flagver_copy_options){ .size = 1 };
    assert_fails(FLAGVER_EINVAL, try_copy(SQLITE_PAIR, &options));
    assert_fails(FLAGVER_ENOTSUP, flagver_store_copy("nope:x", "sqlite:y", NULL, &error));
}
END_TEST

START_TEST(a_source_that_is_not_there_makes_no_target)
{
    const flagver_copy_options options = options_with(0, NULL);

    assert_fails(FLAGVER_ENOTFOUND, try_copy(SQLITE_PAIR, &options));
    ck_assert_int_ne(access(file_named("target"), F_OK), 0);
}
END_TEST

static void add_whole(Suite *suite)
{
    TCase *tests = add_store_tcase(suite, "whole");

    tcase_set_tags(tests, "slow"); /* valgrind leaves it out */
    tcase_add_loop_test(tests, a_copy_is_the_source_to_the_last_byte, 0, PAIRS * LIMITS);
    tcase_add_loop_test(tests, what_is_there_already_is_not_carried_again, 0, PAIRS);
    tcase_add_loop_test(tests, a_copy_that_was_stopped_goes_on, 0, PAIRS);
    tcase_add_loop_test(tests, others_go_on_writing_to_the_source, 0, PAIRS);
    tcase_add_loop_test(tests, a_copy_keeps_up_until_the_switch, 0, PAIRS);
    tcase_add_test(tests, a_transaction_that_is_cut_in_two_is_carried_all_the_same);
}

static void add_rivals(Suite *suite)
{
    TCase *tests = add_store_tcase(suite, "others at the target");

    tcase_add_test(tests, a_target_with_records_of_its_own_is_refused);
    tcase_add_test(tests, a_target_with_more_than_the_source_is_refused);
    tcase_add_test(tests, a_target_with_records_and_no_log_is_refused);
    tcase_add_test(tests, a_target_with_keys_and_no_log_is_refused);
    tcase_add_loop_test(tests, who_writes_to_the_target_between_portions_is_found_out, 0, PAIRS);
    tcase_add_test(tests, who_writes_to_the_target_while_it_follows_is_found_out);
    tcase_add_loop_test(tests, a_second_copy_does_no_harm, 0, PAIRS);
}

static void add_failures(Suite *suite)
{
    TCase *tests = add_store_tcase(suite, "failures");

    tcase_set_tags(tests, "slow");
    tcase_add_test(tests, a_leaf_that_was_changed_is_found);
    tcase_add_test(tests, a_version_that_is_missing_is_found);
    tcase_add_test(tests, a_row_of_the_target_that_was_changed_is_found);
    tcase_add_loop_test(tests, after_any_failure_the_copy_goes_on, 0, FAILING_CALLS);
    tcase_add_loop_test(tests, after_a_failure_of_the_source_the_copy_goes_on, 0, 2);
    tcase_add_loop_test(tests, what_passes_is_waited_for, 0, 3);
    tcase_add_loop_test(tests, a_commit_of_which_nothing_is_known_is_found_out, 0, 2);
    tcase_add_test(tests, following_goes_on_when_the_target_comes_back);
}

static void add_rest(Suite *suite)
{
    TCase *tests = add_store_tcase(suite, "what comes along");

    tcase_add_loop_test(tests, what_is_encrypted_stays_so_and_can_be_read, 0, PAIRS);
    tcase_add_loop_test(tests, what_was_done_under_a_key_is_known_at_the_target, 0, PAIRS);
    tcase_add_loop_test(tests, clients_of_the_target_see_new_policies, 0, PAIRS);
    tcase_add_test(tests, all_tenants_are_copied_or_one);
    tcase_add_test(tests, a_tenant_that_is_not_there_is_not_found);
    tcase_add_test(tests, tenants_that_come_while_it_follows_are_copied);
    tcase_add_test(tests, an_empty_store_is_copied);
    tcase_add_test(tests, misuse_is_refused);
    tcase_add_test(tests, a_source_that_is_not_there_makes_no_target);
}

static Suite *copy_suite(void)
{
    Suite *suite = suite_create("copy");

    add_whole(suite);
    add_rivals(suite);
    add_failures(suite);
    add_rest(suite);
    return suite;
}

int main(void)
{
    return run_store_suite(copy_suite());
}
