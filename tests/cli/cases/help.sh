# --help and --version, and that the manual keeps up with them.
# shellcheck shell=bash disable=SC2154,SC2016 # sourced by run.sh

it "prints an overview"
run --help
exits 0
prints_like 'usage: flagver *flag eval KEY *flag explain KEY *flag lint FILE *--definitions FILE *'
says_nothing

it "prints the same for the group, about its commands"
run flag --help
exits 0
prints_like 'usage: flagver \[OPTION\]... flag COMMAND*flag lint FILE*'

for command in "eval KEY" "explain KEY" "lint FILE"; do
    it "has help on flag $command"
    # shellcheck disable=SC2086 # two words
    run flag ${command% *} --help
    exits 0
    prints_like "usage: flagver flag ${command% *} \[OPTION\]... ${command#* }*Exit status*--help *"
    says_nothing
done

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
for words in '' flag 'flag eval' 'flag explain' 'flag lint'; do
    # shellcheck disable=SC2086
    run $words --help
    holds eval '! grep -E "^.{81}" "$work/out"'
done

it "prints its version and the library's"
run --version
exits 0
prints_like 'flagver [0-9]*.[0-9]*.[0-9]* (libflagver [0-9]*.[0-9]*.[0-9]*)'
says_nothing

manual=$cases/../../../docs/flagver.1

it "has every option of --help in the manual, and no other"
run --help
sed -n 's/^  \(--[a-z]*\).*/\1/p' "$work/out" | sort >options
sed -n '/^\.SH OPTIONS/,/^\.SH ENV/ { s/\\-/-/g; s/^\.BI* \(--[a-z]*\).*/\1/p }' "$manual" |
    sort >manual-options
holds test -s options
holds diff options manual-options

it "has a manual that the formatter understands"
if command -v groff >/dev/null; then
    holds eval 'groff -man -ww -z "$manual" 2>&1 | tee complaints; [ ! -s complaints ]'
fi

it "has the manual of this version"
run --version
read -r _ version _ <"$work/out"
holds grep -q "^\.TH FLAGVER 1 \"\" \"flagver $version\"" "$manual"
