/*
 * Key rings: where keys come from, and what is no key.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, setenv */
#include "store/keyring.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

/* 32 times 'a', 'b', 'c', in base64 */
#define A "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
#define B "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="
#define C "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M="

static struct fv_keyring *ring;

static void drop_ring(void)
{
    fv_keyring_release(ring);
    ring = NULL;
}

static int read_text(const char *text)
{
    const struct fv_keyring_source source = { .text = text };

    return fv_keyring_new(&source, &ring, &error);
}

static void assert_key(const char *id, char letter)
{
    uint8_t key[32], expected[32];

    memset(expected, letter, sizeof expected);
    assert_ok(fv_keyring_find(ring, id, key, &error));
    ck_assert_mem_eq(key, expected, sizeof key);
}

static void assert_first(const char *id, char letter)
{
    char found[FV_KEY_ID_SIZE];
    uint8_t key[32], expected[32];

    memset(expected, letter, sizeof expected);
    assert_ok(fv_keyring_first(ring, found, key, &error));
    ck_assert_str_eq(found, id);
    ck_assert_mem_eq(key, expected, sizeof key);
}

static const char *const texts[] = {
    "new:" A ",old:" B ",older:" C,
    "new:" A "\nold:" B "\nolder:" C "\n",
    "# ours\nnew:" A "\n\n#" B "\r\n  old:" B " ,\tolder:" C " ,,\r\n\n",
};

START_TEST(keys_stand_on_lines_or_between_commas)
{
    assert_ok(read_text(texts[_i]));
    assert_first("new", 'a');
    assert_key("new", 'a');
    assert_key("old", 'b');
    assert_key("older", 'c');
}
END_TEST

static const struct {
    const char *text, *words;
} refused[] = {
    { A, "key 1: not of the form ID:BASE64" },
    { ":" A, "not of the form" },
    { "a:" A ",b", "key 2: not of the form" },
    { "a123456789012345678901234567890123456789012345678901234567890123x:" A, "1 to 64 bytes" },
    { "a:", "32 bytes in base64" },
    { "a: " A, "32 bytes in base64" },
    { "a:YWFh", "32 bytes in base64" },
    { "a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh", "32 bytes in base64" }, /* 33 */
    { "a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYQ==", "32 bytes in base64" }, /* 31 */
    { "a:__________________________________________8=", "32 bytes in base64" },
    { "a:" A "," A, "key 2" },
    { "a:" A ",a:" B, "already" },
    { "a\x01:" A, "control character" },
    { "a\xff:" A, "not UTF-8" },
};

START_TEST(what_is_no_key_is_refused_and_not_repeated)
{
    assert_fails(FLAGVER_EPARSE, read_text(refused[_i].text));
    assert_words("FLAGVER_KEYS");
    assert_words(refused[_i].words);
    ck_assert_ptr_null(strstr(error.message, "YWFh"));
}
END_TEST

START_TEST(a_missing_key_is_named)
{
    uint8_t key[32];

    assert_ok(read_text("a:" A));
    assert_fails(FLAGVER_EKEY, fv_keyring_find(ring, "b", key, &error));
    assert_words("\"b\"");
    assert_fails(FLAGVER_EKEY, fv_keyring_find(NULL, "b", key, &error));
    assert_words("\"b\"");
}
END_TEST

START_TEST(having_no_keys_is_fine_until_one_is_needed)
{
    const struct fv_keyring_source none = { .text = NULL };
    char id[FV_KEY_ID_SIZE];
    uint8_t key[32];

    assert_ok(fv_keyring_new(&none, &ring, &error));
    assert_fails(FLAGVER_EKEY, fv_keyring_first(ring, id, key, &error));
    assert_words("FLAGVER_KEYS");
    drop_ring();
    assert_ok(read_text(" \n,"));
    assert_fails(FLAGVER_EKEY, fv_keyring_first(ring, id, key, &error));
    assert_fails(FLAGVER_EKEY, fv_keyring_first(NULL, id, key, &error));
}
END_TEST

/* ---- files ---- */

static char folder[64], path[96];

static void make_folder(void)
{
    strcpy(folder,
           access("/dev/shm", W_OK) == 0 ? "/dev/shm/flagver-XXXXXX" : "/tmp/flagver-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/keys", folder);
}

static void remove_folder(void)
{
    drop_ring();
    unlink(path);
    rmdir(folder);
}

static int read_file(const char *text)
{
    const struct fv_keyring_source source = { .file = path, .text = "ignored:" C };
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    return fv_keyring_new(&source, &ring, &error);
}

START_TEST(a_file_comes_before_the_variable)
{
    uint8_t key[32];

    assert_ok(read_file("# keys\nnew:" A "\nold:" B "\n"));
    assert_first("new", 'a');
    assert_key("old", 'b');
    assert_fails(FLAGVER_EKEY, fv_keyring_find(ring, "ignored", key, &error));
}
END_TEST

START_TEST(an_error_in_a_file_names_the_line)
{
    assert_fails(FLAGVER_EPARSE, read_file("# keys\nnew:" A "\n\nold:x\n"));
    assert_words("keys:4: ");
}
END_TEST

START_TEST(a_file_without_a_key_is_refused)
{
    assert_fails(FLAGVER_EPARSE, read_file("# keys\n"));
    assert_words("no key");
}
END_TEST

START_TEST(a_file_that_is_not_there_is_named)
{
    const struct fv_keyring_source source = { .file = path };

    assert_fails(FLAGVER_EIO, fv_keyring_new(&source, &ring, &error));
    assert_words(path);
}
END_TEST

START_TEST(a_file_that_is_too_long_is_refused)
{
    char *text = malloc(65538);

    ck_assert_ptr_nonnull(text);
    memset(text, '\n', 65537);
    text[65537] = 0;
    assert_fails(FLAGVER_EPARSE, read_file(text));
    assert_words("65536");
    free(text);
}
END_TEST

/* ---- functions ---- */

static int give(void *data, const char *id, char ret_id[FV_KEY_ID_SIZE], uint8_t ret_key[32])
{
    const char *first = data;

    if (id && strcmp(id, "old") != 0 && strcmp(id, first) != 0)
        return 1;
    if (!id && !*first)
        return 1;
    if (!id)
        strcpy(ret_id, first);
    memset(ret_key, id && strcmp(id, "old") == 0 ? 'b' : 'a', 32);
    return 0;
}

START_TEST(a_function_comes_before_everything)
{
    const struct fv_keyring_source source = {
        .ask = give, .data = "new", .file = "/nowhere", .text = "malformed"
    };
    uint8_t key[32];

    assert_ok(fv_keyring_new(&source, &ring, &error));
    assert_first("new", 'a');
    assert_key("new", 'a');
    assert_key("old", 'b');
    assert_fails(FLAGVER_EKEY, fv_keyring_find(ring, "older", key, &error));
    assert_words("older");
}
END_TEST

static int give_nonsense(void *data, const char *id, char ret_id[FV_KEY_ID_SIZE],
                         uint8_t ret_key[32])
{
    (void)id;
    memset(ret_key, 'a', 32);
    memcpy(ret_id, data, FV_KEY_ID_SIZE);
    return 0;
}

START_TEST(an_id_that_is_none_is_refused)
{
    static char const ids[][FV_KEY_ID_SIZE] = { "", "a\nb", "\xff" };
    const struct fv_keyring_source source = { .ask = give_nonsense, .data = (void *)ids[_i] };
    char id[FV_KEY_ID_SIZE];
    uint8_t key[32];

    assert_ok(fv_keyring_new(&source, &ring, &error));
    assert_fails(FLAGVER_EKEY, fv_keyring_first(ring, id, key, &error));
    assert_words("id");
}
END_TEST

START_TEST(a_function_may_have_no_key)
{
    const struct fv_keyring_source source = { .ask = give, .data = "" };
    char id[FV_KEY_ID_SIZE];
    uint8_t key[32];

    assert_ok(fv_keyring_new(&source, &ring, &error));
    assert_fails(FLAGVER_EKEY, fv_keyring_first(ring, id, key, &error));
    assert_words("options.key");
}
END_TEST

static Suite *keyring_suite(void)
{
    Suite *suite = suite_create("keyring");
    TCase *texts_case = tcase_create("texts"), *files = tcase_create("files");

    tcase_add_checked_fixture(texts_case, NULL, drop_ring);
    tcase_add_loop_test(texts_case, keys_stand_on_lines_or_between_commas, 0, 3);
    tcase_add_loop_test(texts_case, what_is_no_key_is_refused_and_not_repeated, 0,
                        (int)(sizeof refused / sizeof *refused));
    tcase_add_test(texts_case, a_missing_key_is_named);
    tcase_add_test(texts_case, having_no_keys_is_fine_until_one_is_needed);
    tcase_add_test(texts_case, a_function_comes_before_everything);
    tcase_add_loop_test(texts_case, an_id_that_is_none_is_refused, 0, 3);
    tcase_add_test(texts_case, a_function_may_have_no_key);
    suite_add_tcase(suite, texts_case);
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, a_file_comes_before_the_variable);
    tcase_add_test(files, an_error_in_a_file_names_the_line);
    tcase_add_test(files, a_file_without_a_key_is_refused);
    tcase_add_test(files, a_file_that_is_not_there_is_named);
    tcase_add_test(files, a_file_that_is_too_long_is_refused);
    suite_add_tcase(suite, files);
    return suite;
}

int main(void)
{
    return run_suite(keyring_suite());
}
