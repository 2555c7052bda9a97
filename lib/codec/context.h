/*
 * Contexts from JSON.
 */
#ifndef FV_CODEC_CONTEXT_H
#define FV_CODEC_CONTEXT_H

#include "model/context.h"

/* What flagver_context_from_json() does. */
int fv_context_read(const char *json, size_t length, flagver_context **ret_context,
                    flagver_error *err);

#endif
