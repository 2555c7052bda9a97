/*
 * JSON of the program's own: what the library does not read or write for us.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Values for documents: null for a NULL text or one that is no UTF-8, for number 0, for time 0. */
json_t *cli_json_text(const char *text);
json_t *cli_json_number(uint32_t number);
json_t *cli_json_time(int64_t us);
json_t *cli_json_lines(const char *text); /* an array of its lines */

/* Bytes as hexadecimal digits; room for two each and the NUL. */
void cli_print_hex(const uint8_t *bytes, size_t count, char *text);

/* Short memory ends the program here, too. */
void cli_json_append(json_t *array, json_t *value);
void cli_json_set(json_t *object, const char *name, json_t *value);

/* Print a document on one line and free it. NULL: there was no memory for it. */
void cli_print_document(json_t *document);

/* The same with one more member, which is JSON text: its numbers stay as they are written. */
void cli_print_document_with(json_t *document, const char *name, const char *json);

/* JSON text without spaces as people read it: indented, but what fits on a line stays on one. */
void cli_print_indented(const char *json, size_t length);

#endif
