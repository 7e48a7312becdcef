"""tests/escape/redteam.py - attempts on bvisor itself rather than on one grant: its descriptors, its image, its words, its
filter, the moment between plan and start, and the host that many runs share. Used like the cases of cases.py.
"""

import contextlib
import ctypes
import errno
import json
import os
import re
import shutil
import time

import bvhost
from cases import NO_NETWORK, WORKS, Case, heard, hear, left_behind, loopback, over, peak, ro, rw, see_process, span_look, to_port, \
    was_seen, wear


def content(path):
    with open(path, "rb") as source:
        return source.read()


# ---- the file system ----

def statfs_judge(ctx):
    return f"fsid {os.statvfs(ctx.outside).f_fsid:016x}" in ctx.out


def need_fsid():
    """What the harness's own directories lie on must have a name, or none could come out."""
    return None if os.statvfs("/tmp").f_fsid else "the file system of /tmp has no id"


def swap_prepare(ctx):
    """A granted directory, and a link to what is not granted that will take its place."""
    ctx.granted = ctx.rw + "/granted"
    os.mkdir(ctx.granted)
    ctx.write(ctx.granted + "/f", "content of f\n")
    ctx.own(ctx.granted)
    os.symlink(ctx.outside, ctx.rw + "/link")


def swap(ctx):
    os.rename(ctx.granted, ctx.rw + "/moved")
    os.rename(ctx.rw + "/link", ctx.granted)
    return []


def exchange_look(ctx):
    """The directory and the link change places all the time, outside's attempt included."""
    for _ in range(200):
        bvhost.LIBC.syscall(316, -100, ctx.granted.encode(), -100, (ctx.rw + "/link").encode(), 2)  # renameat2(RENAME_EXCHANGE)
        ctx.exchanged = True
        time.sleep(0.0002)


def need_landlock():
    """A capability that is not there cannot vanish."""
    return None if bvhost.LIBC.syscall(444, None, 0, 1) > 0 else "no Landlock here"


# ---- bvisor's own descriptors, programs and words ----

def std_judge(ctx):
    """The caller's descriptors 0-2 were closed: nothing but streams may stand there, and nothing may be read from them."""
    found = ctx.read(ctx.rw + "/found")
    lines = found.splitlines()
    streams = [line.split()[:3] for line in lines]
    leaked = ctx.secret in found or any(int(number) > 2 or kind not in ("pipe", "null") for _, number, kind in streams)
    if not ctx.inside:
        return leaked
    written = sum(ctx.report["captured"][name]["bytes"] for name in ("stdout", "stderr"))
    return leaked or len(streams) != 3 or written != 2 * len(ctx.name)


def std_prepare(ctx):
    ctx.banner = False


CLOSED = ["sh", "-c", 'exec 0<&- 1>&- 2>&-; exec "$@"', "sh"]


def careless(ctx):
    """A launcher whose first open() after that becomes the workload's standard input."""
    return ["sh", "-c", 'exec 0<&- 1>&- 2>&-; exec 0<"$0"; exec "$@"', ctx.outside + "/secret"]


def image_prepare(ctx):
    """A program of the host that runs now and ends soon; inside, bvisor's own image is the same prey."""
    ctx.bvisor = shutil.copy(ctx.session.bvisor, ctx.base + "/bvisor")
    ctx.prey = shutil.copy(ctx.program("use_wall"), ctx.base + "/prey")
    for path in (ctx.bvisor, ctx.prey):
        os.chmod(path, 0o755)
        ctx.own(path)
    ctx.images = {path: content(path) for path in (ctx.bvisor, ctx.prey)}
    ctx.start_victim([ctx.prey, ctx.name, "400"])


def image_arguments(ctx):
    found = [os.stat(path) for path in ctx.images]
    return [ctx.secret] + [f"{status.st_dev}:{status.st_ino}" for status in found]


def image_judge(ctx):
    return any(content(path) != before for path, before in ctx.images.items())


def forgery(ctx):
    return ['{"body":{"attempt":"' + ctx.secret + '","outcome":"completed"},"schema":"bvisor.report/1"}']


def report_prepare(ctx):
    """A file where a careless supervisor would keep its report, open in every process that it starts."""
    ctx.kept = ctx.base + "/kept"
    ctx.write(ctx.kept, "")
    ctx.fds = {9: os.open(ctx.kept, os.O_WRONLY | os.O_APPEND)}


def forge_judge(ctx):
    if ctx.secret in ctx.read(ctx.kept):
        return True
    return ctx.inside and (ctx.report["outcome"] != "failed" or ctx.report["exit"] != {"code": 7} or ctx.status != 7
                           or ctx.report["attempt"] == ctx.secret)


def told_apart(how, number):
    """The end is the workload's own, and the report says so whatever the number."""
    def judge(ctx):
        if not ctx.inside:
            return ctx.status == (number if how == "exit" else -number)
        wanted = {"code": number} if how == "exit" else {"signal": number}
        outcome = "completed" if wanted == {"code": 0} else "failed"
        return ctx.report["exit"] == wanted and ctx.report["outcome"] == outcome and ctx.status == (number if how == "exit" else 128 + number)
    return Case(f"end.{how}_{number}", ["launch_workload"], "st_end", lambda c: [how, str(number)], (), judge, expect=WORKS, attack="66")


def twice(ctx):
    return [ctx.program("env_twice"), "BVT_HOST", ctx.secret]


def hostile_judge(ctx):
    """Outside both copies come out; inside only what was asked, byte for byte, however it reads to a loader."""
    if not ctx.inside:
        return ctx.secret in ctx.out
    lines = [line for line in ctx.out.split("\n") if "=" in line and "\0" not in line]
    return ctx.secret in ctx.out or lines != hostile(ctx)


BIG = 128 * 1024 - len("BVT_BIG=") - 1  # the longest entry that the kernel takes


def hostile(ctx):
    return ["LD_PRELOAD=" + ctx.program("libenv_preload.so"), "LD_LIBRARY_PATH=.", "GLIBC_TUNABLES=glibc.malloc.check=3:glibc.malloc.check=3",
            "IFS= \t", "BVT_BIG=" + "b" * BIG]


def hostile_options(ctx):
    return ["--ro", "/proc"] + [word for entry in hostile(ctx) for word in ("--env", entry)]


def preload_environment(ctx):
    return {"LD_PRELOAD": ctx.program("libenv_preload.so"), "LD_LIBRARY_PATH": ctx.session.bin, "BVT_HOST": ctx.secret,
            "GLIBC_TUNABLES": "glibc.malloc.check=3:glibc.malloc.perturb=7"}


def lease_prepare(ctx):
    ctx.lease = ctx.secret[::-1]
    ctx.write(ctx.base + "/secrets.json", json.dumps({"job/token": ctx.lease}))
    os.chmod(ctx.base + "/secrets.json", 0o600)
    ctx.seen = set()


def memory_holds(pid, word):
    """Does the writable memory of a process hold these bytes?"""
    with open(f"/proc/{pid}/maps", encoding="latin-1") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            area, rights = line.split()[:2]
            start, end = (int(number, 16) for number in area.split("-"))
            if rights.startswith("rw"):
                with contextlib.suppress(OSError, ValueError):
                    if word in os.pread(memory.fileno(), end - start, start):
                        return True
    return False


def lease_look(ctx):
    """While the workload runs: who else has its secret on the command line, in the environment or still in memory?"""
    if not bvhost.named(ctx.name):
        return
    word, workload = ctx.lease.encode(), set(bvhost.named(ctx.name))
    for pid in set(bvhost.pids()) - workload:
        with contextlib.suppress(OSError):
            mine = ctx.base.encode() in content(f"/proc/{pid}/cmdline")
            if word in content(f"/proc/{pid}/cmdline") or word in content(f"/proc/{pid}/environ"):
                ctx.seen.add("command line or environment")
            if mine and os.getuid() == 0 and memory_holds(pid, word):
                ctx.seen.add("memory of " + (bvhost.comm(f"/proc/{pid}/comm") or "?"))


def lease_judge(ctx):
    documents = content(ctx.base + "/report.json") if ctx.inside else b""
    ctx.err += "; ".join(sorted(ctx.seen))
    return bool(ctx.seen) or ctx.lease.encode() in documents + ctx.raw_out + ctx.raw_err


def nested_judge(ctx):
    """A boundary inside the boundary starts its workload, or says in one line why it cannot."""
    return ctx.secret[::-1] in ctx.out or (ctx.inside and re.search(r"^bvisor: .+: .+", ctx.err, re.M) is not None)


# ---- the filter ----

def surface(call, uid=0, need=None):
    return Case("sys." + call, ["launch_workload"], "sys_surface", lambda c: [call], lambda c: ["--ro", "/proc"],
                lambda c: "REACHED " + call in c.out, uid=uid, need=need, attack="86")


def future_judge(ctx):
    """Inside every one of them is unknown; outside a newer kernel may know some."""
    found = re.search(r"^FUTURE (\d+) unknown (\d+) others", ctx.out, re.M)
    return found is not None and int(found[1]) + int(found[2]) == 231 and (not ctx.inside or found[2] == "0")


def need_call(what, number, *arguments):
    """The same harmless question, asked by the harness: some kernels are built without the call, some roots may not ask."""
    def need():
        answer = bvhost.LIBC.syscall(number, *arguments)
        if number == 323 and answer >= 0:
            os.close(answer)
        if answer < 0 and ctypes.get_errno() in (errno.ENOSYS, errno.EPERM):
            return f"{what}: {os.strerror(ctypes.get_errno())} on this machine"
        return None
    return need


# ---- budgets under fire, and the host ----

def leaf_left(ctx):
    """Control groups of this run that outlive it, in any hierarchy."""
    return any(name.startswith("bvisor-") and ctx.report["attempt"] in name for _, names, _ in os.walk("/sys/fs/cgroup") for name in names)


BOMB_WALL = 1_000_000


def bomb_judge(ctx):
    if left_behind(ctx):
        return True
    # A second to converge, as the catalogue has it; on a loaded machine the host itself looks late.
    return ctx.inside and (leaf_left(ctx) or ctx.peak > BOMB_WALL + 1_500_000 or ctx.report["outcome"] != "timeout")


def child_judge(ctx):
    """Too much memory was held; or it was not, but the report blames nobody because the parent ended with 0."""
    if over("resident_bytes", 8 << 20)(ctx):
        return True
    return ctx.inside and (ctx.report["budget"]["resident_bytes"]["finding"] != "limit_reached_enforced"
                           or ctx.report["outcome"] != "killed" or ctx.status != 137)


LATE = 0.25  # seconds that the host may take over a wake-up while a workload runs; a slow machine four times what it takes idle


def overslept():
    began = time.monotonic()
    time.sleep(0.005)
    return time.monotonic() - began - 0.005


def watchdog_prepare(ctx):
    ctx.late, ctx.latest = max(LATE, 4 * max(overslept() for _ in range(40))), 0.0


def watchdog_look(ctx):
    ctx.latest = max(ctx.latest, overslept())


CASES = [
    Case("fs.statfs_outside", ["filesystem"], "fs_statfs", lambda c: [c.outside + "/secret"], ro, statfs_judge, need=need_fsid, attack="4"),
    Case("fs.grant_swap", ["filesystem"], "fs_copy", lambda c: [c.granted + "/secret"], lambda c: ["--ro", c.granted],
         prepare=swap_prepare, between=swap, refused=True, attack="14"),
    Case("fs.grant_swap_race", ["filesystem"], "fs_read_again", lambda c: [c.granted + "/secret", "300"], lambda c: ["--ro", c.granted],
         prepare=swap_prepare, look=exchange_look, edit=lambda spec: None, refused=True, rounds=20, attack="14"),
    Case("plan.drift", ["launch_workload"], "fs_copy", lambda c: [c.ro + "/token"], ro, prepare=lambda c: c.write(c.ro + "/token", c.secret),
         between=lambda c: [c.program("without_landlock")], refused=True, need=need_landlock, attack="103"),
    Case("fd.closed_streams", ["capture_streams"], "fd_std", lambda c: [c.rw, c.name], rw, std_judge, std_prepare, wrapper=careless,
         enclosed=lambda c: CLOSED, attack="43"),
    Case("fd.own_image", ["launch_workload"], "fd_self_exe", image_arguments, lambda c: ["--ro", "/proc"], image_judge, image_prepare,
         attack="44"),
    Case("env.hostile", ["environment"], "env_leak", lambda c: [], hostile_options, hostile_judge, wrapper=twice, enclosed=twice, attack="46"),
    Case("env.preload", ["environment"], "env_dynamic", lambda c: [], lambda c: ["--system"], environment=preload_environment,
         need=lambda: None if os.path.exists("/lib64/ld-linux-x86-64.so.2") else "no dynamic loader here", attack="46"),
    Case("env.lease", ["environment"], "use_wall", lambda c: [c.name, "400"],
         lambda c: ["--env-secret", "TOKEN=job/token", "--secrets", c.base + "/secrets.json"], lease_judge, lease_prepare, lease_look,
         wrapper=lambda c: ["sh", "-c", 'TOKEN=$0 "$@"; :', c.lease], attack="47"),
    Case("end.forged", ["launch_workload"], "st_forge", forgery, lambda c: ["--ro", "/proc"], forge_judge, report_prepare, attack="67"),
    *[told_apart("exit", number) for number in (0, 1, 124, 125, 126, 127, 134, 137, 159, 255)],
    *[told_apart("signal", number) for number in (6, 9, 11, 15, 31)],
    surface("bpf", need=need_call("bpf", 321, -1, None, 0)),
    surface("perf_event_open", need=need_call("perf_event_open", 298, None, 0, -1, -1, 0)),
    surface("userfaultfd", None, need_call("userfaultfd", 323, 1)),
    surface("modify_ldt", None, need_call("modify_ldt", 154, 0, None, 0)),
    surface("personality", None),
    surface("syslog", need=need_call("syslog", 103, 10, None, 0)),
    surface("kexec_load", need=need_call("kexec_load", 246, 0, 17, None, 0)),
    surface("init_module", need=need_call("init_module", 175, b"", 1, b"")),
    surface("swapon", need=need_call("swapon", 167, b"/nonexistent", 0)),
    surface("acct", need=need_call("acct", 163, b"/nonexistent")),
    surface("reboot", need=need_call("reboot", 169, 0, 0, 0, None)),
    surface("setns"),
    surface("ioperm", need=need_call("ioperm", 173, 0x80, 1, 0)),
    Case("net.high_bits", NO_NETWORK, "net_high_bits", to_port, (), heard, loopback, hear, attack="87"),
    Case("spawn.high_bits", ["spawn_deny_new_tasks"], "spawn_high_bits", wear, (), was_seen, look=see_process, attack="87"),
    Case("spawn.high_bits_beside_threads", ["spawn_allow_threads"], "spawn_high_bits", wear, lambda c: ["--spawn", "threads"], was_seen,
         look=see_process, attack="87"),
    Case("sys.future", ["launch_workload"], "sys_future", lambda c: [], (), future_judge, expect=WORKS, attack="89"),
    Case("sys.listener", NO_NETWORK, "sys_listener", to_port, lambda c: ["--spawn", "threads"], heard, loopback, hear, attack="90"),
    Case("nested.bvisor", ["spawn_allow_descendants"], "nested",
         lambda c: [c.session.bvisor, "run", "--no-journal", "-q", "--", c.program("payload"), c.secret],
         lambda c: ["--spawn", "any", "--rx", c.session.top, "--ro", "/proc", "--ro", "/dev"], nested_judge, expect=WORKS, attack="90"),
    Case("kill.bomb", ["wall_micros", "process_count"], "kill_bomb", lambda c: [c.name, "40", "5000"],
         lambda c: ["--spawn", "any", "--procs", "32", "--wall", f"{BOMB_WALL}us"], bomb_judge, look=span_look, noisy=True, attack="62"),
    Case("budget.memory_of_a_child", ["resident_bytes"], "use_memory_child", lambda c: [c.name, "160"],
         lambda c: ["--spawn", "any", "--mem", "64M"], child_judge, look=peak(bvhost.resident_bytes), attack="95"),
    Case("host.latency", ["launch_workload"], "host_harm", lambda c: ["700"], lambda c: ["--spawn", "any"],
         lambda c: c.latest > c.late, watchdog_prepare, watchdog_look, uid=0, noisy=True, attack="101"),
]
