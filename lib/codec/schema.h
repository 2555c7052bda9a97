/*
 * Schemas: what a phase's policy asks of the payloads of its records, in a part
 * of JSON Schema 2020-12 that can be checked in bounded time.
 *
 *     any value   type (one or several), enum, const, allOf, anyOf, oneOf, not,
 *                 $ref: "#/$defs/NAME"; $defs stands at the top only
 *     strings     minLength, maxLength (code points), pattern: found anywhere,
 *                 with the expressions of model/regex.h
 *     numbers     minimum, maximum, exclusiveMinimum, exclusiveMaximum,
 *                 multipleOf: of the decimals as they are written, so that 0.3
 *                 is a multiple of 0.1
 *     arrays      items, minItems, maxItems, uniqueItems
 *     objects     properties, required, additionalProperties, minProperties,
 *                 maxProperties
 *     notes       title, description, default, examples, format, $schema, $id,
 *                 $comment: may stand there and change nothing
 *
 * true and false are schemas too. Any other keyword is refused by its name:
 * what would not be checked must not look as if it were.
 *
 * 1.0 is an integer, and equals 1, as JSON Schema has it.
 */
#ifndef FV_CODEC_SCHEMA_H
#define FV_CODEC_SCHEMA_H

#include "codec/reading.h"

/* Schemas inside each other as they are written, and $ref, allOf, anyOf, oneOf and not that lead
 * from one to the next without looking into the value. */
#define FV_SCHEMA_NESTING 100

/* Schemas inside each other while a payload is checked, with the ways through $ref: as much as
 * stacks of 128 KiB bear. */
#define FV_SCHEMA_DEPTH 250

/*
 * What one payload may take: a schema that is held against a value, two values
 * that are compared, 256 bytes that are counted or that one step of a regular
 * expression reads. Without it a schema of a few lines could keep a writer busy
 * for as long as it likes.
 */
#define FV_SCHEMA_CHECKS 1000000

/* Immutable: any number of threads may check with it. */
struct fv_schema;

/*
 * Compile a schema that stands at `place` of a text; "#" in it means the schema
 * itself. It keeps what it needs of `value`, which must not change any more.
 *
 * @return 0, FLAGVER_EPARSE that names the place, FLAGVER_ENOMEM
 */
int fv_schema_new(const struct fv_reading *reading, const struct fv_place *place,
                  const json_t *value, struct fv_schema **ret_schema);
void fv_schema_free(struct fv_schema *schema); /* NULL is fine */

/*
 * Hold a payload, out of fv_json_parse(), against a schema. Words name the first
 * part that does not fit and never say what it holds, which may be a secret:
 * "/owner/email: is 300 characters; up to 255 allowed".
 *
 * @return 0, or
 *   FLAGVER_EVALIDATION  it does not fit, or takes more than the limits above
 *   FLAGVER_ENOMEM
 */
int fv_schema_check(const struct fv_schema *schema, const json_t *payload, flagver_error *err);

#endif
