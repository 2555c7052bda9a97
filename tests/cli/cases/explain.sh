# flag explain KEY
# shellcheck shell=bash disable=SC2154 # sourced by run.sh

explain() {
    run flag explain --definitions flags.json "$@"
}

it "shows the steps below the result"
explain checkout --context '{"targetingKey": "u", "country": "US", "email": "a@example.com"}'
exits 0
prints 'checkout: "one \"page\"" (variant b, TARGETING_MATCH, rule staff)
  flag checkout
    targeting key is listed: no
    country in: no (it is "US")
    rule eu: no
    email ends_with: yes (it is "a@example.com")
    in segment staff: yes
    rule staff: yes
    serves b (TARGETING_MATCH)'
says_nothing

it "shows what is missing, and a bucket"
explain checkout --context '{"country": "DE", "companyId": 7}'
exits 0
prints_like 'checkout: *
    country in: yes (it is "DE")
    rule eu: yes
    bucket 66576 of 100000 by companyId; the bound is 50 %
    serves b (SPLIT, bucket 66576)'
explain checkout
exits 0
prints_like 'checkout: *
    country in: no (missing)*'

it "shows numbers, lists and objects as they were written"
cat >shapes.json <<'END'
{"flags": {"k": {"type": "boolean", "rules": [{"serve": "on", "if": {"all": [
  {"attr": "n", "op": "gt", "value": 1},
  {"attr": "l", "op": "eq", "value": "b"},
  {"attr": "o.x", "op": "exists", "value": true},
  {"attr": "o", "op": "exists", "value": true}]}}]}}}
END
run flag explain k --definitions shapes.json \
    --context '{"n": 2.1, "l": ["a", "b", 0.1], "o": {"x": null}}'
exits 0
prints 'k: false (variant off, DEFAULT)
  flag k
    n gt: yes (it is 2.1)
    l eq: yes (it is ["a", "b", 0.1])
    o.x exists: no (missing)
    rule at /rules/0: no
    serves off (DEFAULT)'

it "shows the flags that a flag requires, deeper"
cat >requires.json <<'END'
{"flags": {"top": {"type": "boolean", "requires": [{"flag": "base", "variant": "on"}]},
           "base": {"type": "boolean", "enabled": false}}}
END
run flag explain top --definitions requires.json
exits 0
prints 'top: false (variant off, DEFAULT, rule requires)
  flag top
    flag base
      the flag is disabled
      serves off (DISABLED)
    flag base serves on: no
    serves off (DEFAULT)'

it "does not let names play with the terminal"
printf '{"flags": {"k": {"type": "boolean", "rules": [{"id": "a\\u001b[2J\\n", "serve": "on",
    "if": {"attr": "\\u009b2J", "op": "exists", "value": false}}]}}}' >names.json
run flag explain k --definitions names.json
exits 0
prints_like 'k: true (variant on, TARGETING_MATCH, rule "a\\u001[bB]\[2J\\n")
  flag k
    "\\u009[bB]2J" exists: yes (missing)
    rule "a\\u001[bB]\[2J\\n": yes
    serves on (TARGETING_MATCH)'

it "shows a flag that is the same for everybody"
explain limit
exits 0
prints 'limit: 9007199254740993 (variant high, STATIC)
  flag limit
    the same for everybody
    serves high (STATIC)'

it "says when a flag is forced"
export FLAGVER_FLAG_LIMIT=high
explain limit
unset FLAGVER_FLAG_LIMIT
exits 0
prints_like '*forced by an override or by FLAGVER_FLAG_*serves high (STATIC)'

it "prints the explanation as JSON"
explain report_setup --context '{"targetingKey": "user4"}' --json
exits 0
prints_like '{"flag":"report_setup","value":true,"variant":"on","reason":"SPLIT","bucket":26,"steps":\[{*"step":*}\]}'
holds test "$(wc -l <"$work/out")" -eq 1

it "explains as of a time"
explain new_search --context '{"targetingKey": "user5"}' --at 2026-01-03T00:00:00Z
exits 0
prints 'new_search: false (variant off, SPLIT, bucket 13265)
  flag new_search
    the schedule stands at 10 %
    bucket 13265 of 100000 by targetingKey; the bound is 10 %
    serves off (SPLIT, bucket 13265)'
explain new_search --context '{"targetingKey": "user5"}' --at 2026-01-04T00:00:00Z
prints_like 'new_search: true (variant on, SPLIT, bucket 13265)*'

it "exits 3 for an unknown flag"
explain nope
exits 3
prints 'nope: null (ERROR, FLAG_NOT_FOUND)'
says 'flagver: nope: no such flag in flags.json'

it "exits 3 for an unknown flag with JSON too"
explain nope --json
exits 3
prints '{"flag":"nope","value":null,"variant":null,"reason":"ERROR","errorCode":"FLAG_NOT_FOUND","steps":[]}'

it "exits 6 for other errors and shows how it came to them"
explain report_setup
exits 6
prints 'report_setup: null (ERROR, TARGETING_KEY_MISSING)
  flag report_setup
    targeting key is listed: no
    serves the default (TARGETING_KEY_MISSING)'
says 'flagver: report_setup: the flag needs a bucket and the context has no key for it'

it "exits 6 for a key that is not UTF-8"
explain $'\xff'
exits 6
prints_nothing
says 'flagver: flag explain: the KEY is not UTF-8'

it "exits 6 for definitions that are not there"
run flag explain k --definitions nowhere.json
exits 6
prints_nothing
says_like 'flagver: nowhere.json: *'
