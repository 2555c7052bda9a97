/*
 * Calling a side's function: how long it took, what it gave, and whether that makes sense.
 */
#ifndef FV_ENGINE_SIDE_H
#define FV_ENGINE_SIDE_H

#include "flagver/route.h"

/* A record that a scan has found; key and value lie behind one another, each with a NUL. */
struct fv_found {
    char *key; /* malloc, with the value in it */
    char *value;
    size_t length;
};

struct flagver_sink {
    char *value; /* malloc */
    size_t length;
    char *key;              /* malloc */
    struct fv_found *found; /* malloc */
    size_t found_count, found_capacity;
    bool ended; /* there is nothing behind them */
    int failed; /* 0, or the error of a call on the sink that the function did not pass on */
};

/* As flagver_sink_value() and flagver_sink_key(). */
int fv_sink_value(flagver_sink *sink, const void *value, size_t length);
int fv_sink_key(flagver_sink *sink, const char *key);
int fv_sink_row(flagver_sink *sink, const char *key, const void *value, size_t length);

/* One call and what came of it. */
struct fv_side_call {
    const flagver_side *side;
    flagver_side_call asked;
    const void *value; /* of a write */
    size_t length;
    const flagver_side_row *rows; /* of many, like the next */
    size_t row_count;
    const char *after; /* of a scan, like the next */
    uint32_t limit;

    int code;    /* 0 or the error */
    bool broken; /* the transaction that it was in: the error is of that one's store */
    int64_t latency_ns;
    uint64_t count; /* of a count */
    flagver_sink sink;
    flagver_error *error; /* filled with an error; not NULL */
};

/* "old" or "new". */
const char *fv_side_name(int side);

/* Call the function that asked.operation names. */
void fv_side_run(struct fv_side_call *call);

/* The same before its deadline. False: that is over; it is not called, and this is its error. */
bool fv_side_run_in_time(struct fv_side_call *call);

/*
 * With what a transaction of ours is to end after a call in it, which is run again where its store says so, and
 * for FLAGVER_EBUSY of a side: what else a side says is its last word. Outside of transactions that is all there is.
 */
int fv_side_end(const struct fv_side_call *call);

/* Where it ended with `r`: what the side said, if that was its last word, else `r`. */
int fv_side_ended(int said, int r);

/* There is none, whatever was said before. */
void fv_error_clear(flagver_error *err);

/* Free what the side has given. */
void fv_side_clear(struct fv_side_call *call);

int64_t fv_monotonic_ns(void);

/* The same, some milliseconds ago, and cheap. */
int64_t fv_monotonic_coarse_ns(void);

#endif
