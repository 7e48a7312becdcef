#!/bin/sh
# tools/check_symbols.sh - holds three lists of the public interface against each other: what include/bvisor declares
# with BV_API, what libbvisor.sym exports, and what libbvisor.so really exports; every export has the version of libbvisor.sym,
# and the shared object is named libbvisor.so.0.
#
# usage: tools/check_symbols.sh SOURCE_ROOT LIBBVISOR.so
set -eu
root=$1 library=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A declaration may span lines: the name is the last identifier before the first parenthesis after BV_API.
cat "$root"/include/bvisor/*.h | sed '/^#/d' | tr '\n' ' ' | sed 's|/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/||g; s/;/;\n/g' |
    sed -n 's/^.*BV_API *\(BV_MUST_CHECK *\)\?[^(]*[ *]\(bv_[a-z0-9_]*\) *(.*$/\2/p' | sort >"$scratch/declared"
sed -n 's/^[[:space:]]*\(bv_[a-z0-9_]*\);.*$/\1/p' "$root/libbvisor.sym" | sort >"$scratch/listed"
nm -D --defined-only "$library" | awk '$2 == "T" || $2 == "D" || $2 == "R" || $2 == "B" { sub(/@.*/, "", $3); print $3 }' |
    grep -v '^_' | sort >"$scratch/exported"

status=0
[ -s "$scratch/declared" ] || { echo "no BV_API declaration found"; status=1; }
for list in listed exported; do
    if ! diff -u "$scratch/declared" "$scratch/$list" >"$scratch/diff"; then
        echo "declared in include/bvisor (-) against $list (+):"
        grep '^[-+]bv_\|^[-+][a-z]' "$scratch/diff" || cat "$scratch/diff"
        status=1
    fi
done
version=$(sed -n 's/^\([A-Z0-9_.]*\) {$/\1/p' "$root/libbvisor.sym")
[ -n "$version" ] || { echo "libbvisor.sym names no version"; status=1; }
nm -D --defined-only "$library" | awk -v version="$version" '
    $3 ~ /^bv_/ && $3 !~ "@@" version "$" { print "not of version " version ": " $3; bad = 1 }
    END { exit bad }' || status=1
readelf -d "$library" | grep -q 'SONAME.*\[libbvisor\.so\.0\]' || { echo "its name is not libbvisor.so.0"; status=1; }
uniq -d "$scratch/declared" | sed 's/^/declared twice: /'
echo "$(wc -l <"$scratch/declared") declared, $(wc -l <"$scratch/listed") listed, $(wc -l <"$scratch/exported") exported"
exit $status
