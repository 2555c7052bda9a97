/*
 * Processes that end or stop themselves at named points of a route's work: drivers that stand
 * before SQLite's and PostgreSQL's look at what a transaction of the library changes, and know by
 * that what it is for. "doomed-sqlite:" and "doomed-postgresql:" are what their URIs begin with.
 *
 * What the points are called is what they are in: one write (to the authority, to the other side,
 * and the note that both have it), a repair, a copy, a flip.
 */
#ifndef FLAGVER_TESTS_DOOMED_H
#define FLAGVER_TESTS_DOOMED_H

#include <stdatomic.h>

#include "driver/sqlite.h"
#include "engine/steering.h"
#include "flagver/driver.h"
#include "place.h"

#ifndef FV_WITHOUT_postgres
#include "driver/postgres.h"
#endif

enum deed {
    DEED_NONE,
    DEED_OTHER,   /* the other side gets what was written */
    DEED_CLEAR,   /* it is owed nothing any more */
    DEED_WRITE,   /* the authority is written, and what the other side is owed with it */
    DEED_REPAIR,  /* what a repair brings */
    DEED_COPY,    /* what a copy brings */
    DEED_CURSOR,  /* how far the copy is */
    DEED_PREPARE, /* the steps of a flip */
    DEED_FREEZE,
    DEED_GRANT,
    DEED_DEMOTE,
    DEED_CALL_OFF,
    DEED_STAGE, /* another stage without a flip */
    DEED_CALL,  /* no transaction: a side's function is called, to write … */
    DEED_FETCH, /* … to read a record for a repair … */
    DEED_SCAN,  /* … or records for a copy */
    DEEDS
};

static const char *const deed_names[DEEDS] MAYBE_UNUSED = { "-",
                                                            "other side",
                                                            "clear",
                                                            "write",
                                                            "repair",
                                                            "copy",
                                                            "copy's cursor",
                                                            "PREPARED",
                                                            "FROZEN",
                                                            "AUTHORITY",
                                                            "SECONDARY",
                                                            "called off",
                                                            "stage",
                                                            "in write",
                                                            "in repair's read",
                                                            "in copy's scan" };

/* Before its commit, or after it. */
#define POINTS (2 * DEEDS)

/* Shared by all processes. */
static struct fate {
    atomic_int armed;         /* a point; 0: none */
    atomic_int signal;        /* that a process sends itself there; 0: SIGKILL */
    atomic_int skip;          /* so often it is passed before that */
    atomic_int last_roles[2]; /* of fences, by side */
    atomic_uint passed[POINTS], killed[POINTS];
} * fate;

static bool doomed_writes;   /* this process writes; else it repairs, copies and takes steps */
static bool doomed_together; /* both sides are in one store */

/* What the thread's transaction does. */
static _Thread_local struct {
    const void *txn;
    enum deed deed;
    int side, role; /* of a fence */
} doing;
static _Thread_local bool scanned; /* the thread's last call of a side was a scan */

static inline void doomed_pass(enum deed deed, bool after)
{
    int point = 2 * (int)deed + after;

    if (deed == DEED_NONE)
        return;
    atomic_fetch_add(&fate->passed[point], 1);
    if (atomic_load(&fate->armed) != point || atomic_fetch_sub(&fate->skip, 1) > 0 ||
        !atomic_compare_exchange_strong(&fate->armed, &point, 0))
        return;
    atomic_fetch_add(&fate->killed[point], 1);
    kill(getpid(), atomic_load(&fate->signal) ? atomic_load(&fate->signal) : SIGKILL);
}

/* ---- what a transaction is for ---- */

static inline bool is_space(const flagver_keyed_row *row, const char *space)
{
    return row->space.length == strlen(space) &&
           memcmp(row->space.data, space, row->space.length) == 0;
}

static inline enum deed deed_of_fence(const flagver_keyed_row *row)
{
    const char *key = row->key.data;
    struct fv_fence fence;
    int before;

    if (fv_fence_decode(row->value.data, row->value.length, &fence, NULL) < 0)
        return DEED_NONE;
    doing.side = key[row->key.length - 3] == 'o' ? FLAGVER_SIDE_OLD : FLAGVER_SIDE_NEW;
    doing.role = (int)fence.role;
    before = atomic_load(&fate->last_roles[doing.side]);
    switch (fence.role) {
    case FV_ROLE_PREPARED:
        return DEED_PREPARE;
    case FV_ROLE_FROZEN:
        return DEED_FREEZE;
    case FV_ROLE_AUTHORITY:
        return before == FV_ROLE_PREPARED ? DEED_GRANT
               : before == FV_ROLE_FROZEN ? DEED_CALL_OFF
                                          : DEED_STAGE;
    default:
        return before == FV_ROLE_FROZEN     ? DEED_DEMOTE
               : before == FV_ROLE_PREPARED ? DEED_CALL_OFF
                                            : DEED_STAGE;
    }
}

static inline enum deed deed_of(const flagver_change *change)
{
    const flagver_keyed_row *row = change->row.keyed;

    if (change->kind == FLAGVER_CHANGE_KEYED_DELETE)
        return is_space(row, FV_SPACE_DIRTY) ? DEED_CLEAR : DEED_NONE;
    if (change->kind != FLAGVER_CHANGE_KEYED)
        return DEED_NONE;
    if (is_space(row, FV_SPACE_FENCE))
        return deed_of_fence(row);
    if (is_space(row, FV_SPACE_DIRTY))
        return DEED_WRITE;
    if (is_space(row, "route.copy"))
        return DEED_CURSOR;
    if (!is_space(row, FV_SPACE_KEY))
        return DEED_NONE;
    if (doomed_writes)
        return doomed_together ? DEED_WRITE : DEED_OTHER;
    return scanned ? DEED_COPY : DEED_REPAIR;
}

static inline void doomed_note(const void *txn, const flagver_change *changes, size_t count)
{
    if (doing.txn != txn)
        doing.deed = DEED_NONE;
    doing.txn = txn;
    for (size_t i = 0; i < count; i++) {
        enum deed deed = deed_of(&changes[i]);

        if (deed > doing.deed)
            doing.deed = deed;
    }
}

static inline int doomed_commit(const flagver_driver *inner, flagver_driver_txn *txn,
                                flagver_error *err)
{
    enum deed deed = doing.txn == txn ? doing.deed : DEED_NONE;
    int r;

    doing.txn = NULL;
    doing.deed = DEED_NONE;
    doomed_pass(deed, false);
    r = inner->commit(txn, err);
    if (r == 0 && deed >= DEED_PREPARE && deed <= DEED_STAGE)
        atomic_store(&fate->last_roles[doing.side], doing.role);
    if (r == 0)
        doomed_pass(deed, true);
    return r;
}

/* ---- the drivers ---- */

#define DOOMED_DRIVER(name)                                                                       \
    static inline int doomed_##name##_apply(                                                      \
        flagver_driver_txn *txn, const flagver_change *changes, size_t count, flagver_error *err) \
    {                                                                                             \
        doomed_note(txn, changes, count);                                                         \
        return fv_##name##_driver.apply(txn, changes, count, err);                                \
    }                                                                                             \
    static inline int doomed_##name##_commit(flagver_driver_txn *txn, flagver_error *err)         \
    {                                                                                             \
        return doomed_commit(&fv_##name##_driver, txn, err);                                      \
    }                                                                                             \
    static inline void doomed_##name##_rollback(flagver_driver_txn *txn)                          \
    {                                                                                             \
        doing.txn = NULL;                                                                         \
        fv_##name##_driver.rollback(txn);                                                         \
    }

#define DOOMED_REGISTER(name_, kind)                         \
    do {                                                     \
        static flagver_driver table_;                        \
        table_ = fv_##kind##_driver;                         \
        table_.name = (name_);                               \
        table_.apply = doomed_##kind##_apply;                \
        table_.commit = doomed_##kind##_commit;              \
        table_.rollback = doomed_##kind##_rollback;          \
        assert_ok(flagver_driver_register(&table_, &error)); \
    } while (0)

DOOMED_DRIVER(sqlite)
#ifndef FV_WITHOUT_postgres
DOOMED_DRIVER(postgres)
#endif

/* Before processes are started. */
static inline void doom(void)
{
    fate = shared(sizeof *fate);
    DOOMED_REGISTER("doomed-sqlite", sqlite);
#ifndef FV_WITHOUT_postgres
    DOOMED_REGISTER("doomed-postgresql", postgres);
#endif
}

#endif
