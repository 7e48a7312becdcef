#!/bin/sh
# tests/api/installed.sh - installs into a directory of its own and builds a stranger's program against that: headers,
# pkg-config file and both libraries must be enough. Prints the program's TAP.
# usage: installed.sh BUILD CONSUMER.c
set -eu
build=$1 source=$2
top=$(mktemp -d "${TMPDIR:-/tmp}/bvisor-test-XXXXXX")
trap 'rm -rf "$top"' EXIT
chmod 755 "$top"
DESTDIR=$top meson install -C "$build" --no-rebuild --quiet >"$top/log" 2>&1 || { cat "$top/log" >&2; exit 1; }
pc=$(find "$top" -name bvisor.pc)
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$top"
flags=$(pkg-config --cflags --libs bvisor)
# shellcheck disable=SC2086 # flags are words
cc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -o "$top/consumer" "$source" $flags -pthread
libs=${pc%/pkgconfig/*}
status=0
LD_LIBRARY_PATH=$libs "$top/consumer" || status=1
exit $status
