#define _POSIX_C_SOURCE 200809L /* clock_gettime() */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "codec/json.h"
#include "engine/dataset.h"
#include "util/fail.h"

#define KEY_SHOWN 200

int64_t fv_dataset_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- opening ---- */

static int add_line(struct fv_dataset_writer *writer, flagver_error *err)
{
    struct fv_text *line = &writer->line;
    int r;

    if (line->failed)
        return fv_fail_memory(err);
    fv_digest_add(writer->whole, line->data, line->length);
    r = fv_outfile_add(&writer->file, line->data, line->length, err);
    fv_text_reset(line);
    return r;
}

int fv_dataset_writer_open(struct fv_dataset_writer *writer, const char *path,
                           const struct fv_dataset_head *head, flagver_error *err)
{
    int r;

    *writer = (struct fv_dataset_writer){ .file = FV_OUTFILE_INIT,
                                          .line = FV_TEXT_INIT,
                                          .before = FV_TEXT_INIT,
                                          .crypto = fv_crypto_new() };
    fv_sorter_init(&writer->sorter, path, FV_SORTER_MEMORY);
    writer->whole = writer->crypto ? fv_digest_new(writer->crypto) : NULL;
    writer->one = writer->crypto ? fv_digest_new(writer->crypto) : NULL;
    if (!writer->whole || !writer->one)
        return fv_fail_memory(err);
    fv_digest_start(writer->whole);
    r = fv_outfile_open(&writer->file, path, true, err);
    if (r < 0)
        return r;
    fv_dataset_write_head(&writer->line, head);
    return add_line(writer, err);
}

void fv_dataset_writer_close(struct fv_dataset_writer *writer)
{
    fv_sorter_clear(&writer->sorter);
    fv_outfile_clear(&writer->file);
    fv_text_clear(&writer->line);
    fv_text_clear(&writer->before);
    fv_digest_free(writer->whole);
    fv_digest_free(writer->one);
    fv_crypto_free(writer->crypto);
}

/* ---- records ---- */

static int compare_keys(const struct fv_text *before, const flagver_dataset_record *record)
{
    size_t length = before->length < record->key_length ? before->length : record->key_length;
    int order = memcmp(before->data, record->key, length);

    return order ? order : (before->length > length) - (record->key_length > length);
}

static int refuse_twice(const struct fv_dataset_writer *writer,
                        const flagver_dataset_record *record, flagver_error *err)
{
    const struct fv_dataset_place place = { writer->name, record->line };
    char key[KEY_SHOWN + 1];

    fv_json_shorten(key, KEY_SHOWN, KEY_SHOWN / 2, record->key, record->key_length);
    if (!writer->name)
        return fv_fail(err, FLAGVER_EPARSE, "the key \"%s\" was put twice", key);
    return fv_dataset_refuse(err, &place, 0, "the key \"%s\" stands on line %" PRIu64 " already",
                             key, writer->before_line);
}

/* Nothing comes twice, and what a store gives is in order. */
static int check_order(const struct fv_dataset_writer *writer, const flagver_dataset_record *record,
                       flagver_error *err)
{
    int order = writer->records ? compare_keys(&writer->before, record) : -1;

    if (order < 0)
        return 0;
    if (order == 0)
        return refuse_twice(writer, record, err);
    return fv_fail(err, FLAGVER_ECORRUPT, "the store gives \"%.200s\" behind \"%.200s\"",
                   record->key, writer->before.data);
}

int fv_dataset_writer_put(struct fv_dataset_writer *writer, const flagver_dataset_record *record,
                          flagver_error *err)
{
    uint8_t sha256[32];
    int r = check_order(writer, record, err);

    if (r < 0)
        return r;
    fv_digest_start(writer->one);
    fv_digest_add(writer->one, record->value, record->value_length);
    if (!fv_digest_end(writer->one, sha256))
        return fv_fail_memory(err);
    fv_dataset_write_record(&writer->line, record->key, record->key_length, record->value,
                            record->value_length, sha256);
    r = add_line(writer, err);
    if (r < 0)
        return r;
    fv_text_reset(&writer->before);
    fv_text_add_bytes(&writer->before, record->key, record->key_length);
    writer->before_line = record->line;
    writer->records++;
    return writer->before.failed ? fv_fail_memory(err) : 0;
}

int fv_dataset_writer_collect(struct fv_dataset_writer *writer,
                              const flagver_dataset_record *record, flagver_error *err)
{
    return fv_sorter_add(&writer->sorter, record, err);
}

/* ---- the end ---- */

static int put_sorted(struct fv_dataset_writer *writer, flagver_error *err)
{
    flagver_dataset_record record;
    int r;

    while ((r = fv_sorter_next(&writer->sorter, &record, err)) > 0) {
        r = fv_dataset_writer_put(writer, &record, err);
        if (r < 0)
            return r;
    }
    return r;
}

int fv_dataset_writer_finish(struct fv_dataset_writer *writer, flagver_dataset_saved *ret_saved,
                             flagver_error *err)
{
    flagver_dataset_saved saved = { 0 };
    int r;

    r = put_sorted(writer, err);
    if (r < 0)
        return r;
    saved.records = writer->records;
    if (!fv_digest_end(writer->whole, saved.sha256))
        return fv_fail_memory(err);
    fv_dataset_write_end(&writer->line, saved.records, saved.sha256);
    r = add_line(writer, err);
    if (r == 0)
        r = fv_outfile_complete(&writer->file, err);
    if (r < 0)
        return r;
    saved.bytes = writer->file.written;
    if (ret_saved)
        *ret_saved = saved;
    return 0;
}

/* ---- from elsewhere ---- */

static int put_record(void *data, const flagver_dataset_record *record,
                      const struct fv_schema *schema, flagver_error *err)
{
    (void)schema;
    return fv_dataset_writer_put(data, record, err);
}

static int collect_record(void *data, const flagver_dataset_record *record,
                          const struct fv_schema *schema, flagver_error *err)
{
    (void)schema;
    return fv_dataset_writer_collect(data, record, err);
}

int fv_dataset_save(const struct fv_dataset_source *source, const char *path,
                    flagver_dataset_saved *ret_saved, flagver_error *err)
{
    const struct fv_dataset_head head = { .phase = source->phase,
                                          .prefix = source->prefix,
                                          .time = source->as_of ? source->as_of / 1000
                                                                : fv_dataset_now() };
    struct fv_dataset_writer writer;
    int r;

    r = fv_dataset_writer_open(&writer, path, &head, err);
    writer.name = source->path;
    if (r == 0)
        r = fv_dataset_read(source, source->tenancy ? put_record : collect_record, &writer, err);
    if (r == 0)
        r = fv_dataset_writer_finish(&writer, ret_saved, err);
    fv_dataset_writer_close(&writer);
    return r;
}
