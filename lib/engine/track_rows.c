#include "engine/track_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flagver/track.h"
#include "model/flag.h"
#include "util/fail.h"

#define BETWEEN '\x1f' /* hour, flag and digest: neither has one */
#define HOUR_DIGITS 8
#define HOUR_LAST ((uint32_t)(INT64_MAX / FV_HOUR_US))
#define DIGEST_BYTES 16 /* of variant and event */
#define KEY_SIZE (HOUR_DIGITS + 1 + FV_FLAG_KEY_LIMIT + 1 + 2 * DIGEST_BYTES + 1)
#define LOOK 32 /* rows that are asked for at once where they are of one flag */

uint32_t fv_track_hour(int64_t time)
{
    int64_t hour = time / FV_HOUR_US;

    return hour < 0 ? 0 : (uint32_t)hour; /* HOUR_LAST at most */
}

/* ---- keys ---- */

/* What all keys of this flag in this hour begin with, or of all flags; and comes before them. */
static size_t begin_key(uint32_t hour, const char *flag, char out[KEY_SIZE])
{
    int length = flag ? snprintf(out, KEY_SIZE, "%08" PRIx32 "%c%.*s%c", hour, BETWEEN,
                                 FV_FLAG_KEY_LIMIT, flag, BETWEEN)
                      : snprintf(out, KEY_SIZE, "%08" PRIx32, hour);

    return (size_t)length;
}

static int make_key(flagver_txn *txn, const struct fv_track_name *name, flagver_bytes *ret_key,
                    flagver_error *err)
{
    const struct fv_words parts[] = { { name->variant, strlen(name->variant) + 1 },
                                      { name->event, strlen(name->event) } };
    uint8_t digest[FV_DIGEST_SIZE];
    char key[KEY_SIZE];
    size_t length = begin_key(name->hour, name->flag, key), i;
    int r = fv_txn_digest(txn, parts, sizeof parts / sizeof *parts, digest, err);

    if (r < 0)
        return r;
    for (i = 0; i < DIGEST_BYTES; i++, length += 2)
        snprintf(key + length, 3, "%02x", digest[i]);
    *ret_key = fv_bytes_of(fv_arena_string(fv_txn_arena(txn), key, length), length);
    return ret_key->data ? 0 : fv_fail_memory(err);
}

static int refuse_row(const flagver_keyed_row *row, int code, flagver_error *err)
{
    if (code == FLAGVER_ENOMEM)
        return fv_fail_memory(err);
    return fv_fail(err, code,
                   code == FLAGVER_ESCHEMA
                       ? "row \"%.*s\" of what was tracked was written by a newer version"
                       : "row \"%.*s\" of what was tracked is malformed",
                   (int)row->key.length, (const char *)row->key.data);
}

/* ---- writing ---- */

/* An entry and the key of its row. */
struct item {
    flagver_bytes key;
    const struct fv_track_entry *entry;
};

static int compare_items(const void *a, const void *b)
{
    const flagver_bytes *left = &((const struct item *)a)->key;
    const flagver_bytes *right = &((const struct item *)b)->key;
    int order = memcmp(left->data, right->data,
                       left->length < right->length ? left->length : right->length);

    return order ? order : (left->length > right->length) - (left->length < right->length);
}

struct writing {
    flagver_txn *txn;
    struct item *items; /* in order of their keys */
    size_t count;
    flagver_bytes *keys; /* each once */
    flagver_keyed_row *rows;
    size_t row_count;
    struct fv_text value;
};

static int make_items(struct writing *writing, const struct fv_track_entry *list,
                      flagver_error *err)
{
    struct fv_arena *arena = fv_txn_arena(writing->txn);
    size_t i;
    int r = 0;

    writing->items = fv_arena_allocate(arena, writing->count * sizeof *writing->items);
    writing->keys = fv_arena_allocate(arena, writing->count * sizeof *writing->keys);
    writing->rows = fv_arena_allocate_zeroed(arena, writing->count, sizeof *writing->rows);
    if (!writing->items || !writing->keys || !writing->rows)
        return fv_fail_memory(err);
    for (i = 0; r == 0 && i < writing->count; i++, list = list->next) {
        writing->items[i].entry = list;
        r = make_key(writing->txn, &list->name, &writing->items[i].key, err);
    }
    if (r < 0)
        return r;
    qsort(writing->items, writing->count, sizeof *writing->items, compare_items);
    for (i = 0; i < writing->count; i++)
        if (i == 0 || compare_items(&writing->items[i - 1], &writing->items[i]) != 0)
            writing->keys[writing->row_count++] = writing->items[i].key;
    return 0;
}

static bool same_hour(flagver_bytes a, flagver_bytes b)
{
    return memcmp(a.data, b.data, HOUR_DIGITS) == 0;
}

/* An hour is one scan, from just before the first key that is looked for. */
static int read_hour(struct writing *writing, size_t from, size_t to, flagver_error *err)
{
    flagver_bytes first = writing->keys[from];
    const struct fv_keyed_range range = { .space = FV_TRACK_SPACE,
                                          .prefix = { first.data, HOUR_DIGITS },
                                          .after = { first.data, first.length - 1 } };

    return fv_txn_keyed_get_many(writing->txn, &range, writing->keys + from, to - from,
                                 writing->rows + from, err);
}

static int read_rows(struct writing *writing, flagver_error *err)
{
    size_t from, to;
    int r = 0;

    for (from = 0; r == 0 && from < writing->row_count; from = to) {
        for (to = from + 1;
             to < writing->row_count && same_hour(writing->keys[from], writing->keys[to]); to++)
            ;
        r = read_hour(writing, from, to, err);
    }
    return r;
}

static bool equals(flagver_bytes bytes, const char *text)
{
    return bytes.length == strlen(text) &&
           (bytes.length == 0 || memcmp(bytes.data, text, bytes.length) == 0);
}

/* What the store has; nothing, where it has none. */
static int read_sum(const flagver_keyed_row *row, const struct fv_track_name *name,
                    struct fv_sum *sum, flagver_error *err)
{
    struct fv_sum_name found;
    int r;

    if (row->rev == 0)
        return 0;
    r = fv_sum_decode(row->value.data, row->value.length, NULL, &found, sum);
    if (r == 0 && (!equals(found.variant, name->variant) || !equals(found.event, name->event)))
        r = FLAGVER_ECORRUPT;
    return r < 0 ? refuse_row(row, r, err) : 0;
}

static int stage_row(struct writing *writing, const flagver_keyed_row *before, uint32_t hour,
                     flagver_error *err)
{
    struct fv_arena *arena = fv_txn_arena(writing->txn);
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED, .expect = before->rev };
    flagver_keyed_row *row = fv_arena_allocate(arena, sizeof *row);

    if (!row || writing->value.failed)
        return fv_fail_memory(err);
    *row = *before;
    row->rev = before->rev ? before->rev + 1 : fv_txn_began(writing->txn);
    row->time = (int64_t)hour * FV_HOUR_US;
    row->value.length = writing->value.length;
    row->value.data = fv_arena_string(arena, writing->value.data, writing->value.length);
    if (!row->value.data)
        return fv_fail_memory(err);
    change.row.keyed = row;
    return fv_txn_change(writing->txn, &change, err);
}

/* The items of one row: as a rule one. */
static int add_items(struct writing *writing, const flagver_keyed_row *row,
                     const struct item *items, size_t count, flagver_error *err)
{
    const struct fv_track_name *name = &items->entry->name;
    const struct fv_sum_name stored = { fv_bytes(name->variant), fv_bytes(name->event) };
    struct fv_sum sum = { 0 };
    size_t i;
    int r = read_sum(row, name, &sum, err);

    for (i = 0; r == 0 && i < count; i++)
        if (!fv_sum_merge(&sum, NULL, &items[i].entry->sum))
            r = fv_fail_memory(err);
    if (r == 0) {
        fv_text_reset(&writing->value);
        fv_sum_encode(&writing->value, &stored, &sum);
        r = stage_row(writing, row, name->hour, err);
    }
    fv_sum_clear(&sum, NULL);
    return r;
}

static int add_all(struct writing *writing, flagver_error *err)
{
    size_t from = 0, to, i;
    int r = 0;

    for (i = 0; r == 0 && i < writing->row_count; i++, from = to) {
        for (to = from + 1;
             to < writing->count && compare_items(&writing->items[from], &writing->items[to]) == 0;
             to++)
            ;
        r = add_items(writing, &writing->rows[i], writing->items + from, to - from, err);
    }
    return r;
}

int fv_track_rows_add(flagver_txn *txn, const struct fv_track_entry *list, size_t count,
                      flagver_error *err)
{
    struct writing writing = { .txn = txn, .count = count, .value = FV_TEXT_INIT };
    int r = make_items(&writing, list, err);

    if (r == 0)
        r = read_rows(&writing, err);
    if (r == 0)
        r = add_all(&writing, err);
    fv_text_clear(&writing.value);
    return r;
}

/* ---- deleting ---- */

static int is_left(flagver_txn *txn, int64_t before, flagver_error *err)
{
    const flagver_query query = {
        .kind = FLAGVER_QUERY_KEYED, .space = fv_bytes(FV_TRACK_SPACE), .time = before, .limit = 1
    };
    flagver_cursor *cursor;
    flagver_row row;
    int r = fv_txn_scan(txn, &query, &cursor, err);

    if (r < 0)
        return r;
    r = fv_txn_next(txn, cursor, &row, err);
    fv_txn_end_scan(txn, cursor);
    return r;
}

int fv_track_rows_expire(flagver_txn *txn, uint32_t hour, flagver_error *err)
{
    flagver_keyed_row *row = fv_arena_allocate_zeroed(fv_txn_arena(txn), 1, sizeof *row);
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED_EXPIRE, .expect = FLAGVER_EXPECT_ANY };
    int r;

    if (!row)
        return fv_fail_memory(err);
    row->tenant = fv_bytes(fv_txn_source(txn)->tenant);
    row->space = fv_bytes(FV_TRACK_SPACE);
    row->time = (int64_t)hour * FV_HOUR_US;
    if (row->time == 0)
        return 0; /* there is nothing before it */
    change.row.keyed = row;
    r = fv_txn_change(txn, &change, err);
    return r < 0 ? r : is_left(txn, row->time, err);
}

/* ---- reading ---- */

/* The texts of a row. */
struct found {
    char flag[FV_FLAG_KEY_LIMIT + 1];
    char variant[FV_VARIANT_NAME_LIMIT + 1];
    char event[FLAGVER_EVENT_LIMIT + 1];
    struct fv_track_name name;
};

/* Names are cut at separators, printed, and scraped: what could not have been tracked is none. */
static bool take_name(const char *from, size_t length, size_t limit, char *out)
{
    if (length > limit)
        return false;
    if (length > 0)
        memcpy(out, from, length);
    out[length] = 0;
    return length == 0 || (strlen(out) == length && fv_check_text("name", out, limit, NULL) == 0);
}

static bool take_hour(const char *from, uint32_t *ret_hour)
{
    char digits[HOUR_DIGITS + 1] = "";
    unsigned long hour;

    memcpy(digits, from, HOUR_DIGITS);
    hour = strtoul(digits, NULL, 16);
    *ret_hour = (uint32_t)hour;
    return strspn(digits, "0123456789abcdef") == HOUR_DIGITS && hour <= HOUR_LAST;
}

static bool read_key(flagver_bytes key, struct found *found)
{
    const char *text = key.data, *flag = text + HOUR_DIGITS + 1, *end;

    if (key.length < HOUR_DIGITS + 2 || text[HOUR_DIGITS] != BETWEEN)
        return false;
    end = memchr(flag, BETWEEN, key.length - HOUR_DIGITS - 1);
    found->name = (struct fv_track_name){ found->flag, found->variant, found->event, 0 };
    return end && take_hour(text, &found->name.hour) &&
           take_name(flag, (size_t)(end - flag), FV_FLAG_KEY_LIMIT, found->flag);
}

struct visiting {
    const struct fv_track_span *span;
    int (*visit)(void *data, const struct fv_track_name *name, const struct fv_sum *sum,
                 flagver_error *err);
    void *data;
    char after[KEY_SIZE]; /* where to go on */
    size_t after_length;
};

static int visit_row(const struct visiting *visiting, const flagver_keyed_row *row,
                     struct found *found, flagver_error *err)
{
    struct fv_sum sum = { 0 };
    struct fv_sum_name name;
    int r = fv_sum_decode(row->value.data, row->value.length, NULL, &name, &sum);

    if (r == 0 &&
        (!take_name(name.variant.data, name.variant.length, FV_VARIANT_NAME_LIMIT,
                    found->variant) ||
         !take_name(name.event.data, name.event.length, FLAGVER_EVENT_LIMIT, found->event)))
        r = FLAGVER_ECORRUPT;
    if (r < 0)
        refuse_row(row, r, err);
    else
        r = visiting->visit(visiting->data, &found->name, &sum, err);
    fv_sum_clear(&sum, NULL);
    return r;
}

enum next { NEXT_ROW, NEXT_SCAN, NEXT_NONE };

/* Where the rows of the flag go on, seen from one that is another flag's. */
static void jump(struct visiting *visiting, const struct fv_track_name *name)
{
    bool before = strcmp(name->flag, visiting->span->flag) < 0;

    visiting->after_length = begin_key(before ? name->hour : name->hour + 1, visiting->span->flag,
                                       visiting->after);
}

static int look_at(struct visiting *visiting, const flagver_keyed_row *row, enum next *ret_next,
                   flagver_error *err)
{
    struct found found;

    if (row->key.length >= KEY_SIZE || !read_key(row->key, &found))
        return refuse_row(row, FLAGVER_ECORRUPT, err);
    *ret_next = NEXT_NONE;
    if (found.name.hour >= visiting->span->to)
        return 0;
    if (visiting->span->flag && strcmp(found.flag, visiting->span->flag) != 0) {
        jump(visiting, &found.name);
        *ret_next = NEXT_SCAN;
        return 0;
    }
    *ret_next = NEXT_ROW;
    visiting->after_length = row->key.length;
    memcpy(visiting->after, row->key.data, row->key.length);
    return visit_row(visiting, row, &found, err);
}

/* One scan; rows of a single flag are looked for from hour to hour. */
static int look_along(struct visiting *visiting, struct fv_read *read, enum next *ret_next,
                      flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED,
                                  .space = fv_bytes(FV_TRACK_SPACE),
                                  .after = fv_bytes_of(visiting->after, visiting->after_length),
                                  .limit = visiting->span->flag ? LOOK : 0 };
    uint32_t seen = 0;
    flagver_row row;
    int r = fv_read_scan(read, &query, err);

    *ret_next = NEXT_ROW;
    while (r >= 0 && *ret_next == NEXT_ROW && (r = fv_read_next(read, &row, err)) > 0) {
        seen++;
        r = look_at(visiting, &row.as.keyed, ret_next, err);
    }
    if (*ret_next == NEXT_ROW) /* it has ended: was it all? */
        *ret_next = query.limit && seen == query.limit ? NEXT_SCAN : NEXT_NONE;
    return r < 0 ? r : 0;
}

int fv_track_rows_visit(const struct fv_tenancy *tenancy, const struct fv_track_span *span,
                        int (*visit)(void *data, const struct fv_track_name *name,
                                     const struct fv_sum *sum, flagver_error *err),
                        void *data, flagver_error *err)
{
    struct visiting visiting = { .span = span, .visit = visit, .data = data };
    enum next next = NEXT_SCAN;
    struct fv_read read;
    int r;

    visiting.after_length = begin_key(span->from, span->flag, visiting.after);
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    while (r == 0 && next == NEXT_SCAN)
        r = look_along(&visiting, &read, &next, err);
    fv_read_end(&read);
    return r;
}
