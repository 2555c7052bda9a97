/*
 * Flags as code: what has to be done to make records say what a file says, and
 * files that are made of records.
 */
#include "codec/plan.h"
#include "flags.h"
#include "seed.h"

/* Records with ' for ". A name with "/" before it is a segment's, with "@" a policy's, with "+" an
 * assignment's. */
struct row {
    const char *name, *json;
    int64_t version;
};

#define ROWS 8

struct store {
    struct fv_record records[ROWS], policies[ROWS], assignments[ROWS];
    char *texts[ROWS];
    size_t text_count, count, policy_count, assignment_count;
};

static struct fv_plan_steps steps;
static struct fv_text out = FV_TEXT_INIT;

static void clear(void)
{
    fv_plan_clear(&steps);
    fv_text_clear(&out);
}

static struct fv_record *next(struct store *store, char mark)
{
    if (mark == '@')
        return &store->policies[store->policy_count++];
    if (mark == '+')
        return &store->assignments[store->assignment_count++];
    return &store->records[store->count++];
}

static void fill(struct store *store, const struct row *rows)
{
    struct fv_record *record;
    size_t i;

    *store = (struct store){ 0 };
    for (i = 0; i < ROWS && rows[i].name; i++) {
        store->texts[i] = rows[i].json ? quoted(rows[i].json) : NULL;
        record = next(store, rows[i].name[0]);
        record->is_segment = rows[i].name[0] == '/';
        record->key = rows[i].name + (strchr("/@+", rows[i].name[0]) != NULL);
        record->key_length = strlen(record->key);
        record->text = store->texts[i];
        record->length = record->text ? strlen(record->text) : 0;
        record->version = rows[i].version;
    }
    store->text_count = i;
}

static void empty(struct store *store)
{
    size_t i;

    for (i = 0; i < store->text_count; i++)
        free(store->texts[i]);
}

static int plan(const struct row *rows, const char *file, bool prune)
{
    char *text = quoted(file);
    struct fv_plan_request request = { .text = text, .length = strlen(text), .prune = prune };
    struct store store;
    int r;

    fill(&store, rows);
    request.records = store.records;
    request.count = store.count;
    request.policies = (struct fv_plan_documents){ store.policies, store.policy_count };
    request.assignments = (struct fv_plan_documents){ store.assignments, store.assignment_count };
    fv_plan_clear(&steps);
    r = fv_plan_make(&request, &steps, &error);
    empty(&store); /* nothing in the steps points into what they were made of */
    free(text);
    return r;
}

/* The steps, a line each: "create /name version text", with the diff below. */
static void assert_steps(const char *label, const char *expected)
{
    static const char *const actions[] = { "create", "change", "delete" };
    static const char *const marks[] = { [FV_FORM_FLAG] = "",
                                         [FV_FORM_SEGMENT] = "/",
                                         [FV_FORM_POLICY] = "@",
                                         [FV_FORM_ASSIGNMENT] = "+" };
    struct fv_text text = FV_TEXT_INIT;
    char *wanted = quoted(expected);
    const struct fv_plan_step *step;
    size_t i;

    for (i = 0; i < steps.count; i++) {
        step = &steps.steps[i];
        ck_assert_uint_eq(strlen(step->key), step->key_length);
        fv_text_format(&text, "%s %s%s %d%s%s\n%s", actions[step->action], marks[step->form],
                       step->key, (int)step->version, step->text ? " " : "",
                       step->text ? step->text : "", step->diff);
        if (step->text)
            ck_assert_uint_eq(strlen(step->text), step->length);
    }
    ck_assert_msg(strcmp(text.data, wanted) == 0, "%s:\n%s\nnot\n%s", label, text.data, wanted);
    fv_text_clear(&text);
    free(wanted);
}

/* ---- plans ---- */

#define PLAIN "{'type':'boolean'}"
#define HALF "{'percentage':50,'type':'boolean'}"
#define BOB "{'include':['bob']}"
#define ALICE "{'users':['alice']}"
#define NEEDS(other) "{'requires':[{'flag':'" other "','variant':'on'}],'type':'boolean'}"

struct plan_row {
    const char *label;
    struct row rows[ROWS];
    const char *file;
    bool prune;
    const char *expected;
};

static const struct plan_row plans[] = {
    { "nothing to do",
      { { "a", PLAIN, 3 }, { "/s", BOB, 1 } },
      "{'flags': {'a': {'type': 'boolean'}}, 'segments': {'s': {'include': ['bob']}}}",
      true,
      "" },
    { "an empty file alone does nothing", { { "a", PLAIN, 3 } }, "{}", false, "" },
    { "an empty file deletes everything",
      { { "b", PLAIN, 3 }, { "a", PLAIN, 2 }, { "/s", BOB, 1 } },
      "{}",
      true,
      "delete /s 1\n- /include: ['bob']\n"
      "delete a 2\n- /type: 'boolean'\n"
      "delete b 3\n- /type: 'boolean'\n" },
    { "into nothing",
      { { NULL, NULL, 0 } },
      "{'flags': {'b': {'type': 'boolean'}, 'a': {'percentage': 50, 'type': 'boolean'}}, "
      "'segments': {'t': {}, 's': {}}}",
      true,
      "create /s 0 {}\n"
      "create /t 0 {}\n"
      "create a 0 " HALF "\n+ /percentage: 50\n+ /type: 'boolean'\n"
      "create b 0 " PLAIN "\n+ /type: 'boolean'\n" },
    { "a change",
      { { "a", PLAIN, 3 }, { "b", PLAIN, 4 } },
      "{'flags': {'a': {'type': 'boolean', 'percentage': 50}}}",
      false,
      "change a 3 " HALF "\n+ /percentage: 50\n" },
    { "everything at once",
      { { "z", PLAIN, 1 }, { "/z", BOB, 2 }, { "a", PLAIN, 3 }, { "/a", BOB, 4 } },
      "{'flags': {'c': {'type': 'boolean'}, 'a': {'type': 'boolean', 'percentage': 50}}, "
      "'segments': {'a': {}, 'b': {}}}",
      true,
      "change /a 4 {}\n- /include: ['bob']\n"
      "create /b 0 {}\n"
      "change a 3 " HALF "\n+ /percentage: 50\n"
      "create c 0 " PLAIN "\n+ /type: 'boolean'\n"
      "delete /z 2\n- /include: ['bob']\n"
      "delete z 1\n- /type: 'boolean'\n" },
    { "null deletes in a merge",
      { { "a", PLAIN, 3 }, { "/s", BOB, 4 } },
      "{'flags': {'a': null, 'b': null}, 'segments': {'s': null}}",
      false,
      "delete /s 4\n- /include: ['bob']\n"
      "delete a 3\n- /type: 'boolean'\n" },
    { "a record without text is not there",
      { { "a", NULL, 3 }, { "/s", NULL, 4 } },
      "{'flags': {'a': {'type': 'boolean'}}}",
      true,
      "create a 0 " PLAIN "\n+ /type: 'boolean'\n" },
    { "of two records the later counts",
      { { "a", HALF, 3 }, { "a", PLAIN, 4 }, { "b", PLAIN, 1 }, { "b", NULL, 2 } },
      "{'flags': {'a': {'type': 'boolean'}}}",
      true,
      "" },
    { "what is written in another way is the same",
      { { "a", " { 'type' : 'boolean', 'percentage' : 50 } ", 3 } },
      "{'flags': {'a': {'type': 'boolean', 'percentage': 50}}}",
      true,
      "" },
    { "what is no JSON is replaced",
      { { "a", "{", 3 } },
      "{'flags': {'a': {'type': 'boolean'}}}",
      true,
      "change a 3 " PLAIN "\n+ /type: 'boolean'\n" },
    { "what is no JSON is deleted", { { "a", "{", 3 } }, "{}", true, "delete a 3\n" },
    { "flags and segments have names of their own",
      { { "x", PLAIN, 1 } },
      "{'segments': {'x': {}}}",
      true,
      "create /x 0 {}\ndelete x 1\n- /type: 'boolean'\n" },
    { "a file that needs what is there",
      { { "a", PLAIN, 1 } },
      "{'flags': {'b': " NEEDS("a") "}}",
      false,
      "create b 0 " NEEDS("a") "\n+ /requires: [{'flag':'a','variant':'on'}]\n"
                               "+ /type: 'boolean'\n" },
    { "records that are spoiled without the file's doing",
      { { "bad", "{", 1 },
        { "lost", NEEDS("nowhere"), 1 },
        { "a-b", PLAIN, 1 },
        { "a_b", PLAIN, 1 } },
      "{'flags': {'c': {'type': 'boolean'}}}",
      false,
      "create c 0 " PLAIN "\n+ /type: 'boolean'\n" },
    { "other sections are left to others",
      { { "a", PLAIN, 1 } },
      "{'migrations': {'x': 1}, 'records': [1], 'flags': {}}",
      false,
      "" },
    { "policies and assignments are records, too",
      { { "@b", "{'write':'nobody'}", 4 }, { "+r/a", ALICE, 2 }, { "@same", "{}", 1 } },
      "{'phases': {'b': {'write': 'anyone'}, 'a': {}, 'same': {}}, 'assignments': {'r/a': "
      "{'users': "
      "['alice', 'bob']}, 'r/b': {'users': ['alice']}}, 'flags': {'a': {'type': 'boolean'}}, "
      "'segments': {'a': {'include': ['bob']}}}",
      false,
      "create /a 0 " BOB "\n+ /include: ['bob']\n"
      "create a 0 " PLAIN "\n+ /type: 'boolean'\n"
      "change +r/a 2 {'users':['alice','bob']}\n+ /users/1: 'bob'\n"
      "create +r/b 0 " ALICE "\n+ /users: ['alice']\n"
      "create @a 0 {}\n"
      "change @b 4 {'write':'anyone'}\n~ /write: 'nobody' -> 'anyone'\n" },
    { "a file of flags alone does not prune what says who may change them",
      { { "@a", "{}", 1 }, { "+r/a", ALICE, 1 }, { "a", PLAIN, 1 } },
      "{'flags': {}}",
      true,
      "delete a 1\n- /type: 'boolean'\n" },
    { "with their sections it does",
      { { "@a", "{}", 1 }, { "@b", "{}", 1 }, { "+r/a", ALICE, 1 }, { "a", PLAIN, 1 } },
      "{'phases': {'b': {}}, 'assignments': {}, 'flags': {'a': {'type': 'boolean'}}}",
      true,
      "delete +r/a 1\n- /users: ['alice']\n"
      "delete @a 1\n" },
    { "null takes them away",
      { { "@a", "{}", 1 }, { "+r/a", ALICE, 1 } },
      "{'phases': {'a': null, 'never': null}, 'assignments': {'r/a': null}}",
      false,
      "delete +r/a 1\n- /users: ['alice']\n"
      "delete @a 1\n" },
    { "one that is gone is made anew",
      { { "@a", NULL, 3 } },
      "{'phases': {'a': {}}}",
      false,
      "create @a 0 {}\n" },
    { "bytes and not letters order keys",
      { { NULL, NULL, 0 } },
      "{'flags': {'b': {'type': 'boolean'}, '\xc3\xa4': {'type': 'boolean'}, 'C': {'type': "
      "'boolean'}, 'ba': {'type': 'boolean'}}}",
      false,
      "create C 0 " PLAIN "\n+ /type: 'boolean'\n"
      "create b 0 " PLAIN "\n+ /type: 'boolean'\n"
      "create ba 0 " PLAIN "\n+ /type: 'boolean'\n"
      "create \xc3\xa4 0 " PLAIN "\n+ /type: 'boolean'\n" },
};

START_TEST(a_plan_says_what_has_to_be_done)
{
    const struct plan_row *row = &plans[_i];

    assert_ok(plan(row->rows, row->file, row->prune));
    assert_steps(row->label, row->expected);
}
END_TEST

static const struct plan_row refusals[] = {
    { "no JSON", { { "a", PLAIN, 1 } }, "{'flags': {", false, "line 1, column 12" },
    { "a malformed flag",
      { { "a", PLAIN, 1 } },
      "{'flags': {'a': {'type': 'boolean', 'percentage': 101}}}",
      false,
      "line 1, column 51: /flags/a/percentage: percentage is 101" },
    { "null without a merge", { { "a", PLAIN, 1 } }, "{'flags': {'a': null}}", true, "/flags/a" },
    { "a flag that is to go is needed",
      { { "a", PLAIN, 1 }, { "b", NEEDS("a"), 1 } },
      "{'flags': {'a': null}}",
      false,
      "flag \"b\" names a flag \"a\" that does not exist" },
    { "with prune the file stands alone",
      { { "a", PLAIN, 1 } },
      "{'flags': {'b': " NEEDS("a") "}}",
      true,
      "/flags/b/requires/0/flag: flag \"b\" names a flag \"a\" that does not exist" },
    { "a cycle through what is there",
      { { "a", PLAIN, 1 }, { "b", NEEDS("a"), 1 } },
      "{'flags': {'a': " NEEDS("b") "}}",
      false,
      "depends on itself" },
    { "a variant that is needed",
      { { "a", PLAIN, 1 }, { "b", NEEDS("a"), 1 } },
      "{'flags': {'a': {'type': 'boolean', 'variants': {'yes': true, 'no': false}}}}",
      false,
      "flag \"b\" asks for variant \"on\"" },
    { "a variable taken twice",
      { { "a-b", PLAIN, 1 } },
      "{'flags': {'a_b': {'type': 'boolean'}}}",
      false,
      "FLAGVER_FLAG_A_B" },
    { "a variable taken twice in a file",
      { { "a-b", PLAIN, 1 }, { "a_b", PLAIN, 1 } },
      "{'flags': {'a_b': {'type': 'boolean'}, 'a-b': {'type': 'boolean'}}}",
      true,
      "FLAGVER_FLAG_A_B" },
    { "a spoiled record that the file does not mend",
      { { "a", NEEDS("nowhere"), 1 } },
      "{'flags': {'a': " NEEDS("elsewhere") "}}",
      false,
      "flag \"a\" names a flag \"elsewhere\" that does not exist" },
};

START_TEST(a_file_is_checked_as_strictly_as_ever)
{
    const struct plan_row *row = &refusals[_i];

    assert_fails(FLAGVER_EPARSE, plan(row->rows, row->file, row->prune));
    assert_words(row->expected);
    ck_assert_uint_eq(steps.count, 0);
}
END_TEST

START_TEST(errors_name_the_file)
{
    static const char text[] = "{\n\"flags\": 1}";
    const struct fv_plan_request request = { .text = text,
                                             .length = sizeof text - 1,
                                             .name = "flags.json" };

    assert_fails(FLAGVER_EPARSE, fv_plan_make(&request, &steps, &error));
    assert_words("flags.json:2:10: /flags: must be an object");
    ck_assert_int_eq(fv_plan_make(&request, &steps, NULL), FLAGVER_EPARSE);
}
END_TEST

/* ---- exports ---- */

static int export_rows(const struct row *rows)
{
    struct store store;
    int r;

    fill(&store, rows);
    r = fv_definitions_export(store.records, store.count, &out, &error);
    empty(&store);
    return r;
}

START_TEST(a_file_has_one_definition_a_line)
{
    const struct row rows[] = { { "b", PLAIN, 1 },
                                { "/t", "{}", 1 },
                                { "a", "{ 'type': 'boolean', 'percentage': 12.50 }", 7 },
                                { "/s", BOB, 2 },
                                { "gone", NULL, 3 },
                                { NULL, NULL, 0 } };
    char *expected = quoted("{'flags': {\n"
                            "'a': {'percentage':12.5,'type':'boolean'},\n"
                            "'b': {'type':'boolean'}\n"
                            "},\n"
                            "'segments': {\n"
                            "'s': {'include':['bob']},\n"
                            "'t': {}\n"
                            "}}\n");

    assert_ok(export_rows(rows));
    ck_assert_str_eq(out.data, expected);
    free(expected);
}
END_TEST

START_TEST(a_file_of_nothing_is_a_file)
{
    assert_ok(fv_definitions_export(NULL, 0, &out, &error));
    ck_assert_str_eq(out.data, "{\"flags\": {},\n\"segments\": {}}\n");
}
END_TEST

START_TEST(what_is_not_sound_is_exported_all_the_same)
{
    const struct row rows[] = { { "a", "{'type':'boolean','percent':1}", 1 },
                                { "b", NEEDS("nowhere"), 1 },
                                { "q\"\n", "[]", 1 },
                                { NULL, NULL, 0 } };

    assert_ok(export_rows(rows));
    ck_assert_ptr_nonnull(strstr(out.data, "\"a\": {\"percent\":1,\"type\":\"boolean\"}"));
    ck_assert_ptr_nonnull(strstr(out.data, "\n\"q\\\"\\n\": []\n"));
}
END_TEST

START_TEST(what_is_no_json_cannot_be_exported)
{
    const struct row rows[] = { { "a", PLAIN, 1 },
                                { "/s", "{'include': [}", 1 },
                                { NULL, NULL, 0 } };
    const struct fv_record keys[] = { { false, "a\xff", 2, "{}", 2, 1, NULL, 0 },
                                      { false, "a\0b", 3, "{}", 2, 1, NULL, 0 } };

    fv_text_add(&out, "before");
    assert_fails(FLAGVER_EPARSE, export_rows(rows));
    assert_words("segment \"s\" cannot be exported: line 1, column 14");
    assert_fails(FLAGVER_EPARSE, fv_definitions_export(&keys[0], 1, &out, &error));
    assert_words("its key is not UTF-8");
    assert_fails(FLAGVER_EPARSE, fv_definitions_export(&keys[1], 1, &out, &error));
    ck_assert_str_eq(out.data, "before");
    ck_assert_int_eq(fv_definitions_export(&keys[1], 1, &out, NULL), FLAGVER_EPARSE);
}
END_TEST

/* ---- there and back ---- */

#define MANY 40

/* Records as they would be when the steps were taken, in the memory of the steps. */
static size_t carry_out(struct fv_record *records, size_t count)
{
    const struct fv_plan_step *step;
    size_t i, j;
    bool there;

    for (i = 0; i < steps.count; i++) {
        step = &steps.steps[i];
        for (j = 0; j < count; j++)
            if (records[j].is_segment == (step->form == FV_FORM_SEGMENT) &&
                strcmp(records[j].key, step->key) == 0)
                break;
        ck_assert_uint_lt(j, 2 * MANY);
        there = j < count && records[j].text;
        ck_assert(there == (step->action != FV_PLAN_CREATE));
        if (there)
            ck_assert_int_eq(records[j].version, step->version);
        records[j] = (struct fv_record){ step->form == FV_FORM_SEGMENT,
                                         step->key,
                                         step->key_length,
                                         step->text,
                                         step->length,
                                         1,
                                         NULL,
                                         0 };
        count += j == count;
    }
    return count;
}

static void write_random_file(struct seed *seed, struct fv_text *file)
{
    int i, written = 0;

    fv_text_reset(file);
    fv_text_add(file, "{\"segments\":{");
    for (i = 0; i < 10; i++)
        fv_text_format(file, "%s\"s%d\":{\"include\":[\"u%u\"]}", i ? "," : "", i,
                       seed_below(seed, 3));
    fv_text_add(file, "},\"flags\":{");
    for (i = MANY; i-- > 0;)
        if (seed_below(seed, 2))
            fv_text_format(file,
                           "%s\"f%d\":{\"type\":\"boolean\",\"percentage\":%u,\"rules\":[{\"if\":"
                           "{\"segment\":\"s%u\"},\"serve\":\"on\"}]}",
                           written++ ? "," : "", i, seed_below(seed, 3), seed_below(seed, 10));
    fv_text_add(file, "}}");
}

static void plan_text(const struct fv_text *file, const struct fv_record *records, size_t count,
                      bool prune)
{
    const struct fv_plan_request request = { .text = file->data,
                                             .length = file->length,
                                             .records = records,
                                             .count = count,
                                             .prune = prune };

    assert_ok(fv_plan_make(&request, &steps, &error));
}

START_TEST(after_the_plan_there_is_nothing_to_do_and_the_export_is_stable)
{
    struct fv_text file = FV_TEXT_INIT, again = FV_TEXT_INIT;
    struct fv_record records[2 * MANY], imported[2 * MANY];
    struct fv_plan_steps all[12];
    struct seed seed = seed_new((uint64_t)_i);
    size_t count = 0, imported_count;
    int turn;

    for (turn = 0; turn < 12; turn++) {
        write_random_file(&seed, &file);
        plan_text(&file, records, count, turn % 3 != 0);
        count = carry_out(records, count);
        all[turn] = steps; /* its memory is the records' */
        plan_text(&file, records, count, turn % 3 != 0);
        ck_assert_uint_eq(steps.count, 0);
        fv_plan_clear(&steps);

        fv_text_reset(&out);
        fv_text_reset(&again);
        assert_ok(fv_definitions_export(records, count, &out, &error));
        plan_text(&out, NULL, 0, true);
        imported_count = carry_out(imported, 0);
        assert_ok(fv_definitions_export(imported, imported_count, &again, &error));
        ck_assert_str_eq(again.data, out.data);
        fv_plan_clear(&steps);
    }
    for (turn = 0; turn < 12; turn++)
        fv_plan_clear(&all[turn]);
    fv_text_clear(&file);
    fv_text_clear(&again);
}
END_TEST

static Suite *plan_suite(void)
{
    Suite *suite = suite_create("plan");
    TCase *plan_tests = tcase_create("plans");
    TCase *export_tests = tcase_create("exports");

    tcase_add_checked_fixture(plan_tests, NULL, clear);
    tcase_add_loop_test(plan_tests, a_plan_says_what_has_to_be_done, 0, COUNT(plans));
    tcase_add_loop_test(plan_tests, a_file_is_checked_as_strictly_as_ever, 0, COUNT(refusals));
    tcase_add_test(plan_tests, errors_name_the_file);
    suite_add_tcase(suite, plan_tests);

    tcase_add_checked_fixture(export_tests, NULL, clear);
    tcase_add_test(export_tests, a_file_has_one_definition_a_line);
    tcase_add_test(export_tests, a_file_of_nothing_is_a_file);
    tcase_add_test(export_tests, what_is_not_sound_is_exported_all_the_same);
    tcase_add_test(export_tests, what_is_no_json_cannot_be_exported);
    tcase_add_loop_test(export_tests,
                        after_the_plan_there_is_nothing_to_do_and_the_export_is_stable, 0, 4);
    suite_add_tcase(suite, export_tests);
    return suite;
}

int main(void)
{
    return run_suite(plan_suite());
}
