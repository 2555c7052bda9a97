# Checks of the user's own.
# shellcheck shell=bash disable=SC2154,SC2016,SC2034 # sourced by run.sh

export FLAGVER_STORE=sqlite:app.db FLAGVER_ACTOR=ops
run init

it "makes a line of what a check prints first"
run doctor --check 'echo no duplicates'
exits 0
prints_like '*
ok      check 1: no duplicates'

it "takes exit status 1 for a warning, and any other for an error"
run doctor --check 'echo 3 sessions are active; exit 1' --check 'echo 2 duplicates; exit 2' \
    --check=true --check 'exit 3'
exits 1
prints_like '*
WARNING check 1: 3 sessions are active
ERROR   check 2: 2 duplicates
ok      check 3: fine
ERROR   check 4: exit status 3, and nothing printed'

it "lets a shell run it, with quotes, pipes and variables"
WHO=ann run doctor --check 'printf "%s\n" "$WHO said: a  b" | tr a-z A-Z'
exits 0
prints_like '*
ok      check 1: ANN SAID: A  B'

it "keeps what a check prints to one line"
run doctor --check 'printf "one\r\ntwo\n"; seq 100000' --check 'printf "a\tb"'
exits 0
prints_like '*
ok      check 1: one
ok      check 2: a?b'

it "says when there is no such command, and when one was killed"
run doctor --check 'no-such-command' --check 'echo half; kill -9 $$'
exits 1
prints_like '*
ERROR   check 1: exit status 127, and nothing printed
ERROR   check 2: half; killed by signal 9'

it "runs checks also where there is no store"
run doctor --store sqlite:none.db --check 'echo fine'
exits 1
prints_like 'ERROR   *
ok      check 1: fine'

it "has them in its document"
run doctor --json --check 'printf "\"quoted\" \377\n"; exit 1'
exits 1
prints_like '*,{"level":"warning","what":"check 1: \\"quoted\\" \?"}\]}'

it "prints no password of theirs"
run doctor --check 'echo cannot reach postgresql://ann:Zx9secret@h/db; exit 2'
exits 1
prints_like '*
ERROR   check 1: cannot reach postgresql://ann:\*\*\*@h/db'
run doctor --check 'true postgresql://ann:Zx9secret@h/db; PGPASSWORD=Zx9secret false'
holds eval '! grep -q Zx9secret "$work/out" "$work/err"'

it "refuses an empty check, and checks elsewhere"
run doctor --check ''
exits 2
says 'flagver: doctor: --check is empty'
run health --check true
exits 2
says 'flagver: health: takes no --check'
