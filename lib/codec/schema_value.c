/*
 * When JSON Schema says that two values are the same: 1 and 1.0 are, and so are
 * objects whose members stand in another order.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec/canonical.h"
#include "codec/schema_node.h"
#include "model/value.h"
#include "util/hash.h"

/* ---- numbers ---- */

bool fv_schema_is_whole(const json_t *number)
{
    double real;

    if (json_is_integer(number))
        return true;
    real = json_real_value(number);
    return floor(real) == real;
}

static struct fv_value number_of(const json_t *number)
{
    struct fv_value value = { .kind = FV_INTEGER };

    if (json_is_integer(number)) {
        value.as.integer = json_integer_value(number);
    } else {
        value.kind = FV_REAL;
        value.as.real = json_real_value(number);
    }
    return value;
}

int fv_schema_order(const json_t *a, const json_t *b)
{
    const struct fv_value one = number_of(a), other = number_of(b);

    return fv_number_compare(&one, &other);
}

/* digits × ten to the exponent; the sign is nobody's business here. */
struct decimal {
    uint64_t digits; /* below 2^63 + 1 */
    long exponent;
};

/* The shortest decimal that reads as this double: what somebody wrote, up to 15 digits. */
static int read_real(double real, struct decimal *decimal)
{
    struct fv_text text = FV_TEXT_INIT;
    bool behind_point = false;
    const char *at;

    fv_canonical_real(&text, fabs(real));
    if (text.failed) {
        fv_text_clear(&text);
        return FLAGVER_ENOMEM;
    }
    for (at = text.data; *at && *at != 'e'; at++) {
        if (*at == '.') {
            behind_point = true;
            continue;
        }
        decimal->digits = decimal->digits * 10 + (uint64_t)(*at - '0');
        decimal->exponent -= behind_point;
    }
    if (*at == 'e')
        decimal->exponent += strtol(at + 1, NULL, 10);
    fv_text_clear(&text);
    return 0;
}

static int read_decimal(const json_t *number, struct decimal *decimal)
{
    int64_t integer;

    *decimal = (struct decimal){ 0 };
    if (json_is_real(number))
        return read_real(json_real_value(number), decimal);
    integer = json_integer_value(number);
    decimal->digits = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    return 0;
}

/* number × 2 and × 10 modulo one that is at most 2^63; the number is below it. */
static uint64_t twice(uint64_t number, uint64_t modulus)
{
    return number * 2 % modulus;
}

static uint64_t times_ten(uint64_t number, uint64_t modulus)
{
    uint64_t two = twice(number, modulus), eight = twice(twice(two, modulus), modulus);

    return eight >= modulus - two ? eight - (modulus - two) : eight + two;
}

static bool divides(struct decimal a, struct decimal b)
{
    uint64_t rest;

    if (a.digits == 0)
        return true;
    for (; a.exponent < b.exponent; a.exponent++) {
        if (a.digits % 10)
            return false;
        a.digits /= 10;
    }
    rest = a.digits % b.digits;
    for (; rest && a.exponent > b.exponent; a.exponent--)
        rest = times_ten(rest, b.digits);
    return rest == 0;
}

int fv_schema_is_multiple(const json_t *a, const json_t *b, bool *ret_multiple)
{
    struct decimal value, unit;
    int r;

    r = read_decimal(a, &value);
    if (r == 0)
        r = read_decimal(b, &unit);
    if (r == 0)
        *ret_multiple = divides(value, unit);
    return r;
}

/* ---- any value ---- */

static bool spend(uint32_t *budget, size_t cost)
{
    *budget = cost < *budget ? *budget - (uint32_t)cost : 0;
    return *budget > 0;
}

static bool same_members(const json_t *a, const json_t *b, uint32_t *budget)
{
    const json_t *other;
    const char *key;
    json_t *member;

    if (json_object_size(a) != json_object_size(b))
        return false;
    json_object_foreach((json_t *)a, key, member)
    {
        other = json_object_get(b, key);
        if (!other || !fv_schema_same(member, other, budget))
            return false;
    }
    return true;
}

static bool same_elements(const json_t *a, const json_t *b, uint32_t *budget)
{
    size_t i;

    if (json_array_size(a) != json_array_size(b))
        return false;
    for (i = 0; i < json_array_size(a); i++)
        if (!fv_schema_same(json_array_get(a, i), json_array_get(b, i), budget))
            return false;
    return true;
}

static bool same_string(const json_t *a, const json_t *b, uint32_t *budget)
{
    size_t length = json_string_length(a);

    return length == json_string_length(b) && spend(budget, length / 256 + 1) &&
           memcmp(json_string_value(a), json_string_value(b), length) == 0;
}

/* Recursion is as deep as the parser allows JSON to nest. */
bool fv_schema_same(const json_t *a, const json_t *b, uint32_t *budget)
{
    if (!spend(budget, 1))
        return false;
    if (json_is_number(a) && json_is_number(b))
        return fv_schema_order(a, b) == 0;
    if (json_typeof(a) != json_typeof(b))
        return false;
    switch (json_typeof(a)) {
    case JSON_OBJECT:
        return same_members(a, b, budget);
    case JSON_ARRAY:
        return same_elements(a, b, budget);
    case JSON_STRING:
        return same_string(a, b, budget);
    default:
        return true;
    }
}

static uint64_t mix(uint64_t state, uint64_t word)
{
    return fv_hash_mix(state ^ word, FV_HASH_B) + FV_HASH_A;
}

static uint64_t hash_number(const json_t *number)
{
    double real;
    uint64_t bits;
    int64_t integer;

    if (json_is_integer(number)) {
        integer = json_integer_value(number);
        /* Beyond 2^53 several integers share a double; those that do not may share a hash. */
        real = (double)integer;
    } else {
        real = json_real_value(number);
    }
    real += 0.0; /* -0.0 is 0.0 */
    memcpy(&bits, &real, sizeof bits);
    return mix(JSON_REAL, bits);
}

/* A sum, so that the order of the members does not matter. */
static uint64_t hash_members(const json_t *value, uint32_t *budget)
{
    uint64_t sum = 0;
    const char *key;
    json_t *member;

    json_object_foreach((json_t *)value, key, member)
        sum += mix(fv_hash(key, strlen(key)), fv_schema_hash(member, budget));
    return sum;
}

uint64_t fv_schema_hash(const json_t *value, uint32_t *budget)
{
    uint64_t state = mix(FV_HASH_A, (uint64_t)json_typeof(value));
    size_t i;

    if (!spend(budget, 1))
        return 0;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return mix(state, hash_members(value, budget));
    case JSON_ARRAY:
        for (i = 0; i < json_array_size(value); i++)
            state = mix(state, fv_schema_hash(json_array_get(value, i), budget));
        return state;
    case JSON_STRING:
        spend(budget, json_string_length(value) / 256);
        return mix(state, fv_hash(json_string_value(value), json_string_length(value)));
    case JSON_INTEGER:
    case JSON_REAL:
        return hash_number(value);
    default:
        return state;
    }
}
