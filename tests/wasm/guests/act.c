/* tests/wasm/guests/act.c - does one thing that its first argument names, and says on stdout how it went: "ok ..." or errno's name.
 *
 * backend.py runs it inside under a contract and, built for the host, outside, so that a denial inside has a success outside
 * beside it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int say(long result)
{
    printf("%s\n", result < 0 ? strerror(errno) : "ok");
    return result < 0;
}

static int act_read(char **args)
{
    char bytes[4096];
    const int fd = open(args[0], O_RDONLY);
    const ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (n > 0) {
        printf("%.*s\n", (int)n, bytes);
    }
    return say(n);
}

static int act_write(char **args)
{
    const int fd = open(args[0], O_WRONLY | O_CREAT, 0644);
    return say(fd < 0 ? -1 : write(fd, args[1], strlen(args[1])));
}

static int act_list(char **args)
{
    DIR *directory = opendir(args[0]);
    struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL) {
        printf("%s\n", entry->d_name);
    }
    return say(directory ? 0 : -1);
}

static int act_mkdir(char **args)
{
    return say(mkdir(args[0], 0755));
}
static int act_unlink(char **args)
{
    return say(unlink(args[0]));
}
static int act_symlink(char **args)
{
    return say(symlink(args[0], args[1]));
}
static int act_link(char **args)
{
    return say(link(args[0], args[1]));
}
static int act_rename(char **args)
{
    return say(rename(args[0], args[1]));
}

static int act_env(char **args)
{
    (void)args;
    for (char **entry = environ; entry && *entry; entry++) {
        printf("%s\n", *entry);
    }
    return 0;
}

static int act_args(char **args)
{
    for (; *args; args++) {
        printf("<%s>\n", *args);
    }
    return 0;
}

/* Every descriptor that can be named. */
static int act_fds(char **args)
{
    (void)args;
    for (int fd = 0; fd < 2000; fd++) {
        if (fcntl(fd, F_GETFL) >= 0) {
            printf("%d\n", fd);
        }
    }
    return 0;
}

static int act_keep(char **args)
{
    char bytes[64];
    const int fd = atoi(args[0]);
    const ssize_t n = read(fd, bytes, sizeof bytes);
    printf("read %s%.*s\n", n < 0 ? strerror(errno) : "", n > 0 ? (int)n : 0, bytes);
    const ssize_t w = write(fd, "x", 1);
    printf("write %s\n", w < 0 ? strerror(errno) : "ok");
    return 0;
}

static int act_spin(char **args)
{
    (void)args;
    for (volatile unsigned i = 0;; i++) {
    }
    return 0;
}

static int act_sleep(char **args)
{
    printf("begun\n");
    fflush(stdout);
    sleep((unsigned)atoi(args[0]));
    return 0;
}

static int act_pollspin(char **args)
{
    (void)args;
    for (;;) {
        (void)poll(NULL, 0, 0);
    }
    return 0;
}

/* One call that moves as many bytes as a call can: the same megabyte, over and over. */
static int act_hostcall(char **args)
{
    static char bytes[1 << 20];
    static struct iovec list[1000];
    (void)args;
    for (int i = 0; i < 1000; i++) {
        list[i] = (struct iovec){ bytes, sizeof bytes };
    }
    for (;;) {
        (void)writev(1, list, 1000);
    }
    return 0;
}

static int act_stdin(char **args)
{
    char bytes[65536];
    ssize_t n;
    long total = 0;
    (void)args;
    while ((n = read(0, bytes, sizeof bytes)) > 0) {
        total += n;
    }
    printf("stdin %ld\n", total);
    return 0;
}

static int act_print(char **args)
{
    for (long long n = atoll(args[0]); n > 0; n -= 64) {
        fputs("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n", stdout);
    }
    return 0;
}

static int act_fill(char **args)
{
    static char bytes[1 << 16];
    const int fd = open(args[0], O_WRONLY | O_CREAT, 0644);
    long long total = 0;
    ssize_t n = 0;
    while (fd >= 0 && total < 10ll << 30 && (n = write(fd, bytes, sizeof bytes)) > 0) {
        total += n;
    }
    printf("%lld bytes, then %s\n", total, n < 0 ? strerror(errno) : "the end");
    return 0;
}

static int act_opens(char **args)
{
    long opened = 0;
    int last = 0;
    for (long i = atol(args[1]); i > 0; i--) {
        const int fd = open(args[0], O_RDONLY);
        opened += fd >= 0;
        last = fd < 0 ? errno : last;
    }
    printf("%ld opened, then %s\n", opened, last ? strerror(last) : "no error");
    return 0;
}

/* Reads a path again and again while somebody else swaps a directory on its way; prints what it ever read. */
static int act_swapped(char **args)
{
    long inside = 0, outside = 0, failed = 0;
    for (long i = atol(args[1]); i > 0; i--) {
        char bytes[64] = "";
        const int fd = open(args[0], O_RDONLY);
        if (fd < 0) {
            failed++;
            continue;
        }
        (void)read(fd, bytes, sizeof bytes - 1);
        close(fd);
        if (strncmp(bytes, "inside", 6) == 0) {
            inside++;
        } else {
            outside++;
        }
    }
    printf("inside %ld outside %ld failed %ld\n", inside, outside, failed);
    return outside > 0;
}

static int act_hold(char **args)
{
    char *bytes = malloc((size_t)atol(args[0]));
    printf("%s\n", bytes ? "ok" : "no memory");
    return 0;
}

static int act_deep(char **args)
{
    long depth = 0;
    for (long i = atol(args[0]); i > 0 && mkdir("d", 0755) == 0 && chdir("d") == 0; i--) {
        depth++;
    }
    printf("%ld deep\n", depth);
    return 0;
}

static const struct {
    const char *name;
    int (*act)(char **args);
} acts[] = {
    { "read", act_read },         { "write", act_write },   { "list", act_list },
    { "mkdir", act_mkdir },       { "unlink", act_unlink }, { "symlink", act_symlink },
    { "link", act_link },         { "rename", act_rename }, { "env", act_env },
    { "args", act_args },         { "fds", act_fds },       { "keep", act_keep },
    { "spin", act_spin },         { "sleep", act_sleep },   { "pollspin", act_pollspin },
    { "hostcall", act_hostcall }, { "stdin", act_stdin },   { "print", act_print },
    { "fill", act_fill },         { "opens", act_opens },   { "swapped", act_swapped },
    { "hold", act_hold },         { "deep", act_deep },
};

int main(int count, char **args)
{
    for (size_t i = 0; count > 1 && i < sizeof acts / sizeof acts[0]; i++) {
        if (strcmp(args[1], acts[i].name) == 0) {
            return acts[i].act(args + 2);
        }
    }
    return 99;
}
