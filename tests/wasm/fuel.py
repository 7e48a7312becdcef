#!/usr/bin/env python3
"""tests/wasm/fuel.py - the fuel of every module of the fuzz corpus: what it was, is, and is again.

usage: fuel.py --wasm-run build/wasm-run [--runs N] [--write]
wasm-run calls all that a module exports, by the fast code and by the counting one, which must agree; the sum is held against
tests/wasm/fuel.golden, N times. The golden file is the same for every build of the engine, so this test in a build with sanitizers, or
by another compiler, says that they use the same. --write makes the golden file anew.
"""

import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "fuel.golden")
CORPUS = os.path.join(HERE, "..", "..", "fuzz", "corpus", "wasm")


def measure(wasm_run, names):
    """{module: fuel}; a module that is refused uses none."""
    done = subprocess.run([wasm_run, "--run-all-exports", "--dummy-imports", "--check-fuel", "--fuel", "1000000", *names], cwd=CORPUS,
                          capture_output=True, text=True, errors="replace", check=False)
    sums = [int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("fuel ")]
    if done.returncode != 0 or len(sums) != len(names):
        sys.exit(f"fuel.py: wasm-run ended with {done.returncode} after {len(sums)} of {len(names)} modules: {done.stderr[-300:]}")
    return dict(zip(names, sums))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--wasm-run", required=True)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    wasm_run = os.path.abspath(options.wasm_run)
    names = sorted(name for name in os.listdir(CORPUS) if name.endswith(".wasm"))
    if options.write:
        with open(GOLDEN, "w", encoding="utf-8") as out:
            out.writelines(f"{fuel} {name}\n" for name, fuel in measure(wasm_run, names).items())
        return 0
    with open(GOLDEN, encoding="utf-8") as golden:
        wanted = {name: int(fuel) for fuel, name in (line.split() for line in golden)}
    failures = 0
    for run in range(options.runs):
        for name, fuel in measure(wasm_run, names).items():
            if fuel != wanted.get(name):
                failures += 1
                print(f"# run {run}: {name} used {fuel}, not {wanted.get(name)}")
    print(f"{'not ok' if failures else 'ok'} 1 - {len(names)} modules, fast and counted, {options.runs} times: "
          f"fuel {sum(wanted.values())} each time")
    print("1..1")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
