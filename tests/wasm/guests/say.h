/* tests/wasm/guests/say.h - what the guest programs share: results as text that is the same on the host and under WASI.
 *
 * A program runs twice, natively and as a guest, each in an empty directory of its own; what it prints and what it leaves
 * behind must be the same. errno has other numbers and strerror() other words there, so an errno is printed by its name. */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>

static inline const char *errno_name(int error)
{
    static const struct {
        int error;
        const char *name;
    } names[] = { { 0, "0" },
                  { EACCES, "EACCES" },
                  { EAGAIN, "EAGAIN" },
                  { EBADF, "EBADF" },
                  { EBUSY, "EBUSY" },
                  { EEXIST, "EEXIST" },
                  { EFBIG, "EFBIG" },
                  { EINVAL, "EINVAL" },
                  { EIO, "EIO" },
                  { EISDIR, "EISDIR" },
                  { ELOOP, "ELOOP" },
                  { EMFILE, "EMFILE" },
                  { ENAMETOOLONG, "ENAMETOOLONG" },
                  { ENOENT, "ENOENT" },
                  { ENOMEM, "ENOMEM" },
                  { ENOSPC, "ENOSPC" },
                  { ENOTDIR, "ENOTDIR" },
                  { ENOTEMPTY, "ENOTEMPTY" },
                  { ENXIO, "ENXIO" },
                  { EPERM, "EPERM" },
                  { EPIPE, "EPIPE" },
                  { EROFS, "EROFS" },
                  { ESPIPE, "ESPIPE" },
                  { EXDEV, "EXDEV" },
                  { EOVERFLOW, "EOVERFLOW" } };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].error == error) {
            return names[i].name;
        }
    }
#ifdef ENOTCAPABLE
    if (error == ENOTCAPABLE) {
        return "ENOTCAPABLE";
    }
#endif
    return "another errno";
}

/* Evaluates a call that answers -1 and errno, and prints both. */
#define SAY(call)                                                                                  \
    do {                                                                                           \
        errno = 0;                                                                                 \
        const long long said_ = (long long)(call);                                                 \
        printf("%s = %lld %s\n", #call, said_, said_ < 0 ? errno_name(errno) : "");                \
    } while (0)
