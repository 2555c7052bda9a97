#include "model/route.h"

#include "model/packed.h"
#include "util/fail.h"

#define FENCE_FORM 1
#define LEASE_FORM 1

/* ---- fences ---- */

bool fv_fence_equal(const struct fv_fence *a, const struct fv_fence *b)
{
    return a->role == b->role && a->stage == b->stage && a->bound == b->bound &&
           a->epoch == b->epoch && a->period == b->period && a->version == b->version;
}

size_t fv_fence_encode(const struct fv_fence *fence, uint8_t out[FV_FENCE_BYTES])
{
    uint8_t *at = out;

    at = fv_packed_put(at, FENCE_FORM);
    at = fv_packed_put(at, (uint64_t)fence->role);
    at = fv_packed_put(at, (uint64_t)fence->stage);
    at = fv_packed_put(at, fence->bound);
    at = fv_packed_put(at, fence->epoch);
    at = fv_packed_put(at, fence->period);
    at = fv_packed_put(at, fence->version);
    return (size_t)(at - out);
}

int fv_fence_decode(const void *data, size_t length, struct fv_fence *ret_fence, flagver_error *err)
{
    struct fv_packed packed = fv_packed_begin(data, length);
    uint64_t form = fv_packed_get(&packed, FENCE_FORM);
    struct fv_fence fence;

    fence.role = (enum fv_role)fv_packed_get(&packed, FV_ROLE_FROZEN);
    fence.stage = (int)fv_packed_get(&packed, FV_STAGES - 1);
    fence.bound = (uint32_t)fv_packed_get(&packed, FV_READ_SCALE);
    fence.epoch = fv_packed_get(&packed, FV_PACKED_MAX);
    fence.period = fv_packed_get(&packed, FV_PACKED_MAX);
    fence.version = fv_packed_get(&packed, FV_PACKED_MAX);
    if (!fv_packed_end(&packed) || form != FENCE_FORM || fence.role == FV_ROLE_NONE ||
        !fv_stage_name(fence.stage) || fence.epoch == 0)
        return fv_fail(err, FLAGVER_ECORRUPT, "%zu bytes are no fence of form %d", length,
                       FENCE_FORM);

    *ret_fence = fence;
    return 0;
}

enum fv_admission fv_fence_admit(const struct fv_fence *fence, uint64_t version)
{
    if (fence->role == FV_ROLE_FROZEN)
        return FV_ADMIT_WAIT;
    if (fence->role != FV_ROLE_AUTHORITY || fence->version != version)
        return FV_ADMIT_ELSEWHERE;
    return FV_ADMIT_GO;
}

bool fv_fence_gate_holds(const struct fv_fence *authority, uint64_t epoch)
{
    return authority->period > 0 && epoch >= authority->period;
}

bool fv_fence_is_current(const struct fv_fence *authority, uint64_t epoch)
{
    return authority->period > 0 && epoch >= authority->epoch;
}

enum fv_side fv_route_believed(const struct fv_fence fences[2])
{
    enum fv_role of_new = fences[FV_NEW].role;

    if (of_new == FV_ROLE_AUTHORITY)
        return FV_NEW;
    return of_new == FV_ROLE_FROZEN && fences[FV_OLD].role != FV_ROLE_AUTHORITY ? FV_NEW : FV_OLD;
}

bool fv_fence_owes(const struct fv_fence *fence)
{
    return fence->role == FV_ROLE_AUTHORITY && fv_stage_write(fence->stage).both;
}

bool fv_fence_copies(const struct fv_fence *fence, uint64_t epoch)
{
    return fv_fence_owes(fence) && fence->epoch == epoch;
}

bool fv_fence_repairs(const struct fv_fence *fence, const struct fv_fence *other)
{
    return fence->role == FV_ROLE_AUTHORITY ||
           (fence->role == FV_ROLE_FROZEN && !(other && other->role == FV_ROLE_AUTHORITY));
}

static uint64_t next_epoch(const struct fv_fence *a, const struct fv_fence *b)
{
    return (a->epoch > b->epoch ? a->epoch : b->epoch) + 1;
}

struct fv_fence fv_fence_renewed(const struct fv_fence *authority, const struct fv_fence *other)
{
    struct fv_fence renewed = *authority;

    renewed.epoch = next_epoch(authority, other);
    /* The other side may hold what the authority has forgotten: it has to be copied to again. */
    if (renewed.period > 0)
        renewed.period = renewed.epoch;
    return renewed;
}

/* ---- steps ---- */

static enum fv_side believed_in(int stage)
{
    return fv_stage_write(stage).primary;
}

/* `fence`, as it is when it carries out the wish in this epoch, and the one before was `last`. */
static struct fv_fence carrying_out(const struct fv_route_wish *wish, enum fv_role role,
                                    uint64_t epoch, const struct fv_fence *last)
{
    struct fv_fence fence = { .role = role,
                              .stage = wish->stage,
                              .bound = wish->bound,
                              .epoch = epoch,
                              .version = wish->version };

    if (fv_stage_write(wish->stage).both)
        fence.period = last->period > 0 ? last->period : epoch;
    return fence;
}

/* `fence` as a role in an epoch, the rest as it was. */
static struct fv_fence turned(const struct fv_fence *fence, enum fv_role role, uint64_t epoch)
{
    struct fv_fence as = *fence;

    as.role = role;
    as.epoch = epoch;
    return as;
}

static int write_step(struct fv_step *step, enum fv_side side, const struct fv_fence fences[2],
                      struct fv_fence fence)
{
    *step = (struct fv_step){
        .kind = FV_STEP_WRITE, .side = side, .expect = fences[side], .write = fence
    };
    return 0;
}

/*
 * The very first fence: the old side is the authority, whatever is wished. Were it the wish's
 * side, two wishes of different versions could make two authorities.
 */
static int first_fence(const struct fv_fence fences[2], const struct fv_route_wish *wish,
                       struct fv_step *step)
{
    static const struct fv_fence none;
    const struct fv_route_wish off = { .stage = FLAGVER_STAGE_OFF };

    return write_step(step, FV_OLD, fences,
                      carrying_out(believed_in(wish->stage) == FV_OLD ? wish : &off,
                                   FV_ROLE_AUTHORITY, 1, &none));
}

/* Somebody wants `gains` to be the authority, which `loses` is. */
static int begin_flip(const struct fv_fence fences[2], const struct fv_route_wish *wish,
                      enum fv_side gains, struct fv_step *step)
{
    const struct fv_fence *loses = &fences[fv_side_other(gains)];
    struct fv_fence prepared = fences[gains];

    if (prepared.role == FV_ROLE_PREPARED && prepared.epoch > loses->epoch)
        return write_step(step, fv_side_other(gains), fences,
                          turned(loses, FV_ROLE_FROZEN, prepared.epoch));

    /* Its version tells who still goes by an earlier record not to call this flip off. */
    prepared = turned(&prepared, FV_ROLE_PREPARED, next_epoch(&fences[FV_OLD], &fences[FV_NEW]));
    prepared.version = wish->version;
    return write_step(step, gains, fences, prepared);
}

/*
 * `gains` will not be the authority after all: in a new epoch, so that no grant that is on its
 * way finds what it expects; and of the wish's version, so that nobody who still goes by the
 * record before it begins the flip anew.
 */
static int withdraw(const struct fv_fence fences[2], const struct fv_route_wish *wish,
                    enum fv_side gains, struct fv_step *step)
{
    struct fv_fence withdrawn = turned(&fences[gains], FV_ROLE_SECONDARY,
                                       next_epoch(&fences[FV_OLD], &fences[FV_NEW]));

    withdrawn.version = wish->version;
    return write_step(step, gains, fences, withdrawn);
}

/* The other side follows `side`, the authority, which stays that. */
static int keep(const struct fv_fence fences[2], const struct fv_route_wish *wish,
                enum fv_side side, bool give_up, struct fv_step *step)
{
    const struct fv_fence *authority = &fences[side], *other = &fences[fv_side_other(side)];
    struct fv_fence follower = *authority;
    bool was_both = authority->period > 0, both = fv_stage_write(wish->stage).both;

    if (other->role == FV_ROLE_PREPARED)
        return withdraw(fences, wish, fv_side_other(side), step);
    if (give_up && believed_in(wish->stage) != side)
        return 0;

    if (authority->version != wish->version)
        return write_step(
            step, side, fences,
            carrying_out(wish, FV_ROLE_AUTHORITY,
                         was_both != both ? next_epoch(authority, other) : authority->epoch,
                         authority));

    follower.role = FV_ROLE_SECONDARY;
    follower.epoch = other->epoch;
    if (!fv_fence_equal(other, &follower))
        return write_step(step, fv_side_other(side), fences, follower);
    return 0;
}

static int step_of_authority(const struct fv_fence fences[2], const struct fv_route_wish *wish,
                             enum fv_side side, bool give_up, struct fv_step *step)
{
    const struct fv_fence *authority = &fences[side], *other = &fences[fv_side_other(side)];

    /* The grant is behind: what is left of the flip is done first. */
    if (other->role == FV_ROLE_FROZEN) {
        struct fv_fence demoted = turned(authority, FV_ROLE_SECONDARY, other->epoch);

        return write_step(step, fv_side_other(side), fences, demoted);
    }
    if (!give_up && believed_in(wish->stage) != side)
        return begin_flip(fences, wish, fv_side_other(side), step);
    return keep(fences, wish, side, give_up, step);
}

static int step_of_frozen(const struct fv_fence fences[2], const struct fv_route_wish *wish,
                          enum fv_side side, bool give_up, struct fv_step *step)
{
    const struct fv_fence *frozen = &fences[side], *gains = &fences[fv_side_other(side)];

    /*
     * Called off, or about to be. There is no way back from here to PREPARED: whoever has seen
     * this may already be on the way to restore the authority.
     */
    if (gains->role == FV_ROLE_SECONDARY)
        return write_step(step, side, fences,
                          turned(frozen, FV_ROLE_AUTHORITY, next_epoch(frozen, gains)));

    if (give_up || believed_in(wish->stage) == side || gains->epoch != frozen->epoch)
        return withdraw(fences, wish, fv_side_other(side), step);

    write_step(step, fv_side_other(side), fences,
               carrying_out(wish, FV_ROLE_AUTHORITY, gains->epoch, frozen));
    step->kind = FV_STEP_GRANT;
    return 0;
}

static const char *role_name(enum fv_role role)
{
    static const char *const names[] = {
        [FV_ROLE_NONE] = "no fence",       [FV_ROLE_AUTHORITY] = "authority",
        [FV_ROLE_SECONDARY] = "secondary", [FV_ROLE_PREPARED] = "prepared",
        [FV_ROLE_FROZEN] = "frozen",
    };

    return names[role];
}

static int impossible(const struct fv_fence fences[2], flagver_error *err)
{
    return fv_fail(err, FLAGVER_ECORRUPT,
                   "the old side is %s in epoch %llu and the new side %s in epoch %llu, which no "
                   "change of stage leads to; was a store restored or exchanged?",
                   role_name(fences[FV_OLD].role), (unsigned long long)fences[FV_OLD].epoch,
                   role_name(fences[FV_NEW].role), (unsigned long long)fences[FV_NEW].epoch);
}

int fv_route_step(const struct fv_fence fences[2], const struct fv_route_wish *wish, bool give_up,
                  struct fv_step *ret_step, flagver_error *err)
{
    const struct fv_fence *of_old = &fences[FV_OLD], *of_new = &fences[FV_NEW];
    uint64_t version = of_old->version > of_new->version ? of_old->version : of_new->version;
    enum fv_side side;

    if (wish->version < version)
        return fv_fail(err, FLAGVER_ESTALE,
                       "version %llu of the migration is in force, and version %llu was asked for",
                       (unsigned long long)version, (unsigned long long)wish->version);

    *ret_step = (struct fv_step){ .kind = FV_STEP_DONE };
    if (of_old->role == FV_ROLE_NONE && of_new->role == FV_ROLE_NONE)
        return first_fence(fences, wish, ret_step);
    if (of_old->role == FV_ROLE_AUTHORITY && of_new->role == FV_ROLE_NONE)
        return write_step(ret_step, FV_NEW, fences,
                          turned(of_old, FV_ROLE_SECONDARY, of_old->epoch));

    for (side = FV_OLD; side <= FV_NEW; side++) {
        const struct fv_fence *one = &fences[side], *other = &fences[fv_side_other(side)];

        if (one->role == FV_ROLE_AUTHORITY &&
            (other->role == FV_ROLE_SECONDARY || other->role == FV_ROLE_PREPARED ||
             (other->role == FV_ROLE_FROZEN && other->epoch <= one->epoch)))
            return step_of_authority(fences, wish, side, give_up, ret_step);
        if (one->role == FV_ROLE_FROZEN &&
            (other->role == FV_ROLE_SECONDARY || other->role == FV_ROLE_PREPARED))
            return step_of_frozen(fences, wish, side, give_up, ret_step);
    }
    return impossible(fences, err);
}

/* ---- leases ---- */

size_t fv_lease_encode(const struct fv_lease *lease, uint8_t out[FV_LEASE_BYTES])
{
    uint8_t *at = out;

    at = fv_packed_put(at, LEASE_FORM);
    at = fv_packed_put_time(at, lease->until);
    at = fv_packed_put(at, lease->epoch);
    at = fv_packed_put(at, lease->version);
    return (size_t)(at - out);
}

int fv_lease_decode(const void *data, size_t length, struct fv_lease *ret_lease, flagver_error *err)
{
    struct fv_packed packed = fv_packed_begin(data, length);
    uint64_t form = fv_packed_get(&packed, LEASE_FORM);
    struct fv_lease lease;

    lease.until = fv_packed_get_time(&packed);
    lease.epoch = fv_packed_get(&packed, FV_PACKED_MAX);
    lease.version = fv_packed_get(&packed, FV_PACKED_MAX);
    if (!fv_packed_end(&packed) || form != LEASE_FORM)
        return fv_fail(err, FLAGVER_ECORRUPT, "%zu bytes are no lease of form %d", length,
                       LEASE_FORM);

    *ret_lease = lease;
    return 0;
}

struct fv_lease fv_lease_renew(const struct fv_lease *held, const struct fv_fence *fence, bool idle,
                               int64_t until)
{
    struct fv_lease lease = { .until = until, .epoch = fence->epoch, .version = fence->version };

    if (held && !idle) {
        lease.epoch = held->epoch;
        lease.version = held->version;
    }
    return lease;
}

enum fv_admission fv_lease_admit(const struct fv_lease *lease, const struct fv_fence *fence,
                                 uint64_t version, int64_t margin, int64_t now,
                                 int64_t *ret_deadline)
{
    if (lease->until <= now || lease->until - now <= margin)
        return FV_ADMIT_RENEW;

    *ret_deadline = lease->until - margin;
    return fv_fence_admit(fence, version);
}

bool fv_lease_waits(const struct fv_lease *lease, const struct fv_fence *fence, int64_t now)
{
    if (lease->until <= now)
        return false;
    if (lease->epoch != fence->epoch)
        return lease->epoch < fence->epoch;
    return lease->version < fence->version;
}

#define PAST_US 3600000000

bool fv_lease_is_past(const struct fv_lease *lease, int64_t now)
{
    return lease->until <= now - PAST_US;
}
