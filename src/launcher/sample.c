/* launcher/sample.c - reads accounts, procfs and statfs; adds up; remembers peaks.
 *
 * All paths are below init's own procfs or descriptors that the supervisor opened; the workload can
 * rename or mount nothing of it. What vanishes between two looks is skipped, since its time is then
 * in the account of whoever waited for it. Any other failure is the caller's to act on: a sample
 * that cannot be taken ends the run. Specified by LINUX.md 5. */
#include "launcher/sample.h"

#include "launcher/raw.h"
#include "launcher/text.h"

#include <sys/resource.h>
#include <sys/statfs.h>

#define INIT_PID   1
#define EXEC_LOOKS 5 /* 34 ms of looks (init.c) for an exec to end */
#define FILE_BYTES                                                                                 \
    1024 /* cpu.stat, memory.events, memory.oom_control and /proc/PID/stat are all shorter */
#define LIST_BYTES  4096
#define TICK_MICROS 10000u /* USER_HZ is 100 on every architecture that the launcher knows */
/* Fields of /proc/PID/stat, counted as proc(5) does, all of them after the name. */
#define STAT_STATE   3
#define STAT_CUTIME  16
#define STAT_CSTIME  17
#define STAT_THREADS 20
#define STAT_RSS     24
#define STAT_FIELDS  25

struct dirent64_head { /* getdents64(2) */
    uint64_t ino;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
} __attribute__((packed));

struct process {
    uint64_t pid, threads, rss_pages, waited_ticks;
};

static int read_text(int fd, char text[FILE_BYTES])
{
    long got = raw_call(SYS_pread64, fd, text, (size_t)(FILE_BYTES - 1), 0L);

    if (got < 0) {
        return (int)got;
    }
    text[got] = '\0';
    return 0;
}

/* Decimal at *at, which moves behind it. */
static uint64_t read_number(const char **at)
{
    uint64_t value = 0;

    for (; **at >= '0' && **at <= '9'; ++*at) {
        value = value * 10 + (uint64_t)(**at - '0');
    }
    return value;
}

/* The value of a "key value" line. */
static bool find_value(const char *text, const char *key, uint64_t *ret_value)
{
    size_t length = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == ' ') {
            const char *at = line + length + 1;

            *ret_value = read_number(&at);
            return true;
        }
    }
    return false;
}

static bool vanished(long result)
{
    return result == -ENOENT || result == -ESRCH;
}

/* ---- processes ---- */

static long open_of(const struct sampler *sampler, uint64_t pid, const char *name, int flags)
{
    struct text path = { .length = 0 };

    text_add_number(&path, pid, 10);
    text_add(&path, name);
    return raw_call(SYS_openat, sampler->proc_fd, path.chars, flags | O_CLOEXEC, 0);
}

static int read_stat(const struct sampler *sampler, struct process *process)
{
    char text[FILE_BYTES];
    uint64_t fields[STAT_FIELDS] = { 0 };
    const char *at;
    long fd = open_of(sampler, process->pid, "/stat", O_RDONLY);
    int result = fd < 0 ? (int)fd : read_text((int)fd, text);

    if (fd >= 0) {
        raw_close((int)fd);
    }
    if (result < 0) {
        return result;
    }
    at = strrchr(text, ')'); /* the name may hold anything, a ')' included */
    if (!at || strlen(at) < 4) {
        return -EPROTO;
    }
    at += 3; /* the state, which is a letter */
    for (unsigned field = STAT_STATE + 1; field < STAT_FIELDS; field++) {
        at = strchr(at, ' ');
        if (!at) {
            return -EPROTO;
        }
        at++;
        fields[field] = read_number(&at);
        at -= *at == '\0'; /* strchr must not start behind the end */
    }
    process->threads = fields[STAT_THREADS];
    process->rss_pages = fields[STAT_RSS];
    process->waited_ticks = fields[STAT_CUTIME] + fields[STAT_CSTIME];
    return 0;
}

/* Entries of a directory but "." and "..". */
static long count_entries(int fd)
{
    char buffer[LIST_BYTES] __attribute__((aligned(8)));
    long entries = 0, got;

    while ((got = raw_call(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0) {
        for (long at = 0; at < got;) {
            const struct dirent64_head *entry = (const void *)(buffer + at);

            entries += entry->name[0] != '.';
            at += entry->length;
        }
    }
    return got < 0 ? got : entries;
}

static int count_handles(struct sampler *sampler, uint64_t pid)
{
    struct text path = { .length = 0 };
    struct stat st;
    long fd, count;
    int result;

    if (sampler->fd_sizes) {
        text_add_number(&path, pid, 10);
        text_add(&path, "/fd");
        result = raw_stat(sampler->proc_fd, path.chars, &st);
        if (result < 0) {
            return result;
        }
        sampler->handles_now += (uint64_t)st.st_size;
        return 0;
    }
    fd = open_of(sampler, pid, "/fd", O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        return (int)fd;
    }
    count = count_entries((int)fd);
    raw_close((int)fd);
    if (count < 0) {
        return (int)count;
    }
    sampler->handles_now += (uint64_t)count;
    return 0;
}

/* A table that may not be read: an executable without read permission, before 6.2. Then the sum is
 * not a figure, and no limit can rest on it. At first it may be readable a moment later: an exec
 * closes descriptors, which is what init hears of, before it makes the new image dumpable
 * (begin_new_exec() in fs/exec.c), and that the old one, the stub's, was not. */
static int add_handles(struct sampler *sampler, uint64_t pid)
{
    int result = count_handles(sampler, pid);
    const bool denied = result == -EACCES || result == -EPERM;

    sampler->handles_seen = sampler->handles_seen || result == 0;
    if (denied && !sampler->handles_seen && sampler->samples < EXEC_LOOKS) {
        return -ESRCH; /* as if it were not there yet */
    }
    if (denied && sampler->frame->handle_limit == UINT64_MAX) {
        sampler->handles_lost = true;
        result = 0;
    }
    return result;
}

typedef int process_visitor(struct sampler *sampler, uint64_t pid, uint64_t *sum);

/* Calls visit for every process of the boundary but init. */
static int each_process(struct sampler *sampler, process_visitor *visit, uint64_t *sum)
{
    char buffer[LIST_BYTES] __attribute__((aligned(8)));
    long got = raw_call(SYS_lseek, sampler->list_fd, 0L, SEEK_SET);

    if (got < 0) {
        return (int)got;
    }
    while ((got = raw_call(SYS_getdents64, sampler->list_fd, buffer, sizeof(buffer))) > 0) {
        for (long at = 0; at < got;) {
            const struct dirent64_head *entry = (const void *)(buffer + at);
            const char *name = entry->name;
            uint64_t pid = read_number(&name);
            int result;

            at += entry->length;
            if (*name != '\0' || pid <= INIT_PID) {
                continue;
            }
            result = visit(sampler, pid, sum);
            if (result < 0 && !vanished(result)) {
                return result;
            }
        }
    }
    return (int)got;
}

static int visit_tree(struct sampler *sampler, uint64_t pid, uint64_t *rss_bytes)
{
    struct process process = { .pid = pid };
    int result = 0;

    if (sampler->frame->flags & BV_FRAME_SAMPLE_TASKS) {
        result = read_stat(sampler, &process);
        if (result == 0) {
            sampler->tasks_now += process.threads;
            *rss_bytes += process.rss_pages * sampler->page_bytes;
        }
    }
    if (result == 0 && (sampler->frame->flags & BV_FRAME_SAMPLE_HANDLES)) {
        result = add_handles(sampler, pid);
    }
    return result;
}

static void raise_peak(uint64_t *peak, uint64_t value)
{
    *peak = value > *peak ? value : *peak;
}

int bv_sample_storage(struct sampler *sampler)
{
    struct statfs fs;
    long result;

    if (sampler->storage_fd < 0) {
        return 0;
    }
    result = raw_call(SYS_fstatfs, sampler->storage_fd, &fs);
    if (result < 0) {
        return (int)result;
    }
    raise_peak(&sampler->storage_peak_bytes,
               (uint64_t)(fs.f_blocks - fs.f_bfree) * (uint64_t)fs.f_bsize);
    sampler->valid |= 1u << BV_FIGURE_STORAGE_PEAK;
    return 0;
}

int bv_sample_tree(struct sampler *sampler, uint64_t now_nanos)
{
    uint64_t rss_bytes = 0;
    int result = 0;

    sampler->tasks_now = 0;
    sampler->handles_now = 0;
    if (sampler->frame->flags & (BV_FRAME_SAMPLE_TASKS | BV_FRAME_SAMPLE_HANDLES)) {
        result = each_process(sampler, visit_tree, &rss_bytes);
    }
    if (result == 0) {
        result = bv_sample_storage(sampler);
    }
    if (result < 0) {
        return result;
    }
    raise_peak(&sampler->tasks_peak, sampler->tasks_now);
    raise_peak(&sampler->handles_peak, sampler->handles_now);
    raise_peak(&sampler->rss_peak_bytes, rss_bytes);
    raise_peak(&sampler->gap_nanos, now_nanos - sampler->last_nanos);
    sampler->last_nanos = now_nanos;
    sampler->samples++;
    return 0;
}

/* ---- CPU ---- */

/* The clock of another process, as clock_getcpuclockid(3) makes it, and what that process has
 * waited for. */
static int visit_cpu(struct sampler *sampler, uint64_t pid, uint64_t *micros)
{
    const clockid_t id = (clockid_t)(~(unsigned)pid << 3 | 2u);
    struct process process = { .pid = pid };
    struct timespec used;
    int result = read_stat(sampler, &process);

    if (result == 0) {
        result = (int)raw_call(SYS_clock_gettime, id, &used);
        result = result == -EINVAL ? -ESRCH : result; /* EINVAL: no such process any more */
    }
    if (result == 0) {
        *micros += (uint64_t)used.tv_sec * 1000000u + (uint64_t)used.tv_nsec / 1000u +
                   process.waited_ticks * TICK_MICROS;
    }
    return result;
}

static int reaped_usage(uint64_t *ret_cpu_micros, uint64_t *ret_rss_bytes)
{
    struct rusage usage;
    long result = raw_call(SYS_getrusage, RUSAGE_CHILDREN, &usage);

    if (result < 0) {
        return (int)result;
    }
    *ret_cpu_micros = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    *ret_rss_bytes = (uint64_t)usage.ru_maxrss * 1024u;
    return 0;
}

static int read_cpu(struct sampler *sampler, uint64_t *ret_micros)
{
    char text[FILE_BYTES];
    const char *at = text;
    uint64_t rss_bytes;
    int result;

    switch ((enum bv_cpu_account)sampler->frame->cpu_account) {
    case BV_CPU_ACCOUNT_V1_USAGE:
        result = read_text(sampler->frame->cpu_fd, text);
        *ret_micros = result < 0 ? 0 : read_number(&at) / 1000u;
        return result;
    case BV_CPU_ACCOUNT_V2_STAT:
        result = read_text(sampler->frame->cpu_fd, text);
        return result < 0 ? result : find_value(text, "usage_usec", ret_micros) ? 0 : -EPROTO;
    case BV_CPU_ACCOUNT_NONE:
        /* The reaped first: only init reaps them, so a process cannot be in both sums. */
        result = reaped_usage(ret_micros, &rss_bytes);
        return result < 0 ? result : each_process(sampler, visit_cpu, ret_micros);
    }
    BV_UNREACHABLE();
}

int bv_sample_cpu(struct sampler *sampler, bool confirm)
{
    uint64_t micros = 0, again = UINT64_MAX;
    int result = read_cpu(sampler, &micros);

    if (result == 0 && confirm) {
        result = read_cpu(sampler, &again);
        micros = again < micros ? again : micros;
    }
    if (result == 0) {
        raise_peak(&sampler->cpu_micros, micros);
        sampler->valid |= 1u << BV_FIGURE_CPU_MICROS;
    }
    return result;
}

/* ---- accounts, start and end ---- */

static int read_oom(const struct sampler *sampler, uint64_t *ret_kills)
{
    char text[FILE_BYTES];
    int result;

    *ret_kills = 0;
    if (sampler->frame->oom_account == BV_OOM_ACCOUNT_NONE) {
        return 0;
    }
    result = read_text(sampler->frame->oom_fd, text); /* "oom_kill N" in v1 and v2 */
    return result < 0 ? result : find_value(text, "oom_kill", ret_kills) ? 0 : -EPROTO;
}

int bv_sample_oom(struct sampler *sampler)
{
    uint64_t kills;
    int result = read_oom(sampler, &kills);

    if (result == 0) {
        BV_ASSERT(kills >= sampler->oom_baseline);
        sampler->oom_kills = kills - sampler->oom_baseline;
    }
    return result;
}

int bv_sample_init(struct sampler *sampler, const struct launch *launch)
{
    struct stat st;
    int result;

    *sampler = (struct sampler){
        .frame = &launch->frame,
        .proc_fd = launch->proc_fd,
        .storage_fd = launch->frame.flags & BV_FRAME_SAMPLE_STORAGE ? launch->temp_fd : -1,
        .last_nanos = launch->birth_nanos,
        .page_bytes = launch->page_bytes,
    };
    sampler->list_fd =
        (int)raw_call(SYS_openat, launch->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (sampler->list_fd < 0) {
        return sampler->list_fd;
    }
    result = raw_stat(launch->proc_fd, "self/fd", &st);
    if (result < 0) {
        return result;
    }
    sampler->fd_sizes = st.st_size > 0;
    result = read_oom(sampler, &sampler->oom_baseline);
    return result < 0 ? result : bv_sample_cpu(sampler, false);
}

int bv_sample_finish(struct sampler *sampler)
{
    uint64_t cpu_micros, rss_bytes;
    int result = bv_sample_cpu(sampler, false);

    if (result == 0) {
        result = bv_sample_oom(sampler);
    }
    if (result == 0) {
        result = reaped_usage(&cpu_micros, &rss_bytes);
    }
    if (result < 0) {
        return result;
    }
    /* The largest process that was waited for: a lower bound of the tree's peak, exact for a tree
     * of one. */
    raise_peak(&sampler->rss_peak_bytes, rss_bytes);
    sampler->valid |= 1u << BV_FIGURE_RSS_PEAK | 1u << BV_FIGURE_SAMPLES;
    /* A peak of 0 means that nobody was seen alive, not that there was nobody. */
    if (sampler->tasks_peak > 0) {
        sampler->valid |= 1u << BV_FIGURE_TASKS_PEAK;
    }
    if (sampler->handles_peak > 0 && !sampler->handles_lost) {
        sampler->valid |= 1u << BV_FIGURE_HANDLES_PEAK;
    }
    return 0;
}

void bv_sample_message(const struct sampler *sampler, struct bv_status_message *ret_message)
{
    *ret_message = (struct bv_status_message){ .type = BV_MSG_FIGURES };
    ret_message->values[0] = sampler->valid;
    ret_message->values[1 + BV_FIGURE_CPU_MICROS] = sampler->cpu_micros;
    ret_message->values[1 + BV_FIGURE_TASKS_PEAK] = sampler->tasks_peak;
    ret_message->values[1 + BV_FIGURE_HANDLES_PEAK] =
        sampler->handles_lost ? UINT64_MAX : sampler->handles_peak;
    ret_message->values[1 + BV_FIGURE_STORAGE_PEAK] = sampler->storage_peak_bytes;
    ret_message->values[1 + BV_FIGURE_SAMPLES] = sampler->samples;
    ret_message->values[1 + BV_FIGURE_RSS_PEAK] = sampler->rss_peak_bytes;
    ret_message->values[7] = sampler->gap_nanos / 1000u;
}
