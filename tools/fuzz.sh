#!/bin/sh
# tools/fuzz.sh - runs fuzz targets for a while and prints executions and findings, one line each.
#
# usage: tools/fuzz.sh BUILD SECONDS [TARGET...]     TARGET: spec, plan, ...; none means all
# Works on a scratch copy of each corpus, so that a run never changes the tree; a finding's input is kept in
# BUILD/findings/TARGET and named. Exits 1 if anything was found.
set -eu
build=$1 seconds=$2
shift 2
[ $# -gt 0 ] || set -- $(cd "$build/fuzz" && ls | sed -n 's/^fuzz_\([a-z_]*\)$/\1/p')
[ $# -gt 0 ] || { echo "fuzz.sh: no fuzz targets in $build/fuzz" >&2; exit 1; }

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
found=0
for target in "$@"; do
    corpus="$scratch/$target" kept="$build/findings/$target"
    mkdir -p "$corpus" "$kept"
    [ ! -d "fuzz/corpus/$target" ] || cp "fuzz/corpus/$target/"* "$corpus/"
    status=0
    "$build/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$kept/" "$corpus" >"$scratch/$target.log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/$target.log")
    # A clean run ends by itself with status 0; everything else is a finding, also a crash before the first input.
    if [ "$status" = 0 ]; then
        echo "$target: ${runs:-0} executions in ${seconds}s, no finding"
    else
        found=1
        tail -n 40 "$scratch/$target.log" >&2
        echo "$target: ${runs:-?} executions, FINDING (status $status), input kept in $kept"
    fi
done
exit $found
