/*
 * Clients of a store: how they keep up with it, bear with it, and look back.
 */
#define _DEFAULT_SOURCE /* mkdtemp, setenv, nanosleep */
#include "stores.h"
#include "waiting.h"

#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define FLAG FLAGVER_PHASE_FLAG
#define SEGMENT FLAGVER_PHASE_SEGMENT
#define ASKS(segment) "{'type':'boolean','rules':[{'if':{'segment':'" segment "'},'serve':'on'}]}"
#define NEEDS(flag, variant) \
    "{'type':'boolean','requires':[{'flag':'" flag "','variant':'" variant "'}]}"

static void refresh(flagver_client *client)
{
    assert_ok(flagver_client_refresh(client, &error));
}

static int64_t value_of(flagver_client *client, const char *key)
{
    return flagver_flag_int(client, key, NULL, -1);
}

/* ---- opening ---- */

START_TEST(an_empty_store_has_no_flags)
{
    flagver_client *client = open_store(_i);
    flagver_snapshot *snapshot = flagver_client_snapshot(client);

    ck_assert_uint_eq(flagver_snapshot_size(snapshot), 0);
    assert_flag(client, "f", NULL, "- - ERROR FLAG_NOT_FOUND");
    flagver_snapshot_free(snapshot);
    flagver_close(client);
}
END_TEST

START_TEST(flags_of_a_store_are_there_from_the_start)
{
    flagver_client *client = open_store(_i);

    put_flag(client, "f", VALUE(1));
    flagver_close(client);
    client = open_store(_i);
    ck_assert_int_eq(value_of(client, "f"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(a_store_in_memory_is_its_clients_alone)
{
    flagver_client *one = open_store(0), *two = open_store(0);

    put_flag(one, "f", VALUE(1));
    refresh(two);
    assert_flag(two, "f", NULL, "- - ERROR FLAG_NOT_FOUND");
    flagver_close(one);
    flagver_close(two);
}
END_TEST

static const struct {
    const char *uri, *words;
    int code;
} bad_uris[] = {
    { "", "no URI", FLAGVER_ENOTSUP },
    { "nothing:at/all", "nothing:at/all", FLAGVER_ENOTSUP },
    { "memory", "memory", FLAGVER_ENOTSUP },
    { "memory:x", "memory:x", FLAGVER_ENOTSUP },
    { "sqlite", "sqlite", FLAGVER_ENOTSUP },
    { "sqlite:", "is empty", FLAGVER_EINVAL },
    { ":f", ":f", FLAGVER_ENOTSUP },
};

START_TEST(a_uri_that_names_no_store_is_refused)
{
    flagver_client *client;

    assert_fails(bad_uris[_i].code, flagver_open(bad_uris[_i].uri, NULL, &client, &error));
    assert_words(bad_uris[_i].words);
}
END_TEST

START_TEST(a_tenant_has_a_name)
{
    static char name[130];
    const struct {
        const char *tenant;
        int code;
    } rows[] = {
        { "default", 0 },           { "a/b c", 0 },           { name + 1, 0 },
        { "", FLAGVER_EINVAL },     { name, FLAGVER_EINVAL }, { "a\nb", FLAGVER_EINVAL },
        { "\xff", FLAGVER_EINVAL },
    };
    flagver_options options = quiet_options();
    flagver_client *client, *view, *opened;
    int row, r;

    memset(name, 't', sizeof name - 1);
    client = open_store(_i);
    for (row = 0; row < COUNT(rows); row++) {
        options.tenant = rows[row].tenant;
        r = flagver_open("memory:", &options, &opened, &error);
        ck_assert_msg(r == rows[row].code, "row %d: %d %s", row, r, error.message);
        if (r == 0)
            flagver_close(opened);
        r = flagver_client_tenant(client, rows[row].tenant, &view, &error);
        ck_assert_msg(r == rows[row].code, "row %d: %d %s", row, r, error.message);
        if (r == 0)
            flagver_close(view);
    }
    assert_fails(FLAGVER_EINVAL, flagver_client_tenant(client, NULL, &view, &error));
    assert_fails(FLAGVER_EINVAL, flagver_client_tenant(NULL, "t", &view, &error));
    assert_fails(FLAGVER_EINVAL, flagver_client_tenant(client, "t", NULL, &error));
    flagver_close(client);
}
END_TEST

START_TEST(definitions_of_a_store_cannot_be_loaded)
{
    flagver_client *client = open_store(_i);

    assert_fails(FLAGVER_ENOTSUP, load_into(client, "{'flags':{}}"));
    assert_fails(FLAGVER_ENOTSUP, merge_into(client, "{'flags':{}}"));
    flagver_close(client);
}
END_TEST

START_TEST(a_client_without_a_store_says_so)
{
    flagver_client *client = client_of("{'flags':{}}", NULL), *view;
    flagver_snapshot *snapshot;

    assert_fails(FLAGVER_ENOTSUP, flagver_client_fd(client, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_client_tenant(client, "t", &view, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_client_reopen(client, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_snapshot_at(client, 1, &snapshot, &error));
    flagver_close(client);
}
END_TEST

/* ---- an allocator ---- */

static atomic_long blocks;

static void *count_allocate(void *data, size_t size)
{
    (void)data;
    atomic_fetch_add(&blocks, 1);
    return malloc(size);
}

static void *count_reallocate(void *data, void *block, size_t size)
{
    (void)data;
    if (!block)
        atomic_fetch_add(&blocks, 1);
    return realloc(block, size);
}

static void count_release(void *data, void *block)
{
    (void)data;
    if (block)
        atomic_fetch_sub(&blocks, 1);
    free(block);
}

START_TEST(memory_of_the_hosts_comes_back)
{
    const flagver_allocator allocator = { count_allocate, count_reallocate, count_release, NULL };
    flagver_options options = quiet_options();
    flagver_client *client, *view;
    flagver_txn *txn;

    options.allocator = &allocator;
    client = open_with(_i, &options);
    assert_ok(flagver_client_tenant(client, "t", &view, &error));
    txn = begin(client);
    put_flag_in(txn, "f", VALUE(1));
    flagver_txn_free(txn);
    put_flag(view, "f", VALUE(2));
    refresh(view);
    ck_assert_int_gt(atomic_load(&blocks), 10);
    flagver_close(client);
    ck_assert_int_eq(value_of(view, "f"), 2);
    flagver_close(view);
    ck_assert_int_eq(atomic_load(&blocks), 0);
}
END_TEST

/* ---- refreshing ---- */

START_TEST(a_change_appears_when_the_client_refreshes)
{
    flagver_client *client = open_store(_i);
    uint64_t generation = flagver_client_generation(client), next;

    put_flag(client, "f", VALUE(1));
    ck_assert_int_eq(value_of(client, "f"), -1);
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    refresh(client);
    ck_assert_int_eq(value_of(client, "f"), 1);
    next = flagver_client_generation(client);
    ck_assert_uint_ne(next, generation);
    refresh(client);
    ck_assert_uint_eq(flagver_client_generation(client), next);
    put_flag(client, "f", VALUE(2));
    delete_flag(client, "f");
    put_flag(client, "f", VALUE(3));
    put_flag(client, "g", VALUE(4));
    refresh(client);
    ck_assert_int_eq(value_of(client, "f"), 3);
    ck_assert_int_eq(value_of(client, "g"), 4);
    delete_flag(client, "g");
    refresh(client);
    ck_assert_int_eq(value_of(client, "g"), -1);
    flagver_close(client);
}
END_TEST

START_TEST(clients_of_one_store_see_each_others_changes)
{
    flagver_client *one = open_store(_i), *two = open_store(_i);

    put_flag(one, "a", VALUE(1));
    put_flag(two, "b", VALUE(2));
    refresh(one);
    refresh(two);
    ck_assert_int_eq(value_of(one, "b"), 2);
    ck_assert_int_eq(value_of(two, "a"), 1);
    put_flag(two, "a", VALUE(3));
    delete_flag(one, "b");
    ck_assert_int_eq(value_of(one, "a"), 1);
    refresh(one);
    refresh(two);
    ck_assert_int_eq(value_of(one, "a"), 3);
    ck_assert_int_eq(value_of(two, "b"), -1);
    flagver_close(one);
    flagver_close(two);
}
END_TEST

/* So many that everything is read anew. */
START_TEST(many_changes_are_caught_up_with)
{
    flagver_client *one = open_store(SHARED_KINDS), *two = open_store(SHARED_KINDS);
    flagver_txn *txn;
    char key[16];
    int i;

    put_flag(one, "gone", VALUE(1));
    refresh(two);
    txn = begin(one);
    for (i = 0; i < 1100; i++) {
        snprintf(key, sizeof key, "f%d", i);
        put_flag_in(txn, key, VALUE(7));
    }
    assert_ok(flagver_flag_delete(txn, "gone", NULL, NULL, &error));
    commit(txn);
    refresh(two);
    ck_assert_int_eq(value_of(two, "f0"), 7);
    ck_assert_int_eq(value_of(two, "f1099"), 7);
    ck_assert_int_eq(value_of(two, "gone"), -1);
    flagver_close(one);
    flagver_close(two);
}
END_TEST

START_TEST(drafts_are_not_served)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    char *json = quoted(VALUE(2));

    put_flag_in(txn, "f", VALUE(1));
    assert_ok(flagver_version_create(txn, FLAG, "f", json, strlen(json), NULL, NULL, &error));
    commit(txn);
    refresh(client);
    ck_assert_int_eq(value_of(client, "f"), 1);
    txn = begin(client);
    assert_ok(flagver_version_submit(txn, FLAG, "f", 2, NULL, NULL, &error));
    commit(txn);
    refresh(client);
    ck_assert_int_eq(value_of(client, "f"), 2);
    free(json);
    flagver_close(client);
}
END_TEST

START_TEST(a_detail_tells_the_version)
{
    flagver_client *client = open_store(_i);
    flagver_detail detail = { .size = sizeof detail };
    int i;

    for (i = 1; i <= 3; i++) {
        put_flag(client, "f", VALUE(5)); /* also where nothing else has changed */
        refresh(client);
        flagver_flag_evaluate(client, "f", 1, NULL, FLAGVER_TYPE_INT, &detail);
        ck_assert_int_eq(detail.version, i);
    }
    flagver_close(client);
}
END_TEST

START_TEST(a_segment_changes_who_asks_for_it)
{
    flagver_client *client = open_store(_i);

    put_segment(client, "s", "{'include':['u']}");
    put_flag(client, "f", ASKS("s"));
    refresh(client);
    assert_flag(client, "f", "{'targetingKey':'u'}", "true on TARGETING_MATCH");
    put_segment(client, "s", "{'include':['v']}");
    refresh(client);
    assert_flag(client, "f", "{'targetingKey':'u'}", "false off DEFAULT");
    assert_flag(client, "f", "{'targetingKey':'v'}", "true on TARGETING_MATCH");
    flagver_close(client);
}
END_TEST

START_TEST(an_override_survives_what_happens_in_the_store)
{
    flagver_client *client = open_store(_i);

    put_flag(client, "f", SHARE(0));
    refresh(client);
    assert_ok(flagver_flag_override(client, "f", "on", &error));
    assert_flag(client, "f", NULL, "true on STATIC");
    put_flag(client, "f", SHARE(1));
    refresh(client);
    assert_flag(client, "f", NULL, "true on STATIC");
    delete_flag(client, "f");
    refresh(client);
    assert_flag(client, "f", NULL, "- - ERROR FLAG_NOT_FOUND");
    put_flag(client, "f", SHARE(0));
    refresh(client);
    assert_flag(client, "f", NULL, "true on STATIC");
    assert_ok(flagver_flag_override(client, "f", NULL, &error));
    assert_flag(client, "f", NULL, "false off DEFAULT");
    flagver_close(client);
}
END_TEST

START_TEST(a_snapshot_stays_as_it_was)
{
    flagver_client *client = open_store(_i);
    flagver_detail detail = { .size = sizeof detail };
    flagver_snapshot *snapshot;

    put_flag(client, "f", VALUE(1));
    refresh(client);
    snapshot = flagver_client_snapshot(client);
    put_flag(client, "f", VALUE(2));
    refresh(client);
    flagver_close(client);
    flagver_snapshot_evaluate(snapshot, "f", 1, NULL, FLAGVER_TYPE_INT, &detail);
    ck_assert_int_eq(detail.value.integer, 1);
    flagver_snapshot_free(snapshot);
}
END_TEST

/* ---- the environment ---- */

START_TEST(the_environment_is_read_when_the_host_refreshes)
{
    flagver_client *client;

    unsetenv("TEST_STORED_ENABLED");
    unsetenv("FLAGVER_FLAG_FORCED");
    assert_ok(flagver_open(store_uri(_i), NULL, &client, &error));
    put_flag(client, "f", "{'type':'boolean','env':{'enabled':'TEST_STORED_ENABLED'}}");
    put_flag(client, "forced", SIMPLE);
    refresh(client);
    assert_flag(client, "f", NULL, "true on STATIC");
    setenv("TEST_STORED_ENABLED", "false", 1);
    setenv("FLAGVER_FLAG_FORCED", "off", 1);
    assert_flag(client, "f", NULL, "true on STATIC");
    assert_flag(client, "forced", NULL, "true on STATIC");
    refresh(client);
    assert_flag(client, "f", NULL, "false off DISABLED");
    assert_flag(client, "forced", NULL, "false off STATIC");
    put_flag(client, "f",
             "{'type':'boolean','env':{'enabled':'TEST_STORED_ENABLED'},"
             "'description':'changed'}");
    refresh(client);
    assert_flag(client, "f", NULL, "false off DISABLED");
    unsetenv("TEST_STORED_ENABLED");
    unsetenv("FLAGVER_FLAG_FORCED");
    refresh(client);
    assert_flag(client, "f", NULL, "true on STATIC");
    assert_flag(client, "forced", NULL, "true on STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(the_refresher_leaves_the_environment_alone)
{
    flagver_options options = { .size = sizeof options, .background = 1, .poll_ms = 5 };
    flagver_client *client;

    unsetenv("TEST_STORED_ENABLED");
    client = open_with(_i, &options);
    put_flag(client, "f", "{'type':'boolean','env':{'enabled':'TEST_STORED_ENABLED'}}");
    refresh(client);
    setenv("TEST_STORED_ENABLED", "false", 1);
    put_flag(client, "other", VALUE(1));
    wait_until(value_of(client, "other") == 1);
    assert_flag(client, "f", NULL, "true on STATIC");
    refresh(client);
    assert_flag(client, "f", NULL, "false off DISABLED");
    flagver_close(client);
}
END_TEST

/* ---- in the background, and descriptors ---- */

static flagver_client *open_background(int kind, int32_t poll_ms)
{
    flagver_options options = quiet_options();

    options.background = 1;
    options.poll_ms = poll_ms;
    return open_with(kind, &options);
}

START_TEST(the_refresher_picks_up_what_others_change)
{
    flagver_client *writer = open_store(_i), *client = open_background(_i, 5);

    put_flag(writer, "f", VALUE(1));
    wait_until(value_of(client, "f") == 1);
    put_flag(writer, "f", VALUE(2));
    wait_until(value_of(client, "f") == 2);
    delete_flag(writer, "f");
    wait_until(value_of(client, "f") == -1);
    flagver_close(client);
    flagver_close(writer);
}
END_TEST

/* It would not look for itself before the test is over. */
START_TEST(the_refresher_hurries_after_a_commit_of_its_own)
{
    flagver_client *client = open_background(_i, 3600000);

    put_flag(client, "f", VALUE(1));
    wait_until(value_of(client, "f") == 1);
    flagver_close(client);
}
END_TEST

START_TEST(a_client_is_closed_while_its_refresher_runs)
{
    flagver_client *client;
    int i;

    for (i = 0; i < 10; i++) {
        client = open_background(_i, 1);
        put_flag(client, "f", VALUE(1));
        if (i % 2)
            rest(2);
        flagver_close(client);
    }
}
END_TEST

static uint64_t blocked_signals(const char *task)
{
    char path[400], line[200];
    unsigned long long blocked = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
            break;
    if (file)
        fclose(file);
    return blocked;
}

START_TEST(the_refresher_gets_no_signals)
{
    static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGALRM, SIGUSR1, SIGPIPE };
    flagver_client *client = open_background(0, 5);
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    int others = 0, i;

    ck_assert_ptr_nonnull(tasks);
    while ((task = readdir(tasks))) {
        if (task->d_name[0] == '.' || strtol(task->d_name, NULL, 10) == getpid())
            continue;
        others++;
        for (i = 0; i < COUNT(signals); i++)
            ck_assert(blocked_signals(task->d_name) >> (signals[i] - 1) & 1);
    }
    closedir(tasks);
    ck_assert_int_eq(others, 1);
    flagver_close(client);
}
END_TEST

static bool is_readable(int descriptor, int timeout_ms)
{
    struct pollfd entry = { .fd = descriptor, .events = POLLIN };

    return poll(&entry, 1, timeout_ms) == 1 && entry.revents & POLLIN;
}

START_TEST(a_descriptor_becomes_readable_and_a_refresh_drains_it)
{
    flagver_options options = quiet_options();
    flagver_client *client;
    int descriptor;

    options.poll_ms = 300;
    client = open_with(0, &options);
    descriptor = flagver_client_fd(client, &error);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq(flagver_client_fd(client, &error), descriptor);
    ck_assert(is_readable(descriptor, 20000));
    refresh(client);
    ck_assert(!is_readable(descriptor, 0));
    ck_assert(is_readable(descriptor, 20000));
    flagver_close(client);
}
END_TEST

START_TEST(who_refreshes_by_itself_has_no_descriptor)
{
    flagver_client *client = open_background(_i, 5);

    assert_fails(FLAGVER_ENOTSUP, flagver_client_fd(client, &error));
    assert_fails(FLAGVER_EINVAL, flagver_client_fd(NULL, &error));
    flagver_close(client);
}
END_TEST

/* ---- records that are malformed ---- */

/* Writes what no call would let through: a record in force with this text, and its leaves. */
static void write_behind(flagver_client *client, const char *phase, const char *key,
                         const char *json)
{
    struct fv_store *store = client->stored->store;
    const flagver_driver *driver = store->driver;
    char *text = quoted(json);
    flagver_series_row series = { .tenant = fv_bytes("default"),
                                  .phase = fv_bytes(phase),
                                  .subject = fv_bytes(key) };
    flagver_payload_row payload = { .body = fv_bytes(text) };
    flagver_version_row draft = { .no = 1,
                                  .state = FLAGVER_STATE_DRAFT,
                                  .rev = 1,
                                  .created_at = 1000,
                                  .created_by = fv_bytes("mallory") },
                        version;
    struct fv_audit_leaf leaf = { .tenant = series.tenant,
                                  .time = 1001,
                                  .actor = fv_bytes("mallory"),
                                  .action = FV_ACTION_SUBMIT,
                                  .phase = series.phase,
                                  .subject = series.subject,
                                  .no = 1,
                                  .from = FLAGVER_STATE_DRAFT,
                                  .to = FLAGVER_STATE_APPROVED,
                                  .rev = 2 };
    struct fv_text encoded = FV_TEXT_INIT;
    flagver_leaf_row row = { .tenant = series.tenant };
    flagver_driver_txn *txn;

    assert_ok(driver->begin(store->handle, series.tenant, FLAGVER_MODE_WRITE, &txn, &error));
    assert_ok(driver->lock(txn, &series, 1, 0, &error));
    ck_assert_int_eq(series.rev, 0);
    assert_ok(fv_store_id(store, 1, &series.id, &error));
    assert_ok(fv_store_id(store, 1, &draft.id, &error));
    assert_ok(fv_store_id(store, 1, &payload.id, &error));
    series.last_no = series.current_no = 1;
    series.rev = 1;
    series.changed_at = 1001;
    draft.series = series.id;
    draft.payload_id = payload.id;
    version = draft;
    version.state = FLAGVER_STATE_APPROVED;
    version.rev = 2;
    version.submitted_at = version.decided_at = 1001;
    version.decided_by = fv_bytes("mallory");
    assert_ok(driver->lock_log(txn, &row.no, &error));
    leaf.leaf_no = row.no;
    fv_leaf_encode(&leaf, &encoded);
    row.leaf = fv_bytes_of(encoded.data, encoded.length);
    {
        const flagver_change changes[] = {
            { .kind = FLAGVER_CHANGE_SERIES, .row.series = &series },
            { .kind = FLAGVER_CHANGE_PAYLOAD, .row.payload = &payload },
            { .kind = FLAGVER_CHANGE_VERSION_NEW, .row.version = &draft },
            { .kind = FLAGVER_CHANGE_VERSION_CHANGE, .expect = 1, .row.version = &version },
            { .kind = FLAGVER_CHANGE_LEAF, .row.leaf = &row },
        };

        assert_ok(driver->apply(txn, changes, COUNT(changes), &error));
    }
    assert_ok(driver->commit(txn, &error));
    fv_text_clear(&encoded);
    free(text);
}

static json_t *health_of(flagver_client *client)
{
    json_error_t why;
    json_t *health;
    char *text;

    assert_ok(flagver_client_health(client, &text, &error));
    health = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    ck_assert_msg(json_is_object(health), "%s: %s", why.text, text);
    flagver_string_free(text);
    return health;
}

static bool same_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* There are so many, this one is among them, and these words say why. */
static void assert_malformed(flagver_client *client, size_t count, const char *kind,
                             const char *name, const char *words)
{
    json_t *health = health_of(client), *list = json_object_get(health, "malformed"), *entry;
    const char *why = "";
    bool found = false;
    size_t i;

    ck_assert_uint_eq(json_array_size(list), count);
    json_array_foreach(list, i, entry)
    {
        if (!same_text(json_object_get(entry, kind), name))
            continue;
        found = true;
        why = json_string_value(json_object_get(entry, "why"));
    }
    ck_assert_msg(count == 0 || (found && strstr(why, words)), "%s %s: %s", kind, name, why);
    json_decref(health);
}

static const char *const malformed[] = {
    "",
    "{",
    "[]",
    "null",
    "{'type':'nonsense'}",
    "{'type':'boolean','percentage':101}",
    NEEDS("nothing", "on"),
    ASKS("nothing"),
    NEEDS("good", "purple"),
};

START_TEST(a_malformed_record_spoils_its_own_flag_only)
{
    flagver_client *client = open_store(_i / COUNT(malformed)), *again;
    const char *json = malformed[_i % COUNT(malformed)];

    put_flag(client, "good", SIMPLE);
    write_behind(client, FLAG, "bad", json);
    put_flag(client, "more", NEEDS("good", "on"));
    refresh(client);
    assert_flag(client, "good", NULL, "true on STATIC");
    assert_flag(client, "more", NULL, "true on DEFAULT");
    assert_flag(client, "bad", NULL, "- - ERROR PARSE_ERROR");
    assert_malformed(client, 1, "flag", "bad", "");
    if (_i / COUNT(malformed) >= SHARED_KINDS) {
        again = open_store(_i / COUNT(malformed));
        assert_flag(again, "bad", NULL, "- - ERROR PARSE_ERROR");
        assert_flag(again, "good", NULL, "true on STATIC");
        flagver_close(again);
    }
    put_flag(client, "bad", SIMPLE); /* it can be put right */
    refresh(client);
    assert_flag(client, "bad", NULL, "true on STATIC");
    assert_malformed(client, 0, "", "", "");
    flagver_close(client);
}
END_TEST

START_TEST(a_malformed_record_can_be_deleted)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn;

    write_behind(client, FLAG, "bad", "{'type':");
    txn = begin(client);
    assert_fails(FLAGVER_EPARSE, flagver_flag_ramp(txn, "bad", 5, NULL, NULL, &error));
    assert_ok(flagver_flag_delete(txn, "bad", NULL, NULL, &error));
    commit(txn);
    refresh(client);
    assert_flag(client, "bad", NULL, "- - ERROR FLAG_NOT_FOUND");
    flagver_close(client);
}
END_TEST

START_TEST(a_malformed_segment_spoils_who_asks_for_it)
{
    flagver_client *client = open_store(_i);

    write_behind(client, SEGMENT, "s", "{'include':'u'}");
    write_behind(client, FLAG, "f", ASKS("s"));
    put_flag(client, "good", SIMPLE);
    refresh(client);
    assert_flag(client, "f", "{'targetingKey':'u'}", "- - ERROR PARSE_ERROR");
    assert_flag(client, "good", NULL, "true on STATIC");
    assert_malformed(client, 2, "segment", "s", "");
    assert_malformed(client, 2, "flag", "f", "s");
    put_segment(client, "s", "{'include':['u']}");
    refresh(client);
    assert_flag(client, "f", "{'targetingKey':'u'}", "true on TARGETING_MATCH");
    flagver_close(client);
}
END_TEST

/* Taking a variant away is allowed, and whoever asked for it recovers when it comes back. */
START_TEST(a_flag_that_lost_what_it_needs_is_spoiled_until_that_comes_back)
{
    flagver_client *client = open_store(_i);

    put_flag(client, "a", "{'type':'string','variants':{'x':'1','y':'2'},'default':'y'}");
    put_flag(client, "b", NEEDS("a", "y"));
    refresh(client);
    assert_flag(client, "b", NULL, "true on DEFAULT");
    put_flag(client, "a", "{'type':'string','variants':{'x':'1'},'default':'x'}");
    refresh(client);
    assert_flag(client, "b", NULL, "- - ERROR PARSE_ERROR");
    assert_malformed(client, 1, "flag", "b", "y");
    put_flag(client, "a", "{'type':'string','variants':{'x':'1','y':'2'},'default':'y'}");
    refresh(client);
    assert_flag(client, "b", NULL, "true on DEFAULT");
    flagver_close(client);
}
END_TEST

/* ---- a store that is away ---- */

struct log {
    int lines;
    char last[1200];
};

static void note_line(void *data, int level, const char *message)
{
    struct log *log = data;

    ck_assert_int_eq(level, FLAGVER_LOG_WARNING);
    log->lines++;
    snprintf(log->last, sizeof log->last, "%s", message);
}

START_TEST(a_store_that_is_away_leaves_the_flags_as_they_are)
{
    flagver_options options = quiet_options();
    struct log log = { 0 };
    flagver_client *client;
    json_t *health;
    int i;

    options.log = note_line;
    options.log_data = &log;
    client = open_with(FAULT_KIND, &options);
    put_flag(client, "f", VALUE(1));
    refresh(client);
    flagver_fault_fail(fault, FLAGVER_FAULT_CHANGES, 1, FLAGVER_EUNAVAILABLE, true);
    for (i = 0; i < 3; i++) {
        assert_fails(FLAGVER_EUNAVAILABLE, flagver_client_refresh(client, &error));
        ck_assert_int_eq(value_of(client, "f"), 1);
    }
    ck_assert_int_eq(log.lines, 1);
    ck_assert_str_eq(log.last, "flags stay as they were: this failure was asked for");
    health = health_of(client);
    ck_assert_str_eq(json_string_value(json_object_get(health, "status")), "stale");
    json_decref(health);

    flagver_fault_reset(fault);
    put_flag(client, "f", VALUE(2));
    refresh(client);
    ck_assert_int_eq(value_of(client, "f"), 2);
    ck_assert_int_eq(log.lines, 2);
    health = health_of(client);
    ck_assert_str_eq(json_string_value(json_object_get(health, "status")), "ok");
    json_decref(health);
    flagver_close(client);
}
END_TEST

/* Whatever fails while the flags are read, they are those of one state or of the next. */
START_TEST(a_refresh_that_fails_half_way_changes_nothing)
{
    static const int calls[] = { FLAGVER_FAULT_CHANGES, FLAGVER_FAULT_BEGIN, FLAGVER_FAULT_SCAN,
                                 FLAGVER_FAULT_NEXT };
    flagver_client *client = open_store(FAULT_KIND);
    int i, nth, r, value;

    put_flag(client, "a", VALUE(0));
    put_flag(client, "b", VALUE(0));
    refresh(client);
    for (i = 0, value = 1; i < COUNT(calls); i++) {
        for (nth = 1;; nth++, value++) {
            flagver_txn *txn = begin(client);
            char json[100];

            snprintf(json, sizeof json, "{'type':'integer','variants':{'v':%d},'default':'v'}",
                     value);
            put_flag_in(txn, "a", json);
            put_flag_in(txn, "b", json);
            commit(txn);
            flagver_fault_fail(fault, calls[i], (uint64_t)nth, FLAGVER_EIO, false);
            r = flagver_client_refresh(client, &error);
            ck_assert_int_eq(value_of(client, "a"), value_of(client, "b"));
            if (r == 0)
                break;
            ck_assert_int_eq(r, FLAGVER_EIO);
            ck_assert_int_eq(value_of(client, "a"), value - 1);
            flagver_fault_fail(fault, calls[i], 0, 0, false);
            refresh(client);
            ck_assert_int_eq(value_of(client, "a"), value);
        }
        flagver_fault_fail(fault, calls[i], 0, 0, false);
        value++;
        ck_assert_int_gt(nth, 1);
    }
    flagver_close(client);
}
END_TEST

START_TEST(the_refresher_bears_with_a_store_that_is_away)
{
    flagver_client *client = open_background(FAULT_KIND, 2);
    uint64_t before;

    put_flag(client, "f", VALUE(1));
    wait_until(value_of(client, "f") == 1);
    flagver_fault_fail(fault, FLAGVER_FAULT_CHANGES, 1, FLAGVER_EUNAVAILABLE, true);
    before = flagver_fault_failures(fault);
    wait_until(flagver_fault_failures(fault) > before + 2);
    flagver_fault_fail(fault, FLAGVER_FAULT_CHANGES, 0, 0, false);
    put_flag(client, "f", VALUE(2));
    wait_until(value_of(client, "f") == 2);
    flagver_close(client);
}
END_TEST

START_TEST(a_store_that_was_replaced_is_not_mistaken_for_the_old_one)
{
    flagver_client *client = open_store(_i), *other;
    const char *path = strchr(store_uri(_i), ':') + 1;
    char command[400];

    put_flag(client, "f", VALUE(1));
    refresh(client);
    snprintf(command, sizeof command, "rm -f %s %s-wal %s-shm %s.lock", path, path, path, path);
    ck_assert_int_eq(system(command), 0);
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_client_refresh(client, &error));
    other = open_store(_i);
    put_flag(other, "g", VALUE(2));
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_client_refresh(client, &error));
    ck_assert_int_eq(value_of(client, "f"), 1);
    assert_ok(flagver_client_reopen(client, &error));
    ck_assert_int_eq(value_of(client, "f"), -1);
    ck_assert_int_eq(value_of(client, "g"), 2);
    put_flag(client, "g", VALUE(3));
    refresh(other);
    ck_assert_int_eq(value_of(other, "g"), 3);
    flagver_close(client);
    flagver_close(other);
}
END_TEST

/* A reopening that did not succeed leaves the refresher at work. */
START_TEST(reopening_does_not_stop_the_refresher)
{
    flagver_client *client = open_background(FAULT_KIND, 2);

    assert_ok(flagver_client_reopen(client, &error));
    put_flag(client, "f", VALUE(1));
    wait_until(value_of(client, "f") == 1);
    flagver_fault_fail(fault, FLAGVER_FAULT_SCAN, 1, FLAGVER_EUNAVAILABLE, true);
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_client_reopen(client, &error));
    flagver_fault_fail(fault, FLAGVER_FAULT_SCAN, 0, 0, false);
    put_flag(client, "f", VALUE(2));
    wait_until(value_of(client, "f") == 2);
    flagver_fault_fail(fault, FLAGVER_FAULT_OPEN, 1, FLAGVER_EUNAVAILABLE, false);
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_client_reopen(client, &error));
    put_flag(client, "f", VALUE(3));
    wait_until(value_of(client, "f") == 3);
    flagver_close(client);
}
END_TEST

/* ---- health ---- */

static const char *text_in(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    ck_assert_msg(text != NULL, "%s is no text", name);
    return text;
}

static void assert_members(const json_t *health)
{
    static const struct {
        const char *name;
        json_type type;
    } members[] = {
        { "status", JSON_STRING },   { "uri", JSON_STRING },     { "tenant", JSON_STRING },
        { "flags", JSON_INTEGER },   { "leaves", JSON_INTEGER }, { "generation", JSON_INTEGER },
        { "malformed", JSON_ARRAY },
    };
    static const char *const nullable[] = { "refreshed", "error", "store" };
    int i;

    for (i = 0; i < COUNT(members); i++)
        ck_assert_msg(json_object_get(health, members[i].name) &&
                          json_typeof(json_object_get(health, members[i].name)) == members[i].type,
                      "%s", members[i].name);
    for (i = 0; i < COUNT(nullable); i++)
        ck_assert_msg(json_object_get(health, nullable[i]) != NULL, "%s", nullable[i]);
    ck_assert_uint_eq(json_object_size(health), COUNT(members) + COUNT(nullable));
}

START_TEST(health_has_everything_there_is_to_say)
{
    flagver_client *client = open_store(_i);
    json_t *health;
    int64_t ms;

    put_flag(client, "f", SIMPLE);
    put_flag(client, "g", SIMPLE);
    delete_flag(client, "g");
    refresh(client);
    health = health_of(client);
    assert_members(health);
    ck_assert_str_eq(text_in(health, "status"), "ok");
    ck_assert_str_eq(text_in(health, "uri"), store_uri(_i));
    ck_assert_str_eq(text_in(health, "tenant"), "default");
    ck_assert_int_eq(json_integer_value(json_object_get(health, "flags")), 1);
    ck_assert_int_eq(json_integer_value(json_object_get(health, "leaves")), 6);
    ck_assert_uint_eq((uint64_t)json_integer_value(json_object_get(health, "generation")),
                      flagver_client_generation(client));
    ck_assert(
        fv_datetime_parse(text_in(health, "refreshed"), strlen(text_in(health, "refreshed")), &ms));
    ck_assert(json_is_null(json_object_get(health, "error")));
    ck_assert(json_is_object(json_object_get(health, "store")));
    ck_assert_uint_eq(json_array_size(json_object_get(health, "malformed")), 0);
    json_decref(health);
    flagver_close(client);
}
END_TEST

START_TEST(health_says_what_keeps_the_client_from_refreshing)
{
    flagver_client *client = open_store(FAULT_KIND);
    json_t *health, *failure;
    char since[64];
    int64_t ms;
    int i;

    for (i = 0; i < 2; i++) {
        flagver_fault_fail(fault, FLAGVER_FAULT_CHANGES, 1, FLAGVER_EUNAVAILABLE, true);
        assert_fails(FLAGVER_EUNAVAILABLE, flagver_client_refresh(client, &error));
        health = health_of(client);
        assert_members(health);
        ck_assert_str_eq(text_in(health, "status"), "stale");
        failure = json_object_get(health, "error");
        ck_assert_str_eq(text_in(failure, "code"), "EUNAVAILABLE");
        ck_assert_str_eq(text_in(failure, "message"), "this failure was asked for");
        ck_assert(
            fv_datetime_parse(text_in(failure, "since"), strlen(text_in(failure, "since")), &ms));
        if (i == 0)
            snprintf(since, sizeof since, "%s", text_in(failure, "since"));
        else
            ck_assert_str_eq(since, text_in(failure, "since")); /* since it began */
        json_decref(health);
        rest(3);
    }
    flagver_close(client);
}
END_TEST

START_TEST(health_of_a_client_without_a_store_is_short)
{
    flagver_client *client = client_of("{'flags':{'f':" SIMPLE "}}", NULL);
    json_t *health = health_of(client);
    char *text;

    ck_assert_str_eq(text_in(health, "status"), "ok");
    ck_assert_str_eq(text_in(health, "uri"), "definitions:");
    ck_assert_int_eq(json_integer_value(json_object_get(health, "flags")), 1);
    ck_assert(json_is_array(json_object_get(health, "malformed")));
    json_decref(health);
    assert_fails(FLAGVER_EINVAL, flagver_client_health(NULL, &text, &error));
    assert_fails(FLAGVER_EINVAL, flagver_client_health(client, NULL, &error));
    flagver_close(client);
}
END_TEST

/* ---- the past ---- */

static flagver_snapshot *snapshot_at(flagver_client *client, int64_t ms)
{
    flagver_snapshot *snapshot;

    assert_ok(flagver_snapshot_at(client, ms * 1000, &snapshot, &error));
    return snapshot;
}

static void assert_past(flagver_client *client, int64_t ms, const char *key, const char *context,
                        const char *expected)
{
    flagver_snapshot *snapshot = snapshot_at(client, ms);
    flagver_context *person = context_of(context);
    flagver_detail detail = { .size = sizeof detail };

    flagver_snapshot_evaluate(snapshot, key, strlen(key), person, FLAGVER_TYPE_ANY, &detail);
    assert_detail(key, &detail, expected);
    flagver_context_free(person);
    flagver_snapshot_free(snapshot);
}

#define SLOPE                                                                                   \
    "{'type':'boolean','schedule':{'interpolate':'step','steps':[{'at':'2026-03-02T00:00:00Z'," \
    "'percentage':0},{'at':'2026-03-03T00:00:00Z','percentage':100}]}}"

START_TEST(the_past_is_served_as_it_was)
{
    int64_t now = time_of("2026-03-01T00:00:00Z");
    const int64_t hour = 3600000, start = now;
    flagver_options options = quiet_options();
    flagver_client *client;

    options.clock = tell_time;
    options.clock_data = &now;
    client = open_with(_i, &options);
    put_segment(client, "s", "{'include':['u']}");
    put_flag(client, "f", VALUE(1));
    put_flag(client, "asks", ASKS("s"));
    put_flag(client, "slope", SLOPE);
    now += hour;
    put_flag(client, "f", VALUE(2));
    put_segment(client, "s", "{'include':['v']}");
    now += hour;
    delete_flag(client, "f");
    now += hour;
    put_flag(client, "f", VALUE(3));
    now += 100 * hour;
    refresh(client);
    assert_ok(flagver_flag_override(client, "asks", "off", &error));

    assert_past(client, start - 1, "f", NULL, "- - ERROR FLAG_NOT_FOUND");
    assert_past(client, start + hour - 1, "f", NULL, "1 v STATIC");
    assert_past(client, start + hour + 1, "f", NULL, "2 v STATIC");
    assert_past(client, start + 2 * hour + 1, "f", NULL, "- - ERROR FLAG_NOT_FOUND");
    assert_past(client, start + 3 * hour + 1, "f", NULL, "3 v STATIC");
    assert_past(client, start + 1, "asks", "{'targetingKey':'u'}", "true on TARGETING_MATCH");
    assert_past(client, start + hour + 1, "asks", "{'targetingKey':'u'}", "false off DEFAULT");
    assert_past(client, start + hour + 1, "asks", "{'targetingKey':'v'}",
                "true on TARGETING_MATCH");
    assert_past(client, time_of("2026-03-02T23:59:59Z"), "slope", "{'targetingKey':'u'}",
                "false off DEFAULT");
    assert_past(client, time_of("2026-03-03T00:00:00Z"), "slope", "{'targetingKey':'u'}",
                "true on DEFAULT");
    assert_past(client, INT64_MAX / 1000, "f", NULL, "3 v STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(a_snapshot_of_the_past_outlives_its_client)
{
    flagver_client *client = open_store(_i);
    flagver_snapshot *snapshot;
    flagver_version *version;
    flagver_detail detail = { .size = sizeof detail };

    put_flag(client, "slope", SLOPE);
    assert_ok(flagver_version_current(client, FLAG, "slope", &version, &error));
    snapshot = snapshot_at(client, time_of("2036-01-01T00:00:00Z"));
    flagver_close(client);
    ck_assert_uint_eq(flagver_snapshot_size(snapshot), 1);
    flagver_snapshot_evaluate(snapshot, "slope", 5, NULL, FLAGVER_TYPE_BOOL, &detail);
    assert_detail("slope", &detail, "true on DEFAULT");
    ck_assert_int_eq(detail.version, 1);
    flagver_version_free(version);
    flagver_snapshot_free(snapshot);
}
END_TEST

START_TEST(what_was_spoiled_then_is_spoiled_in_the_past)
{
    flagver_client *client = open_store(_i);

    write_behind(client, FLAG, "bad", "{'type':1}"); /* in force since 1970 */
    put_flag(client, "bad", SIMPLE);
    assert_past(client, time_of("2001-01-01T00:00:00Z"), "bad", NULL, "- - ERROR PARSE_ERROR");
    assert_past(client, time_of("2200-01-01T00:00:00Z"), "bad", NULL, "true on STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(a_past_before_1970_is_refused)
{
    flagver_client *client = open_store(_i);
    flagver_snapshot *snapshot;

    assert_fails(FLAGVER_EINVAL, flagver_snapshot_at(client, 0, &snapshot, &error));
    assert_fails(FLAGVER_EINVAL, flagver_snapshot_at(client, -1, &snapshot, &error));
    assert_fails(FLAGVER_EINVAL, flagver_snapshot_at(NULL, 1, &snapshot, &error));
    assert_fails(FLAGVER_EINVAL, flagver_snapshot_at(client, 1, NULL, &error));
    flagver_close(client);
}
END_TEST

/* ---- tenants ---- */

START_TEST(tenants_have_flags_of_their_own)
{
    flagver_client *one = open_store(_i), *two, *three;

    assert_ok(flagver_client_tenant(one, "two", &two, &error));
    assert_ok(flagver_client_tenant(two, "three", &three, &error));
    put_flag(one, "f", VALUE(1));
    put_flag(two, "f", VALUE(2));
    refresh(one);
    refresh(two);
    refresh(three);
    ck_assert_int_eq(value_of(one, "f"), 1);
    ck_assert_int_eq(value_of(two, "f"), 2);
    ck_assert_int_eq(value_of(three, "f"), -1);
    flagver_close(one); /* in any order */
    put_flag(three, "f", VALUE(3));
    refresh(three);
    ck_assert_int_eq(value_of(three, "f"), 3);
    flagver_close(three);
    refresh(two);
    put_flag(two, "f", VALUE(4));
    refresh(two);
    ck_assert_int_eq(value_of(two, "f"), 4);
    flagver_close(two);
}
END_TEST

START_TEST(a_tenant_is_the_same_however_it_is_opened)
{
    flagver_options options = quiet_options();
    flagver_client *one = open_store(_i), *view, *opened;

    assert_ok(flagver_client_tenant(one, "two", &view, &error));
    put_flag(view, "f", VALUE(2));
    options.tenant = "two";
    opened = open_with(_i, &options);
    ck_assert_int_eq(value_of(opened, "f"), 2);
    flagver_close(one);
    flagver_close(opened);
    flagver_close(view);
}
END_TEST

START_TEST(a_view_has_the_options_of_its_client)
{
    int64_t now = time_of("2026-03-02T12:00:00Z");
    flagver_options options = quiet_options();
    flagver_client *one, *view;
    flagver_version *version;

    options.clock = tell_time;
    options.clock_data = &now;
    options.background = 1;
    options.poll_ms = 5;
    one = open_with(_i, &options);
    assert_ok(flagver_client_tenant(one, "two", &view, &error));
    flagver_close(one);
    put_flag(view, "slope", SLOPE);
    wait_until(flagver_flag_bool(view, "slope", NULL, true) == false);
    now += 24 * 3600000;
    ck_assert(flagver_flag_bool(view, "slope", NULL, false));
    assert_ok(flagver_version_current(view, FLAG, "slope", &version, &error));
    ck_assert_int_eq(version->created_at, time_of("2026-03-02T12:00:00Z") * 1000);
    flagver_version_free(version);
    flagver_close(view);
}
END_TEST

/* ---- fork ---- */

/* Runs it in a child, which must end well. */
static void in_child(void (*run)(flagver_client *client), flagver_client *client)
{
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        run(client);
        _exit(EXIT_SUCCESS);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS,
                  "the child ended with status %d", status);
}

/* What a child is to say: ck_assert would speak to Check's parent in its place. */
#define require(condition)                                                             \
    do {                                                                               \
        if (!(condition)) {                                                            \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, error.message); \
            _exit(EXIT_FAILURE);                                                       \
        }                                                                              \
    } while (0)

static void evaluate_only(flagver_client *client)
{
    flagver_snapshot *snapshot;
    flagver_version *version;
    flagver_client *view;
    flagver_txn *txn;
    char *text;

    require(value_of(client, "f") == 1);
    require(flagver_txn_begin(client, &alice, NULL, &txn, &error) == FLAGVER_EFORKED);
    require(strstr(error.message, "flagver_client_reopen()"));
    require(flagver_client_refresh(client, &error) == FLAGVER_EFORKED);
    require(flagver_version_current(client, FLAG, "f", &version, &error) == FLAGVER_EFORKED);
    require(flagver_audit_log(client, 0, 0, ignore_entry, NULL, NULL, &error) == FLAGVER_EFORKED);
    require(flagver_snapshot_at(client, 1, &snapshot, &error) == FLAGVER_EFORKED);
    require(flagver_client_tenant(client, "two", &view, &error) == FLAGVER_EFORKED);
    require(flagver_flags_export(client, &text, &error) == FLAGVER_EFORKED);
    require(flagver_client_health(client, &text, &error) == 0);
    require(strstr(text, "\"status\":\"forked\""));
    flagver_string_free(text);
    require(flagver_flag_override(client, "f", "v", &error) == 0);
    require(value_of(client, "f") == 1);
    flagver_close(client);
}

static void assert_unharmed(flagver_client *client)
{
    put_flag(client, "f", VALUE(8));
    refresh(client);
    ck_assert_int_eq(value_of(client, "f"), 8);
}

START_TEST(a_child_evaluates_and_leaves_the_store_alone)
{
    flagver_client *client = open_store(_i);

    put_flag(client, "f", VALUE(1));
    refresh(client);
    in_child(evaluate_only, client);
    assert_unharmed(client);
    flagver_close(client);
}
END_TEST

/* A client whose store does not answer from now on: only the end of the process is its end. */
static flagver_client *silenced(void)
{
    flagver_client *client = open_background(FAULT_KIND, 2);
    uint64_t before;

    put_flag(client, "f", VALUE(1));
    wait_until(value_of(client, "f") == 1);
    before = flagver_fault_calls(fault, FLAGVER_FAULT_CHANGES);
    flagver_fault_delay(fault, FLAGVER_FAULT_CHANGES, 1, 600000);
    wait_until(flagver_fault_calls(fault, FLAGVER_FAULT_CHANGES) > before);
    return client;
}

static bool health_has(flagver_client *client, const char *words)
{
    bool has;
    char *text;

    require(flagver_client_health(client, &text, &error) == 0);
    has = strstr(text, words) != NULL;
    flagver_string_free(text);
    return has;
}

static void is_called_stale(flagver_client *client)
{
    client = silenced();
    require(health_has(client, "\"status\":\"ok\""));
    while (!health_has(client, "\"status\":\"stale\""))
        rest(5);
    require(health_has(client, "\"code\":\"EUNAVAILABLE\""));
    require(health_has(client, "the store has not answered for "));
    require(value_of(client, "f") == 1);
}

START_TEST(a_store_that_does_not_answer_is_not_called_well)
{
    in_child(is_called_stale, NULL);
}
END_TEST

static void is_forked(flagver_client *client)
{
    client = silenced();
    in_child(evaluate_only, client);
    require(value_of(client, "f") == 1);
}

START_TEST(a_store_that_does_not_answer_holds_up_no_fork)
{
    in_child(is_forked, NULL);
}
END_TEST

static void reopen_and_write(flagver_client *client)
{
    static const char json[] = "{\"type\":\"integer\",\"variants\":{\"v\":5},\"default\":\"v\"}";
    flagver_txn *txn;
    char *text;

    require(flagver_client_reopen(client, &error) == 0);
    require(flagver_txn_begin(client, &bob, NULL, &txn, &error) == 0);
    require(flagver_flag_put(txn, "f", json, strlen(json), NULL, NULL, &error) == 0);
    require(flagver_txn_commit(txn, &error) == 0);
    flagver_txn_free(txn);
    require(flagver_client_refresh(client, &error) == 0);
    require(value_of(client, "f") == 5);
    require(flagver_client_health(client, &text, &error) == 0);
    require(strstr(text, "\"status\":\"ok\""));
    flagver_string_free(text);
    flagver_close(client);
}

START_TEST(a_child_reopens_and_writes)
{
    flagver_client *client = open_store(_i);

    put_flag(client, "f", VALUE(1));
    refresh(client);
    in_child(reopen_and_write, client);
    refresh(client);
    ck_assert_int_eq(value_of(client, "f"), 5);
    assert_unharmed(client);
    flagver_close(client);
}
END_TEST

static void wait_for_background(flagver_client *client)
{
    static const char json[] = "{\"type\":\"integer\",\"variants\":{\"v\":6},\"default\":\"v\"}";
    flagver_txn *txn;
    int left = 4000;

    require(flagver_client_reopen(client, &error) == 0);
    require(flagver_txn_begin(client, &bob, NULL, &txn, &error) == 0);
    require(flagver_flag_put(txn, "f", json, strlen(json), NULL, NULL, &error) == 0);
    require(flagver_txn_commit(txn, &error) == 0);
    flagver_txn_free(txn);
    while (value_of(client, "f") != 6 && left-- > 0)
        rest(5);
    require(left > 0);
    flagver_close(client);
}

START_TEST(a_child_that_reopens_has_a_refresher_again)
{
    flagver_client *client = open_background(_i, 5);

    put_flag(client, "f", VALUE(1));
    wait_until(value_of(client, "f") == 1);
    in_child(wait_for_background, client);
    wait_until(value_of(client, "f") == 6);
    flagver_close(client);
}
END_TEST

static flagver_txn *open_txn;
static bool is_sqlite;

static void free_txn(flagver_client *client)
{
    require(flagver_flag_enable(open_txn, "f", NULL, NULL, &error) == FLAGVER_EFORKED);
    require(flagver_txn_commit(open_txn, &error) == FLAGVER_EFORKED);
    /* SQLite cannot open a file again that it was writing to at the fork. */
    require(flagver_client_reopen(client, &error) == (is_sqlite ? FLAGVER_EUNAVAILABLE : 0));
    require(flagver_flag_enable(open_txn, "f", NULL, NULL, &error) == FLAGVER_EFORKED);
    flagver_txn_free(open_txn);
    flagver_close(client);
}

START_TEST(a_transaction_that_was_open_can_only_be_freed_in_a_child)
{
    flagver_client *client = open_store(_i);

    is_sqlite = strstr(store_uri(_i), "sqlite:") != NULL;
    put_flag(client, "f", VALUE(1));
    open_txn = begin(client);
    put_flag_in(open_txn, "f", VALUE(2));
    in_child(free_txn, client);
    put_flag_in(open_txn, "g", VALUE(2));
    commit(open_txn);
    refresh(client);
    ck_assert_int_eq(value_of(client, "f"), 2);
    ck_assert_int_eq(value_of(client, "g"), 2);
    flagver_close(client);
}
END_TEST

/* The descriptor is the parent's as well: who drains it in a child must not drain it there. */
static void refresh_in_child(flagver_client *client)
{
    require(flagver_client_reopen(client, &error) == 0);
    require(flagver_client_refresh(client, &error) == 0);
    flagver_close(client);
}

START_TEST(a_child_does_not_drain_its_parents_descriptor)
{
    flagver_options options = quiet_options();
    flagver_client *client;
    int descriptor;

    options.poll_ms = 300;
    client = open_with(_i, &options);
    descriptor = flagver_client_fd(client, &error);
    ck_assert(is_readable(descriptor, 20000));
    in_child(refresh_in_child, client);
    ck_assert(is_readable(descriptor, 0));
    flagver_close(client);
}
END_TEST

static Suite *stored_suite(void)
{
    Suite *suite = suite_create("stored");
    TCase *opening = add_store_tcase(suite, "opening"),
          *refreshing = add_store_tcase(suite, "refreshing"),
          *background = add_store_tcase(suite, "background"),
          *spoiled = add_store_tcase(suite, "malformed"), *away = add_store_tcase(suite, "away"),
          *health = add_store_tcase(suite, "health"), *past = add_store_tcase(suite, "past"),
          *tenants = add_store_tcase(suite, "tenants"), *forks = add_store_tcase(suite, "fork");

    tcase_add_loop_test(opening, an_empty_store_has_no_flags, 0, STORE_KINDS);
    tcase_add_loop_test(opening, flags_of_a_store_are_there_from_the_start, FAULT_KIND,
                        STORE_KINDS);
    tcase_add_test(opening, a_store_in_memory_is_its_clients_alone);
    tcase_add_loop_test(opening, a_uri_that_names_no_store_is_refused, 0, COUNT(bad_uris));
    tcase_add_loop_test(opening, a_tenant_has_a_name, 0, STORE_KINDS);
    tcase_add_loop_test(opening, definitions_of_a_store_cannot_be_loaded, 0, STORE_KINDS);
    tcase_add_test(opening, a_client_without_a_store_says_so);
    tcase_add_loop_test(opening, memory_of_the_hosts_comes_back, 0, STORE_KINDS);

    tcase_add_loop_test(refreshing, a_change_appears_when_the_client_refreshes, 0, STORE_KINDS);
    tcase_add_loop_test(refreshing, clients_of_one_store_see_each_others_changes, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_test(refreshing, many_changes_are_caught_up_with);
    tcase_add_loop_test(refreshing, drafts_are_not_served, 0, STORE_KINDS);
    tcase_add_loop_test(refreshing, a_detail_tells_the_version, 0, STORE_KINDS);
    tcase_add_loop_test(refreshing, a_segment_changes_who_asks_for_it, 0, STORE_KINDS);
    tcase_add_loop_test(refreshing, an_override_survives_what_happens_in_the_store, 0, STORE_KINDS);
    tcase_add_loop_test(refreshing, a_snapshot_stays_as_it_was, 0, STORE_KINDS);
    tcase_add_loop_test(refreshing, the_environment_is_read_when_the_host_refreshes, 0,
                        STORE_KINDS);

    tcase_add_loop_test(background, the_refresher_leaves_the_environment_alone, 0, STORE_KINDS);
    tcase_add_loop_test(background, the_refresher_picks_up_what_others_change, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_loop_test(background, the_refresher_hurries_after_a_commit_of_its_own, 0,
                        STORE_KINDS);
    tcase_add_loop_test(background, a_client_is_closed_while_its_refresher_runs, 0, STORE_KINDS);
    tcase_add_test(background, the_refresher_gets_no_signals);
    tcase_add_test(background, a_descriptor_becomes_readable_and_a_refresh_drains_it);
    tcase_add_loop_test(background, who_refreshes_by_itself_has_no_descriptor, 0, STORE_KINDS);

    tcase_add_loop_test(spoiled, a_malformed_record_spoils_its_own_flag_only, 0,
                        STORE_KINDS * COUNT(malformed));
    tcase_add_loop_test(spoiled, a_malformed_record_can_be_deleted, 0, STORE_KINDS);
    tcase_add_loop_test(spoiled, a_malformed_segment_spoils_who_asks_for_it, 0, STORE_KINDS);
    tcase_add_loop_test(spoiled, a_flag_that_lost_what_it_needs_is_spoiled_until_that_comes_back, 0,
                        STORE_KINDS);

    tcase_add_test(away, a_store_that_is_away_leaves_the_flags_as_they_are);
    tcase_add_test(away, a_refresh_that_fails_half_way_changes_nothing);
    tcase_add_test(away, the_refresher_bears_with_a_store_that_is_away);
    tcase_add_loop_test(away, a_store_that_was_replaced_is_not_mistaken_for_the_old_one,
                        SHARED_KINDS, FILE_KINDS);
    tcase_add_test(away, reopening_does_not_stop_the_refresher);

    tcase_add_loop_test(health, health_has_everything_there_is_to_say, 0, STORE_KINDS);
    tcase_add_test(health, health_says_what_keeps_the_client_from_refreshing);
    tcase_add_test(health, health_of_a_client_without_a_store_is_short);

    tcase_add_loop_test(past, the_past_is_served_as_it_was, 0, STORE_KINDS);
    tcase_add_loop_test(past, a_snapshot_of_the_past_outlives_its_client, 0, STORE_KINDS);
    tcase_add_loop_test(past, what_was_spoiled_then_is_spoiled_in_the_past, 0, STORE_KINDS);
    tcase_add_loop_test(past, a_past_before_1970_is_refused, 0, STORE_KINDS);

    tcase_add_loop_test(tenants, tenants_have_flags_of_their_own, 0, STORE_KINDS);
    tcase_add_loop_test(tenants, a_tenant_is_the_same_however_it_is_opened, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_loop_test(tenants, a_view_has_the_options_of_its_client, 0, STORE_KINDS);

    tcase_set_tags(forks, "fork");
    tcase_add_loop_test(forks, a_child_evaluates_and_leaves_the_store_alone, 0, STORE_KINDS);
    tcase_add_test(forks, a_store_that_does_not_answer_is_not_called_well);
    tcase_add_test(forks, a_store_that_does_not_answer_holds_up_no_fork);
    tcase_add_loop_test(forks, a_child_reopens_and_writes, SHARED_KINDS, STORE_KINDS);
    tcase_add_loop_test(forks, a_child_that_reopens_has_a_refresher_again, SHARED_KINDS,
                        STORE_KINDS);
    tcase_add_loop_test(forks, a_transaction_that_was_open_can_only_be_freed_in_a_child,
                        SHARED_KINDS, STORE_KINDS);
    tcase_add_loop_test(forks, a_child_does_not_drain_its_parents_descriptor, SHARED_KINDS,
                        STORE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(stored_suite());
}
