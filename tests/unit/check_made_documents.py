#!/usr/bin/env python3
"""tests/unit/check_made_documents.py - every document that the C suites make validates by its published schema.

usage: check_made_documents.py ARGUMENT PROGRAM...
Each program is run with ARGUMENT and with BV_TEST_DOCUMENTS (tests/support/keep.c); what it left there is read and held
against the schema of its kind. A program that leaves nothing is a failure.
"""

import collections
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import bvschema  # noqa: E402  pylint: disable=wrong-import-position


def main(argument, *programs):
    counts, wrong = collections.Counter(), 0
    for program in programs:
        with tempfile.TemporaryDirectory(prefix="bvk-") as place:
            os.chmod(place, 0o777)
            run = subprocess.run([program, argument], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                                 env={**os.environ, "BV_TEST_DOCUMENTS": place})
            if run.returncode not in (0, 77):
                wrong += 1
                print(f"{os.path.basename(program)} failed with {run.returncode}:\n{run.stdout.decode(errors='replace')[-2000:]}")
            if run.returncode == 0 and not os.listdir(place):
                wrong += 1
                print(f"{os.path.basename(program)} made no document")
            for name in sorted(os.listdir(place)):
                with open(os.path.join(place, name), encoding="utf-8") as text:
                    content = text.read()
                try:
                    counts[bvschema.kind_of(bvschema.read(content))] += 1
                except ValueError as problem:
                    wrong += 1
                    print(f"{os.path.basename(program)}: {problem}\n  {content[:300]}")
    print(f"{sum(counts.values())} documents ({', '.join(f'{count} {kind}' for kind, count in sorted(counts.items()))}), {wrong} wrong")
    return 1 if wrong or sum(counts.values()) < 20 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
