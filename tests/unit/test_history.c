/*
 * Lists by state and author, of all phases and page by page; items and votes; what the log says.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "stores.h"

#define FLAG FLAGVER_PHASE_FLAG
#define LIST(...) (&(flagver_list_options){ .size = sizeof(flagver_list_options), __VA_ARGS__ })

#define DRAFT FLAGVER_STATES(FLAGVER_STATE_DRAFT)
#define APPROVED FLAGVER_STATES(FLAGVER_STATE_APPROVED)
#define SUPERSEDED FLAGVER_STATES(FLAGVER_STATE_SUPERSEDED)
#define WITHDRAWN FLAGVER_STATES(FLAGVER_STATE_WITHDRAWN)

/* ---- lists ---- */

/* "SUBJECT#NO SUBJECT#NO …", segments with an 's' before. */
struct visits {
    char text[1024];
    char subject[64];
    uint32_t no;
};

static bool note_visit(void *data, const flagver_version *version)
{
    struct visits *visits = data;
    size_t length = strlen(visits->text);

    snprintf(visits->text + length, sizeof visits->text - length, "%s%s%s#%u%s", length ? " " : "",
             strcmp(version->phase, FLAG) == 0 ? "" : "s:", version->subject, (unsigned)version->no,
             version->tombstone ? "!" : "");
    snprintf(visits->subject, sizeof visits->subject, "%s", version->subject);
    visits->no = version->no;
    return true;
}

static void assert_list(flagver_client *client, const char *phase,
                        const flagver_list_options *options, const char *expected)
{
    struct visits visits = { .no = 0 };

    assert_ok(flagver_version_list(client, phase, options, note_visit, &visits, &error));
    ck_assert_str_eq(visits.text, expected);
}

static void create(flagver_client *client, const flagver_actor *actor, const char *subject)
{
    flagver_txn *txn = begin_as(client, actor, NULL);

    assert_ok(flagver_version_create(txn, FLAG, subject, "{\"type\":\"boolean\"}", 18, NULL, NULL,
                                     &error));
    commit(txn);
}

static void withdraw(flagver_client *client, const char *subject, uint32_t no)
{
    flagver_txn *txn = begin(client);

    assert_ok(flagver_version_withdraw(txn, FLAG, subject, no, NULL, NULL, &error));
    commit(txn);
}

/*
 * a: superseded, approved, two drafts, the second bob's; aa: a draft; b: withdrawn, a draft of
 * bob's; c: superseded, a tombstone. Segments a and b: approved.
 */
static flagver_client *with_many(int kind)
{
    flagver_client *client = open_store(kind);

    put_flag(client, "a", SIMPLE);
    put_flag(client, "a", SHARE(1));
    create(client, &alice, "a");
    create(client, &bob, "a");
    create(client, &alice, "aa");
    create(client, &alice, "b");
    withdraw(client, "b", 1);
    create(client, &bob, "b");
    put_flag(client, "c", SIMPLE);
    delete_flag(client, "c");
    put_segment(client, "a", "{'include':['u']}");
    put_segment(client, "b", "{'include':['u']}");
    return client;
}

START_TEST(a_list_by_states_has_every_version_in_them)
{
    flagver_client *client = with_many(_i);

    assert_list(client, FLAG, NULL, "a#2");
    assert_list(client, FLAG, LIST(.states = DRAFT), "a#3 a#4 aa#1 b#2");
    assert_list(client, FLAG, LIST(.states = WITHDRAWN), "b#1");
    assert_list(client, FLAG, LIST(.states = SUPERSEDED), "a#1 c#1");
    assert_list(client, FLAG, LIST(.states = APPROVED), "a#2");
    assert_list(client, FLAG, LIST(.states = APPROVED, .all = 1), "a#2 c#2!");
    assert_list(client, FLAG, LIST(.states = DRAFT | WITHDRAWN), "a#3 a#4 aa#1 b#1 b#2");
    assert_list(client, FLAG, LIST(.states = FLAGVER_STATES(FLAGVER_STATE_REJECTED)), "");
    assert_list(client, FLAG, LIST(.states = DRAFT, .prefix = "a"), "a#3 a#4 aa#1");
    assert_list(client, FLAG, LIST(.states = DRAFT, .backwards = 1), "b#2 aa#1 a#4 a#3");
    assert_list(client, FLAG, LIST(.states = DRAFT, .limit = 2), "a#3 a#4");
    assert_list(client, FLAG, LIST(.states = DRAFT, .after = "a"), "aa#1 b#2");
    flagver_close(client);
}
END_TEST

START_TEST(a_list_by_author_is_what_that_one_has_created)
{
    flagver_client *client = with_many(_i);

    assert_list(client, FLAG, LIST(.states = DRAFT, .author = "bob"), "a#4 b#2");
    assert_list(client, FLAG, LIST(.states = DRAFT, .author = "alice"), "a#3 aa#1");
    assert_list(client, FLAG, LIST(.states = DRAFT, .author = "alice", .limit = 1), "a#3");
    assert_list(client, FLAG, LIST(.states = DRAFT, .author = "bob", .limit = 2), "a#4 b#2");
    assert_list(client, FLAG, LIST(.author = "alice"), "a#2");
    assert_list(client, FLAG, LIST(.author = "bob"), "");
    assert_list(client, FLAG, LIST(.states = DRAFT, .author = "bo"), "");
    assert_list(client, FLAG, LIST(.states = DRAFT, .author = "bobby"), "");
    flagver_close(client);
}
END_TEST

START_TEST(a_list_of_no_phase_is_of_all)
{
    flagver_client *client = with_many(_i);

    assert_list(client, NULL, NULL, "a#2 s:a#1 s:b#1");
    assert_list(client, NULL, LIST(.prefix = "b"), "s:b#1");
    assert_list(client, NULL, LIST(.backwards = 1), "s:b#1 s:a#1 a#2");
    assert_list(client, NULL, LIST(.limit = 2), "a#2 s:a#1");
    assert_list(client, NULL, LIST(.states = DRAFT | APPROVED), "a#2 a#3 a#4 aa#1 b#2 s:a#1 s:b#1");
    flagver_close(client);
}
END_TEST

START_TEST(a_history_can_be_narrowed_too)
{
    flagver_client *client = with_many(_i);
    struct visits visits = { .no = 0 };

    assert_ok(flagver_version_history(client, FLAG, "a", LIST(.states = DRAFT | APPROVED),
                                      note_visit, &visits, &error));
    ck_assert_str_eq(visits.text, "a#2 a#3 a#4");
    visits.text[0] = 0;
    assert_ok(flagver_version_history(client, FLAG, "a", LIST(.author = "bob", .limit = 1),
                                      note_visit, &visits, &error));
    ck_assert_str_eq(visits.text, "a#4");
    flagver_close(client);
}
END_TEST

/* The whole list, `limit` at a time. */
static void assert_pages(flagver_client *client, uint32_t limit, bool backwards, const char *author,
                         const char *expected)
{
    flagver_list_options options = { .size = sizeof options,
                                     .limit = limit,
                                     .backwards = backwards,
                                     .author = author,
                                     .states = DRAFT | APPROVED | SUPERSEDED | WITHDRAWN,
                                     .all = 1 };
    struct visits visits = { .no = 0 };
    char after[64];
    size_t before;

    do {
        before = strlen(visits.text);
        assert_ok(flagver_version_list(client, FLAG, &options, note_visit, &visits, &error));
        strcpy(after, visits.subject);
        options.after = after;
        options.after_no = visits.no;
    } while (strlen(visits.text) > before);
    ck_assert_str_eq(visits.text, expected);
}

START_TEST(pages_may_end_amid_a_subject)
{
    flagver_client *client = with_many(_i);
    uint32_t limit;

    for (limit = 1; limit < 10; limit++) {
        assert_pages(client, limit, false, NULL, "a#1 a#2 a#3 a#4 aa#1 b#1 b#2 c#1 c#2!");
        assert_pages(client, limit, true, NULL, "c#2! c#1 b#2 b#1 aa#1 a#4 a#3 a#2 a#1");
        assert_pages(client, limit, false, "alice", "a#1 a#2 a#3 aa#1 b#1 c#1 c#2!");
    }
    assert_list(client, FLAG, LIST(.states = DRAFT, .prefix = "b", .after = "a", .after_no = 3),
                "b#2");
    assert_list(client, FLAG, LIST(.after = "a", .after_no = 1), "");
    flagver_close(client);
}
END_TEST

static bool never(void *data, const flagver_version *version)
{
    (void)data;
    ck_abort_msg("%s was visited", version->subject);
    return false;
}

START_TEST(lists_that_make_no_sense_are_refused)
{
    flagver_client *client = with_many(0);

    assert_fails(FLAGVER_EINVAL,
                 flagver_version_list(client, FLAG, LIST(.states = 1), never, NULL, &error));
    assert_words("0x1");
    assert_fails(FLAGVER_EINVAL, flagver_version_list(client, FLAG, LIST(.states = DRAFT | 256),
                                                      never, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_version_history(client, FLAG, "a", LIST(.states = 256),
                                                         never, NULL, &error));
    assert_fails(
        FLAGVER_EINVAL,
        flagver_version_list(client, FLAG, LIST(.states = DRAFT, .as_of = 1), never, NULL, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_version_list(client, FLAG, LIST(.author = ""), never, NULL, &error));
    assert_words("author");
    assert_fails(FLAGVER_EINVAL,
                 flagver_version_list(client, NULL, LIST(.after = "a"), never, NULL, &error));
    assert_words("after");
    flagver_close(client);
}
END_TEST

/* ---- items and votes ---- */

static bool never_an_item(void *data, const flagver_item *item)
{
    (void)data;
    ck_abort_msg("%s was visited", item->key);
    return false;
}

static bool never_a_vote(void *data, const flagver_vote *vote)
{
    (void)data;
    ck_abort_msg("%s was visited", vote->actor);
    return false;
}

START_TEST(a_version_without_items_and_votes_has_none)
{
    flagver_client *client = with_many(_i);

    assert_ok(flagver_items_list(client, FLAG, "a", 2, never_an_item, NULL, &error));
    assert_ok(flagver_votes_list(client, FLAG, "a", 2, never_a_vote, NULL, &error));
    flagver_close(client);
}
END_TEST

START_TEST(items_and_votes_of_what_is_not_there_are_not_found)
{
    flagver_client *client = with_many(_i), *other = NULL;

    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_items_list(client, FLAG, "a", 9, never_an_item, NULL, &error));
    assert_words("no version 9 of flagver.flag \"a\"");
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_votes_list(client, FLAG, "a", 9, never_a_vote, NULL, &error));
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_items_list(client, FLAG, "a", 0, never_an_item, NULL, &error));
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_votes_list(client, FLAG, "nope", 1, never_a_vote, NULL, &error));
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_items_list(client, "nope", "a", 1, never_an_item, NULL, &error));
    assert_ok(flagver_client_tenant(client, "other", &other, &error));
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_votes_list(other, FLAG, "a", 2, never_a_vote, NULL, &error));
    flagver_close(other);
    flagver_close(client);
}
END_TEST

START_TEST(items_and_votes_of_nothing_are_refused)
{
    flagver_client *client = open_store(0);

    assert_fails(FLAGVER_EINVAL, flagver_items_list(client, FLAG, "a", 1, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_votes_list(client, FLAG, "a", 1, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_items_list(client, NULL, "a", 1, never_an_item, NULL, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_votes_list(client, FLAG, "", 1, never_a_vote, NULL, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_votes_list(NULL, FLAG, "a", 1, never_a_vote, NULL, &error));
    flagver_close(client);
}
END_TEST

START_TEST(states_of_items_have_names)
{
    ck_assert_str_eq(flagver_item_status_name(FLAGVER_ITEM_PENDING), "pending");
    ck_assert_str_eq(flagver_item_status_name(FLAGVER_ITEM_APPROVED), "approved");
    ck_assert_str_eq(flagver_item_status_name(FLAGVER_ITEM_REJECTED), "rejected");
    ck_assert_ptr_null(flagver_item_status_name(3));
    ck_assert_ptr_null(flagver_item_status_name(-1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history");
    TCase *tcase = add_store_tcase(suite, "history");

    tcase_add_loop_test(tcase, a_list_by_states_has_every_version_in_them, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, a_list_by_author_is_what_that_one_has_created, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, a_list_of_no_phase_is_of_all, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, a_history_can_be_narrowed_too, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, pages_may_end_amid_a_subject, 0, STORE_KINDS);
    tcase_add_test(tcase, lists_that_make_no_sense_are_refused);
    tcase_add_loop_test(tcase, a_version_without_items_and_votes_has_none, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, items_and_votes_of_what_is_not_there_are_not_found, 0, STORE_KINDS);
    tcase_add_test(tcase, items_and_votes_of_nothing_are_refused);
    tcase_add_test(tcase, states_of_items_have_names);
    return run_store_suite(suite);
}
