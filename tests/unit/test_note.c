/*
 * Signed notes and checkpoints as texts.
 */
#include "codec/note.h"

#include <stdio.h>

#include "crypto/sign.h"
#include "support.h"

#define ROOT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define BODY "example.com/log\n3\n" ROOT "\n"

/* "DASH name " and a signature of 5 bytes, which nobody here has a key for. */
#define DASH "\xe2\x80\x94 "
#define SIGNED(name) DASH name " AAAAAAA=\n"

static flagver_bytes text_of(const char *text)
{
    return (flagver_bytes){ text, strlen(text) };
}

static void assert_text(flagver_bytes bytes, const char *expected)
{
    ck_assert_uint_eq(bytes.length, strlen(expected));
    ck_assert_mem_eq(bytes.data, expected, bytes.length);
}

/* ---- what others have signed ---- */

#define PETER "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
#define PETERS_SECRET \
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
#define PETERS_TEXT                                              \
    "If you think cryptography is the answer to your problem,\n" \
    "then you don't know what your problem is.\n"
#define PETERS_LINE                                                                            \
    DASH "PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd" \
         "ngotpRZb6KE6RyyBwJnAM=\n"

/* The key pair and the note are those of the documentation of Go's package note. */
START_TEST(a_note_of_somebody_elses_is_read_and_written_alike)
{
    static const char note_text[] = PETERS_TEXT "\n" PETERS_LINE;
    struct fv_crypto *crypto = fv_crypto_new();
    uint8_t signature_bytes[FV_SIGNATURE_SIZE], verifier_bytes[FV_VERIFIER_SIZE];
    struct fv_note_key verifier, signer;
    struct fv_note_signature signature;
    struct fv_text out = FV_TEXT_INIT;
    struct fv_note note;

    ck_assert_ptr_nonnull(crypto);
    assert_ok(fv_note_read_verifier(PETER, &verifier, &error));
    assert_ok(fv_note_read_signer(PETERS_SECRET, &signer, &error));
    ck_assert(fv_sign_verifier(crypto, signer.bytes, verifier_bytes));
    ck_assert_mem_eq(verifier.bytes, verifier_bytes, sizeof verifier_bytes);

    assert_ok(fv_note_read(note_text, strlen(note_text), false, &note, &error));
    assert_text(note.text, PETERS_TEXT);
    ck_assert(fv_note_next(&note.signatures, &signature));
    ck_assert(signature.is_ed25519);
    assert_text(signature.name, verifier.name);
    ck_assert_mem_eq(signature.tag, verifier.tag, sizeof verifier.tag);
    ck_assert(fv_sign_check(crypto, verifier.bytes, note.text.data, note.text.length,
                            signature.bytes) == 1);
    ck_assert(!fv_note_next(&note.signatures, &signature));

    ck_assert(fv_sign(crypto, signer.bytes, PETERS_TEXT, strlen(PETERS_TEXT), signature_bytes));
    fv_note_write_signature(&out, signer.name, signer.tag, signature_bytes);
    ck_assert_str_eq(out.data, PETERS_LINE);
    fv_text_clear(&out);
    fv_crypto_free(crypto);
}
END_TEST

/* ---- keys ---- */

START_TEST(keys_are_written_as_they_are_read)
{
    struct fv_text out = FV_TEXT_INIT;
    struct fv_note_key key;

    assert_ok(fv_note_read_verifier(PETER, &key, &error));
    ck_assert_str_eq(key.name, "PeterNeumann");
    fv_note_write_verifier(&out, &key);
    ck_assert_str_eq(out.data, PETER);
    fv_text_reset(&out);
    assert_ok(fv_note_read_signer(PETERS_SECRET, &key, &error));
    fv_note_write_signer(&out, &key);
    ck_assert_str_eq(out.data, PETERS_SECRET);
    fv_text_clear(&out);
}
END_TEST

static const char *const no_keys[] = {
    "",
    "PeterNeumann",
    "PeterNeumann+c74f20a3",
    "PeterNeumann+c74f20a3+",
    "PeterNeumann+c74f20a+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+c74f20a33+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+c74f20ag+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "PeterNeumann+c74f20a3+AhpcwQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", /* another kind */
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWAAAA",
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy1w==",
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq_LDE4izWy10TW",
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
    "PRIVATE+KEY+PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy1",
};

START_TEST(what_is_no_key_is_refused)
{
    struct fv_note_key key;
    char secret[200];

    assert_fails(FLAGVER_EINVAL, fv_note_read_verifier(no_keys[_i], &key, &error));
    snprintf(secret, sizeof secret, "PRIVATE+KEY+%s", no_keys[_i]);
    assert_fails(FLAGVER_EINVAL, fv_note_read_signer(secret, &key, &error));
    ck_assert_ptr_null(strstr(error.message, "ARpc")); /* a secret is not for messages */
}
END_TEST

START_TEST(a_verifier_is_no_signer)
{
    struct fv_note_key key;

    assert_fails(FLAGVER_EINVAL, fv_note_read_signer(PETER, &key, &error));
    assert_fails(FLAGVER_EINVAL, fv_note_read_verifier(PETERS_SECRET, &key, &error));
    assert_fails(FLAGVER_EINVAL, fv_note_read_verifier(NULL, &key, &error));
    assert_fails(FLAGVER_EINVAL, fv_note_read_signer(NULL, &key, &error));
}
END_TEST

static const struct {
    const char *name;
    bool fine;
} names[] = {
    { "a", true },
    { "example.com/records", true },
    { "J\xc3\xbcrgen", true },
    { "", false },
    { "a+b", false },
    { "a b", false },
    { "a\tb", false },
    { "a\nb", false },
    { "a\x01", false },
    { "a\x7f", false },
    { "\xc2\x85", false },  /* next line */
    { "a\xc2\xa0", false }, /* no-break space */
    { "a\xe2\x80\x83"
      "b",
      false },                 /* em space */
    { "\xe3\x80\x80", false }, /* ideographic space */
    { "\xff", false },
    { NULL, false },
};

START_TEST(a_name_has_no_spaces)
{
    if (names[_i].fine)
        assert_ok(fv_note_check_name(names[_i].name, &error));
    else
        assert_fails(FLAGVER_EINVAL, fv_note_check_name(names[_i].name, &error));
}
END_TEST

START_TEST(a_name_has_at_most_255_bytes)
{
    char name[300] = { 0 };

    memset(name, 'n', 255);
    assert_ok(fv_note_check_name(name, &error));
    name[255] = 'n';
    assert_fails(FLAGVER_EINVAL, fv_note_check_name(name, &error));
}
END_TEST

/* ---- notes ---- */

START_TEST(a_note_has_several_signatures)
{
    static const char text[] = BODY "\n" SIGNED("one") SIGNED("two") SIGNED("one");
    static const char *const expected[] = { "one", "two", "one" };
    struct fv_note_signature signature;
    struct fv_note note;
    int i;

    assert_ok(fv_note_read(text, strlen(text), false, &note, &error));
    for (i = 0; i < 3; i++) {
        ck_assert(fv_note_next(&note.signatures, &signature));
        assert_text(signature.name, expected[i]);
        ck_assert(!signature.is_ed25519);
    }
    ck_assert(!fv_note_next(&note.signatures, &signature));
}
END_TEST

START_TEST(the_last_empty_line_ends_the_text)
{
    static const char text[] = "a\n\nb\n\n" SIGNED("one");
    struct fv_note note;

    assert_ok(fv_note_read(text, strlen(text), false, &note, &error));
    assert_text(note.text, "a\n\nb\n");
}
END_TEST

START_TEST(a_note_may_be_unsigned_where_that_is_asked_for)
{
    struct fv_note_signature signature;
    struct fv_note note;

    assert_ok(fv_note_read(BODY, strlen(BODY), true, &note, &error));
    assert_text(note.text, BODY);
    ck_assert(!fv_note_next(&note.signatures, &signature));
    assert_fails(FLAGVER_EPARSE, fv_note_read(BODY, strlen(BODY), false, &note, &error));
    assert_words("line 4 of the note: a signature is missing");
    ck_assert_int_eq(error.line, 4);
}
END_TEST

static const struct {
    const char *text;
    const char *words;
} no_notes[] = {
    { "", "line 1 of the note: it does not end in a newline" },
    { "a\n\n" DASH "one AAAAAAA=", "line 3 of the note: it does not end in a newline" },
    { "a\n\n", "line 3 of the note: a signature is missing" },
    { "a\tb\n\n" SIGNED("one"), "line 1 of the note: there is a control character" },
    { "a\r\n\n" SIGNED("one"), "line 1 of the note: there is a control character" },
    { "a\xff\n\n" SIGNED("one"), "the note is not UTF-8" },
    { "a\n\n- one AAAAAAA=\n", "line 3 of the note: this is no signature" },
    { "a\n\n" SIGNED("one") "x\n", "line 4 of the note: this is no signature" },
    { "a\n\n" DASH "one\n", "line 3 of the note: this is no signature" },
    { "a\n\n" DASH "one \n", "line 3 of the note: this is no signature" },
    { "a\n\n" DASH " AAAAAAA=\n", "line 3 of the note: this is no signature" },
    { "a\n\n" DASH "o+e AAAAAAA=\n", "line 3 of the note: this is no signature" },
    { "a\n\n" DASH "one AAAAAA==\n", "line 3 of the note: this is no signature" },
    { "a\n\n" DASH "one AAAAAAA\n", "line 3 of the note: this is no signature" },
    { "a\n\n" DASH "one AAAAAAA= \n", "line 3 of the note: this is no signature" },
    { "a\n\n" DASH "one AAAAAAB=\n", "line 3 of the note: this is no signature" },
};

START_TEST(what_is_no_note_is_refused)
{
    struct fv_note note;

    assert_fails(FLAGVER_EPARSE,
                 fv_note_read(no_notes[_i].text, strlen(no_notes[_i].text), false, &note, &error));
    ck_assert_str_eq(error.message, no_notes[_i].words);
}
END_TEST

START_TEST(a_note_has_limits)
{
    struct fv_text text = FV_TEXT_INIT;
    struct fv_note note;
    int i;

    fv_text_add(&text, BODY "\n");
    for (i = 0; i < 100; i++)
        fv_text_add(&text, SIGNED("one"));
    assert_ok(fv_note_read(text.data, text.length, false, &note, &error));
    fv_text_add(&text, SIGNED("one"));
    assert_fails(FLAGVER_EPARSE, fv_note_read(text.data, text.length, false, &note, &error));
    assert_words("there are too many signatures");

    fv_text_reset(&text);
    while (text.length < 65536)
        fv_text_add(&text, "text without an end\n");
    assert_fails(FLAGVER_EPARSE, fv_note_read(text.data, text.length, true, &note, &error));
    assert_words("65536 allowed");

    fv_text_reset(&text);
    fv_text_add(&text, "a\n\n" DASH "one ");
    while (text.length < 9000)
        fv_text_add(&text, "AAAA");
    fv_text_add(&text, "\n");
    assert_fails(FLAGVER_EPARSE, fv_note_read(text.data, text.length, false, &note, &error));
    fv_text_clear(&text);
}
END_TEST

/* ---- checkpoints ---- */

START_TEST(a_checkpoint_comes_back)
{
    struct fv_checkpoint checkpoint = { .origin = { "example.com/log", 15 }, .size = 3 }, again;
    struct fv_text out = FV_TEXT_INIT;
    uint8_t i;

    for (i = 0; i < 32; i++)
        checkpoint.root[i] = i;
    assert_ok(fv_checkpoint_write(&checkpoint, &out, &error));
    ck_assert_str_eq(out.data, BODY);
    assert_ok(fv_checkpoint_read(text_of(out.data), &again, &error));
    assert_text(again.origin, "example.com/log");
    ck_assert_uint_eq(again.size, 3);
    ck_assert_mem_eq(again.root, checkpoint.root, 32);
    ck_assert_uint_eq(again.extensions.length, 0);
    fv_text_clear(&out);
}
END_TEST

START_TEST(further_lines_of_a_checkpoint_are_left_alone)
{
    struct fv_checkpoint checkpoint;

    assert_ok(fv_checkpoint_read(text_of(BODY "more 1\nmore 2\n"), &checkpoint, &error));
    assert_text(checkpoint.extensions, "more 1\nmore 2\n");
    assert_fails(FLAGVER_EPARSE,
                 fv_checkpoint_read(text_of(BODY "more\n\nmore\n"), &checkpoint, &error));
    assert_words("line 5 of the note");
}
END_TEST

static const struct {
    const char *text;
    int line;
} no_checkpoints[] = {
    { "\n3\n" ROOT "\n", 1 },
    { "origin\n", 2 },
    { "origin\n\n" ROOT "\n", 2 },
    { "origin\n03\n" ROOT "\n", 2 },
    { "origin\n+3\n" ROOT "\n", 2 },
    { "origin\n-3\n" ROOT "\n", 2 },
    { "origin\n3 \n" ROOT "\n", 2 },
    { "origin\n0x3\n" ROOT "\n", 2 },
    { "origin\n9223372036854775808\n" ROOT "\n", 2 },
    { "origin\n99999999999999999999\n" ROOT "\n", 2 },
    { "origin\n3\n", 3 },
    { "origin\n3\n\n", 3 },
    { "origin\n3\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\n", 3 },
    { "origin\n3\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n", 3 },
    { "origin\n3\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n", 3 },
    { "origin\n3\n" ROOT " \n", 3 },
};

START_TEST(what_is_no_checkpoint_is_refused)
{
    struct fv_checkpoint checkpoint;

    assert_fails(FLAGVER_EPARSE,
                 fv_checkpoint_read(text_of(no_checkpoints[_i].text), &checkpoint, &error));
    ck_assert_int_eq(error.line, no_checkpoints[_i].line);
}
END_TEST

START_TEST(the_longest_log_and_the_empty_one_have_checkpoints)
{
    struct fv_checkpoint checkpoint;

    assert_ok(
        fv_checkpoint_read(text_of("o\n9223372036854775807\n" ROOT "\n"), &checkpoint, &error));
    ck_assert_uint_eq(checkpoint.size, INT64_MAX);
    assert_ok(fv_checkpoint_read(text_of("o\n0\n" ROOT "\n"), &checkpoint, &error));
    ck_assert_uint_eq(checkpoint.size, 0);
}
END_TEST

START_TEST(an_origin_is_one_line)
{
    static const char *const origins[] = { "", "two\nlines", "a\x01", "\xff" };
    struct fv_checkpoint checkpoint = { .origin = text_of(origins[_i]) };
    struct fv_text out = FV_TEXT_INIT;

    assert_fails(FLAGVER_EINVAL, fv_checkpoint_write(&checkpoint, &out, &error));
    ck_assert_uint_eq(out.length, 0);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

static Suite *note_suite(void)
{
    Suite *suite = suite_create("note");
    TCase *notes = tcase_create("notes"), *checkpoints = tcase_create("checkpoints");

    tcase_add_test(notes, a_note_of_somebody_elses_is_read_and_written_alike);
    tcase_add_test(notes, keys_are_written_as_they_are_read);
    tcase_add_loop_test(notes, what_is_no_key_is_refused, 0, COUNT(no_keys));
    tcase_add_test(notes, a_verifier_is_no_signer);
    tcase_add_loop_test(notes, a_name_has_no_spaces, 0, COUNT(names));
    tcase_add_test(notes, a_name_has_at_most_255_bytes);
    tcase_add_test(notes, a_note_has_several_signatures);
    tcase_add_test(notes, the_last_empty_line_ends_the_text);
    tcase_add_test(notes, a_note_may_be_unsigned_where_that_is_asked_for);
    tcase_add_loop_test(notes, what_is_no_note_is_refused, 0, COUNT(no_notes));
    tcase_add_test(notes, a_note_has_limits);
    suite_add_tcase(suite, notes);

    tcase_add_test(checkpoints, a_checkpoint_comes_back);
    tcase_add_test(checkpoints, further_lines_of_a_checkpoint_are_left_alone);
    tcase_add_loop_test(checkpoints, what_is_no_checkpoint_is_refused, 0, COUNT(no_checkpoints));
    tcase_add_test(checkpoints, the_longest_log_and_the_empty_one_have_checkpoints);
    tcase_add_loop_test(checkpoints, an_origin_is_one_line, 0, 4);
    suite_add_tcase(suite, checkpoints);
    return suite;
}

int main(void)
{
    return run_suite(note_suite());
}
