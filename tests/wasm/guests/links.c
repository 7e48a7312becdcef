/* tests/wasm/guests/links.c - names of files: hard links, symbolic links, renames, and what is removed while it is open. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

static void make(const char *name, const char *text)
{
    const int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    (void)!write(fd, text, strlen(text));
    close(fd);
}

static void show(const char *name)
{
    struct stat st, l;
    const int followed = stat(name, &st), itself = lstat(name, &l);
    printf("%s: stat %d lstat %d link %d size %lld nlink %d\n", name, followed, itself,
           itself == 0 && S_ISLNK(l.st_mode), itself == 0 ? (long long)l.st_size : -1,
           itself == 0 ? (int)l.st_nlink : -1);
}

static void symbolic(void)
{
    char text[32] = "";
    make("target", "text");
    SAY(symlink("target", "sym"));
    SAY(symlink("nowhere", "dangling"));
    SAY(symlink("loop", "loop"));
    SAY(symlink("x", "sym"));
    show("sym");
    show("dangling");
    show("loop");
    SAY(readlink("sym", text, sizeof(text)));
    printf("[%s]\n", text);
    SAY(readlink("sym", text, 3));
    SAY(readlink("target", text, sizeof(text)));
    SAY(open("sym", O_RDONLY | O_NOFOLLOW));
    SAY(open("loop", O_RDONLY));
    SAY(open("dangling", O_RDONLY));
    SAY(open("dangling", O_RDONLY | O_CREAT | O_EXCL, 0644));
    close(open("dangling", O_WRONLY | O_CREAT, 0644));
    show("nowhere");
    mkdir("dir", 0755);
    SAY(symlink("dir", "to_dir"));
    SAY(mkdir("to_dir/inner", 0755));
    show("dir/inner");
    SAY(symlink("../target", "dir/up"));
    show("dir/up");
    SAY(rmdir("to_dir"));
    SAY(unlink("to_dir"));
    SAY(unlink("sym"));
    show("target");
}

static void hard(void)
{
    make("one", "1");
    SAY(link("one", "two"));
    show("one");
    SAY(link("one", "two"));
    SAY(link("missing", "three"));
    SAY(link("dir", "three"));
    make("two", "changed");
    show("one");
    SAY(unlink("one"));
    show("two");
}

static void renames(void)
{
    make("a", "aa");
    make("b", "bbbb");
    SAY(rename("a", "b"));
    show("a");
    show("b");
    SAY(rename("missing", "b"));
    SAY(rename("b", "dir/b"));
    show("dir/b");
    SAY(rename("dir", "two"));
    SAY(rename("two", "dir"));
    mkdir("empty", 0755);
    mkdir("full", 0755);
    make("full/x", "x");
    SAY(rename("empty", "full"));
    SAY(rename("full", "empty"));
    show("empty/x");
    SAY(rename("empty", "empty/inside"));
    SAY(rename("two", "two"));
    SAY(rename("empty/", "moved/"));
    show("moved/x");
    SAY(rename("two/", "three"));
}

static void removed(void)
{
    char text[8] = "";
    const int fd = open("gone", O_RDWR | O_CREAT, 0644);
    struct stat st;
    SAY(unlink("gone"));
    SAY(write(fd, "still", 5));
    SAY(pread(fd, text, 5, 0));
    SAY(fstat(fd, &st));
    printf("[%s] nlink %d\n", text, (int)st.st_nlink);
    SAY(close(fd));
    SAY(unlink("gone"));
    SAY(unlink("dir"));
    SAY(unlink("two/"));
    SAY(remove("two"));
    SAY(remove("moved"));
}

int main(void)
{
    symbolic();
    hard();
    renames();
    removed();
    return 0;
}
