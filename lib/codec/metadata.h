/*
 * What the library itself reads in the metadata of flags.
 */
#ifndef FV_CODEC_METADATA_H
#define FV_CODEC_METADATA_H

#include "flagver/base.h"

/*
 * The events that a flag is measured by: its metadata's "events", names with commas between. Others
 * than strings say nothing.
 *
 * @param metadata  canonical JSON
 * @param visit     false: memory is short, and nothing more is visited
 * @return 0 or FLAGVER_ENOMEM
 */
int fv_metadata_events(const char *metadata,
                       bool (*visit)(void *data, const char *event, size_t length), void *data);

#endif
