#include "engine/metrics.h"

#include "model/metric.h"
#include "util/fail.h"

static int count_all(struct fv_read *read, struct fv_metrics *metrics, flagver_error *err)
{
    const flagver_metric_options *options = &metrics->options;
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_ALL,
                                  .phase = fv_bytes(options->phase),
                                  .subject = fv_bytes(options->prefix),
                                  .prefix = options->prefix != NULL };
    flagver_row row;
    int r;

    r = fv_read_scan(read, &query, err);
    if (r < 0)
        return r;
    while ((r = fv_read_next(read, &row, err)) > 0)
        if (!fv_metrics_add(metrics, &row.as.version))
            return fv_fail_memory(err);
    return r;
}

int fv_metrics_read(const struct fv_tenancy *tenancy, const flagver_metric_options *options,
                    void (*visit)(void *data, const flagver_metric_group *group), void *data,
                    flagver_error *err)
{
    struct fv_metrics metrics;
    struct fv_read read;
    int r;

    fv_metrics_init(&metrics, options);
    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = count_all(&read, &metrics, err);
    fv_read_end(&read);
    if (r == 0)
        fv_metrics_visit(&metrics, visit, data);
    fv_metrics_clear(&metrics);
    return r;
}
