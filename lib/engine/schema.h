/*
 * A store's schema: which version there is, up, down, and whether it is whole.
 */
#ifndef FV_ENGINE_SCHEMA_H
#define FV_ENGINE_SCHEMA_H

#include "flagver/base.h"

/* As the functions of flagver/store.h. */
int fv_schema_version(const char *uri, uint32_t *ret_version, flagver_error *err);
int fv_schema_up(const char *uri, flagver_error *err);
int fv_schema_down(const char *uri, uint32_t to, const char *backup, bool no_backup,
                   flagver_error *err);
int fv_schema_verify(const char *uri, void (*visit)(void *data, bool fine, const char *line),
                     void *data, flagver_error *err);

#endif
