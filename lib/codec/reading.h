/*
 * Reading a JSON document into our own structures: where we are in it, what an
 * object may hold, and errors that name the place.
 *
 * jansson's values carry no position. A `struct fv_place` on the stack of each
 * reader knows the way from the root; only an error turns it into a pointer,
 * and the pointer into line and column.
 */
#ifndef FV_CODEC_READING_H
#define FV_CODEC_READING_H

#include <jansson.h>

#include "flagver/base.h"
#include "util/text.h"

struct fv_reading {
    const char *text;
    size_t length;
    const char *name; /* of the file, or NULL */
    flagver_error *err;
};

struct fv_place {
    const struct fv_place *up; /* NULL: the root */
    const char *key;           /* member of an object … */
    size_t index;              /* … or, when key is NULL, of an array */
};

/* The places of members: fv_at_key(here, "rules"), fv_at_index(here, 3). */
#define fv_at_key(place, key_) (&(struct fv_place){ .up = (place), .key = (key_) })
#define fv_at_index(place, index_) (&(struct fv_place){ .up = (place), .index = (index_) })

/* Writes the place as a JSON pointer. */
void fv_place_write(const struct fv_place *place, struct fv_text *pointer);

/* Fills the error of the reading and returns FLAGVER_EPARSE (FLAGVER_ENOMEM when memory is short). */
int fv_refuse(const struct fv_reading *reading, const struct fv_place *place, const char *format,
              ...) FV_TEXT_FORMAT(3, 4);

/* The same about a member's key: column and line of the key, not of its value. */
int fv_refuse_key(const struct fv_reading *reading, const struct fv_place *place,
                  const char *format, ...) FV_TEXT_FORMAT(3, 4);

/*
 * Take an object apart: values[i] is the member called names[i], or NULL.
 * Anything but an object, and members of other names, are refused.
 */
int fv_read_fields(const struct fv_reading *reading, const struct fv_place *place,
                   const json_t *value, const char *const *names, size_t count, json_t **values);

/* Checks of one value; `what` begins the message: "percentage". */
int fv_read_bool(const struct fv_reading *reading, const struct fv_place *place,
                 const json_t *value, bool *ret_value);
int fv_expect_string(const struct fv_reading *reading, const struct fv_place *place,
                     const json_t *value);
int fv_expect_array(const struct fv_reading *reading, const struct fv_place *place,
                    const json_t *value, bool may_be_empty);
int fv_expect_object(const struct fv_reading *reading, const struct fv_place *place,
                     const json_t *value);

/* A name: 1 to `limit` bytes of UTF-8 without control characters. `what`: "flag key". */
int fv_expect_name(const struct fv_reading *reading, const struct fv_place *place, const char *name,
                   size_t length, size_t limit, const char *what);

/*
 * 0 to 100 with at most three decimals, as a threshold of FV_SCALE. False for any
 * other number; `words` then say what is wrong with it.
 */
#define FV_PERCENTAGE_WORDS 80
bool fv_percentage_check(double percentage, uint32_t *ret_threshold,
                         char words[FV_PERCENTAGE_WORDS]);
int fv_read_percentage(const struct fv_reading *reading, const struct fv_place *place,
                       const json_t *value, uint32_t *ret_threshold);

/* An RFC 3339 text as milliseconds since the epoch. */
int fv_read_datetime(const struct fv_reading *reading, const struct fv_place *place,
                     const json_t *value, int64_t *ret_ms);

/* "an object", "a string", "an integer" …, for messages. */
const char *fv_json_kind(const json_t *value);

/* A hash of a value and all in it. */
uint64_t fv_json_hash(const json_t *value, uint64_t state);

#endif
