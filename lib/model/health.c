#include "model/health.h"

/* In halves, and as doubles: counts times 100 may be beyond 64 bits. */
uint32_t fv_health_of_field(const struct fv_field_health *field)
{
    double places = 2 * ((double)field->count + (double)field->missing);
    double bad = 2 * ((double)field->invalid + (double)field->odd) + (double)field->nulls +
                 (double)field->empty + (double)field->missing;

    if (!(places > 0))
        return 100;
    return bad < places ? (uint32_t)(100 * (places - bad) / places) : 0;
}

uint32_t fv_health_of_all(uint64_t score_sum, uint64_t fields, uint64_t records, uint64_t misfits)
{
    double mean = fields ? (double)score_sum / (double)fields : 100;

    if (!records)
        return 0;
    return (uint32_t)(mean * (double)(records - misfits) / (double)records);
}
