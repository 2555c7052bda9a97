/*
 * Copies of stores: what an export looks like, that an import of it is the same store,
 * and that no file that is unsound in any way changes anything.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp() */
#include "exports.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../examples/drivers/jsonfile.h"
#include "conformance/fault.h"
#include "crypto/merkle.h"
#include "driver/sqlite.h"
#include "engine/examine.h"
#include "engine/lines.h"
#include "engine/transfer.h"
#include "flagver/audit.h"
#include "flagver/key.h"
#include "flagver/rollout.h"
#include "flagver/store.h"
#include "flagver/flag.h"

/* ---- helpers ---- */

#define OTHER_NAMED(name) in_folder("jsonfile:", "other-" name)

static void import_ok(const char *store, const char *file)
{
    assert_ok(flagver_store_import(STORE_NAMED(store), FILE_NAMED(file), &error));
}

static void export_ok(const char *store, const char *file)
{
    assert_ok(flagver_store_export(STORE_NAMED(store), NULL, FILE_NAMED(file), &error));
}

/* The file is refused, with a message that begins with its name, and no store is made. */
static void assert_refused(const char *file)
{
    assert_fails(FLAGVER_EPARSE,
                 flagver_store_import(STORE_NAMED("refused"), FILE_NAMED(file), &error));
    ck_assert_msg(strncmp(error.message, FILE_NAMED(file), strlen(FILE_NAMED(file))) == 0, "%s",
                  error.message);
    ck_assert_int_ge(error.line, 1);
    ck_assert(!is_there("refused"));
}

/* From one kind of store to the next, and always the same. */
static void assert_round_trip(const char *file)
{
    import_ok("copy", file);
    export_ok("copy", "again");
    assert_same_files(file, "again");
    assert_ok(flagver_store_import(OTHER_NAMED("copy"), FILE_NAMED("again"), &error));
    assert_ok(flagver_store_export(OTHER_NAMED("copy"), NULL, FILE_NAMED("third"), &error));
    assert_same_files(file, "third");
}

/* ---- what comes in goes out ---- */

START_TEST(every_state_survives_a_round_trip)
{
    struct sheet sheet = base_sheet();

    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    assert_round_trip("base");
}
END_TEST

START_TEST(what_came_with_approval_survives_a_round_trip)
{
    struct sheet sheet = approval_sheet();

    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    assert_round_trip("base");
}
END_TEST

START_TEST(an_empty_export_is_an_export)
{
    struct sheet sheet = new_sheet();

    seal(&sheet);
    save_sheet(&sheet, "empty");
    clear_sheet(&sheet);
    assert_round_trip("empty");
}
END_TEST

START_TEST(the_largest_payload_survives)
{
    struct sheet sheet = new_sheet();
    char *payload = malloc(FLAGVER_PAYLOAD_LIMIT);
    flagver_version_row row;
    size_t i;

    ck_assert_ptr_nonnull(payload);
    for (i = 0; i < FLAGVER_PAYLOAD_LIMIT; i++)
        payload[i] = i % 3 == 0 ? '"' : i % 3 == 1 ? '\\' : 'x';
    add_tenant(&sheet, "default");
    add_series(&sheet, "notes", "large", 1, 0);
    row = version_row(&sheet, 1, FLAGVER_STATE_DRAFT, 0,
                      fv_bytes_of(payload, FLAGVER_PAYLOAD_LIMIT));
    add_row(&sheet, &row);
    seal(&sheet);
    save_sheet(&sheet, "large");
    clear_sheet(&sheet);
    free(payload);

    import_ok("copy", "large");
    export_ok("copy", "again");
    assert_same_files("large", "again");
}
END_TEST

START_TEST(a_payload_beyond_the_limit_is_refused)
{
    struct sheet sheet = new_sheet();
    char *payload = calloc(1, FLAGVER_PAYLOAD_LIMIT + 1);
    flagver_version_row row;

    ck_assert_ptr_nonnull(payload);
    memset(payload, 'x', FLAGVER_PAYLOAD_LIMIT + 1);
    add_tenant(&sheet, "default");
    add_series(&sheet, "notes", "large", 1, 0);
    row = version_row(&sheet, 1, FLAGVER_STATE_DRAFT, 0,
                      fv_bytes_of(payload, FLAGVER_PAYLOAD_LIMIT + 1));
    add_row(&sheet, &row);
    seal(&sheet);
    save_sheet(&sheet, "large");
    clear_sheet(&sheet);
    free(payload);
    assert_refused("large");
    assert_words(":4: the payload is 16777217 bytes; at most 16777216 allowed");
}
END_TEST

START_TEST(a_line_beyond_the_limit_is_refused_and_not_kept)
{
    size_t size = FV_TRANSFER_LINE_LIMIT + 100000;
    char *bytes = malloc(size);

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 'x', size);
    write_bytes("long", bytes, size);
    free(bytes);
    assert_refused("long");
    assert_words("the line is longer than 67108864 bytes");
}
END_TEST

/* ---- random stores ---- */

/* In byte order. */
static const char *const texts[] = {
    "a", "a/b", "ab", "b", "caf\xc3\xa9", "quote \" and \\ slash", "zz", "\xf0\x9f\x8f\xb3"
};
static const char *const payloads[] = { "{}", "{\"a\":[1,2.5,null]}", "\"\xe2\x82\xac\"",
                                        "\"\\u0007\\\\\"", "true" };

static flagver_bytes random_payload(struct seed *seed, char bytes[32])
{
    size_t length = seed_below(seed, 32), i;

    if (seed_below(seed, 4))
        return fv_bytes(payloads[seed_below(seed, COUNT(payloads))]);
    for (i = 0; i < length; i++)
        bytes[i] = (char)seed_below(seed, 256);
    return fv_bytes_of(bytes, length);
}

/* Items of a series so far, which later versions carry forward. */
struct pool {
    flagver_item_row items[8];
    uint32_t count;
};

static flagver_item_row random_item(struct sheet *sheet, struct seed *seed, uint32_t no,
                                    const char *key, struct pool *pool)
{
    uint32_t origin = seed_below(seed, no + 1);
    flagver_item_row row;

    if (pool->count && seed_below(seed, 3) == 0) {
        row = pool->items[seed_below(seed, pool->count)];
        row.payload_id = next_id(sheet);
        row.key = fv_bytes(key);
        return row;
    }
    row = item_row(sheet, key, origin, fv_bytes(payloads[seed_below(seed, COUNT(payloads))]));
    if (origin && seed_below(seed, 3) == 0)
        row.status = FLAGVER_ITEM_REJECTED;
    if (origin && seed_below(seed, 3) == 0)
        row.note = fv_bytes(texts[seed_below(seed, COUNT(texts))]);
    if (seed_below(seed, 4) == 0)
        row.payload_key = 1 + seed_below(seed, 3);
    if (row.payload_key && seed_below(seed, 2))
        row.payload_salt = fv_bytes_of("\0\1\2", seed_below(seed, 4));
    if (seed_below(seed, 5) == 0)
        shred(&row.payload, &row.payload_key, &row.payload_salt);
    if (pool->count < COUNT(pool->items))
        pool->items[pool->count++] = row;
    return row;
}

static uint32_t random_items(struct sheet *sheet, struct seed *seed, uint32_t no, struct pool *pool,
                             flagver_item_row items[COUNT(texts)])
{
    uint32_t count = 0;
    int i;

    for (i = 0; i < COUNT(texts); i++)
        if (seed_below(seed, 4) == 0)
            items[count++] = random_item(sheet, seed, no, texts[i], pool);
    return count;
}

static void add_random_votes(struct sheet *sheet, struct seed *seed, const flagver_version_row *row)
{
    static const int64_t least[] = { 0, 3, 2, 3, 4, 3, 3, INT64_MAX }; /* revs, by state */
    int64_t time = created(row->no);
    int i;

    if (row->rev < least[row->state] && !(row->bits & FLAGVER_VERSION_EMERGENCY))
        return;
    for (i = 0; i < COUNT(texts); i++)
        if (seed_below(seed, 4) == 0)
            add_vote(sheet, texts[i], row->content_hash, time += seed_below(seed, 2),
                     seed_below(seed, 2) ? NULL : texts[i]);
}

static void add_random_version(struct sheet *sheet, struct seed *seed, uint32_t no, int32_t state,
                               uint32_t by, struct pool *pool)
{
    char bytes[32];
    flagver_version_row row = version_row(sheet, no, state, by, random_payload(seed, bytes));
    flagver_item_row items[COUNT(texts)];
    bool recorded = state == FLAGVER_STATE_RECORDED;
    uint32_t count = recorded || seed_below(seed, 2) ? 0
                                                     : random_items(sheet, seed, no, pool, items),
             i;

    row.rev += seed_below(seed, 4);
    row.parent_no = seed_below(seed, no);
    row.base_no = seed_below(seed, no);
    row.reverts_no = seed_below(seed, no);
    if (seed_below(seed, 3) == 0)
        row.note = fv_bytes(texts[seed_below(seed, COUNT(texts))]);
    if (seed_below(seed, 5) == 0)
        row.payload_key = 1 + seed_below(seed, 3);
    if (row.payload_key && seed_below(seed, 2))
        row.payload_salt = fv_bytes_of("\0\1\2", seed_below(seed, 4));
    if (!row.payload_key && seed_below(seed, 6) == 0) {
        row.bits = FLAGVER_VERSION_TOMBSTONE;
        row.payload = fv_bytes("");
    }
    if ((state == FLAGVER_STATE_APPROVED || state == FLAGVER_STATE_SUPERSEDED) &&
        seed_below(seed, 3) == 0)
        row.bits |= FLAGVER_VERSION_EMERGENCY;
    hash_content(sheet, &row, items, count);
    if (seed_below(seed, 8) == 0)
        shred(&row.payload, &row.payload_key, &row.payload_salt);

    add_row(sheet, &row);
    for (i = 0; !recorded && i < COUNT(texts); i++)
        if (seed_below(seed, 8) == 0)
            add_contributor(sheet, texts[i]);
    for (i = 0; i < count; i++)
        add_item(sheet, &items[i]);
    add_random_votes(sheet, seed, &row);
}

static void add_random_series(struct sheet *sheet, struct seed *seed, const char *phase,
                              const char *subject)
{
    static const int32_t open[] = { FLAGVER_STATE_DRAFT, FLAGVER_STATE_SUBMITTED,
                                    FLAGVER_STATE_REJECTED, FLAGVER_STATE_WITHDRAWN };
    uint32_t last = seed_below(seed, 9), next[10] = { 0 }, current = 0, no;
    bool in_force[10] = { false }, recorded = seed_below(seed, 4) == 0;
    struct pool pool = { .count = 0 };

    for (no = last; no > 0; no--) {
        in_force[no] = !recorded && seed_below(seed, 2);
        next[no] = in_force[no] ? no : no < last ? next[no + 1] : 0;
        if (in_force[no] && no > current)
            current = no;
    }
    add_series(sheet, phase, subject, last, recorded ? last : current);
    for (no = 1; no <= last; no++)
        add_random_version(sheet, seed, no,
                           recorded        ? FLAGVER_STATE_RECORDED
                           : !in_force[no] ? open[seed_below(seed, COUNT(open))]
                           : no == current ? FLAGVER_STATE_APPROVED
                                           : FLAGVER_STATE_SUPERSEDED,
                           in_force[no] && no < current ? next[no + 1] : 0, &pool);
}

static void add_random_tenant(struct sheet *sheet, struct seed *seed, const char *name)
{
    static const char *const phases[] = { "flagver.flag", "notes", "plan" };
    uint32_t leaves = 1 + seed_below(seed, 5), i;
    int phase, subject;

    add_tenant(sheet, name);
    for (i = 1; i <= 3; i++)
        add_key(sheet, i);
    for (phase = 0; phase < COUNT(phases); phase++)
        for (subject = 0; subject < COUNT(texts); subject++)
            if (seed_below(seed, 3) == 0)
                add_random_series(sheet, seed, phases[phase], texts[subject]);
    for (i = 0; i < leaves; i++)
        add_leaf(sheet, "notes", texts[seed_below(seed, COUNT(texts))], 1, created(i));
}

START_TEST(whatever_is_sound_survives_a_round_trip)
{
    struct seed seed = seed_new((uint64_t)_i);
    struct sheet sheet = new_sheet();
    int i;

    for (i = 0; i < COUNT(texts); i++)
        if (seed_below(&seed, 3) == 0)
            add_random_tenant(&sheet, &seed, texts[i]);
    seal(&sheet);
    save_sheet(&sheet, "random");
    clear_sheet(&sheet);
    assert_round_trip("random");
}
END_TEST

/* ---- damage ---- */

START_TEST(a_file_that_ends_early_changes_nothing)
{
    struct sheet sheet = base_sheet();
    const char *at = sheet.text.data, *end = at + sheet.text.length;

    for (; at < end; at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1) {
        write_bytes("cut", sheet.text.data, (size_t)(at - sheet.text.data));
        assert_refused("cut"); /* behind a line */
        write_bytes("cut", sheet.text.data, (size_t)(at - sheet.text.data) + 20);
        assert_refused("cut"); /* inside of one */
    }
    write_bytes("cut", sheet.text.data, sheet.text.length - 1);
    assert_refused("cut");
    assert_words("ends inside this line");
    clear_sheet(&sheet);
}
END_TEST

/* Bits in random places; TEST_SEED says where. */
START_TEST(a_file_with_a_flipped_bit_changes_nothing)
{
    struct seed seed = seed_new((uint64_t)_i);
    struct sheet sheet = base_sheet();
    size_t at;
    int i;

    for (i = 0; i < 60; i++) {
        at = seed_below(&seed, (uint32_t)sheet.text.length);
        sheet.text.data[at] = (char)(sheet.text.data[at] ^ 1 << seed_below(&seed, 8));
        save_sheet(&sheet, "flipped");
        assert_refused("flipped");
        clear_sheet(&sheet);
        sheet = base_sheet();
    }
    clear_sheet(&sheet);
}
END_TEST

START_TEST(a_file_with_changed_lines_changes_nothing)
{
    struct seed seed = seed_new((uint64_t)_i);
    struct sheet sheet = base_sheet();
    struct fv_text text = FV_TEXT_INIT;
    const char *lines[64], *at = sheet.text.data;
    uint32_t count = 0, from, to, i;

    while (*at) {
        lines[count++] = at;
        at = strchr(at, '\n') + 1;
    }
    lines[count] = at;
    from = seed_below(&seed, count);
    do
        to = seed_below(&seed, count);
    while (to == from);
    for (i = 0; i < count; i++) { /* one line stands where another one was, or is left out */
        if (i == to)
            fv_text_add_bytes(&text, lines[from], (size_t)(lines[from + 1] - lines[from]));
        if (i != from)
            fv_text_add_bytes(&text, lines[i], (size_t)(lines[i + 1] - lines[i]));
    }
    if (text.length == sheet.text.length && memcmp(text.data, sheet.text.data, text.length) == 0)
        fv_text_add(&text, "\n"); /* it was its neighbour's place: another change will do */
    write_bytes("moved", text.data, text.length);
    assert_refused("moved");
    fv_text_clear(&text);
    clear_sheet(&sheet);
}
END_TEST

/* ---- contradictions: every row is sealed with the right checksum ---- */

struct tampering {
    const char *label;
    int line;            /* of base_sheet() … */
    const char *find;    /* … in which this, or all of it (NULL), … */
    const char *replace; /* … gives way to this; NULL: the line goes */
    int reported;
    const char *words;
};

static const struct tampering approval_tamperings[] = {
    { "a text for secret bytes", 23, "{\"hex\":\"0100ff\"}", "\"x\"", 23, "spells it" },
    { "no payload", 21, "\"payload\":null,", "", 21, "payload is missing" },
    { "no status", 9, "\"approved\"", "\"aproved\"", 9, "\"aproved\" is no status" },
    { "a salt of odd length", 20, "0073616c74", "0073616c7", 20, "pairs of the digits" },
    { "an unknown member", 7, "}}", ",\"no\":1}}", 7, "unknown key \"no\"" },

    { "a key before the tenant", 2, NULL,
      "{\"key\":{\"key\":\"0000000001\",\"rev\":1,\"value\":\"00\"}}", 2, "where none belongs" },
    { "a key behind a series", 6, NULL,
      "{\"key\":{\"key\":\"0000000001\",\"rev\":1,\"value\":\"00\"}}", 6, "where none belongs" },
    { "keys out of order", 4, "\"0000000003\"", "\"0000000001\"", 4, "the keys are not in order" },
    { "a key without a number", 4, "\"0000000003\"", "\"three\"", 4, "the key is malformed" },
    { "a key too short", 4, "6d61696e", "", 4, "the key is malformed" },
    { "a key that was never written", 4, "\"rev\":1", "\"rev\":0", 4, "the key is malformed" },
    { "a key that is missing", 3, NULL, NULL, 22, "key 1, which the tenant does not have" },
    { "an item's key that is missing", 4, NULL, NULL, 19, "key 3, which the tenant does not have" },

    { "items that are not the content's", 10, NULL, NULL, 6,
      "the content_hash is not that of the contents" },
    { "an item of another name", 10, "\"s2\"", "\"s5\"", 6, "content_hash" },
    { "an item of another content", 10, "\"payload\":\"2\"", "\"payload\":\"3\"", 10,
      "the hash is not that of the contents" },
    { "the hash of a secret item", 20, "\"hash\":\"c2", "\"hash\":\"c3", 18, "content_hash" },
    { "the hash of an item that is gone", 21, "\"hash\":\"28", "\"hash\":\"29", 18,
      "content_hash" },
    { "another content of the last version", 29, "\"payload\":\"{\\\"a\\\":7}\"",
      "\"payload\":\"{\\\"a\\\":8}\"", 29, "content_hash" },
    { "the payload of another item", 10, "000000000003\"", "000000000002\"", 10,
      "the payload's id stands for two things" },
    { "the payload of a version for an item", 10, "000000000003\"", "000000000005\"", 10,
      "the payload's id stands for two things" },
    { "a key of what is gone", 17, "000000000008\"", "000000000008\",\"key\":1", 17,
      "nothing is left, no key and no salt" },
    { "a salt of what is gone", 21, "0000000b\"", "0000000b\",\"payload_salt\":\"00\"", 21,
      "nothing is left, no key and no salt" },
    { "a salt without a key", 9, "000000000002\"", "000000000002\",\"payload_salt\":\"00\"", 9,
      "there is a salt but no key" },

    { "a contributor without a version", 6, NULL, NULL, 6, "a contributor stands outside of any" },
    { "an item without a version", 31, NULL,
      "{\"item\":{\"hash\":\"fe36923e15fedd49a241f76219620a46e7bd8bfb6f17ddeffe18b0299b8b1028\","
      "\"key\":\"s1\",\"payload\":null,\"payload_id\":\"01900000-0000-7000-8000-0000000000ff\","
      "\"status\":\"pending\"}}",
      31, "contributors, items and votes are not in this order" },
    { "a vote behind the log", 33, NULL,
      "{\"vote\":{\"actor\":\"bob\",\"content_hash\":"
      "\"906162c307d04d1b08bacae28759f8c011fd6bdb8d4a1c74e64aae5f2e86139a\"}}",
      33, "nobody can have voted on what is recorded" },
    { "a contributor behind the items", 10, NULL, "{\"contributor\":{\"actor\":\"zoe\"}}", 10,
      "are not in this order" },
    { "contributors out of order", 8, "dave", "bob", 8, "the contributors are not in order" },
    { "a contributor twice", 8, "dave", "carol", 8, "the contributors are not in order" },
    { "a contributor who is nobody", 8, "dave", "", 8, "actor is 0 bytes" },
    { "a contributor to a record", 33, NULL, "{\"contributor\":{\"actor\":\"zoe\"}}", 33,
      "what is recorded has no contributors" },
    { "an item of a record", 33, NULL,
      "{\"item\":{\"hash\":\"fe36923e15fedd49a241f76219620a46e7bd8bfb6f17ddeffe18b0299b8b1028\","
      "\"key\":\"s1\",\"payload\":null,\"payload_id\":\"01900000-0000-7000-8000-0000000000ff\","
      "\"status\":\"pending\"}}",
      33, "what is recorded has no items" },

    { "items out of order", 10, "\"s2\"", "\"s0\"", 10, "not in order of their keys" },
    { "an item twice", 10, "\"s2\"", "\"s1\"", 10, "not in order of their keys" },
    { "an item without a name", 9, "\"s1\"", "\"\"", 9, "key is 0 bytes; 1 to 512 allowed" },
    { "approved by nobody", 9, "\"decided_by\":\"bob\",", "", 9, "what is not pending" },
    { "approved at no time", 9, "\"decided_at\":1767225600001400,", "", 9, "what is not pending" },
    { "pending and decided", 9, "\"approved\"", "\"pending\"", 9, "what is not pending" },
    { "decided by a nobody", 9, "\"bob\"", "\"\"", 9, "decided_by is 0 bytes" },
    { "an origin to come", 9, "\"origin_no\":1", "\"origin_no\":2", 9,
      "origin_no is 2; 0 to 1 allowed" },

    { "votes out of order", 12, "1767225600001002", "1767225600001000", 12,
      "the votes are not in order of time and actor" },
    { "votes at once out of order", 12, "1767225600001002", "1767225600001001", 12,
      "the votes are not in order of time and actor" },
    { "a vote at no time", 11, ",\"time\":1767225600001001", "", 11, "a vote has a time" },
    { "a vote twice", 12, "\"bob\"", "\"erin\"", 12, "\"erin\" has approved this content before" },
    { "a vote of nobody", 11, "\"erin\"", "\"\"", 11, "actor is 0 bytes" },
    { "a vote on what was never submitted", 13, "\"rev\":3", "\"rev\":2", 15,
      "nobody can have voted on what is draft and was written 2 times" },
    { "a vote on what was approved at once", 6, "\"rev\":4", "\"rev\":3", 11,
      "nobody can have voted on what is superseded and was written 3 times" },
    { "a vote on what was withdrawn at once", 23, "\"rev\":3", "\"rev\":2", 25,
      "nobody can have voted" },
    { "an emergency without need", 26, "{\"version\":{", "{\"version\":{\"bits\":2,", 26,
      "what is submitted was not brought into force by an emergency rule" },
};

static const struct tampering tamperings[] = {
    { "not JSON", 4, "{\"version\"", "{version", 4, "" },
    { "no line of ours", 4, NULL, "{\"x\":1}", 4, "is no line of an export" },
    { "no object", 4, NULL, "[]", 4, "is no line of an export" },
    { "an empty line", 4, NULL, "", 4, "empty" },
    { "an unknown member", 4, "\"no\":1", "\"no\":1,\"now\":2", 4, "unknown key \"now\"" },
    { "two members", 4, "{\"version\"", "{\"leaf\":1,\"version\"", 4, "unknown key" },
    { "no member", 4, "\"no\":1,", "", 4, "no is missing" },
    { "no id", 3, "\"id\":\"01900000-0000-7000-8000-000000000001\",", "", 3, "id is missing" },
    { "no payload", 4, "\"payload\":\"{\\\"type\\\":\\\"boolean\\\"}\",", "", 4,
      "payload is missing" },
    { "an odd payload", 4, "\"{\\\"type\\\":\\\"boolean\\\"}\"", "{}", 4, "hex is missing" },
    { "a payload that is a number", 9, "\"payload\":\"1\"", "\"payload\":1", 9,
      "must be a string, not an integer" },
    { "a text that is a number", 4, "\"alice\"", "7", 4, "must be a string" },
    { "a number that is a text", 4, "\"no\":1", "\"no\":\"1\"", 4, "must be an integer" },
    { "a fraction", 4, "\"no\":1", "\"no\":1.0", 4, "must be an integer" },
    { "a number that is too large", 4, "\"no\":1", "\"no\":4294967296", 4, "allowed" },
    { "a number below zero", 4, "\"no\":1", "\"no\":-1", 4, "0 to 4294967295 allowed" },
    { "no state", 4, "\"superseded\"", "\"superb\"", 4, "\"superb\" is no state" },
    { "no UUID", 4, "000000000002\"", "00000000000g\"", 4, "is no UUID" },
    { "a hash that is short", 4, "\"content_hash\":\"7c", "\"content_hash\":\"", 4,
      "a SHA-256 is 32" },
    { "a hash of odd length", 4, "\"content_hash\":\"7c", "\"content_hash\":\"7", 4,
      "pairs of the digits" },
    { "capitals in a hash", 4, "\"content_hash\":\"7cb", "\"content_hash\":\"7CB", 4,
      "pairs of the digits" },
    { "capitals in a UUID", 8, "00000000000a\"", "00000000000A\"", 8, "spells it" },
    { "spaces", 4, ",\"no\":1", ", \"no\":1", 4, "spells it" },
    { "another order", 4, "\"no\":1,", "", 4, "missing" },
    { "a zero that says nothing", 4, "\"no\":1,", "\"no\":1,\"parent_no\":0,", 4, "spells it" },
    { "an escape too many", 4, "alice", "\\u0061lice", 4, "byte 139 of the line is not as" },
    { "hexadecimal digits for a text", 9, "\"payload\":\"1\"", "\"payload\":{\"hex\":\"31\"}", 9,
      "spells it" },

    { "no header", 1, NULL, NULL, 1, "the header is missing" },
    { "two headers", 2, NULL, "{\"flagver\":\"export\",\"form\":1}", 2, "a second header" },
    { "another form", 1, "1", "2", 1, "the export is of form 2; this library reads form 1" },
    { "a header without form", 1, ",\"form\":1", "", 1, "form is missing" },
    { "another file of ours", 1, "export", "import", 1, "must be \"export\"" },
    { "no tenant", 2, NULL, NULL, 2, "a series stands where none belongs" },
    { "a leaf without a tenant", 2, NULL,
      "{\"leaf\":{\"hash\":\"db80476173de6db79bbe4c1aaffa8d7e35817085573485f143e4753ffba8d7d9\","
      "\"leaf\":\"01\",\"no\":0}}",
      2, "outside of any tenant" },
    { "a tenant twice", 20, "other", "default", 20, "not in order" },
    { "tenants out of order", 20, "other", "a", 20, "not in order" },
    { "a tenant without anything", 20, NULL, "{\"tenant\":\"e\"}\n{\"tenant\":\"other\"}", 21,
      "tenant \"e\" has neither" },
    { "a tenant without anything at the end", 22, NULL, "{\"tenant\":\"z\"}", 23,
      "tenant \"z\" has neither" },
    { "a tenant's name with a tab", 20, "other", "ot\\ther", 20, "control character" },
    { "a tenant without a name", 20, "other", "", 20, "tenant is 0 bytes; 1 to 128 allowed" },
    { "a version without a series", 3, NULL, NULL, 3, "outside of any series" },
    { "a gap", 5, NULL, NULL, 5, "version 3 stands where 2 belongs" },
    { "the first missing", 4, NULL, NULL, 4, "version 2 stands where 1 belongs" },
    { "the last missing", 7, NULL, NULL, 7, "\"a\" ends with version 3 of 4" },
    { "all missing", 15, NULL, NULL, 15, "version 2 stands where 1 belongs" },
    { "one too many", 3, "\"last_no\":4", "\"last_no\":3", 7, "beyond last_no 3" },
    { "series out of order", 14, "\"notes\"", "\"a\"", 14, "not in order" },
    { "subjects out of order", 8, "\"subject\":\"b\"", "\"subject\":\"A\"", 8, "not in order" },
    { "a series twice", 8, "\"subject\":\"b\"", "\"subject\":\"a\"", 8, "not in order" },
    { "a series behind the log", 19, NULL,
      "{\"series\":{\"id\":\"01900000-0000-7000-8000-0000000000ff\",\"phase\":\"z\",\"rev\":1,"
      "\"subject\":\"z\"}}",
      19, "a series stands where none belongs" },
    { "a leaf missing", 18, NULL, NULL, 18, "leaf 2 stands where 1 belongs" },
    { "no subject", 14, "\"subject\":\"n\"", "\"subject\":\"\"", 14, "subject is 0 bytes" },
    { "a subject with a line end", 14, "\"subject\":\"n\"", "\"subject\":\"n\\n\"", 14,
      "control character" },
    { "a long phase", 14, "\"notes\"",
      "\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\"", 14,
      "phase is 65 bytes; 1 to 64 allowed" },
    { "a nobody", 4, "\"alice\"", "\"\"", 4, "created_by is 0 bytes" },
    { "a strange judge", 4, "\"bob\"", "\"\\u0001\"", 4, "decided_by has a control character" },

    { "a series too fresh", 3, "\"rev\":6", "\"rev\":3", 3, "at least last_no, 4" },
    { "too fresh for its state", 4, "\"rev\":3", "\"rev\":2", 4, "was written 3 times or more" },
    { "current is another", 3, "\"current_no\":3", "\"current_no\":2", 8,
      "current_no of series \"a\" is 2; what its versions say is 3" },
    { "current is none", 3, "\"current_no\":3,", "", 8, "is 0; what its versions say is 3" },
    { "current is not the newest record", 14, "\"current_no\":2", "\"current_no\":1", 17,
      "what its versions say is 2" },
    { "approved twice", 5,
      "\"superseded\",\"submitted_at\":1767225600002499,\"superseded_at\":"
      "1767225600003500,\"superseded_by\":3",
      "\"approved\",\"submitted_at\":1767225600002499", 6,
      "version 2 is approved and so is this one" },
    { "superseded by nobody", 4, ",\"superseded_by\":2", "", 4,
      "what is superseded, and nothing else" },
    { "superseded at no time", 4, "\"superseded_at\":1767225600002500,", "", 4,
      "what is superseded, and nothing else" },
    { "approved and superseded", 6, "1767225600003499", "1767225600003499,\"superseded_by\":4", 6,
      "what is superseded, and nothing else" },
    { "superseded by the wrong one", 4, "\"superseded_by\":2", "\"superseded_by\":3", 5,
      "version 1 was superseded by 3, not by this one" },
    { "superseded by itself", 4, "\"superseded_by\":2", "\"superseded_by\":1", 4,
      "superseded_by is 1; 2 to 4 allowed" },
    { "superseded by what is not there", 4, "\"superseded_by\":2", "\"superseded_by\":5", 4,
      "superseded_by is 5; 2 to 4 allowed" },
    { "superseded by a draft", 6, "\"approved\",\"submitted_at\":1767225600003499",
      "\"superseded\",\"submitted_at\":1767225600003499,\"superseded_at\":1767225600004500,"
      "\"superseded_by\":4",
      8, "version 3 of \"a\" was superseded by 4, which was never in force" },
    { "superseded before it was decided", 4, "\"superseded_at\":1767225600002500",
      "\"superseded_at\":1767225600001500", 4, "superseded_at is not later than decided_at" },
    { "two in force at once", 4, "\"superseded_at\":1767225600002500",
      "\"superseded_at\":1767225600002501", 5, "it was decided before version 1 was superseded" },
    { "approved by nobody", 6, "\"decided_by\":\"bob\",", "", 6, "decided_at and decided_by go" },
    { "rejected at no time", 9, "\"decided_at\":1767225600001500,", "", 9,
      "what is rejected has decided_at" },
    { "decided at no time", 10, "\"id\"", "\"decided_by\":\"bob\",\"id\"", 10,
      "decided_at and decided_by go together" },
    { "its own parent", 6, "\"parent_no\":2", "\"parent_no\":3", 6, "must be less than no, 3" },
    { "based on a later one", 6, "\"base_no\":2", "\"base_no\":4", 6, "must be less than no, 3" },
    { "reverts itself", 6, "\"reverts_no\":1", "\"reverts_no\":3", 6, "must be less than no, 3" },
    { "a record among drafts", 7, "\"draft\"", "\"recorded\"", 7, "do not go together" },
    { "a draft among records", 16, "\"recorded\"", "\"draft\"", 16, "do not go together" },

    { "another payload", 9, "\"payload\":\"1\"", "\"payload\":\"9\"", 9,
      "the content_hash is not that of the contents" },
    { "another hash", 9, "\"content_hash\":\"6b", "\"content_hash\":\"6c", 9, "content_hash" },
    { "a tombstone with a payload", 13, "\"payload\":\"\"", "\"payload\":\"x\"", 13,
      "a tombstone has no payload" },
    { "a salt without a key", 9, "\"rev\":3", "\"rev\":3,\"salt\":\"00\"", 9,
      "there is a salt but no key" },
    { "one id for two versions", 5, "000000000004\"", "000000000002\"", 5,
      "the version's id stands for two things" },
    { "one id for two payloads", 10, "00000000000e\"", "000000000003\"", 10,
      "the payload's id stands for two things" },
    { "one id for two series", 8, "00000000000a\"", "000000000001\"", 8,
      "the series' id stands for two things" },
    { "one id in two tenants", 21, "00000000001a\"", "000000000001\"", 21,
      "the series' id stands for two things" },
    { "a leaf that is none", 17, "\"leaf\":\"0101", "\"leaf\":\"0201", 17, "leaf 0 is malformed" },
    { "a leaf with more behind it", 17, "\",\"no\":0", "00\",\"no\":0", 17, "leaf 0 is malformed" },
    { "another leaf's hash", 18, "\"hash\":\"72", "\"hash\":\"73", 18,
      "the hash is not that of the contents" },
    { "a leaf with another number", 17, "64656661756c740000000000000000",
      "64656661756c740000000000000001", 17, "leaf 0 was made for another number or tenant" },
    { "a leaf of another tenant", 17, "64656661756c74", "64656661756c75", 17,
      "leaf 0 was made for another number or tenant" },
};

/* The base's text with one change, sealed again. */
static void save_tampered(struct sheet base, const struct tampering *row)
{
    struct sheet sheet = new_sheet();
    const char *at = base.text.data, *end, *found;
    int number = 0;

    fv_text_reset(&sheet.text);
    while (strncmp(at, "{\"records\"", 10) != 0) {
        end = strchr(at, '\n') + 1;
        number++;
        if (number != row->line) {
            fv_text_add_bytes(&sheet.text, at, (size_t)(end - at));
        } else if (row->find) {
            found = strstr(at, row->find);
            ck_assert_msg(found && found < end, "%s: nothing to replace", row->label);
            fv_text_add_bytes(&sheet.text, at, (size_t)(found - at));
            fv_text_add(&sheet.text, row->replace);
            found += strlen(row->find);
            fv_text_add_bytes(&sheet.text, found, (size_t)(end - found));
        } else if (row->replace) {
            fv_text_add(&sheet.text, row->replace);
            fv_text_add_char(&sheet.text, '\n');
        }
        at = end;
    }
    for (at = sheet.text.data, sheet.records = (uint64_t)-1; *at; at++)
        sheet.records += *at == '\n';
    seal(&sheet);
    save_sheet(&sheet, "tampered");
    clear_sheet(&sheet);
    clear_sheet(&base);
}

static void assert_tampering_refused(struct sheet base, const struct tampering *row)
{
    char place[96];

    save_tampered(base, row);
    assert_refused("tampered");
    snprintf(place, sizeof place, "%s:%d:", FILE_NAMED("tampered"), row->reported);
    ck_assert_msg(strncmp(error.message, place, strlen(place)) == 0, "%s: %s", row->label,
                  error.message);
    ck_assert_int_eq(error.line, row->reported);
    assert_words(row->words);
}

START_TEST(a_file_that_contradicts_itself_changes_nothing)
{
    assert_tampering_refused(base_sheet(), &tamperings[_i]);
}
END_TEST

START_TEST(contradictions_about_approval_change_nothing)
{
    assert_tampering_refused(approval_sheet(), &approval_tamperings[_i]);
}
END_TEST

START_TEST(the_last_line_counts_and_closes)
{
    struct sheet sheet = base_sheet();
    char *last = strstr(sheet.text.data, "{\"records\":21,");
    struct fv_text longer = FV_TEXT_INIT;

    ck_assert_ptr_nonnull(last);
    last[11] = '1';
    save_sheet(&sheet, "miscounted");
    assert_refused("miscounted");
    assert_words(":23: there are 21 records; 11 are announced");

    last[11] = '2';
    last = strstr(last, "sha256\":\"") + 9;
    *last = *last == '0' ? '1' : '0';
    save_sheet(&sheet, "other");
    assert_refused("other");
    assert_words(":23: the checksum is not that of the lines before");
    clear_sheet(&sheet);

    sheet = base_sheet();
    fv_text_add_bytes(&longer, sheet.text.data, sheet.text.length);
    fv_text_add(&longer, "{\"tenant\":\"zzz\"}\n");
    write_bytes("longer", longer.data, longer.length);
    assert_refused("longer");
    assert_words(":24: something follows the last line");
    fv_text_add(&longer, "{\"tenant\":\"zzz\"}");
    write_bytes("longer", longer.data, longer.length);
    assert_refused("longer");
    fv_text_clear(&longer);
    clear_sheet(&sheet);
}
END_TEST

START_TEST(a_note_beyond_the_limit_is_refused)
{
    char note[FLAGVER_NOTE_LIMIT + 2];
    flagver_version_row row;
    struct sheet sheet;
    int more;

    memset(note, '\n', sizeof note);
    for (more = 0; more < 2; more++) {
        sheet = new_sheet();
        note[FLAGVER_NOTE_LIMIT + more] = 0;
        add_tenant(&sheet, "default");
        add_series(&sheet, "notes", "n", 1, 0);
        row = version_row(&sheet, 1, FLAGVER_STATE_DRAFT, 0, fv_bytes("1"));
        row.note = fv_bytes(note);
        add_row(&sheet, &row);
        seal(&sheet);
        save_sheet(&sheet, "noted");
        clear_sheet(&sheet);
        if (more == 0)
            assert_ok(fv_export_check(FILE_NAMED("noted"), &error));
        note[FLAGVER_NOTE_LIMIT + more] = '\n';
    }
    assert_refused("noted");
    assert_words(":4: the note is 4097 bytes; at most 4096 allowed");
}
END_TEST

START_TEST(long_names_leave_room_for_the_reason)
{
    struct fv_transfer_place place = { NULL, UINT64_MAX };
    char name[3000];
    size_t i;

    for (i = 0; i + 2 < sizeof name; i += 2)
        memcpy(name + i, "\xc3\xa9", 3); /* é: no character is cut apart */
    place.name = name;
    ck_assert_int_eq(fv_transfer_refuse(&error, &place, "the reason is %d", 7), FLAGVER_EPARSE);
    assert_words(":18446744073709551615: the reason is 7");
    ck_assert_int_eq((unsigned char)error.message[0], 0xc3);
    ck_assert_int_eq(error.line, INT32_MAX);

    ck_assert_int_eq(fv_transfer_refuse(&error, &place, "%.2000s", name), FLAGVER_EPARSE);
    ck_assert_int_eq((unsigned char)error.message[strlen(error.message) - 1], 0xa9);
    ck_assert_int_eq(fv_transfer_refuse(NULL, &place, "nobody listens"), FLAGVER_EPARSE);
}
END_TEST

/* ---- rows that cannot be written ---- */

START_TEST(a_row_that_is_not_whole_is_not_exported)
{
    struct sheet sheet = new_sheet();
    struct fv_transfer line = { .kind = FV_TRANSFER_VERSION };
    struct fv_text out = FV_TEXT_INIT;

    line.as.version = version_row(&sheet, 3, FLAGVER_STATE_DRAFT, 0, fv_bytes("1"));
    line.as.version.phase = fv_bytes("notes");
    line.as.version.subject = fv_bytes("n");
    assert_ok(fv_transfer_write(&out, &line, &error));

    line.as.version.created_by = fv_bytes("\xff");
    assert_fails(FLAGVER_ECORRUPT, fv_transfer_write(&out, &line, &error));
    assert_words("version 3 of notes n: created_by is not UTF-8");
    line.as.version.created_by = fv_bytes_of("a\0b", 3);
    assert_fails(FLAGVER_ECORRUPT, fv_transfer_write(&out, &line, &error));
    line.as.version.created_by = fv_bytes("a");
    line.as.version.state = 8;
    assert_fails(FLAGVER_ECORRUPT, fv_transfer_write(&out, &line, &error));
    assert_words("state is none");

    line = (struct fv_transfer){ .kind = FV_TRANSFER_TENANT };
    assert_fails(FLAGVER_ECORRUPT, fv_transfer_write(&out, &line, &error));
    line = (struct fv_transfer){ .kind = FV_TRANSFER_LEAF, .as.leaf.no = 5 };
    assert_fails(FLAGVER_ECORRUPT, fv_transfer_write(&out, &line, &error));
    assert_words("leaf 5: leaf is missing");
    line = (struct fv_transfer){ .kind = FV_TRANSFER_ITEM, .as.item.status = 3 };
    line.as.item.no = 2;
    line.as.item.key = fv_bytes("k");
    assert_fails(FLAGVER_ECORRUPT, fv_transfer_write(&out, &line, &error));
    assert_words("item \"k\" of a version 2: status is none");
    line = (struct fv_transfer){ .kind = FV_TRANSFER_VOTE };
    assert_fails(FLAGVER_ECORRUPT, fv_transfer_write(&out, &line, &error));
    assert_words("actor of a vote is missing");
    line = (struct fv_transfer){ .kind = FV_TRANSFER_KEY, .as.key.key = fv_bytes("1") };
    assert_fails(FLAGVER_ECORRUPT, fv_transfer_write(&out, &line, &error));
    assert_words("value of a key is missing");
    fv_text_clear(&out);
    clear_sheet(&sheet);
}
END_TEST

/* ---- what is not in the file ---- */

struct tree {
    struct fv_frontier frontier;
    struct {
        unsigned level;
        uint64_t number;
        uint8_t hash[FV_DIGEST_SIZE];
    } nodes[40];
    int count;
};

static int keep_node(void *data, unsigned level, uint64_t number,
                     const uint8_t hash[FV_DIGEST_SIZE], flagver_error *err)
{
    struct tree *tree = data;

    (void)err;
    ck_assert_int_lt(tree->count, COUNT(tree->nodes));
    tree->nodes[tree->count].level = level;
    tree->nodes[tree->count].number = number;
    memcpy(tree->nodes[tree->count++].hash, hash, FV_DIGEST_SIZE);
    return 0;
}

/* Every leaf of the store, one by one. */
static void grow_tree(struct tree *tree, struct fv_read *read)
{
    const flagver_query leaves = { .kind = FLAGVER_QUERY_LEAVES };
    struct fv_digest *digest = fv_digest_new(read->store->crypto);
    flagver_row row;

    memset(tree, 0, sizeof *tree);
    assert_ok(fv_read_scan(read, &leaves, &error));
    while (fv_read_next(read, &row, &error) > 0)
        assert_ok(
            fv_frontier_append(&tree->frontier, digest, row.as.leaf.hash, keep_node, tree, &error));
    fv_digest_free(digest);
}

/* How many the store has; they are those of the tree, in its order. */
static int assert_level(struct fv_read *read, const struct tree *tree, uint32_t level)
{
    const flagver_query nodes = { .kind = FLAGVER_QUERY_NODES, .no = level };
    int count = 0, at = 0;
    flagver_row row;

    assert_ok(fv_read_scan(read, &nodes, &error));
    for (; fv_read_next(read, &row, &error) > 0; count++, at++) {
        while (at < tree->count && tree->nodes[at].level != level)
            at++;
        ck_assert_int_lt(at, tree->count);
        ck_assert_uint_eq(row.as.node.level, level);
        ck_assert_uint_eq(row.as.node.index, tree->nodes[at].number);
        ck_assert_mem_eq(row.as.node.hash, tree->nodes[at].hash, FV_DIGEST_SIZE);
    }
    return count;
}

static void assert_tree(struct fv_read *read, const struct tree *tree)
{
    const flagver_query log = { .kind = FLAGVER_QUERY_LOG };
    uint8_t bytes[FV_FRONTIER_BYTES];
    size_t length = fv_frontier_encode(&tree->frontier, bytes);
    flagver_row row;

    assert_ok(fv_read_scan(read, &log, &error));
    ck_assert_int_eq(fv_read_next(read, &row, &error), 1);
    ck_assert_uint_eq(row.as.log.size, tree->frontier.size);
    ck_assert_uint_eq(row.as.log.frontier.length, length);
    ck_assert_mem_eq(row.as.log.frontier.data, bytes, length);
    ck_assert_int_eq(assert_level(read, tree, 4) + assert_level(read, tree, 8), tree->count);
}

START_TEST(the_tree_over_the_log_is_made_again)
{
    const struct fv_store_options options = { .read_only = true };
    const char *uri = in_folder(_i ? "jsonfile:" : "sqlite:", "store");
    struct sheet sheet = new_sheet();
    struct fv_store *store;
    struct fv_read read;
    struct tree tree;
    int i;

    add_tenant(&sheet, "default");
    for (i = 0; i < 520; i++)
        add_leaf(&sheet, "notes", "n", 1, created((uint32_t)i));
    add_tenant(&sheet, "other");
    add_leaf(&sheet, "notes", "n", 1, created(1));
    seal(&sheet);
    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    assert_ok(flagver_store_import(uri, FILE_NAMED("base"), &error));

    assert_ok(fv_store_open(uri, &options, &store, &error));
    assert_ok(fv_read_begin(&read, store, "default", &error));
    grow_tree(&tree, &read);
    ck_assert_int_eq(tree.count, 520 / 16 + 520 / 256);
    assert_tree(&read, &tree);
    fv_read_end(&read);
    assert_ok(fv_read_begin(&read, store, "other", &error));
    grow_tree(&tree, &read);
    ck_assert_uint_eq(tree.frontier.size, 1);
    assert_tree(&read, &tree);
    fv_read_end(&read);
    fv_store_release(store);
}
END_TEST

static void run_sql(const char *store, const char *sql)
{
    char *words = NULL;
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(FILE_NAMED(store), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &words) == SQLITE_OK, "%s: %s", sql, words);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

START_TEST(what_is_of_no_version_is_not_exported)
{
    struct sheet sheet = approval_sheet();

    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    import_ok("store", "base");
    run_sql("store", "DROP TRIGGER flagver_vote_frozen;"
                     "UPDATE flagver_vote SET no = 9 WHERE no = 7");
    assert_fails(FLAGVER_ECORRUPT,
                 flagver_store_export(STORE_NAMED("store"), NULL, FILE_NAMED("file"), &error));
    assert_words("a vote of plan \"a/1\" is of no version");
    ck_assert_int_eq(count_files("file"), 0);
}
END_TEST

START_TEST(keys_are_not_mixed)
{
    struct sheet sheet = base_sheet();

    save_sheet(&sheet, "old");
    clear_sheet(&sheet);
    import_ok("keyed", "old");
    run_sql("keyed", "INSERT INTO flagver_keyed VALUES ('third', 'key', '0000000001', 1, 1, x'00'),"
                     "('third', 'request', 'r', 1, 1, x'00')");
    export_ok("keyed", "again");
    assert_same_files("old", "again"); /* a tenant is what has records */
    sheet = new_sheet();
    add_tenant(&sheet, "third");
    add_leaf(&sheet, "notes", "n", 1, created(1));
    seal(&sheet);
    save_sheet(&sheet, "third");
    clear_sheet(&sheet);
    assert_fails(FLAGVER_EEXIST,
                 flagver_store_import(STORE_NAMED("keyed"), FILE_NAMED("third"), &error));
    assert_words("tenant \"third\" has keys already; an import needs an empty one");
    run_sql("keyed", "DELETE FROM flagver_keyed WHERE space = 'key'");
    import_ok("keyed", "third");
}
END_TEST

/* ---- stores that were written by clients ---- */

#define ACTOR(name) (&(flagver_actor){ .size = sizeof(flagver_actor), .id = (name) })

static flagver_client *open_store(const char *name, const char *tenant)
{
    const flagver_options options = { .size = sizeof options,
                                      .tenant = tenant,
                                      .no_environment = 1 };
    flagver_client *client;

    assert_ok(flagver_open(STORE_NAMED(name), &options, &client, &error));
    return client;
}

static flagver_txn *begin(flagver_client *client, const char *actor)
{
    flagver_txn *txn;

    assert_ok(flagver_txn_begin(client, ACTOR(actor), NULL, &txn, &error));
    return txn;
}

static void commit(flagver_txn *txn)
{
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
}

static void put(flagver_txn *txn, const char *key, const char *json)
{
    assert_ok(flagver_flag_put(txn, key, json, strlen(json), NULL, NULL, &error));
}

/* Flags with a history: ramps, a revert, a deletion, drafts, one given up. */
static void live(flagver_client *client)
{
    static const char json[] = "{\"type\":\"boolean\",\"percentage\":10}";
    const flagver_write_options said = { .size = sizeof said, .note = "why \"not\"?\n" };
    flagver_txn *txn = begin(client, "alice");
    flagver_version *draft;

    put(txn, "checkout", json);
    put(txn, "old", json);
    put(txn, "checkout", "{\"type\":\"boolean\",\"beta\":[\"bob\"]}");
    assert_ok(
        flagver_segment_put(txn, "staff", "{\"include\":[\"carol\"]}", 21, NULL, NULL, &error));
    commit(txn);
    txn = begin(client, "bob");
    assert_ok(flagver_flag_ramp(txn, "checkout", 25, &said, NULL, &error));
    assert_ok(flagver_flag_revert(txn, "checkout", 1, NULL, NULL, &error));
    assert_ok(flagver_flag_delete(txn, "old", NULL, NULL, &error));
    assert_ok(flagver_version_create(txn, FLAGVER_PHASE_FLAG, "checkout", json, strlen(json), NULL,
                                     NULL, &error));
    assert_ok(flagver_version_create(txn, FLAGVER_PHASE_FLAG, "draft", json, strlen(json), &said,
                                     &draft, &error));
    assert_ok(flagver_version_edit(txn, FLAGVER_PHASE_FLAG, "draft", draft->no, json, strlen(json),
                                   NULL, NULL, &error));
    assert_ok(
        flagver_version_withdraw(txn, FLAGVER_PHASE_FLAG, "draft", draft->no, NULL, NULL, &error));
    flagver_version_free(draft);
    commit(txn);
}

START_TEST(a_store_that_was_lived_in_survives_a_round_trip)
{
    flagver_client *client = open_store("store", NULL), *other = open_store("store", "staging");

    live(client);
    live(other);
    live(client);
    export_ok("store", "file"); /* while they are open */
    flagver_close(client);
    flagver_close(other);
    export_ok("store", "closed");
    assert_same_files("file", "closed");
    assert_round_trip("file");
}
END_TEST

/* 32 times 'a', in base64 */
#define SOME_KEYS "main:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="

static void put_policy(flagver_txn *txn, const char *phase, const char *json)
{
    assert_ok(flagver_version_put(txn, FLAGVER_PHASE_PHASE, phase, json, strlen(json), NULL, NULL,
                                  &error));
}

static void create_plan(flagver_txn *txn, uint32_t baseline_no)
{
    static const flagver_item_content items[] = { { "s1", "{\"size\":1}", 10 }, { "s2", "2", 1 } };
    const flagver_write_options options = { .size = sizeof options, .baseline_no = baseline_no };
    flagver_version *version;

    assert_ok(flagver_version_create(txn, "plan", "a", "{}", 2, &options, &version, &error));
    assert_ok(flagver_items_put(txn, "plan", "a", version->no, items + (baseline_no > 0),
                                baseline_no ? 1 : 2, NULL, NULL, &error));
    flagver_version_free(version);
}

static void approve_plan(flagver_txn *txn, uint32_t no)
{
    static const char *const keys[] = { "s1", "s2" };
    const flagver_write_options said = { .size = sizeof said, .note = "fine" };

    assert_ok(flagver_items_decide(txn, "plan", "a", no, keys, 2, FLAGVER_ITEM_APPROVED, &said,
                                   NULL, &error));
    assert_ok(flagver_version_approve(txn, "plan", "a", no, &said, NULL, &error));
}

/* Plans that somebody else approves, item by item, encrypted and shredded; and an emergency. */
static void live_by_the_rules(flagver_client *client)
{
    static const char rules[] = "{\"versioning\":\"full\",\"approval\":{\"required\":true,"
                                "\"rule\":\"anyone\"},\"encrypt\":true,\"shred\":\"anyone\"}";
    static const char flag_rules[] = "{\"versioning\":\"full\",\"approval\":{\"required\":true,"
                                     "\"rule\":\"anyone\"},\"emergency\":\"anyone\"}";
    const flagver_write_options now = { .size = sizeof now,
                                        .note = "it burns",
                                        .flags = FLAGVER_WRITE_EMERGENCY };
    flagver_txn *txn = begin(client, "alice");

    put(txn, "checkout", "{\"enabled\":true,\"type\":\"boolean\"}");
    put_policy(txn, "plan", rules);
    put_policy(txn, "flagver.flag", flag_rules);
    commit(txn);
    txn = begin(client, "alice");
    create_plan(txn, 0);
    assert_ok(flagver_version_submit(txn, "plan", "a", 1, NULL, NULL, &error));
    assert_ok(flagver_flag_disable(txn, "checkout", &now, NULL, &error));
    commit(txn);
    txn = begin(client, "bob");
    assert_ok(flagver_version_return(txn, "plan", "a", 1, NULL, NULL, &error));
    commit(txn);
    txn = begin(client, "carol");
    assert_ok(flagver_version_edit(txn, "plan", "a", 1, "{\"b\":1}", 7, NULL, NULL, &error));
    assert_ok(flagver_version_submit(txn, "plan", "a", 1, NULL, NULL, &error));
    commit(txn);
    txn = begin(client, "bob");
    approve_plan(txn, 1);
    commit(txn);
    txn = begin(client, "alice");
    create_plan(txn, 1);
    assert_ok(flagver_version_submit(txn, "plan", "a", 2, NULL, NULL, &error));
    commit(txn);
    txn = begin(client, "bob");
    approve_plan(txn, 2);
    create_plan(txn, 2);
    assert_ok(flagver_version_shred(txn, "plan", "a", 1, NULL, &error));
    commit(txn);
}

static void fail_on_finding(void *data, const char *line)
{
    (void)data;
    ck_abort_msg("%s", line);
}

START_TEST(a_store_that_was_lived_in_by_the_rules_survives_a_round_trip)
{
    flagver_verify_result result;
    flagver_client *client;

    setenv("FLAGVER_KEYS", SOME_KEYS, 1);
    client = open_store("store", NULL);
    live_by_the_rules(client);
    flagver_close(client);
    export_ok("store", "file");
    assert_round_trip("file");
    ck_assert_int_eq(
        flagver_audit_verify_file(FILE_NAMED("file"), NULL, fail_on_finding, NULL, NULL, &error),
        0);

    client = open_store("copy", NULL);
    ck_assert_int_eq(flagver_audit_verify(client, NULL, fail_on_finding, NULL, &result, &error), 0);
    ck_assert_uint_gt(result.payloads, 5);
    flagver_close(client);
}
END_TEST

static void assert_version(flagver_client *client, const char *key, uint32_t no, int32_t state)
{
    flagver_version *version;

    assert_ok(flagver_version_get(client, FLAGVER_PHASE_FLAG, key, no, &version, &error));
    ck_assert_int_eq(version->state, state);
    flagver_version_free(version);
}

START_TEST(life_goes_on_in_an_imported_store)
{
    static const char json[] = "{\"type\":\"boolean\"}";
    flagver_context *context = flagver_context_new("bob");
    flagver_client *client = open_store("store", NULL);
    flagver_txn *txn;
    uint32_t no;

    live(client);
    flagver_close(client);
    export_ok("store", "file");
    import_ok("copy", "file");

    client = open_store("copy", NULL);
    ck_assert(flagver_flag_bool(client, "checkout", context, true) ==
              (flagver_flag_bool(client, "checkout", context, false)));
    ck_assert_uint_eq(flagver_client_generation(client) > 0, 1);
    txn = begin(client, "carol");
    assert_ok(flagver_flag_put(txn, "checkout", json, strlen(json), NULL, &no, &error));
    ck_assert_uint_eq(no, 6); /* four that were in force, and a draft */
    assert_ok(flagver_flag_put(txn, "old", json, strlen(json), NULL, &no, &error));
    ck_assert_uint_eq(no, 3); /* put, deleted */
    commit(txn);
    assert_version(client, "checkout", 4, FLAGVER_STATE_SUPERSEDED);
    assert_version(client, "checkout", 5, FLAGVER_STATE_DRAFT);
    assert_version(client, "draft", 1, FLAGVER_STATE_WITHDRAWN);
    ck_assert_int_eq(flagver_audit_verify(client, NULL, fail_on_finding, NULL, NULL, &error), 0);
    flagver_close(client);
    flagver_context_free(context);
    export_ok("copy", "longer");
    assert_ok(fv_export_check(FILE_NAMED("longer"), &error));
}
END_TEST

START_TEST(policies_that_are_brought_in_bind_whoever_has_the_store_open)
{
    static const char json[] = "{\"type\":\"boolean\"}", policy[] = "{}";
    flagver_client *client = open_store("store", NULL);
    flagver_txn *txn = begin(client, "carol");
    flagver_version *version;

    assert_ok(flagver_flag_put(txn, "f", json, strlen(json), NULL, NULL, &error));
    assert_ok(flagver_version_put(txn, FLAGVER_PHASE_PHASE, FLAGVER_PHASE_FLAG, policy,
                                  strlen(policy), NULL, NULL, &error));
    commit(txn);
    flagver_close(client);
    export_ok("store", "file");

    client = open_store("copy", NULL);
    txn = begin(client, "carol"); /* and sees that there are no policies */
    assert_fails(FLAGVER_EPARSE, flagver_flag_put(txn, "f", "{", 1, NULL, NULL, &error));
    flagver_txn_free(txn);
    import_ok("copy", "file");
    txn = begin(client, "carol");
    assert_ok(flagver_version_put(txn, FLAGVER_PHASE_FLAG, "f", json, strlen(json), NULL, &version,
                                  &error));
    ck_assert_int_eq(version->state, FLAGVER_STATE_SUBMITTED);
    flagver_version_free(version);
    commit(txn);
    flagver_close(client);
}
END_TEST

/* Series, versions and log are of one moment, also when others write all the time. */
START_TEST(an_export_is_of_one_state)
{
    flagver_client *client = open_store("store", NULL);
    pid_t child;
    int i, status;

    live(client);
    flagver_close(client);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        client = open_store("store", NULL);
        for (i = 0; i < 100; i++)
            live(client);
        flagver_close(client);
        _exit(0);
    }
    do {
        export_ok("store", "file");
        assert_ok(fv_export_check(FILE_NAMED("file"), &error));
    } while (waitpid(child, &status, WNOHANG) == 0);
    ck_assert_int_eq(status, 0);
    assert_round_trip("file");
}
END_TEST

START_TEST(one_tenant_can_be_exported_alone)
{
    struct sheet sheet = base_sheet();
    struct fv_text text;

    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    import_ok("store", "base");
    assert_ok(flagver_store_export(STORE_NAMED("store"), "other", FILE_NAMED("one"), &error));
    text = read_bytes("one");
    ck_assert_ptr_null(strstr(text.data, "default"));
    ck_assert_ptr_nonnull(strstr(text.data, "{\"records\":3,"));
    fv_text_clear(&text);
    import_ok("only", "one");
    export_ok("only", "again");
    assert_same_files("one", "again");
}
END_TEST

START_TEST(what_is_not_there_cannot_be_exported)
{
    struct sheet sheet = base_sheet();

    save_sheet(&sheet, "base");
    import_ok("store", "base");
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_store_export(STORE_NAMED("store"), "nobody", FILE_NAMED("new"), &error));
    assert_words("no tenant \"nobody\"");
    assert_fails(FLAGVER_EINVAL,
                 flagver_store_export(STORE_NAMED("store"), "", FILE_NAMED("new"), &error));
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_store_export(STORE_NAMED("nowhere"), NULL, FILE_NAMED("new"), &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_store_export("x:y", NULL, FILE_NAMED("new"), &error));
    assert_fails(FLAGVER_EINVAL, flagver_store_export(NULL, NULL, FILE_NAMED("new"), &error));
    assert_fails(FLAGVER_EINVAL, flagver_store_export(STORE_NAMED("store"), NULL, NULL, &error));
    ck_assert(!is_there("new"));
    ck_assert(!is_there("nowhere"));
    clear_sheet(&sheet);
}
END_TEST

START_TEST(an_export_replaces_a_file_when_it_is_complete)
{
    struct sheet sheet = base_sheet();
    struct fv_text text;

    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    import_ok("store", "base");
    write_bytes("file", "something else", 14);
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_store_export(STORE_NAMED("store"), "nobody", FILE_NAMED("file"), &error));
    text = read_bytes("file");
    ck_assert_str_eq(text.data, "something else");
    fv_text_clear(&text);
    export_ok("store", "file");
    assert_same_files("file", "base");
    ck_assert_int_eq(count_files(".part"), 0);
}
END_TEST

START_TEST(an_export_goes_into_a_file_or_nowhere)
{
    struct sheet sheet = base_sheet();

    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    import_ok("store", "base");
    assert_fails(FLAGVER_EIO,
                 flagver_store_export(STORE_NAMED("store"), NULL, "/dev/null", &error));
    assert_words("/dev/null: not a regular file");
    assert_fails(FLAGVER_EIO, flagver_store_export(STORE_NAMED("store"), NULL, folder, &error));
    assert_fails(FLAGVER_EIO, flagver_store_export(STORE_NAMED("store"), NULL,
                                                   FILE_NAMED("no/such/folder"), &error));
    ck_assert_int_eq(error.native, ENOENT);
    assert_fails(FLAGVER_EINVAL,
                 flagver_store_export(STORE_NAMED("store"), NULL, FILE_NAMED("store"), &error));
    assert_words("is the store itself");
    ck_assert_int_eq(count_files(".part"), 0);
    export_ok("store", "file");
    assert_same_files("base", "file");
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_no_export)
{
    assert_fails(FLAGVER_EIO,
                 flagver_store_import(STORE_NAMED("s"), FILE_NAMED("missing"), &error));
    ck_assert_int_eq(error.native, ENOENT);
    assert_fails(FLAGVER_EIO, flagver_store_import(STORE_NAMED("s"), folder, &error));
    ck_assert_int_eq(mkfifo(FILE_NAMED("pipe"), 0600), 0);
    assert_fails(FLAGVER_EIO, flagver_store_import(STORE_NAMED("s"), FILE_NAMED("pipe"), &error));
    assert_words("not a regular file");
    assert_fails(FLAGVER_EINVAL, flagver_store_import(STORE_NAMED("s"), NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_store_import(NULL, FILE_NAMED("x"), &error));
    ck_assert(!is_there("s"));
}
END_TEST

START_TEST(an_import_needs_empty_tenants_and_else_changes_none)
{
    struct sheet sheet = base_sheet();
    flagver_client *client;

    save_sheet(&sheet, "base");
    clear_sheet(&sheet);

    /* The first tenant of the file is empty, the second is not. */
    client = open_store("store", "other");
    live(client);
    flagver_close(client);
    export_ok("store", "before");
    assert_fails(FLAGVER_EEXIST,
                 flagver_store_import(STORE_NAMED("store"), FILE_NAMED("base"), &error));
    assert_words("tenant \"other\" has records already");
    export_ok("store", "after");
    assert_same_files("before", "after");

    /* A log alone is a record, too. */
    sheet = new_sheet();
    add_tenant(&sheet, "other");
    add_leaf(&sheet, "notes", "n", 1, created(1));
    seal(&sheet);
    save_sheet(&sheet, "log");
    clear_sheet(&sheet);
    import_ok("logged", "log");
    assert_fails(FLAGVER_EEXIST,
                 flagver_store_import(STORE_NAMED("logged"), FILE_NAMED("base"), &error));

    /* Tenants that are not in the file are in nobody's way. */
    client = open_store("beside", "third");
    live(client);
    flagver_close(client);
    import_ok("beside", "base");
    assert_ok(flagver_store_export(STORE_NAMED("beside"), "other", FILE_NAMED("one"), &error));
    import_ok("fresh", "one");
    assert_fails(FLAGVER_EEXIST,
                 flagver_store_import(STORE_NAMED("beside"), FILE_NAMED("base"), &error));
}
END_TEST

START_TEST(a_store_that_cannot_be_opened_takes_nothing)
{
    struct sheet sheet = base_sheet();

    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    assert_fails(FLAGVER_ENOTSUP, flagver_store_import("x:y", FILE_NAMED("base"), &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_store_import("definitions:", FILE_NAMED("base"), &error));
    ck_assert_int_lt(
        flagver_store_import(STORE_NAMED("no/such/folder"), FILE_NAMED("base"), &error), 0);
}
END_TEST

/* A disk that is full: here, files that may not grow. */
START_TEST(a_disk_without_room_leaves_the_old_file)
{
    struct rlimit before, limit;
    struct sheet sheet = base_sheet();
    flagver_client *client;
    struct fv_text text;
    int r;

    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    import_ok("store", "base");
    client = open_store("store", NULL); /* so that the files beside the store are there */
    write_bytes("file", "old", 3);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){ 1000, before.rlim_max };
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    r = flagver_store_export(STORE_NAMED("store"), NULL, FILE_NAMED("file"), &error);
    setrlimit(RLIMIT_FSIZE, &before); /* Check writes files, too */
    signal(SIGXFSZ, SIG_DFL);
    ck_assert_msg(r == FLAGVER_EIO, "%d: %s", r, error.message);
    ck_assert_int_eq(error.native, EFBIG);
    text = read_bytes("file");
    ck_assert_str_eq(text.data, "old");
    ck_assert_int_eq(count_files(".part"), 0);
    fv_text_clear(&text);
    flagver_close(client);
}
END_TEST

/* ---- a driver that fails ---- */

static struct flagver_fault *fault;

#define FAULTY_NAMED(name) in_folder("fault-sqlite:", name)

static void set_up_faults(void)
{
    struct sheet sheet;

    make_folder();
    sheet = base_sheet();
    save_sheet(&sheet, "base");
    clear_sheet(&sheet);
    sheet = approval_sheet();
    save_sheet(&sheet, "approval");
    clear_sheet(&sheet);
    if (!fault)
        fault = flagver_fault_driver(&fv_sqlite_driver);
    flagver_fault_reset(fault);
    assert_ok(flagver_driver_register(flagver_fault_table(fault), &error));
}

/* Nothing was misused, and nothing is still open. */
static void tear_down_faults(void)
{
    const char *complaint = flagver_fault_complaint(fault);

    ck_assert_msg(complaint == NULL, "%s", complaint);
    remove_folder();
}

static void remove_store(const char *name)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    char file[64];
    int i;

    for (i = 0; i < COUNT(ends); i++) {
        snprintf(file, sizeof file, "%s%s", name, ends[i]);
        remove(FILE_NAMED(file));
    }
}

/* What the store says of one tenant is what the file says, or nothing. */
static bool has_tenant(const char *store, const char *tenant)
{
    int r = flagver_store_export(STORE_NAMED(store), tenant, FILE_NAMED("has"), &error);

    if (r == FLAGVER_ENOTFOUND || r == FLAGVER_ESCHEMA)
        return false;
    assert_ok(r);
    import_ok("sound", "base");
    assert_ok(flagver_store_export(STORE_NAMED("sound"), tenant, FILE_NAMED("should"), &error));
    assert_same_files("has", "should");
    remove_store("sound");
    return true;
}

static const char *const fault_files[] = { "base", "approval" };

START_TEST(an_export_ends_with_the_first_call_that_fails)
{
    uint64_t n;
    int r = -1;

    import_ok("store", fault_files[_i]);
    for (n = 1; r < 0; n++) {
        flagver_fault_reset(fault);
        flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, FLAGVER_EUNAVAILABLE, false);
        r = flagver_store_export(FAULTY_NAMED("store"), NULL, FILE_NAMED("file"), &error);
        ck_assert(r == 0 || r == FLAGVER_EUNAVAILABLE);
        ck_assert(is_there("file") == (r == 0));
        ck_assert_int_eq(count_files(".part"), 0);
        ck_assert_uint_eq(flagver_fault_txns(fault), 0);
    }
    ck_assert_uint_gt(n, 20);
    assert_same_files(fault_files[_i], "file");
}
END_TEST

/* Whichever call it is that fails, a tenant comes in whole or not at all. */
START_TEST(an_import_ends_with_the_first_call_that_fails)
{
    bool first = false, second = false;
    uint64_t n;
    int r = -1;

    for (n = 1; r < 0; n++) {
        remove_store("store");
        flagver_fault_reset(fault);
        flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, FLAGVER_EUNAVAILABLE, false);
        r = flagver_store_import(FAULTY_NAMED("store"), FILE_NAMED("base"), &error);
        ck_assert(r == 0 || r == FLAGVER_EUNAVAILABLE);
        if (!is_there("store"))
            continue;
        first = has_tenant("store", "default");
        second = has_tenant("store", "other");
        ck_assert((first && second) == (r == 0));
        ck_assert(first || !second);
        if (first && !second) {
            has_tenant("store", "other");
            r = flagver_store_import(FAULTY_NAMED("store"), FILE_NAMED("base"), &error);
            ck_assert_int_eq(r, FLAGVER_EEXIST);
        }
    }
    ck_assert(first && second);
    ck_assert_uint_gt(n, 15);
}
END_TEST

START_TEST(an_import_of_approvals_ends_with_the_first_call_that_fails)
{
    uint64_t n;
    int r = -1;

    for (n = 1; r < 0; n++) {
        remove_store("store");
        flagver_fault_reset(fault);
        flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, FLAGVER_EUNAVAILABLE, false);
        r = flagver_store_import(FAULTY_NAMED("store"), FILE_NAMED("approval"), &error);
        ck_assert(r == 0 || r == FLAGVER_EUNAVAILABLE);
        if (r < 0 && is_there("store"))
            ck_assert_int_lt(
                flagver_store_export(STORE_NAMED("store"), "default", FILE_NAMED("file"), &error),
                0);
    }
    ck_assert_uint_gt(n, 10);
    export_ok("store", "file");
    assert_same_files("approval", "file");
}
END_TEST

START_TEST(an_import_that_stops_halfway_says_what_is_done)
{
    flagver_fault_fail(fault, FLAGVER_FAULT_COMMIT, 2, FLAGVER_EUNAVAILABLE, false);
    assert_fails(FLAGVER_EUNAVAILABLE,
                 flagver_store_import(FAULTY_NAMED("store"), FILE_NAMED("base"), &error));
    assert_words("(tenants of the file before \"other\" are in the store)");
}
END_TEST

START_TEST(an_import_waits_for_its_turn)
{
    flagver_fault_fail(fault, FLAGVER_FAULT_BEGIN, 3, FLAGVER_EBUSY, false);
    assert_ok(flagver_store_import(FAULTY_NAMED("store"), FILE_NAMED("base"), &error));
    flagver_fault_reset(fault);
    flagver_fault_fail(fault, FLAGVER_FAULT_BEGIN, 1, FLAGVER_EBUSY, true);
    assert_fails(FLAGVER_EBUSY,
                 flagver_store_import(FAULTY_NAMED("other"), FILE_NAMED("base"), &error));
}
END_TEST

START_TEST(a_commit_in_doubt_is_said_to_be_so)
{
    flagver_fault_lie(fault, 1, _i);
    assert_fails(FLAGVER_EUNKNOWN,
                 flagver_store_import(FAULTY_NAMED("store"), FILE_NAMED("base"), &error));
    assert_words("whether tenant \"default\" was imported");
    ck_assert(has_tenant("store", "default") == (_i == FLAGVER_FAULT_DONE));
    ck_assert(!has_tenant("store", "other"));
}
END_TEST

START_TEST(a_rival_in_the_tenant_ends_the_import)
{
    flagver_fault_fail(fault, FLAGVER_FAULT_APPLY, 1, FLAGVER_ECONFLICT, false);
    assert_fails(FLAGVER_EEXIST,
                 flagver_store_import(FAULTY_NAMED("store"), FILE_NAMED("base"), &error));
    assert_words("somebody wrote to tenant \"default\" during the import");
}
END_TEST

START_TEST(a_way_down_that_fails_leaves_the_store)
{
    import_ok("store", "base");
    flagver_fault_fail(fault, FLAGVER_FAULT_SCHEMA_MIGRATE, 1, FLAGVER_EBUSY, false);
    assert_fails(FLAGVER_EBUSY, flagver_schema_down(FAULTY_NAMED("store"), 0, FILE_NAMED("backup"),
                                                    false, &error));
    assert_same_files("base", "backup");
    export_ok("store", "after");
    assert_same_files("base", "after");
}
END_TEST

static void assert_doctor_bears(const char *file, int code)
{
    uint64_t n, failures = 1;
    int r;

    remove_store("store");
    import_ok("store", file);
    for (n = 1; failures > 0; n++) {
        flagver_fault_reset(fault);
        flagver_fault_fail(fault, FLAGVER_FAULT_ANY, n, code, false);
        r = flagver_store_doctor(FAULTY_NAMED("store"), NULL, NULL, &error);
        failures = flagver_fault_failures(fault);
        if (code == FLAGVER_ENOMEM && failures)
            ck_assert_int_eq(r, FLAGVER_ENOMEM);
        else
            ck_assert_int_ge(r, failures ? 1 : 0);
    }
    ck_assert_uint_gt(n, 20);
}

START_TEST(the_doctor_bears_whatever_fails)
{
    assert_doctor_bears("base", _i);
    assert_doctor_bears("approval", _i);
}
END_TEST

/* ---- lines of a file ---- */

START_TEST(lines_are_read_whatever_their_length)
{
    static const size_t lengths[] = { 0, 1, 16383, 16384, 16385, 65536, 200000, 3 };
    struct fv_text text = FV_TEXT_INIT;
    struct fv_lines lines;
    const char *line;
    size_t length, i;
    int round;

    for (i = 0; i < COUNT(lengths); i++) {
        for (length = 0; length < lengths[i]; length++)
            fv_text_add_char(&text, (char)('a' + length % 26));
        fv_text_add_char(&text, '\n');
    }
    write_bytes("lines", text.data, text.length);
    fv_text_clear(&text);

    assert_ok(fv_lines_open(&lines, FILE_NAMED("lines"), 200000, &error));
    for (round = 0; round < 2; round++) {
        for (i = 0; i < COUNT(lengths); i++) {
            ck_assert_int_eq(fv_lines_next(&lines, &line, &length, &error), 1);
            ck_assert_uint_eq(length, lengths[i]);
            ck_assert_uint_eq(lines.number, i + 1);
            if (length)
                ck_assert_int_eq(line[length - 1], (char)('a' + (length - 1) % 26));
        }
        ck_assert_int_eq(fv_lines_next(&lines, &line, &length, &error), 0);
        ck_assert_int_eq(fv_lines_next(&lines, &line, &length, &error), 0);
        assert_ok(fv_lines_rewind(&lines, &error));
    }
    fv_lines_close(&lines);

    assert_ok(fv_lines_open(&lines, FILE_NAMED("lines"), 100000, &error));
    for (i = 0; i < 6; i++)
        ck_assert_int_eq(fv_lines_next(&lines, &line, &length, &error), 1);
    assert_fails(FLAGVER_EPARSE, fv_lines_next(&lines, &line, &length, &error));
    assert_words(":7: ");
    fv_lines_close(&lines);
}
END_TEST

static TCase *new_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);

    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}

static Suite *transfer_suite(void)
{
    Suite *suite = suite_create("transfer");
    TCase *tests;

    tests = new_case(suite, "round trips");
    tcase_add_test(tests, every_state_survives_a_round_trip);
    tcase_add_test(tests, what_came_with_approval_survives_a_round_trip);
    tcase_add_test(tests, an_empty_export_is_an_export);

    tests = new_case(suite, "many and large");
    tcase_set_tags(tests, "slow"); /* valgrind leaves it out */
    tcase_add_loop_test(tests, whatever_is_sound_survives_a_round_trip, 0, 12);
    tcase_add_test(tests, the_largest_payload_survives);
    tcase_add_test(tests, a_payload_beyond_the_limit_is_refused);
    tcase_add_test(tests, a_line_beyond_the_limit_is_refused_and_not_kept);
    tcase_add_test(tests, a_file_that_ends_early_changes_nothing);
    tcase_add_loop_test(tests, a_file_with_a_flipped_bit_changes_nothing, 0, 5);
    tcase_add_loop_test(tests, a_file_with_changed_lines_changes_nothing, 0, 30);

    tests = new_case(suite, "damage");
    tcase_add_loop_test(tests, a_file_that_contradicts_itself_changes_nothing, 0,
                        COUNT(tamperings));
    tcase_add_loop_test(tests, contradictions_about_approval_change_nothing, 0,
                        COUNT(approval_tamperings));
    tcase_add_test(tests, the_last_line_counts_and_closes);
    tcase_add_test(tests, a_note_beyond_the_limit_is_refused);
    tcase_add_test(tests, long_names_leave_room_for_the_reason);
    tcase_add_test(tests, a_row_that_is_not_whole_is_not_exported);

    tests = new_case(suite, "stores");
    tcase_add_test(tests, a_store_that_was_lived_in_survives_a_round_trip);
    tcase_add_test(tests, a_store_that_was_lived_in_by_the_rules_survives_a_round_trip);
    tcase_add_test(tests, life_goes_on_in_an_imported_store);
    tcase_add_test(tests, policies_that_are_brought_in_bind_whoever_has_the_store_open);
    tcase_add_test(tests, an_export_is_of_one_state);
    tcase_add_test(tests, one_tenant_can_be_exported_alone);
    tcase_add_test(tests, what_is_not_there_cannot_be_exported);
    tcase_add_test(tests, an_export_replaces_a_file_when_it_is_complete);
    tcase_add_test(tests, an_export_goes_into_a_file_or_nowhere);
    tcase_add_test(tests, a_file_that_cannot_be_read_is_no_export);
    tcase_add_test(tests, an_import_needs_empty_tenants_and_else_changes_none);
    tcase_add_test(tests, a_store_that_cannot_be_opened_takes_nothing);
    tcase_add_loop_test(tests, the_tree_over_the_log_is_made_again, 0, 2);
    tcase_add_test(tests, what_is_of_no_version_is_not_exported);
    tcase_add_test(tests, keys_are_not_mixed);
    tcase_add_test(tests, lines_are_read_whatever_their_length);
    tcase_add_test(tests, a_disk_without_room_leaves_the_old_file);

    tests = tcase_create("faults");
    tcase_add_checked_fixture(tests, set_up_faults, tear_down_faults);
    tcase_set_timeout(tests, 60);
    tcase_set_tags(tests, "slow"); /* each call of a long way fails in turn */
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, an_export_ends_with_the_first_call_that_fails, 0,
                        COUNT(fault_files));
    tcase_add_test(tests, an_import_ends_with_the_first_call_that_fails);
    tcase_add_test(tests, an_import_of_approvals_ends_with_the_first_call_that_fails);
    tcase_add_test(tests, an_import_that_stops_halfway_says_what_is_done);
    tcase_add_test(tests, an_import_waits_for_its_turn);
    tcase_add_loop_test(tests, a_commit_in_doubt_is_said_to_be_so, FLAGVER_FAULT_DONE,
                        FLAGVER_FAULT_NOT_DONE + 1);
    tcase_add_test(tests, a_rival_in_the_tenant_ends_the_import);
    tcase_add_test(tests, a_way_down_that_fails_leaves_the_store);
    tcase_add_loop_test(tests, the_doctor_bears_whatever_fails, FLAGVER_EUNAVAILABLE,
                        FLAGVER_EUNAVAILABLE + 1);
    tcase_add_loop_test(tests, the_doctor_bears_whatever_fails, FLAGVER_ENOMEM, FLAGVER_ENOMEM + 1);
    return suite;
}

int main(void)
{
    if (flagver_driver_register(&jsonfile_driver, NULL) < 0)
        return EXIT_FAILURE;
    return run_suite(transfer_suite());
}
