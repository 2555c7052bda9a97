#include "flagver/route.h"

#include <stdlib.h>
#include <string.h>

#include "codec/difference.h"
#include "codec/event.h"
#include "engine/restage.h"
#include "engine/route.h"
#include "engine/side.h"
#include "store/store.h"
#include "util/fail.h"
#include "util/options.h"

/* ---- stages, sinks, events ---- */

const char *flagver_stage_name(int stage)
{
    return fv_stage_name(stage);
}

int flagver_stage_parse(const char *name)
{
    return name ? fv_stage_parse(name, strlen(name)) : 0;
}

int flagver_sink_value(flagver_sink *sink, const void *value, size_t length)
{
    return sink ? fv_sink_value(sink, value, length) : FLAGVER_EINVAL;
}

int flagver_sink_key(flagver_sink *sink, const char *key)
{
    return sink ? fv_sink_key(sink, key) : FLAGVER_EINVAL;
}

int flagver_sink_row(flagver_sink *sink, const char *key, const void *value, size_t length)
{
    return sink ? fv_sink_row(sink, key, value, length) : FLAGVER_EINVAL;
}

void flagver_sink_end(flagver_sink *sink)
{
    if (sink)
        sink->ended = true;
}

int flagver_route_event_json(const flagver_route_event *event, char **ret_json, flagver_error *err)
{
    if (!event || !ret_json)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", event ? "ret_json" : "event");
    return fv_event_json(event, ret_json, err);
}

/* ---- the route ---- */

int flagver_route_open(flagver_client *client, const char *migration,
                       const flagver_route_options *options, flagver_route **ret_route,
                       flagver_error *err)
{
    if (!client || !options || !ret_route)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL",
                       !client ? "client" : (!options ? "options" : "ret_route"));
    return fv_route_open(client, migration, options, ret_route, err);
}

int flagver_route_close(flagver_route *route, int32_t wait_ms, flagver_error *err)
{
    return route ? fv_route_close(route, wait_ms, err) : 0;
}

/* ---- operations ---- */

static void begin_result(flagver_route_result *result)
{
    result->value = NULL;
    result->length = 0;
    result->key = NULL;
    result->stage = 0;
    result->side = FLAGVER_SIDE_OLD;
    memset(result->sides, 0, sizeof result->sides);
    fv_error_clear(&result->errors[0]);
    fv_error_clear(&result->errors[1]);
    result->consistent = -1;
    result->pending = false;
}

static void free_gift(flagver_route_result *result)
{
    free(result->value);
    free(result->key);
}

void flagver_route_result_clear(flagver_route_result *result)
{
    if (!result)
        return;
    free_gift(result);
    begin_result(result);
}

static int check_asked(const flagver_route_call *call, struct fv_route_asked *asked,
                       flagver_error *err)
{
    int r;

    if (asked->key) {
        r = fv_check_text("key", asked->key, FLAGVER_ROUTE_KEY_LIMIT, err);
        if (r < 0)
            return r;
    }
    if (!asked->value && asked->length > 0)
        return fv_fail(err, FLAGVER_EINVAL, "value is NULL, and %zu bytes", asked->length);
    if (!call)
        return 0;
    r = fv_options_copy("call", call, &asked->call, sizeof asked->call, err);
    if (r < 0)
        return r;
    if (!asked->call.payload && asked->call.payload_length > 0)
        return fv_fail(err, FLAGVER_EINVAL, "call.payload is NULL, and %zu bytes",
                       asked->call.payload_length);
    if (!asked->call.operation_id)
        return 0;
    return fv_check_text("call.operation_id", asked->call.operation_id, FLAGVER_OPERATION_ID_LIMIT,
                         err);
}

typedef int run_route(flagver_route *route, const struct fv_route_asked *asked,
                      flagver_route_result *result, flagver_error *err);

/* Who does not want to know what came of it has it thrown away. */
static int run(flagver_route *route, struct fv_route_asked *asked, const flagver_route_call *call,
               run_route *operation, flagver_route_result *ret_result, flagver_error *err)
{
    flagver_route_result own, *result = ret_result ? ret_result : &own;
    int r;

    if (!route)
        return fv_fail(err, FLAGVER_EINVAL, "route is NULL");
    if (ret_result && ret_result->size < sizeof *ret_result)
        return fv_fail(err, FLAGVER_EINVAL, "ret_result->size is %zu; %zu in this version",
                       ret_result->size, sizeof *ret_result);
    begin_result(result);
    r = check_asked(call, asked, err);
    if (r < 0)
        return r;
    r = operation(route, asked, result, err);
    if (!ret_result)
        free_gift(&own);
    return r;
}

int flagver_route_read(flagver_route *route, const char *key, const flagver_route_call *call,
                       flagver_route_result *ret_result, flagver_error *err)
{
    struct fv_route_asked asked = { .operation = FLAGVER_ROUTE_READ, .key = key };

    if (!key || !ret_result)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", key ? "ret_result" : "key");
    return run(route, &asked, call, fv_route_read, ret_result, err);
}

int flagver_route_write(flagver_route *route, const char *key, const void *value, size_t length,
                        const flagver_route_call *call, flagver_route_result *ret_result,
                        flagver_error *err)
{
    struct fv_route_asked asked = {
        .operation = FLAGVER_ROUTE_WRITE, .key = key, .value = value, .length = length
    };

    return run(route, &asked, call, fv_route_write, ret_result, err);
}

int flagver_route_remove(flagver_route *route, const char *key, const flagver_route_call *call,
                         flagver_route_result *ret_result, flagver_error *err)
{
    struct fv_route_asked asked = { .operation = FLAGVER_ROUTE_REMOVE, .key = key };

    if (!key)
        return fv_fail(err, FLAGVER_EINVAL, "key is NULL");
    return run(route, &asked, call, fv_route_write, ret_result, err);
}

int flagver_route_write_in(flagver_route *route, flagver_txn *txn, const char *key,
                           const void *value, size_t length, const flagver_route_call *call,
                           flagver_route_result *ret_result, flagver_error *err)
{
    struct fv_route_asked asked = {
        .operation = FLAGVER_ROUTE_WRITE, .key = key, .value = value, .length = length, .txn = txn
    };

    if (!txn)
        return fv_fail(err, FLAGVER_EINVAL, "txn is NULL");
    return run(route, &asked, call, fv_route_write, ret_result, err);
}

int flagver_route_remove_in(flagver_route *route, flagver_txn *txn, const char *key,
                            const flagver_route_call *call, flagver_route_result *ret_result,
                            flagver_error *err)
{
    struct fv_route_asked asked = { .operation = FLAGVER_ROUTE_REMOVE, .key = key, .txn = txn };

    if (!txn || !key)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", txn ? "key" : "txn");
    return run(route, &asked, call, fv_route_write, ret_result, err);
}

/* ---- going on, and back ---- */

int flagver_route_stage(flagver_route *route, const flagver_actor *actor, int stage,
                        const flagver_route_change *change, flagver_error *err)
{
    flagver_route_change own;
    int r;

    if (!route)
        return fv_fail(err, FLAGVER_EINVAL, "route is NULL");
    r = fv_change_check(change, &own, err);
    return r < 0 ? r : fv_route_stage(route, actor, stage, &own, err);
}

int flagver_route_rollback(flagver_route *route, const flagver_actor *actor, const char *note,
                           flagver_error *err)
{
    if (!route)
        return fv_fail(err, FLAGVER_EINVAL, "route is NULL");
    return fv_route_rollback(route, actor, note, err);
}

int flagver_route_step(flagver_route *route, int32_t budget_ms,
                       flagver_route_progress *ret_progress, flagver_error *err)
{
    flagver_route_progress progress = { .size = sizeof progress };
    int r;

    if (!route)
        return fv_fail(err, FLAGVER_EINVAL, "route is NULL");
    if (ret_progress && ret_progress->size < sizeof progress)
        return fv_fail(err, FLAGVER_EINVAL, "ret_progress->size is %zu; %zu in this version",
                       ret_progress->size, sizeof progress);
    r = fv_route_step_once(route, budget_ms, &progress, err);
    if (r == 0 && ret_progress)
        *ret_progress = progress;
    return r;
}

int flagver_route_status(flagver_route *route, char **ret_json, flagver_error *err)
{
    if (!route || !ret_json)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", route ? "ret_json" : "route");
    return fv_route_status(route, ret_json, err);
}

int flagver_route_difference_json(const flagver_difference *difference, char **ret_json,
                                  flagver_error *err)
{
    if (!difference || !ret_json)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", difference ? "ret_json" : "difference");
    return fv_difference_json(difference, ret_json, err);
}

int flagver_route_verify(flagver_route *route, const flagver_compare_options *options,
                         bool (*visit)(void *data, const flagver_difference *difference),
                         void *data, uint64_t *ret_compared, uint64_t *ret_differences,
                         flagver_error *err)
{
    uint64_t compared, differences;
    flagver_compare_options own;
    int r;

    if (!route)
        return fv_fail(err, FLAGVER_EINVAL, "route is NULL");
    r = fv_options_copy("options", options, &own, sizeof own, err);
    if (r == 0)
        r = fv_route_verify(route, &own, visit, data, &compared, &differences, err);
    if (r < 0)
        return r;
    if (ret_compared)
        *ret_compared = compared;
    if (ret_differences)
        *ret_differences = differences;
    return 0;
}

/* ---- migrations without their sides ---- */

static int check_migration(flagver_client *client, const char *migration, flagver_error *err)
{
    if (!client)
        return fv_fail(err, FLAGVER_EINVAL, "client is NULL");
    return fv_check_text("migration", migration ? migration : "", FLAGVER_MIGRATION_LIMIT, err);
}

int flagver_migration_stage(flagver_client *client, const char *migration,
                            const flagver_actor *actor, int stage,
                            const flagver_route_change *change, flagver_error *err)
{
    flagver_route_change own;
    const struct fv_restage restage = { migration, stage, &own, false, 0 };
    uint32_t no;
    int r;

    r = check_migration(client, migration, err);
    if (r == 0)
        r = fv_change_check(change, &own, err);
    if (r == 0)
        r = fv_restage(client, &restage, actor, &no, err);
    return r < 0 || own.wait_ms < 0 ? r : fv_restage_wait(client, migration, no, own.wait_ms, err);
}

int flagver_migration_rollback(flagver_client *client, const char *migration,
                               const flagver_actor *actor, const flagver_route_change *change,
                               flagver_error *err)
{
    flagver_route_change own;
    int r;

    r = check_migration(client, migration, err);
    if (r == 0)
        r = fv_change_check(change, &own, err);
    return r < 0 ? r : fv_restage_back(client, migration, actor, &own, err);
}

int flagver_migration_status(flagver_client *client, const char *migration, char **ret_json,
                             flagver_error *err)
{
    int r;

    if (!ret_json)
        return fv_fail(err, FLAGVER_EINVAL, "ret_json is NULL");
    r = check_migration(client, migration, err);
    return r < 0 ? r : fv_restage_status(client, migration, ret_json, err);
}
