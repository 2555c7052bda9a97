#define _POSIX_C_SOURCE 200809L

#include "store.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"
#include "output.h"

#define DEFAULT_STORE "sqlite:flagver.db"
#define SQLITE_SCHEME "sqlite:"

/* SQLite's number for a file that is something else (SQLITE_NOTADB). */
#define NOT_A_DATABASE 26

/* An option, or else the variable, of which an empty one is none. */
static const char *setting(const struct cli_request *request, enum cli_option option,
                           const char *variable)
{
    const char *value = request->values[option];

    if (value)
        return value;
    value = getenv(variable);
    return value && *value ? value : NULL;
}

bool cli_is_uri(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.");

    return length > 0 && text[length] == ':' && text[0] >= 'a';
}

int cli_store_uri(const struct cli_request *request, const char **ret_uri)
{
    const char *uri = setting(request, CLI_STORE, "FLAGVER_STORE");

    *ret_uri = uri ? uri : DEFAULT_STORE;
    if (strcmp(*ret_uri, "memory:") == 0)
        return cli_request_refuse(request, "a store in memory ends with this command");
    if (cli_is_uri(*ret_uri))
        return 0;
    cli_complain(request->values[CLI_STORE] ? "--store" : "FLAGVER_STORE",
                 "\"%s\" is no URI; an SQLite file is sqlite:%s", *ret_uri,
                 **ret_uri ? *ret_uri : "FILE");
    return CLI_USAGE;
}

const char *cli_store_tenant(const struct cli_request *request)
{
    return setting(request, CLI_TENANT, "FLAGVER_TENANT");
}

/* The path of an SQLite file; NULL for other stores. */
static const char *path_of(const char *uri)
{
    size_t length = strlen(SQLITE_SCHEME);

    return strncmp(uri, SQLITE_SCHEME, length) == 0 ? uri + length : NULL;
}

/* True, with an error that says so, when the store's directory is not there. */
static bool lacks_directory(const char *uri, flagver_error *err)
{
    const char *path = path_of(uri), *slash = path ? strrchr(path, '/') : NULL;
    struct stat status;
    char *directory;
    bool lacks;

    if (!slash || slash == path)
        return false;
    directory = cli_copy(path, (size_t)(slash - path));
    lacks = stat(directory, &status) < 0 ? errno == ENOENT || errno == ENOTDIR
                                         : !S_ISDIR(status.st_mode);
    if (lacks && err) {
        *err = (flagver_error){ .code = FLAGVER_EUNAVAILABLE };
        snprintf(err->message, sizeof err->message, "there is no directory %.900s", directory);
    }
    free(directory);
    return lacks;
}

/* Better words: without the path that the URI has said already. */
static void explain(const char *uri, flagver_error *err)
{
    const char *path = path_of(uri), *at;
    size_t length = path ? strlen(path) : 0;

    if (!path)
        return;
    if (err->native == NOT_A_DATABASE) {
        snprintf(err->message, sizeof err->message, "is no SQLite database: is the path right?");
        return;
    }
    /* The library names the whole path, of which the URI may have the end only. */
    at = err->message[0] == '/' && length ? strstr(err->message, path) : NULL;
    if (at && strncmp(at + length, ": ", 2) == 0)
        memmove(err->message, at + length + 2, strlen(at + length + 2) + 1);
}

int cli_store_version(const char *uri, uint32_t *ret_version, uint32_t *ret_wanted,
                      flagver_error *err)
{
    int r;

    *ret_version = 0;
    *ret_wanted = FLAGVER_SCHEMA_VERSION;
    if (lacks_directory(uri, err))
        return FLAGVER_EUNAVAILABLE;
    r = flagver_schema_version(uri, ret_version, ret_wanted, err);
    return r == FLAGVER_ENOTFOUND ? 0 : r;
}

/* That a store is not there is another thing than that something is not in it. */
static int missing(flagver_error *err)
{
    err->code = FLAGVER_EUNAVAILABLE;
    snprintf(err->message, sizeof err->message,
             "there is no store yet; \"flagver init\" makes one");
    return err->code;
}

int cli_store_fail(const char *uri, flagver_error *err)
{
    if (err->code == FLAGVER_ENOTFOUND)
        missing(err);
    lacks_directory(uri, err);
    explain(uri, err);
    return cli_fail(cli_shown(uri), err);
}

int cli_store_open(const struct cli_request *request, const char *uri, bool create,
                   const flagver_options *options, flagver_client **ret_client, flagver_error *err)
{
    flagver_options filled = { .size = sizeof filled };
    uint32_t version, wanted;
    int r;

    if (lacks_directory(uri, err))
        return FLAGVER_EUNAVAILABLE;
    /* What is no store, or cannot be looked at, opening it finds out with better words; and so it
     * does of a server, where not everybody may make one. */
    if (!create && path_of(uri) && cli_store_version(uri, &version, &wanted, err) == 0 &&
        version == 0)
        return missing(err);

    if (options)
        filled = *options;
    filled.tenant = cli_store_tenant(request);
    filled.log = cli_warn;
    r = flagver_open(uri, &filled, ret_client, err);
    if (r < 0)
        explain(uri, err);
    return r;
}

static int open_store(const struct cli_request *request, bool create,
                      const flagver_options *options, flagver_client **ret_client)
{
    flagver_error error;
    const char *uri;
    int r = cli_store_uri(request, &uri);

    if (r == 0 && cli_store_open(request, uri, create, options, ret_client, &error) < 0)
        r = cli_store_fail(uri, &error);
    return r;
}

int cli_store_read(const struct cli_request *request, const flagver_options *options,
                   flagver_client **ret_client)
{
    return open_store(request, false, options, ret_client);
}

int cli_store_write(const struct cli_request *request, bool create, flagver_client **ret_client)
{
    return open_store(request, create, NULL, ret_client);
}

bool cli_parse_number(const char *text, uint32_t least, uint32_t *ret_number)
{
    uint64_t number = 0;
    const char *c;

    for (c = text; *c >= '0' && *c <= '9' && number < FLAGVER_EXPECT_NONE; c++)
        number = number * 10 + (uint64_t)(*c - '0');
    *ret_number = (uint32_t)number;
    return c > text && !*c && number >= least && number < FLAGVER_EXPECT_NONE;
}

bool cli_parse_percentage(const char *text, double *ret_percentage)
{
    size_t digits = strspn(text, "0123456789.");
    char *end;

    *ret_percentage = strtod(text, &end);
    return digits && !text[digits] && end == text + digits;
}

int cli_write_options(const struct cli_request *request, flagver_write_options *ret_options)
{
    const char *expect = request->values[CLI_EXPECT];

    *ret_options = (flagver_write_options){ .size = sizeof *ret_options,
                                            .note = request->values[CLI_NOTE] };
    if (request->values[CLI_EMERGENCY])
        ret_options->flags |= FLAGVER_WRITE_EMERGENCY;
    if (expect && strcmp(expect, "none") == 0)
        ret_options->expect_no = FLAGVER_EXPECT_NONE;
    else if (expect && !cli_parse_number(expect, 1, &ret_options->expect_no))
        return cli_request_refuse(request, "--expect %s is neither a version's number nor none",
                                  expect);
    return 0;
}

/* The login name; without one (a bare number in a container) the number. */
static const char *login_name(char *room, size_t size)
{
    const struct passwd *entry;

    if (getlogin_r(room, size) == 0 && *room)
        return room;
    entry = getpwuid(getuid());
    if (entry && entry->pw_name && *entry->pw_name)
        return entry->pw_name;
    snprintf(room, size, "uid:%lu", (unsigned long)getuid());
    return room;
}

void cli_store_actor(const struct cli_request *request, struct cli_actor *ret_actor)
{
    flagver_actor *actor = &ret_actor->actor;

    *actor = (flagver_actor){ .size = sizeof *actor,
                              .id = setting(request, CLI_ACTOR, "FLAGVER_ACTOR"),
                              .roles = request->roles,
                              .role_count = request->role_count };
    if (!actor->id)
        actor->id = login_name(ret_actor->room, sizeof ret_actor->room);
}

int cli_transact(const struct cli_request *request, flagver_client *client,
                 int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
                 flagver_error *err)
{
    flagver_txn_options options = { .size = sizeof options,
                                    .idempotency_key = request->values[CLI_IDEMPOTENCY_KEY] };
    struct cli_actor who;

    cli_store_actor(request, &who);
    return flagver_txn_run(client, &who.actor, &options, run, data, err);
}
