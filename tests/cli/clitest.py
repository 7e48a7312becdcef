"""tests/cli/clitest.py - what the tests of the command share: TAP lines, a fresh directory, and one way to call bvisor.

Every document that a call writes, to standard output or by --report, is held against its schema; done() tells.

usage of every test here: test_X.py BVISOR
"""

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import bvschema  # noqa: E402  pylint: disable=wrong-import-position

BVISOR = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else None
HERE = os.path.dirname(os.path.abspath(__file__))
MUST_RUN = os.environ.get("BV_TESTS_MUST_RUN") == "1"

_documents = 0  # written by bvisor and checked
_wrong = []
_count = 0
_failed = 0


def fresh_directory():
    """A directory of our own that is gone when the test is; resolved, as a spec's paths must be."""
    path = os.path.realpath(tempfile.mkdtemp(prefix="bvisor-test-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    os.chmod(path, 0o755)
    return path


@functools.lru_cache(maxsize=None)
def state_home():
    return fresh_directory()


os.environ["XDG_STATE_HOME"] = state_home()  # of what a test starts without bvisor(), too


def ok(condition, name, detail=""):
    global _count, _failed
    _count += 1
    if not condition:
        _failed += 1
    print(f"{'ok' if condition else 'not ok'} {_count} - {name}".replace("#", "no."), flush=True)
    if not condition and detail != "":
        for line in str(detail).split("\n"):
            print("# " + line)
    return bool(condition)


def skip(name, why):
    """A test that this machine cannot run; a failure where nothing may be skipped."""
    global _count
    if MUST_RUN:
        ok(False, name, why)
        return
    _count += 1
    print(f"ok {_count} - {name} # SKIP {why}", flush=True)


def _hold(where, text):
    """Checks a text against its schema if it is a document at all."""
    global _documents
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    if bvschema.kind_of(document):
        _documents += 1
        _wrong.extend(f"{where}: {problem}" for problem in bvschema.problems(document))


def _hold_all(args, result, cwd):
    _hold(" ".join(map(str, args)), result.out)
    for flag, path in zip(args, args[1:]):
        path = os.path.join(cwd or ".", os.fsdecode(path)) if flag == "--report" else None
        if path and os.path.isfile(path):
            with open(path, "rb") as text:
                _hold(path, text.read())


def done():
    if _documents:
        ok(not _wrong, f"all {_documents} documents validate by their schemas", "\n".join(_wrong[:5]))
    print(f"1..{_count}")
    sys.exit(1 if _failed else 0)


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    def lines(self):
        return self.err.decode("utf-8", "replace").splitlines()

    def document(self):
        """The one document of standard output, or None when it is not exactly that."""
        try:
            return json.loads(self.out)
        except ValueError:
            return None

    def __repr__(self):
        return f"status {self.code}\nout {self.out[:600]!r}\nerr {self.err[:600]!r}"


def bvisor(*args, stdin=b"", env=None, cwd=None, timeout=60, **more):
    """Runs the command. stdin: bytes, or a file."""
    feed = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    full = {"PATH": "/usr/local/bin:/usr/bin:/bin"} if env is None else env  # HOME is unset on purpose
    if "preexec_fn" not in more:  # who becomes another user has no HOME and so keeps no record
        full = {"XDG_STATE_HOME": state_home(), **full}  # never the record of whoever runs the tests
    process = subprocess.run([BVISOR, *map(_text, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=full, cwd=cwd,
                             timeout=timeout, check=False, **feed, **more)
    result = Result(process)
    _hold_all(args, result, cwd)
    return result


def _text(arg):
    return arg if isinstance(arg, (str, bytes)) else str(arg)


def write(path, text, mode=None):
    data = text if isinstance(text, bytes) else text.encode()
    with open(path, "wb") as out:
        out.write(data)
    if mode is not None:
        os.chmod(path, mode)
    return path


def budgets(**changed):
    names = ("wall_micros", "cpu_micros", "resident_bytes", "process_count", "handle_count", "storage_bytes", "network_bytes")
    made = {name: {"limit": "unlimited", "guarantee": "mediated", "evidence": []} for name in names}
    made["wall_micros"]["limit"] = 10000000
    made["process_count"]["limit"] = 1
    for name, limit in changed.items():
        made[name]["limit"] = limit
    return made


def spec(exe="/usr/bin/true", args=(), **changed):
    """A small valid spec as a dict; keyword arguments replace its members."""
    made = {
        "schema": "bvisor.spec/1",
        "workload": {"process": {"exe": exe, "args": list(args)}},
        "capabilities": [{"filesystem": {"access": "read", "execute": True, "roots": ["/usr"], "recursive": True,
                                         "confinement": "declared_roots_only"}}],
        "controls": [{"launch_workload": {}}, {"capture_streams": {"stdout": True, "stderr": True, "stdin": False}}],
        "budgets": budgets(),
        "evidence": {"require_captured_streams": False, "require_exit_status": False, "require": []},
    }
    made.update(changed)
    return made


_can_run = None


def can_run():
    """Whether this machine holds an ordinary run at all: asked once, with /usr/bin/true."""
    global _can_run
    if _can_run is None:
        _can_run = bvisor("run", "--system", "true").code == 0
    return _can_run
