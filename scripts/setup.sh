#!/usr/bin/env bash
# Install the packages that are missing, on Debian or Ubuntu.
#
#   setup.sh           to build the library: `make demo`
#   setup.sh --check   and to run the tests: `make check`
#   setup.sh --bench   the same as to build, for `make bench`
#   setup.sh --ci      and everything .ci/run calls
#
# When nothing is missing it does nothing. Without root or a sudo that asks no
# password it prints the line to run, and exits with 1.
set -eu

missing=()

# need PACKAGE COMMAND…: the package is wanted unless the command succeeds
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

libfuzzer() {
    echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' |
        clang -fsanitize=fuzzer,address -x c - -o /dev/null
}

level=${1:-}
case $level in
'' | --check | --bench | --ci) ;;
*)
    echo "usage: setup.sh [--check|--bench|--ci]" >&2
    exit 2
    ;;
esac

if [ "$level" = --ci ]; then
    need make command -v make
    need gcc command -v gcc
    need libc6-dev test -e /usr/include/stdlib.h
fi

need pkg-config command -v pkg-config
need libjansson-dev pkg-config --exists jansson
need libssl-dev pkg-config --exists libcrypto
need libsqlite3-dev pkg-config --exists sqlite3

if [ "$level" = --check ] || [ "$level" = --ci ]; then
    need check pkg-config --exists check
    need g++ command -v g++
fi

if [ "$level" = --ci ]; then
    need git command -v git
    need clang command -v clang
    need libclang-rt-dev libfuzzer
    need clang-format command -v clang-format
    need valgrind command -v valgrind
    # valgrind reads the symbols of the dynamic linker.
    need libc6-dbg test -d /usr/lib/debug/.build-id
    # localedef makes locales with another decimal point from these.
    need locales test -e /usr/share/i18n/charmaps/UTF-8.gz
    need shellcheck command -v shellcheck
    need python3 command -v python3
    need jq command -v jq
fi

[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
by_hand="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
    echo "Missing, under the names Debian has for them: ${missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        printf 'Some packages are missing. Install them with\n\n    sudo sh -c "%s"\n\n' "$by_hand" >&2
        exit 1
    fi
    as_root=(sudo -n)
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 "$@"
}
install_missing() {
    apt install -y --no-install-recommends "${missing[@]}"
}

echo "installing ${missing[*]}"
# The package lists of a fresh container are empty and those of an old machine
# outdated: fetch them only when it turns out so.
install_missing || { apt update && install_missing; }
