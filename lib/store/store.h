/*
 * A store that is open: a driver and its handle, shared by the clients of all
 * tenants; and the gate, which lets one transaction at a time write where the
 * driver asks for that.
 */
#ifndef FV_STORE_STORE_H
#define FV_STORE_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "crypto/crypto.h"
#include "flagver/driver.h"
#include "store/sealing.h"
#include "util/uuid.h"

#define FV_TENANT_LIMIT 128
#define FV_WAIT_MS 5000
#define FV_ID_RANDOM 10 /* bytes an id takes */

/* Is this member of a driver's table there, which it may be too short for? */
#define FV_DRIVER_HAS(driver, member) \
    ((driver)->size > offsetof(flagver_driver, member) && (driver)->member)

struct flagver_txn;
struct fv_waiter; /* in the queue at the gate */

struct fv_store {
    atomic_uint references;
    unsigned forks; /* tells the process that opened it from its children: hands off there */
    const flagver_driver *driver;
    flagver_store *handle;
    flagver_allocator allocator;     /* a copy, */
    const flagver_allocator *memory; /* of which this is the address; NULL: malloc */
    char *uri, *shown;               /* shown: without passwords */
    int32_t wait_ms;
    struct fv_crypto *crypto;
    struct fv_keyring *keys; /* NULL: none */
    atomic_uint commits;     /* begun; now and then one of them cleans up */

    pthread_mutex_t ids; /* over what follows */
    struct fv_uuid_state uuids;
    uint8_t random[64 * FV_ID_RANDOM];
    size_t random_left;

    pthread_mutex_t gate; /* over what follows */
    pthread_cond_t passed;
    struct flagver_txn *writer; /* who may write now; NULL: nobody */
    struct fv_waiter *first, *last;
};

struct fv_store_options {
    const flagver_allocator *memory; /* copied; NULL: malloc */
    int32_t wait_ms;                 /* 0: FV_WAIT_MS */
    bool read_only;
    bool no_upgrade;         /* leave the schema alone, whatever it is */
    bool no_create;          /* one that is not there is FLAGVER_ENOTFOUND */
    struct fv_keyring *keys; /* held by the store then; NULL: none */
};

/*
 * How often this process is the child of one that has asked this before; it does not know of forks
 * before the first call.
 */
unsigned fv_forks(void);

/* Does this URI name a store? */
bool fv_store_is_uri(const char *uri);

/* Does its driver tell of changes, so that they need not be asked for that often? */
bool fv_store_tells(const char *uri);

/* Open; held once. As flagver_open(). */
int fv_store_open(const char *uri, const struct fv_store_options *options,
                  struct fv_store **ret_store, flagver_error *err);

void fv_store_hold(struct fv_store *store);
void fv_store_release(struct fv_store *store); /* NULL is fine */

/* Is this a child of the process that opened it? Then FLAGVER_EFORKED. */
bool fv_store_is_inherited(const struct fv_store *store);
int fv_store_usable(const struct fv_store *store, flagver_error *err);

/* A descriptor that is readable when there may be changes, open as long as the store; -1: none. */
int fv_store_watch(const struct fv_store *store);

/* What the driver tells of its database, as `examine` does; FLAGVER_ENOTSUP: it has nothing to tell. */
int fv_store_examine(const struct fv_store *store,
                     void (*visit)(void *data, int finding, const char *line), void *data,
                     flagver_error *err);

/* A fresh UUIDv7. */
int fv_store_id(struct fv_store *store, int64_t now_ms, flagver_id *ret_id, flagver_error *err);

/*
 * Take turns at writing, first come first served. `deadline` on fv_monotonic_ms.
 * Who waits takes back a writer's transaction that is open for too long
 * (fv_txn_expire). 0 or FLAGVER_EBUSY.
 */
int fv_gate_enter(struct fv_store *store, struct flagver_txn *txn, int64_t deadline,
                  flagver_error *err);
void fv_gate_leave(struct fv_store *store, struct flagver_txn *txn);

/* Take back a writer's transaction that is open for too long. */
void fv_gate_tick(struct fv_store *store);

/* ---- reading ---- */

/* One state of the store, for one tenant. Payloads are opened on the way. */
struct fv_read {
    struct fv_store *store;
    const char *tenant;
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    bool sealed;  /* after begin: leave payloads as they are stored */
    bool lenient; /* after begin: a payload whose key is not at hand is none, and no error */
    int32_t kind; /* of the query under way */
    struct fv_data_keys data_keys;
    uint8_t *opened; /* the payload of the row that came last, */
    size_t opened_size;
    uint8_t salt[FV_SALT_SIZE]; /* and its salt */
};

/* `tenant` is borrowed; NULL: the driver gets an empty name, which is good for FLAGVER_QUERY_TENANTS only. */
int fv_read_begin(struct fv_read *read, struct fv_store *store, const char *tenant,
                  flagver_error *err);
void fv_read_end(struct fv_read *read); /* also after an error; a scan is ended too */

/*
 * Scan: begin, then next until it returns 0; a new scan ends the one before. A payload that
 * cannot be opened is FLAGVER_EKEY or FLAGVER_ECORRUPT, and the next row comes next. Where the read
 * is lenient a row whose payload stays sealed has a payload_key, but no payload.
 */
int fv_read_scan(struct fv_read *read, const flagver_query *query, flagver_error *err);
int fv_read_next(struct fv_read *read, flagver_row *ret_row, flagver_error *err);

/* ---- small helpers ---- */

flagver_bytes fv_bytes(const char *text); /* NULL: none */
flagver_bytes fv_bytes_of(const char *text, size_t length);
int64_t fv_monotonic_ms(void);

/* "flagver.flag" and the like: 1 to `limit` bytes of UTF-8 without control characters. */
int fv_check_text(const char *what, const char *text, size_t limit, flagver_error *err);

#endif
