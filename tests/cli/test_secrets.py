"""--secrets: a strict object of strings; values reach the workload and nothing else."""

import json
import os
import subprocess

from clitest import BVISOR, bvisor, can_run, done, fresh_directory, ok, skip, write

top = fresh_directory()
secrets = os.path.join(top, "secrets.json")
VALUE = "s3cret-value-that-appears-nowhere"

BAD = [
    (b"", "line 1 column 1: one JSON object"),
    (b"[]", "one JSON object"),
    (b'"x"', "one JSON object"),
    (b"{", "a reference in quotes"),
    (b'{"a"', "':' must stand here"),
    (b'{"a":', "a value must be a string"),
    (b'{"a":1}', "a value must be a string"),
    (b'{"a":null}', "a value must be a string"),
    (b'{"a":{"b":"c"}}', "a value must be a string"),
    (b'{"a":"b"', "',' or '}' must stand here"),
    (b'{"a":"b",}', "a reference in quotes"),
    (b'{"a":"b" "c":"d"}', "',' or '}'"),
    (b'{"a":"b"}x', "something follows"),
    (b'{"a":"b"}\0', "something follows"),
    (b'{"a":"b","a":"c"}', "a reference is given twice"),
    (b'{"a":"b","\\u0061":"c"}', "a reference is given twice"),
    (b'{"":"b"}', "1 to 255 bytes"),
    (b'{"' + b"a" * 256 + b'":"b"}', "1 to 255 bytes"),
    (b'{"a":"b', "a string does not end"),
    (b'{"a":"b\\', "a string does not end"),
    (b'{"a":"\\u00', "four hexadecimal digits"),
    (b'{"a":"\\u00g0"}', "four hexadecimal digits"),
    (b'{"a":"\\u0000"}', "a string holds NUL"),
    (b'{"a":"\\ud800"}', "a surrogate stands alone"),
    (b'{"a":"\\ud800\\u0041"}', "a surrogate stands alone"),
    (b'{"a":"\\udc00"}', "a surrogate stands alone"),
    (b'{"a":"\\x41"}', "an unknown escape"),
    (b'{"a":"\xff"}', "a string is not UTF-8"),
    (b'{"a":"\xed\xa0\x80"}', "a string is not UTF-8"),
    (b'{"a":"\n"}', "a control character must be escaped"),
    (b'{\n "a": "b",\n  "c" "d"\n}', "line 3 column 7"),
    (b'{' + b",".join(b'"%d":"x"' % i for i in range(1025)) + b'}', "more than 1024 members"),
    (b" " * (600 << 10), "cannot be read into locked memory"),
]
for text, part in BAD:
    write(secrets, text)
    result = bvisor("run", "--secrets", secrets, "--system", "true")
    lines = result.lines()
    ok(result.code == 125 and len(lines) == 1 and part in lines[0], f"{text[:40]!r}: {part}", result)
result = bvisor("run", "--secrets", top, "--system", "true")
ok(result.code == 125 and len(result.lines()) == 1, "a directory", result)
write(secrets, json.dumps({"ci/token": VALUE}) + "]")
result = bvisor("run", "--json", "--secrets", secrets, "--system", "true")
ok(VALUE.encode() not in result.out + result.err and result.code == 125, "a complaint does not quote the file", result)

if not can_run():
    skip("leases", "this machine holds no ordinary run")
    done()

for text, value in ((b'{"r":"plain"}', b"plain"), (b' { "r" : "" , "q":"x" } \n', b""),
                    (br'{"r":"\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00"}',
                     b'"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'),
                    ('{"q":"1","r":"é€😀"}'.encode(), "é€😀".encode())):
    write(secrets, text)
    result = bvisor("run", "--secrets", secrets, "--system", "--env-secret", "TOKEN=r", "sh", "-c", 'printf %s "$TOKEN"')
    ok(result.code == 0 and result.out == value, f"the value of {text[:30]!r}", result)

write(secrets, json.dumps({"ci/token": VALUE, "other": "x"}), 0o600)
report = os.path.join(top, "report.json")
result = bvisor("run", "-v", "--report", report, "--secrets", secrets, "--system", "--env-secret", "TOKEN=ci/token", "sh", "-c",
                f'test "$TOKEN" = {VALUE[:3]}"{VALUE[3:]}"')
with open(report, "rb") as kept:
    text = kept.read()
ok(result.code == 0 and b"ci/token" in text, "the workload has the value, the report the reference", result)
ok(VALUE.encode() not in result.err + result.out, "-v does not say it", result)
body = json.loads(text)["body"]
environment = [item for item in body["admitted"] if item["kind"] == "environment"]
ok(VALUE not in json.dumps(environment), "no document says it", environment)
result = bvisor("run", "--secrets", secrets, "--system", "--env-secret", "TOKEN=absent", "sh", "-c", "echo started")
ok(result.code == 126 and b"absent" in result.err and result.out == b"", "an unknown reference is refused", result)
result = bvisor("run", "--system", "--env-secret", "TOKEN=ci/token", "sh", "-c", "echo started")
ok(result.code == 126 and result.out == b"", "without --secrets every reference is unknown", result)
result = bvisor("run", "--secrets", secrets, "--system", "sh", "-c", "echo ${TOKEN-none}")
ok(result.out == b"none\n", "a value that nobody asked for goes nowhere", result)
plan = os.path.join(top, "plan.json")
ok(bvisor("plan", "--report", plan, "-q", "--system", "--env-secret", "TOKEN=ci/token", "sh", "-c",
          'printf %s "$TOKEN"').code == 0, "plan asks for no value")
result = bvisor("exec", plan, "--secrets", secrets)
ok(result.code == 0 and result.out == VALUE.encode(), "exec resolves", result)
# While the workload runs, the supervisor has forgotten what it delivered.
process = subprocess.Popen([BVISOR, "run", "--secrets", secrets, "--system", "--env-secret", "TOKEN=ci/token", "sh", "-c",
                            "echo up >&2; exec sleep 60"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
process.stderr.readline()
found, seen = [], 0
try:
    with open(f"/proc/{process.pid}/maps", encoding="ascii") as maps, open(f"/proc/{process.pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, mode = line.split()[:2]
            start, end = (int(number, 16) for number in span.split("-"))
            if mode.startswith("rw"):
                memory.seek(start)
                seen += 1
                if VALUE.encode() in memory.read(end - start):
                    found.append(line)
except PermissionError as why:
    skip("the supervisor's memory", str(why))
process.terminate()
process.communicate(timeout=30)
ok(process.returncode == 137 and not found, f"no value in {seen} writable mappings of the supervisor while the workload runs", found)
read_end, write_end = os.pipe()
os.write(write_end, json.dumps({"ci/token": VALUE}).encode())
os.close(write_end)
result = bvisor("exec", plan, "--secrets", f"/dev/fd/{read_end}", pass_fds=(read_end,))
ok(result.code == 0 and result.out == VALUE.encode(), "secrets from a pipe", result)

done()
