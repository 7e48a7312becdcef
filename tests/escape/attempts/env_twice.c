/* env_twice NAME VALUE PROGRAM ARG... - starts PROGRAM with an environment that no shell would make: NAME twice, an entry
 * without '=', an empty one. What a hostile caller of the supervisor hands on. ATTACKS 46. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    char first[256], second[256];
    char path[4096];

    if (argc < 4) {
        return 1;
    }
    (void)snprintf(first, sizeof first, "%s=%s", argv[1], argv[2]);
    (void)snprintf(second, sizeof second, "%s=second %s", argv[1], argv[2]);
    (void)snprintf(path, sizeof path, "PATH=%s", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    char *const environment[] = { first, second, (char[]){ "NO_EQUALS_SIGN" }, (char[]){ "" }, path, NULL };
    (void)execve(argv[3], argv + 3, environment);
    return 1;
}
