/*
 * What tests of steps begin with: a migration between two tables in memory, the old one with ROWS records.
 */
#ifndef STEPS_H
#define STEPS_H

#include "engine/passage.h"
#include "sides.h"
#include "stores.h"

#define ROWS 1200

static flagver_client *client;
static struct table tables[2];
static flagver_side sides[2];
static flagver_route *route;

/* Of a client that is open. */
static inline void make_migration(void)
{
    char key[16];

    put_migration(client, "users", "{'stage': 'off'}");
    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++) {
        table_init(&tables[side]);
        sides[side] = table_side(&tables[side]);
    }
    for (int i = 0; i < ROWS; i++) {
        snprintf(key, sizeof key, "k%04d", i);
        table_put(&tables[FLAGVER_SIDE_OLD], key, "v");
    }
}

static inline void leave(void)
{
    close_route(route);
    flagver_close(client);
}

static inline flagver_route_progress step_for(flagver_route *stepping, int32_t budget_ms)
{
    flagver_route_progress progress = { .size = sizeof progress };

    assert_ok(flagver_route_step(stepping, budget_ms, &progress, &error));
    return progress;
}

/* What the store says of a copy or comparison, changed. */
struct retelling {
    const char *space;
    void (*change)(struct fv_passage *passage);
};

static inline int retell_in(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct retelling *retelling = data;
    struct fv_passage passage;
    flagver_keyed_row row;
    int r;

    r = fv_passage_get(txn, retelling->space, "users", &row, &passage, err);
    if (r < 0)
        return r;
    retelling->change(&passage);
    return fv_passage_put(txn, &row, &passage, err);
}

/* The words of the last failure stay. */
static inline void retell(const char *space, void (*change)(struct fv_passage *passage))
{
    struct retelling retelling = { space, change };
    flagver_error problem;

    ck_assert_int_eq(fv_steering_run_on(client, retell_in, &retelling, &problem), 0);
}

/* As if whoever is at it had taken longer than the turn. */
static inline void end_turn(struct fv_passage *passage)
{
    passage->until = 1;
}

#endif
