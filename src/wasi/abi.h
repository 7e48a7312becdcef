/* wasi/abi.h - the numbers of WASI snapshot preview 1: errnos, rights, flags, and where the fields of its structures lie.
 *
 * Values are those of the specification (wasi_snapshot_preview1.witx). Structures are never cast: they are read and written
 * field by field, little-endian, at the offsets that stand here. */
#pragma once

#include <stdint.h>

enum wasi_errno {
    WASI_SUCCESS = 0,
    WASI_E2BIG = 1,
    WASI_EACCES = 2,
    WASI_EADDRINUSE = 3,
    WASI_EADDRNOTAVAIL = 4,
    WASI_EAFNOSUPPORT = 5,
    WASI_EAGAIN = 6,
    WASI_EALREADY = 7,
    WASI_EBADF = 8,
    WASI_EBADMSG = 9,
    WASI_EBUSY = 10,
    WASI_ECANCELED = 11,
    WASI_ECHILD = 12,
    WASI_ECONNABORTED = 13,
    WASI_ECONNREFUSED = 14,
    WASI_ECONNRESET = 15,
    WASI_EDEADLK = 16,
    WASI_EDESTADDRREQ = 17,
    WASI_EDOM = 18,
    WASI_EDQUOT = 19,
    WASI_EEXIST = 20,
    WASI_EFAULT = 21,
    WASI_EFBIG = 22,
    WASI_EHOSTUNREACH = 23,
    WASI_EIDRM = 24,
    WASI_EILSEQ = 25,
    WASI_EINPROGRESS = 26,
    WASI_EINTR = 27,
    WASI_EINVAL = 28,
    WASI_EIO = 29,
    WASI_EISCONN = 30,
    WASI_EISDIR = 31,
    WASI_ELOOP = 32,
    WASI_EMFILE = 33,
    WASI_EMLINK = 34,
    WASI_EMSGSIZE = 35,
    WASI_EMULTIHOP = 36,
    WASI_ENAMETOOLONG = 37,
    WASI_ENETDOWN = 38,
    WASI_ENETRESET = 39,
    WASI_ENETUNREACH = 40,
    WASI_ENFILE = 41,
    WASI_ENOBUFS = 42,
    WASI_ENODEV = 43,
    WASI_ENOENT = 44,
    WASI_ENOEXEC = 45,
    WASI_ENOLCK = 46,
    WASI_ENOLINK = 47,
    WASI_ENOMEM = 48,
    WASI_ENOMSG = 49,
    WASI_ENOPROTOOPT = 50,
    WASI_ENOSPC = 51,
    WASI_ENOSYS = 52,
    WASI_ENOTCONN = 53,
    WASI_ENOTDIR = 54,
    WASI_ENOTEMPTY = 55,
    WASI_ENOTRECOVERABLE = 56,
    WASI_ENOTSOCK = 57,
    WASI_ENOTSUP = 58,
    WASI_ENOTTY = 59,
    WASI_ENXIO = 60,
    WASI_EOVERFLOW = 61,
    WASI_EOWNERDEAD = 62,
    WASI_EPERM = 63,
    WASI_EPIPE = 64,
    WASI_EPROTO = 65,
    WASI_EPROTONOSUPPORT = 66,
    WASI_EPROTOTYPE = 67,
    WASI_ERANGE = 68,
    WASI_EROFS = 69,
    WASI_ESPIPE = 70,
    WASI_ESRCH = 71,
    WASI_ESTALE = 72,
    WASI_ETIMEDOUT = 73,
    WASI_ETXTBSY = 74,
    WASI_EXDEV = 75,
    WASI_ENOTCAPABLE = 76,
};

#define WASI_RIGHT_FD_DATASYNC             (UINT64_C(1) << 0)
#define WASI_RIGHT_FD_READ                 (UINT64_C(1) << 1)
#define WASI_RIGHT_FD_SEEK                 (UINT64_C(1) << 2)
#define WASI_RIGHT_FD_FDSTAT_SET_FLAGS     (UINT64_C(1) << 3)
#define WASI_RIGHT_FD_SYNC                 (UINT64_C(1) << 4)
#define WASI_RIGHT_FD_TELL                 (UINT64_C(1) << 5)
#define WASI_RIGHT_FD_WRITE                (UINT64_C(1) << 6)
#define WASI_RIGHT_FD_ADVISE               (UINT64_C(1) << 7)
#define WASI_RIGHT_FD_ALLOCATE             (UINT64_C(1) << 8)
#define WASI_RIGHT_PATH_CREATE_DIRECTORY   (UINT64_C(1) << 9)
#define WASI_RIGHT_PATH_CREATE_FILE        (UINT64_C(1) << 10)
#define WASI_RIGHT_PATH_LINK_SOURCE        (UINT64_C(1) << 11)
#define WASI_RIGHT_PATH_LINK_TARGET        (UINT64_C(1) << 12)
#define WASI_RIGHT_PATH_OPEN               (UINT64_C(1) << 13)
#define WASI_RIGHT_FD_READDIR              (UINT64_C(1) << 14)
#define WASI_RIGHT_PATH_READLINK           (UINT64_C(1) << 15)
#define WASI_RIGHT_PATH_RENAME_SOURCE      (UINT64_C(1) << 16)
#define WASI_RIGHT_PATH_RENAME_TARGET      (UINT64_C(1) << 17)
#define WASI_RIGHT_PATH_FILESTAT_GET       (UINT64_C(1) << 18)
#define WASI_RIGHT_PATH_FILESTAT_SET_SIZE  (UINT64_C(1) << 19)
#define WASI_RIGHT_PATH_FILESTAT_SET_TIMES (UINT64_C(1) << 20)
#define WASI_RIGHT_FD_FILESTAT_GET         (UINT64_C(1) << 21)
#define WASI_RIGHT_FD_FILESTAT_SET_SIZE    (UINT64_C(1) << 22)
#define WASI_RIGHT_FD_FILESTAT_SET_TIMES   (UINT64_C(1) << 23)
#define WASI_RIGHT_PATH_SYMLINK            (UINT64_C(1) << 24)
#define WASI_RIGHT_PATH_REMOVE_DIRECTORY   (UINT64_C(1) << 25)
#define WASI_RIGHT_PATH_UNLINK_FILE        (UINT64_C(1) << 26)
#define WASI_RIGHT_POLL_FD_READWRITE       (UINT64_C(1) << 27)
#define WASI_RIGHTS_ALL                    ((UINT64_C(1) << 30) - 1) /* 28 and 29 belong to sockets */

/* What can be done to an open file, a byte stream, and a directory itself. A right that does not apply to the type of a file
 * is dropped when it is opened, as the specification has it. */
#define WASI_RIGHTS_STREAM                                                                         \
    (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_FDSTAT_SET_FLAGS |                   \
     WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_POLL_FD_READWRITE)
#define WASI_RIGHTS_FILE                                                                           \
    (WASI_RIGHTS_STREAM | WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_SYNC |       \
     WASI_RIGHT_FD_TELL | WASI_RIGHT_FD_ADVISE | WASI_RIGHT_FD_ALLOCATE |                          \
     WASI_RIGHT_FD_FILESTAT_SET_SIZE | WASI_RIGHT_FD_FILESTAT_SET_TIMES)
#define WASI_RIGHTS_DIRECTORY                                                                      \
    (WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_DATASYNC |                \
     WASI_RIGHT_PATH_CREATE_DIRECTORY | WASI_RIGHT_PATH_CREATE_FILE |                              \
     WASI_RIGHT_PATH_LINK_SOURCE | WASI_RIGHT_PATH_LINK_TARGET | WASI_RIGHT_PATH_OPEN |            \
     WASI_RIGHT_FD_READDIR | WASI_RIGHT_PATH_READLINK | WASI_RIGHT_PATH_RENAME_SOURCE |            \
     WASI_RIGHT_PATH_RENAME_TARGET | WASI_RIGHT_PATH_FILESTAT_GET |                                \
     WASI_RIGHT_PATH_FILESTAT_SET_SIZE | WASI_RIGHT_PATH_FILESTAT_SET_TIMES |                      \
     WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_FD_FILESTAT_SET_TIMES | WASI_RIGHT_PATH_SYMLINK |     \
     WASI_RIGHT_PATH_REMOVE_DIRECTORY | WASI_RIGHT_PATH_UNLINK_FILE |                              \
     WASI_RIGHT_POLL_FD_READWRITE)
/* Rights that need a file opened for writing. */
#define WASI_RIGHTS_WRITING                                                                        \
    (WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE)

enum wasi_filetype {
    WASI_TYPE_UNKNOWN = 0,
    WASI_TYPE_BLOCK_DEVICE = 1,
    WASI_TYPE_CHARACTER_DEVICE = 2,
    WASI_TYPE_DIRECTORY = 3,
    WASI_TYPE_REGULAR_FILE = 4,
    WASI_TYPE_SOCKET_DGRAM = 5,
    WASI_TYPE_SOCKET_STREAM = 6,
    WASI_TYPE_SYMBOLIC_LINK = 7,
};

#define WASI_FDFLAG_APPEND   0x01u
#define WASI_FDFLAG_DSYNC    0x02u
#define WASI_FDFLAG_NONBLOCK 0x04u
#define WASI_FDFLAG_RSYNC    0x08u
#define WASI_FDFLAG_SYNC     0x10u
#define WASI_FDFLAGS_ALL     0x1fu

#define WASI_OFLAG_CREAT     0x1u
#define WASI_OFLAG_DIRECTORY 0x2u
#define WASI_OFLAG_EXCL      0x4u
#define WASI_OFLAG_TRUNC     0x8u
#define WASI_OFLAGS_ALL      0xfu

#define WASI_LOOKUP_FOLLOW 0x1u

#define WASI_FST_ATIM     0x1u
#define WASI_FST_ATIM_NOW 0x2u
#define WASI_FST_MTIM     0x4u
#define WASI_FST_MTIM_NOW 0x8u
#define WASI_FST_ALL      0xfu

enum wasi_clock {
    WASI_CLOCK_REALTIME,
    WASI_CLOCK_MONOTONIC,
    WASI_CLOCK_PROCESS_CPU,
    WASI_CLOCK_THREAD_CPU
};
enum wasi_whence { WASI_WHENCE_SET, WASI_WHENCE_CUR, WASI_WHENCE_END };
enum wasi_eventtype { WASI_EVENT_CLOCK, WASI_EVENT_FD_READ, WASI_EVENT_FD_WRITE };
#define WASI_SUBCLOCK_ABSTIME 0x1u
#define WASI_EVENT_HANGUP     0x1u

/* iovec and ciovec: address u32, length u32. */
#define WASI_IOVEC_BYTES 8u
/* fdstat: filetype u8 at 0, flags u16 at 2, base u64 at 8, inheriting u64 at 16. */
#define WASI_FDSTAT_BYTES 24u
/* filestat: dev, ino u64; filetype u8 at 16; nlink, size, atim, mtim, ctim u64 from 24 on. */
#define WASI_FILESTAT_BYTES 64u
/* prestat: tag u8 at 0 (0: directory), length of the name u32 at 4. */
#define WASI_PRESTAT_BYTES 8u
/* dirent: next u64, ino u64, length of the name u32 at 16, filetype u8 at 20; the name follows. */
#define WASI_DIRENT_BYTES 24u
/* subscription: userdata u64; tag u8 at 8; clock: id u32 at 16, timeout u64 at 24, precision u64 at 32, flags u16 at 40;
 * fd_read and fd_write: fd u32 at 16. */
#define WASI_SUBSCRIPTION_BYTES 48u
/* event: userdata u64; error u16 at 8; type u8 at 10; nbytes u64 at 16; flags u16 at 24. */
#define WASI_EVENT_BYTES 32u
