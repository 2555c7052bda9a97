/*
 * Reading what was tracked: rows, or a client's own sums, are put together in groups.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/track.h"
#include "engine/track_rows.h"
#include "engine/track_table.h"
#include "util/fail.h"
#include "util/text.h"

#define BETWEEN '\x1f' /* less than whatever a name has: so names are in order as their parts are */
#define HOURS_A_DAY 24

struct grouping {
    const struct fv_track_query *query;
    struct fv_map names; /* flag, variant, event, first hour */
    struct fv_sum *sums; /* by number of the name */
    size_t capacity;
    struct fv_text name;
};

static void clear(struct grouping *grouping)
{
    size_t i;

    for (i = 0; i < grouping->names.count; i++)
        fv_sum_clear(&grouping->sums[i], NULL);
    fv_release(NULL, grouping->sums);
    fv_map_clear(&grouping->names);
    fv_text_clear(&grouping->name);
}

static uint32_t period_of(const struct grouping *grouping, uint32_t hour)
{
    switch (grouping->query->by) {
    case FLAGVER_TRACK_BY_HOUR:
        return hour;
    case FLAGVER_TRACK_BY_DAY:
        return hour - hour % HOURS_A_DAY;
    default:
        return 0;
    }
}

/* Of a group that is new nothing is left without memory for its sum. */
static bool add(struct grouping *grouping, const struct fv_track_name *name,
                const struct fv_sum *sum)
{
    size_t before = grouping->names.count;
    uint32_t number;

    fv_text_reset(&grouping->name);
    fv_text_format(&grouping->name, "%s%c%s%c%s%c%08" PRIx32, name->flag, BETWEEN, name->variant,
                   BETWEEN, name->event, BETWEEN, period_of(grouping, name->hour));
    if (grouping->name.failed || !fv_grow(NULL, (void **)&grouping->sums, &grouping->capacity,
                                          before, sizeof *grouping->sums))
        return false;
    number = fv_map_add(&grouping->names, grouping->name.data, grouping->name.length);
    if (number == FV_MAP_NONE)
        return false;
    if (number == before)
        grouping->sums[number] = (struct fv_sum){ 0 };
    return fv_sum_merge(&grouping->sums[number], NULL, sum);
}

/* ---- from where ---- */

static int add_row(void *data, const struct fv_track_name *name, const struct fv_sum *sum,
                   flagver_error *err)
{
    return add(data, name, sum) ? 0 : fv_fail_memory(err);
}

static int read_store(flagver_client *client, struct grouping *grouping, flagver_error *err)
{
    const struct fv_track_query *query = grouping->query;
    struct fv_track_span span = { .flag = query->flag, .to = UINT32_MAX };
    struct fv_tenancy tenancy;
    int r = fv_client_tenancy(client, &tenancy, err);

    if (r < 0)
        return r;
    span.from = query->from ? fv_track_hour(query->from) : 0;
    if (query->to) /* the hour in which it lies is not over before it, but for its beginning */
        span.to = fv_track_hour(query->to) + (query->to > 0 && query->to % FV_HOUR_US != 0);
    r = fv_track_rows_visit(&tenancy, &span, add_row, grouping, err);
    fv_store_release(tenancy.store);
    return r;
}

static bool add_entry(void *data, const struct fv_track_entry *entry)
{
    struct grouping *grouping = data;
    const char *flag = grouping->query->flag;
    struct fv_track_name name = entry->name;

    name.hour = 0;
    return (flag && strcmp(flag, name.flag) != 0) || add(grouping, &name, &entry->sum);
}

/* ---- to whom ---- */

struct numbered {
    const char *name;
    const struct fv_sum *sum;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct numbered *)a)->name, ((const struct numbered *)b)->name);
}

/* Cuts a text at its next separator, and goes on behind it. */
static const char *part(char **text)
{
    char *begin = *text, *end = strchr(begin, BETWEEN);

    if (end) {
        *end = 0;
        *text = end + 1;
    }
    return begin;
}

static bool visit_one(struct fv_text *text, const struct numbered *numbered,
                      void (*visit)(void *data, const struct fv_track_group *group), void *data)
{
    struct fv_track_group group = { .sum = numbered->sum };
    char *rest;

    fv_text_reset(text);
    fv_text_add(text, numbered->name);
    if (text->failed)
        return false;
    rest = text->data;
    group.flag = part(&rest);
    group.variant = part(&rest);
    group.event = part(&rest);
    group.from = (int64_t)strtoul(rest, NULL, 16) * FV_HOUR_US;
    visit(data, &group);
    return true;
}

static int visit_all(struct grouping *grouping,
                     void (*visit)(void *data, const struct fv_track_group *group), void *data,
                     flagver_error *err)
{
    size_t count = grouping->names.count, i;
    struct numbered *numbered = fv_allocate(NULL, count * sizeof *numbered);
    bool fine = numbered != NULL;

    for (i = 0; fine && i < count; i++)
        numbered[i] = (struct numbered){ grouping->names.names[i].text, &grouping->sums[i] };
    if (fine)
        qsort(numbered, count, sizeof *numbered, compare_names);
    for (i = 0; fine && i < count; i++)
        fine = visit_one(&grouping->name, &numbered[i], visit, data);
    fv_release(NULL, numbered);
    return fine ? 0 : fv_fail_memory(err);
}

int fv_track_read(flagver_client *client, const struct fv_track_query *query,
                  void (*visit)(void *data, const struct fv_track_group *group), void *data,
                  flagver_error *err)
{
    struct grouping grouping = { .query = query, .name = FV_TEXT_INIT };
    int r;

    fv_map_init(&grouping.names, NULL);
    r = query->own ? fv_track_read_own(client, add_entry, &grouping, err)
                   : read_store(client, &grouping, err);
    if (r == 0)
        r = visit_all(&grouping, visit, data, err);
    clear(&grouping);
    return r;
}

/* ---- variants of a flag ---- */

struct variants {
    void (*visit)(void *data, const char *variant, const struct fv_sum *sum);
    void *data;
};

static void visit_variant(void *data, const struct fv_track_group *group)
{
    const struct variants *variants = data;

    if (!group->event[0])
        variants->visit(variants->data, group->variant, group->sum);
}

int fv_track_variants(flagver_client *client, const char *flag, int64_t from, int64_t to,
                      void (*visit)(void *data, const char *variant, const struct fv_sum *sum),
                      void *data, flagver_error *err)
{
    const struct fv_track_query query = { .flag = flag, .from = from, .to = to };
    struct variants variants = { visit, data };

    return fv_track_read(client, &query, visit_variant, &variants, err);
}
