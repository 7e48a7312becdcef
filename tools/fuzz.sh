#!/bin/sh
# tools/fuzz.sh - runs fuzz targets for a while, prints executions and findings, one line each, and enters them in fuzz/LEDGER.
#
# usage: tools/fuzz.sh BUILD SECONDS [TARGET...]     TARGET: spec, plan, ...; none means all; a number is SECONDS for all
#        tools/fuzz.sh --ledger                      sums of the ledger, per target
# What a run learns is kept in BUILD/grown/TARGET for the next one, so that short runs add up; the tree's own corpus is only
# read. A finding's input is kept in BUILD/findings/TARGET and named. Exits 1 if anything was found.
set -eu
ledger=fuzz/LEDGER

# Counts that are quoted anywhere are these. The columns are named in the ledger's first line.
sums() {
    awk '/^#/ { next }
        NF != 6 || $3 !~ /^[0-9]+$/ || $4 !~ /^[0-9]+$/ || $6 !~ /^[0-9]+$/ {
            print "fuzz.sh: " FILENAME ": line " NR " is no entry" > "/dev/stderr"
            bad = 1
            exit 1
        }
        { runs[$1] += $3; seconds[$1] += $4; findings[$1] += $6; if ($5 > edges[$1]) edges[$1] = $5 }
        END {
            if (bad) exit 1
            printf "%-10s %12s %8s %8s %8s\n", "target", "executions", "seconds", "edges", "findings"
            for (t in runs) printf "%-10s %12d %8d %8d %8d\n", t, runs[t], seconds[t], edges[t], findings[t] | "sort"
        }' "$ledger"
}
if [ "${1:-}" = --ledger ]; then
    sums
    exit
fi

build=$1 seconds=$2
shift 2
case ${1:-} in
'' | *[!0-9]*) ;;
*) seconds=$1; shift ;;
esac
[ $# -gt 0 ] || set -- $(cd "$build/fuzz" && ls | sed -n 's/^fuzz_\([a-z_]*\)$/\1/p')
[ $# -gt 0 ] || { echo "fuzz.sh: no fuzz targets in $build/fuzz" >&2; exit 1; }

# An entry names the code that ran: a commit, with a plus where what a target is made of differs from it.
commit=$(git rev-parse --short=10 HEAD 2>/dev/null || echo unknown)
git diff --quiet HEAD -- src include 'fuzz/*.c' 'fuzz/*.h' 2>/dev/null || commit="$commit+"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
found=0
for target in "$@"; do
    grown="$build/grown/$target" kept="$build/findings/$target"
    mkdir -p "$grown" "$kept" "$scratch/none"
    seeds="fuzz/corpus/$target"
    [ -d "$seeds" ] || seeds="$scratch/none"
    # Time goes with the length, and every part of these formats has a short document (good_min_*.json); what is longer is
    # replayed by the tests.
    case $target in
    plan) longest=1280 ;;
    report) longest=1024 ;;
    spec) longest=768 ;;
    json) longest=512 ;;
    wasm) longest=512 ;; # larger modules are made by binaryen and run by tests/wasm/differential.py
    *) longest=0 ;; # libFuzzer's own choice
    esac
    before=$(ls "$kept" | wc -l) status=0
    # A third of the time went into the stacks of allocations; one execution holds far less than the quarantine. Two thirds of
    # what was left went into the bookkeeping of the entropic schedule, with a corpus of thousands.
    ASAN_OPTIONS=malloc_context_size=0:quarantine_size_mb=8:thread_local_quarantine_size_kb=256 \
    "$build/fuzz/fuzz_$target" -max_total_time="$seconds" -entropic=0 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -max_len="$longest" \
        -artifact_prefix="$kept/" "$grown" "$seeds" >"$scratch/$target.log" 2>&1 || status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/$target.log")
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$scratch/$target.log" | tail -n 1)
    findings=$(($(ls "$kept" | wc -l) - before))
    # A clean run ends by itself with status 0; everything else is a finding, also a crash before the first input.
    [ "$status" = 0 ] || [ "$findings" -gt 0 ] || findings=1
    printf '%s %s %s %s %s %s\n' "$target" "$commit" "${runs:-0}" "$seconds" "${edges:-0}" "$findings" >>"$ledger"
    if [ "$status" = 0 ]; then
        echo "$target: ${runs:-0} executions in ${seconds}s, ${edges:-0} edges, no finding"
    else
        found=1
        tail -n 40 "$scratch/$target.log" >&2
        latest=$(ls -t "$kept" | head -n 1)
        [ -z "$latest" ] || "$build/fuzz/fuzz_$target" "$kept/$latest" >&2 || true # once more, with every stack
        echo "$target: ${runs:-?} executions, FINDING (status $status), input kept in $kept"
    fi
done
exit $found
