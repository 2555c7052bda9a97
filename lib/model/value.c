#include "model/value.h"

#include <math.h>

#include "util/hash.h"

#define TWO_53 9007199254740992.0
#define TWO_63 9223372036854775808.0

uint32_t fv_name_hash(const char *name, size_t length)
{
    return (uint32_t)fv_hash(name, length);
}

const struct fv_value *fv_members_find(const struct fv_member *members, size_t count,
                                       const char *name, size_t length, uint32_t hash)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (members[i].hash == hash && members[i].length == length &&
            fv_equal(members[i].name, name, length))
            return &members[i].value;
    return NULL;
}

bool fv_real_to_integer(double real, int64_t *ret_integer)
{
    if (!(real >= -TWO_53 && real <= TWO_53) || real != floor(real))
        return false;
    *ret_integer = (int64_t)real;
    return true;
}

bool fv_integer_to_real(int64_t integer, double *ret_real)
{
    double real = (double)integer;

    /* 2^63 is what the largest integers round up to; it is no int64_t. */
    if (real >= TWO_63 || (int64_t)real != integer)
        return false;
    *ret_real = real;
    return true;
}

static int compare_integers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_reals(double a, double b)
{
    if (isnan(a) || isnan(b))
        return 2;
    return (a > b) - (a < b);
}

/* Converting the integer would round it: compare whole parts as integers. */
static int compare_integer_to_real(int64_t integer, double real)
{
    double whole;
    int order;

    if (isnan(real))
        return 2;
    if (real >= TWO_63)
        return -1;
    if (real < -TWO_63)
        return 1;

    whole = floor(real);
    order = compare_integers(integer, (int64_t)whole);
    return order == 0 && real > whole ? -1 : order;
}

int fv_number_compare(const struct fv_value *a, const struct fv_value *b)
{
    int order;

    if (a->kind == FV_INTEGER && b->kind == FV_INTEGER)
        return compare_integers(a->as.integer, b->as.integer);
    if (a->kind == FV_REAL && b->kind == FV_REAL)
        return compare_reals(a->as.real, b->as.real);
    if (a->kind == FV_INTEGER)
        return compare_integer_to_real(a->as.integer, b->as.real);
    order = compare_integer_to_real(b->as.integer, a->as.real);
    return order == 2 ? 2 : -order;
}
