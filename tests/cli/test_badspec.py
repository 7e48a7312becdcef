"""Bad specs, files and programs: a one-line error with the place, 125 or 126, nothing started, nothing left behind."""

import copy
import json
import os

from clitest import budgets, bvisor, done, fresh_directory, ok, spec, write

top = fresh_directory()
marker = os.path.join(top, "started")
script = write(os.path.join(top, "script"), f"#!/bin/sh\necho > {marker}\n", 0o755)
write(os.path.join(top, "plain"), "no program\n", 0o644)
os.mkdir(os.path.join(top, "directory"))
os.symlink("/usr", os.path.join(top, "link"))
os.symlink("loop", os.path.join(top, "loop"))
write(os.path.join(top, "strange"), "#!/no/such/interpreter\n", 0o755)
os.mkfifo(os.path.join(top, "fifo"), 0o755)


def text_of(value):
    return json.dumps(value)


def changed(path, value):
    """The valid spec with one member replaced; path is a list of keys."""
    made = copy.deepcopy(spec(script))
    at = made
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return text_of(made)


def with_capability(value):
    made = spec(script)
    made["capabilities"] = made["capabilities"] + [value]
    return text_of(made)


def with_control(value):
    made = spec(script)
    made["controls"] = made["controls"] + [value]
    return text_of(made)


def environment(*names):
    return with_capability({"environment": {"exact": [{"name": name, "literal": "x"} for name in names]}})


def roots(*paths):
    return with_capability({"filesystem": {"access": "read", "execute": False, "roots": list(paths), "recursive": True,
                                           "confinement": "declared_roots_only"}})


GOOD = text_of(spec(script))
WALL = '"wall_micros": {"limit": 10000000'
assert WALL in GOOD

# (name, text of the spec, a part of the line or None)
MALFORMED = [
    ("empty", "", None),
    ("not JSON", "hello", "line 1 column"),
    ("not an object", "[]", None),
    ("truncated", GOOD[: len(GOOD) // 2], "line 1 column"),
    ("bytes behind the document", GOOD + "{}", None),
    ("200,000 nested arrays", "[" * 200000 + "]" * 200000, None),
    ("200,000 open arrays", "[" * 200000, None),
    ("NaN", GOOD.replace(WALL, '"wall_micros": {"limit": NaN'), None),
    ("a real", GOOD.replace(WALL, '"wall_micros": {"limit": 1.5'), None),
    ("2^64", GOOD.replace(WALL, '"wall_micros": {"limit": 18446744073709551616'), None),
    ("2^53", GOOD.replace(WALL, '"wall_micros": {"limit": 9007199254740992'), "/budgets/wall_micros/limit"),
    ("a negative limit", GOOD.replace(WALL, '"wall_micros": {"limit": -1'), "/budgets/wall_micros/limit"),
    ("a limit that is a text", GOOD.replace(WALL, '"wall_micros": {"limit": "many"'), "/budgets/wall_micros/limit"),
    ("a duplicate key", GOOD.replace('"evidence": {', '"schema": "bvisor.spec/1", "evidence": {', 1), None),
    ("a duplicate inner key", GOOD.replace(WALL, WALL + ', "limit": 1'), None),
    ("an unknown key", GOOD[:-1] + ', "surprise": 1}', "surprise"),
    ("an unknown inner key", changed(["workload", "process", "shell"], True), "shell"),
    ("no schema", changed(["schema"], None), "schema"),
    ("another schema", changed(["schema"], "bvisor.spec/2"), "/schema"),
    ("no budgets", changed(["budgets"], None), "budgets"),
    ("a missing budget", changed(["budgets", "cpu_micros"], None), "cpu_micros"),
    ("an unknown budget", changed(["budgets", "fuel"], {"limit": 1, "guarantee": "mediated", "evidence": []}), "fuel"),
    ("an unknown guarantee", changed(["budgets", "cpu_micros", "guarantee"], "hoped"), "/budgets/cpu_micros/guarantee"),
    ("an unknown claim", changed(["evidence", "require"], ["everything"]), "/evidence/require/0"),
    ("a wrong type", changed(["controls"], {}), "/controls"),
    ("a duplicate environment name", environment("A", "B", "A"), "/capabilities/1/environment/exact/2"),
    ("'=' in a name", environment("A=B"), "/capabilities/1/environment/exact/0"),
    ("NUL in a name", environment("A\0B"), None),
    ("an empty name", environment(""), "/capabilities/1/environment/exact/0"),
    ("literal and secret", with_capability({"environment": {"exact": [{"name": "A", "literal": "x", "secret": "y"}]}}), "/capabilities/1"),
    ("NUL in an argument", changed(["workload", "process", "args"], ["a\0b"]), None),
    ("1 MiB of arguments", changed(["workload", "process", "args"], ["x" * 1000] * 1020), None),
    ("over 1 MiB", GOOD + " " * (1 << 20), None),
    ("a relative exe", changed(["workload", "process", "exe"], "usr/bin/true"), "/workload/process/exe"),
    ("no exe", changed(["workload", "process", "exe"], None), "exe"),
    ("a relative root", roots("usr"), "/capabilities/1/filesystem/roots/0"),
    ("the root /", roots("/"), "/capabilities/1/filesystem/roots/0"),
    ("a root with ..", roots("/usr/../etc"), "/capabilities/1/filesystem/roots/0"),
    ("a kept fd of the streams", with_capability({"inherited_fds": {"policy": "only", "fds": [1]}}), "/capabilities/1"),
    ("a duplicate kept fd", with_capability({"inherited_fds": {"policy": "only", "fds": [5, 5]}}), "/capabilities/1"),
    ("a port out of range", with_capability({"network": {"policy": "allow_list", "destinations": [{"host": "a", "port": 65536}]}}),
     "/capabilities/1/network/destinations/0/port"),
    ("a relative source", with_control({"expose_path": {"source": "a", "dest": "/b", "access": "read",
                                                        "view": "private_to_boundary"}}), "/controls/2/expose_path/source"),
    ("bytes that are not UTF-8", GOOD.encode().replace(b"/usr", b"/us\xff", 1), None),
]

# Well-formed, and still nothing to run.
HOPELESS = [
    ("a missing exe", text_of(spec(os.path.join(top, "gone"))), None),
    ("an exe that is a directory", text_of(spec(os.path.join(top, "directory"))), None),
    ("an exe that is not executable", text_of(spec(os.path.join(top, "plain"))), None),
    ("an exe that is a pipe", text_of(spec(os.path.join(top, "fifo"))), None),
    ("an exe in a loop of symlinks", text_of(spec(os.path.join(top, "loop"))), None),
    ("a script whose interpreter is missing", text_of(spec(os.path.join(top, "strange"))), "/no/such/interpreter"),
    ("a script whose interpreter is not granted", text_of(spec(script, capabilities=[])), None),
    ("a root that is missing", roots(os.path.join(top, "gone")), "gone"),
    ("a root that is a symlink", roots(os.path.join(top, "link")), "link"),
    ("a root below a symlink", roots(os.path.join(top, "link", "bin")), "link"),
    ("commit and discard", text_of(spec(script, controls=[{"launch_workload": {}}, {"commit_artifact": {"durability": "atomic"}},
                                                          {"discard_artifact": {}}])), None),
    ("staging", with_control({"list_outputs": {}}), None),
    ("a limit below its minimum", text_of(spec(script, budgets=budgets(process_count=0))), None),
    ("unlimited and enforced", changed(["budgets", "cpu_micros", "guarantee"], "enforced"), None),
]


def one_line(result):
    lines = result.lines()
    return len(lines) == 1 and lines[0].startswith("bvisor: ")


def every_line(result):
    lines = result.lines()
    return lines and all(line.startswith("bvisor: ") for line in lines)


ok(bvisor("spec", "check", write(os.path.join(top, "good.json"), GOOD)).code == 0, "the valid spec is valid")
before = sorted(os.listdir(top))

for name, text, part in MALFORMED:
    path = write(os.path.join(top, "bad.json"), text)
    result = bvisor("run", "--spec", path)
    ok(result.code == 125 and one_line(result) and (part is None or part in result.lines()[0]) and result.out == b"",
       f"{name}: 125, one line", result)
    result = bvisor("spec", "check", path)
    ok(result.code == 125 and one_line(result) and path in result.lines()[0], f"{name}: spec check names the file", result)
    result = bvisor("plan", "--json", "--spec", "-", stdin=text if isinstance(text, bytes) else text.encode())
    document = result.document() or {}
    ok(result.code == 125 and document.get("schema") == "bvisor.error/1" and isinstance(document.get("place"), str)
       and document.get("message"), f"{name}: bvisor.error/1", result)

for name, text, part in HOPELESS:
    path = write(os.path.join(top, "bad.json"), text)
    result = bvisor("run", "--spec", path)
    ok(result.code in (125, 126) and every_line(result) and (part is None or part in result.err.decode()) and result.out == b"",
       f"{name}: {result.code}, said why", result)
    result = bvisor("run", "--json", "--spec", path)
    ok((result.document() or {}).get("schema") in ("bvisor.error/1", "bvisor.refusal/1"), f"{name}: one document", result)

ok(not os.path.exists(marker), "nothing was started")
os.unlink(os.path.join(top, "bad.json"))
ok(sorted(os.listdir(top)) == before, "nothing was left behind", sorted(os.listdir(top)))

result = bvisor("spec", "check", os.path.join(top, "good.json"), os.path.join(top, "gone.json"), os.path.join(top, "good.json"))
ok(result.code == 125 and result.out.count(b": ok\n") == 2 and one_line(result), "spec check goes on behind a bad file", result)
schema = bvisor("spec", "schema")
ok(schema.code == 0 and "$schema" in (schema.document() or {}), "spec schema prints a JSON Schema", schema)

done()
