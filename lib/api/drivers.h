/*
 * The drivers that the library brings along.
 */
#ifndef FV_API_DRIVERS_H
#define FV_API_DRIVERS_H

/* Makes them known; to be called by whatever takes a URI. */
void fv_drivers_prepare(void);

#endif
