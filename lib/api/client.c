#include "flagver/client.h"

#include "api/drivers.h"
#include "engine/client.h"
#include "engine/reader.h"
#include "util/fail.h"

int flagver_open(const char *uri, const flagver_options *options, flagver_client **ret_client,
                 flagver_error *err)
{
    if (!uri || !ret_client)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", uri ? "ret_client" : "uri");
    fv_drivers_prepare();
    return fv_client_open(uri, options, ret_client, err);
}

int flagver_client_tenant(flagver_client *client, const char *tenant, flagver_client **ret_client,
                          flagver_error *err)
{
    if (!client || !tenant || !ret_client)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL",
                       !client   ? "client"
                       : !tenant ? "tenant"
                                 : "ret_client");
    return fv_client_tenant(client, tenant, ret_client, err);
}

int flagver_client_reopen(flagver_client *client, flagver_error *err)
{
    return client ? fv_client_reopen(client, err) : fv_fail(err, FLAGVER_EINVAL, "client is NULL");
}

int flagver_client_fd(flagver_client *client, flagver_error *err)
{
    if (!client)
        return fv_fail(err, FLAGVER_EINVAL, "client is NULL");
    return client->stored ? fv_stored_descriptor(client->stored, err) : fv_client_has_no_store(err);
}

int flagver_client_listen(flagver_client *client,
                          void (*changed)(void *data, const char *const *keys, size_t count),
                          void *data, flagver_error *err)
{
    if (!client || !changed)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", client ? "changed" : "client");
    return fv_listeners_add(&client->listeners, changed, data, err);
}

void flagver_client_unlisten(flagver_client *client, int listener)
{
    if (client)
        fv_listeners_remove(&client->listeners, listener);
}

int flagver_client_health(flagver_client *client, char **ret_json, flagver_error *err)
{
    if (!client || !ret_json)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", client ? "ret_json" : "client");
    return fv_client_health(client, ret_json, err);
}

int flagver_snapshot_at(flagver_client *client, int64_t time, flagver_snapshot **ret_snapshot,
                        flagver_error *err)
{
    if (!client || !ret_snapshot)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", client ? "ret_snapshot" : "client");
    return fv_client_snapshot_at(client, time, ret_snapshot, err);
}

void flagver_close(flagver_client *client)
{
    fv_client_close(client);
}

int flagver_client_refresh(flagver_client *client, flagver_error *err)
{
    if (!client)
        return fv_fail(err, FLAGVER_EINVAL, "client is NULL");
    return fv_client_refresh(client, err);
}

static int load(flagver_client *client, const char *json, size_t length, bool merge,
                flagver_error *err)
{
    if (!client || (!json && length))
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", client ? "json" : "client");
    return fv_client_load(client, json, length, merge, err);
}

int flagver_client_load(flagver_client *client, const char *json, size_t length, flagver_error *err)
{
    return fv_client_load(client, json, length, false, err);
}

int flagver_client_merge(flagver_client *client, const char *json, size_t length,
                         flagver_error *err)
{
    return load(client, json, length, true, err);
}

uint64_t flagver_client_generation(const flagver_client *client)
{
    return client ? atomic_load_explicit(&client->generation, memory_order_acquire) : 0;
}

const uint64_t *flagver_client_generation_word(const flagver_client *client)
{
    return client ? (const uint64_t *)(const void *)&client->generation : NULL;
}

int flagver_snapshot_changes(const flagver_snapshot *before, const flagver_snapshot *after,
                             void (*changed)(void *data, const char *const *keys, size_t count),
                             void *data, flagver_error *err)
{
    const flagver_allocator *memory;
    const char **keys;
    size_t count;

    if (!before || !after || !changed)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", changed ? "a snapshot" : "changed");
    if (before->catalog != after->catalog)
        return fv_fail(err, FLAGVER_EINVAL, "the snapshots are not of one client");
    memory = fv_catalog_memory(before->catalog);
    keys = fv_changed_keys(memory, before, after, &count);
    if (!keys)
        return fv_fail_memory(err);
    changed(data, keys, count);
    fv_release(memory, keys);
    return 0;
}

flagver_snapshot *flagver_client_snapshot(flagver_client *client)
{
    return client ? fv_client_snapshot(client) : NULL;
}

static int load_into(struct fv_catalog *catalog, const char *json, size_t length,
                     flagver_snapshot **ret_snapshot, flagver_error *err)
{
    struct fv_definitions_source source = {
        .text = json,
        .length = length,
        .memory = fv_catalog_memory(catalog),
        .flag_names = &catalog->flag_names,
        .segment_names = &catalog->segment_names,
        .attribute_names = &catalog->attribute_names,
    };
    struct fv_definitions *definitions;
    flagver_snapshot *snapshot;
    int r;

    r = fv_definitions_read(&source, &definitions, err);
    if (r < 0)
        return r;
    snapshot = fv_snapshot_new(catalog, definitions, NULL, NULL);
    fv_definitions_release(definitions);
    if (!snapshot)
        return fv_fail_memory(err);
    *ret_snapshot = snapshot;
    return 0;
}

int flagver_snapshot_load(const char *json, size_t length, const flagver_options *options,
                          flagver_snapshot **ret_snapshot, flagver_error *err)
{
    struct fv_catalog *catalog;
    flagver_options checked;
    int r;

    if ((!json && length) || !ret_snapshot)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", ret_snapshot ? "json" : "ret_snapshot");
    r = fv_options_read(options, &checked, err);
    if (r < 0)
        return r;
    catalog = fv_catalog_new(&checked);
    if (!catalog)
        return fv_fail_memory(err);
    r = load_into(catalog, json, length, ret_snapshot, err);
    fv_catalog_release(catalog); /* the snapshot holds it now */
    return r;
}

void flagver_snapshot_free(flagver_snapshot *snapshot)
{
    fv_snapshot_release(snapshot);
}

size_t flagver_snapshot_size(const flagver_snapshot *snapshot)
{
    return snapshot ? snapshot->count : 0;
}

static void drop(void *data, const char *message)
{
    (void)data;
    (void)message;
}

int flagver_definitions_lint(const char *json, size_t length, const char *name,
                             void (*warn)(void *data, const char *message), void *data,
                             flagver_error *err)
{
    const struct fv_listener listener = { warn ? warn : drop, data };
    struct fv_map flag_names, segment_names, attribute_names;
    struct fv_definitions *definitions;
    size_t count = 0;
    struct fv_definitions_source source = { .text = json,
                                            .length = length,
                                            .name = name,
                                            .flag_names = &flag_names,
                                            .segment_names = &segment_names,
                                            .attribute_names = &attribute_names,
                                            .lint = &listener,
                                            .lint_count = &count };
    int r;

    if (!json && length)
        return fv_fail(err, FLAGVER_EINVAL, "json is NULL");
    fv_map_init(&flag_names, NULL);
    fv_map_init(&segment_names, NULL);
    fv_map_init(&attribute_names, NULL);
    r = fv_definitions_read(&source, &definitions, err);
    if (r == 0)
        fv_definitions_release(definitions);
    fv_map_clear(&flag_names);
    fv_map_clear(&segment_names);
    fv_map_clear(&attribute_names);
    return r < 0 ? r : (int)count;
}

void flagver_thread_release(void)
{
    fv_thread_release();
}
