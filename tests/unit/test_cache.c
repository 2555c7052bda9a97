/*
 * The cache file: starting while the store is away, and when not to believe it.
 */
#define _DEFAULT_SOURCE /* mkdtemp, nanosleep */
#include "stores.h"
#include "waiting.h"

#include <sys/stat.h>

/* ---- a store that can be taken away ---- */

static char place[128], hidden[140], uri[200], cache[128];

static void make_place(int kind)
{
    snprintf(place, sizeof place, "%s", file_named("place"));
    snprintf(hidden, sizeof hidden, "%s-away", place);
    snprintf(uri, sizeof uri, "%s%s/store", store_kinds[kind], place);
    snprintf(cache, sizeof cache, "%s", file_named("cache"));
    ck_assert_int_eq(mkdir(place, 0700), 0);
}

static void empty_place(void)
{
    char command[200];

    snprintf(command, sizeof command, "rm -rf %s/*", place);
    ck_assert_int_eq(system(command), 0);
}

static void remove_place(void)
{
    empty_place();
    rmdir(place);
}

static void take_store_away(void)
{
    ck_assert_int_eq(rename(place, hidden), 0);
}

static void bring_store_back(void)
{
    ck_assert_int_eq(rename(hidden, place), 0);
}

static int try_open(const char *store, const char *tenant, const char *file,
                    flagver_client **ret_client)
{
    flagver_options options = quiet_options();

    options.cache_file = file;
    options.tenant = tenant;
    memset(&error, 0, sizeof error);
    return flagver_open(store, &options, ret_client, &error);
}

static flagver_client *open_cached(void)
{
    flagver_client *client;

    assert_ok(try_open(uri, NULL, cache, &client));
    return client;
}

static flagver_client *open_uncached(void)
{
    flagver_client *client;

    assert_ok(try_open(uri, NULL, NULL, &client));
    return client;
}

static int64_t value_of(flagver_client *client, const char *key)
{
    return flagver_flag_int(client, key, NULL, -1);
}

static bool health_says(flagver_client *client, const char *words)
{
    char *json;
    bool found;

    assert_ok(flagver_client_health(client, &json, &error));
    found = strstr(json, words) != NULL;
    flagver_string_free(json);
    return found;
}

/* A store with the flag "f" and a cache of it; all is closed. */
static void make_cached(int kind, const char *json)
{
    flagver_client *client;

    make_place(kind);
    client = open_uncached();
    put_flag(client, "f", json);
    flagver_close(client);
    flagver_close(open_cached());
    ck_assert_int_eq(access(cache, F_OK), 0);
}

static struct fv_text read_file(const char *path)
{
    struct fv_text text = FV_TEXT_INIT;
    FILE *file = fopen(path, "r");
    char piece[4096];
    size_t got;

    ck_assert_msg(file != NULL, "%s is not there", path);
    while ((got = fread(piece, 1, sizeof piece, file)) > 0)
        fv_text_add_bytes(&text, piece, got);
    fclose(file);
    return text;
}

static void write_file(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

/* ---- without the store ---- */

START_TEST(a_process_starts_while_the_store_is_away)
{
    flagver_client *client;
    flagver_version *version;
    flagver_txn *txn;

    make_cached(_i, VALUE(1));
    take_store_away();
    client = open_cached();
    ck_assert_int_eq(value_of(client, "f"), 1);
    ck_assert(health_says(client, "\"status\":\"stale\""));
    ck_assert(health_says(client, "\"refreshed\":null"));
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_client_refresh(client, &error));
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_txn_begin(client, &alice, NULL, &txn, &error));
    assert_fails(FLAGVER_EUNAVAILABLE,
                 flagver_version_current(client, FLAGVER_PHASE_FLAG, "f", &version, &error));
    ck_assert_int_eq(value_of(client, "f"), 1);

    bring_store_back();
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert(health_says(client, "\"status\":\"ok\""));
    put_flag(client, "f", VALUE(2));
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert_int_eq(value_of(client, "f"), 2);
    flagver_close(client);
    remove_place();
}
END_TEST

START_TEST(without_a_cache_file_nothing_starts_while_the_store_is_away)
{
    flagver_client *client;

    make_place(_i);
    take_store_away();
    ck_assert_int_eq(try_open(uri, NULL, NULL, &client), FLAGVER_EUNAVAILABLE);
    ck_assert_int_eq(try_open(uri, NULL, cache, &client), FLAGVER_EUNAVAILABLE);
    bring_store_back();
    remove_place();
}
END_TEST

START_TEST(the_refresher_finds_a_store_that_comes_back)
{
    flagver_options options = quiet_options();
    flagver_client *client, *writer;
    int left;

    make_cached(_i, VALUE(1));
    take_store_away();
    options.cache_file = cache;
    options.background = 1;
    options.poll_ms = 5;
    assert_ok(flagver_open(uri, &options, &client, &error));
    ck_assert_int_eq(value_of(client, "f"), 1);
    bring_store_back();
    writer = open_uncached();
    put_flag(writer, "f", VALUE(2));
    for (left = 4000; left > 0 && value_of(client, "f") != 2; left--)
        rest(5);
    ck_assert_int_gt(left, 0);
    flagver_close(writer);
    flagver_close(client);
    remove_place();
}
END_TEST

START_TEST(everything_that_flags_are_made_of_is_cached)
{
    flagver_client *client;
    int i;

    make_place(_i);
    client = open_uncached();
    put_segment(client, "s", "{'include':['u']}");
    put_flag(client, "asks", "{'type':'boolean','rules':[{'if':{'segment':'s'},'serve':'on'}]}");
    put_flag(client, "half", SHARE(50));
    put_flag(client, "\xc3\xa9",
             "{'type':'string','variants':{'v':'\xc3\xa9\\u0001'},"
             "'default':'v'}");
    put_flag(client, "gone", SIMPLE);
    delete_flag(client, "gone");
    flagver_close(client);
    flagver_close(open_cached());
    for (i = 0; i < 2; i++) { /* the same with the store and without it */
        flagver_detail detail = { .size = sizeof detail };

        client = open_cached();
        assert_flag(client, "asks", "{'targetingKey':'u'}", "true on TARGETING_MATCH");
        assert_flag(client, "asks", "{'targetingKey':'v'}", "false off DEFAULT");
        assert_flag(client, "half", "{'targetingKey':'u'}", "false off SPLIT bucket=81886");
        assert_flag(client, "gone", NULL, "- - ERROR FLAG_NOT_FOUND");
        flagver_flag_evaluate(client, "\xc3\xa9", 2, NULL, FLAGVER_TYPE_STRING, &detail);
        ck_assert_uint_eq(detail.value.length, 3);
        ck_assert_int_eq(detail.version, 1);
        flagver_close(client);
        if (i == 0)
            take_store_away();
    }
    bring_store_back();
    remove_place();
}
END_TEST

/* A new store in its place would be in the way when it comes back. */
START_TEST(a_store_that_a_cache_knows_is_not_made_anew)
{
    flagver_client *client;
    char away[240];

    make_cached(_i, VALUE(1));
    snprintf(away, sizeof away, "%s/store-away", place);
    ck_assert_int_eq(rename(strchr(uri, ':') + 1, away), 0);
    client = open_cached();
    ck_assert_int_eq(value_of(client, "f"), 1);
    ck_assert(health_says(client, "\"status\":\"stale\""));
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_client_refresh(client, &error));
    assert_words("remove that to begin a new store");
    assert_fails(FLAGVER_EUNAVAILABLE, flagver_client_reopen(client, &error));
    ck_assert_int_ne(access(strchr(uri, ':') + 1, F_OK), 0);
    ck_assert_int_eq(rename(away, strchr(uri, ':') + 1), 0);
    assert_ok(flagver_client_refresh(client, &error));
    flagver_close(client);
    remove_place();
}
END_TEST

/* ---- what is not believed ---- */

START_TEST(a_damaged_cache_is_as_none)
{
    flagver_client *client;
    struct fv_text bytes;
    size_t i;

    make_cached(_i, VALUE(1));
    bytes = read_file(cache);
    take_store_away();
    for (i = 0; i < bytes.length; i++) {
        bytes.data[i] ^= 0x10;
        write_file(cache, bytes.data, bytes.length);
        if (try_open(uri, NULL, cache, &client) != FLAGVER_EUNAVAILABLE)
            ck_abort_msg("a cache with another byte %zu was believed", i);
        bytes.data[i] ^= 0x10;
    }
    for (i = 0; i < bytes.length; i++) {
        write_file(cache, bytes.data, i);
        if (try_open(uri, NULL, cache, &client) != FLAGVER_EUNAVAILABLE)
            ck_abort_msg("a cache of %zu bytes of %zu was believed", i, bytes.length);
    }
    fv_text_add(&bytes, "more");
    write_file(cache, bytes.data, bytes.length);
    ck_assert_int_eq(try_open(uri, NULL, cache, &client), FLAGVER_EUNAVAILABLE);
    write_file(cache, bytes.data, bytes.length - 4); /* the test itself is sound */
    ck_assert_int_eq(try_open(uri, NULL, cache, &client), 0);
    flagver_close(client);
    bring_store_back();
    fv_text_clear(&bytes);
    remove_place();
}
END_TEST

START_TEST(a_damaged_cache_does_not_matter_where_the_store_is)
{
    static const char *const texts[] = { "", "x", "fvcache2", "fvcache2garbage, and much of it" };
    flagver_client *client;
    int i;

    make_cached(_i, VALUE(1));
    for (i = 0; i < COUNT(texts); i++) {
        write_file(cache, texts[i], strlen(texts[i]));
        client = open_cached();
        ck_assert_int_eq(value_of(client, "f"), 1);
        ck_assert(health_says(client, "\"status\":\"ok\""));
        flagver_close(client);
        take_store_away(); /* it was made anew */
        client = open_cached();
        ck_assert_int_eq(value_of(client, "f"), 1);
        flagver_close(client);
        bring_store_back();
    }
    remove_place();
}
END_TEST

START_TEST(a_cache_of_another_tenant_or_store_is_as_none)
{
    flagver_client *client;
    char other[220];

    make_cached(_i, VALUE(1));
    snprintf(other, sizeof other, "%s2", uri);
    take_store_away();
    ck_assert_int_eq(try_open(uri, "other", cache, &client), FLAGVER_EUNAVAILABLE);
    ck_assert_int_eq(try_open(other, NULL, cache, &client), FLAGVER_EUNAVAILABLE);
    bring_store_back();
    ck_assert_int_eq(try_open(uri, "other", cache, &client), 0);
    ck_assert_int_eq(value_of(client, "f"), -1);
    flagver_close(client);
    remove_place();
}
END_TEST

START_TEST(a_cache_that_is_older_than_the_store_catches_up)
{
    flagver_client *client;

    make_cached(_i, VALUE(1));
    client = open_uncached();
    put_flag(client, "f", VALUE(2));
    put_flag(client, "g", VALUE(3));
    put_flag(client, "h", VALUE(4));
    delete_flag(client, "h");
    flagver_close(client);
    client = open_cached();
    ck_assert_int_eq(value_of(client, "f"), 2);
    ck_assert_int_eq(value_of(client, "g"), 3);
    ck_assert_int_eq(value_of(client, "h"), -1);
    flagver_close(client);
    take_store_away(); /* and so did the file */
    client = open_cached();
    ck_assert_int_eq(value_of(client, "f"), 2);
    ck_assert_int_eq(value_of(client, "g"), 3);
    flagver_close(client);
    bring_store_back();
    remove_place();
}
END_TEST

/* With as many leaves, with more, with none: it is not the log that the cache is of. */
START_TEST(a_cache_of_a_store_that_was_replaced_is_not_believed)
{
    flagver_client *client;
    int flags, i;
    char key[16];

    for (flags = 0; flags < 3; flags++) {
        make_cached(_i, VALUE(1));
        empty_place();
        client = open_uncached(); /* makes a new one */
        for (i = 0; i < flags; i++) {
            snprintf(key, sizeof key, "new%d", i);
            put_flag(client, key, VALUE(7));
        }
        flagver_close(client);
        client = open_cached();
        ck_assert_int_eq(value_of(client, "f"), -1);
        ck_assert_int_eq(value_of(client, "new0"), flags > 0 ? 7 : -1);
        flagver_close(client);
        take_store_away(); /* the file is that of the new one now */
        client = open_cached();
        ck_assert_int_eq(value_of(client, "f"), -1);
        ck_assert_int_eq(value_of(client, "new0"), flags > 0 ? 7 : -1);
        flagver_close(client);
        bring_store_back();
        remove_place();
        unlink(cache);
    }
}
END_TEST

START_TEST(a_cache_that_the_store_disowned_is_not_served_when_the_store_then_fails)
{
    flagver_client *client;
    int nth, r;

    make_cached(FAULT_KIND, VALUE(1));
    empty_place();
    client = open_uncached();
    put_flag(client, "new", VALUE(7));
    flagver_close(client);
    for (nth = 1; nth < 20; nth++) {
        flagver_fault_fail(fault, FLAGVER_FAULT_SCAN, (uint64_t)nth, FLAGVER_EUNAVAILABLE, true);
        r = try_open(uri, NULL, cache, &client);
        flagver_fault_fail(fault, FLAGVER_FAULT_SCAN, 0, 0, false);
        if (r == FLAGVER_EUNAVAILABLE)
            continue;
        ck_assert_int_eq(r, 0);
        if (health_says(client, "\"status\":\"ok\"")) {
            flagver_close(client);
            break;
        }
        ck_assert_int_eq(nth, 1); /* the store has not said anything yet */
        flagver_close(client);
    }
    ck_assert_int_gt(nth, 2);
    ck_assert_int_lt(nth, 20);
    remove_place();
}
END_TEST

/* ---- writing it ---- */

START_TEST(a_cache_that_cannot_be_written_is_no_error)
{
    flagver_client *client;

    make_place(_i);
    snprintf(cache, sizeof cache, "%s", "/dev/null/cache");
    client = open_cached();
    put_flag(client, "f", VALUE(1));
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert_int_eq(value_of(client, "f"), 1);
    ck_assert(health_says(client, "\"status\":\"ok\""));
    flagver_close(client);
    remove_place();
}
END_TEST

START_TEST(a_cache_is_for_its_owner_alone_and_nothing_stays_beside_it)
{
    DIR *directory;
    struct dirent *entry;
    struct stat state;
    const char *name;
    int files = 0;

    make_cached(_i, VALUE(1));
    ck_assert_int_eq(stat(cache, &state), 0);
    ck_assert_int_eq(state.st_mode & 0777, 0600);
    name = strrchr(cache, '/') + 1;
    directory = opendir(folder);
    while ((entry = readdir(directory)))
        files += strncmp(entry->d_name, name, strlen(name)) == 0;
    closedir(directory);
    ck_assert_int_eq(files, 1);
    remove_place();
}
END_TEST

START_TEST(views_of_tenants_write_no_cache)
{
    flagver_client *client, *view;
    struct fv_text before, after;

    make_cached(_i, VALUE(1));
    before = read_file(cache);
    client = open_cached();
    assert_ok(flagver_client_tenant(client, "other", &view, &error));
    put_flag(view, "g", VALUE(1));
    assert_ok(flagver_client_refresh(view, &error));
    flagver_close(view);
    flagver_close(client);
    after = read_file(cache);
    ck_assert_uint_eq(before.length, after.length);
    ck_assert_mem_eq(before.data, after.data, before.length);
    fv_text_clear(&before);
    fv_text_clear(&after);
    remove_place();
}
END_TEST

static Suite *cache_suite(void)
{
    Suite *suite = suite_create("cache");
    TCase *away = add_store_tcase(suite, "away"), *disbelief = add_store_tcase(suite, "disbelief"),
          *damaged = add_store_tcase(suite, "damaged"),
          *writing = add_store_tcase(suite, "writing");

    tcase_add_loop_test(away, a_process_starts_while_the_store_is_away, JSONFILE_KIND, FILE_KINDS);
    tcase_add_loop_test(away, without_a_cache_file_nothing_starts_while_the_store_is_away,
                        JSONFILE_KIND, FILE_KINDS);
    tcase_add_loop_test(away, the_refresher_finds_a_store_that_comes_back, SHARED_KINDS,
                        FILE_KINDS);
    tcase_add_loop_test(away, everything_that_flags_are_made_of_is_cached, JSONFILE_KIND,
                        FILE_KINDS);

    tcase_add_loop_test(away, a_store_that_a_cache_knows_is_not_made_anew, JSONFILE_KIND,
                        FILE_KINDS);

    tcase_set_tags(damaged, "slow"); /* valgrind leaves it out */
    tcase_add_loop_test(damaged, a_damaged_cache_is_as_none, JSONFILE_KIND, FILE_KINDS);

    tcase_add_loop_test(disbelief, a_damaged_cache_does_not_matter_where_the_store_is,
                        JSONFILE_KIND, FILE_KINDS);
    tcase_add_loop_test(disbelief, a_cache_of_another_tenant_or_store_is_as_none, JSONFILE_KIND,
                        FILE_KINDS);
    tcase_add_loop_test(disbelief, a_cache_that_is_older_than_the_store_catches_up, JSONFILE_KIND,
                        FILE_KINDS);
    tcase_add_loop_test(disbelief, a_cache_of_a_store_that_was_replaced_is_not_believed,
                        JSONFILE_KIND, FILE_KINDS);
    tcase_add_test(disbelief,
                   a_cache_that_the_store_disowned_is_not_served_when_the_store_then_fails);

    tcase_add_loop_test(writing, a_cache_that_cannot_be_written_is_no_error, JSONFILE_KIND,
                        FILE_KINDS);
    tcase_add_loop_test(writing, a_cache_is_for_its_owner_alone_and_nothing_stays_beside_it,
                        JSONFILE_KIND, FILE_KINDS);
    tcase_add_loop_test(writing, views_of_tenants_write_no_cache, JSONFILE_KIND, FILE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(cache_suite());
}
