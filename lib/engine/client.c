#define _POSIX_C_SOURCE 200809L /* open() with O_CLOEXEC */

#include "engine/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "codec/json.h"
#include "codec/records.h"
#include "engine/reader.h"
#include "engine/track.h"
#include "util/fail.h"
#include "util/uri.h"
#include "util/text.h"

#define FILE_SCHEME "file:"
#define GIVEN_SCHEME "definitions:"
#define BOUND_CHUNK 1024

const flagver_allocator *fv_client_memory(const flagver_client *client)
{
    return fv_catalog_memory(client->catalog);
}

/* ---- the definitions file ---- */

/* One byte more than the limit tells that there is more. */
static int read_all(int file, const char *path, struct fv_text *text, flagver_error *err)
{
    char buffer[8192];
    ssize_t got;

    while (text->length <= FV_JSON_LIMIT) {
        got = read(file, buffer, sizeof buffer);
        if (got == 0)
            break;
        if (got > 0)
            fv_text_add_bytes(text, buffer, (size_t)got);
        else if (errno != EINTR)
            return fv_fail_errno(err, FLAGVER_EIO, errno, "%.500s", path);
        if (text->failed)
            return fv_fail_memory(err);
    }
    return 0;
}

static int read_file(const char *path, struct fv_text *text, flagver_error *err)
{
    int file, r;

    do
        file = open(path, O_RDONLY | O_CLOEXEC);
    while (file < 0 && errno == EINTR);
    if (file < 0)
        return fv_fail_errno(err, FLAGVER_EIO, errno, "%.500s", path);
    r = read_all(file, path, text, err);
    close(file);
    return r;
}

/* ---- what forces a flag: an override, else the environment ---- */

struct forcing {
    flagver_client *client;
    const struct fv_environment *environment;
    const struct fv_definitions *definitions;
    const flagver_snapshot *previous;
    bool warns; /* only where definitions or the environment were read */
};

/*
 * Warnings wait until the locks are free: the host's function may call anything.
 * Each is one line, whatever the environment holds.
 */
static void warn(flagver_client *client, const char *message)
{
    size_t i;

    if (!client->log)
        return;
    for (i = 0; message[i]; i++)
        fv_text_add_char(&client->warnings,
                         (unsigned char)message[i] < 0x20 || message[i] == 0x7f ? '?' : message[i]);
    fv_text_add_char(&client->warnings, '\n');
}

/* What the host is to be told once no lock is held. */
struct news {
    struct fv_text warnings;
    flagver_snapshot *before, *after; /* NULL: nothing was published, or nobody listens */
};

/* With `writing` held. */
static struct news take_news(flagver_client *client)
{
    struct news news = { client->warnings, client->replaced, NULL };

    client->warnings = (struct fv_text)FV_TEXT_INIT;
    client->replaced = NULL;
    if (news.before) {
        news.after = client->snapshot;
        fv_snapshot_hold(news.after);
    }
    return news;
}

static void tell_warnings(const flagver_client *client, struct fv_text *warnings)
{
    char *line, *end;

    for (line = warnings->data; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        client->log(client->log_data, FLAGVER_LOG_WARNING, line);
    }
    fv_text_clear(warnings);
}

static void tell_news(flagver_client *client, struct news *news)
{
    tell_warnings(client, &news->warnings);
    if (news->before)
        fv_listeners_tell(&client->listeners, news->before, news->after);
    fv_snapshot_release(news->before);
    fv_snapshot_release(news->after);
}

/* Ends a call that wrote: gives back the lock, then tells the host. */
static void unlock_and_tell(flagver_client *client)
{
    struct news news = take_news(client);

    pthread_mutex_unlock(&client->writing);
    tell_news(client, &news);
}

void fv_client_tell(flagver_client *client)
{
    pthread_mutex_lock(&client->writing);
    unlock_and_tell(client);
}

void fv_client_tell_health(flagver_client *client, const flagver_error *error)
{
    char message[FLAGVER_MESSAGE_SIZE + 64];

    if (!client->log)
        return;
    if (error)
        snprintf(message, sizeof message, "flags stay as they were: %s", error->message);
    else
        snprintf(message, sizeof message, "flags are kept up to date again");
    client->log(client->log_data, FLAGVER_LOG_WARNING, message);
}

static void warn_of(void *data, const char *message)
{
    warn(data, message);
}

static const char *forced_variant(const struct forcing *forcing, const struct fv_flag *flag)
{
    const flagver_client *client = forcing->client;
    char variable[sizeof FV_FORCE_PREFIX + FV_FLAG_KEY_LIMIT] = FV_FORCE_PREFIX;
    uint32_t number = fv_map_find(&client->override_keys, flag->key, flag->key_length);
    const char *name;

    if (number != FV_MAP_NONE && client->overrides[number].variant)
        return client->overrides[number].variant;
    if (!forcing->environment->forces)
        return NULL;
    fv_force_variable(flag->key, flag->key_length, variable + sizeof FV_FORCE_PREFIX - 1);
    name = fv_environment_get((void *)forcing->environment, variable);
    return name && fv_force_is_shared(forcing->definitions, flag) ? NULL : name;
}

/* The forced flag of the snapshot before, when it still says the same. */
static struct fv_flag *same_as_before(const struct forcing *forcing, const struct fv_flag *flag,
                                      uint32_t variant)
{
    const flagver_snapshot *previous = forcing->previous;
    struct fv_flag *before;

    if (!previous || flag->body->slot >= previous->world.flag_count)
        return NULL;
    before = previous->world.flags[flag->body->slot];
    return before && before->body->origin == flag && before->variant == variant ? before : NULL;
}

static int force(void *data, struct fv_flag *flag, struct fv_flag **ret_forced)
{
    const struct forcing *forcing = data;
    const char *name = forced_variant(forcing, flag);
    char message[512];
    uint32_t variant;

    if (!name)
        return 0;
    variant = fv_flag_variant(flag, name);
    if (variant == FV_NO_VARIANT) {
        snprintf(message, sizeof message,
                 "flag %.128s is not forced to \"%.128s\": it has no such variant", flag->key,
                 name);
        if (forcing->warns)
            warn(forcing->client, message);
        return 0;
    }

    *ret_forced = same_as_before(forcing, flag, variant);
    if (*ret_forced)
        fv_flag_hold(*ret_forced);
    else
        *ret_forced = fv_flag_force(flag, variant);
    return *ret_forced ? 0 : FLAGVER_ENOMEM;
}

/* ---- publishing ---- */

/* The same flags and segments; slots in which nothing is do not matter. */
static bool same_world(const struct fv_world *a, const struct fv_world *b)
{
    uint32_t i;

    for (i = 0; i < a->flag_count || i < b->flag_count; i++)
        if (fv_world_flag(a, i) != fv_world_flag(b, i))
            return false;
    for (i = 0; i < a->segment_count || i < b->segment_count; i++)
        if (fv_world_segment(a, i) != fv_world_segment(b, i))
            return false;
    return true;
}

static void publish(flagver_client *client, flagver_snapshot *snapshot)
{
    flagver_snapshot *old;

    if (client->snapshot && same_world(&client->snapshot->world, &snapshot->world)) {
        fv_snapshot_release(snapshot);
        return;
    }
    pthread_mutex_lock(&client->publishing);
    old = client->snapshot;
    client->snapshot = snapshot;
    atomic_store_explicit(&client->generation, fv_next_generation(), memory_order_release);
    pthread_mutex_unlock(&client->publishing);

    /* The oldest one since the listeners were told last. */
    if (old && !client->replaced && fv_listeners_any(&client->listeners))
        client->replaced = old;
    else
        fv_snapshot_release(old);
}

/* A snapshot of these definitions with what is forced; publishes it. */
static int take(flagver_client *client, struct fv_definitions *definitions,
                const struct fv_environment *environment, bool warns, flagver_error *err)
{
    struct forcing forcing = { client, environment, definitions, client->snapshot, warns };
    const struct fv_forcing hook = { force, &forcing };
    bool forces = client->override_keys.count || environment->forces;
    flagver_snapshot *snapshot;

    if (fv_catalog_count(client->catalog, definitions) < 0)
        return fv_fail_memory(err);
    snapshot = fv_snapshot_new(client->catalog, definitions, forces ? &hook : NULL,
                               client->snapshot);
    if (!snapshot)
        return fv_fail_memory(err);
    publish(client, snapshot);
    return 0;
}

static struct fv_definitions_source source_of(flagver_client *client,
                                              struct fv_environment *environment,
                                              const struct fv_listener *listener)
{
    return (struct fv_definitions_source){ .name = client->path,
                                           .memory = fv_client_memory(client),
                                           .flag_names = &client->catalog->flag_names,
                                           .segment_names = &client->catalog->segment_names,
                                           .attribute_names = &client->catalog->attribute_names,
                                           .current = client->definitions,
                                           .variable = fv_environment_get,
                                           .variable_data = environment,
                                           .ignored = listener,
                                           .spoiled = listener };
}

/* Makes definitions the client's state, or frees them. */
static int settle(flagver_client *client, struct fv_definitions *definitions,
                  const struct fv_environment *environment, flagver_error *err)
{
    int r = take(client, definitions, environment, true, err);

    if (r < 0) {
        fv_definitions_release(definitions);
        return r;
    }
    fv_definitions_release(client->definitions);
    client->definitions = definitions;
    return 0;
}

/* Reads a text with an environment and makes it the client's state: all or nothing. */
static int read_text(flagver_client *client, const char *text, size_t length, bool merge,
                     struct fv_environment *environment, flagver_error *err)
{
    const struct fv_listener listener = { warn_of, client };
    struct fv_definitions_source source = source_of(client, environment, &listener);
    struct fv_definitions *definitions;
    int r;

    source.text = text;
    source.length = length;
    source.merge = merge;
    r = fv_definitions_read(&source, &definitions, err);
    return r < 0 ? r : settle(client, definitions, environment, err);
}

static int read_records(flagver_client *client, const struct fv_harvest *harvest,
                        struct fv_environment *environment, flagver_error *err)
{
    const struct fv_listener listener = { warn_of, client };
    struct fv_definitions_source source = source_of(client, environment, &listener);
    struct fv_definitions *definitions;
    int r;

    source.merge = !harvest->whole;
    r = fv_definitions_from_records(&source, harvest->records, harvest->count, &definitions, err);
    return r < 0 ? r : settle(client, definitions, environment, err);
}

static int read_stream(flagver_client *client, struct fv_environment *environment,
                       const void *stream, flagver_error *err)
{
    const struct fv_listener listener = { warn_of, client };
    struct fv_definitions_source source = source_of(client, environment, &listener);
    struct fv_definitions *definitions;
    int r = fv_definitions_from_stream(&source, stream, &definitions, err);

    return r < 0 ? r : settle(client, definitions, environment, err);
}

static int copy_environment(const flagver_client *client, struct fv_environment *environment,
                            flagver_error *err)
{
    fv_environment_init(environment, fv_client_memory(client));
    if (client->no_environment || fv_environment_read(environment) == 0)
        return 0;
    fv_environment_clear(environment);
    return fv_fail_memory(err);
}

/* With definitions that did not change only the environment may force something else. */
static int refresh_from(flagver_client *client, struct fv_environment *environment,
                        const struct fv_text *text, flagver_error *err)
{
    uint64_t mark = fv_hash(text->data, text->length);
    int r;

    if (client->snapshot && mark == client->file_mark &&
        environment->mark == client->environment.mark)
        return 0;
    r = read_text(client, text->data, text->length, false, environment, err);
    if (r == 0)
        client->file_mark = mark;
    return r;
}

static int refresh_file(flagver_client *client, struct fv_environment *environment,
                        flagver_error *err)
{
    struct fv_text text = FV_TEXT_INIT;
    int r;

    r = read_file(client->path, &text, err);
    if (r == 0)
        r = refresh_from(client, environment, &text, err);
    fv_text_clear(&text);
    return r;
}

/*
 * Definitions that were handed over are not kept as text: those that name a
 * variable keep the values it had then. What the environment forces is looked
 * at anew.
 */
static int refresh_given(flagver_client *client, struct fv_environment *environment,
                         flagver_error *err)
{
    static const char nothing[] = "{}";

    if (!client->definitions)
        return read_text(client, nothing, sizeof nothing - 1, false, environment, err);
    return take(client, client->definitions, environment, true, err);
}

/* Runs `read` with the environment as it is now, which is then the client's. */
static int with_environment(flagver_client *client,
                            int (*read)(flagver_client *client, struct fv_environment *environment,
                                        const void *data, flagver_error *err),
                            const void *data, flagver_error *err)
{
    struct fv_environment environment;
    int r;

    r = copy_environment(client, &environment, err);
    if (r < 0)
        return r;
    r = read(client, &environment, data, err);
    if (r < 0) {
        fv_environment_clear(&environment);
        return r;
    }
    fv_environment_clear(&client->environment);
    client->environment = environment;
    return 0;
}

static int refresh_local(flagver_client *client, struct fv_environment *environment,
                         const void *unused, flagver_error *err)
{
    (void)unused;
    return client->path ? refresh_file(client, environment, err)
                        : refresh_given(client, environment, err);
}

static int refresh_records(flagver_client *client, struct fv_environment *environment,
                           const void *harvest, flagver_error *err)
{
    return read_records(client, harvest, environment, err);
}

int fv_client_take_records(flagver_client *client, const struct fv_harvest *harvest,
                           bool environment, flagver_error *err)
{
    int r;

    pthread_mutex_lock(&client->writing);
    if (environment)
        r = with_environment(client, refresh_records, harvest, err);
    else
        r = read_records(client, harvest, &client->environment, err);
    pthread_mutex_unlock(&client->writing);
    return r;
}

int fv_client_take_stream(flagver_client *client, const struct fv_record_stream *stream,
                          flagver_error *err)
{
    int r;

    pthread_mutex_lock(&client->writing);
    r = with_environment(client, read_stream, stream, err);
    pthread_mutex_unlock(&client->writing);
    return r;
}

bool fv_client_is_empty(flagver_client *client)
{
    bool empty;

    pthread_mutex_lock(&client->writing);
    empty = !client->definitions;
    pthread_mutex_unlock(&client->writing);
    return empty;
}

bool fv_client_environment_changed(flagver_client *client)
{
    struct fv_environment environment;
    bool changed;

    if (copy_environment(client, &environment, NULL) < 0)
        return true; /* memory is short: so it will turn out to be where it matters */
    pthread_mutex_lock(&client->writing);
    changed = environment.mark != client->environment.mark;
    pthread_mutex_unlock(&client->writing);
    fv_environment_clear(&environment);
    return changed;
}

int fv_client_refresh(flagver_client *client, flagver_error *err)
{
    int r;

    if (client->stored) {
        r = fv_stored_refresh(client->stored, true, err);
        fv_client_tell(client);
        return r;
    }
    pthread_mutex_lock(&client->writing);
    r = with_environment(client, refresh_local, NULL, err);
    unlock_and_tell(client);
    return r;
}

int fv_client_load(flagver_client *client, const char *json, size_t length, bool merge,
                   flagver_error *err)
{
    int r;

    if (client->path || client->stored)
        return fv_fail(err, FLAGVER_ENOTSUP, "the definitions of this client are those of %.500s",
                       client->path ? client->path : client->stored->shown);
    pthread_mutex_lock(&client->writing);
    r = read_text(client, json, length, merge, &client->environment, err);
    unlock_and_tell(client);
    return r;
}

/* ---- opening and closing ---- */

static int refuse_uri(const char *uri, flagver_error *err)
{
    struct fv_uri_brief brief;

    return fv_fail(err, FLAGVER_ENOTSUP,
                   "\"%.200s\" is no URI this version knows; known are sqlite:PATH, "
                   "postgresql://…, memory:, file:PATH, definitions: and registered drivers",
                   fv_uri_brief(uri, &brief));
}

static int set_path(flagver_client *client, const char *uri, flagver_error *err)
{
    const char *path = uri + sizeof FILE_SCHEME - 1;

    if (!*path)
        return fv_fail(err, FLAGVER_EINVAL, "the path in \"%s\" is empty", uri);
    client->path = fv_allocate(fv_client_memory(client), strlen(path) + 1);
    if (!client->path)
        return fv_fail_memory(err);
    memcpy(client->path, path, strlen(path) + 1);
    return 0;
}

/* A tenant of a store that another client has open shares it. */
static int set_source(flagver_client *client, const char *uri, const flagver_options *options,
                      struct fv_store *shared, flagver_error *err)
{
    if (strcmp(uri, GIVEN_SCHEME) == 0)
        return 0;
    if (strncmp(uri, FILE_SCHEME, sizeof FILE_SCHEME - 1) == 0)
        return set_path(client, uri, err);
    if (!fv_store_is_uri(uri))
        return refuse_uri(uri, err);
    return fv_stored_new(client, uri, options, shared, &client->stored, err);
}

static void free_client(flagver_client *client)
{
    struct fv_catalog *catalog = client->catalog;
    const flagver_allocator *memory = fv_client_memory(client);
    size_t i;

    fv_stored_free(client->stored);
    fv_track_free(client->track);
    fv_readers_free(client);
    fv_listeners_clear(&client->listeners);
    fv_snapshot_release(client->replaced);
    fv_snapshot_release(client->snapshot);
    fv_definitions_release(client->definitions);
    fv_environment_clear(&client->environment);
    for (i = 0; i < client->override_keys.count; i++)
        fv_release(memory, client->overrides[i].variant);
    fv_release(memory, client->overrides);
    fv_map_clear(&client->override_keys);
    fv_release(memory, client->bounds);
    fv_arena_clear(&client->bound_memory);
    fv_text_clear(&client->warnings);
    fv_release(memory, client->path);
    pthread_mutex_destroy(&client->writing);
    pthread_mutex_destroy(&client->publishing);
    fv_release(memory, client);
    fv_catalog_release(catalog);
}

static flagver_client *new_client(const flagver_options *options)
{
    struct fv_catalog *catalog = fv_catalog_new(options);
    flagver_client *client;

    if (!catalog)
        return NULL;
    client = fv_allocate_zeroed(fv_catalog_memory(catalog), 1, sizeof *client);
    if (client)
        client->track = fv_track_new(fv_catalog_memory(catalog), options->flush_ms);
    if (!client || !client->track) {
        fv_release(fv_catalog_memory(catalog), client);
        fv_catalog_release(catalog);
        return NULL;
    }

    client->catalog = catalog;
    client->log = options->log;
    client->log_data = options->log_data;
    client->no_environment = options->no_environment != 0;
    client->host_clock = options->clock != NULL;
    fv_listeners_init(&client->listeners, fv_catalog_memory(catalog));
    if (options->hook) {
        client->hook = *options->hook;
        client->hooked = true;
    }
    client->warnings = (struct fv_text)FV_TEXT_INIT;
    fv_map_init(&client->override_keys, fv_catalog_memory(catalog));
    fv_arena_init(&client->bound_memory, fv_catalog_memory(catalog), BOUND_CHUNK);
    fv_environment_init(&client->environment, fv_catalog_memory(catalog));
    atomic_init(&client->generation, 0);
    pthread_mutex_init(&client->writing, NULL);
    pthread_mutex_init(&client->publishing, NULL);
    return client;
}

/* The first state, and then what goes on beside the host's threads. */
static int start(flagver_client *client, flagver_error *err)
{
    int r;

    r = client->stored ? fv_stored_start(client->stored, err) : fv_client_refresh(client, err);
    if (r < 0)
        return r;
    if (!fv_registry_add(client))
        return fv_fail_memory(err);
    fv_client_tell(client);
    r = client->stored ? fv_stored_run(client->stored, err) : 0;
    if (r < 0)
        fv_registry_remove(client);
    return r;
}

static int open_client(const char *uri, const flagver_options *options, struct fv_store *shared,
                       flagver_client **ret_client, flagver_error *err)
{
    flagver_client *client = new_client(options);
    int r;

    if (!client)
        return fv_fail_memory(err);
    r = set_source(client, uri, options, shared, err);
    if (r == 0)
        r = start(client, err);
    if (r < 0) {
        free_client(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

int fv_client_open(const char *uri, const flagver_options *options, flagver_client **ret_client,
                   flagver_error *err)
{
    flagver_options checked;
    int r = fv_options_read(options, &checked, err);

    return r < 0 ? r : open_client(uri, &checked, NULL, ret_client, err);
}

int fv_client_tenant(flagver_client *client, const char *tenant, flagver_client **ret_client,
                     flagver_error *err)
{
    const struct fv_stored *stored = client->stored;
    flagver_options options = { .size = sizeof options,
                                .allocator = fv_client_memory(client),
                                .log = client->log,
                                .log_data = client->log_data,
                                .hook = client->hooked ? &client->hook : NULL,
                                .no_environment = client->no_environment,
                                .tenant = tenant };
    const struct fv_guardian *guardian;
    struct fv_store *store;
    int r;

    if (!stored)
        return fv_client_has_no_store(err);
    if (client->host_clock) {
        options.clock = client->catalog->clock;
        options.clock_data = client->catalog->clock_data;
    }
    options.background = stored->background;
    options.wait_ms = stored->wait_ms;
    options.poll_ms = stored->poll_ms;
    options.flush_ms = fv_track_flush_ms(client->track);
    options.authorize = stored->authorize;
    options.authorize_data = stored->authorize_data;
    if (stored->watch) {
        guardian = fv_watch_guardian(stored->watch);
        options.guardian = &guardian->actor;
        options.alert = guardian->alert;
        options.alert_data = guardian->data;
    }
    r = fv_stored_hold(client->stored, &store, err);
    if (r < 0)
        return r;
    r = open_client(stored->uri, &options, store, ret_client, err);
    fv_store_release(store);
    return r;
}

int fv_client_has_no_store(flagver_error *err)
{
    return fv_fail(err, FLAGVER_ENOTSUP,
                   "this client has no store; open sqlite:PATH, memory: or a registered driver's");
}

int fv_client_tenancy(flagver_client *client, struct fv_tenancy *ret_tenancy, flagver_error *err)
{
    if (!client)
        return fv_fail(err, FLAGVER_EINVAL, "client is NULL");
    if (!client->stored)
        return fv_client_has_no_store(err);
    ret_tenancy->tenant = client->stored->tenant;
    return fv_stored_hold(client->stored, &ret_tenancy->store, err);
}

int fv_client_version(flagver_client *client, flagver_query *query, bool in_force, const char *what,
                      flagver_version **ret_version, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_one(&tenancy, query, in_force, what, ret_version, err);
    fv_store_release(tenancy.store);
    return r;
}

static int64_t host_time(void *data)
{
    const flagver_client *client = data;

    return client->catalog->clock(client->catalog->clock_data) * 1000;
}

int fv_client_source(flagver_client *client, struct fv_txn_source *ret_source, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    *ret_source = (struct fv_txn_source){ .store = tenancy.store,
                                          .memory = tenancy.store->memory,
                                          .tenant = tenancy.tenant,
                                          .clock = client->host_clock ? host_time : NULL,
                                          .clock_data = client,
                                          .authorize = client->stored->authorize,
                                          .authorize_data = client->stored->authorize_data,
                                          .policies = &client->stored->policies,
                                          .committed = fv_stored_hurry,
                                          .data = client->stored };
    return 0;
}

int fv_client_reopen(flagver_client *client, flagver_error *err)
{
    int r;

    if (!client->stored)
        return fv_client_has_no_store(err);
    r = fv_stored_reopen(client->stored, err);
    fv_client_tell(client);
    return r;
}

void fv_client_close(flagver_client *client)
{
    if (!client)
        return;
    if (client->stored)
        fv_stored_stop(client->stored);
    fv_track_close(client);
    fv_registry_remove(client);
    free_client(client);
}

flagver_snapshot *fv_client_snapshot(flagver_client *client)
{
    flagver_snapshot *snapshot;

    pthread_mutex_lock(&client->publishing);
    snapshot = client->snapshot;
    fv_snapshot_hold(snapshot);
    pthread_mutex_unlock(&client->publishing);
    return snapshot;
}

/* ---- overrides and bound flags ---- */

static const struct fv_flag *defined_flag(const flagver_client *client, const char *key)
{
    uint32_t slot = fv_map_find(&client->catalog->flag_names, key, strlen(key));

    return slot != FV_MAP_NONE && slot < client->definitions->flag_count
               ? client->definitions->flags[slot]
               : NULL;
}

/* The place of a key's override; NULL when memory is short. */
static struct fv_override *override_of(flagver_client *client, const char *key)
{
    const flagver_allocator *memory = fv_client_memory(client);
    size_t before = client->override_keys.count;
    uint32_t number;

    if (!fv_grow(memory, (void **)&client->overrides, &client->override_capacity, before,
                 sizeof *client->overrides))
        return NULL;
    number = fv_map_add(&client->override_keys, key, strlen(key));
    if (number == FV_MAP_NONE)
        return NULL;
    if (number == before)
        client->overrides[number].variant = NULL;
    return &client->overrides[number];
}

static int set_override(flagver_client *client, const char *key, const char *variant,
                        flagver_error *err)
{
    const struct fv_flag *flag = defined_flag(client, key);
    const flagver_allocator *memory = fv_client_memory(client);
    struct fv_override *override;
    char *copy = NULL, *old;
    int r;

    if (variant && flag && fv_flag_variant(flag, variant) == FV_NO_VARIANT)
        return fv_fail(err, FLAGVER_ENOTFOUND, "flag \"%.128s\" has no variant \"%.128s\"", key,
                       variant);
    if (variant) {
        copy = fv_allocate(memory, strlen(variant) + 1);
        if (!copy)
            return fv_fail_memory(err);
        memcpy(copy, variant, strlen(variant) + 1);
    }
    override = override_of(client, key);
    if (!override) {
        fv_release(memory, copy);
        return fv_fail_memory(err);
    }

    old = override->variant;
    override->variant = copy;
    r = take(client, client->definitions, &client->environment, false, err);
    if (r < 0)
        override->variant = old;
    fv_release(memory, r < 0 ? copy : old);
    return r;
}

int fv_client_override(flagver_client *client, const char *key, const char *variant,
                       flagver_error *err)
{
    int r;

    pthread_mutex_lock(&client->writing);
    r = set_override(client, key, variant, err);
    unlock_and_tell(client);
    return r;
}

/* Room for a handle of this slot. */
static bool cover_bounds(flagver_client *client, uint32_t slot)
{
    size_t wanted = (size_t)slot + 1;
    struct flagver_bound **moved;

    if (wanted <= client->bound_count)
        return true;
    if (wanted < client->bound_count * 2)
        wanted = client->bound_count * 2;
    moved = fv_reallocate(fv_client_memory(client), client->bounds, wanted * sizeof(void *));
    if (!moved)
        return false;
    memset(moved + client->bound_count, 0, (wanted - client->bound_count) * sizeof(void *));
    client->bounds = moved;
    client->bound_count = wanted;
    return true;
}

static int bind(flagver_client *client, const char *key, const flagver_bound **ret_bound,
                flagver_error *err)
{
    struct fv_map *names = &client->catalog->flag_names;
    uint32_t slot = fv_map_add(names, key, strlen(key));
    struct flagver_bound *bound;

    if (slot == FV_MAP_NONE || !cover_bounds(client, slot))
        return fv_fail_memory(err);
    bound = client->bounds[slot];
    if (!bound) {
        bound = fv_arena_allocate(&client->bound_memory, sizeof *bound);
        if (!bound)
            return fv_fail_memory(err);
        *bound = (struct flagver_bound){ client, names->names[slot].text, slot };
        client->bounds[slot] = bound;
    }
    *ret_bound = bound;
    return 0;
}

int fv_client_bind(flagver_client *client, const char *key, const flagver_bound **ret_bound,
                   flagver_error *err)
{
    int r;

    pthread_mutex_lock(&client->writing);
    r = bind(client, key, ret_bound, err);
    unlock_and_tell(client);
    return r;
}
