#include "util/utf8.h"

#include <string.h>

static bool continues(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/*
 * Reads the well-formed sequence of two or more bytes at `at`; its length, or 0
 * when there is none. The second byte alone tells overlong forms, surrogates
 * and what lies beyond U+10FFFF, so only its range depends on the first.
 */
static size_t read_sequence(const char *at, size_t room, uint32_t *ret_code_point)
{
    const unsigned char *bytes = (const unsigned char *)at;
    unsigned char lowest = 0x80, highest = 0xBF;
    uint32_t code_point;
    size_t length, i;

    if (bytes[0] >= 0xC2 && bytes[0] <= 0xDF) {
        length = 2;
        code_point = bytes[0] & 0x1Fu;
    } else if ((bytes[0] & 0xF0) == 0xE0) {
        length = 3;
        code_point = bytes[0] & 0x0Fu;
        if (bytes[0] == 0xE0)
            lowest = 0xA0;
        else if (bytes[0] == 0xED)
            highest = 0x9F;
    } else if (bytes[0] >= 0xF0 && bytes[0] <= 0xF4) {
        length = 4;
        code_point = bytes[0] & 0x07u;
        if (bytes[0] == 0xF0)
            lowest = 0x90;
        else if (bytes[0] == 0xF4)
            highest = 0x8F;
    } else {
        return 0;
    }

    if (room < length || bytes[1] < lowest || bytes[1] > highest)
        return 0;
    for (i = 1; i < length; i++) {
        if (!continues(bytes[i]))
            return 0;
        code_point = code_point << 6 | (bytes[i] & 0x3Fu);
    }
    *ret_code_point = code_point;
    return length;
}

uint32_t fv_utf8_next(const char **at, const char *end)
{
    uint32_t code_point;
    size_t length;

    if ((unsigned char)**at < 0x80)
        return (unsigned char)*(*at)++;

    length = read_sequence(*at, (size_t)(end - *at), &code_point);
    if (length == 0) {
        (*at)++;
        return FV_UTF8_REPLACEMENT;
    }
    *at += length;
    return code_point;
}

uint32_t fv_utf8_previous(const char *begin, const char **at)
{
    const char *start = *at - 1;
    uint32_t code_point;
    size_t length;

    if ((unsigned char)*start < 0x80) {
        *at = start;
        return (unsigned char)*start;
    }

    while (start > begin && *at - start < 4 && continues((unsigned char)*start))
        start--;

    length = read_sequence(start, (size_t)(*at - start), &code_point);
    if (length == 0 || start + length != *at) {
        (*at)--;
        return FV_UTF8_REPLACEMENT;
    }
    *at = start;
    return code_point;
}

size_t fv_utf8_encode(uint32_t code_point, char out[4])
{
    unsigned char bytes[4];
    size_t length;

    if (code_point < 0x80) {
        bytes[0] = (unsigned char)code_point;
        length = 1;
    } else if (code_point < 0x800) {
        bytes[0] = (unsigned char)(0xC0 | code_point >> 6);
        bytes[1] = (unsigned char)(0x80 | (code_point & 0x3F));
        length = 2;
    } else if (code_point < 0x10000) {
        if (code_point >= 0xD800 && code_point <= 0xDFFF)
            return 0;
        bytes[0] = (unsigned char)(0xE0 | code_point >> 12);
        bytes[1] = (unsigned char)(0x80 | (code_point >> 6 & 0x3F));
        bytes[2] = (unsigned char)(0x80 | (code_point & 0x3F));
        length = 3;
    } else if (code_point <= FV_UTF8_LARGEST) {
        bytes[0] = (unsigned char)(0xF0 | code_point >> 18);
        bytes[1] = (unsigned char)(0x80 | (code_point >> 12 & 0x3F));
        bytes[2] = (unsigned char)(0x80 | (code_point >> 6 & 0x3F));
        bytes[3] = (unsigned char)(0x80 | (code_point & 0x3F));
        length = 4;
    } else {
        return 0;
    }
    memcpy(out, bytes, length);
    return length;
}

bool fv_utf8_valid(const char *text, size_t length)
{
    const char *at = text;
    uint32_t code_point;
    uint64_t eight;
    size_t read;

    while (length) {
        if (length >= sizeof eight) {
            memcpy(&eight, at, sizeof eight);
            if (!(eight & UINT64_C(0x8080808080808080))) {
                at += sizeof eight;
                length -= sizeof eight;
                continue;
            }
        }

        read = (unsigned char)*at < 0x80 ? 1 : read_sequence(at, length, &code_point);
        if (read == 0)
            return false;
        at += read;
        length -= read;
    }
    return true;
}
