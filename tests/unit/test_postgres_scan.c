/*
 * The PostgreSQL driver: answers that are longer than what comes at once. What queries mean the
 * conformance suite knows.
 */
#define _POSIX_C_SOURCE 200809L
#include <sys/resource.h>

#include "cluster.h"
#include "unit/postgres_store.h"

#define MANY 3000 /* records of phase "many": a00001 and so on */

/* Written past all rules, which is quicker: version 1 of each is current. */
static const char fill_many[] =
    "SET session_replication_role = replica;"
    "CREATE TEMP TABLE record AS SELECT i, 'a' || lpad(i::text, 5, '0') AS subject,"
    "  gen_random_uuid() AS id, gen_random_uuid() AS payload FROM generate_series(1, 3000) AS i;"
    "INSERT INTO flagver.series (tenant, phase, subject, id, last_no, current_no, rev, changed_at)"
    "  SELECT 'default', 'many', subject, id, 1, 1, 1, 1 FROM record;"
    "INSERT INTO flagver.payload (tenant, id, body)"
    "  SELECT 'default', payload, convert_to('body ' || i, 'UTF8') FROM record;"
    "INSERT INTO flagver.version (tenant, series, no, id, state, bits, rev, created_at, created_by,"
    "    decided_at, decided_by, payload, content_hash)"
    "  SELECT 'default', id, 1, gen_random_uuid(), 3, 0, 1, 1, 'alice', 2, 'bob', payload,"
    "    decode(repeat('00', 32), 'hex') FROM record;";

/* And a hundred with a megabyte each: z001 and so on, behind all the others. */
#define LARGE 100
#define MEGABYTE (1u << 20)
static const char fill_large[] =
    "SET session_replication_role = replica;"
    "CREATE TEMP TABLE large AS SELECT i, 'z' || lpad(i::text, 3, '0') AS subject,"
    "  gen_random_uuid() AS id, gen_random_uuid() AS payload FROM generate_series(1, 100) AS i;"
    "INSERT INTO flagver.series (tenant, phase, subject, id, last_no, current_no, rev, changed_at)"
    "  SELECT 'default', 'many', subject, id, 1, 1, 1, 1 FROM large;"
    "INSERT INTO flagver.payload (tenant, id, body) SELECT 'default', payload,"
    "    convert_to(repeat(lpad(i::text, 4, '0'), 262144), 'UTF8') FROM large;"
    "INSERT INTO flagver.version (tenant, series, no, id, state, bits, rev, created_at, created_by,"
    "    decided_at, decided_by, payload, content_hash)"
    "  SELECT 'default', id, 1, gen_random_uuid(), 3, 0, 1, 1, 'alice', 2, 'bob', payload,"
    "    decode(repeat('00', 32), 'hex') FROM large;"
    "INSERT INTO flagver.item (tenant, series, no, key, status, payload, hash)"
    "  SELECT 'default', (SELECT id FROM large WHERE i = 1), 1, 'item' || lpad(i::text, 3, '0'), 0,"
    "    payload, decode(repeat('00', 32), 'hex') FROM large;";

static void fill(void)
{
    set_up();
    sql(fill_many);
}

/* ---- scanning ---- */

static flagver_query all_of(const char *phase)
{
    return (flagver_query){ .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_CURRENT,
                            .phase = text(phase),
                            .payload = 1 };
}

static flagver_cursor *scan(flagver_driver_txn *txn, const flagver_query *query)
{
    flagver_cursor *cursor;

    assert_ok(driver->scan(txn, query, &cursor, &error));
    return cursor;
}

static bool step(flagver_cursor *cursor, flagver_row *ret_row)
{
    int r = driver->next(cursor, ret_row, &error);

    ck_assert_msg(r >= 0, "%s", error.message);
    return r > 0;
}

/* The next rows of phase "many" are those from number `from` to `to`, with their bodies. */
static void check_rows(flagver_cursor *cursor, int from, int to)
{
    char subject[16], body[16];
    flagver_row row;
    int i;

    for (i = from; i != (from < to ? to + 1 : to - 1); i += from < to ? 1 : -1) {
        snprintf(subject, sizeof subject, "a%05d", i);
        snprintf(body, sizeof body, "body %d", i);
        ck_assert_msg(step(cursor, &row), "%s is missing", subject);
        ck_assert_msg(is_text(row.as.version.subject, subject), "%.*s instead of %s",
                      (int)row.as.version.subject.length, (const char *)row.as.version.subject.data,
                      subject);
        ck_assert(is_text(row.as.version.payload, body));
        ck_assert(is_text(row.as.version.phase, "many"));
    }
}

static void check_end(flagver_cursor *cursor)
{
    flagver_row row;

    ck_assert(!step(cursor, &row));
    ck_assert(!step(cursor, &row));
}

static size_t open_portals(flagver_driver_txn *txn)
{
    static const struct fv_pg_statement statement = {
        -1, "SELECT count(*) FROM pg_cursors WHERE name LIKE 'flagver%'"
    };
    PGresult *result;
    size_t found;

    assert_ok(fv_pg_query(txn->conn, &statement, NULL, &result, &error));
    found = (size_t)fv_pg_get_number(result, 0, 0);
    PQclear(result);
    return found;
}

/* ---- long answers ---- */

START_TEST(a_long_answer_is_whole_and_in_order)
{
    flagver_query query = all_of("many");
    flagver_driver_txn *txn = reading();
    flagver_cursor *cursor = scan(txn, &query);

    check_rows(cursor, 1, MANY);
    check_end(cursor);
    driver->end_scan(cursor);

    query.backwards = 1;
    cursor = scan(txn, &query);
    check_rows(cursor, MANY, 1);
    check_end(cursor);
    driver->end_scan(cursor);
    driver->rollback(txn);
}
END_TEST

START_TEST(a_limit_holds_for_answers_of_any_length)
{
    static const uint32_t limits[] = { 1, 127, 128, 129, 640, MANY - 1, MANY, MANY + 1, 0 };
    flagver_query query = all_of("many");
    flagver_driver_txn *txn = reading();
    size_t i, wanted;

    for (i = 0; i < sizeof limits / sizeof *limits; i++) {
        query.limit = limits[i];
        wanted = limits[i] == 0 || limits[i] > MANY ? MANY : limits[i];
        ck_assert_uint_eq(count(txn, &query, NULL), wanted);
    }
    driver->rollback(txn);
}
END_TEST

START_TEST(long_scans_go_on_side_by_side)
{
    flagver_query query = all_of("many");
    flagver_driver_txn *txn = reading();
    flagver_cursor *up = scan(txn, &query), *down;
    int at;

    query.backwards = 1;
    down = scan(txn, &query);
    query = (flagver_query){ .kind = FLAGVER_QUERY_SERIES, .limit = 1 };
    for (at = 0; at < MANY; at += 100) {
        check_rows(up, at + 1, at + 100);
        ck_assert_uint_eq(count(txn, &query, NULL), 1);
        check_rows(down, MANY - at, MANY - at - 99);
    }
    check_end(up);
    check_end(down);
    driver->end_scan(up);
    driver->end_scan(down);
    ck_assert_uint_eq(count(txn, &query, NULL), 1);
    driver->rollback(txn);
}
END_TEST

START_TEST(a_long_scan_that_ends_early_leaves_nothing_behind)
{
    static const int steps[] = { 0, 1, 128, 129, 700, 1500 };
    const flagver_query query = all_of("many");
    flagver_driver_txn *txn = writing();
    flagver_cursor *cursor;
    size_t i;

    for (i = 0; i < sizeof steps / sizeof *steps; i++) {
        cursor = scan(txn, &query);
        if (steps[i])
            check_rows(cursor, 1, steps[i]);
        driver->end_scan(cursor);
        ck_assert_uint_eq(open_portals(txn), 0);
    }
    assert_ok(driver->commit(txn, &error));
}
END_TEST

START_TEST(a_long_scan_goes_on_after_locks_and_changes)
{
    const flagver_query query = all_of("many");
    flagver_driver_txn *txn = writing();
    flagver_cursor *cursor = scan(txn, &query);
    flagver_series_row series = { .phase = text("many"), .subject = text("a00001") };
    struct record record;
    char name[16];
    int at;

    series.tenant = text("default");
    for (at = 0; at < MANY; at += 500) {
        check_rows(cursor, at + 1, at + 500);
        assert_ok(driver->lock(txn, &series, 1, 0, &error));
        snprintf(name, sizeof name, "b%05d", at);
        start_record(txn, &record, name, "1");
        record.series.phase = text("many");
        assert_ok(driver->apply(txn, record.changes, record.count, &error));
    }
    /* all rows are of the moment at which the scan began */
    check_end(cursor);
    driver->end_scan(cursor);
    assert_ok(driver->commit(txn, &error));
}
END_TEST

/* So many that the caller need not wait for the answers, while rows are on their way, too. */
START_TEST(a_long_scan_goes_on_after_very_many_changes)
{
    enum { CHANGES = 600 };
    static flagver_keyed_row rows[CHANGES];
    static flagver_change many[CHANGES];
    static char keys[CHANGES][16];
    const flagver_query query = all_of("many"),
                        keyed = { .kind = FLAGVER_QUERY_KEYED, .space = text("space") };
    flagver_driver_txn *txn = writing();
    flagver_cursor *cursor = scan(txn, &query);
    int i;

    check_rows(cursor, 1, 1000); /* the next ones are on their way */
    for (i = 0; i < CHANGES; i++) {
        snprintf(keys[i], sizeof keys[i], "k%05d", i);
        rows[i] = (flagver_keyed_row){ .tenant = text("default"),
                                       .space = text("space"),
                                       .key = text(keys[i]),
                                       .rev = 1,
                                       .time = 1,
                                       .value = text("v") };
        many[i] = (flagver_change){ .kind = FLAGVER_CHANGE_KEYED, .row.keyed = &rows[i] };
    }
    assert_ok(driver->apply(txn, many, CHANGES, &error));
    check_rows(cursor, 1001, MANY);
    check_end(cursor);
    driver->end_scan(cursor);
    ck_assert_uint_eq(count(txn, &keyed, NULL), CHANGES);
    assert_ok(driver->commit(txn, &error));
}
END_TEST

START_TEST(a_lost_connection_is_not_taken_for_the_end)
{
    const flagver_query query = all_of("many");
    flagver_driver_txn *txn = reading();
    flagver_cursor *cursor = scan(txn, &query);
    char statement[80];
    flagver_row row;
    int r, seen = 0;

    check_rows(cursor, 1, 10);
    snprintf(statement, sizeof statement, "SELECT pg_terminate_backend(%d, 10000)",
             PQbackendPID(txn->conn->pq));
    ck_assert_str_eq(answer(statement), "t");
    while ((r = driver->next(cursor, &row, &error)) > 0)
        seen++;
    ck_assert_int_lt(seen, MANY - 10);
    ck_assert_int_eq(r, FLAGVER_EUNAVAILABLE);
    ck_assert_int_lt(driver->next(cursor, &row, &error), 0);
    driver->end_scan(cursor);
    driver->rollback(txn);
    txn = reading();
    ck_assert_uint_eq(count(txn, &query, NULL), MANY);
    driver->rollback(txn);
}
END_TEST

/* What is fetched while the caller does something else is refused: whoever comes next is told why. */
START_TEST(what_is_refused_ahead_of_its_time_is_told_as_what_it_is)
{
    const flagver_query query = all_of("many"), one = { .kind = FLAGVER_QUERY_LOG };
    flagver_driver_txn *txn;
    flagver_cursor *cursor, *unused;
    flagver_row row;
    int r, seen = 0;

    sql("CREATE FUNCTION public.trap(subject text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN"
        "  IF subject = 'a01500' THEN RAISE 'it snapped' USING ERRCODE = '57014'; END IF;"
        "  RETURN true;"
        "END $$;"
        "CREATE POLICY trap ON flagver.series AS RESTRICTIVE USING (public.trap(subject))");
    txn = reading();
    cursor = scan(txn, &query);
    do {
        check_rows(cursor, seen + 1, seen + 1);
        seen++;
        r = driver->scan(txn, &one, &unused, &error);
        if (r == 0)
            driver->end_scan(unused);
    } while (r == 0 && seen < 1500);
    ck_assert_int_eq(r, FLAGVER_EBUSY);
    ck_assert_ptr_nonnull(strstr(error.message, "it snapped"));
    ck_assert_str_eq(error.sqlstate, "57014");
    while ((r = driver->next(cursor, &row, &error)) > 0)
        seen++;
    ck_assert_int_lt(seen, 1500);
    ck_assert_int_eq(r, FLAGVER_EBUSY);
    ck_assert_ptr_nonnull(strstr(error.message, "it snapped"));
    driver->end_scan(cursor);
    driver->rollback(txn);
}
END_TEST

/* ---- large payloads ---- */

static void check_body(flagver_bytes body, int i)
{
    char part[8];

    snprintf(part, sizeof part, "%04d", i);
    ck_assert_uint_eq(body.length, MEGABYTE);
    ck_assert(memcmp(body.data, part, 4) == 0);
    ck_assert(memcmp((const char *)body.data + MEGABYTE - 4, part, 4) == 0);
}

#if defined(__has_feature)
#define HAS_ADDRESS_SANITIZER __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ADDRESS_SANITIZER 1
#else
#define HAS_ADDRESS_SANITIZER 0
#endif

/* What this process has had at most, in KiB. */
static long peak(void)
{
    struct rusage usage;

    ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

/* A sanitizer keeps what is freed for a while. */
static void check_growth(long before)
{
    if (!HAS_ADDRESS_SANITIZER)
        ck_assert_msg(peak() - before < 32 * 1024, "%ld KiB more were needed", peak() - before);
}

START_TEST(large_payloads_do_not_fill_the_memory)
{
    const flagver_query query = all_of("many");
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    long before = peak();
    flagver_row row;
    int i;

    sql(fill_large);
    txn = reading();
    cursor = scan(txn, &query);
    check_rows(cursor, 1, MANY);
    for (i = 1; i <= LARGE; i++) {
        ck_assert(step(cursor, &row));
        check_body(row.as.version.payload, i);
    }
    check_end(cursor);
    driver->end_scan(cursor);
    driver->rollback(txn);
    check_growth(before);
}
END_TEST

START_TEST(large_payloads_of_items_do_not_fill_the_memory)
{
    flagver_query query = all_of("many");
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    long before = peak();
    flagver_row row;
    int i;

    sql(fill_large);
    txn = reading();
    query.subject = text("z001");
    cursor = scan(txn, &query);
    ck_assert(step(cursor, &row));
    query = (flagver_query){
        .kind = FLAGVER_QUERY_ITEMS, .id = row.as.version.series, .no = 1, .payload = 1
    };
    driver->end_scan(cursor);
    cursor = scan(txn, &query);
    for (i = 1; i <= LARGE; i++) {
        ck_assert(step(cursor, &row));
        check_body(row.as.item.payload, i);
    }
    check_end(cursor);
    driver->end_scan(cursor);
    driver->rollback(txn);
    check_growth(before);
}
END_TEST

START_TEST(a_large_payload_that_was_shredded_meanwhile_is_none)
{
    flagver_query query = all_of("many");
    flagver_driver_txn *txn;
    flagver_cursor *cursor, *other;
    flagver_payload_row payload = { .key = 0 };
    flagver_change change = { .kind = FLAGVER_CHANGE_SHRED };
    flagver_row row;

    sql(fill_large);
    txn = writing();
    query.after = text("z000");
    cursor = scan(txn, &query);
    ck_assert(step(cursor, &row));
    check_body(row.as.version.payload, 1);

    query.after = text("z001");
    query.limit = 1;
    other = scan(txn, &query);
    ck_assert(step(other, &row));
    payload.id = row.as.version.payload_id;
    driver->end_scan(other);
    change.row.payload = &payload;
    assert_ok(driver->apply(txn, &change, 1, &error));

    ck_assert(step(cursor, &row));
    ck_assert(is_text(row.as.version.subject, "z002"));
    ck_assert_ptr_null(row.as.version.payload.data);
    ck_assert(step(cursor, &row));
    check_body(row.as.version.payload, 3);
    driver->end_scan(cursor);
    driver->rollback(txn);
}
END_TEST

/* ---- inside the application's transaction ---- */

START_TEST(a_long_scan_survives_what_is_refused_in_an_applications_transaction)
{
    const flagver_query query = all_of("many");
    PGconn *application = connect_as(ROLE);
    const flagver_adoption adoption = { .connection = application,
                                        .library = PQresStatus(PGRES_COMMAND_OK),
                                        .version = PQlibVersion() };
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    struct record record;

    assert_run(application, "BEGIN");
    assert_ok(driver->adopt(store, text("default"), &adoption, &txn, &error));
    cursor = scan(txn, &query);
    check_rows(cursor, 1, 700);
    start_record(txn, &record, "a", "1");
    record.version.no = 7;
    assert_fails(FLAGVER_ECORRUPT, driver->apply(txn, record.changes, record.count, &error));
    check_rows(cursor, 701, 1500);
    assert_run(application, "SELECT 1"); /* the connection is its own between our calls */
    check_rows(cursor, 1501, MANY);
    check_end(cursor);
    driver->end_scan(cursor);
    assert_ok(driver->commit(txn, &error));
    ck_assert_str_eq(value_on(application, "SELECT count(*) FROM pg_cursors"), "0");
    assert_run(application, "COMMIT");
    PQfinish(application);
}
END_TEST

START_TEST(large_payloads_are_read_in_an_applications_transaction)
{
    flagver_query query = all_of("many");
    PGconn *application = connect_as(ROLE);
    const flagver_adoption adoption = { .connection = application,
                                        .library = PQresStatus(PGRES_COMMAND_OK),
                                        .version = PQlibVersion() };
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    flagver_row row;

    sql(fill_large);
    assert_run(application, "BEGIN");
    assert_ok(driver->adopt(store, text("default"), &adoption, &txn, &error));
    query.subject = text("z042");
    cursor = scan(txn, &query);
    ck_assert(step(cursor, &row));
    check_body(row.as.version.payload, 42);
    check_end(cursor);
    driver->end_scan(cursor);
    assert_ok(driver->commit(txn, &error));
    assert_run(application, "COMMIT");
    PQfinish(application);
}
END_TEST

/* ---- ranges ---- */

/* In byte order: what lies around the places where UTF-8 has gaps. */
static const char *const names[] = {
    "\x01",
    "a",
    "a\x01",
    "a\x7f",
    "a\xc2\x80",
    "b",
    "\xc3\x80",
    "\xc3\xbf",
    "\xc4\x80",
    "\xed\x9f\xbe",
    "\xed\x9f\xbf",
    "\xed\x9f\xbfz",
    "\xee\x80\x80",
    "\xef\xbf\xbd",
    "\xef\xbf\xbf",
    "\xf0\x90\x80\x80",
    "\xf4\x8f\xbf\xbf",
    "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf",
};
#define NAMES (sizeof names / sizeof *names)

/* What may be asked for need not be text. */
static const char *const bounds[] = { "",
                                      "\x01",
                                      "a",
                                      "a\x7f",
                                      "a\xff",
                                      "\x80",
                                      "\xc3",
                                      "\xc3\x01",
                                      "\xc3\xff",
                                      "\xe0",
                                      "\xed\x9f\xbf",
                                      "\xed\x9f\xbf\xff",
                                      "\xed\xa0",
                                      "\xed\xa0\x80",
                                      "\xed\xff",
                                      "\xef\xbf\xbd",
                                      "\xef\xbf\xbe\xff",
                                      "\xef\xbf\xbf\xff",
                                      "\xf4\x8f",
                                      "\xf4\x8f\xbf\xbf",
                                      "\xf4\x8f\xbf\xbf\xff",
                                      "\xf4\x90",
                                      "\xff",
                                      "\xff\xff" };
#define BOUNDS (sizeof bounds / sizeof *bounds)

static void store_names(void)
{
    flagver_driver_txn *txn = writing();
    flagver_series_row row = { .tenant = text("default"), .phase = text("phase"), .rev = 1 };
    flagver_change change = { .kind = FLAGVER_CHANGE_SERIES };
    size_t i;

    change.row.series = &row;
    for (i = 0; i < NAMES; i++) {
        row.id = fresh_id();
        row.subject = text(names[i]);
        assert_ok(driver->apply(txn, &change, 1, &error));
    }
    assert_ok(driver->commit(txn, &error));
}

static bool is_wanted(size_t i, const char *subject, int prefix, const char *after, int backwards)
{
    if (subject && strncmp(names[i], subject, prefix ? strlen(subject) : 100) != 0)
        return false;
    return !after || (backwards ? strcmp(names[i], after) < 0 : strcmp(names[i], after) > 0);
}

static void check_names(flagver_driver_txn *txn, const char *subject, int prefix, const char *after,
                        int backwards)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_SERIES,
                                  .phase = text("phase"),
                                  .subject = text(subject),
                                  .prefix = prefix,
                                  .after = text(after),
                                  .backwards = backwards };
    flagver_cursor *cursor = scan(txn, &query);
    flagver_row row;
    size_t i, at;

    for (i = 0; i < NAMES; i++) {
        at = backwards ? NAMES - 1 - i : i;
        if (!is_wanted(at, subject, prefix, after, backwards))
            continue;
        ck_assert_msg(step(cursor, &row), "%zu is missing", at);
        ck_assert_msg(is_text(row.as.series.subject, names[at]), "not %zu", at);
    }
    check_end(cursor);
    driver->end_scan(cursor);
}

START_TEST(a_range_may_begin_and_end_inside_a_character)
{
    flagver_driver_txn *txn;
    size_t i;

    store_names();
    txn = reading();
    for (i = 0; i < BOUNDS; i++) {
        check_names(txn, bounds[i], 0, NULL, 0);
        check_names(txn, bounds[i], 1, NULL, 0);
        check_names(txn, bounds[i], 1, NULL, 1);
        check_names(txn, NULL, 0, bounds[i], 0);
        check_names(txn, NULL, 0, bounds[i], 1);
        check_names(txn, "a", 1, bounds[i], 0);
        check_names(txn, "a", 1, bounds[i], 1);
        check_names(txn, "\xf4\x8f\xbf\xbf", 0, bounds[i], 0);
    }
    driver->rollback(txn);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name, void (*before)(void))
{
    TCase *tcase = tcase_create(name);

    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, before, tear_down);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("postgres_scan");
    TCase *tcase;
    int r;

    tcase = add_case(suite, "long", fill);
    tcase_add_test(tcase, a_long_answer_is_whole_and_in_order);
    tcase_add_test(tcase, a_limit_holds_for_answers_of_any_length);
    tcase_add_test(tcase, long_scans_go_on_side_by_side);
    tcase_add_test(tcase, a_long_scan_that_ends_early_leaves_nothing_behind);
    tcase_add_test(tcase, a_long_scan_goes_on_after_locks_and_changes);
    tcase_add_test(tcase, a_long_scan_goes_on_after_very_many_changes);
    tcase_add_test(tcase, a_lost_connection_is_not_taken_for_the_end);
    tcase_add_test(tcase, what_is_refused_ahead_of_its_time_is_told_as_what_it_is);
    tcase_add_test(tcase, large_payloads_do_not_fill_the_memory);
    tcase_add_test(tcase, large_payloads_of_items_do_not_fill_the_memory);
    tcase_add_test(tcase, a_large_payload_that_was_shredded_meanwhile_is_none);
    tcase_add_test(tcase, a_long_scan_survives_what_is_refused_in_an_applications_transaction);
    tcase_add_test(tcase, large_payloads_are_read_in_an_applications_transaction);

    tcase = add_case(suite, "ranges", set_up);
    tcase_add_test(tcase, a_range_may_begin_and_end_inside_a_character);

    prepare_cluster();
    r = run_suite(suite);
    clean_cluster();
    return r;
}
