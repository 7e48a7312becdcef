/* backend/linux/os.h - the few system calls that launch and observation share: -errno out, close-on-exec, never 0, 1 or 2. */
#pragma once

#include "sys/end.h" /* bv_fd_above_stdio() */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Closes *fd when it is one and sets it to -EBADF. */
void linux_fd_close(int *fd);
/* A pipe whose end number `nonblocking` (0 or 1) has O_NONBLOCK. 0 or -errno. */
int linux_pipe(int fds[2], int nonblocking);
/* A SEQPACKET pair. 0 or -errno. */
int linux_socket_pair(int fds[2]);
/* A memory file that may be executed when exec is true, else may not where the kernel knows the flag. */
int linux_memory_file(const char *name, bool exec);
int linux_seal(int fd);
int linux_pidfd_signal(int pidfd, int signal);
/* Reaps the child behind a pidfd. 0: reaped, or nothing is left to reap (the host ignores SIGCHLD). -EAGAIN: it lives. */
int linux_reap(int pidfd);
uint64_t linux_now_ns(void); /* CLOCK_MONOTONIC */
