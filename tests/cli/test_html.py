"""tests/cli/test_html.py - show --html: one self-contained page; hostile output stays text; a real browser, where there is one, shows it."""

import html.parser
import json
import os
import shutil
import subprocess

from clitest import bvisor, can_run, done, fresh_directory, ok, skip, write

top = fresh_directory()
HOSTILE = "</pre><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">&amp;<!-- '\"><b>\n\x1b[2Jred\u202e\x07"
ALLOWED = {"html", "head", "meta", "title", "style", "body", "section", "header", "h1", "h2", "p", "br", "code", "pre", "span", "table", "tr", "th",
           "td", "div", "i"}


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def check(name, path):
    with open(path, encoding="utf-8") as text:
        page = Page(text.read())
    ok(set(page.tags) <= ALLOWED, f"{name}: no markup but the page's own", set(page.tags) - ALLOWED)
    names = {(tag, name) for tag, name, _ in page.attributes}
    ok(not any(name.startswith("on") or name in ("src", "href") for _, name in names), f"{name}: runs nothing, fetches nothing", names)
    ok(any("default-src 'none'" in (value or "") for _, _, value in page.attributes), f"{name}: and forbids itself to")
    return page


def browse(name, path):
    browser = shutil.which("chromium")
    if not browser:
        skip(f"{name} in a browser", "chromium is not installed (tools/packages.sh html)")
        return
    base = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={top}/profile",
            "--window-size=1100,1800", "--virtual-time-budget=2000"]
    env = {"PATH": "/usr/bin:/bin", "HOME": top}
    shown = subprocess.run([*base, "--dump-dom", "file://" + path], capture_output=True, check=False, timeout=120, env=env)
    dom = Page(shown.stdout.decode("utf-8", "replace"))
    ok("<title>bvisor report</title>" in shown.stdout.decode("utf-8", "replace"), f"{name}: the browser's title is ours", shown)
    ok(set(dom.tags) <= ALLOWED | {"tbody"} and "Budgets" in dom.text, f"{name}: the browser's tree holds our elements only", set(dom.tags))
    picture = os.path.join(os.environ.get("BV_PICTURES", top), name.replace(" ", "-") + ".png")
    subprocess.run([*base, f"--screenshot={picture}", "file://" + path], capture_output=True, check=False, timeout=120, env=env)
    ok(os.path.exists(picture) and os.path.getsize(picture) > 10000, f"{name}: a picture of it", picture)


if not can_run():
    skip("pages", "this machine holds no run")
    done()

report, page = os.path.join(top, "r.json"), os.path.join(top, "page.html")
bvisor("run", "--no-journal", "--report", report, "--system", "--spawn", "any", "--mem", "64M", "--wall", "2s", "--cpu", "1s", "--tmp=8M", "sh", "-c",
       "echo hello; (unshare -U true; head -c 3000000 /dev/zero >/tmp/x) 2>&1; exit 3")
ok(bvisor("show", report, "--html", page).code == 0, "a page of a failed run")
shown = check("a failed run", page)
with open(report, encoding="utf-8") as text:
    document = json.load(text)
for part in ("failed", "exit status 3", "hello", document["body_hash"], document["body"]["attempt"], "Asked for, and what holds it", "matches",
             "Budgets", "Denied"):
    ok(part in shown.text, f"the page says {part[:30]}")
bars = [value for tag, name, value in shown.attributes if tag == "i" and name == "style"]
limits = [row for row in document["body"]["budget"].values() if isinstance(row["limit"], int) and row["observed"] is not None]
ok(len(bars) == len(limits) > 2 and all(value.startswith("width:") for value in bars), "a bar for each limit", (bars, limits))
browse("a failed run", page)

bvisor("run", "--no-journal", "--report", report, "--system", "sh", "-c", 'printf "%s" "$1"; printf "%s" "$1" >&2', "sh", HOSTILE)
ok(bvisor("show", report, "--html", page).code == 0, "a page of a hostile run")
shown = check("a hostile run", page)
ok("document.title='owned'" in shown.text and "\x1b" not in shown.text and "\u202e" not in shown.text, "its output is there, as text")
browse("a hostile run", page)

with open(report, encoding="utf-8") as text:
    document = json.load(text)
document["body"]["outcome"] = "<script>alert(1)</script>"
document["body"]["denied"] = [{"kind": "<b>", "detail": "\"'><script>", "count": 1}]
document["body"]["budget"]["wall_micros"]["mechanism"] = "<style>"
document["body"]["artifacts"] = [{"artifact_id": "x", "root": "<i>", "path": "</td><script>", "change": "added", "kind": "file", "size": 3}]
write(top + "/forged.json", json.dumps(document))
result = bvisor("show", top + "/forged.json", "--html", page)
ok(result.code == 1, "a page of a forged report tells so by its status", result)
ok("Do not rely on anything" in check("a forged report", page).text, "and at its top")
ok(bvisor("show", report, "--html", top + "/none/page").code == 125, "a page that cannot be written")
done()
