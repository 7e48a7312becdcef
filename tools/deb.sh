#!/bin/sh
# tools/deb.sh - makes a Debian package of an installed tree, without debhelper: what is installed is what meson.build installs.
#
# usage: tools/deb.sh OUTPUT_DIRECTORY     works in build-deb/, prints the package's path
# The command and the library are in one package with their development files: bvisor is small, and one version is one file.
set -eu
cd "$(dirname "$0")/.."
out=$1
build=build-deb
arch=$(dpkg --print-architecture)
version=$(sed -n "s/^project('bvisor', 'c', version: '\([^']*\)'.*/\1/p" meson.build)
[ -n "$version" ] || { echo "deb.sh: meson.build states no version" >&2; exit 1; }
[ -e $build/build.ninja ] || meson setup $build --prefix=/usr --libdir="lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)" \
    --buildtype=debugoptimized -Doptimization=2 >&2
ninja -C $build >&2

top=$(mktemp -d "${TMPDIR:-/tmp}/bvisor-deb-XXXXXX")
trap 'rm -rf "$top"' EXIT
chmod 755 "$top"
tree=$top/tree
DESTDIR=$tree meson install -C $build --no-rebuild --quiet >&2
strip --strip-unneeded "$tree/usr/bin/bvisor"
find "$tree" -name 'libbvisor.so.*' -type f -exec strip --strip-unneeded {} +
find "$tree" -name 'libbvisor.a' -exec strip --strip-debug {} +
find "$tree/usr/share/man" -type f -name '*.[135]' -exec gzip -9n {} +
# zsh of Debian looks for what packages bring in vendor-completions.
mv "$tree/usr/share/zsh/site-functions" "$tree/usr/share/zsh/vendor-completions"
mkdir -p "$tree/usr/share/doc/bvisor/examples" "$tree/DEBIAN"
cp LICENSE "$tree/usr/share/doc/bvisor/copyright"
cp README.md SECURITY.md "$tree/usr/share/doc/bvisor/"
cp examples/*.c "$tree/usr/share/doc/bvisor/examples/"

# What the shared object needs is asked of the linker's own record.
mkdir -p "$top/debian"
printf 'Source: bvisor\n\nPackage: bvisor\nArchitecture: any\n' >"$top/debian/control"
library=$(find "$tree" -name 'libbvisor.so.*' -type f)
depends=$(cd "$top" && dpkg-shlibdeps -O "$library" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || { echo "deb.sh: no dependencies found for $library" >&2; exit 1; }
cat >"$tree/DEBIAN/control" <<CONTROL
Package: bvisor
Version: $version
Architecture: $arch
Maintainer: the bvisor developers <bvisor@localhost>
Installed-Size: $(du -ks "$tree/usr" | cut -f1)
Depends: $depends
Section: utils
Priority: optional
Description: boundary supervisor for untrusted programs
 Runs a program inside a boundary that a fail-closed planner admits or refuses,
 and seals a report of what was enforced and measured. Holds the command, the
 library libbvisor with its headers, man pages, JSON Schemas and completions.
CONTROL
printf 'activate-noawait ldconfig\n' >"$tree/DEBIAN/triggers"
(cd "$tree" && find usr -type f -exec md5sum {} + | sort -k2) >"$tree/DEBIAN/md5sums"
mkdir -p "$out"
file=$out/bvisor_${version}_$arch.deb
dpkg-deb --root-owner-group --build "$tree" "$file" >&2
echo "$file"
