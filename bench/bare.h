/*
 * The bare loop: what a C programmer would write who has to answer one kind of
 * flag, knows everything beforehand, and needs neither reasons nor counters nor
 * changes while the program runs. What the library costs is measured against it.
 *
 * Every function takes a flag's key as a NUL-terminated string, hashes it, looks
 * it up in an open-addressing table, compares the key, and does the least work
 * that gives the answer. None is inlined into the loop that measures it.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BARE_KEY 24       /* bytes for a flag's key and the ':' behind it */
#define BARE_VARIANTS 4   /* of a split */
#define BARE_ATTRIBUTES 4 /* of a user */

/* Texts in an open-addressing table of {hash, text}. */
struct bare_set {
    struct bare_slot *slots;
    uint64_t mask;
    char *texts;
};

struct bare_attribute {
    const char *name;
    size_t name_length;
    char *value;
    size_t length;
};

struct bare_user {
    char *key;
    size_t length;
    struct bare_attribute attributes[BARE_ATTRIBUTES];
};

enum bare_kind {
    BARE_STATIC,     /* true or false */
    BARE_BETA,       /* who is on the list */
    BARE_PERCENTAGE, /* by murmur3 of "key:user" */
    BARE_MD5,        /* by MD5 of the user, modulo 100 */
    BARE_SPLIT,      /* one of four texts by weight */
    BARE_RULE        /* country in a set AND version at least …, then a percentage */
};

/* One cache line holds what all but a split need. */
struct bare_flag {
    _Alignas(64) char key[BARE_KEY];
    uint32_t length;
    uint32_t threshold;
    enum bare_kind kind;
    bool on;
    const struct bare_set *list; /* beta: users; rule: countries */
    uint32_t version[3];
    uint32_t bounds[BARE_VARIANTS];
    const char *values[BARE_VARIANTS];
};

/* Flags by their keys. */
struct bare_table {
    struct bare_flag *flags;
    size_t count;
    struct bare_slot *slots;
    uint64_t mask;
};

/* What one of many flags serves. */
struct bare_value {
    bool boolean;
    const char *text; /* NULL: a boolean */
};

typedef bool bare_visit(void *data, const struct bare_flag *flag, const struct bare_value *value);

/* `flags` stay the caller's, and in place. */
void bare_table_init(struct bare_table *table, struct bare_flag *flags, size_t count);
void bare_table_clear(struct bare_table *table);

void bare_set_init(struct bare_set *set, const char *const *texts, size_t count);
void bare_set_clear(struct bare_set *set);

bool bare_static(const struct bare_table *table, const char *key);
bool bare_beta(const struct bare_table *table, const char *key, const struct bare_user *user);
bool bare_percentage(const struct bare_table *table, const char *key, const struct bare_user *user);
bool bare_md5(const struct bare_table *table, const char *key, const struct bare_user *user);
const char *bare_split(const struct bare_table *table, const char *key,
                       const struct bare_user *user);
bool bare_rule(const struct bare_table *table, const char *key, const struct bare_user *user);

/* Any kind of flag: what it serves, as a boolean, or as the address of a text. */
uint64_t bare_any(const struct bare_table *table, const char *key, const struct bare_user *user);

/* All flags, without looking any up. */
void bare_all(const struct bare_table *table, const struct bare_user *user, bare_visit *visit,
              void *data);

#endif
