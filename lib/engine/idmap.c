#include "engine/idmap.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/named.h"
#include "util/fail.h"

#define BETWEEN '\x1f' /* entity and id: neither has one */
#define RANGE_AT 16    /* from so many mappings on their rows are looked for together */

static const char *const spaces[] = { [FV_IDMAP_OLD] = "idmap.old", [FV_IDMAP_NEW] = "idmap.new" };

flagver_bytes fv_idmap_space(enum fv_idmap_side side)
{
    return fv_bytes(spaces[side]);
}

/* ---- texts ---- */

int fv_idmap_check_entity(const char *entity, flagver_error *err)
{
    return fv_check_text("entity", entity, FLAGVER_IDMAP_ENTITY_LIMIT, err);
}

int fv_idmap_check_id(enum fv_idmap_side side, const char *id, flagver_error *err)
{
    return fv_check_text(side == FV_IDMAP_OLD ? "old_id" : "new_id", id, FLAGVER_IDMAP_ID_LIMIT,
                         err);
}

int fv_idmap_check(const flagver_idmap_entry *entry, flagver_error *err)
{
    int r = fv_idmap_check_entity(entry->entity, err);

    if (r == 0)
        r = fv_idmap_check_id(FV_IDMAP_OLD, entry->old_id, err);
    return r == 0 ? fv_idmap_check_id(FV_IDMAP_NEW, entry->new_id, err) : r;
}

/* Into `out`, which has room for it; its length comes back. `id` may be "". */
static size_t make_key(const char *entity, const char *id, char out[FV_IDMAP_KEY_SIZE])
{
    size_t entity_length = strlen(entity), id_length = strlen(id);

    memcpy(out, entity, entity_length);
    out[entity_length] = BETWEEN;
    memcpy(out + entity_length + 1, id, id_length + 1);
    return entity_length + 1 + id_length;
}

static bool take_text(const char *from, size_t length, size_t limit, char *out)
{
    if (length == 0 || length > limit)
        return false;
    memcpy(out, from, length);
    out[length] = 0;
    return true;
}

static int refuse_row(const flagver_keyed_row *row, flagver_error *err)
{
    return fv_fail(err, FLAGVER_ECORRUPT, "row \"%.*s\" of the id map is malformed",
                   (int)row->key.length, (const char *)row->key.data);
}

int fv_idmap_read(const flagver_keyed_row *row, struct fv_idmap_text *ret_text, flagver_error *err)
{
    const char *key = row->key.data, *between = memchr(key, BETWEEN, row->key.length);
    size_t length = between ? (size_t)(between - key) : 0;
    bool fine = take_text(key, length, FLAGVER_IDMAP_ENTITY_LIMIT, ret_text->entity) &&
                take_text(between + 1, row->key.length - length - 1, FLAGVER_IDMAP_ID_LIMIT,
                          ret_text->id) &&
                take_text(row->value.data, row->value.length, FLAGVER_IDMAP_ID_LIMIT,
                          ret_text->other);

    return fine ? 0 : refuse_row(row, err);
}

/* ---- rows ---- */

static int fingerprint(struct fv_digest *digest, const char *value, int64_t *ret_rev,
                       flagver_error *err)
{
    uint8_t hash[FV_DIGEST_SIZE];
    uint64_t number = 0;
    int i;

    fv_digest_start(digest);
    fv_digest_add(digest, value, strlen(value));
    if (!fv_digest_end(digest, hash))
        return fv_fail_memory(err);
    for (i = 0; i < 8; i++)
        number = number << 8 | hash[i];
    *ret_rev = (int64_t)(number >> 2) + 1; /* > 0, and far from running over */
    return 0;
}

static flagver_keyed_row *make_row(struct fv_arena *arena, enum fv_idmap_side side,
                                   const char *tenant, const flagver_idmap_entry *entry)
{
    const char *id = side == FV_IDMAP_OLD ? entry->old_id : entry->new_id;
    const char *value = side == FV_IDMAP_OLD ? entry->new_id : entry->old_id;
    flagver_keyed_row *row = fv_arena_allocate_zeroed(arena, 1, sizeof *row);
    char key[FV_IDMAP_KEY_SIZE];

    if (!row)
        return NULL;
    row->tenant = fv_bytes(tenant);
    row->space = fv_idmap_space(side);
    row->key.length = make_key(entry->entity, id, key);
    row->key.data = fv_arena_string(arena, key, row->key.length);
    row->value.length = strlen(value);
    row->value.data = fv_arena_string(arena, value, row->value.length);
    row->time = entry->time;
    return row->key.data && row->value.data ? row : NULL;
}

int fv_idmap_row(struct fv_arena *arena, struct fv_digest *digest, enum fv_idmap_side side,
                 const char *tenant, const flagver_idmap_entry *entry, flagver_keyed_row **ret_row,
                 flagver_error *err)
{
    flagver_keyed_row *row = make_row(arena, side, tenant, entry);

    if (!row)
        return fv_fail_memory(err);
    *ret_row = row;
    return fingerprint(digest, row->value.data, &row->rev, err);
}

static int make_rows(flagver_txn *txn, const flagver_idmap_entry *entry,
                     flagver_keyed_row *ret_rows[2], flagver_error *err)
{
    const flagver_idmap_entry now = { entry->entity, entry->old_id, entry->new_id,
                                      fv_txn_began(txn) };
    struct fv_digest *digest = fv_txn_digester(txn);
    enum fv_idmap_side side;
    int r = digest ? 0 : fv_fail_memory(err);

    for (side = FV_IDMAP_OLD; r == 0 && side <= FV_IDMAP_NEW; side++)
        r = fv_idmap_row(fv_txn_arena(txn), digest, side, fv_txn_source(txn)->tenant, &now,
                         &ret_rows[side], err);
    return r;
}

/* ---- one id ---- */

/* The value of a row, in the transaction's arena; NULL: there is none. */
static int find(flagver_txn *txn, enum fv_idmap_side side, flagver_bytes key,
                const char **ret_value, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED,
                                  .space = fv_idmap_space(side),
                                  .subject = key };
    struct fv_idmap_text text;
    flagver_cursor *cursor;
    flagver_row row;
    int r = fv_txn_scan(txn, &query, &cursor, err);

    if (r < 0)
        return r;
    *ret_value = NULL;
    r = fv_txn_next(txn, cursor, &row, err);
    if (r > 0) {
        r = fv_idmap_read(&row.as.keyed, &text, err);
        if (r == 0)
            *ret_value = fv_arena_string(fv_txn_arena(txn), text.other, strlen(text.other));
        if (r == 0 && !*ret_value)
            r = fv_fail_memory(err);
    }
    fv_txn_end_scan(txn, cursor);
    return r;
}

static int find_id(flagver_txn *txn, enum fv_idmap_side side, const char *entity, const char *id,
                   const char **ret_value, flagver_error *err)
{
    char key[FV_IDMAP_KEY_SIZE];
    size_t length = make_key(entity, id, key);

    return find(txn, side, fv_bytes_of(key, length), ret_value, err);
}

static int refuse_absent(enum fv_idmap_side side, const char *entity, const char *id,
                         flagver_error *err)
{
    return side == FV_IDMAP_OLD
               ? fv_fail(err, FLAGVER_ENOTFOUND, "%s \"%s\" is not mapped", entity, id)
               : fv_fail(err, FLAGVER_ENOTFOUND, "nothing is mapped to %s \"%s\"", entity, id);
}

int fv_idmap_find(flagver_txn *txn, enum fv_idmap_side side, const char *entity, const char *id,
                  char *ret_id, flagver_error *err)
{
    const char *value;
    int r = find_id(txn, side, entity, id, &value, err);

    if (r < 0)
        return r;
    if (!value)
        return refuse_absent(side, entity, id, err);
    strcpy(ret_id, value);
    return 0;
}

/* Another than the one that is asked for. */
static int refuse_other(enum fv_idmap_side side, const flagver_idmap_entry *entry,
                        const char *value, flagver_error *err)
{
    return side == FV_IDMAP_OLD
               ? fv_fail(err, FLAGVER_EEXIST, "%s \"%s\" is mapped to \"%s\", not to \"%s\"",
                         entry->entity, entry->old_id, value, entry->new_id)
               : fv_fail(err, FLAGVER_EEXIST,
                         "%s \"%s\" is what \"%s\" is mapped to; it is not free for \"%s\"",
                         entry->entity, entry->new_id, value, entry->old_id);
}

static int stage_row(flagver_txn *txn, const flagver_keyed_row *row, flagver_error *err)
{
    const flagver_change change = { .kind = FLAGVER_CHANGE_KEYED, .row.keyed = row };

    return fv_txn_change(txn, &change, err);
}

/* ---- many ---- */

/* A mapping that is asked for. */
struct link {
    const flagver_idmap_entry *entry;
    flagver_keyed_row *rows[2]; /* by side */
    bool there;                 /* in the store, as it is asked for */
};

struct batch {
    flagver_txn *txn;
    const flagver_idmap_entry *entries;
    struct link *links;
    struct link **order; /* those at hand, in order of the key on one side */
    size_t count;
    const flagver_idmap_entry *refused;
};

static int compare_bytes(flagver_bytes a, flagver_bytes b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

/* What comes first in the batch comes first where keys are the same. */
static int compare_links(const struct link *a, const struct link *b, enum fv_idmap_side side)
{
    int order = compare_bytes(a->rows[side]->key, b->rows[side]->key);

    return order ? order : (a->entry > b->entry) - (a->entry < b->entry);
}

static int by_old(const void *a, const void *b)
{
    return compare_links(*(struct link *const *)a, *(struct link *const *)b, FV_IDMAP_OLD);
}

static int by_new(const void *a, const void *b)
{
    return compare_links(*(struct link *const *)a, *(struct link *const *)b, FV_IDMAP_NEW);
}

static void sort(struct batch *batch, enum fv_idmap_side side)
{
    qsort(batch->order, batch->count, sizeof(struct link *),
          side == FV_IDMAP_OLD ? by_old : by_new);
}

/* Nothing is left to do for those that are there. */
static void keep_absent(struct batch *batch)
{
    size_t i, kept = 0;

    for (i = 0; i < batch->count; i++)
        if (!batch->order[i]->there)
            batch->order[kept++] = batch->order[i];
    batch->count = kept;
}

/* The store has this value for the link's key. */
static int settle(struct batch *batch, struct link *link, enum fv_idmap_side side,
                  flagver_bytes value, flagver_error *err)
{
    char other[FLAGVER_IDMAP_ID_SIZE];

    if (compare_bytes(link->rows[side]->value, value) == 0) {
        link->there = true;
        return 0;
    }
    batch->refused = link->entry;
    if (!take_text(value.data, value.length, FLAGVER_IDMAP_ID_LIMIT, other))
        return refuse_row(link->rows[side], err);
    return refuse_other(side, link->entry, other, err);
}

/* Two entries of the batch about one key: the second says the same, or is refused. */
static int drop_repetitions(struct batch *batch, enum fv_idmap_side side, flagver_error *err)
{
    struct link *last = NULL, *link;
    size_t i;
    int r = 0;

    for (i = 0; r == 0 && i < batch->count; i++) {
        link = batch->order[i];
        if (last && compare_bytes(last->rows[side]->key, link->rows[side]->key) == 0)
            r = settle(batch, link, side, last->rows[side]->value, err);
        else
            last = link;
    }
    keep_absent(batch);
    return r;
}

/* A key before this one, and not long before: without its last character. */
static flagver_bytes bound_of(flagver_bytes key)
{
    const unsigned char *bytes = key.data;

    do
        key.length--;
    while (key.length && (bytes[key.length] & 0xc0) == 0x80);
    return key;
}

/* A row of the store's: the links before it, from `at` on, are not there. */
static int pass(struct batch *batch, enum fv_idmap_side side, const flagver_keyed_row *row,
                size_t *at, flagver_error *err)
{
    int order = -1;

    while (*at < batch->count && order < 0) {
        order = compare_bytes(batch->order[*at]->rows[side]->key, row->key);
        *at += order < 0;
    }
    return order == 0 ? settle(batch, batch->order[(*at)++], side, row->value, err) : 0;
}

/*
 * What lies in the store from the first key on, as far as that may be worth it: when ids come in
 * their order, as from a table or an export, that is all that has to be known.
 */
static int look_along(struct batch *batch, enum fv_idmap_side side, size_t *at, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED,
                                  .space = fv_idmap_space(side),
                                  .after = bound_of(batch->order[0]->rows[side]->key),
                                  .limit = (uint32_t)batch->count * 2 + 64 };
    flagver_cursor *cursor;
    uint32_t seen = 0;
    flagver_row row;
    int r = fv_txn_scan(batch->txn, &query, &cursor, err);

    if (r < 0)
        return r;
    while (r >= 0 && *at < batch->count && (r = fv_txn_next(batch->txn, cursor, &row, err)) > 0) {
        seen++;
        r = pass(batch, side, &row.as.keyed, at, err);
    }
    fv_txn_end_scan(batch->txn, cursor);
    if (r == 0 && seen < query.limit)
        *at = batch->count; /* the store ends here */
    return r < 0 ? r : 0;
}

static int look_one(struct batch *batch, enum fv_idmap_side side, struct link *link,
                    flagver_error *err)
{
    const char *value;
    int r = find(batch->txn, side, link->rows[side]->key, &value, err);

    return r == 0 && value ? settle(batch, link, side, fv_bytes(value), err) : r;
}

/*
 * What the store says about the links; those that are not there stay in the batch.
 *
 * Asking for each id by itself takes a round trip each. Where another try would follow, that is left
 * to it: should one of the rows be there after all, the store will not take it.
 */
static int look(struct batch *batch, enum fv_idmap_side side, flagver_error *err)
{
    bool many = batch->count >= RANGE_AT;
    size_t at = 0;
    int r = many ? look_along(batch, side, &at, err) : 0;

    if (!many || !fv_txn_is_first_try(batch->txn))
        for (; r == 0 && at < batch->count; at++)
            r = look_one(batch, side, batch->order[at], err);
    keep_absent(batch);
    return r;
}

/* In order of their keys, so that two transactions cannot wait for each other. */
static int stage(struct batch *batch, enum fv_idmap_side side, flagver_error *err)
{
    size_t i;
    int r = 0;

    sort(batch, side);
    for (i = 0; r == 0 && i < batch->count; i++)
        r = stage_row(batch->txn, batch->order[i]->rows[side], err);
    return r;
}

static int find_absent(struct batch *batch, enum fv_idmap_side side, flagver_error *err)
{
    int r;

    sort(batch, side);
    r = drop_repetitions(batch, side, err);
    return r == 0 && batch->count ? look(batch, side, err) : r;
}

static int put_all(struct batch *batch, flagver_error *err)
{
    int r = find_absent(batch, FV_IDMAP_OLD, err);

    if (r == 0)
        r = find_absent(batch, FV_IDMAP_NEW, err);
    if (r == 0)
        r = stage(batch, FV_IDMAP_OLD, err);
    return r == 0 ? stage(batch, FV_IDMAP_NEW, err) : r;
}

static int make_batch(struct batch *batch, flagver_error *err)
{
    struct fv_arena *arena = fv_txn_arena(batch->txn);
    size_t i;
    int r = 0;

    batch->links = fv_arena_allocate_zeroed(arena, batch->count, sizeof *batch->links);
    batch->order = fv_arena_allocate(arena, batch->count * sizeof(struct link *));
    if (!batch->links || !batch->order)
        return fv_fail_memory(err);
    for (i = 0; r == 0 && i < batch->count; i++) {
        batch->links[i] = (struct link){ .entry = &batch->entries[i] };
        batch->order[i] = &batch->links[i];
        r = make_rows(batch->txn, batch->links[i].entry, batch->links[i].rows, err);
    }
    return r;
}

int fv_idmap_put(flagver_txn *txn, const flagver_idmap_entry *entries, size_t count,
                 size_t *ret_refused, flagver_error *err)
{
    struct batch batch = { .txn = txn, .entries = entries, .count = count };
    int r = make_batch(&batch, err);

    if (r == 0)
        r = put_all(&batch, err);
    *ret_refused = batch.refused ? (size_t)(batch.refused - entries) : count;
    return r;
}

/* ---- one mapping ---- */

/* The id of the library's making, and the same for all who ask. */
static int make_id(flagver_txn *txn, const flagver_idmap_entry *entry, char out[FV_UUID_TEXT],
                   flagver_error *err)
{
    struct fv_text name = FV_TEXT_INIT;
    flagver_id name_space, id;
    bool fine;

    fv_text_format(&name, "%s%c%s%c%s", fv_txn_source(txn)->tenant, BETWEEN, entry->entity, BETWEEN,
                   entry->old_id);
    fine = !name.failed && fv_uuid_parse(FLAGVER_IDMAP_NAMESPACE, &name_space) &&
           fv_uuid_named(8, &name_space, name.data, name.length, &id);
    fv_text_clear(&name);
    if (!fine)
        return fv_fail_memory(err);
    fv_uuid_text(&id, out);
    return 0;
}

static int map(flagver_txn *txn, const flagver_idmap_entry *entry, flagver_error *err)
{
    flagver_keyed_row *rows[2];
    const char *value;
    int r = find_id(txn, FV_IDMAP_NEW, entry->entity, entry->new_id, &value, err);

    if (r == 0 && value)
        r = refuse_other(FV_IDMAP_NEW, entry, value, err);
    if (r == 0)
        r = make_rows(txn, entry, rows, err);
    if (r == 0)
        r = stage_row(txn, rows[FV_IDMAP_OLD], err);
    return r == 0 ? stage_row(txn, rows[FV_IDMAP_NEW], err) : r;
}

int fv_idmap_new(flagver_txn *txn, const flagver_idmap_entry *entry, char *ret_id,
                 flagver_error *err)
{
    flagver_idmap_entry wanted = *entry;
    char made[FV_UUID_TEXT];
    const char *value;
    int r = find_id(txn, FV_IDMAP_OLD, entry->entity, entry->old_id, &value, err);

    if (r == 0 && !value) {
        value = entry->new_id ? entry->new_id : made;
        wanted.new_id = value;
        r = entry->new_id ? 0 : make_id(txn, entry, made, err);
        if (r == 0)
            r = map(txn, &wanted, err);
    }
    if (r == 0)
        strcpy(ret_id, value);
    return r;
}

/* Only rows that say what was read. */
int fv_idmap_remove(flagver_txn *txn, const char *entity, const char *old_id, flagver_error *err)
{
    flagver_idmap_entry entry = { .entity = entity, .old_id = old_id };
    flagver_change change = { .kind = FLAGVER_CHANGE_KEYED_DELETE };
    flagver_keyed_row *rows[2];
    enum fv_idmap_side side;
    int r = find_id(txn, FV_IDMAP_OLD, entity, old_id, &entry.new_id, err);

    if (r == 0 && !entry.new_id)
        r = refuse_absent(FV_IDMAP_OLD, entity, old_id, err);
    if (r == 0)
        r = make_rows(txn, &entry, rows, err);
    for (side = FV_IDMAP_OLD; r == 0 && side <= FV_IDMAP_NEW; side++) {
        change.expect = rows[side]->rev;
        change.row.keyed = rows[side];
        r = fv_txn_change(txn, &change, err);
    }
    return r;
}

/* ---- reading ---- */

/* The other id, or "" where there is none. */
static int read_one(struct fv_read *read, const flagver_query *query,
                    struct fv_idmap_text *ret_text, flagver_error *err)
{
    flagver_row row;
    int r = fv_read_scan(read, query, err);

    if (r == 0)
        r = fv_read_next(read, &row, err);
    if (r == 0)
        ret_text->other[0] = 0;
    return r > 0 ? fv_idmap_read(&row.as.keyed, ret_text, err) : r;
}

int fv_idmap_get(const struct fv_tenancy *tenancy, enum fv_idmap_side side, const char *entity,
                 const char *id, char *ret_id, flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_KEYED, .space = fv_idmap_space(side) };
    struct fv_idmap_text text;
    char key[FV_IDMAP_KEY_SIZE];
    struct fv_read read;
    int r;

    query.subject.length = make_key(entity, id, key);
    query.subject.data = key;
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = read_one(&read, &query, &text, err);
    fv_read_end(&read);
    if (r < 0)
        return r;
    if (!text.other[0])
        return refuse_absent(side, entity, id, err);
    strcpy(ret_id, text.other);
    return 0;
}

int fv_idmap_is_there(struct fv_read *read, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED,
                                  .space = fv_idmap_space(FV_IDMAP_OLD),
                                  .limit = 1 };
    flagver_row row;
    int r = fv_read_scan(read, &query, err);

    return r < 0 ? r : fv_read_next(read, &row, err);
}

static int visit_rows(struct fv_read *read, const flagver_query *query,
                      bool (*visit)(void *data, const flagver_idmap_entry *entry), void *data,
                      flagver_error *err)
{
    struct fv_idmap_text text;
    flagver_idmap_entry entry = { text.entity, text.id, text.other, 0 };
    flagver_row row;
    int r = fv_read_scan(read, query, err);

    while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0) {
        r = fv_idmap_read(&row.as.keyed, &text, err);
        if (r < 0)
            return r;
        entry.time = row.as.keyed.time;
        if (!visit(data, &entry))
            return 0;
    }
    return r;
}

int fv_idmap_visit(const struct fv_tenancy *tenancy, const char *entity, const char *after,
                   bool (*visit)(void *data, const flagver_idmap_entry *entry), void *data,
                   flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_KEYED, .space = fv_idmap_space(FV_IDMAP_OLD) };
    char prefix[FV_IDMAP_KEY_SIZE], behind[FV_IDMAP_KEY_SIZE];
    struct fv_read read;
    int r;

    if (entity) {
        query.subject = fv_bytes_of(prefix, make_key(entity, "", prefix));
        query.prefix = 1;
    }
    if (after)
        query.after = fv_bytes_of(behind, make_key(entity, after, behind));
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = visit_rows(&read, &query, visit, data, err);
    fv_read_end(&read);
    return r;
}
