/*
 * What acts on records under approval come to, by the pure table of lib/model/version.h, with facts
 * that are rebuilt from what was told so far: versions, their items and votes, policies and
 * assignments, and the leaves that the log must have. tests/replay.h tells whole histories.
 */
#ifndef FLAGVER_TESTS_TELLING_H
#define FLAGVER_TESTS_TELLING_H

#include <stdarg.h>

#include "codec/policy.h"
#include "crypto/crypto.h"
#include "history.h"
#include "model/policy.h"
#include "model/version.h"
#include "store/store.h"

struct told_item {
    bool there;
    uint32_t content, origin_no, note;
    int32_t status;
    int64_t decided_at;
    uint8_t decided_by;
    uint8_t hash[32];
};

struct told_vote {
    uint8_t member;
    uint8_t hash[32];
    int64_t time;
    uint32_t note;
};

struct told_version {
    uint32_t parent_no, base_no, reverts_no, superseded_by, bits, content, note;
    int32_t state;
    int64_t rev, created_at, submitted_at, decided_at, superseded_at;
    uint8_t created_by, decided_by;
    uint8_t editors; /* bits: who has edited it; not who has created it */
    bool shredded;
    uint32_t needed; /* approvals, when it came into force */
    bool by_authors; /* they could be authors' */
    uint8_t hash[32];
    struct told_item *items; /* ITEMS of them, or NULL: it never had any */
    struct told_vote *votes;
    uint32_t vote_count;
};

struct told_series {
    struct told_version *versions; /* number 1 first */
    uint32_t count, current_no;
    int64_t changed_at;
};

struct told_leaf {
    struct fv_audit_leaf leaf;
    char rule[64], key[KEY_SIZE];
};

/* A head of the log that somebody has seen. */
struct head {
    uint64_t size;
    uint8_t root[32];
};

#define LEAVES_OF_DEAL (2 * (ASKED + 1))
#define LOG_LEVELS 40

struct replay {
    const struct history *history;
    struct told_series series[TOPICS];
    struct fv_arena arena;
    struct fv_policy policies[TOPICS][POLICIES];
    struct fv_crypto *crypto;
    struct fv_digest *digest;

    struct deal **order;      /* as told */
    size_t deal_count, deals; /* so far, and how many there are */
    uint64_t began_last;      /* when the last to begin of those told began */
    struct told_leaf leaves[LEAVES_OF_DEAL];
    size_t leaf_count, leaf_at; /* of the deal at hand, and how many of them the log has had */
    uint64_t size;              /* of the log */
    uint8_t subtrees[LOG_LEVELS][32];
    struct head *heads; /* in order of their sizes */
    size_t head_count, head_at;

    uint64_t codes[32]; /* how often an act came to this, by number of the error */
    uint64_t deeds[DEEDS];
    char found[FOUND_SIZE];
};

__attribute__((format(printf, 2, 3))) static inline bool find(struct replay *replay,
                                                              const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(replay->found, sizeof replay->found, format, arguments);
    va_end(arguments);
    return false;
}

/* More room for an array whose size doubles when it is a power of two. */
static inline void *more_room(void *array, size_t count, size_t size)
{
    void *grown = array;

    if ((count & (count - 1)) == 0)
        grown = realloc(array, (count ? 2 * count : 1) * size);
    if (!grown)
        abort();
    return grown;
}

/* ---- begin and end ---- */

static inline void read_policies(struct replay *replay)
{
    char text[TEXT_SIZE];
    size_t i, k;

    for (i = 0; i < TOPICS; i++)
        for (k = 0; topics[i].form == POLICY && k < POLICIES && topics[i].policies[k]; k++) {
            content_text((uint8_t)i, (uint32_t)k, text);
            if (fv_policy_read(text, strlen(text), &replay->arena, &replay->policies[i][k], NULL) <
                0)
                ck_abort_msg("policy %zu of %s is none", k, topics[i].subject);
        }
}

static inline void replay_init(struct replay *replay, const struct history *history)
{
    uint32_t i;

    memset(replay, 0, sizeof *replay);
    replay->history = history;
    fv_arena_init(&replay->arena, NULL, 4096);
    replay->crypto = fv_crypto_new();
    replay->digest = fv_digest_new(replay->crypto);
    for (i = 0; i < history->threads; i++)
        replay->deals += history->diaries[i].count;
    replay->order = calloc(replay->deals + 1, sizeof *replay->order);
    if (!replay->digest || !replay->order)
        abort();
    read_policies(replay);
}

static inline void replay_free(struct replay *replay)
{
    uint32_t no;
    size_t i, k;

    for (i = 0; i < TOPICS; i++) {
        for (no = 0; no < replay->series[i].count; no++) {
            free(replay->series[i].versions[no].items);
            free(replay->series[i].versions[no].votes);
        }
        free(replay->series[i].versions);
        for (k = 0; k < POLICIES; k++)
            fv_policy_clear(&replay->policies[i][k]);
    }
    fv_digest_free(replay->digest);
    fv_crypto_free(replay->crypto);
    fv_arena_clear(&replay->arena);
    free(replay->order);
}

/* ---- hashes ---- */

static inline void add_number(struct fv_digest *digest, uint64_t number, unsigned bytes)
{
    uint8_t out[8];
    unsigned i;

    for (i = 0; i < bytes; i++)
        out[i] = (uint8_t)(number >> (8 * (bytes - 1 - i)));
    fv_digest_add(digest, out, bytes);
}

static inline void add_sized(struct fv_digest *digest, const char *text)
{
    add_number(digest, strlen(text), 4);
    fv_digest_add(digest, text, strlen(text));
}

static inline void hash_item(struct replay *replay, struct told_item *item)
{
    char text[TEXT_SIZE];

    content_text(0, item->content, text);
    fv_digest_start(replay->digest);
    fv_digest_add(replay->digest, text, strlen(text));
    fv_digest_end(replay->digest, item->hash);
}

static inline void hash_content(struct replay *replay, uint8_t topic, struct told_version *version)
{
    char text[TEXT_SIZE];
    size_t i;

    content_text(topic, version->content, text);
    fv_digest_start(replay->digest);
    fv_digest_add(replay->digest, text, strlen(text));
    for (i = 0; version->items && i < ITEMS; i++) {
        if (!version->items[i].there)
            continue;
        add_sized(replay->digest, item_keys[i]);
        fv_digest_add(replay->digest, version->items[i].hash, 32);
    }
    fv_digest_end(replay->digest, version->hash);
}

static inline void hash_decisions(struct replay *replay, const struct told_version *version,
                                  uint8_t out[32])
{
    const struct told_item *item;
    char note[NOTE_SIZE];
    size_t i, count = 0;

    fv_digest_start(replay->digest);
    for (i = 0; version->items && i < ITEMS; i++) {
        item = &version->items[i];
        if (!item->there || item->status == FLAGVER_ITEM_PENDING)
            continue;
        add_sized(replay->digest, item_keys[i]);
        add_number(replay->digest, (uint64_t)item->status, 1);
        add_number(replay->digest, item->origin_no, 4);
        add_number(replay->digest, (uint64_t)item->decided_at, 8);
        add_sized(replay->digest, members[item->decided_by].id);
        add_sized(replay->digest, note_text(item->note, note) ? note : "");
        count++;
    }
    fv_digest_end(replay->digest, out);
    if (!count)
        memset(out, 0, 32);
}

static inline void hash_note(struct replay *replay, uint8_t topic, uint32_t no, uint32_t note,
                             uint8_t out[32])
{
    char text[NOTE_SIZE];

    memset(out, 0, 32);
    if (!note_text(note, text))
        return;
    fv_digest_start(replay->digest);
    fv_digest_add(replay->digest, topics[topic].phase, strlen(topics[topic].phase) + 1);
    fv_digest_add(replay->digest, topics[topic].subject, strlen(topics[topic].subject) + 1);
    add_number(replay->digest, no, 4);
    fv_digest_add(replay->digest, text, strlen(text));
    fv_digest_end(replay->digest, out);
}

static inline void hash_pair(struct replay *replay, const uint8_t *left, uint8_t right[32])
{
    fv_digest_start(replay->digest);
    fv_digest_add(replay->digest, "\1", 1);
    fv_digest_add(replay->digest, left, 32);
    fv_digest_add(replay->digest, right, 32);
    fv_digest_end(replay->digest, right);
}

/* The tree over the leaves (RFC 6962): of each bit of its size a perfect subtree is kept. */
static inline void grow_log(struct replay *replay, const uint8_t leaf[32])
{
    uint8_t hash[32];
    unsigned level;

    memcpy(hash, leaf, 32);
    for (level = 0; replay->size >> level & 1; level++)
        hash_pair(replay, replay->subtrees[level], hash);
    memcpy(replay->subtrees[level], hash, 32);
    replay->size++;
}

static inline void replay_root(struct replay *replay, uint8_t out[32])
{
    unsigned level;
    bool any = false;

    fv_digest_start(replay->digest);
    fv_digest_end(replay->digest, out); /* of nothing */
    for (level = 0; replay->size >> level; level++) {
        if (!(replay->size >> level & 1))
            continue;
        if (any)
            hash_pair(replay, replay->subtrees[level], out);
        else
            memcpy(out, replay->subtrees[level], 32);
        any = true;
    }
}

/* ---- one act ---- */

struct scene {
    struct replay *replay;
    const struct deal *deal;
    const struct act *act;
    uint8_t topic;
    struct told_series *series;
    struct fv_policy policy;
    bool emergency;

    /* of the action that was judged last */
    char rule[64];
    bool is_author;
};

static inline struct told_version *version_of(const struct scene *scene, uint32_t no)
{
    return &scene->series->versions[no - 1];
}

static inline int64_t next_time(const struct scene *scene)
{
    int64_t time = scene->deal->clock * 1000;

    return time > scene->series->changed_at ? time : scene->series->changed_at + 1;
}

/* ---- policies ---- */

static inline struct told_version *in_force(struct told_series *series)
{
    struct told_version *version = series->current_no ? &series->versions[series->current_no - 1]
                                                      : NULL;

    return version && !(version->bits & FLAGVER_VERSION_TOMBSTONE) ? version : NULL;
}

/* Is it a policy for this phase, and the beginning of this subject? */
static inline bool policy_covers(const char *policy, const char *phase, size_t phase_length,
                                 const char *subject)
{
    size_t length = strlen(policy);

    if (length < phase_length || strncmp(policy, phase, phase_length) != 0)
        return false;
    return length == phase_length ||
           (policy[phase_length] == '/' &&
            strncmp(policy + phase_length + 1, subject, length - phase_length - 1) == 0);
}

static inline const struct fv_policy *policy_in_force(struct replay *replay, const char *phase,
                                                      size_t phase_length, const char *subject)
{
    struct fv_policy *found = NULL;
    struct told_version *version;
    size_t i;

    for (i = 0; i < TOPICS; i++) {
        version = topics[i].form == POLICY ? in_force(&replay->series[i]) : NULL;
        if (!version || !policy_covers(topics[i].subject, phase, phase_length, subject) ||
            (found && strlen(found->subject) > strlen(topics[i].subject)))
            continue;
        found = &replay->policies[i][version->content];
        found->subject = topics[i].subject;
        found->no = replay->series[i].current_no;
    }
    return found;
}

/* Who changes a policy needs the approval that it asks for, where that is more than is asked for. */
static inline void take_approval(struct scene *scene)
{
    const char *subject = topics[scene->topic].subject, *slash = strchr(subject, '/');
    size_t length = slash ? (size_t)(slash - subject) : strlen(subject);
    const struct fv_policy *changed = policy_in_force(scene->replay, subject, length,
                                                      slash ? slash + 1 : "");

    if (!changed || changed->approvals <= scene->policy.approvals)
        return;
    scene->policy.subject = changed->subject;
    scene->policy.no = changed->no;
    scene->policy.approvals = changed->approvals;
    scene->policy.approve = changed->approve;
    scene->policy.allow_self = changed->allow_self;
}

/* False: there is no such phase. */
static inline bool find_policy(struct scene *scene)
{
    const struct topic *topic = &topics[scene->topic];
    const struct fv_policy *policy = policy_in_force(scene->replay, topic->phase,
                                                     strlen(topic->phase), topic->subject);

    if (!policy && topic->form == PLAIN)
        return false;
    scene->policy = policy ? *policy
                           : (struct fv_policy){ .subject = "", .write.kind = FV_PERMIT_ANYONE };
    if (topic->form == POLICY)
        take_approval(scene);
    return true;
}

/* Is the role assigned to who acts, for this subject? */
static inline int is_assigned(void *data, const char *role, flagver_error *err)
{
    const struct scene *scene = data;
    size_t length = strlen(role), i;
    struct told_version *version;

    (void)err;
    for (i = 0; i < TOPICS; i++) {
        version = topics[i].form == PEOPLE ? in_force(&scene->replay->series[i]) : NULL;
        if (version && strncmp(topics[i].subject, role, length) == 0 &&
            topics[i].subject[length] == '/' && version->content & 1u << scene->deal->member &&
            fv_assignment_reaches(topics[i].subject + length + 1, topics[scene->topic].subject))
            return 1;
    }
    return 0;
}

static inline bool permits(struct scene *scene, const struct fv_permit *rule)
{
    const struct member *member = &members[scene->deal->member];
    const struct fv_asker asker = { member->roles, role_count(member), is_assigned, scene };
    struct fv_text words = FV_TEXT_INIT;
    const struct fv_permit *part;
    const char *name;

    if (fv_permit_holds(rule, &asker, &part, &name, NULL) <= 0)
        return false;
    fv_permit_words(part, name, &words);
    snprintf(scene->rule, sizeof scene->rule, "%s", words.data);
    fv_text_clear(&words);
    return true;
}

/* ---- what the table says ---- */

static inline bool has_permission(struct scene *scene, enum fv_action action)
{
    const struct fv_policy *policy = &scene->policy;

    scene->rule[0] = 0;
    if (permits(scene, scene->emergency ? &policy->emergency : fv_policy_permit(policy, action)))
        return true;
    return action == FV_ACTION_RETURN && permits(scene, &policy->approve);
}

static inline bool conflicts(const struct scene *scene)
{
    uint32_t expected = scene->act->expect_no, current = scene->series->current_no;

    if (!expected || expected == current)
        return false;
    return expected != FLAGVER_EXPECT_NONE || in_force(scene->series) != NULL;
}

static inline bool is_pending(const struct told_version *version)
{
    size_t i;

    for (i = 0; version->items && i < ITEMS; i++)
        if (version->items[i].there && version->items[i].status == FLAGVER_ITEM_PENDING)
            return true;
    return false;
}

static inline bool is_author(const struct told_version *version, uint8_t member)
{
    return version->created_by == member || version->editors & 1u << member;
}

static inline void add_facts(struct scene *scene, const struct told_version *version,
                             struct fv_version_facts *facts)
{
    uint8_t member = scene->deal->member;
    uint32_t i;

    facts->base_no = version->base_no;
    facts->is_author = is_author(version, member);
    facts->changed = scene->act->seen && memcmp(scene->act->hash, version->hash, 32) != 0;
    facts->emergency |= (version->bits & FLAGVER_VERSION_EMERGENCY) != 0;
    facts->undecided = scene->policy.items_complete && is_pending(version);
    for (i = 0; i < version->vote_count; i++)
        if (memcmp(version->votes[i].hash, version->hash, 32) == 0) {
            facts->votes += facts->allow_self || !is_author(version, version->votes[i].member);
            facts->has_voted |= version->votes[i].member == member;
        }
}

/* The state that the action leads to, or why not; `no` is that of a new one when it is not there. */
static inline int judge(struct scene *scene, enum fv_action action, uint32_t no, int state)
{
    const struct fv_policy *policy = &scene->policy;
    struct fv_version_facts facts = { .state = state,
                                      .denied = !has_permission(scene, action),
                                      .audit_only = policy->audit_only,
                                      .conflict = conflicts(scene),
                                      .emergency = scene->emergency,
                                      .allow_self = policy->allow_self,
                                      .no = no,
                                      .base_no = scene->series->current_no,
                                      .current_no = scene->series->current_no,
                                      .allow_stale = policy->allow_stale,
                                      .votes = 1,
                                      .approvals = policy->approvals };

    if (no <= scene->series->count)
        add_facts(scene, version_of(scene, no), &facts);
    scene->is_author = facts.is_author &&
                       (action == FV_ACTION_APPROVE || action == FV_ACTION_DECIDE ||
                        action == FV_ACTION_REVIEW);
    return fv_version_judge(action, &facts);
}

/* What only records cannot supersede what has versions, nor the other way round. */
static inline int check_kind(const struct scene *scene)
{
    uint32_t no = scene->series->current_no;

    if (no && (version_of(scene, no)->state == FLAGVER_STATE_RECORDED) != scene->policy.audit_only)
        return FLAGVER_EPHASE;
    return 0;
}

/* ---- what comes of it ---- */

/* A leaf that the log must have next, about version `no` as it is now. */
static inline void tell(struct scene *scene, enum fv_action action, uint32_t no, int from,
                        uint32_t note, uint32_t supersedes)
{
    struct replay *replay = scene->replay;
    const struct told_version *version = version_of(scene, no);
    struct told_leaf *told = &replay->leaves[replay->leaf_count++];
    const struct topic *topic = &topics[scene->topic];

    strcpy(told->rule, scene->rule);
    told->leaf = (struct fv_audit_leaf){
        .tenant = fv_bytes("default"),
        .leaf_no = replay->size + replay->leaf_count - 1,
        .time = scene->series->changed_at,
        .actor = fv_bytes(members[scene->deal->member].id),
        .action = (uint8_t)action,
        .phase = fv_bytes(topic->phase),
        .subject = fv_bytes(topic->subject),
        .no = no,
        .from = (uint8_t)from,
        .to = (uint8_t)version->state,
        .bits = version->bits | (scene->is_author ? FLAGVER_AUDIT_SELF : 0),
        .rev = version->rev,
        .parent_no = version->parent_no,
        .base_no = version->base_no,
        .reverts_no = version->reverts_no,
        .supersedes = supersedes,
        .policy = fv_bytes(scene->policy.subject),
        .policy_no = scene->policy.no,
        .rule = fv_bytes(told->rule),
        .idempotency_key = fv_bytes(deal_key(scene->deal, told->key)),
    };
    memcpy(told->leaf.content_hash, version->hash, 32);
    hash_decisions(replay, version, told->leaf.decisions_hash);
    hash_note(replay, scene->topic, no, note, told->leaf.note_hash);
}

/* Something about it has changed, now. */
static inline void touch(struct scene *scene, uint32_t no)
{
    scene->series->changed_at = next_time(scene);
    version_of(scene, no)->rev++;
}

static inline void keep_note(struct scene *scene, uint32_t no)
{
    if (scene->act->note)
        version_of(scene, no)->note = scene->act->note;
}

static inline void move_to(struct scene *scene, enum fv_action action, uint32_t no, int state)
{
    int from = version_of(scene, no)->state;

    touch(scene, no);
    version_of(scene, no)->state = state;
    tell(scene, action, no, from, scene->act->note, 0);
}

static inline void come_into_force(struct scene *scene, enum fv_action action, uint32_t no,
                                   int from, uint32_t note)
{
    struct told_version *version, *old;
    uint32_t old_no = scene->series->current_no;
    int64_t time = next_time(scene);

    if (old_no) {
        old = version_of(scene, old_no);
        old->state = FLAGVER_STATE_SUPERSEDED;
        old->superseded_by = no;
        old->superseded_at = time;
        old->rev++;
    }
    version = version_of(scene, no);
    version->state = FLAGVER_STATE_APPROVED;
    version->decided_at = time;
    version->decided_by = scene->deal->member;
    version->needed = action == FV_ACTION_APPROVE ? scene->policy.approvals : 0;
    version->by_authors = scene->policy.allow_self;
    scene->series->current_no = no;
    touch(scene, no);
    tell(scene, action, no, from, note, old_no);
}

static inline void add_vote(struct scene *scene, uint32_t no)
{
    struct told_version *version = version_of(scene, no);
    struct told_vote *vote;

    version->votes = more_room(version->votes, version->vote_count, sizeof *version->votes);
    vote = &version->votes[version->vote_count++];
    *vote = (struct told_vote){ scene->deal->member, { 0 }, next_time(scene), scene->act->note };
    memcpy(vote->hash, version->hash, 32);
}

static inline void add_editor(struct scene *scene, uint32_t no)
{
    struct told_version *version = version_of(scene, no);

    if (version->created_by != scene->deal->member)
        version->editors |= (uint8_t)(1u << scene->deal->member);
}

/* ---- new versions ---- */

struct birth {
    uint32_t content, parent_no, baseline_no, reverts_no, bits;
};

static inline struct birth asked_birth(const struct act *act)
{
    return (struct birth){ .content = act->content,
                           .parent_no = act->parent_no,
                           .baseline_no = act->baseline_no };
}

/* Why there can be no such version. */
static inline int check_birth(const struct scene *scene, const struct birth *birth)
{
    uint32_t last = scene->series->count;
    int state;

    if (birth->baseline_no > last)
        return FLAGVER_ENOTFOUND;
    state = birth->baseline_no ? version_of(scene, birth->baseline_no)->state
                               : FLAGVER_STATE_APPROVED;
    if (state != FLAGVER_STATE_APPROVED && state != FLAGVER_STATE_SUPERSEDED)
        return FLAGVER_ESTATE;
    return birth->parent_no > last ? FLAGVER_ENOTFOUND : 0;
}

static inline struct told_item *items_of(struct told_version *version)
{
    if (!version->items)
        version->items = calloc(ITEMS, sizeof *version->items);
    if (!version->items)
        abort();
    return version->items;
}

/* Those that were approved come along; their salt and text are gone when it was shredded. */
static inline void carry(struct scene *scene, uint32_t baseline_no, uint32_t no)
{
    const struct told_version *baseline = version_of(scene, baseline_no);
    struct told_version *version = version_of(scene, no);
    bool any = false;
    size_t i;

    for (i = 0; baseline->items && !baseline->shredded && i < ITEMS; i++)
        if (baseline->items[i].there && baseline->items[i].status == FLAGVER_ITEM_APPROVED) {
            items_of(version)[i] = baseline->items[i];
            any = true;
        }
    if (any) {
        hash_content(scene->replay, scene->topic, version);
        version->rev++;
    }
}

static inline uint32_t give_birth(struct scene *scene, enum fv_action action,
                                  const struct birth *birth)
{
    struct told_series *series = scene->series;
    uint32_t no = series->count + 1,
             parent = birth->parent_no ? birth->parent_no : birth->baseline_no;
    struct told_version *version;

    series->versions = more_room(series->versions, series->count, sizeof *series->versions);
    version = &series->versions[series->count++];
    *version = (struct told_version){ .parent_no = parent ? parent : series->current_no,
                                      .base_no = series->current_no,
                                      .reverts_no = birth->reverts_no,
                                      .bits = birth->bits,
                                      .content = birth->content,
                                      .note = scene->act->note,
                                      .state = action == FV_ACTION_RECORD ? FLAGVER_STATE_RECORDED
                                                                          : FLAGVER_STATE_DRAFT,
                                      .rev = 1,
                                      .created_at = next_time(scene),
                                      .created_by = scene->deal->member,
                                      .decided_by = NOBODY };
    series->changed_at = version->created_at;
    hash_content(scene->replay, scene->topic, version);
    if (birth->baseline_no && action == FV_ACTION_CREATE)
        carry(scene, birth->baseline_no, no);
    if (action == FV_ACTION_RECORD)
        series->current_no = no;
    tell(scene, action, no, 0, scene->act->note, 0);
    return no;
}

/* ---- the acts: the number of the version that it is about, or why not ---- */

static inline int act_create(struct scene *scene, const struct birth *birth)
{
    int r = judge(scene, FV_ACTION_CREATE, scene->series->count + 1, 0);

    if (r >= 0)
        r = check_birth(scene, birth);
    return r < 0 ? r : (int)give_birth(scene, FV_ACTION_CREATE, birth);
}

static inline int act_record(struct scene *scene)
{
    const struct birth birth = asked_birth(scene->act);
    int r = judge(scene, FV_ACTION_RECORD, scene->series->count + 1, 0);

    if (r >= 0)
        r = check_kind(scene);
    if (r >= 0)
        r = check_birth(scene, &birth);
    return r < 0 ? r : (int)give_birth(scene, FV_ACTION_RECORD, &birth);
}

static inline void hand_in(struct scene *scene, uint32_t no, int next, uint32_t note)
{
    struct told_version *version = version_of(scene, no);

    version->submitted_at = next_time(scene);
    if (scene->emergency)
        version->bits |= FLAGVER_VERSION_EMERGENCY;
    if (next == FLAGVER_STATE_APPROVED) {
        come_into_force(scene, FV_ACTION_SUBMIT, no, FLAGVER_STATE_DRAFT, note);
        return;
    }
    touch(scene, no);
    version->state = next;
    tell(scene, FV_ACTION_SUBMIT, no, FLAGVER_STATE_DRAFT, note, 0);
}

/* Create and submit; both are judged before the first is done. */
static inline int act_put(struct scene *scene, const struct birth *birth)
{
    uint32_t no = scene->series->count + 1;
    char create_rule[64], submit_rule[64];
    int next, r = judge(scene, FV_ACTION_CREATE, no, 0);

    if (r < 0)
        return r;
    strcpy(create_rule, scene->rule);
    next = r = judge(scene, FV_ACTION_SUBMIT, no, FLAGVER_STATE_DRAFT);
    strcpy(submit_rule, scene->rule);
    if (r >= 0)
        r = check_kind(scene);
    if (r >= 0)
        r = check_birth(scene, birth);
    if (r < 0)
        return r;
    strcpy(scene->rule, create_rule);
    give_birth(scene, FV_ACTION_CREATE, birth);
    strcpy(scene->rule, submit_rule);
    hand_in(scene, no, next, 0);
    return (int)no;
}

static inline int act_edit(struct scene *scene, uint32_t no)
{
    struct told_version *version = version_of(scene, no);
    int r = judge(scene, FV_ACTION_EDIT, no, version->state);

    if (r < 0)
        return r;
    if (version->bits & FLAGVER_VERSION_TOMBSTONE)
        return FLAGVER_ESTATE;
    version->content = scene->act->content;
    hash_content(scene->replay, scene->topic, version);
    keep_note(scene, no);
    add_editor(scene, no);
    move_to(scene, FV_ACTION_EDIT, no, FLAGVER_STATE_DRAFT);
    return (int)no;
}

static inline int act_submit(struct scene *scene, uint32_t no)
{
    int next, r = judge(scene, FV_ACTION_SUBMIT, no, version_of(scene, no)->state);

    next = r;
    if (r >= 0)
        r = check_kind(scene);
    if (r < 0)
        return r;
    keep_note(scene, no);
    hand_in(scene, no, next, scene->act->note);
    return (int)no;
}

/* Rebase, return, reject and withdraw. */
static inline int act_move(struct scene *scene, enum fv_action action, uint32_t no)
{
    struct told_version *version = version_of(scene, no);
    int next = judge(scene, action, no, version->state);

    if (next < 0)
        return next;
    if (action == FV_ACTION_REBASE)
        version->base_no = scene->series->current_no;
    else
        keep_note(scene, no);
    if (action == FV_ACTION_RETURN)
        version->submitted_at = 0;
    if (action == FV_ACTION_REJECT) {
        version->decided_at = next_time(scene);
        version->decided_by = scene->deal->member;
    }
    move_to(scene, action, no, next);
    return (int)no;
}

static inline void vote(struct scene *scene, uint32_t no, int next)
{
    add_vote(scene, no);
    if (next == FLAGVER_STATE_APPROVED)
        come_into_force(scene, FV_ACTION_APPROVE, no, FLAGVER_STATE_SUBMITTED, scene->act->note);
    else
        move_to(scene, FV_ACTION_APPROVE, no, next);
}

static inline int act_submit_and_approve(struct scene *scene, uint32_t no)
{
    char submit_rule[64], approve_rule[64];
    bool is_author;
    int next, r = judge(scene, FV_ACTION_SUBMIT, no, FLAGVER_STATE_DRAFT);

    if (r < 0)
        return r;
    strcpy(submit_rule, scene->rule);
    next = r = judge(scene, FV_ACTION_APPROVE, no, r);
    if (r >= 0)
        r = check_kind(scene);
    if (r < 0)
        return r;
    strcpy(approve_rule, scene->rule);
    is_author = scene->is_author;
    scene->is_author = false;
    strcpy(scene->rule, submit_rule);
    hand_in(scene, no, FLAGVER_STATE_SUBMITTED, 0);
    scene->is_author = is_author;
    strcpy(scene->rule, approve_rule);
    vote(scene, no, next);
    return (int)no;
}

static inline int act_approve(struct scene *scene, uint32_t no)
{
    int state = version_of(scene, no)->state, next, r;

    if (scene->act->submits && state == FLAGVER_STATE_DRAFT)
        return act_submit_and_approve(scene, no);
    next = r = judge(scene, FV_ACTION_APPROVE, no, state);
    if (r >= 0)
        r = check_kind(scene);
    if (r < 0)
        return r;
    vote(scene, no, next);
    return (int)no;
}

static inline int act_review(struct scene *scene, uint32_t no)
{
    int state = version_of(scene, no)->state, r = judge(scene, FV_ACTION_REVIEW, no, state);

    if (r < 0)
        return r;
    add_vote(scene, no);
    scene->series->changed_at = next_time(scene);
    tell(scene, FV_ACTION_REVIEW, no, state, scene->act->note, 0);
    return (int)no;
}

static inline int act_revert(struct scene *scene, uint32_t no)
{
    const struct told_version *version = version_of(scene, no);
    struct birth birth = asked_birth(scene->act);
    int r = judge(scene, FV_ACTION_REVERT, no, version->state);

    if (r < 0)
        return r;
    if (version->bits & FLAGVER_VERSION_TOMBSTONE || version->shredded)
        return FLAGVER_ESTATE;
    if (r == FLAGVER_STATE_APPROVED || r == FLAGVER_STATE_SUPERSEDED)
        birth.baseline_no = no;
    if (!birth.parent_no)
        birth.parent_no = scene->series->current_no;
    birth.content = version->content;
    birth.reverts_no = no;
    return scene->policy.approvals == 0 ? act_put(scene, &birth) : act_create(scene, &birth);
}

static inline int act_remove(struct scene *scene)
{
    struct birth birth = asked_birth(scene->act);

    if (!in_force(scene->series))
        return FLAGVER_ENOTFOUND;
    birth.content = NO_CONTENT;
    birth.bits = FLAGVER_VERSION_TOMBSTONE;
    return act_put(scene, &birth);
}

static inline int act_disable(struct scene *scene)
{
    struct birth birth = asked_birth(scene->act);
    const struct told_version *version = in_force(scene->series);

    if (!version)
        return FLAGVER_ENOTFOUND;
    birth.content = DISABLED + version->content % DISABLED;
    return act_put(scene, &birth);
}

static inline int act_shred(struct scene *scene, uint32_t no)
{
    struct told_version *version = version_of(scene, no);
    int r = judge(scene, FV_ACTION_SHRED, no, version->state);

    if (r < 0)
        return r;
    if (version->shredded ||
        (topics[scene->topic].form != PLAIN && no == scene->series->current_no))
        return FLAGVER_ESTATE;
    version->shredded = true;
    scene->series->changed_at = next_time(scene);
    tell(scene, FV_ACTION_SHRED, no, version->state, scene->act->note, 0);
    return (int)no;
}

/* ---- items ---- */

static inline void put_item(struct scene *scene, struct told_item *item, uint32_t content)
{
    if (item->there && item->content == content)
        return;
    *item = (struct told_item){ .there = true, .content = content, .decided_by = NOBODY };
    hash_item(scene->replay, item);
}

static inline void decide_item(const struct scene *scene, struct told_item *item, uint32_t no)
{
    item->status = scene->act->status;
    item->note = item->status == FLAGVER_ITEM_PENDING ? 0 : scene->act->note;
    item->decided_at = item->status == FLAGVER_ITEM_PENDING ? 0 : next_time(scene);
    item->decided_by = item->status == FLAGVER_ITEM_PENDING ? NOBODY : scene->deal->member;
    if (item->status != FLAGVER_ITEM_APPROVED)
        item->origin_no = 0;
    else if (!item->origin_no)
        item->origin_no = no;
}

/* Are all that the act names there? */
static inline bool has_items(const struct scene *scene, const struct told_version *version)
{
    uint32_t i;

    for (i = 0; i < ITEMS; i++)
        if (scene->act->items & 1u << i && !(version->items && version->items[i].there))
            return false;
    return true;
}

static inline int act_items(struct scene *scene, uint32_t no)
{
    enum fv_action action = scene->act->deed == DO_DECIDE ? FV_ACTION_DECIDE : FV_ACTION_EDIT;
    struct told_version *version = version_of(scene, no);
    int next = judge(scene, action, no, version->state);
    struct told_item *item;
    uint32_t i;

    if (next < 0)
        return next;
    if (action == FV_ACTION_EDIT && version->bits & FLAGVER_VERSION_TOMBSTONE)
        return FLAGVER_ESTATE;
    if (action == FV_ACTION_EDIT && version->bits & FLAGVER_VERSION_TOMBSTONE)
        return FLAGVER_ESTATE;
    if (scene->act->deed != DO_ITEMS_PUT && !has_items(scene, version))
        return FLAGVER_ENOTFOUND;
    for (i = 0; i < ITEMS; i++) {
        if (!(scene->act->items & 1u << i))
            continue;
        item = &items_of(version)[i];
        if (scene->act->deed == DO_ITEMS_PUT)
            put_item(scene, item, scene->act->content + i);
        else if (scene->act->deed == DO_DECIDE)
            decide_item(scene, item, no);
        else
            *item = (struct told_item){ .there = false };
    }
    if (action == FV_ACTION_EDIT) {
        hash_content(scene->replay, scene->topic, version);
        keep_note(scene, no);
        add_editor(scene, no);
    }
    move_to(scene, action, no, next);
    return (int)no;
}

/* ---- any act ---- */

/* Those that are about a version that is there. */
static inline int act_on(struct scene *scene, uint32_t no)
{
    if (no < 1 || no > scene->series->count)
        return FLAGVER_ENOTFOUND;
    switch (scene->act->deed) {
    case DO_EDIT:
        return act_edit(scene, no);
    case DO_REBASE:
        return act_move(scene, FV_ACTION_REBASE, no);
    case DO_SUBMIT:
        return act_submit(scene, no);
    case DO_RETURN:
        return act_move(scene, FV_ACTION_RETURN, no);
    case DO_APPROVE:
        return act_approve(scene, no);
    case DO_REJECT:
        return act_move(scene, FV_ACTION_REJECT, no);
    case DO_WITHDRAW:
        return act_move(scene, FV_ACTION_WITHDRAW, no);
    case DO_REVERT:
        return act_revert(scene, no);
    case DO_REVIEW:
        return act_review(scene, no);
    case DO_SHRED:
        return act_shred(scene, no);
    default:
        return act_items(scene, no);
    }
}

static inline int act_again(struct scene *scene)
{
    const struct act *act = scene->act;
    const struct birth birth = asked_birth(act);

    if (!find_policy(scene))
        return FLAGVER_ENOTFOUND;
    scene->emergency = act->emergency && scene->policy.approvals > 0;
    switch (act->deed) {
    case DO_CREATE:
        return act_create(scene, &birth);
    case DO_RECORD:
        return act_record(scene);
    case DO_PUT:
        return act_put(scene, &birth);
    case DO_REMOVE:
        return act_remove(scene);
    case DO_DISABLE:
        return act_disable(scene);
    default:
        return act_on(scene, act->no);
    }
}

#endif
