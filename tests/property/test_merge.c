/*
 * A client that is changed step by step knows the same as one that is given the
 * whole at once.
 */
#include "flags.h"
#include "seed.h"

#define FLAGS 10
#define SEGMENTS 4

/* The whole, as text: what each flag and segment is, or NULL. */
struct model {
    char *flags[FLAGS];
    char *segments[SEGMENTS];
};

static char *copy_of(const char *text)
{
    char *copy = text ? malloc(strlen(text) + 1) : NULL;

    return copy ? strcpy(copy, text) : NULL;
}

static void clear_model(struct model *model)
{
    int i;

    for (i = 0; i < FLAGS; i++)
        free(model->flags[i]);
    for (i = 0; i < SEGMENTS; i++)
        free(model->segments[i]);
}

static struct model copy_model(const struct model *from)
{
    struct model copy;
    int i;

    for (i = 0; i < FLAGS; i++)
        copy.flags[i] = copy_of(from->flags[i]);
    for (i = 0; i < SEGMENTS; i++)
        copy.segments[i] = copy_of(from->segments[i]);
    return copy;
}

/* ---- random definitions ---- */

/* References lead to any name: some are missing, some close a ring. Most go on. */
static void add_condition(struct seed *seed, struct fv_text *text, uint32_t below)
{
    uint32_t to = below + seed_below(seed, 3);

    switch (seed_below(seed, 5)) {
    case 0:
        fv_text_format(text, "{'segment': 's%u'}", to % SEGMENTS);
        break;
    case 1:
        fv_text_format(text, "{'flag': 'f%u', 'variant': '%s'}", to % FLAGS,
                       seed_below(seed, 2) ? "on" : "off");
        break;
    case 2:
        fv_text_format(text, "{'not': {'attr': 'n', 'op': 'lt', 'value': %u}}",
                       seed_below(seed, 10));
        break;
    default:
        fv_text_format(text, "{'attr': 'x', 'op': 'in', 'values': ['%c', '%c']}",
                       'a' + (int)seed_below(seed, 4), 'a' + (int)seed_below(seed, 4));
        break;
    }
}

static char *random_flag(struct seed *seed, uint32_t number)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_text_format(&text, "{'type': 'boolean', 'enabled': %s",
                   seed_below(seed, 8) ? "true" : "false");
    if (!seed_below(seed, 3))
        fv_text_format(&text, ", 'beta': ['u%u', 'u%u']", seed_below(seed, 8), seed_below(seed, 8));
    if (!seed_below(seed, 3))
        fv_text_format(&text, ", 'percentage': %u.5", seed_below(seed, 100));
    if (!seed_below(seed, 4))
        fv_text_format(&text, ", 'requires': [{'flag': 'f%u', 'variant': 'on'}]",
                       (number + 1 + seed_below(seed, 2)) % FLAGS);
    if (!seed_below(seed, 2)) {
        fv_text_add(&text, ", 'rules': [{'id': 'r', 'if': ");
        add_condition(seed, &text, number + 1);
        fv_text_format(&text, ", 'serve': %s}]",
                       seed_below(seed, 2) ? "'on'" : "{'percentage': 50, 'salt': 's'}");
    }
    if (!seed_below(seed, 6))
        fv_text_format(&text, ", 'default': '%s'", seed_below(seed, 2) ? "on" : "off");
    fv_text_add(&text, "}");
    return fv_text_detach(&text);
}

static char *random_segment(struct seed *seed, uint32_t number)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_text_format(&text, "{'include': ['u%u']", seed_below(seed, 8));
    if (seed_below(seed, 2)) {
        fv_text_add(&text, ", 'if': ");
        add_condition(seed, &text, number + 1);
    }
    fv_text_add(&text, "}");
    return fv_text_detach(&text);
}

static void add_entry(struct fv_text *text, bool *first, char kind, int number, const char *value)
{
    fv_text_format(text, "%s'%c%d': %s", *first ? "" : ", ", kind, number, value);
    *first = false;
}

/* Changes some of the model; returns the same change as something to merge. */
static char *change(struct seed *seed, struct model *model)
{
    struct fv_text text = FV_TEXT_INIT;
    bool first = true;
    int i;

    fv_text_add(&text, "{'flags': {");
    for (i = 0; i < FLAGS; i++) {
        if (seed_below(seed, 5))
            continue;
        free(model->flags[i]);
        model->flags[i] = seed_below(seed, 4) ? random_flag(seed, (uint32_t)i) : NULL;
        add_entry(&text, &first, 'f', i, model->flags[i] ? model->flags[i] : "null");
    }
    fv_text_add(&text, "}, 'segments': {");
    for (i = 0, first = true; i < SEGMENTS; i++) {
        if (seed_below(seed, 5))
            continue;
        free(model->segments[i]);
        model->segments[i] = seed_below(seed, 5) ? random_segment(seed, (uint32_t)i) : NULL;
        add_entry(&text, &first, 's', i, model->segments[i] ? model->segments[i] : "null");
    }
    fv_text_add(&text, "}}");
    return fv_text_detach(&text);
}

static char *whole(const struct model *model)
{
    struct fv_text text = FV_TEXT_INIT;
    bool first = true;
    int i;

    fv_text_add(&text, "{'flags': {");
    for (i = 0; i < FLAGS; i++)
        if (model->flags[i])
            add_entry(&text, &first, 'f', i, model->flags[i]);
    fv_text_add(&text, "}, 'segments': {");
    for (i = 0, first = true; i < SEGMENTS; i++)
        if (model->segments[i])
            add_entry(&text, &first, 's', i, model->segments[i]);
    fv_text_add(&text, "}}");
    return fv_text_detach(&text);
}

/* ---- comparing ---- */

static flagver_context *random_context(struct seed *seed)
{
    flagver_context *context = flagver_context_new(NULL);
    char text[16];

    if (seed_below(seed, 6)) {
        snprintf(text, sizeof text, "u%u", seed_below(seed, 10));
        flagver_context_set_key(context, text, strlen(text));
    }
    if (seed_below(seed, 2)) {
        snprintf(text, sizeof text, "%c", 'a' + (int)seed_below(seed, 4));
        flagver_context_set_string(context, "x", text);
    }
    if (seed_below(seed, 2))
        flagver_context_set_int(context, "n", seed_below(seed, 10));
    return context;
}

static void compare(flagver_client *client, flagver_client *fresh, struct seed *seed)
{
    flagver_detail a = { .size = sizeof a }, b = { .size = sizeof b };
    flagver_snapshot *snapshot = flagver_client_snapshot(client);
    flagver_snapshot *other = flagver_client_snapshot(fresh);
    flagver_context *context;
    char key[16], *left, *right;
    int i, j;

    must(flagver_snapshot_size(snapshot) == flagver_snapshot_size(other), "other flags are there");
    for (i = 0; i < 6; i++) {
        context = random_context(seed);
        for (j = 0; j < FLAGS; j++) {
            snprintf(key, sizeof key, "f%d", j);
            flagver_flag_evaluate(client, key, strlen(key), context, 0, &a);
            flagver_flag_evaluate(fresh, key, strlen(key), context, 0, &b);
            left = words_of(&a);
            right = words_of(&b);
            must(strcmp(left, right) == 0, "%s: %s, not %s", key, left, right);
            free(left);
            free(right);
        }
        flagver_context_free(context);
    }
    flagver_snapshot_free(snapshot);
    flagver_snapshot_free(other);
}

START_TEST(merging_changes_is_loading_the_whole)
{
    struct seed seed = seed_new((uint64_t)_i);
    struct model model = { .flags = { NULL } }, next;
    flagver_client *client = client_of("{}", NULL), *fresh;
    char *json, *text;
    int step, merged, loaded, good = 0, bad = 0;
    uint64_t generation;

    for (step = 0; step < 250; step++) {
        next = copy_model(&model);
        text = change(&seed, &next);
        json = whole(&next);
        fresh = client_of("{}", NULL);
        loaded = load_into(fresh, json);
        generation = flagver_client_generation(client);
        merged = merge_into(client, text);
        must((merged == 0) == (loaded == 0), "step %d: %s\nmerging %s", step, error.message, text);

        if (merged == 0) {
            clear_model(&model);
            model = next;
            good++;
        } else {
            must(flagver_client_generation(client) == generation, "step %d: a new state", step);
            clear_model(&next);
            free(json);
            json = whole(&model);
            assert_ok(load_into(fresh, json));
            bad++;
        }
        compare(client, fresh, &seed);
        flagver_close(fresh);
        free(text);
        free(json);
    }
    must(good > 20 && bad > 20, "%d merges were good, %d bad", good, bad);
    clear_model(&model);
    flagver_close(client);
}
END_TEST

/* Overrides and handles come along, whatever else changes. */
START_TEST(overrides_and_handles_stay_through_all_changes)
{
    struct seed seed = seed_new(100 + (uint64_t)_i);
    struct model model = { .flags = { NULL } }, next;
    flagver_client *client = client_of("{}", NULL);
    const flagver_bound *bounds[FLAGS];
    flagver_detail a = { .size = sizeof a }, b = { .size = sizeof b };
    bool forced[FLAGS] = { false };
    char key[16], *text;
    int step, i;

    for (i = 0; i < FLAGS; i++) {
        snprintf(key, sizeof key, "f%d", i);
        assert_ok(flagver_flag_bind(client, key, &bounds[i], &error));
    }
    for (step = 0; step < 250; step++) {
        next = copy_model(&model);
        text = change(&seed, &next);
        if (merge_into(client, text) == 0) {
            clear_model(&model);
            model = next;
        } else {
            clear_model(&next);
        }
        free(text);
        i = (int)seed_below(&seed, FLAGS);
        snprintf(key, sizeof key, "f%d", i);
        forced[i] = !forced[i];
        assert_ok(flagver_flag_override(client, key, forced[i] ? "on" : NULL, &error));

        for (i = 0; i < FLAGS; i++) {
            snprintf(key, sizeof key, "f%d", i);
            flagver_flag_evaluate(client, key, strlen(key), NULL, 0, &a);
            flagver_bound_evaluate(bounds[i], NULL, 0, &b);
            must(a.error == b.error && a.reason == b.reason && a.variant == b.variant &&
                     strcmp(b.flag, key) == 0,
                 "step %d: %s is another flag by its handle", step, key);
            must((a.error == FLAGVER_ERROR_FLAG_NOT_FOUND) == !model.flags[i],
                 "step %d: %s is %sthere", step, key, model.flags[i] ? "not " : "");
            must(!forced[i] || !model.flags[i] ||
                     (a.reason == FLAGVER_REASON_STATIC && a.value.boolean),
                 "step %d: %s is not forced", step, key);
        }
    }
    clear_model(&model);
    flagver_close(client);
}
END_TEST

static Suite *merge_suite(void)
{
    Suite *suite = suite_create("merge");
    TCase *tcase = tcase_create("merge");

    tcase_add_loop_test(tcase, merging_changes_is_loading_the_whole, 0, 5);
    tcase_add_loop_test(tcase, overrides_and_handles_stay_through_all_changes, 0, 3);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(merge_suite());
}
