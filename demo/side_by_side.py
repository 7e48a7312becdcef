#!/usr/bin/env python3
"""demo/side_by_side.py - two runs of one program under one contract, beside each other.

usage: side_by_side.py NATIVE.txt GUEST.txt NATIVE.json GUEST.json
"""

import json
import sys

WIDTHS = (32, 46, 46)


def row(*cells):
    lines = [[cell[i:i + width] for i in range(0, len(cell), width)] or [""] for cell, width in zip(cells, WIDTHS)]
    for i in range(max(map(len, lines))):
        print("  " + "  ".join((line[i] if i < len(line) else "").ljust(width) for line, width in zip(lines, WIDTHS)).rstrip())


def attempts(path):
    """The lines of hostile.c: 34 columns of attempt, then how it went."""
    with open(path, encoding="utf-8", errors="replace") as text:
        return {line[:34].strip(): line[34:].strip() for line in text if len(line) > 35}


def held(body):
    return {item["kind"]: f"{item['enforcement']} {item['mechanism']}" for item in body["admitted"]}


def use(item):
    seen = "not measured" if item["observed"] is None else str(item["observed"])
    return f"{seen} of {item['limit']}, {item['finding']}"


def main():
    native, guest = attempts(sys.argv[1]), attempts(sys.argv[2])
    bodies = []
    for path in sys.argv[3:5]:
        with open(path, encoding="utf-8") as text:
            bodies.append(json.load(text)["body"])
    print()
    row("", "native, backend linux", "guest, backend wasm")
    for attempt in native:
        row(attempt, native[attempt], guest.get(attempt, ""))
    print()
    left, right = map(held, bodies)
    for kind in sorted(left.keys() | right.keys()):
        row(kind, left.get(kind, ""), right.get(kind, ""))
    print()
    for name in bodies[0]["budget"]:
        row(name, *(use(body["budget"][name]) for body in bodies))
    print()
    row("outcome", *(body["outcome"] for body in bodies))
    row("denied, as recorded", *("; ".join(f"{item['count']} x {item['detail']}" for item in body["denied"][:6]) or "none" for body in bodies))
    row("evidence supplied", *(" ".join(body["evidence"]["supplied"]) for body in bodies))


if __name__ == "__main__":
    sys.exit(main())
