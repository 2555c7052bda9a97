#include "model/tally.h"

#include <string.h>

#include "util/memory.h"

void fv_tally_clear(struct fv_tally *tally)
{
    fv_release(NULL, tally->hashes);
    fv_release(NULL, tally->counters);
    *tally = (struct fv_tally){ 0 };
}

/* ---- different ones ---- */

static size_t place_of(const struct fv_tally *tally, uint64_t hash)
{
    size_t low = 0, high = tally->hash_count, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (tally->hashes[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The last one makes room for a smaller one. */
static void put_hash(struct fv_tally *tally, uint64_t hash)
{
    size_t place = place_of(tally, hash);

    if (place == FV_TALLY_HASHES || (place < tally->hash_count && tally->hashes[place] == hash))
        return;
    if (tally->hash_count == FV_TALLY_HASHES)
        tally->hash_count--;
    memmove(tally->hashes + place + 1, tally->hashes + place,
            (tally->hash_count - place) * sizeof *tally->hashes);
    tally->hashes[place] = hash;
    tally->hash_count++;
}

uint64_t fv_tally_distinct(const struct fv_tally *tally)
{
    if (tally->hash_count < FV_TALLY_HASHES)
        return tally->hash_count;
    return (uint64_t)((FV_TALLY_HASHES - 1) * 0x1p64 / (double)tally->hashes[FV_TALLY_HASHES - 1]);
}

/* ---- frequent ones ---- */

static struct fv_tally_counter *find_counter(struct fv_tally *tally, uint64_t hash)
{
    size_t i;

    for (i = 0; i < tally->counter_count; i++)
        if (tally->counters[i].hash == hash)
            return &tally->counters[i];
    return NULL;
}

static struct fv_tally_counter *smallest_counter(struct fv_tally *tally)
{
    struct fv_tally_counter *smallest = tally->counters;
    size_t i;

    for (i = 1; i < tally->counter_count; i++)
        if (tally->counters[i].count < smallest->count)
            smallest = &tally->counters[i];
    return smallest;
}

static void name_counter(struct fv_tally_counter *counter, uint64_t hash, const char *text,
                         size_t length)
{
    if (length > FV_TALLY_TEXT)
        for (length = FV_TALLY_TEXT; length && (text[length] & 0xc0) == 0x80;)
            length--;
    memcpy(counter->text, text, length);
    counter->text[length] = 0;
    counter->hash = hash;
}

static void count_value(struct fv_tally *tally, uint64_t hash, const char *text, size_t length)
{
    struct fv_tally_counter *counter = find_counter(tally, hash);

    if (!counter && tally->counter_count < FV_TALLY_COUNTERS) {
        counter = &tally->counters[tally->counter_count++];
        *counter = (struct fv_tally_counter){ 0 };
        name_counter(counter, hash, text, length);
    } else if (!counter) {
        counter = smallest_counter(tally);
        counter->uncertain = counter->count;
        name_counter(counter, hash, text, length);
    }
    counter->count++;
}

bool fv_tally_add(struct fv_tally *tally, uint64_t hash, const char *text, size_t length)
{
    void *hashes = tally->hashes, *counters = tally->counters;
    bool fine;

    /* Both have room before either changes; a full one does not grow any more. */
    fine = tally->hash_count == FV_TALLY_HASHES ||
           fv_grow(NULL, &hashes, &tally->hash_room, tally->hash_count, sizeof *tally->hashes);
    tally->hashes = hashes;
    fine = fine && (tally->counter_count == FV_TALLY_COUNTERS ||
                    fv_grow(NULL, &counters, &tally->counter_room, tally->counter_count,
                            sizeof *tally->counters));
    tally->counters = counters;
    if (!fine)
        return false;
    put_hash(tally, hash);
    count_value(tally, hash, text, length);
    return true;
}

/* By count, then by text, so that the same values give the same order. */
static bool comes_before(const struct fv_tally_counter *a, const struct fv_tally_counter *b)
{
    return a->count != b->count ? a->count > b->count : strcmp(a->text, b->text) < 0;
}

size_t fv_tally_top(struct fv_tally *tally, uint64_t least, size_t limit,
                    const struct fv_tally_counter **ret_top)
{
    struct fv_tally_counter *counters = tally->counters, other;
    size_t found = 0, i, best;

    if (least < 2)
        least = 2;
    for (; found < limit; found++) {
        for (best = tally->counter_count, i = found; i < tally->counter_count; i++)
            if (counters[i].count - counters[i].uncertain >= least &&
                (best == tally->counter_count || comes_before(&counters[i], &counters[best])))
                best = i;
        if (best == tally->counter_count)
            break;
        other = counters[found];
        counters[found] = counters[best];
        counters[best] = other;
        ret_top[found] = &counters[found];
    }
    return found;
}
