#include "flagver/store.h"

#include "engine/doctor.h"
#include "engine/schema.h"
#include "engine/transfer.h"
#include "flagver/driver.h"
#include "util/fail.h"

static int refuse_null(const char *name, flagver_error *err)
{
    return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", name);
}

int flagver_schema_version(const char *uri, uint32_t *ret_version, uint32_t *ret_wanted,
                           flagver_error *err)
{
    int r;

    if (!uri || !ret_version)
        return refuse_null(uri ? "ret_version" : "uri", err);
    r = fv_schema_version(uri, ret_version, err);
    if (r == 0 && ret_wanted)
        *ret_wanted = FLAGVER_SCHEMA_VERSION;
    return r;
}

int flagver_schema_up(const char *uri, flagver_error *err)
{
    return uri ? fv_schema_up(uri, err) : refuse_null("uri", err);
}

int flagver_schema_down(const char *uri, uint32_t to, const char *backup, bool no_backup,
                        flagver_error *err)
{
    return uri ? fv_schema_down(uri, to, backup, no_backup, err) : refuse_null("uri", err);
}

int flagver_schema_verify(const char *uri, void (*visit)(void *data, bool fine, const char *line),
                          void *data, flagver_error *err)
{
    return uri ? fv_schema_verify(uri, visit, data, err) : refuse_null("uri", err);
}

int flagver_store_export(const char *uri, const char *tenant, const char *path, flagver_error *err)
{
    if (!uri || !path)
        return refuse_null(uri ? "path" : "uri", err);
    return fv_export(uri, tenant, path, err);
}

int flagver_store_import(const char *uri, const char *path, flagver_error *err)
{
    if (!uri || !path)
        return refuse_null(uri ? "path" : "uri", err);
    return fv_import(uri, path, err);
}

int flagver_store_doctor(const char *uri, void (*visit)(void *data, int finding, const char *line),
                         void *data, flagver_error *err)
{
    return uri ? fv_doctor(uri, visit, data, err) : refuse_null("uri", err);
}
