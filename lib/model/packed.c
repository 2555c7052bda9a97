#include "model/packed.h"

#include <string.h>

uint8_t *fv_packed_put(uint8_t *out, uint64_t number)
{
    for (; number > 0x7f; number >>= 7)
        *out++ = (uint8_t)(number | 0x80);
    *out++ = (uint8_t)number;
    return out;
}

uint8_t *fv_packed_put_time(uint8_t *out, int64_t time)
{
    int shift;

    for (shift = 56; shift >= 0; shift -= 8)
        *out++ = (uint8_t)((uint64_t)time >> shift);
    return out;
}

uint8_t *fv_packed_put_id(uint8_t *out, const flagver_id *id)
{
    memcpy(out, id->bytes, sizeof id->bytes);
    return out + sizeof id->bytes;
}

struct fv_packed fv_packed_begin(const void *data, size_t length)
{
    const uint8_t *bytes = data;

    return (struct fv_packed){ .next = bytes, .end = length > 0 ? bytes + length : bytes };
}

static const uint8_t *take(struct fv_packed *packed, size_t length)
{
    const uint8_t *at = packed->next;

    if (packed->bad || (size_t)(packed->end - at) < length) {
        packed->bad = true;
        return NULL;
    }
    packed->next += length;
    return at;
}

uint64_t fv_packed_get(struct fv_packed *packed, uint64_t max)
{
    const uint8_t *at;
    uint64_t number = 0;
    int shift;

    for (shift = 0; shift < 63; shift += 7) {
        at = take(packed, 1);
        if (!at)
            return 0;
        number |= (uint64_t)(*at & 0x7f) << shift;
        if (*at & 0x80)
            continue;
        /* A last byte of 0 says nothing: without it the number would be the same. */
        packed->bad = number > max || (*at == 0 && shift > 0);
        return packed->bad ? 0 : number;
    }
    packed->bad = true;
    return 0;
}

int64_t fv_packed_get_time(struct fv_packed *packed)
{
    const uint8_t *at = take(packed, FV_PACKED_TIME);
    uint64_t time = 0;
    int i;

    for (i = 0; at && i < FV_PACKED_TIME; i++)
        time = time << 8 | at[i];
    return (int64_t)time;
}

flagver_id fv_packed_get_id(struct fv_packed *packed)
{
    const uint8_t *at = take(packed, FV_PACKED_ID);
    flagver_id id = { { 0 } };

    if (at)
        memcpy(id.bytes, at, sizeof id.bytes);
    return id;
}

const void *fv_packed_get_bytes(struct fv_packed *packed, size_t length)
{
    return take(packed, length);
}

bool fv_packed_end(const struct fv_packed *packed)
{
    return !packed->bad && packed->next == packed->end;
}
