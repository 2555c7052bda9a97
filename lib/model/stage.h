/*
 * Stages of a migration: whom each of them reads, writes and believes, and which one may
 * follow which. The tables are the whole truth; docs/routing.md is checked against them.
 *
 * Reads and writes are LaunchDarkly's in the six stages that have its names; BACKFILL routes as
 * DUALWRITE does, and RAMP writes as SHADOW while reads move over by key.
 */
#ifndef FV_MODEL_STAGE_H
#define FV_MODEL_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flagver/route.h"

#define FV_STAGES 9 /* one more than the last one's number */

enum fv_side { FV_OLD, FV_NEW };

static inline enum fv_side fv_side_other(enum fv_side side)
{
    return side == FV_OLD ? FV_NEW : FV_OLD;
}

struct fv_stage_plan {
    enum fv_side
        primary; /* of a read: whose answer it is; of a write: the authority, which comes first */
    bool both;   /* the other one as well */
};

/* `moved`: in RAMP, this key is read from the new side (fv_stage_moved). */
struct fv_stage_plan fv_stage_read(int stage, bool moved);
struct fv_stage_plan fv_stage_write(int stage);

/* Reads are moved by key: the bound is in 1/10,000, and a key that is below it stays there while it rises. */
#define FV_READ_SCALE 10000u

bool fv_stage_moved(uint32_t hash, uint32_t bound);

/* "off", "dualwrite" and so on; NULL and 0 for what is none. */
const char *fv_stage_name(int stage);
int fv_stage_parse(const char *name, size_t length);

/* Is this a stage of the preset of `stages` stages (2, 4, 6, 8)? */
bool fv_stage_in(int stage, uint32_t stages);

/* The one that follows there; 0: none does. */
int fv_stage_next(int stage, uint32_t stages);

/* What must be true before a migration goes on. */
#define FV_GATE_WHOLE \
    1u /* the side that is not believed has everything: copied, or written all along */
#define FV_GATE_VERIFIED 2u /* the sides were compared since both are written, and are equal */
#define FV_GATE_MATCHING 4u /* shadow reads agree: the lower bound of their rate is high enough */
#define FV_GATE_REPAIRED 8u /* no key is dirty */
#define FV_GATE_SOAKED 16u  /* it has been in its stage for long enough */

/* A change of stage. */
struct fv_stage_change {
    bool back;
    bool flip;         /* another side is believed from then on */
    bool starts, ends; /* writing both */
    uint32_t gates;    /* FV_GATE_…; without them it can only be forced */
};

/*
 * What a change from one stage to another one is.
 *
 * @return 0, or
 *   FLAGVER_EINVAL  one of them is no stage, or none of this preset
 *   FLAGVER_ESTATE  forward by more than one step
 */
int fv_stage_change(uint32_t stages, int from, int to, struct fv_stage_change *ret_change);

#endif
