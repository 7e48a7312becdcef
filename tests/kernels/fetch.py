"""tests/kernels/fetch.py - gets Debian's kernels with apt's own lists and cache, and unpacks what a virtual machine boots.

Nothing is installed and the machine's apt configuration is only read: for the mirror that it already uses. Everything lands
below one directory: apt/ (lists and cache), LABEL/vmlinux, LABEL/release. A kernel that is there is not fetched again.
"""

import glob
import lzma
import os
import re
import shutil
import struct
import subprocess
import tempfile
import zlib

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# label: suites that carry it, and the packages that are it; the newest one is taken
KERNELS = {
    "5.10": (("bullseye", "bullseye-security"), r"linux-image-5\.10\.\d+-\d+-cloud-amd64"),
    "6.1": (("bookworm", "bookworm-security"), r"linux-image-6\.1\.0-\d+-cloud-amd64"),
    "6.12": (("bookworm-security",), r"linux-image-6\.12\.\d+\+deb12-cloud-amd64"),
    "6.18": (("trixie-backports",), r"linux-image-6\.18\.\d+\+deb13-cloud-amd64"),
    "7": (("trixie-backports",), r"linux-image-7\.\d+\.\d+\+deb13-cloud-amd64"),
}


class Unavailable(Exception):
    """A kernel could not be had; says why."""


def call(*command, **more):
    done = subprocess.run(command, capture_output=True, check=False, **more)
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command[:1] + command[-2:])}: {done.stderr.decode(errors='replace').strip()[-400:]}")
    return done.stdout.decode(errors="replace")


def mirror():
    """Where this machine's apt gets Debian from."""
    for uri in call("apt-get", "indextargets", "--format", "$(REPO_URI)").splitlines():
        base = re.sub(r"/debian(-security)?/*$", "", uri)
        if base != uri:
            return base
    return "http://deb.debian.org"


class Apt:
    """apt with lists and a cache of its own."""

    def __init__(self, top, labels):
        self.top = top
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(top, name), exist_ok=True)
        base = mirror()
        suites = sorted({suite for label in labels for suite in KERNELS[label][0]})
        with open(os.path.join(top, "sources.list"), "w", encoding="ascii") as sources:
            for suite in suites:
                archive = "debian-security" if suite.endswith("-security") else "debian"
                sources.write(f"deb [signed-by={KEYRING}] {base}/{archive} {suite} main\n")
        self.options = ["-o", f"Dir::Etc::SourceList={top}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null",
                        "-o", f"Dir::State::Lists={top}/lists", "-o", f"Dir::Cache={top}/cache", "-o", "APT::Sandbox::User=root",
                        "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=3", "-qq"]
        # A suite that is gone must not hide the others: what is missing is told when its kernel is asked for.
        subprocess.run(["apt-get", *self.options, "update"], capture_output=True, check=False)

    def packages(self, pattern):
        """The newest package of a label and what belongs to it; newer kernels are split over two."""
        names = [name for name in call("apt-cache", *self.options, "pkgnames", "linux-image-").split() if re.fullmatch(pattern, name)]
        if not names:
            raise Unavailable(f"no package matches {pattern}")
        image = max(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
        binary = image.replace("linux-image", "linux-binary")
        split = "Version:" in subprocess.run(["apt-cache", *self.options, "show", binary], capture_output=True, check=False).stdout.decode()
        return [binary] if split else [image]

    def download(self, packages, directory):
        call("apt-get", *self.options, "download", *packages, cwd=directory)
        return glob.glob(os.path.join(directory, "*.deb"))


def payload(image):
    """The compressed ELF file inside a bzImage: Documentation/arch/x86/boot.rst, setup_sects, payload_offset, payload_length."""
    with open(image, "rb") as source:
        data = source.read()
    if data[0x202:0x206] != b"HdrS":
        raise Unavailable(f"{image} is no bzImage")
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = (data[0x1f1] + 1) * 512 + offset
    return data[start:start + length]


def decompress(data):
    if data.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(31).decompress(data)
    if data.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(data)
    for magic, program in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4")):
        if data.startswith(magic):
            # The kernel appends four bytes of size, which the program complains of after all its output.
            return subprocess.run([program, "-dc"], input=data, capture_output=True, check=False).stdout
    raise Unavailable("an unknown compression of the kernel")


def unpack(packages, target):
    with tempfile.TemporaryDirectory(prefix="bvt-") as top:
        for package in packages:
            call("dpkg-deb", "-x", package, top)
        images = glob.glob(top + "/boot/vmlinuz-*") + glob.glob(top + "/usr/lib/modules/*/vmlinuz")
        if not images:
            raise Unavailable(f"no kernel in {packages}")
        elf = decompress(payload(images[0]))
        if not elf.startswith(b"\x7fELF"):
            raise Unavailable(f"{images[0]} does not hold an ELF file")
        os.makedirs(target, exist_ok=True)
        name = os.path.basename(images[0])
        release = name.removeprefix("vmlinuz-") if name != "vmlinuz" else os.path.basename(os.path.dirname(images[0]))
        with open(os.path.join(target, "release"), "w", encoding="ascii") as text:
            text.write(release + "\n")
        # Written last, under another name first: its presence says that all of it is there.
        with open(os.path.join(target, "vmlinux.new"), "wb") as out:
            out.write(elf)
        os.rename(os.path.join(target, "vmlinux.new"), os.path.join(target, "vmlinux"))


def fetch(top, labels):
    """{label: None, or why it could not be had}"""
    result = {label: None for label in labels}
    missing = [label for label in labels if not os.path.exists(os.path.join(top, label, "vmlinux"))]
    if not missing:
        return result
    if not shutil.which("apt-get"):
        return {label: "this machine has no apt-get" if label in missing else None for label in labels}
    apt = None
    for label in missing:
        try:
            apt = apt or Apt(os.path.join(top, "apt"), missing)
            with tempfile.TemporaryDirectory(prefix="bvt-") as directory:
                unpack(apt.download(apt.packages(KERNELS[label][1]), directory), os.path.join(top, label))
        except (Unavailable, OSError, lzma.LZMAError, zlib.error) as problem:
            result[label] = str(problem).replace("\n", " ")
    return result


def release(top, label):
    with open(os.path.join(top, label, "release"), encoding="ascii") as text:
        return text.read().strip()
