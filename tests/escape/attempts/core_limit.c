/* core_limit NAME - sets the core limit to the 0 at which a core_pattern pipe is started all the same, then wears NAME. ATTACKS 68. */
#include <sys/resource.h>

#include "../attempt.h"

int main(int argc, char **argv)
{
    const struct rlimit none = { 0, 0 };

    attempt_runs();
    note("setrlimit", syscall(SYS_setrlimit, RLIMIT_CORE, &none));
    note("prlimit", syscall(SYS_prlimit64, 0, RLIMIT_CORE, &none, NULL));
    note("prlimit of the own number", syscall(SYS_prlimit64, getpid(), RLIMIT_CORE, &none, NULL));
    note("with high bits", syscall(SYS_prlimit64, 0, RLIMIT_CORE | 1ul << 32, &none, NULL));
    wear_name(argument(argc, argv, 1));
    pause_millis(300);
    return 0;
}
