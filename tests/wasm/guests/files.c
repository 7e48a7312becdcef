/* tests/wasm/guests/files.c - a file's whole life: make, write, read, seek, append, truncate, large offsets, stdio. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "say.h"

static char buffer[300000];

static void show(const char *name)
{
    struct stat st;
    char bytes[64];
    const int fd = open(name, O_RDONLY);
    const ssize_t size = read(fd, bytes, sizeof(bytes));
    const int result = stat(name, &st);
    printf("%s: stat %d size %lld read %zd [%.*s]\n", name, result, (long long)st.st_size, size,
           size > 0 && size < 40 ? (int)size : 0, bytes);
    close(fd);
}

static void plain(void)
{
    char bytes[16] = "";
    struct stat st;
    const int fd = open("plain", O_RDWR | O_CREAT | O_EXCL, 0644);
    SAY(write(fd, "hello world", 11));
    SAY(lseek(fd, 0, SEEK_CUR));
    SAY(lseek(fd, -5, SEEK_END));
    SAY(read(fd, bytes, 16));
    printf("[%s]\n", bytes);
    SAY(read(fd, bytes, 16));
    SAY(lseek(fd, 6, SEEK_SET));
    SAY(write(fd, "WASI!", 5));
    SAY(pread(fd, bytes, 5, 0));
    SAY(pwrite(fd, "J", 1, 0));
    SAY(lseek(fd, 0, SEEK_CUR));
    SAY(lseek(fd, -1, SEEK_SET));
    SAY(fsync(fd));
    SAY(fdatasync(fd));
    SAY(fstat(fd, &st));
    printf("regular %d size %lld links %d\n", S_ISREG(st.st_mode), (long long)st.st_size,
           (int)st.st_nlink);
    SAY(close(fd));
    SAY(close(fd));
    show("plain");
}

static void sizes(void)
{
    const int fd = open("sizes", O_RDWR | O_CREAT, 0644);
    SAY(ftruncate(fd, 10));
    show("sizes");
    SAY(write(fd, "abc", 3));
    SAY(ftruncate(fd, 2));
    SAY(lseek(fd, 0, SEEK_CUR));
    SAY(write(fd, "z", 1));
    show("sizes");
    SAY(ftruncate(fd, -1));
    SAY(posix_fallocate(fd, 0, 100));
    show("sizes");
    close(fd);
    SAY(truncate("sizes", 5));
    SAY(truncate("missing", 5));
    SAY(open("sizes", O_WRONLY | O_TRUNC) >= 0 ? 0 : -1);
    show("sizes");
}

static void appending(void)
{
    const int fd = open("append", O_WRONLY | O_CREAT | O_APPEND, 0644);
    SAY(write(fd, "one,", 4));
    SAY(lseek(fd, 0, SEEK_SET));
    SAY(write(fd, "two,", 4));
    SAY(fcntl(fd, F_SETFL, 0));
    SAY(lseek(fd, 0, SEEK_SET));
    SAY(write(fd, "ONE", 3));
    SAY(fcntl(fd, F_SETFL, O_APPEND));
    SAY(write(fd, "three", 5));
    printf("append flag %d\n", (fcntl(fd, F_GETFL) & O_APPEND) != 0);
    close(fd);
    show("append");
}

static void large(void)
{
    char bytes[8] = "";
    struct stat st;
    const int fd = open("large", O_RDWR | O_CREAT, 0644);
    SAY(lseek(fd, 5000000000, SEEK_SET));
    SAY(write(fd, "far", 3));
    SAY(fstat(fd, &st));
    printf("size %lld\n", (long long)st.st_size);
    SAY(pread(fd, bytes, 7, 4999999999));
    printf("%d[%s]\n", bytes[0], bytes + 1);
    SAY(pwrite(fd, "x", 1, 9000000000000));
    SAY(fstat(fd, &st));
    printf("size %lld\n", (long long)st.st_size);
    SAY(ftruncate(fd, 0));
    SAY(lseek(fd, 0, SEEK_SET));
    for (size_t i = 0; i < sizeof(buffer); i++) {
        buffer[i] = (char)(i * 31 + i / 251);
    }
    long long total = 0;
    for (int i = 0; i < 20; i++) {
        total += write(fd, buffer, sizeof(buffer));
    }
    printf("wrote %lld\n", total);
    lseek(fd, 0, SEEK_SET);
    unsigned sum = 0;
    for (ssize_t n; (n = read(fd, buffer, 65537)) > 0;) {
        for (ssize_t i = 0; i < n; i++) {
            sum = sum * 33 + (unsigned char)buffer[i];
        }
    }
    printf("sum %u\n", sum);
    close(fd);
}

static void vectors(void)
{
    char a[4] = "", b[8] = "";
    struct iovec out[3] = { { "abc", 3 }, { "", 0 }, { "defgh", 5 } },
                 in[2] = { { a, 3 }, { b, 7 } };
    const int fd = open("vectors", O_RDWR | O_CREAT, 0644);
    SAY(writev(fd, out, 3));
    lseek(fd, 0, SEEK_SET);
    SAY(readv(fd, in, 2));
    printf("[%s][%s]\n", a, b);
    close(fd);
}

static void stdio(void)
{
    char line[64];
    FILE *file = fopen("stdio", "w+");
    for (int i = 0; i < 1000; i++) {
        fprintf(file, "line %d\n", i);
    }
    SAY(fseek(file, 500, SEEK_SET));
    printf("%s", fgets(line, sizeof(line), file));
    SAY(ftell(file));
    rewind(file);
    int lines = 0;
    while (fgets(line, sizeof(line), file)) {
        lines++;
    }
    printf("%d lines, end %d\n", lines, feof(file) != 0);
    fclose(file);
    file = fopen("stdio", "a+");
    fputs("last\n", file);
    fseek(file, -5, SEEK_END);
    printf("%s", fgets(line, sizeof(line), file));
    fclose(file);
    file = fopen("stdio", "r+");
    fputs("LINE", file);
    fclose(file);
    SAY(fopen("missing", "r") ? 0 : -1);
}

int main(void)
{
    plain();
    sizes();
    appending();
    large();
    vectors();
    stdio();
    return 0;
}
