# Records of any phase: phases, assignments, the life of versions, items, reading.
# shellcheck shell=bash disable=SC2154,SC2016 # sourced by run.sh

export FLAGVER_STORE=sqlite:records.db FLAGVER_ACTOR=admin

time='[0-9]*-[0-9]*-[0-9]*T[0-9]*:[0-9]*:[0-9]*.[0-9][0-9][0-9][0-9][0-9][0-9]Z'
tina=(--actor tina --role Tester)
olga=(--actor olga)
doc=cycle-7/report-12

# field NAME: of the JSON that was printed last
field() {
    sed -n 's/.*"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p' "$work/out" | head -n 1
}

it "makes a store by making a phase"
run phase put scoping/cycle-9 - <<<'{"approval": {"min": 0}}'
exits 0
run phase put scoping - <<'END'
{"approval": {"rule": {"assigned": "report_owner"}, "items_complete": true},
 "write": {"role_in": ["Tester"]},
 "schema": {"type": "object", "required": ["n"]}}
END
exits 0
prints 'scoping: version 1 is in force'
says_nothing

it "prints the policy with what it leaves unsaid"
run phase get scoping
exits 0
prints_like '{*"min": 1,*"policy": "scoping",*"version": 1,*"versioning": "full"*}'
run phase get scoping --json
prints_like '{"approval":{"allow_self":false,*"policy":"scoping",*"version":1,"versioning":"full",*}'
run phase get flagver.flag --json
prints_like '{*"required":false,*"policy":"",*"version":0,*}'
run phase get nope
exits 3
prints_nothing
says_like 'flagver: nope: *'

it "refuses policies that are none, and says where"
run phase put other - <<<'{"approval": {"rule": {"role_of": []}}}'
exits 6
says_like 'flagver: <stdin>:1:*: /approval/rule*'
run phase put other - <<<'{"aproval": {}}'
exits 6
run phase get other
exits 3

it "takes the longest prefix"
run phase get scoping cycle-9/report-1 --json
prints_like '*"policy":"scoping/cycle-9",*"version":1,*}'
run phase get scoping cycle-8/report-1 --json
prints_like '*"policy":"scoping",*"version":1,*}'

it "lists phases"
run phase list
exits 0
prints_like 'PHASE *VERSIONING *APPROVAL *NO *SINCE *BY*scoping  *full  *1 by assigned report_owner  *1  *admin*scoping/cycle-9 *full  *none*flagver.flag  *full  *none  *built-in*'
run phase list --json
prints_like '{"phase":"scoping","no":1,"since":"'"$time"'","by":"admin","policy":{*{"phase":"flagver.segment","no":null,"since":null,"by":null,"policy":{*}}'
holds test "$(wc -l <"$work/out")" -eq 6

it "changes a phase only with the approval that it asks for"
run phase put scoping - <<<'{}'
exits 0
prints 'scoping: version 2 waits for approval (flagver version approve flagver.phase scoping@2)'
run phase get scoping --json
prints_like '*"version":1,*'
run version withdraw flagver.phase scoping@2
exits 0

it "assigns roles and takes them away"
run assign report_owner 'cycle-7/*' olga
exits 0
prints 'olga is report_owner for cycle-7/*: version 1'
run assign report_owner 'cycle-7/*' otto --json
prints '{"role":"report_owner","subject":"cycle-7/*","user":"otto","removed":false,"no":2,"state":"approved"}'
run assignments
prints_like 'ROLE *SUBJECT *USERS *NO *SINCE *BY*report_owner  cycle-7/\*  olga, otto  2  * admin'
run assign report_owner 'cycle-7/*' otto --remove
prints 'otto is no report_owner any more for cycle-7/*: version 3'
run assignments report_owner --json
prints_like '{"role":"report_owner","subject":"cycle-7/\*","users":\["olga"\],"no":3,"since":"*","by":"admin"}'
run assignments report
exits 0
prints_nothing
run assign a/b x y
exits 6

it "makes a draft"
run version create scoping $doc - "${tina[@]}" --note first <<<'{"n": 1}'
exits 0
prints "$doc: version 1 is a draft (flagver version submit scoping $doc@1)"
says_nothing
run version current scoping $doc
exits 3
prints_nothing
says "flagver: $doc: nothing is in force; version 1 is the last one"

it "denies what the policy does not allow"
run version create scoping $doc - <<<'{"n": 1}'
exits 4
prints_nothing
says_like "flagver: $doc: admin may not create *"
run version edit scoping $doc@1 - <<<'{"n": 9}'
exits 4
run version approve scoping $doc@1 "${tina[@]}"
exits 4

it "refuses payloads that are none, or that do not fit"
run version create scoping $doc - "${tina[@]}" <<<'{"n": 1,}'
exits 6
says_like 'flagver: <stdin>:1:*: *'
run version create scoping $doc - "${tina[@]}" <<<'{"n": 1, "n": 2}'
exits 6
run version create scoping $doc - "${tina[@]}" <<<'{"m": 1}'
exits 6
prints_nothing
says_like 'flagver: <stdin>: *"n"*'
run version create nophase $doc - <<<'{}'
exits 3
says_like "flagver: $doc: *nophase*"
run version history scoping $doc --json
holds test "$(wc -l <"$work/out")" -eq 1

it "edits, submits, and freezes"
run version edit scoping $doc@1 - "${tina[@]}" <<<'{"n": 2}'
exits 0
run version submit scoping $doc@1 "${tina[@]}"
exits 0
prints "$doc: version 1 waits for approval (flagver version approve scoping $doc@1)"
run version edit scoping $doc@1 - "${tina[@]}" <<<'{"n": 3}'
exits 5
prints_nothing
says "flagver: $doc@1: version 1 is submitted: it cannot be edited"
run version submit scoping $doc@1 "${tina[@]}"
exits 5

it "tells who may approve what waits"
run version due "${olga[@]}"
exits 0
prints_like "PHASE *SUBJECT *NO *STATE*scoping  $doc  1 *submitted *tina  first"
run version due scoping --actor nobody
exits 0
prints_nothing
run version due scoping "${olga[@]}" --json
prints_like '{"phase":"scoping","subject":"'$doc'","no":1,"state":"submitted",*}'
run version due scoping "${olga[@]}" --prefix cycle-8
prints_nothing

it "approves what was looked at, and nothing else"
run version show scoping $doc@1 --json
hash=$(field contentHash)
holds test ${#hash} -eq 64
run version approve scoping $doc@1 "${olga[@]}" --hash 0000000000000000000000000000000000000000000000000000000000000000
exits 5
says_like "flagver: $doc@1: version 1 does not have the content *"
run version approve scoping $doc@1 "${olga[@]}" --hash 00
exits 2
run version approve scoping $doc@1 "${olga[@]}" --hash "$hash" --note fine
exits 0
prints "$doc: version 1 is in force"
run version approve scoping $doc@1 "${olga[@]}"
exits 5
run version current scoping $doc
prints '{"n": 2}'

it "shows a version with all about it"
run version show scoping $doc@1
exits 0
prints_like "scoping $doc@1: approved
created    $time by tina
submitted  $time
decided    $time by olga
approval   $time by olga: fine
note       first
hash       $hash

{\"n\": 2}"
run version show scoping $doc@1 --json
prints_like '{"phase":"scoping","subject":"'$doc'","no":1,"state":"approved",*"approvals":\[{"by":"olga","at":"'"$time"'","note":"fine","contentHash":"'"$hash"'","counts":true}\],"items":{"pending":0,"approved":0,"rejected":0},"payloadState":"here","payload":{"n":2}}'

it "shows who has written a version"
run version create scoping who - "${tina[@]}" <<<'{"n": 1}'
exits 0
run version show scoping who@1
holds eval '! grep -q "^edited" "$work/out"'
run version show scoping who@1 --json
prints_like '*"authors":\["tina"\],"approvals"*'
run version edit scoping who@1 - --actor zoe --role Tester <<<'{"n": 2}'
exits 0
run version edit scoping who@1 - --actor tom --role Tester <<<'{"n": 3}'
exits 0
run version show scoping who@1
prints_like "scoping who@1: draft
created    $time by tina
edited by  tom, zoe
hash *"
run version show scoping who@1 --json
prints_like '*"authors":\["tina","tom","zoe"\],"approvals"*'
run version withdraw scoping who@1 "${tina[@]}"
exits 0

it "knows what is not there"
run version show scoping $doc@9
exits 3
prints_nothing
run version show scoping $doc
exits 2
says_like "flagver: version show: $doc names no version*"
run version show scoping $doc@x
exits 2
run version show scoping $doc@
exits 2
says "flagver: version show: $doc@ has no number behind the @"
run version current scoping nope
exits 3
says 'flagver: nope: no such record of scoping in sqlite:records.db'
run version history scoping nope
exits 3

it "puts items into a draft, and carries decided ones forward"
run version create scoping $doc - "${tina[@]}" --baseline 1 <<<'{"n": 3}'
exits 0
run version items scoping $doc@2 --put - "${tina[@]}" <<<'{"rate": {"a": 1.50}, "term": [true], "fee": null}'
exits 0
prints "$doc@2: 3 items put"
run version items scoping $doc@2 fee --remove "${tina[@]}"
prints "$doc@2: 1 item removed"
run version items scoping $doc@2
prints_like 'KEY   VALUE      STATUS *ORIGIN *DECIDED *BY *NOTE*
rate  {"a":1.5}  pending
term  \[true\]     pending'
run version items scoping $doc@2 rate --json
prints_like '{"phase":"scoping","subject":"'$doc'","no":2,"key":"rate","status":"pending","origin":null,"decidedAt":null,"decidedBy":null,"note":null,"hash":"*","payloadState":"here","payload":{"a":1.5}}'
run version items scoping $doc@2 fee
exits 3
says "flagver: $doc@2: has no such item"

it "refuses items that are none"
run version items scoping $doc@2 --put - "${tina[@]}" <<<'[]'
exits 6
run version items scoping $doc@2 --put - "${tina[@]}" <<<'{"a": 1'
exits 6
says_like 'flagver: <stdin>:*'
run version items scoping $doc@2 --remove "${tina[@]}"
exits 2
run version items scoping $doc@2 rate --put - "${tina[@]}" <<<'{"a": 1}'
exits 2

it "decides about items while they wait, and needs all of them decided"
run version decide scoping $doc@2 rate --approve "${olga[@]}"
exits 5
run version submit scoping $doc@2 "${tina[@]}"
run version decide scoping $doc@2 rate "${olga[@]}"
exits 2
run version decide scoping $doc@2 rate --approve --reject "${olga[@]}"
exits 2
run version decide scoping $doc@2 rate nope --approve "${olga[@]}"
exits 3
run version decide scoping $doc@2 rate --approve "${olga[@]}"
exits 0
prints "$doc@2: 1 item approved"
run version approve scoping $doc@2 "${olga[@]}"
exits 5
says_like 'flagver: *item "term"*'
run version decide scoping $doc@2 term --reject --note no "${olga[@]}"
run version approve scoping $doc@2 "${olga[@]}"
exits 0
run version items scoping $doc@2
prints_like 'KEY *rate  {"a":1.5}  approved  2 *olga*term  \[true\]     rejected  *olga  no'
run version create scoping $doc - "${tina[@]}" --baseline 2 <<<'{"n": 4}'
run version items scoping $doc@3
prints_like 'KEY *rate  {"a":1.5}  approved  2 *'
holds eval '! grep -q term "$work/out"'

it "withdraws, rejects, returns"
run version withdraw scoping $doc@3 "${tina[@]}"
exits 0
prints "$doc: version 3 is withdrawn"
run version create scoping $doc - "${tina[@]}" --submit <<<'{"n": 5}'
prints "$doc: version 4 waits for approval (flagver version approve scoping $doc@4)"
run version return scoping $doc@4 "${olga[@]}" --note 'more, please'
prints "$doc: version 4 is a draft (flagver version submit scoping $doc@4)"
run version submit scoping $doc@4 "${tina[@]}"
run version reject scoping $doc@4 "${olga[@]}" --note no --json
exits 0
prints_like '{"phase":"scoping","subject":"'$doc'","no":4,"state":"rejected",*"decidedBy":"olga",*}'

it "says when a draft is stale, and rebases it"
run version create scoping $doc - "${tina[@]}" <<<'{"n": 6}'
run version create scoping $doc - "${tina[@]}" <<<'{"n": 7}'
run version submit scoping $doc@5 "${tina[@]}"
run version approve scoping $doc@5 "${olga[@]}"
exits 0
run version submit scoping $doc@6 "${tina[@]}"
exits 0
run version approve scoping $doc@6 "${olga[@]}"
exits 5
says "flagver: $doc@6: version 6 was made from version 2, and now 5 is in force"
run version return scoping $doc@6 "${tina[@]}"
run version rebase scoping $doc@6 "${tina[@]}"
exits 0
run version approve scoping $doc@6 --submit "${olga[@]}"
exits 4
run version submit scoping $doc@6 "${tina[@]}"
run version approve scoping $doc@6 "${olga[@]}"
exits 0

it "reverts to what a version said, and removes"
run version revert scoping $doc@1 "${tina[@]}"
exits 0
prints "$doc: version 7 is a draft (flagver version submit scoping $doc@7)"
run version show scoping $doc@7 --json
prints_like '*"reverts":1,*"payload":{"n":2}}'
run version withdraw scoping $doc@7 "${tina[@]}"
run version remove scoping $doc "${tina[@]}"
prints "$doc: version 8 waits for approval (flagver version approve scoping $doc@8)"
run version list scoping --state submitted
prints_like "SUBJECT *$doc  8 *submitted, deleted *"
run version due "${olga[@]}"
prints_like "PHASE *$doc  8 *submitted, deleted *"
run version approve scoping $doc@8 "${olga[@]}"
exits 0
prints "$doc: version 8 is in force: deleted"
run version current scoping $doc
exits 3
says "flagver: $doc was deleted in version 8 by tina; \"version revert scoping $doc@6\" brings it back"

it "reads what was in force then"
run version show scoping $doc@2 --json
then=$(field decidedAt)
run version as-of scoping $doc --at "$then"
exits 0
prints '{"n": 3}'
run version as-of scoping $doc --at 2001-01-01T00:00:00Z
exits 3
run version as-of scoping $doc
exits 2
says 'flagver: version as-of: needs --at'

it "prints the history and differences"
run version history scoping $doc
prints_like 'NO *STATE *SINCE *BY *DECIDED BY *CHANGE *NOTE*8 *approved, deleted *tina *olga*4 *rejected*1 *superseded *tina *olga *created *first'
run version history scoping $doc --json
holds test "$(wc -l <"$work/out")" -eq 8
run version diff scoping $doc 1 2
prints '~ /n: 2 -> 3'
run version diff scoping $doc 1 2 --merge-patch
prints '{"n":3}'
run version diff scoping $doc 1 2 --json
prints '{"phase":"scoping","subject":"'$doc'","from":1,"to":2,"changes":["~ /n: 2 -> 3"],"mergePatch":{"n":3}}'

it "lists by state, author and page"
for i in 1 2 3; do run version create scoping cycle-9/r$i - --submit <<<"{\"n\": $i}"; exits 0; done
run version list scoping
prints_like 'SUBJECT *NO *STATE *SINCE *BY *NOTE*cycle-9/r1*cycle-9/r2*cycle-9/r3*'
holds eval '! grep -q "$doc" "$work/out"'
run version list scoping --all
prints_like "*$doc *8 *approved, deleted*"
run version list scoping --limit 1 --after cycle-9/r1 --json
prints_like '{"phase":"scoping","subject":"cycle-9/r2",*}'
run version list scoping --state rejected,withdrawn
prints_like "SUBJECT *$doc  3 *withdrawn*$doc  4 *rejected*$doc  7 *withdrawn*"
run version list scoping --state approved --author tina
prints_like "SUBJECT *$doc  8 *approved, deleted*"
run version list --prefix cycle-9/r3
prints_like 'PHASE *scoping  cycle-9/r3  1 *'
run version list scoping --state draft,gone
exits 2
says_like 'flagver: version list: --state gone is none of draft, *'
run version list scoping --limit x
exits 2

it "counts approvals"
run phase put pair - <<<'{"approval": {"rule": {"role_in": ["r"]}, "min": 2}}'
run version create pair x - --submit <<<'1'
run version approve pair x@1 --role r
exits 4
says 'flagver: x@1: admin has written version 1, or a part of it'
run version approve pair x@1 --actor a --role r
exits 0
prints 'x: version 1 has 1 approval and waits for more'
run version approve pair x@1 --actor a --role r
exits 5
run version approve pair x@1 --actor b --role r
prints 'x: version 1 is in force'
run phase put pair - <<<'{"approval": {"min": 0}}'
prints 'pair: version 2 waits for approval (flagver version approve flagver.phase pair@2)'

it "records, where nothing is approved"
run phase put runs - <<<'{"versioning": "audit_only"}'
run version record runs r1 - <<<'{"result": "good"}'
exits 0
prints 'r1: version 1 is recorded'
run version record runs r1 - <<<'{"result": "bad"}'
run version current runs r1
prints '{"result": "bad"}'
run version diff runs r1
prints '~ /result: "good" -> "bad"'
run version create runs r1 - <<<'{}'
exits 5
run version withdraw runs r1@1
exits 5
run version record pair x - <<<'{}'
exits 5

it "expects what is in force"
run version create scoping cycle-9/r1 - --expect 2 <<<'{"n": 5}'
exits 5
run version create scoping cycle-9/r1 - --expect 1 <<<'{"n": 5}'
exits 0

it "does under an idempotency key nothing twice"
run version create scoping cycle-9/r4 - --idempotency-key k1 <<<'{"n": 5}'
prints 'cycle-9/r4: version 1 is a draft (flagver version submit scoping cycle-9/r4@1)'
run version create scoping cycle-9/r4 - --idempotency-key k1 <<<'{"n": 5}'
prints 'cycle-9/r4: version 1 is a draft (flagver version submit scoping cycle-9/r4@1)'
run version create scoping cycle-9/r4 - --idempotency-key k1 <<<'{"n": 6}'
exits 5

it "quotes for the shell what it suggests"
run version create scoping "cycle-9/it's me" - <<<'{"n": 1}'
prints "cycle-9/it's me: version 1 is a draft (flagver version submit scoping 'cycle-9/it'\\''s me@1')"

it "keeps tenants apart"
run version current scoping cycle-9/r1 --tenant other
exits 3
run phase get scoping --tenant other
exits 3

it "proposes flag changes where flags need approval, and says so"
run flag put pay_later - --actor alice <<<'{"type": "boolean", "percentage": 50}'
run phase put flagver.flag/pay_ - <<<'{"approval": {"rule": {"role_in": ["release"]}}, "emergency": {"role_in": ["oncall"]}}'
run flag ramp pay_later 75 --actor alice
exits 0
prints 'pay_later: version 2 waits for approval (flagver version approve flagver.flag pay_later@2)'
run flag ramp pay_later 80 --actor alice --json
prints '{"flag":"pay_later","no":3,"state":"submitted"}'
run flag get pay_later
prints '{"percentage": 50, "type": "boolean"}'
run flag list
prints_like 'FLAG *pay_later  boolean  on *50 %  *1 *
pay_later: version 2 waits for approval (flagver version approve flagver.flag pay_later@2)
pay_later: version 3 waits for approval (flagver version approve flagver.flag pay_later@3)'
run flag list --json
holds test "$(wc -l <"$work/out")" -eq 1
run flag history pay_later
prints_like 'NO *3   submitted *2   submitted *1   approved *'
run flag revert pay_later 1 --actor alice
prints 'pay_later: version 4 waits for approval (flagver version approve flagver.flag pay_later@4)'
run version approve flagver.flag pay_later@2 --actor alice --role release
exits 4
run version approve flagver.flag pay_later@2 --actor rita --role release
prints 'pay_later: version 2 is in force'
run flag get pay_later
prints '{"percentage": 75, "type": "boolean"}'

it "lets the kill switch be thrown by emergency"
run flag disable pay_later --emergency --actor alice --note why
exits 4
run flag disable pay_later --emergency --actor otto --role oncall
exits 6
run flag ramp pay_later 90 --emergency --actor otto --role oncall --note why
exits 6
run flag ramp pay_later 5 --emergency --actor otto --role oncall --note slow
exits 0
prints 'pay_later: version 5, 5 %, by emergency (flagver version review flagver.flag pay_later@5)'
run flag disable pay_later --emergency --actor otto --role oncall --note 'double charges' --json
prints '{"flag":"pay_later","no":6,"state":"approved"}'
run flag get pay_later --json
prints_like '*"emergency":true,*'
run doctor
exits 1
prints_like '*pay_later*'
run version review flagver.flag pay_later@6 --actor otto --role release
exits 4
run version review flagver.flag pay_later@6 --actor rita --role release
exits 0
prints 'pay_later: version 6 has been reviewed'
run version review flagver.flag pay_later@2 --actor rita --role release
exits 5
run version review flagver.flag pay_later@5 --actor rita --role release
run doctor
exits 0
run flag enable pay_later --emergency
exits 2

it "leaves no store behind where nothing can be read"
mkdir empty
cd empty || return
for words in 'phase list' 'version list' 'version due' 'version show p s@1' 'version items p s@1' \
    'version submit p s@1' assignments; do
    # shellcheck disable=SC2086
    run $words
    exits 7
    holds test ! -e records.db
done
cd ..

it "says which definitions of a file only wait"
cat >apply.json <<'END'
{"flags": {"pay_now": {"type": "boolean"}, "other": {"type": "boolean", "percentage": 5}}}
END
run flag apply apply.json --actor alice
exits 0
prints '+ flag other
    + /percentage: 5
    + /type: "boolean"
+ flag pay_now
    + /type: "boolean"
    version 1 waits for approval (flagver version approve flagver.flag pay_now@1)
apply.json: 2 changes; 1 waits for approval'
run flag apply apply.json --actor alice
prints '+ flag pay_now
    + /type: "boolean"
    version 1 waits for approval (flagver version approve flagver.flag pay_now@1)
apply.json: 0 changes; 1 waits for approval'
run flag apply apply.json --actor alice --json --idempotency-key a1
prints_like '{"file":"apply.json","changes":0,"steps":\[{"action":"create","flag":"pay_now",*"waits":1}\],"keptOff":\[\]}'

it "proposes once that a set-up switches a flag on"
run flag put pay_off - --actor alice <<<'{"type": "boolean", "enabled": false}'
run version approve flagver.flag pay_off@1 --actor rita --role release
exits 0
run init --enable pay_off --actor alice
exits 0
prints_like '*enable  pay_off: version 2 waits for approval*'
run init --enable pay_off --actor alice --json
prints_like '*"enable":{"flag":"pay_off","no":1,"on":false,"changed":false}*'
