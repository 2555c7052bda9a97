#define _POSIX_C_SOURCE 200809L /* pthread_mutex_timedlock */

#include "engine/track.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/flags.h"
#include "engine/measured.h"
#include "engine/track_rows.h"
#include "engine/track_table.h"
#include "store/request.h"
#include "util/fail.h"
#include "util/uuid.h"

#define ACTOR "flagver.track" /* no leaf names it */
#define FLUSH_MS 60000
#define PATIENCE_MS 1000 /* of who has other things to do */

/* After twice that nobody remembers the key. */
#define DOUBT_MS (FV_REQUEST_KEPT_US / 2 / 1000)

struct fv_track {
    struct fv_track_table table;
    atomic_bool used;       /* the host counts or flushes itself */
    int32_t flush_ms;       /* < 0: only when the host says so */
    int64_t due_ms;         /* the refresher's: monotonic; 0: not known yet */
    bool failing;           /* the refresher's: the host was told */
    atomic_size_t given_up; /* sums, and the host was not told yet */

    uint64_t *seen; /* by counter, what is in the table already; under the client's `writing` */
    uint32_t seen_count;

    bool forks_still;         /* the fork that is under way has locked the next one */
    pthread_mutex_t flushing; /* over what follows */
    char key[FV_UUID_TEXT];   /* of what was taken out of the table; "": nothing is in doubt */
    int64_t doubt_ms;         /* since when, by the client's clock */
};

struct fv_track *fv_track_new(const flagver_allocator *memory, int32_t flush_ms)
{
    struct fv_track *track = fv_allocate_zeroed(memory, 1, sizeof *track);

    if (!track)
        return NULL;
    fv_track_table_init(&track->table, memory);
    atomic_init(&track->used, false);
    atomic_init(&track->given_up, 0);
    pthread_mutex_init(&track->flushing, NULL);
    track->flush_ms = flush_ms ? flush_ms : FLUSH_MS;
    return track;
}

void fv_track_free(struct fv_track *track)
{
    const flagver_allocator *memory;

    if (!track)
        return;
    memory = track->table.memory;
    fv_track_table_clear(&track->table);
    pthread_mutex_destroy(&track->flushing);
    fv_release(memory, track->seen);
    fv_release(memory, track);
}

int32_t fv_track_flush_ms(const struct fv_track *track)
{
    return track->flush_ms;
}

/* ---- counting ---- */

static int64_t clock_ms(const flagver_client *client)
{
    return client->catalog->clock(client->catalog->clock_data);
}

/* Where nothing is ever flushed, hours would only pile up. */
static uint32_t hour_of(const flagver_client *client)
{
    return client->stored ? fv_track_hour(clock_ms(client) * 1000) : 0;
}

static int count(flagver_client *client, const struct fv_track_name *name,
                 const struct fv_sum_step *step, flagver_error *err)
{
    return fv_track_table_add(&client->track->table, name, step, err);
}

/* Without counting an evaluation: nobody asked for the flag. */
static int count_for_flag(flagver_client *client, const flagver_snapshot *snapshot, uint32_t slot,
                          const flagver_context *context, const struct fv_track_name *event,
                          const struct fv_sum_step *step, flagver_error *err)
{
    const struct fv_flag *flag = snapshot->world.flags[slot];
    const struct fv_flag_name asked = { flag->key, flag->key_length, slot };
    flagver_detail detail = { .size = sizeof detail };
    struct fv_track_name name = *event;

    fv_flags_evaluate_on(snapshot, &asked, context, FLAGVER_TYPE_ANY, &detail);
    name.flag = flag->key;
    name.variant = detail.variant ? detail.variant : "";
    return count(client, &name, step, err);
}

/* What there is no room for does not keep the others from being counted. */
static int count_for_flags(flagver_client *client, flagver_snapshot *snapshot,
                           const flagver_context *context, const struct fv_track_name *event,
                           const struct fv_sum_step *step, flagver_error *err)
{
    const struct fv_measured *measured = fv_measured_of(snapshot);
    uint32_t number, i;
    int r = 0, one;

    if (!measured)
        return fv_fail_memory(err);
    number = fv_map_find(&measured->events, event->event, strlen(event->event));
    if (number == FV_MAP_NONE)
        return 0;
    for (i = measured->first[number]; i < measured->first[number + 1]; i++) {
        one = count_for_flag(client, snapshot, measured->slots[i], context, event, step, err);
        r = r < 0 ? r : one;
    }
    return r;
}

int fv_track_event(flagver_client *client, const flagver_context *context, const char *event,
                   double value, flagver_error *err)
{
    const struct fv_track_name name = { "", "", event, hour_of(client) };
    const struct fv_sum_step step = { .count = 1, .value = value };
    struct fv_reader *reader = fv_reader_enter(client);
    int r;

    if (!reader)
        return fv_fail_memory(err);
    atomic_store_explicit(&client->track->used, true, memory_order_relaxed);
    r = count(client, &name, &step, err);
    if (r < 0)
        return r;
    reader->busy++; /* the clock may evaluate flags, too */
    r = count_for_flags(client, reader->snapshot, context, &name, &step, err);
    reader->busy--;
    return r;
}

int fv_track_outcome(flagver_client *client, const char *flag, const char *variant, bool failed,
                     int64_t latency_ns, flagver_error *err)
{
    const struct fv_track_name name = { flag, variant ? variant : "", "", hour_of(client) };
    const struct fv_sum_step step = { .succeeded = !failed,
                                      .failed = failed,
                                      .timed = latency_ns >= 0,
                                      .ns = latency_ns >= 0 ? (uint64_t)latency_ns : 0 };

    atomic_store_explicit(&client->track->used, true, memory_order_relaxed);
    return count(client, &name, &step, err);
}

/* ---- evaluations, from the counters of all threads ---- */

/* With `writing` held, as all that follows. */
static bool cover_seen(flagver_client *client)
{
    struct fv_track *track = client->track;
    uint32_t wanted = client->catalog->counter_count;
    uint64_t *moved;

    if (wanted <= track->seen_count)
        return true;
    moved = fv_reallocate(fv_client_memory(client), track->seen, wanted * sizeof *moved);
    if (!moved)
        return false;
    memset(moved + track->seen_count, 0, (wanted - track->seen_count) * sizeof *moved);
    track->seen = moved;
    track->seen_count = wanted;
    return true;
}

static int gather_counter(flagver_client *client, const struct fv_track_name *name,
                          uint32_t counter, uint64_t sum, flagver_error *err)
{
    uint64_t *seen = &client->track->seen[counter];
    struct fv_sum_step step = { .served = sum - *seen };
    int r;

    if (sum <= *seen)
        return 0;
    r = count(client, name, &step, err);
    if (r == 0)
        *seen = sum;
    return r;
}

static int gather_sums(flagver_client *client, uint32_t hour, const uint64_t *sums,
                       flagver_error *err)
{
    const struct fv_catalog *catalog = client->catalog;
    struct fv_track_name name = { .event = "", .hour = hour };
    size_t i;
    uint32_t j;
    int r = 0;

    for (i = 0; r == 0 && i < catalog->range_count; i++) {
        const struct fv_counter_range *range = &catalog->ranges[i];

        name.flag = catalog->flag_names.names[range->slot].text;
        for (j = 0; r == 0 && j <= range->count; j++) {
            name.variant = j ? catalog->variant_names.names[range->variants[j - 1]].text : "";
            r = gather_counter(client, &name, range->first + j, sums[range->first + j], err);
        }
    }
    return r;
}

/* Adds to the table what was evaluated since this was done last. */
static int gather(flagver_client *client, flagver_error *err)
{
    const flagver_allocator *memory = fv_client_memory(client);
    uint32_t hour = hour_of(client);
    uint64_t *sums;
    int r;

    pthread_mutex_lock(&client->writing);
    sums = fv_allocate_zeroed(memory, client->catalog->counter_count, sizeof *sums);
    if (sums && cover_seen(client)) {
        fv_readers_sum(client, sums, client->catalog->counter_count);
        r = gather_sums(client, hour, sums, err);
    } else {
        r = fv_fail_memory(err);
    }
    pthread_mutex_unlock(&client->writing);
    fv_release(memory, sums);
    return r;
}

int fv_track_read_own(flagver_client *client,
                      bool (*visit)(void *data, const struct fv_track_entry *entry), void *data,
                      flagver_error *err)
{
    /* Evaluations that there is no room for now are there when something was flushed. */
    bool fine = gather(client, NULL) != FLAGVER_ENOMEM;

    fine = fine && fv_track_table_visit(&client->track->table, visit, data);
    return fine ? 0 : fv_fail_memory(err);
}

/* ---- flushing ---- */

struct batch {
    const struct fv_track_entry *entries;
    size_t count;
};

static int add_batch(const struct batch *batch, flagver_txn *txn, flagver_error *err)
{
    static const char what[] = "track flush";
    const struct fv_words words = { what, sizeof what - 1 };
    uint32_t unused;
    int r = fv_txn_replay(txn, &words, 1, &unused, err);

    if (r != 0)
        return r < 0 ? r : 0;
    r = fv_track_rows_add(txn, batch->entries, batch->count, err);
    if (r == 0)
        fv_txn_record(txn, 1);
    return r;
}

static int run_batch(void *batch, flagver_txn *txn, flagver_error *err)
{
    int r = fv_txn_enter(txn, err);

    return r < 0 ? r : fv_txn_leave(txn, add_batch(batch, txn, err), err);
}

static int write_batch(flagver_client *client, struct batch *batch, bool patient,
                       flagver_error *err)
{
    const flagver_actor actor = { .size = sizeof actor, .id = ACTOR };
    const flagver_txn_options options = { .size = sizeof options,
                                          .idempotency_key = client->track->key };
    const int64_t until_ms = patient ? 0 : fv_monotonic_ms() + PATIENCE_MS;
    struct fv_txn_source source;
    int r = fv_client_source(client, &source, err);

    if (r < 0)
        return r;
    r = fv_txn_run_until(&source, &actor, &options, until_ms, run_batch, batch, err);
    fv_store_release(source.store);
    return r;
}

static int make_key(flagver_client *client, flagver_error *err)
{
    struct fv_tenancy tenancy;
    flagver_id id;
    int r = fv_client_tenancy(client, &tenancy, err);

    if (r < 0)
        return r;
    r = fv_store_id(tenancy.store, clock_ms(client), &id, err);
    fv_store_release(tenancy.store);
    if (r == 0)
        fv_uuid_text(&id, client->track->key);
    return r;
}

/*
 * What was in doubt before stays so until its key says that it is there: a commit that got lost may
 * still be on its way.
 */
static void end_batch(flagver_client *client, bool in_doubt, size_t count, int r)
{
    struct fv_track *track = client->track;
    bool late = in_doubt && clock_ms(client) - track->doubt_ms > DOUBT_MS;

    if (r < 0 && (in_doubt || r == FLAGVER_EUNKNOWN) && !late) {
        if (!in_doubt)
            track->doubt_ms = clock_ms(client);
        return;
    }
    if (r == 0) {
        fv_track_table_settle(&track->table);
    } else if (late) { /* rather lost than counted twice */
        fv_track_table_drop(&track->table);
        atomic_fetch_add_explicit(&track->given_up, count, memory_order_relaxed);
    } else {
        fv_track_table_give_back(&track->table);
    }
    track->key[0] = 0;
}

/* 1: that was not all. */
static int flush_some(flagver_client *client, bool patient, flagver_error *err)
{
    struct fv_track *track = client->track;
    bool in_doubt = track->key[0] != 0;
    int gathered = gather(client, NULL), r = 0;
    struct batch batch;

    batch.entries = fv_track_table_take(&track->table, &batch.count);
    if (batch.count == 0)
        return gathered < 0 ? fv_fail_memory(err) : 0;
    if (!in_doubt)
        r = make_key(client, err);
    if (r == 0)
        r = write_batch(client, &batch, patient, err);
    end_batch(client, in_doubt, batch.count, r);
    if (r < 0)
        return r;
    if (gathered == FLAGVER_ENOMEM)
        return fv_fail_memory(err);
    return in_doubt || gathered < 0;
}

/* With `flushing` held. */
static int flush_all(flagver_client *client, bool patient, flagver_error *err)
{
    int r;

    do
        r = flush_some(client, patient, err);
    while (r > 0);
    return r;
}

static int flush(flagver_client *client, bool patient, flagver_error *err)
{
    int r;

    pthread_mutex_lock(&client->track->flushing);
    r = flush_all(client, patient, err);
    pthread_mutex_unlock(&client->track->flushing);
    return r;
}

int fv_track_flush(flagver_client *client, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r = fv_client_tenancy(client, &tenancy, err);

    if (r < 0)
        return r;
    fv_store_release(tenancy.store);
    atomic_store_explicit(&client->track->used, true, memory_order_relaxed);
    return flush(client, true, err);
}

/* ---- by itself ---- */

static void tell_of_loss(const flagver_client *client)
{
    size_t count = atomic_exchange_explicit(&client->track->given_up, 0, memory_order_relaxed);
    char message[128];

    if (!count || !client->log)
        return;
    snprintf(
        message, sizeof message,
        "%zu sums of what was tracked are given up: for days the store has not said whether it "
        "has them",
        count);
    client->log(client->log_data, FLAGVER_LOG_WARNING, message);
}

static void tell(const flagver_client *client, int r, const flagver_error *error)
{
    struct fv_track *track = client->track;
    char message[FLAGVER_MESSAGE_SIZE + 64];

    if (track->failing == (r < 0))
        return;
    track->failing = r < 0;
    if (!client->log)
        return;
    if (r < 0)
        snprintf(message, sizeof message, "what was tracked is kept in memory: %s", error->message);
    else
        snprintf(message, sizeof message, "what was tracked is in the store again");
    client->log(client->log_data, FLAGVER_LOG_WARNING, message);
}

/* Not while the host flushes, who may wait for the store for long. */
static void flush_and_tell(flagver_client *client)
{
    flagver_error error = { .code = 0 };
    int r;

    if (pthread_mutex_trylock(&client->track->flushing) != 0)
        return;
    r = flush_all(client, false, &error);
    pthread_mutex_unlock(&client->track->flushing);
    tell(client, r, &error);
    tell_of_loss(client);
}

bool fv_track_tick(flagver_client *client)
{
    struct fv_track *track = client->track;
    int64_t now = fv_monotonic_ms();

    if (track->flush_ms < 0)
        return false;
    if (track->due_ms == 0)
        track->due_ms = now + track->flush_ms;
    if (now < track->due_ms)
        return false;
    flush_and_tell(client);
    track->due_ms = fv_monotonic_ms() + track->flush_ms;
    return true;
}

/* A store that did not answer when it was asked last is not waited for. */
static bool is_there(struct fv_stored *stored)
{
    bool there;

    pthread_mutex_lock(&stored->status);
    there = !stored->forked && stored->store && stored->error.code == 0;
    pthread_mutex_unlock(&stored->status);
    return there;
}

void fv_track_close(flagver_client *client)
{
    const struct fv_track *track = client->track;
    struct fv_stored *stored = client->stored;
    bool wanted = stored && track->flush_ms >= 0 &&
                  (stored->background || atomic_load_explicit(&track->used, memory_order_relaxed));

    if (wanted && is_there(stored))
        flush(client, false, NULL);
}

/* ---- deleting ---- */

struct expiring {
    uint32_t hour;
    bool more;
};

static int expire_some(void *data, flagver_txn *txn, flagver_error *err)
{
    struct expiring *expiring = data;
    int r = fv_txn_enter(txn, err);

    if (r < 0)
        return r;
    r = fv_txn_leave(txn, fv_track_rows_expire(txn, expiring->hour, err), err);
    expiring->more = r > 0;
    return r < 0 ? r : 0;
}

int fv_track_forget(flagver_client *client, int64_t before, flagver_error *err)
{
    const flagver_actor actor = { .size = sizeof actor, .id = ACTOR };
    struct expiring expiring = { fv_track_hour(before), true };
    struct fv_txn_source source;
    int r = fv_client_source(client, &source, err);

    if (r < 0)
        return r;
    while (r == 0 && expiring.more)
        r = fv_txn_run(&source, &actor, NULL, expire_some, &expiring, err);
    fv_store_release(source.store);
    return r;
}

/* ---- fork ---- */

void fv_track_wait_for_flush(flagver_client *client, const struct timespec *deadline)
{
    struct fv_track *track = client->track;

    track->forks_still = pthread_mutex_timedlock(&track->flushing, deadline) == 0;
}

/* Room for what the child has to know is made here: there memory may not be had. */
void fv_track_before_fork(flagver_client *client)
{
    cover_seen(client);
    fv_track_table_before_fork(&client->track->table);
}

void fv_track_after_fork(flagver_client *client)
{
    fv_track_table_after_fork(&client->track->table);
    if (client->track->forks_still)
        pthread_mutex_unlock(&client->track->flushing);
}

void fv_track_forked(flagver_client *client)
{
    struct fv_track *track = client->track;

    pthread_mutex_init(&track->flushing, NULL);
    track->key[0] = 0;
    track->due_ms = 0;
    atomic_store(&track->used, false);
    fv_track_table_forked(&track->table);
    if (track->seen_count)
        memset(track->seen, 0, track->seen_count * sizeof *track->seen);
    fv_readers_sum(client, track->seen, track->seen_count);
}
