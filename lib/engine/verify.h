/*
 * Verification: is a store, or an export of one, what its audit log says? What is promised is in
 * flagver/audit.h.
 */
#ifndef FV_ENGINE_VERIFY_H
#define FV_ENGINE_VERIFY_H

#include "engine/history.h"

int fv_verify_store(const struct fv_tenancy *tenancy, const flagver_verify_options *options,
                    void (*found)(void *data, const char *line), void *data,
                    flagver_verify_result *ret_result, flagver_error *err);
int fv_verify_file(const char *path, const flagver_verify_options *options,
                   void (*found)(void *data, const char *line), void *data,
                   flagver_verify_result *ret_result, flagver_error *err);

#endif
