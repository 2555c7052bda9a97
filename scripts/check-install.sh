#!/usr/bin/env bash
# What a packager and a user of the package do: a staged install, an example
# built with nothing but pkg-config, against the shared and the static library,
# and an uninstall that leaves no file.
set -eu
cd "$(dirname "$0")/.."

BUILD=${BUILD:-build}
CC=${CC:-cc}
MAKE=${MAKE:-make}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/stage

fail() {
    echo "check-install: $*" >&2
    exit 1
}

staged_make() {
    "$MAKE" --no-print-directory BUILD="$BUILD" DESTDIR="$stage" prefix=/usr "$@" >"$work/output" 2>&1 ||
        { cat "$work/output" >&2; fail "make $* failed"; }
}

staged_make install
(cd "$stage" && find . -type f -o -type l) | sort

# The stage stands for the root of another system, and nothing of the build
# directory is in reach.
package() {
    PKG_CONFIG_PATH=$stage/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$stage \
        PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 "$PKG_CONFIG" "$@"
}

version=$(package --modversion flagver)
header=$(sed -n 's/^#define FLAGVER_VERSION "\(.*\)"$/\1/p' "$stage/usr/include/flagver/base.h")
[ "$version" = "$header" ] || fail "flagver.pc says $version, the header $header"
grep -qx 'prefix=/usr' "$stage/usr/lib/pkgconfig/flagver.pc" || fail "flagver.pc has another prefix"

source=examples/minimal.c
if [ ! -e "$source" ]; then
    source=$work/program.c
    cat >"$source" <<'PROGRAM'
#include <flagver.h>
#include <string.h>

int main(void)
{
    return strcmp(flagver_version_string(), FLAGVER_VERSION) != 0;
}
PROGRAM
fi

# in_stage PROGRAM: run it where it can leave nothing behind
in_stage() {
    mkdir -p "$work/empty"
    (cd "$work/empty" && LD_LIBRARY_PATH=$stage/usr/lib timeout 60 "$@") >"$work/output" 2>&1 </dev/null ||
        { cat "$work/output" >&2; fail "$(basename "$1") ended with an error"; }
}

# shellcheck disable=SC2046 # several words are meant, here and below
"$CC" $(package --cflags flagver) -o "$work/shared" "$source" $(package --libs flagver)
readelf -d "$work/shared" | grep -q 'NEEDED.*libflagver\.so\.0' ||
    fail "the example is not linked with libflagver.so.0"
in_stage "$work/shared"

# The header for C++ is among the others.
compiler=$(command -v g++ clang++ | head -n 1)
if [ -n "$compiler" ]; then
    cat >"$work/program.cpp" <<'PROGRAM'
#include <flagver/flagver.hpp>

int main()
{
    const flagver::client flags("definitions:");
    return flags.boolean("nowhere", flagver::context("bob"), false);
}
PROGRAM
    # shellcheck disable=SC2046
    "$compiler" -std=c++17 $(package --cflags flagver) -o "$work/cpp" "$work/program.cpp" $(package --libs flagver)
    in_stage "$work/cpp"
else
    echo "SKIPPED: no C++ compiler"
fi

# A directory that has the archive only makes the linker take that one, while
# the C library may stay shared.
mkdir "$work/archive"
cp "$stage/usr/lib/libflagver.a" "$work/archive"
# shellcheck disable=SC2046
"$CC" $(package --cflags flagver) -o "$work/static" "$source" -L"$work/archive" \
    $(package --static --libs flagver)
if readelf -d "$work/static" | grep -q libflagver; then
    fail "the static example still wants the shared library"
fi
in_stage "$work/static"

# Authors of drivers compile the suite from where it is installed, and see nothing else.
suite=$stage/usr/share/flagver/conformance
# shellcheck disable=SC2046
"$CC" -std=c11 -Wall -Wextra -Werror -fsyntax-only -I"$suite" $(package --cflags flagver) \
    $("$PKG_CONFIG" --cflags check 2>/dev/null) "$suite"/*.c ||
    fail "the conformance suite does not compile from where it is installed"
grep -qx 'conformance=/usr/share/flagver/conformance' "$stage/usr/lib/pkgconfig/flagver.pc" ||
    fail "flagver.pc does not say where the conformance suite is"

# The documents' links lead somewhere from here too.
# shellcheck disable=SC2016 # the backquotes are the document's
links() {
    awk '/^ *```/ { code = !code; next } !code' "$1" | sed 's/`[^`]*`//g' |
        grep -oE '\]\([^) ]+' | sed -E 's/^..//; s/#.*//' | grep -vE '^[a-z]+:' | sort -u
}
for document in "$stage"/usr/share/doc/flagver/*.md; do
    while read -r target; do
        [ -e "${document%/*}/$target" ] ||
            fail "the installed $(basename "$document") links to $target, which is not there"
    done < <(links "$document")
done

if [ -x "$stage/usr/bin/flagver" ]; then
    if readelf -d "$stage/usr/bin/flagver" | grep -qE 'RPATH|RUNPATH'; then
        fail "the installed program has a path to a library in it"
    fi
    in_stage "$stage/usr/bin/flagver" --version
fi

staged_make uninstall
left=$(find "$stage" -type f -o -type l)
[ -z "$left" ] || fail "uninstall left $left"
[ ! -e "$stage/usr/share/doc/flagver" ] || fail "uninstall left share/doc/flagver/"
[ ! -e "$stage/usr/include/flagver" ] || fail "uninstall left include/flagver/"
echo "installed, linked shared and static, uninstalled"
