"""tests/escape/cases.py - the attempts: which `enforced` cells each one tests, how it is started, and how the host judges it.

A Case is started twice with the same rights, in a fresh directory each time: outside, where it must happen, and under
`bvisor run`, where it must not (HELD) or must happen too (WORKS: what a grant allows). `judge` looks at the host only.
Nothing listens but on 127.0.0.1, on abstract names and on sockets in the case's own directory.
"""

import contextlib
import ctypes
import errno
import functools
import hashlib
import os
import resource
import shutil
import socket
import struct
import subprocess
import tempfile
import termios

import bvhost

HELD, WORKS = "held", "works"
DIMENSIONS = ("wall_micros", "cpu_micros", "resident_bytes", "process_count", "handle_count", "storage_bytes", "network_bytes")
NO_NETWORK = ("network_deny_all", "network_bytes")
ROOTLESS_NOTE = "an ordinary user cannot do this outside either"


class Case:
    def __init__(self, name, cells, attempt, args, options=(), judge=None, prepare=None, look=None, expect=HELD, uid=None,
                 need=None, recorded=None, wrapper=None, enclosed=None, environment=None, between=None, refused=False, wall=120.0, attack="",
                 noisy=False, edit=None, rounds=1):
        self.name, self.cells, self.attempt, self.args, self.options = name, tuple(cells), attempt, args, options
        self.judge = judge or (lambda ctx: ctx.secret in ctx.out)
        self.prepare, self.look, self.expect, self.uid, self.need = prepare, look, expect, uid, need
        self.rounds = rounds
        self.enclosed, self.environment, self.between, self.refused = enclosed, environment, between, refused
        self.recorded, self.wrapper, self.wall, self.attack, self.edit, self.noisy = recorded, wrapper, wall, attack, edit, noisy


# ---- fixtures: every context has ro/ and rw/ (granted) and outside/ (not granted), each with files of known content ----

def ro(ctx):
    return ["--ro", ctx.ro]


def rw(ctx):
    return ["--rw", ctx.rw]


def both(ctx):
    return ro(ctx) + rw(ctx)


def staged(ctx, option):
    return [option, "--journal", ctx.base + "/state"]


def tree_changed(which):
    """Did anything in this tree of the host change since the fixture was made?"""
    return lambda ctx: bvhost.tree_digest(getattr(ctx, which)) != ctx.digests[which]


def appended(which):
    def judge(ctx):
        with open(os.path.join(getattr(ctx, which), "f"), encoding="utf-8") as text:
            return ctx.secret in text.read()
    return judge


def read_only_mount(which):
    """Outside, the tree is put under a read-only bind mount in a mount namespace of its own: undoing that is the attempt."""
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    return lambda ctx: ["unshare", "-m" if ctx.uid == 0 else "-rm", "sh", "-c", script, getattr(ctx, which)]


# ---- the file system ----

def oracle_prepare(ctx):
    ctx.pattern = "".join("01"[byte & 1] for byte in os.urandom(20)) + "01"
    for index, bit in enumerate(ctx.pattern):
        if bit == "1":
            ctx.write(os.path.join(ctx.outside, str(index)), "x")


def watch_look(ctx):
    ctx.ticks = getattr(ctx, "ticks", 0) + 1
    if ctx.ticks % 8 == 0:
        ctx.write(os.path.join(ctx.outside, f"{ctx.secret}-{ctx.ticks}"), "")


LOADER = "/lib64/ld-linux-x86-64.so.2"


def payload_prepare(ctx, program="payload"):
    shutil.copy(ctx.program(program), os.path.join(ctx.rw, "payload"))
    os.chmod(os.path.join(ctx.rw, "payload"), 0o755)
    ctx.own(os.path.join(ctx.rw, "payload"))


def shebang_prepare(ctx):
    ctx.write(os.path.join(ctx.rw, "payload"), f"#!{ctx.program('payload')} {ctx.secret}\n")
    os.chmod(os.path.join(ctx.rw, "payload"), 0o755)


def reversed_in_output(ctx):
    return ctx.secret[::-1] in ctx.out


def code_prepare(ctx):
    """mov rax, NUMBER; ret"""
    ctx.number = int.from_bytes(os.urandom(8), "little")
    with open(os.path.join(ctx.rw, "code"), "wb") as code:
        code.write(b"\x48\xb8" + struct.pack("<Q", ctx.number) + b"\xc3" + bytes(4096))


SETTING = "/proc/sys/kernel/printk_ratelimit_burst"  # global, harmless, and no namespace has a copy of its own


def setting_prepare(ctx):
    with open(SETTING, encoding="ascii") as text:
        ctx.before = text.read().strip()
    ctx.wanted = str(int(ctx.before) + 1)


def setting_judge(ctx):
    with open(SETTING, "r+", encoding="ascii") as text:
        changed = text.read().strip() != ctx.before
        if changed:
            text.seek(0)
            text.write(ctx.before)
    return changed


def setting_need():
    return None if os.path.exists(SETTING) and os.access(SETTING, os.W_OK) else f"{SETTING} is not writable on this machine"


def handle_prepare(ctx):
    ctx.handle = bvhost.file_handle(os.path.join(ctx.outside, "secret")) or (0, "00")


def narrowed_prepare(ctx):
    ctx.inner = os.path.join(ctx.rw, "kept")
    os.mkdir(ctx.inner)
    ctx.write(os.path.join(ctx.inner, "f"), "content of f\n")
    ctx.own(ctx.inner)
    ctx.digests["inner"] = bvhost.tree_digest(ctx.inner)


def need_mount_setattr():
    missing = bvhost.LIBC.syscall(442, -1, b"", 0, None, 0) < 0 and ctypes.get_errno() == errno.ENOSYS
    return "this kernel has no mount_setattr" if missing else None


def need_fanotify():
    """A mark that reports names wants a file system with an identity, which tmpfs has since Linux 5.13: fanotify_mark(2)."""
    fd = bvhost.LIBC.fanotify_init(0xC00, 0)  # FAN_REPORT_DFID_NAME
    if fd < 0:
        return "fanotify_init: " + os.strerror(ctypes.get_errno())
    # FAN_MARK_ADD; FAN_CREATE
    marked = bvhost.LIBC.fanotify_mark(fd, 1, ctypes.c_uint64(0x100), -100, tempfile.gettempdir().encode()) == 0
    why = None if marked else "fanotify_mark: " + os.strerror(ctypes.get_errno())
    os.close(fd)
    return why


def carve_prepare(ctx):
    """Something read-only two directories below the top of a writable root."""
    ctx.kept = ctx.rw + "/a/b/kept"
    os.makedirs(ctx.kept)
    ctx.write(ctx.kept + "/f", "content of f\n")
    for path in (ctx.rw + "/a", ctx.rw + "/a/b", ctx.kept):
        ctx.own(path)
    ctx.digests["kept"] = bvhost.tree_digest(ctx.kept)


def kept_changed(ctx):
    return not os.path.isdir(ctx.kept) or bvhost.tree_digest(ctx.kept) != ctx.digests["kept"]


def kept_file_changed(ctx):
    return ctx.read(ctx.kept + "/f") != "content of f\n"


def set_id_left(ctx):
    """A program in the granted tree that lends the rights of its owner or group. Empty files lend nothing."""
    found = [os.lstat(os.path.join(ctx.rw, name)) for name in os.listdir(ctx.rw)]
    return any(status.st_mode & 0o6000 and status.st_size for status in found)


# VFS_CAP_REVISION_2, effective; CAP_DAC_READ_SEARCH.
READ_EVERYTHING = struct.pack("<5I", 0x02000001, 1 << 2, 0, 0, 0)


def elevated_prepare(ctx, capability):
    """A program that may read what the workload may not: set-user-id root, or by a capability."""
    program, locked = ctx.ro + "/elevated", ctx.ro + "/locked"
    shutil.copy(ctx.program("fs_copy"), program)
    os.chown(program, 0, 0)
    os.chmod(program, 0o755 if capability else 0o4755)
    if capability:
        os.setxattr(program, "security.capability", capability)
    ctx.write(locked, ctx.secret)
    os.chown(locked, 0, 0)
    os.chmod(locked, 0o600)


def need_root():
    return None if os.getuid() == 0 else "only root can make such a program"


def stand_outside(ctx):
    ctx.cwd = ctx.outside


def link_prepare(ctx):
    os.symlink(ctx.outside, ctx.rw + "/link")


def own_cgroup():
    """The harness's own cgroup of the v2 hierarchy, where the host shows it; None where it does not."""
    with open("/proc/self/cgroup", encoding="ascii") as text:
        own = [line.rstrip("\n")[3:] for line in text if line.startswith("0::")]
    with open("/proc/self/mountinfo", encoding="latin-1") as text:
        mounts = [line.split(" ")[4] for line in text if " - cgroup2 " in line]
    path = mounts[0] + own[0].rstrip("/") if own and mounts else ""
    return path if path and os.access(path, os.W_OK) else None


def need_cgroup():
    return None if own_cgroup() else "no cgroup of the harness's own can be written"


def cgroup_prepare(ctx):
    ctx.cgroup, ctx.entered = own_cgroup() + "/bvt-" + ctx.name, False
    os.mkdir(ctx.cgroup)
    ctx.at_end.append(lambda: os.rmdir(ctx.cgroup))


def cgroup_look(ctx):
    with open(ctx.cgroup + "/cgroup.procs", encoding="ascii") as text:
        ctx.entered = ctx.entered or bool(text.read().strip())


FILESYSTEM = [
    Case("fs.read_outside", ["filesystem"], "fs_read_outside", lambda c: [c.outside + "/secret", c.ro], ro, attack="1"),
    Case("fs.read_write_only_root", ["filesystem"], "fs_read_outside", lambda c: [c.outside + "/secret", c.ro],
         lambda c: ro(c) + ["--wo", c.outside], attack="1"),
    Case("fs.read_without_any_grant", ["filesystem"], "fs_read_outside", lambda c: [c.outside + "/secret", "/"], attack="1"),
    Case("fs.stat_oracle", ["filesystem"], "fs_stat_oracle", lambda c: [c.outside, str(len(c.pattern))], ro,
         lambda c: c.pattern in c.out.split(), oracle_prepare, attack="2"),
    Case("fs.list_outside", ["filesystem"], "fs_list_outside", lambda c: [c.outside], ro,
         lambda c: "listed-" + c.secret in c.out,
         lambda c: c.write(os.path.join(c.outside, "listed-" + c.secret), ""), attack="3"),
    Case("fs.watch_outside", ["filesystem"], "fs_watch_outside", lambda c: [c.outside], ro, look=watch_look, attack="4"),
    Case("fs.metadata_outside", ["filesystem"], "fs_meta", lambda c: [c.outside + "/secret"], ro, tree_changed("outside"), attack="5"),
    Case("fs.metadata_read_only_root", ["filesystem"], "fs_meta", lambda c: [c.ro + "/f"], ro, tree_changed("ro"), attack="6"),
    Case("fs.write_outside", ["filesystem"], "fs_write", lambda c: [c.outside, c.secret], both, tree_changed("outside"), attack="7"),
    Case("fs.write_read_only_root", ["filesystem"], "fs_write", lambda c: [c.ro, c.secret], both, tree_changed("ro"), attack="7"),
    Case("fs.write_narrowed_root", ["filesystem"], "fs_write", lambda c: [c.inner, c.secret], lambda c: rw(c) + ["--ro", c.inner],
         tree_changed("inner"), narrowed_prepare, attack="7"),
    Case("fs.rename_across", ["filesystem"], "fs_rename_out_of_ro", lambda c: [c.ro, c.rw], both, tree_changed("ro"), attack="8"),
    Case("fs.hardlink_read_only", ["filesystem"], "fs_hardlink_ro", lambda c: [c.ro, c.rw, c.secret], both, appended("ro"), attack="10"),
    Case("fs.symlink_out", ["filesystem"], "fs_symlink_out", lambda c: [c.rw, c.outside + "/secret"], rw, attack="11"),
    Case("fs.magic_links", ["filesystem"], "fs_magic_links", lambda c: [c.outside + "/secret"], lambda c: ["--ro", "/proc"], attack="12"),
    Case("fs.swap_race", ["filesystem"], "fs_swap_race", lambda c: [c.rw, c.outside, "secret"],
         lambda c: rw(c) + ["--spawn", "threads"], attack="13"),
    Case("fs.open_by_handle", ["filesystem"], "fs_open_handle", lambda c: [c.rw, str(c.handle[0]), c.handle[1]], rw,
         prepare=handle_prepare, uid=0, need=lambda: None if bvhost.file_handle("/tmp") else "no file handles on this file system",
         attack="16"),
    Case("fs.remount", ["filesystem"], "fs_remount", lambda c: ["remount", c.ro, c.secret], ro, appended("ro"),
         wrapper=read_only_mount("ro"), attack="17"),
    Case("fs.mount_setattr", ["filesystem"], "fs_remount", lambda c: ["setattr", c.ro, c.secret], ro, appended("ro"),
         wrapper=read_only_mount("ro"), need=need_mount_setattr, attack="17"),
    Case("fs.unmount", ["filesystem"], "fs_remount", lambda c: ["uncover", c.ro, c.secret], ro, appended("ro"),
         wrapper=read_only_mount("ro"), attack="17"),
    Case("fs.clone_tree", ["filesystem"], "fs_remount", lambda c: ["clone", c.ro, c.secret], ro, appended("ro"),
         wrapper=read_only_mount("ro"), need=need_mount_setattr, attack="17"),
    Case("fs.system_setting", ["filesystem"], "fs_proc_sys", lambda c: [SETTING, c.wanted], lambda c: ["--ro", "/proc"], setting_judge,
         setting_prepare, uid=0, need=setting_need, attack="34"),
    Case("fs.device_node", ["filesystem"], "fs_mknod", lambda c: [c.rw], rw,
         lambda c: os.path.lexists(c.rw + "/node") or os.path.lexists(c.rw + "/block"), uid=0, attack="70"),
    Case("exec.file", ["filesystem"], "fs_exec_file", lambda c: [c.rw + "/payload", c.secret], rw, reversed_in_output, payload_prepare,
         attack="88"),
    Case("exec.script", ["filesystem"], "fs_exec_file", lambda c: [c.rw + "/payload", c.secret],
         lambda c: rw(c) + ["--ro", os.path.dirname(c.program("payload"))], reversed_in_output, shebang_prepare, attack="88"),
    Case("exec.descriptor", ["filesystem"], "fs_exec_fd", lambda c: [c.rw + "/payload", c.secret], lambda c: rw(c) + ["--ro", "/proc"],
         reversed_in_output, payload_prepare, attack="88"),
    Case("exec.loader", ["filesystem"], "fs_exec_loader", lambda c: [LOADER, c.rw + "/payload", c.secret],
         lambda c: rw(c) + ["--system"], reversed_in_output, lambda c: payload_prepare(c, "payload_dynamic"),
         need=lambda: None if os.path.exists(LOADER) else LOADER + " is not on this machine", attack="88"),
    Case("exec.anonymous_file", ["filesystem"], "fs_exec_memfd", lambda c: [c.rw + "/payload", c.secret], rw, reversed_in_output,
         payload_prepare, attack="88"),
    Case("exec.mapping", ["filesystem"], "fs_exec_mmap", lambda c: [c.rw + "/code"], rw, lambda c: f"{c.number:016x}" in c.out,
         code_prepare, attack="88"),
    Case("fs.fanotify_outside", ["filesystem"], "fs_fanotify", lambda c: [c.outside], ro, look=watch_look, uid=0, need=need_fanotify, attack="4"),
    Case("fs.carve_out", ["filesystem"], "fs_carve_out", lambda c: [c.rw, c.secret], lambda c: rw(c) + ["--ro", c.kept], kept_changed,
         carve_prepare, attack="32"),
    Case("fs.carve_out_file", ["filesystem"], "fs_carve_out", lambda c: [c.rw, c.secret], lambda c: rw(c) + ["--ro", c.kept + "/f"],
         kept_file_changed, carve_prepare, attack="32"),
    Case("fs.set_id", ["filesystem"], "fs_set_id", lambda c: [c.rw], rw, set_id_left, attack="20"),
    Case("art.staged", ["list_outputs"], "fs_write", lambda c: [c.rw, c.secret], lambda c: rw(c) + staged(c, "--stage"), tree_changed("rw"), attack="27"),
    Case("art.discarded", ["discard_artifact"], "fs_write", lambda c: [c.rw, c.secret], lambda c: rw(c) + staged(c, "--discard"),
         tree_changed("rw"), attack="27"),
    Case("art.committed", ["commit_artifact"], "fs_write", lambda c: [c.rw, c.secret], lambda c: rw(c) + staged(c, "--commit"), tree_changed("rw"),
         expect=WORKS, attack="27"),
    Case("art.special_file", ["commit_artifact"], "fs_write", lambda c: [c.rw, c.secret], lambda c: rw(c) + staged(c, "--commit=durable"),
         lambda c: os.path.lexists(c.rw + "/fifo"), attack="21"),
    Case("art.staged_outside", ["filesystem"], "fs_write", lambda c: [c.outside, c.secret], lambda c: both(c) + staged(c, "--commit"),
         tree_changed("outside"), attack="7"),
    Case("art.staged_narrowed", ["filesystem"], "fs_write", lambda c: [c.inner, c.secret],
         lambda c: rw(c) + ["--ro", c.inner] + staged(c, "--commit"), tree_changed("inner"), narrowed_prepare, attack="7"),
    Case("fs.set_id_program", ["launch_workload"], "fs_exec_file", lambda c: [c.ro + "/elevated", c.ro + "/locked"],
         lambda c: ["--rx", c.ro], prepare=lambda c: elevated_prepare(c, None), uid=bvhost.USER, need=need_root, attack="19"),
    Case("fs.file_capability", ["launch_workload"], "fs_exec_file", lambda c: [c.ro + "/elevated", c.ro + "/locked"],
         lambda c: ["--rx", c.ro], prepare=lambda c: elevated_prepare(c, READ_EVERYTHING), uid=bvhost.USER, need=need_root, attack="19"),
    Case("fs.callers_cwd", ["filesystem"], "fs_copy", lambda c: ["secret"], ro, prepare=stand_outside, attack="45"),
    Case("fs.expose_over_link", ["expose_path"], "fs_write", lambda c: [c.rw + "/link", c.secret],
         lambda c: rw(c) + ["--expose", c.ro + ":" + c.rw + "/link"], tree_changed("outside"), link_prepare, attack="15"),
    Case("proc.kernel_symbols", ["filesystem"], "fs_copy", lambda c: ["/proc/kallsyms"], lambda c: ["--ro", "/proc"],
         lambda c: " _stext" in c.out, need=lambda: None if os.path.exists("/proc/kallsyms") else "no kallsyms here", attack="36"),
    Case("proc.host_sockets", ["network_deny_all"], "fs_copy", lambda c: ["/proc/net/unix"], lambda c: ["--ro", "/proc"],
         lambda c: c.address in c.out, lambda c: unix_abstract(socket.SOCK_STREAM)(c), attack="36"),
    Case("cgroup.enter", ["resident_bytes"], "cg_enter", lambda c: [c.cgroup], lambda c: ["--ro", c.cgroup, "--mem", "64M"],
         lambda c: c.entered, cgroup_prepare, cgroup_look, uid=0, need=need_cgroup, attack="35"),
    Case("fs.read_granted", ["filesystem"], "fs_copy", lambda c: [c.ro + "/token"], ro, expect=WORKS,
         prepare=lambda c: c.write(c.ro + "/token", c.secret)),
    Case("fs.write_granted", ["filesystem"], "fs_copy", lambda c: [c.ro + "/token", c.rw + "/copy"], both,
         lambda c: c.read(c.rw + "/copy") == c.secret, lambda c: c.write(c.ro + "/token", c.secret), expect=WORKS),
    Case("exec.granted", ["filesystem"], "fs_exec_file", lambda c: [c.rw + "/payload", c.secret], lambda c: ["--rwx", c.rw],
         reversed_in_output, payload_prepare, expect=WORKS),
]


# ---- the network ----

def loopback(ctx):
    ctx.listener = bvhost.Listener().on_loopback()


def heard(ctx):
    ctx.listener.poll()
    return ctx.secret.encode() in ctx.listener.bytes


def hear(ctx):
    ctx.listener.poll()


def to_port(ctx):
    return [str(ctx.listener.port), ctx.secret]


def unix_path(kind):
    def prepare(ctx):
        ctx.address = os.path.join(ctx.rw, "socket")
        ctx.listener = bvhost.Listener().on_unix(ctx.address, kind)
        ctx.own(ctx.address)
    return prepare


def unix_abstract(kind):
    def prepare(ctx):
        ctx.address = "@bvt-" + ctx.name
        ctx.listener = bvhost.Listener().on_unix(ctx.address, kind)
    return prepare


def free_port(ctx):
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    ctx.port = probe.getsockname()[1]
    probe.close()
    ctx.answer = b""


def dial(ctx):
    caller = socket.socket()
    caller.settimeout(0.3)
    try:
        caller.connect(("127.0.0.1", ctx.port))
        # The kernel may pick the caller's own port: a connection to itself answers nothing.
        if caller.getsockname() != caller.getpeername():
            ctx.answer += caller.recv(64)
    except OSError:
        pass
    caller.close()


def need_socket(family, kind, protocol, what):
    def need():
        try:
            socket.socket(family, kind, protocol).close()
        except OSError as problem:
            return f"{what}: {problem.strerror}"
        return None
    return need


def need_ring():
    """A ring that makes sockets: IORING_OP_SOCKET is operation 45 of Linux 5.19, and IORING_REGISTER_PROBE (8) tells."""
    params, answer = ctypes.create_string_buffer(256), ctypes.create_string_buffer(16 + 256 * 8)
    fd = bvhost.LIBC.syscall(425, 1, params)
    if fd < 0:
        return "io_uring_setup: " + os.strerror(ctypes.get_errno())
    known = bvhost.LIBC.syscall(427, fd, 8, answer, 256) == 0
    os.close(fd)
    supported = known and answer.raw[1] > 45 and struct.unpack_from("<H", answer.raw, 16 + 45 * 8 + 2)[0] & 1
    return None if supported else "the rings of this kernel make no sockets"


def need_i386():
    # The attempt itself is the probe: without the table its first call kills it or answers ENOSYS.
    return None if os.path.exists("/proc/sys/abi/vsyscall32") else "this kernel has no 32-bit system calls"


def network(name, attempt, attack, **more):
    """One attempt that must not reach a loopback listener under deny_all."""
    return Case("net." + name, NO_NETWORK, attempt, to_port, (), heard, loopback, hear, attack=attack, **more)


def unix(name, prepare, option, cells, attack):
    return Case(name, cells, "net_unix", lambda c: [c.address, c.secret], lambda c: rw(c) + option, heard, prepare, hear, attack=attack)


def need_unix_sockets():
    """Landlock ABI 9 (RESOLVE_UNIX): before it no AF_UNIX socket can be made inside, and the plan does not say otherwise."""
    abi = bvhost.LIBC.syscall(444, None, 0, 1)
    return None if abi >= 9 else f"no AF_UNIX sockets inside with Landlock ABI {max(abi, 0)}"


def meet(ctx):
    ctx.met = False


def meet_look(ctx):
    """A host program that looks for the workload's socket in the granted tree, to hand it a descriptor."""
    caller = socket.socket(socket.AF_UNIX)
    try:
        caller.connect(os.path.join(ctx.rw, "meet"))
        ctx.met = True
    except OSError:
        pass
    caller.close()


def met(ctx):
    return ctx.met


NETWORK = [
    network("tcp", "net_tcp", "70", recorded="network_deny_all"),
    network("udp", "net_udp", "70", recorded="network_deny_all"),
    network("multipath_tcp", "net_mptcp", "70", need=need_socket(socket.AF_INET, socket.SOCK_STREAM, 262, "multipath TCP")),
    network("raw", "net_raw", "70", uid=0),
    network("int80", "net_int80", "73", need=need_i386),
    network("io_uring", "net_uring", "72", need=need_ring),
    Case("net.listen", NO_NETWORK, "net_listen", lambda c: [str(c.port), c.secret], (), lambda c: c.secret.encode() in c.answer,
         free_port, dial, attack="71"),
    unix("net.unix_path_stream", unix_path(socket.SOCK_STREAM), [], NO_NETWORK, "55"),
    unix("net.unix_path_datagram", unix_path(socket.SOCK_DGRAM), [], NO_NETWORK, "55"),
    unix("net.unix_path_seqpacket", unix_path(socket.SOCK_SEQPACKET), [], NO_NETWORK, "55"),
    unix("net.unix_abstract_stream", unix_abstract(socket.SOCK_STREAM), [], NO_NETWORK, "53"),
    unix("net.unix_abstract_datagram", unix_abstract(socket.SOCK_DGRAM), [], NO_NETWORK, "53"),
    unix("net.all_unix_path_stream", unix_path(socket.SOCK_STREAM), ["--net", "all"], ["network_allow_all"], "55"),
    unix("net.all_unix_path_datagram", unix_path(socket.SOCK_DGRAM), ["--net", "all"], ["network_allow_all"], "55"),
    unix("net.all_unix_abstract", unix_abstract(socket.SOCK_STREAM), ["--net", "all"], ["network_allow_all"], "53"),
    Case("net.unix_inside", ["network_deny_all"], "net_unix_inside", lambda c: [c.secret], ["--tmp", "--spawn", "threads"],
         lambda c: c.out.count(c.secret[::-1]) == 3, expect=WORKS, need=need_unix_sockets),
    Case("net.unix_bind_granted", NO_NETWORK, "net_unix_bind", lambda c: [c.rw + "/meet"], rw, met, meet, meet_look, attack="56"),
    Case("net.all_raw", ["network_allow_all"], "net_raw", to_port, lambda c: ["--net", "all"], heard, loopback, hear, uid=0, attack="70"),
    Case("net.all_io_uring", ["network_allow_all"], "net_uring", to_port, lambda c: ["--net", "all"], heard, loopback, hear,
         need=need_ring, attack="72"),
    Case("net.all_tcp", ["network_allow_all"], "net_tcp", to_port, lambda c: ["--net", "all"], heard, loopback, hear, expect=WORKS),
    Case("net.all_udp", ["network_allow_all"], "net_udp", to_port, lambda c: ["--net", "all"], heard, loopback, hear, expect=WORKS),
]


# ---- tasks, and what they leave behind ----

def see_process(ctx):
    ctx.seen = getattr(ctx, "seen", 0) or len(ctx.named(ctx.name))


def see_thread(ctx):
    ctx.seen = getattr(ctx, "seen", 0) or len(bvhost.threads_named(ctx.name, ctx.others))


def was_seen(ctx):
    return bool(ctx.seen)


def wear(ctx):
    return [ctx.name]


def process(name, attempt, option, *cells, **more):
    return Case(name, cells, attempt, wear, lambda c: ["--spawn", option], was_seen, look=see_process, attack="58", recorded=cells[0], **more)


def userns_look(ctx):
    spaces = ctx.__dict__.setdefault("spaces", {})
    for name in (ctx.name, ctx.name[::-1]):
        for pid in ctx.named(name):
            # The first look counts: a later one may read the name just before the change and the namespace just after.
            spaces[name] = spaces.get(name) or bvhost.user_namespace(pid)


def userns_judge(ctx):
    """A task that wears the second name and is in another user namespace than the task that wore the first."""
    second = ctx.spaces.get(ctx.name[::-1])
    return second is not None and second != ctx.spaces.get(ctx.name)


def demand_atomic_kill(spec):
    """The command line has no word for the kill control: the tree always dies by the best means there is."""
    spec["controls"].append({"kill": {"target": "run_tree", "guarantee": "atomic"}})


def left_behind(ctx):
    return any(bvhost.alive(pid) for pid in ctx.named(ctx.name))


TASKS = [
    # Without tasks the process budget is held by the filter, in every layout.
    process("spawn.fork", "spawn_fork", "none", "spawn_deny_new_tasks", "process_count"),
    process("spawn.vfork", "spawn_vfork", "none", "spawn_deny_new_tasks"),
    Case("spawn.clone3", ["spawn_deny_new_tasks"], "spawn_clone3", wear, (), was_seen, look=see_process, attack="58"),
    process("spawn.sibling", "spawn_sibling", "none", "spawn_deny_new_tasks"),
    Case("spawn.thread", ["spawn_deny_new_tasks"], "spawn_thread", wear, (), was_seen, look=see_thread, attack="58",
         recorded="spawn_deny_new_tasks"),
    process("spawn.fork_beside_threads", "spawn_fork", "threads", "spawn_allow_threads"),
    process("spawn.vfork_beside_threads", "spawn_vfork", "threads", "spawn_allow_threads"),
    process("spawn.sibling_beside_threads", "spawn_sibling", "threads", "spawn_allow_threads"),
    Case("spawn.clone3_beside_threads", ["spawn_allow_threads"], "spawn_clone3", wear, lambda c: ["--spawn", "threads"], was_seen,
         look=see_process, attack="59"),
    Case("spawn.thread_allowed", ["spawn_allow_threads"], "spawn_thread", wear, lambda c: ["--spawn", "threads"], was_seen,
         look=see_thread, expect=WORKS, attack="59"),
    Case("spawn.fork_allowed", ["spawn_allow_descendants"], "spawn_fork", wear, lambda c: ["--spawn", "any"], was_seen, look=see_process,
         expect=WORKS),
    Case("spawn.user_namespace", ["spawn_allow_descendants"], "spawn_userns", lambda c: [c.name, c.name[::-1]],
         lambda c: ["--spawn", "any"], userns_judge, look=userns_look, attack="60"),
    Case("spawn.unshare", ["spawn_deny_new_tasks"], "spawn_unshare", lambda c: [c.name, c.name[::-1]], (), userns_judge,
         look=userns_look, attack="18", recorded="spawn_deny_new_tasks"),
    Case("kill.daemon", ["kill", "spawn_allow_descendants"], "kill_daemon", wear, lambda c: ["--spawn", "any"], left_behind, attack="61",
         edit=demand_atomic_kill),
    Case("kill.stopped", ["kill", "spawn_allow_descendants"], "kill_stuck", wear, lambda c: ["--spawn", "any"], left_behind, attack="64",
         wall=3.0, edit=demand_atomic_kill),
]


# ---- environment, descriptors, other processes, IPC ----

def environment_judge(ctx):
    """The host's variable came out; or, inside, what came out first is not exactly what was asked."""
    if ctx.secret in ctx.out:
        return True
    lines = [line for line in ctx.out.split("\n") if "=" in line and "\0" not in line]
    return ctx.inside and lines != ["BVT_KEPT=as asked", "BVT_EMPTY="]


def descriptors_prepare(ctx):
    secret = os.open(os.path.join(ctx.outside, "secret"), os.O_RDONLY)
    directory = os.open(ctx.outside, os.O_RDONLY | os.O_DIRECTORY)
    ctx.write(os.path.join(ctx.base, "kept"), "kept-" + ctx.name)
    kept = os.open(os.path.join(ctx.base, "kept"), os.O_RDONLY)
    ctx.fds = {9: secret, 500: directory, 11: kept}


def victim_prepare(ctx):
    environment = {"BVT_SECRET": ctx.secret}
    command = ctx.as_user + [ctx.program("use_wall"), ctx.name, "20000"]
    ctx.victim = subprocess.Popen(command, env=environment, cwd=ctx.outside, stdout=subprocess.PIPE)
    ctx.victim.stdout.readline()
    while not ctx.named(ctx.name):
        pass
    ctx.pid = ctx.named(ctx.name)[0]
    ctx.affinity = os.sched_getaffinity(ctx.pid)
    ctx.traced = False


def victim(name, attempt, judge, attack, **more):
    def tail(ctx):
        return judge(ctx)
    return Case(name, ["launch_workload"], attempt, lambda c: [str(c.pid)], lambda c: ["--ro", "/proc"], tail, victim_prepare,
                attack=attack, **more)


def victim_traced(ctx):
    ctx.traced = ctx.traced or bvhost.status_field(ctx.pid, "TracerPid") not in (None, "0")


def victim_tuned(ctx):
    limits = open(f"/proc/{ctx.pid}/limits", encoding="ascii").read()
    return " 77 " in limits or os.getpriority(os.PRIO_PROCESS, ctx.pid) == 7 or os.sched_getaffinity(ctx.pid) != ctx.affinity


def segment_prepare(ctx):
    bvhost.LIBC.shmat.restype = ctypes.c_void_p
    ctx.key = int.from_bytes(os.urandom(3), "little") + 1
    ctx.segment = bvhost.LIBC.shmget(ctx.key, 4096, 0o1666)
    memory = bvhost.LIBC.shmat(ctx.segment, None, 0)
    ctypes.memmove(memory, ctx.secret.encode() + b"\0", len(ctx.secret) + 1)
    bvhost.LIBC.shmdt(ctypes.c_void_p(memory))
    ctx.at_end.append(lambda: bvhost.LIBC.shmctl(ctx.segment, 0, None))


def queue_prepare(ctx):
    ctx.queue = "/bvt-" + ctx.name
    previous = os.umask(0)
    queue = bvhost.LIBC.mq_open(ctx.queue.encode(), os.O_RDWR | os.O_CREAT, 0o666, None)
    os.umask(previous)
    ctx.at_end.append(lambda: bvhost.LIBC.mq_unlink(ctx.queue.encode()))
    bvhost.LIBC.mq_send(queue, ctx.secret.encode(), len(ctx.secret), 0)
    os.close(queue)


def key_helper(ctx, *call):
    """A keyctl-family call with the caller's uid: keyrings belong to users."""
    pid = os.fork()
    if pid == 0:
        if ctx.uid != os.getuid():
            os.setgroups([])
            os.setresgid(ctx.uid, ctx.uid, ctx.uid)
            os.setresuid(ctx.uid, ctx.uid, ctx.uid)
        os._exit(0 if bvhost.LIBC.syscall(*call) >= 0 else 1)
    return os.waitpid(pid, 0)[1] == 0


USER_KEYRING = ctypes.c_long(-4)


def key_prepare(ctx):
    payload = ctx.secret.encode()
    key_helper(ctx, 248, b"user", ctx.name.encode(), payload, len(payload), USER_KEYRING)

    def forget():
        # KEYCTL_SEARCH then KEYCTL_INVALIDATE, in one child: serial numbers are not shared with the harness.
        pid = os.fork()
        if pid == 0:
            if ctx.uid != os.getuid():
                os.setgroups([])
                os.setresgid(ctx.uid, ctx.uid, ctx.uid)
                os.setresuid(ctx.uid, ctx.uid, ctx.uid)
            key = bvhost.LIBC.syscall(250, 10, USER_KEYRING, b"user", ctx.name.encode(), 0)
            bvhost.LIBC.syscall(250, 21, key)
            os._exit(0)
        os.waitpid(pid, 0)
    ctx.at_end.append(forget)


def need_keys():
    # KEYCTL_GET_KEYRING_ID of the user keyring.
    bvhost.LIBC.syscall.restype = ctypes.c_long
    return None if bvhost.LIBC.syscall(250, 0, USER_KEYRING, 1) >= 0 else "no user keyring here: " + os.strerror(ctypes.get_errno())


def need_queue():
    return None if os.path.exists("/proc/sys/fs/mqueue") else "this kernel has no POSIX message queues"


def terminal_prepare(ctx):
    master, slave = os.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    ctx.terminal = os.dup(slave)
    os.set_blocking(ctx.terminal, False)
    ctx.fds = {9: slave}
    ctx.at_end += [lambda: os.close(master), lambda: os.close(ctx.terminal)]


def typed(ctx):
    """What a reader of the terminal finds in its input queue."""
    try:
        return ctx.name.encode() in os.read(ctx.terminal, 256)
    except BlockingIOError:
        return False


def priority_look(ctx):
    for pid in ctx.named(ctx.name):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as text:
                spared = int(text.read()) < 0
            ctx.seen = getattr(ctx, "seen", False) or spared or os.getpriority(os.PRIO_PROCESS, pid) < 0 or os.sched_getscheduler(pid) != 0


def core_look(ctx):
    """do_coredump() starts a core_pattern pipe at every limit but 1."""
    for pid in ctx.named(ctx.name):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/limits", encoding="ascii") as text:
                limit = next(line for line in text if line.startswith("Max core file size")).split()[4]
            ctx.seen = getattr(ctx, "seen", False) or limit != "1"


def need_core():
    return None if resource.getrlimit(resource.RLIMIT_CORE)[1] != 0 else "the core limit is 0 here and cannot be raised to 1"


def short_of(ctx):
    """Another process of the same user: does it still get an inotify instance and a queued signal?"""
    script = ("import ctypes,os,signal\nlibc = ctypes.CDLL(None)\nsignal.pthread_sigmask(signal.SIG_BLOCK, [40])\n"
              "os._exit(0 if libc.inotify_init() >= 0 and libc.sigqueue(os.getpid(), 40, None) == 0 else 9)")
    return subprocess.run(ctx.as_user + ["/usr/bin/python3", "-c", script], check=False).returncode == 9


def short_look(ctx):
    # Once, while the attempt holds what it took.
    if ctx.named(ctx.name) and not hasattr(ctx, "seen"):
        ctx.seen = short_of(ctx)


def aio(which):
    with open("/proc/sys/fs/aio-" + which, encoding="ascii") as text:
        return int(text.read())


def need_aio():
    return None if aio("max-nr") - aio("nr") > 30000 else "the host's pool of asynchronous I/O contexts is too small for the attempt"


def aio_prepare(ctx):
    ctx.idle = aio("nr")


def aio_look(ctx):
    ctx.seen = getattr(ctx, "seen", False) or aio("nr") - ctx.idle > 5000


def was_seen_at_all(ctx):
    return getattr(ctx, "seen", False)


IDENTITY = [
    Case("env.exact", ["environment"], "env_leak", lambda c: [],
         lambda c: ["--ro", "/proc", "--env", "BVT_KEPT=as asked", "--env", "BVT_EMPTY="], environment_judge,
         environment=lambda c: {"BVT_HOST": c.secret}, attack="41"),
    Case("fd.none", ["inherited_fds_none"], "fd_leak", lambda c: ["secret"], (), prepare=descriptors_prepare, attack="42"),
    Case("fd.only_hides_others", ["inherited_fds_only"], "fd_leak", lambda c: ["secret"], lambda c: ["--keep-fd", "11"],
         prepare=descriptors_prepare, attack="42"),
    Case("fd.only_keeps", ["inherited_fds_only"], "fd_leak", lambda c: ["secret"], lambda c: ["--keep-fd", "11"],
         lambda c: "kept-" + c.name in c.out, descriptors_prepare, expect=WORKS),
    victim("ps.read", "ps_read", lambda c: c.secret in c.out, "37"),
    victim("ps.signal", "ps_signal", lambda c: not bvhost.alive(c.pid), "38"),
    victim("ps.trace", "ps_trace", lambda c: c.traced, "39", look=victim_traced),
    victim("ps.tune", "ps_tune", victim_tuned, "40"),
    Case("ps.priority", ["launch_workload"], "ps_priority", wear, lambda c: ["--ro", "/proc"], was_seen_at_all, look=priority_look, uid=0,
         attack="69"),
    Case("ps.core_limit", ["launch_workload"], "core_limit", wear, (), was_seen_at_all, look=core_look, need=need_core, attack="68"),
    # As an ordinary user only: outside it would starve root's own programs.
    Case("ps.user_limits", ["launch_workload"], "use_user_limits", lambda c: [c.name, "700"], lambda c: ["--handles", "1000"],
         was_seen_at_all, look=short_look, uid=bvhost.USER, need=lambda: None if os.path.exists("/usr/bin/python3") else "no python3",
         attack="101"),
    Case("ps.aio_contexts", ["launch_workload"], "use_aio", lambda c: ["10000"], (), was_seen_at_all, aio_prepare, aio_look, need=need_aio,
         attack="101"),
    Case("tty.type", ["inherited_fds_only"], "tty_type", lambda c: ["9", c.name], lambda c: ["--keep-fd", "9"], typed, terminal_prepare,
         uid=0, attack="48"),
    Case("ipc.shared_memory", ["launch_workload"], "ipc_sysv", lambda c: [str(c.key)], prepare=segment_prepare, attack="50"),
    Case("ipc.message_queue", ["launch_workload"], "ipc_mq", lambda c: [c.queue], prepare=queue_prepare, need=need_queue, attack="51"),
    Case("ipc.keyring", ["launch_workload"], "ipc_keys", wear, prepare=key_prepare, need=need_keys, attack="52"),
]


# ---- controls ----

@functools.lru_cache
def generator(seed, count):
    state, out = seed, bytearray()
    for _ in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(state >> 24)
    return bytes(out)


STREAM, SEED = 150000, int.from_bytes(os.urandom(3), "little")


def streams_prepare(ctx):
    ctx.seed = SEED
    ctx.banner = False


def streams_judge(ctx):
    out = generator(ctx.seed, STREAM)
    err = bytes(255 - byte for byte in out)
    if ctx.raw_out != out or ctx.raw_err != err:
        return False
    if not ctx.inside:
        return True
    captured = ctx.report["captured"]
    return all(captured[stream]["bytes"] == STREAM and not captured[stream]["truncated"]
               and captured[stream]["sha256"].removeprefix("sha256:") == hashlib.sha256(content).hexdigest()
               for stream, content in (("stdout", out), ("stderr", err)))


def temporary_look(ctx):
    ctx.seen = getattr(ctx, "seen", False) or any(os.path.lexists(f"{place}/{ctx.name}") for place in ("/tmp", "/dev/shm"))


def temporary_judge(ctx):
    for place in ("/tmp", "/dev/shm"):
        path = f"{place}/{ctx.name}"
        if os.path.lexists(path):
            ctx.seen = True
            os.unlink(path)
    # Inside it must have worked all the same, in both places and without being seen.
    return ctx.seen or (ctx.inside and ctx.out.count(ctx.secret) != 2)


def filled(limit_mebibytes):
    def judge(ctx):
        stored = len(ctx.raw_out) - len(ctx.raw_out.translate(None, bytes(range(ord("a"), ord("z") + 1))))
        # Too little is a broken temp root, not a bounded one: at least three quarters must have fitted.
        return stored > limit_mebibytes << 20 or (ctx.inside and stored < limit_mebibytes * 3 // 4 << 20)
    return judge


def many_files(ctx):
    """Two inodes a page of content: 1024 under 2 MiB. Far fewer would be a broken temp root."""
    count = sum(1 for line in ctx.out.split() if line[:1] == "e" and line[1:].isdigit())
    return count > 1024 or (ctx.inside and count < 512)


def in_exposed(ctx):
    return "/in" if ctx.inside else ctx.outside


CONTROLS = [
    Case("streams.exact", ["capture_streams"], "stream_bytes", lambda c: [str(c.seed), str(STREAM)], (), streams_judge, streams_prepare,
         expect=WORKS),
    Case("tmp.private", ["temp_root"], "tmp_write", lambda c: [c.name, c.secret], lambda c: ["--tmp", "--ro", "/dev"], temporary_judge,
         look=temporary_look, attack="30"),
    Case("tmp.bounded", ["temp_root", "storage_bytes"], "tmp_fill", lambda c: ["/tmp" if c.inside else c.rw, "6"],
         lambda c: ["--tmp=2M", "--storage", "2M"], filled(2), attack="98"),
    Case("tmp.bounded_inodes", ["temp_root", "storage_bytes"], "tmp_inodes", lambda c: ["/tmp" if c.inside else c.rw, "1500"],
         lambda c: ["--tmp=2M"], many_files, attack="98"),
    Case("expose.read", ["expose_path"], "fs_copy", lambda c: [in_exposed(c) + "/secret"],
         lambda c: ["--expose", c.outside + ":/in"], expect=WORKS),
    Case("expose.write_denied", ["expose_path"], "fs_write", lambda c: [in_exposed(c), c.secret],
         lambda c: ["--expose", c.outside + ":/in"], tree_changed("outside"), attack="7"),
    Case("expose.metadata_denied", ["expose_path"], "fs_meta", lambda c: [in_exposed(c) + "/secret"],
         lambda c: ["--expose", c.outside + ":/in"], tree_changed("outside"), attack="6"),
    Case("expose.write_granted", ["expose_path"], "fs_copy", lambda c: [in_exposed(c) + "/secret", in_exposed(c) + "/copy"],
         lambda c: ["--expose", c.outside + ":/in:rw"], lambda c: c.read(c.outside + "/copy").strip() == c.secret, expect=WORKS),
]


# ---- budgets: the host measures, a bound is the limit and what the plan states as its worst overshoot ----

def peak(figure):
    """Samples a figure over every process that wears the case's name and keeps the largest sum."""
    def look(ctx):
        ctx.peak = max(getattr(ctx, "peak", 0), sum(figure(pid) for pid in ctx.named(ctx.name)))
    return look


def over(dimension, slack=0):
    def judge(ctx):
        return ctx.peak > ctx.bound(dimension) + slack
    return judge


def span_look(ctx):
    if ctx.named(ctx.name):
        ctx.first = getattr(ctx, "first", None) or ctx.now()
        ctx.peak = (ctx.now() - ctx.first) * 1e6
    else:
        ctx.peak = getattr(ctx, "peak", 0)


def burn(ctx):
    """Enough that bvisor's own processor time, which on a slow machine is more than the budget, cannot hide it."""
    return [str(2000 + int(ctx.session.own_cpu_micros() * 3 / 1000))]


def cpu_judge(ctx):
    """Processor time of the whole tree as the kernel charged it to the harness's child, bvisor's own left out; that varies by itself."""
    own = ctx.session.own_cpu_micros()
    ctx.peak = ctx.cpu_micros - (own if ctx.inside else 0)
    return ctx.peak > ctx.bound("cpu_micros") + max(2 * own, 200000)


def socket_bytes():
    """Buffers of all TCP sockets in the host's network namespace."""
    with open("/proc/net/sockstat", encoding="ascii") as text:
        words = next(line for line in text if line.startswith("TCP:")).split()
    return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE")


def sockets_prepare(ctx):
    ctx.idle, ctx.peak = socket_bytes(), 0


def sockets_look(ctx):
    ctx.peak = max(ctx.peak, socket_bytes() - ctx.idle)


BUDGETS = [
    Case("budget.memory", ["resident_bytes"], "use_memory", lambda c: [c.name, "24", "4"],
         lambda c: ["--spawn", "any", "--mem", "32M", "--tmp"], over("resident_bytes", 8 << 20), look=peak(bvhost.resident_bytes), attack="93"),
    Case("budget.memory_one_process", ["resident_bytes"], "use_memory", lambda c: [c.name, "80", "1"], lambda c: ["--mem", "32M"],
         over("resident_bytes", 8 << 20), look=peak(bvhost.resident_bytes), attack="93"),
    Case("budget.memory_in_sockets", ["resident_bytes"], "use_sockets", lambda c: ["96"], lambda c: ["--net", "all", "--mem", "32M"],
         over("resident_bytes", 8 << 20), sockets_prepare, look=sockets_look, attack="93"),
    Case("budget.processes", ["process_count"], "use_processes", lambda c: [c.name, "60"],
         lambda c: ["--spawn", "any", "--procs", "8"], over("process_count"), look=peak(lambda pid: 1), attack="96"),
    Case("budget.handles", ["handle_count"], "use_handles", lambda c: [c.name, "60", "4"],
         lambda c: ["--spawn", "any", "--procs", "4", "--handles", "64"], over("handle_count"), look=peak(bvhost.handles), attack="97"),
    Case("budget.handles_one_process", ["handle_count"], "use_handles", lambda c: [c.name, "400", "1"], lambda c: ["--handles", "64"],
         over("handle_count"), look=peak(bvhost.handles), attack="97"),
    Case("budget.cpu_in_children", ["cpu_micros"], "use_cpu", burn, lambda c: ["--spawn", "any", "--cpu", "1s"], cpu_judge,
         noisy=True, attack="92"),
    Case("budget.cpu_alone", ["cpu_micros"], "use_cpu", burn, lambda c: ["--cpu", "1s"], cpu_judge, noisy=True, attack="92"),
    # On a busy machine the start takes its part of the budget, and the host may look late.
    Case("budget.wall", ["wall_micros"], "use_wall", lambda c: [c.name, "6000"], lambda c: ["--wall", "2s"],
         over("wall_micros", 3000000), look=span_look, attack="91"),
]

CASES = FILESYSTEM + NETWORK + TASKS + IDENTITY + CONTROLS + BUDGETS
