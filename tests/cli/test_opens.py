"""tests/cli/test_opens.py - what a run looks at and makes anew, counted by strace(1): nothing twice that once is enough for.

usage: test_opens.py BVISOR
A granted root is opened once by the supervisor, which plans and starts with what it saw (a saved plan: once when it is compared and once when it is
run), and by init once in the host's tree, where the mount must be cloned in its own namespace (open_tree(2): EINVAL for a descriptor of another), and
once in the finished root, for its Landlock rule. The seccomp programs were compiled when bvisor was built."""

import os
import re
import shutil
import subprocess

import clitest


def trace(words, place):
    """[(pid, call, rest of the line)] of all processes, and the exit status."""
    out = os.path.join(place, "trace")
    done = subprocess.run(["strace", "-f", "-qq", "-e", "trace=openat,openat2,open,seccomp,clone3,execve", "-o", out, clitest.BVISOR] + words,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    calls = []
    with open(out, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = re.match(r"(\d+) +(?:<\.\.\. )?(\w+)(.*)", line)
            if match:
                calls.append(match.groups())
    return calls, done


def opens_of(calls, path):
    """{pid: how often it opened the path}"""
    counts = {}
    for pid, call, rest in calls:
        if call.startswith("open") and f'"{path}"' in rest and "resumed" not in rest[:10]:
            counts[pid] = counts.get(pid, 0) + 1
    return counts


def check(what, words, place, roots, here):
    calls, done = trace(words, place)
    if not clitest.ok(done.returncode == 0, f"{what}: runs", done.stderr.decode()):
        return
    for root in roots:
        counts = opens_of(calls, root)
        clitest.ok(counts.pop(calls[0][0], 0) == here and list(counts.values()) == [2],
                   f"{what}: {os.path.basename(root)} is opened {here} time(s) here and twice by init",
                   counts)
    filters = [rest for _, call, rest in calls if call == "seccomp" and "SECCOMP_SET_MODE_FILTER" in rest and "resumed" not in rest[:10]]
    clitest.ok(2 <= len(filters) <= 3, f"{what}: filters are the trial's, the workload's and a canary's", "\n".join(filters))


def main():
    place = clitest.fresh_directory()
    if not shutil.which("strace") or subprocess.run(["strace", "-qq", "-o", "/dev/null", "/bin/true"], check=False).returncode:
        clitest.skip("opens are counted", "no strace here, or it may not trace")
        clitest.done()
        return
    roots = [os.path.join(place, name) for name in ("first", "second")]
    grants = []
    for root in roots:
        os.mkdir(root)
        grants += ["--ro", root]
    program = ["--rx", "/usr", "--", os.path.realpath("/bin/true")]
    check("run", ["run", "--no-journal", "-q"] + grants + program, place, roots, 1)
    plan = os.path.join(place, "plan.json")
    with open(plan, "wb") as out:
        subprocess.run([clitest.BVISOR, "plan", "--json"] + grants + program, stdout=out, check=True)
    check("a plan again", ["exec", "--no-journal", "-q", plan], place, roots, 2)
    names = subprocess.run(["nm", clitest.BVISOR], capture_output=True, check=False).stdout.decode().split()
    clitest.ok("bv_early_entry" in names or "main" in names, "the command's symbols can be read")
    clitest.ok("seccomp_init" not in names and "seccomp_load" not in names, "no compiler of filters is in the command")
    clitest.done()


main()
