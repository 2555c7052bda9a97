#define _POSIX_C_SOURCE 200809L /* fsync, open() with O_CLOEXEC */

#include "engine/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/image.h"
#include "util/fail.h"
#include "util/hash.h"
#include "util/input.h"

/*
 * The file is for this machine and this version of the library alone.
 *
 *     magic, checksum of all that follows, version of the library, size, leaf, uri, tenant, count,
 *     then each record: kind, version, key, text, image; texts with their lengths and a NUL
 */
static const char magic[8] = "fvcache2";
#define HEAD (sizeof magic + 8)
#define LIMIT ((off_t)1 << 30)

static uint64_t checksum(const char *bytes, size_t length)
{
    uint64_t sum = length, rest = 0;

    for (; length >= 8; bytes += 8, length -= 8)
        sum = fv_hash_mix(sum ^ fv_load64(bytes), FV_HASH_B);
    memcpy(&rest, bytes, length);
    return fv_hash_mix(sum ^ rest, FV_HASH_C);
}

/* ---- writing ---- */

static void put(struct fv_text *out, const void *bytes, size_t length)
{
    fv_text_add_bytes(out, bytes, length);
}

static void put_record(struct fv_text *out, const struct fv_record *record, struct fv_text *image)
{
    fv_text_reset(image);
    if (fv_image_write(record, image) < 0)
        out->failed = true;
    put(out, record->is_segment ? "s" : "f", 1);
    put(out, &record->version, sizeof record->version);
    fv_text_add_sized(out, record->key, record->key_length);
    fv_text_add_sized(out, record->text, record->length);
    fv_text_add_sized(out, image->data, image->length);
}

static void put_all(struct fv_text *out, const struct fv_cache_mark *mark,
                    const struct fv_harvest *harvest)
{
    struct fv_text image = FV_TEXT_INIT;
    uint32_t count = (uint32_t)harvest->count;
    uint64_t sum = 0;
    size_t i;

    put(out, magic, sizeof magic);
    put(out, &sum, sizeof sum);
    fv_text_add_sized(out, FLAGVER_VERSION, sizeof FLAGVER_VERSION - 1);
    put(out, &mark->log.size, sizeof mark->log.size);
    put(out, mark->log.leaf, sizeof mark->log.leaf);
    fv_text_add_sized(out, mark->uri, strlen(mark->uri));
    fv_text_add_sized(out, mark->tenant, strlen(mark->tenant));
    put(out, &count, sizeof count);
    for (i = 0; i < harvest->count; i++)
        put_record(out, &harvest->records[i], &image);
    fv_text_clear(&image);
    if (out->failed)
        return;
    sum = checksum(out->data + HEAD, out->length - HEAD);
    memcpy(out->data + sizeof magic, &sum, sizeof sum);
}

static int write_all(int file, const struct fv_text *text)
{
    size_t done = 0;
    ssize_t put_now;

    while (done < text->length) {
        put_now = write(file, text->data + done, text->length - done);
        if (put_now < 0 && errno != EINTR)
            return -1;
        if (put_now > 0)
            done += (size_t)put_now;
    }
    return fsync(file);
}

/* Written beside it and renamed: whoever reads sees the old file or the new one. */
static int replace(const char *path, const char *beside, const struct fv_text *text,
                   flagver_error *err)
{
    int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), r = 0;

    if (file < 0)
        return fv_fail_errno(err, FLAGVER_EIO, errno, "%.300s", beside);
    if (write_all(file, text) < 0)
        r = fv_fail_errno(err, FLAGVER_EIO, errno, "%.300s", beside);
    close(file);
    if (r == 0 && rename(beside, path) < 0)
        r = fv_fail_errno(err, FLAGVER_EIO, errno, "%.300s", path);
    if (r < 0)
        unlink(beside);
    return r;
}

int fv_cache_write(const char *path, const struct fv_cache_mark *mark,
                   const struct fv_harvest *harvest, flagver_error *err)
{
    struct fv_text text = FV_TEXT_INIT, beside = FV_TEXT_INIT;
    int r;

    put_all(&text, mark, harvest);
    fv_text_format(&beside, "%s.%ld.%p", path, (long)getpid(), (const void *)harvest);
    if (text.failed || beside.failed)
        r = fv_fail_memory(err);
    else
        r = replace(path, beside.data, &text, err);
    fv_text_clear(&text);
    fv_text_clear(&beside);
    return r;
}

/* ---- reading ---- */

static bool take_same(struct fv_input *input, const char *expected)
{
    size_t length;
    const char *text = fv_input_text(input, &length);

    return !input->failed && strcmp(text, expected) == 0;
}

static bool take_record(struct fv_input *input, struct fv_record *record)
{
    char kind;

    fv_input_take(input, &kind, 1);
    fv_input_take(input, &record->version, sizeof record->version);
    record->key = fv_input_text(input, &record->key_length);
    record->text = fv_input_text(input, &record->length);
    record->image = fv_input_text(input, &record->image_length);
    record->is_segment = kind == 's';
    return !input->failed;
}

/* The records go on pointing into the text. */
static int take_all(struct fv_input *input, struct fv_cache_mark *mark, struct fv_harvest *harvest,
                    flagver_error *err)
{
    uint32_t count, i;
    bool ours;

    ours = take_same(input, FLAGVER_VERSION);
    fv_input_take(input, &mark->log.size, sizeof mark->log.size);
    fv_input_take(input, mark->log.leaf, sizeof mark->log.leaf);
    ours = ours && take_same(input, mark->uri) && take_same(input, mark->tenant);
    fv_input_take(input, &count, sizeof count);
    if (!ours || input->failed || count > (size_t)(input->end - input->next))
        return fv_fail(err, FLAGVER_EPARSE, "it is not of this store, tenant and version");

    harvest->records = fv_allocate(harvest->memory, count * sizeof *harvest->records);
    if (!harvest->records)
        return fv_fail_memory(err);
    harvest->capacity = count;
    for (i = 0; i < count && take_record(input, &harvest->records[i]); i++)
        harvest->count++;
    if (input->failed || input->next != input->end)
        return fv_fail(err, FLAGVER_EPARSE, "it is damaged");
    harvest->whole = true;
    harvest->mark = mark->log;
    return 0;
}

static int read_text(const char *path, char *text, size_t length, struct fv_cache_mark *mark,
                     struct fv_harvest *harvest, flagver_error *err)
{
    struct fv_input input = { text + HEAD, text + length, false };
    uint64_t sum;

    if (length < HEAD || memcmp(text, magic, sizeof magic) != 0)
        return fv_fail(err, FLAGVER_EPARSE, "%.300s is no cache of this version", path);
    memcpy(&sum, text + sizeof magic, sizeof sum);
    if (sum != checksum(text + HEAD, length - HEAD))
        return fv_fail(err, FLAGVER_EPARSE, "%.300s is damaged", path);
    return take_all(&input, mark, harvest, err);
}

static int read_bytes(int file, const char *path, char *text, size_t length, flagver_error *err)
{
    size_t done = 0;
    ssize_t got;

    while (done < length) {
        got = read(file, text + done, length - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fv_fail_errno(err, FLAGVER_EIO, got < 0 ? errno : EIO, "%.300s", path);
        done += (size_t)got;
    }
    return 0;
}

static int read_file(int file, const char *path, struct fv_cache_mark *mark,
                     struct fv_harvest *harvest, flagver_error *err)
{
    struct stat state;
    char *text;
    int r;

    if (fstat(file, &state) < 0)
        return fv_fail_errno(err, FLAGVER_EIO, errno, "%.300s", path);
    if (state.st_size < 0 || state.st_size > LIMIT)
        return fv_fail(err, FLAGVER_EPARSE, "%.300s is no cache", path);
    text = fv_arena_allocate(&harvest->arena, (size_t)state.st_size + 1);
    if (!text)
        return fv_fail_memory(err);
    r = read_bytes(file, path, text, (size_t)state.st_size, err);
    return r < 0 ? r : read_text(path, text, (size_t)state.st_size, mark, harvest, err);
}

int fv_cache_read(const char *path, struct fv_cache_mark *mark, struct fv_harvest *harvest,
                  flagver_error *err)
{
    int file = open(path, O_RDONLY | O_CLOEXEC), r;

    if (file < 0)
        return fv_fail_errno(err, FLAGVER_EIO, errno, "%.300s", path);
    r = read_file(file, path, mark, harvest, err);
    close(file);
    if (r < 0)
        fv_harvest_clear(harvest);
    return r;
}
