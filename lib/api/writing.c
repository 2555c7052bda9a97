#include "api/writing.h"

#include <string.h>

#include "engine/history.h"
#include "util/fail.h"

/* ---- the frame ---- */

static struct fv_words words_of(const char *text)
{
    return (struct fv_words){ text, text ? strlen(text) : 0 };
}

struct performance {
    const struct fv_operation *operation;
    struct fv_target target;
    bool has_content; /* operation->asked[0] */
    bool is_secret;   /* which the policy lets encrypt */
    bool wants_version;
    uint8_t veiled[FV_DIGEST_SIZE];
};

/* What is asked for as it is recorded: of what is to be encrypted nothing that helps to guess it. */
static int veil(flagver_txn *txn, struct performance *performance, bool is_secret,
                struct fv_words *ret_words, flagver_error *err)
{
    const struct fv_words *asked = &performance->operation->asked[0];

    *ret_words = *asked;
    if (!is_secret || !asked->data)
        return 0;
    *ret_words = (struct fv_words){ performance->veiled, sizeof performance->veiled };
    return fv_txn_veil(txn, asked->data, asked->length, performance->veiled, err);
}

static int replay_as(flagver_txn *txn, struct performance *performance, bool is_secret,
                     uint32_t *ret_no, flagver_error *err)
{
    const struct fv_operation *operation = performance->operation;
    const struct fv_target *target = &performance->target;
    struct fv_words words[] = { words_of(operation->name),
                                words_of(operation->phase),
                                words_of(operation->subject),
                                words_of(target->note),
                                { &target->expect_no, sizeof target->expect_no },
                                { &target->flags, sizeof target->flags },
                                { &target->parent_no, sizeof target->parent_no },
                                { &target->baseline_no, sizeof target->baseline_no },
                                { target->content_hash, target->content_hash ? 32 : 0 },
                                operation->asked[1],
                                { NULL, 0 } };
    size_t count = sizeof words / sizeof *words;
    int r = veil(txn, performance, is_secret, &words[count - 1], err);

    return r < 0 ? r : fv_txn_replay(txn, words, count, ret_no, err);
}

static int fail_with(int r, const flagver_error *problem, flagver_error *err)
{
    if (err)
        *err = *problem;
    return r;
}

/*
 * Was this done before? As fv_txn_replay(). The policy may have said something else about encrypting
 * then: only what is neither is another operation.
 */
static int replay(flagver_txn *txn, struct performance *performance, uint32_t *ret_no,
                  flagver_error *err)
{
    flagver_error problem = { .code = 0 }, other = { .code = 0 };
    int r, r_other;

    r = replay_as(txn, performance, performance->is_secret, ret_no, &problem);
    if (r != FLAGVER_EIDEM || !performance->has_content)
        return r < 0 ? fail_with(r, &problem, err) : r;
    r_other = replay_as(txn, performance, !performance->is_secret, ret_no, &other);
    if (r_other == FLAGVER_EIDEM || r_other == FLAGVER_EKEY)
        return fail_with(r, &problem, err);
    return r_other < 0 ? fail_with(r_other, &other, err) : r_other;
}

/* Do it, or find what came of it the first time; that a phase is not there is found like that, too. */
static int perform(flagver_txn *txn, struct performance *performance,
                   struct fv_staged **ret_version, uint32_t *ret_no, flagver_error *err)
{
    const struct fv_operation *operation = performance->operation;
    struct fv_target *target = &performance->target;
    flagver_error problem = { .code = 0 };
    int resolved = fv_record_resolve(txn, target, &problem), r;

    if (resolved < 0 && resolved != FLAGVER_ENOTFOUND)
        return fail_with(resolved, &problem, err);
    performance->is_secret = performance->has_content && resolved == 0 && target->policy->encrypt;
    r = replay(txn, performance, ret_no, err);
    if (r > 0)
        return performance->wants_version ? fv_record_get(txn, target, *ret_no, ret_version, err)
                                          : 0;
    if (r < 0)
        return r;
    if (resolved < 0)
        r = fail_with(resolved, &problem, err);
    else
        r = operation->run(txn, target, operation->data, ret_version, err);
    if (r < 0) {
        fv_txn_record_refusal(txn, r);
        return r;
    }
    *ret_no = (*ret_version)->row.no;
    fv_txn_record(txn, *ret_no);
    return 0;
}

static int write(flagver_txn *txn, const struct fv_operation *operation, bool has_content,
                 flagver_version **ret_version, uint32_t *ret_no, flagver_error *err)
{
    struct performance performance = { .operation = operation,
                                       .has_content = has_content,
                                       .wants_version = ret_version != NULL };
    struct fv_target *target = &performance.target;
    struct fv_staged *version = NULL;
    uint32_t no = 0;
    int r;

    if (!txn)
        return fv_fail(err, FLAGVER_EINVAL, "txn is NULL");
    if (!operation->asked[0].data && operation->asked[0].length)
        return fv_fail(err, FLAGVER_EINVAL, "json is NULL");
    r = fv_record_target(operation->phase, operation->subject, operation->options, target, err);
    if (r == 0 && target->flags & ~operation->flags)
        r = fv_fail(err, FLAGVER_EINVAL, "options.flags is %#x; %s knows %#x",
                    (unsigned)target->flags, operation->name, (unsigned)operation->flags);
    if (r == 0)
        r = fv_txn_enter(txn, err);
    if (r < 0)
        return r;
    r = perform(txn, &performance, &version, &no, err);
    if (r == 0 && ret_version)
        r = fv_version_copy(&version->row, ret_version, err);
    r = fv_txn_leave(txn, r, err);
    if (r == 0 && ret_no)
        *ret_no = no;
    return r;
}

int fv_write(flagver_txn *txn, const struct fv_operation *operation, flagver_version **ret_version,
             uint32_t *ret_no, flagver_error *err)
{
    return write(txn, operation, false, ret_version, ret_no, err);
}

int fv_write_content(flagver_txn *txn, const struct fv_operation *operation,
                     flagver_version **ret_version, flagver_error *err)
{
    return write(txn, operation, true, ret_version, NULL, err);
}

int fv_write_without_memory(flagver_txn *txn, flagver_error *err)
{
    int r;

    if (!txn)
        return fv_fail(err, FLAGVER_EINVAL, "txn is NULL");
    r = fv_txn_enter(txn, err);
    return r < 0 ? r : fv_txn_leave(txn, fv_fail_memory(err), err);
}

/* ---- operations that take a text ---- */

/* What a policy says about contents is for those who may write them: other reasons come first. */
static int check_text(flagver_txn *txn, const struct fv_target *target, enum fv_action action,
                      const struct fv_text_asked *asked, struct fv_content *ret_content,
                      flagver_error *err)
{
    flagver_error other;
    int r;

    if (!asked->json)
        return fv_fail(err, FLAGVER_EINVAL, "json is NULL");
    r = fv_record_content(txn, target, asked->json, asked->length, ret_content, err);
    if (r != FLAGVER_EVALIDATION)
        return r;
    if (fv_record_may(txn, target, action, asked->no, &other) >= 0)
        return r;
    if (err)
        *err = other;
    return other.code;
}

int fv_write_create(flagver_txn *txn, const struct fv_target *target, const void *text_asked,
                    struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_content content;
    int r = check_text(txn, target, FV_ACTION_CREATE, text_asked, &content, err);

    return r < 0 ? r : fv_record_create(txn, target, &content, ret_version, err);
}

int fv_write_edit(flagver_txn *txn, const struct fv_target *target, const void *text_asked,
                  struct fv_staged **ret_version, flagver_error *err)
{
    const struct fv_text_asked *asked = text_asked;
    struct fv_content content;
    int r = check_text(txn, target, FV_ACTION_EDIT, asked, &content, err);

    return r < 0 ? r : fv_record_edit(txn, target, asked->no, &content, ret_version, err);
}

int fv_write_put(flagver_txn *txn, const struct fv_target *target, const void *text_asked,
                 struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_content content;
    int r = check_text(txn, target, FV_ACTION_CREATE, text_asked, &content, err);

    return r < 0 ? r : fv_record_put(txn, target, &content, ret_version, err);
}

int fv_write_record(flagver_txn *txn, const struct fv_target *target, const void *text_asked,
                    struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_content content;
    int r = check_text(txn, target, FV_ACTION_RECORD, text_asked, &content, err);

    return r < 0 ? r : fv_record_record(txn, target, &content, ret_version, err);
}

/* ---- others that several headers have ---- */

int fv_write_revert(flagver_txn *txn, const struct fv_target *target, const void *revert_asked,
                    struct fv_staged **ret_version, flagver_error *err)
{
    const struct fv_revert_asked *asked = revert_asked;

    return fv_record_revert(txn, target, asked->no, asked->submit, ret_version, err);
}

int fv_write_remove(flagver_txn *txn, const struct fv_target *target, const void *unused,
                    struct fv_staged **ret_version, flagver_error *err)
{
    (void)unused;
    return fv_record_remove(txn, target, ret_version, err);
}
