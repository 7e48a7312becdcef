/* bench/bench.c - measures; prints one line a figure: LABEL MEDIAN_MICROS WORST_TENTH_MICROS.
 *
 * usage: bench launch ROUNDS LABEL CMD... -- LABEL CMD...    interleaved rounds of posix_spawn and wait, one of each command a round;
 *                                                            CMD `@SPEC.json` is a run through the library from this resident process,
 *                                                            with its planning; of one plan again with the word `again` behind it;
 *                                                            with `ready`, in a host that prepared for it in its idle time;
 *                                                            with `host` or `fat`, from a process of its own: as small as can be,
 *                                                            or of 1 GiB resident and 16 threads
 *        bench twice ROUNDS SPEC.json                        a run through a library that has run nothing, and the same run again
 *        bench contract ROUNDS SPEC.json                     parse, probe, plan on what was probed, seal, verify; with one round
 *                                                            the first call of each in a process
 * Interleaving is the point: a machine that gets slower does so for every command. Never a test: nothing here passes or fails. */
#include <bvisor/bvisor.h>

#include "contract/contract.h"
#include "run/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 16
#define ROUNDS_MAX 10000
/* Network namespaces are taken apart by the kernel after their last process is reaped (cleanup_net), which keeps a processor busy for some
 * milliseconds: without a pause every command would pay for the one before it. */
#define SETTLE_MICROS 10000

#define FAT_BYTES ((size_t)1 << 30)
#define FAT_THREADS 16

extern char **environ;

struct command {
    const char *label;
    char **words; /* NULL-terminated */
    double *micros;
};

/* A process of its own that runs a spec through the library each time it gets a byte, and answers with the microseconds. */
struct host {
    int ask_fd, answer_fd; /* 0: there is none */
    pid_t pid;
};

struct library {
    struct bv_backend *backend;
    struct bv_spec *spec;
    struct bv_plan *plan; /* NULL: every run plans anew */
    bool ready;           /* bv_backend_prepare() has been called, and has had time */
};

static void fail(const char *what, const struct bv_error *error)
{
    (void)fprintf(stderr, "bench: %s: %s %s\n", what, error == NULL ? strerror(errno) : error->place, error == NULL ? "" : error->text);
    exit(1);
}

static double now_micros(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int ascending(const void *left, const void *right)
{
    const double *one = left, *two = right;
    return (*one > *two) - (*one < *two);
}

static void print_figure(const char *label, double *micros, size_t count)
{
    qsort(micros, count, sizeof *micros, ascending);
    (void)printf("%s %.1f %.1f\n", label, micros[count / 2], micros[count - 1 - count / 10]);
    (void)fflush(stdout);
}

static char *read_file(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    char *text = malloc(BV_SPEC_MAX_BYTES);

    if (file == NULL || text == NULL) {
        fail(path, NULL);
    }
    *ret_size = fread(text, 1, BV_SPEC_MAX_BYTES, file);
    (void)fclose(file);
    return text;
}

static void library_open(struct library *library, const char *path)
{
    struct bv_error error = { 0 };
    size_t size;
    char *text = read_file(path, &size);

    if (bv_spec_parse(text, size, &library->spec, &error) != BV_OK || bv_backend_linux(&library->backend, &error) != BV_OK) {
        fail(path, &error);
    }
    free(text);
}

static void library_plan(struct library *library)
{
    struct bv_error error = { 0 };
    struct bv_refusal *refusal = NULL;

    if (bv_plan_create(library->backend, library->spec, &library->plan, &refusal, &error) != BV_OK) {
        fail("bv_plan_create", &error);
    }
}

static void library_close(struct library *library)
{
    bv_plan_free(library->plan);
    bv_spec_free(library->spec);
    bv_backend_free(library->backend);
}

static struct bv_report *library_run(const struct library *library)
{
    const struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    struct bv_error error = { 0 };
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;

    if (bv_run_confined(library->spec, library->backend, &options, &report, &refusal, &error) != BV_OK) {
        if (refusal != NULL) {
            (void)fprintf(stderr, "bench: refused: %s\n", bv_refusal_why(refusal, 0));
        }
        fail("bv_run_confined", &error);
    }
    if (bv_report_outcome(report) != BV_OUTCOME_COMPLETED) {
        (void)fprintf(stderr, "bench: outcome %s\n", bv_outcome_name(bv_report_outcome(report)));
        exit(1);
    }
    return report;
}

/* The same plan once more: planned before, so only the run and its report are timed. */
static struct bv_report *library_rerun(const struct library *library)
{
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    struct bv_error error = { 0 };
    struct bv_report *report = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_run *run = NULL;

    options.probe_max_age_micros = 1000000;
    if (bv_run_start(library->backend, library->plan, &options, &run, &refusal, &error) != BV_OK ||
        bv_run_wait(run, &report, &error) != BV_OK || bv_report_outcome(report) != BV_OUTCOME_COMPLETED) {
        fail("a run of the same plan", &error);
    }
    bv_run_free(run);
    return report;
}

static double timed_run(const struct library *library)
{
    double began = now_micros();
    bv_report_free(library->plan != NULL ? library_rerun(library) : library_run(library));
    return now_micros() - began;
}

static void *idle(void *unused)
{
    for (;;) {
        (void)pause();
    }
    return unused;
}

/* Small pages: what a process that grew piece by piece has, and what copying its tables would cost. */
static void grow_fat(void)
{
    char *bytes = mmap(NULL, FAT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_t thread;

    if (bytes == MAP_FAILED) {
        fail("1 GiB", NULL);
    }
    (void)madvise(bytes, FAT_BYTES, MADV_NOHUGEPAGE);
    memset(bytes, 1, FAT_BYTES);
    for (int i = 1; i < FAT_THREADS; i++) {
        if (pthread_create(&thread, NULL, idle, NULL) != 0) {
            fail("a thread", NULL);
        }
    }
}

static _Noreturn void serve(const char *path, bool fat, int ask_fd, int answer_fd)
{
    struct library library = { 0 };
    char byte;

    if (fat) {
        grow_fat();
    }
    library_open(&library, path);
    while (read(ask_fd, &byte, 1) == 1) {
        const double took = timed_run(&library);
        if (write(answer_fd, &took, sizeof took) != (ssize_t)sizeof took) {
            break;
        }
    }
    library_close(&library);
    exit(0);
}

/* Called before any backend exists, so that the two kinds differ in nothing but their size. */
static void host_start(struct host *hosts, size_t which, const char *path, bool fat)
{
    struct host *host = &hosts[which];
    int ask[2], answer[2];

    if (pipe2(ask, O_CLOEXEC) != 0 || pipe2(answer, O_CLOEXEC) != 0 || (host->pid = fork()) < 0) {
        fail("a host", NULL);
    }
    if (host->pid == 0) {
        (void)close(ask[1]);
        (void)close(answer[0]);
        for (size_t i = 0; i < which; i++) { /* or the others would never see the end of theirs */
            if (hosts[i].pid > 0) {
                (void)close(hosts[i].ask_fd);
                (void)close(hosts[i].answer_fd);
            }
        }
        serve(path, fat, ask[0], answer[1]);
    }
    (void)close(ask[0]);
    (void)close(answer[1]);
    host->ask_fd = ask[1];
    host->answer_fd = answer[0];
}

static double host_run(const struct host *host)
{
    double took;

    if (write(host->ask_fd, "", 1) != 1 || read(host->answer_fd, &took, sizeof took) != (ssize_t)sizeof took) {
        fail("a host ended", NULL);
    }
    return took;
}

static void host_stop(struct host *host)
{
    if (host->pid > 0) {
        (void)close(host->ask_fd);
        (void)close(host->answer_fd);
        (void)waitpid(host->pid, NULL, 0);
    }
}

/* One posix_spawn and wait with every stream on /dev/null; a command that fails ends the benchmark. */
static double spawn_once(const struct command *command, const posix_spawn_file_actions_t *actions)
{
    int status;
    pid_t pid;
    double began = now_micros();

    errno = posix_spawnp(&pid, command->words[0], actions, NULL, command->words, environ);
    if (errno != 0 || waitpid(pid, &status, 0) != pid) {
        fail(command->label, NULL);
    }
    double took = now_micros() - began;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)fprintf(stderr, "bench: %s: status %d\n", command->label, status);
        exit(1);
    }
    return took;
}

static size_t split(char **words, struct command *commands)
{
    size_t count = 0;

    while (words[0] != NULL && count < COMMANDS_MAX) {
        struct command *command = &commands[count++];
        *command = (struct command){ .label = *words, .words = words + 1, .micros = calloc(ROUNDS_MAX, sizeof(double)) };
        if (command->micros == NULL) {
            fail("calloc", NULL);
        }
        while (*words != NULL && strcmp(*words, "--") != 0) {
            words++;
        }
        if (*words != NULL) {
            *words++ = NULL;
        }
    }
    return count;
}

static int launch(size_t rounds, char **words)
{
    struct command commands[COMMANDS_MAX];
    struct library libraries[COMMANDS_MAX] = { { 0 } };
    struct host hosts[COMMANDS_MAX] = { { 0 } };
    posix_spawn_file_actions_t actions;
    size_t count = split(words, commands);

    (void)posix_spawn_file_actions_init(&actions);
    for (int fd = 0; fd < 3; fd++) {
        (void)posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", fd == 0 ? O_RDONLY : O_WRONLY, 0);
    }
    for (size_t i = 0; i < count; i++) {
        const char *word = commands[i].words[0][0] == '@' && commands[i].words[1] != NULL ? commands[i].words[1] : "";
        if (strcmp(word, "host") == 0 || strcmp(word, "fat") == 0) {
            host_start(hosts, i, commands[i].words[0] + 1, strcmp(word, "fat") == 0);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (commands[i].words[0][0] == '@' && hosts[i].pid == 0) {
            library_open(&libraries[i], commands[i].words[0] + 1);
            const char *word = commands[i].words[1] != NULL ? commands[i].words[1] : "";
            libraries[i].ready = strcmp(word, "ready") == 0;
            if (strcmp(word, "again") == 0) {
                library_plan(&libraries[i]);
            }
        }
    }
    for (size_t round = 0; round < rounds + 3; round++) {
        for (size_t i = 0; i < count; i++) {
            double took;
            (void)usleep(SETTLE_MICROS);
            if (libraries[i].ready) {
                bv_backend_prepare(libraries[i].backend, BV_NETWORK_DENY_ALL);
                (void)usleep(SETTLE_MICROS);
            }
            if (hosts[i].pid > 0) {
                took = host_run(&hosts[i]);
            } else if (libraries[i].spec != NULL) {
                took = timed_run(&libraries[i]);
            } else {
                took = spawn_once(&commands[i], &actions);
            }
            /* The first three rounds warm caches. */
            if (round >= 3) {
                commands[i].micros[round - 3] = took;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        print_figure(commands[i].label, commands[i].micros, rounds);
        free(commands[i].micros);
        library_close(&libraries[i]);
        host_stop(&hosts[i]);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return 0;
}

/* A backend remembers the digests of files that it has hashed: the first run of a program pays for it, the second does not. */
static int twice(size_t rounds, const char *path)
{
    static double micros[2][ROUNDS_MAX];

    for (size_t round = 0; round < rounds; round++) {
        struct library library = { 0 };
        library_open(&library, path);
        for (int run = 0; run < 2; run++) {
            (void)usleep(SETTLE_MICROS);
            micros[run][round] = timed_run(&library);
        }
        library_close(&library);
    }
    print_figure("first", micros[0], rounds);
    print_figure("second", micros[1], rounds);
    return 0;
}

enum { STEP_PARSE, STEP_PROBE, STEP_PLAN, STEP_SEAL, STEP_VERIFY, STEP_COUNT };

/* What is known of a workload that is not opened here: hashing its file is no part of planning. */
static void identify(const struct bv_spec *spec, struct bv_workload_identity *identity)
{
    *identity = (struct bv_workload_identity){ .known = true, .is_elf = true, .mode = 0100755 };
    (void)snprintf(identity->path, sizeof identity->path, "%s", spec->workload.path);
    bv_digest_bytes(spec->workload.path, strlen(spec->workload.path), identity->digest);
}

/* As much as the backend observes of an ordinary program that ends well. */
static void observe(struct bv_observation *observation, const struct bv_plan *plan)
{
    static const char *const facts[][2] = {
        { "launcher_identity", "sha256:ad7d9b821420568a926e9b1022f48d202c7d38da45306996656c5f11dd580126" },
        { "canaries", "50 of 50 denied" },
        { "workload_launched", "/usr/bin/true" },
        { "filesystem_confined", "10 roots, mount namespace and Landlock ABI 7" },
        { "network_deny_all", "a network namespace of its own, seccomp" },
        { "spawn_confined", "no thread, no process" },
        { "environment_lowered", "entries=1" },
        { "inherited_fds_none", "0, 1 and 2 are pipes of the supervisor" },
        { "stream_captured", "0 stdout" },
        { "stream_captured", "0 stderr" },
        { "temp_root_created", "16777216 bytes at /tmp" },
        { "path_exposed", "2 paths" },
        { "budget_witnessed", "7 of 7 measured" },
        { "tree_empty", "the pid namespace ended" },
        { "workload_exited", "code 0" },
    };
    const struct bv_exit exit = { .kind = BV_EXIT_CODE };
    const uint64_t figure = 0;
    bool ok = bv_observe_launcher(observation, facts[0][1]);

    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        ok = bv_observe_fact(observation, facts[i][0], "%s", facts[i][1]) && ok;
    }
    for (unsigned d = 0; d < BV_DIMENSION_COUNT; d++) {
        const bool measured = bv_plan_offers(plan)[d].evidence & BV_CLAIM_RESOURCE_USAGE;
        ok = bv_observe_usage(observation, (enum bv_dimension)d, measured ? &figure : NULL, false, "sampled every 10000 us, longest gap 16016 us") && ok;
    }
    ok = bv_observe_stream(observation, 1, "", 0, 0, false) && bv_observe_stream(observation, 2, "", 0, 0, false) && ok;
    if (!bv_observe_outcome(observation, BV_OUTCOME_COMPLETED, exit, -1, "") || !ok) {
        fail("observation", NULL);
    }
}

static struct bv_report *seal(const struct bv_plan *plan, double *took)
{
    static const struct bv_seal_facts facts = {
        .attempt = "0123456789abcdef0123456789abcdef",
        .started_at = "2026-01-01T00:00:00.000000Z",
        .finished_at = "2026-01-01T00:00:00.004000Z",
        .kernel = "6.1.0",
    };
    struct bv_error error = { 0 };
    struct bv_report *report = NULL;
    struct bv_observation *observation = bv_observation_new();

    if (observation == NULL) {
        fail("bv_observation_new", NULL);
    }
    observe(observation, plan);
    double began = now_micros();
    if (bv_report_seal(plan, observation, &facts, &report, &error) != BV_OK) {
        fail("seal", &error);
    }
    *took = now_micros() - began;
    if (bv_report_outcome(report) != BV_OUTCOME_COMPLETED) { /* a fault is another report than the one to be measured */
        (void)fprintf(stderr, "bench: the sealed outcome is %s\n", bv_outcome_name(bv_report_outcome(report)));
        exit(1);
    }
    bv_observation_free(observation);
    return report;
}

static void contract_round(struct bv_backend *backend, const char *text, size_t size, double took[STEP_COUNT])
{
    struct bv_error error = { 0 };
    struct bv_refusal *refusal = NULL;
    struct bv_plan *plan = NULL;
    struct bv_spec *spec = NULL;
    struct bv_workload_identity identity;
    char *document = NULL;

    double began = now_micros();
    if (bv_spec_parse(text, size, &spec, &error) != BV_OK) {
        fail("parse", &error);
    }
    took[STEP_PARSE] = now_micros() - began;
    identify(spec, &identity);

    began = now_micros();
    struct bv_snapshot *facts = bv_snapshot_new();
    if (facts == NULL || backend->ops->probe(backend->context, facts, &error) != BV_OK) {
        fail("probe", &error);
    }
    took[STEP_PROBE] = now_micros() - began;

    began = now_micros();
    if (bv_plan_admit(backend->ops, backend->context, spec, &identity, facts, &plan, &refusal, &error) != BV_OK) {
        fail(refusal != NULL ? bv_refusal_why(refusal, 0) : "plan", &error);
    }
    took[STEP_PLAN] = now_micros() - began;

    struct bv_report *report = seal(plan, &took[STEP_SEAL]);
    if (bv_report_json(report, &document, &error) != BV_OK) {
        fail("report", &error);
    }
    began = now_micros();
    if (bv_report_verify(document, strlen(document), &error) != BV_OK) {
        fail("verify", &error);
    }
    took[STEP_VERIFY] = now_micros() - began;
    bv_free(document);
    bv_report_free(report);
    bv_plan_free(plan);
    bv_snapshot_free(facts);
    bv_spec_free(spec);
}

static int contract(size_t rounds, const char *path)
{
    static const char *const labels[STEP_COUNT] = { "parse", "probe", "plan", "seal", "verify" };
    static double micros[STEP_COUNT][ROUNDS_MAX];
    struct bv_error error = { 0 };
    struct bv_backend *backend = NULL;
    size_t size;
    char *text = read_file(path, &size);

    if (bv_backend_linux(&backend, &error) != BV_OK) {
        fail("bv_backend_linux", &error);
    }
    for (size_t round = 0; round < rounds; round++) {
        double took[STEP_COUNT];
        contract_round(backend, text, size, took);
        for (size_t step = 0; step < STEP_COUNT; step++) {
            micros[step][round] = took[step];
        }
    }
    for (size_t step = 0; step < STEP_COUNT; step++) {
        print_figure(labels[step], micros[step], rounds);
    }
    bv_backend_free(backend);
    free(text);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 3 ? strtoul(argv[2], NULL, 10) : 0;

    if (rounds < 1 || rounds > ROUNDS_MAX) {
        (void)fprintf(stderr, "usage: bench launch ROUNDS LABEL CMD... [-- LABEL CMD...] | bench contract|twice ROUNDS SPEC\n");
        return 2;
    }
    if (strcmp(argv[1], "launch") == 0) {
        return launch(rounds, argv + 3);
    }
    return strcmp(argv[1], "twice") == 0 ? twice(rounds, argv[3]) : contract(rounds, argv[3]);
}
