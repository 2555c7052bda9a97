# Command lines that are wrong: one line on standard error, exit status 2.
# shellcheck shell=bash disable=SC2154 # sourced by run.sh

refused() {
    local why=$1
    shift
    run "$@"
    exits 2
    prints_nothing
    says "flagver: $why"
}

it "names what is missing when there is no command"
refused 'no command; see flagver --help'

it "names an unknown command"
refused 'no command "frob"; see flagver --help' frob

it "names an unknown command of a group"
refused 'flag: no command "frob"; see flagver --help' flag frob

it "asks what a mistyped command meant"
refused 'no command "ramp"; did you mean "flag ramp"?' ramp k 5
refused 'no command "beta"; did you mean "flag beta add"?' beta add k u
refused 'no command "status"; did you mean "schema status"?' status
refused 'no command "flga"; did you mean "flag list"?' flga list
refused 'no command "docter"; did you mean "doctor"?' docter
refused 'flag: no command "lits"; did you mean "flag list"?' flag lits
refused 'flag: no command "rampp"; did you mean "flag ramp"?' flag rampp k 5
refused 'flag beta: no command "ad"; did you mean "flag beta add"?' flag beta ad k u
refused 'segment: no command "revret"; did you mean "segment revert"?' segment revret k 5

it "does not guess from what is too short, too long or too far"
for word in x rm frobnicate "$(printf 'r%.0s' {1..300})"; do
    refused "flag: no command \"$word\"; see flagver --help" flag "$word" k
    refused "no command \"$word\"; see flagver --help" "$word"
done

it "asks what a mistyped option meant, of those that the command takes"
refused 'flag ramp: --notee is no option; did you mean --note?' flag ramp k 5 --notee x
refused 'flag ramp: --exepct is no option; did you mean --expect?' flag ramp k 5 --exepct=3
refused 'flag apply: --purne is no option; did you mean --prune?' flag apply f --purne
refused 'flag list: --purne is no option; see flagver --help' flag list --purne
refused '--stor is no option; did you mean --store?' --stor x

it "takes what begins with a dash and a digit for an operand"
refused "flag get: -1 is no version's number" flag get k -1
refused 'flag ramp: takes KEY PERCENT; "-5" is too much' flag ramp k 5 -5

it "wants a command behind the group"
refused 'flag: no command; see flagver --help' flag

it "does not take the beginning of a command's name for it"
refused 'flag: no command "ev"; see flagver --help' flag ev k

it "names an unknown option"
refused 'flag eval: --frob is no option; see flagver --help' flag eval k --frob

it "names an unknown option without its value"
refused 'flag eval: --frob is no option; see flagver --help' flag eval k --frob=secret

it "names an unknown option before the command"
refused 'flag eval: --frob is no option; see flagver --help' --frob flag eval k

it "knows no options with one dash"
refused 'flag eval: -x is no option; see flagver --help' flag eval k -x

it "does not guess what an abbreviated option means"
refused 'flag eval: --def is no option; see flagver --help' flag eval k --def 1

it "misses the value of the last option"
refused 'flag eval: --context needs a value' flag eval k --context

it "does not take an option for the value of another"
refused 'flag eval: --context needs a value' flag eval k --context --json

it "refuses a value where none is taken"
refused 'flag eval: --json takes no value' flag eval k --json=1

it "misses KEY"
refused 'flag eval: no KEY given' flag eval --definitions flags.json

it "refuses a second KEY"
refused 'flag eval: takes [KEY]; "b" is too much' flag eval a b --definitions flags.json
refused 'flag history: takes KEY; "b" is too much' flag history a b
refused 'flag diff: takes KEY [FROM [TO]]; "4" is too much' flag diff a 1 2 4

it "refuses an operand where none is taken"
refused 'schema up: takes no operand; "now" is too much' schema up now

it "misses what comes behind KEY"
refused 'flag ramp: no PERCENT given' flag ramp k
refused 'flag put: no FILE given' flag put k
refused 'flag beta add: no USER given' flag beta add k
refused 'flag history: no KEY given' flag history

it "misses FILE"
refused 'flag lint: no FILE given' flag lint

it "wants a whole command, also of three words"
refused 'flag beta: no command; see flagver --help' flag beta
refused 'flag beta: no command "frob"; see flagver --help' flag beta frob

it "helps with no command that is none"
refused 'no command "frob"; see flagver --help' help frob
refused 'flag: no command "frob"; see flagver --help' flag frob --help

for uri in app.db /var/lib/app.db ./a:b.db Sqlite:app.db 1:x :x; do
    it "refuses the store $uri, which is no URI"
    refused "--store: \"$uri\" is no URI; an SQLite file is sqlite:$uri" flag list --store "$uri"
    FLAGVER_STORE=$uri refused "FLAGVER_STORE: \"$uri\" is no URI; an SQLite file is sqlite:$uri" flag list
done

it "refuses an empty store"
refused '--store: "" is no URI; an SQLite file is sqlite:FILE' flag list --store ''

it "exits 6 for a kind of store that it does not know"
run flag list --store nosuch:x
exits 6
prints_nothing
says_like 'flagver: nosuch:x: *'

it "refuses an option of another command"
refused 'flag lint: takes no --context' flag lint flags.json --context '{}'

it "refuses the default that explain has no use for"
refused 'flag explain: takes no --default' flag explain k --default 1 --definitions flags.json

it "refuses a KEY beside --batch"
refused 'flag eval: --batch takes the flags from standard input, not "k"' \
    flag eval --batch k --definitions flags.json

it "refuses a context for a whole batch"
refused 'flag eval: with --batch each line has its own "context"' \
    flag eval --batch --context '{}' --definitions flags.json

it "refuses a default for a whole batch"
refused 'flag eval: with --batch each line has its own "default"' \
    flag eval --batch --default 1 --definitions flags.json

it "names the types"
refused 'flag eval: --type bool is none of boolean, string, integer, double, json' \
    flag eval k --type bool --definitions flags.json

it "takes nothing empty for a type"
refused 'flag eval: --type  is none of boolean, string, integer, double, json' \
    flag eval k --type= --definitions flags.json

for time in '' now 2026-01-31 2026-01-31T12:00:00 '2026-01-31 12:00:00Z' 2026-02-29T00:00:00Z \
    2100-02-29T00:00:00Z 2026-00-01T00:00:00Z 2026-13-01T00:00:00Z 2026-01-00T00:00:00Z \
    2026-04-31T00:00:00Z 0000-01-01T00:00:00Z 10000-01-01T00:00:00Z 2026-01-01T24:00:00Z \
    2026-01-01T00:60:00Z 2026-06-30T23:59:60Z 2026-01-01T00:00Z 2026-01-01T00:00:00.Z \
    2026-01-01T00:00:00,5Z 2026-01-01T00:00:00+24:00 2026-01-01T00:00:00+01:60 \
    2026-01-01T00:00:00+0100 2026-01-01T00:00:00+01 2026-01-01T00:00:00ZZ \
    2026-01-01T00:00:00Z+01:00 ' 2026-01-01T00:00:00Z' '2026-01-01T00:00:00Z ' \
    +026-01-01T00:00:00Z 2026-1-1T00:00:00Z \
    -5 -m -5M '-5 m' -5mm -5m- +5m 5m -1w -1.5h -1000000d -99999999999999999999s -0x1s; do
    it "refuses the time \"$time\", and says what it lacks"
    case $time in
    2026-01-31) lacks='needs a time of day such as T12:00:00Z' ;;
    2026-01-31T12:00:00) lacks='needs an offset such as Z' ;;
    *) lacks='is neither a time such as 2026-01-31T12:00:00Z nor an offset such as -5m' ;;
    esac
    refused "flag eval: --at $time $lacks" \
        flag eval new_search --definitions flags.json --at "$time"
done
