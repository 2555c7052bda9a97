/*
 * What flags and segments say about each other: rings of every make, ways that
 * are too long, and evaluations that would take too many tests.
 */
#include "flags.h"

static int load(const char *json)
{
    flagver_snapshot *snapshot = NULL;
    char *text = quoted(json);
    int r = flagver_snapshot_load(text, strlen(text), NULL, &snapshot, &error);

    flagver_snapshot_free(snapshot);
    free(text);
    return r;
}

/* ---- rings ---- */

#define REQUIRES(other) "{'type': 'boolean', 'requires': [{'flag': '" other "', 'variant': 'on'}]}"
#define ASKS(condition) "{'type': 'boolean', 'rules': [{'if': " condition ", 'serve': 'on'}]}"
#define ON(other) "{'flag': '" other "', 'variant': 'on'}"
#define WHO(condition) "{'if': " condition "}"
#define IN(segment) "{'segment': '" segment "'}"

struct ring {
    const char *label;
    const char *flags, *segments;
    const char *links[3]; /* the pointers that close the ring: one of them is named */
};

static const struct ring rings[] = {
    { "two flags that require each other",
      "'a': " REQUIRES("b") ", 'b': " REQUIRES("a"),
      "",
      { "/flags/a/requires/0/flag", "/flags/b/requires/0/flag" } },
    { "two flags that ask each other",
      "'a': " ASKS(ON("b")) ", 'b': " ASKS("{'not': " ON("a") "}"),
      "",
      { "/flags/a/rules/0/if/flag", "/flags/b/rules/0/if/not/flag" } },
    { "one requires, the other asks",
      "'a': " REQUIRES("b") ", 'b': " ASKS(
          "{'any': [" ON("c") ", " ON("a") "]}") ", 'c': {'type': 'boolean'}",
      "",
      { "/flags/a/requires/0/flag", "/flags/b/rules/0/if/any/1/flag" } },
    { "two segments",
      "",
      "'s': " WHO(IN("t")) ", 't': " WHO("{'all': [" IN("s") "]}"),
      { "/segments/s/if/segment", "/segments/t/if/all/0/segment" } },
    { "a flag and a segment",
      "'a': " ASKS(IN("s")),
      "'s': " WHO(ON("a")),
      { "/flags/a/rules/0/if/segment", "/segments/s/if/flag" } },
    { "a flag, a segment, a flag",
      "'a': " REQUIRES("b") ", 'b': " ASKS(IN("s")),
      "'s': " WHO(ON("a")),
      { "/flags/a/requires/0/flag", "/flags/b/rules/0/if/segment", "/segments/s/if/flag" } },
    { "a ring behind others that are none",
      "'x': " REQUIRES("y") ", 'y': " REQUIRES("a") ", 'a': " REQUIRES("b") ", 'b': " ASKS(
          "{'all': [" IN("s") ", " ON("a") "]}") ", 'z': {'type': 'boolean'}",
      "'s': " WHO(ON("z")),
      { "/flags/a/requires/0/flag", "/flags/b/rules/0/if/all/1/flag" } },
    { "a ring of disabled flags",
      "'a': {'type': 'boolean', 'enabled': false, 'requires': [{'flag': 'b', 'variant': 'on'}]}, "
      "'b': " REQUIRES("a"),
      "",
      { "/flags/a/requires/0/flag", "/flags/b/requires/0/flag" } },
};

START_TEST(a_ring_is_refused_at_one_of_its_links)
{
    const struct ring *ring = &rings[_i];
    struct fv_text text = FV_TEXT_INIT, place = FV_TEXT_INIT;
    bool named = false;
    int i;

    fv_text_format(&text, "{'flags': {%s}, 'segments': {%s}}", ring->flags, ring->segments);
    assert_fails(FLAGVER_EPARSE, load(text.data));
    assert_words("depends on itself");
    for (i = 0; i < 3 && ring->links[i]; i++) {
        fv_text_reset(&place);
        fv_text_format(&place, ": %s: ", ring->links[i]);
        named |= strstr(error.message, place.data) != NULL;
    }
    ck_assert_msg(named, "%s: %s", ring->label, error.message);
    fv_text_clear(&text);
    fv_text_clear(&place);
}
END_TEST

START_TEST(a_name_may_be_a_flag_and_a_segment)
{
    assert_ok(load("{'flags': {'x': " ASKS(IN("x")) "}, 'segments': {'x': {'include': ['u']}}}"));
    assert_fails(FLAGVER_EPARSE,
                 load("{'flags': {'x': " ASKS(IN("x")) "}, 'segments': {'x': " WHO(ON("x")) "}}"));
}
END_TEST

START_TEST(two_ways_to_one_flag_are_no_ring)
{
    assert_ok(load("{'flags': {'a': {'type': 'boolean', 'requires': [" ON("b") ", " ON(
        "c") "]}, "
             "'b': " REQUIRES("d") ", 'c': " REQUIRES("d") ", 'd': {'type': 'boolean'}}}"));
}
END_TEST

/* ---- long ways ---- */

/* links: how node i refers to node i + 1 */
enum link { BY_REQUIRES, BY_FLAG, BY_SEGMENT, MIXED };

/* A chain of so many references; the last flag or segment refers to nothing. */
static int load_chain(int references, enum link how)
{
    struct fv_text flags = FV_TEXT_INIT, segments = FV_TEXT_INIT, all = FV_TEXT_INIT;
    int i, r;

    for (i = 0; i < references; i++) {
        if (how == BY_REQUIRES)
            fv_text_format(&flags,
                           "%s'n%d': {'type': 'boolean', 'requires': "
                           "[{'flag': 'n%d', 'variant': 'on'}]}",
                           i ? ", " : "", i, i + 1);
        else if (how == BY_FLAG)
            fv_text_format(&flags,
                           "%s'n%d': {'type': 'boolean', 'rules': [{'serve': 'on', 'if': "
                           "{'flag': 'n%d', 'variant': 'on'}}]}",
                           i ? ", " : "", i, i + 1);
        else if (how == BY_SEGMENT)
            fv_text_format(&segments, "%s'n%d': {'if': {'segment': 'n%d'}}", i ? ", " : "", i,
                           i + 1);
        else if (i % 2)
            fv_text_format(&segments, "%s'n%d': {'if': {'flag': 'n%d', 'variant': 'on'}}",
                           i > 1 ? ", " : "", i, i + 1);
        else
            fv_text_format(&flags,
                           "%s'n%d': {'type': 'boolean', 'rules': [{'serve': 'on', 'if': "
                           "{'segment': 'n%d'}}]}",
                           i ? ", " : "", i, i + 1);
    }
    fv_text_format(&all,
                   "{'flags': {%s, 'n%d': {'type': 'boolean'}}, "
                   "'segments': {%s, 'n%d': {'include': ['u']}}}",
                   flags.length ? flags.data : "'x': {'type': 'boolean'}", references,
                   segments.length ? segments.data : "'x': {}", references);
    r = load(all.data);
    fv_text_clear(&flags);
    fv_text_clear(&segments);
    fv_text_clear(&all);
    return r;
}

START_TEST(references_lead_on_100_times)
{
    enum link how = (enum link)_i;

    assert_ok(load_chain(1, how));
    assert_ok(load_chain(100, how));
    assert_fails(FLAGVER_EPARSE, load_chain(101, how));
    assert_words("more than 100 times");
    assert_fails(FLAGVER_EPARSE, load_chain(20000, how));
    assert_words("more than 100 times");
}
END_TEST

START_TEST(the_longest_way_counts_not_the_first)
{
    struct fv_text text = FV_TEXT_INIT;
    int i;

    /* From each there is a short way to the end as well, and it comes first. */
    fv_text_add(&text, "{'flags': {'end': {'type': 'boolean'}");
    for (i = 0; i < 100; i++)
        fv_text_format(&text,
                       ", 'n%d': {'type': 'boolean', 'requires': "
                       "[{'flag': 'end', 'variant': 'on'}, {'flag': 'n%d', "
                       "'variant': 'on'}]}",
                       i, i + 1);
    fv_text_add(&text, ", 'n100': " REQUIRES("end") "}}");
    assert_fails(FLAGVER_EPARSE, load(text.data));
    assert_words("more than 100 times");
    fv_text_clear(&text);
}
END_TEST

START_TEST(an_evaluation_at_the_limit_ends)
{
    struct fv_text text = FV_TEXT_INIT;
    flagver_client *client;
    int i;

    fv_text_add(&text, "{'flags': {'n100': {'type': 'boolean', 'beta': ['u1']}");
    for (i = 0; i < 100; i++)
        fv_text_format(&text,
                       ", 'n%d': {'type': 'boolean', 'requires': "
                       "[{'flag': 'n%d', 'variant': 'on'}]}",
                       i, i + 1);
    fv_text_add(&text, "}}");
    client = client_of(text.data, NULL);
    assert_flag(client, "n0", "{'targetingKey': 'u1'}", "true on DEFAULT");
    assert_flag(client, "n0", "{'targetingKey': 'u2'}", "false off DEFAULT rule=requires");
    flagver_close(client);
    fv_text_clear(&text);
}
END_TEST

/* ---- too many tests ---- */

/* `levels` segments, each of which asks the next one twice: 2^levels tests. */
static int load_diamond(int levels)
{
    struct fv_text text = FV_TEXT_INIT;
    int i, r;

    fv_text_add(&text, "{'segments': {");
    for (i = 0; i < levels; i++)
        fv_text_format(&text,
                       "'n%d': {'if': {'all': [{'not': {'segment': 'n%d'}}, "
                       "{'not': {'segment': 'n%d'}}]}}, ",
                       i, i + 1, i + 1);
    fv_text_format(&text, "'n%d': {}}}", levels);
    r = load(text.data);
    fv_text_clear(&text);
    return r;
}

START_TEST(a_diamond_of_many_tests_is_refused)
{
    assert_ok(load_diamond(10));
    assert_ok(load_diamond(17));
    assert_fails(FLAGVER_EPARSE, load_diamond(25));
    assert_words("more than 1000000 tests");
    assert_words("/segments/n");
    assert_fails(FLAGVER_EPARSE, load_diamond(99)); /* 2^99 does not fit into any counter */
    assert_words("more than 1000000 tests");
}
END_TEST

START_TEST(a_diamond_of_flags_is_refused)
{
    struct fv_text text = FV_TEXT_INIT;
    int i;

    fv_text_add(&text, "{'flags': {");
    for (i = 0; i < 25; i++)
        fv_text_format(&text,
                       "'n%d': {'type': 'boolean', "
                       "'requires': [{'flag': 'n%d', 'variant': 'on'}], 'rules': [{'if': "
                       "{'flag': 'n%d', 'variant': 'off'}, 'serve': 'off'}]}, ",
                       i, i + 1, i + 1);
    fv_text_add(&text, "'n25': {'type': 'boolean'}}}");
    assert_fails(FLAGVER_EPARSE, load(text.data));
    assert_words("more than 1000000 tests");
    fv_text_clear(&text);
}
END_TEST

START_TEST(a_diamond_that_is_allowed_is_quick)
{
    struct fv_text text = FV_TEXT_INIT;
    flagver_client *client;
    int i;

    /* Each level is asked twice, in vain: 2^16 tests. */
    fv_text_add(&text, "{'flags': {'f': " ASKS(IN("n0")) "}, 'segments': {");
    for (i = 0; i < 16; i++)
        fv_text_format(&text, "'n%d': {'if': {'any': [{'segment': 'n%d'}, {'segment': 'n%d'}]}}, ",
                       i, i + 1, i + 1);
    fv_text_add(&text, "'n16': {}}}");
    client = client_of(text.data, NULL);
    assert_flag(client, "f", "{'targetingKey': 'u1'}", "false off DEFAULT");
    flagver_close(client);
    fv_text_clear(&text);
}
END_TEST

START_TEST(many_flags_that_share_much_are_fine)
{
    struct fv_text text = FV_TEXT_INIT;
    int i;

    /* 3,000 flags ask one segment: much in all, little in each evaluation. */
    fv_text_add(&text, "{'segments': {'s': {'if': {'all': [{'attr': 'x', 'op': 'eq', 'value': 0}");
    for (i = 1; i < 1000; i++)
        fv_text_format(&text, ", {'attr': 'x', 'op': 'eq', 'value': %d}", i);
    fv_text_add(&text, "]}}}, 'flags': {'f': {'type': 'boolean'}");
    for (i = 0; i < 3000; i++)
        fv_text_format(&text,
                       ", 'n%d': {'type': 'boolean', "
                       "'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}",
                       i);
    fv_text_add(&text, "}}");
    assert_ok(load(text.data));
    fv_text_clear(&text);
}
END_TEST

/* ---- merging ---- */

static const char merged[] =
    "{'flags': {'a': " REQUIRES("b") ", 'b': {'type': 'boolean'}, 'c': " ASKS(
        IN("s")) "}, "
                 "'segments': {'s': {'include': ['u1']}}}";

struct merge_row {
    const char *label, *json, *words;
};

static const struct merge_row merge_rows[] = {
    { "a flag that another one requires cannot go", "{'flags': {'b': null}}",
      "flag \"a\" names a flag \"b\" that does not exist" },
    { "a segment that is asked cannot go", "{'segments': {'s': null}}",
      "flag \"c\" names a segment \"s\" that does not exist" },
    { "a variant that is required cannot go",
      "{'flags': {'b': {'type': 'boolean', 'variants': {'yes': true, 'no': false}}}}",
      "flag \"a\" asks for variant \"on\", which flag \"b\" does not have" },
    { "a ring cannot be closed", "{'flags': {'b': " REQUIRES("a") "}}", "depends on itself" },
    { "a ring cannot be closed through a segment",
      "{'segments': {'s': {'if': {'flag': 'c', 'variant': 'on'}}}}", "depends on itself" },
    { "a variable cannot be taken twice", "{'flags': {'B': {'type': 'boolean'}}}",
      "FLAGVER_FLAG_B" },
};

START_TEST(what_a_merge_would_break_is_refused)
{
    const struct merge_row *row = &merge_rows[_i];
    flagver_client *client = client_of(merged, NULL);
    uint64_t generation = flagver_client_generation(client);

    assert_fails(FLAGVER_EPARSE, merge_into(client, row->json));
    ck_assert_msg(strstr(error.message, row->words) != NULL, "%s: %s", row->label, error.message);
    ck_assert_uint_eq(flagver_client_generation(client), generation);
    assert_flag(client, "a", NULL, "true on DEFAULT");
    assert_flag(client, "c", "{'targetingKey': 'u1'}", "true on TARGETING_MATCH");
    flagver_close(client);
}
END_TEST

START_TEST(what_goes_together_may_be_removed_together)
{
    flagver_client *client = client_of(merged, NULL);

    assert_ok(merge_into(client, "{'flags': {'a': null, 'b': null}}"));
    assert_flag(client, "a", NULL, "- - ERROR FLAG_NOT_FOUND");
    assert_ok(merge_into(client, "{'flags': {'c': null}, 'segments': {'s': null}}"));
    assert_flag(client, "c", NULL, "- - ERROR FLAG_NOT_FOUND");
    assert_ok(merge_into(client, merged));
    assert_flag(client, "a", NULL, "true on DEFAULT");
    flagver_close(client);
}
END_TEST

START_TEST(a_ring_may_be_turned_round_in_one_merge)
{
    flagver_client *client = client_of(merged, NULL);

    assert_ok(merge_into(client, "{'flags': {'a': {'type': 'boolean'}, 'b': " REQUIRES("a") "}}"));
    assert_flag(client, "b", NULL, "true on DEFAULT");
    flagver_close(client);
}
END_TEST

START_TEST(a_key_that_was_removed_frees_its_variable)
{
    flagver_client *client = client_of("{'flags': {'pay-x': {'type': 'boolean'}}}", NULL);

    assert_fails(FLAGVER_EPARSE, merge_into(client, "{'flags': {'pay_x': {'type': 'boolean'}}}"));
    assert_ok(merge_into(client, "{'flags': {'pay-x': null, 'pay_x': {'type': 'boolean'}}}"));
    assert_ok(merge_into(client, "{'flags': {'pay_x': null}}"));
    assert_ok(merge_into(client, "{'flags': {'pay-x': {'type': 'boolean'}}}"));
    assert_fails(FLAGVER_EPARSE, merge_into(client, "{'flags': {'pay_x': {'type': 'boolean'}}}"));
    flagver_close(client);
}
END_TEST

static Suite *graph_suite(void)
{
    Suite *suite = suite_create("graph");
    TCase *ways = tcase_create("ways");
    TCase *merges = tcase_create("merges");

    tcase_add_loop_test(ways, a_ring_is_refused_at_one_of_its_links, 0, COUNT(rings));
    tcase_add_test(ways, a_name_may_be_a_flag_and_a_segment);
    tcase_add_test(ways, two_ways_to_one_flag_are_no_ring);
    tcase_add_loop_test(ways, references_lead_on_100_times, 0, MIXED + 1);
    tcase_add_test(ways, the_longest_way_counts_not_the_first);
    tcase_add_test(ways, an_evaluation_at_the_limit_ends);
    tcase_add_test(ways, a_diamond_of_many_tests_is_refused);
    tcase_add_test(ways, a_diamond_of_flags_is_refused);
    tcase_add_test(ways, a_diamond_that_is_allowed_is_quick);
    tcase_add_test(ways, many_flags_that_share_much_are_fine);
    suite_add_tcase(suite, ways);

    tcase_add_loop_test(merges, what_a_merge_would_break_is_refused, 0, COUNT(merge_rows));
    tcase_add_test(merges, what_goes_together_may_be_removed_together);
    tcase_add_test(merges, a_ring_may_be_turned_round_in_one_merge);
    tcase_add_test(merges, a_key_that_was_removed_frees_its_variable);
    suite_add_tcase(suite, merges);
    return suite;
}

int main(void)
{
    return run_suite(graph_suite());
}
