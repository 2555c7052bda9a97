/*
 * Rows: what is written comes back as it was; what `expect` says; batches.
 */
#include <stdio.h>

#include "fixture.h"

/* ---- columns ---- */

/* The version as it is read, with its payload. */
static void read_version(flagver_id id, int payload, struct conform_rows *ret_rows)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSION, .id = id, .payload = payload };
    flagver_driver_txn *txn = conform_read();

    conform_one(txn, &query, ret_rows);
    conform_rollback(txn);
}

START_TEST(every_column_of_a_series_comes_back)
{
    flagver_series_row series = conform_series(0xf0e0d0c0, "phase", "subject");
    flagver_query query = conform_all_series();
    struct conform_batch batch = { .count = 0 };
    struct conform_rows rows;
    flagver_driver_txn *txn;

    memset(series.id.bytes, 0xff, sizeof series.id.bytes);
    series.rev = INT64_C(1) << 40;
    series.changed_at = INT64_C(253402300799999999); /* the end of the year 9999 */
    txn = conform_write();
    conform_add_series(&batch, series, 0);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);

    txn = conform_read();
    conform_one(txn, &query, &rows);
    conform_check_series(&rows.rows[0].as.series, &series);
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

START_TEST(every_column_of_a_version_comes_back)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_driver_txn *txn = conform_write();
    struct conform_batch batch = { .count = 0 };
    flagver_version_row version;
    struct conform_rows rows;
    size_t i;

    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "1");
    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "2");
    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "3");
    version = conform_version(&series, 4, FLAGVER_STATE_DRAFT);
    version.parent_no = 3;
    version.base_no = 2;
    version.reverts_no = 1;
    version.bits = FLAGVER_VERSION_TOMBSTONE;
    version.rev = INT64_C(1) << 50;
    version.created_at = INT64_C(253402300799999999);
    version.note = conform_text("a note");
    for (i = 0; i < 32; i++)
        version.content_hash[i] = (uint8_t)(i * 37);
    series.last_no = 4;
    series.rev++;
    series.changed_at = version.created_at;
    conform_add_series(&batch, series, series.rev - 1);
    conform_add_payload(&batch, conform_payload(&version, "4"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);

    read_version(version.id, 0, &rows);
    conform_check_version(&rows.rows[0].as.version, &version, &series);
    conform_free(&rows);
}
END_TEST

START_TEST(what_an_approval_writes_comes_back)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_driver_txn *txn = conform_write();
    flagver_version_row first, second;
    struct conform_rows rows;

    first = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "1");
    conform_approve(txn, &series, NULL, &first);
    second = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "2");
    conform_approve(txn, &series, &first, &second);
    conform_commit(txn);

    read_version(first.id, 0, &rows);
    conform_check_version(&rows.rows[0].as.version, &first, &series);
    conform_free(&rows);
    read_version(second.id, 0, &rows);
    conform_check_version(&rows.rows[0].as.version, &second, &series);
    conform_free(&rows);
}
END_TEST

START_TEST(an_edited_draft_comes_back_as_it_was_edited)
{
    flagver_version_row version;
    flagver_series_row series = conform_draft(1, "phase", "subject", &version);
    flagver_version_row edited = version;
    struct conform_batch batch = { .count = 0 };
    struct conform_rows rows;
    flagver_driver_txn *txn;

    edited.payload_id = conform_id(77);
    edited.content_hash[0] ^= 0xff;
    edited.note = conform_text("edited");
    edited.rev = 2;
    txn = conform_write();
    conform_add_payload(&batch, conform_payload(&edited, "other"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, edited, 1);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);

    read_version(version.id, 1, &rows);
    conform_check_version(&rows.rows[0].as.version, &edited, &series);
    ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text("other")));
    conform_free(&rows);
}
END_TEST

START_TEST(two_versions_may_have_one_payload)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_driver_txn *txn = conform_write();
    struct conform_batch batch = { .count = 0 };
    flagver_version_row first, second;
    struct conform_rows rows;

    first = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "said once");
    second = conform_version(&series, 2, FLAGVER_STATE_DRAFT);
    second.payload_id = first.payload_id;
    series.last_no = 2;
    series.rev++;
    conform_add_series(&batch, series, series.rev - 1);
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, second, 0);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);

    read_version(second.id, 1, &rows);
    ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text("said once")));
    conform_free(&rows);
}
END_TEST

/* ---- none, empty, any bytes ---- */

static uint8_t every_byte[512];

/* A version with this payload and note; as it is read then. */
static void round_trip(flagver_payload_row payload, flagver_bytes note,
                       struct conform_rows *ret_rows)
{
    static unsigned number;
    char subject[32];
    flagver_driver_txn *txn = conform_write();
    struct conform_batch batch = { .count = 0 };
    flagver_version_row version;
    flagver_series_row series;

    snprintf(subject, sizeof subject, "subject %u", ++number);
    series = conform_series(number, "phase", subject);
    series.last_no = 1;
    version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    version.note = note;
    payload.id = version.payload_id;
    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, payload);
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    read_version(version.id, 1, ret_rows);
}

START_TEST(payloads_are_any_bytes_and_none_is_not_empty)
{
    const flagver_bytes values[] = { { NULL, 0 },
                                     { "", 0 },
                                     { "\0", 1 },
                                     { every_byte, sizeof every_byte },
                                     { "0123456789abcdef", 16 } };
    struct conform_rows rows;
    size_t i, j;

    for (i = 0; i < sizeof every_byte; i++)
        every_byte[i] = (uint8_t)(i * 7);
    for (i = 1; i < sizeof values / sizeof *values; i++)
        for (j = 0; j < sizeof values / sizeof *values; j++) {
            flagver_payload_row payload = { .key = (uint32_t)j * 1000000007u,
                                            .salt = values[j],
                                            .body = values[i] };

            round_trip(payload, conform_text(NULL), &rows);
            ck_assert_msg(conform_same(rows.rows[0].as.version.payload, values[i]), "body %zu", i);
            ck_assert_msg(conform_same(rows.rows[0].as.version.payload_salt, values[j]), "salt %zu",
                          j);
            ck_assert_uint_eq(rows.rows[0].as.version.payload_key, payload.key);
            conform_free(&rows);
        }
}
END_TEST

START_TEST(a_note_is_none_or_empty_or_there)
{
    static const char *const notes[] = { NULL, "", "a note" };
    const flagver_payload_row payload = { .body = { "{}", 2 } };
    struct conform_rows rows;
    size_t i;

    for (i = 0; i < sizeof notes / sizeof *notes; i++) {
        round_trip(payload, conform_text(notes[i]), &rows);
        ck_assert_msg(conform_same(rows.rows[0].as.version.note, conform_text(notes[i])),
                      "note %zu", i);
        conform_free(&rows);
    }
}
END_TEST

START_TEST(a_payload_that_was_not_asked_for_is_none)
{
    flagver_version_row version;
    flagver_series_row series = conform_draft(1, "phase", "subject", &version);
    flagver_query query = conform_versions_of(&series);
    struct conform_rows rows;
    flagver_driver_txn *txn;

    read_version(version.id, 0, &rows);
    ck_assert_ptr_null(rows.rows[0].as.version.payload.data);
    conform_free(&rows);
    read_version(version.id, 1, &rows);
    ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text("{}")));
    conform_free(&rows);

    txn = conform_read();
    query.payload = 0;
    conform_one(txn, &query, &rows);
    ck_assert_ptr_null(rows.rows[0].as.version.payload.data);
    conform_free(&rows);
    query.payload = 1;
    conform_one(txn, &query, &rows);
    ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text("{}")));
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

START_TEST(leaves_and_keyed_values_are_any_bytes)
{
    const flagver_bytes values[] = { { "", 0 }, { "\0\0", 2 }, { every_byte, sizeof every_byte } };
    flagver_query leaves = conform_all_leaves(), keyed = conform_keyed_of("space", "key");
    struct conform_batch batch = { .count = 0 };
    flagver_keyed_row row = conform_keyed("space", "key", 1, NULL);
    struct conform_rows rows;
    flagver_driver_txn *txn;
    size_t i;

    for (i = 0; i < sizeof every_byte; i++)
        every_byte[i] = (uint8_t)(255 - i);
    for (i = 0; i < sizeof values / sizeof *values; i++) {
        flagver_leaf_row leaf = conform_leaf(i, "");

        leaf.leaf = values[i];
        row.value = values[i];
        txn = conform_write();
        conform_add_leaf(&batch, leaf);
        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, row, FLAGVER_EXPECT_ANY);
        assert_ok(conform_apply(txn, &batch));
        conform_commit(txn);

        txn = conform_read();
        leaves.from = i;
        conform_one(txn, &leaves, &rows);
        ck_assert_uint_eq(rows.rows[0].as.leaf.no, i);
        ck_assert(conform_same(rows.rows[0].as.leaf.leaf, values[i]));
        ck_assert(conform_same(rows.rows[0].as.leaf.tenant, conform_text(TENANT)));
        ck_assert(memcmp(rows.rows[0].as.leaf.hash, leaf.hash, sizeof leaf.hash) == 0);
        conform_free(&rows);
        conform_one(txn, &keyed, &rows);
        conform_check_keyed(&rows.rows[0].as.keyed, &row);
        conform_free(&rows);
        conform_rollback(txn);
    }
}
END_TEST

/* ---- texts ---- */

static const char *const texts[] = {
    "a",
    "A",
    " ",
    " a ",
    "'",
    "''; DROP TABLE version; --",
    "\"",
    "\\",
    "%",
    "_",
    "a%b_c",
    "[a]*?",
    "$1",
    ":name",
    "?1",
    "/",
    "a/b/c",
    "..",
    "\x01\x1f\x7f",
    "line\nline\r\n",
    "tab\t",
    "NULL",
    "0",
    "-1",
    "1e3",
    "\xc3\xa9",         /* é */
    "e\xcc\x81",        /* the same, decomposed */
    "\xc4\xb0\xc4\xb1", /* İı */
    "\xc3\x9f",         /* ß */
    "\xef\xbf\xbd",     /* U+FFFD */
    "\xf0\x9f\x98\x80", /* U+1F600 */
    "\xf4\x8f\xbf\xbf", /* U+10FFFF */
    "\xd7\xa9\xd7\x9c", /* from right to left */
};

#define TEXTS (sizeof texts / sizeof *texts)

/* A series and a keyed row named by these texts, with one author and note, in a tenant. */
static void write_texts(const char *tenant, const char *phase, const char *subject, unsigned number)
{
    flagver_driver_txn *txn = conform_begin(conform.store, tenant, FLAGVER_MODE_WRITE);
    struct conform_batch batch = { .count = 0 };
    flagver_series_row series = conform_series(number, phase, subject);
    flagver_keyed_row keyed = conform_keyed(phase, subject, 1, "v");
    flagver_version_row version;

    series.tenant = keyed.tenant = conform_text(tenant);
    series.last_no = 1;
    version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    version.created_by = conform_text(subject);
    version.note = conform_text(phase);
    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, conform_payload(&version, subject));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, keyed, 0);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);

    txn = conform_begin(conform.store, tenant, FLAGVER_MODE_READ);
    {
        flagver_query versions = conform_versions_of(&series);
        flagver_query keys = conform_keyed_of(phase, subject);
        struct conform_rows rows;

        conform_one(txn, &versions, &rows);
        conform_check_version(&rows.rows[0].as.version, &version, &series);
        ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text(subject)));
        conform_free(&rows);
        conform_one(txn, &keys, &rows);
        conform_check_keyed(&rows.rows[0].as.keyed, &keyed);
        conform_free(&rows);
    }
    conform_rollback(txn);
}

START_TEST(texts_of_every_kind_come_back)
{
    unsigned i;

    for (i = 0; i < TEXTS; i++)
        write_texts(TENANT, "phase", texts[i], 100 + i);
    for (i = 0; i < TEXTS; i++)
        write_texts(TENANT, texts[i], texts[TEXTS - 1 - i], 200 + i);
}
END_TEST

START_TEST(tenants_are_texts_of_every_kind)
{
    unsigned i;

    for (i = 0; i < TEXTS; i++)
        write_texts(texts[i], "phase", "subject", 300 + i);
}
END_TEST

/* `length` bytes of text, mostly not ASCII, different for each letter. */
static char *long_text(size_t length, char letter)
{
    char *text = malloc(length + 1);
    size_t i;

    ck_assert_ptr_nonnull(text);
    for (i = 0; i + 2 <= length; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[length - 1] = letter;
    if (length % 2 == 0)
        text[length - 2] = letter;
    text[length] = '\0';
    return text;
}

START_TEST(names_may_be_as_long_as_the_library_lets_them)
{
    char *tenant = long_text(128, 't'), *phase = long_text(64, 'p'), *subject = long_text(512, 's'),
         *other = long_text(512, 'u');

    write_texts(tenant, phase, subject, 1);
    write_texts(tenant, phase, other, 2);
    free(tenant);
    free(phase);
    free(subject);
    free(other);
}
END_TEST

START_TEST(notes_authors_and_payloads_may_be_long)
{
    const size_t size = 16u << 20;
    char *note = long_text(4096, 'n'), *body = malloc(size);
    flagver_payload_row payload = { .body = { body, size } };
    struct conform_rows rows;
    size_t i;

    ck_assert_ptr_nonnull(body);
    for (i = 0; i < size; i++)
        body[i] = (char)(i * 2654435761u >> 13);
    round_trip(payload, conform_text(note), &rows);
    ck_assert(conform_same(rows.rows[0].as.version.note, conform_text(note)));
    ck_assert(conform_same(rows.rows[0].as.version.payload, payload.body));
    conform_free(&rows);
    free(note);
    free(body);
}
END_TEST

START_TEST(names_that_differ_in_case_or_form_are_different)
{
    static const char *const names[] = {
        "e\xcc\x81", "\xc3\xa9", "E\xcc\x81", "e", "E", "e ", " e"
    };
    flagver_query query = conform_all_series(), keyed = conform_keyed_of("phase", NULL);
    flagver_driver_txn *txn;
    unsigned i;

    for (i = 0; i < sizeof names / sizeof *names; i++)
        write_texts(TENANT, "phase", names[i], i + 1);
    txn = conform_read();
    ck_assert_uint_eq(conform_count(txn, &query), sizeof names / sizeof *names);
    ck_assert_uint_eq(conform_count(txn, &keyed), sizeof names / sizeof *names);
    conform_rollback(txn);
}
END_TEST

/* ---- what is borrowed ---- */

START_TEST(rows_are_borrowed_until_apply_returns)
{
    char subject[] = "subject", author[] = "author", body[] = "{\"a\":1}", tenant[] = TENANT;
    flagver_series_row series = conform_series(1, "phase", subject), wanted = series;
    struct conform_batch batch = { .count = 0 };
    flagver_version_row version, written;
    struct conform_rows rows;
    flagver_driver_txn *txn;

    txn = conform_begin(conform.store, tenant, FLAGVER_MODE_WRITE);
    memset(tenant, 'x', sizeof tenant - 1);
    series.last_no = 1;
    version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    version.created_by = conform_text(author);
    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, conform_payload(&version, body));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    assert_ok(conform_apply(txn, &batch));
    memset(&batch, 0xee, sizeof batch);
    memset(subject, 'x', sizeof subject - 1);
    memset(author, 'x', sizeof author - 1);
    memset(body, 'x', sizeof body - 1);
    conform_commit(txn);

    written = version;
    written.created_by = conform_text("author");
    wanted.subject = conform_text("subject");
    read_version(version.id, 1, &rows);
    conform_check_version(&rows.rows[0].as.version, &written, &wanted);
    ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text("{\"a\":1}")));
    conform_free(&rows);
}
END_TEST

/* Of a row that is written the driver takes these from the series and the payload. */
START_TEST(columns_of_other_rows_are_not_looked_at)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_driver_txn *txn = conform_write();
    struct conform_batch batch = { .count = 0 };
    flagver_version_row version;
    struct conform_rows rows;

    series.last_no = 1;
    version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, conform_payload(&version, "right"));
    version.payload = conform_text("wrong");
    version.payload_key = 99;
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    read_version(version.id, 1, &rows);
    conform_check_version(&rows.rows[0].as.version, &version, &series);
    ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text("right")));
    ck_assert_uint_eq(rows.rows[0].as.version.payload_key, 0);
    conform_free(&rows);
}
END_TEST

/* ---- expect ---- */

/* The rev of what is there (0: nothing), what is expected, and whether that is so. */
static const struct expectation {
    int64_t rev, expect;
    bool holds;
} expectations[] = {
    { 0, 0, true },
    { 0, 1, false },
    { 0, 7, false },
    { 0, FLAGVER_EXPECT_ANY, true },
    { 7, 7, true },
    { 7, 0, false },
    { 7, 6, false },
    { 7, 8, false },
    { 7, FLAGVER_EXPECT_ANY, true },
};

#define EXPECTATIONS (sizeof expectations / sizeof *expectations)

static void check_expectation(const struct expectation *row, const char *what, int r)
{
    ck_assert_msg(r == (row->holds ? 0 : FLAGVER_ECONFLICT),
                  "%s of rev %lld where %lld is expected: %d, %s", what, (long long)row->rev,
                  (long long)row->expect, r, conform_error.message);
    if (r < 0)
        conform_check_words(r, what);
}

/* Names that differ for each expectation. */
static const char *name_of(const struct expectation *row)
{
    static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h", "i" };

    return names[row - expectations];
}

/* Apply in a transaction of its own and end that. */
static int write_batch(struct conform_batch *batch)
{
    flagver_driver_txn *txn = conform_write();
    int r = conform_apply(txn, batch);

    if (r == 0)
        conform_commit(txn);
    else
        conform_rollback(txn);
    return r;
}

START_TEST(series_are_written_if_they_are_as_expected)
{
    flagver_query query = conform_all_series();
    struct conform_batch batch = { .count = 0 };
    const struct expectation *row;
    struct conform_rows rows;
    flagver_driver_txn *txn;

    for (row = expectations; row < expectations + EXPECTATIONS; row++) {
        flagver_series_row series = conform_series((unsigned)(row - expectations) + 1, "phase",
                                                   name_of(row));

        series.rev = 7;
        if (row->rev) {
            conform_add_series(&batch, series, 0);
            assert_ok(write_batch(&batch));
        }
        series.rev = 8;
        conform_add_series(&batch, series, row->expect);
        check_expectation(row, "a series", write_batch(&batch));

        txn = conform_read();
        query.phase = series.phase;
        query.subject = series.subject;
        conform_scan(txn, &query, &rows);
        ck_assert_uint_eq(rows.count, row->rev || row->holds);
        if (rows.count)
            ck_assert_int_eq(rows.rows[0].as.series.rev, row->holds ? 8 : 7);
        conform_free(&rows);
        conform_rollback(txn);
    }
}
END_TEST

/* Write a row of rev 7 if it is to be there, and then change it in this way. */
static void change_keyed(const struct expectation *row, int32_t kind)
{
    struct conform_batch batch = { .count = 0 };
    const char *key = name_of(row);

    if (row->rev) {
        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", key, 7, "old"), 0);
        assert_ok(write_batch(&batch));
    }
    conform_add_keyed(&batch, kind, conform_keyed("space", key, 8, "new"), row->expect);
    check_expectation(row, "a keyed row", write_batch(&batch));
}

START_TEST(keyed_rows_are_written_if_they_are_as_expected)
{
    const struct expectation *row;
    struct conform_rows rows;
    flagver_driver_txn *txn;

    for (row = expectations; row < expectations + EXPECTATIONS; row++) {
        const flagver_query query = conform_keyed_of("space", name_of(row));

        change_keyed(row, FLAGVER_CHANGE_KEYED);
        txn = conform_read();
        conform_scan(txn, &query, &rows);
        ck_assert_uint_eq(rows.count, row->rev || row->holds);
        if (rows.count)
            ck_assert(conform_same(rows.rows[0].as.keyed.value,
                                   conform_text(row->holds ? "new" : "old")));
        conform_free(&rows);
        conform_rollback(txn);
    }
}
END_TEST

START_TEST(keyed_rows_are_deleted_if_they_are_as_expected)
{
    const struct expectation *row;
    flagver_driver_txn *txn;

    for (row = expectations; row < expectations + EXPECTATIONS; row++) {
        const flagver_query query = conform_keyed_of("space", name_of(row));

        change_keyed(row, FLAGVER_CHANGE_KEYED_DELETE);
        txn = conform_read();
        ck_assert_uint_eq(conform_count(txn, &query), row->rev && !row->holds);
        conform_rollback(txn);
    }
}
END_TEST

START_TEST(versions_are_written_if_they_are_as_expected)
{
    static const struct expectation rows[] = {
        { 1, 1, true }, { 1, 2, false }, { 1, 7, false }, { 1, FLAGVER_EXPECT_ANY, true }
    };
    struct conform_batch batch = { .count = 0 };
    const struct expectation *row;
    flagver_version_row version;
    flagver_driver_txn *txn;

    conform_draft(1, "phase", "subject", &version);
    version.rev = 2;
    for (row = rows; row < rows + sizeof rows / sizeof *rows; row++) {
        txn = conform_write();
        conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, version, row->expect);
        check_expectation(row, "a version", conform_apply(txn, &batch));
        conform_rollback(txn);
    }
}
END_TEST

/* ---- batches ---- */

START_TEST(no_changes_at_all_are_fine)
{
    flagver_driver_txn *txn = conform_write();

    assert_ok(conform.driver->apply(txn, NULL, 0, &conform_error));
    conform_commit(txn);
    conform_check_empty(conform.store);
}
END_TEST

START_TEST(changes_are_made_in_order)
{
    struct conform_batch batch = { .count = 0 };
    const flagver_query query = conform_keyed_of("space", NULL);
    flagver_driver_txn *txn = conform_write();
    struct conform_rows rows;

    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "a", 1, "1"), 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "a", 2, "2"), 1);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED_DELETE, conform_keyed("space", "a", 0, NULL), 2);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "a", 9, "9"), 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "b", 1, "1"), 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED_DELETE, conform_keyed("space", "b", 0, NULL), 1);
    assert_ok(conform_apply(txn, &batch));
    conform_one(txn, &query, &rows);
    ck_assert_int_eq(rows.rows[0].as.keyed.rev, 9);
    conform_free(&rows);
    conform_commit(txn);
}
END_TEST

/* Changes of every kind, of which the last one is a conflict. */
static int apply_with_conflict(flagver_driver_txn *txn)
{
    struct conform_batch batch = { .count = 0 };
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_version_row version;

    series.last_no = 1;
    version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, conform_payload(&version, "{}"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "gone", 1, ""), 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED_DELETE, conform_keyed("space", "kept", 0, ""),
                      1);
    conform_add_leaf(&batch, conform_leaf(0, "leaf"));
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "x", 2, ""), 1);
    return conform_apply(txn, &batch);
}

/*
 * Of a batch that was refused nothing is ever committed. Whether the transaction goes on
 * without it, or can only be rolled back, is the driver's choice.
 */
START_TEST(a_batch_with_a_conflict_leaves_nothing)
{
    const flagver_query keyed = conform_keyed_of("space", NULL), leaves = conform_all_leaves(),
                        series = conform_all_series(), versions = conform_all_versions();
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    bool goes_on;
    int r;

    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "kept", 1, ""), 0);
    assert_ok(conform_apply(txn, &batch));
    assert_fails(FLAGVER_ECONFLICT, apply_with_conflict(txn));
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "more", 1, ""), 0);
    goes_on = conform_apply(txn, &batch) == 0;
    r = conform.driver->commit(txn, &conform_error);
    ck_assert_msg((r == 0) == goes_on, "apply %s, and then commit returned %d",
                  goes_on ? "went on" : "did not go on", r);

    txn = conform_read();
    ck_assert_uint_eq(conform_count(txn, &keyed), goes_on ? 2 : 0);
    ck_assert_uint_eq(conform_count(txn, &leaves), 0);
    ck_assert_uint_eq(conform_count(txn, &series), 0);
    ck_assert_uint_eq(conform_count(txn, &versions), 0);
    conform_rollback(txn);
}
END_TEST

START_TEST(after_a_conflict_everything_can_be_tried_again)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    struct conform_batch batch = { .count = 0 };
    const flagver_query versions = conform_all_versions();
    flagver_driver_txn *txn = conform_write();

    assert_fails(FLAGVER_ECONFLICT, apply_with_conflict(txn));
    conform_rollback(txn);
    /* The same names, ids and numbers. */
    txn = conform_write();
    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "{}");
    conform_add_leaf(&batch, conform_leaf(0, "leaf"));
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space", "gone", 1, ""), 0);
    assert_ok(conform_apply(txn, &batch));
    ck_assert_uint_eq(conform_count(txn, &versions), 1);
    conform_commit(txn);
}
END_TEST

/* ---- the keyed table ---- */

START_TEST(keys_belong_to_their_space)
{
    struct conform_batch batch = { .count = 0 };
    const flagver_query a = conform_keyed_of("a", NULL), b = conform_keyed_of("b", NULL);
    flagver_driver_txn *txn = conform_write();

    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("a", "key", 1, "1"), 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("b", "key", 1, "1"), 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED_DELETE, conform_keyed("a", "key", 0, NULL), 1);
    assert_ok(conform_apply(txn, &batch));
    ck_assert_uint_eq(conform_count(txn, &a), 0);
    ck_assert_uint_eq(conform_count(txn, &b), 1);
    conform_rollback(txn);
}
END_TEST

static void add_many(flagver_driver_txn *txn, const char *space, int from, int to, int64_t time)
{
    struct conform_batch batch = { .count = 0 };
    char keys[CONFORM_BATCH][16];
    flagver_keyed_row row;
    int i;

    for (i = from; i < to; i++) {
        snprintf(keys[batch.count], sizeof *keys, "%06d", i);
        row = conform_keyed(space, keys[batch.count], 1, "");
        row.time = time;
        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, row, 0);
        if (batch.count == CONFORM_BATCH || i + 1 == to)
            assert_ok(conform_apply(txn, &batch));
    }
}

static void expire(flagver_driver_txn *txn, int64_t time)
{
    struct conform_batch batch = { .count = 0 };
    flagver_keyed_row row = conform_keyed("space", NULL, 0, NULL);

    row.time = time;
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED_EXPIRE, row, FLAGVER_EXPECT_ANY);
    assert_ok(conform_apply(txn, &batch));
}

START_TEST(expiring_deletes_what_is_older)
{
    const flagver_query query = conform_keyed_of("space", NULL),
                        other = conform_keyed_of("other", NULL);
    flagver_driver_txn *txn = conform_write();

    add_many(txn, "space", 0, 3, 100);
    add_many(txn, "space", 3, 5, 101);
    add_many(txn, "other", 0, 2, 1);
    expire(txn, 100);
    ck_assert_uint_eq(conform_count(txn, &query), 5);
    expire(txn, 101);
    ck_assert_uint_eq(conform_count(txn, &query), 2);
    ck_assert_uint_eq(conform_count(txn, &other), 2);
    conform_rollback(txn);
}
END_TEST

START_TEST(expiring_deletes_a_thousand_at_a_time)
{
    const flagver_query query = conform_keyed_of("space", NULL);
    flagver_driver_txn *txn = conform_write();

    add_many(txn, "space", 0, 1003, 100);
    add_many(txn, "space", 1003, 1005, 200);
    expire(txn, 200);
    ck_assert_uint_eq(conform_count(txn, &query), 5);
    expire(txn, 200);
    ck_assert_uint_eq(conform_count(txn, &query), 2);
    conform_commit(txn);
}
END_TEST

void conform_row_cases(Suite *suite)
{
    TCase *tcase = conform_tcase(suite, "rows");

    conform_add(tcase, 0, every_column_of_a_series_comes_back);
    conform_add(tcase, 0, every_column_of_a_version_comes_back);
    conform_add(tcase, 0, what_an_approval_writes_comes_back);
    conform_add(tcase, 0, an_edited_draft_comes_back_as_it_was_edited);
    conform_add(tcase, 0, two_versions_may_have_one_payload);
    conform_add(tcase, 0, payloads_are_any_bytes_and_none_is_not_empty);
    conform_add(tcase, 0, a_note_is_none_or_empty_or_there);
    conform_add(tcase, 0, a_payload_that_was_not_asked_for_is_none);
    conform_add(tcase, 0, leaves_and_keyed_values_are_any_bytes);
    conform_add(tcase, 0, texts_of_every_kind_come_back);
    conform_add(tcase, 0, tenants_are_texts_of_every_kind);
    conform_add(tcase, 0, names_may_be_as_long_as_the_library_lets_them);
    conform_add(tcase, 0, notes_authors_and_payloads_may_be_long);
    conform_add(tcase, 0, names_that_differ_in_case_or_form_are_different);
    conform_add(tcase, 0, rows_are_borrowed_until_apply_returns);
    conform_add(tcase, 0, columns_of_other_rows_are_not_looked_at);

    tcase = conform_tcase(suite, "expectations and batches");
    conform_add(tcase, 0, series_are_written_if_they_are_as_expected);
    conform_add(tcase, 0, keyed_rows_are_written_if_they_are_as_expected);
    conform_add(tcase, 0, keyed_rows_are_deleted_if_they_are_as_expected);
    conform_add(tcase, 0, versions_are_written_if_they_are_as_expected);
    conform_add(tcase, 0, no_changes_at_all_are_fine);
    conform_add(tcase, 0, changes_are_made_in_order);
    conform_add(tcase, 0, a_batch_with_a_conflict_leaves_nothing);
    conform_add(tcase, 0, after_a_conflict_everything_can_be_tried_again);
    conform_add(tcase, 0, keys_belong_to_their_space);
    conform_add(tcase, 0, expiring_deletes_what_is_older);
    conform_add(tcase, 0, expiring_deletes_a_thousand_at_a_time);
}
