#include "model/regex_program.h"

#include <string.h>

#include "model/fold.h"
#include "util/utf8.h"

#if defined(__GNUC__)
#define NOT_INLINE __attribute__((noinline))
#else
#define NOT_INLINE
#endif

/* A program up to this size is searched with less stack. */
#define SMALL_STEPS 256

#define SEEN_BITS 64
#define SEEN_WORDS(steps) (((size_t)(steps) + SEEN_BITS - 1) / SEEN_BITS)

struct fv_regex {
    /* When the whole expression is one fixed text; no steps then. */
    const char *literal; /* folded if `folds` */
    size_t literal_length;
    bool at_begin, at_end;
    const uint32_t *borders; /* when it may stand anywhere */

    const struct fv_regex_step *steps;
    const struct fv_regex_class *classes;
    size_t step_count;
    bool folds;    /* some step looks at what a code point folds to */
    bool anchored; /* a match can only begin where the text does */

    /* When a match takes something: the bytes that it can begin with. */
    bool has_first;
    int only_first; /* the one byte in `first`; -1 for none or several */
    uint32_t first[8];
};

/* Running the automaton. */

struct list {
    uint16_t *steps;
    size_t count;
};

/*
 * The state of a search. A list holds the steps that wait for a code point;
 * `seen` has a bit for each step reached at the place the search stands at.
 */
struct search {
    const struct fv_regex *regex;
    struct list now, next;
    uint16_t *stack;
    uint64_t *seen;
};

static void forget_seen(struct search *search)
{
    memset(search->seen, 0, SEEN_WORDS(search->regex->step_count) * sizeof *search->seen);
}

/* Whether a step is reached here for the first time. */
static inline bool see(struct search *search, size_t at)
{
    uint64_t *word = &search->seen[at / SEEN_BITS], bit = UINT64_C(1) << at % SEEN_BITS;

    if (*word & bit)
        return false;
    *word |= bit;
    return true;
}

/*
 * Adds the steps that can be reached from `start` without taking anything,
 * where the assertions in `holds` hold; true when a match ends here. Only a
 * split pushes, and each is seen once: the stack holds as many as there are
 * steps.
 */
static bool follow(struct search *search, struct list *list, size_t start, uint32_t holds)
{
    const struct fv_regex_step *step;
    size_t depth = 0, at, next;

    search->stack[depth++] = (uint16_t)start;
    while (depth) {
        for (at = search->stack[--depth]; see(search, at); at = next) {
            next = at; /* seen by now, so the way ends unless it goes on elsewhere */
            step = &search->regex->steps[at];
            switch (step->kind) {
            case FV_REGEX_MATCH:
                return true;
            case FV_REGEX_SPLIT:
                search->stack[depth++] = (uint16_t)((ptrdiff_t)at + step->jump);
                next = at + 1;
                break;
            case FV_REGEX_JUMP:
                next = (size_t)((ptrdiff_t)at + step->jump);
                break;
            case FV_REGEX_ASSERT:
                if (step->operand & holds)
                    next = at + 1;
                break;
            default:
                list->steps[list->count++] = (uint16_t)at;
            }
        }
    }
    return false;
}

static bool takes(const struct fv_regex *regex, const struct fv_regex_step *step,
                  uint32_t code_point, uint32_t folded)
{
    switch (step->kind) {
    case FV_REGEX_CHARACTER:
        return code_point == step->operand;
    case FV_REGEX_CHARACTER_FOLDED:
        return folded == step->operand;
    case FV_REGEX_CLASS:
        return fv_regex_class_has(&regex->classes[step->operand], code_point);
    case FV_REGEX_CLASS_FOLDED:
        return fv_regex_class_has(&regex->classes[step->operand], folded);
    case FV_REGEX_ANY:
        return true;
    default:
        return code_point != '\n';
    }
}

static bool is_word(unsigned char byte)
{
    return (byte >= '0' && byte <= '9') || (byte | 0x20u) - 'a' < 26u || byte == '_';
}

/* The assertions that hold at a place. Bytes are enough: what they ask for is ASCII. */
static uint32_t look_around(const char *text, const char *at, const char *end)
{
    bool begins = at == text, ends = at == end;
    bool behind_word = !begins && is_word((unsigned char)at[-1]);
    bool before_word = !ends && is_word((unsigned char)*at);
    uint32_t holds;

    holds = behind_word != before_word ? FV_REGEX_AT_BOUNDARY : FV_REGEX_AT_NO_BOUNDARY;
    if (begins)
        holds |= FV_REGEX_AT_BEGIN;
    if (ends)
        holds |= FV_REGEX_AT_END;
    if (begins || at[-1] == '\n')
        holds |= FV_REGEX_AT_LINE_BEGIN;
    if (ends || *at == '\n')
        holds |= FV_REGEX_AT_LINE_END;
    return holds;
}

static bool is_first(const struct fv_regex *regex, char c)
{
    unsigned char byte = (unsigned char)c;

    return regex->first[byte / 32] >> byte % 32 & 1;
}

/*
 * The next byte that a match can begin with. It begins a code point: `first`
 * has no byte from 0x80 to 0xBF unless it has all from 0x80 on, and then it is
 * the beginning of a sequence that is met before the rest of it.
 */
static const char *skip(const struct fv_regex *regex, const char *at, const char *end)
{
    if (regex->only_first >= 0) {
        at = memchr(at, regex->only_first, (size_t)(end - at));
        return at ? at : end;
    }
    while (at < end && !is_first(regex, *at))
        at++;
    return at;
}

static bool can_begin(const struct fv_regex *regex, const char *text, const char *at,
                      const char *end)
{
    if (regex->anchored && at > text)
        return false;
    return !regex->has_first || (at < end && is_first(regex, *at));
}

/* Takes a code point: from the steps that wait for it to those that wait behind it. */
static bool advance(struct search *search, uint32_t code_point, uint32_t holds)
{
    const struct fv_regex *regex = search->regex;
    uint32_t folded = regex->folds ? fv_fold(code_point) : code_point;
    struct list list = search->now;
    size_t i, at;

    forget_seen(search);
    search->next.count = 0;
    for (i = 0; i < list.count; i++) {
        at = list.steps[i];
        if (takes(regex, &regex->steps[at], code_point, folded) &&
            follow(search, &search->next, at + 1, holds))
            return true;
    }
    search->now = search->next;
    search->next = list;
    return false;
}

static bool run(struct search *search, const char *text, const char *end)
{
    const struct fv_regex *regex = search->regex;
    uint32_t holds = look_around(text, text, end), code_point;
    const char *at = text;

    forget_seen(search);
    for (;;) {
        if (search->now.count == 0 && regex->anchored && at > text)
            return false;

        /* Nothing is under way, so nothing is lost before the next possible beginning. */
        if (search->now.count == 0 && regex->has_first && !regex->anchored) {
            at = skip(regex, at, end);
            holds = look_around(text, at, end);
            forget_seen(search);
        }

        if (can_begin(regex, text, at, end) && follow(search, &search->now, 0, holds))
            return true;
        if (at == end)
            return false;

        code_point = fv_utf8_next(&at, end);
        holds = look_around(text, at, end);
        if (advance(search, code_point, holds))
            return true;
    }
}

/*
 * Two functions, so that a small program needs a small stack even where the
 * compiler touches all of a frame when it is entered.
 */
static NOT_INLINE bool run_small(const struct fv_regex *regex, const char *text, const char *end)
{
    uint16_t now[SMALL_STEPS], next[SMALL_STEPS], stack[SMALL_STEPS];
    uint64_t seen[SEEN_WORDS(SMALL_STEPS)];
    struct search search = { regex, { now, 0 }, { next, 0 }, stack, seen };

    return run(&search, text, end);
}

static NOT_INLINE bool run_large(const struct fv_regex *regex, const char *text, const char *end)
{
    uint16_t now[FV_REGEX_STEPS_MAX], next[FV_REGEX_STEPS_MAX], stack[FV_REGEX_STEPS_MAX];
    uint64_t seen[SEEN_WORDS(FV_REGEX_STEPS_MAX)];
    struct search search = { regex, { now, 0 }, { next, 0 }, stack, seen };

    return run(&search, text, end);
}

/* Looking for a fixed text. */

/* borders[i]: the longest proper beginning of literal[0..i] that is its end too. */
static void find_borders(const char *literal, size_t length, uint32_t *borders)
{
    uint32_t border = 0;
    size_t i;

    borders[0] = 0;
    for (i = 1; i < length; i++) {
        while (border && literal[i] != literal[border])
            border = borders[border - 1];
        if (literal[i] == literal[border])
            border++;
        borders[i] = border;
    }
}

/* Knuth, Morris, Pratt; memchr while nothing of the literal is there. */
static bool contains(const struct fv_regex *regex, const char *text, const char *end)
{
    const char *literal = regex->literal, *at = text;
    size_t matched = 0;

    while (matched < regex->literal_length) {
        if (matched == 0)
            at = memchr(at, literal[0], (size_t)(end - at));
        if (!at || at == end)
            return false;
        while (matched && *at != literal[matched])
            matched = regex->borders[matched - 1];
        if (*at == literal[matched])
            matched++;
        at++;
    }
    return true;
}

static bool find_literal(const struct fv_regex *regex, const char *text, size_t length)
{
    const char *literal = regex->literal;
    size_t size = regex->literal_length;

    if (length < size || (regex->at_begin && regex->at_end && length != size))
        return false;
    if (regex->at_begin)
        return memcmp(text, literal, size) == 0;
    if (regex->at_end)
        return memcmp(text + length - size, literal, size) == 0;
    return contains(regex, text, text + length);
}

static bool find_folded_literal(const struct fv_regex *regex, const char *text, size_t length)
{
    const char *literal = regex->literal;
    size_t size = regex->literal_length;

    if (regex->at_begin && regex->at_end)
        return fv_fold_equal(text, length, literal, size);
    if (regex->at_begin)
        return fv_fold_starts(text, length, literal, size);
    if (regex->at_end)
        return fv_fold_ends(text, length, literal, size);
    return fv_fold_contains(text, length, literal, size, regex->borders);
}

bool fv_regex_search(const struct fv_regex *regex, const char *text, size_t length)
{
    if (length == 0)
        text = "";
    if (regex->literal)
        return regex->folds ? find_folded_literal(regex, text, length)
                            : find_literal(regex, text, length);
    if (regex->step_count <= SMALL_STEPS)
        return run_small(regex, text, text + length);
    return run_large(regex, text, text + length);
}

/* What is known about a program before it runs. */

static void add_first(struct fv_regex *regex, uint32_t low, uint32_t high)
{
    for (; low <= high; low++)
        regex->first[low / 32] |= UINT32_C(1) << low % 32;
}

/* The first bytes of the code points from low to high, some of them above ASCII. */
static void add_first_of_range(struct fv_regex *regex, uint32_t low, uint32_t high)
{
    char from[4], to[4];

    if (low < 128) {
        add_first(regex, low, high < 128 ? high : 127);
        low = 128;
    }
    if (low > high)
        return;

    /* Bytes that are no UTF-8 stand for U+FFFD; a surrogate has no bytes at all. */
    if ((low <= FV_UTF8_REPLACEMENT && high >= FV_UTF8_REPLACEMENT) || !fv_utf8_encode(low, from) ||
        !fv_utf8_encode(high, to))
        add_first(regex, 0x80, 0xFF);
    else
        add_first(regex, (unsigned char)from[0], (unsigned char)to[0]);
}

static void add_first_of_step(struct fv_regex *regex, const struct fv_regex_step *step)
{
    const struct fv_regex_class *members;
    uint32_t c;
    size_t i;

    if (step->kind == FV_REGEX_CHARACTER) {
        add_first_of_range(regex, step->operand, step->operand);
        return;
    }
    for (c = 0; c < 128; c++) {
        if (takes(regex, step, c, fv_fold(c)))
            add_first(regex, c, c);
    }
    if (step->kind != FV_REGEX_CLASS) {
        add_first(regex, 0x80, 0xFF);
        return;
    }
    members = &regex->classes[step->operand];
    for (i = 0; i < members->count; i++) {
        if (members->ranges[i].high >= 128)
            add_first_of_range(regex, members->ranges[i].low < 128 ? 128 : members->ranges[i].low,
                               members->ranges[i].high);
    }
}

static int find_only_first(const struct fv_regex *regex)
{
    int byte, only = -1;

    for (byte = 0; byte < 256; byte++) {
        if (!is_first(regex, (char)byte))
            continue;
        if (only >= 0)
            return -1;
        only = byte;
    }
    return only;
}

/* Fills in how a match begins; false when memory is short. */
static bool study(struct fv_regex *regex, const flagver_allocator *memory)
{
    size_t count = regex->step_count, words = SEEN_WORDS(count), i;
    struct search search = { .regex = regex };
    uint64_t *block;

    block = fv_allocate(memory, words * sizeof *block + 2 * count * sizeof *search.stack);
    if (!block)
        return false;
    search.seen = block;
    search.now.steps = (uint16_t *)(void *)(block + words);
    search.stack = search.now.steps + count;

    forget_seen(&search);
    regex->anchored = !follow(&search, &search.now, 0, ~FV_REGEX_AT_BEGIN) && search.now.count == 0;

    forget_seen(&search);
    search.now.count = 0;
    regex->has_first = !follow(&search, &search.now, 0, ~UINT32_C(0));
    if (regex->has_first) {
        for (i = 0; i < search.now.count; i++)
            add_first_of_step(regex, &regex->steps[search.now.steps[i]]);
        regex->only_first = find_only_first(regex);
    }
    fv_release(memory, block);
    return true;
}

/*
 * Whether a step takes one fixed code point. That is not enough for U+FFFD,
 * which stands for bytes that differ, and for surrogates, which have no bytes.
 */
static bool is_fixed(const struct fv_regex_step *step)
{
    char bytes[4];

    return (step->kind == FV_REGEX_CHARACTER || step->kind == FV_REGEX_CHARACTER_FOLDED) &&
           step->operand != FV_UTF8_REPLACEMENT && fv_utf8_encode(step->operand, bytes) > 0;
}

/*
 * Whether all characters can be compared alike: either none is folded, or those
 * that are not have no case.
 */
static bool is_uniform(const struct fv_regex_step *steps, size_t count, bool folds)
{
    size_t i;

    for (i = 0; i < count && folds; i++) {
        if (steps[i].kind == FV_REGEX_CHARACTER &&
            (steps[i].operand >= 128 || (steps[i].operand | 0x20) - 'a' < 26))
            return false;
    }
    return true;
}

static bool store_literal(struct fv_arena *arena, struct fv_regex *regex,
                          const struct fv_regex_step *steps, size_t count)
{
    char *literal = fv_arena_allocate(arena, count * 4 + 1);
    uint32_t *borders;
    size_t length = 0, i;

    if (!literal)
        return false;
    for (i = 0; i < count; i++)
        length += fv_utf8_encode(steps[i].operand, literal + length);

    if (!regex->at_begin && !regex->at_end && length) {
        borders = fv_arena_allocate(arena, length * sizeof *borders);
        if (!borders)
            return false;
        if (regex->folds)
            fv_fold_search_prepare(literal, length, borders);
        else
            find_borders(literal, length, borders);
        regex->borders = borders;
    }
    regex->literal = literal;
    regex->literal_length = length;
    return true;
}

/* Takes in a program that is one fixed text: 1 when it was one, 0 when not, -1 without memory. */
static int take_literal(struct fv_arena *arena, struct fv_regex *regex,
                        const struct fv_regex_step *steps)
{
    size_t start, end;

    start = steps[0].kind == FV_REGEX_ASSERT && steps[0].operand == FV_REGEX_AT_BEGIN;
    for (end = start; is_fixed(&steps[end]); end++)
        continue;
    regex->at_begin = start > 0;
    regex->at_end = steps[end].kind == FV_REGEX_ASSERT && steps[end].operand == FV_REGEX_AT_END;

    if (steps[regex->at_end ? end + 1 : end].kind != FV_REGEX_MATCH ||
        !is_uniform(steps + start, end - start, regex->folds))
        return 0;
    return store_literal(arena, regex, steps + start, end - start) ? 1 : -1;
}

static bool take_program(struct fv_arena *arena, struct fv_regex *regex,
                         const struct fv_regex_program *program)
{
    size_t size = program->count * sizeof *program->steps;
    size_t classes_size = program->class_count * sizeof *program->classes;
    struct fv_regex_step *steps = fv_arena_allocate(arena, size);
    struct fv_regex_class *classes = NULL;

    if (!steps)
        return false;
    memcpy(steps, program->steps, size);
    regex->steps = steps;
    regex->step_count = program->count;

    if (classes_size) {
        classes = fv_arena_allocate(arena, classes_size);
        if (!classes)
            return false;
        memcpy(classes, program->classes, classes_size);
    }
    regex->classes = classes;
    return study(regex, arena->chunks.memory);
}

static bool make(struct fv_arena *arena, const struct fv_regex_program *program,
                 const struct fv_regex **ret_regex)
{
    struct fv_regex *regex = fv_arena_allocate_zeroed(arena, 1, sizeof *regex);
    size_t i;
    int r;

    if (!regex)
        return false;
    for (i = 0; i < program->count; i++)
        regex->folds |= program->steps[i].kind == FV_REGEX_CHARACTER_FOLDED ||
                        program->steps[i].kind == FV_REGEX_CLASS_FOLDED;

    r = take_literal(arena, regex, program->steps);
    if (r < 0 || (r == 0 && !take_program(arena, regex, program)))
        return false;
    *ret_regex = regex;
    return true;
}

int fv_regex_compile(struct fv_arena *arena, const char *pattern, size_t length, bool fold,
                     const struct fv_regex **ret_regex, flagver_error *err)
{
    struct fv_regex_program program = { .count = 0 };
    int r;

    r = fv_regex_parse(arena, length ? pattern : "", length, fold, &program, err);
    if (r == 0 && !make(arena, &program, ret_regex))
        r = fv_fail_memory(err);
    fv_release(arena->chunks.memory, program.steps);
    fv_release(arena->chunks.memory, program.classes);
    return r;
}

size_t fv_regex_steps(const struct fv_regex *regex)
{
    return regex->step_count + 1;
}
