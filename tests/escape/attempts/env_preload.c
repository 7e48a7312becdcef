/* env_preload - a library that LD_PRELOAD puts into the attempt env_dynamic; it prints BVT_HOST there and nothing elsewhere. ATTACKS 46. */
#include "../attempt.h"

__attribute__((constructor)) static void preloaded(void)
{
    const char *secret = getenv("BVT_HOST");
    size_t length = strlen(program_invocation_short_name);

    if (secret && length >= 11 && strcmp(program_invocation_short_name + length - 11, "env_dynamic") == 0) {
        put(secret);
        put("\n");
    }
}
