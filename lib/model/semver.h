/*
 * Semantic versions: SemVer 2.0.0 precedence, with the looser spelling that
 * versions have in practice.
 *
 * A leading lower-case `v` and missing parts are accepted: `v2`, `2.1` and
 * `2-rc.1` are 2.0.0, 2.1.0 and 2.0.0-rc.1. Everything else is as in the
 * grammar of semver.org: no leading zeros in numbers, no empty identifier.
 * Numbers have any length. Build metadata is checked and then forgotten.
 *
 * Threads: any; nothing is shared.
 */
#ifndef FV_MODEL_SEMVER_H
#define FV_MODEL_SEMVER_H

#include <stdbool.h>
#include <stddef.h>

struct fv_semver_slice {
    const char *text;
    size_t length;
};

struct fv_semver {
    struct fv_semver_slice core[3];    /* major, minor, patch: decimal digits */
    struct fv_semver_slice prerelease; /* identifiers with dots between them; length 0 = none */
};

/*
 * False, with *ret undefined, for what is no version. *ret points into the
 * text and is good as long as that is.
 */
bool fv_semver_parse(const char *text, size_t length, struct fv_semver *ret);

/* -1, 0 or 1: the precedence of a is lower, the same or higher. */
int fv_semver_compare(const struct fv_semver *a, const struct fv_semver *b);

#endif
