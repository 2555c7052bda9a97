/*
 * What definitions say about each other: refused in a file, and in records the
 * end of the flags and segments that are at fault.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/gather.h"
#include "codec/json.h"
#include "util/fail.h"

/* ---- in words ---- */

#define WORDS_SIZE 700

static void write_words(const struct fv_graph_problem *problem, char words[WORDS_SIZE])
{
    const struct fv_reference *reference = problem->reference;
    const char *owner = problem->owner_is_flag ? "flag" : "segment";
    const char *kind = reference->to_flag ? "flag" : "segment";

    switch (problem->fault) {
    case FV_GRAPH_NO_FLAG:
    case FV_GRAPH_NO_SEGMENT:
        snprintf(words, WORDS_SIZE, "%s \"%.200s\" names a %s \"%.200s\" that does not exist",
                 owner, problem->owner, kind, reference->name);
        break;
    case FV_GRAPH_BAD_SEGMENT:
        snprintf(words, WORDS_SIZE, "%s \"%.200s\" names a segment \"%.200s\" that is malformed",
                 owner, problem->owner, reference->name);
        break;
    case FV_GRAPH_NO_VARIANT:
        snprintf(words, WORDS_SIZE,
                 "%s \"%.200s\" asks for variant \"%.128s\", which flag \"%.200s\" does not have",
                 owner, problem->owner, reference->variant, reference->name);
        break;
    case FV_GRAPH_CYCLE:
        snprintf(words, WORDS_SIZE, "%s \"%.200s\" depends on itself through %s \"%.200s\"", owner,
                 problem->owner, kind, reference->name);
        break;
    case FV_GRAPH_TOO_DEEP:
        snprintf(words, WORDS_SIZE,
                 "flags and segments lead on from %s \"%.200s\" more than %d times", owner,
                 problem->owner, FV_REFERENCE_DEPTH);
        break;
    default:
        snprintf(words, WORDS_SIZE, "one evaluation of %s \"%.200s\" could make more than %u tests",
                 owner, problem->owner, FV_TEST_LIMIT);
        break;
    }
}

/* Where the reference stands, as a JSON pointer. */
static void write_pointer(const struct fv_graph_problem *problem, struct fv_text *pointer)
{
    fv_text_add(pointer, problem->reference->pointer);
    if (problem->reference->to_flag)
        fv_text_add(pointer, problem->fault == FV_GRAPH_NO_VARIANT ? "/variant" : "/flag");
}

int fv_refuse_problem(const struct fv_reading *reading, const struct fv_graph_problem *problem)
{
    struct fv_text pointer = FV_TEXT_INIT;
    char words[WORDS_SIZE];
    int r;

    write_words(problem, words);
    write_pointer(problem, &pointer);
    if (pointer.failed)
        r = fv_fail_memory(reading->err);
    else
        r = fv_json_fail(reading->err, reading->text, reading->length, reading->name, pointer.data,
                         false, "%s", words);
    fv_text_clear(&pointer);
    return r;
}

/* ---- the list of what is spoiled ---- */

static int compare_spoiled(const void *a, const void *b)
{
    const struct fv_spoiled *left = a, *right = b;

    if (left->is_segment != right->is_segment)
        return left->is_segment ? 1 : -1;
    return fv_compare_keys(left->key, left->key_length, right->key, right->key_length);
}

/* The same flag or segment in another list; NULL: it was not spoiled there. */
static const struct fv_spoiled *find_spoiled(const struct fv_definitions *definitions,
                                             const struct fv_spoiled *wanted)
{
    if (!definitions || !definitions->spoiled_count)
        return NULL;
    return bsearch(wanted, definitions->spoiled, definitions->spoiled_count, sizeof *wanted,
                   compare_spoiled);
}

/* What is being settled. */
struct settling {
    struct fv_gathering *gathering;
    struct fv_definitions *result;
    size_t capacity; /* of the list */
    bool strict;
    int r;
};

static bool fail_memory(struct settling *settling)
{
    settling->r = fv_fail_memory(settling->gathering->err);
    return false;
}

static bool list(struct settling *settling, const struct fv_spoiled *spoiled)
{
    struct fv_definitions *result = settling->result;

    if (!fv_grow(result->memory, (void **)&result->spoiled, &settling->capacity,
                 result->spoiled_count, sizeof *spoiled))
        return fail_memory(settling);
    result->spoiled[result->spoiled_count++] = *spoiled;
    return true;
}

static struct fv_spoiled spoiled_flag(const struct fv_flag *flag)
{
    return (struct fv_spoiled){ false, flag->key, flag->key_length, flag->body->why };
}

static struct fv_spoiled spoiled_segment(const struct fv_segment *segment, const char *why)
{
    return (struct fv_spoiled){ true, segment->name, segment->name_length, why };
}

/* ---- what is spoiled by what it refers to ---- */

/* The stand-in that `current` has for the same flag and for the same reason. */
static struct fv_flag *current_stand_in(const struct settling *settling, const struct fv_flag *flag,
                                        const char *why)
{
    const struct fv_definitions *current = settling->gathering->source->current;
    uint32_t slot = flag->body->slot;
    struct fv_flag *served;

    if (!current || !current->served || slot >= current->flag_count)
        return NULL;
    served = current->served[slot];
    return served && served->body->origin == flag && strcmp(served->body->why, why) == 0 ? served
                                                                                         : NULL;
}

static bool spoil_flag(struct settling *settling, uint32_t slot, const char *why)
{
    struct fv_definitions *result = settling->result;
    struct fv_flag *flag = result->flags[slot], *stand_in;
    size_t size = result->flag_count * sizeof(struct fv_flag *);
    struct fv_spoiled spoiled;

    if (!result->served) {
        result->served = fv_allocate(result->memory, size);
        if (!result->served)
            return fail_memory(settling);
        memcpy(result->served, result->flags, size);
    }
    stand_in = current_stand_in(settling, flag, why);
    if (stand_in)
        fv_flag_hold(stand_in);
    else
        stand_in = fv_flag_spoil(flag, why);
    if (!stand_in)
        return fail_memory(settling);
    result->served[slot] = stand_in;
    spoiled = spoiled_flag(stand_in);
    return list(settling, &spoiled);
}

static bool spoil_segment(struct settling *settling, uint32_t slot, const char *why)
{
    struct fv_definitions *result = settling->result;
    const char *copy = fv_arena_string(&result->words, why, strlen(why));
    struct fv_spoiled spoiled = spoiled_segment(result->segments[slot], copy);

    return copy ? list(settling, &spoiled) : fail_memory(settling);
}

/* A text that leaves a flag or segment alone is not to blame for what was wrong with it before. */
static bool is_known(const struct settling *settling, const struct fv_graph_problem *problem)
{
    const struct fv_gathering *gathering = settling->gathering;
    const struct fv_definitions *result = settling->result;
    uint32_t slot = problem->owner_slot;
    struct fv_spoiled wanted;

    if (problem->owner_is_flag) {
        wanted = spoiled_flag(result->flags[slot]);
        return result->flags[slot] == fv_gather_current_flag(gathering, slot) &&
               find_spoiled(gathering->source->current, &wanted);
    }
    wanted = spoiled_segment(result->segments[slot], NULL);
    return result->segments[slot] == fv_gather_current_segment(gathering, slot) &&
           find_spoiled(gathering->source->current, &wanted);
}

static bool take_problem(void *data, const struct fv_graph_problem *problem)
{
    struct settling *settling = data;
    struct fv_text why = FV_TEXT_INIT;
    char words[WORDS_SIZE];
    bool more;

    if (settling->strict && !is_known(settling, problem)) {
        settling->r = fv_refuse_problem(&settling->gathering->reading, problem);
        return false;
    }
    write_words(problem, words);
    write_pointer(problem, &why);
    fv_text_add(&why, ": ");
    fv_text_add(&why, words);
    if (why.failed)
        more = fail_memory(settling);
    else if (problem->owner_is_flag)
        more = spoil_flag(settling, problem->owner_slot, why.data);
    else
        more = spoil_segment(settling, problem->owner_slot, why.data);
    fv_text_clear(&why);
    return more;
}

/* ---- what is spoiled by itself ---- */

static bool list_malformed(struct settling *settling)
{
    struct fv_definitions *result = settling->result;
    struct fv_spoiled spoiled;
    bool more = true;
    uint32_t i;

    if (!settling->gathering->malformed)
        return true;
    for (i = 0; more && i < result->flag_count; i++) {
        if (!result->flags[i] || !result->flags[i]->error)
            continue;
        spoiled = spoiled_flag(result->flags[i]);
        more = list(settling, &spoiled);
    }
    for (i = 0; more && i < result->segment_count; i++) {
        if (!result->segments[i] || !result->segments[i]->why)
            continue;
        spoiled = spoiled_segment(result->segments[i], result->segments[i]->why);
        more = list(settling, &spoiled);
    }
    return more;
}

/* The listener hears what is new. */
static void tell(const struct settling *settling)
{
    const struct fv_definitions_source *source = settling->gathering->source;
    const struct fv_definitions *result = settling->result;
    const struct fv_spoiled *spoiled, *before;
    char line[FLAGVER_MESSAGE_SIZE + 200];
    size_t i;

    for (i = 0; source->spoiled && i < result->spoiled_count; i++) {
        spoiled = &result->spoiled[i];
        before = find_spoiled(source->current, spoiled);
        if (before && strcmp(before->why, spoiled->why) == 0)
            continue;
        snprintf(line, sizeof line, "%s \"%.128s\" cannot be used: %s",
                 spoiled->is_segment ? "segment" : "flag", spoiled->key, spoiled->why);
        source->spoiled->tell(source->spoiled->data, line);
    }
}

int fv_gather_settle(struct fv_gathering *gathering, bool strict)
{
    struct settling settling = { .gathering = gathering,
                                 .result = gathering->result,
                                 .strict = strict };
    struct fv_definitions *result = gathering->result;
    struct fv_world world;
    int r;

    r = fv_gather_cover(gathering);
    if (r < 0)
        return r;
    world = fv_definitions_world(result);
    if (fv_graph_check(&world, result->memory, take_problem, &settling) < 0)
        return fv_fail_memory(gathering->err);
    if (settling.r == 0 && list_malformed(&settling) && result->spoiled_count) {
        qsort(result->spoiled, result->spoiled_count, sizeof *result->spoiled, compare_spoiled);
        tell(&settling);
    }
    return settling.r;
}
