/* tests/linux/test_host.c - hosts of every kind: closed descriptors, ignored signals, a lost working directory, 1 GiB, many
 * threads, no descriptors left, killed, stopped; what a host hands down, and that its secrets stay nowhere. */
#include "linux/harness.h"

#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

static ptrdiff_t give_secret(void *context, const char *reference, char *buffer, size_t capacity)
{
    const char *value = context;
    const size_t size = strlen(value);
    if (strcmp(reference, "ci/token") != 0 || size > capacity) {
        return -1;
    }
    memcpy(buffer, value, size);
    return (ptrdiff_t)size;
}

static void test_inherited(void)
{
    static const struct bv_env_entry entries[] = {
        { .name = "LANG", .literal = "C" }, { .name = "EMPTY", .literal = "" }, { .name = "TOKEN", .secret = "ci/token" },
    };
    struct box box;
    struct result result;
    char secret[] = "s3cr3t-value";
    box_init(&box, payload, "env", NULL);
    box_capability(&box, BV_CAP_ENVIRONMENT)->u.environment = (struct bv_environment){ entries, 3 };
    box.options.secret = give_secret;
    box.options.secret_context = secret;
    run(&box, &result);
    tap_text(result_stream(&result, "stdout"), "LANG=C\nEMPTY=\nTOKEN=s3cr3t-value\n", "the environment is exact");
    result_free(&result);

    const int kept = fcntl(STDERR_FILENO, F_DUPFD, 77);
    const int32_t list[] = { kept };
    box_init(&box, payload, "fds", NULL);
    box_capability(&box, BV_CAP_INHERITED_FDS)->u.inherited_fds = (struct bv_inherited_fds){ list, 1 };
    run(&box, &result);
    char wanted[40];
    (void)snprintf(wanted, sizeof wanted, "0 1 2 %d ", kept);
    tap_text(result_stream(&result, "stdout"), wanted, "a kept descriptor keeps its number, and no other is there");
    result_free(&result);
    (void)close(kept);
}

/* How often a value is in memory of this process that can be written; once at least, for the needle itself. */
static int count_in_memory(const char *needle, size_t size)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    static char chunk[1 << 16];
    char line[512];
    int count = 0;
    while (maps != NULL && memory >= 0 && fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        char access[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, access) != 3 || access[1] != 'w' || to - from > 1ul << 32) {
            continue; /* what is larger than 4 GiB is a sanitizer's shadow */
        }
        size_t want = sizeof chunk;
        for (unsigned long at = from; want == sizeof chunk; at += sizeof chunk / 2) { /* halves overlap: nothing is cut in two */
            want = to - at < sizeof chunk ? to - at : sizeof chunk;
            const ssize_t n = pread(memory, chunk, want, (off_t)at);
            for (ssize_t i = 0; i + (ssize_t)size <= n && (i < (ssize_t)sizeof chunk / 2 || want < sizeof chunk); i++) {
                const unsigned long found = at + (unsigned long)i;
                const bool own = found + size > (unsigned long)chunk && found < (unsigned long)chunk + sizeof chunk;
                count += !own && memcmp(chunk + i, needle, size) == 0;
            }
        }
    }
    memset(chunk, 0, sizeof chunk);
    (void)fclose(maps);
    (void)close(memory);
    return count;
}

static void test_secret_wiped(void)
{
    static const struct bv_env_entry entry = { .name = "TOKEN", .secret = "ci/token" };
    struct box box;
    struct result result;
    char secret[201];
    uint32_t state = (uint32_t)getpid();
    for (size_t i = 0; i < sizeof secret - 1; i++) { /* without a period, or it would be found in itself */
        state = state * 1664525u + 1013904223u;
        secret[i] = (char)('a' + (state >> 24) % 26);
    }
    secret[sizeof secret - 1] = '\0';
    box_init(&box, payload, "exit", "0");
    box_capability(&box, BV_CAP_ENVIRONMENT)->u.environment = (struct bv_environment){ &entry, 1 };
    box.options.secret = give_secret;
    box.options.secret_context = secret;
    run(&box, &result);
    tap_ok(result.outcome == BV_OUTCOME_COMPLETED, "a run with a secret");
    for (size_t at = 0; at + 40 <= 200; at += 80) {
        const int count = count_in_memory(secret + at, 40);
        tap_ok(count == 1, "bytes %zu to %zu of the secret are nowhere else in the host's memory: %d", at, at + 39, count - 1);
    }
    result_free(&result);
}

/* With fewer and fewer descriptors left every call of a launch fails once; none may leave anything behind. */
static void with_few_descriptors(void)
{
    struct rlimit limit;
    struct box box;
    struct result result;
    struct bv_backend *fresh = NULL; /* what was prepared for a run that could not start ends with its backend */
    int right = 0;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t soft = limit.rlim_cur;
    for (int more = 60; more >= 0; more--) {
        const int before = count_fds();
        box_init(&box, payload, "exit", "7");
        if (bv_backend_linux(&fresh, NULL) != BV_OK) {
            _exit(9);
        }
        limit.rlim_cur = (rlim_t)(before + more);
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        box_run(&box, fresh, &result);
        bv_backend_free(fresh);
        limit.rlim_cur = soft;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        if (result.status == BV_OK && result.exit.value != 7 && result.outcome != BV_OUTCOME_SUPERVISOR_FAULT &&
            result.outcome != BV_OUTCOME_UNSUPPORTED) {
            _exit(10);
        }
        right += result.status == BV_OK && result.exit.value == 7;
        result_free(&result);
        if (count_fds() != before) {
            _exit(11);
        }
        if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD) {
            _exit(12);
        }
    }
    _exit(right > 0 && right < 61 ? 0 : 13);
}

static void expect_seven(int code)
{
    struct box box;
    struct result result;
    box_init(&box, payload, "exit", "7");
    box_run(&box, backend, &result);
    if (result.status != BV_OK || result.exit.value != 7) {
        _exit(code + (int)result.status);
    }
    result_free(&result);
}

static void with_closed_fds(void)
{
    (void)close(0);
    (void)close(1);
    (void)close(2);
    expect_seven(10);
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            _exit(50 + fd);
        }
    }
}

static void with_ignored_sigchld(void)
{
    (void)signal(SIGCHLD, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    expect_seven(10);
}

static void with_lost_cwd(void)
{
    char directory[] = "/tmp/bvisor-test-cwd-XXXXXX";
    if (mkdtemp(directory) == NULL || chdir(directory) != 0 || rmdir(directory) != 0) {
        _exit(3);
    }
    expect_seven(10);
}

static void with_own_children(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(33);
    }
    int status;
    expect_seven(10);
    if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 33) {
        _exit(40);
    }
}

static void with_big_memory(void)
{
    char *memory = malloc(1u << 30);
    memset(memory, 1, 1u << 30);
    struct box box;
    struct result result;
    box_init(&box, payload, "exit", "7");
    box_run(&box, backend, &result);
    if (result.status != BV_OK || result.exit.value != 7 || result.seconds > 0.2) {
        _exit(10);
    }
    result_free(&result);
    free(memory);
}

static void test_hosts(void)
{
    tap_ok(in_child(with_closed_fds) == 0, "a host with 0, 1 and 2 closed");
    tap_ok(in_child(with_ignored_sigchld) == 0, "a host that ignores SIGCHLD and SIGPIPE");
    tap_ok(in_child(with_lost_cwd) == 0, "a host whose working directory is gone");
    tap_ok(in_child(with_own_children) == 0, "a host's own children are not waited for");
    tap_ok(in_child(with_big_memory) == 0, "a host of 1 GiB");
    const int answer = in_child(with_few_descriptors);
    tap_ok(answer == 0, "a host that runs out of descriptors at every point: %d", answer);
}

static void *many_runs(void *count)
{
    for (int i = 0; i < 10; i++) {
        struct box box;
        struct result result;
        char number[8];
        (void)snprintf(number, sizeof number, "%d", i + 1);
        box_init(&box, payload, "exit", number);
        box_run(&box, backend, &result);
        *(int *)count += result.status == BV_OK && result.exit.value == i + 1;
        result_free(&result);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[8];
    int counts[8] = { 0 }, total = 0;
    for (int i = 0; i < 8; i++) {
        (void)pthread_create(&threads[i], NULL, many_runs, &counts[i]);
    }
    for (int i = 0; i < 8; i++) {
        (void)pthread_join(threads[i], NULL);
        total += counts[i];
    }
    tap_ok(total == 80, "%d of 80 runs in 8 threads are right", total);
}

/* Forks without an exec while the run is on: the child has copies of all that the library holds, and outlives the host. */
static void *fork_child(void *held)
{
    (void)usleep(150000);
    if (fork() == 0) {
        (void)close(*(const int *)held);
        (void)sleep(8);
        _exit(0);
    }
    return NULL;
}

/* A host that starts a run which holds a pipe open, and what becomes of the pipe when the host is killed or stopped. */
static void hold_pipe(int fd, uint64_t wall_micros, bool forks)
{
    pthread_t thread;
    if (forks && pthread_create(&thread, NULL, fork_child, &fd) != 0) {
        abort();
    }
    const int32_t list[] = { fd };
    struct box box;
    struct result result;
    box_init(&box, payload, "sleep", "60000");
    box_capability(&box, BV_CAP_INHERITED_FDS)->u.inherited_fds = (struct bv_inherited_fds){ list, 1 };
    box_limit(&box, BV_WALL_MICROS, wall_micros);
    box_run(&box, backend, &result);
    _exit(1);
}

static void test_supervisor_lost(int host_signal, uint64_t wall_micros, bool forks, const char *what)
{
    int held[2];
    if (pipe2(held, O_CLOEXEC) != 0) {
        abort();
    }
    const pid_t pid = fork();
    if (pid == 0) {
        (void)close(held[0]);
        const int kept = fcntl(held[1], F_DUPFD, 60);
        (void)close(held[1]);
        hold_pipe(kept, wall_micros, forks);
    }
    (void)close(held[1]);
    const struct timespec start = { 0, 300000000 };
    (void)nanosleep(&start, NULL);
    (void)kill(pid, host_signal);
    if (host_signal == SIGSTOP) {
        /* The stopped host holds its own copy of the pipe: it is killed once the limit is past, and the tree must be dead. */
        const struct timespec past = { 1, 0 };
        (void)nanosleep(&past, NULL);
        (void)kill(pid, SIGKILL);
    }
    struct timespec a, b;
    (void)clock_gettime(CLOCK_MONOTONIC, &a);
    struct pollfd p = { .fd = held[0], .events = POLLIN };
    const int ended = poll(&p, 1, 5000);
    (void)clock_gettime(CLOCK_MONOTONIC, &b);
    const double millis = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
    tap_ok(ended == 1 && (p.revents & POLLHUP) != 0, "%s: its tree is dead after %.0f ms", what, millis);
    (void)waitpid(pid, NULL, 0);
    (void)close(held[0]);
}

int main(int argc, char **argv)
{
    if (!harness_begin(argc, argv)) {
        return tap_done();
    }
    group(test_inherited, "inherited");
    group(test_secret_wiped, "secret");
    group(test_hosts, "hosts");
    group(test_threads, "threads");
    test_supervisor_lost(SIGKILL, 30000000, false, "a killed supervisor");
    test_supervisor_lost(SIGKILL, 30000000, true, "a killed supervisor whose forked child lives");
    test_supervisor_lost(SIGSTOP, 500000, false, "a stopped supervisor");
    tap_ok(in_child(with_own_children) == 0, "the next run works, and sweeps what the killed hosts left");
    bv_backend_free(backend);
    return tap_done();
}
