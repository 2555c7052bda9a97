#include "engine/flags.h"

#include <stdlib.h>
#include <string.h>

#include "codec/detail.h"
#include "util/fail.h"

static struct fv_question question_of(const flagver_snapshot *snapshot,
                                      const flagver_context *context)
{
    return (struct fv_question){ .world = &snapshot->world,
                                 .context = context,
                                 .clock = snapshot->catalog->clock,
                                 .clock_data = snapshot->catalog->clock_data };
}

/* A number of one type as the other, when it stays the same; true when the types agree. */
static bool convert(const struct fv_flag *flag, int type, struct fv_value *value)
{
    if (type == flag->type || type == FLAGVER_TYPE_ANY)
        return true;
    if (type == FLAGVER_TYPE_DOUBLE && flag->type == FLAGVER_TYPE_INT) {
        value->kind = FV_REAL;
        return fv_integer_to_real(value->as.integer, &value->as.real);
    }
    if (type == FLAGVER_TYPE_INT && flag->type == FLAGVER_TYPE_DOUBLE) {
        value->kind = FV_INTEGER;
        return fv_real_to_integer(value->as.real, &value->as.integer);
    }
    return false;
}

const struct fv_value *fv_flags_ask(struct fv_reader *reader, const struct fv_flag *flag,
                                    const flagver_context *context, int type)
{
    struct fv_question question = question_of(reader->snapshot, context);
    struct fv_outcome outcome;

    if (flag->type != type)
        return NULL;
    reader->busy++; /* the clock may evaluate flags, too */
    fv_evaluate(&question, flag, &outcome);
    reader->busy--;
    if (outcome.variant == FV_NO_VARIANT)
        return NULL;
    fv_reader_count(reader, flag->body->counter + 1 + outcome.variant);
    return &flag->body->variants[outcome.variant].value;
}

/* ---- details ---- */

static int detail_error(flagver_detail *detail, int error)
{
    detail->reason = FLAGVER_REASON_ERROR;
    detail->error = error;
    return error;
}

/* `flag` is NULL when there is none of that name. */
static void detail_init(flagver_detail *detail, const struct fv_flag *flag,
                        const struct fv_flag_name *name)
{
    *detail = (flagver_detail){ .size = sizeof *detail, .bucket = -1 };
    detail->flag = flag ? flag->key : name->key;
    detail->flag_length = flag ? flag->key_length : name->length;
}

static void detail_value(flagver_detail *detail, int type, const struct fv_value *value)
{
    detail->value.type = type;
    switch ((enum fv_kind)value->kind) {
    case FV_BOOL:
        detail->value.boolean = value->as.boolean;
        break;
    case FV_INTEGER:
        detail->value.integer = value->as.integer;
        break;
    case FV_REAL:
        detail->value.real = value->as.real;
        break;
    default:
        detail->value.string = value->as.string;
        detail->value.length = value->count;
        break;
    }
}

static int detail_outcome(flagver_detail *detail, const struct fv_flag *flag, int type,
                          const struct fv_outcome *outcome)
{
    const struct fv_variant *variant;
    struct fv_value value;

    detail->version = flag->body->version;
    detail->metadata = flag->body->metadata;
    if (outcome->error)
        return detail_error(detail, outcome->error);
    variant = &flag->body->variants[outcome->variant];
    value = variant->value;
    if (!convert(flag, type, &value))
        return detail_error(detail, FLAGVER_ERROR_TYPE_MISMATCH);

    detail->variant = variant->name;
    detail->reason = outcome->reason;
    detail->rule = outcome->rule;
    detail->bucket = outcome->bucket;
    detail_value(detail, type == FLAGVER_TYPE_ANY ? flag->type : type, &value);
    return 0;
}

void fv_flags_hand_over(const flagver_detail *detail, flagver_detail *ret_detail)
{
    size_t size = ret_detail ? ret_detail->size : 0;

    if (size > detail->size)
        size = detail->size;
    if (size > sizeof *detail)
        size = sizeof *detail;
    if (size > sizeof size)
        memcpy((char *)ret_detail + sizeof size, (const char *)detail + sizeof size,
               size - sizeof size);
}

static const struct fv_flag *find(const flagver_snapshot *snapshot, const struct fv_flag_name *name)
{
    if (name->slot == FV_MAP_NONE)
        return fv_table_find(&snapshot->table, name->key, name->length);
    return name->slot < snapshot->world.flag_count ? snapshot->world.flags[name->slot] : NULL;
}

static int evaluate(const flagver_snapshot *snapshot, const struct fv_flag *flag,
                    const flagver_context *context, int type, const struct fv_trace *trace,
                    flagver_detail *detail, struct fv_outcome *outcome)
{
    struct fv_question question = question_of(snapshot, context);

    question.trace = trace;
    fv_evaluate(&question, flag, outcome);
    return detail_outcome(detail, flag, type, outcome);
}

int fv_flags_evaluate_on(const flagver_snapshot *snapshot, const struct fv_flag_name *name,
                         const flagver_context *context, int type, flagver_detail *ret_detail)
{
    const struct fv_flag *flag = find(snapshot, name);
    struct fv_outcome outcome;
    flagver_detail detail;

    detail_init(&detail, flag, name);
    if (flag)
        evaluate(snapshot, flag, context, type, NULL, &detail, &outcome);
    else
        detail_error(&detail, FLAGVER_ERROR_FLAG_NOT_FOUND);
    fv_flags_hand_over(&detail, ret_detail);
    return detail.error;
}

/* ---- on a client ---- */

/* Evaluates and counts; the reader is entered. */
static int evaluate_for(struct fv_reader *reader, const struct fv_flag *flag,
                        const flagver_context *context, int type, flagver_detail *detail)
{
    struct fv_outcome outcome;
    int error;

    reader->busy++; /* the clock may evaluate flags, too */
    error = evaluate(reader->snapshot, flag, context, type, NULL, detail, &outcome);
    reader->busy--;
    fv_reader_count(reader,
                    error ? flag->body->counter : flag->body->counter + 1 + outcome.variant);
    return error;
}

/* Hooks are silent for what is evaluated from inside of them. */
static bool hook_runs(const flagver_client *client, const struct fv_reader *reader)
{
    return client->hooked && reader->hooks == 0;
}

static void begin_hook(struct fv_reader *reader)
{
    reader->busy++;
    reader->hooks++;
}

static void end_hook(struct fv_reader *reader)
{
    reader->hooks--;
    reader->busy--;
}

/* The key as a string: the caller's may go on behind its length. No flag's key is longer. */
static void hook_before(struct fv_reader *reader, const char *key, size_t length,
                        const flagver_context *context)
{
    const flagver_hook *hook = &reader->client->hook;
    char name[FV_FLAG_KEY_LIMIT + 1];

    if (!hook->before)
        return;
    if (length > FV_FLAG_KEY_LIMIT)
        length = FV_FLAG_KEY_LIMIT;
    memcpy(name, key, length);
    name[length] = 0;
    begin_hook(reader);
    hook->before(hook->data, name, context);
    end_hook(reader);
}

static void hook_after(struct fv_reader *reader, const flagver_context *context,
                       const flagver_detail *detail)
{
    const flagver_hook *hook = &reader->client->hook;

    if (!hook->after)
        return;
    begin_hook(reader);
    hook->after(hook->data, context, detail);
    end_hook(reader);
}

int fv_flags_evaluate(flagver_client *client, const struct fv_flag_name *name,
                      const flagver_context *context, int type, flagver_detail *ret_detail)
{
    struct fv_reader *reader = fv_reader_enter(client);
    const struct fv_flag *flag;
    flagver_detail detail;
    bool hooked;

    detail_init(&detail, NULL, name);
    if (!reader) {
        detail_error(&detail, FLAGVER_ERROR_GENERAL);
        fv_flags_hand_over(&detail, ret_detail);
        return detail.error;
    }

    hooked = hook_runs(client, reader);
    if (hooked)
        hook_before(reader, name->key, name->length, context);
    flag = find(reader->snapshot, name);
    if (flag) {
        detail_init(&detail, flag, name);
        evaluate_for(reader, flag, context, type, &detail);
    } else {
        detail_error(&detail, FLAGVER_ERROR_FLAG_NOT_FOUND);
    }
    if (hooked)
        hook_after(reader, context, &detail);
    fv_flags_hand_over(&detail, ret_detail);
    return detail.error;
}

size_t fv_flags_visit(flagver_client *client, const flagver_context *context,
                      bool (*visit)(void *data, const flagver_detail *detail), void *data)
{
    struct fv_reader *reader = fv_reader_enter(client);
    const flagver_snapshot *snapshot;
    const struct fv_flag *flag;
    flagver_detail detail;
    bool hooked, more = true;
    uint32_t i;

    if (!reader)
        return 0;
    snapshot = reader->snapshot;
    hooked = hook_runs(client, reader);
    reader->busy++;
    for (i = 0; more && i < snapshot->count; i++) {
        flag = snapshot->world.flags[snapshot->order[i]];
        if (hooked)
            hook_before(reader, flag->key, flag->key_length, context);
        detail_init(&detail, flag, NULL);
        evaluate_for(reader, flag, context, FLAGVER_TYPE_ANY, &detail);
        if (hooked)
            hook_after(reader, context, &detail);
        more = visit(data, &detail);
    }
    reader->busy--;
    return i;
}

int fv_flags_explain(const flagver_snapshot *snapshot, const struct fv_flag_name *name,
                     const flagver_context *context, char **ret_json, flagver_error *err)
{
    const struct fv_flag *flag = find(snapshot, name);
    struct fv_explanation explanation;
    struct fv_text text = FV_TEXT_INIT;
    struct fv_outcome outcome;
    flagver_detail detail;

    fv_explanation_init(&explanation, context);
    detail_init(&detail, flag, name);
    if (flag)
        evaluate(snapshot, flag, context, FLAGVER_TYPE_ANY, &explanation.trace, &detail, &outcome);
    else
        detail_error(&detail, FLAGVER_ERROR_FLAG_NOT_FOUND);
    fv_explanation_write(&text, &explanation, &detail);
    fv_explanation_clear(&explanation);

    return fv_text_give(&text, ret_json, err);
}

/* ---- counters ---- */

int fv_flags_count(flagver_client *client, const struct fv_flag_name *name, const char *variant,
                   uint32_t times, flagver_error *err)
{
    struct fv_reader *reader = fv_reader_enter(client);
    const struct fv_flag *flag = reader ? find(reader->snapshot, name) : NULL;
    uint32_t i;

    if (!reader)
        return fv_fail_memory(err);
    for (i = 0; flag && i < flag->body->variant_count; i++)
        if (strcmp(flag->body->variants[i].name, variant) == 0) {
            fv_reader_count_many(reader, flag->body->counter + 1 + i, times);
            return 0;
        }
    return fv_fail(err, FLAGVER_ENOTFOUND, "there is no flag \"%s\" with a variant \"%s\"",
                   name->key, variant);
}

struct tally {
    const char *flag;
    const char *variant; /* NULL: errors */
    uint64_t count;
};

static int compare_tallies(const void *a, const void *b)
{
    const struct tally *left = a, *right = b;
    int order = strcmp(left->flag, right->flag);

    if (order || left->variant == right->variant)
        return order;
    if (!left->variant || !right->variant)
        return left->variant ? 1 : -1;
    return strcmp(left->variant, right->variant);
}

static bool same_tally(const struct tally *a, const struct tally *b)
{
    return compare_tallies(a, b) == 0;
}

/* One tally a counter: a flag that changed its variants has several of one name. */
static size_t fill_tallies(const struct fv_catalog *catalog, const uint64_t *sums,
                           struct tally *tallies)
{
    const struct fv_counter_range *range;
    const char *flag;
    size_t used = 0, i;
    uint32_t j;

    for (i = 0; i < catalog->range_count; i++) {
        range = &catalog->ranges[i];
        flag = catalog->flag_names.names[range->slot].text;
        tallies[used++] = (struct tally){ flag, NULL, sums[range->first] };
        for (j = 0; j < range->count; j++)
            tallies[used++] = (struct tally){ flag,
                                              catalog->variant_names.names[range->variants[j]].text,
                                              sums[range->first + 1 + j] };
    }
    return used;
}

static void tell_tallies(struct tally *tallies, size_t count,
                         void (*visit)(void *, const char *, const char *, uint64_t), void *data)
{
    size_t i, j;

    qsort(tallies, count, sizeof *tallies, compare_tallies);
    for (i = 0; i < count; i = j) {
        for (j = i + 1; j < count && same_tally(&tallies[i], &tallies[j]); j++)
            tallies[i].count += tallies[j].count;
        if (tallies[i].count)
            visit(data, tallies[i].flag, tallies[i].variant, tallies[i].count);
    }
}

int fv_flags_counts(flagver_client *client,
                    void (*visit)(void *data, const char *flag, const char *variant,
                                  uint64_t count),
                    void *data, flagver_error *err)
{
    const flagver_allocator *memory = fv_client_memory(client);
    struct tally *tallies;
    uint64_t *sums;
    size_t count;
    int r = 0;

    pthread_mutex_lock(&client->writing);
    count = client->catalog->counter_count;
    sums = fv_allocate_zeroed(memory, count, sizeof *sums);
    tallies = fv_allocate_zeroed(memory, count, sizeof *tallies);
    if (sums && tallies) {
        fv_readers_sum(client, sums, (uint32_t)count);
        count = fill_tallies(client->catalog, sums, tallies);
    } else {
        r = fv_fail_memory(err);
    }
    pthread_mutex_unlock(&client->writing);

    if (r == 0)
        tell_tallies(tallies, count, visit, data);
    fv_release(memory, sums);
    fv_release(memory, tallies);
    return r;
}
