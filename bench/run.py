#!/usr/bin/env python3
"""bench/run.py - prints the figures of this machine, interleaved with its peers, each beside its limit. `make bench` calls it.

usage: bench/run.py [--build DIR] [--rounds N] [--output MIB]
Latencies are medians in microseconds; ratios are to one posix_spawn and wait of the same static program. bubblewrap is measured only
where it is installed and works. Exits 0 whatever the figures are: a slow machine is not a failed test.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

LIMITS = {"command": (8.0, 5.5), "library": (8.0,), "library-again": (8.0,), "library-ready": (8.0, 4.0)}  # times posix_spawn
PEER_LIMIT = 0.75  # of bubblewrap, for the command
FAT_LIMIT = 1.1  # a run from a host of 1 GiB resident and 16 threads, of one from a small host
OUTPUT_LIMIT = 1024  # MiB/s of captured output
PEAK_LIMIT = 4096  # KiB resident of the supervisor


def verdict_of(met):
    return "met" if met else "MISSED"


def figures(build, *words):
    """{label: (median, worst tenth)}"""
    done = subprocess.run([os.path.join(build, "bench", "bench"), *words], stdout=subprocess.PIPE, check=True, text=True,
                          env={"PATH": os.environ["PATH"]})
    rows = {}
    for line in done.stdout.splitlines():
        label, median, worst = line.split()
        rows[label] = float(median), float(worst)
    return rows


def bubblewrap(nothing, roots):
    """The command of a comparable sandbox, or None with the reason printed."""
    program = shutil.which("bwrap")
    if not program:
        print("bubblewrap: not installed, not measured")
        return None
    command = [program, "--unshare-all"]
    for root in roots:
        command += ["--ro-bind", root, root]
    command += ["--ro-bind", nothing, nothing, nothing]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        print(f"bubblewrap: does not work here, not measured: {done.stderr.decode().strip()}")
        return None
    return command


LIBRARY_LIMITS = {"probe": 3000.0, "plan": 150.0, "seal": 100.0}  # microseconds; see print_library()
FIRST_PROCESSES = 21


def twenty_clauses(spec, roots):
    """The spec with twenty capabilities and controls: a grant for each of ten roots, and one of most other kinds."""
    spec["capabilities"] = [{"filesystem": {"access": "read", "roots": [root]}} for root in roots] + [
        {"network": {"policy": "deny_all"}}, {"child_spawn": {"policy": "deny_new_tasks"}},
        {"environment": {"exact": [{"name": "LANG", "literal": "C.UTF-8"}]}}, {"inherited_fds": {"policy": "none"}}]
    spec["controls"] = [
        {"launch_workload": {}}, {"capture_streams": {"stdout": True, "stderr": True, "stdin": False}},
        {"temp_root": {"size_bytes": 16 << 20, "visibility": "private_to_boundary"}},
        {"kill": {"target": "run_tree", "guarantee": "best_effort_allowed"}}] + [
        {"expose_path": {"source": root, "dest": "/exposed/" + os.path.basename(root), "access": "read"}} for root in roots[:2]]
    assert len(spec["capabilities"]) + len(spec["controls"]) == 20
    return spec


def print_library(build, spec):
    """The library's own steps: the median of many calls, and of the first call in each of many processes."""
    warm = figures(build, "contract", "1000", spec)
    first = [figures(build, "contract", "1", spec) for _ in range(FIRST_PROCESSES)]
    print(f"\nlibrary calls, a spec of twenty clauses; first: in a fresh process, median of {FIRST_PROCESSES}")
    print(f"{'':14}{'median us':>10}{'p90 us':>10}{'first us':>10}  limit")
    for label, (median, worst) in warm.items():
        cold = statistics.median(row[label][0] for row in first)
        limit = LIBRARY_LIMITS.get(label)
        # A probe is asked of a process that has not probed yet; the others of a host that plans and seals all day.
        figure = cold if label == "probe" else median
        verdict = f"<= {limit:.0f} us: {verdict_of(figure <= limit)}{' (first)' if label == 'probe' else ''}" if limit else ""
        print(f"{label:14}{median:10.1f}{worst:10.1f}{cold:10.1f}  {verdict}")


def print_python(build, bvisor, top, rounds):
    """A program that is large to hash and has libraries to load: the first run in a fresh host, and the second."""
    python = os.path.realpath("/usr/bin/python3")
    if not os.path.exists(python):
        print("\npython3: not installed, not measured")
        return
    spec = os.path.join(top, "python.json")
    with open(spec, "wb") as target:
        subprocess.run([bvisor, "plan", "--system", "--print-spec", "--", python, "-c", "pass"], stdout=target, check=True)
    bare = figures(build, "launch", str(rounds), "bare", python, "-c", "pass", "--", "command", bvisor, "run", "--no-journal", "-q", "--system",
                   "--report", "/dev/null", python, "-c", "pass")
    rows = {**bare, **figures(build, "twice", str(rounds), spec)}
    print(f"\n{os.path.basename(python)} -c pass with --system, {rounds} rounds; first and second: runs of a library host that had hashed nothing")
    for label, (median, worst) in rows.items():
        print(f"{label:14}{median:10.0f}{worst:10.0f}{median / bare['bare'][0]:9.2f}")


def peak_kib(pid):
    """VmHWM: the peak of this program alone. ru_maxrss would begin with its parent's."""
    try:
        with open(f"/proc/{pid}/status", encoding="latin-1") as text:
            return next((int(line.split()[1]) for line in text if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0


def output_figures(bvisor, build, mebibytes):
    """(seconds, seconds bare, peak KiB of the supervisor) for a workload that writes mebibytes to stdout, captured and truncated."""
    spew = os.path.join(build, "bench", "spew")
    took = []
    peak = 0
    for command in ([spew, str(mebibytes)], [bvisor, "run", "--no-journal", "-q", "--", spew, str(mebibytes)]):
        # Through a pipe that cat drains: /dev/null would not read at all.
        with open(os.devnull, "wb") as null, subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=null) as drain:
            began = time.monotonic()
            child = subprocess.Popen(command, stdout=drain.stdin, stdin=subprocess.DEVNULL)
            drain.stdin.close()
            peak = 0
            while child.poll() is None:
                peak = max(peak, peak_kib(child.pid))
                time.sleep(0.005)
            drain.wait()
            took.append(time.monotonic() - began)
            if child.returncode:
                sys.exit(f"bench: {' '.join(command)} ended with {child.returncode}")
    return took[1], took[0], peak


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--output", type=int, default=10240, help="mebibytes of the output figure")
    arguments = parser.parse_args()
    build = os.path.abspath(arguments.build)
    bvisor, nothing = os.path.join(build, "bvisor"), os.path.join(build, "bench", "nothing")
    top = tempfile.mkdtemp(prefix="bvt-bench-")
    try:
        roots = []
        for index in range(10):
            roots.append(os.path.join(top, f"root-{index}"))
            os.mkdir(roots[-1])
        grants = [word for root in roots for word in ("--ro", root)]
        spec = os.path.join(top, "spec.json")
        with open(spec, "wb") as target:
            subprocess.run([bvisor, "plan", *grants, "--print-spec", "--", nothing], stdout=target, check=True)
        # `--` ends bench's own commands, so bvisor gets the workload without it.
        words = ["posix_spawn", nothing, "--", "command", bvisor, "run", "--no-journal", "-q", *grants, "--report", "/dev/null", nothing,
                 "--", "library", "@" + spec, "--", "library-again", "@" + spec, "again",
                 "--", "library-ready", "@" + spec, "ready", "--", "host-small", "@" + spec, "host", "--", "host-fat", "@" + spec, "fat"]
        peer = bubblewrap(nothing, roots)
        if peer:
            words += ["--", "bubblewrap", *peer]
        rows = figures(build, "launch", str(arguments.rounds), *words)
        base = rows["posix_spawn"][0]
        print(f"\nlaunch and wait of a static program, ten read-only roots, {arguments.rounds} interleaved rounds, uid {os.getuid()}")
        print(f"{'':14}{'median us':>10}{'p90 us':>10}{'x spawn':>9}  limit")
        for label, (median, worst) in rows.items():
            verdict = ", ".join(f"<= {limit:g} x posix_spawn: {verdict_of(median <= limit * base)}"
                                for limit in LIMITS.get(label, ()))
            print(f"{label:14}{median:10.0f}{worst:10.0f}{median / base:9.2f}  {verdict}")
        if peer:
            ratio = rows["command"][0] / rows["bubblewrap"][0]
            print(f"{'command / bubblewrap':24}{ratio:.2f}  <= {PEER_LIMIT}: {verdict_of(ratio <= PEER_LIMIT)}")
        ratio = rows["host-fat"][0] / rows["host-small"][0]
        print(f"{'host-fat / host-small':24}{ratio:.2f}  <= {FAT_LIMIT}: {verdict_of(ratio <= FAT_LIMIT)} (1 GiB resident, 16 threads)")
        clauses = os.path.join(top, "clauses.json")
        with open(spec, encoding="utf-8") as source, open(clauses, "w", encoding="utf-8") as target:
            json.dump(twenty_clauses(json.load(source), roots), target)
        print_library(build, clauses)
        print_python(build, bvisor, top, max(arguments.rounds // 5, 3))
        took, bare, peak = output_figures(bvisor, build, arguments.output)
        rate = arguments.output / took
        print(f"\n{arguments.output} MiB of output, captured and truncated: {took:.2f} s, {rate:.0f} MiB/s (bare pipe {arguments.output / bare:.0f} MiB/s)  "
              f">= {OUTPUT_LIMIT} MiB/s: {verdict_of(rate >= OUTPUT_LIMIT)}")
        print(f"supervisor's peak: {peak} KiB resident  <= {PEAK_LIMIT} KiB: {verdict_of(peak <= PEAK_LIMIT)}")
    finally:
        shutil.rmtree(top, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
