/* st_end exit|signal N - ends with a status that a boundary could have given, so that the two must be told apart. ATTACKS 66. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    int number = (int)strtol(argument(argc, argv, 2), NULL, 10);

    attempt_runs();
    if (strcmp(argument(argc, argv, 1), "exit") == 0) {
        return number;
    }
    (void)signal(number, SIG_DFL);
    (void)raise(number);
    return 1;
}
