#include <string.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/policy_tree.h"
#include "flagver/version.h"
#include "util/fail.h"

static const char *const assignment_names[] = { "users" };

static int read_users(const struct fv_reading *reading, const struct fv_place *root,
                      const json_t *value, const json_t **ret_users)
{
    const struct fv_place *place = fv_at_key(root, "users");
    const json_t *user;
    json_t *users;
    size_t i;
    int r;

    r = fv_read_fields(reading, root, value, assignment_names, 1, &users);
    if (r < 0)
        return r;
    if (!users)
        return fv_refuse(reading, root, "\"users\" is missing");
    r = fv_expect_array(reading, place, users, false);
    for (i = 0; r == 0 && i < json_array_size(users); i++) {
        user = json_array_get(users, i);
        r = fv_expect_string(reading, fv_at_index(place, i), user);
        if (r == 0)
            r = fv_expect_name(reading, fv_at_index(place, i), json_string_value(user),
                               json_string_length(user), FLAGVER_ACTOR_LIMIT, "user");
    }
    *ret_users = users;
    return r;
}

static int check_assignment_subject(const char *subject, flagver_error *err)
{
    size_t role = strcspn(subject, "/"), parts = 1;
    const char *at;

    if (role < 1 || role > FV_ROLE_LIMIT)
        return fv_fail(err, FLAGVER_EPARSE, "role is %zu bytes; 1 to %d allowed", role,
                       FV_ROLE_LIMIT);
    if (!subject[role] || !subject[role + 1])
        return fv_fail(err, FLAGVER_EPARSE,
                       "assignment \"%.64s\" does not say for which subject: ROLE/SUBJECT",
                       subject);
    for (at = subject + role + 1; *at; at++)
        parts += *at == '/';
    if (parts > FV_ASSIGNMENT_PARTS)
        return fv_fail(err, FLAGVER_EPARSE,
                       "the subject of assignment \"%.128s\" has %zu parts; up to %d allowed",
                       subject, parts, FV_ASSIGNMENT_PARTS);
    return 0;
}

int fv_assignment_check(const char *subject, const char *json, size_t length, flagver_error *err)
{
    const struct fv_reading reading = { json, length, NULL, err };
    const json_t *users;
    json_t *root;
    int r;

    r = check_assignment_subject(subject, err);
    if (r == 0)
        r = fv_json_parse(json, length, NULL, &root, err);
    if (r < 0)
        return r;
    r = read_users(&reading, NULL, root, &users);
    json_decref(root);
    return r;
}

/* An assignment out of a store, where it was sound when it was written. */
static int parse_stored(const char *json, size_t length, json_t **ret_root,
                        const json_t **ret_users, flagver_error *err)
{
    flagver_error why;
    const struct fv_reading reading = { json, length, NULL, &why };
    int r;

    r = fv_json_parse(json, length, NULL, ret_root, &why);
    if (r == 0) {
        r = read_users(&reading, NULL, *ret_root, ret_users);
        if (r < 0)
            json_decref(*ret_root);
    }
    if (r == FLAGVER_ENOMEM)
        return fv_fail_memory(err);
    return r < 0 ? fv_fail(err, FLAGVER_ECORRUPT, "an assignment cannot be read: %s", why.message)
                 : 0;
}

static bool is_user(const json_t *value, const char *user)
{
    return strcmp(json_string_value(value), user) == 0;
}

int fv_assignment_names(const char *json, size_t length, const char *user, flagver_error *err)
{
    const json_t *users;
    json_t *root;
    size_t i;
    int r;

    r = parse_stored(json, length, &root, &users, err);
    if (r < 0)
        return r;
    for (i = 0; r == 0 && i < json_array_size(users); i++)
        r = is_user(json_array_get(users, i), user);
    json_decref(root);
    return r;
}

/* Whoever is wanted stands there once, at its old place if it had one. */
static void write_users(struct fv_text *out, const json_t *users, const char *user, bool add)
{
    const char *separator = "{\"users\":[";
    bool missing = add;
    const json_t *each;
    size_t i;

    for (i = 0; i < json_array_size(users); i++) {
        each = json_array_get(users, i);
        if (is_user(each, user)) {
            if (!missing)
                continue;
            missing = false;
        }
        fv_text_add(out, separator);
        fv_canonical_string(out, json_string_value(each), json_string_length(each));
        separator = ",";
    }
    if (missing) {
        fv_text_add(out, separator);
        fv_canonical_string(out, user, strlen(user));
        separator = ",";
    }
    if (*separator == ',')
        fv_text_add(out, "]}");
}

int fv_assignment_edit(const char *json, size_t length, const char *user, bool add,
                       struct fv_text *out, flagver_error *err)
{
    size_t before = out->length;
    const json_t *users = NULL;
    json_t *root = NULL;
    int r = 0;

    if (json)
        r = parse_stored(json, length, &root, &users, err);
    if (r < 0)
        return r;
    write_users(out, users, user, add);
    json_decref(root);
    if (!out->failed)
        return 0;
    if (out->capacity) {
        out->length = before;
        out->data[before] = 0;
    }
    return fv_fail_memory(err);
}

/* ---- the section of a definitions file ---- */

static int check_assignment(const struct fv_reading *reading, const struct fv_place *place,
                            const char *subject, const json_t *value)
{
    const json_t *users;
    flagver_error why;
    int r;

    r = fv_expect_name(reading, place, subject, strlen(subject), FLAGVER_SUBJECT_LIMIT,
                       "assignment");
    if (r < 0)
        return r;
    if (check_assignment_subject(subject, &why) < 0)
        return fv_refuse_key(reading, place, "%s", why.message);
    return read_users(reading, place, value, &users);
}

int fv_assignments_check(const struct fv_reading *reading, const json_t *value, bool merge)
{
    return fv_members_check(reading, "assignments", value, merge, check_assignment);
}
