/*
 * Two tenants in one PostgreSQL database: what only the other one has answers exactly like what
 * nobody has, neither waits for what the other has locked, and plain SQL shows an
 * application's role nothing but what is of the tenant that it has set.
 */
#define _GNU_SOURCE /* open_memstream() */
#include <inttypes.h>
#include <libpq-fe.h>

#include "cluster.h"
#include "flagver/key.h"
#include "flagver/metric.h"
#include "stores.h"

#define OURS "anna"
#define THEIRS "bert"

/* As long as each other, so that words about them are. */
#define ONLY "only" /* what they alone have */
#define NONE "none" /* what nobody has */

static const char *const lead[] = { "Lead" };
static const flagver_actor leader = {
    .size = sizeof leader, .id = "leader", .roles = lead, .role_count = 1
};

static struct pooler *pooler;
static flagver_client *ours, *theirs;
static char their_id[40];

static int give_key(void *unused, const char *id, char ret_id[65], uint8_t ret_key[32])
{
    (void)unused;
    strcpy(ret_id, id ? id : "k");
    memset(ret_key, 'k', 32);
    return 0;
}

static const char *answer(const char *query)
{
    return cluster_value(cluster_shared(), database, query);
}

/* ---- what they have ---- */

static void put_as(flagver_client *client, const char *phase, const char *subject, const char *json)
{
    flagver_txn *txn = begin(client);

    assert_ok(try_put(txn, phase, subject, json, NULL, NULL));
    commit(txn);
}

static void put_policies(flagver_client *client)
{
    put_as(client, FLAGVER_PHASE_PHASE, "plan",
           "{'approval':{'rule':{'role_in':['Lead']}},'shred':{'role_in':['Lead']}}");
    put_as(client, FLAGVER_PHASE_PHASE, "entry", "{'versioning':'audit_only'}");
    put_as(client, FLAGVER_PHASE_PHASE, "secret",
           "{'encrypt':true,'approval':{'required':false},'shred':{'role_in':['Lead']}}");
}

static void hand_in(flagver_client *client, const char *subject)
{
    static const flagver_item_content item = { ONLY, "1", 1 };
    static const char *const keys[] = { ONLY };
    flagver_txn *txn = begin(client);
    flagver_version *version;
    uint32_t no;

    assert_ok(flagver_version_create(txn, "plan", subject, "{\"a\":1}", 7, NULL, &version, &error));
    no = version->no;
    snprintf(their_id, sizeof their_id, "%s", version->id);
    flagver_version_free(version);
    commit(txn);
    txn = begin_as(client, &bob, NULL);
    assert_ok(flagver_items_put(txn, "plan", subject, no, &item, 1, NULL, NULL, &error));
    assert_ok(flagver_version_submit(txn, "plan", subject, no, NULL, NULL, &error));
    commit(txn);
    if (no > 1)
        return;
    txn = begin_as(client, &leader, NULL);
    assert_ok(flagver_items_decide(txn, "plan", subject, no, keys, 1, FLAGVER_ITEM_APPROVED, NULL,
                                   NULL, &error));
    assert_ok(flagver_version_approve(txn, "plan", subject, no, NULL, NULL, &error));
    commit(txn);
}

/* A record of each kind, of which another client has none: two versions, the later one submitted. */
static void fill(flagver_client *client, const char *name)
{
    flagver_txn *txn;

    hand_in(client, name);
    hand_in(client, name);
    put_as(client, "secret", name, "{'a':1}");
    put_segment(client, name, "{'include':['u']}");
    put_flag(client, name, SIMPLE);
    put_flag(client, name, SHARE(10));
    txn = begin_with_key(client, name);
    assert_ok(flagver_version_record(txn, "entry", name, "1", 1, NULL, NULL, &error));
    assert_ok(flagver_assign(txn, "Owner", name, "u", NULL, NULL, &error));
    commit(txn);
}

static flagver_client *open_tenant(const char *uri, const char *tenant)
{
    flagver_options options = quiet_options();
    flagver_client *client = NULL;

    options.tenant = tenant;
    options.key = give_key;
    options.wait_ms = 500;
    assert_ok(flagver_open(uri, &options, &client, &error));
    return client;
}

/* `_i` of a test: straight, or behind a pooler. */
#define WAYS 2

static void open_both(int way)
{
    const char *uri = database_uri("app");

    if (way == 1 && !pooler_possible())
        pooler_skip();
    if (way == 1)
        pooler = pooler_start(cluster_shared(), NULL);
    if (way == 1)
        uri = pooler_uri(pooler, database, "app");
    ours = open_tenant(uri, OURS);
    theirs = open_tenant(uri, THEIRS);
    put_policies(ours);
    put_policies(theirs);
    fill(theirs, ONLY);
}

static void close_both(void)
{
    flagver_close(ours);
    flagver_close(theirs);
    pooler_stop(pooler);
    pooler = NULL;
}

/* ---- asking for what is not ours ---- */

struct probe {
    const char *name, *id;
    flagver_txn *txn; /* of one that writes */
    FILE *out;        /* all that came back */
};

static void say(struct probe *probe, const char *call, int r)
{
    fprintf(probe->out, "%s: %d %s %s\n", call, r, r < 0 ? error.sqlstate : "",
            r < 0 ? error.message : "");
}

#define SAY(call) say(probe, #call, call)

static void tell_version(struct probe *probe, flagver_version *version)
{
    if (version)
        fprintf(probe->out, "version %u %s\n", version->no, version->payload);
    flagver_version_free(version);
}

static bool tell_listed(void *data, const flagver_version *version)
{
    struct probe *probe = data;

    fprintf(probe->out, "%s %s %u\n", version->phase, version->subject, version->no);
    return true;
}

static bool tell_item(void *data, const flagver_item *item)
{
    struct probe *probe = data;

    fprintf(probe->out, "%s %s\n", item->key, item->payload);
    return true;
}

static bool tell_vote(void *data, const flagver_vote *vote)
{
    struct probe *probe = data;

    fprintf(probe->out, "%s\n", vote->actor);
    return true;
}

static bool tell_author(void *data, const char *actor)
{
    struct probe *probe = data;

    fprintf(probe->out, "%s\n", actor);
    return true;
}

static void tell_group(void *data, const flagver_metric_group *group)
{
    struct probe *probe = data;

    fprintf(probe->out, "%s %s %" PRIu64 "\n", group->phase, group->subject, group->created);
}

static void tell_step(void *data, const flagver_plan_step *step)
{
    struct probe *probe = data;

    fprintf(probe->out, "%d %s %u %s\n", step->action, step->key, step->current_no,
            step->difference);
}

#define NOW (INT64_C(4102444800) * 1000000) /* well after all that has happened */

static void read_versions(struct probe *probe)
{
    static const char *const phases[] = { "plan", "entry", "secret", FLAGVER_PHASE_FLAG,
                                          FLAGVER_PHASE_SEGMENT };
    flagver_version *version;
    char *text;
    size_t i;

    for (i = 0; i < sizeof phases / sizeof *phases; i++) {
        version = NULL;
        SAY(flagver_version_current(ours, phases[i], probe->name, &version, &error));
        tell_version(probe, version);
        version = NULL;
        SAY(flagver_version_get(ours, phases[i], probe->name, 1, &version, &error));
        tell_version(probe, version);
        version = NULL;
        SAY(flagver_version_as_of(ours, phases[i], probe->name, NOW, &version, &error));
        tell_version(probe, version);
        text = NULL;
        SAY(flagver_version_diff(ours, phases[i], probe->name, 1, 2, FLAGVER_DIFF_LINES, &text,
                                 &error));
        flagver_string_free(text);
        SAY(flagver_version_history(ours, phases[i], probe->name, NULL, tell_listed, probe,
                                    &error));
    }
    version = NULL;
    SAY(flagver_version_by_id(ours, probe->id, &version, &error));
    tell_version(probe, version);
}

static void read_lists(struct probe *probe)
{
    const flagver_list_options list = { .size = sizeof list, .prefix = probe->name, .all = 1 };
    const flagver_metric_options groups = { .size = sizeof groups,
                                            .prefix = probe->name,
                                            .parts = 1 };
    char *text = NULL;

    SAY(flagver_version_list(ours, NULL, &list, tell_listed, probe, &error));
    SAY(flagver_version_due(ours, &leader, NULL, &list, tell_listed, probe, &error));
    SAY(flagver_items_list(ours, "plan", probe->name, 1, tell_item, probe, &error));
    SAY(flagver_votes_list(ours, "plan", probe->name, 1, tell_vote, probe, &error));
    SAY(flagver_authors_list(ours, "plan", probe->name, 1, tell_author, probe, &error));
    SAY(flagver_version_metrics(ours, &groups, tell_group, probe, &error));
    SAY(flagver_phase_policy(ours, probe->name, NULL, &text, &error));
    flagver_string_free(text);
}

static void read_flags(struct probe *probe)
{
    flagver_detail detail = { .size = sizeof detail };
    flagver_snapshot *snapshot = NULL;
    char json[64], *text = NULL;
    int length = snprintf(json, sizeof json, "{\"flags\":{\"%s\":{\"type\":\"boolean\"}}}",
                          probe->name);

    SAY(flagver_client_refresh(ours, &error));
    SAY(flagver_flag_bool_detail(ours, probe->name, NULL, false, &detail));
    fprintf(probe->out, "%d %lld\n", detail.error, (long long)detail.version);
    SAY(flagver_flag_explain(ours, probe->name, strlen(probe->name), NULL, &text, &error));
    fprintf(probe->out, "%s\n", text);
    flagver_string_free(text);
    SAY(flagver_snapshot_at(ours, NOW, &snapshot, &error));
    fprintf(probe->out, "%zu flags\n", flagver_snapshot_size(snapshot));
    flagver_snapshot_free(snapshot);
    SAY(flagver_flags_plan(ours, json, (size_t)length, NULL, true, tell_step, probe, &error));
}

static void change_versions(struct probe *probe)
{
    const flagver_item_content item = { ONLY, "2", 1 };
    const char *const keys[] = { ONLY };
    const char *name = probe->name;
    flagver_txn *txn = probe->txn;

    SAY(flagver_version_edit(txn, "plan", name, 2, "2", 1, NULL, NULL, &error));
    SAY(flagver_version_submit(txn, "plan", name, 2, NULL, NULL, &error));
    SAY(flagver_version_rebase(txn, "plan", name, 2, NULL, NULL, &error));
    SAY(flagver_version_return(txn, "plan", name, 2, NULL, NULL, &error));
    SAY(flagver_version_approve(txn, "plan", name, 2, NULL, NULL, &error));
    SAY(flagver_version_reject(txn, "plan", name, 2, NULL, NULL, &error));
    SAY(flagver_version_withdraw(txn, "plan", name, 2, NULL, NULL, &error));
    SAY(flagver_version_revert(txn, "plan", name, 1, NULL, NULL, &error));
    SAY(flagver_version_remove(txn, "plan", name, NULL, NULL, &error));
    SAY(flagver_version_review(txn, "plan", name, 1, NULL, NULL, &error));
    SAY(flagver_version_shred(txn, "secret", name, 1, NULL, &error));
    SAY(flagver_retain(txn, "secret", name, NOW, NULL, NULL, &error));
    SAY(flagver_items_put(txn, "plan", name, 2, &item, 1, NULL, NULL, &error));
    SAY(flagver_items_remove(txn, "plan", name, 2, keys, 1, NULL, NULL, &error));
    SAY(flagver_items_decide(txn, "plan", name, 2, keys, 1, FLAGVER_ITEM_REJECTED, NULL, NULL,
                             &error));
    SAY(flagver_unassign(txn, "Owner", name, "u", NULL, NULL, &error));
}

static void change_flags(struct probe *probe)
{
    const char *const users[] = { "u" };
    const char *name = probe->name;
    flagver_txn *txn = probe->txn;
    char json[128];
    size_t length = (size_t)snprintf(json, sizeof json,
                                     "{\"type\":\"boolean\",\"rules\":[{\"if\":"
                                     "{\"segment\":\"%s\"},\"serve\":\"on\"}]}",
                                     name);

    SAY(flagver_flag_enable(txn, name, NULL, NULL, &error));
    SAY(flagver_flag_disable(txn, name, NULL, NULL, &error));
    SAY(flagver_flag_ramp(txn, name, 50, NULL, NULL, &error));
    SAY(flagver_flag_beta_add(txn, name, users, 1, NULL, NULL, &error));
    SAY(flagver_flag_schedule(txn, name, NULL, 0, NULL, NULL, &error));
    SAY(flagver_flag_revert(txn, name, 1, NULL, NULL, &error));
    SAY(flagver_flag_delete(txn, name, NULL, NULL, &error));
    SAY(flagver_segment_revert(txn, name, 1, NULL, NULL, &error));
    SAY(flagver_segment_delete(txn, name, NULL, NULL, &error));
    SAY(flagver_flag_put(txn, "asks", json, length, NULL, NULL, &error));
    SAY(flagver_flag_put(txn, name, json, length, NULL, NULL, &error));
}

/* What they have, we can make. */
static void create(struct probe *probe)
{
    const flagver_write_options fresh = { .size = sizeof fresh, .expect_no = FLAGVER_EXPECT_NONE },
                                second = { .size = sizeof second, .expect_no = 1 };
    const char *name = probe->name, *const names[] = { name };
    flagver_version *version = NULL;
    flagver_txn *txn = probe->txn;
    uint32_t no = 0;

    SAY(flagver_txn_lock(txn, "plan", names, 1, &error));
    SAY(flagver_flag_put(txn, name, "{\"type\":\"boolean\"}", 18, &second, &no, &error));
    SAY(flagver_version_put(txn, "secret", name, "1", 1, &fresh, &version, &error));
    tell_version(probe, version);
    version = NULL;
    SAY(flagver_version_create(txn, "plan", name, "1", 1, NULL, &version, &error));
    tell_version(probe, version);
    version = NULL;
    SAY(flagver_version_record(txn, "entry", name, "1", 1, NULL, &version, &error));
    tell_version(probe, version);
    SAY(flagver_flag_put(txn, name, "{\"type\":\"boolean\"}", 18, &fresh, &no, &error));
    fprintf(probe->out, "%u\n", no);
    SAY(flagver_segment_put(txn, name, "{\"include\":[]}", 14, &fresh, &no, &error));
    fprintf(probe->out, "%u\n", no);
    SAY(flagver_assign(txn, "Owner", name, "u", NULL, &no, &error));
    fprintf(probe->out, "%u\n", no);
}

static void (*const probes[])(struct probe *probe) = { read_versions,   read_lists,   read_flags,
                                                       change_versions, change_flags, create };

/* All that came back, without the names of what was asked for. From malloc. */
static char *ask(void (*run)(struct probe *probe), const char *name, const char *id)
{
    const flagver_txn_options options = { .size = sizeof options, .idempotency_key = name };
    struct probe probe = { .name = name, .id = id };
    char *text = NULL, *at;
    size_t length;

    probe.out = open_memstream(&text, &length);
    probe.txn = begin_as(ours, &leader, &options);
    run(&probe);
    flagver_txn_free(probe.txn);
    fclose(probe.out);
    while ((at = strstr(text, name)))
        memset(at, '?', strlen(name));
    while ((at = strstr(text, id)))
        memset(at, '?', strlen(id));
    return text;
}

START_TEST(what_only_another_tenant_has_answers_like_what_nobody_has)
{
    static const char nobodys_id[] = "0190b2e4-1f3a-7c5d-8e6f-0123456789ab";
    char *foreign, *nobodys;
    size_t i;

    open_both(_i);
    for (i = 0; i < sizeof probes / sizeof *probes; i++) {
        foreign = ask(probes[i], ONLY, their_id);
        nobodys = ask(probes[i], NONE, nobodys_id);
        ck_assert_str_eq(foreign, nobodys);
        free(foreign);
        free(nobodys);
    }
    close_both();
}
END_TEST

START_TEST(what_another_tenant_has_can_be_made_all_the_same)
{
    const flagver_verify_options all = { .size = sizeof all };

    open_both(_i);
    fill(ours, ONLY);
    ck_assert_uint_eq(current_no(ours, "plan", ONLY), 1);
    ck_assert_uint_eq(current_no(ours, "entry", ONLY), 1);
    ck_assert_uint_eq(flag_no(ours, ONLY), 2);
    ck_assert_uint_eq(leaves_of(ours), leaves_of(theirs));
    ck_assert_int_eq(flagver_audit_verify(ours, &all, NULL, NULL, NULL, &error), 0);
    ck_assert_int_eq(flagver_audit_verify(theirs, &all, NULL, NULL, NULL, &error), 0);
    close_both();
}
END_TEST

/* Also at the log, which is locked by whoever has written. Waiting for it would be FLAGVER_EBUSY. */
START_TEST(nobody_waits_for_what_another_tenant_has_locked)
{
    flagver_txn *txn, *other, *third;

    open_both(_i);
    fill(ours, ONLY);
    txn = begin(theirs);
    put_flag_in(txn, ONLY, SHARE(20));
    put_flag_in(txn, "new", SIMPLE);
    other = begin(ours);
    put_flag_in(other, ONLY, SHARE(30));
    put_flag_in(other, "new", SIMPLE);
    commit(other);
    third = begin(theirs); /* of their own they do */
    assert_fails(FLAGVER_EBUSY, try_put(third, FLAGVER_PHASE_FLAG, ONLY, SIMPLE, NULL, NULL));
    ck_assert_ptr_null(strstr(error.message, OURS));
    flagver_txn_free(third);
    commit(txn);
    ck_assert_uint_eq(flag_no(ours, ONLY), 3);
    ck_assert_uint_eq(flag_no(theirs, ONLY), 3);
    close_both();
}
END_TEST

/* ---- plain SQL ---- */

static PGconn *app;
static char words[1024]; /* of what was refused last */

/* The first value of the answer, how many rows there were, or the SQLSTATE. */
static const char *run(const char *statement)
{
    static char value[256];
    PGresult *result = PQexec(app, statement);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    snprintf(value, sizeof value, "%s",
             state                   ? state
             : PQntuples(result) > 0 ? PQgetvalue(result, 0, 0)
                                     : PQcmdTuples(result));
    snprintf(words, sizeof words, "%s", PQresultErrorMessage(result));
    PQclear(result);
    return value;
}

__attribute__((format(printf, 1, 2))) static const char *run_with(const char *format, ...)
{
    char statement[2048];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(statement, sizeof statement, format, arguments);
    va_end(arguments);
    return run(statement);
}

/* All tables and views of the schema; `meta` alone is of no tenant. */
static struct {
    char name[64];
    bool is_view;
} relations[64];
static int relation_count;

static void list_relations(void)
{
    PGresult *result = PQexec(app, "SELECT table_name, table_type FROM information_schema.tables"
                                   " WHERE table_schema = 'flagver' AND table_name <> 'meta'"
                                   " ORDER BY table_name");

    for (relation_count = 0; relation_count < PQntuples(result); relation_count++) {
        snprintf(relations[relation_count].name, sizeof relations[0].name, "%s",
                 PQgetvalue(result, relation_count, 0));
        relations[relation_count].is_view = strcmp(PQgetvalue(result, relation_count, 1), "VIEW") ==
                                            0;
    }
    PQclear(result);
    ck_assert_int_ge(relation_count, 10 + 4);
}

static void begin_sql(void)
{
    int i;

    open_both(0);
    fill(ours, ONLY);
    for (i = 0; i < 9; i++) { /* so that there are nodes above the leaves, too */
        put_flag(ours, "more", SIMPLE);
        put_flag(theirs, "more", SIMPLE);
    }
    hand_in(ours, "plan-of-two");
    hand_in(theirs, "plan-of-two");
    cluster_sql(cluster_shared(), database, "ANALYZE");
    app = PQconnectdb(database_uri("app"));
    ck_assert_int_eq(PQstatus(app), CONNECTION_OK);
    list_relations();
}

static void end_sql(void)
{
    PQfinish(app);
    close_both();
}

static void set_tenant(const char *name)
{
    ck_assert_str_eq(run_with("SELECT set_config('flagver.tenant', '%s', false)", name), name);
}

START_TEST(without_a_tenant_nothing_is_there)
{
    static const char *const ways[] = { "SELECT 1", "SET flagver.tenant = ''",
                                        "RESET flagver.tenant", "SET flagver.tenant = 'nobody'" };
    size_t way;
    int i;

    begin_sql();
    for (way = 0; way < sizeof ways / sizeof *ways; way++) {
        run(ways[way]);
        for (i = 0; i < relation_count; i++)
            ck_assert_msg(
                strcmp(run_with("SELECT count(*) FROM flagver.%s", relations[i].name), "0") == 0,
                "%s: %s has rows", ways[way], relations[i].name);
    }
    end_sql();
}
END_TEST

/* Not to a function in a condition either, which might be asked first. */
START_TEST(with_a_tenant_only_its_own_is_there)
{
    const char *name;
    int i;

    begin_sql();
    ck_assert_str_eq(run("CREATE FUNCTION pg_temp.shown(tenant text) RETURNS boolean LANGUAGE"
                         " plpgsql COST 0.0000001 AS $$ BEGIN IF tenant <> '" OURS
                         "' THEN RAISE 'seen'; END IF; RETURN true; END $$"),
                     "");
    set_tenant(OURS);
    for (i = 0; i < relation_count; i++) {
        name = relations[i].name;
        ck_assert_msg(strcmp(run_with("SELECT count(*) > 0 FROM flagver.%s", name), "t") == 0,
                      "%s is empty", name);
        ck_assert_msg(
            strcmp(run_with("SELECT count(*) FROM flagver.%s WHERE tenant <> '" OURS "'", name),
                   "0") == 0,
            "%s has rows of others", name);
        ck_assert_msg(strcmp(run_with("SELECT count(*) > 0 FROM flagver.%s"
                                      " WHERE pg_temp.shown(tenant)",
                                      name),
                             "t") == 0,
                      "%s shows rows of others", name);
    }
    ck_assert_str_eq(run("SELECT count(*) FROM pg_stats WHERE schemaname = 'flagver'"
                         " AND tablename <> 'meta'"),
                     "0");
    end_sql();
}
END_TEST

/* All of a tenant's rows, as a superuser sees them. */
static const char *sum_of(const char *tenant)
{
    static char sums[2][1024];
    static unsigned turn;
    char *sum = sums[turn++ % 2], query[256];
    size_t length = 0;
    int i;

    for (i = 0; i < relation_count; i++) {
        snprintf(query, sizeof query,
                 "SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM flagver.%.63s AS t"
                 " WHERE tenant = '%.20s'",
                 relations[i].name, tenant);
        if (!relations[i].is_view)
            length += (size_t)snprintf(sum + length, sizeof sums[0] - length, "%s ", answer(query));
    }
    return sum;
}

/* A SQLSTATE of a statement that is refused, or no row that it concerns. */
static void assert_without_effect(const char *what, const char *name, const char *result)
{
    ck_assert_msg(strcmp(result, "0") == 0 || strcmp(result, "42501") == 0 ||
                      strcmp(result, "55000") == 0 || strcmp(result, "42809") == 0,
                  "%s %s: %s", what, name, result);
}

static void try_to_change(const char *name)
{
    assert_without_effect("delete", name,
                          run_with("DELETE FROM flagver.%s WHERE tenant = '" THEIRS "'", name));
    assert_without_effect(
        "update", name,
        run_with("UPDATE flagver.%s SET tenant = tenant WHERE tenant = '" THEIRS "'", name));
    assert_without_effect("truncate", name, run_with("TRUNCATE flagver.%s", name));
}

/*
 * One of our rows under another tenant's name: theirs, who have such a row already, or somebody's who
 * has none. It is refused by the policy, or by a trigger before that, and with the same words.
 */
static void try_to_insert(const char *name, const char *more)
{
    static const char form[] =
        "INSERT INTO flagver.%s SELECT (jsonb_populate_record(t, '{\"tenant\":\"%s\"}')).*"
        " FROM flagver.%s AS t LIMIT 1 %s";
    char first[sizeof words];
    const char *state = run_with(form, name, THEIRS, name, more);

    ck_assert_msg(strcmp(state, "42501") == 0 || strcmp(state, "23001") == 0, "insert into %s: %s",
                  name, state);
    strcpy(first, words);
    run_with(form, name, "nobody", name, more);
    ck_assert_str_eq(first, words);
    ck_assert_ptr_null(strstr(words, THEIRS));
}

START_TEST(rows_of_another_tenant_cannot_be_written)
{
    const char *before;
    int i;

    begin_sql();
    before = sum_of(THEIRS);
    set_tenant(OURS);
    for (i = 0; i < relation_count; i++) {
        try_to_change(relations[i].name);
        if (relations[i].is_view)
            continue;
        try_to_insert(relations[i].name, "");
        try_to_insert(relations[i].name, "ON CONFLICT DO NOTHING");
    }
    ck_assert_str_eq(sum_of(THEIRS), before);
    end_sql();
}
END_TEST

/* Nor can one's own be handed to them. */
START_TEST(rows_cannot_be_given_to_another_tenant)
{
    const char *ours_before, *theirs_before, *result;
    char kept[1024];
    int i;

    begin_sql();
    snprintf(kept, sizeof kept, "%s", sum_of(OURS));
    theirs_before = sum_of(THEIRS);
    ours_before = kept;
    set_tenant(OURS);
    for (i = 0; i < relation_count; i++) {
        result = run_with("UPDATE flagver.%s SET tenant = '" THEIRS "'", relations[i].name);
        ck_assert_msg(strcmp(result, "42501") == 0 || strcmp(result, "23001") == 0 ||
                          strcmp(result, "55000") == 0,
                      "%s: %s", relations[i].name, result);
    }
    ck_assert_str_eq(sum_of(THEIRS), theirs_before);
    ck_assert_str_eq(sum_of(OURS), ours_before);
    end_sql();
}
END_TEST

/* An export that had nothing in it would pass for one of everything. */
START_TEST(only_the_owner_exports_all_tenants)
{
    flagver_client *client = open_store(POSTGRES_KIND);

    put_flag(client, "f", SIMPLE);
    flagver_close(client);
    assert_fails(FLAGVER_EDENIED,
                 flagver_store_export(store_uri(POSTGRES_KIND), NULL, file_named("all"), &error));
    assert_words("\"app\" may not see which tenants there are");
    ck_assert_int_ne(access(file_named("all"), F_OK), 0);
    assert_ok(flagver_store_export(store_uri(POSTGRES_KIND), "default", file_named("one"), &error));
    assert_ok(flagver_store_export(owner_uri(POSTGRES_KIND), NULL, file_named("all"), &error));
}
END_TEST

static Suite *tenants_suite(void)
{
    Suite *suite = suite_create("tenants on PostgreSQL");
    TCase *calls = add_store_tcase(suite, "calls"), *sql = add_store_tcase(suite, "plain SQL");

    tcase_set_tags(calls, "postgres");
    tcase_set_tags(sql, "postgres");
    tcase_add_loop_test(calls, what_only_another_tenant_has_answers_like_what_nobody_has, 0, WAYS);
    tcase_add_loop_test(calls, what_another_tenant_has_can_be_made_all_the_same, 0, WAYS);
    tcase_add_loop_test(calls, nobody_waits_for_what_another_tenant_has_locked, 0, WAYS);
    tcase_add_test(calls, only_the_owner_exports_all_tenants);
    tcase_add_test(sql, without_a_tenant_nothing_is_there);
    tcase_add_test(sql, with_a_tenant_only_its_own_is_there);
    tcase_add_test(sql, rows_of_another_tenant_cannot_be_written);
    tcase_add_test(sql, rows_cannot_be_given_to_another_tenant);
    return suite;
}

int main(void)
{
    databases_wanted = cluster_wanted();
    return run_store_suite(tenants_suite());
}
