#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a state: bytes only ---- */

/* Values are sets: whose writes made them. Put replaces the set, modify adds to it. */
#define ABSENT 0u
#define PRESENT 0x80u
#define SEED 0x10u    /* was there before */
#define GARBAGE 0x20u /* was on the new side before */

enum operation { PUT, MODIFY, DELETE, OPERATIONS };
static const char operation_letters[] = "PMD";

/* Of everybody who has more than one step to take. */
enum pc {
    READY,
    FOUND,
    TRANSACT,
    CALL_AUTHORITY,
    READ,
    APPLY,
    SETTLE,
    LEAVE,
    LEAVE_FAILED,
    DOUBT,
    OVER
};

struct fence_cell {
    uint8_t role, stage, epoch, period, version;
};

struct version_cell {
    uint8_t epoch, seq;
};

struct entry_cell {
    struct version_cell version;
    uint8_t doubtful, operations; /* a bit each */
};

struct writer {
    uint8_t operation, pc;
    uint8_t side, version; /* whom it believes to be the authority, and since when */
    uint8_t value;         /* that the authority has from it */
    struct version_cell row;
    uint8_t epoch; /* without a transaction: that it was admitted in */
};

/* Of a writer. */
struct router {
    uint8_t held, live;
    uint8_t epoch, version; /* of its lease */
    uint8_t side;
    struct fence_cell fence; /* on that side, when the lease was renewed */
};

/* Repairs or copies. */
struct worker {
    uint8_t pc, side, value; /* side: the authority */
    struct version_cell row;
    uint8_t epoch; /* in which it began */
};

struct stepper {
    uint8_t pc, side, grants;
    struct fence_cell expect, write;
};

struct state {
    uint8_t value[2];
    struct version_cell row[2];
    struct fence_cell fence[2];
    struct entry_cell entry[2]; /* by home */
    uint8_t truth;              /* what all writes made of the value, in their order */
    struct version_cell top;    /* the greatest that was given out */
    uint8_t version;            /* of the record */
    uint8_t live;               /* operations whose lease is not over, a bit each */
    uint8_t copied;             /* the epoch in which a copy began that is complete */
    uint8_t forgot, gave_up;
    struct {
        uint8_t value, held;
        struct version_cell row;
        struct entry_cell entry;
    } before; /* the old side's last commit, where that can be forgotten */
    struct writer writer[MOST_WRITERS];
    struct router router[MOST_WRITERS];
    struct worker repairer[MOST_WORKERS], copier[MOST_WORKERS];
    struct stepper stepper[MOST_STEPPERS];
};

/* Numbers of operations: writers first. */
#define OF_REPAIRER MOST_WRITERS
#define OF_COPIER (MOST_WRITERS + MOST_WORKERS)
#define MOST_OPERATIONS (OF_COPIER + MOST_WORKERS)

/* ---- to and from what the library works on ---- */

/* Time stands still; what is over is over before it, what is not is after it. */
#define NOW 100
#define PAST 50
#define FUTURE 200

static struct fv_fence fence_of(struct fence_cell cell)
{
    return (struct fv_fence){ .role = (enum fv_role)cell.role,
                              .stage = cell.stage,
                              .epoch = cell.epoch,
                              .period = cell.period,
                              .version = cell.version };
}

static struct fence_cell fence_cell(const struct fv_fence *fence)
{
    return (struct fence_cell){ .role = (uint8_t)fence->role,
                                .stage = (uint8_t)fence->stage,
                                .epoch = (uint8_t)fence->epoch,
                                .period = (uint8_t)fence->period,
                                .version = (uint8_t)fence->version };
}

static bool same_cell(struct fence_cell a, struct fence_cell b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static struct fv_version version_of(struct version_cell cell)
{
    return (struct fv_version){ cell.epoch, cell.seq };
}

static struct version_cell version_cell(struct fv_version version)
{
    return (struct version_cell){ (uint8_t)version.epoch, (uint8_t)version.seq };
}

static struct fv_entry_operation operation_of(const struct state *state, int number)
{
    return (struct fv_entry_operation){ .id.bytes = { (uint8_t)(number + 1) },
                                        .until = state->live >> number & 1 ? FUTURE : PAST };
}

static struct fv_entry entry_of(const struct state *state, int home)
{
    const struct entry_cell *cell = &state->entry[home];
    struct fv_entry entry = { .version = version_of(cell->version),
                              .doubtful = cell->doubtful != 0 };
    int i;

    for (i = 0; i < MOST_OPERATIONS; i++)
        if (cell->operations >> i & 1)
            entry.operations[entry.count++] = operation_of(state, i);
    return entry;
}

static void put_entry(struct state *state, int home, const struct fv_entry *entry,
                      enum fv_entry_fate fate)
{
    struct entry_cell *cell = &state->entry[home];
    uint32_t i;

    *cell = (struct entry_cell){ .doubtful = 0 };
    if (fate == FV_ENTRY_GONE)
        return;
    cell->version = version_cell(entry->version);
    cell->doubtful = entry->doubtful;
    for (i = 0; i < entry->count; i++)
        cell->operations |= (uint8_t)(1u << (entry->operations[i].id.bytes[0] - 1));
}

static bool keeps_version(const struct setting *setting, const struct state *state, int side,
                          bool both)
{
    const struct fv_version version = { state->fence[side].epoch, 1 };

    return fv_version_is_kept(version, both) && (both || !(setting->without & WITHOUT_VERSION));
}

static bool has_entry(const struct state *state, int home)
{
    return state->entry[home].doubtful || state->entry[home].operations;
}

/* ---- what is where ---- */

static int home_of(const struct setting *setting, int side)
{
    return setting->one_home ? 0 : side;
}

static bool both_enlisted(const struct setting *setting)
{
    return setting->enlisted[FV_OLD] && setting->enlisted[FV_NEW];
}

static bool writes_both(int stage)
{
    return fv_stage_write(stage).both;
}

static int stage_of(const struct setting *setting, int version)
{
    return version > 0 ? setting->record[version - 1].stage : FLAGVER_STAGE_OFF;
}

/* Whose fence is AUTHORITY; -1: nobody's. */
static int authority_in(const struct state *state)
{
    int side;

    for (side = FV_OLD; side <= FV_NEW; side++)
        if (state->fence[side].role == FV_ROLE_AUTHORITY)
            return side;
    return -1;
}

static int believed_in(const struct state *state)
{
    const struct fv_fence fences[2] = { fence_of(state->fence[FV_OLD]),
                                        fence_of(state->fence[FV_NEW]) };

    return (int)fv_route_believed(fences);
}

static bool is_live(const struct state *state, int operation)
{
    return state->live >> operation & 1;
}

static void set_live(struct state *state, int operation, bool live)
{
    uint8_t bit = (uint8_t)(1u << operation);

    state->live = live ? state->live | bit : state->live & (uint8_t)~bit;
}

/* May an operation call a side? */
static bool may_call(const struct setting *setting, const struct state *state, int operation)
{
    return is_live(state, operation) || setting->overruns || (setting->without & WITHOUT_DEADLINE);
}

static bool may_stop(const struct setting *setting)
{
    return !setting->overruns && !setting->calm;
}

/* ---- reaching states ---- */

static int compare_steppers(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct stepper));
}

/* Does the lease of a writer's router matter to itself? */
static bool needs_lease(const struct setting *setting, const struct writer *writer)
{
    return writer->pc == READY ||
           (writer->pc == CALL_AUTHORITY && !writes_both(stage_of(setting, writer->version)));
}

/* What is left of a lease that does not: others may still wait for it. */
static void forget_lease(const struct setting *setting, const struct writer *writer,
                         struct router *router)
{
    if (!needs_lease(setting, writer)) {
        router->side = 0;
        router->fence = (struct fence_cell){ .role = FV_ROLE_NONE };
    }
    if (!router->live && (!needs_lease(setting, writer) || writer->pc == READY))
        *router = (struct router){ .held = 0 };
}

/* The same state whoever of equals is in which place, and without what nobody looks at. */
static void reach(const struct setting *setting, struct explorer *explorer, struct state *state,
                  const char *label)
{
    int i, needed = 0;

    for (i = 0; i < setting->writers; i++) {
        struct writer *writer = &state->writer[i];

        if (writer->pc == OVER)
            *writer = (struct writer){ .operation = writer->operation, .pc = OVER };
        else if (writer->pc != READY)
            needed |= 1 << i;
        forget_lease(setting, writer, &state->router[i]);
    }
    for (i = 0; i < MOST_WORKERS; i++) {
        if (state->repairer[i].pc == READY)
            state->repairer[i] = (struct worker){ .pc = READY };
        else
            needed |= 1 << (OF_REPAIRER + i);
        if (state->copier[i].pc == READY)
            state->copier[i] = (struct worker){ .pc = READY };
        else
            needed |= 1 << (OF_COPIER + i);
    }
    state->live &= (uint8_t)(needed | state->entry[0].operations | state->entry[1].operations);
    qsort(state->stepper, (size_t)setting->steppers, sizeof *state->stepper, compare_steppers);
    explore_reach(explorer, state, label);
}

/* ---- sides ---- */

static uint8_t result_of(int operation, int writer, uint8_t value)
{
    switch (operation) {
    case PUT:
        return (uint8_t)(PRESENT | 1u << writer);
    case MODIFY:
        return (uint8_t)(value | PRESENT | 1u << writer);
    default:
        return ABSENT;
    }
}

/* A guarded write of the other side. */
static void apply(const struct setting *setting, struct state *state, int side, uint8_t value,
                  struct version_cell row)
{
    if (!fv_version_applies(version_of(row), version_of(state->row[side])) &&
        !(setting->without & WITHOUT_GUARD))
        return;
    state->value[side] = value;
    state->row[side] = row;
    if (value == ABSENT && (setting->without & WITHOUT_TOMBSTONE))
        state->row[side] = (struct version_cell){ 0, 0 };
}

/* The operation of a writer, on the authority. */
static void execute(struct state *state, int number)
{
    struct writer *writer = &state->writer[number];

    writer->value = result_of(writer->operation, number, state->value[writer->side]);
    state->value[writer->side] = writer->value;
    state->truth = result_of(writer->operation, number, state->truth);
}

/* ---- writers ---- */

static const char *const commits[] = { "writer 1 commits", "writer 2 commits", "writer 3 commits" };
static const char *const enters[] = { "writer 1 enters", "writer 2 enters", "writer 3 enters" };
static const char *const calls[] = { "writer 1 calls the authority", "writer 2 calls the authority",
                                     "writer 3 calls the authority" };
static const char *const refuses[] = { "writer 1 is too late", "writer 2 is too late",
                                       "writer 3 is too late" };
static const char *const applies[] = { "writer 1 writes the other", "writer 2 writes the other",
                                       "writer 3 writes the other" };
static const char *const leaves[] = { "writer 1 leaves", "writer 2 leaves", "writer 3 leaves" };
static const char *const stops[] = { "writer 1 stops", "writer 2 stops", "writer 3 stops" };
static const char *const looks[] = { "writer 1 looks at the fences", "writer 2 looks at the fences",
                                     "writer 3 looks at the fences" };
static const char *const renews[] = { "router 1 renews its lease", "router 2 renews its lease",
                                      "router 3 renews its lease" };

/* The next version of the key, and its row. False: the key is of a later epoch than the fence. */
static bool give_version(struct state *state, struct writer *writer, struct explorer *explorer,
                         const char *label)
{
    const struct fv_fence fence = fence_of(state->fence[writer->side]);
    struct fv_version version;

    /* Only where the fence was looked at too early. */
    if (fv_version_next(version_of(state->row[writer->side]), &fence, &version, NULL) < 0)
        return false;

    if (fv_version_compare(version, version_of(state->top)) <= 0)
        explore_fault(explorer, "a version was given out twice", label);
    writer->row = version_cell(version);
    state->row[writer->side] = state->top = writer->row;
    return true;
}

static void remember(const struct setting *setting, struct state *state, int side)
{
    if (!setting->forgets || side != FV_OLD || state->forgot)
        return;
    state->before.held = 1;
    state->before.value = state->value[side];
    state->before.row = state->row[side];
    state->before.entry = state->entry[home_of(setting, side)];
}

/* Both sides in one database: the second one in a savepoint, which may fail. */
static void commit_together(const struct setting *setting, const struct state *from, int number,
                            struct explorer *explorer)
{
    struct state next = *from;
    struct writer *writer = &next.writer[number];
    struct fv_entry entry = entry_of(from, 0);

    fv_entry_owe(&entry, version_of(writer->row), NOW);
    put_entry(&next, 0, &entry, FV_ENTRY_STAYS);
    writer->pc = OVER;
    reach(setting, explorer, &next, commits[number]);

    next = *from;
    writer = &next.writer[number];
    apply(setting, &next, 1 - writer->side, writer->value, writer->row);
    writer->pc = OVER;
    reach(setting, explorer, &next, commits[number]);
}

/* An operation enters the entry in the home of `side`. False: too many are at it. */
static bool enter(const struct setting *setting, struct state *state, int side, int operation)
{
    int home = home_of(setting, side);
    struct fv_entry entry = entry_of(state, home);
    bool doubtful = entry.doubtful;
    struct fv_entry_operation self;

    set_live(state, operation, true);
    self = operation_of(state, operation);
    if (fv_entry_enter(&entry, &self, NOW, NULL) < 0)
        return false;
    if (setting->without & WITHOUT_OVERLAP)
        entry.doubtful = doubtful;
    put_entry(state, home, &entry, FV_ENTRY_STAYS);
    return true;
}

/* In a transaction of others the other side is left to a repair. */
static void commit_within(const struct setting *setting, const struct state *from, int number,
                          struct explorer *explorer)
{
    struct state next = *from;
    int home = home_of(setting, next.writer[number].side);
    struct fv_entry entry = entry_of(&next, home);

    fv_entry_doubt(&entry, NOW);
    put_entry(&next, home, &entry, FV_ENTRY_STAYS);
    next.writer[number].pc = OVER;
    reach(setting, explorer, &next, commits[number]);
}

/* The transaction on an enlisted authority. */
static void transact(const struct setting *setting, const struct state *from, int number,
                     struct explorer *explorer)
{
    struct state next = *from;
    struct writer *writer = &next.writer[number];
    int home = home_of(setting, writer->side);
    bool both = writes_both(stage_of(setting, writer->version));
    struct fv_entry entry = entry_of(&next, home);

    remember(setting, &next, writer->side);
    execute(&next, number);
    writer->pc = both ? APPLY : OVER;
    if (both_enlisted(setting) && keeps_version(setting, &next, writer->side, both)) {
        if (!give_version(&next, writer, explorer, commits[number])) {
            next = *from;
            writer->pc = OVER;
            reach(setting, explorer, &next, stops[number]);
            return;
        }
        if (both && setting->one_home) {
            commit_together(setting, &next, number, explorer);
            return;
        }
        if (both) {
            fv_entry_owe(&entry, version_of(writer->row), NOW);
            put_entry(&next, home, &entry, FV_ENTRY_STAYS);
        }
    } else if (both) {
        commit_within(setting, &next, number, explorer);
        if (!enter(setting, &next, writer->side, number))
            return;
    }
    reach(setting, explorer, &next, commits[number]);
}

/* The transaction in which an operation on a detached authority is entered. */
static void begin_entered(const struct setting *setting, const struct state *from, int number,
                          struct explorer *explorer)
{
    struct state next = *from;

    if (!enter(setting, &next, next.writer[number].side, number))
        return;
    next.writer[number].pc = CALL_AUTHORITY;
    reach(setting, explorer, &next, enters[number]);
}

static struct fv_lease lease_of(const struct router *router)
{
    return (struct fv_lease){ .until = router->live ? FUTURE : PAST,
                              .epoch = router->epoch,
                              .version = router->version };
}

/* A detached authority alone is written: the lease is all that there is. */
static void begin_leased(const struct setting *setting, const struct state *from, int number,
                         struct explorer *explorer)
{
    const struct router *router = &from->router[number];
    const struct fv_fence fence = fence_of(router->fence);
    const struct fv_lease lease = lease_of(router);
    struct state next = *from;
    int64_t deadline;

    if (!router->held || fv_lease_admit(&lease, &fence, from->writer[number].version, 0, NOW,
                                        &deadline) != FV_ADMIT_GO)
        return;
    next.writer[number].pc = CALL_AUTHORITY;
    next.writer[number].epoch = router->fence.epoch;
    set_live(&next, number, true);
    reach(setting, explorer, &next, enters[number]);
}

static void begin_write(const struct setting *setting, const struct state *from, int number,
                        struct explorer *explorer)
{
    const struct writer *writer = &from->writer[number];
    const struct fv_fence fence = fence_of(from->fence[writer->side]);
    bool enlisted = setting->enlisted[writer->side];

    if (!enlisted && !writes_both(stage_of(setting, writer->version))) {
        begin_leased(setting, from, number, explorer);
        return;
    }
    if (fv_fence_admit(&fence, writer->version) != FV_ADMIT_GO)
        return;
    if (enlisted && (setting->without & WITHOUT_FENCE)) {
        struct state next = *from;

        next.writer[number].pc = TRANSACT;
        reach(setting, explorer, &next, looks[number]);
    } else if (enlisted) {
        transact(setting, from, number, explorer);
    } else {
        begin_entered(setting, from, number, explorer);
    }
}

/* Who was refused looks again; so may everybody else, or may not. */
static void look(const struct setting *setting, const struct state *from, int number,
                 struct explorer *explorer)
{
    int side = authority_in(from);
    struct state next = *from;

    if (side < 0)
        return;
    next.writer[number].side = (uint8_t)side;
    next.writer[number].version = from->fence[side].version;
    if (memcmp(&next, from, sizeof next) != 0)
        reach(setting, explorer, &next, looks[number]);
}

static void renew(const struct setting *setting, const struct state *from, int number,
                  struct explorer *explorer)
{
    int side = believed_in(from);
    struct state next = *from;
    struct router *router = &next.router[number];
    struct writer *writer = &next.writer[number];
    const struct fv_fence fence = fence_of(from->fence[side]);
    const struct fv_lease held = lease_of(router);
    bool idle = writer->pc != CALL_AUTHORITY || writes_both(stage_of(setting, writer->version)) ||
                (writer->epoch == fence.epoch && writer->version == fence.version);
    struct fv_lease lease = fv_lease_renew(router->held ? &held : NULL, &fence, idle, FUTURE);

    *router = (struct router){ .held = 1,
                               .live = 1,
                               .epoch = (uint8_t)lease.epoch,
                               .version = (uint8_t)lease.version,
                               .side = (uint8_t)side,
                               .fence = from->fence[side] };
    if (writer->pc == READY) {
        writer->side = (uint8_t)side;
        writer->version = from->fence[side].version;
    }
    if (memcmp(&next, from, sizeof next) != 0)
        reach(setting, explorer, &next, renews[number]);
}

static void call_authority(const struct setting *setting, const struct state *from, int number,
                           struct explorer *explorer)
{
    struct state next = *from;
    struct writer *writer = &next.writer[number];
    bool both = writes_both(stage_of(setting, writer->version));

    if (may_call(setting, from, number) || (!both && (setting->without & WITHOUT_LEASE))) {
        if (!both && authority_in(from) == 1 - writer->side)
            explore_fault(explorer, "a side is written that is not the authority any more",
                          calls[number]);
        execute(&next, number);
        writer->pc = both ? APPLY : OVER;
        reach(setting, explorer, &next, calls[number]);
    } else {
        writer->pc = both ? LEAVE_FAILED : OVER;
        reach(setting, explorer, &next, refuses[number]);
    }
}

static void write_other(const struct setting *setting, const struct state *from, int number,
                        struct explorer *explorer)
{
    struct state next = *from;
    struct writer *writer = &next.writer[number];
    int other = 1 - writer->side;

    if (both_enlisted(setting)) {
        apply(setting, &next, other, writer->value, writer->row);
        writer->pc = SETTLE;
        reach(setting, explorer, &next, applies[number]);
        return;
    }
    if (may_call(setting, from, number)) {
        next.value[other] = writer->value;
        writer->pc = LEAVE;
        reach(setting, explorer, &next, applies[number]);
        if (setting->calm)
            return;
    }
    /* It may fail, too. */
    next = *from;
    writer->pc = LEAVE_FAILED;
    reach(setting, explorer, &next, refuses[number]);
}

static void settle(const struct setting *setting, struct state *next, int side,
                   struct version_cell row)
{
    int home = home_of(setting, side);
    struct fv_entry entry = entry_of(next, home);
    enum fv_entry_fate fate;

    if (!has_entry(next, home))
        return;
    fate = fv_entry_settle(&entry, version_of(row));
    put_entry(next, home, &entry, fate);
}

/* True: it was in the entry. */
static bool leave(const struct setting *setting, struct state *next, int side, int operation,
                  bool ok)
{
    int home = home_of(setting, side);
    struct fv_entry entry = entry_of(next, home);
    const struct fv_entry_operation self = operation_of(next, operation);
    enum fv_entry_fate fate = fv_entry_leave(&entry, &self.id, ok);

    if (fate == FV_ENTRY_LATE && (setting->without & WITHOUT_ADMISSION)) {
        fv_entry_doubt(&entry, NOW);
        put_entry(next, home, &entry, FV_ENTRY_STAYS);
        return true;
    }
    if (fate == FV_ENTRY_LATE)
        return false;
    put_entry(next, home, &entry, fate);
    return true;
}

/* After a late leave. False: nobody is the authority now. */
static bool doubt(const struct setting *setting, struct state *next)
{
    int side = authority_in(next), home;
    struct fv_entry entry;
    struct fv_fence fence;

    if (side < 0)
        return false;
    fence = fence_of(next->fence[side]);
    if (!fv_fence_owes(&fence))
        return true;
    home = home_of(setting, side);
    entry = entry_of(next, home);
    fv_entry_doubt(&entry, NOW);
    put_entry(next, home, &entry, FV_ENTRY_STAYS);
    return true;
}

static void end_write(const struct setting *setting, const struct state *from, int number,
                      struct explorer *explorer)
{
    struct state next = *from;
    struct writer *writer = &next.writer[number];

    switch (writer->pc) {
    case SETTLE:
        settle(setting, &next, writer->side, writer->row);
        writer->pc = OVER;
        break;
    case LEAVE:
    case LEAVE_FAILED:
        writer->pc = leave(setting, &next, writer->side, number, writer->pc == LEAVE) ? OVER
                                                                                      : DOUBT;
        break;
    default:
        if (!doubt(setting, &next))
            return;
        writer->pc = OVER;
    }
    reach(setting, explorer, &next, leaves[number]);
}

static void step_writer(const struct setting *setting, const struct state *from, int number,
                        struct explorer *explorer)
{
    struct state next = *from;
    int pc = from->writer[number].pc;

    switch (pc) {
    case READY:
        if (!setting->leases)
            look(setting, from, number, explorer);
        begin_write(setting, from, number, explorer);
        break;
    case TRANSACT:
        transact(setting, from, number, explorer);
        break;
    case CALL_AUTHORITY:
        call_authority(setting, from, number, explorer);
        break;
    case APPLY:
        write_other(setting, from, number, explorer);
        break;
    case OVER:
        return;
    default:
        end_write(setting, from, number, explorer);
    }
    if (setting->leases && needs_lease(setting, &from->writer[number]))
        renew(setting, from, number, explorer);
    if (may_stop(setting)) {
        next.writer[number].pc = OVER;
        reach(setting, explorer, &next, stops[number]);
    }
}

/* ---- leases that run out ---- */

static void run_out(const struct setting *setting, const struct state *from,
                    struct explorer *explorer)
{
    struct state next;
    int i;

    for (i = 0; i < MOST_OPERATIONS; i++)
        if (is_live(from, i) && !setting->calm) {
            next = *from;
            set_live(&next, i, false);
            reach(setting, explorer, &next, "the time of an operation is over");
        }
    for (i = 0; i < setting->writers; i++)
        if (from->router[i].live) {
            next = *from;
            next.router[i].live = 0;
            /* Without entries an operation has no longer than its router's lease. */
            if (!writes_both(stage_of(setting, from->writer[i].version)))
                set_live(&next, i, false);
            reach(setting, explorer, &next, "a lease runs out");
        }
}

static bool somebody_waits(const struct setting *setting, const struct state *state, int side)
{
    const struct fv_fence fence = fence_of(state->fence[side]);
    int i;

    for (i = 0; i < setting->writers && !(setting->without & WITHOUT_WAITING); i++) {
        const struct fv_lease lease = lease_of(&state->router[i]);

        if (state->router[i].held && fv_lease_waits(&lease, &fence, NOW))
            return true;
    }
    return false;
}

/* ---- repairs and copies ---- */

/* The version that goes with what is read of the authority. */
static struct version_cell row_to_pass_on(const struct setting *setting, const struct state *state,
                                          int side)
{
    const struct fv_fence fence = fence_of(state->fence[side]);

    if (setting->without & WITHOUT_PERIOD)
        return state->row[side];
    return version_cell(fv_version_since(version_of(state->row[side]), &fence));
}

/* The version first: then it may be that of an earlier value, but never that of a later one. */
static void read_row(const struct setting *setting, const struct state *state,
                     struct worker *worker, int side)
{
    worker->side = (uint8_t)side;
    worker->row = row_to_pass_on(setting, state, side);
    worker->value = state->value[side];
    worker->pc = setting->loose ? READ : APPLY;
}

static void read_on(const struct setting *setting, const struct state *state, struct worker *worker)
{
    if (setting->without & WITHOUT_ORDER)
        worker->row = row_to_pass_on(setting, state, worker->side);
    else
        worker->value = state->value[worker->side];
    worker->pc = APPLY;
}

/* Is a transaction open that holds this side's fence? */
static bool is_held(const struct setting *setting, const struct state *state, int side)
{
    int i;

    for (i = 0; setting->loose && i < MOST_WORKERS; i++)
        if ((state->repairer[i].pc == READ && state->repairer[i].side == side) ||
            (state->copier[i].pc == READ && state->copier[i].side == side))
            return true;
    return false;
}

static void begin_repair_enlisted(const struct setting *setting, const struct state *from,
                                  int number, struct explorer *explorer)
{
    struct state next = *from;
    struct worker *worker = &next.repairer[number];
    int home;

    for (home = 0; home < 2; home++) {
        if (!from->entry[home].doubtful)
            continue;
        next = *from;
        worker->side = (uint8_t)(setting->one_home ? believed_in(from) : home);
        worker->pc = FOUND;
        reach(setting, explorer, &next, "a repair finds the key");
    }
}

/* Does this side still have the place that it was found in? */
static bool is_in_place(const struct setting *setting, const struct state *state, int side)
{
    const struct fv_fence fence = fence_of(state->fence[side]);
    const struct fv_fence other = fence_of(state->fence[1 - side]);

    return (setting->without & WITHOUT_PLACE) ||
           fv_fence_repairs(&fence, setting->one_home ? &other : NULL);
}

/* Whose entry it is: the authority of this home. -1: nobody's, now. */
static int authority_of_home(const struct setting *setting, const struct state *state, int home)
{
    int side = setting->one_home ? believed_in(state) : home;

    return is_in_place(setting, state, side) ? side : -1;
}

static void begin_repair_detached(const struct setting *setting, const struct state *from,
                                  int number, struct explorer *explorer)
{
    struct state next;
    struct fv_entry entry;
    struct fv_entry_operation self;
    int home, side;

    for (home = 0; home < 2; home++) {
        entry = entry_of(from, home);
        side = authority_of_home(setting, from, home);
        if (side < 0 || !fv_entry_repairable(&entry, NOW))
            continue;
        next = *from;
        set_live(&next, OF_REPAIRER + number, true);
        self = operation_of(&next, OF_REPAIRER + number);
        fv_entry_repair(&entry, &self);
        put_entry(&next, home, &entry, FV_ENTRY_STAYS);
        next.repairer[number].pc = READ;
        next.repairer[number].side = (uint8_t)side;
        reach(setting, explorer, &next, "a repair enters");
    }
}

/* May a copy begin, and from which side? -1: no, or it would be for nothing. */
static int side_to_copy(const struct setting *setting, const struct state *state)
{
    int side = authority_in(state);
    struct fv_fence fence;

    if (side < 0)
        return -1;
    fence = fence_of(state->fence[side]);
    if (fence.period == 0 || fv_fence_gate_holds(&fence, state->copied) ||
        somebody_waits(setting, state, side))
        return -1;
    return side;
}

static void begin_copy(const struct setting *setting, const struct state *from, int number,
                       struct explorer *explorer)
{
    int side = side_to_copy(setting, from);
    struct state next = *from;
    struct worker *worker = &next.copier[number];

    if (side < 0)
        return;
    worker->epoch = from->fence[side].epoch;
    worker->side = (uint8_t)side;
    worker->pc = FOUND;
    reach(setting, explorer, &next, "a copy begins");
}

/* The side that it was to go on from, or that one in another epoch, may not be believed any more. */
static void read_for_copy(const struct setting *setting, struct state *next, int number)
{
    struct worker *worker = &next->copier[number];
    const struct fv_fence fence = fence_of(next->fence[worker->side]);
    int self = OF_COPIER + number;

    if (both_enlisted(setting)) {
        if (fv_fence_copies(&fence, worker->epoch) || (setting->without & WITHOUT_PLACE))
            read_row(setting, next, worker, worker->side);
        else
            worker->pc = READY;
    } else if ((next->entry[0].operations | next->entry[1].operations) >> self & 1) {
        return; /* the entry of one that died has another id in truth */
    } else if (fv_fence_owes(&fence) && enter(setting, next, worker->side, self)) {
        worker->pc = READ;
    } else {
        worker->pc = READY;
    }
}

/* What repairs and copies do alike. True when it is over. */
static bool work_on(const struct setting *setting, struct state *next, struct worker *worker,
                    int operation)
{
    bool may = both_enlisted(setting) || may_call(setting, next, operation);

    switch (worker->pc) {
    case READ:
        if (both_enlisted(setting)) {
            read_on(setting, next, worker);
            break;
        }
        worker->value = next->value[worker->side];
        worker->pc = may ? APPLY : LEAVE_FAILED;
        break;
    case APPLY:
        if (both_enlisted(setting))
            apply(setting, next, 1 - worker->side, worker->value, worker->row);
        else if (may)
            next->value[1 - worker->side] = worker->value;
        worker->pc = both_enlisted(setting) ? SETTLE : may ? LEAVE : LEAVE_FAILED;
        break;
    case SETTLE:
        settle(setting, next, worker->side, worker->row);
        worker->pc = READY;
        break;
    case LEAVE:
    case LEAVE_FAILED:
        worker->pc = leave(setting, next, worker->side, operation, worker->pc == LEAVE) ? READY
                                                                                        : DOUBT;
        break;
    case DOUBT:
        if (doubt(setting, next))
            worker->pc = READY;
        break;
    default:
        break;
    }
    return worker->pc == READY;
}

static void step_repairer(const struct setting *setting, const struct state *from, int number,
                          struct explorer *explorer)
{
    struct state next = *from;
    struct worker *worker = &next.repairer[number];

    if (from->repairer[number].pc == READY) {
        if (both_enlisted(setting))
            begin_repair_enlisted(setting, from, number, explorer);
        else
            begin_repair_detached(setting, from, number, explorer);
        return;
    }
    if (worker->pc != FOUND)
        work_on(setting, &next, worker, OF_REPAIRER + number);
    else if (is_in_place(setting, from, worker->side))
        read_row(setting, from, worker, worker->side);
    else
        worker->pc = READY;
    if (memcmp(&next, from, sizeof next) != 0)
        reach(setting, explorer, &next, "a repair goes on");
    if (may_stop(setting)) {
        next = *from;
        next.repairer[number].pc = READY; /* another one takes its place */
        reach(setting, explorer, &next, "a repair stops");
    }
}

static void step_copier(const struct setting *setting, const struct state *from, int number,
                        struct explorer *explorer)
{
    struct state next = *from;
    struct worker *worker = &next.copier[number];

    if (worker->pc == READY) {
        begin_copy(setting, from, number, explorer);
        return;
    }
    if (worker->pc == FOUND)
        read_for_copy(setting, &next, number);
    /* Whoever left with a failure has left the key listed, so it counts as copied. */
    else if (work_on(setting, &next, worker, OF_COPIER + number) && worker->epoch > next.copied)
        next.copied = worker->epoch;
    if (memcmp(&next, from, sizeof next) != 0)
        reach(setting, explorer, &next, "a copy goes on");
    if (may_stop(setting)) {
        next = *from;
        next.copier[number].pc = READY;
        reach(setting, explorer, &next, "a copy stops");
    }
}

/* ---- steps of a flip ---- */

static bool carried_out(const struct setting *setting, const struct state *state)
{
    int side = (int)fv_stage_write(stage_of(setting, state->version)).primary;
    const struct fence_cell *authority = &state->fence[side], *other = &state->fence[1 - side];

    return authority->role == FV_ROLE_AUTHORITY && authority->version == state->version &&
           other->role == FV_ROLE_SECONDARY && other->version == state->version;
}

enum { LOOKING = READ, WAITING = SETTLE, WRITING = APPLY };

/* Stores keep bytes. */
static bool survives_storing(const struct fv_fence *fence)
{
    uint8_t bytes[FV_FENCE_BYTES];
    struct fv_fence stored;

    return fv_fence_decode(bytes, fv_fence_encode(fence, bytes), &stored, NULL) == 0 &&
           fv_fence_equal(&stored, fence);
}

static void decide(const struct setting *setting, const struct state *from, int number,
                   const struct fv_fence fences[2], int version, bool give_up,
                   struct explorer *explorer)
{
    const struct fv_route_wish wish = { .version = (uint64_t)version,
                                        .stage = stage_of(setting, version) };
    struct state next = *from;
    struct stepper *stepper = &next.stepper[number];
    struct fv_step step;
    int r = fv_route_step(fences, &wish, give_up, &step, NULL);

    if (r == FLAGVER_ECORRUPT)
        explore_fault(explorer, "fences that no step leads on from", "a stepper decides");
    if (r < 0 || step.kind == FV_STEP_DONE) {
        if (from->stepper[number].pc == READY)
            return;
        *stepper = (struct stepper){ .pc = READY };
        reach(setting, explorer, &next, "a stepper has nothing to do");
        return;
    }
    if (!survives_storing(&step.write))
        explore_fault(explorer, "a fence is not what was stored", "a stepper decides");
    *stepper = (struct stepper){ .pc = step.kind == FV_STEP_GRANT ? WAITING : WRITING,
                                 .side = (uint8_t)step.side,
                                 .grants = step.kind == FV_STEP_GRANT,
                                 .expect = fence_cell(&step.expect),
                                 .write = fence_cell(&step.write) };
    next.gave_up = (uint8_t)(next.gave_up + give_up);
    reach(setting, explorer, &next, give_up ? "a stepper gives up" : "a stepper decides");
}

/* By any version of the record so far: it may have read it long ago. */
static void decide_all(const struct setting *setting, const struct state *from, int number,
                       const struct fv_fence fences[2], struct explorer *explorer)
{
    int version;

    for (version = 1; version <= from->version; version++) {
        decide(setting, from, number, fences, version, false, explorer);
        if (from->gave_up < setting->gives_up)
            decide(setting, from, number, fences, version, true, explorer);
    }
}

/* The old side's fence, the new side's, and the old side's again. */
static void look_at_fences(const struct setting *setting, const struct state *from, int number,
                           struct explorer *explorer)
{
    struct state next = *from;
    struct stepper *stepper = &next.stepper[number];
    struct fv_fence fences[2];

    if (stepper->pc == READY) {
        if (carried_out(setting, from) && setting->record[from->version].stage == 0)
            return;
        stepper->pc = LOOKING;
        stepper->expect = from->fence[FV_OLD];
    } else if (stepper->side == FV_OLD) {
        stepper->side = FV_NEW;
        stepper->write = from->fence[FV_NEW];
    } else if (same_cell(stepper->expect, from->fence[FV_OLD]) ||
               (setting->without & WITHOUT_MOMENT)) {
        fences[FV_OLD] = fence_of(stepper->expect);
        fences[FV_NEW] = fence_of(stepper->write);
        decide_all(setting, from, number, fences, explorer);
        return;
    } else {
        *stepper = (struct stepper){ .pc = READY };
    }
    reach(setting, explorer, &next, "a stepper looks");
}

static void step_stepper(const struct setting *setting, const struct state *from, int number,
                         struct explorer *explorer)
{
    const struct stepper *was = &from->stepper[number];
    struct state next = *from;
    struct stepper *stepper = &next.stepper[number];
    const struct fv_fence fences[2] = { fence_of(from->fence[0]), fence_of(from->fence[1]) };

    if (was->pc == READY && !setting->from_nothing) {
        decide_all(setting, from, number, fences, explorer);
        return;
    }
    if (was->pc == READY || was->pc == LOOKING) {
        look_at_fences(setting, from, number, explorer);
        return;
    }
    if (was->pc == WAITING) {
        int loser = 1 - was->side;

        if ((!has_entry(from, home_of(setting, loser)) || (setting->without & WITHOUT_DRAIN)) &&
            !somebody_waits(setting, from, loser)) {
            stepper->pc = WRITING;
            reach(setting, explorer, &next, "a stepper finds it drained");
        }
    } else if (is_held(setting, from, was->side)) {
        return;
    } else if (same_cell(from->fence[was->side], was->expect) ||
               (setting->without & WITHOUT_COMPARING)) {
        /* Where only one side was written nothing has come over; others bring it. */
        if (was->grants && from->fence[1 - was->side].period == 0)
            next.truth = from->value[was->side];
        next.fence[was->side] = was->write;
        *stepper = (struct stepper){ .pc = READY };
        reach(setting, explorer, &next, "a stepper writes a fence");
    }
    if (!may_stop(setting) && same_cell(from->fence[was->side], was->expect))
        return;
    next = *from;
    *stepper = (struct stepper){ .pc = READY };
    reach(setting, explorer, &next, "a stepper stops");
}

/* ---- the record, and misfortune ---- */

static void carry_record_on(const struct setting *setting, const struct state *from,
                            struct explorer *explorer)
{
    struct state next = *from;
    const struct wish *wish = &setting->record[from->version];
    int side = authority_in(from);
    struct fv_fence fence;

    if (wish->stage == 0)
        return;
    if (wish->when != ANY_TIME) {
        if (!carried_out(setting, from) || somebody_waits(setting, from, side))
            return;
        fence = fence_of(from->fence[side]);
        if (wish->when == COPIED && !fv_fence_gate_holds(&fence, from->copied))
            return;
    }
    next.version++;
    reach(setting, explorer, &next, "the record is changed");
}

/* The old store loses a commit; whoever notices puts the fence into a new epoch. */
static void forget(const struct setting *setting, const struct state *from,
                   struct explorer *explorer)
{
    struct state next = *from;
    struct fv_fence fences[2] = { fence_of(from->fence[0]), fence_of(from->fence[1]) };

    if (!from->before.held || from->forgot)
        return;
    next.value[FV_OLD] = from->before.value;
    next.row[FV_OLD] = from->before.row;
    next.entry[0] = from->before.entry;
    next.truth = next.value[FV_OLD];
    memset(&next.before, 0, sizeof next.before);
    next.forgot = 1;
    if (!(setting->without & WITHOUT_RENEWAL)) {
        fences[FV_OLD] = fv_fence_renewed(&fences[FV_OLD], &fences[FV_NEW]);
        next.fence[FV_OLD] = fence_cell(&fences[FV_OLD]);
    } else {
        next.copied = 0; /* all is copied again in either case */
    }
    reach(setting, explorer, &next, "the old store forgets a commit");
}

/* ---- the world ---- */

static void step(const void *context, const void *at, struct explorer *explorer)
{
    const struct setting *setting = context;
    const struct state *state = at;
    int i;

    for (i = 0; i < setting->writers; i++)
        step_writer(setting, state, i, explorer);
    for (i = 0; i < setting->repairers; i++)
        step_repairer(setting, state, i, explorer);
    for (i = 0; i < setting->copiers; i++)
        step_copier(setting, state, i, explorer);
    for (i = 0; i < setting->steppers; i++)
        step_stepper(setting, state, i, explorer);
    run_out(setting, state, explorer);
    carry_record_on(setting, state, explorer);
    forget(setting, state, explorer);
}

static const char *fault_at_end(const struct setting *setting, const struct state *state)
{
    int side = authority_in(state), i;
    struct fv_fence fence;

    if (setting->record[state->version].stage != 0 || side < 0 || !carried_out(setting, state))
        return "the record is not carried out";
    for (i = 0; i < setting->writers; i++)
        if (state->writer[i].pc != OVER)
            return "a writer waits for ever";
    if (state->value[side] != state->truth)
        return state->truth == ABSENT ? "deleted data came back" : "a write was lost";

    fence = fence_of(state->fence[side]);
    if (fence.period == 0)
        return NULL;
    if (state->value[FV_OLD] != state->value[FV_NEW])
        return state->value[side] == ABSENT ? "deleted data came back" : "the sides differ";
    if (has_entry(state, 0) || has_entry(state, 1))
        return "a key stays listed";
    if (both_enlisted(setting) &&
        fv_version_compare(fv_version_since(version_of(state->row[FV_OLD]), &fence),
                           fv_version_since(version_of(state->row[FV_NEW]), &fence)) != 0)
        return "the sides are equal, but their versions differ";
    return NULL;
}

/* Who reads from the other side must not miss a write that was acknowledged: where no entry
 * says otherwise, the sides are equal. */
static bool reads_stale(const struct setting *setting, const struct state *state)
{
    int side = believed_in(state);
    struct fv_fence fence;

    if (setting->overruns)
        return false;
    fence = fence_of(state->fence[side]);
    if (setting->copiers > 0 ? !fv_fence_gate_holds(&fence, state->copied) : fence.period == 0)
        return false;
    return !has_entry(state, home_of(setting, side)) &&
           state->value[FV_OLD] != state->value[FV_NEW];
}

static const char *fault(const void *context, const void *at, bool last)
{
    const struct setting *setting = context;
    const struct state *state = at;
    const char *fault_now = NULL;

    if (state->fence[FV_OLD].role == FV_ROLE_AUTHORITY &&
        state->fence[FV_NEW].role == FV_ROLE_AUTHORITY)
        return "both sides are the authority";
    if (last)
        fault_now = fault_at_end(setting, state);
    if (!fault_now && reads_stale(setting, state))
        fault_now = "the sides differ, and no entry says so";
    return fault_now;
}

/* The old side believed, the first version of the record carried out, and nothing to copy. */
static struct state first_state(const struct setting *setting)
{
    struct state state;
    bool both = writes_both(setting->record[0].stage);
    const struct fence_cell fence = { .role = FV_ROLE_AUTHORITY,
                                      .stage = (uint8_t)setting->record[0].stage,
                                      .epoch = 1,
                                      .period = both,
                                      .version = 1 };
    int i;

    memset(&state, 0, sizeof state);
    state.version = 1;
    state.value[FV_OLD] = state.value[FV_NEW] = state.truth = PRESENT | SEED;
    if (setting->copiers > 0 && !setting->found_equal)
        state.value[FV_NEW] = PRESENT | GARBAGE;
    if (setting->from_nothing)
        return state;

    state.fence[FV_OLD] = state.fence[FV_NEW] = fence;
    state.fence[FV_NEW].role = FV_ROLE_SECONDARY;
    for (i = 0; i < setting->writers; i++) {
        state.writer[i].version = 1;
        if (setting->leases)
            state.router[i] =
                (struct router){ .held = 1, .live = 1, .epoch = 1, .version = 1, .fence = fence };
    }
    return state;
}

/* The operations that the setting names, or every choice of them, up to their order. */
static void begin(const void *context, struct explorer *explorer)
{
    const struct setting *setting = context;
    struct state state = first_state(setting);
    int a, b, c;

    for (a = 0; setting->operations && a < setting->writers; a++)
        state.writer[a].operation = (uint8_t)(strchr(operation_letters, setting->operations[a]) -
                                              operation_letters);
    if (setting->operations) {
        reach(setting, explorer, &state, "at first");
        return;
    }
    for (a = 0; a < (setting->writers > 0 ? OPERATIONS : 1); a++)
        for (b = a; b < (setting->writers > 1 ? OPERATIONS : a + 1); b++)
            for (c = b; c < (setting->writers > 2 ? OPERATIONS : b + 1); c++) {
                state.writer[0].operation = (uint8_t)a;
                state.writer[1].operation = (uint8_t)b;
                state.writer[2].operation = (uint8_t)c;
                reach(setting, explorer, &state, "at first");
            }
}

static void print_fence(struct fence_cell fence)
{
    printf("%c%d/%d", "-ASPF"[fence.role], fence.epoch, fence.version);
}

static void print(const void *context, const void *at)
{
    const struct setting *setting = context;
    const struct state *state = at;
    int i;

    for (i = 0; i < 2; i++) {
        printf("%s ", i == 0 ? "old" : "| new");
        print_fence(state->fence[i]);
        printf(" value %02x version %d.%d entry %d.%d%s%02x ", state->value[i], state->row[i].epoch,
               state->row[i].seq, state->entry[i].version.epoch, state->entry[i].version.seq,
               state->entry[i].doubtful ? "?" : " ", state->entry[i].operations);
    }
    printf("| record %d truth %02x |", state->version, state->truth);
    for (i = 0; i < setting->writers; i++)
        printf(" %c%d", operation_letters[state->writer[i].operation], state->writer[i].pc);
}

struct exploration world_explore(const struct setting *setting, const char *wanted, bool verbose)
{
    const struct world world = { .size = sizeof(struct state),
                                 .context = setting,
                                 .step = step,
                                 .fault = fault,
                                 .print = print };

    return explore(&world, begin, wanted, verbose);
}
