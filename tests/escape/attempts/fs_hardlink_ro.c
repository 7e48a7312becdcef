/* fs_hardlink_ro RO RW TEXT - links RO/f into the writable root and writes through the new name, by path and by descriptor. ATTACKS 10. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    char from[4096], to[4096], magic[64];
    const char *text = argument(argc, argv, 3);

    (void)snprintf(from, sizeof from, "%s/f", argument(argc, argv, 1));
    (void)snprintf(to, sizeof to, "%s/l", argument(argc, argv, 2));
    attempt_runs();
    note("link", link(from, to));
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    (void)snprintf(magic, sizeof magic, "/proc/self/fd/%d", fd);
    note("link by descriptor", linkat(AT_FDCWD, magic, AT_FDCWD, to, AT_SYMLINK_FOLLOW));
    int out = open(to, O_WRONLY | O_APPEND);
    note("open for writing", out);
    put_bytes(out, text, strlen(text));
    int reopened = open(magic, O_WRONLY | O_APPEND);
    note("reopen for writing", reopened);
    put_bytes(reopened, text, strlen(text));
    return 0;
}
