/*
 * Definitions: what is refused says why and where; what is accepted can be
 * evaluated, explained and merged, and gives the same results when it is read
 * a second time.
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

static const char *const contexts[] = {
    "{}",
    "{\"targetingKey\":\"user1\",\"country\":\"DE\",\"app_version\":\"2.1.0\",\"n\":3}",
    "{\"targetingKey\":42,\"email\":\"Bob@Example.com\",\"n\":2.5,\"t\":[1,\"a\",true]}",
    "{\"targetingKey\":true,\"a\":{\"b\":{\"c\":\"10.0.0.1\"}},\"d\":\"2026-01-01T00:00:00Z\"}",
};

#define CONTEXTS (sizeof contexts / sizeof contexts[0])

static int64_t some_time(void *data)
{
    (void)data;
    return INT64_C(1767300000000);
}

struct check {
    const flagver_snapshot *again;
    flagver_client *client;
    flagver_context *context;
};

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool check_flag(void *data, const flagver_detail *detail)
{
    struct check *check = data;
    flagver_detail again = { .size = sizeof again };
    char *json;

    flagver_snapshot_evaluate(check->again, detail->flag, strlen(detail->flag), check->context,
                              FLAGVER_TYPE_ANY, &again);
    must(again.reason == detail->reason && again.error == detail->error);
    must(again.bucket == detail->bucket && again.value.type == detail->value.type);
    must(same_text(again.variant, detail->variant) && same_text(again.rule, detail->rule));
    must((detail->variant == NULL) == (detail->error != 0));

    must(flagver_flag_explain(check->client, detail->flag, strlen(detail->flag), check->context,
                              &json, NULL) == 0);
    must(strstr(json, "\"steps\"") != NULL);
    flagver_string_free(json);
    return true;
}

static void check_accepted(flagver_client *client, const char *text, size_t size,
                           const flagver_options *options)
{
    struct check check = { .client = client };
    flagver_snapshot *again;
    size_t i;

    must(flagver_snapshot_load(text, size, options, &again, NULL) == 0);
    must(flagver_client_merge(client, text, size, NULL) == 0);
    check.again = again;
    for (i = 0; i < CONTEXTS; i++) {
        must(flagver_context_from_json(contexts[i], strlen(contexts[i]), &check.context, NULL) ==
             0);
        must(flagver_flag_all(client, check.context, check_flag, &check) ==
             flagver_snapshot_size(again));
        flagver_context_free(check.context);
    }
    flagver_snapshot_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const flagver_options options = { .size = sizeof options,
                                      .clock = some_time,
                                      .no_environment = 1 };
    flagver_error error = { 0 };
    flagver_client *client;
    char *text = malloc(size + 1);

    must(text != NULL);
    if (size)
        memcpy(text, data, size); /* a copy of its own: reading on is seen */
    must(flagver_open("definitions:", &options, &client, NULL) == 0);
    if (flagver_client_load(client, text, size, &error) == 0) {
        check_accepted(client, text, size, &options);
    } else {
        must(error.code == FLAGVER_EPARSE && error.message[0]);
        must(error.line >= 1 && error.column >= 1);
        must(strlen(error.message) < sizeof error.message);
    }
    flagver_close(client);
    free(text);
    return 0;
}
