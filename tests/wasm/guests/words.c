/* tests/wasm/guests/words.c - arguments, environment, standard streams, names in UTF-8, and an exit status. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "say.h"

extern char **environ;

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int main(int count, char **arguments)
{
    static const char *const names[] = { "caf\xc3\xa9",
                                         "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
                                         "\xf0\x9f\x90\xa7 penguin",
                                         "  spaces  ",
                                         "quote'\"",
                                         "tab\tnewline\n",
                                         "-dash",
                                         "*" };
    for (int i = 1; i < count; i++) {
        printf("argument %d [%s]\n", i, arguments[i]);
    }
    for (char **entry = environ; *entry; entry++) {
        printf("environment [%s]\n", *entry);
    }
    printf("A=%s B=%s C=%s\n", getenv("A"), getenv("B"), getenv("C") ? getenv("C") : "(none)");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        SAY(mkdir(names[i], 0755));
    }
    char *found[16];
    size_t n = 0;
    DIR *dir = opendir(".");
    for (struct dirent *entry; (entry = readdir(dir)) && n < 16;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            found[n++] = strdup(entry->d_name);
        }
    }
    closedir(dir);
    qsort(found, n, sizeof(found[0]), by_text);
    for (size_t i = 0; i < n; i++) {
        printf("found [%s]\n", found[i]);
        free(found[i]);
    }
    int bytes = 0, lines = 0;
    for (int c; (c = getchar()) != EOF; bytes++) {
        lines += c == '\n';
    }
    printf("stdin %d bytes, %d lines, a terminal %d\n", bytes, lines, isatty(0));
    fprintf(stderr, "to stderr\n");
    return 42;
}
