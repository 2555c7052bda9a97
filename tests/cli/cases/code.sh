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
prints_like '+ segment staff
    *
+ flag checkout
    + /default: "a"
    *
flags.json: 9 changes'
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
prints '{"file":"flags.json","changes":0,"steps":[],"keptOff":[]}'

it "exports what it applied, and that again is the same"
run flag export
exits 0
cp "$work/out" exported.json
run flag plan exported.json --prune
exits 0
run --store sqlite:copy.db flag import exported.json
exits 0
prints_like '*
exported.json: 9 changes'
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
prints '{"file":"changed.json","create":1,"change":1,"delete":0,"steps":[{"action":"create","flag":"fresh","no":null,"changes":["+ /type: \"boolean\""],"switchedOff":null},{"action":"change","flag":"retired","no":1,"changes":["~ /enabled: false -> true"],"switchedOff":null}],"keptOff":[]}'
run flag plan flags.json --json
exits 0
prints '{"file":"flags.json","create":0,"change":0,"delete":0,"steps":[],"keptOff":[]}'

it "imports without deleting"
run flag import changed.json
exits 0
prints '+ flag fresh
    + /type: "boolean"
~ flag retired (version 1)
    ~ /enabled: false -> true
changed.json: 2 changes'
run flag get checkout
exits 0

it "does not know how to prune by importing"
run flag import changed.json --prune
exits 2
says 'flagver: flag import: takes no --prune'

it "prunes"
run flag apply changed.json --prune
exits 0
prints_like '- segment staff (version 1)
- flag checkout (version 1)
*
changed.json: 8 changes'
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
prints_like '+ segment staff
*
flags.json: 9 changes'
run flag apply flags.json --idempotency-key release-1
exits 0
prints 'flags.json: 9 changes'
run flag disable checkout
run flag apply flags.json --idempotency-key release-1
exits 0
prints 'flags.json: 9 changes'
run flag get checkout --json
prints_like '*"enabled":false*'

it "does not say under a key that it did again what it did not do"
echo '{"flags": {"once": {"type": "boolean"}}}' >once.json
run flag apply once.json --idempotency-key once
prints '+ flag once
    + /type: "boolean"
once.json: 1 change'
run flag ramp once 10
run flag apply once.json --idempotency-key once
exits 0
prints 'once.json: 1 change'
run flag get once
prints '{"percentage": 10, "type": "boolean"}'

# --- what was switched off ---

export FLAGVER_STORE=sqlite:off.db
cat >on.json <<'END'
{"flags": {"born_off": {"type": "boolean"}, "killed": {"type": "boolean", "enabled": true},
           "other": {"type": "boolean", "percentage": 33.333}}}
END
echo '{"flags": {"born_off": {"type": "boolean", "enabled": false}, "killed": {"type": "boolean"}}}' >first.json
run flag apply first.json
run --actor bob flag disable killed
run --actor eve flag beta add killed u1
run flag history killed --json
killed_at=$(sed -n 's/.*"no":2,.*"decidedAt":"\([^"]*\)".*/\1/p' "$work/out")
notice="killed was switched off by bob at $killed_at"

it "says in a plan who switched off what it would switch on"
run flag plan on.json
exits 1
prints "~ flag born_off (version 1)
    - /enabled: false
~ flag killed (version 3)
    - /beta: [\"u1\"]
    ~ /enabled: false -> true
    $notice; this switches it on
+ flag other
    + /percentage: 33.333
    + /type: \"boolean\"
1 to create, 2 to change, 0 to delete"

it "says so to programs"
run flag plan on.json --json
prints_like '{*"flag":"born_off",*"switchedOff":null},*"flag":"killed",*"switchedOff":{"no":2,"by":"bob","at":"'"$killed_at"'"}}*"keptOff":\[\]}'

it "plans to leave it off"
run flag plan on.json --keep-off
exits 1
prints "~ flag born_off (version 1)
    - /enabled: false
~ flag killed (version 3)
    - /beta: [\"u1\"]
+ flag other
    + /percentage: 33.333
    + /type: \"boolean\"
$notice; it stays off
1 to create, 2 to change, 0 to delete"

it "leaves it off"
run flag apply on.json --keep-off
exits 0
prints "~ flag born_off (version 1)
    - /enabled: false
~ flag killed (version 3)
    - /beta: [\"u1\"]
+ flag other
    + /percentage: 33.333
    + /type: \"boolean\"
$notice; it stays off
on.json: 3 changes"
run flag get killed
prints '{"enabled": false, "type": "boolean"}'
run flag get other
prints '{"percentage": 33.333, "type": "boolean"}'

it "has then nothing to do, and says so to programs"
run flag plan on.json --keep-off
exits 0
prints "$notice; it stays off
0 to create, 0 to change, 0 to delete"
run flag import on.json --keep-off --json
exits 0
prints '{"file":"on.json","changes":0,"steps":[],"keptOff":[{"flag":"killed","switchedOff":{"no":2,"by":"bob","at":"'"$killed_at"'"}}]}'

it "switches it on without that, and says so"
run flag apply on.json
exits 0
prints "~ flag killed (version 4)
    ~ /enabled: false -> true
    $notice; this switches it on
on.json: 1 change"
run flag apply on.json --keep-off
exits 0
prints 'on.json: 0 changes'

it "names the place in the file also where it leaves something off"
run flag disable killed
printf '{"flags": {"killed": {"type": "boolean"},\n "bad": {"type": "boolean", "percentage": 101}}}' >wrong.json
run flag apply wrong.json --keep-off
exits 6
says_like 'flagver: wrong.json:2:*: /flags/bad/percentage: *'
