"""tests/support/bvhost.py - what the host can see for itself: processes, files, listeners. No report is asked here.

Every harness that judges a run by ground truth (escape, load, soak) uses these; nothing below starts a process or touches
one that it was not given.
"""

import ctypes
import hashlib
import os
import socket
import stat
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
USER = 1000  # the ordinary user of the tests; needs no entry in passwd


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def comm(path):
    """The name of a task, or None if it is gone."""
    try:
        with open(path, "rb") as text:
            return text.read().rstrip(b"\n").decode("latin-1")
    except OSError:
        return None


def named(name, before=frozenset()):
    """Processes of the host whose main task wears this name (zombies too); those in `before` are not asked."""
    return [pid for pid in pids() if pid not in before and comm(f"/proc/{pid}/comm") == name]


def threads_named(name, before=frozenset()):
    """Tasks other than main tasks that wear this name; processes in `before` are not asked."""
    found = []
    for pid in pids():
        if pid in before:
            continue
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        found += [int(task) for task in tasks if int(task) != pid and comm(f"/proc/{pid}/task/{task}/comm") == name]
    return found


def alive(pid):
    """A process that still runs code: not gone and no zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as text:
            return text.read().rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def resident_bytes(pid):
    try:
        with open(f"/proc/{pid}/statm", "rb") as text:
            return int(text.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def handles(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def status_field(pid, field):
    try:
        with open(f"/proc/{pid}/status", encoding="latin-1") as text:
            for line in text:
                if line.startswith(field + ":"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return None


def user_namespace(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/user")
    except OSError:
        return None


def tree_digest(top):
    """A hash over everything of a tree that a program could have changed, access times aside."""
    digest = hashlib.sha256()

    def add(path):
        status = os.lstat(path)
        digest.update(repr((path, status.st_mode, status.st_uid, status.st_gid, status.st_nlink if not stat.S_ISDIR(status.st_mode)
                            else 0, status.st_size, status.st_mtime_ns)).encode())
        try:
            for name in sorted(os.listxattr(path, follow_symlinks=False)):
                digest.update(repr((name, os.getxattr(path, name, follow_symlinks=False))).encode())
        except OSError:
            pass
        if stat.S_ISLNK(status.st_mode):
            digest.update(os.readlink(path).encode())
        elif stat.S_ISREG(status.st_mode):
            with open(path, "rb") as content:
                digest.update(content.read())
        elif stat.S_ISDIR(status.st_mode):
            for name in sorted(os.listdir(path)):
                add(os.path.join(path, name))

    add(top)
    return digest.hexdigest()


def file_handle(path):
    """(type, hex) of a file's handle, or None where the file system has none."""
    class Handle(ctypes.Structure):
        _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("data", ctypes.c_ubyte * 128)]
    handle, mount = Handle(bytes=128), ctypes.c_int()
    if LIBC.name_to_handle_at(-100, path.encode(), ctypes.byref(handle), ctypes.byref(mount), 0) != 0:
        return None
    return handle.type, bytes(handle.data[: handle.bytes]).hex()


class Sampler:
    """Calls look() every few milliseconds in a thread until stopped; an exception in it is kept and raised by stop()."""

    def __init__(self, look, interval=0.008):
        self.look, self.interval = look, interval
        self.stopping = threading.Event()
        self.problem = None
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                self.look()
            except Exception as problem:  # pylint: disable=broad-except
                self.problem = problem
                return
            # On a slow machine a look takes long: the tree that is looked at must get its share.
            time.sleep(max(self.interval, time.monotonic() - began))

    def stop(self):
        self.stopping.set()
        self.thread.join()
        if self.problem:
            raise self.problem


class Listener:
    """Sockets of the host that remember every byte they are sent."""

    def __init__(self):
        self.sockets = []
        self.peers = []
        self.bytes = b""
        self.port = 0

    def on_loopback(self):
        """TCP and UDP on one port of 127.0.0.1."""
        for _ in range(50):
            stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            stream.bind(("127.0.0.1", 0))
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                datagrams.bind(stream.getsockname())
            except OSError:
                stream.close()
                datagrams.close()
                continue
            stream.listen(64)
            self.port = stream.getsockname()[1]
            self.sockets += [stream, datagrams]
            break
        else:
            raise RuntimeError("no port of 127.0.0.1 is free for both TCP and UDP")
        return self._ready()

    def on_unix(self, path, kind):
        """A unix socket of one kind; a path that begins with @ is an abstract name."""
        endpoint = socket.socket(socket.AF_UNIX, kind)
        endpoint.bind("\0" + path[1:] if path.startswith("@") else path)
        if not path.startswith("@"):
            os.chmod(path, 0o666)
        if kind != socket.SOCK_DGRAM:
            endpoint.listen(64)
        self.sockets.append(endpoint)
        return self._ready()

    def _ready(self):
        for endpoint in self.sockets:
            endpoint.setblocking(False)
        return self

    def poll(self):
        for endpoint in self.sockets:
            try:
                if endpoint.type == socket.SOCK_DGRAM:
                    while True:
                        self.bytes += endpoint.recv(65536)
                else:
                    while True:
                        peer = endpoint.accept()[0]
                        peer.setblocking(False)
                        self.peers.append(peer)
            except BlockingIOError:
                pass
        for peer in self.peers:
            try:
                while True:
                    block = peer.recv(65536)
                    if not block:
                        break
                    self.bytes += block
            except OSError:
                pass

    def close(self):
        for endpoint in self.sockets + self.peers:
            endpoint.close()
