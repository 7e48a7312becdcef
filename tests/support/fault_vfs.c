/* tests/support/fault_vfs.c - SQLite's files on a medium that fails: the Nth call that reads, writes or syncs answers as a broken or a full disk does.
 *
 * Only programs of the crash tests are linked with it. It stands below the journal's own layer, as the default of this process, from before main().
 * BVISOR_FAULT=N:eio|full[+]: the Nth call, and with + every later one of its kind too. BVISOR_FAULT_LOG: a file that gets the name of each call. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fault_file { /* the real file follows */
    sqlite3_file base;
};

static sqlite3_vfs *real_vfs, own_vfs;

static sqlite3_file *real_of(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)((struct fault_file *)(void *)file + 1);
}

static void say(const char *name)
{
    const char *path = getenv("BVISOR_FAULT_LOG");
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (fd >= 0) {
        char line[64];
        int size = snprintf(line, sizeof line, "%s\n", name);
        (void)!write(fd, line, (size_t)size);
        (void)close(fd);
    }
}

/* What this call answers instead of being made; SQLITE_OK: it is made. A disk is full only for what takes room. */
static int fault(const char *name, bool takes_room, int io_code)
{
    static long count;
    const char *wanted = getenv("BVISOR_FAULT");
    char *how = NULL;
    say(name);
    const long at = wanted ? strtol(wanted, &how, 10) : 0;
    count++;
    const bool later = how && how[strlen(how) - 1] == '+';
    if (at == 0 || !(count == at || (later && count > at))) {
        return SQLITE_OK;
    }
    if (strncmp(how, ":full", 5) == 0) {
        return takes_room ? SQLITE_FULL : SQLITE_OK;
    }
    errno = EIO;
    return io_code;
}

static int file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 at)
{
    const int code = fault("read", false, SQLITE_IOERR_READ);
    return code ? code : real_of(file)->pMethods->xRead(real_of(file), bytes, size, at);
}

static int file_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
    const int code = fault("write", true, SQLITE_IOERR_WRITE);
    return code ? code : real_of(file)->pMethods->xWrite(real_of(file), bytes, size, at);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    const int code = fault("truncate", false, SQLITE_IOERR_TRUNCATE);
    return code ? code : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    const int code = fault("sync", true, SQLITE_IOERR_FSYNC);
    return code ? code : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_reserved(sqlite3_file *file, int *reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}

static int file_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory)
{
    const int code = fault("shm", true, SQLITE_IOERR_SHMMAP);
    return code ? code : real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, memory);
}

static int file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int delete)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    file->pMethods = NULL;
    int code = fault("open", true, SQLITE_CANTOPEN);
    if (code == SQLITE_OK) {
        code = real_vfs->xOpen(real_vfs, name, real_of(file), flags, ret_flags);
    }
    if (code == SQLITE_OK) {
        file->pMethods = &methods;
    }
    return code;
}

__attribute__((constructor)) static void stand_in(void)
{
    real_vfs = sqlite3_vfs_find(NULL);
    if (!real_vfs) {
        abort();
    }
    own_vfs = *real_vfs;
    own_vfs.zName = "bvisor-fault";
    own_vfs.pNext = NULL;
    own_vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
    own_vfs.xOpen = open_file;
    if (sqlite3_vfs_register(&own_vfs, 1) != SQLITE_OK) {
        abort();
    }
}
