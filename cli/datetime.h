/*
 * Points in time on the command line and in what is printed: RFC 3339.
 */
#ifndef CLI_DATETIME_H
#define CLI_DATETIME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * As in definitions: years 1 to 9999, "T" or "t" between date and time, "Z", "z"
 * or an offset at the end, no leap second. In microseconds since 1970, further
 * digits cut off.
 */
bool cli_datetime_parse(const char *text, int64_t *ret_us);

/* What a text lacks that is no point in time, in words: "needs …"; NULL: more than that. */
const char *cli_datetime_lacks(const char *text);

/* So long before `now_us`: "-90s", "-5m", "-2h", "-1d". */
bool cli_datetime_before(const char *text, int64_t now_us, int64_t *ret_us);

/* Microseconds since 1970. */
int64_t cli_now(void);

/* The millisecond that a microsecond belongs to. */
int64_t cli_milliseconds(int64_t us);

#define CLI_DATETIME_SIZE 64

/* UTC with all six digits, so that what is printed can be asked for with --at. */
void cli_datetime_print(int64_t us, char text[CLI_DATETIME_SIZE]);

#endif
