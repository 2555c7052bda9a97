/**
 * libflagver: the driver interface. A driver keeps the library's records in some
 * database; applications do not need this header.
 *
 * The library decides: rules, numbers, hashes, times, retries. It collects what a
 * transaction changes and hands it over in batches. The driver owns durability,
 * locks, uniqueness and order, and where its database can, it repeats the
 * library's rules as constraints. docs/drivers.md tells how to write one;
 * tests/conformance is the suite that every driver must pass.
 *
 * All functions return 0 or a negative FLAGVER_E… code and fill `err` (which may
 * be NULL); outputs are written only on success. Besides what each function
 * names they may return
 *
 *   FLAGVER_EBUSY         a lock was not to be had in time, or the database took
 *                         the transaction back: running it again may succeed
 *   FLAGVER_EUNAVAILABLE  the database cannot be reached, written or read now
 *   FLAGVER_ECORRUPT      the database contradicts itself, or a change breaks a rule
 *   FLAGVER_ESCHEMA       the schema is missing or of another version
 *   FLAGVER_EIO, FLAGVER_ENOMEM
 *
 * The class of the code (flagver_error_class) says whether the library tries again.
 *
 * Threads: a store is used by any number of threads at once, a transaction and
 * its cursors by one at a time, not always the same.
 *
 * Texts are UTF-8 without NUL; they compare and sort by their bytes. Times are
 * microseconds since 1970-01-01T00:00:00Z; 0 is "none". What the library passes
 * in is borrowed until the call returns. What a cursor yields is borrowed until
 * the cursor's next step or end.
 */
#ifndef FLAGVER_DRIVER_H
#define FLAGVER_DRIVER_H

#include "flagver/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Changes when a driver that was compiled before would misunderstand. */
#define FLAGVER_DRIVER_ABI 2u

/** The schema that this library asks for. */
#define FLAGVER_SCHEMA_VERSION 2u

/** Bytes or UTF-8 text, no NUL behind it. A NULL pointer is "none", unlike an empty text. */
typedef struct flagver_bytes {
    const void *data;
    size_t length;
} flagver_bytes;

/** A UUID. */
typedef struct flagver_id {
    uint8_t bytes[16];
} flagver_id;

/* ---- rows ---- */

/** States of a version. */
#define FLAGVER_STATE_DRAFT 1
#define FLAGVER_STATE_SUBMITTED 2
#define FLAGVER_STATE_APPROVED 3
#define FLAGVER_STATE_SUPERSEDED 4
#define FLAGVER_STATE_REJECTED 5
#define FLAGVER_STATE_WITHDRAWN 6
#define FLAGVER_STATE_RECORDED 7

/** Bits of a version. */
#define FLAGVER_VERSION_TOMBSTONE 1u /**< says that the record is deleted */
#define FLAGVER_VERSION_EMERGENCY 2u /**< in force by an emergency rule, without approval */

/** What was decided about an item. */
#define FLAGVER_ITEM_PENDING 0
#define FLAGVER_ITEM_APPROVED 1
#define FLAGVER_ITEM_REJECTED 2

/**
 * A series: the versions of one record. (tenant, phase, subject) names it, and
 * so does `id`; both are unique.
 *
 * last_no     the highest number given; 0: none yet
 * current_no  the number that is in force, 0: none; 0 … last_no
 * rev         counts the changes of this row, from 1
 * changed_at  time of the last change; never falls
 */
typedef struct flagver_series_row {
    flagver_id id;
    flagver_bytes tenant, phase, subject;
    uint32_t last_no, current_no;
    int64_t rev;
    int64_t changed_at;
} flagver_series_row;

/** A payload: the exact bytes, in a row of their own. `key` 0: not encrypted. */
typedef struct flagver_payload_row {
    flagver_id id;
    uint32_t key;
    flagver_bytes salt; /**< or none */
    flagver_bytes body;
} flagver_payload_row;

/**
 * A version. (series, no) is unique, and so is `id`.
 *
 * no             1 … last_no of its series
 * parent_no, base_no, reverts_no   smaller numbers of the series, 0: none
 * superseded_by  the greater number that took its place; set exactly in state SUPERSEDED
 * decided_…      who approved or rejected it, and when; superseded_at > decided_at
 * note           what the author said about it, or none
 * phase, subject, tenant, payload, payload_key, payload_salt
 *                only in rows that are read, of its series and its payload; payload
 *                is "none" when it was not asked for or is gone
 */
typedef struct flagver_version_row {
    flagver_id series, id;
    uint32_t no, parent_no, base_no, reverts_no, superseded_by;
    int32_t state;
    uint32_t bits;
    int64_t rev;
    int64_t created_at, submitted_at, decided_at, superseded_at;
    flagver_bytes created_by, decided_by, note;
    flagver_id payload_id;
    uint8_t content_hash[32];

    flagver_bytes tenant, phase, subject;
    flagver_bytes payload, payload_salt;
    uint32_t payload_key;
} flagver_version_row;

/**
 * An item of a version: a part of its content that is decided on its own.
 * (series, no, key) is unique.
 *
 * key        1 to 512 bytes of text
 * status     FLAGVER_ITEM_…; decided_by and decided_at are set exactly when it is not PENDING
 * origin_no  the version in which this very content was approved first, up to `no`; 0: not yet
 * note       what was said about the decision, or none
 * payload, payload_key, payload_salt
 *            as in flagver_version_row
 */
typedef struct flagver_item_row {
    flagver_id series;
    uint32_t no;
    int32_t status;
    flagver_bytes key;
    uint32_t origin_no;
    int64_t decided_at;
    flagver_bytes decided_by, note;
    flagver_id payload_id;
    uint8_t hash[32];

    flagver_bytes payload, payload_salt;
    uint32_t payload_key;
} flagver_item_row;

/**
 * Somebody's approval of a version with this content; (series, no, actor, content_hash) is unique.
 * Nothing ever changes or deletes one.
 */
typedef struct flagver_vote_row {
    flagver_id series;
    uint32_t no;
    flagver_bytes actor;
    uint8_t content_hash[32];
    int64_t time;
    flagver_bytes note;
} flagver_vote_row;

/** Somebody who has edited a version that another has created; (series, no, actor) is unique. */
typedef struct flagver_contributor_row {
    flagver_id series;
    uint32_t no;
    flagver_bytes actor;
} flagver_contributor_row;

/** A leaf of a tenant's audit log. Numbers are dense, from 0; nothing ever changes one. */
typedef struct flagver_leaf_row {
    flagver_bytes tenant;
    uint64_t no;
    flagver_bytes leaf;
    uint8_t hash[32];
} flagver_leaf_row;

/**
 * What is kept of the Merkle tree over a tenant's leaves: its perfect subtrees of 2^level leaves,
 * for the levels 4, 8, 12 …; (tenant, level, index) is unique. Nothing ever changes one.
 */
typedef struct flagver_node_row {
    flagver_bytes tenant;
    uint32_t level;
    uint64_t index;
    uint8_t hash[32];
} flagver_node_row;

/**
 * The head of a tenant's audit log: how many leaves there are, and what the library
 * remembers of the tree when it appends the next one; none while it has not said. When leaves
 * came after what it said last, that or none.
 */
typedef struct flagver_log_row {
    flagver_bytes tenant;
    uint64_t size;
    flagver_bytes frontier;
} flagver_log_row;

/**
 * A row of the keyed table: small state of the library, by (tenant, space, key).
 *
 * space  what it is about, for instance "request"; 1 to 64 bytes
 * key    1 to 512 bytes of text
 * rev    what compare-and-set compares; chosen by the library, > 0
 * time   of the last change; rows are also found by it
 */
typedef struct flagver_keyed_row {
    flagver_bytes tenant, space, key;
    int64_t rev, time;
    flagver_bytes value;
} flagver_keyed_row;

/* ---- changes ---- */

/**
 * One change. `expect` is the rev that the row must have now, 0: the row must
 * not be there, FLAGVER_EXPECT_ANY: whatever is there. When it is not so, apply
 * returns FLAGVER_ECONFLICT. Only SERIES, VERSION_CHANGE and KEYED… look at it.
 *
 * SERIES          write the series; with expect 0 it is new
 * PAYLOAD         add a payload
 * VERSION_NEW     add a version: state DRAFT or RECORDED, no = last_no of its series,
 *                 whose SERIES change comes before; so does its PAYLOAD
 * VERSION_CHANGE  write a version that exists. DRAFT, SUBMITTED and APPROVED may change
 *                 as follows, others not at all: 1→1 1→2 1→3 1→6 2→1 2→2 2→3 2→5 2→6 3→4.
 *                 series, id, no, parent_no, reverts_no, created_… and TOMBSTONE never
 *                 change; payload_id, content_hash and base_no only in 1→1. At most one
 *                 version of a series is APPROVED at any moment.
 *                 When the version has items, they may change only while it is a DRAFT, but for
 *                 decisions (see ITEM).
 * SHRED           a payload, by its id, is gone for good: body, key and salt are forgotten, and
 *                 whoever reads it gets "none". Its row stays for those that refer to it. One
 *                 that is gone already stays so.
 * ITEM            write an item, new or not. Of a version that is SUBMITTED only status,
 *                 origin_no, decided_… and note of an item that exists; of a DRAFT anything.
 * ITEM_DELETE     delete an item of a DRAFT
 * VOTE            add a vote, to a version that is SUBMITTED, or APPROVED or SUPERSEDED by
 *                 EMERGENCY
 * CONTRIBUTOR     add a contributor, to a DRAFT
 * LEAF            append a leaf; its number is the size of the log
 * NODE            add a node of the tree
 * HEAD            remember this frontier; `size` is the size of the log
 * KEYED           write a keyed row
 * KEYED_DELETE    delete it: `keyed` names tenant, space, key
 * KEYED_EXPIRE    delete up to 1000 rows of `keyed`'s tenant and space older than `time`
 *
 * These and what the rows say of their columns are the rules of a change. The numbers of a
 * series have no gaps. The library has checked the rules before: a driver without
 * FLAGVER_DRIVER_RULES may rely on that as to states, births, frozen columns, numbers and times
 * that fall, gaps, and series and payloads that are referred to. With FLAGVER_ECORRUPT or
 * FLAGVER_ECONFLICT every driver refuses an id or a name that another row has already, a change
 * of a version that is not there, a second vote, contributor or node of one name, and a leaf or head
 * whose number or size is not the size of the log.
 */
#define FLAGVER_CHANGE_SERIES 1
#define FLAGVER_CHANGE_PAYLOAD 2
#define FLAGVER_CHANGE_VERSION_NEW 3
#define FLAGVER_CHANGE_VERSION_CHANGE 4
#define FLAGVER_CHANGE_LEAF 5
#define FLAGVER_CHANGE_KEYED 6
#define FLAGVER_CHANGE_KEYED_DELETE 7
#define FLAGVER_CHANGE_KEYED_EXPIRE 8
#define FLAGVER_CHANGE_SHRED 9
#define FLAGVER_CHANGE_ITEM 10
#define FLAGVER_CHANGE_ITEM_DELETE 11
#define FLAGVER_CHANGE_VOTE 12
#define FLAGVER_CHANGE_CONTRIBUTOR 13
#define FLAGVER_CHANGE_NODE 14
#define FLAGVER_CHANGE_HEAD 15

#define FLAGVER_EXPECT_ANY INT64_C(-1)

typedef struct flagver_change {
    int32_t kind;
    uint32_t reserved;
    int64_t expect;
    union {
        const flagver_series_row *series;
        const flagver_payload_row *payload;
        const flagver_version_row *version;
        const flagver_leaf_row *leaf;
        const flagver_keyed_row *keyed;
        const flagver_item_row *item;
        const flagver_vote_row *vote;
        const flagver_contributor_row *contributor;
        const flagver_node_row *node;
        const flagver_log_row *head;
    } row;
} flagver_change;

/* ---- queries ---- */

/**
 * What to scan, in this order, of the transaction's tenant (TENANTS: of the store):
 *
 * VERSIONS   versions, with their series. Which ones `pick` says:
 *            CURRENT  of each series its current one; AS_OF: the one that was in force at
 *            `time` (decided_at <= time and not superseded by then; RECORDED: the highest
 *            with created_at <= time); NUMBER: number `no`; ALL: every one.
 *            `phase` and `subject` name the series (`subject` none: all of the phase,
 *            `phase` none too: all of the tenant); with `prefix` non-zero `subject` is what
 *            subjects begin with. In order of phase, subject, number; only after `after`
 *            (a subject) or, for ALL of one series, after number `after_no`; with `backwards`
 *            in the opposite order, before them. `payload` non-zero: with payloads.
 *            `states` non-zero: only versions in one of these states, bit 1 << FLAGVER_STATE_….
 *            `brief` non-zero: of each version subject, no, bits and the payload with its members
 *            are looked at, and the rest need not be set.
 * VERSION    the version with id `id`
 * SERIES     series, chosen and ordered as for VERSIONS
 * LEAVES     leaves from number `from` on, in order
 * KEYED      keyed rows of `space` in order of key: with key `subject`, or (`prefix`) keys that
 *            begin with it, or (none) all; only after `after`; `time` non-zero: only older ones
 * TENANTS    names of tenants that have a series or a leaf, in order; FLAGVER_EDENIED where the
 *            database does not let whoever asks see them
 * ITEMS      items of the series with id `id`, of version `no` (0: of all) in order of version
 *            and key; with `subject` the one with this key; only after key `after` (with `no`);
 *            `payload` non-zero: with payloads
 * VOTES      votes of the series with id `id`, of version `no` (0: of all), in order of version,
 *            time and actor
 * CONTRIBUTORS  the same of contributors, in order of version and actor
 *            With an `id` of zeros these three are of all of the tenant's series, and those come
 *            in order of phase and subject; without `after`.
 * NODES      nodes of level `no` from index `from` on, in order
 * LOG        the head of the log; nothing while it has no leaf
 *
 * limit  at most so many rows; 0: all
 */
#define FLAGVER_QUERY_VERSIONS 1
#define FLAGVER_QUERY_VERSION 2
#define FLAGVER_QUERY_SERIES 3
#define FLAGVER_QUERY_LEAVES 4
#define FLAGVER_QUERY_KEYED 5
#define FLAGVER_QUERY_TENANTS 6
#define FLAGVER_QUERY_ITEMS 7
#define FLAGVER_QUERY_VOTES 8
#define FLAGVER_QUERY_CONTRIBUTORS 9
#define FLAGVER_QUERY_NODES 10
#define FLAGVER_QUERY_LOG 11

#define FLAGVER_PICK_CURRENT 1
#define FLAGVER_PICK_AS_OF 2
#define FLAGVER_PICK_NUMBER 3
#define FLAGVER_PICK_ALL 4

typedef struct flagver_query {
    int32_t kind;
    int32_t pick;
    flagver_bytes phase, subject, space, after;
    int32_t prefix, backwards, payload;
    uint32_t no, after_no;
    uint32_t limit;
    uint32_t states;
    int64_t time;
    uint64_t from;
    flagver_id id;
    int32_t brief;
} flagver_query;

/** What a scan yields: the member that the query's kind asks for is set. */
typedef struct flagver_row {
    union {
        flagver_version_row version;
        flagver_series_row series;
        flagver_leaf_row leaf;
        flagver_keyed_row keyed;
        flagver_bytes tenant;
        flagver_item_row item;
        flagver_vote_row vote;
        flagver_contributor_row contributor;
        flagver_node_row node;
        flagver_log_row log;
    } as;
} flagver_row;

/* ---- the driver ---- */

typedef struct flagver_store flagver_store;           /**< the driver's own */
typedef struct flagver_driver_txn flagver_driver_txn; /**< the driver's own */
typedef struct flagver_cursor flagver_cursor;         /**< the driver's own */

/** Capabilities. */
#define FLAGVER_DRIVER_DURABLE 1u    /**< what is committed survives power loss */
#define FLAGVER_DRIVER_PROCESSES 2u  /**< several processes may use one store at once */
#define FLAGVER_DRIVER_ONE_WRITER 4u /**< begin(WRITE) is never called while another one is open */
#define FLAGVER_DRIVER_ENLIST 8u     /**< has `adopt` */
#define FLAGVER_DRIVER_SELF_UPGRADE 16u /**< open creates and upgrades the schema */
#define FLAGVER_DRIVER_TENANTS 32u      /**< the database itself keeps tenants apart */
#define FLAGVER_DRIVER_RULES 64u        /**< refuses what breaks a rule, whoever asks */

/**
 * What a store is opened with; borrowed until open returns, but for the hooks.
 *
 * path      what stands behind "NAME:" in the URI
 * wait_ms   how long to wait for a lock before FLAGVER_EBUSY
 * memory    the allocator for the driver's own memory; NULL: malloc
 * read_only non-zero: nothing will be written, and nothing is to be created
 * no_upgrade  non-zero: open leaves the schema alone, also with SELF_UPGRADE, whatever it is;
 *           a store that does not exist is FLAGVER_ENOTFOUND with SELF_UPGRADE
 * no_create  non-zero: a store that does not exist is FLAGVER_ENOTFOUND with SELF_UPGRADE
 */
typedef struct flagver_driver_config {
    size_t size;
    const char *path;
    int32_t wait_ms;
    int32_t read_only;
    int32_t no_upgrade;
    int32_t no_create;
    const flagver_allocator *memory;
} flagver_driver_config;

/** The application's own open transaction, for `adopt`; or ours, for `connection`. */
typedef struct flagver_adoption {
    void *connection;    /**< the application's handle, for instance a sqlite3 * */
    const void *library; /**< tells which copy of the database's library made it */
    int32_t version;     /**< of that library */
} flagver_adoption;

#define FLAGVER_MODE_READ 1
#define FLAGVER_MODE_WRITE 2

#define FLAGVER_NEST_BEGIN 1
#define FLAGVER_NEST_KEEP 2
#define FLAGVER_NEST_UNDO 3

/**
 * A driver: a table of functions, to be registered with flagver_driver_register().
 * All are required but `adopt`, `watch_fd` and those from `examine` on. A later version of the
 * library adds members only at the end; it reads no more than `size` says.
 *
 * name  what URIs begin with; 1 to 32 lower-case letters, digits, '+', '-', '.'
 *
 * open            open a store. A driver with SELF_UPGRADE creates or upgrades the schema first.
 *                 Others leave it alone: FLAGVER_ESCHEMA when it is missing or too old, but with
 *                 no_upgrade the store opens, so that its schema can be made.
 * close           close it; all its transactions have ended. NULL is not passed.
 * abandon         the process has forked and this is the child: give up the store without touching
 *                 connections, locks or files that are the parent's
 * ping            is the store there? FLAGVER_EUNAVAILABLE when not
 * describe        one line of JSON about the store for people: an object. Waits for nobody:
 *                 rather FLAGVER_EBUSY
 *
 * schema_version  the version of the schema that is there; 0: none
 * schema_migrate  take the schema to version `to`, up or down, one transaction a step; several
 *                 processes may try at once. Going down discards what the lower version cannot hold.
 * schema_verify   compare the schema that is there with what it should be; `found` is called
 *                 with a line for each thing that is missing or different, and `checked` with
 *                 a line for each that is fine; either may be NULL. Also damage of the database.
 *
 * begin           begin a transaction of this tenant. READ sees one state of the store, WRITE
 *                 the newest. Transactions of other tenants are not seen. An empty
 *                 tenant is none: its transactions only read, and only TENANTS.
 * adopt           begin inside the application's open transaction. commit then only ends our part,
 *                 and rollback undoes our changes alone.
 * commit          end a transaction; the handle is gone in any case. FLAGVER_EUNKNOWN when
 *                 it may or may not have been committed. When the store was lost
 *                 meanwhile, this or a call before it says FLAGVER_EUNAVAILABLE.
 * rollback        end it and undo it; never fails
 * outcome         was the transaction committed that wrote the keyed row (space "request", `key`)?
 *                 Must be certain: a remnant of it that may still commit is ended or waited for.
 *
 * lock            make these series the transaction's own until it ends and read them as they are
 *                 then: `series` of each has tenant, phase, subject on entry and all of it on
 *                 return; rev 0: there is no such series. Its texts may then be the driver's,
 *                 until the transaction ends. Keys come in byte order of phase, subject;
 *                 with `try_only` non-zero nothing is waited for: FLAGVER_EBUSY.
 *                 (A series that is not there cannot be locked everywhere: two transactions may
 *                 both try to create it, and one gets FLAGVER_EBUSY or FLAGVER_ECONFLICT from apply.)
 * lock_log        make the tenant's audit log the transaction's own; the number of its leaves.
 *                 Called last before the LEAF, NODE and HEAD changes.
 * apply           make these changes, in order, all or none. When they are refused, none of them
 *                 is visible and the transaction goes on, or it can then only be rolled back.
 * scan            see flagver_query; sees the transaction's own changes
 * next            1 and a row, 0 at the end
 * end_scan        free the cursor; NULL is not passed
 *
 * changes         the number of leaves in this tenant's log, outside of any transaction. Asked
 *                 several times a second, so it has to be cheap; and to notice that the store
 *                 was replaced or is gone (FLAGVER_EUNAVAILABLE). Makes the descriptor rest.
 * watch_fd        a descriptor that becomes readable when there may be changes, of whichever
 *                 tenant, or -1: there is none, or none yet. It is opened when it is asked for
 *                 first, and stays the same and open until the store is closed. After `changes`
 *                 it is readable only because of what came since, also when `changes`
 *                 has failed and whatever is wrong with the descriptor: those who wait for it
 *                 would run in circles. A hint only: what it misses is found by asking.
 * examine         what only the database can tell of itself to people who look it over before a
 *                 deployment: its version, this role's rights, settings that endanger what is
 *                 committed, clocks, room. `visit` is called with FLAGVER_FINDING_… and a line;
 *                 one that is not OK says what to do. Also without a schema. What cannot be found
 *                 out is a line, too. Changes nothing; may take seconds.
 *
 * The last three are called in transactions that write, adopted ones included:
 *
 * hold            make a keyed row the transaction's own until it ends, and read it as it is then.
 *                 `row` has space and key on entry and all of it on return, rev 0: there is no
 *                 such row; its texts and value may then be the driver's, until the next call
 *                 for the transaction. With `shared` others may hold it shared at the same time,
 *                 without nobody else holds it, and those who come later do not pass who waits
 *                 for that. It keeps away only who holds the row, too. `number` stands for the
 *                 row: the library has chosen it at random, once for all; a driver may lock it
 *                 instead. Never called behind lock_log. NULL: with ONE_WRITER and without
 *                 PROCESSES and ENLIST nobody else is there, and the library scans for the row;
 *                 for others what needs it is FLAGVER_ENOTSUP.
 * nest            FLAGVER_NEST_BEGIN: from here on things can be taken back. FLAGVER_NEST_UNDO does
 *                 so, with our changes and what the application has done on `connection`; the
 *                 transaction then goes on, also when a change was refused or a statement of
 *                 the application's has failed since. Locks that were taken since may be gone.
 *                 FLAGVER_NEST_KEEP: they stay. One level; no cursor is open at any of these calls,
 *                 and what was begun ends before commit. NULL: FLAGVER_ENOTSUP.
 * connection      the database library's own handle of the transaction, for statements of the
 *                 application's in it: `adoption` tells its copy of that library on entry
 *                 (`library` NULL: it is not compared), and has `connection` on return. Other
 *                 copies are FLAGVER_EINVAL. Nothing is under way on it then, nor from then on
 *                 between the library's calls; open cursors go on. What the application must not
 *                 do there stands at flagver_txn_connection(). NULL: FLAGVER_ENOTSUP.
 */
typedef struct flagver_driver {
    uint32_t abi;
    uint32_t size;
    const char *name;
    uint64_t capabilities;

    int (*open)(const flagver_driver_config *config, flagver_store **ret_store, flagver_error *err);
    void (*close)(flagver_store *store);
    void (*abandon)(flagver_store *store);
    int (*ping)(flagver_store *store, flagver_error *err);
    int (*describe)(flagver_store *store, char *buffer, size_t size, flagver_error *err);

    int (*schema_version)(flagver_store *store, uint32_t *ret_version, flagver_error *err);
    int (*schema_migrate)(flagver_store *store, uint32_t to, flagver_error *err);
    int (*schema_verify)(flagver_store *store, void (*found)(void *data, const char *line),
                         void (*checked)(void *data, const char *line), void *data,
                         flagver_error *err);

    int (*begin)(flagver_store *store, flagver_bytes tenant, int mode, flagver_driver_txn **ret_txn,
                 flagver_error *err);
    int (*adopt)(flagver_store *store, flagver_bytes tenant, const flagver_adoption *adoption,
                 flagver_driver_txn **ret_txn, flagver_error *err);
    int (*commit)(flagver_driver_txn *txn, flagver_error *err);
    void (*rollback)(flagver_driver_txn *txn);
    int (*outcome)(flagver_store *store, flagver_bytes tenant, flagver_bytes key,
                   bool *ret_committed, flagver_error *err);

    int (*lock)(flagver_driver_txn *txn, flagver_series_row *series, size_t count, int try_only,
                flagver_error *err);
    int (*lock_log)(flagver_driver_txn *txn, uint64_t *ret_size, flagver_error *err);
    int (*apply)(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                 flagver_error *err);
    int (*scan)(flagver_driver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
                flagver_error *err);
    int (*next)(flagver_cursor *cursor, flagver_row *ret_row, flagver_error *err);
    void (*end_scan)(flagver_cursor *cursor);

    int (*changes)(flagver_store *store, flagver_bytes tenant, uint64_t *ret_size,
                   flagver_error *err);
    int (*watch_fd)(flagver_store *store);
    int (*examine)(flagver_store *store, void (*visit)(void *data, int finding, const char *line),
                   void *data, flagver_error *err);

    int (*hold)(flagver_driver_txn *txn, flagver_keyed_row *row, int64_t number, int shared,
                flagver_error *err);
    int (*nest)(flagver_driver_txn *txn, int what, flagver_error *err);
    int (*connection)(flagver_driver_txn *txn, flagver_adoption *adoption, flagver_error *err);
} flagver_driver;

/**
 * Make a driver known to flagver_open() in this process, as "NAME:PATH". The table must stay
 * as it is for the rest of the process; a driver cannot be taken back.
 *
 * @return 0, or
 *   FLAGVER_EINVAL  another ABI, a required function is missing, or no valid name
 *   FLAGVER_EEXIST  there is a driver of this name
 *   FLAGVER_EBUSY   there are 32 drivers already
 *
 * Threads: any.
 */
FLAGVER_API int flagver_driver_register(const flagver_driver *driver, flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
