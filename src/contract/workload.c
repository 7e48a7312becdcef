/* contract/workload.c - does the file fit what was asked for it: reason workload_incompatible.
 *
 * The kernel starts a dynamic program by starting its loader, and a script by starting its interpreter (and that one's
 * loader). Each is code that the workload executes, so each must lie in a root that grants execute; the most specific
 * root alone decides. Only resolved paths count: a link is not a grant. But the kernel opens it by the path as written, so
 * nothing else may stand there. Specified by CONTRACT.md 2. */
#include "contract/admission.h"

#include "base/check.h"
#include "contract/support.h"
#include "contract/tree.h"

#include <stdio.h>
#include <string.h>

static const struct bv_control launch_control = { .kind = BV_CTL_LAUNCH_WORKLOAD };
static const struct bv_requirement launch = { .kind = BV_REQ_LAUNCH_WORKLOAD,
                                              .control = &launch_control };

/* The exposed path that stands where path leads inside; exposed paths and roots never hold each other (policy.c). */
static const char *exposed_over(const struct bv_intent *intent, const char *path)
{
    for (size_t i = 0; i < intent->expose_count; i++) {
        if (bv_path_is_inside(path, intent->exposes[i].dest)) {
            return intent->exposes[i].dest;
        }
    }
    return NULL;
}

/* written: as the file names it; resolved: after all symlinks, "" if there is no such file. */
static bool check_interpreter(struct admission *admission, const char *written,
                              const char *resolved)
{
    if (!written[0]) {
        return true; /* static */
    }
    if (!resolved[0]) {
        return bv_admission_refuse(
            admission, NULL, &launch, "install it, or run a program that this machine can start",
            "its interpreter %.200s does not exist on this machine", written);
    }
    const char *over = exposed_over(&admission->plan->intent, written);
    if (over) {
        return bv_admission_refuse(
            admission, NULL, &launch,
            "leave that path out: the links that lead from it to a granted root are made inside",
            "its interpreter %.200s is opened by that path, where %.200s is exposed, and what is "
            "exposed grants no execute",
            written, over);
    }
    const struct bv_root *root = bv_intent_root_of(&admission->plan->intent, resolved);
    if (root && root->execute) {
        return true;
    }
    char remedy[400];
    (void)snprintf(remedy, sizeof(remedy),
                   "grant read+execute on %.300s or a directory above it (--rx DIR or --system)",
                   resolved);
    if (root) {
        return bv_admission_refuse(admission, NULL, &launch, remedy,
                                   "its interpreter %.140s (resolves to %.140s) lies in the root "
                                   "%.140s, which grants no execute",
                                   written, resolved, root->path);
    }
    return bv_admission_refuse(
        admission, NULL, &launch, remedy,
        "its interpreter %.200s (resolves to %.200s) is not inside an execute root", written,
        resolved);
}

static bool check_process(struct admission *admission)
{
    const struct bv_workload_identity *identity = &admission->plan->identity;
    const char *path = admission->plan->spec.workload.path;
    if (identity->is_wasm) {
        return bv_admission_refuse(admission, NULL, &launch, "ask for it as a wasm workload",
                                   "%.300s is a Wasm module, not a native program", path);
    }
    if (!bv_text_is_plain(identity->path, strlen(identity->path))) {
        return bv_admission_refuse(admission, NULL, &launch,
                                   "give the program a path of UTF-8 names",
                                   "%.300s resolves to a path that no document can hold", path);
    }
    if (!identity->is_elf && !identity->is_script) {
        return bv_admission_refuse(
            admission, NULL, &launch,
            "name the program that is to read it, and give it as an argument",
            "%.300s is neither an ELF program nor a script that begins with #!", path);
    }
    return check_interpreter(admission, identity->interpreter, identity->interpreter_path) &&
           check_interpreter(admission, identity->loader, identity->loader_path);
}

bool bv_workload_step(struct admission *admission)
{
    const struct bv_plan *plan = admission->plan;
    if (!plan->intent.launch) {
        return true;
    }
    BV_ASSERT(plan->identity.known);
    if (plan->spec.workload.kind == BV_WORKLOAD_PROCESS) {
        return check_process(admission);
    }
    return plan->identity.is_wasm ||
           bv_admission_refuse(admission, NULL, &launch,
                               "ask for it as a process workload, or name a .wasm file",
                               "%.300s does not begin with the magic bytes of a Wasm module",
                               plan->spec.workload.path ? plan->spec.workload.path : "the module");
}
