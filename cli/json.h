/*
 * JSON of the program's own: what the library does not read or write for us.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

/*
 * jansson's json_loadb() and json_dumps(), except that short memory ends the
 * program. So NULL from the first means malformed text, and the second gives
 * NULL for NULL only.
 */
json_t *cli_json_read(const char *text, size_t length, size_t flags, json_error_t *error);
char *cli_json_write(const json_t *value, size_t flags);

/* Any value, but no key twice in one object. */
#define CLI_JSON_RULES (JSON_DECODE_ANY | JSON_REJECT_DUPLICATES)

bool cli_is_json(const char *text, size_t length);
bool cli_is_utf8(const char *text);

#endif
