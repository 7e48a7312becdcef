#!/usr/bin/env python3
"""tests/kernels/test_machines.py - what kernels.py makes of a machine that dies, hangs or finishes, and what CI's summary prints of it.

A program of this test's own stands in for QEMU and plays the serial lines of each ending; no kernel is booted. TAP on stdout.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import kernels  # noqa: E402  pylint: disable=wrong-import-position

SUMMARY = os.path.join(HERE, "..", "..", "tools", "ci_summary.py")
# Each start takes one word from the file that FAKE_PLAY names: what this machine does.
FAKE = """#!/usr/bin/python3
import os, re, sys, time
words = sys.argv
paths = {id: path for id, path in re.findall(r"file,id=(c.),path=(\\S+)", " ".join(words))}
mark = re.search(r"bv.mark=(\\S+)", " ".join(words))[1]
with open("PLAY") as play:
    left = play.read().split()
with open("PLAY", "w") as play:
    play.write(" ".join(left[1:]))
out, console = open(paths["c1"], "w"), open(paths["c0"], "w")
def suite(name, text):
    out.write(f"\\n{mark} begin {name}\\n{text}\\n{mark} end {name} {int('not ok' in text)} 1.0 2.0\\n")
suite("load root", "not ok 1 - uid 0 cpu" if left[0] == "fails-then-panics" else "ok 1 - uid 0 cpu")
if left[0] != "finishes":
    out.write(f"\\n{mark} begin escape root\\n{'not ok' if left[0] == 'panics-after-not-ok' else 'ok'} 1 - root fs.read_outside\\n")
    out.flush()
if left[0] == "hangs":
    time.sleep(300)
if left[0] == "crashes":
    os.kill(os.getpid(), 11)
if left[0] != "finishes":
    console.write("[   30.1] Kernel panic - not syncing: Fatal exception\\r\\n")
    sys.exit(0)
suite("escape root", "ok 1 - root fs.read_outside\\nok 2 - root fs.list_outside")
out.write(f"\\n{mark} done\\n")
"""
OPTIONS = types.SimpleNamespace(verbose=False, suites="load,escape", brief=True, only=None, seconds=60)


def play(top, *machines, seconds=60):
    """(passed, lines that kernels.py prints, machines that were not started) of one boot whose starts end so."""
    kernels.QEMU = os.path.join(top, "qemu")
    with open(kernels.QEMU, "w", encoding="ascii") as program:
        program.write(FAKE.replace("PLAY", os.path.join(top, "play")))
    os.chmod(kernels.QEMU, 0o755)
    with open(os.path.join(top, "play"), "w", encoding="ascii") as words:
        words.write(" ".join(machines))
    OPTIONS.seconds = seconds
    tap, out = kernels.Tap(), io.StringIO()
    with contextlib.redirect_stdout(out):
        tap.boot(kernels.run(kernels.Boot("6.12", "v1"), OPTIONS, top, "none"), False)
    with open(os.path.join(top, "play"), encoding="ascii") as words:
        return tap.failed == 0, out.getvalue(), words.read().split()


def summary(top, stdout, result, stderr=""):
    os.makedirs(top + "/build/meson-logs", exist_ok=True)
    with open(top + "/build/meson-logs/testlog.json", "w", encoding="utf-8") as log:
        log.write(json.dumps({"name": "kernels", "result": result, "returncode": 1, "stdout": stdout, "stderr": stderr}) + "\n")
    done = subprocess.run([sys.executable, SUMMARY, top + "/build"], capture_output=True, check=False)
    return done.returncode, done.stdout.decode()


def checks(top):
    passed, text, left = play(top, "finishes", "finishes")
    yield passed and "WARNING" not in text and left == ["finishes"], "a machine that finishes is started once", text
    passed, text, _ = play(top, "panics", "finishes")
    yield passed and "# WARNING STARTED ONCE MORE: 6.12 v1: console: [   30.1] Kernel panic" in text, "a panic is started again, loudly", text
    code, told = summary(top, text, "OK")
    yield code == 0 and "WARNING build: kernels: STARTED ONCE MORE: 6.12 v1: console: [" in told, "the summary repeats the warning", told
    passed, text, _ = play(top, "crashes", "finishes")
    yield passed and "QEMU ended with signal 11" in text, "an end of QEMU's is started again, with its signal", text
    passed, text, left = play(top, "panics", "crashes", "finishes")
    yield not passed and left == ["finishes"], "a second death is a failure", text
    code, told = summary(top, text, "FAIL")
    yield (code == 1 and "FAILED  build: kernels: 6.12  v1" in told and "in escape root" in told
           and "escape root: ok 1 - root fs.read_outside" in told), "the summary says where it died and what was said last", told
    passed, text, left = play(top, "fails-then-panics", "finishes")
    yield not passed and left == ["finishes"] and "uid 0 cpu" in text, "a panic after a failed test is no second chance", text
    passed, text, left = play(top, "panics-after-not-ok", "finishes")
    yield not passed and left == ["finishes"] and "not ok 1 - root fs" in text, "nor after a failed line of an unfinished suite", text
    passed, text, left = play(top, "hangs", "finishes", seconds=5)
    yield not passed and left == ["finishes"] and "not done after 5 s" in text, "a machine that hangs has failed", text
    code, told = summary(top, "not ok 1 - a\n" + "".join(f"# line {n}\n" for n in range(30)) + "ok 2 - b\n# line of b\n1..2\n", "FAIL")
    yield ("(10 lines before these)" in told and "        line 29" in told and "line 9\n" not in told and "line of b" not in told
           and told.endswith("1 passed, 1 failed, 0 skipped\n")), "the summary shows the end of what a failed test said", told
    code, told = summary(top, "", "ERROR", "\x1b[31mno such file\n")
    yield code == 1 and "        .[31mno such file\n" in told, "and the end of what a program that died said, made harmless", told


def main():
    count = failed = 0
    with tempfile.TemporaryDirectory(prefix="bvt-") as top:
        for ok, name, text in checks(top):
            count += 1
            failed += not ok
            print(f"{'ok' if ok else 'not ok'} {count} - {name}")
            if not ok:
                print("".join(f"# {line}\n" for line in text.splitlines()), end="")
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
