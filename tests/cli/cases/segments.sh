# Segments in a store: the same commands as for flags.
# shellcheck shell=bash disable=SC2154 # sourced by run.sh

export FLAGVER_STORE=sqlite:segments.db FLAGVER_ACTOR=alice

it "puts, gets and lists"
run segment put staff - <<<'{"include": ["bob"]}'
exits 0
prints 'staff: version 1'
run segment put staff - --json --note more <<<'{"include": ["bob", "eve"]}'
exits 0
prints '{"segment":"staff","no":2,"state":"approved"}'
run segment get staff
exits 0
prints '{"include": ["bob", "eve"]}'
run segment get staff 1 --json
prints_like '{"segment":"staff","no":1,"state":"superseded",*"definition":{"include":\["bob"\]}}'
run segment list
exits 0
prints_like 'SEGMENT  NO  SINCE *BY
staff    2   *Z  alice'
run segment list --json
prints_like '{"segment":"staff",*}'

it "tells what was, and reverts"
run segment diff staff
exits 0
prints '+ /include/1: "eve"'
run segment diff staff --json
prints '{"segment":"staff","from":1,"to":2,"changes":["+ /include/1: \"eve\""],"mergePatch":{"include":["bob","eve"]}}'
run segment revert staff 1
exits 0
run segment history staff
exits 0
prints_like 'NO *
3   approved, reverts 1 * - include/1 "eve"
2   superseded * + include/1 "eve"  more
1   superseded * created'

it "is not a flag of the same name"
run flag get staff
exits 3
says 'flagver: staff: no such flag in sqlite:segments.db'
run segment get nope
exits 3
says 'flagver: nope: no such segment in sqlite:segments.db'

it "deletes only what nothing refers to"
run flag put k - <<<'{"type": "boolean", "rules": [{"if": {"segment": "staff"}, "serve": "on"}]}'
exits 0
run flag eval k --context '{"targetingKey": "bob"}'
prints 'k: true (variant on, TARGETING_MATCH, version 1)'
run segment delete staff
exits 5
run flag delete k
run segment delete staff
exits 0
prints 'staff: version 4, deleted'
run segment get staff
exits 3
says 'flagver: staff was deleted in version 4 by alice; "segment revert staff 3" brings it back'
run segment list --deleted
exits 0
prints_like 'DELETED  NO  *
staff    4   *Z  alice'

it "names the place in one that is none"
run segment put bad - <<<'{"includes": []}'
exits 6
says_like 'flagver: <stdin>:1:2: /includes: *'
