/* tests/escape/load.c - a known load, so that each witness of a report can be held against a figure that was decided beforehand.
 *
 * usage: load [DIRECTORY]      40 MiB touched, 5 tasks, 12 descriptors, 3 MiB stored in DIRECTORY, 200 ms of processor time
 * The parent starts four children; each of the five touches 8 MiB, and all hold together for 400 ms. Descriptors are counted
 * over the tree: each child keeps one, the parent opens the rest. The children start one after the other and close what they
 * inherit at once, because a peak counts: at no moment may the tree hold more than in the end. */
#include "attempt.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define CHILDREN 4
#define TOTAL_MEBIBYTES 40
#define STORED_MEBIBYTES 3
#define HANDLES 12
#define CPU_MILLIS 200

static void touch(size_t mebibytes)
{
    char *memory = mmap(NULL, mebibytes << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        _exit(3);
    }
    memset(memory, 7, mebibytes << 20);
}

static long cpu_millis(void)
{
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000L + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1000L;
}

static void child(const int gate[2], atomic_int *started)
{
    char byte;

    (void)close(gate[1]);
    (void)close(1);
    atomic_fetch_add(started, 1);
    touch(TOTAL_MEBIBYTES / (CHILDREN + 1));
    while (cpu_millis() < CPU_MILLIS / (CHILDREN + 1)) {
    }
    /* Holds one descriptor, the gate, until the parent lets go. */
    if (read(gate[0], &byte, 1) != 0) {
        _exit(1);
    }
    _exit(0);
}

static void store(const char *directory)
{
    static char block[1 << 20];
    char path[4200];
    int fd;

    (void)snprintf(path, sizeof path, "%s/stored", directory);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    memset(block, 'x', sizeof block);
    for (int i = 0; i < STORED_MEBIBYTES; i++) {
        put_bytes(fd, block, sizeof block);
    }
    if (fd < 0 || close(fd) < 0) {
        _exit(4);
    }
}

/* On a slow machine starting and touching alone may cost more than was decided: then what the kernel charged to this tree is
 * the figure to hold a witness against. It is the processes' own account and not the cgroup's, which the witness comes from. */
static void tell_cpu(void)
{
    struct rusage self, children;
    (void)getrusage(RUSAGE_SELF, &self);
    (void)getrusage(RUSAGE_CHILDREN, &children);
    printf("cpu_micros %lld\n",
           (long long)(self.ru_utime.tv_sec + self.ru_stime.tv_sec + children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1000000 +
               self.ru_utime.tv_usec + self.ru_stime.tv_usec + children.ru_utime.tv_usec + children.ru_stime.tv_usec);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    atomic_int *started = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int gate[2];

    attempt_runs();
    (void)close(0);
    (void)close(2);
    if (started == MAP_FAILED || pipe(gate) < 0) {
        return 2;
    }
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            child(gate, started);
        }
        if (pid < 0) {
            return 5;
        }
        while (atomic_load(started) == i) {
            pause_millis(1);
        }
    }
    (void)close(gate[0]);
    touch(TOTAL_MEBIBYTES / (CHILDREN + 1));
    store(argc > 1 ? argv[1] : "/tmp");
    /* The parent has stdout and the gate's writing end; each child has the gate's reading end. */
    for (int held = CHILDREN + 2; held < HANDLES; held++) {
        if (dup(STDOUT_FILENO) < 0) {
            return 6;
        }
    }
    while (cpu_millis() < CPU_MILLIS / (CHILDREN + 1)) {
    }
    pause_millis(400);
    (void)close(gate[1]);
    while (wait(NULL) > 0) {
    }
    tell_cpu();
    return 0;
}
