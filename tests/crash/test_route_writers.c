/*
 * Many threads write a few keys through one route while the migration goes through its stages and
 * back, copies and repairs run, and the other side fails now and then. In the end both sides are equal,
 * and what was acknowledged last is there.
 *
 * FLAGVER_TEST_SECONDS: how long (2).
 */
#define _DEFAULT_SOURCE /* mkdtemp() */
#include "homes.h"
#include "stores.h"

#include <stdatomic.h>
#include <time.h>

#define WRITERS 16
#define OWN_KEYS 20    /* that one thread writes */
#define SHARED_KEYS 20 /* that all of them write */

static struct home homes[2];
static flagver_side inner[2]; /* as they are when they do not fail */
static flagver_client *control;
static flagver_route *route;
static atomic_bool stop;

static struct writer {
    pthread_t thread;
    unsigned number;
    uint64_t state;
    unsigned acknowledged, refused;
    char last[OWN_KEYS][32]; /* "": removed, or never there */
    bool unsure[OWN_KEYS];   /* the last write failed: either may be there */
} writers[WRITERS];

static uint64_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* ---- the sides ---- */

/* `data` is of the side itself. */
static int flaky_write(void *data, const flagver_side_call *call, const void *value, size_t length,
                       flagver_sink *sink, flagver_error *err)
{
    static atomic_uint calls;

    if (atomic_fetch_add(&calls, 1) % 50 == 49)
        return FLAGVER_EUNAVAILABLE;
    return inner[call->side].write(data, call, value, length, sink, err);
}

static flagver_side make_side(int side, const struct arrangement *arrangement)
{
    flagver_side flaky;

    home_begin(homes, side, arrangement);
    inner[side] = flaky = home_side(&homes[side]);
    flaky.write = flaky_write;
    return flaky;
}

/* ---- the writers ---- */

static void write_own(struct writer *writer)
{
    unsigned i = (unsigned)(draw(&writer->state) % OWN_KEYS);
    bool removes = draw(&writer->state) % 8 == 0;
    char key[32], value[32];
    int r;

    snprintf(key, sizeof key, "own-%02u-%02u", writer->number, i);
    snprintf(value, sizeof value, "%u-%u", writer->number, writer->acknowledged + writer->refused);
    r = removes ? flagver_route_remove(route, key, NULL, NULL, NULL)
                : flagver_route_write(route, key, value, strlen(value), NULL, NULL, NULL);
    if (r == 0)
        snprintf(writer->last[i], sizeof writer->last[i], "%s", removes ? "" : value);
    writer->unsure[i] = r < 0;
    writer->acknowledged += r == 0;
    writer->refused += r < 0;
}

static void write_shared(struct writer *writer)
{
    unsigned i = (unsigned)(draw(&writer->state) % SHARED_KEYS);
    char key[32], value[32];

    snprintf(key, sizeof key, "shared-%02u", i);
    snprintf(value, sizeof value, "%u-%u", writer->number, writer->acknowledged);
    if (draw(&writer->state) % 8 == 0)
        flagver_route_remove(route, key, NULL, NULL, NULL);
    else
        flagver_route_write(route, key, value, strlen(value), NULL, NULL, NULL);
}

static void *write_on(void *data)
{
    struct writer *writer = data;

    while (!atomic_load(&stop)) {
        write_own(writer);
        write_shared(writer);
    }
    return NULL;
}

/* ---- the migration ---- */

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What is wanted may have to wait, or be in vain; what counts is what the sides are in the end. */
/* A side that becomes the authority before it has everything is believed all the same: not forced here. */
static void copy_all(void)
{
    flagver_route_progress progress = { .size = sizeof progress };
    double until = seconds() + 60;

    do
        flagver_route_step(route, 1000, &progress, NULL);
    while (!progress.copied_all && seconds() < until);
    ck_assert(progress.copied_all);
}

static unsigned wander(double until)
{
    static const int stages[] = { FLAGVER_STAGE_DUALWRITE, FLAGVER_STAGE_BACKFILL,
                                  FLAGVER_STAGE_SHADOW,    FLAGVER_STAGE_RAMP,
                                  FLAGVER_STAGE_LIVE,      FLAGVER_STAGE_RAMPDOWN,
                                  FLAGVER_STAGE_LIVE,      FLAGVER_STAGE_SHADOW };
    const flagver_route_change change = { .size = sizeof change, .forced = "a test" };
    unsigned flips = 0;

    go_to(route, FLAGVER_STAGE_DUALWRITE);
    copy_all();
    do {
        for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
            flagver_route_step(route, 50, NULL, NULL);
            if (flagver_route_stage(route, &alice, stages[i], &change, &error) == 0)
                flips += stages[i] == FLAGVER_STAGE_LIVE;
        }
        flagver_route_stage(route, &alice, FLAGVER_STAGE_BACKFILL, &change, &error);
    } while (seconds() < until);
    return flips;
}

static void come_to_rest(void)
{
    flagver_route_progress progress = { .size = sizeof progress };
    double until = seconds() + 120;

    do
        flagver_route_step(route, 1000, &progress, NULL); /* sides go on failing now and then */
    while ((progress.waiting > 0 || !progress.settled || !progress.copied_all) &&
           seconds() < until);
    ck_assert_uint_eq(progress.waiting, 0);
    ck_assert(progress.settled);
    ck_assert(progress.copied_all);
}

static bool print(void *data, const flagver_difference *difference)
{
    (void)data;
    printf("%d %s: old \"%.*s\", new \"%.*s\"\n", difference->kind, difference->key,
           (int)difference->old_length,
           difference->old_value ? (const char *)difference->old_value : "",
           (int)difference->new_length,
           difference->new_value ? (const char *)difference->new_value : "");
    fflush(stdout);
    return true;
}

static void check_writer(const struct writer *writer)
{
    for (unsigned i = 0; i < OWN_KEYS; i++) {
        const char *value;
        char key[32];

        if (writer->unsure[i])
            continue;
        snprintf(key, sizeof key, "own-%02u-%02u", writer->number, i);
        value = read_text(route, key);
        ck_assert_msg(strcmp(value ? value : "", writer->last[i]) == 0,
                      "%s has \"%s\", and \"%s\" was acknowledged", key, value ? value : "",
                      writer->last[i]);
    }
}

static double test_seconds(void)
{
    const char *text = getenv("FLAGVER_TEST_SECONDS");

    return text ? atof(text) : 2;
}

START_TEST(no_write_is_lost_and_the_sides_become_equal)
{
    const struct arrangement *arrangement = &arrangements[_i];
    uint64_t compared, differences;
    unsigned acknowledged = 0, refused = 0, flips;
    flagver_side sides[2];

    control = open_store(FAULT_KIND + 1);
    put_migration(control, "users", "{'stage': 'off'}");
    sides[0] = make_side(0, arrangement);
    sides[1] = make_side(1, arrangement);
    route = open_route(control, "users", sides[0], sides[1], (flagver_route_options){ 0 });

    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ .number = i, .state = i + 1 };
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
    }
    flips = wander(seconds() + test_seconds());
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        acknowledged += writers[i].acknowledged;
        refused += writers[i].refused;
    }

    come_to_rest();
    assert_ok(flagver_route_verify(route, NULL, print, NULL, &compared, &differences, &error));
    ck_assert_uint_eq(differences, 0);
    for (unsigned i = 0; i < WRITERS; i++)
        check_writer(&writers[i]);
    printf("%s: %u writes acknowledged, %u refused, %u flips, %u keys compared\n",
           arrangement->label, acknowledged, refused, flips, (unsigned)compared);

    close_route(route);
    homes_end(homes);
    flagver_close(control);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route_writers");
    TCase *tcase = add_store_tcase(suite, "writers");

    tcase_set_timeout(tcase, test_seconds() + 300);
    tcase_add_loop_test(tcase, no_write_is_lost_and_the_sides_become_equal, 0,
                        arrangements_to_test());
    return run_store_suite(suite);
}
