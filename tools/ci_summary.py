#!/usr/bin/env python3
"""tools/ci_summary.py - counts the tests of one or more Meson build directories from meson-logs/testlog.json.

usage: ci_summary.py BUILD...
A TAP program counts once per subtest, every other program once. Skips are listed with their reasons, failures with what the
program said of them: the comment lines after a `not ok`, or the last lines of a program that died without one.
Comments that begin with WARNING are listed, of a test that passed too. The last line is `N passed, N failed, N skipped`.
Exits 1 if anything failed or if a log holds no test at all.
"""

import json
import os
import re
import sys

TAP_LINE = re.compile(r"^(ok|not ok)\b(?: +\d+)?(?: *-)? *(.*)$")
TAP_SKIP = re.compile(r"# *SKIP\b[: ]*(.*)$", re.IGNORECASE)
TAP_PLAN_SKIP = re.compile(r"^1\.\.0\s*# *SKIP\b[: ]*(.*)$", re.IGNORECASE)
TOLD_LINES, TOLD_WIDTH = 20, 400  # of what a failure says of itself


def told(lines):
    """The end of what a failure says of itself, fit to print: a program's output may hold anything."""
    lines = [line.rstrip() for line in lines if line.strip("# \t\r\n")]
    left_out = [f"({len(lines) - TOLD_LINES} lines before these)"] if len(lines) > TOLD_LINES else []
    return ["".join(character if character.isprintable() else "." for character in line[:TOLD_WIDTH])
            for line in left_out + lines[-TOLD_LINES:]]


class Tally:
    def __init__(self):
        self.passed = 0
        self.failures = []
        self.skips = []
        self.warnings = []

    def add_tap(self, name, text):
        """Counts the subtests of one TAP stream; False if it is none."""
        seen, comments = False, None
        for line in text.splitlines():
            if line.startswith("# WARNING"):
                self.warnings.append((name, line.removeprefix("# WARNING").strip()))
                continue
            if line.startswith("#") and comments is not None:
                comments.append(line[1:].strip())
                continue
            plan = TAP_PLAN_SKIP.match(line)
            if plan:
                self.skips.append((name, plan.group(1) or "no reason given"))
                seen = True
                continue
            match = TAP_LINE.match(line)
            if not match:
                continue
            seen, comments = True, None
            skip = TAP_SKIP.search(match.group(2))
            if match.group(1) == "not ok":
                comments = []
                self.failures.append((name, match.group(2), comments))
            elif skip:
                what = match.group(2)[: skip.start()].strip()
                self.skips.append((f"{name}: {what}" if what else name, skip.group(1) or "no reason given"))
            else:
                self.passed += 1
        return seen

    def add_test(self, label, entry):
        name = f"{label}: {entry['name']}"
        result = entry["result"]
        before = len(self.failures)
        text = entry.get("stdout") or ""
        tap = self.add_tap(name, text)
        if result in ("OK", "EXPECTEDFAIL"):
            if not tap:
                self.passed += 1
        elif result == "SKIP":
            if not tap:
                lines = [line for line in (text + (entry.get("stderr") or "")).splitlines() if line]
                self.skips.append((name, lines[-1] if lines else "no reason given"))
        elif len(self.failures) == before:
            # FAIL, TIMEOUT, ERROR, INTERRUPT: a program that died without a `not ok` of its own.
            last = (text + "\n" + (entry.get("stderr") or "")).splitlines()
            self.failures.append((name, f"{result}, exit {entry.get('returncode')}", last))


def main(directories):
    tally = Tally()
    for directory in directories:
        path = os.path.join(directory, "meson-logs", "testlog.json")
        try:
            with open(path, encoding="utf-8", errors="replace") as log:
                entries = [json.loads(line) for line in log if line.strip()]
        except (OSError, ValueError) as problem:
            tally.failures.append((directory, f"no readable test log: {problem}", []))
            continue
        if not entries:
            tally.failures.append((directory, "the log holds no test", []))
        for entry in entries:
            tally.add_test(os.path.basename(os.path.normpath(directory)), entry)
    for name, why in tally.skips:
        print(f"SKIPPED {name}: {why}")
    for name, why in tally.warnings:
        print(f"WARNING {name}: {told([why])[0]}")
    for name, why, lines in tally.failures:
        print(f"FAILED  {name}: {why}")
        for line in told(lines):
            print(f"        {line}")
    print(f"{tally.passed} passed, {len(tally.failures)} failed, {len(tally.skips)} skipped")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: ci_summary.py BUILD...")
    sys.exit(main(sys.argv[1:]))
