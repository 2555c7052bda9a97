# shellcheck shell=bash
# To be sourced by run-tests.sh and bench.sh: compiles against the header as it is installed, and the library
# that was built ($FLAGVER_BUILD).

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=$(realpath "${FLAGVER_BUILD:-build}")
place=$BUILD/bindings/cpp
mkdir -p "$place/include/flagver"
ln -sf "$PWD/bindings/cpp/flagver.hpp" "$place/include/flagver/flagver.hpp"

CXX=${CXX:-$(command -v g++ clang++ | head -n 1)}
warnings=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
sanitizers=()
if [ -n "${FLAGVER_SANITIZE:-}" ]; then
    sanitizers=("-fsanitize=$FLAGVER_SANITIZE" -fno-sanitize-recover=all -fno-omit-frame-pointer)
    # gcc cannot follow std::optional then, and warns of what it does not see.
    [[ $CXX = *clang* ]] || sanitizers+=(-Wno-maybe-uninitialized)
fi

# compile COMPILER STANDARD OUTPUT SOURCE FLAG…; with -fsyntax-only nothing is written
compile() {
    local compiler=$1 standard=$2 output=$3 source=$4
    shift 4
    if [ "${1:-}" != -fsyntax-only ]; then
        set -- "$@" -o "$place/$output" "-L$BUILD" -lflagver "-Wl,-rpath,$BUILD"
    fi
    "$compiler" "-std=c++$standard" "${warnings[@]}" "${sanitizers[@]}" -pthread -Iinclude "-I$place/include" \
        "$source" "$@"
}
