/* launcher/hosted.c - only in the launcher that is built with sanitizers: what their runtime must
 * not do inside a boundary.
 *
 * Leak checking would stop threads with ptrace at exit, which no launcher may do, and there is
 * nothing to leak without an allocator. The runtime takes the memory of its own signal stacks from
 * mmap; the launcher resets every signal anyway. */

const char *__asan_default_options(void);

__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0:handle_segv=0:use_sigaltstack=0";
}
