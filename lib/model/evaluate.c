#include "model/evaluate.h"

#include <string.h>

#include "flagver/flag.h"
#include "util/compiler.h"

/*
 * Recursion follows references from flag to flag and segment to segment. Before
 * the flags got here it was seen that all they refer to is there, that nothing
 * leads back to itself, and that no way is longer than FV_REFERENCE_DEPTH
 * (model/graph.h); flags of which that is not true were replaced by spoiled ones.
 */

static void trace(const struct fv_question *question, const struct fv_trace_event *event)
{
    question->trace->record(question->trace->data, event);
}

/* Builds the event only when somebody listens. */
#define TRACE(question, ...)                                            \
    do {                                                                \
        if ((question)->trace)                                          \
            trace((question), &(struct fv_trace_event){ __VA_ARGS__ }); \
    } while (0)

static bool condition_holds(struct fv_question *question, const struct fv_condition *condition);

static void answer(struct fv_outcome *outcome, uint32_t variant, uint8_t reason, const char *rule)
{
    *outcome =
        (struct fv_outcome){ .variant = variant, .reason = reason, .bucket = -1, .rule = rule };
}

static void answer_error(struct fv_outcome *outcome, uint8_t error)
{
    *outcome = (struct fv_outcome){
        .variant = FV_NO_VARIANT, .reason = FLAGVER_REASON_ERROR, .error = error, .bucket = -1
    };
}

static int64_t now(struct fv_question *question)
{
    if (!question->now_known) {
        question->now = question->clock(question->clock_data);
        question->now_known = true;
    }
    return question->now;
}

static bool flag_serves(struct fv_question *question, uint32_t slot, const char *variant)
{
    const struct fv_flag *flag = question->world->flags[slot];
    struct fv_outcome outcome;

    fv_evaluate(question, flag, &outcome);
    return outcome.variant != FV_NO_VARIANT &&
           strcmp(flag->body->variants[outcome.variant].name, variant) == 0;
}

static bool in_segment(struct fv_question *question, uint32_t slot)
{
    const struct fv_segment *segment = question->world->segments[slot];
    const flagver_context *context = question->context;
    const struct fv_value *key = context ? &context->key : NULL;

    if (key && key->kind == FV_STRING) {
        if (fv_keyset_find(&segment->include, key->as.string, key->count, context->key_hash) >= 0)
            return true;
        if (fv_keyset_find(&segment->exclude, key->as.string, key->count, context->key_hash) >= 0)
            return false;
    }
    return condition_holds(question, &segment->condition);
}

static bool leaf_holds(struct fv_question *question, const struct fv_leaf *leaf)
{
    bool holds;

    switch ((enum fv_test)leaf->test) {
    case FV_TEST_SEGMENT:
        holds = in_segment(question, leaf->slot);
        TRACE(question, .step = FV_STEP_SEGMENT, .holds = holds,
              .name = question->world->segments[leaf->slot]->name);
        return holds;
    case FV_TEST_FLAG:
        holds = flag_serves(question, leaf->slot, leaf->variant);
        TRACE(question, .step = FV_STEP_REQUIRES, .holds = holds,
              .flag = question->world->flags[leaf->slot], .variant = leaf->variant);
        return holds;
    default:
        holds = fv_leaf_holds(leaf, question->context);
        TRACE(question, .step = FV_STEP_LEAF, .holds = holds, .leaf = leaf);
        return holds;
    }
}

static bool condition_holds(struct fv_question *question, const struct fv_condition *condition)
{
    const struct fv_leaf *leaf;
    uint32_t at = condition->entry;

    while (at < condition->count) {
        leaf = &condition->leaves[at];
        at = leaf_holds(question, leaf) ? leaf->yes : leaf->no;
    }
    return at == FV_ANSWER_YES;
}

/* The variant whose range the bucket falls into. */
static uint32_t pick(const struct fv_serve *serve, uint32_t first_bound, uint32_t point)
{
    uint32_t i;

    if (point < first_bound)
        return serve->first.variant;
    for (i = 0; i + 1 < serve->range_count; i++)
        if (point < serve->more[i].bound)
            return serve->more[i].variant;
    return serve->remainder;
}

/* `reason` stands when no bucket is needed. */
static void serve(struct fv_question *question, const struct fv_serve *serve, uint8_t reason,
                  const char *rule, struct fv_outcome *outcome)
{
    uint32_t point, bound;
    int32_t bucket;

    if (!serve->range_count) {
        answer(outcome, serve->remainder, reason, rule);
        return;
    }

    bound = serve->first.bound;
    if (serve->schedule) {
        bound = fv_schedule_threshold(serve->schedule, now(question));
        TRACE(question, .step = FV_STEP_SCHEDULE, .bound = bound);
        if (bound == 0 || bound == FV_SCALE) {
            answer(outcome, bound ? serve->first.variant : serve->remainder, reason, rule);
            return;
        }
    }

    if (!fv_bucket(serve->bucketing, question->context, &point, &bucket)) {
        answer_error(outcome, FLAGVER_ERROR_TARGETING_KEY_MISSING);
        return;
    }
    TRACE(question, .step = FV_STEP_BUCKET, .serve = serve, .bound = bound, .bucket = bucket);
    answer(outcome, pick(serve, bound, point), FLAGVER_REASON_SPLIT, rule);
    outcome->bucket = bucket;
}

static bool requirements_met(struct fv_question *question, const struct fv_plan *plan)
{
    const struct fv_requirement *required;
    uint32_t i;
    bool met;

    for (i = 0; i < plan->requirement_count; i++) {
        required = &plan->requirements[i];
        met = flag_serves(question, required->slot, required->variant);
        TRACE(question, .step = FV_STEP_REQUIRES, .holds = met,
              .flag = question->world->flags[required->slot], .variant = required->variant);
        if (!met)
            return false;
    }
    return true;
}

static bool targeted(struct fv_question *question, const struct fv_plan *plan,
                     struct fv_outcome *outcome)
{
    const flagver_context *context = question->context;
    int32_t variant = -1;

    if (context && context->key.kind == FV_STRING)
        variant = fv_keyset_find(&plan->targets, context->key.as.string, context->key.count,
                                 context->key_hash);
    TRACE(question, .step = FV_STEP_TARGETS, .holds = variant >= 0);
    if (variant < 0)
        return false;
    answer(outcome, (uint32_t)variant, FLAGVER_REASON_TARGETING_MATCH, NULL);
    return true;
}

static bool ruled(struct fv_question *question, const struct fv_plan *plan,
                  struct fv_outcome *outcome)
{
    const struct fv_rule *rule;
    uint32_t i;
    bool holds;

    for (i = 0; i < plan->rule_count; i++) {
        rule = &plan->rules[i];
        holds = condition_holds(question, &rule->condition);
        TRACE(question, .step = FV_STEP_RULE, .holds = holds, .index = i, .name = rule->id);
        if (holds) {
            serve(question, &rule->serve, FLAGVER_REASON_TARGETING_MATCH, rule->id, outcome);
            return true;
        }
    }
    return false;
}

/*
 * A flag's memory begins with the flag and is mostly one piece. Fetched all at
 * once it costs one wait for a flag that is in no cache, not one a pointer.
 */
#define USUAL_LINES 4
#define RULES_LINES 14

static void fetch(const struct fv_flag *flag)
{
    int line, lines = flag->asks & FV_ASKS_RULES ? RULES_LINES : USUAL_LINES;

    for (line = 1; line < lines; line++)
        FV_PREFETCH((const void *)((uintptr_t)flag + (uintptr_t)line * 64));
}

static void answer_spoiled(const struct fv_question *question, const struct fv_flag *flag,
                           struct fv_outcome *outcome)
{
    TRACE(question, .step = FV_STEP_SPOILED, .flag = flag);
    answer_error(outcome, flag->error);
}

/* What the flag asks, in order; the first answer counts. A spoiled flag asks nothing. */
static void ask(struct fv_question *question, const struct fv_flag *flag,
                struct fv_outcome *outcome)
{
    const struct fv_flag_body *body = flag->body;

    if (flag->asks & FV_ASKS_REQUIREMENTS && !requirements_met(question, body->plan))
        answer(outcome, body->off, FLAGVER_REASON_DEFAULT, "requires");
    else if (flag->asks & FV_ASKS_TARGETS && targeted(question, body->plan, outcome))
        return;
    else if (flag->asks & FV_ASKS_RULES && ruled(question, body->plan, outcome))
        return;
    else if (flag->asks & FV_ASKS_SERVE)
        serve(question, &body->serve, FLAGVER_REASON_DEFAULT, NULL, outcome);
    else if (flag->error)
        answer_spoiled(question, flag, outcome);
    else
        answer(outcome, body->fallback, FLAGVER_REASON_DEFAULT, NULL);
}

static void decide(struct fv_question *question, const struct fv_flag *flag,
                   struct fv_outcome *outcome)
{
    if (fv_context_is_invalid(question->context) && !flag->forced && !flag->error) {
        answer_error(outcome, FLAGVER_ERROR_INVALID_CONTEXT);
    } else if (flag->settled) {
        TRACE(question, .step = FV_STEP_SETTLED, .flag = flag);
        answer(outcome, flag->variant, flag->reason, NULL);
    } else {
        fetch(flag);
        ask(question, flag, outcome);
    }
}

void fv_evaluate(struct fv_question *question, const struct fv_flag *flag,
                 struct fv_outcome *ret_outcome)
{
    TRACE(question, .step = FV_STEP_FLAG, .flag = flag);
    decide(question, flag, ret_outcome);
    TRACE(question, .step = FV_STEP_SERVED, .flag = flag, .outcome = ret_outcome);
}
