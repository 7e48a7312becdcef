/* launcher/step_lock.c - what the workload loses for good: capabilities, the way back to them,
 * files, system calls.
 *
 * Privileges go first, because Landlock and seccomp need none once no_new_privs is set; Landlock is
 * last, because its rules name the finished root. The masks, rules and the program
 * come ready-made in the frame: there is no policy here. Specified by LINUX.md 1 and 3. */
#include "launcher/launcher.h"

#include "launcher/raw.h"
#include "sys/uapi_landlock.h"

#include "base/check.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>

_Static_assert(sizeof(struct bv_frame_insn) == sizeof(struct sock_filter) &&
                   offsetof(struct bv_frame_insn, jt) == offsetof(struct sock_filter, jt) &&
                   offsetof(struct bv_frame_insn, jf) == offsetof(struct sock_filter, jf) &&
                   offsetof(struct bv_frame_insn, k) == offsetof(struct sock_filter, k),
               "an instruction of the frame is the kernel's");

/* root is an ordinary user from here on; no bit of this can be changed back (capabilities(7)). */
#define SECUREBITS                                                                                 \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                               \
     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |       \
     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)
#define CAPABILITIES 64

static int control(int option, unsigned long a, unsigned long b)
{
    return (int)raw_call(SYS_prctl, option, a, b);
}

int bv_empty_bounding_set(void)
{
    for (unsigned long cap = 0; cap < CAPABILITIES; cap++) {
        int result = control(PR_CAPBSET_DROP, cap, 0);

        if (result == -EINVAL && cap > CAP_AUDIT_READ) {
            return 0; /* past the kernel's last one */
        }
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

int bv_drop_capabilities(uint64_t keep)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = {
        { .effective = (uint32_t)keep, .permitted = (uint32_t)keep },
        { .effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32) },
    };
    struct __user_cap_data_struct left[2];
    int result = control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0);

    if (result == 0) {
        result = (int)raw_call(SYS_capset, &header, data);
    }
    if (result == 0) {
        result = (int)raw_call(SYS_capget, &header, left);
    }
    if (result == 0 && memcmp(left, data, sizeof(left)) != 0) {
        result = -EPERM;
    }
    return result;
}

/* With a one-id map setgroups is denied for ever; the groups that the caller cannot give up show as
 * the overflow id. */
static int take_ids(const struct bv_frame *frame)
{
    long result = 0;

    if (frame->flags & BV_FRAME_FULL_ID_MAP) {
        result = raw_call(SYS_setgroups, (size_t)0, NULL);
    }
    if (result == 0) {
        result = raw_call(SYS_setresgid, frame->gid, frame->gid, frame->gid);
    }
    if (result == 0) {
        result = raw_call(SYS_setresuid, frame->uid, frame->uid, frame->uid);
    }
    return (int)result;
}

int bv_step_credentials(struct launch *launch)
{
    int result = control(PR_SET_SECUREBITS, SECUREBITS, 0);

    if (result == 0) {
        result = take_ids(&launch->frame);
    }
    return result < 0 ? result : bv_drop_capabilities(0);
}

int bv_step_no_new_privs(struct launch *launch)
{
    (void)launch;
    return control(PR_SET_NO_NEW_PRIVS, 1, 0);
}

int bv_step_landlock_make(struct launch *launch)
{
    const struct bv_frame *frame = &launch->frame;
    const struct landlock_ruleset_attr attr = {
        .handled_access_fs = frame->landlock_fs,
        .handled_access_net = frame->landlock_net,
        .scoped = frame->landlock_scoped,
    };

    if (!(frame->flags & BV_FRAME_LANDLOCK)) {
        return 0;
    }
    launch->ruleset_fd = (int)raw_call(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0u);
    return launch->ruleset_fd < 0 ? launch->ruleset_fd : 0;
}

int bv_step_landlock_rules(struct launch *launch)
{
    const struct bv_frame *frame = &launch->frame;

    for (uint32_t i = 0; i < frame->rule_count; i++) { /* verify.c: none without Landlock */
        struct landlock_path_beneath_attr rule = { .allowed_access = frame->rules[i].access };
        int result;

        launch->at->index = i;
        rule.parent_fd = raw_open_path(AT_FDCWD, frame->rules[i].path, 0);
        if (rule.parent_fd < 0) {
            return rule.parent_fd;
        }
        result = (int)raw_call(SYS_landlock_add_rule, launch->ruleset_fd,
                               LANDLOCK_RULE_PATH_BENEATH, &rule, 0u);
        raw_close(rule.parent_fd);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

int bv_step_landlock(struct launch *launch)
{
    int result;

    if (!(launch->frame.flags & BV_FRAME_LANDLOCK)) {
        return 0;
    }
    result =
        (int)raw_call(SYS_landlock_restrict_self, launch->ruleset_fd, launch->frame.landlock_flags);
    raw_close(launch->ruleset_fd);
    launch->ruleset_fd = -1;
    return result;
}

int bv_step_seccomp(struct launch *launch)
{
    struct bv_frame *frame = &launch->frame;
    const struct sock_fprog program = {
        .len = (unsigned short)frame->bpf_count,
        .filter = (struct sock_filter *)(void *)frame->bpf,
    };
    const struct bv_status_message message = { .type = BV_MSG_LISTENER };
    bool listen = (frame->flags & BV_FRAME_LISTENER) != 0;
    int listener, result;

    if (frame->bpf_count == 0) {
        return 0; /* verify.c: then there is no listener either */
    }
    listener = (int)raw_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                             listen ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0UL, &program);
    if (!listen || listener < 0) {
        return listener;
    }
    result = bv_tell(launch, &message, listener);
    raw_close(listener);
    return result;
}
