/*
 * What a store has to say about flags: all that are in force, or those that
 * changed since some leaf of the audit log.
 */
#ifndef FV_ENGINE_FEED_H
#define FV_ENGINE_FEED_H

#include "codec/records.h"
#include "engine/history.h"
#include "store/transaction.h"
#include "util/text.h"

/* How far a log was read, and the hash of its last leaf by then, by which it is known again. */
struct fv_log_mark {
    uint64_t size;
    uint8_t leaf[32]; /* zeros, when there is none */
};

/* Records as they were read; texts in the arena. */
struct fv_harvest {
    struct fv_record *records;
    size_t count, capacity;
    struct fv_arena arena;
    const flagver_allocator *memory;
    bool whole; /* all that are in force; else only what changed, NULL texts are gone */
    struct fv_log_mark mark; /* the leaves of the log that are in it, at least */
};

void fv_harvest_init(struct fv_harvest *harvest, const flagver_allocator *memory);
void fv_harvest_clear(struct fv_harvest *harvest);

/* One more record, copied. FLAGVER_ENOMEM. */
int fv_harvest_add(struct fv_harvest *harvest, const struct fv_record *record, flagver_error *err);

/* The number of leaves there are. Cheap. */
int fv_feed_size(const struct fv_tenancy *tenancy, uint64_t *ret_size, flagver_error *err);

/* All flags and segments in force; those in force at `as_of`, when that is not 0. */
int fv_feed_all(const struct fv_tenancy *tenancy, int64_t as_of, struct fv_harvest *harvest,
                flagver_error *err);

/*
 * The same one by one, as a stream of records, of a log that had `size` leaves a moment ago; closed
 * also when it did not open.
 */
struct fv_feed {
    struct fv_read read;
    struct fv_text key, text; /* of the record at hand */
    bool at_flags;            /* segments come first */
    struct fv_log_mark mark;  /* as in a harvest, once it has come to its end */
};

int fv_feed_open(struct fv_feed *feed, const struct fv_tenancy *tenancy, uint64_t size,
                 flagver_error *err);
int fv_feed_next(void *feed, struct fv_record *ret_record, flagver_error *err);
void fv_feed_close(struct fv_feed *feed);

/* The same as this transaction sees them. */
int fv_feed_in(flagver_txn *txn, struct fv_harvest *harvest, flagver_error *err);

/* All records in force of some other phase; `is_segment` says nothing then. */
int fv_feed_phase(const struct fv_tenancy *tenancy, const char *phase, struct fv_harvest *harvest,
                  flagver_error *err);
int fv_feed_phase_in(flagver_txn *txn, const char *phase, struct fv_harvest *harvest,
                     flagver_error *err);

/*
 * What became of the flags and segments that leaves behind the mark are about; all
 * of them when that is less work, or when the log is not the one that the mark is of.
 */
int fv_feed_since(const struct fv_tenancy *tenancy, const struct fv_log_mark *mark,
                  struct fv_harvest *harvest, flagver_error *err);

/* Is the log, of at least so many leaves, the one that the mark is of? */
int fv_feed_is_known(const struct fv_tenancy *tenancy, const struct fv_log_mark *mark,
                     bool *ret_known, flagver_error *err);

#endif
