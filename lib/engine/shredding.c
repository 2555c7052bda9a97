#include "engine/shredding.h"

#include "engine/acting.h"
#include "engine/policies.h"
#include "util/fail.h"

#define OUT_OF_FORCE                                                 \
    (1u << FLAGVER_STATE_SUPERSEDED | 1u << FLAGVER_STATE_REJECTED | \
     1u << FLAGVER_STATE_WITHDRAWN | 1u << FLAGVER_STATE_RECORDED)

/* ---- one ---- */

/* What is in the store, sealed or not: no key is needed to find out whether it is there. */
static int check_there(const struct fv_act *act, flagver_error *err)
{
    const flagver_version_row *row = &act->version->row;
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSION, .id = row->id, .payload = 1 };
    flagver_cursor *cursor;
    flagver_row found;
    int r;

    r = fv_txn_scan(act->txn, &query, &cursor, err);
    if (r < 0)
        return r;
    r = fv_txn_next(act->txn, cursor, &found, err);
    if (r == 0 || (r > 0 && !found.as.version.payload.data))
        r = fv_fail(err, FLAGVER_ESTATE, "what version %u of \"%.256s\" said was shredded before",
                    (unsigned)row->no, act->target->subject);
    fv_txn_end_scan(act->txn, cursor);
    return r < 0 ? r : 0;
}

/* May it go? Nothing is staged yet. */
static int prepare(struct fv_act *act, flagver_txn *txn, const struct fv_target *target,
                   uint32_t no, flagver_error *err)
{
    int r;

    *act = (struct fv_act){ .txn = txn, .target = target };
    r = fv_txn_series(txn, target->phase, target->subject, false, &act->series, err);
    if (r == 0)
        r = fv_txn_version(txn, act->series, no, false, &act->version, err);
    if (r < 0)
        return r;
    act->state = act->version->row.state;
    r = fv_act_prepare_next(act, FV_ACTION_SHRED, err);
    if (r < 0)
        return r;
    if (target->form != FV_FORM_JSON && no == act->series->row.current_no)
        return fv_fail(err, FLAGVER_ESTATE, "version %u of \"%.256s\" is in force: it is needed",
                       (unsigned)no, target->subject);
    return 0;
}

/* The ids first: what is staged while a scan is under way may be handed over under it. */
struct ids {
    flagver_id *ids;
    size_t count, capacity;
};

static int find_items(const struct fv_act *act, struct ids *items, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_ITEMS,
                                  .id = act->series->row.id,
                                  .no = act->version->row.no };
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = fv_txn_scan(act->txn, &query, &cursor, err);
    if (r < 0)
        return r;
    while ((r = fv_txn_next(act->txn, cursor, &row, err)) > 0) {
        if (!fv_grow(NULL, (void **)&items->ids, &items->capacity, items->count,
                     sizeof *items->ids)) {
            r = fv_fail_memory(err);
            break;
        }
        items->ids[items->count++] = row.as.item.payload_id;
    }
    fv_txn_end_scan(act->txn, cursor);
    return r;
}

static int shred_items(const struct fv_act *act, flagver_error *err)
{
    struct ids items = { NULL, 0, 0 };
    size_t i;
    int r = find_items(act, &items, err);

    for (i = 0; r == 0 && i < items.count; i++)
        r = fv_txn_shred_payload(act->txn, &items.ids[i], err);
    fv_release(NULL, items.ids);
    return r;
}

static int carry_out(struct fv_act *act, flagver_error *err)
{
    flagver_version_row *row = &act->version->row;
    int r;

    r = fv_txn_change_series(act->txn, act->series, act->series->row.current_no,
                             fv_txn_time(act->txn, act->series), err);
    if (r == 0)
        r = shred_items(act, err);
    if (r == 0)
        r = fv_txn_shred_payload(act->txn, &row->payload_id, err);
    row->payload = row->payload_salt = (flagver_bytes){ NULL, 0 };
    return r < 0 ? r : fv_act_leaf(act, row, row->state, 0, err);
}

int fv_record_shred(flagver_txn *txn, const struct fv_target *target, uint32_t no,
                    struct fv_staged **ret_version, flagver_error *err)
{
    struct fv_act act;
    int r;

    r = prepare(&act, txn, target, no, err);
    if (r == 0)
        r = check_there(&act, err);
    if (r == 0)
        r = carry_out(&act, err);
    if (r == 0)
        r = fv_txn_flush(txn, err); /* or it would still be read */
    if (r == 0)
        *ret_version = act.version;
    return r;
}

/* ---- many ---- */

/* A version that is to go. */
struct due {
    struct fv_target target;
    uint32_t no;
    struct fv_act act;
    struct due *next;
};

struct retention {
    flagver_txn *txn;
    const char *phase;
    const flagver_write_options *options;
    int64_t before;
    struct due *first, **last;
};

/* In order of their subjects, which is the order in which series are locked. */
static int collect(struct retention *retention, const flagver_version_row *row, flagver_error *err)
{
    struct fv_arena *arena = fv_txn_arena(retention->txn);
    struct due *due;
    char *subject;

    if (row->created_at >= retention->before || !row->payload.data ||
        row->bits & FLAGVER_VERSION_TOMBSTONE)
        return 0;
    due = fv_arena_allocate_zeroed(arena, 1, sizeof *due);
    subject = fv_arena_string(arena, row->subject.data, row->subject.length);
    if (!due || !subject)
        return fv_fail_memory(err);
    due->no = row->no;
    *retention->last = due;
    retention->last = &due->next;
    return fv_record_target(retention->phase, subject, retention->options, &due->target, err);
}

static int find_due(struct retention *retention, const char *prefix, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_ALL,
                                  .phase = fv_bytes(retention->phase),
                                  .subject = fv_bytes(prefix),
                                  .prefix = prefix != NULL,
                                  .states = OUT_OF_FORCE,
                                  .payload = 1 };
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = fv_txn_scan(retention->txn, &query, &cursor, err);
    if (r < 0)
        return r;
    while ((r = fv_txn_next(retention->txn, cursor, &row, err)) > 0) {
        r = collect(retention, &row.as.version, err);
        if (r < 0)
            break;
    }
    fv_txn_end_scan(retention->txn, cursor);
    return r;
}

/* What was recorded last counts as in force. */
static bool is_last_record(const struct due *due)
{
    return due->act.state == FLAGVER_STATE_RECORDED && due->no == due->act.series->row.last_no;
}

/* Those that stay after all are taken off the list. */
static int prepare_all(struct retention *retention, flagver_error *err)
{
    struct due **at = &retention->first, *due;
    int r;

    while ((due = *at)) {
        r = fv_record_resolve(retention->txn, &due->target, err);
        if (r == 0)
            r = prepare(&due->act, retention->txn, &due->target, due->no, err);
        if (r < 0)
            return r;
        if (is_last_record(due))
            *at = due->next;
        else
            at = &due->next;
    }
    return 0;
}

/* Nothing to do is no mistake in a phase that there is. */
static int check_phase(flagver_txn *txn, const char *phase, const char *prefix, flagver_error *err)
{
    const struct fv_policy *policy;

    return fv_policies_find(txn, phase, prefix ? prefix : "", &policy, err);
}

int fv_records_retain(flagver_txn *txn, const char *phase, const char *prefix, int64_t before,
                      const flagver_write_options *options, uint32_t *ret_count, flagver_error *err)
{
    struct retention retention = {
        .txn = txn, .phase = phase, .options = options, .before = before
    };
    struct due *due;
    uint32_t count = 0;
    int r;

    retention.last = &retention.first;
    r = find_due(&retention, prefix, err);
    if (r == 0 && !retention.first)
        r = check_phase(txn, phase, prefix, err);
    if (r == 0)
        r = prepare_all(&retention, err);
    for (due = retention.first; r == 0 && due; due = due->next) {
        r = carry_out(&due->act, err);
        count++;
    }
    if (r == 0)
        r = fv_txn_flush(txn, err);
    if (r == 0)
        *ret_count = count;
    return r;
}
