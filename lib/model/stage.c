#include "model/stage.h"

#include <string.h>

enum { OFF = FLAGVER_STAGE_OFF, DUALWRITE, BACKFILL, SHADOW, RAMP, LIVE, RAMPDOWN, COMPLETE };

/* One row a stage; a side that is asked first stands first. */
struct stage {
    const char *name;
    struct fv_stage_plan read, write;
    uint32_t gates;   /* on the way into it */
    uint32_t presets; /* which have it, by 1 << stages */
};

#define IN_ALL (1u << 2 | 1u << 4 | 1u << 6 | 1u << 8)

static const struct stage stages_by_number[FV_STAGES] = {
    [OFF] = { "off", { FV_OLD, false }, { FV_OLD, false }, 0, IN_ALL },
    [DUALWRITE] = { "dualwrite", { FV_OLD, false }, { FV_OLD, true }, 0, 1u << 6 | 1u << 8 },
    [BACKFILL] = { "backfill", { FV_OLD, false }, { FV_OLD, true }, 0, 1u << 8 },
    [SHADOW] = { "shadow",
                 { FV_OLD, true },
                 { FV_OLD, true },
                 FV_GATE_WHOLE,
                 1u << 4 | 1u << 6 | 1u << 8 },
    [RAMP] = { "ramp",
               { FV_OLD, true },
               { FV_OLD, true },
               FV_GATE_VERIFIED | FV_GATE_MATCHING,
               1u << 8 },
    [LIVE] = { "live",
               { FV_NEW, true },
               { FV_NEW, true },
               FV_GATE_WHOLE | FV_GATE_REPAIRED,
               1u << 4 | 1u << 6 | 1u << 8 },
    [RAMPDOWN] = { "rampdown", { FV_NEW, false }, { FV_NEW, true }, 0, 1u << 6 | 1u << 8 },
    [COMPLETE] = { "complete",
                   { FV_NEW, false },
                   { FV_NEW, false },
                   FV_GATE_SOAKED | FV_GATE_VERIFIED,
                   IN_ALL },
};

static bool is_stage(int stage)
{
    return stage >= OFF && stage <= COMPLETE;
}

struct fv_stage_plan fv_stage_read(int stage, bool moved)
{
    struct fv_stage_plan plan = stages_by_number[stage].read;

    if (stage == RAMP && moved)
        plan.primary = FV_NEW;
    return plan;
}

struct fv_stage_plan fv_stage_write(int stage)
{
    return stages_by_number[stage].write;
}

bool fv_stage_moved(uint32_t hash, uint32_t bound)
{
    return ((uint64_t)hash * FV_READ_SCALE) >> 32 < bound;
}

const char *fv_stage_name(int stage)
{
    return is_stage(stage) ? stages_by_number[stage].name : NULL;
}

int fv_stage_parse(const char *name, size_t length)
{
    for (int stage = OFF; stage <= COMPLETE; stage++) {
        const char *known = stages_by_number[stage].name;

        if (strlen(known) == length && memcmp(known, name, length) == 0)
            return stage;
    }
    return 0;
}

bool fv_stage_in(int stage, uint32_t stages)
{
    return is_stage(stage) && stages < 32 && (stages_by_number[stage].presets & 1u << stages);
}

int fv_stage_next(int stage, uint32_t stages)
{
    do
        stage++;
    while (is_stage(stage) && !fv_stage_in(stage, stages));
    return is_stage(stage) ? stage : 0;
}

/* A step of a smaller preset passes the gates of what it leaves out, as far as `from` can show for them. */
static uint32_t gates_ahead(int from, int to)
{
    const struct stage *left = &stages_by_number[from], *entered = &stages_by_number[to];
    uint32_t gates = 0;

    for (int stage = from + 1; stage <= to; stage++)
        gates |= stages_by_number[stage].gates;
    if (!left->read.both)
        gates &= ~FV_GATE_MATCHING;
    if (!left->write.both)
        gates &= ~FV_GATE_SOAKED;
    if (!left->write.both && entered->write.both)
        gates &= ~FV_GATE_WHOLE; /* nothing was to be copied yet */
    return gates;
}

/* Whom to believe again: the other side, which has been written meanwhile, or has not. */
static uint32_t gates_back(int from, bool flip)
{
    if (!flip)
        return 0;
    return stages_by_number[from].write.both ? FV_GATE_WHOLE
                                             : FV_GATE_WHOLE | FV_GATE_VERIFIED | FV_GATE_REPAIRED;
}

int fv_stage_change(uint32_t stages, int from, int to, struct fv_stage_change *ret_change)
{
    struct fv_stage_plan before, after;

    if (!fv_stage_in(from, stages) || !fv_stage_in(to, stages))
        return FLAGVER_EINVAL;
    if (to > from && to != fv_stage_next(from, stages))
        return FLAGVER_ESTATE;

    before = fv_stage_write(from);
    after = fv_stage_write(to);
    *ret_change = (struct fv_stage_change){ .back = to < from,
                                            .flip = before.primary != after.primary,
                                            .starts = !before.both && after.both,
                                            .ends = before.both && !after.both };
    ret_change->gates = ret_change->back ? gates_back(from, ret_change->flip)
                                         : gates_ahead(from, to);
    return 0;
}
