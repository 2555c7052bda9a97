/*
 * Case folding: texts that differ only in case are the same.
 *
 * Simple folding of Unicode (statuses C and S of CaseFolding.txt), the same in
 * every locale: one code point becomes one code point, so that STRASSE and
 * straße stay different; there is no Turkic I. A folded text may have another
 * length in bytes, as U+212A KELVIN SIGN becomes k.
 *
 * A comparison has two sides. `folded` is an operand that fv_fold_text() made
 * when it was loaded; `text` is what is looked at, folded on the way. Nothing
 * is allocated. Lengths are bytes; a NUL is a character like any other; only an
 * `out` or a `failure` may be NULL.
 *
 * Each byte of a malformed `text` counts as U+FFFD, as in util/utf8.h. So two
 * texts whose only difference lies in such bytes are the same here.
 *
 * Threads: any; nothing is shared.
 */
#ifndef FV_MODEL_FOLD_H
#define FV_MODEL_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What this code point folds to, itself for most. Folding twice changes nothing. */
uint32_t fv_fold(uint32_t code_point);

/* Every code point that folds to another, ascending; i counts from 0. */
size_t fv_fold_entry_count(void);
void fv_fold_entry(size_t i, uint32_t *ret_from, uint32_t *ret_to);

/* The most bytes that fv_fold_text() writes, reached by bytes that are no UTF-8. */
#define FV_FOLD_SIZE(length) ((length)*3)

/*
 * Writes the folded text, which is always well-formed, without a NUL, and
 * returns its length. `out` has room for FV_FOLD_SIZE(length) bytes or what a
 * call with NULL returned, and does not overlap `text`.
 */
size_t fv_fold_text(const char *text, size_t length, char *out);

bool fv_fold_equal(const char *text, size_t length, const char *folded, size_t folded_length);
bool fv_fold_starts(const char *text, size_t length, const char *folded, size_t folded_length);
bool fv_fold_ends(const char *text, size_t length, const char *folded, size_t folded_length);

/*
 * For tables inside one process, like fv_hash(): the same for texts that are
 * the same when folded, hence for a text and its folded form.
 */
uint64_t fv_fold_hash(const char *text, size_t length);

/*
 * Whether the folded text contains `folded`, in time linear in the length of
 * both (Knuth, Morris, Pratt). `failure` has room for folded_length numbers,
 * is filled once by fv_fold_search_prepare(), and may be NULL for an empty
 * `folded`. An operand is shorter than 4 GiB.
 */
void fv_fold_search_prepare(const char *folded, size_t folded_length, uint32_t *failure);
bool fv_fold_contains(const char *text, size_t length, const char *folded, size_t folded_length,
                      const uint32_t *failure);

#endif
