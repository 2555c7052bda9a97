/*
 * What tests of versioned records share: one operation in a line, by whom it may concern.
 *
 *     ok(client, ann, create("scoping", "a", "{'x':1}"));
 *     refused(client, FLAGVER_ESELF, ann, approve("scoping", "a", 1));
 */
#ifndef FLAGVER_TESTS_RECORDS_H
#define FLAGVER_TESTS_RECORDS_H

#include "stores.h"

#include "flagver/audit.h"

/* Actors: an id, and roles up to a NULL. */
struct person {
    const char *id;
    const char *roles[4];
};

static const struct person ann MAYBE_UNUSED = { "ann", { "Tester" } };
static const struct person ben MAYBE_UNUSED = { "ben", { "Test Lead", "Reader" } };
static const struct person cat MAYBE_UNUSED = { "cat", { "Test Manager" } };
static const struct person dan MAYBE_UNUSED = { "dan", { NULL } };

static inline flagver_actor actor_of(const struct person *person)
{
    flagver_actor actor = { .size = sizeof actor, .id = person->id, .roles = person->roles };

    while (actor.role_count < 4 && person->roles[actor.role_count])
        actor.role_count++;
    return actor;
}

enum deed {
    CREATE,
    EDIT,
    REBASE,
    SUBMIT,
    RETURN,
    DECIDE,
    APPROVE,
    REJECT,
    WITHDRAW,
    REVERT,
    RECORD,
    REVIEW,
    PUT,
    REMOVE,
    ITEMS_PUT,
    ITEMS_REMOVE,
    DEEDS
};

static const char *const deed_names[] MAYBE_UNUSED = {
    "create",   "edit",   "rebase", "submit", "return", "decide", "approve",   "reject",
    "withdraw", "revert", "record", "review", "put",    "remove", "items put", "items remove"
};

/* One operation; what it has no use for is zero. `key` and `json` name an item, or the content. */
struct step {
    enum deed deed;
    const char *phase, *subject;
    uint32_t no;
    const char *json, *key;
    int32_t status;
    flagver_write_options options;
    int end; /* lets the others be left out */
};

/* `json` as it is handed over: with ". Nothing is allocated but by the library. */
static inline int call_step(flagver_txn *txn, const struct step *step, const char *json,
                            flagver_version **ret)
{
    const char *phase = step->phase, *subject = step->subject;
    size_t length = json ? strlen(json) : 0;
    const flagver_item_content item = { step->key, json, length };
    flagver_write_options options = step->options;
    uint32_t no = step->no;
    int r = 0;

    options.size = sizeof options;
    memset(&error, 0, sizeof error);
    switch (step->deed) {
    case CREATE:
        r = flagver_version_create(txn, phase, subject, json, length, &options, ret, &error);
        break;
    case EDIT:
        r = flagver_version_edit(txn, phase, subject, no, json, length, &options, ret, &error);
        break;
    case REBASE:
        r = flagver_version_rebase(txn, phase, subject, no, &options, ret, &error);
        break;
    case SUBMIT:
        r = flagver_version_submit(txn, phase, subject, no, &options, ret, &error);
        break;
    case RETURN:
        r = flagver_version_return(txn, phase, subject, no, &options, ret, &error);
        break;
    case DECIDE:
        r = flagver_items_decide(txn, phase, subject, no, &step->key, 1, step->status, &options,
                                 ret, &error);
        break;
    case APPROVE:
        r = flagver_version_approve(txn, phase, subject, no, &options, ret, &error);
        break;
    case REJECT:
        r = flagver_version_reject(txn, phase, subject, no, &options, ret, &error);
        break;
    case WITHDRAW:
        r = flagver_version_withdraw(txn, phase, subject, no, &options, ret, &error);
        break;
    case REVERT:
        r = flagver_version_revert(txn, phase, subject, no, &options, ret, &error);
        break;
    case RECORD:
        r = flagver_version_record(txn, phase, subject, json, length, &options, ret, &error);
        break;
    case REVIEW:
        r = flagver_version_review(txn, phase, subject, no, &options, ret, &error);
        break;
    case PUT:
        r = flagver_version_put(txn, phase, subject, json, length, &options, ret, &error);
        break;
    case REMOVE:
        r = flagver_version_remove(txn, phase, subject, &options, ret, &error);
        break;
    case ITEMS_PUT:
        r = flagver_items_put(txn, phase, subject, no, &item, 1, &options, ret, &error);
        break;
    case ITEMS_REMOVE:
        r = flagver_items_remove(txn, phase, subject, no, &step->key, 1, &options, ret, &error);
        break;
    case DEEDS:
        break;
    }
    return r;
}

static inline int do_step(flagver_txn *txn, const struct step *step, flagver_version **ret)
{
    char *json = step->json ? quoted(step->json) : NULL;
    int r = call_step(txn, step, json, ret);

    free(json);
    return r;
}

/* In a transaction of its own; the state it led to, or the error. */
static inline int attempt(flagver_client *client, const struct person *person,
                          const struct step *step)
{
    const flagver_actor actor = actor_of(person);
    flagver_version *version = NULL;
    flagver_txn *txn = NULL;
    int r, state = 0;

    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    r = do_step(txn, step, &version);
    if (r == 0) {
        state = version->state;
        assert_ok(flagver_txn_commit(txn, &error));
    }
    flagver_version_free(version);
    flagver_txn_free(txn);
    return r < 0 ? r : state;
}

#define STEP(...) (&(const struct step){ __VA_ARGS__, .end = 0 })

#define done(client, person, ...)                                                               \
    do {                                                                                        \
        const struct step step_ = { __VA_ARGS__, .end = 0 };                                    \
        int result_ = attempt(client, &(person), &step_);                                       \
        ck_assert_msg(result_ > 0, "%s %s by %s: %d %s", deed_names[step_.deed], step_.subject, \
                      (person).id, result_, error.message);                                     \
    } while (0)

#define refused(client, code, person, ...)                                                \
    do {                                                                                  \
        const struct step step_ = { __VA_ARGS__, .end = 0 };                              \
        int result_ = attempt(client, &(person), &step_);                                 \
        ck_assert_msg(result_ == (code), "%s %s by %s: %d instead of %s: %s",             \
                      deed_names[step_.deed], step_.subject, (person).id, result_, #code, \
                      error.message);                                                     \
        ck_assert_msg(error.message[0], "refused without words");                         \
    } while (0)

/* A policy comes into force, whatever the one before asks for. */
static inline void set_policy(flagver_client *client, const struct person *person,
                              const char *phase, const char *json)
{
    const struct step step = { PUT, FLAGVER_PHASE_PHASE, phase, .json = json };
    int result = attempt(client, person, &step);

    ck_assert_msg(result == FLAGVER_STATE_APPROVED, "policy %s: %d %s", phase, result,
                  error.message);
}

static inline int state_of(flagver_client *client, const char *phase, const char *subject,
                           uint32_t no)
{
    flagver_version *version = NULL;
    int state;

    assert_ok(flagver_version_get(client, phase, subject, no, &version, &error));
    state = version->state;
    flagver_version_free(version);
    return state;
}

#endif
