/*
 * What verification finds: a line each, for people.
 */
#ifndef FV_ENGINE_FINDING_H
#define FV_ENGINE_FINDING_H

#include <stdint.h>

#include "util/text.h"

struct fv_findings {
    void (*found)(void *data, const char *line); /* or NULL */
    void *data;
    const char *tenant; /* named in front of each line; or NULL */
    uint64_t count;
};

/* One line, whatever is in the texts; what is too long is cut. */
void fv_found(struct fv_findings *findings, const char *format, ...) FV_TEXT_FORMAT(2, 3);

#endif
