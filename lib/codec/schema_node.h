/*
 * What a schema is compiled to. Only schema*.c look in here.
 *
 * JSON values and names are those of the tree that the schema holds.
 */
#ifndef FV_CODEC_SCHEMA_NODE_H
#define FV_CODEC_SCHEMA_NODE_H

#include "codec/schema.h"
#include "model/regex.h"

/* Bits of `types`. */
#define FV_SCHEMA_NULL 1u
#define FV_SCHEMA_BOOLEAN 2u
#define FV_SCHEMA_OBJECT 4u
#define FV_SCHEMA_ARRAY 8u
#define FV_SCHEMA_STRING 16u
#define FV_SCHEMA_FRACTION 32u /* a number that is no integer */
#define FV_SCHEMA_INTEGER 64u

struct fv_schema_node;

struct fv_schema_list {
    struct fv_schema_node **nodes;
    size_t count;
};

struct fv_schema_property {
    const char *name;
    struct fv_schema_node *node;
};

struct fv_schema_properties {
    struct fv_schema_property *members; /* by name */
    size_t count;
};

struct fv_schema_range {
    int64_t least, most;
};

struct fv_schema_pattern {
    const struct fv_regex *regex; /* NULL: none */
    const char *text;
};

struct fv_schema_reference {
    struct fv_schema_node *node; /* NULL: none */
    uint32_t definition;
};

/* Members that are NULL or empty ask for nothing. */
struct fv_schema_node {
    bool never;     /* `false`: nothing fits */
    bool unique;    /* uniqueItems */
    uint32_t types; /* 0: any */
    int32_t height; /* while compiling: of what leads on from here */

    const json_t *constant;
    const json_t *enumeration;
    struct fv_schema_pattern pattern;
    struct fv_schema_range length, elements, members;
    const json_t *minimum, *maximum, *above, *below, *multiple;

    struct fv_schema_node *items;
    struct fv_schema_properties properties;
    struct fv_schema_node *additional;
    const json_t *required;

    struct fv_schema_reference reference;
    struct fv_schema_list all, any, one;
    struct fv_schema_node *except; /* "not" */
};

struct fv_schema {
    struct fv_arena arena;
    json_t *tree;
    struct fv_schema_node *root;
};

/* --- values, as JSON Schema compares them --- */

/* A number without a fraction. */
bool fv_schema_is_whole(const json_t *number);

/* -1, 0, 1, exactly. */
int fv_schema_order(const json_t *a, const json_t *b);

/* Whether the decimal a is a whole multiple of b, which is above 0. 0 or FLAGVER_ENOMEM. */
int fv_schema_is_multiple(const json_t *a, const json_t *b, bool *ret_multiple);

/*
 * Whether two values are the same, and a number that is the same for all that
 * are. *budget goes down by what it took; at 0 the answer is worth nothing.
 */
bool fv_schema_same(const json_t *a, const json_t *b, uint32_t *budget);
uint64_t fv_schema_hash(const json_t *value, uint32_t *budget);

#endif
