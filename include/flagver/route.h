/**
 * libflagver: moving data from an old system to a new one while the application runs.
 *
 * A route stands between the application and two sides, the old system and the new one. The
 * stage of a migration says where a read or a write goes, whose answer counts, and which side is
 * believed (the authority):
 *
 *   stage       reads            writes        believed
 *   off         old              old           old
 *   dualwrite   old              old, new      old
 *   backfill    old              old, new      old
 *   shadow      old, new         old, new      old
 *   ramp        by key           old, new      old
 *   live        new, old         new, old      new
 *   rampdown    new              new, old      new
 *   complete    new              new           new
 *
 * The authority is written first; if that fails the other side is not tried and the call fails.
 * If the other side fails the call succeeds, and what is to be repaired is known. Where two sides
 * are read the answer is the believed side's alone, in `ramp` that of the side the key is on; the
 * other one is compared with it, and what it does never reaches the caller.
 *
 * The stage comes from one of two places:
 *
 *   a migration  a record of the phase "flagver.migration" in the client's store, which every
 *                process follows. What is lost by a crash or a failure is remembered and repaired:
 *                docs/routing.md says what is promised in which arrangement, and what is not.
 *   a flag       a string flag that serves one of the stages' names, for each context
 *                its own: routing as LaunchDarkly's migrators do it, and no more. Nothing is
 *                remembered: a write that fails on one side is reported and then forgotten.
 *
 * The functions of a side are the application's. They are called on the thread that asks, or on
 * the route's workers, any number at once, and must not call the route.
 */
#ifndef FLAGVER_ROUTE_H
#define FLAGVER_ROUTE_H

#include "flagver/base.h"
#include "flagver/client.h"
#include "flagver/context.h"
#include "flagver/flag.h"
#include "flagver/txn.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct flagver_route flagver_route;
struct flagver_difference;

/** Takes what a side's function has to give; lives until that returns. */
typedef struct flagver_sink flagver_sink;

/** The longest name of a migration, key of a record and id of an operation, in bytes. */
#define FLAGVER_MIGRATION_LIMIT 64
#define FLAGVER_ROUTE_KEY_LIMIT 255
#define FLAGVER_OPERATION_ID_LIMIT 255

#define FLAGVER_STAGE_OFF 1
#define FLAGVER_STAGE_DUALWRITE 2
#define FLAGVER_STAGE_BACKFILL 3
#define FLAGVER_STAGE_SHADOW 4
#define FLAGVER_STAGE_RAMP 5
#define FLAGVER_STAGE_LIVE 6
#define FLAGVER_STAGE_RAMPDOWN 7
#define FLAGVER_STAGE_COMPLETE 8

/** "off", "dualwrite" and so on; NULL for a number that is no stage. Static. */
FLAGVER_API const char *flagver_stage_name(int stage);

/** The stage of this name, 0 when there is none. */
FLAGVER_API int flagver_stage_parse(const char *name);

#define FLAGVER_SIDE_OLD 0
#define FLAGVER_SIDE_NEW 1

/** What an operation does. */
#define FLAGVER_ROUTE_READ 1
#define FLAGVER_ROUTE_WRITE 2
#define FLAGVER_ROUTE_REMOVE 3
/** What else a side is asked for. */
#define FLAGVER_ROUTE_SCAN 4
#define FLAGVER_ROUTE_WRITE_MANY 5
#define FLAGVER_ROUTE_DEACTIVATE 6
#define FLAGVER_ROUTE_COUNT 7
#define FLAGVER_ROUTE_FIND 8

/* ---- sides ---- */

/**
 * What a side's function is asked; borrowed until it returns. More members may follow in later
 * versions of the library.
 *
 * operation     FLAGVER_ROUTE_…
 * side          FLAGVER_SIDE_…
 * key           of the record; NULL while one is created whose key the side makes itself, or looked for
 * operation_id  the same for both sides, and for every try of one operation: a side that
 *               remembers it can tell a second try from a second operation. "": a read
 * payload       what the caller of flagver_route_read() passed on, or NULL
 * deadline      when nobody waits for the answer any more, CLOCK_MONOTONIC in nanoseconds; 0: never. Calls of
 *               the library's own (repairs, copies, comparisons) have 10 seconds at most
 * txn           enlisted sides: the transaction in which the side's rows are to be written:
 *               flagver_txn_connection() has the database's handle. NULL for a detached side, and
 *               mostly where one is only read: then it is by a connection of the side's own
 */
typedef struct flagver_side_call {
    int32_t operation;
    int32_t side;
    const char *key;
    const char *operation_id;
    const void *payload;
    size_t payload_length;
    int64_t deadline;
    flagver_txn *txn;
} flagver_side_call;

/** A record to be written with others; borrowed. */
typedef struct flagver_side_row {
    const char *key;
    const void *value;
    size_t length;
} flagver_side_row;

/**
 * A side: the functions by which it is reached. Set `size`; `read` and `write` are required, and
 * `remove` where flagver_route_remove() is called.
 *
 * Each returns 0 or a negative FLAGVER_E… code and fills `err`, which is never NULL; an
 * application's own errors are best said as FLAGVER_EUNAVAILABLE or FLAGVER_EIO, in its words. Any
 * other number is an error, too: FLAGVER_EINVAL, which names the function. They must not jump or
 * throw out of the call.
 *
 * client   NULL: the side is detached, any system whatsoever. Otherwise it is enlisted: its rows
 *          live in the database of this client's store, and the functions that write run inside a
 *          transaction there (call->txn)
 * read     hand the record's value to flagver_sink_value(), or return FLAGVER_ENOTFOUND
 * write    make the record's value this one, whether it was there or not. Writing the same twice
 *          must do no harm. With call->key NULL: create a record, and tell its key with
 *          flagver_sink_key()
 * remove   the record is gone; one that is not there is fine
 * scan     hand records whose keys come after `after` ("": from the first) to flagver_sink_row(), in byte
 *          order of their keys, about `limit` of them and at least one; and call flagver_sink_end() when there
 *          are no more behind them. Only that says so, not that few came. NULL: nothing can be copied or compared
 *
 * write_many  write these records, all of them or none, whose keys rise: for copies between enlisted sides;
 *          NULL: `write` is called for each
 * deactivate  the side is not written any more after a rollback: mark what it has as old, clear caches, tell
 *          people. Called again until it returns 0, once by each process that rolls back. NULL: nothing to do
 * count    about how many records there are: an estimate will do, if it is quick. It says how much of a copy is
 *          left, and is asked when one begins and about once a minute. NULL: not known
 * find_by_operation  hand the key of the record that `write` has created for call->operation_id to
 *          flagver_sink_key(), or return FLAGVER_ENOTFOUND: it has created none. Asked where a process has
 *          died, or the side has failed, before the key was known. NULL: while both sides are written, this
 *          side makes keys only if it is enlisted
 *
 * A function of an enlisted side may return FLAGVER_EBUSY for "again, in another transaction" (a
 * serialization failure, a deadlock). Any other error is what comes of the operation, the repair or the
 * records of a copy that it was called for.
 */
typedef struct flagver_side {
    size_t size;
    flagver_client *client;
    void *data;
    int (*read)(void *data, const flagver_side_call *call, flagver_sink *sink, flagver_error *err);
    int (*write)(void *data, const flagver_side_call *call, const void *value, size_t length,
                 flagver_sink *sink, flagver_error *err);
    int (*remove)(void *data, const flagver_side_call *call, flagver_error *err);
    int (*scan)(void *data, const flagver_side_call *call, const char *after, uint32_t limit,
                flagver_sink *sink, flagver_error *err);
    int (*write_many)(void *data, const flagver_side_call *call, const flagver_side_row *rows,
                      size_t count, flagver_error *err);
    int (*deactivate)(void *data, const flagver_side_call *call, flagver_error *err);
    int (*count)(void *data, const flagver_side_call *call, uint64_t *ret_count,
                 flagver_error *err);
    int (*find_by_operation)(void *data, const flagver_side_call *call, flagver_sink *sink,
                             flagver_error *err);
} flagver_side;

/** The value of the record that was asked for; copied. A second one takes the place of the first. */
FLAGVER_API int flagver_sink_value(flagver_sink *sink, const void *value, size_t length);

/** A record that a scan has found; copied. Keys rise. */
FLAGVER_API int flagver_sink_row(flagver_sink *sink, const char *key, const void *value,
                                 size_t length);

/** There is nothing behind what a scan has handed over. */
FLAGVER_API void flagver_sink_end(flagver_sink *sink);

/** The key of a record that was created; copied. */
FLAGVER_API int flagver_sink_key(flagver_sink *sink, const char *key);

/* ---- events ---- */

/** How far an operation has got on one side. */
typedef struct flagver_route_side_result {
    bool invoked;
    int32_t code;       /**< 0, or the error that the side returned */
    int64_t latency_ns; /**< 0 when it was not invoked */
} flagver_route_side_result;

/**
 * One operation, when it is over; borrowed until the function returns. More members may follow in
 * later versions of the library.
 *
 * route          the name of the migration, or of the flag
 * operation      FLAGVER_ROUTE_…
 * key            of the record; NULL: none was told
 * context        that the flag was evaluated for, or NULL
 * time           when it began, milliseconds since 1970-01-01T00:00:00Z
 * stage          by which it was routed; default_stage: what it would have been without an answer
 * version        of the migration's record or the flag, 0: none
 * reason, error  how the stage was found, FLAGVER_REASON_… and FLAGVER_ERROR_…
 * sides          by FLAGVER_SIDE_…
 * consistent     1 the two answers agree, 0 they differ, -1 they were not compared
 * check_ratio, sampling_ratio
 *                one in so many reads is compared, one in so many operations told; 0: none
 */
typedef struct flagver_route_event {
    const char *route;
    int32_t operation;
    const char *key;
    const flagver_context *context;
    int64_t time;
    int32_t stage, default_stage;
    int64_t version;
    int32_t reason, error;
    flagver_route_side_result sides[2];
    int32_t consistent;
    uint32_t check_ratio, sampling_ratio;
} flagver_route_event;

/**
 * An event in the form of LaunchDarkly's `migration_op`: one JSON object, times in milliseconds.
 * "variation" is the place of the stage among its six stages; a stage that is not one of them has none.
 *
 * @param ret_json  freed with flagver_string_free()
 * @return 0, or
 *   FLAGVER_EINVAL  what that form does not have: no key, no side was invoked
 *   FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_route_event_json(const flagver_route_event *event, char **ret_json,
                                         flagver_error *err);

/**
 * A guard has tripped: reads of the new side are not what they should be. Borrowed; more members may
 * follow in later versions of the library.
 *
 * guard         "match_rate", "error_rate", "p99_ratio" or "oldest_ms"
 * value, limit  what was seen, and what the migration's record allows: rates as shares of 1, ages in milliseconds
 * stage         in which that was
 * acted         reads were taken back: in `ramp` to 0 %, in `shadow` to the stage before. False: they could
 *               not be, somebody has to
 */
typedef struct flagver_route_alert {
    const char *route;
    const char *guard;
    double value, limit;
    int32_t stage;
    bool acted;
} flagver_route_alert;

/* ---- the route ---- */

/** In which order two sides are read. Writes are always one after the other. */
#define FLAGVER_ORDER_CONCURRENT 0 /**< at once, where the route has workers; else as SERIAL */
#define FLAGVER_ORDER_SERIAL 1     /**< the believed side first */
#define FLAGVER_ORDER_RANDOM 2     /**< either first, by chance */

/** What steps do about differences between the sides. */
#define FLAGVER_VERIFY_BY_CALL 0 /**< nothing: the sides are compared by flagver_route_verify() */
#define FLAGVER_VERIFY_REPORT 1  /**< when all is copied, steps compare them, and tell */
#define FLAGVER_VERIFY_REPAIR 2  /**< and make the side that is not believed equal */

/**
 * Options of a route. Set `size`, the sides and what else is wanted.
 *
 * flag           the stage comes from this flag; NULL: from the migration
 * default_stage  with `flag`: what to go by while the flag has no answer; 0: FLAGVER_STAGE_OFF
 * old_side, new_side  copied
 * compare        are these two values of one record equal? 1: yes, 0: no, negative: cannot be told. Always
 *                called with the old side's value first. NULL: shadow reads are not compared
 * compare_data
 * order          FLAGVER_ORDER_…
 * workers        so many threads of the route's own, 1 to 64, for reads of the other side; 0: none, and all
 *                happens on the calling thread. All signals are blocked in them
 * shadow_timeout_ms  how long a read waits for the side that does not answer the caller (1,000). Without
 *                workers it is only told to the function, as a deadline. -1: for as long as it takes
 * check_ratio    one in so many reads of two sides is compared: 1 by default, negative: none. Where the
 *                migration or the flag's metadata ("checkRatio") say something, that counts
 * sampling_ratio the same of events ("samplingRatio")
 * event          told of each operation, on the thread that asked; must be quick
 * event_data
 * alert          told when a guard of the migration has tripped, on the thread that takes steps; it may
 *                call the route, but not close it. Where nothing can be done: once, not with every step
 * alert_data
 * background     migrations, non-zero: a thread of the route's own takes steps, several times a second. All
 *                signals are blocked in it. Why one has failed, or a key was not repaired, goes to the client's
 *                `log`, each once a minute, with the key and what the side has said. Zero: the host calls
 *                flagver_route_step()
 * verify         FLAGVER_VERIFY_…. A comparison that has found a difference, or left keys out, is made again after a
 *                minute, until one finds nothing: that opens the gate. Nothing is repaired where the believed side
 *                is not known to have everything: somebody has forced that
 * difference     told of each difference that steps find, each time they do; must not call the route
 * difference_data
 * chunk_ms       copies and comparisons in steps: about so long takes what is copied or compared at once (100): how
 *                many records that are adapts. More of it helps where copies creep. (Writes that may be on their way
 *                are waited for beside that)
 * copy_share     the share of the time in which they go on, in percent, 1 to 100 (100); the rest is left to others
 * throttle       asked before each chunk, on the thread that takes steps. 0: go on; above: after so many
 *                milliseconds; negative: not in this step. For instance by how far replicas lag behind. Must not
 *                call the route. NULL: nothing holds copies up
 * throttle_data
 * random         gives random numbers for orders and samples; NULL: the library's own
 * random_data
 */
typedef struct flagver_route_options {
    size_t size;
    const char *flag;
    int32_t default_stage;
    int32_t order;
    flagver_side old_side, new_side;
    int (*compare)(void *data, const char *key, const void *old_value, size_t old_length,
                   const void *new_value, size_t new_length);
    void *compare_data;
    int32_t workers;
    int32_t shadow_timeout_ms;
    int32_t check_ratio;
    int32_t sampling_ratio;
    void (*event)(void *data, const flagver_route_event *event);
    void *event_data;
    uint64_t (*random)(void *data);
    void *random_data;
    void (*alert)(void *data, const flagver_route_alert *alert);
    void *alert_data;
    int32_t background;
    int32_t chunk_ms;
    int32_t copy_share;
    int32_t verify;
    int32_t (*throttle)(void *data);
    void *throttle_data;
    void (*difference)(void *data, const struct flagver_difference *difference);
    void *difference_data;
} flagver_route_options;

/**
 * Open a route.
 *
 * In a child of fork() a route by a flag goes on without its workers. One by a migration is its parent's:
 * calls give FLAGVER_EFORKED, closing it frees memory alone, and the child opens another one.
 *
 * @param client     has the migration's record, or the flag; it must outlive the route
 * @param migration  the name of the migration; NULL with options.flag
 * @return 0, or
 *   FLAGVER_EINVAL    a side lacks a function that is required, a malformed name or option
 *   FLAGVER_ENOTFOUND no such migration
 *   FLAGVER_ENOTSUP   a migration, and the client has no store
 *   FLAGVER_EIO, FLAGVER_ENOMEM, or any storage error
 */
FLAGVER_API int flagver_route_open(flagver_client *client, const char *migration,
                                   const flagver_route_options *options, flagver_route **ret_route,
                                   flagver_error *err);

/**
 * Close a route. No other thread may be inside a call on it, or begin one. Waits up to `wait_ms` for reads
 * that its workers are still making, and the step that its background thread is taking.
 *
 * @return 0, or FLAGVER_EBUSY: a side's function has not returned. The route is still
 *   open, but does nothing any more: close it again, later. NULL is fine.
 */
FLAGVER_API int flagver_route_close(flagver_route *route, int32_t wait_ms, flagver_error *err);

/**
 * What a call on a route can be told; set `size`, NULL is all defaults.
 *
 * context         for whom, where a flag says the stage; NULL: an empty one
 * payload         passed on to the sides' `read`, payload_length bytes
 * operation_id    writes: names the operation, 1 to 255 bytes, so that sides can tell a second try from a
 *                 second operation; NULL: the library makes one
 * strict          reads: not less than the last write that was acknowledged, whichever side has it
 * reserved        0
 */
typedef struct flagver_route_call {
    size_t size;
    flagver_context *context;
    const void *payload;
    size_t payload_length;
    const char *operation_id;
    int32_t strict;
    int32_t reserved;
} flagver_route_call;

/**
 * What came of an operation. Set `size` before the call; to be cleared with flagver_route_result_clear().
 *
 * value       reads: the record's value, `length` bytes and a NUL behind it; NULL after an error
 * key         a creation: the new record's key, on the authority
 * stage       by which it was routed
 * side        whose answer it is, FLAGVER_SIDE_…
 * sides       by FLAGVER_SIDE_…; errors: their words
 * consistent  as in flagver_route_event
 * pending     writes: the other side has not got it yet; it is known, and will be repaired
 */
typedef struct flagver_route_result {
    size_t size;
    char *value;
    size_t length;
    char *key;
    int32_t stage;
    int32_t side;
    flagver_route_side_result sides[2];
    flagver_error errors[2];
    int32_t consistent;
    bool pending;
} flagver_route_result;

/** Free what a result holds; it may be used again. NULL is fine. */
FLAGVER_API void flagver_route_result_clear(flagver_route_result *result);

/**
 * Read a record.
 *
 * @param key  1 to 255 bytes of UTF-8 without control characters
 * @return 0, or
 *   FLAGVER_ENOTFOUND  the side whose answer it is has no such record
 *   FLAGVER_EINVAL     a malformed key or call, or a side's function returned what it may not
 *   FLAGVER_ENOTSUP    call->strict, and the route goes by a flag
 *   FLAGVER_ESTATE     the route is closed
 *   FLAGVER_EFORKED    the process has forked since the route was opened: open another one
 *   what the side returned; call->strict: any storage error
 */
FLAGVER_API int flagver_route_read(flagver_route *route, const char *key,
                                   const flagver_route_call *call, flagver_route_result *ret_result,
                                   flagver_error *err);

/**
 * Write a record: the authority, and where the stage says so the other side. A failure of the other
 * side is in the result, and not returned.
 *
 * @param key  as for flagver_route_read(); NULL: create a record whose key the authority makes. After an
 *   error it may have made one all the same: with a call->operation_id of yours you can try again, and the
 *   side can tell
 * @return 0, or as flagver_route_read(), or any storage error; then nothing was acknowledged
 *   FLAGVER_EBUSY   another side is about to be believed, and that takes longer than 5 seconds: try again
 *   FLAGVER_EINVAL  with `key` NULL, too: both sides are written, and the authority is detached and has no
 *                   `find_by_operation`
 */
FLAGVER_API int flagver_route_write(flagver_route *route, const char *key, const void *value,
                                    size_t length, const flagver_route_call *call,
                                    flagver_route_result *ret_result, flagver_error *err);

/** The same of removing a record. */
FLAGVER_API int flagver_route_remove(flagver_route *route, const char *key,
                                     const flagver_route_call *call,
                                     flagver_route_result *ret_result, flagver_error *err);

/**
 * Write or remove a record inside a transaction that the application has begun on the store in which the
 * authority is enlisted (flagver_txn_begin(), or flagver_txn_begin_on() inside its own): together with
 * what else it writes there. Where both sides are enlisted in that store, both are written, and
 * result.pending says that the new one would not; else the other side gets it by a repair, after the
 * commit (pending).
 *
 * When the side's function fails, what it did in the database is not taken back by itself. Once it has run, only
 * the store can still refuse what belongs to it, and then the transaction is to be rolled back.
 *
 * Where the transaction took place before (its idempotency key; a try of flagver_txn_run() whose outcome nobody
 * knew), a record that it has created is not created again: the result has the key of then.
 *
 * @return as flagver_route_write(), or
 *   FLAGVER_EINVAL   the transaction is not on that store
 *   FLAGVER_ENOTSUP  the route goes by a flag
 *   FLAGVER_EBUSY    the authority has changed meanwhile, or a flip is under way: roll back and start over
 */
FLAGVER_API int flagver_route_write_in(flagver_route *route, flagver_txn *txn, const char *key,
                                       const void *value, size_t length,
                                       const flagver_route_call *call,
                                       flagver_route_result *ret_result, flagver_error *err);
FLAGVER_API int flagver_route_remove_in(flagver_route *route, flagver_txn *txn, const char *key,
                                        const flagver_route_call *call,
                                        flagver_route_result *ret_result, flagver_error *err);

/* ---- going on, and back ---- */

/**
 * How a change of stage is asked for; set `size`, NULL is all defaults.
 *
 * percentage  into `ramp`, or in it: the share of keys that are read from the new side, 0 to 100
 * forced      why the gates do not matter; it stands in the record. NULL: they do
 * note        of the version, as in flagver_write_options
 * wait_ms     how long to wait until the change is carried out (5,000); -1: do not wait
 */
typedef struct flagver_route_change {
    size_t size;
    double percentage;
    const char *forced;
    const char *note;
    int32_t wait_ms;
    int32_t reserved;
} flagver_route_change;

/**
 * Take the migration to another stage: a new version of its record, which every process follows.
 *
 * Forward one stage at a time, and only through gates: into `shadow` when everything was copied, into
 * `ramp` when the sides were found equal and reads agree, into `live` when nothing waits to be
 * repaired, into `complete` when it was in its stage for long enough and the sides were found equal since the
 * new one is believed. Back any distance at once; where the other side has not been written meanwhile, behind gates, too.
 *
 * Where the believed side changes, writes wait while what is still to be repaired is brought over. When
 * that takes longer than `wait_ms`, the change is under way and goes on with flagver_route_step(); going back to
 * the stage before, or further, calls it off.
 *
 * @return 0, or
 *   FLAGVER_EINVAL  no such stage, or a share that is none
 *   FLAGVER_ESTATE  it does not follow, the one before is not carried out yet, or a gate is shut: the
 *                   message says what to do
 *   FLAGVER_EDENIED the policy of "flagver.migration" does not allow it
 *   FLAGVER_EBUSY   the record says so now, but it is not carried out yet
 *   any storage error
 */
FLAGVER_API int flagver_route_stage(flagver_route *route, const flagver_actor *actor, int stage,
                                    const flagver_route_change *change, flagver_error *err);

/**
 * Take it all back: reads to the old side at once, then the old side is believed again, then nothing
 * but it is written. Each step is a version of the record; steps that are done are not done again, so
 * it can be called until it returns 0. Where the policy asks for approval each step is an emergency: its
 * `emergency` rule says who may, and then `note` is required.
 *
 * @return as flagver_route_stage(); FLAGVER_EINVAL: an emergency without a note
 */
FLAGVER_API int flagver_route_rollback(flagver_route *route, const flagver_actor *actor,
                                       const char *note, flagver_error *err);

/**
 * What flagver_route_step() has done and found; set `size`.
 *
 * stage      that is carried out
 * settled    it is the one that the record says
 * repaired, unrepaired  keys, in this call
 * waiting    keys whose sides may differ, up to 10,000 of them counted
 * oldest_ms  since when the oldest of them has been
 * copied     records, in this call; copied_all: the other side has everything
 * copied_so_far  records since the copy began, by all processes; of a copy that is done, too
 * copy_rate  of them in a second: over the last 10 to 20 seconds, or the whole copy when it is done
 * copy_total how many there are in all, by the believed side's `count`; 0: not known
 * copy_left_ms   how long the rest will take at this rate; -1: not known
 * rest_ms    copying or comparing goes on after so long, as it is throttled; 0: with the next call
 *
 * With options.verify:
 *
 * verified   the sides were found equal since the one that is believed has been
 * compared_so_far, compare_rate, compare_left_ms  keys, as of a copy
 * differences, left_out  keys of this comparison, or the last one: that differ, and that are in doubt
 */
typedef struct flagver_route_progress {
    size_t size;
    int32_t stage;
    bool settled, copied_all;
    uint64_t repaired, unrepaired, waiting, copied;
    int64_t oldest_ms;
    uint64_t copied_so_far, copy_total;
    double copy_rate;
    int64_t copy_left_ms, rest_ms;
    bool verified;
    uint64_t compared_so_far, differences, left_out;
    double compare_rate;
    int64_t compare_left_ms;
} flagver_route_progress;

/**
 * Do some of the work that there is: carry out what the record says, repair keys, and in a stage that
 * writes both sides copy what was there before, and compare (options.verify). Any process may, several at once.
 *
 * @param budget_ms  begin nothing new after that
 * @return 0, or
 *   FLAGVER_ENOTSUP  the route goes by a flag
 *   any storage error
 */
FLAGVER_API int flagver_route_step(flagver_route *route, int32_t budget_ms,
                                   flagver_route_progress *ret_progress, flagver_error *err);

/**
 * How the migration stands, as one JSON object:
 *
 *   migration, stage, percentage  what is carried out; asked, asked_percentage, version: what the record
 *                   says; settled: it is the same; frozen: a flip is under way; believed: "old" or "new"; epoch
 *   since           microseconds since 1970-01-01T00:00:00Z: it is in its stage
 *   copied, verified  which gates have been passed
 *   copying         null: no copy was begun since both sides are written; or {records, per_second, total, left_s,
 *                   since, done}: as copied_so_far and so on in flagver_route_progress, of all processes.
 *                   total and left_s are null where they are not known
 *   comparing       the same of a comparison in steps (options.verify), with differences and left_out
 *   compared, matched, match_rate_at_least  shadow reads in this stage, of all processes; the lower end of
 *                   the interval in which the true rate lies with 95 % probability (Wilson's score)
 *   waiting, oldest_ms  keys that wait to be repaired
 *   dropped         shadow reads that found no worker, of this route
 *   sides           {"old", "new"}: {reads, read_errors, read_p50_ns, read_p99_ns, writes, write_errors},
 *                   of this route; latencies in steps of a quarter of a power of two
 *
 * @param ret_json  freed with flagver_string_free()
 * @return 0, FLAGVER_ENOTSUP (the route goes by a flag), or any storage error
 */
FLAGVER_API int flagver_route_status(flagver_route *route, char **ret_json, flagver_error *err);

/** Kinds of differences. */
#define FLAGVER_DIFFERENCE_MISSING_IN_NEW 1
#define FLAGVER_DIFFERENCE_EXTRA_IN_NEW 2
#define FLAGVER_DIFFERENCE_VALUE 3

/** A record whose sides differ; borrowed. A side that has none has NULL. */
typedef struct flagver_difference {
    int32_t kind;
    const char *key;
    const void *old_value, *new_value;
    size_t old_length, new_length;
} flagver_difference;

/**
 * A difference as one line of JSON, without an end of line:
 *
 *     {"key":"17","kind":"value","old":"Ada","new":"Adah"}
 *
 * kind    "missing_in_new", "extra_in_new" or "value"
 * old, new  the values, as strings; of a side that has none there is no member. Bytes that are not UTF-8 are
 *         in "old_hex" or "new_hex", two digits for each
 *
 * @param ret_json  freed with flagver_string_free()
 * @return 0, FLAGVER_EINVAL (a kind that is none, no key), or FLAGVER_ENOMEM
 */
FLAGVER_API int flagver_route_difference_json(const flagver_difference *difference, char **ret_json,
                                              flagver_error *err);

/**
 * How two sides are compared; set `size`.
 *
 * chunk       records asked of a side at once (1,000); so many of each are in memory, and again so many
 *             of those that differ
 * confirm_ms  how long to wait before a difference is looked at again (100): a write may be on its way
 * repair      non-zero: make the side that is not believed equal, where they differ (routes of a migration)
 * ret_left_out  gets how many keys of those that were compared are in doubt: they wait to be repaired, or
 *             did not come to rest; may be NULL
 */
typedef struct flagver_compare_options {
    size_t size;
    uint32_t chunk;
    int32_t confirm_ms;
    int32_t repair;
    int32_t reserved;
    uint64_t *ret_left_out;
} flagver_compare_options;

/**
 * Compare all records of both sides, by `scan`. Values are equal when their bytes are, or when the route's
 * `compare` says so. What differs is looked at again, twice or more, before it is reported: it must be the same
 * after `confirm_ms`. Keys that wait to be repaired, or do not come to rest, are left out. A comparison without
 * differences opens the gate that asks for it, unless keys were left out (options->ret_left_out): then
 * compare again. One with differences shuts it.
 *
 * It goes as fast as it can: what is to be held up steps compare (`verify` of flagver_route_options).
 *
 * The application goes on writing meanwhile. A record that differs when the comparison begins, and is not
 * written before it is through, is reported; one that does not differ is not, however fast it is written
 * (docs/routing.md says by what that is known).
 *
 * @param visit  told of each difference, in byte order of keys; false ends the comparison. NULL: they are
 *               only counted
 * @param ret_compared, ret_differences  how many keys; may be NULL
 * @return 0, or
 *   FLAGVER_EINVAL  a side has no `scan`, or its keys do not rise; a malformed option
 *   FLAGVER_ESTATE  `repair`, and only one side is written
 *   FLAGVER_EBUSY   `repair`, and another side is believed by now, or will be, or was meanwhile
 *   what a side returned; then nothing is known
 */
FLAGVER_API int
flagver_route_verify(flagver_route *route, const flagver_compare_options *options,
                     bool (*visit)(void *data, const flagver_difference *difference), void *data,
                     uint64_t *ret_compared, uint64_t *ret_differences, flagver_error *err);

/* ---- migrations without their sides ---- */

/**
 * The same as flagver_route_stage() and flagver_route_rollback() for who does not have the sides: a
 * program for people, a process that steers others. The record says so, and the processes that have
 * the sides carry it out: those whose routes have a background thread, or take steps. It is waited for that,
 * change->wait_ms for each step. (Of change a rollback takes note and wait_ms.)
 *
 * @return as those; FLAGVER_EBUSY: nobody has carried it out yet
 */
FLAGVER_API int flagver_migration_stage(flagver_client *client, const char *migration,
                                        const flagver_actor *actor, int stage,
                                        const flagver_route_change *change, flagver_error *err);
FLAGVER_API int flagver_migration_rollback(flagver_client *client, const char *migration,
                                           const flagver_actor *actor,
                                           const flagver_route_change *change, flagver_error *err);

/**
 * How it stands, as far as the migration's own store tells: of flagver_route_status() all but frozen, epoch,
 * waiting, oldest_ms, dropped and sides. "stage" is null while no route was ever opened.
 */
FLAGVER_API int flagver_migration_status(flagver_client *client, const char *migration,
                                         char **ret_json, flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
