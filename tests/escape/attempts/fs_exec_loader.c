/* fs_exec_loader LOADER PROGRAM ARG - lets the dynamic loader, which may be executed, load a program that may not. ATTACKS 88. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    char *const arguments[] = { argv[0], argc > 2 ? argv[2] : argv[0], argc > 3 ? argv[3] : argv[0], NULL };
    char *const environment[] = { NULL };

    attempt_runs();
    note("execve", execve(argument(argc, argv, 1), arguments, environment));
    return 0;
}
