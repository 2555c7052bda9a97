#include "engine/policies.h"

#include <stdio.h>
#include <string.h>

#include "codec/policy.h"
#include "util/fail.h"

#define SPACE "policy"
#define POLICIES "policies"       /* the key that is raised with every change of one */
#define ASSIGNMENTS "assignments" /* the same of assignments */
#define ARENA_CHUNK 1024

struct entry {
    flagver_bytes subject;
    struct fv_policy policy;
    bool broken; /* the record cannot be read */
};

struct fv_policies {
    atomic_uint references;
    const flagver_allocator *memory;
    struct fv_mark mark; /* as of which they are */
    struct fv_arena arena;
    struct entry *entries; /* in byte order of subjects */
    size_t count, capacity;
};

/* ---- what the library itself says ---- */

static const struct {
    const char *phase;
    struct fv_policy policy;
} built_in[] = {
    { FLAGVER_PHASE_FLAG,
      { .subject = "", .form = FV_FORM_FLAG, .write = { .kind = FV_PERMIT_ANYONE } } },
    { FLAGVER_PHASE_SEGMENT,
      { .subject = "", .form = FV_FORM_SEGMENT, .write = { .kind = FV_PERMIT_ANYONE } } },
    { FLAGVER_PHASE_PHASE,
      { .subject = "", .form = FV_FORM_POLICY, .write = { .kind = FV_PERMIT_ANYONE } } },
    { FLAGVER_PHASE_ASSIGNMENT,
      { .subject = "", .form = FV_FORM_ASSIGNMENT, .write = { .kind = FV_PERMIT_ANYONE } } },
    { FLAGVER_PHASE_MIGRATION,
      { .subject = "", .form = FV_FORM_MIGRATION, .write = { .kind = FV_PERMIT_ANYONE } } },
};
#define BUILT_IN (sizeof built_in / sizeof *built_in)

enum fv_form fv_form_of(const char *phase)
{
    size_t i;

    for (i = 0; i < BUILT_IN; i++)
        if (strcmp(built_in[i].phase, phase) == 0)
            return built_in[i].policy.form;
    return FV_FORM_JSON;
}

const struct fv_policy *fv_policy_built_in(enum fv_form form)
{
    size_t i;

    for (i = 0; i < BUILT_IN; i++)
        if (built_in[i].policy.form == form)
            return &built_in[i].policy;
    return NULL;
}

/* ---- all of a tenant ---- */

static struct fv_policies *new_policies(const flagver_allocator *memory)
{
    struct fv_policies *policies = fv_allocate_zeroed(memory, 1, sizeof *policies);

    if (!policies)
        return NULL;
    atomic_init(&policies->references, 1);
    policies->memory = memory;
    fv_arena_init(&policies->arena, memory, ARENA_CHUNK);
    return policies;
}

void fv_policies_release(struct fv_policies *policies)
{
    size_t i;

    if (!policies || atomic_fetch_sub_explicit(&policies->references, 1, memory_order_acq_rel) != 1)
        return;
    for (i = 0; i < policies->count; i++)
        fv_policy_clear(&policies->entries[i].policy);
    fv_release(policies->memory, policies->entries);
    fv_arena_clear(&policies->arena);
    fv_release(policies->memory, policies);
}

static struct fv_policies *hold(struct fv_policies *policies)
{
    if (policies)
        atomic_fetch_add_explicit(&policies->references, 1, memory_order_relaxed);
    return policies;
}

/* Rows come in order of their subjects. One that cannot be read spoils its own phase only. */
static int add(struct fv_policies *policies, const flagver_version_row *row, flagver_error *err)
{
    struct entry *entry;
    char *subject;
    int r;

    if (row->bits & FLAGVER_VERSION_TOMBSTONE)
        return 0;
    if (!fv_grow(policies->memory, (void **)&policies->entries, &policies->capacity,
                 policies->count, sizeof *entry))
        return fv_fail_memory(err);
    subject = fv_arena_string(&policies->arena, row->subject.data, row->subject.length);
    if (!subject)
        return fv_fail_memory(err);
    entry = &policies->entries[policies->count];
    *entry = (struct entry){ .subject = fv_bytes_of(subject, row->subject.length) };
    r = fv_policy_read(row->payload.data, row->payload.length, &policies->arena, &entry->policy,
                       NULL);
    if (r == FLAGVER_ENOMEM)
        return fv_fail_memory(err);
    entry->broken = r < 0;
    entry->policy.subject = subject;
    entry->policy.no = row->no;
    policies->count++;
    return 0;
}

static const flagver_query all_policies = { .kind = FLAGVER_QUERY_VERSIONS,
                                            .pick = FLAGVER_PICK_CURRENT,
                                            .phase = { FLAGVER_PHASE_PHASE,
                                                       sizeof FLAGVER_PHASE_PHASE - 1 },
                                            .payload = 1 };

static int fill_in_txn(flagver_txn *txn, struct fv_policies *policies, flagver_error *err)
{
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = fv_txn_scan(txn, &all_policies, &cursor, err);
    if (r < 0)
        return r;
    while ((r = fv_txn_next(txn, cursor, &row, err)) > 0) {
        r = add(policies, &row.as.version, err);
        if (r < 0)
            break;
    }
    fv_txn_end_scan(txn, cursor);
    return r;
}

int fv_policies_read(struct fv_read *read, struct fv_policies **ret_policies, flagver_error *err)
{
    struct fv_policies *policies = new_policies(NULL);
    flagver_row row;
    int r;

    if (!policies)
        return fv_fail_memory(err);
    r = fv_read_scan(read, &all_policies, err);
    while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0)
        r = add(policies, &row.as.version, err);
    if (r == 0)
        *ret_policies = policies;
    else
        fv_policies_release(policies);
    return r;
}

/* ---- which one ---- */

/* Is it a policy for this phase and the beginning of this subject? */
static bool covers(flagver_bytes policy, const char *phase, size_t phase_length,
                   const char *subject)
{
    const char *text = policy.data;
    size_t rest;

    if (policy.length < phase_length || memcmp(text, phase, phase_length) != 0)
        return false;
    if (policy.length == phase_length)
        return true;
    rest = policy.length - phase_length - 1;
    return text[phase_length] == '/' && strncmp(text + phase_length + 1, subject, rest) == 0;
}

/* The longest that covers; policies are few, and shorter ones come first. */
static const struct entry *find_entry(const struct fv_policies *policies, const char *phase,
                                      size_t phase_length, const char *subject)
{
    const struct entry *found = NULL;
    size_t i;

    for (i = 0; policies && i < policies->count; i++)
        if (covers(policies->entries[i].subject, phase, phase_length, subject) &&
            (!found || policies->entries[i].subject.length > found->subject.length))
            found = &policies->entries[i];
    return found;
}

static int find_plain(const struct fv_policies *policies, const char *phase, const char *subject,
                      struct fv_policy *ret_policy, flagver_error *err)
{
    const struct entry *entry = find_entry(policies, phase, strlen(phase), subject);
    const struct fv_policy *ours = fv_policy_built_in(fv_form_of(phase));

    if (entry && entry->broken)
        return fv_fail(err, FLAGVER_ECORRUPT, "the policy \"%.256s\" cannot be read",
                       entry->policy.subject);
    if (!entry && !ours)
        return fv_fail(err, FLAGVER_ENOTFOUND, "there is no phase \"%s\"", phase);
    *ret_policy = entry ? entry->policy : *ours;
    ret_policy->form = ours ? ours->form : FV_FORM_JSON;
    return 0;
}

/*
 * Who changes a policy needs the approval that it asks for now, where that is more than what is
 * asked for of policies: else whoever may write policies could let himself in everywhere, and one
 * who asks for nothing would undo what the others are to agree on.
 */
static void take_approval_of_changed(const struct fv_policies *policies, const char *subject,
                                     struct fv_policy *policy)
{
    const char *slash = strchr(subject, '/');
    size_t phase_length = slash ? (size_t)(slash - subject) : strlen(subject);
    const struct entry *changed = find_entry(policies, subject, phase_length,
                                             slash ? slash + 1 : "");

    if (!changed || changed->broken || changed->policy.approvals <= policy->approvals)
        return;
    policy->subject = changed->policy.subject;
    policy->no = changed->policy.no;
    policy->approvals = changed->policy.approvals;
    policy->approve = changed->policy.approve;
    policy->allow_self = changed->policy.allow_self;
}

int fv_policies_of(struct fv_policies *policies, const char *phase, const char *subject,
                   struct fv_policy *ret_policy, flagver_error *err)
{
    int r = find_plain(policies, phase, subject, ret_policy, err);

    if (r == 0 && ret_policy->form == FV_FORM_POLICY)
        take_approval_of_changed(policies, subject, ret_policy);
    return r;
}

const char *fv_policies_encrypted(const struct fv_policies *policies)
{
    size_t i;

    for (i = 0; i < policies->count; i++)
        if (!policies->entries[i].broken && policies->entries[i].policy.encrypt)
            return policies->entries[i].policy.subject;
    return NULL;
}

/* ---- in a transaction ---- */

void fv_policy_cache_init_lock(struct fv_policy_cache *cache)
{
    pthread_mutex_init(&cache->lock, NULL);
}

void fv_policy_cache_clear(struct fv_policy_cache *cache)
{
    fv_policies_release(cache->policies);
    pthread_mutex_destroy(&cache->lock);
}

static struct fv_policies *cached(struct fv_policy_cache *cache, const struct fv_mark *mark)
{
    struct fv_policies *policies = NULL;

    pthread_mutex_lock(&cache->lock);
    if (cache->policies && cache->policies->mark.rev == mark->rev &&
        cache->policies->mark.time == mark->time)
        policies = hold(cache->policies);
    pthread_mutex_unlock(&cache->lock);
    return policies;
}

static void keep(struct fv_policy_cache *cache, struct fv_policies *policies)
{
    struct fv_policies *old;

    pthread_mutex_lock(&cache->lock);
    old = cache->policies;
    cache->policies = hold(policies);
    pthread_mutex_unlock(&cache->lock);
    fv_policies_release(old);
}

static int read_in_txn(flagver_txn *txn, const struct fv_mark *mark,
                       struct fv_policies **ret_policies, flagver_error *err)
{
    struct fv_policies *policies = new_policies(fv_txn_source(txn)->memory);
    int r;

    if (!policies)
        return fv_fail_memory(err);
    policies->mark = *mark;
    r = fill_in_txn(txn, policies, err);
    if (r < 0) {
        fv_policies_release(policies);
        return r;
    }
    /* What this transaction, or the application's own, has not committed nobody else may see. */
    if (!mark->raised && !fv_txn_is_enlisted(txn))
        keep(fv_txn_source(txn)->policies, policies);
    *ret_policies = policies;
    return 0;
}

/* What a transaction has read, the newest first: whoever has a policy of an older one may go on. */
struct seen {
    struct fv_policies *policies; /* NULL: to be read again */
    struct seen *before;
};

static void release(void *data)
{
    struct seen *seen;

    for (seen = data; seen; seen = seen->before)
        fv_policies_release(seen->policies);
}

/* Makes room for what is read next. */
static int see_anew(flagver_txn *txn, flagver_error *err)
{
    struct seen *first = fv_txn_attached(txn);
    struct seen *seen = fv_arena_allocate_zeroed(fv_txn_arena(txn), 1, sizeof *seen);

    if (!seen)
        return fv_fail_memory(err);
    if (!first) {
        fv_txn_attach(txn, seen, release);
        return 0;
    }
    *seen = *first;
    *first = (struct seen){ .before = seen };
    return 0;
}

static int policies_of_txn(flagver_txn *txn, struct fv_policies **ret_policies, flagver_error *err)
{
    struct seen *seen = fv_txn_attached(txn);
    struct fv_mark mark;
    int r;

    if (!seen) {
        r = see_anew(txn, err);
        if (r < 0)
            return r;
        seen = fv_txn_attached(txn);
    }
    if (!seen->policies) {
        r = fv_txn_rest_on(txn, SPACE, POLICIES, &mark, err);
        if (r < 0)
            return r;
        seen->policies = mark.raised ? NULL : cached(fv_txn_source(txn)->policies, &mark);
        r = seen->policies ? 0 : read_in_txn(txn, &mark, &seen->policies, err);
        if (r < 0)
            return r;
    }
    *ret_policies = seen->policies;
    return 0;
}

int fv_policies_find(flagver_txn *txn, const char *phase, const char *subject,
                     const struct fv_policy **ret_policy, flagver_error *err)
{
    struct fv_policies *policies;
    struct fv_policy *policy = fv_arena_allocate(fv_txn_arena(txn), sizeof *policy);
    int r;

    if (!policy)
        return fv_fail_memory(err);
    r = policies_of_txn(txn, &policies, err);
    if (r == 0)
        r = fv_policies_of(policies, phase, subject, policy, err);
    *ret_policy = policy;
    return r;
}

int fv_policies_changed(flagver_txn *txn, enum fv_form form, flagver_error *err)
{
    int r;

    if (form == FV_FORM_ASSIGNMENT)
        return fv_txn_raise(txn, SPACE, ASSIGNMENTS, err);
    if (form != FV_FORM_POLICY)
        return 0;
    r = see_anew(txn, err);
    return r < 0 ? r : fv_txn_raise(txn, SPACE, POLICIES, err);
}

void fv_policies_row(enum fv_form form, int64_t time, flagver_keyed_row *ret_row)
{
    *ret_row = (flagver_keyed_row){ .space = fv_bytes(SPACE),
                                    .key = fv_bytes(form == FV_FORM_POLICY ? POLICIES
                                                                           : ASSIGNMENTS),
                                    .rev = 1,
                                    .time = time,
                                    .value = fv_bytes("") };
}

/* ---- who may ---- */

/* Has somebody assigned the role, for this pattern, to the actor? */
static int names_actor(const flagver_version_row *row, const char *actor, flagver_error *err)
{
    if (row->bits & FLAGVER_VERSION_TOMBSTONE)
        return 0;
    return fv_assignment_names(row->payload.data, row->payload.length, actor, err);
}

/* How the store is asked for one row, in a transaction or outside. */
struct source {
    flagver_txn *txn; /* or */
    struct fv_read *read;
};

static int ask_in_txn(flagver_txn *txn, const flagver_query *query, const char *actor,
                      flagver_error *err)
{
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = fv_txn_scan(txn, query, &cursor, err);
    if (r < 0)
        return r;
    r = fv_txn_next(txn, cursor, &row, err);
    if (r > 0)
        r = names_actor(&row.as.version, actor, err);
    fv_txn_end_scan(txn, cursor);
    return r;
}

static int ask(const struct source *source, const char *subject, const char *actor,
               flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_CURRENT,
                                  .phase = fv_bytes(FLAGVER_PHASE_ASSIGNMENT),
                                  .subject = fv_bytes(subject),
                                  .payload = 1 };
    flagver_row row;
    int r;

    if (source->txn)
        return ask_in_txn(source->txn, &query, actor, err);
    r = fv_read_scan(source->read, &query, err);
    if (r == 0)
        r = fv_read_next(source->read, &row, err);
    return r > 0 ? names_actor(&row.as.version, actor, err) : r;
}

struct asked {
    struct source source;
    const char *subject, *actor;
};

/* Where the parts of a subject begin and end; how many, or 0: more than assignments can have. */
static size_t split(const char *subject, const char *parts[], size_t lengths[])
{
    size_t count = 0, length;

    for (;; subject += length + 1) {
        length = strcspn(subject, "/");
        if (count == FV_ASSIGNMENT_PARTS)
            return 0;
        parts[count] = subject;
        lengths[count++] = length;
        if (!subject[length])
            return count;
    }
}

/* Every pattern that reaches the subject: each part as it is, or "*". */
static int is_assigned(void *data, const char *role, flagver_error *err)
{
    const struct asked *asked = data;
    const char *parts[FV_ASSIGNMENT_PARTS];
    size_t lengths[FV_ASSIGNMENT_PARTS], count = split(asked->subject, parts, lengths), i;
    struct fv_text name = FV_TEXT_INIT;
    unsigned stars;
    int r = 0;

    for (stars = 0; count && r == 0 && stars < 1u << count; stars++) {
        fv_text_reset(&name);
        fv_text_add(&name, role);
        for (i = 0; i < count; i++) {
            fv_text_add(&name, "/");
            if (stars & 1u << i)
                fv_text_add(&name, "*");
            else
                fv_text_add_bytes(&name, parts[i], lengths[i]);
        }
        if (name.failed)
            r = fv_fail_memory(err);
        else if (name.length <= FLAGVER_SUBJECT_LIMIT)
            r = ask(&asked->source, name.data, asked->actor, err);
    }
    fv_text_clear(&name);
    return r;
}

static int holds(const flagver_actor *actor, struct asked *asked, const struct fv_permit *rule,
                 struct fv_text *words, flagver_error *err)
{
    const struct fv_asker asker = { .roles = actor->roles,
                                    .role_count = actor->role_count,
                                    .assigned = is_assigned,
                                    .data = asked };
    const struct fv_permit *part;
    const char *name;
    int r = fv_permit_holds(rule, &asker, &part, &name, err);

    if (r > 0 && words)
        fv_permit_words(part, name, words);
    return r;
}

static int allow_by_rule(flagver_txn *txn, const struct fv_claim *claim, const char **ret_rule,
                         flagver_error *err)
{
    struct asked asked = { .source = { .txn = txn },
                           .subject = claim->subject,
                           .actor = fv_txn_actor(txn) };
    struct fv_text words = FV_TEXT_INIT;
    int r;

    if (claim->rule->kind == FV_PERMIT_ANYONE) { /* most often, and nothing need be made for it */
        *ret_rule = "anyone";
        return 1;
    }
    r = holds(fv_txn_who(txn), &asked, claim->rule, &words, err);
    if (r > 0) {
        *ret_rule = words.failed ? NULL
                                 : fv_arena_string(fv_txn_arena(txn), words.data, words.length);
        if (!*ret_rule)
            r = fv_fail_memory(err);
    }
    fv_text_clear(&words);
    return r;
}

static bool asks_assignments(const struct fv_permit *rule)
{
    size_t i;

    if (rule->kind == FV_PERMIT_ASSIGNED)
        return true;
    for (i = 0; i < rule->rule_count; i++)
        if (asks_assignments(&rule->rules[i]))
            return true;
    return false;
}

int fv_policies_allow(flagver_txn *txn, const struct fv_claim *claim, const char **ret_rule,
                      flagver_error *err)
{
    const struct fv_txn_source *source = fv_txn_source(txn);
    struct fv_mark mark;
    int answer = FLAGVER_ASK_RULES, r;

    if (source->authorize)
        answer = source->authorize(source->authorize_data, fv_txn_who(txn),
                                   fv_action_name((int)claim->action), claim->phase,
                                   claim->subject);
    if (answer != FLAGVER_ASK_RULES) {
        *ret_rule = "host";
        return answer == FLAGVER_ALLOW;
    }
    if (asks_assignments(claim->rule)) {
        r = fv_txn_rest_on(txn, SPACE, ASSIGNMENTS, &mark, err);
        if (r < 0)
            return r;
    }
    return allow_by_rule(txn, claim, ret_rule, err);
}

int fv_policies_allow_reader(struct fv_read *read, const flagver_actor *actor,
                             const struct fv_claim *claim, flagver_error *err)
{
    struct asked asked = { .source = { .read = read },
                           .subject = claim->subject,
                           .actor = actor->id };

    return holds(actor, &asked, claim->rule, NULL, err);
}
