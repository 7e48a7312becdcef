/* tests/linux/launch_driver.c - see launch_driver.h. A failure of the driver itself aborts the test
 * program. */
#include "launch_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void must(bool condition, const char *what)
{
    if (!condition) {
        printf("Bail out! driver: %s: %s\n", what, strerror(errno));
        fflush(stdout);
        _exit(1);
    }
}

struct bv_frame_mount *drive_mount(struct drive *drive, uint32_t kind, const char *source,
                                   const char *dest, uint32_t flags)
{
    struct bv_frame_mount *mount = &drive->frame->mounts[drive->frame->mount_count++];

    *mount = (struct bv_frame_mount){
        .kind = kind, .source = source, .dest = dest, .flags = flags, .mode = 0755
    };
    if (kind == BV_MOUNT_BIND) {
        struct stat st;

        must(stat(source, &st) == 0, source);
        mount->dev = st.st_dev;
        mount->ino = st.st_ino;
        mount->flags |= S_ISDIR(st.st_mode) ? 0u : BV_MOUNT_IS_FILE;
    }
    return mount;
}

void drive_init(struct drive *drive, int launcher, const char *payload, const char *verb, ...)
{
    struct bv_frame *frame = calloc(1, sizeof(*frame));
    va_list args;

    must(frame != NULL, "memory");
    *drive = (struct drive){ .frame = frame,
                             .launcher = launcher,
                             .control = -1,
                             .leaf_fd = -1,
                             .listener = -1,
                             .inherit = -1,
                             .init_pid = -1 };
    frame->flags = BV_FRAME_NEW_NET | (geteuid() == 0 ? BV_FRAME_FULL_ID_MAP : 0u);
    frame->uid = geteuid();
    frame->gid = getegid();
    frame->wall_micros = 20000000;
    frame->cpu_micros = frame->process_limit = frame->handle_limit = UINT64_MAX;
    frame->sample_interval_micros = 10000;
    frame->cpu_count = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    frame->cpu_fd = frame->oom_fd = -1;
    frame->hostname = "bvisor";
    frame->exec_path = "/payload";
    frame->cwd = "/";
    frame->supervisor_pid = getpid();
    frame->args[frame->arg_count++] = "payload";
    va_start(args, verb);
    for (const char *arg = verb; arg; arg = va_arg(args, const char *)) {
        frame->args[frame->arg_count++] = arg;
    }
    va_end(args);
    drive_mount(drive, BV_MOUNT_BIND, payload, "/payload", BV_MOUNT_RDONLY);
}

static int high(int fd)
{
    int moved =
        fcntl(fd, F_DUPFD_CLOEXEC, 20); /* the frame's descriptors are 3 or more by construction */

    must(fd >= 0 && moved >= 20, "descriptor");
    close(fd);
    return moved;
}

static int seal_frame(const struct drive *drive)
{
    size_t size = bv_frame_size(drive->frame);
    uint8_t *bytes = malloc(size);
    int fd = high(memfd_create("frame", MFD_CLOEXEC | MFD_ALLOW_SEALING));

    must(size > 0 && bytes && bv_frame_encode(drive->frame, bytes, size), "encoding");
    if (drive->corrupt) {
        bytes[size - 1] ^= 1;
    }
    must(write(fd, bytes, size) == (ssize_t)size, "frame");
    must(drive->unsealed || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0,
         "seals");
    free(bytes);
    return fd;
}

static _Noreturn void exec_launcher(const struct drive *drive, int control_fd)
{
    char number[16], net[2] = { (drive->frame->flags & BV_FRAME_NEW_NET) ? '1' : '0' };
    char *const argv[] = { (char *)(uintptr_t) "bvisor-launcher", number, net, NULL };
    char *const envp[] = { NULL };

    snprintf(number, sizeof(number), "%d", control_fd);
    must(fcntl(control_fd, F_SETFD, 0) == 0, "sharing");
    must(drive->inherit < 0 || fcntl(drive->inherit, F_SETFD, 0) == 0, "sharing");
    if (drive->close_standard) {
        close(0);
        close(1);
        close(2);
    }
    signal(SIGCHLD, SIG_IGN); /* as some hosts do; nothing of it may reach the boundary */
    signal(SIGUSR1, SIG_IGN);
    execveat(drive->launcher, "", argv, envp, AT_EMPTY_PATH);
    _exit(126);
}

struct bundle {
    int fds[BV_FRAME_DESCRIPTORS_MAX];
    size_t count;
};

/* Replaces a descriptor of the frame by its place in the message. */
static void place(struct bundle *bundle, int32_t *fd)
{
    if (*fd >= 0) {
        bundle->fds[bundle->count] = *fd;
        *fd = (int32_t)bundle->count++;
    }
}

static void send_order(const struct drive *drive, enum bv_status_type type, const int *fds, size_t count)
{
    uint8_t bytes[BV_STATUS_BYTES];
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(BV_FRAME_DESCRIPTORS_MAX * sizeof(int))];
    } control = { 0 };
    struct iovec iov = { bytes, sizeof(bytes) };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    const struct bv_status_message order = { .type = type };

    bv_status_encode(&order, bytes);
    if (count > 0) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    }
    must(sendmsg(drive->control, &msg, 0) == BV_STATUS_BYTES, "sending an order");
}

/* The frame in a copy: the tests' own names descriptors by their numbers. */
static void send_frame(const struct drive *drive, int in, int out)
{
    struct bv_frame *frame = malloc(sizeof(*frame));
    struct drive sent = *drive;
    struct bundle bundle = { .count = 1 };

    must(frame != NULL, "memory");
    *frame = *drive->frame;
    sent.frame = frame;
    frame->stdin_fd = in;
    frame->stdout_fd = frame->stderr_fd = out;
    place(&bundle, &frame->stdin_fd);
    place(&bundle, &frame->stdout_fd);
    place(&bundle, &frame->stderr_fd);
    place(&bundle, &frame->cpu_fd);
    place(&bundle, &frame->oom_fd);
    for (uint32_t i = 0; i < frame->task_fd_count; i++) {
        place(&bundle, &frame->task_fds[i]);
    }
    for (uint32_t i = 0; i < frame->keep_count; i++) {
        frame->keep[i].fd = frame->keep[i].number;
        place(&bundle, &frame->keep[i].fd);
    }
    bundle.fds[0] = seal_frame(&sent);
    send_order(drive, BV_MSG_FRAME, bundle.fds, bundle.count);
    close(bundle.fds[0]);
    free(frame);
}

static int out_pipe[2];

void drive_start(struct drive *drive)
{
    int pair[2], in[2];

    must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
    must(pipe2(in, O_CLOEXEC) == 0 && pipe2(out_pipe, O_CLOEXEC) == 0, "pipe");
    drive->control = high(pair[0]);
    pair[1] = high(pair[1]);
    if (drive->input) {
        must(write(in[1], drive->input, strlen(drive->input)) == (ssize_t)strlen(drive->input),
             "input");
    }
    close(in[1]);
    drive->launcher_pid = fork();
    must(drive->launcher_pid >= 0, "fork");
    if (drive->launcher_pid == 0) {
        exec_launcher(drive, pair[1]);
    }
    close(pair[1]);
    send_order(drive, BV_MSG_STUB, &drive->leaf_fd, drive->leaf_fd >= 0);
    send_frame(drive, in[0], out_pipe[1]);
    close(in[0]);
    close(out_pipe[1]);
}

static void answer_listener(struct drive *drive)
{
    struct seccomp_notif notif;
    struct seccomp_notif_resp resp;

    memset(&notif, 0, sizeof(notif));
    if (ioctl(drive->listener, SECCOMP_IOCTL_NOTIF_RECV, &notif) == 0) {
        resp = (struct seccomp_notif_resp){ .id = notif.id, .error = -EPERM };
        drive->notified++;
        (void)ioctl(drive->listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
    }
}

/* False at end of file. */
static bool take_message(struct drive *drive)
{
    uint8_t bytes[BV_STATUS_BYTES + 1];
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { bytes, sizeof(bytes) };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
    };
    ssize_t got = recvmsg(drive->control, &msg, MSG_CMSG_CLOEXEC);
    struct bv_status_message *message = &drive->messages[drive->message_count];
    struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
    int fd = -1;

    if (got <= 0) {
        return false;
    }
    must(drive->message_count < DRIVE_MESSAGES && bv_status_decode(bytes, (size_t)got, message),
         "a message that decodes");
    if (message->type == BV_MSG_READY || message->type == BV_MSG_TRIED || message->type == BV_MSG_NET) {
        return true; /* before any frame, and the same for each */
    }
    drive->message_count++;
    if (header && header->cmsg_type == SCM_RIGHTS) {
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    }
    if (message->type == BV_MSG_INIT) {
        drive->init_pid = (pid_t)message->values[0];
        must(fd >= 0, "a pidfd with INIT");
        close(fd);
    } else if (message->type == BV_MSG_LISTENER) {
        must(fd >= 0, "a descriptor with LISTENER");
        drive->listener = fd;
    } else if (message->type == BV_MSG_EXECED && drive->kill_leaf > 0) {
        must(write(drive->kill_leaf, "1", 1) == 1, "killing the leaf");
    } else if (message->type == BV_MSG_EXECED && drive->kill_at_exec) {
        struct bv_status_message kill_it = { .type = BV_MSG_KILL };

        bv_status_encode(&kill_it, bytes);
        must(send(drive->control, bytes, BV_STATUS_BYTES, 0) == BV_STATUS_BYTES, "sending KILL");
    }
    return true;
}

static double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void drive_run(struct drive *drive)
{
    const double start = now_seconds();
    bool talking = true, reading = true;

    drive_start(drive);
    while (talking || reading) {
        struct pollfd fds[] = {
            { .fd = talking ? drive->control : -1, .events = POLLIN },
            { .fd = reading ? out_pipe[0] : -1, .events = POLLIN },
            { .fd = drive->listener, .events = POLLIN },
        };

        must(poll(fds, 3, 30000) > 0, "waiting for the launch");
        if (fds[0].revents) {
            talking = take_message(drive);
        }
        if (fds[2].revents & POLLIN) {
            answer_listener(drive);
        } else if (fds[2].revents) {
            close(drive->listener);
            drive->listener = -1;
        }
        if (fds[1].revents) {
            ssize_t got = read(out_pipe[0], drive->output + drive->output_size,
                               DRIVE_OUTPUT - 1 - drive->output_size);

            reading = got > 0;
            drive->output_size += got > 0 ? (size_t)got : 0;
        }
    }
    must(waitpid(drive->launcher_pid, &drive->launcher_status, 0) == drive->launcher_pid,
         "the launcher's end");
    if (drive->init_pid > 0) {
        int status;

        must(waitpid(drive->init_pid, &status, __WALL) == drive->init_pid, "init's end");
    }
    drive->seconds = now_seconds() - start;
}

const struct bv_status_message *drive_message(const struct drive *drive, uint32_t type)
{
    for (unsigned i = 0; i < drive->message_count; i++) {
        if (drive->messages[i].type == type) {
            return &drive->messages[i];
        }
    }
    return NULL;
}

bool drive_failed(const struct drive *drive, uint32_t stage, int error)
{
    const struct bv_status_message *message = drive_message(drive, BV_MSG_FAILED);

    return message && message->stage == stage && message->error == error &&
           !drive_message(drive, BV_MSG_EXECED);
}

uint64_t drive_status(const struct drive *drive)
{
    const struct bv_status_message *message = drive_message(drive, BV_MSG_EXITED);

    return message ? message->values[0] : DRIVE_NO_STATUS;
}

bool drive_figure(const struct drive *drive, unsigned figure, uint64_t *ret_value)
{
    const struct bv_status_message *message = drive_message(drive, BV_MSG_FIGURES);

    if (!message || !(message->values[0] >> figure & 1)) {
        return false;
    }
    *ret_value = message->values[figure + 1];
    return true;
}

void drive_done(struct drive *drive)
{
    if (out_pipe[0] > 0) {
        close(out_pipe[0]);
        out_pipe[0] = -1;
    }
    if (drive->control >= 0) {
        close(drive->control);
    }
    if (drive->listener >= 0) {
        close(drive->listener);
    }
    for (uint32_t i = 0; i < drive->frame->task_fd_count; i++) {
        close(drive->frame->task_fds[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        const int accounts[] = { drive->leaf_fd, drive->frame->cpu_fd,
                                 drive->frame->oom_fd };

        if (accounts[i] >= 0) {
            close(accounts[i]);
        }
    }
    free(drive->frame);
    drive->frame = NULL;
}

void drive_note(const struct drive *drive)
{
    for (unsigned i = 0; i < drive->message_count; i++) {
        const struct bv_status_message *m = &drive->messages[i];

        printf("# message %u stage %u (%s) error %d:", m->type, m->stage,
               m->stage ? bv_stage_name(m->stage) : "-", m->error);
        for (int v = 0; v < 8; v++) {
            printf(" %llx", (unsigned long long)m->values[v]);
        }
        printf("\n");
    }
    printf("# launcher status %x, %zu bytes of output\n", (unsigned)drive->launcher_status,
           drive->output_size);
}
