#!/bin/sh
# tools/check_pure.sh - proves that the contract holds no operating-system code: what its archive leaves undefined
# must be a libc string or memory function of the list below, jansson's in-memory calls, or come from the pure archives.
#
# usage: tools/check_pure.sh CONTRACT.a PURE.a...     PURE: base and canon
# Fortified and stack-protector spellings (__memcpy_chk, __stack_chk_fail) count as the call they stand for.
set -eu

# The allowlist. Adding a name here is a design decision, not a fix: none of these may enter the kernel for anything but memory.
allowed='memcpy memmove memset memcmp memchr strcmp strncmp strlen strchr strrchr strstr snprintf vsnprintf malloc calloc free qsort'
allowed="$allowed bsearch strnlen"

contract=$1
shift
[ -s "$contract" ] || { echo "check_pure.sh: $contract: no such archive" >&2; exit 1; }

defined=$(nm --defined-only --quiet "$contract" "$@" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u)
undefined=$(nm -u --quiet "$contract" 2>/dev/null | awk '$1 == "U" { print $2 }' | sort -u)
[ -n "$undefined" ] || { echo "check_pure.sh: $contract: nothing undefined, so nothing was read" >&2; exit 1; }

bad=0 count=0
for symbol in $undefined; do
    count=$((count + 1))
    case $symbol in
    _GLOBAL_OFFSET_TABLE_ | __stack_chk_fail | __asan_* | __ubsan_* | __sanitizer_* | __sancov_*) continue ;;
    json_load_file | json_load_callback | json_loadf | json_loadfd | json_dump_file | json_dumpf | json_dumpfd | json_dump_callback) ;;
    json_*) continue ;;
    esac
    # grep reads a file: a here-document instead of a pipe keeps its status without SIGPIPE.
    if grep -qxF -e "$symbol" <<EOF
$defined
EOF
    then
        continue
    fi
    plain=$symbol
    case $symbol in
    __*_chk) plain=${symbol#__} plain=${plain%_chk} ;;
    esac
    case " $allowed " in
    *" $plain "*) ;;
    *)
        echo "check_pure.sh: the contract calls $symbol"
        bad=1
        ;;
    esac
done
echo "$count undefined symbols in the contract archive, $([ $bad = 0 ] && echo all || echo not all) pure"
exit $bad
