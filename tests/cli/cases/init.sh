# init, schema, doctor, health
# shellcheck shell=bash disable=SC2154,SC2016 # sourced by run.sh

export FLAGVER_ACTOR=alice

it "sets a store up"
run init
exits 0
prints_like 'store   sqlite:flagver.db is not there yet: it will be made
migrate to schema version 2
verify  * things looked at, all are as they should be
next    flagver flag list
*flagver_open("sqlite:flagver.db", ...)'
says_nothing
holds test -e flagver.db

it "says the second time what is there already"
run init
exits 0
prints_like 'store   sqlite:flagver.db is there, schema version 2
migrate nothing to do
verify  * things looked at, all are as they should be
next    *'
says_nothing

it "sets up the store that it is told to, and says so in what comes next"
run init --store sqlite:other.db
exits 0
prints_like 'store   sqlite:other.db is not there yet: it will be made
*next    flagver --store sqlite:other.db flag list
*'
holds test -e other.db

it "says what comes next as a shell takes it"
run init --store 'sqlite:one & two.db'
exits 0
prints_like "*next    flagver --store 'sqlite:one & two.db' flag list
*"

it "loads definitions and switches a flag on"
run --store sqlite:app.db init --load flags.json --enable retired
exits 0
prints_like '*
load    flags.json: 9 loaded, 0 there already, 0 left alone
enable  retired: version 2
next    *'
says_nothing
run --store sqlite:app.db flag eval retired
prints 'retired: true (variant on, STATIC, version 2)'

it "does nothing the second time"
run --store sqlite:app.db flag export
cp "$work/out" before.json
run --store sqlite:app.db init --load flags.json --enable retired
exits 0
prints_like '*
load    flags.json: 0 loaded, 8 there already, 1 left alone
        left alone: flag retired, changed in version 2 by alice
enable  retired is on already, version 2
next    *'
run --store sqlite:app.db flag export
holds cmp "$work/out" before.json

it "leaves alone what people changed, deleted and switched off"
run --store sqlite:app.db --actor bob flag ramp report_setup 75
run --store sqlite:app.db --actor bob flag delete limit
run --store sqlite:app.db --actor bob flag disable retired
run --store sqlite:app.db init --load flags.json --enable retired
exits 0
prints_like '*
load    flags.json: 0 loaded, 7 there already, 2 left alone
        left alone: flag report_setup, changed in version 2 by bob
        left alone: flag limit, deleted in version 2 by bob
enable  left alone: retired was switched off by bob at 2*Z; flag enable does it
next    *'
run --store sqlite:app.db flag eval retired
prints 'retired: false (variant off, DISABLED, version 3)'
run --store sqlite:app.db flag get limit
exits 3

it "loads what the file has gained since"
cat >more.json <<'END'
{"flags": {"limit": {"type": "integer", "variants": {"low": 10}, "default": "low"},
           "fresh": {"type": "boolean", "enabled": false}}}
END
run --store sqlite:app.db init --load more.json --enable fresh
exits 0
prints_like '*
load    more.json: 1 loaded, 0 there already, 1 left alone
        left alone: flag limit, deleted in version 2 by bob
enable  fresh: version 2
*'
run --store sqlite:app.db flag history fresh
prints_like '* alice *flagver init
* alice *flagver init'

it "prints all of that as JSON"
run --store sqlite:app.db init --load more.json --enable fresh --json
exits 0
prints_like '{"store":"sqlite:app.db","file":"more.json","loaded":\[\],"present":\[\],"leftAlone":\[{"flag":"limit","no":2,"deleted":true,"by":"bob"},{"flag":"fresh","no":2,"deleted":false,"by":"alice"}\],"enable":{"flag":"fresh","no":2,"on":true,"changed":false},"installed":true,"from":2,"version":2,"checked":*,"wrong":0}'
run --store sqlite:json.db init --load more.json --json
prints_like '{"store":"sqlite:json.db","file":"more.json","loaded":\[{"flag":"limit"},{"flag":"fresh"}\],"present":\[\],"leftAlone":\[\],"enable":null,"installed":false,"from":0,"version":2,"checked":*,"wrong":0}'

it "sets one store up from several processes at once"
for i in 1 2 3 4 5 6; do
    (timeout "$deadline" "${under[@]}" "$flagver" --store sqlite:at-once.db init --load flags.json \
        --enable retired >"once$i" 2>&1 || echo "status $?" >>"once$i") &
done
wait
holds eval '! grep -q -e "^status" -e "^flagver" once?'
holds test "$(grep -l ' 9 loaded' once? | wc -l)" -eq 1
run --store sqlite:at-once.db flag history retired
holds test "$(wc -l <"$work/out")" -eq 3

it "does not set up what ends with the command"
run --store memory: init
exits 2
says 'flagver: init: a store in memory ends with this command'

it "touches nothing when the file is malformed"
printf '{"flags":\n {"k": {"type": "boolean", "tyqe": 1}}}' >bad.json
run --store sqlite:untouched.db init --load bad.json
exits 6
prints_nothing
says_like 'flagver: bad.json:2:28: /flags/k/tyqe: *'
holds test ! -e untouched.db

it "touches nothing when the file is not there"
run --store sqlite:untouched.db init --load nowhere.json
exits 6
says 'flagver: nowhere.json: No such file or directory'
holds test ! -e untouched.db

it "exits 3 for a flag to switch on that is not there"
run init --enable nope
exits 3
says 'flagver: nope: no such flag in sqlite:flagver.db'

it "exits 1 when the schema is damaged"
if command -v sqlite3 >/dev/null; then
    cp flagver.db damaged.db
    index=$(sqlite3 damaged.db "SELECT name FROM sqlite_schema
        WHERE type = 'index' AND sql IS NOT NULL AND name LIKE 'flagver_%' LIMIT 1")
    sqlite3 damaged.db "DROP INDEX $index"
    run --store sqlite:damaged.db init --load flags.json
    exits 1
    prints_like '*verify  1 of * things are wrong; nothing was loaded'
    says_like "flagver: sqlite:damaged.db: *$index*"
    run --store sqlite:damaged.db schema verify
    exits 1
    prints_like "*ERROR   *$index*"
    run --store sqlite:damaged.db schema verify --json
    exits 1
    prints_like '{"store":"sqlite:damaged.db","found":1,"lines":\[*{"level":"error","what":"*"}*\]}'
    run --store sqlite:damaged.db doctor
    exits 1
    prints_like '*ERROR   *'
fi

# --- schema ---

it "tells whether the schema is up to date"
run schema status
exits 0
prints 'sqlite:flagver.db: schema version 2 of 2, up to date'
run schema status --json
prints '{"store":"sqlite:flagver.db","version":2,"wanted":2,"current":true}'

it "exits 1 when there is no schema yet, and makes none"
run schema status --store sqlite:none.db
exits 1
prints 'sqlite:none.db: schema version 0 of 2, "flagver schema up" makes it'
holds test ! -e none.db

it "makes the schema, twice"
run schema up --store sqlite:up.db
exits 0
prints 'sqlite:up.db: schema version 0 -> 2'
run schema up --store sqlite:up.db
exits 0
prints 'sqlite:up.db: schema version 2'
run schema up --store sqlite:up.db --json
prints '{"store":"sqlite:up.db","from":2,"version":2,"backup":null}'

it "verifies it, a line for each thing"
run schema verify --store sqlite:up.db
exits 0
prints_like 'ok      *
ok      *'
holds eval '! grep -v "^ok      ." "$work/out"'
lines=$(wc -l <"$work/out")
run schema verify --store sqlite:up.db --json
exits 0
prints_like '{"store":"sqlite:up.db","found":0,"lines":\[{"level":"ok","what":"*"}*\]}'
holds test "$(grep -o '"level":"ok"' "$work/out" | wc -l)" -eq "$lines"

it "refuses to take the schema down without a word about a backup"
run schema down --store sqlite:app.db
exits 2
prints_nothing
says 'flagver: schema down: needs either --backup FILE or --no-backup'
run schema down --store sqlite:app.db --backup b --no-backup
exits 2
run --store sqlite:app.db flag list
exits 0
prints_like '*report_setup*'

it "does not take a backup for one that is there already"
: >there.export
run schema down --store sqlite:app.db --backup there.export
exits 5
says_like 'flagver: sqlite:app.db: there.export *'
run --store sqlite:app.db schema status
exits 0

it "takes the schema down with a backup, from which all comes back"
run --store sqlite:app.db flag history report_setup --json
cp "$work/out" history
run --store sqlite:app.db schema down 0 --backup app.export
exits 0
prints 'sqlite:app.db: schema version 2 -> 0; backup in app.export'
run --store sqlite:app.db schema status
exits 1
run --store sqlite:app.db flag list
exits 7
run --store sqlite:app.db import app.export
exits 0
prints 'sqlite:app.db: imported from app.export
programs that have this store open must be restarted or reopen it'
run --store sqlite:app.db flag history report_setup --json
holds cmp "$work/out" history

it "does not speak of a backup where there is nothing to take down"
run schema down 2 --store sqlite:app.db --backup same.export
exits 0
prints 'sqlite:app.db: schema version 2'
holds test ! -e same.export

it "takes it down without one when it is told to"
run --store sqlite:up.db schema down 0 --no-backup --json
exits 0
prints '{"store":"sqlite:up.db","from":2,"version":0,"backup":null}'
run --store sqlite:up.db schema down 0 --no-backup
exits 0

it "takes all of it down when no version is named"
run --store sqlite:all.db schema up
exits 0
run --store sqlite:all.db schema down --no-backup
exits 0
prints 'sqlite:all.db: schema version 2 -> 0'

it "knows no other versions"
run --store sqlite:flagver.db schema down 7 --no-backup
exits 6
run schema down x --no-backup
exits 2
says 'flagver: schema down: x is no version of the schema'

# --- doctor and health ---

it "finds nothing wrong with a good store"
run --store sqlite:app.db doctor
exits 0
prints_like 'ok      *'
holds eval '! grep -v "^ok      ." "$work/out"'
holds grep -Eqx 'ok      driver sqlite [0-9.]+, /.*/app\.db, wal' "$work/out"
run --store sqlite:app.db doctor --json
exits 0
prints_like '{"store":"sqlite:app.db","found":0,"lines":\[{"level":"ok","what":"*"}*\]}'

it "finds that there is no store, and says what to do"
run --store sqlite:none.db doctor
exits 1
prints_like 'ERROR   *flagver init*'
holds test ! -e none.db

it "is in good health"
run health
exits 0
prints_like 'status     ok
store      sqlite:flagver.db
tenant     default
flags      0
refreshed  2*Z'
says_nothing

it "is in good health as JSON"
run --tenant acme health --json
exits 0
prints_like '{*"status":"ok"*}'
prints_like '{*"uri":"sqlite:flagver.db"*}'
prints_like '{*"tenant":"acme"*}'
prints_like '{*"flags":0*}'
prints_like '{*"error":null*}'
prints_like '{*"malformed":\[\]*}'

it "is an object, too, when there is no store"
run health --store sqlite:none.db --json
exits 7
prints '{"status":"unavailable","uri":"sqlite:none.db","tenant":"default","flags":null,"generation":null,"leaves":null,"refreshed":null,"error":{"code":"EUNAVAILABLE","message":"there is no store yet; \"flagver init\" makes one","since":null},"malformed":[],"store":null}'
says_nothing
holds test ! -e none.db

it "says the same to people"
run health --store sqlite:none.db
exits 7
prints 'status     unavailable
store      sqlite:none.db
tenant     default
error      there is no store yet; "flagver init" makes one'

it "exits 7 when the store is no store"
printf 'this is no database, but long enough to be looked at as one%s\n' {1..99} >text.db
run health --store sqlite:text.db
exits 7
prints 'status     unavailable
store      sqlite:text.db
tenant     default
error      is no SQLite database: is the path right?'
for command in 'flag list' 'flag disable k' 'schema up' init; do
    # shellcheck disable=SC2086 # several words
    run $command --store sqlite:text.db
    exits 7
    prints_nothing
    says 'flagver: sqlite:text.db: is no SQLite database: is the path right?'
done
mkdir directory
run flag list --store sqlite:directory
exits 7
says 'flagver: sqlite:directory: unable to open database file'

# --- export and import ---

it "exports and imports everything"
run --store sqlite:app.db export copy.export
exits 0
prints 'sqlite:app.db: exported to copy.export'
run --store sqlite:copy.db import copy.export --json
exits 0
prints '{"store":"sqlite:copy.db","tenant":null,"file":"copy.export"}'
run --store sqlite:copy.db export again.export
holds cmp copy.export again.export

it "does not import into a tenant that has records"
run --store sqlite:copy.db import copy.export
exits 5
says_like 'flagver: sqlite:copy.db: *'

it "takes no tenant for what it imports, which the file says"
run --store sqlite:fresh.db --tenant acme import copy.export
exits 2
says 'flagver: import: takes no --tenant: the file says whose records they are'
holds test ! -e fresh.db
FLAGVER_TENANT=acme run --store sqlite:fresh.db import copy.export
exits 0

it "does not import what is damaged"
sed 's/alice/mallory/' copy.export >damaged.export
run --store sqlite:new.db import damaged.export
exits 6
says_like 'flagver: damaged.export:58: [!d]*'
run --store sqlite:new.db import text.db
exits 6
says_like 'flagver: text.db:1:*'
holds eval '! grep -q "text.db.*text.db" "$work/err"'
holds test ! -e new.db
run --store sqlite:new.db import flags.json
exits 6
run --store sqlite:new.db import nowhere.export
exits 6
says 'flagver: nowhere.export: No such file or directory'

it "exports one tenant"
run --store sqlite:copy.db --tenant acme flag put k - <<<'{"type": "boolean"}'
FLAGVER_TENANT=acme run --store sqlite:copy.db export acme.export --json
exits 0
prints '{"store":"sqlite:copy.db","tenant":"acme","file":"acme.export"}'
run --store sqlite:acme.db import acme.export
run --store sqlite:acme.db --tenant acme flag list
prints_like 'FLAG *
k *'
run --store sqlite:acme.db flag list
prints_nothing

it "exits 3 for a tenant that is not there"
run --store sqlite:copy.db --tenant nobody export nobody.export
exits 3
holds test ! -e nobody.export

it "exports nothing from a store that is not there"
run --store sqlite:none.db export none.export
exits 7
says 'flagver: sqlite:none.db: there is no store yet; "flagver init" makes one'
holds test ! -e none.db
holds test ! -e none.export

it "exits 7 for an export that cannot be written"
run --store sqlite:app.db export nowhere/app.export
exits 7
says_like 'flagver: sqlite:app.db: nowhere/app.export*: No such file or directory'
