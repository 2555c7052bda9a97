/*
 * A history told again: its deals are carried out in the order of the log's leaves, by the rules
 * (tests/telling.h). Each deal must give the results and the leaves that it gave, to the last bit, and
 * in the end there must be in the store what was told, and nothing else.
 *
 * Clients make deals at the same time; that one order of them explains everything that they were
 * told, and that nobody who began after another had ended comes before him, says that each deal
 * happened at one moment (linearizability). The log is that order.
 *
 * The first thing that is wrong is kept in `found`, and the telling ends.
 */
#ifndef FLAGVER_TESTS_REPLAY_H
#define FLAGVER_TESTS_REPLAY_H

#include "telling.h"

/* ---- deals ---- */

/* Those that are done again under their key are told what the version is then. */
static inline bool tells_state(const struct deal *deal, const struct act *act)
{
    return act->deed != DO_SHRED && act->deed != DO_DISABLE && deal->runs == 1;
}

/* `no` is the number of the version that it is about, or why not. */
static inline bool is_as_told(const struct deal *deal, const struct act *act, int no,
                              const struct told_version *version)
{
    if (!version)
        return act->code == no;
    if (act->code != 0 || act->ret_no != (uint32_t)no)
        return false;
    return !tells_state(deal, act) || (act->state == version->state && act->rev == version->rev);
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
    if (!act->done || is_as_told(deal, act, no, version))
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
