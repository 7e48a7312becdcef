/* tests/support/sim_world.h - a little world in memory: files, hosts, tasks, descriptors; and a
 * workload's script that acts in it.
 *
 * The log is written by the world as the workload acts, never by a backend. A backend only
 * decides, for each attempt, whether the world lets it happen. So the log is the truth that an
 * oracle can hold a backend's report against. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_EVENTS_MAX 64

enum sim_op_kind {
    SIM_READ,    /* subject: path */
    SIM_WRITE,   /* subject: path; amount: bytes */
    SIM_CONNECT, /* subject: host:port; amount: bytes */
    SIM_SPAWN,   /* one more task; amount 1: it outlives its parent */
    SIM_USE_FD,  /* amount: descriptor number */
    SIM_BURN,    /* amount: microseconds of CPU */
    SIM_PRINT,   /* subject: text to stdout */
    SIM_WAIT,    /* waits for ever */
    SIM_EXIT,    /* amount: exit code */
};

struct sim_op {
    enum sim_op_kind kind;
    const char *subject;
    uint64_t amount;
};

struct sim_event {
    enum sim_op_kind kind;
    const char *subject;
    uint64_t amount;
    bool happened;
};

struct sim_world {
    struct sim_event log[SIM_EVENTS_MAX];
    size_t log_count;
    uint64_t cpu_micros, storage_bytes, network_bytes; /* the true figures */
    uint64_t tasks_alive, tasks_peak;
    bool promoted; /* staged writes reached the host's files */
    bool ended;    /* the workload ended by itself */
    int exit_code;
    uint32_t
        can_enforce; /* kinds that this machine truly enforces: 1 << enum bv_requirement_kind */
};

void sim_world_begin(struct sim_world *world); /* the workload is born */
/* The workload attempts op; the world does it if let is true, and writes down which. */
void sim_world_attempt(struct sim_world *world, const struct sim_op *op, bool let);
void sim_world_kill_tree(struct sim_world *world);
void sim_world_promote(struct sim_world *world);
