/* URIs of PostgreSQL: what is for us, what is for libpq, and what is shown. No server is needed. */
#include "support.h"

#include "driver/postgres_internal.h"
#include "util/memory.h"

/* ---- what is taken ---- */

static const struct {
    const char *path;
    const char *uri; /* for libpq, without "postgresql:"; NULL: just the path */
    int32_t pool, statement_ms, idle_ms;
    bool standby_reads;
} good[] = {
    /* nothing for us */
    { "//", NULL, 8, 30000, 60000, false },
    { "///db", NULL, 8, 30000, 60000, false },
    { "//host/db", NULL, 8, 30000, 60000, false },
    { "//ann:secret@host:5433/db", NULL, 8, 30000, 60000, false },
    { "//ann:%40%2F%3F@host/db?user=x&options=-c%20a%3Db", NULL, 8, 30000, 60000, false },
    { "//h1:5432,h2:5433/db?target_session_attrs=any", NULL, 8, 30000, 60000, false },
    { "//[::1]:5432/db?connect_timeout=3", NULL, 8, 30000, 60000, false },
    { "//?service=app", NULL, 8, 30000, 60000, false },
    { "///db?host=/tmp/sockets&user=ann", NULL, 8, 30000, 60000, false },
    { "//%2Ftmp%2Fsockets/db", NULL, 8, 30000, 60000, false },
    { "//host/db?sslmode=verify-full&sslrootcert=/etc/ca.pem", NULL, 8, 30000, 60000, false },
    { "//host/db?ssl=true", NULL, 8, 30000, 60000, false },
    { "//host/db?", "//host/db", 8, 30000, 60000, false },

    /* ours */
    { "//h/db?flagver_pool=1", "//h/db", 1, 30000, 60000, false },
    { "//h/db?flagver_pool=1000&sslmode=require", "//h/db?sslmode=require", 1000, 30000, 60000,
      false },
    { "//h/db?sslmode=require&flagver_pool=20", "//h/db?sslmode=require", 20, 30000, 60000, false },
    { "//h/db?user=a&flagver_pool=20&host=b", "//h/db?user=a&host=b", 20, 30000, 60000, false },
    { "//h/db?flagver_pool=5&flagver_pool=6", "//h/db", 6, 30000, 60000, false },
    { "//h/db?flagver_pool=%31%30", "//h/db", 10, 30000, 60000, false },
    { "//h/db?flagver_reads=standby", "//h/db", 8, 30000, 60000, true },
    { "//h/db?flagver_reads=%73tandby", "//h/db", 8, 30000, 60000, true },
    { "//h/db?flagver_reads=primary", "//h/db", 8, 30000, 60000, false },
    { "//h/db?flagver_statement_ms=0&flagver_idle_ms=0", "//h/db", 8, 0, 0, false },
    { "//h?flagver_statement_ms=2147483647&flagver_idle_ms=1", "//h", 8, 2147483647, 1, false },
    { "//ann:se?cret@h/db?flagver_pool=3", "//ann:se?cret@h/db", 3, 30000, 60000, false },
    { "//ann:flagver_pool=3@h/db", NULL, 8, 30000, 60000, false },
    { "//h/flagver_pool=3", NULL, 8, 30000, 60000, false },
    { "//h/db?application_name=flagver_pool", NULL, 8, 30000, 60000, false },
};

START_TEST(our_parameters_are_taken_out_and_the_rest_is_untouched)
{
    const char *uri = good[_i].uri ? good[_i].uri : good[_i].path;
    struct fv_pg_target target;

    assert_ok(fv_pg_target_parse(good[_i].path, NULL, &target, &error));
    ck_assert_int_eq(strncmp(target.uri, "postgresql:", 11), 0);
    ck_assert_str_eq(target.uri + 11, uri);
    ck_assert_int_eq(target.pool, good[_i].pool);
    ck_assert_int_eq(target.statement_ms, good[_i].statement_ms);
    ck_assert_int_eq(target.idle_ms, good[_i].idle_ms);
    ck_assert_int_eq(target.standby_reads, good[_i].standby_reads);
    fv_pg_target_clear(&target, NULL);
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *path, *words;
} bad[] = {
    /* ours */
    { "//h/db?flagver_pool=0", "flagver_pool is \"0\" in the URI; 1 to 1000 allowed" },
    { "//h/db?flagver_pool=1001", "1 to 1000" },
    { "//h/db?flagver_pool=", "flagver_pool is \"\"" },
    { "//h/db?flagver_pool", "flagver_pool is \"\"" },
    { "//h/db?flagver_pool=-1", "1 to 1000" },
    { "//h/db?flagver_pool=1x", "1 to 1000" },
    { "//h/db?flagver_pool=+1", "1 to 1000" },
    { "//h/db?flagver_pool=99999999999999999999", "1 to 1000" },
    { "//h/db?flagver_pool=1111111111111111111111111111111111111111111", "1 to 1000" },
    { "//h/db?flagver_pool=%3", "1 to 1000" },
    { "//h/db?flagver_pool=1%", "1 to 1000" },
    { "//h/db?flagver_pool=1%0", "1 to 1000" },
    { "//h/db?flagver_pool=1%00", "1 to 1000" },
    { "//h/db?flagver_pool=%zz", "1 to 1000" },
    { "//h/db?flagver_reads=both", "primary and standby" },
    { "//h/db?flagver_reads=", "primary and standby" },
    { "//h/db?flagver_statement_ms=2147483648",
      "flagver_statement_ms is \"2147483648\" in the URI; "
      "0 to 2147483647" },
    { "//h/db?flagver_idle_ms=x", "flagver_idle_ms is \"x\" in the URI; 0 to 2147483647" },
    { "//h/db?flagver_size=1", "there is no parameter flagver_size; known are flagver_pool" },
    { "//h/db?flagver_=1", "there is no parameter flagver_;" },
    { "//h/db?flagver_poo=1&password=Zx9", "there is no parameter flagver_poo;" },

    /* libpq's */
    { "//h/db?sslmod=require", "parameter \"sslmod\"" },
    { "//h/db?user=a&sslmod=require&flagver_pool=2", "parameter \"sslmod\"" },
    { "//h/db?application_name=50%", "parameter \"application_name\"" },
    { "//h/db?sslmode", "malformed" },
    { "//h/db?a=b=c", "parameter \"a\"" },
    { "//ann:Zx9@[::1/db", "malformed" },
    { "//ann:Zx9%@host/db", "malformed" },
    { "//ann:Zx9%zz@host/db", "malformed" },
    { "//h/db?password=Zx9%", "parameter \"password\"" },
    { "//h/db?password=a&Zx9=b", "malformed" },
    { "//h/db?password=a&Zx9", "malformed" },
    { "//h/db?sslpassword=a&Zx9=b", "malformed" },
    { "//h/db?password=Zx9&nonsense=1", "malformed" },
    { "", "begins with postgresql://" },
    { "/db", "begins with postgresql://" },
    { "host=h password=Zx9", "begins with postgresql://" },
    { "ann:Zx9@h/db", "begins with postgresql://" },
};

START_TEST(what_is_malformed_is_refused_with_a_name_and_a_limit)
{
    struct fv_pg_target target = { .pool = 4711 };

    assert_fails(FLAGVER_EINVAL, fv_pg_target_parse(bad[_i].path, NULL, &target, &error));
    assert_words(bad[_i].words);
    ck_assert_ptr_null(strstr(error.message, "Zx9"));
    ck_assert_int_eq(target.pool, 4711);
    ck_assert_int_eq(fv_pg_target_parse(bad[_i].path, NULL, &target, NULL), FLAGVER_EINVAL);
}
END_TEST

/* ---- what is shown ---- */

START_TEST(passwords_are_for_libpq_alone)
{
    struct fv_pg_target target;

    assert_ok(fv_pg_target_parse("//ann:Zx9@h/db?sslpassword=Zx9&password=Zx9&flagver_pool=2", NULL,
                                 &target, &error));
    ck_assert_str_eq(target.uri, "postgresql://ann:Zx9@h/db?sslpassword=Zx9&password=Zx9");
    ck_assert_str_eq(target.shown,
                     "postgresql://ann:***@h/db?sslpassword=***&password=***&flagver_pool=2");
    fv_pg_target_clear(&target, NULL);
    ck_assert_ptr_null(target.uri);
    fv_pg_target_clear(&target, NULL);
}
END_TEST

/* ---- the store's memory ---- */

static int allocations, allowed;

static void *count_allocate(void *data, size_t size)
{
    (void)data;
    return allocations++ < allowed ? malloc(size) : NULL;
}

static void *count_reallocate(void *data, void *block, size_t size)
{
    (void)data;
    return allocations++ < allowed ? realloc(block, size) : NULL;
}

static void count_free(void *data, void *block)
{
    (void)data;
    free(block);
}

START_TEST(what_is_kept_is_in_the_stores_memory)
{
    const flagver_allocator memory = { count_allocate, count_reallocate, count_free, NULL };
    struct fv_pg_target target;

    for (allowed = 0; allowed < 2; allowed++) {
        allocations = 0;
        assert_fails(FLAGVER_ENOMEM, fv_pg_target_parse("//h/db", &memory, &target, &error));
    }
    allocations = 0;
    assert_ok(fv_pg_target_parse("//h/db", &memory, &target, &error));
    ck_assert_int_eq(allocations, 2);
    fv_pg_target_clear(&target, &memory);
}
END_TEST

static Suite *postgres_uri_suite(void)
{
    Suite *suite = suite_create("postgres uri");
    TCase *tcase = tcase_create("uri");

    tcase_add_loop_test(tcase, our_parameters_are_taken_out_and_the_rest_is_untouched, 0,
                        (int)(sizeof good / sizeof *good));
    tcase_add_loop_test(tcase, what_is_malformed_is_refused_with_a_name_and_a_limit, 0,
                        (int)(sizeof bad / sizeof *bad));
    tcase_add_test(tcase, passwords_are_for_libpq_alone);
    tcase_add_test(tcase, what_is_kept_is_in_the_stores_memory);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(postgres_uri_suite());
}
