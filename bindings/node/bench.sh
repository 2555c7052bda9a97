#!/usr/bin/env bash
# The speed of the binding, beside that of a bare call and of other engines.
# FLAGVER_LIBRARY: the path of libflagver.so.0, unless it is installed.
set -euo pipefail
cd "$(dirname "$0")"
[ -d node_modules ] || npm ci --silent
exec node bench.mjs
