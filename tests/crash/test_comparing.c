/*
 * Comparing many records takes no more memory than comparing a few.
 *
 * FLAGVER_COMPARED_ROWS says how many there are on each side (1,000,000).
 */
#define _GNU_SOURCE
#include "homes.h"
#include "stores.h"

#include "crash/place.h"

#define ROWS 1000000
#define MOST_KIB (64 * 1024) /* the same for any number of rows */

static struct home homes[2];

/* The most memory that the process has had since it was last forgotten, in KiB. */
static long peak_memory(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[128];
    long peak = 0;

    while (status && fgets(line, sizeof line, status))
        sscanf(line, "VmHWM: %ld", &peak);
    if (status)
        fclose(status);
    return peak;
}

static void forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");

    if (!file)
        return;
    fputs("5", file);
    fclose(file);
}

static flagver_side make_side(int side, const struct arrangement *arrangement, int rows)
{
    const char *series = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT %d)"
                         " INSERT INTO %s SELECT printf('key-%%010d', i),"
                         " printf('%%0120d', i) FROM n";
    char sql[256];

    home_begin(homes, side, arrangement);
    if (homes[side].kind == IN_POSTGRES)
        series = "INSERT INTO %2$s SELECT 'key-' || lpad(i::text, 10, '0'),"
                 " lpad(i::text, 120, '0') FROM generate_series(1, %1$d) i";
    snprintf(sql, sizeof sql, series, rows, homes[side].name);
    home_sql(&homes[side], sql);
    return home_side(&homes[side]);
}

START_TEST(comparing_takes_no_more_memory_however_many_records_there_are)
{
    const struct arrangement *arrangement =
        &arrangements[_i == 0 ? FIRST_ENLISTED : (int)FIRST_SERVED + 2];
    const int rows = scale("FLAGVER_COMPARED_ROWS", ROWS);
    uint64_t compared, differences;
    flagver_client *control;
    flagver_route *route;
    flagver_side sides[2];
    double begun, took;
    long before, grown;

    control = open_store(FAULT_KIND + 1);
    put_migration(control, "users", "{'stage': 'off'}");
    sides[0] = make_side(0, arrangement, rows);
    sides[1] = make_side(1, arrangement, rows);
    route = open_route(control, "users", sides[0], sides[1], (flagver_route_options){ 0 });
    go_to(route, FLAGVER_STAGE_DUALWRITE);

    forget_peak();
    before = peak_memory();
    begun = now_ms();
    assert_ok(flagver_route_verify(route, NULL, NULL, NULL, &compared, &differences, &error));
    took = now_ms() - begun;
    grown = peak_memory() - before;
    ck_assert_uint_eq(compared, (unsigned)rows);
    ck_assert_uint_eq(differences, 0);
    ck_assert_int_lt(grown, MOST_KIB);
    measured("%s: %d rows on each side compared in %.1f s, and %ld KiB more memory at its peak",
             arrangement->label, rows, took / 1e3, grown);

    close_route(route);
    homes_end(homes);
    flagver_close(control);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("comparing");
    TCase *tcase = add_store_tcase(suite, "memory");

    tcase_set_timeout(tcase, 600);
    tcase_add_loop_test(tcase, comparing_takes_no_more_memory_however_many_records_there_are, 0,
                        arrangements_to_test() > FIRST_SERVED ? 2 : 1);
    return run_store_suite(suite);
}
