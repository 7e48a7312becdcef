"""tests/kernels/table.py - docs/kernels.md from what the virtual machines said: one row a kernel, layout and user, and every refusal."""

import json

HEAD = """# Kernels and cgroup layouts

Written by `make check-kernels` from its own run; do not edit. Each row is a kernel of Debian's, booted in a virtual machine with
one cgroup layout: **v2** (root in the root cgroup; the user alone in a cgroup of a delegated subtree, or, as *undelegated*, in one
that is root's), **v1** (a hierarchy for each controller that the kernel still has there, the rest in v2; the user owns none), **none**
(no cgroup file system at all; *no-userns* is a user who cannot make a user namespace either).
*Audit* counts the attempts of `tests/escape` that were tried and held, and the claims that an attempt tested; *load* the witnesses
of the known load that lie within 10 % or are null with a reason. Guarantees are those of the plan for `--spawn any`.

| kernel | Landlock ABI | layout | who | audit | load | memory | processes | processor time | kill |
|---|---|---|---|---|---|---|---|---|---|
"""
DIMENSIONS = ("resident_bytes", "process_count", "cpu_micros")


def documents(section):
    """The JSON documents that a suite printed, one a line."""
    found = []
    for line in section.text.splitlines() if section else ():
        if line.startswith("{"):
            found.append(json.loads(line))
    return found


def guarantee(document, dimension):
    """(cell of the table, reason of a refusal or None)"""
    if document.get("schema") == "bvisor.refusal/1":
        items = [item for item in document["items"] if item.get("dimension") == dimension]
        if not items:
            item = document["items"][0]
            return "refused", f"everything: {item['why']} ({item['remedy']})"
        return "refused", f"{dimension}: {items[0]['why']} ({items[0]['remedy']})"
    budget = document.get("body", document)["budget"][dimension]
    supplied = budget.get("supplied", budget)
    how = budget["mechanism"].removeprefix("linux:")
    return f"{supplied['guarantee']}: {how}", None


def rows(boot, release):
    """(table rows, {reason: [where]}) of one boot."""
    lines, refusals = [], {}

    def refused(reason):
        places = refusals.setdefault(reason, [])
        if f"{boot.kernel} {boot.layout} {who}" not in places:
            places.append(f"{boot.kernel} {boot.layout} {who}")

    by_name = {section.name: section for section in boot.sections}
    for who in ("root", "user", "undelegated", "no-userns"):
        probe = documents(by_name.get(f"probe {who}"))
        if not probe:
            continue
        facts, matrix = probe[0]["probed"], {row["kind"]: row for row in probe[0]["matrix"]}
        cells = []
        for dimension, document in zip(DIMENSIONS, documents(by_name.get(f"plan {who}"))):
            cell, why = guarantee(document, dimension)
            cells.append(cell)
            if why:
                refused(why)
        for row in matrix.values():
            if row["enforcement"] == "unsupported" and "not part of this version" not in row["why"]:
                reason = f"{row['why']} ({row['remedy']})"
                if "everything: " + reason not in refusals:
                    refused(f"{row['kind']}: {reason}")
        counts = []
        for suite in ("escape", "load"):
            section = by_name.get(f"{suite} {who}")
            counts.append(f"{section.passed} held, {len(section.failed)} failed, {len(section.skipped)} skipped" if section else "not run")
        kill = matrix["kill"]["mechanism"].removeprefix("linux:") or "refused"
        lines.append("| " + " | ".join([f"{boot.kernel} ({release})", facts["landlock_abi"].split()[0], boot.layout, who, *counts,
                                        *(cells + ["not run"] * (3 - len(cells))), kill]) + " |")
    return lines, refusals


def write(path, boots, release):
    """release: {kernel label: its full name}"""
    refusals = {}
    order = {kernel: index for index, kernel in enumerate(release)}
    with open(path, "w", encoding="utf-8") as out:
        out.write(HEAD)
        for boot in sorted(boots, key=lambda boot: (order[boot.kernel], ("v2", "v1", "none").index(boot.layout))):
            lines, why = rows(boot, release[boot.kernel])
            out.write("".join(line + "\n" for line in lines))
            for reason, places in why.items():
                refusals.setdefault(reason, []).extend(places)
        out.write("\n## What is refused, and why\n\nWith the remedy that the plan names in parentheses.\n\n")
        for reason, where in refusals.items():
            out.write(f"- {reason}. On: {', '.join(where)}.\n")
