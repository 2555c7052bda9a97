/*
 * Two tenants in one PostgreSQL database, on the same keys, through the same connections: neither
 * ever sees anything of the other, in no row, payload, history, export, number or word.
 *
 * Whatever a tenant writes carries its mark, which is its name; whatever comes back to it is
 * searched for the other's. That its own mark is found there, of each kind, shows that it would be.
 *
 * FLAGVER_TEST_SECONDS says for how long they are at it.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

#include "cluster.h"
#include "crash/holds.h"
#include "seed.h"

#define SECONDS 20
#define TENANTS 2
#define PROCESSES 4 /* every second one is behind a pooler */
#define THREADS 2   /* of each tenant in each process */
#define WORKERS (PROCESSES * THREADS)
#define ACKED 100000
#define LATELY 64
#define SUBJECTS 5 /* "r/0" and so on, of both; the last one is named by the mark */

static const char *const marks[TENANTS] = { "amaranth", "bryozoan" };
static const char *const other_marks[TENANTS] = { "bryozoan", "amaranth" };

enum { FLAG, ENTRY, PLAN, SECRET, PHASES };
static const char *const phases[PHASES] = { FLAGVER_PHASE_FLAG, "entry", "plan", "secret" };

/* What is searched. */
enum {
    IN_VERSION,
    IN_LIST,
    IN_LOG,
    IN_ITEM,
    IN_VOTE,
    IN_DIFFERENCE,
    IN_METRIC,
    IN_POLICY,
    IN_FLAG,
    IN_HEALTH,
    IN_LISTENER,
    IN_ERROR,
    IN_EXPORT,
    KINDS
};
static const char *const kinds[KINDS] = { "versions",  "lists",   "logs",     "items", "votes",
                                          "diffs",     "metrics", "policies", "flags", "health",
                                          "listeners", "errors",  "exports" };

/* An acknowledged change: version `no` has the note of change `number`. */
struct acked {
    uint32_t no, number;
    int16_t phase, subject; /* subject -1: one of its own */
};

struct worker {
    struct acked acked[ACKED];
    int count;
};

static struct {
    pthread_mutex_t lock; /* over `lately` */
    char lately[TENANTS][LATELY][40];
    atomic_bool over, failed;
    atomic_long seen[TENANTS][KINDS];
    atomic_long changes, refused, unanswered, foreign, again, exports;
    struct worker workers[TENANTS][WORKERS];
} * board;

static char database[64], direct_uri[512], pooled_uri[512];
static struct pooler *pooler;
static struct place place; /* for exports */
static struct seed seed;

static const char *const lead[] = { "Lead" };
static const flagver_actor leader = {
    .size = sizeof leader, .id = "leader", .roles = lead, .role_count = 1
};

static int give_key(void *unused, const char *id, char ret_id[65], uint8_t ret_key[32])
{
    (void)unused;
    strcpy(ret_id, id ? id : "k");
    memset(ret_key, 'k', 32);
    return 0;
}

/* ---- searching ---- */

struct hammer {
    int tenant, process, thread; /* `thread` of those of its tenant in all processes */
    const char *uri;
    flagver_client *client,
        *others; /* the other tenant's: to see that what we are not shown is there */
    struct worker *worker;
    struct seed seed;
    uint32_t number;
    bool fine;
};

static bool trouble(const char *words, const char *more)
{
    atomic_store(&board->failed, true);
    return complain("%s: %.2000s", words, more);
}

static bool search(int tenant, int kind, const char *text)
{
    if (!text)
        return true;
    if (strstr(text, other_marks[tenant]))
        return trouble(marks[tenant], text);
    if (strstr(text, marks[tenant]))
        atomic_fetch_add(&board->seen[tenant][kind], 1);
    return true;
}

static bool search_version(int tenant, int kind, const flagver_version *version)
{
    const char *const texts[] = { version->phase,      version->subject, version->id,
                                  version->created_by, version->note,    version->decided_by,
                                  version->payload };
    size_t i;

    for (i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!search(tenant, kind, texts[i]))
            return false;
    if (version->payload && !strstr(version->payload, marks[tenant]))
        return trouble("a payload without a mark", version->payload);
    return true;
}

/* What a call has returned: something, or what a store that is disturbed may say. */
static bool answered(struct hammer *hammer, const char *what, int r, const flagver_error *problem)
{
    if (r >= 0)
        return true;
    hammer->fine = hammer->fine && search(hammer->tenant, IN_ERROR, problem->message);
    if (flagver_error_class(r) == FLAGVER_CLASS_RETRY ||
        flagver_error_class(r) == FLAGVER_CLASS_UNKNOWN)
        atomic_fetch_add(&board->unanswered, 1);
    else
        hammer->fine = trouble(what, problem->message);
    return false;
}

/* ---- changes ---- */

struct operation {
    struct hammer *hammer;
    int phase;
    char subject[48], note[48], id[40];
    uint32_t expect_no, no;
};

static const char *name_subject(int tenant, int phase, int subject, int worker, uint32_t number,
                                char out[48])
{
    if (subject < 0)
        snprintf(out, 48, "own-%d-%" PRIu32, worker, number);
    else if (subject == SUBJECTS - 1)
        snprintf(out, 48, phase == FLAG ? "%s-%d" : "%s/%d", marks[tenant], subject);
    else
        snprintf(out, 48, phase == FLAG ? "f-%d" : "r/%d", subject);
    return out;
}

static const char *name_note(int tenant, int worker, uint32_t number, char out[48])
{
    snprintf(out, 48, "%s %d/%" PRIu32, marks[tenant], worker, number);
    return out;
}

static const flagver_actor *author_of(int tenant)
{
    static flagver_actor authors[TENANTS];
    static const char *const ids[TENANTS] = { "amaranth-author", "bryozoan-author" };

    authors[tenant] = (flagver_actor){ .size = sizeof authors[tenant], .id = ids[tenant] };
    return &authors[tenant];
}

static int hand_in(const struct operation *operation, flagver_txn *txn, uint32_t no,
                   flagver_error *err)
{
    char json[64];
    const flagver_item_content items[] = {
        { "both", json, (size_t)snprintf(json, sizeof json, "\"%s\"", operation->note) },
        { marks[operation->hammer->tenant], "1", 1 }
    };
    int r = flagver_items_put(txn, phases[PLAN], operation->subject, no, items, 2, NULL, NULL, err);

    return r < 0
               ? r
               : flagver_version_submit(txn, phases[PLAN], operation->subject, no, NULL, NULL, err);
}

static int write_one(const struct operation *operation, flagver_txn *txn,
                     flagver_version **ret_version, flagver_error *err)
{
    const flagver_write_options options = { .size = sizeof options,
                                            .note = operation->note,
                                            .expect_no = operation->expect_no };
    const char *phase = phases[operation->phase], *subject = operation->subject;
    char json[160];
    size_t length = (size_t)snprintf(
        json, sizeof json,
        operation->phase == FLAG
            ? "{\"type\":\"string\",\"variants\":{\"v\":\"%s\"},\"default\":\"v\"}"
            : "{\"said\":\"%s\"}",
        operation->note);

    if (operation->phase == ENTRY)
        return flagver_version_record(txn, phase, subject, json, length, &options, ret_version,
                                      err);
    if (operation->phase == PLAN)
        return flagver_version_create(txn, phase, subject, json, length, &options, ret_version,
                                      err);
    return flagver_version_put(txn, phase, subject, json, length, &options, ret_version, err);
}

static int operate(void *data, flagver_txn *txn, flagver_error *err)
{
    struct operation *operation = data;
    struct hammer *hammer = operation->hammer;
    flagver_version *version = NULL;
    int r = write_one(operation, txn, &version, err);

    if (r < 0)
        return r;
    hammer->fine = hammer->fine && search_version(hammer->tenant, IN_VERSION, version);
    operation->no = version->no;
    snprintf(operation->id, sizeof operation->id, "%s", version->id);
    flagver_version_free(version);
    return operation->phase == PLAN ? hand_in(operation, txn, operation->no, err) : 0;
}

static int approve(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct operation *operation = data;
    const char *const keys[] = { "both", marks[operation->hammer->tenant] };
    int r = flagver_items_decide(txn, phases[PLAN], operation->subject, operation->no, keys, 2,
                                 FLAGVER_ITEM_APPROVED, NULL, NULL, err);

    return r < 0 ? r
                 : flagver_version_approve(txn, phases[PLAN], operation->subject, operation->no,
                                           NULL, NULL, err);
}

/* So that the other tenant can ask for it. */
static void publish(const struct operation *operation)
{
    struct hammer *hammer = operation->hammer;
    char *place_of = board->lately[hammer->tenant][seed_below(&hammer->seed, LATELY)];

    pthread_mutex_lock(&board->lock);
    memcpy(place_of, operation->id, sizeof operation->id);
    pthread_mutex_unlock(&board->lock);
}

static void note_acked(const struct operation *operation, int subject)
{
    struct worker *worker = operation->hammer->worker;

    atomic_fetch_add(&board->changes, 1);
    publish(operation);
    if (worker->count < ACKED)
        worker->acked[worker->count++] = (struct acked){ operation->no, operation->hammer->number,
                                                         (int16_t)operation->phase,
                                                         (int16_t)subject };
}

/* Under the same key as the other tenant's: each gets its own answer, also when it asks again. */
static int change_twice(struct operation *operation, flagver_error *problem)
{
    const struct hammer *hammer = operation->hammer;
    struct operation repeated = *operation;
    flagver_txn_options options = { .size = sizeof options };
    char key[48];
    int r;

    snprintf(key, sizeof key, "key-%d-%" PRIu32, hammer->thread, hammer->number);
    options.idempotency_key = key;
    r = flagver_txn_run(hammer->client, author_of(hammer->tenant), &options, operate, operation,
                        problem);
    if (r < 0)
        return r;
    r = flagver_txn_run(hammer->client, author_of(hammer->tenant), &options, operate, &repeated,
                        problem);
    if (r == 0 && (repeated.no != operation->no || strcmp(repeated.id, operation->id) != 0))
        operation->hammer->fine = trouble("told another thing again", operation->id);
    atomic_fetch_add(&board->again, 1);
    return 0;
}

/* The lead approves; somebody else's approval may have made it stale. */
static void approve_change(struct operation *operation)
{
    struct hammer *hammer = operation->hammer;
    flagver_error problem = { 0 };
    int r = flagver_txn_run(hammer->client, &leader, NULL, approve, operation, &problem);

    if (r == FLAGVER_ESTALE || r == FLAGVER_ESTATE || r == FLAGVER_EEXIST)
        hammer->fine = hammer->fine && search(hammer->tenant, IN_ERROR, problem.message);
    else
        answered(hammer, "approve", r, &problem);
}

static void change(struct hammer *hammer)
{
    int subject = seed_below(&hammer->seed, 12) ? (int)seed_below(&hammer->seed, SUBJECTS) : -1;
    bool twice = seed_below(&hammer->seed, 4) == 0;
    struct operation operation = { .hammer = hammer,
                                   .phase = (int)seed_below(&hammer->seed, PHASES) };
    flagver_error problem = { 0 };
    int r;

    hammer->number++;
    if (subject < 0)
        operation.phase = SECRET;
    if (subject < 0)
        operation.expect_no = FLAGVER_EXPECT_NONE;
    else if (operation.phase == SECRET && seed_below(&hammer->seed, 4) == 0)
        operation.expect_no = 1 + seed_below(&hammer->seed, 3);
    name_subject(hammer->tenant, operation.phase, subject, hammer->thread, hammer->number,
                 operation.subject);
    name_note(hammer->tenant, hammer->thread, hammer->number, operation.note);
    r = twice ? change_twice(&operation, &problem)
              : flagver_txn_run(hammer->client, author_of(hammer->tenant), NULL, operate,
                                &operation, &problem);
    if (r == FLAGVER_ECONFLICT && subject >= 0 && operation.expect_no) {
        atomic_fetch_add(&board->refused, 1);
        hammer->fine = hammer->fine && search(hammer->tenant, IN_ERROR, problem.message);
        return;
    }
    if (!answered(hammer, "change", r, &problem))
        return;
    note_acked(&operation, subject);
    if (subject < 0 && operation.no != 1)
        hammer->fine = trouble("a new record does not begin with 1", operation.subject);
    if (operation.phase == PLAN)
        approve_change(&operation);
}

/* ---- what a tenant is shown ---- */

static void random_id(struct seed *from, char out[40])
{
    uint64_t a = seed_next(from), b = seed_next(from);

    snprintf(out, 40, "%08" PRIx64 "-%04" PRIx64 "-7%03" PRIx64 "-8%03" PRIx64 "-%012" PRIx64,
             a >> 32, a >> 16 & 0xffff, a & 0xfff, b >> 52, b & UINT64_C(0xffffffffffff));
}

/* The words of an error without the name in it. */
static void mask(char *words, const char *name)
{
    char *at;

    while ((at = strstr(words, name)))
        memset(at, '?', strlen(name));
}

/* What is the other's is there as little as what nobody has; and the other has it. */
static void ask_for_foreign(struct hammer *hammer)
{
    flagver_error foreign = { 0 }, nobodys = { 0 }, problem = { 0 };
    char id[40], nobody[40];
    flagver_version *version = NULL;
    int r, s;

    pthread_mutex_lock(&board->lock);
    memcpy(id, board->lately[!hammer->tenant][seed_below(&hammer->seed, LATELY)], sizeof id);
    pthread_mutex_unlock(&board->lock);
    random_id(&hammer->seed, nobody);
    if (!*id)
        return;
    r = flagver_version_by_id(hammer->client, id, &version, &foreign);
    s = flagver_version_by_id(hammer->client, nobody, &version, &nobodys);
    mask(foreign.message, id);
    mask(nobodys.message, nobody);
    if (r >= 0 || s >= 0) {
        hammer->fine = trouble("a foreign id is answered", id);
        return;
    }
    if (r != FLAGVER_ENOTFOUND || s != FLAGVER_ENOTFOUND) {
        answered(hammer, "by id", r != FLAGVER_ENOTFOUND ? r : s,
                 r != FLAGVER_ENOTFOUND ? &foreign : &nobodys);
        return;
    }
    if (strcmp(foreign.message, nobodys.message) != 0)
        hammer->fine = trouble("a foreign id has words of its own", foreign.message);
    r = flagver_version_by_id(hammer->others, id, &version, &problem);
    if (r == FLAGVER_ENOTFOUND)
        hammer->fine = trouble("its own tenant does not find it", id);
    flagver_version_free(version);
    atomic_fetch_add(&board->foreign, r == 0);
}

static bool see_version(void *data, const flagver_version *version)
{
    struct hammer *hammer = data;

    hammer->fine = hammer->fine && search_version(hammer->tenant, IN_LIST, version);
    return hammer->fine;
}

static bool see_entry(void *data, const flagver_audit_entry *entry)
{
    const char *const texts[] = { entry->actor,          entry->action, entry->phase,
                                  entry->subject,        entry->policy, entry->rule,
                                  entry->idempotency_key };
    struct hammer *hammer = data;
    size_t i;

    for (i = 0; i < sizeof texts / sizeof *texts; i++)
        hammer->fine = hammer->fine && search(hammer->tenant, IN_LOG, texts[i]);
    return hammer->fine;
}

static bool see_item(void *data, const flagver_item *item)
{
    struct hammer *hammer = data;

    hammer->fine = hammer->fine && search(hammer->tenant, IN_ITEM, item->key) &&
                   search(hammer->tenant, IN_ITEM, item->payload);
    return hammer->fine;
}

static bool see_actor(void *data, const char *actor)
{
    struct hammer *hammer = data;

    hammer->fine = hammer->fine && search(hammer->tenant, IN_VOTE, actor);
    return hammer->fine;
}

static bool see_vote(void *data, const flagver_vote *vote)
{
    return see_actor(data, vote->actor) && see_actor(data, vote->note);
}

static void see_group(void *data, const flagver_metric_group *group)
{
    struct hammer *hammer = data;

    hammer->fine = hammer->fine && search(hammer->tenant, IN_METRIC, group->subject);
}

/* A text that is handed out. */
static void see_text(struct hammer *hammer, int kind, const char *what, int r, char *text,
                     const flagver_error *problem)
{
    if (!answered(hammer, what, r, problem))
        return;
    hammer->fine = hammer->fine && search(hammer->tenant, kind, text);
    flagver_string_free(text);
}

/* A subject of both, or of the tenant's own, and a number that may be there. */
struct spot {
    const char *phase;
    char subject[48];
    uint32_t no;
};

static struct spot random_spot(struct hammer *hammer)
{
    int phase = (int)seed_below(&hammer->seed, PHASES);
    struct spot spot = { .phase = phases[phase], .no = 1 + seed_below(&hammer->seed, 40) };

    name_subject(hammer->tenant, phase, (int)seed_below(&hammer->seed, SUBJECTS), 0, 0,
                 spot.subject);
    return spot;
}

static void read_versions(struct hammer *hammer)
{
    const flagver_list_options some = {
        .size = sizeof some, .payload = 1, .backwards = 1, .limit = 20
    };
    struct spot spot = random_spot(hammer);
    flagver_version *version = NULL;
    flagver_error problem = { 0 };
    int r;

    r = seed_below(&hammer->seed, 2)
            ? flagver_version_current(hammer->client, spot.phase, spot.subject, &version, &problem)
            : flagver_version_get(hammer->client, spot.phase, spot.subject, spot.no, &version,
                                  &problem);
    if (r == FLAGVER_ENOTFOUND)
        hammer->fine = hammer->fine && search(hammer->tenant, IN_ERROR, problem.message);
    else if (answered(hammer, "read", r, &problem))
        hammer->fine = hammer->fine && search_version(hammer->tenant, IN_VERSION, version);
    flagver_version_free(version);
    r = flagver_version_history(hammer->client, spot.phase, spot.subject, &some, see_version,
                                hammer, &problem);
    answered(hammer, "history", r, &problem);
    r = flagver_version_list(hammer->client, seed_below(&hammer->seed, 2) ? spot.phase : NULL,
                             &some, see_version, hammer, &problem);
    answered(hammer, "list", r, &problem);
}

static void read_parts(struct hammer *hammer)
{
    struct spot spot = random_spot(hammer);
    flagver_error problem = { 0 };
    char *text = NULL;
    int r;

    spot.phase = phases[PLAN];
    name_subject(hammer->tenant, PLAN, (int)seed_below(&hammer->seed, SUBJECTS), 0, 0,
                 spot.subject);
    r = flagver_items_list(hammer->client, spot.phase, spot.subject, spot.no, see_item, hammer,
                           &problem);
    if (r == FLAGVER_ENOTFOUND)
        return;
    answered(hammer, "items", r, &problem);
    if (r < 0) /* without an answer nobody knows whether there is such a version */
        return;
    r = flagver_votes_list(hammer->client, spot.phase, spot.subject, spot.no, see_vote, hammer,
                           &problem);
    answered(hammer, "votes", r, &problem);
    r = flagver_authors_list(hammer->client, spot.phase, spot.subject, spot.no, see_actor, hammer,
                             &problem);
    answered(hammer, "authors", r, &problem);
    r = flagver_version_diff(hammer->client, spot.phase, spot.subject, spot.no - 1, spot.no,
                             FLAGVER_DIFF_LINES, &text, &problem);
    if (r != FLAGVER_ENOTFOUND)
        see_text(hammer, IN_DIFFERENCE, "diff", r, text, &problem);
}

static void read_log(struct hammer *hammer)
{
    const flagver_list_options some = { .size = sizeof some, .payload = 1, .limit = 20 };
    uint8_t root[FLAGVER_HASH_SIZE];
    flagver_error problem = { 0 };
    uint64_t size = 0;
    int r;

    r = flagver_audit_head(hammer->client, &size, root, &problem);
    answered(hammer, "head", r, &problem);
    r = flagver_audit_log(hammer->client, size > 50 ? size - 50 : 0, 50, see_entry, hammer, NULL,
                          &problem);
    answered(hammer, "log", r, &problem);
    r = flagver_version_due(hammer->client, &leader, NULL, &some, see_version, hammer, &problem);
    answered(hammer, "due", r, &problem);
}

static void read_flags(struct hammer *hammer)
{
    flagver_detail detail = { .size = sizeof detail };
    struct spot spot = random_spot(hammer);
    flagver_error problem = { 0 };
    char *text = NULL;
    int r;

    name_subject(hammer->tenant, FLAG, (int)seed_below(&hammer->seed, SUBJECTS), 0, 0,
                 spot.subject);
    hammer->fine = hammer->fine &&
                   search(hammer->tenant, IN_FLAG,
                          flagver_flag_string_detail(hammer->client, spot.subject, NULL,
                                                     marks[hammer->tenant], &detail));
    r = flagver_flag_explain(hammer->client, spot.subject, strlen(spot.subject), NULL, &text,
                             &problem);
    see_text(hammer, IN_FLAG, "explain", r, text, &problem);
    r = flagver_flags_export(hammer->client, &text, &problem);
    see_text(hammer, IN_FLAG, "definitions", r, text, &problem);
    r = flagver_client_health(hammer->client, &text, &problem);
    see_text(hammer, IN_HEALTH, "health", r, text, &problem);
    r = flagver_phase_policy(hammer->client, phases[PLAN], "r/1", &text, &problem);
    see_text(hammer, IN_POLICY, "policy", r, text, &problem);
}

static void look(struct hammer *hammer)
{
    switch (seed_below(&hammer->seed, 5)) {
    case 0:
        read_versions(hammer);
        break;
    case 1:
        read_parts(hammer);
        break;
    case 2:
        read_log(hammer);
        break;
    case 3:
        read_flags(hammer);
        break;
    default:
        ask_for_foreign(hammer);
        break;
    }
}

/* ---- threads and processes ---- */

static bool goes_on(const struct hammer *hammer)
{
    return !atomic_load(&board->over) && !atomic_load(&board->failed) && hammer->fine;
}

static void *hammer_on(void *data)
{
    struct hammer *hammer = data;

    while (goes_on(hammer)) {
        change(hammer);
        look(hammer);
    }
    return NULL;
}

/* All there is in a file; from malloc. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t room = 1 << 16, length = 0;
    char *text = malloc(room);

    while (file && text && !feof(file)) {
        length += fread(text + length, 1, room - length - 1, file);
        if (room - length == 1)
            text = realloc(text, room *= 2);
    }
    if (!file || !text)
        abort();
    text[length] = '\0';
    fclose(file);
    return text;
}

static void print_line(void *data, const char *line)
{
    (void)data;
    complain("%s", line);
}

static void export_once(struct hammer *hammer)
{
    const flagver_metric_options groups = { .size = sizeof groups, .parts = 1, .by_month = 1 };
    const flagver_verify_options tree = { .size = sizeof tree, .tree_only = 1 };
    flagver_error problem = { 0 };
    char path[128], name[32];
    char *text;
    int r;

    snprintf(name, sizeof name, "export-%d-%d", hammer->process, hammer->tenant);
    place_file(&place, name, path);
    r = flagver_store_export(hammer->uri, marks[hammer->tenant], path, &problem);
    if (answered(hammer, "export", r, &problem)) {
        text = read_file(path);
        hammer->fine = hammer->fine && search(hammer->tenant, IN_EXPORT, text);
        free(text);
        atomic_fetch_add(&board->exports, 1);
    }
    r = flagver_version_metrics(hammer->client, &groups, see_group, hammer, &problem);
    answered(hammer, "metrics", r, &problem);
    r = flagver_audit_verify(hammer->client, &tree, print_line, NULL, NULL, &problem);
    answered(hammer, "verify", r, &problem);
    if (r > 0)
        hammer->fine = trouble(marks[hammer->tenant], "its log is not whole");
}

static void *export_on(void *data)
{
    struct hammer *hammer = data;
    double begun, next;

    while (goes_on(hammer)) {
        begun = now_ms();
        export_once(hammer);
        /* it takes longer and longer, and the others are to get on */
        next = now_ms() + 500 + 4 * (now_ms() - begun);
        while (goes_on(hammer) && now_ms() < next)
            pause_us(10000);
    }
    return NULL;
}

static void see_changes(void *data, const char *const *keys, size_t count)
{
    const int *tenant = data;
    size_t i;

    for (i = 0; i < count; i++)
        search(*tenant, IN_LISTENER, keys[i]);
}

static int numbers_of_tenants[TENANTS] = { 0, 1 };

/* One store, and both tenants' clients on its connections. */
static bool open_both(const char *uri, int first, flagver_client *clients[TENANTS])
{
    const flagver_options options = { .size = sizeof options,
                                      .no_environment = 1,
                                      .background = 1,
                                      .tenant = marks[first],
                                      .wait_ms = 3000,
                                      .poll_ms = 50,
                                      .key = give_key };
    flagver_error problem = { 0 };
    int i, r;

    do
        r = flagver_open(uri, &options, &clients[first], &problem);
    while (flagver_error_class(r) == FLAGVER_CLASS_RETRY && !atomic_load(&board->over));
    if (r < 0)
        return trouble("open", problem.message);
    do
        r = flagver_client_tenant(clients[first], marks[!first], &clients[!first], &problem);
    while (flagver_error_class(r) == FLAGVER_CLASS_RETRY && !atomic_load(&board->over));
    if (r < 0)
        return trouble("open the second", problem.message);
    for (i = 0; i < TENANTS; i++)
        if (flagver_client_listen(clients[i], see_changes, &numbers_of_tenants[i], &problem) < 0)
            return trouble("listen", problem.message);
    return true;
}

static struct hammer new_hammer(int process, int tenant, int thread,
                                flagver_client *const clients[TENANTS])
{
    int number = process * THREADS + thread;

    return (struct hammer){ .tenant = tenant,
                            .process = process,
                            .thread = number,
                            .uri = process % 2 ? pooled_uri : direct_uri,
                            .client = clients[tenant],
                            .others = clients[!tenant],
                            .worker = &board->workers[tenant][number],
                            .seed = { seed.state + (uint64_t)(number * TENANTS + tenant) },
                            .fine = true };
}

static void run_threads(int process, flagver_client *const clients[TENANTS])
{
    struct hammer hammers[TENANTS][THREADS + 1];
    pthread_t threads[TENANTS][THREADS + 1];
    int tenant, i;

    for (tenant = 0; tenant < TENANTS; tenant++) {
        for (i = 0; i <= THREADS; i++) {
            hammers[tenant][i] = new_hammer(process, tenant, i % THREADS, clients);
            if (pthread_create(&threads[tenant][i], NULL, i < THREADS ? hammer_on : export_on,
                               &hammers[tenant][i]))
                abort();
        }
    }
    for (tenant = 0; tenant < TENANTS; tenant++)
        for (i = 0; i <= THREADS; i++)
            pthread_join(threads[tenant][i], NULL);
}

static int work(void *data)
{
    int process = *(const int *)data;
    flagver_client *clients[TENANTS];

    if (!open_both(process % 2 ? pooled_uri : direct_uri, process / 2, clients))
        return 1;
    run_threads(process, clients);
    flagver_close(clients[0]);
    flagver_close(clients[1]);
    return atomic_load(&board->failed);
}

/* ---- set-up ---- */

static int put_policies(void *data, flagver_txn *txn, flagver_error *err)
{
    static const char *const policies[PHASES] = {
        [ENTRY] = "{\"versioning\":\"audit_only\",\"description\":\"%s\"}",
        [PLAN] = "{\"approval\":{\"rule\":{\"role_in\":[\"Lead\",\"%s\"]},\"stale\":\"allow\"}}",
        [SECRET] = "{\"encrypt\":true,\"approval\":{\"required\":false},"
                   "\"shred\":{\"role_in\":[\"%s\"]}}",
    };
    const int *tenant = data;
    char json[256];
    int i, r = 0;

    for (i = ENTRY; i < PHASES && r == 0; i++) {
        snprintf(json, sizeof json, policies[i], marks[*tenant]);
        r = flagver_version_put(txn, FLAGVER_PHASE_PHASE, phases[i], json, strlen(json), NULL, NULL,
                                err);
    }
    return r;
}

static flagver_client *open_tenant(const char *uri, int tenant)
{
    const flagver_options options = { .size = sizeof options,
                                      .no_environment = 1,
                                      .tenant = marks[tenant],
                                      .wait_ms = 500,
                                      .key = give_key };
    flagver_client *client = NULL;

    assert_ok(flagver_open(uri, &options, &client, &error));
    return client;
}

static int prepare(void *unused)
{
    flagver_client *client;
    int i;

    (void)unused;
    assert_ok(flagver_schema_up(cluster_uri(cluster_shared(), database, "owner"), &error));
    cluster_sql(cluster_shared(), database, "SELECT flagver.admit('app')");
    for (i = 0; i < TENANTS; i++) {
        client = open_tenant(direct_uri, i);
        assert_ok(flagver_txn_run(client, author_of(i), NULL, put_policies, &numbers_of_tenants[i],
                                  &error));
        flagver_close(client);
    }
    return 0;
}

static void make_board(void)
{
    pthread_mutexattr_t between_processes;

    board = shared(sizeof *board);
    pthread_mutexattr_init(&between_processes);
    pthread_mutexattr_setpshared(&between_processes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&board->lock, &between_processes);
}

static void set_up(void)
{
    if (!pooler_possible())
        pooler_skip();
    snprintf(database, sizeof database, "tenants_%ld", (long)getpid());
    cluster_database(cluster_shared(), database, NULL);
    /* fewer connections than there are threads, so that they change hands */
    pooler = pooler_start(cluster_shared(), "default_pool_size = 5");
    snprintf(direct_uri, sizeof direct_uri, "%s&flagver_pool=3",
             cluster_uri(cluster_shared(), database, "app"));
    snprintf(pooled_uri, sizeof pooled_uri, "%s", pooler_uri(pooler, database, "app"));
    make_board();
    place = place_new();
    ck_assert_int_eq(in_process(prepare, NULL), 0);
}

static void tear_down(void)
{
    place_remove(&place);
    pooler_stop(pooler);
    cluster_drop(cluster_shared(), database);
}

static const char *answer(const char *query)
{
    return cluster_value(cluster_shared(), database, query);
}

/* ---- at the same time ---- */

/* Every other second connections are ended, in the middle of what they are at. */
static int disturb(double seconds)
{
    double begun = now_ms(), end = begun + seconds * 1e3;
    int killed = 0;

    while (now_ms() < end && !atomic_load(&board->failed)) {
        if ((int)((now_ms() - begun) / 1e3) % 2 == 0)
            killed += atoi(answer("SELECT count(pg_terminate_backend(pid)) FROM"
                                  " (SELECT pid FROM pg_stat_activity WHERE usename = 'app'"
                                  " AND datname = current_database() AND state <> 'idle'"
                                  " ORDER BY random() LIMIT 2) AS chosen"));
        pause_us(20000 + seed_below(&seed, 40000));
    }
    return killed;
}

static void assert_acked(const struct held *held, int tenant)
{
    const struct held_series *series;
    const struct acked *acked;
    char subject[48], note[48];
    int i, k;

    for (i = 0; i < WORKERS; i++) {
        for (k = 0; k < board->workers[tenant][i].count; k++) {
            acked = &board->workers[tenant][i].acked[k];
            name_subject(tenant, acked->phase, acked->subject, i, acked->number, subject);
            series = held_find(held, phases[acked->phase], subject);
            must(series && acked->no <= series->count, "%s: %s has no version %u", marks[tenant],
                 subject, acked->no);
            must(strcmp(series->versions[acked->no - 1].note,
                        name_note(tenant, i, acked->number, note)) == 0,
                 "%s: version %u of %s is not %s", marks[tenant], acked->no, subject, note);
        }
    }
}

static void assert_whole(int tenant)
{
    flagver_client *client = open_tenant(direct_uri, tenant);
    struct held held;
    char *text;
    int kind;

    ck_assert(held_read(client, &held));
    assert_acked(&held, tenant);
    held_free(&held);
    ck_assert_int_eq(flagver_audit_verify(client, NULL, print_line, NULL, NULL, &error), 0);
    text = dump_store(client);
    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_null(strstr(text, other_marks[tenant]));
    ck_assert_ptr_nonnull(strstr(text, marks[tenant]));
    free(text);
    flagver_close(client);
    for (kind = 0; kind < KINDS; kind++)
        ck_assert_msg(atomic_load(&board->seen[tenant][kind]) > 0, "%s: nothing was searched: %s",
                      marks[tenant], kinds[kind]);
}

/* As it lies in the tables, too. */
static void assert_unmixed(void)
{
    int tenant;
    char query[1024];

    for (tenant = 0; tenant < TENANTS; tenant++) {
        snprintf(query, sizeof query,
                 "WITH t (own, other) AS (VALUES ('%s', '%s'))"
                 "SELECT (SELECT count(*) FROM flagver.payload WHERE tenant = own"
                 "   AND position(other::bytea IN body) > 0)"
                 " + (SELECT count(*) FROM flagver.leaf WHERE tenant = own"
                 "   AND position(other::bytea IN leaf) > 0)"
                 " + (SELECT count(*) FROM flagver.keyed WHERE tenant = own"
                 "   AND position(other::bytea IN value) > 0)"
                 " + (SELECT count(*) FROM flagver.version WHERE tenant = own"
                 "   AND (position(other IN note) > 0 OR position(other IN created_by) > 0))"
                 " FROM t",
                 marks[tenant], other_marks[tenant]);
        ck_assert_str_eq(answer(query), "0");
    }
}

START_TEST(tenants_on_the_same_keys_see_nothing_of_each_other)
{
    int numbers[PROCESSES], i, failed = 0, killed;
    double seconds = scale("FLAGVER_TEST_SECONDS", SECONDS);
    pid_t workers[PROCESSES];

    seed = seed_new(0);
    for (i = 0; i < PROCESSES; i++) {
        numbers[i] = i;
        workers[i] = start(work, &numbers[i]);
    }
    killed = disturb(seconds);
    atomic_store(&board->over, true);
    for (i = 0; i < PROCESSES; i++)
        failed += finish(workers[i]) != 0;
    measured("%d processes, %.0f s: %ld changes, %ld conflicts, %ld told again, %ld foreign ids, "
             "%ld exports; %d connections ended, %ld calls without an answer",
             PROCESSES, seconds, atomic_load(&board->changes), atomic_load(&board->refused),
             atomic_load(&board->again), atomic_load(&board->foreign), atomic_load(&board->exports),
             killed, atomic_load(&board->unanswered));
    ck_assert_int_eq(failed, 0);
    ck_assert(!atomic_load(&board->failed));
    ck_assert_int_gt(atomic_load(&board->foreign), 0);
    ck_assert_int_gt(killed, 0);
    assert_unmixed();
    for (i = 0; i < TENANTS; i++)
        assert_whole(i);
}
END_TEST

static Suite *tenants_suite(void)
{
    Suite *suite = suite_create("tenants on PostgreSQL");
    TCase *tests = tcase_create("two tenants");

    tcase_set_tags(tests, "postgres");
    tcase_set_timeout(tests, 300);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, tenants_on_the_same_keys_see_nothing_of_each_other);
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    if (cluster_possible())
        cluster_shared();
    return run_suite(tenants_suite());
}
