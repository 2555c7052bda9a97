/*
 * What a hostile reader of the library found: what counts as a change, flags at
 * odd addresses, hosts that call back, files that nest.
 */
#define _XOPEN_SOURCE 700 /* putenv() */

#include "support.h"

#include <flagver.h>
#include <pthread.h>
#include <stdio.h>

/* The same members, but not in the same objects: each pair is a change. */
static const struct {
    const char *before, *after;
} moved[] = {
    { "{'type':'boolean','metadata':{'owner':'x'},'enabled':false}",
      "{'type':'boolean','metadata':{'owner':'x','enabled':false}}" },
    { "{'type':'json','variants':{'v':{'x':{'p':1},'q':2}},'default':'v'}",
      "{'type':'json','variants':{'v':{'x':{'p':1,'q':2}}},'default':'v'}" },
    { "{'type':'json','variants':{'v':[[1],2]},'default':'v'}",
      "{'type':'json','variants':{'v':[[1,2]]},'default':'v'}" },
    { "{'type':'json','variants':{'v':{'a':{},'b':1}},'default':'v'}",
      "{'type':'json','variants':{'v':{'a':{'b':1}}},'default':'v'}" },
};

/* One flag "f", quotes written as '. */
static void load(flagver_client *client, const char *flag)
{
    char json[512], *at;

    snprintf(json, sizeof json, "{\"flags\":{\"f\":%s}}", flag);
    for (at = json; *at; at++)
        if (*at == '\'')
            *at = '"';
    assert_ok(flagver_client_load(client, json, strlen(json), &error));
}

START_TEST(a_member_that_moves_to_another_object_is_a_change)
{
    flagver_client *client;
    uint64_t generation;

    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    load(client, moved[_i].before);
    generation = flagver_client_generation(client);
    load(client, moved[_i].before);
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    load(client, moved[_i].after);
    ck_assert_uint_ne(flagver_client_generation(client), generation);
    load(client, moved[_i].before);
    ck_assert_uint_ne(flagver_client_generation(client), generation);
    flagver_close(client);
}
END_TEST

START_TEST(a_default_that_moves_into_the_variants_is_refused)
{
    static const char good[] = "{\"flags\":{\"f\":{\"type\":\"string\",\"variants\":{\"a\":\"x\"},"
                               "\"default\":\"a\"}}}";
    static const char bad[] = "{\"flags\":{\"f\":{\"type\":\"string\",\"variants\":{\"a\":\"x\","
                              "\"default\":\"a\"}}}}";
    flagver_client *client;

    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    assert_ok(flagver_client_load(client, good, sizeof good - 1, &error));
    assert_fails(FLAGVER_EPARSE, flagver_client_load(client, bad, sizeof bad - 1, &error));
    assert_words("\"default\" is missing");
    flagver_close(client);
}
END_TEST

/* An allocator whose blocks begin 8 bytes behind what malloc gives. */
static void *skewed_allocate(void *data, size_t size)
{
    char *block = malloc(size + 8);

    (void)data;
    return block ? block + 8 : NULL;
}

static void *skewed_reallocate(void *data, void *block, size_t size)
{
    char *grown = realloc(block ? (char *)block - 8 : NULL, size + 8);

    (void)data;
    return grown ? grown + 8 : NULL;
}

static void skewed_release(void *data, void *block)
{
    (void)data;
    free((char *)block - 8);
}

START_TEST(flags_are_whole_wherever_their_memory_begins)
{
    const flagver_allocator skewed = { skewed_allocate, skewed_reallocate, skewed_release, NULL };
    const flagver_options options = { .size = sizeof options, .allocator = &skewed };
    char json[400], key[260];
    flagver_client *client;
    int length;

    assert_ok(flagver_open("definitions:", &options, &client, &error));
    for (length = 1; length <= 256; length++) {
        memset(key, 'k', (size_t)length);
        key[length] = 0;
        snprintf(json, sizeof json, "{\"flags\":{\"%s\":{\"type\":\"boolean\"}}}", key);
        assert_ok(flagver_client_merge(client, json, strlen(json), &error));
    }
    for (length = 1; length <= 256; length++) {
        key[length - 1] = 'k';
        key[length] = 0;
        memset(key, 'k', (size_t)length);
        ck_assert_msg(flagver_flag_bool(client, key, NULL, false), "key of %d bytes", length);
    }
    flagver_close(client);
}
END_TEST

/* A host's log function may do anything, also call the client it is told about. */
static flagver_client *told;
static int tellings;

static void call_back(void *data, int level, const char *message)
{
    (void)data;
    (void)level;
    (void)message;
    tellings++;
    if (told)
        ck_assert_int_eq(flagver_flag_override(told, "other", "on", NULL), 0);
}

START_TEST(the_log_function_may_call_the_client)
{
    static const char json[] = "{\"flags\":{\"f\":{\"type\":\"boolean\",\"enabled\":true,"
                               "\"env\":{\"enabled\":\"TEST_CHANGE_ENABLED\"}}}}";
    const flagver_options options = { .size = sizeof options, .log = call_back };
    flagver_client *client;

    assert_ok(flagver_open("definitions:", &options, &client, &error));
    told = client;
    assert_ok(flagver_client_load(client, json, sizeof json - 1, &error));
    ck_assert_int_eq(tellings, 1);
    ck_assert(flagver_flag_bool(client, "f", NULL, false));
    told = NULL;
    flagver_close(client);
}
END_TEST

#if defined(__SANITIZE_ADDRESS__)
#define SMALL_STACK (4u << 20) /* the sanitizer's frames are large */
#else
#define SMALL_STACK (128u << 10)
#endif

/* Fills `text` with the head, the nesting part so many times, and the tail. */
static char *nested(const char *head, const char *part, int times, const char *tail)
{
    char *text = malloc(strlen(head) + strlen(part) * (size_t)times + strlen(tail) + 1), *at;

    ck_assert_ptr_nonnull(text);
    at = text + sprintf(text, "%s", head);
    while (times--)
        at += sprintf(at, "%s", part);
    sprintf(at, "%s", tail);
    return text;
}

static void *load_hostile(void *unused)
{
    char *texts[] = {
        nested("{\"flags\":{\"f\":{\"type\":\"json\",\"variants\":{\"a\":", "[", 490, ""),
        nested("{\"flags\":{\"f\":{\"type\":\"json\",\"variants\":{\"a\":", "{\"a\":", 10000, ""),
        nested("{\"flags\":{\"f\":{\"type\":\"boolean\",\"rules\":[{\"serve\":\"on\",\"if\":",
               "{\"not\":", 450, ""),
        nested("{\"flags\":{\"f\":{\"type\":\"boolean\",\"rules\":[{\"serve\":\"on\",\"if\":"
               "{\"attr\":\"a\",\"op\":\"matches\",\"value\":\"",
               "(", 10000, "\"}}]}}}"),
    };
    flagver_snapshot *snapshot;
    size_t i;

    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ck_assert_int_eq(flagver_snapshot_load(texts[i], strlen(texts[i]), NULL, &snapshot, NULL),
                         FLAGVER_EPARSE);
        free(texts[i]);
    }
    return unused;
}

START_TEST(no_definition_overflows_a_small_stack)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    ck_assert_int_eq(pthread_attr_setstacksize(&attributes, SMALL_STACK), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, load_hostile, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}
END_TEST

static Suite *hostile_suite(void)
{
    Suite *suite = suite_create("hostile");
    TCase *tests = tcase_create("hostile");

    tcase_add_loop_test(tests, a_member_that_moves_to_another_object_is_a_change, 0,
                        (int)(sizeof moved / sizeof moved[0]));
    tcase_add_test(tests, a_default_that_moves_into_the_variants_is_refused);
    tcase_add_test(tests, flags_are_whole_wherever_their_memory_begins);
    tcase_add_test(tests, the_log_function_may_call_the_client);
    tcase_add_test(tests, no_definition_overflows_a_small_stack);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    static char variable[] = "TEST_CHANGE_ENABLED=perhaps";

    putenv(variable);
    return run_suite(hostile_suite());
}
