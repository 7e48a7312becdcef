#!/bin/sh
# tools/check_deb.sh - a package on a clean root file system: Debian 12 minbase, dpkg -i, man pages, probe, confined runs as root
# and as a user, the seal, a program built against its headers and library, versioned symbols, removal; afterwards the file
# system is what it was.
#
# usage: tools/check_deb.sh BVISOR.deb     root only (debootstrap, pivot_root); CHECK_DEB_MIRROR names another mirror
# Prints what held, one line each, and ends with 1 at the first thing that did not.
set -eu
deb=$(realpath "$1")
[ "$(id -u)" = 0 ] || { echo "check_deb.sh: needs root for debootstrap and pivot_root" >&2; exit 1; }
top=$(mktemp -d "${TMPDIR:-/tmp}/bvisor-deb-XXXXXX")
root=$top/root
# Everything happens in a mount namespace of its own, so that nothing stays mounted whatever ends this script.
if [ "${CHECK_DEB_INSIDE:-}" != 1 ]; then
    rmdir "$top"
    CHECK_DEB_INSIDE=1 exec unshare --mount --propagation private -- "$0" "$deb"
fi
mounted=''
cleanup() {
    # Lazily and all at once: copies of this machine's mounts, which stay where they are outside.
    for at in $mounted; do umount -R -l "$at" || return; done
    rm -rf --one-file-system "$top"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM # the trap above then runs
began=$(date +%s)
took() { echo "$1 ($(($(date +%s) - began)) s)"; }
die() { echo "check_deb.sh: $*" >&2; exit 1; }
# Not chroot(8): in a chroot the kernel makes no user namespace (EPERM), so a user's boundary could not be shown.
inside() {
    unshare --mount --propagation private -- sh -c 'cd "$1" && shift && pivot_root . . && umount -l . && cd / &&
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' sh "$root" "$@"
}
as_user() { inside setpriv --reuid=1000 --regid=1000 --clear-groups -- "$@"; }
files() { (cd "$root" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./dev -o -path ./tmp \) -prune -o -print | sort); }

debootstrap --variant=minbase bookworm "$root" ${CHECK_DEB_MIRROR:-} >"$top/log" 2>&1 || { tail -n 20 "$top/log" >&2; die "debootstrap failed"; }
took "a minbase root file system"
mount --bind "$root" "$root"
mounted=$root
for at in proc sys dev; do
    mount --rbind "/$at" "$root/$at"
    mounted="$root/$at $mounted"
done
cp "$deb" "$root/tmp/bvisor.deb"
files >"$top/before"
inside dpkg -i /tmp/bvisor.deb >"$top/log" 2>&1 || { cat "$top/log" >&2; die "dpkg -i failed"; }
took "installed with nothing but minbase"
inside bvisor version
for page in man1/bvisor.1 man3/libbvisor.3 man5/bvisor-spec.5; do
    gzip -dc "$root/usr/share/man/$page.gz" | grep -q '^\.Dt ' || die "no man page $page"
done
echo "man pages: bvisor(1), libbvisor(3), bvisor-spec(5)"
inside sh -c 'bvisor probe --json | grep -q "\"bvisor.probe/1\""' || die "no probe"
echo "probe answers"
for who in inside as_user; do
    dir=/tmp/$who
    $who mkdir "$dir"
    $who bvisor run --no-journal --system --report "$dir/report.json" -- cat /etc/hostname >"$top/out" 2>&1 && die "$who: an ungranted file was read"
    grep -q 'No such file' "$top/out" || { cat "$top/out" >&2; die "$who: no confined run"; }
    $who cat /etc/hostname >/dev/null || die "$who: the same outside fails, so that shows nothing"
    $who bvisor run --no-journal --system --report "$dir/report.json" -- id -u || die "$who: the run failed"
    $who bvisor verify "$dir/report.json" >/dev/null || die "$who: the seal does not match"
    echo "$who: confined, reported, sealed"
done
# minbase has no compiler: this machine's, with the headers and the library of that root alone.
lib=usr/lib/$(gcc -print-multiarch)
flags() { PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_LIBDIR="$root/$lib/pkgconfig" pkg-config "$@" bvisor; }
version=$(flags --modversion) || die "pkg-config does not know bvisor"
[ "bvisor $version" = "$(inside bvisor version | head -n 1 | cut -d' ' -f1,2)" ] || die "pkg-config says version $version"
gcc $(flags --cflags) -o "$root/tmp/one_call" examples/one_call.c $(flags --libs) || die "an example does not compile"
objdump -p "$root/tmp/one_call" | grep -q 'NEEDED *libbvisor\.so' || die "the example is not linked with the library"
inside /tmp/one_call /usr/bin/true >"$top/out" 2>&1 || { cat "$top/out" >&2; die "the example does not run"; }
echo "pkg-config $version; examples/one_call.c compiles, links and runs"
objdump -T "$root/$lib/libbvisor.so" | sed -n 's/.* BVISOR_[0-9.]* *\(bv_[a-z0-9_]*\)$/\1/p' | sort >"$top/exported"
sed -n 's/^ *\(bv_[a-z0-9_]*\);.*/\1/p' libbvisor.sym | sort >"$top/listed"
cmp -s "$top/exported" "$top/listed" || { diff "$top/listed" "$top/exported" >&2; die "the exported symbols are not libbvisor.sym's"; }
echo "versioned symbols: $(wc -l <"$top/exported"), all and only those of libbvisor.sym"
inside dpkg --purge bvisor >"$top/log" 2>&1 || { cat "$top/log" >&2; die "dpkg --purge failed"; }
grep -qi warning "$top/log" && { cat "$top/log" >&2; die "the removal left something"; }
files >"$top/after"
# dpkg's own record and the linker's cache may differ, files may not.
if ! diff "$top/before" "$top/after" | grep '^[<>]' | grep -v '/var/lib/dpkg/\|/var/log/\|/var/cache/ldconfig\|/etc/ld.so.cache' >"$top/left"; then
    took "removed: the file system is what it was"
else
    cat "$top/left" >&2
    die "the removal left something"
fi
