#define _POSIX_C_SOURCE 200809L /* nanosleep() */

#include "engine/route_verify.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/route_copy.h"
#include "engine/route_write.h"
#include "engine/turn.h"
#include "util/fail.h"

/*
 * Both sides are scanned in byte order of keys, a chunk of each in memory, and merged. Keys whose sides
 * differ there are suspects, of which a chunk is looked at together, several times, with a while between
 * two looks: a write may have been on its way.
 *
 * A difference is one when two looks in a row have found the same, and the key did not wait to be
 * repaired at a moment between them. An operation that has left the ledger by then has written both
 * sides, and one that enters it later begins with the authority: so whatever is under way makes the
 * second look another one than the first.
 */

#define CHUNK 1000
#define CONFIRM_MS 100
#define LOOKS 6 /* at a key whose sides change while it is looked at */

/* What one side has, in order. */
struct stream {
    enum fv_side side;
    struct fv_side_call call;
    size_t next;
    char after[FLAGVER_ROUTE_KEY_LIMIT + 1];
};

enum verdict { OPEN, EQUAL, DIFFERENT };

struct suspect {
    char key[FLAGVER_ROUTE_KEY_LIMIT + 1];
    struct fv_side_record records[2]; /* as of the last look; without a key: there was none */
    enum verdict verdict;
};

struct verifying {
    flagver_route *route;
    struct fv_comparison *comparison;
    struct stream streams[2];
    const char *last; /* the key that was compared last, until a side is scanned again */
    struct suspect *suspects;
    size_t suspect_count, suspect_capacity;
};

/* ---- the streams ---- */

static int scan(const struct verifying *verifying, struct stream *stream, flagver_error *err)
{
    fv_side_clear(&stream->call);
    stream->call = (struct fv_side_call){ .asked = { .operation = FLAGVER_ROUTE_SCAN },
                                          .after = stream->after,
                                          .limit = verifying->comparison->options.chunk };
    return fv_route_call(verifying->route, stream->side, &stream->call, NULL, err);
}

/* The record that is next, NULL: there is none. */
static int peek(const struct verifying *verifying, struct stream *stream,
                const struct fv_found **ret_found, flagver_error *err)
{
    flagver_sink *sink = &stream->call.sink;
    int r;

    if (stream->next == sink->found_count && !sink->ended) {
        r = scan(verifying, stream, err);
        if (r < 0)
            return r;
        stream->next = 0;
        if (sink->found_count > 0)
            strcpy(stream->after, sink->found[sink->found_count - 1].key);
    }
    *ret_found = stream->next < sink->found_count ? &sink->found[stream->next] : NULL;
    return 0;
}

/* ---- one key ---- */

static bool are_equal(const flagver_route *route, const char *key, const char *old_value,
                      size_t old_length, const char *new_value, size_t new_length)
{
    const flagver_route_options *options = &route->options;

    if (!old_value || !new_value)
        return !old_value && !new_value;
    if (old_length == new_length && memcmp(old_value, new_value, old_length) == 0)
        return true;
    return options->compare && options->compare(options->compare_data, key, old_value, old_length,
                                                new_value, new_length) == 1;
}

static int suspect(struct verifying *verifying, const char *key, flagver_error *err)
{
    if (verifying->suspect_count == verifying->suspect_capacity) {
        size_t capacity = verifying->suspect_capacity ? verifying->suspect_capacity * 2 : 64;
        struct suspect *grown = realloc(verifying->suspects, capacity * sizeof *grown);

        if (!grown)
            return fv_fail_memory(err);
        verifying->suspects = grown;
        verifying->suspect_capacity = capacity;
    }
    verifying->suspects[verifying->suspect_count] = (struct suspect){ .verdict = OPEN };
    strcpy(verifying->suspects[verifying->suspect_count++].key, key);
    return 0;
}

/* Does the key wait to be repaired? 1 or 0. */
static int waits(struct verifying *verifying, const char *key, flagver_error *err)
{
    struct fv_steering *steering = &verifying->route->steering;
    struct fv_view view;
    int r;

    if (verifying->route->by_flag)
        return 0;
    r = fv_steering_look(steering, &view, err);
    return r < 0 ? r : fv_steering_waits(steering, fv_route_believed(view.fences), key, err);
}

/* Of enlisted sides the versions tell, too, when a value has come back. */
static bool same(const struct fv_side_record *a, const struct fv_side_record *b)
{
    if (!a->key || fv_version_compare(a->version, b->version) != 0)
        return false;
    if (!a->value || !b->value)
        return !a->value && !b->value;
    return a->length == b->length && memcmp(a->value, b->value, a->length) == 0;
}

static void clear_records(struct fv_side_record records[2])
{
    fv_side_record_clear(&records[FV_OLD]);
    fv_side_record_clear(&records[FV_NEW]);
}

static int look(struct verifying *verifying, struct suspect *suspect, flagver_error *err)
{
    struct fv_side_record now[2] = { { 0 }, { 0 } };
    int r;

    r = fv_route_fetch(verifying->route, FV_OLD, suspect->key, &now[FV_OLD], err);
    if (r == 0)
        r = fv_route_fetch(verifying->route, FV_NEW, suspect->key, &now[FV_NEW], err);
    if (r < 0) {
        clear_records(now);
        return r;
    }
    if (are_equal(verifying->route, suspect->key, now[FV_OLD].value, now[FV_OLD].length,
                  now[FV_NEW].value, now[FV_NEW].length))
        suspect->verdict = EQUAL;
    else if (same(&suspect->records[FV_OLD], &now[FV_OLD]) &&
             same(&suspect->records[FV_NEW], &now[FV_NEW]))
        suspect->verdict = DIFFERENT;
    clear_records(suspect->records);
    memcpy(suspect->records, now, sizeof now);
    return 0;
}

/* ---- many keys ---- */

static void wait_a_while(const struct verifying *verifying)
{
    int32_t ms = verifying->comparison->options.confirm_ms;

    verifying->comparison->waited_ms += ms;
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

/* All of them that are still open; *ret_open: some are even then. */
static int look_at_suspects(struct verifying *verifying, bool *ret_open, flagver_error *err)
{
    int r = 0;

    wait_a_while(verifying);
    if (!verifying->route->by_flag)
        r = fv_ledger_flush(&verifying->route->ledger, err);
    *ret_open = false;
    for (size_t i = 0; r == 0 && i < verifying->suspect_count; i++) {
        struct suspect *suspect = &verifying->suspects[i];

        if (suspect->verdict != OPEN)
            continue;
        r = waits(verifying, suspect->key, err);
        if (r == 0)
            r = look(verifying, suspect, err);
        else if (r > 0)
            r = 0;
        *ret_open |= suspect->verdict == OPEN;
    }
    return r;
}

static void report(struct fv_comparison *comparison, const struct suspect *suspect)
{
    const struct fv_side_record *old_record = &suspect->records[FV_OLD];
    const struct fv_side_record *new_record = &suspect->records[FV_NEW];
    const flagver_difference difference = { .kind = !new_record->value
                                                        ? FLAGVER_DIFFERENCE_MISSING_IN_NEW
                                                    : !old_record->value
                                                        ? FLAGVER_DIFFERENCE_EXTRA_IN_NEW
                                                        : FLAGVER_DIFFERENCE_VALUE,
                                            .key = suspect->key,
                                            .old_value = old_record->value,
                                            .old_length = old_record->length,
                                            .new_value = new_record->value,
                                            .new_length = new_record->length };

    comparison->differences++;
    if (comparison->visit && !comparison->visit(comparison->data, &difference))
        comparison->stopped = true;
}

/* A key that waits, or does not come to rest, is not reported; but then not all is known to be equal. */
static int report_suspects(struct verifying *verifying, flagver_error *err)
{
    struct fv_comparison *comparison = verifying->comparison;
    int r = 0;

    for (size_t i = 0; r == 0 && !comparison->stopped && i < verifying->suspect_count; i++) {
        const struct suspect *suspect = &verifying->suspects[i];

        comparison->left_out += suspect->verdict == OPEN;
        if (suspect->verdict != DIFFERENT)
            continue;
        report(comparison, suspect);
        if (comparison->options.repair)
            r = fv_route_amend(verifying->route, comparison->believed, comparison->epoch,
                               suspect->key, err);
    }
    return r;
}

static void forget_suspects(struct verifying *verifying)
{
    for (size_t i = 0; i < verifying->suspect_count; i++)
        clear_records(verifying->suspects[i].records);
    verifying->suspect_count = 0;
}

static int check_suspects(struct verifying *verifying, flagver_error *err)
{
    bool open = verifying->suspect_count > 0;
    int r = 0;

    for (int looks = 0; r == 0 && open && looks < LOOKS; looks++)
        r = look_at_suspects(verifying, &open, err);
    if (r == 0)
        r = report_suspects(verifying, err);
    forget_suspects(verifying);
    return r;
}

/* ---- the merge ---- */

static int step(struct verifying *verifying, bool *ret_more, flagver_error *err)
{
    const struct fv_found *found[2];
    int order, r;

    r = peek(verifying, &verifying->streams[FV_OLD], &found[FV_OLD], err);
    if (r == 0)
        r = peek(verifying, &verifying->streams[FV_NEW], &found[FV_NEW], err);
    *ret_more = r == 0 && (found[FV_OLD] || found[FV_NEW]);
    if (!*ret_more)
        return r;

    order = !found[FV_NEW]   ? -1
            : !found[FV_OLD] ? 1
                             : strcmp(found[FV_OLD]->key, found[FV_NEW]->key);
    verifying->comparison->compared++;
    verifying->last = found[order <= 0 ? FV_OLD : FV_NEW]->key;
    if (order != 0)
        r = suspect(verifying, found[order < 0 ? FV_OLD : FV_NEW]->key, err);
    else if (!are_equal(verifying->route, found[FV_OLD]->key, found[FV_OLD]->value,
                        found[FV_OLD]->length, found[FV_NEW]->value, found[FV_NEW]->length))
        r = suspect(verifying, found[FV_OLD]->key, err);
    verifying->streams[FV_OLD].next += order <= 0;
    verifying->streams[FV_NEW].next += order >= 0;
    return r;
}

/* What is in memory of a side that is further ahead is scanned again by whoever goes on from here. */
static int merge(struct verifying *verifying, uint64_t most, flagver_error *err)
{
    struct fv_comparison *comparison = verifying->comparison;
    uint64_t until = most < UINT64_MAX - comparison->compared ? comparison->compared + most : most;
    bool more = true;
    int r = 0;

    while (r == 0 && more && !comparison->stopped && comparison->compared < until) {
        r = step(verifying, &more, err);
        if (r == 0 && verifying->suspect_count >= comparison->options.chunk)
            r = check_suspects(verifying, err);
    }
    if (r < 0)
        return r;
    comparison->ended = !more;
    if (more && verifying->last)
        strcpy(comparison->after, verifying->last);
    return check_suspects(verifying, err);
}

int fv_route_compare(flagver_route *route, struct fv_comparison *comparison, uint64_t most,
                     flagver_error *err)
{
    struct verifying verifying = { .route = route,
                                   .comparison = comparison,
                                   .streams = { { .side = FV_OLD }, { .side = FV_NEW } } };
    int r;

    for (int side = FV_OLD; side <= FV_NEW; side++)
        strcpy(verifying.streams[side].after, comparison->after);
    r = merge(&verifying, most, err);
    fv_side_clear(&verifying.streams[FV_OLD].call);
    fv_side_clear(&verifying.streams[FV_NEW].call);
    forget_suspects(&verifying);
    free(verifying.suspects);
    return r;
}

/* ---- the whole ---- */

static int check_sides(const flagver_route *route, flagver_error *err)
{
    for (int side = FV_OLD; side <= FV_NEW; side++) {
        if (!route->sides[side].scan)
            return fv_fail(err, FLAGVER_EINVAL, "options.%s_side.scan is NULL", fv_side_name(side));
    }
    return 0;
}

static void note_verified(void *data, struct fv_evidence *evidence)
{
    uint64_t epoch = *(uint64_t *)data;

    if (evidence->verified_epoch < epoch)
        evidence->verified_epoch = epoch;
    for (int side = FV_OLD; side <= FV_NEW; side++) {
        if (evidence->whole_epoch[side] < epoch)
            evidence->whole_epoch[side] = epoch;
    }
}

static void shut_gate(void *data, struct fv_evidence *evidence)
{
    (void)data;
    evidence->verified_epoch = 0;
}

/* What steps have compared so far was before that. */
static int note_different(flagver_route *route, flagver_error *err)
{
    int r;

    r = fv_passage_forget(route->client, FV_SPACE_COMPARISON, route->name, err);
    return r < 0 ? r : fv_steering_note(&route->steering, shut_gate, NULL, err);
}

/* Who is believed, and in which epoch: 0 where a router still writes as it was before. */
static int begin(flagver_route *route, struct fv_comparison *comparison, uint64_t *ret_epoch,
                 flagver_error *err)
{
    const struct fv_fence *fence;
    struct fv_view view;
    enum fv_side authority;
    flagver_error why;
    int r;

    *ret_epoch = 0;
    if (route->by_flag)
        return 0;
    r = fv_steering_look(&route->steering, &view, err);
    if (r < 0)
        return r;
    authority = fv_route_believed(view.fences);
    fence = &view.fences[authority];
    comparison->believed = authority;
    comparison->epoch = fence->epoch;
    r = fv_ledger_follow(&route->ledger, &view, &why);
    if (r == 0)
        r = fv_steering_wait_for_routers(&route->steering, authority, fence, &why);
    if (r == 0)
        *ret_epoch = fence->epoch;
    if (r == 0 || r == FLAGVER_EBUSY)
        return 0;
    if (err)
        *err = why;
    return r;
}

static bool found_nothing(uint64_t differences, uint64_t left_out)
{
    return differences == 0 && left_out == 0;
}

int fv_route_verify(flagver_route *route, const flagver_compare_options *options,
                    bool (*visit)(void *data, const flagver_difference *difference), void *data,
                    uint64_t *ret_compared, uint64_t *ret_differences, flagver_error *err)
{
    struct fv_comparison comparison = { .options = *options, .visit = visit, .data = data };
    uint64_t epoch;
    int r;

    if (comparison.options.chunk == 0)
        comparison.options.chunk = CHUNK;
    if (comparison.options.confirm_ms == 0)
        comparison.options.confirm_ms = CONFIRM_MS;
    if (options->confirm_ms < 0)
        return fv_fail(err, FLAGVER_EINVAL, "options.confirm_ms is %d; 0 or more allowed",
                       options->confirm_ms);
    if (route->by_flag && options->repair)
        return fv_fail(err, FLAGVER_EINVAL,
                       "options.repair: nobody is believed where a flag says the stage");
    r = fv_route_usable(route, err);
    if (r == 0)
        r = check_sides(route, err);
    if (r == 0)
        r = begin(route, &comparison, &epoch, err);
    if (r == 0)
        r = fv_route_compare(route, &comparison, UINT64_MAX, err);
    if (r < 0)
        return r;

    if (options->ret_left_out)
        *options->ret_left_out = comparison.left_out;
    *ret_compared = comparison.compared;
    *ret_differences = comparison.differences;
    if (epoch == 0)
        return 0;
    if (comparison.differences > 0)
        return note_different(route, err);
    if (comparison.stopped || comparison.left_out > 0)
        return 0;
    return fv_steering_note(&route->steering, note_verified, &epoch, err);
}

/* ---- in steps ---- */

#define AGAIN_US \
    60000000 /* between the end of a comparison that has found something and the next */

struct comparing {
    struct fv_turn turn;
    struct fv_comparison comparison;
    char began[FLAGVER_ROUTE_KEY_LIMIT + 1];
    uint64_t total; /* estimated anew; 0: was not */
};

static bool tell_difference(void *data, const flagver_difference *difference)
{
    const flagver_route *route = data;

    if (route->options.difference)
        route->options.difference(route->options.difference_data, difference);
    return true;
}

/*
 * Only from where it stands: others have counted what they have compared meanwhile, but not as far as this
 * one has come. Who ends first is never too late, so two that are slow come to an end.
 */
static bool add_compared(void *data, struct fv_passage *passage)
{
    const struct comparing *comparing = data;
    const struct fv_comparison *comparison = &comparing->comparison;

    if (strcmp(passage->after, comparing->began) != 0)
        return false;
    if (comparing->total)
        passage->headway.total = comparing->total;
    fv_headway_add(&passage->headway, comparison->compared, fv_now_us());
    passage->differences += comparison->differences;
    passage->left_out += comparison->left_out;
    return true;
}

/* Waiting for what is on its way says nothing about how long records take. */
static int compare_at_pace(struct comparing *comparing, flagver_error *err)
{
    struct fv_comparison *comparison = &comparing->comparison;
    flagver_route *route = comparing->turn.route;
    const struct fv_pace pace = fv_route_pace(route);
    uint32_t *rows = &route->compared_at_once, asked = *rows ? *rows : FV_PACE_FIRST;
    int64_t began = fv_monotonic_ns(), took;
    int r;

    comparison->options.chunk = asked;
    r = fv_route_compare(route, comparison, asked, err);
    took = (fv_monotonic_ns() - began) / 1000 - comparison->waited_ms * 1000;
    *rows = r < 0 ? asked : fv_pace_rows(&pace, asked, comparison->compared, took);
    route->rests_until_ms = fv_monotonic_ms() + fv_pace_rest(&pace, took) / 1000;
    comparing->turn.ended = comparison->ended;
    strcpy(comparing->turn.key, comparison->after);
    return r;
}

/* That the sides are equal is noted before the comparison is done, as in a copy. */
static int compare_chunk(struct comparing *comparing, flagver_error *err)
{
    const struct fv_comparison *comparison = &comparing->comparison;
    struct fv_turn *turn = &comparing->turn;
    int r;

    comparing->total = fv_turn_estimate(turn);
    strcpy(comparing->began, turn->passage.after);
    strcpy(comparing->comparison.after, comparing->began);
    r = compare_at_pace(comparing, err);
    if (r == 0 && turn->ended &&
        found_nothing(turn->passage.differences + comparison->differences,
                      turn->passage.left_out + comparison->left_out))
        r = fv_steering_note(&turn->route->steering, note_verified, &turn->epoch, err);
    return r < 0 ? r : fv_turn_end(turn, add_compared, comparing, err);
}

int fv_route_verify_some(flagver_route *route, const struct fv_view *view, bool repairs,
                         struct fv_passage *ret_comparison, flagver_error *err)
{
    enum fv_side authority = fv_route_believed(view->fences);
    struct comparing comparing = { .turn = { .route = route,
                                             .space = FV_SPACE_COMPARISON,
                                             .authority = &view->fences[authority],
                                             .from = authority,
                                             .again_us = AGAIN_US },
                                   .comparison = {
                                       .options = { .confirm_ms = CONFIRM_MS, .repair = repairs },
                                       .visit = tell_difference,
                                       .data = route,
                                       .believed = authority,
                                       .epoch = view->fences[authority].epoch } };
    int r;

    r = fv_steering_wait_for_routers(&route->steering, authority, comparing.turn.authority, err);
    if (r == 0)
        r = fv_turn_take(&comparing.turn, err);
    if (r > 0)
        r = compare_chunk(&comparing, err);
    if (comparing.turn.passage.epoch > 0)
        *ret_comparison = comparing.turn.passage;
    return r < 0 ? r : !comparing.turn.passage.headway.done;
}
