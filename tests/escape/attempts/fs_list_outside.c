/* fs_list_outside DIR - lists a directory outside every root: by opendir, and by chdir and then ".". ATTACKS 3. */
#include "../attempt.h"

#include <dirent.h>

static void list(const char *what, const char *path)
{
    DIR *stream = opendir(path);
    struct dirent *entry;

    note(what, stream == NULL ? -1 : 0);
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        put(entry->d_name);
        put("\n");
    }
    if (stream != NULL) {
        (void)closedir(stream);
    }
}

int main(int argc, char **argv)
{
    const char *path = argument(argc, argv, 1);

    attempt_runs();
    list("opendir", path);
    note("chdir", chdir(path));
    list("opendir .", ".");
    return 0;
}
