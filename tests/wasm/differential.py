#!/usr/bin/env python3
"""tests/wasm/differential.py - the engine against node on modules that binaryen makes from random bytes.

usage: differential.py [--wasm-run PATH] [--seed FIRST[-LAST]] [--seconds S] [--log FILE] COUNT
COUNT modules for each seed; a seed says which, so that anyone can make the same again. After S seconds no further batch begins.
Each module is run by build/wasm-run (which also holds the fast code's fuel against the counting code's) and by node; results, traps,
calls of imports, and memories at the end must be equal. A difference keeps its module in build/findings/differential and is printed.
A line for each seed, then one of the sums: `N modules, N exports, N traps, N differences, N not comparable, N NaN signs, fuel N`;
--log keeps the lines of the seeds.
The fuel is what all exports used, the same by the fast code and by the counting one, or the module is a difference. A module is not
comparable where the order of events depends on the machine: a stack that was exhausted, or a memory that could not grow. Where memories
are equal but for the signs of NaNs, which the specification leaves open and this engine makes canonical, that is counted, and not a
difference.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

FEATURES = ["--mvp-features", "--enable-mutable-globals", "--enable-bulk-memory", "--enable-sign-ext", "--enable-nontrapping-float-to-int",
            "--enable-multivalue", "--enable-simd", "--denan"]
BATCH = 100
HERE = os.path.dirname(os.path.abspath(__file__))


def make_modules(directory, generator, count):
    """Modules made in this directory; binaryen refuses some inputs."""
    made = []
    for index in range(count):
        source = os.path.join(directory, f"{index}.bin")
        module = os.path.join(directory, f"{index}.wasm")
        size = int(10 ** generator.uniform(1.5, 4))
        with open(source, "wb") as out:
            out.write(generator.randbytes(size))
        passes = generator.choice([[], [], ["-O1"], ["-O3"], ["--flatten"]])
        done = subprocess.run(["wasm-opt", source, "-ttf", *FEATURES, *passes, "-o", module], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            made.append(module)
    return made


def run_node(modules):
    """{module: its output lines}; a batch that does not end is run module by module."""
    outputs = {}
    try:
        text = subprocess.run(["node", os.path.join(HERE, "differential.mjs"), *modules], capture_output=True, text=True, timeout=120,
                              check=False).stdout
    except subprocess.TimeoutExpired:
        if len(modules) == 1:
            return {modules[0]: ["timeout"]}
        for module in modules:
            outputs.update(run_node([module]))
        return outputs
    current = None
    for line in text.splitlines():
        if line.startswith("== "):
            current = outputs.setdefault(line[3:], [])
        else:
            current.append(line)
    return outputs


def run_ours(wasm_run, module, totals):
    done = subprocess.run([wasm_run, "--run-all-exports", "--dummy-imports", "--skip-v128", "--check-fuel", "--fuel", "200000000", module],
                          capture_output=True, text=True, errors="replace", timeout=300, check=False)
    fuel = re.match(r"fuel (\d+)$", done.stderr)
    totals["fuel"] += int(fuel.group(1)) if fuel else 0
    lines = [line for line in done.stdout.splitlines() if not line.startswith("global ")]
    return lines if done.returncode == 0 else lines + [f"exit {done.returncode}: {done.stderr.strip()[-300:]}"]


def machine_dependent(lines):
    return any(line.endswith((" trap stack", " trap fuel", " trap nomem")) or line == "timeout" for line in lines)


def without_signs(lines):
    """A memory's second checksum is of all its bits."""
    return [line.rsplit(" ", 1)[0] if line.startswith("memory ") else line for line in lines]


def compare(wasm_run, modules, totals):
    theirs = run_node(modules)
    for module in modules:
        ours = run_ours(wasm_run, module, totals)
        other = theirs.get(module, ["no output"])
        totals["modules"] += 1
        if machine_dependent(ours) or machine_dependent(other):
            totals["not comparable"] += 1
            if any("FUEL" in line or line.startswith("exit ") for line in ours):
                report(module, ours, other, totals)
            continue
        totals["exports"] += sum(1 for line in ours if not line.startswith(("call ", "memory ")))
        totals["traps"] += sum(1 for line in ours if " trap " in line)
        if ours != other and without_signs(ours) == without_signs(other):
            totals["NaN signs"] += 1
        elif ours != other:
            report(module, ours, other, totals)


def report(module, ours, other, totals):
    totals["differences"] += 1
    kept = os.path.join("build", "findings", "differential")
    os.makedirs(kept, exist_ok=True)
    name = os.path.join(kept, f"{totals['seed']}-{totals['modules']}.wasm")
    shutil.copy(module, name)
    print(f"DIFFERENCE {name}")
    for index in range(max(len(ours), len(other))):
        mine = ours[index] if index < len(ours) else "-"
        node = other[index] if index < len(other) else "-"
        if mine != node:
            print(f"  ours: {mine}\n  node: {node}")
            break
    sys.stdout.flush()


COUNTED = ("modules", "exports", "traps", "differences", "not comparable", "NaN signs", "fuel")


def sentence(totals):
    return ", ".join(f"fuel {totals[name]}" if name == "fuel" else f"{totals[name]} {name}" for name in COUNTED)


def run_seed(arguments, seed, end):
    """The totals of one seed's modules."""
    generator = random.Random(seed)
    totals = {name: 0 for name in COUNTED} | {"seed": seed}
    while totals["modules"] < arguments.count and time.monotonic() < end:
        with tempfile.TemporaryDirectory(prefix="bv-differential-") as directory:
            modules = make_modules(directory, generator, min(BATCH, arguments.count - totals["modules"]))
            compare(arguments.wasm_run, modules, totals)
    return totals


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--wasm-run", default="build/wasm-run")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--log", default=os.devnull)
    arguments = parser.parse_args()
    for tool in ("wasm-opt", "node"):
        if not shutil.which(tool):
            sys.exit(f"differential.py: {tool} is not installed")
    first, _, last = arguments.seed.partition("-")
    end = time.monotonic() + arguments.seconds
    sums = {name: 0 for name in COUNTED}
    with open(arguments.log, "a", encoding="utf-8") as log:
        for seed in range(int(first), int(last or first) + 1):
            if time.monotonic() >= end:
                break
            totals = run_seed(arguments, seed, end)
            for name in COUNTED:
                sums[name] += totals[name]
            print(f"seed {seed}: {sentence(totals)}", file=log, flush=True)
            print(f"seed {seed}: {sentence(totals)}", flush=True)
    print(sentence(sums))
    return 1 if sums["differences"] or not sums["exports"] else 0


if __name__ == "__main__":
    sys.exit(main())
