#include "engine/copying.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "codec/canonical.h"
#include "model/packed.h"
#include "util/fail.h"

/* ---- the row ---- */

#define FORM 2
#define FROM_NEW 1u
#define DONE 2u

#define COPYING_BYTES (7 * FV_PACKED_NUMBER + FV_PACKED_ID + 5 * FV_PACKED_TIME)

static size_t encode(const struct fv_copying *copying, uint8_t *out)
{
    const struct fv_headway *headway = &copying->headway;
    size_t length = strlen(copying->after);
    uint8_t *at = out;

    at = fv_packed_put(at, FORM);
    at = fv_packed_put(at, (copying->from == FV_NEW ? FROM_NEW : 0) | (headway->done ? DONE : 0));
    at = fv_packed_put(at, copying->epoch);
    at = fv_packed_put_id(at, &copying->holder);
    at = fv_packed_put_time(at, copying->until);
    at = fv_packed_put_time(at, headway->began);
    at = fv_packed_put_time(at, headway->last);
    at = fv_packed_put(at, headway->records);
    at = fv_packed_put(at, headway->total);
    for (int i = 0; i < 2; i++) {
        at = fv_packed_put_time(at, headway->marks[i].at);
        at = fv_packed_put(at, headway->marks[i].records);
    }
    memcpy(at, copying->after, length);
    return (size_t)(at - out) + length;
}

static int decode(const flagver_bytes *value, void *data, flagver_error *err)
{
    struct fv_packed packed = fv_packed_begin(value->data, value->length);
    uint64_t form = fv_packed_get(&packed, FV_PACKED_MAX);
    uint64_t bits = fv_packed_get(&packed, FROM_NEW | DONE);
    struct fv_copying copying = { .epoch = fv_packed_get(&packed, FV_PACKED_MAX) };
    struct fv_headway *headway = &copying.headway;
    size_t length;

    copying.from = bits & FROM_NEW ? FV_NEW : FV_OLD;
    copying.holder = fv_packed_get_id(&packed);
    copying.until = fv_packed_get_time(&packed);
    headway->done = bits & DONE;
    headway->began = fv_packed_get_time(&packed);
    headway->last = fv_packed_get_time(&packed);
    headway->records = fv_packed_get(&packed, FV_PACKED_MAX);
    headway->total = fv_packed_get(&packed, FV_PACKED_MAX);
    for (int i = 0; i < 2; i++) {
        headway->marks[i].at = fv_packed_get_time(&packed);
        headway->marks[i].records = fv_packed_get(&packed, FV_PACKED_MAX);
    }
    length = (size_t)(packed.end - packed.next);
    if (packed.bad || form != FORM || length > FLAGVER_ROUTE_KEY_LIMIT)
        return fv_fail(err, FLAGVER_ECORRUPT, "the progress of a copy cannot be read");
    memcpy(copying.after, packed.next, length);
    *(struct fv_copying *)data = copying;
    return 0;
}

int fv_copying_get(flagver_txn *txn, const char *name, flagver_keyed_row *ret_row,
                   struct fv_copying *ret_copying, flagver_error *err)
{
    struct fv_row_key key;
    int r;

    fv_row_key(name, NULL, 0, &key);
    *ret_copying = (struct fv_copying){ 0 };
    r = fv_txn_keyed_get(txn, FV_SPACE_COPY, fv_row_key_bytes(&key), ret_row, err);
    if (r < 0 || ret_row->rev == 0)
        return r;
    return decode(&ret_row->value, ret_copying, err);
}

int fv_copying_put(flagver_txn *txn, flagver_keyed_row *row, const struct fv_copying *copying,
                   flagver_error *err)
{
    uint8_t bytes[COPYING_BYTES + FLAGVER_ROUTE_KEY_LIMIT];

    return fv_txn_keyed_put(txn, row, (flagver_bytes){ bytes, encode(copying, bytes) }, err);
}

int fv_copying_of(flagver_client *client, const char *name, struct fv_copying *ret_copying,
                  flagver_error *err)
{
    *ret_copying = (struct fv_copying){ 0 };
    return fv_row_of(client, FV_SPACE_COPY, name, decode, ret_copying, err);
}

bool fv_copying_holds(const struct fv_copying *copying, enum fv_side from,
                      const struct fv_fence *authority)
{
    return copying->from == from && fv_fence_gate_holds(authority, copying->epoch);
}

/* ---- in words ---- */

static void write_number(struct fv_text *out, const char *name, double number, bool known)
{
    fv_text_format(out, ",\"%s\":", name);
    if (known)
        fv_canonical_real(out, number);
    else
        fv_text_add(out, "null");
}

void fv_copying_write(struct fv_text *out, const struct fv_copying *copying, enum fv_side from,
                      const struct fv_fence *authority)
{
    const struct fv_headway *headway = &copying->headway;
    int64_t now = fv_now_us(), left = fv_headway_left(headway, now);

    fv_text_add(out, ",\"copying\":");
    if (!fv_copying_holds(copying, from, authority)) {
        fv_text_add(out, "null");
        return;
    }
    fv_text_format(out, "{\"records\":%" PRIu64, headway->records);
    write_number(out, "per_second", round(fv_headway_rate(headway, now) * 10) / 10, true);
    write_number(out, "total", (double)headway->total, headway->total > 0);
    write_number(out, "left_s", round((double)left / 1e5) / 10, left >= 0);
    fv_text_format(out, ",\"since\":%" PRId64 ",\"done\":%s}", headway->began,
                   headway->done ? "true" : "false");
}
