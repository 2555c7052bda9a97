#include "codec/policy_tree.h"

#include <inttypes.h>
#include <string.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/schema.h"
#include "flagver/version.h"
#include "util/fail.h"

#define APPROVALS_LIMIT 100

struct reader {
    const struct fv_reading *reading;
    const struct fv_place *root; /* where the policy stands */
    struct fv_arena *arena;
};

static int no_memory(const struct reader *reader)
{
    return fv_fail_memory(reader->reading->err);
}

/* ---- rules ---- */

static int read_rule(const struct reader *reader, const struct fv_place *place, const json_t *value,
                     int depth, struct fv_permit *rule);

static int read_role(const struct reader *reader, const struct fv_place *place, const json_t *value,
                     size_t limit, const char **ret_role)
{
    int r;

    r = fv_expect_string(reader->reading, place, value);
    if (r == 0)
        r = fv_expect_name(reader->reading, place, json_string_value(value),
                           json_string_length(value), limit, "role");
    if (r < 0)
        return r;
    *ret_role = fv_arena_string(reader->arena, json_string_value(value), json_string_length(value));
    return *ret_role ? 0 : no_memory(reader);
}

static int read_roles(const struct reader *reader, const struct fv_place *place,
                      const json_t *value, struct fv_permit *rule)
{
    const char **names;
    size_t count, i;
    int r;

    r = fv_expect_array(reader->reading, place, value, false);
    if (r < 0)
        return r;
    count = json_array_size(value);
    names = fv_arena_allocate(reader->arena, count * sizeof *names);
    if (!names)
        return no_memory(reader);
    for (i = 0; r == 0 && i < count; i++)
        r = read_role(reader, fv_at_index(place, i), json_array_get(value, i), FLAGVER_ACTOR_LIMIT,
                      &names[i]);
    rule->names = names;
    rule->name_count = count;
    return r;
}

static int read_assigned(const struct reader *reader, const struct fv_place *place,
                         const json_t *value, struct fv_permit *rule)
{
    const char **name = fv_arena_allocate(reader->arena, sizeof *name);
    int r;

    if (!name)
        return no_memory(reader);
    r = read_role(reader, place, value, FV_ROLE_LIMIT, name);
    if (r < 0)
        return r;
    if (strchr(*name, '/'))
        return fv_refuse(reader->reading, place, "a role that is assigned cannot hold a \"/\"");
    rule->names = name;
    rule->name_count = 1;
    return 0;
}

static int read_rules(const struct reader *reader, const struct fv_place *place,
                      const json_t *value, int depth, struct fv_permit *rule)
{
    struct fv_permit *rules;
    size_t count, i;
    int r;

    r = fv_expect_array(reader->reading, place, value, false);
    if (r < 0)
        return r;
    count = json_array_size(value);
    rules = fv_arena_allocate_zeroed(reader->arena, count, sizeof *rules);
    if (!rules)
        return no_memory(reader);
    for (i = 0; r == 0 && i < count; i++)
        r = read_rule(reader, fv_at_index(place, i), json_array_get(value, i), depth + 1,
                      &rules[i]);
    rule->rules = rules;
    rule->rule_count = count;
    return r;
}

static int read_word(const struct reader *reader, const struct fv_place *place, const json_t *value,
                     struct fv_permit *rule)
{
    const char *word = json_string_value(value);

    if (strcmp(word, "anyone") == 0)
        rule->kind = FV_PERMIT_ANYONE;
    else if (strcmp(word, "nobody") == 0)
        rule->kind = FV_PERMIT_NOBODY;
    else
        return fv_refuse(reader->reading, place,
                         "unknown rule \"%.100s\"; known are anyone, nobody, and objects with one "
                         "of role_in, assigned, any, all",
                         word);
    return 0;
}

static int read_rule(const struct reader *reader, const struct fv_place *place, const json_t *value,
                     int depth, struct fv_permit *rule)
{
    enum { ROLE_IN, ASSIGNED, ANY, ALL, KINDS };
    static const char *const names[KINDS] = { "role_in", "assigned", "any", "all" };
    static const enum fv_permit_kind kinds[KINDS] = { FV_PERMIT_ROLE_IN, FV_PERMIT_ASSIGNED,
                                                      FV_PERMIT_ANY, FV_PERMIT_ALL };
    json_t *fields[KINDS];
    int r, kind;

    if (depth > FV_PERMIT_DEPTH_LIMIT)
        return fv_refuse(reader->reading, place, "rules are nested deeper than %d",
                         FV_PERMIT_DEPTH_LIMIT);
    if (json_is_string(value))
        return read_word(reader, place, value, rule);
    if (!json_is_object(value))
        return fv_refuse(reader->reading, place, "must be a rule: a string or an object, not %s",
                         fv_json_kind(value));
    r = fv_read_fields(reader->reading, place, value, names, KINDS, fields);
    if (r < 0)
        return r;
    if (json_object_size(value) != 1)
        return fv_refuse(reader->reading, place,
                         "a rule has one of role_in, assigned, any, all; this one has %zu",
                         json_object_size(value));
    for (kind = 0; !fields[kind]; kind++)
        ;
    rule->kind = kinds[kind];
    place = fv_at_key(place, names[kind]);
    if (kind == ROLE_IN)
        return read_roles(reader, place, fields[kind], rule);
    if (kind == ASSIGNED)
        return read_assigned(reader, place, fields[kind], rule);
    return read_rules(reader, place, fields[kind], depth, rule);
}

/* What is not said stays as it is, as in all readers below. */
static int read_optional_rule(const struct reader *reader, const char *key, const json_t *value,
                              struct fv_permit *rule)
{
    return value ? read_rule(reader, fv_at_key(reader->root, key), value, 1, rule) : 0;
}

/* ---- a policy ---- */

static int read_truth(const struct reader *reader, const struct fv_place *place,
                      const json_t *value, bool *truth)
{
    return value ? fv_read_bool(reader->reading, place, value, truth) : 0;
}

/* One of two words. */
static int read_choice(const struct reader *reader, const struct fv_place *place,
                       const json_t *value, const char *no, const char *yes, bool *choice)
{
    int r;

    if (!value)
        return 0;
    r = fv_expect_string(reader->reading, place, value);
    if (r < 0)
        return r;
    *choice = strcmp(json_string_value(value), yes) == 0;
    if (!*choice && strcmp(json_string_value(value), no) != 0)
        return fv_refuse(reader->reading, place, "must be \"%s\" or \"%s\", not \"%.60s\"", no, yes,
                         json_string_value(value));
    return 0;
}

static int read_number(const struct reader *reader, const struct fv_place *place,
                       const json_t *value, int64_t least, int64_t most, int64_t *number)
{
    if (!value)
        return 0;
    if (!json_is_integer(value))
        return fv_refuse(reader->reading, place, "must be an integer, not %s", fv_json_kind(value));
    *number = json_integer_value(value);
    if (*number < least || *number > most)
        return fv_refuse(reader->reading, place,
                         "is %" PRId64 "; %" PRId64 " to %" PRId64 " allowed", *number, least,
                         most);
    return 0;
}

static int read_note(const struct reader *reader, const char *key, const json_t *value)
{
    return value ? fv_expect_string(reader->reading, fv_at_key(reader->root, key), value) : 0;
}

enum { REQUIRED, RULE, MIN, ALLOW_SELF, STALE, ITEMS_COMPLETE, APPROVAL_FIELDS };

static const char *const approval_names[APPROVAL_FIELDS] = {
    [REQUIRED] = "required",     [RULE] = "rule",   [MIN] = "min",
    [ALLOW_SELF] = "allow_self", [STALE] = "stale", [ITEMS_COMPLETE] = "items_complete",
};

static int read_approval(const struct reader *reader, const json_t *value, struct fv_policy *policy)
{
    const struct fv_place *place = fv_at_key(reader->root, "approval");
    json_t *fields[APPROVAL_FIELDS];
    bool required = true;
    int64_t min = 1;
    int r;

    if (!value) {
        policy->approvals = 1;
        return 0;
    }
    r = fv_read_fields(reader->reading, place, value, approval_names, APPROVAL_FIELDS, fields);
    if (r == 0)
        r = read_truth(reader, fv_at_key(place, "required"), fields[REQUIRED], &required);
    if (r == 0 && fields[RULE])
        r = read_rule(reader, fv_at_key(place, "rule"), fields[RULE], 1, &policy->approve);
    if (r == 0)
        r = read_number(reader, fv_at_key(place, "min"), fields[MIN], 0, APPROVALS_LIMIT, &min);
    if (r == 0)
        r = read_truth(reader, fv_at_key(place, "allow_self"), fields[ALLOW_SELF],
                       &policy->allow_self);
    if (r == 0)
        r = read_choice(reader, fv_at_key(place, "stale"), fields[STALE], "reject", "allow",
                        &policy->allow_stale);
    if (r == 0)
        r = read_truth(reader, fv_at_key(place, "items_complete"), fields[ITEMS_COMPLETE],
                       &policy->items_complete);
    if (r == 0 && policy->audit_only && fields[REQUIRED] && required)
        r = fv_refuse(reader->reading, fv_at_key(place, "required"),
                      "what is only recorded is not approved");
    policy->approvals = required ? (uint32_t)min : 0;
    return r;
}

enum {
    VERSIONING,
    APPROVAL,
    WRITE,
    SHRED,
    EMERGENCY,
    SCHEMA,
    ENCRYPT,
    MAX_BYTES,
    NAME,
    DESCRIPTION,
    FIELDS
};

static const char *const names[FIELDS] = {
    [VERSIONING] = "versioning",
    [APPROVAL] = "approval",
    [WRITE] = "write",
    [SHRED] = "shred",
    [EMERGENCY] = "emergency",
    [SCHEMA] = "schema",
    [ENCRYPT] = "encrypt",
    [MAX_BYTES] = "max_bytes",
    [NAME] = "name",
    [DESCRIPTION] = "description",
};

static int read_policy(const struct reader *reader, const json_t *value, struct fv_policy *policy)
{
    struct fv_schema *schema;
    json_t *fields[FIELDS];
    int64_t max_bytes = 0;
    int r;

    r = fv_read_fields(reader->reading, reader->root, value, names, FIELDS, fields);
    if (r == 0)
        r = read_choice(reader, fv_at_key(reader->root, "versioning"), fields[VERSIONING], "full",
                        "audit_only", &policy->audit_only);
    if (r == 0)
        r = read_approval(reader, fields[APPROVAL], policy);
    if (r == 0)
        r = read_optional_rule(reader, "write", fields[WRITE], &policy->write);
    if (r == 0)
        r = read_optional_rule(reader, "shred", fields[SHRED], &policy->shred);
    if (r == 0)
        r = read_optional_rule(reader, "emergency", fields[EMERGENCY], &policy->emergency);
    if (r == 0)
        r = read_truth(reader, fv_at_key(reader->root, "encrypt"), fields[ENCRYPT],
                       &policy->encrypt);
    if (r == 0)
        r = read_number(reader, fv_at_key(reader->root, "max_bytes"), fields[MAX_BYTES], 1,
                        FLAGVER_PAYLOAD_LIMIT, &max_bytes);
    if (r == 0)
        r = read_note(reader, "name", fields[NAME]);
    if (r == 0)
        r = read_note(reader, "description", fields[DESCRIPTION]);
    if (r == 0 && fields[SCHEMA]) {
        r = fv_schema_new(reader->reading, fv_at_key(reader->root, "schema"), fields[SCHEMA],
                          &schema);
        if (r == 0)
            policy->schema = schema;
    }
    policy->max_bytes = (uint64_t)max_bytes;
    if (policy->audit_only)
        policy->approvals = 0;
    return r;
}

int fv_policy_read_tree(const struct fv_reading *reading, const struct fv_place *place,
                        const json_t *value, struct fv_arena *arena, struct fv_policy *ret_policy)
{
    const struct reader reader = { reading, place, arena };
    struct fv_policy policy = { .subject = "", .write = { .kind = FV_PERMIT_ANYONE } };
    int r = read_policy(&reader, value, &policy);

    if (r < 0)
        fv_policy_clear(&policy);
    else
        *ret_policy = policy;
    return r;
}

int fv_policy_read(const char *json, size_t length, struct fv_arena *arena,
                   struct fv_policy *ret_policy, flagver_error *err)
{
    const struct fv_reading reading = { json, length, NULL, err };
    json_t *root;
    int r;

    r = fv_json_parse(json, length, NULL, &root, err);
    if (r < 0)
        return r;
    r = fv_policy_read_tree(&reading, NULL, root, arena, ret_policy);
    json_decref(root);
    return r;
}

void fv_policy_clear(struct fv_policy *policy)
{
    fv_schema_free((struct fv_schema *)policy->schema);
    policy->schema = NULL;
}

/* ---- the record that holds it ---- */

static bool is_ours(const char *phase, size_t length)
{
    static const char *const ours[] = { FLAGVER_PHASE_FLAG, FLAGVER_PHASE_SEGMENT,
                                        FLAGVER_PHASE_PHASE, FLAGVER_PHASE_ASSIGNMENT,
                                        FLAGVER_PHASE_MIGRATION };
    size_t i;

    for (i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strlen(ours[i]) == length && memcmp(ours[i], phase, length) == 0)
            return true;
    return false;
}

int fv_policy_check_subject(const char *subject, const struct fv_policy *policy, flagver_error *err)
{
    static const char reserved[] = "flagver.";
    size_t length = strcspn(subject, "/");
    const char *what = NULL;

    if (length < 1 || length > FLAGVER_PHASE_LIMIT)
        return fv_fail(err, FLAGVER_EPARSE, "phase is %zu bytes; 1 to %d allowed", length,
                       FLAGVER_PHASE_LIMIT);
    if (strncmp(subject, reserved, sizeof reserved - 1) != 0)
        return 0;
    if (!is_ours(subject, length))
        return fv_fail(err, FLAGVER_EPARSE,
                       "phase \"%.*s\": names that begin with \"%s\" are reserved", (int)length,
                       subject, reserved);
    if (policy->audit_only)
        what = "\"versioning\": \"audit_only\"";
    else if (policy->encrypt)
        what = "\"encrypt\"";
    else if (policy->schema)
        what = "a \"schema\"";
    if (what)
        return fv_fail(err, FLAGVER_EPARSE, "phase \"%.*s\" cannot have %s", (int)length, subject,
                       what);
    return 0;
}

/* ---- a policy for people ---- */

static void write_truth(struct fv_text *out, const char *key, bool truth)
{
    fv_text_format(out, "\"%s\":%s", key, truth ? "true" : "false");
}

static void write_rule(struct fv_text *out, const struct fv_permit *rule)
{
    static const char *const words[] = {
        [FV_PERMIT_NOBODY] = "nobody",   [FV_PERMIT_ANYONE] = "anyone",
        [FV_PERMIT_ROLE_IN] = "role_in", [FV_PERMIT_ASSIGNED] = "assigned",
        [FV_PERMIT_ANY] = "any",         [FV_PERMIT_ALL] = "all"
    };
    size_t i;

    if (rule->kind == FV_PERMIT_NOBODY || rule->kind == FV_PERMIT_ANYONE) {
        fv_text_format(out, "\"%s\"", words[rule->kind]);
        return;
    }
    fv_text_format(out, "{\"%s\":%s", words[rule->kind],
                   rule->kind == FV_PERMIT_ASSIGNED ? "" : "[");
    for (i = 0; i < rule->name_count; i++) {
        if (i)
            fv_text_add_char(out, ',');
        fv_canonical_string(out, rule->names[i], strlen(rule->names[i]));
    }
    for (i = 0; i < rule->rule_count; i++) {
        if (i)
            fv_text_add_char(out, ',');
        write_rule(out, &rule->rules[i]);
    }
    fv_text_add(out, rule->kind == FV_PERMIT_ASSIGNED ? "}" : "]}");
}

/* A member of the record that says nothing about decisions, as it stands there. */
static int write_as_it_is(struct fv_text *out, const char *key, const json_t *root,
                          flagver_error *err)
{
    const json_t *value = json_object_get(root, key);

    if (!value)
        return 0;
    fv_text_format(out, "\"%s\":", key);
    if (fv_canonical_write(out, value, err) < 0)
        return fv_fail_memory(err);
    fv_text_add_char(out, ',');
    return 0;
}

static void write_approval(struct fv_text *out, const struct fv_policy *policy)
{
    fv_text_add(out, "\"approval\":{");
    write_truth(out, "allow_self", policy->allow_self);
    fv_text_add_char(out, ',');
    write_truth(out, "items_complete", policy->items_complete);
    fv_text_format(out, ",\"min\":%" PRIu32 ",", policy->approvals);
    write_truth(out, "required", policy->approvals > 0);
    fv_text_add(out, ",\"rule\":");
    write_rule(out, &policy->approve);
    fv_text_format(out, ",\"stale\":\"%s\"},", policy->allow_stale ? "allow" : "reject");
}

/* Members in the order of canonical JSON. */
static int write_policy(struct fv_text *out, const struct fv_policy *policy, const json_t *root,
                        flagver_error *err)
{
    int r;

    fv_text_add_char(out, '{');
    write_approval(out, policy);
    r = write_as_it_is(out, "description", root, err);
    fv_text_add(out, "\"emergency\":");
    write_rule(out, &policy->emergency);
    fv_text_add_char(out, ',');
    write_truth(out, "encrypt", policy->encrypt);
    fv_text_format(out, ",\"max_bytes\":%" PRIu64 ",",
                   policy->max_bytes ? policy->max_bytes : (uint64_t)FLAGVER_PAYLOAD_LIMIT);
    if (r == 0)
        r = write_as_it_is(out, "name", root, err);
    fv_text_add(out, "\"policy\":");
    fv_canonical_string(out, policy->subject, strlen(policy->subject));
    fv_text_add_char(out, ',');
    if (r == 0)
        r = write_as_it_is(out, "schema", root, err);
    fv_text_add(out, "\"shred\":");
    write_rule(out, &policy->shred);
    fv_text_format(out, ",\"version\":%" PRIu32 ",\"versioning\":\"%s\",\"write\":", policy->no,
                   policy->audit_only ? "audit_only" : "full");
    write_rule(out, &policy->write);
    fv_text_add_char(out, '}');
    if (r == 0 && out->failed)
        r = fv_fail_memory(err);
    return r;
}

int fv_policy_describe(const struct fv_policy *policy, const char *json, size_t length,
                       struct fv_text *out, flagver_error *err)
{
    size_t before = out->length;
    json_t *root = NULL;
    int r = 0;

    if (json)
        r = fv_json_parse(json, length, NULL, &root, err);
    if (r < 0)
        return r;
    r = write_policy(out, policy, root, err);
    json_decref(root);
    if (r < 0 && out->capacity) {
        out->length = before;
        out->data[before] = 0;
    }
    return r;
}

/* ---- the section of a definitions file ---- */

static int check_phase(const struct fv_reading *reading, const struct fv_place *place,
                       const char *subject, const json_t *value)
{
    struct fv_policy policy;
    struct fv_arena arena;
    flagver_error why;
    int r;

    r = fv_expect_name(reading, place, subject, strlen(subject), FLAGVER_SUBJECT_LIMIT, "phase");
    if (r < 0)
        return r;
    fv_arena_init(&arena, NULL, 256);
    r = fv_policy_read_tree(reading, place, value, &arena, &policy);
    if (r == 0) {
        if (fv_policy_check_subject(subject, &policy, &why) < 0)
            r = fv_refuse_key(reading, place, "%s", why.message);
        fv_policy_clear(&policy);
    }
    fv_arena_clear(&arena);
    return r;
}

int fv_members_check(const struct fv_reading *reading, const char *section, const json_t *value,
                     bool merge,
                     int (*check)(const struct fv_reading *reading, const struct fv_place *place,
                                  const char *subject, const json_t *value))
{
    const struct fv_place *place = fv_at_key(NULL, section);
    const char *subject;
    json_t *member;
    int r;

    if (!value)
        return 0;
    r = fv_expect_object(reading, place, value);
    if (r < 0)
        return r;
    json_object_foreach((json_t *)value, subject, member)
    {
        if (merge && json_is_null(member))
            continue;
        r = check(reading, fv_at_key(place, subject), subject, member);
        if (r < 0)
            return r;
    }
    return 0;
}

int fv_phases_check(const struct fv_reading *reading, const json_t *value, bool merge)
{
    return fv_members_check(reading, "phases", value, merge, check_phase);
}
