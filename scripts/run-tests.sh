#!/usr/bin/env bash
# Run Check programs, as many at a time as there are processors, and add up what
# they say.
#
#   run-tests.sh [--valgrind | --together] PROGRAM…
#
# By default each test is a process of its own. --together runs those of a program in one, which is twice
# as fast where a sanitizer looks for leaks at the end of each process; test cases that are tagged "fork"
# have processes of their own there, too.
#
# One line per program, and what it says in lines "MEASURED: …"; the whole output
# of those that fail. The last line is the total, "N passed, N failed, N skipped".
# A test that cannot run here prints one line "SKIPPED: why" and succeeds; it is
# then counted as skipped, not as passed. A program that ran no test at all has
# failed.
#
# What took longest the last time, in any build, begins first, so that nothing long runs alone at the end.
#
# Below tests/with_cluster they share a PostgreSQL cluster; else each starts its own.
#
# Valgrind is fifty times slower than the processor: test cases that compute much
# and say so by tcase_set_tags(tcase, "slow") are left out there. So are those tagged
# "fork": it would report what a child leaves to its parent as the child's leaks. Neither are there
# servers to talk to: stores of PostgreSQL and what has the tag "postgres" are left out as well.
set -u
cd "$(dirname "$0")/.." || exit 1

with='' together=''
case ${1:-} in
--together)
    shift
    together=yes
    ;;
--valgrind)
    shift
    # Without fork, or valgrind would see Check's children and not the tests.
    export CK_FORK=no CK_EXCLUDE_TAGS="slow fork postgres"
    export FLAGVER_TEST_CLUSTER=none FLAGVER_TEST_BELOW_VALGRIND=yes
    with="valgrind --quiet --leak-check=full --error-exitcode=99"
    with+=" --errors-for-leak-kinds=definite,indirect,possible"
    ;;
esac

if [ $# -eq 0 ]; then
    echo "run-tests: no test programs" >&2
    exit 1
fi

# Deadlines are for hanging tests, not for slow machines. Check's own does not
# work without fork, hence the one around the program.
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-60}
program_deadline=${PROGRAM_DEADLINE:-900}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Lines "SECONDS KIND/PROGRAM", unit/test_copy for instance.
times=build/test-seconds
touch "$work/times"
[ ! -e "$times" ] || cp "$times" "$work/times"

# One line "SECONDS NUMBER PROGRAM" each; who was never run may take long.
with_seconds() {
    local number=0 program name
    for program; do
        number=$((number + 1))
        name=${program##*/tests/}
        echo "$(awk -v name="$name" '$2 == name { print $1; found = 1; exit }
            END { if (!found) print 9999 }' "$work/times") $number $program"
    done
}

# As what other runs have written meanwhile may get lost, nothing but the order goes by it.
keep_seconds() {
    local number=0 program
    mkdir -p "${times%/*}"
    for program; do
        number=$((number + 1))
        echo "$(cat "$work/$number.seconds") ${program##*/tests/}"
    done | cat - "$work/times" | awk '!seen[$2]++' >"$times.$$" && mv "$times.$$" "$times"
}

# run NUMBER PROGRAM: leaves NUMBER.output, NUMBER.status and NUMBER.seconds
run() {
    local start=$SECONDS status=0
    if [ -n "$together" ]; then
        CK_FORK=no CK_EXCLUDE_TAGS=fork once "$2" || status=$?
        CK_INCLUDE_TAGS=fork once "$2" || status=$?
    else
        once "$2" || status=$?
    fi >"$work/$1.output" 2>&1
    echo $status >"$work/$1.status"
    echo $((SECONDS - start)) >"$work/$1.seconds"
}

once() {
    # shellcheck disable=SC2086 # several words are meant
    timeout --foreground "$program_deadline" $with "$1"
}
export -f run once
export work with together program_deadline

# By xargs, which unlike the shell's jobs ends with its children on Ctrl-C.
with_seconds "$@" | sort -s -n -r -k 1,1 | while read -r _ number program; do
    printf '%d\0%s\0' "$number" "$program"
done | xargs -0 -P "$(nproc)" -n 2 bash -c 'run "$@"' run

keep_seconds "$@"

number=0 passed=0 failed=0 skipped=0
for program; do
    number=$((number + 1))
    output=$work/$number.output
    status=$(cat "$work/$number.status")
    seconds=$(cat "$work/$number.seconds")

    # "100%: Checks: 12, Failures: 0, Errors: 0", once per suite runner, and at
    # times behind what a test wrote without a newline
    read -r checks bad < <(
        grep -oE '[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$' "$output" |
            awk -F '[:,]' '{ checks += $3; bad += $5 + $7 } END { print checks + 0, bad + 0 }'
    )
    skips=$(grep -c '^SKIPPED:' "$output")
    good=$((checks - bad - skips))
    [ "$good" -ge 0 ] || good=0

    why=
    if [ "$checks" -eq 0 ]; then
        why="ran no tests (exit status $status)"
    elif [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        why="exit status $status"
    elif [ "$bad" -gt 0 ]; then
        why="$bad of $checks failed"
    fi
    # A program that fails as a whole counts, also when no test of it did.
    [ -z "$why" ] || [ "$bad" -gt 0 ] || bad=1

    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skips))
    if [ -n "$why" ]; then
        printf 'FAILED  %s: %s\n' "$program" "$why"
        sed 's/^/    /' "$output"
    else
        printf 'ok      %s: %d (%d s)\n' "$program" "$good" "$seconds"
        grep '^MEASURED:' "$output" | sed 's/^MEASURED:/       /'
        grep '^SKIPPED:' "$output" | sed 's/^/        /' | sort | uniq -c | sed 's/^ *1 //'
    fi
done

printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
