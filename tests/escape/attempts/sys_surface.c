/* sys_surface CALL - asks the kernel for something that a confined program has no business with, and prints REACHED CALL if it
 * was answered: with what was asked for, or with an error that comes after every question of permission. ATTACKS 86.
 *
 * Every question is harmless where it is allowed: it reads, acts on this process alone, or names what does not exist. */
#include <asm/ldt.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/personality.h>

#include "../attempt.h"

static long ask_bpf(void)
{
    union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1 };
    return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr);
}

static long ask_perf(void)
{
    struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_TASK_CLOCK };
    return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static long ask_faults(void)
{
    return syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);
}

static long ask_segments(void)
{
    struct user_desc segment = { .entry_number = 0, .base_addr = 0x1000, .limit = 1, .contents = 0, .seg_not_present = 1, .read_exec_only = 1 };
    return syscall(SYS_modify_ldt, 0x11, &segment, sizeof segment);
}

static long ask_personality(void)
{
    return personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC) >= 0 && personality(0xffffffff) & ADDR_NO_RANDOMIZE ? 0 : -1;
}

static long ask_log(void)
{
    return syscall(SYS_syslog, 10 /* SYSLOG_ACTION_SIZE_BUFFER */, NULL, 0);
}

static long ask_kexec(void)
{
    return syscall(SYS_kexec_load, 0ul, 17ul /* more than KEXEC_SEGMENT_MAX */, NULL, 0ul);
}

static long ask_module(void)
{
    return syscall(SYS_init_module, "", 1ul, "");
}

static long ask_swap(void)
{
    return syscall(SYS_swapon, "/nonexistent", 0);
}

static long ask_accounting(void)
{
    return syscall(SYS_acct, "/nonexistent");
}

static long ask_reboot(void)
{
    return syscall(SYS_reboot, 0, 0, 0, NULL); /* magic numbers that mean nothing */
}

static long ask_namespace(void)
{
    int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
    return syscall(SYS_setns, fd < 0 ? 0 : fd, 0);
}

static long ask_ports(void)
{
    return syscall(SYS_ioperm, 0x80ul, 1ul, 0);
}

static const struct {
    const char *name;
    long (*ask)(void);
    int reached; /* the errno that only a permitted caller sees; 0: it must succeed */
} calls[] = {
    { "bpf", ask_bpf, 0 },
    { "perf_event_open", ask_perf, 0 },
    { "userfaultfd", ask_faults, 0 },
    { "modify_ldt", ask_segments, 0 },
    { "personality", ask_personality, 0 },
    { "syslog", ask_log, 0 },
    { "kexec_load", ask_kexec, EINVAL },
    { "init_module", ask_module, ENOEXEC },
    { "swapon", ask_swap, ENOENT },
    { "acct", ask_accounting, ENOENT },
    { "reboot", ask_reboot, EINVAL },
    { "setns", ask_namespace, 0 },
    { "ioperm", ask_ports, 0 },
};

int main(int argc, char **argv)
{
    attempt_runs();
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (strcmp(argument(argc, argv, 1), calls[i].name) == 0) {
            long answer = calls[i].ask();
            int error = answer < 0 ? errno : 0;
            note(calls[i].name, answer);
            if (answer >= 0 || (calls[i].reached && error == calls[i].reached)) {
                put("REACHED ");
                put(calls[i].name);
                put("\n");
            }
        }
    }
    return 0;
}
