/* sys_future - calls every number from 470 to 700, which no kernel had when this was written, and says how many it lived through. ATTACKS 89. */
#include "../attempt.h"

int main(void)
{
    char line[64];
    int unknown = 0, others = 0;

    attempt_runs();
    for (long number = 470; number <= 700; number++) {
        long answer = syscall(number, 0, 0, 0, 0, 0, 0);
        if (answer < 0 && errno == ENOSYS) {
            unknown++;
        } else {
            others++;
        }
    }
    (void)snprintf(line, sizeof line, "FUTURE %d unknown %d others\n", unknown, others);
    put(line);
    return 0;
}
