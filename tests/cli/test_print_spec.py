"""--print-spec: what the options mean, byte for byte; and a printed spec is a spec that means the same.

The goldens hold @TOP@ for the test's directory. BV_GOLDEN_UPDATE=1 writes them anew.
"""

import json
import os

from clitest import HERE, bvisor, done, fresh_directory, ok, write

top = fresh_directory()
for name in ("src", "out", "tools"):
    os.mkdir(os.path.join(top, name))
tool = write(os.path.join(top, "tools", "tool"), b"\x7fELF", 0o755)
os.symlink("src", os.path.join(top, "alias"))
os.symlink("tool", os.path.join(top, "tools", "by-link"))
UPDATE = os.environ.get("BV_GOLDEN_UPDATE") == "1"

CASES = {
    "defaults": [tool],
    "arguments": [tool, "--wall", "-q", "--", "", "x y"],
    "roots": ["--ro", "src", "--rw", "out", "--rx", "tools", "--rwx", "tools/tool", "--wo", "out", "--ro", "alias", "--ro", "src/.", tool],
    "authority": ["--net", "all", "--spawn", "any", "--env", "LANG=C.UTF-8", "--env", "EMPTY=", "--env-secret", "TOKEN=ci/token",
                  "--keep-fd", "7", "--keep-fd", "3", tool],
    "destinations": ["--net", "example.org:443,10.0.0.1:53,[2001:db8::1]:80", tool],
    "threads": ["--spawn=threads", tool],
    "budgets": ["--wall", "1h", "--cpu=500ms", "--mem", "64M", "--procs", "8", "--handles", "64", "--storage", "2GiB", "--net-bytes", "0",
                "--enforced", "wall,resident_bytes", "--enforced", "procs", tool],
    "unlimited": ["--wall", "unlimited", "--procs", "unlimited", tool],
    "tmp": ["--tmp", tool],
    "tmp_sized": ["--tmp=64M", "--env", "TMPDIR=/elsewhere", tool],
    "expose": ["--expose", "src:/in", "--expose", "out:/deep/er/:rw", "--cwd", "/in", tool],
    "artifacts": ["--stage", "--commit=durable", "--rw", "out", tool],
    "evidence": ["--require", "terminal_outcome,captured_streams", "--require", "process_tree", tool],
    "stdin": ["--stdin", "-", tool],
    "cwd_inside": ["--ro", ".", "./tools/../tools/by-link"],
    "by_path": ["--rx", "tools", "tool"],
}


def golden(name, text):
    path = os.path.join(HERE, "golden", name + ".json")
    shown = text.decode().replace(top, "@TOP@")
    if UPDATE:
        write(path, shown)
    with open(path, encoding="utf-8") as kept:
        return kept.read() == shown, shown


env = {"PATH": f"{top}/src:{top}/tools:/usr/bin"}
for name, arguments in CASES.items():
    result = bvisor("run", "--print-spec", *arguments, cwd=top, env=env)
    same, shown = golden(name, result.out) if result.code == 0 else (False, "")
    ok(result.code == 0 and result.err == b"" and same, f"golden {name}", result if result.code else shown)
    path = write(os.path.join(top, "again.json"), result.out)
    ok(bvisor("spec", "check", path).code == 0, f"{name} is a valid spec")
    again = bvisor("plan", "--print-spec", "--spec", path)
    ok(again.out == result.out, f"{name} means the same when it is read back", again)

result = bvisor("plan", "--print-spec", "--json", tool)
ok(result.document() is not None and result.out.count(b"\n") == 1, "with --json it is one line", result)

# --system: the named entries and nothing that is secret.
result = bvisor("run", "--system", "--print-spec", "true")
spec = result.document() or {"capabilities": [], "controls": []}
grants = [item["filesystem"] for item in spec["capabilities"] if "filesystem" in item]
roots = [root for grant in grants for root in grant["roots"]]
shown = [item["expose_path"] for item in spec["controls"] if "expose_path" in item]
everything = roots + [item["dest"] for item in shown] + [item["source"] for item in shown]
ok(result.code == 0 and "/usr" in roots and "/proc" in roots and "/dev" in roots, "--system has /usr, /proc and /dev", result)
ok([grant["roots"] for grant in grants if grant["execute"]][0][0] == "/usr", "--system executes from /usr", grants)
ok(all(grant["access"] == "read" for grant in grants), "--system writes nowhere", grants)
ok(not any(word in path for path in everything for word in ("shadow", "ssh/", "private", "sudoers", "/root", "/home")),
   "--system holds nothing secret", everything)
ok(not {"/", "/etc", "/etc/ssl"} & set(roots), "--system names entries of /etc one by one", roots)
ok(all(os.path.realpath(path) == path for path in roots), "--system's roots are resolved", roots)
for item in shown:
    ok(os.path.realpath(item["dest"]) == item["source"] and item["access"] == "read", f"the link {item['dest']} is shown", item)
own = bvisor("run", "--system", "--ro", "/etc", "--print-spec", "true").document() or {"capabilities": []}
listed = [root for item in own["capabilities"] if "filesystem" in item for root in item["filesystem"]["roots"]]
ok("/etc" in listed and not any(root.startswith("/etc/") for root in listed), "a granted /etc is not narrowed by --system", listed)

# The caller's working directory counts only inside a root, and need not exist.
gone = os.path.join(top, "gone")
os.mkdir(gone)
result = bvisor("run", "--print-spec", "--ro", os.path.join(top, "src"), tool, cwd=os.path.join(top, "out"))
ok((result.document() or {}).get("workload", {}).get("process", {}).get("cwd") == "/", "a cwd outside the roots becomes /", result)
result = bvisor("run", "--print-spec", tool, cwd=gone, preexec_fn=lambda: os.rmdir(gone))
ok((result.document() or {}).get("workload", {}).get("process", {}).get("cwd") == "/", "a cwd that is gone becomes /", result)

# Magic bytes tell a module, its name does not; a module's name needs no slash.
module = write(os.path.join(top, "guest"), b"\0asm\1\0\0\0")
for words in ([module], ["guest"]):
    result = bvisor("run", "--print-spec", *words, cwd=top)
    ok((result.document() or {}).get("workload", {}).get("wasm", {}).get("module") == module, "magic bytes make it Wasm", result)
result = bvisor("run", module)
ok(result.code == 126 and b"exports no _start" in result.err, "magic bytes pick the backend, which reads the module", result)
write(os.path.join(top, "text.wasm"), "no module", 0o755)
result = bvisor("run", "--print-spec", os.path.join(top, "text.wasm"))
ok("process" in (result.document() or {}).get("workload", {}), "a name does not make it Wasm", result)
ok(json.loads(result.out)["budgets"]["wall_micros"]["limit"] == 600000000, "the default wall limit is ten minutes")

done()
