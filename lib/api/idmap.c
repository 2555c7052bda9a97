#include "flagver/idmap.h"

#include <string.h>

#include "crypto/named.h"
#include "engine/client.h"
#include "engine/idmap.h"
#include "util/fail.h"

static struct fv_words words_of(const char *text)
{
    return (struct fv_words){ text, text ? strlen(text) : 0 };
}

/* ---- writing ---- */

/* As fv_txn_replay(), of an operation that says `count` words; else it is run and recorded. */
static int perform(flagver_txn *txn, const struct fv_words *words, size_t count,
                   int (*run)(flagver_txn *txn, void *data, flagver_error *err), void *data,
                   flagver_error *err)
{
    uint32_t unused;
    int r = fv_txn_replay(txn, words, count, &unused, err);

    if (r != 0)
        return r;
    r = run(txn, data, err);
    if (r < 0)
        fv_txn_record_refusal(txn, r);
    else
        fv_txn_record(txn, 1);
    return r;
}

/* ---- many at once ---- */

struct putting {
    const flagver_idmap_entry *entries;
    size_t count, refused;
};

static int run_put(flagver_txn *txn, void *data, flagver_error *err)
{
    struct putting *putting = data;

    return fv_idmap_put(txn, putting->entries, putting->count, &putting->refused, err);
}

/* Of all that is asked for: each text with its NUL, so that no two batches give the same. */
static int digest_entries(flagver_txn *txn, const struct putting *putting,
                          uint8_t out[FV_DIGEST_SIZE], flagver_error *err)
{
    struct fv_digest *digest = fv_txn_digester(txn);
    const flagver_idmap_entry *entry;

    if (!digest)
        return fv_fail_memory(err);
    fv_digest_start(digest);
    for (size_t i = 0; i < putting->count; i++) {
        entry = &putting->entries[i];
        fv_digest_add(digest, entry->entity, strlen(entry->entity) + 1);
        fv_digest_add(digest, entry->old_id, strlen(entry->old_id) + 1);
        fv_digest_add(digest, entry->new_id, strlen(entry->new_id) + 1);
    }
    return fv_digest_end(digest, out) ? 0 : fv_fail_memory(err);
}

static int put_entries(flagver_txn *txn, struct putting *putting, flagver_error *err)
{
    uint8_t digest[FV_DIGEST_SIZE];
    const struct fv_words words[] = { words_of("idmap put"), { digest, sizeof digest } };
    int r = digest_entries(txn, putting, digest, err);

    if (r == 0)
        r = perform(txn, words, sizeof words / sizeof *words, run_put, putting, err);
    return r < 0 ? r : 0;
}

static int check_entries(struct putting *putting, flagver_error *err)
{
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < putting->count; i++)
        r = fv_idmap_check(&putting->entries[i], err);
    if (r < 0)
        putting->refused = i - 1;
    return r;
}

int flagver_idmap_put_many(flagver_txn *txn, const flagver_idmap_entry *entries, size_t count,
                           size_t *ret_refused, flagver_error *err)
{
    struct putting putting = { entries, count, count };
    int r;

    if (!txn || (!entries && count))
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", txn ? "entries" : "txn");
    r = check_entries(&putting, err);
    if (r == 0) {
        r = fv_txn_enter(txn, err);
        if (r < 0)
            return r;
        r = fv_txn_leave(txn, put_entries(txn, &putting, err), err);
    }
    if (r < 0 && ret_refused)
        *ret_refused = putting.refused;
    return r;
}

int flagver_idmap_put(flagver_txn *txn, const char *entity, const char *old_id, const char *new_id,
                      flagver_error *err)
{
    const flagver_idmap_entry entry = { .entity = entity, .old_id = old_id, .new_id = new_id };

    return flagver_idmap_put_many(txn, &entry, 1, NULL, err);
}

/* ---- one ---- */

struct making {
    flagver_idmap_entry entry;
    char id[FLAGVER_IDMAP_ID_SIZE];
};

static int run_new(flagver_txn *txn, void *data, flagver_error *err)
{
    struct making *making = data;

    return fv_idmap_new(txn, &making->entry, making->id, err);
}

/* What came of it the first time is the mapping that is there. */
static int make(flagver_txn *txn, struct making *making, flagver_error *err)
{
    const flagver_idmap_entry *entry = &making->entry;
    const struct fv_words words[] = { words_of("idmap new"), words_of(entry->entity),
                                      words_of(entry->old_id), words_of(entry->new_id) };
    int r = perform(txn, words, sizeof words / sizeof *words, run_new, making, err);

    return r > 0 ? fv_idmap_find(txn, FV_IDMAP_OLD, entry->entity, entry->old_id, making->id, err)
                 : r;
}

static int check_one(const flagver_txn *txn, const char *entity, enum fv_idmap_side side,
                     const char *id, flagver_error *err)
{
    int r;

    if (!txn)
        return fv_fail(err, FLAGVER_EINVAL, "txn is NULL");
    r = fv_idmap_check_entity(entity, err);
    return r == 0 ? fv_idmap_check_id(side, id, err) : r;
}

int flagver_idmap_new(flagver_txn *txn, const char *entity, const char *old_id, const char *new_id,
                      char *ret_id, flagver_error *err)
{
    struct making making = { .entry = { entity, old_id, new_id, 0 } };
    int r = check_one(txn, entity, FV_IDMAP_OLD, old_id, err);

    if (r == 0 && new_id)
        r = fv_idmap_check_id(FV_IDMAP_NEW, new_id, err);
    if (r == 0 && !ret_id)
        r = fv_fail(err, FLAGVER_EINVAL, "ret_id is NULL");
    if (r == 0)
        r = fv_txn_enter(txn, err);
    if (r < 0)
        return r;
    r = fv_txn_leave(txn, make(txn, &making, err), err);
    if (r == 0)
        strcpy(ret_id, making.id);
    return r;
}

static int run_remove(flagver_txn *txn, void *data, flagver_error *err)
{
    const flagver_idmap_entry *entry = data;

    return fv_idmap_remove(txn, entry->entity, entry->old_id, err);
}

int flagver_idmap_remove(flagver_txn *txn, const char *entity, const char *old_id,
                         flagver_error *err)
{
    const struct fv_words words[] = { words_of("idmap remove"), words_of(entity),
                                      words_of(old_id) };
    flagver_idmap_entry entry = { .entity = entity, .old_id = old_id };
    int r = check_one(txn, entity, FV_IDMAP_OLD, old_id, err);

    if (r == 0)
        r = fv_txn_enter(txn, err);
    if (r < 0)
        return r;
    r = perform(txn, words, sizeof words / sizeof *words, run_remove, &entry, err);
    return fv_txn_leave(txn, r < 0 ? r : 0, err);
}

/* ---- reading ---- */

static int get_in(flagver_txn *txn, enum fv_idmap_side side, const char *entity, const char *id,
                  char *ret_id, flagver_error *err)
{
    int r = check_one(txn, entity, side, id, err);

    if (r == 0 && !ret_id)
        r = fv_fail(err, FLAGVER_EINVAL, "ret_id is NULL");
    if (r == 0)
        r = fv_txn_enter(txn, err);
    return r < 0 ? r : fv_txn_leave(txn, fv_idmap_find(txn, side, entity, id, ret_id, err), err);
}

int flagver_idmap_get_in(flagver_txn *txn, const char *entity, const char *old_id, char *ret_id,
                         flagver_error *err)
{
    return get_in(txn, FV_IDMAP_OLD, entity, old_id, ret_id, err);
}

int flagver_idmap_get_old_in(flagver_txn *txn, const char *entity, const char *new_id, char *ret_id,
                             flagver_error *err)
{
    return get_in(txn, FV_IDMAP_NEW, entity, new_id, ret_id, err);
}

static int get(flagver_client *client, enum fv_idmap_side side, const char *entity, const char *id,
               char *ret_id, flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r = fv_idmap_check_entity(entity, err);

    if (r == 0)
        r = fv_idmap_check_id(side, id, err);
    if (r == 0 && !ret_id)
        r = fv_fail(err, FLAGVER_EINVAL, "ret_id is NULL");
    if (r == 0)
        r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_idmap_get(&tenancy, side, entity, id, ret_id, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_idmap_get(flagver_client *client, const char *entity, const char *old_id, char *ret_id,
                      flagver_error *err)
{
    return get(client, FV_IDMAP_OLD, entity, old_id, ret_id, err);
}

int flagver_idmap_get_old(flagver_client *client, const char *entity, const char *new_id,
                          char *ret_id, flagver_error *err)
{
    return get(client, FV_IDMAP_NEW, entity, new_id, ret_id, err);
}

int flagver_idmap_visit(flagver_client *client, const char *entity, const char *after,
                        bool (*visit)(void *data, const flagver_idmap_entry *entry), void *data,
                        flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r = 0;

    if (!visit)
        return fv_fail(err, FLAGVER_EINVAL, "visit is NULL");
    if (after && !entity)
        return fv_fail(err, FLAGVER_EINVAL, "after \"%.255s\" of no entity", after);
    if (entity)
        r = fv_idmap_check_entity(entity, err);
    if (r == 0 && after)
        r = fv_idmap_check_id(FV_IDMAP_OLD, after, err);
    if (r == 0)
        r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_idmap_visit(&tenancy, entity, after, visit, data, err);
    fv_store_release(tenancy.store);
    return r;
}

/* ---- UUIDs ---- */

static int make_uuid(int version, const char *name_space, const void *name, size_t length,
                     char *ret_text, flagver_error *err)
{
    flagver_id space, id;

    if (!name_space || (!name && length) || !ret_text)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL",
                       !name_space ? "name_space"
                       : ret_text  ? "name"
                                   : "ret_text");
    if (!fv_uuid_parse(name_space, &space))
        return fv_fail(err, FLAGVER_EINVAL, "name_space \"%.60s\" is no UUID", name_space);
    if (!fv_uuid_named(version, &space, name, length, &id))
        return fv_fail_memory(err);
    fv_uuid_text(&id, ret_text);
    return 0;
}

int flagver_uuid_v5(const char *name_space, const void *name, size_t length, char *ret_text,
                    flagver_error *err)
{
    return make_uuid(5, name_space, name, length, ret_text, err);
}

int flagver_uuid_v8(const char *name_space, const void *name, size_t length, char *ret_text,
                    flagver_error *err)
{
    return make_uuid(8, name_space, name, length, ret_text, err);
}
