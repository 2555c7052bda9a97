/*
 * Walks through all rows of a store, which may be far away: how many questions they ask does not
 * depend on how many records there are. What they find the tests of exports, audits and copies know.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "records.h"

#include "flagver/audit.h"
#include "flagver/store.h"

#define PHASE "doc"
#define FEW 2
#define MANY 50

/* Records with something of every kind, from number `from` to `to`. */
static void add_records(flagver_client *client, int from, int to)
{
    char name[32];
    int i;

    for (i = from; i <= to; i++) {
        snprintf(name, sizeof name, "record %d", i);
        done(client, ann, CREATE, PHASE, name, .json = "1");
        done(client, ben, ITEMS_PUT, PHASE, name, 1, "{'part':1}", "item");
        done(client, ann, SUBMIT, PHASE, name, 1);
        done(client, cat, APPROVE, PHASE, name, 1);
    }
}

static void export_all(flagver_client *client)
{
    (void)client;
    assert_ok(flagver_store_export(store_uri(FAULT_KIND), "default", file_named("export"), &error));
}

static void verify_all(flagver_client *client)
{
    ck_assert_int_eq(flagver_audit_verify(client, NULL, NULL, NULL, NULL, &error), 0);
}

/* What is there already is compared. */
static void copy_all(flagver_client *client)
{
    char target[160];

    (void)client;
    snprintf(target, sizeof target, "sqlite:%s", file_named("target"));
    assert_ok(flagver_store_copy(store_uri(FAULT_KIND), target, NULL, &error));
}

static const struct {
    const char *name;
    void (*walk)(flagver_client *client);
} walks[] = { { "export", export_all }, { "verify", verify_all }, { "compare", copy_all } };

static uint64_t questions(void (*walk)(flagver_client *client), flagver_client *client)
{
    walk(client);
    flagver_fault_reset(fault);
    walk(client);
    return flagver_fault_calls(fault, FLAGVER_FAULT_SCAN);
}

START_TEST(a_walk_asks_no_more_when_there_are_more_records)
{
    flagver_client *client = open_store(FAULT_KIND);
    uint64_t few, many;

    set_policy(client, &dan, PHASE, "{'approval':{'rule':'anyone'}}");
    add_records(client, 1, FEW);
    few = questions(walks[_i].walk, client);
    add_records(client, FEW + 1, MANY);
    many = questions(walks[_i].walk, client);
    ck_assert_msg(few > 0 && few == many, "%s: %u questions about few records, %u about many",
                  walks[_i].name, (unsigned)few, (unsigned)many);
    flagver_close(client);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rows");
    TCase *tcase = add_store_tcase(suite, "questions");

    tcase_add_loop_test(tcase, a_walk_asks_no_more_when_there_are_more_records, 0,
                        (int)(sizeof walks / sizeof *walks));
    return run_store_suite(suite);
}
