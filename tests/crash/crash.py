"""tests/crash/crash.py - kills the supervisor, and its launcher, at every mark between the first effect of a run and the last, then recovers.

After each: exactly one terminal record an attempt and no decision without an end, the host's tree wholly as before or wholly as after, the journal
verifies, no process, cgroup, mount, directory or temporary name is left, and a second recovery changes nothing. As root and as uid 1000; native
runs without and with staged writes, committed and discarded, with a record and without one, dispositions by command, a Wasm guest. TAP on stdout.

usage: crash.py BVISOR-STEPS [PART of a scenario's name]
"""

import ctypes
import os
import subprocess
import sys
import time

from crashlib import SCENARIOS, WORD, World, mounts, ok, orphans, prepared, processes, results, snapshot, wrong_after

ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
totals = {"steps": 0, "crashes": 0}


def one_crash(world, scenario, step, before, after, mounted):
    """Whether the crash was seen, and what is wrong afterwards."""
    index, who = step
    if not prepared(world, scenario):
        return False, "what must come before failed"
    result, names = world.call_at(f"{index}:{who}", scenario.words(world))
    if who == "self":
        seen = result.returncode in (-9, -4) and len(names) == index  # -4: a trap, where no signal can be sent any more
    else:
        seen = "killed" in names
    deadline = time.monotonic() + 5
    while processes(WORD) and time.monotonic() < deadline:
        time.sleep(0.02)
    if processes(WORD):
        return seen, f"a process is left: {processes(WORD)}"
    return seen, wrong_after(world, scenario, before, after, mounted)


def matrix(scenario, uid):
    name = f"{scenario.name}, uid {uid}"
    world = World(uid)
    mounted = mounts()
    fit = prepared(world, scenario)
    before = snapshot(world.root)
    waits = world.artifacts(world.attempt) if world.attempt else None
    result, names = world.call_at(None, scenario.words(world)) if fit else (None, [])
    if not fit or result.returncode != scenario.code:
        ok(os.environ.get("BV_TESTS_MUST_RUN") != "1", f"{name} # SKIP this machine holds no such run: {result and result.stderr.decode()[:200]}")
        world.done()
        return
    after = snapshot(world.root)
    scenario.rests = (waits, world.artifacts(world.attempt)) if "of a path" in scenario.name else None
    wrong = wrong_after(world, scenario, before, after, mounted) or (scenario.rests and not 0 < scenario.rests[1] < waits and "no part of it")
    ok(not wrong, f"{name}: without a crash", wrong)
    steps = [(index, "self") for index in range(1, len(names) + 1)]
    if scenario.launcher:  # it lives from before the first mark until the tree is dead
        steps += [(index, "launcher") for index in range(1, names.index("listed" if "listed" in names else "sealed"))]
    crashes = 0
    for step in steps:
        seen, wrong = one_crash(world, scenario, step, before, after, mounted)
        crashes += seen
        if wrong or not seen:
            ok(False, f"{name}: {step[1]} killed at mark {step[0]}, {names[step[0] - 1]}", wrong or "the mark was not hit")
    print(f"# {name}: {len(names)} marks: {', '.join(names)}")
    ok(crashes == len(steps), f"{name}: {len(steps)} steps = {crashes} crashes seen")
    world.done()
    totals["steps"] += len(steps)
    totals["crashes"] += crashes


def recoveries(scenario, uid, marks):
    """Crashes inside the recovery itself: after a crash at each of these marks it is killed at its own first mark, second, and so on until it ends."""
    world = World(uid)
    mounted = mounts()
    prepared(world, scenario)
    before = snapshot(world.root)
    result, names = world.call_at(None, scenario.words(world))
    after = snapshot(world.root)
    if result.returncode != 0:
        world.done()
        return
    steps = crashes = 0
    for mark in marks:
        index = names.index(mark) + 1
        for own in range(1, 200):
            prepared(world, scenario)
            world.call_at(f"{index}:self", scenario.words(world))
            orphans()
            crashed, logged = world.call_at(f"{own}:self", ["recover"])
            if crashed.returncode == 0 and len(logged) < own:
                break
            steps += 1
            crashes += crashed.returncode == -9
            wrong = wrong_after(world, scenario, before, after, mounted)
            if wrong or crashed.returncode != -9:
                ok(False, f"{scenario.name}, uid {uid}: killed at {mark}, recovery killed at {own}", wrong or crashed)
    ok(steps == crashes and steps > len(marks), f"{scenario.name}, uid {uid}: {steps} steps = {crashes} crashes seen in recoveries of {len(marks)} crashes")
    world.done()
    totals["steps"] += steps
    totals["crashes"] += crashes


def live():
    """A recovery beside a run that lives leaves it alone."""
    world = World(os.geteuid())
    run = subprocess.Popen([world.program, "run", "--journal", world.state, "--system", "sleep", "1.5"], env={"PATH": "/usr/bin:/bin"})
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and b"running" not in world.call("journal", "list").stdout:
        time.sleep(0.02)
    beside = world.call("recover")
    ok(beside.returncode == 0 and not beside.stdout, "recover beside a living run does nothing", beside)
    ok(run.wait() == 0 and [event["kind"] for event in world.events()] == ["started", "report"], "which completes", world.events())
    world.done()


def beside():
    """Staged runs of several processes in one state directory, each of which begins with a recovery: none takes another for dead."""
    world = World(os.geteuid())
    script = 'for i in 1 2 3 4 5 6 7 8; do "$0" run --system -q --rw "$1" --commit sh -c "echo $i >> $1/log" || echo "$1 $i: $?"; done'
    roots = [os.path.join(world.own, f"root{index}") for index in range(6)]
    for root in roots:
        os.mkdir(root)
    runs = [subprocess.Popen(["sh", "-c", script, world.program, root], env={"PATH": "/usr/bin:/bin", "XDG_STATE_HOME": world.home},
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for root in roots]
    said = [run.communicate()[0] for run in runs]
    ok(not any(said), "48 staged runs of 6 processes commit", said)
    rows = {}
    for event in world.events():
        rows.setdefault(event["attempt"], []).append(event)
    kinds = {tuple(event["kind"] for event in row) for row in rows.values()}
    ok(len(rows) == 48 and kinds == {("started", "report", "disposition", "disposition")} and not world.staged() and
       world.call("journal", "verify").returncode == 0, "each is recorded as such, and nothing is left", (len(rows), kinds))
    world.done()


def main():
    if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0) != 0:  # PR_SET_CHILD_SUBREAPER
        ok(False, "orphans cannot be seen")
    users = (0, 1000) if os.geteuid() == 0 else (os.geteuid(),)
    for scenario in SCENARIOS:
        for user in users:
            if ONLY in scenario.name:
                matrix(scenario, user)
    if not ONLY or ONLY == "recover":
        by_name = {scenario.name: scenario for scenario in SCENARIOS}
        for user in users:
            recoveries(by_name["run"], user, ["released"])
            recoveries(by_name["run --commit=durable"], user, ["released", "listed", "recorded", "write prepared", "exchange", "write applied", "clear"])
            recoveries(by_name["artifacts discard of a path"], user, ["write rest"])
        live()
        beside()
    print(f"# all: {totals['steps']} steps = {totals['crashes']} crashes seen")
    print(f"1..{len(results)}")
    return 0 if all(results) and totals["steps"] == totals["crashes"] else 1


sys.exit(main())
