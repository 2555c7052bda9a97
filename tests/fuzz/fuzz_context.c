/*
 * Contexts from JSON: refused with words, or good for an evaluation with every
 * kind of test.
 */
#include <flagver.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

#define LEAF(op, value) "{\"attr\":\"a\",\"op\":\"" op "\",\"value\":" value "}"

static const char definitions[] =
    "{\"flags\":{\"f\":{\"type\":\"boolean\",\"rules\":[{\"if\":{\"any\":[" LEAF("eq", "\"x\"") "," LEAF("in", "1") "," LEAF("starts_with", "\"ab\"") "," LEAF("ends_with", "\"ab\"") "," LEAF(
        "contains",
        "\"aab\"") "," LEAF("lt",
                            "-1e9") "," LEAF("gte",
                                             "9e15") "," LEAF("before",
                                                              "\"0001-01-01T00:00:"
                                                              "00Z\"") "," LEAF("afte"
                                                                                "r",
                                                                                "\"999"
                                                                                "9-01-"
                                                                                "01T00"
                                                                                ":00:"
                                                                                "00Z"
                                                                                "\"") "," LEAF("sem"
                                                                                               "ver"
                                                                                               "_e"
                                                                                               "q",
                                                                                               "\"1"
                                                                                               ".2."
                                                                                               "3-"
                                                                                               "x"
                                                                                               "\"") "," LEAF("matches",
                                                                                                              "\"(a|ab)*c\"") "," LEAF("in_cidr",
                                                                                                                                       "\"10.0.0.0/8\"") ","
                                                                                                                                                         "{\"attr\":\"a\",\"op\":\"eq\",\"value\":\"stra\u00dfe\",\"fold\":true},"
                                                                                                                                                         "{\"attr\":\"a\",\"op\":\"contains\",\"value\":\"\u00c4b\",\"fold\":true},"
                                                                                                                                                         "{\"attr\":\"a.b.c\",\"op\":\"exists\",\"value\":true}]},\"serve\":\"on\"}],"
                                                                                                                                                         "\"percentage\":50,\"by\":\"k\"}}}";

static bool known(int reason, int error)
{
    return error == FLAGVER_ERROR_NONE
               ? reason == FLAGVER_REASON_TARGETING_MATCH || reason == FLAGVER_REASON_SPLIT
               : error == FLAGVER_ERROR_TARGETING_KEY_MISSING ||
                     error == FLAGVER_ERROR_INVALID_CONTEXT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    flagver_detail detail = { .size = sizeof detail }, again = { .size = sizeof again };
    flagver_context *context = NULL;
    flagver_snapshot *snapshot;
    flagver_error error = { 0 };
    char *text = malloc(size + 1);

    must(text != NULL);
    if (size)
        memcpy(text, data, size);
    if (flagver_context_from_json(text, size, &context, &error) < 0) {
        must(error.code == FLAGVER_EPARSE && error.message[0] && !context);
        free(text);
        return 0;
    }

    must(flagver_snapshot_load(definitions, sizeof definitions - 1, NULL, &snapshot, NULL) == 0);
    flagver_snapshot_evaluate(snapshot, "f", 1, context, FLAGVER_TYPE_BOOL, &detail);
    must(known(detail.reason, detail.error));
    flagver_snapshot_evaluate(snapshot, "f", 1, context, FLAGVER_TYPE_BOOL, &again);
    must(detail.reason == again.reason && detail.bucket == again.bucket);
    flagver_snapshot_free(snapshot);

    must(flagver_context_reset(context, "x") == 0);
    must(flagver_context_set_int(context, "k", 1) == 0);
    flagver_context_free(context);
    free(text);
    return 0;
}
