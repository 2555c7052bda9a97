#include "util/uuid.h"

#include <string.h>

#define COUNTER_BITS 12
#define COUNTER_LIMIT (1u << COUNTER_BITS)

/* A new millisecond begins with a random counter; a full one is the end of the millisecond. */
static void advance(struct fv_uuid_state *state, int64_t now_ms, uint32_t random)
{
    if (now_ms > state->ms) {
        state->ms = now_ms;
        state->counter = random & (COUNTER_LIMIT / 2 - 1);
    } else if (++state->counter == COUNTER_LIMIT) {
        state->ms++;
        state->counter = random & (COUNTER_LIMIT / 2 - 1);
    }
}

flagver_id fv_uuid_next(struct fv_uuid_state *state, int64_t now_ms, const uint8_t random[10])
{
    flagver_id id;
    int i;

    advance(state, now_ms, (uint32_t)random[8] << 8 | random[9]);
    for (i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(state->ms >> (40 - 8 * i));
    id.bytes[6] = (uint8_t)(0x70 | state->counter >> 8);
    id.bytes[7] = (uint8_t)state->counter;
    memcpy(id.bytes + 8, random, 8);
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    return id;
}

flagver_id fv_uuid_of_hash(int version, const uint8_t *hash)
{
    flagver_id id;

    memcpy(id.bytes, hash, sizeof id.bytes);
    id.bytes[6] = (uint8_t)(version << 4 | (id.bytes[6] & 0xf));
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3f));
    return id;
}

static bool dash_at(int digit)
{
    return digit == 8 || digit == 12 || digit == 16 || digit == 20;
}

void fv_uuid_text(const flagver_id *id, char out[FV_UUID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    int i;

    for (i = 0; i < 32; i++) {
        if (dash_at(i))
            *out++ = '-';
        *out++ = digits[id->bytes[i / 2] >> (i % 2 ? 0 : 4) & 0xf];
    }
    *out = 0;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool fv_uuid_parse(const char *text, flagver_id *ret_id)
{
    flagver_id id = { { 0 } };
    int i, digit;

    for (i = 0; i < 32; i++) {
        if (dash_at(i) && *text++ != '-')
            return false;
        digit = digit_of(*text++);
        if (digit < 0)
            return false;
        id.bytes[i / 2] = (uint8_t)(id.bytes[i / 2] << 4 | digit);
    }
    if (*text)
        return false;
    *ret_id = id;
    return true;
}
