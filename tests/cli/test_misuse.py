"""Every misuse of the command line is one clear line with its place, the right status, and nothing started."""

import os

from clitest import bvisor, done, fresh_directory, ok, write

top = fresh_directory()
marker = os.path.join(top, "started")
program = write(os.path.join(top, "program"), f"#!/bin/sh\necho > {marker}\n", 0o755)
os.symlink("/usr", os.path.join(top, "link"))
write(os.path.join(top, "spec.json"), "{}")
RUN = ["--system", "--rx", top, "--rw", top, "--spawn", "any", program]

# (arguments, status, a part of the line)
MISUSES = [
    ([], 125, "no verb is given"),
    (["rnu"], 125, "rnu: there is no such verb"),
    (["--json", "run"], 125, "options follow the verb"),
    (["run"], 125, "no program is named"),
    (["run", "--"], 125, "no program is named"),
    (["run", ""], 125, "EXE: is empty"),
    (["run", "--bogus", *RUN], 125, "--bogus: unknown option"),
    (["run", "--wal", "3s", *RUN], 125, "did you mean --wall?"),
    (["run", "-x", *RUN], 125, "-x: unknown option"),
    (["run", "--html", "f", *RUN], 125, "--html: not an option of run"),
    (["run", "--wall"], 125, "--wall: needs a value"),
    (["run", "--wall", "--json", *RUN], 125, "--wall: needs a value"),
    (["run", "--wall=", *RUN], 125, "--wall: the value is empty"),
    (["run", "--json=yes", *RUN], 125, "--json: takes no value"),
    (["run", "--wall", "1s", "--wall", "2s", *RUN], 125, "--wall: given twice"),
    (["run", "-q", "-v", *RUN], 125, "-q: cannot be combined with -v"),
    # figures
    (["run", "--wall", "10", *RUN], 125, "--wall 10: has no unit"),
    (["run", "--wall", "ten", *RUN], 125, "--wall ten: not a duration"),
    (["run", "--wall", "-1s", *RUN], 125, "--wall -1s: not a duration"),
    (["run", "--wall", "1.5s", *RUN], 125, "not a duration"),
    (["run", "--wall", "10 s", *RUN], 125, "not a duration"),
    (["run", "--wall", "10S", *RUN], 125, "not a duration"),
    (["run", "--wall", "99999999999999999999s", *RUN], 125, "too large"),
    (["run", "--cpu", "9007199254740992us", *RUN], 125, "too large"),
    (["run", "--cpu", "2501999793h", *RUN], 125, "too large"),
    (["run", "--mem", "64X", *RUN], 125, "--mem 64X: not a size"),
    (["run", "--mem", "-64M", *RUN], 125, "not a size"),
    (["run", "--mem", "8192T", *RUN], 125, "too large"),
    (["run", "--mem", "18446744073709551616", *RUN], 125, "too large"),
    (["run", "--storage", "1e9", *RUN], 125, "not a size"),
    (["run", "--procs", "many", *RUN], 125, "--procs many: not a number"),
    (["run", "--procs", "4k", *RUN], 125, "not a number"),
    (["run", "--handles", "9007199254740992", *RUN], 125, "too large"),
    (["run", "--net-bytes", "", *RUN], 125, "--net-bytes: the value is empty"),
    (["run", "--enforced", "wall,fuel", *RUN], 125, "--enforced fuel: not a budget"),
    (["run", "--enforced", "wall,", *RUN], 125, "an item of the list is empty"),
    (["run", "--require", "everything", *RUN], 125, "--require everything: not a claim"),
    (["run", "--capture", "65M", *RUN], 125, "--capture 65M: too much"),
    (["run", "--capture", "some", *RUN], 125, "not a size"),
    (["run", "--tmp=0", *RUN], 125, "--tmp 0: a temp root needs room"),
    (["run", "--tmp=unlimited", *RUN], 125, "not a size"),
    # paths
    (["run", "--ro", os.path.join(top, "gone"), *RUN], 125, "there is no such file or directory"),
    (["run", "--rw", "/", *RUN], 125, "--rw /: the whole file system cannot be granted"),
    (["run", "--ro", "/usr/..", *RUN], 125, "the whole file system cannot be granted"),
    (["run", "--cwd", os.path.join(top, "gone"), *RUN], 125, "there is no such file or directory"),
    (["run", "--expose", "/usr", *RUN], 125, "not SRC:DEST"),
    (["run", "--expose", "/usr:in", *RUN], 125, "not SRC:DEST"),
    (["run", "--expose", "/usr:/a/../b", *RUN], 125, "without .."),
    (["run", "--expose", "/usr:/", *RUN], 125, "below /"),
    (["run", "--expose", "/usr:/in:rx", *RUN], 125, "the access behind DEST is ro or rw"),
    (["run", "--expose", "/usr:/in", "--expose", "/etc:/in/", *RUN], 125, "the same DEST"),
    (["run", "--expose", os.path.join(top, "gone") + ":/in", *RUN], 125, "there is no such"),
    # authority
    (["run", "--spawn", "some", *RUN], 125, "--spawn: given twice"),
    (["run", "--spawn", "some", program], 125, "--spawn some: not none, threads or any"),
    (["run", "--net", "example.org", *RUN], 125, "write HOST:PORT"),
    (["run", "--net", "example.org:0", *RUN], 125, "a number from 1 to 65535"),
    (["run", "--net", "example.org:65536", *RUN], 125, "a number from 1 to 65535"),
    (["run", "--net", ":80", *RUN], 125, "write HOST:PORT"),
    (["run", "--net", "::1:80", *RUN], 125, "[ADDRESS]:PORT"),
    (["run", "--net", "a:1,,b:2", *RUN], 125, "an item of the list is empty"),
    (["run", "--env", "LANG", *RUN], 125, "not NAME=VALUE"),
    (["run", "--env", "=x", *RUN], 125, "the name is empty"),
    (["run", "--env", "A=1", "--env", "A=2", *RUN], 125, "--env A: the same name"),
    (["run", "--env", "A=1", "--env-secret", "A=r", *RUN], 125, "--env-secret A: the same name"),
    (["run", "--env-secret", "A=", *RUN], 125, "the reference is empty"),
    (["run", "--keep-fd", "2", *RUN], 125, "--keep-fd 2:"),
    (["run", "--keep-fd", "three", *RUN], 125, "not a number"),
    (["run", "--keep-fd", "4294967299", *RUN], 125, "too large for a descriptor"),
    (["run", "--keep-fd", "7", "--keep-fd", "7", *RUN], 125, "given twice"),
    (["run", "--commit=soon", *RUN], 125, "not atomic, durable or best-effort"),
    # run options
    (["run", "--spec", os.path.join(top, "spec.json"), "--ro", "/usr"], 125, "--ro: cannot be combined with --spec"),
    (["run", "--spec", os.path.join(top, "spec.json"), "--wall", "1s"], 125, "--wall: cannot be combined with --spec"),
    (["run", "--spec", os.path.join(top, "spec.json"), program], 125, "cannot be combined with --spec"),
    (["run", "--spec", os.path.join(top, "gone.json")], 125, "cannot be opened"),
    (["run", "--spec", top], 125, "cannot be read: Is a directory"),
    (["run", "--spec", "-", "--stdin", "-"], 125, "standard input is read for the document already"),
    (["run", "--stdin", os.path.join(top, "gone"), *RUN], 125, "cannot be opened"),
    (["run", "--stdin", top, *RUN], 125, "is a directory"),
    (["run", "--secrets", os.path.join(top, "gone"), *RUN], 125, "cannot be opened"),
    (["run", "--report", os.path.join(top, "gone", "r.json"), *RUN], 125, "cannot be written"),
    (["run", "--report", top, *RUN], 125, "cannot be written: Is a directory"),
    (["run", "--journal", top, "--no-journal", *RUN], 125, "cannot be combined"),
    # other verbs
    (["exec"], 125, "takes exactly one plan"),
    (["exec", "a", "b"], 125, "takes exactly one plan"),
    (["exec", os.path.join(top, "gone.json")], 125, "cannot be opened"),
    (["exec", os.path.join(top, "spec.json")], 125, ""),
    (["verify"], 125, "no report is named"),
    (["verify", os.path.join(top, "gone.json")], 125, "cannot be opened"),
    (["verify", top], 125, "Is a directory"),
    (["show"], 125, "takes exactly one document"),
    (["show", os.path.join(top, "spec.json")], 125, "is no such document"),
    (["show", program], 125, "line 1 column"),
    (["probe", "linux"], 125, "takes no arguments"),
    (["spec"], 125, "needs check or schema"),
    (["spec", "check"], 125, "needs check or schema"),
    (["spec", "schema", "x"], 125, "needs check or schema"),
    (["journal"], 125, "needs one of"),
    (["journal", "lis"], 125, "needs one of"),
    (["journal", "list show"], 125, "needs one of"),
    (["journal", "show"], 125, "needs an attempt"),
    (["journal", "show", "zz", "--journal", top], 125, "there is no journal"),
    (["journal", "list", "--journal", ""], 125, "is empty"),
    (["journal", "list", "--last", "many"], 125, "--last: "),
    (["journal", "prune"], 125, "nothing says what may go"),
    (["journal", "prune", "--older", "yesterday"], 125, "--older: "),
    (["journal", "prune", "--keep", "some"], 125, "--keep: "),
    (["journal", "head", "--journal", top], 125, "there is no journal"),
    (["key"], 125, "needs new or public"),
    (["key", "new"], 125, "needs new or public"),
    (["key", "public", top + "/none"], 125, "cannot be opened"),
    (["key", "public", "/etc/passwd"], 125, "no Ed25519 key in PEM"),
    (["key", "new", "/etc/passwd"], 125, "never overwritten"),
    (["run", "--sign", top + "/none", *RUN], 125, "cannot be opened"),
    (["verify", "--key", "/etc/passwd", "report"], 125, "no Ed25519 key in PEM"),
    (["show", "--html", "page", "--dsse", "report"], 125, "cannot be combined"),
    (["run", "--journal", "/dev/null", *RUN], 125, "nothing ran"),
    (["run", "--journal", "/proc/none", *RUN], 125, "nothing ran"),
    (["journal", "list", "x"], 125, "takes no more arguments"),
    (["artifacts"], 125, "needs one of"),
    (["artifacts", "commit"], 125, "needs an ATTEMPT"),
    (["artifacts", "lis"], 125, "needs one of"),
    (["artifacts", "diff", "--overwrite", "0" * 32], 125, "goes with artifacts commit only"),
    (["artifacts", "diff", "--json", "0" * 32], 125, "goes with artifacts list only"),
    (["artifacts", "commit", "--journal", top, "id"], 125, "32 lower-case hexadecimal digits"),
    (["artifacts", "commit", "--journal", top, "0" * 32], 125, "nothing is staged under attempt"),
    (["artifacts", "commit", "--journal", top, "--durability", "soon", "0" * 32], 125, "must be atomic, durable or best-effort"),
    (["recover", "x"], 125, "takes no arguments"),
    (["completion"], 125, "needs the name of a shell"),
    (["completion", "ksh"], 125, "needs the name of a shell"),
    (["version", "x"], 125, "takes no arguments"),
    (["help", "nothing"], 125, "there is no such topic"),
    (["help", "run", "plan"], 125, "takes one topic"),
    # what this version lacks
    (["run", "--backend", "wasm", "--rx", top, "--rx", "/usr", program], 126,
     "launch_workload: the wasm backend runs WebAssembly modules, and this is a native program"),
    (["run", "--backend", "other", *RUN], 126, "backend: "),
    (["probe", "--backend", "other"], 126, "backend: "),
    # programs
    (["run", "--rx", top, "no-such-program-anywhere"], 126, "there is no such program in PATH"),
    (["run", "--rx", top, "ls"], 126, "is outside every execute root: /usr/bin/ls (add --rx /usr/bin, or --system)"),
    (["run", "--ro", "/usr", "ls"], 126, "is outside every execute root"),
    (["run", "--rx", "/usr", "--ro", "/usr/bin", "ls"], 126, "is outside every execute root"),
    (["run", "--system", os.path.join(top, "gone", "..", "x")], 125, "No such file"),
]

DOCUMENTED = ("run", "plan", "exec")

for arguments, status, part in MISUSES:
    result = bvisor(*arguments)
    lines = result.lines()
    fine = (result.code == status and len(lines) == 1 and lines[0].startswith("bvisor: ") and part in lines[0]
            and (result.out == b"" or any(word.startswith("--json") for word in arguments)) and not os.path.exists(marker))
    ok(fine, "bvisor " + " ".join(arguments).replace(top, "DIR"), result)

# The same with --json: one document, whatever went wrong; nothing else on standard output.
for arguments, status, part in MISUSES:
    if not arguments or arguments[0] not in DOCUMENTED or "--json" in arguments or "--json=yes" in arguments:
        continue
    if arguments[-1] == "--wall" or "--report" in arguments:
        continue
    result = bvisor(arguments[0], "--json", *arguments[1:])
    document = result.document() or {}
    schema = "bvisor.error/1" if status == 125 else "bvisor.refusal/1"
    fine = result.code == status and document.get("schema") == schema and result.out.count(b"\n") == 1
    if status == 125:
        fine = fine and set(document) == {"schema", "place", "message"} and part in f"{document['place']}: {document['message']}"
    else:
        fine = fine and document.get("reason") and document.get("items") and all(
            {"why", "remedy"} <= set(item) for item in document["items"])
    ok(fine and not os.path.exists(marker), "--json: " + " ".join(arguments).replace(top, "DIR"), result)

# A program that PATH does not give is refused in the same shape as a path that names none.
for exe in ("no-such-program-anywhere", os.path.join(top, "gone")):
    result = bvisor("run", "--json", "--rx", top, exe)
    item = ((result.document() or {}).get("items") or [{}])[0]
    ok(result.code == 126 and set(item) == {"kind", "requirement", "why", "remedy"} and item["kind"] == "launch_workload"
       and item["requirement"] == {"launch_workload": {}} and item["why"].startswith(exe + ": "), "the item of a program that is not there", result)

# --json is heard behind the mistake as well, but not behind the workload's name.
result = bvisor("run", "--bogus", "--json", program)
ok(result.document() is not None, "--json behind an unknown option", result)
result = bvisor("run", "--bogus", program, "--json")
ok(result.out == b"" and result.code == 125, "--json behind EXE is the workload's", result)
report = os.path.join(top, "report.json")
result = bvisor("run", "--bogus", "--report", report)
ok(os.path.exists(report) and result.out == b"", "--report gets the error document", result)
result = bvisor("run", "--report", "-", "--bogus")
ok((result.document() or {}).get("schema") == "bvisor.error/1", "--report - means standard output", result)

# More than a boundary takes.
for name, words in (("1 MiB of arguments", ["true", *["x" * 1000] * 1040]), ("5,000 arguments", ["true", *["x"] * 5000]),
                    ("1,100 entries", [*[f"--env=A{i}=" for i in range(1100)], "true"]),
                    ("300 KiB of entries", [*[f"--env=A{i}=" + "x" * 1000 for i in range(300)], "true"]),
                    ("100 exposed paths", [*[f"--expose=/usr:/in/{i}" for i in range(100)], "true"]),
                    ("70 kept descriptors", [*[f"--keep-fd={i}" for i in range(100, 170)], "true"])):
    result = bvisor("run", "--system", *words)
    ok(result.code == 125 and len(result.lines()) == 1 and len(result.err) < 600, f"{name}: 125, one line", result)

# A name that could steer the terminal is shown, not sent.
result = bvisor("run", "--ro", "/\x1b]0;title\x07\nx", program)
ok(result.code == 125 and b"\x1b" not in result.err and len(result.lines()) == 1, "control characters in a diagnostic", result)
result = bvisor("run", "--json", "--ro", b"/\xff\x7f", program)
ok((result.document() or {}).get("schema") == "bvisor.error/1", "bytes that are not UTF-8 in a diagnostic", result)

done()
