#!/usr/bin/env python3
"""bench/wasm.py - the engine beside node: CPU time of ten programs, start-up, translation; ratios, and the limits met or missed.

usage: wasm.py BUILD [--rounds N] [--sources DIRECTORY]
The programs are compiled here with clang for wasm32-wasi (MVP, -O2) and run in turn by both, so that what disturbs one disturbs the
other; the median counts. CPU time is that of the process, user and system. Two ratios are printed, for node starts slowly: of the
whole process, and with the time of an empty program taken off both. Nothing here is a test: the exit status says only whether it ran.
"""

import argparse
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GEOMEAN_LIMIT, WORST_LIMIT = 3.0, 9.0
COLD_MICROS, WARM_MICROS, TRANSLATE_MBS, RESIDENT_KIB = 40, 15, 80, 3072


def compile_program(source, directory):
    name = os.path.splitext(os.path.basename(source))[0]
    target, module = os.path.join(directory, name + ".o"), os.path.join(directory, name + ".wasm")
    clang = ["clang-14", "--target=wasm32-wasi", "--sysroot=/usr"]
    # No -O when linking: with binaryen installed clang would let it rewrite the module.
    subprocess.run([*clang, "-O2", "-w", "-c", "-o", target, source], check=True)
    subprocess.run([*clang, "-Wl,--strip-all", "-o", module, target, "-lm"], check=True)
    return name, module


def cpu_seconds(command):
    """CPU time and output of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, output


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def verdict(good):
    return "met" if good else "MISSED"


def programs(build, modules, rounds):
    bench = os.path.join(build, "bench", "wasm_bench")
    rows = {}
    for name, module in modules:
        ours, nodes = [], []
        for _ in range(rounds):
            mine, my_output = cpu_seconds([bench, "run", module])
            theirs, their_output = cpu_seconds(["node", "--no-warnings", os.path.join(HERE, "node_wasi.mjs"), module])
            if my_output != their_output:
                sys.exit(f"wasm.py: {name}: outputs differ")
            ours.append(mine)
            nodes.append(theirs)
        rows[name] = (statistics.median(ours), statistics.median(nodes))
    empty_ours, empty_node = rows["hello"]
    print(f"{'program':12}{'ours s':>9}{'node s':>9}{'ratio':>8}{'without start':>15}")
    whole, bare = [], []
    for name, (mine, theirs) in rows.items():
        whole.append(mine / theirs)
        if name == "hello":
            print(f"{name:12}{mine:9.3f}{theirs:9.3f}{whole[-1]:8.2f}{'-':>15}")
            continue
        bare.append((mine - empty_ours) / max(theirs - empty_node, 1e-3))
        print(f"{name:12}{mine:9.3f}{theirs:9.3f}{whole[-1]:8.2f}{bare[-1]:15.2f}")
    print(f"geomean of the whole process, {len(whole)} programs: {geomean(whole):.2f}; limit {GEOMEAN_LIMIT}: {verdict(geomean(whole) <= GEOMEAN_LIMIT)}")
    print(f"geomean of the whole process without hello: {geomean([ratio for ratio, name in zip(whole, rows) if name != 'hello']):.2f}")
    print(f"geomean without start: {geomean(bare):.2f}; limit {GEOMEAN_LIMIT}: {verdict(geomean(bare) <= GEOMEAN_LIMIT)}")
    print(f"worst of the whole process: {max(whole):.2f}; limit {WORST_LIMIT}: {verdict(max(whole) <= WORST_LIMIT)}")


def words_of(build, what, module):
    return subprocess.run([os.path.join(build, "bench", "wasm_bench"), what, module], check=True, capture_output=True, text=True)


def start_up(build, hello):
    words = words_of(build, "startup", hello).stdout.split()
    cold, cold_median, warm, warm_median = float(words[1]), float(words[2]), float(words[4]), float(words[5])
    print(f"hello in process, CPU: cold {cold:.1f} us, median {cold_median:.1f}, limit {COLD_MICROS}: {verdict(cold_median <= COLD_MICROS)}; "
          f"warm {warm:.1f} us, median {warm_median:.1f}, limit {WARM_MICROS}: {verdict(warm_median <= WARM_MICROS)}")


def resident(build, hello):
    """cat is as small a program as true is, and can say what it needed itself."""
    ours = int(words_of(build, "run", hello).stderr.split()[2])
    status = subprocess.run(["cat", "/proc/self/status"], check=True, capture_output=True, text=True).stdout
    smallest = int(status.split("VmHWM:")[1].split()[0])
    print(f"hello resident: {ours} KiB, {ours - smallest} above the smallest program's {smallest}, limit {RESIDENT_KIB}: "
          f"{verdict(ours - smallest <= RESIDENT_KIB)}")


def big_module(module, directory):
    """A module of about a megabyte: the program's code section repeated would not be one, so the linker makes it from all of libc."""
    target = os.path.join(directory, "big.wasm")
    source = os.path.join(directory, "empty.c")
    with open(source, "w", encoding="utf-8") as out:
        out.write("int main(void) { return 0; }\n")
    done = subprocess.run(["clang-14", "--target=wasm32-wasi", "--sysroot=/usr", "-w", "-o", target, source, "-Wl,--whole-archive", "-lc",
                           "-Wl,--no-whole-archive", "-Wl,--strip-all", "-Wl,--no-gc-sections", "-Wl,--allow-undefined"], check=False,
                          stderr=subprocess.DEVNULL)
    return target if done.returncode == 0 else module


def translation(build, module):
    words = words_of(build, "translate", module).stdout.split()
    best, median, size = float(words[1]), float(words[2]), os.path.getsize(module)
    print(f"translation of {size / 1e6:.2f} MB: {best:.1f} MB/s, median {median:.1f}, limit {TRANSLATE_MBS}: {verdict(median >= TRANSLATE_MBS)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sources", default=os.path.join(HERE, "wasm"))
    arguments = parser.parse_args()
    for tool in ("clang-14", "wasm-ld", "node"):
        if not shutil.which(tool):
            sys.exit(f"wasm.py: {tool} is not installed")
    with tempfile.TemporaryDirectory(prefix="bv-bench-") as directory:
        sources = sorted(name for name in os.listdir(arguments.sources) if name.endswith(".c"))
        modules = [compile_program(os.path.join(arguments.sources, name), directory) for name in sources]
        programs(arguments.build, modules, arguments.rounds)
        hello = dict(modules)["hello"]
        start_up(arguments.build, hello)
        resident(arguments.build, hello)
        translation(arguments.build, big_module(hello, directory))


if __name__ == "__main__":
    main()
