/* ipc_keys NAME - finds and reads the caller's key NAME in its user keyring. ATTACKS 52. */
#include "../attempt.h"

#include <linux/keyctl.h>

int main(int argc, char **argv)
{
    char payload[4096];

    attempt_runs();
    long key = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", argument(argc, argv, 1), 0);
    note("keyctl search", key);
    if (key < 0) {
        key = syscall(SYS_request_key, "user", argument(argc, argv, 1), NULL, 0);
        note("request_key", key);
    }
    long got = syscall(SYS_keyctl, KEYCTL_READ, key, payload, sizeof payload, 0);
    note("keyctl read", got);
    if (got > 0) {
        put_bytes(STDOUT_FILENO, payload, (size_t)got);
    }
    return 0;
}
