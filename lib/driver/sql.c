#include "driver/sql.h"

#include <string.h>

#include "util/fail.h"
#include "util/utf8.h"

#define OPEN_STATES ((1u << FLAGVER_STATE_DRAFT) | (1u << FLAGVER_STATE_SUBMITTED))

/* ---- queries ---- */

bool fv_query_is_of_one_series(const flagver_query *query)
{
    return query->phase.data && query->subject.data && !query->prefix;
}

bool fv_query_is_of_all_series(const flagver_query *query)
{
    static const flagver_id none;

    return memcmp(&query->id, &none, sizeof none) == 0;
}

bool fv_query_wants_open(const flagver_query *query)
{
    return query->pick == FLAGVER_PICK_ALL && query->states && !(query->states & ~OPEN_STATES) &&
           !fv_query_is_of_one_series(query);
}

int fv_query_lowest_open_state(const flagver_query *query)
{
    return query->states & (1u << FLAGVER_STATE_DRAFT) ? FLAGVER_STATE_DRAFT
                                                       : FLAGVER_STATE_SUBMITTED;
}

void fv_query_numbers(const flagver_query *query, int64_t *ret_low, int64_t *ret_high)
{
    int64_t from = query->from > INT64_MAX ? INT64_MAX : (int64_t)query->from;

    *ret_low = query->no;
    *ret_high = INT64_MAX;
    switch (query->kind) {
    case FLAGVER_QUERY_LEAVES:
        *ret_low = from;
        break;
    case FLAGVER_QUERY_NODES:
        *ret_low = from;
        *ret_high = query->no;
        break;
    case FLAGVER_QUERY_VOTES:
    case FLAGVER_QUERY_CONTRIBUTORS:
        if (query->no)
            *ret_high = query->no;
        break;
    case FLAGVER_QUERY_VERSIONS:
        if (query->pick == FLAGVER_PICK_ALL)
            *ret_low = query->backwards ? 0 : query->after_no;
        if (query->backwards && query->after_no)
            *ret_high = query->after_no;
        break;
    default:
        break;
    }
}

/* ---- descriptions ---- */

void fv_description_add(struct fv_text *text, const char *name, const char *value)
{
    const char *at = value, *end = value + strlen(value);
    uint32_t code_point;
    char bytes[4];

    fv_text_format(text, "\"%s\":\"", name);
    while (at < end) {
        code_point = fv_utf8_next(&at, end);
        if (code_point < 0x20 || code_point == '"' || code_point == '\\')
            fv_text_format(text, "\\u%04x", (unsigned)code_point);
        else
            fv_text_add_bytes(text, bytes, fv_utf8_encode(code_point, bytes));
    }
    fv_text_add(text, "\"");
}

int fv_description_give(struct fv_text *text, char *buffer, size_t size, flagver_error *err)
{
    int r = 0;

    if (text->failed)
        r = fv_fail_memory(err);
    else if (text->length >= size)
        r = fv_fail(err, FLAGVER_EINVAL, "the description is %zu bytes; there is room for %zu",
                    text->length + 1, size);
    else
        memcpy(buffer, text->data, text->length + 1);
    fv_text_clear(text);
    return r;
}

/* ---- what is wrong with a schema ---- */

static int say(struct fv_saying *saying, void (*to)(void *data, const char *line),
               flagver_error *err)
{
    if (saying->line.failed)
        return fv_fail_memory(err);
    if (to)
        to(saying->data, saying->line.data);
    fv_text_reset(&saying->line);
    return 0;
}

int fv_say_found(struct fv_saying *saying, flagver_error *err)
{
    saying->fine = false;
    return say(saying, saying->found, err);
}

int fv_say_fine(struct fv_saying *saying, flagver_error *err)
{
    return say(saying, saying->checked, err);
}
