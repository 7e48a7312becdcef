/* backend/linux/context.c - what one backend instance makes once: the launcher's memory file and the canary listeners.
 *
 * The launcher is embedded in the library (embed.S) and executed from a sealed memory file, so that no installed helper can
 * be replaced or be of another version. The listeners stand in the host; a confined launcher tries to reach them and must fail
 * (LINUX.md 3, canaries). Nothing is ever accepted from them. */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/linux/cgroup.h"
#include "backend/linux/os.h"
#include "backend/linux/run.h"
#include "base/check.h"
#include "base/error.h"

static int write_all(int fd, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

static int make_launcher(void)
{
    int fd = linux_memory_file("bvisor-launcher", true);
    if (fd < 0) {
        return fd;
    }
    const size_t size = (size_t)(linux_launcher_image_end - linux_launcher_image);
    int result = write_all(fd, linux_launcher_image, size);
    if (result == 0) {
        result = linux_seal(fd);
    }
    if (result < 0) {
        linux_fd_close(&fd);
        return result;
    }
    return fd;
}

enum bv_status linux_context_launcher(struct linux_context *context, int *ret_fd,
                                      struct bv_error *error)
{
    (void)pthread_mutex_lock(&context->lock);
    if (context->launcher_fd < 0) {
        context->launcher_fd = make_launcher();
    }
    const int fd = context->launcher_fd;
    if (fd < 0) {
        context->launcher_fd = -EBADF;
    }
    (void)pthread_mutex_unlock(&context->lock);
    if (fd < 0) {
        return bv_fail_sys(error, "launcher", fd, "making the launcher's memory file");
    }
    *ret_fd = fd;
    return BV_OK;
}

void linux_context_divide(struct linux_context *context)
{
    (void)pthread_mutex_lock(&context->lock);
    if (!context->divided) {
        context->divided = linux_cgroup_v2_serves();
        if (context->divided) {
            linux_cgroup_divide();
        }
    }
    (void)pthread_mutex_unlock(&context->lock);
}

static int listen_tcp(uint16_t *ret_port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = bv_fd_above_stdio(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd < 0) {
        return fd;
    }
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        linux_fd_close(&fd);
        return fd;
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static int listen_abstract(const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const size_t length = strlen(name);
    BV_ASSERT(length < sizeof address.sun_path);
    memcpy(address.sun_path + 1, name, length);
    int fd = bv_fd_above_stdio(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd < 0) {
        return fd;
    }
    if (bind(fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) != 0 ||
        listen(fd, 1) != 0) {
        linux_fd_close(&fd);
    }
    return fd;
}

/* A host without IPv4 or without abstract sockets has nothing there that could be reached: the canary is then not in the
 * set, and the report's count says so. */
void linux_context_canaries(struct linux_context *context, const char *attempt)
{
    (void)pthread_mutex_lock(&context->lock);
    if (!context->canaries_made) {
        context->canaries_made = true;
        context->canary_tcp = listen_tcp(&context->canary_port);
        (void)snprintf(context->canary_socket, sizeof context->canary_socket, "bvisor-%.32s-canary",
                       attempt);
        context->canary_unix = listen_abstract(context->canary_socket);
        if (context->canary_unix < 0) {
            context->canary_socket[0] = '\0';
        }
    }
    (void)pthread_mutex_unlock(&context->lock);
}
