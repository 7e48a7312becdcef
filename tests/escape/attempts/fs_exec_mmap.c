/* fs_exec_mmap FILE - maps the machine code in FILE executable and calls it; it returns a number, printed as 16 hex digits. ATTACKS 88. */
#include "../attempt.h"

#include <sys/mman.h>

typedef uint64_t code_fn(void);

int main(int argc, char **argv)
{
    int fd = open(argument(argc, argv, 1), O_RDONLY | O_CLOEXEC);
    char line[64];

    attempt_runs();
    note("open", fd);
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (code == MAP_FAILED) {
        note("mmap PROT_EXEC", -1);
        code = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
        if (code == MAP_FAILED || mprotect(code, 4096, PROT_READ | PROT_EXEC) < 0) {
            note("mprotect PROT_EXEC", -1);
            return 0;
        }
    }
    code_fn *call;
    memcpy(&call, &code, sizeof call);
    (void)snprintf(line, sizeof line, "%016llx\n", (unsigned long long)call());
    put(line);
    return 0;
}
