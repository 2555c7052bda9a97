#include "engine/client.h"
#include "engine/history.h"
#include "flagver/version.h"
#include "util/fail.h"

const char *flagver_item_status_name(int32_t status)
{
    switch (status) {
    case FLAGVER_ITEM_PENDING:
        return "pending";
    case FLAGVER_ITEM_APPROVED:
        return "approved";
    case FLAGVER_ITEM_REJECTED:
        return "rejected";
    default:
        return NULL;
    }
}

/* The store that a version is read from, when it can be one. */
static int begin(flagver_client *client, const char *phase, const char *subject, bool has_visit,
                 struct fv_tenancy *ret_tenancy, flagver_error *err)
{
    int r = has_visit ? fv_check_text("phase", phase, FLAGVER_PHASE_LIMIT, err)
                      : fv_fail(err, FLAGVER_EINVAL, "visit is NULL");

    if (r == 0)
        r = fv_check_text("subject", subject, FLAGVER_SUBJECT_LIMIT, err);
    return r < 0 ? r : fv_client_tenancy(client, ret_tenancy, err);
}

int flagver_items_list(flagver_client *client, const char *phase, const char *subject, uint32_t no,
                       bool (*visit)(void *data, const flagver_item *item), void *data,
                       flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    r = begin(client, phase, subject, visit != NULL, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_items(&tenancy, phase, subject, no, visit, data, err);
    fv_store_release(tenancy.store);
    return r;
}

int flagver_votes_list(flagver_client *client, const char *phase, const char *subject, uint32_t no,
                       bool (*visit)(void *data, const flagver_vote *vote), void *data,
                       flagver_error *err)
{
    struct fv_tenancy tenancy;
    int r;

    r = begin(client, phase, subject, visit != NULL, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_history_votes(&tenancy, phase, subject, no, visit, data, err);
    fv_store_release(tenancy.store);
    return r;
}
