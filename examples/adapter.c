/*
 * An older system's calls, served from libflagver: applications that know create_version,
 * approve_version and get_current_version go on as they are while what is behind them changes.
 *
 * The older system had one table per phase, and its first adapter answered with version number 1
 * and "latest" whatever there was. This one tells the number that the version has, and whether it
 * is the one in force. Its caller's samples are items with decisions, not lost.
 */
#define _XOPEN_SOURCE 700 /* strdup */

#include <flagver.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------
 * The adapter
 */

/* What the older calls answer: a status as HTTP has it, and a version. */
#define OLD_OK 200
#define OLD_BAD 400
#define OLD_FORBIDDEN 403
#define OLD_NOT_FOUND 404
#define OLD_CONFLICT 409
#define OLD_UNAVAILABLE 503

struct old_version {
    char version_id[37];
    int version_number;
    char status[16];
    bool is_current;
    char created_by[FLAGVER_ACTOR_LIMIT + 1];
    char *data; /* freed with old_clear() */
};

struct old_sample {
    const char *sample_id;
    const char *data; /* JSON */
};

struct old_user {
    const char *username;
    const char *role;
};

/* What the older calls ask for; each reads what concerns it, and nothing of it is changed. */
struct old_request {
    const char *phase;
    int cycle_id, report_id;
    const char *version_id, *notes;
    const char *data;
    const struct old_sample *samples;
    size_t sample_count;
    struct old_user user;
};

static int old_status(int code)
{
    switch (code) {
    case FLAGVER_OK:
        return OLD_OK;
    case FLAGVER_ENOTFOUND:
        return OLD_NOT_FOUND;
    case FLAGVER_EDENIED:
    case FLAGVER_ESELF:
        return OLD_FORBIDDEN;
    case FLAGVER_EINVAL:
    case FLAGVER_EPARSE:
    case FLAGVER_EPHASE:
    case FLAGVER_EVALIDATION:
        return OLD_BAD;
    default:
        /* Mistakes that are none of the request's form: somebody else was faster. */
        return flagver_error_class(code) == FLAGVER_CLASS_MISTAKE ? OLD_CONFLICT : OLD_UNAVAILABLE;
    }
}

static void old_clear(struct old_version *version)
{
    free(version->data);
    version->data = NULL;
}

/* The pair that the older tables had as two columns. */
static void old_subject(const struct old_request *request, char subject[64])
{
    snprintf(subject, 64, "cycle-%d/report-%d", request->cycle_id, request->report_id);
}

/* Is it the one in force? The last that was recorded also counts: phases that only keep an audit. */
static bool is_current(flagver_client *client, const flagver_version *version)
{
    flagver_version *current;
    bool is;

    if (flagver_version_current(client, version->phase, version->subject, &current, NULL) < 0)
        return false;
    is = current->no == version->no;
    flagver_version_free(current);
    return is;
}

static int old_answer(flagver_client *client, flagver_version *version,
                      struct old_version *ret_version)
{
    memset(ret_version, 0, sizeof *ret_version);
    snprintf(ret_version->version_id, sizeof ret_version->version_id, "%s", version->id);
    snprintf(ret_version->status, sizeof ret_version->status, "%s",
             flagver_state_name(version->state));
    snprintf(ret_version->created_by, sizeof ret_version->created_by, "%s", version->created_by);
    ret_version->version_number = (int)version->no;
    ret_version->is_current = is_current(client, version);
    if (version->payload)
        ret_version->data = strdup(version->payload);
    flagver_version_free(version);
    return OLD_OK;
}

/* One call of the older system: one transaction. */
struct old_call {
    const struct old_request *request;
    char subject[64];
    uint32_t no;
    char id[37]; /* of the version that came of it */
};

static int run(flagver_client *client, struct old_call *call,
               int (*operation)(void *call, flagver_txn *txn, flagver_error *err),
               struct old_version *ret_version)
{
    const struct old_user *user = &call->request->user;
    const flagver_actor actor = {
        .size = sizeof actor, .id = user->username, .roles = &user->role, .role_count = 1
    };
    flagver_version *version;
    flagver_error err;
    int r;

    r = flagver_txn_run(client, &actor, NULL, operation, call, &err);
    if (r == 0)
        r = flagver_version_by_id(client, call->id, &version, &err);
    return r < 0 ? old_status(r) : old_answer(client, version, ret_version);
}

static int put_samples(const struct old_call *call, flagver_txn *txn, flagver_error *err)
{
    const struct old_request *request = call->request;
    flagver_item_content *items = calloc(request->sample_count + 1, sizeof *items);
    size_t i;
    int r;

    if (!items)
        return FLAGVER_ENOMEM;
    for (i = 0; i < request->sample_count; i++)
        items[i] = (flagver_item_content){ .key = request->samples[i].sample_id,
                                           .json = request->samples[i].data,
                                           .length = strlen(request->samples[i].data) };
    r = flagver_items_put(txn, request->phase, call->subject, call->no, items,
                          request->sample_count, NULL, NULL, err);
    free(items);
    return r;
}

static int create_with_samples(void *data, flagver_txn *txn, flagver_error *err)
{
    struct old_call *call = data;
    const struct old_request *request = call->request;
    flagver_version *version;
    int r;

    r = flagver_version_create(txn, request->phase, call->subject, request->data,
                               strlen(request->data), NULL, &version, err);
    if (r < 0)
        return r;
    call->no = version->no;
    snprintf(call->id, sizeof call->id, "%s", version->id);
    flagver_version_free(version);
    return request->sample_count ? put_samples(call, txn, err) : 0;
}

static int old_create_version(flagver_client *client, const struct old_request *request,
                              struct old_version *ret_version)
{
    struct old_call call = { .request = request };

    old_subject(request, call.subject);
    return run(client, &call, create_with_samples, ret_version);
}

/* Draft to approved in one call, as it was; there are two leaves of it in the audit log. */
static int submit_and_approve(void *data, flagver_txn *txn, flagver_error *err)
{
    struct old_call *call = data;
    const flagver_write_options options = { .size = sizeof options,
                                            .note = call->request->notes,
                                            .flags = FLAGVER_WRITE_SUBMIT };

    return flagver_version_approve(txn, call->request->phase, call->subject, call->no, &options,
                                   NULL, err);
}

/* A version of another phase is not there, whatever its id. */
static int old_approve_version(flagver_client *client, const struct old_request *request,
                               struct old_version *ret_version)
{
    struct old_call call = { .request = request };
    flagver_version *version;
    flagver_error err;
    bool fits;
    int r;

    r = flagver_version_by_id(client, request->version_id, &version, &err);
    if (r < 0)
        return old_status(r);
    fits = strcmp(version->phase, request->phase) == 0;
    snprintf(call.subject, sizeof call.subject, "%s", version->subject);
    snprintf(call.id, sizeof call.id, "%s", version->id);
    call.no = version->no;
    flagver_version_free(version);
    return fits ? run(client, &call, submit_and_approve, ret_version) : OLD_NOT_FOUND;
}

static int old_get_current_version(flagver_client *client, const struct old_request *request,
                                   struct old_version *ret_version)
{
    flagver_version *version;
    char subject[64];
    int r;

    old_subject(request, subject);
    r = flagver_version_current(client, request->phase, subject, &version, NULL);
    return r < 0 ? old_status(r) : old_answer(client, version, ret_version);
}

/* ------------------------------------------------------------------------
 * An application that knows nothing of it
 */

static const struct {
    const char *name, *policy;
} phases[] = {
    { "sample_selection", "{\"approval\": {\"rule\": {\"role_in\": [\"Test Lead\"]}}}" },
    { "test_execution", "{\"versioning\": \"audit_only\"}" },
};

static int put_phases(void *data, flagver_txn *txn, flagver_error *err)
{
    size_t i;
    int r = 0;

    (void)data;
    for (i = 0; r == 0 && i < sizeof phases / sizeof *phases; i++)
        r = flagver_version_put(txn, FLAGVER_PHASE_PHASE, phases[i].name, phases[i].policy,
                                strlen(phases[i].policy), NULL, NULL, err);
    return r;
}

static bool wrong;

/* Shows an answer, and whether it is the one that the older system gave in its better moments. */
static void check(const char *call, int status, const struct old_version *version, int wanted,
                  int number, bool current)
{
    bool good = status == wanted;

    printf("%-28s %d", call, status);
    if (status == OLD_OK) {
        printf("  number %d, %s%s", version->version_number, version->status,
               version->is_current ? ", current" : "");
        good = good && version->version_number == number && version->is_current == current;
    }
    printf("%s\n", good ? "" : "  WRONG");
    wrong = wrong || !good;
}

static void use(flagver_client *client)
{
    static const struct old_sample samples[] = { { "s-17", "{\"customer\": 4711}" },
                                                 { "s-18", "{\"customer\": 4712}" } };
    const struct old_user tina = { "tina", "Tester" }, lea = { "lea", "Test Lead" };
    struct old_request request = { .phase = "sample_selection",
                                   .cycle_id = 7,
                                   .report_id = 12,
                                   .data = "{\"strategy\": \"random\"}",
                                   .samples = samples,
                                   .sample_count = 2,
                                   .user = tina };
    struct old_version first = { .data = NULL }, second = { .data = NULL },
                       answer = { .data = NULL };

    check("current, before anything", old_get_current_version(client, &request, &answer), NULL,
          OLD_NOT_FOUND, 0, false);
    check("create", old_create_version(client, &request, &first), &first, OLD_OK, 1, false);

    request.version_id = first.version_id;
    check("approve, by its author", old_approve_version(client, &request, &answer), NULL,
          OLD_FORBIDDEN, 0, false);
    request.user = lea;
    old_clear(&first);
    check("approve", old_approve_version(client, &request, &first), &first, OLD_OK, 1, true);
    check("approve, once more", old_approve_version(client, &request, &answer), NULL, OLD_CONFLICT,
          0, false);

    request.user = tina;
    check("create", old_create_version(client, &request, &second), &second, OLD_OK, 2, false);
    request.version_id = second.version_id;
    request.user = lea;
    old_clear(&second);
    check("approve", old_approve_version(client, &request, &second), &second, OLD_OK, 2, true);
    check("current", old_get_current_version(client, &request, &answer), &answer, OLD_OK, 2, true);
    wrong = wrong || !answer.data || strcmp(answer.data, "{\"strategy\":\"random\"}") != 0;
    old_clear(&answer);

    request.phase = "test_execution";
    check("approve, in another phase", old_approve_version(client, &request, &answer), NULL,
          OLD_NOT_FOUND, 0, false);
    request.phase = "no_such_phase";
    check("create, in no phase", old_create_version(client, &request, &answer), NULL, OLD_NOT_FOUND,
          0, false);
    old_clear(&first);
    old_clear(&second);
}

int main(void)
{
    const flagver_actor admin = { .size = sizeof admin, .id = "admin" };
    flagver_client *client;
    flagver_error err;

    if (flagver_open("memory:", NULL, &client, &err) < 0 ||
        flagver_txn_run(client, &admin, NULL, put_phases, NULL, &err) < 0) {
        fprintf(stderr, "adapter: %s\n", err.message);
        return 1;
    }
    use(client);
    flagver_close(client);
    return wrong ? 1 : 0;
}
