"""Exit statuses of INTERFACE.md 1, streams that pass through, notes that say what would have helped; and one document per ending."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

from clitest import BVISOR, bvisor, can_run, done, fresh_directory, ok, skip, spec, write

top = fresh_directory()
state = fresh_directory()
os.chmod(top, 0o777)

if not can_run():
    skip("exit statuses", "this machine holds no ordinary run: " + bvisor("run", "--system", "true").err.decode().strip())
    done()

SH = ["run", "--system", "--spawn", "any", "sh", "-c"]


def run(script, *options, **more):
    return bvisor("run", "--system", "--spawn", "any", *options, "sh", "-c", script, **more)


# (name, arguments, status, outcome)
ENDINGS = [
    ("completed", ["run", "--system", "true"], 0, "completed"),
    ("exit status 1", ["run", "--system", "false"], 1, "failed"),
    ("exit status 42", [*SH, "exit 42"], 42, "failed"),
    ("exit status 255", [*SH, "exit 255"], 255, "failed"),
    ("a signal of its own", [*SH, "kill -TERM $$"], 128 + signal.SIGTERM, "failed"),
    ("a signal of a child is not the run's", [*SH, "exec 2>/dev/null; sh -c 'kill -9 $$'; exit 3"], 3, "failed"),
    ("wall", ["run", "--system", "--wall", "200ms", "sleep", "20"], 124, "timeout"),
    ("cpu", ["run", "--system", "--wall", "20s", "--cpu", "200ms", "sh", "-c", "while :; do :; done"], 124, "timeout"),
    ("a name with a slash", ["run", "--system", "/bin/true"], 0, "completed"),
    ("options behind EXE are the workload's", ["run", "--system", "sh", "-c", 'test "$1" = --wall', "sh", "--wall"], 0, "completed"),
    ("-- before EXE", ["run", "--system", "--", "true"], 0, "completed"),
    ("--no-journal", ["run", "--no-journal", "--system", "true"], 0, "completed"),
    ("refused", ["run", "--system", "--net", "example.org:443", "true"], 126, None),
    ("staged", ["run", "--system", "--rw", top, "--journal", state, "--stage", "true"], 0, "completed"),
    ("committed", ["run", "--system", "--rw", top, "--journal", state, "--commit", "true"], 0, "completed"),
    ("discarded", ["run", "--system", "--rw", top, "--journal", state, "--discard", "true"], 0, "completed"),
    ("a state directory in a root", ["run", "--system", "--rw", top, "--journal", os.path.join(top, "state"), "--stage", "true"], 126, None),
    ("a closed kept fd", ["run", "--system", "--keep-fd", "77", "true"], 126, None),
    ("an unknown lease", ["run", "--system", "--env-secret", "A=b", "true"], 126, None),
    ("an interpreter outside", ["run", "--rx", top, os.path.join(top, "script")], 126, None),
]
write(os.path.join(top, "script"), "#!/usr/bin/env true\n", 0o755)

for name, arguments, status, outcome in ENDINGS:
    result = bvisor(*arguments)
    said = result.lines()
    ok(result.code == status, f"{name}: {status}", result)
    ok(all(line.startswith("bvisor: ") for line in said) and (said or outcome in ("completed", "failed")), f"{name}: notes are notes", result)
    if outcome is None:
        ok(said and all(line.startswith("bvisor: refused: ") for line in said), f"{name}: refused in words", result)
    elif outcome == "completed":
        ok(result.err == b"", f"{name}: nothing is said", result)
    report = os.path.join(top, "report.json")
    documented = bvisor(arguments[0], "--json", "--report", report, *arguments[1:])
    with open(report, "rb") as kept:
        same = kept.read() == documented.out
    document = documented.document() or {}
    ok(documented.code == status and same and documented.out.count(b"\n") == 1, f"{name}: one document, twice the same", documented)
    if outcome is None:
        ok(document.get("schema") == "bvisor.refusal/1" and document.get("items"), f"{name}: a refusal", document)
    else:
        ok(document.get("schema") == "bvisor.report/1" and document["body"]["outcome"] == outcome, f"{name}: outcome {outcome}",
           document.get("body", {}).get("outcome"))
        checked = bvisor("verify", report)
        ok(checked.code == 0 and checked.out.decode() == f"{report}: ok {document['body_hash']}\n", f"{name}: verify", checked)

# Streams pass through live, apart, byte for byte; with --json they are in the document only.
result = run(r"printf 'a\000\377b'; printf 'err\n' >&2")
ok(result.out == b"a\0\xffb" and result.err == b"err\n", "streams pass through", result)
result = run("printf out; printf err >&2", "--json")
body = (result.document() or {}).get("body", {})
ok(result.err == b"err" and body["captured"]["stdout"]["content"] == "out", "with --json standard output holds the document alone", result)
result = run("head -c 3000000 /dev/zero", "--capture", "1000", "--report", os.path.join(top, "big.json"))
with open(os.path.join(top, "big.json"), encoding="utf-8") as kept:
    captured = json.load(kept)["body"]["captured"]["stdout"]
ok(len(result.out) == 3000000 and captured["bytes"] == 3000000 and captured["truncated"], "more than --capture passes and is counted", captured["bytes"])
process = subprocess.Popen([BVISOR, *SH, "echo first; sleep 2; echo second"], stdout=subprocess.PIPE)
started = time.monotonic()
first = process.stdout.readline()
ok(first == b"first\n" and time.monotonic() - started < 1.9, "output is live")
process.wait()
process.stdout.close()
result = bvisor("run", "--system", "cat", stdin=b"not for you")
ok(result.out == b"", "standard input is empty unless asked for", result)
result = bvisor("run", "--system", "--stdin", "-", "cat", stdin=b"x" * 500000)
ok(result.out == b"x" * 500000, "--stdin - copies", result.code)
given = write(os.path.join(top, "input"), "from a file")
result = bvisor("run", "--system", "--stdin", given, "cat", stdin=b"not this")
ok(result.out == b"from a file", "--stdin FILE copies", result)
result = bvisor("run", "--spec", "-", "--stdin", given, stdin=json.dumps(spec()).encode())
ok(result.code == 125 and b"gives the workload no input" in result.err, "--stdin against the spec is an error", result)

# The boundary that options make.
result = bvisor("run", "--system", "--tmp", "--env", "A=b", "env")
ok(sorted(result.out.split()) == [b"A=b", b"TMPDIR=/tmp"], "the environment is exact", result)
result = run("pwd; cd /tmp && echo x > y && cat y", "--tmp", cwd=top)
ok(result.out == b"/\nx\n", "a private /tmp, and / for a cwd outside", result)
result = bvisor("run", "--system", "--ro", ".", "pwd", cwd=top)
ok(result.out.decode() == top + "\n", "the caller's cwd inside a root", result)
result = bvisor("run", "--system", "--expose", f"{given}:/in/put", "cat", "/in/put")
ok(result.out == b"from a file", "--expose", result)
read_end, write_end = os.pipe()
os.write(write_end, b"through a kept descriptor")
os.close(write_end)
os.dup2(read_end, 7)
result = bvisor("run", "--system", "--keep-fd", "7", "sh", "-c", "exec cat <&7", pass_fds=(7,))
ok(result.out == b"through a kept descriptor", "--keep-fd", result)
for closed in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
    done_at = os.path.join(top, "closed")
    process = subprocess.run(["sh", "-c",
                              f'exec "$0" run --system --rw {top} sh -c "echo out; echo err >&2; echo > {done_at}" {closed}', BVISOR],
                             capture_output=True, check=False)
    ok(process.returncode == 0 and os.path.exists(done_at), f"a caller with {closed}", process)
    os.unlink(done_at)

result = subprocess.run(["sh", "-c", "trap '' INT TERM PIPE USR1; exec \"$0\" run --system grep -E 'Sig(Blk|Ign)' /proc/self/status", BVISOR],
                        capture_output=True, check=False)
ok(result.stdout == b"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", "signals are the default ones inside", result)

# What --system is for.
PROGRAMS = [("perl", ["perl", "-e", "print 6*7"], b"42"), ("python3", ["/usr/bin/python3", "-c", "print(6*7)"], b"42\n"),
            ("a pipeline", ["sh", "-c", "echo 42 | tr 2 3 | cat"], b"43\n"), ("gcc", ["sh", "-c",
             "printf 'int main(void) { return 7; }' > /tmp/x.c && gcc -o /tmp/x /tmp/x.c && test -s /tmp/x && echo made"], b"made\n")]
for name, arguments, expected in PROGRAMS:
    if not os.path.exists("/usr/bin/" + os.path.basename(arguments[0] if name != "gcc" else "gcc")):
        skip(f"--system runs {name}", "it is not installed")
        continue
    result = bvisor("run", "--system", "--spawn", "any", "--tmp", "--env", "PATH=/usr/bin:/bin", *arguments)
    ok(result.code == 0 and result.out == expected, f"--system runs {name}", result)

# A report whose place the workload may write: it is looked up before the run, never through what the workload made of it.
out, victim = os.path.join(top, "out"), os.path.join(top, "victim")
for name, place, script, status in [
        ("a link to a file outside", "sealed.json", "ln -s ../victim sealed.json", 0),
        ("a dangling link outside", "sealed.json", "ln -s ../made sealed.json", 0),
        ("a pipe that nobody reads", "sealed.json", "mkfifo sealed.json", 0),
        ("a directory", "sealed.json", "mkdir sealed.json; touch sealed.json/x", 125),
        ("a directory that was moved", "sub/sealed.json", "mv sub moved; mkdir sub", 125),
        ("a directory that is a link outside", "sub/sealed.json", "mv sub moved; ln -s .. sub", 125),
        ("a directory that is gone", "sub/sealed.json", "rmdir sub", 125)]:
    os.makedirs(os.path.join(out, "sub"))
    write(victim, "kept\n")
    result = run(f"cd {out}; {script}", "--rw", out, "--report", os.path.join(out, place), timeout=30)
    ok(result.code == status, f"a report where the workload put {name}: {status}", result)
    with open(victim, encoding="ascii") as text:
        ok(text.read() == "kept\n" and sorted(set(os.listdir(top)) & {"made", "sealed.json"}) == [], f"{name}: nothing outside is written")
    if status == 0:
        with open(os.path.join(out, place), encoding="utf-8") as text:
            ok(json.load(text)["schema"] == "bvisor.report/1" and not os.path.islink(os.path.join(out, place)), f"{name}: it is replaced")
    shutil.rmtree(out)

result = bvisor("run", "--system", "true", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
ok(result.code == 125 and b"File too large" in result.err, "a limit on the size of files is told, not died of", result)

# Notes.
result = bvisor("run", "--system", "sh", "-c", "echo x | cat")
ok(b"(--spawn any would allow it)" in result.err and b"shells and pipes need --spawn any" in result.err, "the note about --spawn", result)
ok(b"bvisor:" not in bvisor("run", "-q", "--system", "sh", "-c", "echo x | cat").err, "-q is quiet")
result = bvisor("run", "--system", "--wall", "100ms", "sleep", "9")
ok(result.lines() == ["bvisor: timeout: the wall_micros limit of 100ms was reached (raise it with --wall)"], "the note about a budget", result)
result = run("head -c 3000000 /dev/zero > /tmp/x", "--tmp", "--storage", "1M")
ok(b"bvisor: failed: the storage_bytes limit of 1 MiB was reached (raise it with --storage)" in result.err, "the note about a refused write", result)
result = bvisor("run", "--system", "sh", "-c", "exit 3")
ok(result.code == 3 and b"--spawn" not in result.err, "a program that failed by itself is not sent after a grant", result)
result = bvisor("run", "--system", "--spawn", "any", "--mem", "32M", "perl", "-e", "my $x = 'a' x 100000000; print 1")
if result.code == 126:
    skip("the note about memory", "this machine holds no memory limit: " + result.lines()[0])
else:
    ok(result.code == 137 and b"bvisor: killed: the resident_bytes limit of 32 MiB was reached (raise it with --mem)" in result.err,
       "the note about memory", result)
result = bvisor("run", "-v", "--system", "true")
ok(b"completed" in result.err and b"mount_ns" in result.err and b"wall" in result.err and result.out == b"", "-v says what held", result)


def signalled(number):
    process = subprocess.Popen([BVISOR, "run", "--json", "--system", "--spawn", "any", "sh", "-c", "echo up >&2; sleep 60"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = process.stderr.readline()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return line, process.returncode, out, err


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    line, code, out, err = signalled(number)
    body = json.loads(out)["body"]
    ok(line == b"up\n" and code == 137 and body["outcome"] == "killed" and b"cancelled" in err, f"{number.name} cancels", (code, err))

# A reader that goes away is no reason to fail the workload; a document that cannot be written is.
process = subprocess.run(["sh", "-c", 'exec "$0" run --system --spawn any sh -c "yes | head -c 1000000; exit 9" | head -c 1 >/dev/null', BVISOR],
                         capture_output=True, check=False, timeout=60)
ok(b"Broken pipe" not in process.stderr, "a reader that goes away", process)
with open("/dev/full", "wb") as full:
    process = subprocess.run([BVISOR, "run", "--json", "--system", "true"], stdout=full, stderr=subprocess.PIPE, check=False)
ok(process.returncode == 125 and b"the document cannot be written" in process.stderr, "a full standard output", process)
kept = write(os.path.join(top, "kept.json"), "old", 0o640)
link = os.path.join(top, "kept-link.json")
os.symlink("kept.json", link)
result = bvisor("run", "--report", link, "--system", "true")
ok(os.path.islink(link) and os.stat(kept).st_mode & 0o777 == 0o640 and json.load(open(kept, encoding="utf-8"))["schema"] == "bvisor.report/1",
   "a report replaces the file behind a link and keeps its mode", result)
result = bvisor("run", "--report", "/dev/null", "--system", "true")
ok(result.code == 0, "a report to a device", result)
ok(not [name for name in os.listdir(top) if name.startswith(".bvisor")], "no temporary file stays", os.listdir(top))

# Output of the workload: a reader of a pipe that went away ends an endless writer as it does outside; a full disk is told.
process = subprocess.run(["sh", "-c", '{ "$0" run --report "$1" --system --wall 30s -q yes; echo "status $?" >&2; } | head -n 1', BVISOR,
                          os.path.join(top, "yes.json")], capture_output=True, check=False, timeout=60)
ok(process.stdout == b"y\n" and b"status 141" in process.stderr and b"lost" not in process.stderr, "yes | head", process)
body = json.load(open(os.path.join(top, "yes.json"), encoding="utf-8"))["body"]
ok(body["exit"] == {"signal": 13} and body["captured"]["stdout"]["truncated"] and len(body["captured"]["stdout"]["content"]) == 1 << 20,
   "its capture is as full as ever", body["exit"])
with open("/dev/full", "wb") as full:
    for script, status in (("echo x", 125), ("echo x; exit 7", 7)):
        process = subprocess.run([BVISOR, "run", "-q", "--system", "sh", "-c", script], stdout=full, stderr=subprocess.PIPE, check=False)
        ok(process.returncode == status and b"output is lost: stdout" in process.stderr and process.stderr.count(b"\n") == 1,
           f"lost output is told, status {status}", process)

# The fresh root may be listed, unless that would list what was granted for writing only.
drop = os.path.join(top, "drop")
os.mkdir(drop)
os.chmod(drop, 0o777)
result = bvisor("run", "--system", "ls", "/")
ok(result.code == 0 and b"usr\n" in result.out and b"home" not in result.out and b"root" not in result.out, "ls / shows what was granted", result)
for path in ("/", drop):
    result = bvisor("run", "--system", "--wo", drop, "ls", path)
    ok(result.code != 0 and result.out == b"", f"ls {path} beside a write-only root", result)

# What is said once is said once, and no figure is made up.
body = bvisor("run", "--json", "--system", "--tmp", "true").document()["body"]
details = [item["detail"] for item in body["findings"]]
ok(details and len(details) == len(set(details)) and not any("; " in detail for detail in details), "findings are single and once", details)
for name, witness in body["budget"].items():
    supplied = witness["supplied"]
    fine = supplied["guarantee"] == "enforced" or witness["limit"] != "unlimited" or (
        supplied["max_overshoot"] is None and supplied["sample_interval_micros"] != 0)
    ok(fine, f"{name}: no made-up figure in what is supplied", supplied)
ok(b"every 0us" not in bvisor("plan", "--system", "true").out, "plan prints no made-up figure")

# plan and exec.
plan = os.path.join(top, "plan.json")
result = bvisor("plan", "--report", plan, "--system", "--env", "A=b", "env")
ok(result.code == 0 and result.out.startswith(b"admitted") and b"landlock" in result.out, "plan prints what would hold", result)
result = bvisor("plan", "--json", "--system", "--env", "A=b", "env")
ok((result.document() or {}).get("schema") == "bvisor.plan/1" and result.out == open(plan, "rb").read(), "plan --json is the document", result)
result = bvisor("exec", plan, "--json")
ok(result.code == 0 and (result.document() or {})["body"]["captured"]["stdout"]["content"] == "A=b\n", "exec runs the plan", result)
result = bvisor("exec", plan)
ok(result.code == 0 and result.out == b"A=b\n", "exec passes the streams through", result)
result = bvisor("exec", plan, "--stdin", given)
ok(result.code == 125 and b"gives the workload no input" in result.err, "exec --stdin against the plan is an error", result)
text = open(plan, encoding="utf-8").read()
result = bvisor("exec", write(os.path.join(top, "forged.json"), text.replace('"literal":"b"', '"literal":"c"')))
ok(result.code == 125 and len(result.lines()) == 1, "a forged plan is an error", result)
tool = write(os.path.join(top, "tool"), "#!/usr/bin/sh\necho one\n", 0o755)
result = bvisor("plan", "-q", "--report", plan, "--system", "--rx", top, tool)
ok(result.code == 0 and result.out == b"", "plan -q", result)
ok(bvisor("exec", plan).out == b"one\n", "exec of a script")
write(tool, "#!/usr/bin/sh\necho two\n", 0o755)
result = bvisor("exec", "--json", plan)
ok(result.code == 126 and (result.document() or {}).get("reason") == "profile_drift", "a changed workload is drift", result)
result = bvisor("plan", "--system", "--net", "example.org:1", "--stage", "--rw", plan, "true")
ok(result.code == 126 and len(result.lines()) >= 2, "every unsupported item is named", result)

# The loader's path leads through the distribution's links; what is exposed in their place is not executable.
if os.path.islink("/lib") and os.path.islink("/lib64"):
    both = ["--expose", "/usr/lib:/lib", "--expose", "/usr/lib64:/lib64"]
    for options in (both, both[:2], both[2:]):
        result = bvisor("run", "--no-journal", "--rx", "/usr", *options, "/usr/bin/true")
        ok(result.code == 126 and b"interpreter" in result.err and b"grants no execute" in result.err,
           f"refused, not started, with {options[1::2]}", result)

# The ordinary user.
if os.geteuid() == 0:
    def become():
        os.setgroups([])
        os.setgid(1000)
        os.setuid(1000)
    if bvisor("run", "--system", "true", preexec_fn=become).code == 0:
        result = bvisor("run", "--system", "--spawn", "any", "id", "-u", preexec_fn=become)
        ok(result.out == b"1000\n", "an ordinary user without HOME", result)
        result = bvisor("run", "--system", "--enforced", "mem", "--mem", "64M", "true", preexec_fn=become)
        ok(result.code in (0, 126), "an ordinary user asks for an enforced memory limit", result)
        result = bvisor("probe", preexec_fn=become)
        ok(result.code == 0, "an ordinary user probes", result)
    else:
        skip("an ordinary user", "this machine holds no run of one")

probe = bvisor("probe", "--json")
document = probe.document() or {}
ok(document.get("schema") == "bvisor.probe/1" and len(document["matrix"]) == 18 and len(document["budget"]) == 7, "probe --json", probe)
result = bvisor("probe")
ok(result.code == 0 and all(row["kind"].encode() in result.out for row in document["matrix"]), "probe names every row", result)
for row in document["matrix"]:
    if row["enforcement"] == "unsupported":
        ok(row["why"] and row["why"].split()[0].encode() in result.out, f"probe says why there is no {row['kind']}")
ok(bvisor("probe", "--backend", "inert").code == 0, "probe --backend inert")
sys.stdout.flush()
done()
