/* tests/unit/test_lower.c - intent to launch frame: what is mounted where, with which rights, and what is refused. Pure, so
 * every case is a table entry or a few lines; no file of this machine is looked at. */
#include "backend/linux/linux.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "base/check.h"
#include "support/tap.h"
#include "sys/uapi_landlock.h"

struct scene { /* one lowering and all that it reads */
    struct bv_workload workload;
    struct bv_workload_identity identity;
    struct bv_intent intent;
    struct bv_root roots[8];
    struct bv_expose exposes[4];
    struct bv_env_entry env[4];
    const char *secrets[4];
    int32_t fds[4];
    struct bv_profile profile;
    struct bv_offer offers[BV_DIMENSION_COUNT];
    struct bv_execution execution;
    struct linux_path_fact root_facts[8], expose_facts[4];
    char links[4][2][256];
    struct linux_lowering in;
    struct bv_frame frame;
    char text[512];
    struct bv_error error;
};

static struct scene scene;

static void reset(void)
{
    memset(&scene, 0, sizeof scene);
    scene.workload = (struct bv_workload){ .path = "/usr/bin/prog" };
    (void)snprintf(scene.identity.path, sizeof scene.identity.path, "/usr/bin/prog-1.0");
    scene.identity.known = true;
    scene.identity.dev = 5;
    scene.identity.ino = 55;
    scene.identity.mode = S_IFREG | 0755;
    scene.intent = (struct bv_intent){
        .workload = &scene.workload, .launch = true, .roots = scene.roots, .exposes = scene.exposes, .env = scene.env, .fds = scene.fds,
    };
    for (int i = 0; i < BV_DIMENSION_COUNT; i++) {
        scene.intent.budgets[i].limit = BV_UNLIMITED;
        scene.offers[i].guarantee = BV_GUARANTEE_ENFORCED;
    }
    scene.profile.word[LW_LANDLOCK_ABI] = 7;
    scene.profile.word[LW_CPUS] = 2;
    scene.profile.word[LW_NOTIFY] = 1;
    scene.profile.word[LW_PIDS] = LINUX_CONTROLLER_V1;
    scene.profile.word[LW_PIDS_PEAK] = 1;
    scene.profile.word[LW_CPUACCT] = LINUX_CONTROLLER_V1;
    scene.execution = (struct bv_execution){
        .attempt = "00112233445566778899aabbccddeeff", .intent = &scene.intent, .identity = &scene.identity,
        .profile = &scene.profile, .offers = scene.offers, .secret_values = scene.secrets,
    };
    scene.in = (struct linux_lowering){
        .execution = &scene.execution, .roots = scene.root_facts, .exposes = scene.expose_facts,
        .links = (const char(*)[2][256])scene.links, .nofile_hard = 4096, .nproc_hard = 1000, .canary_path = "/etc/shadow",
        .canary_socket = "name", .canary_port = 99, .supervisor_pid = 7,
    };
}

static void add_root(const char *path, enum bv_access access, bool execute, uint32_t mode)
{
    const size_t i = scene.intent.root_count++;
    scene.roots[i] = (struct bv_root){ .path = path, .access = access, .execute = execute, .recursive = true };
    scene.root_facts[i] = (struct linux_path_fact){ .dev = 8, .ino = 100 + i, .mode = mode };
}

static void add_expose(const char *source, const char *dest, enum bv_access access)
{
    const size_t i = scene.intent.expose_count++;
    scene.exposes[i] = (struct bv_expose){ source, dest, access };
    scene.expose_facts[i] = (struct linux_path_fact){ .dev = 9, .ino = 200 + i, .mode = S_IFDIR | 0755 };
}

static void add_link(const char *path, const char *target)
{
    (void)snprintf(scene.links[scene.in.link_count][0], 256, "%s", path);
    (void)snprintf(scene.links[scene.in.link_count][1], 256, "%s", target);
    scene.in.link_count++;
}

static enum bv_status lower(void)
{
    return linux_lower(&scene.in, &scene.frame, scene.text, sizeof scene.text, &scene.error);
}

static const struct bv_frame_mount *mount_at(const char *dest)
{
    for (uint32_t i = 0; i < scene.frame.mount_count; i++) {
        if (strcmp(scene.frame.mounts[i].dest, dest) == 0) {
            return &scene.frame.mounts[i];
        }
    }
    static const struct bv_frame_mount none = { .dest = "" };
    return &none;
}

static uint64_t rule_at(const char *path)
{
    uint64_t access = 0;
    for (uint32_t i = 0; i < scene.frame.rule_count; i++) {
        access |= strcmp(scene.frame.rules[i].path, path) == 0 ? scene.frame.rules[i].access : 0;
    }
    return access;
}

#define NO_LIMIT (UINT64_MAX - 1) /* no such limit in the frame */

static uint64_t limit_of(uint32_t resource)
{
    for (uint32_t i = 0; i < scene.frame.rlimit_count; i++) {
        if (scene.frame.rlimits[i].resource == resource) {
            return scene.frame.rlimits[i].hard;
        }
    }
    return NO_LIMIT;
}

static void test_nothing_granted(void)
{
    reset();
    tap_ok(lower() == BV_OK, "a spec that grants nothing lowers");
    const struct bv_frame *frame = &scene.frame;
    tap_ok(frame->mount_count == 1 && frame->rule_count == 1, "one mount, one rule: the workload's own file");
    const struct bv_frame_mount *exe = mount_at("/usr/bin/prog-1.0");
    tap_ok(exe->kind == BV_MOUNT_BIND && exe->flags == (BV_MOUNT_RDONLY | BV_MOUNT_IS_FILE) && exe->dev == 5 && exe->ino == 55,
           "it is bound read-only and executable, by identity");
    tap_ok(rule_at("/usr/bin/prog-1.0") == linux_landlock_access(7, BV_ACCESS_READ, true, false), "with Landlock's read and execute");
    tap_text(frame->exec_path, "/usr/bin/prog-1.0", "executed at the path after its links");
    tap_ok(frame->arg_count == 1, "one argument");
    tap_text(frame->args[0], "/usr/bin/prog", "argv[0] is the path as given");
    tap_text(frame->cwd, "/", "the working directory is /");
    tap_ok(frame->env_count == 0 && frame->keep_count == 0, "no environment, no descriptor");
    tap_ok((frame->flags & BV_FRAME_NEW_NET) != 0 && (frame->flags & BV_FRAME_LANDLOCK) != 0 && frame->bpf_count > 0,
           "a network namespace, Landlock and a filter");
    tap_ok((frame->flags & BV_FRAME_LISTENER) != 0, "with a listener");
    tap_ok(limit_of(RLIMIT_CORE) == 1, "no core is dumped, and none piped");
    tap_ok(limit_of(RLIMIT_SIGPENDING) == 1024, "pending signals are bounded");
    tap_ok(limit_of(RLIMIT_NOFILE) == NO_LIMIT, "descriptors are unlimited");
    tap_ok(frame->wall_micros == UINT64_MAX && frame->process_limit == UINT64_MAX && frame->handle_limit == UINT64_MAX,
           "unlimited is no limit");
    tap_ok((frame->flags & (BV_FRAME_SAMPLE_CPU | BV_FRAME_SAMPLE_TASKS | BV_FRAME_SAMPLE_STORAGE)) == 0,
           "nothing is sampled that the kernel counts");
    tap_ok(frame->canaries != 0 && frame->canary_port == 99 && frame->supervisor_pid == 7, "canaries are set");
    tap_ok(frame->stdin_fd == -1 && frame->cpu_fd == -1 && frame->task_fds[0] == -1, "descriptor numbers are left open");
}

static void test_mounts(void)
{
    reset();
    add_root("/dev", BV_ACCESS_READ, false, S_IFDIR);
    add_root("/etc/passwd", BV_ACCESS_READ, false, S_IFREG);
    add_root("/proc", BV_ACCESS_READ, false, S_IFDIR);
    add_root("/srv/job", BV_ACCESS_READ_WRITE, false, S_IFDIR);
    add_root("/srv/job/.git", BV_ACCESS_READ, false, S_IFDIR);
    add_root("/tmp/in", BV_ACCESS_READ, false, S_IFDIR);
    add_root("/usr", BV_ACCESS_READ, true, S_IFDIR);
    add_expose("/data", "/in", BV_ACCESS_READ_WRITE);
    add_link("/bin", "usr/bin");
    add_link("/tmp", "usr/tmp");
    scene.intent.temp_root = true;
    scene.intent.temp_bytes = 16u << 20;
    scene.workload.cwd = "/home/me";
    tap_ok(lower() == BV_OK, "many grants lower: %s", scene.error.text);
    bool sorted = true;
    for (uint32_t i = 1; i + 1 < scene.frame.mount_count; i++) {
        sorted = sorted && strcmp(scene.frame.mounts[i - 1].dest, scene.frame.mounts[i].dest) < 0;
    }
    tap_ok(sorted && scene.frame.mount_count == 12, "parents come before children (%u)", scene.frame.mount_count);
    tap_text(scene.frame.mounts[scene.frame.mount_count - 1].dest, "/usr/bin/prog-1.0", "the workload's own file comes last");
    tap_ok(mount_at("/srv/job")->flags == BV_MOUNT_NOEXEC, "read and write without execute is noexec");
    tap_ok(mount_at("/srv/job/.git")->flags == (BV_MOUNT_NOEXEC | BV_MOUNT_RDONLY | BV_MOUNT_PIN),
           "a narrower root inside it is read-only, and stays where it is");
    tap_ok(mount_at("/usr")->flags == BV_MOUNT_RDONLY, "execute is not noexec");
    tap_ok(mount_at("/etc/passwd")->flags == (BV_MOUNT_RDONLY | BV_MOUNT_NOEXEC | BV_MOUNT_IS_FILE), "a file");
    tap_ok(mount_at("/in")->ino == 200 && strcmp(mount_at("/in")->source, "/data") == 0 && (mount_at("/in")->flags & BV_MOUNT_RDONLY) == 0,
           "an exposed path");
    tap_ok(mount_at("/proc")->kind == BV_MOUNT_PROC && mount_at("/dev")->kind == BV_MOUNT_DEV, "/proc and /dev are the boundary's own");
    tap_ok(mount_at("/dev")->flags == BV_MOUNT_SHM, "/dev/shm comes with a temp root");
    const struct bv_frame_mount *temp = mount_at("/tmp");
    tap_ok(temp->kind == BV_MOUNT_TMPFS && temp->mode == 01777 && temp->size_bytes == 16u << 20 && temp->inodes == 8192 &&
               temp->flags == BV_MOUNT_NOEXEC, "the temp root has a size, inodes, and is noexec");
    tap_ok(mount_at("/bin")->kind == BV_MOUNT_SYMLINK && strcmp(mount_at("/bin")->source, "usr/bin") == 0, "a top-level link");
    tap_ok(mount_at("/home/me")->kind == BV_MOUNT_DIR, "a missing working directory is made");
    tap_ok(rule_at("/srv/job") == linux_landlock_access(7, BV_ACCESS_READ_WRITE, false, true), "rules follow the mounts");
    tap_ok(rule_at("/home/me") == 0 && rule_at("/bin") == 0, "and nothing else has one");
    tap_ok(rule_at("/") == LANDLOCK_ACCESS_FS_READ_DIR, "but the fresh root, which may be listed");
    const size_t size = bv_frame_size(&scene.frame);
    scene.frame.stdin_fd = scene.frame.stdout_fd = scene.frame.stderr_fd = 3;
    tap_ok(size > 0 && size == bv_frame_size(&scene.frame), "the frame encodes");
}

/* Only directories that the workload may rename need to be held: those of a writable root above. */
static void test_pins(void)
{
    reset();
    add_root("/srv", BV_ACCESS_READ, false, S_IFDIR);
    add_root("/srv/a/out", BV_ACCESS_READ_WRITE, false, S_IFDIR);
    add_root("/srv/a/out/b/kept", BV_ACCESS_READ, false, S_IFDIR);
    add_root("/srv/a/out/b/kept/c/deep", BV_ACCESS_READ, true, S_IFDIR);
    add_root("/srv/a/outer", BV_ACCESS_READ, false, S_IFDIR);
    add_root("/usr", BV_ACCESS_READ_WRITE, false, S_IFDIR);
    tap_ok(lower() == BV_OK, "roots in roots lower: %s", scene.error.text);
    tap_ok((mount_at("/srv/a/out/b/kept")->flags & BV_MOUNT_PIN) != 0, "below a writable root: pinned");
    tap_ok((mount_at("/srv/a/out")->flags & BV_MOUNT_PIN) == 0 && (mount_at("/srv/a/outer")->flags & BV_MOUNT_PIN) == 0 &&
               (mount_at("/srv/a/out/b/kept/c/deep")->flags & BV_MOUNT_PIN) == 0 && (mount_at("/usr")->flags & BV_MOUNT_PIN) == 0,
           "below a read-only one, or at the top: not");
    tap_ok((mount_at("/usr/bin/prog-1.0")->flags & BV_MOUNT_PIN) == 0, "nor for the workload's own file, which narrows nothing");
    reset();
    add_root("/usr", BV_ACCESS_READ_WRITE, false, S_IFDIR);
    add_root("/usr/bin/prog-1.0", BV_ACCESS_READ, false, S_IFREG);
    tap_ok(lower() == BV_OK && (mount_at("/usr/bin/prog-1.0")->flags & BV_MOUNT_PIN) != 0, "unless a root says so");
}

/* A rule on "/" reaches what is below it: beside a grant that may not be listed there is none. */
static void test_listing(void)
{
    reset();
    add_root("/srv/drop", BV_ACCESS_WRITE, false, S_IFDIR);
    add_root("/usr", BV_ACCESS_READ, true, S_IFDIR);
    tap_ok(lower() == BV_OK && rule_at("/") == 0 && (rule_at("/srv/drop") & LANDLOCK_ACCESS_FS_READ_DIR) == 0,
           "a write-only root is never listed, and then / is not either");
}

static void test_workload_file(void)
{
    reset();
    add_root("/usr/bin/prog-1.0", BV_ACCESS_READ_WRITE, false, S_IFREG);
    tap_ok(lower() == BV_OK && scene.frame.mount_count == 1 && (mount_at("/usr/bin/prog-1.0")->flags & BV_MOUNT_RDONLY) != 0,
           "a root that is the workload's own file: still read-only");
    reset();
    scene.identity.is_script = true;
    tap_ok(lower() == BV_OK && (scene.frame.flags & BV_FRAME_SCRIPT) != 0, "a script is marked");
    reset();
    static const struct linux_path_fact interpreter = { .dev = 3, .ino = 33, .mode = S_IFREG | 0755 };
    (void)snprintf(scene.identity.interpreter, sizeof scene.identity.interpreter, "/lib64/ld.so");
    (void)snprintf(scene.identity.interpreter_path, sizeof scene.identity.interpreter_path, "/usr/lib/x/ld.so");
    scene.in.interpreter = &interpreter;
    add_root("/usr/lib/x", BV_ACCESS_READ, true, S_IFDIR);
    tap_ok(lower() == BV_OK && mount_at("/lib64/ld.so")->ino == 33 &&
               mount_at("/lib64/ld.so")->flags == (BV_MOUNT_RDONLY | BV_MOUNT_IS_FILE) && rule_at("/lib64/ld.so") != 0,
           "an interpreter whose written path is nothing inside is bound there too");
    memset(&scene.frame, 0, sizeof scene.frame);
    add_link("/lib64", "usr/lib/x");
    tap_ok(lower() == BV_OK && mount_at("/lib64/ld.so")->ino == 0, "but not where a link leads to it");
    reset();
    (void)snprintf(scene.identity.interpreter, sizeof scene.identity.interpreter, "/bin/sh");
    (void)snprintf(scene.identity.interpreter_path, sizeof scene.identity.interpreter_path, "/usr/bin/dash");
    scene.in.interpreter = &interpreter;
    add_root("/usr/bin/dash", BV_ACCESS_READ, true, S_IFREG);
    add_link("/bin", "usr/bin");
    tap_ok(lower() == BV_OK && mount_at("/usr/bin/sh")->ino == 33, "behind a link that leads to nothing, it is bound at the link's end");
    reset();
    scene.workload.cwd = "/usr/bin";
    tap_ok(lower() == BV_OK && scene.frame.mount_count == 1, "a directory above the file exists anyway");
}

static void test_refusals(void)
{
    static const struct { const char *root, *source, *dest, *exe; bool temp; } cases[] = {
        { .root = "/proc/sys" },  { .root = "/dev/sda" }, { .source = "/a", .dest = "/proc" }, { .source = "/a", .dest = "/dev/x" },
        { .source = "/a", .dest = "/" }, { .root = "/tmp", .temp = true }, { .root = "/in", .source = "/a", .dest = "/in" },
        { .source = "/a", .dest = "/usr/bin/prog-1.0" }, { .exe = "/proc/1/exe" }, { .source = "/a", .dest = "/usr/bin/prog-1.0/x" },
    };
    for (size_t i = 0; i < BV_COUNT(cases); i++) {
        reset();
        if (cases[i].root != NULL) {
            add_root(cases[i].root, BV_ACCESS_READ, false, S_IFDIR);
        }
        if (cases[i].source != NULL) {
            add_expose(cases[i].source, cases[i].dest, BV_ACCESS_READ);
        }
        if (cases[i].exe != NULL) {
            (void)snprintf(scene.identity.path, sizeof scene.identity.path, "%s", cases[i].exe);
        }
        scene.intent.temp_root = cases[i].temp;
        scene.intent.temp_bytes = 4096;
        tap_ok(lower() == BV_E_INVALID && scene.error.text[0] != '\0', "refused: %s: %s", scene.error.place, scene.error.text);
    }
}

static void test_environment(void)
{
    reset();
    scene.env[0] = (struct bv_env_entry){ .name = "A", .literal = "" };
    scene.env[1] = (struct bv_env_entry){ .name = "B", .literal = "x=y" };
    scene.env[2] = (struct bv_env_entry){ .name = "C", .secret = "ref" };
    scene.secrets[2] = "hidden";
    scene.intent.env_count = 3;
    tap_ok(lower() == BV_OK && scene.frame.env_count == 3, "three entries");
    tap_text(scene.frame.env[0], "A=", "an empty value");
    tap_text(scene.frame.env[1], "B=x=y", "a literal");
    tap_text(scene.frame.env[2], "C=hidden", "a secret");
    tap_ok(scene.frame.env[2] >= scene.text && scene.frame.env[2] < scene.text + sizeof scene.text, "in the caller's storage only");
    reset();
    char large[600];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    scene.env[0] = (struct bv_env_entry){ .name = "A", .literal = large };
    scene.intent.env_count = 1;
    tap_ok(lower() == BV_E_LIMIT, "one that does not fit is an error");
}

static void test_budgets(void)
{
    reset();
    scene.in.uid = 1000;
    scene.profile.word[LW_LANDLOCK_ABI] = 0;
    scene.profile.word[LW_NOTIFY] = 0;
    scene.profile.word[LW_PIDS] = LINUX_CONTROLLER_NONE;
    scene.profile.word[LW_PIDS_PEAK] = 0;
    scene.profile.word[LW_CPUACCT] = LINUX_CONTROLLER_NONE;
    scene.profile.word[LW_NPROC_USERNS] = 1;
    scene.intent.spawn = BV_SPAWN_ALLOW_DESCENDANTS;
    scene.intent.network = BV_NETWORK_ALLOW_ALL;
    scene.intent.budgets[BV_PROCESS_COUNT].limit = 10;
    scene.intent.budgets[BV_HANDLE_COUNT].limit = 50000;
    scene.offers[BV_PROCESS_COUNT].guarantee = BV_GUARANTEE_MEDIATED;
    scene.offers[BV_HANDLE_COUNT].guarantee = BV_GUARANTEE_MEDIATED;
    scene.intent.budgets[BV_WALL_MICROS].limit = 123;
    tap_ok(lower() == BV_OK, "an ordinary user without controllers and Landlock");
    const struct bv_frame *frame = &scene.frame;
    tap_ok((frame->flags & (BV_FRAME_LANDLOCK | BV_FRAME_NEW_NET | BV_FRAME_FULL_ID_MAP)) == 0 && frame->rule_count == 0,
           "no Landlock, the host's network, one id");
    tap_ok((frame->flags & BV_FRAME_LISTENER) == 0 && frame->bpf_count > 0, "a filter without a listener where that is taken");
    tap_ok((frame->flags & BV_FRAME_SAMPLE_CPU) != 0 && (frame->flags & BV_FRAME_SAMPLE_TASKS) != 0, "init samples what has no counter");
    tap_ok(frame->process_limit == 10 && frame->handle_limit == 50000 && frame->wall_micros == 123, "and holds the limits");
    tap_ok(limit_of(RLIMIT_NPROC) == 11, "RLIMIT_NPROC leaves room for init");
    tap_ok(limit_of(RLIMIT_NOFILE) <= 4096, "no hard limit is raised");
    reset();
    scene.intent.temp_root = true;
    scene.intent.temp_bytes = 1u << 20;
    scene.intent.budgets[BV_STORAGE_BYTES].limit = 4096;
    tap_ok(lower() == BV_OK && mount_at("/tmp")->size_bytes == 4096 && mount_at("/tmp")->inodes == 1024,
           "the temp root is no larger than the storage limit");
}

int main(void)
{
    test_nothing_granted();
    test_mounts();
    test_pins();
    test_listing();
    test_workload_file();
    test_refusals();
    test_environment();
    test_budgets();
    return tap_done();
}
