/*
 * Copies from store to store are killed with SIGKILL at random moments, also while they follow a
 * source that others write to. What is in the target is the beginning of the source each time, the
 * next copy goes on from there, and in the end both are the same to the last byte of an export.
 *
 * FLAGVER_KILLS says how many copies are killed, of each kind.
 */
#define _GNU_SOURCE
#include "cluster.h"
#include "crash/race.h"
#include "flagver/store.h"
#include "history.h"

#define KILLS 30
#define DEALS 120   /* that the source has more each time that a fresh target is begun */
#define LEAVES 4    /* of a portion */
#define TOGETHER 10 /* kills of one target, at most */

static struct place place;
static char from[512], to[512];

/* ---- the source ---- */

static void *zeros(size_t size)
{
    void *memory = calloc(1, size);

    if (!memory)
        abort();
    return memory;
}

/* A chapter of its history: whose keys and dice are its own. */
struct chapter {
    uint32_t number, deals;
};

static int tell_chapter(void *data)
{
    const struct chapter *chapter = data;
    struct seed seed = seed_new(chapter->number);
    flagver_options options = { .size = sizeof options, .no_environment = 1 };
    struct story story = { .step = 0 };
    struct history history;
    flagver_client *client;
    flagver_error problem;
    struct deal *deal;
    bool is_told;
    uint32_t i;
    int r;

    history_init(&history, chapter->number + 1, chapter->deals + TOPICS, zeros);
    options.clock = tell_deal_time;
    options.clock_data = &history.ticks;
    r = flagver_open(from, &options, &client, &problem);
    if (r == 0 && chapter->number == 0)
        r = make_beginning(client, &history, &problem);
    for (i = 0; r == 0 && i < chapter->deals; i++) {
        deal = new_deal(&history, chapter->number);
        is_told = choose_next(&history, &seed, &story, deal);
        enter_deal(&history, deal);
        r = make_deal(client, deal, &problem);
        spread_deal(&history, deal);
        if (is_told)
            go_on(&story, deal);
    }
    return r < 0 && !complain("telling: %s", problem.message);
}

/* ---- the copy ---- */

static bool go_on_copying(void *data, const flagver_copy_state *state)
{
    (void)data;
    (void)state;
    return true;
}

static int copy_with(int32_t follow)
{
    const flagver_copy_options options = { .size = sizeof options,
                                           .tenant = "default",
                                           .follow = follow,
                                           .leaves = LEAVES,
                                           .tell = go_on_copying };
    flagver_error problem;

    return flagver_store_copy(from, to, &options, &problem) < 0 &&
           !complain("copying: %s", problem.message);
}

static int copy_it(void *unused)
{
    (void)unused;
    return copy_with(0);
}

static int follow_it(void *unused)
{
    (void)unused;
    return copy_with(1);
}

/* ---- what is there ---- */

struct log {
    uint8_t (*hashes)[32];
    size_t count;
};

static bool add_leaf(void *data, const flagver_audit_entry *entry)
{
    struct log *log = data;

    log->hashes = held_grow(log->hashes, log->count, sizeof *log->hashes);
    memcpy(log->hashes[log->count++], entry->leaf_hash, 32);
    return true;
}

static void print_found(void *data, const char *line)
{
    (void)data;
    complain("%s", line);
}

/* The log of a store, whose tree is as it should be. */
static bool read_log(const char *uri, struct log *log)
{
    const flagver_verify_options options = { .size = sizeof options, .tree_only = 1 };
    flagver_client *client;
    flagver_error problem;
    int r = flagver_open(uri, NULL, &client, &problem);

    *log = (struct log){ .count = 0 };
    if (r < 0)
        return complain("opening %s: %s", uri, problem.message);
    r = flagver_audit_log(client, 0, 0, add_leaf, log, NULL, &problem);
    if (r == 0)
        r = flagver_audit_verify(client, &options, print_found, NULL, NULL, &problem);
    flagver_close(client);
    return r == 0 || complain("%s: %d %s", uri, r, r < 0 ? problem.message : "findings");
}

static int begins_like_source(void *unused)
{
    struct log source, target;
    bool fine = read_log(to, &target) && read_log(from, &source);

    (void)unused;
    if (fine)
        fine = (target.count <= source.count &&
                memcmp(target.hashes, source.hashes, target.count * 32) == 0) ||
               complain("the %zu leaves of the target are not those of the source", target.count);
    return !fine;
}

static char *text_of(const char *uri)
{
    char path[128], *text = NULL;
    flagver_error problem;
    size_t length = 0, got;
    FILE *file;

    place_file(&place, "export", path);
    if (flagver_store_export(uri, "default", path, &problem) < 0) {
        complain("export: %s", problem.message);
        return NULL;
    }
    file = fopen(path, "r");
    do {
        text = realloc(text, length + 65537);
        if (!file || !text)
            abort();
        got = fread(text + length, 1, 65536, file);
        length += got;
    } while (got);
    text[length] = 0;
    fclose(file);
    unlink(path);
    return text;
}

static int is_same(void *unused)
{
    char *one = text_of(from), *other = text_of(to);
    bool fine = one && other && strcmp(one, other) == 0;
    flagver_client *client;
    flagver_error problem;
    int r;

    (void)unused;
    free(one);
    free(other);
    if (!fine)
        return !complain("the target is not the source");
    r = flagver_open(to, NULL, &client, &problem);
    if (r == 0) {
        r = flagver_audit_verify(client, NULL, print_found, NULL, NULL, &problem);
        flagver_close(client);
    }
    return r != 0 && !complain("verify: %d %s", r, r < 0 ? problem.message : "findings");
}

/* ---- targets ---- */

enum kind { TO_SQLITE, TO_POSTGRES, FROM_POSTGRES, KINDS };

static const char *const kind_names[] = { "to SQLite", "to PostgreSQL", "from PostgreSQL" };

#ifdef FV_WITHOUT_postgres
static bool is_possible(int kind)
{
    return kind == TO_SQLITE;
}

static void make_database(char uri[512])
{
    (void)uri;
}

static void drop_databases(void)
{
}
#else
static int databases;

static bool is_possible(int kind)
{
    return kind == TO_SQLITE || (cluster_wanted() && cluster_possible());
}

static int make_schema(void *uri)
{
    flagver_error problem;

    return flagver_schema_up(uri, &problem) < 0 && !complain("%s", problem.message);
}

static void make_database(char uri[512])
{
    char name[64];

    snprintf(name, sizeof name, "copy_%ld_%d", (long)getpid(), ++databases);
    cluster_database(cluster_shared(), name, NULL);
    snprintf(uri, 512, "%s", cluster_uri(cluster_shared(), name, "owner"));
    ck_assert_int_eq(in_process(make_schema, uri), 0);
}

static void drop_databases(void)
{
    char name[64];

    for (; databases; databases--) {
        snprintf(name, sizeof name, "copy_%ld_%d", (long)getpid(), databases);
        cluster_drop(cluster_shared(), name);
    }
}
#endif

static void make_source(int kind)
{
    place = place_new();
    if (kind == FROM_POSTGRES)
        make_database(from);
    else
        snprintf(from, sizeof from, "%s", place.uri);
}

static void make_target(int kind)
{
    char path[128];

    if (kind == TO_POSTGRES) {
        make_database(to);
        return;
    }
    place_empty(&place, "target");
    snprintf(to, sizeof to, "sqlite:%s", place_file(&place, "target", path));
}

/* ---- killing ---- */

static void kill_copy(int (*body)(void *data))
{
    kill_during(body, NULL);
    ck_assert_int_eq(in_process(begins_like_source, NULL), 0);
}

static void begin(int kind)
{
    begin_race((uint64_t)kind);
    race.share = 0.6;
    race.later = 1.02;
    make_source(kind);
}

static void end(int kind, const char *what)
{
    char copying[128];

    place_remove(&place);
    drop_databases();
    snprintf(copying, sizeof copying, "copying %s%s", kind_names[kind], what);
    report(copying);
}

/* ---- copies that are killed ---- */

static void begin_target(int kind, uint32_t number)
{
    struct chapter chapter = { number, DEALS };
    double begun;

    make_target(kind);
    ck_assert_int_eq(in_process(tell_chapter, &chapter), 0);
    if (race.usual_ms > 0)
        return;
    begun = now_ms();
    ck_assert_int_eq(in_process(copy_it, NULL), 0);
    race.usual_ms = now_ms() - begun;
    ck_assert_int_eq(in_process(is_same, NULL), 0);
    make_target(kind);
}

START_TEST(a_copy_that_was_killed_goes_on_where_it_was)
{
    int i, at = 0, kills = scale("FLAGVER_KILLS", KILLS);
    uint32_t targets = 0;

    if (!is_possible(_i))
        return;
    begin(_i);
    race.usual_ms = 0;
    for (i = 0; i < kills; i++) {
        if (at == 0)
            begin_target(_i, targets++);
        kill_copy(copy_it);
        if (++at < TOGETHER && i + 1 < kills)
            continue;
        ck_assert_int_eq(in_process(copy_it, NULL), 0);
        ck_assert_int_eq(in_process(is_same, NULL), 0);
        at = 0;
    }
    end(_i, "");
}
END_TEST

/* ---- while they follow ---- */

/* So many kills of copies of one source, which grows and grows. */
static void kill_followers(int kind, int kills)
{
    struct chapter chapter = { 0, DEALS };
    pid_t writer;
    int i;

    ck_assert_int_eq(in_process(tell_chapter, &chapter), 0);
    make_target(kind);
    for (i = 1; i <= kills; i++) {
        chapter = (struct chapter){ (uint32_t)i, 20000 };
        writer = start(tell_chapter, &chapter);
        kill_copy(follow_it);
        kill(writer, SIGKILL);
        ck_assert_int_eq(finish(writer), 1000 + SIGKILL);
    }
    ck_assert_int_eq(in_process(copy_it, NULL), 0);
    ck_assert_int_eq(in_process(is_same, NULL), 0);
}

START_TEST(a_copy_that_was_killed_while_it_followed_goes_on)
{
    int kills = scale("FLAGVER_KILLS", KILLS), done;

    if (!is_possible(_i))
        return;
    begin(_i);
    race.usual_ms = 400;
    for (done = 0; done < kills; done += TOGETHER) {
        if (done) {
            place_remove(&place);
            make_source(_i);
        }
        kill_followers(_i, kills - done < TOGETHER ? kills - done : TOGETHER);
    }
    end(_i, " and following");
}
END_TEST

static Suite *kill_copy_suite(void)
{
    Suite *suite = suite_create("killed copies");
    TCase *tests = tcase_create("at any moment");

    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, a_copy_that_was_killed_goes_on_where_it_was, 0, KINDS);
    tcase_add_loop_test(tests, a_copy_that_was_killed_while_it_followed_goes_on, 0, KINDS);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
#ifndef FV_WITHOUT_postgres
    if (cluster_wanted() && cluster_possible())
        cluster_shared(); /* before Check forks */
#endif
    return run_suite(kill_copy_suite());
}
