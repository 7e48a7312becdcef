"""tests/cli/test_journal.py - the record: what is in it, that nothing of it is lost, changed or falsely claimed.

The chain is recomputed here from the exported lines; the file is changed under the command with Python's own SQLite.
"""

import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import time

from clitest import BVISOR, bvisor, can_run, done, fresh_directory, ok, skip, state_home

PROCESSES, RUNS = 8, 200
FLIPS = int(os.environ.get("BV_FLIPS", "400"))


def state():
    return os.path.join(fresh_directory(), "state")


def run(where, *words, options=(), **more):
    return bvisor("run", "--journal", where, "--system", *options, *(words or ("true",)), **more)


def exported(where):
    return bvisor("journal", "export", "--journal", where).out


def digest(value):
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def chain_holds(lines):
    previous = "sha256:" + hashlib.sha256(b"").hexdigest()
    for number, line in enumerate(lines, 1):
        event = line["event"]
        if event["seq"] != number or event["previous"] != previous or digest(event) != line["hash"]:
            return False
        if event["document"] != (None if line["document"] is None else digest(line["document"])):
            return False
        previous = line["hash"]
    return True


def one_file(where):
    """The journal as a single file: everything folded in from the write-ahead log."""
    base = sqlite3.connect(os.path.join(where, "journal.db"))
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.close()
    return os.path.join(where, "journal.db")


def verify(where):
    return bvisor("journal", "verify", "--journal", where)


def content():
    where = state()
    ok(run(where).code == 0, "a recorded run")
    ok(run(where, "false").code == 1, "a recorded run that fails")
    lines = [json.loads(line) for line in exported(where).splitlines()]
    ok([line["event"]["kind"] for line in lines] == ["started", "report"] * 2, "each run is two events", lines)
    ok(chain_holds(lines), "the chain holds, recomputed from the exported lines")
    report = lines[1]["document"]
    ok(digest(report["body"]) == report["body_hash"] == lines[1]["event"]["payload"]["body_hash"], "the report in it is sealed")
    ok(lines[0]["document"]["plan_id"] == lines[0]["event"]["payload"]["plan_id"] == report["body"]["plan_id"], "so is its plan")
    listed = bvisor("journal", "list", "--journal", where)
    attempt = report["body"]["attempt"]
    ok(listed.code == 0 and len(listed.out.splitlines()) == 2 and b"failed" in listed.out.splitlines()[0], "list, newest first", listed)
    shown = bvisor("journal", "show", attempt[:8], "--journal", where)
    ok(shown.code == 0 and b"completed" in shown.out and attempt.encode() in shown.out, "show by the first digits", shown)
    ok(bvisor("journal", "show", "0" * 32, "--journal", where).code == 125, "an attempt that is not there")
    ok(len(bvisor("journal", "list", "--last", "1", "--journal", where).out.splitlines()) == 1, "the last one")
    ok(verify(where).code == 0, "verify", verify(where))
    ok(os.stat(where).st_mode & 0o777 == 0o700 and os.stat(where + "/journal.db").st_mode & 0o777 == 0o600, "for its owner's eyes only")
    ok(bvisor("recover", "--journal", where).out == b"", "nothing to recover")
    ok(bvisor("recover", "--journal", where + "-none").code == 0 and not os.path.exists(where + "-none"), "recover of a missing one makes none")
    ok(bvisor("journal", "list", "--journal", where + "-none").code == 0, "list of a missing one")
    before = set(os.listdir(state_home()))
    ok(bvisor("run", "--no-journal", "--system", "true").code == 0 and set(os.listdir(state_home())) == before, "--no-journal keeps nothing")
    ok(bvisor("run", "--system", "true").code == 0 and os.path.exists(state_home() + "/bvisor/journal.db"), "the default is to keep it")


def refused():
    where = state()
    top = os.path.dirname(where)
    os.mkdir(where, 0o700)
    result = bvisor("run", "--journal", where, "--system", "--rw", top, "true")
    ok(result.code == 126 and b"in the workload's hands" in result.err, "a journal that the workload may write", result)
    ok(bvisor("run", "--journal", where, "--system", "--ro", top, "true").code == 0, "one that it may only read")
    os.chmod(where, 0o777)
    result = run(where)
    ok(result.code == 125 and b"others may write" in result.err, "a directory that others may write", result)
    os.chmod(where, 0o700)
    for fd in range(3, 40):
        result = run(where, "true", options=("--keep-fd", str(fd)))
        if result.code != 126:
            break
    ok(result.code == 126, "no descriptor of the journal is kept for a workload", result)


def tampered():
    where = state()
    for _ in range(3):
        run(where)
    one_file(where)
    pristine = exported(where)

    def changed(name, *statements, expect=1):
        copy = state()
        shutil.copytree(where, copy)
        base = sqlite3.connect(copy + "/journal.db")
        for statement in statements:
            base.execute(statement)
        base.commit()
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        base.close()
        result = verify(copy)
        ok(result.code == expect, name, result)

    changed("an untouched copy verifies", expect=0)
    for number in range(1, 7):
        changed(f"event {number} dropped", f"DELETE FROM event WHERE seq={number}")
    changed("the last event dropped and the ones before it told to be all", "DELETE FROM event WHERE seq=6", "UPDATE chain SET head_seq=5")
    changed("two events swapped", "UPDATE event SET seq=-1 WHERE seq=2", "UPDATE event SET seq=2 WHERE seq=4", "UPDATE event SET seq=4 WHERE seq=-1")
    changed("the first ones dropped, without a word", "DELETE FROM event WHERE seq<=2",
            "UPDATE chain SET base_seq=2, base_hash=(SELECT json_extract(text,'$.previous') FROM event WHERE seq=3)")
    changed("an event changed", "UPDATE event SET text=replace(text,'completed','failed') WHERE seq=2")
    changed("a document changed", "UPDATE event SET document=replace(document,'completed','failed') WHERE seq=4")
    changed("a document dropped", "UPDATE event SET document=NULL WHERE seq=4")
    changed("an attempt that counts as open", "INSERT INTO open SELECT attempt,seq FROM event WHERE seq=1")
    changed("a row of another attempt", "UPDATE event SET attempt=(SELECT attempt FROM event WHERE seq=1) WHERE seq=3")
    flipped(where, pristine)


def flipped(where, pristine):
    """Any byte of the file: found, or it carried nothing of what was recorded."""
    path, copy = os.path.join(where, "journal.db"), state()
    size = os.path.getsize(path)
    chosen = range(size) if FLIPS >= size else random.Random(7).sample(range(size), FLIPS)
    missed, found = [], 0
    with open(path, "rb") as source:
        data = source.read()
    for at in chosen:
        shutil.rmtree(copy, ignore_errors=True)
        os.mkdir(copy, 0o700)
        with open(copy + "/journal.db", "wb") as target:
            target.write(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1:])
        if verify(copy).code != 0:
            found += 1
        elif exported(copy) != pristine:
            missed.append(at)
    ok(not missed, f"of {len(chosen)} flipped bits in {size} bytes {found} found, the others outside all that is recorded", missed)
    ok(found > len(chosen) // 2, "most bytes of the file are covered", found)


def retention():
    where = state()
    for _ in range(4):
        run(where)
    result = bvisor("journal", "prune", "--older", "1h", "--journal", where)
    ok(result.out == b"0 events dropped\n", "nothing is that old", result)
    time.sleep(5.1)
    run(where)
    result = bvisor("journal", "prune", "--older", "5s", "--journal", where)
    ok(result.out == b"8 events dropped\n" and verify(where).code == 0, "by age, and the rest verifies", (result, verify(where)))
    for _ in range(4):
        run(where)
    result = bvisor("journal", "prune", "--keep", "120K", "--journal", where)
    ok(result.code == 0 and not result.out.startswith(b"0 ") and verify(where).code == 0, "by size", (result, verify(where)))
    base = sqlite3.connect(where + "/journal.db")
    base.execute("DELETE FROM event WHERE seq=(SELECT min(seq) FROM event)")
    base.commit()
    base.close()
    ok(verify(where).code == 1, "one more dropped behind its back is missed")


def many():
    where = state()
    script = f'for i in $(seq {RUNS}); do "$0" run --journal "$1" --system -q true || echo "$i: $?"; done'
    started = time.monotonic()
    children = [subprocess.Popen(["/bin/sh", "-c", script, BVISOR, where], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                for _ in range(PROCESSES)]
    told = [child.communicate()[0] for child in children]
    ok(not any(told), f"{PROCESSES} processes with {RUNS} runs each, into one journal, in {time.monotonic() - started:.0f} s", told)
    lines = [json.loads(line) for line in exported(where).splitlines()]
    kinds = {}
    for line in lines:
        kinds.setdefault(line["event"]["attempt"], []).append(line["event"]["kind"])
    wanted = PROCESSES * RUNS
    ok(len(lines) == 2 * wanted and len(kinds) == wanted and all(kind == ["started", "report"] for kind in kinds.values()),
       f"{wanted} attempts, each started and reported", (len(lines), len(kinds)))
    ok(chain_holds(lines) and verify(where).code == 0, "and the chain holds")


def full():
    """A full disk below the journal; the same with a medium that fails is tests/crash's."""
    if os.geteuid() != 0:
        skip("a full disk", "needs root to mount a tmpfs")
        return
    top = fresh_directory()
    script = """mount -t tmpfs -o size=2M,mode=755 none "$1" || exit 77
mkdir -m 700 "$1/state" "$1/inside"
run() { "$0" run --journal "$1/state" --system --spawn any --rw "$1/inside" -- sh -c "$2"; echo "$?"; }
run "$1" 'echo ran'
run "$1" "cat /dev/zero >$1/inside/fill 2>/dev/null; echo ran"
"$0" journal list --journal "$1/state" | cut -c34-
run "$1" 'echo ran'
rm "$1/inside/fill"
run "$1" 'echo ran'
"$0" journal list --journal "$1/state" | cut -c54-70
"$0" journal verify --journal "$1/state"; echo "$?"
"""
    result = subprocess.run(["unshare", "-m", "/bin/sh", "-c", script, BVISOR, top], capture_output=True, check=False, timeout=120)
    out, told = result.stdout.decode().split("\n"), result.stderr.decode()
    ok(out[:2] == ["ran", "0"], "before it is full", result)
    ok(out[2:4] == ["ran", "125"] and "not persisted" in told, "a report that cannot be kept is not claimed to be", result)
    ok("interrupted" in out[4] and "completed" in out[5], "its attempt has no end in the record", result)
    ok(out[6] == "125" and "No space left on device" in told, "what cannot be recorded does not run", result)
    ok(out[7:9] == ["ran", "0"], "room again", result)
    ok("completed" in out[9] and "rolled_back" in out[10] and "completed" in out[11], "the next run settled what was left", result)
    ok(out[-2] == "0", "and all of it verifies", result)


def no_place():
    """Where nothing can be kept, a probe says so and goes on, and a run that leaves no record says so."""
    environment = {"PATH": os.environ["PATH"], "XDG_STATE_HOME": "/proc/nowhere"}
    run = ["run", "--system", "--", "/bin/true"]

    def call(words, env, before=()):
        return subprocess.run([*before, BVISOR, *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)

    done_ = call(["probe"], environment)
    ok(done_.returncode == 0 and b"staging is not tried" in done_.stderr and b"filesystem" in done_.stdout,
       "a probe without a place for a state directory tells all else", done_.stderr.decode())
    done_ = call(run, environment)
    ok(done_.returncode == 125 and b"nothing ran" in done_.stderr, "a run whose record cannot be kept does not run", done_.stderr.decode())
    user = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"] if os.geteuid() == 0 else []
    done_ = call(run, {"PATH": os.environ["PATH"]}, user)
    ok(done_.returncode == 126 or b"no record is kept" in done_.stderr, "a run that no record is kept of says so", done_.stderr.decode())


if can_run():
    content()
    no_place()
    refused()
    tampered()
    retention()
    full()
    many()
else:
    skip("the journal", "this machine holds no run")
done()
