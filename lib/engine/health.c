/*
 * How a client is doing, and how its flags were: what is asked of it as a whole.
 */
#include <string.h>

#include "codec/canonical.h"
#include "engine/client.h"
#include "model/datetime.h"
#include "util/fail.h"
#include "util/text.h"

#define DESCRIPTION_SIZE 4096

/* ---- health ---- */

static void add_string(struct fv_text *out, const char *name, const char *value)
{
    fv_text_format(out, ",\"%s\":", name);
    fv_canonical_string(out, value, strlen(value));
}

static void add_time(struct fv_text *out, const char *name, int64_t ms)
{
    char time[FV_DATETIME_SIZE];

    if (!ms) {
        fv_text_format(out, ",\"%s\":null", name);
        return;
    }
    fv_datetime_format(ms, time);
    add_string(out, name, time);
}

static void add_error(struct fv_text *out, const flagver_error *error, int64_t since_ms)
{
    if (!error->code) {
        fv_text_add(out, ",\"error\":null");
        return;
    }
    fv_text_add(out, ",\"error\":{\"code\":");
    fv_canonical_string(out, fv_error_name(error->code), strlen(fv_error_name(error->code)));
    add_string(out, "message", error->message);
    add_time(out, "since", since_ms);
    fv_text_add_char(out, '}');
}

static void add_malformed(struct fv_text *out, const struct fv_definitions *definitions)
{
    const struct fv_spoiled *spoiled;
    size_t i;

    fv_text_add(out, ",\"malformed\":[");
    for (i = 0; i < definitions->spoiled_count; i++) {
        spoiled = &definitions->spoiled[i];
        fv_text_format(out, "%s{\"%s\":", i ? "," : "", spoiled->is_segment ? "segment" : "flag");
        fv_canonical_string(out, spoiled->key, spoiled->key_length);
        add_string(out, "why", spoiled->why);
        fv_text_add_char(out, '}');
    }
    fv_text_add_char(out, ']');
}

/* The driver's own words; a store that does not answer has none, and is not asked. */
static void add_store(struct fv_text *out, struct fv_stored *stored, bool answers)
{
    struct fv_store *store;
    char *description;

    fv_text_add(out, ",\"store\":");
    if (!answers || fv_stored_hold(stored, &store, NULL) < 0) {
        fv_text_add(out, "null");
        return;
    }
    description = fv_allocate(stored->memory, DESCRIPTION_SIZE);
    if (!description)
        out->failed = true;
    else if (store->driver->describe(store->handle, description, DESCRIPTION_SIZE, NULL) < 0)
        fv_text_add(out, "null");
    else
        fv_text_add(out, description);
    fv_release(stored->memory, description);
    fv_store_release(store);
}

/* Copies of what changes under locks. */
struct status {
    flagver_error error;
    int64_t error_ms, refreshed_ms;
    uint64_t size;
    bool forked;
};

static struct status status_of(struct fv_stored *stored)
{
    struct status status;
    int64_t silence;

    pthread_mutex_lock(&stored->status);
    status = (struct status){ stored->error, stored->error_ms, stored->refreshed_ms,
                              stored->shown_size, stored->forked };
    silence = stored->forked ? 0 : fv_stored_silence(stored);
    pthread_mutex_unlock(&stored->status);
    if (silence && !status.error.code) {
        fv_fail(&status.error, FLAGVER_EUNAVAILABLE, "the store has not answered for %d s",
                (int)(silence / 1000));
        status.error_ms = status.refreshed_ms;
    }
    return status;
}

static void add_stored(struct fv_text *out, struct fv_stored *stored)
{
    const struct status status = status_of(stored);

    add_string(out, "status", status.forked ? "forked" : status.error.code ? "stale" : "ok");
    add_string(out, "uri", stored->shown);
    add_string(out, "tenant", stored->tenant);
    fv_text_format(out, ",\"leaves\":%llu", (unsigned long long)status.size);
    add_time(out, "refreshed", status.refreshed_ms);
    add_error(out, &status.error, status.error_ms);
    add_store(out, stored, !status.error.code);
}

static void add_local(struct fv_text *out, const flagver_client *client)
{
    add_string(out, "status", "ok");
    add_string(out, "uri", client->path ? client->path : "definitions:");
    fv_text_add(out, ",\"error\":null");
}

int fv_client_health(flagver_client *client, char **ret_json, flagver_error *err)
{
    flagver_snapshot *snapshot = fv_client_snapshot(client);
    struct fv_text out = FV_TEXT_INIT;
    char *json;

    fv_text_format(&out, "{\"flags\":%u,\"generation\":%llu", (unsigned)snapshot->count,
                   (unsigned long long)atomic_load(&client->generation));
    if (client->stored)
        add_stored(&out, client->stored);
    else
        add_local(&out, client);
    add_malformed(&out, snapshot->definitions);
    fv_text_add_char(&out, '}');
    fv_snapshot_release(snapshot);

    json = fv_text_detach(&out);
    if (!json)
        return fv_fail_memory(err);
    *ret_json = json;
    return 0;
}

/* ---- the past ---- */

static int64_t stopped_clock(void *data)
{
    return *(const int64_t *)data;
}

static int compile(struct fv_catalog *catalog, const struct fv_harvest *harvest,
                   flagver_snapshot **ret_snapshot, flagver_error *err)
{
    const struct fv_definitions_source source = { .memory = fv_catalog_memory(catalog),
                                                  .flag_names = &catalog->flag_names,
                                                  .segment_names = &catalog->segment_names,
                                                  .attribute_names = &catalog->attribute_names };
    struct fv_definitions *definitions;
    int r;

    r = fv_definitions_from_records(&source, harvest->records, harvest->count, &definitions, err);
    if (r < 0)
        return r;
    *ret_snapshot = fv_snapshot_new(catalog, definitions, NULL, NULL);
    fv_definitions_release(definitions);
    return *ret_snapshot ? 0 : fv_fail_memory(err);
}

/* A catalog of its own, in which it is then for ever. */
static int snapshot_of(const flagver_client *client, const struct fv_harvest *harvest, int64_t time,
                       flagver_snapshot **ret_snapshot, flagver_error *err)
{
    const flagver_options options = { .size = sizeof options,
                                      .allocator = fv_client_memory(client),
                                      .clock = stopped_clock };
    struct fv_catalog *catalog = fv_catalog_new(&options);
    int r;

    if (!catalog)
        return fv_fail_memory(err);
    catalog->stopped_ms = time / 1000 - (time % 1000 < 0);
    catalog->clock_data = &catalog->stopped_ms;
    r = compile(catalog, harvest, ret_snapshot, err);
    fv_catalog_release(catalog); /* the snapshot holds it now */
    return r;
}

int fv_client_snapshot_at(flagver_client *client, int64_t time, flagver_snapshot **ret_snapshot,
                          flagver_error *err)
{
    struct fv_tenancy tenancy;
    struct fv_harvest harvest;
    int r;

    if (time <= 0)
        return fv_fail(err, FLAGVER_EINVAL, "time is %lld; it must be after 1970", (long long)time);
    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    fv_harvest_init(&harvest, fv_client_memory(client));
    r = fv_feed_all(&tenancy, time, &harvest, err);
    if (r == 0)
        r = snapshot_of(client, &harvest, time, ret_snapshot, err);
    fv_harvest_clear(&harvest);
    fv_store_release(tenancy.store);
    return r;
}
