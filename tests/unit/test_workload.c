/* tests/unit/test_workload.c - does the file fit: kinds of workload, interpreters and the roots that must hold them. */
#include "contract/admission.h"

#include "base/check.h"
#include "support/fake.h"
#include "support/tap.h"

static struct fake fake;

static void set(char *target, const char *text)
{
    memcpy(target, text, strlen(text) + 1);
}

/* NULL: admitted. Else workload_incompatible whose first item's why holds the text. */
static void check(const struct request *request, size_t count, const char *why, const char *remedy,
                  const char *name)
{
    struct answer answer = fake_admit(&fake, request);
    if (!why) {
        tap_ok(answer.status == BV_OK, "%s: admitted (%s)", name,
               answer.refusal ? bv_refusal_why(answer.refusal, 0) : answer.error.text);
        answer_done(&answer);
        return;
    }
    bool good = answer.status == BV_E_REFUSED &&
                bv_refusal_reason(answer.refusal) == BV_REFUSED_WORKLOAD_INCOMPATIBLE;
    tap_ok(good, "%s: workload_incompatible", name);
    if (good) {
        tap_ok(bv_refusal_count(answer.refusal) == count, "%s: %zu items", name, count);
        tap_ok(strstr(bv_refusal_why(answer.refusal, 0), why) != NULL, "%s: why: %s", name,
               bv_refusal_why(answer.refusal, 0));
        tap_ok(strstr(bv_refusal_remedy(answer.refusal, 0), remedy) != NULL, "%s: remedy: %s", name,
               bv_refusal_remedy(answer.refusal, 0));
        tap_text(bv_refusal_what(answer.refusal, 0), "launch_workload", "%s: about the launch",
                 name);
    }
    answer_done(&answer);
}

static void test_kinds(void)
{
    static struct request request;
    request_init(&request);
    check(&request, 0, NULL, "", "a static program");
    request.identity.is_elf = false;
    check(&request, 1, "neither an ELF program nor a script", "", "a text file");
    request.identity.is_wasm = true;
    check(&request, 1, "is a Wasm module", "wasm workload", "a module as a process");
    request.spec.workload.kind = BV_WORKLOAD_WASM;
    check(&request, 0, NULL, "", "a module as a module");
    request.identity.is_wasm = false;
    request.identity.is_elf = true;
    check(&request, 1, "magic bytes", "process workload", "a program as a module");
    request_init(&request);
    set(request.identity.path, "/opt/app/\377");
    check(&request, 1, "no document can hold", "UTF-8", "a path that is not UTF-8");
}

static void test_loader(void)
{
    static struct request request;
    static const char *const usr[] = { "/usr" }, *const lib[] = { "/usr/lib" },
                             *const loader[] = { "/usr/lib/ld-linux.so.2" },
                             *const link[] = { "/lib64" };
    request_init(&request);
    set(request.identity.interpreter, "/lib64/ld-linux.so.2");
    check(&request, 1, "does not exist", "install", "a loader that is missing");
    set(request.identity.interpreter_path, "/usr/lib/ld-linux.so.2");
    check(&request, 1,
          "/lib64/ld-linux.so.2 (resolves to /usr/lib/ld-linux.so.2) is not inside an execute root",
          "--system", "no root");
    request_grant(&request, usr, BV_ACCESS_READ, false);
    check(&request, 1, "lies in the root /usr, which grants no execute", "--rx",
          "a root without execute");
    request_grant(&request, link, BV_ACCESS_READ, true);
    check(&request, 1, "grants no execute", "--rx", "a link is not a grant");
    request_grant(&request, lib, BV_ACCESS_READ, true);
    check(&request, 0, NULL, "", "a root with execute");
    request_grant(&request, loader, BV_ACCESS_READ, false);
    check(&request, 1, "grants no execute", "--rx", "the most specific root decides");
}

/* The kernel opens the loader as /lib64/..., and there stands what was exposed, without execute. */
static void test_exposed_loader(void)
{
    static struct request request;
    static const char *const usr[] = { "/usr" };
    struct bv_control expose = {
        .kind = BV_CTL_EXPOSE_PATH,
        .u.expose = { .source = "/usr/lib64", .dest = "/lib64", .access = BV_ACCESS_READ },
    };
    request_init(&request);
    set(request.identity.interpreter, "/lib64/ld-linux.so.2");
    set(request.identity.interpreter_path, "/usr/lib/ld-linux.so.2");
    request_grant(&request, usr, BV_ACCESS_READ, true);
    request_control(&request, expose);
    check(&request, 1, "where /lib64 is exposed", "leave that path out", "an exposed loader");
    expose.u.expose.dest = "/lib";
    request_drop(&request, BV_CTL_EXPOSE_PATH);
    request_control(&request, expose);
    check(&request, 0, NULL, "", "a path exposed elsewhere");
    expose.u.expose.dest = "/lib64/ld-linux.so.2";
    request_drop(&request, BV_CTL_EXPOSE_PATH);
    request_control(&request, expose);
    check(&request, 1, "/lib64/ld-linux.so.2 is exposed", "leave", "the loader itself exposed");
}

static void test_script(void)
{
    static struct request request;
    static const char *const bin[] = { "/usr/bin" }, *const lib[] = { "/usr/lib" };
    request_init(&request);
    request.identity.is_elf = false;
    request.identity.is_script = true;
    set(request.identity.interpreter, "/bin/sh");
    set(request.identity.interpreter_path, "/usr/bin/dash");
    set(request.identity.loader, "/lib64/ld-linux.so.2");
    set(request.identity.loader_path, "/usr/lib/ld-linux.so.2");
    check(&request, 2, "/bin/sh (resolves to /usr/bin/dash)", "/usr/bin/dash",
          "interpreter and loader, both named");
    request_grant(&request, bin, BV_ACCESS_READ, true);
    check(&request, 1, "/lib64/ld-linux.so.2", "/usr/lib/ld-linux.so.2",
          "the interpreter's loader");
    request_grant(&request, lib, BV_ACCESS_READ, true);
    check(&request, 0, NULL, "", "both granted");
}

int main(void)
{
    fake_init(&fake);
    test_kinds();
    test_loader();
    test_exposed_loader();
    test_script();
    return tap_done();
}
