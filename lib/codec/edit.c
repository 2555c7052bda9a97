#include "codec/edit.h"

#include <string.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/reading.h"
#include "model/bucket.h"
#include "util/fail.h"
#include "util/map.h"
#include "util/utf8.h"

/* A definition while it is being changed. */
struct edit {
    struct fv_reading reading;
    json_t *root;
    const char *type;
    bool selected; /* something said who gets the flag before the change */
};

/* ---- what selects ---- */

static bool has_items(const json_t *array)
{
    return json_array_size(array) > 0;
}

static bool has_targets(const json_t *targets)
{
    const char *name;
    json_t *array;

    json_object_foreach((json_t *)targets, name, array)
    {
        if (has_items(array))
            return true;
    }
    return false;
}

/* Does the definition say in any way who gets which variant? */
static bool selects(const json_t *root)
{
    static const char *const any[] = { "default", "percentage", "split", "schedule" };
    size_t i;

    for (i = 0; i < sizeof any / sizeof any[0]; i++)
        if (json_object_get(root, any[i]))
            return true;
    return has_items(json_object_get(root, "beta")) || has_items(json_object_get(root, "rules")) ||
           has_targets(json_object_get(root, "targets"));
}

/* ---- beginning and end ---- */

static int set(struct edit *edit, const char *key, json_t *value)
{
    if (json_object_set_new_nocheck(edit->root, key, value) < 0)
        return fv_fail_memory(edit->reading.err);
    return 0;
}

static void take_away(struct edit *edit, const char *key)
{
    json_object_del(edit->root, key);
}

static int read_type(struct edit *edit)
{
    const json_t *type;
    int r;

    r = fv_expect_object(&edit->reading, NULL, edit->root);
    if (r < 0)
        return r;
    type = json_object_get(edit->root, "type");
    if (!type)
        return fv_refuse(&edit->reading, NULL, "\"type\" is missing");
    r = fv_expect_string(&edit->reading, fv_at_key(NULL, "type"), type);
    edit->type = json_string_value(type);
    return r;
}

static int begin(struct edit *edit, const char *text, size_t length, flagver_error *err)
{
    int r;

    *edit = (struct edit){ .reading = { text, length, NULL, err } };
    r = fv_json_parse(text, length, NULL, &edit->root, err);
    if (r == 0)
        r = read_type(edit);
    edit->selected = selects(edit->root);
    return r;
}

/* `what` completes "only boolean flags take …". */
static int begin_boolean(struct edit *edit, const char *text, size_t length, const char *what,
                         flagver_error *err)
{
    int r = begin(edit, text, length, err);

    if (r == 0 && strcmp(edit->type, "boolean") != 0)
        r = fv_fail(err, FLAGVER_EINVAL,
                    "only boolean flags take a %s; this one is of type \"%.60s\"", what,
                    edit->type);
    return r;
}

/* Writes the result, unless `r` is an error. */
static int end(struct edit *edit, int r, struct fv_text *out)
{
    if (r == 0 && edit->selected && !selects(edit->root))
        r = set(edit, "percentage", json_integer(0));
    if (r == 0)
        r = fv_canonical_write(out, edit->root, edit->reading.err);
    json_decref(edit->root);
    return r;
}

/* ---- the changes ---- */

int fv_edit_enabled(const char *text, size_t length, bool enabled, struct fv_text *out,
                    flagver_error *err)
{
    struct edit edit;
    int r;

    r = begin(&edit, text, length, err);
    if (r == 0 && (!enabled || json_object_get(edit.root, "enabled")))
        r = set(&edit, "enabled", json_boolean(enabled));
    return end(&edit, r, out);
}

/* 25 and not 25.0, as a person would write it. */
static json_t *new_percentage(uint32_t threshold)
{
    const uint32_t percent = FV_SCALE / 100;

    return threshold % percent ? json_real(threshold / (double)percent)
                               : json_integer(threshold / percent);
}

int fv_edit_ramp(const char *text, size_t length, double percentage, bool clear_beta,
                 struct fv_text *out, flagver_error *err)
{
    char words[FV_PERCENTAGE_WORDS];
    uint32_t threshold;
    struct edit edit;
    int r;

    if (!fv_percentage_check(percentage, &threshold, words))
        return fv_fail(err, FLAGVER_EINVAL, "%s", words);
    r = begin_boolean(&edit, text, length, "percentage", err);
    if (r == 0) {
        take_away(&edit, "split");
        take_away(&edit, "schedule");
        if (clear_beta)
            take_away(&edit, "beta");
        r = set(&edit, "percentage", new_percentage(threshold));
    }
    return end(&edit, r, out);
}

/* The most that the flag itself, beside beta list and rules, ever serves. */
static double highest_percentage(const json_t *root)
{
    const json_t *steps = json_object_get(json_object_get(root, "schedule"), "steps"), *step;
    double highest = 0, percentage;
    size_t i;

    if (json_object_get(root, "percentage"))
        return json_number_value(json_object_get(root, "percentage"));
    json_array_foreach(steps, i, step)
    {
        percentage = json_number_value(json_object_get(step, "percentage"));
        highest = percentage > highest ? percentage : highest;
    }
    if (steps)
        return highest;
    return json_object_get(root, "split") || !selects(root) ? 100 : 0;
}

int fv_edit_lowers(const char *text, size_t length, double percentage, flagver_error *err)
{
    struct edit edit;
    int r;

    r = begin_boolean(&edit, text, length, "percentage", err);
    if (r == 0)
        r = percentage < highest_percentage(edit.root);
    json_decref(edit.root);
    return r;
}

int fv_edit_schedule(const char *text, size_t length, const char *schedule, size_t schedule_length,
                     struct fv_text *out, flagver_error *err)
{
    const struct fv_reading reading = { schedule, schedule_length, NULL, err };
    struct edit edit;
    json_t *value = NULL;
    int r;

    r = begin_boolean(&edit, text, length, "schedule", err);
    if (r == 0 && schedule)
        r = fv_json_parse(schedule, schedule_length, NULL, &value, err);
    if (r == 0 && schedule)
        r = fv_expect_object(&reading, NULL, value);
    if (r == 0)
        take_away(&edit, "schedule");
    if (r == 0 && schedule) {
        take_away(&edit, "split");
        take_away(&edit, "percentage");
        r = set(&edit, "schedule", json_incref(value));
    }
    json_decref(value);
    return end(&edit, r, out);
}

/* ---- the beta list ---- */

/* A list being made of another one. */
struct beta {
    struct edit *edit;
    json_t *list;
    struct fv_map seen; /* who is not to come (again) */
};

static int add_user(struct beta *beta, json_t *user)
{
    size_t before = beta->seen.count;
    uint32_t number = fv_map_add(&beta->seen, json_string_value(user), json_string_length(user));

    if (number == FV_MAP_NONE)
        return fv_fail_memory(beta->edit->reading.err);
    if (number == before && json_array_append(beta->list, user) < 0)
        return fv_fail_memory(beta->edit->reading.err);
    return 0;
}

/* Those who are there, but for the ones that were seen. */
static int add_present(struct beta *beta, const json_t *present)
{
    const struct fv_reading *reading = &beta->edit->reading;
    const struct fv_place *place = fv_at_key(NULL, "beta");
    json_t *user;
    size_t i;
    int r = 0;

    if (!present)
        return 0;
    r = fv_expect_array(reading, place, present, true);
    for (i = 0; r == 0 && i < json_array_size(present); i++) {
        user = json_array_get(present, i);
        r = fv_expect_string(reading, fv_at_index(place, i), user);
        if (r == 0)
            r = add_user(beta, user);
    }
    return r;
}

static int add_new(struct beta *beta, const char *const *users, size_t count)
{
    json_t *user;
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < count; i++) {
        user = json_string_nocheck(users[i]);
        r = user ? add_user(beta, user) : fv_fail_memory(beta->edit->reading.err);
        json_decref(user);
    }
    return r;
}

static int leave_out(struct beta *beta, const char *const *users, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (fv_map_add(&beta->seen, users[i], strlen(users[i])) == FV_MAP_NONE)
            return fv_fail_memory(beta->edit->reading.err);
    return 0;
}

static int change_list(struct edit *edit, bool add, const char *const *users, size_t count)
{
    const json_t *present = json_object_get(edit->root, "beta");
    struct beta beta = { .edit = edit, .list = json_array() };
    int r = 0;

    fv_map_init(&beta.seen, NULL);
    if (!beta.list)
        r = fv_fail_memory(edit->reading.err);
    if (r == 0 && !add)
        r = leave_out(&beta, users, count);
    if (r == 0)
        r = add_present(&beta, present);
    if (r == 0 && add)
        r = add_new(&beta, users, count);
    fv_map_clear(&beta.seen);

    if (r == 0 && has_items(beta.list))
        return set(edit, "beta", beta.list);
    if (r == 0 && has_items(present))
        take_away(edit, "beta");
    json_decref(beta.list);
    return r;
}

int fv_edit_beta(const char *text, size_t length, bool add, const char *const *users, size_t count,
                 struct fv_text *out, flagver_error *err)
{
    struct edit edit;
    size_t i;
    int r;

    for (i = 0; i < count; i++)
        if (!fv_utf8_valid(users[i], strlen(users[i])))
            return fv_fail(err, FLAGVER_EINVAL, "user %zu of %zu is not UTF-8", i + 1, count);
    r = begin_boolean(&edit, text, length, "beta list", err);
    if (r == 0)
        r = change_list(&edit, add, users, count);
    return end(&edit, r, out);
}
