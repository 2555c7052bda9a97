#!/usr/bin/env bash
# The public headers and what the library exports.
#
#   check-headers.sh LIBRARY
#
# - every public header compiles alone, and included twice, as C99 and as C++11
# - what the headers declare, what lib/libflagver.map lists and what the shared
#   library exports are the same functions
set -eu
cd "$(dirname "$0")/.."

library=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
compiled=0

# Those for applications that use a database themselves include its library's header.
read -ra flags < <("${PKG_CONFIG:-pkg-config}" --cflags sqlite3 libpq 2>/dev/null || true)
missing() {
    case $1 in
    *sqlite.h) ! "${PKG_CONFIG:-pkg-config}" --exists sqlite3 ;;
    *postgres.h) ! "${PKG_CONFIG:-pkg-config}" --exists libpq ;;
    *) false ;;
    esac
}

fail() {
    echo "check-headers: $*" >&2
    failed=1
}

# alone LANGUAGE COMPILER…
alone() {
    local language=$1 header
    shift
    command -v "$1" >/dev/null || return 0
    for header in include/flagver.h include/flagver/*.h; do
        ! missing "$header" || continue
        header=${header#include/}
        printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$work/alone.$language"
        "$@" -Wall -Wextra -Wpedantic -Werror -Iinclude "${flags[@]}" -fsyntax-only "$work/alone.$language" ||
            fail "$header does not compile alone with $*"
        compiled=$((compiled + 1))
    done
}

alone c "${CC:-cc}" -std=c99
alone c gcc -std=c99
alone c clang -std=c99
alone cc g++ -std=c++11
alone cc clang++ -std=c++11
if ! command -v g++ clang++ >/dev/null; then
    echo "SKIPPED: no C++ compiler"
fi

# The declarations of our own headers as the compiler sees them: one statement a
# line, in macros and comments nothing is missed or found by mistake.
for header in include/flagver/*.h; do
    missing "$header" || printf '#include "%s"\n' "${header#include/}"
done >"$work/all.c"
"${CC:-cc}" -std=c11 -Iinclude "${flags[@]}" -E "$work/all.c" | awk '
    /^# [0-9]+ "/ { ours = index($3, "include/flagver") > 0; next }
    ours { printf "%s ", $0 }' | sed 's/[{};]/\n/g' >"$work/statements"

api='__attribute__((visibility("default")))'
name='s/^[^(]*[ *](flagver_[a-z0-9_]+) *\(.*/\1/p'
grep -F "$api" "$work/statements" | sed -e 's/__attribute__((visibility("default")))//' |
    sed -nE "$name" | sort -u >"$work/declared"

# Without FLAGVER_API a function would be hidden and nobody could link with it.
grep -vF "$api" "$work/statements" | grep -vE 'typedef|inline|return|=' |
    grep -E '^ *[a-z].*[ *]flagver_[a-z0-9_]+ *\(' | sed -nE "$name" | sort -u >"$work/hidden"

sed -nE 's/^ +(flagver_[a-z0-9_]+);.*/\1/p' lib/libflagver.map | sort -u >"$work/listed"
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
    sort -u >"$work/exported"

# same WHAT LEFT RIGHT: lines of one file that the other one has not
only() {
    local line
    while read -r line; do
        fail "$line is $1"
    done < <(comm -23 "$2" "$3")
}

only "declared in a header but not in lib/libflagver.map" "$work/declared" "$work/listed"
only "in lib/libflagver.map but in no header" "$work/listed" "$work/declared"
only "in lib/libflagver.map but not exported: it is not defined" "$work/listed" "$work/exported"
only "exported but not in lib/libflagver.map" "$work/exported" "$work/listed"
only "declared without FLAGVER_API" "$work/hidden" /dev/null

[ -s "$work/declared" ] || fail "the headers declare nothing"
[ "$failed" -eq 0 ] || exit 1
echo "$compiled compilations, $(wc -l <"$work/exported") exported functions"
