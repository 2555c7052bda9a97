/*
 * Drivers by name: which tables are taken, and which names.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "stores.h"

#include "store/registry.h"

static flagver_driver copy_as(const char *name)
{
    flagver_driver copy = jsonfile_driver;

    copy.name = name;
    return copy;
}

static const char *const bad_names[] = {
    NULL,
    "",
    "Upper",
    "under_score",
    "with space",
    "a:b",
    "a/b",
    "file",
    "definitions",
    "\xc3\xa9",
    "a23456789012345678901234567890123",
};

START_TEST(a_name_is_of_32_plain_characters)
{
    const flagver_driver driver = copy_as(bad_names[_i]);

    assert_fails(FLAGVER_EINVAL, flagver_driver_register(&driver, &error));
}
END_TEST

START_TEST(a_driver_is_found_by_its_name)
{
    static flagver_driver driver;
    const char *path;

    driver = copy_as("a2345678901234567890123456789+-.");
    assert_ok(flagver_driver_register(&driver, &error));
    ck_assert_ptr_eq(fv_driver_find("a2345678901234567890123456789+-.:some/path:x", &path),
                     &driver);
    ck_assert_str_eq(path, "some/path:x");
    ck_assert_ptr_null(fv_driver_find("a2345678901234567890123456789+-", &path));
    ck_assert_ptr_null(fv_driver_find("a2345678901234567890123456789:x", &path));
    ck_assert_ptr_null(fv_driver_find("", &path));
    ck_assert_ptr_null(fv_driver_find(":x", &path));
}
END_TEST

START_TEST(a_name_is_given_once)
{
    static flagver_driver one, two, sqlite;

    one = copy_as("mine");
    two = copy_as("mine");
    sqlite = copy_as("sqlite");
    assert_ok(flagver_driver_register(&one, &error));
    assert_fails(FLAGVER_EEXIST, flagver_driver_register(&two, &error));
    assert_words("\"mine\"");
    assert_ok(flagver_driver_register(&one, &error)); /* it is there, as was asked for */
    assert_fails(FLAGVER_EEXIST, flagver_driver_register(&sqlite, &error));
}
END_TEST

START_TEST(another_abi_is_refused)
{
    flagver_driver driver = copy_as("mine");

    driver.abi++;
    assert_fails(FLAGVER_EINVAL, flagver_driver_register(&driver, &error));
    assert_words("ABI");
    driver = copy_as("mine");
    driver.size--;
    assert_fails(FLAGVER_EINVAL, flagver_driver_register(&driver, &error));
    assert_fails(FLAGVER_EINVAL, flagver_driver_register(NULL, &error));
}
END_TEST

/* Drivers that were compiled when the table ended with `watch_fd`, and with `examine`. */
START_TEST(a_table_as_it_was_before_is_fine)
{
    static flagver_driver first, second;

    first = copy_as("first");
    first.size = offsetof(flagver_driver, examine);
    assert_ok(flagver_driver_register(&first, &error));
    second = copy_as("second");
    second.size = offsetof(flagver_driver, hold);
    assert_ok(flagver_driver_register(&second, &error));
}
END_TEST

/* A later version may have more behind what we know. */
START_TEST(a_longer_table_is_fine)
{
    static struct {
        flagver_driver driver;
        void *more;
    } longer;

    longer.driver = copy_as("longer");
    longer.driver.size = sizeof longer;
    assert_ok(flagver_driver_register(&longer.driver, &error));
}
END_TEST

/* `adopt` where it is not said to be there and `watch_fd` may be missing, and what came later. */
START_TEST(every_required_function_has_to_be_there)
{
    static const size_t required[] = {
        offsetof(flagver_driver, open),           offsetof(flagver_driver, close),
        offsetof(flagver_driver, abandon),        offsetof(flagver_driver, ping),
        offsetof(flagver_driver, describe),       offsetof(flagver_driver, schema_version),
        offsetof(flagver_driver, schema_migrate), offsetof(flagver_driver, schema_verify),
        offsetof(flagver_driver, begin),          offsetof(flagver_driver, commit),
        offsetof(flagver_driver, rollback),       offsetof(flagver_driver, outcome),
        offsetof(flagver_driver, lock),           offsetof(flagver_driver, lock_log),
        offsetof(flagver_driver, apply),          offsetof(flagver_driver, scan),
        offsetof(flagver_driver, next),           offsetof(flagver_driver, end_scan),
        offsetof(flagver_driver, changes),
    };
    static flagver_driver driver;
    size_t i;

    for (i = 0; i < sizeof required / sizeof *required; i++) {
        driver = copy_as("mine");
        memset((char *)&driver + required[i], 0, sizeof(void (*)(void)));
        assert_fails(FLAGVER_EINVAL, flagver_driver_register(&driver, &error));
        assert_words("lacks");
    }
    driver = copy_as("mine");
    driver.adopt = NULL;
    driver.capabilities |= FLAGVER_DRIVER_ENLIST;
    assert_fails(FLAGVER_EINVAL, flagver_driver_register(&driver, &error));
    driver.capabilities &= ~(uint64_t)FLAGVER_DRIVER_ENLIST;
    driver.watch_fd = NULL;
    driver.examine = NULL;
    driver.hold = NULL;
    driver.nest = NULL;
    driver.connection = NULL;
    assert_ok(flagver_driver_register(&driver, &error));
}
END_TEST

#ifdef FV_WITHOUT_postgres
#define OWN_DRIVERS 1
#else
#define OWN_DRIVERS 2
#endif

START_TEST(there_is_room_for_32)
{
    static flagver_driver drivers[33];
    static char names[33][24];
    int i, r = 0;

    for (i = 0; i < 33 && r == 0; i++) {
        snprintf(names[i], sizeof names[i], "driver-%d", i);
        drivers[i] = copy_as(names[i]);
        r = flagver_driver_register(&drivers[i], &error);
    }
    ck_assert_int_eq(r, FLAGVER_EBUSY);
    ck_assert_int_eq(i + OWN_DRIVERS, 33);
}
END_TEST

/* The table of the library: a name of it cannot be used up before. */
START_TEST(the_librarys_own_drivers_are_always_there)
{
    flagver_client *client;

    assert_ok(flagver_open("memory:", NULL, &client, &error));
    flagver_close(client);
}
END_TEST

static Suite *registry_suite(void)
{
    Suite *suite = suite_create("registry");
    TCase *refused = tcase_create("refused"), *taken = tcase_create("taken");

    tcase_add_loop_test(refused, a_name_is_of_32_plain_characters, 0, COUNT(bad_names));
    tcase_add_test(refused, another_abi_is_refused);

    /* Drivers are registered for good: each test needs a process of its own. */
    tcase_set_tags(taken, "fork");
    tcase_add_test(taken, a_driver_is_found_by_its_name);
    tcase_add_test(taken, a_name_is_given_once);
    tcase_add_test(taken, a_table_as_it_was_before_is_fine);
    tcase_add_test(taken, a_longer_table_is_fine);
    tcase_add_test(taken, every_required_function_has_to_be_there);
    tcase_add_test(taken, there_is_room_for_32);
    tcase_add_test(taken, the_librarys_own_drivers_are_always_there);

    suite_add_tcase(suite, refused);
    suite_add_tcase(suite, taken);
    return suite;
}

int main(void)
{
    return run_suite(registry_suite());
}
