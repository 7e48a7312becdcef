#!/usr/bin/env python3
"""tests/wasm/backend.py - the Wasm backend by ground truth: every cell of its matrix, every budget, links, bombs.

usage: backend.py --bvisor build/bvisor [--only NAME] [--figures]
Each case names the cells that it tests. What a contract denies is tried twice: by the guest inside, where the host is looked
at, and by the same program outside, where it must succeed. At the end the probe's matrix is held against the cases: an enforced
cell without a case, or an unsupported one without a refusal, is a failure. Without clang and wasi-libc only the hand-made
modules run, and what is left out is a skip of its own.
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import guests
import modules

BUDGETS = ["wall_micros", "cpu_micros", "resident_bytes", "process_count", "handle_count", "storage_bytes", "network_bytes"]
results = []
covered, figures = set(), []
B = top = act = native = nothing = ""


def ok(good, name, detail=""):
    results.append(bool(good))
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}")
    for line in str(detail).split("\n")[:30] if not good else ():
        print(f"# {line}")
    sys.stdout.flush()


class Run:
    """One run of the command with its report, its output, its memory and its time."""

    def __init__(self, *words, verb="run", stdin=None, fds=(), env=None, timeout=120, cwd=None, head=None, journal=("--no-journal",)):
        self.path = os.path.join(top, "report.json")
        if os.path.exists(self.path):
            os.unlink(self.path)
        command = [B, verb, *journal, "-q", "--report", self.path, *words] if verb == "run" else [B, verb, *words]
        begin = time.monotonic()
        out = tempfile.TemporaryFile()
        err = tempfile.TemporaryFile()
        process = subprocess.Popen(command, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL, stdout=out, stderr=err, pass_fds=fds,
                                   env=env, cwd=cwd or top)
        self.pid = process.pid
        if stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        killer = threading.Timer(timeout, process.kill)
        killer.start()
        _, status, usage = os.wait4(process.pid, 0)
        killer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds, self.status, self.rss = time.monotonic() - begin, process.returncode, usage.ru_maxrss * 1024
        out.seek(0)
        err.seek(0)
        self.out, self.err = out.read(1 << 20).decode(errors="replace"), err.read().decode(errors="replace")
        try:
            with open(self.path, encoding="utf-8") as text:
                self.document = json.load(text)
        except (OSError, ValueError):
            self.document = {}
        self.body = self.document.get("body", {})

    def budget(self, name):
        return self.body.get("budget", {}).get(name, {})

    def facts(self, kind):
        return [item["detail"] for item in self.body.get("observed", []) if item["kind"] == kind]

    def denied(self, word):
        return sum(item["count"] for item in self.body.get("denied", []) if word in item["detail"])

    def refused(self, kind, word=""):
        return (self.status == 126 and self.document.get("schema") == "bvisor.refusal/1" and
                any(item.get("kind") == kind and word in item["why"] for item in self.document["items"]))

    def __str__(self):
        return f"status {self.status}\nout {self.out[:400]}\nerr {self.err[:800]}\n" + json.dumps(self.document)[-3000:]


def write(path, data, mode=0o644):
    with open(path, "wb") as out:
        out.write(data if isinstance(data, bytes) else data.encode())
    os.chmod(path, mode)
    return path


def content(path):
    try:
        with open(path, "rb") as data:
            return data.read()
    except OSError:
        return None


def made(name, *args, **kwargs):
    return write(os.path.join(top, name + ".wasm"), modules.module(*args, **kwargs))


def padded(name, size):
    """A module of that size: a custom section of zeros, which takes no disk."""
    head = modules.module(b"")
    length = size - len(head) - 1 - 5
    custom = b"\0" + bytes([(length >> (7 * i) & 0x7F) | (0x80 if i < 4 else 0) for i in range(5)]) + modules.text("padding")
    path = write(os.path.join(top, name + ".wasm"), head + custom)
    os.truncate(path, size)
    return path


def place(name):
    path = os.path.join(top, name)
    os.makedirs(path, exist_ok=True)
    return path


def outside(*words, cwd=None):
    return subprocess.run([native, *words], capture_output=True, text=True, cwd=cwd or top, check=False, env={})


# ---- cells ----

def roots():
    """filesystem"""
    rw, ro = place("rw"), place("ro")
    secret = write(os.path.join(top, "secret"), "secret words")
    write(os.path.join(ro, "file"), "read only")
    before = guests.tree(ro), os.stat(secret).st_ctime_ns
    grant = ("--rw", rw, "--ro", ro)
    r = Run(*grant, "--require", "denied_attempts,allowed_actions,process_tree", act, "write", "inside", "data")
    ok(r.status == 0 and content(os.path.join(rw, "inside")) == b"data", "a write inside lands, by a relative path", r)
    r = Run(*grant, act, "write", os.path.join(rw, "absolute"), "data")
    ok(r.status == 0 and content(os.path.join(rw, "absolute")) == b"data", "and by the host's own path", r)
    ok(any(fact.startswith("path_open ") for fact in r.facts("host_calls")), "the report lists what was called", r)
    r = Run(*grant, act, "read", "../secret")
    ok("secret words" not in r.out and r.denied("../secret") >= 1, "a read through ../ is denied and recorded", r)
    ok("secret words" in outside("read", "../secret", cwd=rw).stdout, "outside the same read succeeds")
    r = Run(*grant, act, "write", "../escape", "x")
    ok(not os.path.exists(os.path.join(top, "escape")) and r.denied("../escape") >= 1, "a write through ../ is denied and recorded", r)
    ok(outside("write", "../escape", "x", cwd=rw).returncode == 0 and os.path.exists(os.path.join(top, "escape")), "outside the same write succeeds")
    os.unlink(os.path.join(top, "escape"))
    for words in (["write", f"{ro}/new", "x"], ["write", f"{ro}/file", "x"], ["mkdir", f"{ro}/dir"], ["unlink", f"{ro}/file"],
                  ["symlink", "x", f"{ro}/link"], ["rename", f"{ro}/file", f"{ro}/other"], ["link", f"{ro}/file", f"{ro}/hard"]):
        r = Run(*grant, act, *words)
        ok(r.status != 0 and "Read-only" in r.out and r.denied("ead-only") >= 1, f"a read-only root blocks {words[0]}", r)
    ok((guests.tree(ro), os.stat(secret).st_ctime_ns) == before, "the host's tree is untouched")
    r = Run(*grant, act, "read", f"{ro}/file")
    ok("read only" in r.out, "and can be read", r)
    r = Run(*grant, act, "read", "/etc/passwd")
    ok(r.status != 0 and "root:" not in r.out, "/etc/passwd is not there", r)
    r = Run("--wo", rw, act, "read", "inside")
    ok(r.status != 0 and "data" not in r.out and r.denied("write-only") >= 1, "a write-only root cannot be read", r)
    place("rw/sub")
    r = Run("--rw", rw, "--ro", os.path.join(rw, "sub"), act, "write", "sub/x", "x")
    ok(r.status != 0 and not os.path.exists(os.path.join(rw, "sub/x")), "a read-only root inside a writable one decides", r)
    r = Run("--ro", secret, act, "list", ".")
    ok(r.refused("launch_workload", "is no directory"), "a file as a root is refused by the planner", r)
    r = Run("--ro", "/proc", act, "list", ".")
    ok(r.refused("filesystem", "/proc and /dev"), "/proc is refused by the planner", r)


def working_directory():
    """filesystem"""
    first, second = place("zz"), place("aa")
    write(os.path.join(first, "mark-first"), "")
    write(os.path.join(second, "mark-second"), "")
    os.makedirs(os.path.join(second, "sub"), exist_ok=True)
    write(os.path.join(second, "sub/mark-sub"), "")
    spec = {"schema": "bvisor.spec/1", "workload": {"wasm": {"module": act, "args": ["list", "."]}},
            "capabilities": [{"filesystem": {"access": "read", "execute": False, "roots": [first, second], "recursive": True,
                                             "confinement": "declared_roots_only"}}],
            "controls": [{"launch_workload": {}}, {"capture_streams": {"stdout": True, "stderr": True, "stdin": False}}],
            "budgets": {"uniform": {"limit": "unlimited", "guarantee": "mediated"}},
            "evidence": {"require_captured_streams": True, "require_exit_status": True, "require": []}}
    path = write(os.path.join(top, "spec.json"), json.dumps(spec))
    r = Run("--spec", path)
    ok("mark-first" in r.out and r.status == 0, "the root that a spec names first is `.`", r)
    spec["workload"]["wasm"]["cwd"] = os.path.join(second, "sub")
    r = Run("--spec", write(path, json.dumps(spec)))
    ok("mark-sub" in r.out, "the working directory picks `.`", r)
    spec["workload"]["wasm"]["cwd"] = "/nowhere"
    r = Run("--spec", write(path, json.dumps(spec)))
    ok(r.body.get("outcome") == "unsupported" and r.status == 126, "one in no root ends the run before it starts", r)


def environment():
    """environment"""
    env = dict(os.environ, LEAK="from the host")
    r = Run(act, "env", env=env)
    ok(r.status == 0 and r.out == "", "the environment is empty by default", r)
    secrets = write(os.path.join(top, "secrets"), json.dumps({"ci/token": "s3cret-value"}))
    r = Run("--env", "A=1", "--env", "B=two words", "--env-secret", "TOKEN=ci/token", "--secrets", secrets, act, "env", env=env)
    ok(sorted(r.out.split("\n")) == ["", "A=1", "B=two words", "TOKEN=s3cret-value"], "and else exactly what was given", r)
    body = dict(r.body, captured={})
    ok("s3cret-value" not in json.dumps(body), "a secret's value is in no part of the report but what the guest printed")
    r = Run("--env-secret", "TOKEN=no/such", "--secrets", secrets, act, "env")
    ok(r.status == 126 and r.out == "", "an unknown lease is refused", r)


def descriptors():
    """inherited_fds_none inherited_fds_only"""
    read_fd = os.open(write(os.path.join(top, "kept"), "kept bytes"), os.O_RDONLY)
    write_fd = os.open(os.path.join(top, "kept-out"), os.O_WRONLY | os.O_CREAT)
    number = 40
    os.dup2(read_fd, number)
    r = Run(act, "fds", fds=(number,))
    ok(r.out.split() == ["0", "1", "2"], "no descriptor of the host's reaches the guest", r)
    done = subprocess.run([native, "fds"], capture_output=True, text=True, pass_fds=(number,), check=False)
    ok("40" in done.stdout.split(), "outside the same program has it")
    r = Run("--keep-fd", str(number), act, "keep", str(number), fds=(number,))
    ok("read kept bytes" in r.out and "write ok" not in r.out, "a kept file has its own number and its own rights", r)
    ok(r.facts("inherited_fds_only") == ["40"], "and the report says so", r)
    os.dup2(write_fd, number)
    r = Run("--keep-fd", str(number), act, "keep", str(number), fds=(number,))
    ok("write ok" in r.out and content(os.path.join(top, "kept-out")) == b"x" and "read kept" not in r.out, "one for writing is for writing", r)
    r = Run("--keep-fd", "77", act, "fds")
    ok(r.status == 126, "one that is not open is refused", r)
    os.dup2(read_fd, 5)
    r = Run("--rw", place("rw"), "--tmp", "--keep-fd", "5", act, "fds", fds=(5,))
    ok(r.refused("inherited_fds_only", "where the guest finds its directories"), "one at a preopen's number is refused by the planner", r)
    for fd in {read_fd, write_fd, number, 5}:
        os.close(fd)


def streams():
    """capture_streams launch_workload"""
    write(os.path.join(top, "input"), b"z" * 300000)
    r = Run("--stdin", os.path.join(top, "input"), act, "stdin")
    ok(r.out == "stdin 300000\n" and r.facts("stream_captured")[-1] == "300000 stdin", "stdin is copied to its end", r)
    r = Run("--stdin", "-", act, "stdin", stdin=b"q" * 100000)
    ok(r.out == "stdin 100000\n", "from a pipe as well", r)
    r = Run(act, "stdin", stdin=b"q" * 100)
    ok(r.out == "stdin 0\n", "without --stdin it is at its end", r)
    r = Run("--capture", "1000", act, "print", "64000")
    captured = r.body["captured"]["stdout"]
    ok(len(r.out) == 64000 and captured["bytes"] == 64000 and captured["truncated"] and captured["content"] == r.out[:1000],
       "captured bytes are exact, all pass through", r)
    r = Run(act, "args", "one", "two words", "")
    ok(r.out == "<one>\n<two words>\n<>\n", "arguments are exact", r)
    process = subprocess.Popen([B, "run", "--no-journal", "-q", act, "print", "100000000"], stdout=subprocess.PIPE, cwd=top)
    first = process.stdout.read(4096)
    time.sleep(0.3)
    grown = resident(process.pid)
    process.stdout.close()
    process.wait(timeout=60)
    ok(len(first) == 4096 and grown < 40 << 20, f"a reader that does not read costs no memory ({grown >> 20} MiB)")
    done = subprocess.run(f"{B} run --no-journal -q --capture 0 {act} print 1000000000 | head -c 10", shell=True, capture_output=True, timeout=120,
                          check=False)
    ok(len(done.stdout) == 10, "a reader that goes away ends in EPIPE for the guest, not in a signal for the host", done)


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as text:
        return int(text.read().split()[1]) * resource.getpagesize()


def temp_root():
    """temp_root"""
    scratch = place("scratch")
    env = dict(os.environ, TMPDIR=scratch)
    r = Run("--tmp", act, "write", "/tmp/x", "data", env=env)
    ok(r.status == 0 and r.facts("temp_root_created") and r.facts("temp_root_removed"), "a temp root is usable", r)
    ok(os.listdir(scratch) == [], "and gone afterwards", os.listdir(scratch))
    r = Run("--tmp", act, "list", "/tmp", env=env)
    ok(r.out.split() in ([".", "..", "ok"], ["ok"]), "it begins empty, whatever the last one left", r)
    r = Run("--tmp", act, "deep", "3000", env=env)
    ok("3000 deep" in r.out or "deep" in r.out, "nested as deep as the guest likes", r)
    ok(os.listdir(scratch) == [] and r.facts("temp_root_removed"), "that is removed too", os.listdir(scratch))
    process = subprocess.Popen([B, "run", "--no-journal", "-q", "--tmp", act, "sleep", "20"], stdout=subprocess.PIPE, env=env, cwd=top)
    process.stdout.readline()
    names = os.listdir(scratch)
    mode = os.stat(os.path.join(scratch, names[0])).st_mode & 0o777 if names else 0
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=20)
    ok(len(names) == 1 and names[0].startswith("bvisor-") and mode == 0o700, "while it runs it is this user's alone", names)
    ok(process.returncode == 137 and os.listdir(scratch) == [], "a cancelled run leaves nothing", os.listdir(scratch))
    r = Run("--tmp=1M", act, "fill", "/tmp/big", env=env)
    ok("1048576 bytes, then No space" in r.out, "it ends at its own size", r)


def expose():
    """expose_path"""
    source = place("exposed")
    write(os.path.join(source, "file"), "shown")
    r = Run("--expose", f"{source}:/in", act, "read", "/in/file")
    ok("shown" in r.out and r.facts("path_exposed"), "an exposed path stands at its destination", r)
    r = Run("--expose", f"{source}:/in", act, "write", "/in/new", "x")
    ok(r.status != 0 and not os.path.exists(os.path.join(source, "new")), "read-only unless asked", r)
    r = Run("--expose", f"{source}:/in:rw", act, "write", "/in/new", "x")
    ok(r.status == 0 and os.path.exists(os.path.join(source, "new")), "writable when asked", r)
    r = Run("--expose", f"{source}:/in", act, "read", "/in/../secret")
    ok("secret words" not in r.out and r.status != 0, "nothing beside it", r)


def staging():
    """commit_artifact discard_artifact list_outputs"""
    state = ("--journal", os.path.join(top, "state"))
    for how in ("--commit", "--discard", "--stage"):
        rw = place("staged" + how)
        write(os.path.join(rw, "old"), "original")
        before = guests.tree(rw), os.stat(os.path.join(rw, "old")).st_ctime_ns, os.stat(rw).st_ctime_ns
        r = Run("--rw", rw, how, act, "write", os.path.join(rw, "old"), "ORI", journal=state)
        ok(r.status == 0 and r.facts("artifact_staged"), f"{how}: a guest writes to a staged root", r)
        ok("yes" in str(r.facts("process_confined")), f"{how}: behind the second wall all the same", r)
        ok([(item["change"], item["path"]) for item in r.body["artifacts"]] == [("modified", "old")], f"{how}: the report lists what it changed", r)
        ok(r.budget("storage_bytes")["observed"] == 8, f"{how}: the copy counts", r)
        if how == "--commit":
            ok(content(os.path.join(rw, "old")) == b"ORIginal", "--commit: the host's file is the guest's now", r)
        else:
            after = guests.tree(rw), os.stat(os.path.join(rw, "old")).st_ctime_ns, os.stat(rw).st_ctime_ns
            ok(before == after, f"{how}: the host's files are as they were, times of change included", r)
        kept = subprocess.run([B, "artifacts", "list", *state], capture_output=True, check=False).stdout.decode().split("\n")
        ok(len([line for line in kept if line]) == (how == "--stage"), f"{how}: what is kept", kept)
    rw = place("staged-small")
    write(os.path.join(rw, "old"), "x" * 5000)
    r = Run("--rw", rw, "--discard", "--storage", "4096", act, "write", os.path.join(rw, "old"), "y", journal=state)
    ok(r.status != 0 and r.denied("storage_bytes") == 1 and content(os.path.join(rw, "old")) == b"x" * 5000, "a copy beyond the limit is not made", r)
    r = Run("--rw", rw, "--commit", act, "nosuchact", journal=state)
    ok(r.status != 0 and content(os.path.join(rw, "old")) == b"x" * 5000, "a run that failed commits nothing", r)


def refusals():
    """network_allow_list network_allow_all spawn_allow_threads spawn_allow_descendants"""
    for words, kind in ((["--net", "example.org:443"], "network_allow_list"), (["--net", "all"], "network_allow_all"),
                        (["--spawn", "threads"], "spawn_allow_threads"), (["--spawn", "any"], "spawn_allow_descendants")):
        r = Run(*words, nothing)
        ok(r.refused(kind) and r.err.count("bvisor: refused") >= 1, f"{kind} is refused at planning", r)
    r = Run("--backend", "wasm", B)
    ok(r.refused("launch_workload", "native program"), "a native program is refused", r)
    r = Run("--backend", "linux", nothing)
    ok(r.refused("launch_workload", "WebAssembly module"), "and a module by the Linux backend", r)


def imports():
    """network_deny_all spawn_deny_new_tasks"""
    for module_name, name, cell in (("env", "steal", ""), ("wasi", "thread-spawn", "spawn"), ("wasi_snapshot_preview1", "sock_open", "network"),
                                    ("wasi_unstable", "fd_write", "")):
        path = made("alien", modules.call(0), imports=[(module_name, name, [], [])])
        r = Run(path)
        ok(r.refused("launch_workload", f"{module_name}.{name}"), f"{module_name}.{name} is refused by name before the start {cell}", r)
    path = made("alien", b"", imports=[("env", f"f{i}", [], []) for i in range(5)])
    r = Run(path)
    ok(r.refused("launch_workload", "env.f0") and "4 more" in r.err, "and how many more there are", r)
    i32 = modules.I32
    socks = [("wasi_snapshot_preview1", "sock_accept", [i32] * 3, [i32]), ("wasi_snapshot_preview1", "sock_send", [i32] * 5, [i32]),
             ("wasi_snapshot_preview1", "sock_recv", [i32] * 6, [i32]), ("wasi_snapshot_preview1", "sock_shutdown", [i32] * 2, [i32]),
             ("wasi_snapshot_preview1", "proc_exit", [i32], [])]
    for index, operands in ((0, (0, 0, 64)), (1, (1, 0, 0, 0, 64)), (2, (3, 0, 0, 0, 64, 72)), (3, (0, 0))):
        r = Run(made("sock", modules.call(index, *operands) + b"\x10\x04", imports=socks))
        ok(r.status in (8, 57), f"{socks[index][1]} finds no socket: errno {r.status}", r)
    ok(r.budget("network_bytes")["observed"] == 0, "and not a byte moved", r)
    r = Run(write(os.path.join(top, "bad.wasm"), b"\0asm\x01\0\0\0\x01\x01\x05"))
    ok(r.refused("launch_workload", "at byte"), "a malformed module is refused with the place", r)
    r = Run(made("library", b"", export="run"))
    ok(r.refused("launch_workload", "_start"), "a library is refused", r)


def endings():
    """launch_workload kill"""
    for name, code, words in (("unreachable", modules.UNREACHABLE, "unreachable"), ("divide", modules.DIVIDE, "integer divide by zero"),
                              ("load", modules.LOAD_OUTSIDE, "out of bounds memory access")):
        r = Run(made(name, code))
        ok(r.status == 134 and r.body["outcome"] == "failed" and r.body["exit"] == {"trap": words}, f"a trap ends as failed: {words}", r)
    r = Run(made("segment", b"", data=[(70000, b"x")]))
    ok(r.status == 134 and r.body["exit"] == {"trap": "out of bounds memory access"}, "a segment that does not fit is a trap", r)
    i32 = modules.I32
    exits = [("wasi_snapshot_preview1", "proc_exit", [i32], []), ("wasi_snapshot_preview1", "proc_raise", [i32], [i32])]
    for code, status, outcome in ((0, 0, "completed"), (1, 1, "failed"), (125, 125, "failed"), (255, 255, "failed")):
        r = Run(made("exit", modules.call(0, code), imports=exits))
        ok(r.status == status and r.body["outcome"] == outcome and r.body["exit"] == {"code": code}, f"proc_exit({code})", r)
    r = Run(made("raise", modules.call(1, 6) + modules.DROP, imports=exits))
    ok(r.status == 134 and r.body["exit"] == {"signal": 6}, "proc_raise(ABRT)", r)
    r = Run(made("begun", b"", imports=exits, start=True))
    ok(r.status == 0, "a start function runs before _start", r)
    r = Run("--wall", "300ms", made("spin", modules.SPIN))
    ok(r.seconds < 5 and not os.path.exists(f"/proc/{r.pid}"), "a guest that never ends is ended, and nothing of it is left", r)
    process = subprocess.Popen([B, "run", "--no-journal", "-q", "--report", os.path.join(top, "cancel.json"), os.path.join(top, "spin.wasm")], cwd=top)
    time.sleep(0.3)
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)
    took = time.monotonic() - begin
    with open(os.path.join(top, "cancel.json"), encoding="utf-8") as text:
        body = json.load(text)["body"]
    ok(process.returncode == 137 and body["outcome"] == "killed" and took < 1, f"a cancel ends it within {took * 1000:.0f} ms", body["outcome"])
    first = Run(os.path.join(top, "exit.wasm"))
    digest = first.body["workload"]["digest"]
    ok(digest == "sha256:" + subprocess.run(["sha256sum", os.path.join(top, "exit.wasm")], capture_output=True, text=True,
                                            check=True).stdout.split()[0], "the report has the module's digest")
    ok(subprocess.run([B, "verify", first.path], capture_output=True, check=False).returncode == 0, "and its seal verifies")
    plan = os.path.join(top, "plan.json")
    with open(plan, "wb") as out:
        subprocess.run([B, "plan", "--json", os.path.join(top, "exit.wasm")], stdout=out, check=True)
    ok(subprocess.run([B, "exec", "--no-journal", plan], capture_output=True, check=False).returncode == 255, "a saved plan runs")
    made("exit", modules.call(0, 3), imports=exits)
    ok(subprocess.run([B, "exec", "--no-journal", plan], capture_output=True, check=False).returncode == 126, "and not when the module is another")


# ---- budgets ----

def wall():
    """wall_micros"""
    made("spin", modules.SPIN)
    for name, words in (("an endless loop", [os.path.join(top, "spin.wasm")]), ("a sleep in poll_oneoff", [act, "sleep", "30"] if act else None),
                        ("a spin through poll_oneoff", [act, "pollspin"] if act else None),
                        ("one long host call", [act, "hostcall"] if act else None)):
        if not words:
            continue
        r = Run("--wall", "200ms", "--capture", "0", *words)
        ok(r.status == 124 and r.body["outcome"] == "timeout" and r.budget("wall_micros")["finding"] == "limit_reached_enforced",
           f"{name} ends at the wall limit", r)
        over = r.budget("wall_micros")["observed"] - 200000
        figures.append(f"wall 200 ms, {name}: over by {over} us")
        ok(0 <= over < 100000, f"{name}: over by {over} us")


def cpu():
    """cpu_micros"""
    made("spin", modules.SPIN)
    for name, words in (("an endless loop", [os.path.join(top, "spin.wasm")]), ("a spin through poll_oneoff", [act, "pollspin"] if act else None),
                        ("one long host call", [act, "hostcall"] if act else None)):
        if not words:
            continue
        r = Run("--cpu", "50ms", "--capture", "0", *words)
        use = r.budget("cpu_micros")
        ok(r.status == 124 and r.body["outcome"] == "timeout" and use["finding"] == "limit_reached_enforced",
           f"{name} ends as timeout, cpu limit_reached_enforced", r)
        ok(abs(use["observed"] - 50000) <= 10 and "units" in use["source"], f"{name}: {use['observed']} us, {use['source']}")
    used = {Run(os.path.join(top, "begun.wasm")).budget("cpu_micros")["source"] for _ in range(3)}
    ok(len(used) == 1, "the same fuel every time", used)


def uniform(module, limit=1000000):
    spec = {"schema": "bvisor.spec/1", "workload": {"wasm": {"module": module, "args": []}}, "capabilities": [], "controls": [{"launch_workload": {}}],
            "budgets": {"uniform": {"limit": limit, "guarantee": "enforced"}},
            "evidence": {"require_captured_streams": False, "require_exit_status": True, "require": []}}
    return Run("--spec", write(os.path.join(top, "uniform.json"), json.dumps(spec)))


def resident_budget():
    """resident_bytes"""
    r = uniform(made("page", b""))
    ok(r.status == 0 and r.body["outcome"] == "completed", "a one-page guest runs under a uniform budget of 1,000,000", r)
    ok(all(r.budget(d)["supplied"] == {"guarantee": "enforced"} for d in BUDGETS), "all seven enforced", r)
    ok(65536 < r.budget("resident_bytes")["observed"] < 100000, f"it is charged {r.budget('resident_bytes')['observed']} bytes", r)
    r = uniform(made("sixteen", b"", pages=16))
    ok(r.status == 126 and r.document.get("reason") == "budget_refused" and r.document["items"][0].get("dimension") == "resident_bytes",
       "a budget below the declared minimum is refused before the start", r)
    r = Run("--mem", "1000000", "--cpu", "100ms", made("grow", modules.GROW_MEMORY))
    use = r.budget("resident_bytes")
    ok(use["finding"] == "limit_reached_enforced" and use["observed"] <= 1000000 and r.denied("resident_bytes") > 100,
       "memory.grow past the budget is refused and recorded", r)
    ok(r.rss < 64 << 20, f"host memory {r.rss >> 20} MiB")


def processes():
    """process_count network_bytes"""
    r = Run("--procs", "1", "--net-bytes", "0", "--enforced", "process_count,network_bytes", nothing)
    ok(r.status == 0 and r.budget("process_count")["observed"] == 1 and r.budget("network_bytes")["observed"] == 0, "one task, no byte", r)
    if act:
        process = subprocess.Popen([B, "run", "--no-journal", "-q", act, "sleep", "20"], stdout=subprocess.PIPE, cwd=top)
        process.stdout.readline()
        threads, children = os.listdir(f"/proc/{process.pid}/task"), open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii").read().split()
        process.terminate()
        process.wait(timeout=20)
        ok(len(threads) == 1 and children == [], "while it runs the host has one task and no child", (threads, children))


def handles():
    """handle_count"""
    rw = place("rw")
    write(os.path.join(rw, "file"), "x")
    r = Run("--rw", rw, "--handles", "16", act, "opens", "file", "100")
    use = r.budget("handle_count")
    ok("11 opened" in r.out and use["observed"] == 16 and use["finding"] == "limit_reached_enforced" and r.denied("handle_count") == 89,
       "descriptors end at the limit", r)
    r = Run("--rw", rw, "--handles", "4", act, "opens", "file", "1")
    ok(r.status == 126 and r.document.get("reason") == "budget_refused", "a limit below what a guest begins with is refused", r)


def storage():
    """storage_bytes"""
    rw = place("filled")
    r = Run("--rw", rw, "--storage", "1M", "--enforced", "storage_bytes", act, "fill", "big")
    use = r.budget("storage_bytes")
    ok("1048576 bytes, then No space" in r.out and os.path.getsize(os.path.join(rw, "big")) == 1 << 20,
       "a 10 GiB write under 1 MiB ends with ENOSPC at the byte", r)
    ok(use["observed"] == 1 << 20 and use["finding"] == "limit_reached_enforced" and r.denied("storage_bytes") >= 1, "and the witness says so", r)
    figures.append(f"storage 1 MiB: host disk {os.stat(os.path.join(rw, 'big')).st_blocks * 512} bytes, host memory {r.rss >> 20} MiB")


# ---- links and races ----

def farms():
    """filesystem"""
    rw, other = place("farm"), place("farm2")
    write(os.path.join(top, "secret"), "secret words")
    for name, target in (("up", "../secret"), ("abs", os.path.join(top, "secret")), ("dangling", "../nothing"), ("dir", ".."), ("etc", "/etc"),
                         ("self", "self"), ("proc", "/proc/self/root")):
        os.symlink(target, os.path.join(rw, name))
    previous = "../secret"
    for i in range(60):
        os.symlink(previous, os.path.join(rw, f"chain{i}"))
        previous = f"chain{i}"
    os.makedirs(os.path.join(rw, "a"), exist_ok=True)
    grant = ("--rw", rw, "--rw", other)
    for path in ("up", "abs", "dir/secret", "etc/passwd", "a/../../secret", "a/../../farm/../secret", "self", f"{rw}/../secret", "chain0", "chain30",
                 "chain59", "proc/etc/passwd", "./././../secret"):
        r = Run(*grant, act, "read", path)
        ok(r.status != 0 and "secret words" not in r.out and "root:" not in r.out, f"{path} leads nowhere", r)
    free = [outside("read", path, cwd=rw).stdout for path in ("up", "abs", "chain10", "dir/secret")]
    ok(all("secret words" in text for text in free), "outside the same links lead there", free)
    for path in ("dangling", "up", "dir/new"):
        Run(*grant, act, "write", path, "planted")
    ok(content(os.path.join(top, "secret")) == b"secret words" and not os.path.exists(os.path.join(top,
            "nothing")) and not os.path.exists(os.path.join(top, "new")), "nothing is written through a link")
    r = Run(*grant, act, "rename", f"{rw}/a", f"{other}/a")
    ok(r.status != 0 and os.path.isdir(os.path.join(rw, "a")), "roots are file systems of their own", r)
    r = Run(*grant, act, "link", f"{rw}/up", f"{other}/hard")
    ok("secret words" not in (content(os.path.join(other, "hard")) or b"").decode(errors="replace") or os.path.islink(os.path.join(other, "hard")),
       "no hard link leads out", r)


def swap():
    """filesystem"""
    rw, evil = place("swap"), place("evil")
    write(os.path.join(evil, "file"), "outside")
    os.makedirs(os.path.join(rw, "d"))
    write(os.path.join(rw, "d/file"), "inside")
    stop = threading.Event()
    swaps = [0]

    def loop():
        real, link = os.path.join(rw, "real"), os.path.join(rw, "d")
        while not stop.is_set():
            os.rename(link, real)
            os.symlink(evil, link)
            os.unlink(link)
            os.rename(real, link)
            swaps[0] += 1

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        r = Run("--rw", rw, act, "swapped", "d/file", "100000")
        free = outside("swapped", "d/file", "100000", cwd=rw)
    finally:
        stop.set()
        thread.join()
    figures.append(f"swap race: {r.out.strip()} in 100,000 opens; outside {free.stdout.strip()}; {swaps[0]} swaps")
    ok(r.status == 0 and " outside 0 " in r.out, f"never outside in 100,000 opens: {r.out.strip()}", r)
    ok(" outside 0 " not in free.stdout, f"without the boundary it is: {free.stdout.strip()}")


# ---- bombs ----

def bombs():
    """resident_bytes handle_count wall_micros"""
    limit = ("--mem", "16M", "--cpu", "300ms", "--wall", "30s")

    def bomb(name, path, want, *words, **kwargs):
        r = Run(*limit, *words, path, **kwargs)
        good = want(r)
        figures.append(f"bomb {name}: status {r.status}, {r.body.get('outcome', r.document.get('reason'))}, host memory {r.rss >> 20} MiB, {r.seconds:.2f} s")
        ok(good and r.rss < 160 << 20 and r.seconds < 40, f"{name}: {figures[-1]}", r)

    def reached(dimension):
        return lambda r: r.budget(dimension).get("finding") == "limit_reached_enforced"

    bomb("memory.grow", made("grow", modules.GROW_MEMORY), lambda r: reached("resident_bytes")(r) and reached("cpu_micros")(r))
    bomb("table.grow", made("table", modules.GROW_TABLE, table=1), lambda r: reached("resident_bytes")(r) and reached("cpu_micros")(r))
    bomb("recursion without end", made("deep", b"\x10\x00"), lambda r: r.body["exit"] == {"trap": "call stack exhausted"} or reached("resident_bytes")(r))
    r = Run("--mem", "1M", made("deep", b"\x10\x00"))
    ok(r.status == 137 and r.body["outcome"] == "killed" and reached("resident_bytes")(r), "a stack beyond resident_bytes is that budget's", r)
    targets = modules.vec([modules.leb(0)] * 70000)
    bomb("giant br_table", made("branches", b"\x02\x40" + modules.const(0) + b"\x0e" + targets + modules.leb(0) + b"\x0b"),
         lambda r: r.refused("launch_workload", "br_table"))
    bomb("50,001 locals", made("locals", b"", local_groups=[(50001, modules.I32)]), lambda r: r.refused("launch_workload", "locals"))
    bomb("4 billion locals", made("locals", b"", local_groups=[(0xFFFFFFFF, modules.I32)]), lambda r: r.refused("launch_workload", "locals"))
    bomb("a module of 64 MiB and more", padded("large", (64 << 20) + 1), lambda r: r.refused("launch_workload", "larger than"))
    bomb("a module of 64 MiB", padded("large", 64 << 20), lambda r: r.status == 0)
    os.unlink(os.path.join(top, "large.wasm"))
    bomb("65,536 pages declared", made("huge", b"", pages=65536), lambda r: r.status == 126 and r.document.get("reason") == "budget_refused")
    if not act:
        return
    rw = place("bomb")
    write(os.path.join(rw, "file"), "x")
    r = Run("--rw", rw, "--handles", "64", "--wall", "60s", act, "opens", "file", "1000000")
    ok("59 opened" in r.out and r.denied("handle_count") == 999941 and r.rss < 64 << 20, f"10^6 opens: {r.out.strip()}, host memory {r.rss >> 20} MiB", r)
    r = Run("--rw", rw, "--wall", "60s", act, "opens", "../secret", "1000000")
    ok("0 opened" in r.out and r.denied("../secret") == 1000000 and r.rss < 64 << 20,
       f"10^6 denied opens are one item: host memory {r.rss >> 20} MiB, {r.seconds:.1f} s", r)
    r = Run("--rw", rw, "--cpu", "3s", act, "print", str(1 << 40))
    ok(r.status == 124 and reached("cpu_micros")(r) and r.body["captured"]["stdout"]["truncated"] and r.rss < 64 << 20,
       f"endless output: {r.body['captured']['stdout']['bytes']} bytes counted, host memory {r.rss >> 20} MiB", r)
    figures.append(f"endless output: {r.body['captured']['stdout']['bytes']} bytes counted, 1 MiB kept, host memory {r.rss >> 20} MiB")


# ---- the second wall ----

def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        return dict(line.rstrip("\n").split(":\t", 1) for line in text if ":\t" in line)


def confinement():
    """launch_workload"""
    process = subprocess.Popen([B, "run", "--no-journal", "-q", "--report", os.path.join(top, "confined.json"), "--rw", place("rw"), act, "sleep",
                                "20"], stdout=subprocess.PIPE, cwd=top)
    process.stdout.readline()
    status = status_of(process.pid)
    process.terminate()
    process.wait(timeout=20)
    with open(os.path.join(top, "confined.json"), encoding="utf-8") as text:
        body = json.load(text)["body"]
    facts = {item["kind"]: item["detail"] for item in body["observed"]}
    ok(facts.get("process_confined", "").startswith(("yes: ", "no: ")), "the report says whether the process is confined", facts)
    landlock = body["profile"]["probed"]["landlock_abi"][0] != "0"
    if not landlock:
        ok(facts["process_confined"].startswith("no: ") and "mechanism_attestation" not in body["evidence"]["supplied"], "without Landlock it says no", facts)
        return
    ok(status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", "while the guest sleeps the kernel shows the filter", status)
    ok(all(int(status[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapInh")), "and no capability", status)
    ok(facts["process_confined"].startswith("yes: Landlock ABI") and facts["canaries"] == "4 of 4 denied", "the report says so and what was tried", facts)
    ok("mechanism_attestation" in body["evidence"]["supplied"], "and carries the claim", body["evidence"])
    free = status_of(os.getpid())
    ok(free["Seccomp"] != "2" or free["NoNewPrivs"] != "1" or int(free["CapEff"], 16) != 0 or os.geteuid() != 0, "this test itself is not")


def registered():
    document = json.loads(subprocess.run([B, "probe", "--backend", "wasm", "--json"], capture_output=True, check=True).stdout)
    ok(len(document["matrix"]) == 18, "every row has an answer")
    for row in document["matrix"]:
        good = row["mechanism"] if row["enforcement"] == "enforced" else row["why"] and row["remedy"]
        ok(good and row["kind"] in covered, f"{row['enforcement']} {row['kind']} has its case", row)
    for name in BUDGETS:
        ok(name in covered, f"{name} has its case")


CASES = [(roots, True), (working_directory, True), (environment, True), (descriptors, True), (streams, True), (temp_root, True), (expose, True),
         (staging, True), (refusals, False),
         (imports, False), (endings, False), (cpu, False), (wall, False), (resident_budget, False), (processes, False), (handles, True),
         (storage, True), (farms, True),
         (swap, True), (bombs, False), (confinement, True)]


def main():
    global B, top, act, native, nothing
    parser = argparse.ArgumentParser()
    parser.add_argument("--bvisor", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--figures", action="store_true")
    options = parser.parse_args()
    B = os.path.abspath(options.bvisor)
    missing = guests.available()
    with tempfile.TemporaryDirectory(prefix="bvt-backend-") as work:
        top = os.path.realpath(work)
        if not missing:
            source = os.path.join(guests.HERE, "guests", "act.c")
            native, act = guests.build(top, source, False), guests.build(top, source, True)
        nothing = made("nothing", b"")
        skipped = 0
        for case, needs_guest in CASES:
            if options.only not in ("", case.__name__):
                continue
            if needs_guest and missing:
                print(f"# skipped {case.__name__}: {missing}")
                skipped += 1
                continue
            case()
            covered.update(re.findall(r"[a-z_]+", case.__doc__))
        if not options.only and not skipped:
            registered()
    for line in figures if options.figures else ():
        print(f"# {line}")
    print(f"1..{len(results)}")
    if skipped and os.environ.get("BV_TESTS_MUST_RUN") == "1":
        return 1
    return 1 if not all(results) else 77 if skipped and not results else 0


if __name__ == "__main__":
    sys.exit(main())
