/*
 * Evaluation: what a flag serves to a context. Pure: the flags, the context and
 * the time come in, an outcome comes out.
 */
#ifndef FV_MODEL_EVALUATE_H
#define FV_MODEL_EVALUATE_H

#include "model/flag.h"

/* All flags and segments by slot; NULL where a slot has none (any longer). */
struct fv_world {
    struct fv_flag *const *flags;
    struct fv_segment *const *segments;
    uint32_t flag_count, segment_count; /* slots */
};

/* What is in a slot; NULL for one beyond the world's too. */
static inline const struct fv_flag *fv_world_flag(const struct fv_world *world, uint32_t slot)
{
    return slot < world->flag_count ? world->flags[slot] : NULL;
}

static inline const struct fv_segment *fv_world_segment(const struct fv_world *world, uint32_t slot)
{
    return slot < world->segment_count ? world->segments[slot] : NULL;
}

enum fv_trace_step {
    FV_STEP_FLAG,     /* the evaluation of `flag` begins */
    FV_STEP_SETTLED,  /* forced, disabled, or nothing to decide: see the outcome */
    FV_STEP_SPOILED,  /* `flag` cannot be evaluated: its body says why */
    FV_STEP_REQUIRES, /* whether `flag` serves `variant` */
    FV_STEP_TARGETS,  /* whether the targeting key is targeted */
    FV_STEP_RULE,     /* whether the condition of rule `index`, id `name`, holds */
    FV_STEP_LEAF,     /* whether the attribute test `leaf` holds */
    FV_STEP_SEGMENT,  /* whether the context is in segment `name` */
    FV_STEP_SCHEDULE, /* `bound` is a schedule's threshold now */
    FV_STEP_BUCKET, /* `serve` has put the context into `bucket`, its first range ends at `bound` */
    FV_STEP_SERVED  /* the evaluation of `flag` ended with `outcome` */
};

/* One step of an evaluation, for explaining it. */
struct fv_trace_event {
    enum fv_trace_step step;
    bool holds;
    const struct fv_flag *flag;
    const char *name;
    const char *variant;
    uint32_t index;
    const struct fv_leaf *leaf;
    const struct fv_outcome *outcome;
    const struct fv_serve *serve;
    uint32_t bound;
    int32_t bucket;
};

struct fv_trace {
    void (*record)(void *data, const struct fv_trace_event *event);
    void *data;
};

struct fv_question {
    const struct fv_world *world;
    const flagver_context *context; /* NULL: an empty one */
    int64_t (*clock)(void *data);   /* asked at most once, when a schedule is met */
    void *clock_data;
    const struct fv_trace *trace; /* NULL: nobody wants to know */
    int64_t now;
    bool now_known;
};

void fv_evaluate(struct fv_question *question, const struct fv_flag *flag,
                 struct fv_outcome *ret_outcome);

#endif
