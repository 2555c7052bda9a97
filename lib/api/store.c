#include "flagver/store.h"

#include "api/drivers.h"
#include "engine/copy.h"
#include "engine/doctor.h"
#include "engine/schema.h"
#include "engine/transfer.h"
#include "flagver/driver.h"
#include "util/fail.h"
#include "util/options.h"
#include "util/uri.h"

/* What every call here begins with: the arguments are there, and so are the drivers. */
static int prepare(const char *uri, const char *name, const void *argument, flagver_error *err)
{
    if (!uri || !argument)
        return fv_fail(err, FLAGVER_EINVAL, "%s is NULL", uri ? name : "uri");
    fv_drivers_prepare();
    return 0;
}

int flagver_uri_show(const char *uri, char **ret_text, flagver_error *err)
{
    struct fv_text shown = FV_TEXT_INIT;
    int r = prepare(uri, "ret_text", ret_text, err);

    if (r < 0)
        return r;
    fv_uri_show(&shown, uri);
    return fv_text_give(&shown, ret_text, err);
}

int flagver_schema_version(const char *uri, uint32_t *ret_version, uint32_t *ret_wanted,
                           flagver_error *err)
{
    int r = prepare(uri, "ret_version", ret_version, err);

    if (r == 0)
        r = fv_schema_version(uri, ret_version, err);
    if (r == 0 && ret_wanted)
        *ret_wanted = FLAGVER_SCHEMA_VERSION;
    return r;
}

int flagver_schema_up(const char *uri, flagver_error *err)
{
    int r = prepare(uri, "uri", uri, err);

    return r < 0 ? r : fv_schema_up(uri, err);
}

int flagver_schema_down(const char *uri, uint32_t to, const char *backup, bool no_backup,
                        flagver_error *err)
{
    int r = prepare(uri, "uri", uri, err);

    return r < 0 ? r : fv_schema_down(uri, to, backup, no_backup, err);
}

int flagver_schema_verify(const char *uri, void (*visit)(void *data, bool fine, const char *line),
                          void *data, flagver_error *err)
{
    int r = prepare(uri, "uri", uri, err);

    return r < 0 ? r : fv_schema_verify(uri, visit, data, err);
}

int flagver_store_export(const char *uri, const char *tenant, const char *path, flagver_error *err)
{
    int r = prepare(uri, "path", path, err);

    return r < 0 ? r : fv_export(uri, tenant, path, err);
}

int flagver_store_import(const char *uri, const char *path, flagver_error *err)
{
    int r = prepare(uri, "path", path, err);

    return r < 0 ? r : fv_import(uri, path, err);
}

int flagver_store_copy(const char *from, const char *to, const flagver_copy_options *options,
                       flagver_error *err)
{
    int r = prepare(from, "to", to, err);

    return r < 0 ? r : fv_copy(from, to, options, err);
}

int flagver_store_doctor_with(const char *uri, const flagver_doctor_options *options,
                              void (*visit)(void *data, int finding, const char *line), void *data,
                              flagver_error *err)
{
    flagver_doctor_options given;
    int r = prepare(uri, "uri", uri, err);

    if (r == 0)
        r = fv_options_copy("options", options, &given, sizeof given, err);
    return r < 0 ? r : fv_doctor(uri, &given, visit, data, err);
}

int flagver_store_doctor(const char *uri, void (*visit)(void *data, int finding, const char *line),
                         void *data, flagver_error *err)
{
    return flagver_store_doctor_with(uri, NULL, visit, data, err);
}
