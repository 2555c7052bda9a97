# What the shell offers.
# shellcheck shell=bash disable=SC2154,SC2016,SC2034,SC1091 # sourced by run.sh

. "$cases/../../../completions/flagver.bash"

# offers WORDS…: completes the last one; the offers stand in $work/out
complete_words() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _flagver 2>"$work/err"
    printf '%s\n' "${COMPREPLY[@]}" | sed '/^$/d' | paste -s -d ' ' >"$work/out"
}

it "offers the words of commands"
complete_words flagver ''
prints_like 'assign assignments *doctor export flag health idmap import init *phase *schema segment *version'
complete_words flagver sch
prints 'schema'
complete_words flagver schema ''
prints 'down status up verify'
complete_words flagver flag beta ''
prints 'add rm'
complete_words flagver --json --actor bob help flag re
prints 'release revert'

it "offers options of the command, and those of all"
complete_words flagver schema down --
prints '--backup --no-backup --store --tenant --actor --role --json --help --version'
complete_words flagver flag ramp k --no
prints '--note'
complete_words flagver --st
prints '--store'

it "offers files where files are meant"
: >some.json
complete_words flagver flag put k so
prints 'some.json'
complete_words flagver flag eval --definitions so
prints 'some.json'
complete_words flagver flag eval --definitions=so
prints '--definitions=some.json'
complete_words flagver flag ramp k so
prints ''

it "offers words where few are meant"
complete_words flagver flag eval k --type ''
prints 'boolean string integer double json'
complete_words flagver flag eval k --note n
prints ''

it "offers the keys in the store that is meant"
run --store sqlite:keys.db flag put report_setup - <<<'{"type": "boolean"}'
run --store sqlite:keys.db flag put retired - <<<'{"type": "boolean"}'
run --store sqlite:keys.db --tenant acme segment put staff - <<<'{}'
complete_words "$flagver" --store sqlite:keys.db flag ramp re
prints 'report_setup retired'
complete_words "$flagver" flag history rep --store sqlite:other.db
prints ''
complete_words "$flagver" --store=sqlite:keys.db init --enable ret
prints 'retired'
complete_words "$flagver" --tenant acme --store sqlite:keys.db segment get ''
prints 'staff'

it "offers nothing where there is no store"
complete_words "$flagver" flag get ''
prints ''
holds test ! -e flagver.db

it "offers phases, and the records and versions in them"
run --store sqlite:keys.db phase put scoping - <<<'{}'
run --store sqlite:keys.db phase put runs - <<<'{"versioning": "audit_only"}'
for subject in r1 r2 x; do
    run --store sqlite:keys.db version create scoping cycle/$subject - <<<'{}'
done
run --store sqlite:keys.db version withdraw scoping cycle/x@1
complete_words "$flagver" --store sqlite:keys.db version create ''
prints 'runs scoping flagver.assignment flagver.flag flagver.phase flagver.segment'
complete_words "$flagver" --store sqlite:keys.db version history scoping cycle/r
prints 'cycle/r1 cycle/r2'
complete_words "$flagver" --store sqlite:keys.db version submit scoping ''
prints 'cycle/r1@1 cycle/r2@1'
complete_words flagver version list --state sub
prints 'submitted'
complete_words flagver version items scoping x@1 --put so
prints 'some.json'
