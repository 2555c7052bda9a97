/*
 * What is measured with: the same users and the same flags twice, once for the
 * library and once for the bare loop.
 */
#ifndef BENCH_FIXTURE_H
#define BENCH_FIXTURE_H

#include <flagver.h>

#include "bare.h"

#define BENCH_USERS 10000
#define BENCH_FLAGS 10000

/* Users in the shuffled order in which they ask; memory was handed out in another. */
struct users {
    flagver_context *contexts[BENCH_USERS];
    const struct bare_user *bare[BENCH_USERS];
    struct bare_user *block;
};

struct users *users_new(void);
void users_free(struct users *users);

/*
 * Who asks in one pass: every user once; or, when `known` is not 0, half of the
 * time one of the first `known` users and half of the time another one.
 */
void users_order(const struct users *users, size_t known, flagver_context **contexts,
                 const struct bare_user **bare);

/* Names for a list; freed with names_clear(). */
struct names {
    char **texts;
    size_t count;
};

/* The first `known` users, and others that never ask; without users when none is known. */
void names_init(struct names *names, const struct users *users, size_t known, size_t others);
void names_clear(struct names *names);

/* A set of flags; their kinds are those of the pattern, over and over. */
struct plan {
    size_t count;
    const enum bare_kind *pattern;
    size_t period;
    const struct names *list; /* for beta flags; NULL: there are none */
    bool documented;          /* with description and metadata, as people write them */
};

/* The definitions of a plan as JSON; freed with free(). */
char *plan_json(const struct plan *plan, size_t *ret_length);

/* One changed flag, to be merged: `turn` differs from one change to the next. */
size_t plan_change(size_t index, unsigned turn, char *json, size_t size);

/*
 * The definitions of BENCH_FLAGS flags of all kinds, with description and metadata; freed with
 * free(). And other ones for some of them: those with a percentage, one after the other, in
 * canonical form.
 */
char *mixed_json(size_t *ret_length);
size_t mixed_change(size_t number, unsigned percentage, char key[BARE_KEY], char *json,
                    size_t size);

/* The key of a flag, "feature_00042". */
void plan_key(size_t index, char key[BARE_KEY]);

/* A plan as flags that can be asked. */
struct fixture {
    flagver_client *client;
    struct bare_table table;
    struct bare_flag *flags;
    struct bare_set *lists; /* one each, as a definitions file has it */
    size_t list_count;
    char **keys; /* the caller's own */
    size_t count;
};

void fixture_init(struct fixture *fixture, const struct plan *plan);
void fixture_clear(struct fixture *fixture);

/* A client for "definitions:" that the environment leaves alone. */
flagver_client *open_client(void);

#endif
