/* launcher/start.c - where the launcher begins, and the few functions of a libc that it needs.
 *
 * A static glibc program spends two thirds of its life in start-up: it asks CPUID some fifty times,
 * and under a hypervisor each is an exit. Measured on the build machine, spawn to reaped: 650 us
 * with glibc, 190 us with this. It also reads nothing from its environment (GLIBC_TUNABLES, LD_*).
 * The compiler may call memcpy and its kin by itself, so they exist here; names and meanings are
 * C's. Built with sanitizers the launcher has a libc and this file is left out. */
#include "launcher/raw.h"

#include "base/check.h"

#include <linux/auxvec.h>

#if defined(__x86_64__)
#include <asm/prctl.h>
#endif

int main(int argc, char **argv, char **envp);
_Noreturn void bv_start(unsigned long *stack);
_Noreturn void __stack_chk_fail(void);

/* The psABI's initial stack: argc, argv, NULL, envp, NULL, auxv. Nothing may be pushed before its
 * address is taken. */
#if defined(__x86_64__)
__asm__(".pushsection .text\n.globl _start\n.type _start, @function\n_start:\n\txorl %ebp, "
        "%ebp\n\tmovq %rsp, %rdi\n\tandq $-16, %rsp\n"
        "\tcall bv_start\n\thlt\n.size _start, . - _start\n.popsection");
#elif defined(__aarch64__)
__asm__(".pushsection .text\n.globl _start\n.type _start, %function\n_start:\n\tmov x29, #0\n\tmov "
        "x30, #0\n\tmov x0, sp\n\tbl bv_start\n"
        "\tbrk #1\n.size _start, . - _start\n.popsection");
#endif

_Noreturn void __stack_chk_fail(void)
{
    __builtin_trap();
}

#if defined(__x86_64__)
/* The compiler reads the stack's guard from %fs:40 (the psABI's thread control block). */
static struct {
    void *self, *unused[4];
    uint64_t guard;
} control_block;

static void set_guard(uint64_t guard)
{
    control_block.self = &control_block;
    control_block.guard = guard;
    (void)raw_call(SYS_arch_prctl, ARCH_SET_FS, &control_block);
}
#else
extern uintptr_t __stack_chk_guard;
uintptr_t __stack_chk_guard;

static void set_guard(uint64_t guard)
{
    __stack_chk_guard = guard;
}
#endif

_Noreturn void bv_start(unsigned long *stack)
{
    int argc = (int)stack[0];
    char **argv = (char **)(void *)(stack + 1), **envp = argv + argc + 1, **end = envp;
    const unsigned long *auxv;
    uint64_t guard = 0;

    while (*end) {
        end++;
    }
    for (auxv = (const unsigned long *)(const void *)(end + 1); auxv[0] != AT_NULL; auxv += 2) {
        if (auxv[0] == AT_RANDOM) {
            memcpy(&guard, (const void *)auxv[1], sizeof(guard));
        }
    }
    set_guard(guard & ~UINT64_C(0xff)); /* a NUL in it stops string functions, as everywhere */
    raw_exit(main(argc, argv, envp));
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    uint8_t *d = to;
    const uint8_t *s = from;

    while (size-- > 0) {
        *d++ = *s++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *d = to;
    const uint8_t *s = from;

    if ((uintptr_t)d <= (uintptr_t)s) {
        return memcpy(to, from, size);
    }
    while (size-- > 0) {
        d[size] = s[size];
    }
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    uint8_t *d = to;

    while (size-- > 0) {
        *d++ = (uint8_t)byte;
    }
    return to;
}

int memcmp(const void *left, const void *right, size_t size)
{
    const uint8_t *a = left, *b = right;

    for (; size > 0; size--, a++, b++) {
        if (*a != *b) {
            return *a - *b;
        }
    }
    return 0;
}

void *memchr(const void *bytes, int byte, size_t size)
{
    const uint8_t *at = bytes;

    for (; size > 0; size--, at++) {
        if (*at == (uint8_t)byte) {
            return (void *)(uintptr_t)at;
        }
    }
    return NULL;
}

void explicit_bzero(void *to, size_t size)
{
    memset(to, 0, size);
    __asm__ volatile("" : : "r"(to) : "memory"); /* the stores are looked at */
}

size_t strlen(const char *text)
{
    size_t length = 0;

    while (text[length]) {
        length++;
    }
    return length;
}

char *strchr(const char *text, int byte)
{
    for (;; text++) {
        if (*text == (char)byte) {
            return (char *)(uintptr_t)text;
        }
        if (!*text) {
            return NULL;
        }
    }
}

char *strrchr(const char *text, int byte)
{
    const char *last = NULL;

    for (;; text++) {
        last = *text == (char)byte ? text : last;
        if (!*text) {
            return (char *)(uintptr_t)last;
        }
    }
}

size_t strcspn(const char *text, const char *reject)
{
    size_t length = 0;

    while (text[length] && !strchr(reject, text[length])) {
        length++;
    }
    return length;
}

int strncmp(const char *left, const char *right, size_t size)
{
    for (; size > 0; size--, left++, right++) {
        if (*left != *right || !*left) {
            return (unsigned char)*left - (unsigned char)*right;
        }
    }
    return 0;
}
