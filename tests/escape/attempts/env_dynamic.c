/* env_dynamic - a dynamic program that does nothing: whatever else is printed, a library of the caller's choice printed. ATTACKS 46. */
#include "../attempt.h"

int main(void)
{
    attempt_runs();
    return 0;
}
