#include "model/ledger.h"

#include <string.h>

#include "model/packed.h"
#include "util/fail.h"

#define KEY_ROW_FORM 1
#define ENTRY_FORM 1

/* ---- versions of keys ---- */

size_t fv_key_row_encode(const struct fv_key_row *row, uint8_t out[FV_KEY_ROW_BYTES])
{
    uint8_t *at = out;

    at = fv_packed_put(at, KEY_ROW_FORM);
    at = fv_packed_put(at, row->version.epoch);
    at = fv_packed_put(at, row->version.seq);
    at = fv_packed_put(at, row->tombstone);
    return (size_t)(at - out);
}

int fv_key_row_decode(const void *data, size_t length, struct fv_key_row *ret_row,
                      flagver_error *err)
{
    struct fv_packed packed = fv_packed_begin(data, length);
    uint64_t form = fv_packed_get(&packed, KEY_ROW_FORM);
    struct fv_key_row row;

    row.version.epoch = fv_packed_get(&packed, FV_PACKED_MAX);
    row.version.seq = fv_packed_get(&packed, FV_PACKED_MAX);
    row.tombstone = fv_packed_get(&packed, 1) != 0;
    if (!fv_packed_end(&packed) || form != KEY_ROW_FORM)
        return fv_fail(err, FLAGVER_ECORRUPT, "%zu bytes are no key row of form %d", length,
                       KEY_ROW_FORM);

    *ret_row = row;
    return 0;
}

int fv_version_compare(struct fv_version a, struct fv_version b)
{
    if (a.epoch != b.epoch)
        return a.epoch < b.epoch ? -1 : 1;
    return (a.seq > b.seq) - (a.seq < b.seq);
}

int fv_version_next(struct fv_version row, const struct fv_fence *authority,
                    struct fv_version *ret_version, flagver_error *err)
{
    if (row.epoch > authority->epoch)
        return fv_fail(err, FLAGVER_ECORRUPT,
                       "the key was written in epoch %llu, and its side is in epoch %llu",
                       (unsigned long long)row.epoch, (unsigned long long)authority->epoch);

    *ret_version = (struct fv_version){ authority->epoch,
                                        row.epoch == authority->epoch ? row.seq + 1 : 1 };
    return 0;
}

/* Whoever leaves a stage in which both are written, or flips, leaves the first epoch. */
bool fv_version_is_kept(struct fv_version version, bool both)
{
    return both || version.epoch > 1;
}

bool fv_version_applies(struct fv_version incoming, struct fv_version stored)
{
    return fv_version_compare(incoming, stored) > 0;
}

struct fv_version fv_version_since(struct fv_version row, const struct fv_fence *authority)
{
    const struct fv_version begin = { authority->period, 0 };

    return fv_version_compare(row, begin) > 0 ? row : begin;
}

/* ---- entries ---- */

size_t fv_entry_encode(const struct fv_entry *entry, uint8_t out[FV_ENTRY_BYTES])
{
    uint8_t *at = out;
    uint32_t i;

    at = fv_packed_put(at, ENTRY_FORM);
    at = fv_packed_put(at, entry->doubtful);
    at = fv_packed_put(at, entry->version.epoch);
    at = fv_packed_put(at, entry->version.seq);
    at = fv_packed_put_time(at, entry->since);
    at = fv_packed_put(at, entry->failures);
    at = fv_packed_put(at, entry->count);
    for (i = 0; i < entry->count; i++) {
        at = fv_packed_put_id(at, &entry->operations[i].id);
        at = fv_packed_put_time(at, entry->operations[i].until);
    }
    return (size_t)(at - out);
}

int fv_entry_decode(const void *data, size_t length, struct fv_entry *ret_entry, flagver_error *err)
{
    struct fv_packed packed = fv_packed_begin(data, length);
    uint64_t form = fv_packed_get(&packed, ENTRY_FORM);
    struct fv_entry entry = { .count = 0 };
    uint32_t i;

    entry.doubtful = fv_packed_get(&packed, 1) != 0;
    entry.version.epoch = fv_packed_get(&packed, FV_PACKED_MAX);
    entry.version.seq = fv_packed_get(&packed, FV_PACKED_MAX);
    entry.since = fv_packed_get_time(&packed);
    entry.failures = (uint32_t)fv_packed_get(&packed, UINT32_MAX);
    entry.count = (uint32_t)fv_packed_get(&packed, FV_ENTRY_OPERATIONS);
    for (i = 0; i < entry.count; i++) {
        entry.operations[i].id = fv_packed_get_id(&packed);
        entry.operations[i].until = fv_packed_get_time(&packed);
    }
    /* One that says nothing would have been deleted. */
    if (!fv_packed_end(&packed) || form != ENTRY_FORM || (!entry.doubtful && entry.count == 0))
        return fv_fail(err, FLAGVER_ECORRUPT, "%zu bytes are no entry of form %d", length,
                       ENTRY_FORM);

    *ret_entry = entry;
    return 0;
}

static bool is_empty(const struct fv_entry *entry)
{
    return !entry->doubtful && entry->count == 0;
}

static enum fv_entry_fate fate_of(const struct fv_entry *entry)
{
    return is_empty(entry) ? FV_ENTRY_GONE : FV_ENTRY_STAYS;
}

static void begin(struct fv_entry *entry, int64_t now)
{
    if (is_empty(entry))
        entry->since = now;
}

void fv_entry_doubt(struct fv_entry *entry, int64_t now)
{
    begin(entry, now);
    entry->doubtful = true;
}

void fv_entry_owe(struct fv_entry *entry, struct fv_version version, int64_t now)
{
    fv_entry_doubt(entry, now);
    entry->version = version;
}

enum fv_entry_fate fv_entry_settle(struct fv_entry *entry, struct fv_version version)
{
    if (fv_version_compare(entry->version, version) <= 0)
        entry->doubtful = false;
    return fate_of(entry);
}

/* Those whose lease is over call nothing any more. */
static void drop_dead(struct fv_entry *entry, int64_t now)
{
    uint32_t i, kept = 0;

    for (i = 0; i < entry->count; i++)
        if (entry->operations[i].until > now)
            entry->operations[kept++] = entry->operations[i];
    entry->count = kept;
}

int fv_entry_enter(struct fv_entry *entry, const struct fv_entry_operation *operation, int64_t now,
                   flagver_error *err)
{
    if (entry->count == FV_ENTRY_OPERATIONS) {
        entry->doubtful = true;
        drop_dead(entry, now);
    }
    if (entry->count == FV_ENTRY_OPERATIONS)
        return fv_fail(err, FLAGVER_EBUSY, "%d operations are at this key already",
                       FV_ENTRY_OPERATIONS);

    begin(entry, now);
    if (entry->count > 0)
        entry->doubtful = true;
    entry->operations[entry->count++] = *operation;
    return 0;
}

enum fv_entry_fate fv_entry_leave(struct fv_entry *entry, const flagver_id *id, bool ok)
{
    uint32_t i = 0;

    while (i < entry->count && memcmp(&entry->operations[i].id, id, sizeof *id) != 0)
        i++;
    if (i == entry->count)
        return FV_ENTRY_LATE;

    entry->operations[i] = entry->operations[--entry->count];
    if (ok) {
        entry->failures = 0;
    } else {
        entry->doubtful = true;
        entry->failures += entry->failures < UINT32_MAX;
    }
    return fate_of(entry);
}

bool fv_entry_repairable(const struct fv_entry *entry, int64_t now)
{
    uint32_t i;

    for (i = 0; i < entry->count; i++)
        if (entry->operations[i].until > now)
            return false;
    return !is_empty(entry);
}

void fv_entry_repair(struct fv_entry *entry, const struct fv_entry_operation *repair)
{
    entry->doubtful = false;
    entry->operations[0] = *repair;
    entry->count = 1;
}
