#!/usr/bin/env python3
"""tests/kernels/kernels.py - the native suites on other kernels and cgroup layouts, in virtual machines.

usage: kernels.py --build DIRECTORY [--kernels 5.10,6.1] [--layouts v2,v1,none] [--suites probe,load,escape,badinput] [--only CASE]
                  [--docs FILE] [--absent-ok] [--verbose]
Each kernel is a Debian package (fetch.py), booted by QEMU without hardware virtualisation, with everything that it needs in its
initial file system (image.py); guest.sh runs the suites as root and as an ordinary user. One line a kernel, layout, user and suite.
A kernel that cannot be had or does not boot is a failure, never a skip; --absent-ok (CI's subset) makes the first of the two a
loud skip. --docs writes the table that docs/kernels.md is. Exit status 0: nothing failed.
"""

import argparse
import concurrent.futures
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time

import fetch
import image

LAYOUTS = ("v2", "v1", "none")
SUITES = ("probe", "load", "escape", "badinput")
# Whose claim audit runs every attempt; elsewhere it runs what the layout changes and one attempt for each other cell.
FULL = {"v2": "root,user", "v1": "none", "none": "none"}
MEMORY = "900M"
QEMU = "qemu-system-x86_64"


class Section:
    """What one suite printed."""

    def __init__(self, name, text, status, seconds):
        self.name, self.text, self.status, self.seconds = name, text, status, seconds
        lines = text.splitlines()
        self.failed = [line for line in lines if line.startswith("not ok")]
        self.skipped = [line for line in lines if re.match(r"ok\b.*# SKIP", line) or re.match(r"1\.\.0 # SKIP", line)]
        self.passed = sum(1 for line in lines if line.startswith("ok ")) - sum(1 for line in self.skipped if line.startswith("ok"))
        if status != 0 and not self.failed:
            self.failed.append(f"not ok - {name} ended with {status}: {text.strip()[-300:]}")
        elif name.startswith("probe") and status == 0:
            self.passed = 1
        elif status == 0 and not self.passed:
            self.failed.append(f"not ok - {name} printed no test")


class Boot:
    """One virtual machine: a kernel, a layout, and what came of it."""

    def __init__(self, kernel, layout):
        self.kernel, self.layout = kernel, layout
        self.sections, self.left, self.problem, self.seconds = [], [], None, 0.0

    def failures(self):
        own = [self.problem] if self.problem else []
        own += [f"left running: {line}" for line in self.left]
        return [f"not ok - {line}" for line in own] + [line for section in self.sections for line in section.failed]


def run(boot, options, top, archive):
    mark = "BV" + secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="bvt-") as place:
        if options.verbose:
            print(f"{boot.kernel} {boot.layout}: {place}", file=sys.stderr, flush=True)
        console, out = os.path.join(place, "console"), os.path.join(place, "out")
        line = (f"console=ttyS0 quiet loglevel=4 panic=-1 tsc=reliable no_timer_check random.trust_cpu=1 mitigations=off "
                f"bv.layout={boot.layout} bv.mark={mark} bv.suites={options.suites} bv.full={FULL[boot.layout]}")
        if options.only:
            line += f" bv.only={options.only}"
        command = [QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY, "-nodefaults", "-no-user-config",
                   "-display", "none", "-no-reboot", "-kernel", os.path.join(top, boot.kernel, "vmlinux"), "-initrd", archive,
                   "-append", line, "-chardev", f"file,id=c0,path={console}", "-serial", "chardev:c0",
                   "-chardev", f"file,id=c1,path={out}", "-serial", "chardev:c1"]
        began = time.monotonic()
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=options.seconds, check=False)
            ended = f"QEMU ended with {done.returncode} {done.stderr.decode(errors='replace').strip()[-200:]}"
        except subprocess.TimeoutExpired:
            ended = f"not done after {options.seconds} s"
        boot.seconds = time.monotonic() - began
        text, log = read(out), read(console)
    pattern = re.compile(rf"^{mark} begin (.*?)\n(.*?)\n{mark} end \1 (\d+) ([\d.]+) ([\d.]+)$", re.M | re.S)
    for match in pattern.finditer(text):
        boot.sections.append(Section(match[1], match[2], int(match[3]), float(match[5]) - float(match[4])))
    boot.left = re.findall(rf"^{mark} left (.*)$", text, re.M)
    if f"{mark} done" not in text:
        tail = " | ".join(log.split("\n")[-6:]).strip()
        where = f"after {boot.sections[-1].name}" if boot.sections else "before the first suite"
        boot.problem = f"the machine did not finish ({where}): {ended}; console: {tail[-600:]}"
    elif options.verbose:
        print(log, file=sys.stderr)
    return boot


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as text:
            return text.read()
    except OSError:
        return ""


def describe(boot, verbose):
    """The lines of one boot."""
    for section in boot.sections:
        suite, who = section.name.split()
        print(f"{boot.kernel:5} {boot.layout:5} {who:5} {suite:9} {section.passed:4} passed {len(section.failed):3} failed "
              f"{len(section.skipped):3} skipped {section.seconds:6.1f} s", flush=True)
        if verbose:
            print(section.text)
    for line in boot.failures():
        print(f"FAILED {boot.kernel} {boot.layout}: {line}", flush=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--cache")
    parser.add_argument("--kernels", default=",".join(fetch.KERNELS))
    parser.add_argument("--layouts", default=",".join(LAYOUTS))
    parser.add_argument("--suites", default=",".join(SUITES))
    parser.add_argument("--only")
    parser.add_argument("--docs")
    parser.add_argument("--seconds", type=int, default=540)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--absent-ok", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    labels, layouts = options.kernels.split(","), options.layouts.split(",")
    top = options.cache or os.path.join(options.build, "kernels")
    os.makedirs(top, exist_ok=True)
    absent = {label: why for label, why in fetch.fetch(top, labels).items() if why}
    boots, failed = [], 0
    for label, why in absent.items():
        failed += not options.absent_ok
        print(f"{'SKIPPED' if options.absent_ok else 'FAILED'} {label}: THE KERNEL COULD NOT BE HAD: {why}", flush=True)
    with tempfile.TemporaryDirectory(prefix="bvt-") as scratch:
        archive = os.path.join(scratch, "image.cpio")
        image.make(archive, os.path.join(options.build, "bvisor"), os.path.join(options.build, "tests"), scratch)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            jobs = [pool.submit(run, Boot(label, layout), options, top, archive)
                    for label in labels if label not in absent for layout in layouts]
            for job in concurrent.futures.as_completed(jobs):
                boots.append(job.result())
                describe(boots[-1], options.verbose)
    failed += sum(len(boot.failures()) for boot in boots)
    passed = sum(section.passed for boot in boots for section in boot.sections)
    skipped = sum(len(section.skipped) for boot in boots for section in boot.sections) + (len(absent) if options.absent_ok else 0)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
