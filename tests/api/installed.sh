#!/bin/sh
# tests/api/installed.sh - installs into a directory of its own and builds a stranger's program against that: headers,
# pkg-config file and both libraries must be enough. Looks for all that an installation has, then ends as the program does.
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
for file in bin/bvisor share/man/man1/bvisor.1 share/man/man3/libbvisor.3 share/man/man5/bvisor-spec.5 share/bvisor/schema/spec.schema.json \
    share/bash-completion/completions/bvisor share/zsh/site-functions/_bvisor share/fish/vendor_completions.d/bvisor.fish; do
    set -- "$top"/usr/local/"$file"* "$top"/usr/"$file"*
    for found; do [ ! -s "$found" ] || continue 2; done
    echo "installed.sh: $file is not installed" >&2
    exit 1
done
libs=${pc%/pkgconfig/*}
status=0
LD_LIBRARY_PATH=$libs "$top/consumer" || status=$?
exit $status
