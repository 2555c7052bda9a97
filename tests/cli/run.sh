#!/usr/bin/env bash
# Try the built program the way its users do.
#
#   run.sh PROGRAM [CASE…]    PROGRAM: build/flagver; CASE: eval, lint, …
#
# A line per failing case; the last one is the total. Case files are shell:
#
#   it "prints the default of an unknown flag"
#   run flag eval nope --default 1 --definitions flags.json
#   exits 3
#   prints 'nope: 1 (ERROR, FLAG_NOT_FOUND)'
#   says 'flagver: nope: no such flag'
#
# Each file runs in an empty directory of its own, which has $cases/flags.json.
# With $UNDER the program runs under something: "valgrind -q --error-exitcode=99".
set -u

if [ $# -eq 0 ] || [ ! -x "$1" ]; then
    echo "usage: run.sh PROGRAM [CASE...]" >&2
    exit 1
fi
flagver=$(realpath "$1")
cases=$(cd "$(dirname "$0")" && pwd)/cases
shift

# Stores are written through to the disk, if it is one.
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work"' EXIT
read -ra under <<<"${UNDER:-}"

# Only what the cases set themselves: neither variables of the caller's that
# force flags, nor a language for the messages of the system.
while read -r variable; do
    unset "$variable"
done < <(compgen -e | grep '^FLAGVER_\|^LC_\|^LANG')

# A program that hangs must not hang the tests.
deadline=120

it() {
    finish_case
    name=$1 wrong=
}

# What is wrong with the case; only the first thing counts.
wrong() {
    [ -n "$wrong" ] || wrong=$(printf '%s' "$*" | tr '\n' ' ' | cut -c -600)
}

finish_case() {
    [ -n "$name" ] || return 0
    if [ -z "$wrong" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED  %s: %s: %s\n' "$file" "$name" "$wrong"
    fi
    name=
}

# Standard input is empty unless it is redirected.
run() {
    timeout "$deadline" "${under[@]}" "$flagver" "$@" >"$work/out" 2>"$work/err"
    status=$?
}

exits() {
    [ "$status" -eq "$1" ] || wrong "exits $status instead of $1, $(tail -n 1 "$work/err")"
}

same() {
    printf '%s' "$3" | cmp -s - "$work/$1" ||
        wrong "$2 $(head -c 200 "$work/$1" | cat -v) instead of $(printf '%s' "$3" | head -c 200)"
}

like() {
    local text
    text=$(cat "$work/$1"; echo x)
    # shellcheck disable=SC2053 # a pattern is meant
    [[ ${text%x} == $3 ]] || wrong "$2 $(head -c 200 "$work/$1" | cat -v), which is not like $3"
}

# Standard output, exactly; and as a pattern of the shell.
prints() {
    same out prints "$1"$'\n'
}

prints_like() {
    like out prints "$1"$'\n'
}

prints_nothing() {
    same out prints ''
}

# Standard error.
says() {
    same err says "$1"$'\n'
}

says_like() {
    like err says "$1"$'\n'
}

says_nothing() {
    same err says ''
}

# A command of the case's own succeeds.
holds() {
    "$@" || wrong "not so: $*"
}

run_file() {
    passed=0 failed=0 name='' wrong='' status=0 file=$(basename "$1" .sh)
    mkdir "$work/$file"
    cd "$work/$file" || return
    cp "$cases/flags.json" .
    # shellcheck source=/dev/null
    . "$1"
    finish_case
    echo "$passed $failed" >"$work/counts"
}

passed=0 failed=0
if [ $# -gt 0 ]; then
    files=("${@/%/.sh}")
    files=("${files[@]/#/$cases/}")
else
    files=("$cases"/*.sh)
fi
for file in "${files[@]}"; do
    rm -f "$work/counts"
    (run_file "$file") </dev/null
    if [ -s "$work/counts" ]; then
        read -r good bad <"$work/counts"
    else
        printf 'FAILED  %s: ended before its end\n' "$file"
        good=0 bad=1
    fi
    passed=$((passed + good)) failed=$((failed + bad))
done

[ $((passed + failed)) -gt 0 ] || { echo "cli: no cases"; failed=1; }
echo "cli: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
