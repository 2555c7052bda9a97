# Evaluating flags in a store: now, then, and while they change.
# shellcheck shell=bash disable=SC2154,SC2016,SC2034 # sourced by run.sh

export FLAGVER_STORE=sqlite:asking.db FLAGVER_ACTOR=alice

run flag apply flags.json

it "evaluates what is in the store, and names its version"
run flag eval report_setup --context '{"targetingKey": "user4"}'
exits 0
prints 'report_setup: true (variant on, SPLIT, bucket 26, version 1)'
run flag eval report_setup --context '{"targetingKey": "user4"}' --json
prints '{"flag":"report_setup","value":true,"variant":"on","reason":"SPLIT","bucket":26,"version":1}'

it "explains it"
run flag explain checkout --context '{"targetingKey": "bob"}'
exits 0
prints_like 'checkout: "one \\"page\\"" (variant b, TARGETING_MATCH, rule staff, version 1)
  flag checkout
*'

it "answers batches from it"
run flag eval --batch <<<'{"flag": "limit", "context": {}}'
exits 0
prints '{"flag":"limit","value":9007199254740993,"variant":"high","reason":"STATIC","version":1}'

it "exits 3 for a flag that is not there"
run flag eval nope --default 1
exits 3
prints 'nope: 1 (ERROR, FLAG_NOT_FOUND)'

it "prefers a file when it is given one"
echo '{"flags": {"limit": {"type": "boolean"}}}' >file.json
run flag eval limit --definitions file.json
exits 0
prints 'limit: true (variant on, STATIC)'

it "obeys variables"
FLAGVER_FLAG_CHECKOUT=b run flag eval checkout
exits 0
prints 'checkout: "one \"page\"" (variant b, STATIC, version 1)'
RATIO_ENABLED=no run flag eval ratio
prints 'ratio: 1.0 (variant all, DISABLED, version 1)'

# --- the past ---

changed() {
    run flag history report_setup --json
    sed -n 's/.*"no":'"$1"',.*"decidedAt":"\([^"]*\)".*/\1/p' "$work/out"
}
run flag ramp report_setup 0
run flag delete limit
run segment put staff - <<<'{"include": []}'
then=$(changed 1)
later=$(changed 2)

it "evaluates as of then"
run flag eval report_setup --context '{"targetingKey": "user4"}' --at "$then"
exits 0
prints 'report_setup: true (variant on, SPLIT, bucket 26, version 1)'
run flag eval report_setup --context '{"targetingKey": "user4"}' --at "$later"
exits 0
prints_like 'report_setup: false (variant off, *version 2)'

it "knows what was deleted since, and segments as they were"
run flag eval limit --at "$then"
exits 0
prints 'limit: 9007199254740993 (variant high, STATIC, version 1)'
run flag eval checkout --context '{"targetingKey": "bob"}' --at "$then"
prints 'checkout: "one \"page\"" (variant b, TARGETING_MATCH, rule staff, version 1)'
run flag eval checkout --context '{"targetingKey": "bob"}'
prints 'checkout: "classic" (variant a, DEFAULT, version 1)'

it "explains as of then"
run flag explain checkout --context '{"targetingKey": "bob"}' --at "$then"
exits 0
prints_like 'checkout: "one \\"page\\"" (variant b, TARGETING_MATCH, rule staff, version 1)
  flag checkout
*in segment staff: yes
*'

it "answers batches as of then"
run flag eval --batch --at "$then" <<<'{"flag": "limit", "context": {}}'
exits 0
prints '{"flag":"limit","value":9007199254740993,"variant":"high","reason":"STATIC","version":1}'

it "is not swayed by variables then"
FLAGVER_FLAG_CHECKOUT=b RATIO_ENABLED=no run flag eval ratio --at "$then"
exits 0
prints 'ratio: 0.1 (variant some, STATIC, version 1)'

it "knows of no flag before there was any"
run flag eval report_setup --at 2020-01-01T00:00:00Z
exits 3
prints 'report_setup: null (ERROR, FLAG_NOT_FOUND)'

it "gets and lists as of then"
run flag get report_setup --at "$then"
exits 0
prints_like '{*"percentage": 30,*}'
run flag get limit --at "$then"
exits 0
run flag get limit --at 2020-01-01T00:00:00Z
exits 3
says 'flagver: limit: no such flag in sqlite:asking.db at that time'
run flag list --at "$then"
exits 0
holds grep -q '^limit ' "$work/out"
run flag list
holds eval '! grep -q "^limit " "$work/out"'
run flag list --at 1970-01-01T00:00:00Z
exits 0
prints_nothing
run segment get staff --at "$then"
prints_like '*"include": \["bob"\]*'

it "wants either a number or a time"
run flag get report_setup 1 --at "$then"
exits 2
says "flagver: flag get: a version's number and --at exclude each other"
run flag list --at yesterday
exits 2
says 'flagver: flag list: --at yesterday is neither a time such as 2026-01-31T12:00:00Z nor an offset such as -5m'

it "takes offsets from now"
for offset in -0s -90s -5m -2h -1d -700000d; do
    run flag list --at "$offset"
    exits 0
    run flag list --at="$offset"
    exits 0
done
run flag get report_setup --at -0s
exits 0
run flag get report_setup --at -1h
exits 3
says 'flagver: report_setup: no such flag in sqlite:asking.db at that time'
run flag eval report_setup --at -1d
exits 3
cat >ages.json <<END
{"flags": {"k": {"type": "boolean", "schedule": {"steps": [
    {"at": "$(date -u -d '-90 minutes' +%FT%TZ)", "percentage": 100}]}}}}
END
for offset in -1h -80m -4000s -0d; do
    run flag eval k --definitions ages.json --context '{"targetingKey": "u"}' --at "$offset"
    prints_like 'k: true *'
done
for offset in -2h -100m -6000s -1d; do
    run flag eval k --definitions ages.json --context '{"targetingKey": "u"}' --at="$offset"
    prints_like 'k: false *'
done

# --- the present, as it goes on ---

# ask QUESTION: hand the running batch a line and wait for its answer
ask() {
    echo "$1" >&"${batch[1]}"
    IFS= read -r -t "$deadline" answer <&"${batch[0]}"
}

it "sees the kill switch that another process throws"
run flag put live - <<<'{"type": "boolean"}'
coproc batch { exec timeout "$deadline" "${under[@]}" "$flagver" flag eval --batch 2>"$work/err"; }
ask '{"flag": "live", "context": {}}'
[ "$answer" = '{"flag":"live","value":true,"variant":"on","reason":"STATIC","version":1}' ] ||
    wrong "it first answers $answer"
run flag disable live
exits 0
# A second is promised, ten are waited for; slower than that is no kill switch.
tries=0
until [[ $answer == *DISABLED* || $tries -ge 200 ]]; do
    sleep 0.05
    ask '{"flag": "live", "context": {}}'
    tries=$((tries + 1))
done
[ "$answer" = '{"flag":"live","value":false,"variant":"off","reason":"DISABLED","version":2}' ] ||
    wrong "in the end it answers $answer"
batch_pid=$!
eval "exec ${batch[1]}>&-"
wait "$batch_pid"
status=$?
exits 0
says_nothing
