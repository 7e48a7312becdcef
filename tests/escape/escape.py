#!/usr/bin/env python3
"""tests/escape/escape.py - runs every attempt outside and inside the boundary with the same rights, judged by the host.

usage: escape.py --bvisor PROGRAM --attempts DIRECTORY [--as root|user] [--only NAME] [--wrap PROGRAM] [--table] [--audit]
TAP on stdout. An attempt that fails outside fails the test: it would prove nothing inside. A case that this layout's planner
refuses is not run; the closing tests then check that `bvisor probe` claims `enforced` only for cells that an attempt
really tested here. --table prints that relation for a person instead; --audit also holds every refusal's
reason against the host (causes.py), and ends with the sums.
"""

import argparse
import contextlib
import hashlib
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import bvschema  # noqa: E402  pylint: disable=wrong-import-position
import bvhost  # noqa: E402  pylint: disable=wrong-import-position
import causes  # noqa: E402  pylint: disable=wrong-import-position
import cases  # noqa: E402  pylint: disable=wrong-import-position
import redteam  # noqa: E402  pylint: disable=wrong-import-position

ALL = cases.CASES + redteam.CASES
SKIPPED, REFUSED = 77, 126
BANNER = "ATTEMPT RUNS\n"
LOOKS = 3
PATIENCE = 5  # each further look is at an attempt that takes so many times as long
UNLIMITED = {"process_count": "--procs", "cpu_micros": "--cpu", "resident_bytes": "--mem", "handle_count": "--handles"}


class Context:
    """One run of one attempt: its directory on the host, its secret, and all that the judge may look at."""

    def __init__(self, session, inside):
        self.session, self.inside, self.uid, self.as_user = session, inside, session.uid, session.as_user
        self.more_options, self.patience = [], 1
        self.bvisor = session.bvisor
        self.secret, self.name = secrets.token_hex(16), "bx" + secrets.token_hex(6)
        self.base = tempfile.mkdtemp(prefix="case-", dir=session.top)
        os.chmod(self.base, 0o755)
        self.own(self.base)
        self.ro, self.rw, self.outside = (os.path.join(self.base, name) for name in ("ro", "rw", "outside"))
        for directory in (self.ro, self.rw, self.outside):
            os.mkdir(directory, 0o755)
            self.own(directory)
        self.write(self.ro + "/f", "content of f\n")
        self.write(self.rw + "/g", "content of g\n")
        self.write(self.outside + "/f", "content of f\n")
        self.write(self.outside + "/secret", self.secret + "\n")
        # A look at every process costs more than the attempt in a machine without hardware support. What ran before is not the attempt's.
        self.others = frozenset(bvhost.pids())
        self.digests = {}
        self.fds, self.at_end, self.listener, self.victim = {}, [], None, None
        self.banner = True
        self.out = self.err = ""
        self.raw_out = self.raw_err = b""
        self.report = self.refusal = self.plan_budget = None
        self.cpu_micros = 0

    def digest_trees(self):
        for name in ("ro", "rw", "outside"):
            self.digests[name] = bvhost.tree_digest(getattr(self, name))

    def own(self, path):
        if os.getuid() != self.uid:
            os.chown(path, self.uid, self.uid, follow_symlinks=False)

    def write(self, path, text):
        with open(path, "w", encoding="utf-8") as target:
            target.write(text)
        self.own(path)

    @staticmethod
    def read(path):
        try:
            with open(path, encoding="utf-8") as source:
                return source.read()
        except OSError:
            return ""

    def program(self, name):
        return os.path.join(self.session.bin, name)

    def start_victim(self, command):
        """A process of the host that the attempt may attack; it is ended with the context."""
        self.victim = subprocess.Popen(self.as_user + command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env={})

    @staticmethod
    def now():
        return time.monotonic()

    def named(self, name):
        return bvhost.named(name, self.others)

    def bound(self, dimension):
        """Outside: what the inside run was allowed at most. The harness runs inside first for budgets."""
        return self.session.bounds[dimension]

    def close(self):
        if self.victim:
            with contextlib.suppress(ProcessLookupError):
                self.victim.kill()
            self.victim.wait()
            self.victim.stdout.close()
        if self.listener:
            self.listener.close()
        for action in self.at_end:
            action()
        for fd in self.fds.values():
            os.close(fd)
        # What an attempt left running outside (kill_daemon): only processes that wear this run's own random name.
        for pid in self.named(self.name) + self.named(self.name[::-1]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        shutil.rmtree(self.base, ignore_errors=True)


class Session:
    """All runs as one user."""

    def __init__(self, arguments, uid):
        self.uid = uid
        self.as_user = []
        if uid != os.getuid():
            self.as_user = [os.path.join(arguments.attempts, "as_user"), str(uid)]
        self.wrap = arguments.wrap.split() if arguments.wrap else []
        self.top = tempfile.mkdtemp(prefix="bvt-")
        os.chmod(self.top, 0o755)
        self.bin, self.bvisor = arguments.attempts, arguments.bvisor
        if not arguments.in_place:
            self.copy_programs()
        self.jq = shutil.which("jq")
        self.tested, self.held, self.reasons, self.probed = set(), set(), {}, {}
        self.bounds = {}
        self.own_cpu = []
        self.inside_only = arguments.inside_only

    def copy_programs(self):
        """The build directory may be out of an ordinary user's reach."""
        built, self.bin = self.bin, os.path.join(self.top, "bin")
        shutil.copytree(built, self.bin, ignore=lambda top, names: [
            name for name in names if not os.access(os.path.join(top, name), os.X_OK) or os.path.isdir(os.path.join(top, name))])
        os.chmod(self.bin, 0o755)
        self.bvisor = shutil.copy(self.bvisor, os.path.join(self.top, "bvisor"))
        os.chmod(self.bvisor, 0o755)

    def close(self):
        shutil.rmtree(self.top, ignore_errors=True)

    def probe(self):
        """{cell: enforcement} as the product states it."""
        state = os.path.join(self.top, "state")
        os.makedirs(state, exist_ok=True)
        os.chmod(state, 0o777)
        text = subprocess.run(self.as_user + self.wrap + [self.bvisor, "probe", "--json", "--journal", state],
                              capture_output=True, check=True, env={}).stdout
        document = bvschema.read(text)
        self.probed = document["probed"]
        self.reasons = {f"probe: {row['kind']}": row["why"] for row in document["matrix"] if row["enforcement"] == "unsupported"}
        self.reasons |= {f"probe: {name}": row["why"] for name, row in document["budget"].items() if not row["can_bound"]}
        cells = {row["kind"]: row["enforcement"] for row in document["matrix"]}
        for dimension, row in document["budget"].items():
            supplied = row.get("supplied", row)
            cells[dimension] = supplied.get("guarantee", "unsupported") if row.get("can_bound", True) else "unsupported"
        return cells

    def own_cpu_micros(self):
        """Processor time of a run whose workload does nothing: bvisor's own at least, which a witness of the whole child counts too."""
        while len(self.own_cpu) < LOOKS:
            command = [*self.as_user, *self.wrap, self.bvisor, "run", "--no-journal", "-q", "--", os.path.join(self.bin, "payload"), "x"]
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={"PATH": os.environ["PATH"]})
            status, usage = self.reap(child, time.monotonic() + 60)
            if child.returncode == REFUSED:
                return 0.0  # nothing can run here, and the case that asks will be refused too
            if status != 0:
                raise RuntimeError(f"a run of a trivial workload ended with {status}")
            self.own_cpu.append((usage.ru_utime + usage.ru_stime) * 1e6)
        return min(self.own_cpu)

    def command(self, case, ctx):
        attempt = [ctx.program(case.attempt)] + list(case.args(ctx)) + ([f"patience={ctx.patience}"] if ctx.patience > 1 else [])
        if not ctx.inside:
            return (case.between(ctx) if case.between else case.wrapper(ctx) if case.wrapper else []) + attempt
        options = (list(case.options(ctx)) if callable(case.options) else list(case.options)) + ctx.more_options
        ctx.options = options
        report = ["-q", "--report", ctx.base + "/report.json"]
        report += [] if "--journal" in ctx.options else ["--no-journal"]
        if case.between:
            # Planned, then something changes (between() says in what the rest is started), then the saved plan is run.
            plan = subprocess.run([*self.as_user, *self.wrap, ctx.bvisor, "plan", "--json", *options, "--", *attempt], capture_output=True, check=True,
                                  env={}).stdout.decode()
            ctx.write(ctx.base + "/plan.json", plan)
            return [*self.wrap, *case.between(ctx), ctx.bvisor, "exec", ctx.base + "/plan.json", *report]
        if not case.edit:
            return [*(case.enclosed(ctx) if case.enclosed else []), *self.wrap, ctx.bvisor, "run", *report, *options, "--", *attempt]
        # What the command line cannot say is edited into the spec that it prints.
        printed = subprocess.run([self.bvisor, "plan", *options, "--print-spec", "--", *attempt], capture_output=True, check=True, env={})
        spec = bvschema.read(printed.stdout)
        case.edit(spec)
        ctx.write(ctx.base + "/spec.json", json.dumps(spec))
        return [*self.wrap, self.bvisor, "run", *report, "--spec", ctx.base + "/spec.json"]

    def run(self, case, ctx):
        """Starts the attempt, looks on while it runs, and fills in what came out."""
        saved = {}
        for number, fd in ctx.fds.items():
            with contextlib.suppress(OSError):
                saved[number] = os.dup(number)
            os.dup2(fd, number)
        environment = case.environment(ctx) if case.environment else {}
        started = time.monotonic()
        out_path, err_path = ctx.base + "/out", ctx.base + "/err"
        with open(out_path, "wb") as out, open(err_path, "wb") as err:
            child = subprocess.Popen(ctx.as_user + self.command(case, ctx), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                     env={"PATH": os.environ["PATH"], **environment}, pass_fds=tuple(ctx.fds), cwd=getattr(ctx, "cwd", "/"))
        for number in ctx.fds:
            os.close(number)
            if number in saved:
                os.dup2(saved[number], number)
                os.close(saved[number])
        sampler = bvhost.Sampler(lambda: case.look(ctx)) if case.look else None
        status, usage = self.reap(child, started + case.wall + 10)
        if sampler:
            sampler.stop()
        ctx.cpu_micros = (usage.ru_utime + usage.ru_stime) * 1e6
        ctx.status = os.waitstatus_to_exitcode(status)
        with open(out_path, "rb") as out, open(err_path, "rb") as err:
            ctx.raw_out, ctx.raw_err = out.read(), err.read()
        ctx.out, ctx.err = ctx.raw_out.decode("latin-1"), ctx.raw_err.decode("latin-1")
        if ctx.inside:
            self.read_report(case, ctx)

    @staticmethod
    def reap(child, deadline):
        ended = os.pidfd_open(child.pid)
        if not select.select([ended], [], [], max(0, deadline - time.monotonic()))[0]:
            child.kill()
        os.close(ended)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        return status, usage

    @staticmethod
    def read_report(case, ctx):
        try:
            with open(ctx.base + "/report.json", encoding="utf-8") as text:
                document = bvschema.read(text.read())
        except (OSError, ValueError) as problem:
            ctx.complaint = f"no readable report ({problem}), exit {ctx.status}: {ctx.err.strip()[-300:]}"
            return
        if document.get("schema") == "bvisor.refusal/1":
            ctx.refusal = document
        elif document.get("schema") == "bvisor.report/1":
            ctx.report = document["body"]
            ctx.body_hash = document["body_hash"]
        elif document.get("schema") == "bvisor.error/1" and case.refused:
            # A root that is no longer what a document may name is the document's error (INTERFACE.md 2).
            ctx.refusal = {"reason": "error", "items": [{"why": document["message"]}]}
        else:
            ctx.complaint = f"{document.get('schema')}: {document}"

    def seal_problem(self, ctx):
        """Anyone's check of a report: canonical body, hashed."""
        if not self.jq:
            return None
        body = subprocess.run([self.jq, "-cSj", ".body", ctx.base + "/report.json"], capture_output=True, check=True).stdout
        return None if "sha256:" + hashlib.sha256(body).hexdigest() == ctx.body_hash else "the seal does not match jq's reading"

    def report_problem(self, case, ctx):
        """What every report of a run must say, whatever the attempt was; None if all is well."""
        report = ctx.report
        if report["outcome"] == "unsupported" and case.refused and BANNER not in ctx.out and ctx.status == 126:
            return self.seal_problem(ctx)
        if report["outcome"] in ("supervisor_fault", "unsupported"):
            faults = [finding["detail"] for finding in report["findings"] if finding["kind"] == report["outcome"]]
            return f"outcome {report['outcome']}: {'; '.join(faults)}"
        if ctx.banner and not ctx.out.startswith(BANNER):
            return "the attempt did not run inside: no banner"
        kinds = {item["kind"] for item in report["admitted"]}
        missing = [cell for cell in case.cells if cell not in cases.DIMENSIONS and cell not in kinds]
        if missing:
            return f"the report admits no {missing}"
        if case.recorded and "denied_attempts" in report["evidence"]["supplied"]:
            if case.recorded not in {item["kind"] for item in report["denied"]}:
                return f"denied_attempts is supplied but no denial of {case.recorded} is recorded"
        return self.seal_problem(ctx)

    def set_bounds(self, ctx):
        for dimension, witness in ctx.report["budget"].items():
            limit = witness["limit"]
            overshoot = witness["supplied"].get("max_overshoot", 0) if isinstance(witness["supplied"], dict) else 0
            self.bounds[dimension] = float("inf") if limit == "unlimited" else limit + (overshoot or 0)

    def enter(self, case, inside, more_options=(), look=0):
        ctx = Context(self, inside)
        ctx.patience = PATIENCE ** look
        ctx.more_options = list(more_options)
        if case.prepare:
            case.prepare(ctx)
        ctx.digest_trees()
        return ctx

    @staticmethod
    def unlimited(case, ctx):
        """Options that ask for no bound where this layout cannot give the default one, unless that bound is what the case is about."""
        dimensions = [item.get("dimension") for item in ctx.refusal["items"]]
        if any(dimension not in UNLIMITED or dimension in case.cells or UNLIMITED[dimension] in ctx.options for dimension in dimensions):
            return []
        return [word for dimension in dimensions for word in (UNLIMITED[dimension], "unlimited")]

    def try_outside(self, case):
        """What happens once outside can happen. The host may look too late on a slow machine, so it gets three chances to see it."""
        for look in range(LOOKS):
            with contextlib.closing(self.enter(case, False, look=look)) as ctx:
                self.run(case, ctx)
                ctx.happened = case.judge(ctx)
            if ctx.happened:
                break
        return ctx

    def try_case(self, case, more_options=(), attempts=LOOKS, rounds=1):
        """(ok, text): both runs of one case, judged. What must fail inside is tried once, or as often as a race needs, unless
        a figure of the host's is noisy; what must work may be seen at last."""
        with contextlib.closing(self.enter(case, True, more_options, LOOKS - attempts)) as ctx:
            self.run(case, ctx)
            if ctx.refusal and not more_options and self.unlimited(case, ctx):
                return self.try_case(case, self.unlimited(case, ctx))
            if hasattr(ctx, "complaint"):
                return False, ctx.complaint
            if ctx.refusal:
                why = f"{ctx.refusal['reason']}: " + "; ".join(item.get("why", "") for item in ctx.refusal["items"])
                wanted = 125 if ctx.refusal["reason"] == "error" else REFUSED
                problem = f"a refusal, but exit {ctx.status}, output {ctx.out[:80]!r}" if ctx.status != wanted or BANNER in ctx.out else None
                if not problem and ctx.refusal["reason"] in ("unsupported", "budget_refused", "invalid_policy"):
                    self.reasons |= {f"{case.name}: {item.get('dimension') or item.get('kind')}": item["why"] for item in ctx.refusal["items"]}
                if problem or not case.refused:
                    return not problem, problem or f"refused here, nothing ran: {why}"
                ctx.err = why
            else:
                self.set_bounds(ctx)
                problem = self.report_problem(case, ctx)
            happened_inside = case.judge(ctx)
            figures = f" (inside {ctx.peak:.0f}, bound {self.bounds[case.cells[0]]:.0f}" if hasattr(ctx, "peak") else ""
            trace = ctx.err.strip().replace("\n", "; ")[-700:]
        # The processor time of a virtual machine holds what its host took away: the smallest of three measurements counts. What
        # evades the budget uses all that it wants each time.
        again = not happened_inside if case.expect == cases.WORKS else happened_inside and case.noisy
        if again and not problem and attempts > 1:
            return self.try_case(case, more_options, attempts - 1)
        if rounds < case.rounds and not problem and not happened_inside:
            return self.try_case(case, more_options, attempts, rounds + 1)
        if self.inside_only:
            return self.verdict(case, happened_inside, problem, figures + (")" if figures else ""), trace)
        outside = self.try_outside(case)
        figures += f", outside {outside.peak:.0f})" if figures else ""
        if not outside.happened:
            return False, f"no teeth: it did not happen outside either{figures}; {outside.err.strip()[-500:]}"
        return self.verdict(case, happened_inside, problem, figures, trace)

    def verdict(self, case, happened_inside, problem, figures, trace):
        if problem:
            return False, f"{problem}; {trace}"
        wanted = case.expect == cases.WORKS
        if happened_inside != wanted:
            return False, ("IT HAPPENED INSIDE" if happened_inside else "granted, but it failed inside") + f"{figures}; {trace}"
        self.tested.update(case.cells)
        if not wanted:
            self.held.update(case.cells)
        also = "" if self.inside_only else " and outside" if wanted else ", happened outside"
        return True, ("works inside" if wanted else "held inside") + also + figures


def claim_lines(session, cells, chosen):
    """(ok, text) per cell: `enforced` needs an attempt that ran here."""
    for cell, enforcement in sorted(cells.items()):
        tied = [case.name for case in chosen if cell in case.cells]
        if enforcement == "enforced" and cell not in session.tested:
            yield False, f"claim {cell}: enforced, but no attempt tested it here (tied: {', '.join(tied) or 'none'})"
        else:
            yield True, f"claim {cell}: {enforcement}, {len(tied)} attempts"


def audit_lines(session, cells):
    """(ok, text) per reason, then what was found in all: cells attacked and held, reasons true."""
    true = 0
    for what, why in sorted(session.reasons.items()):
        wrong = causes.problem(why, session.probed, session.as_user)
        true += wrong is None
        yield wrong is None, f"reason {what}: {why}" + (f": {wrong}" if wrong else ": true")
    enforced = {cell for cell, enforcement in cells.items() if enforcement == "enforced"}
    held, works = enforced & session.held, enforced & session.tested - session.held
    yield True, (f"audit: {len(enforced)} cells enforced, {len(held)} attacked and held, {len(works)} shown to do what they grant"
                 f"{' (' + ', '.join(sorted(works)) + ')' if works else ''}, {len(enforced - session.tested)} untested")
    yield true == len(session.reasons), f"audit: {len(session.reasons)} refusals, {true} with a reason found true on the host"


def run_all(session, chosen, emit, times):
    for case in chosen:
        began = time.monotonic()
        label = f"{'root' if session.uid == 0 else 'user'} {case.name}"
        if case.uid is not None and case.uid != session.uid:
            continue
        why = case.need() if case.need else None
        if why:
            emit(True, f"{label} # SKIP {why}")
            continue
        try:
            ok, text = session.try_case(case)
        except Exception as problem:  # pylint: disable=broad-except
            ok, text = False, f"the harness failed: {type(problem).__name__}: {problem}"
        spent = f" [{time.monotonic() - began:.1f} s]" if times else ""
        emit(ok, f"{label}: {text}{spent}")


def brief(chosen, session, cells):
    """Budgets, kills and the temp root rest on the layout; every other cell that is enforced gets attempts until one has tested it."""
    for case in sorted(chosen, key=lambda case: case.expect == cases.WORKS):
        of_layout = case.name.split(".")[0] in ("budget", "kill", "tmp")
        open_cells = [cell for cell in case.cells if cells.get(cell) == "enforced" and cell not in session.tested]
        if of_layout or (case.uid is None and open_cells):
            yield case


def print_table(cells, user):
    print(f"What `bvisor probe` claims for {user}, and the attempts that test it inside and outside:\n")
    for cell in list(cells):
        tied = [case for case in ALL if cell in case.cells]
        print(f"{cell:26} {cells[cell]:12} {len(tied):2} attempts")
        for case in tied:
            note = f"ATTACKS {case.attack}" if case.attack else ""
            print(f"    {case.name:30} {'must work' if case.expect == cases.WORKS else 'must fail':10} {note}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bvisor", required=True)
    parser.add_argument("--attempts", required=True)
    parser.add_argument("--as", dest="who", choices=("root", "user"))
    parser.add_argument("--only")
    parser.add_argument("--wrap", help="starts every bvisor: a program that enters a cgroup, say")
    parser.add_argument("--brief", action="store_true", help="what a cgroup layout changes, and one attempt for every other cell")
    parser.add_argument("--inside-only", action="store_true", help="the same attempts are run outside elsewhere, on the same kernel")
    parser.add_argument("--in-place", action="store_true", help="every user can reach the programs where they are: do not copy them")
    parser.add_argument("--times", action="store_true", help="adds to each line what it took")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--audit", action="store_true")
    arguments = parser.parse_args()
    root = os.getuid() == 0
    if arguments.who == "root" and not root:
        print("1..0 # SKIP not started as root")
        return SKIPPED
    who = arguments.who or ("root" if root else "user")
    uid = 0 if who == "root" else (bvhost.USER if root else os.getuid())
    session = Session(arguments, uid)
    results = []

    def emit(ok, text):
        results.append(ok)
        line = f"{'ok' if ok else 'not ok'} {len(results)} - {text}"
        # One line, and nothing that a program wrote may reach the terminal or end the TAP stream.
        print("".join(character if " " <= character <= "~" else "." for character in line), flush=True)

    try:
        cells = session.probe()
        if arguments.table:
            print_table(cells, f"uid {uid}")
            return 0
        chosen = [case for case in ALL if not arguments.only or arguments.only in case.name]
        if arguments.brief:
            chosen = brief(chosen, session, cells)
        run_all(session, chosen, emit, arguments.times)
        if not arguments.only:
            for ok, text in claim_lines(session, cells, ALL):
                emit(ok, f"{who} {text}")
        if arguments.audit:
            for ok, text in audit_lines(session, cells):
                emit(ok, f"{who} {text}")
        print(f"1..{len(results)}")
    finally:
        session.close()
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
