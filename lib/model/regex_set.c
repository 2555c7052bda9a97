#include "model/regex_set.h"

#include <string.h>

#include "model/fold.h"
#include "util/utf8.h"

void fv_regex_set_clear(struct fv_regex_set *set)
{
    fv_release(set->memory, set->ranges);
    *set = (struct fv_regex_set){ .memory = set->memory };
}

void fv_regex_set_reset(struct fv_regex_set *set)
{
    set->count = 0;
    set->failed = false;
}

/* The first range that ends at `code_point` or later. */
static size_t find(const struct fv_regex_range *ranges, size_t count, uint32_t code_point)
{
    size_t low = 0, high = count, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (ranges[middle].high < code_point)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool fv_regex_ranges_have(const struct fv_regex_range *ranges, size_t count, uint32_t code_point)
{
    size_t i = find(ranges, count, code_point);

    return i < count && ranges[i].low <= code_point;
}

/* Makes ranges[i] free by moving it and those behind it. */
static bool make_room(struct fv_regex_set *set, size_t i)
{
    void *ranges = set->ranges;

    if (!fv_grow(set->memory, &ranges, &set->capacity, set->count, sizeof *set->ranges)) {
        set->failed = true;
        return false;
    }
    set->ranges = ranges;
    memmove(set->ranges + i + 1, set->ranges + i, (set->count - i) * sizeof *set->ranges);
    set->count++;
    return true;
}

void fv_regex_set_add(struct fv_regex_set *set, uint32_t low, uint32_t high)
{
    size_t first = find(set->ranges, set->count, low ? low - 1 : 0), last = first;

    if (set->failed)
        return;

    /* All that overlaps or touches the new range becomes one with it. */
    while (last < set->count && set->ranges[last].low <= high + 1) {
        if (set->ranges[last].low < low)
            low = set->ranges[last].low;
        if (set->ranges[last].high > high)
            high = set->ranges[last].high;
        last++;
    }

    if (first == last && !make_room(set, first))
        return;
    if (last > first + 1) {
        memmove(set->ranges + first + 1, set->ranges + last,
                (set->count - last) * sizeof *set->ranges);
        set->count -= last - first - 1;
    }
    set->ranges[first] = (struct fv_regex_range){ low, high };
}

void fv_regex_set_add_all(struct fv_regex_set *set, const struct fv_regex_set *others)
{
    size_t i;

    set->failed |= others->failed;
    for (i = 0; i < others->count; i++)
        fv_regex_set_add(set, others->ranges[i].low, others->ranges[i].high);
}

void fv_regex_set_complement(struct fv_regex_set *set)
{
    struct fv_regex_range range;
    uint32_t next = 0;
    size_t i, kept = 0;

    if (set->failed)
        return;

    for (i = 0; i < set->count; i++) {
        range = set->ranges[i];
        if (range.low > next)
            set->ranges[kept++] = (struct fv_regex_range){ next, range.low - 1 };
        next = range.high + 1;
    }
    set->count = kept;
    if (next <= FV_UTF8_LARGEST)
        fv_regex_set_add(set, next, FV_UTF8_LARGEST);
}

/* The first entry of the folding table at `code_point` or behind it. */
static size_t find_folding(uint32_t code_point)
{
    size_t low = 0, high = fv_fold_entry_count(), middle;
    uint32_t from, to;

    while (low < high) {
        middle = low + (high - low) / 2;
        fv_fold_entry(middle, &from, &to);
        if (from < code_point)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void fv_regex_set_fold(struct fv_regex_set *set)
{
    struct fv_regex_set images = { .memory = set->memory };
    size_t i, entry, entries = fv_fold_entry_count();
    const struct fv_regex_range *range;
    uint32_t from, to;

    for (i = 0; i < set->count; i++) {
        range = &set->ranges[i];
        for (entry = find_folding(range->low); entry < entries; entry++) {
            fv_fold_entry(entry, &from, &to);
            if (from > range->high)
                break;
            if (to < range->low || to > range->high)
                fv_regex_set_add(&images, to, to);
        }
    }
    fv_regex_set_add_all(set, &images);
    fv_regex_set_clear(&images);
}
