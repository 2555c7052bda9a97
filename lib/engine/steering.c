#define _POSIX_C_SOURCE 200809L /* nanosleep(), clock_gettime() */

#include "engine/steering.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "engine/history.h"
#include "flagver/version.h"
#include "util/fail.h"

#define ACTOR "flagver.route"
#define SEPARATOR '\x1f'

/* ---- rows ---- */

void fv_row_key(const char *name, const char *rest, size_t length, struct fv_row_key *ret_key)
{
    size_t name_length = strlen(name);

    memcpy(ret_key->text, name, name_length);
    ret_key->length = name_length;
    if (!rest)
        return;
    ret_key->text[name_length] = SEPARATOR;
    memcpy(ret_key->text + name_length + 1, rest, length);
    ret_key->length += 1 + length;
}

flagver_bytes fv_row_key_bytes(const struct fv_row_key *key)
{
    return fv_bytes_of(key->text, key->length);
}

static void fence_key(const struct fv_steering *steering, enum fv_side side,
                      struct fv_row_key *ret_key)
{
    fv_row_key(steering->name, side == FV_OLD ? "old" : "new", 3, ret_key);
}

int64_t fv_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- reading ---- */

/* One keyed row, whose value is borrowed until the read's next step; its rev 0: there is none. */
static int read_row(struct fv_read *read, const char *space, const struct fv_row_key *key,
                    flagver_keyed_row *ret_row, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED,
                                  .space = fv_bytes(space),
                                  .subject = fv_row_key_bytes(key),
                                  .limit = 1 };
    flagver_row row;
    int r;

    *ret_row = (flagver_keyed_row){ 0 };
    r = fv_read_scan(read, &query, err);
    if (r == 0)
        r = fv_read_next(read, &row, err);
    if (r > 0)
        *ret_row = row.as.keyed;
    return r < 0 ? r : 0;
}

static int decode_fence(const flagver_keyed_row *row, struct fv_fence *ret_fence,
                        flagver_error *err)
{
    *ret_fence = (struct fv_fence){ 0 };
    return row->rev ? fv_fence_decode(row->value.data, row->value.length, ret_fence, err) : 0;
}

static int read_fence(struct fv_steering *steering, enum fv_side side, struct fv_fence *ret_fence,
                      flagver_error *err)
{
    struct fv_tenancy tenancy;
    struct fv_row_key key;
    flagver_keyed_row row;
    struct fv_read read;
    int r;

    r = fv_client_tenancy(steering->homes[side], &tenancy, err);
    if (r < 0)
        return r;
    fence_key(steering, side, &key);
    r = fv_read_begin(&read, tenancy.store, tenancy.tenant, err);
    if (r == 0)
        r = read_row(&read, FV_SPACE_FENCE, &key, &row, err);
    if (r == 0)
        r = decode_fence(&row, ret_fence, err);
    fv_read_end(&read);
    fv_store_release(tenancy.store);
    return r;
}

/* Both of one moment: what stood there before and after has been there meanwhile. */
static int read_fences(struct fv_steering *steering, struct fv_fence fences[2], flagver_error *err)
{
    struct fv_fence before;
    int r;

    r = read_fence(steering, FV_OLD, &fences[FV_OLD], err);
    do {
        before = fences[FV_OLD];
        if (r == 0)
            r = read_fence(steering, FV_NEW, &fences[FV_NEW], err);
        if (r == 0)
            r = read_fence(steering, FV_OLD, &fences[FV_OLD], err);
    } while (r == 0 && !fv_fence_equal(&before, &fences[FV_OLD]));
    return r;
}

int fv_record_of(flagver_client *client, const char *name, struct fv_migration *ret_record,
                 uint64_t *ret_version, flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_CURRENT,
                            .phase = fv_bytes(FLAGVER_PHASE_MIGRATION),
                            .subject = fv_bytes(name),
                            .payload = 1,
                            .limit = 1 };
    flagver_version *version;
    int r;

    r = fv_client_version(client, &query, true, "migration", &version, err);
    if (r < 0)
        return r;

    *ret_version = version->no;
    r = fv_migration_read(name, version->payload, version->payload_length, ret_record, err);
    fv_version_free(version);
    return r;
}

/* A few milliseconds late, and cheap: every operation asks for it. */
static int64_t coarse_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t begin_look(struct fv_steering *steering)
{
    uint64_t look;

    pthread_mutex_lock(&steering->lock);
    look = ++steering->looks;
    pthread_mutex_unlock(&steering->lock);
    return look;
}

/* The record last: then it is no older than what the fences carry out. */
int fv_steering_look(struct fv_steering *steering, struct fv_view *ret_view, flagver_error *err)
{
    struct fv_view view;
    int64_t looked_ms = coarse_ms();
    uint64_t look = begin_look(steering);
    int r;

    r = read_fences(steering, view.fences, err);
    if (r == 0)
        r = fv_record_of(steering->control, steering->name, &view.record, &view.version, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&steering->lock);
    if (look > steering->look) {
        steering->look = look;
        fv_published_replace(&steering->view, &view, sizeof view);
        atomic_store_explicit(&steering->looked_ms, looked_ms, memory_order_release);
    }
    pthread_mutex_unlock(&steering->lock);
    *ret_view = view;
    return 0;
}

_Static_assert(sizeof(struct fv_view) <= FV_PUBLISHED_SIZE && sizeof(struct fv_view) % 8 == 0,
               "a view can be published");

static void copy_view(struct fv_steering *steering, struct fv_view *ret_view)
{
    if (fv_published_copy(&steering->view, ret_view, sizeof *ret_view))
        return;
    pthread_mutex_lock(&steering->lock);
    fv_published_copy(&steering->view, ret_view, sizeof *ret_view);
    pthread_mutex_unlock(&steering->lock);
}

/* One looks; the others go by the last look meanwhile, also when this one fails. */
int fv_steering_view(struct fv_steering *steering, int64_t age_ms, struct fv_view *ret_view,
                     flagver_error *err)
{
    int64_t now_ms = coarse_ms();
    int64_t looked_ms = atomic_load_explicit(&steering->looked_ms, memory_order_acquire);
    bool fresh = now_ms - looked_ms < age_ms ||
                 !atomic_compare_exchange_strong(&steering->looked_ms, &looked_ms, now_ms);
    int r;

    copy_view(steering, ret_view);
    if (fresh)
        return 0;
    r = fv_steering_look(steering, ret_view, err);
    return r < 0 ? r : 1;
}

/* ---- transactions ---- */

/* What runs in a transaction of ours is one operation of it. */
struct operation {
    int (*run)(void *data, flagver_txn *txn, flagver_error *err);
    void *data;
    int tried; /* the try in which it was run last: its data are of that one */
};

/*
 * Where an earlier try took place, whose outcome was not known, its data are what came of it: run once more
 * behind itself it would find other versions, and make other keys, which nobody has. A try that came between, while
 * the commit was still under way, has left nothing of them.
 */
static int run_operation(void *data, flagver_txn *txn, flagver_error *err)
{
    struct operation *operation = data;
    int r = fv_txn_enter(txn, err);

    if (r < 0)
        return r;
    if (!fv_txn_took_place(txn)) {
        operation->tried = fv_txn_try(txn);
        r = operation->run(operation->data, txn, err);
    } else if (operation->tried != fv_txn_try_in_doubt(txn)) {
        r = fv_fail(err, FLAGVER_EUNKNOWN,
                    "the transaction took place, and what came of it is not known any more");
    }
    return fv_txn_leave(txn, r, err);
}

int fv_steering_run_on(flagver_client *client,
                       int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
                       flagver_error *err)
{
    const flagver_actor actor = { .size = sizeof actor, .id = ACTOR };
    struct operation operation = { run, data, 0 };
    struct fv_txn_source source;
    int r;

    r = fv_client_source(client, &source, err);
    if (r < 0)
        return r;
    r = fv_txn_run(&source, &actor, NULL, run_operation, &operation, err);
    fv_store_release(source.store);
    return r;
}

int fv_steering_run(struct fv_steering *steering, enum fv_side side,
                    int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
                    flagver_error *err)
{
    return fv_steering_run_on(steering->homes[side], run, data, err);
}

int fv_steering_hold(const struct fv_steering *steering, flagver_txn *txn, enum fv_side side,
                     bool shared, flagver_keyed_row *ret_row, struct fv_fence *ret_fence,
                     flagver_error *err)
{
    struct fv_row_key key;
    int r;

    fence_key(steering, side, &key);
    r = fv_txn_hold(txn, FV_SPACE_FENCE, fv_row_key_bytes(&key), steering->numbers[side], shared,
                    ret_row, err);
    return r < 0 ? r : decode_fence(ret_row, ret_fence, err);
}

int fv_steering_fence_in(const struct fv_steering *steering, flagver_txn *txn, enum fv_side side,
                         struct fv_fence *ret_fence, flagver_error *err)
{
    struct fv_row_key key;
    flagver_keyed_row row;
    int r;

    fence_key(steering, side, &key);
    r = fv_txn_keyed_get(txn, FV_SPACE_FENCE, fv_row_key_bytes(&key), &row, err);
    return r < 0 ? r : decode_fence(&row, ret_fence, err);
}

/* ---- steps ---- */

/* Is there a row of the migration for which `blocks`? 1 or 0. */
static int find_row(struct fv_steering *steering, enum fv_side side, const char *space,
                    bool (*blocks)(const flagver_keyed_row *row, const void *data),
                    const void *data, flagver_error *err)
{
    struct fv_row_key key;
    flagver_query query = { .kind = FLAGVER_QUERY_KEYED, .space = fv_bytes(space), .prefix = 1 };
    struct fv_tenancy tenancy;
    struct fv_read read;
    flagver_row row;
    int found = 0, r;

    fv_row_key(steering->name, "", 0, &key);
    query.subject = fv_row_key_bytes(&key);
    r = fv_client_tenancy(steering->homes[side], &tenancy, err);
    if (r < 0)
        return r;
    r = fv_read_begin(&read, tenancy.store, tenancy.tenant, err);
    if (r == 0)
        r = fv_read_scan(&read, &query, err);
    while (r == 0 && !found && (r = fv_read_next(&read, &row, err)) > 0) {
        found = blocks(&row.as.keyed, data);
        r = 0;
    }
    fv_read_end(&read);
    fv_store_release(tenancy.store);
    return r < 0 ? r : found;
}

static bool any_row(const flagver_keyed_row *row, const void *data)
{
    (void)row;
    (void)data;
    return true;
}

int fv_steering_backlog(struct fv_steering *steering, enum fv_side side, flagver_error *err)
{
    int r;

    /* In this order: an intent becomes an entry, and never the other way round. */
    r = find_row(steering, side, FV_SPACE_INTENT, any_row, NULL, err);
    return r != 0 ? r : find_row(steering, side, FV_SPACE_DIRTY, any_row, NULL, err);
}

int fv_steering_waits(struct fv_steering *steering, enum fv_side authority, const char *key,
                      flagver_error *err)
{
    struct fv_tenancy tenancy;
    struct fv_row_key row_key;
    flagver_keyed_row row;
    struct fv_read read;
    int r;

    r = fv_client_tenancy(steering->homes[authority], &tenancy, err);
    if (r < 0)
        return r;
    fv_row_key(steering->name, key, strlen(key), &row_key);
    r = fv_read_begin(&read, tenancy.store, tenancy.tenant, err);
    if (r == 0)
        r = read_row(&read, FV_SPACE_DIRTY, &row_key, &row, err);
    fv_read_end(&read);
    fv_store_release(tenancy.store);
    return r < 0 ? r : row.rev != 0;
}

/* A lease that cannot be read is waited for. */
static bool waits(const flagver_keyed_row *row, const void *data)
{
    const struct fv_fence *fence = data;
    struct fv_lease lease;

    return fv_lease_decode(row->value.data, row->value.length, &lease, NULL) < 0 ||
           fv_lease_waits(&lease, fence, fv_now_us());
}

int fv_steering_wait_for_routers(struct fv_steering *steering, enum fv_side authority,
                                 const struct fv_fence *fence, flagver_error *err)
{
    int r;

    r = find_row(steering, authority, FV_SPACE_LEASE, waits, fence, err);
    if (r > 0)
        return fv_fail(err, FLAGVER_EBUSY, "%s: a router has not seen the change yet",
                       steering->name);
    return r;
}

/* ---- leases of routers that were killed ---- */

#define FORGOTTEN_AT_ONCE 32

struct forgotten {
    struct fv_row_key keys[FORGOTTEN_AT_ONCE];
    size_t count;
};

static bool is_past(const flagver_keyed_row *row)
{
    struct fv_lease lease;

    return fv_lease_decode(row->value.data, row->value.length, &lease, NULL) == 0 &&
           fv_lease_is_past(&lease, fv_now_us());
}

/* True: that is enough. */
static bool collect_past(const flagver_keyed_row *row, const void *data)
{
    struct forgotten *forgotten = *(struct forgotten *const *)data;
    struct fv_row_key *key = &forgotten->keys[forgotten->count];

    if (!is_past(row) || row->key.length > sizeof key->text)
        return false;
    memcpy(key->text, row->key.data, row->key.length);
    key->length = row->key.length;
    return ++forgotten->count == FORGOTTEN_AT_ONCE;
}

/* Unless it was renewed meanwhile. */
static int delete_past(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct forgotten *forgotten = data;
    flagver_keyed_row row;
    int r = 0;

    for (size_t i = 0; r == 0 && i < forgotten->count; i++) {
        r = fv_txn_keyed_get(txn, FV_SPACE_LEASE, fv_row_key_bytes(&forgotten->keys[i]), &row, err);
        if (r == 0 && row.rev && is_past(&row))
            r = fv_txn_keyed_delete(txn, &row, err);
    }
    return r;
}

int fv_steering_forget_leases(struct fv_steering *steering, enum fv_side side, flagver_error *err)
{
    struct forgotten found = { .count = 0 }, *forgotten = &found;
    int r;

    r = find_row(steering, side, FV_SPACE_LEASE, collect_past, &forgotten, err);
    if (r < 0 || found.count == 0)
        return r < 0 ? r : 0;
    return fv_steering_run(steering, side, delete_past, &found, err);
}

/* ---- a step ---- */

/* What must be over before a side becomes the authority, seen after the fences. */
static int check_grant(struct fv_steering *steering, const struct fv_view *view,
                       const struct fv_step *step, flagver_error *err)
{
    enum fv_side frozen = fv_side_other(step->side);
    int r;

    r = fv_steering_wait_for_routers(steering, frozen, &view->fences[frozen], err);
    if (r < 0)
        return r;
    r = fv_steering_backlog(steering, frozen, err);
    if (r > 0)
        return fv_fail(err, FLAGVER_EBUSY, "%s: keys are waiting to be repaired", steering->name);
    return r;
}

struct stepping {
    struct fv_steering *steering;
    const struct fv_step *step;
};

/* Somebody who was faster has changed what this step goes out from: no harm. */
static int write_fence(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct stepping *stepping = data;
    const struct fv_step *step = stepping->step;
    uint8_t bytes[FV_FENCE_BYTES];
    flagver_keyed_row row;
    struct fv_fence fence;
    int r;

    r = fv_steering_hold(stepping->steering, txn, step->side, false, &row, &fence, err);
    if (r < 0 || !fv_fence_equal(&fence, &step->expect))
        return r;
    return fv_txn_keyed_put(txn, &row,
                            (flagver_bytes){ bytes, fv_fence_encode(&step->write, bytes) }, err);
}

/* What the fences say is now so: those who ask for evidence look at it by that. */
static void note_arrival(void *data, struct fv_evidence *evidence)
{
    const struct fv_view *view = data;
    enum fv_side believed = fv_route_believed(view->fences);

    fv_evidence_arrive(evidence, believed, &view->fences[believed], fv_now_us());
}

int fv_steering_step(struct fv_steering *steering, bool give_up, flagver_error *err)
{
    struct fv_view view;
    struct fv_step step;
    struct fv_route_wish wish;
    int r;

    r = fv_steering_look(steering, &view, err);
    if (r < 0)
        return r;
    wish = (struct fv_route_wish){ view.version, view.record.stage, view.record.bound };
    r = fv_route_step(view.fences, &wish, give_up, &step, err);
    if (r < 0)
        return r;
    if (step.kind == FV_STEP_DONE)
        return fv_steering_note(steering, note_arrival, &view, err);
    if (step.kind == FV_STEP_GRANT) {
        r = check_grant(steering, &view, &step, err);
        if (r < 0)
            return r;
    }
    r = fv_steering_run(steering, step.side, write_fence, &(struct stepping){ steering, &step },
                        err);
    return r < 0 ? r : 1;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

#define PAUSE_MS 5

int fv_steering_settle(struct fv_steering *steering, int64_t wait_ms,
                       int (*work)(void *data, flagver_error *err), void *data, flagver_error *err)
{
    int64_t deadline = fv_monotonic_ms() + wait_ms;
    flagver_error why;
    int r;

    for (;;) {
        r = fv_steering_step(steering, false, &why);
        if (r == 0)
            return 0;
        if (r == FLAGVER_EBUSY && fv_monotonic_ms() < deadline) {
            r = work ? work(data, &why) : 0;
            pause_ms(PAUSE_MS);
        }
        if (r < 0)
            break;
    }
    if (err)
        *err = why;
    return r;
}

/* ---- evidence ---- */

int fv_evidence_in(flagver_txn *txn, const char *name, flagver_keyed_row *ret_row,
                   struct fv_evidence *ret_evidence, flagver_error *err)
{
    struct fv_row_key key;
    int r;

    fv_row_key(name, NULL, 0, &key);
    *ret_evidence = (struct fv_evidence){ 0 };
    r = fv_txn_keyed_get(txn, FV_SPACE_EVIDENCE, fv_row_key_bytes(&key), ret_row, err);
    if (r < 0 || ret_row->rev == 0)
        return r;
    return fv_evidence_decode(ret_row->value.data, ret_row->value.length, ret_evidence, err);
}

struct noting {
    const char *name;
    void (*change)(void *data, struct fv_evidence *evidence);
    void *data;
};

static int write_evidence(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct noting *noting = data;
    uint8_t bytes[FV_EVIDENCE_BYTES];
    struct fv_evidence evidence;
    flagver_keyed_row row;
    size_t length;
    int r;

    r = fv_evidence_in(txn, noting->name, &row, &evidence, err);
    if (r < 0)
        return r;
    noting->change(noting->data, &evidence);
    if (evidence.authority.role == FV_ROLE_NONE)
        return 0; /* nobody has arrived yet: what was shown is about nothing */
    length = fv_evidence_encode(&evidence, bytes);
    if (row.rev && row.value.length == length && memcmp(row.value.data, bytes, length) == 0)
        return 0;
    return fv_txn_keyed_put(txn, &row, (flagver_bytes){ bytes, length }, err);
}

int fv_steering_note(struct fv_steering *steering,
                     void (*change)(void *data, struct fv_evidence *evidence), void *data,
                     flagver_error *err)
{
    struct noting noting = { steering->name, change, data };

    return fv_steering_run_on(steering->control, write_evidence, &noting, err);
}

int fv_row_of(flagver_client *client, const char *space, const char *name,
              int (*decode)(const flagver_bytes *value, void *data, flagver_error *err), void *data,
              flagver_error *err)
{
    struct fv_tenancy tenancy;
    struct fv_row_key key;
    flagver_keyed_row row;
    struct fv_read read;
    int r;

    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    fv_row_key(name, NULL, 0, &key);
    r = fv_read_begin(&read, tenancy.store, tenancy.tenant, err);
    if (r == 0)
        r = read_row(&read, space, &key, &row, err);
    if (r == 0 && row.rev)
        r = decode(&row.value, data, err);
    fv_read_end(&read);
    fv_store_release(tenancy.store);
    return r;
}

static int decode_evidence(const flagver_bytes *value, void *data, flagver_error *err)
{
    return fv_evidence_decode(value->data, value->length, data, err);
}

int fv_evidence_of(flagver_client *client, const char *name, struct fv_evidence *ret_evidence,
                   flagver_error *err)
{
    *ret_evidence = (struct fv_evidence){ 0 };
    return fv_row_of(client, FV_SPACE_EVIDENCE, name, decode_evidence, ret_evidence, err);
}

int fv_steering_evidence(struct fv_steering *steering, struct fv_evidence *ret_evidence,
                         flagver_error *err)
{
    return fv_evidence_of(steering->control, steering->name, ret_evidence, err);
}

/* ---- opening ---- */

/* Random, as the migration's own id is; the same for whoever opens it. */
static int number_fences(struct fv_steering *steering, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_SERIES,
                                  .pick = FLAGVER_PICK_ALL,
                                  .phase = fv_bytes(FLAGVER_PHASE_MIGRATION),
                                  .subject = fv_bytes(steering->name),
                                  .limit = 1 };
    struct fv_tenancy tenancy;
    struct fv_read read;
    flagver_row row;
    uint64_t halves[2];
    int r;

    r = fv_client_tenancy(steering->control, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_read_begin(&read, tenancy.store, tenancy.tenant, err);
    if (r == 0)
        r = fv_read_scan(&read, &query, err);
    if (r == 0)
        r = fv_read_next(&read, &row, err);
    if (r == 0)
        r = fv_fail(err, FLAGVER_ENOTFOUND, "no migration \"%s\"", steering->name);
    if (r > 0) {
        memcpy(halves, row.as.series.id.bytes, sizeof halves);
        for (int side = FV_OLD; side <= FV_NEW; side++)
            steering->numbers[side] = (int64_t)(((halves[0] ^ halves[1]) + (uint64_t)side) &
                                                INT64_MAX);
    }
    fv_read_end(&read);
    fv_store_release(tenancy.store);
    return r < 0 ? r : 0;
}

static int compare_homes(struct fv_steering *steering, flagver_error *err)
{
    struct fv_tenancy homes[2];
    int r;

    r = fv_client_tenancy(steering->homes[FV_OLD], &homes[FV_OLD], err);
    if (r < 0)
        return r;
    r = fv_client_tenancy(steering->homes[FV_NEW], &homes[FV_NEW], err);
    if (r == 0) {
        steering->together = homes[FV_OLD].store == homes[FV_NEW].store &&
                             strcmp(homes[FV_OLD].tenant, homes[FV_NEW].tenant) == 0;
        fv_store_release(homes[FV_NEW].store);
    }
    fv_store_release(homes[FV_OLD].store);
    return r;
}

#define OPEN_WAIT_MS 5000

int fv_steering_open(struct fv_steering *steering, const char *name, flagver_client *control,
                     flagver_client *const sides[2], flagver_error *err)
{
    struct fv_view view;
    int r;

    *steering = (struct fv_steering){ .name = name, .control = control };
    pthread_mutex_init(&steering->lock, NULL);
    for (int side = FV_OLD; side <= FV_NEW; side++) {
        steering->enlisted[side] = sides[side] != NULL;
        steering->homes[side] = sides[side] ? sides[side] : control;
    }
    r = compare_homes(steering, err);
    if (r == 0)
        r = number_fences(steering, err);
    if (r == 0)
        r = fv_steering_look(steering, &view, err);
    if (r == 0 && view.fences[FV_OLD].role == FV_ROLE_NONE)
        r = fv_steering_settle(steering, OPEN_WAIT_MS, NULL, NULL, err);
    if (r < 0)
        fv_steering_close(steering);
    return r;
}

void fv_steering_close(struct fv_steering *steering)
{
    pthread_mutex_destroy(&steering->lock);
    steering->name = NULL; /* closed once */
}
