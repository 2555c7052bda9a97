/*
 * The smaller parts of a regular expression's pattern: escapes and classes.
 * Only regex*.c look in here.
 *
 * Readers start at `at` and leave it behind what they read. Those that return
 * an error leave it anywhere.
 */
#ifndef FV_MODEL_REGEX_SOURCE_H
#define FV_MODEL_REGEX_SOURCE_H

#include "model/regex_set.h"
#include "util/fail.h"

struct fv_regex_source {
    const char *pattern, *at, *end; /* well-formed UTF-8 */
    flagver_error *err;
    bool no_class_name; /* there is no ":]" from here to the end */
};

/* FLAGVER_EPARSE: these words, and `place` as a byte counted from 1. */
int fv_regex_fail(const struct fv_regex_source *source, const char *place, const char *words);

bool fv_regex_looking_at(const struct fv_regex_source *source, const char *words);

/* Moves behind these words; false, and nothing moved, when they are not there. */
bool fv_regex_skip(struct fv_regex_source *source, const char *words);

/* A backslash and what belongs to it, when that stands for one code point. */
int fv_regex_read_escape(struct fv_regex_source *source, uint32_t *ret_code_point);

/*
 * A class in brackets, or \d and its like: the members become those of the set,
 * which is emptied first. With `fold` they are what members fold to, so that a
 * code point belongs to the class when fv_fold() of it is in the set.
 *
 * The second returns false when there is no such class. Afterwards look at
 * set->failed too.
 */
int fv_regex_read_class(struct fv_regex_source *source, bool fold, struct fv_regex_set *set);
bool fv_regex_read_perl_class(struct fv_regex_source *source, bool fold, struct fv_regex_set *set);

#endif
