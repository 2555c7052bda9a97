#!/usr/bin/env bash
# All tests of the package, with the library that FLAGVER_LIBRARY names.
#
#   run-tests.sh [NAME…]    only those of tests/test_NAME.py
#
# FLAGVER_BUILD is where that library was built: programs and an installation of it are taken from
# there. Tests of what is not there are skipped, and say so. The last line is
# "N passed, M failed, K skipped".
set -eu
cd "$(dirname "$0")"
export PYTHONDONTWRITEBYTECODE=1
exec python3 -X faulthandler tests/run.py "$@"
