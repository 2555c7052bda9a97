/*
 * Memory runs out at the k-th allocation, ours, SQLite's, jansson's and OpenSSL's
 * alike: that one alone, or all from then on. Every call on a store says so, leaks
 * nothing, and leaves the store as it was or with the whole change.
 *
 * A call with very many allocations is not tried for every k: FLAGVER_OOM_STEPS says
 * from which k on some are left out.
 */
#define _GNU_SOURCE /* dladdr() */
#include <dlfcn.h>

#include "crash/holds.h"
#include "oom/failing_malloc.h"
#include "seed.h"

#define STEPS 400

static const char *const uris[] = { "memory:", NULL /* place.uri */ };
#define STORES 2

static struct place place;
static flagver_client *client;
static const flagver_actor actor = { .size = sizeof actor, .id = "short of memory" };

static const char *uri_of(int i)
{
    return uris[i] ? uris[i] : place.uri;
}

/* ---- what is in the store ---- */

/* A line for each version and leaf. */
struct state {
    char *text;
    size_t lines;
};

static struct state state_now(void)
{
    struct state state = { .text = dump_store(client) };
    const char *at = state.text;

    must(at, "the store cannot be read");
    while ((at = strchr(at, '\n'))) {
        state.lines++;
        at++;
    }
    return state;
}

/* ---- calls ---- */

static const char checkout[] =
    "{\"type\":\"string\",\"variants\":{\"a\":\"x\",\"b\":\"y\"},\"default\":\"a\","
    "\"requires\":[{\"flag\":\"kept\",\"variant\":\"on\"}],\"targets\":{\"b\":[\"u3\"]},"
    "\"rules\":[{\"id\":\"r\",\"if\":{\"all\":[{\"attr\":\"a.b\",\"op\":\"in\",\"values\":"
    "[\"x\",1,true]},{\"not\":{\"segment\":\"staff\"}}]},\"serve\":{\"split\":{\"a\":1,\"b\":2}}}]"
    "}";

static const char definitions[] = "{\"flags\":{\"kept\":{\"type\":\"boolean\",\"percentage\":3},"
                                  "\"applied\":{\"type\":\"boolean\",\"beta\":[\"u1\"]}},"
                                  "\"segments\":{\"staff\":{\"include\":[\"ann\"]}}}";

static int put_kept(flagver_txn *txn, int percentage)
{
    char json[80];

    snprintf(json, sizeof json, "{\"type\":\"boolean\",\"percentage\":%d}", percentage);
    return flagver_flag_put(txn, "kept", json, strlen(json), NULL, NULL, &error);
}

static int put_staff(flagver_txn *txn)
{
    static const char json[] = "{\"include\":[\"bob\"]}";

    return flagver_segment_put(txn, "staff", json, sizeof json - 1, NULL, NULL, &error);
}

static int put_checkout(flagver_txn *txn)
{
    return flagver_flag_put(txn, "checkout", checkout, sizeof checkout - 1, NULL, NULL, &error);
}

static int in_transaction(int (*run)(flagver_txn *txn), const char *key)
{
    const flagver_txn_options options = { .size = sizeof options, .idempotency_key = key };
    flagver_txn *txn;
    int r;

    r = flagver_txn_begin(client, &actor, &options, &txn, &error);
    if (r < 0)
        return r;
    r = run(txn);
    if (r == 0)
        r = flagver_txn_commit(txn, &error);
    flagver_txn_free(txn);
    return r;
}

static int several(flagver_txn *txn)
{
    const char *users[] = { "u1", "u2" };
    const char *keys[] = { "kept", "checkout" };
    int r;

    r = flagver_txn_lock(txn, FLAGVER_PHASE_FLAG, keys, 2, &error);
    if (r == 0)
        r = put_staff(txn);
    if (r == 0)
        r = put_checkout(txn);
    if (r == 0)
        r = flagver_flag_ramp(txn, "kept", 12.5, NULL, NULL, &error);
    if (r == 0)
        r = flagver_flag_beta_add(txn, "kept", users, 2, NULL, NULL, &error);
    return r;
}

#define REVIEWED "reviewed"

/* Two items and an approval of two. */
static int review(flagver_txn *txn)
{
    static const char policy[] =
        "{\"approval\":{\"rule\":\"anyone\",\"min\":2,\"allow_self\":true}}";
    static const flagver_item_content items[] = { { "a", "1", 1 }, { "b", "[2]", 3 } };
    const flagver_write_options note = { .size = sizeof note, .note = "fine" };
    int r;

    r = flagver_version_put(txn, FLAGVER_PHASE_PHASE, REVIEWED, policy, sizeof policy - 1, NULL,
                            NULL, &error);
    if (r == 0)
        r = flagver_version_create(txn, REVIEWED, "s", "{}", 2, NULL, NULL, &error);
    if (r == 0)
        r = flagver_items_put(txn, REVIEWED, "s", 1, items, 2, NULL, NULL, &error);
    if (r == 0)
        r = flagver_version_submit(txn, REVIEWED, "s", 1, NULL, NULL, &error);
    if (r == 0)
        r = flagver_version_approve(txn, REVIEWED, "s", 1, &note, NULL, &error);
    return r;
}

static int first(flagver_txn *txn)
{
    int r = put_kept(txn, 1);

    if (r == 0)
        r = review(txn);
    return r < 0 ? r : several(txn);
}

static int draft(flagver_txn *txn)
{
    static const char json[] = "{\"type\":\"boolean\"}";
    const flagver_write_options options = { .size = sizeof options, .note = "a note" };
    flagver_version *version = NULL;
    int r;

    r = flagver_version_create(txn, FLAGVER_PHASE_FLAG, "kept", json, sizeof json - 1, &options,
                               &version, &error);
    if (r == 0)
        r = flagver_version_edit(txn, FLAGVER_PHASE_FLAG, "kept", version->no, json,
                                 sizeof json - 1, &options, NULL, &error);
    if (r == 0)
        r = flagver_version_submit(txn, FLAGVER_PHASE_FLAG, "kept", version->no, NULL, NULL,
                                   &error);
    flagver_version_free(version);
    return r;
}

static int ramp(flagver_txn *txn)
{
    return flagver_flag_ramp(txn, "kept", 25, NULL, NULL, &error);
}

static int apply(flagver_txn *txn)
{
    int r = flagver_flags_apply(txn, definitions, sizeof definitions - 1, "file", false, NULL,
                                &error);

    return r < 0 ? r : 0;
}

/* What makes the next run change the same again. */
static int undo_apply(flagver_txn *txn)
{
    int r = flagver_flag_delete(txn, "applied", NULL, NULL, &error);

    if (r == 0 || r == FLAGVER_ENOTFOUND)
        r = put_kept(txn, 1);
    return r < 0 ? r : put_staff(txn);
}

static int run_ramp(void *unused, flagver_txn *txn, flagver_error *err)
{
    (void)unused;
    return flagver_flag_ramp(txn, "kept", 30, NULL, NULL, err);
}

static int call_put(void)
{
    return in_transaction(put_checkout, NULL);
}

static int call_several(void)
{
    return in_transaction(several, NULL);
}

static int call_draft(void)
{
    return in_transaction(draft, NULL);
}

static int call_apply(void)
{
    return in_transaction(apply, NULL);
}

static int call_run(void)
{
    return flagver_txn_run(client, &actor, NULL, run_ramp, NULL, &error);
}

static int number_of_key;

static int call_keyed(void)
{
    char key[32];

    snprintf(key, sizeof key, "key %d", number_of_key);
    return in_transaction(ramp, key);
}

static int call_repeat(void)
{
    return in_transaction(ramp, "repeated");
}

/* ---- reading ---- */

static bool see(void *count, const flagver_version *version)
{
    *(int *)count += version->no > 0;
    return true;
}

static bool see_leaf(void *count, const flagver_audit_entry *entry)
{
    *(int *)count += entry->version_no > 0;
    return true;
}

static int call_current(void)
{
    flagver_version *version = NULL;
    int r = flagver_version_current(client, FLAGVER_PHASE_FLAG, "checkout", &version, &error);

    flagver_version_free(version);
    return r;
}

static int call_history(void)
{
    const flagver_list_options options = { .size = sizeof options, .payload = 1 };
    int count = 0;

    return flagver_version_history(client, FLAGVER_PHASE_FLAG, "kept", &options, see, &count,
                                   &error);
}

static int call_list(void)
{
    int count = 0;

    return flagver_version_list(client, FLAGVER_PHASE_FLAG, NULL, see, &count, &error);
}

static int call_list_by_state(void)
{
    const flagver_list_options options = { .size = sizeof options,
                                           .states = FLAGVER_STATES(FLAGVER_STATE_SUPERSEDED),
                                           .author = actor.id,
                                           .payload = 1 };
    int count = 0;

    return flagver_version_list(client, NULL, &options, see, &count, &error);
}

static bool see_item(void *count, const flagver_item *item)
{
    *(int *)count += item->key != NULL;
    return true;
}

static bool see_vote(void *count, const flagver_vote *vote)
{
    *(int *)count += vote->actor != NULL;
    return true;
}

static int call_parts(void)
{
    int count = 0, r;

    r = flagver_items_list(client, REVIEWED, "s", 1, see_item, &count, &error);
    if (r == 0)
        r = flagver_votes_list(client, REVIEWED, "s", 1, see_vote, &count, &error);
    if (r == 0)
        must(count == 3, "%d items and votes", count);
    return r;
}

static void see_group(void *count, const flagver_metric_group *group)
{
    *(int *)count += group->created > 0;
}

static int call_metrics(void)
{
    const flagver_metric_options options = { .size = sizeof options, .parts = 1, .by_month = 1 };
    int count = 0;

    return flagver_version_metrics(client, &options, see_group, &count, &error);
}

/* One failure trips it, and there is one more each time. */
static int guard(flagver_txn *txn)
{
    static const char json[] =
        "{\"type\":\"boolean\",\"schedule\":{\"steps\":[{\"at\":\"2020-01-01T00:00:00Z\","
        "\"percentage\":5}],\"guards\":{\"error_rate\":1,\"samples\":1}}}";

    return flagver_flag_put(txn, "guarded", json, sizeof json - 1, NULL, NULL, &error);
}

static int call_guard(void)
{
    int r = flagver_track_outcome(client, "guarded", "on", true, 1000, &error);

    if (r == 0)
        r = flagver_track_flush(client, &error);
    if (r == 0)
        r = flagver_client_refresh(client, &error);
    if (r == 0)
        r = flagver_flags_guard(client, &actor, NULL, NULL, &error);
    return r < 0 ? r : 0;
}

static int call_log(void)
{
    int count = 0;

    return flagver_audit_log(client, 0, 0, see_leaf, &count, NULL, &error);
}

static int call_diff(void)
{
    char *lines = NULL, *patch = NULL;
    int r;

    r = flagver_version_diff(client, FLAGVER_PHASE_FLAG, "kept", 1, 2, FLAGVER_DIFF_LINES, &lines,
                             &error);
    if (r == 0)
        r = flagver_version_diff(client, FLAGVER_PHASE_FLAG, "kept", 2, 3, FLAGVER_DIFF_MERGE_PATCH,
                                 &patch, &error);
    flagver_string_free(lines);
    flagver_string_free(patch);
    return r;
}

static void see_step(void *data, const flagver_plan_step *step)
{
    *(int *)data += step->action;
}

static int call_plan(void)
{
    int sum = 0, r;

    r = flagver_flags_plan(client, definitions, sizeof definitions - 1, "file", true, see_step,
                           &sum, &error);
    return r < 0 ? r : 0;
}

static int call_export(void)
{
    char *json = NULL;
    int r = flagver_flags_export(client, &json, &error);

    flagver_string_free(json);
    return r;
}

static int call_past(void)
{
    flagver_snapshot *snapshot = NULL;
    int r = flagver_snapshot_at(client, INT64_MAX / 2, &snapshot, &error);

    flagver_snapshot_free(snapshot);
    return r;
}

static int call_health(void)
{
    char *json = NULL;
    int r = flagver_client_health(client, &json, &error);

    flagver_string_free(json);
    return r;
}

static int told;

static void be_told(void *data, const char *const *keys, size_t count)
{
    *(int *)data += keys || !count;
}

/* Refresh finds what `before` has changed, and tells those who listen. */
static int call_refresh(void)
{
    return flagver_client_refresh(client, &error);
}

static int call_listen(void)
{
    int r = flagver_client_listen(client, be_told, &told, &error);

    if (r < 0)
        return r;
    r = flagver_client_refresh(client, &error);
    flagver_client_unlisten(client, told);
    return r;
}

static int call_tenant(void)
{
    flagver_client *other = NULL;
    int r = flagver_client_tenant(client, "other", &other, &error);

    flagver_close(other);
    return r;
}

/* ---- the loop ---- */

static const struct call {
    const char *name;
    int (*run)(void);
    int (*before)(flagver_txn *txn); /* makes what it needs */
    bool writes;
    bool rests; /* it tries again, with pauses */
} calls[] = {
    { "put", call_put, NULL, true, false },
    { "several operations", call_several, NULL, true, false },
    { "create, edit, submit", call_draft, NULL, true, false },
    { "run", call_run, NULL, true, true },
    { "under a key", call_keyed, NULL, true, false },
    { "repeated under a key", call_repeat, NULL, false, false },
    { "apply", call_apply, undo_apply, true, false },
    { "current", call_current, NULL, false, false },
    { "history", call_history, NULL, false, false },
    { "list", call_list, NULL, false, false },
    { "list by state", call_list_by_state, NULL, false, false },
    { "items and votes", call_parts, NULL, false, false },
    { "metrics", call_metrics, NULL, false, false },
    { "guards of schedules", call_guard, guard, true, true },
    { "audit log", call_log, NULL, false, false },
    { "diff", call_diff, NULL, false, false },
    { "plan", call_plan, NULL, false, false },
    { "export flags", call_export, NULL, false, false },
    { "snapshot at", call_past, NULL, false, false },
    { "health", call_health, NULL, false, false },
    { "refresh", call_refresh, ramp, false, false },
    { "listen and refresh", call_listen, several, false, false },
    { "tenant", call_tenant, NULL, false, false },
};
#define CALLS (int)(sizeof calls / sizeof *calls)

static long all_until(void)
{
    return scale("FLAGVER_OOM_STEPS", STEPS);
}

static bool may_end_with(const struct call *call, int r)
{
    return r == FLAGVER_ENOMEM || (call->writes && (r == FLAGVER_EBUSY || r == FLAGVER_EUNKNOWN));
}

/* What was, or (`lines`) what was and as many lines more. */
static void assert_changed(const struct state *before, const struct state *after, size_t lines,
                           const char *when)
{
    if (lines == 0)
        must(strcmp(before->text, after->text) == 0, "%s: the store has changed", when);
    must(after->lines == before->lines + lines, "%s: %zu lines became %zu and not %zu more", when,
         before->lines, after->lines, lines);
}

static void get_ready(const struct call *call)
{
    if (call->before && in_transaction(call->before, NULL) < 0)
        ck_abort_msg("before %s: %s", call->name, error.message);
}

struct trial {
    const struct call *call;
    size_t lines; /* that a success adds */
    long k;
    bool persists;
    bool ready; /* what the call needs is there */
};

static void check_store(const struct trial *trial, const struct state *before, int r,
                        const char *when)
{
    struct state after = state_now();
    bool unknown = r == FLAGVER_EUNKNOWN && after.lines > before->lines;

    assert_changed(before, &after, r == 0 || unknown ? trial->lines : 0, when);
    free(after.text);
}

/* False: no allocation failed. */
static bool fail_kth(struct trial *trial)
{
    struct state before = { NULL, 0 };
    char when[96];
    bool failed;
    int r;

    snprintf(when, sizeof when, "%s, allocation %ld%s", trial->call->name, trial->k,
             trial->persists ? " and all after it" : "");
    if (!trial->ready)
        get_ready(trial->call);
    number_of_key++;
    if (trial->call->writes)
        before = state_now();
    if (trial->persists)
        failing_malloc_arm_all_after(trial->k);
    else
        failing_malloc_arm(trial->k);
    r = trial->call->run();
    failing_malloc_disarm();
    failed = failing_malloc_failed();
    must(r == 0 || (failed && may_end_with(trial->call, r)), "%s: %d: %s", when, r, error.message);
    must(r == 0 || error.code == r, "%s: without words", when);
    trial->ready = r < 0 && r != FLAGVER_EUNKNOWN;
    if (trial->call->writes)
        check_store(trial, &before, r, when);
    free(before.text);
    return failed;
}

static size_t measure(const struct call *call)
{
    struct state before, after;
    size_t lines;

    get_ready(call);
    before = state_now();
    assert_ok(call->run());
    after = state_now();
    lines = after.lines - before.lines;
    ck_assert(call->writes == (lines > 0));
    free(before.text);
    free(after.text);
    return lines;
}

static void open_filled(const char *uri)
{
    assert_ok(flagver_open(uri, NULL, &client, &error));
    assert_ok(in_transaction(first, NULL));
    assert_ok(in_transaction(ramp, "repeated"));
    assert_ok(flagver_client_refresh(client, &error));
}

static void close_client(void)
{
    flagver_thread_release();
    flagver_close(client);
    client = NULL;
}

static int fail_all(struct trial *trial, int step)
{
    int tries = 0;

    for (trial->k = 1; fail_kth(trial); trial->k += step + trial->k / all_until() * step)
        tries++;
    return tries;
}

static void fail_in(const struct call *call, const char *uri)
{
    struct trial trial = { .call = call, .lines = measure(call) };
    struct state before = state_now();
    int step = uri == place.uri && call->writes ? 5 : 1, once, always;

    once = fail_all(&trial, step);
    trial.persists = true;
    always = fail_all(&trial, call->rests ? 20 * step : step);
    ck_assert_int_gt(trial.k, 1);
    ck_assert(holds(client));
    if (!call->writes && !call->before)
        check_store(&trial, &before, FLAGVER_ENOMEM, call->name);
    free(before.text);
    if (always < trial.k - 1)
        measured("%s, %s: %ld allocations, %d and %d of them failed", call->name,
                 uri == place.uri ? "file" : uri, trial.k, once, always);
}

/* Round 0 is for what the libraries allocate once and keep. */
static void fail_each(const struct call *call, const char *uri)
{
    long live = 0;
    int round;

    for (round = 0; round < 2; round++) {
        place_empty(&place, "");
        live = failing_malloc_live();
        open_filled(uri);
        if (round == 0)
            measure(call);
        else
            fail_in(call, uri);
        close_client();
    }
    ck_assert_msg(failing_malloc_live() == live, "%s leaks %ld blocks", call->name,
                  failing_malloc_live() - live);
}

START_TEST(calls_without_memory_leave_nothing_half_done)
{
    place = place_new();
    fail_each(&calls[_i % CALLS], uri_of(_i / CALLS));
    place_remove(&place);
}
END_TEST

/* ---- stores that are not open ---- */

static char target[160], file[128], cache[128];

static int open_and_close(const char *uri, const char *cache_file)
{
    const flagver_options options = { .size = sizeof options, .cache_file = cache_file };
    flagver_client *other = NULL;
    int r = flagver_open(uri, &options, &other, &error);

    if (r == 0)
        flagver_close(other);
    return r;
}

static int open_memory(void)
{
    return open_and_close("memory:", NULL);
}

static int open_file(void)
{
    return open_and_close(place.uri, NULL);
}

static int open_new_file(void)
{
    return open_and_close(target, NULL);
}

static int open_and_cache(void)
{
    return open_and_close(place.uri, cache);
}

static int export_store(void)
{
    return flagver_store_export(place.uri, NULL, file, &error);
}

static int import_store(void)
{
    return flagver_store_import(target, file, &error);
}

static int verify_schema(void)
{
    return flagver_schema_verify(place.uri, NULL, NULL, &error);
}

static int ask_version(void)
{
    uint32_t version;

    return flagver_schema_version(place.uri, &version, NULL, &error);
}

static int take_down(void)
{
    return flagver_schema_down(place.uri, 0, file, false, &error);
}

static int examine(void)
{
    int r = flagver_store_doctor(place.uri, NULL, NULL, &error);

    return r < 0 ? r : 0; /* it may have found that memory is short */
}

static void remove_target(void)
{
    place_empty(&place, "target");
}

static void remove_cache(void)
{
    place_empty(&place, "cache");
}

static void remove_file(void)
{
    place_empty(&place, "file");
}

static void make_file(void)
{
    if (!is_there(file) && export_store() < 0)
        ck_abort_msg("%s", error.message);
    remove_target();
}

static void fill_again(void)
{
    remove_file();
    place_empty(&place, "store");
    open_filled(place.uri);
    close_client();
}

/* What stands at a URI: nothing, or (true) what was put there at the beginning. */
static bool is_filled(const char *uri)
{
    struct state state;
    bool filled;

    assert_ok(flagver_open(uri, NULL, &client, &error));
    ck_assert(holds(client));
    state = state_now();
    close_client();
    filled = state.lines > 0;
    free(state.text);
    return filled;
}

static bool target_is_usable(int r)
{
    (void)r;
    return !is_filled(target);
}

static bool file_is_there(int r)
{
    return is_there(file) == (r == 0);
}

static bool is_imported(int r)
{
    return is_filled(target) == (r == 0);
}

/* What was in it is in it, or in the backup. */
static bool is_taken_down(int r)
{
    bool filled = is_filled(place.uri);

    return (filled || is_there(file)) && filled == (r != 0);
}

static bool cache_is_usable(int r)
{
    (void)r;
    return !is_there(cache) || open_and_cache() == 0;
}

static const struct visit {
    const char *name;
    int (*run)(void);
    void (*before)(void);
    bool (*is_fine)(int r); /* after a run that has returned `r` */
    int step;               /* from one allocation to the next: there are many */
} visits[] = {
    { "open memory", open_memory, NULL, NULL, 6 },
    { "open", open_file, NULL, NULL, 4 },
    { "open what is not there", open_new_file, remove_target, target_is_usable, 12 },
    { "open and write a cache file", open_and_cache, remove_cache, cache_is_usable, 6 },
    { "open with a cache file", open_and_cache, NULL, NULL, 6 },
    { "export", export_store, remove_file, file_is_there, 4 },
    { "import", import_store, make_file, is_imported, 30 },
    { "verify", verify_schema, NULL, NULL, 24 },
    { "schema version", ask_version, NULL, NULL, 4 },
    { "schema down", take_down, fill_again, is_taken_down, 40 },
    { "doctor", examine, NULL, NULL, 24 },
};
#define VISITS (int)(sizeof visits / sizeof *visits)

/*
 * When its own context cannot be made, OpenSSL 3.0 does not free what it has of it; nor all
 * names that it could not add to one.
 */
static bool openssl_may_leak(void)
{
    const void *caller = failing_malloc_caller();
    Dl_info library;

    return caller && dladdr(caller, &library) && library.dli_fname &&
           strstr(library.dli_fname, "libcrypto");
}

/* SQLite keeps a list of databases in memory that the next one closed takes along. */
static bool is_leaking(long live)
{
    if (failing_malloc_live() != live)
        open_memory();
    return failing_malloc_live() != live && !openssl_may_leak();
}

static bool fail_visit(const struct visit *visit, long k, bool persists)
{
    char when[96];
    bool failed;
    long live;
    int r;

    snprintf(when, sizeof when, "%s, allocation %ld%s", visit->name, k,
             persists ? " and all after it" : "");
    if (visit->before)
        visit->before();
    live = failing_malloc_live();
    if (persists)
        failing_malloc_arm_all_after(k);
    else
        failing_malloc_arm(k);
    r = visit->run();
    failing_malloc_disarm();
    failed = failing_malloc_failed();
    must(k == 0 || !is_leaking(live), "%s: leaks %ld blocks", when, failing_malloc_live() - live);
    must(r == 0 || (failed && r == FLAGVER_ENOMEM && error.code == r), "%s: %d: %s", when, r,
         error.message);
    must(!visit->is_fine || visit->is_fine(r), "%s: returned %d and left it in disorder", when, r);
    return failed;
}

START_TEST(looking_after_a_store_without_memory_leaves_it_as_it_is)
{
    const struct visit *visit = &visits[_i];
    long k, tries = 0;
    bool persists;
    int round;

    place = place_new();
    snprintf(target, sizeof target, "sqlite:%s/target", place.directory);
    place_file(&place, "file", file);
    place_file(&place, "cache", cache);
    fill_again();
    fail_visit(visit, 0, false);
    for (round = 0; round < 2; round++) {
        persists = round == 1;
        for (k = 1; fail_visit(visit, k, persists); k += visit->step + k / all_until())
            tries++;
        ck_assert_int_gt(k, 1);
    }
    measured("%s: %ld allocations, %ld failed, once or for good", visit->name, k, tries);
    place_remove(&place);
}
END_TEST

static Suite *store_suite(void)
{
    Suite *suite = suite_create("memory runs out in a store");
    TCase *tests = tcase_create("calls");

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, calls_without_memory_leave_nothing_half_done, 0, STORES * CALLS);
    tcase_add_loop_test(tests, looking_after_a_store_without_memory_leaves_it_as_it_is, 0, VISITS);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    return run_suite(store_suite());
}
