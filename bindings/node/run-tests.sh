#!/usr/bin/env bash
# Runs all tests of the binding and prints "N passed, M failed, K skipped".
# FLAGVER_LIBRARY: the path of libflagver.so.0, unless it is installed; FLAGVER_BUILD: the build directory it is of.
# FLAGVER_PREFIX: where it was installed by make, for the test of an installation.
# The library may be built with AddressSanitizer, and its runtime be preloaded.
set -uo pipefail
cd "$(dirname "$0")" || exit 1

# npm and tsc are no programs to be looked at.
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    env -u LD_PRELOAD npm ci --silent --no-audit --no-fund || { echo "npm ci failed" >&2; exit 1; }
    touch node_modules/.package-lock.json
fi

files=("$@")
[ "${#files[@]}" -gt 0 ] || files=(test/*.test.mjs)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
node --test --test-concurrency=1 --test-reporter=tap "${files[@]}" >"$out" 2>&1
status=$?

count() {
    sed -n "s/^# $1 //p" "$out" | tail -n 1
}
passed=$(count pass) failed=$(($(count fail) + $(count cancelled))) skipped=$(count skipped)
if [ "$status" -ne 0 ] || [ "$failed" -ne 0 ]; then
    cat "$out"
else
    grep -E '^ *(ok|not ok) .*# SKIP' "$out"
    grep -E '^# (node: |RSS)' "$out"
fi
echo "${passed:-0} passed, $failed failed, ${skipped:-0} skipped"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ]
