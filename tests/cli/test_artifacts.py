#!/usr/bin/env python3
"""tests/cli/test_artifacts.py - staged runs from the command line: what is kept, shown, committed, refused, dropped and recovered."""

import io
import os
import signal
import subprocess
import tarfile
import time

from clitest import BVISOR, bvisor, done, fresh_directory, ok, skip, write

top = fresh_directory()
root = os.path.join(top, "job")
state = os.path.join(top, "state")
RUN = ["run", "--system", "--rw", root, "--spawn", "any", "--journal", state]


def shell(script):
    return ["sh", "-c", f"cd {root} && {script}"]


def fresh():
    subprocess.run(["rm", "-rf", root, state], check=True)
    os.mkdir(root)
    write(os.path.join(root, "a"), "one\ntwo\n")
    write(os.path.join(root, "b"), "b\n")


def read(name):
    path = os.path.join(root, name)
    if not os.path.lexists(path):
        return None
    with open(path, encoding="utf-8") as text:
        return text.read()


def attempts():
    return [line.split() for line in bvisor("artifacts", "list", "--journal", state).out.decode().splitlines()]


def artifacts(*words):
    return bvisor("artifacts", *words, "--journal", state)


def stage(script="echo three >> a; rm b; mkdir -p n/m; echo new > n/m/f; ln -s /etc/shadow l; mkfifo p"):
    """A kept attempt; its id."""
    fresh()
    result = bvisor(*RUN, "--stage", *shell(script))
    ok(result.code == 0 and len(attempts()) == 1, "a staged run is kept", result)
    return attempts()[0][0]


fresh()
if bvisor(*RUN, "--stage", "true").code == 126:
    skip("staging", "this machine cannot stage here")
    done()

attempt = stage()
ok(read("a") == "one\ntwo\n" and read("b") == "b\n" and read("n/m/f") is None, "the host's files are as before")
listed = artifacts("list", attempt)
ok(listed.out.decode().count("\n") == 7 and b"special    0644" in listed.out, "list names each change", listed)
document = artifacts("list", "--json", attempt).document()
ok(document["complete"] and [item["path"] for item in document["artifacts"]] == ["a", "b", "l", "n", "n/m", "n/m/f", "p"], "and as a document", document)
diff = artifacts("diff", attempt, "a", "b").out.decode()
ok("@@ -1,2 +1,3 @@\n one\n two\n+three\n" in diff and "--- a" + root + "/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n" in diff, "diff is a unified diff", diff)
archive = tarfile.open(fileobj=io.BytesIO(artifacts("export", attempt).out))
names = {member.name: member for member in archive.getmembers()}
ok(set(names) == {f"{root[1:]}/{name}" for name in ("a", "l", "n", "n/m", "n/m/f")}, "export is a tar of what is there, without special files", names)
ok(archive.extractfile(f"{root[1:]}/n/m/f").read() == b"new\n" and names[f"{root[1:]}/l"].linkname == "/etc/shadow", "with its contents")
part = artifacts("commit", attempt, "n/m/f")
ok(part.code == 0 and read("n/m/f") == "new\n" and read("a") == "one\ntwo\n", "commit by path", part)
ok(artifacts("commit", attempt, "nothing").code == 125, "a path that is not there is an error")
ok(artifacts("discard", attempt, "b").code == 0, "discard by path")
write(os.path.join(root, "a"), "the host's\n")
conflict = artifacts("commit", attempt)
ok(conflict.code == 125 and f"{root}/a".encode() in conflict.err and b"--overwrite" in conflict.err, "a conflict names the file", conflict)
ok(read("a") == "the host's\n" and not os.path.lexists(root + "/l"),
   "a file that the host changed is named, and nothing is committed", conflict)
forced = artifacts("commit", "--overwrite", "--durability", "durable", attempt)
ok(forced.code == 0 and read("a") == "one\ntwo\nthree\n" and read("b") == "b\n" and os.path.islink(root + "/l") and not os.path.lexists(root + "/p"),
   "unless told to overwrite; the special file stays behind", forced)
ok(attempts() == [], "with everything decided nothing is kept")

fresh()
done_run = bvisor(*RUN, "--commit", "--json", *shell("echo x > a; chmod 600 b"))
report = done_run.document()
ok(done_run.code == 0 and read("a") == "x\n" and os.stat(root + "/b").st_mode & 0o777 == 0o600 and attempts() == [],
   "--commit commits a completed run", done_run)
ok(report["disposition"] == [{"decided": "commit", "state": "applied"}] and {item["path"] for item in report["body"]["artifacts"]} == {"a", "b"},
   "the report lists the changes and says what became of them", report)
ok({"filesystem_delta", "artifact_lineage"} <= set(report["body"]["evidence"]["supplied"]), "and supplies the claims")
for name, more, script, code in (("failed", [], "echo x > a; exit 3", 3), ("timed-out", ["--wall", "300ms"], "echo x > a; sleep 20", 124)):
    fresh()
    result = bvisor(*RUN, "--commit", *more, *shell(script))
    ok(result.code == code and read("a") == "one\ntwo\n" and [word for _, word in attempts()] == ["kept"], f"a {name} run is never committed, and kept", result)
fresh()
ok(bvisor(*RUN, "--discard", *shell("echo x > a")).code == 0 and read("a") == "one\ntwo\n" and attempts() == [], "--discard drops")

fresh()
with subprocess.Popen([BVISOR, *RUN, "--commit", *shell("echo x > a; echo ready; sleep 60")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
    process.stdout.readline()
    ok([word for _, word in attempts()] == ["live"] and bvisor("recover", "--journal", state).code == 0 and [word for _, word in attempts()] == ["live"],
       "a live run is left alone by recover")
    process.send_signal(signal.SIGKILL)
    process.wait()
deadline = time.monotonic() + 10
while [word for _, word in attempts()] != ["unsealed"] and time.monotonic() < deadline:
    time.sleep(0.05)
look = bvisor("recover", "--dry-run", "--journal", state)
ok(b"rolled_back" in look.out and b"quarantine " in look.out and len(attempts()) == 1, "a killed supervisor leaves what recover would drop", look)
ok(bvisor("recover", "--journal", state).code == 0 and attempts() == [] and read("a") == "one\ntwo\n", "recover drops it, and the host's files are as before")
ok(bvisor("recover", "--journal", state).out == b"", "a second recover finds nothing")

fresh()
result = bvisor("run", "--system", "--rw", root, "--journal", state, "--stage", "--storage", "1M", "true")
ok(result.code == 126 and b"storage_bytes" in result.err and b"staged writes go to the file system of the state directory" in result.err and
   b"--storage unlimited" in result.err and attempts() == [], "a limit of storage that nobody could hold is refused", result)
ok(bvisor("run", "--system", "--rw", root, "--journal", state, "--stage", "--storage", "unlimited", "true").code == 0, "unlimited is no limit")
fresh()
for name, options, remedy in (("the state directory in a root", ["--rw", top], "state directory"), ("a file as a root", ["--rw", root + "/a"], "no directory")):
    result = bvisor("run", "--system", *options, "--journal", state, "--stage", "true")
    ok(result.code == 126 and remedy.encode() in result.err, f"{name} is refused", result)
done()
