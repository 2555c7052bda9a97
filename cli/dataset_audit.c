/* What stands in the fields of records: audit-values. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "dataset.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "table.h"

/* Below this the exit status tells, as the library's recommendation does. */
#define LEAST_SCORE 80

/* What one field has more of. */
#define DETAILS_SIZE 400

struct auditing {
    bool as_json;
    struct cli_table table;
};

/* ---- for programs ---- */

static json_t *top_document(const flagver_dataset_field *field)
{
    json_t *array = json_array();
    uint32_t i;

    for (i = 0; i < field->top_count; i++)
        cli_json_append(array, json_pack("{s:s, s:I, s:I}", "value", field->top[i].value, "count",
                                         (json_int_t)field->top[i].count, "uncertain",
                                         (json_int_t)field->top[i].uncertain));
    return array;
}

static json_t *numbers_document(const flagver_dataset_field *field)
{
    const double *q = field->quantiles;

    if (field->integers + field->reals == 0)
        return json_null();
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "min",
                     field->minimum, "max", field->maximum, "mean", field->mean, "deviation",
                     field->deviation, "p1", q[0], "p5", q[1], "p25", q[2], "p50", q[3], "p75",
                     q[4], "p95", q[5], "p99", q[6], "rounding", field->rounding);
}

static json_t *lengths_document(const flagver_dataset_field *field)
{
    if (!field->strings)
        return json_null();
    return json_pack("{s:I, s:I}", "min", (json_int_t)field->shortest, "max",
                     (json_int_t)field->longest);
}

static void print_json(const flagver_dataset_field *field)
{
    json_t *document = json_pack(
        "{s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "field", cli_json_text(field->field),
        "score", (int)field->score, "count", (json_int_t)field->count, "missing",
        (json_int_t)field->missing, "nulls", (json_int_t)field->nulls, "empty",
        (json_int_t)field->empty, "invalid", (json_int_t)field->invalid, "odd",
        (json_int_t)field->odd, "distinct", (json_int_t)field->distinct);

    cli_json_set(document, "types",
                 json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "boolean", (json_int_t)field->booleans,
                           "integer", (json_int_t)field->integers, "real", (json_int_t)field->reals,
                           "string", (json_int_t)field->strings, "array", (json_int_t)field->arrays,
                           "object", (json_int_t)field->objects));
    cli_json_set(document, "numbers", numbers_document(field));
    cli_json_set(document, "lengths", lengths_document(field));
    cli_json_set(document, "top", top_document(field));
    cli_print_document(document);
}

static void print_health_json(const flagver_dataset_health *health)
{
    cli_print_document(json_pack(
        "{s:I, s:i, s:s, s:I, s:I, s:I, s:I, s:o}", "records", (json_int_t)health->records, "score",
        (int)health->score, "recommendation", health->recommendation, "fields",
        (json_int_t)health->fields, "leftOut", (json_int_t)health->left_out, "invalid",
        (json_int_t)health->invalid, "misfits", (json_int_t)health->misfits, "misfit",
        cli_json_text(*health->misfit ? health->misfit : NULL)));
}

/* ---- for people ---- */

static void add_count(char *text, uint64_t count, const char *what)
{
    size_t length = strlen(text);

    if (count)
        snprintf(text + length, DETAILS_SIZE - length, "%s%" PRIu64 " %s", length ? ", " : "",
                 count, what);
}

static void add_problems(struct cli_table *table, const flagver_dataset_field *field)
{
    char text[DETAILS_SIZE] = "";

    add_count(text, field->missing, "missing");
    add_count(text, field->nulls, "null");
    add_count(text, field->empty, "empty");
    add_count(text, field->odd, "odd");
    add_count(text, field->invalid, "invalid");
    cli_table_add(table, text);
}

static void add_types(struct cli_table *table, const flagver_dataset_field *field)
{
    char text[DETAILS_SIZE] = "";

    add_count(text, field->booleans, "boolean");
    add_count(text, field->integers, "integer");
    add_count(text, field->reals, "real");
    add_count(text, field->strings, "string");
    add_count(text, field->arrays, "array");
    add_count(text, field->objects, "object");
    cli_table_add(table, text);
}

static void add_distribution(struct cli_table *table, const flagver_dataset_field *field)
{
    const double *q = field->quantiles;
    char text[DETAILS_SIZE] = "";
    size_t length;
    uint32_t i;

    if (field->integers + field->reals > 0)
        snprintf(text, sizeof text, "%g to %g, mean %g, median %g, p5 %g, p95 %g", field->minimum,
                 field->maximum, field->mean, q[3], q[1], q[5]);
    for (i = 0; i < field->top_count && i < 3; i++) {
        length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s%.24s (%" PRIu64 ")",
                 !length ? ""
                 : i     ? ", "
                         : "; ",
                 field->top[i].value, field->top[i].count);
    }
    cli_table_add(table, text);
}

static void add_row(struct cli_table *table, const flagver_dataset_field *field)
{
    cli_table_add(table, *field->field ? field->field : "(root)");
    cli_table_format(table, "%u", (unsigned)field->score);
    cli_table_format(table, "%" PRIu64, field->count);
    add_problems(table, field);
    add_types(table, field);
    cli_table_format(table, "%" PRIu64, field->distinct);
    add_distribution(table, field);
}

static void print_health(const flagver_dataset_health *health)
{
    cli_print("%" PRIu64 " records, %" PRIu64 " fields", health->records, health->fields);
    if (health->invalid)
        cli_print(", %" PRIu64 " invalid values", health->invalid);
    if (health->left_out)
        cli_print("; %" PRIu64 " values in further fields were not looked at", health->left_out);
    cli_print("\n");
    if (health->misfits) {
        cli_print("%" PRIu64 " do not fit the schema of their phase; ", health->misfits);
        cli_print_name(health->misfit);
        cli_print("\n");
    }
    cli_print("score %u: ", (unsigned)health->score);
    cli_print_name(health->recommendation);
    cli_print("\n");
}

/* ---- the command ---- */

static void visit_field(void *data, const flagver_dataset_field *field)
{
    struct auditing *auditing = data;

    if (auditing->as_json)
        print_json(field);
    else
        add_row(&auditing->table, field);
}

static int audit(const struct cli_request *request, const struct cli_dataset *dataset,
                 const flagver_dataset_rule *rules)
{
    static const char *const heading[] = { "FIELD", "SCORE",    "COUNT",       "PROBLEMS",
                                           "TYPES", "DISTINCT", "DISTRIBUTION" };
    const flagver_dataset_audit_options options = { .size = sizeof options,
                                                    .rules = rules,
                                                    .rule_count = request->field_count };
    struct auditing auditing = { .as_json = request->values[CLI_JSON] != NULL,
                                 .table = { .columns = sizeof heading / sizeof *heading } };
    flagver_dataset_health health;
    flagver_error error;
    size_t i;
    int r;

    for (i = 0; i < auditing.table.columns; i++)
        cli_table_add(&auditing.table, heading[i]);
    cli_progress(dataset->name);
    r = flagver_dataset_audit(&dataset->input, &options, visit_field, &auditing, &health, &error);
    cli_progress(NULL);
    cli_table_print(&auditing.table);
    if (r == FLAGVER_EINVAL)
        return cli_request_refuse(request, "%s", error.message);
    if (r < 0)
        return cli_dataset_fail(dataset->name, &error);
    if (auditing.as_json)
        print_health_json(&health);
    else
        print_health(&health);
    return health.invalid || health.misfits || health.score < LEAST_SCORE ? CLI_FOUND : CLI_DONE;
}

int cli_audit_values(const struct cli_request *request)
{
    flagver_dataset_rule *rules;
    struct cli_dataset dataset;
    int r = cli_dataset_rules(request, &rules);

    if (r)
        return r;
    r = cli_dataset_open(request, &dataset);
    if (r == 0)
        r = audit(request, &dataset, rules);
    cli_dataset_close(&dataset);
    cli_dataset_free_rules(rules, request->field_count);
    return r;
}
