/* tests/unit/test_workload_file.c - the workload's file: opened once, identified, hashed;
 * everything that cannot be taken says why. */
#include "run/workload_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "support/fixture.h"
#include "support/sim_backend.h"
#include "support/tap.h"

static struct bv_workload_identity identity; /* large */

struct opened {
    enum bv_status status;
    struct bv_workload_problem problem;
    struct bv_error error;
};

/* Opens and closes again; the identity stays in the static above. */
static struct opened try_open(struct bv_backend *backend, enum bv_workload_kind kind,
                              const char *path)
{
    struct opened o = { 0 };
    int fd = -EBADF;
    const struct bv_workload workload = { .kind = kind, .path = path };
    o.status = bv_workload_open(backend, &workload, false, &identity, &fd, &o.problem, &o.error);
    tap_ok((fd >= 3) == (o.status == BV_OK), "%s: a descriptor above 2 comes exactly with success",
           path);
    bv_cleanup_fd(&fd);
    return o;
}

static void refused(struct bv_backend *backend, const char *path, const char *why)
{
    struct opened o = try_open(backend, BV_WORKLOAD_PROCESS, path);
    tap_ok(o.status == BV_E_REFUSED && strstr(o.problem.why, why) && o.problem.remedy[0],
           "%s is refused: %s (wanted %s)", path, o.problem.why, why);
}

static void test_programs(struct bv_backend *backend, const struct fixture *fixture)
{
    unsigned char elf[512];
    char path[FIXTURE_PATH], link[FIXTURE_PATH + 8], digest[BV_DIGEST_TEXT_SIZE];
    size_t size = fixture_elf(elf, sizeof(elf), NULL);
    bv_digest_bytes(elf, size, digest);
    struct opened o = try_open(backend, BV_WORKLOAD_PROCESS, fixture->exe);
    tap_ok(o.status == BV_OK && identity.known && identity.is_elf && !identity.is_script &&
               !identity.is_wasm,
           "a static program");
    tap_text(identity.digest, digest, "its digest is that of its bytes");
    tap_text(identity.path, fixture->exe, "its path");
    tap_ok(identity.size == size && S_ISREG(identity.mode) && identity.interpreter[0] == '\0',
           "its size, mode, and no interpreter");

    (void)snprintf(link, sizeof(link), "%s/link", fixture->dir);
    tap_ok(symlink("prog", link) == 0 &&
               try_open(backend, BV_WORKLOAD_PROCESS, link).status == BV_OK,
           "it runs through a symbolic link");
    tap_text(identity.path, fixture->exe, "and its path is the resolved one");

    fixture_file(fixture, "dynamic", elf, fixture_elf(elf, sizeof(elf), link), 0755, path);
    tap_ok(try_open(backend, BV_WORKLOAD_PROCESS, path).status == BV_OK, "a dynamic program");
    tap_text(identity.interpreter, link, "its interpreter as written");
    tap_text(identity.interpreter_path, fixture->exe, "and resolved");
    tap_text(identity.interpreter_digest, digest, "and hashed");
    tap_ok(identity.loader[0] == '\0' && identity.loader_path[0] == '\0', "a loader has no loader");

    fixture_file(fixture, "orphan", elf, fixture_elf(elf, sizeof(elf), "/nonexistent/ld.so"), 0755,
                 path);
    tap_ok(try_open(backend, BV_WORKLOAD_PROCESS, path).status == BV_OK &&
               strcmp(identity.interpreter, "/nonexistent/ld.so") == 0 &&
               identity.interpreter_path[0] == '\0' && identity.interpreter_digest[0] == '\0',
           "an interpreter that does not exist is left to the planner");
}

static void test_scripts(struct bv_backend *backend, const struct fixture *fixture)
{
    char interpreter[FIXTURE_PATH], script[FIXTURE_PATH], nested[FIXTURE_PATH],
        text[2 * FIXTURE_PATH];
    unsigned char elf[1024];
    fixture_file(fixture, "interp", elf, fixture_elf(elf, sizeof(elf), fixture->exe), 0755,
                 interpreter);
    int n = snprintf(text, sizeof(text), "#!%s -x\n", interpreter);
    fixture_file(fixture, "script", text, (size_t)n, 0755, script);
    tap_ok(try_open(backend, BV_WORKLOAD_PROCESS, script).status == BV_OK && identity.is_script &&
               !identity.is_elf,
           "a script");
    tap_text(identity.interpreter_path, interpreter, "its interpreter");
    tap_text(identity.loader, fixture->exe, "the interpreter's loader");
    tap_text(identity.loader_path, fixture->exe, "and that resolved");

    n = snprintf(text, sizeof(text), "#!%s\n", script);
    fixture_file(fixture, "nested", text, (size_t)n, 0755, nested);
    struct opened o = try_open(backend, BV_WORKLOAD_PROCESS, nested);
    tap_ok(o.status == BV_E_REFUSED && o.problem.subject && strcmp(o.problem.subject, script) == 0,
           "a script of a script is refused, and its interpreter is named: %s", o.problem.why);

    n = snprintf(text, sizeof(text), "#!%s\n", fixture->dir);
    fixture_file(fixture, "odd", text, (size_t)n, 0755, nested);
    o = try_open(backend, BV_WORKLOAD_PROCESS, nested);
    tap_ok(o.status == BV_E_REFUSED && strstr(o.problem.why, "directory"),
           "so is one whose interpreter is a directory");
}

static void test_refused(struct bv_backend *backend, const struct fixture *fixture)
{
    char path[FIXTURE_PATH];
    refused(backend, "/nonexistent/prog", "no such file");
    refused(backend, fixture->dir, "is a directory");
    refused(backend, "/dev/null", "not a regular file");
    (void)snprintf(path, sizeof(path), "%.200s/x", fixture->exe);
    refused(backend, path, "not a directory");
    fixture_file(fixture, "plain", "#!/bin/sh\n", 10, 0644, path);
    refused(backend, path, "not executable");
    fixture_file(fixture, "garbage", "garbage", 7, 0755, path);
    refused(backend, path, "neither an ELF program");
    fixture_file(fixture, "empty", "", 0, 0755, path);
    refused(backend, path, "neither an ELF program");
    (void)snprintf(path, sizeof(path), "%.200s/fifo", fixture->dir);
    tap_ok(mkfifo(path, 0755) == 0, "a FIFO is made");
    refused(backend, path, "not a regular file"); /* and opening it did not block */
    (void)snprintf(path, sizeof(path), "%.200s/loop", fixture->dir);
    tap_ok(symlink("loop", path) == 0, "a link to itself is made");
    refused(backend, path, "too many symbolic links");
    if (geteuid() != 0) {
        fixture_file(fixture, "unreadable", "x", 1, 0111, path);
        refused(backend, path, "permission denied");
    }
}

static void test_modules(struct bv_backend *backend, const struct fixture *fixture)
{
    static const char module[8] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };
    char path[FIXTURE_PATH], digest[BV_DIGEST_TEXT_SIZE];
    bv_digest_bytes(module, sizeof(module), digest);
    fixture_file(fixture, "module", module, sizeof(module), 0644, path);
    tap_ok(try_open(backend, BV_WORKLOAD_WASM, path).status == BV_OK && identity.is_wasm,
           "a module needs no x bit");
    tap_text(identity.digest, digest, "its digest");
    const struct bv_workload workload = { .kind = BV_WORKLOAD_WASM,
                                          .module_bytes = module,
                                          .module_size = sizeof(module) };
    struct bv_workload_problem problem;
    int fd = -EBADF;
    tap_ok(bv_workload_open(backend, &workload, false, &identity, &fd, &problem, NULL) == BV_OK &&
               identity.is_wasm && fd >= 3,
           "a module from memory");
    tap_text(identity.digest, digest, "has the same digest");
    tap_ok(identity.path[0] == '\0' && bv_workload_is_unchanged(&bv_sys_host, fd, &identity),
           "and no path, and stays as it is");
    bv_cleanup_fd(&fd);
}

/* ---- a host that misbehaves: replaced calls ---- */

static unsigned reads;
static const char *touched;
static int64_t clock_offset;

static ssize_t counting_pread(int fd, void *buffer, size_t size, uint64_t offset)
{
    reads++;
    return bv_sys_host.pread(fd, buffer, size, offset);
}

static ssize_t failing_pread(int fd, void *buffer, size_t size, uint64_t offset)
{
    (void)fd, (void)buffer, (void)size, (void)offset;
    return -EIO;
}

/* Appends to the file while it is read. */
static ssize_t touching_pread(int fd, void *buffer, size_t size, uint64_t offset)
{
    int other = open(touched, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (other >= 0) {
        (void)!write(other, "x", 1);
        (void)close(other);
    }
    return bv_sys_host.pread(fd, buffer, size, offset);
}

/* Cuts the file off while it is read. */
static ssize_t cutting_pread(int fd, void *buffer, size_t size, uint64_t offset)
{
    if (truncate(touched, 10) < 0) {
        return -errno;
    }
    return bv_sys_host.pread(fd, buffer, size, offset);
}

static int shifted_now(struct timespec *ret)
{
    int r = bv_sys_host.now(ret);
    ret->tv_sec += clock_offset;
    return r;
}

static void test_changing(struct bv_backend *backend, const struct fixture *fixture)
{
    struct bv_sys sys = bv_sys_host;
    char path[FIXTURE_PATH];
    unsigned char elf[512];
    fixture_file(fixture, "busy", elf, fixture_elf(elf, sizeof(elf), NULL), 0755, path);
    touched = path;
    backend->sys = &sys;
    sys.pread = touching_pread;
    refused(backend, path, "changed while it was hashed");
    sys.pread = cutting_pread;
    refused(backend, path, "changed while it was hashed");
    sys.pread = failing_pread;
    struct opened o = try_open(backend, BV_WORKLOAD_PROCESS, path);
    tap_ok(o.status == BV_E_SYS && o.error.os_errno == EIO,
           "a file that cannot be read is an error: %s", o.error.text);
    backend->sys = &bv_sys_host;
}

static void test_cached(struct bv_backend *backend, const struct fixture *fixture)
{
    struct bv_sys sys = bv_sys_host;
    char digest[BV_DIGEST_TEXT_SIZE];
    sys.pread = counting_pread;
    sys.now = shifted_now;
    backend->sys = &sys;
    (void)try_open(backend, BV_WORKLOAD_PROCESS, fixture->exe);
    unsigned fresh = reads;
    (void)try_open(backend, BV_WORKLOAD_PROCESS, fixture->exe);
    tap_ok(reads == 2 * fresh, "a file that is younger than two seconds is hashed each time");
    bv_copy_text(digest, sizeof(digest), identity.digest);
    clock_offset = 10; /* as if ten seconds had passed */
    (void)try_open(backend, BV_WORKLOAD_PROCESS, fixture->exe);
    unsigned before = reads;
    (void)try_open(backend, BV_WORKLOAD_PROCESS, fixture->exe);
    tap_ok(reads - before < fresh, "an older one is not hashed again");
    tap_text(identity.digest, digest, "and has the same digest");
    backend->sys = &bv_sys_host;
}

static void test_unchanged(struct bv_backend *backend, const struct fixture *fixture)
{
    const struct bv_workload workload = { .kind = BV_WORKLOAD_PROCESS, .path = fixture->exe };
    struct bv_workload_problem problem;
    int fd = -EBADF;
    tap_ok(bv_workload_open(backend, &workload, false, &identity, &fd, &problem, NULL) == BV_OK &&
               bv_workload_is_unchanged(&bv_sys_host, fd, &identity),
           "an untouched file is unchanged");
    tap_ok(chmod(fixture->exe, 0700) == 0 && !bv_workload_is_unchanged(&bv_sys_host, fd, &identity),
           "a change of mode is a change");
    bv_cleanup_fd(&fd);
}

static void check_path(const struct fixture *fixture, const char *name, enum bv_status wanted,
                       const char *place)
{
    struct bv_error error = { 0 };
    struct bv_path_facts facts = { 0 };
    enum bv_status status = bv_paths_check(&bv_sys_host, &fixture->spec, &facts, &error);
    struct stat st;
    if (status == BV_OK) {
        tap_ok(facts.count > 0 && stat(facts.at[0].path, &st) == 0 && st.st_ino == facts.at[0].ino &&
                   st.st_dev == facts.at[0].dev && st.st_mode == facts.at[0].mode,
               "%s: what they are is noted", name);
    }
    free(facts.at);
    tap_ok(status == wanted && strcmp(error.place, place) == 0, "%s: %s at '%s': %s", name,
           bv_status_name(status), error.place, error.text);
}

static void test_paths(struct fixture *fixture)
{
    char link[FIXTURE_PATH];
    (void)snprintf(link, sizeof(link), "%.200s/in-link", fixture->dir);
    tap_ok(symlink("in", link) == 0, "a link to a root is made");
    check_path(fixture, "roots that are there", BV_OK, "");
    fixture->out_root[0] = "/nonexistent/root";
    check_path(fixture, "a missing root", BV_E_INVALID, "/capabilities/1/filesystem/roots/0");
    fixture->out_root[0] = link;
    check_path(fixture, "a root that is a link", BV_E_INVALID,
               "/capabilities/1/filesystem/roots/0");
    fixture->out_root[0] = "/proc";
    check_path(fixture, "the boundary's own proc", BV_OK, "");
    fixture->out_root[0] = fixture->out;
    fixture_add_control(
        fixture, (struct bv_control){ .kind = BV_CTL_EXPOSE_PATH,
                                      .u.expose = { .source = "/nonexistent/x", .dest = "/x" } });
    check_path(fixture, "a missing source", BV_E_INVALID, "/controls/2/expose_path/source");
    fixture->controls[2].u.expose.source = fixture->exe;
    check_path(fixture, "a source that is a file", BV_OK, "");
}

int main(void)
{
    static const struct sim_setup setup = { .lie = SIM_HONEST };
    struct fixture fixture;
    struct bv_backend *backend = NULL;
    fixture_init(&fixture);
    tap_ok(sim_backend_new(&setup, &backend, NULL) == BV_OK, "a backend");
    test_programs(backend, &fixture);
    test_scripts(backend, &fixture);
    test_refused(backend, &fixture);
    test_modules(backend, &fixture);
    test_changing(backend, &fixture);
    test_cached(backend, &fixture);
    test_unchanged(backend, &fixture);
    test_paths(&fixture);
    bv_backend_free(backend);
    fixture_done(&fixture);
    return tap_done();
}
