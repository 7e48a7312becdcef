/* tests/wasm/test_runs.c - the Wasm backend as a library: a run is polled, cancelled, waited for and dropped like any other; a
 * host that asks for it is confined; whatever allocation fails, the answer is an error or a report. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "base/check.h"
#include "support/tap.h"

/* ---- allocations that fail ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static _Atomic long countdown = -1; /* below 0: none fails */

static bool fails(void)
{
    if (atomic_load(&countdown) < 0 || atomic_fetch_sub(&countdown, 1) != 0) {
        return false;
    }
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct bv_run *begin(struct bv_backend *backend, const struct bv_spec *spec,
                            const struct bv_run_options *options)
{
    struct bv_run *run = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_error error = { 0 };
    tap_ok(bv_run_begin(backend, spec, options, &run, &refusal, &error) == BV_OK, "begun %s",
           error.text);
    bv_refusal_free(refusal);
    return run;
}

static void test_report(struct bv_backend *backend)
{
    struct module m;
    size_t size;
    struct command_spec command;
    command_spec_init(&command, command_print(&m, "hello", &size), 0);
    command.spec.workload.module_size = size;
    command.spec.require_evidence = BV_CLAIM_TERMINAL_OUTCOME | BV_CLAIM_CAPTURED_STREAMS |
                                    BV_CLAIM_RESOURCE_USAGE | BV_CLAIM_ALLOWED_ACTIONS |
                                    BV_CLAIM_DENIED_ATTEMPTS | BV_CLAIM_PROCESS_TREE |
                                    BV_CLAIM_NETWORK_ACTIVITY;
    struct bv_report *report = command_run(backend, &command.spec, NULL);
    tap_ok(report && bv_report_outcome(report) == BV_OUTCOME_COMPLETED &&
               bv_report_exit_status(report) == 0,
           "it completes");
    tap_ok(command_report_has(report, "\"content\":\"hello\""), "its output is captured");
    tap_ok(command_report_has(report, "\"detail\":\"fd_write 1\",\"kind\":\"host_calls\""),
           "what it called is listed");
    tap_ok(command_report_has(report, "no: the host did not ask for it"),
           "the report says that the host is not confined");
    bv_report_free(report);
    command.spec.require_evidence |= BV_CLAIM_MECHANISM_ATTESTATION;
    struct bv_refusal *refusal = NULL;
    report = NULL;
    tap_ok(bv_run_confined(&command.spec, backend, NULL, &report, &refusal, NULL) == BV_E_REFUSED &&
               bv_refusal_reason(refusal) == BV_REFUSED_EVIDENCE_UNSATISFIABLE,
           "attestation is refused where nothing attests");
    bv_refusal_free(refusal);
    module_free(&m);

    command_spec_init(&command, command_trap(&m, &size), 0);
    command.spec.workload.module_size = size;
    report = command_run(backend, &command.spec, NULL);
    const struct bv_exit ended = bv_report_exit(report);
    tap_ok(bv_report_outcome(report) == BV_OUTCOME_FAILED && ended.kind == BV_EXIT_TRAP &&
               bv_report_exit_status(report) == 134,
           "a trap");
    tap_text(ended.trap, "unreachable", "in the specification's words");
    bv_report_free(report);
    module_free(&m);
}

/* A host with a loop of its own: it waits for the run's descriptor, and no dispatch takes long. */
static void test_polled(struct bv_backend *backend)
{
    struct module m;
    size_t size;
    struct command_spec command;
    const uint8_t *bytes = command_sleep(&m, 150000000, &size);
    command_spec_init(&command, bytes, size);
    struct bv_run *run = begin(backend, &command.spec, NULL);
    bool done = false;
    unsigned wakeups = 0;
    const uint64_t begun = now_ms();
    while (run && !done) {
        struct pollfd ready = { .fd = bv_run_fd(run), .events = POLLIN };
        wakeups++;
        if (poll(&ready, 1, 10000) != 1 || bv_run_dispatch(run, &done, NULL) != BV_OK) {
            break;
        }
    }
    const uint64_t took = now_ms() - begun;
    tap_ok(done && took >= 149 && took < 5000, "a sleep of 150 ms takes %llu",
           (unsigned long long)took);
    tap_ok(wakeups < 20, "and wakes its host %u times", wakeups);
    struct bv_report *report = NULL;
    tap_ok(bv_run_wait(run, &report, NULL) == BV_OK &&
               bv_report_outcome(report) == BV_OUTCOME_COMPLETED,
           "its report");
    bv_report_free(report);
    bv_run_free(run);
    module_free(&m);
}

static void *cancel_later(void *run)
{
    const struct timespec pause = { 0, 100000000 };
    (void)nanosleep(&pause, NULL);
    bv_run_cancel(run);
    return NULL;
}

static void cancel_one(struct bv_backend *backend, const uint8_t *bytes, size_t size,
                       const char *what)
{
    struct command_spec command;
    pthread_t thread;
    command_spec_init(&command, bytes, size);
    struct bv_run *run = begin(backend, &command.spec, NULL);
    struct bv_report *report = NULL;
    const uint64_t begun = now_ms();
    const bool made = pthread_create(&thread, NULL, cancel_later, run) == 0;
    tap_ok(made && bv_run_wait(run, &report, NULL) == BV_OK &&
               bv_report_outcome(report) == BV_OUTCOME_KILLED,
           "%s is cancelled from another thread", what);
    if (made) {
        (void)pthread_join(thread, NULL);
    }
    const uint64_t took = now_ms() - begun;
    tap_ok(took >= 99 && took < 2000, "after %llu ms", (unsigned long long)took);
    bv_report_free(report);
    bv_run_free(run);
}

static void test_cancel(struct bv_backend *backend)
{
    struct module m;
    size_t size;
    const uint8_t *bytes = command_spin(&m, &size);
    cancel_one(backend, bytes, size, "a guest that spins");
    module_free(&m);
    bytes = command_sleep(&m, 3600000000000u, &size);
    cancel_one(backend, bytes, size, "a guest that sleeps");
    module_free(&m);
}

static void test_stdin(struct bv_backend *backend)
{
    struct module m;
    size_t size;
    int fds[2];
    struct command_spec command;
    const uint8_t *bytes = command_echo(&m, &size);
    command_spec_init(&command, bytes, size);
    command.controls[1].u.capture.in = true;
    tap_ok(pipe2(fds, O_CLOEXEC) == 0, "a pipe");
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    options.stdin_fd = fds[0];
    struct bv_run *run = begin(backend, &command.spec, &options);
    bool done = false;
    for (int i = 0; i < 10 && !done; i++) {
        tap_ok(bv_run_dispatch(run, &done, NULL) == BV_OK, "a dispatch");
    }
    struct pollfd ready = { .fd = bv_run_fd(run), .events = POLLIN };
    tap_ok(!done && poll(&ready, 1, 50) == 0, "a guest that reads waits, and its host with it");
    tap_ok(fcntl(fds[0], F_GETFL) == O_RDONLY, "the caller's descriptor is as it was");
    (void)!write(fds[1], "late words", 10);
    struct bv_report *report = NULL;
    tap_ok(bv_run_wait(run, &report, NULL) == BV_OK &&
               command_report_has(report, "\"content\":\"late words\""),
           "what came late is echoed");
    bv_report_free(report);
    bv_run_free(run);
    (void)close(fds[0]);
    (void)close(fds[1]);
    module_free(&m);
}

static void test_dropped(struct bv_backend *backend)
{
    struct module m;
    size_t size;
    char scratch[] = "/tmp/bvt-runs-XXXXXX";
    struct command_spec command;
    const uint8_t *bytes = command_spin(&m, &size);
    command_spec_init(&command, bytes, size);
    command.controls[2] =
        (struct bv_control){ .kind = BV_CTL_TEMP_ROOT, .u.temp_root = { true, 1 << 20 } };
    command.spec.control_count = 3;
    tap_ok(mkdtemp(scratch) && setenv("TMPDIR", scratch, 1) == 0,
           "a temporary directory of the test's own");
    struct bv_run *run = begin(backend, &command.spec, NULL);
    tap_ok(rmdir(scratch) != 0 && errno == ENOTEMPTY, "the temp root is in it");
    bool done = false;
    tap_ok(bv_run_dispatch(run, &done, NULL) == BV_OK && !done, "a guest that spins is not done");
    bv_run_free(run);
    tap_ok(rmdir(scratch) == 0, "a run that is dropped takes its temp root with it");
    (void)unsetenv("TMPDIR");
    module_free(&m);
}

static void test_options(void)
{
    struct bv_backend *backend = NULL;
    struct bv_error error = { 0 };
    const struct bv_wasm_backend_options fast = { .fuel_per_micro = 1000001 };
    tap_ok(bv_backend_wasm(&fast, &backend, &error) == BV_E_INVALID && !backend, "%s", error.text);
    const struct bv_wasm_backend_options many = { .own_fd_count = 5 };
    error = (struct bv_error){ 0 };
    tap_ok(bv_backend_wasm(&many, &backend, &error) == BV_E_INVALID && !backend, "%s", error.text);

    struct module m;
    size_t size;
    struct command_spec command;
    const uint8_t *bytes = command_spin(&m, &size);
    command_spec_init(&command, bytes, size);
    command.spec.budgets[BV_CPU_MICROS].limit = 1000;
    const struct bv_wasm_backend_options slow = { .fuel_per_micro = 10 };
    tap_ok(bv_backend_wasm(&slow, &backend, NULL) == BV_OK, "ten units are a microsecond");
    struct bv_report *report = command_run(backend, &command.spec, NULL);
    tap_ok(bv_report_outcome(report) == BV_OUTCOME_TIMEOUT && bv_report_exit_status(report) == 124,
           "the CPU limit ends it");
    tap_ok(command_report_has(report, "\"observed\":1000,") &&
               command_report_has(report, "fuel, exact: 10000 units, 10 of them a microsecond"),
           "after ten thousand units");
    bv_report_free(report);
    bv_backend_free(backend);
    module_free(&m);
}

/* What the guest saw of random numbers and time, as the report has it. NULL: no report; freed by the caller. */
static char *seen(const struct bv_wasm_backend_options *options)
{
    struct module m;
    size_t size;
    struct command_spec command;
    struct bv_backend *backend = NULL;
    char *text = NULL;
    const uint8_t *bytes = command_random(&m, &size);
    command_spec_init(&command, bytes, size);
    if (bv_backend_wasm(options, &backend, NULL) == BV_OK) {
        struct bv_report *report = command_run(backend, &command.spec, NULL);
        char *document = NULL;
        if (bv_report_outcome(report) == BV_OUTCOME_COMPLETED && bv_report_json(report, &document, NULL) == BV_OK) {
            const char *begin = strstr(document, "\"captured\""), *end = strstr(document, "\"denied\"");
            text = begin && end ? strndup(begin, (size_t)(end - begin)) : NULL;
        }
        bv_free(document);
        bv_report_free(report);
    }
    bv_backend_free(backend);
    module_free(&m);
    return text;
}

static void test_deterministic(void)
{
    const struct bv_wasm_backend_options first = { .deterministic = true, .seed = 7, .clock_ns = 5 },
                                         other = { .deterministic = true, .seed = 8, .clock_ns = 5 },
                                         later = { .deterministic = true, .seed = 7, .clock_ns = 6 };
    char *texts[] = { seen(&first), seen(&first), seen(&other), seen(&later), seen(NULL), seen(NULL) };
    bool all = true;
    for (size_t i = 0; i < BV_COUNT(texts); i++) {
        all = all && texts[i] && strstr(texts[i], "\"bytes\":16");
    }
    if (tap_ok(all, "a guest writes eight random bytes and the time")) {
        tap_ok(strcmp(texts[0], texts[1]) == 0, "the same at each run when that was asked for");
        tap_ok(strcmp(texts[0], texts[2]) != 0, "others with another seed");
        tap_ok(strcmp(texts[0], texts[3]) != 0, "another time with another clock");
        tap_ok(strcmp(texts[4], texts[5]) != 0, "and never the same when it was not asked for");
    }
    for (size_t i = 0; i < BV_COUNT(texts); i++) {
        free(texts[i]);
    }
}

/* ---- confinement ---- */

static void *idle(void *argument)
{
    (void)pause();
    return argument;
}

/* In a child: runs a guest with a backend that confines, then tries what a confined process may not. A bit a fault. */
static int confined_child(bool threaded)
{
    struct module m;
    size_t size;
    struct command_spec command;
    struct bv_backend *backend = NULL;
    pthread_t thread;
    const struct bv_wasm_backend_options options = { .confine_process = true };
    if (threaded && pthread_create(&thread, NULL, idle, NULL) != 0) {
        return 64;
    }
    const uint8_t *bytes = command_print(&m, "hello", &size);
    command_spec_init(&command, bytes, size);
    if (bv_backend_wasm(&options, &backend, NULL) != BV_OK) {
        return 64;
    }
    const int before = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct bv_report *report = command_run(backend, &command.spec, NULL);
    int faults = before < 0 || bv_report_outcome(report) != BV_OUTCOME_COMPLETED;
    if (threaded) {
        return faults | !command_report_has(report, "no: the process has more than one thread")
                            << 1;
    }
    if (command_report_has(report, "\"landlock_abi\":\"0")) {
        return faults;
    }
    faults |= !command_report_has(report, "yes: Landlock ABI") << 1;
    faults |= !command_report_has(report, "4 of 4 denied") << 2;
    faults |= (open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0) << 3;
    faults |= (fork() >= 0) << 4;
    char *const none[] = { NULL };
    faults |= (execve("/bin/true", none, none) == 0 || errno != EPERM) << 5;
    return faults;
}

static int in_child(bool threaded)
{
    int status = -1;
    (void)fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        /* Not _exit(): before a function that does not return the address sanitizer makes calls that are refused now. */
        (void)syscall(SYS_exit_group, confined_child(threaded));
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status)
               ? WEXITSTATUS(status)
               : 255;
}

static void test_confined(void)
{
    const int alone = in_child(false), threaded = in_child(true);
    tap_ok(alone == 0,
           "a process that asks for it is confined, and can neither open, fork nor execute: faults "
           "%#x",
           (unsigned)alone);
    tap_ok(threaded == 0, "one with a second thread is not, and the report says so: faults %#x",
           (unsigned)threaded);
}

/* ---- failing allocations ---- */

static void test_nomem(void)
{
    struct module m;
    size_t size;
    struct command_spec command;
    const uint8_t *bytes = command_print(&m, "hello", &size);
    long n = 0, errors = 0, faults = 0;
    bool clean = true, whole = false;
    command_spec_init(&command, bytes, size);
    for (; !whole && n < 5000; n++) {
        struct bv_backend *backend = NULL;
        struct bv_report *report = NULL;
        struct bv_refusal *refusal = NULL;
        atomic_store(&countdown, n);
        enum bv_status status = bv_backend_wasm(NULL, &backend, NULL);
        if (status == BV_OK) {
            status = bv_run_confined(&command.spec, backend, NULL, &report, &refusal, NULL);
        }
        whole = atomic_load(&countdown) >= 0;
        atomic_store(&countdown, -1);
        errors += status == BV_E_NOMEM;
        faults += status == BV_OK && bv_report_outcome(report) == BV_OUTCOME_SUPERVISOR_FAULT;
        /* One that only costs time (the cache) or a fact may pass. */
        if (status != BV_OK && status != BV_E_NOMEM) {
            (void)printf("# allocation %ld: %s %s\n", n, bv_status_name(status),
                         refusal ? bv_refusal_why(refusal, 0) : "");
        }
        clean = clean && (status == BV_E_NOMEM || (status == BV_OK && report && !refusal));
        bv_report_free(report);
        bv_refusal_free(refusal);
        bv_backend_free(backend);
    }
    tap_ok(whole && clean && errors > 10,
           "%ld allocations fail one by one: %ld errors, %ld faults, no other answer", n, errors,
           faults);
    module_free(&m);
}

int main(void)
{
    struct bv_backend *backend = NULL;
    test_confined(); /* first: it forks */
    tap_ok(bv_backend_wasm(NULL, &backend, NULL) == BV_OK, "a backend");
    test_report(backend);
    test_polled(backend);
    test_cancel(backend);
    test_stdin(backend);
    test_dropped(backend);
    test_options();
    test_deterministic();
    bv_backend_free(backend);
    test_nomem();
    return tap_done();
}
