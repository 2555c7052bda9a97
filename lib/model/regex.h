/*
 * Regular expressions for the `matches` operator: is there a match anywhere?
 *
 * The syntax is RE2's without captures and back-references, whose answers take
 * more than one bit or more than linear time:
 *
 *     x  .  xy  x|y  (x)  (?:x)  (?P<name>x)  (?<name>x)     no group captures
 *     x* x+ x? x{m} x{m,} x{m,n}  and the same with ? behind; counts to 1000,
 *                                 also multiplied when nested
 *     [a-z] [^a-z] [[:alpha:]] [[:^alpha:]] \d \s \w \D \S \W         (ASCII)
 *     ^ $ \A \z                   the ends of the text; with (?m) ^ and $ of a line
 *     \b \B                       at a word boundary (ASCII), or not
 *     (?i) (?m) (?s) (?U)         for the rest of the group, (?i:x) for x only,
 *                                 (?-i) and (?i-s:x) switch off; (?U) changes
 *                                 nothing in an answer of yes or no
 *     \a \f \n \r \t \v \123 \0 \x7F \x{10FFFF} \Q...\E
 *
 * `.` is one code point but not a newline unless (?s). (?i) compares by
 * fv_fold(). What RE2 has beyond that is refused (\p, \pN, \P, \C), and so are
 * look-around, \Z, *+ and the like. Unlike RE2, which reads it as plain text, a
 * count of more than nine digits is refused as well.
 *
 * A text need not be UTF-8: a byte that belongs to no well-formed sequence is
 * one code point, U+FFFD.
 */
#ifndef FV_MODEL_REGEX_H
#define FV_MODEL_REGEX_H

#include "util/fail.h"
#include "util/memory.h"

#define FV_REGEX_PATTERN_MAX 32768 /* bytes */
#define FV_REGEX_STEPS_MAX 5000    /* what the pattern comes to with its repetitions written out */
#define FV_REGEX_GROUPS_MAX 1000   /* inside each other */
#define FV_REGEX_COUNT_MAX 1000    /* of a repetition */

/* Immutable; lives in the arena it was compiled into. */
struct fv_regex;

/*
 * Compiles `length` bytes of UTF-8, NUL bytes being ordinary characters; with
 * `fold` as if the pattern began with (?i).
 *
 * FLAGVER_EPARSE says what is wrong and at which byte of the pattern, counted
 * from 1, or which of the limits above it exceeds; FLAGVER_ENOMEM. A call that
 * fails may leave some bytes allocated in the arena.
 */
int fv_regex_compile(struct fv_arena *arena, const char *pattern, size_t length, bool fold,
                     const struct fv_regex **ret_regex, flagver_error *err);

/*
 * Whether the expression matches anywhere in the text. Takes time proportional
 * to steps times text at worst, allocates nothing, and needs at most 32 KB of
 * stack, 2 KB for a pattern of up to 256 steps. Any number of threads may search
 * with one expression.
 */
bool fv_regex_search(const struct fv_regex *regex, const char *text, size_t length);

/* How much a search takes for each byte of text, at worst: for callers that limit the work. */
size_t fv_regex_steps(const struct fv_regex *regex);

#endif
