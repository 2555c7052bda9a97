#include "flagver/rollout.h"

#include <string.h>

#include "api/writing.h"
#include "codec/edit.h"
#include "engine/client.h"
#include "engine/rollout.h"
#include "engine/rollout_guard.h"
#include "util/fail.h"

static const struct fv_words nothing = { NULL, 0 };

/* ---- whole definitions ---- */

static int put(flagver_txn *txn, const char *phase, const char *key, const char *json,
               size_t length, const flagver_write_options *options, uint32_t *ret_no,
               flagver_error *err)
{
    const struct fv_text_asked asked = { json, length, 0 };
    const struct fv_operation operation = {
        "put", phase, key, options, fv_write_put, &asked, { { json, length } }, 0
    };

    return fv_write(txn, &operation, NULL, ret_no, err);
}

int flagver_flag_put(flagver_txn *txn, const char *key, const char *json, size_t length,
                     const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    return put(txn, FLAGVER_PHASE_FLAG, key, json, length, options, ret_no, err);
}

int flagver_segment_put(flagver_txn *txn, const char *name, const char *json, size_t length,
                        const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    return put(txn, FLAGVER_PHASE_SEGMENT, name, json, length, options, ret_no, err);
}

static int revert(flagver_txn *txn, const char *phase, const char *key, uint32_t no,
                  const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    const struct fv_revert_asked asked = { no, true };
    const struct fv_operation operation = {
        "revert", phase, key, options, fv_write_revert, &asked, { { &no, sizeof no } }, 0
    };

    return fv_write(txn, &operation, NULL, ret_no, err);
}

int flagver_flag_revert(flagver_txn *txn, const char *key, uint32_t no,
                        const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    return revert(txn, FLAGVER_PHASE_FLAG, key, no, options, ret_no, err);
}

int flagver_segment_revert(flagver_txn *txn, const char *name, uint32_t no,
                           const flagver_write_options *options, uint32_t *ret_no,
                           flagver_error *err)
{
    return revert(txn, FLAGVER_PHASE_SEGMENT, name, no, options, ret_no, err);
}

static int take_off(flagver_txn *txn, const char *phase, const char *key,
                    const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    const struct fv_operation operation = {
        "remove", phase, key, options, fv_write_remove, NULL, { { NULL, 0 } }, 0
    };

    return fv_write(txn, &operation, NULL, ret_no, err);
}

int flagver_flag_delete(flagver_txn *txn, const char *key, const flagver_write_options *options,
                        uint32_t *ret_no, flagver_error *err)
{
    return take_off(txn, FLAGVER_PHASE_FLAG, key, options, ret_no, err);
}

int flagver_segment_delete(flagver_txn *txn, const char *name, const flagver_write_options *options,
                           uint32_t *ret_no, flagver_error *err)
{
    return take_off(txn, FLAGVER_PHASE_SEGMENT, name, options, ret_no, err);
}

/* ---- changes of a flag ---- */

static int run_edit(flagver_txn *txn, const struct fv_target *target, const void *edit,
                    struct fv_staged **ret_version, flagver_error *err)
{
    return fv_rollout_edit(txn, target, edit, ret_version, err);
}

static int change(flagver_txn *txn, const char *name, const char *key, const struct fv_edit *edit,
                  struct fv_words asked, const flagver_write_options *options, uint32_t *ret_no,
                  flagver_error *err)
{
    const struct fv_operation operation = {
        name,      FLAGVER_PHASE_FLAG,
        key,       options,
        run_edit,  edit,
        { asked }, edit->takes_back ? FLAGVER_WRITE_EMERGENCY : 0
    };

    return fv_write(txn, &operation, NULL, ret_no, err);
}

static int edit_enabled(const void *data, const char *text, size_t length, struct fv_text *out,
                        flagver_error *err)
{
    return fv_edit_enabled(text, length, *(const bool *)data, out, err);
}

static int takes_all_back(const void *enabled, const char *text, size_t length, flagver_error *err)
{
    (void)text;
    (void)length;
    (void)err;
    return !*(const bool *)enabled;
}

static int set_enabled(flagver_txn *txn, const char *key, bool enabled,
                       const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    const struct fv_edit edit = { edit_enabled, &enabled, enabled ? NULL : takes_all_back };

    return change(txn, enabled ? "enable" : "disable", key, &edit, nothing, options, ret_no, err);
}

int flagver_flag_enable(flagver_txn *txn, const char *key, const flagver_write_options *options,
                        uint32_t *ret_no, flagver_error *err)
{
    return set_enabled(txn, key, true, options, ret_no, err);
}

int flagver_flag_disable(flagver_txn *txn, const char *key, const flagver_write_options *options,
                         uint32_t *ret_no, flagver_error *err)
{
    return set_enabled(txn, key, false, options, ret_no, err);
}

int flagver_flag_ramp(flagver_txn *txn, const char *key, double percentage,
                      const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    const struct fv_edit edit = fv_rollout_ramp(&percentage);
    const struct fv_words asked = { &percentage, sizeof percentage };

    return change(txn, "ramp", key, &edit, asked, options, ret_no, err);
}

static int edit_release(const void *unused, const char *text, size_t length, struct fv_text *out,
                        flagver_error *err)
{
    struct fv_text ramped = FV_TEXT_INIT;
    int r;

    (void)unused;
    r = fv_edit_ramp(text, length, 100, true, &ramped, err);
    if (r == 0)
        r = fv_edit_enabled(ramped.data, ramped.length, true, out, err);
    fv_text_clear(&ramped);
    return r;
}

int flagver_flag_release(flagver_txn *txn, const char *key, const flagver_write_options *options,
                         uint32_t *ret_no, flagver_error *err)
{
    const struct fv_edit edit = { edit_release, NULL, NULL };

    return change(txn, "release", key, &edit, nothing, options, ret_no, err);
}

struct beta {
    bool add;
    const char *const *users;
    size_t count;
};

static int edit_beta(const void *data, const char *text, size_t length, struct fv_text *out,
                     flagver_error *err)
{
    const struct beta *beta = data;

    return fv_edit_beta(text, length, beta->add, beta->users, beta->count, out, err);
}

/* The users as one text, for the digest of what was asked. */
static int join(const struct beta *beta, struct fv_text *out, flagver_error *err)
{
    size_t i;

    if (beta->count && !beta->users)
        return fv_fail(err, FLAGVER_EINVAL, "users is NULL");
    for (i = 0; i < beta->count; i++) {
        if (!beta->users[i])
            return fv_fail(err, FLAGVER_EINVAL, "users[%zu] is NULL", i);
        fv_text_add_bytes(out, beta->users[i], strlen(beta->users[i]) + 1);
    }
    return out->failed ? fv_fail_memory(err) : 0;
}

static int change_beta(flagver_txn *txn, const char *key, const struct beta *beta,
                       const flagver_write_options *options, uint32_t *ret_no, flagver_error *err)
{
    const struct fv_edit edit = { edit_beta, beta, NULL };
    struct fv_text users = FV_TEXT_INIT;
    int r;

    r = join(beta, &users, err);
    if (r == 0)
        r = change(txn, beta->add ? "beta add" : "beta remove", key, &edit,
                   (struct fv_words){ users.data, users.length }, options, ret_no, err);
    fv_text_clear(&users);
    return r;
}

int flagver_flag_beta_add(flagver_txn *txn, const char *key, const char *const *users, size_t count,
                          const flagver_write_options *options, uint32_t *ret_no,
                          flagver_error *err)
{
    const struct beta beta = { true, users, count };

    return change_beta(txn, key, &beta, options, ret_no, err);
}

int flagver_flag_beta_remove(flagver_txn *txn, const char *key, const char *const *users,
                             size_t count, const flagver_write_options *options, uint32_t *ret_no,
                             flagver_error *err)
{
    const struct beta beta = { false, users, count };

    return change_beta(txn, key, &beta, options, ret_no, err);
}

static int edit_schedule(const void *data, const char *text, size_t length, struct fv_text *out,
                         flagver_error *err)
{
    const struct fv_words *schedule = data;

    return fv_edit_schedule(text, length, schedule->data, schedule->length, out, err);
}

int flagver_flag_schedule(flagver_txn *txn, const char *key, const char *json, size_t length,
                          const flagver_write_options *options, uint32_t *ret_no,
                          flagver_error *err)
{
    const struct fv_words schedule = { json, json ? length : 0 };
    const struct fv_edit edit = { edit_schedule, &schedule, NULL };

    return change(txn, "schedule", key, &edit, schedule, options, ret_no, err);
}

int flagver_flags_guard(flagver_client *client, const flagver_actor *actor,
                        void (*alert)(void *data, const flagver_rollout_alert *alert), void *data,
                        flagver_error *err)
{
    struct fv_guardian guardian = { .alert = alert, .data = data };
    int r;

    if (!client)
        return fv_fail(err, FLAGVER_EINVAL, "client is NULL");
    r = fv_actor_check(actor, &guardian.actor, err);
    return r < 0 ? r : fv_rollout_guard(client, &guardian, err);
}

/* ---- flags as code ---- */

int flagver_flags_plan(flagver_client *client, const char *json, size_t length, const char *name,
                       bool prune, void (*visit)(void *data, const flagver_plan_step *step),
                       void *data, flagver_error *err)
{
    const struct fv_rollout_file file = { json, length, name, prune };
    struct fv_tenancy tenancy;
    int r;

    if (!json)
        return fv_fail(err, FLAGVER_EINVAL, "json is NULL");
    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_rollout_plan(&tenancy, &file, visit, data, err);
    fv_store_release(tenancy.store);
    return r;
}

/* Not of one record, so it has a frame of its own; what came of it is the number of steps. */
static int apply(flagver_txn *txn, const struct fv_rollout_file *file,
                 const flagver_write_options *options, flagver_error *err)
{
    const struct fv_words words[] = {
        { "apply", 5 },
        { file->json, file->length },
        { &file->prune, sizeof file->prune },
        { options->note, options->note ? strlen(options->note) : 0 },
        { &options->expect_no, sizeof options->expect_no },
    };
    uint32_t count = 0;
    int r;

    r = fv_txn_replay(txn, words, sizeof words / sizeof *words, &count, err);
    if (r != 0)
        return r < 0 ? r : (int)count;
    r = fv_rollout_apply(txn, file, options, err);
    if (r < 0)
        fv_txn_record_refusal(txn, r);
    else
        fv_txn_record(txn, (uint32_t)r);
    return r;
}

/* What is about one version says nothing about a file; and what is in force at once is no file. */
static int check_apply(const flagver_write_options *options, flagver_error *err)
{
    if (options->flags)
        return fv_fail(err, FLAGVER_EINVAL, "options.flags is %#x; apply knows 0",
                       (unsigned)options->flags);
    if (options->parent_no || options->baseline_no || options->content_hash)
        return fv_fail(err, FLAGVER_EINVAL, "options.%s is of one version, and this is a file",
                       options->parent_no     ? "parent_no"
                       : options->baseline_no ? "baseline_no"
                                              : "content_hash");
    return 0;
}

int flagver_flags_apply(flagver_txn *txn, const char *json, size_t length, const char *name,
                        bool prune, const flagver_write_options *options, flagver_error *err)
{
    const struct fv_rollout_file file = { json, length, name, prune };
    flagver_write_options given;
    int r;

    if (!txn || !json)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", txn ? "json" : "txn");
    r = fv_record_options(options, &given, err);
    if (r == 0)
        r = check_apply(&given, err);
    if (r == 0)
        r = fv_txn_enter(txn, err);
    if (r < 0)
        return r;
    return fv_txn_leave(txn, apply(txn, &file, &given, err), err);
}

int flagver_flags_export(flagver_client *client, char **ret_json, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    if (!ret_json)
        return fv_fail(err, FLAGVER_EINVAL, "ret_json is NULL");
    r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_rollout_export(&tenancy, ret_json, err);
    fv_store_release(tenancy.store);
    return r;
}
