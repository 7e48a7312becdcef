"""tests/cli/test_early.py - the launcher that the command starts before its C library (launcher/early.c), seen from the host.

usage: test_early.py BVISOR
It is a fork of the command, so what the command was called with must be gone from it: looked for in its memory through
/proc/PID/mem, and found in the command's own, which shows that the look would have found it."""

import os
import signal
import subprocess
import time

import clitest

MARK = "early-launcher-mark-" + os.urandom(8).hex()
RUN = [clitest.BVISOR, "run", "--no-journal", "-q"]


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as text:
            found += [int(child) for child in text.read().split()]
    return found


def name_of(pid):
    with open(f"/proc/{pid}/comm", encoding="utf-8") as text:
        return text.read().strip()


def memory_holds(pid, needle):
    """Whether any private page of a process holds the bytes; None when its memory cannot be read."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                span, rights = line.split()[:2]
                begin, end = (int(number, 16) for number in span.split("-"))
                if "r" not in rights or line.rstrip().endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                    continue
                memory.seek(begin)
                if needle in memory.read(end - begin):
                    return True
    except (PermissionError, OSError):
        return None
    return False


def wait_for(condition, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    return None


def init_of(pid):
    return next((child for child in children(pid) if name_of(child) == "bvisor-init"), None)


def check_memory(executable):
    environment = {"PATH": os.environ["PATH"], "BV_TEST_SECRET": MARK}
    child = subprocess.Popen(RUN + ["--wall", "30s", "--system", "--", executable, "20"], env=environment,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        init = wait_for(lambda: init_of(child.pid) if child.poll() is None else -1)
        if not clitest.ok(init and init > 0, "the boundary's init is a child of the command"):
            return
        with open(f"/proc/{init}/cmdline", "rb") as text:
            clitest.ok(MARK.encode() not in text.read(), "init's command line shows nothing of the command's")
        own, inner = memory_holds(child.pid, MARK.encode()), memory_holds(init, MARK.encode())
        if own is None or inner is None:
            clitest.skip("init's memory does not hold the command's environment", "the memory of an undumpable process is root's to read")
        else:
            clitest.ok(own, "the command's own memory holds its environment")
            clitest.ok(not inner, "init's memory does not")
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate()


def mask_seen(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return next((line for line in done.stdout.decode().splitlines() if line.startswith("Cpus_allowed:")), done.stderr.decode())


def check_mask():
    """The launcher is pushed to another processor by its mask for a moment; the workload has the caller's all the same."""
    look = ["/usr/bin/grep", "Cpus_allowed:", "/proc/self/status"]
    want = mask_seen(look)
    got = {mask_seen(RUN + ["--system", "--ro", "/proc", "--"] + look) for _ in range(20)}
    clitest.ok(got == {want}, "the workload may use the processors that the caller may", f"{want} {got}")


def check_nothing_left(what, words, **options):
    """A command that needs no launcher after all ends the one that it started, and waits for it."""
    parent = subprocess.Popen([clitest.BVISOR] + words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              start_new_session=True, **options)
    parent.wait()
    left = [pid for pid in os.listdir("/proc") if pid.isdigit() and belongs(int(pid), parent.pid)]
    clitest.ok(not left, f"{what}: nothing is left of it", " ".join(left))


def belongs(pid, session):
    try:
        return os.getsid(pid) == session
    except ProcessLookupError:
        return False


def check_closed_streams():
    """With a standard descriptor closed none of the launcher's may take its number."""
    for number in range(3):
        script = f'exec {number}>&-; exec "$@"'
        done = subprocess.run(["/bin/sh", "-c", script, "sh"] + RUN + ["--system", "--", "/bin/true"], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False)
        clitest.ok(done.returncode == 0, f"runs with descriptor {number} closed", done.stderr.decode())


def check_net():
    """The network namespace is made while the run is planned; one that cannot be made is a refusal all the same. The limit is of a user namespace
    of this test's own, and used up by another network namespace in it."""
    inside = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--keep-caps"]
    script = """echo 1 > /proc/sys/user/max_net_namespaces || exit 9
        mkfifo "$0/made" "$0/end"; unshare --net sh -c 'echo > "$0/made"; read x < "$0/end"' "$0" & read x < "$0/made"
        "$@"; echo "status $?"; echo > "$0/end"; wait"""
    for words, want, text in ((["run", "--no-journal"], "status 126", b"network namespaces cannot be made: ENOSPC"),
                              (["plan"], "status 126", b"network namespaces cannot be made: ENOSPC"),
                              (["run", "--no-journal", "--net", "all"], "status 0", b"")):
        place = clitest.fresh_directory()
        os.chmod(place, 0o777)
        done = subprocess.run(inside + ["sh", "-c", script, place, clitest.BVISOR] + words + ["--system", "--", "/bin/true"],
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode == 9 or b"unshare" in done.stderr:
            clitest.skip("a network namespace too many is refused", "no user namespaces here: " + done.stderr.decode().strip())
            return
        clitest.ok(want in done.stdout.decode() and text in done.stderr, f"with no network namespace left: {' '.join(words)}: {want}",
                   done.stdout.decode() + done.stderr.decode())


def main():
    check_net()
    check_memory(os.path.realpath("/bin/sleep"))
    check_mask()
    check_nothing_left("an unknown option", ["run", "--no-journal", "--nonsense", "--", "/bin/true"])
    check_nothing_left("a refusal", ["run", "--no-journal", "--", "/bin/sh"])
    check_nothing_left("a missing program", ["run", "--no-journal", "--", "/nowhere/at/all"])
    check_closed_streams()
    clitest.done()


main()
