#!/usr/bin/env python3
"""tests/wasm/interpreter.py - Lua, as Debian ships its source, as a guest: real scripts, and the native build beside it.

usage: interpreter.py --runner build/tests/wasm/guest_run [--keep DIRECTORY]
The source package is fetched with apt (and its signature checked by it) into DIRECTORY/lua unless it is there; nothing of it is in this
tree. It is compiled twice, by cc and by clang-14 against wasi-libc, 30,000 lines each. Both run the scripts of guests/lua in directories of their
own: standard output, standard error, the status and what is left behind must be the same. Says why and exits 77 where the source or
the compiler cannot be had.
"""

import argparse
import glob
import os
import shutil
import subprocess
import sys
import tempfile

import guests

sys.path.insert(0, os.path.join(guests.HERE, "..", "kernels"))
import fetch  # noqa: E402  the same mirror and keyring

PACKAGE = "lua5.4"
OURS = os.path.join(guests.HERE, "guests", "lua")


def suite():
    """The release whose source is asked for: this machine's."""
    with open("/etc/os-release", encoding="utf-8") as release:
        words = dict(line.rstrip("\n").split("=", 1) for line in release if "=" in line)
    return words.get("VERSION_CODENAME", "").strip('"') or "stable"


def fetch_source(keep):
    """The directory of Lua's C files, or an exception that says why there is none."""
    top = os.path.join(keep, "lua")
    if not os.path.isdir(os.path.join(top, "src")):
        for tool in ("apt-get", "dpkg-source"):
            if not shutil.which(tool):
                raise fetch.Unavailable(f"no {tool}")
        with tempfile.TemporaryDirectory(prefix="bvt-lua-") as work:
            for name in ("lists/partial", "cache/archives/partial"):
                os.makedirs(os.path.join(work, name))
            with open(os.path.join(work, "sources.list"), "w", encoding="ascii") as out:
                out.write(f"deb-src [signed-by={fetch.KEYRING}] {fetch.mirror()}/debian {suite()} main\n")
            options = ["-o", f"Dir::Etc::SourceList={work}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null", "-o",
                       f"Dir::State::Lists={work}/lists", "-o", f"Dir::Cache={work}/cache", "-o", "APT::Sandbox::User=root", "-o",
                       "Acquire::Retries=3", "-qq"]
            fetch.call("apt-get", *options, "update")
            fetch.call("apt-get", *options, "source", "--download-only", PACKAGE, cwd=work)
            found = glob.glob(os.path.join(work, "*.dsc"))
            if not found:
                raise fetch.Unavailable(f"apt has no source of {PACKAGE}")
            fetch.call("dpkg-source", "--no-check", "-x", found[0], os.path.join(work, "unpacked"))
            os.makedirs(keep, exist_ok=True)
            shutil.rmtree(top, ignore_errors=True)
            shutil.move(os.path.join(work, "unpacked"), top)
    return os.path.join(top, "src")


def build(source, work, wasm):
    """Lua itself and its libraries; the compiler of Lua's own byte code is another program."""
    command = [guests.WASM_CC, *guests.WASM_FLAGS, "-D_WASI_EMULATED_PROCESS_CLOCKS", "-isystem", os.path.join(OURS, "wasi"), "-include",
               os.path.join(OURS, "wasi", "guest.h")] if wasm else ["cc", "-O2"]
    libraries = ["-lm", "-lwasi-emulated-signal", "-lwasi-emulated-process-clocks"] if wasm else ["-lm"]
    target = os.path.join(work, "lua.wasm" if wasm else "lua")
    files = sorted(path for path in glob.glob(os.path.join(source, "*.c")) if os.path.basename(path) != "luac.c")
    objects = []
    for path in files:
        objects.append(os.path.join(work, os.path.basename(path) + (".wasm.o" if wasm else ".o")))
        subprocess.run([*command, "-w", "-I", OURS, "-c", "-o", objects[-1], path], check=True)
    # Debian's wasi-libc and the linker's warning about tmpnam are nobody's concern here.
    subprocess.run([*command, "-w", "-o", target, *objects, *libraries], check=True, stderr=subprocess.DEVNULL)
    return target, len(files)


def compare(work, runner, programs, script, arguments, stdin):
    places = [os.path.join(work, side) for side in ("native", "guest")]
    for place in places:
        os.mkdir(place)
        shutil.copy(os.path.join(OURS, script), place)
    env = {"NAMED": "a value"}
    native = guests.run([programs[0], script, *arguments], places[0], stdin, env)
    guest = guests.run([runner, "--root", f"{places[1]}=/", "--env", "NAMED=a value", "--usage", programs[1], script, *arguments], places[1],
                       stdin, env)
    said, _, usage = guest[1].partition("guest_run: ")
    guests.ok(native[0] == guest[0] and native[0].count("\n") >= 10, f"{script}: prints the same, {native[0].count(chr(10))} lines",
              guests.difference(native[0], guest[0]))
    guests.ok(native[2] == guest[2] and said.startswith(native[1]), f"{script}: ends the same, status {native[2]}", f"{native[1:]} {guest[1:]}")
    left, right = guests.tree(places[0]), guests.tree(places[1])
    guests.ok(left == right, f"{script}: leaves the same behind, {len(left.split(chr(10)))} files", guests.difference(left, right))
    print(f"# {script}: {guest[1].strip().splitlines()[-1] if guest[1].strip() else usage}")
    for place in places:
        shutil.rmtree(place)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runner", required=True)
    parser.add_argument("--keep", default=os.path.join("build", "tests", "wasm", "sources"))
    options = parser.parse_args()
    try:
        missing = guests.available()
        source = None if missing else fetch_source(options.keep)
    except (fetch.Unavailable, OSError) as problem:
        missing = f"no source of {PACKAGE}: {problem}"
    if missing:
        missing = missing.replace("\n", " ")
        print(f"1..0 # SKIP {missing}")
        return 1 if os.environ.get("BV_TESTS_MUST_RUN") == "1" else 77
    with tempfile.TemporaryDirectory(prefix="bvt-interpreter-") as work:
        runner = os.path.abspath(options.runner)
        (native, files), (module, _) = build(source, work, False), build(source, work, True)
        with open(os.path.join(source, "lvm.c"), "rb") as text:
            stdin = text.read()
        print(f"# {files} files of C, a module of {os.path.getsize(module)} bytes")
        for script, arguments in (("text.lua", ["one", "two words"]), ("numbers.lua", []), ("data.lua", [])):
            compare(work, runner, (native, module), script, arguments, stdin)
    print(f"1..{guests.count}")
    return 1 if guests.failures else 0


if __name__ == "__main__":
    sys.exit(main())
