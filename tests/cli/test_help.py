"""Help and completion are made from one table: each option of it appears in both, lines fit, scripts are valid shell."""

import os
import re
import shutil
import subprocess

from clitest import BVISOR, bvisor, done, fresh_directory, ok, skip, write

top = fresh_directory()
VERBS = ["run", "plan", "exec", "probe", "verify", "show", "journal", "artifacts", "recover", "key", "spec", "completion", "version", "help"]
# INTERFACE.md 1, written down a second time on purpose.
ASKS = """backend ro rw rx rwx wo system net spawn env env-secret secrets keep-fd cwd stdin capture tmp expose stage commit discard wall cpu
mem procs handles storage net-bytes enforced require report json journal no-journal sign quiet verbose spec print-spec help""".split()
OPTIONS = {"run": ASKS, "plan": ASKS, "exec": "secrets stdin capture report json journal no-journal sign quiet verbose help".split(),
           "probe": ["backend", "json", "journal", "help"], "verify": ["key", "help"], "show": ["sign", "html", "dsse", "help"],
           "journal": ["journal", "last", "head", "older", "keep", "sign", "key", "help"],
           "artifacts": ["journal", "json", "overwrite", "durability", "help"], "recover": ["dry-run", "journal", "help"]}


def long_options(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", text))


overview = bvisor("help")
ok(overview.code == 0 and overview.err == b"", "help", overview)
ok(all(f"bvisor {verb}" in overview.out.decode() for verb in VERBS), "help names every verb", overview)
for arguments in (["--help"], ["-h"], ["help"]):
    ok(bvisor(*arguments).out == overview.out, " ".join(arguments) + " is the overview")
for arguments in (["version"], ["--version"]):
    result = bvisor(*arguments)
    ok(result.code == 0 and re.fullmatch(rb"bvisor \d+\.\d+\.\d+\n", result.out), " ".join(arguments), result)

for verb in VERBS:
    result = bvisor("help", verb)
    text = result.out.decode()
    ok(result.code == 0 and text.startswith(f"bvisor {verb} "), f"help {verb}", result)
    ok(bvisor(verb, "--help").out == result.out and bvisor(verb, "-h").out == result.out, f"{verb} --help says the same")
    listed = {match for match in re.findall(r"^  (?:-\w, )?--([a-z-]+)", text, re.M)}
    ok(listed == set(OPTIONS.get(verb, ["help"])), f"help {verb} lists its options", listed ^ set(OPTIONS.get(verb, ["help"])))
    ok(max(len(line) for line in text.splitlines()) <= 100, f"help {verb} fits in 100 columns")
for topic in ("paths", "units", "status", "streams"):
    result = bvisor("help", topic)
    ok(result.code == 0 and max(len(line) for line in result.out.decode().splitlines()) <= 100, f"help {topic}", result)
ok(max(len(line) for line in overview.out.decode().splitlines()) <= 100, "help fits in 100 columns")

scripts = {shell: bvisor("completion", shell) for shell in ("bash", "zsh", "fish")}
every = set().union(*OPTIONS.values())
for shell, script in scripts.items():
    text = script.out.decode()
    ok(script.code == 0 and script.err == b"", f"completion {shell}", script)
    found = set(re.findall(r"-l ([a-z-]+)", text)) if shell == "fish" else long_options(text)
    ok(every <= found, f"completion {shell} knows every option", every - found)
    ok(all(re.search(rf"\b{verb}\b", text) for verb in VERBS), f"completion {shell} knows every verb")
    path = write(os.path.join(top, shell), script.out)
    program = shutil.which(shell)
    if program is None:
        skip(f"completion {shell} parses", f"{shell} is not installed") if shell == "bash" else None
        continue
    check = subprocess.run([program, "-n", path], capture_output=True, check=False)
    ok(check.returncode == 0, f"completion {shell} parses", check.stderr)


def completed(*words):
    """What bash offers for the last of these words."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bvisor; printf "%s\\n" "${COMPREPLY[@]}"')
    answer = subprocess.run(["bash", "--norc", "-c", script, "bash", os.path.join(top, "bash"), *words], capture_output=True, check=False)
    return answer.stdout.decode().split()


if shutil.which("bash"):
    ok(completed("bvisor", "pr") == ["probe"], "bash completes a verb", completed("bvisor", "pr"))
    ok(completed("bvisor", "run", "--net-") == ["--net-bytes"], "bash completes an option", completed("bvisor", "run", "--net-"))
    ok(completed("bvisor", "run", "--spawn", "t") == ["threads"], "bash completes a value", completed("bvisor", "run", "--spawn", "t"))
    ok(completed("bvisor", "spec", "ch") == ["check"], "bash completes an action", completed("bvisor", "spec", "ch"))

# A full or closed standard output is an error, not a silence.
with open("/dev/full", "wb") as full:
    for arguments in (["help"], ["help", "run"], ["version"], ["completion", "zsh"], ["spec", "schema"], ["run", "--print-spec", "/usr/bin/true"]):
        process = subprocess.run([BVISOR, *arguments], stdout=full, stderr=subprocess.PIPE, check=False)
        ok(process.returncode == 125 and process.stderr.count(b"\n") == 1, "/dev/full: " + " ".join(arguments), process)
    process = subprocess.run([BVISOR, "run", "--json", "--bogus"], stdout=full, stderr=subprocess.PIPE, check=False)
    ok(process.returncode == 125 and b"standard output: the document cannot be written" in process.stderr, "/dev/full: a document", process)
read_end, write_end = os.pipe()
os.close(read_end)
process = subprocess.run([BVISOR, "help"], stdout=write_end, stderr=subprocess.PIPE, check=False)
ok(process.returncode == 125 and b"Broken pipe" in process.stderr, "a closed pipe", process)
os.close(write_end)
process = subprocess.run(["sh", "-c", 'exec "$0" help >&-', BVISOR], stderr=subprocess.PIPE, check=False)
ok(process.returncode == 125 and b"standard output" in process.stderr, "a closed standard output", process)
process = subprocess.run(["sh", "-c", 'exec "$0" run --bogus 2>&-', BVISOR], stdout=subprocess.PIPE, check=False)
ok(process.returncode == 125 and process.stdout == b"", "a closed standard error", process)

done()
