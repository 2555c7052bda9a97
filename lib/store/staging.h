/*
 * What a transaction is made of. Only the files of this folder look inside.
 */
#ifndef FV_STORE_STAGING_H
#define FV_STORE_STAGING_H

#include "store/transaction.h"

enum fv_txn_state {
    FV_TXN_IDLE, /* nothing asked of the store yet */
    FV_TXN_OPEN,
    FV_TXN_BROKEN, /* rolled back because of `broken` */
    FV_TXN_ENDED
};

/* What the transaction rests on. */
struct fv_rest {
    const char *space, *key;
    struct fv_mark mark;
};
#define FV_RESTS 2

/* What a part of a transaction that is taken back leaves behind. */
struct fv_before {
    uint64_t staged;
    bool store_failed, flushed;
};

struct flagver_txn {
    struct fv_txn_source source;
    struct fv_arena arena;
    pthread_mutex_t lock; /* a call is under way */
    enum fv_txn_state state;
    flagver_error broken;
    flagver_driver_txn *driver;
    bool adopted, at_gate;
    bool store_failed; /* a call of the driver's has failed */
    uint64_t staged,
        staged_before; /* so often was anything staged, until now and until this call */
    int64_t deadline;  /* fv_monotonic_ms */
    int64_t time;      /* µs */
    const char *actor;
    flagver_actor who; /* a copy */
    struct fv_digest *digest;
    struct fv_data_keys data_keys;
    void *attached; /* the engine's */
    void (*release_attached)(void *data);
    struct fv_rest rests[FV_RESTS];
    size_t rest_count;

    /* idempotency */
    const char *key; /* under which operations are recorded; NULL: none */
    bool key_is_ours;
    bool key_is_fresh;             /* nobody can have used it before */
    int try_number, try_in_doubt;  /* as in struct fv_try; 0: there are no tries */
    const char *written_key;       /* of the row that tells whether the commit took place */
    uint8_t asked[FV_DIGEST_SIZE]; /* the operation under way */
    struct fv_text operations;     /* what was recorded in this transaction */
    const unsigned char *recorded; /* what was recorded before, when replaying */
    size_t recorded_count, replayed;
    bool replaying;
    int64_t outdated_rev; /* of a row under the key that is too old to count; 0: none */

    /* what is locked, by "phase\nsubject" */
    struct fv_map series_numbers;
    struct fv_series **series;
    size_t series_capacity;
    const struct fv_series *greatest; /* of the locked ones */

    /* what is to be written */
    flagver_change *changes;
    size_t change_count, change_capacity;
    struct fv_audit_leaf *leaves;
    size_t leaf_count, leaf_capacity;
    bool flushed; /* the driver has got something already */

    bool lent; /* the application has the connection, and may have written */
    bool nested;
    struct fv_before before; /* of the nested part */
};

const flagver_driver *fv_txn_driver(const flagver_txn *txn);

/* A scan of what the driver has, whatever is staged. */
int fv_txn_scan_store(flagver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
                      flagver_error *err);

/* The error of one that is over. */
int fv_txn_check_open(const flagver_txn *txn, flagver_error *err);

/* FLAGVER_EINVAL inside of a nested part, for what cannot be taken back alone. */
int fv_txn_check_flat(const flagver_txn *txn, flagver_error *err);

/* Every result of a driver's call in the transaction goes through here. Returns it. */
int fv_txn_outcome(flagver_txn *txn, int r);

/* Locks the log and turns the staged leaves into changes. */
int fv_staging_number_leaves(flagver_txn *txn, flagver_error *err);

/* The second half of that: the log has `size` leaves. Also the nodes of the tree and the head. */
int fv_staging_append_leaves(flagver_txn *txn, uint64_t size, flagver_error *err);

int64_t fv_source_time(const struct fv_txn_source *source);

/* One of several tries under one key, the caller's or our own. */
struct fv_try {
    const char *own_key;
    int number;   /* from 1 */
    int in_doubt; /* the last one before whose outcome nobody knows; 0: none */
};

int fv_txn_begin_try(const struct fv_txn_source *source, const flagver_actor *actor,
                     const flagver_txn_options *options, const struct fv_try *try,
                     flagver_txn **ret_txn, flagver_error *err);

#endif
