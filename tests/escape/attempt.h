/* tests/escape/attempt.h - what the attempts share. An attempt tries one forbidden thing by every means it knows.
 *
 * It never judges itself: the harness looks at the host (did the secret come out, did the file change, did the listener
 * hear something, does the process exist). The banner on stdout proves that the attempt ran at all; without it a boundary
 * that cannot start anything would look like one that holds. Exit status is always 0 unless the boundary ends the program. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Writes all bytes; the harness reads stdout as the only channel out of the boundary. */
static inline void put_bytes(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t done = write(fd, at, size);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return;
        }
        at += done;
        size -= (size_t)done;
    }
}

static inline void put(const char *text)
{
    put_bytes(STDOUT_FILENO, text, strlen(text));
}

/* First call of every attempt. */
static inline void attempt_runs(void)
{
    put("ATTEMPT RUNS\n");
}

/* What a call answered, for the person who reads a failed test. */
static inline void note(const char *what, long result)
{
    char line[160];
    int length = snprintf(line, sizeof line, "# %s: %s\n", what, result < 0 ? strerror(errno) : "ok");
    put_bytes(STDERR_FILENO, line, (size_t)length);
}

/* Copies what fd holds to stdout and closes it; a negative fd is a refused open. */
static inline void spill(const char *what, int fd)
{
    char block[4096];
    ssize_t got;

    note(what, fd);
    if (fd < 0) {
        return;
    }
    while ((got = read(fd, block, sizeof block)) > 0) {
        put_bytes(STDOUT_FILENO, block, (size_t)got);
    }
    (void)close(fd);
}

/* A machine that is slow to look needs more time to see: a last argument "patience=N" makes every pause N times as long. */
static long patience = 1;
__attribute__((constructor)) static void read_patience(int argc, char **argv)
{
    if (argc > 1 && strncmp(argv[argc - 1], "patience=", 9) == 0) {
        patience = strtol(argv[argc - 1] + 9, NULL, 10);
    }
}

static inline void pause_millis(long millis)
{
    millis *= patience;
    struct timespec left = { millis / 1000, millis % 1000 * 1000000L };
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
}

/* Gives this task a name that the harness looks for in the host's /proc. */
static inline void wear_name(const char *name)
{
    (void)prctl(PR_SET_NAME, (unsigned long)(uintptr_t)name, 0, 0, 0);
}

static inline uint16_t port_of(const char *text)
{
    return (uint16_t)strtoul(text, NULL, 10);
}

/* argv[index], or the empty string: the harness passes what each attempt's head comment lists. */
static inline const char *argument(int argc, char **argv, int index)
{
    return index < argc ? argv[index] : "";
}
