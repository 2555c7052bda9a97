#include "work.h"

#include <stdlib.h>

#include "bench.h"

/* ------------------------------------------------------------------------
 * The loops. A macro, because a call through a pointer would cost as much as
 * some of the answers do.
 */

#define PASS(name, answer)                           \
    uint64_t name(const struct work *work, size_t k) \
    {                                                \
        uint64_t sum = 0;                            \
        size_t u;                                    \
                                                     \
        for (u = 0; u < BENCH_USERS; u++) {          \
            sum += (uint64_t)(answer);               \
            if (++k == work->keys)                   \
                k = 0;                               \
        }                                            \
        return sum;                                  \
    }

PASS(pass_bool, flagver_flag_bool(work->client, work->key[k], work->context[u], false))
PASS(pass_bound, flagver_bound_bool(work->bound[k], work->context[u], false))
PASS(pass_string,
     (uintptr_t)flagver_flag_string(work->client, work->key[k], work->context[u], NULL))

PASS(pass_bare_static, bare_static(work->table, work->key[k]))
PASS(pass_bare_beta, bare_beta(work->table, work->key[k], work->user[u]))
PASS(pass_bare_percentage, bare_percentage(work->table, work->key[k], work->user[u]))
PASS(pass_bare_md5, bare_md5(work->table, work->key[k], work->user[u]))
PASS(pass_bare_split, (uintptr_t)bare_split(work->table, work->key[k], work->user[u]))
PASS(pass_bare_rule, bare_rule(work->table, work->key[k], work->user[u]))

void work_take_turn(void *data)
{
    struct turn *turn = data;
    int i;

    for (i = 0; i < turn->passes; i++)
        bench_sink += turn->pass(turn->work,
                                 (size_t)(bench_random(&turn->random) % turn->work->keys));
}

/* ------------------------------------------------------------------------
 * Getting ready
 */

struct work *work_new(const struct fixture *fixture, const struct users *users, size_t known)
{
    struct work *work = bench_allocate(1, sizeof *work);

    work->fixture = fixture;
    work->client = fixture->client;
    work->table = &fixture->table;
    work->key = bench_allocate(fixture->count, sizeof *work->key);
    work->bound = bench_allocate(fixture->count, sizeof *work->bound);
    users_order(users, known, work->context, work->user);
    return work;
}

void work_free(struct work *work)
{
    free(work->key);
    free(work->bound);
    free(work);
}

static void use_key(struct work *work, const char *key)
{
    flagver_error err;

    bench_must(flagver_flag_bind(work->client, key, &work->bound[work->keys], &err), err.message);
    work->key[work->keys++] = key;
}

void work_use_keys(struct work *work, enum bare_kind kind, bool hot)
{
    const struct fixture *fixture = work->fixture;
    size_t *order = bench_allocate(fixture->count, sizeof *order);
    uint64_t random = 3;
    size_t i;

    work->keys = 0;
    bench_shuffle(order, fixture->count, &random);
    for (i = 0; i < fixture->count && !(hot && work->keys == 1); i++) {
        if (fixture->flags[order[i]].kind == kind)
            use_key(work, fixture->keys[order[i]]);
    }
    free(order);
}
