#!/usr/bin/env python3
"""bench/staging.py - what staging costs: a large tree with few changes, and the same changes in a small tree.

usage: staging.py [--bvisor PROGRAM] [--files N] [--changed N]
Makes a tree of N files (100,000) in 100 directories and one of as many files as are changed (1,000), runs the same program staged over each (it appends
a line to every changed file), and prints the medians of five: the whole run, the part of it that lists the changes, and commits. Staging must cost nothing
per unchanged file: the run over the large tree may take at most 1.5 times as long as that over the small one. Listing and commit have a second each.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 5


def make_tree(top, files):
    for i in range(files):
        directory = os.path.join(top, f"d{i % 100}")
        if i < 100:
            os.mkdir(directory)
        with open(os.path.join(directory, f"f{i}"), "w", encoding="ascii") as text:
            text.write(f"file {i}\n" * 20)


def timed(*words):
    before = time.monotonic()
    done = subprocess.run(words, check=False, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{words}: exit {done.returncode}: {done.stderr.decode()}")
    return time.monotonic() - before, done.stdout


class Bench:
    """One tree and its figures."""

    def __init__(self, options, top, files):
        self.options = options
        self.root = os.path.join(top, f"tree{files}")
        self.state = os.path.join(top, f"state{files}")
        os.mkdir(self.root)
        make_tree(self.root, files)
        self.script = f'i=0; while [ $i -lt {options.changed} ]; do echo more >> {self.root}/d$((i % 100))/f$i; i=$((i + 1)); done'

    def bvisor(self, *words):
        return timed(self.options.bvisor, words[0], "--journal", self.state, *words[1:])

    def run(self, *more):
        return self.bvisor("run", "--system", "--rw", self.root, *more, "--json", "/bin/sh", "-c", self.script)

    def round(self):
        """Seconds: whole run, listing, commit, durable commit of a second run."""
        whole, text = self.run("--stage")
        body = json.loads(text)["body"]
        if body["outcome"] != "completed" or len(body["artifacts"]) != self.options.changed:
            sys.exit(f"{body['outcome']}, {len(body['artifacts'])} artifacts")
        attempt = body["attempt"]
        listing = whole - body["budget"]["wall_micros"]["observed"] / 1e6
        commit, _ = self.bvisor("artifacts", "commit", attempt)
        _, text = self.run("--stage")
        durable, _ = self.bvisor("artifacts", "commit", "--durability", "durable", json.loads(text)["body"]["attempt"])
        return whole, listing, commit, durable


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bvisor", default="build/bvisor")
    parser.add_argument("--files", type=int, default=100000)
    parser.add_argument("--changed", type=int, default=1000)
    options = parser.parse_args()
    options.bvisor = os.path.abspath(options.bvisor)
    top = tempfile.mkdtemp(prefix="bvisor-bench-")
    failed = 0
    try:
        trees = {files: Bench(options, top, files) for files in (options.files, options.changed)}
        figures = {files: [] for files in trees}
        for _ in range(ROUNDS):
            for files, bench in trees.items():
                figures[files].append(bench.round())
        medians = {files: [statistics.median(column) for column in zip(*rows)] for files, rows in figures.items()}
        print(f"{'files':>8} {'changed':>8} {'run s':>8} {'outside the workload s':>24} {'commit s':>10} {'durable s':>10}")
        for files, (whole, listing, commit, durable) in medians.items():
            print(f"{files:>8} {options.changed:>8} {whole:>8.3f} {listing:>24.3f} {commit:>10.3f} {durable:>10.3f}")
        large, small = medians[options.files], medians[options.changed]
        for name, met in (("launch, listing and end of the large tree at most 1 s", large[1] <= 1.0), ("commit at most 1 s", large[2] <= 1.0),
                          ("durable commit at most 1 s", large[3] <= 1.0),
                          ("large tree at most 1.5 times the small one", large[0] <= 1.5 * small[0])):
            print(f"{'met   ' if met else 'MISSED'} {name}")
            failed += not met
    finally:
        shutil.rmtree(top, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
