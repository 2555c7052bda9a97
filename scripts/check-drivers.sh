#!/usr/bin/env bash
# Without libpq or SQLite the library is built without that driver, and says so; with
# neither it is not.
set -eu -o pipefail
cd "$(dirname "$0")/.."

BUILD=${BUILD:-build}
MAKE=${MAKE:-make}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "check-drivers: $*" >&2
    cat "$work/said" >&2
    exit 1
}

# A pkg-config that does not know these packages.
pkg_config_without() {
    cat >"$work/pkg-config" <<PROGRAM
#!/bin/sh
for word; do
    case " $* " in *" \$word "*) exit 1 ;; esac
done
exec $PKG_CONFIG "\$@"
PROGRAM
    chmod 755 "$work/pkg-config"
}

# built_in DIRECTORY TARGET…
built_in() {
    local directory=$1
    shift
    "$MAKE" --no-print-directory BUILD="$directory" PKG_CONFIG="$work/pkg-config" CFLAGS=-O0 WERROR=1 \
        "$@" >"$work/said" 2>&1
}

# without PACKAGE DRIVER URI: a store of the driver that is left out is not known
without() {
    local package=$1 driver=$2 uri=$3 directory=$BUILD/without-$1

    pkg_config_without "$package"
    built_in "$directory" "$directory/flagver" || fail "the library is not built without $package"
    grep -q "^without the driver for $driver" "$work/said" || fail "nobody says that $driver is left out"
    ! ldd "$directory/libflagver.so" | grep -q "$package" || fail "$package is linked all the same"
    ! "$directory/flagver" --store "$uri" flag list >"$work/said" 2>&1 || fail "$uri was opened"
    grep -q "names no store\|is no URI\|no driver" "$work/said" || fail "$uri: other words were to be found"
    echo "built without $package"
}

without libpq postgres postgresql://nobody@/none
without sqlite3 sqlite "sqlite:$work/store"

pkg_config_without libpq sqlite3
! built_in "$BUILD/without-both" "$BUILD/without-both/libflagver.a" || fail "a library without any driver is built"
grep -q 'neither sqlite3 nor libpq is there' "$work/said" || fail "nobody says that a driver has to be there"
echo "not built without both"
