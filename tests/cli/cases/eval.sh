# flag eval KEY
# shellcheck shell=bash disable=SC2154 # sourced by run.sh

evaluate() {
    run flag eval --definitions flags.json "$@"
}

it "prints a split with its bucket"
evaluate report_setup --context '{"targetingKey": "user4"}'
exits 0
prints 'report_setup: true (variant on, SPLIT, bucket 26)'
says_nothing

it "prints the same as JSON"
evaluate report_setup --context '{"targetingKey": "user2"}' --json
exits 0
prints '{"flag":"report_setup","value":false,"variant":"off","reason":"SPLIT","bucket":32}'
says_nothing

it "prints a match without a bucket"
evaluate report_setup --context '{"targetingKey": "user1"}'
exits 0
prints 'report_setup: true (variant on, TARGETING_MATCH)'

it "prints a rule, and a string with its quotes"
evaluate checkout --context '{"targetingKey": "user1", "country": "FR", "companyId": "acme"}'
exits 0
prints 'checkout: "one \"page\"" (variant b, SPLIT, rule eu, bucket 69087)'

it "prints the rule as JSON too"
evaluate checkout --json --context '{"country": "FR", "companyId": 7}'
exits 0
prints '{"flag":"checkout","value":"one \"page\"","variant":"b","reason":"SPLIT","ruleId":"eu","bucket":66576}'

it "prints integers that no double holds"
evaluate limit
exits 0
prints 'limit: 9007199254740993 (variant high, STATIC)'

it "prints doubles with the digits they need"
evaluate ratio
exits 0
prints 'ratio: 0.1 (variant some, STATIC)'

it "prints whole doubles as doubles"
RATIO_ENABLED=no evaluate ratio
exits 0
prints 'ratio: 1.0 (variant all, DISABLED)'

it "prints the same digits as JSON"
RATIO_ENABLED=no evaluate ratio --json
prints '{"flag":"ratio","value":1.0,"variant":"all","reason":"DISABLED"}'

it "prints JSON values"
evaluate layout
exits 0
prints 'layout: {"columns":[1,2.5]} (variant wide, STATIC)'

it "prints JSON values as part of JSON"
evaluate layout --json
prints '{"flag":"layout","value":{"columns":[1,2.5]},"variant":"wide","reason":"STATIC"}'

it "serves a disabled flag with exit status 0"
evaluate retired
exits 0
prints 'retired: false (variant off, DISABLED)'

it "takes keys that are no ASCII"
evaluate größe
exits 0
prints 'größe: true (variant on, STATIC)'

it "takes the definitions before the command"
run --definitions flags.json flag eval limit
exits 0
prints 'limit: 9007199254740993 (variant high, STATIC)'

it "takes options behind an equals sign, and between the words of the command"
run flag --definitions=flags.json eval '--context={"targetingKey":"user4"}' report_setup
exits 0
prints 'report_setup: true (variant on, SPLIT, bucket 26)'

it "takes the last of two"
evaluate limit --type string --type integer
exits 0

it "takes a key that looks like an option behind two dashes"
evaluate --default true -- --json
exits 3
prints '--json: true (ERROR, FLAG_NOT_FOUND)'
says 'flagver: --json: no such flag in flags.json'

it "takes a path that looks like an option behind an equals sign"
cp flags.json ./--odd
run flag eval limit --definitions=--odd
exits 0

it "exits 3 for an unknown flag and prints null"
evaluate nope
exits 3
prints 'nope: null (ERROR, FLAG_NOT_FOUND)'
says 'flagver: nope: no such flag in flags.json'

it "prints the default of an unknown flag"
evaluate nope --default '"x"' --json
exits 3
prints '{"flag":"nope","value":"x","variant":null,"reason":"ERROR","errorCode":"FLAG_NOT_FOUND"}'
says 'flagver: nope: no such flag in flags.json'

it "prints a default as it was given"
evaluate nope --default '{"a": [1.50, 1e3], "a b": "\u00e9"}' --json
prints '{"flag":"nope","value":{"a": [1.50, 1e3], "a b": "\u00e9"},"variant":null,"reason":"ERROR","errorCode":"FLAG_NOT_FOUND"}'

it "prints a default of several lines on one"
evaluate nope --default $'[1,\n\t2]\r\n'
prints 'nope: [1,  2]   (ERROR, FLAG_NOT_FOUND)'

it "does not print the default of a flag that serves a value"
evaluate limit --default 5
exits 0
prints 'limit: 9007199254740993 (variant high, STATIC)'

it "exits 6 for a flag of another type"
evaluate report_setup --type string --default '"no"' --context '{"targetingKey": "user1"}'
exits 6
prints 'report_setup: "no" (ERROR, TYPE_MISMATCH)'
says "flagver: report_setup: the flag's type is boolean"

it "takes an integer for a double"
evaluate ratio --type double
exits 0
evaluate ratio --type integer
exits 6
evaluate limit --type integer
exits 0

it "exits 6 without a targeting key where a bucket is needed"
evaluate report_setup --default false
exits 6
prints 'report_setup: false (ERROR, TARGETING_KEY_MISSING)'
says 'flagver: report_setup: the flag needs a bucket and the context has no key for it'

it "takes a targeting key of null for none"
evaluate report_setup --context '{"targetingKey": null}'
exits 6
prints 'report_setup: null (ERROR, TARGETING_KEY_MISSING)'

it "exits 6 for a targeting key that is none"
evaluate limit --context '{"targetingKey": 1.5}' --default 3
exits 6
prints 'limit: 3 (ERROR, INVALID_CONTEXT)'
says "flagver: limit: the context's targetingKey is neither a string nor an integer"

it "takes an integer as a targeting key"
evaluate new_search --at 2026-01-02T00:00:00Z --context '{"targetingKey": 42}'
exits 0

it "exits 6 for a context that is no JSON"
evaluate limit --context '{"a":'
exits 6
prints_nothing
says_like 'flagver: --context: *'

it "exits 6 for a context that is no object"
evaluate limit --context '[]'
exits 6
prints_nothing
says_like 'flagver: --context: *'

it "exits 6 for an empty context argument"
evaluate limit --context=
exits 6
prints_nothing
says_like 'flagver: --context: *'

it "exits 6 for a default that is no JSON"
evaluate limit --default no
exits 6
prints_nothing
says 'flagver: --default: no is not JSON; a string needs its quotes'

it "evaluates before the first step of a schedule"
evaluate new_search --context '{"targetingKey": "user3"}' --at 2025-12-31T23:59:59.9999Z
exits 0
prints 'new_search: false (variant off, DEFAULT)'

it "evaluates from the moment of a step on"
evaluate new_search --context '{"targetingKey": "user3"}' --at 2026-01-01T00:00:00Z
prints 'new_search: true (variant on, SPLIT, bucket 9083)'

it "evaluates right before a step"
evaluate new_search --context '{"targetingKey": "user5"}' --at 2026-01-03T23:59:59.999Z
prints 'new_search: false (variant off, SPLIT, bucket 13265)'

# The same moment in other words, all at or after the second step.
for time in 2026-01-04T00:00:00Z 2026-01-04t00:00:00z 2026-01-04T00:00:00-00:00 \
    2026-01-04T01:30:00+01:30 2026-01-03T00:01:00-23:59 2026-01-04T00:00:00.000000001Z \
    9999-12-31T23:59:59.999-23:59 2028-02-29T00:00:00Z 2400-02-29T00:00:00Z; do
    it "takes the time $time"
    evaluate new_search --context '{"targetingKey": "user5"}' --at "$time"
    exits 0
    prints 'new_search: true (variant on, SPLIT, bucket 13265)'
done

for time in 0001-01-01T00:00:00Z 0001-01-01T00:00:00+23:59 1969-12-31T23:59:59.999Z \
    2026-01-01T00:00:00+00:01; do
    it "takes the time $time, before all steps"
    evaluate new_search --context '{"targetingKey": "user5"}' --at "$time"
    exits 0
    prints 'new_search: false (variant off, DEFAULT)'
done

it "exits 6 for a key that is not UTF-8"
evaluate $'gr\xf6\xdfe' --json
exits 6
prints_nothing
says 'flagver: flag eval: the KEY is not UTF-8'

it "keeps what it says on one line"
evaluate $'a\nb' --default '""'
exits 3
prints '"a\nb": "" (ERROR, FLAG_NOT_FOUND)'
says 'flagver: a?b: no such flag in flags.json'

it "obeys the variable that forces a flag"
FLAGVER_FLAG_CHECKOUT=b evaluate checkout
exits 0
prints 'checkout: "one \"page\"" (variant b, STATIC)'

it "warns of a variable that it ignores"
FLAGVER_FLAG_CHECKOUT=c evaluate checkout
exits 0
prints 'checkout: "classic" (variant a, DEFAULT)'
says_like 'flagver: warning: *checkout*"c"*'
holds test "$(wc -l <"$work/err")" -eq 1

it "exits 6 for definitions that are not there"
run flag eval k --definitions nowhere.json
exits 6
prints_nothing
says_like 'flagver: nowhere.json: *No such file or directory'
holds test "$(wc -l <"$work/err")" -eq 1

it "exits 6 for malformed definitions and names the place"
printf '{"flags": {\n  "k": {"type": "boolean", "enabled": 1}}}' >bad.json
run flag eval k --definitions bad.json --default true
exits 6
prints_nothing
says_like 'flagver: bad.json:2:39: /flags/k/enabled: *'
holds test "$(wc -l <"$work/err")" -eq 1
