#include "model/fold.h"

#include <stdio.h>

#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
#define TEXT(literal) literal, sizeof(literal) - 1

/* What each code point folds to, read from tests/data/case-folding.txt. */
static uint32_t expected[0x110000];

static int read_expected(void)
{
    FILE *file = fopen("tests/data/case-folding.txt", "r");
    char line[256];
    unsigned from, to;
    uint32_t i;
    int count = 0;

    ck_assert_msg(file != NULL, "no tests/data/case-folding.txt here");
    for (i = 0; i < 0x110000; i++)
        expected[i] = i;
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#')
            continue;
        ck_assert_int_eq(sscanf(line, "%x %x", &from, &to), 2);
        ck_assert(from < 0x110000 && to < 0x110000);
        expected[from] = to;
        count++;
    }
    fclose(file);
    return count;
}

START_TEST(every_code_point_folds_as_unicode_says)
{
    uint32_t i;

    read_expected();
    for (i = 0; i < 0x110000; i++) {
        /* An assertion for each would take seconds. */
        if (fv_fold(i) != expected[i])
            ck_abort_msg("U+%04X folds to U+%04X, not U+%04X", i, fv_fold(i), expected[i]);
        if (fv_fold(fv_fold(i)) != fv_fold(i))
            ck_abort_msg("U+%04X folds twice", i);
    }
    ck_assert_uint_eq(fv_fold(0x110000), 0x110000);
    ck_assert_uint_eq(fv_fold(UINT32_MAX), UINT32_MAX);
}
END_TEST

START_TEST(the_entries_are_all_that_folds_in_order)
{
    int count = read_expected();
    uint32_t from = 0, to, before = 0;
    size_t i;

    ck_assert_uint_eq(fv_fold_entry_count(), (unsigned)count);
    for (i = 0; i < fv_fold_entry_count(); i++) {
        fv_fold_entry(i, &from, &to);
        ck_assert(from > before);
        ck_assert(from != to);
        ck_assert_uint_eq(to, expected[from]);
        before = from;
    }
}
END_TEST

static const struct {
    const char *label, *text;
    size_t length;
    const char *folded;
    size_t folded_length;
} folded_rows[] = {
    { "empty", TEXT(""), TEXT("") },
    { "ASCII", TEXT("Hello, World_42 [@`{]"), TEXT("hello, world_42 [@`{]") },
    { "a NUL is a character", TEXT("A\0B"), TEXT("a\0b") },
    { "Latin-1", TEXT("ÄÖÜ ÀÞ ×÷ ß"), TEXT("äöü àþ ×÷ ß") },
    { "sharp s stays one", TEXT("STRAẞE"), TEXT("straße") },
    { "no Turkic I", TEXT("Iıİi"), TEXT("iıİi") },
    { "long s", TEXT("ſ"), TEXT("s") },
    { "KELVIN and ANGSTROM SIGN", TEXT("\xE2\x84\xAA\xE2\x84\xAB"), TEXT("kå") },
    { "MICRO SIGN is a mu", TEXT("\xC2\xB5"), TEXT("μ") },
    { "all three sigmas", TEXT("ΣΊΣΥΦΟς"), TEXT("σίσυφοσ") },
    { "title case", TEXT("ǅǄǆ"), TEXT("ǆǆǆ") },
    { "two bytes become three", TEXT("ȺȾ"), TEXT("ⱥⱦ") },
    { "Cyrillic", TEXT("ЖЁЯ"), TEXT("жёя") },
    { "Cherokee folds upwards", TEXT("\xEA\xAD\xB0\xE1\x8F\xB8"), TEXT("ᎠᏰ") },
    { "Deseret, four bytes", TEXT("𐐀"), TEXT("𐐨") },
    { "Adlam, the last of all", TEXT("𞤡"), TEXT("𞥃") },
    { "no case", TEXT("ユーザー 機能 😀"), TEXT("ユーザー 機能 😀") },
    { "full foldings are not used", TEXT("ŉ ǰ ﬁ և"), TEXT("ŉ ǰ ﬁ և") },
    { "a lone byte", TEXT("A\xFFZ"), TEXT("a\xEF\xBF\xBDz") },
    { "a cut sequence", TEXT("A\xE2\x84"), TEXT("a\xEF\xBF\xBD\xEF\xBF\xBD") },
    { "overlong A", TEXT("\xC1\x81"), TEXT("\xEF\xBF\xBD\xEF\xBF\xBD") },
    { "a surrogate", TEXT("\xED\xA0\x80"), TEXT("\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD") },
    { "U+FFFD itself", TEXT("\xEF\xBF\xBD"), TEXT("\xEF\xBF\xBD") },
};

START_TEST(a_text_is_folded)
{
    const char *text = folded_rows[_i].text, *label = folded_rows[_i].label;
    size_t length = folded_rows[_i].length, written;
    char out[256], again[256];

    written = fv_fold_text(text, length, NULL);
    ck_assert_msg(written == folded_rows[_i].folded_length, "%s: %zu bytes", label, written);
    ck_assert(written <= FV_FOLD_SIZE(length));
    memset(out, '#', sizeof out);
    ck_assert_uint_eq(fv_fold_text(text, length, out), written);
    ck_assert_msg(memcmp(out, folded_rows[_i].folded, written) == 0, "%s: %.*s", label,
                  (int)written, out);
    ck_assert_int_eq(out[written], '#');

    ck_assert_uint_eq(fv_fold_text(out, written, again), written);
    ck_assert_mem_eq(again, out, written);
    ck_assert(fv_fold_equal(text, length, out, written));
    ck_assert_uint_eq(fv_fold_hash(text, length), fv_fold_hash(out, written));
}
END_TEST

/* An operand as the loader makes it. */
struct operand {
    char folded[256];
    size_t length;
    uint32_t failure[256];
};

static void prepare(struct operand *operand, const char *text, size_t length)
{
    ck_assert(FV_FOLD_SIZE(length) <= sizeof operand->folded);
    operand->length = fv_fold_text(text, length, operand->folded);
    fv_fold_search_prepare(operand->folded, operand->length, operand->failure);
}

#define EQUAL 1
#define STARTS 2
#define ENDS 4
#define CONTAINS 8
#define ALL (EQUAL | STARTS | ENDS | CONTAINS)

/* The operand in exactly its room, so that a read beyond it is seen by the sanitizers. */
static int compare(const char *text, size_t length, const struct operand *operand)
{
    size_t size = operand->length;
    char *block = malloc(size + 1), *folded = block + 1;
    int holds;

    if (!block)
        ck_abort_msg("out of memory");
    memcpy(folded, operand->folded, size);
    holds = (fv_fold_equal(text, length, folded, size) ? EQUAL : 0) |
            (fv_fold_starts(text, length, folded, size) ? STARTS : 0) |
            (fv_fold_ends(text, length, folded, size) ? ENDS : 0) |
            (fv_fold_contains(text, length, folded, size, operand->failure) ? CONTAINS : 0);
    free(block);
    return holds;
}

static const struct {
    const char *text;
    size_t length;
    const char *operand;
    size_t operand_length;
    int holds;
} comparison_rows[] = {
    { TEXT(""), TEXT(""), ALL },
    { TEXT("abc"), TEXT(""), STARTS | ENDS | CONTAINS },
    { TEXT(""), TEXT("a"), 0 },
    { TEXT("DE"), TEXT("de"), ALL },
    { TEXT("de"), TEXT("DE"), ALL },
    { TEXT("de"), TEXT("DEU"), 0 },
    { TEXT("deu"), TEXT("DE"), STARTS | CONTAINS },
    { TEXT("ade"), TEXT("DE"), ENDS | CONTAINS },
    { TEXT("adeu"), TEXT("DE"), CONTAINS },
    { TEXT("dede"), TEXT("DE"), STARTS | ENDS | CONTAINS },
    { TEXT("Alice@Example.COM"), TEXT("alice@example.com"), ALL },
    { TEXT("Alice@Example.COM"), TEXT("@example.com"), ENDS | CONTAINS },
    { TEXT("Alice@Example.COM"), TEXT("ALICE@EXAMP"), STARTS | CONTAINS },
    { TEXT("Alice@Example.COM"), TEXT("alice@example.con"), 0 },
    { TEXT("@[`{"), TEXT("`{@["), 0 },
    { TEXT("@"), TEXT("`"), 0 },
    { TEXT("["), TEXT("{"), 0 },
    { TEXT("a\0b"), TEXT("A\0B"), ALL },
    { TEXT("a\0b"), TEXT("A"), STARTS | CONTAINS },
    { TEXT("a\0b"), TEXT("B"), ENDS | CONTAINS },
    { TEXT("GRÖSSE"), TEXT("grösse"), ALL },
    { TEXT("GRÖSSE"), TEXT("größe"), 0 },
    { TEXT("GRÖẞE"), TEXT("größe"), ALL },
    { TEXT("12345678Ä"), TEXT("12345678ä"), ALL },
    { TEXT("1234567Ä"), TEXT("1234567ä"), ALL },
    { TEXT("123456Ä8"), TEXT("123456ä8"), ALL },
    { TEXT("Ä12345678"), TEXT("ä12345678"), ALL },
    { TEXT("Ä1234567"), TEXT("ä1234567"), ALL },
    { TEXT("\xE2\x84\xAA"), TEXT("k"), ALL },
    { TEXT("k"), TEXT("\xE2\x84\xAA"), ALL },
    { TEXT("\xE2\x84\xAA\xE2\x84\xAA\xE2\x84\xAA\xE2\x84\xAA\xE2\x84\xAA\xE2\x84\xAA\xE2\x84\xAA"
           "\xE2\x84\xAA"),
      TEXT("kkkkkkkk"), ALL },
    { TEXT("kkkkkkkk"), TEXT("\xE2\x84\xAAkk\xE2\x84\xAAkkkk"), ALL },
    { TEXT("xxxxxxx\xE2\x84\xAA"), TEXT("K"), ENDS | CONTAINS },
    { TEXT("\xE2\x84\xAAxxxxxxx"), TEXT("Kxxx"), STARTS | CONTAINS },
    { TEXT("ȺȺ"), TEXT("ⱥ"), STARTS | ENDS | CONTAINS },
    { TEXT("Ⱥ"), TEXT("ⱥⱥ"), 0 },
    { TEXT("ΟΔΥΣΣΕΥΣ"), TEXT("οδυσσευς"), ALL },
    { TEXT("ı"), TEXT("I"), 0 },
    { TEXT("İ"), TEXT("i"), 0 },
    { TEXT("𞤡x"), TEXT("𞥃"), STARTS | CONTAINS },
    /* é and è share their first byte, ã and ã of another row their last. */
    { TEXT("é"), TEXT("È"), 0 },
    { TEXT("ãê"), TEXT("Êã"), 0 },
    /* The end of a sequence is no character. */
    { TEXT("ä"), TEXT("\xA4"), 0 },
    { TEXT("ä"), TEXT("\xC3"), 0 },
    /* Malformed bytes are one and the same character. */
    { TEXT("a\xFF"), TEXT("A\xFE"), ALL },
    { TEXT("a\xFF"), TEXT("A\xEF\xBF\xBD"), ALL },
    { TEXT("a\xE2\x84"), TEXT("A\xFF\xFF"), ALL },
    { TEXT("a\xE2\x84"), TEXT("\xFF"), ENDS | CONTAINS },
    /* A pattern that comes back to itself. */
    { TEXT("aabaabaaab"), TEXT("AABAAA"), CONTAINS },
    { TEXT("ababababac"), TEXT("ababac"), ENDS | CONTAINS },
    { TEXT("abababab"), TEXT("ababac"), 0 },
};

START_TEST(texts_compare_without_their_case)
{
    struct operand operand;
    const char *text = comparison_rows[_i].text;
    int holds;

    prepare(&operand, comparison_rows[_i].operand, comparison_rows[_i].operand_length);
    holds = compare(text, comparison_rows[_i].length, &operand);
    ck_assert_msg(holds == comparison_rows[_i].holds, "\"%s\" and \"%s\": %d instead of %d", text,
                  comparison_rows[_i].operand, holds, comparison_rows[_i].holds);
}
END_TEST

/* Every text of up to `longest` of these letters: number `i` of them, or -1 beyond the last. */
static int spell(int i, int longest, char *out)
{
    static const char *letters[] = { "a", "A", "Ⱥ", "ⱥ", "\xE2\x84\xAA", "k", "\xFF", "😀" };
    int length = 0, used = 0;

    while (i > 0) {
        const char *letter = letters[(i - 1) % COUNT(letters)];

        if (length++ == longest)
            return -1;
        memcpy(out + used, letter, strlen(letter));
        used += (int)strlen(letter);
        i = (i - 1) / COUNT(letters);
    }
    return used;
}

/* The same answers from folding both sides first and comparing bytes. */
static int compare_slowly(const char *text, size_t length, const struct operand *operand)
{
    char folded[256];
    size_t size = fv_fold_text(text, length, folded), i;
    int holds = 0;

    for (i = 0; i + operand->length <= size; i++) {
        if (memcmp(folded + i, operand->folded, operand->length) != 0)
            continue;
        holds |= CONTAINS;
        if (i == 0)
            holds |= STARTS;
        if (i + operand->length == size)
            holds |= ENDS;
        if (operand->length == size)
            holds |= EQUAL;
    }
    return holds;
}

START_TEST(comparing_on_the_way_is_comparing_folded_texts)
{
    static struct operand operand;
    char text[64] = "", pattern[64] = "";
    int i, j, length, size;
    uint64_t hash;

    for (j = 0; (size = spell(j, 3, pattern)) >= 0; j++) {
        hash = fv_fold_hash(pattern, (size_t)size);
        prepare(&operand, pattern, (size_t)size);
        for (i = 0; (length = spell(i, 4, text)) >= 0; i++) {
            int holds = compare(text, (size_t)length, &operand);

            if (holds != compare_slowly(text, (size_t)length, &operand))
                ck_abort_msg("\"%.*s\" and \"%.*s\": %d", length, text, size, pattern, holds);
            if ((holds & EQUAL) && fv_fold_hash(text, (size_t)length) != hash)
                ck_abort_msg("\"%.*s\" and \"%.*s\" hash apart", length, text, size, pattern);
        }
    }
    ck_assert_int_eq(j, 1 + 8 + 64 + 512);
}
END_TEST

/* Eight bytes are folded at once where all are ASCII. */
START_TEST(eight_characters_fold_like_each_alone)
{
    struct operand operand;
    char text[8];
    int c, i;

    for (c = 0; c < 128; c++) {
        for (i = 0; i < 8; i++) {
            memset(text, c, sizeof text);
            text[i] = (char)(127 - c);
            prepare(&operand, text, sizeof text);
            ck_assert_msg(compare(text, sizeof text, &operand) == ALL, "%d beside %d", c, 127 - c);
            ck_assert_uint_eq(fv_fold_hash(text, sizeof text),
                              fv_fold_hash(operand.folded, operand.length));
        }
    }
}
END_TEST

START_TEST(long_texts_hash_like_their_folded_form)
{
    char text[400], folded[FV_FOLD_SIZE(sizeof text)];
    static const char *fills[] = { "A", "ab", "Ⱥ", "aÄ", "\xE2\x84\xAA", "\xFF", "aaaaaaaaÖ" };
    size_t length, written;
    int i;

    for (i = 0; i < COUNT(fills); i++) {
        size_t size = strlen(fills[i]), j;

        for (j = 0; j < sizeof text; j++)
            text[j] = fills[i][j % size];
        for (length = 0; length <= sizeof text; length++) {
            written = fv_fold_text(text, length, folded);
            ck_assert_msg(fv_fold_hash(text, length) == fv_fold_hash(folded, written),
                          "%zu bytes of %s", length, fills[i]);
            if (written > 0) {
                folded[written - 1] ^= 1;
                ck_assert(fv_fold_hash(text, length) != fv_fold_hash(folded, written));
            }
        }
    }
}
END_TEST

START_TEST(a_search_takes_linear_time)
{
    /* The product of the two lengths would be 10^12 steps. */
    const size_t length = 2000000, size = 500000;
    char *text = malloc(length), *pattern = malloc(size);
    uint32_t *failure = malloc(size * sizeof *failure);

    ck_assert(text && pattern && failure);
    memset(text, 'A', length);
    memset(pattern, 'a', size);
    pattern[size - 1] = 'b';
    fv_fold_search_prepare(pattern, size, failure);
    ck_assert(!fv_fold_contains(text, length, pattern, size, failure));
    text[length - 1] = 'B';
    ck_assert(fv_fold_contains(text, length, pattern, size, failure));
    free(text);
    free(pattern);
    free(failure);
}
END_TEST

START_TEST(nothing_beyond_the_text_is_read)
{
    static const char *texts[] = { "ABCDEFGHIJKLMNOPQ", "ÄÖÜÄÖÜ", "abc\xF0\x9F\x98", "a\xE2" };
    struct operand operand;
    int i;

    for (i = 0; i < COUNT(texts); i++) {
        size_t length;

        for (length = 0; length <= strlen(texts[i]); length++) {
            char *exact = malloc(length + 1);

            ck_assert_ptr_nonnull(exact);
            memcpy(exact + 1, texts[i], length);
            prepare(&operand, texts[i], length);
            ck_assert_int_eq(compare(exact + 1, length, &operand), ALL);
            ck_assert_uint_eq(fv_fold_hash(exact + 1, length), fv_fold_hash(texts[i], length));
            free(exact);
        }
    }
}
END_TEST

static Suite *fold_suite(void)
{
    Suite *suite = suite_create("fold");
    TCase *table = tcase_create("table");
    TCase *texts = tcase_create("texts");

    tcase_add_test(table, every_code_point_folds_as_unicode_says);
    tcase_add_test(table, the_entries_are_all_that_folds_in_order);
    suite_add_tcase(suite, table);

    tcase_add_loop_test(texts, a_text_is_folded, 0, COUNT(folded_rows));
    tcase_add_loop_test(texts, texts_compare_without_their_case, 0, COUNT(comparison_rows));
    tcase_add_test(texts, comparing_on_the_way_is_comparing_folded_texts);
    tcase_add_test(texts, eight_characters_fold_like_each_alone);
    tcase_add_test(texts, long_texts_hash_like_their_folded_form);
    tcase_add_test(texts, a_search_takes_linear_time);
    tcase_add_test(texts, nothing_beyond_the_text_is_read);
    tcase_set_timeout(texts, 60);
    suite_add_tcase(suite, texts);
    return suite;
}

int main(void)
{
    return run_suite(fold_suite());
}
