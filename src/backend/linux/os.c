/* backend/linux/os.c - the few system calls that launch and observation share; os.h says what each promises. */
#include "backend/linux/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"

#ifndef MFD_EXEC /* Linux 6.3; Debian 12's headers are older */
#define MFD_EXEC        0x0010u
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

void linux_fd_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -EBADF;
}

/* Moves both of a fresh pair up; on failure neither is left open. */
static int raise_pair(int fds[2], int a, int b)
{
    fds[0] = bv_fd_above_stdio(a);
    fds[1] = bv_fd_above_stdio(b);
    if (fds[0] >= 0 && fds[1] >= 0) {
        return 0;
    }
    const int result = fds[0] < 0 ? fds[0] : fds[1];
    linux_fd_close(&fds[0]);
    linux_fd_close(&fds[1]);
    return result;
}

int linux_pipe(int fds[2], int nonblocking)
{
    int made[2];
    fds[0] = fds[1] = -EBADF;
    if (pipe2(made, O_CLOEXEC) != 0) {
        return -errno;
    }
    const int result = raise_pair(fds, made[0], made[1]);
    if (result < 0) {
        return result;
    }
    const int mode = nonblocking == 0 ? O_RDONLY : O_WRONLY;
    if (fcntl(fds[nonblocking], F_SETFL, mode | O_NONBLOCK) != 0) {
        const int error = errno;
        linux_fd_close(&fds[0]);
        linux_fd_close(&fds[1]);
        return -error;
    }
    return 0;
}

int linux_socket_pair(int fds[2])
{
    int made[2];
    fds[0] = fds[1] = -EBADF;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, made) != 0) {
        return -errno;
    }
    return raise_pair(fds, made[0], made[1]);
}

int linux_memory_file(const char *name, bool exec)
{
    const unsigned base = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create(name, base | (exec ? MFD_EXEC : MFD_NOEXEC_SEAL));
    if (fd < 0 &&
        errno ==
            EINVAL) { /* before 6.3 neither flag exists and every memory file may be executed */
        fd = memfd_create(name, base);
    }
    return bv_fd_above_stdio(fd);
}

int linux_seal(int fd)
{
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        return -errno;
    }
    return 0;
}

int linux_pidfd_signal(int pidfd, int signal)
{
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0 ? 0 : -errno;
}

int linux_reap(int pidfd)
{
    siginfo_t info = { 0 };
    int result;
    do {
        result = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG | __WALL);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        return errno == ECHILD ? 0 : -errno;
    }
    return info.si_pid != 0 ? 0 : -EAGAIN;
}

uint64_t linux_now_ns(void)
{
    struct timespec now;
    const int result = clock_gettime(CLOCK_MONOTONIC, &now);
    BV_ASSERT(result == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
