#include "util/text.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shared by every empty text; never written to, because capacity is 0. */
char fv_text_empty[1] = "";

static bool reserve(struct fv_text *text, size_t more)
{
    size_t wanted;
    char *moved;

    if (text->failed)
        return false;
    if (more < text->capacity - text->length)
        return true;

    wanted = text->length + more + 1;
    if (wanted <= more || wanted > SIZE_MAX / 2) {
        text->failed = true;
        return false;
    }
    if (wanted < text->capacity * 2)
        wanted = text->capacity * 2;
    if (wanted < 64)
        wanted = 64;

    moved = realloc(text->capacity ? text->data : NULL, wanted);
    if (!moved) {
        text->failed = true;
        return false;
    }
    text->data = moved;
    text->capacity = wanted;
    return true;
}

void fv_text_clear(struct fv_text *text)
{
    if (text->capacity)
        free(text->data);
    *text = (struct fv_text)FV_TEXT_INIT;
}

void fv_text_reset(struct fv_text *text)
{
    text->length = 0;
    text->failed = false;
    if (text->capacity)
        text->data[0] = 0;
}

void fv_text_add_bytes(struct fv_text *text, const char *bytes, size_t length)
{
    if (length == 0 || !reserve(text, length))
        return;
    memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = 0;
}

void fv_text_add(struct fv_text *text, const char *string)
{
    fv_text_add_bytes(text, string, strlen(string));
}

void fv_text_add_char(struct fv_text *text, char c)
{
    fv_text_add_bytes(text, &c, 1);
}

void fv_text_format(struct fv_text *text, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);

    if (length < 0) {
        text->failed = true;
        return;
    }
    if (!reserve(text, (size_t)length))
        return;

    va_start(arguments, format);
    vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

void fv_text_add_decimal(struct fv_text *text, uint64_t number, int decimals)
{
    uint64_t unit = 1, rest;
    int i;

    for (i = 0; i < decimals; i++)
        unit *= 10;
    rest = number % unit;
    fv_text_format(text, "%" PRIu64, number / unit);
    for (; rest > 0 && rest % 10 == 0; decimals--)
        rest /= 10;
    if (rest > 0)
        fv_text_format(text, ".%0*" PRIu64, decimals, rest);
}

char *fv_text_detach(struct fv_text *text)
{
    char *data;

    if (text->failed || (!text->capacity && !reserve(text, 0))) {
        fv_text_clear(text);
        return NULL;
    }
    data = text->data;
    data[text->length] = 0;
    *text = (struct fv_text)FV_TEXT_INIT;
    return data;
}
