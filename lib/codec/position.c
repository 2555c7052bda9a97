#include "codec/position.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/utf8.h"

/* --- line and column --- */

static int32_t counted(size_t number)
{
    return number < INT32_MAX ? (int32_t)number : INT32_MAX;
}

void fv_position_at(const char *text, size_t length, size_t offset,
                    struct fv_position *ret_position)
{
    const char *line, *end, *here, *at, *newline;
    size_t lines = 1, columns = 1;

    if (!length)
        text = ""; /* it may be NULL */
    if (offset > length)
        offset = length;
    line = text;
    end = text + length;
    here = text + offset;

    while ((newline = memchr(line, '\n', (size_t)(here - line)))) {
        line = newline + 1;
        lines++;
    }
    for (at = line; at < here; columns++)
        fv_utf8_next(&at, end);
    if (at > here) /* the offset is inside a character */
        columns--;

    ret_position->offset = offset;
    ret_position->line = counted(lines);
    ret_position->column = counted(columns);
}

/* --- escapes --- */

/* The four digits of "\uXXXX", or -1 and the fault. */
static int32_t read_hex(const char *at, const char *end, enum fv_scan_fault *ret_fault)
{
    int32_t number = 0;
    int i;

    for (i = 0; i < 4; i++, at++) {
        if (at == end) {
            *ret_fault = FV_FAULT_OPEN;
            return -1;
        }
        if (*at >= '0' && *at <= '9')
            number = number * 16 + (*at - '0');
        else if (*at >= 'a' && *at <= 'f')
            number = number * 16 + (*at - 'a' + 10);
        else if (*at >= 'A' && *at <= 'F')
            number = number * 16 + (*at - 'A' + 10);
        else {
            *ret_fault = FV_FAULT_ESCAPE;
            return -1;
        }
    }
    return number;
}

/* The length of "\uXXXX" or of a pair of them; 0 and the fault when it is none. */
static size_t read_unicode_escape(const char *at, const char *end, uint32_t *ret_code_point,
                                  enum fv_scan_fault *ret_fault)
{
    int32_t first, second;
    enum fv_scan_fault ignored;

    first = read_hex(at + 2, end, ret_fault);
    if (first < 0)
        return 0;
    if (first < 0xD800 || first > 0xDFFF) {
        *ret_fault = FV_FAULT_NUL_ESCAPE;
        *ret_code_point = (uint32_t)first;
        return first ? 6 : 0;
    }

    *ret_fault = FV_FAULT_SURROGATE;
    if (first > 0xDBFF || end - at < 12 || at[6] != '\\' || at[7] != 'u')
        return 0;
    second = read_hex(at + 8, end, &ignored);
    if (second < 0xDC00 || second > 0xDFFF)
        return 0;
    *ret_code_point = 0x10000u + ((uint32_t)(first - 0xD800) << 10) + (uint32_t)(second - 0xDC00);
    return 12;
}

/* The length of the escape at `at`, where a "\" is; 0 and the fault when it is none. */
static size_t read_escape(const char *at, const char *end, uint32_t *ret_code_point,
                          enum fv_scan_fault *ret_fault)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *letter;

    if (end - at < 2) {
        *ret_fault = FV_FAULT_OPEN;
        return 0;
    }
    if (at[1] == 'u')
        return read_unicode_escape(at, end, ret_code_point, ret_fault);

    letter = memchr(letters, at[1], sizeof letters - 1);
    if (!letter) {
        *ret_fault = FV_FAULT_ESCAPE;
        return 0;
    }
    *ret_code_point = (uint32_t)meanings[letter - letters];
    return 2;
}

/* What the next byte or escape of a string means, as UTF-8; an escape that is none
 * means itself. Returns the length. */
static size_t unescape(const char **at, const char *end, char out[4])
{
    enum fv_scan_fault ignored;
    uint32_t code_point = 0;
    size_t taken;

    taken = **at == '\\' ? read_escape(*at, end, &code_point, &ignored) : 0;
    if (taken) {
        *at += taken;
        return fv_utf8_encode(code_point, out);
    }
    out[0] = *(*at)++;
    return 1;
}

void fv_scan_string(const struct fv_scan *scan, size_t start, size_t end, struct fv_text *out)
{
    const char *at = scan->text + start + 1, *stop = scan->text + end - 1, *plain;
    char piece[4];

    while (at < stop) {
        plain = memchr(at, '\\', (size_t)(stop - at));
        if (!plain)
            plain = stop;
        fv_text_add_bytes(out, at, (size_t)(plain - at));
        at = plain;
        if (at < stop)
            fv_text_add_bytes(out, piece, unescape(&at, stop, piece));
    }
}

/* --- tokens --- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void blame(struct fv_scan *scan, enum fv_scan_fault fault, size_t at)
{
    scan->fault = fault;
    scan->fault_at = at;
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

/* Whether the token is a number as JSON wants it; finds out whether it is real. */
static bool check_number(const char *at, const char *end, bool *ret_real)
{
    const char *digits;

    if (at < end && *at == '-')
        at++;
    digits = at;
    at = skip_digits(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return false;

    *ret_real = at < end;
    if (at < end && *at == '.') {
        digits = ++at;
        at = skip_digits(at, end);
        if (at == digits)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        digits = at;
        at = skip_digits(at, end);
        if (at == digits)
            return false;
    }
    return at == end;
}

/* Takes all that could be meant as part of the number, so that a malformed one
 * is one token. JSON lets nothing of that follow a number. */
static void read_number(struct fv_scan *scan)
{
    struct fv_token *token = &scan->token;
    const char *text = scan->text;
    size_t at = token->start;

    while (at < scan->length && (is_digit(text[at]) || is_letter(text[at]) || text[at] == '+' ||
                                 text[at] == '-' || text[at] == '.'))
        at++;
    token->kind = '0';
    token->end = at;
    if (!check_number(text + token->start, text + at, &token->real))
        blame(scan, FV_FAULT_NUMBER, token->start);
}

static bool is_word(const char *at, size_t length, const char *word)
{
    return length == strlen(word) && memcmp(at, word, length) == 0;
}

static void read_word(struct fv_scan *scan)
{
    struct fv_token *token = &scan->token;
    const char *word = scan->text + token->start;
    size_t at = token->start, length;

    while (at < scan->length && (is_letter(scan->text[at]) || is_digit(scan->text[at])))
        at++;
    length = at - token->start;
    token->kind = 'a';
    token->end = at;
    if (!is_word(word, length, "true") && !is_word(word, length, "false") &&
        !is_word(word, length, "null"))
        blame(scan, FV_FAULT_WORD, token->start);
}

/* Moves behind one UTF-8 character; false, and one byte on, when there is none. */
static bool skip_character(const char **at, const char *end)
{
    const char *from = *at;

    return fv_utf8_next(at, end) != FV_UTF8_REPLACEMENT || *at - from > 1;
}

/* Moves behind what is at *at, something else than plain ASCII, or finds a fault. */
static void skip_special(struct fv_scan *scan, const char **at, const char *end)
{
    size_t here = (size_t)(*at - scan->text);
    enum fv_scan_fault fault = FV_FAULT_NONE;
    uint32_t code_point;

    if (**at == '\\') {
        scan->token.escaped = true;
        *at += read_escape(*at, end, &code_point, &fault);
        if (*at > scan->text + here)
            return;
    } else if ((unsigned char)**at >= 0x80) {
        if (skip_character(at, end))
            return;
        fault = FV_FAULT_UTF8;
    } else if (**at == '\n' || **at == '\r') {
        fault = FV_FAULT_LINE;
    } else {
        fault = **at ? FV_FAULT_CONTROL : FV_FAULT_NUL;
    }

    /* That a string has no end is seen far behind where it went wrong. */
    if (fault == FV_FAULT_LINE || fault == FV_FAULT_OPEN)
        here = scan->token.start;
    blame(scan, fault, here);
}

static void read_string(struct fv_scan *scan)
{
    const char *at = scan->text + scan->token.start + 1, *end = scan->text + scan->length;
    unsigned char c;

    while (at < end && *at != '"' && scan->fault == FV_FAULT_NONE) {
        c = (unsigned char)*at;
        if (c >= 0x20 && c < 0x80 && c != '\\')
            at++;
        else
            skip_special(scan, &at, end);
    }

    if (scan->fault == FV_FAULT_NONE) {
        if (at < end)
            at++;
        else
            blame(scan, FV_FAULT_OPEN, scan->token.start);
    }
    scan->token.kind = '"';
    scan->token.end = (size_t)(at - scan->text);
}

/* What begins no token is one of its own, a character long. */
static void read_stranger(struct fv_scan *scan)
{
    const char *at = scan->text + scan->token.start;
    enum fv_scan_fault fault = FV_FAULT_CHARACTER;

    if (*at == 0)
        fault = FV_FAULT_NUL;
    if (!skip_character(&at, scan->text + scan->length))
        fault = FV_FAULT_UTF8;
    scan->token.kind = '?';
    scan->token.end = (size_t)(at - scan->text);
    blame(scan, fault, scan->token.start);
}

static void read_token(struct fv_scan *scan)
{
    size_t at = scan->token.end;
    char c;

    while (at < scan->length && is_space(scan->text[at]))
        at++;
    scan->token = (struct fv_token){ .start = at, .end = at };
    if (at == scan->length)
        return;

    c = scan->text[at];
    if (c == '"') {
        read_string(scan);
    } else if (is_digit(c) || c == '-' || c == '+' || c == '.') {
        read_number(scan);
    } else if (is_letter(c)) {
        read_word(scan);
    } else if (c && strchr("{}[]:,", c)) {
        scan->token.kind = c;
        scan->token.end = at + 1;
    } else {
        read_stranger(scan);
    }
}

/* --- the reader --- */

void fv_scan_init(struct fv_scan *scan, const char *text, size_t length)
{
    scan->text = length ? text : ""; /* it may be NULL */
    scan->length = length;
    scan->event = FV_SCAN_MARK;
    scan->token = (struct fv_token){ 0 };
    scan->fault = FV_FAULT_NONE;
    scan->fault_at = 0;
    scan->state = FV_EXPECT_VALUE;
    scan->levels = scan->first;
    scan->depth = 0;
    scan->path = 0;
    scan->capacity = sizeof scan->first / sizeof scan->first[0];
}

void fv_scan_clear(struct fv_scan *scan)
{
    if (scan->levels != scan->first)
        free(scan->levels);
    fv_scan_init(scan, scan->text, scan->length);
}

static bool grow(struct fv_scan *scan)
{
    size_t size = scan->capacity * sizeof *scan->levels;
    struct fv_scan_level *moved;

    moved = realloc(scan->levels == scan->first ? NULL : scan->levels, size * 2);
    if (!moved)
        return false;
    if (scan->levels == scan->first)
        memcpy(moved, scan->first, size);
    scan->levels = moved;
    scan->capacity *= 2;
    return true;
}

/* Goes into the container whose bracket was read last. */
static bool enter(struct fv_scan *scan)
{
    bool object = scan->token.kind == '{';

    if (scan->depth == FV_SCAN_DEPTH_LIMIT) {
        blame(scan, FV_FAULT_DEPTH, scan->token.start);
        return false;
    }
    if (scan->depth == scan->capacity && !grow(scan)) {
        blame(scan, FV_FAULT_MEMORY, scan->token.start);
        return false;
    }
    scan->levels[scan->depth++] = (struct fv_scan_level){ .object = object };
    scan->state = object ? FV_EXPECT_KEY_OR_END : FV_EXPECT_VALUE_OR_END;
    return true;
}

static bool expects_value(const struct fv_scan *scan)
{
    return scan->state == FV_EXPECT_VALUE || scan->state == FV_EXPECT_VALUE_OR_END;
}

/* The levels that lead to the value being read when nothing is known of the next token. */
static size_t path_between(const struct fv_scan *scan)
{
    if (scan->depth == 0)
        return 0;
    if (scan->state == FV_EXPECT_VALUE && scan->levels[scan->depth - 1].object)
        return scan->depth;
    return scan->depth - 1;
}

static enum fv_scan_event end_value(struct fv_scan *scan, enum fv_scan_event event)
{
    scan->state = scan->depth ? FV_EXPECT_COMMA_OR_END : FV_EXPECT_NOTHING;
    return event;
}

static enum fv_scan_event take_value(struct fv_scan *scan)
{
    switch (scan->token.kind) {
    case '{':
    case '[':
        return FV_SCAN_OPEN;
    case '"':
    case '0':
    case 'a':
        return end_value(scan, FV_SCAN_VALUE);
    default:
        return FV_SCAN_FAULT;
    }
}

static enum fv_scan_event take_key(struct fv_scan *scan)
{
    struct fv_scan_level *level = &scan->levels[scan->depth - 1];

    if (scan->token.kind != '"')
        return FV_SCAN_FAULT;
    level->key = scan->token.start;
    level->key_end = scan->token.end;
    scan->state = FV_EXPECT_COLON;
    return FV_SCAN_KEY;
}

static enum fv_scan_event take_comma(struct fv_scan *scan)
{
    struct fv_scan_level *level = &scan->levels[scan->depth - 1];

    if (scan->token.kind != ',')
        return FV_SCAN_FAULT;
    if (!level->object)
        level->index++;
    scan->state = level->object ? FV_EXPECT_KEY : FV_EXPECT_VALUE;
    return FV_SCAN_MARK;
}

static bool may_close(const struct fv_scan *scan)
{
    return (scan->state == FV_EXPECT_KEY_OR_END || scan->state == FV_EXPECT_VALUE_OR_END ||
            scan->state == FV_EXPECT_COMMA_OR_END) &&
           scan->token.kind == (scan->levels[scan->depth - 1].object ? '}' : ']');
}

/* What the token is at this place; nothing has changed when it is a fault. */
static enum fv_scan_event take(struct fv_scan *scan)
{
    if (may_close(scan)) {
        scan->depth--;
        return end_value(scan, FV_SCAN_CLOSE);
    }

    switch (scan->state) {
    case FV_EXPECT_VALUE:
    case FV_EXPECT_VALUE_OR_END:
        return take_value(scan);
    case FV_EXPECT_KEY:
    case FV_EXPECT_KEY_OR_END:
        return take_key(scan);
    case FV_EXPECT_COLON:
        if (scan->token.kind != ':')
            return FV_SCAN_FAULT;
        scan->state = FV_EXPECT_VALUE;
        return FV_SCAN_MARK;
    case FV_EXPECT_COMMA_OR_END:
        return take_comma(scan);
    case FV_EXPECT_NOTHING:
        break;
    }
    return scan->token.kind == 0 ? FV_SCAN_END : FV_SCAN_FAULT;
}

bool fv_scan_next(struct fv_scan *scan)
{
    bool scalar, value;

    if (scan->event == FV_SCAN_END || scan->event == FV_SCAN_FAULT)
        return false;
    if (scan->event == FV_SCAN_OPEN && !enter(scan)) {
        scan->event = FV_SCAN_FAULT;
        return false;
    }

    scan->event = FV_SCAN_MARK;
    scan->path = path_between(scan);
    value = expects_value(scan);
    read_token(scan);
    scalar = scan->token.kind && strchr("\"0a?", scan->token.kind);

    if (scan->token.kind != '?') {
        scan->event = take(scan);
        if (scan->event == FV_SCAN_FAULT)
            blame(scan, FV_FAULT_UNEXPECTED, scan->token.start);
    }
    if (scan->fault != FV_FAULT_NONE)
        scan->event = FV_SCAN_FAULT;

    if (scan->event == FV_SCAN_OPEN || scan->event == FV_SCAN_CLOSE || (value && scalar))
        scan->path = scan->depth;
    return scan->event != FV_SCAN_END && scan->event != FV_SCAN_FAULT;
}

/* --- pointers --- */

static void add_escaped(struct fv_text *pointer, const char *bytes, size_t length)
{
    size_t i;

    for (i = 0; i < length; i++) {
        if (bytes[i] == '~')
            fv_text_add(pointer, "~0");
        else if (bytes[i] == '/')
            fv_text_add(pointer, "~1");
        else
            fv_text_add_char(pointer, bytes[i]);
    }
}

void fv_pointer_add(struct fv_text *pointer, const char *token, size_t length)
{
    fv_text_add_char(pointer, '/');
    add_escaped(pointer, token, length);
}

void fv_pointer_add_index(struct fv_text *pointer, size_t index)
{
    fv_text_format(pointer, "/%zu", index);
}

void fv_scan_pointer(const struct fv_scan *scan, struct fv_text *pointer)
{
    const struct fv_scan_level *level = scan->levels, *end = level + scan->path;
    const char *at, *stop;
    char piece[4];

    for (; level < end; level++) {
        if (!level->object) {
            fv_pointer_add_index(pointer, level->index);
            continue;
        }
        fv_text_add_char(pointer, '/');
        stop = scan->text + level->key_end - 1;
        for (at = scan->text + level->key + 1; at < stop;)
            add_escaped(pointer, piece, unescape(&at, stop, piece));
    }
}

/* --- finding a value --- */

/* The byte that a pointer means at *at, which is before its end; -1 for a "~" that
 * escapes nothing. */
static int pointer_byte(const char **at)
{
    if (**at != '~')
        return (unsigned char)*(*at)++;
    if ((*at)[1] != '0' && (*at)[1] != '1')
        return -1;
    *at += 2;
    return (*at)[-1] == '0' ? '~' : '/';
}

static bool same_key(const struct fv_scan *scan, const struct fv_scan_level *level,
                     const char *token, const char *token_end)
{
    const char *at = scan->text + level->key + 1, *stop = scan->text + level->key_end - 1;
    size_t length, i;
    char piece[4];

    while (at < stop) {
        length = unescape(&at, stop, piece);
        for (i = 0; i < length; i++)
            if (token == token_end || pointer_byte(&token) != (unsigned char)piece[i])
                return false;
    }
    return token == token_end;
}

static bool same_index(size_t index, const char *token, const char *token_end)
{
    char digits[24];
    int length;

    length = snprintf(digits, sizeof digits, "%zu", index);
    return token_end - token == length && memcmp(token, digits, (size_t)length) == 0;
}

/* A pointer on its way through a text: `matched` containers around the token are
 * those that its first tokens name; the "/" at `rest` begins the next one. */
struct search {
    const char *rest;
    size_t matched;
    bool found;
    size_t key, value;
};

static const char *token_end(const char *slash)
{
    return slash + 1 + strcspn(slash + 1, "/");
}

static void consider(struct search *search, const struct fv_scan *scan)
{
    const struct fv_scan_level *level = &scan->levels[scan->depth - 1];
    const char *token = search->rest + 1, *end = token_end(search->rest);

    if (search->matched != scan->depth - 1)
        return;
    if (level->object ? !same_key(scan, level, token, end) : !same_index(level->index, token, end))
        return;

    /* What an earlier member of the same key held is no longer part of the tree. */
    search->found = *end == 0;
    if (search->found) {
        search->value = scan->token.start;
        search->key = level->object ? level->key : scan->token.start;
    } else if (scan->event == FV_SCAN_OPEN) {
        search->matched = scan->depth;
        search->rest = end;
    }
}

static void leave(struct search *search, const struct fv_scan *scan)
{
    if (search->matched == 0 || search->matched != scan->depth)
        return;
    search->matched--;
    do
        search->rest--;
    while (*search->rest != '/');
}

bool fv_position_find(const char *text, size_t length, const char *pointer, bool at_key,
                      struct fv_position *ret_position)
{
    struct search search = { .rest = pointer };
    struct fv_scan scan;
    size_t root;

    fv_scan_init(&scan, text, length);
    fv_scan_next(&scan);
    root = scan.token.start;
    search.value = search.key = root;
    search.found = !*pointer && scan.event != FV_SCAN_FAULT;

    while (*pointer == '/' && fv_scan_next(&scan)) {
        if (scan.event == FV_SCAN_VALUE || scan.event == FV_SCAN_OPEN)
            consider(&search, &scan);
        else if (scan.event == FV_SCAN_CLOSE)
            leave(&search, &scan);
    }
    fv_scan_clear(&scan);

    if (!search.found)
        search.value = search.key = root;
    fv_position_at(text, length, at_key ? search.key : search.value, ret_position);
    return search.found;
}
