/* Looking after a store: is it well, and copies of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "json.h"
#include "output.h"
#include "store.h"

/* ---- health ---- */

/* What flagver_client_health() would say if there were a client. */
static json_t *unavailable(const struct cli_request *request, const char *uri,
                           const flagver_error *err)
{
    const char *tenant = cli_store_tenant(request);

    return json_pack("{s:s, s:o, s:s, s:n, s:n, s:n, s:n, s:{s:o, s:o, s:n}, s:[], s:n}", "status",
                     "unavailable", "uri", cli_json_text(cli_shown(uri)), "tenant",
                     tenant ? tenant : "default", "flags", "generation", "leaves", "refreshed",
                     "error", "code", cli_json_text(flagver_error_name(err->code)), "message",
                     cli_json_text(err->message), "since", "malformed", "store");
}

/* NULL: this could not be found out, and a complaint has been made. */
static json_t *examine(const struct cli_request *request, const char *uri)
{
    flagver_client *client;
    flagver_error error;
    json_error_t place;
    json_t *health;
    char *text;
    int r;

    if (cli_store_open(request, uri, false, NULL, &client, &error) < 0)
        return unavailable(request, uri, &error);
    r = flagver_client_health(client, &text, &error);
    flagver_close(client);
    if (r < 0) {
        cli_fail(cli_shown(uri), &error);
        return NULL;
    }
    health = cli_json_read(text, strlen(text), 0, &place);
    flagver_string_free(text);
    return health;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static void print_line(const char *name, const char *text)
{
    if (!*text)
        return;
    cli_print("%-10s ", name);
    cli_print_name(text);
    cli_print("\n");
}

/* What the driver of a server says of it. */
static void print_server(const json_t *store)
{
    static const char *const facts[] = { "server", "host", "database", "role" };
    const json_t *connections = json_object_get(store, "connections");
    size_t i;

    for (i = 0; i < sizeof facts / sizeof *facts; i++)
        print_line(facts[i], text_of(store, facts[i]));
    if (json_is_true(json_object_get(store, "pooler")))
        print_line("pooler", "in between");
    if (json_is_true(json_object_get(store, "standby")))
        print_line("standby", "reads only");
    if (connections)
        cli_print("%-10s %" JSON_INTEGER_FORMAT " open, at most %" JSON_INTEGER_FORMAT
                  " to write and as many to read\n",
                  "pool",
                  json_integer_value(json_object_get(connections, "writing")) +
                      json_integer_value(json_object_get(connections, "reading")) +
                      json_integer_value(json_object_get(connections, "idle")),
                  json_integer_value(json_object_get(connections, "limit")));
}

static void print_health(const json_t *health)
{
    const json_t *flags = json_object_get(health, "flags"), *record;
    const json_t *error = json_object_get(health, "error");
    bool is_ok = strcmp(text_of(health, "status"), "ok") == 0;
    const char *key;
    size_t i;

    cli_print("%-10s ", "status");
    cli_print_styled(is_ok ? CLI_GREEN : CLI_RED, "%s", text_of(health, "status"));
    cli_print("\n");
    print_line("store", text_of(health, "uri"));
    print_line("tenant", text_of(health, "tenant"));
    if (json_is_integer(flags))
        cli_print("%-10s %" JSON_INTEGER_FORMAT "\n", "flags", json_integer_value(flags));
    print_line("refreshed", text_of(health, "refreshed"));
    print_server(json_object_get(health, "store"));
    print_line("error", text_of(error, "message"));
    json_array_foreach(json_object_get(health, "malformed"), i, record)
    {
        key = text_of(record, json_object_get(record, "segment") ? "segment" : "flag");
        cli_print("%-10s ", "malformed");
        cli_print_name(key);
        cli_print(": %s\n", text_of(record, "why"));
    }
}

int cli_health(const struct cli_request *request)
{
    json_t *health;
    const char *uri;
    bool is_ok;
    int r;

    r = cli_store_uri(request, &uri);
    if (r)
        return r;
    health = examine(request, uri);
    if (!health)
        return CLI_UNAVAILABLE;

    is_ok = strcmp(text_of(health, "status"), "ok") == 0;
    if (request->values[CLI_JSON])
        cli_print_document(json_incref(health));
    else
        print_health(health);
    json_decref(health);
    return is_ok ? CLI_DONE : CLI_UNAVAILABLE;
}

/* ---- copies ---- */

static void print_copy(const struct cli_request *request, const char *uri, const char *tenant,
                       const char *file, const char *what)
{
    if (request->values[CLI_JSON])
        cli_print_document(json_pack("{s:o, s:o, s:o}", "store", cli_json_text(cli_shown(uri)),
                                     "tenant", cli_json_text(tenant), "file", cli_json_text(file)));
    else
        cli_print("%s: %s %s\n", cli_shown(uri), what, file);
}

int cli_export(const struct cli_request *request)
{
    const char *file = cli_request_operand(request, 0), *tenant = cli_store_tenant(request), *uri;
    uint32_t version, wanted;
    flagver_error error;
    int r;

    r = cli_store_uri(request, &uri);
    if (r)
        return r;
    cli_progress("exporting");
    r = flagver_store_export(uri, tenant, file, &error);
    cli_progress(NULL);
    if (r == FLAGVER_ENOTFOUND && cli_store_version(uri, &version, &wanted, NULL) == 0 && version)
        return cli_fail(cli_shown(uri), &error); /* the tenant is what is not there */
    if (r < 0)
        return cli_store_fail(uri, &error);
    print_copy(request, uri, tenant, file, "exported to");
    return CLI_DONE;
}

/* What cannot be read is told apart from a store that cannot be written. */
static int check_readable(const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file) {
        cli_complain(path, "%s", strerror(errno));
        return CLI_INVALID;
    }
    fclose(file);
    return 0;
}

int cli_import(const struct cli_request *request)
{
    const char *file = cli_request_operand(request, 0), *uri;
    flagver_error error;
    int r;

    if (cli_is_uri(file))
        return cli_copy_store(request, file);
    if (request->values[CLI_FOLLOW])
        return cli_request_refuse(request, "a file does not change: --follow is for stores");
    if (request->values[CLI_TENANT])
        return cli_request_refuse(request,
                                  "takes no --tenant: the file says whose records they are");
    r = cli_store_uri(request, &uri);
    if (r == 0)
        r = check_readable(file);
    if (r)
        return r;
    cli_progress("importing");
    r = flagver_store_import(uri, file, &error);
    cli_progress(NULL);
    if (r < 0)
        return r == FLAGVER_EPARSE ? cli_fail_in(file, &error) : cli_store_fail(uri, &error);
    print_copy(request, uri, NULL, file, "imported from");
    if (!request->values[CLI_JSON])
        cli_print("programs that have this store open must be restarted or reopen it\n");
    return CLI_DONE;
}
