#!/usr/bin/env bash
# The tests or the benchmarks of bindings, each in its own language, with the library that was built.
#
#   bindings.sh test|bench LIBRARY NAME…
#   bindings.sh compare LIBRARY          what was tested, with each other (tests/bindings)
#
# Runs bindings/NAME/run-tests.sh, or bench.sh, with
#
#   FLAGVER_LIBRARY   the path of the library
#   FLAGVER_BUILD     the directory that it was built in, where they may build, too
#   FLAGVER_SANITIZE  what the library was built with, "address,undefined" for instance, or empty
#
# The interpreters of a library with AddressSanitizer get its runtime loaded before all else. A binding
# whose language is not here is skipped, loudly.
set -eu
cd "$(dirname "$0")/.."

what=$1 library=$(realpath "$2")
shift 2
FLAGVER_BUILD=$(dirname "$library")
export FLAGVER_LIBRARY=$library FLAGVER_BUILD FLAGVER_SANITIZE=${FLAGVER_SANITIZE:-}
case $what in
test) script=run-tests.sh ;;
bench) script=bench.sh ;;
compare) ;;
*)
    echo "usage: bindings.sh test|bench LIBRARY NAME… | compare LIBRARY" >&2
    exit 2
    ;;
esac

# shellcheck source=scripts/find-node.sh
. scripts/find-node.sh

# What is missing for a binding, or nothing.
missing() {
    case $1 in
    cpp) command -v g++ clang++ >/dev/null || echo "no C++ compiler" ;;
    python) python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || echo "no Python 3.9" ;;
    node) node_is_there || echo "no Node.js 20" ;;
    esac
}

run() {
    local name=$1 runtime
    if [[ $FLAGVER_SANITIZE != *address* || $name = cpp ]]; then
        "bindings/$name/$script"
        return
    fi
    runtime=$(${CC:-cc} -print-file-name=libasan.so)
    LD_PRELOAD=$runtime ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc "bindings/$name/$script"
}

if [ "$what" = compare ]; then
    why=$(missing python)
    [ -n "$why" ] || exec python3 tests/bindings/compare.py "$FLAGVER_BUILD/flagver" "$library"
    echo "SKIPPED: $why"
    exit
fi

output=$(mktemp)
trap 'rm -f "$output"' EXIT
failed=0
for name; do
    echo "bindings/$name"
    why=$(missing "$name")
    if [ -n "$why" ]; then
        echo "SKIPPED: $why"
        continue
    fi
    # All that it says at once: others may run beside it.
    started=$SECONDS
    run "$name" >"$output" 2>&1 || failed=1
    cat "$output"
    [ "$what" = bench ] || echo "        bindings/$name: $((SECONDS - started)) s"
    # Who says that nothing failed has to have tested something.
    if [ "$what" = test ] && ! grep -qE '^[1-9][0-9]* passed, 0 failed' "$output"; then
        echo "FAILED  bindings/$name"
        failed=1
    fi
done
exit "$failed"
