/*
 * A history told again: its deals are carried out, in the order of the log's leaves, by the pure
 * table of lib/model/version.h, with facts that are rebuilt from what was told so far. Each deal must give the
 * results and the leaves that it gave, to the last bit, and in the end there must be in the store
 * what was told, and nothing else.
 *
 * Clients make deals at the same time; that one order of them explains everything that they were
 * told, and that nobody who began after another had ended comes before him, says that each deal
 * happened at one moment (linearizability). The log is that order.
 *
 * The first thing that is wrong is kept in `found`, and the telling ends.
 */
#ifndef FLAGVER_TESTS_REPLAY_H
#define FLAGVER_TESTS_REPLAY_H

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

/* ---- deals ---- */

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

static inline bool is_silent(const struct act *act)
{
    return act->deed == DO_SHRED || act->deed == DO_DISABLE;
}

/* Did the act give what it has to give? */
static inline bool act_as_told(struct replay *replay, const struct deal *deal,
                               const struct act *act)
{
    struct scene scene = { .replay = replay,
                           .deal = deal,
                           .act = act,
                           .topic = act->topic,
                           .series = &replay->series[act->topic] };
    int no = act_again(&scene), code = no < 0 ? no : 0;
    const struct told_version *version = no > 0 ? version_of(&scene, (uint32_t)no) : NULL;

    replay->codes[-code]++;
    if (code == 0)
        replay->deeds[act->deed]++;
    if (!act->done ||
        (act->code == code && (!version || (act->ret_no == (uint32_t)no &&
                                            (is_silent(act) || (act->state == version->state &&
                                                                act->rev == version->rev))))))
        return true;
    return find(
        replay,
        "deal %u-%u: %s %s/%s %u by %s gave %d, version %u, state %d, rev %lld; by the rules "
        "it is %d, version %d, state %d, rev %lld",
        deal->thread, deal->number, deed_words[act->deed], topics[act->topic].phase,
        topics[act->topic].subject, act->no, members[deal->member].id, act->code, act->ret_no,
        act->state, (long long)act->rev, code, no > 0 ? no : 0, version ? version->state : 0,
        version ? (long long)version->rev : 0);
}

/* Nobody who had ended before another began comes after him. */
static inline bool is_in_real_time(struct replay *replay, const struct deal *deal)
{
    if (deal->ended && deal->returned < replay->began_last)
        return find(replay, "deal %u-%u had ended when one began whose leaves are before its own",
                    deal->thread, deal->number);
    if (deal->invoked > replay->began_last)
        replay->began_last = deal->invoked;
    return true;
}

static inline bool begin_deal(struct replay *replay, struct deal *deal)
{
    uint32_t i;

    if (replay->leaf_at != replay->leaf_count)
        return find(replay, "of a deal before leaf %llu %zu leaves are missing",
                    (unsigned long long)replay->size, replay->leaf_count - replay->leaf_at);
    replay->leaf_at = replay->leaf_count = 0;
    if (replay->deal_count == replay->deals)
        return find(replay, "before leaf %llu all deals were told",
                    (unsigned long long)replay->size);
    if (!is_in_real_time(replay, deal))
        return false;
    for (i = 0; i < deal->count; i++)
        if (!act_as_told(replay, deal, &deal->acts[i]))
            return false;
    replay->order[replay->deal_count++] = deal;
    return true;
}

static inline struct deal *deal_of(const struct history *history, const char *key)
{
    unsigned thread, number;

    if (sscanf(key, "%u-%u", &thread, &number) != 2 || thread >= history->threads ||
        number >= history->diaries[thread].count)
        return NULL;
    return &history->diaries[thread].deals[number];
}

/* ---- leaves ---- */

static inline bool is_text(flagver_bytes told, const char *text)
{
    return told.length == strlen(text) && memcmp(told.data, text, told.length) == 0;
}

static inline const char *different_number(const struct fv_audit_leaf *leaf,
                                           const flagver_audit_entry *entry)
{
    return leaf->leaf_no != entry->no              ? "number"
           : leaf->time != entry->time             ? "time"
           : leaf->no != entry->version_no         ? "version"
           : leaf->from != entry->from             ? "state before"
           : leaf->to != entry->to                 ? "state after"
           : leaf->bits != entry->bits             ? "bits"
           : leaf->rev != entry->rev               ? "rev"
           : leaf->parent_no != entry->parent_no   ? "parent"
           : leaf->base_no != entry->base_no       ? "base"
           : leaf->reverts_no != entry->reverts_no ? "version that it reverts to"
           : leaf->supersedes != entry->supersedes ? "version that it supersedes"
           : leaf->policy_no != entry->policy_no   ? "policy's version"
                                                   : NULL;
}

static inline const char *different_text(const struct fv_audit_leaf *leaf,
                                         const flagver_audit_entry *entry)
{
    return !is_text(leaf->actor, entry->actor)                        ? "actor"
           : strcmp(fv_action_name(leaf->action), entry->action) != 0 ? "action"
           : !is_text(leaf->phase, entry->phase)                      ? "phase"
           : !is_text(leaf->subject, entry->subject)                  ? "subject"
           : !is_text(leaf->policy, entry->policy)                    ? "policy"
           : !is_text(leaf->rule, entry->rule)                        ? "rule"
           : !is_text(leaf->idempotency_key, entry->idempotency_key)  ? "idempotency key"
                                                                      : NULL;
}

static inline const char *different_hash(struct replay *replay, const struct fv_audit_leaf *leaf,
                                         const flagver_audit_entry *entry)
{
    struct fv_text bytes = FV_TEXT_INIT;
    uint8_t hash[32];

    fv_leaf_encode(leaf, &bytes);
    fv_digest_start(replay->digest);
    fv_digest_add(replay->digest, "\0", 1);
    fv_digest_add(replay->digest, bytes.data, bytes.length);
    fv_digest_end(replay->digest, hash);
    fv_text_clear(&bytes);
    return memcmp(leaf->content_hash, entry->content_hash, 32) != 0       ? "content hash"
           : memcmp(leaf->decisions_hash, entry->decisions_hash, 32) != 0 ? "decisions hash"
           : memcmp(leaf->note_hash, entry->note_hash, 32) != 0           ? "note hash"
           : memcmp(hash, entry->leaf_hash, 32) != 0                      ? "leaf hash"
                                                                          : NULL;
}

static inline bool is_leaf_as_told(struct replay *replay, const struct fv_audit_leaf *leaf,
                                   const flagver_audit_entry *entry)
{
    const char *what = different_text(leaf, entry);

    if (!what)
        what = different_number(leaf, entry);
    if (!what)
        what = different_hash(replay, leaf, entry);
    return !what || find(replay, "leaf %llu (%s %s/%s %u by %s, deal %s) has another %s than told",
                         (unsigned long long)entry->no, entry->action, entry->phase, entry->subject,
                         entry->version_no, entry->actor, entry->idempotency_key, what);
}

/* Heads that were seen when the log was as large as it is now. */
static inline bool are_heads_as_told(struct replay *replay)
{
    uint8_t root[32];

    for (; replay->head_at < replay->head_count &&
           replay->heads[replay->head_at].size == replay->size;
         replay->head_at++) {
        replay_root(replay, root);
        if (memcmp(root, replay->heads[replay->head_at].root, 32) != 0)
            return find(replay, "the log of %llu leaves had another root",
                        (unsigned long long)replay->size);
    }
    return true;
}

/* The next leaf of the log. */
static inline bool replay_leaf(struct replay *replay, const flagver_audit_entry *entry)
{
    const struct told_leaf *told;
    struct deal *deal;

    if (replay->leaf_at == replay->leaf_count) {
        deal = deal_of(replay->history, entry->idempotency_key);
        if (!deal)
            return find(replay, "leaf %llu is of no deal: \"%s\"", (unsigned long long)entry->no,
                        entry->idempotency_key);
        if (!begin_deal(replay, deal))
            return false;
        if (!replay->leaf_count)
            return find(replay, "leaf %llu: deal %s leaves nothing", (unsigned long long)entry->no,
                        entry->idempotency_key);
    }
    told = &replay->leaves[replay->leaf_at++];
    if (!is_leaf_as_told(replay, &told->leaf, entry))
        return false;
    grow_log(replay, entry->leaf_hash);
    return are_heads_as_told(replay);
}

/* The log ends here. Every deal that ended well was told; others may have been. */
static inline bool replay_end(struct replay *replay)
{
    const struct history *history = replay->history;
    const struct deal *deal;
    size_t ended = 0, told = 0, i;
    uint32_t thread, number;

    if (replay->leaf_at != replay->leaf_count)
        return find(replay, "at the end of the log %zu leaves are missing",
                    replay->leaf_count - replay->leaf_at);
    for (i = 0; i < replay->deal_count; i++)
        told += replay->order[i]->ended;
    for (thread = 0; thread < history->threads; thread++)
        for (number = 0; number < history->diaries[thread].count; number++) {
            deal = &history->diaries[thread].deals[number];
            ended += deal->ended && deal->code == 0;
        }
    if (told != ended)
        return find(replay, "%zu deals ended well, and the log tells of %zu", ended, told);
    return replay->head_at == replay->head_count ||
           find(replay, "a head of %llu leaves was seen; there are %llu",
                (unsigned long long)replay->heads[replay->head_at].size,
                (unsigned long long)replay->size);
}

/* ---- what is in the store ---- */

static inline bool same_name(uint8_t member, const char *name)
{
    return name ? member == member_named(name) && member != NOBODY : member == NOBODY;
}

static inline bool same_note(uint32_t note, const char *text)
{
    char told[NOTE_SIZE];

    return text ? note_text(note, told) && strcmp(told, text) == 0 : note == 0;
}

static inline bool same_payload(const struct told_version *told, uint8_t topic,
                                const flagver_version *version)
{
    char text[TEXT_SIZE];

    content_text(topic, told->content, text);
    if (told->shredded)
        return !version->payload;
    return version->payload && version->payload_length == strlen(text) &&
           strcmp(version->payload, text) == 0;
}

static inline const char *different_fact(const struct told_version *told, uint8_t topic,
                                         const flagver_version *version)
{
    return told->state != version->state                        ? "state"
           : told->rev != version->rev                          ? "rev"
           : told->parent_no != version->parent_no              ? "parent"
           : told->base_no != version->base_no                  ? "base"
           : told->reverts_no != version->reverts_no            ? "version that it reverts to"
           : told->superseded_by != version->superseded_by      ? "successor"
           : told->created_at != version->created_at            ? "time of creation"
           : told->submitted_at != version->submitted_at        ? "time of submission"
           : told->decided_at != version->decided_at            ? "time of decision"
           : told->superseded_at != version->superseded_at      ? "end"
           : !same_name(told->created_by, version->created_by)  ? "author"
           : !same_name(told->decided_by, version->decided_by)  ? "decider"
           : !same_note(told->note, version->note)              ? "note"
           : memcmp(told->hash, version->content_hash, 32) != 0 ? "hash"
           : !(told->bits & FLAGVER_VERSION_TOMBSTONE) == version->tombstone ? "tombstone"
           : !(told->bits & FLAGVER_VERSION_EMERGENCY) == version->emergency ? "emergency"
           : !same_payload(told, topic, version)                             ? "payload"
                                                                             : NULL;
}

/* A version, with its payload, of a series that is read from number 1 on. */
static inline bool replay_version(struct replay *replay, uint32_t *read,
                                  const flagver_version *version)
{
    uint8_t topic = topic_of(version->phase, version->subject);
    const char *what;

    if (topic == TOPICS || version->no != *read + 1 || version->no > replay->series[topic].count)
        return find(replay, "version %u of %s/%s comes after version %u of %u", version->no,
                    version->phase, version->subject, *read,
                    topic < TOPICS ? replay->series[topic].count : 0);
    ++*read;
    what = different_fact(&replay->series[topic].versions[version->no - 1], topic, version);
    return !what || find(replay, "version %u of %s/%s has another %s than told", version->no,
                         version->phase, version->subject, what);
}

/* The items of a version, or its votes, one after the other. */
struct parts {
    struct replay *replay;
    uint8_t topic;
    uint32_t no;
    const struct told_version *told;
    size_t read;
    bool fine;
};

static inline bool part_differs(struct parts *parts, const char *kind, const char *name,
                                const char *what)
{
    parts->fine = find(parts->replay, "%s %s of version %u of %s/%s has another %s than told", kind,
                       name, parts->no, topics[parts->topic].phase, topics[parts->topic].subject,
                       what);
    return false;
}

static inline bool same_item_payload(const struct parts *parts, const struct told_item *told,
                                     const flagver_item *item)
{
    char text[TEXT_SIZE];

    content_text(0, told->content, text);
    return parts->told->shredded ? !item->payload : item->payload && !strcmp(item->payload, text);
}

static inline bool replay_item(void *data, const flagver_item *item)
{
    struct parts *parts = data;
    const struct told_item *told;
    const char *what;

    while (parts->read < ITEMS && !(parts->told->items && parts->told->items[parts->read].there))
        parts->read++;
    if (parts->read == ITEMS || strcmp(item_keys[parts->read], item->key) != 0)
        return part_differs(parts, "item", item->key, "key");
    told = &parts->told->items[parts->read++];
    what = told->origin_no != item->origin_no               ? "origin"
           : told->status != item->status                   ? "status"
           : !same_name(told->decided_by, item->decided_by) ? "decider"
           : !same_note(told->note, item->note)             ? "note"
           : told->decided_at != item->decided_at           ? "time"
           : memcmp(told->hash, item->hash, 32) != 0        ? "hash"
           : !same_item_payload(parts, told, item)          ? "payload"
                                                            : NULL;
    return !what || part_differs(parts, "item", item->key, what);
}

static inline bool replay_vote(void *data, const flagver_vote *found)
{
    struct parts *parts = data;
    const struct told_vote *told;
    const char *what;

    if (parts->read == parts->told->vote_count)
        return part_differs(parts, "vote", found->actor, "number");
    told = &parts->told->votes[parts->read++];
    what = !same_name(told->member, found->actor)             ? "actor"
           : told->time != found->time                        ? "time"
           : !same_note(told->note, found->note)              ? "note"
           : memcmp(told->hash, found->content_hash, 32) != 0 ? "hash"
                                                              : NULL;
    return !what || part_differs(parts, "vote", found->actor, what);
}

static inline bool replay_parts(struct replay *replay, flagver_client *client, uint8_t topic,
                                uint32_t no)
{
    const struct told_version *told = &replay->series[topic].versions[no - 1];
    struct parts items = { replay, topic, no, told, 0, true }, votes = items;
    const char *phase = topics[topic].phase, *subject = topics[topic].subject;
    flagver_error problem;

    if (flagver_items_list(client, phase, subject, no, replay_item, &items, &problem) < 0 ||
        flagver_votes_list(client, phase, subject, no, replay_vote, &votes, &problem) < 0)
        return find(replay, "version %u of %s/%s: %s", no, phase, subject, problem.message);
    while (told->items && items.read < ITEMS && !told->items[items.read].there)
        items.read++;
    if (items.fine && told->items && items.read < ITEMS)
        return find(replay, "an item of version %u of %s/%s is missing", no, phase, subject);
    if (items.fine && votes.fine && votes.read < told->vote_count)
        return find(replay, "a vote for version %u of %s/%s is missing", no, phase, subject);
    return items.fine && votes.fine;
}

struct reading {
    struct replay *replay;
    uint32_t read;
    bool fine;
};

static inline bool read_version(void *data, const flagver_version *version)
{
    struct reading *reading = data;

    reading->fine = replay_version(reading->replay, &reading->read, version);
    return reading->fine;
}

static inline bool read_leaf(void *data, const flagver_audit_entry *entry)
{
    struct reading *reading = data;

    reading->fine = replay_leaf(reading->replay, entry);
    return reading->fine;
}

static inline bool replay_series(struct replay *replay, flagver_client *client, uint8_t topic)
{
    const flagver_list_options options = { .size = sizeof options, .payload = 1 };
    struct reading reading = { replay, 0, true };
    flagver_error problem;
    uint32_t no;

    if (flagver_version_history(client, topics[topic].phase, topics[topic].subject, &options,
                                read_version, &reading, &problem) < 0)
        return find(replay, "%s", problem.message);
    if (reading.fine && reading.read != replay->series[topic].count)
        return find(replay, "%s/%s has %u versions; %u were told", topics[topic].phase,
                    topics[topic].subject, reading.read, replay->series[topic].count);
    for (no = 1; reading.fine && no <= reading.read; no++)
        reading.fine = replay_parts(replay, client, topic, no);
    return reading.fine;
}

static inline bool replay_head(struct replay *replay, flagver_client *client)
{
    uint8_t told[32], root[32];
    flagver_error problem;
    uint64_t size;

    if (flagver_audit_head(client, &size, root, &problem) < 0)
        return find(replay, "%s", problem.message);
    replay_root(replay, told);
    return (size == replay->size && memcmp(told, root, 32) == 0) ||
           find(replay, "the head is of %llu leaves, and another one than told",
                (unsigned long long)size);
}

static inline void find_line(void *replay, const char *line)
{
    find(replay, "verify: %s", line);
}

static inline bool replay_log(struct replay *replay, flagver_client *client)
{
    struct reading reading = { replay, 0, true };
    flagver_error problem;

    if (flagver_audit_log(client, 0, 0, read_leaf, &reading, NULL, &problem) < 0)
        return find(replay, "%s", problem.message);
    return reading.fine && replay_end(replay) && replay_head(replay, client);
}

/* ---- what holds of everything that was told ---- */

static inline bool holds_not(struct replay *replay, uint8_t topic, uint32_t no, const char *what)
{
    return find(replay, "version %u of %s/%s %s", no, topics[topic].phase, topics[topic].subject,
                what);
}

/* Votes for what it says now, by different people; those of authors only where that is allowed. */
static inline bool has_votes(const struct told_version *version)
{
    uint32_t i, count = 0, voters = 0;

    for (i = 0; i < version->vote_count; i++) {
        if (memcmp(version->votes[i].hash, version->hash, 32) != 0)
            continue;
        if (voters & 1u << version->votes[i].member)
            return false;
        voters |= 1u << version->votes[i].member;
        count += version->by_authors || !is_author(version, version->votes[i].member);
    }
    return count >= version->needed;
}

static inline bool items_hold(const struct told_series *series, uint32_t no)
{
    const struct told_version *version = &series->versions[no - 1];
    const struct told_item *item, *origin;
    size_t i;

    for (i = 0; version->items && i < ITEMS; i++) {
        item = &version->items[i];
        if (!item->there || !item->origin_no || item->origin_no == no)
            continue;
        if (item->origin_no > no || !series->versions[item->origin_no - 1].items)
            return false;
        origin = &series->versions[item->origin_no - 1].items[i];
        if (!origin->there || origin->status != FLAGVER_ITEM_APPROVED ||
            origin->origin_no != item->origin_no || memcmp(origin->hash, item->hash, 32) != 0)
            return false;
    }
    return true;
}

static inline bool version_holds(struct replay *replay, uint8_t topic, uint32_t no)
{
    const struct told_series *series = &replay->series[topic];
    const struct told_version *version = &series->versions[no - 1], *next;
    bool was_in_force = version->state == FLAGVER_STATE_APPROVED ||
                        version->state == FLAGVER_STATE_SUPERSEDED;

    if (version->parent_no >= no || version->base_no >= no || version->reverts_no >= no)
        return holds_not(replay, topic, no, "comes from one that is not older");
    if ((version->state == FLAGVER_STATE_APPROVED) != (was_in_force && series->current_no == no))
        return holds_not(replay, topic, no, "is in force beside another one");
    if ((version->state == FLAGVER_STATE_SUPERSEDED) != (version->superseded_by != 0))
        return holds_not(replay, topic, no, "has no successor");
    if (version->superseded_by) {
        next = &series->versions[version->superseded_by - 1];
        if (version->superseded_by <= no || version->superseded_at <= version->decided_at ||
            next->decided_at != version->superseded_at)
            return holds_not(replay, topic, no, "does not end when its successor begins");
    }
    if (was_in_force && !(version->bits & FLAGVER_VERSION_EMERGENCY) && !has_votes(version))
        return holds_not(replay, topic, no, "was not approved by enough people");
    return items_hold(series, no) || holds_not(replay, topic, no, "has an item of unknown origin");
}

/* Each one that was in force took over from one other, but for the first; so they are one chain. */
static inline bool chain_holds(struct replay *replay, uint8_t topic)
{
    const struct told_series *series = &replay->series[topic];
    uint32_t no, first = 0, successors = 0;

    for (no = 1; no <= series->count; no++) {
        if (!version_holds(replay, topic, no))
            return false;
        if (series->versions[no - 1].state != FLAGVER_STATE_APPROVED &&
            series->versions[no - 1].state != FLAGVER_STATE_SUPERSEDED)
            continue;
        first++;
        successors += series->versions[no - 1].superseded_by != 0;
    }
    return first == successors + (first > 0) ||
           find(replay, "%s/%s has %u versions that were in force, and %u that were superseded",
                topics[topic].phase, topics[topic].subject, first, successors);
}

static inline bool invariants_hold(struct replay *replay)
{
    uint8_t topic;

    for (topic = 0; topic < TOPICS; topic++)
        if (!chain_holds(replay, topic))
            return false;
    return true;
}

/* What was done and what was refused, in two lines. */
static inline void sum_up(const struct replay *replay, char out[1000])
{
    size_t length = 0, i;

    for (i = 0; i < DEEDS; i++)
        length += (size_t)snprintf(out + length, 1000 - length, "%s%llu %s", i ? ", " : "",
                                   (unsigned long long)replay->deeds[i], deed_words[i]);
    for (i = 1; i < 32; i++)
        if (replay->codes[i])
            length += (size_t)snprintf(
                out + length, 1000 - length, "%s%llu %s",
                strchr(out, ';') ? ", " : "; refused: ", (unsigned long long)replay->codes[i],
                flagver_error_name(-(int)i));
}

/* All of it: the log, the records, what holds of them, and what the library says about itself. */
static inline bool replay_store(struct replay *replay, flagver_client *client)
{
    flagver_error problem;
    uint8_t topic;
    int r;

    if (!replay_log(replay, client))
        return false;
    for (topic = 0; topic < TOPICS; topic++)
        if (!replay_series(replay, client, topic))
            return false;
    if (!invariants_hold(replay))
        return false;
    r = flagver_audit_verify(client, NULL, find_line, replay, NULL, &problem);
    return r == 0 || (r < 0 && find(replay, "verify: %s", problem.message));
}

#endif
