#!/usr/bin/env bash
# Every example runs to the end: without arguments, without input, in an empty
# directory, and with exit status 0.
#
#   check-examples.sh PROGRAM…
set -eu
cd "$(dirname "$0")/.."

if [ $# -eq 0 ]; then
    echo "check-examples: no examples" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

for program; do
    path=$(realpath "$program")
    mkdir "$work/empty"
    if (cd "$work/empty" && timeout 60 "$path") </dev/null >"$work/output" 2>&1; then
        echo "ok      $program"
    else
        echo "FAILED  $program: exit status $?"
        sed 's/^/    /' "$work/output"
        failed=1
    fi
    rm -rf "$work/empty"
done
exit "$failed"
