#!/usr/bin/env bash
# What the binding costs beside C, in one run. FLAGVER_BUILD says where the library was built.
set -eu
# shellcheck source=bindings/cpp/build.sh
. "$(dirname "$0")/build.sh"

compile "$CXX" 17 bench bindings/cpp/tests/bench.cpp -O2
"$place/bench"
