/*
 * Canonical JSON, form 1: one text for one value, whatever library, locale and
 * machine wrote it. Hashes and signatures are made over it, so the form never
 * changes; another one would get another number.
 *
 * - No spaces. Keys in the order of their bytes.
 * - Integers are int64, in decimal.
 * - Reals have the fewest digits of printf's "%.*g", 1 to 17, that read back
 *   equal, and ".0" behind them if there is neither point nor exponent:
 *   0.1, 25.0, 1e+02, 1.5e-07. Minus zero is 0.0.
 * - Strings escape only the quote, the backslash and control characters below
 *   U+0020, as \b \f \n \r \t where there is such a letter and as \u00xx with
 *   lower-case digits otherwise. All else is UTF-8 as it is.
 *
 * Vectors: tests/data/canonical.jsonl.
 */
#ifndef FV_CODEC_CANONICAL_H
#define FV_CODEC_CANONICAL_H

#include <jansson.h>

#include "flagver/base.h"
#include "util/text.h"

/*
 * Append a value in canonical form. On failure `out` holds what it held before.
 *
 * @return 0, or
 *   FLAGVER_EINVAL  a string or key holds a NUL, values nest deeper than
 *                   FV_JSON_DEPTH, or `value` is NULL; none of that comes out
 *                   of fv_json_parse()
 *   FLAGVER_ENOMEM  `out->failed` is set
 */
int fv_canonical_write(struct fv_text *out, const json_t *value, flagver_error *err);

/* Its pieces. A string is written with its quotes; a NUL in it as \u0000. */
void fv_canonical_string(struct fv_text *out, const char *text, size_t length);
void fv_canonical_integer(struct fv_text *out, int64_t value);

/* JSON has no infinity and no NaN: these are written as null. */
void fv_canonical_real(struct fv_text *out, double value);

#endif
