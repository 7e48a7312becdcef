/* fs_exec_file PROGRAM ARG - starts a program from a root that grants no execute, by path; the program prints ARG reversed. ATTACKS 88. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    char *const arguments[] = { argv[0], argc > 2 ? argv[2] : argv[0], NULL };
    char *const environment[] = { NULL };

    attempt_runs();
    note("chmod", chmod(argument(argc, argv, 1), 0755));
    note("execve", execve(argument(argc, argv, 1), arguments, environment));
    return 0;
}
