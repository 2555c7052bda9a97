#include "codec/records.h"

#include <string.h>

#include "codec/gather.h"
#include "codec/image.h"
#include "codec/json.h"
#include "util/fail.h"

/*
 * The hash of a record, without what its definition asks of the environment: that
 * is mixed in once the text is parsed. Segments show no version.
 */
static uint64_t record_mark(const struct fv_record *record)
{
    uint64_t version = record->is_segment ? 0 : (uint64_t)record->version;

    return fv_hash_mix(fv_hash(record->text, record->length) ^ FV_HASH_C,
                       version * FV_HASH_A ^ FV_HASH_B);
}

/* Malformed is not an error here; that memory is short is one. */
static bool is_malformed(int r)
{
    return r < 0 && r != FLAGVER_ENOMEM;
}

/* ---- flags ---- */

static bool keep_flag(struct fv_gathering *gathering, uint32_t slot, uint64_t mark)
{
    struct fv_flag *present = fv_gather_current_flag(gathering, slot);

    if (!present || present->body->mark != mark)
        return false;
    fv_flag_hold(present);
    fv_gather_put_flag(gathering, slot, present);
    return true;
}

/* `root` is NULL and `r` an error when the text could not be parsed. */
static int compile_flag(struct fv_gathering *gathering, const struct fv_record *record,
                        const json_t *root, int r, uint32_t slot, struct fv_flag **ret_flag)
{
    if (r == 0)
        r = fv_compile_flag(&gathering->compiling, NULL, root, record->key, record->key_length,
                            slot, ret_flag);
    if (is_malformed(r))
        r = fv_compile_malformed_flag(&gathering->compiling, root, record->key, record->key_length,
                                      slot, gathering->reading.err->message, ret_flag);
    return r;
}

static void put_flag(struct fv_gathering *gathering, const struct fv_record *record, uint64_t mark,
                     uint32_t slot, struct fv_flag *flag)
{
    flag->body->mark = mark;
    flag->body->version = record->version;
    fv_gather_put_flag(gathering, slot, flag);
}

static int read_flag(struct fv_gathering *gathering, const struct fv_record *record, uint32_t slot)
{
    uint64_t mark = record_mark(record);
    struct fv_flag *flag;
    json_t *root = NULL;
    int r;

    if (keep_flag(gathering, slot, mark))
        return 0;
    r = fv_image_read(&gathering->compiling, record, slot, &flag);
    if (r != FLAGVER_EPARSE) {
        if (r == 0)
            put_flag(gathering, record, mark, slot, flag);
        return r;
    }
    r = fv_json_parse(record->text, record->length, NULL, &root, gathering->reading.err);
    if (r == 0)
        mark = fv_environment_mark(gathering->source, root, mark);
    if (!keep_flag(gathering, slot, mark)) {
        r = compile_flag(gathering, record, root, r, slot, &flag);
        if (r == 0)
            put_flag(gathering, record, mark, slot, flag);
    }
    json_decref(root);
    return r;
}

/* ---- segments ---- */

static bool keep_segment(struct fv_gathering *gathering, uint32_t slot, uint64_t mark)
{
    struct fv_segment *present = fv_gather_current_segment(gathering, slot);

    if (!present || present->mark != mark)
        return false;
    fv_segment_hold(present);
    fv_gather_put_segment(gathering, slot, present);
    return true;
}

static int compile_segment(struct fv_gathering *gathering, const struct fv_record *record,
                           struct fv_segment **ret_segment)
{
    json_t *root;
    int r;

    r = fv_json_parse(record->text, record->length, NULL, &root, gathering->reading.err);
    if (r == 0) {
        r = fv_compile_segment(&gathering->compiling, NULL, root, record->key, record->key_length,
                               ret_segment);
        json_decref(root);
    }
    if (is_malformed(r))
        r = fv_compile_malformed_segment(&gathering->compiling, record->key, record->key_length,
                                         gathering->reading.err->message, ret_segment);
    return r;
}

static int read_segment(struct fv_gathering *gathering, const struct fv_record *record,
                        uint32_t slot)
{
    uint64_t mark = record_mark(record);
    struct fv_segment *segment;
    int r;

    if (keep_segment(gathering, slot, mark))
        return 0;
    r = compile_segment(gathering, record, &segment);
    if (r < 0)
        return r;
    segment->mark = mark;
    fv_gather_put_segment(gathering, slot, segment);
    return 0;
}

/* ---- records ---- */

static void take_away(struct fv_gathering *gathering, const struct fv_record *record)
{
    const struct fv_definitions_source *source = gathering->source;
    const struct fv_map *names = record->is_segment ? source->segment_names : source->flag_names;
    uint32_t slot = fv_map_find(names, record->key, record->key_length);

    if (record->is_segment && slot < gathering->result->segment_count)
        fv_gather_put_segment(gathering, slot, NULL);
    else if (!record->is_segment && slot < gathering->result->flag_count)
        fv_gather_put_flag(gathering, slot, NULL);
}

static int read_record(struct fv_gathering *gathering, const struct fv_record *record)
{
    uint32_t slot;
    int r;

    if (record->key_length > FV_RECORD_KEY_LIMIT)
        return 0;
    if (!record->text) {
        take_away(gathering, record);
        return 0;
    }

    gathering->reading.text = record->text;
    gathering->reading.length = record->length;
    if (record->is_segment) {
        r = fv_gather_segment_slot(gathering, record->key, record->key_length, &slot);
        return r < 0 ? r : read_segment(gathering, record, slot);
    }
    r = fv_gather_flag_slot(gathering, record->key, record->key_length, &slot);
    return r < 0 ? r : read_flag(gathering, record, slot);
}

static int read_stream(struct fv_gathering *gathering, const struct fv_record_stream *stream,
                       flagver_error *err)
{
    struct fv_record record;
    int r;

    while ((r = stream->next(stream->data, &record, err)) > 0)
        if (read_record(gathering, &record) < 0)
            return fv_fail_memory(err);
    return r;
}

int fv_definitions_from_stream(const struct fv_definitions_source *source,
                               const struct fv_record_stream *stream,
                               struct fv_definitions **ret_definitions, flagver_error *err)
{
    struct fv_gathering gathering;
    flagver_error why;
    int r;

    r = fv_gather_begin(&gathering, source, err);
    gathering.reading.err = &why;
    if (r == 0)
        r = read_stream(&gathering, stream, err);
    if (r == 0 && fv_gather_settle(&gathering, false) < 0)
        r = fv_fail_memory(err);
    return fv_gather_end(&gathering, r, ret_definitions);
}

/* Records that are there already, in turn. */
struct list {
    const struct fv_record *at, *end;
};

static int next_of_list(void *data, struct fv_record *ret_record, flagver_error *err)
{
    struct list *list = data;

    (void)err;
    if (list->at == list->end)
        return 0;
    *ret_record = *list->at++;
    return 1;
}

int fv_definitions_from_records(const struct fv_definitions_source *source,
                                const struct fv_record *records, size_t count,
                                struct fv_definitions **ret_definitions, flagver_error *err)
{
    struct list list = { records, count ? records + count : records };
    const struct fv_record_stream stream = { next_of_list, &list };

    return fv_definitions_from_stream(source, &stream, ret_definitions, err);
}
