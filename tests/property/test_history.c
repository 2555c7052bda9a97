/*
 * Random histories: what operations on a few series return and leave behind is
 * what a model of versions in this file says; and what holds for every history
 * holds for theirs: numbers have no gaps, one version at most is in force, those
 * that were are a chain without a hole in time, what was decided stays as it is,
 * and the audit log has a leaf for every transition and no other.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "stores.h"

#include "seed.h"
#include "util/uuid.h"

#define TENANTS 2
#define SUBJECTS 3
#define VERSIONS 400 /* of a series, at most */
#define LEAVES 8000
#define FLAG FLAGVER_PHASE_FLAG

enum op { CREATE, EDIT, SUBMIT, WITHDRAW, PUT, REVERT, REMOVE, OPS };

static const char *const op_names[] = { "create", "edit",   "submit", "withdraw",
                                        "put",    "revert", "remove" };
static const char *const subjects[SUBJECTS] = { "a", "b/1", "b" };
static const flagver_actor *const actors[] = { &alice, &bob };

/* ---- the model ---- */

struct model_version {
    uint32_t base_no, reverts_no, superseded_by;
    int state;
    int64_t rev, created_at, decided_at;
    int percentage; /* -1: a tombstone */
    int note;       /* -1: none */
    int author, decider;
};

struct model_series {
    uint32_t last_no, current_no;
    int64_t latest; /* no moment so far was later */
    struct model_version versions[VERSIONS + 1];
};

struct model_leaf {
    int subject, actor;
    enum fv_action action;
    uint32_t no, supersedes;
    int from, to;
};

struct model {
    struct model_series series[SUBJECTS];
    struct model_leaf leaves[LEAVES];
    size_t leaf_count;
};

/* What is asked for. */
struct request {
    enum op op;
    int subject, actor, percentage, note;
    uint32_t no, expect_no;
    bool malformed;
};

static struct model_version *version_of(struct model_series *series, uint32_t no)
{
    return no && no <= series->last_no ? &series->versions[no] : NULL;
}

static bool is_deleted(struct model_series *series)
{
    const struct model_version *current = version_of(series, series->current_no);

    return !current || current->percentage < 0;
}

static int check_expectation(struct model_series *series, uint32_t expect_no)
{
    if (!expect_no || expect_no == series->current_no)
        return 0;
    return expect_no == FLAGVER_EXPECT_NONE && is_deleted(series) ? 0 : FLAGVER_ECONFLICT;
}

static int check_state(struct model_series *series, const struct request *request)
{
    const struct model_version *version = version_of(series, request->no);

    if (version->state != FLAGVER_STATE_DRAFT)
        return request->op == EDIT ? FLAGVER_EFROZEN : FLAGVER_ESTATE;
    return request->op == SUBMIT && version->base_no != series->current_no ? FLAGVER_ESTALE : 0;
}

static int check_revert(struct model_series *series, uint32_t no)
{
    const struct model_version *version = version_of(series, no);

    return version->state == FLAGVER_STATE_DRAFT || version->percentage < 0 ? FLAGVER_ESTATE : 0;
}

/* The code that the request is to give. */
static int judge(struct model_series *series, const struct request *request)
{
    bool has_content = request->op == CREATE || request->op == EDIT || request->op == PUT;
    bool has_version = request->op == EDIT || request->op == SUBMIT || request->op == WITHDRAW;
    int r;

    if (has_content && request->malformed)
        return FLAGVER_EPARSE;
    if (request->op != CREATE && request->op != PUT && !series->last_no)
        return FLAGVER_ENOTFOUND;
    if ((has_version || request->op == REVERT) && !version_of(series, request->no))
        return FLAGVER_ENOTFOUND;
    if (request->op == REMOVE && is_deleted(series))
        return FLAGVER_ENOTFOUND;
    r = check_expectation(series, request->expect_no);
    if (r == 0 && request->op == REVERT)
        r = check_revert(series, request->no);
    if (r == 0 && has_version)
        r = check_state(series, request);
    return r;
}

static void add_leaf(struct model *model, const struct request *request, enum fv_action action,
                     uint32_t no, int from, int to)
{
    must(model->leaf_count < LEAVES, "the history became too long");
    model->leaves[model->leaf_count++] = (struct model_leaf){ .subject = request->subject,
                                                              .actor = request->actor,
                                                              .action = action,
                                                              .no = no,
                                                              .from = from,
                                                              .to = to };
}

static uint32_t model_create(struct model *model, const struct request *request)
{
    struct model_series *series = &model->series[request->subject];
    uint32_t no = ++series->last_no;

    must(no <= VERSIONS, "the series became too long");
    series->versions[no] = (struct model_version){ .base_no = series->current_no,
                                                   .state = FLAGVER_STATE_DRAFT,
                                                   .rev = 1,
                                                   .percentage = request->percentage,
                                                   .note = request->note,
                                                   .author = request->actor };
    if (request->op == REVERT) {
        series->versions[no].reverts_no = request->no;
        series->versions[no].percentage = series->versions[request->no].percentage;
    }
    if (request->op == REMOVE)
        series->versions[no].percentage = -1;
    add_leaf(model, request, FV_ACTION_CREATE, no, 0, FLAGVER_STATE_DRAFT);
    return no;
}

static void model_approve(struct model *model, const struct request *request, uint32_t no)
{
    struct model_series *series = &model->series[request->subject];
    struct model_version *version = &series->versions[no],
                         *before = version_of(series, series->current_no);

    version->state = FLAGVER_STATE_APPROVED;
    version->rev++;
    version->decider = request->actor;
    add_leaf(model, request, FV_ACTION_SUBMIT, no, FLAGVER_STATE_DRAFT, FLAGVER_STATE_APPROVED);
    if (before) {
        before->state = FLAGVER_STATE_SUPERSEDED;
        before->superseded_by = no;
        before->rev++;
        model->leaves[model->leaf_count - 1].supersedes = series->current_no;
    }
    series->current_no = no;
}

/* A draft that is edited, submitted or withdrawn. */
static uint32_t model_move(struct model *model, const struct request *request)
{
    struct model_version *version = &model->series[request->subject].versions[request->no];

    if (request->note >= 0)
        version->note = request->note;
    if (request->op == SUBMIT) {
        model_approve(model, request, request->no);
        return request->no;
    }
    version->rev++;
    if (request->op == EDIT)
        version->percentage = request->percentage;
    else
        version->state = FLAGVER_STATE_WITHDRAWN;
    add_leaf(model, request, request->op == EDIT ? FV_ACTION_EDIT : FV_ACTION_WITHDRAW, request->no,
             FLAGVER_STATE_DRAFT, version->state);
    return request->no;
}

/* What a request that is not refused does; the number of the version that it is about. */
static uint32_t model_do(struct model *model, const struct request *request)
{
    uint32_t no;

    if (request->op == EDIT || request->op == SUBMIT || request->op == WITHDRAW)
        return model_move(model, request);
    no = model_create(model, request);
    if (request->op != CREATE)
        model_approve(model, request, no);
    return no;
}

/* ---- the store ---- */

static void payload_of(int percentage, char out[64])
{
    out[0] = 0;
    if (percentage >= 0)
        snprintf(out, 64, "{\"percentage\":%d,\"type\":\"boolean\"}", percentage);
}

static int store_do(flagver_txn *txn, const struct request *request, flagver_version **ret_version)
{
    const char *subject = subjects[request->subject];
    flagver_write_options options = { .size = sizeof options, .expect_no = request->expect_no };
    char note[16], json[64];
    size_t length;

    if (request->note >= 0) {
        snprintf(note, sizeof note, "note %d", request->note);
        options.note = note;
    }
    payload_of(request->percentage, json);
    length = strlen(json) - request->malformed;
    memset(&error, 0, sizeof error);
    switch (request->op) {
    case CREATE:
        return flagver_version_create(txn, FLAG, subject, json, length, &options, ret_version,
                                      &error);
    case EDIT:
        return flagver_version_edit(txn, FLAG, subject, request->no, json, length, &options,
                                    ret_version, &error);
    case SUBMIT:
        return flagver_version_submit(txn, FLAG, subject, request->no, &options, ret_version,
                                      &error);
    case WITHDRAW:
        return flagver_version_withdraw(txn, FLAG, subject, request->no, &options, ret_version,
                                        &error);
    case PUT:
        return flagver_version_put(txn, FLAG, subject, json, length, &options, ret_version, &error);
    case REVERT:
        return flagver_version_revert(txn, FLAG, subject, request->no, &options, ret_version,
                                      &error);
    default:
        return flagver_version_remove(txn, FLAG, subject, &options, ret_version, &error);
    }
}

/* ---- comparing ---- */

static void compare(const char *label, const struct model_version *expected, uint32_t no,
                    const flagver_version *version)
{
    char payload[64], note[16] = "";

    payload_of(expected->percentage, payload);
    if (expected->note >= 0)
        snprintf(note, sizeof note, "note %d", expected->note);
    must(version->no == no, "%s: number %u, not %u", label, (unsigned)version->no, (unsigned)no);
    must(version->state == expected->state, "%s: %u is %s, not %s", label, (unsigned)no,
         flagver_state_name(version->state), flagver_state_name(expected->state));
    must(version->rev == expected->rev, "%s: rev of %u is %d, not %d", label, (unsigned)no,
         (int)version->rev, (int)expected->rev);
    must(version->base_no == expected->base_no && version->parent_no == expected->base_no &&
             version->reverts_no == expected->reverts_no &&
             version->superseded_by == expected->superseded_by,
         "%s: %u refers to other numbers", label, (unsigned)no);
    must(version->tombstone == (expected->percentage < 0), "%s: %u: tombstone", label,
         (unsigned)no);
    must(strcmp(version->payload, payload) == 0, "%s: %u says %s, not %s", label, (unsigned)no,
         version->payload, payload);
    must(strcmp(version->note ? version->note : "", note) == 0, "%s: %u: note %s, not %s", label,
         (unsigned)no, version->note ? version->note : "", note);
    must(strcmp(version->created_by, actors[expected->author]->id) == 0, "%s: author", label);
    must((version->decided_by != NULL) == (version->decided_at != 0) &&
             (!version->decided_by ||
              strcmp(version->decided_by, actors[expected->decider]->id) == 0),
         "%s: decider", label);
}

/* Moments are not foretold, but each comes after all before it. */
static void take_times(struct model_series *series, uint32_t no, const flagver_version *version)
{
    struct model_version *expected = &series->versions[no];

    if (!expected->created_at) {
        must(version->created_at > series->latest, "version %u was created too early",
             (unsigned)no);
        series->latest = expected->created_at = version->created_at;
    }
    if (version->decided_at && !expected->decided_at) {
        must(version->decided_at > series->latest, "version %u was decided too early",
             (unsigned)no);
        series->latest = expected->decided_at = version->decided_at;
    }
    must(version->created_at == expected->created_at && version->decided_at == expected->decided_at,
         "times of version %u changed", (unsigned)no);
}

static bool compare_visited(void *data, const flagver_version *version)
{
    struct model_series *series = data;

    must(version->no <= series->last_no, "version %u is too many", (unsigned)version->no);
    compare(version->subject, &series->versions[version->no], version->no, version);
    take_times(series, version->no, version);
    return true;
}

/* The number that was in force at a time, by the model. */
static uint32_t no_at(const struct model_series *series, int64_t time)
{
    const struct model_version *version;
    uint32_t no, found = 0;

    for (no = 1; no <= series->last_no; no++) {
        version = &series->versions[no];
        if (version->decided_at && version->decided_at <= time)
            found = no > found && version->decided_at >= series->versions[found].decided_at ? no
                                                                                            : found;
    }
    return found && series->versions[found].percentage >= 0 ? found : 0;
}

static void compare_at(flagver_client *client, const struct model_series *series,
                       const char *subject, int64_t time)
{
    uint32_t expected = no_at(series, time), no = 0;
    flagver_version *version;
    int r;

    memset(&error, 0, sizeof error);
    r = flagver_version_as_of(client, FLAG, subject, time, &version, &error);
    must(r == 0 || r == FLAGVER_ENOTFOUND, "as of: %d %s", r, error.message);
    if (r == 0) {
        no = version->no;
        flagver_version_free(version);
    }
    must(no == expected, "%s at %lld is %u, not %u", subject, (long long)time, (unsigned)no,
         (unsigned)expected);
}

static void compare_past(flagver_client *client, const struct model_series *series,
                         const char *subject)
{
    uint32_t no;
    int step;

    for (no = 1; no <= series->last_no; no++)
        for (step = -1; step <= 1; step++) {
            compare_at(client, series, subject, series->versions[no].created_at + step);
            if (series->versions[no].decided_at)
                compare_at(client, series, subject, series->versions[no].decided_at + step);
        }
    compare_at(client, series, subject, INT64_MAX);
}

struct log_walk {
    const struct model *model;
    size_t next;
    int64_t latest[SUBJECTS];
    int states[SUBJECTS][VERSIONS + 1]; /* as the log alone tells */
    uint8_t hashes[SUBJECTS][VERSIONS + 1][32];
};

static bool compare_entry(void *data, const flagver_audit_entry *entry)
{
    struct log_walk *walk = data;
    const struct model_leaf *leaf = &walk->model->leaves[walk->next];
    int subject;

    must(walk->next < walk->model->leaf_count, "leaf %zu is too many", walk->next);
    must(entry->no == walk->next, "leaf %zu has another number", walk->next);
    must(strcmp(entry->subject, subjects[leaf->subject]) == 0 &&
             strcmp(entry->actor, actors[leaf->actor]->id) == 0 &&
             strcmp(entry->action, fv_action_name((int)leaf->action)) == 0 &&
             entry->version_no == leaf->no && entry->supersedes == leaf->supersedes &&
             entry->from == leaf->from && entry->to == leaf->to,
         "leaf %zu: %s %s #%u", walk->next, entry->action, entry->subject,
         (unsigned)entry->version_no);
    subject = leaf->subject;
    must(entry->time > walk->latest[subject], "leaf %zu comes too early", walk->next);
    walk->latest[subject] = entry->time;
    must(walk->states[subject][leaf->no] == leaf->from, "leaf %zu does not follow", walk->next);
    walk->states[subject][leaf->no] = leaf->to;
    if (leaf->supersedes)
        walk->states[subject][leaf->supersedes] = FLAGVER_STATE_SUPERSEDED;
    memcpy(walk->hashes[subject][leaf->no], entry->content_hash, 32);
    walk->next++;
    return true;
}

/* ---- what holds for every history ---- */

/* What of a row never changes once it is in force, withdrawn or superseded. */
struct frozen {
    bool is;
    flagver_id id, payload_id;
    int64_t created_at, submitted_at, decided_at;
    uint32_t parent_no, base_no, reverts_no, bits;
    uint8_t hash[32];
    int last_state;
    int64_t superseded_at;
};

static struct frozen frozen[TENANTS][SUBJECTS][VERSIONS + 1];

static void check_frozen(struct frozen *before, const flagver_version_row *row)
{
    struct frozen now = { .is = true,
                          .id = row->id,
                          .payload_id = row->payload_id,
                          .created_at = row->created_at,
                          .submitted_at = row->submitted_at,
                          .decided_at = row->decided_at,
                          .parent_no = row->parent_no,
                          .base_no = row->base_no,
                          .reverts_no = row->reverts_no,
                          .bits = row->bits };
    bool may_go_on = before->last_state == FLAGVER_STATE_APPROVED &&
                     row->state == FLAGVER_STATE_SUPERSEDED;

    if (row->state == FLAGVER_STATE_DRAFT)
        return;
    memcpy(now.hash, row->content_hash, sizeof now.hash);
    now.last_state = row->state;
    now.superseded_at = row->superseded_at;
    if (before->is) {
        must(before->last_state == row->state || may_go_on, "a final state changed");
        if (may_go_on)
            before->last_state = row->state, before->superseded_at = row->superseded_at;
        must(memcmp(&before->id, &now.id, sizeof now.id) == 0 &&
                 memcmp(&before->payload_id, &now.payload_id, sizeof now.payload_id) == 0 &&
                 memcmp(before->hash, now.hash, sizeof now.hash) == 0 &&
                 before->created_at == now.created_at && before->submitted_at == now.submitted_at &&
                 before->decided_at == now.decided_at && before->parent_no == now.parent_no &&
                 before->base_no == now.base_no && before->reverts_no == now.reverts_no &&
                 before->bits == now.bits && before->superseded_at == now.superseded_at,
             "a version changed that was final");
    }
    *before = now;
}

/* One series as its rows alone tell it. */
struct walk {
    uint32_t next, approved, chained; /* chained: whose place the next decided one takes */
    int64_t chain_end;
};

static void check_row(struct walk *walk, const flagver_version_row *row)
{
    bool decided = row->state == FLAGVER_STATE_APPROVED || row->state == FLAGVER_STATE_SUPERSEDED;

    must(row->no == walk->next, "number %u comes behind %u", (unsigned)row->no,
         (unsigned)walk->next - 1);
    walk->next++;
    must(row->parent_no < row->no && row->base_no < row->no && row->reverts_no < row->no,
         "version %u refers to a later one", (unsigned)row->no);
    must((row->state == FLAGVER_STATE_SUPERSEDED) == (row->superseded_by != 0) &&
             (row->superseded_by == 0) == (row->superseded_at == 0),
         "version %u is half superseded", (unsigned)row->no);
    must(!row->superseded_by || row->superseded_by > row->no, "version %u is overtaken from behind",
         (unsigned)row->no);
    must(decided == (row->decided_at != 0), "version %u is half decided", (unsigned)row->no);
    if (row->state == FLAGVER_STATE_APPROVED) {
        must(!walk->approved, "two versions are in force");
        walk->approved = row->no;
    }
    if (!decided)
        return;
    /* Numbers in force rise, so the chain is met in its order. */
    must(!walk->chained || (walk->chained == row->no && walk->chain_end == row->decided_at),
         "there is a hole before version %u", (unsigned)row->no);
    must(!row->superseded_at || row->superseded_at > row->decided_at,
         "version %u was in force for less than nothing", (unsigned)row->no);
    walk->chained = row->superseded_by;
    walk->chain_end = row->superseded_at;
}

static void check_series(struct fv_read *read, int tenant, const flagver_series_row *series,
                         int subject, const struct log_walk *log)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_ALL,
                                  .phase = fv_bytes(FLAG),
                                  .subject = fv_bytes(subjects[subject]) };
    struct walk walk = { .next = 1 };
    flagver_row row;

    assert_ok(fv_read_scan(read, &query, &error));
    while (fv_read_next(read, &row, &error) > 0) {
        const flagver_version_row *version = &row.as.version;

        check_row(&walk, version);
        check_frozen(&frozen[tenant][subject][version->no], version);
        must(log->states[subject][version->no] == version->state &&
                 memcmp(log->hashes[subject][version->no], version->content_hash, 32) == 0,
             "the log tells another story of version %u", (unsigned)version->no);
    }
    must(walk.next == series->last_no + 1, "%u versions, last_no is %u", (unsigned)walk.next - 1,
         (unsigned)series->last_no);
    must(walk.approved == series->current_no, "%u is in force, current_no is %u",
         (unsigned)walk.approved, (unsigned)series->current_no);
    must(!walk.chained, "the chain does not end");
}

static void check_tenant(flagver_client *client, int tenant, const struct log_walk *log)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_SERIES };
    const char *name = client->stored->tenant;
    flagver_series_row found[SUBJECTS];
    int numbers[SUBJECTS], count = 0, i;
    struct fv_read read;
    flagver_row row;

    assert_ok(fv_read_begin(&read, client->stored->store, name, &error));
    assert_ok(fv_read_scan(&read, &query, &error));
    while (fv_read_next(&read, &row, &error) > 0) {
        must(count < SUBJECTS, "there are too many series");
        for (i = 0; i < SUBJECTS; i++)
            if (row.as.series.subject.length == strlen(subjects[i]) &&
                memcmp(row.as.series.subject.data, subjects[i], strlen(subjects[i])) == 0)
                numbers[count] = i;
        found[count++] = row.as.series;
    }
    for (i = 0; i < count; i++)
        check_series(&read, tenant, &found[i], numbers[i], log);
    fv_read_end(&read);
}

/* ---- the runs ---- */

static void check_all(flagver_client *client, int tenant, struct model *model)
{
    static struct log_walk log;
    uint64_t next = 0;
    int i;

    for (i = 0; i < SUBJECTS; i++) {
        assert_ok(flagver_version_history(
            client, FLAG, subjects[i],
            &(flagver_list_options){ .size = sizeof(flagver_list_options), .payload = 1 },
            compare_visited, &model->series[i], &error));
        must(flag_no(client, subjects[i]) ==
                 (is_deleted(&model->series[i]) ? 0 : model->series[i].current_no),
             "another version of %s is in force", subjects[i]);
        compare_past(client, &model->series[i], subjects[i]);
    }
    memset(&log, 0, sizeof log);
    log.model = model;
    assert_ok(flagver_audit_log(client, 0, 0, compare_entry, &log, &next, &error));
    must(next == model->leaf_count, "%d leaves, not %zu", (int)next, model->leaf_count);
    check_tenant(client, tenant, &log);
}

static struct request random_request(struct seed *seed, const struct model *model, int actor)
{
    struct request request = { .op = (enum op)seed_below(seed, OPS),
                               .subject = (int)seed_below(seed, SUBJECTS),
                               .actor = actor,
                               .percentage = (int)seed_below(seed, 101),
                               .note = seed_below(seed, 3) ? -1 : (int)seed_below(seed, 1000),
                               .malformed = seed_below(seed, 25) == 0 };
    const struct model_series *series = &model->series[request.subject];
    uint32_t expectation = seed_below(seed, 8);

    /* Mostly the latest numbers: about them there is something to decide. */
    request.no = seed_below(seed, 4) ? series->last_no - seed_below(seed, 3)
                                     : seed_below(seed, series->last_no + 2);
    if (expectation == 0)
        request.expect_no = FLAGVER_EXPECT_NONE;
    else if (expectation < 3)
        request.expect_no = series->current_no;
    else if (expectation == 3)
        request.expect_no = seed_below(seed, series->last_no + 2);
    return request;
}

static void do_one(struct seed *seed, struct model *model, flagver_txn *txn, int actor)
{
    const struct request request = random_request(seed, model, actor);
    struct model_series *series = &model->series[request.subject];
    int expected = judge(series, &request), r;
    flagver_version *version = NULL;
    uint32_t no;

    r = store_do(txn, &request, &version);
    must(r == expected, "%s %s #%u expecting %u gives %d, not %d: %s", op_names[request.op],
         subjects[request.subject], (unsigned)request.no, (unsigned)request.expect_no, r, expected,
         error.message);
    if (r < 0)
        return;
    no = model_do(model, &request);
    compare(op_names[request.op], &series->versions[no], no, version);
    take_times(series, no, version);
    flagver_version_free(version);
}

static int64_t now;

static void step_clock(struct seed *seed)
{
    switch (seed_below(seed, 6)) {
    case 0:
        now += seed_below(seed, 5000);
        break;
    case 1:
        now -= seed_below(seed, 5000);
        break;
    case 2:
        now++;
        break;
    default:
        break;
    }
}

static struct model models[TENANTS], kept;

static void do_transaction(struct seed *seed, flagver_client *client, struct model *model)
{
    int actor = (int)seed_below(seed, COUNT(actors));
    uint32_t operations = seed_below(seed, 3) ? 1 : 1 + seed_below(seed, 8);
    flagver_txn *txn = begin_as(client, actors[actor], NULL);

    kept = *model;
    while (operations-- > 0)
        do_one(seed, model, txn, actor);
    if (seed_below(seed, 5)) {
        commit(txn);
        return;
    }
    flagver_txn_free(txn);
    *model = kept;
}

START_TEST(random_histories_are_those_of_the_model)
{
    static const int transactions[ALL_KINDS] = { 500, 200, 500, 500, 200 };
    struct seed seed = seed_new((uint64_t)_i);
    flagver_options options = quiet_options();
    flagver_client *clients[TENANTS];
    int i, tenant;

    memset(models, 0, sizeof models);
    memset(frozen, 0, sizeof frozen);
    now = time_of("2026-03-01T12:00:00Z");
    options.clock = tell_time;
    options.clock_data = &now;
    clients[0] = open_with(_i, &options);
    assert_ok(flagver_client_tenant(clients[0], "other", &clients[1], &error));
    for (i = 0; i < transactions[_i]; i++) {
        step_clock(&seed);
        tenant = seed_below(&seed, 4) == 0;
        do_transaction(&seed, clients[tenant], &models[tenant]);
        if (i % 60 == 59)
            for (tenant = 0; tenant < TENANTS; tenant++)
                check_all(clients[tenant], tenant, &models[tenant]);
    }
    flagver_close(clients[0]);
    flagver_close(clients[1]);
}
END_TEST

static Suite *history_suite(void)
{
    Suite *suite = suite_create("history");
    TCase *all = add_store_tcase(suite, "all");

    tcase_add_loop_test(all, random_histories_are_those_of_the_model, 0, STORE_KINDS);
    return suite;
}

int main(void)
{
    return run_store_suite(history_suite());
}
