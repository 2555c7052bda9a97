/*
 * Differences between the sides of a route as lines of JSON.
 */
#ifndef FV_CODEC_DIFFERENCE_H
#define FV_CODEC_DIFFERENCE_H

#include "flagver/route.h"

/* As flagver_route_difference_json(). */
int fv_difference_json(const flagver_difference *difference, char **ret_json, flagver_error *err);

#endif
