/* launcher/steps.c - the ordered tables of what a launch does, and why in this order.
 *
 * Init prepares what the workload shares with nobody else: names, mounts, root. It has every
 * capability of its own user namespace and keeps none of them longer than the workload's creation.
 * The workload stub then takes things away from itself, in the order in which nothing that a later
 * step needs is gone too early. One row is one step, one step has one stage, and no step is
 * optional: an absent mechanism is a failed step. */
#include "launcher/launcher.h"

#include "base/check.h"

/* Before the frame is there. */
static const struct step PREPARE_STEPS[] = {
    /* Before anything is opened, or a mount made by the host meanwhile would appear in here. */
    { BV_STAGE_MOUNT_PRIVATE, bv_step_mount_private },
    /* procfs must be mounted while the host's own is visible (mount_too_revealing() in
     * fs/namespace.c). */
    { BV_STAGE_MOUNT_PROC, bv_step_open_proc },
    { BV_STAGE_RLIMIT, bv_step_user_limits },
    /* Covers "/", but paths still start at the host's root below it. */
    { BV_STAGE_MOUNT_ROOT, bv_step_make_root },
};

static const struct step ROOT_STEPS[] = {
    { BV_STAGE_HOSTNAME, bv_step_hostname },
    /* Every source is opened and compared while the host's root is still the root, before a mount
     * of the frame can cover its path. */
    { BV_STAGE_MOUNT_SOURCE, bv_step_open_sources },
    { BV_STAGE_MOUNT_ATTACH, bv_step_attach_mounts },
    { BV_STAGE_PIVOT, bv_step_pivot },
    /* With init's rights: a rule names a mount that init made, and whether the workload may walk
     * there is the file system's business. */
    { BV_STAGE_LANDLOCK, bv_step_landlock_rules },
};

static const struct step WORKLOAD_STEPS[] = {
    /* Needs init's procfs, which goes with the descriptors. */
    { BV_STAGE_RLIMIT, bv_step_priorities },
    /* The v2 leaf was entered at birth; the namespace must be made inside all leaves, so that they
     * are its roots. */
    { BV_STAGE_CGROUP_JOIN, bv_step_cgroup_join },
    { BV_STAGE_CGROUP_NS, bv_step_cgroup_ns },
    { BV_STAGE_DESCRIPTORS, bv_step_session },
    { BV_STAGE_DESCRIPTORS, bv_step_descriptors },
    { BV_STAGE_DESCRIPTORS, bv_step_signals },
    { BV_STAGE_CREDENTIALS, bv_step_credentials },
    { BV_STAGE_NO_NEW_PRIVS, bv_step_no_new_privs },
    /* Before the filter, which answers for RLIMIT_CORE itself. */
    { BV_STAGE_RLIMIT, bv_step_rlimits },
    /* The filter allows what the steps below still need, because a workload may do all of it too:
     * it comes this early because init mounts meanwhile, and the kernel takes long to compile it. */
    { BV_STAGE_SECCOMP, bv_step_seccomp },
    { BV_STAGE_PIVOT, bv_step_await_root },
    /* With the workload's own rights: a directory that it may not enter is refused here. */
    { BV_STAGE_CWD, bv_step_cwd },
    { BV_STAGE_LANDLOCK, bv_step_landlock },
    { BV_STAGE_CANARY, bv_step_canaries },
    /* After everything that takes a descriptor of its own: RLIMIT_NOFILE may be as low as the
     * workload's first three. */
    { BV_STAGE_RLIMIT, bv_step_nofile },
    /* A supervisor that still hashes what will run lets it go when it has. */
    { BV_STAGE_HANDSHAKE, bv_step_await_go },
};

int bv_run_steps(struct launch *launch, const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int result;

        launch->at->index = 0;
        launch->at->stage = steps[i].stage;
        result = steps[i].run(launch);
        BV_ASSERT(result <= 0);
        if (result < 0) {
            bv_tell_failed(launch, launch->at->stage, launch->at->index, result);
            return result;
        }
    }
    return 0;
}

int bv_prepare_steps(struct launch *launch)
{
    return bv_run_steps(launch, PREPARE_STEPS, BV_COUNT(PREPARE_STEPS));
}

int bv_root_steps(struct launch *launch)
{
    return bv_run_steps(launch, ROOT_STEPS, BV_COUNT(ROOT_STEPS));
}

int bv_workload_steps(struct launch *launch)
{
    return bv_run_steps(launch, WORKLOAD_STEPS, BV_COUNT(WORKLOAD_STEPS));
}
