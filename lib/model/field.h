/*
 * Rules for the fields of values: which field a rule is about, and what it asks.
 *
 * A field is a JSON pointer; a part of a rule's that is "*" stands for any one part.
 */
#ifndef FV_MODEL_FIELD_H
#define FV_MODEL_FIELD_H

#include "model/tolerance.h"

#define FV_FIELD_NAME_LIMIT 1024

enum fv_field_type {
    FV_TYPE_NULL = 1,
    FV_TYPE_BOOLEAN = 2,
    FV_TYPE_INTEGER = 4,
    FV_TYPE_REAL = 8,
    FV_TYPE_STRING = 16, /* one that says something */
    FV_TYPE_ARRAY = 32,
    FV_TYPE_OBJECT = 64,
    FV_TYPE_DATETIME = 128, /* strings, too */
    FV_TYPE_UUID = 256,
    FV_TYPE_EMPTY = 512 /* a string that says nothing; only "any" allows it */
};

struct fv_field_rule {
    const char *field; /* borrowed; "" or with a "/" in front */
    bool ignore, exact;
    struct fv_tolerance tolerance; /* when it is neither */
    uint32_t types;                /* what values may be; 0: the rule says nothing of that */
};

/* Rules of a comparison, and of an audit. False: the rule's text is malformed. */
bool fv_field_read_comparison(const char *text, struct fv_field_rule *rule);
bool fv_field_read_types(const char *text, struct fv_field_rule *rule);

/* Is the pointer what the pattern says, or (`below`) something in it? */
bool fv_field_fits(const char *pattern, const char *pointer, bool below);

/* The last rule that fits; NULL: none does. */
const struct fv_field_rule *fv_field_find(const struct fv_field_rule *rules, size_t count,
                                          const char *pointer, bool below);

/* Empty, white space, or a word for nothing ("null", "n/a", …) in any case. */
bool fv_field_says_nothing(const char *text, size_t length);

/* 8-4-4-4-12 hexadecimal digits. */
bool fv_field_is_uuid(const char *text, size_t length);

#endif
