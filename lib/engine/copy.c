#define _POSIX_C_SOURCE 200809L /* nanosleep() */

#include "engine/copy.h"

#include <string.h>
#include <time.h>

#include "engine/idmap.h"
#include "engine/idmap_copy.h"
#include "engine/portion.h"
#include "engine/transfer.h"
#include "util/fail.h"
#include "util/options.h"

#define LEAVES 1000    /* of a portion */
#define TRIES 10       /* with nothing done in between */
#define PAUSE_MS 100   /* between looks at a source that does not change */
#define LIST_PAUSES 20 /* between looks for new tenants */
#define STOPPED 1

struct copy {
    flagver_copy_options options;
    struct fv_store *from, *to;
    struct fv_map tenants;
    struct fv_passage *passages; /* by number of the tenant */
    size_t capacity;
    bool stopped; /* the caller has had enough */
    bool ending;  /* and what is begun now is ended */
};

/* ---- telling ---- */

static void tell(struct copy *copy, const flagver_copy_state *state)
{
    if (copy->options.tell && !copy->options.tell(copy->options.data, state))
        copy->stopped = !copy->ending;
}

static void tell_place(struct copy *copy, const struct fv_passage *passage, int32_t stage,
                       uint64_t leaves)
{
    const flagver_copy_state state = {
        .tenant = passage->tenant, .stage = stage, .copied = passage->size, .leaves = leaves
    };

    tell(copy, &state);
}

/* ---- trying ---- */

static void rest(void)
{
    const struct timespec pause = { 0, PAUSE_MS * 1000000L };

    nanosleep(&pause, NULL); /* a signal may have something to say: it is not gone on with */
}

/* Worth another look: somebody was in the way, or it is not known what came of a commit. */
static bool is_passing(int r)
{
    int class_ = fv_error_class(r);

    return r == FLAGVER_ECONFLICT || class_ == FLAGVER_CLASS_UNKNOWN ||
           (class_ == FLAGVER_CLASS_RETRY && r != FLAGVER_ENOMEM);
}

/* One portion, or none when there is nothing; *ret_size is how many leaves the source has. */
static int carry_next(struct fv_passage *passage, uint64_t *ret_size, flagver_error *err)
{
    struct fv_read source;
    int r = fv_read_begin(&source, passage->from, passage->tenant, err);

    if (r < 0)
        return r;
    source.sealed = true;
    r = fv_passage_size(&source, ret_size, err);
    if (r == 0 && *ret_size > passage->size)
        r = fv_passage_carry(passage, &source, *ret_size, err);
    fv_read_end(&source);
    return r;
}

/* The same, again where that may help. What the target has got by then is looked at each time. */
static int carry(struct fv_passage *passage, uint64_t *ret_size, flagver_error *err)
{
    int r = carry_next(passage, ret_size, err), try, looked;

    for (try = 1; r < 0 && is_passing(r) && try < TRIES; try++) {
        rest();
        looked = fv_passage_look(passage, err);
        if (looked == FLAGVER_ECONFLICT || looked == FLAGVER_EEXIST)
            return looked;
        r = looked < 0 ? looked : carry_next(passage, ret_size, err);
    }
    return r;
}

/* ---- a tenant from its beginning ---- */

static int carry_all(struct copy *copy, struct fv_passage *passage, flagver_error *err)
{
    uint64_t size;
    int r;

    do {
        r = carry(passage, &size, err);
        if (r == 0 && size > passage->size)
            tell_place(copy, passage, FLAGVER_COPY_BEHIND, size);
    } while (r == 0 && size > passage->size && !copy->stopped);
    return r;
}

/* To the end of one state of the source; then both are held against each other. */
static int finish_in(struct fv_passage *passage, struct fv_read *source, bool logs_only,
                     uint8_t ret_root[32], flagver_error *err)
{
    uint64_t size;
    int r = fv_passage_size(source, &size, err);

    while (r == 0 && passage->size < size)
        r = fv_passage_carry(passage, source, size, err);
    if (r == 0)
        r = fv_idmap_carry(passage, source, err);
    return r < 0 ? r : fv_passage_compare(passage, source, logs_only, ret_root, err);
}

static int finish_once(struct fv_passage *passage, bool logs_only, uint8_t ret_root[32],
                       flagver_error *err)
{
    struct fv_read source;
    int r = fv_passage_look(passage, err);

    if (r == 0)
        r = fv_read_begin(&source, passage->from, passage->tenant, err);
    if (r < 0)
        return r;
    source.sealed = true;
    r = finish_in(passage, &source, logs_only, ret_root, err);
    fv_read_end(&source);
    return r;
}

static int finish(struct copy *copy, struct fv_passage *passage, bool logs_only, flagver_error *err)
{
    flagver_copy_state state = { .tenant = passage->tenant, .stage = FLAGVER_COPY_EQUAL };
    int r = finish_once(passage, logs_only, state.root, err), try;

    /* A conflict that is there the second time is none that passes. */
    for (try = 1; r < 0 && is_passing(r) && try < (r == FLAGVER_ECONFLICT ? 2 : TRIES); try++) {
        rest();
        r = finish_once(passage, logs_only, state.root, err);
    }
    if (r < 0)
        return r;
    state.copied = state.leaves = passage->size;
    tell(copy, &state);
    return 0;
}

/* Or STOPPED. */
static int copy_tenant(struct copy *copy, struct fv_passage *passage, flagver_error *err)
{
    int r = copy->stopped ? STOPPED : fv_passage_look(passage, err);

    if (r == 0)
        r = carry_all(copy, passage, err);
    if (r == 0 && copy->stopped)
        r = STOPPED;
    return r == 0 ? finish(copy, passage, false, err) : r;
}

/* ---- tenants ---- */

/* A tenant that was not seen before. */
static int add_tenant(struct copy *copy, const char *name, flagver_error *err)
{
    size_t before = copy->tenants.count;
    uint32_t number;

    if (!fv_grow(NULL, (void **)&copy->passages, &copy->capacity, before, sizeof *copy->passages))
        return fv_fail_memory(err);
    number = fv_map_add(&copy->tenants, name, strlen(name));
    if (number == FV_MAP_NONE)
        return fv_fail_memory(err);
    if (number < before)
        return 0;
    copy->passages[number] = (struct fv_passage){ .from = copy->from,
                                                  .to = copy->to,
                                                  .tenant = copy->tenants.names[number].text,
                                                  .limit = copy->options.leaves };
    return 0;
}

/* Of two stores it has to be said which one does not tell its tenants. */
static int fail_hidden(const struct copy *copy, flagver_error *err)
{
    flagver_error why = *err;

    return fv_fail(err, why.code, "%.250s: %.700s", copy->from->shown, why.message);
}

static int add_tenants(struct copy *copy, flagver_error *err)
{
    struct fv_map names;
    size_t i;
    int r;

    fv_map_init(&names, NULL);
    r = fv_tenants_list(copy->from, &names, err);
    if (r == FLAGVER_EDENIED && err)
        r = fail_hidden(copy, err);
    for (i = 0; r == 0 && i < names.count; i++)
        r = add_tenant(copy, names.names[i].text, err);
    fv_map_clear(&names);
    return r;
}

/* Who names a tenant need not be allowed to see the others. */
static int find_tenants(struct copy *copy, flagver_error *err)
{
    return copy->options.tenant ? add_tenant(copy, copy->options.tenant, err)
                                : add_tenants(copy, err);
}

/* Those that were not seen before, from their beginning; or STOPPED. */
static int copy_new(struct copy *copy, flagver_error *err)
{
    size_t i = copy->tenants.count;
    int r = find_tenants(copy, err);

    for (; r == 0 && i < copy->tenants.count; i++)
        r = copy_tenant(copy, &copy->passages[i], err);
    return r;
}

/* 1: there are some, 0, or an error. */
static int has_ids(const struct copy *copy, const char *tenant, flagver_error *err)
{
    struct fv_read read;
    int r = fv_read_begin(&read, copy->from, tenant, err);

    if (r == 0)
        r = fv_idmap_is_there(&read, err);
    fv_read_end(&read);
    return r;
}

/* Is there anything of the one that was asked for? */
static int check_tenant(const struct copy *copy, flagver_error *err)
{
    const char *tenant = copy->options.tenant;
    uint64_t size;
    int r = tenant ? copy->from->driver->changes(copy->from->handle, fv_bytes(tenant), &size, err)
                   : 0;

    if (r < 0 || !tenant || size)
        return r;
    r = has_ids(copy, tenant, err);
    return r == 0  ? fv_fail(err, FLAGVER_ENOTFOUND, "%.300s has no tenant \"%s\"",
                             copy->from->shown, tenant)
           : r < 0 ? r
                   : 0;
}

/* ---- following ---- */

/* Has either log another size than it had? Who writes to the target is found when it is looked at. */
static int has_news(const struct fv_passage *passage, bool *ret_news, flagver_error *err)
{
    uint64_t source, target;
    int r = passage->from->driver->changes(passage->from->handle, fv_bytes(passage->tenant),
                                           &source, err);

    if (r == 0)
        r = passage->to->driver->changes(passage->to->handle, fv_bytes(passage->tenant), &target,
                                         err);
    if (r == 0)
        *ret_news = source != passage->size || target != passage->size;
    return r;
}

static int follow_tenant(struct copy *copy, struct fv_passage *passage, flagver_error *err)
{
    uint64_t size = passage->size;
    bool news;
    int r = has_news(passage, &news, err);

    if (r == 0 && news)
        r = fv_passage_look(passage, err);
    while (r == 0 && news && !copy->stopped) {
        r = carry(passage, &size, err);
        news = r == 0 && size > passage->size;
        if (news)
            tell_place(copy, passage, FLAGVER_COPY_BEHIND, size);
    }
    if (r == 0 && !copy->stopped)
        tell_place(copy, passage, FLAGVER_COPY_FOLLOWING, size);
    return r;
}

/* A store that cannot be used now is waited for: the caller hears of it. */
static int wait_for(struct copy *copy, const char *tenant, const flagver_error *problem,
                    flagver_error *err)
{
    const flagver_copy_state state = { .tenant = tenant,
                                       .stage = FLAGVER_COPY_WAITING,
                                       .problem = problem };

    if (is_passing(problem->code) && problem->code != FLAGVER_ECONFLICT) {
        tell(copy, &state);
        return 0;
    }
    if (err)
        *err = *problem;
    return problem->code;
}

/* All of them once. */
static int follow_all(struct copy *copy, bool listing, flagver_error *err)
{
    const char *tenant = "";
    flagver_error problem;
    size_t i;
    int r = listing ? copy_new(copy, &problem) : 0;

    for (i = 0; r == 0 && !copy->stopped && i < copy->tenants.count; i++) {
        tenant = copy->passages[i].tenant;
        r = follow_tenant(copy, &copy->passages[i], &problem);
    }
    return r < 0 ? wait_for(copy, tenant, &problem, err) : 0;
}

static int follow(struct copy *copy, flagver_error *err)
{
    unsigned pauses = 0;
    int r = 0;

    while (r == 0 && !copy->stopped) {
        r = follow_all(copy, ++pauses % LIST_PAUSES == 0, err);
        if (r == 0 && !copy->stopped)
            rest();
    }
    return r;
}

/* The switch: what came until now, and then both logs are the same. */
static int end_following(struct copy *copy, flagver_error *err)
{
    size_t i;
    int r;

    copy->ending = true;
    copy->stopped = false;
    r = copy_new(copy, err);
    for (i = 0; r == 0 && i < copy->tenants.count; i++)
        r = finish(copy, &copy->passages[i], true, err);
    return r;
}

/* ---- the whole ---- */

static int run(struct copy *copy, flagver_error *err)
{
    int r = check_tenant(copy, err);

    if (r == 0)
        r = copy_new(copy, err);
    if (r != 0 || !copy->options.follow)
        return r;
    r = follow(copy, err);
    return r < 0 ? r : end_following(copy, err);
}

static int open_stores(struct copy *copy, const char *from, const char *to, flagver_error *err)
{
    const struct fv_store_options source = { .read_only = true, .no_upgrade = true };
    const struct fv_store_options target = { .read_only = false };
    int r = fv_store_open(from, &source, &copy->from, err);

    return r < 0 ? r : fv_store_open(to, &target, &copy->to, err);
}

static int check_options(const char *from, const char *to, const flagver_copy_options *options,
                         flagver_error *err)
{
    if (strcmp(from, to) == 0)
        return fv_fail(err, FLAGVER_EINVAL, "the source and the target are one store");
    if (options->follow && !options->tell)
        return fv_fail(err, FLAGVER_EINVAL,
                       "options.follow without options.tell: nobody could end it");
    return options->tenant ? fv_check_text("tenant", options->tenant, FV_TENANT_LIMIT, err) : 0;
}

int fv_copy(const char *from, const char *to, const flagver_copy_options *options,
            flagver_error *err)
{
    struct copy copy = { .from = NULL };
    int r = fv_options_copy("options", options, &copy.options, sizeof copy.options, err);

    if (r == 0)
        r = check_options(from, to, &copy.options, err);
    if (r < 0)
        return r;
    if (!copy.options.leaves)
        copy.options.leaves = LEAVES;
    fv_map_init(&copy.tenants, NULL);
    r = open_stores(&copy, from, to, err);
    if (r == 0)
        r = run(&copy, err);
    fv_release(NULL, copy.passages);
    fv_map_clear(&copy.tenants);
    fv_store_release(copy.to);
    fv_store_release(copy.from);
    return r;
}
