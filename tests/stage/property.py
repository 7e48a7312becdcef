#!/usr/bin/env python3
"""tests/stage/property.py - random sequences of file operations on a staged tree and on a plain copy of it must come out the same.

usage: property.py --bvisor PROGRAM --ops PROGRAM [--guest ops.c] [--sequences N] [--seed N] [--as root|user]
With --guest the sequences are run by ops.c compiled for wasm32-wasi, under the Wasm backend.
Each batch makes many small trees, copies them, runs a sequence on each tree under `bvisor run --stage` and the same on the copy (ops.c says
what overlayfs documents as different). The answers of all operations must be equal; the host's tree must be as before until the commit, equal
to the copy byte for byte after it, and as before after a discard (every second batch). TAP on stdout.
"""

import argparse
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile

BATCH = 100


def picture(top):
    """{path: (mode, content)} of everything below top, names as bytes."""
    found = {}
    for directory, directories, names in os.walk(os.fsencode(top)):
        for name in directories + names:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            content = b""
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as text:
                    content = hashlib.sha256(text.read()).digest()
            elif stat.S_ISLNK(st.st_mode):
                content = os.readlink(path)
            found[os.path.relpath(path, os.fsencode(top))] = (st.st_mode if not stat.S_ISLNK(st.st_mode) else 0, content)
    return found


def difference(one, other):
    for path in sorted(set(one) | set(other)):
        if one.get(path) != other.get(path):
            return f"{path!r}: {one.get(path)} and {other.get(path)}"
    return None


class Batch:
    """One staged run over many trees, beside the same operations on a copy."""

    def __init__(self, options, top, first, count, discard):
        self.options = options
        self.top = top
        self.range = [str(first), str(count)]
        self.discard = discard
        self.staged = os.path.join(top, "staged")
        self.plain = os.path.join(top, "plain")

    def ops(self, action, directory, *more):
        return [self.options.ops, action, directory, *self.range, *more]

    def bvisor(self, *words):
        return subprocess.run([self.options.bvisor, *words, "--journal", os.path.join(self.top, "state")], check=False, capture_output=True)

    def attempts(self):
        return [line.split()[0] for line in self.bvisor("artifacts", "list").stdout.decode().splitlines()]

    def check(self):
        """None, or what is wrong."""
        os.mkdir(self.staged)
        subprocess.run(self.ops("make", self.staged), check=True)
        shutil.copytree(self.staged, self.plain, symlinks=True)
        for tree in os.listdir(self.plain): # copytree breaks hard links; the trees have one
            os.unlink(os.path.join(self.plain, tree, "d2", "f1"))
            os.link(os.path.join(self.plain, tree, "f1"), os.path.join(self.plain, tree, "d2", "f1"))
        before = picture(self.staged)
        seed = str(self.options.seed)
        ran, roots = self.options.ops, ["--ro", os.path.dirname(self.options.ops)]
        if self.options.guest:
            ran, roots = self.options.guest, ["--cpu", "60s"]
        run = subprocess.run([self.options.bvisor, "run", "--rw", self.staged, *roots, "--stage", "--capture", "0",
                              "--journal", os.path.join(self.top, "state"), ran, "run", self.staged, *self.range, seed],
                             check=False, capture_output=True)
        model = subprocess.run(self.ops("guest-model" if self.options.guest else "model", self.plain, seed), check=False, capture_output=True)
        if run.returncode != 0 or model.returncode != 0:
            return f"exit {run.returncode} {run.stderr[-300:]!r}, model {model.returncode} {model.stderr[-300:]!r}"
        if run.stdout.count(b"\n") != model.stdout.count(b"\n") or run.stdout.count(b"\n") < int(self.range[1]):
            return f"{run.stdout.count(bytes([10]))} operations staged, {model.stdout.count(bytes([10]))} on the plain copy"
        for one, other in zip(run.stdout.splitlines(), model.stdout.splitlines()):
            if one != other:
                return f"staged {one.decode()}, plain {other.decode()}"
        wrong = difference(picture(self.staged), before)
        if wrong:
            return f"before the decision the host's tree is another: {wrong}"
        return self.decide(before)

    def decide(self, before):
        attempts = self.attempts()
        if len(attempts) != 1:
            return f"kept attempts: {attempts}"
        decided = self.bvisor("artifacts", "discard" if self.discard else "commit", attempts[0])
        if decided.returncode != 0:
            return f"exit {decided.returncode}: {decided.stderr.decode()}"
        wrong = difference(picture(self.staged), before if self.discard else picture(self.plain))
        if wrong:
            return f"after the {'discard' if self.discard else 'commit'}: {wrong}"
        return f"kept afterwards: {self.attempts()}" if self.attempts() else None


def compile_guest(source, work):
    """ops.c as a module, or why there is none."""
    module = os.path.join(work, "ops.wasm")
    clang = shutil.which("clang-14")
    if not clang:
        return None, "no clang-14"
    flags = ["--target=wasm32-wasi", "--sysroot=/usr", "-O2", "-D_GNU_SOURCE"]
    for words in ([*flags, "-c", "-o", module + ".o", source], [*flags, "-o", module, module + ".o"]):
        done = subprocess.run([clang, *words], check=False, capture_output=True)
        if done.returncode != 0:
            return None, "ops.c cannot be compiled for wasm32-wasi: " + done.stderr.decode(errors="replace")[:300]
    return module, None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bvisor", required=True)
    parser.add_argument("--ops", required=True)
    parser.add_argument("--guest", default=None)
    parser.add_argument("--sequences", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as", dest="user", choices=["root", "user"], default=None)
    options = parser.parse_args()
    home = tempfile.mkdtemp(prefix="bvisor-property-")
    if options.user == "root" and os.geteuid() != 0:
        print("1..0 # SKIP needs root")
        return 0
    os.mkdir(os.path.join(home, "bin"), 0o755)
    for name in ("bvisor", "ops"):  # out of directories that an ordinary user may not enter
        shutil.copy(getattr(options, name), os.path.join(home, "bin", name))
        setattr(options, name, os.path.join(home, "bin", name))
    if options.guest:
        options.guest, missing = compile_guest(options.guest, os.path.join(home, "bin"))
        if missing:
            print(f"1..0 # SKIP {missing}")
            return 1 if os.environ.get("BV_TESTS_MUST_RUN") == "1" else 77
        os.chmod(options.guest, 0o644)
    os.chmod(home, 0o755)
    if options.user == "user" and os.geteuid() == 0:
        os.chown(home, 1000, 1000)
        os.setgroups([])
        os.setresgid(1000, 1000, 1000)
        os.setresuid(1000, 1000, 1000)
    failures = 0
    done = 0
    number = 0
    try:
        while done < options.sequences and failures == 0:
            count = min(BATCH, options.sequences - done)
            top = os.path.join(home, f"b{number}")
            os.mkdir(top)
            wrong = Batch(options, top, done, count, number % 2 == 1).check()
            failures += wrong is not None
            if wrong:
                print(f"# batch {number} from sequence {done}: {wrong}")
            shutil.rmtree(top, ignore_errors=True)
            done += count
            number += 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print("1..1")
    print(f"{'not ok' if failures else 'ok'} 1 - {done} sequences of 24 operations, staged and plain, {number} runs as uid {os.geteuid()}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
