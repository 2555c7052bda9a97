#!/usr/bin/env bash
# The fuzz targets, tests/fuzz/fuzz_<name>.c with tests/fuzz/corpus/<name>/.
#
# First every input of the corpus with gcc's sanitizers, then, where there is a
# clang with libFuzzer, $FUZZ_SECONDS of fuzzing from there. What is found on the
# way is kept below $BUILD/fuzz/corpus, so that a later run starts from it.
set -eu
cd "$(dirname "$0")/.."

BUILD=${BUILD:-build}
MAKE=${MAKE:-make}
seconds=${FUZZ_SECONDS:-10}
flags=${SANITIZED_CFLAGS:--O1 -g1}

targets=()
for source in tests/fuzz/fuzz_*.c; do
    [ -e "$source" ] || continue
    name=$(basename "$source" .c)
    name=${name#fuzz_}
    if [ -z "$(find "tests/fuzz/corpus/$name" -type f 2>/dev/null | head -n 1)" ]; then
        echo "check-fuzz: tests/fuzz/corpus/$name/ has no inputs" >&2
        exit 1
    fi
    targets+=("$name")
done
if [ ${#targets[@]} -eq 0 ]; then
    echo "check-fuzz: no fuzz targets" >&2
    exit 1
fi

# build DIRECTORY VARIABLE=VALUE… -- PREFIX: the programs PREFIX<name>
build() {
    local directory=$1 variables=() programs=() name
    shift
    while [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    for name in "${targets[@]}"; do
        programs+=("$directory/tests/fuzz/$2$name")
    done
    "$MAKE" --no-print-directory BUILD="$directory" CFLAGS="$flags" "${variables[@]}" "${programs[@]}"
}

# each FUNCTION: for all targets, as many at a time as there are processors
each() {
    printf '%s\0' "${targets[@]}" | xargs -0 -P "$(nproc)" -n 1 bash -c "$1 \"\$1\"" "$1" || exit 1
}

replay() {
    local name=$1 log=$BUILD/asan/tests/fuzz/$1.log
    if ! "$BUILD/asan/tests/fuzz/replay_$name" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "check-fuzz: $name fails on its corpus" >&2
        return 1
    fi
    echo "$name: $(tail -n 1 "$log") replayed"
}

fuzz() {
    local name=$1 log=$BUILD/fuzz/$1.log runs
    mkdir -p "$BUILD/fuzz/corpus/$name"
    if ! "$BUILD/fuzz/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=20 \
        -rss_limit_mb=2048 -verbosity=1 -print_final_stats=1 \
        -artifact_prefix="$BUILD/fuzz/found/$name-" \
        "$BUILD/fuzz/corpus/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "check-fuzz: $name failed; the input is in $BUILD/fuzz/found/" >&2
        return 1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$name: ${runs:-0} inputs in $seconds s"
    [ "${runs:-0}" -gt 0 ]
}
export -f replay fuzz
export BUILD seconds

build "$BUILD/asan" SANITIZE=address,undefined -- replay_
each replay

if ! echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' |
    clang -fsanitize=fuzzer,address -x c - -o "$BUILD/libfuzzer-probe" 2>/dev/null; then
    echo "SKIPPED: no clang with libFuzzer"
    exit 0
fi
rm -f "$BUILD/libfuzzer-probe"

build "$BUILD/fuzz" CC=clang SANITIZE=fuzzer-no-link,address,undefined -- fuzz_
mkdir -p "$BUILD/fuzz/found"
each fuzz
