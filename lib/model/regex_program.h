/*
 * What a regular expression is compiled to: steps of a nondeterministic
 * automaton. Only regex*.c look in here.
 *
 * Jumps are relative to the step that holds them. A run of steps that belongs
 * to one part of the pattern can therefore be copied as it is, which is all
 * that x{m,n} needs.
 */
#ifndef FV_MODEL_REGEX_PROGRAM_H
#define FV_MODEL_REGEX_PROGRAM_H

#include "model/regex.h"
#include "model/regex_set.h"

enum fv_regex_kind {
    /* These take one code point and go on with the next step. */
    FV_REGEX_CHARACTER,        /* operand: the code point */
    FV_REGEX_CHARACTER_FOLDED, /* operand: what the code point must fold to */
    FV_REGEX_CLASS,            /* operand: the number of the class */
    FV_REGEX_CLASS_FOLDED,     /* the same, for what the code point folds to */
    FV_REGEX_ANY,
    FV_REGEX_ANY_IN_LINE,

    /* These take nothing. */
    FV_REGEX_ASSERT, /* operand: one of FV_REGEX_AT_…, which must hold here */
    FV_REGEX_JUMP,
    FV_REGEX_SPLIT, /* go on both with the next step and with the jump */
    FV_REGEX_MATCH
};

#define FV_REGEX_AT_BEGIN 1u
#define FV_REGEX_AT_END 2u
#define FV_REGEX_AT_LINE_BEGIN 4u
#define FV_REGEX_AT_LINE_END 8u
#define FV_REGEX_AT_BOUNDARY 16u
#define FV_REGEX_AT_NO_BOUNDARY 32u

struct fv_regex_step {
    uint8_t kind;
    int16_t jump;
    uint32_t operand;
};

struct fv_regex_class {
    uint32_t ascii[4]; /* a bit per code point below 128 */
    size_t count;      /* ranges of what is above */
    const struct fv_regex_range *ranges;
};

struct fv_regex_program {
    struct fv_regex_step *steps; /* the last one, and no other, is MATCH */
    size_t count, capacity;
    struct fv_regex_class *classes;
    size_t class_count, class_capacity;
};

/*
 * Reads a pattern. The arrays come from the arena's allocator and are the
 * caller's to release, also after an error; the ranges of classes are in the
 * arena. The program starts out zeroed.
 */
int fv_regex_parse(struct fv_arena *arena, const char *pattern, size_t length, bool fold,
                   struct fv_regex_program *program, flagver_error *err);

static inline bool fv_regex_class_has(const struct fv_regex_class *members, uint32_t code_point)
{
    if (code_point < 128)
        return members->ascii[code_point >> 5] >> (code_point & 31) & 1;
    return fv_regex_ranges_have(members->ranges, members->count, code_point);
}

#endif
