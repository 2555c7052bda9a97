/*
 * Histories of records under approval: what people do to a few records, and what came of
 * it. Acts are plain numbers, so that they can be chosen at random, lie in memory that
 * processes share, be done again on another store, and be retold by tests/replay.h. What the
 * numbers stand for is in the tables here.
 *
 * A deal is a transaction, of one to five acts, under an idempotency key that tells which deal
 * each leaf of the log is of. When all of its acts are refused a deal records something, so that
 * the log tells when they were.
 */
#ifndef FLAGVER_TESTS_HISTORY_H
#define FLAGVER_TESTS_HISTORY_H

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "flagver/audit.h"
#include "flagver/key.h"
#include "flagver/rollout.h"
#include "flagver/version.h"
#include "seed.h"

/* ---- who ---- */

struct member {
    const char *id;
    const char *roles[3];
};

static const struct member members[] = {
    { "ann", { "Tester" } }, { "ben", { "Tester", "Lead" } },   { "cat", { "Lead" } },
    { "dan", { NULL } },     { "eve", { "Keeper", "Tester" } }, { "fay", { "on call", "Lead" } },
};
#define MEMBERS 6
#define NOBODY MEMBERS

static inline size_t role_count(const struct member *member)
{
    size_t count = 0;

    while (count < 3 && member->roles[count])
        count++;
    return count;
}

/* The number of a member, or NOBODY. */
static inline uint8_t member_named(const char *id)
{
    uint8_t i = 0;

    while (id && i < MEMBERS && strcmp(members[i].id, id) != 0)
        i++;
    return id ? i : NOBODY;
}

/* ---- about what ---- */

/* How a number becomes a payload. */
enum content_form { PLAIN, FLAG, POLICY, PEOPLE };

/* JSON with ' for ". All of it is canonical. */
#define POLICIES 3
#define KEEPERS "'shred':{'role_in':['Keeper']},'versioning':"
#define TEAM "{'role_in':['Tester','Lead']}"

struct topic {
    const char *phase, *subject;
    enum content_form form;
    uint32_t weight; /* how often it is chosen */
    const char *policies[POLICIES];
};

static const struct topic topics[] = {
    { "plan", "a", PLAIN, 24, { NULL } },
    { "plan", "b/1", PLAIN, 12, { NULL } },
    { "scope", "a", PLAIN, 24, { NULL } },
    { "scope", "b/1", PLAIN, 12, { NULL } },
    { "free", "a", PLAIN, 8, { NULL } },
    { "book", "a", PLAIN, 6, { NULL } },
    { FLAGVER_PHASE_FLAG, "f", FLAG, 12, { NULL } },
    { FLAGVER_PHASE_FLAG, "g", FLAG, 8, { NULL } },
    { FLAGVER_PHASE_ASSIGNMENT, "owner/a", PEOPLE, 1, { NULL } },
    { FLAGVER_PHASE_ASSIGNMENT, "owner/b/*", PEOPLE, 1, { NULL } },
    { FLAGVER_PHASE_PHASE,
      "plan",
      POLICY,
      1,
      { "{'approval':{'rule':" TEAM "}," KEEPERS "'full'}",
        "{'approval':{'min':2,'rule':" TEAM ",'stale':'allow'}," KEEPERS "'full','write':" TEAM "}",
        "{'approval':{'allow_self':true,'rule':'anyone'},'shred':'anyone'}" } },
    { FLAGVER_PHASE_PHASE,
      "plan/b",
      POLICY,
      1,
      { "{'approval':{'rule':{'all':[{'assigned':'owner'},{'role_in':['Lead','Tester']}]}}}",
        "{'approval':{'min':2,'rule':'anyone'},'write':{'assigned':'owner'}}",
        "{'approval':{'rule':" TEAM ",'stale':'allow'}}" } },
    { FLAGVER_PHASE_PHASE,
      "scope",
      POLICY,
      1,
      { "{'approval':{'items_complete':true,'rule':{'any':[{'assigned':'owner'},{'role_in':["
        "'Lead']}]}}," KEEPERS "'full'}",
        "{'approval':{'items_complete':true,'min':2,'rule':'anyone','stale':'allow'}}",
        "{'approval':{'allow_self':true,'min':2,'rule':" TEAM "}," KEEPERS "'full'}" } },
    { FLAGVER_PHASE_PHASE,
      "free",
      POLICY,
      1,
      { "{'approval':{'min':0,'stale':'allow'}}",
        "{'approval':{'required':false},'write':{'role_in':['Tester']}}",
        "{'approval':{'items_complete':true,'min':0},'shred':'anyone'}" } },
    { FLAGVER_PHASE_PHASE,
      "book",
      POLICY,
      1,
      { "{" KEEPERS "'audit_only'}", "{" KEEPERS "'audit_only','write':" TEAM "}",
        "{'approval':{'rule':'anyone'}}" } },
    { FLAGVER_PHASE_PHASE,
      FLAGVER_PHASE_FLAG,
      POLICY,
      1,
      { "{'approval':{'rule':{'role_in':['Lead']}},'emergency':{'role_in':['on call']}}",
        "{'approval':{'required':false}}",
        "{'approval':{'min':2,'rule':'anyone','stale':'allow'},'emergency':'anyone'}" } },
    { "race", "a", PLAIN, 0, { NULL } },
    { "race", "b", PLAIN, 0, { NULL } },
    { "race", "c", PLAIN, 0, { NULL } },
    { "race", "d", PLAIN, 0, { NULL } },
    { FLAGVER_PHASE_PHASE, "race", POLICY, 0, { "{'approval':{'rule':'anyone'}}" } },
    { "trace", "all", PLAIN, 0, { NULL } },
    { FLAGVER_PHASE_PHASE, "trace", POLICY, 0, { "{'versioning':'audit_only'}" } },
};
#define TOPICS (sizeof topics / sizeof *topics)
#define FIRST_RACE 16
#define RACES 4
#define TRACE 21

/* The number of a topic, or TOPICS. */
static inline uint8_t topic_of(const char *phase, const char *subject)
{
    uint8_t i = 0;

    while (i < TOPICS &&
           (strcmp(topics[i].phase, phase) != 0 || strcmp(topics[i].subject, subject) != 0))
        i++;
    return i;
}

#define TEXT_SIZE 256
#define NO_CONTENT UINT32_MAX /* of a tombstone */
#define DISABLED 1000         /* is added to the content of flags */

static inline void add_people(uint32_t mask, char out[TEXT_SIZE])
{
    size_t length = (size_t)sprintf(out, "{\"users\":[");
    unsigned i;

    for (i = 0; i < MEMBERS; i++)
        if (mask & 1u << i)
            length += (size_t)sprintf(out + length, "%s\"%s\"", mask & ((1u << i) - 1) ? "," : "",
                                      members[i].id);
    strcpy(out + length, "]}");
}

/* Canonical. */
static inline void content_text(uint8_t topic, uint32_t content, char out[TEXT_SIZE])
{
    size_t i;

    out[0] = 0;
    if (content == NO_CONTENT)
        return;
    switch (topics[topic].form) {
    case PLAIN:
        snprintf(out, TEXT_SIZE, "{\"x\":%u}", content);
        break;
    case FLAG:
        snprintf(out, TEXT_SIZE, "{%s\"percentage\":%u,\"type\":\"boolean\"}",
                 content >= DISABLED ? "\"enabled\":false," : "", content % DISABLED);
        break;
    case POLICY:
        snprintf(out, TEXT_SIZE, "%s", topics[topic].policies[content]);
        for (i = 0; out[i]; i++)
            if (out[i] == '\'')
                out[i] = '"';
        break;
    case PEOPLE:
        add_people(content, out);
        break;
    }
}

static inline uint32_t choose_content(uint8_t topic, struct seed *seed)
{
    switch (topics[topic].form) {
    case FLAG:
        return seed_below(seed, 101);
    case POLICY:
        return seed_below(seed, topics[topic].policies[1] ? POLICIES : 1);
    case PEOPLE:
        return 1 + seed_below(seed, (1u << MEMBERS) - 1);
    default:
        return seed_below(seed, 8);
    }
}

/* Items have keys by their bit, and the content of a plain topic. */
#define ITEMS 3
static const char *const item_keys[ITEMS] = { "i0", "i1", "i2" };

#define NOTE_SIZE 16

/* 0: none. */
static inline const char *note_text(uint32_t note, char out[NOTE_SIZE])
{
    snprintf(out, NOTE_SIZE, "note %u", note);
    return note ? out : NULL;
}

/* ---- acts ---- */

enum deed {
    DO_CREATE,
    DO_EDIT,
    DO_REBASE,
    DO_SUBMIT,
    DO_RETURN,
    DO_DECIDE,
    DO_APPROVE,
    DO_REJECT,
    DO_WITHDRAW,
    DO_REVERT,
    DO_RECORD,
    DO_REVIEW,
    DO_PUT,
    DO_REMOVE,
    DO_ITEMS_PUT,
    DO_ITEMS_REMOVE,
    DO_SHRED,
    DO_DISABLE,
    DEEDS
};

static const char *const deed_words[] = { "create",   "edit",   "rebase",    "submit",
                                          "return",   "decide", "approve",   "reject",
                                          "withdraw", "revert", "record",    "review",
                                          "put",      "remove", "items put", "items remove",
                                          "shred",    "disable" };

/*
 * What is asked for, and what came of it.
 *
 * follows  it is about the version that the act before has left
 * seen     whether a content_hash is given, of what was looked at
 */
struct act {
    uint8_t deed, topic, items, status;
    bool follows, seen, submits, emergency;
    uint32_t no, content, note, expect_no, parent_no, baseline_no;
    uint8_t hash[32];

    bool done;
    int32_t code, state;
    uint32_t ret_no;
    int64_t rev;
};

static inline flagver_write_options options_of(const struct act *act, char note[NOTE_SIZE])
{
    return (flagver_write_options){ .size = sizeof(flagver_write_options),
                                    .note = note_text(act->note, note),
                                    .expect_no = act->expect_no,
                                    .flags = (act->submits ? FLAGVER_WRITE_SUBMIT : 0) |
                                             (act->emergency ? FLAGVER_WRITE_EMERGENCY : 0),
                                    .content_hash = act->seen ? act->hash : NULL,
                                    .parent_no = act->parent_no,
                                    .baseline_no = act->baseline_no };
}

static inline int do_items(flagver_txn *txn, const struct act *act,
                           const flagver_write_options *options, flagver_version **ret,
                           flagver_error *err)
{
    const struct topic *topic = &topics[act->topic];
    flagver_item_content items[ITEMS];
    const char *keys[ITEMS];
    char texts[ITEMS][TEXT_SIZE];
    size_t count = 0;
    uint32_t i;

    for (i = 0; i < ITEMS; i++) {
        if (!(act->items & 1u << i))
            continue;
        content_text(0, act->content + i, texts[count]);
        items[count] = (flagver_item_content){ item_keys[i], texts[count], strlen(texts[count]) };
        keys[count++] = item_keys[i];
    }
    switch (act->deed) {
    case DO_ITEMS_PUT:
        return flagver_items_put(txn, topic->phase, topic->subject, act->no, items, count, options,
                                 ret, err);
    case DO_ITEMS_REMOVE:
        return flagver_items_remove(txn, topic->phase, topic->subject, act->no, keys, count,
                                    options, ret, err);
    default:
        return flagver_items_decide(txn, topic->phase, topic->subject, act->no, keys, count,
                                    act->status, options, ret, err);
    }
}

static inline int do_text(flagver_txn *txn, const struct act *act,
                          const flagver_write_options *options, flagver_version **ret,
                          flagver_error *err)
{
    const char *phase = topics[act->topic].phase, *subject = topics[act->topic].subject;
    char text[TEXT_SIZE];
    size_t length;

    content_text(act->topic, act->content, text);
    length = strlen(text);
    switch (act->deed) {
    case DO_CREATE:
        return flagver_version_create(txn, phase, subject, text, length, options, ret, err);
    case DO_EDIT:
        return flagver_version_edit(txn, phase, subject, act->no, text, length, options, ret, err);
    case DO_PUT:
        return flagver_version_put(txn, phase, subject, text, length, options, ret, err);
    default:
        return flagver_version_record(txn, phase, subject, text, length, options, ret, err);
    }
}

/* Those that give no version back. */
static inline int do_silently(flagver_txn *txn, struct act *act,
                              const flagver_write_options *options, flagver_error *err)
{
    if (act->deed == DO_DISABLE)
        return flagver_flag_disable(txn, topics[act->topic].subject, options, &act->ret_no, err);
    act->ret_no = act->no;
    return flagver_version_shred(txn, topics[act->topic].phase, topics[act->topic].subject, act->no,
                                 options->note, err);
}

typedef int numbered(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                     const flagver_write_options *options, flagver_version **ret_version,
                     flagver_error *err);

static inline int do_deed(flagver_txn *txn, struct act *act, const flagver_write_options *options,
                          flagver_version **ret, flagver_error *err)
{
    static numbered *const by_number[DEEDS] = {
        [DO_REBASE] = flagver_version_rebase, [DO_SUBMIT] = flagver_version_submit,
        [DO_RETURN] = flagver_version_return, [DO_APPROVE] = flagver_version_approve,
        [DO_REJECT] = flagver_version_reject, [DO_WITHDRAW] = flagver_version_withdraw,
        [DO_REVERT] = flagver_version_revert, [DO_REVIEW] = flagver_version_review,
    };
    const struct topic *topic = &topics[act->topic];

    if (by_number[act->deed])
        return by_number[act->deed](txn, topic->phase, topic->subject, act->no, options, ret, err);
    switch (act->deed) {
    case DO_REMOVE:
        return flagver_version_remove(txn, topic->phase, topic->subject, options, ret, err);
    case DO_ITEMS_PUT:
    case DO_ITEMS_REMOVE:
    case DO_DECIDE:
        return do_items(txn, act, options, ret, err);
    case DO_SHRED:
    case DO_DISABLE:
        return do_silently(txn, act, options, err);
    default:
        return do_text(txn, act, options, ret, err);
    }
}

static inline int do_act(flagver_txn *txn, struct act *act, flagver_error *err)
{
    flagver_version *version = NULL;
    char note[NOTE_SIZE];
    const flagver_write_options options = options_of(act, note);

    act->ret_no = 0;
    act->state = 0;
    act->rev = 0;
    act->code = do_deed(txn, act, &options, &version, err);
    if (act->code < 0)
        act->ret_no = 0;
    if (version) {
        act->ret_no = version->no;
        act->state = version->state;
        act->rev = version->rev;
    }
    flagver_version_free(version);
    act->done = true;
    return act->code;
}

/* ---- deals ---- */

#define ASKED 5 /* acts of a deal, at most; and one that traces it */

struct deal {
    uint32_t thread, number; /* its key */
    uint8_t member;
    uint32_t asked, count;      /* acts that were chosen, and with the trace */
    struct act *acts;           /* ASKED + 1 */
    int64_t clock;              /* ms; what it was told when it asked for the time; 0: not yet */
    uint64_t invoked, returned; /* ns */
    uint32_t runs;
    int32_t code;
    bool ended;
};

#define KEY_SIZE 24
#define HISTORY_BEGIN INT64_C(1767225600000) /* 2026-01-01 */

static inline const char *deal_key(const struct deal *deal, char out[KEY_SIZE])
{
    snprintf(out, KEY_SIZE, "%u-%u", deal->thread, deal->number);
    return out;
}

/* Whose deal a thread is about; its clock stands still as long as it is. */
static _Thread_local struct deal *deal_at_hand;

/* The clock of all clients, which share a counter: now and then it goes backwards. */
static inline int64_t tell_deal_time(void *ticks)
{
    uint32_t tick;

    if (!deal_at_hand)
        return HISTORY_BEGIN;
    if (!deal_at_hand->clock) {
        tick = atomic_fetch_add((atomic_uint *)ticks, 1);
        deal_at_hand->clock = HISTORY_BEGIN + 1000 + tick / 4 - (tick % 37 == 0 ? 50 : 0);
    }
    return deal_at_hand->clock;
}

static inline void resolve(struct act *act, const struct act *before)
{
    if (!act->follows || !before)
        return;
    act->topic = before->topic;
    act->no = before->ret_no ? before->ret_no : before->no;
}

/* What it is about when the acts before are known. */
static inline int do_deal(void *data, flagver_txn *txn, flagver_error *err)
{
    struct deal *deal = data;
    bool traced = false;
    uint32_t i;
    int r;

    deal->runs++;
    deal->count = deal->asked;
    for (i = 0; i < deal->count; i++) {
        resolve(&deal->acts[i], i ? &deal->acts[i - 1] : NULL);
        r = do_act(txn, &deal->acts[i], err);
        traced |= r == 0;
        if (r < 0 && (flagver_error_class(r) != FLAGVER_CLASS_MISTAKE || r == FLAGVER_EIDEM))
            return r;
        if (i + 1 == deal->count && !traced) {
            deal->acts[deal->count++] = (struct act){ .deed = DO_RECORD, .topic = TRACE };
            traced = true;
        }
    }
    return 0;
}

/* Do it, again where it was done before. */
static inline int run_deal(flagver_client *client, struct deal *deal, flagver_error *err)
{
    const struct member *member = &members[deal->member];
    const flagver_actor actor = { .size = sizeof actor,
                                  .id = member->id,
                                  .roles = member->roles,
                                  .role_count = role_count(member) };
    char key[KEY_SIZE];
    const flagver_txn_options options = { .size = sizeof options,
                                          .idempotency_key = deal_key(deal, key) };
    int r;

    deal_at_hand = deal;
    r = flagver_txn_run(client, &actor, &options, do_deal, deal, err);
    deal_at_hand = NULL;
    return r;
}

static inline uint64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Do it, and keep when it was and what came of it. */
static inline int make_deal(flagver_client *client, struct deal *deal, flagver_error *err)
{
    if (!deal->invoked)
        deal->invoked = now_ns();
    deal->code = run_deal(client, deal, err);
    deal->returned = now_ns();
    deal->ended = true;
    return deal->code;
}

#define FOUND_SIZE 1200

/*
 * A deal as it was asked for, on another store or once more: does the same come of it? `found`
 * says what does not.
 */
static inline bool deal_comes_to_the_same(flagver_client *client, const struct deal *deal,
                                          char found[FOUND_SIZE])
{
    struct act acts[ASKED + 1];
    struct deal again = *deal;
    flagver_error problem;
    uint32_t i;
    int r;

    memcpy(acts, deal->acts, deal->asked * sizeof *acts);
    again.acts = acts;
    r = run_deal(client, &again, &problem);
    if (r < 0) {
        snprintf(found, FOUND_SIZE, "deal %u-%u: %s", deal->thread, deal->number, problem.message);
        return false;
    }
    for (i = 0; i < deal->count && i < again.count; i++)
        if (acts[i].code != deal->acts[i].code || acts[i].ret_no != deal->acts[i].ret_no)
            break;
    if (i == deal->count && i == again.count)
        return true;
    snprintf(found, FOUND_SIZE,
             "deal %u-%u, act %u (%s %s/%s %u): %d, version %u instead of %d, version %u",
             deal->thread, deal->number, i, deed_words[acts[i].deed], topics[acts[i].topic].phase,
             topics[acts[i].topic].subject, acts[i].no, acts[i].code, acts[i].ret_no,
             deal->acts[i].code, deal->acts[i].ret_no);
    return false;
}

/* ---- what threads leave to each other ---- */

struct diary {
    struct deal *deals; /* by number */
    struct act *acts;   /* of all of them */
    uint32_t count, room;
};

/* What is believed of a series: it may be outdated. */
#define STATES_KNOWN 32

struct rumour {
    atomic_uint last_no, current_no, emergency_no;
    atomic_uchar states[STATES_KNOWN]; /* by number, of the last ones */
};

struct history {
    struct diary *diaries;
    uint32_t threads;
    struct rumour rumours[TOPICS];
    atomic_uint ticks;
};

/* Room for so many deals of each thread; `allocate` gives zeros. */
static inline void history_init(struct history *history, uint32_t threads, uint32_t deals,
                                void *(*allocate)(size_t size))
{
    uint32_t i;

    memset(history, 0, sizeof *history);
    history->threads = threads;
    history->diaries = allocate(threads * sizeof *history->diaries);
    for (i = 0; i < threads; i++) {
        history->diaries[i].deals = allocate(deals * sizeof(struct deal));
        history->diaries[i].acts = allocate(deals * (ASKED + 1) * sizeof(struct act));
        history->diaries[i].room = deals;
    }
}

/* The next of a thread, still empty. */
static inline struct deal *new_deal(struct history *history, uint32_t thread)
{
    struct diary *diary = &history->diaries[thread];
    struct deal *deal = &diary->deals[diary->count];

    must(diary->count < diary->room, "the diary of thread %u is full", thread);
    *deal = (struct deal){ .thread = thread,
                           .number = diary->count,
                           .acts = &diary->acts[diary->count * (size_t)(ASKED + 1)] };
    return deal;
}

/* It will be done: from now on it counts. */
static inline void enter_deal(struct history *history, const struct deal *deal)
{
    history->diaries[deal->thread].count = deal->number + 1;
}

static inline void spread(struct history *history, const struct act *act)
{
    struct rumour *rumour = &history->rumours[act->topic];
    uint32_t no = act->ret_no, old = atomic_load(&rumour->current_no);
    int state = act->deed == DO_DISABLE ? FLAGVER_STATE_APPROVED : act->state;

    if (act->code < 0 || act->deed == DO_SHRED)
        return;
    if (act->emergency)
        atomic_store(&rumour->emergency_no, no);
    if (no > atomic_load(&rumour->last_no))
        atomic_store(&rumour->last_no, no);
    if ((state == FLAGVER_STATE_APPROVED || state == FLAGVER_STATE_RECORDED) && no > old) {
        atomic_store(&rumour->current_no, no);
        if (old && state == FLAGVER_STATE_APPROVED)
            atomic_store(&rumour->states[old % STATES_KNOWN], FLAGVER_STATE_SUPERSEDED);
    }
    atomic_store(&rumour->states[no % STATES_KNOWN], (unsigned char)state);
}

/* What came of a deal gets about. */
static inline void spread_deal(struct history *history, const struct deal *deal)
{
    uint32_t i;

    for (i = 0; i < deal->count; i++)
        spread(history, &deal->acts[i]);
}

/* ---- choosing ---- */

#define CHOICES 8

/* What suits a version of this state; and now and then something else is tried. */
static const uint8_t suits[][CHOICES] = {
    { DO_CREATE, DO_CREATE, DO_CREATE, DO_CREATE, DO_PUT, DO_PUT, DO_PUT, DO_RECORD },
    { DO_SUBMIT, DO_SUBMIT, DO_SUBMIT, DO_EDIT, DO_ITEMS_PUT, DO_ITEMS_PUT, DO_APPROVE, DO_REBASE },
    { DO_APPROVE, DO_APPROVE, DO_APPROVE, DO_DECIDE, DO_DECIDE, DO_DECIDE, DO_RETURN, DO_REJECT },
    { DO_CREATE, DO_CREATE, DO_CREATE, DO_PUT, DO_REVERT, DO_REMOVE, DO_DISABLE, DO_DISABLE },
    { DO_CREATE, DO_CREATE, DO_PUT, DO_REVERT, DO_SHRED, DO_SHRED, DO_REVIEW, DO_REVIEW },
    { DO_CREATE, DO_CREATE, DO_CREATE, DO_PUT, DO_PUT, DO_REVERT, DO_SHRED, DO_ITEMS_REMOVE },
    { DO_CREATE, DO_CREATE, DO_CREATE, DO_PUT, DO_PUT, DO_REVERT, DO_SHRED, DO_WITHDRAW },
    { DO_RECORD, DO_RECORD, DO_RECORD, DO_RECORD, DO_RECORD, DO_CREATE, DO_SHRED, DO_SHRED },
};

static inline uint8_t choose_topic(struct seed *seed)
{
    uint32_t all = 0, at;
    uint8_t i;

    for (i = 0; i < TOPICS; i++)
        all += topics[i].weight;
    at = seed_below(seed, all);
    for (i = 0; at >= topics[i].weight; i++)
        at -= topics[i].weight;
    return i;
}

/* One of the last numbers, most often; or the one after them, which is not there. */
static inline uint32_t choose_no(const struct rumour *rumour, struct seed *seed)
{
    uint32_t last = atomic_load(&rumour->last_no), reach = seed_below(seed, 4) ? 3 : 16;

    if (seed_below(seed, 16) == 0)
        return 1 + seed_below(seed, last + 1);
    if (seed_below(seed, 8) == 0 && atomic_load(&rumour->current_no))
        return atomic_load(&rumour->current_no);
    return last ? last - seed_below(seed, last < reach ? last : reach) : 1;
}

static inline void choose_options(const struct rumour *rumour, struct seed *seed, struct act *act)
{
    uint32_t current = atomic_load(&rumour->current_no);

    if (seed_below(seed, 2))
        act->note = 1 + seed_below(seed, 1000);
    if (seed_below(seed, 8) == 0 && act->deed != DO_SHRED)
        act->expect_no = seed_below(seed, 4) && current ? current : FLAGVER_EXPECT_NONE;
    if (act->deed == DO_CREATE && seed_below(seed, 3) == 0)
        act->baseline_no = seed_below(seed, 4) && current ? current : choose_no(rumour, seed);
    if (act->deed <= DO_CREATE && seed_below(seed, 12) == 0)
        act->parent_no = choose_no(rumour, seed);
    act->submits = act->deed == DO_APPROVE && seed_below(seed, 2);
    act->seen = act->deed == DO_APPROVE && seed_below(seed, 32) == 0;
    act->emergency = act->deed == DO_DISABLE && act->note && seed_below(seed, 4);
    act->items = (uint8_t)(seed_below(seed, 3) ? 1u << seed_below(seed, ITEMS)
                                               : 1 + seed_below(seed, (1u << ITEMS) - 1));
    act->status = (uint8_t)(seed_below(seed, 5) < 3 ? FLAGVER_ITEM_APPROVED : seed_below(seed, 3));
}

/* `before` NULL: it is about any version. */
static inline void choose_act(const struct history *history, struct seed *seed,
                              const struct act *before, struct act *act)
{
    const struct rumour *rumour;
    unsigned state;

    *act = (struct act){ .topic = choose_topic(seed) };
    act->follows = before && seed_below(seed, 2);
    if (act->follows)
        act->topic = before->topic;
    rumour = &history->rumours[act->topic];
    act->no = choose_no(rumour, seed);
    if (act->follows)
        state = before->deed == DO_SUBMIT ? FLAGVER_STATE_SUBMITTED : FLAGVER_STATE_DRAFT;
    else if (atomic_load(&rumour->last_no))
        state = atomic_load(&rumour->states[act->no % STATES_KNOWN]);
    else
        state = 0;
    act->deed = seed_below(seed, 6) ? suits[state][seed_below(seed, CHOICES)]
                                    : (uint8_t)seed_below(seed, DEEDS);
    if (act->follows && before->deed == DO_CREATE && topics[act->topic].form == PLAIN &&
        seed_below(seed, 2))
        act->deed = DO_ITEMS_PUT;
    if (act->deed == DO_DISABLE && topics[act->topic].form != FLAG)
        act->deed = DO_PUT;
    if (act->deed == DO_REVIEW && seed_below(seed, 4))
        act->no = atomic_load(&rumour->emergency_no);
    act->content = choose_content(act->topic, seed);
    choose_options(rumour, seed, act);
}

/* The first deals of all: every phase gets its first policy, and three people are owners. */
static inline int make_beginning(flagver_client *client, struct history *history,
                                 flagver_error *err)
{
    struct deal *deal;
    uint8_t topic;
    int r = 0;

    for (topic = 0; r == 0 && topic < TOPICS; topic++) {
        if (topics[topic].form != POLICY && topics[topic].form != PEOPLE)
            continue;
        deal = new_deal(history, 0);
        deal->asked = 1;
        deal->acts[0] = (struct act){ .deed = DO_PUT,
                                      .topic = topic,
                                      .content = topics[topic].form == PEOPLE ? 7 : 0 };
        enter_deal(history, deal);
        r = make_deal(client, deal, err);
        spread_deal(history, deal);
    }
    return r;
}

static inline bool see_item(void *mask, const flagver_item *item)
{
    uint8_t i;

    for (i = 0; i < ITEMS; i++)
        if (strcmp(item_keys[i], item->key) == 0)
            *(uint8_t *)mask |= (uint8_t)(1u << i);
    return true;
}

/* What people do before: they look at what they are going to approve, or at which items there are. */
static inline void look(flagver_client *client, struct act *act)
{
    const char *phase = topics[act->topic].phase, *subject = topics[act->topic].subject;
    flagver_version *version = NULL;
    uint8_t items = 0;

    if (act->follows || act->deed == DO_SHRED)
        return;
    if (act->deed == DO_DECIDE || act->deed == DO_ITEMS_REMOVE) {
        flagver_items_list(client, phase, subject, act->no, see_item, &items, NULL);
        if (act->deed == DO_DECIDE && !items)
            act->deed = DO_APPROVE;
        act->items = act->items & items ? act->items & items : act->items;
    } else if (flagver_version_get(client, phase, subject, act->no, &version, NULL) == 0) {
        act->seen = true;
        memcpy(act->hash, version->content_hash, 32);
        flagver_version_free(version);
    }
}

/* Anybody, or one whom policies like to name for such things. */
static inline uint8_t choose_member(const struct act *act, struct seed *seed)
{
    uint8_t anybody = (uint8_t)seed_below(seed, MEMBERS);

    if (seed_below(seed, 4) == 0)
        return anybody;
    return act->deed == DO_DISABLE ? member_named("fay")
           : act->deed == DO_SHRED ? member_named("eve")
                                   : anybody;
}

/* Is it one of those that are better looked at? Most others do not. */
static inline bool looks_first(const struct act *act, struct seed *seed)
{
    bool picks = act->deed == DO_DECIDE || act->deed == DO_ITEMS_REMOVE;

    return picks ? seed_below(seed, 8) != 0 : seed_below(seed, 8) == 0;
}

static inline void choose_deal(const struct history *history, struct seed *seed, uint32_t most,
                               struct deal *deal)
{
    uint32_t i;

    deal->asked = 1 + seed_below(seed, most);
    for (i = 0; i < deal->asked; i++)
        choose_act(history, seed, i ? &deal->acts[i - 1] : NULL, &deal->acts[i]);
    deal->member = choose_member(&deal->acts[0], seed);
}

/*
 * Some histories hardly come about by chance: a version that is voted for, returned, edited, perhaps
 * to what it said, and voted for again. One by one a thread makes these deals, while others
 * do whatever they do.
 */
#define STORY_STEPS 6

static const uint8_t story_deeds[STORY_STEPS][3] = {
    { DO_CREATE, DO_ITEMS_PUT, DO_SUBMIT }, { DO_APPROVE, DO_DECIDE, DO_APPROVE },
    { DO_RETURN, DO_EDIT, DO_SUBMIT },      { DO_APPROVE, DO_DECIDE, DO_APPROVE },
    { DO_APPROVE, DO_APPROVE, DO_RETURN },  { DO_APPROVE, DO_SUBMIT, DO_ITEMS_REMOVE },
};

struct story {
    uint8_t topic;
    uint32_t no;
    unsigned step;
};

static inline void choose_story_deal(struct story *story, struct seed *seed, struct deal *deal)
{
    struct act *act;

    deal->member = (uint8_t)seed_below(seed, MEMBERS);
    for (; deal->asked < 3; deal->asked++) {
        act = &deal->acts[deal->asked];
        *act = (struct act){ .deed = story_deeds[story->step][deal->asked],
                             .topic = story->topic,
                             .no = story->no,
                             .follows = deal->asked > 0,
                             .items = (uint8_t)(1u << seed_below(seed, 2)),
                             .status = FLAGVER_ITEM_APPROVED,
                             .content = seed_below(seed, 2),
                             .note = seed_below(seed, 3) };
    }
}

/* What has come of its deal; a story whose version could not be made ends at once. */
static inline void go_on(struct story *story, const struct deal *deal)
{
    if (story->step == 0)
        story->no = deal->acts[0].ret_no;
    story->step = story->no && story->step + 1 < STORY_STEPS ? story->step + 1 : 0;
}

/* True: it is of the story, which goes on after it. */
static inline bool choose_next(const struct history *history, struct seed *seed,
                               struct story *story, struct deal *deal)
{
    static const uint8_t told_of[] = { 0, 1, 2, 3, 6 };

    if (story->step == 0 && seed_below(seed, 16)) {
        choose_deal(history, seed, ASKED, deal);
        return false;
    }
    if (story->step == 0)
        *story = (struct story){ .topic = told_of[seed_below(seed, sizeof told_of)] };
    choose_story_deal(story, seed, deal);
    return true;
}

#endif
