#!/usr/bin/env python3
"""bench/journal.py - what a record costs: a recorded run beside one that is not, interleaved; list and show in a journal of N events.

usage: bench/journal.py [BUILD] [N] [ROUNDS]     limits: 1.5 ms more a run (median), 50 ms for list and for show
The journal of N events is made here, event by event with its chain, in the format of docs/format-journal.md; `journal verify` says that it is one.
"""

import hashlib
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
EVENTS = int(sys.argv[2]) if len(sys.argv) > 2 else 1000000
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 100
BVISOR = os.path.join(BUILD, "bvisor")


def took(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def sync_of(top):
    """What one sync of this medium takes, of pages that are there already: a record waits for two, the first beside the building of its boundary."""
    times = []
    with open(top + "/sync", "wb", buffering=0) as data:
        for at in range(48):
            data.seek(at % 16 * 4096)
            data.write(bytes(4096))
            start = time.perf_counter()
            os.fdatasync(data.fileno())
            times.append((time.perf_counter() - start) * 1000)
            time.sleep(0.005)
    return statistics.median(times[16:])


def runs(top):
    """Where the state directory of this user is, not in a tmpfs: the medium's syncs are what is measured."""
    nothing = os.path.join(BUILD, "bench", "nothing")
    words = ["-q", "--rx", os.path.dirname(nothing), "--report", "/dev/null", nothing]
    commands = {"not recorded": [BVISOR, "run", "--no-journal", *words], "recorded": [BVISOR, "run", "--journal", top + "/runs", *words]}
    times = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name in random.sample(list(commands), len(commands)):
            times[name].append(took(commands[name]))
            time.sleep(0.01)
    plain, kept = (statistics.median(times[name]) for name in commands)
    print(f"one sync of this medium: {sync_of(top):.2f} ms")
    print(f"a run not recorded {plain:.2f} ms, recorded {kept:.2f} ms: {kept - plain:.2f} ms more, limit 1.5: {'met' if kept - plain <= 1.5 else 'MISSED'}")
    return kept - plain <= 1.5


def fill(path):
    """EVENTS events: attempts that were started and reported, one after the other."""
    base = sqlite3.connect(path)
    previous = base.execute("SELECT head_hash FROM chain").fetchone()[0]

    def rows():
        nonlocal previous
        for seq in range(1, EVENTS + 1):
            attempt = hashlib.md5(b"%d" % ((seq - 1) // 2)).hexdigest()  # only a name
            payload = ({"backend": "linux", "exe": "/usr/bin/true", "plan_id": previous, "supervisor": {}} if seq % 2 else
                       {"body_hash": previous, "exit_status": 0, "outcome": "completed"})
            text = json.dumps({"at": "2026-01-01T00:00:00.000000Z", "attempt": attempt, "document": None, "kind": "started" if seq % 2 else "report",
                               "payload": payload, "previous": previous, "schema": "bvisor.event/1", "seq": seq}, sort_keys=True, separators=(",", ":"))
            previous = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
            yield seq, attempt, 0 if seq % 2 else 1, text

    base.executemany("INSERT INTO event VALUES(?,?,?,?,NULL)", rows())
    base.execute("UPDATE chain SET head_seq=?, head_hash=?", (EVENTS, previous))
    base.commit()
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.close()


def large(top):
    state = top + "/large"
    os.mkdir(state, 0o700)
    subprocess.run([BVISOR, "run", "--journal", state, "-q", "--system", "true"], check=True)
    subprocess.run([BVISOR, "journal", "prune", "--keep", "0", "--journal", state], check=True, stdout=subprocess.DEVNULL)
    base = sqlite3.connect(state + "/journal.db")
    base.execute("DELETE FROM event")
    first = "sha256:" + hashlib.sha256(b"").hexdigest()
    base.execute("UPDATE chain SET base_seq=0, base_hash=?, head_seq=0, head_hash=?", (first, first))
    base.commit()
    base.close()
    fill(state + "/journal.db")
    attempt = hashlib.md5(b"%d" % (EVENTS // 4)).hexdigest()
    good = True
    for name, words in (("list", ["list"]), ("show", ["show", attempt])):
        median = statistics.median(took([BVISOR, "journal", *words, "--journal", state]) for _ in range(11))
        good = good and median < 50
        print(f"{name} in a journal of {EVENTS} events: {median:.1f} ms, limit 50: {'met' if median < 50 else 'MISSED'}")
    start = time.perf_counter()
    subprocess.run([BVISOR, "journal", "verify", "--journal", state], check=True, stdout=subprocess.DEVNULL)
    print(f"verify of it: {time.perf_counter() - start:.1f} s, the journal {os.path.getsize(state + '/journal.db') >> 20} MiB")
    return good


def main():
    top = tempfile.mkdtemp(prefix="bvisor-bench-", dir="/var/lib" if os.geteuid() == 0 else None)
    try:
        good = runs(top)
        good = large(top) and good
    finally:
        shutil.rmtree(top, ignore_errors=True)
    sys.exit(0 if good else 1)


main()
