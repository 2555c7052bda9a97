#include "model/semver.h"

#include <string.h>

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool is_identifier(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static inline bool read_number(const char **at, const char *end, struct fv_semver_slice *ret)
{
    const char *start = *at, *next = start;

    while (next < end && is_digit(*next))
        next++;
    ret->text = start;
    ret->length = (size_t)(next - start);
    *at = next;
    return ret->length == 1 || (ret->length > 1 && *start != '0');
}

/* An identifier made of digits only is a number. */
static bool is_number(const char *identifier, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++) {
        if (!is_digit(identifier[i]))
            return false;
    }
    return true;
}

/* Identifiers with dots between them. Those of the build may have leading zeros. */
static bool read_identifiers(const char **at, const char *end, bool build,
                             struct fv_semver_slice *ret)
{
    const char *next = *at;

    ret->text = next;
    for (;;) {
        const char *start = next;
        size_t length;

        while (next < end && is_identifier(*next))
            next++;
        length = (size_t)(next - start);
        if (length == 0)
            return false;
        if (!build && *start == '0' && length > 1 && is_number(start, length))
            return false;
        if (next == end || *next != '.')
            break;
        next++;
    }
    ret->length = (size_t)(next - ret->text);
    *at = next;
    return true;
}

bool fv_semver_parse(const char *text, size_t length, struct fv_semver *ret)
{
    static const struct fv_semver_slice zero = { "0", 1 }, none = { "", 0 };
    const char *at = text, *end = text + length;
    struct fv_semver_slice build;
    int i;

    if (at < end && *at == 'v')
        at++;
    if (!read_number(&at, end, &ret->core[0]))
        return false;
    for (i = 1; i < 3 && at < end && *at == '.'; i++) {
        at++;
        if (!read_number(&at, end, &ret->core[i]))
            return false;
    }
    for (; i < 3; i++)
        ret->core[i] = zero;
    ret->prerelease = none;
    if (at == end)
        return true;

    if (*at == '-') {
        at++;
        if (!read_identifiers(&at, end, false, &ret->prerelease))
            return false;
    }
    if (at < end && *at == '+') {
        at++;
        if (!read_identifiers(&at, end, true, &build))
            return false;
    }
    return at == end;
}

static inline int sign(bool less, bool more)
{
    return (int)more - (int)less;
}

/* Without leading zeros the longer number is the greater one. */
static int compare_numbers(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t i = 0;

    if (a_length != b_length)
        return sign(a_length<b_length, a_length> b_length);
    while (i < a_length && a[i] == b[i])
        i++;
    return i == a_length ? 0 : sign(a[i]<b[i], a[i]> b[i]);
}

static int compare_words(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);

    if (order != 0)
        return sign(order<0, order> 0);
    return sign(a_length<b_length, a_length> b_length);
}

static int compare_identifiers(const char *a, size_t a_length, const char *b, size_t b_length)
{
    bool a_number = is_number(a, a_length), b_number = is_number(b, b_length);

    if (a_number && b_number)
        return compare_numbers(a, a_length, b, b_length);
    if (a_number || b_number)
        return a_number ? -1 : 1;
    return compare_words(a, a_length, b, b_length);
}

static size_t identifier_length(const char *at, const char *end)
{
    const char *next = at;

    while (next < end && *next != '.')
        next++;
    return (size_t)(next - at);
}

static int compare_prereleases(const struct fv_semver_slice *a, const struct fv_semver_slice *b)
{
    const char *x = a->text, *x_end = x + a->length, *y = b->text, *y_end = y + b->length;

    /* A release comes after everything that led to it. */
    if (a->length == 0 || b->length == 0)
        return sign(a->length > b->length, a->length < b->length);
    for (;;) {
        size_t x_length = identifier_length(x, x_end), y_length = identifier_length(y, y_end);
        int order = compare_identifiers(x, x_length, y, y_length);

        if (order != 0)
            return order;
        x += x_length;
        y += y_length;
        if (x == x_end || y == y_end)
            return sign(x == x_end && y < y_end, x < x_end && y == y_end);
        x++;
        y++;
    }
}

int fv_semver_compare(const struct fv_semver *a, const struct fv_semver *b)
{
    int i;

    for (i = 0; i < 3; i++) {
        int order = compare_numbers(a->core[i].text, a->core[i].length, b->core[i].text,
                                    b->core[i].length);

        if (order != 0)
            return order;
    }
    return compare_prereleases(&a->prerelease, &b->prerelease);
}
