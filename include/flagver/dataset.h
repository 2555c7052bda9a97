/**
 * libflagver: data sets: what records say at one moment, in a file that proves itself, compared
 * with what they say at another, and looked over value by value.
 *
 * An application proves with them that a rollout changed nothing that it should not: it saves what
 * it puts out before and after, and compares. docs/datasets.md shows how.
 *
 * A record is a key, 1 to FLAGVER_DATASET_KEY_LIMIT bytes of UTF-8 without control characters, and
 * any JSON value. Records come from a phase of a store (the versions in force, by subject), from
 * JSON lines of any system, from the application itself, or from a snapshot file.
 *
 * JSON lines: an object per line with the members "key" (a string) and "value", and no others, in
 * any order; empty lines do not count.
 *
 * A snapshot file is lines of canonical JSON in byte order of the keys:
 *
 *     {"flagver":"snapshot","form":1,"phase":"price","prefix":null,"time":"2026-03-01T12:00:00Z"}
 *     {"key":"chair","sha256":"…","value":{"price":40}}
 *     {"key":"table","sha256":"…","value":{"price":120.5}}
 *     {"records":2,"sha256":"…"}
 *
 * A record's digest is of its value in canonical form, that of the last line of all bytes before
 * it. A file that was cut off or edited is FLAGVER_EPARSE, with words that name the line:
 * "before.jsonl:3: the value is not what its sha256 is of". The digests are no signature: who
 * makes the file anew can put anything into it.
 *
 * Memory is bounded whatever the number of records. A file is called by its path; "-" is standard
 * input. Threads: any; a flagver_dataset is used by one at a time.
 */
#ifndef FLAGVER_DATASET_H
#define FLAGVER_DATASET_H

#include "flagver/base.h"
#include "flagver/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The longest key and line, in bytes. */
#define FLAGVER_DATASET_KEY_LIMIT 1024
#define FLAGVER_DATASET_LINE_LIMIT (64u << 20)

/* ---- where records come from ---- */

/**
 * A phase of a store or a file; set `size`.
 *
 * client, phase  the versions in force, deleted ones left out; both or neither
 * prefix         only subjects that begin with it; NULL: all
 * as_of          what was in force at this time, in microseconds; 0: now
 * path           without a phase: a snapshot file, or JSON lines; "-" is standard input
 */
typedef struct flagver_dataset_input {
    size_t size;
    flagver_client *client;
    const char *phase, *prefix;
    int64_t as_of;
    const char *path;
} flagver_dataset_input;

/** A record; borrowed until the visitor returns. `line` is 0 where there are no lines. */
typedef struct flagver_dataset_record {
    const char *key;
    size_t key_length;
    const char *value; /**< canonical JSON, NUL-terminated */
    size_t value_length;
    uint64_t line;
} flagver_dataset_record;

/**
 * Visit all records, in the order in which they are there; `visit` ends it by returning false.
 * Of a snapshot file everything is checked on the way; what was visited before an
 * error may be wrong. The records of a phase come from one state of the store.
 *
 * @return 0, or
 *   FLAGVER_EINVAL     malformed arguments
 *   FLAGVER_EPARSE     malformed, cut off or edited; `err->line` says where
 *   FLAGVER_ENOTFOUND  the store knows no such phase: it has neither a policy nor records
 *   FLAGVER_EKEY       a record is encrypted, and its key is not at hand
 *   FLAGVER_EIO        the file cannot be read
 *   or as flagver_version_list()
 */
FLAGVER_API int flagver_dataset_read(const flagver_dataset_input *input,
                                     bool (*visit)(void *data,
                                                   const flagver_dataset_record *record),
                                     void *data, flagver_error *err);

/* ---- saving ---- */

/** What was saved. `sha256` is that of the file's last line. More members may follow. */
typedef struct flagver_dataset_saved {
    uint64_t records, bytes;
    uint8_t sha256[32];
} flagver_dataset_saved;

/**
 * Save records as a snapshot file. A file that is there is replaced at the end, all at once; after
 * an error, or when the process is killed, it is as it was, and what was begun is in a file PATH.….part
 * beside it. Records that are not in order of their keys are sorted, in 64 MiB of memory
 * and files without a name beside it.
 *
 * @param ret_saved  may be NULL
 * @return as flagver_dataset_read(), and FLAGVER_EIO also when the file cannot be written;
 *   a key that comes twice is FLAGVER_EPARSE
 */
FLAGVER_API int flagver_dataset_save(const flagver_dataset_input *input, const char *path,
                                     flagver_dataset_saved *ret_saved, flagver_error *err);

/** A snapshot file that an application fills itself. */
typedef struct flagver_dataset flagver_dataset;

/**
 * Begin a snapshot file. Put the records, in any order; finish, and only then is there a file; free
 * in any case. What is said of flagver_dataset_save() holds.
 *
 * @param ret_dataset  to be freed with flagver_dataset_free(); without finish nothing is left
 */
FLAGVER_API int flagver_dataset_new(const char *path, flagver_dataset **ret_dataset,
                                    flagver_error *err);

/**
 * @param key   `key_length` bytes
 * @param json  `length` bytes of JSON, which are kept in canonical form
 * @return 0, FLAGVER_EINVAL (key; or it was finished), FLAGVER_EPARSE (value); the data set is then
 *   as before. After FLAGVER_EIO or FLAGVER_ENOMEM it can only be freed.
 */
FLAGVER_API int flagver_dataset_put(flagver_dataset *dataset, const char *key, size_t key_length,
                                    const char *json, size_t length, flagver_error *err);
FLAGVER_API int flagver_dataset_finish(flagver_dataset *dataset, flagver_dataset_saved *ret_saved,
                                       flagver_error *err);
FLAGVER_API void flagver_dataset_free(flagver_dataset *dataset); /* NULL is fine */

/* ---- rules for fields ---- */

/**
 * What one field is held to. Of several rules that fit the last one counts.
 *
 * field   a JSON pointer such as "/lines/0/price"; a part that is "*" stands for any one. A "/" that
 *         it does not begin with is added: "price" is "/price"; "" is the whole value. For a
 *         comparison it is also about all that is in the field. Up to 1024 bytes.
 * rule    for flagver_dataset_compare():
 *           "0.5%"     numbers may differ by so much of the larger one, 0 to 100
 *           "abs:0.01" numbers may differ by so much
 *           "1%,abs:2" either of them
 *           "exact"    any difference is an error, also one that would be a warning
 *           "ignore"   no difference counts
 *         for flagver_dataset_audit(), what its values must be:
 *           "null", "boolean", "integer", "number", "string" (not an empty one), "array", "object",
 *           "datetime" (RFC 3339), "uuid", "any"; several with "|" between them
 */
typedef struct flagver_dataset_rule {
    const char *field;
    const char *rule;
} flagver_dataset_rule;

/** The most rules, and the tolerance of numbers without one: 5 %. */
#define FLAGVER_DATASET_RULE_LIMIT 256
#define FLAGVER_DATASET_TOLERANCE 0.05

/* ---- comparing ---- */

/** Options of a comparison; set `size`, NULL is all defaults.
 *
 * tolerance  for numbers without a rule, as in a rule: "0%", "1%,abs:0.01"; NULL: 5 %
 * rules      rule_count of them
 * strict     non-zero: what would be a warning is an error
 */
typedef struct flagver_dataset_compare_options {
    size_t size;
    const char *tolerance;
    const flagver_dataset_rule *rules;
    size_t rule_count;
    int32_t strict;
    int32_t reserved;
} flagver_dataset_compare_options;

#define FLAGVER_DIFFERENCE_MISSING 1 /**< the record is only in the first */
#define FLAGVER_DIFFERENCE_EXTRA 2   /**< the record is only in the second */
#define FLAGVER_DIFFERENCE_VALUE 3   /**< it says something else */

/** "MISSING", "EXTRA", "VALUE"; NULL for a number that is none. Static. */
FLAGVER_API const char *flagver_difference_name(int32_t kind);

/**
 * One difference; borrowed. More members may follow in later versions of the library.
 *
 * kind           FLAGVER_DIFFERENCE_…
 * finding        FLAGVER_FINDING_ERROR or _WARNING
 * pointer        VALUE: which part of the value; "" all of it
 * before, after  JSON; NULL: it is not there
 * before_line, after_line  of the files; 0: it is not there
 */
typedef struct flagver_dataset_difference {
    int32_t kind, finding;
    const char *key;
    size_t key_length;
    const char *pointer;
    const char *before, *after;
    uint64_t before_line, after_line;
} flagver_dataset_difference;

/**
 * What came of a comparison. More members may follow in later versions of the library.
 *
 * before, after  records
 * equal      records that are the same in both
 * tolerated  records in which nothing differs but numbers within their tolerance, or what is ignored
 * missing, extra, changed  records
 * errors, warnings  differences
 */
typedef struct flagver_dataset_comparison {
    uint64_t before, after, equal, tolerated, missing, extra, changed;
    uint64_t errors, warnings;
} flagver_dataset_comparison;

/**
 * Compare two snapshot files, key by key. Each difference is an error or a warning:
 *
 *   error    a record is missing or extra; a number differs by more than its tolerance; where one
 *            side has a number the other has something else, or nothing
 *   warning  any other: texts, booleans, null, members that came or went with no number in them
 *
 * Two numbers a and b are within a tolerance where |a - b| <= max(abs, rel * max(|a|, |b|)); where
 * that is not 0, a difference of max(|a|, |b|) * 2^-52, which is what rounding makes, is allowed
 * beside it. Whole numbers are compared exactly in 64 bits, and with other numbers as
 * what they are: 1 and 1.0 are equal. Objects are compared by their members, arrays by their indices.
 *
 * `visit` gets each difference, in byte order of keys; it ends the comparison by returning
 * false. Both files are checked on the way: after an error nothing that was visited
 * is worth anything. Memory: a record of either file.
 *
 * @param visit       may be NULL
 * @param ret_result  may be NULL
 * @return 0 whatever was found; FLAGVER_EINVAL names the malformed rule; FLAGVER_EPARSE,
 *   FLAGVER_EIO, FLAGVER_ENOMEM
 */
FLAGVER_API int
flagver_dataset_compare(const char *before, const char *after,
                        const flagver_dataset_compare_options *options,
                        bool (*visit)(void *data, const flagver_dataset_difference *difference),
                        void *data, flagver_dataset_comparison *ret_result, flagver_error *err);

/* ---- looking over values ---- */

/** The most fields of an audit; what is in further ones is not looked at, but counted. */
#define FLAGVER_DATASET_FIELD_LIMIT 1000

#define FLAGVER_DATASET_TOP 5

/** Options of an audit; set `size`, NULL is all defaults: what fields must be. */
typedef struct flagver_dataset_audit_options {
    size_t size;
    const flagver_dataset_rule *rules;
    size_t rule_count;
} flagver_dataset_audit_options;

/** A value that comes often: `count` may be too large by `uncertain`. `value` is JSON, and cut off
    behind 64 bytes. */
typedef struct flagver_dataset_top {
    const char *value;
    uint64_t count, uncertain;
} flagver_dataset_top;

/**
 * What stands in one field of all records; borrowed. More members may follow.
 *
 * field      a JSON pointer, "*" in the place of an index; "" is the values themselves
 * count      how often it is there, null or not
 * missing    objects in which it is not, but could be: other records' have it in that place
 * nulls … objects  of which type
 * empty      strings that say nothing: empty, white space, or in any case "null", "none", "nan",
 *            "n/a", "undefined"
 * invalid    values that no rule for the field allows
 * odd        values of another type than most are, null left aside; integers and reals are one type
 * minimum … deviation  of numbers, as doubles; deviation: of all of them, not of a sample
 * quantiles  of numbers: 1, 5, 25, 50, 75, 95, 99 %, nearest rank
 * rounding   by what share quantiles may be off; 0: they are exact, as they are with up to 2048
 *            different numbers
 * shortest, longest  of strings, in characters
 * distinct   different values, null left aside; exact below 1024, else within some 6 %
 * top        top_count values that come most often, of those that come twice and in 1 % of the places
 * score      0 to 100, see flagver_dataset_audit()
 */
typedef struct flagver_dataset_field {
    const char *field;
    uint64_t count, missing;
    uint64_t nulls, booleans, integers, reals, strings, arrays, objects;
    uint64_t empty, invalid, odd;
    double minimum, maximum, mean, deviation;
    double quantiles[7];
    double rounding;
    uint64_t shortest, longest;
    uint64_t distinct;
    flagver_dataset_top top[FLAGVER_DATASET_TOP];
    uint32_t top_count;
    uint32_t score;
} flagver_dataset_field;

/**
 * What came of an audit. More members may follow in later versions of the library.
 *
 * records    that were looked at
 * misfits    of them, records that the schema of the phase's policy does not allow
 * misfit     which was the first, and why, or ""
 * fields     that were visited
 * left_out   values in more than FLAGVER_DATASET_FIELD_LIMIT fields
 * invalid    values, in all fields
 * score      0 to 100
 * recommendation  what to do, a sentence that ends without a point
 */
typedef struct flagver_dataset_health {
    uint64_t records, misfits, fields, left_out, invalid;
    uint32_t score, reserved;
    char misfit[256];
    char recommendation[256];
} flagver_dataset_health;

/**
 * Look over the values of all records, field by field.
 *
 * The score of a field is 100 * (1 - bad / places), rounded down. Places are count + missing; bad are
 * the invalid and the odd values, and half of the nulls, of the empty strings and of what is
 * missing. The values themselves ("") are a field, too, unless all are objects. The score of a data set is the mean of its fields', times the share of its records
 * that fit the schema, rounded down; without records it is 0. From 95 on a data set is fit, below 80
 * it should not be built upon; the recommendation says so, and names the field that is worst.
 *
 * A rule without "*" makes a field known: it is visited even if no record has it. Memory: up to
 * some 45 KB per field.
 *
 * @param visit  gets the fields in byte order of their names, when all was read; may be NULL
 * @return 0 whatever was found, or as flagver_dataset_read(); FLAGVER_EINVAL names the malformed rule
 */
FLAGVER_API int flagver_dataset_audit(const flagver_dataset_input *input,
                                      const flagver_dataset_audit_options *options,
                                      void (*visit)(void *data, const flagver_dataset_field *field),
                                      void *data, flagver_dataset_health *ret_health,
                                      flagver_error *err);

#ifdef __cplusplus
}
#endif

#endif
