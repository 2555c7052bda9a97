/*
 * A flag under approval: who proposes a ramp cannot approve it, a second person does, and what other
 * processes serve follows. The kill switch does not wait for anybody.
 *
 * Prints what each of them does, and what another process serves then. Ends with 1 if any of it is
 * not as it should be.
 */
#define _XOPEN_SOURCE 700 /* mkdtemp */

#include <flagver.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLAG "checkout_v2"
#define USERS 1000

/* Half of the users is more than one person should decide about alone. */
static const char policy[] = "{\"approval\": {\"rule\": {\"role_in\": [\"release\"]}},"
                             " \"emergency\": {\"role_in\": [\"oncall\"]}}";
static const char definition[] = "{\"type\": \"boolean\", \"percentage\": 10}";

struct person {
    const char *name, *role;
};

static const struct person admin = { "admin", "" }, alice = { "alice", "release" },
                           rita = { "rita", "release" }, otto = { "otto", "oncall" };

/* One operation; `no` is the version that it is about, or that came of it. */
struct act {
    int (*run)(void *act, flagver_txn *txn, flagver_error *err);
    const char *note;
    double percentage;
    uint32_t no;
    uint8_t seen[32]; /* the content that was looked at */
};

static int set_up(void *data, flagver_txn *txn, flagver_error *err)
{
    int r;

    (void)data;
    r = flagver_flag_put(txn, FLAG, definition, strlen(definition), NULL, NULL, err);
    if (r < 0)
        return r;
    return flagver_version_put(txn, FLAGVER_PHASE_PHASE, FLAGVER_PHASE_FLAG, policy, strlen(policy),
                               NULL, NULL, err);
}

static int ramp(void *data, flagver_txn *txn, flagver_error *err)
{
    struct act *act = data;
    const flagver_write_options options = { .size = sizeof options, .note = act->note };

    return flagver_flag_ramp(txn, FLAG, act->percentage, &options, &act->no, err);
}

static int approve(void *data, flagver_txn *txn, flagver_error *err)
{
    struct act *act = data;
    const flagver_write_options options = { .size = sizeof options,
                                            .note = act->note,
                                            .content_hash = act->seen };

    return flagver_version_approve(txn, FLAGVER_PHASE_FLAG, FLAG, act->no, &options, NULL, err);
}

static int kill_switch(void *data, flagver_txn *txn, flagver_error *err)
{
    struct act *act = data;
    const flagver_write_options options = { .size = sizeof options,
                                            .note = act->note,
                                            .flags = FLAGVER_WRITE_EMERGENCY };

    return flagver_flag_disable(txn, FLAG, &options, &act->no, err);
}

static int review(void *data, flagver_txn *txn, flagver_error *err)
{
    struct act *act = data;
    const flagver_write_options options = { .size = sizeof options, .note = act->note };

    return flagver_version_review(txn, FLAGVER_PHASE_FLAG, FLAG, act->no, &options, NULL, err);
}

/* Does it as this person, and says so. False when it does not end as it should. */
static bool does(flagver_client *client, const struct person *person, const char *what,
                 struct act *act, int expected)
{
    const flagver_actor actor = { .size = sizeof actor,
                                  .id = person->name,
                                  .roles = &person->role,
                                  .role_count = *person->role ? 1 : 0 };
    flagver_error err;
    int r = flagver_txn_run(client, &actor, NULL, act->run, act, &err);

    printf("%-6s %s: %s\n", person->name, what, r < 0 ? err.message : "done");
    return r == expected;
}

/* What another process serves, once it has looked: options.background does that by itself. */
static bool serves(flagver_client *client, int least, int most)
{
    flagver_context *user = flagver_context_new("");
    char name[16];
    int i, on = 0;

    if (!user || flagver_client_refresh(client, NULL) < 0) {
        flagver_context_free(user);
        return false;
    }
    for (i = 0; i < USERS; i++) {
        snprintf(name, sizeof name, "user%d", i);
        if (flagver_context_reset(user, name) == 0)
            on += flagver_flag_bool(client, FLAG, user, false);
    }
    flagver_context_free(user);
    printf("       elsewhere %d of %d users have it\n", on, USERS);
    return on >= least && on <= most;
}

/* The reviewer reads the proposal, and approves what was read and nothing else. */
static bool look(flagver_client *client, struct act *act)
{
    flagver_version *version;
    char *lines;

    if (flagver_version_get(client, FLAGVER_PHASE_FLAG, FLAG, act->no, &version, NULL) < 0)
        return false;
    memcpy(act->seen, version->content_hash, sizeof act->seen);
    if (flagver_version_diff(client, FLAGVER_PHASE_FLAG, FLAG, version->base_no, act->no,
                             FLAGVER_DIFF_LINES, &lines, NULL) == 0) {
        printf("       version %u by %s: %s", (unsigned)act->no, version->created_by, lines);
        flagver_string_free(lines);
    }
    flagver_version_free(version);
    return true;
}

static bool tell(flagver_client *here, flagver_client *elsewhere)
{
    struct act begin = { .run = set_up };
    struct act proposal = { .run = ramp, .note = "ten percent went well", .percentage = 50 };
    struct act approval = { .run = approve, .note = "looked at the numbers" };
    struct act emergency = { .run = kill_switch, .note = "orders are lost" };
    struct act afterwards = { .run = review, .note = "right so" };

    if (!does(here, &admin, "sets the flag and its policy up", &begin, 0) ||
        !serves(elsewhere, 50, 150))
        return false;

    if (!does(here, &alice, "ramps to 50 percent", &proposal, 0) || !serves(elsewhere, 50, 150))
        return false;
    approval.no = proposal.no;
    if (!look(here, &approval) || !does(here, &alice, "approves it", &approval, FLAGVER_ESELF) ||
        !does(here, &rita, "approves it", &approval, 0) || !serves(elsewhere, 400, 600))
        return false;

    if (!does(here, &otto, "throws the kill switch", &emergency, 0) || !serves(elsewhere, 0, 0))
        return false;
    afterwards.no = emergency.no;
    return does(here, &rita, "says that this was right", &afterwards, 0);
}

int main(void)
{
    char folder[] = "/tmp/flagver-review-XXXXXX", path[64], uri[72];
    flagver_client *here = NULL, *elsewhere = NULL;
    flagver_error err;
    bool good = false;

    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/flags.db", folder);
    snprintf(uri, sizeof uri, "sqlite:%s", path);
    if (flagver_open(uri, NULL, &here, &err) < 0 || flagver_open(uri, NULL, &elsewhere, &err) < 0)
        fprintf(stderr, "review: %s\n", err.message);
    else
        good = tell(here, elsewhere);

    flagver_close(elsewhere);
    flagver_close(here);
    unlink(path);
    rmdir(folder);
    return good ? 0 : 1;
}
