/* tests/linux/test_launcher.c - the launcher on the real kernel: statuses, identity, descriptors,
 * the fresh root, bad frames. */
#include "launch_world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- status, streams, identity ---- */

static void test_status(const struct world *w)
{
    static const char *const codes[] = { "0", "1", "42", "124", "125", "126", "127", "255" };
    static const int signals[] = { SIGTERM, SIGSEGV, SIGKILL, SIGABRT };
    struct drive d;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        drive_init(&d, w->launcher, w->payload, "exit", codes[i], NULL);
        drive_run(&d);
        tap_ok(ended(&d, code((unsigned)strtol(codes[i], NULL, 10))), "%s: exit %s is relayed raw",
               w->who, codes[i]);
        drive_done(&d);
    }
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        char number[8];

        snprintf(number, sizeof(number), "%d", signals[i]);
        drive_init(&d, w->launcher, w->payload, "signal", number, NULL);
        drive_run(&d);
        tap_ok((drive_status(&d) & 0x7f) == (unsigned)signals[i], "%s: signal %d is relayed raw",
               w->who, signals[i]);
        drive_done(&d);
    }
}

static void test_messages(const struct world *w)
{
    static const uint32_t order[] = { BV_MSG_INIT, BV_MSG_EXECED, BV_MSG_FIGURES, BV_MSG_EXITED };
    struct drive d;
    bool in_order = true;

    drive_init(&d, w->launcher, w->payload, "cat", NULL);
    d.input = "hello";
    drive_run(&d);
    tap_text(d.output, "hello", "%s: stdin reaches the workload and its stdout the host", w->who);
    for (unsigned i = 0; i < 4; i++) {
        in_order = in_order && d.message_count == 4 && d.messages[i].type == order[i];
    }
    tap_ok(in_order, "%s: INIT, EXECED, FIGURES, EXITED in this order and nothing else", w->who);
    tap_ok(in_order && d.messages[1].values[0] == d.messages[3].values[3] &&
               d.messages[3].values[1] > d.messages[3].values[3],
           "%s: birth is the same in both messages and before the end", w->who);
    tap_ok(d.launcher_status == 0, "%s: the launcher proper ends with 0", w->who);
    drive_done(&d);
    drive_init(&d, w->launcher, w->payload, "who", NULL);
    d.close_standard = true;
    drive_run(&d);
    tap_ok(ended(&d, 0), "%s: works with 0, 1 and 2 closed", w->who);
    drive_done(&d);
}

static void test_identity(const struct world *w)
{
    struct drive d;
    char ids[64];

    snprintf(ids, sizeof(ids), "uid=%d gid=%d host=bvisor umask=022", geteuid(), getegid());
    drive_init(&d, w->launcher, w->payload, "who", NULL);
    drive_run(&d);
    tap_ok(says(&d, "pid=2 ppid=1 sid=2 "),
           "%s: pid 2 of its own pid namespace, leader of its own session", w->who);
    tap_ok(says(&d, ids), "%s: the caller's ids, the boundary's host name, umask 022", w->who);
    tap_ok(says(&d, "caps=00 bset=0 nnp=1 secure=ef dumpable=1 groups="),
           "%s: no capability, no way back to one", w->who);
    tap_ok(geteuid() != 0 || says(&d, "groups=0\n"), "%s: root keeps no supplementary group",
           w->who);
    tap_ok(says(&d, "cwd=/ ignored=0 blocked=0 tty=-1"),
           "%s: default signals though the host ignores some, no terminal", w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "env", "two words", "", NULL);
    d.frame->env[d.frame->env_count++] = "A=1";
    d.frame->env[d.frame->env_count++] = "LD_PRELOAD=/nothing";
    drive_run(&d);
    tap_text(d.output, "A=1\nLD_PRELOAD=/nothing\narg two words\narg \n",
             "%s: exactly this environment and these arguments", w->who);
    drive_done(&d);
}

static void test_descriptors(const struct world *w)
{
    struct drive d;
    int kept = fcntl(0, F_DUPFD_CLOEXEC, 77), stray = fcntl(0, F_DUPFD_CLOEXEC, 500),
        other = open("/", O_RDONLY);

    drive_init(&d, w->launcher, w->payload, "fds", NULL);
    d.inherit = stray;
    drive_run(&d);
    tap_text(d.output, "0 1 2 \n",
             "%s: descriptors of the host do not pass, marked close-on-exec or not", w->who);
    drive_done(&d);
    drive_init(&d, w->launcher, w->payload, "fds", NULL);
    d.inherit = stray;
    d.frame->keep[d.frame->keep_count++].number = kept;
    drive_run(&d);
    tap_text(d.output, "0 1 2 77 \n", "%s: a kept descriptor keeps its number", w->who);
    drive_done(&d);
    close(kept);
    close(stray);
    close(other);
}

/* ---- file systems ---- */

static void test_binds(const struct world *w)
{
    struct drive d;
    char path[320];
    struct stat st;

    drive_init(&d, w->launcher, w->payload, "open", "/ro/file", "r", "/ro/file", "w", "/ro/new",
               "c", "/rw/new", "c", "/new", "c", "/etc/passwd", "r", "/root", "r", w->dir, "r",
               NULL);
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/ro", BV_MOUNT_RDONLY | BV_MOUNT_NOEXEC);
    drive_mount(&d, BV_MOUNT_BIND, w->rw, "/rw", BV_MOUNT_NOEXEC);
    drive_run(&d);
    tap_ok(says(&d, "/ro/file ok\n/ro/file EROFS\n/ro/new EROFS\n/rw/new ok\n/new "
                    "EROFS\n/etc/passwd ENOENT\n/root ENOENT\n"),
           "%s: granted trees read-only or writable as asked, / read-only, the rest not there",
           w->who);
    snprintf(path, sizeof(path), "%s/new", w->rw);
    tap_ok(stat(path, &st) == 0 && st.st_uid == geteuid(),
           "%s: what is written in a writable tree is the caller's on the host", w->who);
    unlink(path);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "list", "/", NULL);
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/a/b/ro", BV_MOUNT_RDONLY);
    drive_mount(&d, BV_MOUNT_SYMLINK, "a/b", "/link", 0);
    drive_mount(&d, BV_MOUNT_DIR, "", "/empty", 0);
    drive_run(&d);
    tap_text(d.output, "a empty link payload \n",
             "%s: the root holds what the frame names and nothing else", w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "flags", "/ro", "/rw", "/", "/link", NULL);
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/ro", BV_MOUNT_RDONLY | BV_MOUNT_NOEXEC);
    drive_mount(&d, BV_MOUNT_BIND, w->rw, "/rw", 0);
    drive_mount(&d, BV_MOUNT_SYMLINK, "ro", "/link", 0);
    drive_run(&d);
    tap_text(d.output,
             "/ro ro nosuid nodev noexec\n/rw nosuid nodev\n/ ro nosuid nodev noexec\n/link ro "
             "nosuid nodev noexec\n",
             "%s: every mount is nosuid and nodev; read-only and noexec as asked", w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "exec", "/ro/payload", "exit", "3", NULL);
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/ro", BV_MOUNT_RDONLY | BV_MOUNT_NOEXEC);
    drive_run(&d);
    tap_text(d.output, "EACCES\n", "%s: nothing runs from a noexec tree", w->who);
    drive_done(&d);
    drive_init(&d, w->launcher, w->payload, "exec", "/ro/payload", "exit", "3", NULL);
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/ro", BV_MOUNT_RDONLY);
    drive_run(&d);
    tap_ok(ended(&d, code(3)), "%s: it does from an executable one", w->who);
    drive_done(&d);
}

/* A narrower grant inside a wider one is a mount on a directory of the host. */
static void test_nested(const struct world *w)
{
    struct drive d;
    char inner[320], missing[320];
    struct stat st;

    snprintf(inner, sizeof(inner), "%s/inner", w->rw);
    snprintf(missing, sizeof(missing), "%s/missing", w->rw);
    mkdir(inner, 0755);
    drive_init(&d, w->launcher, w->payload, "open", "/rw/inner/x", "c", "/rw/x", "c", NULL);
    drive_mount(&d, BV_MOUNT_BIND, w->rw, "/rw", 0);
    drive_mount(&d, BV_MOUNT_BIND, inner, "/rw/inner", BV_MOUNT_RDONLY);
    drive_run(&d);
    tap_ok(says(&d, "/rw/inner/x EROFS\n/rw/x ok\n"), "%s: the most specific mount decides",
           w->who);
    drive_done(&d);
    snprintf(missing, sizeof(missing), "%s/x", w->rw);
    unlink(missing);
    rmdir(inner);

    snprintf(missing, sizeof(missing), "%s/missing", w->rw);
    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    drive_mount(&d, BV_MOUNT_BIND, w->rw, "/rw", 0);
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/rw/missing/deep", BV_MOUNT_RDONLY);
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_MOUNT_DEST, ENOENT) &&
               drive_message(&d, BV_MSG_FAILED)->values[0] == 2,
           "%s: a missing mount point inside a host tree is refused, by index", w->who);
    tap_ok(stat(missing, &st) < 0 && errno == ENOENT, "%s: and nothing is created on the host",
           w->who);
    drive_done(&d);
}

static void test_sources(const struct world *w)
{
    struct drive d;
    char gone[320];

    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/ro", BV_MOUNT_RDONLY)->ino++;
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_MOUNT_IDENTITY, ESTALE),
           "%s: a source that is not the planned one is refused", w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    drive_mount(&d, BV_MOUNT_BIND, w->link, "/ro", BV_MOUNT_RDONLY);
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_MOUNT_SOURCE, ELOOP),
           "%s: a source through a symbolic link is refused", w->who);
    drive_done(&d);

    snprintf(gone, sizeof(gone), "%s/gone", w->dir);
    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/ro", BV_MOUNT_RDONLY)->source = gone;
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_MOUNT_SOURCE, ENOENT), "%s: a missing source is refused",
           w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    d.frame->cwd = "/nowhere";
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_CWD, ENOENT),
           "%s: a working directory that is not there is refused", w->who);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    d.frame->exec_path = "/ro/missing";
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/ro", BV_MOUNT_RDONLY);
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_EXEC, ENOENT),
           "%s: a failed exec is a failed launch with its errno", w->who);
    drive_done(&d);
}

static void test_proc_dev(const struct world *w)
{
    struct drive d;

    drive_init(&d, w->launcher, w->payload, "list", "/proc", NULL);
    drive_mount(&d, BV_MOUNT_PROC, "", "/proc", 0);
    drive_run(&d);
    tap_text(d.output, "1 2 self thread-self \n",
             "%s: /proc has the boundary's processes and nothing else", w->who);
    drive_done(&d);
    drive_init(&d, w->launcher, w->payload, "open", "/proc/1/environ", "r", "/proc/1/mem", "r",
               "/proc/self/comm", "w", "/proc/self/status", "r", "/dev/null", "w", "/dev/zero", "r",
               "/dev/urandom", "r", "/dev/new", "c", "/dev/kmsg", "r", "/dev/stdin", "r", NULL);
    drive_mount(&d, BV_MOUNT_PROC, "", "/proc", 0);
    drive_mount(&d, BV_MOUNT_DEV, "", "/dev", 0);
    drive_run(&d);
    tap_ok(says(&d, "/proc/1/environ EACCES\n/proc/1/mem EACCES\n/proc/self/comm "
                    "EROFS\n/proc/self/status ok\n"),
           "%s: init cannot be read, /proc is read-only", w->who);
    tap_ok(says(&d, "/dev/null ok\n/dev/zero ok\n/dev/urandom ok\n/dev/new EROFS\n/dev/kmsg "
                    "ENOENT\n/dev/stdin ok\n"),
           "%s: five devices, links to descriptors, nothing to create", w->who);
    drive_done(&d);
    drive_init(&d, w->launcher, w->payload, "list", "/dev", NULL);
    drive_mount(&d, BV_MOUNT_DEV, "", "/dev", BV_MOUNT_SHM);
    drive_mount(&d, BV_MOUNT_TMPFS, "", "/tmp", BV_MOUNT_NOEXEC)->size_bytes = 4096;
    d.frame->mounts[2].inodes = 100;
    drive_run(&d);
    tap_text(d.output, "fd full null random shm stderr stdin stdout urandom zero \n",
             "%s: /dev/shm only where asked", w->who);
    drive_done(&d);
}

static void test_temp(const struct world *w)
{
    struct drive d;
    uint64_t peak;

    drive_init(&d, w->launcher, w->payload, "fill", "/dev/shm/a", "524288", "/tmp/b", "1048576",
               NULL);
    drive_mount(&d, BV_MOUNT_DEV, "", "/dev", BV_MOUNT_SHM);
    *drive_mount(&d, BV_MOUNT_TMPFS, "", "/tmp", BV_MOUNT_NOEXEC) = (struct bv_frame_mount){
        .kind = BV_MOUNT_TMPFS,
        .flags = BV_MOUNT_NOEXEC,
        .mode = 01777,
        .size_bytes = 1048576,
        .inodes = 64,
        .source = "",
        .dest = "/tmp",
    };
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/tmp/granted/ro", BV_MOUNT_RDONLY);
    d.frame->flags |= BV_FRAME_SAMPLE_STORAGE;
    drive_run(&d);
    tap_ok(says(&d, "/dev/shm/a 524288 ok\n") && says(&d, "/tmp/b 524288 ENOSPC\n"),
           "%s: /tmp and /dev/shm share one size", w->who);
    peak = figure(&d, BV_FIGURE_STORAGE_PEAK);
    tap_ok(peak == 1048576, "%s: and their use is measured (%llu)", w->who,
           (unsigned long long)peak);
    drive_done(&d);

    drive_init(&d, w->launcher, w->payload, "list", "/tmp", NULL);
    *drive_mount(&d, BV_MOUNT_TMPFS, "", "/tmp", 0) = (struct bv_frame_mount){
        .kind = BV_MOUNT_TMPFS,
        .flags = BV_MOUNT_NOEXEC,
        .mode = 01777,
        .size_bytes = 65536,
        .inodes = 64,
        .source = "",
        .dest = "/tmp",
    };
    drive_mount(&d, BV_MOUNT_BIND, w->ro, "/tmp/granted", BV_MOUNT_RDONLY);
    drive_run(&d);
    tap_text(d.output, "granted \n", "%s: a grant below /tmp is mounted inside the private one",
             w->who);
    drive_done(&d);
}

static void test_bad_frames(const struct world *w)
{
    struct drive d;

    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    d.corrupt = true;
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_FRAME, EBADMSG), "%s: a frame with a wrong digest is refused",
           w->who);
    drive_done(&d);
    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    d.unsealed = true;
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_FRAME, EPERM),
           "%s: a frame that somebody could still change is refused", w->who);
    drive_done(&d);
    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    d.frame->mounts[0].dest = "/a/../payload";
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_FRAME, EINVAL), "%s: a path that is not normal is refused",
           w->who);
    drive_done(&d);
    drive_init(&d, w->launcher, w->payload, "exit", "0", NULL);
    d.frame->keep[d.frame->keep_count++].number = 1;
    drive_run(&d);
    tap_ok(drive_failed(&d, BV_STAGE_FRAME, EINVAL), "%s: a standard descriptor cannot be kept",
           w->who);
    drive_done(&d);
}

int main(int argc, char **argv)
{
    static void (*const tests[])(const struct world *) = {
        test_status, test_messages, test_identity, test_descriptors, test_binds,
        test_nested, test_sources,  test_proc_dev, test_temp,        test_bad_frames,
    };

    return world_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
