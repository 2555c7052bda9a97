#define _POSIX_C_SOURCE 200809L /* mkdtemp() */
#include "conformance.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "fixture.h"

/* ---- what is left out, and why ---- */

/* A case that is left out runs as one of these, so that it is counted and said. */
static void say_skipped(const char *why)
{
    printf("SKIPPED: a case of driver \"%s\": %s\n", conform.driver->name, why);
    fflush(stdout);
}

START_TEST(is_skipped_for_places_cannot_be_lost)
{
    say_skipped("lose_place is not there");
}
END_TEST

START_TEST(is_skipped_for_stores_are_private)
{
    say_skipped("its stores are private");
}
END_TEST

START_TEST(is_skipped_for_readers_wait)
{
    say_skipped("its readers and writers wait for each other");
}
END_TEST

START_TEST(is_skipped_for_it_has_not_processes)
{
    say_skipped("FLAGVER_DRIVER_PROCESSES is not among its capabilities");
}
END_TEST

START_TEST(is_skipped_for_it_has_not_tenants)
{
    say_skipped("FLAGVER_DRIVER_TENANTS is not among its capabilities");
}
END_TEST

START_TEST(is_skipped_for_it_has_one_writer)
{
    say_skipped("FLAGVER_DRIVER_ONE_WRITER is among its capabilities");
}
END_TEST

START_TEST(is_skipped_for_it_has_not_rules)
{
    say_skipped("FLAGVER_DRIVER_RULES is not among its capabilities");
}
END_TEST

START_TEST(is_skipped_for_it_has_not_hold)
{
    say_skipped("hold is not there");
}
END_TEST

START_TEST(is_skipped_for_it_has_not_nest)
{
    say_skipped("nest is not there");
}
END_TEST

START_TEST(is_skipped_for_it_has_not_connection)
{
    say_skipped("connection is not there");
}
END_TEST

/* Why a case needs functions that are not there. */
static const TTest *missing(unsigned needs)
{
    if (needs & NEEDS_HOLD && !CONFORM_HAS(hold))
        return is_skipped_for_it_has_not_hold;
    if (needs & NEEDS_NEST && !CONFORM_HAS(nest))
        return is_skipped_for_it_has_not_nest;
    if (needs & NEEDS_CONNECTION && !CONFORM_HAS(connection))
        return is_skipped_for_it_has_not_connection;
    return NULL;
}

/* Why a case with these needs is left out; NULL: it is not. */
static const TTest *reason(unsigned needs)
{
    uint64_t capabilities = conform.driver->capabilities;
    bool reopens = !conform.target->private_stores;

    if (needs & NEEDS_LOSING && !conform.target->lose_place)
        return is_skipped_for_places_cannot_be_lost;
    if (needs & (NEEDS_REOPEN | NEEDS_PROCESSES) && !reopens)
        return is_skipped_for_stores_are_private;
    if (needs & NEEDS_SNAPSHOTS && conform.target->readers_wait)
        return is_skipped_for_readers_wait;
    if (needs & NEEDS_PROCESSES && !(capabilities & FLAGVER_DRIVER_PROCESSES))
        return is_skipped_for_it_has_not_processes;
    if (needs & NEEDS_TENANTS && !(capabilities & FLAGVER_DRIVER_TENANTS))
        return is_skipped_for_it_has_not_tenants;
    if (needs & NEEDS_MANY_WRITERS && capabilities & FLAGVER_DRIVER_ONE_WRITER)
        return is_skipped_for_it_has_one_writer;
    if (needs & NEEDS_RULES && !(capabilities & FLAGVER_DRIVER_RULES))
        return is_skipped_for_it_has_not_rules;
    return missing(needs);
}

void conform_add(TCase *tcase, unsigned needs, const TTest *test)
{
    const TTest *instead = reason(needs);

    tcase_add_test(tcase, instead ? instead : test);
}

/* ---- a store for each test ---- */

static void open_place(void)
{
    const struct flagver_conformance *target = conform.target;

    ck_assert_msg(target->make_place(target->data, conform.path, sizeof conform.path) == 0,
                  "there is no place for a store");
    conform.store = conform_open(CONFORM_WAIT_MS);
}

static void remove_place(void)
{
    if (conform.store)
        conform_close(conform.store);
    conform.target->remove_place(conform.target->data, conform.path);
}

TCase *conform_tcase(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);

    tcase_set_timeout(tcase, 60); /* it ends what hangs, not what is slow */
    tcase_add_checked_fixture(tcase, open_place, remove_place);
    suite_add_tcase(suite, tcase);
    return tcase;
}

Suite *flagver_conformance_suite(const struct flagver_conformance *target)
{
    Suite *suite = suite_create(target->driver->name);

    conform.target = target;
    conform.driver = target->driver;
    conform_store_cases(suite);
    conform_row_cases(suite);
    conform_rule_cases(suite);
    conform_item_cases(suite);
    conform_review_cases(suite);
    conform_log_cases(suite);
    conform_query_cases(suite);
    conform_transaction_cases(suite);
    conform_within_cases(suite);
    conform_thread_cases(suite);
    conform_process_cases(suite);
    return suite;
}

/* ---- places in the file system ---- */

int flagver_conformance_make_file(void *data, char *path, size_t size)
{
    const char *top = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    char directory[PATH_MAX];

    (void)data;
    snprintf(directory, sizeof directory, "%s/flagver-XXXXXX", top ? top : "/tmp");
    if (!mkdtemp(directory))
        return -1;
    return (size_t)snprintf(path, size, "%s/store", directory) < size ? 0 : -1;
}

static size_t directory_length(const char *path)
{
    return (size_t)(strrchr(path, '/') - path);
}

/* Call this for the path of each file beside `path`, and then for their directory. */
static void for_each(const char *path, void (*visit)(const char *path))
{
    char directory[PATH_MAX], file[2 * PATH_MAX];
    struct dirent *entry;
    DIR *stream;

    snprintf(directory, sizeof directory, "%.*s", (int)directory_length(path), path);
    stream = opendir(directory);
    while (stream && (entry = readdir(stream))) {
        if (entry->d_name[0] == '.')
            continue; /* this directory and the one above */
        snprintf(file, sizeof file, "%s/%s", directory, entry->d_name);
        visit(file);
    }
    if (stream)
        closedir(stream);
}

static void remove_file(const char *path)
{
    unlink(path);
}

static void hide_file(const char *path)
{
    char hidden[2 * PATH_MAX];
    size_t length = directory_length(path);

    if (strncmp(path + length, "/lost-", 6) == 0)
        return; /* it is found again under its new name */
    snprintf(hidden, sizeof hidden, "%.*s/lost-%s", (int)length, path, path + length + 1);
    rename(path, hidden);
}

void flagver_conformance_remove_file(void *data, const char *path)
{
    char directory[PATH_MAX];

    (void)data;
    for_each(path, remove_file);
    snprintf(directory, sizeof directory, "%.*s", (int)directory_length(path), path);
    rmdir(directory);
}

void flagver_conformance_lose_file(void *data, const char *path)
{
    (void)data;
    for_each(path, hide_file);
}
