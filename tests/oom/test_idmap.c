/*
 * Memory runs out at the k-th allocation, for every k, while ids are mapped, looked up and copied:
 * each call says so, leaks nothing, and leaves no half of a mapping.
 */
#define _GNU_SOURCE /* mkdtemp */
#include <flagver.h>

#include <stdio.h>
#include <unistd.h>

#include "failing_malloc.h"
#include "support.h"

#define MANY 29  /* a whole copy has thousands */
#define COUNT 40 /* enough to be looked for together */

static flagver_client *client;
static const flagver_actor actor = { .size = sizeof actor, .id = "short of memory" };
static flagver_idmap_entry entries[COUNT];
static char ids[COUNT][2][16];

static void open_store(const char *uri)
{
    const flagver_options options = { .size = sizeof options, .no_environment = 1 };
    int i;

    for (i = 0; i < COUNT; i++) {
        snprintf(ids[i][0], sizeof ids[i][0], "old-%d", i);
        snprintf(ids[i][1], sizeof ids[i][1], "new-%d", i);
        entries[i] = (flagver_idmap_entry){ "users", ids[i][0], ids[i][1], 0 };
    }
    assert_ok(flagver_open(uri, &options, &client, &error));
}

static int map(void *data, flagver_txn *txn, flagver_error *err)
{
    char id[FLAGVER_IDMAP_ID_SIZE];
    int r = flagver_idmap_put_many(txn, entries, COUNT, NULL, err);

    (void)data;
    if (r == 0)
        r = flagver_idmap_new(txn, "orders", "1", NULL, id, err);
    if (r == 0)
        r = flagver_idmap_put(txn, "orders", "2", "two", err);
    return r == 0 ? flagver_idmap_remove(txn, "orders", "2", err) : r;
}

static int run_map(void)
{
    flagver_txn *txn;
    int r = flagver_txn_begin(client, &actor, NULL, &txn, &error);

    if (r < 0)
        return r;
    r = map(NULL, txn, &error);
    if (r == 0)
        r = flagver_txn_commit(txn, &error);
    flagver_txn_free(txn);
    return r;
}

static bool check_entry(void *data, const flagver_idmap_entry *entry)
{
    char id[FLAGVER_IDMAP_ID_SIZE];

    assert_ok(flagver_idmap_get_old(client, entry->entity, entry->new_id, id, &error));
    ck_assert_str_eq(id, entry->old_id);
    ++*(int *)data;
    return true;
}

static void check_all(int expected)
{
    int count = 0;

    assert_ok(flagver_idmap_visit(client, NULL, NULL, check_entry, &count, &error));
    ck_assert_int_eq(count, expected);
}

/* Every so many allocations, until none fails. */
static void fail_each(int (*call)(void), long stride)
{
    long k = 1;
    int r;

    do {
        memset(&error, 0, sizeof error);
        failing_malloc_arm(k);
        k += stride;
        r = call();
        failing_malloc_disarm();
        ck_assert_msg(r == 0 || flagver_error_class(r) == FLAGVER_CLASS_RETRY, "k = %ld: %d: %s", k,
                      r, error.message);
    } while (failing_malloc_failed());
    ck_assert_msg(r == 0, "%d: %s", r, error.message);
    ck_assert_int_gt(k, 1 + stride);
}

START_TEST(mapping_ids)
{
    long live;

    open_store("memory:");
    assert_ok(run_map());
    flagver_close(client);
    live = failing_malloc_live();
    open_store("memory:");
    fail_each(run_map, 1);
    check_all(COUNT + 1);
    flagver_close(client);
    ck_assert_int_le(failing_malloc_live(), live);
}
END_TEST

static int look_up(void)
{
    char id[FLAGVER_IDMAP_ID_SIZE];
    int r = flagver_idmap_get(client, "users", "old-7", id, &error);

    if (r < 0)
        return r;
    ck_assert_str_eq(id, "new-7");
    r = flagver_uuid_v8(FLAGVER_IDMAP_NAMESPACE, "name", 4, id, &error);
    return r;
}

START_TEST(looking_up_ids)
{
    open_store("memory:");
    assert_ok(run_map());
    fail_each(look_up, 1);
    flagver_close(client);
}
END_TEST

/* ---- copies ---- */

static char folder[64], from[128], to[128], file[128];

static int copy(void)
{
    return flagver_store_copy(from, to, NULL, &error);
}

static int export_and_import(void)
{
    int r = flagver_store_export(from, NULL, file, &error);

    if (r < 0)
        return r;
    r = flagver_store_import(to, file, &error);
    return r == FLAGVER_EEXIST ? 0 : r; /* the one before has come that far */
}

static void remove_store(const char *name)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    char path[160];
    size_t i;

    for (i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s/%s%s", folder, name, ends[i]);
        remove(path);
    }
}

static void check_copy(void)
{
    open_store(to);
    check_all(COUNT + 1);
    flagver_close(client);
    remove_store("to");
}

START_TEST(copying_ids)
{
    strcpy(folder, "/dev/shm/flagver-XXXXXX");
    if (!mkdtemp(folder)) {
        strcpy(folder, "/tmp/flagver-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
    }
    snprintf(from, sizeof from, "sqlite:%s/from", folder);
    snprintf(to, sizeof to, "sqlite:%s/to", folder);
    snprintf(file, sizeof file, "%s/file", folder);
    open_store(from);
    assert_ok(run_map());
    flagver_close(client);

    fail_each(copy, MANY);
    check_copy();
    fail_each(export_and_import, MANY);
    check_copy();

    remove(file);
    remove_store("from");
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

static Suite *idmap_suite(void)
{
    Suite *suite = suite_create("oom idmap");
    TCase *all = tcase_create("all");

    tcase_set_timeout(all, 120);
    tcase_add_test(all, mapping_ids);
    tcase_add_test(all, looking_up_ids);
    tcase_add_test(all, copying_ids);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return run_suite(idmap_suite());
}
