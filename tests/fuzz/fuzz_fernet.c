/*
 * A text as a token, and as a key. A token that opens has one spelling: changed anywhere, it
 * does not open any more. What is in the text after a newline is taken for a token's
 * bytes and given a right signature, so that what lies behind the signature is reached too.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/fernet.h"
#include "util/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
#define MAC_SIZE 32

static struct fv_crypto *crypto;
static uint8_t secret[FV_FERNET_KEY_SIZE];

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Buffers of exactly the sizes that are promised, so that a sanitizer sees more. */
static bool opens(const char *token, size_t length)
{
    uint8_t *out = malloc(FV_FERNET_ROOM(length) + 1);
    char *copy = malloc(length + 1);
    size_t got = 0;
    uint64_t time;
    int r;

    must(out && copy);
    memcpy(copy + 1, token, length);
    r = fv_fernet_open(crypto, secret, copy + 1, length, out + 1, &got, &time, NULL);
    must(r == 0 || r == FLAGVER_EPARSE || r == FLAGVER_EKEY);
    must(r < 0 || got < FV_FERNET_ROOM(length));
    free(copy);
    free(out);
    return r == 0;
}

static void open_signed(const uint8_t *bytes, size_t length)
{
    struct fv_text token = FV_TEXT_INIT;
    uint8_t *whole = malloc(length + MAC_SIZE);
    char digit;

    must(whole != NULL);
    memcpy(whole, bytes, length);
    must(HMAC(EVP_sha256(), secret, 16, whole, length, whole + length, NULL) != NULL);
    fv_base64_encode(FV_BASE64_URL, whole, length + MAC_SIZE, &token);
    must(!token.failed);
    if (opens(token.data, token.length)) {
        digit = token.data[token.length / 2];
        token.data[token.length / 2] = digit == 'A' ? 'B' : 'A';
        must(!opens(token.data, token.length));
    }
    fv_text_clear(&token);
    free(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    size_t length = newline ? (size_t)(newline - data) : size;
    uint8_t key[FV_FERNET_KEY_SIZE];

    if (!crypto) {
        crypto = fv_crypto_new();
        must(crypto && fv_fernet_key(SECRET, strlen(SECRET), secret));
    }
    if (length)
        opens((const char *)data, length);
    fv_fernet_key((const char *)data, size, key);
    if (newline)
        open_signed(newline + 1, size - length - 1);
    return 0;
}
