#include "codec/event.h"

#include <stdlib.h>
#include <string.h>

#include "codec/canonical.h"
#include "model/context.h"
#include "model/stage.h"
#include "util/fail.h"

/* ---- the parts of an event ---- */

static void add_string(struct fv_text *out, const char *name, const char *value)
{
    fv_text_format(out, "\"%s\":", name);
    fv_canonical_string(out, value, strlen(value));
}

static bool has_context_key(const flagver_route_event *event)
{
    return event->context && event->context->key.kind == FV_STRING;
}

/* Whom the flag was evaluated for; a migration goes by the record alone. */
static void add_context(struct fv_text *out, const flagver_route_event *event)
{
    fv_text_add(out, ",\"contextKeys\":{");
    if (has_context_key(event)) {
        fv_text_add(out, "\"user\":");
        fv_canonical_string(out, event->context->key.as.string, event->context->key.count);
    } else {
        add_string(out, "record", event->key);
    }
    fv_text_add(out, "}");
}

/* Its place among the six stages of that form; -1: none. */
static int variation_of(int stage)
{
    static const int places[FV_STAGES] = {
        [FLAGVER_STAGE_OFF] = 0,      [FLAGVER_STAGE_DUALWRITE] = 1, [FLAGVER_STAGE_BACKFILL] = -1,
        [FLAGVER_STAGE_SHADOW] = 2,   [FLAGVER_STAGE_RAMP] = -1,     [FLAGVER_STAGE_LIVE] = 3,
        [FLAGVER_STAGE_RAMPDOWN] = 4, [FLAGVER_STAGE_COMPLETE] = 5
    };

    return places[stage];
}

static const char *reason_kind(int reason)
{
    switch (reason) {
    case FLAGVER_REASON_ERROR:
        return "ERROR";
    case FLAGVER_REASON_TARGETING_MATCH:
        return "RULE_MATCH";
    case FLAGVER_REASON_DISABLED:
        return "OFF";
    default:
        return "FALLTHROUGH";
    }
}

static const char *error_kind(int error)
{
    switch (error) {
    case FLAGVER_ERROR_FLAG_NOT_FOUND:
        return "FLAG_NOT_FOUND";
    case FLAGVER_ERROR_TYPE_MISMATCH:
        return "WRONG_TYPE";
    case FLAGVER_ERROR_PARSE_ERROR:
        return "MALFORMED_FLAG";
    case FLAGVER_ERROR_TARGETING_KEY_MISSING:
    case FLAGVER_ERROR_INVALID_CONTEXT:
        return "USER_NOT_SPECIFIED";
    default:
        return "EXCEPTION";
    }
}

static void add_evaluation(struct fv_text *out, const flagver_route_event *event)
{
    int variation = event->reason == FLAGVER_REASON_ERROR ? -1 : variation_of(event->stage);

    fv_text_add(out, ",\"evaluation\":{");
    add_string(out, "key", event->route);
    fv_text_format(out, ",\"value\":\"%s\",\"default\":\"%s\"", fv_stage_name(event->stage),
                   fv_stage_name(event->default_stage));
    if (variation >= 0)
        fv_text_format(out, ",\"variation\":%d", variation);
    if (event->version > 0)
        fv_text_format(out, ",\"version\":%lld", (long long)event->version);
    fv_text_format(out, ",\"reason\":{\"kind\":\"%s\"", reason_kind(event->reason));
    if (event->reason == FLAGVER_REASON_ERROR)
        fv_text_format(out, ",\"errorKind\":\"%s\"", error_kind(event->error));
    fv_text_add(out, "}}");
}

/* ---- measurements ---- */

enum measure { INVOKED, FAILED, LATENCY };

static bool has(const flagver_route_side_result *side, enum measure measure)
{
    /* That there is no such record is an answer. */
    bool failed = side->code < 0 && side->code != FLAGVER_ENOTFOUND;

    return side->invoked && (measure != FAILED || failed);
}

static void add_measure(struct fv_text *out, const char *name, enum measure measure,
                        const flagver_route_event *event)
{
    const char *comma = "";

    if (!has(&event->sides[FV_OLD], measure) && !has(&event->sides[FV_NEW], measure))
        return;
    fv_text_format(out, "%s{\"key\":\"%s\",\"values\":{", measure == INVOKED ? "" : ",", name);
    for (int side = FV_OLD; side <= FV_NEW; side++) {
        const flagver_route_side_result *result = &event->sides[side];

        if (!has(result, measure))
            continue;
        fv_text_format(out, "%s\"%s\":", comma, side == FV_OLD ? "old" : "new");
        if (measure == LATENCY)
            fv_text_format(out, "%lld", (long long)(result->latency_ns / 1000000));
        else
            fv_text_add(out, "true");
        comma = ",";
    }
    fv_text_add(out, "}}");
}

static void add_measurements(struct fv_text *out, const flagver_route_event *event)
{
    fv_text_add(out, ",\"measurements\":[");
    add_measure(out, "invoked", INVOKED, event);
    if (event->consistent >= 0)
        fv_text_format(out, ",{\"key\":\"consistent\",\"value\":%s,\"samplingRatio\":%u}",
                       event->consistent ? "true" : "false", event->check_ratio);
    add_measure(out, "latency_ms", LATENCY, event);
    add_measure(out, "error", FAILED, event);
    fv_text_add(out, "]");
}

/* ---- the whole ---- */

/* What only a side that was invoked can have. */
static bool claims(const flagver_route_side_result *side)
{
    return !side->invoked && (side->code != 0 || side->latency_ns != 0);
}

static int check(const flagver_route_event *event, flagver_error *err)
{
    if (!event->route || event->route[0] == '\0')
        return fv_fail(err, FLAGVER_EINVAL, "event.route is empty");
    if (!fv_stage_name(event->stage) || !fv_stage_name(event->default_stage))
        return fv_fail(err, FLAGVER_EINVAL, "event.stage or event.default_stage is no stage");
    if (event->operation < FLAGVER_ROUTE_READ || event->operation > FLAGVER_ROUTE_REMOVE)
        return fv_fail(err, FLAGVER_EINVAL, "event.operation is %d; FLAGVER_ROUTE_... allowed",
                       event->operation);
    if (!has_context_key(event) && !event->key)
        return fv_fail(err, FLAGVER_EINVAL,
                       "event.context has no targeting key, and event.key "
                       "is NULL");
    if (!event->sides[FV_OLD].invoked && !event->sides[FV_NEW].invoked)
        return fv_fail(err, FLAGVER_EINVAL, "neither side was invoked");
    if (claims(&event->sides[FV_OLD]) || claims(&event->sides[FV_NEW]))
        return fv_fail(err, FLAGVER_EINVAL,
                       "a side that was not invoked has an error or a latency");
    if (event->consistent >= 0 && (!event->sides[FV_OLD].invoked || !event->sides[FV_NEW].invoked))
        return fv_fail(err, FLAGVER_EINVAL, "event.consistent is about two sides; one was invoked");
    if (fv_context_is_invalid(event->context))
        return fv_fail(err, FLAGVER_EINVAL, "event.context has a targeting key that is no string");
    return 0;
}

int fv_event_json(const flagver_route_event *event, char **ret_json, flagver_error *err)
{
    struct fv_text out = FV_TEXT_INIT;
    int r;

    r = check(event, err);
    if (r < 0)
        return r;

    fv_text_format(&out, "{\"kind\":\"migration_op\",\"operation\":\"%s\",\"creationDate\":%lld",
                   event->operation == FLAGVER_ROUTE_READ ? "read" : "write",
                   (long long)event->time);
    if (event->sampling_ratio != 1)
        fv_text_format(&out, ",\"samplingRatio\":%u", event->sampling_ratio);
    add_context(&out, event);
    add_evaluation(&out, event);
    add_measurements(&out, event);
    fv_text_add(&out, "}");
    return fv_text_give(&out, ret_json, err);
}

/* ---- metadata ---- */

void fv_event_ratio(const char *metadata, const char *member, int64_t *ret_ratio)
{
    size_t length = strlen(member);

    for (const char *at = metadata; (at = strstr(at, member)) != NULL; at += length) {
        char *end;
        long long number;

        if (at == metadata || at[-1] != '"' || strncmp(at + length, "\":", 2) != 0)
            continue;
        number = strtoll(at + length + 2, &end, 10);
        if (end > at + length + 2 && (*end == ',' || *end == '}'))
            *ret_ratio = number;
        return;
    }
}
