/*
 * Random histories of records under approval: on stores of every kind they come to what the pure
 * table of the machine says, with the same log to the last bit. And what tells them
 * again, tests/replay.h, finds whatever was changed in them.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp, clock_gettime */
#include <stddef.h>

#include "stores.h"

#include "replay.h"

#define DEALS 500
#define FEWER 60 /* where every commit writes the whole store */

/* ---- making histories ---- */

static void *zeros(size_t size)
{
    void *memory = calloc(1, size);

    ck_assert_ptr_nonnull(memory);
    return memory;
}

static void clear_history(struct history *history)
{
    free(history->diaries->deals);
    free(history->diaries->acts);
    free(history->diaries);
}

static flagver_client *open_timed(int kind, struct history *history)
{
    flagver_options options = quiet_options();

    options.clock = tell_deal_time;
    options.clock_data = &history->ticks;
    return open_with(kind, &options);
}

static void make_history(flagver_client *client, struct history *history, uint32_t deals)
{
    struct seed seed = seed_new(0);
    struct story story = { .step = 0 };
    struct deal *deal;
    bool is_told;
    uint32_t i;

    history_init(history, 1, deals + TOPICS, zeros);
    must(make_beginning(client, history, &error) == 0, "the beginning: %s", error.message);
    for (; deals; deals--) {
        deal = new_deal(history, 0);
        is_told = choose_next(history, &seed, &story, deal);
        for (i = 0; i < deal->asked; i++)
            if (looks_first(&deal->acts[i], &seed))
                look(client, &deal->acts[i]);
        enter_deal(history, deal);
        must(make_deal(client, deal, &error) == 0, "deal %u: %d %s", deal->number, deal->code,
             error.message);
        spread_deal(history, deal);
        if (is_told)
            go_on(&story, deal);
    }
}

static void assert_told(const struct history *history, flagver_client *client)
{
    struct replay replay;

    replay_init(&replay, history);
    ck_assert_msg(replay_store(&replay, client), "%s", replay.found);
    replay_free(&replay);
}

/* ---- what they come to ---- */

START_TEST(a_history_is_what_the_table_says)
{
    struct history history = { .threads = 0 };
    flagver_client *client = open_timed(_i, &history);

    make_history(client, &history, _i == JSONFILE_KIND ? FEWER : DEALS);
    assert_told(&history, client);
    flagver_close(client);
    clear_history(&history);
}
END_TEST

static void retell(const struct history *history, flagver_client *client)
{
    char found[FOUND_SIZE];
    uint32_t i;

    for (i = 0; i < history->diaries->count; i++)
        must(deal_comes_to_the_same(client, &history->diaries->deals[i], found), "%s", found);
}

START_TEST(every_store_comes_to_the_same)
{
    struct history history = { .threads = 0 };
    flagver_client *client = open_timed(0, &history), *other;

    make_history(client, &history, _i == JSONFILE_KIND ? FEWER : DEALS);
    other = open_timed(_i, &history);
    retell(&history, other);
    assert_told(&history, other);
    flagver_close(other);
    flagver_close(client);
    clear_history(&history);
}
END_TEST

START_TEST(what_was_done_is_not_done_again)
{
    struct history history = { .threads = 0 };
    flagver_client *client = open_timed(_i, &history);

    make_history(client, &history, FEWER);
    retell(&history, client);
    assert_told(&history, client);
    flagver_close(client);
    clear_history(&history);
}
END_TEST

/* ---- changes in the log ---- */

struct fact {
    const char *name;
    size_t at; /* where it is in its struct */
    bool is_text;
};

#define NUMBER(type, member)                          \
    {                                                 \
#member, offsetof(struct type, member), false \
    }
#define TEXT(type, member)                           \
    {                                                \
#member, offsetof(struct type, member), true \
    }

static void falsify(const struct fact *fact, void *data)
{
    static const char *const other = "other";

    if (fact->is_text)
        memcpy((char *)data + fact->at, &other, sizeof other);
    else
        *((unsigned char *)data + fact->at) ^= 1;
}

static const struct fact leaf_facts[] = {
    NUMBER(flagver_audit_entry, no),
    NUMBER(flagver_audit_entry, time),
    TEXT(flagver_audit_entry, actor),
    TEXT(flagver_audit_entry, action),
    TEXT(flagver_audit_entry, phase),
    TEXT(flagver_audit_entry, subject),
    NUMBER(flagver_audit_entry, version_no),
    NUMBER(flagver_audit_entry, supersedes),
    NUMBER(flagver_audit_entry, from),
    NUMBER(flagver_audit_entry, to),
    NUMBER(flagver_audit_entry, bits),
    NUMBER(flagver_audit_entry, content_hash),
    NUMBER(flagver_audit_entry, leaf_hash),
    NUMBER(flagver_audit_entry, rev),
    NUMBER(flagver_audit_entry, parent_no),
    NUMBER(flagver_audit_entry, base_no),
    NUMBER(flagver_audit_entry, reverts_no),
    NUMBER(flagver_audit_entry, policy_no),
    TEXT(flagver_audit_entry, policy),
    TEXT(flagver_audit_entry, rule),
    TEXT(flagver_audit_entry, idempotency_key),
    NUMBER(flagver_audit_entry, decisions_hash),
    NUMBER(flagver_audit_entry, note_hash),
};

/* The log of a history, to be changed. */
struct log {
    struct history history;
    struct fv_arena texts;
    flagver_client *client;
    flagver_audit_entry *entries;
    size_t count;
};

static const char *text_of(struct log *log, const char *text)
{
    const char *copy = fv_arena_string(&log->texts, text, strlen(text));

    ck_assert_ptr_nonnull(copy);
    return copy;
}

static bool keep_leaf(void *data, const flagver_audit_entry *entry)
{
    struct log *log = data;
    flagver_audit_entry *kept;

    log->entries = more_room(log->entries, log->count, sizeof *log->entries);
    kept = &log->entries[log->count++];
    *kept = *entry;
    kept->actor = text_of(log, entry->actor);
    kept->action = text_of(log, entry->action);
    kept->phase = text_of(log, entry->phase);
    kept->subject = text_of(log, entry->subject);
    kept->policy = text_of(log, entry->policy);
    kept->rule = text_of(log, entry->rule);
    kept->idempotency_key = text_of(log, entry->idempotency_key);
    return true;
}

static void make_log(struct log *log)
{
    memset(log, 0, sizeof *log);
    fv_arena_init(&log->texts, NULL, 4096);
    log->client = open_timed(0, &log->history);
    make_history(log->client, &log->history, DEALS / 4);
    assert_ok(flagver_audit_log(log->client, 0, 0, keep_leaf, log, NULL, &error));
}

static void clear_log(struct log *log)
{
    flagver_close(log->client);
    clear_history(&log->history);
    fv_arena_clear(&log->texts);
    free(log->entries);
}

static bool tells(struct log *log, struct replay *replay)
{
    bool fine = true;
    size_t i;

    replay_init(replay, &log->history);
    for (i = 0; fine && i < log->count; i++)
        fine = replay_leaf(replay, &log->entries[i]);
    return fine && replay_end(replay) && replay_head(replay, log->client);
}

static void assert_finds(struct log *log, const char *what)
{
    struct replay replay;
    bool fine = tells(log, &replay);

    ck_assert_msg(!fine && replay.found[0], "nobody has noticed another %s", what);
    replay_free(&replay);
}

static void swap_leaves(struct log *log, size_t a, size_t b)
{
    flagver_audit_entry entry = log->entries[a];

    log->entries[a] = log->entries[b];
    log->entries[b] = entry;
}

START_TEST(a_changed_leaf_is_found)
{
    flagver_audit_entry *entry, honest;
    struct replay replay;
    struct log log;
    size_t at;

    make_log(&log);
    ck_assert_msg(tells(&log, &replay), "%s", replay.found);
    replay_free(&replay);
    for (at = 0; at < log.count; at += log.count / 7) {
        entry = &log.entries[at];
        honest = *entry;
        falsify(&leaf_facts[_i], entry);
        assert_finds(&log, leaf_facts[_i].name);
        *entry = honest;
    }
    clear_log(&log);
}
END_TEST

START_TEST(another_order_of_leaves_is_found)
{
    struct log log;
    size_t at;

    make_log(&log);
    for (at = 1; at < log.count; at += log.count / 29) {
        swap_leaves(&log, at - 1, at);
        assert_finds(&log, "order");
        swap_leaves(&log, at - 1, at);
    }
    /* Even when the leaves say that they come in this order. */
    swap_leaves(&log, log.count / 2, log.count - 1);
    log.entries[log.count / 2].no = log.count / 2;
    log.entries[log.count - 1].no = log.count - 1;
    assert_finds(&log, "order");
    clear_log(&log);
}
END_TEST

START_TEST(a_missing_leaf_is_found)
{
    struct log log;

    make_log(&log);
    log.count--; /* the last */
    assert_finds(&log, "end");
    memmove(log.entries + 20, log.entries + 21, (log.count - 20) * sizeof *log.entries);
    assert_finds(&log, "number of leaves");
    clear_log(&log);
}
END_TEST

START_TEST(another_root_that_was_seen_is_found)
{
    struct head head = { .size = 40 };
    struct replay replay;
    struct log log;
    bool fine = true;
    size_t i;

    make_log(&log);
    replay_init(&replay, &log.history);
    replay.heads = &head;
    replay.head_count = 1;
    for (i = 0; fine && i < log.count; i++)
        fine = replay_leaf(&replay, &log.entries[i]);
    ck_assert(!fine);
    ck_assert_ptr_nonnull(strstr(replay.found, "another root"));
    replay_free(&replay);
    clear_log(&log);
}
END_TEST

/* ---- changes in what clients were told ---- */

static const struct fact act_facts[] = {
    NUMBER(act, code), NUMBER(act, state),   NUMBER(act, ret_no),
    NUMBER(act, rev),  NUMBER(act, content), NUMBER(act, note),
};

static const struct fact deal_facts[] = { NUMBER(deal, member), NUMBER(deal, clock),
                                          NUMBER(deal, code) };

/* One of which all of it counts: a plain text was put. */
static struct deal *telling_deal(struct history *history)
{
    const struct act *act;
    uint32_t i;

    for (i = history->diaries->count - 1; i; i--) {
        act = &history->diaries->deals[i].acts[0];
        if (act->deed == DO_CREATE && act->code == 0 && topics[act->topic].form == PLAIN)
            return &history->diaries->deals[i];
    }
    ck_abort_msg("nothing was created");
}

START_TEST(another_result_is_found)
{
    struct log log;

    make_log(&log);
    falsify(&act_facts[_i], telling_deal(&log.history)->acts);
    assert_finds(&log, act_facts[_i].name);
    clear_log(&log);
}
END_TEST

START_TEST(another_deal_is_found)
{
    struct log log;

    make_log(&log);
    falsify(&deal_facts[_i], telling_deal(&log.history));
    assert_finds(&log, deal_facts[_i].name);
    clear_log(&log);
}
END_TEST

START_TEST(who_had_ended_does_not_come_later)
{
    struct deal *deals;
    struct log log;

    make_log(&log);
    deals = log.history.diaries->deals;
    deals[50].invoked = deals[51].returned + 1;
    deals[50].returned = deals[50].invoked + 1;
    assert_finds(&log, "order in time");
    clear_log(&log);
}
END_TEST

/* ---- changes in the store: what was told differs from it ---- */

static const struct fact version_facts[] = {
    NUMBER(told_version, parent_no),     NUMBER(told_version, base_no),
    NUMBER(told_version, reverts_no),    NUMBER(told_version, superseded_by),
    NUMBER(told_version, bits),          NUMBER(told_version, content),
    NUMBER(told_version, note),          NUMBER(told_version, state),
    NUMBER(told_version, rev),           NUMBER(told_version, created_at),
    NUMBER(told_version, submitted_at),  NUMBER(told_version, decided_at),
    NUMBER(told_version, superseded_at), NUMBER(told_version, created_by),
    NUMBER(told_version, decided_by),    NUMBER(told_version, shredded),
    NUMBER(told_version, hash),          NUMBER(told_version, vote_count),
};

static const struct fact item_facts[] = {
    NUMBER(told_item, there),      NUMBER(told_item, content), NUMBER(told_item, origin_no),
    NUMBER(told_item, note),       NUMBER(told_item, status),  NUMBER(told_item, decided_at),
    NUMBER(told_item, decided_by), NUMBER(told_item, hash),
};

static const struct fact vote_facts[] = { NUMBER(told_vote, member), NUMBER(told_vote, hash),
                                          NUMBER(told_vote, time), NUMBER(told_vote, note) };

static struct replay store_told;
static struct log told_log;

static void tell_store(void)
{
    make_log(&told_log);
    ck_assert_msg(tells(&told_log, &store_told), "%s", store_told.found);
}

static void assert_differs(uint8_t topic, const struct fact *fact, void *data)
{
    ck_assert_msg(replay_series(&store_told, told_log.client, topic), "%s", store_told.found);
    falsify(fact, data);
    ck_assert_msg(!replay_series(&store_told, told_log.client, topic), "another %s was not found",
                  fact->name);
    replay_free(&store_told);
    clear_log(&told_log);
}

/* The last version that is like this, of whatever topic. */
static struct told_version *find_version(bool (*is_it)(const struct told_version *version),
                                         uint8_t *ret_topic)
{
    struct told_series *series;
    uint32_t no;

    for (*ret_topic = 0; *ret_topic < TOPICS; ++*ret_topic) {
        series = &store_told.series[*ret_topic];
        for (no = series->count; no; no--)
            if (is_it(&series->versions[no - 1]))
                return &series->versions[no - 1];
    }
    ck_abort_msg("no version is like this");
}

static bool is_readable(const struct told_version *version)
{
    return !version->shredded && version->content != NO_CONTENT;
}

START_TEST(another_version_is_found)
{
    struct told_version *version;
    uint8_t topic;

    tell_store();
    version = find_version(is_readable, &topic);
    assert_differs(topic, &version_facts[_i], version);
}
END_TEST

static bool has_items_told(const struct told_version *version)
{
    return version->items && version->items[1].there;
}

static bool has_votes_told(const struct told_version *version)
{
    return version->vote_count > 0;
}

START_TEST(another_item_is_found)
{
    struct told_version *version;
    uint8_t topic;

    tell_store();
    version = find_version(has_items_told, &topic);
    assert_differs(topic, &item_facts[_i], &version->items[1]);
}
END_TEST

START_TEST(another_vote_is_found)
{
    struct told_version *version;
    uint8_t topic;

    tell_store();
    version = find_version(has_votes_told, &topic);
    assert_differs(topic, &vote_facts[_i], version->votes);
}
END_TEST

/* ---- what holds of all of them ---- */

static const struct fact held_facts[] = {
    NUMBER(told_version, state),
    NUMBER(told_version, superseded_by),
    NUMBER(told_version, superseded_at),
    NUMBER(told_version, hash),
};

static bool was_superseded(const struct told_version *version)
{
    return version->state == FLAGVER_STATE_SUPERSEDED && version->needed;
}

START_TEST(what_does_not_hold_is_found)
{
    struct told_version *version;
    uint8_t topic;

    tell_store();
    ck_assert_msg(invariants_hold(&store_told), "%s", store_told.found);
    version = find_version(was_superseded, &topic);
    falsify(&held_facts[_i], version);
    ck_assert(!invariants_hold(&store_told));
    replay_free(&store_told);
    clear_log(&told_log);
}
END_TEST

static Suite *replay_suite(void)
{
    Suite *suite = suite_create("replay");
    TCase *tests = add_store_tcase(suite, "histories");
    TCase *changes = add_store_tcase(suite, "changes in them");

    tcase_add_loop_test(tests, a_history_is_what_the_table_says, 0, STORE_KINDS);
    tcase_add_loop_test(tests, every_store_comes_to_the_same, 1, STORE_KINDS);
    tcase_add_loop_test(tests, what_was_done_is_not_done_again, 0, STORE_KINDS);
    tcase_add_loop_test(changes, a_changed_leaf_is_found, 0, COUNT(leaf_facts));
    tcase_add_test(changes, another_order_of_leaves_is_found);
    tcase_add_test(changes, a_missing_leaf_is_found);
    tcase_add_test(changes, another_root_that_was_seen_is_found);
    tcase_add_loop_test(changes, another_result_is_found, 0, COUNT(act_facts));
    tcase_add_loop_test(changes, another_deal_is_found, 0, COUNT(deal_facts));
    tcase_add_test(changes, who_had_ended_does_not_come_later);
    tcase_add_loop_test(changes, another_version_is_found, 0, COUNT(version_facts));
    tcase_add_loop_test(changes, another_item_is_found, 0, COUNT(item_facts));
    tcase_add_loop_test(changes, another_vote_is_found, 0, COUNT(vote_facts));
    tcase_add_loop_test(changes, what_does_not_hold_is_found, 0, COUNT(held_facts));
    return suite;
}

int main(void)
{
    return run_store_suite(replay_suite());
}
