#!/usr/bin/env python3
"""tests/soak/soak.py - many runs that end in every way, and the host before and after: nothing may be left.

usage: soak.py --bvisor PROGRAM [--short] [--seed N] [--idle PROGRAM]
1,000 runs, 50 at once throughout (--short: 20 runs, one after the other): 200 cancelled by SIGTERM at a random moment, 100 with
the supervisor killed by SIGKILL, 20 with it stopped while its wall limit passes (--short: 4, 2, 1). Processes, cgroups, mounts,
temporary directories and this process's own descriptors are compared before and after, and printed (not --short). A killed
supervisor's tree must die by itself within a second (ten with 50 runs at once: the machine is then the slow one); its cgroups
and directories must be gone after the next run. As root every second run is an ordinary user's. TAP on stdout.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import bvhost  # noqa: E402  pylint: disable=wrong-import-position

CGROUPS = "/sys/fs/cgroup"


def cgroups(owners):
    """Leaves of our own runs in any hierarchy of this machine: their names end in .PIDNS.PID.START of the supervisor."""
    found = []
    for top, directories, _ in os.walk(CGROUPS):
        found += [os.path.join(top, name) for name in directories
                  if name.startswith("bvisor-") and name.count(".") == 3 and int(name.split(".")[2]) in owners]
    return sorted(found)


def bvisor_dirs():
    found = []
    for top in {"/tmp", "/dev/shm", "/run", "/var/tmp", tempfile.gettempdir()}:
        with contextlib.suppress(OSError):
            found += [os.path.join(top, name) for name in os.listdir(top) if name.startswith("bvisor")]
    return sorted(found)


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as text:
        return sorted(line.split(" ", 1)[1] for line in text)


def snapshot(marks, owners):
    """What of ours exists: every figure a sorted list, so that a difference can be named."""
    return {
        "processes": sorted(pid for pid in bvhost.pids() if any(mark in environment(pid) for mark in marks) and bvhost.alive(pid)),
        "cgroups": cgroups(owners),
        "mounts": mounts(),
        "temporary": bvisor_dirs(),
        "descriptors": sorted(os.listdir("/proc/self/fd")),
    }


def environment(pid):
    """Command line and name of a process: the marks of the soak's own programs are unique paths."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as text:
            return text.read().decode("latin-1")
    return ""


class Soak:
    def __init__(self, arguments, top):
        self.top, self.random = top, random.Random(arguments.seed)
        self.bvisor = os.path.join(top, "bvisor")
        self.idle = os.path.join(top, "idle")
        shutil.copy(arguments.bvisor, self.bvisor)
        shutil.copy(arguments.idle, self.idle)
        for path in (self.bvisor, self.idle):
            os.chmod(path, 0o755)
        self.problems = []
        self.owners = set()
        self.left = 0
        self.ends = {}
        self.kills = []
        self.at_once = 1 if arguments.short else 50
        self.patience = 1.0 if arguments.short else 10.0  # seconds that a machine with 50 runs at once may take over a death
        self.lock = threading.Lock()

    def start(self, index, options, millis):
        """One run; even indices as root when the harness is, odd ones as the ordinary user."""
        place = os.path.join(self.top, f"run-{index}")
        os.mkdir(place)
        command = []
        if os.getuid() == 0 and index % 2 == 1:
            os.chown(place, bvhost.USER, bvhost.USER)
            command = ["setpriv", f"--reuid={bvhost.USER}", f"--regid={bvhost.USER}", "--clear-groups", "--"]
        report = os.path.join(place, "report.json")
        # The name of the workload's tasks tells one run's tree from every other's.
        name = f"bvs{index}x{os.getpid()}"[:15]
        command += [self.bvisor, "run", "--no-journal", "-q", "--report", report, "--spawn", "any", "--tmp", *options, "--",
                    self.idle, name, str(millis)]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={}, cwd="/")
        with self.lock:
            self.owners.add(child.pid)
        return child, report, name

    def outcome(self, child, report, timeout=120):
        """The outcome of a run that ended by itself; every problem is kept."""
        try:
            err = child.communicate(timeout=timeout)[1].decode()
            with open(report, encoding="utf-8") as text:
                document = json.load(text)
            outcome = document["body"]["outcome"] if "body" in document else f"{document['schema']} {document}"
        except (subprocess.TimeoutExpired, OSError, ValueError, KeyError) as problem:
            child.kill()
            err = child.communicate()[1].decode()
            outcome = f"{type(problem).__name__}: {problem}; exit {child.returncode}: {err.strip()[-200:]}"
        self.count(outcome)
        return outcome

    def count(self, outcome):
        with self.lock:
            self.ends[outcome] = self.ends.get(outcome, 0) + 1

    def expect(self, what, outcome, wanted):
        if outcome not in wanted:
            self.problems.append(f"{what}: outcome {outcome}, not {' or '.join(wanted)}")

    def plain(self, index):
        child, report, _ = self.start(index, [], 10)
        self.expect(f"run {index}", self.outcome(child, report), ("completed",))

    def cancelled(self, index):
        child, report, _ = self.start(index, [], 20000)  # far beyond any delay of the signal
        time.sleep(self.random.uniform(0.0, 0.06))
        child.send_signal(signal.SIGTERM)
        try:
            err = child.communicate(timeout=120)[1].decode()
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            self.problems.append(f"run {index}: SIGTERM did not end it")
            return
        # Before bvisor could arrange to hear the signal it dies of it, with nothing started and no document written.
        if child.returncode in (-signal.SIGTERM, 128 + signal.SIGTERM) and not os.path.exists(report):
            self.count("cancelled before the start")
            return
        child.communicate = lambda timeout: (None, err.encode())
        self.expect(f"cancelled run {index}", self.outcome(child, report), ("killed",))

    def killed(self, index):
        child, _, name = self.start(index, [], 20000)
        deadline = time.monotonic() + 60
        while not bvhost.named(name) and time.monotonic() < deadline:
            time.sleep(0.005 * self.at_once)
        tree = bvhost.named(name)
        if not tree:
            self.problems.append(f"killed run {index}: its workload never appeared")
        child.kill()
        began = time.monotonic()
        while any(bvhost.alive(pid) for pid in bvhost.named(name)) and time.monotonic() < began + 2 * self.patience:
            time.sleep(0.002 * self.at_once)
        took = time.monotonic() - began
        child.communicate()
        self.kills.append(took)
        if took > self.patience:
            self.problems.append(f"killed run {index}: its tree outlived the supervisor by {took:.2f} s")
        self.left += len(cgroups({child.pid}))
        # The next run sweeps what the dead supervisor could not remove.
        sweep, report, _ = self.start(10000 + index, [], 1)
        self.expect(f"run after kill {index}", self.outcome(sweep, report), ("completed",))

    def stopped(self, index):
        child, report, name = self.start(index, ["--wall", "400ms"], 20000)
        deadline = time.monotonic() + 60
        while not bvhost.named(name) and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005 * self.at_once)
        child.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        while any(bvhost.alive(pid) for pid in bvhost.named(name)) and time.monotonic() < began + 2 * self.patience:
            time.sleep(0.01 * self.at_once)
        took = time.monotonic() - began
        if took > self.patience + 0.5:
            self.problems.append(f"stopped run {index}: its tree lived {took:.2f} s under a wall limit of 0.4 s")
        child.send_signal(signal.SIGCONT)
        self.expect(f"stopped run {index}", self.outcome(child, report), ("timeout",))


def plan(soak, short):
    """The order of the runs: every kind spread over the whole by the seed."""
    total, cancelled, killed, stopped = (20, 4, 2, 1) if short else (1000, 200, 100, 20)
    kinds = [soak.cancelled] * cancelled + [soak.killed] * killed + [soak.stopped] * stopped
    kinds += [soak.plain] * (total - len(kinds))
    soak.random.shuffle(kinds)
    return kinds


def settle(marks, owners, before):
    """The state after: what is still going down, or another program's run of bvisor, is given three seconds."""
    deadline = time.monotonic() + 3
    after = snapshot(marks, owners)
    while after != before and time.monotonic() < deadline:
        time.sleep(0.1)
        after = snapshot(marks, owners)
    return after


def compare(before, after, emit):
    for figure, first in before.items():
        last = after[figure]
        gained = [item for item in last if item not in first]
        lost = [item for item in first if item not in last]
        text = f"{figure}: {len(first)} before, {len(last)} after"
        # Only this machine's other programs can have taken something away that stood before the first run.
        emit(not gained, text + (f", gained {gained}" if gained else "") + (f", taken away by others {lost}" if lost else ""))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bvisor", required=True)
    parser.add_argument("--idle")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    arguments = parser.parse_args()
    build = os.path.dirname(os.path.abspath(arguments.bvisor))
    arguments.idle = arguments.idle or os.path.join(build, "tests/escape/use_wall")
    top = tempfile.mkdtemp(prefix="bvt-soak-")
    os.chmod(top, 0o755)
    results = []

    def emit(ok, text):
        results.append(ok)
        print(f"{'ok' if ok else 'not ok'} {len(results)} - {text}".replace("\n", " "), flush=True)

    try:
        soak = Soak(arguments, top)
        marks = (soak.bvisor, soak.idle)
        soak.plain(20000)  # so that what the first run makes for good, if anything, is on both sides
        soak.plain(20001)
        before = snapshot(marks, soak.owners)
        began = time.monotonic()
        kinds = plan(soak, arguments.short)
        with concurrent.futures.ThreadPoolExecutor(soak.at_once) as pool:
            for future in [pool.submit(kind, index) for index, kind in enumerate(kinds)]:
                future.result()
        # What the last killed supervisors left is the next run's to sweep.
        soak.plain(20002)
        soak.plain(20003)
        after = settle(marks, soak.owners, before)
        if not arguments.short:
            for figure in before:
                print(f"# {figure} before: {before[figure]}\n# {figure} after:  {after[figure]}")
        print(f"# seed {arguments.seed}, {len(kinds)} runs in {time.monotonic() - began:.1f} s, ends: {soak.ends}")
        if soak.kills:
            print(f"# trees of killed supervisors died within {max(soak.kills) * 1000:.0f} ms; {soak.left} cgroup directories of theirs stood "
                  "until the next run")
        for problem in soak.problems:
            emit(False, problem)
        emit(not soak.problems, f"{len(kinds)} runs ended as they had to")
        compare(before, after, emit)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
