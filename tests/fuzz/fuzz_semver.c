/*
 * Up to three lines, a version each: whatever is one is a version again when
 * its parts are put together, and the three have one order.
 */
#include "model/semver.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static char *put(char *at, const struct fv_semver_slice *slice, char before)
{
    if (before)
        *at++ = before;
    memcpy(at, slice->text, slice->length);
    return at + slice->length;
}

static void check_parts(const struct fv_semver *version, size_t length)
{
    /* Two missing parts, each with its dot. */
    char *text = malloc(length + 4), *end;
    struct fv_semver again;
    int i;

    must(text != NULL);
    end = put(text, &version->core[0], 0);
    for (i = 1; i < 3; i++)
        end = put(end, &version->core[i], '.');
    if (version->prerelease.length > 0)
        end = put(end, &version->prerelease, '-');
    must(fv_semver_parse(text, (size_t)(end - text), &again));
    must(fv_semver_compare(version, &again) == 0);
    free(text);
}

static void check_order(const struct fv_semver *versions, int count)
{
    int i, j, k;

    for (i = 0; i < count; i++) {
        must(fv_semver_compare(&versions[i], &versions[i]) == 0);
        for (j = 0; j < count; j++) {
            int order = fv_semver_compare(&versions[i], &versions[j]);

            must(order == -1 || order == 0 || order == 1);
            must(fv_semver_compare(&versions[j], &versions[i]) == -order);
            for (k = 0; k < count; k++) {
                if (order <= 0 && fv_semver_compare(&versions[j], &versions[k]) <= 0)
                    must(fv_semver_compare(&versions[i], &versions[k]) <= 0);
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fv_semver versions[3];
    char *lines[3] = { NULL };
    int line, count = 0;

    for (line = 0; line < 3; line++) {
        const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
        size_t length = newline ? (size_t)(newline - data) : size;

        /* A copy of its own, so that reading on into the next line is seen. */
        lines[line] = malloc(length + 1);
        must(lines[line] != NULL);
        if (length > 0)
            memcpy(lines[line] + 1, data, length);
        if (fv_semver_parse(lines[line] + 1, length, &versions[count]))
            check_parts(&versions[count++], length);
        if (!newline)
            break;
        data += length + 1;
        size -= length + 1;
    }
    check_order(versions, count);
    for (line = 0; line < 3; line++)
        free(lines[line]);
    return 0;
}
