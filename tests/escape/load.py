#!/usr/bin/env python3
"""tests/escape/load.py - runs the known load of load.c as root and as an ordinary user and holds every witness against it.

usage: load.py --bvisor PROGRAM --load PROGRAM [--as root|user] [--wrap PROGRAM]
A witness must lie within 10 % of the decided figure, or be null with a source that says why. The figures are printed; TAP on
stdout. Decided: 40 MiB resident, 5 tasks, 12 descriptors over the tree, 3 MiB stored, 200 ms of processor time, 0 bytes of network,
and a wall time that the harness takes itself. Where the memory controller also charges the temp root, its 3 MiB count twice.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import bvschema  # noqa: E402  pylint: disable=wrong-import-position
import bvhost  # noqa: E402  pylint: disable=wrong-import-position

TOLERANCE = 0.10
LOOKS = 3
DECIDED = {"resident_bytes": 40 << 20, "process_count": 5, "handle_count": 12, "storage_bytes": 3 << 20, "cpu_micros": 200000,
           "network_bytes": 0}


def run(top, uid, wrap, options=()):
    """(report body, wall micros, the load's own processor time) of one run of the load as a user."""
    place = tempfile.mkdtemp(prefix=f"uid-{uid}-", dir=top)
    os.chmod(place, 0o755)
    command = []
    if uid != os.getuid():
        os.chown(place, uid, uid)
        command = [os.path.join(top, "as_user"), str(uid)]
    report = os.path.join(place, "report.json")
    command += [*wrap, os.path.join(top, "bvisor"), "run", "--no-journal", "-q", "--report", report, "--spawn", "any", "--tmp=16M",
                *options, "--", os.path.join(top, "load"), "/tmp"]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, env={}, cwd="/", stdin=subprocess.DEVNULL, timeout=60, check=False)
    wall = (time.monotonic() - began) * 1e6
    if not os.path.exists(report):
        raise RuntimeError(f"no report, exit {done.returncode}: {done.stderr.decode(errors='replace')[-300:]}")
    with open(report, encoding="utf-8") as text:
        document = bvschema.read(text.read())
    if document["schema"] == "bvisor.refusal/1" and not options and all(item.get("dimension") == "process_count" for item in document["items"]):
        # Without a pids controller root cannot bound processes; they are counted all the same.
        shutil.rmtree(place)
        return run(top, uid, wrap, ("--procs", "unlimited"))
    if document["schema"] != "bvisor.report/1":
        raise RuntimeError(f"no report but {document}")
    if done.returncode != 0:
        raise RuntimeError(f"the load ended with {done.returncode}: {done.stderr.decode()} {document['body']['outcome']}")
    told = re.search(rb"^cpu_micros (\d+)$", done.stdout, re.M)
    return document["body"], wall, int(told[1])


def judge(dimension, witness, wall, told):
    """(ok, text) for one witness."""
    observed, source = witness["observed"], witness.get("source") or ""
    if observed is None:
        return bool(source), f"{dimension}: null ({source or 'NO REASON'})"
    if dimension == "wall_micros":
        # The harness's clock also holds bvisor's own start and end.
        return 400000 <= observed <= wall, f"{dimension}: {observed} of {wall:.0f} around it ({source})"
    decided = DECIDED[dimension]
    if dimension == "cpu_micros":
        decided = max(decided, told)  # a machine so slow that the start alone costs more
    if dimension == "resident_bytes" and "tmpfs included" in source:
        decided += DECIDED["storage_bytes"]  # a memory controller charges what lies in a tmpfs to who wrote it
    off = (observed - decided) / decided if decided else float(observed != 0)
    return abs(off) <= TOLERANCE, f"{dimension}: {observed} of {decided}, {off * 100:+.1f} % ({source})"


def measure(top, uid, wrap):
    """(ok, text) for every witness. Processor time also holds what a host took away from a virtual machine, and the load and the account
    end their measurements at different moments: where it alone is too large, the run is repeated. A wrong account is wrong each time."""
    for look in range(LOOKS):
        body, wall, told = run(top, uid, wrap)
        lines = {dimension: judge(dimension, witness, wall, told) for dimension, witness in body["budget"].items()}
        off = [dimension for dimension, line in lines.items() if not line[0]]
        if off != ["cpu_micros"] or body["budget"]["cpu_micros"]["observed"] < told:
            break
    return [(ok, text + (f", run {look + 1}" if look else "")) for ok, text in lines.values()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bvisor", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--as", dest="who", choices=("root", "user"))
    parser.add_argument("--wrap", default="", help="starts every bvisor: a program that enters a cgroup, say")
    arguments = parser.parse_args()
    top = tempfile.mkdtemp(prefix="bvt-")
    os.chmod(top, 0o755)
    count = failed = 0
    try:
        for path in (arguments.bvisor, arguments.load, os.path.join(os.path.dirname(arguments.load), "as_user")):
            os.chmod(shutil.copy(path, os.path.join(top, os.path.basename(path))), 0o755)
        uids = {"root": 0, "user": bvhost.USER}
        for uid in ((uids[arguments.who],) if arguments.who else uids.values()) if os.getuid() == 0 else (os.getuid(),):
            try:
                lines = measure(top, uid, arguments.wrap.split())
            except (RuntimeError, OSError, ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as problem:
                lines = [(False, f"{type(problem).__name__}: {problem}")]
            for ok, text in lines:
                count += 1
                failed += not ok
                print(f"{'ok' if ok else 'not ok'} {count} - uid {uid} {text}".replace("\n", " "))
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
