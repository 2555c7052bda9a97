/*
 * A driver around another one, for tests: it fails when it is told to, lies about
 * commits, is slow; and it notices when a driver is used as flagver/driver.h does
 * not allow.
 *
 *     struct flagver_fault *fault = flagver_fault_driver(&my_driver);
 *
 *     flagver_driver_register(flagver_fault_table(fault), &err);
 *     flagver_open("fault-mine:/path", NULL, &client, &err);
 *     flagver_fault_fail(fault, FLAGVER_FAULT_APPLY, 2, FLAGVER_EUNAVAILABLE, false);
 *     …
 *     ck_assert_ptr_null(flagver_fault_complaint(fault));
 *
 * Threads: any, for all of it.
 */
#ifndef FLAGVER_FAULT_H
#define FLAGVER_FAULT_H

#include "flagver/driver.h"

struct flagver_fault;

/* The calls. Those up to CHANGES can fail, and ANY is each of them. */
enum {
    FLAGVER_FAULT_OPEN,
    FLAGVER_FAULT_PING,
    FLAGVER_FAULT_DESCRIBE,
    FLAGVER_FAULT_SCHEMA_VERSION,
    FLAGVER_FAULT_SCHEMA_MIGRATE,
    FLAGVER_FAULT_SCHEMA_VERIFY,
    FLAGVER_FAULT_EXAMINE,
    FLAGVER_FAULT_BEGIN,
    FLAGVER_FAULT_ADOPT,
    FLAGVER_FAULT_COMMIT,
    FLAGVER_FAULT_OUTCOME,
    FLAGVER_FAULT_LOCK,
    FLAGVER_FAULT_LOCK_LOG,
    FLAGVER_FAULT_APPLY,
    FLAGVER_FAULT_SCAN,
    FLAGVER_FAULT_NEXT,
    FLAGVER_FAULT_HOLD,
    FLAGVER_FAULT_NEST,
    FLAGVER_FAULT_CONNECTION,
    FLAGVER_FAULT_CHANGES,
    FLAGVER_FAULT_CLOSE,
    FLAGVER_FAULT_ABANDON,
    FLAGVER_FAULT_ROLLBACK,
    FLAGVER_FAULT_END_SCAN,
    FLAGVER_FAULT_WATCH_FD,
    FLAGVER_FAULT_ANY,
    FLAGVER_FAULT_CALLS
};

/* The one around this driver; there are up to 8. They stay for the rest of the process. */
struct flagver_fault *flagver_fault_driver(const flagver_driver *inner);

/* Its table: "fault-" and the name of the driver (cut off after 32 bytes). */
const flagver_driver *flagver_fault_table(const struct flagver_fault *fault);

/* ---- what is to happen: "the n-th call" counts from now on, 1 is the next one ---- */

/* The n-th call fails with this code, if `persists` all later ones too; nothing is done. */
void flagver_fault_fail(struct flagver_fault *fault, int call, uint64_t n, int code, bool persists);

/*
 * The n-th commit returns FLAGVER_EUNKNOWN: after committing in truth, or after rolling
 * back. An error of a commit in truth is passed on.
 */
#define FLAGVER_FAULT_DONE 1
#define FLAGVER_FAULT_NOT_DONE 2
void flagver_fault_lie(struct flagver_fault *fault, uint64_t n, int lie);

/* The n-th call sleeps first. */
void flagver_fault_delay(struct flagver_fault *fault, int call, uint64_t n, int milliseconds);

/* Nothing is to happen any more, and everything is counted from 0. */
void flagver_fault_reset(struct flagver_fault *fault);

/* ---- what has happened ---- */

uint64_t flagver_fault_calls(const struct flagver_fault *fault, int call);
uint64_t flagver_fault_failures(const struct flagver_fault *fault); /* lies included */

/*
 * Misuse: a call on a transaction or cursor that has ended, or by two threads at once;
 * a cursor that is open when its transaction ends, a transaction when its store is
 * closed; writing in a transaction that reads; two writers where there may be one;
 * keys out of order; leaves without lock_log, or a lock behind it; a part that may be taken
 * back with a cursor open, inside of another one, or left open.
 */
uint64_t flagver_fault_misuses(const struct flagver_fault *fault);

/* What is open now. */
uint64_t flagver_fault_stores(const struct flagver_fault *fault);
uint64_t flagver_fault_txns(const struct flagver_fault *fault);
uint64_t flagver_fault_cursors(const struct flagver_fault *fault);

/*
 * What is wrong at the end of a test: the first misuse, or what was left open. NULL: nothing.
 * Valid until the next call.
 */
const char *flagver_fault_complaint(struct flagver_fault *fault);

#endif
