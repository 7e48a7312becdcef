/* sys_listener PORT TEXT - puts a filter with a listener of its own over the boundary's, lets a second thread answer
 * "go on" to every question, and sends TEXT to the host's loopback. ATTACKS 90. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "../attempt.h"

static int listener = -1;

static void *answer(void *unused)
{
    for (;;) {
        struct seccomp_notif question;
        memset(&question, 0, sizeof question);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) < 0) {
            return unused;
        }
        struct seccomp_notif_resp response = { .id = question.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
        note("go on", ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response));
    }
}

static void install(unsigned long flags, const char *what)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    };
    struct sock_fprog program = { sizeof rules / sizeof rules[0], rules };
    if (listener < 0) {
        listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
        note(what, listener);
    }
}

int main(int argc, char **argv)
{
    const char *text = argument(argc, argv, 2);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port_of(argument(argc, argv, 1))),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    pthread_t thread;

    attempt_runs();
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    install(SECCOMP_FILTER_FLAG_NEW_LISTENER, "a listener");
    install(SECCOMP_FILTER_FLAG_NEW_LISTENER | 0xdead000000000000ul, "a listener, high bits");
    install(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, "a listener for all");
    if (listener >= 0 && pthread_create(&thread, NULL, answer, NULL) != 0) {
        return 0;
    }
    if (listener >= 0) {
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        note("socket", fd);
        note("sendto", sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, sizeof to));
    }
    return 0;
}
