/*
 * Queries: a small world is written, and every kind of question about it is compared
 * with an answer that is worked out here, by looking at everything.
 */
#include <stdio.h>

#include "fixture.h"

/* ---- the world ---- */

#define VERSIONS 4

struct known_series {
    flagver_series_row row;
    flagver_version_row versions[VERSIONS];
    char bodies[VERSIONS][48];
};

/* Subjects in byte order; '%' and '_' mean nothing, nor does a collation. */
static const char *const subjects[] = {
    "%",
    "A",
    "A/b",
    "_",
    "a",
    "a%b",
    "a/",
    "a/b",
    "a/b/c",
    "a/bc",
    "a0",
    "aa",
    "a\xc3\xa9",
    "b",
    "zz",
    "\xc3\xa9",
    "\xc3\xa9/x",
    "\xef\xbf\xbd",
    "\xf0\x9f\x98\x80",
    "\xf4\x8f\xbf\xbf",
    "\xf4\x8f\xbf\xbf/x",
};
#define SUBJECTS (sizeof subjects / sizeof *subjects)

/* Phases in byte order: one that begins like others, one of records, one empty-looking. */
static const char *const phases[] = { "fla", "flag", "flag.x", "log" };
#define PHASES (sizeof phases / sizeof *phases)

#define SERIES (SUBJECTS * PHASES)

/* In order of phase and subject. */
static struct known_series world[SERIES];

static void remember(struct known_series *known, const flagver_version_row *version)
{
    known->versions[version->no - 1] = *version;
}

static flagver_version_row next(flagver_driver_txn *txn, struct known_series *known, int32_t state)
{
    uint32_t no = known->row.last_no + 1;
    char *body = known->bodies[no - 1];
    flagver_version_row version;

    snprintf(body, sizeof *known->bodies, "{\"series\":%u,\"no\":%u}", (unsigned)(known - world),
             (unsigned)no);
    version = conform_next_version(txn, &known->row, state, body);
    remember(known, &version);
    return version;
}

/* Versions up to `count` approved one after the other. */
static void approve_all(flagver_driver_txn *txn, struct known_series *known, uint32_t count)
{
    flagver_version_row current, version;
    uint32_t no;

    for (no = 1; no <= count; no++) {
        version = next(txn, known, FLAGVER_STATE_DRAFT);
        conform_approve(txn, &known->row, no > 1 ? &current : NULL, &version);
        if (no > 1)
            remember(known, &current);
        remember(known, &version);
        current = version;
    }
}

static void end_draft(flagver_driver_txn *txn, struct known_series *known, int32_t state)
{
    flagver_version_row version = next(txn, known, FLAGVER_STATE_DRAFT);

    if (state == FLAGVER_STATE_REJECTED)
        assert_ok(conform_move(txn, &version, FLAGVER_STATE_SUBMITTED, 0));
    assert_ok(conform_move(txn, &version, state, 0));
    remember(known, &version);
}

static void live(flagver_driver_txn *txn, struct known_series *known, size_t way)
{
    switch (way) {
    case 0:
        approve_all(txn, known, 1);
        break;
    case 1:
        approve_all(txn, known, 3);
        break;
    case 2:
        next(txn, known, FLAGVER_STATE_DRAFT);
        break;
    case 3:
        /* What was rejected was decided, but never in force. */
        approve_all(txn, known, 1);
        end_draft(txn, known, FLAGVER_STATE_REJECTED);
        end_draft(txn, known, FLAGVER_STATE_SUBMITTED);
        break;
    case 4:
        end_draft(txn, known, FLAGVER_STATE_WITHDRAWN);
        end_draft(txn, known, FLAGVER_STATE_REJECTED);
        break;
    default:
        approve_all(txn, known, 2);
        next(txn, known, FLAGVER_STATE_DRAFT);
        break;
    }
}

static void record(flagver_driver_txn *txn, struct known_series *known, size_t count)
{
    while (count--)
        next(txn, known, FLAGVER_STATE_RECORDED);
}

static void make_world(void)
{
    flagver_driver_txn *txn = conform_write();
    size_t i, at;

    memset(world, 0, sizeof world);
    /* Written in an order that is none, so that nobody reads them in order by accident. */
    for (i = 0; i < SERIES; i++) {
        struct known_series *known;

        at = i * 37 % SERIES;
        known = &world[at];
        known->row = conform_series((unsigned)at + 1, phases[at / SUBJECTS],
                                    subjects[at % SUBJECTS]);
        if (at / SUBJECTS == 3)
            record(txn, known, 1 + at % 3);
        else
            live(txn, known, at % 6);
    }
    conform_commit(txn);
}

/* ---- the answer, by looking at everything ---- */

struct answer {
    const struct known_series *series[SERIES * VERSIONS];
    const flagver_version_row *versions[SERIES * VERSIONS];
    size_t count;
};

static int compare(flagver_bytes a, flagver_bytes b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static bool is_chosen(const flagver_query *query, const flagver_series_row *row)
{
    int order = query->after.data ? compare(row->subject, query->after) : 0;

    if (query->phase.data && compare(row->phase, query->phase) != 0)
        return false;
    if (query->after.data && (query->backwards ? order >= 0 : order <= 0))
        return false;
    if (!query->subject.data)
        return true;
    if (!query->prefix)
        return compare(row->subject, query->subject) == 0;
    return row->subject.length >= query->subject.length &&
           memcmp(row->subject.data, query->subject.data, query->subject.length) == 0;
}

static bool is_in_force(const struct known_series *known, const flagver_version_row *version,
                        int64_t time)
{
    if (version->state == FLAGVER_STATE_RECORDED)
        return version->created_at <= time &&
               (version->no == known->row.last_no || version[1].created_at > time);
    return (version->state == FLAGVER_STATE_APPROVED ||
            version->state == FLAGVER_STATE_SUPERSEDED) &&
           version->decided_at <= time &&
           (version->superseded_at == 0 || version->superseded_at > time);
}

static bool is_picked(const flagver_query *query, const struct known_series *known,
                      const flagver_version_row *version)
{
    if (query->states && !(query->states & UINT32_C(1) << version->state))
        return false;
    switch (query->pick) {
    case FLAGVER_PICK_CURRENT:
        return version->no == known->row.current_no;
    case FLAGVER_PICK_AS_OF:
        return is_in_force(known, version, query->time);
    case FLAGVER_PICK_NUMBER:
        return version->no == query->no;
    default:
        return query->after_no == 0 ||
               (query->backwards ? version->no < query->after_no : version->no > query->after_no);
    }
}

static void add_answer(struct answer *answer, const flagver_query *query,
                       const struct known_series *known, const flagver_version_row *version)
{
    if (query->limit && answer->count == query->limit)
        return;
    answer->series[answer->count] = known;
    answer->versions[answer->count++] = version;
}

static void work_out(struct answer *answer, const flagver_query *query)
{
    size_t i, j;

    answer->count = 0;
    for (i = 0; i < SERIES; i++) {
        const struct known_series *known = &world[query->backwards ? SERIES - 1 - i : i];

        if (!is_chosen(query, &known->row))
            continue;
        if (query->kind == FLAGVER_QUERY_SERIES)
            add_answer(answer, query, known, NULL);
        for (j = 0; j < known->row.last_no && query->kind == FLAGVER_QUERY_VERSIONS; j++) {
            const flagver_version_row *version =
                &known->versions[query->backwards ? known->row.last_no - 1 - j : j];

            if (is_picked(query, known, version))
                add_answer(answer, query, known, version);
        }
    }
}

/* ---- asking ---- */

static const char *shown(flagver_bytes text)
{
    static char buffers[4][64];
    static unsigned turn;
    char *buffer = buffers[turn++ % 4];

    if (!text.data)
        return "none";
    snprintf(buffer, sizeof *buffers, "\"%.*s\"", (int)(text.length < 50 ? text.length : 50),
             (const char *)text.data);
    return buffer;
}

static const char *described(const flagver_query *query)
{
    static char words[512];

    snprintf(words, sizeof words,
             "query %d, pick %d, phase %s, subject %s, prefix %d, after %s, after_no %u, "
             "backwards %d, no %u, limit %u, time %lld, states %#x",
             (int)query->kind, (int)query->pick, shown(query->phase), shown(query->subject),
             (int)query->prefix, shown(query->after), (unsigned)query->after_no,
             (int)query->backwards, (unsigned)query->no, (unsigned)query->limit,
             (long long)query->time, (unsigned)query->states);
    return words;
}

static void check_payload(const flagver_query *query, const flagver_version_row *got,
                          const struct known_series *known)
{
    flagver_bytes wanted = conform_text(query->payload ? known->bodies[got->no - 1] : NULL);

    ck_assert_msg(conform_same(got->payload, wanted), "payload of %s/%s %u is %s instead of %s: %s",
                  shown(got->phase), shown(got->subject), (unsigned)got->no, shown(got->payload),
                  shown(wanted), described(query));
}

/* Ask and compare; the number of rows. */
static size_t ask(flagver_driver_txn *txn, const flagver_query *query)
{
    static struct answer answer;
    struct conform_rows rows;
    size_t i, count;

    work_out(&answer, query);
    conform_scan(txn, query, &rows);
    ck_assert_msg(rows.count == answer.count, "%zu rows instead of %zu: %s", rows.count,
                  answer.count, described(query));
    for (i = 0; i < rows.count; i++) {
        const struct known_series *known = answer.series[i];

        if (query->kind == FLAGVER_QUERY_SERIES) {
            conform_check_series(&rows.rows[i].as.series, &known->row);
            continue;
        }
        ck_assert_msg(compare(rows.rows[i].as.version.subject, known->row.subject) == 0 &&
                          rows.rows[i].as.version.no == answer.versions[i]->no,
                      "row %zu is %s %u instead of %s %u: %s", i,
                      shown(rows.rows[i].as.version.subject), (unsigned)rows.rows[i].as.version.no,
                      shown(known->row.subject), (unsigned)answer.versions[i]->no,
                      described(query));
        conform_check_version(&rows.rows[i].as.version, answer.versions[i], &known->row);
        check_payload(query, &rows.rows[i].as.version, known);
    }
    count = rows.count;
    conform_free(&rows);
    return count;
}

/* Ask forwards and backwards, without a limit and with small ones. */
static size_t ask_all_ways(flagver_driver_txn *txn, flagver_query query)
{
    static const uint32_t limits[] = { 0, 1, 3 };
    size_t count = 0;
    unsigned way;

    for (way = 0; way < 6; way++) {
        query.backwards = way & 1;
        query.limit = limits[way / 2];
        query.payload = way % 4 < 2;
        count += ask(txn, &query);
    }
    return count;
}

/* Each way to pick versions; returns whether there was one of this number. */
static bool pick(unsigned number, flagver_query *query)
{
    static const struct {
        int32_t pick;
        uint32_t no;
        int64_t time;
    } picks[] = {
        { FLAGVER_PICK_ALL, 0, 0 },         { FLAGVER_PICK_CURRENT, 0, 0 },
        { FLAGVER_PICK_NUMBER, 1, 0 },      { FLAGVER_PICK_NUMBER, 3, 0 },
        { FLAGVER_PICK_NUMBER, 9, 0 },      { FLAGVER_PICK_AS_OF, 0, 999 },
        { FLAGVER_PICK_AS_OF, 0, 1199 },    { FLAGVER_PICK_AS_OF, 0, 1200 },
        { FLAGVER_PICK_AS_OF, 0, 2199 },    { FLAGVER_PICK_AS_OF, 0, 2200 },
        { FLAGVER_PICK_AS_OF, 0, 1000000 },
    };

    if (number >= sizeof picks / sizeof *picks)
        return false;
    query->pick = picks[number].pick;
    query->no = picks[number].no;
    query->time = picks[number].time;
    return true;
}

/* ---- versions and series ---- */

START_TEST(every_pick_of_every_phase)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS };
    static const char *const asked[] = { NULL, "fla", "flag", "log", "FLAG", "fl", "nothing" };
    flagver_driver_txn *txn;
    size_t i, count = 0;
    unsigned number;

    make_world();
    txn = conform_read();
    for (i = 0; i < sizeof asked / sizeof *asked; i++)
        for (number = 0; pick(number, &query); number++) {
            query.phase = conform_text(asked[i]);
            count += ask_all_ways(txn, query);
        }
    conform_rollback(txn);
    ck_assert_uint_gt(count, 0);
}
END_TEST

START_TEST(every_pick_of_one_series)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS };
    static const char *const asked[] = { "a", "A", "a/b", "\xf0\x9f\x98\x80", "%", "nothing", "" };
    flagver_driver_txn *txn;
    unsigned number, phase;
    size_t i;

    make_world();
    txn = conform_read();
    for (i = 0; i < sizeof asked / sizeof *asked; i++)
        for (phase = 1; phase < PHASES; phase += 2)
            for (number = 0; pick(number, &query); number++) {
                query.phase = conform_text(phases[phase]);
                query.subject = conform_text(asked[i]);
                ask_all_ways(txn, query);
            }
    conform_rollback(txn);
}
END_TEST

START_TEST(every_pick_of_a_prefix)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS, .prefix = 1 };
    static const char *const asked[] = { "",  "a", "a/", "a/b", "%", "\xc3\xa9", "\xf4\x8f\xbf\xbf",
                                         "a%" };
    flagver_driver_txn *txn;
    unsigned number;
    size_t i;

    make_world();
    txn = conform_read();
    query.phase = conform_text("flag");
    for (i = 0; i < sizeof asked / sizeof *asked; i++)
        for (number = 0; pick(number, &query); number++) {
            query.subject = conform_text(asked[i]);
            ask_all_ways(txn, query);
        }
    conform_rollback(txn);
}
END_TEST

START_TEST(a_scan_goes_on_after_a_subject)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS };
    static const char *const after[] = {
        "a", "a/", "a/a", "%", "zz", "\xc3\xa9", "\xf4\x8f\xbf\xbf/x"
    };
    static const char *const prefixes[] = { NULL, "a",
                                            "\xc3"
                                            "\xa9" };
    flagver_driver_txn *txn;
    unsigned number;
    size_t i, j;

    make_world();
    txn = conform_read();
    query.phase = conform_text("flag");
    for (i = 0; i < sizeof after / sizeof *after; i++)
        for (j = 0; j < sizeof prefixes / sizeof *prefixes; j++)
            for (number = 0; pick(number, &query); number += 2) {
                query.after = conform_text(after[i]);
                query.subject = conform_text(prefixes[j]);
                query.prefix = prefixes[j] != NULL;
                ask_all_ways(txn, query);
            }
    conform_rollback(txn);
}
END_TEST

START_TEST(a_history_goes_on_after_a_number)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS, .pick = FLAGVER_PICK_ALL };
    flagver_driver_txn *txn;
    size_t i;

    make_world();
    txn = conform_read();
    for (i = 0; i < SUBJECTS; i++)
        for (query.after_no = 1; query.after_no <= VERSIONS; query.after_no++) {
            query.phase = conform_text(i % 2 ? "flag" : "log");
            query.subject = conform_text(subjects[i]);
            ask_all_ways(txn, query);
        }
    conform_rollback(txn);
}
END_TEST

#define BIT(state) (1u << FLAGVER_STATE_##state)

START_TEST(every_pick_of_some_states)
{
    static const uint32_t masks[] = {
        BIT(DRAFT),
        BIT(SUBMITTED),
        BIT(APPROVED),
        BIT(SUPERSEDED) | BIT(REJECTED),
        BIT(WITHDRAWN) | BIT(RECORDED),
        BIT(DRAFT) | BIT(SUBMITTED) | BIT(APPROVED),
        0xfe,
        1, /* no state has these */
        UINT32_C(1) << 31,
    };
    static const struct {
        const char *phase, *subject, *after;
        int32_t prefix;
    } rows[] = {
        { NULL, NULL, NULL, 0 },    { "flag", NULL, NULL, 0 }, { "log", NULL, NULL, 0 },
        { "flag", "a/b", NULL, 0 }, { "flag", "a", NULL, 1 },  { "flag", NULL, "a/", 0 },
        { "log", "a", "a/b", 1 },
    };
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS };
    flagver_driver_txn *txn;
    size_t i, j, count = 0;
    unsigned number;

    make_world();
    txn = conform_read();
    for (i = 0; i < sizeof masks / sizeof *masks; i++)
        for (j = 0; j < sizeof rows / sizeof *rows; j++)
            for (number = 0; pick(number, &query); number++) {
                query.states = masks[i];
                query.phase = conform_text(rows[j].phase);
                query.subject = conform_text(rows[j].subject);
                query.after = conform_text(rows[j].after);
                query.prefix = rows[j].prefix;
                count += ask_all_ways(txn, query);
            }
    conform_rollback(txn);
    ck_assert_uint_gt(count, 0);
}
END_TEST

START_TEST(a_history_of_some_states_goes_on_after_a_number)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_ALL,
                            .states = BIT(SUPERSEDED) | BIT(DRAFT) | BIT(RECORDED) };
    flagver_driver_txn *txn;
    size_t i;

    make_world();
    txn = conform_read();
    for (i = 0; i < SUBJECTS; i++)
        for (query.after_no = 1; query.after_no <= VERSIONS; query.after_no++) {
            query.phase = conform_text(i % 2 ? "flag" : "log");
            query.subject = conform_text(subjects[i]);
            ask_all_ways(txn, query);
        }
    conform_rollback(txn);
}
END_TEST

START_TEST(series_are_chosen_and_ordered_like_versions)
{
    flagver_query query = { .kind = FLAGVER_QUERY_SERIES };
    static const struct {
        const char *phase, *subject, *after;
        int32_t prefix;
    } rows[] = {
        { NULL, NULL, NULL, 0 },
        { "flag", NULL, NULL, 0 },
        { "flag", "a", NULL, 0 },
        { "flag", "a", NULL, 1 },
        { "flag", "a/", NULL, 1 },
        { "flag", "", NULL, 1 },
        { "flag", NULL, "a", 0 },
        { "flag", "a", "a/b", 1 },
        { "flag", "nothing", NULL, 0 },
        { "log", NULL, "\xc3\xa9", 0 },
        { "fla", "%", NULL, 1 },
        { "fla", "_", NULL, 1 },
        { "flag", "\xf4\x8f\xbf\xbf", NULL, 1 },
    };
    flagver_driver_txn *txn;
    size_t i;

    make_world();
    txn = conform_read();
    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        query.phase = conform_text(rows[i].phase);
        query.subject = conform_text(rows[i].subject);
        query.after = conform_text(rows[i].after);
        query.prefix = rows[i].prefix;
        ask_all_ways(txn, query);
    }
    conform_rollback(txn);
}
END_TEST

START_TEST(pages_of_a_scan_are_the_whole)
{
    flagver_query query = conform_all_series();
    struct conform_rows rows;
    char last[64] = "";
    flagver_driver_txn *txn;
    size_t seen = 0, page;

    make_world();
    txn = conform_read();
    query.phase = conform_text("flag");
    query.limit = 4;
    do {
        query.after = conform_text(seen ? last : NULL);
        conform_scan(txn, &query, &rows);
        if (rows.count) {
            flagver_bytes subject = rows.rows[rows.count - 1].as.series.subject;

            snprintf(last, sizeof last, "%.*s", (int)subject.length, (const char *)subject.data);
        }
        page = rows.count;
        seen += page;
        conform_free(&rows);
    } while (page == query.limit);
    conform_rollback(txn);
    ck_assert_uint_eq(seen, SUBJECTS);
}
END_TEST

START_TEST(a_version_is_found_by_its_id)
{
    flagver_query query = { .kind = FLAGVER_QUERY_VERSION, .payload = 1 };
    struct conform_rows rows;
    flagver_driver_txn *txn;
    size_t i;

    make_world();
    txn = conform_read();
    for (i = 0; i < SERIES; i += 5) {
        const flagver_version_row *version = &world[i].versions[world[i].row.last_no - 1];

        query.id = version->id;
        conform_one(txn, &query, &rows);
        conform_check_version(&rows.rows[0].as.version, version, &world[i].row);
        check_payload(&query, &rows.rows[0].as.version, &world[i]);
        conform_free(&rows);
    }
    query.id = conform_id(123456);
    ck_assert_uint_eq(conform_count(txn, &query), 0);
    conform_rollback(txn);
    txn = conform_begin(conform.store, "other", FLAGVER_MODE_READ);
    query.id = world[0].versions[0].id;
    ck_assert_uint_eq(conform_count(txn, &query), 0);
    conform_rollback(txn);
}
END_TEST

/* ---- as of ---- */

START_TEST(as_of_is_from_the_decision_until_just_before_it_is_superseded)
{
    static const struct {
        int64_t time;
        uint32_t no;
    } moments[] = { { 0, 0 },    { 1000, 0 }, { 1199, 0 }, { 1200, 1 },         { 2199, 1 },
                    { 2200, 2 }, { 2201, 2 }, { 3199, 2 }, { INT64_MAX - 1, 2 } };
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS, .pick = FLAGVER_PICK_AS_OF };
    flagver_driver_txn *txn = conform_write();
    flagver_version_row first, second, third;
    struct conform_rows rows;
    size_t i;

    first = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "1");
    conform_approve(txn, &series, NULL, &first);
    second = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "2");
    conform_approve(txn, &series, &first, &second);
    third = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "3");
    assert_ok(conform_move(txn, &third, FLAGVER_STATE_SUBMITTED, 0));
    assert_ok(conform_move(txn, &third, FLAGVER_STATE_REJECTED, 0));
    for (i = 0; i < sizeof moments / sizeof *moments; i++) {
        query.time = moments[i].time;
        conform_scan(txn, &query, &rows);
        ck_assert_msg(rows.count == (moments[i].no != 0), "%zu versions at %lld", rows.count,
                      (long long)moments[i].time);
        if (rows.count)
            ck_assert_msg(rows.rows[0].as.version.no == moments[i].no, "version %u at %lld",
                          (unsigned)rows.rows[0].as.version.no, (long long)moments[i].time);
        conform_free(&rows);
    }
    conform_rollback(txn);
}
END_TEST

START_TEST(what_was_superseded_is_not_in_force_although_nothing_else_is)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS, .pick = FLAGVER_PICK_AS_OF };
    flagver_driver_txn *txn = conform_write();
    flagver_version_row first;

    first = conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "1");
    conform_next_version(txn, &series, FLAGVER_STATE_DRAFT, "2");
    assert_ok(conform_move(txn, &first, FLAGVER_STATE_APPROVED, 0));
    assert_ok(conform_move(txn, &first, FLAGVER_STATE_SUPERSEDED, 2));
    query.time = first.superseded_at - 1;
    ck_assert_uint_eq(conform_count(txn, &query), 1);
    query.time = first.superseded_at;
    ck_assert_uint_eq(conform_count(txn, &query), 0);
    conform_rollback(txn);
}
END_TEST

START_TEST(of_recorded_versions_the_highest_is_in_force)
{
    /* Created at 1000, 1000 and 500: the number counts, not the time. */
    static const struct {
        int64_t time;
        uint32_t no;
    } moments[] = { { 499, 0 }, { 500, 3 }, { 999, 3 }, { 1000, 3 } };
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS, .pick = FLAGVER_PICK_AS_OF };
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    struct conform_rows rows;
    uint32_t no;
    size_t i;

    for (no = 1; no <= 3; no++) {
        flagver_version_row version;

        series.last_no = series.current_no = no;
        series.rev = no;
        version = conform_version(&series, no, FLAGVER_STATE_RECORDED);
        version.base_no = 0;
        version.created_at = no == 3 ? 500 : 1000;
        conform_add_series(&batch, series, no - 1);
        conform_add_payload(&batch, conform_payload(&version, "{}"));
        conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    }
    assert_ok(conform_apply(txn, &batch));
    for (i = 0; i < sizeof moments / sizeof *moments; i++) {
        query.time = moments[i].time;
        conform_scan(txn, &query, &rows);
        ck_assert_uint_eq(rows.count, moments[i].no != 0);
        if (rows.count)
            ck_assert_uint_eq(rows.rows[0].as.version.no, moments[i].no);
        conform_free(&rows);
    }
    conform_rollback(txn);
}
END_TEST

START_TEST(a_tombstone_is_a_version_like_others)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_CURRENT,
                            .payload = 1 };
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    flagver_version_row version;
    struct conform_rows rows;

    series.last_no = 1;
    version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    version.bits = FLAGVER_VERSION_TOMBSTONE;
    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, conform_payload(&version, ""));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    assert_ok(conform_apply(txn, &batch));
    conform_approve(txn, &series, NULL, &version);
    conform_one(txn, &query, &rows);
    conform_check_version(&rows.rows[0].as.version, &version, &series);
    ck_assert(conform_same(rows.rows[0].as.version.payload, conform_text("")));
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

START_TEST(a_brief_answer_has_what_it_must)
{
    flagver_series_row series = conform_series(1, "phase", "subject");
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_CURRENT,
                            .phase = conform_text("phase"),
                            .payload = 1,
                            .brief = 1 };
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    const flagver_version_row *found;
    flagver_version_row version;
    struct conform_rows rows;

    series.last_no = 1;
    version = conform_version(&series, 1, FLAGVER_STATE_DRAFT);
    version.bits = FLAGVER_VERSION_TOMBSTONE;
    conform_add_series(&batch, series, 0);
    conform_add_payload(&batch, conform_payload(&version, "body"));
    conform_add_version(&batch, FLAGVER_CHANGE_VERSION_NEW, version, 0);
    assert_ok(conform_apply(txn, &batch));
    conform_approve(txn, &series, NULL, &version);
    conform_one(txn, &query, &rows);
    found = &rows.rows[0].as.version;
    ck_assert(conform_same(found->subject, conform_text("subject")));
    ck_assert_uint_eq(found->no, 1);
    ck_assert_uint_eq(found->bits, FLAGVER_VERSION_TOMBSTONE);
    ck_assert_mem_eq(&found->payload_id, &version.payload_id, sizeof version.payload_id);
    ck_assert(conform_same(found->payload, conform_text("body")));
    ck_assert_uint_eq(found->payload_key, 0);
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

/* ---- leaves, keys, tenants ---- */

START_TEST(leaves_come_in_order_from_a_number_on)
{
    flagver_query query = conform_all_leaves();
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    struct conform_rows rows;
    uint64_t no;
    size_t i;

    for (no = 0; no < 30; no++)
        conform_add_leaf(&batch, conform_leaf(no, "leaf"));
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
    txn = conform_read();
    for (query.from = 0; query.from <= 31; query.from++)
        for (query.limit = 0; query.limit <= 5; query.limit += 5) {
            size_t left = query.from < 30 ? 30 - (size_t)query.from : 0;

            conform_scan(txn, &query, &rows);
            ck_assert_uint_eq(rows.count, query.limit && left > query.limit ? query.limit : left);
            for (i = 0; i < rows.count; i++)
                ck_assert_uint_eq(rows.rows[i].as.leaf.no, query.from + i);
            conform_free(&rows);
        }
    query.from = UINT64_C(1) << 40;
    ck_assert_uint_eq(conform_count(txn, &query), 0);
    conform_rollback(txn);
}
END_TEST

/* Keys are the subjects, of time 100 × (1 + the place modulo 3). */
static int64_t key_time(size_t i)
{
    return 100 * (1 + (int64_t)(i % 3));
}

static void write_keys(void)
{
    flagver_driver_txn *txn = conform_write();
    struct conform_batch batch = { .count = 0 };
    size_t i, at;

    for (i = 0; i < SUBJECTS; i++) {
        flagver_keyed_row row;

        at = i * 5 % SUBJECTS;
        row = conform_keyed("space", subjects[at], (int64_t)at + 1, subjects[at]);
        row.time = key_time(at);
        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, row, 0);
    }
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("spac", "a", 1, ""), 0);
    conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, conform_keyed("space2", "a", 1, ""), 0);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
}

static bool is_wanted(const flagver_query *query, size_t i)
{
    flagver_bytes key = conform_text(subjects[i]);

    if (query->time && key_time(i) >= query->time)
        return false;
    if (query->after.data && compare(key, query->after) <= 0)
        return false;
    if (!query->subject.data)
        return true;
    if (!query->prefix)
        return compare(key, query->subject) == 0;
    return key.length >= query->subject.length &&
           memcmp(key.data, query->subject.data, query->subject.length) == 0;
}

static void ask_keys(flagver_driver_txn *txn, const flagver_query *query)
{
    struct conform_rows rows;
    size_t i, at = 0;

    conform_scan(txn, query, &rows);
    for (i = 0; i < SUBJECTS && !(query->limit && at == query->limit); i++) {
        if (!is_wanted(query, i))
            continue;
        ck_assert_msg(at < rows.count, "only %zu rows: %s", rows.count, described(query));
        ck_assert_msg(conform_same(rows.rows[at].as.keyed.key, conform_text(subjects[i])),
                      "key %zu is %s instead of %s: %s", at, shown(rows.rows[at].as.keyed.key),
                      subjects[i], described(query));
        ck_assert_int_eq(rows.rows[at].as.keyed.rev, (int64_t)i + 1);
        at++;
    }
    ck_assert_msg(at == rows.count, "%zu rows instead of %zu: %s", rows.count, at,
                  described(query));
    conform_free(&rows);
}

START_TEST(keys_are_found_by_name_prefix_and_time)
{
    static const char *const names[] = {
        NULL, "a", "A", "", "a/", "%", "_", "\xc3\xa9", "\xf4\x8f\xbf\xbf", "nothing"
    };
    static const char *const after[] = { NULL, "a", "a/b", "\xf4\x8f\xbf\xbf" };
    static const int64_t times[] = { 0, 100, 101, 201, 1000 };
    flagver_query query = { .kind = FLAGVER_QUERY_KEYED, .space = conform_text("space") };
    flagver_driver_txn *txn;
    size_t i, j, k;

    write_keys();
    txn = conform_read();
    for (i = 0; i < 2 * sizeof names / sizeof *names; i++)
        for (j = 0; j < sizeof after / sizeof *after; j++)
            for (k = 0; k < sizeof times / sizeof *times; k++) {
                query.prefix = i & 1 && names[i / 2];
                query.subject = conform_text(names[i / 2]);
                query.after = conform_text(after[j]);
                query.time = times[k];
                query.limit = (uint32_t)(k % 3);
                ask_keys(txn, &query);
            }
    conform_rollback(txn);
}
END_TEST

static void write_tenant(const char *tenant, bool series, bool leaf, bool keyed, unsigned number)
{
    flagver_driver_txn *txn = conform_begin(conform.store, tenant, FLAGVER_MODE_WRITE);
    struct conform_batch batch = { .count = 0 };
    flagver_series_row series_row = conform_series(number, "phase", "subject");
    flagver_leaf_row leaf_row = conform_leaf(0, "leaf");
    flagver_keyed_row keyed_row = conform_keyed("space", "key", 1, "");

    series_row.tenant = leaf_row.tenant = keyed_row.tenant = conform_text(tenant);
    if (series)
        conform_add_series(&batch, series_row, 0);
    if (leaf)
        conform_add_leaf(&batch, leaf_row);
    if (keyed)
        conform_add_keyed(&batch, FLAGVER_CHANGE_KEYED, keyed_row, 0);
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
}

START_TEST(tenants_are_those_with_a_series_or_a_leaf)
{
    static const char *const wanted[] = { "A", "a", "ab", "b", "\xc3\xa9" };
    static const char *const asking[] = { "a", "nobody", "" };
    flagver_query query = { .kind = FLAGVER_QUERY_TENANTS };
    struct conform_rows rows;
    flagver_driver_txn *txn;
    size_t i, j;

    write_tenant("b", true, true, true, 1);
    write_tenant("\xc3\xa9", false, true, false, 2);
    write_tenant("a", true, false, false, 3);
    write_tenant("ab", true, true, false, 4);
    write_tenant("A", false, true, true, 5);
    write_tenant("keyed", false, false, true, 6);
    /* Whoever asks, and also in the name of no tenant. */
    for (j = 0; j < sizeof asking / sizeof *asking; j++) {
        txn = conform_begin(conform.store, asking[j], FLAGVER_MODE_READ);
        for (query.limit = 0; query.limit <= 4; query.limit += 2) {
            size_t count = query.limit ? query.limit : sizeof wanted / sizeof *wanted;

            conform_scan(txn, &query, &rows);
            ck_assert_uint_eq(rows.count, count);
            for (i = 0; i < count; i++)
                ck_assert_msg(conform_same(rows.rows[i].as.tenant, conform_text(wanted[i])),
                              "tenant %zu is %s instead of %s", i, shown(rows.rows[i].as.tenant),
                              wanted[i]);
            conform_free(&rows);
        }
        conform_rollback(txn);
    }
}
END_TEST

/* ---- cursors ---- */

static void check_next(flagver_cursor *cursor, const char *subject)
{
    flagver_row row;
    int r = conform.driver->next(cursor, &row, &conform_error);

    ck_assert_msg(r == (subject != NULL), "next returned %d: %s", r, conform_error.message);
    if (subject)
        ck_assert_msg(conform_same(row.as.series.subject, conform_text(subject)),
                      "%s instead of %s", shown(row.as.series.subject), subject);
}

START_TEST(several_cursors_go_on_side_by_side)
{
    flagver_query forwards = conform_all_series(), backwards = conform_all_series();
    flagver_cursor *a, *b;
    flagver_driver_txn *txn;
    size_t i;

    make_world();
    txn = conform_read();
    forwards.phase = backwards.phase = conform_text("flag");
    backwards.backwards = 1;
    assert_ok(conform.driver->scan(txn, &forwards, &a, &conform_error));
    assert_ok(conform.driver->scan(txn, &backwards, &b, &conform_error));
    for (i = 0; i < SUBJECTS; i++) {
        check_next(a, subjects[i]);
        check_next(b, subjects[SUBJECTS - 1 - i]);
    }
    check_next(a, NULL);
    check_next(b, NULL);
    conform.driver->end_scan(b);
    conform.driver->end_scan(a);
    conform_rollback(txn);
}
END_TEST

START_TEST(a_scan_may_end_before_its_rows_do)
{
    flagver_query query = conform_all_series();
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    unsigned steps, i;

    make_world();
    query.phase = conform_text("flag");
    for (steps = 0; steps < 3; steps++) {
        txn = conform_write();
        assert_ok(conform.driver->scan(txn, &query, &cursor, &conform_error));
        for (i = 0; i < steps; i++)
            check_next(cursor, subjects[i]);
        conform.driver->end_scan(cursor);
        ck_assert_uint_eq(conform_count(txn, &query), SUBJECTS);
        conform_commit(txn);
    }
}
END_TEST

START_TEST(a_query_is_borrowed_until_scan_returns)
{
    char phase[] = "flag", subject[] = "a", after[] = "a/";
    flagver_query query = conform_all_series();
    flagver_driver_txn *txn;
    flagver_cursor *cursor;
    flagver_row row;

    make_world();
    txn = conform_read();
    query.phase = conform_text(phase);
    query.subject = conform_text(subject);
    query.after = conform_text(after);
    query.prefix = 1;
    assert_ok(conform.driver->scan(txn, &query, &cursor, &conform_error));
    memset(&query, 0xee, sizeof query);
    memset(phase, 'x', sizeof phase - 1);
    memset(subject, 'x', sizeof subject - 1);
    memset(after, 'x', sizeof after - 1);
    check_next(cursor, "a/b");
    check_next(cursor, "a/b/c");
    check_next(cursor, "a/bc");
    check_next(cursor, "a0");
    check_next(cursor, "aa");
    check_next(cursor, "a\xc3\xa9");
    ck_assert_int_eq(conform.driver->next(cursor, &row, &conform_error), 0);
    conform.driver->end_scan(cursor);
    conform_rollback(txn);
}
END_TEST

void conform_query_cases(Suite *suite)
{
    TCase *tcase = conform_tcase(suite, "queries");

    conform_add(tcase, 0, every_pick_of_every_phase);
    conform_add(tcase, 0, every_pick_of_one_series);
    conform_add(tcase, 0, every_pick_of_a_prefix);
    conform_add(tcase, 0, a_scan_goes_on_after_a_subject);
    conform_add(tcase, 0, a_history_goes_on_after_a_number);
    conform_add(tcase, 0, every_pick_of_some_states);
    conform_add(tcase, 0, a_history_of_some_states_goes_on_after_a_number);
    conform_add(tcase, 0, series_are_chosen_and_ordered_like_versions);
    conform_add(tcase, 0, pages_of_a_scan_are_the_whole);
    conform_add(tcase, 0, a_version_is_found_by_its_id);
    conform_add(tcase, 0, as_of_is_from_the_decision_until_just_before_it_is_superseded);
    conform_add(tcase, 0, what_was_superseded_is_not_in_force_although_nothing_else_is);
    conform_add(tcase, 0, of_recorded_versions_the_highest_is_in_force);
    conform_add(tcase, 0, a_tombstone_is_a_version_like_others);
    conform_add(tcase, 0, a_brief_answer_has_what_it_must);
    conform_add(tcase, 0, leaves_come_in_order_from_a_number_on);
    conform_add(tcase, 0, keys_are_found_by_name_prefix_and_time);
    conform_add(tcase, 0, tenants_are_those_with_a_series_or_a_leaf);
    conform_add(tcase, 0, several_cursors_go_on_side_by_side);
    conform_add(tcase, 0, a_scan_may_end_before_its_rows_do);
    conform_add(tcase, 0, a_query_is_borrowed_until_scan_returns);
}
