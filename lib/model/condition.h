/*
 * Conditions: the "if" of a rule or a segment.
 *
 * A condition is compiled into a list of leaves, each with two ways to go on:
 * to another leaf, or to an answer. Ways lead only to leaves before, so that
 * evaluation is a loop that ends, and all, any and not cost nothing:
 *
 *     all(a, not(b))  is  a: yes → b, no → NO
 *                         b: yes → NO, no → YES
 *
 * Operands are prepared at load: folded, parsed, compiled, hashed.
 */
#ifndef FV_MODEL_CONDITION_H
#define FV_MODEL_CONDITION_H

#include "model/context.h"
#include "model/keyset.h"
#include "model/network.h"
#include "model/regex.h"
#include "model/semver.h"

/* What the operands of an operator are. */
enum fv_operand_kind {
    FV_OPERAND_ANY, /* strings, numbers, booleans, mixed */
    FV_OPERAND_STRING,
    FV_OPERAND_NUMBER,
    FV_OPERAND_DATE, /* prepared as FV_DATETIME */
    FV_OPERAND_SEMVER,
    FV_OPERAND_REGEX,
    FV_OPERAND_NETWORK,
    FV_OPERAND_BOOLEAN
};

enum fv_operator {
    FV_EQ,
    FV_IN,
    FV_STARTS_WITH,
    FV_ENDS_WITH,
    FV_CONTAINS,
    FV_LT,
    FV_LTE,
    FV_GT,
    FV_GTE,
    FV_BEFORE,
    FV_AFTER,
    FV_SEMVER_EQ,
    FV_SEMVER_LT,
    FV_SEMVER_LTE,
    FV_SEMVER_GT,
    FV_SEMVER_GTE,
    FV_MATCHES,
    FV_IN_CIDR,
    FV_EXISTS,
    FV_OPERATOR_COUNT
};

struct fv_operator_info {
    const char *name; /* as definitions spell it */
    enum fv_operand_kind operand;
    bool folds; /* takes "fold": true */
};

extern const struct fv_operator_info fv_operators[FV_OPERATOR_COUNT];

/* False for a name that is no operator. */
bool fv_operator_parse(const char *name, enum fv_operator *ret_operator);

/* A string operand: of starts_with, ends_with, contains. */
struct fv_needle {
    const char *text;
    uint32_t length;
    const uint32_t *failure; /* of contains: fv_fold_search_prepare() */
};

/* The operands of eq and in, which may be of any kind. */
struct fv_one_of {
    struct fv_keyset strings;
    const struct fv_value *numbers; /* sorted */
    uint32_t number_count;
    bool booleans[2]; /* false, true is among them */
};

/* Prepared operands; the operator says which member, and the leaf how many. */
union fv_operands {
    const struct fv_one_of *one_of;
    const struct fv_value *numbers; /* of before and after: milliseconds */
    const struct fv_needle *needles;
    const struct fv_semver *semvers;
    const struct fv_regex *const *regexes;
    const struct fv_network *networks;
    bool exists[2]; /* the result for a missing and for a present attribute */
};

enum fv_test {
    FV_TEST_ATTRIBUTE,
    FV_TEST_SEGMENT, /* is the context in segment `slot`? */
    FV_TEST_FLAG     /* does flag `slot` serve `variant`? */
};

#define FV_ANSWER_YES UINT32_MAX
#define FV_ANSWER_NO (UINT32_MAX - 1)

struct fv_leaf {
    uint32_t yes, no; /* the leaf to go on with, or an answer */
    uint8_t test;     /* enum fv_test */
    uint8_t op;       /* enum fv_operator */
    bool fold;
    bool when_missing;  /* the result for a missing attribute */
    bool when_mismatch; /* the result for a value of another type */
    uint32_t slot;
    uint32_t operand_count;
    const char *variant;
    union fv_operands operands;
    struct fv_path path;
};

struct fv_condition {
    const struct fv_leaf *leaves;
    uint32_t count;
    uint32_t entry; /* the leaf to begin with, or an answer */
};

/* The result of an FV_TEST_ATTRIBUTE leaf. An array matches if any element does. */
bool fv_leaf_holds(const struct fv_leaf *leaf, const flagver_context *context);

#endif
