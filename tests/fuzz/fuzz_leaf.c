/*
 * A leaf of the audit log: what can be read is written again as the very same bytes.
 */
#include "model/leaf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of its own, so that reading beyond the end is seen. */
    uint8_t *copy = malloc(size + 1);
    struct fv_text again = FV_TEXT_INIT;
    struct fv_audit_leaf leaf;

    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    if (fv_leaf_decode(copy, size, &leaf)) {
        fv_leaf_encode(&leaf, &again);
        if (again.failed || again.length != size || memcmp(again.data, copy, size) != 0)
            abort();
    }
    fv_text_clear(&again);
    free(copy);
    return 0;
}
