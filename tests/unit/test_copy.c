/*
 * Copies straight from store to store, of every kind: the target is the source to the last byte of
 * an export, whatever happened there, however it was cut up, stopped, begun again and followed; and
 * nobody else writes to it unnoticed.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, clock_gettime */
#include "stores.h"

#include "flagver/audit.h"
#include "flagver/key.h"
#include "flagver/store.h"
#include "history.h"

#define DEALS 300
#define FEWER 40 /* where every commit writes the whole store */

/* ---- two stores ---- */

/* Pairs of kinds of stores that may be opened twice; of PostgreSQL's there is one in a test. */
#define KINDS (ALL_KINDS - SHARED_KINDS)
#define PAIRS (KINDS * KINDS)

static int source_kind(int pair)
{
    return SHARED_KINDS + pair / KINDS;
}

static int target_kind(int pair)
{
    return SHARED_KINDS + pair % KINDS;
}

/* Is this pair one of those that are tested? */
static bool is_tested(int pair)
{
    bool with_database = source_kind(pair) == POSTGRES_KIND || target_kind(pair) == POSTGRES_KIND;

    return !with_database ||
           (STORE_KINDS == ALL_KINDS && source_kind(pair) != target_kind(pair));
}

static const char *source_uri(int pair)
{
    return store_uri(source_kind(pair));
}

static const char *target_uri(int pair)
{
    static char uri[512];

    if (target_kind(pair) == POSTGRES_KIND)
        snprintf(uri, sizeof uri, "%s", store_uri(POSTGRES_KIND));
    else
        snprintf(uri, sizeof uri, "%s%s", store_kinds[target_kind(pair)], file_named("target"));
    return uri;
}

#define SQLITE_PAIR ((FILE_KINDS - 1 - SHARED_KINDS) * (KINDS + 1))

static uint32_t deals_for(int pair)
{
    return source_kind(pair) == JSONFILE_KIND || target_kind(pair) == JSONFILE_KIND ? FEWER : DEALS;
}

/* ---- what is the same ---- */

static char *export_of(const char *uri)
{
    char path[128];
    FILE *file;
    char *text;
    long size;

    snprintf(path, sizeof path, "%s", file_named("export"));
    assert_ok(flagver_store_export(uri, "default", path, &error));
    file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    text = calloc(1, (size_t)size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_eq(fread(text, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    remove(path);
    return text;
}

/* The first lines that differ. */
static void assert_same_text(const char *one, const char *other)
{
    size_t line = 0, i;

    for (i = 0; one[i] && one[i] == other[i]; i++)
        if (one[i] == '\n')
            line = i + 1;
    ck_assert_msg(one[i] == other[i], "source: %.800s\ntarget: %.800s", one + line, other + line);
}

static void print_line(void *data, const char *line)
{
    (void)data;
    fprintf(stderr, "    %s\n", line);
}

static flagver_client *open_uri(const char *uri)
{
    const flagver_options options = quiet_options();
    flagver_client *client = NULL;

    assert_ok(flagver_open(uri, &options, &client, &error));
    return client;
}

static void assert_same_stores(int pair)
{
    char *one = export_of(source_uri(pair)), *other = export_of(target_uri(pair));
    flagver_client *client;
    int r;

    assert_same_text(one, other);
    free(one);
    free(other);
    client = open_uri(target_uri(pair));
    r = flagver_audit_verify(client, NULL, print_line, NULL, NULL, &error);
    ck_assert_msg(r == 0, "verify: %d %s", r, error.message);
    flagver_close(client);
}

/* ---- histories ---- */

static void *zeros(size_t size)
{
    void *memory = calloc(1, size);

    ck_assert_ptr_nonnull(memory);
    return memory;
}

/* A source whose history goes on when it is asked to. */
struct teller {
    struct history history;
    struct seed seed;
    struct story story;
    flagver_client *client;
};

static void begin_history(struct teller *teller, int pair, uint32_t deals, uint64_t number)
{
    flagver_options options = quiet_options();

    *teller = (struct teller){ .seed = seed_new(number) };
    history_init(&teller->history, 1, deals + TOPICS, zeros);
    options.clock = tell_deal_time;
    options.clock_data = &teller->history.ticks;
    teller->client = open_with(source_kind(pair), &options);
    assert_ok(make_beginning(teller->client, &teller->history, &error));
}

static void go_on_telling(struct teller *teller, uint32_t deals)
{
    struct deal *deal;
    bool is_told;

    for (; deals; deals--) {
        deal = new_deal(&teller->history, 0);
        is_told = choose_next(&teller->history, &teller->seed, &teller->story, deal);
        enter_deal(&teller->history, deal);
        assert_ok(make_deal(teller->client, deal, &error));
        spread_deal(&teller->history, deal);
        if (is_told)
            go_on(&teller->story, deal);
    }
}

static void end_history(struct teller *teller)
{
    flagver_close(teller->client);
    free(teller->history.diaries->deals);
    free(teller->history.diaries->acts);
    free(teller->history.diaries);
}

/* ---- whole copies ---- */

static const uint32_t limits[] = { 1, 2, 7, 50, 0 };
#define LIMITS ((int)(sizeof limits / sizeof *limits))

/* What a copy told last. */
struct told {
    flagver_copy_state last;
    int portions, equal;
};

static bool note_state(void *data, const flagver_copy_state *state)
{
    struct told *told = data;

    told->last = *state;
    told->portions += state->stage == FLAGVER_COPY_BEHIND;
    told->equal += state->stage == FLAGVER_COPY_EQUAL;
    return true;
}

static flagver_copy_options options_with(uint32_t leaves,
                                         bool (*tell)(void *data, const flagver_copy_state *state),
                                         void *data)
{
    return (flagver_copy_options){ .size = sizeof(flagver_copy_options),
                                   .tenant = "default",
                                   .leaves = leaves,
                                   .tell = tell,
                                   .data = data };
}

START_TEST(a_copy_is_the_source_to_the_last_byte)
{
    int pair = _i / LIMITS;
    uint32_t limit = limits[_i % LIMITS];
    struct told told = { .portions = 0 };
    const flagver_copy_options options = options_with(limit, note_state, &told);
    uint8_t root[32];
    struct teller teller;
    uint64_t size;

    if (!is_tested(pair))
        return;
    begin_history(&teller, pair, deals_for(pair), (uint64_t)_i);
    go_on_telling(&teller, deals_for(pair));
    assert_ok(flagver_store_copy(source_uri(pair), target_uri(pair), &options, &error));
    assert_same_stores(pair);

    assert_ok(flagver_audit_head(teller.client, &size, root, &error));
    ck_assert_int_eq(told.last.stage, FLAGVER_COPY_EQUAL);
    ck_assert_int_eq(told.equal, 1);
    ck_assert_uint_eq(told.last.copied, size);
    ck_assert_uint_eq(told.last.leaves, size);
    ck_assert_mem_eq(told.last.root, root, sizeof root);
    ck_assert(!limit || limit > 7 || told.portions > 10);
    end_history(&teller);
}
END_TEST

static Suite *copy_suite(void)
{
    Suite *suite = suite_create("copy");
    TCase *tests = add_store_tcase(suite, "whole");

    tcase_add_loop_test(tests, a_copy_is_the_source_to_the_last_byte, 0, PAIRS * LIMITS);
    return suite;
}

int main(void)
{
    return run_store_suite(copy_suite());
}
