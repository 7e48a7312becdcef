/* backend/linux/classify.c - what one requirement gets under one intent on one machine.
 *
 * Pure. It starts from the machine's ceiling for the row (profile.c) and only ever takes away
 * from it: what this very intent asks and the mechanism cannot hold is refused here, what it
 * cannot cover is said in the note. LINUX.md 4. */
#include "backend/linux/linux.h"

#include "backend/linux/fact_keys.h"
#include "base/check.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void refuse(struct bv_verdict *verdict, const char *why, const char *remedy)
{
    verdict->enforcement = BV_UNSUPPORTED;
    verdict->evidence = 0;
    verdict->mechanism[0] = '\0';
    verdict->note[0] = '\0';
    bv_copy_text(verdict->why, sizeof(verdict->why), why);
    bv_copy_text(verdict->remedy, sizeof(verdict->remedy), remedy);
}

static void add_note(struct bv_verdict *verdict, const char *text)
{
    size_t used = strlen(verdict->note);
    snprintf(verdict->note + used, sizeof(verdict->note) - used, "%s%s", used ? "; " : "", text);
}

static bool is_below(const char *path, const char *top)
{
    size_t size = strlen(top);
    return strncmp(path, top, size) == 0 && (path[size] == '\0' || path[size] == '/');
}

/* Reading can be withheld by Landlock only, whose rules unite down the tree: what a root above may
 * read, everything below it may. NULL: no root above `path` may be read. */
static const char *readable_above(const struct bv_intent *intent, const char *path)
{
    for (size_t i = 0; i < intent->root_count; i++) {
        const struct bv_root *root = &intent->roots[i];
        if (root->access != BV_ACCESS_WRITE && strcmp(root->path, path) != 0 &&
            is_below(path, root->path)) {
            return root->path;
        }
    }
    return NULL;
}

static void refuse_readable(const struct bv_intent *intent, const struct bv_filesystem *grant,
                            struct bv_verdict *verdict)
{
    for (size_t i = 0; i < grant->root_count; i++) {
        const char *above = readable_above(intent, grant->roots[i]);
        if (above) {
            char why[240];
            snprintf(why, sizeof(why),
                     "a write-only root below a readable one: Landlock can only add rights, and "
                     "everything below %.100s may be read",
                     above);
            refuse(verdict, why,
                   "grant read_write there, or a readable root that does not hold it");
            return;
        }
    }
}

static void classify_filesystem(const struct bv_profile *profile, const struct bv_intent *intent,
                                const struct bv_requirement *requirement,
                                struct bv_verdict *verdict)
{
    if (!requirement->capability || requirement->implied) {
        return;
    }
    const struct bv_filesystem *grant = &requirement->capability->u.filesystem;
    const bool writes = grant->access != BV_ACCESS_READ;
    if (!grant->recursive && grant->root_count > 0) {
        /* Mounts and Landlock rules reach the whole tree below a directory. */
        refuse(verdict,
               "a grant without what lies below it cannot be held by mounts or by Landlock",
               "\"recursive\": true (for a file it means the file itself)");
        return;
    }
    if (grant->access == BV_ACCESS_WRITE && profile->word[LW_LANDLOCK_ABI] == 0) {
        char why[200];
        snprintf(why, sizeof(why), "write-only grants need Landlock, and landlock_abi is %s",
                 bv_snapshot_get(profile->facts, FACT_LANDLOCK_ABI)
                     ? bv_snapshot_get(profile->facts, FACT_LANDLOCK_ABI)
                     : "not probed");
        refuse(verdict, why,
               "grant read_write, or a kernel with CONFIG_SECURITY_LANDLOCK and landlock in lsm=");
        return;
    }
    if (grant->access == BV_ACCESS_WRITE) {
        refuse_readable(intent, grant, verdict);
    }
    for (size_t i = 0; writes && i < grant->root_count; i++) {
        if (is_below(grant->roots[i], "/proc") || is_below(grant->roots[i], "/dev")) {
            refuse(verdict,
                   "/proc and /dev are the boundary's own and read-only (the devices in it can be "
                   "written)",
                   "grant read there; --tmp gives a writable /dev/shm");
            return;
        }
    }
    if (grant->access == BV_ACCESS_READ && grant->root_count > 0) {
        add_note(verdict, "a lock on a file of a read-only root is not prevented");
    }
    if (!grant->execute && grant->root_count > 0) {
        add_note(verdict, "execute false stops execve and executable mappings of its files, not "
                          "interpreters that read "
                          "them or anonymous code");
    }
}

static void classify_launch(const struct bv_profile *profile, const struct bv_intent *intent,
                            struct bv_verdict *verdict)
{
    if (intent->workload->kind == BV_WORKLOAD_WASM) {
        refuse(verdict, "the linux backend runs native programs, and this is a WebAssembly module",
               "--backend wasm");
        return;
    }
    if (!intent->capture.out && !intent->capture.err) {
        verdict->evidence &= ~(uint32_t)BV_CLAIM_CAPTURED_STREAMS;
    }
    const char *groups = bv_snapshot_get(profile->facts, FACT_GROUPS);
    if (profile->word[LW_UID] != 0 && groups && strtoull(groups, NULL, 10) > 0) {
        char note[200];
        snprintf(note, sizeof(note),
                 "the caller's %s supplementary groups stay in force on granted trees: an "
                 "unprivileged user namespace "
                 "cannot drop them",
                 groups);
        add_note(verdict, note);
    }
}

static void classify_capture(const struct bv_intent *intent, struct bv_verdict *verdict)
{
    if (!intent->capture.out && !intent->capture.err) {
        verdict->evidence &= ~(uint32_t)BV_CLAIM_CAPTURED_STREAMS;
    }
}

static bool has_root(const struct bv_intent *intent, const char *path)
{
    for (size_t i = 0; i < intent->root_count; i++) {
        if (strcmp(intent->roots[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

static void classify_expose(const struct bv_requirement *requirement, struct bv_verdict *verdict)
{
    if (!requirement->control) {
        return;
    }
    const char *dest = requirement->control->u.expose.dest;
    if (is_below(dest, "/proc") || is_below(dest, "/dev")) {
        refuse(verdict, "/proc and /dev are the boundary's own: nothing is mounted inside them",
               "another destination");
    }
}

void linux_classify(void *context, const struct bv_profile *profile, const struct bv_intent *intent,
                    const struct bv_requirement *requirement, struct bv_verdict *ret_verdict)
{
    (void)context;
    BV_ASSERT((unsigned)requirement->kind < BV_REQUIREMENT_KIND_COUNT);
    *ret_verdict = profile->ceiling[requirement->kind];
    if (ret_verdict->enforcement == BV_UNSUPPORTED) {
        return;
    }
    switch (requirement->kind) {
    case BV_REQ_FILESYSTEM: classify_filesystem(profile, intent, requirement, ret_verdict); return;
    case BV_REQ_LAUNCH_WORKLOAD: classify_launch(profile, intent, ret_verdict); return;
    case BV_REQ_CAPTURE_STREAMS: classify_capture(intent, ret_verdict); return;
    case BV_REQ_EXPOSE_PATH: classify_expose(requirement, ret_verdict); return;
    case BV_REQ_TEMP_ROOT:
        add_note(ret_verdict,
                 "bytes in the temp root are memory: they count against resident_bytes too");
        return;
    case BV_REQ_NETWORK_ALLOW_ALL:
        add_note(ret_verdict, "the host's network namespace, loopback included; unix sockets of "
                              "the host stay closed");
        return;
    case BV_REQ_INHERITED_FDS_ONLY:
        if (profile->word[LW_LANDLOCK_ABI] == 0 && has_root(intent, "/proc")) {
            refuse(ret_verdict,
                   "without Landlock a file that is kept for reading can be opened again for "
                   "writing through /proc/self/fd",
                   "leave /proc out of the roots (--system grants it), or a kernel with Landlock");
            return;
        }
        add_note(
            ret_verdict,
            "a kept descriptor that is a directory, O_PATH, an AF_UNIX datagram socket, an "
            "io_uring "
            "or, where the network is denied, a network socket is refused when the run starts");
        return;
    case BV_REQ_NETWORK_DENY_ALL:
        if (linux_unix_sockets(profile->word[LW_LANDLOCK_ABI], intent)) {
            add_note(ret_verdict, "unix sockets work among the workload's own processes, bound "
                                  "by abstract name or in the temp root");
        }
        return;
    case BV_REQ_NETWORK_ALLOW_LIST:
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
