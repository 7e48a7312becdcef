"""tests/kernels/image.py - the initial file system of the virtual machine: busybox, python3, the harnesses, bvisor.

A newc archive (Documentation/driver-api/early-userspace/buffer-format.rst) that the kernel unpacks into its root. Everything in
it comes from the machine that runs the tests; nothing needs a disk, a network or a kernel module.
"""

import ast
import os
import py_compile
import re
import shutil
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
PYTHON = "/usr/bin/python3"
# No jq: with it every report costs another half second here, and a seal depends on no kernel.
PROGRAMS = (PYTHON, "unshare", "mount", "sh")
# jsonschema and all that it needs would be most of the image, and whether a document has the published form depends on no
# kernel: the suites of the machine outside check it for the same documents. Inside they are parsed.
SCHEMA_STANDIN = b"""import json

read = json.loads


def kind_of(document):
    return None


def problems(document):
    return []
"""
LATE_MODULES = ("encodings.ascii", "encodings.latin_1", "encodings.idna", "stringprep", "runpy", "site", "resource")


MERGED = ("bin", "sbin", "lib", "lib64")  # links into usr, as on every Debian


def merged(name):
    name = name.lstrip("/")
    return "usr/" + name if name.split("/")[0] in MERGED else name


class Archive:
    """Entries of a newc archive; every file is root's."""

    def __init__(self, path):
        self.out, self.count = open(path, "wb"), 0
        self.known = {""}

    def entry(self, name, mode, data=b"", device=(0, 0)):
        self.count += 1
        name_bytes = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name_bytes), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name_bytes
        self.out.write(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    def parents(self, name):
        parent = os.path.dirname(name)
        if parent not in self.known:
            self.parents(parent)
            self.known.add(parent)
            self.entry(parent, stat.S_IFDIR | 0o755)

    def directory(self, name, mode=0o755):
        self.parents(name)
        if name not in self.known:
            self.known.add(name)
            self.entry(name, stat.S_IFDIR | mode)

    def file(self, name, data, mode=0o644):
        name = merged(name)
        if name not in self.known:
            self.parents(name)
            self.known.add(name)
            self.entry(name, stat.S_IFREG | mode, data)

    def copy(self, name, source):
        with open(source, "rb") as content:
            self.file(name, content.read(), 0o755 if os.access(source, os.X_OK) else 0o644)

    def link(self, name, target):
        name = merged(name)
        if name not in self.known:
            self.parents(name)
            self.known.add(name)
            self.entry(name, stat.S_IFLNK | 0o777, target.encode())

    def close(self):
        self.entry("TRAILER!!!", 0)
        self.out.write(bytes(-self.out.tell() % 512))
        self.out.close()


def libraries(path):
    """Shared libraries of a program, the loader included; none of a static one."""
    done = subprocess.run(["ldd", path], capture_output=True, check=False)
    return re.findall(r"(/\S+) \(0x", done.stdout.decode()) if done.returncode == 0 else []


def add_program(archive, path):
    real = os.path.realpath(path)
    archive.copy(real, real)
    if real != path:
        archive.link(path, real)
    for library in libraries(real):
        archive.copy(library, os.path.realpath(library))


def wanted_modules(harnesses):
    """Names of the modules outside of tests/ that the harnesses import."""
    names = set(LATE_MODULES)
    for harness in harnesses:
        with open(harness, encoding="utf-8") as text:
            for node in ast.walk(ast.parse(text.read())):
                names.update(alias.name for alias in node.names) if isinstance(node, ast.Import) else None
                names.update([node.module]) if isinstance(node, ast.ImportFrom) else None
    return sorted(names - {"bvschema"} - {os.path.splitext(os.path.basename(harness))[0] for harness in harnesses})


def imported(names):
    """Files of these modules and of everything that they import."""
    script = ("import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
              "for module in sys.modules.values(): print(getattr(module, '__file__', None) or '')")
    done = subprocess.run([PYTHON, "-I", "-c", script, *names], capture_output=True, check=True)
    return [path for path in done.stdout.decode().split("\n") if path]


def add_python(archive, harnesses, scratch):
    """Debian's interpreter and modules, compiled here, so that nothing is compiled in the slow machine."""
    for source in imported(wanted_modules(harnesses)):
        if not source.endswith(".py"):
            archive.copy(source, source)
            for library in libraries(source):
                archive.copy(library, os.path.realpath(library))
            continue
        cache = os.path.join(scratch, "module.pyc")
        py_compile.compile(source, cache, dfile=source, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        # The source goes along as an empty file: an import looks for it before it takes the cache.
        archive.file(source, b"")
        tag = f"{os.path.splitext(os.path.basename(source))[0]}.{sys.implementation.cache_tag}.pyc"
        archive.copy(os.path.join(os.path.dirname(source), "__pycache__", tag), cache)


def strip_into(archive, name, source, scratch):
    target = os.path.join(scratch, "stripped")
    done = subprocess.run(["strip", "-o", target, source], capture_output=True, check=False)
    archive.copy(name, target if done.returncode == 0 else source)


def make(path, bvisor, build_tests, scratch):
    """Writes the archive. build_tests: the build directory's tests/, which has the compiled attempts and payloads."""
    archive = Archive(path)
    for name in ("proc", "sys", "dev", "tmp", "run", "root", "etc", *("usr/" + name for name in MERGED)):
        archive.directory(name, 0o1777 if name == "tmp" else 0o755)
    for name in MERGED:
        archive.entry(name, stat.S_IFLNK | 0o777, b"usr/" + name.encode())
    archive.entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    with open(os.path.join(HERE, "guest.sh"), "rb") as script:
        archive.file("init", script.read(), 0o755)
    archive.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\nuser:x:1000:\n")
    archive.copy("bin/busybox", shutil.which("busybox"))
    for program in PROGRAMS:
        found = shutil.which(program)
        if found:
            add_program(archive, found)
    harnesses = [os.path.join(TESTS, "escape", name) for name in ("escape.py", "cases.py", "redteam.py", "causes.py", "load.py")]
    harnesses += [os.path.join(TESTS, "cli", name) for name in ("clitest.py", "test_badspec.py", "test_misuse.py")]
    harnesses.append(os.path.join(TESTS, "support", "bvhost.py"))
    for harness in harnesses:
        archive.copy("t/tests" + harness.removeprefix(TESTS), harness)
    archive.file("t/tests/support/bvschema.py", SCHEMA_STANDIN)
    add_python(archive, harnesses, scratch)
    strip_into(archive, "t/bvisor", bvisor, scratch)
    for top, names in (("escape", os.listdir(os.path.join(build_tests, "escape"))), ("linux", ("test_run", "run_payload"))):
        for name in names:
            source = os.path.join(build_tests, top, name)
            if os.path.isfile(source) and os.access(source, os.X_OK):
                strip_into(archive, f"t/{top}/{name}", source, scratch)
                for library in libraries(source):
                    archive.copy(library, os.path.realpath(library))
    archive.close()
