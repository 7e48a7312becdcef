/* tests/wasm/guests/dirs.c - directories: made and removed, deep ones, 10,000 entries read, positions, removal on the way. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

enum { ENTRIES = 10000, DEPTH = 60 };

static unsigned char seen[ENTRIES];

static void basics(void)
{
    SAY(mkdir("d", 0755));
    SAY(mkdir("d", 0755));
    SAY(mkdir("d/e/f", 0755));
    SAY(mkdir("d/e", 0755));
    SAY(rmdir("d"));
    SAY(rmdir("d/e/"));
    SAY(rmdir("d"));
    SAY(rmdir("d"));
    SAY(mkdir("slash/", 0755));
    SAY(open("slash", O_RDONLY | O_DIRECTORY) >= 0 ? 0 : -1);
    SAY(open("slash", O_WRONLY));
    SAY(opendir("missing") ? 0 : -1);
}

static void deep(void)
{
    char path[DEPTH * 12 + 32] = "";
    for (int i = 0; i < DEPTH; i++) {
        char part[16];
        snprintf(part, sizeof(part), "%slevel_%04d", i > 0 ? "/" : "", i);
        strcat(path, part);
        if (mkdir(path, 0755) != 0) {
            printf("depth %d %s\n", i, errno_name(errno));
            return;
        }
    }
    struct stat st;
    strcat(path, "/file");
    const int fd = open(path, O_WRONLY | O_CREAT, 0644);
    SAY(write(fd, "deep", 4));
    SAY(stat(path, &st));
    printf("size %lld, path of %zu bytes\n", (long long)st.st_size, strlen(path));
    close(fd);
}

static int count(DIR *dir)
{
    int entries = 0;
    memset(seen, 0, sizeof(seen));
    for (struct dirent *entry; (entry = readdir(dir));) {
        int number = -1;
        if (sscanf(entry->d_name, "file_%d", &number) == 1 && number >= 0 && number < ENTRIES) {
            seen[number]++;
            entries++;
        }
    }
    return entries;
}

static int each_once(void)
{
    for (int i = 0; i < ENTRIES; i++) {
        if (seen[i] != 1) {
            return 0;
        }
    }
    return 1;
}

static void many(void)
{
    char name[32];
    mkdir("many", 0755);
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(name, sizeof(name), "many/file_%d", i);
        close(open(name, O_WRONLY | O_CREAT, 0644));
    }
    DIR *dir = opendir("many");
    const int entries = count(dir);
    printf("%d entries, each once %d\n", entries, each_once());
    rewinddir(dir);
    const int again = count(dir);
    printf("%d entries after rewind, each once %d\n", again, each_once());
    rewinddir(dir);
    for (int i = 0; i < 5000; i++) {
        readdir(dir);
    }
    const long place = telldir(dir);
    char next[256], back[256];
    snprintf(next, sizeof(next), "%s", readdir(dir)->d_name);
    for (int i = 0; i < 100; i++) {
        readdir(dir);
    }
    seekdir(dir, place);
    snprintf(back, sizeof(back), "%s", readdir(dir)->d_name);
    printf("seekdir leads back %d\n", strcmp(next, back) == 0);
    closedir(dir);
}

static void kinds(void)
{
    struct stat st;
    int inodes = 0, files = 0, directories = 0, links = 0;
    mkdir("kinds", 0755);
    mkdir("kinds/dir", 0755);
    close(open("kinds/file", O_WRONLY | O_CREAT, 0644));
    symlink("file", "kinds/link");
    DIR *dir = opendir("kinds");
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[300];
        snprintf(path, sizeof(path), "kinds/%s", entry->d_name);
        if (entry->d_name[0] != '.') {
            inodes += lstat(path, &st) == 0 && st.st_ino == entry->d_ino;
            files += entry->d_type == DT_REG;
            directories += entry->d_type == DT_DIR;
            links += entry->d_type == DT_LNK;
        }
    }
    closedir(dir);
    printf("%d right inodes, %d file, %d directory, %d link\n", inodes, files, directories, links);
}

static void remove_many(void)
{
    char name[300];
    int removed = 0;
    DIR *dir = opendir("many");
    for (struct dirent *entry; (entry = readdir(dir));) {
        snprintf(name, sizeof(name), "many/%s", entry->d_name);
        removed += entry->d_name[0] != '.' && unlink(name) == 0;
    }
    closedir(dir);
    printf("%d removed while reading\n", removed);
    SAY(rmdir("many"));
}

int main(void)
{
    basics();
    deep();
    many();
    kinds();
    remove_many();
    return 0;
}
