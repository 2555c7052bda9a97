/*
 * Dates with a time: RFC 3339 text, and milliseconds since
 * 1970-01-01T00:00:00Z without leap seconds.
 *
 * Threads: any; nothing is shared, and no time zone of the host is looked at.
 */
#ifndef FV_MODEL_DATETIME_H
#define FV_MODEL_DATETIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Date, time and offset, all of them: `2026-01-04T08:30:00.250+01:00`. The year
 * that is written is 0001 to 9999, also where the offset moves the moment out
 * of it; the day exists; `t` and `z` may be lower-case; an offset is at most
 * 23:59 either way and `-00:00` is one. Of the fraction, which has any number
 * of digits, those beyond milliseconds are dropped. A space in place of the T
 * and second 60 are refused. *ret_ms is untouched when the answer is false.
 */
bool fv_datetime_parse(const char *text, size_t length, int64_t *ret_ms);

/* Room for what fv_datetime_format() writes, the NUL included. */
#define FV_DATETIME_SIZE 32

/*
 * `2026-01-04T00:00:00Z`, with `.mmm` only when that is not zero; returns the
 * length. A year that has no four digits is written as in ISO 8601, with a
 * sign: `+10000-01-01T00:00:00Z`.
 */
size_t fv_datetime_format(int64_t ms, char out[FV_DATETIME_SIZE]);

#endif
