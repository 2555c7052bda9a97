/*
 * Rolling out one flag to 10,000 users, as `make demo` shows it.
 *
 * Every step is one new definition, published while the program runs; then all
 * users are asked again. While the percentage rises nobody may drop out: the
 * program checks that, and ends with 1 if it is not so.
 */
#include <flagver.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USERS 10000
#define NEWCOMERS 2 /* named in each row */
#define BAR 10      /* characters that stand for all users */

/* What an administrator does, and what of it may be seen. */
struct step {
    const char *title;
    const char *enabled;
    const char *beta; /* a JSON list */
    int percentage;
    enum { RAMP, ROLLBACK, BACK } kind;
};

#define NOBODY "[]"
#define TESTERS "[\"user0007\", \"user0042\", \"user1234\"]"

static const struct step steps[] = {
    { "published", "true", NOBODY, 0, RAMP },
    { "beta list", "true", TESTERS, 0, RAMP }, /* three who try it first */
    { "ramp", "true", TESTERS, 10, RAMP },
    { "ramp", "true", TESTERS, 25, RAMP },
    { "ramp", "true", TESTERS, 50, RAMP },
    { "ramp", "true", TESTERS, 75, RAMP },
    { "ramp", "true", TESTERS, 100, RAMP },
    { "kill switch", "false", TESTERS, 100, ROLLBACK }, /* the rest of it stays as it is */
    { "on again", "true", TESTERS, 100, BACK },
};

#define STEPS (sizeof steps / sizeof *steps)
#define EXPLAINED 4 /* the step whose first newcomer is looked at closely */

/* Who is in after a step, and how that differs from the step before. */
struct census {
    bool in[USERS];
    int count, entered, left;
    int newcomer[NEWCOMERS];
};

struct demo {
    flagver_client *flags;
    flagver_context *user;
    bool colour;
    int mistakes;
};

/* ------------------------------------------------------------------------
 * Asking
 */

/* Users are numbered from 1, for people. */
static void name_user(int index, char name[16])
{
    snprintf(name, 16, "user%04d", index + 1);
}

static bool publish(struct demo *demo, const struct step *step)
{
    flagver_error err;
    char json[512];
    int length;

    length = snprintf(json, sizeof json,
                      "{\"flags\": {\"report_setup\": {\"type\": \"boolean\", \"enabled\": %s,"
                      " \"beta\": %s, \"percentage\": %d, \"bucketing\": \"md5-mod100\"}}}",
                      step->enabled, step->beta, step->percentage);
    if (flagver_client_merge(demo->flags, json, (size_t)length, &err) < 0) {
        fprintf(stderr, "demo: %s\n", err.message);
        return false;
    }
    return true;
}

static bool ask(struct demo *demo, int index)
{
    char name[16];

    name_user(index, name);
    if (flagver_context_reset(demo->user, name) < 0) {
        fprintf(stderr, "demo: out of memory\n");
        exit(1);
    }
    return flagver_flag_bool(demo->flags, "report_setup", demo->user, false);
}

static void take_census(struct demo *demo, const struct census *before, struct census *ret_now)
{
    int index;

    memset(ret_now, 0, sizeof *ret_now);
    for (index = 0; index < USERS; index++) {
        ret_now->in[index] = ask(demo, index);
        ret_now->count += ret_now->in[index];
        ret_now->left += before->in[index] && !ret_now->in[index];

        if (ret_now->in[index] && !before->in[index]) {
            if (ret_now->entered < NEWCOMERS)
                ret_now->newcomer[ret_now->entered] = index;
            ret_now->entered++;
        }
    }
}

/* ------------------------------------------------------------------------
 * Showing
 */

static const char *paint(const struct demo *demo, const char *code)
{
    return demo->colour ? code : "";
}

#define BOLD "\033[1m"
#define GREEN "\033[32m"
#define RED "\033[31m"
#define PLAIN "\033[0m"

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && !(no && *no);
}

/* "2,500" for 2500. */
static const char *grouped(int number, char text[16])
{
    if (number < 1000)
        snprintf(text, 16, "%d", number);
    else
        snprintf(text, 16, "%d,%03d", number / 1000, number % 1000);
    return text;
}

/* Some of those who came in: "  user0007 user0042". */
static void show_newcomers(const struct census *now)
{
    char name[16];
    int i;

    for (i = 0; i < now->entered && i < NEWCOMERS; i++) {
        name_user(now->newcomer[i], name);
        printf("%s%s", i ? " " : "  ", name);
    }
    printf("\n");
}

static void show_bar(const struct demo *demo, int count)
{
    int filled = (count * BAR + USERS / 2) / USERS;
    int i;

    printf(" %s", paint(demo, GREEN));
    for (i = 0; i < BAR; i++)
        putchar(i < filled ? '#' : '.');
    printf("%s", paint(demo, PLAIN));
}

static void show_step(const struct demo *demo, const struct step *step, const struct census *now)
{
    const bool on = strcmp(step->enabled, "true") == 0;
    const bool bad = step->kind == RAMP && now->left > 0;
    char count[16], entered[16], left[16];

    printf("%-11s %3d %%  %6.2f %%", step->title, on ? step->percentage : 0,
           100.0 * now->count / USERS);
    show_bar(demo, now->count);
    printf("  %6s %6s %s%7s%s", grouped(now->count, count), grouped(now->entered, entered),
           paint(demo, bad ? RED : ""), grouped(now->left, left), paint(demo, bad ? PLAIN : ""));
    show_newcomers(now);
}

static void show_heading(const struct demo *demo)
{
    printf("%sRolling out the flag report_setup to 10,000 users%s\n\n", paint(demo, BOLD),
           paint(demo, PLAIN));
    printf("Each row is one change of the flag, published to the running program. Then\n"
           "everybody is asked: who has the feature now, and who moved?\n\n");
    printf("%s%-11s %5s  %8s %-*s  %6s %6s %7s  %s%s\n", paint(demo, BOLD), "step", "asked", "real",
           BAR, "", "in", "new", "dropped", "new, e.g.", paint(demo, PLAIN));
}

/* Why this user came in with this step and not before. */
static void show_bucket(struct demo *demo, const struct step *step, int index)
{
    flagver_detail detail = { .size = sizeof detail };
    char name[16];

    if (!publish(demo, step))
        return;
    ask(demo, index);
    flagver_flag_bool_detail(demo->flags, "report_setup", demo->user, false, &detail);
    name_user(index, name);
    printf("Why does nobody drop out? Each user has a bucket from 0 to 99, made from the\n"
           "name alone, and is in while it is below the percentage: for %s it is %d,\n"
           "so the step to %d %% let this user in. Buckets stay, the percentage only rises.\n",
           name, (int)detail.bucket, step->percentage);
}

/* ------------------------------------------------------------------------
 * Checking
 */

static void complain(struct demo *demo, const char *format, ...)
{
    va_list arguments;

    printf("%sFAILED: ", paint(demo, RED));
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("%s\n", paint(demo, PLAIN));
    demo->mistakes++;
}

static void check_step(struct demo *demo, const struct step *step, const struct census *now)
{
    int wanted = USERS / 100 * step->percentage;

    if (step->kind == RAMP && now->left > 0)
        complain(demo, "%d users dropped out at %d %%", now->left, step->percentage);
    if (step->kind == ROLLBACK && now->count > 0)
        complain(demo, "%d users are still in after the kill switch", now->count);
    if (step->kind != ROLLBACK && abs(now->count - wanted) > USERS / 50)
        complain(demo, "%d users are in at %d %%, about %d were asked for", now->count,
                 step->percentage, wanted);
}

static bool run(struct demo *demo)
{
    static struct census census[2], before_rollback;
    const struct step *step;
    struct census *now;
    int explained = 0;
    size_t i;

    show_heading(demo);
    for (i = 0; i < STEPS; i++) {
        step = &steps[i];
        now = &census[i % 2];
        if (!publish(demo, step))
            return false;

        take_census(demo, &census[1 - i % 2], now);
        show_step(demo, step, now);
        check_step(demo, step, now);
        if (i == EXPLAINED)
            explained = now->newcomer[0];
        if (step->kind == RAMP)
            before_rollback = *now;
        if (step->kind == BACK && memcmp(now->in, before_rollback.in, sizeof now->in) != 0)
            complain(demo, "after the rollback other users are in than before");
    }

    printf("\n");
    show_bucket(demo, &steps[EXPLAINED], explained);
    if (demo->mistakes == 0)
        printf("\n%schecked:%s nobody dropped out while the percentage rose; the kill switch\n"
               "reached everybody at once; after it the same users are in as before.\n",
               paint(demo, GREEN), paint(demo, PLAIN));
    return demo->mistakes == 0;
}

int main(void)
{
    flagver_options options = { .size = sizeof options, .no_environment = 1 };
    struct demo demo = { 0 };
    flagver_error err;
    bool good;

    demo.colour = wants_colour();
    if (flagver_open("definitions:", &options, &demo.flags, &err) < 0) {
        fprintf(stderr, "demo: %s\n", err.message);
        return 1;
    }
    demo.user = flagver_context_new(NULL);
    if (!demo.user) {
        fprintf(stderr, "demo: out of memory\n");
        flagver_close(demo.flags);
        return 1;
    }

    good = run(&demo);

    flagver_context_free(demo.user);
    flagver_close(demo.flags);
    return good ? 0 : 1;
}
