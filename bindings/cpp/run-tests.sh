#!/usr/bin/env bash
# The tests of the binding for C++, with every compiler that is here, and the program that tests/bindings
# compares. FLAGVER_BUILD says where the library was built. The last line is "N passed, N failed, N skipped".
set -eu -o pipefail
# shellcheck source=bindings/cpp/build.sh
. "$(dirname "$0")/build.sh"

passed=0 failed=0 skipped=0

# count COMMAND…: a test of its own
count() {
    local what=$1
    shift
    if "$@" >"$place/said" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED  $what"
        cat "$place/said"
    fi
}

example() {
    (cd "$place" && timeout 60 "$place/dual_write")
}

# What is not compiled to be run below. With sanitizers all of it was, before.
for compiler in g++ clang++; do
    if ! command -v "$compiler" >/dev/null; then
        skipped=$((skipped + 1))
        echo "SKIPPED: no $compiler"
        continue
    fi
    [ -z "${FLAGVER_SANITIZE:-}" ] || continue
    for standard in 17 20; do
        count "test_flagver.cpp with $compiler as C++$standard" \
            compile "$compiler" "$standard" none bindings/cpp/tests/test_flagver.cpp -fsyntax-only
    done
done

read -ra jansson < <(pkg-config --cflags --libs jansson)
count "batch.cpp compiles" compile "$CXX" 17 batch bindings/cpp/tests/batch.cpp -O1 "${jansson[@]}"
count "bench.cpp compiles" compile "$CXX" 17 none bindings/cpp/tests/bench.cpp -fsyntax-only
count "dual_write.cpp compiles" compile "$CXX" 17 dual_write bindings/cpp/examples/dual_write.cpp -O0
count "examples/dual_write.cpp" example
count "test_flagver.cpp compiles" compile "$CXX" 17 test_flagver bindings/cpp/tests/test_flagver.cpp -O0 -g

# Its last line is "N passed, N failed".
if [ -x "$place/test_flagver" ]; then
    timeout 300 "$place/test_flagver" >"$place/said" 2>&1 || echo "test_flagver ended with status $?"
    grep -v '^[0-9]* passed' "$place/said" || true
    read -r good bad < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$place/said"; echo "0 1")
    passed=$((passed + good)) failed=$((failed + bad))
fi

printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
