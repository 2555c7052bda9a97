#include <string.h>

#include "codec/dataset_compare.h"
#include "engine/dataset.h"
#include "util/fail.h"

/* One of the two files, and the record of it that comes next. */
struct side {
    struct fv_dataset_reader reader;
    flagver_dataset_record record;
    int there; /* as fv_dataset_reader_next() */
};

struct comparison {
    struct side before, after;
    const struct fv_dataset_judge *judge;
    flagver_dataset_comparison result;
    bool told; /* of a difference in the record under way */
    bool (*visit)(void *data, const flagver_dataset_difference *difference);
    void *data;
};

/* ---- telling ---- */

/* Go on? */
static bool tell(struct comparison *comparison, const flagver_dataset_difference *difference)
{
    if (difference->finding == FLAGVER_FINDING_ERROR)
        comparison->result.errors++;
    else
        comparison->result.warnings++;
    return !comparison->visit || comparison->visit(comparison->data, difference);
}

static bool tell_alone(struct comparison *comparison, int32_t kind)
{
    bool missing = kind == FLAGVER_DIFFERENCE_MISSING;
    const flagver_dataset_record *record = missing ? &comparison->before.record
                                                   : &comparison->after.record;
    const flagver_dataset_difference difference = { .kind = kind,
                                                    .finding = FLAGVER_FINDING_ERROR,
                                                    .key = record->key,
                                                    .key_length = record->key_length,
                                                    .pointer = "",
                                                    .before = missing ? record->value : NULL,
                                                    .after = missing ? NULL : record->value,
                                                    .before_line = missing ? record->line : 0,
                                                    .after_line = missing ? 0 : record->line };

    if (missing)
        comparison->result.missing++;
    else
        comparison->result.extra++;
    return tell(comparison, &difference);
}

static bool tell_value(void *data, const struct fv_dataset_difference *found)
{
    struct comparison *comparison = data;
    const flagver_dataset_record *record = &comparison->before.record;
    const flagver_dataset_difference difference = { .kind = FLAGVER_DIFFERENCE_VALUE,
                                                    .finding = found->finding,
                                                    .key = record->key,
                                                    .key_length = record->key_length,
                                                    .pointer = found->pointer,
                                                    .before = found->before,
                                                    .after = found->after,
                                                    .before_line = record->line,
                                                    .after_line = comparison->after.record.line };

    comparison->told = true;
    return tell(comparison, &difference);
}

/* ---- comparing ---- */

static int step(struct side *side, flagver_error *err)
{
    side->there = fv_dataset_reader_next(&side->reader, &side->record, err);
    return side->there < 0 ? side->there : 0;
}

/* What has no record is behind all. */
static int order_of(const struct comparison *comparison)
{
    const flagver_dataset_record *a = &comparison->before.record, *b = &comparison->after.record;
    size_t length = a->key_length < b->key_length ? a->key_length : b->key_length;
    int order;

    if (!comparison->before.there || !comparison->after.there)
        return comparison->after.there - comparison->before.there;
    order = memcmp(a->key, b->key, length);
    return order ? order : (a->key_length > length) - (b->key_length > length);
}

/* 1: whoever was told has heard enough. */
static int compare_records(struct comparison *comparison, flagver_error *err)
{
    const flagver_dataset_record *a = &comparison->before.record, *b = &comparison->after.record;
    bool second;
    int r;

    if (a->value_length == b->value_length && memcmp(a->value, b->value, a->value_length) == 0) {
        comparison->result.equal++;
        return 0;
    }
    comparison->told = false;
    r = fv_dataset_compare_values(comparison->judge, a->value, a->value_length, b->value,
                                  b->value_length, tell_value, comparison, &second, err);
    if (r < 0)
        return r;
    if (comparison->told)
        comparison->result.changed++;
    else
        comparison->result.tolerated++;
    return r;
}

/* Both files step by step, the one whose key comes first. */
static int merge(struct comparison *comparison, flagver_error *err)
{
    struct side *before = &comparison->before, *after = &comparison->after;
    int r, order;

    r = step(before, err);
    if (r == 0)
        r = step(after, err);
    while (r == 0 && (before->there || after->there)) {
        order = order_of(comparison);
        if (order == 0)
            r = compare_records(comparison, err);
        else
            r = tell_alone(comparison,
                           order < 0 ? FLAGVER_DIFFERENCE_MISSING : FLAGVER_DIFFERENCE_EXTRA)
                    ? 0
                    : 1;
        if (r == 0 && order <= 0)
            r = step(before, err);
        if (r == 0 && order >= 0)
            r = step(after, err);
    }
    return r < 0 ? r : 0;
}

int fv_dataset_compare(const char *before, const char *after, const struct fv_dataset_judge *judge,
                       bool (*visit)(void *data, const flagver_dataset_difference *difference),
                       void *data, flagver_dataset_comparison *ret_result, flagver_error *err)
{
    struct comparison comparison = { .judge = judge, .visit = visit, .data = data };
    struct fv_crypto *crypto = fv_crypto_new();
    int r;

    if (!crypto)
        return fv_fail_memory(err);
    r = fv_dataset_reader_open(&comparison.before.reader, crypto, before, err);
    if (r == 0) {
        r = fv_dataset_reader_open(&comparison.after.reader, crypto, after, err);
        if (r == 0)
            r = merge(&comparison, err);
        fv_dataset_reader_close(&comparison.after.reader);
    }
    comparison.result.before = comparison.before.reader.records;
    comparison.result.after = comparison.after.reader.records;
    fv_dataset_reader_close(&comparison.before.reader);
    fv_crypto_free(crypto);
    if (r == 0 && ret_result)
        *ret_result = comparison.result;
    return r;
}
