/*
 * Lists by state and author, of all phases and page by page; items and votes; what the log says.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "records.h"

#include "crypto/crypto.h"
#include "flagver/key.h"

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

#define P "scoping"
#define S "cycle-7/report-12"

static flagver_client *open_phase(int kind, const char *policy)
{
    flagver_client *client = open_store(kind);

    set_policy(client, &dan, P, policy);
    return client;
}

static void assert_hash_of(const char *text, const uint8_t hash[32])
{
    struct fv_crypto *crypto = fv_crypto_new();
    struct fv_digest *digest = fv_digest_new(crypto);
    uint8_t expected[FV_DIGEST_SIZE];

    fv_digest_start(digest);
    fv_digest_add(digest, text, strlen(text));
    ck_assert(fv_digest_end(digest, expected));
    ck_assert_mem_eq(hash, expected, sizeof expected);
    fv_digest_free(digest);
    fv_crypto_free(crypto);
}

/* "KEY=PAYLOAD:STATUS(BY,NOTE)ORIGIN …" */
struct parts {
    char text[1024];
    int left; /* stops at 0; negative: never */
};

static bool note_item(void *data, const flagver_item *item)
{
    struct parts *parts = data;
    size_t length = strlen(parts->text);

    snprintf(parts->text + length, sizeof parts->text - length, "%s%s=%s:%s(%s,%s)%u",
             length ? " " : "", item->key, item->payload ? item->payload : "gone",
             flagver_item_status_name(item->status), item->decided_by ? item->decided_by : "",
             item->note ? item->note : "", (unsigned)item->origin_no);
    ck_assert(!item->decided_by == !item->decided_at);
    if (item->payload) {
        ck_assert_uint_eq(item->payload_length, strlen(item->payload));
        assert_hash_of(item->payload, item->hash);
    }
    return --parts->left != 0;
}

static void assert_items(flagver_client *client, uint32_t no, int left, const char *expected)
{
    struct parts parts = { .left = left };

    assert_ok(flagver_items_list(client, P, S, no, note_item, &parts, &error));
    ck_assert_str_eq(parts.text, expected);
}

START_TEST(items_are_visited_by_key)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':{'role_in':['Tester']}}}");

    done(client, dan, CREATE, P, S, .json = "{}");
    done(client, dan, ITEMS_PUT, P, S, 1, "{'b':1}", "b");
    done(client, dan, ITEMS_PUT, P, S, 1, "[2]", "a/1");
    done(client, dan, ITEMS_PUT, P, S, 1, "3", "c");
    assert_items(client, 1, -1, "a/1=[2]:pending(,)0 b={\"b\":1}:pending(,)0 c=3:pending(,)0");
    assert_items(client, 1, 2, "a/1=[2]:pending(,)0 b={\"b\":1}:pending(,)0");

    done(client, dan, SUBMIT, P, S, 1);
    done(client, ann, DECIDE, P, S, 1, .key = "b", .status = FLAGVER_ITEM_APPROVED,
         .options.note = "right");
    done(client, ann, DECIDE, P, S, 1, .key = "c", .status = FLAGVER_ITEM_REJECTED);
    assert_items(client, 1, -1,
                 "a/1=[2]:pending(,)0 b={\"b\":1}:approved(ann,right)1 c=3:rejected(ann,)0");
    done(client, ann, APPROVE, P, S, 1);
    done(client, dan, CREATE, P, S, .json = "{}", .options.baseline_no = 1);
    done(client, dan, ITEMS_PUT, P, S, 2, "4", "d");
    assert_items(client, 2, -1, "b={\"b\":1}:approved(ann,right)1 d=4:pending(,)0");
    flagver_close(client);
}
END_TEST

static bool note_author(void *data, const char *actor)
{
    struct parts *parts = data;
    size_t length = strlen(parts->text);

    snprintf(parts->text + length, sizeof parts->text - length, "%s%s", length ? " " : "", actor);
    return --parts->left != 0;
}

START_TEST(authors_are_who_created_a_version_and_who_edited_it)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':'anyone'}}");
    struct parts all = { .left = -1 }, first = { .left = 1 }, alone = { .left = -1 };

    done(client, dan, CREATE, P, S, .json = "{}");
    assert_ok(flagver_authors_list(client, P, S, 1, note_author, &alone, &error));
    ck_assert_str_eq(alone.text, "dan");
    done(client, cat, EDIT, P, S, 1, .json = "1");
    done(client, dan, EDIT, P, S, 1, .json = "2");
    done(client, ann, EDIT, P, S, 1, .json = "3");
    assert_ok(flagver_authors_list(client, P, S, 1, note_author, &all, &error));
    ck_assert_str_eq(all.text, "dan ann cat");
    assert_ok(flagver_authors_list(client, P, S, 1, note_author, &first, &error));
    ck_assert_str_eq(first.text, "dan");
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_authors_list(client, P, S, 2, note_author, &all, &error));
    assert_fails(FLAGVER_EINVAL, flagver_authors_list(client, P, S, 1, NULL, NULL, &error));
    flagver_close(client);
}
END_TEST

/* "ACTOR(NOTE) …" */
static bool note_vote(void *data, const flagver_vote *vote)
{
    struct parts *parts = data;
    size_t length = strlen(parts->text);

    snprintf(parts->text + length, sizeof parts->text - length, "%s%s(%s)", length ? " " : "",
             vote->actor, vote->note ? vote->note : "");
    ck_assert_int_gt(vote->time, 0);
    return --parts->left != 0;
}

START_TEST(votes_are_visited_as_they_came)
{
    flagver_client *client = open_phase(_i, "{'approval':{'rule':'anyone','min':3}}");
    struct parts all = { .left = -1 }, first = { .left = 1 };

    done(client, dan, CREATE, P, S, .json = "{}");
    done(client, dan, SUBMIT, P, S, 1);
    assert_ok(flagver_votes_list(client, P, S, 1, never_a_vote, NULL, &error));
    done(client, cat, APPROVE, P, S, 1, .options.note = "fine");
    done(client, ann, APPROVE, P, S, 1);
    done(client, ben, APPROVE, P, S, 1, .options.note = "me too");
    assert_ok(flagver_votes_list(client, P, S, 1, note_vote, &all, &error));
    ck_assert_str_eq(all.text, "cat(fine) ann() ben(me too)");
    assert_ok(flagver_votes_list(client, P, S, 1, note_vote, &first, &error));
    ck_assert_str_eq(first.text, "cat(fine)");
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

/* ---- what was shredded ---- */

static flagver_version *get(flagver_client *client, uint32_t no)
{
    flagver_version *version = NULL;

    assert_ok(flagver_version_get(client, P, S, no, &version, &error));
    return version;
}

static void shred(flagver_client *client, uint32_t no)
{
    const flagver_actor actor = actor_of(&ann);
    flagver_txn *txn = NULL;

    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    assert_ok(flagver_version_shred(txn, P, S, no, "too old", &error));
    commit(txn);
}

static bool note_payload(void *data, const flagver_version *version)
{
    struct parts *parts = data;
    size_t length = strlen(parts->text);

    snprintf(parts->text + length, sizeof parts->text - length, "%s%u=%s", length ? " " : "",
             (unsigned)version->no, version->payload ? version->payload : "gone");
    return true;
}

START_TEST(what_was_shredded_is_read_without_its_content)
{
    flagver_client *client = open_phase(
        _i, "{'approval':{'rule':'anyone','min':0},'shred':{'role_in':['Tester']}}");
    struct parts parts = { .left = -1 };
    flagver_version *before, *after;
    char *text = NULL;

    done(client, dan, CREATE, P, S, .json = "{'a':1}");
    done(client, dan, ITEMS_PUT, P, S, 1, "1", "sample");
    done(client, dan, SUBMIT, P, S, 1);
    done(client, dan, PUT, P, S, .json = "{'a':2}");
    before = get(client, 1);
    shred(client, 1);
    after = get(client, 1);

    ck_assert_str_eq(before->payload, "{\"a\":1}");
    ck_assert_ptr_null(after->payload);
    ck_assert_uint_eq(after->payload_length, 0);
    ck_assert_mem_eq(after->content_hash, before->content_hash, 32);
    ck_assert_int_eq(after->state, FLAGVER_STATE_SUPERSEDED);
    assert_items(client, 1, -1, "sample=gone:pending(,)0");
    assert_ok(
        flagver_version_history(client, P, S, LIST(.payload = 1), note_payload, &parts, &error));
    ck_assert_str_eq(parts.text, "1=gone 2={\"a\":2}");

    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_version_diff(client, P, S, 1, 2, FLAGVER_DIFF_LINES, &text, &error));
    assert_words("version 1 of \"cycle-7/report-12\"");
    assert_words("shredded");
    assert_fails(FLAGVER_ENOTFOUND,
                 flagver_version_diff(client, P, S, 2, 1, FLAGVER_DIFF_MERGE_PATCH, &text, &error));
    assert_ok(flagver_version_diff(client, P, S, 0, 2, FLAGVER_DIFF_MERGE_PATCH, &text, &error));
    ck_assert_str_eq(text, "{\"a\":2}");
    flagver_string_free(text);
    flagver_version_free(before);
    flagver_version_free(after);
    flagver_close(client);
}
END_TEST

START_TEST(what_was_shredded_in_force_is_still_in_force)
{
    flagver_client *client = open_phase(
        _i, "{'approval':{'rule':'anyone','min':0},'shred':{'role_in':['Tester']}}");
    flagver_version *version = NULL;

    done(client, dan, PUT, P, S, .json = "{'a':1}");
    shred(client, 1);
    assert_ok(flagver_version_current(client, P, S, &version, &error));
    ck_assert_uint_eq(version->no, 1);
    ck_assert_ptr_null(version->payload);
    flagver_version_free(version);
    flagver_close(client);
}
END_TEST

/* ---- emergencies ---- */

START_TEST(a_version_says_that_it_was_an_emergency)
{
    flagver_client *client = open_store(_i);
    const flagver_write_options urgent = { .size = sizeof urgent,
                                           .note = "it burns",
                                           .flags = FLAGVER_WRITE_EMERGENCY };
    const flagver_actor actor = actor_of(&ann);
    flagver_version *version = NULL;
    flagver_txn *txn = NULL;

    put_flag(client, "f", SIMPLE);
    set_policy(
        client, &dan, FLAG,
        "{'approval':{'rule':{'role_in':['Test Lead']}},'emergency':{'role_in':['Tester']}}");
    assert_ok(flagver_txn_begin(client, &actor, NULL, &txn, &error));
    assert_ok(flagver_flag_disable(txn, "f", &urgent, NULL, &error));
    commit(txn);

    assert_ok(flagver_version_current(client, FLAG, "f", &version, &error));
    ck_assert_uint_eq(version->no, 2);
    ck_assert(version->emergency);
    flagver_version_free(version);
    assert_ok(flagver_version_get(client, FLAG, "f", 1, &version, &error));
    ck_assert(!version->emergency);
    flagver_version_free(version);
    flagver_close(client);
}
END_TEST

/* ---- the log ---- */

/* "ACTION by ACTOR, FROM>TO, POLICY@NO RULE rREV pPARENT bBASE vREVERTS k:KEY nNOTE dDECISIONS" */
static bool note_entry(void *data, const flagver_audit_entry *entry)
{
    static const uint8_t none[32];
    struct parts *parts = data;
    size_t length = strlen(parts->text);

    if (strcmp(entry->phase, P) != 0)
        return true;
    snprintf(parts->text + length, sizeof parts->text - length,
             "%s by %s, %d>%d, %s@%u %s r%d p%u b%u v%u k:%s n%d d%d\n", entry->action,
             entry->actor, (int)entry->from, (int)entry->to, entry->policy,
             (unsigned)entry->policy_no, entry->rule, (int)entry->rev, (unsigned)entry->parent_no,
             (unsigned)entry->base_no, (unsigned)entry->reverts_no, entry->idempotency_key,
             memcmp(entry->note_hash, none, 32) != 0, memcmp(entry->decisions_hash, none, 32) != 0);
    return true;
}

START_TEST(the_log_says_what_allowed_it)
{
    flagver_client *client = open_phase(
        _i, "{'approval':{'rule':{'any':[{'role_in':['Test Lead']},{'assigned':'owner'}]}},"
            "'write':{'role_in':['Tester']}}");
    const flagver_txn_options keyed = { .size = sizeof keyed, .idempotency_key = "key-1" };
    const flagver_actor actor = actor_of(&ann);
    struct parts parts = { .left = -1 };
    flagver_txn *txn;

    txn = begin_as(client, &actor, &keyed);
    assert_ok(flagver_version_create(txn, P, S, "1", 1, NULL, NULL, &error));
    commit(txn);
    done(client, ann, ITEMS_PUT, P, S, 1, "1", "sample");
    done(client, ann, SUBMIT, P, S, 1);
    done(client, ben, DECIDE, P, S, 1, .key = "sample", .status = FLAGVER_ITEM_APPROVED);
    done(client, ben, APPROVE, P, S, 1, .options.note = "fine");
    done(client, ann, CREATE, P, S, .json = "2");
    done(client, ann, SUBMIT, P, S, 2);
    done(client, ben, APPROVE, P, S, 2);
    done(client, ann, REVERT, P, S, 1);

    assert_ok(flagver_audit_log(client, 0, 0, note_entry, &parts, NULL, &error));
    ck_assert_str_eq(parts.text,
                     "create by ann, 0>1, scoping@1 role_in:Tester r1 p0 b0 v0 k:key-1 n0 d0\n"
                     "edit by ann, 1>1, scoping@1 role_in:Tester r2 p0 b0 v0 k: n0 d0\n"
                     "submit by ann, 1>2, scoping@1 role_in:Tester r3 p0 b0 v0 k: n0 d0\n"
                     "decide by ben, 2>2, scoping@1 role_in:Test Lead r4 p0 b0 v0 k: n0 d1\n"
                     "approve by ben, 2>3, scoping@1 role_in:Test Lead r5 p0 b0 v0 k: n1 d1\n"
                     "create by ann, 0>1, scoping@1 role_in:Tester r1 p1 b1 v0 k: n0 d0\n"
                     "submit by ann, 1>2, scoping@1 role_in:Tester r2 p1 b1 v0 k: n0 d0\n"
                     "approve by ben, 2>3, scoping@1 role_in:Test Lead r3 p1 b1 v0 k: n0 d0\n"
                     "create by ann, 0>1, scoping@1 role_in:Tester r2 p2 b2 v1 k: n0 d1\n");
    flagver_close(client);
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
    tcase_add_loop_test(tcase, items_are_visited_by_key, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, votes_are_visited_as_they_came, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, authors_are_who_created_a_version_and_who_edited_it, 0, STORE_KINDS);
    tcase_add_test(tcase, states_of_items_have_names);
    tcase_add_loop_test(tcase, what_was_shredded_is_read_without_its_content, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, what_was_shredded_in_force_is_still_in_force, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, a_version_says_that_it_was_an_emergency, 0, STORE_KINDS);
    tcase_add_loop_test(tcase, the_log_says_what_allowed_it, 0, STORE_KINDS);
    return run_store_suite(suite);
}
