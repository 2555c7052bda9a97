/*
 * Migrations, as their records say them:
 *
 *     {"stage": "off", "percentage": 0, "stages": 8, "salt": "users", "check_ratio": 1,
 *      "sampling_ratio": 1, "gates": {"match_rate": 99, "samples": 300, "soak_s": 0},
 *      "guards": {"match_rate": 99, "error_rate": 1, "p99_ratio": 1.2, "oldest_s": 300,
 *                 "samples": 1000},
 *      "forced": "why the gates do not matter"}
 */
#ifndef FV_CODEC_MIGRATION_H
#define FV_CODEC_MIGRATION_H

#include <stdbool.h>

#include "flagver/base.h"
#include "flagver/route.h"
#include "model/gate.h"
#include "model/guard.h"
#include "util/text.h"

struct fv_migration {
    int stage;
    uint32_t bound; /* of reads in `ramp`, in 1/FV_READ_SCALE */
    uint32_t stages;
    uint32_t check_ratio, sampling_ratio; /* 0: never */
    bool has_check_ratio, has_sampling_ratio;
    struct fv_gate_limits gates;
    struct fv_guard_limits guards; /* none where the record says none */
    bool forced;
    uint32_t salt; /* a hash of it, with the name where there is none */
};

/*
 * @param name  of the migration
 * @return 0, FLAGVER_EPARSE with line and column, FLAGVER_ENOMEM
 */
int fv_migration_read(const char *name, const char *json, size_t length,
                      struct fv_migration *ret_migration, flagver_error *err);

/* What a new version of the record is to say differently. */
struct fv_migration_edit {
    int stage;
    uint32_t bound;
    const char *forced; /* NULL: not */
};

/* Appends the record with these changes, in canonical form; `json` was read before. */
int fv_migration_edit(const char *json, size_t length, const struct fv_migration_edit *edit,
                      struct fv_text *out, flagver_error *err);

#endif
