/*
 * Lines of data sets: the text is cut into lines, each of which is read as every kind there is. What is
 * refused says where; what is accepted is written as it was, and is no different from itself.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/dataset.h"
#include "codec/dataset_compare.h"
#include "codec/dataset_profile.h"
#include "util/utf8.h"
#include "fuzz/demand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fv_dataset_place place = { "name", 7 };

static void check_refusal(const flagver_error *error)
{
    demand(error->code == FLAGVER_EPARSE && error->line == 7 && error->column >= 0);
    demand(strncmp(error->message, "name:7:", 7) == 0 && strlen(error->message) > 12);
    demand(!strpbrk(error->message, "\n\r"));
    demand(fv_utf8_valid(error->message, strlen(error->message)));
}

static void check_same(const struct fv_text *again, const char *text, size_t length)
{
    demand(again->length == length + 1 && memcmp(again->data, text, length) == 0);
}

static void try_record(const char *text, size_t length)
{
    struct fv_text key = FV_TEXT_INIT, again = FV_TEXT_INIT;
    flagver_error error;
    uint8_t sha256[32];
    const char *value;
    size_t value_length;

    if (fv_dataset_read_record(text, length, &place, &key, &value, &value_length, sha256, &error) <
        0) {
        check_refusal(&error);
    } else {
        demand(value > text && value + value_length == text + length - 1);
        fv_dataset_write_record(&again, key.data, key.length, value, value_length, sha256);
        check_same(&again, text, length);
    }
    fv_text_clear(&key);
    fv_text_clear(&again);
}

static void try_ends(const char *text, size_t length)
{
    struct fv_text again = FV_TEXT_INIT;
    flagver_error error;
    uint8_t sha256[32];
    uint64_t records;

    if (fv_dataset_read_head(text, length, &place, &error) < 0)
        check_refusal(&error);
    if (fv_dataset_read_end(text, length, &place, &records, sha256, &error) < 0) {
        check_refusal(&error);
    } else {
        fv_dataset_write_end(&again, records, sha256);
        check_same(&again, text, length);
    }
    fv_text_clear(&again);
}

static bool is_told(void *data, const struct fv_dataset_difference *difference)
{
    (void)data;
    demand(difference == NULL); /* a value is what it is */
    return false;
}

static void check_value(struct fv_profile *profile, const char *key, const struct fv_text *value)
{
    const struct fv_dataset_judge exact = { .strict = true };
    bool second;

    demand(fv_dataset_compare_values(&exact, value->data, value->length, value->data, value->length,
                                     is_told, NULL, &second, NULL) == 0);
    demand(fv_profile_add(profile, key, value->data, value->length, NULL, NULL) == 0);
}

static void try_loose(struct fv_profile *profile, const char *text, size_t length)
{
    struct fv_text key = FV_TEXT_INIT, value = FV_TEXT_INIT;
    flagver_error error;

    if (fv_dataset_read_loose(text, length, &place, &key, &value, &error) < 0)
        check_refusal(&error);
    else
        check_value(profile, key.data, &value);
    fv_text_clear(&key);
    fv_text_clear(&value);
}

static void check_field(void *data, const flagver_dataset_field *field)
{
    ++*(uint64_t *)data;
    demand(field->score <= 100 && field->top_count <= FLAGVER_DATASET_TOP);
    demand(field->minimum <= field->maximum);
    demand(isfinite(field->mean) && isfinite(field->deviation) && isfinite(field->rounding));
    demand(field->quantiles[0] <= field->quantiles[6]);
    demand(field->nulls + field->booleans + field->integers + field->reals + field->strings +
               field->arrays + field->objects ==
           field->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fv_profile *profile = fv_profile_new(NULL, 0);
    const char *at = (const char *)data, *end, *behind = at + size;
    flagver_dataset_health health;
    uint64_t fields = 0;

    demand(profile != NULL);
    for (; size && at < behind; at = end + 1) {
        end = memchr(at, '\n', (size_t)(behind - at));
        if (!end)
            end = behind;
        try_record(at, (size_t)(end - at));
        try_ends(at, (size_t)(end - at));
        try_loose(profile, at, (size_t)(end - at));
    }
    demand(fv_profile_finish(profile, check_field, &fields, &health, NULL) == 0);
    demand(health.fields == fields && health.score <= 100 && *health.recommendation);
    fv_profile_free(profile);
    return 0;
}
