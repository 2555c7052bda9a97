/*
 * Texts that may be JSON: the parser against jansson's own, the places of
 * errors and of values, and canonical JSON as a fixed point.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/position.h"
#include "util/utf8.h"
#include "fuzz/demand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int32_t count_lines(const char *text, size_t length)
{
    int32_t lines = 1;
    size_t i;

    for (i = 0; i < length; i++)
        lines += text[i] == '\n';
    return lines;
}

/* The pointer of what is read at the first token that ends behind `offset`. */
static void read_pointer(const char *text, size_t length, size_t offset, struct fv_text *pointer)
{
    struct fv_scan scan;

    fv_scan_init(&scan, text, length);
    while (fv_scan_next(&scan) && scan.token.end <= offset)
        ;
    fv_text_reset(pointer);
    fv_scan_pointer(&scan, pointer);
    fv_scan_clear(&scan);
}

static void check_refusal(const char *text, size_t length)
{
    struct fv_text pointer = FV_TEXT_INIT;
    flagver_error error = { 0 };
    struct fv_position place;
    json_t *root = NULL;

    demand(fv_json_parse(text, length, "name", &root, &error) == FLAGVER_EPARSE);
    demand(!root && error.code == FLAGVER_EPARSE);
    demand(strncmp(error.message, "name:", 5) == 0 && strlen(error.message) > 20);
    demand(!strpbrk(error.message, "\n\r"));
    demand(fv_utf8_valid(error.message, strlen(error.message)));
    demand(error.line >= 1 && error.line <= count_lines(text, length));
    demand(error.column >= 1 && (size_t)error.column <= length + 1);

    read_pointer(text, length, length / 2, &pointer);
    demand(!pointer.length || pointer.data[0] == '/');
    fv_position_find(text, length, pointer.data, false, &place);
    demand(place.offset <= length);
    fv_text_clear(&pointer);
}

static void check_place(const char *text, size_t length, const struct fv_text *pointer,
                        const json_t *value)
{
    struct fv_text back = FV_TEXT_INIT;
    struct fv_position place;
    json_t *parsed;

    demand(fv_position_find(text, length, pointer->data, false, &place));
    parsed = json_loadb(text + place.offset, length - place.offset,
                        JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, NULL);
    demand(json_equal(parsed, value));
    json_decref(parsed);

    read_pointer(text, length, place.offset, &back);
    demand(strcmp(back.data, pointer->data) == 0);
    fv_text_clear(&back);
}

/* Down one way through the tree, which the text itself chooses. */
static void check_places(const char *text, size_t length, json_t *value)
{
    struct fv_text pointer = FV_TEXT_INIT;
    size_t choice = length, step;
    void *member;

    for (step = 0; value && step < 20; step++, choice = choice * 31 + 7) {
        check_place(text, length, &pointer, value);
        if (json_object_size(value)) {
            member = json_object_iter(value);
            for (choice %= json_object_size(value); choice; choice--)
                member = json_object_iter_next(value, member);
            fv_pointer_add(&pointer, json_object_iter_key(member),
                           strlen(json_object_iter_key(member)));
            value = json_object_iter_value(member);
            choice = step + length;
        } else if (json_array_size(value)) {
            choice %= json_array_size(value);
            fv_pointer_add_index(&pointer, choice);
            value = json_array_get(value, choice);
        } else {
            break;
        }
    }
    fv_text_clear(&pointer);
}

static void check_fixed_point(const json_t *root)
{
    struct fv_text once = FV_TEXT_INIT, twice = FV_TEXT_INIT;
    flagver_error error = { 0 };
    json_t *again;

    demand(fv_canonical_write(&once, root, &error) == 0);
    demand(fv_json_parse(once.data, once.length, NULL, &again, &error) == 0);
    demand(json_equal(root, again));
    demand(fv_canonical_write(&twice, again, &error) == 0);
    demand(strcmp(once.data, twice.data) == 0);
    json_decref(again);
    fv_text_clear(&once);
    fv_text_clear(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    flagver_error error = { 0 };
    json_t *root = NULL, *expected;
    int r;

    r = fv_json_parse(text, size, "name", &root, &error);
    if (r < 0) {
        check_refusal(text, size);
    } else {
        check_places(text, size, root);
        check_fixed_point(root);
    }

    /* jansson 2.14 lets a NUL stand behind a number, and values nest deeper. */
    if ((!size || !memchr(data, 0, size)) && (r == 0 || !strstr(error.message, "nested deeper"))) {
        expected = json_loadb(text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        demand((expected != NULL) == (r == 0));
        demand(!expected || json_equal(expected, root));
        json_decref(expected);
    }
    json_decref(root);
    return 0;
}
