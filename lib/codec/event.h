/*
 * Events of routes as LaunchDarkly's `migration_op`.
 */
#ifndef FV_CODEC_EVENT_H
#define FV_CODEC_EVENT_H

#include "flagver/route.h"

/* As flagver_route_event_json(). */
int fv_event_json(const flagver_route_event *event, char **ret_json, flagver_error *err);

/* The whole number that a flag's metadata have under `member`; untouched when there is none. */
void fv_event_ratio(const char *metadata, const char *member, int64_t *ret_ratio);

#endif
