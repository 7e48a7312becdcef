/* sys/state.h - a directory that keeps state between runs, and locks that say who is alive.
 *
 * A lock is one byte of a file, held through an open file description (fcntl(2), F_OFD_SETLK): the kernel drops it when the last
 * descriptor of that description is closed, so also when its holder is killed, and no pid is ever compared. Descriptors made here are
 * close-on-exec and at least 3. All return 0 or -errno unless said otherwise. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes path (absolute) and what is missing above it, each 0700, if `make`. resolved: its name without symlinks. -ENOENT: not there;
 * -ENOTDIR; -EPERM: it belongs to another user; -EACCES: others may write to it. */
int bv_state_dir(const char *path, bool make, char resolved[PATH_MAX]);
/* A file in the directory, for reading and writing, made 0600 if `make` and it is not there. The descriptor or -errno. */
int bv_state_file(const char *dir, const char *name, bool make);
/* Makes an empty file 0600 if there is none. Opens nothing that is there: closing a file drops SQLite's locks on it (fcntl(2)). */
int bv_state_touch(const char *dir, const char *name);
int bv_state_exists(const char *dir, const char *name); /* 1, 0 or -errno */
/* Whether an open descriptor is on that file of the directory. */
bool bv_state_is_file(const char *dir, const char *name, int fd);

/* Takes one byte exclusively. -EAGAIN: another description holds it; with `wait` it waits instead. */
int bv_lock_take(int fd, uint64_t byte, bool wait);
void bv_lock_drop(int fd, uint64_t byte);
/* 1: a description other than fd's holds the byte, 0: none does, or -errno. */
int bv_lock_is_held(int fd, uint64_t byte);
