/*
 * What drivers over SQL databases share: what a query asks for in numbers, how a store describes
 * itself, and how what is wrong with its schema is said.
 */
#ifndef FV_DRIVER_SQL_H
#define FV_DRIVER_SQL_H

#include "flagver/driver.h"
#include "util/text.h"

bool fv_query_is_of_one_series(const flagver_query *query);

/* Of items, votes and contributors: no series is named by its id. */
bool fv_query_is_of_all_series(const flagver_query *query);

/* Versions that are open are few, and have an index: better than to look at all of many series. */
bool fv_query_wants_open(const flagver_query *query);
int fv_query_lowest_open_state(const flagver_query *query);

/* What each kind makes of its numbers: from where, and how far. */
void fv_query_numbers(const flagver_query *query, int64_t *ret_low, int64_t *ret_high);

/* "name":"value" */
void fv_description_add(struct fv_text *text, const char *name, const char *value);

/* The text as the answer of describe(); it is cleared. */
int fv_description_give(struct fv_text *text, char *buffer, size_t size, flagver_error *err);

/* What schema_verify() says, a line at a time: who hears it, and the line that is being written. */
struct fv_saying {
    void (*found)(void *data, const char *line);
    void (*checked)(void *data, const char *line);
    void *data;
    struct fv_text line;
    bool fine; /* nothing was found in what is being looked at */
};

/* The line is about something wrong, or something that is fine; then it is empty again. */
int fv_say_found(struct fv_saying *saying, flagver_error *err);
int fv_say_fine(struct fv_saying *saying, flagver_error *err);

#endif
