#!/usr/bin/env python3
"""tools/check_layers.py - holds every #include of src/ and include/ against the layer table of ARCHITECTURE.md.

usage: check_layers.py SOURCE_ROOT
The table is the only copy of the rule. A row names a directory and, in its last column, the directories it may
include; `public` there stands for all of include/bvisor. A directory always may include itself, src/base, and
bvisor/base.h and bvisor/limits.h. Prints one line per breach and exits 1; a directory without a row is a breach.
"""

import os
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
ROW = re.compile(r"^\|\s*`((?:src|include)/[a-z_/]+)`\s*\|[^|]*\|\s*([^|]*)\|\s*$")
OPEN_PUBLIC = {"bvisor/base.h", "bvisor/limits.h"}


def read_table(path):
    """{directory: set of allowed names} from the Markdown table."""
    table = {}
    with open(path, encoding="utf-8") as text:
        for line in text:
            row = ROW.match(line)
            if row:
                table[row.group(1)] = set(re.findall(r"`([a-z_/.]+)`", row.group(2)))
    return table


def owner(table, path):
    """The most specific directory of the table that holds path."""
    best = None
    for directory in table:
        if path.startswith(directory + "/") and (best is None or len(directory) > len(best)):
            best = directory
    return best


def breach(table, root, here, mark, target):
    """Why directory `here` may not include target; None if it may."""
    allowed = table[here]
    if target.startswith("bvisor/"):
        if mark == '"':
            return "public headers are included with <>"
        if here == "include/bvisor" or "public" in allowed or target in OPEN_PUBLIC:
            return None
        return "this layer sees only bvisor/base.h and bvisor/limits.h"
    if mark == "<":
        if here == "include/bvisor" and target not in ("stdbool.h", "stddef.h", "stdint.h"):
            return "the public contract has no OS types"
        return None
    if here == "include/bvisor":
        return "the public contract includes itself only"
    path = "src/" + target
    if not os.path.exists(os.path.join(root, path)):
        # Made by the build: named by its directory all the same, so that the rule below still judges it.
        if "/" not in target:
            return None
    there = owner(table, path)
    if there is None:
        return "not in a directory of the table"
    name = there.removeprefix("src/")
    if there in (here, "src/base") or name in allowed or target in allowed:
        return None
    return f"{here} may not include {there}"


def main(root):
    table = read_table(os.path.join(root, "ARCHITECTURE.md"))
    if len(table) < 5:
        print("ARCHITECTURE.md: the layer table is gone")
        return 1
    breaches = 0
    files = 0
    for top in ("include/bvisor", "src"):
        for directory, subdirectories, names in sorted(os.walk(os.path.join(root, top))):
            subdirectories.sort()
            for name in sorted(names):
                if not name.endswith((".c", ".h", ".def")):
                    continue
                path = os.path.relpath(os.path.join(directory, name), root)
                files += 1
                here = owner(table, path)
                if here is None:
                    print(f"{path}: its directory has no row in ARCHITECTURE.md")
                    breaches += 1
                    continue
                with open(os.path.join(root, path), encoding="utf-8") as text:
                    for number, line in enumerate(text, 1):
                        match = INCLUDE.match(line)
                        why = match and breach(table, root, here, match.group(1), match.group(2))
                        if why:
                            print(f"{path}:{number}: {match.group(2)}: {why}")
                            breaches += 1
    print(f"{files} files, {len(table)} layers, {breaches} breaches")
    return 1 if breaches or not files else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: check_layers.py SOURCE_ROOT")
    sys.exit(main(sys.argv[1]))
