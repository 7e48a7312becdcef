/* launcher/early.c - the entry point of the bvisor command: starts the launcher of `bvisor run` before the C library starts.
 *
 * Making namespaces takes longer than all that the supervisor has to think about, and longer than the start-up of its C
 * library (some fifty CPUID instructions, each an exit under a hypervisor). So the command's first instructions fork a child
 * that runs the launcher's image, in place, in the address space that it has by then: the command's file, nothing of its heap.
 * What could be a secret there is wiped first: the arguments and the environment. The parent notes the supervisor's ends
 * (launchwire/image.h) and goes on to _start as if nothing had been. The backend takes the launcher over or ends it
 * (backend/linux/ready.c).
 *
 * Nothing here may fail: without an early launcher the ordinary way remains, and tells what is wrong. No C library, no thread
 * control block, no stack protector, no call of memcpy and its kin, which are not relocated yet. Not linked into a build with
 * sanitizers, whose executable is not static. */
#include "launcher/place.h"
#include "launcher/raw.h"

#include "launchwire/image.h"

#include <elf.h>
#include <linux/auxvec.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#define PAGE_BYTES 4096u /* what the image is linked for; a kernel with larger pages gets no early launcher */
#define STANDARD_FDS 3

void bv_early_start(unsigned long *stack);

/* The psABI's initial stack goes to bv_early_start and then, untouched, to _start, with the register in which the kernel leaves
 * what to call at exit. */
#if defined(__x86_64__)
__asm__(".pushsection .text\n.globl bv_early_entry\n.type bv_early_entry, @function\nbv_early_entry:\n\tendbr64\n\txorl %ebp, %ebp\n\t"
        "movq %rsp, %rdi\n\tpushq %rdx\n\tsubq $8, %rsp\n\tcall bv_early_start\n\taddq $8, %rsp\n\tpopq %rdx\n\tjmp _start\n"
        ".size bv_early_entry, . - bv_early_entry\n.popsection");
#elif defined(__aarch64__)
__asm__(".pushsection .text\n.globl bv_early_entry\n.type bv_early_entry, %function\nbv_early_entry:\n\tmov x19, x0\n\tmov x0, sp\n\t"
        "bl bv_early_start\n\tmov x0, x19\n\tb _start\n.size bv_early_entry, . - bv_early_entry\n.popsection");
#endif

static bool begins(const char *text, const char *prefix)
{
    while (*prefix && *text == *prefix) {
        text++;
        prefix++;
    }
    return !*prefix;
}

static bool ends(const char *text, const char *suffix)
{
    const char *end = text, *suffix_end = suffix;

    while (*end) {
        end++;
    }
    while (*suffix_end) {
        suffix_end++;
    }
    if (end - text < suffix_end - suffix) {
        return false;
    }
    return begins(end - (suffix_end - suffix), suffix);
}

/* Whether a launcher with a network namespace is what this command line is likely to need. A wrong guess costs time only. */
static bool is_wanted(long argc, char **argv)
{
    static const char run[] = "run", module[] = ".wasm";
    static const char others[][16] = { "--spec", "--backend", "--print-spec", "--net", "--help" };

    if (argc < 3 || !begins(argv[1], run) || argv[1][sizeof(run) - 1]) {
        return false;
    }
    for (long i = 2; i < argc; i++) {
        for (size_t j = 0; j < sizeof(others) / sizeof(others[0]); j++) {
            if (begins(argv[i], others[j])) {
                return false;
            }
        }
        if (ends(argv[i], module)) {
            return false;
        }
    }
    return true;
}

/* The auxiliary vector lies behind the environment. */
static bool has_its_pages(char **envp)
{
    const unsigned long *auxv;

    while (*envp) {
        envp++;
    }
    for (auxv = (const unsigned long *)(const void *)(envp + 1); auxv[0] != AT_NULL; auxv += 2) {
        if (auxv[0] == AT_PAGESZ) {
            return auxv[1] == PAGE_BYTES;
        }
    }
    return false;
}

/* cli/main.c fills the three before it opens anything; a descriptor made here would take their places. */
static bool has_standard_fds(void)
{
    for (int fd = 0; fd < STANDARD_FDS; fd++) {
        if (raw_call(SYS_fcntl, fd, F_GETFD) < 0) {
            return false;
        }
    }
    return true;
}

/* Arguments and environment are one stretch of strings (the psABI's information block). The name in its place is for ps(1). */
static void wipe_strings(long argc, char **argv)
{
    static const char name[] = "bvisor-launcher";
    char *first = argv[0], *last = argv[argc - 1];

    for (char **entry = argv + argc + 1; *entry; entry++) {
        last = *entry;
    }
    while (*last) {
        last++;
    }
    for (volatile char *at = first; at < last; at++) {
        const size_t index = (size_t)(at - first);

        *at = '\0';
        if (index < sizeof(name) && first + sizeof(name) < last) {
            *at = name[index];
        }
    }
}

/* As the kernel would map it, but that the file is mapped already, readable. */
static bool load_image(unsigned long *ret_entry)
{
    const Elf64_Ehdr *header = (const void *)linux_launcher_image;
    const Elf64_Phdr *segment = (const void *)(linux_launcher_image + header->e_phoff);

    for (unsigned i = 0; i < header->e_phnum; i++, segment++) {
        const uintptr_t begin = segment->p_vaddr & ~(uintptr_t)(PAGE_BYTES - 1);
        long result = 0;

        if (segment->p_type != PT_LOAD) {
            continue;
        }
        if (segment->p_filesz == 0) {
            result = raw_call(SYS_mmap, begin, segment->p_memsz + (segment->p_vaddr - begin), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
            result = result == (long)begin ? 0 : -1;
        } else if (segment->p_vaddr != (uintptr_t)linux_launcher_image + segment->p_offset || (segment->p_flags & PF_W)) {
            return false;
        } else if (segment->p_flags & PF_X) {
            result = raw_call(SYS_mprotect, begin, segment->p_memsz + (segment->p_vaddr - begin), PROT_READ | PROT_EXEC);
        }
        if (result != 0) {
            return false;
        }
    }
    *ret_entry = header->e_entry;
    return true;
}

/* argc, argv, environment and auxiliary vector as execve(2) lays them out, at the lowest address: the image's stack grows down from it. */
struct initial_stack {
    unsigned long words[12];
    char number[12], net[2], name[16];
    unsigned long random[2];
} __attribute__((aligned(16)));

static _Noreturn void run_image(int control_fd)
{
    struct initial_stack stack;
    unsigned long entry;
    size_t digits = 0;

    if (!load_image(&entry) || raw_call(SYS_getrandom, stack.random, sizeof(stack.random), 0u) != (long)sizeof(stack.random)) {
        raw_exit(127);
    }
    for (int rest = control_fd; rest > 0; rest /= 10) {
        digits++;
    }
    stack.number[digits] = '\0';
    for (int rest = control_fd; rest > 0; rest /= 10) {
        stack.number[--digits] = (char)('0' + rest % 10);
    }
    stack.net[0] = '1';
    stack.net[1] = '\0';
    for (size_t i = 0; i < sizeof(stack.name); i++) {
        stack.name[i] = "bvisor-launcher"[i];
    }
    (void)raw_call(SYS_prctl, PR_SET_NAME, stack.name, 0, 0, 0);
    stack.words[0] = 3;
    stack.words[1] = (unsigned long)stack.name;
    stack.words[2] = (unsigned long)stack.number;
    stack.words[3] = (unsigned long)stack.net;
    stack.words[4] = 0; /* the end of the arguments */
    stack.words[5] = 0; /* and of the environment */
    stack.words[6] = AT_PAGESZ;
    stack.words[7] = PAGE_BYTES;
    stack.words[8] = AT_RANDOM;
    stack.words[9] = (unsigned long)stack.random;
    stack.words[10] = AT_NULL;
    stack.words[11] = 0;
#if defined(__x86_64__)
    __asm__ volatile("movq %0, %%rsp\n\txorl %%edx, %%edx\n\tjmp *%1" : : "r"(stack.words), "r"(entry) : "rdx", "memory");
#elif defined(__aarch64__)
    __asm__ volatile("mov sp, %0\n\tmov x0, #0\n\tbr %1" : : "r"(stack.words), "r"(entry) : "x0", "memory");
#endif
    __builtin_unreachable();
}

void bv_early_start(unsigned long *stack)
{
    const long argc = (long)stack[0];
    char **argv = (char **)(void *)(stack + 1);
    int pair[2], pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    long mounts_fd, pid;
    char go = 'g';

    if (!is_wanted(argc, argv) || !has_its_pages(argv + argc + 1) || !has_standard_fds()) {
        return;
    }
    mounts_fd = raw_call(SYS_openat, AT_FDCWD, "/proc/self/mountinfo", O_RDONLY | O_CLOEXEC, 0);
    if (mounts_fd < 0) {
        return;
    }
    if (raw_call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        raw_close((int)mounts_fd);
        return;
    }
    pid = raw_clone3(&args);
    if (pid == 0) {
        /* As in backend/linux/spawn.c, child_main. */
        if (raw_call(SYS_setpgid, 0, 0) != 0 || raw_call(SYS_read, pair[1], &go, sizeof(go)) != sizeof(go)) {
            raw_exit(127);
        }
        wipe_strings(argc, argv);
        run_image(pair[1]);
    }
    raw_close(pair[1]);
    if (pid < 0) {
        raw_close(pair[0]);
        raw_close((int)mounts_fd);
        return;
    }
    if (place_elsewhere((int)pid) == 0) { /* without the word it ends, and the ordinary way tells what is wrong */
        (void)raw_call(SYS_write, pair[0], &go, sizeof(go));
    }
    bv_early.pid = (int32_t)pid;
    bv_early.launcher_fd = pidfd;
    bv_early.control_fd = pair[0];
    bv_early.mounts_fd = (int32_t)mounts_fd;
}
