/*
 * What has been written where: versions of keys, and entries of keys whose sides may differ.
 *
 * Where both sides are enlisted, a key's row stands beside the data on each side, and a write
 * reaches the other side only if its version is greater. Where one is detached, nothing can be
 * compared in the transaction that writes; there the entry of the key tells whether operations
 * overlapped. An entry exists exactly as long as it is not certain that both sides are equal.
 *
 *   WRITE, both enlisted        on A, one transaction: admit; fv_version_next; A's callback; key
 *                               row; fv_entry_owe. On B, one: fv_version_applies; B's callback;
 *                               key row. On A, batched: fv_entry_settle.
 *   WRITE, A alone enlisted     on A, one: admit; A's callback; fv_entry_enter. B's callback.
 *                               On A, batched: fv_entry_leave.
 *     … in others' transaction  fv_entry_doubt takes the place of fv_entry_enter: a repair calls B.
 *   WRITE, A detached           on A's home, one: admit; fv_entry_enter. A's callback, B's callback.
 *                               On A's home, batched: fv_entry_leave.
 *   CREATE, A detached          on A's home, one: admit; fv_entry_enter of the intent, an entry by the
 *                               operation's id. A's callback, which tells the key. On A's home, one:
 *                               fv_entry_leave of the intent; fv_entry_enter of the key. B's
 *                               callback. On A's home, batched: fv_entry_leave of the key.
 *   RESOLVE an intent           once it is fv_entry_repairable: A is asked for the key. On A's home, one:
 *                               fv_entry_doubt of the key, if there is one; the intent is deleted.
 *   REPAIR, both enlisted       on A, one: key row and data. Then as WRITE from B on.
 *   REPAIR, one detached        on A's home, one: fv_entry_repair. Read A, write B. Leave.
 *   COPY, both enlisted         as REPAIR, with fv_version_since.
 *   COPY, one detached          on A's home, one: fv_entry_enter. Read A, write B. Leave.
 *   SWEEP                       as COPY, of a key that only B has: what is read is that there is none.
 *
 * A, the authority, may be frozen for a repair, but not for a write or a copy; and for what ends an
 * intent, which has kept its backlog from being empty.
 *
 * Where what a transaction reads is not of one moment (READ COMMITTED), the key row is read before
 * the data. A copy or repair then passes data on with a version that may be too low, which comes
 * right with the next one, but never with one too high, which would keep that next one out. And a
 * write then finds the row changed when it puts it, if another one committed during its callback.
 *
 * Nothing here reads a store or a clock; times are microseconds since the epoch.
 */
#ifndef FV_MODEL_LEDGER_H
#define FV_MODEL_LEDGER_H

#include "flagver/driver.h"
#include "model/route.h"

/* ---- versions of keys ---- */

/* Epochs first. Zeros: a key without a row. */
struct fv_version {
    uint64_t epoch, seq;
};

/* The row beside the data. Deleted data leaves its row behind, as a tombstone. */
struct fv_key_row {
    struct fv_version version;
    bool tombstone;
};

#define FV_KEY_ROW_BYTES 24 /* of an encoded row, at most */

size_t fv_key_row_encode(const struct fv_key_row *row, uint8_t out[FV_KEY_ROW_BYTES]);

/* FLAGVER_ECORRUPT: the bytes are no key row; *ret_row is untouched. */
int fv_key_row_decode(const void *data, size_t length, struct fv_key_row *ret_row,
                      flagver_error *err);

/* Below 0, 0, above 0. */
int fv_version_compare(struct fv_version a, struct fv_version b);

/*
 * The version of a write of the authority, greater than every one before it.
 * FLAGVER_ECORRUPT: the row is of a later epoch than the authority's fence.
 */
int fv_version_next(struct fv_version row, const struct fv_fence *authority,
                    struct fv_version *ret_version, flagver_error *err);

/*
 * Must the key's row have this version of a write of the authority? While only one side is written, too, once
 * both have been: a copy of an earlier period may still be on its way to that side. `both`: they are now.
 */
bool fv_version_is_kept(struct fv_version version, bool both);

/* Does what comes with `incoming` replace what the other side has at `stored`? */
bool fv_version_applies(struct fv_version incoming, struct fv_version stored);

/*
 * The version that a row has for copies, repairs and comparisons. Before both sides were
 * written, a row may have changed without getting a new version, or have none at all: it
 * counts as written when the period began, before every write of the period and after all
 * that an earlier period has left on the other side.
 */
struct fv_version fv_version_since(struct fv_version row, const struct fv_fence *authority);

/* ---- entries ---- */

#define FV_ENTRY_OPERATIONS 16

struct fv_entry_operation {
    flagver_id id;
    int64_t until; /* for others; its own deadline is earlier, by what clocks may differ */
};

/*
 * `doubtful`: the sides have to be made equal. `version` is that of the last write that owes
 * the other side something, when both are enlisted. `since` is when the entry was made, and
 * `failures` how many operations on it have failed since the last that did not.
 */
struct fv_entry {
    struct fv_version version;
    bool doubtful;
    int64_t since;
    uint32_t failures;
    uint32_t count;
    struct fv_entry_operation operations[FV_ENTRY_OPERATIONS];
};

#define FV_ENTRY_BYTES (48 + FV_ENTRY_OPERATIONS * 26) /* of an encoded entry, at most */

size_t fv_entry_encode(const struct fv_entry *entry, uint8_t out[FV_ENTRY_BYTES]);

/* FLAGVER_ECORRUPT: the bytes are no entry; *ret_entry is untouched. */
int fv_entry_decode(const void *data, size_t length, struct fv_entry *ret_entry,
                    flagver_error *err);

/*
 * In what follows *entry is all zeros where the key has none. It is to be stored afterwards; after
 * FV_ENTRY_GONE it is to be deleted, and after FV_ENTRY_LATE nothing has changed.
 */
enum fv_entry_fate { FV_ENTRY_STAYS, FV_ENTRY_GONE, FV_ENTRY_LATE };

/* The authority has this version, and the other side will have to get it. */
void fv_entry_owe(struct fv_entry *entry, struct fv_version version, int64_t now);

/* The other side has this version. */
enum fv_entry_fate fv_entry_settle(struct fv_entry *entry, struct fv_version version);

/*
 * An operation begins that will call sides no transaction guards, each of them only if its time is
 * not over; else it leaves, not ok. If another one has not left,
 * its lease over or not, nobody can tell whose call came last: the entry becomes doubtful.
 * FLAGVER_EBUSY: FV_ENTRY_OPERATIONS are at it already, and all of them live.
 */
int fv_entry_enter(struct fv_entry *entry, const struct fv_entry_operation *operation, int64_t now,
                   flagver_error *err);

/*
 * An operation has ended; `ok`: both sides took what it wrote. LATE: it is not in the entry any
 * more, so it has outlived its lease, and a callback of it may have written after a repair. Then
 * the key is to be doubted, in the home of whoever is the authority by now.
 */
enum fv_entry_fate fv_entry_leave(struct fv_entry *entry, const flagver_id *id, bool ok);

/*
 * The sides may differ, for a reason that no entry knows of. Only while the fence of the same
 * home is that of the AUTHORITY: under a frozen one the backlog may have been found empty.
 */
void fv_entry_doubt(struct fv_entry *entry, int64_t now);

/* May a repair begin? Not while an operation is at it whose lease is not over, and not for nothing. */
bool fv_entry_repairable(const struct fv_entry *entry, int64_t now);

/*
 * A repair begins, on an entry that is repairable: operations that died are dropped, and the
 * doubt is the repair's from now on. Then it reads the authority, writes the other side, and
 * leaves. Whoever enters meanwhile makes the entry doubtful anew.
 *
 * The authority is the side of this home whose fence is AUTHORITY or, where there is none, FROZEN.
 */
void fv_entry_repair(struct fv_entry *entry, const struct fv_entry_operation *repair);

#endif
