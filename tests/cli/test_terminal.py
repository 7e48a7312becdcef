"""On a terminal: live output cannot steer it, colour is used and NO_COLOR respected; elsewhere bytes stay as they are."""

import os
import pty
import select
import signal
import subprocess
import time

from clitest import BVISOR, bvisor, can_run, done, ok, skip, state_home


def on_terminal(*arguments, env=None, during=None):
    """Runs the command with standard output and error on a fresh pty; what arrived there, and the status."""
    master, slave = pty.openpty()
    full = {"PATH": "/usr/bin:/bin", "TERM": "xterm", "XDG_STATE_HOME": state_home(), **(env or {})}
    process = subprocess.Popen([BVISOR, *arguments], stdin=slave, stdout=slave, stderr=slave, env=full, start_new_session=True)
    os.close(slave)
    seen = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
            if during:
                during(process, seen)
        elif process.poll() is not None:
            break
    status = process.wait(timeout=30)
    os.close(master)
    return seen.replace(b"\r\n", b"\n"), status


if not can_run():
    skip("terminal", "this machine holds no ordinary run")
    done()

HOSTILE = r"printf '\033]52;c;cm0gLXJm\007\033[2J\233 ok \303\251\r\n'; printf '\033[31mred\n' >&2"
seen, status = on_terminal("run", "--system", "sh", "-c", HOSTILE)
ok(status == 0 and b"\x1b" not in seen and b"\x07" not in seen and b"\x9b" not in seen, "escape sequences do not reach a terminal", seen)
ok(b"\\x1b]52;c;" in seen and " ok é\r".encode() in seen and b"\\x1b[31mred\n" in seen, "they are shown instead", seen)
result = bvisor("run", "--system", "sh", "-c", HOSTILE)
ok(b"\x1b]52" in result.out and b"\x1b[31m" in result.err, "a pipe gets the bytes as they are", result)

# Characters that arrive in pieces stay whole; what is never finished is shown.
seen, status = on_terminal("run", "--system", "--spawn", "any", "sh", "-c", r"printf 'a\342'; sleep 0.2; printf '\202\254b\342'")
ok(seen == "a€b\\xe2".encode(), "a character in two pieces", seen)
seen, status = on_terminal("run", "--system", "sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
ok(status == 0 and seen == b"".join(b"line %d\n" % i for i in range(20000)), "a long output arrives whole", len(seen))
seen, status = on_terminal("run", "--system", "sh", "-c", "exit 7")
ok(status == 7, "the status is the workload's", seen)
ok(b"\x1b" not in on_terminal("run", "--system", "sh", "-c", "exit 7", env={"NO_COLOR": "1"})[0], "notes have no colour")


def interrupt(process, seen):
    if b"up" in seen:
        os.killpg(process.pid, signal.SIGINT)


seen, status = on_terminal("run", "--system", "--spawn", "any", "sh", "-c", "echo up; sleep 60", during=interrupt)
ok(status == 137 and b"cancelled" in seen, "an interrupt cancels", (status, seen))

# Kept descriptors keep their numbers although the command has pipes of its own.
seen, status = on_terminal("run", "--system", "--keep-fd", "512", "--keep-fd", "513", "true")
ok(status == 126 and b"descriptor 512 is not open" in seen, "the command's own pipes are no kept descriptors", seen)

# Colour.
coloured = on_terminal("probe")[0]
ok(b"\x1b[32m" in coloured, "probe has colour on a terminal", coloured[:200])
for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
    ok(b"\x1b" not in on_terminal("probe", env=env)[0], f"no colour with {env}")
ok(b"\x1b" in on_terminal("probe", env={"NO_COLOR": ""})[0], "an empty NO_COLOR counts as unset")
ok(b"\x1b" not in bvisor("probe").out, "no colour in a pipe")

done()
