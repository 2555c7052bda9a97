/*
 * The life of one scoping document: a tester writes it, the owner of the report decides about its
 * attributes one by one, sends it back, approves it; and the next version carries the decisions
 * forward, so that only what is new has to be decided.
 *
 * Prints each step. Ends with 1 if any of them is not as it should be.
 */
#include <flagver.h>

#include <stdio.h>
#include <string.h>

#define PHASE "scoping"
#define SUBJECT "cycle-7/report-12"

/* Nothing comes into force while an attribute is undecided. */
static const char policy[] =
    "{\"approval\": {\"rule\": {\"assigned\": \"report_owner\"}, \"items_complete\": true},"
    " \"write\": {\"role_in\": [\"Tester\"]}}";

static const char first_text[] = "{\"report\": \"Rates\", \"sample\": 25}";
static const char better_text[] = "{\"report\": \"Rates\", \"sample\": 40}";
static const char next_text[] = "{\"report\": \"Rates and fees\", \"sample\": 40}";

struct story {
    flagver_client *client;
    int64_t between; /* a time when the first version was in force */
    bool wrong;
};

/* One operation of one person. */
struct step {
    const char *who, *role, *what;
    int (*run)(void *step, flagver_txn *txn, flagver_error *err);
    uint32_t no, baseline;
    const char *text, *note;
    const char *keys[2]; /* of items */
    size_t count;
    int32_t status;
};

/* Carries it out and says so; `expected` is what it should end with. */
static void take(struct story *story, struct step *step, int expected)
{
    const flagver_actor actor = { .size = sizeof actor,
                                  .id = step->who,
                                  .roles = &step->role,
                                  .role_count = step->role ? 1 : 0 };
    flagver_error err;
    int r = flagver_txn_run(story->client, &actor, NULL, step->run, step, &err);

    printf("%-6s %s: %s\n", step->who, step->what, r < 0 ? err.message : "done");
    if (r != expected)
        story->wrong = true;
}

static flagver_write_options options_of(const struct step *step)
{
    return (flagver_write_options){ .size = sizeof(flagver_write_options),
                                    .note = step->note,
                                    .baseline_no = step->baseline };
}

/* ---- the operations ---- */

static int set_up(void *data, flagver_txn *txn, flagver_error *err)
{
    int r;

    (void)data;
    r = flagver_version_put(txn, FLAGVER_PHASE_PHASE, PHASE, policy, strlen(policy), NULL, NULL,
                            err);
    if (r < 0)
        return r;
    return flagver_assign(txn, "report_owner", "cycle-7/*", "olga", NULL, NULL, err);
}

static int create(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct step *step = data;
    const flagver_write_options options = options_of(step);

    return flagver_version_create(txn, PHASE, SUBJECT, step->text, strlen(step->text), &options,
                                  NULL, err);
}

static int edit(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct step *step = data;

    return flagver_version_edit(txn, PHASE, SUBJECT, step->no, step->text, strlen(step->text), NULL,
                                NULL, err);
}

static int put_attributes(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct step *step = data;
    flagver_item_content items[2];
    size_t i;

    for (i = 0; i < step->count; i++)
        items[i] = (flagver_item_content){ .key = step->keys[i],
                                           .json = step->text,
                                           .length = strlen(step->text) };
    return flagver_items_put(txn, PHASE, SUBJECT, step->no, items, step->count, NULL, NULL, err);
}

static int decide(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct step *step = data;
    const flagver_write_options options = options_of(step);

    return flagver_items_decide(txn, PHASE, SUBJECT, step->no, step->keys, step->count,
                                step->status, &options, NULL, err);
}

static int submit(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct step *step = data;

    return flagver_version_submit(txn, PHASE, SUBJECT, step->no, NULL, NULL, err);
}

static int send_back(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct step *step = data;
    const flagver_write_options options = options_of(step);

    return flagver_version_return(txn, PHASE, SUBJECT, step->no, &options, NULL, err);
}

static int approve(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct step *step = data;
    const flagver_write_options options = options_of(step);

    return flagver_version_approve(txn, PHASE, SUBJECT, step->no, &options, NULL, err);
}

/* ---- what is read in between ---- */

static bool print_item(void *data, const flagver_item *item)
{
    unsigned *decided = data;

    printf("         %-5s %s", item->key, flagver_item_status_name(item->status));
    if (item->decided_by)
        printf("  by %s", item->decided_by);
    if (item->origin_no)
        printf(", first in version %u", (unsigned)item->origin_no);
    printf("\n");
    *decided += item->status != FLAGVER_ITEM_PENDING;
    return true;
}

static void look_at_items(struct story *story, uint32_t no, unsigned wanted)
{
    unsigned decided = 0;

    printf("       attributes of version %u\n", (unsigned)no);
    if (flagver_items_list(story->client, PHASE, SUBJECT, no, print_item, &decided, NULL) < 0 ||
        decided != wanted)
        story->wrong = true;
}

static bool print_due(void *data, const flagver_version *version)
{
    printf("       waits for olga: %s@%u by %s\n", version->subject, (unsigned)version->no,
           version->created_by);
    ++*(unsigned *)data;
    return true;
}

static void look_at_due(struct story *story)
{
    const flagver_actor olga = { .size = sizeof olga, .id = "olga" };
    unsigned count = 0;

    if (flagver_version_due(story->client, &olga, PHASE, NULL, print_due, &count, NULL) < 0 ||
        count != 1)
        story->wrong = true;
}

/* Which version was in force, and what did it say? */
static void look_back(struct story *story, int64_t time, const char *when, uint32_t wanted)
{
    flagver_version *version;
    flagver_error err;
    int r;

    r = time ? flagver_version_as_of(story->client, PHASE, SUBJECT, time, &version, &err)
             : flagver_version_current(story->client, PHASE, SUBJECT, &version, &err);
    if (r < 0) {
        printf("       in force %s: %s\n", when, err.message);
        story->wrong = true;
        return;
    }
    printf("       in force %s: version %u, allowed by %s: %s\n", when, (unsigned)version->no,
           version->decided_by, version->payload);
    if (version->no != wanted)
        story->wrong = true;
    story->between = version->decided_at;
    flagver_version_free(version);
}

/* ---- the story ---- */

static void first_version(struct story *story)
{
    struct step steps[] = {
        { "tina", "Tester", "writes a scope", create, .text = first_text },
        { "tina", "Tester", "names two attributes", put_attributes, .no = 1,
          .keys = { "rate", "term" }, .count = 2, .text = "{\"risk\": \"high\"}" },
        { "tina", "Tester", "hands it in", submit, .no = 1 },
    };
    struct step review[] = {
        { "tina", "Tester", "approves it", approve, .no = 1 },
        { "olga", NULL, "approves it", approve, .no = 1 },
        { "olga", NULL, "approves of an attribute", decide, .no = 1, .keys = { "rate" }, .count = 1,
          .status = FLAGVER_ITEM_APPROVED },
        { "olga", NULL, "sends it back", send_back, .no = 1, .note = "the sample is too small" },
    };
    struct step again[] = {
        { "tina", "Tester", "takes more samples", edit, .no = 1, .text = better_text },
        { "tina", "Tester", "hands it in again", submit, .no = 1 },
        { "olga", NULL, "approves of the other attribute", decide, .no = 1, .keys = { "term" },
          .count = 1, .status = FLAGVER_ITEM_APPROVED },
        { "olga", NULL, "approves it", approve, .no = 1, .note = "as agreed" },
    };
    const int outcomes[] = { FLAGVER_EDENIED, FLAGVER_EINCOMPLETE, 0, 0 };
    size_t i;

    for (i = 0; i < sizeof steps / sizeof *steps; i++)
        take(story, &steps[i], 0);
    look_at_due(story);
    for (i = 0; i < sizeof review / sizeof *review; i++)
        take(story, &review[i], outcomes[i]);
    look_at_items(story, 1, 1);
    for (i = 0; i < sizeof again / sizeof *again; i++)
        take(story, &again[i], 0);
    look_back(story, 0, "now", 1);
}

/* Only what is new has to be decided. */
static void second_version(struct story *story)
{
    struct step steps[] = {
        { "tina", "Tester", "goes on from it", create, .baseline = 1, .text = next_text },
        { "tina", "Tester", "adds an attribute", put_attributes, .no = 2, .keys = { "fee" },
          .count = 1, .text = "{\"risk\": \"low\"}" },
        { "tina", "Tester", "hands it in", submit, .no = 2 },
    };
    struct step review[] = {
        { "olga", NULL, "rejects the attribute", decide, .no = 2, .keys = { "fee" }, .count = 1,
          .status = FLAGVER_ITEM_REJECTED, .note = "tested elsewhere" },
        { "olga", NULL, "approves the rest", approve, .no = 2 },
    };
    int64_t then = story->between;
    size_t i;

    for (i = 0; i < sizeof steps / sizeof *steps; i++)
        take(story, &steps[i], 0);
    look_at_items(story, 2, 2);
    for (i = 0; i < sizeof review / sizeof *review; i++)
        take(story, &review[i], 0);
    look_at_items(story, 2, 3);
    look_back(story, then, "then", 1);
    look_back(story, 0, "now", 2);
}

int main(void)
{
    struct step beginning = { "admin", NULL, "makes the phase and names the owner", set_up,
                              .no = 0 };
    struct story story = { .client = NULL };
    flagver_error err;

    if (flagver_open("memory:", NULL, &story.client, &err) < 0) {
        fprintf(stderr, "scoping: %s\n", err.message);
        return 1;
    }
    take(&story, &beginning, 0);
    first_version(&story);
    second_version(&story);
    flagver_close(story.client);
    return story.wrong ? 1 : 0;
}
