#!/usr/bin/env bash
# Every example runs to the end: without arguments, without input, in an empty
# directory, and with exit status 0. But those of PostgreSQL get the URI of a database where there is
# a server: below tests/with_cluster, which says where by FLAGVER_TEST_CLUSTER.
#
#   check-examples.sh PROGRAM…
set -eu
cd "$(dirname "$0")/.."

if [ $# -eq 0 ]; then
    echo "check-examples: no examples" >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# A fresh database, as its owner.
database() {
    local socket=$FLAGVER_TEST_CLUSTER/socket
    dropdb -h "$socket" -U owner --if-exists examples 2>/dev/null &&
        createdb -h "$socket" -U owner examples && echo "postgresql://owner@/examples?host=$socket"
}

for program; do
    path=$(realpath "$program")
    mkdir "$work/empty"
    arguments=()
    case $program in
    *_postgres) [ -z "${FLAGVER_TEST_CLUSTER:-}" ] || arguments=("$(database)") ;;
    esac
    if (cd "$work/empty" && timeout 60 "$path" "${arguments[@]}") </dev/null >"$work/output" 2>&1; then
        echo "ok      $program"
        grep '^SKIPPED' "$work/output" || true
    else
        echo "FAILED  $program: exit status $?"
        sed 's/^/    /' "$work/output"
        failed=1
    fi
    rm -rf "$work/empty"
done
exit "$failed"
