/*
 * Bytes that may be a row of what was tracked: what is read is written back as the same bytes, and can be
 * merged with itself and be a row again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flagver/base.h"
#include "model/sum.h"
#include "fuzz/demand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void double_it(const struct fv_sum_name *name, const struct fv_sum *sum)
{
    struct fv_sum twice = { 0 }, read = { 0 };
    struct fv_text text = FV_TEXT_INIT;
    struct fv_sum_name again;

    demand(fv_sum_merge(&twice, NULL, sum) && fv_sum_merge(&twice, NULL, sum));
    fv_sum_encode(&text, name, &twice);
    demand(fv_sum_decode(text.data, text.length, NULL, &again, &read) == 0);
    demand(read.timings.count == twice.timings.count);
    fv_text_clear(&text);
    fv_sum_clear(&twice, NULL);
    fv_sum_clear(&read, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fv_text text = FV_TEXT_INIT;
    struct fv_sum sum = { 0 };
    struct fv_sum_name name;

    if (fv_sum_decode(data, size, NULL, &name, &sum) == 0) {
        fv_sum_encode(&text, &name, &sum);
        demand(text.length == size && memcmp(text.data, data, size) == 0);
        double_it(&name, &sum);
    }
    fv_text_clear(&text);
    fv_sum_clear(&sum, NULL);
    return 0;
}
