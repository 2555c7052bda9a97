#include "model/metric.h"

#include <stdlib.h>
#include <string.h>

#include "model/datetime.h"

#define US_PER_HOUR 3600e6
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- durations ---- */

static int compare_durations(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

/* Whole numbers and remainders apart: their sums fit where that of the durations would not. */
static double mean_of(const int64_t *durations, size_t count)
{
    int64_t n = (int64_t)count, whole = 0, rest = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        whole += durations[i] / n;
        rest += durations[i] % n;
        whole += rest / n;
        rest %= n;
    }
    return (double)whole + (double)rest / (double)n;
}

/* The smallest duration that so many percent of all do not exceed. */
static double percentile_of(const int64_t *sorted, size_t count, size_t percent)
{
    size_t rank = count / 100 * percent + (count % 100 * percent + 99) / 100;

    return (double)sorted[rank - 1];
}

flagver_metric_hours fv_metric_hours_of(int64_t *durations, size_t count)
{
    flagver_metric_hours hours = { .count = count };

    if (!count)
        return hours;
    qsort(durations, count, sizeof *durations, compare_durations);
    hours.mean = mean_of(durations, count) / US_PER_HOUR;
    hours.median = percentile_of(durations, count, 50) / US_PER_HOUR;
    hours.p95 = percentile_of(durations, count, 95) / US_PER_HOUR;
    return hours;
}

struct durations {
    int64_t *us;
    size_t count, capacity;
};

/* Clocks of two machines may disagree; nothing takes less than no time. */
static int64_t duration_of(int64_t from, int64_t to)
{
    uint64_t duration = (uint64_t)to - (uint64_t)from;

    if (to <= from)
        return 0;
    return duration < INT64_MAX ? (int64_t)duration : INT64_MAX;
}

static bool add_duration(struct durations *durations, int64_t from, int64_t to)
{
    if (!fv_grow(NULL, (void **)&durations->us, &durations->capacity, durations->count,
                 sizeof *durations->us))
        return false;
    durations->us[durations->count++] = duration_of(from, to);
    return true;
}

/* ---- groups ---- */

bool fv_metric_begins(flagver_bytes subject, const char *prefix)
{
    size_t length = prefix ? strlen(prefix) : 0;
    const char *text = subject.data;

    if (!length)
        return true;
    if (subject.length < length || memcmp(text, prefix, length) != 0)
        return false;
    return subject.length == length || prefix[length - 1] == '/' || text[length] == '/';
}

size_t fv_metric_parts(flagver_bytes subject, int32_t parts)
{
    const char *text = subject.data;
    size_t i;

    if (parts <= 0)
        return 0;
    for (i = 0; i < subject.length; i++)
        if (text[i] == '/' && --parts == 0)
            break;
    return i;
}

void fv_metric_month(int64_t time, char ret_month[FV_MONTH_SIZE])
{
    char text[FV_DATETIME_SIZE];
    size_t length;

    fv_datetime_format(time / 1000 - (time % 1000 < 0), text);
    length = (size_t)(strchr(text + 1, '-') - text) + sizeof "-03" - 1;
    memcpy(ret_month, text, length);
    ret_month[length] = 0;
}

struct fv_metric_tally {
    const char *name; /* phase, subject and month, each with a NUL behind it */
    size_t length;
    uint64_t created, emergencies;
    uint64_t states[8];
    struct durations to_submit, to_approve;
};

void fv_metrics_init(struct fv_metrics *metrics, const flagver_metric_options *options)
{
    *metrics = (struct fv_metrics){ .options = *options, .name = FV_TEXT_INIT };
    fv_map_init(&metrics->names, NULL);
}

void fv_metrics_clear(struct fv_metrics *metrics)
{
    size_t i;

    for (i = 0; i < metrics->count; i++) {
        fv_release(NULL, metrics->tallies[i].to_submit.us);
        fv_release(NULL, metrics->tallies[i].to_approve.us);
    }
    fv_release(NULL, metrics->tallies);
    fv_text_clear(&metrics->name);
    fv_map_clear(&metrics->names);
}

static bool is_asked_for(const flagver_metric_options *options, const flagver_version_row *version)
{
    return (!options->from || version->created_at >= options->from) &&
           (!options->to || version->created_at < options->to) &&
           fv_metric_begins(version->subject, options->prefix);
}

/*
 * The texts of a name have no NUL in them, and it is less than all they have: names
 * compared as bytes are compared by phase, subject and month.
 */
static bool write_name(struct fv_metrics *metrics, const flagver_version_row *version)
{
    size_t parts = fv_metric_parts(version->subject, metrics->options.parts);
    char month[FV_MONTH_SIZE] = "";

    if (metrics->options.by_month)
        fv_metric_month(version->created_at, month);
    fv_text_reset(&metrics->name);
    fv_text_add_bytes(&metrics->name, version->phase.data, version->phase.length);
    fv_text_add_char(&metrics->name, 0);
    fv_text_add_bytes(&metrics->name, version->subject.data, parts);
    fv_text_add_char(&metrics->name, 0);
    fv_text_add(&metrics->name, month);
    fv_text_add_char(&metrics->name, 0);
    return !metrics->name.failed;
}

static struct fv_metric_tally *tally_of(struct fv_metrics *metrics,
                                        const flagver_version_row *version)
{
    uint32_t number;

    if (!write_name(metrics, version))
        return NULL;
    number = fv_map_add(&metrics->names, metrics->name.data, metrics->name.length);
    if (number == FV_MAP_NONE)
        return NULL;
    if (number == metrics->count) {
        if (!fv_grow(NULL, (void **)&metrics->tallies, &metrics->capacity, metrics->count,
                     sizeof *metrics->tallies))
            return NULL;
        metrics->tallies[metrics->count++] = (struct fv_metric_tally){
            .name = metrics->names.names[number].text, .length = metrics->name.length
        };
    }
    return &metrics->tallies[number];
}

bool fv_metrics_add(struct fv_metrics *metrics, const flagver_version_row *version)
{
    struct fv_metric_tally *tally;
    bool fine = true;

    if (!is_asked_for(&metrics->options, version))
        return true;
    tally = tally_of(metrics, version);
    if (!tally)
        return false;

    tally->created++;
    tally->emergencies += (version->bits & FLAGVER_VERSION_EMERGENCY) != 0;
    if ((size_t)version->state < COUNT(tally->states))
        tally->states[version->state]++;
    if (version->submitted_at)
        fine = add_duration(&tally->to_submit, version->created_at, version->submitted_at);
    if (version->state == FLAGVER_STATE_APPROVED || version->state == FLAGVER_STATE_SUPERSEDED)
        fine = add_duration(&tally->to_approve, version->created_at, version->decided_at) && fine;
    return fine;
}

static int compare_tallies(const void *left, const void *right)
{
    const struct fv_metric_tally *a = left, *b = right;
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->name, b->name, shorter);

    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static void visit_tally(const struct fv_metric_tally *tally,
                        void (*visit)(void *data, const flagver_metric_group *group), void *data)
{
    flagver_metric_group group = { .phase = tally->name,
                                   .created = tally->created,
                                   .emergencies = tally->emergencies };

    group.subject = group.phase + strlen(group.phase) + 1;
    group.month = group.subject + strlen(group.subject) + 1;
    memcpy(group.states, tally->states, sizeof group.states);
    group.to_submit = fv_metric_hours_of(tally->to_submit.us, tally->to_submit.count);
    group.to_approve = fv_metric_hours_of(tally->to_approve.us, tally->to_approve.count);
    visit(data, &group);
}

void fv_metrics_visit(struct fv_metrics *metrics,
                      void (*visit)(void *data, const flagver_metric_group *group), void *data)
{
    size_t i;

    if (metrics->count)
        qsort(metrics->tallies, metrics->count, sizeof *metrics->tallies, compare_tallies);
    for (i = 0; i < metrics->count; i++)
        visit_tally(&metrics->tallies[i], visit, data);
}
