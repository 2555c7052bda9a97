/*
 * Where things stand in a JSON text: a strict reader that goes through it token
 * by token, and the questions that are answered with it.
 *
 *     struct fv_scan scan;
 *
 *     fv_scan_init(&scan, text, length);
 *     while (fv_scan_next(&scan))
 *         if (scan.event == FV_SCAN_KEY)
 *             …text[scan.token.start] is the quote before a key…
 *     if (scan.event != FV_SCAN_END)
 *         …scan.fault says what is wrong at scan.fault_at…
 *     fv_scan_clear(&scan);
 *
 * Nothing here calls itself, so a text may nest as deep as it likes; a scan
 * goes FV_SCAN_DEPTH_LIMIT deep. Any bytes may be read: a text need not be
 * JSON, nor UTF-8, nor end in a NUL.
 */
#ifndef FV_CODEC_POSITION_H
#define FV_CODEC_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/text.h"

/* The first byte of something: line and column count from 1, a column is a
 * character (a byte that is no UTF-8 counts as one), a line ends in "\n". */
struct fv_position {
    size_t offset;
    int32_t line;
    int32_t column;
};

/* Line and column of a byte; an offset beyond the text means its end. */
void fv_position_at(const char *text, size_t length, size_t offset,
                    struct fv_position *ret_position);

/*
 * Where the value that an RFC 6901 pointer names stands in a JSON text. Of
 * duplicate keys the last counts, as in jansson's tree. `at_key` asks for the
 * key of a member instead of its value; the root and the elements of arrays
 * have none and answer with themselves.
 *
 * False when there is no such value, or memory runs out on the way to it;
 * *ret_position is then where the root value starts.
 */
bool fv_position_find(const char *text, size_t length, const char *pointer, bool at_key,
                      struct fv_position *ret_position);

/* Append one token to a pointer: "/" and the key, with "~" and "/" escaped. */
void fv_pointer_add(struct fv_text *pointer, const char *token, size_t length);
void fv_pointer_add_index(struct fv_text *pointer, size_t index);

/* --- the reader --- */

#define FV_SCAN_DEPTH_LIMIT 65536

enum fv_scan_event {
    FV_SCAN_KEY,   /* a member's key */
    FV_SCAN_VALUE, /* a string, number or word */
    FV_SCAN_OPEN,  /* the "{" or "[" of a value */
    FV_SCAN_CLOSE, /* and its end */
    FV_SCAN_MARK,  /* ":" or "," */
    FV_SCAN_END,   /* the whole text was read, and it was JSON */
    FV_SCAN_FAULT
};

enum fv_scan_fault {
    FV_FAULT_NONE,
    FV_FAULT_UNEXPECTED, /* a good token in the wrong place, or the end of the text */
    FV_FAULT_CHARACTER,  /* begins no token */
    FV_FAULT_UTF8,
    FV_FAULT_NUL, /* a byte 0 */
    FV_FAULT_NUMBER,
    FV_FAULT_WORD,    /* none of true, false, null */
    FV_FAULT_OPEN,    /* the text ends inside a string */
    FV_FAULT_LINE,    /* the line ends inside a string */
    FV_FAULT_CONTROL, /* a control character inside a string */
    FV_FAULT_ESCAPE,
    FV_FAULT_SURROGATE,  /* half of a pair */
    FV_FAULT_NUL_ESCAPE, /* \u0000 */
    FV_FAULT_DEPTH,
    FV_FAULT_MEMORY
};

enum fv_scan_state {
    FV_EXPECT_VALUE,
    FV_EXPECT_VALUE_OR_END, /* behind "[" */
    FV_EXPECT_KEY,
    FV_EXPECT_KEY_OR_END, /* behind "{" */
    FV_EXPECT_COLON,
    FV_EXPECT_COMMA_OR_END, /* behind a member or an element */
    FV_EXPECT_NOTHING       /* behind the root value */
};

/* text[start] up to text[end], that one not included. `kind` is the first byte
 * of "{", "}", "[", "]", ":", ",", and of strings '"', of numbers '0', of words
 * 'a', of anything else '?', and 0 for the end of the text. */
struct fv_token {
    size_t start, end;
    char kind;
    bool escaped; /* a string with at least one "\" */
    bool real;    /* a number with a fraction or an exponent */
};

struct fv_scan_level {
    size_t key, key_end; /* of objects: the key read last, quotes included */
    size_t index;        /* of arrays: the element being read */
    bool object;
};

struct fv_scan {
    const char *text;
    size_t length;
    enum fv_scan_event event;
    struct fv_token token;
    enum fv_scan_fault fault;
    size_t fault_at;

    enum fv_scan_state state; /* what may come next; at a fault, what would have been right */
    struct fv_scan_level *levels;
    size_t depth; /* of levels: containers around the token, a container's own
                                 brackets not counted */
    size_t path;  /* levels that lead to the value being read at the token */
    size_t capacity;
    struct fv_scan_level first[16];
};

void fv_scan_init(struct fv_scan *scan, const char *text, size_t length);
void fv_scan_clear(struct fv_scan *scan);

/* Reads one token. False at the end and at the first fault, and ever after. */
bool fv_scan_next(struct fv_scan *scan);

/*
 * Appends the pointer of the innermost value that is being read at the token,
 * nothing for the root. At a key, ":" or "," that is the container. A value that
 * is missing behind ":" is the member's, behind "[" or "," the container.
 */
void fv_scan_pointer(const struct fv_scan *scan, struct fv_text *pointer);

/* Appends what the string at [start, end) means, quotes included in the range. */
void fv_scan_string(const struct fv_scan *scan, size_t start, size_t end, struct fv_text *out);

#endif
