/* tests/unit/test_sys.c - the host's system calls: -errno out, errno left alone, descriptors
 * close-on-exec and above 2. */
#include "sys/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "support/fixture.h"
#include "support/tap.h"

static const struct bv_sys *const sys = &bv_sys_host;

static void test_open(const struct fixture *fixture)
{
    char path[600];
    errno = 12345;
    tap_ok(sys->open("/nonexistent/x", O_RDONLY) == -ENOENT && errno == 12345,
           "a failure is a negative errno, and errno stays");
    int fd = sys->open(fixture->exe, O_RDONLY);
    tap_ok(fd >= 3 && (fcntl(fd, F_GETFD) & FD_CLOEXEC),
           "a descriptor is above 2 and close-on-exec");
    tap_ok(sys->fd_path(fd, path, sizeof(path)) > 0 && strcmp(path, fixture->exe) == 0,
           "its path is known");
    tap_ok(sys->fd_path(fd, path, 4) == -ENAMETOOLONG, "a path that does not fit is not cut");
    tap_ok(sys->may_execute(fd) == 0, "the program may be executed");
    char bytes[8];
    tap_ok(sys->pread(fd, bytes, 4, 0) == 4 && memcmp(bytes, "\177ELF", 4) == 0, "it can be read");
    tap_ok(sys->pread(fd, bytes, 4, 1u << 20) == 0, "past its end there is nothing");
    tap_ok(sys->pread(fd, bytes, 4, UINT64_MAX) == -EOVERFLOW,
           "an offset beyond any file is refused");
    sys->close(fd);
    fixture_file(fixture, "plain", "x", 1, 0644, path);
    fd = sys->open(path, O_RDONLY);
    tap_ok(sys->may_execute(fd) == -EACCES, "a file without an x bit may not be executed");
    sys->close(fd);
    tap_ok(sys->is_open(fd) == -EBADF, "a closed descriptor is not open");
}

static void test_resolved(const struct fixture *fixture)
{
    char link[600], below[700];
    (void)snprintf(link, sizeof(link), "%s/link", fixture->dir);
    (void)snprintf(below, sizeof(below), "%s/link/prog", fixture->dir);
    tap_ok(symlink(fixture->dir, link) == 0, "a link is made");
    int fd = sys->open_resolved(fixture->in);
    tap_ok(fd >= 3, "a path without links opens");
    bv_cleanup_fd(&fd);
    tap_ok(sys->open_resolved(link) == -ELOOP, "a link at the end does not");
    tap_ok(sys->open_resolved(below) == -ELOOP, "nor one on the way");
    tap_ok(sys->open_resolved("/nonexistent/x") == -ENOENT, "nor what does not exist");
    tap_ok(sys->open_resolved("relative") == -EINVAL, "nor a relative path");
    (void)snprintf(below, sizeof(below), "%s/x", fixture->exe);
    tap_ok(sys->open_resolved(below) == -ENOTDIR, "nor what lies below a file");
}

static void test_sockets(void)
{
    int pair[2], type;
    struct bv_fd_facts facts;
    static const int rows[] = { SOCK_DGRAM, SOCK_STREAM, SOCK_SEQPACKET };
    for (size_t i = 0; i < BV_COUNT(rows); i++) {
        type = rows[i] | SOCK_CLOEXEC;
        tap_ok(socketpair(AF_UNIX, type, 0, pair) == 0 &&
                   sys->describe_fd(pair[0], &facts) == 0 && facts.socket_domain == AF_UNIX &&
                   facts.socket_type == rows[i] && !facts.is_directory && !facts.is_path,
               "unix socket of type %d", rows[i]);
        sys->close(pair[0]);
        sys->close(pair[1]);
    }
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (udp >= 0) {
        tap_ok(sys->describe_fd(udp, &facts) == 0 && facts.socket_domain == AF_INET,
               "a UDP socket is no unix socket");
        sys->close(udp);
    }
    int path = open("/", O_PATH | O_CLOEXEC), file = open("/", O_RDONLY | O_CLOEXEC);
    tap_ok(sys->describe_fd(path, &facts) == 0 && facts.is_path && facts.is_directory &&
               facts.socket_domain == -1,
           "a path is one");
    tap_ok(sys->describe_fd(file, &facts) == 0 && !facts.is_path && facts.is_directory &&
               facts.socket_type == -1,
           "and an open directory is none");
    sys->close(path);
    sys->close(file);
    tap_ok(sys->describe_fd(file, &facts) == -EBADF, "what is not open is told apart");
}

static void on_alarm(int signal)
{
    (void)signal;
}

static void test_events(void)
{
    int fd = sys->event_new();
    tap_ok(fd >= 3 && sys->wait_readable(fd, 0) == 0, "a new event is not raised");
    sys->event_raise(fd);
    for (int i = 0; i < 10; i++) {
        sys->event_raise(fd);
    }
    tap_ok(sys->wait_readable(fd, -1) == 1, "a raised one is, however often");
    sys->close(fd);
    errno = 12345;
    sys->event_raise(fd);
    tap_ok(errno == 12345, "raising leaves errno alone also when it fails");
    tap_ok(sys->wait_readable(fd, 0) == -EBADF && sys->wait_readable(-EBADF, -1) == -EBADF,
           "what cannot be waited for says so");

    struct sigaction action = { .sa_handler =
                                    on_alarm }; /* no SA_RESTART: poll() would end anyway */
    int pipe_fds[2];
    tap_ok(sigaction(SIGALRM, &action, NULL) == 0 && pipe2(pipe_fds, O_CLOEXEC) == 0,
           "a signal will interrupt the wait");
    struct timespec before, after;
    tap_ok(ualarm(20000, 0) == 0 && sys->now(&before) == 0 &&
               sys->wait_readable(pipe_fds[0], 100) == 0 && sys->now(&after) == 0,
           "and does not end it");
    sys->close(pipe_fds[0]);
    sys->close(pipe_fds[1]);
}

static void test_sealed_copy(void)
{
    int fd = sys->sealed_copy("test", "bytes", 5);
    char bytes[8] = "";
    tap_ok(fd >= 3 && sys->pread(fd, bytes, sizeof(bytes), 0) == 5 && strcmp(bytes, "bytes") == 0,
           "a sealed copy holds the bytes");
    tap_ok(pwrite(fd, "x", 1, 0) < 0 && ftruncate(fd, 0) < 0, "and nobody can change it");
    sys->close(fd);
}

/* Last, because it takes this program's standard descriptors away for a moment. */
static void test_without_stdio(const struct fixture *fixture)
{
    int keep_out = fcntl(1, F_DUPFD_CLOEXEC, 10), keep_in = fcntl(0, F_DUPFD_CLOEXEC, 10);
    (void)close(0);
    (void)close(1);
    int a = sys->open(fixture->exe, O_RDONLY), b = sys->event_new(),
        c = sys->open_resolved(fixture->in), d = sys->sealed_copy("t", "x", 1);
    bool free_numbers = fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0;
    (void)dup2(keep_out, 1);
    if (keep_in >= 0) {
        (void)dup2(keep_in, 0);
    }
    tap_ok(a >= 3 && b >= 3 && c >= 3 && d >= 3,
           "descriptors stay above 2 when 0 and 1 are closed");
    tap_ok(free_numbers, "and leave those numbers free");
    const int opened[] = { a, b, c, d, keep_out, keep_in };
    for (size_t i = 0; i < BV_COUNT(opened); i++) {
        bv_cleanup_fd(&opened[i]);
    }
}

int main(void)
{
    struct fixture fixture;
    char text[100];
    unsigned char one[16] = { 0 }, two[16] = { 0 };
    fixture_init(&fixture);
    test_open(&fixture);
    test_resolved(&fixture);
    test_sockets();
    test_events();
    test_sealed_copy();
    tap_ok(sys->random(one, sizeof(one)) == 0 && sys->random(two, sizeof(two)) == 0 &&
               memcmp(one, two, sizeof(one)) != 0,
           "random bytes differ");
    tap_ok(sys->kernel_release(text, sizeof(text)) == 0 && text[0] >= '0' && text[0] <= '9',
           "the kernel's release begins with a digit");
    tap_ok(sys->effective_uid() == geteuid(), "the uid is the effective one");
    test_without_stdio(&fixture);
    fixture_done(&fixture);
    return tap_done();
}
