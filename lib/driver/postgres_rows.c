#include "driver/postgres_rows.h"

#include <stddef.h>

/* What types are called in every PostgreSQL, and arrays of them. */
#define OID_BYTEA 17
#define OID_BYTEAS 1001
#define OID_INT8 20
#define OID_INT8S 1016
#define OID_TEXT 25
#define OID_TEXTS 1009
#define OID_UUID 2950
#define OID_UUIDS 2951

/* ---- the columns ---- */

#define COLUMN(member, row, name)           \
    {                                       \
        FV_PG_##member, offsetof(row, name) \
    }
#define COLUMNS(list)                    \
    {                                    \
        list, sizeof list / sizeof *list \
    }

static const struct fv_pg_column series[] = {
    COLUMN(ID, flagver_series_row, id),
    COLUMN(TEXT, flagver_series_row, phase),
    COLUMN(TEXT, flagver_series_row, subject),
    COLUMN(UINT32_OR_NULL, flagver_series_row, last_no),
    COLUMN(UINT32_OR_NULL, flagver_series_row, current_no),
    COLUMN(INT64, flagver_series_row, rev),
    COLUMN(INT64, flagver_series_row, changed_at),
};

static const struct fv_pg_column payload[] = {
    COLUMN(ID, flagver_payload_row, id),
    COLUMN(UINT32_OR_NULL, flagver_payload_row, key),
    COLUMN(BYTES, flagver_payload_row, salt),
    COLUMN(BYTES, flagver_payload_row, body),
};

static const struct fv_pg_column version[] = {
    COLUMN(ID, flagver_version_row, series),
    COLUMN(UINT32, flagver_version_row, no),
    COLUMN(ID, flagver_version_row, id),
    COLUMN(INT32, flagver_version_row, state),
    COLUMN(UINT32, flagver_version_row, bits),
    COLUMN(INT64, flagver_version_row, rev),
    COLUMN(UINT32_OR_NULL, flagver_version_row, parent_no),
    COLUMN(UINT32_OR_NULL, flagver_version_row, base_no),
    COLUMN(UINT32_OR_NULL, flagver_version_row, reverts_no),
    COLUMN(UINT32_OR_NULL, flagver_version_row, superseded_by),
    COLUMN(INT64, flagver_version_row, created_at),
    COLUMN(TEXT, flagver_version_row, created_by),
    COLUMN(INT64_OR_NULL, flagver_version_row, submitted_at),
    COLUMN(INT64_OR_NULL, flagver_version_row, decided_at),
    COLUMN(TEXT, flagver_version_row, decided_by),
    COLUMN(INT64_OR_NULL, flagver_version_row, superseded_at),
    COLUMN(TEXT, flagver_version_row, note),
    COLUMN(ID, flagver_version_row, payload_id),
    COLUMN(HASH, flagver_version_row, content_hash),
};

static const struct fv_pg_column item[] = {
    COLUMN(ID, flagver_item_row, series),
    COLUMN(UINT32, flagver_item_row, no),
    COLUMN(TEXT, flagver_item_row, key),
    COLUMN(INT32, flagver_item_row, status),
    COLUMN(UINT32_OR_NULL, flagver_item_row, origin_no),
    COLUMN(INT64_OR_NULL, flagver_item_row, decided_at),
    COLUMN(TEXT, flagver_item_row, decided_by),
    COLUMN(TEXT, flagver_item_row, note),
    COLUMN(ID, flagver_item_row, payload_id),
    COLUMN(HASH, flagver_item_row, hash),
};

static const struct fv_pg_column vote[] = {
    COLUMN(ID, flagver_vote_row, series),  COLUMN(UINT32, flagver_vote_row, no),
    COLUMN(TEXT, flagver_vote_row, actor), COLUMN(HASH, flagver_vote_row, content_hash),
    COLUMN(INT64, flagver_vote_row, time), COLUMN(TEXT, flagver_vote_row, note),
};

static const struct fv_pg_column contributor[] = {
    COLUMN(ID, flagver_contributor_row, series),
    COLUMN(UINT32, flagver_contributor_row, no),
    COLUMN(TEXT, flagver_contributor_row, actor),
};

static const struct fv_pg_column leaf[] = {
    COLUMN(INT64, flagver_leaf_row, no),
    COLUMN(BYTES, flagver_leaf_row, leaf),
    COLUMN(HASH, flagver_leaf_row, hash),
};

static const struct fv_pg_column node[] = {
    COLUMN(UINT32, flagver_node_row, level),
    COLUMN(INT64, flagver_node_row, index),
    COLUMN(HASH, flagver_node_row, hash),
};

static const struct fv_pg_column head[] = {
    COLUMN(INT64, flagver_log_row, size),
    COLUMN(BYTES, flagver_log_row, frontier),
};

static const struct fv_pg_column keyed[] = {
    COLUMN(TEXT, flagver_keyed_row, space),  COLUMN(TEXT, flagver_keyed_row, key),
    COLUMN(INT64, flagver_keyed_row, rev),   COLUMN(INT64, flagver_keyed_row, time),
    COLUMN(BYTES, flagver_keyed_row, value),
};

static const struct fv_pg_column expiry[] = {
    COLUMN(TEXT, flagver_keyed_row, space),
    COLUMN(INT64, flagver_keyed_row, time),
};

const struct fv_pg_columns fv_pg_series_columns = COLUMNS(series);
const struct fv_pg_columns fv_pg_payload_columns = COLUMNS(payload);
const struct fv_pg_columns fv_pg_version_columns = COLUMNS(version);
const struct fv_pg_columns fv_pg_item_columns = COLUMNS(item);
const struct fv_pg_columns fv_pg_vote_columns = COLUMNS(vote);
const struct fv_pg_columns fv_pg_contributor_columns = COLUMNS(contributor);
const struct fv_pg_columns fv_pg_leaf_columns = COLUMNS(leaf);
const struct fv_pg_columns fv_pg_node_columns = COLUMNS(node);
const struct fv_pg_columns fv_pg_head_columns = COLUMNS(head);
const struct fv_pg_columns fv_pg_keyed_columns = COLUMNS(keyed);
const struct fv_pg_columns fv_pg_expiry_columns = COLUMNS(expiry);

/* ---- values in PostgreSQL's binary form ---- */

/* The pointers of the union are all alike. */
static const void *row_of(const flagver_change *change)
{
    return change->row.series;
}

static void put_big_endian(unsigned char *bytes, uint64_t number, int size)
{
    while (size-- > 0) {
        bytes[size] = (unsigned char)number;
        number >>= 8;
    }
}

static flagver_bytes number_value(int64_t number, unsigned char room[8])
{
    put_big_endian(room, (uint64_t)number, 8);
    return (flagver_bytes){ room, 8 };
}

static flagver_bytes positive_value(int64_t number, unsigned char room[8])
{
    return number ? number_value(number, room) : (flagver_bytes){ NULL, 0 };
}

/* `room` holds it when it is a number; no address: null. */
static flagver_bytes value_of(const struct fv_pg_column *column, const void *row,
                              unsigned char room[8])
{
    const void *member = (const char *)row + column->at;

    switch (column->member) {
    case FV_PG_INT32:
        return number_value(*(const int32_t *)member, room);
    case FV_PG_UINT32:
        return number_value(*(const uint32_t *)member, room);
    case FV_PG_UINT32_OR_NULL:
        return positive_value(*(const uint32_t *)member, room);
    case FV_PG_INT64:
        return number_value(*(const int64_t *)member, room);
    case FV_PG_INT64_OR_NULL:
        return positive_value(*(const int64_t *)member, room);
    case FV_PG_ID:
        return (flagver_bytes){ member, 16 };
    case FV_PG_HASH:
        return (flagver_bytes){ member, 32 };
    case FV_PG_TEXT:
    case FV_PG_BYTES:
        break;
    }
    return *(const flagver_bytes *)member;
}

static void type_of(enum fv_pg_member member, Oid *ret_type, Oid *ret_array)
{
    switch (member) {
    case FV_PG_ID:
        *ret_type = OID_UUID;
        *ret_array = OID_UUIDS;
        return;
    case FV_PG_TEXT:
        *ret_type = OID_TEXT;
        *ret_array = OID_TEXTS;
        return;
    case FV_PG_HASH:
    case FV_PG_BYTES:
        *ret_type = OID_BYTEA;
        *ret_array = OID_BYTEAS;
        return;
    default:
        *ret_type = OID_INT8;
        *ret_array = OID_INT8S;
    }
}

static void add(struct fv_pg_parameters *parameters, Oid type, flagver_bytes value)
{
    int at = parameters->count++;

    parameters->types[at] = type;
    parameters->values[at] = value.data;
    parameters->lengths[at] = (int)value.length;
    parameters->formats[at] = 1;
}

/* ---- one row ---- */

void fv_pg_fill(struct fv_pg_parameters *parameters, const struct fv_pg_columns *columns,
                size_t count, const flagver_change *change)
{
    const struct fv_pg_column *column;
    Oid type, array;

    for (column = columns->list; column < columns->list + count; column++) {
        type_of(column->member, &type, &array);
        add(parameters, type,
            value_of(column, row_of(change), parameters->numbers[parameters->count]));
    }
}

/* ---- many ---- */

static void put_int32(struct fv_text *out, uint32_t number)
{
    unsigned char bytes[4];

    put_big_endian(bytes, number, 4);
    fv_text_add_bytes(out, (const char *)bytes, sizeof bytes);
}

/* One dimension, from 1 on; some of the elements may be null. */
static void put_array_head(struct fv_text *out, Oid type, size_t rows)
{
    put_int32(out, 1);
    put_int32(out, 1);
    put_int32(out, (uint32_t)type);
    put_int32(out, (uint32_t)rows);
    put_int32(out, 1);
}

/* Is there one that is not null? */
static bool put_elements(struct fv_text *out, const struct fv_pg_column *column,
                         const flagver_change *changes, size_t count, int32_t kind)
{
    unsigned char number[8];
    flagver_bytes value;
    bool some = false;
    size_t i;

    for (i = 0; i < count; i++) {
        if (changes[i].kind != kind)
            continue;
        value = value_of(column, row_of(&changes[i]), number);
        put_int32(out, value.data ? (uint32_t)value.length : UINT32_MAX);
        fv_text_add_bytes(out, value.data, value.length);
        some = some || value.data;
    }
    return some;
}

bool fv_pg_fill_many(struct fv_pg_parameters *parameters, const struct fv_pg_columns *columns,
                     const flagver_change *changes, size_t count, int32_t kind, size_t rows,
                     struct fv_text *room)
{
    size_t starts[FV_PG_PARAMETERS], c;
    bool some[FV_PG_PARAMETERS];
    int first = parameters->count;
    Oid type, array;

    fv_text_reset(room);
    for (c = 0; c < columns->count; c++) {
        type_of(columns->list[c].member, &type, &array);
        starts[c] = room->length;
        put_array_head(room, type, rows);
        some[c] = put_elements(room, &columns->list[c], changes, count, kind);
        add(parameters, array, (flagver_bytes){ NULL, room->length - starts[c] });
    }
    if (room->failed)
        return false;
    for (c = 0; c < columns->count; c++) /* now that it does not move any more */
        parameters->values[first + (int)c] = some[c] ? room->data + starts[c] : NULL;
    return true;
}
