#include "engine/phases.h"

#include <string.h>

#include "codec/policy.h"
#include "engine/policies.h"
#include "util/fail.h"

#define CHUNK 1024

/* ---- policies ---- */

static int describe(struct fv_read *read, const struct fv_policy *policy, struct fv_text *out,
                    flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_NUMBER,
                                  .phase = fv_bytes(FLAGVER_PHASE_PHASE),
                                  .subject = fv_bytes(policy->subject),
                                  .no = policy->no,
                                  .payload = 1 };
    flagver_row row;
    int r;

    if (!policy->no)
        return fv_policy_describe(policy, NULL, 0, out, err);
    r = fv_read_scan(read, &query, err);
    if (r == 0)
        r = fv_read_next(read, &row, err);
    if (r == 0)
        r = fv_fail(err, FLAGVER_ECORRUPT, "version %u of the policy \"%.256s\" is missing",
                    (unsigned)policy->no, policy->subject);
    return r < 0 ? r
                 : fv_policy_describe(policy, row.as.version.payload.data,
                                      row.as.version.payload.length, out, err);
}

int fv_phases_describe(const struct fv_tenancy *tenancy, const char *phase, const char *subject,
                       char **ret_json, flagver_error *err)
{
    struct fv_policies *policies = NULL;
    struct fv_text out = FV_TEXT_INIT;
    struct fv_policy policy;
    struct fv_read read;
    int r;

    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = fv_policies_read(&read, &policies, err);
    if (r == 0)
        r = fv_policies_of(policies, phase, subject ? subject : "", &policy, err);
    if (r == 0)
        r = describe(&read, &policy, &out, err);
    fv_read_end(&read);
    fv_policies_release(policies);
    if (r == 0)
        r = fv_text_give(&out, ret_json, err);
    fv_text_clear(&out);
    return r;
}

/* ---- assignments ---- */

static int put_or_remove(flagver_txn *txn, const struct fv_target *target,
                         const struct fv_text *text, struct fv_staged **ret_version,
                         flagver_error *err)
{
    struct fv_content content;
    int r;

    if (!text->length)
        return fv_record_remove(txn, target, ret_version, err);
    r = fv_record_content(txn, target, text->data, text->length, &content, err);
    return r < 0 ? r : fv_record_put(txn, target, &content, ret_version, err);
}

int fv_phases_assign(flagver_txn *txn, const struct fv_target *target, const char *user, bool add,
                     struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_staged *current = NULL;
    struct fv_text text = FV_TEXT_INIT;
    flagver_bytes before = { NULL, 0 };
    int r;

    r = fv_record_current(txn, target, &current, NULL);
    if (r == 0)
        before = current->row.payload;
    else if (r != FLAGVER_ENOTFOUND)
        return fv_fail(err, r, "the assignment \"%.256s\" cannot be read: %s", target->subject,
                       fv_error_words(r));
    else if (!add)
        return fv_fail(err, r, "nobody is assigned \"%.256s\"", target->subject);
    r = fv_assignment_edit(before.data, before.length, user, add, &text, err);
    if (r == 0)
        r = put_or_remove(txn, target, &text, ret_version, err);
    fv_text_clear(&text);
    return r;
}

/* ---- what is due ---- */

/* What was handed in, without payloads, and what is needed to ask about it. */
struct waiting {
    struct fv_read read;
    struct fv_policies *policies;
    struct fv_arena arena;
    flagver_version_row *rows;
    size_t count, capacity;
};

static bool copy(struct fv_arena *arena, flagver_bytes *bytes)
{
    if (bytes->data)
        bytes->data = fv_arena_string(arena, bytes->data, bytes->length);
    return bytes->data || !bytes->length;
}

static int collect(struct waiting *waiting, const struct fv_due *due, flagver_error *err)
{
    const flagver_list_options *options = due->options;
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_ALL,
                                  .phase = fv_bytes(due->phase),
                                  .subject = fv_bytes(options->prefix),
                                  .prefix = options->prefix != NULL,
                                  .after = fv_bytes(options->after),
                                  .backwards = options->backwards,
                                  .states = FLAGVER_STATES(FLAGVER_STATE_SUBMITTED) };
    flagver_version_row *copied;
    flagver_row row;
    int r;

    r = fv_read_scan(&waiting->read, &query, err);
    while (r >= 0 && (r = fv_read_next(&waiting->read, &row, err)) > 0) {
        if (!fv_grow(NULL, (void **)&waiting->rows, &waiting->capacity, waiting->count,
                     sizeof *copied))
            return fv_fail_memory(err);
        copied = &waiting->rows[waiting->count++];
        *copied = row.as.version;
        if (!copy(&waiting->arena, &copied->phase) || !copy(&waiting->arena, &copied->subject) ||
            !copy(&waiting->arena, &copied->created_by))
            return fv_fail_memory(err);
    }
    return r;
}

static bool is(flagver_bytes text, const char *name)
{
    return text.length == strlen(name) && memcmp(text.data, name, text.length) == 0;
}

/* Has the actor written a part of it? */
static int is_author(struct waiting *waiting, const flagver_version_row *row, const char *actor,
                     flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_CONTRIBUTORS,
                                  .id = row->series,
                                  .no = row->no };
    flagver_row contributor;
    int r;

    if (is(row->created_by, actor))
        return 1;
    r = fv_read_scan(&waiting->read, &query, err);
    while (r >= 0 && (r = fv_read_next(&waiting->read, &contributor, err)) > 0)
        if (is(contributor.as.contributor.actor, actor))
            return 1;
    return r;
}

static int has_voted(struct waiting *waiting, const flagver_version_row *row, const char *actor,
                     flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VOTES, .id = row->series, .no = row->no };
    flagver_row vote;
    int r;

    r = fv_read_scan(&waiting->read, &query, err);
    while (r >= 0 && (r = fv_read_next(&waiting->read, &vote, err)) > 0)
        if (is(vote.as.vote.actor, actor) &&
            memcmp(vote.as.vote.content_hash, row->content_hash, sizeof row->content_hash) == 0)
            return 1;
    return r;
}

/* The host is asked before the rule, as when it comes to approving. */
static int is_allowed(struct waiting *waiting, const struct fv_due *due,
                      const struct fv_claim *claim, flagver_error *err)
{
    int answer = FLAGVER_ASK_RULES;

    if (due->authorize)
        answer = due->authorize(due->authorize_data, due->actor, fv_action_name((int)claim->action),
                                claim->phase, claim->subject);
    return answer == FLAGVER_ASK_RULES
               ? fv_policies_allow_reader(&waiting->read, due->actor, claim, err)
               : answer == FLAGVER_ALLOW;
}

/* Does it wait for this actor? 1, 0, or an error. */
static int waits(struct waiting *waiting, const flagver_version_row *row, const struct fv_due *due,
                 flagver_error *err)
{
    const char *actor = due->actor->id;
    struct fv_claim claim = { .phase = row->phase.data,
                              .subject = row->subject.data,
                              .action = FV_ACTION_APPROVE };
    struct fv_policy policy;
    int r;

    r = fv_policies_of(waiting->policies, claim.phase, claim.subject, &policy, NULL);
    if (r < 0)
        return 0; /* without a policy nobody can approve it */
    claim.rule = &policy.approve;
    r = is_allowed(waiting, due, &claim, err);
    if (r <= 0)
        return r;
    r = policy.allow_self ? 0 : is_author(waiting, row, actor, err);
    if (r == 0)
        r = has_voted(waiting, row, actor, err);
    return r < 0 ? r : !r;
}

/* Reads it again, with its payload where that is wanted. 1: go on. */
static int show(struct waiting *waiting, const flagver_version_row *row, bool payload,
                bool (*visit)(void *data, const flagver_version *version), void *data,
                flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSION,
                                  .id = row->id,
                                  .payload = payload };
    flagver_version version;
    struct fv_arena arena;
    flagver_row found;
    int r;

    r = fv_read_scan(&waiting->read, &query, err);
    if (r == 0)
        r = fv_read_next(&waiting->read, &found, err);
    if (r <= 0)
        return r;
    fv_arena_init(&arena, NULL, CHUNK);
    r = fv_version_fill(&arena, &found.as.version, &version) < 0 ? fv_fail_memory(err)
                                                                 : visit(data, &version);
    fv_arena_clear(&arena);
    return r;
}

static int visit_due(struct waiting *waiting, const struct fv_due *due,
                     bool (*visit)(void *data, const flagver_version *version), void *data,
                     flagver_error *err)
{
    const flagver_list_options *options = due->options;
    uint32_t visited = 0;
    size_t i;
    int r;

    for (i = 0; i < waiting->count && (!options->limit || visited < options->limit); i++) {
        if (options->author && !is(waiting->rows[i].created_by, options->author))
            continue;
        r = waits(waiting, &waiting->rows[i], due, err);
        if (r > 0) {
            visited++;
            r = show(waiting, &waiting->rows[i], options->payload != 0, visit, data, err);
            if (r <= 0)
                return r;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int fv_phases_due(const struct fv_tenancy *tenancy, const struct fv_due *due,
                  bool (*visit)(void *data, const flagver_version *version), void *data,
                  flagver_error *err)
{
    struct waiting waiting = { .policies = NULL };
    int r;

    fv_arena_init(&waiting.arena, NULL, CHUNK);
    r = fv_read_begin(&waiting.read, tenancy->store, tenancy->tenant, err);
    waiting.read.lenient = true;
    if (r == 0)
        r = fv_policies_read(&waiting.read, &waiting.policies, err);
    if (r == 0)
        r = collect(&waiting, due, err);
    if (r == 0)
        r = visit_due(&waiting, due, visit, data, err);
    fv_read_end(&waiting.read);
    fv_policies_release(waiting.policies);
    fv_release(NULL, waiting.rows);
    fv_arena_clear(&waiting.arena);
    return r;
}
