/* test_classify.c - what an intent takes away from the machine's ceiling, and that the rest of
 * the matrix stays stated. */
#include "backend/linux/linux.h"

#include "support/machine.h"
#include "support/tap.h"

static struct bv_verdict classify(const struct bv_profile *profile, const struct bv_intent *intent,
                                  enum bv_requirement_kind kind,
                                  const struct bv_capability *capability,
                                  const struct bv_control *control)
{
    const struct bv_requirement requirement = { .kind = kind,
                                                .capability = capability,
                                                .control = control };
    struct bv_verdict verdict;
    memset(&verdict, 0xaa, sizeof(verdict)); /* every byte must be written */
    linux_classify(NULL, profile, intent, &requirement, &verdict);
    return verdict;
}

static struct bv_verdict grant(enum machine machine, enum bv_access access, bool execute,
                               bool recursive, const char *root)
{
    const char *const roots[] = { root };
    const struct bv_capability capability = {
        .kind = BV_CAP_FILESYSTEM,
        .u.filesystem = { .access = access,
                          .execute = execute,
                          .recursive = recursive,
                          .roots = roots,
                          .root_count = 1 },
    };
    const struct bv_intent intent = machine_intent();
    return classify(machine_profile(machine), &intent, BV_REQ_FILESYSTEM, &capability, NULL);
}

static void test_matrix(void)
{
    static const struct bv_control control;
    static const struct bv_capability capability = { .kind = BV_CAP_FILESYSTEM,
                                                     .u.filesystem = { .recursive = true } };
    for (int machine = 0; machine < MACHINE_COUNT; machine++) {
        const struct bv_profile *profile = machine_profile((enum machine)machine);
        const struct bv_intent intent = machine_intent();
        for (int kind = 0; kind < BV_REQUIREMENT_KIND_COUNT; kind++) {
            struct bv_control expose = control;
            expose.u.expose = (struct bv_expose){ .source = "/data", .dest = "/in" };
            const struct bv_verdict verdict =
                classify(profile, &intent, (enum bv_requirement_kind)kind,
                         kind == BV_REQ_FILESYSTEM ? &capability : NULL,
                         kind == BV_REQ_EXPOSE_PATH ? &expose : NULL);
            const bool stated = verdict.enforcement == BV_UNSUPPORTED
                                    ? verdict.why[0] && !verdict.mechanism[0]
                                    : verdict.mechanism[0] != '\0';
            tap_ok(stated && verdict.enforcement <= profile->ceiling[kind].enforcement &&
                       (verdict.evidence & ~profile->ceiling[kind].evidence) == 0,
                   "%s: %s is stated and within the ceiling", machine_names[machine],
                   bv_requirement_name((enum bv_requirement_kind)kind));
        }
    }
}

static void test_filesystem(void)
{
    struct bv_verdict verdict = grant(MACHINE_ROOT_HYBRID, BV_ACCESS_READ, false, true, "/srv");
    tap_ok(verdict.enforcement == BV_ENFORCED && strstr(verdict.note, "lock") &&
               strstr(verdict.note, "interpreters"),
           "a read grant is enforced, and what it does not cover is said: %s", verdict.note);
    tap_ok(!(verdict.evidence & BV_CLAIM_DENIED_ATTEMPTS),
           "denied file accesses are not claimed to be recorded");
    verdict = grant(MACHINE_ROOT_HYBRID, BV_ACCESS_READ_WRITE, true, true, "/srv");
    tap_ok(verdict.enforcement == BV_ENFORCED && verdict.note[0] == '\0',
           "a full grant has nothing to add");
    verdict = grant(MACHINE_ROOT_HYBRID, BV_ACCESS_READ, false, false, "/srv");
    tap_ok(verdict.enforcement == BV_UNSUPPORTED && strstr(verdict.remedy, "\"recursive\": true"),
           "recursive false is refused: %s", verdict.why);
    verdict = grant(MACHINE_ROOT_HYBRID, BV_ACCESS_WRITE, false, true, "/srv");
    tap_ok(verdict.enforcement == BV_ENFORCED, "a write-only grant holds with Landlock");
    verdict = grant(MACHINE_NO_LANDLOCK, BV_ACCESS_WRITE, false, true, "/srv");
    tap_ok(verdict.enforcement == BV_UNSUPPORTED && strstr(verdict.why, "EOPNOTSUPP"),
           "and is refused without: %s", verdict.why);
    verdict = grant(MACHINE_ROOT_HYBRID, BV_ACCESS_READ_WRITE, false, true, "/proc");
    tap_ok(verdict.enforcement == BV_UNSUPPORTED, "/proc is never writable");
    verdict = grant(MACHINE_ROOT_HYBRID, BV_ACCESS_READ_WRITE, false, true, "/dev/shm");
    tap_ok(verdict.enforcement == BV_UNSUPPORTED, "nor is /dev");
    verdict = grant(MACHINE_ROOT_HYBRID, BV_ACCESS_READ_WRITE, false, true, "/developer");
    tap_ok(verdict.enforcement == BV_ENFORCED, "a name that begins like it is another one");
}

/* Landlock unites rights down the tree and a mount cannot withhold reading. */
static void test_write_only_below(void)
{
    static const struct {
        const char *above;
        enum bv_access access;
        bool holds;
    } cases[] = {
        { "/srv", BV_ACCESS_READ, false },      { "/srv", BV_ACCESS_READ_WRITE, false },
        { "/srv", BV_ACCESS_WRITE, true },      { "/srv/in/deeper", BV_ACCESS_READ, true },
        { "/srv/inner", BV_ACCESS_READ, true }, { "/srv/in", BV_ACCESS_READ_WRITE, true },
    };
    static const char *const roots[] = { "/srv/in" };
    const struct bv_capability capability = {
        .kind = BV_CAP_FILESYSTEM,
        .u.filesystem = { BV_ACCESS_WRITE, false, true, roots, 1 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct bv_root listed[] = {
            { cases[i].above, cases[i].access, false, true },
            { "/srv/in", BV_ACCESS_WRITE, false, true },
        };
        struct bv_intent intent = machine_intent();
        intent.roots = listed;
        /* Equal roots have been united: then the one row says both. */
        intent.root_count = strcmp(cases[i].above, "/srv/in") == 0 ? 1 : 2;
        const struct bv_verdict verdict = classify(machine_profile(MACHINE_ROOT_HYBRID), &intent,
                                                   BV_REQ_FILESYSTEM, &capability, NULL);
        tap_ok((verdict.enforcement == BV_ENFORCED) == cases[i].holds,
               "write-only /srv/in beside %s: %s", cases[i].above, verdict.why);
    }
}

static void test_implied(void)
{
    const char *const roots[] = { "/bin/true" };
    const struct bv_capability capability = {
        .kind = BV_CAP_FILESYSTEM,
        .u.filesystem = { .execute = true, .roots = roots, .root_count = 1 },
    };
    const struct bv_requirement requirement = { .kind = BV_REQ_FILESYSTEM,
                                                .implied = true,
                                                .capability = &capability };
    const struct bv_intent intent = machine_intent();
    struct bv_verdict verdict;
    linux_classify(NULL, machine_profile(MACHINE_ROOT_HYBRID), &intent, &requirement, &verdict);
    tap_ok(verdict.enforcement == BV_ENFORCED,
           "the implied grant of the executable itself is not recursive and is held");
}

static void test_launch(void)
{
    struct bv_intent intent = machine_intent();
    const struct bv_profile *root = machine_profile(MACHINE_ROOT_HYBRID),
                            *user = machine_profile(MACHINE_USER_NONE);
    struct bv_verdict verdict = classify(root, &intent, BV_REQ_LAUNCH_WORKLOAD, NULL, NULL);
    tap_ok((verdict.evidence & BV_CLAIM_TERMINAL_OUTCOME) &&
               !(verdict.evidence & BV_CLAIM_CAPTURED_STREAMS),
           "streams that are not captured are not claimed");
    intent.capture.err = true;
    verdict = classify(root, &intent, BV_REQ_LAUNCH_WORKLOAD, NULL, NULL);
    tap_ok(verdict.evidence & BV_CLAIM_CAPTURED_STREAMS && verdict.note[0] == '\0',
           "streams that are captured are");
    verdict = classify(user, &intent, BV_REQ_LAUNCH_WORKLOAD, NULL, NULL);
    tap_ok(strstr(verdict.note, "3 supplementary groups") != NULL,
           "groups that cannot be dropped are told: %s", verdict.note);
    const struct bv_workload guest = { .kind = BV_WORKLOAD_WASM, .path = "/srv/guest.wasm" };
    intent.workload = &guest;
    verdict = classify(root, &intent, BV_REQ_LAUNCH_WORKLOAD, NULL, NULL);
    tap_ok(verdict.enforcement == BV_UNSUPPORTED && strcmp(verdict.remedy, "--backend wasm") == 0 &&
               verdict.evidence == 0,
           "a guest is for the other backend");
}

static void test_expose(void)
{
    const struct bv_intent intent = machine_intent();
    struct bv_control control = {
        .kind = BV_CTL_EXPOSE_PATH,
        .u.expose = { .source = "/data", .dest = "/proc/1", .access = BV_ACCESS_READ }
    };
    const struct bv_profile *root = machine_profile(MACHINE_ROOT_HYBRID);
    tap_ok(classify(root, &intent, BV_REQ_EXPOSE_PATH, NULL, &control).enforcement ==
               BV_UNSUPPORTED,
           "nothing is exposed inside /proc");
    control.u.expose.dest = "/process";
    tap_ok(classify(root, &intent, BV_REQ_EXPOSE_PATH, NULL, &control).enforcement == BV_ENFORCED,
           "elsewhere it is");
}

/* Landlock is what keeps /proc/self/fd from opening a kept file anew, with other rights. */
static void test_kept(void)
{
    static const int32_t fds[] = { 9 };
    static const struct bv_root proc[] = { { "/proc", BV_ACCESS_READ, false, true } };
    const struct bv_capability capability = { .kind = BV_CAP_INHERITED_FDS,
                                              .u.inherited_fds = { fds, 1 } };
    struct bv_intent intent = machine_intent();
    intent.fds = fds;
    intent.fd_count = 1;
    for (int granted = 0; granted < 2; granted++) {
        intent.roots = proc;
        intent.root_count = (size_t)granted;
        struct bv_verdict with = classify(machine_profile(MACHINE_ROOT_HYBRID), &intent,
                                          BV_REQ_INHERITED_FDS_ONLY, &capability, NULL),
                          without = classify(machine_profile(MACHINE_NO_LANDLOCK), &intent,
                                             BV_REQ_INHERITED_FDS_ONLY, &capability, NULL);
        tap_ok(with.enforcement == BV_ENFORCED && strstr(with.note, "O_PATH"),
               "a kept descriptor with Landlock: %s", with.note);
        tap_ok((without.enforcement == BV_ENFORCED) == !granted,
               "without, and %s: %s", granted ? "with /proc" : "without /proc", without.why);
    }
}

int main(void)
{
    test_matrix();
    test_filesystem();
    test_write_only_below();
    test_implied();
    test_launch();
    test_expose();
    test_kept();
    return tap_done();
}
