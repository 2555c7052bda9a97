#include "explain.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "output.h"

/* Enough for every number that a person wrote. */
#define REAL_DIGITS 15

static const char *member(const json_t *step, const char *name)
{
    const char *text = json_string_value(json_object_get(step, name));

    return text ? text : "";
}

static void print_found(const json_t *value)
{
    char *text = cli_json_write(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS));

    cli_print(" (%s", value ? "it is " : "missing");
    if (text)
        cli_print_name(text);
    cli_print(")");
    free(text);
}

static void print_served(const json_t *step)
{
    const json_t *bucket = json_object_get(step, "bucket");
    const char *code = member(step, "errorCode");

    cli_print("serves ");
    cli_print_name(*code ? "the default" : member(step, "variant"));
    cli_print(" (%s", *code ? code : member(step, "reason"));
    if (bucket)
        cli_print(", bucket %" JSON_INTEGER_FORMAT, json_integer_value(bucket));
    cli_print(")");
}

static void print_rule(const json_t *step)
{
    const char *id = member(step, "id");

    cli_print("rule ");
    if (*id)
        cli_print_name(id);
    else
        cli_print("at /rules/%" JSON_INTEGER_FORMAT,
                  json_integer_value(json_object_get(step, "index")));
}

static const char *settled(const json_t *step)
{
    if (json_is_true(json_object_get(step, "forced")))
        return "forced by an override or by FLAGVER_FLAG_... in the environment";
    if (strcmp(member(step, "reason"), "DISABLED") == 0)
        return "the flag is disabled";
    return "the same for everybody";
}

static double thousandths(const json_t *value)
{
    return (double)json_integer_value(value) / 1000;
}

/* "bucket 39037 of 100000 by targetingKey; below 30 %: no" */
static void print_bucket(const json_t *step)
{
    const json_t *bounds = json_object_get(step, "bounds"), *bound;
    json_int_t bucket = json_integer_value(json_object_get(step, "bucket"));
    json_int_t of = json_integer_value(json_object_get(step, "of"));
    size_t i;

    cli_print("bucket %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " by ", bucket, of);
    cli_print_name(member(step, "by"));
    json_array_foreach(bounds, i, bound)
        cli_print("%s %g %%", i ? "," : "; the bound is", thousandths(bound));
}

/* Any step, also one that this program has not heard of. */
static void print_subject(const char *kind, const json_t *step)
{
    if (strcmp(kind, "evaluate") == 0) {
        cli_print("flag ");
        cli_print_name(member(step, "flag"));
    } else if (strcmp(kind, "settled") == 0) {
        cli_print("%s", settled(step));
    } else if (strcmp(kind, "schedule") == 0) {
        cli_print("the schedule stands at %g %%", thousandths(json_object_get(step, "threshold")));
    } else if (strcmp(kind, "bucket") == 0) {
        print_bucket(step);
    } else if (strcmp(kind, "targets") == 0) {
        cli_print("targeting key is listed");
    } else if (strcmp(kind, "requires") == 0) {
        cli_print("flag ");
        cli_print_name(member(step, "flag"));
        cli_print(" serves ");
        cli_print_name(member(step, "variant"));
    } else if (strcmp(kind, "segment") == 0) {
        cli_print("in segment ");
        cli_print_name(member(step, "segment"));
    } else if (strcmp(kind, "rule") == 0) {
        print_rule(step);
    } else if (strcmp(kind, "condition") == 0) {
        cli_print_name(member(step, "attr"));
        cli_print(" %s", member(step, "op"));
    } else if (strcmp(kind, "served") == 0) {
        print_served(step);
    } else {
        cli_print_name(kind);
    }
}

static void print_step(const json_t *step, int *depth)
{
    const json_t *holds = json_object_get(step, "holds");
    const char *kind = member(step, "step");

    cli_print("%*s", *depth * 2, "");
    print_subject(kind, step);
    if (holds)
        cli_print(": %s", json_is_true(holds) ? "yes" : "no");
    if (strcmp(kind, "condition") == 0)
        print_found(json_object_get(step, "found"));
    cli_print("\n");

    if (strcmp(kind, "evaluate") == 0)
        ++*depth;
    else if (strcmp(kind, "served") == 0)
        --*depth;
}

void cli_explain_print(const char *json)
{
    json_error_t error;
    json_t *explanation = cli_json_read(json, strlen(json), 0, &error), *step;
    int depth = 1;
    size_t i;

    json_array_foreach(json_object_get(explanation, "steps"), i, step) print_step(step, &depth);
    json_decref(explanation);
}
