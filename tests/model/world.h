/*
 * A small world that the routing protocol is tried in: one key on two sides, a few writers, and
 * those who repair, copy and take the steps of a flip. What may happen in one transaction, or
 * in one call of a side, is one step; everybody may stop for good after any of his own. All that
 * is decided is decided by lib/model: here are only the stores, and who does what when.
 */
#ifndef FLAGVER_TESTS_MODEL_WORLD_H
#define FLAGVER_TESTS_MODEL_WORLD_H

#include "explore.h"
#include "model/ledger.h"

/* What the world leaves out to see that it is needed. The library has no such switches. */
enum {
    WITHOUT_GUARD = 1,        /* the other side takes every version */
    WITHOUT_FENCE = 2,        /* looked at before the transaction that writes, not in it */
    WITHOUT_DRAIN = 4,        /* a grant does not wait for the backlog */
    WITHOUT_TOMBSTONE = 8,    /* deleting deletes the key's row on the other side, too */
    WITHOUT_OVERLAP = 16,     /* who enters does not mind who is at it already */
    WITHOUT_DEADLINE = 32,    /* an operation calls a side though its time is over */
    WITHOUT_LEASE = 64,       /* a router writes though its lease is over */
    WITHOUT_WAITING = 128,    /* nobody waits for the leases of others */
    WITHOUT_COMPARING = 256,  /* a step does not look whether the fence is still the expected one */
    WITHOUT_RENEWAL = 512,    /* an authority that has forgotten a commit goes on in its epoch */
    WITHOUT_PERIOD = 1024,    /* copies have the version that the key's row has */
    WITHOUT_ADMISSION = 2048, /* a doubt after a late leave goes where the entry was */
    WITHOUT_ORDER = 8192,     /* the version of what is passed on is read after it */
    WITHOUT_MOMENT = 4096,    /* the fences that are decided by are not of one moment */
    WITHOUT_VERSION = 32768,  /* a write of one side alone leaves no version behind */
    WITHOUT_PLACE = 16384     /* who reads does not look whether its side is still believed */
};

/* When a version of the record may be written: after the one before it, at any time; once that
 * one is carried out; or once everything has been copied as well. */
enum when { ANY_TIME, CARRIED_OUT, COPIED };

struct wish {
    int stage;
    enum when when;
};

#define MOST_WRITERS 3
#define MOST_WORKERS 2
#define MOST_STEPPERS 3

struct setting {
    const char *name;
    bool enlisted[2]; /* the old side, the new side */
    bool one_home;
    bool loose; /* what a transaction reads is not of one moment */
    int writers, repairers, copiers, steppers;
    const char *operations; /* one a writer: Put, Modify, Delete; NULL: every choice of them */
    struct wish record[8];  /* its versions, from 1 on; ends with stage 0 */
    bool leases;            /* of the writers' routers */
    bool from_nothing;      /* without fences, looked at one after the other */
    bool found_equal;       /* by a comparison: a flip does not wait for copies */
    bool forgets;           /* the old store loses its last commit once */
    int gives_up;           /* so many times a stepper loses patience */
    bool calm;              /* nobody stops, nothing fails, and only leases of routers run out */
    bool overruns;          /* callbacks may come back after their time; nobody stops */
    unsigned without;
};

/* As explore(). */
struct exploration world_explore(const struct setting *setting, const char *wanted, bool verbose);

#endif
