# Guards of schedules: flag guard
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # sourced by run.sh

export FLAGVER_STORE=sqlite:guard.db FLAGVER_ACTOR=alice

steps='"steps": [{"at": "2020-01-01T00:00:00Z", "percentage": 10},
    {"at": "2020-02-01T00:00:00Z", "percentage": 25}]'

it "needs a store"
run flag guard
exits 7
prints_nothing
says_like 'flagver: sqlite:guard.db: there is no store yet; *'

it "has nothing to say where nothing is guarded, or nothing was tracked"
run init
run flag put plain - <<<'{"type": "boolean", "percentage": 50}'
run flag put search - <<<"{\"type\": \"boolean\", \"beta\": [\"bob\"],
    \"schedule\": {$steps, \"guards\": {\"error_rate\": 1}}}"
run flag guard
exits 0
prints_nothing
says_nothing
run flag guard --json
exits 0
prints_nothing

it "shows that a schedule has guards"
run flag get search
prints_like '*"guards": {"error_rate": 1}*'
run flag diff search
prints_like '*"guards":{"error_rate":1}*'
run flag list
prints_like '*search*schedule at 25 %*'

it "looks again after whole seconds"
run flag guard --watch 0
exits 2
says 'flagver: flag guard: --watch 0 is no number of seconds from 1 to 86400'
run flag guard --watch soon
exits 2
run flag guard search
exits 2

it "refuses guards that say nothing"
run flag schedule search - <<<"{$steps, \"guards\": {\"samples\": 5}}"
exits 6
says_like 'flagver: <stdin>: */schedule/guards: needs "error_rate", "p95_ms" or "p95_ratio"'

# What applications track. An interpreter does not load a library with sanitizers in it.
track() {
    python3 - "$(dirname "$flagver")/libflagver.so" "$FLAGVER_STORE" "$@" <<'END' 2>track.err
import ctypes, sys
library, uri, flag, variant, outcomes, failed = sys.argv[1:]
lib = ctypes.CDLL(library)
client = ctypes.c_void_p()
assert lib.flagver_open(uri.encode(), None, ctypes.byref(client), None) == 0
for number in range(int(outcomes)):
    assert lib.flagver_track_outcome(client, flag.encode(), variant.encode(), number < int(failed),
                                     ctypes.c_int64(5000000), None) == 0
assert lib.flagver_track_flush(client, None) == 0
lib.flagver_close(client)
END
}

if track plain on 1 0; then
    it "takes a flag back, and says so"
    track search on 412 13
    run flag guard
    exits 1
    prints 'search: error_rate 3.155 > 1 of 412: back from 25 % to 10 %, version 2'
    says_nothing
    run flag history search
    prints_like '*2 *alice*guard error_rate: 3.155 % > 1 % of 412 since step 2 (25 %)*'
    run flag get search
    prints '{"beta": ["bob"], "percentage": 10, "type": "boolean"}'

    it "does so once"
    run flag guard
    exits 0
    prints_nothing

    it "says it to programs"
    run flag schedule search - <<<"{$steps, \"guards\": {\"p95_ms\": 1, \"samples\": 1, \"back\": \"zero\"}}"
    run flag guard --json
    exits 1
    prints_like '{"flag":"search","guard":"p95_ms","value":*,"limit":1.0,"samples":412,"from":25.0,"to":0.0,"acted":true,"no":4,"why":null}'
    run flag get search
    prints '{"beta": ["bob"], "percentage": 0, "type": "boolean"}'

    it "says why it could not"
    run flag schedule search - <<<"{$steps, \"guards\": {\"error_rate\": 1}}"
    run phase put flagver.flag - <<<'{"approval": {"rule": {"role_in": ["lead"]}}, "emergency": {"role_in": ["watch"]}}'
    run flag guard
    exits 1
    prints_like 'search: error_rate 3.155 > 1 of 412: still at 25 %: *alice*'
    run flag get search
    prints_like '*"schedule"*'

    it "watches until it is interrupted"
    timeout "$deadline" "${under[@]}" "$flagver" --role watch --actor guard flag guard --watch 1 >lines 2>lines.err &
    watcher=$!
    for ((tries = 1000; tries > 0; tries--)); do
        grep -q . lines && break
        read -rt 0.05 <> <(:)
    done
    kill -TERM "$watcher"
    wait "$watcher"
    status=$?
    exits 1
    holds test ! -s lines.err
    holds grep -qx 'search: error_rate 3.155 > 1 of 412: back from 25 % to 10 %, version 6' lines
    run flag history search --json
    prints_like '*"emergency":true*guard error_rate*'
fi
