/* tmp_inodes DIR COUNT - makes COUNT empty files in DIR, then lists what is there, one name a line, and removes it. ATTACKS 98. */
#include "../attempt.h"

#include <dirent.h>

int main(int argc, char **argv)
{
    const char *directory = argument(argc, argv, 1);
    long count = strtol(argument(argc, argv, 2), NULL, 10);
    static char names[1 << 21];
    size_t used = 0;

    attempt_runs();
    note("chdir", chdir(directory));
    for (long i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "e%ld", i);
        (void)close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    DIR *stream = opendir(".");
    struct dirent *entry;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (entry->d_name[0] == 'e' && used + length + 1 < sizeof names) {
            memcpy(names + used, entry->d_name, length);
            names[used + length] = '\n';
            used += length + 1;
        }
    }
    put_bytes(STDOUT_FILENO, names, used);
    for (long i = 0; i < count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "e%ld", i);
        (void)unlink(name);
    }
    return 0;
}
