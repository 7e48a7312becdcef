/* tests/linux/launch_driver.h - a supervisor small enough to read: builds a frame by hand, runs the
 * launcher, keeps every message.
 *
 * It stands in for src/backend/linux, so that the launcher is tested by what it is told and what it
 * says, and by nothing in between. */
#pragma once

#include "launchwire/frame.h"
#include "launchwire/status.h"

#include <stdbool.h>
#include <sys/types.h>

#define DRIVE_MESSAGES  16
#define DRIVE_OUTPUT    16384
#define DRIVE_NO_STATUS UINT64_MAX

struct drive {
    struct bv_frame *frame; /* drive_init() fills the usual; change what the test is about */
    const char *input;      /* what the workload finds on its stdin */
    int launcher;           /* descriptor of the launcher program */
    bool close_standard;    /* exec the launcher with 0, 1 and 2 closed */
    bool unsealed, corrupt; /* damage the frame */
    bool kill_at_exec;      /* answer EXECED with KILL */
    int kill_leaf;          /* a cgroup.kill to write to at EXECED, 0 = none */
    int leaf_fd;            /* v2 leaf in which the workload is born, -1 = none */
    int inherit;            /* a stray descriptor that the launcher inherits, -1 = none */

    struct bv_status_message messages[DRIVE_MESSAGES];
    unsigned message_count;
    char output[DRIVE_OUTPUT];
    size_t output_size;
    int control, listener;
    pid_t launcher_pid, init_pid;
    unsigned notified;
    int launcher_status; /* raw; of the process that was exec'd */
    double seconds;
};

/* An empty file system but for the payload at /payload; verb and arguments end with NULL; wall 20
 * s; nothing else. */
void drive_init(struct drive *drive, int launcher, const char *payload, const char *verb, ...)
    __attribute__((sentinel));
struct bv_frame_mount *drive_mount(struct drive *drive, uint32_t kind, const char *source,
                                   const char *dest, uint32_t flags);
/* Starts the launcher; the caller goes on. drive_run() also listens until everything has ended. */
void drive_start(struct drive *drive);
void drive_run(struct drive *drive);
const struct bv_status_message *drive_message(const struct drive *drive,
                                              uint32_t type); /* NULL: none came */
bool drive_failed(const struct drive *drive, uint32_t stage, int error);
uint64_t drive_status(const struct drive *drive); /* raw wait status, or DRIVE_NO_STATUS */
bool drive_figure(const struct drive *drive, unsigned figure, uint64_t *ret_value);
void drive_done(struct drive *drive);
void drive_note(const struct drive *drive); /* all messages as TAP notes */
