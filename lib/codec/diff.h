/*
 * What changed from one JSON text to another: for programs as a merge patch, for
 * people line by line.
 *
 * Both append to `out`, which on failure holds what it held before. Threads:
 * any; nothing is shared.
 */
#ifndef FV_CODEC_DIFF_H
#define FV_CODEC_DIFF_H

#include "flagver/base.h"
#include "util/text.h"

/*
 * The JSON Merge Patch (RFC 7396) that makes `b` of `a`, in canonical form; {}
 * when there is nothing to do. Arrays are replaced as a whole.
 *
 * A merge patch says "remove" with null, so there are members it cannot set: an
 * object in `b`, outside of arrays, that has a member null which it did not have
 * before. Rather than a patch that gives something else there is none.
 *
 * @return 0, FLAGVER_EPARSE (a text is no JSON), FLAGVER_ENOTSUP (a member would
 *   have to be set to null; the words name it), FLAGVER_ENOMEM
 */
int fv_diff_merge_patch(const char *a, size_t a_length, const char *b, size_t b_length,
                        struct fv_text *out, flagver_error *err);

/*
 * One line for each change, ending in a newline, with a JSON pointer; nothing
 * when the values are the same:
 *
 *     ~ /percentage: 10 -> 25
 *     + /beta/2: "carol"
 *     - /rules/0: {"id":"eu","serve":"on"}
 *
 * Members come in byte order of their keys, elements in order. Values are
 * canonical and shortened to about 200 bytes; the root's pointer is "(root)";
 * control characters in keys are escaped as in strings.
 *
 * Elements of arrays are matched so that what stayed is not told: objects that
 * all have different strings as "id" by that, others by being equal. What is
 * left over between two matches is told as removed (with its old index) and
 * added (with its new one); objects and arrays first in pairs, as changed. Of
 * something that moved it is told that it went here and came there. Beyond
 * FV_DIFF_CELLS pairs that would have to be compared elements are matched by
 * their index; what nests deeper than FV_DIFF_DEPTH is told as a whole.
 *
 * @return 0, FLAGVER_EPARSE (a text is no JSON), FLAGVER_ENOMEM
 */
#define FV_DIFF_CELLS 250000u
#define FV_DIFF_DEPTH 50
int fv_diff_lines(const char *a, size_t a_length, const char *b, size_t b_length,
                  struct fv_text *out, flagver_error *err);

#endif
