/* Data sets: snapshots of what records say, and their comparison. */
#include "dataset.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "asking.h"
#include "commands.h"
#include "datetime.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "store.h"
#include "table.h"

/* How much of a value people see. */
#define SHOWN 60

/* ---- in common ---- */

static int check_input(const struct cli_request *request)
{
    const char *phase = cli_request_operand(request, 0);

    if (!phase == !request->values[CLI_INPUT])
        return cli_request_refuse(request, "needs a phase, or --input, and not both");
    if (!phase && request->values[CLI_AT])
        return cli_request_refuse(request, "--at is about a phase; --input is as it is");
    return 0;
}

int cli_dataset_open(const struct cli_request *request, struct cli_dataset *dataset)
{
    int r = check_input(request);

    *dataset = (struct cli_dataset){ .input = { .size = sizeof dataset->input,
                                                .phase = cli_request_operand(request, 0),
                                                .prefix = cli_request_operand(request, 1),
                                                .path = request->values[CLI_INPUT] } };
    dataset->name = dataset->input.phase ? dataset->input.phase : dataset->input.path;
    if (r == 0)
        r = cli_read_time(request, CLI_AT, &dataset->input.as_of);
    if (r == 0 && dataset->input.phase)
        r = cli_store_read(request, NULL, &dataset->client);
    dataset->input.client = dataset->client;
    return r;
}

void cli_dataset_close(struct cli_dataset *dataset)
{
    flagver_close(dataset->client);
}

int cli_dataset_rules(const struct cli_request *request, flagver_dataset_rule **ret_rules)
{
    flagver_dataset_rule *rules = cli_allocate((request->field_count + 1) * sizeof *rules);
    const char *field, *equals;
    size_t i;

    for (i = 0; i < request->field_count; i++) {
        field = request->fields[i];
        equals = strrchr(field, '=');
        if (!equals) {
            cli_dataset_free_rules(rules, i);
            return cli_request_refuse(request, "--field %s has no \"=\" before a rule", field);
        }
        rules[i] = (flagver_dataset_rule){ cli_copy(field, (size_t)(equals - field)), equals + 1 };
    }
    *ret_rules = rules;
    return 0;
}

void cli_dataset_free_rules(flagver_dataset_rule *rules, size_t count)
{
    while (count-- > 0)
        free((char *)rules[count].field);
    free(rules);
}

int cli_dataset_fail(const char *name, const flagver_error *err)
{
    bool names_file = err->code == FLAGVER_EPARSE || err->code == FLAGVER_EIO;
    int status = cli_fail(names_file ? NULL : name, err);

    if (err->code == FLAGVER_EIO && (!name || strncmp(err->message, name, strlen(name)) == 0))
        return CLI_INVALID;
    return status;
}

/* ---- snapshot ---- */

static void print_saved(const struct cli_request *request, const char *path,
                        const flagver_dataset_saved *saved)
{
    char hex[2 * FLAGVER_HASH_SIZE + 1];

    cli_print_hex(saved->sha256, sizeof saved->sha256, hex);
    if (request->values[CLI_JSON])
        cli_print_document(json_pack("{s:o, s:I, s:I, s:s}", "file", cli_json_text(path), "records",
                                     (json_int_t)saved->records, "bytes", (json_int_t)saved->bytes,
                                     "sha256", hex));
    else
        cli_print("%s: %" PRIu64 " records, sha256 %s\n", path, saved->records, hex);
}

int cli_snapshot(const struct cli_request *request)
{
    const char *path = request->values[CLI_OUTPUT];
    flagver_dataset_saved saved;
    struct cli_dataset dataset;
    flagver_error error;
    int r;

    if (!path || !*path)
        return cli_request_refuse(request, "needs --output");
    if (strcmp(path, "-") == 0)
        return cli_request_refuse(request, "--output -: a snapshot is a file");
    r = cli_dataset_open(request, &dataset);
    if (r == 0) {
        cli_progress(dataset.name);
        if (flagver_dataset_save(&dataset.input, path, &saved, &error) < 0)
            r = cli_dataset_fail(dataset.name, &error);
    }
    cli_progress(NULL);
    cli_dataset_close(&dataset);
    if (r == 0)
        print_saved(request, path, &saved);
    return r;
}

/* ---- compare ---- */

struct comparing {
    bool as_json;
    uint32_t limit; /* 0: none */
    uint64_t printed;
};

/* A value on its line, cut off where it is long. */
static void print_side(const char *json)
{
    size_t length = json ? strlen(json) : 0, cut = cli_cut(json ? json : "", length, SHOWN);

    if (!json)
        cli_print("nothing");
    else
        cli_print("%.*s%s", (int)cut, json, cut < length ? "..." : "");
}

static void print_words(const flagver_dataset_difference *difference)
{
    bool is_error = difference->finding == FLAGVER_FINDING_ERROR;

    cli_print_styled(is_error ? CLI_RED : CLI_YELLOW, "%s", is_error ? "error" : "warning");
    cli_print("  %s  ", flagver_difference_name(difference->kind));
    cli_print_name(difference->key);
    if (difference->kind != FLAGVER_DIFFERENCE_VALUE) {
        cli_print("  ");
        print_side(difference->before ? difference->before : difference->after);
    } else {
        cli_print("  ");
        cli_print_name(*difference->pointer ? difference->pointer : "(root)");
        cli_print("  ");
        print_side(difference->before);
        cli_print(" -> ");
        print_side(difference->after);
    }
    cli_print("\n");
}

/* Numbers stay as they are written: the values are put in as text. */
static void print_json(const flagver_dataset_difference *difference)
{
    json_t *document = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "difference",
                                 flagver_difference_name(difference->kind), "severity",
                                 difference->finding == FLAGVER_FINDING_ERROR ? "error" : "warning",
                                 "key", json_stringn(difference->key, difference->key_length),
                                 "pointer", cli_json_text(difference->pointer), "beforeLine",
                                 cli_json_number((uint32_t)difference->before_line), "afterLine",
                                 cli_json_number((uint32_t)difference->after_line));
    char *text;

    if (!document)
        cli_out_of_memory();
    text = cli_json_write(document, JSON_COMPACT);
    text[strlen(text) - 1] = 0;
    cli_print("%s", text);
    if (difference->before)
        cli_print(",\"before\":%s", difference->before);
    if (difference->after)
        cli_print(",\"after\":%s", difference->after);
    cli_print("}\n");
    free(text);
    json_decref(document);
}

static bool print_difference(void *data, const flagver_dataset_difference *difference)
{
    struct comparing *comparing = data;

    if (comparing->limit && comparing->printed >= comparing->limit)
        return true;
    comparing->printed++;
    if (comparing->as_json)
        print_json(difference);
    else
        print_words(difference);
    return true;
}

static json_t *result_document(const flagver_dataset_comparison *result)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "before",
                     (json_int_t)result->before, "after", (json_int_t)result->after, "equal",
                     (json_int_t)result->equal, "tolerated", (json_int_t)result->tolerated,
                     "missing", (json_int_t)result->missing, "extra", (json_int_t)result->extra,
                     "changed", (json_int_t)result->changed, "errors", (json_int_t)result->errors,
                     "warnings", (json_int_t)result->warnings);
}

static void print_result(const struct comparing *comparing,
                         const flagver_dataset_comparison *result)
{
    uint64_t found = result->errors + result->warnings;

    if (comparing->as_json) {
        cli_print_document(result_document(result));
        return;
    }
    if (found > comparing->printed)
        cli_print("and %" PRIu64 " more\n", found - comparing->printed);
    cli_print("%" PRIu64 " records before, %" PRIu64 " after: %" PRIu64 " equal, %" PRIu64
              " within tolerance, %" PRIu64 " missing, %" PRIu64 " extra, %" PRIu64 " changed\n",
              result->before, result->after, result->equal, result->tolerated, result->missing,
              result->extra, result->changed);
    cli_print_styled(result->errors     ? CLI_RED
                     : result->warnings ? CLI_YELLOW
                                        : CLI_GREEN,
                     "%" PRIu64 " errors, %" PRIu64 " warnings", result->errors, result->warnings);
    cli_print("\n");
}

static int compare(const struct cli_request *request, struct comparing *comparing,
                   const flagver_dataset_rule *rules)
{
    const char *before = cli_request_operand(request, 0), *after = cli_request_operand(request, 1);
    const flagver_dataset_compare_options options = { .size = sizeof options,
                                                      .tolerance = request->values[CLI_TOLERANCE],
                                                      .rules = rules,
                                                      .rule_count = request->field_count,
                                                      .strict = request->values[CLI_STRICT] !=
                                                                NULL };
    flagver_dataset_comparison result;
    flagver_error error;
    int r;

    r = flagver_dataset_compare(before, after, &options, print_difference, comparing, &result,
                                &error);
    if (r == FLAGVER_EINVAL)
        return cli_request_refuse(request, "%s", error.message);
    if (r < 0)
        return cli_dataset_fail(NULL, &error);
    print_result(comparing, &result);
    return result.errors ? CLI_FOUND : CLI_DONE;
}

int cli_compare(const struct cli_request *request)
{
    struct comparing comparing = { .as_json = request->values[CLI_JSON] != NULL };
    const char *limit = request->values[CLI_LIMIT];
    flagver_dataset_rule *rules;
    int r;

    if (limit && !cli_parse_number(limit, 0, &comparing.limit))
        return cli_request_refuse(request, "--limit %s: a number is needed", limit);
    if (strcmp(cli_request_operand(request, 0), "-") == 0 &&
        strcmp(cli_request_operand(request, 1), "-") == 0)
        return cli_request_refuse(request, "both files are standard input");
    r = cli_dataset_rules(request, &rules);
    if (r)
        return r;
    r = compare(request, &comparing, rules);
    cli_dataset_free_rules(rules, request->field_count);
    return r;
}
