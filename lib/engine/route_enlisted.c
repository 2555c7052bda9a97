#include <string.h>

#include "engine/route_write.h"
#include "util/fail.h"

/* ---- rows of keys ---- */

/* Both sides may be in one store. */
static void row_key_of(const struct fv_steering *steering, enum fv_side side, const char *key,
                       struct fv_row_key *ret_key)
{
    char text[2 + FLAGVER_ROUTE_KEY_LIMIT] = { side == FV_OLD ? 'o' : 'n', '\x1f' };
    size_t length = strlen(key);

    memcpy(text + 2, key, length);
    fv_row_key(steering->name, text, 2 + length, ret_key);
}

static int decode(struct fv_keyed_version *version, flagver_error *err)
{
    version->key = (struct fv_key_row){ 0 };
    if (version->row.rev == 0)
        return 0;
    return fv_key_row_decode(version->row.value.data, version->row.value.length, &version->key,
                             err);
}

int fv_key_row_get(const struct fv_steering *steering, flagver_txn *txn, enum fv_side side,
                   const char *key, struct fv_keyed_version *ret_version, flagver_error *err)
{
    struct fv_row_key row_key;
    int r;

    row_key_of(steering, side, key, &row_key);
    r = fv_txn_keyed_get(txn, FV_SPACE_KEY, fv_row_key_bytes(&row_key), &ret_version->row, err);
    return r < 0 ? r : decode(ret_version, err);
}

static bool copy_key(struct fv_arena *arena, const struct fv_row_key *key, flagver_bytes *ret_key)
{
    ret_key->data = fv_arena_string(arena, key->text, key->length);
    ret_key->length = key->length;
    return ret_key->data != NULL;
}

int fv_key_rows_get(const struct fv_steering *steering, flagver_txn *txn, enum fv_side side,
                    const char *after, const char *const *keys, size_t count,
                    struct fv_keyed_version *ret_versions, flagver_error *err)
{
    struct fv_arena *arena = fv_txn_arena(txn);
    flagver_bytes *names = fv_arena_allocate(arena, (count + 1) * sizeof *names);
    flagver_keyed_row *rows = fv_arena_allocate(arena, (count + 1) * sizeof *rows);
    struct fv_keyed_range range = { .space = FV_SPACE_KEY };
    struct fv_row_key prefix, key;
    int r = 0;

    if (!names || !rows)
        return fv_fail_memory(err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        row_key_of(steering, side, keys[i], &key);
        r = copy_key(arena, &key, &names[i]) ? 0 : fv_fail_memory(err);
    }
    row_key_of(steering, side, "", &prefix);
    row_key_of(steering, side, after, &key);
    range.prefix = fv_row_key_bytes(&prefix);
    range.after = fv_row_key_bytes(&key);
    if (r == 0)
        r = fv_txn_keyed_get_many(txn, &range, names, count, rows, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        ret_versions[i].row = rows[i];
        r = decode(&ret_versions[i], err);
    }
    return r;
}

int fv_key_row_put(flagver_txn *txn, struct fv_keyed_version *version, flagver_error *err)
{
    uint8_t bytes[FV_KEY_ROW_BYTES];
    size_t length = fv_key_row_encode(&version->key, bytes);

    return fv_txn_keyed_put(txn, &version->row, (flagver_bytes){ bytes, length }, err);
}

/* ---- the authority ---- */

/* A write whose authority is enlisted, and what it has led to so far. */
struct passage {
    struct fv_writing *writing;
    enum fv_side authority;
    enum fv_admission admission;
    struct fv_version version;
    struct fv_entry_operation operation; /* where the other side is detached */
    bool within;                         /* others commit: the other side is left to a repair */
    bool reached;                        /* the other side, in the same transaction */
};

static bool removes(const struct passage *passage)
{
    return passage->writing->asked->operation == FLAGVER_ROUTE_REMOVE;
}

static int admit(struct passage *passage, flagver_txn *txn, flagver_error *err)
{
    struct fv_writing *writing = passage->writing;
    flagver_keyed_row row;
    struct fv_fence fence;
    int r;

    r = fv_steering_hold(&writing->route->steering, txn, passage->authority, true, &row, &fence,
                         err);
    if (r < 0)
        return r;
    passage->admission = fv_fence_admit(&fence, fence.version);
    if (passage->admission != FV_ADMIT_GO)
        return fv_fail(err, FLAGVER_ESTATE, "%s: %s is not the authority now", writing->route->name,
                       fv_side_name((int)passage->authority));
    writing->decision.version = (int64_t)fence.version;
    fv_write_plan(writing, fence.stage);
    passage->version = (struct fv_version){ fence.epoch, 0 };
    return 0;
}

/* The row of the key, and the version after it. */
static int find_version(struct passage *passage, flagver_txn *txn, const char *key,
                        struct fv_keyed_version *ret_stored, flagver_error *err)
{
    const struct fv_steering *steering = &passage->writing->route->steering;
    const struct fv_fence fence = { .epoch = passage->version.epoch };
    int r;

    r = fv_key_row_get(steering, txn, passage->authority, key, ret_stored, err);
    return r < 0 ? r : fv_version_next(ret_stored->key.version, &fence, &passage->version, err);
}

/*
 * The row first, and then the record, which may be locked meanwhile: whoever was there between changes
 * the row, and then ours is refused. A record that is created has no key before.
 */
static int write_authority(struct passage *passage, flagver_txn *txn, flagver_error *err)
{
    struct fv_writing *writing = passage->writing;
    const char *key = writing->asked->key;
    struct fv_keyed_version stored;
    int r = 0;

    if (key)
        r = find_version(passage, txn, key, &stored, err);
    if (r < 0)
        return r;
    r = fv_write_side(writing, passage->authority, key, txn);
    if (r < 0)
        return fv_write_refused(writing, passage->authority, err);
    if (!key)
        r = find_version(passage, txn, fv_written_key(writing, passage->authority), &stored, err);
    if (r < 0 || !fv_version_is_kept(passage->version, writing->plan.both))
        return r;
    stored.key = (struct fv_key_row){ passage->version, removes(passage) };
    return fv_key_row_put(txn, &stored, err);
}

/*
 * The other side will have to get this: so says the entry, committed together with the write. Where that
 * has been done in a transaction of others, nothing here refuses it any more: an operation would
 * need a place in the entry, a doubt does not.
 */
static int remember(struct passage *passage, flagver_txn *txn, flagver_error *err)
{
    struct fv_writing *writing = passage->writing;
    flagver_route *route = writing->route;
    struct fv_entry entry;
    flagver_keyed_row row;
    int r;

    r = fv_entry_get(txn, route->name, fv_written_key(writing, passage->authority), &row, &entry,
                     err);
    if (r < 0)
        return r;
    if (route->steering.enlisted[fv_side_other(passage->authority)]) {
        fv_entry_owe(&entry, passage->version, fv_txn_began(txn));
        return fv_entry_put(txn, &row, &entry, err);
    }
    if (passage->within) {
        fv_entry_doubt(&entry, fv_txn_began(txn));
        return fv_entry_put(txn, &row, &entry, err);
    }
    r = fv_ledger_operation(&route->ledger, &passage->operation, err);
    if (r == 0)
        r = fv_entry_enter(&entry, &passage->operation, fv_txn_began(txn), err);
    return r < 0 ? r : fv_entry_put(txn, &row, &entry, err);
}

/* ---- the other side ---- */

/* Only what is newer than what it has. */
static int write_other(struct passage *passage, flagver_txn *txn, flagver_error *err)
{
    struct fv_writing *writing = passage->writing;
    enum fv_side other = fv_side_other(passage->authority);
    const char *key = fv_written_key(writing, passage->authority);
    struct fv_keyed_version stored;
    int r;

    r = fv_key_row_get(&writing->route->steering, txn, other, key, &stored, err);
    if (r < 0 || !fv_version_applies(passage->version, stored.key.version))
        return r;
    r = fv_write_side(writing, other, key, txn);
    if (r < 0)
        return fv_write_refused(writing, other, err);
    stored.key = (struct fv_key_row){ passage->version, removes(passage) };
    return fv_key_row_put(txn, &stored, err);
}

/* Both sides in one transaction; when the other one fails, its part is taken back. */
static int write_together(struct passage *passage, flagver_txn *txn, flagver_error *err)
{
    struct fv_writing *writing = passage->writing;
    enum fv_side other = fv_side_other(passage->authority);
    int written, r;

    r = fv_txn_nest(txn, FLAGVER_NEST_BEGIN, err);
    if (r < 0)
        return r;
    written = write_other(passage, txn, &writing->result->errors[other]);
    passage->reached = written == 0;
    if (written < 0) /* its function may have been fine, and the store not */
        writing->result->sides[other].code = fv_write_ended(writing, other, written);
    r = fv_txn_nest(txn, passage->reached ? FLAGVER_NEST_KEEP : FLAGVER_NEST_UNDO, err);
    return r < 0 || passage->reached ? r : remember(passage, txn, err);
}

static int pass(void *data, flagver_txn *txn, flagver_error *err)
{
    struct passage *passage = data;
    struct fv_writing *writing = passage->writing;
    const struct fv_steering *steering = &writing->route->steering;
    int r;

    r = admit(passage, txn, err);
    if (r == 0)
        r = write_authority(passage, txn, err);
    if (r < 0 || !writing->plan.both)
        return r;
    return steering->together && steering->enlisted[fv_side_other(passage->authority)]
               ? write_together(passage, txn, err)
               : remember(passage, txn, err);
}

static int apply(void *data, flagver_txn *txn, flagver_error *err)
{
    return write_other(data, txn, err);
}

static void follow(struct passage *passage)
{
    struct fv_writing *writing = passage->writing;
    flagver_route *route = writing->route;
    enum fv_side other = fv_side_other(passage->authority);
    const char *key = fv_written_key(writing, passage->authority);
    struct fv_act act = { .side = passage->authority };
    flagver_error *why = &writing->result->errors[other];
    int r;

    memcpy(act.key, key, strlen(key) + 1);
    if (route->steering.enlisted[other]) {
        r = fv_steering_run(&route->steering, other, apply, passage, why);
        act.kind = FV_ACT_SETTLE;
        act.version = passage->version;
    } else {
        writing->deadline = fv_ledger_deadline(&passage->operation);
        r = fv_write_side(writing, other, key, NULL);
        act.kind = FV_ACT_LEAVE;
        act.operation = passage->operation;
        act.ok = r == 0;
    }
    writing->result->pending = r < 0;
    if (r < 0) /* its function may have been fine, and its store not */
        writing->result->sides[other].code = fv_write_ended(writing, other, r);
    if (r == 0 || act.kind == FV_ACT_LEAVE)
        fv_ledger_note(&route->ledger, &act);
}

/* ---- within a transaction of others ---- */

/*
 * What such a transaction has created, and nobody knew that it took place, is not created by the next try, which
 * comes to nothing: it has the key that was told then, whoever is believed by now. 1: so it was; 0: create it.
 */
static int find_created(struct fv_writing *writing, flagver_txn *txn, struct fv_deed *ret_deed,
                        flagver_error *err)
{
    static const char what[] = "route.create";
    const struct fv_route_asked *asked = writing->asked;
    const char *name = writing->route->name, *id = asked->call.operation_id, *key;
    const struct fv_words words[] = { { what, sizeof what - 1 },
                                      { name, strlen(name) },
                                      { asked->value, asked->length },
                                      { id, id ? strlen(id) : 0 } };
    int r;

    r = fv_txn_replay_deed(txn, words, sizeof words / sizeof *words, ret_deed, &key, err);
    if (r <= 0)
        return r;
    fv_write_plan(writing, writing->decision.stage);
    r = fv_sink_key(&writing->calls[writing->plan.primary].sink, key);
    if (r == FLAGVER_EINVAL)
        return fv_fail(err, FLAGVER_ECORRUPT, "%s: what was recorded of a creation is no key",
                       name);
    return r < 0 ? fv_fail_memory(err) : 1;
}

static int check_home(const struct passage *passage, flagver_txn *txn, flagver_error *err)
{
    const flagver_route *route = passage->writing->route;
    const struct fv_txn_source *source = fv_txn_source(txn);
    struct fv_tenancy home;
    bool fits;
    int r;

    r = fv_client_tenancy(route->steering.homes[passage->authority], &home, err);
    if (r < 0)
        return r;
    fits = route->steering.enlisted[passage->authority] && source->store == home.store &&
           strcmp(source->tenant, home.tenant) == 0;
    fv_store_release(home.store);
    return fits
               ? 0
               : fv_fail(err, FLAGVER_EINVAL,
                         "%s: the transaction is not on the store in which the %s side is enlisted",
                         route->name, fv_side_name((int)passage->authority));
}

/* A transaction that began before the authority changed is to be started over. */
static int pass_within(struct passage *passage, flagver_txn *txn, flagver_error *err)
{
    const char *name = passage->writing->route->name;
    int r;

    r = check_home(passage, txn, err);
    if (r < 0)
        return r;
    r = pass(passage, txn, err);
    if (r < 0 && passage->admission == FV_ADMIT_WAIT)
        return fv_fail(err, FLAGVER_EBUSY, "%s: a flip is under way: start over", name);
    if (r < 0 && passage->admission != FV_ADMIT_GO)
        return fv_fail(err, FLAGVER_EBUSY, "%s: %s is not the authority any more: start over", name,
                       fv_side_name((int)passage->authority));
    return r < 0 ? fv_write_ended(passage->writing, passage->authority, r) : 0;
}

int fv_write_within(struct fv_writing *writing, enum fv_side authority, flagver_txn *txn,
                    flagver_error *err)
{
    struct passage passage = {
        .writing = writing, .authority = authority, .admission = FV_ADMIT_GO, .within = true
    };
    bool creates = !writing->asked->key;
    struct fv_deed deed;
    int r;

    r = fv_txn_enter(txn, err);
    if (r < 0)
        return r;
    r = creates ? find_created(writing, txn, &deed, err) : 0;
    if (r == 0) {
        r = pass_within(&passage, txn, err);
        if (creates)
            fv_txn_record_deed(txn, &deed, r, fv_written_key(writing, authority));
    }
    r = r < 0 ? r : 0;
    writing->result->pending = r == 0 && writing->plan.both && !passage.reached;
    return fv_txn_leave(txn, r, err);
}

/* ---- the whole ---- */

int fv_write_enlisted(struct fv_writing *writing, enum fv_side authority, flagver_error *err)
{
    struct passage passage = { .writing = writing,
                               .authority = authority,
                               .admission = FV_ADMIT_GO };
    int r;

    r = fv_steering_run(&writing->route->steering, authority, pass, &passage, err);
    if (r < 0 && passage.admission != FV_ADMIT_GO)
        return (int)passage.admission;
    if (r < 0)
        return fv_write_ended(writing, authority, r);
    if (writing->plan.both && !passage.reached) {
        if (writing->route->steering.together &&
            writing->route->steering.enlisted[fv_side_other(authority)])
            writing->result->pending = true; /* tried, and taken back */
        else
            follow(&passage);
    }
    return 0;
}
