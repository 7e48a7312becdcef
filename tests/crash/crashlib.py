"""tests/crash/crashlib.py - what the tests of crashes and of failing media share: a world to run in, scenarios, and what must hold after a recovery."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time

STEPS = os.path.abspath(sys.argv[1])
WORD = "bvisor-crash-" + os.urandom(4).hex()  # in the workload's arguments, so that it can be found
GUEST = bytes.fromhex("0061736d01000000010401600000030201000503010001071302065f73746172740000066d656d6f727902000a040102000b")  # an empty _start, a memory
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


def snapshot(top):
    """What is below a directory, byte for byte; times are left out, as no run sets them."""
    seen = {}
    for at, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(at, name)
            st = os.lstat(path)
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as data:
                    content = data.read()
            else:
                content = os.readlink(path) if stat.S_ISLNK(st.st_mode) else None
            seen[os.path.relpath(path, top)] = (stat.S_IFMT(st.st_mode), 0 if stat.S_ISLNK(st.st_mode) else stat.S_IMODE(st.st_mode), content)
    return seen


class World:
    """A state directory, a host tree and a copy of the program that a user of this id can run."""

    def __init__(self, uid):
        self.uid = uid
        self.top = os.path.realpath(tempfile.mkdtemp(prefix="bvisor-crash-"))
        os.chmod(self.top, 0o755)
        self.own = os.path.join(self.top, "own")
        os.mkdir(self.own, 0o755)
        os.chown(self.own, uid, uid)
        self.program = shutil.copy(STEPS, self.top)
        self.home = os.path.join(self.own, "home")
        self.attempt = None
        self.log = os.path.join(self.own, "log")
        self.root = os.path.join(self.own, "root")
        self.guest = os.path.join(self.top, WORD + ".wasm")
        with open(self.guest, "wb") as module:
            module.write(GUEST)

    @property
    def state(self):
        return os.path.join(self.home, "bvisor")

    def as_user(self, command, env=None):
        if self.uid != os.geteuid():
            command = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--", *command]
        full = {"PATH": "/usr/bin:/bin", "XDG_STATE_HOME": self.home, **(env or {})}
        return subprocess.run(command, capture_output=True, check=False, timeout=60, cwd="/", env=full)

    def call(self, *words, env=None):
        return self.as_user([self.program, *words], env)

    def call_at(self, step, words):
        """The command with its marks logged, and a crash at one of them."""
        if os.path.exists(self.log):
            os.unlink(self.log)
        done = self.as_user([self.program, *words], {"BVISOR_STEP_LOG": self.log, **({"BVISOR_STEP": step} if step else {})})
        if not os.path.exists(self.log):
            return done, []
        with open(self.log, encoding="utf-8") as text:
            return done, text.read().splitlines()

    def make_tree(self):
        """The host's side, always the same; made by the user whose it is."""
        script = """rm -rf root && mkdir root && cd root && umask 022 && echo one > changed && echo two > gone && echo three > mode && mkdir -p old/deep &&
            echo four > old/deep/file && echo five > old/side && ln -s changed link"""
        self.as_user(["sh", "-c", f"cd {self.own} && {script}"])

    def events(self):
        lines = self.call("journal", "export").stdout.splitlines()
        return [json.loads(line)["event"] for line in lines]

    def staged(self):
        return json.loads(self.call("artifacts", "list", "--json").stdout)["attempts"]

    def artifacts(self, attempt):
        """How many changes of an attempt wait; None: it does not."""
        listed = self.call("artifacts", "list", attempt, "--json")
        return len(json.loads(listed.stdout)["artifacts"]) if listed.returncode == 0 else None

    def done(self):
        shutil.rmtree(self.top, ignore_errors=True)


CHANGES = """cd "$1" && echo more >> changed && rm gone && chmod 600 mode && mkdir -p new/inner && echo x > new/inner/file && rm -r old && echo now > old &&
    ln -sf mode link && echo last > top"""


class Scenario:
    """A command that is crashed at each of its marks. prepare: what must have happened before it, in a state directory of its own each time."""

    def __init__(self, name, words, stages=False, recorded=True, launcher=True, prepare=None, code=0):
        self.code = code  # the status that it ends with by itself
        self.rests = None  # of a part: how many changes wait before it and after it
        self.name, self.words, self.stages, self.recorded, self.launcher, self.prepare = name, words, stages, recorded, launcher, prepare


def native(world, *more, script=None):
    words = ["run", "--system", "--tmp", "--spawn", "any", *more, "--", "sh", "-c", script or f"true {WORD}; exit 0"]
    return words + (["sh", world.root, WORD] if script else [])


def kept(world):
    """An attempt that waits for a decision."""
    result = world.call_at(None, native(world, "--rw", world.root, "--stage", script=CHANGES))[0]
    return result.returncode == 0 and world.staged()[0]["attempt"]


def conflicting(world):
    """The same, and the host has put something where the last change wants to go."""
    attempt = kept(world)
    world.as_user(["sh", "-c", f"echo own > {world.root}/top"])
    return attempt


SCENARIOS = [
    Scenario("run", native),
    Scenario("run --commit=durable", lambda world: native(world, "--rw", world.root, "--commit=durable", script=CHANGES), stages=True),
    Scenario("run --no-journal --commit", lambda world: native(world, "--rw", world.root, "--no-journal", "--commit", script=CHANGES), stages=True,
             recorded=False, launcher=False),
    Scenario("run --discard", lambda world: native(world, "--rw", world.root, "--discard", script=CHANGES), stages=True, launcher=False),
    Scenario("run --stage", lambda world: native(world, "--rw", world.root, "--stage", script=CHANGES), stages=True),
    Scenario("artifacts commit", lambda world: ["artifacts", "commit", world.attempt], stages=True, launcher=False, prepare=kept),
    Scenario("artifacts commit of a path", lambda world: ["artifacts", "commit", world.attempt, "new"], stages=True, launcher=False, prepare=kept),
    Scenario("artifacts commit that conflicts", lambda world: ["artifacts", "commit", world.attempt], stages=True, launcher=False, prepare=conflicting,
             code=125),
    Scenario("artifacts discard", lambda world: ["artifacts", "discard", world.attempt], stages=True, launcher=False, prepare=kept),
    Scenario("artifacts discard of a path", lambda world: ["artifacts", "discard", world.attempt, "new"], stages=True, launcher=False, prepare=kept),
    Scenario("run of a guest", lambda world: ["run", "--ro", world.top, "--", world.guest], launcher=False),
]


# ---- what must hold after a recovery ----

def wrong_events(events):
    """Of one attempt: exactly one terminal record, and no decision without an end."""
    kinds = [event["kind"] for event in events]
    ends = kinds.count("report") + sum(e["kind"] == "recovery" and e["payload"]["settled"] != "completed" for e in events)
    if kinds[0] != "started" or kinds.count("started") != 1 or ends != 1:
        return f"terminal records: {ends}: {kinds}"
    states = [e["payload"]["state"] for e in events if e["kind"] == "disposition"]
    pairs = list(zip(states[::2], states[1::2]))
    if len(states) % 2 or any(first != "decided" or second not in ("applied", "failed") for first, second in pairs):
        return f"dispositions: {states}"
    return None


def last_disposition(events):
    rows = [(e["payload"]["decided"], e["payload"]["state"]) for e in events if e["kind"] == "disposition"]
    return rows[-1] if rows else (None, None)


def wrong_tree(world, scenario, before, after, rows):
    """The tree is one of two, and the one that the record says."""
    now = snapshot(world.root)
    if now not in (before, after):
        return f"the tree is neither: {sorted(set(now.items()) ^ set(before.items()), key=str)}"
    for events in rows.values():
        applied = last_disposition(events) == ("commit", "applied")
        if before != after and applied != (now == after):
            return f"the tree is the one {'after' if now == after else 'before'}, and the record says {last_disposition(events)}"
    for entry in world.staged():
        events = rows.get(entry["attempt"])
        if entry["state"] != "kept" or not events or not any(event["kind"] == "report" for event in events):
            return f"staged and of no use: {entry}"
        if last_disposition(events)[1] == "applied" and not scenario.rests:
            return f"staged after its disposition was applied: {entry}"
    if scenario.rests and world.attempt:
        applied = last_disposition(rows[world.attempt])[1] == "applied"
        if world.artifacts(world.attempt) != scenario.rests[applied]:
            return f"of the part {scenario.rests[applied]} changes should wait, and {world.artifacts(world.attempt)} do"
    return None


def wrong_after(world, scenario, before, after, mounted):
    """Recovers, and says what is wrong then; None: nothing."""
    dry = world.call("recover", "--dry-run")
    first = world.call("recover")
    if dry.returncode or first.returncode or len(dry.stdout.splitlines()) != len(first.stdout.splitlines()):
        return f"recover failed, or is not what --dry-run said: {dry} {first}"
    events, staged, tree = world.events(), world.staged(), snapshot(world.root) if scenario.stages else None
    second = world.call("recover")
    if second.returncode or second.stdout or world.events() != events or world.staged() != staged or (tree is not None and snapshot(world.root) != tree):
        return f"a second recovery did something: {second}"
    rows = {}
    for event in events:
        rows.setdefault(event["attempt"], []).append(event)
    for attempt, row in rows.items():
        wrong = wrong_events(row)
        if wrong:
            return f"attempt {attempt}: {wrong}"
    if scenario.stages:
        wrong = wrong_tree(world, scenario, before, after, rows)
        if wrong:
            return wrong
    verified = world.call("journal", "verify")
    if events and verified.returncode:
        return f"the journal does not verify: {verified}"
    quarantine = world.state + "/quarantine"
    known = {"bvisor-" + entry["attempt"] for entry in staged}
    left = set(os.listdir(quarantine)) - known if os.path.isdir(quarantine) else set()
    left = left or leaves(rows) or [line for line in mounts() if line not in mounted] or orphans()
    return f"left behind: {left}" if left else None


def prepared(world, scenario):
    """A state directory and a tree as before; False when this machine cannot come so far."""
    shutil.rmtree(world.state, ignore_errors=True)
    world.make_tree()
    if scenario.prepare:
        world.attempt = scenario.prepare(world)
        return bool(world.attempt)
    return True
