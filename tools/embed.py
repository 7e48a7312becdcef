#!/usr/bin/env python3
"""tools/embed.py - turns a file into a C source that defines it as a NUL-terminated constant array.

usage: embed.py INPUT OUTPUT.c SYMBOL
"""

import sys


def main(source, target, symbol):
    with open(source, "rb") as stream:
        data = stream.read() + b"\0"
    rows = [", ".join(f"{byte:d}" for byte in data[at:at + 24]) for at in range(0, len(data), 24)]
    body = ",\n    ".join(rows)
    with open(target, "w", encoding="ascii") as stream:
        stream.write(f"/* Made by tools/embed.py. */\nextern const char {symbol}[];\nconst char {symbol}[] = {{\n    {body},\n}};\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
