/*
 * A text that is a moment is written and read back as the same one; so is any
 * number that falls into the years that can be read.
 */
#include "model/datetime.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_moment(int64_t ms)
{
    const int64_t first = INT64_C(-62135596800000), last = INT64_C(253402300799999);
    char text[FV_DATETIME_SIZE];
    size_t length = fv_datetime_format(ms, text);
    int64_t again = 0;

    must(length < sizeof text && text[length] == 0 && strlen(text) == length);
    must(fv_datetime_parse(text, length, &again) == (ms >= first && ms <= last));
    must(again == (ms >= first && ms <= last ? ms : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t day = INT64_C(86400000);
    int64_t ms;

    if (fv_datetime_parse((const char *)data, size, &ms)) {
        must(ms > INT64_C(-62135596800000) - day && ms < INT64_C(253402300800000) + day);
        check_moment(ms);
    }
    if (size >= sizeof ms) {
        memcpy(&ms, data, sizeof ms);
        check_moment(ms);
        check_moment(ms % INT64_C(300000000000000));
    }
    return 0;
}
