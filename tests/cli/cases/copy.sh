# From one store straight into another.
# shellcheck shell=bash disable=SC2154,SC2016,SC2034 # sourced by run.sh

export FLAGVER_ACTOR=alice

run --store sqlite:old.db init --load flags.json
run --store sqlite:old.db flag ramp report_setup 40

it "copies a store into a new one"
run --store sqlite:new.db import sqlite:old.db
exits 0
prints_like 'default: the same 2* leaves in both, root ????????????????????????????????????????????????????????????????'
says_nothing
run --store sqlite:old.db export old.jsonl
run --store sqlite:new.db export new.jsonl
holds cmp old.jsonl new.jsonl
run --store sqlite:new.db audit verify
exits 0

it "says the root that the source has"
run --store sqlite:old.db audit checkpoint --origin x --json
root=$(sed 's/.*"root":"\([0-9a-f]*\)".*/\1/' "$work/out")
run --store sqlite:new.db import sqlite:old.db --json
exits 0
prints_like "{\"tenant\":\"default\",\"stage\":\"equal\",\"copied\":2*,\"leaves\":2*,\"root\":\"$root\"}"

it "goes on with what has come since"
run --store sqlite:old.db flag disable report_setup
run --store sqlite:new.db import sqlite:old.db
exits 0
run --store sqlite:new.db flag history report_setup
holds grep -q '^3 ' "$work/out"

it "copies only the tenant that it is told"
run --store sqlite:old.db --tenant other flag put k - <<<'{"type": "boolean"}'
run --store sqlite:one.db --tenant other import sqlite:old.db
exits 0
prints_like 'other: the same 2 leaves in both, root *'
run --store sqlite:one.db flag list
prints_nothing
FLAGVER_TENANT=nobody run --store sqlite:one.db import sqlite:old.db
exits 3
says_like 'flagver: sqlite:old.db: *old.db has no tenant "nobody"'

it "refuses a target that somebody else has written to"
run --store sqlite:new.db flag release report_setup
run --store sqlite:new.db import sqlite:old.db
exits 5
says_like 'flagver: sqlite:new.db: leaf 2* of tenant "default" in * is not the one of *'

it "makes no store when there is none to copy"
run --store sqlite:none.db import sqlite:nowhere.db
exits 3
says_like 'flagver: sqlite:nowhere.db: there is no *nowhere.db'
holds test ! -e none.db

it "does not copy a store into itself, nor one that nobody can have"
run --store sqlite:old.db import sqlite:old.db
exits 6
run --store sqlite:new.db import memory:
exits 2
says 'flagver: import: a store in memory ends with the program that has it'
run --store sqlite:new.db import nope:x
exits 6
says_like 'flagver: nope:x: *'

it "follows stores only"
run --store sqlite:new.db import old.jsonl --follow
exits 2
says 'flagver: import: a file does not change: --follow is for stores'

# follows FILE: begins to follow, and waits until the first line stands there
follows() {
    timeout "$deadline" "${under[@]}" "$flagver" --store sqlite:live.db import sqlite:old.db \
        --tenant default --follow "${@:2}" >"$1" 2>"$1.err" &
    follower=$!
    waits_for grep -q . "$1"
}

# waits_for COMMAND…: until it succeeds
waits_for() {
    local tries=1000
    until "$@" 2>/dev/null || [ $((tries--)) -eq 0 ]; do
        read -rt 0.05 <> <(:)
    done
    holds "$@"
}

leaves_of() {
    "$flagver" --store "sqlite:$1" audit log --json | wc -l
}

it "keeps up with the source until it is interrupted"
follows lines
run --store sqlite:old.db flag enable report_setup
waits_for eval '[ "$(leaves_of live.db)" = "$(leaves_of old.db)" ]'
kill -INT "$follower"
wait "$follower"
status=$?
exits 0
holds test ! -s lines.err
holds grep -q '^default: [0-9]* leaves, 0 behind$' lines
holds test "$(tail -n 1 lines | sed 's/^default: the same \([0-9]*\) leaves in both, root [0-9a-f]*$/\1/')" = \
    "$(leaves_of old.db)"
run --store sqlite:old.db --tenant default export old.jsonl
run --store sqlite:live.db export live.jsonl
holds cmp old.jsonl live.jsonl

it "carries over what came last before it ends"
follows more --json
run --store sqlite:old.db flag release report_setup
kill -TERM "$follower"
wait "$follower"
status=$?
exits 0
holds test "$(leaves_of live.db)" = "$(leaves_of old.db)"
holds grep -q '^{"tenant":"default","stage":"equal","copied":[0-9]*,"leaves":[0-9]*,"root":"[0-9a-f]*"}$' more
