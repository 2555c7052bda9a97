/*
 * A pattern, a newline, a text. Whatever compiles answers alike in two pairs of
 * ways: told to fold or written with (?i), and with the stray bytes of the text
 * written as the U+FFFD that they stand for.
 */
#include "model/regex.h"
#include "util/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Far above what a short pattern needs, far below what would be slow. */
#define TEXT_MAX 2000

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* A copy of its own, so that reading beyond it is seen. */
static char *copy(const char *before, const uint8_t *data, size_t size)
{
    size_t length = strlen(before);
    char *text = malloc(length + size + !(length + size));

    must(text != NULL);
    memcpy(text, before, length);
    if (size)
        memcpy(text + length, data, size);
    return text;
}

static void check_stray_bytes(const struct fv_regex *regex, const char *text, size_t length,
                              bool found)
{
    char *clean = malloc(length * 3 + 1), *end = clean;
    const char *at = text;

    must(clean != NULL);
    while (at < text + length)
        end += fv_utf8_encode(fv_utf8_next(&at, text + length), end);
    must(fv_regex_search(regex, clean, (size_t)(end - clean)) == found);
    free(clean);
}

static void check(const char *pattern, const char *written, size_t size, const char *text,
                  size_t length)
{
    const struct fv_regex *plain, *folding, *prefixed;
    struct fv_arena arena;
    flagver_error err;
    int r, prefixed_r;

    fv_arena_init(&arena, NULL, 0);
    r = fv_regex_compile(&arena, pattern, size, false, &plain, &err);
    must(r == 0 || (r == FLAGVER_EPARSE && err.message[0]));
    if (r == 0)
        check_stray_bytes(plain, text, length, fv_regex_search(plain, text, length));

    must(fv_regex_compile(&arena, pattern, size, true, &folding, &err) == r);
    prefixed_r = fv_regex_compile(&arena, written, size + 4, false, &prefixed, &err);
    if (r == 0 && prefixed_r == 0) {
        must(fv_regex_search(folding, text, length) == fv_regex_search(prefixed, text, length));
        check_stray_bytes(folding, text, length, fv_regex_search(folding, text, length));
    }
    fv_arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    size_t pattern_size = newline ? (size_t)(newline - data) : size;
    size_t length = newline ? size - pattern_size - 1 : 0;
    char *pattern, *written, *text;

    if (length > TEXT_MAX)
        length = TEXT_MAX;
    pattern = copy("", data, pattern_size);
    written = copy("(?i)", data, pattern_size);
    text = copy("", newline ? newline + 1 : NULL, length);

    check(pattern, written, pattern_size, text, length);

    free(pattern);
    free(written);
    free(text);
    return 0;
}
