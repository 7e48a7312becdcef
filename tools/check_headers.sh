#!/bin/sh
# tools/check_headers.sh - compiles every header alone: the public ones as C11 and C++11 with -pedantic -Werror,
# the internal ones as gnu17. A header that leans on its includer's includes fails here.
#
# usage: tools/check_headers.sh SOURCE_ROOT [CC [CXX]]
set -eu
root=$1 cc=${2:-cc} cxx=${3:-c++}
status=0 count=0

try() { # HEADER COMMAND...: the header is the whole translation unit
    header=$1
    shift
    count=$((count + 1))
    if ! printf '#include <%s>\nextern int header_stands_alone;\n' "$header" | "$@" -I"$root/include" -I"$root/src" -fsyntax-only -; then
        echo "check_headers.sh: $header does not stand alone under $*"
        status=1
    fi
}

for path in "$root"/include/bvisor/*.h; do
    header=${path#"$root"/include/}
    try "$header" "$cc" -x c -std=c11 -pedantic -Wall -Wextra -Werror
    if command -v "$cxx" >/dev/null 2>&1; then
        try "$header" "$cxx" -x c++ -std=c++11 -pedantic -Wall -Wextra -Werror
    else
        echo "check_headers.sh: no C++ compiler" && status=1
    fi
done
for path in $(find "$root/src" -name '*.h' | sort); do
    try "${path#"$root"/src/}" "$cc" -x c -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-function
done
echo "$count compilations"
exit $status
