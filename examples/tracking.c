/*
 * Two days of a report generator whose new code is behind a flag: how often each variant is served, how
 * often and how fast it makes its reports, and how many are downloaded. At the end of the second day somebody
 * looks at all of it.
 *
 *     tracking [STORE]    a store to track in, for instance sqlite:reports.db; else one in memory
 *
 * Ends with 1 if anything fails.
 */
#include <flagver.h>

#include <stdio.h>
#include <string.h>

#define FLAG "report_setup"
#define DAY_MS (INT64_C(24) * 3600 * 1000)

/* The events that it is measured by are in the flag's metadata. */
static const char definition[] = "{\"type\": \"boolean\", \"percentage\": 25,"
                                 " \"metadata\": {\"events\": \"report_downloaded\"}}";

static int64_t now_ms = INT64_C(1772355600000); /* 2026-03-01T09:00:00Z */

static int64_t tell_time(void *unused)
{
    (void)unused;
    return now_ms;
}

static int put_flag(void *unused, flagver_txn *txn, flagver_error *err)
{
    (void)unused;
    return flagver_version_put(txn, FLAGVER_PHASE_FLAG, FLAG, definition, strlen(definition), NULL,
                               NULL, err);
}

/* Stands for the work itself: the new code is faster, and fails now and then. */
static bool make_report(int user, bool fresh, int64_t *ret_took_ns)
{
    *ret_took_ns = (fresh ? 180 + user % 40 : 400 + user % 200) * INT64_C(1000000);
    return !(fresh && user % 50 == 7);
}

static int serve(flagver_client *client, int user, flagver_error *err)
{
    flagver_detail detail = { .size = sizeof detail };
    flagver_context *context;
    char key[32];
    int64_t took_ns;
    bool fresh, made;
    int r;

    snprintf(key, sizeof key, "user-%d", user);
    context = flagver_context_new(key);
    fresh = flagver_flag_bool_detail(client, FLAG, context, false, &detail);
    made = make_report(user, fresh, &took_ns);
    r = flagver_track_outcome(client, FLAG, detail.variant, !made, took_ns, err);
    if (r == 0 && made && user % 3 == 0)
        r = flagver_track(client, context, "report_downloaded", 1, err);
    flagver_context_free(context);
    return r;
}

static void show(void *unused, const flagver_track_group *group)
{
    (void)unused;
    if (group->event)
        printf("%-13s %-4s %-18s %4llu\n", group->flag, group->variant, group->event,
               (unsigned long long)group->count);
    else
        printf("%-13s %-4s %4llu served, %.1f %% failed, %.0f ms on average, p95 %.0f ms\n",
               group->flag, group->variant, (unsigned long long)group->evaluations,
               group->error_rate * 100, group->mean_ms, group->p95_ms);
}

static int run(flagver_client *client, flagver_error *err)
{
    const flagver_actor actor = { .size = sizeof actor, .id = "alice" };
    int r = flagver_txn_run(client, &actor, NULL, put_flag, NULL, err);

    if (r == 0)
        r = flagver_client_refresh(client, err);
    for (int day = 0; r == 0 && day < 2; day++, now_ms += DAY_MS) {
        for (int user = 0; r == 0 && user < 400; user++)
            r = serve(client, user, err);
        if (r == 0)
            r = flagver_track_flush(client, err); /* with options.background this is done for us */
    }
    return r == 0 ? flagver_track_report(client, NULL, show, NULL, err) : r;
}

int main(int argc, char **argv)
{
    const flagver_options options = { .size = sizeof options, .clock = tell_time };
    flagver_client *client = NULL;
    flagver_error err;
    int r = flagver_open(argc > 1 ? argv[1] : "memory:", &options, &client, &err);

    if (r == 0)
        r = run(client, &err);
    if (r < 0)
        fprintf(stderr, "tracking: %s\n", err.message);
    flagver_close(client);
    return r < 0;
}
