# --help and --version, and that the manual keeps up with them.
# shellcheck shell=bash disable=SC2154,SC2016,SC2034,SC2094,SC2001,SC1091 # sourced by run.sh

it "prints an overview"
run --help
exits 0
prints_like 'usage: flagver *  init *flag put KEY FILE *segment delete NAME *--store URI *'
says_nothing

it "prints the same for a group, about its commands"
run flag --help
exits 0
prints_like 'usage: flagver \[OPTION\]... flag COMMAND*flag beta add KEY USER...*flag explain KEY*'
holds eval '! grep -q -e "segment put" -e "^  schema" "$work/out"'
run flag beta --help
exits 0
prints_like 'usage: flagver \[OPTION\]... flag beta COMMAND*flag beta add*flag beta rm*'
holds eval '! grep -q "flag put" "$work/out"'

it "knows -h for it"
run flag put --help
cp "$work/out" put
for words in 'flag put -h' '-h flag put' 'flag put k -h'; do
    # shellcheck disable=SC2086 # several words
    run $words
    exits 0
    holds cmp "$work/out" put
done

it "says what --expect takes"
run flag put --help
holds grep -q -e '^  --expect NO|none ' "$work/out"

it "does not promise that the note of a shredding is kept"
for words in 'version shred' retain; do
    # shellcheck disable=SC2086 # several words
    run $words --help
    holds eval '! grep -q "kept with" "$work/out"'
    holds grep -q 'Of --note nothing but its' "$work/out"
done

it "knows the word for it"
run help
cp "$work/out" overview
run --help
holds cmp "$work/out" overview
run help flag put
exits 0
cp "$work/out" put
run flag put --help
holds cmp "$work/out" put

# Lines "NAME|OPERANDS|OPTIONS" of all commands, from what the program says of itself.
commands_of_help() {
    local line name operands
    "$flagver" --help | sed -n '/^Commands:/,/^$/ s/^  //p' | sed 's/   *.*//' |
        while IFS= read -r line; do
            name=$(sed 's/ [][A-Z].*//' <<<"$line")
            operands=${line#"$name"}
            # shellcheck disable=SC2086 # several words
            echo "$name|${operands# }|$(options_of Options $name)"
        done
}

# options_of TITLE COMMAND: what its help lists below this title
options_of() {
    local title=$1
    shift
    "$flagver" "$@" --help | sed -n "/^$title:/,/^\$/ s/^  \(--[a-z-]*\).*/\1/p" | paste -s -d ' '
}

commands_of_help >commands
everywhere=$(options_of 'Options of every command')

it "has a lot of commands"
holds test "$(wc -l <commands)" -ge 60
holds grep -q '^flag beta add|KEY USER...|--note --expect --idempotency-key$' commands

while IFS='|' read -r command operands options; do
    it "has help on $command"
    # shellcheck disable=SC2086 # several words
    run $command --help
    exits 0
    holds grep -qxF "usage: flagver $command [OPTION]...${operands:+ $operands}" "$work/out"
    says_nothing
    holds eval '! grep -Eq "^.{81}" "$work/out"'
done <commands

it "helps only with options that the command takes"
run flag lint --help
holds grep -q -- --json "$work/out"
holds eval '! grep -q -e --context -e --definitions "$work/out"'

it "helps wherever --help stands, and in spite of what is missing"
run --help flag eval
exits 0
prints_like 'usage: flagver flag eval *'

it "does not help with a wrong command line"
run flag eval --help --frob
exits 2
prints_nothing
says 'flagver: flag eval: --frob is no option; see flagver --help'

it "keeps its help within 80 columns"
for words in '' flag segment 'flag beta' version phase; do
    # shellcheck disable=SC2086
    run $words --help
    holds eval '! grep -Eq "^.{81}" "$work/out"'
done

it "prints its version and the library's"
run --version
exits 0
prints_like 'flagver [0-9]*.[0-9]*.[0-9]* (libflagver [0-9]*.[0-9]*.[0-9]*)'
says_nothing

manual=$cases/../../../docs/flagver.1

# The manual without its markup, as far as it matters here.
sed -E 's/\\-/-/g; s/\\f.//g; s/"//g; s/  +/ /g; s/ (\.\.\.)/\1/' "$manual" >manual

it "has every option of --help in the manual, and no other"
{
    cut -d '|' -f 3 commands
    echo "$everywhere"
} | tr ' ' '\n' | sed '/^$/d' | sort -u >options
sed -n '/^\.SH OPTIONS/,/^\.SH JSON/ s/^\.BI* \(--[a-z-]*\).*/\1/p' manual | sort >manual-options
holds test -s options
holds diff options manual-options

it "has every command of --help in the manual, and no other"
sed 's/|[^|]*$//; s/|$//; s/|/ /' commands | sort >names
sed -n '/^\.SH COMMANDS/,/^\.SH OPTIONS/ { /^\.T[PQ]/ { n; s/^\.B[IR]* //p } }' manual | sort >manual-names
holds test -s names
holds diff names manual-names

completion=$cases/../../../completions/flagver.bash

it "has a completion that knows every command, its operands and options"
# shellcheck source=/dev/null
(. "$completion" && _flagver_commands) | sed 's/\[KEY\]/[KEY]/' >completed
holds diff commands completed
holds eval '(. "$completion"; [ "$_flagver_everywhere" = "$everywhere" ])'

it "has a completion that knows which options take no value"
"$flagver" --help >forms
cut -d '|' -f 1 commands | while read -r command; do
    # shellcheck disable=SC2086
    "$flagver" $command --help
done >>forms
sed -n 's/^  \(--[a-z-]*\)  .*/\1/p' forms | sort -u >switches
sed -n 's/^  \(--[a-z-]*\) [A-Z].*/\1/p' forms | sort -u >valued
holds test -s switches
holds eval '(. "$completion"; while read -r o; do _flagver_is_switch "$o" || exit 1; done <switches)'
holds eval '(. "$completion"; while read -r o; do ! _flagver_is_switch "$o" || exit 1; done <valued)'

it "has a manual that the formatter understands"
if command -v groff >/dev/null; then
    holds eval 'groff -man -ww -z "$manual" 2>&1 | tee complaints; [ ! -s complaints ]'
fi

it "has the manual of this version"
run --version
read -r _ version _ <"$work/out"
holds grep -q "^\.TH FLAGVER 1 \"\" \"flagver $version\"" "$manual"
