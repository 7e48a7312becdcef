/* tests/linux/payload.c - what the tests run inside the boundary: one small static program, one verb an attempt.
 *
 * Needs no file, no library and no environment. Exit statuses: the verb's own; 99: unknown verb; 98: something failed that
 * the test did not expect. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void say(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        const ssize_t n = write(fd, at, size);
        if (n <= 0) {
            _exit(98);
        }
        at += n;
        size -= (size_t)n;
    }
}

static int do_signal(const char *number)
{
    (void)kill(getpid(), atoi(number));
    (void)pause();
    return 98;
}

/* Writes that many bytes of a known pattern. */
static int do_flood(const char *count)
{
    static char bytes[1 << 20];
    memset(bytes, 'x', sizeof bytes);
    for (unsigned long long left = strtoull(count, NULL, 10); left > 0;) {
        const size_t n = left < sizeof bytes ? (size_t)left : sizeof bytes;
        say(1, bytes, n);
        left -= n;
    }
    return 0;
}

/* Everything that a process of the same uid may try against init, which is pid 1 of the boundary; then lives long enough for
 * init to sample. Says which of them worked. */
static int do_unseat(void)
{
    static const struct rlimit none = { 0, 0 };
    static const int resources[] = { RLIMIT_NOFILE, RLIMIT_CPU, RLIMIT_AS, RLIMIT_STACK };
    static const int signals[] = { SIGSTOP, SIGKILL, SIGTERM, SIGCHLD };
    char worked[8] = "";
    size_t count = 0;
    for (size_t i = 0; i < 4; i++) {
        if (prlimit(1, (enum __rlimit_resource)resources[i], &none, NULL) == 0) {
            worked[count++] = 'l';
        }
    }
    for (size_t i = 0; i < 4; i++) {
        (void)kill(1, signals[i]); /* ignored by a namespace's init, or refused */
    }
    if (setpriority(PRIO_PROCESS, 1, 19) == 0) {
        worked[count++] = 'p';
    }
    (void)usleep(300000);
    say(1, worked, count);
    return 0;
}

static int do_spin(void)
{
    volatile unsigned long i = 0;
    while (i + 1 != 0) {
        i++;
    }
    return 98;
}

static int do_touch(const char *megabytes)
{
    const size_t size = (size_t)strtoull(megabytes, NULL, 10) << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return 98;
    }
    for (size_t i = 0; i < size; i += 4096) {
        ((volatile char *)memory)[i] = 1;
    }
    return 0;
}

/* Starts that many children and lets them be seen; the exit status is how many there were. */
static int do_fork(const char *count)
{
    int made = 0;
    for (int i = atoi(count); i > 0; i--) {
        const pid_t pid = fork();
        if (pid == 0) {
            (void)pause();
            _exit(0);
        }
        made += pid > 0;
    }
    static const struct timespec time = { 0, 60000000 };
    (void)nanosleep(&time, NULL);
    return made;
}

/* Leaves a child behind that holds the kept descriptor open. */
static int do_daemon(void)
{
    if (fork() == 0) {
        (void)setsid();
        for (;;) {
            (void)pause();
        }
    }
    return 0;
}

static int do_env(void)
{
    for (char **at = environ; *at != NULL; at++) {
        say(1, *at, strlen(*at));
        say(1, "\n", 1);
    }
    return 0;
}

static int do_cat(void)
{
    char bytes[65536];
    for (ssize_t n; (n = read(0, bytes, sizeof bytes)) != 0;) {
        if (n < 0) {
            return 98;
        }
        say(1, bytes, (size_t)n);
    }
    return 0;
}

static int do_fds(void)
{
    char line[16];
    for (int fd = 0; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            say(1, line, (size_t)snprintf(line, sizeof line, "%d ", fd));
        }
    }
    return 0;
}

/* Writes to a file until it is refused; the exit status is the whole megabytes that fitted. */
static int do_fill(const char *path)
{
    static char bytes[65536];
    size_t total = 0;
    const int fd = open(path, O_CREAT | O_WRONLY, 0600);
    if (fd < 0) {
        return 98;
    }
    for (ssize_t n; total < (200u << 20) && (n = write(fd, bytes, sizeof bytes)) > 0;) {
        total += (size_t)n;
    }
    return errno == ENOSPC ? (int)(total >> 20) : 97;
}

static int do_open(const char *path)
{
    return open(path, O_RDONLY) >= 0 ? 0 : errno;
}

static int do_create(const char *path)
{
    return open(path, O_WRONLY | O_CREAT, 0600) >= 0 ? 0 : errno;
}

/* Makes that many denied calls as fast as it can. */
static int do_sockets(const char *count)
{
    for (int i = atoi(count); i > 0; i--) {
        if (socket(AF_INET, SOCK_STREAM, 0) >= 0) {
            return 1;
        }
    }
    return 0;
}

static int do_facts(void)
{
    char text[256], cwd[128], host[64] = "";
    (void)gethostname(host, sizeof host - 1);
    const mode_t mask = umask(0);
    const int n =
        snprintf(text, sizeof text, "uid=%d gid=%d pid=%d sid=%d cwd=%s host=%s umask=%03o",
                 (int)getuid(), (int)getgid(), (int)getpid(), getsid(0) == getpid(),
                 getcwd(cwd, sizeof cwd) ? cwd : "?", host, (unsigned)mask);
    say(1, text, (size_t)n);
    return 0;
}

static int do_sleep(const char *millis)
{
    const long long n = atoll(millis);
    const struct timespec time = { n / 1000, n % 1000 * 1000000 };
    (void)nanosleep(&time, NULL);
    return 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    const char *value = argc > 2 ? argv[2] : "";
    static const struct {
        const char *name;
        int (*with)(const char *);
        int (*without)(void);
    } verbs[] = {
        { "exit", atoi, NULL },          { "signal", do_signal, NULL },
        { "flood", do_flood, NULL },     { "unseat", NULL, do_unseat },
        { "spin", NULL, do_spin },       { "touch", do_touch, NULL },
        { "fork", do_fork, NULL },       { "daemon", NULL, do_daemon },
        { "env", NULL, do_env },         { "cat", NULL, do_cat },
        { "fds", NULL, do_fds },         { "fill", do_fill, NULL },
        { "open", do_open, NULL },       { "create", do_create, NULL },
        { "sockets", do_sockets, NULL }, { "facts", NULL, do_facts },
        { "sleep", do_sleep, NULL },
    };
    if (strcmp(verb, "say") == 0) {
        say(1, value, strlen(value));
        say(2, "err\0or", 6);
        return 0;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verb, verbs[i].name) == 0) {
            return verbs[i].with ? verbs[i].with(value) : verbs[i].without();
        }
    }
    return 99;
}
