"""verify: every flipped byte of a report fails, every report that was not touched passes, and anybody can check with jq."""

import hashlib
import json
import os
import random
import shutil
import subprocess

from clitest import bvisor, can_run, done, fresh_directory, ok, skip, write

top = fresh_directory()
report = os.path.join(top, "report.json")

if not can_run():
    skip("verify", "this machine holds no ordinary run")
    done()

made = bvisor("run", "--report", report, "--system", "--spawn", "any", "--tmp", "sh", "-c",
              r"printf 'text \303\251 \033[1m\n'; printf '\377\000' >&2; echo x | cat; exit 3")
ok(made.code == 3, "a report", made)
with open(report, "rb") as kept:
    original = kept.read()
document = json.loads(original)
result = bvisor("verify", report)
ok(result.code == 0 and result.out.decode() == f"{report}: ok {document['body_hash']}\n" and result.err == b"", "the report verifies", result)

canonical = json.dumps(document["body"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
ok("sha256:" + hashlib.sha256(canonical).hexdigest() == document["body_hash"], "the seal is the hash of the canonical body")
if shutil.which("jq"):
    printed = subprocess.run(f"jq -cSj .body '{report}' | sha256sum", shell=True, capture_output=True, check=True).stdout.split()[0]
    ok("sha256:" + printed.decode() == document["body_hash"], "jq and sha256sum agree")

# Every byte of the seal and of its surroundings, and a few hundred of the body, each changed in one bit.
draw = random.Random(1)
interesting = set(range(60)) | set(range(len(original) - 400, len(original)))
places = sorted(interesting | {draw.randrange(len(original)) for _ in range(200)})
survivors = []
bad = os.path.join(top, "bad.json")
for place in places:
    flipped = bytearray(original)
    flipped[place] ^= 1 << draw.randrange(8)
    write(bad, bytes(flipped))
    if bvisor("verify", bad).code != 1:
        survivors.append((place, original[place:place + 1], bytes(flipped[place:place + 1])))
ok(not survivors, f"{len(places)} flipped bytes all fail", survivors[:5])

changed = json.loads(original)
changed["body"]["exit"] = {"code": 0}
write(bad, json.dumps(changed))
result = bvisor("verify", bad)
ok(result.code == 1 and len(result.lines()) == 1 and result.lines()[0].startswith(f"bvisor: {bad}: "), "a changed exit status fails", result)
result = bvisor("verify", report, bad, report)
ok(result.code == 1 and result.out.count(b": ok ") == 2, "one mismatch among three", result)
result = bvisor("verify", bad, os.path.join(top, "gone.json"), report)
ok(result.code == 125 and result.out.count(b": ok ") == 1, "a missing file weighs more than a mismatch", result)
for name, text in (("empty", b""), ("not JSON", b"hello"), ("another document", b'{"schema":"bvisor.spec/1"}'),
                   ("added member", original[:1] + b'"x":1,' + original[1:]),
                   ("cut", original[:-20]), ("twice", original + original)):
    result = bvisor("verify", write(bad, text))
    ok(result.code == 1 and len(result.lines()) == 1, f"{name} fails", result)
result = bvisor("verify", write(bad, json.dumps(document, indent=3)))
ok(result.code == 1 and b"canonical" in result.err, "another layout is not the document that was written", result)
result = bvisor("verify", "-", stdin=original)
ok(result.code == 0, "verify reads standard input", result)

# show: for a person, with nothing that steers the terminal, and honest about the seal.
result = bvisor("show", report)
text = result.out.decode()
ok(result.code == 0 and text.startswith("failed, exit status 3") and "matches" in text, "show", result)
ok("\\x1b[1m" in text and "\x1b" not in text and "\\xff\\x00" in text and "é" in text, "show makes control characters visible", result)
for word in ("asked for, and what holds it", "denied", "budgets", "wall", "cpu", "mem", "procs", "handles", "storage", "net-bytes", "stdout"):
    ok(word in text, f"show says {word}")
changed["body"]["workload"]["process"]["args"] = ["\x1b]0;x\x07"]
result = bvisor("show", write(bad, json.dumps(changed)))
ok(result.code == 1 and b"DOES NOT MATCH" in result.out and b"\x1b" not in result.out, "show says that a seal does not match", result)
for broken in ('{"schema":"bvisor.report/1"}', '{"schema":"bvisor.report/1","body":[]}',
               '{"schema":"bvisor.report/1","body":{"admitted":3,"budget":[],"captured":"x"}}',
               '{"schema":"bvisor.report/1","body":{"denied":[1,"x",{}],"findings":[{}],"captured":{"stdout":{"content":"%%%","encoding":"base64"}}}}'):
    ok(bvisor("show", write(bad, broken)).code == 1, "show survives " + broken[:60])
for made in (["plan", "--json", "--system", "true"], ["plan", "--json", "--net", "a:1", "/bin/true"], ["probe", "--json"]):
    shown = bvisor("show", write(bad, bvisor(*made).out))
    ok(shown.code == 0 and shown.out, "show of " + " ".join(made), shown)
    again = bvisor("show", "-", stdin=bvisor(*made).out)
    ok(again.code == 0, "show reads standard input", again)

done()
