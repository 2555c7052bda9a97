# What cannot be written is not lost silently.
# shellcheck shell=bash disable=SC2154,SC2034 # sourced by run.sh

run_to() {
    local out=$1
    shift
    : >"$work/out"
    timeout "$deadline" "${under[@]}" "$flagver" "$@" >"$out" 2>"$work/err"
    status=$?
}

if [ -c /dev/full ]; then
    it "exits 7 when the disk is full"
    run_to /dev/full flag eval limit --definitions flags.json
    exits 7
    says 'flagver: standard output: No space left on device'

    it "exits 7 when there is no room for the help"
    run_to /dev/full --help
    exits 7
    says 'flagver: standard output: No space left on device'

    it "exits 7 when there is no room for the answers, and reads no further"
    run_to /dev/full flag eval --batch --definitions flags.json < <(yes '{"flag":"limit","context":{}}')
    exits 7
    says 'flagver: standard output: No space left on device'

    it "exits 7 rather than 1 when warnings cannot be printed"
    printf '{"flags": {"k": {"type": "boolean", "schedule": {"steps": [
      {"at": "2026-01-01T00:00:00Z", "percentage": 50},
      {"at": "2026-01-02T00:00:00Z", "percentage": 10}]}}}}' >falling.json
    run_to /dev/full flag lint falling.json
    exits 7
fi

it "exits 7 when standard output is closed"
timeout "$deadline" "${under[@]}" "$flagver" flag eval limit --definitions flags.json \
    >&- 2>"$work/err"
status=$?
exits 7
says 'flagver: standard output: Bad file descriptor'

it "exits 7 when the reader is gone and SIGPIPE is ignored"
mkfifo pipe
(
    trap '' PIPE
    until [ -e gone ]; do sleep 0.05; done
    timeout "$deadline" "${under[@]}" "$flagver" flag eval limit --definitions flags.json 2>"$work/err"
    echo $? >"$work/status"
) >pipe &
# The reader opens the pipe and goes at once.
: <pipe
: >gone
wait $!
status=$(cat "$work/status")
exits 7
says 'flagver: standard output: Broken pipe'

it "stops quietly when the reader of a batch has had enough"
: >"$work/err"
lines=$(yes '{"flag":"limit","context":{}}' |
    timeout "$deadline" "${under[@]}" "$flagver" flag eval --batch --definitions flags.json \
        2>"$work/err" | head -n 3 | wc -l)
holds test "$lines" -eq 3
says_nothing
