/* Loading, publishing, and what is held in memory. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "counting.h"
#include "fixture.h"
#include "report.h"

/* ------------------------------------------------------------------------
 * Loading
 */

struct text {
    char *json;
    size_t length;
};

static void load_library(void *data)
{
    const struct text *text = data;
    flagver_snapshot *snapshot = NULL;
    flagver_error err;

    bench_must(flagver_snapshot_load(text->json, text->length, NULL, &snapshot, &err), err.message);
    flagver_snapshot_free(snapshot);
}

static void load_jansson(void *data)
{
    const struct text *text = data;
    json_error_t err;
    json_t *json = json_loadb(text->json, text->length, 0, &err);

    if (!json)
        bench_die("jansson: %s", err.text);
    json_decref(json);
}

static void measure_loading(const struct bench_options *options, struct text *text)
{
    const struct bench_task library = { load_library, text }, jansson = { load_jansson, text };
    struct row row = { .id = "L", .what = "10,000 flags", .unit = "ms" };
    char how[32];

    snprintf(how, sizeof how, "%.1f MB", (double)text->length / 1e6);
    row.how = how;
    report_group(options->report, "Loading and freeing a snapshot, in ms: flags of all kinds",
                 "jansson", "ratio");
    bench_turns(&library, &jansson, options->rounds, 1e6, &row.library, &row.other);
    report_ratio(options->report, &row, 1.6);
}

/* ------------------------------------------------------------------------
 * Publishing
 */

static void publish(flagver_client *client, size_t index, unsigned turn)
{
    flagver_error err;
    char json[128];
    size_t length = plan_change(index, turn, json, sizeof json);

    bench_must(flagver_client_merge(client, json, length, &err), err.message);
}

static void measure_publishing(const struct bench_options *options, const struct text *text)
{
    const size_t count = (size_t)options->merges;
    double *samples = bench_allocate(count, sizeof *samples);
    flagver_client *client = open_client();
    struct row row = { .id = "P", .what = "1 changed flag among 10,000", .unit = "ms" };
    flagver_error err;
    int64_t start;
    size_t i;

    bench_must(flagver_client_load(client, text->json, text->length, &err), err.message);
    for (i = 0; i < count; i++) {
        start = bench_now();
        publish(client, i * 7919 % BENCH_FLAGS, (unsigned)i);
        samples[i] = (double)(bench_now() - start) / 1e6;
    }
    flagver_close(client);

    report_group(options->report, "Merging into a running client, in ms", "", "ms");
    row.how = "one by one";
    row.library = bench_summary(samples, count);
    row.result = row.library.median;
    row.asked = 2;
    report_row(options->report, &row);
    free(samples);
}

void bench_loading(const struct bench_options *options)
{
    struct text text;

    text.json = mixed_json(&text.length);
    measure_loading(options, &text);
    measure_publishing(options, &text);
    free(text.json);
}

/* ------------------------------------------------------------------------
 * Memory
 */

static const enum bare_kind simple[2] = { BARE_STATIC, BARE_PERCENTAGE };
static const enum bare_kind beta[2] = { BARE_BETA, BARE_STATIC };

/* Bytes that a snapshot holds, or a client that has loaded the same. */
static double bytes_of_snapshot(const struct text *text)
{
    flagver_snapshot *snapshot = NULL;
    struct counts counts;
    flagver_error err;

    counting_start();
    bench_must(flagver_snapshot_load(text->json, text->length, NULL, &snapshot, &err), err.message);
    counts = counting_stop();
    flagver_snapshot_free(snapshot);
    return (double)counts.bytes;
}

static double bytes_of_client(const struct text *text)
{
    flagver_client *client;
    struct counts counts;
    flagver_error err;

    counting_start();
    client = open_client();
    bench_must(flagver_client_load(client, text->json, text->length, &err), err.message);
    counts = counting_stop();
    flagver_close(client);
    return (double)counts.bytes;
}

static struct text write_plan(size_t count, const enum bare_kind pattern[2],
                              const struct names *list)
{
    const struct plan plan = { .count = count, .pattern = pattern, .period = 2, .list = list };
    struct text text;

    text.json = plan_json(&plan, &text.length);
    return text;
}

static void measure_flags(const struct bench_options *options)
{
    struct text text = write_plan(BENCH_FLAGS, simple, NULL);

    report_number(options->report, "M", "a simple flag", "snapshot", "bytes",
                  bytes_of_snapshot(&text) / BENCH_FLAGS, 512);
    report_number(options->report, "M", "a simple flag", "client", "bytes",
                  bytes_of_client(&text) / BENCH_FLAGS, 512);
    free(text.json);
}

#define LONG_LIST 100000

static void measure_users(const struct bench_options *options, const struct users *users)
{
    struct names few, many;
    struct text short_text, long_text;
    double bytes;

    names_init(&few, users, 0, 10);
    names_init(&many, users, 0, LONG_LIST);
    short_text = write_plan(1, beta, &few);
    long_text = write_plan(1, beta, &many);
    bytes = (bytes_of_client(&long_text) - bytes_of_client(&short_text)) /
            (double)(many.count - few.count);
    report_number(options->report, "M", "a user on a beta list", "without key", "bytes",
                  bytes - (double)strlen(many.texts[0]), 16);

    free(short_text.json);
    free(long_text.json);
    names_clear(&few);
    names_clear(&many);
}

void bench_memory(const struct bench_options *options)
{
    struct users *users;

    report_group(options->report,
                 "Memory, in bytes: what is held after loading, divided by their number", "",
                 "bytes");
    if (!counting_works()) {
        report_text(options->report, "not counted in this build");
        return;
    }
    users = users_new();
    measure_flags(options);
    measure_users(options, users);
    users_free(users);
}
