#include "records.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "fixture.h"

static void put_policy(flagver_txn *txn, const char *phase, const char *json)
{
    flagver_error err;

    bench_must(
        flagver_version_put(txn, FLAGVER_PHASE_PHASE, phase, json, strlen(json), NULL, NULL, &err),
        err.message);
}

void records_set_policies(flagver_txn *txn)
{
    put_policy(txn, REVIEW,
               "{\"versioning\":\"full\",\"approval\":{\"required\":true,\"rule\":\"anyone\","
               "\"min\":1,\"allow_self\":true}}");
    put_policy(txn, EVENTS, "{\"versioning\":\"audit_only\"}");
}

void records_make(size_t number, const char *phase, char subject[SUBJECT],
                  struct sql_record *ret_record)
{
    static const char json[] =
        "{\"attributes\":[\"amount\",\"currency\",\"counterparty\",\"settled\"],"
        "\"comment\":\"Sampled by the rule for large amounts; two of forty are outside.\","
        "\"cycle\":7,\"owner\":\"report-owner@example.com\",\"samples\":40,\"threshold\":0.05}";

    snprintf(subject, SUBJECT, "cycle-%06zu/report-%03zu", number / 500, number % 500);
    *ret_record = (struct sql_record){ phase, subject, json, sizeof json - 1 };
}

void records_submit(flagver_txn *txn, const struct sql_record *record)
{
    flagver_error err;

    bench_must(flagver_version_create(txn, record->phase, record->subject, record->json,
                                      record->length, NULL, NULL, &err),
               err.message);
    bench_must(flagver_version_submit(txn, record->phase, record->subject, 1, NULL, NULL, &err),
               err.message);
}

void records_approve(flagver_txn *txn, const struct sql_record *record)
{
    flagver_error err;

    bench_must(flagver_version_approve(txn, record->phase, record->subject, 1, NULL, NULL, &err),
               err.message);
}

void records_record(flagver_txn *txn, const struct sql_record *record)
{
    flagver_error err;

    bench_must(flagver_version_record(txn, record->phase, record->subject, record->json,
                                      record->length, NULL, NULL, &err),
               err.message);
}

void records_put_flags(flagver_txn *txn)
{
    flagver_error err;
    size_t length;
    char *json = mixed_json(&length);

    bench_must(flagver_flags_apply(txn, json, length, NULL, false, NULL, &err), err.message);
    free(json);
}

void records_parse(const char *text, size_t length)
{
    json_error_t err;
    json_t *json = json_loadb(text, length, 0, &err);

    if (!json)
        bench_die("jansson: %s", err.text);
    json_decref(json);
}
