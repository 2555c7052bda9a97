# Flags as code: plan, apply, import, export
# shellcheck shell=bash disable=SC2154 # sourced by run.sh

export FLAGVER_STORE=sqlite:code.db FLAGVER_ACTOR=alice

it "plans for an empty store, and changes nothing"
run init
run flag plan flags.json
exits 1
prints_like '+ segment staff
    *
+ flag checkout
    *
9 to create, 0 to change, 0 to delete'
says_nothing
run flag list
prints_nothing

it "applies"
run flag apply flags.json --note 'from the repository'
exits 0
prints 'flags.json: 9 changes'
run flag history checkout
prints_like '*from the repository'

it "has nothing to do the second time"
run flag plan flags.json
exits 0
prints '0 to create, 0 to change, 0 to delete'
run flag apply flags.json
exits 0
prints 'flags.json: 0 changes'
run flag apply flags.json --json
exits 0
prints '{"file":"flags.json","changes":0}'

it "exports what it applied, and that again is the same"
run flag export
exits 0
cp "$work/out" exported.json
run flag plan exported.json --prune
exits 0
run --store sqlite:copy.db flag import exported.json
exits 0
prints 'exported.json: 9 changes'
run --store sqlite:copy.db flag export
holds cmp "$work/out" exported.json
run flag lint exported.json
exits 0

cat >changed.json <<'END'
{"flags": {"retired": {"type": "boolean", "enabled": true}, "fresh": {"type": "boolean"}}}
END

it "plans changes, and without --prune no deletions"
run flag plan changed.json
exits 1
prints '+ flag fresh
    + /type: "boolean"
~ flag retired (version 1)
    ~ /enabled: false -> true
1 to create, 1 to change, 0 to delete'

it "plans deletions with --prune"
run flag plan changed.json --prune
exits 1
prints_like '*
- segment staff (version 1)
- flag checkout (version 1)
*1 to create, 1 to change, 8 to delete'

it "plans as JSON"
run flag plan changed.json --json
exits 1
prints '{"file":"changed.json","create":1,"change":1,"delete":0,"steps":[{"action":"create","flag":"fresh","no":null,"changes":["+ /type: \"boolean\""]},{"action":"change","flag":"retired","no":1,"changes":["~ /enabled: false -> true"]}]}'
run flag plan flags.json --json
exits 0
prints '{"file":"flags.json","create":0,"change":0,"delete":0,"steps":[]}'

it "imports without deleting"
run flag import changed.json
exits 0
prints 'changed.json: 2 changes'
run flag get checkout
exits 0

it "does not know how to prune by importing"
run flag import changed.json --prune
exits 2
says 'flagver: flag import: takes no --prune'

it "prunes"
run flag apply changed.json --prune
exits 0
prints 'changed.json: 8 changes'
run flag list
prints_like 'FLAG *
fresh *
retired *'

it "reads standard input"
run flag plan - <changed.json
exits 0
run flag apply - <changed.json
exits 0
prints '<stdin>: 0 changes'

it "applies all or nothing"
cat >bad.json <<'END'
{"flags": {"good": {"type": "boolean"},
           "bad": {"type": "boolean", "percentage": 101}}}
END
for command in plan apply import; do
    run flag $command bad.json
    exits 6
    prints_nothing
    says_like 'flagver: bad.json:2:53: /flags/bad/percentage: *'
done
run flag get good
exits 3

it "exits 6 for a file that is not there"
run flag apply nowhere.json
exits 6
says 'flagver: nowhere.json: No such file or directory'

it "applies once under one idempotency key"
run flag apply flags.json --idempotency-key release-1
exits 0
prints 'flags.json: 9 changes'
run flag disable checkout
run flag apply flags.json --idempotency-key release-1
exits 0
run flag get checkout --json
prints_like '*"enabled":false*'
