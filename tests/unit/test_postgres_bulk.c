/*
 * The PostgreSQL driver: many changes in one call, and that they are the same as one by one.
 */
#define _POSIX_C_SOURCE 200809L
#include "cluster.h"
#include "unit/postgres_store.h"
#include "util/text.h"

/* ---- changes ---- */

/* Changes of one tenant; rows and texts last as long as the batch. */
#define MOST 24000

struct batch {
    const char *tenant;
    flagver_change changes[MOST];
    size_t count;
    void *blocks[2 * MOST];
    size_t block_count;
};

static void *keep(struct batch *batch, const void *bytes, size_t length)
{
    void *block = malloc(length + 1);

    ck_assert_ptr_nonnull(block);
    ck_assert_uint_lt(batch->block_count, 2 * MOST);
    memcpy(block, bytes, length);
    ((char *)block)[length] = '\0';
    batch->blocks[batch->block_count++] = block;
    return block;
}

static struct batch *new_batch(const char *tenant)
{
    struct batch *batch = calloc(1, sizeof *batch);

    ck_assert_ptr_nonnull(batch);
    batch->tenant = tenant;
    return batch;
}

static void free_batch(struct batch *batch)
{
    size_t i;

    for (i = 0; i < batch->block_count; i++)
        free(batch->blocks[i]);
    free(batch);
}

static void add_change(struct batch *batch, int32_t kind, int64_t expect, const void *row,
                       size_t size)
{
    flagver_change *change = &batch->changes[batch->count++];
    const void *kept = keep(batch, row, size);

    ck_assert_uint_lt(batch->count, MOST);
    *change = (flagver_change){ .kind = kind, .expect = expect };
    memcpy(&change->row, &kept, sizeof kept);
}

#define ADD(batch, kind, expect, row) \
    add_change(batch, FLAGVER_CHANGE_##kind, expect, &(row), sizeof(row))

/* ---- rows, made of numbers ---- */

static flagver_id id_of(unsigned what, unsigned number)
{
    const uint32_t parts[4] = { what, number, ~number, 7 };
    flagver_id id;

    memcpy(id.bytes, parts, sizeof id.bytes);
    return id;
}

static void fill_hash(uint8_t hash[32], unsigned number)
{
    size_t i;

    for (i = 0; i < 32; i++)
        hash[i] = (uint8_t)(number * 31 + i);
}

static flagver_bytes worded(struct batch *batch, const char *format, unsigned number)
{
    char words[64];

    snprintf(words, sizeof words, format, number);
    return text(keep(batch, words, strlen(words)));
}

static flagver_series_row series_of(struct batch *batch, unsigned number)
{
    return (flagver_series_row){ .id = id_of(1, number),
                                 .tenant = text(batch->tenant),
                                 .phase = text(number % 2 ? "odd" : "even"),
                                 .subject = worded(batch, "subject %06u", number),
                                 .last_no = 1,
                                 .current_no = number % 5 == 0,
                                 .rev = 1,
                                 .changed_at = 1000 + number };
}

static void add_payload(struct batch *batch, flagver_id id, unsigned number)
{
    flagver_payload_row row = { .id = id,
                                .key = number % 7 == 0 ? 3000000000u : 0,
                                .body = worded(batch, "{\"n\":%u}", number) };

    if (number % 7 < 2)
        row.salt = number % 7 ? text("") : text("0123456789abcdef");
    ADD(batch, PAYLOAD, 0, row);
}

static flagver_version_row version_of_series(unsigned number)
{
    flagver_version_row row = { .series = id_of(1, number),
                                .id = id_of(2, number),
                                .no = 1,
                                .state = number % 5 == 0 ? FLAGVER_STATE_RECORDED
                                                         : FLAGVER_STATE_DRAFT,
                                .bits = number % 11 == 0 ? FLAGVER_VERSION_TOMBSTONE : 0,
                                .rev = 1,
                                .created_at = 1000 + number,
                                .created_by = text("alice"),
                                .payload_id = id_of(3, number) };

    if (number % 3)
        row.note = text(number % 3 == 1 ? "" : "a note");
    fill_hash(row.content_hash, number);
    return row;
}

static flagver_item_row item_of(unsigned number, const char *key)
{
    flagver_item_row row = { .series = id_of(1, number),
                             .no = 1,
                             .status = FLAGVER_ITEM_PENDING,
                             .key = text(key),
                             .payload_id = id_of((unsigned)key[0], number) };

    if (number % 3 == 1) {
        row.status = FLAGVER_ITEM_APPROVED;
        row.origin_no = 1;
        row.decided_at = 5000 + number;
        row.decided_by = text("bob");
        row.note = text("fine");
    }
    fill_hash(row.hash, number + 1);
    return row;
}

static void add_item(struct batch *batch, unsigned number, const char *key)
{
    const flagver_item_row row = item_of(number, key);

    add_payload(batch, row.payload_id, number + 1);
    ADD(batch, ITEM, 0, row);
}

static void add_contributor(struct batch *batch, unsigned number, const char *actor)
{
    const flagver_contributor_row row = { id_of(1, number), 1, text(actor) };

    ADD(batch, CONTRIBUTOR, 0, row);
}

static void add_leaf(struct batch *batch, uint64_t no)
{
    flagver_leaf_row row = { .tenant = text(batch->tenant),
                             .no = no,
                             .leaf = worded(batch, "leaf %u", (unsigned)no) };

    fill_hash(row.hash, (unsigned)no);
    ADD(batch, LEAF, 0, row);
}

static void add_node(struct batch *batch, uint32_t level, uint64_t index)
{
    flagver_node_row row = { .tenant = text(batch->tenant), .level = level, .index = index };

    fill_hash(row.hash, level + (unsigned)index);
    ADD(batch, NODE, 0, row);
}

static void add_head(struct batch *batch, uint64_t size)
{
    const flagver_log_row row = { text(batch->tenant), size, text("frontier") };

    ADD(batch, HEAD, 0, row);
}

static void add_keyed(struct batch *batch, int32_t kind, unsigned number, int64_t rev,
                      int64_t expect)
{
    const flagver_keyed_row row = { .tenant = text(batch->tenant),
                                    .space = text("space"),
                                    .key = worded(batch, "key %u", number),
                                    .rev = rev,
                                    .time = 100 + number,
                                    .value = text(number % 2 ? "" : "value") };

    add_change(batch, kind, expect, &row, sizeof row);
}

/* As the library hands over a record: its series, payload and version. */
static void add_record(struct batch *batch, unsigned number)
{
    const flagver_series_row series = series_of(batch, number);
    const flagver_version_row version = version_of_series(number);

    ADD(batch, SERIES, 0, series);
    add_payload(batch, version.payload_id, number);
    ADD(batch, VERSION_NEW, 0, version);
}

static void add_records(struct batch *batch, unsigned first, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        add_record(batch, first + i);
        add_leaf(batch, first + i);
    }
}

/* Its draft is submitted and voted on; the payload of an item is shredded. */
static void add_review(struct batch *batch, unsigned number)
{
    flagver_version_row version = version_of_series(number);
    flagver_vote_row vote = { version.series, 1, text("bob"), { 0 }, 9000, text(NULL) };
    flagver_payload_row gone = { .id = id_of('a', number) };

    version.state = FLAGVER_STATE_SUBMITTED;
    version.submitted_at = 8000;
    version.rev = 2;
    ADD(batch, VERSION_CHANGE, 1, version);
    fill_hash(vote.content_hash, number);
    ADD(batch, VOTE, 0, vote);
    ADD(batch, SHRED, 0, gone);
}

/* The next version of a series that is there. */
static void add_second(struct batch *batch, unsigned number)
{
    flagver_series_row series = series_of(batch, number);
    flagver_version_row version = version_of_series(number);

    series.last_no = 2;
    series.rev = 2;
    ADD(batch, SERIES, 1, series);
    version.no = 2;
    version.parent_no = version.base_no = 1;
    version.id = id_of(4, number);
    version.payload_id = id_of(5, number);
    add_payload(batch, version.payload_id, number);
    ADD(batch, VERSION_NEW, 0, version);
}

/* Changes of all kinds, most of them in long runs of new rows. */
static void add_everything(struct batch *batch, unsigned records)
{
    unsigned i;

    for (i = 0; i < records; i++) {
        const bool draft = i % 5 != 0;

        add_record(batch, i);
        if (draft && i % 3) {
            add_item(batch, i, "a");
            add_item(batch, i, "b");
        }
        if (draft && i % 4 == 1) {
            add_contributor(batch, i, "carol");
            add_contributor(batch, i, "bernard");
        }
        add_leaf(batch, i);
        if (i % 16 == 15)
            add_node(batch, 4, i / 16);
        if (i % 150 == 41) {
            add_review(batch, i);
            add_second(batch, i);
        }
        if (i % 120 == 7) {
            flagver_item_row again = item_of(i, "b");

            again.note = text("again");
            again.hash[0] ^= 1;
            ADD(batch, ITEM, 0, again);
            again.key = text("a");
            ADD(batch, ITEM_DELETE, 0, again);
        }
    }
    for (i = 0; i < 40; i++)
        add_keyed(batch, FLAGVER_CHANGE_KEYED, i, 1, i % 2 ? 0 : FLAGVER_EXPECT_ANY);
    for (i = 0; i < 40; i += 4) {
        add_keyed(batch, FLAGVER_CHANGE_KEYED, i, 2, 1);
        add_keyed(batch, FLAGVER_CHANGE_KEYED_DELETE, i + 1, 0, i % 8 ? 1 : FLAGVER_EXPECT_ANY);
        add_keyed(batch, FLAGVER_CHANGE_KEYED_DELETE, i + 1, 0, 0);
    }
    add_keyed(batch, FLAGVER_CHANGE_KEYED_EXPIRE, 5, 0, FLAGVER_EXPECT_ANY);
    add_head(batch, records);
}

/* ---- handing over ---- */

static flagver_driver_txn *writing_for(const char *tenant)
{
    flagver_driver_txn *txn;

    assert_ok(driver->begin(store, text(tenant), FLAGVER_MODE_WRITE, &txn, &error));
    return txn;
}

/* `at_once` changes in each call. */
static int hand_over(flagver_driver_txn *txn, const struct batch *batch, size_t at_once)
{
    size_t done = 0, part;
    int r = 0;

    memset(&error, 0, sizeof error);
    for (; r == 0 && done < batch->count; done += part) {
        part = batch->count - done < at_once ? batch->count - done : at_once;
        r = driver->apply(txn, batch->changes + done, part, &error);
    }
    return r;
}

static void write_batch(const struct batch *batch, size_t at_once)
{
    flagver_driver_txn *txn = writing_for(batch->tenant);

    assert_ok(hand_over(txn, batch, at_once));
    assert_ok(driver->commit(txn, &error));
}

/* ---- what is there ---- */

static void tell(struct fv_text *out, const char *name, flagver_bytes bytes)
{
    size_t i;

    fv_text_format(out, " %s=%s", name, bytes.data ? "'" : "none");
    for (i = 0; i < bytes.length; i++)
        fv_text_format(out, "%02x", ((const uint8_t *)bytes.data)[i]);
}

static void tell_id(struct fv_text *out, const char *name, const flagver_id *id)
{
    tell(out, name, (flagver_bytes){ id->bytes, sizeof id->bytes });
}

static void tell_hash(struct fv_text *out, const uint8_t hash[32])
{
    tell(out, "hash", (flagver_bytes){ hash, 32 });
}

static void tell_series(struct fv_text *out, const flagver_row *row)
{
    const flagver_series_row *series = &row->as.series;

    tell_id(out, "id", &series->id);
    tell(out, "phase", series->phase);
    tell(out, "subject", series->subject);
    fv_text_format(out, " %u %u %lld %lld", (unsigned)series->last_no, (unsigned)series->current_no,
                   (long long)series->rev, (long long)series->changed_at);
}

static void tell_version(struct fv_text *out, const flagver_row *row)
{
    const flagver_version_row *version = &row->as.version;

    tell_id(out, "series", &version->series);
    tell_id(out, "id", &version->id);
    fv_text_format(out, " %u %u %u %u %u %d %u %lld %lld %lld %lld %lld %u", (unsigned)version->no,
                   (unsigned)version->parent_no, (unsigned)version->base_no,
                   (unsigned)version->reverts_no, (unsigned)version->superseded_by,
                   (int)version->state, (unsigned)version->bits, (long long)version->rev,
                   (long long)version->created_at, (long long)version->submitted_at,
                   (long long)version->decided_at, (long long)version->superseded_at,
                   (unsigned)version->payload_key);
    tell(out, "created_by", version->created_by);
    tell(out, "decided_by", version->decided_by);
    tell(out, "note", version->note);
    tell(out, "payload", version->payload);
    tell(out, "salt", version->payload_salt);
    tell_id(out, "payload_id", &version->payload_id);
    tell_hash(out, version->content_hash);
}

static void tell_item(struct fv_text *out, const flagver_row *row)
{
    const flagver_item_row *item = &row->as.item;

    fv_text_format(out, " %u %d %u %lld %u", (unsigned)item->no, (int)item->status,
                   (unsigned)item->origin_no, (long long)item->decided_at,
                   (unsigned)item->payload_key);
    tell(out, "key", item->key);
    tell(out, "decided_by", item->decided_by);
    tell(out, "note", item->note);
    tell(out, "payload", item->payload);
    tell(out, "salt", item->payload_salt);
    tell_id(out, "payload_id", &item->payload_id);
    tell_hash(out, item->hash);
}

static void tell_vote(struct fv_text *out, const flagver_row *row)
{
    tell(out, "actor", row->as.vote.actor);
    tell(out, "note", row->as.vote.note);
    fv_text_format(out, " %u %lld", (unsigned)row->as.vote.no, (long long)row->as.vote.time);
    tell_hash(out, row->as.vote.content_hash);
}

static void tell_contributor(struct fv_text *out, const flagver_row *row)
{
    tell(out, "actor", row->as.contributor.actor);
    fv_text_format(out, " %u", (unsigned)row->as.contributor.no);
}

static void tell_leaf(struct fv_text *out, const flagver_row *row)
{
    fv_text_format(out, " %llu", (unsigned long long)row->as.leaf.no);
    tell(out, "leaf", row->as.leaf.leaf);
    tell_hash(out, row->as.leaf.hash);
}

static void tell_node(struct fv_text *out, const flagver_row *row)
{
    fv_text_format(out, " %u %llu", (unsigned)row->as.node.level,
                   (unsigned long long)row->as.node.index);
    tell_hash(out, row->as.node.hash);
}

static void tell_log(struct fv_text *out, const flagver_row *row)
{
    fv_text_format(out, " %llu", (unsigned long long)row->as.log.size);
    tell(out, "frontier", row->as.log.frontier);
}

static void tell_keyed(struct fv_text *out, const flagver_row *row)
{
    tell(out, "key", row->as.keyed.key);
    fv_text_format(out, " %lld %lld", (long long)row->as.keyed.rev, (long long)row->as.keyed.time);
    tell(out, "value", row->as.keyed.value);
}

static size_t tell_all(struct fv_text *out, flagver_driver_txn *txn, flagver_query query,
                       void (*tell_row)(struct fv_text *out, const flagver_row *row))
{
    flagver_cursor *cursor;
    flagver_row row;
    size_t found = 0;
    int r;

    assert_ok(driver->scan(txn, &query, &cursor, &error));
    for (; (r = driver->next(cursor, &row, &error)) > 0; found++) {
        fv_text_format(out, "%d:", (int)query.kind);
        tell_row(out, &row);
        fv_text_add(out, "\n");
    }
    ck_assert_msg(r == 0, "%s", error.message);
    driver->end_scan(cursor);
    return found;
}

/* All there is of a tenant whose records have the numbers 0 … records - 1. */
static void tell_tenant(const char *tenant, unsigned records, struct fv_text *out)
{
    flagver_query query = { .payload = 1, .pick = FLAGVER_PICK_ALL, .space = text("space") };
    flagver_driver_txn *txn;
    unsigned i;

    assert_ok(driver->begin(store, text(tenant), FLAGVER_MODE_READ, &txn, &error));
    query.kind = FLAGVER_QUERY_SERIES;
    tell_all(out, txn, query, tell_series);
    query.kind = FLAGVER_QUERY_VERSIONS;
    tell_all(out, txn, query, tell_version);
    query.kind = FLAGVER_QUERY_LEAVES;
    tell_all(out, txn, query, tell_leaf);
    query.kind = FLAGVER_QUERY_KEYED;
    tell_all(out, txn, query, tell_keyed);
    query.kind = FLAGVER_QUERY_LOG;
    tell_all(out, txn, query, tell_log);
    query.kind = FLAGVER_QUERY_NODES;
    query.no = 4;
    tell_all(out, txn, query, tell_node);
    query.no = 0;
    for (i = 0; i < records; i++) {
        query.id = id_of(1, i);
        query.kind = FLAGVER_QUERY_ITEMS;
        tell_all(out, txn, query, tell_item);
        query.kind = FLAGVER_QUERY_VOTES;
        tell_all(out, txn, query, tell_vote);
        query.kind = FLAGVER_QUERY_CONTRIBUTORS;
        tell_all(out, txn, query, tell_contributor);
    }
    driver->rollback(txn);
    ck_assert(!out->failed);
}

static void assert_nothing(void)
{
    ck_assert_str_eq(answer("SELECT (SELECT count(*) FROM flagver.series)"
                            " + (SELECT count(*) FROM flagver.payload)"
                            " + (SELECT count(*) FROM flagver.leaf)"
                            " + (SELECT count(*) FROM flagver.log)"
                            " + (SELECT count(*) FROM flagver.keyed)"),
                     "0");
}

/* ---- which changes are written many at a time ---- */

/*
 * Changes by letters; how many of them are a run. New rows: a series s, a payload p (P: of 1 MB),
 * the version v of this series with this payload, an item i of this version with this payload and
 * a greater key than the item before, a contributor c of this version, the next leaf l, a node n.
 */
static const struct {
    const char *changes;
    size_t run;
} runs[] = {
    { "", 0 },
    { "nnnnnnn", 0 },
    { "nnnnnnnn", 8 },
    { "spvlspvl", 8 },
    { "spvpicllspvn", 12 },
    { "psvpsvpsvpsv", 12 }, /* the series may come after the payload */
    { "ssssppppllll", 12 }, /* versions may be elsewhere */
    { "spvlspvSspvl", 0 },  /* a series that is there */
    { "spvlspvlS", 8 },
    { "spvlspvlAspvl", 8 }, /* one of which nobody knows whether it is there */
    { "nnnnnnnnv", 8 },     /* a version of a series and payload that are not new */
    { "nnnnnnnnpv", 9 },
    { "nnnnnnnnsv", 9 },
    { "spvspvspw", 8 },     /* of the series before this one */
    { "spvspvpsx", 8 },     /* with the payload before this one */
    { "nnnnnnnni", 8 },     /* an item of a version that is not new */
    { "nnnnnnnspvpj", 11 }, /* an item of another version */
    { "nnnnnnspvi", 10 },   /* an item may have the version's payload */
    { "nnnnnnspvpik", 11 }, /* with the key of the item before */
    { "nnnnnspvpipi", 12 },
    { "nnnnnnnnc", 8 },
    { "nnnnnnspvcc", 11 },
    { "nnnnnnspvd", 9 }, /* a contributor of another version */
    { "llllllll", 8 },
    { "llllllllg", 8 }, /* a leaf behind a gap */
    { "nnnnnnnnV", 8 }, /* what changes a row, or may do so, or looks at others */
    { "nnnnnnnnX", 8 },
    { "nnnnnnnnD", 8 },
    { "nnnnnnnno", 8 },
    { "nnnnnnnnh", 8 },
    { "yyyyyyyyz", 8 }, /* new keyed rows, and one that is there */
    { "nnnnnnnny", 9 },
    { "nnnnnnnnZ", 8 },
    { "nnnnnnnnY", 8 },
    { "Snnnnnnnnn", 0 }, /* it begins with the first */
    { "nnnnnnnnPPPPPP", 11 },
    { "PPPPPPPPPPPPPP", 0 }, /* large ones gain nothing */
};

struct letters {
    struct batch *batch;
    unsigned series, payload, leaf, node;
    char key;
};

static void add_version_of(struct letters *letters, unsigned series, unsigned payload)
{
    flagver_version_row row = version_of_series(series);

    row.payload_id = id_of(3, payload);
    letters->key = 'a';
    ADD(letters->batch, VERSION_NEW, 0, row);
}

static void add_item_of(struct letters *letters, unsigned series)
{
    const char key[] = { letters->key++, '\0' };
    flagver_item_row row = item_of(series, keep(letters->batch, key, sizeof key));

    row.payload_id = id_of(3, letters->payload);
    ADD(letters->batch, ITEM, 0, row);
}

static void add_series_as(struct letters *letters, int64_t expect)
{
    const flagver_series_row row = series_of(letters->batch, ++letters->series);

    ADD(letters->batch, SERIES, expect, row);
}

static void add_large_payload(struct letters *letters)
{
    static char body[1 << 20];
    const flagver_payload_row row = { .id = id_of(3, ++letters->payload),
                                      .body = { body, sizeof body } };

    ADD(letters->batch, PAYLOAD, 0, row);
}

static void add_letter(struct letters *letters, char letter)
{
    struct batch *batch = letters->batch;
    const flagver_vote_row vote = { .series = id_of(1, letters->series), .no = 1 };
    const flagver_payload_row gone = { .id = id_of(3, letters->payload) };
    const flagver_item_row item = item_of(letters->series, "a");
    const flagver_version_row version = version_of_series(letters->series);

    switch (letter) {
    case 's':
        add_series_as(letters, 0);
        return;
    case 'S':
        add_series_as(letters, 1);
        return;
    case 'A':
        add_series_as(letters, FLAGVER_EXPECT_ANY);
        return;
    case 'p':
        add_payload(batch, id_of(3, ++letters->payload), 0);
        return;
    case 'P':
        add_large_payload(letters);
        return;
    case 'v':
        add_version_of(letters, letters->series, letters->payload);
        return;
    case 'w':
        add_version_of(letters, letters->series - 1, letters->payload);
        return;
    case 'x':
        add_version_of(letters, letters->series, letters->payload - 1);
        return;
    case 'i':
        add_item_of(letters, letters->series);
        return;
    case 'j':
        add_item_of(letters, letters->series - 1);
        return;
    case 'k':
        letters->key--;
        add_item_of(letters, letters->series);
        return;
    case 'c':
        add_contributor(batch, letters->series, "carol");
        return;
    case 'd':
        add_contributor(batch, letters->series - 1, "carol");
        return;
    case 'g':
        letters->leaf++;
        add_leaf(batch, letters->leaf++);
        return;
    case 'l':
        add_leaf(batch, letters->leaf++);
        return;
    case 'n':
        add_node(batch, 4, letters->node++);
        return;
    case 'h':
        add_head(batch, letters->leaf);
        return;
    case 'V':
        ADD(batch, VERSION_CHANGE, 1, version);
        return;
    case 'X':
        ADD(batch, SHRED, 0, gone);
        return;
    case 'D':
        ADD(batch, ITEM_DELETE, 0, item);
        return;
    case 'o':
        ADD(batch, VOTE, 0, vote);
        return;
    case 'y':
        add_keyed(batch, FLAGVER_CHANGE_KEYED, 1, 1, 0);
        return;
    case 'z':
        add_keyed(batch, FLAGVER_CHANGE_KEYED, 1, 2, 1);
        return;
    case 'Z':
        add_keyed(batch, FLAGVER_CHANGE_KEYED, 1, 1, FLAGVER_EXPECT_ANY);
        return;
    case 'Y':
        add_keyed(batch, FLAGVER_CHANGE_KEYED_DELETE, 1, 1, 0);
        return;
    default:
        ck_abort_msg("no letter: %c", letter);
    }
}

START_TEST(a_run_is_of_new_rows_that_follow_what_they_refer_to)
{
    struct letters letters = { .batch = new_batch("many"), .series = 1, .payload = 1, .key = 'a' };
    const char *letter;
    size_t run;

    for (letter = runs[_i].changes; *letter; letter++)
        add_letter(&letters, *letter);
    run = fv_pg_bulk_count(letters.batch->changes, letters.batch->count);
    ck_assert_msg(run == runs[_i].run, "of \"%s\" the first %zu instead of %zu", runs[_i].changes,
                  run, runs[_i].run);
    free_batch(letters.batch);
}
END_TEST

/* ---- many are as one by one ---- */

#define RECORDS 400u

START_TEST(many_at_once_are_the_same_as_one_by_one)
{
    static const struct {
        const char *tenant;
        size_t at_once;
    } ways[] = { { "one", 1 }, { "few", 37 }, { "flush", 1024 }, { "all", MOST } };
    struct fv_text wanted = FV_TEXT_INIT, got = FV_TEXT_INIT;
    struct batch *batch;
    size_t i;

    for (i = 0; i < sizeof ways / sizeof *ways; i++) {
        batch = new_batch(ways[i].tenant);
        add_everything(batch, RECORDS);
        write_batch(batch, ways[i].at_once);
        free_batch(batch);
        fv_text_reset(&got);
        tell_tenant(ways[i].tenant, RECORDS, i ? &got : &wanted);
        ck_assert_msg(i == 0 || strcmp(got.data, wanted.data) == 0, "%s differs from one by one",
                      ways[i].tenant);
    }
    ck_assert(strstr(wanted.data, "none") != NULL);
    fv_text_clear(&wanted);
    fv_text_clear(&got);
}
END_TEST

START_TEST(a_transaction_sees_the_many_rows_it_has_written)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS, .pick = FLAGVER_PICK_ALL };
    struct batch *batch = new_batch("many");
    flagver_driver_txn *txn = writing_for("many");
    uint64_t size = 0;

    add_records(batch, 0, 1000);
    assert_ok(hand_over(txn, batch, MOST));
    ck_assert_uint_eq(count(txn, &query, NULL), 1000);
    driver->rollback(txn);
    assert_nothing();

    txn = writing_for("many");
    assert_ok(hand_over(txn, batch, 1024));
    assert_ok(driver->lock_log(txn, &size, &error));
    ck_assert_uint_eq(size, 1000);
    assert_ok(driver->commit(txn, &error));
    free_batch(batch);
}
END_TEST

START_TEST(a_long_payload_comes_among_many)
{
    const size_t size = 8u << 20;
    char *body = malloc(size);
    struct batch *batch = new_batch("many");
    flagver_payload_row payload = { .id = id_of(3, 500), .body = { body, size } };
    flagver_series_row series = series_of(batch, 500);
    flagver_version_row version = version_of_series(500);
    flagver_query query = { .kind = FLAGVER_QUERY_VERSION, .id = version.id, .payload = 1 };
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    flagver_row row;
    size_t i;

    ck_assert_ptr_nonnull(body);
    for (i = 0; i < size; i++)
        body[i] = (char)(i * 2654435761u >> 11);
    add_records(batch, 0, 200);
    ADD(batch, SERIES, 0, series);
    ADD(batch, PAYLOAD, 0, payload);
    ADD(batch, VERSION_NEW, 0, version);
    add_records(batch, 200, 200);
    write_batch(batch, MOST);

    assert_ok(driver->begin(store, text("many"), FLAGVER_MODE_READ, &txn, &error));
    assert_ok(driver->scan(txn, &query, &cursor, &error));
    ck_assert_int_eq(driver->next(cursor, &row, &error), 1);
    ck_assert_uint_eq(row.as.version.payload.length, size);
    ck_assert(memcmp(row.as.version.payload.data, body, size) == 0);
    driver->end_scan(cursor);
    driver->rollback(txn);
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver.version"), "401");
    free_batch(batch);
    free(body);
}
END_TEST

/* ---- refusals ---- */

/* In the middle the first row of this kind comes again. */
static struct batch *spoiled(unsigned records, int32_t kind)
{
    struct batch *batch = new_batch("many");
    size_t first = 0, again;

    add_records(batch, 0, records);
    while (batch->changes[first].kind != kind)
        first++;
    again = batch->count / 2;
    while (batch->changes[again].kind != kind)
        again++;
    batch->changes[again] = batch->changes[first];
    return batch;
}

/* With few changes the call says so that brings them, and with many one that follows. */
START_TEST(what_is_refused_among_few_is_refused_at_once)
{
    static const int32_t twice[] = { FLAGVER_CHANGE_SERIES, FLAGVER_CHANGE_PAYLOAD };
    struct batch *batch = spoiled(50, twice[_i]);
    flagver_driver_txn *txn = writing_for("many");

    assert_fails(FLAGVER_ECONFLICT, hand_over(txn, batch, MOST));
    assert_words("is there already");
    ck_assert_str_eq(error.sqlstate, "23505");
    assert_fails(FLAGVER_EINVAL, hand_over(txn, batch, MOST));
    assert_fails(FLAGVER_EINVAL, driver->commit(txn, &error));
    assert_nothing();
    free_batch(batch);
}
END_TEST

START_TEST(what_is_refused_among_many_is_told_by_all_that_follows)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    struct batch *batch = spoiled(400, FLAGVER_CHANGE_SERIES), *next = new_batch("many");
    flagver_driver_txn *txn = writing_for("many");
    flagver_cursor *cursor;
    uint64_t size;

    add_keyed(next, FLAGVER_CHANGE_KEYED, 1, 1, 0);
    assert_ok(hand_over(txn, batch, MOST));
    assert_fails(FLAGVER_EBUSY, driver->lock_log(txn, &size, &error));
    assert_words("series is there already");
    assert_fails(FLAGVER_EBUSY, driver->scan(txn, &query, &cursor, &error));
    assert_fails(FLAGVER_EBUSY, hand_over(txn, next, MOST));
    assert_fails(FLAGVER_EBUSY, driver->commit(txn, &error));
    assert_nothing();

    txn = writing_for("many");
    assert_ok(hand_over(txn, batch, MOST));
    assert_fails(FLAGVER_EBUSY, driver->commit(txn, &error));
    txn = writing_for("many");
    assert_ok(hand_over(txn, batch, MOST));
    driver->rollback(txn);
    assert_nothing();
    free_batch(batch);
    free_batch(next);
}
END_TEST

START_TEST(a_rule_that_is_broken_among_many_is_said_in_its_words)
{
    struct batch *batch = new_batch("many");
    flagver_driver_txn *txn = writing_for("many");
    flagver_version_row version = version_of_series(7);

    add_records(batch, 0, 40);
    version.state = FLAGVER_STATE_APPROVED;
    batch->changes[4 * 7 + 2].row.version = keep(batch, &version, sizeof version);
    assert_fails(FLAGVER_ECORRUPT, hand_over(txn, batch, MOST));
    assert_words("one of 40 versions");
    driver->rollback(txn);

    add_records(batch, 40, 400);
    txn = writing_for("many");
    assert_ok(hand_over(txn, batch, MOST));
    assert_fails(FLAGVER_ECORRUPT, driver->commit(txn, &error));
    assert_words("versions");
    assert_nothing();
    free_batch(batch);
}
END_TEST

START_TEST(leaves_among_many_are_dense)
{
    struct batch *batch = new_batch("many");
    flagver_driver_txn *txn = writing_for("many");
    uint64_t no;

    for (no = 1; no <= 40; no++)
        add_leaf(batch, no);
    assert_fails(FLAGVER_ECORRUPT, hand_over(txn, batch, MOST));
    assert_words("one of 40 leaves");
    driver->rollback(txn);
    batch->count = 0;
    for (no = 0; no < 40; no++)
        add_leaf(batch, no < 20 ? no : no + 1);
    txn = writing_for("many");
    assert_fails(FLAGVER_ECORRUPT, hand_over(txn, batch, MOST));
    driver->rollback(txn);
    assert_nothing();
    free_batch(batch);
}
END_TEST

START_TEST(a_row_of_another_tenant_among_many_is_a_mistake)
{
    struct batch *batch = new_batch("many"), *other = new_batch("other");
    flagver_driver_txn *txn = writing_for("many");

    add_records(batch, 0, 200);
    add_records(other, 0, 1);
    batch->changes[400] = other->changes[0];
    assert_fails(FLAGVER_EINVAL, hand_over(txn, batch, MOST));
    assert_words("a row of tenant \"other\"");
    driver->rollback(txn);
    assert_nothing();
    free_batch(batch);
    free_batch(other);
}
END_TEST

START_TEST(a_server_that_ends_while_it_is_busy_has_committed_nothing)
{
    struct batch *batch = new_batch("many");
    flagver_driver_txn *txn = writing_for("many");
    char statement[80];

    add_records(batch, 0, 1000);
    assert_ok(hand_over(txn, batch, MOST));
    snprintf(statement, sizeof statement, "SELECT pg_terminate_backend(%d, 10000)",
             PQbackendPID(txn->conn->pq));
    ck_assert_str_eq(answer(statement), "t");
    assert_fails(FLAGVER_EUNAVAILABLE, driver->commit(txn, &error));
    assert_nothing();
    write_batch(batch, MOST); /* on another connection */
    ck_assert_str_eq(answer("SELECT size FROM flagver.log"), "1000");
    free_batch(batch);
}
END_TEST

START_TEST(an_applications_transaction_knows_at_once_and_goes_on)
{
    struct batch *batch = spoiled(400, FLAGVER_CHANGE_PAYLOAD);
    PGconn *application = connect_as(ROLE);
    const flagver_adoption adoption = { .connection = application,
                                        .library = PQresStatus(PGRES_COMMAND_OK),
                                        .version = PQlibVersion() };
    flagver_driver_txn *txn;

    assert_run(application, "BEGIN");
    assert_ok(driver->adopt(store, text("many"), &adoption, &txn, &error));
    assert_fails(FLAGVER_ECONFLICT, hand_over(txn, batch, MOST));
    free_batch(batch);
    batch = new_batch("many");
    add_records(batch, 0, 400);
    assert_ok(hand_over(txn, batch, MOST));
    assert_ok(driver->commit(txn, &error));
    assert_run(application, "COMMIT");
    PQfinish(application);
    ck_assert_str_eq(answer("SELECT count(*) FROM flagver.version"), "400");
    free_batch(batch);
}
END_TEST

/* ---- how they are written ---- */

/*
 * A plan for tables that were empty when they were looked at last must not go through all names
 * to find a series by its id: that would be rows by rows. Those that are read are counted.
 */
START_TEST(what_was_empty_is_not_read_from_end_to_end_when_it_grows)
{
    struct batch *batch = new_batch("many");
    flagver_driver_txn *txn;
    char statement[80];
    int pid;

    sql("VACUUM ANALYZE flagver.series");
    sql("VACUUM ANALYZE flagver.version");
    sql("VACUUM ANALYZE flagver.payload");
    add_records(batch, 0, 2000);
    txn = writing_for("many");
    pid = PQbackendPID(txn->conn->pq);
    assert_ok(hand_over(txn, batch, 100));
    assert_ok(driver->commit(txn, &error));
    snprintf(statement, sizeof statement, "SELECT pg_terminate_backend(%d, 10000)", pid);
    ck_assert_str_eq(answer(statement), "t"); /* it tells what it has counted */
    ck_assert_str_eq(answer("SELECT sum(idx_tup_read) < 20000 FROM pg_stat_user_indexes"
                            " WHERE schemaname = 'flagver'"),
                     "t");
    ck_assert_str_eq(answer("SELECT sum(seq_tup_read) < 20000 FROM pg_stat_user_tables"
                            " WHERE schemaname = 'flagver'"),
                     "t");
    free_batch(batch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("postgres bulk");
    TCase *tcase;
    int r;

    tcase = tcase_create("which changes");
    tcase_add_loop_test(tcase, a_run_is_of_new_rows_that_follow_what_they_refer_to, 0,
                        (int)(sizeof runs / sizeof *runs));
    suite_add_tcase(suite, tcase);

    tcase = tcase_create("writing");
    tcase_set_tags(tcase, "postgres");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, many_at_once_are_the_same_as_one_by_one);
    tcase_add_test(tcase, a_transaction_sees_the_many_rows_it_has_written);
    tcase_add_test(tcase, a_long_payload_comes_among_many);
    tcase_add_loop_test(tcase, what_is_refused_among_few_is_refused_at_once, 0, 2);
    tcase_add_test(tcase, what_is_refused_among_many_is_told_by_all_that_follows);
    tcase_add_test(tcase, a_rule_that_is_broken_among_many_is_said_in_its_words);
    tcase_add_test(tcase, leaves_among_many_are_dense);
    tcase_add_test(tcase, a_row_of_another_tenant_among_many_is_a_mistake);
    tcase_add_test(tcase, a_server_that_ends_while_it_is_busy_has_committed_nothing);
    tcase_add_test(tcase, an_applications_transaction_knows_at_once_and_goes_on);
    tcase_add_test(tcase, what_was_empty_is_not_read_from_end_to_end_when_it_grows);
    suite_add_tcase(suite, tcase);

    prepare_cluster();
    r = run_suite(suite);
    clean_cluster();
    return r;
}
