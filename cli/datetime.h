/*
 * Points in time on the command line.
 */
#ifndef CLI_DATETIME_H
#define CLI_DATETIME_H

#include <stdbool.h>
#include <stdint.h>

/*
 * RFC 3339, as in definitions: years 1 to 9999, "T" or "t" between date and
 * time, "Z", "z" or an offset at the end, no leap second, digits beyond the
 * milliseconds cut off.
 */
bool cli_datetime_parse(const char *text, int64_t *ret_ms);

#endif
