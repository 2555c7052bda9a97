#include "util/base64.h"

#include <string.h>

static const char digits[2][65] = {
    [FV_BASE64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [FV_BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

static bool value_of(enum fv_base64 kind, char c, uint32_t *ret_value)
{
    const char *at = c ? strchr(digits[kind], c) : NULL;

    if (at)
        *ret_value = (uint32_t)(at - digits[kind]);
    return at != NULL;
}

/* Four digits of which the last `padding` are '='. */
static bool decode_group(enum fv_base64 kind, const char text[4], size_t padding, uint8_t out[3])
{
    uint32_t group = 0, value;
    size_t i;

    for (i = 0; i < 4; i++) {
        value = 0;
        if (i < 4 - padding && !value_of(kind, text[i], &value))
            return false;
        group = group << 6 | value;
    }
    if (group & ((1u << (8 * padding)) - 1))
        return false;
    for (i = 0; i < 3 - padding; i++)
        out[i] = (uint8_t)(group >> (16 - 8 * i));
    return true;
}

bool fv_base64_decode(enum fv_base64 kind, const char *text, size_t length, uint8_t *out,
                      size_t *ret_length)
{
    size_t i, padding = 0;

    if (length % 4 != 0)
        return false;
    while (padding < 2 && padding < length && text[length - 1 - padding] == '=')
        padding++;
    for (i = 0; i < length; i += 4)
        if (!decode_group(kind, text + i, i + 4 == length ? padding : 0, out + i / 4 * 3))
            return false;
    *ret_length = length / 4 * 3 - padding;
    return true;
}

void fv_base64_encode(enum fv_base64 kind, const void *data, size_t length, struct fv_text *out)
{
    const uint8_t *bytes = data;
    size_t i, j, count;
    uint32_t group;

    for (i = 0; i < length; i += 3) {
        count = length - i < 3 ? length - i : 3;
        group = 0;
        for (j = 0; j < 3; j++)
            group = group << 8 | (j < count ? bytes[i + j] : 0u);
        for (j = 0; j < 4; j++)
            fv_text_add_char(out, j > count ? '=' : digits[kind][group >> (18 - 6 * j) & 63]);
    }
}
