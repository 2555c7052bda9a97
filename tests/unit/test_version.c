/*
 * Versions: how they come about, what becomes of them, and how the past is read.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "stores.h"

#include "crypto/crypto.h"
#include "util/uuid.h"

#define FLAG FLAGVER_PHASE_FLAG

/* ---- operations in a line ---- */

enum op { CREATE, EDIT, SUBMIT, WITHDRAW, PUT, REVERT, REMOVE };

/* `no` and `json` where the operation has them. */
static int run_op(flagver_txn *txn, enum op op, const char *subject, uint32_t no, const char *json,
                  const flagver_write_options *options, flagver_version **ret_version)
{
    char *text = json ? quoted(json) : NULL;
    size_t length = text ? strlen(text) : 0;
    int r = 0;

    memset(&error, 0, sizeof error);
    switch (op) {
    case CREATE:
        r = flagver_version_create(txn, FLAG, subject, text, length, options, ret_version, &error);
        break;
    case EDIT:
        r = flagver_version_edit(txn, FLAG, subject, no, text, length, options, ret_version,
                                 &error);
        break;
    case SUBMIT:
        r = flagver_version_submit(txn, FLAG, subject, no, options, ret_version, &error);
        break;
    case WITHDRAW:
        r = flagver_version_withdraw(txn, FLAG, subject, no, options, ret_version, &error);
        break;
    case PUT:
        r = flagver_version_put(txn, FLAG, subject, text, length, options, ret_version, &error);
        break;
    case REVERT:
        r = flagver_version_revert(txn, FLAG, subject, no, options, ret_version, &error);
        break;
    case REMOVE:
        r = flagver_version_remove(txn, FLAG, subject, options, ret_version, &error);
        break;
    }
    free(text);
    return r;
}

/* In a transaction of its own, by `actor`. */
static flagver_version *do_as(flagver_client *client, const flagver_actor *actor, enum op op,
                              const char *subject, uint32_t no, const char *json,
                              const flagver_write_options *options)
{
    flagver_txn *txn = begin_as(client, actor, NULL);
    flagver_version *version = NULL;
    int r = run_op(txn, op, subject, no, json, options, &version);

    ck_assert_msg(r == 0, "operation %d: %d %s", (int)op, r, error.message);
    commit(txn);
    return version;
}

static void do_op(flagver_client *client, enum op op, const char *subject, uint32_t no,
                  const char *json)
{
    flagver_version_free(do_as(client, &alice, op, subject, no, json, NULL));
}

static void refuse_op(flagver_client *client, int code, enum op op, const char *subject,
                      uint32_t no, const char *json)
{
    flagver_version *const untouched = (flagver_version *)&error;
    flagver_version *version = untouched;
    flagver_txn *txn = begin(client);

    assert_fails(code, run_op(txn, op, subject, no, json, NULL, &version));
    ck_assert_ptr_eq(version, untouched);
    flagver_txn_free(txn);
}

static flagver_version *get(flagver_client *client, const char *subject, uint32_t no)
{
    flagver_version *version = NULL;

    assert_ok(flagver_version_get(client, FLAG, subject, no, &version, &error));
    return version;
}

/* ---- what versions look like ---- */

static void assert_text(const char *label, const char *a, const char *b)
{
    ck_assert_msg((a && b && strcmp(a, b) == 0) || (!a && !b), "%s: %s, not %s", label,
                  a ? a : "nothing", b ? b : "nothing");
}

static void assert_same(const flagver_version *a, const flagver_version *b)
{
    assert_text("phase", a->phase, b->phase);
    assert_text("subject", a->subject, b->subject);
    assert_text("id", a->id, b->id);
    ck_assert_uint_eq(a->no, b->no);
    ck_assert_uint_eq(a->parent_no, b->parent_no);
    ck_assert_uint_eq(a->base_no, b->base_no);
    ck_assert_uint_eq(a->reverts_no, b->reverts_no);
    ck_assert_uint_eq(a->superseded_by, b->superseded_by);
    ck_assert_int_eq(a->state, b->state);
    ck_assert(a->tombstone == b->tombstone);
    ck_assert_int_eq(a->rev, b->rev);
    ck_assert_int_eq(a->created_at, b->created_at);
    ck_assert_int_eq(a->submitted_at, b->submitted_at);
    ck_assert_int_eq(a->decided_at, b->decided_at);
    ck_assert_int_eq(a->superseded_at, b->superseded_at);
    assert_text("created_by", a->created_by, b->created_by);
    assert_text("decided_by", a->decided_by, b->decided_by);
    assert_text("note", a->note, b->note);
    ck_assert_mem_eq(a->content_hash, b->content_hash, 32);
    assert_text("payload", a->payload, b->payload);
    ck_assert_uint_eq(a->payload_length, b->payload_length);
}

static void assert_hash_of(const char *text, const uint8_t hash[32])
{
    struct fv_crypto *crypto = fv_crypto_new();
    struct fv_digest *digest = fv_digest_new(crypto);
    uint8_t expected[FV_DIGEST_SIZE];

    fv_digest_start(digest);
    fv_digest_add(digest, text, strlen(text));
    ck_assert(fv_digest_end(digest, expected));
    ck_assert_mem_eq(hash, expected, sizeof expected);
    fv_digest_free(digest);
    fv_crypto_free(crypto);
}

static const flagver_write_options *note_of(const char *note)
{
    static flagver_write_options options;

    options = (flagver_write_options){ .size = sizeof options, .note = note };
    return &options;
}

START_TEST(a_draft_is_created_and_not_in_force)
{
    flagver_client *client = open_store(_i);
    flagver_version *draft = do_as(client, &alice, CREATE, "f", 0, "{ 'type' : 'boolean' }",
                                   note_of("first")),
                    *version;
    flagver_id id;

    assert_text("phase", draft->phase, FLAG);
    assert_text("subject", draft->subject, "f");
    ck_assert(fv_uuid_parse(draft->id, &id));
    ck_assert_uint_eq(draft->no, 1);
    ck_assert_uint_eq(draft->parent_no + draft->base_no + draft->reverts_no, 0);
    ck_assert_uint_eq(draft->superseded_by, 0);
    ck_assert_int_eq(draft->state, FLAGVER_STATE_DRAFT);
    ck_assert(!draft->tombstone);
    ck_assert_int_eq(draft->rev, 1);
    ck_assert_int_gt(draft->created_at, INT64_C(1700000000000000));
    ck_assert_int_eq(draft->submitted_at | draft->decided_at | draft->superseded_at, 0);
    assert_text("created_by", draft->created_by, "alice");
    assert_text("decided_by", draft->decided_by, NULL);
    assert_text("note", draft->note, "first");
    assert_text("payload", draft->payload, "{\"type\":\"boolean\"}");
    ck_assert_uint_eq(draft->payload_length, 18);
    assert_hash_of(draft->payload, draft->content_hash);

    version = get(client, "f", 1);
    assert_same(draft, version);
    flagver_version_free(version);
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_current(client, FLAG, "f", &version, &error));
    assert_fails(
        FLAGVER_ENOTFOUND,
        flagver_version_as_of(client, FLAG, "f", draft->created_at + 1000000, &version, &error));
    flagver_version_free(draft);
    flagver_close(client);
}
END_TEST

START_TEST(a_draft_can_be_edited)
{
    flagver_client *client = open_store(_i);
    flagver_version *draft = do_as(client, &alice, CREATE, "f", 0, SIMPLE, note_of("one")),
                    *edited = do_as(client, &bob, EDIT, "f", 1, SHARE(5), NULL),
                    *again = do_as(client, &bob, EDIT, "f", 1, SHARE(6), note_of("two")),
                    *version = get(client, "f", 1);

    assert_text("payload", edited->payload, "{\"percentage\":5,\"type\":\"boolean\"}");
    assert_hash_of(edited->payload, edited->content_hash);
    assert_text("note", edited->note, "one");
    assert_text("created_by", edited->created_by, "alice");
    assert_text("id", edited->id, draft->id);
    ck_assert_uint_eq(edited->no, 1);
    ck_assert_int_eq(edited->rev, 2);
    ck_assert_int_eq(edited->state, FLAGVER_STATE_DRAFT);
    ck_assert_int_eq(edited->created_at, draft->created_at);
    ck_assert_int_eq(again->rev, 3);
    assert_text("note", again->note, "two");
    assert_hash_of(again->payload, again->content_hash);
    assert_same(again, version);
    flagver_version_free(draft);
    flagver_version_free(edited);
    flagver_version_free(again);
    flagver_version_free(version);
    flagver_close(client);
}
END_TEST

START_TEST(submitting_puts_a_draft_in_force)
{
    flagver_client *client = open_store(_i);
    flagver_version *draft = do_as(client, &alice, CREATE, "f", 0, SIMPLE, note_of("idea")),
                    *submitted = do_as(client, &bob, SUBMIT, "f", 1, NULL, NULL), *current = NULL;

    ck_assert_int_eq(submitted->state, FLAGVER_STATE_APPROVED);
    ck_assert_int_eq(submitted->rev, 2);
    assert_text("decided_by", submitted->decided_by, "bob");
    assert_text("created_by", submitted->created_by, "alice");
    assert_text("note", submitted->note, "idea");
    ck_assert_int_gt(submitted->decided_at, submitted->created_at);
    ck_assert_int_eq(submitted->submitted_at, submitted->decided_at);
    assert_text("payload", submitted->payload, draft->payload);
    assert_ok(flagver_version_current(client, FLAG, "f", &current, &error));
    assert_same(submitted, current);
    flagver_version_free(draft);
    flagver_version_free(submitted);
    flagver_version_free(current);
    flagver_close(client);
}
END_TEST

START_TEST(a_new_version_takes_the_place_of_the_one_before)
{
    flagver_client *client = open_store(_i);
    flagver_version *one = do_as(client, &alice, PUT, "f", 0, SIMPLE, NULL),
                    *two = do_as(client, &bob, PUT, "f", 0, SHARE(2), NULL), *version;

    ck_assert_uint_eq(one->no, 1);
    ck_assert_int_eq(one->state, FLAGVER_STATE_APPROVED);
    ck_assert_uint_eq(two->no, 2);
    ck_assert_uint_eq(two->parent_no, 1);
    ck_assert_uint_eq(two->base_no, 1);
    assert_text("created_by", two->created_by, "bob");
    version = get(client, "f", 1);
    ck_assert_int_eq(version->state, FLAGVER_STATE_SUPERSEDED);
    ck_assert_uint_eq(version->superseded_by, 2);
    ck_assert_int_eq(version->superseded_at, two->decided_at);
    ck_assert_int_eq(version->rev, one->rev + 1);
    assert_text("payload", version->payload, one->payload);
    ck_assert_uint_eq(flag_no(client, "f"), 2);
    flagver_version_free(version);
    flagver_version_free(one);
    flagver_version_free(two);
    flagver_close(client);
}
END_TEST

START_TEST(a_draft_can_be_withdrawn)
{
    flagver_client *client = open_store(_i);
    flagver_version *withdrawn, *version;

    do_op(client, CREATE, "f", 0, SIMPLE);
    withdrawn = do_as(client, &bob, WITHDRAW, "f", 1, NULL, NULL);
    ck_assert_int_eq(withdrawn->state, FLAGVER_STATE_WITHDRAWN);
    ck_assert_int_eq(withdrawn->rev, 2);
    ck_assert_int_eq(withdrawn->decided_at, 0);
    version = get(client, "f", 1);
    assert_same(withdrawn, version);
    ck_assert_uint_eq(flag_no(client, "f"), 0);
    do_op(client, CREATE, "f", 0, SIMPLE);
    flagver_version_free(withdrawn);
    flagver_version_free(version);
    version = get(client, "f", 2);
    ck_assert_uint_eq(version->base_no, 0);
    flagver_version_free(version);
    flagver_close(client);
}
END_TEST

/* Notes of every operation are kept with its version. */
START_TEST(a_note_is_kept_with_the_version)
{
    flagver_client *client = open_store(_i);
    flagver_version *version;

    flagver_version_free(do_as(client, &alice, PUT, "f", 0, SIMPLE, note_of("p\n\xc3\xa9")));
    flagver_version_free(do_as(client, &alice, CREATE, "f", 0, SIMPLE, note_of("c")));
    flagver_version_free(do_as(client, &alice, SUBMIT, "f", 2, NULL, note_of("s")));
    flagver_version_free(do_as(client, &alice, CREATE, "f", 0, SIMPLE, note_of("c")));
    flagver_version_free(do_as(client, &alice, WITHDRAW, "f", 3, NULL, note_of("w")));
    flagver_version_free(do_as(client, &alice, REVERT, "f", 1, NULL, note_of("r")));
    flagver_version_free(do_as(client, &alice, REMOVE, "f", 0, NULL, note_of("d")));
    version = get(client, "f", 1);
    assert_text("put", version->note, "p\n\xc3\xa9");
    flagver_version_free(version);
    version = get(client, "f", 2);
    assert_text("submit", version->note, "s");
    flagver_version_free(version);
    version = get(client, "f", 3);
    assert_text("withdraw", version->note, "w");
    flagver_version_free(version);
    version = get(client, "f", 4);
    assert_text("revert", version->note, "r");
    flagver_version_free(version);
    version = get(client, "f", 5);
    assert_text("remove", version->note, "d");
    flagver_version_free(version);
    flagver_close(client);
}
END_TEST

/* ---- what is refused ---- */

/* Version 1 is superseded, 2 approved, 3 a draft, 4 withdrawn. */
static flagver_client *with_states(int kind)
{
    flagver_client *client = open_store(kind);

    do_op(client, PUT, "f", 0, SIMPLE);
    do_op(client, PUT, "f", 0, SIMPLE);
    do_op(client, CREATE, "f", 0, SHARE(3));
    do_op(client, CREATE, "f", 0, SHARE(4));
    do_op(client, WITHDRAW, "f", 4, NULL);
    return client;
}

static const struct {
    enum op op;
    uint32_t no;
    int code;
} refusals[] = {
    { EDIT, 1, FLAGVER_EFROZEN },     { EDIT, 2, FLAGVER_EFROZEN },
    { EDIT, 4, FLAGVER_EFROZEN },     { EDIT, 5, FLAGVER_ENOTFOUND },
    { EDIT, 0, FLAGVER_ENOTFOUND },   { SUBMIT, 1, FLAGVER_ESTATE },
    { SUBMIT, 2, FLAGVER_ESTATE },    { SUBMIT, 4, FLAGVER_ESTATE },
    { SUBMIT, 5, FLAGVER_ENOTFOUND }, { SUBMIT, 0, FLAGVER_ENOTFOUND },
    { WITHDRAW, 1, FLAGVER_ESTATE },  { WITHDRAW, 2, FLAGVER_ESTATE },
    { WITHDRAW, 4, FLAGVER_ESTATE },  { WITHDRAW, 5, FLAGVER_ENOTFOUND },
    { REVERT, 3, FLAGVER_ESTATE },    { REVERT, 5, FLAGVER_ENOTFOUND },
    { REVERT, 0, FLAGVER_ENOTFOUND },
};

START_TEST(a_state_allows_what_it_allows)
{
    flagver_client *client = with_states(_i);
    uint64_t leaves = leaves_of(client);
    int row;

    for (row = 0; row < COUNT(refusals); row++)
        refuse_op(client, refusals[row].code, refusals[row].op, "f", refusals[row].no,
                  refusals[row].op == EDIT ? SIMPLE : NULL);
    ck_assert_uint_eq(leaves_of(client), leaves);
    flagver_close(client);
}
END_TEST

START_TEST(a_series_that_is_not_there_is_not_found)
{
    static const enum op ops[] = { EDIT, SUBMIT, WITHDRAW, REVERT, REMOVE };
    flagver_client *client = open_store(_i);
    int i;

    for (i = 0; i < COUNT(ops); i++)
        refuse_op(client, FLAGVER_ENOTFOUND, ops[i], "f", 1, ops[i] == EDIT ? SIMPLE : NULL);
    flagver_close(client);
}
END_TEST

START_TEST(a_draft_of_an_earlier_state_is_stale)
{
    flagver_client *client = open_store(_i);

    do_op(client, CREATE, "f", 0, SHARE(1)); /* made of nothing */
    do_op(client, PUT, "f", 0, SHARE(2));
    refuse_op(client, FLAGVER_ESTALE, SUBMIT, "f", 1, NULL);
    assert_words("version 1 was made when none was in force, and now 2 is");
    do_op(client, CREATE, "f", 0, SHARE(3)); /* made of 2 */
    do_op(client, CREATE, "f", 0, SHARE(4)); /* made of 2, too */
    do_op(client, SUBMIT, "f", 4, NULL);
    refuse_op(client, FLAGVER_ESTALE, SUBMIT, "f", 3, NULL);
    do_op(client, EDIT, "f", 3, SHARE(5)); /* does not make it newer */
    refuse_op(client, FLAGVER_ESTALE, SUBMIT, "f", 3, NULL);
    ck_assert_uint_eq(flag_no(client, "f"), 4);
    do_op(client, WITHDRAW, "f", 3, NULL);
    flagver_close(client);
}
END_TEST

START_TEST(an_expectation_that_is_not_met_is_a_conflict)
{
    static const struct {
        const char *subject;
        uint32_t expect_no;
        int code;
    } rows[] = {
        { "put", 0, 0 },
        { "put", 2, 0 },
        { "put", 1, FLAGVER_ECONFLICT },
        { "put", 3, FLAGVER_ECONFLICT },
        { "put", FLAGVER_EXPECT_NONE, FLAGVER_ECONFLICT },
        { "new", 0, 0 },
        { "new", FLAGVER_EXPECT_NONE, 0 },
        { "new", 1, FLAGVER_ECONFLICT },
        { "gone", 0, 0 },
        { "gone", FLAGVER_EXPECT_NONE, 0 },
        { "gone", 1, FLAGVER_ECONFLICT },
        { "draft", FLAGVER_EXPECT_NONE, 0 },
        { "draft", 1, FLAGVER_ECONFLICT },
    };
    flagver_client *client = open_store(_i);
    flagver_write_options options = { .size = sizeof options };
    flagver_txn *txn;
    int row, r;

    do_op(client, PUT, "put", 0, SIMPLE);
    do_op(client, PUT, "put", 0, SIMPLE);
    do_op(client, PUT, "gone", 0, SIMPLE);
    do_op(client, REMOVE, "gone", 0, NULL);
    do_op(client, CREATE, "draft", 0, SIMPLE);
    for (row = 0; row < COUNT(rows); row++) {
        options.expect_no = rows[row].expect_no;
        txn = begin(client);
        r = run_op(txn, PUT, rows[row].subject, 0, SHARE(1), &options, NULL);
        ck_assert_msg(r == rows[row].code, "%s, %u: %d %s", rows[row].subject,
                      (unsigned)rows[row].expect_no, r, error.message);
        flagver_txn_free(txn);
    }
    flagver_close(client);
}
END_TEST

START_TEST(every_operation_knows_expectations)
{
    const flagver_write_options wrong = { .size = sizeof wrong, .expect_no = 7 };
    const flagver_write_options right = { .size = sizeof right, .expect_no = 2 };
    static const struct {
        enum op op;
        uint32_t no;
        const char *json;
    } rows[] = {
        { CREATE, 0, SIMPLE }, { EDIT, 3, SIMPLE }, { SUBMIT, 3, NULL }, { WITHDRAW, 3, NULL },
        { PUT, 0, SIMPLE },    { REVERT, 1, NULL }, { REMOVE, 0, NULL },
    };
    flagver_client *client = with_states(_i);
    flagver_txn *txn;
    int row;

    for (row = 0; row < COUNT(rows); row++) {
        txn = begin(client);
        assert_fails(FLAGVER_ECONFLICT,
                     run_op(txn, rows[row].op, "f", rows[row].no, rows[row].json, &wrong, NULL));
        assert_words("\"f\" is at version 2, not 7");
        assert_ok(run_op(txn, rows[row].op, "f", rows[row].no, rows[row].json, &right, NULL));
        flagver_txn_free(txn);
    }
    flagver_close(client);
}
END_TEST

static char long_text[5000];

static void fill_long_text(void)
{
    memset(long_text, 'x', sizeof long_text - 1);
}

static const char *text_of_length(size_t length)
{
    return long_text + sizeof long_text - 1 - length;
}

START_TEST(malformed_arguments_are_refused)
{
    const struct {
        const char *phase, *subject, *note;
        int code;
    } rows[] = {
        { FLAG, "f", NULL, 0 },
        { FLAG, text_of_length(256), NULL, 0 },
        { FLAG, text_of_length(257), NULL, FLAGVER_EINVAL },
        { FLAG, "", NULL, FLAGVER_EINVAL },
        { FLAG, NULL, NULL, FLAGVER_EINVAL },
        { FLAG, "a\nb", NULL, FLAGVER_EINVAL },
        { FLAG, "a\xff", NULL, FLAGVER_EINVAL },
        { FLAG, "f", text_of_length(4096), 0 },
        { FLAG, "f", text_of_length(4097), FLAGVER_EINVAL },
        { FLAG, "f", "a\xc3", FLAGVER_EINVAL },
        { "flagver.nothing", "f", NULL, FLAGVER_ENOTFOUND },
        { "flagver.flag ", "f", NULL, FLAGVER_ENOTFOUND },
        { "", "f", NULL, FLAGVER_EINVAL },
        { NULL, "f", NULL, FLAGVER_EINVAL },
        { text_of_length(64), "f", NULL, FLAGVER_ENOTFOUND },
        { text_of_length(65), "f", NULL, FLAGVER_EINVAL },
        { FLAGVER_PHASE_SEGMENT, text_of_length(257), NULL, FLAGVER_EINVAL },
    };
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    int row, r;

    for (row = 0; row < COUNT(rows); row++) {
        r = try_put(txn, rows[row].phase, rows[row].subject, SIMPLE, note_of(rows[row].note), NULL);
        ck_assert_msg(r == rows[row].code, "row %d: %d %s", row, r, error.message);
    }
    assert_fails(FLAGVER_EINVAL, flagver_version_put(txn, FLAG, "f", NULL, 0, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_version_edit(txn, FLAG, "f", 1, NULL, 0, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_version_create(NULL, FLAG, "f", "{}", 2, NULL, NULL, &error));
    commit(txn);
    flagver_close(client);
}
END_TEST

START_TEST(a_payload_has_a_limit)
{
    static const char before[] = "{\"type\":\"string\",\"default\":\"v\",\"variants\":{\"v\":\"",
                      behind[] = "\"}}";
    size_t length = FLAGVER_PAYLOAD_LIMIT + 1, filling = length - strlen(before) - strlen(behind);
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    char *json = malloc(length + 1);

    ck_assert_ptr_nonnull(json);
    strcpy(json, before);
    memset(json + strlen(before), 'x', filling);
    strcpy(json + strlen(before) + filling, behind);
    assert_fails(FLAGVER_EINVAL,
                 flagver_version_put(txn, FLAG, "f", json, length, NULL, NULL, &error));
    assert_words("16777217 bytes; up to 16777216");
    strcpy(json + strlen(before) + filling - 1, behind);
    assert_ok(flagver_version_put(txn, FLAG, "f", json, length - 1, NULL, NULL, &error));
    flagver_txn_free(txn);
    free(json);
    flagver_close(client);
}
END_TEST

/* ---- going back, deleting ---- */

START_TEST(a_revert_says_what_an_earlier_version_said)
{
    flagver_client *client = open_store(_i);
    flagver_version *version;

    do_op(client, PUT, "f", 0, SHARE(1));
    do_op(client, PUT, "f", 0, SHARE(2));
    version = do_as(client, &bob, REVERT, "f", 1, NULL, NULL);
    ck_assert_uint_eq(version->no, 3);
    ck_assert_uint_eq(version->reverts_no, 1);
    ck_assert_uint_eq(version->base_no, 2);
    ck_assert_int_eq(version->state, FLAGVER_STATE_APPROVED);
    assert_text("payload", version->payload, "{\"percentage\":1,\"type\":\"boolean\"}");
    assert_text("created_by", version->created_by, "bob");
    flagver_version_free(version);
    ck_assert_uint_eq(flag_no(client, "f"), 3);
    flagver_version_free(do_as(client, &bob, REVERT, "f", 3, NULL, NULL)); /* to what is */
    ck_assert_uint_eq(flag_no(client, "f"), 4);
    flagver_close(client);
}
END_TEST

/* Withdrawn versions, too, say something. */
START_TEST(a_revert_brings_a_withdrawn_version_back)
{
    flagver_client *client = with_states(_i);
    flagver_version *version = do_as(client, &alice, REVERT, "f", 4, NULL, NULL);

    assert_text("payload", version->payload, "{\"percentage\":4,\"type\":\"boolean\"}");
    ck_assert_uint_eq(version->reverts_no, 4);
    flagver_version_free(version);
    flagver_close(client);
}
END_TEST

START_TEST(a_deletion_is_a_version_that_says_so)
{
    flagver_client *client = open_store(_i);
    flagver_version *one = do_as(client, &alice, PUT, "f", 0, SIMPLE, NULL),
                    *gone = do_as(client, &bob, REMOVE, "f", 0, NULL, NULL), *version;

    ck_assert_uint_eq(gone->no, 2);
    ck_assert(gone->tombstone);
    ck_assert_int_eq(gone->state, FLAGVER_STATE_APPROVED);
    ck_assert_uint_eq(gone->payload_length, 0);
    assert_text("payload", gone->payload, "");
    assert_hash_of("", gone->content_hash);
    version = get(client, "f", 2);
    assert_same(gone, version);
    flagver_version_free(version);
    version = get(client, "f", 1);
    ck_assert_uint_eq(version->superseded_by, 2);
    flagver_version_free(version);

    assert_fails(FLAGVER_ENOTFOUND, flagver_version_current(client, FLAG, "f", &version, &error));
    assert_words("was deleted");
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_version_as_of(client, FLAG, "f", gone->decided_at, &version, &error));
    assert_ok(flagver_version_as_of(client, FLAG, "f", gone->decided_at - 1, &version, &error));
    assert_text("as of before", version->payload, one->payload);
    flagver_version_free(version);
    refuse_op(client, FLAGVER_ENOTFOUND, REMOVE, "f", 0, NULL);
    refuse_op(client, FLAGVER_ESTATE, REVERT, "f", 2, NULL);

    version = do_as(client, &alice, PUT, "f", 0, SHARE(3), NULL);
    ck_assert_uint_eq(version->no, 3);
    ck_assert_uint_eq(version->base_no, 2);
    ck_assert(!version->tombstone);
    flagver_version_free(version);
    ck_assert_uint_eq(flag_no(client, "f"), 3);
    flagver_version_free(one);
    flagver_version_free(gone);
    flagver_close(client);
}
END_TEST

START_TEST(what_was_deleted_comes_back_by_a_revert)
{
    flagver_client *client = open_store(_i);

    do_op(client, PUT, "f", 0, SHARE(1));
    do_op(client, REMOVE, "f", 0, NULL);
    do_op(client, REVERT, "f", 1, NULL);
    ck_assert_uint_eq(flag_no(client, "f"), 3);
    flagver_close(client);
}
END_TEST

/* A draft that was made before a deletion does not undo it. */
START_TEST(a_deletion_makes_drafts_stale)
{
    flagver_client *client = open_store(_i);

    do_op(client, PUT, "f", 0, SHARE(1));
    do_op(client, CREATE, "f", 0, SHARE(2));
    do_op(client, REMOVE, "f", 0, NULL);
    refuse_op(client, FLAGVER_ESTALE, SUBMIT, "f", 2, NULL);
    flagver_close(client);
}
END_TEST

/* ---- several operations in one transaction ---- */

START_TEST(a_life_in_one_transaction)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    flagver_version *version;
    uint32_t no;

    assert_ok(run_op(txn, CREATE, "f", 0, SHARE(1), NULL, NULL));
    assert_ok(run_op(txn, EDIT, "f", 1, SHARE(2), NULL, NULL));
    assert_ok(run_op(txn, EDIT, "f", 1, SHARE(3), NULL, NULL));
    assert_ok(run_op(txn, SUBMIT, "f", 1, NULL, NULL, NULL));
    assert_ok(run_op(txn, PUT, "f", 0, SHARE(4), NULL, NULL));
    assert_ok(run_op(txn, REMOVE, "f", 0, NULL, NULL, NULL));
    assert_ok(run_op(txn, CREATE, "f", 0, SHARE(5), NULL, NULL));
    assert_ok(run_op(txn, WITHDRAW, "f", 4, NULL, NULL, NULL));
    assert_ok(run_op(txn, REVERT, "f", 1, NULL, NULL, &version));
    ck_assert_uint_eq(version->no, 5);
    flagver_version_free(version);
    assert_fails(FLAGVER_ESTATE, run_op(txn, SUBMIT, "f", 4, NULL, NULL, NULL));
    commit(txn);

    for (no = 1; no <= 5; no++) {
        static const int states[] = { FLAGVER_STATE_SUPERSEDED, FLAGVER_STATE_SUPERSEDED,
                                      FLAGVER_STATE_SUPERSEDED, FLAGVER_STATE_WITHDRAWN,
                                      FLAGVER_STATE_APPROVED };

        version = get(client, "f", no);
        ck_assert_int_eq(version->state, states[no - 1]);
        ck_assert(version->tombstone == (no == 3));
        flagver_version_free(version);
    }
    version = get(client, "f", 1);
    assert_text("payload", version->payload, "{\"percentage\":3,\"type\":\"boolean\"}");
    ck_assert_int_eq(version->rev, 5); /* created, edited twice, submitted, superseded */
    flagver_version_free(version);
    ck_assert_uint_eq(leaves_of(client), 12);
    flagver_close(client);
}
END_TEST

START_TEST(versions_of_one_transaction_have_almost_one_time)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    flagver_version *first, *last;
    char subject[16];
    int i;

    assert_ok(run_op(txn, PUT, "first", 0, SIMPLE, NULL, &first));
    for (i = 0; i < 20; i++) {
        snprintf(subject, sizeof subject, "f%d", i);
        assert_ok(run_op(txn, PUT, subject, 0, SIMPLE, NULL, NULL));
    }
    assert_ok(run_op(txn, PUT, "last", 0, SIMPLE, NULL, &last));
    commit(txn);
    ck_assert_int_lt(last->decided_at - first->created_at, 100); /* µs, however long it took */
    flagver_version_free(first);
    flagver_version_free(last);
    flagver_close(client);
}
END_TEST

/* ---- time ---- */

/* Every moment in a series comes after the ones before it. */
static bool check_moments(void *data, const flagver_version *version)
{
    int64_t *last = data;

    ck_assert_msg(version->created_at > *last, "version %u was created at %lld, not after %lld",
                  (unsigned)version->no, (long long)version->created_at, (long long)*last);
    ck_assert_int_gt(version->decided_at, version->created_at);
    *last = version->decided_at;
    return true;
}

START_TEST(times_of_a_series_rise_whatever_the_clock_does)
{
    static const int64_t steps[] = { 0, 0, -3600000, 1, -1, 86400000, -86400000, 0 };
    int64_t now = time_of("2026-03-01T12:00:00Z"), last = 0;
    flagver_options options = quiet_options();
    flagver_client *client;
    int i;

    options.clock = tell_time;
    options.clock_data = &now;
    client = open_with(_i, &options);
    for (i = 0; i < COUNT(steps); i++) {
        now += steps[i];
        do_op(client, PUT, "f", 0, SIMPLE);
    }
    assert_ok(flagver_version_history(client, FLAG, "f", NULL, check_moments, &last, &error));
    ck_assert_int_gt(last, time_of("2026-03-02T11:00:00Z") * 1000);
    flagver_close(client);
}
END_TEST

START_TEST(times_are_those_of_the_clients_clock)
{
    int64_t now = time_of("2031-03-01T12:00:00Z");
    flagver_options options = quiet_options();
    flagver_version *version;
    flagver_client *client;

    options.clock = tell_time;
    options.clock_data = &now;
    client = open_with(_i, &options);
    version = do_as(client, &alice, PUT, "f", 0, SIMPLE, NULL);
    ck_assert_int_eq(version->created_at, now * 1000);
    ck_assert_int_eq(version->decided_at, now * 1000 + 1);
    flagver_version_free(version);
    flagver_close(client);
}
END_TEST

/* The number in force at a time; 0: none. */
static uint32_t no_at(flagver_client *client, const char *subject, int64_t time)
{
    flagver_version *version;
    uint32_t no;
    int r = flagver_version_as_of(client, FLAG, subject, time, &version, &error);

    if (r == FLAGVER_ENOTFOUND)
        return 0;
    ck_assert_msg(r == 0, "%s", error.message);
    no = version->no;
    flagver_version_free(version);
    return no;
}

START_TEST(as_of_knows_every_moment)
{
    int64_t now = time_of("2026-03-01T12:00:00Z");
    flagver_options options = quiet_options();
    flagver_version *versions[4];
    flagver_client *client;
    int i;

    options.clock = tell_time;
    options.clock_data = &now;
    client = open_with(_i, &options);
    for (i = 0; i < 4; i++) {
        now += 1000;
        versions[i] = do_as(client, &alice, i == 2 ? REMOVE : PUT, "f", 0, i == 2 ? NULL : SIMPLE,
                            NULL);
        do_op(client, CREATE, "f", 0, SIMPLE); /* drafts between them do not matter */
    }
    ck_assert_uint_eq(no_at(client, "f", 1), 0);
    ck_assert_uint_eq(no_at(client, "f", versions[0]->created_at), 0);
    ck_assert_uint_eq(no_at(client, "f", versions[0]->decided_at - 1), 0);
    ck_assert_uint_eq(no_at(client, "f", versions[0]->decided_at), 1);
    ck_assert_uint_eq(no_at(client, "f", versions[1]->decided_at - 1), 1);
    ck_assert_uint_eq(no_at(client, "f", versions[1]->decided_at), 3);
    ck_assert_uint_eq(no_at(client, "f", versions[2]->decided_at - 1), 3);
    ck_assert_uint_eq(no_at(client, "f", versions[2]->decided_at), 0);
    ck_assert_uint_eq(no_at(client, "f", versions[3]->decided_at - 1), 0);
    ck_assert_uint_eq(no_at(client, "f", versions[3]->decided_at), 7);
    ck_assert_uint_eq(no_at(client, "f", INT64_MAX), 7);
    ck_assert_uint_eq(no_at(client, "other", INT64_MAX), 0);
    for (i = 0; i < 4; i++)
        flagver_version_free(versions[i]);
    flagver_close(client);
}
END_TEST

/* ---- reading one ---- */

START_TEST(a_version_is_found_by_its_id)
{
    flagver_client *client = open_store(_i), *other;
    flagver_version *version = do_as(client, &alice, PUT, "f", 0, SIMPLE, NULL), *found;
    char id[64], *at;

    assert_ok(flagver_version_by_id(client, version->id, &found, &error));
    assert_same(version, found);
    flagver_version_free(found);
    strcpy(id, version->id);
    for (at = id; *at; at++)
        if (*at >= 'a' && *at <= 'f')
            *at = (char)(*at - 'a' + 'A');
    assert_ok(flagver_version_by_id(client, id, &found, &error));
    flagver_version_free(found);

    assert_ok(flagver_client_tenant(client, "other", &other, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_by_id(other, version->id, &found, &error));
    assert_fails(
        FLAGVER_ENOTFOUND,
        flagver_version_by_id(client, "01234567-89ab-7def-8edc-ba9876543210", &found, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_by_id(client, "f", &found, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_by_id(client, NULL, &found, &error));
    flagver_version_free(version);
    flagver_close(other);
    flagver_close(client);
}
END_TEST

START_TEST(a_tombstone_is_found_by_its_number_and_id)
{
    flagver_client *client = open_store(_i);
    flagver_version *gone, *found;

    do_op(client, PUT, "f", 0, SIMPLE);
    gone = do_as(client, &alice, REMOVE, "f", 0, NULL, NULL);
    assert_ok(flagver_version_by_id(client, gone->id, &found, &error));
    ck_assert(found->tombstone);
    flagver_version_free(found);
    flagver_version_free(gone);
    flagver_close(client);
}
END_TEST

START_TEST(reading_what_is_not_there_leaves_the_output_alone)
{
    flagver_client *client = open_store(_i);
    flagver_version *const untouched = (flagver_version *)&error;
    flagver_version *version = untouched;

    assert_fails(FLAGVER_ENOTFOUND, flagver_version_current(client, FLAG, "f", &version, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_get(client, FLAG, "f", 1, &version, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_get(client, "none", "f", 1, &version, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_get(client, FLAG, "", 1, &version, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_current(client, "", "f", &version, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_current(NULL, FLAG, "f", &version, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_current(client, FLAG, "f", NULL, &error));
    ck_assert_ptr_eq(version, untouched);
    flagver_close(client);
}
END_TEST

START_TEST(a_version_outlives_its_transaction_and_client)
{
    flagver_client *client = open_store(_i);
    flagver_version *version = do_as(client, &alice, PUT, "f", 0, SIMPLE, note_of("still here"));

    flagver_close(client);
    assert_text("note", version->note, "still here");
    assert_text("payload", version->payload, "{\"type\":\"boolean\"}");
    flagver_version_free(version);
    flagver_version_free(NULL);
}
END_TEST

static bool never(void *data, const flagver_version *version)
{
    (void)data;
    ck_abort_msg("visited %s", version->subject);
    return true;
}

START_TEST(a_client_without_a_store_has_no_versions)
{
    flagver_client *client = client_of("{'flags':{}}", NULL);
    flagver_version *version;
    uint64_t next;
    char *text;

    assert_fails(FLAGVER_ENOTSUP, flagver_version_current(client, FLAG, "f", &version, &error));
    assert_fails(FLAGVER_ENOTSUP,
                 flagver_version_history(client, FLAG, "f", NULL, never, NULL, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_version_list(client, FLAG, NULL, never, NULL, &error));
    assert_fails(FLAGVER_ENOTSUP,
                 flagver_version_diff(client, FLAG, "f", 0, 1, FLAGVER_DIFF_LINES, &text, &error));
    assert_fails(FLAGVER_ENOTSUP,
                 flagver_audit_log(client, 0, 0, ignore_entry, NULL, &next, &error));
    flagver_close(client);
}
END_TEST

START_TEST(states_have_names)
{
    ck_assert_str_eq(flagver_state_name(FLAGVER_STATE_SUPERSEDED), "superseded");
    ck_assert_ptr_null(flagver_state_name(0));
    ck_assert_ptr_null(flagver_state_name(99));
}
END_TEST

/* ---- lists ---- */

/* What was visited: "SUBJECT#NO" each, "!" behind tombstones, "=" behind those with payload. */
struct visits {
    char text[1024];
    int left; /* stops at 0; negative: never */
    char last[64];
};

static bool note_visit(void *data, const flagver_version *version)
{
    struct visits *visits = data;
    size_t length = strlen(visits->text);

    snprintf(visits->text + length, sizeof visits->text - length, "%s%s#%u%s%s", length ? " " : "",
             version->subject, (unsigned)version->no, version->tombstone ? "!" : "",
             version->payload ? "=" : "");
    snprintf(visits->last, sizeof visits->last, "%s", version->subject);
    return --visits->left != 0;
}

static void assert_list(flagver_client *client, const flagver_list_options *options,
                        const char *expected)
{
    struct visits visits = { .left = -1 };

    assert_ok(flagver_version_list(client, FLAG, options, note_visit, &visits, &error));
    ck_assert_str_eq(visits.text, expected);
}

static void assert_history(flagver_client *client, const char *subject,
                           const flagver_list_options *options, const char *expected)
{
    struct visits visits = { .left = -1 };

    assert_ok(flagver_version_history(client, FLAG, subject, options, note_visit, &visits, &error));
    ck_assert_str_eq(visits.text, expected);
}

/* In force: a, aa, ab (2), b, Z; gone: c; a draft: d. A segment called a. */
static flagver_client *with_many(int kind)
{
    flagver_client *client = open_store(kind);
    flagver_txn *txn = begin(client);

    put_flag_in(txn, "b", SIMPLE);
    put_flag_in(txn, "ab", SIMPLE);
    put_flag_in(txn, "Z", SIMPLE);
    put_flag_in(txn, "a", SIMPLE);
    put_flag_in(txn, "aa", SIMPLE);
    put_flag_in(txn, "\xc3\xa4", SIMPLE);
    put_flag_in(txn, "c", SIMPLE);
    put_flag_in(txn, "ab", SHARE(1));
    put_segment_in(txn, "a", "{'include':['x']}");
    assert_ok(flagver_flag_delete(txn, "c", NULL, NULL, &error));
    assert_ok(run_op(txn, CREATE, "d", 0, SIMPLE, NULL, NULL));
    commit(txn);
    return client;
}

#define LIST(...) (&(flagver_list_options){ .size = sizeof(flagver_list_options), __VA_ARGS__ })

START_TEST(a_list_is_in_byte_order_and_can_be_narrowed)
{
    flagver_client *client = with_many(_i);

    assert_list(client, NULL, "Z#1 a#1 aa#1 ab#2 b#1 \xc3\xa4#1");
    assert_list(client, LIST(.all = 1), "Z#1 a#1 aa#1 ab#2 b#1 c#2! \xc3\xa4#1");
    assert_list(client, LIST(.prefix = "a"), "a#1 aa#1 ab#2");
    assert_list(client, LIST(.prefix = ""), "Z#1 a#1 aa#1 ab#2 b#1 \xc3\xa4#1");
    assert_list(client, LIST(.prefix = "ab"), "ab#2");
    assert_list(client, LIST(.prefix = "abc"), "");
    assert_list(client, LIST(.prefix = "\xc3"), "\xc3\xa4#1");
    assert_list(client, LIST(.after = "aa"), "ab#2 b#1 \xc3\xa4#1");
    assert_list(client, LIST(.after = "ac"), "b#1 \xc3\xa4#1");
    assert_list(client, LIST(.after = "\xc3\xa4"), "");
    assert_list(client, LIST(.prefix = "a", .after = "a"), "aa#1 ab#2");
    assert_list(client, LIST(.limit = 2), "Z#1 a#1");
    assert_list(client, LIST(.limit = 2, .after = "b"), "\xc3\xa4#1");
    assert_list(client, LIST(.limit = 2, .after = "b", .all = 1), "c#2! \xc3\xa4#1");
    assert_list(client, LIST(.backwards = 1), "\xc3\xa4#1 b#1 ab#2 aa#1 a#1 Z#1");
    assert_list(client, LIST(.backwards = 1, .after = "ab"), "aa#1 a#1 Z#1");
    assert_list(client, LIST(.backwards = 1, .after = "ab", .prefix = "a", .limit = 1), "aa#1");
    assert_list(client, LIST(.payload = 1, .prefix = "b"), "b#1=");
    assert_list(client, LIST(.payload = 1, .prefix = "c", .all = 1), "c#2!=");
    flagver_close(client);
}
END_TEST

START_TEST(a_list_of_another_phase_has_its_own_subjects)
{
    flagver_client *client = with_many(_i);
    struct visits visits = { .left = -1 };

    assert_ok(
        flagver_version_list(client, FLAGVER_PHASE_SEGMENT, NULL, note_visit, &visits, &error));
    ck_assert_str_eq(visits.text, "a#1");
    assert_ok(flagver_version_list(client, "no.phase", NULL, never, NULL, &error));
    flagver_close(client);
}
END_TEST

START_TEST(pages_of_a_list_give_the_whole)
{
    flagver_client *client = with_many(_i);
    struct visits visits = { .left = -1 };
    size_t before;

    do {
        before = strlen(visits.text);
        assert_ok(flagver_version_list(client, FLAG,
                                       LIST(.limit = 2, .after = before ? visits.last : NULL),
                                       note_visit, &visits, &error));
    } while (strlen(visits.text) > before);
    ck_assert_str_eq(visits.text, "Z#1 a#1 aa#1 ab#2 b#1 \xc3\xa4#1");
    flagver_close(client);
}
END_TEST

START_TEST(a_list_of_the_past_is_what_was_in_force_then)
{
    int64_t now = time_of("2026-03-01T12:00:00Z"), then;
    flagver_options options = quiet_options();
    flagver_client *client;

    options.clock = tell_time;
    options.clock_data = &now;
    client = open_with(_i, &options);
    do_op(client, PUT, "a", 0, SHARE(1));
    do_op(client, PUT, "b", 0, SHARE(1));
    do_op(client, PUT, "c", 0, SHARE(1));
    then = (now += 1000) * 1000;
    now += 1000;
    do_op(client, PUT, "a", 0, SHARE(2));
    do_op(client, REMOVE, "b", 0, NULL);
    do_op(client, PUT, "d", 0, SHARE(1));

    assert_list(client, NULL, "a#2 c#1 d#1");
    assert_list(client, LIST(.as_of = then), "a#1 b#1 c#1");
    assert_list(client, LIST(.as_of = then, .prefix = "b", .payload = 1), "b#1=");
    assert_list(client, LIST(.as_of = then, .after = "a", .limit = 1), "b#1");
    assert_list(client, LIST(.as_of = (now + 1000) * 1000, .all = 1), "a#2 b#2! c#1 d#1");
    assert_list(client, LIST(.as_of = 1), "");
    flagver_close(client);
}
END_TEST

START_TEST(a_history_has_every_version)
{
    flagver_client *client = with_states(_i);

    assert_history(client, "f", NULL, "f#1 f#2 f#3 f#4");
    assert_history(client, "f", LIST(.payload = 1, .limit = 1), "f#1=");
    assert_history(client, "f", LIST(.after_no = 2), "f#3 f#4");
    assert_history(client, "f", LIST(.after_no = 4), "");
    assert_history(client, "f", LIST(.backwards = 1), "f#4 f#3 f#2 f#1");
    assert_history(client, "f", LIST(.backwards = 1, .after_no = 3), "f#2 f#1");
    assert_history(client, "f", LIST(.backwards = 1, .limit = 1), "f#4");
    assert_history(client, "f", LIST(.after_no = 1, .limit = 2), "f#2 f#3");
    assert_history(client, "none", NULL, "");
    do_op(client, REMOVE, "f", 0, NULL);
    assert_history(client, "f", LIST(.after_no = 4), "f#5!");
    flagver_close(client);
}
END_TEST

START_TEST(a_walk_ends_when_it_is_told_to)
{
    flagver_client *client = with_many(_i);
    struct visits visits = { .left = 2 };

    assert_ok(flagver_version_list(client, FLAG, NULL, note_visit, &visits, &error));
    ck_assert_str_eq(visits.text, "Z#1 a#1");
    visits = (struct visits){ .left = 1 };
    assert_ok(flagver_version_history(client, FLAG, "ab", NULL, note_visit, &visits, &error));
    ck_assert_str_eq(visits.text, "ab#1");
    flagver_close(client);
}
END_TEST

static bool read_inside(void *data, const flagver_version *version)
{
    flagver_client *client = data;
    flagver_version *found;

    assert_ok(flagver_version_by_id(client, version->id, &found, &error));
    ck_assert_str_eq(found->subject, version->subject);
    flagver_version_free(found);
    assert_history(client, "ab", NULL, "ab#1 ab#2");
    return true;
}

START_TEST(who_is_visited_may_read)
{
    flagver_client *client = with_many(_i);

    assert_ok(flagver_version_list(client, FLAG, NULL, read_inside, client, &error));
    flagver_close(client);
}
END_TEST

struct meddler {
    flagver_client *client;
    struct visits visits;
};

static bool change_meanwhile(void *data, const flagver_version *version)
{
    struct meddler *meddler = data;

    if (!meddler->visits.text[0]) {
        do_op(meddler->client, PUT, "b", 0, SHARE(9));
        do_op(meddler->client, REMOVE, "c", 0, NULL);
        do_op(meddler->client, PUT, "d", 0, SHARE(9));
    }
    return note_visit(&meddler->visits, version);
}

START_TEST(a_list_is_of_one_state_whatever_others_do_meanwhile)
{
    flagver_client *client = open_store(_i);
    struct meddler meddler = { .client = open_store(_i), .visits.left = -1 };

    do_op(client, PUT, "a", 0, SHARE(1));
    do_op(client, PUT, "b", 0, SHARE(1));
    do_op(client, PUT, "c", 0, SHARE(1));
    assert_ok(flagver_version_list(client, FLAG, NULL, change_meanwhile, &meddler, &error));
    ck_assert_str_eq(meddler.visits.text, "a#1 b#1 c#1");
    assert_list(client, NULL, "a#1 b#2 d#1");
    flagver_close(meddler.client);
    flagver_close(client);
}
END_TEST

START_TEST(malformed_list_options_are_refused)
{
    flagver_client *client = with_many(_i);
    const flagver_list_options no_size = { .limit = 1 };

    assert_fails(FLAGVER_EINVAL, flagver_version_list(client, FLAG, &no_size, never, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_list(client, "", NULL, never, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_list(client, FLAG, NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_version_history(client, FLAG, "", NULL, never, NULL, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_version_history(client, FLAG, "f", &no_size, never, NULL, &error));
    flagver_close(client);
}
END_TEST

/* ---- differences ---- */

static void assert_diff(flagver_client *client, uint32_t from, uint32_t to, int form,
                        const char *expected)
{
    char *text, *words = quoted(expected);

    assert_ok(flagver_version_diff(client, FLAG, "f", from, to, form, &text, &error));
    ck_assert_str_eq(text, words);
    flagver_string_free(text);
    free(words);
}

START_TEST(a_difference_goes_from_one_number_to_the_other)
{
    flagver_client *client = open_store(_i);
    char *text;

    do_op(client, PUT, "f", 0, SHARE(10));
    do_op(client, PUT, "f", 0, SHARE(25));
    do_op(client, REMOVE, "f", 0, NULL);
    assert_diff(client, 1, 2, FLAGVER_DIFF_LINES, "~ /percentage: 10 -> 25\n");
    assert_diff(client, 2, 1, FLAGVER_DIFF_LINES, "~ /percentage: 25 -> 10\n");
    assert_diff(client, 1, 2, FLAGVER_DIFF_MERGE_PATCH, "{'percentage':25}");
    assert_diff(client, 1, 1, FLAGVER_DIFF_LINES, "");
    assert_diff(client, 1, 1, FLAGVER_DIFF_MERGE_PATCH, "{}");
    assert_diff(client, 0, 1, FLAGVER_DIFF_LINES, "+ /percentage: 10\n+ /type: 'boolean'\n");
    assert_diff(client, 2, 3, FLAGVER_DIFF_LINES, "- /percentage: 25\n- /type: 'boolean'\n");
    assert_diff(client, 3, 0, FLAGVER_DIFF_LINES, "");
    assert_diff(client, 0, 2, FLAGVER_DIFF_MERGE_PATCH, "{'percentage':25,'type':'boolean'}");
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_version_diff(client, FLAG, "f", 1, 4, FLAGVER_DIFF_LINES, &text, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_diff(client, FLAG, "none", 1, 0,
                                                         FLAGVER_DIFF_LINES, &text, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_diff(client, FLAG, "f", 1, 2, 0, &text, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_version_diff(client, FLAG, "f", 1, 2, FLAGVER_DIFF_LINES, NULL, &error));
    flagver_close(client);
}
END_TEST

/* ---- the audit log ---- */

static const struct {
    const char *actor, *action, *subject;
    uint32_t no;
    int from, to;
    uint32_t supersedes, bits;
} log_rows[] = {
    { "alice", "create", "f", 1, 0, FLAGVER_STATE_DRAFT, 0, 0 },
    { "alice", "submit", "f", 1, FLAGVER_STATE_DRAFT, FLAGVER_STATE_APPROVED, 0, 0 },
    { "bob", "create", "f", 2, 0, FLAGVER_STATE_DRAFT, 0, 0 },
    { "alice", "edit", "f", 2, FLAGVER_STATE_DRAFT, FLAGVER_STATE_DRAFT, 0, 0 },
    { "bob", "submit", "f", 2, FLAGVER_STATE_DRAFT, FLAGVER_STATE_APPROVED, 1, 0 },
    { "alice", "create", "f", 3, 0, FLAGVER_STATE_DRAFT, 0, 0 },
    { "bob", "withdraw", "f", 3, FLAGVER_STATE_DRAFT, FLAGVER_STATE_WITHDRAWN, 0, 0 },
    { "alice", "create", "g", 1, 0, FLAGVER_STATE_DRAFT, 0, 0 },
    { "alice", "submit", "g", 1, FLAGVER_STATE_DRAFT, FLAGVER_STATE_APPROVED, 0, 0 },
    { "alice", "create", "f", 4, 0, FLAGVER_STATE_DRAFT, 0, FLAGVER_VERSION_TOMBSTONE },
    { "alice", "submit", "f", 4, FLAGVER_STATE_DRAFT, FLAGVER_STATE_APPROVED, 2,
      FLAGVER_VERSION_TOMBSTONE },
};

static flagver_client *with_log(int kind)
{
    flagver_client *client = open_store(kind);

    do_op(client, PUT, "f", 0, SIMPLE);
    flagver_version_free(do_as(client, &bob, CREATE, "f", 0, SHARE(1), NULL));
    do_op(client, EDIT, "f", 2, SHARE(2));
    flagver_version_free(do_as(client, &bob, SUBMIT, "f", 2, NULL, NULL));
    do_op(client, CREATE, "f", 0, SHARE(3));
    flagver_version_free(do_as(client, &bob, WITHDRAW, "f", 3, NULL, NULL));
    do_op(client, PUT, "g", 0, SIMPLE);
    do_op(client, REMOVE, "f", 0, NULL);
    return client;
}

static bool check_entry(void *data, const flagver_audit_entry *entry)
{
    uint64_t *expected = data;
    uint64_t i = (*expected)++;

    ck_assert_uint_eq(entry->no, i);
    ck_assert_uint_lt(i, COUNT(log_rows));
    ck_assert_str_eq(entry->actor, log_rows[i].actor);
    ck_assert_str_eq(entry->action, log_rows[i].action);
    ck_assert_str_eq(entry->phase, FLAG);
    ck_assert_str_eq(entry->subject, log_rows[i].subject);
    ck_assert_uint_eq(entry->version_no, log_rows[i].no);
    ck_assert_int_eq(entry->from, log_rows[i].from);
    ck_assert_int_eq(entry->to, log_rows[i].to);
    ck_assert_uint_eq(entry->supersedes, log_rows[i].supersedes);
    ck_assert_uint_eq(entry->bits, log_rows[i].bits);
    return true;
}

START_TEST(the_log_says_what_happened_in_its_order)
{
    flagver_client *client = with_log(_i);
    uint64_t seen = 0, next = 0;

    assert_ok(flagver_audit_log(client, 0, 0, check_entry, &seen, &next, &error));
    ck_assert_uint_eq(seen, COUNT(log_rows));
    ck_assert_uint_eq(next, COUNT(log_rows));
    seen = 4;
    assert_ok(flagver_audit_log(client, 4, 3, check_entry, &seen, &next, &error));
    ck_assert_uint_eq(seen, 7);
    ck_assert_uint_eq(next, 7);
    assert_ok(flagver_audit_log(client, 11, 0, check_entry, &seen, &next, &error));
    ck_assert_uint_eq(next, 11);
    assert_ok(flagver_audit_log(client, 400, 0, check_entry, &seen, &next, &error));
    ck_assert_uint_eq(next, 400);
    assert_ok(flagver_audit_log(client, 7, 0, check_entry, &seen, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_log(client, 0, 0, NULL, NULL, &next, &error));
    flagver_close(client);
}
END_TEST

static bool stop_at_2(void *data, const flagver_audit_entry *entry)
{
    (void)data;
    return entry->no < 2;
}

START_TEST(a_feed_goes_on_where_it_was_stopped)
{
    flagver_client *client = with_log(_i);
    uint64_t next = 0;

    assert_ok(flagver_audit_log(client, 0, 0, stop_at_2, NULL, &next, &error));
    ck_assert_uint_eq(next, 3);
    flagver_close(client);
}
END_TEST

/* Its time is that of the transition, its hash that of the content. */
static bool check_against_version(void *data, const flagver_audit_entry *entry)
{
    flagver_client *client = data;
    flagver_version *version = get(client, entry->subject, entry->version_no);

    if (strcmp(entry->action, "create") == 0)
        ck_assert_int_eq(entry->time, version->created_at);
    if (strcmp(entry->action, "submit") == 0) {
        ck_assert_int_eq(entry->time, version->decided_at);
        ck_assert_mem_eq(entry->content_hash, version->content_hash, 32);
    }
    if (strcmp(entry->action, "withdraw") == 0)
        ck_assert_int_gt(entry->time, version->created_at);
    flagver_version_free(version);
    return true;
}

START_TEST(the_log_agrees_with_the_versions)
{
    flagver_client *client = with_log(_i);

    assert_ok(flagver_audit_log(client, 0, 0, check_against_version, client, NULL, &error));
    flagver_close(client);
}
END_TEST

/* RFC 6962, 2.1: the hash of a leaf is that of a zero byte and the leaf. */
START_TEST(leaves_are_hashed_as_in_rfc_6962)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LEAVES };
    flagver_client *client = with_log(_i);
    struct fv_store *store = client->stored->store;
    struct fv_digest *digest = fv_digest_new(store->crypto);
    struct fv_audit_leaf leaf;
    uint8_t hash[FV_DIGEST_SIZE];
    struct fv_read read;
    flagver_row row;
    uint64_t count = 0;

    assert_ok(fv_read_begin(&read, store, "default", &error));
    assert_ok(fv_read_scan(&read, &query, &error));
    while (fv_read_next(&read, &row, &error) > 0) {
        fv_digest_start(digest);
        fv_digest_add(digest, "", 1);
        fv_digest_add(digest, row.as.leaf.leaf.data, row.as.leaf.leaf.length);
        ck_assert(fv_digest_end(digest, hash));
        ck_assert_mem_eq(hash, row.as.leaf.hash, sizeof hash);
        ck_assert(fv_leaf_decode(row.as.leaf.leaf.data, row.as.leaf.leaf.length, &leaf));
        ck_assert_uint_eq(leaf.leaf_no, count);
        ck_assert_uint_eq(leaf.tenant.length, 7);
        ck_assert_mem_eq(leaf.tenant.data, "default", 7);
        count++;
    }
    ck_assert_uint_eq(count, COUNT(log_rows));
    fv_read_end(&read);
    fv_digest_free(digest);
    flagver_close(client);
}
END_TEST

/* ---- tenants ---- */

START_TEST(tenants_do_not_see_each_other)
{
    flagver_client *one = open_store(_i), *two;
    flagver_version *version;

    assert_ok(flagver_client_tenant(one, "two", &two, &error));
    do_op(one, PUT, "f", 0, SHARE(1));
    do_op(one, PUT, "f", 0, SHARE(2));
    do_op(two, PUT, "f", 0, SHARE(3));
    do_op(two, PUT, "g", 0, SHARE(3));
    assert_list(one, NULL, "f#2");
    assert_list(two, NULL, "f#1 g#1");
    assert_history(two, "f", NULL, "f#1");
    ck_assert_uint_eq(leaves_of(one), 4);
    ck_assert_uint_eq(leaves_of(two), 4);
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_get(two, FLAG, "f", 2, &version, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_version_current(one, FLAG, "g", &version, &error));
    refuse_op(one, FLAGVER_ENOTFOUND, REMOVE, "g", 0, NULL);
    flagver_close(two);
    flagver_close(one);
}
END_TEST

static Suite *version_suite(void)
{
    Suite *suite = suite_create("version");
    TCase *life = add_store_tcase(suite, "life"), *refused = add_store_tcase(suite, "refused"),
          *back = add_store_tcase(suite, "going back"),
          *together = add_store_tcase(suite, "together"), *time = add_store_tcase(suite, "time"),
          *one = add_store_tcase(suite, "one"), *lists = add_store_tcase(suite, "lists"),
          *log = add_store_tcase(suite, "log");

    tcase_add_loop_test(life, a_draft_is_created_and_not_in_force, 0, STORE_KINDS);
    tcase_add_loop_test(life, a_draft_can_be_edited, 0, STORE_KINDS);
    tcase_add_loop_test(life, submitting_puts_a_draft_in_force, 0, STORE_KINDS);
    tcase_add_loop_test(life, a_new_version_takes_the_place_of_the_one_before, 0, STORE_KINDS);
    tcase_add_loop_test(life, a_draft_can_be_withdrawn, 0, STORE_KINDS);
    tcase_add_loop_test(life, a_note_is_kept_with_the_version, 0, STORE_KINDS);

    tcase_add_unchecked_fixture(refused, fill_long_text, NULL);
    tcase_add_loop_test(refused, a_state_allows_what_it_allows, 0, STORE_KINDS);
    tcase_add_loop_test(refused, a_series_that_is_not_there_is_not_found, 0, STORE_KINDS);
    tcase_add_loop_test(refused, a_draft_of_an_earlier_state_is_stale, 0, STORE_KINDS);
    tcase_add_loop_test(refused, an_expectation_that_is_not_met_is_a_conflict, 0, STORE_KINDS);
    tcase_add_loop_test(refused, every_operation_knows_expectations, 0, STORE_KINDS);
    tcase_add_loop_test(refused, malformed_arguments_are_refused, 0, STORE_KINDS);
    tcase_add_loop_test(refused, a_payload_has_a_limit, 0, SHARED_KINDS);

    tcase_add_loop_test(back, a_revert_says_what_an_earlier_version_said, 0, STORE_KINDS);
    tcase_add_loop_test(back, a_revert_brings_a_withdrawn_version_back, 0, STORE_KINDS);
    tcase_add_loop_test(back, a_deletion_is_a_version_that_says_so, 0, STORE_KINDS);
    tcase_add_loop_test(back, what_was_deleted_comes_back_by_a_revert, 0, STORE_KINDS);
    tcase_add_loop_test(back, a_deletion_makes_drafts_stale, 0, STORE_KINDS);

    tcase_add_loop_test(together, a_life_in_one_transaction, 0, STORE_KINDS);
    tcase_add_loop_test(together, versions_of_one_transaction_have_almost_one_time, 0, STORE_KINDS);

    tcase_add_loop_test(time, times_of_a_series_rise_whatever_the_clock_does, 0, STORE_KINDS);
    tcase_add_loop_test(time, times_are_those_of_the_clients_clock, 0, STORE_KINDS);
    tcase_add_loop_test(time, as_of_knows_every_moment, 0, STORE_KINDS);

    tcase_add_loop_test(one, a_version_is_found_by_its_id, 0, STORE_KINDS);
    tcase_add_loop_test(one, a_tombstone_is_found_by_its_number_and_id, 0, STORE_KINDS);
    tcase_add_loop_test(one, reading_what_is_not_there_leaves_the_output_alone, 0, STORE_KINDS);
    tcase_add_loop_test(one, a_version_outlives_its_transaction_and_client, 0, STORE_KINDS);
    tcase_add_test(one, a_client_without_a_store_has_no_versions);
    tcase_add_test(one, states_have_names);

    tcase_add_loop_test(lists, a_list_is_in_byte_order_and_can_be_narrowed, 0, STORE_KINDS);
    tcase_add_loop_test(lists, a_list_of_another_phase_has_its_own_subjects, 0, STORE_KINDS);
    tcase_add_loop_test(lists, pages_of_a_list_give_the_whole, 0, STORE_KINDS);
    tcase_add_loop_test(lists, a_list_of_the_past_is_what_was_in_force_then, 0, STORE_KINDS);
    tcase_add_loop_test(lists, a_history_has_every_version, 0, STORE_KINDS);
    tcase_add_loop_test(lists, a_walk_ends_when_it_is_told_to, 0, STORE_KINDS);
    tcase_add_loop_test(lists, who_is_visited_may_read, 0, STORE_KINDS);
    tcase_add_loop_test(lists, a_list_is_of_one_state_whatever_others_do_meanwhile, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_loop_test(lists, malformed_list_options_are_refused, 0, STORE_KINDS);
    tcase_add_loop_test(lists, a_difference_goes_from_one_number_to_the_other, 0, STORE_KINDS);

    tcase_add_loop_test(log, the_log_says_what_happened_in_its_order, 0, STORE_KINDS);
    tcase_add_loop_test(log, a_feed_goes_on_where_it_was_stopped, 0, STORE_KINDS);
    tcase_add_loop_test(log, the_log_agrees_with_the_versions, 0, STORE_KINDS);
    tcase_add_loop_test(log, leaves_are_hashed_as_in_rfc_6962, 0, STORE_KINDS);
    tcase_add_loop_test(log, tenants_do_not_see_each_other, 0, STORE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(version_suite());
}
