#include "flagver/metric.h"

#include "engine/client.h"
#include "engine/metrics.h"
#include "flagver/version.h"
#include "util/fail.h"
#include "util/options.h"

static int read_options(const flagver_metric_options *options, flagver_metric_options *ret_options,
                        flagver_error *err)
{
    int r = fv_options_copy("options", options, ret_options, sizeof *ret_options, err);

    if (r == 0 && ret_options->phase)
        r = fv_check_text("options.phase", ret_options->phase, FLAGVER_PHASE_LIMIT, err);
    if (r == 0 && ret_options->parts < 0)
        return fv_fail(err, FLAGVER_EINVAL, "options.parts is %d; 0 or more allowed",
                       (int)ret_options->parts);
    return r;
}

int flagver_version_metrics(flagver_client *client, const flagver_metric_options *options,
                            void (*visit)(void *data, const flagver_metric_group *group),
                            void *data, flagver_error *err)
{
    flagver_metric_options asked;
    struct fv_tenancy tenancy;
    int r;

    if (!visit)
        return fv_fail(err, FLAGVER_EINVAL, "visit is NULL");
    r = read_options(options, &asked, err);
    if (r == 0)
        r = fv_client_tenancy(client, &tenancy, err);
    if (r < 0)
        return r;
    r = fv_metrics_read(&tenancy, &asked, visit, data, err);
    fv_store_release(tenancy.store);
    return r;
}
