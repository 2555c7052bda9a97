#include "engine/track_table.h"

#include <string.h>

#include "flagver/track.h"
#include "util/fail.h"
#include "util/hash.h"

void fv_track_table_init(struct fv_track_table *table, const flagver_allocator *memory)
{
    size_t i;

    memset(table, 0, sizeof *table);
    table->memory = memory;
    atomic_init(&table->count, 0);
    pthread_mutex_init(&table->lock, NULL);
    for (i = 0; i < FV_TRACK_STRIPES; i++)
        pthread_mutex_init(&table->stripes[i].lock, NULL);
}

/* ---- entries ---- */

static uint64_t hash_of(const struct fv_track_name *name)
{
    uint64_t hash = fv_hash(name->flag, strlen(name->flag)) ^ name->hour;

    hash = fv_hash_mix(hash, FV_HASH_A) ^ fv_hash(name->variant, strlen(name->variant));
    return fv_hash_mix(hash, FV_HASH_B) ^ fv_hash(name->event, strlen(name->event));
}

static bool same(const struct fv_track_name *a, const struct fv_track_name *b)
{
    return a->hour == b->hour && strcmp(a->flag, b->flag) == 0 &&
           strcmp(a->variant, b->variant) == 0 && strcmp(a->event, b->event) == 0;
}

static char *copy(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *begin = *at;

    memcpy(begin, text, size);
    *at += size;
    return begin;
}

static struct fv_track_entry *new_entry(const flagver_allocator *memory, uint64_t hash,
                                        const struct fv_track_name *name)
{
    size_t texts = strlen(name->flag) + strlen(name->variant) + strlen(name->event) + 3;
    struct fv_track_entry *entry = fv_allocate(memory, sizeof *entry + texts);
    char *at;

    if (!entry)
        return NULL;
    at = (char *)(entry + 1);
    *entry = (struct fv_track_entry){ .hash = hash, .name.hour = name->hour };
    entry->name.flag = copy(&at, name->flag);
    entry->name.variant = copy(&at, name->variant);
    entry->name.event = copy(&at, name->event);
    return entry;
}

static void free_entry(struct fv_track_table *table, struct fv_track_entry *entry)
{
    fv_sum_clear(&entry->sum, table->memory);
    fv_release(table->memory, entry);
}

static void free_list(struct fv_track_table *table, struct fv_track_entry *list)
{
    struct fv_track_entry *next;

    for (; list; list = next) {
        next = list->next;
        free_entry(table, list);
    }
}

static struct fv_track_entry **bucket_of(struct fv_track_entry **buckets, uint64_t hash)
{
    return &buckets[hash / FV_TRACK_STRIPES % FV_TRACK_BUCKETS];
}

static struct fv_track_stripe *stripe_of(struct fv_track_table *table, uint64_t hash)
{
    return &table->stripes[hash % FV_TRACK_STRIPES];
}

static struct fv_track_entry *find(struct fv_track_entry *list, uint64_t hash,
                                   const struct fv_track_name *name)
{
    while (list && (list->hash != hash || !same(&list->name, name)))
        list = list->next;
    return list;
}

static void push(struct fv_track_entry **list, struct fv_track_entry *entry)
{
    entry->next = *list;
    *list = entry;
}

/*
 * Adds an entry's sum to the one of its name. Without memory for that it stays as it is, as a
 * second of the name: who reads adds up. True: it has become one with another.
 */
static bool absorb(struct fv_track_table *table, struct fv_track_entry **list,
                   struct fv_track_entry *entry)
{
    struct fv_track_entry *there = find(*list, entry->hash, &entry->name);

    if (there && fv_sum_merge(&there->sum, table->memory, &entry->sum)) {
        free_entry(table, entry);
        return true;
    }
    push(list, entry);
    return false;
}

void fv_track_table_clear(struct fv_track_table *table)
{
    size_t i, j;

    for (i = 0; i < FV_TRACK_STRIPES; i++) {
        for (j = 0; j < FV_TRACK_BUCKETS; j++)
            free_list(table, table->stripes[i].buckets[j]);
        pthread_mutex_destroy(&table->stripes[i].lock);
    }
    for (j = 0; j < FV_TRACK_BUCKETS; j++)
        free_list(table, table->totals[j]);
    free_list(table, table->taken);
    free_list(table, table->inherited);
    pthread_mutex_destroy(&table->lock);
}

/* ---- counting ---- */

static int refuse_more(flagver_error *err)
{
    return fv_fail(err, FLAGVER_EBUSY, "%d sums are waiting to be flushed; no more are kept",
                   FLAGVER_TRACK_LIMIT);
}

static int add(struct fv_track_table *table, struct fv_track_entry **list, uint64_t hash,
               const struct fv_track_name *name, const struct fv_sum_step *step, flagver_error *err)
{
    struct fv_track_entry *entry = find(*list, hash, name);
    bool fresh = !entry;

    if (fresh && atomic_load_explicit(&table->count, memory_order_relaxed) >= FLAGVER_TRACK_LIMIT)
        return refuse_more(err);
    if (fresh)
        entry = new_entry(table->memory, hash, name);
    if (!entry)
        return fv_fail_memory(err);
    if (!fv_sum_add(&entry->sum, table->memory, step)) {
        if (fresh)
            free_entry(table, entry);
        return fv_fail_memory(err);
    }
    if (fresh) {
        push(list, entry);
        atomic_fetch_add_explicit(&table->count, 1, memory_order_relaxed);
    }
    return 0;
}

int fv_track_table_add(struct fv_track_table *table, const struct fv_track_name *name,
                       const struct fv_sum_step *step, flagver_error *err)
{
    uint64_t hash = hash_of(name);
    struct fv_track_stripe *stripe = stripe_of(table, hash);
    int r;

    pthread_mutex_lock(&stripe->lock);
    r = add(table, bucket_of(stripe->buckets, hash), hash, name, step, err);
    pthread_mutex_unlock(&stripe->lock);
    return r;
}

/* ---- flushing ---- */

/* All of some buckets, before what is in the list. */
static size_t move_all(struct fv_track_entry **buckets, struct fv_track_entry **list)
{
    struct fv_track_entry *entry;
    size_t moved = 0, i;

    for (i = 0; i < FV_TRACK_BUCKETS; i++) {
        while ((entry = buckets[i])) {
            buckets[i] = entry->next;
            push(list, entry);
            moved++;
        }
    }
    return moved;
}

struct fv_track_entry *fv_track_table_take(struct fv_track_table *table, size_t *ret_count)
{
    bool empty;
    size_t i;

    pthread_mutex_lock(&table->lock);
    empty = !table->taken;
    for (i = 0; empty && i < FV_TRACK_STRIPES; i++) {
        pthread_mutex_lock(&table->stripes[i].lock);
        table->taken_count += move_all(table->stripes[i].buckets, &table->taken);
        pthread_mutex_unlock(&table->stripes[i].lock);
    }
    pthread_mutex_unlock(&table->lock);
    *ret_count = table->taken_count;
    return table->taken;
}

/*
 * What the client has flushed counts for it as well, of whatever hour it was. When there are too many, those
 * that are there go on: they must not fall, which a scraper takes for a restart.
 */
static void add_to_totals(struct fv_track_table *table, struct fv_track_entry *entry)
{
    struct fv_track_entry **list;

    entry->name.hour = 0;
    entry->hash = hash_of(&entry->name);
    list = bucket_of(table->totals, entry->hash);
    if (table->total_count >= FLAGVER_TRACK_LIMIT && !find(*list, entry->hash, &entry->name))
        free_entry(table, entry);
    else if (!absorb(table, list, entry))
        table->total_count++;
}

static void return_to_stripe(struct fv_track_table *table, struct fv_track_entry *entry)
{
    struct fv_track_stripe *stripe = stripe_of(table, entry->hash);

    pthread_mutex_lock(&stripe->lock);
    if (absorb(table, bucket_of(stripe->buckets, entry->hash), entry))
        atomic_fetch_sub_explicit(&table->count, 1, memory_order_relaxed);
    pthread_mutex_unlock(&stripe->lock);
}

static void end_taken(struct fv_track_table *table,
                      void (*end)(struct fv_track_table *, struct fv_track_entry *), bool gone)
{
    struct fv_track_entry *entry;

    pthread_mutex_lock(&table->lock);
    if (gone)
        atomic_fetch_sub_explicit(&table->count, table->taken_count, memory_order_relaxed);
    while ((entry = table->taken)) {
        table->taken = entry->next;
        end(table, entry);
    }
    table->taken_count = 0;
    pthread_mutex_unlock(&table->lock);
}

void fv_track_table_settle(struct fv_track_table *table)
{
    end_taken(table, add_to_totals, true);
}

void fv_track_table_give_back(struct fv_track_table *table)
{
    end_taken(table, return_to_stripe, false);
}

void fv_track_table_drop(struct fv_track_table *table)
{
    end_taken(table, free_entry, true);
}

/* ---- reading ---- */

static bool visit_list(const struct fv_track_entry *list,
                       bool (*visit)(void *data, const struct fv_track_entry *entry), void *data)
{
    for (; list; list = list->next)
        if (!visit(data, list))
            return false;
    return true;
}

static bool visit_stripe(struct fv_track_stripe *stripe,
                         bool (*visit)(void *data, const struct fv_track_entry *entry), void *data)
{
    bool more = true;
    size_t i;

    pthread_mutex_lock(&stripe->lock);
    for (i = 0; more && i < FV_TRACK_BUCKETS; i++)
        more = visit_list(stripe->buckets[i], visit, data);
    pthread_mutex_unlock(&stripe->lock);
    return more;
}

bool fv_track_table_visit(struct fv_track_table *table,
                          bool (*visit)(void *data, const struct fv_track_entry *entry), void *data)
{
    bool more;
    size_t i;

    pthread_mutex_lock(&table->lock); /* nothing moves from here to there meanwhile */
    more = visit_list(table->taken, visit, data);
    for (i = 0; more && i < FV_TRACK_BUCKETS; i++)
        more = visit_list(table->totals[i], visit, data);
    for (i = 0; more && i < FV_TRACK_STRIPES; i++)
        more = visit_stripe(&table->stripes[i], visit, data);
    pthread_mutex_unlock(&table->lock);
    return more;
}

/* ---- fork ---- */

void fv_track_table_before_fork(struct fv_track_table *table)
{
    size_t i;

    pthread_mutex_lock(&table->lock);
    for (i = 0; i < FV_TRACK_STRIPES; i++)
        pthread_mutex_lock(&table->stripes[i].lock);
}

void fv_track_table_after_fork(struct fv_track_table *table)
{
    size_t i;

    for (i = FV_TRACK_STRIPES; i-- > 0;)
        pthread_mutex_unlock(&table->stripes[i].lock);
    pthread_mutex_unlock(&table->lock);
}

/* Nothing is freed here: a host's allocator need not be ready for that yet. */
void fv_track_table_forked(struct fv_track_table *table)
{
    struct fv_track_entry *entry;
    size_t i;

    for (i = 0; i < FV_TRACK_STRIPES; i++)
        move_all(table->stripes[i].buckets, &table->inherited);
    move_all(table->totals, &table->inherited);
    while ((entry = table->taken)) {
        table->taken = entry->next;
        push(&table->inherited, entry);
    }
    table->taken_count = table->total_count = 0;
    atomic_store(&table->count, 0);
}
