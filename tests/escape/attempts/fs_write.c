/* fs_write DIR TEXT - changes a directory tree that holds the file "f": makes and overwrites files, truncates, links an unnamed
 * file in, makes directories and links, removes. ATTACKS 7. */
#include "../attempt.h"

static char directory[2048];

static const char *under(const char *name)
{
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_at(const char *what, int fd, const char *text)
{
    note(what, fd);
    if (fd >= 0) {
        put_bytes(fd, text, strlen(text));
        (void)close(fd);
    }
}

int main(int argc, char **argv)
{
    const char *text = argument(argc, argv, 2);

    (void)snprintf(directory, sizeof directory, "%s", argument(argc, argv, 1));
    attempt_runs();
    write_at("create", open(under("new"), O_WRONLY | O_CREAT | O_EXCL, 0644), text);
    write_at("overwrite", open(under("f"), O_WRONLY), text);
    write_at("append", open(under("f"), O_WRONLY | O_APPEND), text);
    note("open O_TRUNC", open(under("f"), O_RDONLY | O_TRUNC));
    note("truncate", truncate(under("f"), 1));
    int unnamed = open(directory, O_TMPFILE | O_WRONLY, 0644);
    note("O_TMPFILE", unnamed);
    char link_path[64];
    (void)snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", unnamed);
    note("linkat", linkat(AT_FDCWD, link_path, AT_FDCWD, under("linked"), AT_SYMLINK_FOLLOW));
    note("mkdir", mkdir(under("directory"), 0755));
    note("mkfifo", mkfifo(under("fifo"), 0644));
    note("symlink", symlink("f", under("symlink")));
    char moved[4096];
    (void)snprintf(moved, sizeof moved, "%s/moved", directory);
    note("rename", rename(under("f"), moved));
    note("unlink", unlink(under("f")));
    return 0;
}
