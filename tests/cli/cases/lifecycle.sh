# Phases and assignments in definitions files: lint, init --load, plan, apply
# shellcheck shell=bash disable=SC2154 # sourced by run.sh

export FLAGVER_STORE=sqlite:lifecycle.db FLAGVER_ACTOR=alice

example=$cases/../../../examples/testing-lifecycle.json

it "finds nothing wrong with the example"
run flag lint "$example"
exits 0
says_nothing

it "says where a policy is wrong"
cat >bad.json <<'END'
{"phases": {
  "scoping": {"write": {"roles": ["Tester"]}}}}
END
run flag lint bad.json
exits 6
says 'flagver: bad.json:2:25: /phases/scoping/write/roles: unknown key "roles"; known are role_in, assigned, any, all'
run init --load bad.json
exits 6
says_like 'flagver: bad.json:2:25: /phases/scoping/write/roles: *'
holds test ! -e lifecycle.db

it "says where a schema is wrong"
cat >bad.json <<'END'
{"phases": {"scoping": {"schema": {"properties": {"a": {"patern": "x"}}}}}}
END
run flag lint bad.json
exits 6
says_like 'flagver: bad.json:1:57: /phases/scoping/schema/properties/a/patern: unknown key "patern"; *'

it "says where an assignment is wrong"
cat >bad.json <<'END'
{"assignments": {"report_owner": {"users": ["olga"]}}}
END
run flag lint bad.json
exits 6
says 'flagver: bad.json:1:18: /assignments/report_owner: assignment "report_owner" does not say for which subject: ROLE/SUBJECT'

it "loads eight phases and their owners"
run init --load "$example"
exits 0
prints_like '*load    *testing-lifecycle.json: 12 loaded, 0 there already, 0 left alone
next    flagver phase list
        flagver version create PHASE SUBJECT FILE, version due
*'
run phase list
exits 0
prints_like '*data_owner_id*audit_only*none*
data_profiling*full*1 by assigned report_owner*
flagver.assignment*none*
flagver.phase*none*
observation_management*
planning*full*1 by Test Lead, Test Manager, Tester*
request_info*
sample_selection*
scoping*
test_execution*'

it "lets nobody give himself a role, or another policy"
run assign report_owner '*/report-12' alice --role Tester
exits 4
says_like 'flagver: report_owner: alice may not create flagver.assignment *'
run phase put request_info - --role Tester <<<'{"versioning": "audit_only"}'
exits 4
run assignments --json
prints_like '*"subject":"\*/report-12","users":\["olga"\]*'

it "loads nothing a second time, and leaves alone what was changed"
run phase put request_info - --role Administrator <<<'{"versioning": "audit_only", "name": "Requests"}'
exits 0
run init --load "$example"
exits 0
prints_like '*load    *: 0 loaded, 11 there already, 1 left alone
*left alone: phase request_info, changed in version 2 by alice*'

it "plans what the file would change"
run flag plan "$example"
exits 1
prints '~ phase request_info (version 2)
    + /approval: {"required":false}
    + /description: "What was asked of whom"
    ~ /name: "Requests" -> "Request Info"
0 to create, 1 to change, 0 to delete'

it "applies it"
run flag apply "$example" --prune
exits 4
run flag apply "$example" --prune --role Administrator
exits 0
prints_like '~ phase request_info*: 1 change'
run flag plan "$example" --prune
exits 0

it "prunes policies and assignments only by a file that has some"
run flag apply flags.json --prune
exits 0
run flag plan - --prune --json <<<'{"phases": {}, "flags": {}}'
prints_like '*"delete":19,*'
run flag plan - --prune --json <<<'{"assignments": {}}'
prints_like '*"delete":11,*'
run flag plan - --prune --json <<<'{}'
prints_like '*"delete":9,*'
