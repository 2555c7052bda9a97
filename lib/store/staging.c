#include "store/staging.h"

#include <stdlib.h>
#include <string.h>

#include "util/fail.h"

#define FLUSH_AT 4096 /* changes that are handed over together */

/* ---- changes ---- */

static bool is_keyed(int32_t kind)
{
    return kind == FLAGVER_CHANGE_KEYED || kind == FLAGVER_CHANGE_KEYED_DELETE ||
           kind == FLAGVER_CHANGE_KEYED_EXPIRE;
}

int fv_txn_change(flagver_txn *txn, const flagver_change *change, flagver_error *err)
{
    int r = is_keyed(change->kind) ? 0 : fv_txn_check_flat(txn, err);

    if (r < 0)
        return r;
    if (!fv_grow(txn->source.memory, (void **)&txn->changes, &txn->change_capacity,
                 txn->change_count, sizeof *txn->changes))
        return fv_fail_memory(err);
    txn->changes[txn->change_count++] = *change;
    txn->staged++;
    return txn->change_count >= FLUSH_AT ? fv_txn_flush(txn, err) : 0;
}

/*
 * What the library has checked under its locks can only fail in the store because
 * another transaction was there first: to create the same series, or under the
 * same idempotency key.
 */
static int hand_over(flagver_txn *txn, flagver_error *err)
{
    int r = fv_txn_outcome(
        txn, fv_txn_driver(txn)->apply(txn->driver, txn->changes, txn->change_count, err));

    return r == FLAGVER_ECONFLICT
               ? fv_fail(err, FLAGVER_EBUSY, "another transaction was faster; run it again")
               : r;
}

int fv_txn_flush(flagver_txn *txn, flagver_error *err)
{
    size_t i;
    int r;

    if (!txn->change_count)
        return 0;
    r = hand_over(txn, err);
    if (r < 0)
        return r;
    txn->change_count = 0;
    txn->flushed = true;
    for (i = 0; i < txn->series_numbers.count; i++)
        if (txn->series[i]) /* one that could not be locked has only its number */
            txn->series[i]->pending = NULL;
    return 0;
}

int fv_txn_scan(flagver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
                flagver_error *err)
{
    int r = fv_txn_flush(txn, err);

    return r < 0 ? r : fv_txn_scan_store(txn, query, ret_cursor, err);
}

int fv_txn_scan_store(flagver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
                      flagver_error *err)
{
    return fv_txn_outcome(txn, fv_txn_driver(txn)->scan(txn->driver, query, ret_cursor, err));
}

int fv_txn_next(flagver_txn *txn, flagver_cursor *cursor, flagver_row *ret_row, flagver_error *err)
{
    return fv_txn_outcome(txn, fv_txn_driver(txn)->next(cursor, ret_row, err));
}

void fv_txn_end_scan(flagver_txn *txn, flagver_cursor *cursor)
{
    fv_txn_driver(txn)->end_scan(cursor);
}

/* ---- copies in the arena ---- */

static bool keep(flagver_txn *txn, flagver_bytes *bytes)
{
    if (bytes->data)
        bytes->data = fv_arena_string(&txn->arena, bytes->data, bytes->length);
    return bytes->data || !bytes->length;
}

static bool keep_version(flagver_txn *txn, flagver_version_row *row)
{
    return keep(txn, &row->created_by) && keep(txn, &row->decided_by) && keep(txn, &row->note) &&
           keep(txn, &row->payload) && keep(txn, &row->payload_salt);
}

/* ---- series ---- */

static int compare(flagver_bytes a, flagver_bytes b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

/* The order in which series are locked. */
static int order_of(const struct fv_series *a, const struct fv_series *b)
{
    int order = compare(a->row.phase, b->row.phase);

    return order ? order : compare(a->row.subject, b->row.subject);
}

static int by_order(const void *a, const void *b)
{
    return order_of(*(struct fv_series *const *)a, *(struct fv_series *const *)b);
}

/* The number of a series in this transaction, which may not be locked yet. */
static uint32_t number_of(flagver_txn *txn, const char *phase, const char *subject)
{
    size_t phase_length = strlen(phase), length = phase_length + 1 + strlen(subject);
    char *name = fv_arena_allocate(&txn->arena, length + 1);
    size_t before = txn->series_numbers.count;
    uint32_t number;

    if (!name || !fv_grow(txn->source.memory, (void **)&txn->series, &txn->series_capacity, before,
                          sizeof(struct fv_series *)))
        return FV_MAP_NONE;
    memcpy(name, phase, phase_length);
    name[phase_length] = '\n';
    strcpy(name + phase_length + 1, subject);
    number = fv_map_add(&txn->series_numbers, name, length);
    if (number == before)
        txn->series[number] = NULL;
    return number;
}

/* Nothing that counts from here on can run over. */
static bool is_sane(int64_t rev, int64_t time)
{
    return rev >= 0 && rev < INT64_MAX / 2 && time >= 0 && time < INT64_MAX / 2;
}

/* The driver's answer about a series; its texts stay ours, which outlive the driver's. */
static int take_locked(flagver_txn *txn, struct fv_series *series, const flagver_series_row *row,
                       flagver_error *err)
{
    const flagver_series_row asked = series->row;

    series->row = *row;
    series->row.tenant = asked.tenant;
    series->row.phase = asked.phase;
    series->row.subject = asked.subject;
    if (!is_sane(row->rev, row->changed_at))
        return fv_fail(err, FLAGVER_ECORRUPT, "the row of \"%.256s\" is damaged",
                       (const char *)asked.subject.data);
    return row->rev == 0 ? fv_txn_id(txn, &series->row.id, err) : 0;
}

static int lock_rows(flagver_txn *txn, struct fv_series *const *list, flagver_series_row *rows,
                     size_t count, bool try_only, flagver_error *err)
{
    size_t i;
    int r;

    for (i = 0; i < count; i++)
        rows[i] = list[i]->row;
    r = fv_txn_outcome(txn, fv_txn_driver(txn)->lock(txn->driver, rows, count, try_only, err));
    for (i = 0; r == 0 && i < count; i++)
        r = take_locked(txn, list[i], &rows[i], err);
    for (i = 0; r == 0 && i < count; i++)
        txn->series[list[i]->number] = list[i];
    return r;
}

/* In one call of the driver's; they are in order, and none is locked already. */
static int lock(flagver_txn *txn, struct fv_series *const *list, size_t count, bool try_only,
                flagver_error *err)
{
    flagver_series_row *rows;
    int r;

    if (count == 0)
        return 0;
    rows = fv_allocate(txn->source.memory, count * sizeof *rows);
    if (!rows)
        return fv_fail_memory(err);
    r = lock_rows(txn, list, rows, count, try_only, err);
    fv_release(txn->source.memory, rows);
    return r;
}

/*
 * Keys are locked in order, so that two transactions cannot wait for each other;
 * those that come out of order are only tried.
 */
static int lock_in_order(flagver_txn *txn, struct fv_series *const *list, size_t count,
                         flagver_error *err)
{
    size_t late = 0;
    int r;

    while (late < count && txn->greatest && order_of(list[late], txn->greatest) < 0)
        late++;
    r = lock(txn, list, late, true, err);
    if (r == 0)
        r = lock(txn, list + late, count - late, false, err);
    if (r == 0 && late < count)
        txn->greatest = list[count - 1];
    return r;
}

static struct fv_series *new_series(flagver_txn *txn, const struct fv_series_name *name,
                                    uint32_t number)
{
    struct fv_series *series = fv_arena_allocate_zeroed(&txn->arena, 1, sizeof *series);

    if (!series)
        return NULL;
    series->number = number;
    series->row.tenant = fv_bytes(txn->source.tenant);
    series->row.phase = fv_bytes(name->phase);
    series->row.subject = fv_bytes(name->subject);
    return keep(txn, &series->row.phase) && keep(txn, &series->row.subject) ? series : NULL;
}

/* Those of the names that are not locked yet, each once and in order. */
static int find_unlocked(flagver_txn *txn, const struct fv_series_name *names, size_t count,
                         struct fv_series **list, size_t *ret_count, flagver_error *err)
{
    size_t found = 0, kept = 0, i;
    uint32_t number;

    for (i = 0; i < count; i++) {
        number = number_of(txn, names[i].phase, names[i].subject);
        if (number == FV_MAP_NONE)
            return fv_fail_memory(err);
        if (txn->series[number])
            continue;
        list[found] = new_series(txn, &names[i], number);
        if (!list[found++])
            return fv_fail_memory(err);
    }
    qsort(list, found, sizeof *list, by_order);
    for (i = 0; i < found; i++)
        if (kept == 0 || list[kept - 1]->number != list[i]->number)
            list[kept++] = list[i];
    *ret_count = kept;
    return 0;
}

int fv_txn_lock(flagver_txn *txn, const struct fv_series_name *names, size_t count,
                flagver_error *err)
{
    struct fv_series **list;
    size_t unlocked = 0;
    int r = fv_txn_check_flat(txn, err);

    if (r < 0)
        return r;
    list = fv_allocate(txn->source.memory, (count + 1) * sizeof *list);
    if (!list)
        return fv_fail_memory(err);
    r = find_unlocked(txn, names, count, list, &unlocked, err);
    if (r == 0)
        r = lock_in_order(txn, list, unlocked, err);
    fv_release(txn->source.memory, list);
    return r;
}

int fv_txn_series(flagver_txn *txn, const char *phase, const char *subject, bool create,
                  struct fv_series **ret_series, flagver_error *err)
{
    const struct fv_series_name name = { phase, subject };
    struct fv_series *series;
    uint32_t number;
    int r = fv_txn_check_flat(txn, err);

    if (r < 0)
        return r;
    number = number_of(txn, phase, subject);
    if (number == FV_MAP_NONE)
        return fv_fail_memory(err);
    if (!txn->series[number]) {
        series = new_series(txn, &name, number);
        r = series ? lock_in_order(txn, &series, 1, err) : fv_fail_memory(err);
        if (r < 0)
            return r;
    }
    if (!create && txn->series[number]->row.last_no == 0)
        return fv_fail(err, FLAGVER_ENOTFOUND, "there is no %s \"%.256s\"",
                       strcmp(phase, FLAGVER_PHASE_FLAG) == 0      ? "flag"
                       : strcmp(phase, FLAGVER_PHASE_SEGMENT) == 0 ? "segment"
                                                                   : "record",
                       subject);
    *ret_series = txn->series[number];
    return 0;
}

static int stage_series(flagver_txn *txn, struct fv_series *series, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_SERIES, .expect = series->row.rev };
    flagver_series_row *row = fv_arena_allocate(&txn->arena, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    series->row.rev++;
    *row = series->row;
    series->pending = row;
    change.row.series = row;
    return fv_txn_change(txn, &change, err);
}

int fv_txn_change_series(flagver_txn *txn, struct fv_series *series, uint32_t current_no,
                         int64_t time, flagver_error *err)
{
    series->row.current_no = current_no;
    series->row.changed_at = time;
    if (!series->pending)
        return stage_series(txn, series, err);
    series->pending->current_no = current_no;
    series->pending->changed_at = time;
    txn->staged++;
    return 0;
}

/* ---- versions ---- */

static struct fv_staged *find_staged(const struct fv_series *series, uint32_t no)
{
    struct fv_staged *version = series->versions;

    while (version && version->row.no != no)
        version = version->next;
    return version;
}

static int read_version(flagver_txn *txn, struct fv_series *series, uint32_t no, bool payload,
                        flagver_version_row *ret_row, flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_NUMBER,
                            .phase = series->row.phase,
                            .subject = series->row.subject,
                            .no = no,
                            .payload = payload };
    struct fv_sealed sealed;
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = fv_txn_scan_store(txn, &query, &cursor, err);
    if (r < 0)
        return r;
    r = fv_txn_next(txn, cursor, &row, err);
    if (r == 0 || (r > 0 && !is_sane(row.as.version.rev, row.as.version.created_at)))
        r = fv_fail(err, FLAGVER_ECORRUPT, "version %u of \"%.256s\" is missing or damaged",
                    (unsigned)no, (const char *)series->row.subject.data);
    if (r > 0) {
        *ret_row = row.as.version;
        ret_row->tenant = series->row.tenant;
        ret_row->phase = series->row.phase;
        ret_row->subject = series->row.subject;
        r = keep_version(txn, ret_row) ? 0 : fv_fail_memory(err);
    }
    fv_txn_end_scan(txn, cursor);
    if (r == 0 && fv_version_is_sealed(ret_row, &sealed))
        r = fv_txn_unseal(txn, &sealed, &ret_row->payload, &ret_row->payload_salt, err);
    return r;
}

static struct fv_staged *stage(flagver_txn *txn, struct fv_series *series)
{
    struct fv_staged *version = fv_arena_allocate_zeroed(&txn->arena, 1, sizeof *version);

    if (!version)
        return NULL;
    version->next = series->versions;
    series->versions = version;
    return version;
}

int fv_txn_version(flagver_txn *txn, struct fv_series *series, uint32_t no, bool payload,
                   struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_staged *version = find_staged(series, no);
    flagver_version_row row;
    int r;

    if (version && (version->row.payload.data || !payload)) {
        *ret_version = version;
        return 0;
    }
    if (!no || no > series->row.last_no)
        return fv_fail(err, FLAGVER_ENOTFOUND, "\"%.256s\" has no version %u",
                       (const char *)series->row.subject.data, (unsigned)no);
    r = read_version(txn, series, no, payload, &row, err);
    if (r < 0)
        return r;
    if (version) {
        version->row.payload = row.payload;
        version->row.payload_salt = row.payload_salt;
        version->row.payload_key = row.payload_key;
    } else {
        version = stage(txn, series);
        if (!version)
            return fv_fail_memory(err);
        version->row = row;
    }
    *ret_version = version;
    return 0;
}

int fv_txn_add_payload(flagver_txn *txn, flagver_bytes body, flagver_bytes salt, flagver_id *ret_id,
                       flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_PAYLOAD };
    flagver_payload_row *payload = fv_arena_allocate_zeroed(&txn->arena, 1, sizeof *payload);
    int r;

    if (!payload)
        return fv_fail_memory(err);
    r = fv_txn_id(txn, ret_id, err);
    if (r < 0)
        return r;
    payload->id = *ret_id;
    payload->body = body;
    payload->salt = salt;
    r = salt.data ? fv_txn_seal(txn, payload, err) : 0;
    change.row.payload = payload;
    return r < 0 ? r : fv_txn_change(txn, &change, err);
}

static int stage_payload(flagver_txn *txn, struct fv_staged *version, flagver_error *err)
{
    return fv_txn_add_payload(txn, version->row.payload, version->row.payload_salt,
                              &version->row.payload_id, err);
}

static int stage_version(flagver_txn *txn, const struct fv_staged *version, int32_t kind,
                         int64_t expect, flagver_error *err)
{
    flagver_change change = { .kind = kind, .expect = expect };
    flagver_version_row *row = fv_arena_allocate(&txn->arena, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    *row = version->row;
    change.row.version = row;
    return fv_txn_change(txn, &change, err);
}

int fv_txn_add_version(flagver_txn *txn, struct fv_series *series, const flagver_version_row *row,
                       struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_staged *version = stage(txn, series);
    int r;

    if (!version)
        return fv_fail_memory(err);
    if (series->row.last_no == INT32_MAX)
        return fv_fail(err, FLAGVER_ENOTSUP, "a series has at most %d versions", INT32_MAX);
    series->row.last_no++;
    series->row.changed_at = row->created_at;
    version->row = *row;
    version->no_items = version->no_votes = version->no_contributors = true;
    version->row.series = series->row.id;
    version->row.no = series->row.last_no;
    version->row.rev = 1;
    version->row.tenant = series->row.tenant;
    version->row.phase = series->row.phase;
    version->row.subject = series->row.subject;
    r = fv_txn_id(txn, &version->row.id, err);
    if (r == 0)
        r = stage_series(txn, series, err);
    if (r == 0)
        r = stage_payload(txn, version, err);
    if (r == 0)
        r = stage_version(txn, version, FLAGVER_CHANGE_VERSION_NEW, 0, err);
    *ret_version = version;
    return r;
}

int fv_txn_shred_payload(flagver_txn *txn, const flagver_id *id, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_SHRED };
    flagver_payload_row *row = fv_arena_allocate_zeroed(&txn->arena, 1, sizeof *row);

    if (!row)
        return fv_fail_memory(err);
    row->id = *id;
    change.row.payload = row;
    return fv_txn_change(txn, &change, err);
}

/* What a draft said before is not kept: nobody could find it when the version is shredded. */
int fv_txn_change_version(flagver_txn *txn, struct fv_staged *version, bool new_payload,
                          flagver_error *err)
{
    const flagver_id before = version->row.payload_id;
    int r = new_payload ? stage_payload(txn, version, err) : 0;

    if (r < 0)
        return r;
    version->row.rev++;
    r = stage_version(txn, version, FLAGVER_CHANGE_VERSION_CHANGE, version->row.rev - 1, err);
    return r == 0 && new_payload ? fv_txn_shred_payload(txn, &before, err) : r;
}

/* ---- what a transaction rests on ---- */

static int read_mark(flagver_txn *txn, const struct fv_rest *rest, struct fv_mark *ret_mark,
                     flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED,
                                  .space = fv_bytes(rest->space),
                                  .subject = fv_bytes(rest->key) };
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = fv_txn_scan_store(txn, &query, &cursor, err);
    if (r < 0)
        return r;
    r = fv_txn_next(txn, cursor, &row, err);
    *ret_mark = r > 0 ? (struct fv_mark){ .rev = row.as.keyed.rev, .time = row.as.keyed.time }
                      : (struct fv_mark){ .rev = 0 };
    fv_txn_end_scan(txn, cursor);
    return r < 0 ? r : 0;
}

static struct fv_rest *find_rest(flagver_txn *txn, const char *space, const char *key)
{
    size_t i;

    for (i = 0; i < txn->rest_count; i++)
        if (strcmp(txn->rests[i].space, space) == 0 && strcmp(txn->rests[i].key, key) == 0)
            return &txn->rests[i];
    return NULL;
}

int fv_txn_rest_on(flagver_txn *txn, const char *space, const char *key, struct fv_mark *ret_mark,
                   flagver_error *err)
{
    struct fv_rest *rest = find_rest(txn, space, key), fresh = { .space = space, .key = key };
    int r;

    if (!rest) {
        r = read_mark(txn, &fresh, &fresh.mark, err);
        if (r < 0)
            return r;
        rest = &txn->rests[txn->rest_count++];
        *rest = fresh;
    }
    *ret_mark = rest->mark;
    return 0;
}

int fv_txn_raise(flagver_txn *txn, const char *space, const char *key, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED };
    flagver_keyed_row *row = fv_arena_allocate_zeroed(&txn->arena, 1, sizeof *row);
    struct fv_mark mark;
    int r;

    if (!row)
        return fv_fail_memory(err);
    r = fv_txn_check_flat(txn, err);
    if (r == 0)
        r = fv_txn_rest_on(txn, space, key, &mark, err);
    if (r < 0 || mark.raised)
        return r;
    *row = (flagver_keyed_row){ .tenant = fv_bytes(txn->source.tenant),
                                .space = fv_bytes(space),
                                .key = fv_bytes(key),
                                .rev = mark.rev + 1,
                                .time = txn->time > mark.time ? txn->time : mark.time + 1,
                                .value = fv_bytes("") };
    change.row.keyed = row;
    change.expect = mark.rev;
    find_rest(txn, space, key)->mark.raised = true;
    return fv_txn_change(txn, &change, err);
}

/*
 * The log is locked: whoever has changed something meanwhile has committed. (Where one at a time
 * writes, nobody has; and what we have raised ourselves is compared when it is applied.)
 */
static int check_rests(flagver_txn *txn, flagver_error *err)
{
    struct fv_mark mark;
    size_t i;
    int r = 0;

    if (fv_txn_driver(txn)->capabilities & FLAGVER_DRIVER_ONE_WRITER)
        return 0;
    for (i = 0; r == 0 && i < txn->rest_count; i++) {
        if (txn->rests[i].mark.raised)
            continue;
        r = read_mark(txn, &txn->rests[i], &mark, err);
        if (r == 0 && mark.rev != txn->rests[i].mark.rev)
            r = fv_fail(err, FLAGVER_EBUSY,
                        "policies or assignments were changed meanwhile; run it again");
    }
    return r;
}

/* Those that were asked for, were not there, and were not made in this transaction either. */
static size_t find_absent(const flagver_txn *txn, flagver_series_row *rows)
{
    const struct fv_series *series;
    size_t count = 0, i;

    for (i = 0; i < txn->series_numbers.count; i++) {
        series = txn->series[i];
        if (series && series->row.rev == 0)
            rows[count++] = series->row;
    }
    return count;
}

static int lock_absent(flagver_txn *txn, flagver_series_row *rows, flagver_error *err)
{
    size_t count = find_absent(txn, rows), i;
    int r = 0;

    if (count)
        r = fv_txn_outcome(txn, fv_txn_driver(txn)->lock(txn->driver, rows, count, true, err));
    for (i = 0; r == 0 && i < count; i++)
        if (rows[i].rev)
            r = fv_fail(err, FLAGVER_EBUSY,
                        "what was not there has been made meanwhile; run it again");
    return r;
}

/* The same of series: one that is not there cannot be locked, and what was done may rest on that. */
static int check_absent(flagver_txn *txn, flagver_error *err)
{
    size_t count = txn->series_numbers.count;
    flagver_series_row *rows;
    int r;

    if (!count || fv_txn_driver(txn)->capabilities & FLAGVER_DRIVER_ONE_WRITER)
        return 0;
    rows = fv_allocate(txn->source.memory, count * sizeof *rows);
    if (!rows)
        return fv_fail_memory(err);
    r = lock_absent(txn, rows, err);
    fv_release(txn->source.memory, rows);
    return r;
}

/* ---- leaves ---- */

int fv_txn_leaf(flagver_txn *txn, const struct fv_audit_leaf *leaf, flagver_error *err)
{
    struct fv_audit_leaf *staged;
    int r = fv_txn_check_flat(txn, err);

    if (r < 0)
        return r;
    if (!fv_grow(txn->source.memory, (void **)&txn->leaves, &txn->leaf_capacity, txn->leaf_count,
                 sizeof *txn->leaves))
        return fv_fail_memory(err);
    staged = &txn->leaves[txn->leaf_count++];
    txn->staged++;
    *staged = *leaf;
    staged->tenant = fv_bytes(txn->source.tenant);
    staged->actor = fv_bytes(txn->actor);
    if (txn->key && !txn->key_is_ours)
        staged->idempotency_key = fv_bytes(txn->key);
    return 0;
}

/*
 * Two who make the same series wait for each other at the store: that is to be before one of them
 * has the log, which the other one waits for.
 */
static int make_series(flagver_txn *txn, flagver_error *err)
{
    size_t i;

    if (fv_txn_driver(txn)->capabilities & FLAGVER_DRIVER_ONE_WRITER)
        return 0;
    for (i = 0; i < txn->change_count; i++)
        if (txn->changes[i].kind == FLAGVER_CHANGE_SERIES && txn->changes[i].expect == 0)
            return fv_txn_flush(txn, err);
    return 0;
}

int fv_staging_number_leaves(flagver_txn *txn, flagver_error *err)
{
    uint64_t size;
    int r;

    if (!txn->leaf_count)
        return 0;
    r = make_series(txn, err);
    if (r < 0)
        return r;
    r = fv_txn_outcome(txn, fv_txn_driver(txn)->lock_log(txn->driver, &size, err));
    if (r == 0)
        r = check_rests(txn, err);
    if (r == 0)
        r = check_absent(txn, err);
    return r < 0 ? r : fv_staging_append_leaves(txn, size, err);
}
