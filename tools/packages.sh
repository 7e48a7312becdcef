#!/bin/sh
# tools/packages.sh - makes sure that the Debian packages of the named groups are installed.
#
# usage: tools/packages.sh GROUP...     groups: build check kernels fuzz wasm format html deb check-deb
# Asks dpkg first and calls apt-get only for what is missing; as an ordinary user through sudo. On a system
# without dpkg it trusts the machine: the build itself then names what it lacks.
set -eu

want=''
for group in "$@"; do
    case $group in
    build) want="$want build-essential meson ninja-build pkg-config python3 libseccomp-dev libjansson-dev nettle-dev libsqlite3-dev libsodium-dev" ;;
    check) want="$want jq util-linux bubblewrap strace binutils perl-base python3-jsonschema mandoc zsh fish openssl"
        want="$want clang-14 lld wasi-libc libclang-rt-14-dev-wasm32" ;;
    kernels) want="$want qemu-system-x86 busybox-static binutils xz-utils zstd lz4 debian-archive-keyring" ;;
    fuzz) want="$want clang-14 libclang-rt-14-dev" ;;
    wasm) want="$want clang-14 lld wasi-libc libclang-rt-14-dev-wasm32 binaryen nodejs" ;;
    format) want="$want clang-format" ;;
    html) want="$want chromium" ;;
    deb) want="$want dpkg-dev" ;;
    check-deb) want="$want dpkg-dev debootstrap util-linux" ;;
    *)
        echo "packages.sh: unknown group $group (build, check, kernels, fuzz, wasm, format, html, deb, check-deb)" >&2
        exit 2
        ;;
    esac
done

command -v dpkg-query >/dev/null 2>&1 || exit 0
missing=''
for package in $want; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "installing:$missing" >&2
run=''
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "packages.sh: missing Debian packages:$missing (run as root: apt-get install$missing)" >&2
        exit 1
    fi
    run='sudo'
fi
export DEBIAN_FRONTEND=noninteractive
# The list may be fresh already; an update that fails (no network, but a local mirror) is apt-get install's to judge.
$run apt-get update -q >&2 || echo 'packages.sh: apt-get update failed, trying to install all the same' >&2
# shellcheck disable=SC2086 # a list of words on purpose
$run env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2
