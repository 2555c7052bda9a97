/*
 * Values: what attributes of a context hold and what flags serve.
 *
 * A value is 16 bytes and points into memory that belongs to somebody else:
 * the context's or the flag's arena.
 */
#ifndef FV_MODEL_VALUE_H
#define FV_MODEL_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fv_kind {
    FV_NULL,
    FV_BOOL,
    FV_INTEGER,
    FV_REAL,
    FV_STRING,   /* `count` bytes and a NUL */
    FV_DATETIME, /* `integer`: milliseconds since the epoch */
    FV_LIST,     /* `count` items */
    FV_OBJECT    /* `count` members */
};

struct fv_member;

union fv_payload {
    bool boolean;
    int64_t integer;
    double real;
    const char *string;
    const struct fv_value *items;
    const struct fv_member *members;
};

struct fv_value {
    uint32_t kind;
    uint32_t count;
    union fv_payload as;
};

struct fv_member {
    const char *name;
    uint32_t length;
    uint32_t hash; /* of the name: fv_name_hash() */
    struct fv_value value;
};

uint32_t fv_name_hash(const char *name, size_t length);

/* The member of that name, the first of several; NULL when there is none. */
const struct fv_value *fv_members_find(const struct fv_member *members, size_t count,
                                       const char *name, size_t length, uint32_t hash);

/* A whole real within ±2^53 as an integer, exactly. */
bool fv_real_to_integer(double real, int64_t *ret_integer);

/* An integer as a real, when that is exactly the same. */
bool fv_integer_to_real(int64_t integer, double *ret_real);

/*
 * Compare two numbers (FV_INTEGER or FV_REAL) by their exact values: -1, 0, 1.
 * A NaN is unequal to and not ordered with everything: 2.
 */
int fv_number_compare(const struct fv_value *a, const struct fv_value *b);

static inline bool fv_is_number(const struct fv_value *value)
{
    return value->kind == FV_INTEGER || value->kind == FV_REAL;
}

#endif
