/*
 * From text to jansson's tree, strictly, and with errors that tell a person
 * what is wrong and where.
 *
 * Messages have the form "NAME:LINE:COLUMN: /pointer: why", and without a name
 * "line LINE, column COLUMN: /pointer: why". The root's pointer is written
 * "(root)". They are one line: control characters are shown as "?", and long
 * names and pointers are shortened so that there is room for all of `why`.
 *
 * Threads: no state is shared. The host's locale does not matter.
 */
#ifndef FV_CODEC_JSON_H
#define FV_CODEC_JSON_H

#include <jansson.h>

#include "flagver/base.h"
#include "util/text.h"

/* The longest text that is read. */
#define FV_JSON_LIMIT ((size_t)64 << 20)

/*
 * How deep values may nest: the root is 1 deep. What walks a tree, jansson too,
 * calls itself: threads with stacks of 128 KiB have to bear it.
 */
#define FV_JSON_DEPTH 500

/*
 * Parse one JSON document. Refused are: duplicate keys; NUL, also as "\u0000";
 * a byte order mark and whatever is not UTF-8; halves of surrogate pairs;
 * integers beyond int64 and reals beyond double (too small a real is 0.0); too
 * deep nesting; a text that ends early, goes on after the value, or is longer
 * than FV_JSON_LIMIT.
 *
 * The error's line and column are those of the first byte of the token that is
 * wrong, or of what is wrong inside a string; when something is missing, of
 * what stands in its place.
 *
 * @param name      of the file, for messages; may be NULL
 * @param ret_root  to be released with json_decref(); untouched on failure
 * @return 0, FLAGVER_EPARSE, FLAGVER_ENOMEM
 */
int fv_json_parse(const char *text, size_t length, const char *name, json_t **ret_root,
                  flagver_error *err);

/*
 * Copies a text into `out`, which has `room` bytes and one for the NUL. When it
 * is longer, the first `head` bytes and as many of the last as fit are kept
 * with "…" between them, and no character is cut apart.
 */
void fv_json_shorten(char *out, size_t room, size_t head, const char *text, size_t length);

/*
 * Word an error about a value inside a text that was parsed. `pointer` names
 * the value; `at_key` points at its key instead ("unknown key").
 *
 * @return FLAGVER_EPARSE
 */
int fv_json_fail(flagver_error *err, const char *text, size_t length, const char *name,
                 const char *pointer, bool at_key, const char *format, ...) FV_TEXT_FORMAT(7, 8);

#endif
