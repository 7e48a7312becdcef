"""tests/wasm/modules.py - hand-made modules for where no compiler is: a few bytes of the binary format at a time.

A module has one memory, the imports that are asked for, and _start with the code that is given.
"""

I32 = 0x7F
WASI = "wasi_snapshot_preview1"


def leb(value):
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def sleb(value):
    out = bytearray()
    while True:
        byte, value = value & 0x7F, value >> 7
        done = (value == 0 and not byte & 0x40) or (value == -1 and byte & 0x40)
        out.append(byte | (0 if done else 0x80))
        if done:
            return bytes(out)


def vec(items):
    return leb(len(items)) + b"".join(items)


def text(value):
    raw = value.encode()
    return leb(len(raw)) + raw


def section(number, body):
    return bytes([number]) + leb(len(body)) + body


def functype(params, results):
    return b"\x60" + vec([bytes([p]) for p in params]) + vec([bytes([r]) for r in results])


def module(code, imports=(), pages=1, table=None, local_groups=(), data=(), export="_start", start=False):
    """code: the body of _start without its end. imports: (module, name, params, results). local_groups: (count, type)."""
    types = [functype([], [])] + [functype(params, results) for _, _, params, results in imports]
    out = b"\0asm\x01\0\0\0" + section(1, vec(types))
    if imports:
        out += section(2, vec([text(m) + text(n) + b"\0" + leb(i + 1) for i, (m, n, _, _) in enumerate(imports)]))
    out += section(3, vec([leb(0)]))
    if table is not None:
        out += section(4, vec([b"\x70\0" + leb(table)]))
    out += section(5, vec([b"\0" + leb(pages)]))
    out += section(7, vec([text(export) + b"\0" + leb(len(imports)), text("memory") + b"\x02\0"]))
    if start:
        out += section(8, leb(len(imports)))
    body = vec([leb(count) + bytes([kind]) for count, kind in local_groups]) + code + b"\x0b"
    out += section(10, vec([leb(len(body)) + body]))
    if data:
        out += section(11, vec([b"\0\x41" + sleb(offset) + b"\x0b" + leb(len(raw)) + raw for offset, raw in data]))
    return out


def const(value):
    return b"\x41" + sleb(value)


def loop(body):
    """Without end."""
    return b"\x03\x40" + body + b"\x0c\x00\x0b"


def call(index, *operands):
    return b"".join(const(o) for o in operands) + b"\x10" + leb(index)


DROP = b"\x1a"
UNREACHABLE = b"\x00"
SPIN = loop(b"")
GROW_MEMORY = loop(const(1) + b"\x40\x00" + DROP)
GROW_TABLE = loop(b"\xd0\x70" + const(1000) + b"\xfc\x0f\x00" + DROP)
DIVIDE = const(1) + const(0) + b"\x6d" + DROP
LOAD_OUTSIDE = const(-4) + b"\x28\x02\x00" + DROP
