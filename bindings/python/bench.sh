#!/usr/bin/env bash
# What the package costs: bench.py, with the library that FLAGVER_LIBRARY names.
set -eu
cd "$(dirname "$0")"
exec python3 bench.py "$@"
