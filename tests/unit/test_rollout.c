/*
 * Changing flags and segments in a store: what each call makes of a definition,
 * what definitions may refer to, and files of them.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include "stores.h"

#define FLAG FLAGVER_PHASE_FLAG
#define SEGMENT FLAGVER_PHASE_SEGMENT
#define SCHEDULE "{'interpolate':'linear','steps':[{'at':'2030-01-01T00:00:00Z','percentage':10}]}"

/* ---- operations in a line ---- */

/* The text in force; "-" for none. Freed by the caller. */
static char *text_of(flagver_client *client, const char *phase, const char *key)
{
    flagver_version *version;
    char *text;

    if (flagver_version_current(client, phase, key, &version, NULL) < 0)
        return quoted("-");
    text = quoted(version->payload);
    flagver_version_free(version);
    return text;
}

static void assert_text(flagver_client *client, const char *key, const char *expected)
{
    char *text = text_of(client, FLAG, key), *wanted = quoted(expected);

    ck_assert_str_eq(text, wanted);
    free(text);
    free(wanted);
}

static int put_as(flagver_client *client, const char *phase, const char *key, const char *json)
{
    flagver_txn *txn = begin(client);
    int r = try_put(txn, phase, key, json, NULL, NULL);

    if (r == 0)
        r = flagver_txn_commit(txn, &error);
    flagver_txn_free(txn);
    return r;
}

static int delete_as(flagver_client *client, const char *phase, const char *key)
{
    flagver_txn *txn = begin(client);
    int r = strcmp(phase, FLAG) == 0 ? flagver_flag_delete(txn, key, NULL, NULL, &error)
                                     : flagver_segment_delete(txn, key, NULL, NULL, &error);

    if (r == 0)
        r = flagver_txn_commit(txn, &error);
    flagver_txn_free(txn);
    return r;
}

/* One change of a flag. */
struct change {
    enum { ENABLE, DISABLE, RAMP, RELEASE, ADD, REMOVE, RESCHEDULE, REVERT } kind;
    double percentage;
    const char *users[3];
    size_t user_count;
    const char *schedule;
    uint32_t no;
};

static int change_in(flagver_txn *txn, const char *key, const struct change *change,
                     const flagver_write_options *options, uint32_t *ret_no)
{
    char *schedule = change->schedule ? quoted(change->schedule) : NULL;
    int r = 0;

    memset(&error, 0, sizeof error);
    switch (change->kind) {
    case ENABLE:
        r = flagver_flag_enable(txn, key, options, ret_no, &error);
        break;
    case DISABLE:
        r = flagver_flag_disable(txn, key, options, ret_no, &error);
        break;
    case RAMP:
        r = flagver_flag_ramp(txn, key, change->percentage, options, ret_no, &error);
        break;
    case RELEASE:
        r = flagver_flag_release(txn, key, options, ret_no, &error);
        break;
    case ADD:
        r = flagver_flag_beta_add(txn, key, change->users, change->user_count, options, ret_no,
                                  &error);
        break;
    case REMOVE:
        r = flagver_flag_beta_remove(txn, key, change->users, change->user_count, options, ret_no,
                                     &error);
        break;
    case RESCHEDULE:
        r = flagver_flag_schedule(txn, key, schedule, schedule ? strlen(schedule) : 0, options,
                                  ret_no, &error);
        break;
    case REVERT:
        r = flagver_flag_revert(txn, key, change->no, options, ret_no, &error);
        break;
    }
    free(schedule);
    return r;
}

/* ---- changes of a flag ---- */

static const struct {
    const char *label, *before;
    struct change change;
    int code;
    const char *after;
} changes[] = {
    { "enable",
      "{'enabled':false,'type':'boolean'}",
      { .kind = ENABLE },
      0,
      "{'enabled':true,'type':'boolean'}" },
    { "disable", SIMPLE, { .kind = DISABLE }, 0, "{'enabled':false,'type':'boolean'}" },
    { "disable what is no boolean",
      "{'default':'v','type':'integer','variants':{'v':1}}",
      { .kind = DISABLE },
      0,
      "{'default':'v','enabled':false,'type':'integer','variants':{'v':1}}" },
    { "ramp", SHARE(10), { RAMP, .percentage = 25 }, 0, "{'percentage':25,'type':'boolean'}" },
    { "ramp to a fraction",
      SHARE(10),
      { RAMP, .percentage = 0.125 },
      0,
      "{'percentage':0.125,'type':'boolean'}" },
    { "ramp keeps beta users",
      "{'beta':['u'],'percentage':1,'type':'boolean'}",
      { RAMP, .percentage = 2 },
      0,
      "{'beta':['u'],'percentage':2,'type':'boolean'}" },
    { "ramp replaces a schedule",
      "{'schedule':" SCHEDULE ",'type':'boolean'}",
      { RAMP, .percentage = 5 },
      0,
      "{'percentage':5,'type':'boolean'}" },
    { "ramp replaces a split",
      "{'split':{'off':1,'on':1},'type':'boolean'}",
      { RAMP, .percentage = 5 },
      0,
      "{'percentage':5,'type':'boolean'}" },
    { "ramp too far", SHARE(10), { RAMP, .percentage = 100.5 }, FLAGVER_EINVAL, NULL },
    { "ramp below nothing", SHARE(10), { RAMP, .percentage = -1 }, FLAGVER_EINVAL, NULL },
    { "ramp too finely", SHARE(10), { RAMP, .percentage = 0.1234 }, FLAGVER_EINVAL, NULL },
    { "ramp what is no boolean", VALUE(1), { RAMP, .percentage = 5 }, FLAGVER_EINVAL, NULL },
    { "release",
      "{'beta':['u'],'enabled':false,'percentage':1,'type':'boolean'}",
      { .kind = RELEASE },
      0,
      "{'enabled':true,'percentage':100,'type':'boolean'}" },
    { "release what is scheduled",
      "{'schedule':" SCHEDULE ",'type':'boolean'}",
      { .kind = RELEASE },
      0,
      "{'percentage':100,'type':'boolean'}" },
    { "release what is no boolean", VALUE(1), { .kind = RELEASE }, FLAGVER_EINVAL, NULL },
    { "add",
      SHARE(0),
      { ADD, .users = { "u1", "u2" }, .user_count = 2 },
      0,
      "{'beta':['u1','u2'],'percentage':0,'type':'boolean'}" },
    { "add who is there",
      "{'beta':['u1'],'type':'boolean'}",
      { ADD, .users = { "u1", "u2", "u1" }, .user_count = 3 },
      0,
      "{'beta':['u1','u2'],'type':'boolean'}" },
    { "add nobody", SHARE(0), { ADD, .user_count = 0 }, 0, "{'percentage':0,'type':'boolean'}" },
    { "add NULL",
      SHARE(0),
      { ADD, .users = { "u1", NULL }, .user_count = 2 },
      FLAGVER_EINVAL,
      NULL },
    { "remove",
      "{'beta':['u1','u2','u3'],'type':'boolean'}",
      { REMOVE, .users = { "u1", "u3" }, .user_count = 2 },
      0,
      "{'beta':['u2'],'type':'boolean'}" },
    { "remove who is not there",
      "{'beta':['u1'],'type':'boolean'}",
      { REMOVE, .users = { "u2" }, .user_count = 1 },
      0,
      "{'beta':['u1'],'type':'boolean'}" },
    { "remove the last one",
      "{'beta':['u1'],'type':'boolean'}",
      { REMOVE, .users = { "u1" }, .user_count = 1 },
      0,
      "{'percentage':0,'type':'boolean'}" },
    { "schedule",
      SHARE(5),
      { RESCHEDULE, .schedule = SCHEDULE },
      0,
      "{'schedule':" SCHEDULE ",'type':'boolean'}" },
    { "schedule nothing",
      "{'beta':['u'],'schedule':" SCHEDULE ",'type':'boolean'}",
      { RESCHEDULE, .schedule = NULL },
      0,
      "{'beta':['u'],'type':'boolean'}" },
    { "schedule nonsense",
      SHARE(5),
      { RESCHEDULE, .schedule = "{'steps':1}" },
      FLAGVER_EPARSE,
      NULL },
    { "schedule what is no object",
      SHARE(5),
      { RESCHEDULE, .schedule = "[]" },
      FLAGVER_EPARSE,
      NULL },
    { "revert to itself", SHARE(5), { REVERT, .no = 1 }, 0, "{'percentage':5,'type':'boolean'}" },
    { "revert to what is not there", SHARE(5), { REVERT, .no = 2 }, FLAGVER_ENOTFOUND, NULL },
};

/* Each makes a version, also one that changes nothing. */
START_TEST(a_change_makes_of_a_definition_what_it_says)
{
    const flagver_write_options options = { .size = sizeof options, .note = "why", .expect_no = 1 };
    flagver_client *client = open_store(0);
    flagver_version *version;
    flagver_txn *txn;
    uint32_t no = 77;
    int r;

    put_flag(client, "f", changes[_i].before);
    txn = begin(client);
    r = change_in(txn, "f", &changes[_i].change, &options, &no);
    ck_assert_msg(r == changes[_i].code, "%s: %d %s", changes[_i].label, r, error.message);
    commit(txn);
    ck_assert_uint_eq(no, r == 0 ? 2 : 77);
    ck_assert_uint_eq(flag_no(client, "f"), r == 0 ? 2 : 1);
    if (r == 0) {
        assert_text(client, "f", changes[_i].after);
        assert_ok(flagver_version_current(client, FLAG, "f", &version, &error));
        ck_assert_str_eq(version->note, "why");
        ck_assert_str_eq(version->created_by, "alice");
        flagver_version_free(version);
    }
    flagver_close(client);
}
END_TEST

static const struct change every_change[] = {
    { .kind = ENABLE },
    { .kind = DISABLE },
    { RAMP, .percentage = 1 },
    { .kind = RELEASE },
    { ADD, .users = { "u" }, .user_count = 1 },
    { REMOVE, .users = { "u" }, .user_count = 1 },
    { RESCHEDULE, .schedule = SCHEDULE },
    { REVERT, .no = 1 },
};

START_TEST(a_flag_that_is_not_there_cannot_be_changed)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn;
    int i;

    put_flag(client, "gone", SIMPLE);
    delete_flag(client, "gone");
    txn = begin(client);
    for (i = 0; i < COUNT(every_change); i++) {
        assert_fails(FLAGVER_ENOTFOUND, change_in(txn, "f", &every_change[i], NULL, NULL));
        if (every_change[i].kind != REVERT)
            assert_fails(FLAGVER_ENOTFOUND, change_in(txn, "gone", &every_change[i], NULL, NULL));
    }
    assert_fails(FLAGVER_ENOTFOUND, flagver_flag_delete(txn, "gone", NULL, NULL, &error));
    flagver_txn_free(txn);
    flagver_close(client);
}
END_TEST

START_TEST(every_change_knows_expectations)
{
    const flagver_write_options wrong = { .size = sizeof wrong, .expect_no = 3 };
    flagver_client *client = open_store(_i);
    flagver_txn *txn;
    int i;

    put_flag(client, "f", SHARE(1));
    txn = begin(client);
    for (i = 0; i < COUNT(every_change); i++)
        assert_fails(FLAGVER_ECONFLICT, change_in(txn, "f", &every_change[i], &wrong, NULL));
    assert_fails(FLAGVER_ECONFLICT, flagver_flag_delete(txn, "f", &wrong, NULL, &error));
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "f"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(changes_of_one_transaction_build_on_each_other)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    uint32_t no;
    int i;

    put_flag_in(txn, "f", SHARE(1));
    for (i = 0; i < 7; i++) {
        assert_ok(change_in(txn, "f", &every_change[i], NULL, &no));
        ck_assert_uint_eq(no, (uint32_t)i + 2);
    }
    commit(txn);
    assert_text(client, "f", "{'enabled':true,'schedule':" SCHEDULE ",'type':'boolean'}");
    flagver_close(client);
}
END_TEST

START_TEST(a_segment_can_be_put_reverted_and_deleted)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    static const char one[] = "{\"include\":[\"a\"]}", two[] = "{\"include\":[\"b\"]}";
    uint32_t no;
    char *text;

    assert_ok(flagver_segment_put(txn, "s", one, strlen(one), NULL, &no, &error));
    ck_assert_uint_eq(no, 1);
    assert_ok(flagver_segment_put(txn, "s", two, strlen(two), NULL, NULL, &error));
    assert_ok(flagver_segment_revert(txn, "s", 1, NULL, &no, &error));
    ck_assert_uint_eq(no, 3);
    commit(txn);
    text = text_of(client, SEGMENT, "s");
    ck_assert_str_eq(text, one);
    free(text);
    txn = begin(client);
    assert_ok(flagver_segment_delete(txn, "s", NULL, &no, &error));
    ck_assert_uint_eq(no, 4);
    assert_fails(FLAGVER_ESTATE, flagver_segment_revert(txn, "s", 4, NULL, &no, &error));
    assert_fails(FLAGVER_ENOTFOUND, flagver_segment_delete(txn, "s", NULL, &no, &error));
    commit(txn);
    ck_assert_uint_eq(current_no(client, SEGMENT, "s"), 0);
    flagver_close(client);
}
END_TEST

START_TEST(a_key_has_1_to_256_bytes)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    char key[258];

    memset(key, 'k', sizeof key);
    key[257] = 0;
    assert_fails(FLAGVER_EINVAL,
                 flagver_flag_put(txn, key, "{\"type\":\"boolean\"}", 18, NULL, NULL, &error));
    assert_words("flag key is 257 bytes; 1 to 256 allowed");
    key[256] = 0;
    assert_ok(flagver_flag_put(txn, key, "{\"type\":\"boolean\"}", 18, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_flag_enable(txn, "", NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_flag_enable(txn, NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_flag_put(txn, "f", NULL, 0, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_flag_beta_add(txn, key, NULL, 1, NULL, NULL, &error));
    commit(txn);
    ck_assert_uint_eq(flag_no(client, key), 1);
    flagver_close(client);
}
END_TEST

/* ---- references ---- */

#define NEEDS(flag, variant) \
    "{'type':'boolean','requires':[{'flag':'" flag "','variant':'" variant "'}]}"
#define ASKS(segment) "{'type':'boolean','rules':[{'if':{'segment':'" segment "'},'serve':'on'}]}"
#define IN(segment) "{'if':{'segment':'" segment "'}}"

static const struct {
    const char *label, *phase, *json, *words;
} dangling[] = {
    { "a flag", FLAG, NEEDS("none", "on"), "none" },
    { "a variant", FLAG, NEEDS("f", "maybe"), "maybe" },
    { "a segment", FLAG, ASKS("none"), "none" },
    { "a segment of a segment", SEGMENT, IN("none"), "none" },
    { "a flag in a condition", FLAG,
      "{'type':'boolean','rules':[{'if':{'flag':'none','variant':'on'},'serve':'on'}]}", "none" },
    { "a flag that was deleted", FLAG, NEEDS("gone", "on"), "gone" },
    { "itself", FLAG, NEEDS("new", "on"), "new" },
    { "itself, as a segment", SEGMENT, IN("new"), "new" },
};

START_TEST(what_is_not_there_cannot_be_referred_to)
{
    flagver_client *client = open_store(_i);
    uint64_t leaves;
    int row;

    put_flag(client, "f", SIMPLE);
    put_flag(client, "gone", SIMPLE);
    delete_flag(client, "gone");
    leaves = leaves_of(client);
    for (row = 0; row < COUNT(dangling); row++) {
        assert_fails(FLAGVER_EPARSE,
                     put_as(client, dangling[row].phase, "new", dangling[row].json));
        ck_assert_msg(strstr(error.message, dangling[row].words) != NULL, "%s: %s",
                      dangling[row].label, error.message);
    }
    ck_assert_uint_eq(leaves_of(client), leaves);
    flagver_close(client);
}
END_TEST

START_TEST(what_comes_first_in_a_transaction_can_be_referred_to)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);

    assert_fails(FLAGVER_EPARSE, try_put(txn, FLAG, "b", NEEDS("a", "on"), NULL, NULL));
    put_flag_in(txn, "a", SIMPLE);
    put_segment_in(txn, "s", "{'include':['u']}");
    put_segment_in(txn, "t", IN("s"));
    put_flag_in(txn, "b", NEEDS("a", "on"));
    put_flag_in(txn, "c", ASKS("t"));
    commit(txn);
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "b", "{'targetingKey':'u'}", "true on DEFAULT");
    assert_flag(client, "c", "{'targetingKey':'u'}", "true on TARGETING_MATCH");
    flagver_close(client);
}
END_TEST

START_TEST(circles_are_refused_however_long)
{
    flagver_client *client = open_store(_i);

    put_flag(client, "a", SIMPLE);
    put_flag(client, "b", NEEDS("a", "on"));
    put_flag(client, "c", NEEDS("b", "on"));
    assert_fails(FLAGVER_EPARSE, put_as(client, FLAG, "a", NEEDS("b", "on")));
    assert_fails(FLAGVER_EPARSE, put_as(client, FLAG, "a", NEEDS("c", "on")));
    put_segment(client, "s", "{'include':['u']}");
    put_segment(client, "t", IN("s"));
    assert_fails(FLAGVER_EPARSE, put_as(client, SEGMENT, "s", IN("t")));
    ck_assert_uint_eq(flag_no(client, "a"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(a_draft_is_checked_like_everything_that_is_written)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);
    static const char needs[] = "{\"type\":\"boolean\",\"requires\":[{\"flag\":\"a\","
                                "\"variant\":\"on\"}]}";

    assert_fails(FLAGVER_EPARSE,
                 flagver_version_create(txn, FLAG, "b", needs, strlen(needs), NULL, NULL, &error));
    put_flag_in(txn, "a", SIMPLE);
    assert_ok(flagver_version_create(txn, FLAG, "b", needs, strlen(needs), NULL, NULL, &error));
    commit(txn);
    delete_flag(client, "a"); /* a draft keeps nobody from that */
    txn = begin(client);
    assert_fails(FLAGVER_EPARSE, flagver_version_submit(txn, FLAG, "b", 1, NULL, NULL, &error));
    assert_fails(FLAGVER_EPARSE,
                 flagver_version_edit(txn, FLAG, "b", 1, needs, strlen(needs), NULL, NULL, &error));
    put_flag_in(txn, "a", SIMPLE);
    assert_ok(flagver_version_submit(txn, FLAG, "b", 1, NULL, NULL, &error));
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "b"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(going_back_is_checked_too)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn;

    put_segment(client, "s", "{'include':['u']}");
    put_flag(client, "f", ASKS("s"));
    put_flag(client, "f", SIMPLE);
    assert_ok(delete_as(client, SEGMENT, "s"));
    txn = begin(client);
    assert_fails(FLAGVER_EPARSE, flagver_flag_revert(txn, "f", 1, NULL, NULL, &error));
    put_segment_in(txn, "s", "{'include':['u']}");
    assert_ok(flagver_flag_revert(txn, "f", 1, NULL, NULL, &error));
    commit(txn);
    flagver_close(client);
}
END_TEST

/* Something wrong elsewhere must not keep a good flag from being written. */
START_TEST(a_flag_is_not_blamed_for_what_others_lack)
{
    flagver_client *client = open_store(_i);

    put_flag(client, "a", "{'type':'string','variants':{'x':'1','y':'2'},'default':'x'}");
    put_flag(client, "b", NEEDS("a", "y"));
    put_flag(client, "a", "{'type':'string','variants':{'x':'1'},'default':'x'}");
    put_flag(client, "other", SIMPLE);
    put_flag(client, "c", NEEDS("b", "on"));
    assert_fails(FLAGVER_EPARSE, put_as(client, FLAG, "b", NEEDS("a", "y")));
    put_flag(client, "b", NEEDS("a", "x"));
    flagver_close(client);
}
END_TEST

START_TEST(what_is_referred_to_cannot_be_deleted)
{
    flagver_client *client = open_store(_i);

    put_flag(client, "a", SIMPLE);
    put_segment(client, "s", "{'include':['u']}");
    put_segment(client, "t", IN("s"));
    put_flag(client, "b", NEEDS("a", "on"));
    put_flag(client, "c", ASKS("t"));
    assert_fails(FLAGVER_ESTATE, delete_as(client, FLAG, "a"));
    assert_words("flag \"a\" is named by flag \"b\"");
    assert_fails(FLAGVER_ESTATE, delete_as(client, SEGMENT, "s"));
    assert_words("segment \"s\" is named by segment \"t\"");
    assert_fails(FLAGVER_ESTATE, delete_as(client, SEGMENT, "t"));
    put_flag(client, "b", SIMPLE);
    assert_ok(delete_as(client, FLAG, "a"));
    assert_ok(delete_as(client, FLAG, "c"));
    assert_ok(delete_as(client, SEGMENT, "t"));
    assert_ok(delete_as(client, SEGMENT, "s"));
    flagver_close(client);
}
END_TEST

/* A name is found however JSON spells it, and is not mistaken for another one. */
START_TEST(names_are_compared_as_what_they_mean)
{
    flagver_client *client = open_store(_i);

    put_flag(client, "say \\\"a\\\"", SIMPLE); /* a key with backslashes */
    put_flag(client, "a", SIMPLE);
    put_flag(client, "aa", SIMPLE);
    put_segment(client, "a", "{'include':['u']}");
    put_flag(client, "\xc3\xa9", SIMPLE);
    put_flag(client, "b", NEEDS("aa", "on"));
    put_flag(client, "c", NEEDS("\\u00e9", "on"));
    put_flag(client, "d",
             "{'type':'boolean','description':'a','beta':['a'],"
             "'rules':[{'id':'a','if':{'segment':'a'},'serve':'on'}]}");
    assert_fails(FLAGVER_ESTATE, delete_as(client, FLAG, "\xc3\xa9"));
    assert_fails(FLAGVER_ESTATE, delete_as(client, SEGMENT, "a"));
    assert_ok(delete_as(client, FLAG, "a"));
    assert_ok(delete_as(client, FLAG, "say \\\"a\\\""));
    flagver_close(client);
}
END_TEST

START_TEST(who_referred_may_be_deleted_in_the_same_transaction)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn;

    put_flag(client, "a", SIMPLE);
    put_flag(client, "b", NEEDS("a", "on"));
    txn = begin(client);
    assert_fails(FLAGVER_ESTATE, flagver_flag_delete(txn, "a", NULL, NULL, &error));
    assert_ok(flagver_flag_delete(txn, "b", NULL, NULL, &error));
    assert_ok(flagver_flag_delete(txn, "a", NULL, NULL, &error));
    put_flag_in(txn, "a", SIMPLE);
    put_flag_in(txn, "b", NEEDS("a", "on"));
    assert_fails(FLAGVER_ESTATE, flagver_flag_delete(txn, "a", NULL, NULL, &error));
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 3);
    flagver_close(client);
}
END_TEST

/* ---- flags as code ---- */

/* Steps, one a line: "+ flag KEY", "~ segment KEY #NO", "- flag KEY #NO". */
static void note_step(void *data, const flagver_plan_step *step)
{
    struct fv_text *out = data;

    fv_text_format(out, "%c %s %s",
                   step->action == FLAGVER_PLAN_CREATE   ? '+'
                   : step->action == FLAGVER_PLAN_CHANGE ? '~'
                   : step->action == FLAGVER_PLAN_DELETE ? '-'
                                                         : '?',
                   step->segment ? "segment" : "flag", step->key);
    if (step->current_no)
        fv_text_format(out, " #%u", (unsigned)step->current_no);
    fv_text_add_char(out, '\n');
}

static void assert_plan(flagver_client *client, const char *json, bool prune, const char *expected)
{
    struct fv_text steps = FV_TEXT_INIT;
    char *text = quoted(json);
    int count = flagver_flags_plan(client, text, strlen(text), "file", prune, note_step, &steps,
                                   &error);
    const char *at;

    ck_assert_msg(count >= 0, "%s", error.message);
    ck_assert_str_eq(steps.data, expected);
    for (at = expected; *at; at++)
        count -= *at == '\n';
    ck_assert_int_eq(count, 0);
    fv_text_clear(&steps);
    free(text);
}

static int apply_in(flagver_txn *txn, const char *json, bool prune,
                    const flagver_write_options *options)
{
    char *text = quoted(json);
    int r;

    memset(&error, 0, sizeof error);
    r = flagver_flags_apply(txn, text, strlen(text), "file", prune, options, &error);
    free(text);
    return r;
}

static void apply(flagver_client *client, const char *json, bool prune, int expected)
{
    flagver_txn *txn = begin(client);
    int r = apply_in(txn, json, prune, NULL);

    ck_assert_msg(r == expected, "%d: %s", r, error.message);
    commit(txn);
}

#define FILE_1                                                                                \
    "{'flags':{'a':" SIMPLE ",'b':" NEEDS("a", "on") ",'c':" ASKS("s") "},'segments':{'s':{'" \
                                                                       "include':['u']}}}"

START_TEST(a_file_is_planned_and_applied)
{
    flagver_client *client = open_store(_i);

    assert_plan(client, FILE_1, false, "+ segment s\n+ flag a\n+ flag b\n+ flag c\n");
    ck_assert_uint_eq(leaves_of(client), 0);
    apply(client, FILE_1, false, 4);
    ck_assert_uint_eq(leaves_of(client), 8);
    assert_plan(client, FILE_1, false, "");
    apply(client, FILE_1, false, 0);
    apply(client, FILE_1, true, 0);
    ck_assert_uint_eq(leaves_of(client), 8);
    assert_text(client, "c", "{'rules':[{'if':{'segment':'s'},'serve':'on'}],'type':'boolean'}");
    flagver_close(client);
}
END_TEST

START_TEST(a_plan_tells_what_is_different)
{
    flagver_client *client = open_store(_i);

    apply(client, FILE_1, false, 4);
    put_flag(client, "a", SIMPLE);
    assert_plan(client, "{'flags':{'a':" SHARE(5) "}}", false, "~ flag a #2\n");
    assert_plan(client, "{'flags':{'a':" SHARE(5) "}}", true,
                "~ flag a #2\n- segment s #1\n- flag b #1\n- flag c #1\n");
    assert_plan(client, "{'flags':{'b':null}}", false, "- flag b #1\n");
    assert_plan(client, "{}", false, "");
    flagver_close(client);
}
END_TEST

static void check_difference(void *data, const flagver_plan_step *step)
{
    ck_assert_str_eq(step->difference, data);
}

START_TEST(a_step_shows_its_difference)
{
    static char expected[] = "~ /percentage: 1 -> 5\n";
    static const char file[] = "{\"flags\":{\"a\":{\"type\":\"boolean\",\"percentage\":5}}}";
    flagver_client *client = open_store(_i);

    put_flag(client, "a", SHARE(1));
    ck_assert_int_eq(flagver_flags_plan(client, file, strlen(file), NULL, false, check_difference,
                                        expected, &error),
                     1);
    ck_assert_int_eq(
        flagver_flags_plan(client, file, strlen(file), NULL, false, NULL, NULL, &error), 1);
    flagver_close(client);
}
END_TEST

START_TEST(pruning_deletes_what_the_file_does_not_have)
{
    flagver_client *client = open_store(_i);

    apply(client, FILE_1, false, 4);
    apply(client, "{'flags':{'a':" SIMPLE "}}", false, 0);
    ck_assert_uint_eq(flag_no(client, "c"), 1);
    apply(client, "{'flags':{'a':" SIMPLE "}}", true, 3);
    ck_assert_uint_eq(flag_no(client, "a"), 1);
    ck_assert_uint_eq(flag_no(client, "b"), 0);
    ck_assert_uint_eq(flag_no(client, "c"), 0);
    ck_assert_uint_eq(current_no(client, SEGMENT, "s"), 0);
    apply(client, "{}", true, 1);
    ck_assert_uint_eq(flag_no(client, "a"), 0);
    apply(client, FILE_1, false, 4);
    ck_assert_uint_eq(flag_no(client, "a"), 3);
    flagver_close(client);
}
END_TEST

/* Two flags that trade places could not be written one after the other. */
START_TEST(steps_of_a_file_are_checked_together)
{
    flagver_client *client = open_store(_i);

    apply(client, "{'flags':{'a':" SIMPLE ",'b':" NEEDS("a", "on") "}}", false, 2);
    apply(client, "{'flags':{'a':" NEEDS("b", "on") ",'b':" SIMPLE "}}", false, 2);
    assert_ok(flagver_client_refresh(client, &error));
    assert_flag(client, "a", NULL, "true on DEFAULT");
    flagver_close(client);
}
END_TEST

START_TEST(a_file_that_is_wrong_changes_nothing)
{
    static const char *const files[] = {
        "{'flags':{'a':" SHARE(5) ",'b':{'type':'nonsense'}}}",
        "{'flags':{'a':" SHARE(5) ",'b':" NEEDS("none", "on") "}}",
        "{'flags':{'a':null}}", /* 'b' needs it */
        "{'flags':{'a':" SHARE(5) "}",
        "[]",
        "",
    };
    flagver_client *client = open_store(_i);
    flagver_txn *txn;
    char *text;
    int i;

    apply(client, FILE_1, false, 4);
    for (i = 0; i < COUNT(files); i++) {
        text = quoted(files[i]);
        assert_fails(FLAGVER_EPARSE, flagver_flags_plan(client, text, strlen(text), "file", false,
                                                        NULL, NULL, &error));
        free(text);
        txn = begin(client);
        assert_fails(FLAGVER_EPARSE, apply_in(txn, files[i], false, NULL));
        assert_words("file:1:");
        commit(txn);
        ck_assert_uint_eq(leaves_of(client), 8);
    }
    flagver_close(client);
}
END_TEST

START_TEST(a_file_that_is_refused_half_way_leaves_nothing_behind)
{
    const flagver_write_options none = { .size = sizeof none, .expect_no = FLAGVER_EXPECT_NONE };
    const flagver_write_options no_size = { .note = "x" };
    flagver_client *client = open_store(_i);
    flagver_txn *txn;

    put_flag(client, "b", SHARE(1));
    txn = begin(client);
    assert_fails(FLAGVER_ECONFLICT,
                 apply_in(txn, "{'flags':{'a':" SIMPLE ",'b':" SHARE(2) "}}", false, &none));
    assert_fails(FLAGVER_EINVAL, apply_in(txn, "{'flags':{'a':" SIMPLE "}}", false, &no_size));
    put_flag_in(txn, "c", SIMPLE);
    commit(txn);
    ck_assert_uint_eq(flag_no(client, "a"), 0);
    ck_assert_uint_eq(flag_no(client, "b"), 1);
    ck_assert_uint_eq(flag_no(client, "c"), 1);
    flagver_close(client);
}
END_TEST

START_TEST(a_file_is_applied_in_the_transaction_that_sees_it)
{
    flagver_client *client = open_store(_i);
    flagver_txn *txn = begin(client);

    put_flag_in(txn, "a", SIMPLE);
    ck_assert_int_eq(
        apply_in(txn, "{'flags':{'a':" SIMPLE ",'b':" NEEDS("a", "on") "}}", false, NULL), 1);
    flagver_txn_free(txn);
    ck_assert_uint_eq(leaves_of(client), 0);
    flagver_close(client);
}
END_TEST

START_TEST(steps_carry_the_note_and_the_actor)
{
    const flagver_write_options options = { .size = sizeof options, .note = "from a file" };
    flagver_client *client = open_store(_i);
    flagver_version *version;
    flagver_txn *txn = begin_as(client, &bob, NULL);

    ck_assert_int_eq(apply_in(txn, "{'flags':{'a':" SIMPLE "}}", false, &options), 1);
    commit(txn);
    assert_ok(flagver_version_current(client, FLAG, "a", &version, &error));
    ck_assert_str_eq(version->note, "from a file");
    ck_assert_str_eq(version->created_by, "bob");
    flagver_version_free(version);
    flagver_close(client);
}
END_TEST

START_TEST(an_export_is_a_file_again)
{
    flagver_client *client = open_store(_i);
    char *json, *again;

    apply(client, FILE_1, false, 4);
    put_flag(client, "gone", SIMPLE);
    delete_flag(client, "gone");
    assert_ok(flagver_flags_export(client, &json, &error));
    ck_assert_ptr_null(strstr(json, "gone"));
    assert_plan(client, json, true, "");
    apply(client, "{}", true, 4);
    apply(client, json, true, 4);
    assert_ok(flagver_flags_export(client, &again, &error));
    ck_assert_str_eq(json, again);
    flagver_string_free(json);
    flagver_string_free(again);
    assert_fails(FLAGVER_EINVAL, flagver_flags_export(client, NULL, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_flags_plan(client, NULL, 0, NULL, false, NULL, NULL, &error));
    flagver_close(client);
}
END_TEST

START_TEST(an_empty_store_exports_a_file_of_nothing)
{
    flagver_client *client = open_store(_i);
    char *json;

    assert_ok(flagver_flags_export(client, &json, &error));
    assert_plan(client, json, true, "");
    flagver_string_free(json);
    flagver_close(client);
}
END_TEST

START_TEST(a_client_without_a_store_has_nothing_to_plan)
{
    flagver_client *client = client_of("{'flags':{}}", NULL);
    char *json;

    assert_fails(FLAGVER_ENOTSUP,
                 flagver_flags_plan(client, "{}", 2, NULL, false, NULL, NULL, &error));
    assert_fails(FLAGVER_ENOTSUP, flagver_flags_export(client, &json, &error));
    flagver_close(client);
}
END_TEST

static Suite *rollout_suite(void)
{
    Suite *suite = suite_create("rollout");
    TCase *changing = add_store_tcase(suite, "changing"),
          *references = add_store_tcase(suite, "references"),
          *files = add_store_tcase(suite, "files");

    tcase_add_loop_test(changing, a_change_makes_of_a_definition_what_it_says, 0, COUNT(changes));
    tcase_add_loop_test(changing, a_flag_that_is_not_there_cannot_be_changed, 0, STORE_KINDS);
    tcase_add_loop_test(changing, every_change_knows_expectations, 0, STORE_KINDS);
    tcase_add_loop_test(changing, changes_of_one_transaction_build_on_each_other, 0, STORE_KINDS);
    tcase_add_loop_test(changing, a_segment_can_be_put_reverted_and_deleted, 0, STORE_KINDS);
    tcase_add_loop_test(changing, a_key_has_1_to_256_bytes, 0, STORE_KINDS);

    tcase_add_loop_test(references, what_is_not_there_cannot_be_referred_to, 0, STORE_KINDS);
    tcase_add_loop_test(references, what_comes_first_in_a_transaction_can_be_referred_to, 0,
                        STORE_KINDS);
    tcase_add_loop_test(references, circles_are_refused_however_long, 0, STORE_KINDS);
    tcase_add_loop_test(references, a_draft_is_checked_like_everything_that_is_written, 0,
                        STORE_KINDS);
    tcase_add_loop_test(references, going_back_is_checked_too, 0, STORE_KINDS);
    tcase_add_loop_test(references, a_flag_is_not_blamed_for_what_others_lack, 0, STORE_KINDS);
    tcase_add_loop_test(references, what_is_referred_to_cannot_be_deleted, 0, STORE_KINDS);
    tcase_add_loop_test(references, names_are_compared_as_what_they_mean, 0, STORE_KINDS);
    tcase_add_loop_test(references, who_referred_may_be_deleted_in_the_same_transaction, 0,
                        STORE_KINDS);

    tcase_add_loop_test(files, a_file_is_planned_and_applied, 0, STORE_KINDS);
    tcase_add_loop_test(files, a_plan_tells_what_is_different, 0, STORE_KINDS);
    tcase_add_loop_test(files, a_step_shows_its_difference, 0, STORE_KINDS);
    tcase_add_loop_test(files, pruning_deletes_what_the_file_does_not_have, 0, STORE_KINDS);
    tcase_add_loop_test(files, steps_of_a_file_are_checked_together, 0, STORE_KINDS);
    tcase_add_loop_test(files, a_file_that_is_wrong_changes_nothing, 0, STORE_KINDS);
    tcase_add_loop_test(files, a_file_that_is_refused_half_way_leaves_nothing_behind, 0,
                        STORE_KINDS);
    tcase_add_loop_test(files, a_file_is_applied_in_the_transaction_that_sees_it, 0, STORE_KINDS);
    tcase_add_loop_test(files, steps_carry_the_note_and_the_actor, 0, STORE_KINDS);
    tcase_add_loop_test(files, an_export_is_a_file_again, 0, STORE_KINDS);
    tcase_add_loop_test(files, an_empty_store_exports_a_file_of_nothing, 0, STORE_KINDS);
    tcase_add_test(files, a_client_without_a_store_has_nothing_to_plan);
    return suite;
}

int main(void)
{
    return run_store_suite(rollout_suite());
}
