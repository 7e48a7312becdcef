/* fs_exec_memfd PROGRAM ARG - copies a readable program into anonymous memory and starts that. ATTACKS 88. */
#include "../attempt.h"

#include <sys/mman.h>

int main(int argc, char **argv)
{
    char *const arguments[] = { argv[0], argc > 2 ? argv[2] : argv[0], NULL };
    char *const environment[] = { NULL };
    char block[65536];
    ssize_t got;
    int from = open(argument(argc, argv, 1), O_RDONLY | O_CLOEXEC);

    attempt_runs();
    note("open", from);
    int to = memfd_create("copy", 0);
    note("memfd_create", to);
    if (to < 0) {
        to = memfd_create("copy", 0x10u /* MFD_EXEC */);
        note("memfd_create MFD_EXEC", to);
    }
    while ((got = read(from, block, sizeof block)) > 0) {
        put_bytes(to, block, (size_t)got);
    }
    note("execveat", syscall(SYS_execveat, to, "", arguments, environment, AT_EMPTY_PATH));
    return 0;
}
