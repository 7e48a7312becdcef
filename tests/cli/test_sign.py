"""tests/cli/test_sign.py - keys, signed reports, attestations and journal heads; openssl and Python check what bvisor signed."""

import base64
import hashlib
import json
import os
import shutil
import subprocess

from clitest import bvisor, can_run, done, fresh_directory, ok, skip, write

top = fresh_directory()
key, public, report = (os.path.join(top, name) for name in ("key.pem", "pub.pem", "report.json"))


def openssl(message, signature, name):
    """Whether openssl takes the signature; None without openssl."""
    if not shutil.which("openssl"):
        skip(name, "openssl is not installed")
        return
    write(top + "/message", message)
    write(top + "/signature", signature)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", top + "/message", "-sigfile", top + "/signature"]
    good = subprocess.run(command, capture_output=True, check=False)
    write(top + "/message", message + b"x")
    bad = subprocess.run(command, capture_output=True, check=False)
    ok(good.returncode == 0 and bad.returncode != 0, name, (good, bad))


made = bvisor("key", "new", key)
ok(made.code == 0 and os.stat(key).st_mode & 0o777 == 0o600, "a new key, for its owner only", made)
ok(bvisor("key", "new", key).code == 125, "which is not overwritten")
printed = bvisor("key", "public", key)
write(public, printed.out)
ok(printed.out.startswith(b"-----BEGIN PUBLIC KEY-----\n"), "its public half", printed)
ok(bvisor("key", "public", public).out == printed.out, "which is its own public half")
der = base64.b64decode(b"".join(printed.out.split(b"\n")[1:-2]))
key_id = "sha256:" + hashlib.sha256(der).hexdigest()
ok(made.out.decode().strip() == key_id, "the key's id is the digest of its DER")
if shutil.which("openssl"):
    theirs = subprocess.run(["openssl", "pkey", "-in", key, "-pubout"], capture_output=True, check=False)
    ok(theirs.stdout == printed.out, "openssl reads the key and sees the same public half", theirs)
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", top + "/theirs.pem"], check=True)
    os.chmod(top + "/theirs.pem", 0o600)
    ok(bvisor("key", "public", top + "/theirs.pem").code == 0, "a key that openssl made")
os.chmod(key, 0o644)
ok(b"others may read" in bvisor("run", "--sign", key, "--system", "true").err, "a key that others may read is refused")
os.chmod(key, 0o600)
ok(bvisor("run", "--sign", public, "--system", "true").code == 125, "a public key does not sign")

if can_run():
    journal = os.path.join(top, "journal")
    ok(bvisor("run", "--journal", journal, "--sign", key, "--report", report, "--system", "true").code == 0, "a signed run")
    with open(report, encoding="utf-8") as text:
        document = json.load(text)
    ok(document["signature"]["key_id"] == key_id and document["signature"]["alg"] == "ed25519", "names its key")
    openssl(b"bvisor.report/1\n" + document["body_hash"].encode(), base64.b64decode(document["signature"]["sig"]), "openssl verifies the report")
    ok(bvisor("verify", report).code == 0 and bvisor("verify", report, "--key", public).code == 0, "bvisor verifies it")
    bvisor("key", "new", top + "/other")
    ok(bvisor("verify", report, "--key", top + "/other").code == 1, "another key does not")
    sig = document["signature"]["sig"]
    document["signature"]["sig"] = ("B" if sig[0] == "A" else "A") + sig[1:]
    write(top + "/forged", json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    ok(bvisor("verify", top + "/forged").code == 0 and bvisor("verify", top + "/forged", "--key", public).code == 1, "a changed signature is found")
    bvisor("run", "--no-journal", "--report", top + "/unsigned", "--system", "true")
    ok(bvisor("verify", top + "/unsigned", "--key", public).code == 1, "so is none")
    exported = bvisor("journal", "export", "--journal", journal).out.splitlines()[1]
    ok(json.loads(exported)["document"]["signature"]["key_id"] == key_id, "the journal keeps the signed report")

    shown = bvisor("show", report, "--dsse", "--sign", key)
    envelope = json.loads(shown.out)
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"].encode()
    statement = json.loads(payload)
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    openssl(pae, base64.b64decode(envelope["signatures"][0]["sig"]), "openssl verifies the attestation")
    ok(statement["_type"] == "https://in-toto.io/Statement/v1" and kind == b"application/vnd.in-toto+json", "an in-toto statement")
    ok(statement["subject"][0]["digest"]["sha256"] == document["body_hash"][7:] and
       statement["predicate"]["body_hash"] == document["body_hash"], "about the report")
    ok(bvisor("show", report, "--dsse").code == 125, "which needs a key")
    document["body"]["outcome"] = "failed"
    write(top + "/broken", json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    ok(bvisor("show", top + "/broken", "--dsse", "--sign", key).code == 1, "a report whose seal does not match is not attested")

    head = bvisor("journal", "head", "--journal", journal, "--sign", key)
    write(top + "/head", head.out)
    told = json.loads(head.out)
    openssl(b"bvisor.head/1\n%d\n%s" % (told["seq"], told["hash"].encode()), base64.b64decode(told["signature"]["sig"]), "openssl verifies the head")
    bvisor("run", "--journal", journal, "--system", "true")
    check = ("journal", "verify", "--journal", journal, "--head", top + "/head", "--key", public)
    ok(bvisor(*check).code == 0, "a journal that has grown still contains it", bvisor(*check))
    other = os.path.join(top, "forged-journal")
    for _ in range(2):
        bvisor("run", "--journal", other, "--system", "true")
    ok(bvisor("journal", "verify", "--journal", other).code == 0 and
       bvisor("journal", "verify", "--journal", other, "--head", top + "/head", "--key", public).code == 1, "another journal in its place does not")
    ok(bvisor("journal", "verify", "--journal", journal, "--head", top + "/head", "--key", top + "/other").code == 1, "nor another key")
else:
    skip("signed runs", "this machine holds no run")
done()
