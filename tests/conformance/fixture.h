/*
 * What the files of the conformance suite share: a store for each test, rows that
 * are right unless a test makes them wrong, and what reads them back.
 *
 * Every test begins with an empty store of its own in `conform.store`.
 */
#ifndef FLAGVER_CONFORMANCE_FIXTURE_H
#define FLAGVER_CONFORMANCE_FIXTURE_H

#include <check.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"

#define CONFORM_PATH_SIZE 1024
#define CONFORM_WAIT_MS 20000 /* of stores that should get a lock */
#define CONFORM_SHORT_MS 50   /* of stores that should not */

struct conform {
    const struct flagver_conformance *target;
    const flagver_driver *driver;
    char path[CONFORM_PATH_SIZE];
    flagver_store *store;
};

extern struct conform conform;
extern flagver_error conform_error; /* the calls under test report into this */

/* ---- assertions ---- */

#define assert_ok(call)                                                                 \
    do {                                                                                \
        int assert_result_;                                                             \
        memset(&conform_error, 0, sizeof conform_error);                                \
        assert_result_ = (call);                                                        \
        ck_assert_msg(assert_result_ == 0, "%s returned %d: %s", #call, assert_result_, \
                      conform_error.message);                                           \
    } while (0)

/* The call returns this code and says why. */
#define assert_fails(expected, call)                                                           \
    do {                                                                                       \
        int assert_result_;                                                                    \
        memset(&conform_error, 0, sizeof conform_error);                                       \
        assert_result_ = (call);                                                               \
        ck_assert_msg(assert_result_ == (expected), "%s returned %d instead of %s: %s", #call, \
                      assert_result_, #expected, conform_error.message);                       \
        conform_check_words(assert_result_, #call);                                            \
    } while (0)

/* The call breaks a rule of `what`, which a driver refuses with one of two codes. */
#define assert_refused(call, what)                                                               \
    do {                                                                                         \
        int assert_result_;                                                                      \
        memset(&conform_error, 0, sizeof conform_error);                                         \
        assert_result_ = (call);                                                                 \
        ck_assert_msg(assert_result_ == FLAGVER_ECORRUPT || assert_result_ == FLAGVER_ECONFLICT, \
                      "%s: %s returned %d instead of ECORRUPT or ECONFLICT: %s", (what), #call,  \
                      assert_result_, conform_error.message);                                    \
        conform_check_words(assert_result_, #call);                                              \
    } while (0)

void conform_check_words(int code, const char *call);

/* ---- which cases there are ---- */

/* What a case needs of the driver and its places; several can be or-ed. */
#define NEEDS_REOPEN 1u       /* two stores on one path, one after the other */
#define NEEDS_PROCESSES 2u    /* two stores on one path at once */
#define NEEDS_MANY_WRITERS 4u /* two transactions that write in one store */
#define NEEDS_TENANTS 8u      /* a database that keeps tenants apart */
#define NEEDS_SNAPSHOTS 16u   /* one thread that reads while it writes */
#define NEEDS_LOSING 32u      /* lose_place */
#define NEEDS_RULES 64u       /* a driver that knows the rules of a change */
#define NEEDS_HOLD 128u       /* and these: functions that may be missing */
#define NEEDS_NEST 256u
#define NEEDS_CONNECTION 512u

/* Is this member of the driver's table there, which may end before it? */
#define CONFORM_HAS(member) \
    (conform.driver->size > offsetof(flagver_driver, member) && conform.driver->member)

/* A case whose tests begin with a store; conform_add() adds one, or says that it is left out. */
TCase *conform_tcase(Suite *suite, const char *name);
void conform_add(TCase *tcase, unsigned needs, const TTest *test);

/* ---- stores and transactions ---- */

flagver_store *conform_open(int32_t wait_ms); /* another store on conform.path, with its schema */

/* What the driver's open says, which finds a schema: made before where open does not make it. */
int conform_try_open(const flagver_driver_config *config, flagver_store **ret_store);
void conform_close(flagver_store *store);

/* Of the tenant that most tests use, and of any. */
#define TENANT "tenant"
flagver_driver_txn *conform_write(void);
flagver_driver_txn *conform_read(void);
flagver_driver_txn *conform_begin(flagver_store *store, const char *tenant, int mode);
void conform_commit(flagver_driver_txn *txn);
void conform_rollback(flagver_driver_txn *txn);

/* ---- rows ---- */

flagver_bytes conform_text(const char *text);        /* NULL: none */
bool conform_same(flagver_bytes a, flagver_bytes b); /* none is not empty */
flagver_id conform_id(unsigned number);

/* A series without versions, of TENANT. Its id is made of `number`. */
flagver_series_row conform_series(unsigned number, const char *phase, const char *subject);

/*
 * Version `no` of it in this state: with what belongs to the state, and with times of
 * 1000 × no and shortly after. Its id and its payload's are made of the series' id and `no`.
 */
flagver_version_row conform_version(const flagver_series_row *series, uint32_t no, int32_t state);
flagver_payload_row conform_payload(const flagver_version_row *version, const char *body);

/* An item of the version, pending; its payload's id is made of the version's and the key. */
flagver_item_row conform_item(const flagver_version_row *version, const char *key);
flagver_item_row conform_decided(flagver_item_row item, int32_t status);
flagver_vote_row conform_vote(const flagver_version_row *version, const char *actor);
flagver_contributor_row conform_contributor(const flagver_version_row *version, const char *actor);

flagver_leaf_row conform_leaf(uint64_t no, const char *leaf);
flagver_node_row conform_node(uint32_t level, uint64_t index);
flagver_log_row conform_head(uint64_t size, const char *frontier);
flagver_keyed_row conform_keyed(const char *space, const char *key, int64_t rev, const char *value);

/* ---- changes ---- */

/* Changes to be applied at once. Rows are copied, the texts in them are not. */
#define CONFORM_BATCH 64
struct conform_batch {
    flagver_change changes[CONFORM_BATCH];
    union {
        flagver_series_row series;
        flagver_payload_row payload;
        flagver_version_row version;
        flagver_item_row item;
        flagver_vote_row vote;
        flagver_contributor_row contributor;
        flagver_leaf_row leaf;
        flagver_node_row node;
        flagver_log_row head;
        flagver_keyed_row keyed;
    } rows[CONFORM_BATCH];
    size_t count;
};

void conform_add_series(struct conform_batch *batch, flagver_series_row row, int64_t expect);
void conform_add_payload(struct conform_batch *batch, flagver_payload_row row);
void conform_add_version(struct conform_batch *batch, int32_t kind, flagver_version_row row,
                         int64_t expect);
void conform_shred(struct conform_batch *batch, flagver_id payload_id);
void conform_add_item(struct conform_batch *batch, int32_t kind, flagver_item_row row);
void conform_add_vote(struct conform_batch *batch, flagver_vote_row row);
void conform_add_contributor(struct conform_batch *batch, flagver_contributor_row row);
void conform_add_leaf(struct conform_batch *batch, flagver_leaf_row row);
void conform_add_node(struct conform_batch *batch, flagver_node_row row);
void conform_add_head(struct conform_batch *batch, flagver_log_row row);
void conform_add_keyed(struct conform_batch *batch, int32_t kind, flagver_keyed_row row,
                       int64_t expect);

/* The payload of this item with this body, and the item, to be added or written again. */
void conform_add_new_item(struct conform_batch *batch, flagver_item_row row, const char *body);

/* Hand the changes to the driver and empty the batch. */
int conform_apply(flagver_driver_txn *txn, struct conform_batch *batch);

/*
 * In a transaction of its own: apply and commit; or be refused and roll back; or be
 * refused exactly when it is not `fine`, and roll back in any case.
 */
void conform_commit_batch(struct conform_batch *batch);
void conform_refuse(struct conform_batch *batch, const char *what);
void conform_check_allowed(struct conform_batch *batch, bool fine, const char *what);

/*
 * Add the next version of a series, born as a draft (or RECORDED), with all that belongs to
 * it; `series` is brought up to date. The payload's body is `body`.
 */
flagver_version_row conform_next_version(flagver_driver_txn *txn, flagver_series_row *series,
                                         int32_t state, const char *body);

/* Write this version again in another state; superseded: by `superseded_by`. */
int conform_move(flagver_driver_txn *txn, flagver_version_row *version, int32_t state,
                 uint32_t superseded_by);

/* Approve a version of the series: the one that was current is superseded. */
void conform_approve(flagver_driver_txn *txn, flagver_series_row *series,
                     flagver_version_row *current, flagver_version_row *next);

/* A series with one draft in a transaction of its own; what there is of it in the end. */
flagver_series_row conform_draft(unsigned number, const char *phase, const char *subject,
                                 flagver_version_row *ret_version);

/* ---- reading ---- */

/* Rows with texts of their own. */
struct conform_rows {
    flagver_row *rows;
    void **blocks;
    size_t count, block_count;
};

void conform_scan(flagver_driver_txn *txn, const flagver_query *query,
                  struct conform_rows *ret_rows);
void conform_free(struct conform_rows *rows);
size_t conform_count(flagver_driver_txn *txn, const flagver_query *query);

flagver_query conform_all_versions(void); /* of the tenant, with payloads */
flagver_query conform_versions_of(const flagver_series_row *series);
flagver_query conform_all_series(void);
flagver_query conform_all_leaves(void);
flagver_query conform_keyed_of(const char *space, const char *key); /* key NULL: all */

/* ITEMS (with payloads), VOTES or CONTRIBUTORS of a version; `no` 0: of its series. */
flagver_query conform_parts_of(int32_t kind, const flagver_version_row *version, uint32_t no);

/* The one row that such a query finds. */
void conform_one(flagver_driver_txn *txn, const flagver_query *query,
                 struct conform_rows *ret_rows);

void conform_check_series(const flagver_series_row *got, const flagver_series_row *wanted);
/* With the names of the series; payloads are not looked at. */
void conform_check_version(const flagver_version_row *got, const flagver_version_row *wanted,
                           const flagver_series_row *series);
void conform_check_item(const flagver_item_row *got, const flagver_item_row *wanted);
void conform_check_vote(const flagver_vote_row *got, const flagver_vote_row *wanted);
void conform_check_keyed(const flagver_keyed_row *got, const flagver_keyed_row *wanted);

/* Does the log have this size and this frontier? */
void conform_check_log(flagver_driver_txn *txn, uint64_t size, const char *frontier);

/* Nothing of any tenant that these tests write to is there. */
void conform_check_empty(flagver_store *store);

/* ---- threads and processes ---- */

/* Who writes in a store of a driver with ONE_WRITER goes through here. */
void conform_enter(void);
void conform_leave(void);

/*
 * Run `body` in a child process and wait for it; what it returned. It must not use
 * Check's assertions: it says what is wrong with conform_complain() and returns 1.
 */
int conform_in_child(int (*body)(void *data), void *data);
int conform_complain(const char *what);

/* ---- the cases ---- */

void conform_store_cases(Suite *suite);
void conform_row_cases(Suite *suite);
void conform_rule_cases(Suite *suite);
void conform_item_cases(Suite *suite);
void conform_review_cases(Suite *suite);
void conform_log_cases(Suite *suite);
void conform_query_cases(Suite *suite);
void conform_transaction_cases(Suite *suite);
void conform_within_cases(Suite *suite);
void conform_thread_cases(Suite *suite);
void conform_process_cases(Suite *suite);

#endif
