/*
 * What tests of stores share: a folder for their files that goes when the program ends,
 * stores of every kind in it, and writing without ceremony.
 *
 * A test that runs on every kind is a loop test over 0 … STORE_KINDS, one whose
 * store is to be opened twice over SHARED_KINDS … STORE_KINDS; `_i` is the kind. Kinds below
 * FILE_KINDS keep what they keep in files of the folder. FAULT_KIND is SQLite's driver inside the
 * one that fails on demand, and when it was misused or something stayed open, the test has failed.
 *
 * PostgreSQL's stores are databases in the cluster of the run (cluster.h): an application's role
 * uses them, their owner has made the schema. Without a server these tests are skipped.
 *
 * JSON is written with ' for ", as in flags.h.
 */
#ifndef FLAGVER_TESTS_STORES_H
#define FLAGVER_TESTS_STORES_H

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "../examples/drivers/jsonfile.h"
#include "cluster.h"
#include "conformance/fault.h"
#include "driver/sqlite.h"
#include "engine/client.h"
#include "flags.h"
#include "flagver/rollout.h"
#include "flagver/store.h"

/* ---- the folder ---- */

static char folder[64];

static inline void make_folder(void)
{
    strcpy(folder, "/dev/shm/flagver-XXXXXX");
    if (mkdtemp(folder))
        return;
    strcpy(folder, "/tmp/flagver-XXXXXX");
    if (!mkdtemp(folder))
        exit(EXIT_FAILURE);
}

/* Those whose names begin like this. */
static inline void remove_files(const char *prefix)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;
    char path[sizeof folder + sizeof entry->d_name + 1];

    while (directory && (entry = readdir(directory))) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' && strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            remove(path);
    }
    if (directory)
        closedir(directory);
}

static inline void remove_folder(void)
{
    remove_files("");
    rmdir(folder);
}

/* A name for a file of this test alone; good until the eighth call from here. */
static unsigned test_number; /* of the tests of one process there may be many */

static inline const char *file_named(const char *name)
{
    static char names[8][128];
    static int turn;
    char *out = names[turn++ % 8];

    snprintf(out, sizeof names[0], "%s/%ld-%u-%s", folder, (long)getpid(), test_number, name);
    return out;
}

/* ---- stores ---- */

static const char *const store_kinds[] MAYBE_UNUSED = { "memory:", "jsonfile:", "fault-sqlite:",
                                                        "sqlite:", "postgresql:" };
#define ALL_KINDS 5
#define STORE_KINDS kinds_to_test()
#define JSONFILE_KIND 1
#define FAULT_KIND 2
#define SHARED_KINDS 2
#define SQLITE_KIND 3
#define POSTGRES_KIND 4
#define FILE_KINDS (STORE_KINDS < POSTGRES_KIND ? STORE_KINDS : POSTGRES_KIND)

static struct flagver_fault *fault;

/*
 * Below valgrind "sqlite:" is left out: "fault-sqlite:" is the same driver, behind one that passes everything
 * on.
 */
static inline int kinds_of_files(void)
{
    return getenv("FLAGVER_TEST_BELOW_VALGRIND") ? SQLITE_KIND : POSTGRES_KIND;
}

#ifdef FV_WITHOUT_postgres
static inline int kinds_to_test(void)
{
    return kinds_of_files();
}

static inline void prepare_databases(void)
{
}

static inline void drop_database(void)
{
}

static inline const char *database_uri(const char *role)
{
    (void)role;
    return "";
}
#else

/* ---- databases, where stores of PostgreSQL are ---- */

static bool databases_wanted; /* the suite has tests of this kind */
static char database[64];     /* of this test; "": none yet */

static inline int kinds_to_test(void)
{
    databases_wanted = cluster_wanted();
    return databases_wanted ? ALL_KINDS : kinds_of_files();
}

/* Before tests fork; what is started goes when the program ends. */
static inline void prepare_databases(void)
{
    if (databases_wanted && cluster_possible())
        cluster_shared();
}

/*
 * What all databases of a run are copied from: the schema is made once. When two programs make it
 * at the same time, one of them has done so for nothing.
 */
#define TEMPLATE "flagver_template"

static inline void make_template(struct cluster *cluster)
{
    char name[64], rename[160];

    snprintf(name, sizeof name, "template_%ld", (long)getpid());
    cluster_database(cluster, name, NULL);
    assert_ok(flagver_schema_up(cluster_uri(cluster, name, "owner"), &error));
    cluster_sql(cluster, name, "SELECT flagver.admit('app')");
    snprintf(rename, sizeof rename, "ALTER DATABASE %s RENAME TO " TEMPLATE, name);
    if (cluster_try(cluster, "postgres", "postgres", rename)[0])
        cluster_drop(cluster, name);
}

/* A fresh database with the schema. */
static inline void copy_template(struct cluster *cluster, const char *name)
{
    char create[256];

    snprintf(create, sizeof create, "CREATE DATABASE %s OWNER owner TEMPLATE " TEMPLATE, name);
    if (!cluster_try(cluster, "postgres", "postgres", create)[0])
        return;
    make_template(cluster);
    cluster_database(cluster, name, TEMPLATE);
}

static inline void make_database(struct cluster *cluster)
{
    snprintf(database, sizeof database, "store_%ld_%u", (long)getpid(), test_number);
    copy_template(cluster, database);
}

static inline const char *database_uri(const char *role)
{
    if (!cluster_possible())
        cluster_skip();
    if (!database[0])
        make_database(cluster_shared());
    return cluster_uri(cluster_shared(), database, role);
}

static inline void drop_database(void)
{
    if (database[0])
        cluster_drop(cluster_shared(), database);
    database[0] = '\0';
}
#endif

/* The same each time in one test. */
static inline const char *store_uri(int kind)
{
    static char uri[160];

    if (kind == POSTGRES_KIND)
        snprintf(uri, sizeof uri, "%s", database_uri("app"));
    else
        snprintf(uri, sizeof uri, "%s%s", store_kinds[kind], kind > 0 ? file_named("store") : "");
    return uri;
}

/* The same store, by who sees all tenants of it. */
static inline const char *owner_uri(int kind)
{
    static char uri[160];

    if (kind != POSTGRES_KIND)
        return store_uri(kind);
    snprintf(uri, sizeof uri, "%s", database_uri("owner"));
    return uri;
}

/* What tests begin with: nothing from the environment. */
static inline flagver_options quiet_options(void)
{
    return (flagver_options){ .size = sizeof(flagver_options), .no_environment = 1 };
}

static inline flagver_client *open_with(int kind, const flagver_options *options)
{
    flagver_client *client = NULL;

    assert_ok(flagver_open(store_uri(kind), options, &client, &error));
    return client;
}

static inline flagver_client *open_store(int kind)
{
    const flagver_options options = quiet_options();

    return open_with(kind, &options);
}

/* ---- suites ---- */

static inline void check_use(void)
{
    const char *complaint = flagver_fault_complaint(fault);

    ck_assert_msg(!complaint, "%s", complaint ? complaint : "");
}

/*
 * Nothing is left over from a test before: neither where many share one process, nor where one had a process of
 * the same number, which come around.
 */
static inline void begin_test(void)
{
    char prefix[32];

    test_number++;
    snprintf(prefix, sizeof prefix, "%ld-%u-", (long)getpid(), test_number);
    remove_files(prefix);
    flagver_fault_reset(fault);
}

static inline void end_test(void)
{
    drop_database();
    check_use();
}

static inline TCase *add_store_tcase(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_add_checked_fixture(tcase, begin_test, end_test);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);
    return tcase;
}

/* Tests run in processes of their own; folder and drivers are those of all of them. */
static inline int run_store_suite(Suite *suite)
{
    int result;

    make_folder();
    fault = flagver_fault_driver(&fv_sqlite_driver);
    if (!fault || flagver_driver_register(flagver_fault_table(fault), NULL) < 0 ||
        flagver_driver_register(&jsonfile_driver, NULL) < 0)
        return EXIT_FAILURE;
    prepare_databases();
    result = run_suite(suite);
    remove_folder();
    return result;
}

/* ---- transactions ---- */

static const flagver_actor alice MAYBE_UNUSED = { .size = sizeof alice, .id = "alice" };
static const flagver_actor bob MAYBE_UNUSED = { .size = sizeof bob, .id = "bob" };

static inline flagver_txn *begin_as(flagver_client *client, const flagver_actor *actor,
                                    const flagver_txn_options *options)
{
    flagver_txn *txn = NULL;

    assert_ok(flagver_txn_begin(client, actor, options, &txn, &error));
    return txn;
}

static inline flagver_txn *begin(flagver_client *client)
{
    return begin_as(client, &alice, NULL);
}

static inline flagver_txn *begin_with_key(flagver_client *client, const char *key)
{
    const flagver_txn_options options = { .size = sizeof options, .idempotency_key = key };

    return begin_as(client, &alice, &options);
}

static inline void commit(flagver_txn *txn)
{
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
}

/* ---- writing ---- */

/* The code of the call; its words are in `error`. */
static inline int try_put(flagver_txn *txn, const char *phase, const char *subject,
                          const char *json, const flagver_write_options *options,
                          flagver_version **ret_version)
{
    char *text = quoted(json);
    int r = flagver_version_put(txn, phase, subject, text, strlen(text), options, ret_version,
                                &error);

    free(text);
    return r;
}

static inline void put_flag_in(flagver_txn *txn, const char *key, const char *json)
{
    assert_ok(try_put(txn, FLAGVER_PHASE_FLAG, key, json, NULL, NULL));
}

static inline void put_segment_in(flagver_txn *txn, const char *name, const char *json)
{
    assert_ok(try_put(txn, FLAGVER_PHASE_SEGMENT, name, json, NULL, NULL));
}

static inline void put_flag(flagver_client *client, const char *key, const char *json)
{
    flagver_txn *txn = begin(client);

    put_flag_in(txn, key, json);
    commit(txn);
}

static inline void put_segment(flagver_client *client, const char *name, const char *json)
{
    flagver_txn *txn = begin(client);

    put_segment_in(txn, name, json);
    commit(txn);
}

static inline void delete_flag(flagver_client *client, const char *key)
{
    flagver_txn *txn = begin(client);

    assert_ok(flagver_flag_delete(txn, key, NULL, NULL, &error));
    commit(txn);
}

#define SIMPLE "{'type':'boolean'}"
#define SHARE(percentage) "{'type':'boolean','percentage':" #percentage "}"
#define VALUE(number) "{'type':'integer','variants':{'v':" #number "},'default':'v'}"

/* ---- reading ---- */

static inline bool ignore_entry(void *data, const flagver_audit_entry *entry)
{
    (void)data;
    (void)entry;
    return true;
}

/* How many leaves the client's audit log has. */
static inline uint64_t leaves_of(flagver_client *client)
{
    uint64_t next = 0;

    assert_ok(flagver_audit_log(client, 0, 0, ignore_entry, NULL, &next, &error));
    return next;
}

/* The number in force; 0: none, or deleted. */
static inline uint32_t current_no(flagver_client *client, const char *phase, const char *subject)
{
    flagver_version *version = NULL;
    uint32_t no;
    int r = flagver_version_current(client, phase, subject, &version, &error);

    if (r == FLAGVER_ENOTFOUND)
        return 0;
    ck_assert_msg(r == 0, "current: %d %s", r, error.message);
    no = version->no;
    flagver_version_free(version);
    return no;
}

#define flag_no(client, key) current_no(client, FLAGVER_PHASE_FLAG, key)

#endif
