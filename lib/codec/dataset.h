/*
 * The lines of data sets: snapshot files, and JSON lines of other systems. What a snapshot file
 * is stands in flagver/dataset.h; whether digests are right is looked at elsewhere.
 *
 * Threads: any; nothing is shared.
 */
#ifndef FV_CODEC_DATASET_H
#define FV_CODEC_DATASET_H

#include "flagver/base.h"
#include "util/text.h"

#define FV_DATASET_FORM 1

/* Where a line stands, for messages: "NAME:NUMBER: …", or with a column "NAME:NUMBER:COLUMN: …". */
struct fv_dataset_place {
    const char *name;
    uint64_t number;
};

/* FLAGVER_EPARSE about a line; a column of 0 is none. */
int fv_dataset_refuse(flagver_error *err, const struct fv_dataset_place *place, int32_t column,
                      const char *format, ...) FV_TEXT_FORMAT(4, 5);

/* NULL, or what is wrong with a key: "is 0 bytes; 1 to 1024 allowed". */
#define FV_DATASET_WORDS 96
const char *fv_dataset_key_fault(const char *key, size_t length, char words[FV_DATASET_WORDS]);

/* What a snapshot is of. */
struct fv_dataset_head {
    const char *phase, *prefix; /* NULL: none */
    int64_t time;               /* milliseconds since the epoch */
};

/* Append a line and its end. */
void fv_dataset_write_head(struct fv_text *out, const struct fv_dataset_head *head);
void fv_dataset_write_record(struct fv_text *out, const char *key, size_t key_length,
                             const char *value, size_t value_length, const uint8_t sha256[32]);
void fv_dataset_write_end(struct fv_text *out, uint64_t records, const uint8_t sha256[32]);

/* Does a line look like the first or the last one of a snapshot? */
bool fv_dataset_is_head(const char *text, size_t length);
bool fv_dataset_is_end(const char *text, size_t length);

/* 0, FLAGVER_EPARSE, FLAGVER_ENOMEM; so the next ones. */
int fv_dataset_read_head(const char *text, size_t length, const struct fv_dataset_place *place,
                         flagver_error *err);
int fv_dataset_read_end(const char *text, size_t length, const struct fv_dataset_place *place,
                        uint64_t *ret_records, uint8_t ret_sha256[32], flagver_error *err);

/*
 * A record of a snapshot is cut, not parsed: its value is where it stands in the line.
 *
 * @param key  gets the key in place of what it held
 */
int fv_dataset_read_record(const char *text, size_t length, const struct fv_dataset_place *place,
                           struct fv_text *key, const char **ret_value, size_t *ret_value_length,
                           uint8_t ret_sha256[32], flagver_error *err);

/* A JSON line of any system; `value` gets the value in canonical form in place of what it held. */
int fv_dataset_read_loose(const char *text, size_t length, const struct fv_dataset_place *place,
                          struct fv_text *key, struct fv_text *value, flagver_error *err);

#endif
