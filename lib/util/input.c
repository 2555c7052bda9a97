#include "util/input.h"

#include <stdint.h>
#include <string.h>

const char *fv_input_bytes(struct fv_input *input, size_t length)
{
    const char *at = input->next;

    if (input->failed || (size_t)(input->end - input->next) < length) {
        input->failed = true;
        return NULL;
    }
    input->next += length;
    return at;
}

void fv_input_take(struct fv_input *input, void *out, size_t length)
{
    const char *at = fv_input_bytes(input, length);

    if (at)
        memcpy(out, at, length);
    else
        memset(out, 0, length);
}

const char *fv_input_text(struct fv_input *input, size_t *ret_length)
{
    uint32_t length;
    const char *text;

    fv_input_take(input, &length, sizeof length);
    text = fv_input_bytes(input, (size_t)length + 1);
    if (text && text[length])
        input->failed = true;
    *ret_length = input->failed ? 0 : length;
    return input->failed ? "" : text;
}

void fv_text_add_sized(struct fv_text *out, const char *text, size_t length)
{
    uint32_t size = (uint32_t)length;

    if (length > UINT32_MAX)
        out->failed = true;
    fv_text_add_bytes(out, (const char *)&size, sizeof size);
    fv_text_add_bytes(out, text, length);
    fv_text_add_char(out, 0);
}
