#define _POSIX_C_SOURCE 200809L /* fork() */
#include "fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

struct conform conform;
flagver_error conform_error;

void conform_check_words(int code, const char *call)
{
    ck_assert_msg(conform_error.code == code, "%s returned %d and left the code %d", call, code,
                  (int)conform_error.code);
    ck_assert_msg(conform_error.message[0], "%s failed without words", call);
}

/* ---- stores and transactions ---- */

static int make_schema(flagver_driver_config config)
{
    flagver_store *store;
    int r;

    config.no_upgrade = 1;
    r = conform.driver->open(&config, &store, &conform_error);
    if (r < 0)
        return r;
    r = conform.driver->schema_migrate(store, FLAGVER_SCHEMA_VERSION, &conform_error);
    conform.driver->close(store);
    return r;
}

int conform_try_open(const flagver_driver_config *config, flagver_store **ret_store)
{
    int r = conform.driver->open(config, ret_store, &conform_error);

    if (r != FLAGVER_ESCHEMA || conform.driver->capabilities & FLAGVER_DRIVER_SELF_UPGRADE)
        return r;
    r = make_schema(*config);
    return r < 0 ? r : conform.driver->open(config, ret_store, &conform_error);
}

flagver_store *conform_open(int32_t wait_ms)
{
    flagver_driver_config config = { .size = sizeof config,
                                     .path = conform.path,
                                     .wait_ms = wait_ms };
    flagver_store *store = NULL;

    assert_ok(conform_try_open(&config, &store));
    ck_assert_msg(store != NULL, "open succeeded without a store");
    return store;
}

void conform_close(flagver_store *store)
{
    conform.driver->close(store);
}

flagver_driver_txn *conform_begin(flagver_store *store, const char *tenant, int mode)
{
    flagver_driver_txn *txn = NULL;

    assert_ok(conform.driver->begin(store, conform_text(tenant), mode, &txn, &conform_error));
    ck_assert_msg(txn != NULL, "begin succeeded without a transaction");
    return txn;
}

flagver_driver_txn *conform_write(void)
{
    return conform_begin(conform.store, TENANT, FLAGVER_MODE_WRITE);
}

flagver_driver_txn *conform_read(void)
{
    return conform_begin(conform.store, TENANT, FLAGVER_MODE_READ);
}

void conform_commit(flagver_driver_txn *txn)
{
    assert_ok(conform.driver->commit(txn, &conform_error));
}

void conform_rollback(flagver_driver_txn *txn)
{
    conform.driver->rollback(txn);
}

/* ---- rows ---- */

flagver_bytes conform_text(const char *text)
{
    return (flagver_bytes){ text, text ? strlen(text) : 0 };
}

bool conform_same(flagver_bytes a, flagver_bytes b)
{
    return !a.data == !b.data && a.length == b.length &&
           (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

flagver_id conform_id(unsigned number)
{
    flagver_id id = { { 0x01, 0x95, 0 } };
    size_t i;

    /* No byte is special: there are zeros in it, and some above 127. */
    for (i = 0; i < 4; i++)
        id.bytes[15 - i] = (uint8_t)(number >> 8 * i);
    id.bytes[8] = 0xb7;
    return id;
}

flagver_series_row conform_series(unsigned number, const char *phase, const char *subject)
{
    return (flagver_series_row){ .id = conform_id(number),
                                 .tenant = conform_text(TENANT),
                                 .phase = conform_text(phase),
                                 .subject = conform_text(subject),
                                 .rev = 1,
                                 .changed_at = 1 };
}

static flagver_id part_of(flagver_id id, uint32_t no, uint8_t what)
{
    id.bytes[2] = what;
    id.bytes[4] = (uint8_t)(no >> 24);
    id.bytes[5] = (uint8_t)(no >> 16);
    id.bytes[6] = (uint8_t)(no >> 8);
    id.bytes[7] = (uint8_t)no;
    return id;
}

/* What belongs to a state; the rest stays as it is. */
static void set_state(flagver_version_row *version, int32_t state)
{
    bool decided = state == FLAGVER_STATE_APPROVED || state == FLAGVER_STATE_SUPERSEDED ||
                   state == FLAGVER_STATE_REJECTED;
    int64_t time = version->created_at;

    version->state = state;
    version->submitted_at = state == FLAGVER_STATE_SUBMITTED || decided ? time + 100 : 0;
    version->decided_at = decided ? time + 200 : 0;
    version->decided_by = conform_text(decided ? "reviewer" : NULL);
    version->superseded_at = state == FLAGVER_STATE_SUPERSEDED ? time + 300 : 0;
    version->superseded_by = state == FLAGVER_STATE_SUPERSEDED ? version->no + 1 : 0;
}

flagver_version_row conform_version(const flagver_series_row *series, uint32_t no, int32_t state)
{
    flagver_version_row version = { .series = series->id,
                                    .id = part_of(series->id, no, 1),
                                    .payload_id = part_of(series->id, no, 2),
                                    .no = no,
                                    .parent_no = no - 1,
                                    .base_no = series->current_no < no ? series->current_no : 0,
                                    .rev = 1,
                                    .created_at = 1000 * (int64_t)no,
                                    .created_by = conform_text("author") };

    memset(version.content_hash, 0xa0 + (int)(no & 15), sizeof version.content_hash);
    version.content_hash[31] = 0;
    set_state(&version, state);
    return version;
}

flagver_payload_row conform_payload(const flagver_version_row *version, const char *body)
{
    return (flagver_payload_row){ .id = version->payload_id, .body = conform_text(body) };
}

flagver_item_row conform_item(const flagver_version_row *version, const char *key)
{
    flagver_item_row item = { .series = version->series,
                              .no = version->no,
                              .key = conform_text(key),
                              .payload_id = part_of(version->series, version->no, 3) };
    size_t i;

    /* Any sum that differs for the keys of one test will do. */
    for (i = 0; i < item.key.length; i++) {
        item.payload_id.bytes[8 + i % 8] = (uint8_t)(item.payload_id.bytes[8 + i % 8] * 31 +
                                                     key[i]);
        item.hash[i % 31] ^= (uint8_t)key[i];
    }
    return item;
}

flagver_item_row conform_decided(flagver_item_row item, int32_t status)
{
    bool done = status != FLAGVER_ITEM_PENDING;

    item.status = status;
    item.decided_at = done ? 1234567890123456 : 0;
    item.decided_by = conform_text(done ? "reviewer" : NULL);
    item.origin_no = status == FLAGVER_ITEM_APPROVED ? item.no : 0;
    return item;
}

flagver_vote_row conform_vote(const flagver_version_row *version, const char *actor)
{
    flagver_vote_row vote = { .series = version->series,
                              .no = version->no,
                              .actor = conform_text(actor),
                              .time = version->created_at + 150 };

    memcpy(vote.content_hash, version->content_hash, sizeof vote.content_hash);
    return vote;
}

flagver_contributor_row conform_contributor(const flagver_version_row *version, const char *actor)
{
    return (flagver_contributor_row){ .series = version->series,
                                      .no = version->no,
                                      .actor = conform_text(actor) };
}

flagver_leaf_row conform_leaf(uint64_t no, const char *leaf)
{
    flagver_leaf_row row = { .tenant = conform_text(TENANT), .no = no, .leaf = conform_text(leaf) };

    memset(row.hash, 0xf0 - (int)(no & 15), sizeof row.hash);
    return row;
}

flagver_node_row conform_node(uint32_t level, uint64_t index)
{
    flagver_node_row row = { .tenant = conform_text(TENANT), .level = level, .index = index };

    memset(row.hash, 0xd0 - (int)(index & 15), sizeof row.hash);
    row.hash[level & 31] = 0;
    return row;
}

flagver_log_row conform_head(uint64_t size, const char *frontier)
{
    return (flagver_log_row){ .tenant = conform_text(TENANT),
                              .size = size,
                              .frontier = conform_text(frontier) };
}

flagver_keyed_row conform_keyed(const char *space, const char *key, int64_t rev, const char *value)
{
    return (flagver_keyed_row){ .tenant = conform_text(TENANT),
                                .space = conform_text(space),
                                .key = conform_text(key),
                                .rev = rev,
                                .time = 1000,
                                .value = conform_text(value) };
}

/* ---- changes ---- */

static flagver_change *add(struct conform_batch *batch, int32_t kind, int64_t expect)
{
    flagver_change *change = &batch->changes[batch->count];

    ck_assert_msg(batch->count < CONFORM_BATCH, "a test has more than %d changes", CONFORM_BATCH);
    memset(change, 0, sizeof *change);
    change->kind = kind;
    change->expect = expect;
    batch->count++;
    return change;
}

void conform_add_series(struct conform_batch *batch, flagver_series_row row, int64_t expect)
{
    flagver_series_row *kept = &batch->rows[batch->count].series;

    *kept = row;
    add(batch, FLAGVER_CHANGE_SERIES, expect)->row.series = kept;
}

void conform_add_payload(struct conform_batch *batch, flagver_payload_row row)
{
    flagver_payload_row *kept = &batch->rows[batch->count].payload;

    *kept = row;
    add(batch, FLAGVER_CHANGE_PAYLOAD, 0)->row.payload = kept;
}

void conform_add_version(struct conform_batch *batch, int32_t kind, flagver_version_row row,
                         int64_t expect)
{
    flagver_version_row *kept = &batch->rows[batch->count].version;

    *kept = row;
    add(batch, kind, expect)->row.version = kept;
}

void conform_shred(struct conform_batch *batch, flagver_id payload_id)
{
    flagver_payload_row *kept = &batch->rows[batch->count].payload;

    /* Of which nothing but the id is looked at. */
    *kept = (flagver_payload_row){ .id = payload_id,
                                   .key = 99,
                                   .salt = conform_text("salt"),
                                   .body = conform_text("not shredded") };
    add(batch, FLAGVER_CHANGE_SHRED, 0)->row.payload = kept;
}

void conform_add_item(struct conform_batch *batch, int32_t kind, flagver_item_row row)
{
    flagver_item_row *kept = &batch->rows[batch->count].item;

    *kept = row;
    add(batch, kind, 0)->row.item = kept;
}

void conform_add_new_item(struct conform_batch *batch, flagver_item_row row, const char *body)
{
    conform_add_payload(batch,
                        (flagver_payload_row){ .id = row.payload_id, .body = conform_text(body) });
    conform_add_item(batch, FLAGVER_CHANGE_ITEM, row);
}

void conform_add_vote(struct conform_batch *batch, flagver_vote_row row)
{
    flagver_vote_row *kept = &batch->rows[batch->count].vote;

    *kept = row;
    add(batch, FLAGVER_CHANGE_VOTE, 0)->row.vote = kept;
}

void conform_add_contributor(struct conform_batch *batch, flagver_contributor_row row)
{
    flagver_contributor_row *kept = &batch->rows[batch->count].contributor;

    *kept = row;
    add(batch, FLAGVER_CHANGE_CONTRIBUTOR, 0)->row.contributor = kept;
}

void conform_add_leaf(struct conform_batch *batch, flagver_leaf_row row)
{
    flagver_leaf_row *kept = &batch->rows[batch->count].leaf;

    *kept = row;
    add(batch, FLAGVER_CHANGE_LEAF, 0)->row.leaf = kept;
}

void conform_add_node(struct conform_batch *batch, flagver_node_row row)
{
    flagver_node_row *kept = &batch->rows[batch->count].node;

    *kept = row;
    add(batch, FLAGVER_CHANGE_NODE, 0)->row.node = kept;
}

void conform_add_head(struct conform_batch *batch, flagver_log_row row)
{
    flagver_log_row *kept = &batch->rows[batch->count].head;

    *kept = row;
    add(batch, FLAGVER_CHANGE_HEAD, 0)->row.head = kept;
}

void conform_add_keyed(struct conform_batch *batch, int32_t kind, flagver_keyed_row row,
                       int64_t expect)
{
    flagver_keyed_row *kept = &batch->rows[batch->count].keyed;

    *kept = row;
    add(batch, kind, expect)->row.keyed = kept;
}

int conform_apply(flagver_driver_txn *txn, struct conform_batch *batch)
{
    size_t count = batch->count;

    batch->count = 0;
    return conform.driver->apply(txn, batch->changes, count, &conform_error);
}

void conform_commit_batch(struct conform_batch *batch)
{
    flagver_driver_txn *txn = conform_write();

    assert_ok(conform_apply(txn, batch));
    conform_commit(txn);
}

void conform_refuse(struct conform_batch *batch, const char *what)
{
    flagver_driver_txn *txn = conform_write();

    assert_refused(conform_apply(txn, batch), what);
    conform_rollback(txn);
}

static void allow(struct conform_batch *batch, const char *what)
{
    flagver_driver_txn *txn = conform_write();
    int r = conform_apply(txn, batch);

    ck_assert_msg(r == 0, "%s was refused: %d, %s", what, r, conform_error.message);
    conform_rollback(txn);
}

void conform_check_allowed(struct conform_batch *batch, bool fine, const char *what)
{
    if (fine)
        allow(batch, what);
    else
        conform_refuse(batch, what);
}

flagver_version_row conform_next_version(flagver_driver_txn *txn, flagver_series_row *series,
                                         int32_t state, const char *body)
{
    struct conform_batch batch = { .count = 0 };
    bool fresh = series->last_no == 0;
    flagver_version_row version;

    version = conform_version(series, series->last_no + 1, state);
    series->last_no = version.no;
    if (state == FLAGVER_STATE_RECORDED)
        series->current_no = version.no;
    series->changed_at = version.created_at;
    series->rev += !fresh;
    conform_add_series(&batch, *series, fresh ? 0 : series->rev - 1);
    conform_add_payload(&batch, conform_payload(&version, body));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    assert_ok(conform_apply(txn, &batch));
    return version;
}

int conform_move(flagver_driver_txn *txn, flagver_version_row *version, int32_t state,
                 uint32_t superseded_by)
{
    struct conform_batch batch = { .count = 0 };
    flagver_version_row row = *version;
    int r;

    set_state(&row, state);
    row.superseded_by = superseded_by;
    row.rev++;
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, row, version->rev);
    r = conform_apply(txn, &batch);
    if (r == 0)
        *version = row;
    return r;
}

void conform_approve(flagver_driver_txn *txn, flagver_series_row *series,
                     flagver_version_row *current, flagver_version_row *next)
{
    struct conform_batch batch = { .count = 0 };

    set_state(next, FLAGVER_STATE_APPROVED);
    next->rev++;
    if (current) {
        current->state = FLAGVER_STATE_SUPERSEDED;
        current->superseded_by = next->no;
        current->superseded_at = next->decided_at;
        current->rev++;
        conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, *current, current->rev - 1);
    }
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_CHANGE, *next, next->rev - 1);
    series->current_no = next->no;
    series->changed_at = next->decided_at > series->changed_at ? next->decided_at
                                                               : series->changed_at;
    series->rev++;
    conform_add_series(&batch, *series, series->rev - 1);
    assert_ok(conform_apply(txn, &batch));
}

flagver_series_row conform_draft(unsigned number, const char *phase, const char *subject,
                                 flagver_version_row *ret_version)
{
    flagver_series_row series = conform_series(number, phase, subject);
    flagver_driver_txn *txn = conform_write();

    *ret_version = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "{}");
    conform_commit(txn);
    return series;
}

/* ---- reading ---- */

static void keep(struct conform_rows *rows, flagver_bytes *bytes)
{
    void *copy;

    if (!bytes->data)
        return;
    /* Memory of exactly this size, so that tools notice who reads beyond it. */
    copy = malloc(bytes->length ? bytes->length : 1);
    rows->blocks = realloc(rows->blocks, (rows->block_count + 1) * sizeof *rows->blocks);
    ck_assert_ptr_nonnull(copy);
    ck_assert_ptr_nonnull(rows->blocks);
    if (bytes->length)
        memcpy(copy, bytes->data, bytes->length);
    rows->blocks[rows->block_count++] = copy;
    bytes->data = copy;
}

static void keep_version(struct conform_rows *rows, flagver_version_row *row)
{
    keep(rows, &row->tenant);
    keep(rows, &row->phase);
    keep(rows, &row->subject);
    keep(rows, &row->created_by);
    keep(rows, &row->decided_by);
    keep(rows, &row->note);
    keep(rows, &row->payload);
    keep(rows, &row->payload_salt);
}

static void keep_row(struct conform_rows *rows, int32_t kind, flagver_row *row)
{
    switch (kind) {
    case FLAGVER_QUERY_SERIES:
        keep(rows, &row->as.series.tenant);
        keep(rows, &row->as.series.phase);
        keep(rows, &row->as.series.subject);
        break;
    case FLAGVER_QUERY_LEAVES:
        keep(rows, &row->as.leaf.tenant);
        keep(rows, &row->as.leaf.leaf);
        break;
    case FLAGVER_QUERY_KEYED:
        keep(rows, &row->as.keyed.tenant);
        keep(rows, &row->as.keyed.space);
        keep(rows, &row->as.keyed.key);
        keep(rows, &row->as.keyed.value);
        break;
    case FLAGVER_QUERY_TENANTS:
        keep(rows, &row->as.tenant);
        break;
    case FLAGVER_QUERY_ITEMS:
        keep(rows, &row->as.item.key);
        keep(rows, &row->as.item.decided_by);
        keep(rows, &row->as.item.note);
        keep(rows, &row->as.item.payload);
        keep(rows, &row->as.item.payload_salt);
        break;
    case FLAGVER_QUERY_VOTES:
        keep(rows, &row->as.vote.actor);
        keep(rows, &row->as.vote.note);
        break;
    case FLAGVER_QUERY_CONTRIBUTORS:
        keep(rows, &row->as.contributor.actor);
        break;
    case FLAGVER_QUERY_NODES:
        keep(rows, &row->as.node.tenant);
        break;
    case FLAGVER_QUERY_LOG:
        keep(rows, &row->as.log.tenant);
        keep(rows, &row->as.log.frontier);
        break;
    default:
        keep_version(rows, &row->as.version);
        break;
    }
}

void conform_scan(flagver_driver_txn *txn, const flagver_query *query,
                  struct conform_rows *ret_rows)
{
    flagver_cursor *cursor = NULL;
    flagver_row row;
    int r;

    memset(ret_rows, 0, sizeof *ret_rows);
    assert_ok(conform.driver->scan(txn, query, &cursor, &conform_error));
    for (;;) {
        memset(&row, 0xee, sizeof row);
        r = conform.driver->next(cursor, &row, &conform_error);
        if (r != 1)
            break;
        ret_rows->rows = realloc(ret_rows->rows, (ret_rows->count + 1) * sizeof row);
        ck_assert_ptr_nonnull(ret_rows->rows);
        keep_row(ret_rows, query->kind, &row);
        ret_rows->rows[ret_rows->count++] = row;
    }
    ck_assert_msg(r == 0, "next returned %d: %s", r, conform_error.message);
    conform.driver->end_scan(cursor);
}

void conform_free(struct conform_rows *rows)
{
    while (rows->block_count)
        free(rows->blocks[--rows->block_count]);
    free(rows->blocks);
    free(rows->rows);
    memset(rows, 0, sizeof *rows);
}

size_t conform_count(flagver_driver_txn *txn, const flagver_query *query)
{
    struct conform_rows rows;
    size_t count;

    conform_scan(txn, query, &rows);
    count = rows.count;
    conform_free(&rows);
    return count;
}

void conform_one(flagver_driver_txn *txn, const flagver_query *query, struct conform_rows *ret_rows)
{
    conform_scan(txn, query, ret_rows);
    ck_assert_msg(ret_rows->count == 1, "%zu rows were found instead of one", ret_rows->count);
}

flagver_query conform_all_versions(void)
{
    return (
        flagver_query){ .kind = FLAGVER_QUERY_VERSIONS, .pick = FLAGVER_PICK_ALL, .payload = 1 };
}

flagver_query conform_versions_of(const flagver_series_row *series)
{
    flagver_query query = conform_all_versions();

    query.phase = series->phase;
    query.subject = series->subject;
    return query;
}

flagver_query conform_all_series(void)
{
    return (flagver_query){ .kind = FLAGVER_QUERY_SERIES };
}

flagver_query conform_all_leaves(void)
{
    return (flagver_query){ .kind = FLAGVER_QUERY_LEAVES };
}

flagver_query conform_keyed_of(const char *space, const char *key)
{
    return (flagver_query){ .kind = FLAGVER_QUERY_KEYED,
                            .space = conform_text(space),
                            .subject = conform_text(key) };
}

flagver_query conform_parts_of(int32_t kind, const flagver_version_row *version, uint32_t no)
{
    return (flagver_query){
        .kind = kind, .id = version->series, .no = no, .payload = kind == FLAGVER_QUERY_ITEMS
    };
}

/* ---- comparing ---- */

static void check_bytes(flagver_bytes got, flagver_bytes wanted, const char *what)
{
    ck_assert_msg(conform_same(got, wanted),
                  "%s is %s, %zu bytes \"%.*s\", instead of %s, %zu "
                  "bytes \"%.*s\"",
                  what, got.data ? "there" : "none", got.length,
                  (int)(got.length < 80 ? got.length : 80), got.data ? (const char *)got.data : "",
                  wanted.data ? "there" : "none", wanted.length,
                  (int)(wanted.length < 80 ? wanted.length : 80),
                  wanted.data ? (const char *)wanted.data : "");
}

static void check_number(int64_t got, int64_t wanted, const char *what)
{
    ck_assert_msg(got == wanted, "%s is %lld instead of %lld", what, (long long)got,
                  (long long)wanted);
}

void conform_check_series(const flagver_series_row *got, const flagver_series_row *wanted)
{
    ck_assert_msg(memcmp(&got->id, &wanted->id, sizeof got->id) == 0, "another series.id");
    check_bytes(got->tenant, wanted->tenant, "series.tenant");
    check_bytes(got->phase, wanted->phase, "series.phase");
    check_bytes(got->subject, wanted->subject, "series.subject");
    check_number(got->last_no, wanted->last_no, "series.last_no");
    check_number(got->current_no, wanted->current_no, "series.current_no");
    check_number(got->rev, wanted->rev, "series.rev");
    check_number(got->changed_at, wanted->changed_at, "series.changed_at");
}

void conform_check_version(const flagver_version_row *got, const flagver_version_row *wanted,
                           const flagver_series_row *series)
{
    ck_assert_msg(memcmp(&got->series, &wanted->series, sizeof got->series) == 0,
                  "another version.series");
    ck_assert_msg(memcmp(&got->id, &wanted->id, sizeof got->id) == 0, "another version.id");
    ck_assert_msg(memcmp(&got->payload_id, &wanted->payload_id, sizeof got->payload_id) == 0,
                  "another version.payload_id");
    ck_assert_msg(memcmp(got->content_hash, wanted->content_hash, sizeof got->content_hash) == 0,
                  "another version.content_hash");
    check_number(got->no, wanted->no, "version.no");
    check_number(got->parent_no, wanted->parent_no, "version.parent_no");
    check_number(got->base_no, wanted->base_no, "version.base_no");
    check_number(got->reverts_no, wanted->reverts_no, "version.reverts_no");
    check_number(got->superseded_by, wanted->superseded_by, "version.superseded_by");
    check_number(got->state, wanted->state, "version.state");
    check_number(got->bits, wanted->bits, "version.bits");
    check_number(got->rev, wanted->rev, "version.rev");
    check_number(got->created_at, wanted->created_at, "version.created_at");
    check_number(got->submitted_at, wanted->submitted_at, "version.submitted_at");
    check_number(got->decided_at, wanted->decided_at, "version.decided_at");
    check_number(got->superseded_at, wanted->superseded_at, "version.superseded_at");
    check_bytes(got->created_by, wanted->created_by, "version.created_by");
    check_bytes(got->decided_by, wanted->decided_by, "version.decided_by");
    check_bytes(got->note, wanted->note, "version.note");
    check_bytes(got->tenant, series->tenant, "version.tenant");
    check_bytes(got->phase, series->phase, "version.phase");
    check_bytes(got->subject, series->subject, "version.subject");
}

void conform_check_item(const flagver_item_row *got, const flagver_item_row *wanted)
{
    ck_assert_msg(memcmp(&got->series, &wanted->series, sizeof got->series) == 0,
                  "another item.series");
    ck_assert_msg(memcmp(&got->payload_id, &wanted->payload_id, sizeof got->payload_id) == 0,
                  "another item.payload_id");
    ck_assert_msg(memcmp(got->hash, wanted->hash, sizeof got->hash) == 0, "another item.hash");
    check_number(got->no, wanted->no, "item.no");
    check_number(got->status, wanted->status, "item.status");
    check_number(got->origin_no, wanted->origin_no, "item.origin_no");
    check_number(got->decided_at, wanted->decided_at, "item.decided_at");
    check_bytes(got->key, wanted->key, "item.key");
    check_bytes(got->decided_by, wanted->decided_by, "item.decided_by");
    check_bytes(got->note, wanted->note, "item.note");
}

void conform_check_vote(const flagver_vote_row *got, const flagver_vote_row *wanted)
{
    ck_assert_msg(memcmp(&got->series, &wanted->series, sizeof got->series) == 0,
                  "another vote.series");
    ck_assert_msg(memcmp(got->content_hash, wanted->content_hash, sizeof got->content_hash) == 0,
                  "another vote.content_hash");
    check_number(got->no, wanted->no, "vote.no");
    check_number(got->time, wanted->time, "vote.time");
    check_bytes(got->actor, wanted->actor, "vote.actor");
    check_bytes(got->note, wanted->note, "vote.note");
}

void conform_check_log(flagver_driver_txn *txn, uint64_t size, const char *frontier)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    struct conform_rows rows;

    conform_one(txn, &query, &rows);
    check_bytes(rows.rows[0].as.log.tenant, conform_text(TENANT), "log.tenant");
    check_bytes(rows.rows[0].as.log.frontier, conform_text(frontier), "log.frontier");
    check_number((int64_t)rows.rows[0].as.log.size, (int64_t)size, "log.size");
    conform_free(&rows);
}

void conform_check_keyed(const flagver_keyed_row *got, const flagver_keyed_row *wanted)
{
    check_bytes(got->tenant, wanted->tenant, "keyed.tenant");
    check_bytes(got->space, wanted->space, "keyed.space");
    check_bytes(got->key, wanted->key, "keyed.key");
    check_bytes(got->value, wanted->value, "keyed.value");
    check_number(got->rev, wanted->rev, "keyed.rev");
    check_number(got->time, wanted->time, "keyed.time");
}

void conform_check_empty(flagver_store *store)
{
    const flagver_query versions = conform_all_versions(), series = conform_all_series(),
                        leaves = conform_all_leaves(), space = conform_keyed_of("space", NULL),
                        requests = conform_keyed_of("request", NULL),
                        tenants = { .kind = FLAGVER_QUERY_TENANTS },
                        nodes = { .kind = FLAGVER_QUERY_NODES, .no = 8 },
                        log = { .kind = FLAGVER_QUERY_LOG };
    flagver_driver_txn *txn = conform_begin(store, TENANT, FLAGVER_MODE_READ);
    uint64_t size = 99;

    ck_assert_uint_eq(conform_count(txn, &versions), 0);
    ck_assert_uint_eq(conform_count(txn, &series), 0);
    ck_assert_uint_eq(conform_count(txn, &leaves), 0);
    ck_assert_uint_eq(conform_count(txn, &space), 0);
    ck_assert_uint_eq(conform_count(txn, &requests), 0);
    ck_assert_uint_eq(conform_count(txn, &tenants), 0);
    ck_assert_uint_eq(conform_count(txn, &nodes), 0);
    ck_assert_uint_eq(conform_count(txn, &log), 0);
    conform_rollback(txn);
    assert_ok(conform.driver->changes(store, conform_text(TENANT), &size, &conform_error));
    ck_assert_uint_eq(size, 0);
}

/* ---- threads and processes ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

void conform_enter(void)
{
    if (conform.driver->capabilities & FLAGVER_DRIVER_ONE_WRITER)
        pthread_mutex_lock(&gate);
}

void conform_leave(void)
{
    if (conform.driver->capabilities & FLAGVER_DRIVER_ONE_WRITER)
        pthread_mutex_unlock(&gate);
}

int conform_complain(const char *what)
{
    fprintf(stderr, "in a child process: %s: %s\n", what, conform_error.message);
    return 1;
}

int conform_in_child(int (*body)(void *data), void *data)
{
    int status;
    pid_t child;

    memset(&conform_error, 0, sizeof conform_error);
    child = fork();
    ck_assert_msg(child >= 0, "there is no child process");
    if (child == 0)
        _exit(body(data));
    ck_assert(waitpid(child, &status, 0) == child);
    ck_assert_msg(WIFEXITED(status), "a child process was killed by signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}
