/*
 * Copies of a store: export and import. The file is described in docs/store.md, its
 * lines in codec/transfer.h, what makes it sound in engine/examine.h.
 */
#ifndef FV_ENGINE_TRANSFER_H
#define FV_ENGINE_TRANSFER_H

#include "store/store.h"
#include "util/map.h"

/* As flagver_store_export() and flagver_store_import(). */
int fv_export(const char *uri, const char *tenant, const char *path, flagver_error *err);
int fv_import(const char *uri, const char *path, flagver_error *err);

/*
 * Export a store that is open. `replace`: a file that is there is replaced at the end, all
 * at once; otherwise it is FLAGVER_EEXIST. After an error there is no new file.
 */
int fv_export_store(struct fv_store *store, const char *tenant, const char *path, bool replace,
                    flagver_error *err);

/* Is the file a sound and complete export? As fv_import(), which asks this first. */
int fv_export_check(const char *path, flagver_error *err);

/*
 * Adds the names of all tenants that have a series or a leaf, in their order; also the default tenant
 * of which there are but ids.
 */
int fv_tenants_list(struct fv_store *store, struct fv_map *names, flagver_error *err);

#endif
