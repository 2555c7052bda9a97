#!/usr/bin/env bash
# Install the packages that are missing, on Debian or Ubuntu.
#
#   setup.sh              to build the library: `make demo`
#   setup.sh --check      and to run the tests: `make check`
#   setup.sh --bench      and for `make bench`
#   setup.sh --bindings   and for `make check-bindings`
#   setup.sh --ci         and everything .ci/run calls
#
# Node.js 20 is more than Debian 12 has: its npm fetches one into build/node, and what the binding takes into
# bindings/node/node_modules.
#
# When nothing is missing it does nothing. Without root or a sudo that asks no
# password it prints the line to run, and exits with 1.
set -eu
cd "$(dirname "$0")/.."

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

postgresql_server() {
    compgen -G '/usr/lib/postgresql/*/bin/postgres' || test -x "$(pg_config --bindir)/postgres"
}

level=${1:-}
case $level in
'' | --check | --bench | --bindings | --ci) ;;
*)
    echo "usage: setup.sh [--check|--bench|--bindings|--ci]" >&2
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
need libpq-dev pkg-config --exists libpq

if [ "$level" = --check ] || [ "$level" = --ci ]; then
    need check pkg-config --exists check
    need g++ command -v g++
    need pgbouncer test -x /usr/sbin/pgbouncer
fi
[ -z "$level" ] || [ "$level" = --bindings ] || need postgresql postgresql_server

if [ "$level" = --bindings ] || [ "$level" = --ci ]; then
    need g++ command -v g++
    need python3 command -v python3
    need python3-pip python3 -m pip --version
    need python3-setuptools python3 -c 'import setuptools'
    need nodejs command -v node
    need npm command -v npm
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
    need jq command -v jq
fi

# fetch_node: where the system's is too old
fetch_node() {
    local machine
    # shellcheck source=scripts/find-node.sh
    . scripts/find-node.sh
    ! node_is_there || return 0
    machine=$(uname -m)
    case $machine in
    x86_64) machine=x64 ;;
    aarch64) machine=arm64 ;;
    esac
    echo "fetching Node.js 20 into build/node"
    # With an npm of its own: Debian's does not get along with it.
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix build/node "node-linux-$machine@20" npm@10
    # shellcheck source=scripts/find-node.sh
    . scripts/find-node.sh
    node_is_there
}

# As bindings/node/run-tests.sh does where it was not done.
fetch_modules() {
    local done=bindings/node/node_modules/.package-lock.json
    if [ ! -e "$done" ] || [ bindings/node/package-lock.json -nt "$done" ]; then
        echo "fetching what bindings/node takes"
        (cd bindings/node && npm ci --silent --no-audit --no-fund) && touch "$done"
    fi
}

# What comes after the packages.
finish() {
    case $level in
    --bindings | --ci)
        fetch_node
        fetch_modules
        ;;
    esac
}

if [ ${#missing[@]} -eq 0 ]; then
    finish
    exit
fi

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

# What is wanted are programs, not services: installing makes no cluster "main", and starts
# nothing, now or when the machine does.
no_cluster=/etc/postgresql-common/createcluster.d/none-for-flagver.conf
no_service=/usr/sbin/policy-rc.d
write_down() {
    # shellcheck disable=SC2016 # that shell expands it
    "${as_root[@]}" sh -c 'mkdir -p "${1%/*}"; cat >"$1"; chmod 755 "$1"' sh "$1"
    written+=("$1")
}
take_back() {
    [ ${#written[@]} -eq 0 ] || "${as_root[@]}" rm -f "${written[@]}"
}
written=() services=
trap take_back EXIT
keep_services_down() {
    write_down "$no_cluster" <<<'create_main_cluster = false'
    [ -e "$no_service" ] || write_down "$no_service" <<<$'#!/bin/sh\nexit 101'
}
forget_services() {
    ! command -v systemctl >/dev/null || "${as_root[@]}" systemctl --quiet disable pgbouncer || true
}

install_missing() {
    apt install -y --no-install-recommends "${missing[@]}"
}

echo "installing ${missing[*]}"
# The package lists of a fresh container are empty and those of an old machine
# outdated: fetch them only when it turns out so.
[[ " ${missing[*]} " != *" postgresql "* && " ${missing[*]} " != *" pgbouncer "* ]] ||
    services=1
[ -z "$services" ] || keep_services_down
install_missing || { apt update && install_missing; }
[ -z "$services" ] || forget_services
finish
