#include "engine/items.h"

#include <string.h>

#include "codec/payload.h"
#include "engine/acting.h"
#include "engine/votes.h"
#include "store/sealing.h"
#include "util/fail.h"
#include "util/map.h"

/* ---- all items of a version ---- */

static flagver_query query_of(const struct fv_staged *version, bool payload)
{
    return (flagver_query){ .kind = FLAGVER_QUERY_ITEMS,
                            .id = version->row.series,
                            .no = version->row.no,
                            .payload = payload };
}

/* `see` returns > 0 to go on, 0 to stop, or an error. */
static int walk(flagver_txn *txn, const flagver_query *query,
                int (*see)(void *data, const flagver_item_row *item, flagver_error *err),
                void *data, flagver_error *err)
{
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = fv_txn_scan(txn, query, &cursor, err);
    if (r < 0)
        return r;
    while ((r = fv_txn_next(txn, cursor, &row, err)) > 0) {
        r = see(data, &row.as.item, err);
        if (r <= 0)
            break;
    }
    fv_txn_end_scan(txn, cursor);
    return r;
}

/* ---- hashes ---- */

static void add_number(struct fv_digest *digest, uint64_t number, unsigned bytes)
{
    uint8_t out[8];
    unsigned i;

    for (i = 0; i < bytes; i++)
        out[i] = (uint8_t)(number >> (8 * (bytes - 1 - i)));
    fv_digest_add(digest, out, bytes);
}

static void add_text(struct fv_digest *digest, flagver_bytes text)
{
    add_number(digest, text.length, 4);
    fv_digest_add(digest, text.data, text.length);
}

void fv_item_add_to_content(struct fv_digest *digest, const flagver_item_row *item)
{
    add_text(digest, item->key);
    fv_digest_add(digest, item->hash, sizeof item->hash);
}

bool fv_item_add_to_decisions(struct fv_digest *digest, const flagver_item_row *item)
{
    if (item->status == FLAGVER_ITEM_PENDING)
        return false;
    add_text(digest, item->key);
    add_number(digest, (uint64_t)item->status, 1);
    add_number(digest, item->origin_no, 4);
    add_number(digest, (uint64_t)item->decided_at, 8);
    add_text(digest, item->decided_by);
    add_text(digest, item->note);
    return true;
}

static int add_to_content(void *data, const flagver_item_row *item, flagver_error *err)
{
    (void)err;
    fv_item_add_to_content(data, item);
    return 1;
}

int fv_items_hash(flagver_txn *txn, const struct fv_staged *version, flagver_bytes salt,
                  flagver_bytes payload, uint8_t out[32], flagver_error *err)
{
    struct fv_digest *digest = fv_txn_digester(txn);
    flagver_query query;
    int r = version && !version->no_items ? fv_txn_flush(txn, err) : 0;

    if (r < 0)
        return r;
    if (!digest)
        return fv_fail_memory(err);
    fv_digest_start(digest);
    fv_digest_add(digest, salt.data, salt.length);
    fv_digest_add(digest, payload.data, payload.length);
    if (version && !version->no_items) {
        query = query_of(version, false);
        r = walk(txn, &query, add_to_content, digest, err);
        if (r < 0)
            return r;
    }
    return fv_digest_end(digest, out) ? 0 : fv_fail_memory(err);
}

struct decisions {
    struct fv_digest *digest;
    size_t count;
};

static int add_to_decisions(void *data, const flagver_item_row *item, flagver_error *err)
{
    struct decisions *decisions = data;

    (void)err;
    if (fv_item_add_to_decisions(decisions->digest, item))
        decisions->count++;
    return 1;
}

int fv_items_decisions(flagver_txn *txn, const struct fv_staged *version, uint8_t out[32],
                       flagver_error *err)
{
    const flagver_query query = query_of(version, false);
    struct decisions decisions = { .count = 0 };
    uint8_t hash[32];
    int r;

    memset(out, 0, 32);
    if (version->no_items)
        return 0;
    r = fv_txn_flush(txn, err);
    decisions.digest = fv_txn_digester(txn);
    if (r < 0 || !decisions.digest)
        return r < 0 ? r : fv_fail_memory(err);
    fv_digest_start(decisions.digest);
    r = walk(txn, &query, add_to_decisions, &decisions, err);
    if (r < 0)
        return r;
    if (!fv_digest_end(decisions.digest, hash))
        return fv_fail_memory(err);
    if (decisions.count)
        memcpy(out, hash, sizeof hash);
    return 0;
}

struct undecided {
    flagver_txn *txn;
    const char *key;
};

static int see_undecided(void *data, const flagver_item_row *item, flagver_error *err)
{
    struct undecided *undecided = data;

    if (item->status != FLAGVER_ITEM_PENDING)
        return 1;
    undecided->key = fv_arena_string(fv_txn_arena(undecided->txn), item->key.data,
                                     item->key.length);
    return undecided->key ? 0 : fv_fail_memory(err);
}

int fv_items_undecided(flagver_txn *txn, const struct fv_staged *version, const char **ret_key,
                       flagver_error *err)
{
    const flagver_query query = query_of(version, false);
    struct undecided undecided = { .txn = txn };
    int r = version->no_items ? 0 : walk(txn, &query, see_undecided, &undecided, err);

    *ret_key = undecided.key;
    return r;
}

/* ---- items in memory ---- */

/* Those that a version has, by key; rows and texts live as long as the transaction. */
struct items {
    flagver_txn *txn;
    struct fv_map keys;
    flagver_item_row **rows; /* by number of the key */
    size_t capacity;
};

static bool copy(flagver_txn *txn, flagver_bytes *bytes)
{
    if (bytes->data)
        bytes->data = fv_arena_string(fv_txn_arena(txn), bytes->data, bytes->length);
    return bytes->data || !bytes->length;
}

static int collect(void *data, const flagver_item_row *item, flagver_error *err)
{
    struct items *items = data;
    size_t before = items->keys.count;
    flagver_item_row *row = fv_arena_allocate(fv_txn_arena(items->txn), sizeof *row);
    struct fv_sealed sealed;
    int r;

    if (!row)
        return fv_fail_memory(err);
    *row = *item;
    r = fv_item_is_sealed(row, &sealed)
            ? fv_txn_unseal(items->txn, &sealed, &row->payload, &row->payload_salt, err)
            : 0;
    if (r < 0)
        return r;
    if (!copy(items->txn, &row->key) || !copy(items->txn, &row->decided_by) ||
        !copy(items->txn, &row->note) || !copy(items->txn, &row->payload) ||
        !copy(items->txn, &row->payload_salt) ||
        !fv_grow(NULL, (void **)&items->rows, &items->capacity, before, sizeof *items->rows) ||
        fv_map_add(&items->keys, row->key.data, row->key.length) == FV_MAP_NONE)
        return fv_fail_memory(err);
    items->rows[before] = row;
    return 1;
}

static int load(struct items *items, flagver_txn *txn, const struct fv_staged *version,
                bool payload, flagver_error *err)
{
    const flagver_query query = query_of(version, payload);

    *items = (struct items){ .txn = txn };
    fv_map_init(&items->keys, NULL);
    return version->no_items ? 0 : walk(txn, &query, collect, items, err);
}

static void unload(struct items *items)
{
    fv_map_clear(&items->keys);
    fv_release(NULL, items->rows);
}

static flagver_item_row *find(const struct items *items, const char *key)
{
    uint32_t number = fv_map_find(&items->keys, key, strlen(key));

    return number == FV_MAP_NONE ? NULL : items->rows[number];
}

static int stage(flagver_txn *txn, const flagver_item_row *row, int32_t kind, flagver_error *err)
{
    flagver_change change = { .kind = kind };

    change.row.item = row;
    return fv_txn_change(txn, &change, err);
}

/* ---- carrying forward ---- */

static int carry_one(flagver_txn *txn, flagver_item_row *row, struct fv_staged *version,
                     flagver_error *err)
{
    int r = fv_txn_add_payload(txn, row->payload, row->payload_salt, &row->payload_id, err);

    row->series = version->row.series;
    row->no = version->row.no;
    return r < 0 ? r : stage(txn, row, FLAGVER_CHANGE_ITEM, err);
}

static int keep_approved(const struct items *items, struct fv_carried *carried, flagver_error *err)
{
    size_t i;

    carried->rows = fv_arena_allocate(fv_txn_arena(items->txn),
                                      (items->keys.count + 1) * sizeof(flagver_item_row *));
    if (!carried->rows)
        return fv_fail_memory(err);
    for (i = 0; i < items->keys.count; i++)
        if (items->rows[i]->status == FLAGVER_ITEM_APPROVED && items->rows[i]->payload.data)
            carried->rows[carried->count++] = items->rows[i];
    return 0;
}

int fv_items_find_carried(flagver_txn *txn, struct fv_series *series, uint32_t baseline_no,
                          struct fv_carried *ret_carried, flagver_error *err)
{
    struct fv_staged *baseline;
    struct items items;
    int r;

    *ret_carried = (struct fv_carried){ NULL, 0 };
    r = fv_txn_version(txn, series, baseline_no, false, &baseline, err);
    if (r < 0)
        return r;
    r = load(&items, txn, baseline, true, err);
    if (r >= 0)
        r = keep_approved(&items, ret_carried, err);
    unload(&items);
    return r;
}

int fv_items_carry(flagver_txn *txn, const struct fv_carried *carried, struct fv_staged *version,
                   flagver_error *err)
{
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < carried->count; i++) {
        version->no_items = false;
        r = carry_one(txn, carried->rows[i], version, err);
    }
    return r;
}

/* ---- put and remove ---- */

struct salt {
    flagver_txn *txn;
    flagver_bytes bytes;
};

static int keep_salt(void *data, const flagver_item_row *item, flagver_error *err)
{
    struct salt *salt = data;
    struct fv_sealed sealed;
    flagver_bytes unused;

    return fv_item_is_sealed(item, &sealed)
               ? fv_txn_unseal(salt->txn, &sealed, &unused, &salt->bytes, err)
               : 0;
}

/*
 * Does an item that is there say just this? With another content it gets another salt: the
 * old one stays with versions that it was carried forward to, and would help to guess what it was.
 */
static int is_same(const struct items *items, const flagver_item_row *there, bool encrypted,
                   flagver_bytes payload, bool *ret_same, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_ITEMS,
                                  .id = there->series,
                                  .no = there->no,
                                  .subject = there->key,
                                  .payload = 1 };
    struct salt salt = { .txn = items->txn };
    uint8_t hash[32];
    int r = encrypted ? walk(items->txn, &query, keep_salt, &salt, err) : 0;

    if (r == 0)
        r = fv_items_hash(items->txn, NULL, salt.bytes, payload, hash, err);
    *ret_same = r == 0 && encrypted == (salt.bytes.data != NULL) &&
                memcmp(there->hash, hash, sizeof hash) == 0;
    return r;
}

/* One item as it will be; NULL: it is like that already. */
static int make(struct items *items, const struct fv_target *target,
                const flagver_item_content *content, flagver_item_row **ret_row, flagver_error *err)
{
    flagver_item_row *there,
        *row = fv_arena_allocate_zeroed(fv_txn_arena(items->txn), 1, sizeof *row);
    struct fv_content made;
    bool same = false;
    int r;

    *ret_row = NULL;
    r = fv_check_text("item key", content->key, FLAGVER_ITEM_KEY_LIMIT, err);
    if (r < 0)
        return r;
    there = find(items, content->key);
    r = fv_record_part(items->txn, target, content->json, content->length, &made, err);
    if (r == 0 && there)
        r = is_same(items, there, target->policy->encrypt, made.payload, &same, err);
    if (r < 0 || same)
        return r;
    if (!row)
        return fv_fail_memory(err);
    row->key = fv_bytes(content->key);
    row->payload = made.payload;
    row->payload_salt = made.salt;
    r = fv_items_hash(items->txn, NULL, made.salt, made.payload, row->hash, err);
    if (r < 0 || !copy(items->txn, &row->key))
        return r < 0 ? r : fv_fail_memory(err);
    *ret_row = row;
    return 0;
}

static int is_too_many(const struct items *items, flagver_item_row *const *rows, size_t count,
                       flagver_error *err)
{
    size_t all = items->keys.count, i;

    for (i = 0; i < count; i++)
        all += rows[i] &&
               fv_map_find(&items->keys, rows[i]->key.data, rows[i]->key.length) == FV_MAP_NONE;
    return all > FLAGVER_ITEM_COUNT_LIMIT
               ? fv_fail(err, FLAGVER_EINVAL, "the version would have %zu items; up to %u allowed",
                         all, FLAGVER_ITEM_COUNT_LIMIT)
               : 0;
}

/* One item cannot be put twice at once: which of the two would it be? */
static int check_names(const struct fv_items_asked *asked, flagver_error *err)
{
    struct fv_map names;
    size_t i;
    uint32_t number;
    int r = 0;

    fv_map_init(&names, NULL);
    for (i = 0; r == 0 && i < asked->count; i++) {
        number = fv_map_add(&names, asked->items[i].key, strlen(asked->items[i].key));
        if (number == FV_MAP_NONE)
            r = fv_fail_memory(err);
        else if (number < i)
            r = fv_fail(err, FLAGVER_EINVAL, "item \"%.256s\" is there twice", asked->items[i].key);
    }
    fv_map_clear(&names);
    return r;
}

/* Nothing is staged before all of them were looked at. */
static int put_all(struct fv_act *act, struct items *items, const struct fv_items_asked *asked,
                   flagver_error *err)
{
    flagver_item_row **rows = fv_arena_allocate(fv_txn_arena(act->txn),
                                                (asked->count + 1) * sizeof *rows);
    size_t i;
    int r = rows ? check_names(asked, err) : fv_fail_memory(err);

    for (i = 0; r == 0 && i < asked->count; i++)
        r = make(items, act->target, &asked->items[i], &rows[i], err);
    if (r == 0)
        r = is_too_many(items, rows, asked->count, err);
    for (i = 0; r == 0 && i < asked->count; i++) {
        if (!rows[i])
            continue;
        act->version->no_items = false;
        r = carry_one(act->txn, rows[i], act->version, err);
        if (r == 0 && find(items, asked->items[i].key))
            r = fv_txn_shred_payload(act->txn, &find(items, asked->items[i].key)->payload_id, err);
    }
    return r;
}

static int check_keys(const struct fv_act *act, const struct items *items,
                      const struct fv_items_asked *asked, flagver_error *err)
{
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < asked->count; i++) {
        r = fv_check_text("item key", asked->keys[i], FLAGVER_ITEM_KEY_LIMIT, err);
        if (r == 0 && !find(items, asked->keys[i]))
            r = fv_fail(err, FLAGVER_ENOTFOUND, "version %u has no item \"%.256s\"",
                        (unsigned)act->version->row.no, asked->keys[i]);
    }
    return r;
}

static int remove_all(struct fv_act *act, struct items *items, const struct fv_items_asked *asked,
                      flagver_error *err)
{
    const flagver_item_row *row;
    uint32_t number;
    size_t i;
    int r = check_keys(act, items, asked, err);

    for (i = 0; r == 0 && i < asked->count; i++) {
        number = fv_map_find(&items->keys, asked->keys[i], strlen(asked->keys[i]));
        row = items->rows[number];
        if (!row)
            continue; /* a key may be named twice */
        items->rows[number] = NULL;
        r = stage(act->txn, row, FLAGVER_CHANGE_ITEM_DELETE, err);
        if (r == 0)
            r = fv_txn_shred_payload(act->txn, &row->payload_id, err);
    }
    return r;
}

/* The version has other items now. */
static int finish_edit(struct fv_act *act, flagver_error *err)
{
    struct fv_staged *version = act->version;
    int r;

    r = fv_items_hash(act->txn, version, version->row.payload_salt, version->row.payload,
                      version->row.content_hash, err);
    if (r == 0)
        r = fv_act_note(act, &version->row.note, err);
    if (r == 0)
        r = fv_votes_add_author(act->txn, version, err);
    return r < 0 ? r : fv_act_move(act, FLAGVER_STATE_DRAFT, err);
}

static int edit(flagver_txn *txn, const struct fv_target *target,
                const struct fv_items_asked *asked,
                int (*change)(struct fv_act *act, struct items *items,
                              const struct fv_items_asked *asked, flagver_error *err),
                struct fv_staged **ret_version, flagver_error *err)
{
    struct items items;
    struct fv_act act;
    int r;

    r = fv_act_prepare(&act, txn, target, FV_ACTION_EDIT, asked->no, err);
    if (r < 0)
        return r;
    if (act.version->row.bits & FLAGVER_VERSION_TOMBSTONE)
        return fv_fail(err, FLAGVER_ESTATE, "version %u is a deletion and has no items",
                       (unsigned)asked->no);
    r = load(&items, txn, act.version, false, err);
    if (r >= 0)
        r = change(&act, &items, asked, err);
    unload(&items);
    *ret_version = act.version;
    return r < 0 ? r : finish_edit(&act, err);
}

int fv_items_put(flagver_txn *txn, const struct fv_target *target,
                 const struct fv_items_asked *asked, struct fv_staged **ret_version,
                 flagver_error *err)
{
    return edit(txn, target, asked, put_all, ret_version, err);
}

int fv_items_remove(flagver_txn *txn, const struct fv_target *target,
                    const struct fv_items_asked *asked, struct fv_staged **ret_version,
                    flagver_error *err)
{
    return edit(txn, target, asked, remove_all, ret_version, err);
}

/* ---- decisions ---- */

static int decide_all(struct fv_act *act, struct items *items, const struct fv_items_asked *asked,
                      flagver_error *err)
{
    int64_t time = fv_txn_time(act->txn, act->series);
    flagver_bytes note = { NULL, 0 };
    flagver_item_row *row;
    size_t i;
    int r = check_keys(act, items, asked, err);

    if (r == 0 &&
        asked->status != FLAGVER_ITEM_PENDING) /* else there is no decision to say it of */
        r = fv_act_note(act, &note, err);
    for (i = 0; r == 0 && i < asked->count; i++) {
        row = find(items, asked->keys[i]);
        row->status = asked->status;
        row->note = note;
        row->decided_at = asked->status == FLAGVER_ITEM_PENDING ? 0 : time;
        row->decided_by = fv_bytes(asked->status == FLAGVER_ITEM_PENDING ? NULL
                                                                         : fv_txn_actor(act->txn));
        row->origin_no = asked->status != FLAGVER_ITEM_APPROVED ? 0
                         : row->origin_no                       ? row->origin_no
                                                                : row->no;
        r = stage(act->txn, row, FLAGVER_CHANGE_ITEM, err);
    }
    return r;
}

int fv_items_decide(flagver_txn *txn, const struct fv_target *target,
                    const struct fv_items_asked *asked, struct fv_staged **ret_version,
                    flagver_error *err)
{
    struct items items;
    struct fv_act act;
    int r;

    if (asked->status < FLAGVER_ITEM_PENDING || asked->status > FLAGVER_ITEM_REJECTED)
        return fv_fail(err, FLAGVER_EINVAL, "status is %d; FLAGVER_ITEM_… allowed",
                       (int)asked->status);
    r = fv_act_prepare(&act, txn, target, FV_ACTION_DECIDE, asked->no, err);
    if (r < 0)
        return r;
    r = load(&items, txn, act.version, false, err);
    if (r >= 0)
        r = decide_all(&act, &items, asked, err);
    unload(&items);
    *ret_version = act.version;
    return r < 0 ? r : fv_act_move(&act, FLAGVER_STATE_SUBMITTED, err);
}
