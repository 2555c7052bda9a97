# Migrations: route …. Nobody here has their sides; docs/runbook.md is about an application that does.
# shellcheck shell=bash disable=SC2154 # sourced by run.sh

export FLAGVER_STORE=sqlite:routes.db FLAGVER_ACTOR=alice

it "does not make a store to read it"
run route list
exits 7
[ ! -e routes.db ] || wrong "there is a store"

it "creates a migration and shows it"
echo '{"stage": "off", "gates": {"samples": 10}}' >users.json
run route put users users.json
exits 0
prints 'users: version 1'
run route show users
exits 0
prints '{"gates": {"samples": 10}, "stage": "off"}'
run route show users --json
prints_like '{"migration":"users","no":1,"state":"approved",*,"definition":{"gates":{"samples":10},"stage":"off"}}'
run route put users users.json --json
prints '{"migration":"users","no":2,"state":"approved"}'

it "says how it stands"
run route status users
exits 0
prints 'stage      none yet
asked for  off, version 2, not carried out yet
believed   old
copied     no
verified   no
compared   0 reads, 0 agree'
run route status users --json
prints_like '{"migration":"users","stage":null,*"asked":"off",*"version":2,"settled":false,"believed":"old",*}'
run route list
exits 0
prints_like 'MIGRATION *BELIEVED*
users * off * old * 2 * alice'
cp "$work/out" listed
run route list --json
prints_like '{"migration":"users",*"version":2,*}'

it "refuses a record that is none"
for record in '{"stage":"nope"}' '{"stage":"off","x":1}' '{"stage":"backfill","stages":4}' \
    '{"stage":"off","guards":{"match_rate":101}}' '{"percentage":5}' '['; do
    run route put orders - <<<"$record"
    exits 6
    says_like 'flagver: <stdin>:*'
done
run route put orders - <<<'{"stage":"shadow"}'
exits 5
says 'flagver: orders: shadow does not follow off; dualwrite does'
run route show orders
exits 3
says 'flagver: orders: no such migration in sqlite:routes.db'

it "takes what a record may say of guards"
run route put guarded - <<<'{"stage":"off","guards":{"match_rate":99.5,"error_rate":1,"p99_ratio":1.2,"oldest_s":300,"samples":1000}}'
exits 0

it "refuses a stage that is none, or does not follow"
run route stage users nope
exits 6
says_like 'flagver: route stage: nope is no stage; there are off, dualwrite, *'
run route stage users backfill
exits 5
says 'flagver: users: backfill does not follow off; dualwrite does'
run route stage nobody off
exits 3
says 'flagver: nobody: no such migration in sqlite:routes.db'
for percent in x 1x '' -1; do
    run route ramp users -- "$percent"
    exits 6
    says "flagver: route ramp: $percent is no percentage from 0 to 100"
done
run route ramp users 101
exits 6
run route stage users off --wait soon
exits 2
says_like 'flagver: route stage: --wait soon is no number of seconds*'

it "does not go on before it is carried out, and says so"
run route stage users dualwrite --wait 0
exits 5
says 'flagver: users: version 2 of it is not carried out yet; that comes first'

it "goes on by force, whose reason stands in the record"
run route stage users dualwrite --force 'a test' --note 'no gates' --wait 0
exits 0
prints 'users: dualwrite, version 3, not carried out yet'
run route show users
prints '{"forced": "a test", "gates": {"samples": 10}, "stage": "dualwrite"}'
run route history users
exits 0
prints_like 'NO *
3 * alice *no gates
2 *
1 *'

it "waits for who has the sides, and tells when nobody did it"
run route stage users off --wait 1
exits 5
says 'flagver: users: version 4 of it is not carried out yet: that takes a process which has its sides and takes steps'

it "prints a share of reads"
for stage in dualwrite backfill shadow; do
    run route stage users "$stage" --force 'a test' --wait 0
    exits 0
done
run route ramp users 12.5 --force 'a test' --wait 0
exits 0
prints 'users: ramp 12.5 %, version 8, not carried out yet'
run route ramp users 25 --force 'a test' --wait 0 --json
exits 0
prints_like '{"migration":"users",*"asked":"ramp","asked_percentage":25*}'
run route list
prints_like '*ramp 25 %*'

it "leaves the share as it is where the stage is asked for again"
run route stage users ramp --force 'a test' --wait 0
exits 0
prints 'users: ramp 25 %, version 10, not carried out yet'

it "takes it all back, reads first"
run route rollback users --wait 0 --note 'not today'
exits 0
prints 'users: off, version 12, not carried out yet'
run version current flagver.migration users
prints_like '*"stage": "off"*'
run route show users 11
prints_like '*"stage": "shadow"*'
run route rollback users --wait 1
exits 5
says_like 'flagver: users: version 12 of it is not carried out yet*'
run route rollback nobody
exits 3

it "says whether everything is copied, and found equal"
run route backfill users
exits 1
prints 'users: not copied'
run route verify users --wait 1
exits 1
prints 'users: not verified'
run route verify users --json
exits 1
prints_like '{"migration":"users",*}'
run route verify nobody
exits 3

it "says how one that was deleted comes back"
run version remove flagver.migration guarded
exits 0
run route list --json
holds eval '! grep -q guarded "$work/out"'
run route status guarded
exits 3
says 'flagver: guarded was deleted in version 2 by alice; "version revert flagver.migration guarded@1" brings it back'

it "asks whom the policy says"
run phase put flagver.migration - <<<'{"write": {"role_in": ["operator"]}, "approval": {"rule": {"role_in": ["lead"]}}, "emergency": {"role_in": ["operator"]}}'
exits 0
run route stage users dualwrite --force 'a test' --wait 0
exits 4
run route stage users dualwrite --force 'a test' --wait 0 --role operator
exits 0
prints 'users: version 13 waits for approval (flagver version approve flagver.migration users@13)'
run route stage users dualwrite --force 'a test' --wait 0 --role operator --json
exits 0
prints '{"migration":"users","no":14,"state":"submitted"}'
run version reject flagver.migration users@14 --actor lea --role lead
exits 0
run version approve flagver.migration users@13 --actor lea --role lead
exits 0
run route rollback users --wait 0 --note 'it burns'
exits 4
run route rollback users --wait 0 --role operator
exits 6
says 'flagver: users: an emergency needs a note that says why'
run route rollback users --wait 0 --role operator --note 'it burns'
exits 0
prints 'users: off, version 15, not carried out yet'
