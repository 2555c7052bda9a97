/*
 * One operation of each kind on records under approval, and of each kind of refusal: who does it,
 * what must be there before, what it hands out. For tests that let something fail under each
 * of them.
 *
 *     client = open_approvals(FAULT_KIND);
 *     get_ready(client, &operations[i], &ready);
 *     r = operate(txn, &ready, &outcome);
 */
#ifndef FLAGVER_TESTS_APPROVALS_H
#define FLAGVER_TESTS_APPROVALS_H

#include "flagver/key.h"
#include "flagver/store.h"
#include "records.h"

/* ---- phases ---- */

#define PLAIN "plain"
#define TWO "two"
#define FREE "free"
#define ALONE "alone"
#define PARTS "parts"
#define SECRET "secret"
#define OWNED "owned"
#define LOG "log"

#define TESTERS "{'role_in':['Tester','Test Lead','Test Manager']}"

static const struct {
    const char *phase, *policy;
} phases[] = {
    { PLAIN, "{'approval':{'rule':" TESTERS "},'schema':{'type':'integer'}}" },
    { TWO, "{'approval':{'rule':" TESTERS ",'min':2}}" },
    { FREE, "{'approval':{'required':false},'write':" TESTERS "}" },
    { ALONE, "{'approval':{'rule':'anyone','allow_self':true}}" },
    { PARTS, "{'approval':{'rule':" TESTERS ",'items_complete':true},'shred':'anyone'}" },
    { SECRET, "{'approval':{'rule':" TESTERS "},'encrypt':true,'shred':'anyone'}" },
    { OWNED, "{'approval':{'rule':{'assigned':'owner'}}}" },
    { LOG, "{'versioning':'audit_only','shred':'anyone'}" },
    { FLAGVER_PHASE_FLAG, "{'approval':{'rule':" TESTERS "},'emergency':'anyone'}" },
};

/* Which of two keys is the first one: what they say is the name, over and over. */
static char first_key = 'a';

static inline int give_key(void *unused, const char *id, char ret_id[65], uint8_t ret_key[32])
{
    char name = id ? id[0] : first_key;

    (void)unused;
    ret_id[0] = name;
    ret_id[1] = '\0';
    memset(ret_key, name, 32);
    return 0;
}

static inline flagver_client *open_again(int kind)
{
    flagver_options options = quiet_options();

    options.key = give_key;
    return open_with(kind, &options);
}

static inline flagver_client *open_approvals(int kind)
{
    flagver_client *client = open_again(kind);
    int i;

    for (i = 0; i < COUNT(phases); i++)
        set_policy(client, &dan, phases[i].phase, phases[i].policy);
    return client;
}

/* ---- what operations hand out ---- */

struct outcome {
    flagver_version *version;
    uint32_t no;
    uint64_t count;
    flagver_key_rotation rotation;
};

/* Nothing was handed out when this is still there. */
static inline struct outcome untouched(void)
{
    struct outcome outcome;

    memset(&outcome, 0x5a, sizeof outcome);
    return outcome;
}

static inline bool is_untouched(const struct outcome *outcome)
{
    const struct outcome none = untouched();

    return outcome->version == none.version && outcome->no == none.no &&
           outcome->count == none.count &&
           memcmp(&outcome->rotation, &none.rotation, sizeof none.rotation) == 0;
}

static inline void free_outcome(const struct outcome *outcome)
{
    if (outcome->version != untouched().version)
        flagver_version_free(outcome->version);
}

/* ---- operations ---- */

/* A step whose subject is that of the attempt, where it has none; or a call. */
struct by {
    const struct person *who;
    struct step step;
    int (*call)(flagver_txn *txn, const char *subject, struct outcome *ret);
};

struct operation {
    const char *name;
    int code; /* with which it is refused */
    struct by now, before[8];
};

/* An operation on a subject of its own, for which all is there. */
struct ready {
    const struct operation *operation;
    struct step step;
    flagver_actor actor;
    char subject[16], json[128];
};

static inline int operate(flagver_txn *txn, const struct ready *ready, struct outcome *ret)
{
    if (ready->operation->now.call)
        return ready->operation->now.call(txn, ready->subject, ret);
    return call_step(txn, &ready->step, ready->step.json ? ready->json : NULL, &ret->version);
}

static inline int create_submit_approve(flagver_txn *txn, const char *subject, struct outcome *ret)
{
    int r = flagver_version_create(txn, ALONE, subject, "1", 1, NULL, NULL, &error);

    if (r == 0)
        r = flagver_version_submit(txn, ALONE, subject, 1, NULL, NULL, &error);
    return r < 0 ? r : flagver_version_approve(txn, ALONE, subject, 1, NULL, &ret->version, &error);
}

static inline int assign_ben(flagver_txn *txn, const char *subject, struct outcome *ret)
{
    return flagver_assign(txn, "owner", subject, "ben", NULL, &ret->no, &error);
}

static inline int unassign_ben(flagver_txn *txn, const char *subject, struct outcome *ret)
{
    return flagver_unassign(txn, "owner", subject, "ben", NULL, &ret->no, &error);
}

static inline int shred_parts(flagver_txn *txn, const char *subject, struct outcome *ret)
{
    (void)ret;
    return flagver_version_shred(txn, PARTS, subject, 1, "a request", &error);
}

static inline int shred_secret(flagver_txn *txn, const char *subject, struct outcome *ret)
{
    (void)ret;
    return flagver_version_shred(txn, SECRET, subject, 1, NULL, &error);
}

static inline int retain_log(flagver_txn *txn, const char *subject, struct outcome *ret)
{
    return flagver_retain(txn, LOG, subject, INT64_MAX, "too old", &ret->count, &error);
}

static inline int rotate(flagver_txn *txn, const char *subject, struct outcome *ret)
{
    (void)subject;
    return flagver_key_rotate(txn, &ret->rotation, &error);
}

/* The keys that are there lie under another one now. */
static inline int change_first_key(flagver_txn *txn, const char *subject, struct outcome *ret)
{
    (void)txn;
    (void)subject;
    (void)ret;
    first_key = first_key == 'a' ? 'b' : 'a';
    return 0;
}

static inline int disable(flagver_txn *txn, const char *subject, struct outcome *ret)
{
    const flagver_write_options options = { .size = sizeof options,
                                            .note = "it burns",
                                            .flags = FLAGVER_WRITE_EMERGENCY };

    return flagver_flag_disable(txn, subject, &options, &ret->no, &error);
}

static inline int ramp(flagver_txn *txn, const char *subject, struct outcome *ret)
{
    return flagver_flag_ramp(txn, subject, 50, NULL, &ret->no, &error);
}

/* What must be there. */
#define BY(person, ...)                                     \
    {                                                       \
        .who = &(person), .step = { __VA_ARGS__, .end = 0 } \
    }
#define CALL(person, function)             \
    {                                      \
        .who = &(person), .call = function \
    }
#define DRAFTED(phase) BY(dan, CREATE, phase, .json = "1")
#define HANDED_IN(phase) DRAFTED(phase), BY(dan, SUBMIT, phase, .no = 1)
#define IN_FORCE(phase) HANDED_IN(phase), BY(ann, APPROVE, phase, .no = 1)
#define SECOND(phase) BY(dan, CREATE, phase, .json = "2")
#define SECOND_HANDED_IN(phase) SECOND(phase), BY(dan, SUBMIT, phase, .no = 2)
#define ITEM .json = "{'v':1}", .key = "a"
#define WITH_ITEM(phase) DRAFTED(phase), BY(dan, ITEMS_PUT, phase, .no = 1, ITEM)
#define ITEM_HANDED_IN(phase) WITH_ITEM(phase), BY(dan, SUBMIT, phase, .no = 1)
#define YES .key = "a", .status = FLAGVER_ITEM_APPROVED
#define ITEM_IN_FORCE(phase) \
    ITEM_HANDED_IN(phase), BY(ben, DECIDE, phase, .no = 1, YES), BY(ann, APPROVE, phase, .no = 1)
#define FLAG FLAGVER_PHASE_FLAG
#define FLAG_IN_FORCE                                                                    \
    BY(dan, CREATE, FLAG, .json = "{'type':'boolean'}"), BY(dan, SUBMIT, FLAG, .no = 1), \
        BY(ann, APPROVE, FLAG, .no = 1)
#define POLICY FLAGVER_PHASE_PHASE
#define POLICY_IN_FORCE BY(dan, PUT, POLICY, .json = "{'approval':{'rule':" TESTERS "}}")
#define WEAKER .json = "{'approval':{'required':false}}"

static const uint8_t other_content[32] = { 1 };

#define OPERATION(words, by, ...)                           \
    {                                                       \
        .name = words, .now = by, .before = { __VA_ARGS__ } \
    }
#define REFUSAL(words, error_code, by, ...)                                     \
    {                                                                           \
        .name = words, .code = error_code, .now = by, .before = { __VA_ARGS__ } \
    }
#define NOTHING     \
    {               \
        .who = NULL \
    }

static const struct operation operations[] = {
    OPERATION("create", BY(dan, CREATE, PLAIN, .json = "1", .options.note = "why"), NOTHING),
    OPERATION("edit", BY(ben, EDIT, PLAIN, .no = 1, .json = "2"), DRAFTED(PLAIN)),
    OPERATION("rebase", BY(dan, REBASE, PLAIN, .no = 2), DRAFTED(PLAIN), SECOND(PLAIN),
              BY(dan, SUBMIT, PLAIN, .no = 1), BY(ann, APPROVE, PLAIN, .no = 1)),
    OPERATION("submit", BY(dan, SUBMIT, PLAIN, .no = 1), DRAFTED(PLAIN)),
    OPERATION("return", BY(ben, RETURN, PLAIN, .no = 1, .options.note = "not yet"),
              HANDED_IN(PLAIN)),
    OPERATION("approve", BY(ben, APPROVE, PLAIN, .no = 2, .options.note = "fine"), IN_FORCE(PLAIN),
              SECOND_HANDED_IN(PLAIN)),
    OPERATION("approve as one of two", BY(ann, APPROVE, TWO, .no = 1), HANDED_IN(TWO)),
    OPERATION("approve as the second", BY(ben, APPROVE, TWO, .no = 1), IN_FORCE(TWO)),
    OPERATION("approve as assigned", BY(ben, APPROVE, OWNED, .no = 1), CALL(dan, assign_ben),
              HANDED_IN(OWNED)),
    OPERATION("submit and approve",
              BY(ben, APPROVE, PLAIN, .no = 1, .options.flags = FLAGVER_WRITE_SUBMIT),
              DRAFTED(PLAIN)),
    OPERATION("create, submit, approve", CALL(dan, create_submit_approve), NOTHING),
    OPERATION("reject", BY(ben, REJECT, PLAIN, .no = 1, .options.note = "no"), HANDED_IN(PLAIN)),
    OPERATION("withdraw", BY(dan, WITHDRAW, PLAIN, .no = 1), DRAFTED(PLAIN)),
    OPERATION("put", BY(ann, PUT, FREE, .json = "2"), BY(ann, PUT, FREE, .json = "1")),
    OPERATION("put what waits", BY(dan, PUT, PLAIN, .json = "2"), IN_FORCE(PLAIN)),
    OPERATION("revert", BY(dan, REVERT, PARTS, .no = 1), ITEM_IN_FORCE(PARTS)),
    OPERATION("remove", BY(ann, REMOVE, FREE), BY(ann, PUT, FREE, .json = "1")),
    OPERATION("record", BY(dan, RECORD, LOG, .json = "2"), BY(dan, RECORD, LOG, .json = "1")),

    OPERATION("put an item", BY(ben, ITEMS_PUT, PARTS, .no = 1, ITEM), DRAFTED(PARTS)),
    OPERATION("change an item", BY(dan, ITEMS_PUT, PARTS, .no = 1, .json = "2", .key = "a"),
              WITH_ITEM(PARTS)),
    OPERATION("remove an item", BY(dan, ITEMS_REMOVE, PARTS, .no = 1, .key = "a"),
              WITH_ITEM(PARTS)),
    OPERATION("decide an item", BY(ben, DECIDE, PARTS, .no = 1, YES, .options.note = "seen"),
              ITEM_HANDED_IN(PARTS)),
    OPERATION("carry items forward", BY(dan, CREATE, PARTS, .json = "2", .options.baseline_no = 1),
              ITEM_IN_FORCE(PARTS)),

    OPERATION("create a secret", BY(dan, CREATE, SECRET, .json = "1"), NOTHING),
    OPERATION("edit a secret", BY(dan, EDIT, SECRET, .no = 1, .json = "2"), WITH_ITEM(SECRET)),
    OPERATION("put a secret item", BY(dan, ITEMS_PUT, SECRET, .no = 1, ITEM), DRAFTED(SECRET)),
    OPERATION("approve a secret", BY(ben, APPROVE, SECRET, .no = 1), ITEM_HANDED_IN(SECRET)),
    OPERATION("revert to a secret", BY(dan, REVERT, SECRET, .no = 1), ITEM_IN_FORCE(SECRET)),
    OPERATION("rotate", CALL(dan, rotate), DRAFTED(SECRET)),
    OPERATION("rotate under a new key", CALL(dan, rotate), DRAFTED(SECRET),
              CALL(dan, change_first_key)),
    OPERATION("shred", CALL(dan, shred_parts), ITEM_IN_FORCE(PARTS)),
    OPERATION("shred a secret", CALL(dan, shred_secret), ITEM_IN_FORCE(SECRET)),
    OPERATION("retain", CALL(dan, retain_log), BY(dan, RECORD, LOG, .json = "1"),
              BY(dan, RECORD, LOG, .json = "2"), BY(dan, RECORD, LOG, .json = "3")),

    OPERATION("assign", CALL(dan, assign_ben), NOTHING),
    OPERATION("unassign", CALL(dan, unassign_ben), CALL(dan, assign_ben)),
    OPERATION("hand in a policy", BY(dan, PUT, POLICY, WEAKER), POLICY_IN_FORCE),
    OPERATION("approve a policy", BY(ben, APPROVE, POLICY, .no = 2), POLICY_IN_FORCE,
              BY(dan, PUT, POLICY, WEAKER)),
    OPERATION("hand in a flag", CALL(dan, ramp), FLAG_IN_FORCE),
    OPERATION("approve a flag", BY(ann, APPROVE, FLAG, .no = 2), FLAG_IN_FORCE, CALL(dan, ramp)),
    OPERATION("disable at once", CALL(dan, disable), FLAG_IN_FORCE),
    OPERATION("review", BY(ben, REVIEW, FLAG, .no = 2, .options.note = "rightly"), FLAG_IN_FORCE,
              CALL(dan, disable)),

    REFUSAL("who may not", FLAGVER_EDENIED, BY(dan, APPROVE, PLAIN, .no = 1),
            BY(ann, CREATE, PLAIN, .json = "1"), BY(ann, SUBMIT, PLAIN, .no = 1)),
    REFUSAL("who was not assigned", FLAGVER_EDENIED, BY(ben, APPROVE, OWNED, .no = 1),
            HANDED_IN(OWNED)),
    REFUSAL("who has written it", FLAGVER_ESELF, BY(ben, APPROVE, PLAIN, .no = 1), DRAFTED(PLAIN),
            BY(ben, EDIT, PLAIN, .no = 1, .json = "2"), BY(dan, SUBMIT, PLAIN, .no = 1)),
    REFUSAL("who has approved it", FLAGVER_EEXIST, BY(ann, APPROVE, TWO, .no = 1), IN_FORCE(TWO)),
    REFUSAL("other content", FLAGVER_ECHANGED,
            BY(ann, APPROVE, PLAIN, .no = 1, .options.content_hash = other_content),
            HANDED_IN(PLAIN)),
    REFUSAL("stale", FLAGVER_ESTALE, BY(ann, APPROVE, PLAIN, .no = 1), HANDED_IN(PLAIN),
            SECOND_HANDED_IN(PLAIN), BY(ann, APPROVE, PLAIN, .no = 2)),
    REFUSAL("undecided", FLAGVER_EINCOMPLETE, BY(ben, APPROVE, PARTS, .no = 1),
            ITEM_HANDED_IN(PARTS)),
    REFUSAL("frozen", FLAGVER_EFROZEN, BY(dan, EDIT, PLAIN, .no = 1, .json = "2"),
            HANDED_IN(PLAIN)),
    REFUSAL("state", FLAGVER_ESTATE, BY(dan, SUBMIT, PLAIN, .no = 1), HANDED_IN(PLAIN)),
    REFUSAL("no such item", FLAGVER_ENOTFOUND,
            BY(dan, ITEMS_REMOVE, PARTS, .no = 1, .key = "missing"), WITH_ITEM(PARTS)),
    REFUSAL("unexpected", FLAGVER_ECONFLICT,
            BY(dan, CREATE, PLAIN, .json = "2", .options.expect_no = 7), IN_FORCE(PLAIN)),
    REFUSAL("phase", FLAGVER_EPHASE, BY(dan, CREATE, LOG, .json = "1"), NOTHING),
    REFUSAL("no such phase", FLAGVER_ENOTFOUND, BY(dan, CREATE, "unheard-of", .json = "1"),
            NOTHING),
    REFUSAL("schema", FLAGVER_EVALIDATION, BY(dan, CREATE, PLAIN, .json = "'x'"), NOTHING),
    REFUSAL("no JSON", FLAGVER_EPARSE, BY(dan, CREATE, PLAIN, .json = "{"), NOTHING),
    REFUSAL("no policy", FLAGVER_EPARSE, BY(dan, PUT, POLICY, .json = "{'colour':1}"), NOTHING),
    REFUSAL("shred again", FLAGVER_ESTATE, CALL(dan, shred_parts), ITEM_IN_FORCE(PARTS),
            CALL(dan, shred_parts)),
};
#define OPERATIONS COUNT(operations)

/* ---- getting ready ---- */

static inline void make_step(const struct by *by, const char *subject, struct ready *ready)
{
    const char *json = by->step.json ? by->step.json : "";
    char *at;

    ready->step = by->step;
    ready->actor = actor_of(by->who);
    strcpy(ready->subject, subject);
    if (!ready->step.subject)
        ready->step.subject = ready->subject;
    ck_assert_uint_lt(strlen(json), sizeof ready->json);
    strcpy(ready->json, json);
    for (at = ready->json; *at; at++)
        *at = *at == '\'' ? '"' : *at;
}

static inline void do_before(flagver_client *client, const struct by *by, const char *subject)
{
    const struct operation operation = { .name = "before", .now = *by };
    struct ready ready = { .operation = &operation };
    struct outcome outcome = untouched();
    flagver_txn *txn;

    make_step(by, subject, &ready);
    assert_ok(flagver_txn_begin(client, &ready.actor, NULL, &txn, &error));
    assert_ok(operate(txn, &ready, &outcome));
    assert_ok(flagver_txn_commit(txn, &error));
    flagver_txn_free(txn);
    free_outcome(&outcome);
}

/* With a subject that was not there before, and all that the operation needs. */
static inline void get_ready(flagver_client *client, const struct operation *operation,
                             struct ready *ready)
{
    static unsigned attempts;
    char subject[16];
    int i;

    snprintf(subject, sizeof subject, "s%06u", ++attempts);
    for (i = 0; operation->before[i].who; i++)
        do_before(client, &operation->before[i], subject);
    ready->operation = operation;
    make_step(&operation->now, subject, ready);
}

#endif
