/*
 * What changed from one JSON text to another: the merge patch that brings it
 * about, and the lines that tell it.
 */
#include "codec/canonical.h"
#include "codec/diff.h"
#include "codec/json.h"
#include "flags.h"
#include "seed.h"

#include <pthread.h>

static struct fv_text out = FV_TEXT_INIT;

static void clear(void)
{
    fv_text_clear(&out);
}

typedef int differ(const char *a, size_t a_length, const char *b, size_t b_length,
                   struct fv_text *out, flagver_error *err);

static int diff(differ *call, const char *a, const char *b)
{
    char *before = quoted(a), *after = quoted(b);
    int r;

    fv_text_reset(&out);
    r = call(before, strlen(before), after, strlen(after), &out, &error);
    free(before);
    free(after);
    return r;
}

struct row {
    const char *label, *a, *b, *expected;
};

static void assert_row(differ *call, const struct row *row)
{
    char *expected = quoted(row->expected);

    assert_ok(diff(call, row->a, row->b));
    ck_assert_msg(strcmp(out.data, expected) == 0, "%s:\n%s\nnot\n%s", row->label, out.data,
                  expected);
    free(expected);
}

/* ---- merge patches ---- */

static const struct row patches[] = {
    { "nothing", "{'a': 1}", "{ 'a' : 1 }", "{}" },
    { "order is nothing", "{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}", "{}" },
    { "a new member", "{}", "{'a': {'b': [null]}}", "{'a':{'b':[null]}}" },
    { "a changed member", "{'a': 1, 'b': 2}", "{'a': 3, 'b': 2}", "{'a':3}" },
    { "a removed member", "{'a': 1, 'b': 2}", "{'b': 2}", "{'a':null}" },
    { "far below", "{'a': {'b': {'c': 1, 'd': 2}}}", "{'a': {'b': {'c': 1, 'd': 3}}}",
      "{'a':{'b':{'d':3}}}" },
    { "an array as a whole", "{'a': [1, 2]}", "{'a': [1, 2, 3]}", "{'a':[1,2,3]}" },
    { "objects in an array", "{'a': [{'x': 1}]}", "{'a': [{}]}", "{'a':[{}]}" },
    { "an empty object", "{'a': 1}", "{'a': {}}", "{'a':{}}" },
    { "an object that becomes empty", "{'a': {'b': 1}}", "{'a': {}}", "{'a':{'b':null}}" },
    { "no object any more", "{'a': {'b': 1}}", "{'a': 'b'}", "{'a':'b'}" },
    { "an integer and a real", "{'a': 1}", "{'a': 1.0}", "{'a':1.0}" },
    { "null that stays", "{'a': null, 'b': 1}", "{'a': null, 'b': 2}", "{'b':2}" },
    { "null that goes", "{'a': null}", "{}", "{'a':null}" },
    { "another root", "{'a': 1}", "[1]", "[1]" },
    { "a root of null", "{'a': 1}", "null", "null" },
    { "an object in place of no object", "[1]", "{'b': 2, 'a': 1}", "{'a':1,'b':2}" },
    { "the same scalar", "1", "1", "1" },
};

START_TEST(a_merge_patch_says_what_changed)
{
    assert_row(fv_diff_merge_patch, &patches[_i]);
}
END_TEST

static const struct row nulls[] = {
    { "a new member", "{}", "{'a': null}", "/a becomes null" },
    { "a changed member", "{'a': 1}", "{'a': null}", "/a becomes null" },
    { "in a new object", "{}", "{'a': {'b': {'c': null}}}", "/a/b/c becomes null" },
    { "in place of an object", "{'a': {'b': {}}}", "{'a': {'b': null}}", "/a/b becomes null" },
    { "in an object in place of none", "[]", "{'a': {'b/c': null}}", "/a/b~1c becomes null" },
};

START_TEST(what_a_merge_patch_cannot_say_is_refused)
{
    fv_text_add(&out, "x");
    assert_fails(FLAGVER_ENOTSUP, diff(fv_diff_merge_patch, nulls[_i].a, nulls[_i].b));
    assert_words(nulls[_i].expected);
    ck_assert_uint_eq(out.length, 0);
}
END_TEST

/* RFC 7396, section 2; NULL patches nothing. Returns a new value. */
static json_t *apply(const json_t *target, json_t *patch)
{
    json_t *result, *value;
    const char *key;

    if (!json_is_object(patch))
        return json_incref(patch);
    result = json_is_object(target) ? json_copy((json_t *)target) : json_object();
    json_object_foreach(patch, key, value)
    {
        if (json_is_null(value))
            json_object_del(result, key);
        else
            json_object_set_new(result, key, apply(json_object_get(target, key), value));
    }
    return result;
}

/* A value of few kinds, so that parts of two of them are often the same. */
static void write_random(struct seed *seed, struct fv_text *json, int depth, bool nulls_too)
{
    uint32_t kind = seed_below(seed, depth > 3 ? 4 : 8), count, i;

    switch (kind) {
    case 0:
        fv_text_add(json, nulls_too ? "null" : "true");
        return;
    case 1:
        fv_text_format(json, "%u", seed_below(seed, 3));
        return;
    case 2:
        fv_text_format(json, "\"%c\"", (int)('a' + (int)seed_below(seed, 3)));
        return;
    case 3:
        fv_text_add(json, "0.5");
        return;
    case 4:
    case 5:
        fv_text_add_char(json, '[');
        count = seed_below(seed, 4);
        for (i = 0; i < count; i++) {
            fv_text_add(json, i ? "," : "");
            write_random(seed, json, depth + 1, true);
        }
        fv_text_add_char(json, ']');
        return;
    default:
        fv_text_add_char(json, '{');
        for (i = 0, count = 0; i < 4; i++) {
            if (seed_below(seed, 2))
                continue;
            fv_text_format(json, "%s\"%s\":", count++ ? "," : "",
                           ((const char *const[]){ "id", "b", "c/d", "" })[i]);
            write_random(seed, json, depth + 1, nulls_too);
        }
        fv_text_add_char(json, '}');
        return;
    }
}

static json_t *parse(const struct fv_text *json)
{
    json_t *root = NULL;

    if (fv_json_parse(json->data, json->length, NULL, &root, &error) < 0)
        ck_abort_msg("%s: %s", json->data, error.message);
    return root;
}

START_TEST(applying_the_merge_patch_gives_the_other_text)
{
    struct fv_text a = FV_TEXT_INIT, b = FV_TEXT_INIT;
    struct seed seed = seed_new((uint64_t)_i);
    json_t *before, *after, *patch, *result;
    int n;

    for (n = 0; n < 5000; n++) {
        fv_text_reset(&a);
        fv_text_reset(&b);
        fv_text_reset(&out);
        write_random(&seed, &a, 0, true);
        write_random(&seed, &b, 0, false);
        before = parse(&a);
        after = parse(&b);
        must(fv_diff_merge_patch(a.data, a.length, b.data, b.length, &out, &error) == 0,
             "%s, %s: %s", a.data, b.data, error.message);
        patch = parse(&out);
        result = apply(before, patch);
        must(json_equal(result, after), "%s with %s is not %s", a.data, out.data, b.data);
        json_decref(before);
        json_decref(after);
        json_decref(patch);
        json_decref(result);
    }
    fv_text_clear(&a);
    fv_text_clear(&b);
}
END_TEST

/* ---- lines ---- */

#define E20 "eeeeeeeeeeeeeeeeeeee"
#define E140 E20 E20 E20 E20 E20 E20 E20
#define F40 "ffffffffffffffffffffffffffffffffffffffff"

static const struct row lines[] = {
    { "nothing", "{'a': [1, {'b': 2}]}", "{ 'a' : [1, {'b':2}] }", "" },
    { "changed, added, removed", "{'percentage': 10, 'beta': ['a', 'b'], 'salt': 's'}",
      "{'percentage': 25, 'beta': ['a', 'b', 'carol'], 'by': 'x'}",
      "+ /beta/2: 'carol'\n+ /by: 'x'\n~ /percentage: 10 -> 25\n- /salt: 's'\n" },
    { "far below", "{'a': {'b': {'c': 1}}}", "{'a': {'b': {'c': 1.0, 'd': null}}}",
      "~ /a/b/c: 1 -> 1.0\n+ /a/b/d: null\n" },
    { "roots", "1", "[1, 2]", "~ (root): 1 -> [1,2]\n" },
    { "another kind", "{'a': {'b': 1}}", "{'a': [1]}", "~ /a: {'b':1} -> [1]\n" },
    { "keys with slashes", "{'a/b~c': 1}", "{'a/b~c': 2}", "~ /a~1b~0c: 1 -> 2\n" },
    { "an empty key", "{'': 1}", "{'': {}}", "~ /: 1 -> {}\n" },
    { "keys with control characters", "{'a\\n\\u001b[31m\x7f': 1}", "{}",
      "- /a\\u000a\\u001b[31m\\u007f: 1\n" },
    { "values with control characters", "{}", "{'a': 'x\\ny'}", "+ /a: 'x\\ny'\n" },
    { "a long value", "{}", "{'a': '" E140 F40 F40 "'}",
      "+ /a: '" E20 E20 E20 E20 E20 E20 "eeeeeeeeeeeeeeeeeee\xe2\x80\xa6"
      "ffffffffffffffff" F40 "'\n" },

    { "one from the front", "['a', 'b', 'c']", "['b', 'c']", "- /0: 'a'\n" },
    { "one from the middle", "['a', 'b', 'c']", "['a', 'c']", "- /1: 'b'\n" },
    { "one in the middle", "['a', 'c']", "['a', 'b', 'c']", "+ /1: 'b'\n" },
    { "one for another", "['a', 'b', 'c']", "['a', 'x', 'c']", "- /1: 'b'\n+ /1: 'x'\n" },
    { "several at once", "['a', 'b', 'c', 'd', 'e']", "['b', 'x', 'd', 'y', 'e', 'z']",
      "- /0: 'a'\n- /2: 'c'\n+ /1: 'x'\n+ /3: 'y'\n+ /5: 'z'\n" },
    { "one that moved", "['a', 'b', 'c']", "['c', 'a', 'b']", "+ /0: 'c'\n- /2: 'c'\n" },
    { "the same twice", "['a', 'a', 'b']", "['a', 'b', 'a']", "- /1: 'a'\n+ /2: 'a'\n" },
    { "all of it", "['a', 'b']", "[]", "- /0: 'a'\n- /1: 'b'\n" },
    { "mixed kinds", "[1, '1', true, null]", "[1, true, '1', null]", "- /1: '1'\n+ /2: '1'\n" },

    { "a rule that changed", "[{'id': 'eu', 'serve': 'on'}, {'id': 'us', 'serve': 'on'}]",
      "[{'id': 'eu', 'serve': 'off'}, {'id': 'us', 'serve': 'on'}]",
      "~ /0/serve: 'on' -> 'off'\n" },
    { "a rule that went and one that changed",
      "[{'id': 'eu', 'serve': 'on'}, {'id': 'us', 'serve': 'on'}]", "[{'id': 'us', 'serve': 'x'}]",
      "- /0: {'id':'eu','serve':'on'}\n~ /0/serve: 'on' -> 'x'\n" },
    { "a rule for another", "[{'id': 'eu', 'serve': 'on'}]", "[{'id': 'us', 'serve': 'on'}]",
      "- /0: {'id':'eu','serve':'on'}\n+ /0: {'id':'us','serve':'on'}\n" },
    { "rules that changed places", "[{'id': 'a', 'x': 1}, {'id': 'b'}]",
      "[{'id': 'b'}, {'id': 'a', 'x': 2}]", "- /0: {'id':'a','x':1}\n+ /1: {'id':'a','x':2}\n" },
    { "ids that stand there twice are no ids", "[{'id': 'a', 'x': 1}, {'id': 'a', 'x': 2}]",
      "[{'id': 'a', 'x': 1}, {'id': 'a', 'x': 3}]", "~ /1/x: 2 -> 3\n" },
    { "ids that are no strings are none", "[{'id': 1}, {'id': 2}]", "[{'id': 2}, {'id': 3}]",
      "- /0: {'id':1}\n+ /1: {'id':3}\n" },

    { "objects without ids in pairs", "[{'at': 1, 'p': 1}, {'at': 2, 'p': 2}]",
      "[{'at': 1, 'p': 1}, {'at': 2, 'p': 3}, {'at': 4}]", "~ /1/p: 2 -> 3\n+ /2: {'at':4}\n" },
    { "an object before equal ones", "[{'a': 1}, {'b': 2}]", "[{'x': 0}, {'a': 1}, {'b': 2}]",
      "+ /0: {'x':0}\n" },
    { "arrays in arrays", "[[1, 2], [3]]", "[[1, 2, 4], [3]]", "+ /0/2: 4\n" },
    { "an array for an object", "[{'a': 1}]", "[[1]]", "- /0: {'a':1}\n+ /0: [1]\n" },
};

START_TEST(lines_tell_what_changed)
{
    assert_row(fv_diff_lines, &lines[_i]);
}
END_TEST

static const struct row refused[] = {
    { "no first text", "{", "{}", "line 1, column 2" },
    { "no second text", "{}", "[1,]", "line 1, column 4" },
    { "empty", "", "1", "text is empty" },
    { "a key twice", "1", "{'a': 1, 'a': 1}", "stands twice" },
};

START_TEST(what_is_no_json_is_refused)
{
    assert_fails(FLAGVER_EPARSE, diff(fv_diff_lines, refused[_i].a, refused[_i].b));
    assert_words(refused[_i].expected);
    ck_assert_uint_eq(out.length, 0);
    assert_fails(FLAGVER_EPARSE, diff(fv_diff_merge_patch, refused[_i].a, refused[_i].b));
    assert_words(refused[_i].expected);
    ck_assert_uint_eq(out.length, 0);
}
END_TEST

/* A list of numbers from one to another. */
static void write_numbers(struct fv_text *json, int from, int to, int step)
{
    int i;

    fv_text_add_char(json, '[');
    for (i = from; i < to; i += step)
        fv_text_format(json, "%s%d", i > from ? "," : "", i);
    fv_text_add_char(json, ']');
}

static void diff_numbers(int a_from, int a_to, int b_from, int b_to, int b_step)
{
    struct fv_text a = FV_TEXT_INIT, b = FV_TEXT_INIT;

    write_numbers(&a, a_from, a_to, 1);
    write_numbers(&b, b_from, b_to, b_step);
    fv_text_reset(&out);
    assert_ok(fv_diff_lines(a.data, a.length, b.data, b.length, &out, &error));
    fv_text_clear(&a);
    fv_text_clear(&b);
}

START_TEST(long_arrays_are_aligned_while_it_is_worth_it)
{
    /* What is the same at both ends costs nothing, however long. */
    diff_numbers(0, 200000, 0, 200001, 1);
    ck_assert_str_eq(out.data, "+ /200000: 200000\n");
    diff_numbers(0, 200000, 1, 200000, 1);
    ck_assert_str_eq(out.data, "- /0: 0\n");
    /* 500 × 500 pairs are compared, 501 × 501 are not. */
    diff_numbers(0, 500, 1, 501, 1);
    ck_assert_str_eq(out.data, "- /0: 0\n+ /499: 500\n");
    diff_numbers(0, 501, 1, 502, 1);
    ck_assert_int_eq(strncmp(out.data, "~ /0: 0 -> 1\n~ /1: 1 -> 2\n", 26), 0);
    ck_assert_ptr_nonnull(strstr(out.data, "~ /500: 500 -> 501\n"));
    diff_numbers(0, 2000, 1, 2000, 3);
    ck_assert_ptr_nonnull(strstr(out.data, "~ /665: 665 -> 1996\n- /666: 666\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "- /1998: 1998\n"));
}
END_TEST

/* Values nested so deep, with a change in the innermost. */
static void write_nested(struct fv_text *json, int depth, bool objects, int value)
{
    int i;

    for (i = 0; i < depth; i++)
        fv_text_add(json, objects ? "{\"a\":" : "[");
    fv_text_format(json, "%d", value);
    for (i = 0; i < depth; i++)
        fv_text_add_char(json, objects ? '}' : ']');
}

static void *diff_nested(void *data)
{
    struct fv_text a = FV_TEXT_INIT, b = FV_TEXT_INIT;
    int objects;

    (void)data;
    for (objects = 0; objects < 2; objects++) {
        fv_text_reset(&a);
        fv_text_reset(&b);
        write_nested(&a, 499, objects, 1);
        write_nested(&b, 499, objects, 2);
        if (fv_diff_lines(a.data, a.length, b.data, b.length, &out, NULL) < 0 ||
            fv_diff_merge_patch(a.data, a.length, b.data, b.length, &out, NULL) < 0)
            data = NULL;
    }
    fv_text_clear(&a);
    fv_text_clear(&b);
    return data;
}

START_TEST(a_small_stack_is_enough_for_the_deepest_texts)
{
    pthread_attr_t attributes;
    pthread_t thread;
    void *result;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024); /* what sanitizers add included */
    ck_assert_int_eq(pthread_create(&thread, &attributes, diff_nested, &out), 0);
    pthread_join(thread, &result);
    ck_assert_ptr_eq(result, &out);
    ck_assert_ptr_nonnull(strstr(out.data, "~ /0/0/0"));
    pthread_attr_destroy(&attributes);
}
END_TEST

START_TEST(there_are_lines_exactly_when_something_changed)
{
    struct fv_text a = FV_TEXT_INIT, b = FV_TEXT_INIT;
    struct seed seed = seed_new((uint64_t)_i);
    json_t *before, *after;
    size_t length;
    int n;

    for (n = 0; n < 5000; n++) {
        fv_text_reset(&a);
        fv_text_reset(&b);
        fv_text_reset(&out);
        write_random(&seed, &a, 0, true);
        write_random(&seed, &b, 0, true);
        before = parse(&a);
        after = parse(&b);
        must(fv_diff_lines(a.data, a.length, b.data, b.length, &out, &error) == 0, "%s, %s: %s",
             a.data, b.data, error.message);
        must(json_equal(before, after) == (out.length == 0), "%s, %s:\n%s", a.data, b.data,
             out.data);
        must(out.length == 0 || out.data[out.length - 1] == '\n', "%s", out.data);
        length = out.length;
        must(fv_diff_lines(a.data, a.length, a.data, a.length, &out, &error) == 0 &&
                 out.length == length,
             "%s and itself:\n%s", a.data, out.data + length);
        json_decref(before);
        json_decref(after);
    }
    fv_text_clear(&a);
    fv_text_clear(&b);
}
END_TEST

static Suite *diff_suite(void)
{
    Suite *suite = suite_create("diff");
    TCase *patch_tests = tcase_create("merge patches");
    TCase *line_tests = tcase_create("lines");

    tcase_add_checked_fixture(patch_tests, NULL, clear);
    tcase_add_loop_test(patch_tests, a_merge_patch_says_what_changed, 0, COUNT(patches));
    tcase_add_loop_test(patch_tests, what_a_merge_patch_cannot_say_is_refused, 0, COUNT(nulls));
    tcase_add_loop_test(patch_tests, applying_the_merge_patch_gives_the_other_text, 0, 4);
    suite_add_tcase(suite, patch_tests);

    tcase_add_checked_fixture(line_tests, NULL, clear);
    tcase_add_loop_test(line_tests, lines_tell_what_changed, 0, COUNT(lines));
    tcase_add_loop_test(line_tests, what_is_no_json_is_refused, 0, COUNT(refused));
    tcase_add_test(line_tests, long_arrays_are_aligned_while_it_is_worth_it);
    tcase_add_test(line_tests, a_small_stack_is_enough_for_the_deepest_texts);
    tcase_add_loop_test(line_tests, there_are_lines_exactly_when_something_changed, 0, 4);
    suite_add_tcase(suite, line_tests);
    return suite;
}

int main(void)
{
    return run_suite(diff_suite());
}
