#include "engine/passage.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "model/packed.h"
#include "util/fail.h"

/* ---- the row ---- */

#define FORM 3
#define FROM_NEW 1u
#define DONE 2u

#define PASSAGE_BYTES (9 * FV_PACKED_NUMBER + FV_PACKED_ID + 5 * FV_PACKED_TIME)

static size_t encode(const struct fv_passage *passage, uint8_t *out)
{
    const struct fv_headway *headway = &passage->headway;
    size_t length = strlen(passage->after);
    uint8_t *at = out;

    at = fv_packed_put(at, FORM);
    at = fv_packed_put(at, (passage->from == FV_NEW ? FROM_NEW : 0) | (headway->done ? DONE : 0));
    at = fv_packed_put(at, passage->epoch);
    at = fv_packed_put_id(at, &passage->holder);
    at = fv_packed_put_time(at, passage->until);
    at = fv_packed_put_time(at, headway->began);
    at = fv_packed_put_time(at, headway->last);
    at = fv_packed_put(at, headway->records);
    at = fv_packed_put(at, headway->total);
    for (int i = 0; i < 2; i++) {
        at = fv_packed_put_time(at, headway->marks[i].at);
        at = fv_packed_put(at, headway->marks[i].records);
    }
    at = fv_packed_put(at, passage->differences);
    at = fv_packed_put(at, passage->left_out);
    memcpy(at, passage->after, length);
    return (size_t)(at - out) + length;
}

static int decode(const flagver_bytes *value, void *data, flagver_error *err)
{
    struct fv_packed packed = fv_packed_begin(value->data, value->length);
    uint64_t form = fv_packed_get(&packed, FV_PACKED_MAX);
    uint64_t bits = fv_packed_get(&packed, FROM_NEW | DONE);
    struct fv_passage passage = { .epoch = fv_packed_get(&packed, FV_PACKED_MAX) };
    struct fv_headway *headway = &passage.headway;
    size_t length;

    passage.from = bits & FROM_NEW ? FV_NEW : FV_OLD;
    passage.holder = fv_packed_get_id(&packed);
    passage.until = fv_packed_get_time(&packed);
    headway->done = bits & DONE;
    headway->began = fv_packed_get_time(&packed);
    headway->last = fv_packed_get_time(&packed);
    headway->records = fv_packed_get(&packed, FV_PACKED_MAX);
    headway->total = fv_packed_get(&packed, FV_PACKED_MAX);
    for (int i = 0; i < 2; i++) {
        headway->marks[i].at = fv_packed_get_time(&packed);
        headway->marks[i].records = fv_packed_get(&packed, FV_PACKED_MAX);
    }
    passage.differences = fv_packed_get(&packed, FV_PACKED_MAX);
    passage.left_out = fv_packed_get(&packed, FV_PACKED_MAX);
    length = (size_t)(packed.end - packed.next);
    if (packed.bad || form != FORM || length > FLAGVER_ROUTE_KEY_LIMIT)
        return fv_fail(err, FLAGVER_ECORRUPT, "how far a copy or a comparison is cannot be read");
    memcpy(passage.after, packed.next, length);
    *(struct fv_passage *)data = passage;
    return 0;
}

int fv_passage_get(flagver_txn *txn, const char *space, const char *name,
                   flagver_keyed_row *ret_row, struct fv_passage *ret_passage, flagver_error *err)
{
    struct fv_row_key key;
    int r;

    fv_row_key(name, NULL, 0, &key);
    *ret_passage = (struct fv_passage){ 0 };
    r = fv_txn_keyed_get(txn, space, fv_row_key_bytes(&key), ret_row, err);
    if (r < 0 || ret_row->rev == 0)
        return r;
    return decode(&ret_row->value, ret_passage, err);
}

int fv_passage_put(flagver_txn *txn, flagver_keyed_row *row, const struct fv_passage *passage,
                   flagver_error *err)
{
    uint8_t bytes[PASSAGE_BYTES + FLAGVER_ROUTE_KEY_LIMIT];

    return fv_txn_keyed_put(txn, row, (flagver_bytes){ bytes, encode(passage, bytes) }, err);
}

int fv_passage_of(flagver_client *client, const char *space, const char *name,
                  struct fv_passage *ret_passage, flagver_error *err)
{
    *ret_passage = (struct fv_passage){ 0 };
    return fv_row_of(client, space, name, decode, ret_passage, err);
}

struct forgetting {
    const char *space, *name;
};

static int forget(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct forgetting *forgetting = data;
    struct fv_passage passage;
    flagver_keyed_row row;
    int r;

    r = fv_passage_get(txn, forgetting->space, forgetting->name, &row, &passage, err);
    return r < 0 || row.rev == 0 ? r : fv_txn_keyed_delete(txn, &row, err);
}

int fv_passage_forget(flagver_client *client, const char *space, const char *name,
                      flagver_error *err)
{
    return fv_steering_run_on(client, forget, &(struct forgetting){ space, name }, err);
}

int fv_passages_of(flagver_client *client, const char *name, struct fv_passages *ret_passages,
                   flagver_error *err)
{
    int r;

    r = fv_passage_of(client, FV_SPACE_COPY, name, &ret_passages->copy, err);
    if (r < 0)
        return r;
    return fv_passage_of(client, FV_SPACE_COMPARISON, name, &ret_passages->comparison, err);
}

bool fv_passage_holds(const struct fv_passage *passage, enum fv_side from,
                      const struct fv_fence *authority)
{
    return passage->from == from && fv_fence_is_current(authority, passage->epoch);
}

/* ---- in words ---- */

static void write_known(struct fv_text *out, const char *name, bool known, uint64_t number,
                        int decimals)
{
    fv_text_format(out, ",\"%s\":", name);
    if (known)
        fv_text_add_decimal(out, number, decimals);
    else
        fv_text_add(out, "null");
}

void fv_passage_write(struct fv_text *out, bool compares, const struct fv_passage *passage,
                      enum fv_side from, const struct fv_fence *authority)
{
    const struct fv_headway *headway = &passage->headway;
    int64_t now = fv_now_us(), left = fv_headway_left(headway, now);

    fv_text_add(out, compares ? ",\"comparing\":" : ",\"copying\":");
    if (!fv_passage_holds(passage, from, authority)) {
        fv_text_add(out, "null");
        return;
    }
    fv_text_format(out, "{\"records\":%" PRIu64, headway->records);
    write_known(out, "per_second", true, (uint64_t)round(fv_headway_rate(headway, now) * 10), 1);
    write_known(out, "total", headway->total > 0, headway->total, 0);
    write_known(out, "left_s", left >= 0, left < 0 ? 0 : (uint64_t)left / 100000, 1);
    if (compares)
        fv_text_format(out, ",\"differences\":%" PRIu64 ",\"left_out\":%" PRIu64,
                       passage->differences, passage->left_out);
    fv_text_format(out, ",\"since\":%" PRId64 ",\"done\":%s}", headway->began,
                   headway->done ? "true" : "false");
}
