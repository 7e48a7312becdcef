/* cli/screen.c - a pipe between the run and a terminal, emptied by the loop that drives the run.
 * Newline, tab and carriage return pass, so that progress lines look as they should; escape
 * sequences, which can retitle windows, fill the clipboard or type answers, do not. */
#include "cli/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/render.h"
#include "cli/text.h"

#define CHUNK_BYTES 16384
#define FIRST_NUMBER                                                                               \
    512 /* out of the way of the small numbers that people pass on with --keep-fd */

/* In a plan the capability stands in an admitted requirement, in a spec by itself. */
static bool is_kept(const json_t *document, int fd)
{
    const json_t *admitted = cli_at(document, "admitted");
    const json_t *list = admitted != NULL ? admitted : cli_at(document, "capabilities");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *fds =
            cli_at(cli_at(admitted != NULL ? cli_at(item, "requirement") : item, "inherited_fds"), "fds");
        for (size_t j = 0; j < json_array_size(fds); j++) {
            if (json_integer_value(json_array_get(fds, j)) == fd) {
                return true;
            }
        }
    }
    return false;
}

/* Moves a descriptor to a high number that the plan does not keep: were it a kept number that
 * the caller forgot to open, the workload would be given our end. Returns the number, -1 with
 * errno; fd is closed either way. */
static int move_high(int fd, const json_t *document)
{
    int moved = -1;
    for (int least = FIRST_NUMBER;; least = moved + 1) {
        moved = fcntl(fd, F_DUPFD_CLOEXEC, least);
        if (moved < 0 || !is_kept(document, moved)) {
            break;
        }
        (void)close(moved);
    }
    int error = errno;
    (void)close(fd);
    errno = error;
    return moved;
}

static int open_pipe(const json_t *document, struct cli_screen *screen)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return errno;
    }
    screen->read_fd = move_high(ends[0], document);
    int error = errno;
    screen->write_fd = move_high(ends[1], document);
    if (screen->read_fd < 0 || screen->write_fd < 0) {
        return screen->read_fd < 0 ? error : errno;
    }
    int flags = fcntl(screen->read_fd, F_GETFL);
    return flags < 0 || fcntl(screen->read_fd, F_SETFL, flags | O_NONBLOCK) < 0 ? errno : 0;
}

int cli_screen_open(struct cli *cli, const struct cli_job *job, int *fd, struct cli_screen *screen)
{
    if (*fd < 0 || isatty(*fd) != 1) {
        return CLI_OK;
    }
    struct bv_error bad = { 0 };
    char *text = NULL;
    if ((job->plan != NULL ? bv_plan_json(job->plan, &text, &bad)
                           : bv_spec_json(job->spec, &text, &bad)) != BV_OK) {
        return cli_fail_nomem(cli);
    }
    json_t *tree = json_loads(text, 0, NULL);
    bv_free(text);
    int error = tree == NULL ? ENOMEM : open_pipe(tree, screen);
    json_decref(tree);
    if (error != 0) {
        cli_screen_close(screen);
        return cli_fail(cli, "terminal", NULL, "no pipe can be made for it: %s", strerror(error));
    }
    screen->terminal = *fd;
    *fd = screen->write_fd;
    return CLI_OK;
}

/* How many bytes at the end begin a character without ending it: 0 to 3. */
static size_t unfinished(const char *bytes, size_t size)
{
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        unsigned char lead = (unsigned char)bytes[size - back];
        if (lead >= 0xc2 && lead <= 0xf4) {
            size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
            return length > back ? back : 0;
        }
        if (lead < 0x80) {
            return 0;
        }
    }
    return 0;
}

/* Writes size bytes cleaned. A terminal that is gone is no reason to fail a run. */
static void put_clean(const struct cli_screen *screen, const char *bytes, size_t size)
{
    char *clean = NULL;
    size_t clean_size = 0;
    FILE *out = open_memstream(&clean, &clean_size);
    if (out == NULL) {
        return;
    }
    while (size >
           0) { /* cli_put_clean shows a carriage return; here it is part of how lines are drawn */
        const char *end = memchr(bytes, '\r', size);
        size_t part = end == NULL ? size : (size_t)(end - bytes);
        cli_put_clean(out, bytes, part, true);
        if (end != NULL) {
            (void)fputc('\r', out);
            part++;
        }
        bytes += part;
        size -= part;
    }
    if (fclose(out) == 0) {
        (void)cli_write_all(screen->terminal, clean, clean_size);
    }
    free(clean);
}

void cli_screen_pump(struct cli_screen *screen)
{
    char bytes[CHUNK_BYTES + sizeof screen->tail];
    while (screen->terminal >= 0) {
        memcpy(bytes, screen->tail, screen->tail_size);
        ssize_t n = read(screen->read_fd, bytes + screen->tail_size, CHUNK_BYTES);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return;
        }
        size_t size = screen->tail_size + (size_t)n;
        screen->tail_size = unfinished(bytes, size);
        size -= screen->tail_size;
        memcpy(screen->tail, bytes + size, screen->tail_size);
        put_clean(screen, bytes, size);
    }
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

void cli_screen_close(struct cli_screen *screen)
{
    close_fd(&screen->write_fd);
    cli_screen_pump(screen);
    if (screen->terminal >= 0 && screen->tail_size > 0) {
        put_clean(screen, screen->tail, screen->tail_size);
        screen->tail_size = 0;
    }
    close_fd(&screen->read_fd);
    screen->terminal = -1;
}
