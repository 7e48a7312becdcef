/* tests/linux/launch_world.c - see launch_world.h. Everything on the host happens in one directory
 * of its own, which is removed. */
#include "launch_world.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

void must(bool condition, const char *what)
{
    if (!condition) {
        printf("Bail out! %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

bool says(const struct drive *drive, const char *text)
{
    bool found = strstr(drive->output, text) != NULL;

    if (!found) {
        drive_note(drive);
        printf("# output: %s\n", drive->output);
    }
    return found;
}

bool ended(const struct drive *drive, uint64_t status)
{
    if (drive_status(drive) != status) {
        drive_note(drive);
        printf("# output: %s\n", drive->output);
    }
    return drive_status(drive) == status;
}

uint64_t code(unsigned exit_code)
{
    return exit_code << 8;
}

bool limited(const struct drive *drive, uint64_t dimension)
{
    const struct bv_status_message *message = drive_message(drive, BV_MSG_LIMIT);

    if (!message || message->values[0] != dimension) {
        drive_note(drive);
        return false;
    }
    return drive_status(drive) == SIGKILL;
}

/* UINT64_MAX: not measured. */
uint64_t figure(const struct drive *drive, unsigned which)
{
    uint64_t value;

    return drive_figure(drive, which, &value) ? value : UINT64_MAX;
}

/* ---- the world ---- */

static int copy_to(int from, int to)
{
    char block[65536];
    ssize_t got;
    off_t at = 0;

    while ((got = pread(from, block, sizeof(block), at)) > 0) {
        must(write(to, block, (size_t)got) == got, "copying");
        at += got;
    }
    must(got == 0, "reading");
    return to;
}

static void make_file(const char *dir, const char *name, int from, mode_t mode)
{
    char path[600];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    must(fd >= 0, path);
    if (from >= 0) {
        copy_to(from, fd);
    }
    close(fd);
}

void world_make(struct world *w)
{
    const char *base = getenv("TMPDIR");
    char *real = realpath(base ? base : "/tmp", NULL);

    must(real != NULL, "temporary directory");
    snprintf(w->dir, sizeof(w->dir), "%s/bvisor-launcher-XXXXXX", real);
    free(real);
    must(mkdtemp(w->dir) != NULL, w->dir);
    snprintf(w->payload, sizeof(w->payload), "%s/payload", w->dir);
    snprintf(w->ro, sizeof(w->ro), "%s/ro", w->dir);
    snprintf(w->rw, sizeof(w->rw), "%s/rw", w->dir);
    snprintf(w->link, sizeof(w->link), "%s/link", w->dir);
    must(mkdir(w->ro, 0755) == 0 && mkdir(w->rw, 0755) == 0 && symlink("ro", w->link) == 0,
         "directories");
    make_file(w->dir, "payload", w->payload_file, 0755);
    make_file(w->ro, "payload", w->payload_file, 0755);
    make_file(w->ro, "file", -1, 0644);
    make_file(w->rw, "file", -1, 0644);
}

bool world_remove(const struct world *w)
{
    static const char *const files[] = { "ro/payload", "ro/file", "rw/file", "payload", "link" };
    char path[600];

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", w->dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(w->ro);
    (void)rmdir(w->rw);
    return rmdir(w->dir) == 0;
}

bool world_can_launch(const struct world *w)
{
    struct drive d;
    const struct bv_status_message *message;
    bool can = true;

    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    drive_run(&d);
    message = drive_message(&d, BV_MSG_FAILED);
    if (message && (message->stage == BV_STAGE_CLONE_INIT || message->stage == BV_STAGE_NET_NS || message->stage == BV_STAGE_ID_MAP ||
                    message->stage == BV_STAGE_MOUNT_PROC)) {
        printf("# %s: %s\n", bv_stage_name(message->stage), strerror(message->error));
        can = false;
    }
    drive_done(&d);
    return can;
}

static int to_memory(const char *path)
{
    int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("launcher", MFD_CLOEXEC);

    must(from >= 0 && to >= 0, path);
    copy_to(from, to);
    close(from);
    return to;
}

void world_open(struct world *w, int argc, char **argv)
{
    must(argc == 3, "usage: PROGRAM LAUNCHER PAYLOAD");
    w->launcher = to_memory(argv[1]);
    w->payload_file = open(argv[2], O_RDONLY | O_CLOEXEC);
    must(w->payload_file >= 0, argv[2]);
    umask(022);
}

void world_become_user(void)
{
    must(setgroups(0, NULL) == 0 && setresgid(1000, 1000, 1000) == 0 &&
             setresuid(1000, 1000, 1000) == 0,
         "becoming a user");
    must(prctl(PR_SET_DUMPABLE, 1) == 0, "dumpable");
}
