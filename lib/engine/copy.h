/*
 * Copies straight from one store to another. What is carried over, and how, is in
 * engine/portion.h.
 */
#ifndef FV_ENGINE_COPY_H
#define FV_ENGINE_COPY_H

#include "flagver/store.h"

/* As flagver_store_copy(). */
int fv_copy(const char *from, const char *to, const flagver_copy_options *options,
            flagver_error *err);

#endif
