/*
 * Routes whose sides, callers and processes do what they should not: nonsense, failures, calls that do
 * not come back, many callers at once, forks. The caller gets an answer or a named error, in time.
 */
#define _DEFAULT_SOURCE /* nanosleep(), usleep() */
#include <errno.h>
#include <sys/wait.h>
#include <time.h>

#include "engine/route.h"
#include "spies.h"
#include "stores.h"

#define OLD FLAGVER_SIDE_OLD
#define NEW FLAGVER_SIDE_NEW

static flagver_client *client;
static flagver_route *route;
static flagver_route_result result;

static void arrange(const char *stage, flagver_route_options options)
{
    spies_reset();
    client = client_of("{'flags': {}}", NULL);
    serve_stage(client, stage, NULL);
    route = open_spied(client, options);
    result = (flagver_route_result){ .size = sizeof result };
}

static void leave(void)
{
    flagver_route_result_clear(&result);
    close_spied(route);
    flagver_close(client);
}

static int read_key(const char *key)
{
    flagver_route_result_clear(&result);
    memset(&error, 0, sizeof error);
    return flagver_route_read(route, key, NULL, &result, &error);
}

static int write_key(const char *key)
{
    flagver_route_result_clear(&result);
    memset(&error, 0, sizeof error);
    return flagver_route_write(route, key, "v", 1, NULL, &result, &error);
}

static int remove_key(const char *key)
{
    flagver_route_result_clear(&result);
    memset(&error, 0, sizeof error);
    return flagver_route_remove(route, key, NULL, &result, &error);
}

static void sleep_ms(int ms)
{
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000L };

    while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
        ;
}

/* ---- orders ---- */

static const struct {
    const char *stage, *calls;
} serial[] = { { "off", "old" },      { "dualwrite", "old" }, { "shadow", "old new" },
               { "live", "new old" }, { "rampdown", "new" },  { "complete", "new" },
               { "backfill", "old" } };

START_TEST(in_serial_order_the_side_that_answers_is_read_first)
{
    /* Concurrent without workers is the same. */
    for (int order = FLAGVER_ORDER_CONCURRENT; order <= FLAGVER_ORDER_SERIAL; order++) {
        arrange(serial[_i].stage, (flagver_route_options){ .order = order });
        for (int k = 0; k < 8; k++) {
            spied_count = 0;
            assert_ok(read_key("k"));
            ck_assert_str_eq(who_was_asked(), serial[_i].calls);
        }
        leave();
    }
}
END_TEST

static uint64_t number;

static uint64_t say_number(void *data)
{
    ck_assert_ptr_eq(data, &number);
    return number;
}

START_TEST(in_random_order_a_number_of_the_hosts_decides_who_is_read_first)
{
    static const uint64_t numbers[] = { 0, 1, 2, 3, UINT64_MAX, UINT64_MAX - 1 };
    bool live = _i == 1;

    arrange(live ? "live" : "shadow", (flagver_route_options){ .order = FLAGVER_ORDER_RANDOM,
                                                               .random = say_number,
                                                               .random_data = &number });
    for (int k = 0; k < COUNT(numbers); k++) {
        bool turned = numbers[k] % 2 == 0;

        spied_count = 0;
        number = numbers[k];
        assert_ok(read_key("k"));
        ck_assert_str_eq(who_was_asked(), turned == live ? "old new" : "new old");
        ck_assert_str_eq(result.value, live ? "of new" : "of old");
    }
    leave();
}
END_TEST

/* Five standard deviations of slack. */
START_TEST(in_random_order_each_side_is_read_first_as_often)
{
    int old_first = 0;

    arrange("shadow", (flagver_route_options){ .order = FLAGVER_ORDER_RANDOM });
    for (int k = 0; k < 10000; k++) {
        spied_count = 0;
        assert_ok(read_key("k"));
        old_first += spied[0].side == OLD;
    }
    ck_assert_int_gt(old_first, 5000 - 250);
    ck_assert_int_lt(old_first, 5000 + 250);
    leave();
}
END_TEST

START_TEST(where_one_side_is_read_no_order_asks_the_other)
{
    arrange("dualwrite", (flagver_route_options){ .order = FLAGVER_ORDER_RANDOM });
    for (int k = 0; k < 100; k++)
        assert_ok(read_key("k"));
    ck_assert_int_eq(times_asked(NEW), 0);
    leave();
}
END_TEST

/* ---- both fail, and comparators ---- */

START_TEST(when_both_sides_fail_the_answering_sides_words_are_the_error)
{
    bool live = _i % 2;

    arrange(live ? "live" : "shadow",
            (flagver_route_options){ .order = _i / 2, .workers = _i / 2 ? 0 : 1 });
    spies[OLD] = (struct spy){ .returns = FLAGVER_EIO, .words = "old has burnt down" };
    spies[NEW] = (struct spy){ .returns = FLAGVER_EUNAVAILABLE, .words = "new is not there yet" };
    ck_assert_int_eq(read_key("k"), live ? FLAGVER_EUNAVAILABLE : FLAGVER_EIO);
    ck_assert_str_eq(error.message, live ? "new is not there yet" : "old has burnt down");
    ck_assert_int_eq(result.sides[OLD].code, FLAGVER_EIO);
    ck_assert_int_eq(result.sides[NEW].code, FLAGVER_EUNAVAILABLE);
    ck_assert_str_eq(result.errors[OLD].message, "old has burnt down");
    ck_assert_str_eq(result.errors[NEW].message, "new is not there yet");
    ck_assert_ptr_null(result.value);
    ck_assert_int_eq(result.consistent, -1);
    leave();
}
END_TEST

static int verdict, verdicts;

static int say_verdict(void *data, const char *key, const void *old_value, size_t old_length,
                       const void *new_value, size_t new_length)
{
    ck_assert_ptr_eq(data, &verdict);
    ck_assert_str_eq(key, "k");
    /* Old first, in each stage. */
    ck_assert_uint_eq(old_length, 6);
    ck_assert_uint_eq(new_length, 6);
    ck_assert_str_eq(old_value, "of old");
    ck_assert_str_eq(new_value, "of new");
    verdicts++;
    return verdict;
}

static const struct {
    int says, means;
} comparisons[] = { { 1, 1 },  { 0, 0 },   { -1, -1 },        { FLAGVER_EIO, -1 },
                    { 2, -1 }, { 99, -1 }, { INT32_MIN, -1 }, { INT32_MAX, -1 } };

static int told_consistent;

static void keep_consistent(void *data, const flagver_route_event *event)
{
    (void)data;
    told_consistent = event->consistent;
}

START_TEST(a_comparator_that_cannot_tell_changes_no_answer)
{
    static const char *const names[] = { "shadow", "live" };

    for (int s = 0; s < COUNT(names); s++) {
        arrange(names[s], (flagver_route_options){ .compare = say_verdict,
                                                   .compare_data = &verdict,
                                                   .event = keep_consistent });
        verdict = comparisons[_i].says;
        verdicts = 0;
        assert_ok(read_key("k"));
        ck_assert_int_eq(verdicts, 1);
        ck_assert_int_eq(result.consistent, comparisons[_i].means);
        ck_assert_int_eq(told_consistent, comparisons[_i].means);
        ck_assert_str_eq(result.value, s ? "of new" : "of old");
        leave();
    }
}
END_TEST

/* ---- sides that talk nonsense ---- */

static const struct {
    const char *label;
    int returns;
    const char *gives;
    int code;
    const char *words;
} nonsense[] = {
    { "a positive number", 1, "v", FLAGVER_EINVAL, "read returned 1, which is no FLAGVER_E" },
    { "a large one", INT32_MAX, "v", FLAGVER_EINVAL, "read returned 2147483647" },
    { "an unknown code", -12345, "v", FLAGVER_EINVAL, "read returned -12345" },
    { "the least number", INT32_MIN, "v", FLAGVER_EINVAL, "read returned -2147483648" },
    { "0 without a value", 0, NULL, FLAGVER_EINVAL, "read returned 0 without a value" },
    { "an error without words", FLAGVER_EIO, NULL, FLAGVER_EIO, "read" },
    { "an error with a value", FLAGVER_EIO, "v", FLAGVER_EIO, "read" },
};

START_TEST(a_side_that_answers_nonsense_is_named)
{
    for (int side = OLD; side <= NEW; side++) {
        arrange(side == OLD ? "off" : "complete", (flagver_route_options){ 0 });
        spies[side].returns = nonsense[_i].returns;
        spies[side].gives = nonsense[_i].gives;
        assert_fails(nonsense[_i].code, read_key("k"));
        assert_words(nonsense[_i].words);
        assert_words(side == OLD ? "old" : "new");
        ck_assert_ptr_null(result.value);
        ck_assert_int_eq(result.sides[side].code, nonsense[_i].code);
        leave();
    }
}
END_TEST

static const char *const scanned[][2] = { { "b", "a" }, { "b", "b" }, { "b", "" } };

static int scan_in_disorder(void *data, const flagver_side_call *call, const char *after,
                            uint32_t limit, flagver_sink *sink, flagver_error *err)
{
    const char *const *keys = data;
    int r = flagver_sink_row(sink, keys[0], "v", 1);

    (void)call;
    (void)after;
    (void)limit;
    (void)err;
    return r < 0 ? r : flagver_sink_row(sink, keys[1], "v", 1);
}

START_TEST(a_scan_whose_keys_do_not_rise_is_told_where)
{
    flagver_route_options options = { .size = sizeof options, .flag = "move" };

    spies_reset();
    client = client_of("{'flags': {}}", NULL);
    options.old_side = options.new_side = spy_side(OLD);
    options.old_side.scan = options.new_side.scan = scan_in_disorder;
    options.old_side.data = (void *)scanned[_i];
    assert_ok(flagver_route_open(client, NULL, &options, &route, &error));
    assert_fails(FLAGVER_EINVAL, flagver_route_verify(route, NULL, NULL, NULL, NULL, NULL, &error));
    assert_words("old: scan gave");
    assert_words("behind b");
    leave();
}
END_TEST

START_TEST(nonsense_of_the_other_side_stays_in_the_result)
{
    arrange("shadow", (flagver_route_options){ .workers = 1, .shadow_timeout_ms = -1 });
    spies[NEW].returns = nonsense[_i].returns;
    spies[NEW].gives = nonsense[_i].gives;
    assert_ok(read_key("k"));
    ck_assert_str_eq(result.value, "of old");
    ck_assert_int_eq(result.sides[NEW].code, nonsense[_i].code);
    ck_assert_ptr_nonnull(strstr(result.errors[NEW].message, nonsense[_i].words));
    leave();
}
END_TEST

START_TEST(writes_and_removals_that_answer_nonsense_are_named)
{
    arrange("dualwrite", (flagver_route_options){ 0 });
    spies[OLD].returns = 7;
    assert_fails(FLAGVER_EINVAL, write_key("k"));
    assert_words("old: write returned 7");
    assert_fails(FLAGVER_EINVAL, remove_key("k"));
    assert_words("old: remove returned 7");
    ck_assert_int_eq(times_asked(NEW), 0);
    spies[OLD].returns = 0;
    spies[NEW].returns = 7;
    assert_ok(write_key("k"));
    ck_assert(result.pending);
    ck_assert_int_eq(result.sides[NEW].code, FLAGVER_EINVAL);
    leave();
}
END_TEST

static const char *const bad_keys[] = { NULL, "", "a\nb", "\xff\xfe", "\x7f" };

START_TEST(a_creation_without_a_proper_key_is_an_error)
{
    arrange("dualwrite", (flagver_route_options){ 0 });
    spies[OLD].makes = bad_keys[_i];
    assert_fails(FLAGVER_EINVAL, write_key(NULL));
    assert_words(bad_keys[_i] ? "old: write gave a key or value that is none"
                              : "old: write returned 0 without the key");
    ck_assert_ptr_null(result.key);
    ck_assert_int_eq(times_asked(NEW), 0);
    leave();
}
END_TEST

/* ---- what sides may hand over ---- */

struct handed {
    const void *value;
    size_t length;
    int times, said;
};

static int hand_over(void *data, const flagver_side_call *call, flagver_sink *sink,
                     flagver_error *err)
{
    struct handed *handed = data;

    (void)call;
    (void)err;
    for (int i = 0; i < handed->times; i++)
        handed->said = flagver_sink_value(sink, handed->value, handed->length);
    return 0;
}

static void arrange_handed(struct handed *handed)
{
    flagver_route_options options = { .size = sizeof options, .flag = "move" };

    spies_reset();
    client = client_of("{'flags': {}}", NULL);
    options.old_side = options.new_side = spy_side(OLD);
    options.old_side.read = hand_over;
    options.old_side.data = handed;
    assert_ok(flagver_route_open(client, NULL, &options, &route, &error));
    result = (flagver_route_result){ .size = sizeof result };
}

START_TEST(values_are_bytes_of_any_length)
{
    static const size_t lengths[] = { 0, 1, 255, 65536, 16777216 };
    char *value = malloc(lengths[4]);

    for (size_t i = 0; i < lengths[4]; i++)
        value[i] = (char)(i * 7);
    for (int i = 0; i < COUNT(lengths); i++) {
        struct handed handed = { value, lengths[i], 2, 0 };

        arrange_handed(&handed);
        assert_ok(read_key("k"));
        ck_assert_int_eq(handed.said, 0);
        ck_assert_uint_eq(result.length, lengths[i]);
        ck_assert(memcmp(result.value, value, lengths[i]) == 0);
        ck_assert_int_eq(result.value[lengths[i]], 0);
        leave();
    }
    free(value);
}
END_TEST

/* Also where the function does not look at what the sink says. */
START_TEST(a_value_that_is_none_is_refused)
{
    struct handed handed = { NULL, 5, 1, 0 };

    arrange_handed(&handed);
    assert_fails(FLAGVER_EINVAL, read_key("k"));
    ck_assert_int_eq(handed.said, FLAGVER_EINVAL);
    assert_words("old: read gave a key or value that is none");
    handed = (struct handed){ "x", SIZE_MAX, 1, 0 };
    assert_fails(FLAGVER_ENOMEM, read_key("k"));
    ck_assert_int_eq(handed.said, FLAGVER_ENOMEM);
    handed = (struct handed){ NULL, 0, 1, 0 };
    assert_ok(read_key("k"));
    ck_assert_uint_eq(result.length, 0);
    ck_assert_int_eq(flagver_sink_value(NULL, "x", 1), FLAGVER_EINVAL);
    ck_assert_int_eq(flagver_sink_key(NULL, "x"), FLAGVER_EINVAL);
    leave();
}
END_TEST

/* ---- sides that hang ---- */

static atomic_bool hangs;
static atomic_int inside;

static void hang(int side)
{
    (void)side;
    atomic_fetch_add(&inside, 1);
    while (atomic_load(&hangs))
        sleep_ms(1);
    atomic_fetch_sub(&inside, 1);
}

/* The answering side's: until the other one is inside. */
static void wait_for_other(int side)
{
    (void)side;
    while (atomic_load(&inside) == 0)
        sleep_ms(1);
}

static void let_go(void)
{
    atomic_store(&hangs, false);
    while (atomic_load(&inside) > 0)
        sleep_ms(1);
}

START_TEST(a_read_that_hangs_on_the_other_side_is_given_up)
{
    bool live = _i;
    int other = live ? OLD : NEW;

    arrange(live ? "live" : "shadow", (flagver_route_options){ .workers = 1,
                                                               .shadow_timeout_ms = 20,
                                                               .compare = say_verdict,
                                                               .compare_data = &verdict });
    atomic_store(&hangs, true);
    spies[other].first = hang;
    spies[live ? NEW : OLD].first = wait_for_other;
    assert_ok(read_key("k"));
    ck_assert_str_eq(result.value, live ? "of new" : "of old");
    ck_assert(result.sides[other].invoked);
    ck_assert_int_eq(result.sides[other].code, FLAGVER_ETIMEDOUT);
    ck_assert_int_ge(result.sides[other].latency_ns, 20000000);
    ck_assert_ptr_nonnull(
        strstr(result.errors[other].message, "read has not answered after 20 ms"));
    ck_assert_int_eq(result.consistent, -1);

    assert_fails(FLAGVER_EBUSY, flagver_route_close(route, 10, &error));
    assert_words("move: a side's function has not returned after 10 ms");
    flagver_route_result_clear(&result);
    assert_fails(FLAGVER_ESTATE, read_key("k"));
    assert_words("closed");
    assert_fails(FLAGVER_ESTATE, write_key("k"));
    assert_fails(FLAGVER_EBUSY, flagver_route_close(route, 0, &error));
    let_go();
    leave();
}
END_TEST

START_TEST(only_the_side_that_nobody_waits_for_is_told_a_deadline)
{
    arrange("shadow", (flagver_route_options){ .order = FLAGVER_ORDER_SERIAL });
    assert_ok(read_key("k"));
    ck_assert(!spied[0].has_deadline);
    ck_assert(spied[1].has_deadline);
    leave();
    arrange("shadow",
            (flagver_route_options){ .order = FLAGVER_ORDER_SERIAL, .shadow_timeout_ms = -1 });
    assert_ok(read_key("k"));
    ck_assert(!spied[1].has_deadline);
    leave();
}
END_TEST

/* A key and a payload that are gone when the read is over are not looked at afterwards. */
START_TEST(what_hangs_has_the_key_and_the_payload_to_itself)
{
    flagver_route_call call = { .size = sizeof call };
    char *key, *payload;

    arrange("shadow", (flagver_route_options){ .workers = 1, .shadow_timeout_ms = 5 });
    key = malloc(4);
    payload = malloc(8);
    strcpy(key, "key");
    strcpy(payload, "payload");
    call.payload = payload;
    call.payload_length = 7;
    atomic_store(&hangs, true);
    spies[NEW].first = hang;
    spies[OLD].first = wait_for_other;
    assert_ok(flagver_route_read(route, key, &call, &result, &error));
    memset(key, 'x', 3);
    memset(payload, 'x', 7);
    free(key);
    free(payload);
    let_go();
    close_spied(route);
    ck_assert_int_eq(times_asked(NEW), 1);
    ck_assert_str_eq(spied[spied[0].side == NEW ? 0 : 1].key, "key");
    ck_assert_str_eq(spied[spied[0].side == NEW ? 0 : 1].payload, "payload");
    flagver_route_result_clear(&result);
    flagver_close(client);
}
END_TEST

/* One worker has room for four jobs. */
START_TEST(with_all_workers_busy_the_other_side_is_not_asked)
{
    int asked;

    arrange("shadow", (flagver_route_options){ .workers = 1, .shadow_timeout_ms = 1 });
    atomic_store(&hangs, true);
    spies[NEW].first = hang;
    spies[OLD].first = wait_for_other;
    for (int k = 0; k < 20; k++) {
        assert_ok(read_key("k"));
        ck_assert_str_eq(result.value, "of old");
        ck_assert(result.sides[OLD].invoked);
        ck_assert(result.sides[NEW].invoked == (k < 4));
        ck_assert_int_eq(result.sides[NEW].code, k < 4 ? FLAGVER_ETIMEDOUT : 0);
    }
    asked = times_asked(OLD);
    ck_assert_int_eq(asked, 20);
    ck_assert_uint_eq(atomic_load(&route->dropped), 16);
    let_go();
    leave();
    /* Those that were waited for no more when their turn came were not asked. */
    ck_assert_int_eq(times_asked(NEW), 1);
}
END_TEST

START_TEST(after_a_hang_the_other_side_is_asked_again)
{
    arrange("shadow", (flagver_route_options){ .workers = 1, .shadow_timeout_ms = 1 });
    atomic_store(&hangs, true);
    spies[NEW].first = hang;
    spies[OLD].first = wait_for_other;
    for (int k = 0; k < 10; k++)
        assert_ok(read_key("k"));
    let_go();
    spies[NEW].first = spies[OLD].first = NULL;
    for (int k = 0; k < 5000; k++) {
        assert_ok(read_key("k"));
        if (result.sides[NEW].invoked && result.sides[NEW].code == 0)
            break;
        sleep_ms(1);
    }
    ck_assert_int_eq(result.sides[NEW].code, 0);
    ck_assert(result.sides[NEW].invoked);
    leave();
}
END_TEST

/* ---- many callers ---- */

#define CALLERS 8
#define CALLS_EACH 400

static atomic_int wrong;

static int echo_read(void *data, const flagver_side_call *call, flagver_sink *sink,
                     flagver_error *err)
{
    char value[64];

    (void)err;
    if (strlen(call->key) != call->payload_length ||
        memcmp(call->key, call->payload, call->payload_length) != 0)
        atomic_fetch_add(&wrong, 1);
    snprintf(value, sizeof value, "%s on %d", call->key, *(const int *)data);
    return flagver_sink_value(sink, value, strlen(value));
}

static void *call_often(void *data)
{
    flagver_route_call call = { .size = sizeof call };
    flagver_route_result own = { .size = sizeof own };
    flagver_error err;
    char key[32], expected[40];

    for (int k = 0; k < CALLS_EACH; k++) {
        snprintf(key, sizeof key, "%d-%d", *(const int *)data, k);
        snprintf(expected, sizeof expected, "%s on 0", key);
        call.payload = key;
        call.payload_length = strlen(key);
        if (flagver_route_read(route, key, &call, &own, &err) < 0 ||
            strcmp(own.value, expected) != 0)
            atomic_fetch_add(&wrong, 1);
        if (own.sides[NEW].invoked && own.sides[NEW].code != 0)
            atomic_fetch_add(&wrong, 1);
        flagver_route_result_clear(&own);
    }
    flagver_thread_release();
    return NULL;
}

START_TEST(many_callers_on_one_route_each_get_their_own_answer)
{
    flagver_route_options options = { .size = sizeof options,
                                      .flag = "move",
                                      .order = _i,
                                      .workers = _i == FLAGVER_ORDER_CONCURRENT ? 3 : 0,
                                      .shadow_timeout_ms = -1 };
    pthread_t threads[CALLERS];
    int numbers[CALLERS];

    spies_reset();
    client = client_of("{'flags': {}}", NULL);
    serve_stage(client, "shadow", NULL);
    options.old_side = spy_side(OLD);
    options.new_side = spy_side(NEW);
    options.old_side.read = options.new_side.read = echo_read;
    assert_ok(flagver_route_open(client, NULL, &options, &route, &error));
    result = (flagver_route_result){ .size = sizeof result };
    for (int i = 0; i < CALLERS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, call_often, &numbers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(atomic_load(&wrong), 0);
    leave();
}
END_TEST

/* ---- the stage changes in mid-operation ---- */

static void change_stage(int side)
{
    (void)side;
    serve_stage(client, "complete", NULL);
}

static const struct {
    int operation;
    const char *stage, *calls;
} changes[] = {
    { FLAGVER_ROUTE_READ, "off", "old" },          { FLAGVER_ROUTE_READ, "shadow", "old new" },
    { FLAGVER_ROUTE_READ, "live", "new old" },     { FLAGVER_ROUTE_WRITE, "dualwrite", "old new" },
    { FLAGVER_ROUTE_WRITE, "live", "new old" },    { FLAGVER_ROUTE_WRITE, "off", "old" },
    { FLAGVER_ROUTE_REMOVE, "shadow", "old new" }, { FLAGVER_ROUTE_REMOVE, "rampdown", "new old" },
};

static int told_stage;

static void keep_stage(void *data, const flagver_route_event *event)
{
    (void)data;
    told_stage = event->stage;
}

START_TEST(the_stage_is_found_once_for_each_operation)
{
    int stage = flagver_stage_parse(changes[_i].stage);

    arrange(changes[_i].stage,
            (flagver_route_options){ .order = FLAGVER_ORDER_SERIAL, .event = keep_stage });
    spies[OLD].first = spies[NEW].first = change_stage;
    assert_ok(changes[_i].operation == FLAGVER_ROUTE_READ    ? read_key("k")
              : changes[_i].operation == FLAGVER_ROUTE_WRITE ? write_key("k")
                                                             : remove_key("k"));
    ck_assert_str_eq(who_was_asked(), changes[_i].calls);
    ck_assert_int_eq(result.stage, stage);
    ck_assert_int_eq(told_stage, stage);
    spied_count = 0;
    assert_ok(read_key("k"));
    ck_assert_str_eq(who_was_asked(), "new");
    leave();
}
END_TEST

/* ---- forks ---- */

/* The child has none of the workers: it goes on without the other side, and closes. */
static int live_on(void)
{
    for (int k = 0; k < 3; k++) {
        if (read_key("k") != 0 || strcmp(result.value, "of old") != 0)
            return 1;
        if (result.sides[NEW].invoked)
            return 2;
    }
    if (write_key("k") != 0 || !result.sides[NEW].invoked)
        return 3;
    flagver_route_result_clear(&result);
    if (flagver_route_close(route, 1000, &error) != 0)
        return 4;
    flagver_close(client);
    return 0;
}

START_TEST(a_child_goes_on_without_the_workers_of_its_parent)
{
    pid_t child;
    int status;

    arrange("shadow", (flagver_route_options){ .workers = 2, .shadow_timeout_ms = -1 });
    if (_i) {
        atomic_store(&hangs, true);
        spies[NEW].first = hang;
        close_spied(route);
        route = open_spied(client, (flagver_route_options){ .workers = 2, .shadow_timeout_ms = 1 });
    }
    assert_ok(read_key("k"));
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(30);
        atomic_store(&hangs, false);
        _exit(live_on());
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    let_go();
    spies[NEW].first = NULL;
    assert_ok(read_key("k"));
    leave();
}
END_TEST

/* They would be taken for second tries of the parent's. */
START_TEST(operations_of_a_child_have_other_ids_than_its_parents)
{
    char childs_id[256] = "";
    int ends[2];
    pid_t child;

    arrange("off", (flagver_route_options){ 0 });
    ck_assert_int_eq(pipe(ends), 0);
    child = fork();
    ck_assert_int_ge(child, 0);
    assert_ok(write_key("k"));
    if (child == 0)
        _exit(write(ends[1], spied[0].id, sizeof spied[0].id) < 0);
    ck_assert_int_eq(read(ends[0], childs_id, sizeof childs_id), sizeof childs_id);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_str_ne(childs_id, "");
    ck_assert_str_ne(childs_id, spied[0].id);
    close(ends[0]);
    close(ends[1]);
    leave();
}
END_TEST

/* ---- keys, payloads and ids at their limits ---- */

START_TEST(keys_and_ids_have_a_longest_length)
{
    flagver_route_call call = { .size = sizeof call };
    char text[300];

    arrange("shadow", (flagver_route_options){ .workers = 1, .shadow_timeout_ms = -1 });
    memset(text, 'k', sizeof text);
    text[FLAGVER_ROUTE_KEY_LIMIT] = '\0';
    assert_ok(read_key(text));
    ck_assert_str_eq(spied[0].key, text);
    ck_assert_str_eq(spied[1].key, text);
    assert_ok(write_key(text));
    call.operation_id = text;
    assert_ok(flagver_route_write(route, "k", "v", 1, &call, NULL, &error));
    ck_assert_str_eq(spied[spied_count - 1].id, text);

    spied_count = 0;
    text[FLAGVER_ROUTE_KEY_LIMIT] = 'k';
    text[FLAGVER_ROUTE_KEY_LIMIT + 1] = '\0';
    assert_fails(FLAGVER_EINVAL, read_key(text));
    assert_words("key is 256 bytes; 1 to 255 allowed");
    assert_fails(FLAGVER_EINVAL, write_key(text));
    assert_fails(FLAGVER_EINVAL, remove_key(text));
    assert_fails(FLAGVER_EINVAL, flagver_route_write(route, "k", "v", 1, &call, NULL, &error));
    assert_words("call.operation_id is 256 bytes; 1 to 255 allowed");
    call.operation_id = "";
    assert_fails(FLAGVER_EINVAL, flagver_route_write(route, "k", "v", 1, &call, NULL, &error));
    ck_assert_int_eq(spied_count, 0);
    leave();
}
END_TEST

static const char *const malformed[] = { "", "a\tb", "\x7f", "\xc3", "\xed\xa0\x80", "a\xff" };

START_TEST(a_malformed_key_is_named_and_nobody_is_asked)
{
    arrange("shadow", (flagver_route_options){ 0 });
    assert_fails(FLAGVER_EINVAL, read_key(malformed[_i]));
    assert_words("key");
    assert_fails(FLAGVER_EINVAL, write_key(malformed[_i]));
    assert_fails(FLAGVER_EINVAL, remove_key(malformed[_i]));
    ck_assert_int_eq(spied_count, 0);
    leave();
}
END_TEST

START_TEST(payloads_are_bytes_of_any_length)
{
    flagver_route_call call = { .size = sizeof call };
    char *payload = malloc(1 << 20);

    memset(payload, 'p', 1 << 20);
    arrange("shadow", (flagver_route_options){ .workers = 1, .shadow_timeout_ms = -1 });
    call.payload = payload;
    call.payload_length = 1 << 20;
    assert_ok(flagver_route_read(route, "k", &call, &result, &error));
    ck_assert_uint_eq(spied[0].payload_length, 1 << 20);
    ck_assert_uint_eq(spied[1].payload_length, 1 << 20);
    flagver_route_result_clear(&result);

    spied_count = 0;
    call.payload = NULL;
    assert_fails(FLAGVER_EINVAL, flagver_route_read(route, "k", &call, &result, &error));
    assert_words("call.payload is NULL, and 1048576 bytes");
    call.payload = "";
    call.payload_length = 0;
    assert_ok(flagver_route_read(route, "k", &call, &result, &error));
    ck_assert_int_eq(spied_count, 2);
    free(payload);
    leave();
}
END_TEST

START_TEST(values_to_write_are_bytes_of_any_length)
{
    arrange("dualwrite", (flagver_route_options){ 0 });
    assert_ok(flagver_route_write(route, "k", NULL, 0, NULL, NULL, &error));
    ck_assert_uint_eq(spied[0].length, 0);
    assert_ok(flagver_route_write(route, "k", "a\0b", 3, NULL, NULL, &error));
    ck_assert_uint_eq(spied[2].length, 3);
    ck_assert_uint_eq(spied[3].length, 3);
    spied_count = 0;
    assert_fails(FLAGVER_EINVAL, flagver_route_write(route, "k", NULL, 1, NULL, NULL, &error));
    assert_words("value is NULL, and 1 bytes");
    ck_assert_int_eq(spied_count, 0);
    leave();
}
END_TEST

/* ---- calls that make no sense ---- */

START_TEST(calls_without_their_arguments_are_refused)
{
    flagver_route_result small = { .size = sizeof small - 1 };
    flagver_route_call call = { .size = 0 };

    arrange("shadow", (flagver_route_options){ 0 });
    assert_fails(FLAGVER_EINVAL, flagver_route_read(NULL, "k", NULL, &result, &error));
    assert_fails(FLAGVER_EINVAL, flagver_route_read(route, NULL, NULL, &result, &error));
    assert_fails(FLAGVER_EINVAL, flagver_route_read(route, "k", NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_route_write(NULL, "k", "v", 1, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_route_remove(route, NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_route_read(route, "k", NULL, &small, &error));
    assert_words("ret_result->size");
    assert_fails(FLAGVER_EINVAL, flagver_route_read(route, "k", &call, &result, &error));
    assert_words("call.size is 0");
    call = (flagver_route_call){ .size = sizeof call, .strict = 1 };
    assert_fails(FLAGVER_ENOTSUP, flagver_route_read(route, "k", &call, &result, &error));
    assert_words("call.strict");
    ck_assert_int_eq(spied_count, 0);
    assert_ok(flagver_route_close(NULL, 0, &error));
    flagver_route_result_clear(NULL);
    leave();
}
END_TEST

START_TEST(what_only_migrations_can_do_a_flags_route_refuses)
{
    flagver_route_progress progress = { .size = sizeof progress };
    char *json = NULL;

    arrange("shadow", (flagver_route_options){ 0 });
    assert_fails(FLAGVER_ENOTSUP, flagver_route_step(route, 10, &progress, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_route_status(route, &json, &error));
    assert_fails(FLAGVER_ENOTSUP,
                 flagver_route_stage(route, &alice, FLAGVER_STAGE_LIVE, NULL, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_route_rollback(route, &alice, "why", &error));
    ck_assert_int_eq(spied_count, 0);
    leave();
}
END_TEST

START_TEST(who_cannot_remove_is_asked_nothing)
{
    flagver_route_options options = { .size = sizeof options, .flag = "move" };

    spies_reset();
    client = client_of("{'flags': {}}", NULL);
    options.old_side = spy_side(OLD);
    options.new_side = spy_side(NEW);
    options.new_side.remove = NULL;
    assert_ok(flagver_route_open(client, NULL, &options, &route, &error));
    assert_fails(FLAGVER_EINVAL, flagver_route_remove(route, "k", NULL, NULL, &error));
    assert_words("new_side.remove is NULL");
    ck_assert_int_eq(spied_count, 0);
    leave();
}
END_TEST

/* ---- options ---- */

static flagver_route_options good_options(void)
{
    flagver_route_options options = { .size = sizeof options, .flag = "move" };

    options.old_side = spy_side(OLD);
    options.new_side = spy_side(NEW);
    return options;
}

static void assert_not_opened(const char *migration, const flagver_route_options *options,
                              const char *words)
{
    flagver_route *none = NULL;

    assert_fails(FLAGVER_EINVAL, flagver_route_open(client, migration, options, &none, &error));
    assert_words(words);
    ck_assert_ptr_null(none);
}

START_TEST(options_that_make_no_sense_are_named)
{
    flagver_route_options options;
    char name[300];

    spies_reset();
    client = client_of("{'flags': {}}", NULL);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
#define REFUSE(change, words)                     \
    do {                                          \
        options = good_options();                 \
        change;                                   \
        assert_not_opened(NULL, &options, words); \
    } while (0)

    REFUSE(options.size = 0, "options.size is 0");
    REFUSE(options.old_side.size = 0, "options.old_side.size is 0");
    REFUSE(options.new_side.size = 0, "options.new_side.size is 0");
    REFUSE(options.old_side.read = NULL, "options.old_side.read is NULL");
    REFUSE(options.new_side.write = NULL, "options.new_side.write is NULL");
    REFUSE(options.order = -1, "options.order is -1");
    REFUSE(options.order = 3, "options.order is 3");
    REFUSE(options.workers = -1, "options.workers is -1; 0 to 64 allowed");
    REFUSE(options.workers = 65, "options.workers is 65; 0 to 64 allowed");
    REFUSE(options.default_stage = 9, "options.default_stage is 9, which is no stage");
    REFUSE(options.default_stage = -1, "options.default_stage is -1, which is no stage");
    REFUSE(options.default_stage = FLAGVER_STAGE_RAMP, "options.default_stage");
    REFUSE(options.shadow_timeout_ms = -2, "options.shadow_timeout_ms is -2; -1 or more allowed");
    REFUSE(options.flag = NULL, "either a migration or options.flag");
    REFUSE(options.flag = "", "options.flag is 0 bytes");
    REFUSE(options.flag = name, "options.flag is 299 bytes");
    REFUSE(options.old_side.client = client, "detached");
    options = good_options();
    assert_not_opened("users", &options, "either a migration or options.flag");
    options.flag = NULL;
    name[FLAGVER_MIGRATION_LIMIT + 1] = '\0';
    assert_not_opened(name, &options, "migration is 65 bytes; 1 to 64 allowed");
    flagver_close(client);
}
END_TEST

START_TEST(a_migration_needs_a_store)
{
    flagver_route_options options = good_options();
    flagver_route *none = NULL;

    client = client_of("{'flags': {}}", NULL);
    options.flag = NULL;
    assert_fails(FLAGVER_ENOTSUP, flagver_route_open(client, "users", &options, &none, &error));
    flagver_close(client);
    client = open_store(0);
    assert_fails(FLAGVER_ENOTFOUND, flagver_route_open(client, "users", &options, &none, &error));
    assert_words("users");
    ck_assert_ptr_null(none);
    flagver_close(client);
}
END_TEST

/* A program that was compiled with a later version, and one with an earlier one. */
START_TEST(options_of_other_sizes_are_taken_as_far_as_they_are_known)
{
    struct {
        flagver_route_options options;
        int64_t later;
    } grown = { .options = good_options() };
    flagver_route_options options = good_options();

    spies_reset();
    client = client_of("{'flags': {}}", NULL);
    result = (flagver_route_result){ .size = sizeof result };
    grown.options.size = sizeof grown;
    assert_ok(flagver_route_open(client, NULL, &grown.options, &route, &error));
    assert_ok(read_key("k"));
    flagver_route_result_clear(&result);
    close_spied(route);
    grown.later = 1;
    assert_not_opened(NULL, &grown.options, "options set a member that version");

    options.size = offsetof(flagver_route_options, compare);
    options.order = FLAGVER_ORDER_SERIAL;
    options.compare = say_verdict; /* not in this version */
    options.default_stage = FLAGVER_STAGE_SHADOW;
    options.new_side.size = offsetof(flagver_side, remove);
    assert_ok(flagver_route_open(client, NULL, &options, &route, &error));
    assert_ok(read_key("k"));
    ck_assert_int_eq(result.consistent, -1);
    ck_assert_str_eq(who_was_asked() + strlen("old "), "old new");
    assert_fails(FLAGVER_EINVAL, remove_key("k"));
    leave();
}
END_TEST

START_TEST(arguments_of_opening_are_named)
{
    flagver_route_options options = good_options();

    client = client_of("{'flags': {}}", NULL);
    assert_fails(FLAGVER_EINVAL, flagver_route_open(NULL, NULL, &options, &route, &error));
    assert_words("client is NULL");
    assert_fails(FLAGVER_EINVAL, flagver_route_open(client, NULL, NULL, &route, &error));
    assert_words("options is NULL");
    assert_fails(FLAGVER_EINVAL, flagver_route_open(client, NULL, &options, NULL, &error));
    assert_words("ret_route is NULL");
    flagver_close(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sides of routes");
    TCase *tests = add_store_tcase(suite, "sides");
    TCase *forks = add_store_tcase(suite, "fork");

    tcase_add_loop_test(tests, in_serial_order_the_side_that_answers_is_read_first, 0,
                        COUNT(serial));
    tcase_add_loop_test(tests, in_random_order_a_number_of_the_hosts_decides_who_is_read_first, 0,
                        2);
    tcase_add_test(tests, in_random_order_each_side_is_read_first_as_often);
    tcase_add_test(tests, where_one_side_is_read_no_order_asks_the_other);
    tcase_add_loop_test(tests, when_both_sides_fail_the_answering_sides_words_are_the_error, 0, 6);
    tcase_add_loop_test(tests, a_comparator_that_cannot_tell_changes_no_answer, 0,
                        COUNT(comparisons));
    tcase_add_loop_test(tests, a_side_that_answers_nonsense_is_named, 0, COUNT(nonsense));
    tcase_add_loop_test(tests, a_scan_whose_keys_do_not_rise_is_told_where, 0, COUNT(scanned));
    tcase_add_loop_test(tests, nonsense_of_the_other_side_stays_in_the_result, 0, COUNT(nonsense));
    tcase_add_test(tests, writes_and_removals_that_answer_nonsense_are_named);
    tcase_add_loop_test(tests, a_creation_without_a_proper_key_is_an_error, 0, COUNT(bad_keys));
    tcase_add_test(tests, values_are_bytes_of_any_length);
    tcase_add_test(tests, a_value_that_is_none_is_refused);
    tcase_add_loop_test(tests, a_read_that_hangs_on_the_other_side_is_given_up, 0, 2);
    tcase_add_test(tests, only_the_side_that_nobody_waits_for_is_told_a_deadline);
    tcase_add_test(tests, what_hangs_has_the_key_and_the_payload_to_itself);
    tcase_add_test(tests, with_all_workers_busy_the_other_side_is_not_asked);
    tcase_add_test(tests, after_a_hang_the_other_side_is_asked_again);
    tcase_add_loop_test(tests, many_callers_on_one_route_each_get_their_own_answer, 0, 3);
    tcase_add_loop_test(tests, the_stage_is_found_once_for_each_operation, 0, COUNT(changes));
    tcase_set_tags(forks, "fork"); /* valgrind leaves it out: what a child leaves is its parent's */
    tcase_add_loop_test(forks, a_child_goes_on_without_the_workers_of_its_parent, 0, 2);
    tcase_add_test(forks, operations_of_a_child_have_other_ids_than_its_parents);
    tcase_add_test(tests, keys_and_ids_have_a_longest_length);
    tcase_add_loop_test(tests, a_malformed_key_is_named_and_nobody_is_asked, 0, COUNT(malformed));
    tcase_add_test(tests, payloads_are_bytes_of_any_length);
    tcase_add_test(tests, values_to_write_are_bytes_of_any_length);
    tcase_add_test(tests, calls_without_their_arguments_are_refused);
    tcase_add_test(tests, what_only_migrations_can_do_a_flags_route_refuses);
    tcase_add_test(tests, who_cannot_remove_is_asked_nothing);
    tcase_add_test(tests, options_that_make_no_sense_are_named);
    tcase_add_test(tests, a_migration_needs_a_store);
    tcase_add_test(tests, options_of_other_sizes_are_taken_as_far_as_they_are_known);
    tcase_add_test(tests, arguments_of_opening_are_named);
    return run_store_suite(suite);
}
