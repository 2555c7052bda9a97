/*
 * The cache file: the flags of a store as they were last seen, so that a process
 * can start without the store, and sooner with it.
 *
 * It is replaced as a whole, and only believed when its checksum is right and,
 * where the store can be asked, when the store's log has the leaf that the file
 * ends with.
 */
#ifndef FV_ENGINE_CACHE_H
#define FV_ENGINE_CACHE_H

#include "engine/feed.h"

/* What the flags in the file are of. */
struct fv_cache_mark {
    const char *uri, *tenant;
    struct fv_log_mark log;
};

/*
 * Read a cache of this store and tenant; the harvest is whole then.
 *
 * @param mark  its log is filled in
 * @return 0, or FLAGVER_EIO, FLAGVER_EPARSE (no such cache, or damaged), FLAGVER_ENOMEM
 */
int fv_cache_read(const char *path, struct fv_cache_mark *mark, struct fv_harvest *harvest,
                  flagver_error *err);

int fv_cache_write(const char *path, const struct fv_cache_mark *mark,
                   const struct fv_harvest *harvest, flagver_error *err);

#endif
