/*
 * Records of migrations: one that can be read can be taken to any stage of its preset, and the record
 * that says so can be read again.
 */
#include "codec/migration.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_ranges(const struct fv_migration *migration)
{
    must(fv_stage_in(migration->stage, migration->stages));
    must(migration->bound <= FV_READ_SCALE);
    must(migration->gates.match_rate >= 0 && migration->gates.match_rate <= 1);
    must(migration->gates.soak >= 0);
    must(migration->guards.match_rate >= 0 && migration->guards.match_rate <= 1);
    must(migration->guards.error_rate >= 0 && migration->guards.error_rate <= 1);
    must(migration->guards.p99_ratio == 0 || migration->guards.p99_ratio >= 1);
    must(migration->guards.oldest_ms >= 0);
}

static void try_edit(const char *json, size_t length, const struct fv_migration *before, int stage)
{
    const struct fv_migration_edit edit = { stage, (uint32_t)(stage * 1234),
                                            stage % 2 ? "a reason" : NULL };
    struct fv_text out = FV_TEXT_INIT;
    struct fv_migration after;
    flagver_error err;

    must(fv_migration_edit(json, length, &edit, &out, &err) == 0);
    must(fv_migration_read("users", out.data, out.length, &after, &err) == 0);
    must(after.stage == stage && after.bound == edit.bound && after.forced == (stage % 2 == 1));
    must(after.stages == before->stages && after.salt == before->salt);
    must(after.check_ratio == before->check_ratio && after.gates.soak == before->gates.soak);
    fv_text_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fv_migration migration;
    char *copy = malloc(size + 1);
    flagver_error err;

    must(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    if (fv_migration_read("users", copy, size, &migration, &err) == 0) {
        check_ranges(&migration);
        for (int stage = FLAGVER_STAGE_OFF; stage < FV_STAGES; stage++)
            if (fv_stage_in(stage, migration.stages))
                try_edit(copy, size, &migration, stage);
    } else {
        must(err.code == FLAGVER_EPARSE && err.message[0]);
    }
    free(copy);
    return 0;
}
