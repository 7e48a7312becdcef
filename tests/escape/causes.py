"""tests/escape/causes.py - is the reason of a refusal true? The host is asked by other means than bvisor's.

A reason names the facts that it rests on as `(fact: value; fact: value)`, or the paths that contradict each other, or that the
version does not have the thing. problem(why, ...) gives None for a reason that was found true, else what is wrong with it.
"""

import os
import re
import subprocess

import bvhost

FACTS = re.compile(r"\(((?:[a-z0-9_]+: [^;()]+(?:; )?)+)\)\s*$")
INSIDE = re.compile(r"the destination (\S+) (?:lies in|would hold) the filesystem root (\S+)")
VERSION = re.compile(r"not part of this version$|not in this version$")


def own_cgroup(controller):
    """The harness's own directory in the hierarchy of a controller ("" for v2's core), or None."""
    with open("/proc/self/cgroup", encoding="ascii") as text:
        rows = [line.rstrip("\n").split(":", 2) for line in text]
    with open("/proc/self/mountinfo", encoding="latin-1") as text:
        mounts = [line.split() for line in text]
    for _, names, path in rows:
        for mount in mounts:
            kind, options = mount[mount.index("-") + 1], mount[-1].split(",")
            if (kind == "cgroup" and controller in options and controller in names.split(",")) or (kind == "cgroup2" and not names and not controller):
                return mount[4] + path.rstrip("/")
    return None


def can_write(as_user, path):
    return subprocess.run([*as_user, "test", "-w", path], check=False).returncode == 0


def v2_controllers(directory):
    try:
        with open(directory + "/cgroup.controllers", encoding="ascii") as text:
            return text.read().split()
    except OSError:
        return []


def cgroup_is_missing(controller):
    """No hierarchy lets this user divide the controller: neither its own of v1, nor v2's."""
    def missing(as_user):
        v1, v2 = own_cgroup(controller) if controller else None, own_cgroup("")
        in_v2 = v2 and can_write(as_user, v2) and (not controller or controller in v2_controllers(v2))
        return not (v1 and can_write(as_user, v1)) and not in_v2
    return missing


# What a fact that is not "ok" says of the machine, asked again: a function of the words that start a program as the user.
MISSING = {
    "cgroup_memory": cgroup_is_missing("memory"),
    "cgroup_pids": cgroup_is_missing("pids"),
    "cgroup_cpu": cgroup_is_missing("cpuacct"),
    "cgroup_core": cgroup_is_missing(""),
    "userns": lambda as_user: subprocess.run([*as_user, "unshare", "-U", "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0,
    "landlock_abi": lambda as_user: bvhost.LIBC.syscall(444, None, 0, 1) < 1,
}


def problem(why, probed, as_user):
    between = INSIDE.search(why)
    if between:
        one, other = between.groups()
        return None if one.startswith(other + "/") or other.startswith(one + "/") or one == other else "the paths do not meet"
    if VERSION.search(why):
        return None
    named = FACTS.search(why)
    if not named:
        return "it names no fact of the machine"
    for item in named[1].split("; "):
        fact, value = item.split(": ", 1)
        if probed.get(fact) != value:
            return f"it says {fact} is {value}, the probe says {probed.get(fact)}"
        if fact in MISSING and not MISSING[fact](as_user):
            return f"{fact} is {value}, but the host has it for this user"
        if fact not in MISSING and value == "ok":
            return f"{fact} is ok, which is no cause"
    return None
