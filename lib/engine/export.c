#define _POSIX_C_SOURCE 200809L /* stat() */

#include <string.h>
#include <sys/stat.h>

#include "engine/idmap.h"
#include "engine/outfile.h"
#include "engine/rows.h"
#include "engine/transfer.h"
#include "store/sealing.h"
#include "util/fail.h"
#include "util/map.h"

#define DEFAULT_TENANT "default"

/* ---- the file ---- */

struct output {
    struct fv_outfile file;
    struct fv_text line;
    struct fv_digest *digest; /* of all lines so far */
    uint64_t records;
};

/* Replacing the store itself by a file is not what anybody wants. */
static int check_target(const char *uri, const char *path, flagver_error *err)
{
    const char *colon = strchr(uri, ':');
    struct stat target, store;

    if (stat(path, &target) == 0 && colon && stat(colon + 1, &store) == 0 &&
        store.st_dev == target.st_dev && store.st_ino == target.st_ino)
        return fv_fail(err, FLAGVER_EINVAL, "%.500s is the store itself", path);
    return 0;
}

static int open_output(struct output *output, const struct fv_store *store, const char *path,
                       bool replace, flagver_error *err)
{
    int r;

    *output = (struct output){ .file = FV_OUTFILE_INIT, .line = FV_TEXT_INIT };
    output->digest = fv_digest_new(store->crypto);
    if (!output->digest)
        return fv_fail_memory(err);
    fv_digest_start(output->digest);
    r = check_target(store->uri, path, err);
    return r == 0 ? fv_outfile_open(&output->file, path, replace, err) : r;
}

static int put(struct output *output, const struct fv_transfer *line, flagver_error *err)
{
    struct fv_text *text = &output->line;
    int r;

    fv_text_reset(text);
    r = fv_transfer_write(text, line, err);
    if (r < 0)
        return r;
    fv_text_add_char(text, '\n');
    if (text->failed)
        return fv_fail_memory(err);
    fv_digest_add(output->digest, text->data, text->length);
    output->records++;
    return fv_outfile_add(&output->file, text->data, text->length, err);
}

static int put_header(struct output *output, flagver_error *err)
{
    const struct fv_transfer line = { .kind = FV_TRANSFER_HEADER,
                                      .as.header.form = FV_TRANSFER_FORM };
    int r = put(output, &line, err);

    output->records = 0;
    return r;
}

static int put_end(struct output *output, flagver_error *err)
{
    struct fv_transfer line = { .kind = FV_TRANSFER_END, .as.end.records = output->records };

    if (!fv_digest_end(output->digest, line.as.end.sha256))
        return fv_fail_memory(err);
    return put(output, &line, err);
}

static void clear_output(struct output *output)
{
    fv_outfile_clear(&output->file);
    fv_digest_free(output->digest);
    fv_text_clear(&output->line);
}

/* ---- what is in it ---- */

static int put_row(void *data, const struct fv_transfer *line, flagver_error *err)
{
    return put(data, line, err);
}

static int refuse_stray(void *data, const char *words, flagver_error *err)
{
    (void)data;
    return fv_fail(err, FLAGVER_ECORRUPT, "%s", words);
}

static int put_all_series(struct output *output, struct fv_read *read, flagver_error *err)
{
    const struct fv_rows_visitor visitor = { put_row, refuse_stray, output };

    return fv_rows_walk(read, &visitor, err);
}

static int put_keys(struct output *output, struct fv_read *read, flagver_error *err)
{
    const flagver_query keys = { .kind = FLAGVER_QUERY_KEYED, .space = fv_bytes(FV_KEY_SPACE) };
    struct fv_transfer line = { .kind = FV_TRANSFER_KEY };
    flagver_row row;
    int r;

    r = fv_read_scan(read, &keys, err);
    while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0) {
        line.as.key = row.as.keyed;
        r = put(output, &line, err);
    }
    return r;
}

static int put_mappings(struct output *output, struct fv_read *read, flagver_error *err)
{
    const flagver_query mappings = { .kind = FLAGVER_QUERY_KEYED,
                                     .space = fv_idmap_space(FV_IDMAP_OLD) };
    struct fv_transfer line = { .kind = FV_TRANSFER_MAPPING };
    struct fv_idmap_text text;
    flagver_row row;
    int r;

    r = fv_read_scan(read, &mappings, err);
    while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0) {
        r = fv_idmap_read(&row.as.keyed, &text, err);
        line.as.mapping = (struct fv_transfer_mapping){ fv_bytes(text.entity), fv_bytes(text.id),
                                                        fv_bytes(text.other), row.as.keyed.time };
        if (r == 0)
            r = put(output, &line, err);
    }
    return r;
}

static int put_leaves(struct output *output, struct fv_read *read, flagver_error *err)
{
    const flagver_query leaves = { .kind = FLAGVER_QUERY_LEAVES };
    struct fv_transfer line = { .kind = FV_TRANSFER_LEAF };
    flagver_row row;
    int r;

    r = fv_read_scan(read, &leaves, err);
    while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0) {
        line.as.leaf = row.as.leaf;
        r = put(output, &line, err);
    }
    return r;
}

static int put_tenant(struct output *output, struct fv_store *store, const char *tenant,
                      flagver_error *err)
{
    const struct fv_transfer line = { .kind = FV_TRANSFER_TENANT,
                                      .as.tenant.name = fv_bytes(tenant) };
    struct fv_read read;
    int r;

    r = fv_read_begin(&read, store, tenant, err);
    if (r < 0)
        return r;
    read.sealed = true; /* what is encrypted stays so */
    r = put(output, &line, err);
    if (r == 0)
        r = put_keys(output, &read, err);
    if (r == 0)
        r = put_mappings(output, &read, err);
    if (r == 0)
        r = put_all_series(output, &read, err);
    if (r == 0)
        r = put_leaves(output, &read, err);
    fv_read_end(&read);
    return r;
}

/* ---- the whole ---- */

static int has_ids(struct fv_store *store, const char *tenant, bool *ret_ids, flagver_error *err)
{
    struct fv_read read;
    int r = fv_read_begin(&read, store, tenant, err);

    if (r == 0)
        r = fv_idmap_is_there(&read, err);
    fv_read_end(&read);
    *ret_ids = r > 0;
    return r < 0 ? r : 0;
}

static int add_name(struct fv_map *names, flagver_bytes name, flagver_error *err)
{
    return fv_map_add(names, name.data, name.length) == FV_MAP_NONE ? fv_fail_memory(err) : 0;
}

static bool is_behind(flagver_bytes name, const char *other)
{
    size_t length = strlen(other);
    int order = memcmp(name.data, other, name.length < length ? name.length : length);

    return order ? order > 0 : name.length > length;
}

/* No store lists a tenant of whom it has but ids; whether the default one is such is asked for. */
int fv_tenants_list(struct fv_store *store, struct fv_map *names, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_TENANTS };
    struct fv_read read;
    flagver_row row;
    bool missing;
    int r;

    r = has_ids(store, DEFAULT_TENANT, &missing, err);
    if (r == 0)
        r = fv_read_begin(&read, store, NULL, err);
    if (r < 0)
        return r;
    r = fv_read_scan(&read, &query, err);
    while (r >= 0 && (r = fv_read_next(&read, &row, err)) > 0) {
        r = 0;
        if (missing && is_behind(row.as.tenant, DEFAULT_TENANT)) {
            r = add_name(names, fv_bytes(DEFAULT_TENANT), err);
            missing = false;
        }
        if (r == 0)
            r = add_name(names, row.as.tenant, err);
    }
    fv_read_end(&read);
    return r == 0 && missing ? add_name(names, fv_bytes(DEFAULT_TENANT), err) : r;
}

/* Has this tenant anything? */
static int check_tenant(struct fv_store *store, const char *tenant, flagver_error *err)
{
    const flagver_query queries[] = {
        { .kind = FLAGVER_QUERY_SERIES, .limit = 1 },
        { .kind = FLAGVER_QUERY_LEAVES, .limit = 1 },
        { .kind = FLAGVER_QUERY_KEYED, .space = fv_idmap_space(FV_IDMAP_OLD), .limit = 1 }
    };
    struct fv_read read;
    flagver_row row;
    size_t i;
    int r;

    r = fv_read_begin(&read, store, tenant, err);
    if (r < 0)
        return r;
    for (i = 0; r == 0 && i < sizeof queries / sizeof *queries; i++) {
        r = fv_read_scan(&read, &queries[i], err);
        if (r == 0)
            r = fv_read_next(&read, &row, err);
    }
    fv_read_end(&read);
    return r == 0 ? fv_fail(err, FLAGVER_ENOTFOUND, "the store has no tenant \"%s\"", tenant) : r;
}

/* All tenants' names, or only this one's: who names one need not be allowed to see the others. */
static int choose_tenants(struct fv_store *store, const char *only, struct fv_map *names,
                          flagver_error *err)
{
    int r;

    if (!only)
        return fv_tenants_list(store, names, err);
    r = check_tenant(store, only, err);
    if (r < 0)
        return r;
    return fv_map_add(names, only, strlen(only)) == FV_MAP_NONE ? fv_fail_memory(err) : 0;
}

static int put_everything(struct output *output, struct fv_store *store,
                          const struct fv_map *tenants, flagver_error *err)
{
    size_t i;
    int r = put_header(output, err);

    for (i = 0; r == 0 && i < tenants->count; i++)
        r = put_tenant(output, store, tenants->names[i].text, err);
    if (r == 0)
        r = put_end(output, err);
    return r == 0 ? fv_outfile_complete(&output->file, err) : r;
}

static int write_file(struct fv_store *store, const struct fv_map *tenants, const char *path,
                      bool replace, flagver_error *err)
{
    struct output output;
    int r;

    r = open_output(&output, store, path, replace, err);
    if (r == 0)
        r = put_everything(&output, store, tenants, err);
    clear_output(&output);
    return r;
}

int fv_export_store(struct fv_store *store, const char *tenant, const char *path, bool replace,
                    flagver_error *err)
{
    struct fv_map tenants;
    int r;

    fv_map_init(&tenants, NULL);
    r = choose_tenants(store, tenant, &tenants, err);
    if (r == 0)
        r = write_file(store, &tenants, path, replace, err);
    fv_map_clear(&tenants);
    return r;
}

int fv_export(const char *uri, const char *tenant, const char *path, flagver_error *err)
{
    const struct fv_store_options options = { .read_only = true, .no_upgrade = true };
    struct fv_store *store;
    int r = tenant ? fv_check_text("tenant", tenant, FV_TENANT_LIMIT, err) : 0;

    if (r == 0)
        r = fv_store_open(uri, &options, &store, err);
    if (r < 0)
        return r;
    r = fv_export_store(store, tenant, path, true, err);
    fv_store_release(store);
    return r;
}
