/*
 * What a flag serves: a row for every sentence of the rules, in their order.
 *
 * The flag that is asked is called "f". Buckets in the expectations come from
 * another implementation of the hashes (tests/data/make-vectors.py); the keys
 * k… were looked for so that "f:k…" falls on the edge of a range.
 */
#include "flags.h"

struct row {
    const char *label;
    const char *flag;     /* the definition of "f"; NULL: there is none */
    const char *flags;    /* more members of "flags" */
    const char *segments; /* members of "segments" */
    const char *context;  /* NULL: none */
    const char *time;
    const char *override; /* this variant is forced */
    int type;             /* FLAGVER_TYPE_…, 0: the flag's own */
    const char *expected;
};

#define AB "'variants': {'a': 'A', 'b': 'B'}, 'default': 'a'"
#define ABC "'variants': {'a': 'A', 'b': 'B', 'c': 'C'}, 'default': 'a'"
#define ALWAYS "'attr': 'targetingKey', 'op': 'exists', 'values': [true, false]"

/* Definitions of other flags. */
#define G_ON "'g': {'type': 'boolean'}"
#define G_OFF "'g': {'type': 'boolean', 'default': 'off'}"
#define G_B "'g': {'type': 'string', 'variants': {'a': 'A', 'b': 'B'}, 'default': 'b'}"

/* ---- order and reasons ---- */

static const struct row order_rows[] = {
    /* an override or the environment: STATIC */
    { .label = "an override serves its variant",
      .flag = "{'type': 'boolean'}",
      .override = "off",
      .expected = "false off STATIC" },
    { .label = "an override comes before disabled",
      .flag = "{'type': 'boolean', 'enabled': false}",
      .override = "on",
      .expected = "true on STATIC" },
    { .label = "an override comes before an invalid context",
      .flag = "{'type': 'boolean', 'percentage': 50}",
      .context = "{'targetingKey': [1]}",
      .override = "on",
      .expected = "true on STATIC" },
    { .label = "an override comes before requires",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = G_OFF,
      .override = "on",
      .expected = "true on STATIC" },
    { .label = "an override comes before targets, rules and split",
      .flag = "{'type': 'string', " ABC ", 'targets': {'a': ['u1']}, "
              "'rules': [{'serve': 'b'}], 'split': {'a': 1, 'b': 1}}",
      .context = "{'targetingKey': 'u1'}",
      .override = "c",
      .expected = "'C' c STATIC" },
    { .label = "an override does not convert: a wrong getter stays wrong",
      .flag = "{'type': 'boolean'}",
      .override = "on",
      .type = FLAGVER_TYPE_STRING,
      .expected = "- - ERROR TYPE_MISMATCH" },

    /* an unknown flag */
    { .label = "an unknown flag", .flags = G_ON, .expected = "- - ERROR FLAG_NOT_FOUND" },
    { .label = "an unknown flag comes before an invalid context",
      .context = "{'targetingKey': true}",
      .expected = "- - ERROR FLAG_NOT_FOUND" },
    { .label = "an unknown flag comes before a wrong getter",
      .type = FLAGVER_TYPE_INT,
      .expected = "- - ERROR FLAG_NOT_FOUND" },

    /* disabled: off, DISABLED */
    { .label = "disabled",
      .flag = "{'type': 'boolean', 'enabled': false}",
      .expected = "false off DISABLED" },
    { .label = "enabled is true unless it is said",
      .flag = "{'type': 'boolean', 'enabled': true}",
      .expected = "true on STATIC" },
    { .label = "disabled serves `off`",
      .flag = "{'type': 'string', " AB ", 'off': 'b', 'enabled': false}",
      .expected = "'B' b DISABLED" },
    { .label = "disabled comes before requires",
      .flag = "{'type': 'boolean', 'enabled': false, "
              "'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = G_OFF,
      .expected = "false off DISABLED" },
    { .label = "disabled comes before targets and rules",
      .flag = "{'type': 'boolean', 'enabled': false, 'beta': ['u1'], "
              "'rules': [{'serve': 'on'}]}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "false off DISABLED" },
    { .label = "disabled needs no bucket",
      .flag = "{'type': 'boolean', 'enabled': false, 'percentage': 50}",
      .expected = "false off DISABLED" },

    /* a `requires` that is not met: off, DEFAULT, rule "requires" */
    { .label = "requires, not met",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = G_OFF,
      .expected = "false off DEFAULT rule=requires" },
    { .label = "requires, not met, serves `off` and not `default`",
      .flag = "{'type': 'string', " ABC ", 'off': 'c', "
              "'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = G_OFF,
      .expected = "'C' c DEFAULT rule=requires" },
    { .label = "requires, met",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = G_ON,
      .expected = "true on DEFAULT" },
    { .label = "requires names a variant, not a value",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'b'}]}",
      .flags = G_B,
      .expected = "true on DEFAULT" },
    { .label = "requires, the other variant is served",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'a'}]}",
      .flags = G_B,
      .expected = "false off DEFAULT rule=requires" },
    { .label = "all of requires must be met: the first is not",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'on'}, "
              "{'flag': 'h', 'variant': 'on'}]}",
      .flags = G_OFF ", 'h': {'type': 'boolean'}",
      .expected = "false off DEFAULT rule=requires" },
    { .label = "all of requires must be met: the last is not",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'h', 'variant': 'on'}, "
              "{'flag': 'g', 'variant': 'on'}]}",
      .flags = G_OFF ", 'h': {'type': 'boolean'}",
      .expected = "false off DEFAULT rule=requires" },
    { .label = "requires comes before targets",
      .flag = "{'type': 'boolean', 'beta': ['u1'], "
              "'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = G_OFF,
      .context = "{'targetingKey': 'u1'}",
      .expected = "false off DEFAULT rule=requires" },
    { .label = "requires comes before rules and buckets",
      .flag = "{'type': 'boolean', 'rules': [{'id': 'all', 'serve': 'on'}], 'percentage': 50, "
              "'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = G_OFF,
      .expected = "false off DEFAULT rule=requires" },

    /* a target, beta: TARGETING_MATCH */
    { .label = "a target",
      .flag = "{'type': 'string', " AB ", 'targets': {'b': ['u1']}}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "'B' b TARGETING_MATCH" },
    { .label = "a target of the default variant",
      .flag = "{'type': 'string', " AB ", 'targets': {'b': ['u2'], 'a': ['u1']}}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "'A' a TARGETING_MATCH" },
    { .label = "no target",
      .flag = "{'type': 'string', " AB ", 'targets': {'b': ['u1']}}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "'A' a DEFAULT" },
    { .label = "no key is no target",
      .flag = "{'type': 'string', " AB ", 'targets': {'b': ['']}}",
      .context = "{}",
      .expected = "'A' a DEFAULT" },
    { .label = "the empty key can be a target",
      .flag = "{'type': 'string', " AB ", 'targets': {'b': ['']}}",
      .context = "{'targetingKey': ''}",
      .expected = "'B' b TARGETING_MATCH" },
    { .label = "targets are compared byte by byte",
      .flag = "{'type': 'string', " AB ", 'targets': {'b': ['u1']}}",
      .context = "{'targetingKey': 'U1'}",
      .expected = "'A' a DEFAULT" },
    { .label = "beta",
      .flag = "{'type': 'boolean', 'beta': ['u0', 'u1']}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "true on TARGETING_MATCH" },
    { .label = "beta, somebody else",
      .flag = "{'type': 'boolean', 'beta': ['u0', 'u1']}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "false off DEFAULT" },
    { .label = "targets come before rules",
      .flag = "{'type': 'string', " ABC ", 'targets': {'b': ['u1']}, "
              "'rules': [{'id': 'all', 'serve': 'c'}]}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "'B' b TARGETING_MATCH" },
    { .label = "targets come before a percentage",
      .flag = "{'type': 'boolean', 'beta': ['u1'], 'percentage': 0.001}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "true on TARGETING_MATCH" },

    /* the first rule whose condition holds */
    { .label = "the first rule that holds decides",
      .flag = "{'type': 'string', " ABC ", 'rules': ["
              "{'id': 'one', 'if': {'attr': 'x', 'op': 'eq', 'value': 1}, 'serve': 'b'}, "
              "{'id': 'two', 'if': {'attr': 'y', 'op': 'eq', 'value': 1}, 'serve': 'c'}]}",
      .context = "{'x': 1, 'y': 1}",
      .expected = "'B' b TARGETING_MATCH rule=one" },
    { .label = "a rule that does not hold is passed over",
      .flag = "{'type': 'string', " ABC ", 'rules': ["
              "{'id': 'one', 'if': {'attr': 'x', 'op': 'eq', 'value': 1}, 'serve': 'b'}, "
              "{'id': 'two', 'if': {'attr': 'y', 'op': 'eq', 'value': 1}, 'serve': 'c'}]}",
      .context = "{'y': 1}",
      .expected = "'C' c TARGETING_MATCH rule=two" },
    { .label = "no rule holds",
      .flag = "{'type': 'string', " ABC ", 'rules': ["
              "{'id': 'one', 'if': {'attr': 'x', 'op': 'eq', 'value': 1}, 'serve': 'b'}]}",
      .context = "{'y': 1}",
      .expected = "'A' a DEFAULT" },
    { .label = "a rule without a condition holds",
      .flag = "{'type': 'string', " AB ", 'rules': [{'id': 'all', 'serve': 'b'}]}",
      .expected = "'B' b TARGETING_MATCH rule=all" },
    { .label = "a rule without an id",
      .flag = "{'type': 'string', " AB ", 'rules': [{'serve': 'b'}]}",
      .expected = "'B' b TARGETING_MATCH" },
    { .label = "a rule that serves the default matches all the same",
      .flag = "{'type': 'string', " AB ", 'rules': [{'id': 'x', 'serve': 'a'}]}",
      .expected = "'A' a TARGETING_MATCH rule=x" },
    { .label = "a rule that used a bucket: SPLIT",
      .flag = "{'type': 'string', " ABC ", "
              "'rules': [{'id': 'half', 'serve': {'split': {'b': 50, 'c': 50}}}]}",
      .context = "{'targetingKey': 'k43809'}",
      .expected = "'B' b SPLIT rule=half bucket=49999" },
    { .label = "in a rule's percentage",
      .flag = "{'type': 'boolean', 'rules': [{'id': 'r', 'serve': {'percentage': 50}}]}",
      .context = "{'targetingKey': 'k43809'}",
      .expected = "true on SPLIT rule=r bucket=49999" },
    { .label = "out of a rule's percentage: `default`, and no further rule is tried",
      .flag = "{'type': 'boolean', 'rules': [{'id': 'r', 'serve': {'percentage': 50}}, "
              "{'id': 's', 'serve': 'on'}]}",
      .context = "{'targetingKey': 'k22920'}",
      .expected = "false off SPLIT rule=r bucket=50000" },
    { .label = "out of a rule's percentage: `default` may be on",
      .flag = "{'type': 'boolean', 'default': 'on', 'off': 'off', "
              "'rules': [{'id': 'r', 'serve': {'percentage': 50}}]}",
      .context = "{'targetingKey': 'k22920'}",
      .expected = "true on SPLIT rule=r bucket=50000" },
    { .label = "a rule's 0 % uses no bucket: TARGETING_MATCH",
      .flag = "{'type': 'boolean', 'rules': [{'id': 'r', 'serve': {'percentage': 0}}]}",
      .expected = "false off TARGETING_MATCH rule=r" },
    { .label = "a rule's 100 % uses no bucket: TARGETING_MATCH",
      .flag = "{'type': 'boolean', 'rules': [{'id': 'r', 'serve': {'percentage': 100}}]}",
      .expected = "true on TARGETING_MATCH rule=r" },
    { .label = "a rule's split with one positive weight uses no bucket: TARGETING_MATCH",
      .flag = "{'type': 'string', " ABC ", "
              "'rules': [{'id': 'r', 'serve': {'split': {'a': 0, 'b': 7, 'c': 0}}}]}",
      .expected = "'B' b TARGETING_MATCH rule=r" },
    { .label = "rules come before the flag's own percentage",
      .flag = "{'type': 'boolean', 'percentage': 100, 'rules': [{'id': 'r', 'serve': 'off'}]}",
      .expected = "false off TARGETING_MATCH rule=r" },

    /* the flag's own percentage, split or schedule */
    { .label = "in a percentage: SPLIT",
      .flag = "{'type': 'boolean', 'percentage': 25}",
      .context = "{'targetingKey': 'k122047'}",
      .expected = "true on SPLIT bucket=24999" },
    { .label = "out of a percentage: SPLIT",
      .flag = "{'type': 'boolean', 'percentage': 25}",
      .context = "{'targetingKey': 'k10086'}",
      .expected = "false off SPLIT bucket=25000" },
    { .label = "out of a percentage: `default`",
      .flag = "{'type': 'boolean', 'percentage': 25, 'default': 'on'}",
      .context = "{'targetingKey': 'k10086'}",
      .expected = "true on SPLIT bucket=25000" },
    { .label = "a percentage after a rule that does not hold",
      .flag = "{'type': 'boolean', 'percentage': 25, "
              "'rules': [{'if': {'attr': 'x', 'op': 'exists', 'value': true}, 'serve': 'off'}]}",
      .context = "{'targetingKey': 'k122047'}",
      .expected = "true on SPLIT bucket=24999" },
    { .label = "0 %: DEFAULT",
      .flag = "{'type': 'boolean', 'percentage': 0}",
      .expected = "false off DEFAULT" },
    { .label = "100 %: DEFAULT",
      .flag = "{'type': 'boolean', 'percentage': 100}",
      .expected = "true on DEFAULT" },
    { .label = "0 % after targets that do not match: DEFAULT",
      .flag = "{'type': 'boolean', 'percentage': 0, 'beta': ['u1']}",
      .expected = "false off DEFAULT" },
    { .label = "100 % after targets that do not match: DEFAULT",
      .flag = "{'type': 'boolean', 'percentage': 100, 'beta': ['u1']}",
      .expected = "true on DEFAULT" },
    { .label = "a split: SPLIT",
      .flag = "{'type': 'string', " AB ", 'split': {'a': 50, 'b': 50}}",
      .context = "{'targetingKey': 'k22920'}",
      .expected = "'B' b SPLIT bucket=50000" },
    { .label = "a split with one positive weight: DEFAULT",
      .flag = "{'type': 'string', " AB ", 'split': {'a': 0, 'b': 1}}",
      .expected = "'B' b DEFAULT" },
    { .label = "a split of one variant: DEFAULT",
      .flag = "{'type': 'string', " AB ", 'split': {'b': 3}, 'targets': {'a': ['u1']}}",
      .expected = "'B' b DEFAULT" },
    { .label = "a split of a boolean",
      .flag = "{'type': 'boolean', 'split': {'on': 25, 'off': 75}}",
      .context = "{'targetingKey': 'k122047'}",
      .expected = "false off SPLIT bucket=24999" },
    { .label = "a schedule: SPLIT",
      .flag = "{'type': 'boolean', 'schedule': {'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 25}]}}",
      .context = "{'targetingKey': 'k122047'}",
      .time = "2026-01-01T00:00:00Z",
      .expected = "true on SPLIT bucket=24999" },
    { .label = "a schedule that has not begun: DEFAULT",
      .flag = "{'type': 'boolean', 'schedule': {'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 25}]}}",
      .context = "{'targetingKey': 'k122047'}",
      .time = "2025-12-31T23:59:59.999Z",
      .expected = "false off DEFAULT" },
    { .label = "a schedule that is through: DEFAULT",
      .flag = "{'type': 'boolean', 'schedule': {'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 100}]}}",
      .time = "2026-01-01T00:00:00Z",
      .expected = "true on DEFAULT" },

    /* otherwise `default`: DEFAULT, or STATIC when there is nothing to decide */
    { .label = "nothing to decide: STATIC",
      .flag = "{'type': 'boolean'}",
      .expected = "true on STATIC" },
    { .label = "nothing to decide, a string: STATIC",
      .flag = "{'type': 'string', " AB "}",
      .expected = "'A' a STATIC" },
    { .label = "a description, metadata, env, by, salt and bucketing decide nothing: STATIC",
      .flag = "{'type': 'boolean', 'description': 'x', 'metadata': {'x': 1}, "
              "'env': {'enabled': 'FLAGVER_TEST_NEVER_SET'}, 'by': 'x', 'salt': 's', "
              "'bucketing': 'murmur3'}",
      .expected = "true on STATIC" },
    { .label = "requires that is met: DEFAULT, not STATIC",
      .flag = "{'type': 'string', " AB ", 'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = G_ON,
      .expected = "'A' a DEFAULT" },
    { .label = "beta that does not match: DEFAULT, not STATIC",
      .flag = "{'type': 'boolean', 'beta': ['u1']}",
      .expected = "false off DEFAULT" },
    { .label = "a rule that does not hold: DEFAULT, not STATIC",
      .flag = "{'type': 'boolean', "
              "'rules': [{'if': {'not': {" ALWAYS "}}, 'serve': 'on'}]}",
      .expected = "false off DEFAULT" },

    /* a wrong getter */
    { .label = "a wrong getter",
      .flag = "{'type': 'boolean'}",
      .type = FLAGVER_TYPE_STRING,
      .expected = "- - ERROR TYPE_MISMATCH" },
    { .label = "a wrong getter of a disabled flag",
      .flag = "{'type': 'boolean', 'enabled': false}",
      .type = FLAGVER_TYPE_INT,
      .expected = "- - ERROR TYPE_MISMATCH" },
    { .label = "a wrong getter after a rule and a bucket: neither is told",
      .flag = "{'type': 'boolean', 'rules': [{'id': 'r', 'serve': {'percentage': 50}}]}",
      .context = "{'targetingKey': 'k43809'}",
      .type = FLAGVER_TYPE_DOUBLE,
      .expected = "- - ERROR TYPE_MISMATCH" },
};

/* ---- exact semantics ---- */

#define THIRDS \
    "'variants': {'c': 3, 'a': 1, 'b': 2}, 'default': 'a', 'split': {'b': 1, 'c': 1, 'a': 1}"
#define STEPS                                            \
    "{'type': 'boolean', 'schedule': {'steps': ["        \
    "{'at': '2026-01-01T00:00:00Z', 'percentage': 10}, " \
    "{'at': '2026-01-04T00:00:00Z', 'percentage': 25}, " \
    "{'at': '2026-01-08T00:00:00+01:00', 'percentage': 50}]}}"
/* 0 to 100 % in 100 seconds: the threshold grows by one a millisecond. */
#define RAMP                                                               \
    "{'type': 'boolean', 'schedule': {'interpolate': 'linear', 'steps': [" \
    "{'at': '2026-01-01T00:00:00Z', 'percentage': 0}, "                    \
    "{'at': '2026-01-01T00:01:40Z', 'percentage': 100}]}}"

static const struct row meaning_rows[] = {
    /* what is hashed */
    { .label = "the salt is the flag's key",
      .flag = "{'type': 'boolean', 'percentage': 50}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "false off SPLIT bucket=92683" },
    { .label = "a salt of its own",
      .flag = "{'type': 'boolean', 'percentage': 50, 'salt': 's'}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "false off SPLIT bucket=57165" },
    { .label = "an empty salt is a salt",
      .flag = "{'type': 'boolean', 'percentage': 50, 'salt': ''}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "false off SPLIT bucket=84042" },
    { .label = "by an attribute",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'companyId'}",
      .context = "{'targetingKey': 'u1', 'companyId': 'acme'}",
      .expected = "false off SPLIT bucket=75805" },
    { .label = "by a path",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'company.id'}",
      .context = "{'targetingKey': 'u1', 'company': {'id': 'acme'}}",
      .expected = "false off SPLIT bucket=75805" },
    { .label = "by an exact name with a dot",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'company.id'}",
      .context = "{'company': {'id': 'other'}, 'company.id': 'acme'}",
      .expected = "false off SPLIT bucket=75805" },
    { .label = "UTF-8 is hashed as it is",
      .flag = "{'type': 'boolean', 'percentage': 50}",
      .context = "{'targetingKey': 'ü'}",
      .expected = "false off SPLIT bucket=85883" },
    { .label = "an integer is hashed in decimal",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'n'}",
      .context = "{'n': 42}",
      .expected = "true on SPLIT bucket=19721" },
    { .label = "the text 42 and the integer 42 are one",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'n'}",
      .context = "{'n': '42'}",
      .expected = "true on SPLIT bucket=19721" },
    { .label = "a negative integer",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'n'}",
      .context = "{'n': -7}",
      .expected = "true on SPLIT bucket=26034" },
    { .label = "the largest integer",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'n'}",
      .context = "{'n': 9223372036854775807}",
      .expected = "false off SPLIT bucket=52809" },
    { .label = "the smallest integer",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'n'}",
      .context = "{'n': -9223372036854775808}",
      .expected = "true on SPLIT bucket=1737" },
    { .label = "a targeting key that is an integer",
      .flag = "{'type': 'boolean', 'percentage': 50}",
      .context = "{'targetingKey': 42}",
      .expected = "true on SPLIT bucket=19721" },

    /* percentages */
    { .label = "three decimals, the last bucket that is in",
      .flag = "{'type': 'boolean', 'percentage': 12.345}",
      .context = "{'targetingKey': 'k15008'}",
      .expected = "true on SPLIT bucket=12344" },
    { .label = "three decimals, the first bucket that is out",
      .flag = "{'type': 'boolean', 'percentage': 12.345}",
      .context = "{'targetingKey': 'k102993'}",
      .expected = "false off SPLIT bucket=12345" },
    { .label = "the smallest percentage, in",
      .flag = "{'type': 'boolean', 'percentage': 0.001}",
      .context = "{'targetingKey': 'k106321'}",
      .expected = "true on SPLIT bucket=0" },
    { .label = "the smallest percentage, out",
      .flag = "{'type': 'boolean', 'percentage': 0.001}",
      .context = "{'targetingKey': 'k58030'}",
      .expected = "false off SPLIT bucket=1" },
    { .label = "the largest percentage that uses a bucket",
      .flag = "{'type': 'boolean', 'percentage': 99.999}",
      .context = "{'targetingKey': 'k80680'}",
      .expected = "false off SPLIT bucket=99999" },
    { .label = "a percentage with an exponent",
      .flag = "{'type': 'boolean', 'percentage': 2.5e1}",
      .context = "{'targetingKey': 'k122047'}",
      .expected = "true on SPLIT bucket=24999" },

    /* md5-mod100: u2 is in bucket 39, alice in 0 */
    { .label = "md5-mod100, the bucket is not below the percentage",
      .flag = "{'type': 'boolean', 'percentage': 39, 'bucketing': 'md5-mod100'}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "false off SPLIT bucket=39" },
    { .label = "md5-mod100, the bucket is below the percentage",
      .flag = "{'type': 'boolean', 'percentage': 40, 'bucketing': 'md5-mod100'}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "true on SPLIT bucket=39" },
    { .label = "md5-mod100 compares bucket × 1000",
      .flag = "{'type': 'boolean', 'percentage': 39.001, 'bucketing': 'md5-mod100'}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "true on SPLIT bucket=39" },
    { .label = "md5-mod100, bucket 0",
      .flag = "{'type': 'boolean', 'percentage': 0.001, 'bucketing': 'md5-mod100'}",
      .context = "{'targetingKey': 'alice'}",
      .expected = "true on SPLIT bucket=0" },
    { .label = "md5-mod100 of the empty text",
      .flag = "{'type': 'boolean', 'percentage': 66, 'bucketing': 'md5-mod100'}",
      .context = "{'targetingKey': ''}",
      .expected = "false off SPLIT bucket=66" },
    { .label = "md5-mod100 of an integer, in decimal",
      .flag = "{'type': 'boolean', 'percentage': 50, 'bucketing': 'md5-mod100', 'by': 'n'}",
      .context = "{'n': 42}",
      .expected = "false off SPLIT bucket=74" },

    /* splits: byte order of the names, floor of the sums */
    { .label = "a third each: the last of a",
      .flag = "{'type': 'integer', " THIRDS "}",
      .context = "{'targetingKey': 'k90323'}",
      .expected = "1 a SPLIT bucket=33332" },
    { .label = "a third each: the first of b",
      .flag = "{'type': 'integer', " THIRDS "}",
      .context = "{'targetingKey': 'k89308'}",
      .expected = "2 b SPLIT bucket=33333" },
    { .label = "a third each: the last of b",
      .flag = "{'type': 'integer', " THIRDS "}",
      .context = "{'targetingKey': 'k71785'}",
      .expected = "2 b SPLIT bucket=66665" },
    { .label = "a third each: the first of c",
      .flag = "{'type': 'integer', " THIRDS "}",
      .context = "{'targetingKey': 'k227030'}",
      .expected = "3 c SPLIT bucket=66666" },
    { .label = "a third each: the last bound is 100000",
      .flag = "{'type': 'integer', " THIRDS "}",
      .context = "{'targetingKey': 'k80680'}",
      .expected = "3 c SPLIT bucket=99999" },
    { .label = "names are in byte order, capitals first",
      .flag = "{'type': 'integer', 'variants': {'ä': 1, 'a': 2, 'Z': 3}, 'default': 'a', "
              "'split': {'ä': 1, 'a': 1, 'Z': 1}}",
      .context = "{'targetingKey': 'k90323'}",
      .expected = "3 Z SPLIT bucket=33332" },
    { .label = "names are in byte order, beyond ASCII last",
      .flag = "{'type': 'integer', 'variants': {'ä': 1, 'a': 2, 'Z': 3}, 'default': 'a', "
              "'split': {'ä': 1, 'a': 1, 'Z': 1}}",
      .context = "{'targetingKey': 'k227030'}",
      .expected = "1 ä SPLIT bucket=66666" },
    { .label = "names are in byte order, a prefix first",
      .flag = "{'type': 'integer', 'variants': {'aa': 1, 'a': 2}, 'default': 'a', "
              "'split': {'aa': 1, 'a': 1}}",
      .context = "{'targetingKey': 'k43809'}",
      .expected = "2 a SPLIT bucket=49999" },
    { .label = "weights need not sum up to 100: below the bound",
      .flag = "{'type': 'string', " AB ", 'split': {'a': 1, 'b': 3}}",
      .context = "{'targetingKey': 'k122047'}",
      .expected = "'A' a SPLIT bucket=24999" },
    { .label = "weights need not sum up to 100: at the bound",
      .flag = "{'type': 'string', " AB ", 'split': {'a': 1, 'b': 3}}",
      .context = "{'targetingKey': 'k10086'}",
      .expected = "'B' b SPLIT bucket=25000" },
    { .label = "a weight of 0 in the middle: before",
      .flag = "{'type': 'string', " ABC ", 'split': {'a': 1, 'b': 0, 'c': 1}}",
      .context = "{'targetingKey': 'k43809'}",
      .expected = "'A' a SPLIT bucket=49999" },
    { .label = "a weight of 0 in the middle: behind",
      .flag = "{'type': 'string', " ABC ", 'split': {'a': 1, 'b': 0, 'c': 1}}",
      .context = "{'targetingKey': 'k22920'}",
      .expected = "'C' c SPLIT bucket=50000" },
    { .label = "a weight of 0 at the front",
      .flag = "{'type': 'string', " ABC ", 'split': {'a': 0, 'b': 1, 'c': 1}}",
      .context = "{'targetingKey': 'k106321'}",
      .expected = "'B' b SPLIT bucket=0" },
    { .label = "a weight of 0 at the end",
      .flag = "{'type': 'string', " ABC ", 'split': {'a': 1, 'b': 1, 'c': 0}}",
      .context = "{'targetingKey': 'k80680'}",
      .expected = "'B' b SPLIT bucket=99999" },
    { .label = "a variant that a split leaves out gets nobody",
      .flag = "{'type': 'string', " ABC ", 'split': {'b': 1, 'c': 1}}",
      .context = "{'targetingKey': 'k106321'}",
      .expected = "'B' b SPLIT bucket=0" },
    { .label = "a share that floor leaves no bucket",
      .flag = "{'type': 'string', " AB ", 'split': {'a': 1, 'b': 1000000}}",
      .context = "{'targetingKey': 'k106321'}",
      .expected = "'B' b SPLIT bucket=0" },
    { .label = "the largest weights",
      .flag = "{'type': 'string', " AB ", 'split': {'a': 1000000, 'b': 1000000}}",
      .context = "{'targetingKey': 'k22920'}",
      .expected = "'B' b SPLIT bucket=50000" },

    /* `by` where a bucket is needed */
    { .label = "no context",
      .flag = "{'type': 'boolean', 'percentage': 50}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "no key",
      .flag = "{'type': 'boolean', 'percentage': 50}",
      .context = "{'x': 1}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "a null key",
      .flag = "{'type': 'boolean', 'percentage': 50}",
      .context = "{'targetingKey': null}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "the empty key is a value",
      .flag = "{'type': 'boolean', 'percentage': 50}",
      .context = "{'targetingKey': ''}",
      .expected = "false off SPLIT bucket=61648" },
    { .label = "an empty attribute is a value",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'x'}",
      .context = "{'x': ''}",
      .expected = "false off SPLIT bucket=61648" },
    { .label = "by a missing attribute, whatever the key",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'x'}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "by null",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'x'}",
      .context = "{'x': null}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "by a boolean",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'x'}",
      .context = "{'x': true}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "by a double",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'x'}",
      .context = "{'x': 1.5}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "by an array",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'x'}",
      .context = "{'x': ['u1']}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "by an object",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'x'}",
      .context = "{'x': {'x': 'u1'}}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "by, in a split",
      .flag = "{'type': 'string', " AB ", 'split': {'a': 1, 'b': 1}}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "by, in a schedule",
      .flag = RAMP,
      .time = "2026-01-01T00:00:50Z",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "by, in a rule: no further rule is tried, no rule is told",
      .flag = "{'type': 'boolean', 'rules': [{'id': 'r', 'serve': {'percentage': 50}}, "
              "{'id': 's', 'serve': 'on'}]}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "by, with md5-mod100",
      .flag = "{'type': 'boolean', 'percentage': 50, 'bucketing': 'md5-mod100'}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },

    /* schedules */
    { .label = "a schedule before its first step",
      .flag = STEPS,
      .context = "{'targetingKey': 'k106321'}",
      .time = "2025-12-31T23:59:59.999Z",
      .expected = "false off DEFAULT" },
    { .label = "a schedule at its first step, in",
      .flag = STEPS,
      .context = "{'targetingKey': 'k70092'}",
      .time = "2026-01-01T00:00:00Z",
      .expected = "true on SPLIT bucket=9999" },
    { .label = "a schedule at its first step, out",
      .flag = STEPS,
      .context = "{'targetingKey': 'k118664'}",
      .time = "2026-01-01T00:00:00Z",
      .expected = "false off SPLIT bucket=10000" },
    { .label = "a schedule holds its step until the next",
      .flag = STEPS,
      .context = "{'targetingKey': 'k118664'}",
      .time = "2026-01-03T23:59:59.999Z",
      .expected = "false off SPLIT bucket=10000" },
    { .label = "a schedule at its second step",
      .flag = STEPS,
      .context = "{'targetingKey': 'k122047'}",
      .time = "2026-01-04T00:00:00Z",
      .expected = "true on SPLIT bucket=24999" },
    { .label = "a schedule reads offsets",
      .flag = STEPS,
      .context = "{'targetingKey': 'k43809'}",
      .time = "2026-01-07T23:00:00Z",
      .expected = "true on SPLIT bucket=49999" },
    { .label = "a schedule a moment before an offset's step",
      .flag = STEPS,
      .context = "{'targetingKey': 'k43809'}",
      .time = "2026-01-07T22:59:59.999Z",
      .expected = "false off SPLIT bucket=49999" },
    { .label = "a schedule keeps its last value",
      .flag = STEPS,
      .context = "{'targetingKey': 'k22920'}",
      .time = "2999-01-01T00:00:00Z",
      .expected = "false off SPLIT bucket=50000" },
    { .label = "steps are steps when it is said",
      .flag = "{'type': 'boolean', 'schedule': {'interpolate': 'step', 'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 10}, "
              "{'at': '2026-01-03T00:00:00Z', 'percentage': 50}]}}",
      .context = "{'targetingKey': 'k118664'}",
      .time = "2026-01-02T23:59:59Z",
      .expected = "false off SPLIT bucket=10000" },
    { .label = "linear, in",
      .flag = RAMP,
      .context = "{'targetingKey': 'k15008'}",
      .time = "2026-01-01T00:00:12.345Z",
      .expected = "true on SPLIT bucket=12344" },
    { .label = "linear, out",
      .flag = RAMP,
      .context = "{'targetingKey': 'k102993'}",
      .time = "2026-01-01T00:00:12.345Z",
      .expected = "false off SPLIT bucket=12345" },
    { .label = "linear, floored",
      .flag = "{'type': 'boolean', 'schedule': {'interpolate': 'linear', 'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 0}, "
              "{'at': '2026-01-01T00:00:00.003Z', 'percentage': 100}]}}",
      .context = "{'targetingKey': 'k227030'}",
      .time = "2026-01-01T00:00:00.002Z",
      .expected = "false off SPLIT bucket=66666" },
    { .label = "linear, between higher steps",
      .flag = "{'type': 'boolean', 'schedule': {'interpolate': 'linear', 'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 20}, "
              "{'at': '2026-01-01T00:00:10Z', 'percentage': 30}]}}",
      .context = "{'targetingKey': 'k10086'}",
      .time = "2026-01-01T00:00:05Z",
      .expected = "false off SPLIT bucket=25000" },
    { .label = "linear, 0 before the first step",
      .flag = "{'type': 'boolean', 'schedule': {'interpolate': 'linear', 'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 20}, "
              "{'at': '2026-01-01T00:00:10Z', 'percentage': 30}]}}",
      .time = "2025-12-31T23:59:59.999Z",
      .expected = "false off DEFAULT" },
    { .label = "linear, the last value after the last step",
      .flag = "{'type': 'boolean', 'schedule': {'interpolate': 'linear', 'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 20}, "
              "{'at': '2026-01-01T00:00:10Z', 'percentage': 25}]}}",
      .context = "{'targetingKey': 'k10086'}",
      .time = "2027-01-01T00:00:00Z",
      .expected = "false off SPLIT bucket=25000" },

    /* segments */
    { .label = "a segment includes",
      .flag = "{'type': 'boolean', 'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}",
      .segments = "'s': {'include': ['u1']}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "true on TARGETING_MATCH" },
    { .label = "a segment without a condition has nobody else",
      .flag = "{'type': 'boolean', 'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}",
      .segments = "'s': {'include': ['u1'], 'exclude': ['u2']}",
      .context = "{'targetingKey': 'u3'}",
      .expected = "false off DEFAULT" },
    { .label = "a segment by condition",
      .flag = "{'type': 'boolean', 'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}",
      .segments = "'s': {'if': {'attr': 'x', 'op': 'eq', 'value': 1}}",
      .context = "{'x': 1}",
      .expected = "true on TARGETING_MATCH" },
    { .label = "a segment excludes whom the condition takes",
      .flag = "{'type': 'boolean', 'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}",
      .segments = "'s': {'exclude': ['u1'], 'if': {'attr': 'x', 'op': 'eq', 'value': 1}}",
      .context = "{'targetingKey': 'u1', 'x': 1}",
      .expected = "false off DEFAULT" },
    { .label = "a segment includes whom the condition leaves out",
      .flag = "{'type': 'boolean', 'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}",
      .segments = "'s': {'include': ['u1'], 'if': {'attr': 'x', 'op': 'eq', 'value': 1}}",
      .context = "{'targetingKey': 'u1', 'x': 2}",
      .expected = "true on TARGETING_MATCH" },
    { .label = "a segment in a segment",
      .flag = "{'type': 'boolean', 'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}",
      .segments = "'s': {'if': {'not': {'segment': 't'}}}, 't': {'include': ['u1']}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "true on TARGETING_MATCH" },
    { .label = "a segment that asks a flag",
      .flag = "{'type': 'boolean', 'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}",
      .flags = G_B,
      .segments = "'s': {'if': {'flag': 'g', 'variant': 'b'}}",
      .expected = "true on TARGETING_MATCH" },
    { .label = "not in a segment",
      .flag = "{'type': 'boolean', 'rules': [{'if': {'not': {'segment': 's'}}, 'serve': 'on'}]}",
      .segments = "'s': {'include': ['u1']}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "false off DEFAULT" },
    { .label = "without a key in no list",
      .flag = "{'type': 'boolean', 'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}",
      .segments = "'s': {'include': [''], 'exclude': ['']}",
      .context = "{}",
      .expected = "false off DEFAULT" },

    /* flags in conditions */
    { .label = "a flag that serves the variant",
      .flag = "{'type': 'boolean', "
              "'rules': [{'if': {'flag': 'g', 'variant': 'b'}, 'serve': 'on'}]}",
      .flags = G_B,
      .expected = "true on TARGETING_MATCH" },
    { .label = "a flag that serves another variant",
      .flag = "{'type': 'boolean', "
              "'rules': [{'if': {'flag': 'g', 'variant': 'a'}, 'serve': 'on'}]}",
      .flags = G_B,
      .expected = "false off DEFAULT" },
    { .label = "a flag is asked for the same context",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = "'g': {'type': 'boolean', 'beta': ['u1']}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "true on DEFAULT" },
    { .label = "a flag is asked at the same time",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = "'g': {'type': 'boolean', 'schedule': {'steps': ["
               "{'at': '2026-01-01T00:00:00Z', 'percentage': 100}]}}",
      .time = "2026-01-01T00:00:00Z",
      .expected = "true on DEFAULT" },
    { .label = "a flag buckets by its own salt",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'on'}], "
              "'percentage': 25}",
      .flags = "'g': {'type': 'boolean', 'percentage': 25, 'salt': 'f'}",
      .context = "{'targetingKey': 'k122047'}",
      .expected = "true on SPLIT bucket=24999" },
};

/* ---- corner cases ---- */

static const struct row corner_rows[] = {
    { .label = "an empty beta list counts as none",
      .flag = "{'type': 'boolean', 'beta': []}",
      .expected = "true on STATIC" },
    { .label = "an empty target list counts as none",
      .flag = "{'type': 'boolean', 'targets': {'on': [], 'off': []}}",
      .expected = "true on STATIC" },
    { .label = "empty targets count as none",
      .flag = "{'type': 'boolean', 'targets': {}}",
      .expected = "true on STATIC" },
    { .label = "an empty rule list counts as none",
      .flag = "{'type': 'boolean', 'rules': []}",
      .expected = "true on STATIC" },
    { .label = "an empty requires list counts as none",
      .flag = "{'type': 'boolean', 'requires': []}",
      .expected = "true on STATIC" },
    { .label = "empty lists of a string flag",
      .flag = "{'type': 'string', " AB ", 'targets': {'b': []}, 'rules': []}",
      .expected = "'A' a STATIC" },

    /* by, salt, bucketing for the rules alone; inheritance */
    { .label = "a serve takes the flag's by",
      .flag = "{'type': 'boolean', 'by': 'companyId', "
              "'rules': [{'serve': {'percentage': 50}}]}",
      .context = "{'targetingKey': 'u1', 'companyId': 'acme'}",
      .expected = "false off SPLIT bucket=75805" },
    { .label = "a serve takes the flag's salt",
      .flag = "{'type': 'boolean', 'salt': 's', 'rules': [{'serve': {'percentage': 50}}]}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "false off SPLIT bucket=57165" },
    { .label = "a serve takes the flag's bucketing",
      .flag = "{'type': 'boolean', 'bucketing': 'md5-mod100', "
              "'rules': [{'serve': {'percentage': 40}}]}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "true on SPLIT bucket=39" },
    { .label = "a serve's own by",
      .flag = "{'type': 'boolean', 'by': 'x', "
              "'rules': [{'serve': {'percentage': 50, 'by': 'companyId'}}]}",
      .context = "{'x': 'u1', 'companyId': 'acme'}",
      .expected = "false off SPLIT bucket=75805" },
    { .label = "a serve's own salt, with the flag's by",
      .flag = "{'type': 'boolean', 'by': 'x', 'salt': 'other', "
              "'rules': [{'serve': {'percentage': 50, 'salt': 's'}}]}",
      .context = "{'x': 'u1'}",
      .expected = "false off SPLIT bucket=57165" },
    { .label = "a serve's own bucketing",
      .flag = "{'type': 'boolean', 'bucketing': 'md5-mod100', "
              "'rules': [{'serve': {'percentage': 50, 'bucketing': 'murmur3'}}]}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "false off SPLIT bucket=92683" },
    { .label = "a serve's words do not leak into the next",
      .flag = "{'type': 'boolean', 'rules': ["
              "{'if': {'attr': 'x', 'op': 'exists', 'value': true}, "
              "'serve': {'percentage': 50, 'salt': 's', 'by': 'y', 'bucketing': 'murmur3'}}, "
              "{'serve': {'percentage': 50}}]}",
      .context = "{'targetingKey': 'u1', 'y': 'u2'}",
      .expected = "false off SPLIT bucket=92683" },
    { .label = "a flag's salt that meets a serve's md5-mod100 is ignored",
      .flag = "{'type': 'boolean', 'salt': 's', "
              "'rules': [{'serve': {'percentage': 40, 'bucketing': 'md5-mod100'}}]}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "true on SPLIT bucket=39" },
    { .label = "a serve's salt that meets the flag's md5-mod100 is ignored",
      .flag = "{'type': 'boolean', 'bucketing': 'md5-mod100', "
              "'rules': [{'serve': {'percentage': 40, 'salt': 's'}}]}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "true on SPLIT bucket=39" },
    { .label = "a split by md5-mod100 compares bucket × 1000: out",
      .flag = "{'type': 'string', " AB ", 'bucketing': 'md5-mod100', "
              "'split': {'a': 39000, 'b': 61000}}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "'B' b SPLIT bucket=39" },
    { .label = "a split by md5-mod100 compares bucket × 1000: in",
      .flag = "{'type': 'string', " AB ", 'bucketing': 'md5-mod100', "
              "'split': {'a': 39001, 'b': 60999}}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "'A' a SPLIT bucket=39" },
    { .label = "a schedule by md5-mod100",
      .flag = "{'type': 'boolean', 'bucketing': 'md5-mod100', 'schedule': {'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 39}, "
              "{'at': '2026-01-02T00:00:00Z', 'percentage': 40}]}}",
      .context = "{'targetingKey': 'u2'}",
      .time = "2026-01-02T00:00:00Z",
      .expected = "true on SPLIT bucket=39" },
    { .label = "a schedule with the flag's by and salt",
      .flag = "{'type': 'boolean', 'by': 'x', 'salt': 's', 'schedule': {'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 50}]}}",
      .context = "{'x': 'u2'}",
      .time = "2026-01-01T00:00:00Z",
      .expected = "true on SPLIT bucket=26324" },

    /* thresholds that use no bucket */
    { .label = "linear, threshold 0 on the way uses no bucket",
      .flag = RAMP,
      .time = "2026-01-01T00:00:00Z",
      .expected = "false off DEFAULT" },
    { .label = "linear, threshold 0 after the start uses no bucket",
      .flag = "{'type': 'boolean', 'schedule': {'interpolate': 'linear', 'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 0}, "
              "{'at': '2026-01-02T00:00:00Z', 'percentage': 1}]}}",
      .time = "2026-01-01T00:01:26.399Z",
      .expected = "false off DEFAULT" },
    { .label = "linear, threshold 1 uses a bucket",
      .flag = "{'type': 'boolean', 'schedule': {'interpolate': 'linear', 'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 0}, "
              "{'at': '2026-01-02T00:00:00Z', 'percentage': 1}]}}",
      .time = "2026-01-01T00:01:26.400Z",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "linear, threshold 100000 uses no bucket",
      .flag = RAMP,
      .time = "2026-01-01T00:01:40Z",
      .expected = "true on DEFAULT" },
    { .label = "a step of 0 uses no bucket",
      .flag = "{'type': 'boolean', 'default': 'on', 'schedule': {'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 50}, "
              "{'at': '2026-01-02T00:00:00Z', 'percentage': 0}]}}",
      .time = "2026-01-02T00:00:00Z",
      .expected = "true on DEFAULT" },

    /* requires and flag hold whatever the reason */
    { .label = "requires holds for a disabled flag's off",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'off'}]}",
      .flags = "'g': {'type': 'boolean', 'enabled': false}",
      .expected = "true on DEFAULT" },
    { .label = "requires holds for a bucket's variant",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'off'}]}",
      .flags = "'g': {'type': 'boolean', 'percentage': 25, 'salt': 'f'}",
      .context = "{'targetingKey': 'k10086'}",
      .expected = "true on DEFAULT" },
    { .label = "requires holds for off because of another requires",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'off'}]}",
      .flags = "'g': {'type': 'boolean', 'requires': [{'flag': 'h', 'variant': 'on'}]}, "
               "'h': {'type': 'boolean', 'default': 'off'}",
      .expected = "true on DEFAULT" },
    { .label = "a flag that ends in an error serves none, `off` not either",
      .flag = "{'type': 'boolean', 'rules': [{'id': 'any', 'serve': 'on', 'if': {'any': ["
              "{'flag': 'g', 'variant': 'on'}, {'flag': 'g', 'variant': 'off'}]}}]}",
      .flags = "'g': {'type': 'boolean', 'percentage': 50}",
      .context = "{}",
      .expected = "false off DEFAULT" },
    { .label = "a requires on a flag that ends in an error is not met",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'off'}]}",
      .flags = "'g': {'type': 'boolean', 'percentage': 50}",
      .context = "{}",
      .expected = "false off DEFAULT rule=requires" },

    /* the rest */
    { .label = "include wins over exclude",
      .flag = "{'type': 'boolean', 'rules': [{'if': {'segment': 's'}, 'serve': 'on'}]}",
      .segments = "'s': {'include': ['u1'], 'exclude': ['u1']}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "true on TARGETING_MATCH" },
    { .label = "an exact name that holds null hides the path from by",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'company.id'}",
      .context = "{'company.id': null, 'company': {'id': 'acme'}}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "a whole double is no key",
      .flag = "{'type': 'boolean', 'percentage': 50, 'by': 'x'}",
      .context = "{'x': 42.0}",
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "a wrong getter reports a missing key",
      .flag = "{'type': 'boolean', 'percentage': 50}",
      .type = FLAGVER_TYPE_STRING,
      .expected = "- - ERROR TARGETING_KEY_MISSING" },
    { .label = "a wrong getter reports an invalid context",
      .flag = "{'type': 'boolean'}",
      .context = "{'targetingKey': false}",
      .type = FLAGVER_TYPE_STRING,
      .expected = "- - ERROR INVALID_CONTEXT" },
};

/* ---- shapes ---- */

static const struct row shape_rows[] = {
    /* variants of booleans, default and off */
    { .label = "a boolean's own variants",
      .flag = "{'type': 'boolean', 'variants': {'yes': true, 'no': false}}",
      .expected = "true yes STATIC" },
    { .label = "a boolean's own variants, disabled: the false one",
      .flag = "{'type': 'boolean', 'variants': {'a-yes': true, 'b-no': false}, "
              "'enabled': false}",
      .expected = "false b-no DISABLED" },
    { .label = "the names on and off can be turned round",
      .flag = "{'type': 'boolean', 'variants': {'on': false, 'off': true}, 'beta': ['u1']}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "true off TARGETING_MATCH" },
    { .label = "the true variant is served in a percentage",
      .flag = "{'type': 'boolean', 'variants': {'yes': true, 'no': false}, 'percentage': 25}",
      .context = "{'targetingKey': 'k122047'}",
      .expected = "true yes SPLIT bucket=24999" },
    { .label = "a boolean's default is false beside beta",
      .flag = "{'type': 'boolean', 'beta': ['u1']}",
      .expected = "false off DEFAULT" },
    { .label = "a boolean's default is false beside targets",
      .flag = "{'type': 'boolean', 'targets': {'off': ['u1']}}",
      .expected = "false off DEFAULT" },
    { .label = "a boolean's default is false beside rules",
      .flag = "{'type': 'boolean', 'rules': [{'if': {'attr': 'x', 'op': 'exists', "
              "'value': true}, 'serve': 'on'}]}",
      .expected = "false off DEFAULT" },
    { .label = "a boolean's default is false beside a percentage",
      .flag = "{'type': 'boolean', 'percentage': 25}",
      .context = "{'targetingKey': 'k10086'}",
      .expected = "false off SPLIT bucket=25000" },
    { .label = "a boolean's default is false beside a schedule",
      .flag = STEPS,
      .time = "2020-01-01T00:00:00Z",
      .expected = "false off DEFAULT" },
    { .label = "a boolean's default is true beside requires",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = G_ON,
      .expected = "true on DEFAULT" },
    { .label = "a boolean's default is false beside own variants and beta",
      .flag = "{'type': 'boolean', 'variants': {'yes': true, 'no': false}, 'beta': ['u1']}",
      .expected = "false no DEFAULT" },
    { .label = "a default that is said",
      .flag = "{'type': 'boolean', 'default': 'on', 'beta': ['u1']}",
      .expected = "true on DEFAULT" },
    { .label = "off that is said",
      .flag = "{'type': 'boolean', 'off': 'on', 'enabled': false}",
      .expected = "true on DISABLED" },
    { .label = "off that is said does not change the default",
      .flag = "{'type': 'boolean', 'off': 'on', 'beta': ['u1']}",
      .expected = "false off DEFAULT" },
    { .label = "off is the false variant, also when the default is on",
      .flag = "{'type': 'boolean', 'default': 'on', 'enabled': false}",
      .expected = "false off DISABLED" },
    { .label = "off of other types is the default",
      .flag = "{'type': 'integer', 'variants': {'x': 1, 'y': 2}, 'default': 'y', "
              "'enabled': false}",
      .expected = "2 y DISABLED" },
    { .label = "a flag of one variant",
      .flag = "{'type': 'integer', 'variants': {'x': 1}, 'default': 'x'}",
      .expected = "1 x STATIC" },

    /* values */
    { .label = "a string with everything",
      .flag = "{'type': 'string', 'variants': {'v': 'ä\\n\\\\'}, 'default': 'v'}",
      .expected = "'ä\n\\' v STATIC" },
    { .label = "an empty string",
      .flag = "{'type': 'string', 'variants': {'v': ''}, 'default': 'v'}",
      .expected = "'' v STATIC" },
    { .label = "the largest integer",
      .flag = "{'type': 'integer', 'variants': {'v': 9223372036854775807}, 'default': 'v'}",
      .expected = "9223372036854775807 v STATIC" },
    { .label = "the smallest integer",
      .flag = "{'type': 'integer', 'variants': {'v': -9223372036854775808}, 'default': 'v'}",
      .expected = "-9223372036854775808 v STATIC" },
    { .label = "a double",
      .flag = "{'type': 'double', 'variants': {'v': 0.1}, 'default': 'v'}",
      .expected = "0.10000000000000001 v STATIC" },
    { .label = "3 is a double too",
      .flag = "{'type': 'double', 'variants': {'v': 3}, 'default': 'v'}",
      .expected = "3 v STATIC" },
    { .label = "JSON comes in canonical form",
      .flag = "{'type': 'json', 'variants': {'v': {'b': [1, 2.50, null, true], 'a': 'x'}}, "
              "'default': 'v'}",
      .expected = "{'a':'x','b':[1,2.5,null,true]} v STATIC" },
    { .label = "JSON can be null",
      .flag = "{'type': 'json', 'variants': {'v': null}, 'default': 'v'}",
      .expected = "null v STATIC" },
    { .label = "JSON can be a number",
      .flag = "{'type': 'json', 'variants': {'v': 1e3}, 'default': 'v'}",
      .expected = "1e+03 v STATIC" },

    /* targets */
    { .label = "beta adds to the targets of the true variant: beta",
      .flag = "{'type': 'boolean', 'beta': ['u1'], 'targets': {'on': ['u2'], 'off': ['u3']}}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "true on TARGETING_MATCH" },
    { .label = "beta adds to the targets of the true variant: target",
      .flag = "{'type': 'boolean', 'beta': ['u1'], 'targets': {'on': ['u2'], 'off': ['u3']}}",
      .context = "{'targetingKey': 'u2'}",
      .expected = "true on TARGETING_MATCH" },
    { .label = "beta beside a target of the false variant",
      .flag = "{'type': 'boolean', 'beta': ['u1'], 'targets': {'on': ['u2'], 'off': ['u3']}}",
      .context = "{'targetingKey': 'u3'}",
      .expected = "false off TARGETING_MATCH" },
    { .label = "a key twice in one list is harmless",
      .flag = "{'type': 'boolean', 'beta': ['u1', 'u1'], 'targets': {'on': ['u1']}}",
      .context = "{'targetingKey': 'u1'}",
      .expected = "true on TARGETING_MATCH" },

    /* targetingKey */
    { .label = "an integer as a key is its decimal text",
      .flag = "{'type': 'boolean', 'beta': ['42']}",
      .context = "{'targetingKey': 42}",
      .expected = "true on TARGETING_MATCH" },
    { .label = "a null key is missing",
      .flag = "{'type': 'boolean', 'beta': ['']}",
      .context = "{'targetingKey': null}",
      .expected = "false off DEFAULT" },
    { .label = "a double as a key",
      .flag = "{'type': 'boolean'}",
      .context = "{'targetingKey': 1.5}",
      .expected = "- - ERROR INVALID_CONTEXT" },
    { .label = "a whole double as a key",
      .flag = "{'type': 'boolean'}",
      .context = "{'targetingKey': 42.0}",
      .expected = "- - ERROR INVALID_CONTEXT" },
    { .label = "a boolean as a key",
      .flag = "{'type': 'boolean'}",
      .context = "{'targetingKey': true}",
      .expected = "- - ERROR INVALID_CONTEXT" },
    { .label = "an array as a key",
      .flag = "{'type': 'boolean'}",
      .context = "{'targetingKey': ['u1']}",
      .expected = "- - ERROR INVALID_CONTEXT" },
    { .label = "an object as a key",
      .flag = "{'type': 'boolean'}",
      .context = "{'targetingKey': {}}",
      .expected = "- - ERROR INVALID_CONTEXT" },
    { .label = "an invalid key comes before disabled",
      .flag = "{'type': 'boolean', 'enabled': false}",
      .context = "{'targetingKey': {}}",
      .expected = "- - ERROR INVALID_CONTEXT" },
    { .label = "an invalid key comes before a rule that does not look at it",
      .flag = "{'type': 'boolean', 'rules': [{'serve': 'on'}]}",
      .context = "{'targetingKey': {}}",
      .expected = "- - ERROR INVALID_CONTEXT" },
    { .label = "an invalid key comes before requires",
      .flag = "{'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'on'}]}",
      .flags = G_OFF,
      .context = "{'targetingKey': 1.5}",
      .expected = "- - ERROR INVALID_CONTEXT" },

    /* percentages of a schedule may fall */
    { .label = "a schedule may fall",
      .flag = "{'type': 'boolean', 'schedule': {'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 50}, "
              "{'at': '2026-01-02T00:00:00Z', 'percentage': 25}]}}",
      .context = "{'targetingKey': 'k10086'}",
      .time = "2026-01-02T00:00:00Z",
      .expected = "false off SPLIT bucket=25000" },
    { .label = "a linear schedule that falls is floored too",
      .flag = "{'type': 'boolean', 'schedule': {'interpolate': 'linear', 'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 100}, "
              "{'at': '2026-01-01T00:00:00.003Z', 'percentage': 0}]}}",
      .context = "{'targetingKey': 'k227030'}",
      .time = "2026-01-01T00:00:00.001Z",
      .expected = "false off SPLIT bucket=66666" },
    { .label = "a linear schedule that falls, in",
      .flag = "{'type': 'boolean', 'schedule': {'interpolate': 'linear', 'steps': ["
              "{'at': '2026-01-01T00:00:00Z', 'percentage': 100}, "
              "{'at': '2026-01-01T00:00:00.003Z', 'percentage': 0}]}}",
      .context = "{'targetingKey': 'k71785'}",
      .time = "2026-01-01T00:00:00.001Z",
      .expected = "true on SPLIT bucket=66665" },
};

/* ---- the ways to ask ---- */

static char *document_of(const struct row *row)
{
    struct fv_text text = FV_TEXT_INIT;

    fv_text_add(&text, "{'flags': {");
    if (row->flag)
        fv_text_format(&text, "'f': %s", row->flag);
    if (row->flags)
        fv_text_format(&text, "%s%s", row->flag ? ", " : "", row->flags);
    fv_text_format(&text, "}, 'segments': {%s}}", row->segments ? row->segments : "");
    return fv_text_detach(&text);
}

/* The plain getters know no more than a value or the caller's own default. */
static void check_getters(const struct row *row, flagver_client *client, const flagver_bound *bound,
                          flagver_context *context, const flagver_detail *detail, int type)
{
    static const char fallback[] = "fallback";
    const flagver_value *value = &detail->value;
    bool failed = detail->error != 0;

    switch (type) {
    case FLAGVER_TYPE_BOOL:
        ck_assert_int_eq(flagver_flag_bool(client, "f", context, !value->boolean),
                         failed ? !value->boolean : value->boolean);
        ck_assert_int_eq(flagver_bound_bool(bound, context, !value->boolean),
                         failed ? !value->boolean : value->boolean);
        break;
    case FLAGVER_TYPE_INT:
        ck_assert_int_eq(flagver_flag_int(client, "f", context, 77), failed ? 77 : value->integer);
        ck_assert_int_eq(flagver_bound_int(bound, context, 77), failed ? 77 : value->integer);
        break;
    case FLAGVER_TYPE_DOUBLE:
        ck_assert_double_eq(flagver_flag_double(client, "f", context, 7.5),
                            failed ? 7.5 : value->real);
        ck_assert_double_eq(flagver_bound_double(bound, context, 7.5), failed ? 7.5 : value->real);
        break;
    case FLAGVER_TYPE_STRING:
        ck_assert_str_eq(flagver_flag_string(client, "f", context, fallback),
                         failed ? fallback : value->string);
        ck_assert_str_eq(flagver_bound_string(bound, context, fallback),
                         failed ? fallback : value->string);
        break;
    default:
        ck_assert_int_eq(type, FLAGVER_TYPE_JSON);
        ck_assert_str_eq(flagver_flag_json(client, "f", context, fallback),
                         failed ? fallback : value->string);
        ck_assert_str_eq(flagver_bound_json(bound, context, fallback),
                         failed ? fallback : value->string);
        break;
    }
    ck_assert_msg(!failed || value->type == FLAGVER_TYPE_ANY, "%s: an error has a value",
                  row->label);
}

/* By key, by handle, on a snapshot, with and without details: all say the same. */
static void check_row(const struct row *row)
{
    int64_t now = row->time ? time_of(row->time) : 0;
    char *document = document_of(row);
    flagver_client *client = client_of(document, &now);
    flagver_context *context = context_of(row->context);
    flagver_detail detail = { .size = sizeof detail };
    flagver_snapshot *snapshot;
    const flagver_bound *bound;
    int type = row->type;

    if (row->override)
        assert_ok(flagver_flag_override(client, "f", row->override, &error));
    assert_ok(flagver_flag_bind(client, "f", &bound, &error));
    snapshot = flagver_client_snapshot(client);

    ck_assert_int_eq(flagver_snapshot_evaluate(snapshot, "f", 1, context, type, &detail),
                     detail.error);
    assert_detail(row->label, &detail, row->expected);
    ck_assert_int_eq(flagver_bound_evaluate(bound, context, type, &detail), detail.error);
    assert_detail(row->label, &detail, row->expected);
    ck_assert_int_eq(flagver_flag_evaluate(client, "f", 1, context, type, &detail), detail.error);
    assert_detail(row->label, &detail, row->expected);
    ck_assert_str_eq(detail.flag, "f");
    ck_assert_int_eq(detail.version, 0);

    if (type || !detail.error)
        check_getters(row, client, bound, context, &detail, type ? type : detail.value.type);

    flagver_snapshot_free(snapshot);
    flagver_context_free(context);
    flagver_close(client);
    free(document);
}

START_TEST(flags_are_decided_in_this_order)
{
    check_row(&order_rows[_i]);
}
END_TEST

START_TEST(definitions_mean_exactly_this)
{
    check_row(&meaning_rows[_i]);
}
END_TEST

START_TEST(corner_cases_are_decided_like_this)
{
    check_row(&corner_rows[_i]);
}
END_TEST

START_TEST(definitions_have_these_shapes)
{
    check_row(&shape_rows[_i]);
}
END_TEST

/* ---- what no row can say ---- */

START_TEST(a_schedule_asks_the_clock_once_in_an_evaluation)
{
    static const char definitions[] =
        "{'flags': {'f': {'type': 'boolean', 'requires': [{'flag': 'g', 'variant': 'on'}], "
        "'schedule': {'interpolate': 'linear', 'steps': ["
        "{'at': '1970-01-01T00:00:00Z', 'percentage': 0}, "
        "{'at': '1970-01-01T00:01:40Z', 'percentage': 100}]}}, "
        "'g': {'type': 'boolean', 'schedule': {'interpolate': 'linear', 'steps': ["
        "{'at': '1970-01-01T00:00:00Z', 'percentage': 100}, "
        "{'at': '1970-01-01T00:01:40Z', 'percentage': 0}]}, 'salt': 'f'}}}";
    int64_t now = 50000;
    flagver_client *client = client_of(definitions, &now);

    /* In both halves at 50 s: bucket 49999 is below both thresholds only then. */
    assert_flag(client, "f", "{'targetingKey': 'k43809'}", "true on SPLIT bucket=49999");
    now = 50001;
    assert_flag(client, "f", "{'targetingKey': 'k43809'}", "false off DEFAULT rule=requires");
    flagver_close(client);
}
END_TEST

static int64_t count_calls(void *data)
{
    int *calls = data;

    return ++*calls;
}

START_TEST(the_clock_is_asked_only_where_a_schedule_is_met)
{
    static const char definitions[] =
        "{\"flags\": {\"plain\": {\"type\": \"boolean\", \"percentage\": 50},"
        "\"timed\": {\"type\": \"boolean\", \"requires\": [{\"flag\": \"other\", "
        "\"variant\": \"on\"}], \"schedule\": {\"steps\": ["
        "{\"at\": \"2026-01-01T00:00:00Z\", \"percentage\": 50}]}},"
        "\"other\": {\"type\": \"boolean\", \"default\": \"on\", \"schedule\": {\"steps\": ["
        "{\"at\": \"2026-01-01T00:00:00Z\", \"percentage\": 50}]}}}}";
    int calls = 0;
    flagver_options options = { .size = sizeof options,
                                .clock = count_calls,
                                .clock_data = &calls };
    flagver_context *context = flagver_context_new("u1");
    flagver_detail detail = { .size = sizeof detail };
    flagver_snapshot *snapshot;

    assert_ok(flagver_snapshot_load(definitions, strlen(definitions), &options, &snapshot, &error));
    flagver_snapshot_evaluate(snapshot, "plain", 5, context, FLAGVER_TYPE_ANY, &detail);
    ck_assert_int_eq(calls, 0);
    ck_assert_int_eq(
        flagver_snapshot_evaluate(snapshot, "timed", 5, context, FLAGVER_TYPE_ANY, &detail), 0);
    ck_assert_int_eq(calls, 1);
    flagver_context_free(context);
    flagver_snapshot_free(snapshot);
}
END_TEST

START_TEST(the_system_clock_drives_a_schedule_without_one)
{
    static const char definitions[] =
        "{'flags': {'past': {'type': 'boolean', 'schedule': {'steps': ["
        "{'at': '2020-01-01T00:00:00Z', 'percentage': 100}]}}, "
        "'future': {'type': 'boolean', 'schedule': {'steps': ["
        "{'at': '9999-01-01T00:00:00Z', 'percentage': 100}]}}}}";
    flagver_client *client = client_of(definitions, NULL);

    assert_flag(client, "past", NULL, "true on DEFAULT");
    assert_flag(client, "future", NULL, "false off DEFAULT");
    flagver_close(client);
}
END_TEST

START_TEST(a_key_is_bytes_with_a_length)
{
    flagver_client *client = client_of("{'flags': {'f': {'type': 'boolean'}}}", NULL);
    flagver_detail detail = { .size = sizeof detail };

    ck_assert_int_eq(flagver_flag_evaluate(client, "feature", 1, NULL, 0, &detail), 0);
    ck_assert_str_eq(detail.flag, "f");
    ck_assert_int_eq(flagver_flag_evaluate(client, "f\0", 2, NULL, 0, &detail),
                     FLAGVER_ERROR_FLAG_NOT_FOUND);
    ck_assert_int_eq(flagver_flag_evaluate(client, "", 0, NULL, 0, &detail),
                     FLAGVER_ERROR_FLAG_NOT_FOUND);
    ck_assert_int_eq(flagver_flag_evaluate(client, "F", 1, NULL, 0, &detail),
                     FLAGVER_ERROR_FLAG_NOT_FOUND);
    flagver_close(client);
}
END_TEST

static Suite *evaluate_suite(void)
{
    Suite *suite = suite_create("evaluate");
    TCase *rows = tcase_create("rules");
    TCase *others = tcase_create("others");

    tcase_add_loop_test(rows, flags_are_decided_in_this_order, 0, COUNT(order_rows));
    tcase_add_loop_test(rows, definitions_mean_exactly_this, 0, COUNT(meaning_rows));
    tcase_add_loop_test(rows, corner_cases_are_decided_like_this, 0, COUNT(corner_rows));
    tcase_add_loop_test(rows, definitions_have_these_shapes, 0, COUNT(shape_rows));
    suite_add_tcase(suite, rows);

    tcase_add_test(others, a_schedule_asks_the_clock_once_in_an_evaluation);
    tcase_add_test(others, the_clock_is_asked_only_where_a_schedule_is_met);
    tcase_add_test(others, the_system_clock_drives_a_schedule_without_one);
    tcase_add_test(others, a_key_is_bytes_with_a_length);
    suite_add_tcase(suite, others);
    return suite;
}

int main(void)
{
    return run_suite(evaluate_suite());
}
