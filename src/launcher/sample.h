/* launcher/sample.h - init's measurements of the tree: what has no kernel counter is counted here,
 * and only what the frame asks.
 *
 * A figure is what was seen, never what was guessed: its bit in `valid` says that it was seen at
 * all. Times are CLOCK_MONOTONIC nanoseconds. */
#pragma once

#include "launcher/launcher.h"

#include <stdbool.h>
#include <stdint.h>

struct sampler {
    const struct bv_frame *frame;
    int proc_fd, storage_fd, list_fd; /* list_fd: the directory of pids */
    uint32_t valid;                   /* set of 1 << enum bv_figure */
    uint64_t cpu_micros, tasks_peak, handles_peak, storage_peak_bytes, rss_peak_bytes;
    uint64_t tasks_now, handles_now;
    uint64_t samples, last_nanos, gap_nanos, page_bytes;
    uint64_t oom_kills, oom_baseline;
    bool fd_sizes;     /* st_size of /proc/PID/fd is the number of descriptors (6.2) */
    bool handles_seen, handles_lost; /* a process's table could not be read, so the sum is not known */
};

/* 0 or -errno: without its accounts a run must not start. */
int bv_sample_init(struct sampler *sampler, const struct launch *launch);
/* CPU of the whole tree so far; 0 or -errno. confirm: read twice and believe the smaller, for a
 * limit. */
int bv_sample_cpu(struct sampler *sampler, bool confirm);
/* Tasks, handles and storage, as the frame asks. */
int bv_sample_tree(struct sampler *sampler, uint64_t now_nanos);
int bv_sample_storage(struct sampler *sampler);
/* Number of OOM kills in the leaf since the start. */
int bv_sample_oom(struct sampler *sampler);
/* After the last process was reaped. */
int bv_sample_finish(struct sampler *sampler);
void bv_sample_message(const struct sampler *sampler, struct bv_status_message *ret_message);
