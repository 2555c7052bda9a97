#include "codec/detail.h"

#include <string.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "model/datetime.h"
#include "util/utf8.h"

static void add_key(struct fv_text *out, const char *key)
{
    fv_text_format(out, ",\"%s\":", key);
}

/* A string that may not be UTF-8: JSON is, so what is malformed becomes U+FFFD. */
static void write_string(struct fv_text *out, const char *string, size_t length)
{
    struct fv_text mended = FV_TEXT_INIT;
    const char *at = string, *end = string + length;
    char encoded[4];

    if (fv_utf8_valid(string, length)) {
        fv_canonical_string(out, string, length);
        return;
    }
    while (at < end)
        fv_text_add_bytes(&mended, encoded, fv_utf8_encode(fv_utf8_next(&at, end), encoded));
    fv_canonical_string(out, mended.data, mended.length);
    out->failed |= mended.failed;
    fv_text_clear(&mended);
}

static void add_string(struct fv_text *out, const char *key, const char *string)
{
    add_key(out, key);
    write_string(out, string, strlen(string));
}

static void add_bool(struct fv_text *out, const char *key, bool value)
{
    add_key(out, key);
    fv_text_add(out, value ? "true" : "false");
}

/* ---- details ---- */

/* A caller's default for a JSON flag may be any text, or NULL. */
static void write_json(struct fv_text *out, const char *text, size_t length)
{
    json_t *root;

    if (fv_json_parse(text, length, NULL, &root, NULL) < 0) {
        write_string(out, text, length);
        return;
    }
    json_decref(root);
    fv_text_add_bytes(out, text, length);
}

static void write_value(struct fv_text *out, const flagver_value *value, bool served)
{
    bool text = value->type == FLAGVER_TYPE_STRING || value->type == FLAGVER_TYPE_JSON;

    if (text && !value->string) {
        fv_text_add(out, "null");
        return;
    }
    switch (value->type) {
    case FLAGVER_TYPE_BOOL:
        fv_text_add(out, value->boolean ? "true" : "false");
        break;
    case FLAGVER_TYPE_INT:
        fv_canonical_integer(out, value->integer);
        break;
    case FLAGVER_TYPE_DOUBLE:
        fv_canonical_real(out, value->real);
        break;
    case FLAGVER_TYPE_STRING:
        write_string(out, value->string, value->length);
        break;
    case FLAGVER_TYPE_JSON:
        if (served)
            fv_text_add_bytes(out, value->string, value->length);
        else
            write_json(out, value->string, value->length);
        break;
    default:
        fv_text_add(out, "null");
        break;
    }
}

/* The members, without the braces around them. */
static void write_members(struct fv_text *out, const flagver_detail *detail)
{
    fv_text_add(out, "\"flag\":");
    write_string(out, detail->flag ? detail->flag : "", detail->flag_length);
    add_key(out, "value");
    write_value(out, &detail->value, detail->variant != NULL);
    if (detail->variant)
        add_string(out, "variant", detail->variant);
    else
        fv_text_add(out, ",\"variant\":null");
    add_string(out, "reason", flagver_reason_name(detail->reason));
    if (detail->error)
        add_string(out, "errorCode", flagver_error_code_name(detail->error));
    if (detail->rule)
        add_string(out, "ruleId", detail->rule);
    if (detail->bucket >= 0) {
        add_key(out, "bucket");
        fv_canonical_integer(out, detail->bucket);
    }
    if (detail->version) {
        add_key(out, "version");
        fv_canonical_integer(out, detail->version);
    }
}

void fv_detail_write(struct fv_text *out, const flagver_detail *detail)
{
    fv_text_add_char(out, '{');
    write_members(out, detail);
    fv_text_add_char(out, '}');
}

/* ---- explanations ---- */

static void write_found(struct fv_text *out, const struct fv_value *value);

static void write_items(struct fv_text *out, const struct fv_value *list)
{
    uint32_t i;

    fv_text_add_char(out, '[');
    for (i = 0; i < list->count; i++) {
        if (i)
            fv_text_add_char(out, ',');
        write_found(out, &list->as.items[i]);
    }
    fv_text_add_char(out, ']');
}

static void write_object(struct fv_text *out, const struct fv_value *object)
{
    const struct fv_member *members = object->as.members;
    uint32_t i;

    fv_text_add_char(out, '{');
    for (i = 0; i < object->count; i++) {
        if (i)
            fv_text_add_char(out, ',');
        write_string(out, members[i].name, members[i].length);
        fv_text_add_char(out, ':');
        write_found(out, &members[i].value);
    }
    fv_text_add_char(out, '}');
}

/* A value of the context; contexts nest at most FV_CONTEXT_DEPTH deep. */
static void write_found(struct fv_text *out, const struct fv_value *value)
{
    char date[FV_DATETIME_SIZE];

    switch ((enum fv_kind)value->kind) {
    case FV_BOOL:
        fv_text_add(out, value->as.boolean ? "true" : "false");
        break;
    case FV_INTEGER:
        fv_canonical_integer(out, value->as.integer);
        break;
    case FV_DATETIME:
        fv_canonical_string(out, date, fv_datetime_format(value->as.integer, date));
        break;
    case FV_REAL:
        fv_canonical_real(out, value->as.real);
        break;
    case FV_STRING:
        write_string(out, value->as.string, value->count);
        break;
    case FV_LIST:
        write_items(out, value);
        break;
    case FV_OBJECT:
        write_object(out, value);
        break;
    default:
        fv_text_add(out, "null");
        break;
    }
}

static void write_leaf(const struct fv_explanation *explanation, struct fv_text *out,
                       const struct fv_leaf *leaf)
{
    const struct fv_value *found = fv_context_find(explanation->context, &leaf->path);

    add_string(out, "attr", leaf->path.whole.name);
    add_string(out, "op", fv_operators[leaf->op].name);
    if (found) {
        add_key(out, "found");
        write_found(out, found);
    }
}

static void write_served(struct fv_text *out, const struct fv_trace_event *event)
{
    const struct fv_outcome *outcome = event->outcome;

    if (outcome->variant != FV_NO_VARIANT)
        add_string(out, "variant", event->flag->body->variants[outcome->variant].name);
    add_string(out, "reason", flagver_reason_name(outcome->reason));
    if (outcome->error)
        add_string(out, "errorCode", flagver_error_code_name(outcome->error));
    if (outcome->bucket >= 0) {
        add_key(out, "bucket");
        fv_canonical_integer(out, outcome->bucket);
    }
}

static void write_rule(struct fv_text *out, const struct fv_trace_event *event)
{
    add_key(out, "index");
    fv_canonical_integer(out, event->index);
    if (event->name)
        add_string(out, "id", event->name);
}

/* Bounds are on FV_SCALE, whatever scale the bucket has. */
static void write_bucket(struct fv_text *out, const struct fv_trace_event *event)
{
    const struct fv_serve *serve = event->serve;
    uint32_t i;

    add_string(out, "by", serve->bucketing->by.whole.name);
    fv_text_format(out, ",\"bucket\":%d,\"of\":%u,\"bounds\":[%u", (int)event->bucket,
                   serve->bucketing->hash == FV_HASH_MD5_MOD100 ? 100 : FV_SCALE,
                   (unsigned)event->bound);
    for (i = 0; i + 1 < serve->range_count; i++)
        fv_text_format(out, ",%u", (unsigned)serve->more[i].bound);
    fv_text_add_char(out, ']');
}

static void write_settled(struct fv_text *out, const struct fv_flag *flag)
{
    add_string(out, "reason", flagver_reason_name(flag->reason));
    if (flag->forced)
        add_bool(out, "forced", true);
}

static void write_spoiled(struct fv_text *out, const struct fv_flag *flag)
{
    add_string(out, "why", flag->body->why);
}

static bool says_whether(enum fv_trace_step step)
{
    return step == FV_STEP_REQUIRES || step == FV_STEP_TARGETS || step == FV_STEP_RULE ||
           step == FV_STEP_LEAF || step == FV_STEP_SEGMENT;
}

static const char *const step_names[] = {
    [FV_STEP_FLAG] = "evaluate",   [FV_STEP_SETTLED] = "settled",   [FV_STEP_REQUIRES] = "requires",
    [FV_STEP_TARGETS] = "targets", [FV_STEP_RULE] = "rule",         [FV_STEP_LEAF] = "condition",
    [FV_STEP_SEGMENT] = "segment", [FV_STEP_SCHEDULE] = "schedule", [FV_STEP_BUCKET] = "bucket",
    [FV_STEP_SERVED] = "served",   [FV_STEP_SPOILED] = "malformed",
};

static void write_step(const struct fv_explanation *explanation, struct fv_text *out,
                       const struct fv_trace_event *event)
{
    fv_text_format(out, "%s{\"step\":\"%s\"", out->length ? "," : "", step_names[event->step]);
    if (event->flag)
        add_string(out, "flag", event->flag->key);
    switch (event->step) {
    case FV_STEP_REQUIRES:
        add_string(out, "variant", event->variant);
        break;
    case FV_STEP_RULE:
        write_rule(out, event);
        break;
    case FV_STEP_LEAF:
        write_leaf(explanation, out, event->leaf);
        break;
    case FV_STEP_SEGMENT:
        add_string(out, "segment", event->name);
        break;
    case FV_STEP_SERVED:
        write_served(out, event);
        break;
    case FV_STEP_SETTLED:
        write_settled(out, event->flag);
        break;
    case FV_STEP_SPOILED:
        write_spoiled(out, event->flag);
        break;
    case FV_STEP_SCHEDULE:
        fv_text_format(out, ",\"threshold\":%u", (unsigned)event->bound);
        break;
    case FV_STEP_BUCKET:
        write_bucket(out, event);
        break;
    default:
        break;
    }
    if (says_whether(event->step))
        add_bool(out, "holds", event->holds);
    fv_text_add_char(out, '}');
}

static void record(void *data, const struct fv_trace_event *event)
{
    struct fv_explanation *explanation = data;

    write_step(explanation, &explanation->steps, event);
}

void fv_explanation_init(struct fv_explanation *explanation, const flagver_context *context)
{
    explanation->trace = (struct fv_trace){ record, explanation };
    explanation->context = context;
    explanation->steps = (struct fv_text)FV_TEXT_INIT;
}

void fv_explanation_clear(struct fv_explanation *explanation)
{
    fv_text_clear(&explanation->steps);
}

void fv_explanation_write(struct fv_text *out, const struct fv_explanation *explanation,
                          const flagver_detail *detail)
{
    fv_text_add_char(out, '{');
    write_members(out, detail);
    fv_text_add(out, ",\"steps\":[");
    fv_text_add_bytes(out, explanation->steps.data, explanation->steps.length);
    fv_text_add(out, "]}");
    if (explanation->steps.failed)
        out->failed = true;
}
