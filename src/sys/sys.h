/* sys/sys.h - the system calls of the library's own half (runner, host): -errno out, behind a
 * replaceable const table.
 *
 * A function returns >= 0 on success and a negative errno on failure; errno itself is left as it
 * was found, so that a host never sees it change. Every descriptor that is made here is
 * close-on-exec and at least 3, also when the host runs with 0, 1 or 2 closed. Code that takes a
 * `const struct bv_sys *` can be run against a table that fails where a test wants it to; there
 * is no global switch. STYLE.md 2.4 and 2.5. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

struct bv_fd_facts {
    bool is_path, is_directory;     /* O_PATH */
    int socket_domain, socket_type; /* -1: no socket */
};

struct bv_sys {
    /* open(2); O_CLOEXEC is added. */
    int (*open)(const char *path, int flags);
    /* Opens a path of which no component is a symbolic or magic link, with O_PATH. -ELOOP if one
     * is. */
    int (*open_resolved)(const char *path);
    void (*close)(int fd);
    int (*fstat)(int fd, struct stat *ret_stat);
    int (*stat)(const char *path, struct stat *ret_stat);
    /* 0 if the effective user may execute the open file, -EACCES if not. */
    int (*may_execute)(int fd);
    ssize_t (*pread)(int fd, void *buffer, size_t size, uint64_t offset_bytes);
    /* Tells the kernel that the file will be read once from start to end. Advice only. */
    void (*read_ahead)(int fd);
    /* The path of an open file as the kernel knows it; NUL-terminated. -ENAMETOOLONG if it does
     * not fit. */
    int (*fd_path)(int fd, char *buffer, size_t size);
    /* A sealed memory file that holds these bytes and that nobody can change. */
    int (*sealed_copy)(const char *name, const void *bytes, size_t size);
    /* 0, or -EBADF if fd is not open. */
    int (*describe_fd)(int fd, struct bv_fd_facts *ret_facts);
    /* 0 if fd is open, else -EBADF. */
    int (*is_open)(int fd);
    int (*event_new)(void);
    /* Makes the event readable; async-signal-safe; never blocks. */
    void (*event_raise)(int fd);
    /* Waits until fd is readable; a negative time-out waits for ever. 1: readable, 0: time-out.
     * A signal does not end it. */
    int (*wait_readable)(int fd, int timeout_millis);
    /* Fills the buffer from the kernel's generator; waits for it to be seeded. */
    int (*random)(void *buffer, size_t size);
    int (*now)(struct timespec *ret_realtime);
    /* Microseconds of CLOCK_BOOTTIME. */
    uint64_t (*boot_micros)(void);
    int (*kernel_release)(char *buffer, size_t size);
    uint32_t (*effective_uid)(void);
};

extern const struct bv_sys bv_sys_host; /* the real thing */

/* For BV_AUTO(bv_cleanup_fd): closes a descriptor >= 0; "none" is -EBADF. */
void bv_cleanup_fd(const int *fd);
