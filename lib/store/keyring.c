#define _POSIX_C_SOURCE 200809L /* open() with O_CLOEXEC */

#include "store/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"
#include "util/base64.h"
#include "util/fail.h"

#define TEXT_LIMIT 65536 /* bytes of a file or variable */
#define BASE64_LENGTH 44 /* of a key */

struct named_key {
    char id[FV_KEY_ID_SIZE];
    uint8_t key[FLAGVER_KEY_SIZE];
};

struct fv_keyring {
    atomic_uint references;
    struct fv_keyring_source source; /* only `ask` and its data */
    struct named_key *keys;
    size_t count;
};

void fv_keyring_hold(struct fv_keyring *ring)
{
    if (ring)
        atomic_fetch_add_explicit(&ring->references, 1, memory_order_relaxed);
}

void fv_keyring_release(struct fv_keyring *ring)
{
    if (!ring || atomic_fetch_sub_explicit(&ring->references, 1, memory_order_acq_rel) != 1)
        return;
    fv_wipe(ring->keys, ring->count * sizeof *ring->keys);
    free(ring->keys);
    free(ring);
}

/* ---- keys as text ---- */

/* Where a key is, for errors: "keys.txt:3" or "FLAGVER_KEYS: key 3". */
struct text_source {
    const char *name;
    bool is_file;
    unsigned line, number;
};

static int refuse(const struct text_source *source, flagver_error *err, const char *why)
{
    if (source->is_file)
        return fv_fail(err, FLAGVER_EPARSE, "%.500s:%u: %s", source->name, source->line, why);
    return fv_fail(err, FLAGVER_EPARSE, "%s: key %u: %s", source->name, source->number, why);
}

static const struct named_key *find(const struct fv_keyring *ring, const char *id)
{
    size_t i;

    for (i = 0; i < ring->count; i++)
        if (strcmp(ring->keys[i].id, id) == 0)
            return &ring->keys[i];
    return NULL;
}

static int read_key(struct fv_keyring *ring, const struct text_source *source, const char *text,
                    size_t length, flagver_error *err)
{
    const char *colon = memchr(text, ':', length);
    size_t id_length = colon ? (size_t)(colon - text) : 0, size;
    struct named_key *key = &ring->keys[ring->count];
    uint8_t bytes[FV_BASE64_ROOM(BASE64_LENGTH)];
    bool fine;

    if (!id_length || id_length > FLAGVER_KEY_ID_LIMIT)
        return refuse(source, err, "not of the form ID:BASE64 with an id of 1 to 64 bytes");
    memset(key->id, 0, sizeof key->id);
    memcpy(key->id, text, id_length);
    if (fv_check_text("id", key->id, FLAGVER_KEY_ID_LIMIT, NULL) < 0)
        return refuse(source, err, "the id is not UTF-8, or has a control character");
    if (find(ring, key->id))
        return refuse(source, err, "there is a key of this id already");
    fine = length - id_length - 1 == BASE64_LENGTH &&
           fv_base64_decode(FV_BASE64, colon + 1, BASE64_LENGTH, bytes, &size) &&
           size == FLAGVER_KEY_SIZE;
    if (fine) {
        memcpy(key->key, bytes, FLAGVER_KEY_SIZE);
        ring->count++;
    }
    fv_wipe(bytes, sizeof bytes);
    /* What stands there may be most of a secret: it is not repeated. */
    return fine ? 0 : refuse(source, err, "what follows the id is not 32 bytes in base64");
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* One between commas; nothing between them is nothing. */
static int read_piece(struct fv_keyring *ring, struct text_source *source, const char *text,
                      size_t length, flagver_error *err)
{
    while (length && is_blank(*text)) {
        text++;
        length--;
    }
    while (length && is_blank(text[length - 1]))
        length--;
    if (!length)
        return 0;
    source->number++;
    return read_key(ring, source, text, length, err);
}

static int read_line(struct fv_keyring *ring, struct text_source *source, const char *text,
                     size_t length, flagver_error *err)
{
    const char *comma;
    size_t piece;
    int r = 0;

    source->line++;
    if (length && *text == '#')
        return 0;
    for (; r == 0 && length; text += piece, length -= piece) {
        comma = memchr(text, ',', length);
        piece = comma ? (size_t)(comma - text) : length;
        r = read_piece(ring, source, text, piece, err);
        piece += comma != NULL;
    }
    return r;
}

/* As many as there can be at most: so that keys are never moved, which would leave copies. */
static size_t count_pieces(const char *text, size_t length)
{
    size_t i, count = 1;

    for (i = 0; i < length; i++)
        count += text[i] == ',' || text[i] == '\n';
    return count;
}

static int read_keys(struct fv_keyring *ring, struct text_source *source, const char *text,
                     size_t length, flagver_error *err)
{
    const char *newline;
    size_t line;
    int r = 0;

    if (length > TEXT_LIMIT)
        return fv_fail(err, FLAGVER_EPARSE, "%.500s is longer than %d bytes", source->name,
                       TEXT_LIMIT);
    ring->keys = calloc(count_pieces(text, length), sizeof *ring->keys);
    if (!ring->keys)
        return fv_fail_memory(err);
    for (; r == 0 && length; text += line, length -= line) {
        newline = memchr(text, '\n', length);
        line = newline ? (size_t)(newline - text) : length;
        r = read_line(ring, source, text, line, err);
        line += newline != NULL;
    }
    if (r == 0 && ring->count == 0 && source->is_file)
        r = fv_fail(err, FLAGVER_EPARSE, "%.500s: there is no key in it", source->name);
    return r;
}

/* Up to `size` bytes. Not by way of a FILE, which would keep them in a buffer of its own. */
static int read_file(const char *path, char *buffer, size_t size, size_t *ret_length,
                     flagver_error *err)
{
    int file = open(path, O_RDONLY | O_CLOEXEC), number = errno;
    size_t length = 0;
    ssize_t got = 1;

    if (file < 0)
        return fv_fail_errno(err, FLAGVER_EIO, number, "%.500s", path);
    while (got != 0 && length < size) {
        got = read(file, buffer + length, size - length);
        number = errno;
        if (got < 0 && number != EINTR)
            break;
        length += got > 0 ? (size_t)got : 0;
    }
    close(file);
    *ret_length = length;
    return got < 0 ? fv_fail_errno(err, FLAGVER_EIO, number, "%.500s", path) : 0;
}

static int load_file(struct fv_keyring *ring, const char *path, flagver_error *err)
{
    struct text_source source = { path, true, 0, 0 };
    char *buffer = malloc(TEXT_LIMIT + 1);
    size_t length = 0;
    int r;

    if (!buffer)
        return fv_fail_memory(err);
    r = read_file(path, buffer, TEXT_LIMIT + 1, &length, err);
    if (r == 0)
        r = read_keys(ring, &source, buffer, length, err);
    fv_wipe(buffer, TEXT_LIMIT + 1);
    free(buffer);
    return r;
}

int fv_keyring_new(const struct fv_keyring_source *source, struct fv_keyring **ret_ring,
                   flagver_error *err)
{
    struct text_source variable = { "FLAGVER_KEYS", false, 0, 0 };
    struct fv_keyring *ring = calloc(1, sizeof *ring);
    int r = 0;

    if (!ring)
        return fv_fail_memory(err);
    atomic_init(&ring->references, 1);
    if (source->ask) {
        ring->source.ask = source->ask;
        ring->source.data = source->data;
    } else if (source->file) {
        r = load_file(ring, source->file, err);
    } else if (source->text) {
        r = read_keys(ring, &variable, source->text, strlen(source->text), err);
    }
    if (r < 0) {
        fv_keyring_release(ring);
        return r;
    }
    *ret_ring = ring;
    return 0;
}

/* ---- asking ---- */

int fv_keyring_find(const struct fv_keyring *ring, const char *id, uint8_t out[FLAGVER_KEY_SIZE],
                    flagver_error *err)
{
    const struct named_key *key = ring ? find(ring, id) : NULL;
    char unused[FV_KEY_ID_SIZE] = "";

    if (key) {
        memcpy(out, key->key, FLAGVER_KEY_SIZE);
        return 0;
    }
    if (ring && ring->source.ask && ring->source.ask(ring->source.data, id, unused, out) == 0)
        return 0;
    return fv_fail(err, FLAGVER_EKEY, "the key-encryption key \"%.64s\" is not there", id);
}

static int ask_for_first(const struct fv_keyring *ring, char ret_id[FV_KEY_ID_SIZE],
                         uint8_t out[FLAGVER_KEY_SIZE], flagver_error *err)
{
    memset(ret_id, 0, FV_KEY_ID_SIZE);
    if (ring->source.ask(ring->source.data, NULL, ret_id, out) != 0)
        return fv_fail(err, FLAGVER_EKEY, "options.key gives no key to encrypt with");
    ret_id[FV_KEY_ID_SIZE - 1] = 0;
    if (fv_check_text("id", ret_id, FLAGVER_KEY_ID_LIMIT, NULL) == 0)
        return 0;
    return fv_fail(err, FLAGVER_EKEY,
                   "options.key gives a key whose id is not 1 to %d bytes of UTF-8 without control "
                   "characters",
                   FLAGVER_KEY_ID_LIMIT);
}

int fv_keyring_first(const struct fv_keyring *ring, char ret_id[FV_KEY_ID_SIZE],
                     uint8_t out[FLAGVER_KEY_SIZE], flagver_error *err)
{
    if (ring && ring->source.ask)
        return ask_for_first(ring, ret_id, out, err);
    if (!ring || !ring->count)
        return fv_fail(err, FLAGVER_EKEY,
                       "there is no key to encrypt with: neither options.key nor options.key_file "
                       "nor FLAGVER_KEYS gives one");
    memcpy(ret_id, ring->keys[0].id, FV_KEY_ID_SIZE);
    memcpy(out, ring->keys[0].key, FLAGVER_KEY_SIZE);
    return 0;
}
