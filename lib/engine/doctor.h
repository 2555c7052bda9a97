/*
 * Is a store fit to be used? One line for each thing that was looked at.
 */
#ifndef FV_ENGINE_DOCTOR_H
#define FV_ENGINE_DOCTOR_H

#include "flagver/store.h"

/* As flagver_store_doctor_with(). */
int fv_doctor(const char *uri, const flagver_doctor_options *options,
              void (*visit)(void *data, int finding, const char *line), void *data,
              flagver_error *err);

#endif
