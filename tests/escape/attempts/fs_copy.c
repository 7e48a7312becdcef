/* fs_copy FROM TO - an allowed thing: copies what FROM holds to stdout and appends it to TO when that is given. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    char block[4096];
    int from = open(argument(argc, argv, 1), O_RDONLY | O_CLOEXEC);
    int to = argc > 2 ? open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    ssize_t got;

    attempt_runs();
    note("open source", from);
    note("open target", to);
    while ((got = read(from, block, sizeof block)) > 0) {
        put_bytes(STDOUT_FILENO, block, (size_t)got);
        put_bytes(to, block, (size_t)got);
    }
    return 0;
}
