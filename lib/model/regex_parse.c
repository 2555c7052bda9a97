/*
 * Pattern to program in one pass. There is no syntax tree and no recursion:
 * each part is written behind the one before, and what comes after it in the
 * pattern (a repetition, a `|`, the end of its group) wraps or copies the steps
 * that stand there already.
 */
#include "model/regex_program.h"

#include <string.h>

#include "model/fold.h"
#include "model/regex_source.h"
#include "util/utf8.h"

#define FLAG_FOLD 1u    /* i */
#define FLAG_LINES 2u   /* m */
#define FLAG_NEWLINE 4u /* s: a dot takes newlines too */
#define FLAG_LAZY 8u    /* U, which changes nothing */

#define UNBOUNDED SIZE_MAX
#define NO_JUMP UINT32_MAX

/* A group being read; the first one is the whole pattern. */
struct group {
    const char *opened; /* its ( */
    size_t start;       /* its first step */
    size_t branch;      /* the first step of the alternative being read */
    uint32_t jumps;     /* the newest jump to its end; each knows the one before */
    unsigned flags;     /* to go back to behind it */
    size_t product;     /* the largest product of counts nested in it */
};

struct parser {
    struct fv_arena *arena;
    struct fv_regex_program *program;
    struct fv_regex_source source;
    unsigned flags;

    struct group *groups;
    size_t group_count, group_capacity;

    /* What a repetition applies to: the steps from `atom` to the last. */
    bool has_atom, repeated;
    size_t atom, atom_product;

    struct fv_regex_set members; /* of the class being read */
};

static int fail_at(struct parser *parser, const char *place, const char *words)
{
    return fv_regex_fail(&parser->source, place, words);
}

static int fail_memory(struct parser *parser)
{
    return fv_fail_memory(parser->source.err);
}

static bool skip(struct parser *parser, const char *words)
{
    return fv_regex_skip(&parser->source, words);
}

static struct group *current_group(struct parser *parser)
{
    return &parser->groups[parser->group_count - 1];
}

/* Writing steps. */

static int reserve(struct parser *parser, size_t more)
{
    struct fv_regex_program *program = parser->program;
    size_t wanted = program->count + more;
    void *steps = program->steps;

    if (wanted > FV_REGEX_STEPS_MAX)
        return fv_fail(parser->source.err, FLAGVER_EPARSE,
                       "regular expression: comes to more than %d steps at byte %zu",
                       FV_REGEX_STEPS_MAX, (size_t)(parser->source.at - parser->source.pattern));
    while (program->capacity < wanted) {
        if (!fv_grow(parser->arena->chunks.memory, &steps, &program->capacity, program->capacity,
                     sizeof *program->steps))
            return fail_memory(parser);
        program->steps = steps;
    }
    return 0;
}

static int add_step(struct parser *parser, enum fv_regex_kind kind, uint32_t operand)
{
    int r;

    r = reserve(parser, 1);
    if (r < 0)
        return r;
    parser->program->steps[parser->program->count++] =
        (struct fv_regex_step){ .kind = (uint8_t)kind, .operand = operand };
    return 0;
}

static int add_atom(struct parser *parser, enum fv_regex_kind kind, uint32_t operand)
{
    parser->has_atom = true;
    parser->repeated = false;
    parser->atom = parser->program->count;
    parser->atom_product = 1;
    return add_step(parser, kind, operand);
}

/* The next three write into room that was reserved. */

static void put_jump(struct parser *parser, enum fv_regex_kind kind, size_t target)
{
    struct fv_regex_program *program = parser->program;

    program->steps[program->count] = (struct fv_regex_step){
        .kind = (uint8_t)kind, .jump = (int16_t)((ptrdiff_t)target - (ptrdiff_t)program->count)
    };
    program->count++;
}

/* Puts a split in front of the steps from `start` on; `target` counts it already. */
static void insert_split(struct parser *parser, size_t start, size_t target)
{
    struct fv_regex_program *program = parser->program;

    memmove(program->steps + start + 1, program->steps + start,
            (program->count - start) * sizeof *program->steps);
    program->count++;
    program->steps[start] = (struct fv_regex_step){ .kind = FV_REGEX_SPLIT,
                                                    .jump = (int16_t)(target - start) };
}

static void put_copy(struct parser *parser, size_t start, size_t length)
{
    struct fv_regex_program *program = parser->program;

    memcpy(program->steps + program->count, program->steps + start,
           length * sizeof *program->steps);
    program->count += length;
}

/* Characters, assertions and classes. */

static bool is_letter(uint32_t code_point)
{
    return (code_point | 0x20) - 'a' < 26;
}

static int add_character(struct parser *parser, uint32_t code_point)
{
    if ((parser->flags & FLAG_FOLD) && (code_point >= 128 || is_letter(code_point)))
        return add_atom(parser, FV_REGEX_CHARACTER_FOLDED, fv_fold(code_point));
    return add_atom(parser, FV_REGEX_CHARACTER, code_point);
}

static int parse_character(struct parser *parser)
{
    return add_character(parser, fv_utf8_next(&parser->source.at, parser->source.end));
}

static int add_line_end(struct parser *parser, uint32_t of_text, uint32_t of_line)
{
    return add_atom(parser, FV_REGEX_ASSERT, parser->flags & FLAG_LINES ? of_line : of_text);
}

/* Makes parser->members a class of the program. */
static int store_class(struct parser *parser, uint32_t *ret_number)
{
    struct fv_regex_program *program = parser->program;
    const struct fv_regex_set *set = &parser->members;
    struct fv_regex_class stored = { .count = 0 };
    struct fv_regex_range *ranges;
    void *classes = program->classes;
    size_t ascii = 0;
    uint32_t c;

    if (!fv_grow(parser->arena->chunks.memory, &classes, &program->class_capacity,
                 program->class_count, sizeof *program->classes))
        return fail_memory(parser);
    program->classes = classes;

    for (c = 0; c < 128; c++) {
        if (fv_regex_ranges_have(set->ranges, set->count, c))
            stored.ascii[c / 32] |= UINT32_C(1) << c % 32;
    }
    while (ascii < set->count && set->ranges[ascii].high < 128)
        ascii++;
    stored.count = set->count - ascii;
    if (stored.count) {
        ranges = fv_arena_allocate(parser->arena, stored.count * sizeof *ranges);
        if (!ranges)
            return fail_memory(parser);
        memcpy(ranges, set->ranges + ascii, stored.count * sizeof *ranges);
        stored.ranges = ranges;
    }

    *ret_number = (uint32_t)program->class_count;
    program->classes[program->class_count++] = stored;
    return 0;
}

static int add_class(struct parser *parser)
{
    const struct fv_regex_set *set = &parser->members;
    bool fold = parser->flags & FLAG_FOLD;
    uint32_t number = 0;
    int r;

    if (set->failed)
        return fail_memory(parser);
    if (set->count == 1 && set->ranges[0].low == set->ranges[0].high && !fold)
        return add_atom(parser, FV_REGEX_CHARACTER, set->ranges[0].low);

    r = store_class(parser, &number);
    if (r < 0)
        return r;
    return add_atom(parser, fold ? FV_REGEX_CLASS_FOLDED : FV_REGEX_CLASS, number);
}

static int parse_class(struct parser *parser)
{
    int r;

    r = fv_regex_read_class(&parser->source, parser->flags & FLAG_FOLD, &parser->members);
    if (r < 0)
        return r;
    return add_class(parser);
}

/* Behind \Q: everything up to \E or the end stands for itself. */
static int parse_quotation(struct parser *parser)
{
    int r;

    while (parser->source.at < parser->source.end && !skip(parser, "\\E")) {
        r = parse_character(parser);
        if (r < 0)
            return r;
    }
    parser->repeated = false;
    return 0;
}

static int parse_escape(struct parser *parser)
{
    uint32_t code_point;
    int r;

    if (fv_regex_read_perl_class(&parser->source, parser->flags & FLAG_FOLD, &parser->members))
        return add_class(parser);
    if (skip(parser, "\\A"))
        return add_atom(parser, FV_REGEX_ASSERT, FV_REGEX_AT_BEGIN);
    if (skip(parser, "\\z"))
        return add_atom(parser, FV_REGEX_ASSERT, FV_REGEX_AT_END);
    if (skip(parser, "\\b"))
        return add_atom(parser, FV_REGEX_ASSERT, FV_REGEX_AT_BOUNDARY);
    if (skip(parser, "\\B"))
        return add_atom(parser, FV_REGEX_ASSERT, FV_REGEX_AT_NO_BOUNDARY);
    if (skip(parser, "\\Q"))
        return parse_quotation(parser);

    r = fv_regex_read_escape(&parser->source, &code_point);
    if (r < 0)
        return r;
    return add_character(parser, code_point);
}

/* Repetitions. */

static int repeat_atom(struct parser *parser, size_t least, size_t most)
{
    size_t start = parser->atom, length = parser->program->count - start, needed, end, i;
    int r;

    if (length == 0)
        return 0;
    if (most == 0) {
        parser->program->count = start;
        return 0;
    }

    if (most != UNBOUNDED)
        needed = most * length + (most - least);
    else
        needed = least ? least * length + 1 : length + 2;
    r = reserve(parser, needed - length);
    if (r < 0)
        return r;
    end = start + needed;

    /* The steps that are there already serve as the first copy. */
    if (least == 0)
        insert_split(parser, start++, end);
    for (i = 1; i < least; i++)
        put_copy(parser, start, length);

    if (most == UNBOUNDED && least == 0) {
        put_jump(parser, FV_REGEX_JUMP, start - 1);
    } else if (most == UNBOUNDED) {
        put_jump(parser, FV_REGEX_SPLIT, parser->program->count - length);
    } else {
        for (i = least ? least : 1; i < most; i++) {
            put_jump(parser, FV_REGEX_SPLIT, end);
            put_copy(parser, start, length);
        }
    }
    return 0;
}

/*
 * Counts multiply when they are nested, and could ask for much with few bytes.
 * RE2 limits their product too, and to the same number.
 */
static int count_nesting(struct parser *parser, size_t least, size_t most, const char *place)
{
    size_t count = most == UNBOUNDED ? least : most;

    if (count > 0)
        parser->atom_product *= count;
    if (count > 1 && parser->atom_product > FV_REGEX_COUNT_MAX)
        return fail_at(parser, place, "more than 1000 times by repetitions inside each other");
    if (current_group(parser)->product < parser->atom_product)
        current_group(parser)->product = parser->atom_product;
    return 0;
}

/* Behind the operator, which starts at `place`. */
static int parse_repetition(struct parser *parser, const char *place, size_t least, size_t most)
{
    int r;

    if (!parser->has_atom)
        return fail_at(parser, place, "nothing to repeat");
    if (parser->repeated)
        return fail_at(parser, place, "repetition of a repetition");
    if (least > FV_REGEX_COUNT_MAX || (most > FV_REGEX_COUNT_MAX && most != UNBOUNDED))
        return fail_at(parser, place, "more than 1000 times");
    if (most < least)
        return fail_at(parser, place, "repetition with its bounds reversed");

    /* Greedy or lazy, whether there is a match stays the same. */
    skip(parser, "?");
    parser->repeated = true;

    r = count_nesting(parser, least, most, place);
    if (r < 0)
        return r;
    return repeat_atom(parser, least, most);
}

/* Decimal digits without a leading zero; of what is too large only that much is known. */
static bool read_count(const char **at, const char *end, size_t *ret_count)
{
    const char *start = *at;
    size_t count = 0;

    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        if (count <= FV_REGEX_COUNT_MAX)
            count = count * 10 + (size_t)(**at - '0');
    }
    *ret_count = count;
    return *at > start && (*start != '0' || *at == start + 1);
}

/* Looks for {m}, {m,} or {m,n} at *at, and moves behind it. */
static bool read_bounds(const char **at, const char *end, size_t *ret_least, size_t *ret_most)
{
    const char *c = *at + 1;

    if (!read_count(&c, end, ret_least))
        return false;
    *ret_most = *ret_least;
    if (c < end && *c == ',') {
        c++;
        if (c < end && *c == '}')
            *ret_most = UNBOUNDED;
        else if (!read_count(&c, end, ret_most))
            return false;
    }
    if (c == end || *c != '}')
        return false;
    *at = c + 1;
    return true;
}

static int parse_brace(struct parser *parser)
{
    const char *place = parser->source.at;
    size_t least, most;

    if (!read_bounds(&parser->source.at, parser->source.end, &least, &most))
        return parse_character(parser);
    return parse_repetition(parser, place, least, most);
}

/* Groups and alternatives. */

static int open_group(struct parser *parser, const char *place, unsigned flags_behind)
{
    void *groups = parser->groups;

    if (parser->group_count > FV_REGEX_GROUPS_MAX)
        return fail_at(parser, place, "more than 1000 groups inside each other");
    if (!fv_grow(parser->arena->chunks.memory, &groups, &parser->group_capacity,
                 parser->group_count, sizeof *parser->groups))
        return fail_memory(parser);

    parser->groups = groups;
    parser->groups[parser->group_count++] = (struct group){
        .opened = place,
        .start = parser->program->count,
        .branch = parser->program->count,
        .jumps = NO_JUMP,
        .flags = flags_behind,
        .product = 1,
    };
    parser->has_atom = false;
    return 0;
}

static int next_alternative(struct parser *parser)
{
    struct fv_regex_program *program = parser->program;
    struct group *group = current_group(parser);
    int r;

    r = reserve(parser, 2);
    if (r < 0)
        return r;

    insert_split(parser, group->branch, program->count + 2);
    program->steps[program->count] = (struct fv_regex_step){ .kind = FV_REGEX_JUMP,
                                                             .operand = group->jumps };
    group->jumps = (uint32_t)program->count++;
    group->branch = program->count;
    parser->has_atom = false;
    return 0;
}

static void finish_group(struct parser *parser)
{
    struct fv_regex_program *program = parser->program;
    struct group group = parser->groups[--parser->group_count];
    struct fv_regex_step *step;
    uint32_t at, older;

    for (at = group.jumps; at != NO_JUMP; at = older) {
        step = &program->steps[at];
        older = step->operand;
        step->operand = 0;
        step->jump = (int16_t)(program->count - at);
    }

    parser->flags = group.flags;
    parser->has_atom = true;
    parser->repeated = false;
    parser->atom = group.start;
    parser->atom_product = group.product;
}

static int close_group(struct parser *parser, const char *place)
{
    if (parser->group_count == 1)
        return fail_at(parser, place, "unexpected )");

    finish_group(parser);
    if (current_group(parser)->product < parser->atom_product)
        current_group(parser)->product = parser->atom_product;
    return 0;
}

/* Names are checked and forgotten; a second group of the same name does no harm. */
static int parse_name(struct parser *parser, const char *place)
{
    struct fv_regex_source *source = &parser->source;
    const char *start = source->at;
    unsigned char c;

    for (; source->at < source->end; source->at++) {
        c = (unsigned char)*source->at;
        if (c < 128 && !is_letter(c) && !(c >= '0' && c <= '9') && c != '_')
            break;
    }
    if (source->at == start || !skip(parser, ">"))
        return fail_at(parser, place, "group name not made of letters, digits and _");
    return open_group(parser, place, parser->flags);
}

static unsigned flag_of(char letter)
{
    switch (letter) {
    case 'i':
        return FLAG_FOLD;
    case 'm':
        return FLAG_LINES;
    case 's':
        return FLAG_NEWLINE;
    case 'U':
        return FLAG_LAZY;
    default:
        return 0;
    }
}

/* Behind (? of (?i), (?i-s:x) and (?:x). */
static int parse_flags(struct parser *parser, const char *place)
{
    struct fv_regex_source *source = &parser->source;
    unsigned flags = parser->flags, before = parser->flags, flag;
    bool off = false, useless = false;

    for (; source->at < source->end; source->at++) {
        flag = flag_of(*source->at);
        if (flag) {
            flags = off ? flags & ~flag : flags | flag;
            useless = false;
        } else if (*source->at == '-' && !off) {
            off = useless = true;
        } else {
            break;
        }
    }

    if (useless)
        return fail_at(parser, place, "(?- that switches nothing off");
    if (skip(parser, ")")) {
        /* No atom: a repetition behind it applies to what is before it, as in RE2. */
        parser->flags = flags;
        parser->repeated = false;
        return 0;
    }
    if (skip(parser, ":")) {
        parser->flags = flags;
        return open_group(parser, place, before);
    }
    if (source->at == source->end)
        return fail_at(parser, place, "missing ) for the (");
    return fail_at(parser, place, "unknown kind of group");
}

static int parse_open(struct parser *parser)
{
    const char *place = parser->source.at;

    if (skip(parser, "(?=") || skip(parser, "(?!") || skip(parser, "(?<=") || skip(parser, "(?<!"))
        return fail_at(parser, place, "unsupported look-around");
    if (skip(parser, "(?P=") || skip(parser, "(?P>"))
        return fail_at(parser, place, "unsupported reference to a group");
    if (skip(parser, "(?P<") || skip(parser, "(?<"))
        return parse_name(parser, place);
    if (skip(parser, "(?"))
        return parse_flags(parser, place);
    parser->source.at++;
    return open_group(parser, place, parser->flags);
}

/* The whole. */

static int parse_part(struct parser *parser)
{
    const char *place = parser->source.at++;

    switch (*place) {
    case ')':
        return close_group(parser, place);
    case '|':
        return next_alternative(parser);
    case '*':
        return parse_repetition(parser, place, 0, UNBOUNDED);
    case '+':
        return parse_repetition(parser, place, 1, UNBOUNDED);
    case '?':
        return parse_repetition(parser, place, 0, 1);
    case '^':
        return add_line_end(parser, FV_REGEX_AT_BEGIN, FV_REGEX_AT_LINE_BEGIN);
    case '$':
        return add_line_end(parser, FV_REGEX_AT_END, FV_REGEX_AT_LINE_END);
    case '.':
        return add_atom(parser, parser->flags & FLAG_NEWLINE ? FV_REGEX_ANY : FV_REGEX_ANY_IN_LINE,
                        0);
    default:
        break;
    }

    parser->source.at = place;
    switch (*place) {
    case '(':
        return parse_open(parser);
    case '[':
        return parse_class(parser);
    case '{':
        return parse_brace(parser);
    case '\\':
        return parse_escape(parser);
    default:
        return parse_character(parser);
    }
}

static int parse_pattern(struct parser *parser)
{
    int r;

    r = open_group(parser, parser->source.pattern, parser->flags);
    if (r < 0)
        return r;
    while (parser->source.at < parser->source.end) {
        r = parse_part(parser);
        if (r < 0)
            return r;
    }
    if (parser->group_count > 1)
        return fail_at(parser, current_group(parser)->opened, "missing ) for the (");
    finish_group(parser);
    return add_step(parser, FV_REGEX_MATCH, 0);
}

static int check_encoding(struct parser *parser)
{
    const char *at = parser->source.pattern, *place = at, *end = parser->source.end;

    if (fv_utf8_valid(at, (size_t)(end - at)))
        return 0;
    while (fv_utf8_next(&at, end) != FV_UTF8_REPLACEMENT || at - place != 1)
        place = at;
    return fail_at(parser, place, "malformed UTF-8");
}

int fv_regex_parse(struct fv_arena *arena, const char *pattern, size_t length, bool fold,
                   struct fv_regex_program *program, flagver_error *err)
{
    struct parser parser = {
        .arena = arena,
        .program = program,
        .source = { pattern, pattern, pattern + length, err, false },
        .flags = fold ? FLAG_FOLD : 0,
        .members = { .memory = arena->chunks.memory },
    };
    int r;

    if (length > FV_REGEX_PATTERN_MAX)
        return fv_fail(err, FLAGVER_EPARSE, "regular expression: %zu bytes; up to %d allowed",
                       length, FV_REGEX_PATTERN_MAX);

    r = check_encoding(&parser);
    if (r == 0)
        r = parse_pattern(&parser);
    fv_release(arena->chunks.memory, parser.groups);
    fv_regex_set_clear(&parser.members);
    return r;
}
