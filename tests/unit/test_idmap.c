/*
 * The id map: what is mapped, what is refused, who was first, and where it goes along.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, fork */
#include <flagver/idmap.h>

#include "stores.h"

#include <pthread.h>
#include <sys/wait.h>

#include "flagver/sqlite.h"

#define DNS "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

/* ---- in a line ---- */

static void put(flagver_client *client, const char *entity, const char *old_id, const char *new_id)
{
    flagver_txn *txn = begin(client);

    assert_ok(flagver_idmap_put(txn, entity, old_id, new_id, &error));
    commit(txn);
}

static void check(flagver_client *client, const char *entity, const char *old_id,
                  const char *new_id)
{
    char id[FLAGVER_IDMAP_ID_SIZE];

    assert_ok(flagver_idmap_get(client, entity, old_id, id, &error));
    ck_assert_str_eq(id, new_id);
    assert_ok(flagver_idmap_get_old(client, entity, new_id, id, &error));
    ck_assert_str_eq(id, old_id);
}

static void check_absent(flagver_client *client, const char *entity, const char *old_id,
                         const char *new_id)
{
    char id[FLAGVER_IDMAP_ID_SIZE] = "untouched";

    assert_fails(FLAGVER_ENOTFOUND, flagver_idmap_get(client, entity, old_id, id, &error));
    assert_words(old_id);
    assert_fails(FLAGVER_ENOTFOUND, flagver_idmap_get_old(client, entity, new_id, id, &error));
    assert_words(new_id);
    ck_assert_str_eq(id, "untouched");
}

/* "entity old new\n" of each, as visited. */
struct seen {
    char text[4000];
    int left; /* visits until it is enough; 0: never */
};

static bool see(void *data, const flagver_idmap_entry *entry)
{
    struct seen *seen = data;
    size_t length = strlen(seen->text);

    ck_assert_int_gt(entry->time, 0);
    snprintf(seen->text + length, sizeof seen->text - length, "%s %s %s\n", entry->entity,
             entry->old_id, entry->new_id);
    return --seen->left != 0;
}

static bool count(void *data, const flagver_idmap_entry *entry)
{
    ++*(int *)data;
    return entry->new_id[0];
}

static int count_all(flagver_client *client)
{
    int number = 0;

    assert_ok(flagver_idmap_visit(client, NULL, NULL, count, &number, &error));
    return number;
}

/* ---- one mapping ---- */

START_TEST(a_mapping_is_found_both_ways_and_only_in_its_entity)
{
    flagver_client *client = open_store(_i);

    put(client, "users", "17", "u-17");
    put(client, "orders", "17", "o-17");
    check(client, "users", "17", "u-17");
    check(client, "orders", "17", "o-17");
    check_absent(client, "users", "18", "o-17");
    check_absent(client, "user", "s17", "u-17");
    flagver_close(client);
}
END_TEST

START_TEST(putting_the_same_again_changes_nothing)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn;

    put(client, "users", "17", "u-17");
    txn = begin(client);
    assert_ok(flagver_idmap_put(txn, "users", "17", "u-17", &error));
    assert_ok(flagver_idmap_put(txn, "users", "18", "u-18", &error));
    assert_ok(flagver_idmap_put(txn, "users", "18", "u-18", &error));
    commit(txn);
    check(client, "users", "17", "u-17");
    check(client, "users", "18", "u-18");
    ck_assert_int_eq(count_all(client), 2);
    flagver_close(client);
}
END_TEST

START_TEST(an_id_that_is_mapped_elsewhere_is_refused_and_nothing_changes)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn;

    put(client, "users", "17", "u-17");
    txn = begin(client);
    assert_fails(FLAGVER_EEXIST, flagver_idmap_put(txn, "users", "17", "u-18", &error));
    ck_assert_str_eq(error.message, "users \"17\" is mapped to \"u-17\", not to \"u-18\"");
    assert_fails(FLAGVER_EEXIST, flagver_idmap_put(txn, "users", "18", "u-17", &error));
    ck_assert_str_eq(error.message,
                     "users \"u-17\" is what \"17\" is mapped to; it is not free for \"18\"");
    assert_ok(flagver_idmap_put(txn, "users", "19", "u-19", &error)); /* it goes on */
    commit(txn);
    check(client, "users", "17", "u-17");
    check_absent(client, "users", "18", "u-18");
    check(client, "users", "19", "u-19");
    flagver_close(client);
}
END_TEST

START_TEST(a_transaction_sees_what_it_has_put_and_others_do_when_it_is_committed)
{
    flagver_client *client = open_store(_i);
    char id[FLAGVER_IDMAP_ID_SIZE];
    flagver_txn *txn = begin(client);

    assert_ok(flagver_idmap_put(txn, "users", "1", "u-1", &error));
    assert_ok(flagver_idmap_get_in(txn, "users", "1", id, &error));
    ck_assert_str_eq(id, "u-1");
    assert_ok(flagver_idmap_get_old_in(txn, "users", "u-1", id, &error));
    ck_assert_str_eq(id, "1");
    assert_fails(FLAGVER_ENOTFOUND, flagver_idmap_get_in(txn, "users", "2", id, &error));
    check_absent(client, "users", "1", "u-1");
    flagver_txn_free(txn);
    check_absent(client, "users", "1", "u-1");

    txn = begin(client);
    assert_ok(flagver_idmap_put(txn, "users", "1", "u-1", &error));
    put_flag_in(txn, "a", SIMPLE);
    commit(txn);
    check(client, "users", "1", "u-1");
    ck_assert_uint_eq(flag_no(client, "a"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(mappings_leave_no_leaves)
{
    flagver_client *client = open_store(_i);

    put(client, "users", "1", "u-1");
    ck_assert_uint_eq(leaves_of(client), 0);
    flagver_close(client);
}
END_TEST

START_TEST(what_was_removed_is_free_again_on_both_sides)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn;

    put(client, "users", "1", "u-1");
    txn = begin(client);
    assert_fails(FLAGVER_ENOTFOUND, flagver_idmap_remove(txn, "users", "2", &error));
    assert_words("users \"2\"");
    assert_ok(flagver_idmap_remove(txn, "users", "1", &error));
    assert_ok(flagver_idmap_put(txn, "users", "1", "u-2", &error));
    assert_ok(flagver_idmap_put(txn, "users", "2", "u-1", &error));
    commit(txn);
    check(client, "users", "1", "u-2");
    check(client, "users", "2", "u-1");
    flagver_close(client);
}
END_TEST

START_TEST(who_removes_what_was_mapped_anew_meanwhile_removes_nothing)
{
    flagver_client *client = open_store(_i), *other = open_store(_i);
    flagver_txn *txn, *rival;

    put(client, "users", "1", "u-1");
    txn = begin(client);
    assert_ok(flagver_idmap_remove(txn, "users", "1", &error)); /* not handed over yet */
    rival = begin(other);
    assert_ok(flagver_idmap_remove(rival, "users", "1", &error));
    assert_ok(flagver_idmap_put(rival, "users", "1", "u-2", &error));
    assert_ok(flagver_idmap_put(rival, "users", "2", "u-1", &error));
    commit(rival);
    assert_fails(FLAGVER_EBUSY, flagver_txn_commit(txn, &error));
    check(client, "users", "1", "u-2");
    check(client, "users", "2", "u-1");
    flagver_txn_free(txn);
    flagver_close(client);
    flagver_close(other);
}
END_TEST

/* ---- new ids ---- */

START_TEST(a_new_id_is_the_same_for_all_who_ask)
{
    flagver_client *client = open_store(_i);
    char id[FLAGVER_IDMAP_ID_SIZE], again[FLAGVER_IDMAP_ID_SIZE], name[] = "default?users?17";
    char expected[FLAGVER_UUID_SIZE];
    flagver_txn *txn = begin(client);

    assert_ok(flagver_idmap_new(txn, "users", "17", NULL, id, &error));
    assert_ok(flagver_idmap_new(txn, "users", "17", NULL, again, &error));
    ck_assert_str_eq(id, again);
    assert_ok(flagver_idmap_new(txn, "users", "17", "of-the-host", again, &error));
    ck_assert_str_eq(id, again);
    assert_ok(flagver_idmap_new(txn, "orders", "17", NULL, again, &error));
    ck_assert_str_ne(id, again);
    assert_ok(flagver_idmap_new(txn, "users", "18", "of-the-host", again, &error));
    ck_assert_str_eq(again, "of-the-host");
    assert_fails(FLAGVER_EEXIST,
                 flagver_idmap_new(txn, "users", "19", "of-the-host", again, &error));
    commit(txn);
    check(client, "users", "17", id);
    check(client, "users", "18", "of-the-host");

    name[7] = name[13] = '\x1f'; /* as the header says */
    assert_ok(flagver_uuid_v8(FLAGVER_IDMAP_NAMESPACE, name, strlen(name), expected, &error));
    ck_assert_str_eq(id, expected);
    flagver_close(client);
}
END_TEST

START_TEST(tenants_have_maps_of_their_own)
{
    flagver_client *client = open_store(_i), *tenant;
    char id[FLAGVER_IDMAP_ID_SIZE], other[FLAGVER_IDMAP_ID_SIZE];
    flagver_txn *txn;

    assert_ok(flagver_client_tenant(client, "acme", &tenant, &error));
    txn = begin(client);
    assert_ok(flagver_idmap_new(txn, "users", "17", NULL, id, &error));
    commit(txn);
    check_absent(tenant, "users", "17", id);
    txn = begin(tenant);
    assert_ok(flagver_idmap_new(txn, "users", "17", NULL, other, &error));
    assert_ok(flagver_idmap_put(txn, "users", "18", id, &error));
    commit(txn);
    ck_assert_str_ne(id, other); /* their rows may lie in one table */
    flagver_close(tenant);
    flagver_close(client);
}
END_TEST

/* ---- many ---- */

#define MANY 3000

/* Entries whose ids are numbers in any order that is not theirs. */
struct many {
    flagver_idmap_entry entries[MANY];
    char ids[MANY][2][24];
    int count;
    size_t refused;
};

/* The example driver reads all its rows to find one: fewer are put there. */
static struct many *make_many(int kind, int from)
{
    struct many *many = calloc(1, sizeof *many);
    int i, number;

    ck_assert_ptr_nonnull(many);
    many->count = kind == JSONFILE_KIND ? MANY / 10 : MANY;
    for (i = 0; i < many->count; i++) {
        number = from + (i * 1009) % many->count;
        snprintf(many->ids[i][0], sizeof many->ids[i][0], "%d", number);
        snprintf(many->ids[i][1], sizeof many->ids[i][1], "new-%d", number * 7919 % 1000003);
        many->entries[i] = (flagver_idmap_entry){ "users", many->ids[i][0], many->ids[i][1], 0 };
    }
    return many;
}

static int put_many(void *data, flagver_txn *txn, flagver_error *err)
{
    struct many *many = data;

    many->refused = MANY + 1;
    return flagver_idmap_put_many(txn, many->entries, (size_t)many->count, &many->refused, err);
}

static int run_many(flagver_client *client, struct many *many)
{
    return flagver_txn_run(client, &alice, NULL, put_many, many, &error);
}

START_TEST(many_are_put_together_and_again)
{
    flagver_client *client = open_store(_i);
    struct many *many = make_many(_i, 0), *others = make_many(_i, many->count / 2);
    flagver_txn *txn;

    assert_ok(run_many(client, many));
    ck_assert_int_eq(count_all(client), many->count);
    assert_ok(run_many(client, many));
    assert_ok(run_many(client, others)); /* half of them are there */
    ck_assert_int_eq(count_all(client), many->count + many->count / 2);
    txn = begin(client);
    assert_ok(put_many(others, txn, &error)); /* where nobody tries again */
    commit(txn);
    check(client, "users", many->ids[77][0], many->ids[77][1]);
    check(client, "users", others->ids[others->count - 1][0], others->ids[others->count - 1][1]);
    free(many);
    free(others);
    flagver_close(client);
}
END_TEST

/* Whoever is first in the batch, or in the store, keeps the id. */
START_TEST(of_many_that_contradict_the_store_or_each_other_none_is_put)
{
    flagver_client *client = open_store(_i);
    struct many *many = make_many(_i, 0);
    flagver_txn *txn;

    put(client, "users", many->ids[50][0], "taken");
    assert_fails(FLAGVER_EEXIST, run_many(client, many));
    ck_assert_uint_eq(many->refused, 50);
    assert_words("\"taken\"");
    ck_assert_int_eq(count_all(client), 1);
    many->entries[50].new_id = "taken";
    put(client, "users", "elsewhere", many->ids[51][1]);
    assert_fails(FLAGVER_EEXIST, run_many(client, many));
    ck_assert_uint_eq(many->refused, 51);
    assert_words("\"elsewhere\"");
    many->entries[51].new_id = "free";

    many->entries[200].old_id = many->entries[3].old_id;
    assert_fails(FLAGVER_EEXIST, run_many(client, many));
    ck_assert_uint_eq(many->refused, 200);
    many->entries[200].old_id = "other";
    many->entries[201].new_id = many->entries[4].new_id;
    txn = begin(client);
    assert_fails(FLAGVER_EEXIST, put_many(many, txn, &error));
    ck_assert_uint_eq(many->refused, 201);
    many->entries[201] = many->entries[4]; /* the same again does no harm */
    assert_ok(put_many(many, txn, &error));
    commit(txn);
    ck_assert_int_eq(count_all(client), many->count); /* one was elsewhere, one is there twice */
    free(many);
    flagver_close(client);
}
END_TEST

START_TEST(one_of_many_that_is_no_id_is_named)
{
    flagver_client *client = open_store(_i);
    struct many *many = make_many(_i, 0);

    many->entries[70].old_id = "a\tb";
    assert_fails(FLAGVER_EINVAL, run_many(client, many));
    ck_assert_uint_eq(many->refused, 70);
    assert_words("control character");
    ck_assert_int_eq(count_all(client), 0);
    free(many);
    flagver_close(client);
}
END_TEST

START_TEST(mappings_are_visited_in_order_from_where_one_likes)
{
    flagver_client *client = open_store(_i);
    struct seen all = { .left = 0 }, users = { .left = 0 }, rest = { .left = 0 },
                two = { .left = 2 };

    put(client, "users", "9", "c");
    put(client, "users", "10", "a");
    put(client, "users", "10\xc3\xa4", "b");
    put(client, "users2", "1", "d");
    put(client, "orders", "1", "e");
    assert_ok(flagver_idmap_visit(client, NULL, NULL, see, &all, &error));
    ck_assert_str_eq(all.text, "orders 1 e\nusers 10 a\nusers 10\xc3\xa4 b\nusers 9 c\n"
                               "users2 1 d\n");
    assert_ok(flagver_idmap_visit(client, "users", NULL, see, &users, &error));
    ck_assert_str_eq(users.text, "users 10 a\nusers 10\xc3\xa4 b\nusers 9 c\n");
    assert_ok(flagver_idmap_visit(client, "users", "10", see, &rest, &error));
    ck_assert_str_eq(rest.text, "users 10\xc3\xa4 b\nusers 9 c\n");
    assert_ok(flagver_idmap_visit(client, NULL, NULL, see, &two, &error));
    ck_assert_str_eq(two.text, "orders 1 e\nusers 10 a\n");
    flagver_close(client);
}
END_TEST

/* ---- again, under an idempotency key ---- */

static void work(flagver_client *client, const char *expected)
{
    flagver_txn *txn = begin_with_key(client, "work");
    char id[FLAGVER_IDMAP_ID_SIZE];

    assert_ok(flagver_idmap_put(txn, "users", "1", "u-1", &error));
    assert_fails(FLAGVER_EEXIST, flagver_idmap_put(txn, "users", "1", "u-2", &error));
    assert_ok(flagver_idmap_new(txn, "users", "2", NULL, id, &error));
    ck_assert_str_eq(id, expected);
    assert_ok(flagver_idmap_put(txn, "users", "3", "u-3", &error));
    assert_ok(flagver_idmap_remove(txn, "users", "3", &error));
    commit(txn);
}

START_TEST(running_again_under_an_idempotency_key_changes_nothing)
{
    flagver_client *client = open_store(_i);
    char id[FLAGVER_IDMAP_ID_SIZE];
    flagver_txn *txn = begin(client);

    assert_ok(flagver_idmap_new(txn, "users", "2", NULL, id, &error));
    flagver_txn_free(txn);
    work(client, id);
    put(client, "users", "3", "u-4");
    work(client, id);
    check(client, "users", "3", "u-4");

    txn = begin_with_key(client, "work");
    assert_fails(FLAGVER_EIDEM, flagver_idmap_put(txn, "users", "1", "u-9", &error));
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

/* ---- at once ---- */

#define THREADS 8
#define PROCESSES 2
#define IDS 200

struct worker {
    flagver_client *client;
    int number; /* in all processes */
    char old_id[16], made[40], got[FLAGVER_IDMAP_ID_SIZE];
    bool fine;
};

static int make_one(void *data, flagver_txn *txn, flagver_error *err)
{
    struct worker *worker = data;

    return flagver_idmap_new(txn, "users", worker->old_id, worker->made, worker->got, err);
}

/* Each begins elsewhere, and has ids of its own to offer. */
static void *make_ids(void *data)
{
    struct worker *worker = data;
    flagver_error err = { .code = 0 };
    char id[FLAGVER_IDMAP_ID_SIZE];
    int i, number, r = 0;

    for (i = 0; r == 0 && i < IDS; i++) {
        number = (i + worker->number * 13) % IDS;
        snprintf(worker->old_id, sizeof worker->old_id, "%d", number);
        snprintf(worker->made, sizeof worker->made, "by-%d-%d", worker->number, number);
        do
            r = flagver_txn_run(worker->client, &alice, NULL, make_one, worker, &err);
        while (r == FLAGVER_EBUSY);
        if (r == 0)
            r = flagver_idmap_get(worker->client, "users", worker->old_id, id, &err);
        if (r == 0 && strcmp(id, worker->got) != 0)
            r = FLAGVER_ECORRUPT;
    }
    if (r < 0)
        fprintf(stderr, "worker %d: %d %s\n", worker->number, r, err.message);
    worker->fine = r == 0;
    return NULL;
}

static int work_in_child(const char *uri, int process)
{
    const flagver_options options = quiet_options();
    flagver_error err;
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    bool fine = true;
    int i;

    for (i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ .number = process * THREADS + i };
        if (flagver_open(uri, &options, &workers[i].client, &err) < 0 ||
            pthread_create(&threads[i], NULL, make_ids, &workers[i]) != 0)
            return 1;
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        flagver_close(workers[i].client);
        fine = fine && workers[i].fine;
    }
    return fine ? 0 : 1;
}

static bool check_pair(void *data, const flagver_idmap_entry *entry)
{
    check(data, "users", entry->old_id, entry->new_id);
    return true;
}

START_TEST(many_who_make_ids_for_the_same_things_agree)
{
    const char *uri = store_uri(_i); /* a child would make another one */
    flagver_client *client;
    pid_t children[PROCESSES];
    int i, status;

    flagver_close(open_store(_i)); /* it is there before they begin */
    for (i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            _exit(work_in_child(uri, i));
    }
    for (i = 0; i < PROCESSES; i++) {
        ck_assert(waitpid(children[i], &status, 0) == children[i]);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    client = open_store(_i);
    ck_assert_int_eq(count_all(client), IDS);
    assert_ok(flagver_idmap_visit(client, NULL, NULL, check_pair, client, &error));
    flagver_close(client);
}
END_TEST

/* Two that have both seen that there is none. */
START_TEST(a_lost_race_is_run_again_and_sees_the_others_mapping)
{
    flagver_client *client = open_store(_i), *other = open_store(_i);
    flagver_txn *txn = begin(client);
    char id[FLAGVER_IDMAP_ID_SIZE];

    assert_ok(flagver_idmap_new(txn, "users", "1", "mine", id, &error));
    put(other, "users", "1", "theirs");
    assert_fails(FLAGVER_EBUSY, flagver_txn_commit(txn, &error));
    ck_assert_int_eq(flagver_error_class(FLAGVER_EBUSY), FLAGVER_CLASS_RETRY);
    flagver_txn_free(txn);
    txn = begin(client);
    assert_ok(flagver_idmap_new(txn, "users", "1", "mine", id, &error));
    ck_assert_str_eq(id, "theirs");
    flagver_txn_free(txn);
    flagver_close(client);
    flagver_close(other);
}
END_TEST

/* ---- along with the store ---- */

/* Two tenants, one of them with a flag; many ids, so that no batch has them all. */
static struct many *fill(flagver_client *client, int kind)
{
    struct many *many = make_many(kind, 0);
    flagver_client *tenant;

    assert_ok(flagver_client_tenant(client, "acme", &tenant, &error));
    put(tenant, "users", "17", "of-acme");
    put_flag(tenant, "a", SIMPLE);
    flagver_close(tenant);
    assert_ok(run_many(client, many));
    put(client, "orders", "\xc3\xa4 \"1\"", "o\\1");
    return many;
}

static void check_filled(const char *uri, const struct many *many)
{
    const flagver_options options = quiet_options();
    flagver_client *client, *tenant;

    assert_ok(flagver_open(uri, &options, &client, &error));
    assert_ok(flagver_client_tenant(client, "acme", &tenant, &error));
    check(tenant, "users", "17", "of-acme");
    ck_assert_int_eq(count_all(tenant), 1);
    flagver_close(tenant);
    ck_assert_int_eq(count_all(client), many->count + 1);
    assert_ok(flagver_idmap_visit(client, "users", NULL, check_pair, client, &error));
    check(client, "orders", "\xc3\xa4 \"1\"", "o\\1");
    flagver_close(client);
}

static char *contents(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    ck_assert(file && text);
    ck_assert(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

START_TEST(an_export_brings_the_map_along)
{
    flagver_client *client = open_store(_i);
    struct many *many = fill(client, _i);
    char uri[160], *text, *again;

    flagver_close(client);
    assert_ok(flagver_store_export(owner_uri(_i), NULL, file_named("export"), &error));
    snprintf(uri, sizeof uri, "sqlite:%s", file_named("other"));
    assert_ok(flagver_store_import(uri, file_named("export"), &error));
    check_filled(uri, many);
    assert_ok(flagver_store_export(uri, NULL, file_named("again"), &error));
    text = contents(file_named("export"));
    again = contents(file_named("again"));
    ck_assert_str_eq(text, again);
    free(text);
    free(again);
    free(many);
}
END_TEST

START_TEST(a_tenant_of_which_there_are_but_ids_is_exported_by_its_name)
{
    flagver_client *client = open_store(_i), *tenant;
    char uri[160];

    assert_ok(flagver_client_tenant(client, "acme", &tenant, &error));
    put(tenant, "users", "1", "u-1");
    flagver_close(tenant);
    flagver_close(client);
    assert_ok(flagver_store_export(owner_uri(_i), "acme", file_named("export"), &error));
    snprintf(uri, sizeof uri, "sqlite:%s", file_named("other"));
    assert_ok(flagver_store_import(uri, file_named("export"), &error));
    assert_fails(FLAGVER_EEXIST, flagver_store_import(uri, file_named("export"), &error));
    assert_words("mapped ids");
}
END_TEST

START_TEST(a_schema_that_goes_leaves_the_map_in_its_backup)
{
    flagver_client *client = open_store(SQLITE_KIND);
    struct many *many = fill(client, SQLITE_KIND);
    const char *uri = store_uri(SQLITE_KIND);

    flagver_close(client);
    assert_ok(flagver_schema_down(uri, 0, file_named("backup"), false, &error));
    assert_ok(flagver_store_import(uri, file_named("backup"), &error));
    check_filled(uri, many);
    free(many);
}
END_TEST

static const struct {
    const char *from, *to, *words;
} damages[] = {
    { "\"new\":\"b\"", "\"new\":\"a\"", "the new id stands for two things" },
    { "\"old\":\"2\"", "\"old\":\"0\"", "not in order of entity and old id" },
    { "\"old\":\"2\"", "\"old\":\"1\"", "not in order of entity and old id" },
    { "\"entity\":\"u\",\"new\":\"b\"", "\"entity\":\"t\",\"new\":\"b\"", "not in order" },
    { "\"old\":\"2\"", "\"old\":\"\"", "old is 0 bytes" },
    { "\"entity\":\"u\",\"new\":\"b\",", "\"new\":\"b\",", "entity is missing" },
    { "{\"tenant\":\"default\"}\n", "", "a mapping stands where none belongs" },
    { "\"new\":\"b\"", "\"new\":\"c\"", "checksum" },
};
#define DAMAGES ((int)(sizeof damages / sizeof *damages))

START_TEST(a_damaged_map_is_not_imported)
{
    flagver_client *client = open_store(SQLITE_KIND);
    char *text, *at, uri[160];
    FILE *file;

    put(client, "u", "1", "a");
    put(client, "u", "2", "b");
    flagver_close(client);
    assert_ok(flagver_store_export(store_uri(SQLITE_KIND), NULL, file_named("export"), &error));
    text = contents(file_named("export"));
    at = strstr(text, damages[_i].from);
    ck_assert_ptr_nonnull(at);
    file = fopen(file_named("damaged"), "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "%.*s%s%s", (int)(at - text), text, damages[_i].to,
            at + strlen(damages[_i].from));
    fclose(file);
    snprintf(uri, sizeof uri, "sqlite:%s", file_named("other"));
    assert_fails(FLAGVER_EPARSE, flagver_store_import(uri, file_named("damaged"), &error));
    assert_words(damages[_i].words);
    free(text);
}
END_TEST

/* ---- from store to store ---- */

static void copy_to(int kind, const char *uri)
{
    assert_ok(flagver_store_copy(owner_uri(kind), uri, NULL, &error));
}

START_TEST(a_copy_brings_the_map_along_and_again_what_has_changed)
{
    flagver_client *client = open_store(_i), *tenant;
    struct many *many = fill(client, _i);
    flagver_txn *txn;
    char uri[160];

    put_flag(client, "a", SIMPLE); /* so that there is a log */
    snprintf(uri, sizeof uri, "sqlite:%s", file_named("other"));
    copy_to(_i, uri);
    check_filled(uri, many);
    copy_to(_i, uri); /* nothing is left to do */
    check_filled(uri, many);

    txn = begin(client);
    assert_ok(flagver_idmap_remove(txn, "users", many->ids[0][0], &error));
    assert_ok(flagver_idmap_remove(txn, "users", many->ids[1][0], &error));
    assert_ok(flagver_idmap_put(txn, "users", many->ids[0][0], many->ids[1][1], &error));
    assert_ok(flagver_idmap_put(txn, "users", many->ids[1][0], many->ids[0][1], &error));
    assert_ok(flagver_idmap_remove(txn, "users", many->ids[2][0], &error));
    assert_ok(flagver_idmap_put(txn, "users", "another", many->ids[2][1], &error));
    commit(txn);
    copy_to(_i, uri);
    check_filled(uri, many);
    assert_ok(flagver_open(uri, NULL, &tenant, &error));
    check(tenant, "users", many->ids[0][0], many->ids[1][1]);
    check(tenant, "users", "another", many->ids[2][1]);
    flagver_close(tenant);
    flagver_close(client);
    free(many);
}
END_TEST

START_TEST(a_copy_does_not_touch_a_map_of_others)
{
    const flagver_copy_options acme = { .size = sizeof acme, .tenant = "acme" };
    flagver_client *client = open_store(SQLITE_KIND), *tenant, *other;
    struct many *many = fill(client, SQLITE_KIND);
    char uri[160];

    flagver_close(client);
    snprintf(uri, sizeof uri, "sqlite:%s", file_named("other"));
    assert_ok(flagver_open(uri, NULL, &other, &error));
    assert_ok(flagver_client_tenant(other, "acme", &tenant, &error));
    put(tenant, "users", "18", "of-another");
    assert_fails(FLAGVER_EEXIST, flagver_store_copy(store_uri(SQLITE_KIND), uri, &acme, &error));
    assert_words("users \"18\"");
    ck_assert_int_eq(count_all(tenant), 1);
    flagver_close(tenant);
    flagver_close(other);
    free(many);
}
END_TEST

/* Ends the copy when it has come to follow, after a mapping was put. */
static bool put_and_end(void *data, const flagver_copy_state *state)
{
    if (state->stage != FLAGVER_COPY_FOLLOWING)
        return true;
    put(data, "users", "late", "late-1");
    return false;
}

START_TEST(the_end_of_a_copy_that_follows_brings_what_was_mapped_meanwhile)
{
    flagver_client *client = open_store(SQLITE_KIND), *copy;
    const flagver_copy_options options = {
        .size = sizeof options, .follow = true, .tell = put_and_end, .data = client
    };
    char uri[160];

    put(client, "users", "1", "u-1"); /* and nothing else is there */
    snprintf(uri, sizeof uri, "sqlite:%s", file_named("other"));
    assert_ok(flagver_store_copy(store_uri(SQLITE_KIND), uri, &options, &error));
    assert_ok(flagver_open(uri, NULL, &copy, &error));
    check(copy, "users", "1", "u-1");
    check(copy, "users", "late", "late-1");
    flagver_close(copy);
    flagver_close(client);
}
END_TEST

/* ---- inside the application's transaction ---- */

START_TEST(a_mapping_is_the_applications_to_commit)
{
    flagver_client *client = open_store(SQLITE_KIND);
    flagver_txn *txn;
    sqlite3 *app;
    int round;

    ck_assert_int_eq(sqlite3_open(strchr(store_uri(SQLITE_KIND), ':') + 1, &app), SQLITE_OK);
    for (round = 0; round < 2; round++) {
        ck_assert_int_eq(sqlite3_exec(app, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        assert_ok(flagver_txn_begin_on_sqlite(client, app, &alice, NULL, &txn, &error));
        assert_ok(flagver_idmap_put(txn, "users", "1", "u-1", &error));
        commit(txn);
        check_absent(client, "users", "1", "u-1");
        ck_assert_int_eq(sqlite3_exec(app, round ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL),
                         SQLITE_OK);
    }
    check(client, "users", "1", "u-1");
    ck_assert_int_eq(sqlite3_close(app), SQLITE_OK);
    flagver_close(client);
}
END_TEST

/* ---- limits and misuse ---- */

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X255 X64 X64 X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *entity, *old_id, *new_id, *words;
} faults[] = {
    { NULL, "1", "2", "entity is NULL" },
    { "", "1", "2", "entity is 0 bytes; 1 to 64 allowed" },
    { X64 "x", "1", "2", "entity is 65 bytes; 1 to 64 allowed" },
    { "a\x1f", "1", "2", "entity has a control character at byte 1" },
    { "a", NULL, "2", "old_id is NULL" },
    { "a", "", "2", "old_id is 0 bytes; 1 to 255 allowed" },
    { "a", X255 "x", "2", "old_id is 256 bytes; 1 to 255 allowed" },
    { "a", "1\n", "2", "old_id has a control character at byte 1" },
    { "a", "\xff", "2", "old_id is not UTF-8" },
    { "a", "1", NULL, "new_id is NULL" },
    { "a", "1", "", "new_id is 0 bytes; 1 to 255 allowed" },
    { "a", "1", X255 "x", "new_id is 256 bytes; 1 to 255 allowed" },
    { "a", "1", "2\x7f", "new_id has a control character at byte 1" },
};
#define FAULTS ((int)(sizeof faults / sizeof *faults))

START_TEST(what_is_no_entity_or_id_is_refused)
{
    flagver_client *client = open_store(0);
    flagver_txn *txn = begin(client);

    assert_fails(FLAGVER_EINVAL, flagver_idmap_put(txn, faults[_i].entity, faults[_i].old_id,
                                                   faults[_i].new_id, &error));
    ck_assert_str_eq(error.message, faults[_i].words);
    assert_ok(flagver_idmap_put(txn, "a", "1", "2", &error));
    commit(txn);
    flagver_close(client);
}
END_TEST

START_TEST(the_longest_ids_are_kept)
{
    flagver_client *client = open_store(_i);

    put(client, X64, X255, X255);
    check(client, X64, X255, X255);
    flagver_close(client);
}
END_TEST

START_TEST(misuse_is_refused)
{
    flagver_client *client = open_store(0), *flags;
    const flagver_options options = quiet_options();
    char id[FLAGVER_IDMAP_ID_SIZE];
    flagver_txn *txn = begin(client);

    assert_fails(FLAGVER_EINVAL, flagver_idmap_put(NULL, "a", "1", "2", &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_put_many(txn, NULL, 1, NULL, &error));
    assert_ok(flagver_idmap_put_many(txn, NULL, 0, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_new(NULL, "a", "1", NULL, id, &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_new(txn, "a", "1", "", id, &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_new(txn, "a", "1", NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_remove(txn, "a", "", &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_get_in(txn, "a", "", id, &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_get_in(txn, "a", "1", NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_get_old_in(NULL, "a", "1", id, &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_get(client, "", "1", id, &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_get(client, "a", "1", NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_get_old(client, "a", NULL, id, &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_visit(client, "a", NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_idmap_visit(client, NULL, "1", see, NULL, &error));
    flagver_txn_free(txn);
    flagver_close(client);

    assert_ok(flagver_open("definitions:", &options, &flags, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_idmap_get(flags, "a", "1", id, &error));
    flagver_close(flags);
}
END_TEST

/* ---- UUIDs of names ---- */

/* RFC 9562, appendices A.4 and B.2. */
START_TEST(uuids_of_names_are_those_of_the_standard)
{
    static const char name[] = "www.example.com";
    char text[FLAGVER_UUID_SIZE];

    assert_ok(flagver_uuid_v5(DNS, name, strlen(name), text, &error));
    ck_assert_str_eq(text, "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    assert_ok(flagver_uuid_v8(DNS, name, strlen(name), text, &error));
    ck_assert_str_eq(text, "5c146b14-3c52-8afd-938a-375d0df1fbf6");
    assert_ok(flagver_uuid_v5(DNS, NULL, 0, text, &error));
    ck_assert_str_eq(text, "4ebd0208-8328-5d69-8c44-ec50939c0967");
    assert_fails(FLAGVER_EINVAL, flagver_uuid_v5("nowhere", name, 1, text, &error));
    assert_words("\"nowhere\" is no UUID");
    assert_fails(FLAGVER_EINVAL, flagver_uuid_v5(NULL, name, 1, text, &error));
    assert_fails(FLAGVER_EINVAL, flagver_uuid_v8(DNS, NULL, 1, text, &error));
    assert_fails(FLAGVER_EINVAL, flagver_uuid_v8(DNS, name, 1, NULL, &error));
}
END_TEST

static Suite *idmap_suite(void)
{
    Suite *suite = suite_create("idmap");
    TCase *all = add_store_tcase(suite, "all"), *shared = add_store_tcase(suite, "shared"),
          *once = add_store_tcase(suite, "once");

    tcase_add_loop_test(all, a_mapping_is_found_both_ways_and_only_in_its_entity, 0, STORE_KINDS);
    tcase_add_loop_test(all, putting_the_same_again_changes_nothing, 0, STORE_KINDS);
    tcase_add_loop_test(all, an_id_that_is_mapped_elsewhere_is_refused_and_nothing_changes, 0,
                        STORE_KINDS);
    tcase_add_loop_test(all, a_transaction_sees_what_it_has_put_and_others_do_when_it_is_committed,
                        JSONFILE_KIND, STORE_KINDS);
    tcase_add_loop_test(all, mappings_leave_no_leaves, 0, STORE_KINDS);
    tcase_add_loop_test(all, what_was_removed_is_free_again_on_both_sides, 0, STORE_KINDS);
    tcase_add_loop_test(all, a_new_id_is_the_same_for_all_who_ask, 0, STORE_KINDS);
    tcase_add_loop_test(all, tenants_have_maps_of_their_own, 0, STORE_KINDS);
    tcase_add_loop_test(all, many_are_put_together_and_again, 0, STORE_KINDS);
    tcase_add_loop_test(all, of_many_that_contradict_the_store_or_each_other_none_is_put, 0,
                        STORE_KINDS);
    tcase_add_loop_test(all, one_of_many_that_is_no_id_is_named, 0, STORE_KINDS);
    tcase_add_loop_test(all, mappings_are_visited_in_order_from_where_one_likes, 0, STORE_KINDS);
    tcase_add_loop_test(all, running_again_under_an_idempotency_key_changes_nothing, 0,
                        STORE_KINDS);
    tcase_add_loop_test(all, the_longest_ids_are_kept, 0, STORE_KINDS);

    tcase_add_loop_test(shared, who_removes_what_was_mapped_anew_meanwhile_removes_nothing,
                        POSTGRES_KIND, STORE_KINDS);
    tcase_add_loop_test(shared, a_lost_race_is_run_again_and_sees_the_others_mapping, POSTGRES_KIND,
                        STORE_KINDS);
    tcase_add_loop_test(shared, many_who_make_ids_for_the_same_things_agree, SHARED_KINDS,
                        STORE_KINDS);

    tcase_add_loop_test(shared, an_export_brings_the_map_along, JSONFILE_KIND, STORE_KINDS);
    tcase_add_loop_test(shared, a_tenant_of_which_there_are_but_ids_is_exported_by_its_name,
                        JSONFILE_KIND, STORE_KINDS);

    tcase_add_loop_test(shared, a_copy_brings_the_map_along_and_again_what_has_changed,
                        SHARED_KINDS, STORE_KINDS);

    tcase_add_test(once, a_copy_does_not_touch_a_map_of_others);
    tcase_add_test(once, the_end_of_a_copy_that_follows_brings_what_was_mapped_meanwhile);
    tcase_add_test(once, a_schema_that_goes_leaves_the_map_in_its_backup);
    tcase_add_loop_test(once, a_damaged_map_is_not_imported, 0, DAMAGES);
    tcase_add_test(once, a_mapping_is_the_applications_to_commit);
    tcase_add_loop_test(once, what_is_no_entity_or_id_is_refused, 0, FAULTS);
    tcase_add_test(once, misuse_is_refused);
    tcase_add_test(once, uuids_of_names_are_those_of_the_standard);
    return suite;
}

int main(void)
{
    return run_store_suite(idmap_suite());
}
