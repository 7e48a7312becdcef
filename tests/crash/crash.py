"""tests/crash/crash.py - kills the supervisor, and its launcher, at every mark between the first effect of a run and the last, then recovers.

After each: exactly one terminal record an attempt, the journal verifies, no process, cgroup, mount or directory of it is left, and a second
recovery changes nothing. As root and as uid 1000. The same marks with a file system below the journal that fails (a loop device whose
backing is full) are tests/cli/test_journal.py's. TAP on stdout.

usage: crash.py BVISOR-STEPS
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

STEPS = os.path.abspath(sys.argv[1])
WORD = "bvisor-crash-" + os.urandom(4).hex()  # in the workload's arguments, so that it can be found
results = []


def ok(fine, name, detail=""):
    results.append(bool(fine))
    print(f"{'ok' if fine else 'not ok'} {len(results)} - {name}", flush=True)
    if not fine:
        print(*("# " + line for line in str(detail).splitlines()), sep="\n", flush=True)


def processes(word):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as text:
                if word.encode() in text.read() and int(pid) != os.getpid():
                    found.append(pid)
        except OSError:
            continue
    return found


def orphans():
    """What a killed supervisor left comes to this process (a subreaper); the dead are reaped, the living are told."""
    deadline = time.monotonic() + 5
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return []
        if time.monotonic() > deadline:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="utf-8") as text:
                return text.read().split()
        time.sleep(0.02)


def leaves(attempts):
    found = []
    for top, dirs, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(top, name) for name in dirs if any(name.startswith("bvisor-" + attempt) for attempt in attempts)]
    return found


def mounts():
    with open("/proc/self/mounts", encoding="utf-8") as text:
        return sorted(line for line in text if "bvisor" in line)


class World:
    def __init__(self, uid):
        self.uid = uid
        self.top = os.path.realpath(tempfile.mkdtemp(prefix="bvisor-crash-"))
        os.chmod(self.top, 0o755)
        self.own = os.path.join(self.top, "own")
        os.mkdir(self.own, 0o755)
        os.chown(self.own, uid, uid)
        self.program = shutil.copy(STEPS, self.top)
        self.state = os.path.join(self.own, "state")
        self.log = os.path.join(self.own, "log")

    def call(self, *words, env=None):
        command = [self.program, *words]
        if self.uid != os.geteuid():
            command = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--", *command]
        return subprocess.run(command, capture_output=True, check=False, timeout=60, cwd="/", env={"PATH": "/usr/bin:/bin", **(env or {})})

    def run(self, step=None, prepared=()):
        if os.path.exists(self.log):
            os.unlink(self.log)
        env = {"BVISOR_STEP_LOG": self.log, **({"BVISOR_STEP": step} if step else {})}
        done = self.call(*prepared, "run", "--journal", self.state, "--system", "--tmp", "--spawn", "any", "--", "sh", "-c", f"true {WORD}; exit 0", env=env)
        with open(self.log, encoding="utf-8") as text:
            return done, text.read().splitlines()

    def events(self):
        lines = self.call("journal", "export", "--journal", self.state).stdout.splitlines()
        return [json.loads(line)["event"] for line in lines]

    def done(self):
        shutil.rmtree(self.top, ignore_errors=True)


def one_crash(world, index, who, before):
    """Crashes at mark `index`; a text for what is wrong afterwards, None if nothing is, and whether the mark was reached."""
    earlier = len(world.events()) if os.path.exists(world.state + "/journal.db") else 0
    result, names = world.run(f"{index}:{who}")
    hit = (who == "self" and result.returncode == -9 and len(names) == index) or (who == "launcher" and "killed" in names)
    if who == "launcher" and len(names) >= index and "killed" not in names:
        hit = True  # at this mark there is no launcher any more, or not yet
    deadline = time.monotonic() + 5
    while processes(WORD) and time.monotonic() < deadline:
        time.sleep(0.02)
    if processes(WORD):
        return f"a process is left: {processes(WORD)}", hit
    dry = world.call("recover", "--dry-run", "--journal", world.state)
    first = world.call("recover", "--journal", world.state)
    if dry.returncode or first.returncode or len(dry.stdout.splitlines()) != len(first.stdout.splitlines()):
        return f"recover failed, or is not what --dry-run said: {dry} {first}", hit
    events = world.events()
    second = world.call("recover", "--journal", world.state)
    if second.returncode or second.stdout or world.events() != events:
        return f"a second recovery did something: {second}", hit
    kinds = {}
    for event in events[earlier:]:
        kinds.setdefault(event["attempt"], []).append(event["kind"])
    for attempt, row in kinds.items():
        if row not in (["started", "report"], ["started", "recovery"]):
            return f"attempt {attempt} has {row}", hit
    verified = world.call("journal", "verify", "--journal", world.state)
    if verified.returncode:
        return f"the journal does not verify: {verified}", hit
    left = leaves(kinds) or [line for line in mounts() if line not in before] or orphans()
    return (f"left behind: {left}" if left else None), hit


def matrix(uid):
    world = World(uid)
    before = mounts()
    result, names = world.run()
    if result.returncode != 0:
        print(f"ok {len(results) + 1} # SKIP uid {uid}: this machine holds no such run: {result.stderr.decode()[:200]}")
        results.append(True)
        world.done()
        return
    seen = 0
    for who in ("self", "launcher"):
        for index in range(1, len(names) + 1):
            wrong, hit = one_crash(world, index, who, before)
            seen += hit
            if wrong or not hit:
                ok(False, f"uid {uid}, {who} killed at mark {index}, {names[index - 1]}", wrong or "the mark was not hit")
    print(f"# uid {uid}: {len(names)} marks: {', '.join(names)}")
    ok(seen == 2 * len(names), f"uid {uid}: steps = {2 * len(names)}, crashes seen = {seen}")
    world.done()


def recovery():
    """A crash inside a recovery: at each of its marks, after a run that was killed where its workload exists."""
    world = World(os.geteuid())
    _, names = world.run()
    killed = names.index("released") + 1
    seen = 0
    for index in range(1, 4):
        world.run(f"{killed}:self")
        if os.path.exists(world.log):
            os.unlink(world.log)
        crashed = world.call("recover", "--journal", world.state, env={"BVISOR_STEP": f"{index}:self", "BVISOR_STEP_LOG": world.log})
        seen += crashed.returncode == -9
        world.call("recover", "--journal", world.state)
    rows = {}
    for event in world.events():
        rows.setdefault(event["attempt"], []).append(event["kind"])
    ok(seen == 3, f"steps = 3, crashes seen = {seen} in a recovery")
    ok(all(len(row) == 2 for row in rows.values()) and world.call("journal", "verify", "--journal", world.state).returncode == 0,
       "each attempt is settled once all the same", rows)
    world.done()


def live():
    """A recovery beside a run that lives leaves it alone."""
    world = World(os.geteuid())
    run = subprocess.Popen([world.program, "run", "--journal", world.state, "--system", "sleep", "1.5"])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and b"running" not in world.call("journal", "list", "--journal", world.state).stdout:
        time.sleep(0.02)
    beside = world.call("recover", "--journal", world.state)
    ok(beside.returncode == 0 and not beside.stdout, "recover beside a living run does nothing", beside)
    ok(run.wait() == 0 and [event["kind"] for event in world.events()] == ["started", "report"], "which completes", world.events())
    world.done()


if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0) != 0:  # PR_SET_CHILD_SUBREAPER
    ok(False, "orphans cannot be seen")
for user in (0, 1000) if os.geteuid() == 0 else (os.geteuid(),):
    matrix(user)
recovery()
live()
print(f"1..{len(results)}")
sys.exit(0 if all(results) else 1)
