#!/usr/bin/env bash
# Run Check programs and add up what they say.
#
#   run-tests.sh [--valgrind] PROGRAM…
#
# One line per program; the whole output of those that fail. The last line is
# the total, "N passed, N failed, N skipped". A test that cannot run here prints
# one line "SKIPPED: why" and succeeds; it is then counted as skipped, not as
# passed. A program that ran no test at all has failed.
set -u
cd "$(dirname "$0")/.." || exit 1

with=()
if [ "${1:-}" = --valgrind ]; then
    shift
    # Without fork, or valgrind would see Check's children and not the tests.
    export CK_FORK=no
    with=(valgrind --quiet --leak-check=full --errors-for-leak-kinds="definite,indirect,possible"
        --error-exitcode=99)
fi

if [ $# -eq 0 ]; then
    echo "run-tests: no test programs" >&2
    exit 1
fi

# Deadlines are for hanging tests, not for slow machines. Check's own does not
# work without fork, hence the one around the program.
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-60}
program_deadline=900

output=$(mktemp)
trap 'rm -f "$output"' EXIT

passed=0 failed=0 skipped=0
for program; do
    timeout "$program_deadline" "${with[@]}" "$program" >"$output" 2>&1
    status=$?

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
        printf 'ok      %s: %d\n' "$program" "$good"
        grep '^SKIPPED:' "$output" | sed 's/^/        /' | sort | uniq -c | sed 's/^ *1 //'
    fi
done

printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
