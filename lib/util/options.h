/*
 * Structs of options that callers fill: `size` first, members added at the end
 * by later versions, zero for the default.
 */
#ifndef FV_UTIL_OPTIONS_H
#define FV_UTIL_OPTIONS_H

#include "flagver/base.h"

/*
 * Copy a caller's struct into one of ours: what the caller's version does not
 * have is zero; what ours does not have must be. `size` is then that of ours.
 *
 * @param what     for messages: "options"
 * @param options  NULL: all defaults
 * @return 0 or FLAGVER_EINVAL
 */
int fv_options_copy(const char *what, const void *options, void *ret_options, size_t known,
                    flagver_error *err);

#endif
