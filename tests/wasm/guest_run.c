/* tests/wasm/guest_run.c - runs one module under the engine and WASI, as plainly as a driver can be.
 *
 *     guest_run [--stage DIR] [--root HOST=NAME[:ro|:wo]]... [--tmp HOST] [--cwd PATH] [--env N=V]... [--handles N] [--storage N] [--memory N]
 *               [--fuel N] [--slice N] [--frozen] [--seed N] [--usage] [--count-each] MODULE [ARG...]
 *
 * stdin, stdout and stderr are the guest's. Ends with the guest's code, 134 after a trap (its text on stderr), 126 when the
 * module cannot be run. --usage prints what was used and denied on stderr afterwards. --count-each runs the code
 * that counts every instruction, the oracle of the other's fuel. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "wasi/wasi.h"
#include "wasm/wasm.h"

#define ROOTS_MAX 16
#define ENV_MAX   64

static struct bv_wasi_root roots[ROOTS_MAX];
static const char *env[ENV_MAX];
static struct bv_wasm_budget budget = { .limit_bytes = UINT64_MAX };
static struct bv_wasi_stage stages[ROOTS_MAX]; /* of roots that come after --stage: DIR/upper and DIR/work */
static struct bv_wasi_options options = { .stdin_fd = 0,
                                          .roots = roots,
                                          .stages = stages,
                                          .env = env,
                                          .handles_max = UINT64_MAX,
                                          .storage_max_bytes = UINT64_MAX,
                                          .budget = &budget };
static uint64_t fuel_limit = UINT64_MAX, slice = 1000000;
static bool usage_wanted, count_each;
static const char *stage_dir;
static unsigned waits;

static _Noreturn void give_up(const char *what, const char *why)
{
    (void)fprintf(stderr, "guest_run: %s: %s\n", what, why);
    exit(126);
}

static int64_t sink_write(void *context, int stream, const void *bytes, size_t size,
                          int *ret_wait_fd)
{
    (void)context;
    *ret_wait_fd = stream;
    const ssize_t n = write(stream, bytes, size);
    return n < 0 ? -errno : n;
}

static bool sink_ready(void *context, int stream, int *ret_wait_fd)
{
    (void)context;
    *ret_wait_fd = stream;
    return true;
}

static void denied(void *context, enum bv_wasi_denial kind, const char *text)
{
    (void)context;
    if (usage_wanted) {
        (void)fprintf(stderr, "denied %d: %s\n", (int)kind, text);
    }
}

static void add_root(char *spec, enum bv_wasi_root_kind kind)
{
    char *name = strchr(spec, '=');
    struct bv_wasi_root *root = &roots[options.root_count++];
    root->access = BV_WASI_READ_WRITE;
    root->limit_bytes = UINT64_MAX;
    root->kind = kind;
    root->name = "/tmp";
    if (name) {
        *name++ = '\0';
        char *access = strrchr(name, ':');
        if (access) {
            root->access = strcmp(access, ":ro") == 0 ? BV_WASI_READ : BV_WASI_WRITE;
            *access = '\0';
        }
        root->name = name;
    }
    root->fd = open(spec, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct bv_wasi_stage *stage = &stages[options.root_count - 1];
    *stage = (struct bv_wasi_stage){ -1, -1 };
    if (stage_dir) {
        const int dir = open(stage_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        stage->upper_fd = openat(dir, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC);
        stage->work_fd = openat(dir, "work", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (stage->upper_fd < 0 || stage->work_fd < 0) {
            give_up(stage_dir, strerror(errno));
        }
        (void)close(dir);
        stage_dir = NULL;
    }
    if (root->fd < 0 || options.root_count == ROOTS_MAX) {
        give_up(spec, strerror(errno));
    }
}

static char **read_options(char **argument)
{
    for (; *argument && strncmp(*argument, "--", 2) == 0; argument++) {
        const char *name = *argument + 2;
        if (strcmp(name, "usage") == 0) {
            usage_wanted = true;
            continue;
        }
        if (strcmp(name, "count-each") == 0) {
            count_each = true;
            continue;
        }
        if (strcmp(name, "frozen") == 0) {
            options.frozen = true;
            continue;
        }
        char *value = *++argument;
        if (!value) {
            give_up(name, "needs a value");
        }
        if (strcmp(name, "root") == 0) {
            add_root(value, BV_WASI_ROOT_DECLARED);
        } else if (strcmp(name, "stage") == 0) {
            stage_dir = value;
        } else if (strcmp(name, "tmp") == 0) {
            add_root(value, BV_WASI_ROOT_TEMP);
        } else if (strcmp(name, "cwd") == 0) {
            options.dot_path = value;
        } else if (strcmp(name, "env") == 0 && options.env_count < ENV_MAX) {
            env[options.env_count++] = value;
        } else if (strcmp(name, "handles") == 0) {
            options.handles_max = strtoull(value, NULL, 10);
        } else if (strcmp(name, "storage") == 0) {
            options.storage_max_bytes = strtoull(value, NULL, 10);
        } else if (strcmp(name, "memory") == 0) {
            budget.limit_bytes = strtoull(value, NULL, 10);
        } else if (strcmp(name, "fuel") == 0) {
            fuel_limit = strtoull(value, NULL, 10);
        } else if (strcmp(name, "slice") == 0) {
            slice = strtoull(value, NULL, 10);
        } else if (strcmp(name, "seed") == 0) {
            options.seeded = true;
            options.seed = strtoull(value, NULL, 10);
        } else {
            give_up(name, "no such option");
        }
    }
    return argument;
}

static struct bv_wasm_module *load(const char *path)
{
    const struct bv_wasm_options compile = { .canonical_nans = true, .count_each = count_each };
    struct bv_wasm_module *module = NULL;
    struct bv_wasm_error error;
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        give_up(path, strerror(errno));
    }
    uint8_t *bytes = malloc((size_t)st.st_size + 1);
    if (!bytes || read(fd, bytes, (size_t)st.st_size) != st.st_size) {
        give_up(path, "cannot be read");
    }
    (void)close(fd);
    if (bv_wasm_compile(bytes, (size_t)st.st_size, &compile, UINT64_MAX, &module, &error) !=
        BV_WASM_OK) {
        give_up(path, error.text);
    }
    free(bytes);
    return module;
}

static struct bv_wasm_instance *link_up(struct bv_wasi *wasi, struct bv_wasm_store *store,
                                        struct bv_wasm_module *module)
{
    const uint32_t count = bv_wasm_import_count(module);
    struct bv_wasm_extern **imports = calloc(count + 1, sizeof(struct bv_wasm_extern *));
    struct bv_wasm_instance *instance = NULL;
    struct bv_wasm_extern *start = NULL;
    struct bv_wasm_error error;
    for (uint32_t i = 0; imports && i < count; i++) {
        struct bv_wasm_import import;
        const char *why = NULL;
        char name[128];
        bv_wasm_import_at(module, i, &import);
        imports[i] = bv_wasi_link(wasi, store, &import, &why);
        if (!imports[i]) {
            (void)snprintf(name, sizeof(name), "import %.*s.%.*s", (int)import.module.size,
                           import.module.bytes, (int)import.name.size, import.name.bytes);
            give_up(name, why);
        }
    }
    if (!imports ||
        bv_wasm_instantiate(store, module, imports, &instance, &start, &error) != BV_WASM_OK ||
        start) {
        give_up("instantiate", imports && !start ? error.text : "a start function");
    }
    free(imports);
    return instance;
}

static void wait_as_told(const struct bv_wasi *wasi)
{
    struct bv_wasi_wait wait;
    struct timespec now;
    bv_wasi_wait(wasi, &wait);
    if (wait.deadline_ns == 0) {
        return;
    }
    waits++;
    struct pollfd *fds = calloc(wait.count + 1, sizeof(*fds));
    for (size_t i = 0; fds && i < wait.count; i++) {
        fds[i] = (struct pollfd){ .fd = wait.items[i].fd, .events = wait.items[i].events };
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    const uint64_t left = wait.deadline_ns > ns ? wait.deadline_ns - ns : 0;
    struct timespec timeout = { (time_t)(left / 1000000000u), (long)(left % 1000000000u) };
    (void)ppoll(fds, fds ? wait.count : 0, wait.deadline_ns == UINT64_MAX ? NULL : &timeout, NULL);
    free(fds);
}

static int drive(struct bv_wasi *wasi, struct bv_wasm_store *store)
{
    struct bv_wasi_ending ending;
    for (;;) {
        switch (bv_wasm_resume(store, slice)) {
        case BV_WASM_STEP_DONE: return 0;
        case BV_WASM_STEP_SLICE: break;
        case BV_WASM_STEP_WAIT: wait_as_told(wasi); break;
        case BV_WASM_STEP_TRAPPED:
            if (bv_wasi_ended(wasi, &ending)) {
                return ending.signalled ? 128 + (int)ending.code : (int)ending.code;
            }
            (void)fprintf(stderr, "trap: %s\n", bv_wasm_trap_text(bv_wasm_trapped(store)));
            return 134;
        }
    }
}

int main(int count, char **arguments)
{
    struct bv_wasi *wasi = NULL;
    const char *why = NULL;
    (void)count;
    options.sink = (struct bv_wasi_sink){ NULL, sink_write, sink_ready };
    options.denied = denied;
    char **rest = read_options(arguments + 1);
    if (!*rest) {
        give_up("usage", "guest_run [OPTIONS] MODULE [ARG...]");
    }
    options.args = (const char *const *)rest;
    for (char **argument = rest; *argument; argument++) {
        options.arg_count++;
    }
    struct bv_wasm_module *module = load(rest[0]);
    struct bv_wasm_store *store = bv_wasm_store_new(&budget, NULL);
    if (!store || bv_wasi_new(&options, &wasi, &why) != 0) {
        give_up("start", why ? why : "out of memory");
    }
    struct bv_wasm_instance *instance = link_up(wasi, store, module);
    struct bv_wasm_extern *start = bv_wasm_instance_export(instance, "_start", 6, NULL);
    bv_wasm_fuel_limit(store, fuel_limit);
    if (!start || !bv_wasm_call(store, start, NULL, 0)) {
        give_up(rest[0], "no _start");
    }
    const int code = drive(wasi, store);
    if (usage_wanted) {
        struct bv_wasi_usage usage;
        bv_wasi_usage(wasi, &usage);
        (void)fprintf(
            stderr, "fuel %llu handles %llu/%llu storage %llu/%llu denials %llu waits %u\n",
            (unsigned long long)bv_wasm_fuel_used(store), (unsigned long long)usage.handles_peak,
            (unsigned long long)usage.handles_refused, (unsigned long long)usage.storage_bytes,
            (unsigned long long)usage.storage_peak_bytes, (unsigned long long)usage.denials, waits);
    }
    bv_wasm_store_free(store);
    bv_wasi_free(wasi);
    bv_wasm_module_free(module);
    return code;
}
