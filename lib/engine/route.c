#define _POSIX_C_SOURCE 200809L /* clock_gettime() */
#include "engine/route.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "codec/event.h"
#include "crypto/crypto.h"
#include "engine/pool.h"
#include "engine/side.h"
#include "engine/worker.h"
#include "store/store.h"
#include "util/fail.h"
#include "util/memory.h"
#include "util/options.h"

#define SHADOW_TIMEOUT_MS 1000
#define CHUNK_MS 100

/* ---- opening ---- */

static int check_side(const char *name, const flagver_side *side, flagver_side *ret_side,
                      flagver_error *err)
{
    int r;

    r = fv_options_copy(name, side, ret_side, sizeof *ret_side, err);
    if (r < 0)
        return r;
    if (!ret_side->read || !ret_side->write)
        return fv_fail(err, FLAGVER_EINVAL, "%s.%s is NULL", name,
                       ret_side->read ? "write" : "read");
    return 0;
}

static int check_numbers(const flagver_route_options *options, flagver_error *err)
{
    if (options->order < FLAGVER_ORDER_CONCURRENT || options->order > FLAGVER_ORDER_RANDOM)
        return fv_fail(err, FLAGVER_EINVAL, "options.order is %d; FLAGVER_ORDER_... allowed",
                       options->order);
    if (options->workers < 0 || options->workers > FV_POOL_THREADS)
        return fv_fail(err, FLAGVER_EINVAL, "options.workers is %d; 0 to %d allowed",
                       options->workers, FV_POOL_THREADS);
    if (options->default_stage != 0 && !fv_stage_name(options->default_stage))
        return fv_fail(err, FLAGVER_EINVAL, "options.default_stage is %d, which is no stage",
                       options->default_stage);
    if (options->default_stage == FLAGVER_STAGE_RAMP)
        return fv_fail(err, FLAGVER_EINVAL,
                       "options.default_stage is ramp, whose share of keys no flag says");
    if (options->shadow_timeout_ms < -1)
        return fv_fail(err, FLAGVER_EINVAL, "options.shadow_timeout_ms is %d; -1 or more allowed",
                       options->shadow_timeout_ms);
    if (options->chunk_ms < 0)
        return fv_fail(err, FLAGVER_EINVAL, "options.chunk_ms is %d; 0 or more allowed",
                       options->chunk_ms);
    if (options->copy_share < 0 || options->copy_share > 100)
        return fv_fail(err, FLAGVER_EINVAL, "options.copy_share is %d; 0 to 100 allowed",
                       options->copy_share);
    if (options->verify < FLAGVER_VERIFY_BY_CALL || options->verify > FLAGVER_VERIFY_REPAIR)
        return fv_fail(err, FLAGVER_EINVAL, "options.verify is %d; FLAGVER_VERIFY_... allowed",
                       options->verify);
    if (options->verify != FLAGVER_VERIFY_BY_CALL && options->flag)
        return fv_fail(err, FLAGVER_EINVAL, "options.verify: a route by a flag takes no steps");
    return 0;
}

static int check_options(const char *migration, const flagver_route_options *options,
                         flagver_route *route, flagver_error *err)
{
    flagver_route_options *own = &route->options;
    int r;

    r = fv_options_copy("options", options, own, sizeof *own, err);
    if (r == 0)
        r = check_side("options.old_side", &own->old_side, &route->sides[FV_OLD], err);
    if (r == 0)
        r = check_side("options.new_side", &own->new_side, &route->sides[FV_NEW], err);
    if (r == 0)
        r = check_numbers(own, err);
    if (r < 0)
        return r;

    if (!own->flag == !migration)
        return fv_fail(err, FLAGVER_EINVAL, "either a migration or options.flag says the stage");
    if (own->flag && (route->sides[FV_OLD].client || route->sides[FV_NEW].client))
        return fv_fail(err, FLAGVER_EINVAL,
                       "the sides of a route by a flag are detached: no client");
    return own->flag ? fv_check_text("options.flag", own->flag, 256, err)
                     : fv_check_text("migration", migration, FLAGVER_MIGRATION_LIMIT, err);
}

static void set_defaults(flagver_route_options *options)
{
    if (options->default_stage == 0)
        options->default_stage = FLAGVER_STAGE_OFF;
    if (options->shadow_timeout_ms == 0)
        options->shadow_timeout_ms = SHADOW_TIMEOUT_MS;
    if (options->check_ratio == 0)
        options->check_ratio = 1;
    if (options->sampling_ratio == 0)
        options->sampling_ratio = 1;
    if (options->chunk_ms == 0)
        options->chunk_ms = CHUNK_MS;
    if (options->copy_share == 0)
        options->copy_share = 100;
}

/* Of a parent's migration: what its lease, its locks and its notes are for goes on there. */
static bool is_inherited(const flagver_route *route)
{
    return !route->by_flag && route->forks != fv_forks();
}

static void release(flagver_route *route)
{
    fv_pool_free(route->pool, 0);
    if (is_inherited(route)) {
        fv_ledger_forget(&route->ledger);
    } else {
        if (route->ledger.steering)
            fv_ledger_close(&route->ledger);
        if (route->steering.name)
            fv_steering_close(&route->steering);
        fv_meter_clear(&route->meter);
        pthread_mutex_destroy(&route->working);
    }
    fv_release(route->memory, route->name);
    fv_release(route->memory, route);
}

bool fv_route_new_id(char ret_id[FV_ROUTE_ID_SIZE])
{
    uint64_t id;

    if (!fv_random(&id, sizeof id))
        return false;
    snprintf(ret_id, FV_ROUTE_ID_SIZE, "%016" PRIx64 "-", id);
    return true;
}

static int keep_name(flagver_route *route, const char *name, flagver_error *err)
{
    size_t size = strlen(name) + 1;

    route->name = fv_allocate(route->memory, size);
    if (!route->name)
        return fv_fail_memory(err);
    memcpy(route->name, name, size);
    return 0;
}

static int open_migration(flagver_route *route, flagver_error *err)
{
    flagver_client *const homes[2] = { route->sides[FV_OLD].client, route->sides[FV_NEW].client };
    int r;

    r = fv_steering_open(&route->steering, route->name, route->client, homes, err);
    return r < 0 ? r : fv_ledger_open(&route->ledger, &route->steering, route->memory, err);
}

static int bind_flag(flagver_route *route, flagver_error *err)
{
    const flagver_bound *bound;
    int r;

    r = fv_client_bind(route->client, route->name, &bound, err);
    if (r == 0)
        route->flag = (struct fv_flag_name){ route->name, strlen(route->name), bound->slot };
    return r;
}

static int fill(flagver_route *route, const char *migration, const flagver_route_options *options,
                flagver_error *err)
{
    int r;

    r = check_options(migration, options, route, err);
    if (r < 0)
        return r;
    set_defaults(&route->options);
    if (!fv_route_new_id(route->id))
        return fv_fail(err, FLAGVER_EUNAVAILABLE, "the system has no random bytes");
    route->by_flag = !migration;
    r = keep_name(route, migration ? migration : route->options.flag, err);
    if (r == 0)
        r = migration ? open_migration(route, err) : bind_flag(route, err);
    if (r == 0 && route->options.workers > 0)
        r = fv_pool_new(route->memory, (uint32_t)route->options.workers, &route->pool, err);
    if (r == 0 && migration && route->options.background)
        r = fv_worker_start(route, &route->worker, err);
    return r;
}

int fv_route_open(flagver_client *client, const char *migration,
                  const flagver_route_options *options, flagver_route **ret_route,
                  flagver_error *err)
{
    const flagver_allocator *memory = fv_client_memory(client);
    flagver_route *route = fv_allocate_zeroed(memory, 1, sizeof *route);
    int r;

    if (!route)
        return fv_fail_memory(err);
    pthread_mutex_init(&route->working, NULL);
    fv_meter_init(&route->meter);
    route->client = client;
    route->forks = fv_forks();
    route->memory = memory;
    r = fill(route, migration, options, err);
    if (r < 0) {
        release(route);
        return r;
    }
    *ret_route = route;
    return 0;
}

/* The thread that takes steps first; what has ended does not come back. */
static bool stop_threads(flagver_route *route, int32_t wait_ms)
{
    int64_t deadline = fv_monotonic_ms() + wait_ms, left;

    if (!fv_worker_stop(route->worker, wait_ms))
        return false;
    route->worker = NULL;
    left = deadline - fv_monotonic_ms();
    if (!fv_pool_free(route->pool, left > 0 ? (int32_t)left : 0))
        return false;
    route->pool = NULL;
    return true;
}

int fv_route_close(flagver_route *route, int32_t wait_ms, flagver_error *err)
{
    atomic_store(&route->closed, true);
    if (!stop_threads(route, wait_ms))
        return fv_fail(err, FLAGVER_EBUSY, "%s: a side's function has not returned after %d ms",
                       route->name, wait_ms);
    release(route);
    return 0;
}

int fv_route_usable(const flagver_route *route, flagver_error *err)
{
    if (atomic_load_explicit(&route->closed, memory_order_relaxed))
        return fv_fail(err, FLAGVER_ESTATE, "%s: the route is closed", route->name);
    if (is_inherited(route))
        return fv_fail(err, FLAGVER_EFORKED,
                       "%s: the route was opened before the process forked: open another one",
                       route->name);
    return 0;
}

/* ---- deciding ---- */

/* "Ratio" members of a flag's metadata, which is canonical JSON; what is no number says nothing. */
static uint32_t ratio_of(const char *metadata, const char *member, int32_t otherwise)
{
    int64_t ratio = otherwise;

    if (metadata)
        fv_event_ratio(metadata, member, &ratio);
    if (ratio < 0)
        ratio = 0;
    return ratio > UINT32_MAX ? UINT32_MAX : (uint32_t)ratio;
}

/* Reads in `ramp` move by a share, which a flag does not tell: it is none of its stages. */
static int stage_of(const flagver_detail *detail)
{
    int stage = 0;

    if (detail->error == FLAGVER_ERROR_NONE)
        stage = fv_stage_parse(detail->value.string, detail->value.length);
    return stage == FLAGVER_STAGE_RAMP ? 0 : stage;
}

static void decide_by_flag(flagver_route *route, const struct fv_route_asked *asked,
                           struct fv_decision *ret_decision)
{
    const flagver_route_options *options = &route->options;
    flagver_detail detail = { .size = sizeof detail };
    int stage;

    fv_flags_evaluate(route->client, &route->flag, asked->call.context, FLAGVER_TYPE_STRING,
                      &detail);
    stage = stage_of(&detail);
    *ret_decision = (struct fv_decision){
        .stage = stage ? stage : options->default_stage,
        .version = detail.version,
        .reason = detail.reason,
        .error = detail.error,
        .check_ratio = ratio_of(detail.metadata, "checkRatio", options->check_ratio),
        .sampling_ratio = ratio_of(detail.metadata, "samplingRatio", options->sampling_ratio)
    };
    if (stage == 0) {
        ret_decision->reason = FLAGVER_REASON_ERROR;
        if (detail.error == FLAGVER_ERROR_NONE)
            ret_decision->error = FLAGVER_ERROR_TYPE_MISMATCH;
    }
}

int fv_route_view(flagver_route *route, struct fv_view *ret_view, flagver_error *err)
{
    int r;

    r = fv_steering_view(&route->steering, route->client->stored->poll_ms, ret_view, err);
    if (r > 0)
        fv_ledger_follow(&route->ledger, ret_view, NULL);
    return r >= 0 || fv_error_class(r) == FLAGVER_CLASS_RETRY ? 0 : r;
}

/* Reads go on by what was seen last when the store is away; those that are strict do not. */
static int look_for_read(flagver_route *route, bool strict, struct fv_view *ret_view,
                         flagver_error *err)
{
    return strict ? fv_steering_look(&route->steering, ret_view, err)
                  : fv_route_view(route, ret_view, err);
}

void fv_route_decide_by(const flagver_route *route, const struct fv_view *view, const char *key,
                        struct fv_decision *ret_decision)
{
    const flagver_route_options *options = &route->options;
    const struct fv_fence *fence = &view->fences[fv_route_believed(view->fences)];

    *ret_decision = (struct fv_decision){
        .stage = fence->stage,
        .version = (int64_t)fence->version,
        .reason = FLAGVER_REASON_STATIC,
        .moved = fence->stage == FLAGVER_STAGE_RAMP && key &&
                 fv_stage_moved(fv_murmur3(key, strlen(key), view->record.salt), fence->bound),
        .check_ratio = view->record.has_check_ratio ? view->record.check_ratio
                                                    : ratio_of(NULL, NULL, options->check_ratio),
        .sampling_ratio = view->record.has_sampling_ratio
                              ? view->record.sampling_ratio
                              : ratio_of(NULL, NULL, options->sampling_ratio)
    };
}

static int decide_by_migration(flagver_route *route, const struct fv_route_asked *asked,
                               struct fv_decision *ret_decision, flagver_error *err)
{
    struct fv_view view;
    int r;

    r = look_for_read(route, asked->call.strict != 0, &view, err);
    if (r == 0)
        fv_route_decide_by(route, &view, asked->key, ret_decision);
    return r;
}

int fv_route_decide(flagver_route *route, const struct fv_route_asked *asked,
                    struct fv_decision *ret_decision, flagver_error *err)
{
    int r = fv_route_usable(route, err);

    if (r < 0)
        return r;
    if (!route->by_flag)
        return decide_by_migration(route, asked, ret_decision, err);
    decide_by_flag(route, asked, ret_decision);
    return 0;
}

/* ---- chance ---- */

uint64_t fv_route_random(flagver_route *route)
{
    const flagver_route_options *options = &route->options;
    uint64_t number;

    if (options->random)
        return options->random(options->random_data);
    number = atomic_fetch_add_explicit(&route->randoms, 1, memory_order_relaxed);
    return fv_hash(&number, sizeof number);
}

bool fv_route_sample(flagver_route *route, uint32_t ratio)
{
    return ratio == 1 || (ratio > 1 && fv_route_random(route) % ratio == 0);
}

/* ---- telling ---- */

int64_t fv_route_now(const flagver_route *route)
{
    struct timespec now;

    if (!route->options.event)
        return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void send_event(const flagver_route *route, const struct fv_route_asked *asked,
                       const struct fv_decision *decision, int64_t time,
                       const flagver_route_result *result)
{
    const flagver_route_event event = { .route = route->name,
                                        .operation = asked->operation,
                                        .key = asked->key ? asked->key : result->key,
                                        .context = asked->call.context,
                                        .time = time,
                                        .stage = decision->stage,
                                        .default_stage = route->options.default_stage,
                                        .version = decision->version,
                                        .reason = decision->reason,
                                        .error = decision->error,
                                        .sides = { result->sides[0], result->sides[1] },
                                        .consistent = result->consistent,
                                        .check_ratio = decision->check_ratio,
                                        .sampling_ratio = decision->sampling_ratio };

    route->options.event(route->options.event_data, &event);
}

void fv_route_tell(flagver_route *route, const struct fv_route_asked *asked,
                   const struct fv_decision *decision, int64_t time,
                   const flagver_route_result *result)
{
    if (!route->by_flag)
        fv_meter_count(&route->meter, asked->operation, (uint64_t)decision->version, result);
    if (route->options.event && fv_route_sample(route, decision->sampling_ratio))
        send_event(route, asked, decision, time, result);
}
