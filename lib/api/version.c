#include "flagver/version.h"

#include <stdio.h>
#include <string.h>

#include "api/writing.h"
#include "engine/client.h"
#include "engine/history.h"
#include "model/version.h"
#include "util/fail.h"

void flagver_version_free(flagver_version *version)
{
    fv_version_free(version);
}

const char *flagver_state_name(int state)
{
    return fv_state_name(state);
}

/* ---- writing ---- */

/* Hands out the version: as it was staged, or as it was recorded before. */
static int finish(struct fv_writing *writing, int r, struct fv_staged *version,
                  flagver_version **ret_version, flagver_error *err)
{
    flagver_version *copy = NULL;

    if (r >= 0 && ret_version && writing->replayed)
        r = fv_record_get(writing->txn, &writing->target, writing->no, &version, err);
    if (r >= 0 && ret_version)
        r = fv_version_copy(&version->row, &copy, err);
    r = fv_writing_leave(writing, r, version, err);
    if (r < 0) {
        fv_version_free(copy);
        return r;
    }
    if (ret_version)
        *ret_version = copy;
    return 0;
}

static int check_json(const char *json, flagver_error *err)
{
    return json ? 0 : fv_fail(err, FLAGVER_EINVAL, "json is NULL");
}

int flagver_version_create(flagver_txn *txn, const char *phase, const char *subject,
                           const char *json, size_t length, const flagver_write_options *options,
                           flagver_version **ret_version, flagver_error *err)
{
    struct fv_staged *version = NULL;
    struct fv_content content;
    struct fv_writing writing;
    int r;

    r = check_json(json, err);
    if (r == 0)
        r = fv_writing_begin(&writing, "create", txn, phase, subject, options, err);
    if (r < 0)
        return r;
    fv_writing_add(&writing, json, length);
    r = fv_writing_enter(&writing, err);
    if (r < 0)
        return r;
    if (!writing.replayed)
        r = fv_record_content(txn, &writing.target, json, length, &content, err);
    if (r == 0)
        r = fv_record_create(txn, &writing.target, &content, &version, err);
    return finish(&writing, r, version, ret_version, err);
}

int flagver_version_put(flagver_txn *txn, const char *phase, const char *subject, const char *json,
                        size_t length, const flagver_write_options *options,
                        flagver_version **ret_version, flagver_error *err)
{
    struct fv_staged *version = NULL;
    struct fv_content content;
    struct fv_writing writing;
    int r;

    r = check_json(json, err);
    if (r == 0)
        r = fv_writing_begin(&writing, "put", txn, phase, subject, options, err);
    if (r < 0)
        return r;
    fv_writing_add(&writing, json, length);
    r = fv_writing_enter(&writing, err);
    if (r < 0)
        return r;
    if (!writing.replayed)
        r = fv_record_content(txn, &writing.target, json, length, &content, err);
    if (r == 0)
        r = fv_record_put(txn, &writing.target, &content, &version, err);
    return finish(&writing, r, version, ret_version, err);
}

int flagver_version_edit(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                         const char *json, size_t length, const flagver_write_options *options,
                         flagver_version **ret_version, flagver_error *err)
{
    struct fv_staged *version = NULL;
    struct fv_content content;
    struct fv_writing writing;
    int r;

    r = check_json(json, err);
    if (r == 0)
        r = fv_writing_begin(&writing, "edit", txn, phase, subject, options, err);
    if (r < 0)
        return r;
    fv_writing_add(&writing, &no, sizeof no);
    fv_writing_add(&writing, json, length);
    r = fv_writing_enter(&writing, err);
    if (r < 0)
        return r;
    if (!writing.replayed)
        r = fv_record_content(txn, &writing.target, json, length, &content, err);
    if (r == 0)
        r = fv_record_edit(txn, &writing.target, no, &content, &version, err);
    return finish(&writing, r, version, ret_version, err);
}

/* The operations that take nothing but a number. */
static int move_on(const char *name,
                   int (*operation)(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                                    struct fv_staged **ret_version, flagver_error *err),
                   flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                   const flagver_write_options *options, flagver_version **ret_version,
                   flagver_error *err)
{
    struct fv_staged *version = NULL;
    struct fv_writing writing;
    int r;

    r = fv_writing_begin(&writing, name, txn, phase, subject, options, err);
    if (r < 0)
        return r;
    fv_writing_add(&writing, &no, sizeof no);
    r = fv_writing_enter(&writing, err);
    if (r < 0)
        return r;
    if (!writing.replayed)
        r = operation(txn, &writing.target, no, &version, err);
    return finish(&writing, r, version, ret_version, err);
}

int flagver_version_submit(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                           const flagver_write_options *options, flagver_version **ret_version,
                           flagver_error *err)
{
    return move_on("submit", fv_record_submit, txn, phase, subject, no, options, ret_version, err);
}

int flagver_version_withdraw(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                             const flagver_write_options *options, flagver_version **ret_version,
                             flagver_error *err)
{
    return move_on("withdraw", fv_record_withdraw, txn, phase, subject, no, options, ret_version,
                   err);
}

int flagver_version_revert(flagver_txn *txn, const char *phase, const char *subject, uint32_t no,
                           const flagver_write_options *options, flagver_version **ret_version,
                           flagver_error *err)
{
    return move_on("revert", fv_record_revert, txn, phase, subject, no, options, ret_version, err);
}

static int remove_current(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                          struct fv_staged **ret_version, flagver_error *err)
{
    (void)no;
    return fv_record_remove(txn, target, ret_version, err);
}

int flagver_version_remove(flagver_txn *txn, const char *phase, const char *subject,
                           const flagver_write_options *options, flagver_version **ret_version,
                           flagver_error *err)
{
    return move_on("remove", remove_current, txn, phase, subject, 0, options, ret_version, err);
}

/* ---- reading ---- */

static int enter(flagver_client *client, struct fv_tenancy *ret_tenancy, flagver_error *err)
{
    if (!client)
        return fv_fail(err, FLAGVER_EINVAL, "client is NULL");
    return fv_client_tenancy(client, ret_tenancy, err);
}

static int check_series(const char *phase, const char *subject, flagver_error *err)
{
    int r = fv_check_text("phase", phase, FLAGVER_PHASE_LIMIT, err);

    return r < 0 ? r : fv_check_text("subject", subject, FLAGVER_SUBJECT_LIMIT, err);
}

static int read_one(flagver_client *client, flagver_query *query, bool in_force, const char *what,
                    flagver_version **ret_version, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!ret_version)
        return fv_fail(err, FLAGVER_EINVAL, "ret_version is NULL");
    r = enter(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_one(&tenancy, query, in_force, what, ret_version, err);
    fv_store_release(tenancy.store);
    return r;
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

static int read_list_options(const flagver_list_options *options, flagver_list_options *ret_options,
                             flagver_error *err)
{
    *ret_options = (flagver_list_options){ .size = sizeof *ret_options };
    if (!options)
        return 0;
    if (options->size < sizeof *options || options->reserved)
        return fv_fail(err, FLAGVER_EINVAL,
                       options->reserved ? "options.reserved is not 0" : "options.size is not set");
    *ret_options = *options;
    return 0;
}

static int visit_all(flagver_client *client, const flagver_query *query, bool tombstones,
                     bool (*visit)(void *data, const flagver_version *version), void *data,
                     flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!visit)
        return fv_fail(err, FLAGVER_EINVAL, "visit is NULL");
    r = enter(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_visit(&tenancy, query, tombstones, visit, data, err);
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
                             .limit = list.limit };
    return visit_all(client, &query, true, visit, data, err);
}

int flagver_version_list(flagver_client *client, const char *phase,
                         const flagver_list_options *options,
                         bool (*visit)(void *data, const flagver_version *version), void *data,
                         flagver_error *err)
{
    flagver_list_options list;
    flagver_query query;
    int r;

    r = fv_check_text("phase", phase, FLAGVER_PHASE_LIMIT, err);
    if (r == 0)
        r = read_list_options(options, &list, err);
    if (r < 0)
        return r;
    query = (flagver_query){ .kind = FLAGVER_QUERY_VERSIONS,
                             .pick = list.as_of ? FLAGVER_PICK_AS_OF : FLAGVER_PICK_CURRENT,
                             .phase = fv_bytes(phase),
                             .subject = fv_bytes(list.prefix),
                             .prefix = list.prefix != NULL,
                             .after = fv_bytes(list.after),
                             .time = list.as_of,
                             .backwards = list.backwards,
                             .payload = list.payload,
                             .limit = list.limit };
    return visit_all(client, &query, list.all != 0, visit, data, err);
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
    r = enter(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_diff(&tenancy, phase, subject, from_no, to_no, form, ret_text, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_audit_log(flagver_client *client, uint64_t from, uint32_t limit,
                      bool (*visit)(void *data, const flagver_audit_entry *entry), void *data,
                      uint64_t *ret_next, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!visit)
        return fv_fail(err, FLAGVER_EINVAL, "visit is NULL");
    r = enter(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_log(&tenancy, from, limit, visit, data, ret_next, err);
    fv_store_release(tenancy.store);
    return r;
}
