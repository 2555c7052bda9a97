/*
 * Rows of one side are changed, removed and added behind a route's back, while writers go on writing other
 * keys through it and the other side fails now and then. A comparison finds every one of these keys, says
 * of what kind the difference is, and names no other; with `repair` both sides become equal.
 *
 * The rule: keys that are spoiled are not written by the writers, as that would make both sides equal
 * again. They lie between keys that are.
 *
 * FLAGVER_CORRUPTIONS says how many there are in all arrangements together (1,000).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>

#include "homes.h"
#include "stores.h"

#include "crash/place.h"
#include "seed.h"

#define CORRUPTIONS 1000
#define ROUNDS 2 /* the old side is believed, and then the new one */
#define WRITERS 4
#define AT_ONCE 50 /* rows spoiled in one transaction */
#define REST_MS 60000

/* Which sides are enlisted: both, neither, the old one, the new one. */
static const struct mode {
    const char *label;
    bool enlisted[2];
} modes[] = { { "both enlisted", { true, true } },
              { "both detached", { false, false } },
              { "the new one detached", { true, false } },
              { "the old one detached", { false, true } } };
#define MODES ((int)(sizeof modes / sizeof modes[0]))
#define CASES ((arrangements_to_test() - FIRST_ENLISTED) * MODES)

/* What is known of a key that no writer writes. */
struct key {
    bool written; /* by writers: nothing is known */
    bool there[2];
    char values[2][24];
    int kind; /* of the difference; 0: none */
    bool found;
};

static struct home homes[2];
static flagver_side inner[2];
static flagver_client *control;
static flagver_route *route;
static struct seed dice;
static struct key *keys;
static unsigned key_count, invented;
static atomic_bool stop, fails;

static struct writer {
    pthread_t thread;
    struct seed seed;
    unsigned number, acknowledged;
} writers[WRITERS];

static const char *name_of(unsigned i, char out[16])
{
    snprintf(out, 16, "key-%07u", i);
    return out;
}

/* ---- past the route ---- */

/* A connection to a side's rows. */
struct back_door {
    const struct home *home;
    sqlite3 *db;
#ifndef FV_WITHOUT_postgres
    PGconn *connection;
#endif
};

static struct back_door back_door_open(const struct home *home)
{
    struct back_door door = { .home = home };

#ifndef FV_WITHOUT_postgres
    if (home->kind == IN_POSTGRES) {
        door.connection = PQconnectdb(home->uri);
        ck_assert_msg(PQstatus(door.connection) == CONNECTION_OK, "%s",
                      PQerrorMessage(door.connection));
        return door;
    }
#endif
    door.db = lite_open(&home->lite);
    return door;
}

static void back_door_close(struct back_door *door)
{
    sqlite3_close(door->db);
#ifndef FV_WITHOUT_postgres
    PQfinish(door->connection);
#endif
}

static void back_door_run(struct back_door *door, const char *sql)
{
#ifndef FV_WITHOUT_postgres
    if (door->connection) {
        PGresult *result = PQexec(door->connection, sql);

        ck_assert_msg(PQresultStatus(result) == PGRES_COMMAND_OK, "%s: %s", sql,
                      PQresultErrorMessage(result));
        PQclear(result);
        return;
    }
#endif
    ck_assert_msg(sqlite3_exec(door->db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(door->db));
}

static void back_door_begin(struct back_door *door)
{
    back_door_run(door, door->db ? "BEGIN IMMEDIATE" : "BEGIN");
}

/* The row of a key is as `keys` says. */
static void back_door_put(struct back_door *door, int side, unsigned i)
{
    const struct key *key = &keys[i];
    char name[16], sql[192];

    name_of(i, name);
    if (key->there[side])
        snprintf(sql, sizeof sql,
                 "INSERT INTO %s (key, value) VALUES ('%s', '%s')"
                 " ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value",
                 door->home->name, name, key->values[side]);
    else
        snprintf(sql, sizeof sql, "DELETE FROM %s WHERE key = '%s'", door->home->name, name);
    back_door_run(door, sql);
}

/* ---- keys ---- */

static void make_value(char out[24])
{
    snprintf(out, 24, "v-%08x", seed_below(&dice, UINT32_MAX));
}

/* Half of them are the writers'; a quarter of the others is nowhere. */
static void make_keys(unsigned count)
{
    keys = calloc(count, sizeof *keys);
    ck_assert_ptr_nonnull(keys);
    key_count = count;
    for (unsigned i = 0; i < count; i++) {
        keys[i].written = seed_below(&dice, 2) == 0;
        keys[i].there[0] = keys[i].there[1] = keys[i].written || seed_below(&dice, 4) > 0;
        make_value(keys[i].values[0]);
        memcpy(keys[i].values[1], keys[i].values[0], sizeof keys[i].values[0]);
    }
}

/* What the old side had before the migration; the new one has nothing. */
static void fill_old_side(void)
{
    struct back_door door = back_door_open(&homes[0]);

    back_door_begin(&door);
    for (unsigned i = 0; i < key_count; i++) {
        if (keys[i].there[0])
            back_door_put(&door, 0, i);
    }
    back_door_run(&door, "COMMIT");
    back_door_close(&door);
}

/* Another value: one letter of it, a longer, a shorter one, or none. */
static void change_value(char value[24])
{
    size_t length = strlen(value), at = length ? seed_below(&dice, (uint32_t)length) : 0;

    switch (length ? seed_below(&dice, 4) : 1) {
    case 0:
        value[at] = value[at] == 'x' ? 'y' : 'x';
        break;
    case 1:
        memcpy(value + length, "+", 2);
        break;
    case 2:
        value[at] = '\0';
        break;
    default:
        value[0] = '\0';
    }
}

static int kind_of(const struct key *key)
{
    return !key->there[1]   ? FLAGVER_DIFFERENCE_MISSING_IN_NEW
           : !key->there[0] ? FLAGVER_DIFFERENCE_EXTRA_IN_NEW
                            : FLAGVER_DIFFERENCE_VALUE;
}

static void spoil(struct back_door doors[2], unsigned i)
{
    struct key *key = &keys[i];
    int side = (int)seed_below(&dice, 2);

    if (!key->there[side])
        key->there[side] = true;
    else if (seed_below(&dice, 2) == 0)
        key->there[side] = false;
    else
        change_value(key->values[side]);
    key->kind = kind_of(key);
    back_door_put(&doors[side], side, i);
}

/* So many keys that are equal now and that nobody writes, anywhere. */
static void spoil_some(unsigned count)
{
    struct back_door doors[2] = { back_door_open(&homes[0]), back_door_open(&homes[1]) };
    bool same_file = doors[0].db && homes[1].together;

    for (unsigned done = 0; done < count;) {
        back_door_begin(&doors[0]);
        if (!same_file)
            back_door_begin(&doors[1]);
        for (unsigned k = 0; k < AT_ONCE && done < count;) {
            unsigned i = seed_below(&dice, key_count);

            if (keys[i].written || keys[i].kind)
                continue;
            if (same_file) {
                struct back_door both[2] = { doors[0], doors[0] };

                both[1].home = &homes[1];
                spoil(both, i);
            } else {
                spoil(doors, i);
            }
            k++, done++;
        }
        back_door_run(&doors[0], "COMMIT");
        if (!same_file)
            back_door_run(&doors[1], "COMMIT");
    }
    back_door_close(&doors[0]);
    back_door_close(&doors[1]);
}

/* ---- the sides, and who writes them ---- */

/* `data` is of the side itself. */
static int flaky_write(void *data, const flagver_side_call *call, const void *value, size_t length,
                       flagver_sink *sink, flagver_error *err)
{
    static atomic_uint calls;

    if (atomic_load(&fails) && atomic_fetch_add(&calls, 1) % 50 == 49)
        return FLAGVER_EUNAVAILABLE;
    return inner[call->side].write(data, call, value, length, sink, err);
}

static flagver_side make_side(int side, const struct arrangement *arrangement,
                              const struct mode *mode)
{
    flagver_side flaky;

    home_begin(homes, side, arrangement);
    inner[side] = flaky = home_side(&homes[side]);
    flaky.write = flaky_write;
    if (!mode->enlisted[side])
        flaky.client = NULL;
    return flaky;
}

static void *write_on(void *data)
{
    struct writer *writer = data;
    char name[16], value[32];

    for (unsigned no = 0; !atomic_load(&stop); no++) {
        unsigned i = seed_below(&writer->seed, key_count);
        int r;

        if (!keys[i].written)
            continue;
        name_of(i, name);
        snprintf(value, sizeof value, "w-%u-%u", writer->number, no);
        r = seed_below(&writer->seed, 8) == 0
                ? flagver_route_remove(route, name, NULL, NULL, NULL)
                : flagver_route_write(route, name, value, strlen(value), NULL, NULL, NULL);
        writer->acknowledged += r == 0;
    }
    return NULL;
}

static void begin_writing(void)
{
    atomic_store(&stop, false);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        writers[i].seed = (struct seed){ seed_next(&dice) };
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
    }
}

static void end_writing(void)
{
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
}

/* ---- comparing ---- */

static bool has_value(const struct key *key, int side, const void *value, size_t length)
{
    if (!key->there[side])
        return !value;
    return value && length == strlen(key->values[side]) &&
           memcmp(value, key->values[side], length) == 0;
}

/* A difference that is there, told for the first time, and as it is. */
static bool is_real(const flagver_difference *difference)
{
    unsigned i = 0;
    struct key *key;

    if (sscanf(difference->key, "key-%7u", &i) != 1 || i >= key_count)
        return false;
    key = &keys[i];
    if (key->kind == 0 || key->kind != difference->kind || key->found)
        return false;
    key->found = true;
    return has_value(key, 0, difference->old_value, difference->old_length) &&
           has_value(key, 1, difference->new_value, difference->new_length);
}

static bool look_at(void *data, const flagver_difference *difference)
{
    (void)data;
    if (is_real(difference))
        return true;
    invented++;
    complain("%s, kind %d: old \"%.*s\", new \"%.*s\"", difference->key, difference->kind,
             (int)difference->old_length,
             difference->old_value ? (const char *)difference->old_value : "",
             (int)difference->new_length,
             difference->new_value ? (const char *)difference->new_value : "");
    return true;
}

/* How many keys were left out. */
static uint64_t compare_sides(unsigned expected, bool repair)
{
    uint64_t differences, left_out;
    const flagver_compare_options options = { .size = sizeof options,
                                              .chunk = 100,
                                              .confirm_ms = 20,
                                              .repair = repair,
                                              .ret_left_out = &left_out };
    unsigned missed = 0;

    for (unsigned i = 0; i < key_count; i++)
        keys[i].found = false;
    assert_ok(flagver_route_verify(route, &options, look_at, NULL, NULL, &differences, &error));
    for (unsigned i = 0; i < key_count; i++)
        missed += keys[i].kind && !keys[i].found;
    ck_assert_msg(missed == 0 && invented == 0, "%u of %u keys were not found, %u were invented",
                  missed, expected, invented);
    ck_assert_uint_eq(differences, expected);
    return left_out;
}

static void come_to_rest(void)
{
    flagver_route_progress progress = { .size = sizeof progress };
    double until = now_ms() + REST_MS;

    do
        assert_ok(flagver_route_step(route, 500, &progress, &error));
    while ((progress.waiting > 0 || !progress.copied_all) && now_ms() < until);
    ck_assert_uint_eq(progress.waiting, 0);
    ck_assert(progress.copied_all);
}

/* What the believed side has. */
static void note_repaired(int believed)
{
    for (unsigned i = 0; i < key_count; i++) {
        struct key *key = &keys[i];

        key->kind = 0;
        key->there[!believed] = key->there[believed];
        memcpy(key->values[!believed], key->values[believed], sizeof key->values[0]);
    }
}

/* Not through the library. */
static void assert_rows(void)
{
    char name[16];

    for (unsigned i = 0; i < key_count; i += 1 + key_count / 200) {
        for (int side = 0; side < 2 && !keys[i].written; side++) {
            const char *value = home_value(&homes[side], name_of(i, name));
            const char *expected = keys[i].there[side] ? keys[i].values[side] : "";

            ck_assert_msg(strcmp(value ? value : "", expected) == 0, "%s has \"%s\", not \"%s\"",
                          name, value ? value : "", expected);
        }
    }
}

/* The writers write on until all was found, and repaired. */
static uint64_t spoil_and_compare(unsigned count, int believed)
{
    uint64_t left_out;

    begin_writing();
    atomic_store(&fails, true);
    spoil_some(count);
    left_out = compare_sides(count, false);
    atomic_store(&fails, false);
    compare_sides(count, true);
    note_repaired(believed);
    compare_sides(0, false);
    end_writing();

    come_to_rest();
    ck_assert_uint_eq(compare_sides(0, false), 0);
    assert_rows();
    return left_out;
}

/* ---- the whole ---- */

static void begin_migration(const struct arrangement *arrangement, const struct mode *mode)
{
    const flagver_route_options options = { .background = 1 };
    flagver_side sides[2];

    control = open_store(FAULT_KIND + 1);
    put_migration(control, "users", "{'stage': 'off'}");
    sides[0] = make_side(0, arrangement, mode);
    sides[1] = make_side(1, arrangement, mode);
    fill_old_side();
    route = open_route(control, "users", sides[0], sides[1], options);
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    go_to(route, FLAGVER_STAGE_BACKFILL);
    come_to_rest();
    go_to(route, FLAGVER_STAGE_SHADOW);
}

/* It is copied again then, the other way: that would overwrite what is spoiled meanwhile. */
static void believe_new_side(void)
{
    const flagver_route_change change = { .size = sizeof change, .forced = "a test" };

    assert_ok(flagver_route_stage(route, &alice, FLAGVER_STAGE_RAMP, &change, &error));
    assert_ok(flagver_route_stage(route, &alice, FLAGVER_STAGE_LIVE, &change, &error));
    come_to_rest();
}

static void end_migration(void)
{
    close_route(route);
    homes_end(homes);
    flagver_close(control);
    free(keys);
}

START_TEST(every_corruption_is_found_and_none_is_invented)
{
    const struct arrangement *arrangement = &arrangements[FIRST_ENLISTED + _i / MODES];
    const struct mode *mode = &modes[_i % MODES];
    const unsigned cases = (unsigned)(CASES * ROUNDS);
    unsigned count = ((unsigned)scale("FLAGVER_CORRUPTIONS", CORRUPTIONS) + cases - 1) / cases;
    unsigned acknowledged = 0;
    uint64_t left_out = 0;

    dice = seed_new((uint64_t)_i);
    make_keys(count * 6 + 100);
    begin_migration(arrangement, mode);
    left_out += spoil_and_compare(count, FLAGVER_SIDE_OLD);
    believe_new_side();
    left_out += spoil_and_compare(count, FLAGVER_SIDE_NEW);
    for (unsigned i = 0; i < WRITERS; i++)
        acknowledged += writers[i].acknowledged;
    ck_assert_uint_gt(acknowledged, 0);
    measured("%s, %s: %u corruptions, all of them found and none invented, beside %u writes; "
             "%u keys left out",
             arrangement->label, mode->label, count * ROUNDS, acknowledged, (unsigned)left_out);
    end_migration();
}
END_TEST

START_TEST(a_key_that_waits_to_be_repaired_is_left_out_and_counted)
{
    uint64_t differences, left_out = 0;
    const flagver_compare_options options = { .size = sizeof options,
                                              .confirm_ms = 1,
                                              .ret_left_out = &left_out };
    flagver_side sides[2];

    control = open_store(FAULT_KIND + 1);
    put_migration(control, "users", "{'stage': 'off'}");
    sides[0] = make_side(0, &arrangements[FIRST_ENLISTED], &modes[0]);
    sides[1] = make_side(1, &arrangements[FIRST_ENLISTED], &modes[0]);
    route = open_route(control, "users", sides[0], sides[1], (flagver_route_options){ 0 });
    go_to(route, FLAGVER_STAGE_DUALWRITE);
    home_fail_writes(&homes[1], FLAGVER_EUNAVAILABLE);
    write_text(route, "a", "1");
    home_fail_writes(&homes[1], 0);
    assert_ok(flagver_route_verify(route, &options, NULL, NULL, NULL, &differences, &error));
    ck_assert_uint_eq(differences, 0);
    ck_assert_uint_eq(left_out, 1);

    take_steps(route);
    assert_ok(flagver_route_verify(route, &options, NULL, NULL, NULL, &differences, &error));
    ck_assert_uint_eq(left_out, 0);
    end_migration();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("corruptions");
    TCase *tcase = add_store_tcase(suite, "comparing");

    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, every_corruption_is_found_and_none_is_invented, 0, CASES);
    tcase_add_test(tcase, a_key_that_waits_to_be_repaired_is_left_out_and_counted);
    return run_store_suite(suite);
}
