/* backend/wasm/classify.c - what one requirement gets under one intent. Pure: it starts from the machine's ceiling for the
 * row (profile.c) and only ever takes away from it. */
#include "backend/wasm/guest.h"

#include "base/check.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

static void refuse(struct bv_verdict *verdict, const char *why, const char *remedy)
{
    memset(verdict, 0, sizeof(*verdict));
    verdict->enforcement = BV_UNSUPPORTED;
    bv_copy_text(verdict->why, sizeof(verdict->why), why);
    bv_copy_text(verdict->remedy, sizeof(verdict->remedy), remedy);
}

static void refuse_kernels(struct bv_verdict *verdict)
{
    refuse(verdict,
           "/proc and /dev are the host's: a guest has none of its own, and is not given those",
           "name the directories that the guest needs");
}

static void classify_filesystem(const struct bv_requirement *requirement,
                                struct bv_verdict *verdict)
{
    const struct bv_filesystem *grant =
        requirement->capability ? &requirement->capability->u.filesystem : NULL;
    if (!grant || grant->root_count == 0 || requirement->implied) {
        return;
    }
    if (!grant->recursive) {
        refuse(verdict, "a preopened directory is given with all that lies below it",
               "\"recursive\": true");
        return;
    }
    for (size_t i = 0; i < grant->root_count; i++) {
        if (guest_is_kernels(grant->roots[i])) {
            refuse_kernels(verdict);
            return;
        }
    }
    if (grant->execute) {
        bv_copy_text(verdict->note, sizeof(verdict->note),
                     "execute gives a guest nothing: it can start no program");
    }
}

/* A guest looks for its directories at 3, 4, ... until the first number that is none (wasi-libc, preopens.c). */
static void classify_kept(const struct bv_intent *intent, struct bv_verdict *verdict)
{
    const uint64_t first_free = guest_first_handles(intent);
    for (size_t i = 0; i < intent->fd_count; i++) {
        if ((uint64_t)intent->fds[i] < first_free) {
            char why[160], remedy[96];
            (void)snprintf(
                why, sizeof(why),
                "descriptor %d is where the guest finds its directories, which begin at 3",
                intent->fds[i]);
            (void)snprintf(remedy, sizeof(remedy), "open it as %llu or above",
                           (unsigned long long)first_free);
            refuse(verdict, why, remedy);
            return;
        }
    }
    bv_copy_text(verdict->note, sizeof(verdict->note),
                 "a kept descriptor that is a directory or a socket ends the run before it starts");
}

void guest_classify(void *context, const struct bv_profile *profile, const struct bv_intent *intent,
                    const struct bv_requirement *requirement, struct bv_verdict *ret_verdict)
{
    (void)context;
    BV_ASSERT((unsigned)requirement->kind < BV_REQUIREMENT_KIND_COUNT);
    *ret_verdict = profile->ceiling[requirement->kind];
    if (ret_verdict->enforcement == BV_UNSUPPORTED) {
        return;
    }
    switch (requirement->kind) {
    case BV_REQ_FILESYSTEM: classify_filesystem(requirement, ret_verdict); return;
    case BV_REQ_LAUNCH_WORKLOAD:
        if (intent->workload->kind != BV_WORKLOAD_WASM) {
            refuse(ret_verdict,
                   "the wasm backend runs WebAssembly modules, and this is a native program",
                   "--backend linux");
        } else if (!intent->capture.out && !intent->capture.err) {
            ret_verdict->evidence &= ~(uint32_t)BV_CLAIM_CAPTURED_STREAMS;
        }
        return;
    case BV_REQ_CAPTURE_STREAMS:
        if (!intent->capture.out && !intent->capture.err) {
            ret_verdict->evidence &= ~(uint32_t)BV_CLAIM_CAPTURED_STREAMS;
        }
        return;
    case BV_REQ_INHERITED_FDS_ONLY: classify_kept(intent, ret_verdict); return;
    case BV_REQ_EXPOSE_PATH:
        if (requirement->control && guest_is_kernels(requirement->control->u.expose.source)) {
            refuse_kernels(ret_verdict);
        }
        return;
    case BV_REQ_TEMP_ROOT:
        bv_copy_text(ret_verdict->note, sizeof(ret_verdict->note),
                     "a directory of this user in the host's temporary directory, with mode 0700: "
                     "programs of the same user outside can see it");
        return;
    case BV_REQ_NETWORK_DENY_ALL:
    case BV_REQ_NETWORK_ALLOW_LIST:
    case BV_REQ_NETWORK_ALLOW_ALL:
    case BV_REQ_SPAWN_DENY_NEW_TASKS:
    case BV_REQ_SPAWN_ALLOW_THREADS:
    case BV_REQ_SPAWN_ALLOW_DESCENDANTS:
    case BV_REQ_ENVIRONMENT:
    case BV_REQ_INHERITED_FDS_NONE:
    case BV_REQ_COMMIT_ARTIFACT:
    case BV_REQ_DISCARD_ARTIFACT:
    case BV_REQ_KILL:
    case BV_REQ_LIST_OUTPUTS: return;
    }
    BV_UNREACHABLE();
}
