/* launcher/raw.h - the launcher's system calls: -errno out, nothing behind them but the kernel.
 *
 * No libc stands in between: the launcher runs without one (start.c), most of these have no wrapper
 * on Debian 12, and some wrappers do more than one call (setresuid signals threads, fork runs
 * handlers). libc's headers lend types and constants only. Numbers that old headers lack are the
 * same on every architecture (from 424 on, Documentation/process/adding-syscalls.rst). STYLE.md 2.4
 * and 2.5. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

/* Six registers, whatever the call takes of them. The result is the kernel's: -errno or a value. */
static inline long raw_call6(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;

    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory", "cc");
    return x0;
#else
#error "the launcher knows the system call instruction of x86-64 and arm64 only"
#endif
}

/* raw_call(number, up to six arguments of any integer or pointer type). A macro because only a
 * macro can cast what it is given; unused registers are 0. */
#define raw_call(...) RAW_PAD(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define RAW_PAD(n, a, b, c, d, e, f, ...)                                                          \
    raw_call6((long)(n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static inline void raw_close(int fd)
{
    (void)raw_call(SYS_close, fd); /* the descriptor is gone whatever it answers */
}

/* O_PATH and no link of any kind on the way: what is opened is what the path says. flags are added
 * to O_PATH | O_CLOEXEC. */
static inline int raw_open_path(int dir, const char *path, unsigned flags)
{
    const struct open_how how = {
        .flags = O_PATH | O_CLOEXEC | flags,
        .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return (int)raw_call(SYS_openat2, dir, path, &how, sizeof(how));
}

/* glibc's struct stat is the kernel's on 64-bit architectures. */
static inline int raw_stat(int dir, const char *path, struct stat *ret_stat)
{
    return (int)raw_call(SYS_newfstatat, dir, path, ret_stat, AT_EMPTY_PATH);
}

static inline int raw_fstat(int fd, struct stat *ret_stat)
{
    return raw_stat(fd, "", ret_stat);
}

/* Anonymous or private pages; NULL and *ret_error on failure. */
static inline void *raw_map(size_t size, int protection, int flags, int fd, int *ret_error)
{
    long address = raw_call(SYS_mmap, NULL, size, protection, flags, fd, 0);

    *ret_error = address < 0 ? (int)address : 0;
    return address < 0 ? NULL : (void *)(uintptr_t)address;
}

static inline int raw_clone3(const struct clone_args *args)
{
    return (int)raw_call(SYS_clone3, args, sizeof(*args));
}

static inline int raw_close_range(unsigned first, unsigned last)
{
    return (int)raw_call(SYS_close_range, first, last, 0u);
}

/* A detached copy of the tree that fd names, with every mount below it. */
static inline int raw_clone_tree(int fd, const char *path)
{
    return (int)raw_call(
        SYS_open_tree, fd, path,
        (unsigned)(AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}

static inline int raw_mount_set(int fd, uint64_t attributes, bool recursive)
{
    const struct mount_attr attr = { .attr_set = attributes };

    return (int)raw_call(SYS_mount_setattr, fd, "",
                         (unsigned)(AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0)), &attr,
                         sizeof(attr));
}

static inline int raw_move_mount(int from, int to)
{
    return (int)raw_call(SYS_move_mount, from, "", to, "",
                         (unsigned)(MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

/* A device number of major 1, as new_encode_dev() makes it; makedev may be a call into libc. */
static inline unsigned raw_memory_device(unsigned minor)
{
    return 1u << 8 | minor;
}

static inline uint64_t raw_now_nanos(void)
{
    struct timespec now = { 0, 0 };

    (void)raw_call(SYS_clock_gettime, CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline _Noreturn void raw_exit(int status)
{
    for (;;) {
        (void)raw_call(SYS_exit_group, status);
    }
}
