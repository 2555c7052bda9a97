#include <inttypes.h>
#include <string.h>

#include "codec/payload.h"
#include "engine/dataset.h"
#include "engine/policies.h"
#include "util/fail.h"

/* ---- snapshot files ---- */

int fv_dataset_reader_open(struct fv_dataset_reader *reader, struct fv_crypto *crypto,
                           const char *path, flagver_error *err)
{
    int r;

    *reader = (struct fv_dataset_reader){
        .place = { path, 0 }, .key = FV_TEXT_INIT, .before = FV_TEXT_INIT, .value = FV_TEXT_INIT
    };
    reader->lines.file = -1;
    reader->whole = fv_digest_new(crypto);
    reader->one = fv_digest_new(crypto);
    if (!reader->whole || !reader->one)
        return fv_fail_memory(err);
    fv_digest_start(reader->whole);
    r = fv_lines_open_once(&reader->lines, path, FLAGVER_DATASET_LINE_LIMIT, err);
    if (r < 0)
        reader->lines.file = -1;
    return r;
}

void fv_dataset_reader_close(struct fv_dataset_reader *reader)
{
    if (reader->lines.file >= 0)
        fv_lines_close(&reader->lines);
    fv_digest_free(reader->whole);
    fv_digest_free(reader->one);
    fv_text_clear(&reader->key);
    fv_text_clear(&reader->before);
    fv_text_clear(&reader->value);
}

static int refuse(const struct fv_dataset_reader *reader, const char *words, flagver_error *err)
{
    return fv_dataset_refuse(err, &reader->place, 0, "%s", words);
}

/* The next line, which is part of the file as it was written. 0: there is none. */
static int next_line(struct fv_dataset_reader *reader, const char **ret_text, size_t *ret_length,
                     flagver_error *err)
{
    int r = fv_lines_next(&reader->lines, ret_text, ret_length, err);

    reader->place.number = r == 0 ? reader->lines.number + 1 : reader->lines.number;
    if (r > 0 && reader->lines.unended)
        return refuse(reader, "the file ends inside this line", err);
    return r;
}

static void add_to_whole(struct fv_dataset_reader *reader, const char *text, size_t length)
{
    fv_digest_add(reader->whole, text, length);
    fv_digest_add(reader->whole, "\n", 1);
}

static int read_head(struct fv_dataset_reader *reader, const char *text, size_t length,
                     flagver_error *err)
{
    if (!fv_dataset_is_head(text, length))
        return refuse(reader, "is not the first line of a snapshot file", err);
    add_to_whole(reader, text, length);
    return fv_dataset_read_head(text, length, &reader->place, err);
}

/* The line is the last one, and as the ones before want it. */
static int check_end(struct fv_dataset_reader *reader, const char *text, size_t length,
                     flagver_error *err)
{
    uint8_t said[FV_DIGEST_SIZE], sha256[FV_DIGEST_SIZE];
    uint64_t records;
    int r;

    r = fv_dataset_read_end(text, length, &reader->place, &records, said, err);
    if (r < 0)
        return r;
    if (!fv_digest_end(reader->whole, sha256))
        return fv_fail_memory(err);
    if (records != reader->records)
        return fv_dataset_refuse(err, &reader->place, 0,
                                 "says %" PRIu64 " records; %" PRIu64 " are there", records,
                                 reader->records);
    if (memcmp(said, sha256, sizeof said) != 0)
        return refuse(reader, "the sha256 is not that of the lines before: one was changed", err);
    r = next_line(reader, &text, &length, err);
    if (r > 0)
        return refuse(reader, "stands behind the last line of the snapshot", err);
    reader->ended = r == 0;
    return r;
}

static int check_order(struct fv_dataset_reader *reader, flagver_error *err)
{
    const struct fv_text *key = &reader->key, *before = &reader->before;
    size_t length = key->length < before->length ? key->length : before->length;
    int order = memcmp(before->data, key->data, length);

    if (reader->records && (order > 0 || (order == 0 && before->length >= key->length)))
        return refuse(reader, "the key is not behind that of the line before", err);
    return 0;
}

/* Canonical, and what its digest is of. The line's text may not end where the value does. */
static int take_value(struct fv_dataset_reader *reader, const char *value, size_t length,
                      const uint8_t said[FV_DIGEST_SIZE], flagver_error *err)
{
    uint8_t sha256[FV_DIGEST_SIZE];

    fv_digest_start(reader->one);
    fv_digest_add(reader->one, value, length);
    if (!fv_digest_end(reader->one, sha256))
        return fv_fail_memory(err);
    if (memcmp(said, sha256, sizeof sha256) != 0)
        return refuse(reader, "the value is not what its sha256 is of", err);
    fv_text_reset(&reader->value);
    if (fv_payload_canonical(value, length, &reader->value, NULL) == FLAGVER_ENOMEM)
        return fv_fail_memory(err);
    if (reader->value.length != length || memcmp(reader->value.data, value, length) != 0)
        return refuse(reader, "the value is not canonical JSON", err);
    return 0;
}

static int read_record(struct fv_dataset_reader *reader, const char *text, size_t length,
                       flagver_dataset_record *ret_record, flagver_error *err)
{
    const struct fv_text other = reader->before;
    uint8_t said[FV_DIGEST_SIZE];
    const char *value;
    size_t value_length;
    int r;

    reader->before = reader->key;
    reader->key = other;
    r = fv_dataset_read_record(text, length, &reader->place, &reader->key, &value, &value_length,
                               said, err);
    if (r == 0)
        r = check_order(reader, err);
    if (r == 0)
        r = take_value(reader, value, value_length, said, err);
    if (r < 0)
        return r;
    add_to_whole(reader, text, length);
    reader->records++;
    *ret_record = (flagver_dataset_record){ .key = reader->key.data,
                                            .key_length = reader->key.length,
                                            .value = reader->value.data,
                                            .value_length = reader->value.length,
                                            .line = reader->place.number };
    return 1;
}

int fv_dataset_reader_next(struct fv_dataset_reader *reader, flagver_dataset_record *ret_record,
                           flagver_error *err)
{
    const char *text;
    size_t length;
    int r;

    if (reader->ended)
        return 0;
    r = next_line(reader, &text, &length, err);
    if (r > 0 && reader->place.number == 1) {
        r = read_head(reader, text, length, err);
        if (r == 0)
            r = next_line(reader, &text, &length, err);
    }
    if (r < 0)
        return r;
    if (r == 0)
        return refuse(reader, "the file ends without the last line of a snapshot", err);
    if (fv_dataset_is_end(text, length))
        return check_end(reader, text, length, err);
    return read_record(reader, text, length, ret_record, err);
}

/* ---- files of either kind ---- */

struct taking {
    fv_dataset_take *take;
    void *data;
};

static bool is_blank(const char *text, size_t length)
{
    while (length &&
           (text[length - 1] == ' ' || text[length - 1] == '\t' || text[length - 1] == '\r'))
        length--;
    return !length;
}

static int take_loose(struct fv_dataset_reader *reader, const char *text, size_t length,
                      const struct taking *taking, flagver_error *err)
{
    flagver_dataset_record record;
    int r;

    reader->place.number = reader->lines.number;
    r = fv_dataset_read_loose(text, length, &reader->place, &reader->key, &reader->value, err);
    if (r < 0)
        return r;
    record = (flagver_dataset_record){ .key = reader->key.data,
                                       .key_length = reader->key.length,
                                       .value = reader->value.data,
                                       .value_length = reader->value.length,
                                       .line = reader->place.number };
    return taking->take(taking->data, &record, NULL, err);
}

/* From the line on that was read already. */
static int walk_loose(struct fv_dataset_reader *reader, const char *text, size_t length,
                      const struct taking *taking, flagver_error *err)
{
    int r;

    do {
        r = is_blank(text, length) ? 0 : take_loose(reader, text, length, taking, err);
        if (r)
            return r < 0 ? r : 0;
        r = fv_lines_next(&reader->lines, &text, &length, err);
    } while (r > 0);
    return r;
}

/* Likewise. */
static int walk_snapshot(struct fv_dataset_reader *reader, const char *text, size_t length,
                         const struct taking *taking, flagver_error *err)
{
    flagver_dataset_record record;
    int r;

    reader->place.number = 1;
    if (reader->lines.unended)
        return refuse(reader, "the file ends inside this line", err);
    r = read_head(reader, text, length, err);
    while (r == 0 && (r = fv_dataset_reader_next(reader, &record, err)) > 0)
        r = taking->take(taking->data, &record, NULL, err);
    return r < 0 ? r : 0;
}

/* Nothing at all is a file of no JSON lines. */
static int walk_file(struct fv_dataset_reader *reader, const struct taking *taking,
                     flagver_error *err)
{
    const char *text;
    size_t length;
    int r;

    r = fv_lines_next(&reader->lines, &text, &length, err);
    if (r <= 0)
        return r;
    if (fv_dataset_is_head(text, length))
        return walk_snapshot(reader, text, length, taking, err);
    return walk_loose(reader, text, length, taking, err);
}

static int read_file(const char *path, const struct taking *taking, flagver_error *err)
{
    struct fv_crypto *crypto = fv_crypto_new();
    struct fv_dataset_reader reader;
    int r;

    if (!crypto)
        return fv_fail_memory(err);
    r = fv_dataset_reader_open(&reader, crypto, path, err);
    if (r == 0)
        r = walk_file(&reader, taking, err);
    fv_dataset_reader_close(&reader);
    fv_crypto_free(crypto);
    return r;
}

/* ---- phases ---- */

/* The schema for a record; none where no policy is about it. */
static int find_schema(struct fv_policies *policies, const char *phase, const char *subject,
                       const struct fv_schema **ret_schema, flagver_error *err)
{
    struct fv_policy policy;
    int r = fv_policies_of(policies, phase, subject, &policy, err);

    if (r < 0 && r != FLAGVER_ENOTFOUND)
        return r;
    *ret_schema = r == 0 ? policy.schema : NULL;
    return 0;
}

struct row {
    const struct fv_dataset_source *source;
    struct fv_policies *policies;
    struct fv_text subject, payload;
};

static int take_row(struct row *row, const flagver_version_row *version,
                    const struct taking *taking, flagver_error *err)
{
    const struct fv_schema *schema = NULL;
    flagver_dataset_record record;
    int r;

    fv_text_reset(&row->subject);
    fv_text_reset(&row->payload);
    fv_text_add_bytes(&row->subject, version->subject.data, version->subject.length);
    fv_text_add_bytes(&row->payload, version->payload.data, version->payload.length);
    if (row->subject.failed || row->payload.failed)
        return fv_fail_memory(err);
    if (!version->payload.data)
        return fv_fail(err, FLAGVER_ENOTFOUND, "what %s \"%.256s\" says was shredded",
                       row->source->phase, row->subject.data);
    r = find_schema(row->policies, row->source->phase, row->subject.data, &schema, err);
    if (r < 0)
        return r;
    record = (flagver_dataset_record){ .key = row->subject.data,
                                       .key_length = row->subject.length,
                                       .value = row->payload.data,
                                       .value_length = row->payload.length };
    return taking->take(taking->data, &record, schema, err);
}

/* A phase without records is one only if it has a policy. */
static int walk_rows(struct fv_read *read, struct row *row, const struct taking *taking,
                     flagver_error *err)
{
    const struct fv_dataset_source *source = row->source;
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = source->as_of ? FLAGVER_PICK_AS_OF : FLAGVER_PICK_CURRENT,
                                  .phase = fv_bytes(source->phase),
                                  .subject = fv_bytes(source->prefix),
                                  .prefix = source->prefix != NULL,
                                  .time = source->as_of,
                                  .payload = 1 };
    struct fv_policy policy;
    bool is_there = false;
    flagver_row found;
    int r;

    r = fv_read_scan(read, &query, err);
    while (r >= 0 && (r = fv_read_next(read, &found, err)) > 0) {
        is_there = true;
        if (found.as.version.bits & FLAGVER_VERSION_TOMBSTONE)
            continue;
        r = take_row(row, &found.as.version, taking, err);
        if (r)
            return r < 0 ? r : 0;
    }
    if (r < 0 || is_there)
        return r;
    return fv_policies_of(row->policies, source->phase, source->prefix ? source->prefix : "",
                          &policy, err);
}

static int read_phase(const struct fv_dataset_source *source, const struct taking *taking,
                      flagver_error *err)
{
    struct row row = { .source = source, .subject = FV_TEXT_INIT, .payload = FV_TEXT_INIT };
    struct fv_read read;
    int r;

    r = fv_read_begin(&read, source->tenancy->store, source->tenancy->tenant, err);
    if (r == 0)
        r = fv_policies_read(&read, &row.policies, err);
    if (r == 0)
        r = walk_rows(&read, &row, taking, err);
    fv_read_end(&read);
    fv_policies_release(row.policies);
    fv_text_clear(&row.subject);
    fv_text_clear(&row.payload);
    return r;
}

int fv_dataset_read(const struct fv_dataset_source *source, fv_dataset_take *take, void *data,
                    flagver_error *err)
{
    const struct taking taking = { take, data };

    return source->tenancy ? read_phase(source, &taking, err)
                           : read_file(source->path, &taking, err);
}
