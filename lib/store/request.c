#include "store/request.h"

#include <string.h>

#include "store/staging.h"
#include "util/fail.h"

#define FORM 1                      /* first byte of a row's value */
#define RECORD (FV_DIGEST_SIZE + 4) /* a digest and a number */
#define REFUSED 0x80000000u         /* instead of a version's number: a code, negated, with this */
#define CLEANING_PAUSE 64           /* commits */

/* Callers' keys and our own do not meet. */
static const char *row_key(flagver_txn *txn, const char *key, bool ours)
{
    size_t length = strlen(key);
    char *text = fv_arena_allocate(&txn->arena, length + 3);

    if (!text)
        return NULL;
    memcpy(text, ours ? "o:" : FV_REQUEST_OF_CALLER, 2);
    memcpy(text + 2, key, length + 1);
    return text;
}

static int read_row(flagver_txn *txn, flagver_cursor *cursor, flagver_error *err)
{
    flagver_row row;
    const unsigned char *value;
    int r = fv_txn_next(txn, cursor, &row, err);

    if (r <= 0)
        return r;
    value = row.as.keyed.value.data;
    if (row.as.keyed.value.length < 1 || value[0] != FORM ||
        (row.as.keyed.value.length - 1) % RECORD != 0)
        return fv_fail(err, FLAGVER_ECORRUPT, "the row of request \"%.100s\" is malformed",
                       txn->key);
    if (row.as.keyed.time < txn->time - FV_REQUEST_KEPT_US) {
        txn->outdated_rev = row.as.keyed.rev;
        return 0;
    }
    txn->recorded_count = (row.as.keyed.value.length - 1) / RECORD;
    txn->recorded = (unsigned char *)fv_arena_string(&txn->arena, (const char *)value + 1,
                                                     row.as.keyed.value.length - 1);
    txn->replaying = true;
    return txn->recorded ? 0 : fv_fail_memory(err);
}

int fv_request_find(flagver_txn *txn, flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_KEYED, .space = fv_bytes(FV_REQUEST_SPACE) };
    flagver_cursor *cursor;
    int r;

    txn->written_key = row_key(txn, txn->key, txn->key_is_ours);
    if (!txn->written_key)
        return fv_fail_memory(err);
    if (txn->key_is_fresh)
        return 0;
    query.subject = fv_bytes(txn->written_key);
    r = fv_txn_scan_store(txn, &query, &cursor, err);
    if (r < 0)
        return r;
    r = read_row(txn, cursor, err);
    fv_txn_end_scan(txn, cursor);
    return r;
}

static uint32_t number_at(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Each word with its length, so that no two sequences give the same digest. */
static int digest_words(flagver_txn *txn, const struct fv_words *words, size_t count,
                        uint8_t out[FV_DIGEST_SIZE], flagver_error *err)
{
    struct fv_words *parts = fv_arena_allocate(&txn->arena, 2 * count * sizeof *parts);
    uint64_t *lengths = fv_arena_allocate(&txn->arena, count * sizeof *lengths);
    size_t i;

    if (!parts || !lengths)
        return fv_fail_memory(err);
    for (i = 0; i < count; i++) {
        lengths[i] = words[i].data ? words[i].length : UINT64_MAX;
        parts[2 * i] = (struct fv_words){ &lengths[i], sizeof *lengths };
        parts[2 * i + 1] = words[i];
    }
    return fv_txn_digest(txn, parts, 2 * count, out, err);
}

static int replay(flagver_txn *txn, const uint8_t digest[FV_DIGEST_SIZE], uint32_t *ret_no,
                  flagver_error *err)
{
    const unsigned char *record = txn->recorded + txn->replayed * RECORD;

    if (txn->replayed == txn->recorded_count || memcmp(record, digest, FV_DIGEST_SIZE) != 0)
        return fv_fail(err, FLAGVER_EIDEM,
                       "operation %zu is not the one that was recorded under this idempotency key",
                       txn->replayed + 1);
    txn->replayed++;
    *ret_no = number_at(record + FV_DIGEST_SIZE);
    if (*ret_no & REFUSED)
        return fv_fail(err, -(int)(*ret_no & ~REFUSED),
                       "the operation was refused when it was run first: %s",
                       fv_error_words(-(int)(*ret_no & ~REFUSED)));
    return 1;
}

int fv_txn_replay(flagver_txn *txn, const struct fv_words *words, size_t count, uint32_t *ret_no,
                  flagver_error *err)
{
    uint8_t digest[FV_DIGEST_SIZE];
    int r;

    if (!txn->key)
        return 0;
    r = digest_words(txn, words, count, digest, err);
    if (r < 0)
        return r;
    if (txn->replaying)
        return replay(txn, digest, ret_no, err);
    memcpy(txn->asked, digest, sizeof digest);
    return 0;
}

void fv_txn_record(flagver_txn *txn, uint32_t no)
{
    char number[4] = { (char)(no >> 24), (char)(no >> 16), (char)(no >> 8), (char)no };

    if (!txn->key || txn->replaying)
        return;
    fv_text_add_bytes(&txn->operations, (const char *)txn->asked, FV_DIGEST_SIZE);
    fv_text_add_bytes(&txn->operations, number, sizeof number);
}

void fv_txn_record_refusal(flagver_txn *txn, int code)
{
    if (!txn->store_failed && fv_error_class(code) == FLAGVER_CLASS_MISTAKE)
        fv_txn_record(txn, REFUSED | (uint32_t)-code);
}

/* All of it, and nothing but zeros behind it. */
static bool is_text(const unsigned char *at, size_t length, size_t size)
{
    const unsigned char *end = memchr(at, '\0', size);

    return length > 0 && (end ? (size_t)(end - at) : size) == length;
}

/* A text lies behind its record, which has the length in place of a number, in as many records as it takes. */
int fv_txn_replay_deed(flagver_txn *txn, const struct fv_words *words, size_t count,
                       struct fv_deed *ret_deed, const char **ret_text, flagver_error *err)
{
    const unsigned char *at;
    uint32_t length;
    size_t taken;
    int r = fv_txn_replay(txn, words, count, &length, err);

    memcpy(ret_deed->asked, txn->asked, sizeof ret_deed->asked);
    ret_deed->begin = txn->operations.length;
    if (r <= 0)
        return r;
    taken = (length + RECORD - 1) / RECORD;
    at = txn->recorded + txn->replayed * RECORD;
    if (taken > txn->recorded_count - txn->replayed || !is_text(at, length, taken * RECORD))
        return fv_fail(err, FLAGVER_ECORRUPT, "the row of request \"%.100s\" is malformed",
                       txn->key);
    *ret_text = fv_arena_string(&txn->arena, (const char *)at, length);
    txn->replayed += taken;
    return *ret_text ? 1 : fv_fail_memory(err);
}

void fv_txn_record_deed(flagver_txn *txn, const struct fv_deed *deed, int r, const char *text)
{
    static const char padding[RECORD];
    size_t length = r < 0 ? 0 : strlen(text);

    if (!txn->key || txn->replaying)
        return;
    memcpy(txn->asked, deed->asked, sizeof txn->asked);
    txn->operations.length = deed->begin;
    if (r < 0) {
        fv_txn_record_refusal(txn, r);
        return;
    }
    fv_txn_record(txn, (uint32_t)length);
    fv_text_add_bytes(&txn->operations, text, length);
    fv_text_add_bytes(&txn->operations, padding, (RECORD - length % RECORD) % RECORD);
}

/* Now and then: throw away what is too old to be repeated, more at a time than comes meanwhile. */
static int stage_cleaning(flagver_txn *txn, flagver_error *err)
{
    struct fv_store *store = txn->source.store;
    flagver_keyed_row *row;
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED_EXPIRE };

    if (atomic_fetch_add_explicit(&store->commits, 1, memory_order_relaxed) % CLEANING_PAUSE)
        return 0;
    row = fv_arena_allocate_zeroed(&txn->arena, 1, sizeof *row);
    if (!row)
        return fv_fail_memory(err);
    row->tenant = fv_bytes(txn->source.tenant);
    row->space = fv_bytes(FV_REQUEST_SPACE);
    row->time = txn->time - FV_REQUEST_KEPT_US;
    change.row.keyed = row;
    return fv_txn_change(txn, &change, err);
}

/* An enlisted transaction has no commit of its own that could be in doubt. */
static int make_key(flagver_txn *txn, flagver_error *err)
{
    char text[FV_UUID_TEXT];
    flagver_id id;
    int r;

    if (txn->written_key || txn->adopted)
        return 0;
    r = fv_txn_id(txn, &id, err);
    if (r < 0)
        return r;
    fv_uuid_text(&id, text);
    txn->written_key = row_key(txn, text, true);
    return txn->written_key ? 0 : fv_fail_memory(err);
}

static int stage_row(flagver_txn *txn, flagver_bytes value, int64_t before, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED, .expect = before };
    flagver_keyed_row *row = fv_arena_allocate_zeroed(&txn->arena, 1, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    *row = (flagver_keyed_row){ .tenant = fv_bytes(txn->source.tenant),
                                .space = fv_bytes(FV_REQUEST_SPACE),
                                .key = fv_bytes(txn->written_key),
                                .rev = before + 1,
                                .time = txn->time,
                                .value = value };
    change.row.keyed = row;
    return fv_txn_change(txn, &change, err);
}

/* Where a row was before, that there is one tells nothing about this commit: another one does. */
static int stage_witness(flagver_txn *txn, flagver_bytes value, flagver_error *err)
{
    int r;

    if (!txn->outdated_rev || txn->adopted)
        return 0;
    txn->written_key = NULL;
    r = make_key(txn, err);
    return r < 0 ? r : stage_row(txn, value, 0, err);
}

int fv_request_stage(flagver_txn *txn, flagver_error *err)
{
    flagver_bytes recorded;
    char *value;
    int r;

    r = make_key(txn, err);
    if (r < 0 || !txn->written_key)
        return r;

    value = fv_arena_allocate(&txn->arena, txn->operations.length + 1);
    if (!value || txn->operations.failed)
        return fv_fail_memory(err);
    value[0] = FORM;
    memcpy(value + 1, txn->operations.data, txn->operations.length);
    recorded = (flagver_bytes){ value, txn->operations.length + 1 };
    r = stage_row(txn, recorded, txn->outdated_rev, err);
    if (r == 0)
        r = stage_witness(txn, recorded, err);
    return r < 0 ? r : stage_cleaning(txn, err); /* behind the row, which is as new as can be now */
}
