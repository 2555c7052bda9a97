/*
 * Schemas: the first line is a schema, the rest a payload. What is refused says
 * why and where; a verdict stays the same when it is asked for again, and "not"
 * turns it around.
 */
#include <stdlib.h>
#include <string.h>

#include "codec/json.h"
#include "codec/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static int compile(const char *text, size_t length, const json_t *value, struct fv_schema **schema)
{
    flagver_error error = { 0 };
    const struct fv_reading reading = { text, length, NULL, &error };
    int r = fv_schema_new(&reading, NULL, value, schema);

    must(r == 0 || (r == FLAGVER_EPARSE && error.message[0] && error.line >= 1));
    return r;
}

/* 1: fits, 0: does not, -1: a limit was reached. */
static int verdict(const struct fv_schema *schema, const json_t *payload)
{
    flagver_error error = { 0 };
    int r = fv_schema_check(schema, payload, &error);

    must(fv_schema_check(schema, payload, NULL) == r);
    if (r == 0)
        return 1;
    must(r == FLAGVER_EVALIDATION && error.code == r && error.message[0]);
    must(strlen(error.message) < sizeof error.message && !strchr(error.message, '\n'));
    return strncmp(error.message, "the schema ", 11) == 0 ? -1 : 0;
}

static void turn_around(const json_t *value, const json_t *payload, int before)
{
    json_t *opposite = json_pack("{s:O}", "not", value);
    struct fv_schema *schema;
    int after;

    must(opposite != NULL);
    if (compile("{}", 2, opposite, &schema) == 0) {
        after = verdict(schema, payload);
        must(before < 0 || after < 0 || before != after);
        fv_schema_free(schema);
    }
    json_decref(opposite);
}

static void try_payload(const struct fv_schema *schema, const json_t *value, const char *text,
                        size_t length)
{
    json_t *payload;
    int before;

    if (fv_json_parse(text, length, NULL, &payload, NULL) < 0)
        return;
    before = verdict(schema, payload);
    if (!json_object_get(value, "$defs")) /* they may only stand at the top */
        turn_around(value, payload, before);
    json_decref(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *end = size ? memchr(text, '\n', size) : NULL;
    size_t length = end ? (size_t)(end - text) : size;
    struct fv_schema *schema;
    json_t *value;

    if (fv_json_parse(text, length, NULL, &value, NULL) < 0)
        return 0;
    if (compile(text, length, value, &schema) == 0) {
        if (end)
            try_payload(schema, value, end + 1, size - length - 1);
        fv_schema_free(schema);
    }
    json_decref(value);
    return 0;
}
