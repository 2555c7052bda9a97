#include "model/regex_source.h"

#include <string.h>

#include "util/utf8.h"

int fv_regex_fail(const struct fv_regex_source *source, const char *place, const char *words)
{
    return fv_fail(source->err, FLAGVER_EPARSE, "regular expression: %s at byte %zu", words,
                   (size_t)(place - source->pattern) + 1);
}

bool fv_regex_looking_at(const struct fv_regex_source *source, const char *words)
{
    size_t length = strlen(words);

    return (size_t)(source->end - source->at) >= length && memcmp(source->at, words, length) == 0;
}

bool fv_regex_skip(struct fv_regex_source *source, const char *words)
{
    if (!fv_regex_looking_at(source, words))
        return false;
    source->at += strlen(words);
    return true;
}

/* Escapes. */

static int hexadecimal(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Behind \x: two digits, or any number of them in braces. */
static int read_hexadecimal(struct fv_regex_source *source, const char *place,
                            uint32_t *ret_code_point)
{
    bool braces = fv_regex_skip(source, "{");
    uint32_t value = 0;
    int digits, digit;

    for (digits = 0; source->at < source->end && (braces || digits < 2); digits++) {
        digit = hexadecimal(*source->at);
        if (digit < 0)
            break;
        value = value << 4 | (uint32_t)digit;
        if (value > FV_UTF8_LARGEST)
            return fv_regex_fail(source, place, "code point beyond 10FFFF");
        source->at++;
    }

    if (braces ? digits == 0 || !fv_regex_skip(source, "}") : digits < 2)
        return fv_regex_fail(source, place, "\\x without two digits or {digits}");
    *ret_code_point = value;
    return 0;
}

/* Behind the first digit of \0, \012 or \12; a lone \1 would refer to a group. */
static int read_octal(struct fv_regex_source *source, const char *place, char first,
                      uint32_t *ret_code_point)
{
    uint32_t value = (uint32_t)(first - '0');
    int digits;

    for (digits = 1; digits < 3 && source->at < source->end; digits++) {
        if (*source->at < '0' || *source->at > '7')
            break;
        value = value * 8 + (uint32_t)(*source->at++ - '0');
    }
    if (digits == 1 && first != '0')
        return fv_regex_fail(source, place, "unsupported reference to a group");
    *ret_code_point = value;
    return 0;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int fv_regex_read_escape(struct fv_regex_source *source, uint32_t *ret_code_point)
{
    static const char letters[] = "afnrtv", meanings[] = "\a\f\n\r\t\v";
    const char *place = source->at, *letter;
    char c;

    source->at++;
    if (source->at == source->end)
        return fv_regex_fail(source, place, "nothing behind the \\");

    c = *source->at++;
    letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        *ret_code_point = (unsigned char)meanings[letter - letters];
        return 0;
    }
    if (c == 'x')
        return read_hexadecimal(source, place, ret_code_point);
    if (c >= '0' && c <= '7')
        return read_octal(source, place, c, ret_code_point);
    if (c == '8' || c == '9')
        return fv_regex_fail(source, place, "unsupported reference to a group");
    if (c == 'p' || c == 'P')
        return fv_regex_fail(source, place, "unsupported \\p");
    if ((unsigned char)c >= 128 || is_letter(c))
        return fv_regex_fail(source, place, "unknown escape");
    *ret_code_point = (unsigned char)c;
    return 0;
}

/* Classes. */

/* A class while it is being read. */
struct members {
    struct fv_regex_set *set;   /* folded when all of it is known */
    struct fv_regex_set others; /* that must not be folded */
    bool fold;
};

/* Pairs of bytes, each a range: Perl's and POSIX' classes as RE2 defines them. */
struct named_class {
    const char *name;
    unsigned char size, ranges[8];
};

static const struct named_class named_classes[] = {
    { "alnum", 6, { '0', '9', 'A', 'Z', 'a', 'z' } },
    { "alpha", 4, { 'A', 'Z', 'a', 'z' } },
    { "ascii", 2, { 0x00, 0x7F } },
    { "blank", 4, { '\t', '\t', ' ', ' ' } },
    { "cntrl", 4, { 0x00, 0x1F, 0x7F, 0x7F } },
    { "digit", 2, { '0', '9' } },
    { "graph", 2, { '!', '~' } },
    { "lower", 2, { 'a', 'z' } },
    { "print", 2, { ' ', '~' } },
    { "punct", 8, { '!', '/', ':', '@', '[', '`', '{', '~' } },
    { "space", 4, { '\t', '\r', ' ', ' ' } },
    { "upper", 2, { 'A', 'Z' } },
    { "word", 8, { '0', '9', 'A', 'Z', '_', '_', 'a', 'z' } },
    { "xdigit", 6, { '0', '9', 'A', 'F', 'a', 'f' } },
    { "d", 2, { '0', '9' } },
    { "s", 6, { '\t', '\n', '\f', '\r', ' ', ' ' } },
    { "w", 8, { '0', '9', 'A', 'Z', '_', '_', 'a', 'z' } },
};

static const struct named_class *find_class(const char *name, size_t length)
{
    const struct named_class *named;
    size_t i;

    for (i = 0; i < sizeof named_classes / sizeof named_classes[0]; i++) {
        named = &named_classes[i];
        if (strlen(named->name) == length && memcmp(named->name, name, length) == 0)
            return named;
    }
    return NULL;
}

/*
 * (?i)\W is what (?i)\w is not, so its complement is taken after folding. That
 * must not be folded once more: KELVIN SIGN is in there, and would bring in k.
 */
static void add_named(struct members *members, const struct named_class *named, bool complement)
{
    struct fv_regex_set rest = { .memory = members->set->memory };
    struct fv_regex_set *set = complement ? &rest : members->set;
    size_t i;

    for (i = 0; i < named->size; i += 2)
        fv_regex_set_add(set, named->ranges[i], named->ranges[i + 1]);
    if (complement) {
        if (members->fold)
            fv_regex_set_fold(&rest);
        fv_regex_set_complement(&rest);
        fv_regex_set_add_all(&members->others, &rest);
        fv_regex_set_clear(&rest);
    }
}

static void start_members(struct members *members, bool fold, struct fv_regex_set *set)
{
    fv_regex_set_reset(set);
    *members = (struct members){ set, { .memory = set->memory }, fold };
}

static void finish_members(struct members *members, bool complement)
{
    if (members->fold)
        fv_regex_set_fold(members->set);
    fv_regex_set_add_all(members->set, &members->others);
    fv_regex_set_clear(&members->others);
    if (complement)
        fv_regex_set_complement(members->set);
}

/* Looks for \d, \D and so on; false when something else is there. */
static bool read_perl_members(struct fv_regex_source *source, struct members *members)
{
    const struct named_class *named;
    char name;

    if (source->end - source->at < 2 || source->at[0] != '\\' || !is_letter(source->at[1]))
        return false;

    name = (char)(source->at[1] | 0x20);
    named = find_class(&name, 1);
    if (!named)
        return false;
    add_named(members, named, source->at[1] != name);
    source->at += 2;
    return true;
}

/*
 * Looks for [:name:] or [:^name:]: 1 when it was there, 0 when something else is.
 * As in RE2, [: without :] anywhere behind it is two characters.
 */
static int read_posix_members(struct fv_regex_source *source, struct members *members)
{
    const struct named_class *named = NULL;
    const char *name, *stop;
    bool complement;

    if (!fv_regex_looking_at(source, "[:") || source->no_class_name)
        return 0;

    name = source->at + 2;
    for (stop = name; source->end - stop >= 2 && (stop[0] != ':' || stop[1] != ']'); stop++)
        continue;
    if (source->end - stop < 2) {
        source->no_class_name = true;
        return 0;
    }

    complement = *name == '^';
    if (complement)
        name++;
    if (stop - name > 1)
        named = find_class(name, (size_t)(stop - name));
    if (!named)
        return fv_regex_fail(source, source->at, "unknown class name");
    add_named(members, named, complement);
    source->at = stop + 2;
    return 1;
}

static int read_class_character(struct fv_regex_source *source, uint32_t *ret_code_point)
{
    if (*source->at == '\\')
        return fv_regex_read_escape(source, ret_code_point);
    *ret_code_point = fv_utf8_next(&source->at, source->end);
    return 0;
}

static int read_range(struct fv_regex_source *source, struct members *members)
{
    const char *place = source->at;
    uint32_t low, high;
    int r;

    r = read_class_character(source, &low);
    if (r < 0)
        return r;

    high = low;
    if (source->end - source->at >= 2 && source->at[0] == '-' && source->at[1] != ']') {
        source->at++;
        r = read_class_character(source, &high);
        if (r < 0)
            return r;
        if (high < low)
            return fv_regex_fail(source, place, "range with its ends reversed");
    }
    fv_regex_set_add(members->set, low, high);
    return 0;
}

/* Everything up to the ] that ends the class; a ] that comes first does not. */
static int read_members(struct fv_regex_source *source, const char *place, struct members *members)
{
    const char *first = source->at;
    int r;

    while (source->at < source->end) {
        if (source->at > first && fv_regex_skip(source, "]"))
            return 0;
        r = read_posix_members(source, members);
        if (r == 0 && !read_perl_members(source, members))
            r = read_range(source, members);
        if (r < 0)
            return r;
    }
    return fv_regex_fail(source, place, "missing ] for the [");
}

int fv_regex_read_class(struct fv_regex_source *source, bool fold, struct fv_regex_set *set)
{
    const char *place = source->at++;
    bool complement = fv_regex_skip(source, "^");
    struct members members;
    int r;

    start_members(&members, fold, set);
    r = read_members(source, place, &members);
    finish_members(&members, complement);
    return r;
}

bool fv_regex_read_perl_class(struct fv_regex_source *source, bool fold, struct fv_regex_set *set)
{
    struct members members;
    bool found;

    start_members(&members, fold, set);
    found = read_perl_members(source, &members);
    finish_members(&members, false);
    return found;
}
