/* fs_read_outside PATH HOP - reads a file outside every root: plainly, with dot-dot from a root, by O_PATH and reopening.
 * HOP is a directory inside a root, or a directory of the caller when there is none. ATTACKS 1. */
#include "../attempt.h"

int main(int argc, char **argv)
{
    const char *path = argument(argc, argv, 1);
    char hop[4400], again[64];

    attempt_runs();
    spill("open", open(path, O_RDONLY));
    (void)snprintf(hop, sizeof hop, "%s/../../../../../../../../../..%s", argument(argc, argv, 2), path);
    spill("open by dot-dot", open(hop, O_RDONLY));
    int handle = open(path, O_PATH);
    note("open O_PATH", handle);
    (void)snprintf(again, sizeof again, "/proc/self/fd/%d", handle);
    spill("reopen", open(again, O_RDONLY));
    spill("open through /dev/fd", openat(handle, "", O_RDONLY));
    return 0;
}
