/*
 * Reading records: one version, a list of them, the audit log.
 */
#ifndef FV_ENGINE_HISTORY_H
#define FV_ENGINE_HISTORY_H

#include "flagver/audit.h"
#include "flagver/version.h"
#include "store/store.h"
#include "util/memory.h"

/* Whose records, in which store. */
struct fv_tenancy {
    struct fv_store *store;
    const char *tenant;
};

/*
 * The row as users see it, with texts of its own in the arena: as one whose payload was not asked
 * for when it has none. FLAGVER_ENOMEM.
 */
int fv_version_fill(struct fv_arena *arena, const flagver_version_row *row,
                    flagver_version *ret_version);

/* The same of a row whose payload was asked for, with an owner: freed with flagver_version_free(). */
int fv_version_copy(const flagver_version_row *row, flagver_version **ret_version,
                    flagver_error *err);
void fv_version_free(flagver_version *version);

/*
 * The one version that a query finds, with its payload. `what` names it in the
 * words for FLAGVER_ENOTFOUND. A tombstone is not found where `in_force`.
 */
int fv_history_one(const struct fv_tenancy *tenancy, flagver_query *query, bool in_force,
                   const char *what, flagver_version **ret_version, flagver_error *err);

/* Which of the versions that a query finds. */
struct fv_history_filter {
    bool tombstones;    /* these too */
    const char *author; /* only what this actor has created; NULL: all */
};

/*
 * Visit versions, all from one state of the store. A query with both `after` and `after_no` goes
 * on behind this version of that subject.
 */
int fv_history_visit(const struct fv_tenancy *tenancy, const flagver_query *query,
                     const struct fv_history_filter *filter,
                     bool (*visit)(void *data, const flagver_version *version), void *data,
                     flagver_error *err);

int fv_history_diff(const struct fv_tenancy *tenancy, const char *phase, const char *subject,
                    uint32_t from_no, uint32_t to_no, int form, char **ret_text,
                    flagver_error *err);

/* FLAGVER_ENOTFOUND: there is no such version. */
int fv_history_items(const struct fv_tenancy *tenancy, const char *phase, const char *subject,
                     uint32_t no, bool (*visit)(void *data, const flagver_item *item), void *data,
                     flagver_error *err);
int fv_history_votes(const struct fv_tenancy *tenancy, const char *phase, const char *subject,
                     uint32_t no, bool (*visit)(void *data, const flagver_vote *vote), void *data,
                     flagver_error *err);
int fv_history_authors(const struct fv_tenancy *tenancy, const char *phase, const char *subject,
                       uint32_t no, bool (*visit)(void *data, const char *actor), void *data,
                       flagver_error *err);

int fv_history_log(const struct fv_tenancy *tenancy, uint64_t from, uint32_t limit,
                   bool (*visit)(void *data, const flagver_audit_entry *entry), void *data,
                   uint64_t *ret_next, flagver_error *err);

#endif
