/*
 * Asking: which users for which flags, and the loops that are timed.
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include "fixture.h"

/* All users once in one pass, each for the next of the keys. */
struct work {
    const struct fixture *fixture;
    flagver_client *client;
    const struct bare_table *table;
    const char **key;
    const flagver_bound **bound; /* the same flags, bound */
    size_t keys;
    flagver_context *context[BENCH_USERS];
    const struct bare_user *user[BENCH_USERS];
};

/* `known` as in users_order(). No keys yet. */
struct work *work_new(const struct fixture *fixture, const struct users *users, size_t known);
void work_free(struct work *work);

/* One flag of this kind, or all of them in random order. */
void work_use_keys(struct work *work, enum bare_kind kind, bool hot);

/* One pass, beginning with key `k`. The sum of the answers is of no other use. */
typedef uint64_t pass_function(const struct work *work, size_t k);

pass_function pass_bool, pass_bound, pass_string;
pass_function pass_bare_static, pass_bare_beta, pass_bare_percentage, pass_bare_md5,
    pass_bare_split, pass_bare_rule;

/* Several passes, as a bench_task: `data` is a struct turn. */
struct turn {
    const struct work *work;
    pass_function *pass;
    int passes;
    uint64_t random; /* which key a pass begins with */
};

void work_take_turn(void *data);

#endif
