/* stage/tree.h - file trees by descriptor: -errno out, no link ever followed, nothing outside the directory that was opened.
 *
 * A path here is relative to an open directory, has no empty, "." or ".." component and may be longer than PATH_MAX; ""
 * is the directory itself. What is opened, made, renamed or removed lies beneath that directory whatever somebody
 * else does to the names meanwhile (openat2(2), RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "canon/canon.h"

/* O_CLOEXEC is added, links are never followed. */
int tree_open(int root, const char *path, int flags, mode_t mode);
/* The directory that holds the last component, as O_PATH; *ret_name points into path. "" has none: -EINVAL. */
int tree_open_parent(int root, const char *path, const char **ret_name);

/* The names in a directory, sorted by bytes. */
struct tree_names {
    char *bytes;      /* NUL-terminated, one after the other */
    uint32_t *at;     /* where each begins, in order */
    size_t count, size;
};
/* -E2BIG: more than max_bytes of names. */
int tree_names_read(int dir, size_t max_bytes, struct tree_names *ret_names);
void tree_names_done(struct tree_names *names);
static inline const char *tree_name(const struct tree_names *names, size_t index)
{
    return names->bytes + names->at[index];
}

/* SHA-256 of the first size bytes; *ret_size is what there was, at most one byte more than max_bytes (-EFBIG). */
int tree_hash(int fd, uint64_t max_bytes, uint64_t *ret_size, char digest[BV_DIGEST_TEXT_SIZE]);
/* Copies a regular file's bytes into an empty one, holes as holes, by reference where the file system can; the digest is that of the bytes
 * that were written. */
int tree_copy(int from, int to, uint64_t max_bytes, char digest[BV_DIGEST_TEXT_SIZE]);
/* The text of a link. -ENAMETOOLONG. */
int tree_read_link(int dir, const char *name, char *text, size_t size);

/* Removes name and everything below it; directories that their owner may not enter are opened up first. 0 when there is nothing. */
int tree_remove(int dir, const char *name);
/* How many things there are at name and below it, itself included. */
int tree_count(int dir, const char *name, uint64_t *ret_count);

/* A whole small file. Read: NUL-terminated malloc'd text, -EFBIG above max_bytes. Write: under a temporary name and renamed, so that it is there
 * whole or not at all; durable: on the disk when this returns. */
int tree_read_file(int dir, const char *name, size_t max_bytes, char **ret_text, size_t *ret_size);
int tree_write_file(int dir, const char *name, const void *bytes, size_t size, bool durable);
int tree_write_all(int fd, const void *bytes, size_t size);
