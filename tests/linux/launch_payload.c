/* tests/linux/launch_payload.c - what test_launcher.c runs inside the boundary: a static program,
 * one verb an observation.
 *
 * It prints plain lines and exits with a code of its own; what should hold is judged outside. Exit
 * 98: an unexpected failure, 99: unknown verb. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

static _Noreturn void hold(void)
{
    for (;;) {
        pause();
    }
}

static void spin_millis(long millis)
{
    struct timespec used;

    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    } while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < millis);
}

static int verb_exit(char **args)
{
    return number(args[0]);
}

static int verb_signal(char **args)
{
    raise(number(args[0]));
    hold();
}

static int verb_cat(char **args)
{
    char buffer[4096];
    ssize_t got;

    (void)args;
    while ((got = read(0, buffer, sizeof(buffer))) > 0) {
        if (write(1, buffer, (size_t)got) != got) {
            return 98;
        }
    }
    return got == 0 ? 0 : 98;
}

static int verb_hold(char **args)
{
    (void)args;
    if (write(1, "up\n", 3) != 3) {
        return 98;
    }
    hold();
}

static int verb_sleep(char **args)
{
    usleep((useconds_t)number(args[0]) * 1000);
    return 0;
}

static int verb_fds(char **args)
{
    (void)args;
    for (int fd = 0; fd < 4096; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            printf("%d ", fd);
        }
    }
    printf("\n");
    return 0;
}

static int verb_who(char **args)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct caps[2] = { { 0 } };
    struct utsname names;
    sigset_t mask;
    mode_t mask_bits = umask(0);
    char cwd[256];
    int ignored = 0, blocked = 0, bounding = 0;

    (void)args;
    for (int capability = 0; capability < 64; capability++) {
        bounding += prctl(PR_CAPBSET_READ, capability) > 0; /* past the last one: EINVAL */
    }
    uname(&names);
    syscall(SYS_capget, &header, caps);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    for (int s = 1; s < 32; s++) {
        struct sigaction action;

        sigaction(s, NULL, &action);
        ignored += action.sa_handler != SIG_DFL;
        blocked += sigismember(&mask, s);
    }
    printf("pid=%d ppid=%d sid=%d uid=%d gid=%d host=%s umask=%03o\n", getpid(), getppid(),
           getsid(0), getuid(), getgid(), names.nodename, mask_bits);
    printf("caps=%x%x bset=%d nnp=%d secure=%x dumpable=%d groups=%d\n",
           caps[0].permitted | caps[0].effective | caps[0].inheritable,
           caps[1].permitted | caps[1].effective | caps[1].inheritable,
           bounding, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
           (unsigned)prctl(PR_GET_SECUREBITS), prctl(PR_GET_DUMPABLE), getgroups(0, NULL));
    printf("cwd=%s ignored=%d blocked=%d tty=%d\n", getcwd(cwd, sizeof(cwd)) ? cwd : "?", ignored,
           blocked, open("/dev/tty", O_RDWR));
    return 0;
}

static int verb_env(char **args)
{
    for (char **at = environ; *at; at++) {
        printf("%s\n", *at);
    }
    for (; *args; args++) {
        printf("arg %s\n", *args);
    }
    return 0;
}

static int verb_limit(char **args)
{
    struct rlimit limit;

    getrlimit((unsigned)number(args[0]), &limit);
    printf("%lld %lld\n", (long long)limit.rlim_cur, (long long)limit.rlim_max);
    return 0;
}

/* open PATH r|w|c|x: prints "ok" or the errno's name. */
static int verb_open(char **args)
{
    for (; args[0] && args[1]; args += 2) {
        int flags = args[1][0] == 'r'   ? O_RDONLY
                    : args[1][0] == 'w' ? O_WRONLY
                                        : O_WRONLY | O_CREAT | O_EXCL;

        if (args[1][0] == 'x') {
            printf("%s %s\n", args[0], access(args[0], X_OK) == 0 ? "ok" : strerrorname_np(errno));
            continue;
        }
        printf("%s %s\n", args[0], open(args[0], flags, 0600) >= 0 ? "ok" : strerrorname_np(errno));
    }
    return 0;
}

static int verb_exec(char **args)
{
    execv(args[0], args);
    printf("%s\n", strerrorname_np(errno));
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int verb_list(char **args)
{
    DIR *dir = opendir(args[0]);
    char *names[256];
    size_t count = 0;

    if (!dir) {
        printf("%s\n", strerrorname_np(errno));
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(dir)) && count < 256;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            names[count++] = strdup(entry->d_name);
        }
    }
    qsort(names, count, sizeof(names[0]), compare);
    for (size_t i = 0; i < count; i++) {
        printf("%s ", names[i]);
    }
    printf("\n");
    return 0;
}

static int verb_flags(char **args)
{
    for (; *args; args++) {
        struct statvfs fs;

        if (statvfs(*args, &fs) < 0) {
            printf("%s %s\n", *args, strerrorname_np(errno));
            continue;
        }
        printf("%s%s%s%s%s\n", *args, fs.f_flag & ST_RDONLY ? " ro" : "",
               fs.f_flag & ST_NOSUID ? " nosuid" : "", fs.f_flag & ST_NODEV ? " nodev" : "",
               fs.f_flag & ST_NOEXEC ? " noexec" : "");
    }
    return 0;
}

/* fill PATH BYTES [PATH BYTES]: writes so much; prints what went in. */
static int verb_fill(char **args)
{
    static char block[4096];

    for (; args[0] && args[1]; args += 2) {
        int fd = open(args[0], O_WRONLY | O_CREAT, 0600);
        long want = strtol(args[1], NULL, 10), done = 0;

        while (done < want) {
            ssize_t put = write(fd, block, sizeof(block));

            if (put <= 0) {
                break;
            }
            done += put;
        }
        printf("%s %ld %s\n", args[0], done, done < want ? strerrorname_np(errno) : "ok");
    }
    return 0;
}

/* burn MILLIS PROCESSES: CPU in so many children, each of which it waits for. */
static int verb_burn(char **args)
{
    for (int i = number(args[1]); i > 0; i--) {
        if (fork() == 0) {
            spin_millis(number(args[0]));
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {
    }
    return 0;
}

/* tree CHILDREN MILLIS: children that sleep, then all end. */
static int verb_tree(char **args)
{
    for (int i = number(args[0]); i > 0; i--) {
        if (fork() == 0) {
            usleep((useconds_t)number(args[1]) * 1000);
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {
    }
    return 0;
}

static int verb_daemon(char **args)
{
    for (int i = number(args[0]); i > 0; i--) {
        if (fork() == 0) {
            setsid();
            signal(SIGTERM, SIG_IGN);
            hold();
        }
    }
    return 7;
}

static int verb_handles(char **args)
{
    for (int i = number(args[0]); i > 0; i--) {
        if (dup(0) < 0) {
            return 98;
        }
    }
    usleep((useconds_t)number(args[1]) * 1000);
    return 0;
}

static int verb_touch(char **args)
{
    size_t bytes = (size_t)number(args[0]) << 20;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memset(memory, 1, bytes);
    return 0;
}

static int verb_net(char **args)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((unsigned short)number(args[0])),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    printf("%s\n", fd < 0                                                 ? strerrorname_np(errno)
                   : connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ? "connected"
                                                                          : strerrorname_np(errno));
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(char **args);
        int args;
    } verbs[] = {
        { "exit", verb_exit, 1 },   { "signal", verb_signal, 1 }, { "cat", verb_cat, 0 },
        { "hold", verb_hold, 0 },   { "sleep", verb_sleep, 1 },   { "fds", verb_fds, 0 },
        { "who", verb_who, 0 },     { "env", verb_env, 0 },       { "limit", verb_limit, 1 },
        { "open", verb_open, 2 },   { "exec", verb_exec, 1 },     { "list", verb_list, 1 },
        { "flags", verb_flags, 1 }, { "fill", verb_fill, 2 },     { "burn", verb_burn, 2 },
        { "tree", verb_tree, 2 },   { "daemon", verb_daemon, 1 }, { "handles", verb_handles, 2 },
        { "touch", verb_touch, 1 }, { "net", verb_net, 1 },
    };

    for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(argv[1], verbs[i].name) == 0 && argc - 2 >= verbs[i].args) {
            int status = verbs[i].run(argv + 2);

            fflush(stdout);
            return status;
        }
    }
    return 99;
}
