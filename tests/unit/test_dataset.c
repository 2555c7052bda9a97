/*
 * Data sets in files: saved, read back, damaged, compared with an oracle, looked over, killed.
 *
 * FLAGVER_TEST_ROWS: the records of the large ones, of which memory is printed.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp(), kill(), nanosleep() */
#include "exports.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "engine/dataset_sort.h"
#include "flagver/dataset.h"

/* ---- small helpers ---- */

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* JSON lines into a snapshot. */
static void save(const char *from, const char *to)
{
    const flagver_dataset_input input = { .size = sizeof input, .path = FILE_NAMED(from) };

    assert_ok(flagver_dataset_save(&input, FILE_NAMED(to), NULL, &error));
}

static void save_text(const char *to, const char *lines)
{
    write_text("lines", lines);
    save("lines", to);
}

/* What was visited, as lines "KEY VALUE". */
static bool note_record(void *data, const flagver_dataset_record *record)
{
    ck_assert_uint_eq(strlen(record->key), record->key_length);
    ck_assert_uint_eq(strlen(record->value), record->value_length);
    fv_text_format(data, "%s %s\n", record->key, record->value);
    return true;
}

static int read_file(const char *name, struct fv_text *out)
{
    const flagver_dataset_input input = { .size = sizeof input, .path = FILE_NAMED(name) };

    memset(&error, 0, sizeof error);
    return flagver_dataset_read(&input, note_record, out, &error);
}

static void assert_records(const char *name, const char *expected)
{
    struct fv_text out = FV_TEXT_INIT;

    assert_ok(read_file(name, &out));
    ck_assert_str_eq(out.data, expected);
    fv_text_clear(&out);
}

/* ---- saving and reading ---- */

START_TEST(records_come_back_in_order_and_in_canonical_form)
{
    save_text("set", "{\"key\":\"b\",\"value\":{ \"y\": 1.50, \"x\": [ ] }}\n"
                     "\n"
                     "{\"value\":null,\"key\":\"a\\u00e9\\\"\\\\\"}\r\n"
                     "{\"key\":\"a\",\"value\":\"\\u0041\"}");
    assert_records("set", "a \"A\"\naé\"\\ null\nb {\"x\":[],\"y\":1.5}\n");
    assert_records("lines", "b {\"x\":[],\"y\":1.5}\naé\"\\ null\na \"A\"\n");
    save("set", "again");
    assert_records("again", "a \"A\"\naé\"\\ null\nb {\"x\":[],\"y\":1.5}\n");
}
END_TEST

START_TEST(an_application_fills_one_itself)
{
    flagver_dataset_saved saved;
    flagver_dataset *set = NULL;

    assert_ok(flagver_dataset_new(FILE_NAMED("set"), &set, &error));
    assert_ok(flagver_dataset_put(set, "z", 1, "1", 1, &error));
    assert_ok(flagver_dataset_put(set, "a!", 1, " [ 1 ] x", 7, &error));
    ck_assert(!is_there("set"));
    assert_ok(flagver_dataset_finish(set, &saved, &error));
    ck_assert_uint_eq(saved.records, 2);
    assert_fails(FLAGVER_EINVAL, flagver_dataset_put(set, "b", 1, "1", 1, &error));
    assert_fails(FLAGVER_EINVAL, flagver_dataset_finish(set, NULL, &error));
    flagver_dataset_free(set);
    assert_records("set", "a [1]\nz 1\n");
    ck_assert_int_eq(count_files("part"), 0);
}
END_TEST

START_TEST(what_is_not_finished_is_not_there)
{
    flagver_dataset *set = NULL;

    save_text("set", "{\"key\":\"a\",\"value\":1}");
    assert_ok(flagver_dataset_new(FILE_NAMED("set"), &set, &error));
    assert_ok(flagver_dataset_put(set, "b", 1, "1", 1, &error));
    ck_assert_int_eq(count_files("part"), 1);
    flagver_dataset_free(set);
    flagver_dataset_free(NULL);
    ck_assert_int_eq(count_files("part"), 0);
    assert_records("set", "a 1\n");
}
END_TEST

START_TEST(what_is_put_wrong_changes_nothing)
{
    static char key[FLAGVER_DATASET_KEY_LIMIT + 1];
    flagver_dataset *set = NULL;

    assert_fails(FLAGVER_EINVAL, flagver_dataset_new(NULL, &set, &error));
    assert_fails(FLAGVER_EINVAL, flagver_dataset_new("", &set, &error));
    assert_fails(FLAGVER_EINVAL, flagver_dataset_new(FILE_NAMED("set"), NULL, &error));
    assert_fails(FLAGVER_EIO, flagver_dataset_new(FILE_NAMED("no/set"), &set, &error));
    assert_fails(FLAGVER_EIO, flagver_dataset_new("/dev/null", &set, &error));
    assert_fails(FLAGVER_EINVAL, flagver_dataset_put(NULL, "a", 1, "1", 1, &error));

    assert_ok(flagver_dataset_new(FILE_NAMED("set"), &set, &error));
    memset(key, 'k', sizeof key);
    assert_fails(FLAGVER_EINVAL, flagver_dataset_put(set, "", 0, "1", 1, &error));
    assert_words("the key is 0 bytes; 1 to 1024 allowed");
    assert_fails(FLAGVER_EINVAL, flagver_dataset_put(set, key, sizeof key, "1", 1, &error));
    assert_words("the key is 1025 bytes");
    assert_fails(FLAGVER_EINVAL, flagver_dataset_put(set, "a\n", 2, "1", 1, &error));
    assert_words("control character at byte 1");
    assert_fails(FLAGVER_EINVAL, flagver_dataset_put(set, "\xff", 1, "1", 1, &error));
    assert_fails(FLAGVER_EINVAL, flagver_dataset_put(set, NULL, 1, "1", 1, &error));
    assert_fails(FLAGVER_EINVAL, flagver_dataset_put(set, "a", 1, NULL, 1, &error));
    assert_fails(FLAGVER_EPARSE, flagver_dataset_put(set, "a", 1, "[1", 2, &error));
    assert_ok(flagver_dataset_put(set, key, FLAGVER_DATASET_KEY_LIMIT, "1", 1, &error));
    assert_ok(flagver_dataset_finish(set, NULL, &error));
    flagver_dataset_free(set);
}
END_TEST

START_TEST(a_key_comes_once)
{
    const flagver_dataset_input input = { .size = sizeof input, .path = FILE_NAMED("lines") };
    flagver_dataset *set = NULL;

    write_text("lines", "{\"key\":\"b\",\"value\":1}\n{\"key\":\"a\",\"value\":1}\n"
                        "{\"key\":\"b\",\"value\":1}\n");
    assert_fails(FLAGVER_EPARSE, flagver_dataset_save(&input, FILE_NAMED("set"), NULL, &error));
    assert_words("lines:3: the key \"b\" stands on line 1 already");
    ck_assert_int_eq(error.line, 3);
    ck_assert(!is_there("set"));
    ck_assert_int_eq(count_files("part"), 0);

    assert_ok(flagver_dataset_new(FILE_NAMED("set"), &set, &error));
    assert_ok(flagver_dataset_put(set, "b", 1, "1", 1, &error));
    assert_ok(flagver_dataset_put(set, "b", 1, "2", 1, &error));
    assert_fails(FLAGVER_EPARSE, flagver_dataset_finish(set, NULL, &error));
    assert_words("the key \"b\" was put twice");
    assert_fails(FLAGVER_EPARSE, flagver_dataset_put(set, "c", 1, "2", 1, &error));
    flagver_dataset_free(set);
    ck_assert(!is_there("set"));
}
END_TEST

static const struct {
    const char *line, *words;
    int32_t column;
} lines[] = {
    { "x", "lines:2:1: ", 1 },
    { "[]", "lines:2:1: ", 1 },
    { "{}", "lines:2:1: ", 1 },
    { "{\"key\":\"b\"}", "value is missing", 1 },
    { "{\"value\":1}", "key is missing", 1 },
    { "{\"key\":1,\"value\":1}", "lines:2:8: /key: ", 8 },
    { "{\"key\":\"\",\"value\":1}", "lines:2:8: /key: is 0 bytes", 8 },
    { "{\"key\":\"a\\n\",\"value\":1}", "control character", 8 },
    { "{\"key\":\"b\",\"value\":1,\"more\":1}", "more", 22 },
    { "{\"key\":\"b\",\"value\":1,\"key\":\"c\"}", "twice", 22 },
    { "{\"key\":\"b\",\"value\":NaN}", "lines:2:", 20 },
    { "{\"key\":\"b\",\"value\":1e999}", "lines:2:", 20 },
    { "{\"key\":\"b\",\"value\":9223372036854775808}", "lines:2:", 20 },
    { "{\"key\":\"b\",\"value\":\"\\u0000\"}", "lines:2:", 21 },
    { "{\"key\":\"b\",\"value\":\"\xff\"}", "lines:2:", 21 },
    { "{\"key\":\"b\",\"value\":1} {}", "lines:2:", 23 },
    { "{\"key\":\"b\",\"value\":", "lines:2:", 20 },
    { "{\"flagver\":\"snapshot\",\"form\":1}", "flagver", 2 },
};

START_TEST(a_malformed_line_is_refused_by_its_place)
{
    const flagver_dataset_input input = { .size = sizeof input, .path = FILE_NAMED("lines") };
    struct fv_text text = FV_TEXT_INIT, out = FV_TEXT_INIT;

    fv_text_format(&text, "{\"key\":\"a\",\"value\":1}\n%s\n", lines[_i].line);
    write_text("lines", text.data);
    assert_fails(FLAGVER_EPARSE, read_file("lines", &out));
    assert_words(lines[_i].words);
    assert_words("lines:2:");
    ck_assert_int_eq(error.line, 2);
    ck_assert_int_eq(error.column, lines[_i].column);
    ck_assert_str_eq(out.data, "a 1\n");
    assert_fails(FLAGVER_EPARSE, flagver_dataset_save(&input, FILE_NAMED("set"), NULL, &error));
    ck_assert(!is_there("set"));
    fv_text_clear(&text);
    fv_text_clear(&out);
}
END_TEST

START_TEST(inputs_are_checked)
{
    flagver_dataset_input input = { .size = sizeof input };
    struct fv_text out = FV_TEXT_INIT;

    assert_fails(FLAGVER_EINVAL, flagver_dataset_read(NULL, note_record, &out, &error));
    assert_fails(FLAGVER_EINVAL, flagver_dataset_read(&input, note_record, &out, &error));
    input.path = "";
    assert_fails(FLAGVER_EINVAL, flagver_dataset_read(&input, note_record, &out, &error));
    input.path = FILE_NAMED("nothing");
    assert_fails(FLAGVER_EINVAL, flagver_dataset_read(&input, NULL, &out, &error));
    assert_fails(FLAGVER_EIO, flagver_dataset_read(&input, note_record, &out, &error));
    assert_words("nothing: No such file");
    input.prefix = "a";
    assert_fails(FLAGVER_EINVAL, flagver_dataset_read(&input, note_record, &out, &error));
    input = (flagver_dataset_input){ .size = sizeof input, .phase = "p" };
    assert_fails(FLAGVER_EINVAL, flagver_dataset_read(&input, note_record, &out, &error));
    assert_words("client is NULL");
    input.path = FILE_NAMED("x");
    input.path = folder;
    input.phase = NULL;
    assert_fails(FLAGVER_EIO, flagver_dataset_read(&input, note_record, &out, &error));
    assert_fails(FLAGVER_EINVAL, flagver_dataset_save(&input, NULL, NULL, &error));
}
END_TEST

/* ---- sorting ---- */

START_TEST(any_number_of_records_is_sorted_in_little_memory)
{
    static const size_t memories[] = { 0, 300, 5000, 1 << 20 };
    struct seed seed = seed_new((uint64_t)_i);
    flagver_dataset_record record = { 0 };
    uint32_t count = 3000, i, found = 0;
    struct fv_sorter sorter;
    char key[32], last[64] = "", value[400];
    int r;

    fv_sorter_init(&sorter, FILE_NAMED("beside"), memories[_i]);
    memset(value, 'v', sizeof value);
    for (i = 0; i < count; i++) {
        record.key = key;
        record.key_length = (size_t)snprintf(key, sizeof key, "%u",
                                             (unsigned)(seed_next(&seed) % 100000));
        record.value = value;
        record.value_length = seed_below(&seed, sizeof value);
        record.line = i + 1;
        assert_ok(fv_sorter_add(&sorter, &record, &error));
    }
    ck_assert_int_eq(count_files(""), 0);
    ck_assert_int_eq(sorter.run_count > 0, _i < 3);
    while ((r = fv_sorter_next(&sorter, &record, &error)) > 0) {
        char now[64];

        snprintf(now, sizeof now, "%s %010u", record.key, (unsigned)record.line);
        must(strlen(record.key) == record.key_length, "key");
        must(strlen(record.value) == record.value_length, "value");
        must(strcmp(last, now) < 0, "%s behind %s", now, last);
        strcpy(last, now);
        found++;
    }
    ck_assert_int_eq(r, 0);
    ck_assert_uint_eq(found, count);
    ck_assert_int_eq(fv_sorter_next(&sorter, &record, &error), 0);
    fv_sorter_clear(&sorter);
}
END_TEST

/* ---- damage ---- */

#define SMALL                                             \
    "{\"key\":\"a\",\"value\":{\"n\":1,\"s\":\"xyz\"}}\n" \
    "{\"key\":\"b\\\"\",\"value\":[1.5,null]}\n"          \
    "{\"key\":\"c\",\"value\":-7}\n"

/* Whatever is read of a file that is not as it was written: it is refused in some line of it. */
static void assert_refused(const char *name, const char *what, size_t at)
{
    struct fv_text out = FV_TEXT_INIT;
    int r = read_file(name, &out);
    char place[1100];

    must(r == FLAGVER_EPARSE, "%s at %zu: %d %s", what, at, r, error.message);
    snprintf(place, sizeof place, "%s:%d:", FILE_NAMED(name), (int)error.line);
    must(strncmp(error.message, place, strlen(place)) == 0, "%s at %zu: %s", what, at,
         error.message);
    must(error.line >= 1 && error.line <= 7, "%s at %zu: %s", what, at, error.message);
    fv_text_clear(&out);
}

START_TEST(no_byte_can_be_changed)
{
    struct seed seed = seed_new(1);
    struct fv_text text;
    size_t at;
    char was;
    int i;

    save_text("set", SMALL);
    text = read_bytes("set");
    /* A first line that is none of a snapshot begins a file of JSON lines, and is none of those. */
    for (at = 0; at < text.length; at++)
        for (i = 0; i < 4; i++) {
            was = text.data[at];
            text.data[at] = i == 0   ? (char)(was ^ 1)
                            : i == 1 ? '\n'
                            : i == 2 ? '"'
                                     : (char)seed_below(&seed, 256);
            if (text.data[at] != was) {
                write_bytes("bad", text.data, text.length);
                assert_refused("bad", "a change", at);
            }
            text.data[at] = was;
        }
    fv_text_clear(&text);
}
END_TEST

START_TEST(nothing_can_be_cut_off_added_or_moved)
{
    struct fv_text text, other = FV_TEXT_INIT;
    size_t at;

    save_text("set", SMALL);
    text = read_bytes("set");
    for (at = 1; at < text.length; at++) {
        write_bytes("bad", text.data, at);
        assert_refused("bad", "a cut", at);
        fv_text_reset(&other);
        fv_text_add_bytes(&other, text.data, at);
        fv_text_add_bytes(&other, text.data + at + 1, text.length - at - 1);
        if (other.length && memcmp(other.data, text.data, other.length) != 0) {
            write_bytes("bad", other.data, other.length);
            assert_refused("bad", "a byte that is missing", at);
        }
        fv_text_reset(&other);
        fv_text_add_bytes(&other, text.data, at);
        fv_text_add_char(&other, ' ');
        fv_text_add_bytes(&other, text.data + at, text.length - at);
        write_bytes("bad", other.data, other.length);
        assert_refused("bad", "a space", at);
    }
    fv_text_reset(&other);
    fv_text_add_bytes(&other, text.data, text.length);
    fv_text_add(&other, "{\"key\":\"d\",\"value\":1}\n");
    write_bytes("bad", other.data, other.length);
    assert_refused("bad", "a line at the end", at);
    assert_words("bad:6: stands behind the last line of the snapshot");
    fv_text_clear(&text);
    fv_text_clear(&other);
}
END_TEST

START_TEST(lines_cannot_be_left_out_or_change_places)
{
    struct fv_text text, other = FV_TEXT_INIT;
    const char *starts[6];
    size_t i, j;

    save_text("set", SMALL);
    text = read_bytes("set");
    for (i = 0, starts[0] = text.data; i < 5; i++)
        starts[i + 1] = strchr(starts[i], '\n') + 1;
    for (i = 0; i < 5; i++) {
        fv_text_reset(&other);
        for (j = 0; j < 5; j++)
            if (i != j)
                fv_text_add_bytes(&other, starts[j], (size_t)(starts[j + 1] - starts[j]));
        write_bytes("bad", other.data, other.length);
        assert_refused("bad", "a line left out", i);
        fv_text_reset(&other);
        for (j = 0; j < 5; j++) {
            size_t from = j == i ? (i + 1) % 5 : j == (i + 1) % 5 ? i : j;

            fv_text_add_bytes(&other, starts[from], (size_t)(starts[from + 1] - starts[from]));
        }
        write_bytes("bad", other.data, other.length);
        assert_refused("bad", "two lines that changed places", i);
    }
    fv_text_clear(&text);
    fv_text_clear(&other);
}
END_TEST

/* The right digests over what is not right. */
START_TEST(digests_alone_make_no_snapshot)
{
    static const struct {
        const char *head, *key, *value, *words;
    } rows[] = {
        { "{\"flagver\":\"export\",\"form\":1}", "a", "1", ":1:12: /flagver: must be" },
        { "{\"flagver\":\"snapshot\",\"form\":2}", "a", "1", ":1:30: /form: form 2 is not one" },
        { "{\"flagver\":\"snapshot\"}", "a", "1", ":1:1: (root): form is missing" },
        { "{\"flagver\":\"snapshot\",\"form\":1,\"x\":1}", "a", "1", ":1:" },
        { "{\"flagver\":\"snapshot\",\"form\":1}", "a", "1.50", ":2: the value is not canonical" },
        { "{\"flagver\":\"snapshot\",\"form\":1}", "a", "}{", ":2: the value is not canonical" },
        { "{\"flagver\":\"snapshot\",\"form\":1}", "", "1", ":2: the key is 0 bytes" },
        { "{\"flagver\":\"snapshot\",\"form\":1}", "\\n", "1", ":2: is not a record" },
        { "{\"flagver\":\"snapshot\",\"form\":1}", "a", "1", NULL },
    };
    struct fv_crypto *crypto = fv_crypto_new();
    struct fv_digest *digest = fv_digest_new(crypto);
    struct fv_text text = FV_TEXT_INIT, out = FV_TEXT_INIT;
    uint8_t sha256[32];
    int i, end;

    fv_digest_start(digest);
    fv_digest_add(digest, rows[_i].value, strlen(rows[_i].value));
    ck_assert(fv_digest_end(digest, sha256));
    fv_text_format(&text, "%s\n{\"key\":\"%s\",\"sha256\":\"", rows[_i].head, rows[_i].key);
    for (end = 0; end < 2; end++) {
        for (i = 0; i < 32; i++)
            fv_text_format(&text, "%02x", sha256[i]);
        if (end)
            break;
        fv_text_format(&text, "\",\"value\":%s}\n", rows[_i].value);
        fv_digest_start(digest);
        fv_digest_add(digest, text.data, text.length);
        ck_assert(fv_digest_end(digest, sha256));
        fv_text_add(&text, "{\"records\":1,\"sha256\":\"");
    }
    fv_text_add(&text, "\"}\n");
    write_bytes("set", text.data, text.length);
    if (rows[_i].words) {
        assert_fails(FLAGVER_EPARSE, read_file("set", &out));
        assert_words(rows[_i].words);
    } else {
        assert_ok(read_file("set", &out));
    }
    fv_text_clear(&text);
    fv_text_clear(&out);
    fv_digest_free(digest);
    fv_crypto_free(crypto);
}
END_TEST

/* ---- comparing ---- */

static bool note_difference(void *data, const flagver_dataset_difference *difference)
{
    ck_assert_uint_eq(strlen(difference->key), difference->key_length);
    fv_text_format(data, "%s %s %s%s %s %s\n",
                   difference->finding == FLAGVER_FINDING_ERROR ? "error" : "warning",
                   flagver_difference_name(difference->kind), difference->key, difference->pointer,
                   difference->before ? difference->before : "-",
                   difference->after ? difference->after : "-");
    return true;
}

static const struct {
    const char *before, *after, *tolerance, *field, *rule, *found;
} changes[] = {
    { "1", "1", NULL, NULL, NULL, "" },
    { "1", "1.0", "0%", NULL, NULL, "" },
    { "1", "1.04", NULL, NULL, NULL, "" },
    { "1", "1.1", NULL, NULL, NULL, "error VALUE k 1 1.1\n" },
    { "1", "1.1", "10%", NULL, NULL, "" },
    { "9007199254740993", "9007199254740992", "0%", NULL, NULL,
      "error VALUE k 9007199254740993 9007199254740992\n" },
    { "\"a\"", "\"b\"", NULL, NULL, NULL, "warning VALUE k \"a\" \"b\"\n" },
    { "true", "false", NULL, NULL, NULL, "warning VALUE k true false\n" },
    { "null", "\"\"", NULL, NULL, NULL, "warning VALUE k null \"\"\n" },
    { "0", "null", NULL, NULL, NULL, "error VALUE k 0 null\n" },
    { "\"1\"", "1", NULL, NULL, NULL, "error VALUE k \"1\" 1\n" },
    { "[]", "{}", NULL, NULL, NULL, "warning VALUE k [] {}\n" },
    { "[1]", "{}", NULL, NULL, NULL, "error VALUE k [1] {}\n" },
    { "{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", NULL, NULL, NULL, "" },
    { "{\"a\":1}", "{}", NULL, NULL, NULL, "error VALUE k/a 1 -\n" },
    { "{}", "{\"a\":\"x\"}", NULL, NULL, NULL, "warning VALUE k/a - \"x\"\n" },
    { "{}", "{\"a\":{\"b\":[[2]]}}", NULL, NULL, NULL, "error VALUE k/a - {\"b\":[[2]]}\n" },
    { "{\"a/b~\":{\"\":1}}", "{\"a/b~\":{\"\":2}}", NULL, NULL, NULL,
      "error VALUE k/a~1b~0/ 1 2\n" },
    { "[1,2]", "[1,2,3]", NULL, NULL, NULL, "error VALUE k/2 - 3\n" },
    { "[{\"p\":1},{\"p\":2}]", "[{\"p\":1},{\"p\":3}]", NULL, NULL, NULL,
      "error VALUE k/1/p 2 3\n" },
    { "[{\"p\":1},{\"p\":2}]", "[{\"p\":1},{\"p\":3}]", NULL, "/*/p", "abs:1", "" },
    { "[{\"p\":1},{\"p\":2}]", "[{\"p\":1},{\"p\":3}]", NULL, "1", "ignore", "" },
    { "{\"a\":\"x\"}", "{\"a\":\"y\"}", NULL, "a", "exact", "error VALUE k/a \"x\" \"y\"\n" },
    { "{\"a\":100}", "{\"a\":101}", NULL, "a", "exact", "error VALUE k/a 100 101\n" },
    { "{\"a\":100}", "{\"a\":101}", NULL, "b", "exact", "" },
    { "{\"a\":\"x\"}", "{\"a\":\"y\"}", NULL, "", "ignore", "" },
    { "{\"a\":1}", "{\"a\":null}", NULL, "a", "50%", "error VALUE k/a 1 null\n" },
};

START_TEST(what_differs_is_an_error_or_a_warning)
{
    const flagver_dataset_rule rule = { changes[_i].field, changes[_i].rule };
    flagver_dataset_compare_options options = { .size = sizeof options,
                                                .tolerance = changes[_i].tolerance,
                                                .rules = &rule,
                                                .rule_count = changes[_i].rule != NULL };
    struct fv_text text = FV_TEXT_INIT, found = FV_TEXT_INIT;
    flagver_dataset_comparison result;
    bool warns = strncmp(changes[_i].found, "warning", 7) == 0;
    bool errs = strncmp(changes[_i].found, "error", 5) == 0;

    fv_text_format(&text, "{\"key\":\"k\",\"value\":%s}", changes[_i].before);
    save_text("one", text.data);
    fv_text_reset(&text);
    fv_text_format(&text, "{\"key\":\"k\",\"value\":%s}", changes[_i].after);
    save_text("two", text.data);
    assert_ok(flagver_dataset_compare(FILE_NAMED("one"), FILE_NAMED("two"), &options,
                                      note_difference, &found, &result, &error));
    ck_assert_str_eq(found.data, changes[_i].found);
    ck_assert_uint_eq(result.errors, errs);
    ck_assert_uint_eq(result.warnings, warns);
    ck_assert_uint_eq(result.changed, errs || warns);
    ck_assert_uint_eq(result.equal + result.tolerated, !errs && !warns);

    options.strict = 1;
    assert_ok(flagver_dataset_compare(FILE_NAMED("one"), FILE_NAMED("two"), &options, NULL, NULL,
                                      &result, &error));
    ck_assert_uint_eq(result.errors, errs || warns);
    ck_assert_uint_eq(result.warnings, 0);
    fv_text_clear(&text);
    fv_text_clear(&found);
}
END_TEST

/* Random sets, and what must be found by looking at each key on its own. */
START_TEST(a_merge_finds_what_looking_at_each_key_does)
{
    struct seed seed = seed_new((uint64_t)_i);
    struct fv_text one = FV_TEXT_INIT, two = FV_TEXT_INIT, wanted = FV_TEXT_INIT,
                   found = FV_TEXT_INIT;
    uint32_t count = 1 + seed_below(&seed, 60), i, before, after;
    flagver_dataset_comparison result;
    uint64_t missing = 0, extra = 0, equal = 0;

    for (i = 0; i < count; i++) {
        before = seed_below(&seed, 3);
        after = seed_below(&seed, 3);
        if (before)
            fv_text_format(&one, "{\"key\":\"%03u\",\"value\":%u}\n", (unsigned)i,
                           (unsigned)before);
        if (after)
            fv_text_format(&two, "{\"key\":\"%03u\",\"value\":%u}\n", (unsigned)i, (unsigned)after);
        missing += before && !after;
        extra += !before && after;
        equal += before && before == after;
        if (before && !after)
            fv_text_format(&wanted, "error MISSING %03u %u -\n", (unsigned)i, (unsigned)before);
        else if (!before && after)
            fv_text_format(&wanted, "error EXTRA %03u - %u\n", (unsigned)i, (unsigned)after);
        else if (before != after)
            fv_text_format(&wanted, "error VALUE %03u %u %u\n", (unsigned)i, (unsigned)before,
                           (unsigned)after);
    }
    save_text("one", one.data);
    save_text("two", two.data);
    assert_ok(flagver_dataset_compare(FILE_NAMED("one"), FILE_NAMED("two"), NULL, note_difference,
                                      &found, &result, &error));
    ck_assert_str_eq(found.data, wanted.data);
    ck_assert_uint_eq(result.missing, missing);
    ck_assert_uint_eq(result.extra, extra);
    ck_assert_uint_eq(result.equal, equal);
    ck_assert_uint_eq(result.before + result.extra, result.after + result.missing);
    fv_text_clear(&one);
    fv_text_clear(&two);
    fv_text_clear(&wanted);
    fv_text_clear(&found);
}
END_TEST

static bool stop(void *data, const flagver_dataset_difference *difference)
{
    (void)difference;
    ++*(int *)data;
    return false;
}

START_TEST(a_comparison_is_refused_or_ended)
{
    flagver_dataset_rule rules[FLAGVER_DATASET_RULE_LIMIT + 1];
    flagver_dataset_compare_options options = { .size = sizeof options, .rules = rules };
    int calls = 0, i;

    save_text("one", "{\"key\":\"a\",\"value\":1}\n{\"key\":\"b\",\"value\":[1,2]}\n");
    save_text("two", "{\"key\":\"b\",\"value\":[7,8]}\n");
    save_text("none", "");
    assert_ok(flagver_dataset_compare(FILE_NAMED("one"), FILE_NAMED("two"), NULL, stop, &calls,
                                      NULL, &error));
    ck_assert_int_eq(calls, 1);
    assert_ok(flagver_dataset_compare(FILE_NAMED("none"), FILE_NAMED("none"), NULL, stop, &calls,
                                      NULL, &error));
    ck_assert_int_eq(calls, 1);
    assert_fails(FLAGVER_EINVAL,
                 flagver_dataset_compare(NULL, "x", NULL, NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_dataset_compare("x", "", NULL, NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EIO, flagver_dataset_compare(FILE_NAMED("one"), FILE_NAMED("no"), NULL,
                                                      NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EPARSE, flagver_dataset_compare(FILE_NAMED("one"), FILE_NAMED("lines"),
                                                         NULL, NULL, NULL, NULL, &error));

    options.tolerance = "much";
    assert_fails(FLAGVER_EINVAL,
                 flagver_dataset_compare("x", "y", &options, NULL, NULL, NULL, &error));
    assert_words("\"much\"");
    options.tolerance = NULL;
    for (i = 0; i <= FLAGVER_DATASET_RULE_LIMIT; i++)
        rules[i] = (flagver_dataset_rule){ "a", "5%" };
    options.rule_count = FLAGVER_DATASET_RULE_LIMIT + 1;
    assert_fails(FLAGVER_EINVAL,
                 flagver_dataset_compare("x", "y", &options, NULL, NULL, NULL, &error));
    assert_words("257 rules; up to 256 allowed");
    options.rule_count = 2;
    rules[1].rule = "string";
    assert_fails(FLAGVER_EINVAL,
                 flagver_dataset_compare("x", "y", &options, NULL, NULL, NULL, &error));
    assert_words("the rule \"string\" for \"a\"");
    rules[1] = (flagver_dataset_rule){ NULL, "5%" };
    assert_fails(FLAGVER_EINVAL,
                 flagver_dataset_compare("x", "y", &options, NULL, NULL, NULL, &error));
    rules[1] = (flagver_dataset_rule){ "a", NULL };
    assert_fails(FLAGVER_EINVAL,
                 flagver_dataset_compare("x", "y", &options, NULL, NULL, NULL, &error));
    options.rules = NULL;
    assert_fails(FLAGVER_EINVAL,
                 flagver_dataset_compare("x", "y", &options, NULL, NULL, NULL, &error));
    ck_assert_ptr_null(flagver_difference_name(0));
    ck_assert_ptr_null(flagver_difference_name(4));
}
END_TEST

/* ---- looking over ---- */

static flagver_dataset_field seen[32];
static char seen_names[32][64];
static size_t seen_count;

static void see(void *data, const flagver_dataset_field *field)
{
    (void)data;
    ck_assert_uint_lt(seen_count, 32);
    seen[seen_count] = *field;
    snprintf(seen_names[seen_count++], sizeof seen_names[0], "%s", field->field);
}

static const flagver_dataset_field *seen_field(const char *name)
{
    size_t i;

    for (i = 0; i < seen_count; i++)
        if (strcmp(seen_names[i], name) == 0)
            return &seen[i];
    ck_abort_msg("no field %s", name);
    return NULL;
}

static void audit(const char *text, const flagver_dataset_rule *rules, size_t count,
                  flagver_dataset_health *ret_health)
{
    const flagver_dataset_input input = { .size = sizeof input, .path = FILE_NAMED("lines") };
    const flagver_dataset_audit_options options = { sizeof options, rules, count };

    seen_count = 0;
    write_text("lines", text);
    assert_ok(flagver_dataset_audit(&input, &options, see, NULL, ret_health, &error));
}

START_TEST(fields_are_counted)
{
    const flagver_dataset_field *field;
    flagver_dataset_health health;

    audit("{\"key\":\"a\",\"value\":{\"n\":1,\"s\":\"x\",\"o\":{\"p\":1},\"l\":[1,2,\"x\"]}}\n"
          "{\"key\":\"b\",\"value\":{\"n\":2.5,\"s\":\"é\",\"o\":{}}}\n"
          "{\"key\":\"c\",\"value\":{\"n\":null,\"s\":\" n/A \",\"b\":true}}\n"
          "{\"key\":\"d\",\"value\":{\"n\":\"3\",\"s\":\"x\"}}\n",
          NULL, 0, &health);
    ck_assert_uint_eq(health.records, 4);
    ck_assert_uint_eq(health.fields, 7);
    ck_assert_uint_eq(seen_count, 7);
    ck_assert_str_eq(seen_names[0], "/b");
    ck_assert_str_eq(seen_names[6], "/s");

    field = seen_field("/n");
    ck_assert_uint_eq(field->count, 4);
    ck_assert_uint_eq(field->missing, 0);
    ck_assert_uint_eq(field->nulls, 1);
    ck_assert_uint_eq(field->integers, 1);
    ck_assert_uint_eq(field->reals, 1);
    ck_assert_uint_eq(field->strings, 1);
    ck_assert_uint_eq(field->odd, 1);
    ck_assert_uint_eq(field->distinct, 3);
    ck_assert_double_eq(field->minimum, 1);
    ck_assert_double_eq(field->maximum, 2.5);
    ck_assert_double_eq(field->mean, 1.75);
    ck_assert_double_eq(field->deviation, 0.75);
    ck_assert_double_eq(field->quantiles[3], 1);
    ck_assert_double_eq(field->rounding, 0);
    ck_assert_uint_eq(field->score, 62); /* 1 odd and half of 1 null of 4 */

    field = seen_field("/s");
    ck_assert_uint_eq(field->empty, 1);
    ck_assert_uint_eq(field->shortest, 1);
    ck_assert_uint_eq(field->longest, 5);
    ck_assert_uint_eq(field->top_count, 1);
    ck_assert_uint_eq(field->top[0].count, 2);
    ck_assert_uint_eq(field->score, 87);

    field = seen_field("/o/p");
    ck_assert_uint_eq(field->count, 1);
    ck_assert_uint_eq(field->missing, 1);
    ck_assert_uint_eq(seen_field("/o")->missing, 2);
    ck_assert_uint_eq(seen_field("/b")->missing, 3);
    field = seen_field("/l/*");
    ck_assert_uint_eq(field->count, 3);
    ck_assert_uint_eq(field->missing, 0);
    ck_assert_uint_eq(field->odd, 1);
}
END_TEST

START_TEST(fields_are_held_against_rules)
{
    static const flagver_dataset_rule rules[] = {
        { "n", "integer" },     { "at", "datetime|null" }, { "id", "uuid" },  { "s", "string" },
        { "nowhere/x", "any" }, { "/l/*", "number" },      { "free", "any" },
    };
    flagver_dataset_health health;

    audit("{\"key\":\"a\",\"value\":{\"n\":1,\"at\":\"2026-03-01T12:00:00Z\",\"s\":\"x\","
          "\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"l\":[1,2.5],\"free\":\"\"}}\n"
          "{\"key\":\"b\",\"value\":{\"n\":2.0,\"at\":null,\"s\":\"\",\"id\":\"x\","
          "\"l\":[\"1\"],\"free\":null}}\n"
          "{\"key\":\"c\",\"value\":{\"n\":2.5,\"at\":\"2026-03-01\",\"s\":\"none\",\"id\":1}}\n",
          rules, COUNT(rules), &health);
    ck_assert_uint_eq(seen_field("/n")->invalid, 1);
    ck_assert_uint_eq(seen_field("/at")->invalid, 1);
    ck_assert_uint_eq(seen_field("/id")->invalid, 2);
    ck_assert_uint_eq(seen_field("/s")->invalid, 2);
    ck_assert_uint_eq(seen_field("/l/*")->invalid, 1);
    ck_assert_uint_eq(seen_field("/free")->invalid, 0);
    ck_assert_uint_eq(seen_field("/nowhere")->missing, 3);
    ck_assert_uint_eq(seen_field("/nowhere/x")->count, 0);
    ck_assert_uint_eq(health.invalid, 7);
}
END_TEST

START_TEST(whole_values_are_a_field_unless_all_are_objects)
{
    static const flagver_dataset_rule rule = { "", "number" };
    flagver_dataset_health health;

    audit("{\"key\":\"a\",\"value\":1}\n{\"key\":\"b\",\"value\":\"x\"}\n", &rule, 1, &health);
    ck_assert_uint_eq(seen_count, 1);
    ck_assert_str_eq(seen_names[0], "");
    ck_assert_uint_eq(seen[0].invalid, 1);
    ck_assert_uint_eq(health.score, 0);
    ck_assert_ptr_nonnull(strstr(health.recommendation, "\"(root)\""));
    audit("{\"key\":\"a\",\"value\":{}}\n", NULL, 0, &health);
    ck_assert_uint_eq(seen_count, 0);
    ck_assert_uint_eq(health.score, 100);
    audit("", NULL, 0, &health);
    ck_assert_uint_eq(health.score, 0);
    ck_assert_ptr_nonnull(strstr(health.recommendation, "no records"));
}
END_TEST

START_TEST(the_largest_numbers_have_a_mean)
{
    flagver_dataset_health health;

    audit("{\"key\":\"a\",\"value\":1.5e308}\n{\"key\":\"b\",\"value\":-1.5e308}\n"
          "{\"key\":\"c\",\"value\":-1.5e308}\n{\"key\":\"d\",\"value\":1.5e308}\n",
          NULL, 0, &health);
    ck_assert_double_eq_tol(seen[0].mean, 0, 1e295);
    ck_assert_double_eq(seen[0].maximum, 1.5e308);
    ck_assert(seen[0].deviation > 1e300 && seen[0].deviation <= 1.7976931348623157e308);
}
END_TEST

START_TEST(there_may_be_more_fields_than_are_looked_at)
{
    struct fv_text text = FV_TEXT_INIT;
    const flagver_dataset_input input = { .size = sizeof input, .path = FILE_NAMED("lines") };
    flagver_dataset_health health;
    int i;

    fv_text_add(&text, "{\"key\":\"a\",\"value\":{\"0\":0");
    for (i = 1; i < 1500; i++)
        fv_text_format(&text, ",\"%d\":%d", i, i);
    fv_text_add(&text, "}}\n{\"key\":\"b\",\"value\":{\"");
    for (i = 0; i < 2000; i++)
        fv_text_add_char(&text, 'x');
    fv_text_add(&text, "\":1}}\n");
    write_text("lines", text.data);
    assert_ok(flagver_dataset_audit(&input, NULL, NULL, NULL, &health, &error));
    ck_assert_uint_eq(health.fields, FLAGVER_DATASET_FIELD_LIMIT - 1);
    ck_assert_uint_eq(health.left_out, 502);
    fv_text_clear(&text);
}
END_TEST

/* ---- large ones ---- */

static uint32_t rows(void)
{
    const char *text = getenv("FLAGVER_TEST_ROWS");

    return text ? (uint32_t)strtoul(text, NULL, 10) : 20000;
}

static void fill(const char *name, uint32_t count, uint32_t factor)
{
    FILE *file = fopen(FILE_NAMED(name), "w");
    uint32_t i, key;

    ck_assert_ptr_nonnull(file);
    for (i = 0; i < count; i++) {
        key = (uint32_t)((uint64_t)i * 7919 % count); /* in no order */
        must(fprintf(file,
                     "{\"key\":\"row-%09u\",\"value\":{\"id\":%u,\"price\":%u.%02u,"
                     "\"name\":\"name %u\",\"tags\":[\"a\",\"b%u\"]}}\n",
                     (unsigned)key, (unsigned)key, (unsigned)(key % 1000 * factor / 100),
                     (unsigned)(key % 100), (unsigned)(key % 997), (unsigned)(key % 7)) > 0,
             "written");
    }
    ck_assert_int_eq(fclose(file), 0);
}

static long memory_in_use(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

START_TEST(memory_does_not_grow_with_the_records)
{
    uint32_t count = rows();
    const flagver_dataset_input input = { .size = sizeof input, .path = FILE_NAMED("two.set") };
    flagver_dataset_comparison result;
    flagver_dataset_health health;
    long begin = memory_in_use(), saved;

    fill("one", count, 100);
    fill("two", count, 104);
    save("one", "one.set");
    save("two", "two.set");
    saved = memory_in_use();
    assert_ok(flagver_dataset_compare(FILE_NAMED("one.set"), FILE_NAMED("two.set"), NULL, NULL,
                                      NULL, &result, &error));
    ck_assert_uint_eq(result.before, count);
    ck_assert_uint_eq(result.equal + result.tolerated, count);
    assert_ok(flagver_dataset_audit(&input, NULL, NULL, NULL, &health, &error));
    ck_assert_uint_eq(health.records, count);
    ck_assert_uint_eq(health.score, 100);
    printf("%u records: %ld KiB before, %ld KiB saved, %ld KiB compared and looked over\n",
           (unsigned)count, begin, saved, memory_in_use());
    /* By default there are too few to tell, and what looks for mistakes takes memory itself. */
    if (getenv("FLAGVER_TEST_ROWS")) {
        ck_assert_int_lt(saved - begin, 100 * 1024);
        ck_assert_int_lt(memory_in_use() - saved, 10 * 1024);
    }
}
END_TEST

/* ---- kill -9 ---- */

static void write_forever(void)
{
    char key[32];
    flagver_dataset *set;
    int round, i;

    for (round = 0;; round++) {
        if (flagver_dataset_new(FILE_NAMED("set"), &set, NULL) < 0)
            _exit(1);
        for (i = 0; i < 300; i++) {
            snprintf(key, sizeof key, "key-%d", i);
            if (flagver_dataset_put(set, key, strlen(key), round % 2 ? "[1,2,3]" : "\"even\"",
                                    round % 2 ? 7 : 6, NULL) < 0)
                _exit(1);
        }
        if (flagver_dataset_finish(set, NULL, NULL) < 0)
            _exit(1);
        flagver_dataset_free(set);
    }
}

START_TEST(who_is_killed_leaves_a_whole_file)
{
    struct seed seed = seed_new(3);
    struct fv_text out = FV_TEXT_INIT;
    struct timespec pause = { 0, 0 };
    int round, status, lines_seen;
    const char *c;
    pid_t child;

    save_text("set", "{\"key\":\"a\",\"value\":1}\n");
    for (round = 0; round < 40; round++) {
        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            write_forever();
        pause.tv_nsec = (long)seed_below(&seed, 15000000);
        nanosleep(&pause, NULL);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));
        fv_text_reset(&out);
        assert_ok(read_file("set", &out));
        for (lines_seen = 0, c = out.data; *c; c++)
            lines_seen += *c == '\n';
        ck_assert_msg(lines_seen == 1 || lines_seen == 300, "%d records", lines_seen);
    }
    fv_text_clear(&out);
}
END_TEST

static Suite *dataset_suite(void)
{
    Suite *suite = suite_create("dataset");
    TCase *tests = tcase_create("dataset"), *large = tcase_create("large");

    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_add_checked_fixture(large, make_folder, remove_folder);
    tcase_set_timeout(tests, 60);
    tcase_set_timeout(large, 600);
    tcase_set_tags(large, "slow"); /* valgrind leaves it out */
    tcase_add_test(tests, records_come_back_in_order_and_in_canonical_form);
    tcase_add_test(tests, an_application_fills_one_itself);
    tcase_add_test(tests, what_is_not_finished_is_not_there);
    tcase_add_test(tests, what_is_put_wrong_changes_nothing);
    tcase_add_test(tests, a_key_comes_once);
    tcase_add_loop_test(tests, a_malformed_line_is_refused_by_its_place, 0, COUNT(lines));
    tcase_add_test(tests, inputs_are_checked);
    tcase_add_loop_test(tests, any_number_of_records_is_sorted_in_little_memory, 0, 4);
    tcase_add_test(large, no_byte_can_be_changed);
    tcase_add_test(large, nothing_can_be_cut_off_added_or_moved);
    tcase_add_test(tests, lines_cannot_be_left_out_or_change_places);
    tcase_add_loop_test(tests, digests_alone_make_no_snapshot, 0, 9);
    tcase_add_loop_test(tests, what_differs_is_an_error_or_a_warning, 0, COUNT(changes));
    tcase_add_loop_test(tests, a_merge_finds_what_looking_at_each_key_does, 0, 40);
    tcase_add_test(tests, a_comparison_is_refused_or_ended);
    tcase_add_test(tests, fields_are_counted);
    tcase_add_test(tests, fields_are_held_against_rules);
    tcase_add_test(tests, whole_values_are_a_field_unless_all_are_objects);
    tcase_add_test(tests, the_largest_numbers_have_a_mean);
    tcase_add_test(tests, there_may_be_more_fields_than_are_looked_at);
    tcase_add_test(large, memory_does_not_grow_with_the_records);
    tcase_add_test(large, who_is_killed_leaves_a_whole_file);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, large);
    return suite;
}

int main(void)
{
    return run_suite(dataset_suite());
}
