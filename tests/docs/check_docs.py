#!/usr/bin/env python3
"""tests/docs/check_docs.py - the documents against what they describe: man pages are clean mdoc and name every verb, option, topic
and exit status of the command, every function of libbvisor.sym, every member of every schema, and nothing more where that can be
told; every JSON example of the docs and man pages validates. TAP on stdout.

usage: check_docs.py SOURCE_ROOT BVISOR
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys

ROOT, BVISOR = sys.argv[1], os.path.abspath(sys.argv[2])
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import bvschema  # noqa: E402  pylint: disable=wrong-import-position

PAGES = {name: os.path.join(ROOT, "docs", "man", name) for name in ("bvisor.1", "bvisor-spec.5", "libbvisor.3")}
results = []


def ok(fine, name, detail=""):
    results.append(bool(fine))
    print(f"{'ok' if fine else 'not ok'} {len(results)} - {name}")
    if not fine:
        print(*("# " + line for line in str(detail).splitlines()), sep="\n", flush=True)


def read(path):
    with open(path, encoding="utf-8") as text:
        return text.read()


def command(*arguments):
    return subprocess.run([BVISOR, *arguments], capture_output=True, check=True, text=True).stdout


def same(name, real, told):
    ok(real and real == told, f"{name}: {len(real)}", f"missing {sorted(real - told)}, too many {sorted(told - real)}")


def members(schema):
    """Every name of a member that a schema knows."""
    found = set()
    if isinstance(schema, dict):
        properties = schema.get("properties")
        found |= set(properties) if isinstance(properties, dict) else set()
        for value in schema.values():
            found |= members(value)
    elif isinstance(schema, list):
        for value in schema:
            found |= members(value)
    return found


def macro_words(page, macro):
    """The words of every line or callable use of an mdoc macro."""
    words = set()
    for line in page.splitlines():
        for tail in re.findall(rf"(?:^\.|[ ]){macro} ((?:(?! (?:Ar|Cm|Op|Fl|No|Ns|Pq)\b).)*)", line):
            words |= set(re.findall(r"\w+", tail))
    return words


def check_command():
    page = read(PAGES["bvisor.1"])
    verbs = set(re.findall(r"^  bvisor (\w+)", command("help").split("\nExamples")[0], re.M))
    options = set()
    for verb in verbs:
        options |= set(re.findall(r"^  (?:-\w, )?--([a-z-]+)", command("help", verb), re.M))
    told = set(re.findall(r"Fl -([a-z][a-z-]*)", page))
    same("bvisor.1 names the options", options, told)
    same("bvisor.1 explains the options", options, set(re.findall(r"^\.It (?:Fl \w , )?Fl -([a-z-]+)", page, re.M)))
    explained = page.split(".Sh DESCRIPTION")[1].split(".Sh OPTIONS")[0]
    listed = {word for line in re.findall(r"^\.It (Cm .*)$", explained, re.M) for word in re.findall(r"Cm (\w+)", line)}
    same("bvisor.1 explains the verbs", verbs, listed)
    script = command("completion", "bash")
    same("completion knows the options", options, set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", script.split("_bvisor() {")[1])))
    for topic in re.findall(r"^More: .*topics? ?.*$|help paths \| units \| status \| streams", command("help")):
        ok(all(word in page for word in re.findall(r"\w+", topic)[1:]), "bvisor.1 names the topics", topic)
    statuses = set(re.findall(r"^  (\d{3})  ", command("help", "status"), re.M))
    same("bvisor.1 explains the exit statuses", statuses, set(re.findall(r"^\.It (\d{3})$", page, re.M)))
    sources = "".join(read(path) for path in glob.glob(os.path.join(ROOT, "src", "cli", "*.c")))
    same("bvisor.1 names the environment", set(re.findall(r'getenv\("(\w+)"\)', sources)), set(re.findall(r"^\.It Ev (\w+)", page, re.M)))


def check_library():
    page = read(PAGES["libbvisor.3"])
    listed = set(re.findall(r"^\s*(bv_\w+);", read(os.path.join(ROOT, "libbvisor.sym")), re.M))
    same("libbvisor.3 declares the functions", listed, set(re.findall(r"^\.F[no] (bv_\w+)", page.split(".Sh DESCRIPTION")[0], re.M)))
    same("libbvisor.3 explains the functions", listed, set(re.findall(r"^\.It Fn (bv_\w+)", page, re.M)))
    statuses = set(re.findall(r"^\s*(BV_OK|BV_E_\w+) =", read(os.path.join(ROOT, "include/bvisor/base.h")), re.M))
    same("libbvisor.3 explains the statuses", statuses, set(re.findall(r"^\.It Dv (BV_\w+)", page, re.M)))
    table = read(os.path.join(ROOT, "include/bvisor/backend.h")).split("struct bv_backend_ops {")[1].split("};")[0]
    calls = set(re.findall(r"\(\*(\w+)\)", table))
    told = {word for line in re.findall(r"^\.It Fa (.*)$", page, re.M) for word in re.findall(r"\w+", line)}
    same("libbvisor.3 explains a backend's functions", calls, told)


def check_formats():
    page = read(PAGES["bvisor-spec.5"])
    told = macro_words(page, "Cm")
    every = set()
    for path in sorted(glob.glob(os.path.join(ROOT, "docs", "schema", "*.schema.json"))):
        kind = os.path.basename(path).split(".")[0]
        found = members(json.loads(read(path)))
        every |= found
        ok(found and found <= told, f"bvisor-spec.5 names the {len(found)} members of a {kind}", sorted(found - told))
        ok(f"bvisor.{kind}/1" in page, f"bvisor-spec.5 has the {kind}")
    ok(told <= every, "bvisor-spec.5 names nothing else", sorted(told - every))


def examples(text):
    """The JSON documents that a text shows in full: each from a brace that opens a line to its end."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"^[ \t]*(?=\{)", text, re.M):
        try:
            document, _ = decoder.raw_decode(text, match.end())
        except ValueError:
            continue
        if bvschema.kind_of(document):
            yield document


def check_examples():
    count = 0
    paths = glob.glob(os.path.join(ROOT, "*.md")) + glob.glob(os.path.join(ROOT, "docs", "**", "*.md"), recursive=True)
    for path in sorted(paths) + list(PAGES.values()):
        for document in examples(read(path)):
            count += 1
            found = bvschema.problems(document)
            ok(not found, f"example {count} of {os.path.basename(path)} validates", found)
    ok(count >= 3, f"{count} examples were found")


def main():
    mandoc = shutil.which("mandoc")
    ok(mandoc, "mandoc is installed", "apt-get install mandoc")
    for name, path in PAGES.items() if mandoc else ():
        lint = subprocess.run([mandoc, "-T", "lint", "-W", "warning", path], capture_output=True, text=True, check=False)
        ok(lint.returncode == 0 and lint.stdout == "", f"{name} is clean", lint.stdout)
    check_command()
    check_library()
    check_formats()
    check_examples()
    print(f"1..{len(results)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
