#define _POSIX_C_SOURCE 200809L /* strncasecmp */

#include "util/uri.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SECRET "password" /* is part of the name of whatever is one */
#define HIDDEN "***"
#define NAME_LIMIT 64

static bool is_of_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '%';
}

/* How long a parameter's name is here; 0: no name and '='. */
static size_t name_length(const char *text)
{
    size_t length = 0;

    while (is_of_name(text[length]))
        length++;
    return text[length] == '=' ? length : 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One letter, perhaps percent-encoded, in lower case; how many bytes it takes. */
static size_t letter_of(const char *text, size_t length, char *ret_letter)
{
    int high = length > 2 && *text == '%' ? hex_digit(text[1]) : -1;
    int low = high >= 0 ? hex_digit(text[2]) : -1;
    char c = (char)(low >= 0 ? high << 4 | low : *text);

    *ret_letter = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    return low >= 0 ? 3 : 1;
}

/* In lower case: also what newer versions of libpq take, some of it as good as a password. */
static bool is_secret(const char *letters)
{
    static const char *const parts[] = { SECRET, "secret", "scram_" };
    size_t i;

    for (i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(letters, parts[i]))
            return true;
    return false;
}

bool fv_uri_names_secret(const char *name, size_t length)
{
    char letters[NAME_LIMIT + 1];
    size_t at = 0, count = 0;

    while (at < length && count < NAME_LIMIT)
        at += letter_of(name + at, length - at, &letters[count++]);
    letters[count] = '\0';
    return at < length || is_secret(letters); /* no name that anybody knows is that long */
}

/* Where the parameters begin; their end when there are none. */
static const char *query_of(const char *text)
{
    const char *mark;

    for (mark = strchr(text, '?'); mark; mark = strchr(mark + 1, '?'))
        if (name_length(mark + 1))
            return mark;
    return text + strlen(text);
}

static const char *last_at(const char *text, const char *end)
{
    while (end > text && end[-1] != '@')
        end--;
    return end > text ? end - 1 : NULL;
}

static void show_user(struct fv_text *out, const char *authority, const char *end)
{
    const char *at = last_at(authority, end);
    const char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;

    if (!colon || colon + 1 == at) {
        fv_text_add_bytes(out, authority, (size_t)(end - authority));
        return;
    }
    fv_text_add_bytes(out, authority, (size_t)(colon + 1 - authority));
    fv_text_add(out, HIDDEN);
    fv_text_add_bytes(out, at, (size_t)(end - at));
}

/* What has no name is the rest of the value before it, in which an & was not encoded. */
static void show_parameters(struct fv_text *out, const char *at)
{
    bool secret = false;
    size_t length, name;

    for (; *at; at += length) {
        length = 1 + strcspn(at + 1, "&");
        name = name_length(at + 1);
        if (!name && secret)
            continue;
        secret = fv_uri_names_secret(at + 1, name);
        if (!secret) {
            fv_text_add_bytes(out, at, length);
            continue;
        }
        fv_text_add_bytes(out, at, 1 + name + 1);
        fv_text_add(out, HIDDEN);
    }
}

/* "password =": how long it is; 0: something else. */
static size_t secret_length(const char *text)
{
    size_t length = strlen(SECRET);

    if (strncasecmp(text, SECRET, length) != 0)
        return 0;
    length += strspn(text + length, " \t");
    return text[length] == '=' ? length + 1 : 0;
}

/* No URI with an authority; perhaps "host=db password=secret", of which we do not know the rules. */
static void show_other(struct fv_text *out, const char *text)
{
    const char *at;
    size_t length;

    for (at = text; *at; at++) {
        length = secret_length(at);
        if (!length)
            continue;
        fv_text_add_bytes(out, text, (size_t)(at - text) + length);
        fv_text_add(out, HIDDEN);
        return;
    }
    fv_text_add(out, text);
}

void fv_uri_show(struct fv_text *out, const char *uri)
{
    const char *authority = strstr(uri, "://"), *query;

    if (!authority) {
        show_other(out, uri);
        return;
    }
    authority += strlen("://");
    query = query_of(authority);
    fv_text_add_bytes(out, uri, (size_t)(authority - uri));
    show_user(out, authority, query);
    show_parameters(out, query);
}

char *fv_uri_shown(const char *uri, const flagver_allocator *memory)
{
    struct fv_text text = FV_TEXT_INIT;
    char *shown;

    fv_uri_show(&text, uri);
    shown = text.failed ? NULL : fv_allocate(memory, text.length + 1);
    if (shown)
        memcpy(shown, text.data, text.length + 1);
    fv_text_clear(&text);
    return shown;
}

const char *fv_uri_brief(const char *uri, struct fv_uri_brief *room)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_uri_show(&text, uri);
    snprintf(room->text, sizeof room->text, "%s", text.failed ? "the store" : text.data);
    fv_text_clear(&text);
    return room->text;
}
