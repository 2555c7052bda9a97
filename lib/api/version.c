#include "flagver/version.h"

#include <stdio.h>
#include <string.h>

#include "api/writing.h"
#include "engine/client.h"
#include "engine/history.h"
#include "engine/phases.h"
#include "model/version.h"
#include "util/fail.h"
#include "util/options.h"

void flagver_version_free(flagver_version *version)
{
    fv_version_free(version);
}

const char *flagver_state_name(int state)
{
    return fv_state_name(state);
}

/* ---- writing: what takes a text ---- */

typedef int run_operation(flagver_txn *txn, const struct fv_target *target, const void *data,
                          struct fv_staged **ret_version, flagver_error *err);

/* As the public calls; `no` 0 for those that make a version. */
struct text_call {
    const char *name;
    run_operation *run;
    const char *phase, *subject;
    uint32_t no;
    const char *json;
    size_t length;
};

static int write_text(flagver_txn *txn, const struct text_call *call,
                      const flagver_write_options *options, flagver_version **ret_version,
                      flagver_error *err)
{
    const struct fv_text_asked asked = { call->json, call->length, call->no };
    const struct fv_operation operation = { call->name,
                                            call->phase,
                                            call->subject,
                                            options,
                                            call->run,
                                            &asked,
                                            { { call->json, call->length },
                                              { &call->no, call->no ? sizeof call->no : 0 } },
                                            0 };

    return fv_write_content(txn, &operation, ret_version, err);
}

int flagver_version_create(flagver_txn *txn, const char *phase, const char *subject,
                           const char *json, size_t length, const flagver_write_options *options,
                           flagver_version **ret_version, flagver_error *err)
{
    const struct text_call call = { "create", fv_write_create, phase, subject, 0, json, length };

    return write_text(txn, &call, options, ret_version, err);
}

int flagver_version_edit(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                         const char *json, size_t length, const flagver_write_options *options,
                         flagver_version **ret_version, flagver_error *err)
{
    const struct text_call call = { "edit", fv_write_edit, phase, subject, no, json, length };

    return write_text(txn, &call, options, ret_version, err);
}

int flagver_version_put(flagver_txn *txn, const char *phase, const char *subject, const char *json,
                        size_t length, const flagver_write_options *options,
                        flagver_version **ret_version, flagver_error *err)
{
    const struct text_call call = { "put", fv_write_put, phase, subject, 0, json, length };

    return write_text(txn, &call, options, ret_version, err);
}

int flagver_version_record(flagver_txn *txn, const char *phase, const char *subject,
                           const char *json, size_t length, const flagver_write_options *options,
                           flagver_version **ret_version, flagver_error *err)
{
    const struct text_call call = { "record", fv_write_record, phase, subject, 0, json, length };

    return write_text(txn, &call, options, ret_version, err);
}

/* ---- writing: what takes a number ---- */

typedef int run_step(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                     struct fv_staged **ret_version, flagver_error *err);

struct step {
    run_step *run;
    uint32_t no;
};

static int take_step(flagver_txn *txn, const struct fv_target *target, const void *data,
                     struct fv_staged **ret_version, flagver_error *err)
{
    const struct step *step = data;

    return step->run(txn, target, step->no, ret_version, err);
}

struct step_call {
    const char *name;
    run_step *run;
    const char *phase, *subject;
    uint32_t no;
    uint32_t flags; /* which the operation knows */
};

static int write_step(flagver_txn *txn, const struct step_call *call,
                      const flagver_write_options *options, flagver_version **ret_version,
                      flagver_error *err)
{
    const struct step step = { call->run, call->no };
    const struct fv_operation operation = { call->name,
                                            call->phase,
                                            call->subject,
                                            options,
                                            take_step,
                                            &step,
                                            { { &call->no, sizeof call->no } },
                                            call->flags };

    return fv_write(txn, &operation, ret_version, NULL, err);
}

int flagver_version_rebase(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                           const flagver_write_options *options, flagver_version **ret_version,
                           flagver_error *err)
{
    const struct step_call call = { "rebase", fv_record_rebase, phase, subject, no, 0 };

    return write_step(txn, &call, options, ret_version, err);
}

int flagver_version_submit(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                           const flagver_write_options *options, flagver_version **ret_version,
                           flagver_error *err)
{
    const struct step_call call = { "submit", fv_record_submit, phase, subject, no, 0 };

    return write_step(txn, &call, options, ret_version, err);
}

int flagver_version_return(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                           const flagver_write_options *options, flagver_version **ret_version,
                           flagver_error *err)
{
    const struct step_call call = { "return", fv_record_return, phase, subject, no, 0 };

    return write_step(txn, &call, options, ret_version, err);
}

int flagver_version_approve(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                            const flagver_write_options *options, flagver_version **ret_version,
                            flagver_error *err)
{
    const struct step_call call = { "approve", fv_record_approve,   phase, subject,
                                    no,        FLAGVER_WRITE_SUBMIT };

    return write_step(txn, &call, options, ret_version, err);
}

int flagver_version_reject(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                           const flagver_write_options *options, flagver_version **ret_version,
                           flagver_error *err)
{
    const struct step_call call = { "reject", fv_record_reject, phase, subject, no, 0 };

    return write_step(txn, &call, options, ret_version, err);
}

int flagver_version_withdraw(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                             const flagver_write_options *options, flagver_version **ret_version,
                             flagver_error *err)
{
    const struct step_call call = { "withdraw", fv_record_withdraw, phase, subject, no, 0 };

    return write_step(txn, &call, options, ret_version, err);
}

int flagver_version_review(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                           const flagver_write_options *options, flagver_version **ret_version,
                           flagver_error *err)
{
    const struct step_call call = { "review", fv_record_review, phase, subject, no, 0 };

    return write_step(txn, &call, options, ret_version, err);
}

int flagver_version_revert(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                           const flagver_write_options *options, flagver_version **ret_version,
                           flagver_error *err)
{
    const struct fv_revert_asked asked = { no, false };
    const struct fv_operation operation = {
        "revert", phase, subject, options, fv_write_revert, &asked, { { &no, sizeof no } }, 0
    };

    return fv_write(txn, &operation, ret_version, NULL, err);
}

int flagver_version_remove(flagver_txn *txn, const char *phase, const char *subject,
                           const flagver_write_options *options, flagver_version **ret_version,
                           flagver_error *err)
{
    const struct fv_operation operation = { "remove",        phase, subject,         options,
                                            fv_write_remove, NULL,  { { NULL, 0 } }, 0 };

    return fv_write(txn, &operation, ret_version, NULL, err);
}

/* ---- reading ---- */

static int check_series(const char *phase, const char *subject, flagver_error *err)
{
    int r = fv_check_text("phase", phase, FLAGVER_PHASE_LIMIT, err);

    return r < 0 ? r : fv_check_text("subject", subject, FLAGVER_SUBJECT_LIMIT, err);
}

static int read_one(flagver_client *client, flagver_query *query, bool in_force, const char *what,
                    flagver_version **ret_version, flagver_error *err)
{
    if (!ret_version)
        return fv_fail(err, FLAGVER_EINVAL, "ret_version is NULL");
    return fv_client_version(client, query, in_force, what, ret_version, err);
}

static int read_of_series(flagver_client *client, const char *phase, const char *subject,
                          flagver_query query, flagver_version **ret_version, flagver_error *err)
{
    char what[400];
    int r;

    r = check_series(phase, subject, err);
    if (r < 0)
        return r;
    query.kind = FLAGVER_QUERY_VERSIONS;
    query.phase = fv_bytes(phase);
    query.subject = fv_bytes(subject);
    if (query.pick == FLAGVER_PICK_NUMBER)
        snprintf(what, sizeof what, "version %u of %s \"%.256s\"", (unsigned)query.no, phase,
                 subject);
    else
        snprintf(what, sizeof what, "%s \"%.256s\"%s", phase, subject,
                 query.pick == FLAGVER_PICK_AS_OF ? " at that time" : "");
    return read_one(client, &query, query.pick != FLAGVER_PICK_NUMBER, what, ret_version, err);
}

int flagver_version_current(flagver_client *client, const char *phase, const char *subject,
                            flagver_version **ret_version, flagver_error *err)
{
    return read_of_series(client, phase, subject, (flagver_query){ .pick = FLAGVER_PICK_CURRENT },
                          ret_version, err);
}

int flagver_version_get(flagver_client *client, const char *phase, const char *subject, uint32_t no,
                        flagver_version **ret_version, flagver_error *err)
{
    return read_of_series(client, phase, subject,
                          (flagver_query){ .pick = FLAGVER_PICK_NUMBER, .no = no }, ret_version,
                          err);
}

int flagver_version_as_of(flagver_client *client, const char *phase, const char *subject,
                          int64_t time, flagver_version **ret_version, flagver_error *err)
{
    return read_of_series(client, phase, subject,
                          (flagver_query){ .pick = FLAGVER_PICK_AS_OF, .time = time }, ret_version,
                          err);
}

int flagver_version_by_id(flagver_client *client, const char *id, flagver_version **ret_version,
                          flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSION };
    char what[64];

    if (!id || !fv_uuid_parse(id, &query.id))
        return fv_fail(err, FLAGVER_EINVAL, "\"%.60s\" is no UUID", id ? id : "");
    snprintf(what, sizeof what, "version %s", id);
    return read_one(client, &query, false, what, ret_version, err);
}

/* ---- lists ---- */

#define ALL_STATES (FLAGVER_STATES(FLAGVER_STATE_RECORDED + 1) - FLAGVER_STATES(1))

static int read_list_options(const flagver_list_options *options, flagver_list_options *ret_options,
                             flagver_error *err)
{
    int r = fv_options_copy("options", options, ret_options, sizeof *ret_options, err);

    if (r < 0)
        return r;
    if (ret_options->states & ~ALL_STATES)
        return fv_fail(err, FLAGVER_EINVAL,
                       "options.states is 0x%x; there are FLAGVER_STATES(1 to %d)",
                       (unsigned)ret_options->states, FLAGVER_STATE_RECORDED);
    if (ret_options->author)
        return fv_check_text("options.author", ret_options->author, FLAGVER_ACTOR_LIMIT, err);
    return 0;
}

static int visit_all(flagver_client *client, const flagver_query *query,
                     const struct fv_history_filter *filter,
                     bool (*visit)(void *data, const flagver_version *version), void *data,
                     flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!visit)
        return fv_fail(err, FLAGVER_EINVAL, "visit is NULL");
    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_visit(&tenancy, query, filter, visit, data, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_version_history(flagver_client *client, const char *phase, const char *subject,
                            const flagver_list_options *options,
                            bool (*visit)(void *data, const flagver_version *version), void *data,
                            flagver_error *err)
{
    flagver_list_options list;
    flagver_query query;
    int r;

    r = check_series(phase, subject, err);
    if (r == 0)
        r = read_list_options(options, &list, err);
    if (r < 0)
        return r;
    query = (flagver_query){ .kind = FLAGVER_QUERY_VERSIONS,
                             .pick = FLAGVER_PICK_ALL,
                             .phase = fv_bytes(phase),
                             .subject = fv_bytes(subject),
                             .after_no = list.after_no,
                             .backwards = list.backwards,
                             .payload = list.payload,
                             .states = list.states,
                             .limit = list.limit };
    return visit_all(client, &query, &(struct fv_history_filter){ true, list.author }, visit, data,
                     err);
}

static int check_list(const char *phase, const flagver_list_options *list, flagver_error *err)
{
    if (list->states && list->as_of)
        return fv_fail(err, FLAGVER_EINVAL, "options.states and options.as_of exclude each other");
    if (phase)
        return fv_check_text("phase", phase, FLAGVER_PHASE_LIMIT, err);
    if (list->after)
        return fv_fail(err, FLAGVER_EINVAL, "options.after names a subject of no phase");
    return 0;
}

int flagver_version_list(flagver_client *client, const char *phase,
                         const flagver_list_options *options,
                         bool (*visit)(void *data, const flagver_version *version), void *data,
                         flagver_error *err)
{
    flagver_list_options list;
    flagver_query query;
    int r;

    r = read_list_options(options, &list, err);
    if (r == 0)
        r = check_list(phase, &list, err);
    if (r < 0)
        return r;
    query = (flagver_query){ .kind = FLAGVER_QUERY_VERSIONS,
                             .pick = list.states  ? FLAGVER_PICK_ALL
                                     : list.as_of ? FLAGVER_PICK_AS_OF
                                                  : FLAGVER_PICK_CURRENT,
                             .phase = fv_bytes(phase),
                             .subject = fv_bytes(list.prefix),
                             .prefix = list.prefix != NULL,
                             .after = fv_bytes(list.after),
                             .after_no = list.states && list.after ? list.after_no : 0,
                             .time = list.as_of,
                             .backwards = list.backwards,
                             .payload = list.payload,
                             .states = list.states,
                             .limit = list.limit };
    return visit_all(client, &query, &(struct fv_history_filter){ list.all != 0, list.author },
                     visit, data, err);
}

int flagver_version_diff(flagver_client *client, const char *phase, const char *subject,
                         uint32_t from_no, uint32_t to_no, int form, char **ret_text,
                         flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    r = check_series(phase, subject, err);
    if (r < 0)
        return r;
    if (!ret_text || (form != FLAGVER_DIFF_LINES && form != FLAGVER_DIFF_MERGE_PATCH))
        return fv_fail(err, FLAGVER_EINVAL, ret_text ? "no such form" : "ret_text is NULL");
    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_diff(&tenancy, phase, subject, from_no, to_no, form, ret_text, err);
    fv_store_release(tenancy.store);
    return r;
}

/* ---- phases ---- */

int flagver_version_due(flagver_client *client, const flagver_actor *actor, const char *phase,
                        const flagver_list_options *options,
                        bool (*visit)(void *data, const flagver_version *version), void *data,
                        flagver_error *err)
{
    struct fv_tenancy tenancy;
    flagver_list_options list;
    flagver_actor who;
    struct fv_due due = { .actor = &who, .phase = phase, .options = &list };
    int r;

    if (!actor || !visit)
        return fv_fail(err, FLAGVER_EINVAL, actor ? "visit is NULL" : "no actor");
    r = fv_actor_check(actor, &who, err);
    if (r == 0 && phase)
        r = fv_check_text("phase", phase, FLAGVER_PHASE_LIMIT, err);
    if (r == 0)
        r = fv_options_copy("options", options, &list, sizeof list, err);
    if (r == 0)
        r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    due.authorize = client->stored->authorize;
    due.authorize_data = client->stored->authorize_data;
    r = fv_phases_due(&tenancy, &due, visit, data, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_phase_policy(flagver_client *client, const char *phase, const char *subject,
                         char **ret_json, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!ret_json)
        return fv_fail(err, FLAGVER_EINVAL, "ret_json is NULL");
    r = fv_check_text("phase", phase, FLAGVER_PHASE_LIMIT, err);
    if (r == 0 && subject)
        r = fv_check_text("subject", subject, FLAGVER_SUBJECT_LIMIT, err);
    if (r == 0)
        r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_phases_describe(&tenancy, phase, subject, ret_json, err);
    fv_store_release(tenancy.store);
    return r;
}

/* ---- assignments ---- */

struct assignment {
    const char *user;
    bool add;
};

static int run_assign(flagver_txn *txn, const struct fv_target *target, const void *data,
                      struct fv_staged **ret_version, flagver_error *err)
{
    const struct assignment *assignment = data;

    return fv_phases_assign(txn, target, assignment->user, assignment->add, ret_version, err);
}

/* The record's subject is ROLE/SUBJECT. */
static int assign(flagver_txn *txn, const char *role, const char *subject,
                  const struct assignment *assignment, const flagver_write_options *options,
                  uint32_t *ret_no, flagver_error *err)
{
    char name[FLAGVER_SUBJECT_LIMIT + 1];
    const struct fv_operation operation = { assignment->add ? "assign" : "unassign",
                                            FLAGVER_PHASE_ASSIGNMENT,
                                            name,
                                            options,
                                            run_assign,
                                            assignment,
                                            { { assignment->user,
                                                assignment->user ? strlen(assignment->user) : 0 } },
                                            0 };
    int r;

    r = fv_check_text("role", role, FV_ROLE_LIMIT, err);
    if (r == 0 && strchr(role, '/'))
        r = fv_fail(err, FLAGVER_EINVAL, "the role \"%s\" contains '/'", role);
    if (r == 0)
        r = fv_check_text("subject", subject, FLAGVER_SUBJECT_LIMIT - strlen(role) - 1, err);
    if (r == 0)
        r = fv_check_text("user", assignment->user, FLAGVER_ACTOR_LIMIT, err);
    if (r < 0)
        return r;
    snprintf(name, sizeof name, "%s/%s", role, subject);
    return fv_write(txn, &operation, NULL, ret_no, err);
}

int flagver_assign(flagver_txn *txn, const char *role, const char *subject, const char *user,
                   const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    return assign(txn, role, subject, &(struct assignment){ user, true }, options, ret_no, err);
}

int flagver_unassign(flagver_txn *txn, const char *role, const char *subject, const char *user,
                     const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    return assign(txn, role, subject, &(struct assignment){ user, false }, options, ret_no, err);
}
