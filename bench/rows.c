#include "rows.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

void rows_close(struct rows *rows)
{
    rows->driver->close(rows);
}

flagver_side rows_side(struct rows *rows, flagver_client *client)
{
    flagver_side side = rows->driver->side;

    side.size = sizeof side;
    side.client = client;
    side.data = rows;
    return side;
}

#define FILLED_AT_ONCE 1000

void rows_fill(struct rows *rows, size_t count)
{
    char sql[FILLED_AT_ONCE][ROWS_KEY + ROWS_VALUE];
    char *text = bench_allocate(FILLED_AT_ONCE, sizeof sql[0] + 16);
    size_t length, i, k;

    for (i = 0; i < count; i += k) {
        length = (size_t)sprintf(text, "INSERT INTO rows (key, value) VALUES ");
        for (k = 0; k < FILLED_AT_ONCE && i + k < count; k++)
            length += (size_t)sprintf(
                text + length,
                "%s('user-%011zu', '{\"name\":\"user %zu\",\"mail\":\"user.%zu@example.org\","
                "\"plan\":\"team\",\"created\":\"2026-01-01T00:00:00Z\",\"visits\":%zu}')",
                k ? "," : "", i + k, i + k, i + k, (i + k) * 7919 % 1000003);
        rows->driver->run(rows, text);
    }
    free(text);
}

/* ------------------------------------------------------------------------
 * Hashing
 */

struct hashing {
    EVP_MD *sha256;
    EVP_MD_CTX *digest;
    char last[ROWS_KEY];
};

static void hash_row(void *data, const char *key, const char *value, size_t length)
{
    struct hashing *hashing = data;
    size_t key_length = strlen(key);
    unsigned char hash[32];

    if (!EVP_DigestInit_ex2(hashing->digest, hashing->sha256, NULL) ||
        !EVP_DigestUpdate(hashing->digest, key, key_length) ||
        !EVP_DigestUpdate(hashing->digest, value, length) ||
        !EVP_DigestFinal_ex(hashing->digest, hash, NULL))
        bench_die("SHA-256 failed");
    bench_sink += hash[0];
    memcpy(hashing->last, key, key_length + 1);
}

size_t rows_hash(struct rows *rows, size_t at_once)
{
    struct hashing hashing = { EVP_MD_fetch(NULL, "SHA256", NULL), EVP_MD_CTX_new(), "" };
    size_t count = 0, got;

    do {
        char after[ROWS_KEY];

        memcpy(after, hashing.last, sizeof after);
        got = rows->driver->scan(rows, after, at_once, hash_row, &hashing);
        count += got;
    } while (got == at_once);
    EVP_MD_CTX_free(hashing.digest);
    EVP_MD_free(hashing.sha256);
    return count;
}

/* ------------------------------------------------------------------------
 * Copying
 */

struct copying {
    flagver_side_row *rows;
    char (*keys)[ROWS_KEY];
    char (*values)[ROWS_VALUE];
    size_t count;
};

static void keep_row(void *data, const char *key, const char *value, size_t length)
{
    struct copying *copying = data;
    size_t i = copying->count++;

    strcpy(copying->keys[i], key);
    memcpy(copying->values[i], value, length);
    copying->rows[i] = (flagver_side_row){ copying->keys[i], copying->values[i], length };
}

size_t rows_copy(struct rows *from, struct rows *to, size_t at_once)
{
    struct copying copying = { bench_allocate(at_once, sizeof *copying.rows),
                               bench_allocate(at_once, sizeof *copying.keys),
                               bench_allocate(at_once, sizeof *copying.values), 0 };
    char after[ROWS_KEY] = "";
    size_t count = 0;

    do {
        copying.count = 0;
        from->driver->scan(from, after, at_once, keep_row, &copying);
        if (copying.count > 0) {
            to->driver->put(to, copying.rows, copying.count);
            strcpy(after, copying.keys[copying.count - 1]);
        }
        count += copying.count;
    } while (copying.count == at_once);
    free(copying.rows);
    free(copying.keys);
    free(copying.values);
    return count;
}
