/*
 * Who may write now: fences, the steps that bring them to what a migration's record says, and
 * the leases of routers that no transaction can stop.
 *
 * Each side of a migration has a home: the store that it is enlisted in, or the control store
 * when it is detached. In each home stands the side's fence. The migration's record says what
 * is wished; the fences say what is. Whoever has time, in any process, takes the next step:
 *
 *     look at both fences at one moment (see fv_route_step)
 *     fv_route_step(fences, &wish, give_up, &step, err)
 *     in one transaction on step.side's home, its fence held exclusively:
 *         the fence is still step.expect?  write step.write, commit
 *         it is not:                       somebody was faster; look again
 *
 * A step is one transaction on one home, and what comes next follows from the two fences and
 * the record alone, so it does not matter who took the last one, or who died after it. That
 * two steppers, slow ones among them, never make two authorities rests on one thing: a fence
 * is never again what it once was. Its epoch never falls, and in one epoch it only goes from
 * prepared to authority, or from frozen to secondary.
 *
 * A flip is: PREPARED on the side that gains, FROZEN on the side that loses, the backlog
 * drained, AUTHORITY on the one, SECONDARY on the other. Until the grant it can be called off:
 * PREPARED is withdrawn first, and then the old authority is restored, in a new epoch.
 *
 * Nothing here reads a store or a clock. tests/model/route_checker.c runs this very code
 * through all interleavings of writers, repairs, copies and steps.
 */
#ifndef FV_MODEL_ROUTE_H
#define FV_MODEL_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flagver/base.h"
#include "model/stage.h"

/* ---- fences ---- */

enum fv_role {
    FV_ROLE_NONE,      /* no fence stands there yet */
    FV_ROLE_AUTHORITY, /* its writes count */
    FV_ROLE_SECONDARY, /* it follows */
    FV_ROLE_PREPARED,  /* it will be the authority once the other one is frozen and drained */
    FV_ROLE_FROZEN /* it was the authority; nobody writes until the flip is done or called off */
};

/*
 * `version` is the version of the record that the fence carries out; `stage` and `bound` are
 * what it says. `period` is the epoch since which both sides have been written without a gap,
 * 0 while only one is: what was copied or verified in an earlier period counts no more.
 */
struct fv_fence {
    enum fv_role role;
    int stage;
    uint32_t bound; /* of reads, in 1/FV_READ_SCALE */
    uint64_t epoch, period, version;
};

/* All zeros: what a home without a fence has. */
bool fv_fence_equal(const struct fv_fence *a, const struct fv_fence *b);

#define FV_FENCE_BYTES 40 /* of an encoded fence, at most */

size_t fv_fence_encode(const struct fv_fence *fence, uint8_t out[FV_FENCE_BYTES]);

/* FLAGVER_ECORRUPT: the bytes are no fence; *ret_fence is untouched. */
int fv_fence_decode(const void *data, size_t length, struct fv_fence *ret_fence,
                    flagver_error *err);

enum fv_admission {
    FV_ADMIT_GO,
    FV_ADMIT_ELSEWHERE, /* not here, or not with this plan: look at the fences, start again */
    FV_ADMIT_WAIT,      /* a flip is under way: try again soon */
    FV_ADMIT_RENEW      /* the router's lease has run out: renew it before anything else */
};

/*
 * May a write go on that believes this side to be the authority, and was planned after
 * `version`? Asked in the transaction that writes (enlisted), or that enters the operation in
 * the ledger (detached), with the fence held shared: that is what makes the answer hold until
 * the commit.
 */
enum fv_admission fv_fence_admit(const struct fv_fence *fence, uint64_t version);

/*
 * May a gate that was passed in `epoch` of the authority (0: never) still be relied on? The
 * epoch to note is the one at the beginning of the copying or comparing.
 */
bool fv_fence_gate_holds(const struct fv_fence *authority, uint64_t epoch);

/* The same of what counts only as long as the same side is believed. */
bool fv_fence_is_current(const struct fv_fence *authority, uint64_t epoch);

/*
 * Which side is believed, by fences of one moment: the authority. While there is none the frozen one still
 * is, and before there is any fence the old one.
 */
enum fv_side fv_route_believed(const struct fv_fence fences[2]);

/*
 * Does this side, by its own fence, owe the other one what it has? It is the authority, and both are
 * written: so writes may enter the ledger, and keys be doubted.
 */
bool fv_fence_owes(const struct fv_fence *fence);

/* May a copy go on that was begun from this side in this `epoch` of it? Asked where it is read, as it is held. */
bool fv_fence_copies(const struct fv_fence *fence, uint64_t epoch);

/*
 * May a repair read this side? It is the authority, or the frozen one that has been it, until the other one has
 * got its place; `other` is that one's fence where it is in the same home, or NULL.
 */
bool fv_fence_repairs(const struct fv_fence *fence, const struct fv_fence *other);

/*
 * The fence of an authority that may have forgotten commits that the other side knows of: it
 * was restored from a backup, or failed over to a replica that lagged behind. In a new epoch
 * it cannot give out versions a second time. A store that keeps what it has committed needs
 * this at no opening, however it was closed: the other side is written only after the commit,
 * so it never knows more.
 */
struct fv_fence fv_fence_renewed(const struct fv_fence *authority, const struct fv_fence *other);

/* ---- steps ---- */

/* What the migration's record says. Who is believed and who is written follow from the stage. */
struct fv_route_wish {
    uint64_t version; /* > 0, of the record */
    int stage;
    uint32_t bound;
};

enum fv_step_kind {
    FV_STEP_DONE, /* the fences are as wished */
    FV_STEP_WRITE,
    FV_STEP_GRANT /* a WRITE that has to wait: see fv_route_step */
};

struct fv_step {
    enum fv_step_kind kind;
    enum fv_side side; /* whose fence is written */
    struct fv_fence expect, write;
};

/*
 * The next step from these fences (of FV_OLD and FV_NEW) towards the wish.
 *
 * Both fences must be of one moment. When the homes are two stores: read the old side's, then
 * the new side's, then the old side's again; when it changed, start again. (As no fence comes
 * back, an unchanged one stood there all the time.)
 *
 * GRANT makes step.side the authority and must not be taken before, looked at AFTER the fences,
 *   - the backlog in the home of the other side, the frozen one, is empty, and
 *   - no lease of a router waits: fv_lease_waits(lease, the frozen fence, now).
 * While that is not so, work on the backlog, and take no step.
 *
 * `give_up`: whoever asks has lost patience with a flip. It is called off if it was not granted
 * yet, and the stage before it is restored; a flip that was granted is completed. As long as
 * the record wishes it, anybody who has not given up begins the flip anew: so write a version
 * of the record that goes back.
 *
 * @return 0, or
 *   FLAGVER_ESTALE    the fences carry out a later version than the wish's: read the record again
 *   FLAGVER_ECORRUPT  fences that no steps lead to, for instance two authorities; a restored or
 *                     wrong store is behind it
 */
int fv_route_step(const struct fv_fence fences[2], const struct fv_route_wish *wish, bool give_up,
                  struct fv_step *ret_step, flagver_error *err);

/* ---- leases ---- */

/*
 * What a process may do with detached sides, whose writes no fence of a transaction stops: go
 * by the fence it saw when it last renewed its lease, until the lease runs out. The row is in
 * the authority's home, one a router.
 *
 * `epoch` and `version` are those of the oldest fence that one of its running operations was
 * admitted under, so a lease that has seen a fence proves that nothing older is under way.
 */
struct fv_lease {
    int64_t until; /* microseconds since the epoch; all times here */
    uint64_t epoch, version;
};

#define FV_LEASE_BYTES 32 /* of an encoded lease, at most */

size_t fv_lease_encode(const struct fv_lease *lease, uint8_t out[FV_LEASE_BYTES]);

/* FLAGVER_ECORRUPT: the bytes are no lease; *ret_lease is untouched. */
int fv_lease_decode(const void *data, size_t length, struct fv_lease *ret_lease,
                    flagver_error *err);

/*
 * The lease to write on renewal, in a transaction that holds the fence shared and has read it:
 * from its commit on the router goes by `fence`, and nobody can have passed it by meanwhile.
 * `idle`: no operation is running that was admitted under an earlier fence, not even one whose
 * time is over and whose callback has not come back. `held` is NULL the first time.
 */
struct fv_lease fv_lease_renew(const struct fv_lease *held, const struct fv_fence *fence, bool idle,
                               int64_t until);

/*
 * May an operation begin now that was planned after `version`? `fence` is the one of the last
 * renewal. RENEW: not before the lease is renewed; refuse the write when it cannot be.
 *
 * `margin` is what clocks may differ by. An operation that begins is allowed to call until
 * *ret_deadline, whatever renewals come after; at that time its callbacks must have ended.
 */
enum fv_admission fv_lease_admit(const struct fv_lease *lease, const struct fv_fence *fence,
                                 uint64_t version, int64_t margin, int64_t now,
                                 int64_t *ret_deadline);

/*
 * Must whoever relies on `fence` wait for this router? So must a grant (see above), the next
 * change of stage, and a copy or comparison before it begins. A lease that ran out is not
 * waited for: its router refuses to write.
 */
bool fv_lease_waits(const struct fv_lease *lease, const struct fv_fence *fence, int64_t now);

/*
 * May its row be deleted? It ended so long ago that it has by every clock, so nobody waits for it; and a
 * router that has only slept knows what it had seen, and writes it anew.
 */
bool fv_lease_is_past(const struct fv_lease *lease, int64_t now);

#endif
