/*
 * Data sets: reading records from wherever they are, snapshot files, comparison, audit. What they
 * mean is in flagver/dataset.h.
 */
#ifndef FV_ENGINE_DATASET_H
#define FV_ENGINE_DATASET_H

#include "codec/dataset.h"
#include "codec/dataset_compare.h"
#include "crypto/crypto.h"
#include "engine/dataset_sort.h"
#include "engine/history.h"
#include "engine/lines.h"
#include "engine/outfile.h"
#include "flagver/dataset.h"

struct fv_schema;

/* ---- reading ---- */

/* A phase, or a file. */
struct fv_dataset_source {
    const struct fv_tenancy *tenancy; /* NULL: a file */
    const char *phase, *prefix;
    int64_t as_of;
    const char *path;
};

/* `schema` is what the policy for the record asks of it, or NULL. 1: enough. */
typedef int fv_dataset_take(void *data, const flagver_dataset_record *record,
                            const struct fv_schema *schema, flagver_error *err);

/* As flagver_dataset_read(). */
int fv_dataset_read(const struct fv_dataset_source *source, fv_dataset_take *take, void *data,
                    flagver_error *err);

/* Snapshot files, record by record. */
struct fv_dataset_reader {
    struct fv_lines lines;
    struct fv_dataset_place place; /* of the line that was read last */
    struct fv_digest *whole, *one;
    struct fv_text key, before; /* of this record, and of the one before */
    struct fv_text value;
    uint64_t records;
    bool ended;
};

/* To be closed in any case. The digests of one crypto may serve any number of readers. */
int fv_dataset_reader_open(struct fv_dataset_reader *reader, struct fv_crypto *crypto,
                           const char *path, flagver_error *err);
void fv_dataset_reader_close(struct fv_dataset_reader *reader);

/* 1; 0 when all was read and found right; an error. The record is borrowed until the next call. */
int fv_dataset_reader_next(struct fv_dataset_reader *reader, flagver_dataset_record *ret_record,
                           flagver_error *err);

/* ---- writing ---- */

/* A snapshot file that is being written. */
struct fv_dataset_writer {
    struct fv_crypto *crypto;
    struct fv_digest *whole, *one;
    struct fv_outfile file;
    struct fv_text line;
    struct fv_text before; /* the key that came last */
    uint64_t before_line;
    uint64_t records;
    const char *name; /* where the records come from, for messages; NULL: from a caller */
    struct fv_sorter sorter;
};

/* `path` is borrowed. To be closed in any case; without finish there is no file. */
int fv_dataset_writer_open(struct fv_dataset_writer *writer, const char *path,
                           const struct fv_dataset_head *head, flagver_error *err);
void fv_dataset_writer_close(struct fv_dataset_writer *writer);

/* In order of the keys; or in any, and they are sorted at the end. The value is canonical. */
int fv_dataset_writer_put(struct fv_dataset_writer *writer, const flagver_dataset_record *record,
                          flagver_error *err);
int fv_dataset_writer_collect(struct fv_dataset_writer *writer,
                              const flagver_dataset_record *record, flagver_error *err);
int fv_dataset_writer_finish(struct fv_dataset_writer *writer, flagver_dataset_saved *ret_saved,
                             flagver_error *err);

/* Milliseconds since the epoch. */
int64_t fv_dataset_now(void);

/* As flagver_dataset_save(). */
int fv_dataset_save(const struct fv_dataset_source *source, const char *path,
                    flagver_dataset_saved *ret_saved, flagver_error *err);

/* ---- comparing, looking over ---- */

int fv_dataset_compare(const char *before, const char *after, const struct fv_dataset_judge *judge,
                       bool (*visit)(void *data, const flagver_dataset_difference *difference),
                       void *data, flagver_dataset_comparison *ret_result, flagver_error *err);

int fv_dataset_audit(const struct fv_dataset_source *source, const struct fv_field_rule *rules,
                     size_t rule_count,
                     void (*visit)(void *data, const flagver_dataset_field *field), void *data,
                     flagver_dataset_health *ret_health, flagver_error *err);

#endif
