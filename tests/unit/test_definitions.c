/*
 * Definitions: what is refused, with which words and at which place, and what
 * is accepted although it looks odd.
 *
 * In a row "^" stands right before the place that the error is to name.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp() */
#include "flags.h"

#include <errno.h>
#include <unistd.h>

struct row {
    const char *label;
    const char *json;
    const char *pointer;
    const char *words;
};

#define FLAG(definition) "{'flags': {'f': " definition "}}"
#define BOOLEAN(members) FLAG("{'type': 'boolean', " members "}")
#define STRING(members) \
    FLAG("{'type': 'string', 'variants': {'a': 'A', 'b': 'B'}, 'default': 'a', " members "}")
#define RULE(members) BOOLEAN("'rules': [{" members "}]")
#define IF(condition) RULE("'if': " condition ", 'serve': 'on'")
#define LEAF(op, operand) IF("{'attr': 'x', 'op': '" op "', " operand "}")
#define STEPS(steps) BOOLEAN("'schedule': {'steps': [" steps "]}")
#define GUARDS(guards)                                                                  \
    BOOLEAN("'schedule': {'steps': [{'at': '2026-01-01T00:00:00Z', 'percentage': 5}], " \
            "'guards': " guards "}")
#define SEGMENT(members) "{'segments': {'s': {" members "}}}"

#define TEN "aaaaaaaaaa"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define LONG_128 HUNDRED TEN TEN "aaaaaaaa"
#define LONG_256 LONG_128 LONG_128

static const struct row text_rows[] = {
    { "nothing", "^", "(root)", "empty" },
    { "blanks", " \n ^", "(root)", "empty" },
    { "no object", "^[]", "(root)", "must be an object, not an array" },
    { "a text", "^'flags'", "(root)", "must be an object, not a string" },
    { "null", "^null", "(root)", "must be an object, not null" },
    { "cut off after the brace", "{^", "(root)", "text ends" },
    { "cut off in a key", "{^'fla", "(root)", "" },
    { "cut off in a flag", "{'flags': {'f': {'type': 'boolean'^", "/flags/f", "text ends" },
    { "something behind", "{'flags': {}} ^x", "(root)", "" },
    { "a second document", "{} ^{}", "(root)", "goes on after the value" },
    { "a comma too many", "{'flags': {},^}", "(root)", "" },
    { "a comment", "{^/* */}", "(root)", "comment" },
    { "no colon", "{'flags' ^{}}", "(root)", "':'" },
    { "a byte order mark", "^\xef\xbb\xbf{}", "(root)", "byte order mark" },
    { "a byte that is no UTF-8", "{'flags': {'^\xff': {'type': 'boolean'}}}", "/flags", "UTF-8" },
    { "UTF-8 cut short", "{'flags': {'f': {'type': 'boolean', 'description': 'a^\xc3'}}}",
      "/flags/f/description", "UTF-8" },
    { "an overlong NUL", "{'flags': {'f': {'type': 'boolean', 'description': '^\xc0\x80'}}}",
      "/flags/f/description", "UTF-8" },
    { "a NUL escape in a value", BOOLEAN("'description': 'a^\\u0000'"), "/flags/f/description",
      "u0000" },
    { "a NUL escape in a key", "{'flags': {'f^\\u0000': {}}}", "/flags", "u0000" },
    { "half of a surrogate pair", BOOLEAN("'description': '^\\ud800'"), "/flags/f/description",
      "surrogate" },
    { "a control character", BOOLEAN("'description': 'a^\tb'"), "/flags/f/description", "" },
    { "an integer beyond int64",
      FLAG("{'type': 'integer', 'variants': {'a': ^9223372036854775808}, 'default': 'a'}"),
      "/flags/f/variants/a", "out of range" },
    { "an integer below int64",
      FLAG("{'type': 'integer', 'variants': {'a': ^-9223372036854775809}, 'default': 'a'}"),
      "/flags/f/variants/a", "out of range" },
    { "a double beyond double",
      FLAG("{'type': 'double', 'variants': {'a': ^1e400}, 'default': 'a'}"), "/flags/f/variants/a",
      "" },
    { "an integer beyond int64 inside JSON",
      FLAG("{'type': 'json', 'variants': {'a': [1, ^9223372036854775808]}, 'default': 'a'}"),
      "/flags/f/variants/a/1", "out of range" },
    { "the same key twice", BOOLEAN("^'type': 'boolean'"), "/flags/f", "\"type\" stands twice" },
    { "the same flag twice", "{'flags': {'f': {'type': 'boolean'},\n ^'f': {'type': 'boolean'}}}",
      "/flags", "\"f\" stands twice" },
    { "the same flag twice, spelled otherwise",
      "{'flags': {'f': {'type': 'boolean'}, ^'\\u0066': {'type': 'boolean'}}}", "/flags",
      "stands twice" },
    { "the same section twice", "{'flags': {}, ^'flags': {}}", "(root)", "\"flags\" stands twice" },
    { "the same variant twice in targets", BOOLEAN("'targets': {'on': ['u1'], ^'on': ['u2']}"),
      "/flags/f/targets", "\"on\" stands twice" },
    { "lines are counted", "{\n 'flags': {\n  'f': {'type': ^'bool'}\n }\n}", "/flags/f/type",
      "unknown type" },
    { "columns are characters",
      FLAG("{'type': 'boolean', 'description': 'größe \xf0\x9f\x9a\xa9', ^'nope': 1}"),
      "/flags/f/nope", "unknown key" },
    { "pointers are escaped", "{'flags': {'a/b~c': {'type': ^'bool'}}}", "/flags/a~1b~0c/type",
      "unknown type" },
};

static const struct row key_rows[] = {
    { "at the root", "{^'flag': {}}", "/flag", "unknown key \"flag\"; known are flags" },
    { "at the root, capitals", "{^'Flags': {}}", "/Flags", "unknown key" },
    { "in a flag", BOOLEAN("^'percent': 5"), "/flags/f/percent",
      "unknown key \"percent\"; known are type" },
    { "in a flag, empty", BOOLEAN("^'': 5"), "/flags/f/", "unknown key" },
    { "in requires", BOOLEAN("'requires': [{'flag': 'f', 'variant': 'on', ^'value': true}]"),
      "/flags/f/requires/0/value", "unknown key" },
    { "in a rule", RULE("'serve': 'on', ^'when': 1"), "/flags/f/rules/0/when", "unknown key" },
    { "in a serve", RULE("'serve': {'percentage': 5, ^'seed': 1}"), "/flags/f/rules/0/serve/seed",
      "unknown key" },
    { "in a serve, a schedule", RULE("'serve': {^'schedule': {}}"),
      "/flags/f/rules/0/serve/schedule", "unknown key" },
    { "in a schedule", BOOLEAN("'schedule': {'steps': [], ^'by': 'x'}"), "/flags/f/schedule/by",
      "unknown key" },
    { "in a step", STEPS("{'at': '2026-01-01T00:00:00Z', 'percentage': 5, ^'x': 1}"),
      "/flags/f/schedule/steps/0/x", "unknown key" },
    { "in guards", GUARDS("{'error_rate': 1, ^'p99_ms': 1}"), "/flags/f/schedule/guards/p99_ms",
      "unknown key \"p99_ms\"; known are error_rate, p95_ms, p95_ratio, samples, back" },
    { "in env", BOOLEAN("'env': {^'off': 'X'}"), "/flags/f/env/off", "unknown key" },
    { "in a condition", IF("{'attr': 'x', 'op': 'eq', 'value': 1, ^'negate': true}"),
      "/flags/f/rules/0/if/negate", "unknown key" },
    { "in a nested condition", IF("{'all': [{'not': {'segment': 's', ^'x': 1}}]}"),
      "/flags/f/rules/0/if/all/0/not/x", "unknown key" },
    { "in a segment", SEGMENT("^'includes': []"), "/segments/s/includes", "unknown key" },
    { "in a segment, what only flags have", SEGMENT("^'type': 'boolean'"), "/segments/s/type",
      "unknown key" },
    { "in a policy", "{'phases': {'p': {^'approve': 'anyone'}}}", "/phases/p/approve",
      "unknown key" },
    { "in a rule of a policy", "{'phases': {'p': {'write': {^'role': 'x'}}}}",
      "/phases/p/write/role", "unknown key" },
    { "in a schema of a policy", "{'phases': {'p': {'schema': {'items': {^'if': {}}}}}}",
      "/phases/p/schema/items/if", "unknown key" },
    { "in an assignment", "{'assignments': {'r/s': {'users': ['a'], ^'user': 'b'}}}",
      "/assignments/r~1s/user", "unknown key" },
    { "a phase of the library that it does not have", "{'phases': {^'flagver.x': {}}}",
      "/phases/flagver.x", "reserved" },
    { "an assignment without a subject", "{'assignments': {^'owner': {'users': ['a']}}}",
      "/assignments/owner", "does not say for which subject" },
};

static const struct row missing_rows[] = {
    { "a type", FLAG("^{}"), "/flags/f", "\"type\" is missing" },
    { "variants", FLAG("^{'type': 'string', 'default': 'a'}"), "/flags/f",
      "\"variants\" is missing" },
    { "a default", FLAG("^{'type': 'string', 'variants': {'a': 'A'}}"), "/flags/f",
      "\"default\" is missing" },
    { "variants at all", FLAG("{'type': 'json', 'variants': ^{}, 'default': 'a'}"),
      "/flags/f/variants", "1 to" },
    { "a serve", BOOLEAN("'rules': [^{'id': 'r'}]"), "/flags/f/rules/0", "\"serve\" is missing" },
    { "anything to serve", RULE("'serve': ^{'by': 'x'}"), "/flags/f/rules/0/serve",
      "either \"split\" or \"percentage\"" },
    { "a requirement's flag", BOOLEAN("'requires': [^{'variant': 'on'}]"), "/flags/f/requires/0",
      "\"flag\"" },
    { "a requirement's variant", BOOLEAN("'requires': [^{'flag': 'f'}]"), "/flags/f/requires/0",
      "\"variant\"" },
    { "a condition's form", IF("^{}"), "/flags/f/rules/0/if", "all, any, not" },
    { "a condition's form, operands alone", IF("^{'op': 'eq', 'value': 1}"), "/flags/f/rules/0/if",
      "all, any, not" },
    { "an operator", IF("^{'attr': 'x', 'value': 1}"), "/flags/f/rules/0/if", "\"op\" is missing" },
    { "an operand", IF("^{'attr': 'x', 'op': 'eq'}"), "/flags/f/rules/0/if",
      "either \"value\" or \"values\"" },
    { "an operand of exists", IF("^{'attr': 'x', 'op': 'exists'}"), "/flags/f/rules/0/if",
      "either \"value\" or \"values\"" },
    { "a condition's variant", IF("^{'flag': 'f'}"), "/flags/f/rules/0/if", "\"variant\"" },
    { "steps", BOOLEAN("'schedule': ^{'interpolate': 'step'}"), "/flags/f/schedule",
      "\"steps\" is missing" },
    { "any step", BOOLEAN("'schedule': {'steps': ^[]}"), "/flags/f/schedule/steps",
      "must not be empty" },
    { "a step's time", STEPS("^{'percentage': 5}"), "/flags/f/schedule/steps/0", "\"at\"" },
    { "a step's percentage", STEPS("^{'at': '2026-01-01T00:00:00Z'}"), "/flags/f/schedule/steps/0",
      "\"percentage\"" },
    { "any limit of guards", GUARDS("^{}"), "/flags/f/schedule/guards",
      "needs \"error_rate\", \"p95_ms\" or \"p95_ratio\"" },
    { "any limit beside samples", GUARDS("^{'samples': 5, 'back': 'zero'}"),
      "/flags/f/schedule/guards", "needs \"error_rate\"" },
    { "conditions in all", IF("{'all': ^[]}"), "/flags/f/rules/0/if/all", "must not be empty" },
    { "conditions in any", IF("{'any': ^[]}"), "/flags/f/rules/0/if/any", "must not be empty" },
    { "operands", LEAF("eq", "'values': ^[]"), "/flags/f/rules/0/if/values", "must not be empty" },
    { "an attribute's name", IF("{'attr': ^'', 'op': 'eq', 'value': 1}"),
      "/flags/f/rules/0/if/attr", "must not be empty" },
    { "by's name", BOOLEAN("'by': ^''"), "/flags/f/by", "must not be empty" },
    { "by's name in a serve", RULE("'serve': {'percentage': 5, 'by': ^''}"),
      "/flags/f/rules/0/serve/by", "must not be empty" },
};

static const struct row name_rows[] = {
    { "an empty flag key", "{'flags': {^'': {'type': 'boolean'}}}", "/flags/", "1 to 256 allowed" },
    { "a long flag key", "{'flags': {^'" LONG_256 "a': {'type': 'boolean'}}}", "/flags/",
      "is 257 bytes; 1 to 256 allowed" },
    { "a long flag key, counted in bytes",
      "{'flags': {^'" LONG_128 HUNDRED TEN TEN "aaaaaaaä': {'type': 'boolean'}}}", "/flags/",
      "is 257 bytes" },
    { "a control character in a flag key", "{'flags': {^'a\\nb': {'type': 'boolean'}}}", "/flags/",
      "control character" },
    { "DEL in a flag key", "{'flags': {^'a\\u007f': {'type': 'boolean'}}}", "/flags/",
      "control character" },
    { "C1 in a flag key", "{'flags': {^'\\u0085': {'type': 'boolean'}}}", "/flags/",
      "control character" },
    { "an empty segment name", "{'segments': {^'': {}}}", "/segments/", "1 to 256 allowed" },
    { "a long segment name", "{'segments': {^'" LONG_256 "a': {}}}", "/segments/",
      "is 257 bytes; 1 to 256 allowed" },
    { "a control character in a segment name", "{'segments': {^'\\u0001': {}}}", "/segments/",
      "control character" },
    { "an empty variant name", FLAG("{'type': 'string', 'variants': {^'': 'A'}, 'default': ''}"),
      "/flags/f/variants/", "1 to 128 allowed" },
    { "a long variant name",
      FLAG("{'type': 'string', 'variants': {^'" LONG_128 "a': 'A'}, 'default': 'x'}"),
      "/flags/f/variants/", "is 129 bytes; 1 to 128 allowed" },
    { "a control character in a variant name",
      FLAG("{'type': 'string', 'variants': {^'\\u001f': 'A'}, 'default': 'x'}"),
      "/flags/f/variants/", "control character" },
    { "an unknown default", FLAG("{'type': 'string', 'variants': {'a': 'A'}, 'default': ^'b'}"),
      "/flags/f/default", "no variant \"b\"" },
    { "an unknown default of a boolean", BOOLEAN("'default': ^'true'"), "/flags/f/default",
      "no variant \"true\"" },
    { "an unknown off", STRING("'off': ^'c'"), "/flags/f/off", "no variant \"c\"" },
    { "names are exact", STRING("'off': ^'A'"), "/flags/f/off", "no variant \"A\"" },
    { "an unknown variant to serve", RULE("'serve': ^'yes'"), "/flags/f/rules/0/serve",
      "no variant \"yes\"" },
    { "an unknown variant in targets", STRING("'targets': {^'c': []}"), "/flags/f/targets/c",
      "no variant \"c\"" },
    { "an unknown variant in a split", STRING("'split': {'a': 1, ^'c': 1}"), "/flags/f/split/c",
      "no variant \"c\"" },
    { "an unknown variant in a rule's split", RULE("'serve': {'split': {^'c': 1}}"),
      "/flags/f/rules/0/serve/split/c", "no variant \"c\"" },
    { "an unknown type", FLAG("{'type': ^'number'}"), "/flags/f/type", "unknown type \"number\"" },
    { "an unknown bucketing", BOOLEAN("'bucketing': ^'md5'"), "/flags/f/bucketing",
      "unknown bucketing \"md5\"" },
    { "an unknown bucketing in a serve", RULE("'serve': {'percentage': 5, 'bucketing': ^'murmur'}"),
      "/flags/f/rules/0/serve/bucketing", "unknown bucketing" },
    { "the same id twice",
      BOOLEAN("'rules': [{'id': 'r', 'serve': 'on'}, {'serve': 'on'}, {'id': ^'r', 'serve': "
              "'on'}]"),
      "/flags/f/rules/2/id", "\"r\"" },
    { "an empty id twice",
      BOOLEAN("'rules': [{'id': '', 'serve': 'on'}, {'id': ^'', 'serve': 'on'}]"),
      "/flags/f/rules/1/id", "another rule" },
    { "a variable without a name", BOOLEAN("'env': {'enabled': ^''}"), "/flags/f/env/enabled",
      "variable's name" },
    { "a variable with a =", BOOLEAN("'env': {'beta': ^'A=B'}"), "/flags/f/env/beta",
      "variable's name" },
    { "two keys with one variable",
      "{'flags': {'pay_fast': {'type': 'boolean'}, ^'pay-fast': {'type': 'boolean'}}}",
      "/flags/pay-fast", "FLAGVER_FLAG_PAY_FAST" },
    { "two keys that differ in case",
      "{'flags': {'Pay': {'type': 'boolean'}, ^'pay': {'type': 'boolean'}}}", "/flags/pay",
      "FLAGVER_FLAG_PAY" },
    { "two keys that differ beyond ASCII",
      "{'flags': {'aä': {'type': 'boolean'}, ^'a--': {'type': 'boolean'}}}", "/flags/a--",
      "FLAGVER_FLAG_A__" },
};

static const struct row value_rows[] = {
    { "a negative percentage", BOOLEAN("'percentage': ^-1"), "/flags/f/percentage",
      "0 to 100 allowed" },
    { "a percentage a little below 0", BOOLEAN("'percentage': ^-0.001"), "/flags/f/percentage",
      "0 to 100 allowed" },
    { "a percentage beyond 100", BOOLEAN("'percentage': ^101"), "/flags/f/percentage",
      "0 to 100 allowed" },
    { "a percentage a little beyond 100", BOOLEAN("'percentage': ^100.001"), "/flags/f/percentage",
      "0 to 100 allowed" },
    { "a huge percentage", BOOLEAN("'percentage': ^1e300"), "/flags/f/percentage",
      "0 to 100 allowed" },
    { "four decimals", BOOLEAN("'percentage': ^12.3456"), "/flags/f/percentage",
      "more than three decimals" },
    { "a tiny percentage", BOOLEAN("'percentage': ^0.0001"), "/flags/f/percentage",
      "more than three decimals" },
    { "half a thousandth", BOOLEAN("'percentage': ^0.0005"), "/flags/f/percentage",
      "more than three decimals" },
    { "four decimals below 100", BOOLEAN("'percentage': ^99.9999"), "/flags/f/percentage",
      "more than three decimals" },
    { "the smallest double", BOOLEAN("'percentage': ^5e-324"), "/flags/f/percentage",
      "more than three decimals" },
    { "a percentage in a rule", RULE("'serve': {'percentage': ^100.5}"),
      "/flags/f/rules/0/serve/percentage", "0 to 100 allowed" },
    { "a percentage in a step", STEPS("{'at': '2026-01-01T00:00:00Z', 'percentage': ^-5}"),
      "/flags/f/schedule/steps/0/percentage", "0 to 100 allowed" },
    { "a negative weight", STRING("'split': {'a': 5, 'b': ^-1}"), "/flags/f/split/b",
      "integer from 0 to 1000000" },
    { "a weight beyond 1,000,000", STRING("'split': {'a': ^1000001, 'b': 1}"), "/flags/f/split/a",
      "integer from 0 to 1000000" },
    { "a weight that is no integer", STRING("'split': {'a': ^1.5, 'b': 1}"), "/flags/f/split/a",
      "integer from 0 to 1000000" },
    { "a weight with a point", STRING("'split': {'a': ^1.0, 'b': 1}"), "/flags/f/split/a",
      "integer from 0 to 1000000" },
    { "weights of zero", STRING("'split': ^{'a': 0, 'b': 0}"), "/flags/f/split", "0" },
    { "no weights", STRING("'split': ^{}"), "/flags/f/split", "0" },
    { "no weights in a rule", RULE("'serve': {'split': ^{'on': 0}}"),
      "/flags/f/rules/0/serve/split", "0" },
    { "3.0 is no integer", FLAG("{'type': 'integer', 'variants': {'a': ^3.0}, 'default': 'a'}"),
      "/flags/f/variants/a", "the flag is of type integer" },
    { "1e3 is no integer", FLAG("{'type': 'integer', 'variants': {'a': ^1e3}, 'default': 'a'}"),
      "/flags/f/variants/a", "the flag is of type integer" },
    { "two true variants", FLAG("{'type': 'boolean', 'variants': ^{'a': true, 'b': true}}"),
      "/flags/f/variants", "exactly one true and one false" },
    { "two false variants", FLAG("{'type': 'boolean', 'variants': ^{'a': false, 'b': false}}"),
      "/flags/f/variants", "exactly one true and one false" },
    { "one variant of a boolean", FLAG("{'type': 'boolean', 'variants': ^{'a': true}}"),
      "/flags/f/variants", "exactly one true and one false" },
    { "three variants of a boolean",
      FLAG("{'type': 'boolean', 'variants': ^{'a': true, 'b': false, 'c': true}}"),
      "/flags/f/variants", "exactly one true and one false" },
    { "an unknown interpolation", BOOLEAN("'schedule': {'interpolate': ^'cubic', 'steps': []}"),
      "/flags/f/schedule/interpolate", "unknown interpolation \"cubic\"" },
    { "a step at a date alone", STEPS("{'at': ^'2026-01-01', 'percentage': 5}"),
      "/flags/f/schedule/steps/0/at", "RFC 3339" },
    { "a step without an offset", STEPS("{'at': ^'2026-01-01T00:00:00', 'percentage': 5}"),
      "/flags/f/schedule/steps/0/at", "RFC 3339" },
    { "two steps at once",
      STEPS("{'at': '2026-01-01T00:00:00Z', 'percentage': 5}, "
            "{'at': ^'2026-01-01T01:00:00+01:00', 'percentage': 6}"),
      "/flags/f/schedule/steps/1/at", "in time" },
    { "two steps in one millisecond",
      STEPS("{'at': '2026-01-01T00:00:00.0001Z', 'percentage': 5}, "
            "{'at': ^'2026-01-01T00:00:00.0009Z', 'percentage': 6}"),
      "/flags/f/schedule/steps/1/at", "in time" },
    { "steps backwards",
      STEPS("{'at': '2026-01-03T00:00:00Z', 'percentage': 5}, "
            "{'at': '2026-01-04T00:00:00Z', 'percentage': 6}, "
            "{'at': ^'2026-01-02T00:00:00Z', 'percentage': 7}"),
      "/flags/f/schedule/steps/2/at", "in time" },
    { "an error rate of none", GUARDS("{'error_rate': ^0}"), "/flags/f/schedule/guards/error_rate",
      "above 0" },
    { "an error rate above all", GUARDS("{'error_rate': ^100.1}"),
      "/flags/f/schedule/guards/error_rate", "0 to 100 allowed" },
    { "an error rate to a ten-thousandth", GUARDS("{'error_rate': ^0.0001}"),
      "/flags/f/schedule/guards/error_rate", "three decimals" },
    { "a p95 of no time", GUARDS("{'p95_ms': ^0}"), "/flags/f/schedule/guards/p95_ms",
      "above 0 and up to 86400000" },
    { "a p95 of more than a day", GUARDS("{'p95_ms': ^86400000.1}"),
      "/flags/f/schedule/guards/p95_ms", "above 0 and up to 86400000" },
    { "a ratio that asks to be faster", GUARDS("{'p95_ratio': ^0.99}"),
      "/flags/f/schedule/guards/p95_ratio", "from 1 to 1000" },
    { "a ratio of more than a thousand", GUARDS("{'p95_ratio': ^1000.5}"),
      "/flags/f/schedule/guards/p95_ratio", "from 1 to 1000" },
    { "no samples", GUARDS("{'p95_ms': 1, 'samples': ^0}"), "/flags/f/schedule/guards/samples",
      "from 1 to 1000000000" },
    { "too many samples", GUARDS("{'p95_ms': 1, 'samples': ^1000000001}"),
      "/flags/f/schedule/guards/samples", "from 1 to 1000000000" },
    { "another way back", GUARDS("{'p95_ms': 1, 'back': ^'start'}"),
      "/flags/f/schedule/guards/back", "\"start\"; known are step, zero" },
    { "guards of a percentage", BOOLEAN("'percentage': 5, ^'guards': {'error_rate': 1}"),
      "/flags/f/guards", "unknown key" },
    { "a key targeted twice", STRING("'targets': {'a': ['u1', 'u2'], 'b': ['u3', ^'u1']}"),
      "/flags/f/targets/b/1", "\"u1\" is targeted to two variants" },
    { "a key in beta and targeted to the false variant",
      BOOLEAN("'beta': ['u2', ^'u1'], 'targets': {'on': ['u3'], 'off': ['u1']}"), "/flags/f/beta/1",
      "\"u1\" is targeted to two variants" },
    { "the empty key targeted twice", STRING("'targets': {'a': [''], 'b': [^'']}"),
      "/flags/f/targets/b/0", "targeted to two variants" },
    { "salt with md5-mod100", BOOLEAN("^'salt': 's', 'bucketing': 'md5-mod100'"), "/flags/f/salt",
      "md5-mod100 takes no salt" },
    { "an empty salt with md5-mod100", BOOLEAN("'bucketing': 'md5-mod100', ^'salt': ''"),
      "/flags/f/salt", "md5-mod100 takes no salt" },
    { "salt with md5-mod100 in a rule",
      RULE("'serve': {'percentage': 5, ^'salt': 's', 'bucketing': 'md5-mod100'}"),
      "/flags/f/rules/0/serve/salt", "md5-mod100 takes no salt" },
    { "metadata that nests", BOOLEAN("'metadata': {'a': 1, 'b': ^[1]}"), "/flags/f/metadata/b",
      "must be a string, a number or a boolean" },
};

static const struct row place_rows[] = {
    { "a percentage beside a split", BOOLEAN("'percentage': 5, ^'split': {'on': 1}"),
      "/flags/f/split", "\"split\" cannot stand beside \"percentage\"" },
    { "a percentage beside a schedule", BOOLEAN("'percentage': 5, ^'schedule': {'steps': []}"),
      "/flags/f/schedule", "\"schedule\" cannot stand beside \"percentage\"" },
    { "a split beside a schedule", BOOLEAN("^'schedule': {'steps': []}, 'split': {'on': 1}"),
      "/flags/f/schedule", "\"schedule\" cannot stand beside \"split\"" },
    { "a percentage beside a split in a rule",
      RULE("'serve': ^{'percentage': 5, 'split': {'on': 1}}"), "/flags/f/rules/0/serve",
      "either \"split\" or \"percentage\"" },
    { "a percentage of a string", STRING("^'percentage': 5"), "/flags/f/percentage",
      "only boolean flags take a percentage" },
    { "a schedule of a string", STRING("^'schedule': {'steps': []}"), "/flags/f/schedule",
      "only boolean flags take a schedule" },
    { "beta of a string", STRING("^'beta': []"), "/flags/f/beta", "only boolean flags" },
    { "a percentage in a string's rule", STRING("'rules': [{'serve': {^'percentage': 5}}]"),
      "/flags/f/rules/0/serve/percentage", "only boolean flags take a percentage" },
    { "a beta variable of a string", STRING("'env': {^'beta': 'X'}"), "/flags/f/env/beta",
      "only boolean flags" },
    { "a percentage variable of a string", STRING("'env': {^'percentage': 'X'}"),
      "/flags/f/env/percentage", "only boolean flags" },
    { "all beside any", IF("{'all': [{'segment': 's'}], ^'any': [{'segment': 's'}]}"),
      "/flags/f/rules/0/if/any", "\"any\" cannot stand beside \"all\"" },
    { "not beside a leaf", IF("{'not': {'segment': 's'}, ^'attr': 'x', 'op': 'eq', 'value': 1}"),
      "/flags/f/rules/0/if/attr", "\"attr\" cannot stand beside \"not\"" },
    { "a variant beside a segment", IF("{'segment': 's', ^'variant': 'on'}"),
      "/flags/f/rules/0/if/variant", "\"variant\" cannot stand beside \"segment\"" },
    { "an operator beside a flag", IF("{'flag': 'f', 'variant': 'on', ^'op': 'eq'}"),
      "/flags/f/rules/0/if/op", "\"op\" cannot stand beside \"flag\"" },
    { "value beside values", IF("^{'attr': 'x', 'op': 'eq', 'value': 1, 'values': [1]}"),
      "/flags/f/rules/0/if", "either \"value\" or \"values\"" },
    { "fold beside all", IF("{'all': [{'segment': 's'}], ^'fold': true}"),
      "/flags/f/rules/0/if/fold", "\"fold\" cannot stand beside \"all\"" },
    { "fold on lt", LEAF("lt", "'value': 1, ^'fold': true"), "/flags/f/rules/0/if/fold",
      "does not compare strings" },
    { "fold on gte", LEAF("gte", "'value': 1, ^'fold': true"), "/flags/f/rules/0/if/fold",
      "does not compare strings" },
    { "fold on before", LEAF("before", "'value': 1, ^'fold': true"), "/flags/f/rules/0/if/fold",
      "does not compare strings" },
    { "fold on semver_eq", LEAF("semver_eq", "'value': '1', ^'fold': true"),
      "/flags/f/rules/0/if/fold", "does not compare strings" },
    { "fold on in_cidr", LEAF("in_cidr", "'value': '::1', ^'fold': true"),
      "/flags/f/rules/0/if/fold", "does not compare strings" },
    { "fold on exists", LEAF("exists", "'value': true, ^'fold': true"), "/flags/f/rules/0/if/fold",
      "does not compare strings" },
};

static const struct row operand_rows[] = {
    { "an unknown operator", IF("{'attr': 'x', 'op': ^'ne', 'value': 1}"), "/flags/f/rules/0/if/op",
      "unknown operator \"ne\"" },
    { "operators are spelled small", IF("{'attr': 'x', 'op': ^'EQ', 'value': 1}"),
      "/flags/f/rules/0/if/op", "unknown operator \"EQ\"" },
    { "the empty operator", IF("{'attr': 'x', 'op': ^'', 'value': 1}"), "/flags/f/rules/0/if/op",
      "unknown operator \"\"" },
    { "the second of several", LEAF("in", "'values': ['a', ^null]"), "/flags/f/rules/0/if/values/1",
      "not null" },
    { "an array among several", LEAF("in", "'values': [^['a']]"), "/flags/f/rules/0/if/values/0",
      "not an array" },
    { "a text among numbers", LEAF("lt", "'values': [1, ^'2']"), "/flags/f/rules/0/if/values/1",
      "not a string" },
    { "a number among texts", LEAF("contains", "'values': ['1', ^2]"),
      "/flags/f/rules/0/if/values/1", "not an integer" },
    { "a date alone", LEAF("before", "'value': ^'2026-01-01'"), "/flags/f/rules/0/if/value",
      "RFC 3339" },
    { "a date with a space", LEAF("after", "'value': ^'2026-01-01 00:00:00Z'"),
      "/flags/f/rules/0/if/value", "RFC 3339" },
    { "second 60", LEAF("after", "'value': ^'2016-12-31T23:59:60Z'"), "/flags/f/rules/0/if/value",
      "RFC 3339" },
    { "half a millisecond", LEAF("after", "'value': ^0.5"), "/flags/f/rules/0/if/value",
      "whole number of milliseconds" },
    { "V2", LEAF("semver_eq", "'value': ^'V2'"), "/flags/f/rules/0/if/value", "semantic version" },
    { "an empty version", LEAF("semver_lt", "'values': ['1', ^'']"), "/flags/f/rules/0/if/values/1",
      "semantic version" },
    { "a version with leading zeros", LEAF("semver_gte", "'value': ^'01.0.0'"),
      "/flags/f/rules/0/if/value", "semantic version" },
    { "an open group", LEAF("matches", "'value': ^'(a'"), "/flags/f/rules/0/if/value", "" },
    { "a back-reference", LEAF("matches", "'value': ^'(a)\\\\1'"), "/flags/f/rules/0/if/value",
      "" },
    { "a Unicode class", LEAF("matches", "'values': ['a', ^'\\\\p{L}']"),
      "/flags/f/rules/0/if/values/1", "" },
    { "1001 repetitions", LEAF("matches", "'value': ^'a{1001}'"), "/flags/f/rules/0/if/value", "" },
    { "a prefix too long", LEAF("in_cidr", "'value': ^'10.0.0.0/33'"), "/flags/f/rules/0/if/value",
      "network" },
    { "half an address", LEAF("in_cidr", "'value': ^'10.0.0/8'"), "/flags/f/rules/0/if/value",
      "network" },
    { "a zone", LEAF("in_cidr", "'values': ['::1', ^'fe80::1%eth0']"),
      "/flags/f/rules/0/if/values/1", "network" },
};

static const struct row reference_rows[] = {
    { "a required flag that is not there", BOOLEAN("'requires': [{'flag': ^'g', 'variant': 'on'}]"),
      "/flags/f/requires/0/flag", "\"g\" that does not exist" },
    { "a required variant that is not there",
      "{'flags': {'f': {'type': 'boolean', 'requires': [{'flag': 'g', 'variant': ^'yes'}]}, "
      "'g': {'type': 'boolean'}}}",
      "/flags/f/requires/0/variant", "\"yes\"" },
    { "a flag in a condition that is not there", IF("{'not': {'flag': ^'g', 'variant': 'on'}}"),
      "/flags/f/rules/0/if/not/flag", "\"g\" that does not exist" },
    { "a variant in a condition that is not there",
      "{'flags': {'f': {'type': 'boolean', "
      "'rules': [{'if': {'flag': 'g', 'variant': ^'ON'}, 'serve': 'on'}]}, "
      "'g': {'type': 'boolean'}}}",
      "/flags/f/rules/0/if/variant", "\"ON\"" },
    { "a segment that is not there", IF("{'segment': ^'s'}"), "/flags/f/rules/0/if/segment",
      "\"s\" that does not exist" },
    { "a flag is no segment", IF("{'segment': ^'f'}"), "/flags/f/rules/0/if/segment",
      "\"f\" that does not exist" },
    { "a segment is no flag",
      "{'flags': {'f': {'type': 'boolean', 'requires': [{'flag': ^'s', 'variant': 'on'}]}}, "
      "'segments': {'s': {}}}",
      "/flags/f/requires/0/flag", "\"s\" that does not exist" },
    { "a segment in a segment that is not there", SEGMENT("'if': {'segment': ^'t'}"),
      "/segments/s/if/segment", "\"t\" that does not exist" },
    { "a flag in a segment that is not there",
      SEGMENT("'if': {'any': [{'flag': ^'g', 'variant': 'on'}]}"), "/segments/s/if/any/0/flag",
      "\"g\" that does not exist" },
    { "a disabled flag's references count",
      BOOLEAN("'enabled': false, 'requires': [{'flag': ^'g', 'variant': 'on'}]"),
      "/flags/f/requires/0/flag", "\"g\" that does not exist" },
    { "a flag that requires itself", BOOLEAN("'requires': [{'flag': ^'f', 'variant': 'on'}]"),
      "/flags/f/requires/0/flag", "itself" },
    { "a flag that asks itself", IF("{'flag': ^'f', 'variant': 'on'}"), "/flags/f/rules/0/if/flag",
      "itself" },
    { "a segment in itself", SEGMENT("'if': {'not': {'segment': ^'s'}}"),
      "/segments/s/if/not/segment", "itself" },
};

/* ---- running a row ---- */

/* The row's JSON without the mark; the place of the mark. */
static char *unmarked(const char *marked, int32_t *ret_line, int32_t *ret_column)
{
    char *json = quoted(marked), *mark = strchr(json, '^'), *at;

    *ret_line = *ret_column = 0;
    if (!mark)
        return json;
    memmove(mark, mark + 1, strlen(mark));
    *ret_line = *ret_column = 1;
    for (at = json; at < mark; at++) {
        if (*at == '\n') {
            ++*ret_line;
            *ret_column = 1;
        } else if (((unsigned char)*at & 0xc0) != 0x80) {
            ++*ret_column;
        }
    }
    return json;
}

/* `error` names the place and says why. `name` is the file's, or NULL. */
static void assert_place(const struct row *row, const char *name, int32_t line, int32_t column)
{
    struct fv_text expected = FV_TEXT_INIT;

    if (name)
        fv_text_format(&expected, "%s:%d:%d: ", name, (int)line, (int)column);
    else
        fv_text_format(&expected, "line %d, column %d: ", (int)line, (int)column);
    fv_text_add(&expected, row->pointer);

    ck_assert_msg(strncmp(error.message, expected.data, expected.length) == 0,
                  "%s: \"%s\" does not begin with \"%s\"", row->label, error.message,
                  expected.data);
    ck_assert_msg(strstr(error.message + expected.length, row->words) != NULL,
                  "%s: \"%s\" is not in \"%s\"", row->label, row->words, error.message);
    ck_assert_msg(strchr(error.message, '\n') == NULL, "%s: more than a line", row->label);
    ck_assert_int_eq(error.line, line);
    ck_assert_int_eq(error.column, column);
    fv_text_clear(&expected);
}

/* What a client has before it is given something malformed. */
static const char sound[] = "{\"flags\": {\"base\": {\"type\": \"integer\", \"variants\": {\"x\": "
                            "5}, \"default\": \"x\"}}}";

static void assert_unharmed(const char *label, flagver_client *client, uint64_t generation)
{
    ck_assert_msg(flagver_client_generation(client) == generation, "%s: the generation has changed",
                  label);
    ck_assert_msg(flagver_flag_int(client, "base", NULL, 0) == 5, "%s: base is gone", label);
    ck_assert_msg(!flagver_flag_bool(client, "f", NULL, false), "%s: f is there", label);
}

static void write_file(const char *path, const char *text, size_t length)
{
    FILE *file = fopen(path, "w");

    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    fclose(file);
}

static void check_memory_client(const struct row *row, const char *json, int32_t line,
                                int32_t column)
{
    flagver_client *client;
    uint64_t generation;

    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    assert_ok(flagver_client_load(client, sound, strlen(sound), &error));
    generation = flagver_client_generation(client);

    assert_fails(FLAGVER_EPARSE, flagver_client_load(client, json, strlen(json), &error));
    assert_place(row, NULL, line, column);
    assert_unharmed(row->label, client, generation);
    assert_fails(FLAGVER_EPARSE, flagver_client_merge(client, json, strlen(json), &error));
    assert_place(row, NULL, line, column);
    assert_unharmed(row->label, client, generation);
    flagver_close(client);
}

static void check_file_client(const struct row *row, const char *json, int32_t line, int32_t column)
{
    char folder[] = "/tmp/flagver-XXXXXX", path[64], uri[80];
    flagver_client *client, *none = NULL;
    uint64_t generation;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/f.json", folder);
    snprintf(uri, sizeof uri, "file:%s", path);
    write_file(path, sound, strlen(sound));
    assert_ok(flagver_open(uri, NULL, &client, &error));
    generation = flagver_client_generation(client);

    write_file(path, json, strlen(json));
    assert_fails(FLAGVER_EPARSE, flagver_client_refresh(client, &error));
    assert_place(row, path, line, column);
    assert_unharmed(row->label, client, generation);
    assert_fails(FLAGVER_EPARSE, flagver_open(uri, NULL, &none, &error));
    assert_place(row, path, line, column);
    ck_assert_ptr_null(none);

    flagver_close(client);
    unlink(path);
    rmdir(folder);
}

static void check_row(const struct row *row)
{
    flagver_snapshot *snapshot = NULL;
    int32_t line, column;
    char *json = unmarked(row->json, &line, &column);

    assert_fails(FLAGVER_EPARSE,
                 flagver_snapshot_load(json, strlen(json), NULL, &snapshot, &error));
    assert_place(row, NULL, line, column);
    ck_assert_ptr_null(snapshot);
    ck_assert_int_eq(flagver_snapshot_load(json, strlen(json), NULL, &snapshot, NULL),
                     FLAGVER_EPARSE);
    assert_fails(FLAGVER_EPARSE,
                 flagver_definitions_lint(json, strlen(json), "x", NULL, NULL, &error));
    assert_place(row, "x", line, column);

    check_memory_client(row, json, line, column);
    check_file_client(row, json, line, column);
    free(json);
}

START_TEST(malformed_text_is_refused)
{
    check_row(&text_rows[_i]);
}
END_TEST

START_TEST(unknown_keys_are_refused_at_every_level)
{
    check_row(&key_rows[_i]);
}
END_TEST

START_TEST(what_is_needed_must_be_there)
{
    check_row(&missing_rows[_i]);
}
END_TEST

START_TEST(names_must_fit)
{
    check_row(&name_rows[_i]);
}
END_TEST

START_TEST(values_must_fit)
{
    check_row(&value_rows[_i]);
}
END_TEST

START_TEST(what_excludes_each_other_is_refused)
{
    check_row(&place_rows[_i]);
}
END_TEST

START_TEST(operands_must_fit_their_operator)
{
    check_row(&operand_rows[_i]);
}
END_TEST

START_TEST(references_must_lead_somewhere_and_not_back)
{
    check_row(&reference_rows[_i]);
}
END_TEST

/* ---- every field, every type ---- */

/* `kinds` are those that a field takes: null, boolean, integer, real, string, array, object. */
struct field {
    const char *before, *behind;
    const char *pointer;
    const char *kinds;
};

#define IN_FLAG "{'flags': {'f': {'type': 'boolean', "
#define GUARDS_OF                                                                       \
    IN_FLAG "'schedule': {'steps': [{'at': '2026-01-01T00:00:00Z', 'percentage': 5}], " \
            "'guards': "
#define IN_RULE IN_FLAG "'rules': [{"
#define IN_SERVE IN_RULE "'serve': {"
#define IN_IF IN_RULE "'serve': 'on', 'if': {"
#define IN_LEAF IN_IF "'attr': 'x', "
#define RULES "/flags/f/rules/0"
#define OPERAND(op, kinds)                                                            \
    { IN_LEAF "'op': '" op "', 'value': ", "}}]}}}", RULES "/if/value", kinds },      \
    {                                                                                 \
        IN_LEAF "'op': '" op "', 'values': [", "]}}]}}}", RULES "/if/values/0", kinds \
    }
#define VALUE(type, kinds)                                                                 \
    {                                                                                      \
        "{'flags': {'f': {'type': '" type "', 'default': 'a', 'variants': {'a': ", "}}}}", \
            "/flags/f/variants/a", kinds                                                   \
    }

static const struct field fields[] = {
    { "", "", "(root)", "o" },
    { "{'flags': ", "}", "/flags", "o" },
    { "{'segments': ", "}", "/segments", "o" },
    { "{'phases': ", "}", "/phases", "o" },
    { "{'assignments': ", "}", "/assignments", "o" },
    { "{'phases': {'p': ", "}}", "/phases/p", "o" },
    { "{'assignments': {'r/s': {'users': ", "}}}", "/assignments/r~1s/users", "a" },
    { "{'migrations': ", "}", "/migrations", "ao" },
    { "{'records': ", "}", "/records", "ao" },

    { "{'flags': {'f': ", "}}", "/flags/f", "o" },
    { "{'flags': {'f': {'type': ", "}}}", "/flags/f/type", "s" },
    { IN_FLAG "'enabled': ", "}}}", "/flags/f/enabled", "b" },
    { IN_FLAG "'variants': ", "}}}", "/flags/f/variants", "o" },
    { IN_FLAG "'variants': {'no': false, 'yes': ", "}}}}", "/flags/f/variants/yes", "b" },
    VALUE("string", "s"),
    VALUE("integer", "i"),
    VALUE("double", "ir"),
    { IN_FLAG "'default': ", "}}}", "/flags/f/default", "s" },
    { IN_FLAG "'off': ", "}}}", "/flags/f/off", "s" },
    { IN_FLAG "'requires': ", "}}}", "/flags/f/requires", "a" },
    { IN_FLAG "'requires': [", "]}}}", "/flags/f/requires/0", "o" },
    { IN_FLAG "'requires': [{'variant': 'on', 'flag': ", "}]}}}", "/flags/f/requires/0/flag", "s" },
    { IN_FLAG "'requires': [{'flag': 'g', 'variant': ", "}]}}}", "/flags/f/requires/0/variant",
      "s" },
    { IN_FLAG "'targets': ", "}}}", "/flags/f/targets", "o" },
    { IN_FLAG "'targets': {'on': ", "}}}}", "/flags/f/targets/on", "a" },
    { IN_FLAG "'targets': {'on': [", "]}}}}", "/flags/f/targets/on/0", "s" },
    { IN_FLAG "'beta': ", "}}}", "/flags/f/beta", "a" },
    { IN_FLAG "'beta': [", "]}}}", "/flags/f/beta/0", "s" },
    { IN_FLAG "'percentage': ", "}}}", "/flags/f/percentage", "ir" },
    { IN_FLAG "'split': ", "}}}", "/flags/f/split", "o" },
    { IN_FLAG "'split': {'off': 1, 'on': ", "}}}}", "/flags/f/split/on", "i" },
    { IN_FLAG "'schedule': ", "}}}", "/flags/f/schedule", "o" },
    { IN_FLAG "'schedule': {'interpolate': ", ", 'steps': []}}}}", "/flags/f/schedule/interpolate",
      "s" },
    { IN_FLAG "'schedule': {'steps': ", "}}}}", "/flags/f/schedule/steps", "a" },
    { IN_FLAG "'schedule': {'steps': [", "]}}}}", "/flags/f/schedule/steps/0", "o" },
    { IN_FLAG "'schedule': {'steps': [{'percentage': 5, 'at': ", "}]}}}}",
      "/flags/f/schedule/steps/0/at", "s" },
    { IN_FLAG "'schedule': {'steps': [{'at': '2026-01-01T00:00:00Z', 'percentage': ", "}]}}}}",
      "/flags/f/schedule/steps/0/percentage", "ir" },
    { GUARDS_OF "", "}}}}", "/flags/f/schedule/guards", "o" },
    { GUARDS_OF "{'error_rate': ", "}}}}}", "/flags/f/schedule/guards/error_rate", "ir" },
    { GUARDS_OF "{'p95_ms': ", "}}}}}", "/flags/f/schedule/guards/p95_ms", "ir" },
    { GUARDS_OF "{'p95_ratio': ", "}}}}}", "/flags/f/schedule/guards/p95_ratio", "ir" },
    { GUARDS_OF "{'p95_ms': 1, 'samples': ", "}}}}}", "/flags/f/schedule/guards/samples", "i" },
    { GUARDS_OF "{'p95_ms': 1, 'back': ", "}}}}}", "/flags/f/schedule/guards/back", "s" },
    { IN_FLAG "'by': ", "}}}", "/flags/f/by", "s" },
    { IN_FLAG "'salt': ", "}}}", "/flags/f/salt", "s" },
    { IN_FLAG "'bucketing': ", "}}}", "/flags/f/bucketing", "s" },
    { IN_FLAG "'env': ", "}}}", "/flags/f/env", "o" },
    { IN_FLAG "'env': {'enabled': ", "}}}}", "/flags/f/env/enabled", "s" },
    { IN_FLAG "'env': {'beta': ", "}}}}", "/flags/f/env/beta", "s" },
    { IN_FLAG "'env': {'percentage': ", "}}}}", "/flags/f/env/percentage", "s" },
    { IN_FLAG "'description': ", "}}}", "/flags/f/description", "s" },
    { IN_FLAG "'metadata': ", "}}}", "/flags/f/metadata", "o" },
    { IN_FLAG "'metadata': {'x': ", "}}}}", "/flags/f/metadata/x", "birs" },

    { IN_FLAG "'rules': ", "}}}", "/flags/f/rules", "a" },
    { IN_FLAG "'rules': [", "]}}}", "/flags/f/rules/0", "o" },
    { IN_RULE "'serve': 'on', 'id': ", "}]}}}", RULES "/id", "s" },
    { IN_RULE "'serve': 'on', 'if': ", "}]}}}", RULES "/if", "o" },
    { IN_RULE "'serve': 'on', 'description': ", "}]}}}", RULES "/description", "s" },
    { IN_RULE "'serve': ", "}]}}}", RULES "/serve", "so" },
    { IN_SERVE "'split': ", "}}]}}}", RULES "/serve/split", "o" },
    { IN_SERVE "'split': {'off': 1, 'on': ", "}}}]}}}", RULES "/serve/split/on", "i" },
    { IN_SERVE "'percentage': ", "}}]}}}", RULES "/serve/percentage", "ir" },
    { IN_SERVE "'percentage': 5, 'by': ", "}}]}}}", RULES "/serve/by", "s" },
    { IN_SERVE "'percentage': 5, 'salt': ", "}}]}}}", RULES "/serve/salt", "s" },
    { IN_SERVE "'percentage': 5, 'bucketing': ", "}}]}}}", RULES "/serve/bucketing", "s" },

    { IN_IF "'all': ", "}}]}}}", RULES "/if/all", "a" },
    { IN_IF "'all': [", "]}}]}}}", RULES "/if/all/0", "o" },
    { IN_IF "'any': ", "}}]}}}", RULES "/if/any", "a" },
    { IN_IF "'any': [", "]}}]}}}", RULES "/if/any/0", "o" },
    { IN_IF "'not': ", "}}]}}}", RULES "/if/not", "o" },
    { IN_IF "'segment': ", "}}]}}}", RULES "/if/segment", "s" },
    { IN_IF "'variant': 'on', 'flag': ", "}}]}}}", RULES "/if/flag", "s" },
    { IN_IF "'flag': 'g', 'variant': ", "}}]}}}", RULES "/if/variant", "s" },
    { IN_IF "'op': 'eq', 'value': 1, 'attr': ", "}}]}}}", RULES "/if/attr", "s" },
    { IN_LEAF "'value': 1, 'op': ", "}}]}}}", RULES "/if/op", "s" },
    { IN_LEAF "'op': 'eq', 'values': ", "}}]}}}", RULES "/if/values", "a" },
    { IN_LEAF "'op': 'eq', 'value': 'a', 'fold': ", "}}]}}}", RULES "/if/fold", "b" },
    OPERAND("eq", "birs"),
    OPERAND("in", "birs"),
    OPERAND("starts_with", "s"),
    OPERAND("ends_with", "s"),
    OPERAND("contains", "s"),
    OPERAND("lt", "ir"),
    OPERAND("lte", "ir"),
    OPERAND("gt", "ir"),
    OPERAND("gte", "ir"),
    OPERAND("before", "is"), /* 7.5 is no whole number */
    OPERAND("after", "is"),
    OPERAND("semver_eq", "s"),
    OPERAND("semver_lt", "s"),
    OPERAND("semver_lte", "s"),
    OPERAND("semver_gt", "s"),
    OPERAND("semver_gte", "s"),
    OPERAND("matches", "s"),
    OPERAND("in_cidr", "s"),
    OPERAND("exists", "b"),

    { "{'segments': {'s': ", "}}", "/segments/s", "o" },
    { "{'segments': {'s': {'include': ", "}}}", "/segments/s/include", "a" },
    { "{'segments': {'s': {'include': [", "]}}}", "/segments/s/include/0", "s" },
    { "{'segments': {'s': {'exclude': ", "}}}", "/segments/s/exclude", "a" },
    { "{'segments': {'s': {'exclude': [", "]}}}", "/segments/s/exclude/0", "s" },
    { "{'segments': {'s': {'if': ", "}}}", "/segments/s/if", "o" },
    { "{'segments': {'s': {'description': ", "}}}", "/segments/s/description", "s" },
};

static const struct {
    char kind;
    const char *json;
} samples[] = {
    { 'n', "null" }, { 'b', "true" }, { 'i', "7" },          { 'r', "7.5" },
    { 's', "'t'" },  { 'a', "[7]" },  { 'o', "{'key': 7}" },
};

START_TEST(every_field_refuses_values_of_other_types)
{
    const struct field *field = &fields[_i];
    struct row row = { .label = field->pointer, .pointer = field->pointer, .words = "" };
    struct fv_text text = FV_TEXT_INIT;
    flagver_snapshot *snapshot;
    char *json;
    int i;

    for (i = 0; i < COUNT(samples); i++) {
        if (strchr(field->kinds, samples[i].kind))
            continue;
        fv_text_reset(&text);
        fv_text_format(&text, "%s%s%s", field->before, samples[i].json, field->behind);
        row.label = text.data;
        json = quoted(text.data);
        assert_fails(FLAGVER_EPARSE,
                     flagver_snapshot_load(json, strlen(json), NULL, &snapshot, &error));
        assert_place(&row, NULL, 1, (int32_t)strlen(field->before) + 1);
        free(json);
    }
    fv_text_clear(&text);
}
END_TEST

/* ---- what looks odd and is fine ---- */

static const char *const sound_rows[] = {
    "{}",
    "\n\t {} \r\n",
    "{'flags': {}, 'segments': {}}",
    "{'phases': {}, 'assignments': {}, 'migrations': [{'x': null}], 'records': {'y': [1]}}",
    "{'phases': {'p': {}, 'flagver.flag/pay_': {'approval': {'min': 2}}}}",
    "{'assignments': {'report_owner/*/report-12': {'users': ['alice']}}}",
    "{'flags': {'" LONG_256 "': {'type': 'boolean'}}, 'segments': {'" LONG_256 "': {}}}",
    "{'flags': {'ключ 🚩 /~\\\"\\\\': {'type': 'boolean'}}}",
    "{'flags': {' ': {'type': 'boolean'}}}",
    "{'flags': {'\\u00a0': {'type': 'boolean'}}}",
    FLAG("{'type': 'string', 'variants': {'" LONG_128 "': ''}, 'default': '" LONG_128 "'}"),
    BOOLEAN("'percentage': 0"),
    BOOLEAN("'percentage': -0.0"),
    BOOLEAN("'percentage': 100.000"),
    BOOLEAN("'percentage': 1e2"),
    BOOLEAN("'percentage': 1e-3"),
    BOOLEAN("'percentage': 12.3450000"),
    STRING("'split': {'a': 1000000, 'b': 0}"),
    STRING("'split': {'b': 1}"),
    BOOLEAN("'salt': ''"),
    BOOLEAN("'salt': 's', 'by': 'a.b', 'bucketing': 'murmur3'"),
    BOOLEAN("'bucketing': 'md5-mod100', 'percentage': 5"),
    RULE("'id': '', 'serve': 'on', 'description': ''"),
    BOOLEAN("'rules': [{'serve': 'on'}, {'serve': 'on'}]"),
    BOOLEAN("'targets': {'on': ['u1', 'u1'], 'off': []}, 'beta': ['u1']"),
    BOOLEAN("'metadata': {}, 'description': '', 'env': {}"),
    BOOLEAN("'metadata': {'a': 'b', 'c': 1, 'd': 1.5, 'e': false, '': ''}"),
    BOOLEAN("'env': {'enabled': 'A', 'beta': 'B', 'percentage': 'P'}"),
    STRING("'env': {'enabled': 'A'}"),
    STEPS("{'at': '2026-01-01T00:00:00Z', 'percentage': 50}, "
          "{'at': '2026-01-01T00:00:00.001Z', 'percentage': 0}"),
    STEPS("{'at': '0001-01-01T00:00:00Z', 'percentage': 0}, "
          "{'at': '9999-12-31T23:59:59.999Z', 'percentage': 100}"),
    LEAF("in", "'values': ['a', 1, 1.5, true]"),
    LEAF("eq", "'values': ['a', 'a'], 'fold': true"),
    LEAF("exists", "'values': [true, false]"),
    LEAF("matches", "'value': 'a{1000}', 'fold': true"),
    LEAF("starts_with", "'value': '', 'fold': false"),
    LEAF("before", "'values': [0, -1, 5.0, '2026-01-01t00:00:00z']"),
    SEGMENT(""),
    SEGMENT("'include': ['a', 'a'], 'exclude': ['a'], 'description': 'x'"),
    "{'flags': {'a': {'type': 'boolean', 'requires': [{'flag': 'b', 'variant': 'on'}, "
    "{'flag': 'b', 'variant': 'on'}]}, 'b': {'type': 'boolean'}}}",
    "{'flags': {'x': {'type': 'boolean', 'rules': [{'if': {'segment': 'x'}, 'serve': 'on'}]}}, "
    "'segments': {'x': {}}}",
    "{'flags': {'a': {'type': 'boolean'}, 'a.': {'type': 'boolean'}, 'a1': {'type': 'boolean'}}}",
};

START_TEST(definitions_may_look_like_this)
{
    flagver_snapshot *snapshot;
    flagver_client *client;
    char *json = quoted(sound_rows[_i]);

    assert_ok(flagver_snapshot_load(json, strlen(json), NULL, &snapshot, &error));
    flagver_snapshot_free(snapshot);
    assert_ok(flagver_open("definitions:", NULL, &client, &error));
    assert_ok(flagver_client_merge(client, json, strlen(json), &error));
    flagver_close(client);
    free(json);
}
END_TEST

/* ---- what is too much ---- */

static int load(const char *json)
{
    flagver_snapshot *snapshot = NULL;
    int r = flagver_snapshot_load(json, strlen(json), NULL, &snapshot, &error);

    ck_assert(!snapshot == (r != 0));
    flagver_snapshot_free(snapshot);
    return r;
}

static void repeat(struct fv_text *text, const char *part, int count)
{
    while (count-- > 0)
        fv_text_add(text, part);
}

/* A leaf with so many `not`, or `all` and `any` in turn, around it. */
static int load_nested(int depth, bool lists)
{
    struct fv_text text = FV_TEXT_INIT;
    int i, r;

    fv_text_add(&text, "{\"flags\":{\"f\":{\"type\":\"boolean\",\"rules\":[{\"serve\":\"on\","
                       "\"if\":");
    for (i = 0; i < depth; i++)
        fv_text_add(&text, !lists ? "{\"not\":" : i % 2 ? "{\"all\":[" : "{\"any\":[");
    fv_text_add(&text, "{\"attr\":\"x\",\"op\":\"eq\",\"value\":1}");
    repeat(&text, lists ? "]}" : "}", depth);
    fv_text_add(&text, "}]}}}");
    r = load(text.data);
    fv_text_clear(&text);
    return r;
}

START_TEST(conditions_nest_100_deep)
{
    assert_ok(load_nested(99, false));
    assert_ok(load_nested(100, false));
    assert_fails(FLAGVER_EPARSE, load_nested(101, false));
    assert_words("nest deeper than 100");
    assert_words("/flags/f/rules/0/if/not/not/");
    assert_ok(load_nested(100, true));
    assert_fails(FLAGVER_EPARSE, load_nested(101, true));
    assert_words("nest deeper than 100");
    assert_fails(FLAGVER_EPARSE, load_nested(300, false));
    assert_words("nest deeper than 100");
    assert_fails(FLAGVER_EPARSE, load_nested(10000, true));
    assert_words("nested deeper than 500");
}
END_TEST

START_TEST(json_nests_no_deeper_than_the_stack_can_bear)
{
    struct fv_text text = FV_TEXT_INIT;

    repeat(&text, "[", 10000);
    assert_fails(FLAGVER_EPARSE, load(text.data));
    assert_words("nested deeper than 500");
    ck_assert_int_eq(error.column, 501);
    repeat(&text, "]", 10000);
    assert_fails(FLAGVER_EPARSE, load(text.data));

    fv_text_reset(&text);
    repeat(&text, "{\"records\":", 10000);
    fv_text_add(&text, "{}");
    repeat(&text, "}", 10000);
    assert_fails(FLAGVER_EPARSE, load(text.data));
    assert_words("nested deeper than 500");

    fv_text_reset(&text);
    fv_text_add(&text, "{\"flags\":{\"f\":{\"type\":\"json\",\"default\":\"a\","
                       "\"variants\":{\"a\":");
    repeat(&text, "[", 480);
    repeat(&text, "]", 480);
    fv_text_add(&text, "}}}}");
    assert_ok(load(text.data));
    fv_text_clear(&text);
}
END_TEST

START_TEST(a_nul_byte_is_refused)
{
    static const char json[] = "{\"flags\": {}}\0";
    static const char inside[] = "{\"flags\": {\"a\0b\": {}}}";
    flagver_snapshot *snapshot;

    assert_fails(FLAGVER_EPARSE,
                 flagver_snapshot_load(json, sizeof json - 1, NULL, &snapshot, &error));
    ck_assert_int_eq(error.column, 14);
    assert_fails(FLAGVER_EPARSE,
                 flagver_snapshot_load(inside, sizeof inside - 1, NULL, &snapshot, &error));
    ck_assert_int_eq(error.column, 14);
}
END_TEST

START_TEST(only_the_length_counts)
{
    static const char json[] = "{\"flags\": {}}garbage";
    flagver_snapshot *snapshot;

    assert_ok(flagver_snapshot_load(json, 13, NULL, &snapshot, &error));
    flagver_snapshot_free(snapshot);
    assert_fails(FLAGVER_EPARSE, flagver_snapshot_load(json, 12, NULL, &snapshot, &error));
    assert_fails(FLAGVER_EPARSE, flagver_snapshot_load(NULL, 0, NULL, &snapshot, &error));
}
END_TEST

#define LIMIT ((size_t)64 << 20)

START_TEST(definitions_are_at_most_64_mib)
{
    char folder[] = "/tmp/flagver-XXXXXX", path[64], uri[80];
    char *text = malloc(LIMIT + 1);
    flagver_client *client = NULL;
    flagver_snapshot *snapshot;

    ck_assert_ptr_nonnull(text);
    memset(text, ' ', LIMIT + 1);
    text[0] = '{';
    text[LIMIT - 1] = '}';
    assert_ok(flagver_snapshot_load(text, LIMIT, NULL, &snapshot, &error));
    flagver_snapshot_free(snapshot);
    assert_fails(FLAGVER_EPARSE, flagver_snapshot_load(text, LIMIT + 1, NULL, &snapshot, &error));
    assert_words("67108865 bytes; at most 67108864 allowed");

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/f.json", folder);
    snprintf(uri, sizeof uri, "file:%s", path);
    write_file(path, text, LIMIT + 1);
    assert_fails(FLAGVER_EPARSE, flagver_open(uri, NULL, &client, &error));
    assert_words("at most 67108864 allowed");
    write_file(path, text, LIMIT);
    assert_ok(flagver_open(uri, NULL, &client, &error));
    flagver_close(client);

    unlink(path);
    rmdir(folder);
    free(text);
}
END_TEST

START_TEST(variants_are_at_most_65535)
{
    struct fv_text text = FV_TEXT_INIT;
    size_t before;
    int i;

    fv_text_add(&text, "{\"flags\":{\"f\":{\"type\":\"integer\",\"default\":\"v7\",\"variants\":{"
                       "\"v0\":0");
    for (i = 1; i < 65535; i++)
        fv_text_format(&text, ",\"v%d\":%d", i, i);
    before = text.length;
    fv_text_add(&text, "}}}}");
    assert_ok(load(text.data));

    text.length = before;
    fv_text_add(&text, ",\"w\":0}}}}");
    assert_fails(FLAGVER_EPARSE, load(text.data));
    assert_words("65536 variants; 1 to 65535 allowed");
    fv_text_clear(&text);
}
END_TEST

/* ---- lint ---- */

struct warnings {
    struct fv_text text;
    int count;
};

static void note(void *data, const char *message)
{
    struct warnings *warnings = data;

    warnings->count++;
    fv_text_format(&warnings->text, "%s\n", message);
}

struct lint_row {
    const char *json;
    const char *warnings; /* how the one there is begins; "": none, NULL: it is refused */
};

static const struct lint_row lint_rows[] = {
    { "{}", "" },
    { BOOLEAN("'percentage': 5"), "" },
    { STEPS("{'at': '2026-01-01T00:00:00Z', 'percentage': 5}, "
            "{'at': '2026-01-02T00:00:00Z', 'percentage': 5}, "
            "{'at': '2026-01-03T00:00:00Z', 'percentage': 6}"),
      "" },
    { "{'flags': {'f': {'type': 'boolean', 'schedule': {'steps': [\n"
      "{'at': '2026-01-01T00:00:00Z', 'percentage': 5},\n"
      "{'at': '2026-01-02T00:00:00Z', 'percentage': ^4.999}]}}}}",
      "/flags/f/schedule/steps/1/percentage: the percentage falls" },
    { BOOLEAN("'rules': [{'serve': 'on'}]"), "" },
    { BOOLEAN("'rules': [^{'serve': 'on'}, {'serve': 'off'}]"),
      "/flags/f/rules/0: this rule always holds" },
    { "{'segments': {'s': ^{}}}", "/segments/s: no flag and no segment names" },
    { "{'segments': {'s': ^{'if': {'segment': 't'}}, 't': {}}}", "/segments/s: no flag" },
    { BOOLEAN("'rules': [{'serve': 'on'}, {'serve': 'none'}]"), NULL },
};

START_TEST(lint_tells_what_is_hardly_meant)
{
    const struct lint_row *row = &lint_rows[_i];
    struct warnings warnings = { FV_TEXT_INIT, 0 };
    struct fv_text expected = FV_TEXT_INIT;
    int32_t line, column;
    char *json = unmarked(row->json, &line, &column);
    int r = flagver_definitions_lint(json, strlen(json), "x.json", note, &warnings, &error);

    if (!row->warnings) {
        ck_assert_int_eq(r, FLAGVER_EPARSE);
    } else if (!*row->warnings) {
        ck_assert_msg(r == 0, "%d: %s%s", r, warnings.text.data, error.message);
        ck_assert_str_eq(warnings.text.data, "");
    } else {
        fv_text_format(&expected, "x.json:%d:%d: %s", (int)line, (int)column, row->warnings);
        ck_assert_msg(r == 1, "%d: %s%s", r, warnings.text.data, error.message);
        ck_assert_int_eq(warnings.count, 1);
        ck_assert_msg(strncmp(warnings.text.data, expected.data, expected.length) == 0,
                      "\"%s\" does not begin with \"%s\"", warnings.text.data, expected.data);
        ck_assert_int_eq(flagver_definitions_lint(json, strlen(json), NULL, NULL, NULL, NULL), 1);
    }
    fv_text_clear(&expected);
    fv_text_clear(&warnings.text);
    free(json);
}
END_TEST

static Suite *definitions_suite(void)
{
    Suite *suite = suite_create("definitions");
    TCase *refused = tcase_create("refused");
    TCase *sound_ones = tcase_create("sound");
    TCase *limits = tcase_create("limits");

    tcase_add_loop_test(refused, malformed_text_is_refused, 0, COUNT(text_rows));
    tcase_add_loop_test(refused, unknown_keys_are_refused_at_every_level, 0, COUNT(key_rows));
    tcase_add_loop_test(refused, what_is_needed_must_be_there, 0, COUNT(missing_rows));
    tcase_add_loop_test(refused, names_must_fit, 0, COUNT(name_rows));
    tcase_add_loop_test(refused, values_must_fit, 0, COUNT(value_rows));
    tcase_add_loop_test(refused, what_excludes_each_other_is_refused, 0, COUNT(place_rows));
    tcase_add_loop_test(refused, operands_must_fit_their_operator, 0, COUNT(operand_rows));
    tcase_add_loop_test(refused, references_must_lead_somewhere_and_not_back, 0,
                        COUNT(reference_rows));
    tcase_add_loop_test(refused, every_field_refuses_values_of_other_types, 0, COUNT(fields));
    suite_add_tcase(suite, refused);

    tcase_add_loop_test(sound_ones, definitions_may_look_like_this, 0, COUNT(sound_rows));
    tcase_add_loop_test(sound_ones, lint_tells_what_is_hardly_meant, 0, COUNT(lint_rows));
    suite_add_tcase(suite, sound_ones);

    tcase_add_test(limits, conditions_nest_100_deep);
    tcase_add_test(limits, json_nests_no_deeper_than_the_stack_can_bear);
    tcase_add_test(limits, a_nul_byte_is_refused);
    tcase_add_test(limits, only_the_length_counts);
    tcase_add_test(limits, definitions_are_at_most_64_mib);
    tcase_add_test(limits, variants_are_at_most_65535);
    suite_add_tcase(suite, limits);
    return suite;
}

int main(void)
{
    return run_suite(definitions_suite());
}
