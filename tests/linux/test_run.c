/* tests/linux/test_run.c - real workloads under the real kernel, through the library: statuses, streams, budgets, files,
 * denials, cancel. Every check that a machine cannot make is skipped with its reason. */
#include "linux/harness.h"

#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "run/instance.h"

static void test_status(void)
{
    static const struct { const char *verb, *value; enum bv_outcome outcome; enum bv_exit_kind kind; int number; } cases[] = {
        { "exit", "0", BV_OUTCOME_COMPLETED, BV_EXIT_CODE, 0 },    { "exit", "1", BV_OUTCOME_FAILED, BV_EXIT_CODE, 1 },
        { "exit", "255", BV_OUTCOME_FAILED, BV_EXIT_CODE, 255 },   { "signal", "15", BV_OUTCOME_FAILED, BV_EXIT_SIGNAL, 15 },
        { "signal", "11", BV_OUTCOME_FAILED, BV_EXIT_SIGNAL, 11 }, { "signal", "9", BV_OUTCOME_FAILED, BV_EXIT_SIGNAL, 9 },
        { "signal", "6", BV_OUTCOME_FAILED, BV_EXIT_SIGNAL, 6 },   { "signal", "31", BV_OUTCOME_FAILED, BV_EXIT_SIGNAL, 31 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct box box;
        struct result result;
        box_init(&box, payload, cases[i].verb, cases[i].value);
        run(&box, &result);
        tap_ok(result.status == BV_OK && result.outcome == cases[i].outcome && result.exit.kind == cases[i].kind &&
                   result.exit.value == cases[i].number,
               "%s %s: outcome %s, exit kind %d value %d", cases[i].verb, cases[i].value, bv_outcome_name(result.outcome),
               (int)result.exit.kind, result.exit.value);
        result_free(&result);
    }
}

static void test_facts(void)
{
    static const char *const kinds[] = {
        "workload_launched", "workload_exited", "filesystem_confined", "network_deny_all", "spawn_confined",
        "environment_lowered", "inherited_fds_none", "stream_captured", "budget_witnessed", "tree_empty", "launcher_identity",
        "canaries",
    };
    struct box box;
    struct result result;
    char wanted[200];
    box_init(&box, payload, "facts", NULL);
    run(&box, &result);
    (void)snprintf(wanted, sizeof wanted, "uid=%d gid=%d pid=2 sid=1 cwd=/ host=bvisor umask=022", (int)getuid(), (int)getgid());
    tap_text(result_stream(&result, "stdout"), wanted, "what the workload sees of itself");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *detail = result_fact(&result, kinds[i]);
        tap_ok(detail != NULL && detail[0] != '\0', "%s: %s", kinds[i], detail ? detail : "missing");
    }
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        const enum bv_dimension dimension = (enum bv_dimension)i;
        const char *source =
            json_string_value(json_object_get(result_get(&result, "budget", bv_dimension_name(dimension)), "source"));
        tap_ok(source != NULL && source[0] != '\0', "%s: %lld, %s", bv_dimension_name(dimension),
               result_used(&result, dimension), source ? source : "no source");
        /* Where a figure comes from is what the plan said would hold it. */
        const char *mechanism =
            json_string_value(json_object_get(result_get(&result, "budget", bv_dimension_name(dimension)), "mechanism"));
        const bool v1 = strstr(mechanism, "cgroup_v1") != NULL, v2 = strstr(mechanism, "cgroup_v2") != NULL;
        tap_ok((!v1 || !strstr(source, "cgroup v2")) && (!v2 || !strstr(source, "cgroup v1")), "of the same cgroup version: %s, %s",
               mechanism, source);
    }
    tap_ok(result_used(&result, BV_PROCESS_COUNT) == 1, "one process");
    tap_ok(result_used(&result, BV_HANDLE_COUNT) == 3, "three descriptors");
    tap_ok(result_used(&result, BV_NETWORK_BYTES) == 0 && result_used(&result, BV_STORAGE_BYTES) == 0, "no network, no storage");
    result_free(&result);
}

static void test_unseat(void)
{
    struct box box;
    struct result result;
    box_init(&box, payload, "unseat", NULL);
    run(&box, &result);
    tap_ok(result.status == BV_OK && result.outcome == BV_OUTCOME_COMPLETED, "a workload cannot unseat init: %s",
           bv_outcome_name(result.outcome));
    tap_text(result_stream(&result, "stdout"), "", "nor change its limits or its priority");
    result_free(&result);
}

static void test_streams(void)
{
    struct box box;
    struct result result;
    box_init(&box, payload, "say", "hello, world");
    run(&box, &result);
    tap_text(result_stream(&result, "stdout"), "hello, world", "stdout is captured");
    tap_text(result_stream(&result, "stderr"), "ZXJyAG9y", "stderr with a NUL is captured in base64");
    tap_text(result_fact(&result, "stream_captured"), "12 stdout", "and counted");
    result_free(&result);

    int out[2], in[2];
    char bytes[64] = "";
    if (pipe(out) != 0 || pipe(in) != 0) {
        abort();
    }
    box_init(&box, payload, "say", "through");
    box.options.stdout_fd = out[1];
    run(&box, &result);
    tap_ok(read(out[0], bytes, sizeof bytes) == 7 && memcmp(bytes, "through", 7) == 0, "stdout passes through a pipe");
    tap_ok((fcntl(out[1], F_GETFL) & O_NONBLOCK) == 0, "which keeps its flags");
    result_free(&result);

    tap_ok(write(in[1], "some input", 10) == 10 && close(in[1]) == 0, "stdin is filled");
    box_init(&box, payload, "cat", NULL);
    box.options.stdin_fd = in[0];
    run(&box, &result);
    tap_text(result_stream(&result, "stdout"), "some input", "stdin is copied and ends");
    result_free(&result);

    box_init(&box, payload, "cat", NULL);
    run(&box, &result);
    tap_text(result_stream(&result, "stdout"), "", "no stdin is an end of file at once");
    result_free(&result);

    /* Nobody reads this pipe: the workload may be slowed, its kill may not. */
    box_init(&box, payload, "flood", "100000000");
    box.options.stdout_fd = out[1];
    box_limit(&box, BV_WALL_MICROS, 300000);
    run(&box, &result);
    tap_ok(result.status == BV_OK && result.outcome == BV_OUTCOME_TIMEOUT && result.seconds < 8, "a stuck target: %s in %.2f s",
           bv_outcome_name(result.outcome), result.seconds);
    result_free(&result);
    for (int i = 0; i < 2; i++) {
        (void)close(out[i]);
    }
    (void)close(in[0]);
}

static void test_flood(void)
{
    struct box box;
    struct result result;
    struct rusage before, after;
    (void)getrusage(RUSAGE_SELF, &before);
    box_init(&box, payload, "flood", "1073741824");
    run(&box, &result);
    (void)getrusage(RUSAGE_SELF, &after);
    const json_t *captured = result_get(&result, "captured", "stdout");
    tap_ok(json_integer_value(json_object_get(captured, "bytes")) == 1073741824 &&
               json_is_true(json_object_get(captured, "truncated")),
           "1 GiB is counted and truncated, in %.2f s", result.seconds);
    tap_ok(after.ru_maxrss - before.ru_maxrss < 32768, "memory grew by %ld KiB", after.ru_maxrss - before.ru_maxrss);
    result_free(&result);
}

static void *cancel_later(void *run_pointer)
{
    const struct timespec time = { 0, 100000000 };
    (void)nanosleep(&time, NULL);
    bv_run_cancel(run_pointer);
    return NULL;
}

static void test_cancel(void)
{
    struct box box;
    struct bv_plan *plan = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_run *handle = NULL;
    struct bv_report *report = NULL;
    struct bv_error error = { 0 };
    pthread_t thread;
    box_init(&box, payload, "sleep", "20000");
    if (!tap_ok(bv_plan_create(backend, &box.spec, &plan, &refusal, &error) == BV_OK &&
                    bv_run_start(backend, plan, &box.options, &handle, &refusal, &error) == BV_OK,
                "started: %s", error.text)) {
        return;
    }
    (void)pthread_create(&thread, NULL, cancel_later, handle);
    tap_ok(bv_run_wait(handle, &report, &error) == BV_OK && bv_report_outcome(report) == BV_OUTCOME_KILLED &&
               bv_report_exit_status(report) == 137,
           "cancelled from another thread: %s", report ? bv_outcome_name(bv_report_outcome(report)) : error.text);
    (void)pthread_join(thread, NULL);
    bv_report_free(report);
    bv_run_free(handle);

    /* At every moment of the launch: each ends, and leaves nothing. */
    int killed = 0, rounds = 40;
    for (int i = 0; i < rounds; i++) {
        const struct timespec time = { 0, i * 100000 };
        handle = NULL;
        report = NULL;
        if (bv_run_start(backend, plan, &box.options, &handle, &refusal, &error) != BV_OK) {
            break;
        }
        (void)nanosleep(&time, NULL);
        bv_run_cancel(handle);
        killed += bv_run_wait(handle, &report, &error) == BV_OK && bv_report_outcome(report) == BV_OUTCOME_KILLED;
        bv_report_free(report);
        bv_run_free(handle);
    }
    tap_ok(killed == rounds, "%d of %d cancelled early end as killed", killed, rounds);
    handle = NULL;
    tap_ok(bv_run_start(backend, plan, &box.options, &handle, &refusal, &error) == BV_OK, "a run that is freed at once");
    bv_run_free(handle);
    bv_plan_free(plan);
}

static void test_budgets(void)
{
    struct box box;
    struct result result;
    box_init(&box, payload, "sleep", "20000");
    box_limit(&box, BV_WALL_MICROS, 200000);
    run(&box, &result);
    tap_ok(result.status == BV_OK && result.outcome == BV_OUTCOME_TIMEOUT && result.exit_status == 124, "wall: %s after %lld us",
           bv_outcome_name(result.outcome), result_used(&result, BV_WALL_MICROS));
    tap_ok(result_used(&result, BV_WALL_MICROS) >= 200000 && result_used(&result, BV_WALL_MICROS) < 290000,
           "the wall limit is held within its grace");
    tap_text(result_finding(&result, BV_WALL_MICROS), "limit_reached_enforced", "and said to be reached");
    result_free(&result);

    box_init(&box, payload, "spin", NULL);
    box_limit(&box, BV_CPU_MICROS, 200000);
    run(&box, &result);
    tap_ok(result.status == BV_OK && result.outcome == BV_OUTCOME_TIMEOUT, "cpu: %s after %lld us", bv_outcome_name(result.outcome),
           result_used(&result, BV_CPU_MICROS));
    tap_ok(result_used(&result, BV_CPU_MICROS) >= 180000 && result_used(&result, BV_CPU_MICROS) < 400000, "the cpu limit is held");
    result_free(&result);

    box_init(&box, payload, "touch", "200");
    box_limit(&box, BV_RESIDENT_BYTES, 64u << 20);
    run(&box, &result);
    if (result.status == BV_E_REFUSED) {
        tap_skip("this layout refuses a finite resident budget");
    } else {
        tap_ok(result.outcome == BV_OUTCOME_KILLED && result.exit_status == 137, "resident: %s, peak %lld",
               bv_outcome_name(result.outcome), result_used(&result, BV_RESIDENT_BYTES));
    }
    result_free(&result);

    box_init(&box, payload, "touch", "40");
    run(&box, &result);
    const long long peak = result_used(&result, BV_RESIDENT_BYTES);
    tap_ok(result.outcome == BV_OUTCOME_COMPLETED && (peak < 0 || (peak >= 40 << 20 && peak < 46 << 20)),
           "40 MiB touched are witnessed as %lld", peak);
    result_free(&result);

    box_init(&box, payload, "fork", "20");
    box_spawn(&box, BV_SPAWN_ALLOW_DESCENDANTS);
    box_control(&box, BV_CTL_KILL)->u.kill = (struct bv_kill){ .atomic = true };
    box_limit(&box, BV_PROCESS_COUNT, 5);
    run(&box, &result);
    if (result.status == BV_E_REFUSED) {
        tap_skip("this layout refuses descendants with this budget");
    } else {
        tap_ok(result.status == BV_OK && (result.exit.value == 4 || result.outcome == BV_OUTCOME_KILLED),
               "processes: %s, %d children under a limit of 5, peak %lld", bv_outcome_name(result.outcome), result.exit.value,
               result_used(&result, BV_PROCESS_COUNT));
        tap_text(result_finding(&result, BV_PROCESS_COUNT), "limit_reached_enforced", "and said to be reached");
    }
    result_free(&result);
}

static void test_files(void)
{
    struct box box;
    struct result result;
    char directory[] = "/tmp/bvisor-test-run-XXXXXX", path[64];
    if (mkdtemp(directory) == NULL) {
        abort();
    }
    (void)snprintf(path, sizeof path, "%s/new", directory);
    box_init(&box, payload, "open", "/etc/passwd");
    run(&box, &result);
    tap_ok(result.exit.value == ENOENT || result.exit.value == EACCES, "nothing is reachable: %s", strerror(result.exit.value));
    result_free(&result);

    box_init(&box, payload, "create", path);
    box_root(&box, directory, BV_ACCESS_READ, false);
    run(&box, &result);
    tap_ok(result.exit.value == EROFS || result.exit.value == EACCES, "a read-only root: %s", strerror(result.exit.value));
    result_free(&result);

    box_init(&box, payload, "create", path);
    box_root(&box, directory, BV_ACCESS_READ_WRITE, false);
    run(&box, &result);
    struct stat st;
    tap_ok(result.outcome == BV_OUTCOME_COMPLETED && stat(path, &st) == 0 && st.st_uid == getuid(), "a writable root: %s",
           strerror(result.exit.value));
    tap_ok(result_used(&result, BV_STORAGE_BYTES) == -1, "whose growth is not made up");
    result_free(&result);

    box_init(&box, payload, "open", "/in/new");
    box_control(&box, BV_CTL_EXPOSE_PATH)->u.expose = (struct bv_expose){ directory, "/in", BV_ACCESS_READ };
    run(&box, &result);
    tap_ok(result.outcome == BV_OUTCOME_COMPLETED && result_fact(&result, "path_exposed") != NULL, "an exposed path: %s",
           strerror(result.exit.value));
    result_free(&result);

    box_init(&box, payload, "fill", "/tmp/file");
    box_control(&box, BV_CTL_TEMP_ROOT)->u.temp_root = (struct bv_temp_root){ .sized = true, .size_bytes = 8u << 20 };
    run(&box, &result);
    tap_ok(result.status == BV_OK && result.exit.value >= 7 && result.exit.value <= 8, "a temp root of 8 MiB holds %d MiB",
           result.exit.value);
    tap_ok(result_used(&result, BV_STORAGE_BYTES) > 7 << 20, "and is witnessed: %lld", result_used(&result, BV_STORAGE_BYTES));
    tap_ok(result_fact(&result, "temp_root_removed") != NULL, "and removed");
    result_free(&result);

    (void)unlink(path);
    (void)rmdir(directory);
}

static struct {
    struct bv_sys sys;
    const char *file;
    int error, reads;
    bool early;
} held;

/* The workload is hashed in pieces of 64 KiB; before the second one everything else of the launch has had time to be done. */
static ssize_t slow_pread(int fd, void *buffer, size_t size, uint64_t offset)
{
    struct stat st;
    if (offset >= 65536 && fstat(fd, &st) == 0 && st.st_size > 65536 && held.reads++ == 0) {
        (void)usleep(300000);
        held.early = access(held.file, F_OK) == 0;
        if (held.error != 0) {
            return -held.error;
        }
    }
    return bv_sys_host.pread(fd, buffer, size, offset);
}

static void run_held(const char *directory, const char *path, int error, struct result *ret_result)
{
    struct bv_backend *fresh = NULL;
    struct box box;
    memset(&held, 0, sizeof held);
    held.sys = bv_sys_host;
    held.sys.pread = slow_pread;
    held.file = path;
    held.error = error;
    if (bv_backend_linux(&fresh, NULL) != BV_OK) {
        abort();
    }
    fresh->sys = &held.sys;
    box_init(&box, payload, "create", path);
    box_root(&box, directory, BV_ACCESS_READ_WRITE, false);
    box_run(&box, fresh, ret_result);
    bv_backend_free(fresh);
}

/* The boundary is built while the workload is still hashed, but nothing runs before it is. */
static void test_held(void)
{
    char directory[] = "/tmp/bvisor-test-held-XXXXXX", path[64];
    struct result result;
    if (mkdtemp(directory) == NULL) {
        abort();
    }
    (void)snprintf(path, sizeof path, "%s/new", directory);
    run_held(directory, path, EIO, &result);
    tap_ok(held.reads > 0 && result.status == BV_E_SYS, "a workload that cannot be hashed is an error: %s", result.error.text);
    tap_ok(!held.early && access(path, F_OK) != 0, "and never began");
    result_free(&result);
    run_held(directory, path, 0, &result);
    tap_ok(held.reads > 0 && result.status == BV_OK && result.exit.value == 0, "one that is hashed slowly runs");
    tap_ok(!held.early && access(path, F_OK) == 0, "only when it is hashed");
    tap_ok(result.seconds > 0.3 && result_used(&result, BV_WALL_MICROS) < 250000,
           "and its wall time counts from there: %lld us", result_used(&result, BV_WALL_MICROS));
    result_free(&result);
    (void)unlink(path);
    (void)rmdir(directory);
}

static void test_missing(void)
{
    struct box box;
    struct result result;
    char directory[] = "/tmp/bvisor-test-run-XXXXXX", path[64];
    if (mkdtemp(directory) == NULL) {
        abort();
    }
    (void)snprintf(path, sizeof path, "%s/new", directory);
    (void)rmdir(directory);
    box_init(&box, payload, "exit", "0");
    box_root(&box, directory, BV_ACCESS_READ, false);
    box_run(&box, backend, &result);
    tap_ok(result.status == BV_E_INVALID || result.status == BV_E_REFUSED, "a missing root does not start: %s %s",
           bv_status_name(result.status), result.error.text);
    result_free(&result);

    if (mkdir(directory, 0700) != 0 || chdir("/") != 0) {
        abort();
    }
    box_init(&box, payload, "exit", "0");
    box_root(&box, directory, BV_ACCESS_READ, false);
    box.spec.workload.cwd = path; /* in a granted tree nothing is made */
    run(&box, &result);
    tap_ok(result.status == BV_OK && result.outcome == BV_OUTCOME_UNSUPPORTED && result.exit_status == 126 &&
               result_fact(&result, "workload_launched") == NULL,
           "a working directory that is missing in a grant: %s", bv_outcome_name(result.outcome));
    char *text = json_dumps(json_object_get(json_object_get(result.document, "body"), "findings"), JSON_COMPACT);
    tap_ok(text && strstr(text, "\"unsupported\"") && strstr(text, "entering the working directory"), "and the report says so: %s", text);
    free(text);
    result_free(&result);
    (void)rmdir(directory);

    box_init(&box, payload, "exit", "0");
    box.spec.workload.cwd = "/made/for/it";
    run(&box, &result);
    tap_ok(result.outcome == BV_OUTCOME_COMPLETED, "a working directory is made in the fresh root");
    result_free(&result);
}

static void test_denials(void)
{
    struct box box;
    struct result result;
    box_init(&box, payload, "sockets", "3");
    run(&box, &result);
    tap_ok(result.outcome == BV_OUTCOME_COMPLETED && result_denied(&result, "socket") == 3, "three denied sockets are counted: %lld",
           result_denied(&result, "socket"));
    result_free(&result);
    box_init(&box, payload, "fork", "2");
    run(&box, &result);
    tap_ok(result.exit.value == 0 && result_denied(&result, "clone") + result_denied(&result, "fork") == 2, "two denied forks");
    result_free(&result);
    box_init(&box, payload, "sockets", "20000");
    run(&box, &result);
    tap_ok(result.outcome == BV_OUTCOME_COMPLETED && result_denied(&result, "socket") == 20000,
           "20,000 are counted and rate-limited: %.2f s", result.seconds);
    tap_ok(result.seconds > 0.8, "to about 20,000 a second");
    result_free(&result);
}

static void test_daemon(void)
{
    struct box box;
    struct result result;
    box_init(&box, payload, "daemon", NULL);
    box_spawn(&box, BV_SPAWN_ALLOW_DESCENDANTS);
    box_control(&box, BV_CTL_KILL)->u.kill = (struct bv_kill){ .atomic = true };
    box_limit(&box, BV_PROCESS_COUNT, 10);
    run(&box, &result);
    if (result.status == BV_E_REFUSED) {
        tap_skip("this layout refuses descendants with this budget");
    } else {
        tap_ok(result.outcome == BV_OUTCOME_COMPLETED && result_fact(&result, "tree_empty") != NULL && result.seconds < 5,
               "a daemon does not outlive the run (%.2f s)", result.seconds);
    }
    result_free(&result);
}

int main(int argc, char **argv)
{
    if (!harness_begin(argc, argv)) {
        return tap_done();
    }
    group(test_status, "status");
    group(test_facts, "facts");
    group(test_unseat, "unseat");
    group(test_streams, "streams");
    group(test_flood, "flood");
    group(test_cancel, "cancel");
    group(test_budgets, "budgets");
    group(test_files, "files");
    group(test_held, "held");
    group(test_missing, "missing");
    group(test_denials, "denials");
    group(test_daemon, "daemon");
    bv_backend_free(backend);
    return tap_done();
}
