"""tests/crash/faults.py - runs on a medium that fails or is full below the state directory.

Of each: it was refused before the workload began, or it ran and said that it is not persisted (or not committed, or not recorded), or it is in the
record; "persisted" is never claimed falsely. Afterwards, on a medium that works again, the same holds as after a crash (crashlib.py). EIO and a full disk
at every single call of SQLite (tests/support/fault_vfs.c), once and for good; a tmpfs below journal and quarantine with ever less room. TAP on stdout.

usage: faults.py BVISOR-STEPS [UID]
"""

import os
import subprocess
import sys

from crashlib import CHANGES, STEPS, Scenario, World, mounts, native, ok, orphans, prepared, results, snapshot, wrong_after

RUN = Scenario("run --commit=durable", lambda world: native(world, "--rw", world.root, "--commit=durable", script="echo ran; " + CHANGES), stages=True)
COMMIT = Scenario("artifacts commit", lambda world: ["artifacts", "commit", world.attempt], stages=True,
                  prepare=lambda world: world.call_at(None, native(world, "--rw", world.root, "--stage", script=CHANGES))[0].returncode == 0 and
                  world.staged()[0]["attempt"])
DISCARD = Scenario("artifacts discard", lambda world: ["artifacts", "discard", world.attempt], stages=True, prepare=COMMIT.prepare)
SAID = (b"not persisted", b"not committed", b"could not be recorded")  # of a run that came to its end
INSIDE = "BVISOR_FAULTS_INSIDE"  # set in the namespaces of the full disk


def call(world, words, fault, log=None):
    env = {"BVISOR_FAULT": fault} if fault else {}
    env.update({"BVISOR_FAULT_LOG": log} if log else {})
    return world.as_user([world.program, *words], env)


def wrong_claim(world, scenario, result, before, after):
    """What the command said, against the record and the tree as they are, before anything is recovered."""
    said = any(word in result.stderr for word in SAID)
    lines = [line for line in result.stderr.splitlines() if line.startswith(b"bvisor: ")]
    if result.returncode == 0:
        if said:
            return "status 0 beside a complaint"
        rows = [event for event in world.events() if event["kind"] in ("report", "disposition")]
        ends = [event["payload"].get("state") for event in rows][-3:]
        if not rows or ends[-1] not in ("applied", None) or (after != before and snapshot(world.root) != after):
            return f"claimed, and not there: {ends}"
        return None
    if result.returncode not in (1, 124, 125, 126) or not lines:
        return "an ending without its line"
    if b"nothing ran" in result.stderr and b"ran" in result.stdout:
        return "it ran, and the command says that nothing did"
    if scenario is RUN and b"ran" in result.stdout and result.returncode == 125 and not said:
        return "125 without saying what is not there"
    return None


def judge(world, scenario, result, before, after, mounted):
    wrong = wrong_claim(world, scenario, result, before, after)
    return wrong and f"{wrong}: {result}" or wrong_after(world, scenario, before, after, mounted)


def media(scenario, uid, how):
    """Every call of SQLite fails once; `how` says with what, and whether for good."""
    world = World(uid)
    mounted, log = mounts(), os.path.join(world.own, "calls")
    if not prepared(world, scenario):
        ok(os.environ.get("BV_TESTS_MUST_RUN") != "1", f"{scenario.name}, uid {uid} # SKIP this machine holds no such run")
        world.done()
        return
    before = snapshot(world.root)
    whole = call(world, scenario.words(world), None, log)
    after = snapshot(world.root)
    with open(log, encoding="utf-8") as text:
        calls = text.read().split()
    wrong = judge(world, scenario, whole, before, after, mounted)
    ok(whole.returncode == 0 and not wrong, f"{scenario.name}, uid {uid}: without a fault", wrong or whole)
    counts = {"refused": 0, "told": 0, "whole": 0}
    for index in range(1, len(calls) + 1):
        if not prepared(world, scenario):
            ok(False, f"{scenario.name}, uid {uid}: what must come before failed")
            break
        result = call(world, scenario.words(world), f"{index}:{how}")
        orphans()
        wrong = judge(world, scenario, result, before, after, mounted)
        counts["whole" if result.returncode == 0 else "told" if b"ran" in result.stdout or scenario is not RUN else "refused"] += 1
        if wrong:
            ok(False, f"{scenario.name}, uid {uid}: {how} at call {index}, {calls[index - 1]}", wrong)
    ok(sum(counts.values()) == len(calls) and counts["told"] > 0 and (scenario is not RUN or counts["refused"] > 0),
       f"{scenario.name}, uid {uid}, {how}: {len(calls)} calls = {counts['refused']} refused + {counts['told']} told + {counts['whole']} unharmed", counts)
    world.done()


def full(scenario, uid):
    """Ever less room for journal and quarantine, in a tmpfs that only these processes see."""
    world = World(uid)
    world.home = os.path.join(world.own, "medium")
    os.mkdir(world.home)
    counts = {"refused": 0, "told": 0, "whole": 0}
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=1M,mode=755,uid={uid},gid={uid}", "none", world.home], check=False, capture_output=True)
    if made.returncode != 0 or not prepared(world, scenario):
        ok(os.environ.get("BV_TESTS_MUST_RUN") != "1", f"{scenario.name}, uid {uid} # SKIP no tmpfs can be mounted, or holds no such run: {made.stderr}")
        world.done()
        return
    mounted = mounts()
    before = snapshot(world.root)
    whole = call(world, scenario.words(world), None)
    after = snapshot(world.root)
    ok(whole.returncode == 0, f"{scenario.name}, uid {uid}: with room", whole)
    filler = os.path.join(world.home, "filler")
    for pages in list(range(0, 48)) + list(range(48, 160, 8)):
        if not prepared(world, scenario):
            ok(False, "what must come before failed")
            break
        with open(filler, "wb", buffering=0) as data:
            room = os.statvfs(filler)
            left = room.f_bavail * room.f_frsize - pages * 4096
            os.posix_fallocate(data.fileno(), 0, max(left, 1))
        result = call(world, scenario.words(world), None)
        orphans()
        wrong = None if result.returncode == 0 else wrong_claim(world, scenario, result, before, after)
        wrong = wrong and f"{wrong}: {result}"
        os.unlink(filler)  # room again
        wrong = wrong or judge(world, scenario, result, before, after, mounted)
        counts["whole" if result.returncode == 0 else "told" if b"ran" in result.stdout or scenario is not RUN else "refused"] += 1
        if wrong:
            ok(False, f"{scenario.name}, uid {uid}: with {pages} pages left", wrong)
    ok(counts["told"] > 0 and counts["whole"] > 0, f"{scenario.name}, uid {uid}, a full disk: {counts['refused']} refused + {counts['told']} told + "
       f"{counts['whole']} unharmed", counts)
    subprocess.run(["umount", world.home], check=False)
    world.done()


def inside(uid):
    """This test once more, in a mount namespace of its own, for the part with the full disk."""
    if os.geteuid() != 0:
        ok(os.environ.get("BV_TESTS_MUST_RUN") != "1", f"a full disk, uid {uid} # SKIP needs root to mount a tmpfs")
        return
    command = ["unshare", "-m", sys.executable, os.path.abspath(__file__), STEPS]
    done = subprocess.run(command, env={**os.environ, INSIDE: str(uid)}, stdout=subprocess.PIPE, check=False)
    lines = [line for line in done.stdout.decode().splitlines() if line.startswith(("ok", "not ok"))]
    ok(done.returncode == 0 and lines, f"a full disk, uid {uid}", "\n".join(lines))


def main():
    if INSIDE in os.environ:
        for scenario in (RUN, COMMIT, DISCARD):
            full(scenario, int(os.environ[INSIDE]))
        return
    users = (0, 1000) if os.geteuid() == 0 else (os.geteuid(),)
    for user in users if len(sys.argv) < 3 else (int(sys.argv[2]),):
        for how in ("eio", "eio+", "full+"):
            media(RUN, user, how)
        media(COMMIT, user, "eio+")
        media(DISCARD, user, "eio+")
        inside(user)


main()
print(f"1..{len(results)}")
sys.exit(0 if all(results) else 1)
