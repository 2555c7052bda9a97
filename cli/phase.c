/* Phases: what their policies ask for; and who holds the roles that they name. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "record.h"
#include "store.h"
#include "table.h"
#include "version.h"

/* ---- put and get ---- */

int cli_phase_put(const struct cli_request *request)
{
    return cli_version_put(request, FLAGVER_PHASE_PHASE, cli_request_operand(request, 0),
                           cli_request_operand(request, 1));
}

int cli_phase_get(const struct cli_request *request)
{
    const char *phase = cli_request_operand(request, 0);
    flagver_client *client;
    flagver_error error;
    char *json;
    int r;

    r = cli_store_read(request, NULL, &client);
    if (r)
        return r;
    r = flagver_phase_policy(client, phase, cli_request_operand(request, 1), &json, &error);
    flagver_close(client);
    if (r < 0)
        return cli_fail(phase, &error);

    if (request->values[CLI_JSON])
        cli_print("%s\n", json);
    else
        cli_print_indented(json, strlen(json));
    flagver_string_free(json);
    return CLI_DONE;
}

/* ---- list ---- */

struct listing {
    flagver_client *client;
    bool as_json;
    struct cli_table table; /* for people */
    const char *wanted;     /* assignments: of this role; NULL: all */
    bool built_in[4];       /* phases: has a record of its own */
    int result;             /* a code: what ended it before its end, told in err */
    flagver_error *err;
};

static const char *const built_in[] = { FLAGVER_PHASE_ASSIGNMENT, FLAGVER_PHASE_FLAG,
                                        FLAGVER_PHASE_PHASE, FLAGVER_PHASE_SEGMENT };

/* "Tester, Test Lead"; "assigned report_owner"; of more complicated rules the JSON. */
static char *describe_rule(const json_t *rule)
{
    const json_t *names = json_object_get(rule, "role_in"), *name;
    const char *role = json_string_value(json_object_get(rule, "assigned"));
    size_t size = 16, used = 0, i;
    char *text;

    if (json_is_string(rule))
        return cli_copy(json_string_value(rule), json_string_length(rule));
    if (!role && !names)
        return cli_json_write(rule, JSON_COMPACT | JSON_ENCODE_ANY);
    json_array_foreach(names, i, name) size += json_string_length(name) + 2;
    size += role ? strlen(role) : 0;
    text = cli_allocate(size);
    snprintf(text, size, "assigned %s", role ? role : "");
    json_array_foreach(names, i, name) used += (size_t)snprintf(
        text + used, size - used, "%s%s", i ? ", " : "", json_string_value(name));
    return text;
}

/* "2 by Tester, Test Lead" */
static void add_approval(struct cli_table *table, const json_t *approval)
{
    json_int_t min = json_integer_value(json_object_get(approval, "min"));
    char *rule, *text;
    size_t size;

    if (!approval || json_is_false(json_object_get(approval, "required")) || min == 0) {
        cli_table_add(table, "none");
        return;
    }
    rule = describe_rule(json_object_get(approval, "rule"));
    size = strlen(rule) + 32;
    text = cli_allocate(size);
    snprintf(text, size, "%" JSON_INTEGER_FORMAT " by %s", min, rule);
    cli_table_add(table, text);
    free(text);
    free(rule);
}

static void list_for_people(struct listing *listing, const char *subject, const char *json,
                            const flagver_version *version)
{
    struct cli_table *table = &listing->table;
    json_error_t place;
    json_t *policy = cli_json_read(json, strlen(json), 0, &place);

    cli_table_add(table, subject);
    cli_table_add(table, json_string_value(json_object_get(policy, "versioning")));
    add_approval(table, json_object_get(policy, "approval"));
    if (version) {
        cli_table_format(table, "%u", (unsigned)version->no);
        cli_table_add_since(table, version);
        cli_table_add(table, version->created_by);
    } else {
        cli_table_add(table, "");
        cli_table_add(table, "built-in");
        cli_table_add(table, "");
    }
    json_decref(policy);
}

/* The policy of a subject "PHASE" or "PHASE/PREFIX", of this version or (NULL) built-in. */
static int list_policy(struct listing *listing, const char *subject, const flagver_version *version)
{
    size_t length = strcspn(subject, "/");
    char *phase = cli_copy(subject, length), *json;
    json_t *document;
    int r;

    r = flagver_phase_policy(listing->client, phase, subject[length] ? subject + length + 1 : NULL,
                             &json, listing->err);
    free(phase);
    if (r < 0)
        return r;
    if (listing->as_json) {
        document = json_pack("{s:o, s:o, s:o, s:o}", "phase", cli_json_text(subject), "no",
                             cli_json_number(version ? version->no : 0), "since",
                             cli_json_time(version ? version->decided_at : 0), "by",
                             cli_json_text(version ? version->created_by : NULL));
        cli_print_document_with(document, "policy", json);
    } else {
        list_for_people(listing, subject, json, version);
    }
    flagver_string_free(json);
    return 0;
}

static bool list_one(void *data, const flagver_version *version)
{
    struct listing *listing = data;
    size_t i;

    for (i = 0; i < sizeof built_in / sizeof *built_in; i++)
        if (strcmp(built_in[i], version->subject) == 0)
            listing->built_in[i] = true;
    listing->result = list_policy(listing, version->subject, version);
    return listing->result == 0;
}

static int list_phases(struct listing *listing)
{
    static const char *const words[] = { "PHASE", "VERSIONING", "APPROVAL", "NO",
                                         "SINCE", "BY",         NULL };
    flagver_list_options options = { .size = sizeof options };
    size_t i;
    int r;

    cli_table_add_heading(&listing->table, words);
    r = flagver_version_list(listing->client, FLAGVER_PHASE_PHASE, &options, list_one, listing,
                             listing->err);
    if (r == 0)
        r = listing->result;
    for (i = 0; r == 0 && i < sizeof built_in / sizeof *built_in; i++)
        if (!listing->built_in[i])
            r = list_policy(listing, built_in[i], NULL);
    return r;
}

static int print_list(const struct cli_request *request, int (*list)(struct listing *listing))
{
    flagver_error error;
    struct listing listing = { .as_json = request->values[CLI_JSON] != NULL,
                               .wanted = cli_request_operand(request, 0),
                               .err = &error };
    int r;

    r = cli_store_read(request, NULL, &listing.client);
    if (r)
        return r;
    r = list(&listing);
    cli_table_print(&listing.table);
    flagver_close(listing.client);
    return r < 0 ? cli_fail(NULL, &error) : CLI_DONE;
}

int cli_phase_list(const struct cli_request *request)
{
    return print_list(request, list_phases);
}

/* ---- assignments ---- */

struct assigning {
    const char *role, *subject, *user;
    bool removes;
    flagver_write_options options;
    uint32_t no;
};

static int run(void *data, flagver_txn *txn, flagver_error *err)
{
    struct assigning *to = data;

    return to->removes
               ? flagver_unassign(txn, to->role, to->subject, to->user, &to->options, &to->no, err)
               : flagver_assign(txn, to->role, to->subject, to->user, &to->options, &to->no, err);
}

/* The version that came of it; it is there whether or not it can be read again. */
static void print_assigned(const struct cli_request *request, flagver_client *client,
                           const struct assigning *to)
{
    size_t size = strlen(to->role) + strlen(to->subject) + 2;
    char *key = cli_allocate(size);
    flagver_version *version = NULL;

    snprintf(key, size, "%s/%s", to->role, to->subject);
    flagver_version_get(client, FLAGVER_PHASE_ASSIGNMENT, key, to->no, &version, NULL);
    if (request->values[CLI_JSON]) {
        cli_print_document(
            json_pack("{s:o, s:o, s:o, s:b, s:I, s:o}", "role", cli_json_text(to->role), "subject",
                      cli_json_text(to->subject), "user", cli_json_text(to->user), "removed",
                      to->removes, "no", (json_int_t)to->no, "state",
                      cli_json_text(version ? flagver_state_name(version->state) : NULL)));
    } else {
        cli_print_name(to->user);
        cli_print(to->removes ? " is no " : " is ");
        cli_print_name(to->role);
        cli_print(to->removes ? " any more for " : " for ");
        cli_print_name(to->subject);
        cli_print(": ");
        if (!version || !cli_print_pending(version))
            cli_print("version %u", (unsigned)to->no);
        cli_print("\n");
    }
    flagver_version_free(version);
    free(key);
}

int cli_assign(const struct cli_request *request)
{
    struct assigning to = { .role = cli_request_operand(request, 0),
                            .subject = cli_request_operand(request, 1),
                            .user = cli_request_operand(request, 2),
                            .removes = request->values[CLI_REMOVE] != NULL };
    flagver_client *client;
    flagver_error error;
    int r;

    r = cli_write_options(request, &to.options);
    if (r == 0)
        r = cli_store_write(request, !to.removes, &client);
    if (r)
        return r;
    if (cli_transact(request, client, run, &to, &error) < 0)
        r = cli_fail(to.role, &error);
    else
        print_assigned(request, client, &to);
    flagver_close(client);
    return r;
}

/* "alice, bob" */
static void add_users(struct cli_table *table, const json_t *users)
{
    size_t size = 1, used = 0, i;
    const json_t *user;
    char *text;

    json_array_foreach(users, i, user) size += json_string_length(user) + 2;
    text = cli_allocate(size);
    text[0] = 0;
    json_array_foreach(users, i, user) used += (size_t)snprintf(
        text + used, size - used, "%s%s", i ? ", " : "", json_string_value(user));
    cli_table_add(table, text);
    free(text);
}

/* Its subject is ROLE/SUBJECT. */
static bool list_assignment(void *data, const flagver_version *version)
{
    size_t length = strcspn(version->subject, "/");
    const char *subject = version->subject + length + (version->subject[length] == '/');
    struct listing *listing = data;
    json_t *assignment, *users;
    char *role;

    if (listing->wanted &&
        (strncmp(version->subject, listing->wanted, length) != 0 || listing->wanted[length]))
        return true;
    assignment = cli_version_definition(version);
    users = json_object_get(assignment, "users");
    role = cli_copy(version->subject, length);
    if (listing->as_json) {
        cli_print_document(json_pack(
            "{s:o, s:o, s:O?, s:I, s:o, s:o}", "role", cli_json_text(role), "subject",
            cli_json_text(subject), "users", users, "no", (json_int_t)version->no, "since",
            cli_json_time(version->decided_at), "by", cli_json_text(version->created_by)));
    } else {
        cli_table_add(&listing->table, role);
        cli_table_add(&listing->table, subject);
        add_users(&listing->table, users);
        cli_table_format(&listing->table, "%u", (unsigned)version->no);
        cli_table_add_since(&listing->table, version);
        cli_table_add(&listing->table, version->created_by);
    }
    free(role);
    json_decref(assignment);
    return true;
}

static int list_assignments(struct listing *listing)
{
    static const char *const words[] = { "ROLE", "SUBJECT", "USERS", "NO", "SINCE", "BY", NULL };
    flagver_list_options options = { .size = sizeof options, .payload = 1 };

    cli_table_add_heading(&listing->table, words);
    return flagver_version_list(listing->client, FLAGVER_PHASE_ASSIGNMENT, &options,
                                list_assignment, listing, listing->err);
}

int cli_assignments(const struct cli_request *request)
{
    return print_list(request, list_assignments);
}
