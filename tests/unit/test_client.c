/*
 * Clients: where flags come from, which state is current, who holds what, and
 * what happens to threads, processes and memory.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp(), nanosleep() */
#include "flags.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/client.h"

#define ON "{'flags': {'f': {'type': 'boolean'}}}"
#define OFF "{'flags': {'f': {'type': 'boolean', 'default': 'off'}}}"
#define NUMBER(value) "{'type': 'integer', 'variants': {'v': " #value "}, 'default': 'v'}"

/* ---- a definitions file ---- */

static char folder[] = "/tmp/flagver-XXXXXX";
static char path[64], uri[80];

static void make_folder(void)
{
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/flags.json", folder);
    snprintf(uri, sizeof uri, "file:%s", path);
}

static void remove_folder(void)
{
    unlink(path);
    rmdir(folder);
}

static void write_file(const char *json)
{
    char *text = quoted(json);
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
    free(text);
}

static flagver_client *open_file(const char *json)
{
    flagver_client *client;

    write_file(json);
    assert_ok(flagver_open(uri, NULL, &client, &error));
    return client;
}

/* ---- opening ---- */

struct open_row {
    const char *uri;
    int code;
    int native;
    const char *words;
};

static const struct open_row open_rows[] = {
    { NULL, FLAGVER_EINVAL, 0, "uri" },
    { "", FLAGVER_ENOTSUP, 0, "\"\"" },
    { "nosuch:flags.db", FLAGVER_ENOTSUP, 0, "nosuch:flags.db" },
    { "sqlite:", FLAGVER_EINVAL, 0, "empty" },
    { "flags.json", FLAGVER_ENOTSUP, 0, "flags.json" },
    { "memory", FLAGVER_ENOTSUP, 0, "memory" },
    { "memory:x", FLAGVER_ENOTSUP, 0, "memory:x" },
    { "FILE:x", FLAGVER_ENOTSUP, 0, "FILE:x" },
    { "file:", FLAGVER_EINVAL, 0, "empty" },
    { "file:/tmp/flagver/there/is/no/such/file", FLAGVER_EIO, ENOENT, "no/such/file" },
    { "file:/tmp", FLAGVER_EIO, EISDIR, "/tmp" },
};

START_TEST(what_cannot_be_opened_is_refused)
{
    const struct open_row *row = &open_rows[_i];
    flagver_client *client = (flagver_client *)&client;

    assert_fails(row->code, flagver_open(row->uri, NULL, &client, &error));
    assert_words(row->words);
    ck_assert_int_eq(error.native, row->native);
    ck_assert_ptr_eq(client, &client);
    ck_assert_int_eq(flagver_open(row->uri, NULL, &client, NULL), row->code);
}
END_TEST

START_TEST(a_client_needs_somewhere_to_go)
{
    assert_fails(FLAGVER_EINVAL, flagver_open("definitions:", NULL, NULL, &error));
}
END_TEST

START_TEST(a_memory_client_begins_without_flags)
{
    flagver_client *client;
    flagver_snapshot *snapshot;

    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    assert_flag(client, "f", NULL, "- - ERROR FLAG_NOT_FOUND");
    ck_assert_uint_ne(flagver_client_generation(client), 0);
    snapshot = flagver_client_snapshot(client);
    ck_assert_ptr_nonnull(snapshot);
    ck_assert_uint_eq(flagver_snapshot_size(snapshot), 0);
    flagver_snapshot_free(snapshot);
    flagver_close(client);
}
END_TEST

START_TEST(nothing_can_be_closed_and_freed)
{
    flagver_close(NULL);
    flagver_snapshot_free(NULL);
    flagver_thread_release();
    flagver_thread_release();
}
END_TEST

/* ---- options ---- */

static int64_t at_2000(void *data)
{
    (void)data;
    return INT64_C(946684800000);
}

#define SCHEDULED                                                 \
    "{'flags': {'f': {'type': 'boolean', 'schedule': {'steps': [" \
    "{'at': '2000-01-01T00:00:00Z', 'percentage': 100}, "         \
    "{'at': '2000-01-01T00:00:00.001Z', 'percentage': 0}]}}}}"

/* The real struct and what a later version might have behind it. */
struct longer_options {
    flagver_options known;
    void *more[4];
};

START_TEST(options_need_their_size)
{
    flagver_options options = { .clock = at_2000 };
    flagver_client *client = NULL;
    flagver_snapshot *snapshot = NULL;

    assert_fails(FLAGVER_EINVAL, flagver_open("definitions:", &options, &client, &error));
    assert_words("size");
    assert_fails(FLAGVER_EINVAL, flagver_snapshot_load("{}", 2, &options, &snapshot, &error));
    ck_assert_ptr_null(client);
    ck_assert_ptr_null(snapshot);
}
END_TEST

START_TEST(shorter_options_are_those_of_an_older_program)
{
    flagver_options options = { .size = offsetof(flagver_options, log), .clock = at_2000 };
    flagver_client *client;

    /* What stands behind the end is not the library's business. */
    memset((char *)&options + options.size, 0xa5, sizeof options - options.size);
    assert_ok(flagver_open("definitions:", &options, &client, &error));
    assert_ok(load_into(client, SCHEDULED));
    assert_flag(client, "f", NULL, "true on DEFAULT");
    flagver_close(client);

    options.size = sizeof options.size;
    assert_ok(flagver_open("definitions:", &options, &client, &error));
    assert_ok(load_into(client, SCHEDULED));
    assert_flag(client, "f", NULL, "false off DEFAULT");
    flagver_close(client);
}
END_TEST

START_TEST(longer_options_may_set_nothing_unknown)
{
    struct longer_options options = { .known = { .size = sizeof options, .clock = at_2000 } };
    flagver_client *client = NULL;
    flagver_snapshot *snapshot;
    char *json = quoted(SCHEDULED);

    assert_ok(flagver_open("definitions:", &options.known, &client, &error));
    assert_ok(load_into(client, SCHEDULED));
    assert_flag(client, "f", NULL, "true on DEFAULT");
    flagver_close(client);
    assert_ok(flagver_snapshot_load(json, strlen(json), &options.known, &snapshot, &error));
    flagver_snapshot_free(snapshot);

    client = NULL;
    options.more[3] = &options;
    assert_fails(FLAGVER_EINVAL, flagver_open("definitions:", &options.known, &client, &error));
    assert_words(FLAGVER_VERSION);
    ck_assert_ptr_null(client);
    assert_fails(FLAGVER_EINVAL,
                 flagver_snapshot_load(json, strlen(json), &options.known, &snapshot, &error));
    free(json);
}
END_TEST

START_TEST(the_clock_of_the_options_tells_the_time)
{
    int64_t now = INT64_C(946684800000);
    flagver_client *client = client_of(SCHEDULED, &now);

    assert_flag(client, "f", NULL, "true on DEFAULT");
    now--;
    assert_flag(client, "f", NULL, "false off DEFAULT");
    now += 2;
    assert_flag(client, "f", NULL, "false off DEFAULT");
    flagver_close(client);
}
END_TEST

/* ---- an allocator of the host's ---- */

#define BLOCKS 8192

/* Every block carries its number, so that none is freed that did not come from here. */
struct blocks {
    pthread_mutex_t lock;
    void *live[BLOCKS];
    int count, calls;
};

static int find_block(const struct blocks *blocks, const void *block)
{
    int i;

    for (i = 0; i < BLOCKS; i++)
        if (blocks->live[i] == block)
            return i;
    return -1;
}

static void *allocate(void *data, size_t size)
{
    struct blocks *blocks = data;
    void *block = malloc(size);

    pthread_mutex_lock(&blocks->lock);
    blocks->live[find_block(blocks, NULL)] = block;
    blocks->count++;
    blocks->calls++;
    pthread_mutex_unlock(&blocks->lock);
    return block;
}

static void release(void *data, void *block)
{
    struct blocks *blocks = data;
    int at;

    pthread_mutex_lock(&blocks->lock);
    at = find_block(blocks, block);
    ck_assert_msg(block && at >= 0, "a block from elsewhere is freed");
    blocks->live[at] = NULL;
    blocks->count--;
    pthread_mutex_unlock(&blocks->lock);
    free(block);
}

static void *reallocate(void *data, void *block, size_t size)
{
    struct blocks *blocks = data;
    int at;
    void *moved;

    if (!block)
        return allocate(data, size);
    pthread_mutex_lock(&blocks->lock);
    at = find_block(blocks, block);
    ck_assert_msg(at >= 0, "a block from elsewhere is reallocated");
    moved = realloc(block, size);
    blocks->live[at] = moved;
    blocks->calls++;
    pthread_mutex_unlock(&blocks->lock);
    return moved;
}

static struct blocks blocks = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void forget_blocks(void)
{
    memset(blocks.live, 0, sizeof blocks.live);
    blocks.count = blocks.calls = 0;
}

/* The struct itself may go once it was handed over. */
static flagver_client *open_counted(void)
{
    flagver_allocator allocator = { allocate, reallocate, release, &blocks };
    flagver_options options = { .size = sizeof options, .allocator = &allocator };
    flagver_client *client;

    assert_ok(flagver_open("definitions:", &options, &client, &error));
    memset(&allocator, 0xa5, sizeof allocator);
    return client;
}

static const char rich[] =
    "{'flags': {'f': {'type': 'boolean', 'percentage': 50, 'beta': ['a', 'b'], "
    "'metadata': {'x': 1}}, 'g': {'type': 'string', 'variants': {'a': 'A', 'b': 'B'}, "
    "'default': 'a', 'rules': [{'id': 'r', 'if': {'all': [{'segment': 's'}, "
    "{'attr': 'x', 'op': 'in', 'values': ['p', 'q'], 'fold': true}, "
    "{'attr': 'x', 'op': 'matches', 'value': 'a+(b|c)'}]}, "
    "'serve': {'split': {'a': 1, 'b': 2}}}]}}, 'segments': {'s': {'include': ['u1']}}}";

static void nothing(void *data, const char *flag, const char *variant, uint64_t count)
{
    (void)data;
    (void)flag;
    (void)variant;
    (void)count;
}

START_TEST(every_block_goes_back_where_it_came_from)
{
    flagver_client *client = open_counted();
    flagver_snapshot *snapshot;
    const flagver_bound *bound;
    char *json;

    assert_ok(load_into(client, rich));
    assert_ok(merge_into(client, "{'flags': {'h': {'type': 'boolean'}, 'f': null}}"));
    assert_fails(FLAGVER_EPARSE, merge_into(client, "{'flags': {'f': {'type': 'boolean', "
                                                    "'rules': [{'serve': 'nope'}]}}}"));
    assert_fails(FLAGVER_EPARSE, merge_into(client, "{'segments': {'s': null}}"));
    assert_ok(flagver_flag_override(client, "g", "b", &error));
    assert_ok(flagver_flag_override(client, "later", "b", &error));
    assert_ok(flagver_flag_bind(client, "h", &bound, &error));
    ck_assert(flagver_bound_bool(bound, NULL, false));
    snapshot = flagver_client_snapshot(client);
    assert_ok(load_into(client, rich));
    assert_flag(client, "g", NULL, "'B' b STATIC");
    assert_ok(flagver_client_refresh(client, &error));
    assert_ok(flagver_flag_explain(client, "g", 1, NULL, &json, &error));
    flagver_string_free(json);
    assert_ok(flagver_flag_counts(client, nothing, NULL, &error));
    ck_assert_int_gt(blocks.calls, 20);

    flagver_close(client);
    ck_assert_int_gt(blocks.count, 0); /* what the snapshot holds */
    flagver_snapshot_free(snapshot);
    ck_assert_int_eq(blocks.count, 0);
}
END_TEST

START_TEST(a_client_that_was_not_opened_leaves_nothing)
{
    flagver_allocator allocator = { allocate, reallocate, release, &blocks };
    flagver_options options = { .size = sizeof options, .allocator = &allocator };
    flagver_client *client;
    flagver_snapshot *snapshot;

    assert_fails(FLAGVER_ENOTSUP, flagver_open("nowhere:", &options, &client, &error));
    ck_assert_int_eq(blocks.count, 0);
    assert_fails(FLAGVER_EIO, flagver_open("file:/tmp/no/file", &options, &client, &error));
    ck_assert_int_eq(blocks.count, 0);
    assert_fails(FLAGVER_EPARSE,
                 flagver_snapshot_load("{\"x\":1}", 7, &options, &snapshot, &error));
    ck_assert_int_eq(blocks.count, 0);
    assert_ok(flagver_snapshot_load("{}", 2, &options, &snapshot, &error));
    ck_assert_int_gt(blocks.count, 0);
    flagver_snapshot_free(snapshot);
    ck_assert_int_eq(blocks.count, 0);
}
END_TEST

START_TEST(an_allocator_is_all_or_nothing)
{
    const flagver_allocator whole = { allocate, reallocate, release, &blocks };
    flagver_allocator allocator = whole;
    flagver_options options = { .size = sizeof options, .allocator = &allocator };
    flagver_client *client;

    allocator.allocate = NULL;
    assert_fails(FLAGVER_EINVAL, flagver_open("definitions:", &options, &client, &error));
    allocator = whole;
    allocator.reallocate = NULL;
    assert_fails(FLAGVER_EINVAL, flagver_open("definitions:", &options, &client, &error));
    allocator = whole;
    allocator.release = NULL;
    assert_fails(FLAGVER_EINVAL, flagver_open("definitions:", &options, &client, &error));
    ck_assert_int_eq(blocks.calls, 0);
}
END_TEST

static void *evaluate_once(void *client)
{
    flagver_flag_bool(client, "f", NULL, false);
    return NULL;
}

START_TEST(a_thread_that_exits_gives_back_what_it_held)
{
    flagver_client *client = open_counted();
    pthread_t thread;
    int before, i;

    assert_ok(load_into(client, ON));
    evaluate_once(client);
    /* The first that exits leaves its counts behind; those after it add to them. */
    ck_assert_int_eq(pthread_create(&thread, NULL, evaluate_once, client), 0);
    pthread_join(thread, NULL);
    before = blocks.count;
    for (i = 0; i < 20; i++) {
        ck_assert_int_eq(pthread_create(&thread, NULL, evaluate_once, client), 0);
        pthread_join(thread, NULL);
        ck_assert_int_eq(blocks.count, before);
    }
    flagver_close(client);
    ck_assert_int_eq(blocks.count, 0);
}
END_TEST

START_TEST(a_released_thread_holds_no_old_state)
{
    flagver_client *client = open_counted();
    int empty, full, i;

    empty = blocks.count;
    assert_ok(load_into(client, rich));
    evaluate_once(client);
    full = blocks.count;
    assert_ok(load_into(client, "{}"));
    ck_assert_int_gt(blocks.count, empty + 2); /* this thread still has the old state */
    flagver_thread_release();
    ck_assert_int_lt(blocks.count, full);

    for (i = 0; i < 100; i++) {
        assert_ok(load_into(client, rich));
        evaluate_once(client);
        ck_assert_int_lt(blocks.count, full + 10);
        flagver_thread_release();
        assert_ok(load_into(client, "{}"));
    }
    evaluate_once(client);
    assert_flag(client, "f", NULL, "- - ERROR FLAG_NOT_FOUND");
    flagver_close(client);
    ck_assert_int_eq(blocks.count, 0);
}
END_TEST

/* ---- refreshing a file ---- */

START_TEST(a_changed_file_is_read_again)
{
    flagver_client *client = open_file(ON);
    uint64_t generation = flagver_client_generation(client);

    write_file(OFF);
    assert_flag(client, "f", NULL, "true on STATIC");
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "false off STATIC");
    ck_assert_uint_ne(flagver_client_generation(client), generation);
    write_file("{}");
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "- - ERROR FLAG_NOT_FOUND");
    flagver_close(client);
}
END_TEST

START_TEST(a_file_of_the_same_size_is_read_again)
{
    flagver_client *client = open_file("{'flags': {'f': " NUMBER(1) "}}");

    write_file("{'flags': {'f': " NUMBER(2) "}}");
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "2 v STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(an_unchanged_file_changes_nothing)
{
    flagver_client *client = open_file(ON);
    uint64_t generation = flagver_client_generation(client);

    assert_ok(flagver_client_refresh(client, &error));
    write_file(ON);
    assert_ok(flagver_client_refresh(client, &error));
    write_file(" " ON "\n");
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    flagver_close(client);
}
END_TEST

START_TEST(a_malformed_file_leaves_the_running_state)
{
    flagver_client *client = open_file(ON);
    uint64_t generation = flagver_client_generation(client);

    write_file("{'flags': {'f': {'type': 'boolean', 'default': 'off'}, 'g': {}}}");
    assert_fails(FLAGVER_EPARSE, flagver_client_refresh(client, &error));
    ck_assert_msg(strncmp(error.message, path, strlen(path)) == 0, "%s", error.message);
    assert_words(":1:61: /flags/g: ");
    assert_fails(FLAGVER_EPARSE, flagver_client_refresh(client, &error));
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    assert_flag(client, "f", NULL, "true on STATIC");

    write_file(ON);
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    write_file(OFF);
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "false off STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(a_vanished_file_leaves_the_running_state)
{
    flagver_client *client = open_file(ON);
    uint64_t generation = flagver_client_generation(client);

    ck_assert_int_eq(unlink(path), 0);
    assert_fails(FLAGVER_EIO, flagver_client_refresh(client, &error));
    ck_assert_int_eq(error.native, ENOENT);
    assert_words(path);
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    assert_flag(client, "f", NULL, "true on STATIC");
    write_file(OFF);
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "false off STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(a_files_flags_cannot_be_replaced_by_hand)
{
    flagver_client *client = open_file(ON);

    assert_fails(FLAGVER_ENOTSUP, load_into(client, OFF));
    assert_words(path);
    assert_fails(FLAGVER_ENOTSUP, merge_into(client, OFF));
    assert_flag(client, "f", NULL, "true on STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(an_override_survives_a_refresh)
{
    flagver_client *client = open_file(ON);

    assert_ok(flagver_flag_override(client, "f", "off", &error));
    write_file("{'flags': {'f': {'type': 'boolean', 'percentage': 100}}}");
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "f", NULL, "false off STATIC");
    assert_ok(flagver_flag_override(client, "f", NULL, &error));
    assert_flag(client, "f", NULL, "true on DEFAULT");
    flagver_close(client);
}
END_TEST

/* ---- states ---- */

static const struct fv_flag *compiled(flagver_client *client, const char *key)
{
    flagver_snapshot *snapshot = flagver_client_snapshot(client);
    const struct fv_flag *flag = fv_table_find(&snapshot->table, key, strlen(key));

    flagver_snapshot_free(snapshot);
    return flag;
}

START_TEST(an_unchanged_flag_is_shared_with_the_state_before)
{
    flagver_client *client = client_of(
        "{'flags': {'a': " NUMBER(1) ", 'b': " NUMBER(
            2) ", 'c': {'type': 'boolean', "
               "'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}}, "
               "'segments': {'s': {}}}",
        NULL);
    const struct fv_flag *a = compiled(client, "a"), *b = compiled(client, "b");
    const struct fv_flag *c = compiled(client, "c");

    assert_ok(load_into(client, "{'flags': {'c': {'type': 'boolean', 'rules': [{'if': "
                                "{'segment': 's'}, 'serve': 'on'}]}, 'b': " NUMBER(
                                    3) ", "
                                       "'new': " NUMBER(4) ", 'a': " NUMBER(
                                           1) "}, "
                                              "'segments': {'s': {'include': ['u1']}}}"));
    ck_assert_ptr_eq(compiled(client, "a"), a);
    ck_assert_ptr_ne(compiled(client, "b"), b);
    ck_assert_ptr_eq(compiled(client, "c"), c);
    assert_flag(client, "b", NULL, "3 v STATIC");
    assert_flag(client, "c", "{'targetingKey': 'u1'}", "true on TARGETING_MATCH");

    assert_ok(merge_into(client, "{'flags': {'b': null, 'c': null}}"));
    ck_assert_ptr_eq(compiled(client, "a"), a);
    ck_assert_ptr_null(compiled(client, "b"));
    assert_ok(flagver_flag_override(client, "new", "v", &error));
    ck_assert_ptr_eq(compiled(client, "a"), a);
    flagver_close(client);
}
END_TEST

START_TEST(a_forced_flag_is_shared_too)
{
    flagver_client *client = client_of(ON, NULL);
    const struct fv_flag *defined = compiled(client, "f"), *forced;

    assert_ok(flagver_flag_override(client, "f", "off", &error));
    forced = compiled(client, "f");
    ck_assert_ptr_ne(forced, defined);
    assert_ok(merge_into(client, "{'flags': {'g': {'type': 'boolean'}}}"));
    ck_assert_ptr_eq(compiled(client, "f"), forced);
    assert_ok(flagver_flag_override(client, "f", NULL, &error));
    ck_assert_ptr_eq(compiled(client, "f"), defined);
    flagver_close(client);
}
END_TEST

struct generation_row {
    const char *label;
    const char *json;
    bool merge;
    bool changes;
};

#define BASE                                                                                      \
    "{'flags': {'a': " NUMBER(1) ", 'b': {'type': 'boolean', 'rules': [{'if': {'segment': 's'}, " \
                                 "'serve': 'on'}]}}, 'segments': {'s': {'include': ['u1']}}}"

static const struct generation_row generation_rows[] = {
    { "the same", BASE, false, false },
    { "the same beside itself", BASE, true, false },
    { "the same with blanks", " " BASE " ", false, false },
    { "in another order",
      "{'segments': {'s': {'include': ['u1']}}, 'flags': {'b': {'type': 'boolean', 'rules': "
      "[{'if': {'segment': 's'}, 'serve': 'on'}]}, 'a': " NUMBER(1) "}}",
      false, false },
    { "nothing beside it", "{}", true, false },
    { "no flags beside it", "{'flags': {}, 'segments': {}}", true, false },
    { "removing what is not there", "{'flags': {'x': null}, 'segments': {'a': null}}", true,
      false },
    { "one flag again", "{'flags': {'a': " NUMBER(1) "}}", true, false },
    { "an empty section", "{'phases': {}}", true, false },
    { "a changed flag", "{'flags': {'a': " NUMBER(2) "}}", true, true },
    { "a new flag", "{'flags': {'c': " NUMBER(2) "}}", true, true },
    { "a removed flag", "{'flags': {'a': null}}", true, true },
    { "a changed segment", "{'segments': {'s': {'include': ['u2']}}}", true, true },
    { "a new segment", "{'segments': {'t': {}}}", true, true },
    { "a changed description",
      "{'flags': {'a': {'type': 'integer', 'variants': {'v': 1}, "
      "'default': 'v', 'metadata': {'x': 1}}}}",
      true, true },
    { "fewer flags", "{'flags': {'a': " NUMBER(1) "}}", false, true },
    { "nothing at all", "{}", false, true },
};

START_TEST(the_generation_changes_with_every_new_state_and_nothing_else)
{
    const struct generation_row *row = &generation_rows[_i];
    flagver_client *client = client_of(BASE, NULL);
    uint64_t generation = flagver_client_generation(client);

    ck_assert_uint_ne(generation, 0);
    assert_ok(row->merge ? merge_into(client, row->json) : load_into(client, row->json));
    ck_assert_msg((flagver_client_generation(client) != generation) == row->changes,
                  "%s: the generation has %schanged", row->label, row->changes ? "not " : "");
    generation = flagver_client_generation(client);
    assert_ok(row->merge ? merge_into(client, row->json) : load_into(client, row->json));
    assert_ok(flagver_client_refresh(client, &error));
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    flagver_close(client);
}
END_TEST

START_TEST(asking_is_no_new_state)
{
    flagver_client *client = client_of(BASE, NULL);
    uint64_t generation = flagver_client_generation(client);
    flagver_snapshot *snapshot = flagver_client_snapshot(client);

    evaluate_once(client);
    assert_ok(flagver_flag_counts(client, nothing, NULL, &error));
    flagver_snapshot_free(snapshot);
    flagver_thread_release();
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    flagver_close(client);
}
END_TEST

/* A name may get a slot without a flag that goes with it. */
START_TEST(a_name_without_a_flag_is_no_new_state)
{
    flagver_client *client = client_of(BASE, NULL);
    uint64_t generation = flagver_client_generation(client);
    const flagver_bound *bound;

    assert_ok(flagver_flag_bind(client, "later", &bound, &error));
    assert_ok(load_into(client, BASE));
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    assert_ok(flagver_flag_override(client, "even later", "on", &error));
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    assert_fails(FLAGVER_EPARSE, merge_into(client, "{'segments': {'new': {}}, 'flags': {"
                                                    "'refused': {'type': 'x'}}}"));
    assert_ok(merge_into(client, "{}"));
    assert_ok(load_into(client, BASE));
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    flagver_close(client);
}
END_TEST

START_TEST(a_merge_puts_beside_replaces_and_removes)
{
    flagver_client *client = client_of("{}", NULL);
    flagver_snapshot *snapshot;

    assert_ok(merge_into(client, "{'flags': {'a': " NUMBER(1) ", 'b': " NUMBER(
                                     2) "}, "
                                        "'segments': {'s': {'include': ['u1']}}}"));
    assert_ok(merge_into(
        client, "{'flags': {'b': " NUMBER(3) ", 'c': {'type': 'boolean', "
                                             "'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}, "
                                             "'a': null}}"));
    assert_flag(client, "a", NULL, "- - ERROR FLAG_NOT_FOUND");
    assert_flag(client, "b", NULL, "3 v STATIC");
    assert_flag(client, "c", "{'targetingKey': 'u1'}", "true on TARGETING_MATCH");
    assert_ok(merge_into(client, "{'segments': {'s': {'include': ['u2']}}}"));
    assert_flag(client, "c", "{'targetingKey': 'u1'}", "false off DEFAULT");
    assert_flag(client, "c", "{'targetingKey': 'u2'}", "true on TARGETING_MATCH");

    snapshot = flagver_client_snapshot(client);
    ck_assert_uint_eq(flagver_snapshot_size(snapshot), 2);
    flagver_snapshot_free(snapshot);
    assert_fails(FLAGVER_EPARSE, load_into(client, "{'flags': {'b': null}}"));
    assert_words("/flags/b");
    flagver_close(client);
}
END_TEST

START_TEST(a_load_forgets_what_was_merged)
{
    flagver_client *client = client_of(ON, NULL);

    assert_ok(merge_into(client, "{'flags': {'g': {'type': 'boolean'}}}"));
    assert_ok(load_into(client, ON));
    assert_flag(client, "g", NULL, "- - ERROR FLAG_NOT_FOUND");
    assert_flag(client, "f", NULL, "true on STATIC");
    flagver_close(client);
}
END_TEST

START_TEST(flags_come_and_go_many_times)
{
    flagver_client *client = client_of("{}", NULL);
    struct fv_text text = FV_TEXT_INIT;
    char key[16];
    int i, j;

    for (i = 0; i < 200; i++) {
        fv_text_reset(&text);
        fv_text_format(&text, "{'flags': {'f%d': " NUMBER(1) ", 'f%d': null}}", i % 37,
                       (i + 20) % 37);
        assert_ok(merge_into(client, text.data));
        for (j = 0; j < 37; j++) {
            snprintf(key, sizeof key, "f%d", j);
            /* Flag j was last put at step s with s % 37 == j, and removed 17 steps later. */
            ck_assert_int_eq(flagver_flag_int(client, key, NULL, 0),
                             i >= j && (i - j) % 37 < 17 ? 1 : 0);
        }
    }
    flagver_close(client);
    fv_text_clear(&text);
}
END_TEST

/* ---- snapshots ---- */

static void assert_snapshot(const flagver_snapshot *snapshot, const char *key, const char *expected)
{
    flagver_detail detail = { .size = sizeof detail };

    flagver_snapshot_evaluate(snapshot, key, strlen(key), NULL, 0, &detail);
    assert_detail(key, &detail, expected);
}

START_TEST(a_snapshot_stays_as_it_was)
{
    flagver_client *client = client_of("{'flags': {'f': " NUMBER(1) "}}", NULL);
    flagver_snapshot *first = flagver_client_snapshot(client), *second;
    flagver_detail detail = { .size = sizeof detail };

    assert_ok(load_into(client, "{'flags': {'f': " NUMBER(2) ", 'g': " NUMBER(3) "}}"));
    second = flagver_client_snapshot(client);
    assert_ok(load_into(client, "{}"));
    assert_snapshot(first, "f", "1 v STATIC");
    assert_snapshot(first, "g", "- - ERROR FLAG_NOT_FOUND");
    assert_snapshot(second, "f", "2 v STATIC");
    ck_assert_uint_eq(flagver_snapshot_size(first), 1);
    ck_assert_uint_eq(flagver_snapshot_size(second), 2);

    flagver_snapshot_evaluate(first, "f", 1, NULL, 0, &detail);
    flagver_close(client);
    assert_snapshot(first, "f", "1 v STATIC");
    flagver_snapshot_free(second);
    ck_assert_str_eq(detail.variant, "v"); /* borrowed until the snapshot is freed */
    flagver_snapshot_free(first);
}
END_TEST

START_TEST(a_snapshot_knows_what_was_forced_then)
{
    flagver_client *client = client_of(ON, NULL);
    flagver_snapshot *snapshot;

    assert_ok(flagver_flag_override(client, "f", "off", &error));
    snapshot = flagver_client_snapshot(client);
    assert_ok(flagver_flag_override(client, "f", NULL, &error));
    assert_snapshot(snapshot, "f", "false off STATIC");
    flagver_close(client);
    assert_snapshot(snapshot, "f", "false off STATIC");
    flagver_snapshot_free(snapshot);
}
END_TEST

START_TEST(a_snapshot_can_be_made_from_json)
{
    int64_t now = INT64_C(946684800000);
    flagver_options options = { .size = sizeof options, .clock = tell_time, .clock_data = &now };
    char *json = quoted(SCHEDULED);
    flagver_snapshot *snapshot;

    assert_ok(flagver_snapshot_load(json, strlen(json), &options, &snapshot, &error));
    ck_assert_uint_eq(flagver_snapshot_size(snapshot), 1);
    memset(json, 'x', strlen(json));
    assert_snapshot(snapshot, "f", "true on DEFAULT");
    now++;
    assert_snapshot(snapshot, "f", "false off DEFAULT");
    flagver_snapshot_free(snapshot);
    free(json);
}
END_TEST

/* ---- threads ---- */

START_TEST(one_thread_may_have_many_clients)
{
    enum { MANY = 40 };
    flagver_client *clients[MANY];
    struct fv_text text = FV_TEXT_INIT;
    int round, i;

    for (i = 0; i < MANY; i++)
        assert_ok(flagver_open("definitions:", NULL, &clients[i], &error));
    for (round = 0; round < 10; round++) {
        for (i = 0; i < MANY; i++) {
            fv_text_reset(&text);
            fv_text_format(&text,
                           "{'flags': {'f': {'type': 'integer', 'variants': {'v': %d}, "
                           "'default': 'v'}}}",
                           round * 1000 + i);
            assert_ok(load_into(clients[i], text.data));
        }
        for (i = 0; i < MANY * 3; i++)
            ck_assert_int_eq(flagver_flag_int(clients[i * 7 % MANY], "f", NULL, -1),
                             round * 1000 + i * 7 % MANY);
        if (round % 3 == 0)
            flagver_thread_release();
        /* Close some, so that others may get their addresses. */
        for (i = round % 4; i < MANY; i += 4) {
            flagver_close(clients[i]);
            assert_ok(flagver_open("definitions:", NULL, &clients[i], &error));
            ck_assert_int_eq(flagver_flag_int(clients[i], "f", NULL, -1), -1);
        }
    }
    for (i = 0; i < MANY; i++)
        flagver_close(clients[i]);
    fv_text_clear(&text);
}
END_TEST

/* Two threads take turns. */
struct turns {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int turn;
    flagver_client *client;
};

static void wait_for(struct turns *turns, int turn)
{
    pthread_mutex_lock(&turns->lock);
    while (turns->turn != turn)
        pthread_cond_wait(&turns->changed, &turns->lock);
    pthread_mutex_unlock(&turns->lock);
}

static void pass_on(struct turns *turns)
{
    pthread_mutex_lock(&turns->lock);
    turns->turn++;
    pthread_cond_broadcast(&turns->changed);
    pthread_mutex_unlock(&turns->lock);
}

static void *stay_behind(void *data)
{
    struct turns *turns = data;
    bool first, second;

    first = flagver_flag_bool(turns->client, "f", NULL, false);
    pass_on(turns);
    wait_for(turns, 2); /* the client was closed, another one opened */
    second = flagver_flag_bool(turns->client, "f", NULL, true);
    return first && !second ? data : NULL;
}

START_TEST(a_client_may_be_closed_before_threads_that_used_it_end)
{
    struct turns turns = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    pthread_t thread;
    void *result;

    turns.client = client_of(ON, NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, stay_behind, &turns), 0);
    wait_for(&turns, 1);
    flagver_close(turns.client);
    turns.client = client_of(OFF, NULL);
    pass_on(&turns);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, &turns);
    flagver_close(turns.client);
}
END_TEST

START_TEST(a_thread_that_is_late_sees_the_new_state_at_its_next_call)
{
    struct turns turns = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    pthread_t thread;
    void *result;

    turns.client = client_of(ON, NULL);
    ck_assert_int_eq(pthread_create(&thread, NULL, stay_behind, &turns), 0);
    wait_for(&turns, 1);
    assert_ok(load_into(turns.client, OFF));
    pass_on(&turns);
    ck_assert_int_eq(pthread_join(thread, &result), 0);
    ck_assert_ptr_eq(result, &turns);
    flagver_close(turns.client);
}
END_TEST

/* ---- fork ---- */

static atomic_bool stop;

/* Check's assertions take a lock of Check's: none of them beside a fork. */
static const char plain_on[] = "{\"flags\": {\"f\": {\"type\": \"boolean\"}}}";
static const char plain_off[] =
    "{\"flags\": {\"f\": {\"type\": \"boolean\", \"default\": \"off\"}}}";

static void *evaluate_all_the_time(void *client)
{
    while (!atomic_load(&stop))
        flagver_flag_bool(client, "f", NULL, false);
    return NULL;
}

static void *load_all_the_time(void *client)
{
    const char *json;
    int i;

    for (i = 0; !atomic_load(&stop); i++) {
        json = i % 2 ? plain_on : plain_off;
        if (flagver_client_load(client, json, strlen(json), NULL) != 0)
            return client;
    }
    return NULL;
}

/* What a child can do: ask, change, open, close. Returns 0, or which step went wrong. */
static int live_on(flagver_client *client)
{
    flagver_client *other;

    flagver_flag_bool(client, "f", NULL, false);
    if (flagver_client_load(client, plain_off, strlen(plain_off), NULL) != 0 ||
        flagver_flag_bool(client, "f", NULL, true))
        return 1;
    if (flagver_client_refresh(client, NULL) != 0)
        return 2;
    if (flagver_open("definitions:", NULL, &other, NULL) != 0 ||
        flagver_client_load(other, plain_on, strlen(plain_on), NULL) != 0 ||
        !flagver_flag_bool(other, "f", NULL, false))
        return 3;
    flagver_thread_release();
    if (flagver_flag_bool(client, "f", NULL, true))
        return 4;
    flagver_close(other);
    flagver_close(client);
    return 0;
}

/*
 * The child tells by a pipe how it went, and is gone at once: what the parent's
 * threads held is lost in it, which a leak checker would find at its exit.
 */
static int ask_child(flagver_client *client)
{
    char result = 99;
    int ends[2], status;
    pid_t child;

    if (pipe(ends) != 0)
        return 98;
    child = fork();
    if (child == 0) {
        result = (char)live_on(client);
        if (write(ends[1], &result, 1) == 1)
            raise(SIGKILL);
        _exit(97);
    }
    close(ends[1]);
    if (read(ends[0], &result, 1) != 1)
        result = 96;
    close(ends[0]);
    return child > 0 && waitpid(child, &status, 0) == child ? result : 95;
}

START_TEST(a_child_goes_on_while_the_parents_threads_run)
{
    flagver_client *client = client_of(ON, NULL);
    pthread_t threads[3];
    int i, result = 0;
    void *failed;

    atomic_store(&stop, false);
    evaluate_once(client);
    ck_assert_int_eq(pthread_create(&threads[0], NULL, evaluate_all_the_time, client), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, evaluate_all_the_time, client), 0);
    ck_assert_int_eq(pthread_create(&threads[2], NULL, load_all_the_time, client), 0);
    for (i = 0; i < 20 && result == 0; i++)
        result = ask_child(client);
    atomic_store(&stop, true);
    for (i = 0; i < 3; i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    ck_assert_int_eq(result, 0);
    assert_ok(load_into(client, ON));
    assert_flag(client, "f", NULL, "true on STATIC");
    flagver_close(client);
}
END_TEST

static Suite *client_suite(void)
{
    Suite *suite = suite_create("client");
    TCase *opening = tcase_create("opening");
    TCase *memory = tcase_create("memory");
    TCase *files = tcase_create("files");
    TCase *states = tcase_create("states");
    TCase *threads = tcase_create("threads");

    tcase_add_loop_test(opening, what_cannot_be_opened_is_refused, 0, COUNT(open_rows));
    tcase_add_test(opening, a_client_needs_somewhere_to_go);
    tcase_add_test(opening, a_memory_client_begins_without_flags);
    tcase_add_test(opening, nothing_can_be_closed_and_freed);
    tcase_add_test(opening, options_need_their_size);
    tcase_add_test(opening, shorter_options_are_those_of_an_older_program);
    tcase_add_test(opening, longer_options_may_set_nothing_unknown);
    tcase_add_test(opening, the_clock_of_the_options_tells_the_time);
    suite_add_tcase(suite, opening);

    tcase_add_checked_fixture(memory, forget_blocks, NULL);
    tcase_add_test(memory, every_block_goes_back_where_it_came_from);
    tcase_add_test(memory, a_client_that_was_not_opened_leaves_nothing);
    tcase_add_test(memory, an_allocator_is_all_or_nothing);
    tcase_add_test(memory, a_thread_that_exits_gives_back_what_it_held);
    tcase_add_test(memory, a_released_thread_holds_no_old_state);
    suite_add_tcase(suite, memory);

    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, a_changed_file_is_read_again);
    tcase_add_test(files, a_file_of_the_same_size_is_read_again);
    tcase_add_test(files, an_unchanged_file_changes_nothing);
    tcase_add_test(files, a_malformed_file_leaves_the_running_state);
    tcase_add_test(files, a_vanished_file_leaves_the_running_state);
    tcase_add_test(files, a_files_flags_cannot_be_replaced_by_hand);
    tcase_add_test(files, an_override_survives_a_refresh);
    suite_add_tcase(suite, files);

    tcase_add_test(states, an_unchanged_flag_is_shared_with_the_state_before);
    tcase_add_test(states, a_forced_flag_is_shared_too);
    tcase_add_loop_test(states, the_generation_changes_with_every_new_state_and_nothing_else, 0,
                        COUNT(generation_rows));
    tcase_add_test(states, asking_is_no_new_state);
    tcase_add_test(states, a_name_without_a_flag_is_no_new_state);
    tcase_add_test(states, a_merge_puts_beside_replaces_and_removes);
    tcase_add_test(states, a_load_forgets_what_was_merged);
    tcase_add_test(states, flags_come_and_go_many_times);
    tcase_add_test(states, a_snapshot_stays_as_it_was);
    tcase_add_test(states, a_snapshot_knows_what_was_forced_then);
    tcase_add_test(states, a_snapshot_can_be_made_from_json);
    suite_add_tcase(suite, states);

    tcase_add_test(threads, one_thread_may_have_many_clients);
    tcase_add_test(threads, a_client_may_be_closed_before_threads_that_used_it_end);
    tcase_add_test(threads, a_thread_that_is_late_sees_the_new_state_at_its_next_call);
    tcase_add_test(threads, a_child_goes_on_while_the_parents_threads_run);
    suite_add_tcase(suite, threads);
    return suite;
}

int main(void)
{
    return run_suite(client_suite());
}
