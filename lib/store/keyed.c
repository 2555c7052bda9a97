#include <string.h>

#include "store/staging.h"
#include "util/fail.h"

/* Nothing that counts from here on can run over. */
static bool is_sane(const flagver_keyed_row *row)
{
    return row->rev >= 0 && row->rev < INT64_MAX / 2 && row->time >= 0 && row->time < INT64_MAX / 2;
}

static bool keep(flagver_txn *txn, flagver_bytes *bytes)
{
    if (bytes->data)
        bytes->data = fv_arena_string(&txn->arena, bytes->data, bytes->length);
    return bytes->data || !bytes->length;
}

/* The driver's answer about a row, with texts that live as long as the transaction. */
static int take(flagver_txn *txn, const flagver_keyed_row *found, flagver_keyed_row *ret_row,
                flagver_error *err)
{
    flagver_keyed_row row = *found;

    if (!is_sane(&row))
        return fv_fail(err, FLAGVER_ECORRUPT, "the row of %.64s \"%.256s\" is damaged",
                       (const char *)row.space.data, (const char *)row.key.data);
    row.tenant = fv_bytes(txn->source.tenant);
    if (!keep(txn, &row.space) || !keep(txn, &row.key) || !keep(txn, &row.value))
        return fv_fail_memory(err);
    *ret_row = row;
    return 0;
}

static flagver_keyed_row name(const flagver_txn *txn, const char *space, flagver_bytes key)
{
    return (flagver_keyed_row){ .tenant = fv_bytes(txn->source.tenant),
                                .space = fv_bytes(space),
                                .key = key };
}

int fv_txn_keyed_get(flagver_txn *txn, const char *space, flagver_bytes key,
                     flagver_keyed_row *ret_row, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED,
                                  .space = fv_bytes(space),
                                  .subject = key };
    flagver_row row = { .as.keyed = name(txn, space, key) };
    flagver_cursor *cursor;
    int r;

    r = fv_txn_scan(txn, &query, &cursor, err);
    if (r < 0)
        return r;
    r = fv_txn_next(txn, cursor, &row, err);
    if (r == 0)
        row.as.keyed = name(txn, space, key);
    if (r >= 0)
        r = take(txn, &row.as.keyed, ret_row, err);
    fv_txn_end_scan(txn, cursor);
    return r;
}

static int compare(flagver_bytes a, flagver_bytes b)
{
    int order = memcmp(a.data, b.data, a.length < b.length ? a.length : b.length);

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

/* Keys without a row, up to the one that was found. */
static int merge(flagver_txn *txn, flagver_cursor *cursor, const flagver_bytes *keys, size_t count,
                 flagver_keyed_row *ret_rows, flagver_error *err)
{
    flagver_row row;
    size_t i = 0;
    int r = 0;

    while (i < count && (r = fv_txn_next(txn, cursor, &row, err)) > 0) {
        int order = -1;

        while (i < count && (order = compare(keys[i], row.as.keyed.key)) < 0)
            i++;
        if (i == count || order != 0)
            continue;
        r = take(txn, &row.as.keyed, &ret_rows[i++], err);
        if (r < 0)
            break;
    }
    return r < 0 ? r : 0;
}

int fv_txn_keyed_get_many(flagver_txn *txn, const struct fv_keyed_range *range,
                          const flagver_bytes *keys, size_t count, flagver_keyed_row *ret_rows,
                          flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED,
                                  .space = fv_bytes(range->space),
                                  .subject = range->prefix,
                                  .prefix = 1,
                                  .after = range->after };
    flagver_cursor *cursor;
    int r;

    for (size_t i = 0; i < count; i++)
        ret_rows[i] = name(txn, range->space, keys[i]);
    if (count == 0)
        return 0;
    r = fv_txn_scan(txn, &query, &cursor, err);
    if (r < 0)
        return r;
    r = merge(txn, cursor, keys, count, ret_rows, err);
    fv_txn_end_scan(txn, cursor);
    return r;
}

int fv_txn_keyed_put(flagver_txn *txn, flagver_keyed_row *row, flagver_bytes value,
                     flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED, .expect = row->rev };
    flagver_keyed_row *staged = fv_arena_allocate(&txn->arena, sizeof *staged);
    flagver_keyed_row written = *row;
    int r;

    if (!staged)
        return fv_fail_memory(err);
    written.rev = row->rev ? row->rev + 1 : txn->time; /* never one that a deleted row has had */
    written.time = txn->time > row->time ? txn->time : row->time + 1;
    written.value = value;
    r = take(txn, &written, staged, err);
    if (r < 0)
        return r;
    change.row.keyed = staged;
    r = fv_txn_change(txn, &change, err);
    if (r == 0)
        *row = *staged;
    return r;
}

int fv_txn_keyed_delete(flagver_txn *txn, const flagver_keyed_row *row, flagver_error *err)
{
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED_DELETE, .expect = row->rev };
    flagver_keyed_row *staged = fv_arena_allocate(&txn->arena, sizeof *staged);
    int r;

    if (!staged)
        return fv_fail_memory(err);
    r = take(txn, row, staged, err);
    change.row.keyed = staged;
    return r < 0 ? r : fv_txn_change(txn, &change, err);
}

/* ---- held rows ---- */

/* Whoever writes has been let through the gate, and there is no other way in. */
static bool is_alone(const flagver_driver *driver)
{
    return (driver->capabilities & (FLAGVER_DRIVER_ONE_WRITER | FLAGVER_DRIVER_PROCESSES |
                                    FLAGVER_DRIVER_ENLIST)) == FLAGVER_DRIVER_ONE_WRITER;
}

int fv_txn_hold(flagver_txn *txn, const char *space, flagver_bytes key, int64_t number, bool shared,
                flagver_keyed_row *ret_row, flagver_error *err)
{
    const flagver_driver *driver = fv_txn_driver(txn);
    flagver_keyed_row row = name(txn, space, key);
    int r;

    if (!FV_DRIVER_HAS(driver, hold))
        return is_alone(driver)
                   ? fv_txn_keyed_get(txn, space, key, ret_row, err)
                   : fv_fail(err, FLAGVER_ENOTSUP,
                             "the driver \"%s\" cannot keep others away from a row", driver->name);
    r = fv_txn_flush(txn, err);
    if (r == 0)
        r = fv_txn_outcome(txn, driver->hold(txn->driver, &row, number, shared, err));
    return r < 0 ? r : take(txn, &row, ret_row, err);
}
