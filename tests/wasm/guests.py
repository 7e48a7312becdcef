#!/usr/bin/env python3
"""tests/wasm/guests.py - C programs against wasi-libc, run natively and as guests, and compared.

usage: guests.py --runner build/tests/wasm/guest_run [--only NAME]
Each program of guests/ is compiled twice: by cc for the host, by clang-14 for wasm32-wasi. Both run in an empty directory of
their own with the same arguments, environment and stdin; what they print, how they end and what they leave behind must be
the same. The rest are programs that only make sense as guests; there the host's side is looked at. Exits 77 without clang or
wasi-libc.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WASM_CC = "clang-14"
WASM_FLAGS = ["--target=wasm32-wasi", "--sysroot=/usr", "-O2", "-D_WASI_EMULATED_SIGNAL", "-D_GNU_SOURCE"]
count = failures = 0


def ok(good, name, detail=""):
    global count, failures
    count += 1
    print(f"{'ok' if good else 'not ok'} {count} - {name}")
    if not good:
        failures += 1
        for line in str(detail).split("\n")[:40]:
            print(f"# {line}")
    sys.stdout.flush()
    return good


def available():
    if not shutil.which(WASM_CC) or not shutil.which("cc"):
        return f"no {WASM_CC} or no cc"
    with tempfile.TemporaryDirectory(prefix="bvt-guests-") as work:
        source = os.path.join(work, "x.c")
        with open(source, "w", encoding="utf-8") as out:
            out.write("#include <stdio.h>\nint main(void) { return puts(\"x\") < 0; }\n")
        done = subprocess.run([WASM_CC, *WASM_FLAGS, "-o", source + ".wasm", source], capture_output=True, check=False)
        return None if done.returncode == 0 else "clang has no wasi-libc: " + done.stderr.decode(errors="replace")[:200]


def build(work, source, wasm):
    name = os.path.basename(source)[:-2]
    flags = [WASM_CC, *WASM_FLAGS] if wasm else ["cc", "-O2", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64"]
    target = os.path.join(work, name + (".wasm" if wasm else ".native"))
    # Two steps: on one line clang hands the module to another program's optimizer where that is installed.
    subprocess.run([*flags, "-Wall", "-Wno-unused-result", "-c", "-o", target + ".o", source], check=True)
    subprocess.run([*flags, "-o", target, target + ".o"], check=True)
    return target


def tree(top):
    """What is below a directory: paths, kinds, sizes, contents, targets and link counts, as one text."""
    lines = []
    for directory, names, files in os.walk(top):
        names.sort()
        for name in sorted(names + files):
            path = os.path.join(directory, name)
            shown = os.path.relpath(path, top)
            st = os.lstat(path)
            if os.path.islink(path):
                lines.append(f"{shown!r} -> {os.readlink(path)!r}")
            elif os.path.isdir(path):
                lines.append(f"{shown!r}/")
            else:
                with open(path, "rb") as content:
                    digest = hashlib.sha256(content.read()).hexdigest()
                lines.append(f"{shown!r} {st.st_size} {st.st_nlink} {digest}")
    return "\n".join(sorted(lines))


def run(command, cwd, stdin, env, late=None):
    """stdout, stderr and status. late: bytes written after a quarter of a second, the end half a second after them."""
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)

    def feed():
        if late is not None:
            time.sleep(0.25)
            process.stdin.write(late)
            process.stdin.flush()
            time.sleep(0.5)
        else:
            process.stdin.write(stdin)
        process.stdin.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    out = process.stdout.read()
    err = process.stderr.read()
    feeder.join()
    return out.decode(errors="replace"), err.decode(errors="replace"), process.wait(timeout=100)


def difference(a, b):
    left, right = a.split("\n"), b.split("\n")
    pairs = [f"native {x}\nguest  {y}" for x, y in zip(left, right) if x != y]
    return "\n".join(pairs) or f"{len(left)} lines and {len(right)}"


def staged(work, runner, name):
    """The same program in a staged root: the same answers, and nothing of it in the host's directory."""
    source = os.path.join(HERE, "guests", name + ".c")
    native, module = build(work, source, False), build(work, source, True)
    places = [os.path.join(work, name + "-" + side) for side in ("plain", "lower", "stage")]
    for place in (*places, places[2] + "/upper", places[2] + "/work"):
        os.mkdir(place)
    a = run([native], places[0], b"", {})
    before = os.stat(places[1]).st_ctime_ns
    b = run([runner, "--stage", places[2], "--root", f"{places[1]}=/data", module], places[1], b"", {})
    ok(a == b and len(a[0]) > 20, f"{name}, staged: prints and ends the same, {a[0].count(chr(10))} lines", difference(a[0], b[0]) + b[1])
    left, right = tree(places[0]), tree(places[2] + "/upper")
    ok(left == right, f"{name}, staged: leaves the same in the upper layer, {len(left.split(chr(10)))} entries", difference(left, right))
    ok(os.listdir(places[1]) == [] and os.stat(places[1]).st_ctime_ns == before and os.listdir(places[2] + "/work") == [],
       f"{name}, staged: the host's directory is untouched, the work directory empty")
    for place in places:
        shutil.rmtree(place)


def compare(work, runner, name, arguments=(), env=None, stdin=b"", late=None):
    source = os.path.join(HERE, "guests", name + ".c")
    native, module = build(work, source, False), build(work, source, True)
    places = [os.path.join(work, name + "-" + side) for side in ("native", "guest")]
    for place in places:
        os.mkdir(place)
    env = env or {}
    options = [word for key in env for word in ("--env", f"{key}={env[key]}")]
    a = run([native, *arguments], places[0], stdin, env, late)
    b = run([runner, "--root", f"{places[1]}=/data", *options, module, *arguments], places[1], stdin, env, late)
    ok(a[0] == b[0] and len(a[0]) > 20, f"{name}: prints the same, {a[0].count(chr(10))} lines", difference(a[0], b[0]))
    ok(a[1:] == b[1:], f"{name}: ends the same, status {a[2]}", f"{a[1:]} {b[1:]}")
    left, right = tree(places[0]), tree(places[1])
    ok(left == right, f"{name}: leaves the same behind, {len(left.split(chr(10)))} entries", difference(left, right))
    for place in places:
        shutil.rmtree(place)


def outside(work, runner):
    module = build(work, os.path.join(HERE, "guests", "outside.c"), True)
    world = os.path.join(work, "world")
    for name in ("data/sub", "ro", "tmp"):
        os.makedirs(os.path.join(world, name))
    for name, text in (("secret", "SECRET"), ("ro/file", "read only"), ("data/mine", "mine")):
        with open(os.path.join(world, name), "w", encoding="utf-8") as out:
            out.write(text)
    os.symlink("../secret", os.path.join(world, "data/planted"))
    before = (tree(os.path.join(world, "ro")), os.stat(os.path.join(world, "secret")).st_ctime_ns, os.stat(os.path.join(world, "ro/file")).st_ctime_ns)
    out, err, status = run([runner, "--root", f"{world}/data=/srv/data", "--root", f"{world}/ro=/srv/ro:ro", "--tmp", f"{world}/tmp",
                            "--usage", module, os.path.join(world, "secret")], world, b"", {})
    answers = dict(line.rsplit(" = ", 1) for line in out.strip().split("\n"))
    ok(status == 0 and len(answers) == 29, "outside: ran to its end", out + err)
    after = (tree(os.path.join(world, "ro")), os.stat(os.path.join(world, "secret")).st_ctime_ns, os.stat(os.path.join(world, "ro/file")).st_ctime_ns)
    ok(before == after, "outside: what is outside and what is read-only are untouched")
    ok(sorted(os.listdir(world)) == ["data", "ro", "secret", "tmp"], "outside: nothing new beside the roots", os.listdir(world))
    worked = sorted(call for call, answer in answers.items() if not answer.startswith("-1"))
    ok(worked == sorted(['symlink("../secret", "link")', 'link("planted", "hard")', 'open("/srv/ro/file", O_RDONLY) >= 0 ? 0 : -1',
                         'mkdir("/tmp/dir", 0755)', 'mkdir("/srv/data/sub2", 0755)', 'stat("sub2", &st)']), "outside: only what may work did", worked)
    readonly = [answers[call] for call in answers if "/srv/ro/" in call and call not in worked]
    ok(len(readonly) == 11 and all("EROFS" in answer for answer in readonly), "outside: a read-only root says EROFS, at open", readonly)
    ok(err.count("denied 0") >= 6 and err.count("denied 2") == 11, "outside: each denial is recorded", err)
    ok("EXDEV" in answers['rename("/tmp/dir", "/srv/data/dir")'], "outside: roots are file systems of their own")
    shutil.rmtree(world)


def limits(work, runner):
    module = build(work, os.path.join(HERE, "guests", "fill.c"), True)
    place = os.path.join(work, "fill")
    os.mkdir(place)
    out, err, status = run([runner, "--root", f"{place}=/fill", "--storage", "1048576", "--handles", "12", "--usage", module], place, b"", {})
    ok(status == 0 and "1048576 bytes, then -1 ENOSPC" in out, "limits: storage ends at the very byte", out + err)
    ok("6 opened, then EMFILE" in out or "7 opened, then EMFILE" in out, "limits: descriptors end", out)
    ok("handles 12/1" in err and "1048576 denials" in err, "limits: and the witness says so", err)
    shutil.rmtree(place)


def small(work, name, text):
    source = os.path.join(work, name + ".c")
    with open(source, "w", encoding="utf-8") as out:
        out.write(text)
    return build(work, source, True)


def endings(work, runner):
    for code in (0, 1, 125, 255):
        module = small(work, f"exit{code}", f"#include <stdlib.h>\nint main(void) {{ exit({code}); }}\n")
        ok(run([runner, module], work, b"", {})[2] == code, f"endings: exit({code})")
    out, err, status = run([runner, small(work, "trap", "int main(void) { __builtin_trap(); }\n")], work, b"", {})
    ok(status == 134 and "unreachable" in err, "endings: a trap", err)
    module = small(work, "alien", "__attribute__((import_module(\"env\"), import_name(\"steal\"))) int steal(void);\nint main(void) { return steal(); }\n")
    out, err, status = run([runner, module], work, b"", {})
    ok(status == 126 and "env.steal" in err, "endings: an unknown import is refused by its name", err)
    module = small(work, "spin", "int main(void) { for (volatile int i = 0;; i++) { } }\n")
    out, err, status = run([runner, "--fuel", "50000000", module], work, b"", {})
    ok(status == 134 and "fuel" in err, "endings: an endless loop ends with its fuel", err)
    module = small(work, "sleep", "#include <unistd.h>\nint main(void) { sleep(3600); return 5; }\n")
    begin = time.monotonic()
    out, err, status = run([runner, "--frozen", module], work, b"", {})
    ok(status == 5 and time.monotonic() - begin < 60, "endings: an hour on a frozen clock is over at once", err)


def same_fuel(work, runner):
    module = build(work, os.path.join(HERE, "guests", "files.c"), True)

    def fuel(number, *options):
        place = os.path.join(work, f"fuel{number}")
        os.mkdir(place)
        err = run([runner, "--root", f"{place}=/d", "--usage", *options, module], place, b"", {})[1]
        shutil.rmtree(place)
        return int(err.split("fuel ")[1].split()[0])

    counted = fuel("counted", "--count-each")
    used = {fuel(number, "--slice", str(1000 if number == 0 else 1000 * number + 7)) for number in range(100)}
    ok(used == {counted}, f"fuel: a hundred runs of files.c in slices of every length use {used}, the counting code {counted}", used)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runner", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    runner = os.path.abspath(options.runner)
    missing = available()
    if missing:
        print(f"1..0 # SKIP {missing}")
        return 1 if os.environ.get("BV_TESTS_MUST_RUN") == "1" else 77
    with tempfile.TemporaryDirectory(prefix="bvt-guests-") as work:
        cases = {
            "files": lambda: compare(work, runner, "files"),
            "dirs": lambda: compare(work, runner, "dirs"),
            "links": lambda: compare(work, runner, "links"),
            "times": lambda: compare(work, runner, "times"),
            "errnos": lambda: compare(work, runner, "errnos"),
            "words": lambda: compare(work, runner, "words", ["one", "two words", "", "\u00e9\U0001f427", "-x"],
                                     {"A": "1", "B": "two = 2"}, b"some\nlines\nof text"),
            "waits": lambda: compare(work, runner, "waits", late=b"late"),
            "staged": lambda: [staged(work, runner, name) for name in ("files", "dirs", "links", "times", "errnos")],
            "outside": lambda: outside(work, runner),
            "limits": lambda: limits(work, runner),
            "endings": lambda: endings(work, runner),
            "fuel": lambda: same_fuel(work, runner),
        }
        for name, case in cases.items():
            if options.only in ("", name):
                case()
    print(f"1..{count}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
