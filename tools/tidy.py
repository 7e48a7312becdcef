#!/usr/bin/env python3
"""tools/tidy.py - the house rules that a machine can check, over every source file of the tree.

usage: tidy.py SOURCE_ROOT
Length of files and functions, a head comment, no tab, no trailing space, no banned call, no unfinished-work mark, no
machine path. The rules are HACKING.md's; exceptions are listed here with their reason or they do not exist.
"""

import os
import re
import sys

FILE_CODE_LINES = 600
FUNCTION_LINES = 70
COLUMNS = 160  # the formatter aims at 100; a table row or a citation may run over, prose may not run away

TOPS = ("include", "src", "tests", "fuzz", "bench", "tools", "demo", ".ci")
BANNED = {
    "strcpy": "use memcpy with a known size", "strcat": "use struct bv_buf", "sprintf": "use snprintf",
    "vsprintf": "use vsnprintf", "atoi": "no error return: parse strictly", "atol": "parse strictly", "atoll": "parse strictly",
    "strtok": "global state", "alloca": "stack of unknown size", "system": "starts a shell", "popen": "starts a shell",
    "gets": "no bound", "tmpnam": "race", "mktemp": "race", "longjmp": "hidden control flow", "setjmp": "hidden control flow",
}
# exit and the like: the library never ends its host. Programs may; these are src/'s programs.
ENDING = re.compile(r"\b(exit|_exit|_Exit|quick_exit|abort)\s*\(")
MAY_END = {
    "src/base/check.h": "BV_ASSERT: bvisor itself is wrong and must not go on",
    "src/base/error.c": "the same, behind BV_ASSERT",
    "src/cli/": "the command is a program",
    "src/backend/linux/seccomp_gen.c": "a program of the build",
    "src/launcher/": "a process of its own that must never return into its host's code",
}
LONG_FILES = {       # path: reason
    "src/wasm/exec.c": "the interpreter: its parts share registers",
}
LONG_FUNCTIONS = {   # "path:function": reason
    "src/wasm/exec.c:bv_wasm_execute": "one function with a label per operation is what makes it fast",
}
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"/(?:work|farm|root)/[a-z]")


def strip(text):
    """C text without comments and string contents; line count kept."""
    def blank(match):
        body = match.group(0)
        if body.startswith(("\"", "'")):
            return body[0] + body[-1]
        return re.sub(r"[^\n]", " ", body)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def functions(lines):
    """(name, first line, last line) of each function body that opens with `{` in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            first = number - 1
            while first > 1 and lines[first - 1].strip() and not lines[first - 1].rstrip().endswith((";", "}", "*/")):
                first -= 1
            head = " ".join(lines[first - 1:number - 1])
            name = re.search(r"(\w+)\s*\(", head)
            start = (name.group(1) if name else "?", first + 1) if name else None
        elif line.startswith("}") and start:
            yield start[0], start[1], number
            start = None


def check_c(path, text, problems):
    bare = strip(text)
    lines = bare.split("\n")
    code = sum(1 for line in lines if line.strip())
    if code > FILE_CODE_LINES and path not in LONG_FILES:
        problems.append(f"{path}: {code} code lines, at most {FILE_CODE_LINES}")
    for name, first, last in functions(lines):
        if last - first + 1 > FUNCTION_LINES and f"{path}:{name}" not in LONG_FUNCTIONS:
            problems.append(f"{path}:{first}: {name}() has {last - first + 1} lines, at most {FUNCTION_LINES}")
    if not text.startswith("/*"):
        problems.append(f"{path}:1: no head comment")
    if path.endswith(".h") and path.startswith("src/") and "#pragma once" not in text:
        problems.append(f"{path}: no #pragma once")
    for number, line in enumerate(lines, 1):
        for name, why in BANNED.items():
            # A member or a longer name is not the libc call.
            if re.search(rf"(?<![\w.>]){name}\s*\(", line) and path.startswith("src/"):
                problems.append(f"{path}:{number}: {name}(): {why}")
        if path.startswith("src/") and ENDING.search(line) and not path.startswith(tuple(MAY_END)):
            problems.append(f"{path}:{number}: ends its host process")


def check_text(path, text, problems):
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line and not path.endswith(("Makefile", ".json")):
            problems.append(f"{path}:{number}: tab")
        if line != line.rstrip():
            problems.append(f"{path}:{number}: trailing space")
        if UNFINISHED.search(line):
            problems.append(f"{path}:{number}: unfinished-work mark")
        if MACHINE_PATH.search(line):
            problems.append(f"{path}:{number}: path of one machine")
        if path.endswith((".c", ".h", ".py", ".sh")) and len(line) > COLUMNS:
            problems.append(f"{path}:{number}: {len(line)} columns, at most {COLUMNS}")
    if text and not text.endswith("\n"):
        problems.append(f"{path}: no newline at the end")


def files(root):
    for name in sorted(os.listdir(root)):
        if name == "Makefile" or name.endswith((".md", ".build", ".sym", ".options")):
            yield name
    for top in TOPS:
        for directory, subdirectories, names in os.walk(os.path.join(root, top)):
            subdirectories[:] = sorted(d for d in subdirectories if d not in ("corpus", "golden", "__pycache__"))
            for name in sorted(names):
                if name.endswith((".c", ".h", ".def", ".py", ".sh", ".build")) or top == ".ci":
                    yield os.path.relpath(os.path.join(directory, name), root)


def main(root):
    problems = []
    count = 0
    for path in files(root):
        with open(os.path.join(root, path), encoding="utf-8") as source:
            text = source.read()
        count += 1
        check_text(path, text, problems)
        if path.endswith((".c", ".h")):
            check_c(path, text, problems)
        elif path.endswith((".py", ".sh")) and "tools/" in path and len(text.split("\n")) > 2:
            if not re.match(r'#!.*\n(#|"""|\'\'\')', text):
                problems.append(f"{path}:2: no head comment")
    for problem in problems:
        print(problem)
    print(f"{count} files, {len(problems)} problems")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tidy.py SOURCE_ROOT")
    sys.exit(main(sys.argv[1]))
