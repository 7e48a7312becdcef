#!/usr/bin/env python3
"""tests/kernels/kernels.py - the native suites on other kernels and cgroup layouts, in virtual machines.

usage: kernels.py --build DIRECTORY [--boots 5.10:v2,6.1:none] [--suites probe,load,escape,badinput] [--only CASE] [--brief]
                  [--docs FILE] [--absent-ok] [--verbose]
Each kernel is a Debian package (fetch.py), booted by QEMU without hardware virtualisation, with everything that it needs in its
initial file system (image.py); guest.sh runs the suites as root and as ordinary users. TAP: one test a kernel, layout, user and suite.
A kernel that cannot be had or does not boot is a failure, never a skip; --absent-ok (CI's subset) makes the first of the two a
loud skip. A machine that dies of itself, by a panic of its kernel or an end of QEMU's, before any test of it failed is started once
more, and a WARNING says so with the end of its console; the second death is a failure. A machine that hangs has failed.
--docs writes the table that docs/kernels.md is (table.py). Exit status 0: nothing failed.
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
import table

LAYOUTS = ("v2", "v1", "none")
SUITES = ("probe", "load", "escape", "badinput")
# The claim audit runs every attempt on v2 of the oldest and the newest kernel; elsewhere what the layout changes and one attempt for
# each other cell, and not outside again but on v2: that an attempt succeeds there is the kernel's and the user's doing.
FULL = ("5.10:v2", "7:v2")
QEMU = "qemu-system-x86_64"
# One processor. With two, each emulated by a thread, QEMU 7.2 lets one run a branch that the other is patching: a kernel whose static
# branches are switched under load panics within seconds (sched_schedstats on and off, 6.12), and one on one processor does not.
# Without "fast" string instructions the kernel and the C library copy with plain loops: QEMU emulates `rep movsb` byte by byte.
# -icount: the machine's clock is its instructions, 8 ns each, and idle time passes at once. Otherwise what other programs take from
# QEMU is a gap in the machine's time and in the processor time of whatever ran there, and a clock calibrated across one runs ten times
# too fast.
MACHINE = ["-accel", "tcg,thread=single,tb-size=256", "-icount", "shift=3,sleep=off", "-rtc", "clock=vm",
           "-cpu", "max,erms=off,fsrm=off", "-smp", "1", "-m", "900M"]
# init_on_alloc: every page that is cleared is cleared once, not twice.
KERNEL_LINE = "console=ttyS0 quiet loglevel=4 panic=-1 tsc=reliable no_timer_check random.trust_cpu=1 mitigations=off init_on_alloc=0"


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
        elif name.startswith(("probe", "plan")) and status == 0:
            self.passed = 1
        elif status == 0 and not self.passed:
            self.failed.append(f"not ok - {name} printed no test")


class Boot:
    """One virtual machine: a kernel, a layout, and what came of it."""

    def __init__(self, kernel, layout):
        self.kernel, self.layout = kernel, layout
        self.warnings = []
        self.seconds = self.cpu = 0.0
        self.forget()

    def forget(self):
        """Before a start: what came of an earlier one."""
        self.sections, self.left, self.problem, self.died, self.resident = [], [], [], False, 0

    def failed(self):
        return any(section.failed for section in self.sections) or bool(self.left)


def audit(boot, options):
    if options.brief:
        return "brief"
    if boot.layout != "v2":
        return "inside"
    return "all" if f"{boot.kernel}:{boot.layout}" in FULL else "brief"


def start(boot, command, errors, seconds):
    """Runs one machine to its end and notes what it took; how it ended, and whether of itself."""
    began = time.monotonic()
    with open(errors, "wb") as stderr:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
    killed = False
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        if not killed and time.monotonic() - began > seconds:
            child.kill()
            killed = True
        time.sleep(0.1)
    child.returncode = os.waitstatus_to_exitcode(status)
    boot.seconds += time.monotonic() - began
    boot.cpu += usage.ru_utime + usage.ru_stime
    boot.resident = usage.ru_maxrss >> 10
    if killed:
        return f"not done after {seconds} s", False
    how = f"signal {-child.returncode}" if child.returncode < 0 else f"status {child.returncode}"
    return f"QEMU ended with {how} after {time.monotonic() - began:.0f} s {read(errors).strip()[-200:]}", True


def tail(text, count):
    return [line for line in text.replace("\r", "").split("\n") if line.strip()][-count:]


def once(boot, options, top, archive):
    """Starts the machine and reads what it says until it is off."""
    boot.forget()
    mark = "BV" + secrets.token_hex(8)
    with tempfile.TemporaryDirectory(prefix="bvt-") as place:
        if options.verbose:
            print(f"{boot.kernel} {boot.layout}: {place}", file=sys.stderr, flush=True)
        console, out = os.path.join(place, "console"), os.path.join(place, "out")
        line = f"{KERNEL_LINE} bv.layout={boot.layout} bv.mark={mark} bv.suites={options.suites} bv.full={audit(boot, options)}"
        if options.only:
            line += f" bv.only={options.only}"
        command = [QEMU, *MACHINE, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-kernel", os.path.join(top, boot.kernel, "vmlinux"), "-initrd", archive,
                   "-append", line, "-chardev", f"file,id=c0,path={console}", "-serial", "chardev:c0",
                   "-chardev", f"file,id=c1,path={out}", "-serial", "chardev:c1"]
        ended, boot.died = start(boot, command, place + "/errors", options.seconds)
        text, log = read(out), read(console)
    pattern = re.compile(rf"^{mark} begin (.*?)\n(.*?)\n{mark} end \1 (\d+) ([\d.]+) ([\d.]+)$", re.M | re.S)
    for match in pattern.finditer(text):
        boot.sections.append(Section(match[1], match[2], int(match[3]), float(match[5]) - float(match[4])))
    boot.left = re.findall(rf"^{mark} left (.*)$", text, re.M)
    if f"{mark} done" in text:
        boot.died = False
        if options.verbose:
            print(log, file=sys.stderr)
        return
    # What a suite printed before the end counts too: a test that failed is no accident of the machine's.
    _, begun, unfinished = text.rpartition(f"{mark} begin ")
    suite, _, said = unfinished.partition("\n")
    if begun and f"{mark} end " not in said:
        boot.sections += [Section(suite, said, 0, 0.0)] if re.search(r"^not ok", said, re.M) else []
    else:
        suite, said = "", ""
    boot.problem = [f"the machine did not finish ({'in ' + suite if suite else 'between two suites'}, {boot.resident} MiB): {ended}",
                    *(f"{suite}: {line}" for line in tail(said, 3)), *(f"console: {line}" for line in tail(log, 14))]


def run(boot, options, top, archive):
    once(boot, options, top, archive)
    if boot.died and not boot.failed():
        boot.warnings = [f"STARTED ONCE MORE: {boot.kernel} {boot.layout}: {line}" for line in boot.problem]
        once(boot, options, top, archive)
    return boot


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as text:
            return text.read()
    except OSError:
        return ""


class Tap:
    """One test a kernel, layout, user and suite."""

    def __init__(self):
        self.count = self.failed = 0

    def line(self, ok, text):
        self.count += 1
        self.failed += not ok
        print(f"{'ok' if ok else 'not ok'} {self.count} - {text}", flush=True)

    def boot(self, boot, verbose):
        for section in boot.sections:
            suite, who = section.name.split()
            self.line(not section.failed, f"{boot.kernel:5} {boot.layout:5} {who:11} {suite:8} {section.passed:4} passed "
                      f"{len(section.failed):3} failed {len(section.skipped):3} skipped {section.seconds:6.1f} s")
            for line in section.text.splitlines() if verbose else section.failed:
                print("# " + line, flush=True)
        own = boot.problem + [f"left running: {line}" for line in boot.left]
        self.line(not own, f"{boot.kernel:5} {boot.layout:5} booted, finished and left nothing running, {boot.seconds:.0f} s, "
                  f"{boot.cpu:.0f} s of processor time, {boot.resident} MiB")
        for line in own:
            print("# " + line, flush=True)
        for line in boot.warnings:
            print("# WARNING " + line, flush=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--cache", help="where kernels are kept; BUILD/kernels")
    parser.add_argument("--boots", default=",".join(f"{label}:{layout}" for label in fetch.KERNELS for layout in LAYOUTS))
    parser.add_argument("--suites", default=",".join(SUITES))
    parser.add_argument("--only", help="escape.py's")
    parser.add_argument("--docs", help="writes the table of docs/kernels.md")
    parser.add_argument("--seconds", type=int, default=1500, help="a machine that is not done then has failed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--brief", action="store_true", help="the short claim audit in every layout, inside and outside")
    parser.add_argument("--absent-ok", action="store_true", help="a kernel that cannot be had is a loud skip, not a failure")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def main():
    if os.path.realpath(sys.executable) != os.path.realpath(image.PYTHON):
        # The modules that go into the machine are compiled by the interpreter that goes there too.
        os.execv(image.PYTHON, [image.PYTHON, *sys.argv])
    options = arguments()
    wanted = [Boot(*name.split(":")) for name in options.boots.split(",")]
    labels = list(dict.fromkeys(boot.kernel for boot in wanted))
    # apt takes a relative directory for one below its own.
    top = os.path.abspath(options.cache or os.path.join(options.build, "kernels"))
    os.makedirs(top, exist_ok=True)
    tap, boots, began = Tap(), [], time.monotonic()
    absent = {label: why for label, why in fetch.fetch(top, labels).items() if why}
    for label, why in absent.items():
        if options.absent_ok:
            tap.line(True, f"{label} # SKIP THE KERNEL COULD NOT BE HAD, SO NOTHING OF IT WAS TESTED: {why}")
        else:
            tap.line(False, f"{label}: the kernel could not be had: {why}")
    with tempfile.TemporaryDirectory(prefix="bvt-") as scratch:
        archive = os.path.join(scratch, "image.cpio")
        image.make(archive, os.path.join(options.build, "bvisor"), os.path.join(options.build, "tests"), scratch)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            # The long ones first, so that none of them is left to run alone at the end.
            wanted.sort(key=lambda boot: ("all", "brief", "inside").index(audit(boot, options)))
            jobs = [pool.submit(run, boot, options, top, archive) for boot in wanted if boot.kernel not in absent]
            for job in concurrent.futures.as_completed(jobs):
                boots.append(job.result())
                tap.boot(boots[-1], options.verbose)
    if options.docs:
        table.write(options.docs, boots, {label: fetch.release(top, label) for label in labels if label not in absent})
    sections = [section for boot in boots for section in boot.sections]
    print(f"1..{tap.count}")
    print(f"# {len(boots)} machines: {time.monotonic() - began:.0f} s, {sum(boot.cpu for boot in boots):.0f} s of processor time")
    print(f"# inside the machines: {sum(s.passed for s in sections)} passed, {sum(len(s.failed) for s in sections)} failed, "
          f"{sum(len(s.skipped) for s in sections)} skipped")
    return 1 if tap.failed or not tap.count else 0


if __name__ == "__main__":
    sys.exit(main())
