#!/bin/sh
# tests/wasm/spec.sh - runs a pack of the official suite, which is test data beside the source tree and not part of it.
#
# usage: spec.sh WASM_SPEC SOURCE_ROOT PACK COMMANDS
# Exits 77 with a reason where the packs are not; with BV_TESTS_MUST_RUN=1 that is a failure. The count is held, too: a pack that
# lost commands would pass otherwise.
set -eu
tool=$1 pack=$2/../shared/wasm/spec/$3.spec wanted=$4
if [ ! -e "$pack" ]; then
    echo "no pack $3.spec under ../shared/wasm/spec: the official suite did not run, only the project's own modules"
    [ "${BV_TESTS_MUST_RUN:-0}" = 1 ] && exit 1
    exit 77
fi
result=$("$tool" "$pack" | tail -n 20)
echo "$result"
[ "$(echo "$result" | tail -n 1)" = "$wanted passed, 0 failed" ]
