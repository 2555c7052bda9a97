# flag lint FILE
# shellcheck shell=bash disable=SC2154 # sourced by run.sh

it "says nothing about good definitions"
run flag lint flags.json
exits 0
prints_nothing
says_nothing

it "says so as JSON"
run flag lint --json flags.json
exits 0
prints '{"file":"flags.json","warnings":[]}'

cat >falling.json <<'END'
{"flags": {"k": {"type": "boolean", "schedule": {"steps": [
  {"at": "2026-01-01T00:00:00Z", "percentage": 50},
  {"at": "2026-01-02T00:00:00Z", "percentage": 10}]}}}}
END

it "prints a warning with its place and exits 1"
run flag lint falling.json
exits 1
prints_like 'falling.json:3:*: /flags/k/schedule/steps/1*: *'
says_nothing
holds test "$(wc -l <"$work/out")" -eq 1

it "prints warnings as JSON"
run flag lint --json falling.json
exits 1
prints_like '{"file":"falling.json","warnings":\[{"line":3,"column":*,"message":"/flags/k/schedule/steps/1*: *"}\]}'

it "finds the place behind a name with colons"
cp falling.json 'a:1:2: b.json'
run flag lint --json 'a:1:2: b.json'
exits 1
prints_like '{"file":"a:1:2: b.json","warnings":*'

it "has no name in JSON for a file whose name is not UTF-8"
cp flags.json $'gr\xf6\xdfe.json'
run flag lint --json $'gr\xf6\xdfe.json'
exits 0
prints '{"file":null,"warnings":[]}'

it "reads standard input"
run flag lint - <falling.json
exits 1
prints_like '<stdin>:3:*: /flags/k/schedule/steps/1*: *'

it "reads standard input from a pipe"
run flag lint - < <(cat flags.json)
exits 0
prints_nothing

it "exits 6 for what is malformed, and names the place"
printf '{"flags":\n {"k": {"type": "boolean", "tyqe": 1}}}' >bad.json
run flag lint bad.json
exits 6
prints_nothing
says_like 'flagver: bad.json:2:28: /flags/k/tyqe: *'
holds test "$(wc -l <"$work/err")" -eq 1

it "exits 6 for malformed standard input"
run flag lint - <<<'{"flags": }'
exits 6
prints_nothing
says_like 'flagver: <stdin>:1:11: *'

it "prints no report on what is malformed"
run flag lint --json bad.json
exits 6
prints_nothing
says_like 'flagver: bad.json:2:28: /flags/k/tyqe: *'

it "exits 6 for an empty file"
: >empty.json
run flag lint empty.json
exits 6
says_like 'flagver: empty.json:1:1: *'

it "exits 6 for a file that is not there"
run flag lint nowhere.json
exits 6
prints_nothing
says 'flagver: nowhere.json: No such file or directory'

it "exits 6 for a directory"
mkdir directory
run flag lint directory
exits 6
prints_nothing
says 'flagver: directory: Is a directory'

it "exits 6 for a directory as standard input"
run flag lint - <directory
exits 6
says 'flagver: <stdin>: Is a directory'

it "warns of nothing when it evaluates what it would warn of"
run flag eval k --definitions falling.json --at 2027-01-01T00:00:00Z --context '{"targetingKey":"u"}'
exits 0
says_nothing
