/*
 * Exports: the text is an export but for its last line, which is written here, so that
 * the checksum is never what is wrong. What is refused says where and why; a line that is
 * accepted is what its row is written as.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/transfer.h"
#include "crypto/crypto.h"
#include "engine/examine.h"
#include "util/utf8.h"
#include "fuzz/demand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* That is in line `number`, or came out there: `first` may be less. */
static void check_refusal(const flagver_error *error, uint64_t first, uint64_t number)
{
    char place[32];

    snprintf(place, sizeof place, "name:%d:", (int)error->line);
    demand(error->code == FLAGVER_EPARSE && strncmp(error->message, place, strlen(place)) == 0);
    demand(error->line >= (int32_t)first && error->line <= (int32_t)number && error->column >= 0);
    demand(!strpbrk(error->message, "\n\r") && strlen(error->message) > strlen(place) + 5);
    demand(fv_utf8_valid(error->message, strlen(error->message)));
}

static void check_accepted(const struct fv_transfer *line, const char *text, size_t length)
{
    struct fv_text again = FV_TEXT_INIT;

    demand(fv_transfer_write(&again, line, NULL) == 0);
    demand(again.length == length && memcmp(again.data, text, length) == 0);
    fv_text_clear(&again);
}

/* A line by itself, then in its place among the others. False when it is refused. */
static bool read_line(struct fv_examiner *examiner, struct fv_transfer_place *place,
                      const char *text, size_t length)
{
    const struct fv_transfer *line;
    struct fv_transfer alone;
    flagver_error error = { .code = 0 };
    struct fv_arena arena;
    int r;

    place->number++;
    fv_arena_init(&arena, NULL, 4096);
    r = fv_transfer_read(text, length, place, &arena, &alone, &error);
    if (r == 0)
        check_accepted(&alone, text, length);
    else
        check_refusal(&error, place->number, place->number);
    fv_arena_clear(&arena);

    r = fv_examiner_line(examiner, place, text, length, &line, &error);
    if (r == 0)
        check_accepted(line, text, length);
    else
        check_refusal(&error, 1, place->number);
    return r == 0;
}

static void seal(struct fv_crypto *crypto, const char *text, size_t length, uint64_t lines,
                 struct fv_text *out)
{
    struct fv_transfer line = { .kind = FV_TRANSFER_END, .as.end.records = lines - 1 };
    struct fv_digest *digest = fv_digest_new(crypto);

    demand(digest != NULL);
    fv_digest_start(digest);
    fv_digest_add(digest, text, length);
    demand(fv_digest_end(digest, line.as.end.sha256));
    fv_digest_free(digest);
    demand(fv_transfer_write(out, &line, NULL) == 0);
}

/* Every line was accepted; now the last one is, or something is missing before it. */
static void check_end(struct fv_crypto *crypto, struct fv_examiner *examiner,
                      struct fv_transfer_place *place, const char *text, size_t length)
{
    struct fv_text last = FV_TEXT_INIT;
    bool complete;

    demand(fv_examiner_end(examiner, place, NULL) == FLAGVER_EPARSE);
    if (place->number) {
        seal(crypto, text, length, place->number, &last);
        complete = read_line(examiner, place, last.data, last.length);
        demand(complete == (fv_examiner_end(examiner, place, NULL) == 0));
    }
    fv_text_clear(&last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fv_crypto *crypto;
    struct fv_transfer_place place = { "name", 0 };
    const char *text = (const char *)data, *at = text, *end;
    struct fv_examiner *examiner;
    bool fine = true;

    if (!crypto)
        crypto = fv_crypto_new();
    demand(crypto && fv_examiner_new(&examiner, NULL) == 0);
    while (fine && (size_t)(at - text) < size &&
           (end = memchr(at, '\n', size - (size_t)(at - text)))) {
        fine = read_line(examiner, &place, at, (size_t)(end - at));
        at = end + 1;
    }
    if (fine)
        check_end(crypto, examiner, &place, text, (size_t)(at - text));
    fv_examiner_free(examiner);
    return 0;
}
