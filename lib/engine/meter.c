#include "engine/meter.h"

static void add(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* That there is no such record is an answer. */
static bool has_failed(const flagver_route_side_result *side)
{
    return side->code < 0 && side->code != FLAGVER_ENOTFOUND;
}

static void count_read(struct fv_meter *meter, int i, const flagver_route_side_result *side)
{
    add(&meter->latencies[i][fv_latency_step((uint64_t)side->latency_ns)]);
    if (has_failed(side))
        add(&meter->errors[i]);
}

static void count_write(struct fv_meter *meter, int i, const flagver_route_side_result *side)
{
    add(&meter->writes[i]);
    if (has_failed(side))
        add(&meter->write_errors[i]);
}

void fv_meter_init(struct fv_meter *meter)
{
    pthread_mutex_init(&meter->lock, NULL);
}

void fv_meter_clear(struct fv_meter *meter)
{
    pthread_mutex_destroy(&meter->lock);
}

/* What was shown before under another version is no evidence any more; nor is what comes late. */
static void show(struct fv_meter *meter, const struct fv_shown *more)
{
    struct fv_shown *shown = &meter->shown;

    pthread_mutex_lock(&meter->lock);
    if (shown->version < more->version)
        *shown = (struct fv_shown){ .version = more->version };
    if (shown->version == more->version) {
        shown->compared += more->compared;
        shown->matched += more->matched;
    }
    pthread_mutex_unlock(&meter->lock);
}

struct fv_shown fv_meter_take(struct fv_meter *meter)
{
    struct fv_shown taken;

    pthread_mutex_lock(&meter->lock);
    taken = meter->shown;
    meter->shown.compared = 0;
    meter->shown.matched = 0;
    pthread_mutex_unlock(&meter->lock);
    return taken;
}

void fv_meter_give_back(struct fv_meter *meter, const struct fv_shown *shown)
{
    show(meter, shown);
}

void fv_meter_count(struct fv_meter *meter, int operation, uint64_t version,
                    const flagver_route_result *result)
{
    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++) {
        if (!result->sides[side].invoked)
            continue;
        if (operation == FLAGVER_ROUTE_READ)
            count_read(meter, side, &result->sides[side]);
        else
            count_write(meter, side, &result->sides[side]);
    }
    if (result->consistent < 0)
        return;
    show(meter, &(struct fv_shown){ version, 1, result->consistent > 0 });
    add(&meter->compared);
    if (result->consistent > 0)
        add(&meter->matched);
}

void fv_meter_read(struct fv_meter *meter, struct fv_reading_off *ret_now)
{
    ret_now->matched = atomic_load_explicit(&meter->matched, memory_order_relaxed);
    ret_now->compared = atomic_load_explicit(&meter->compared, memory_order_relaxed);
    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++) {
        ret_now->errors[side] = atomic_load_explicit(&meter->errors[side], memory_order_relaxed);
        for (unsigned i = 0; i < FV_LATENCY_STEPS; i++)
            ret_now->latencies[side][i] = atomic_load_explicit(&meter->latencies[side][i],
                                                               memory_order_relaxed);
    }
}

void fv_meter_window(const struct fv_reading_off *before, const struct fv_reading_off *now,
                     struct fv_guard_window *ret_window)
{
    *ret_window = (struct fv_guard_window){ .compared = now->compared - before->compared,
                                            .matched = now->matched - before->matched };
    if (ret_window->matched > ret_window->compared)
        ret_window->matched = ret_window->compared; /* read off while somebody was counting */
    for (int side = FLAGVER_SIDE_OLD; side <= FLAGVER_SIDE_NEW; side++) {
        uint64_t counts[FV_LATENCY_STEPS];

        for (unsigned i = 0; i < FV_LATENCY_STEPS; i++) {
            counts[i] = now->latencies[side][i] - before->latencies[side][i];
            ret_window->reads[side] += counts[i];
        }
        ret_window->errors[side] = now->errors[side] - before->errors[side];
        ret_window->p99_ns[side] = fv_latency_quantile(counts, 0.99);
    }
}
