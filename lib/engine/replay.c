#include "engine/replay.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "flagver/audit.h"
#include "flagver/version.h"
#include "model/version.h"
#include "util/fail.h"

#define CHUNK 65536
#define AUDIT_BITS 0xffff0000u /* of a leaf: they are about the act, not the version */

void fv_replay_init(struct fv_replay *replay, struct fv_findings *findings)
{
    *replay = (struct fv_replay){ .findings = findings, .name = FV_TEXT_INIT };
    fv_arena_init(&replay->arena, NULL, CHUNK);
    fv_map_init(&replay->actors, NULL);
    fv_map_init(&replay->names, NULL);
}

void fv_replay_clear(struct fv_replay *replay)
{
    size_t i;

    for (i = 0; i < replay->names.count; i++)
        fv_release(NULL, replay->series[i].versions);
    fv_release(NULL, replay->series);
    fv_map_clear(&replay->names);
    fv_map_clear(&replay->actors);
    fv_arena_clear(&replay->arena);
    fv_text_clear(&replay->name);
}

/* ---- names ---- */

static void make_name(struct fv_replay *replay, flagver_bytes phase, flagver_bytes subject)
{
    fv_text_reset(&replay->name);
    fv_text_add_bytes(&replay->name, phase.data, phase.length);
    fv_text_add_char(&replay->name, '\n');
    fv_text_add_bytes(&replay->name, subject.data, subject.length);
}

struct fv_replayed_series *fv_replay_find(struct fv_replay *replay, flagver_bytes phase,
                                          flagver_bytes subject)
{
    uint32_t number;

    make_name(replay, phase, subject);
    number = fv_map_find(&replay->names, replay->name.data, replay->name.length);
    return number == FV_MAP_NONE ? NULL : &replay->series[number];
}

static struct fv_replayed_series *add_series(struct fv_replay *replay,
                                             const struct fv_audit_leaf *leaf)
{
    size_t before = replay->names.count;
    uint32_t number;

    make_name(replay, leaf->phase, leaf->subject);
    if (replay->name.failed || !fv_grow(NULL, (void **)&replay->series, &replay->series_capacity,
                                        before, sizeof *replay->series))
        return NULL;
    number = fv_map_add(&replay->names, replay->name.data, replay->name.length);
    if (number == FV_MAP_NONE)
        return NULL;
    if (number == before)
        replay->series[number] = (struct fv_replayed_series){ .current_no = 0 };
    return &replay->series[number];
}

uint32_t fv_replay_actor(const struct fv_replay *replay, flagver_bytes name)
{
    return name.data ? fv_map_find(&replay->actors, name.data, name.length) : FV_MAP_NONE;
}

/* ---- one leaf ---- */

struct step {
    struct fv_replay *replay;
    const struct fv_audit_leaf *leaf;
    struct fv_replayed_series *series;
    struct fv_replayed_version *version;
    uint32_t actor;
};

static void complain(const struct step *step, const char *format, ...) FV_TEXT_FORMAT(2, 3);

static void complain(const struct step *step, const char *format, ...)
{
    const struct fv_audit_leaf *leaf = step->leaf;
    const char *action = fv_action_name(leaf->action);
    va_list arguments;
    char words[512];

    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    fv_found(step->replay->findings, "leaf %" PRIu64 " (%s %.*s \"%.*s\" version %" PRIu32 "): %s",
             leaf->leaf_no, action ? action : "?", (int)leaf->phase.length,
             (const char *)leaf->phase.data, (int)leaf->subject.length,
             (const char *)leaf->subject.data, leaf->no, words);
}

static bool is_same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, FV_DIGEST_SIZE) == 0;
}

static bool is_author(const struct step *step)
{
    const struct fv_replayed_author *author = step->version->authors;

    while (author && author->actor != step->actor)
        author = author->next;
    return author || step->version->created_by == step->actor;
}

/* How many have approved the content that the version has, and whether this actor has. */
static uint32_t count_votes(const struct step *step, bool *ret_has_voted)
{
    const struct fv_replayed_vote *vote;
    uint32_t count = 0;

    *ret_has_voted = false;
    for (vote = step->version->votes; vote; vote = vote->next) {
        if (!is_same(vote->content_hash, step->version->content_hash))
            continue;
        count++;
        *ret_has_voted |= vote->actor == step->actor;
    }
    return count;
}

/* ---- is it allowed? ---- */

/* What could be known of the policy is what makes the leaf right, if anything does. */
static void find_facts(const struct step *step, struct fv_version_facts *facts)
{
    const struct fv_audit_leaf *leaf = step->leaf;
    const struct fv_replayed_version *version = step->version;
    bool in_force = leaf->to == FLAGVER_STATE_APPROVED;

    *facts = (struct fv_version_facts){ .state = version->state,
                                        .audit_only = leaf->action == FV_ACTION_RECORD,
                                        .emergency = (leaf->bits & FLAGVER_VERSION_EMERGENCY) != 0,
                                        .is_author = is_author(step),
                                        .allow_self = (leaf->bits & FLAGVER_AUDIT_SELF) != 0,
                                        .no = leaf->no,
                                        .base_no = version->base_no,
                                        .current_no = step->series->current_no,
                                        .allow_stale = true };
    facts->votes = count_votes(step, &facts->has_voted) + 1;
    facts->approvals = leaf->action == FV_ACTION_SUBMIT ? !in_force : facts->votes + !in_force;
}

static void check_transition(const struct step *step)
{
    const struct fv_audit_leaf *leaf = step->leaf;
    const char *was = fv_state_name(step->version->state), *says = fv_state_name(leaf->from);
    struct fv_version_facts facts;
    int next;

    if (leaf->from != step->version->state) {
        complain(step, "it says that the version was %s, and it was %s", says ? says : "not there",
                 was ? was : "not there");
        return;
    }
    find_facts(step, &facts);
    next = fv_version_judge((enum fv_action)leaf->action, &facts);
    if (next < 0)
        complain(step, "the rules do not allow it: %s", fv_error_words(next));
    else if (next != leaf->to)
        complain(step, "by the rules the version is %s then", fv_state_name(next));
}

static bool makes_version(const struct fv_audit_leaf *leaf)
{
    return leaf->action == FV_ACTION_CREATE || leaf->action == FV_ACTION_RECORD;
}

/* What no action but some changes. */
static void check_birth(const struct step *step)
{
    const struct fv_replayed_version *version = step->version;
    const struct fv_audit_leaf *leaf = step->leaf;

    if (leaf->parent_no != version->parent_no || leaf->reverts_no != version->reverts_no)
        complain(step, "where the version came from has changed");
    if (leaf->action != FV_ACTION_EDIT && !is_same(leaf->content_hash, version->content_hash))
        complain(step, "the content has changed");
    if (leaf->action != FV_ACTION_REBASE && leaf->base_no != version->base_no)
        complain(step, "the version that it is based on has changed");
    if (leaf->action != FV_ACTION_EDIT && leaf->action != FV_ACTION_DECIDE &&
        !is_same(leaf->decisions_hash, version->decisions_hash))
        complain(step, "decisions about items have changed");
    if (leaf->rev != version->rev && leaf->rev != version->rev + 1)
        complain(step, "it says rev %" PRId64 ", and the version was at %" PRId64, leaf->rev,
                 version->rev);
}

static bool comes_into_force(const struct step *step)
{
    return step->leaf->to == FLAGVER_STATE_APPROVED &&
           step->version->state != FLAGVER_STATE_APPROVED;
}

static void check_rules(const struct step *step)
{
    const struct fv_audit_leaf *leaf = step->leaf;
    uint32_t supersedes = comes_into_force(step) ? step->series->current_no : 0;

    check_transition(step);
    if (step->version->state)
        check_birth(step);
    if (makes_version(leaf) && leaf->base_no != step->series->current_no)
        complain(step, "it is based on version %" PRIu32 ", and %" PRIu32 " was in force",
                 leaf->base_no, step->series->current_no);
    if (leaf->action == FV_ACTION_REBASE && leaf->base_no != step->series->current_no)
        complain(step, "it is based on version %" PRIu32 " now, and %" PRIu32 " was in force",
                 leaf->base_no, step->series->current_no);
    if (leaf->supersedes != supersedes)
        complain(step, "it supersedes version %" PRIu32 ", and should %" PRIu32, leaf->supersedes,
                 supersedes);
    if (leaf->time < step->series->changed_at)
        complain(step, "its time is before that of leaf %" PRIu64, step->series->leaf);
}

/* ---- what comes of it ---- */

static int add_author(const struct step *step, flagver_error *err)
{
    struct fv_replayed_author *author;

    if (is_author(step))
        return 0;
    author = fv_arena_allocate_zeroed(&step->replay->arena, 1, sizeof *author);
    if (!author)
        return fv_fail_memory(err);
    author->actor = step->actor;
    author->leaf = step->leaf->leaf_no;
    author->next = step->version->authors;
    step->version->authors = author;
    return 0;
}

static int add_vote(const struct step *step, flagver_error *err)
{
    struct fv_replayed_vote *vote = fv_arena_allocate_zeroed(&step->replay->arena, 1, sizeof *vote);

    if (!vote)
        return fv_fail_memory(err);
    vote->actor = step->actor;
    vote->time = step->leaf->time;
    vote->leaf = step->leaf->leaf_no;
    memcpy(vote->content_hash, step->leaf->content_hash, FV_DIGEST_SIZE);
    memcpy(vote->note_hash, step->leaf->note_hash, FV_DIGEST_SIZE);
    vote->next = step->version->votes;
    step->version->votes = vote;
    return 0;
}

static void note(const struct step *step)
{
    struct fv_replayed_version *version = step->version;

    if (!fv_leaf_keeps_note(step->leaf))
        return;
    memcpy(version->note_hash, step->leaf->note_hash, FV_DIGEST_SIZE);
}

static void supersede(const struct step *step)
{
    struct fv_replayed_series *series = step->series;
    struct fv_replayed_version *old;

    if (series->current_no && series->current_no != step->leaf->no) {
        old = &series->versions[series->current_no - 1];
        old->state = FLAGVER_STATE_SUPERSEDED;
        old->superseded_by = step->leaf->no;
        old->superseded_at = step->leaf->time;
        old->rev++;
        old->leaf = step->leaf->leaf_no;
    }
    series->current_no = step->leaf->no;
}

static void decide(const struct step *step)
{
    step->version->decided_at = step->leaf->time;
    step->version->decided_by = step->actor;
}

static void be_born(const struct step *step)
{
    const struct fv_audit_leaf *leaf = step->leaf;

    step->version->created_at = leaf->time;
    step->version->created_by = step->actor;
    step->version->parent_no = leaf->parent_no;
    step->version->reverts_no = leaf->reverts_no;
    if (leaf->action == FV_ACTION_RECORD)
        step->series->current_no = leaf->no;
}

static int carry_out(const struct step *step, flagver_error *err)
{
    struct fv_replayed_version *version = step->version;
    const struct fv_audit_leaf *leaf = step->leaf;
    int r = 0;

    if (makes_version(leaf))
        be_born(step);
    if (leaf->action == FV_ACTION_SUBMIT)
        version->submitted_at = leaf->time;
    if (leaf->action == FV_ACTION_RETURN)
        version->submitted_at = 0;
    if (leaf->action == FV_ACTION_REJECT || comes_into_force(step))
        decide(step);
    if (comes_into_force(step))
        supersede(step);
    if (leaf->action == FV_ACTION_SHRED)
        version->shredded = true;
    note(step);
    if (leaf->action == FV_ACTION_EDIT)
        r = add_author(step, err);
    else if (leaf->action == FV_ACTION_APPROVE || leaf->action == FV_ACTION_REVIEW)
        r = add_vote(step, err);

    version->state = leaf->to;
    version->bits = leaf->bits & ~AUDIT_BITS;
    version->rev = leaf->rev;
    version->base_no = leaf->base_no;
    version->leaf = leaf->leaf_no;
    memcpy(version->content_hash, leaf->content_hash, FV_DIGEST_SIZE);
    memcpy(version->decisions_hash, leaf->decisions_hash, FV_DIGEST_SIZE);
    step->series->changed_at = leaf->time;
    step->series->leaf = leaf->leaf_no;
    return r;
}

/* The version that the leaf is about, new or not. 0: there can be none of this number. */
static int find_version(struct step *step, flagver_error *err)
{
    struct fv_replayed_series *series = step->series;
    uint32_t no = step->leaf->no;

    if (makes_version(step->leaf) && no == series->count + 1) {
        if (!fv_grow(NULL, (void **)&series->versions, &series->capacity, series->count,
                     sizeof *series->versions))
            return fv_fail_memory(err);
        series->versions[series->count++] =
            (struct fv_replayed_version){ .created_by = FV_MAP_NONE, .decided_by = FV_MAP_NONE };
    } else if (makes_version(step->leaf)) {
        complain(step, "the next number of the series was %zu", series->count + 1);
        return 0;
    } else if (no == 0 || no > series->count) {
        complain(step, "there is no such version");
        return 0;
    }
    step->version = &series->versions[no - 1];
    return 1;
}

int fv_replay_leaf(struct fv_replay *replay, const struct fv_audit_leaf *leaf, flagver_error *err)
{
    struct step step = { .replay = replay, .leaf = leaf };
    int r;

    step.series = add_series(replay, leaf);
    step.actor = fv_map_add(&replay->actors, leaf->actor.data, leaf->actor.length);
    if (!step.series || step.actor == FV_MAP_NONE)
        return fv_fail_memory(err);
    if (!fv_action_name(leaf->action) || !fv_state_name(leaf->to) ||
        (leaf->from && !fv_state_name(leaf->from))) {
        complain(&step, "there is no such action, or no such state");
        return 0;
    }
    r = find_version(&step, err);
    if (r <= 0)
        return r;
    check_rules(&step);
    return carry_out(&step, err);
}
