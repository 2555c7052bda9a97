#define _POSIX_C_SOURCE 200809L /* pthread_mutex_timedlock() */

#include "engine/rollout_guard.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/client.h"
#include "engine/rollout.h"
#include "engine/track.h"
#include "model/rollout_guard.h"
#include "util/fail.h"

#define PERCENT (FV_SCALE / 100.0)
#define OLD_MS (INT64_C(7) * 24 * 3600 * 1000)
#define PATIENCE_MS 2000 /* of the thread that is to refresh, too; it comes back */

/* A flag whose guard has tripped, and what is to become of it. */
struct fall {
    struct fv_flag *flag;
    struct fv_rollout_reach reach;
    struct fv_rollout_verdict verdict;
    double back; /* percent */
    struct fv_text note;
    int64_t until_ms;  /* no further try after that; 0: as many as there are */
    uint32_t no;       /* that it went back in */
    flagver_error why; /* it could not */
};

/* ---- what was seen ---- */

/* A flag that is off by its definition or the environment is asked nothing of by its schedule. */
static const struct fv_schedule *guarded(const struct fv_flag *flag)
{
    const struct fv_schedule *schedule = flag ? flag->body->serve.schedule : NULL;

    return schedule && schedule->guards && !flag->settled ? schedule : NULL;
}

/* Since when the version that this flag was compiled from is in force; 1, or 0: another one is by now. */
static int read_since(flagver_client *client, const struct fv_flag *flag, int64_t *ret_since,
                      flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_CURRENT,
                            .phase = fv_bytes(FLAGVER_PHASE_FLAG),
                            .subject = fv_bytes(flag->key),
                            .limit = 1 };
    flagver_version *version;
    int r;

    r = fv_client_version(client, &query, true, "flag", &version, err);
    if (r < 0)
        return r == FLAGVER_ENOTFOUND ? 0 : r;
    *ret_since = version->decided_at;
    r = version->no == flag->body->version;
    fv_version_free(version);
    return r;
}

struct looking {
    const struct fv_flag *flag;
    struct fv_rollout_seen seen;
};

static void add_variant(void *data, const char *variant, const struct fv_sum *sum)
{
    struct looking *looking = data;
    const struct fv_flag *flag = looking->flag;
    uint32_t index = fv_flag_variant(flag, variant);
    bool on = index == flag->body->on;

    if (index == FV_NO_VARIANT)
        return;
    if (on) {
        looking->seen.outcomes = sum->succeeded + sum->failed;
        looking->seen.failed = sum->failed;
    }
    looking->seen.timed[on] = sum->timings.count;
    looking->seen.p95_ms[on] = fv_timings_quantile(&sum->timings, 0.95) / 1e6;
}

static int64_t latest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/*
 * What came before the step, or before this version, is no evidence. Nor is what is old: a flag that has done
 * well for months would have to fail for days, and each look would read all those hours.
 */
static int judge(flagver_client *client, struct fall *fall, int64_t now_ms, flagver_error *err)
{
    const struct fv_schedule *schedule = fall->flag->body->serve.schedule;
    struct looking looking = { .flag = fall->flag };
    int64_t since;
    int r;

    fall->reach = fv_rollout_reached(schedule, now_ms);
    if (fall->reach.share == 0)
        return 0;
    r = read_since(client, fall->flag, &since, err);
    if (r <= 0)
        return r;
    since = latest(latest(since, fall->reach.since * 1000), (now_ms - OLD_MS) * 1000);
    r = fv_track_variants(client, fall->flag->key, since, now_ms * 1000 + 1, add_variant, &looking,
                          err);
    if (r < 0)
        return r;
    fall->verdict = fv_rollout_judge(schedule->guards, &looking.seen);
    fall->back = schedule->guards->to_zero ? 0 : fall->reach.good / PERCENT;
    return fall->verdict.guard != FV_ROLLOUT_GOOD;
}

/* ---- going back ---- */

/* With up to three decimals, and a point whatever the locale. */
static void add_number(struct fv_text *out, double value)
{
    long long thousandths = llround(fmin(value, 1e15) * 1000);
    int rest = (int)(thousandths % 1000), width = 3;

    fv_text_format(out, "%lld", thousandths / 1000);
    for (; rest && rest % 10 == 0; rest /= 10)
        width--;
    if (rest)
        fv_text_format(out, ".%0*d", width, rest);
}

/* "guard error_rate: 3.2 % > 1 % of 412 since step 2 (25 %)" */
static int write_note(struct fall *fall, flagver_error *err)
{
    static const char *const units[] = { "", " %", " ms", "" };
    const struct fv_rollout_verdict *verdict = &fall->verdict;
    struct fv_text *out = &fall->note;

    fv_text_format(out, "guard %s: ", fv_rollout_guard_name(verdict->guard));
    add_number(out, verdict->value);
    fv_text_format(out, "%s > ", units[verdict->guard]);
    add_number(out, verdict->limit);
    fv_text_format(out, "%s of %llu since step %zu (", units[verdict->guard],
                   (unsigned long long)verdict->samples, fall->reach.step);
    add_number(out, fall->reach.share / PERCENT);
    fv_text_add(out, " %)");
    return out->failed ? fv_fail_memory(err) : 0;
}

/* A try after one of which nobody knows what became finds what that did. */
static int go_back_in(struct fall *fall, flagver_txn *txn, struct fv_target *target,
                      flagver_error *err)
{
    const struct fv_words words[] = { { "guard", 5 },
                                      { fall->flag->key, fall->flag->key_length },
                                      { &target->expect_no, sizeof target->expect_no } };
    const struct fv_edit edit = fv_rollout_ramp(&fall->back);
    struct fv_staged *version;
    int r;

    r = fv_record_resolve(txn, target, err);
    if (r == 0)
        r = fv_txn_replay(txn, words, sizeof words / sizeof *words, &fall->no, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = fv_record_current(txn, target, &version, err);
    /* First of all: who was too late is not told why he could not. */
    if (r == 0 && version->row.no != target->expect_no)
        r = fv_fail(err, FLAGVER_ECONFLICT, "version %u is in force", (unsigned)version->row.no);
    if (r == 0)
        r = fv_rollout_edit(txn, target, &edit, &version, err);
    if (r < 0) {
        fv_txn_record_refusal(txn, r);
        return r;
    }
    fall->no = version->row.no;
    fv_txn_record(txn, fall->no);
    return 0;
}

static int go_back(void *data, flagver_txn *txn, flagver_error *err)
{
    struct fall *fall = data;
    const flagver_write_options options = { .size = sizeof options,
                                            .note = fall->note.data,
                                            .expect_no = (uint32_t)fall->flag->body->version,
                                            .flags = FLAGVER_WRITE_EMERGENCY };
    struct fv_target target;
    int r;

    r = fv_record_target(FLAGVER_PHASE_FLAG, fall->flag->key, &options, &target, err);
    if (r == 0)
        r = fv_txn_enter(txn, err);
    return r < 0 ? r : fv_txn_leave(txn, go_back_in(fall, txn, &target, err), err);
}

static bool is_news(const struct fall *fall)
{
    return !atomic_exchange(&fall->flag->body->guard_told, true);
}

/* 1: it went back, or could not, for `why`; 0: somebody else was faster. */
static int act(flagver_client *client, struct fall *fall, const flagver_actor *actor,
               flagver_error *err)
{
    struct fv_txn_source source;
    int r;

    r = write_note(fall, err);
    if (r == 0)
        r = fv_client_source(client, &source, err);
    if (r < 0)
        return r;
    r = fv_txn_run_until(&source, actor, NULL, fall->until_ms, go_back, fall, &fall->why);
    fv_store_release(source.store);
    if (r == 0)
        return 1;
    fall->no = 0; /* of a try that has come to nothing */
    if (r == FLAGVER_ECONFLICT || r == FLAGVER_ENOTFOUND)
        return 0;
    if (fv_error_class(r) == FLAGVER_CLASS_MISTAKE)
        return is_news(fall);
    if (err)
        *err = fall->why;
    return r;
}

static void tell(const struct fv_guardian *guardian, const struct fall *fall)
{
    const struct fv_rollout_verdict *verdict = &fall->verdict;
    const flagver_rollout_alert alert = { .flag = fall->flag->key,
                                          .guard = fv_rollout_guard_name(verdict->guard),
                                          .value = verdict->value,
                                          .limit = verdict->limit,
                                          .from = fall->reach.share / PERCENT,
                                          .to = fall->back,
                                          .samples = verdict->samples,
                                          .acted = fall->no != 0,
                                          .no = fall->no,
                                          .why = fall->no ? NULL : fall->why.message };

    if (guardian->alert)
        guardian->alert(guardian->data, &alert);
}

/* ---- all flags ---- */

/* Locked while something is asked of the store, and not while anybody is told; NULL: nothing is. */
static void lock(pthread_mutex_t *still)
{
    if (still)
        pthread_mutex_lock(still);
}

static void unlock(pthread_mutex_t *still)
{
    if (still)
        pthread_mutex_unlock(still);
}

/* 1: it went back. After `until_ms` nothing is tried again; 0: as often as there are tries. */
static int guard_flag(flagver_client *client, struct fv_flag *flag,
                      const struct fv_guardian *guardian, pthread_mutex_t *still, int64_t until_ms,
                      flagver_error *err)
{
    const struct fv_catalog *catalog = client->catalog;
    int64_t now_ms = catalog->clock(catalog->clock_data);
    struct fall fall = { .flag = flag, .note = FV_TEXT_INIT, .until_ms = until_ms };
    int r;

    lock(still);
    r = judge(client, &fall, now_ms, err);
    if (r > 0)
        r = act(client, &fall, &guardian->actor, err);
    unlock(still);
    /* When nobody knows, it may have gone back: then the next look finds nothing to tell of. */
    if (r > 0 || (r == FLAGVER_EUNKNOWN && is_news(&fall)))
        tell(guardian, &fall);
    fv_text_clear(&fall.note);
    return r < 0 ? r : fall.no != 0;
}

/* What is damaged, of a newer version, or locked by somebody is so of one flag: others may fall. */
static bool goes_on(int r)
{
    return r >= 0 || r == FLAGVER_ECORRUPT || r == FLAGVER_ESCHEMA || r == FLAGVER_EBUSY;
}

/* As they are defined: one that is forced here is watched for the others. */
static int guard_all(flagver_client *client, const struct fv_guardian *guardian,
                     pthread_mutex_t *still, flagver_error *err)
{
    int64_t until_ms = still ? fv_monotonic_ms() + PATIENCE_MS : 0;
    const struct fv_definitions *definitions;
    flagver_snapshot *snapshot;
    uint32_t slot;
    int r = 0, failed = 0, count = 0;

    if (!client->stored)
        return fv_client_has_no_store(err);
    snapshot = fv_client_snapshot(client);
    definitions = snapshot->definitions;
    for (slot = 0; slot < definitions->flag_count && goes_on(r); slot++) {
        if (!guarded(definitions->flags[slot]))
            continue;
        r = guard_flag(client, definitions->flags[slot], guardian, still, until_ms,
                       failed ? NULL : err);
        if (r > 0)
            count++;
        if (r < 0 && !failed)
            failed = r;
    }
    fv_snapshot_release(snapshot);
    return failed ? failed : count;
}

int fv_rollout_guard(flagver_client *client, const struct fv_guardian *guardian, flagver_error *err)
{
    return guard_all(client, guardian, NULL, err);
}

/* ---- by itself ---- */

struct fv_watch {
    struct fv_guardian guardian;
    bool failing;          /* the last look did */
    bool forks_still;      /* the fork that is under way has locked `still` */
    pthread_mutex_t still; /* no fork meanwhile: the store is asked */
};

/* In one piece of memory: roles, then texts. */
static size_t size_of(const flagver_actor *actor)
{
    size_t size = sizeof(struct fv_watch) + actor->role_count * sizeof(char *), i;

    for (i = 0; i < actor->role_count; i++)
        size += strlen(actor->roles[i]) + 1;
    return size + strlen(actor->id) + 1;
}

static char *put_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = *at;

    memcpy(copy, text, size);
    *at += size;
    return copy;
}

static void put_actor(struct fv_watch *watch, const flagver_actor *actor)
{
    const char **roles = (const char **)(watch + 1);
    char *at = (char *)(roles + actor->role_count);
    size_t i;

    for (i = 0; i < actor->role_count; i++)
        roles[i] = put_text(&at, actor->roles[i]);
    watch->guardian.actor = *actor;
    watch->guardian.actor.roles = roles;
    watch->guardian.actor.id = put_text(&at, actor->id);
}

int fv_watch_new(const flagver_allocator *memory, const flagver_options *options,
                 struct fv_watch **ret_watch, flagver_error *err)
{
    struct fv_watch *watch;
    flagver_actor actor;
    int r;

    r = fv_actor_check(options->guardian, &actor, err);
    if (r < 0)
        return r;
    if (options->flush_ms < 0)
        return fv_fail(err, FLAGVER_EINVAL, "guardian looks after each flush, and flush_ms is %d",
                       (int)options->flush_ms);
    watch = fv_allocate_zeroed(memory, 1, size_of(&actor));
    if (!watch)
        return fv_fail_memory(err);
    watch->guardian.alert = options->alert;
    watch->guardian.data = options->alert_data;
    put_actor(watch, &actor);
    pthread_mutex_init(&watch->still, NULL);
    *ret_watch = watch;
    return 0;
}

void fv_watch_free(struct fv_watch *watch, const flagver_allocator *memory)
{
    if (!watch)
        return;
    pthread_mutex_destroy(&watch->still);
    fv_release(memory, watch);
}

const struct fv_guardian *fv_watch_guardian(const struct fv_watch *watch)
{
    return &watch->guardian;
}

void fv_watch_look(struct fv_watch *watch, flagver_client *client)
{
    char message[FLAGVER_MESSAGE_SIZE + 64];
    flagver_error error = { .code = 0 };
    bool fails = guard_all(client, &watch->guardian, &watch->still, &error) < 0;

    if (fails == watch->failing)
        return;
    watch->failing = fails;
    if (!client->log)
        return;
    if (fails)
        snprintf(message, sizeof message, "guards of schedules are not watched: %s", error.message);
    else
        snprintf(message, sizeof message, "guards of schedules are watched again");
    client->log(client->log_data, FLAGVER_LOG_WARNING, message);
}

void fv_watch_before_fork(struct fv_watch *watch, const struct timespec *deadline)
{
    if (watch)
        watch->forks_still = pthread_mutex_timedlock(&watch->still, deadline) == 0;
}

void fv_watch_after_fork(struct fv_watch *watch)
{
    if (watch && watch->forks_still)
        pthread_mutex_unlock(&watch->still);
}

void fv_watch_forked(struct fv_watch *watch)
{
    if (watch)
        pthread_mutex_init(&watch->still, NULL);
}
