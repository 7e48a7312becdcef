/* tests/unit/test_leases.c - secrets and kept descriptors: what is unknown or not open is
 * refused before anything is started. */
#include "run/leases.h"

#include <bvisor/run.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "support/fixture.h"
#include "support/sim_backend.h"
#include "support/tap.h"

static const struct sim_op script[] = { { SIM_EXIT, NULL, 0 } };

/* Knows "good", "empty" and "nul"; "liar" claims more than there was room for; "huge" fills all
 * that it is given. */
static ptrdiff_t resolve(void *context, const char *reference, char *buffer, size_t capacity)
{
    unsigned *calls = context;
    (*calls)++;
    if (strcmp(reference, "good") == 0) {
        memcpy(buffer, "s3cr3t-value", 12);
        return 12;
    }
    if (strcmp(reference, "nul") == 0) {
        memcpy(buffer, "a\0b", 3);
        return 3;
    }
    if (strcmp(reference, "huge") == 0) {
        memset(buffer, 'x', capacity);
        return (ptrdiff_t)capacity;
    }
    if (strcmp(reference, "liar") == 0) {
        return (ptrdiff_t)capacity + 1;
    }
    return strcmp(reference, "empty") == 0 ? 0 : -1;
}

struct started {
    enum bv_status status;
    struct bv_run *run;
    struct bv_refusal *refusal;
    struct bv_error error;
};

static struct started start(struct bv_backend *backend, const struct bv_plan *plan,
                            bv_secret_fn *secret, unsigned *calls)
{
    struct started s = { 0 };
    struct bv_run_options options = BV_RUN_OPTIONS_INIT;
    options.secret = secret;
    options.secret_context = calls;
    s.status = bv_run_start(backend, plan, &options, &s.run, &s.refusal, &s.error);
    return s;
}

static void drop(struct started *s)
{
    bv_run_free(s->run);
    bv_refusal_free(s->refusal);
}

/* A plan whose environment has one literal and these leases. */
static struct bv_plan *plan_with(struct bv_backend *backend, struct fixture *fixture,
                                 const char *one, const char *two)
{
    static struct bv_env_entry entries[3];
    entries[0] = (struct bv_env_entry){ .name = "LANG", .literal = "C" };
    entries[1] = (struct bv_env_entry){ .name = "ONE", .secret = one };
    entries[2] = (struct bv_env_entry){ .name = "TWO", .secret = two };
    size_t count = fixture->spec.capability_count;
    struct bv_plan *plan = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_error error = { 0 };
    fixture_add_capability(fixture,
                           (struct bv_capability){ .kind = BV_CAP_ENVIRONMENT,
                                                   .u.environment = { entries, two ? 3 : 2 } });
    tap_ok(bv_plan_create(backend, &fixture->spec, &plan, &refusal, &error) == BV_OK,
           "a plan with leases %s %s: %s", one, two ? two : "", error.text);
    bv_refusal_free(refusal);
    fixture->spec.capability_count = count;
    return plan;
}

static void refused(struct sim_setup *setup, struct bv_backend *backend, struct fixture *fixture,
                    const char *reference, const char *why)
{
    unsigned calls = 0;
    *setup->started = false;
    struct bv_plan *plan = plan_with(backend, fixture, reference, NULL);
    struct started s = start(backend, plan, resolve, &calls);
    tap_ok(s.status == BV_E_REFUSED && bv_refusal_reason(s.refusal) == BV_REFUSED_INVALID_POLICY &&
               strstr(bv_refusal_why(s.refusal, 0), why) &&
               strcmp(bv_refusal_what(s.refusal, 0), "environment") == 0,
           "'%s' is refused: %s", reference,
           s.refusal ? bv_refusal_why(s.refusal, 0) : s.error.text);
    tap_ok(!*setup->started, "and the workload never started");
    drop(&s);
    bv_plan_free(plan);
}

static void test_secrets(struct sim_setup *setup, struct bv_backend *backend,
                         struct fixture *fixture)
{
    struct sim_secrets seen = { 0 };
    unsigned calls = 0;
    setup->secrets_seen = &seen;
    struct bv_plan *plan = plan_with(backend, fixture, "good", "empty");
    struct started s = start(backend, plan, resolve, &calls);
    tap_ok(s.status == BV_OK && calls == 2, "known leases are resolved, each once: %s",
           s.error.text);
    /* The intent may order the environment: find by value. */
    bool good = false, empty = false, literal = false;
    for (size_t i = 0; i < seen.count; i++) {
        good = good || (!seen.literal[i] && strcmp(seen.text[i], "s3cr3t-value") == 0);
        empty = empty || (!seen.literal[i] && seen.text[i][0] == '\0');
        literal = literal || seen.literal[i];
    }
    tap_ok(seen.count == 3 && good && empty && literal,
           "the backend gets the values, and NULL for the literal");
    struct bv_report *report = NULL;
    char *text = NULL;
    tap_ok(bv_run_wait(s.run, &report, NULL) == BV_OK &&
               bv_report_json(report, &text, NULL) == BV_OK,
           "the run ends with a report");
    tap_ok(text && strstr(text, "\"good\"") && !strstr(text, "s3cr3t-value"),
           "which holds the reference and not the value");
    bv_free(text);
    bv_report_free(report);
    drop(&s);

    s = start(backend, plan, NULL, NULL);
    tap_ok(s.status == BV_E_REFUSED && bv_refusal_count(s.refusal) == 2,
           "without a resolver every lease is unknown, and each is named");
    drop(&s);
    bv_plan_free(plan);
    setup->secrets_seen = NULL;

    refused(setup, backend, fixture, "unknown", "secret lease 'unknown' is unknown");
    refused(setup, backend, fixture, "nul", "NUL");
    refused(setup, backend, fixture, "liar", "more bytes");
    refused(setup, backend, fixture, "huge", "larger than 256 KiB");
}

static void test_kept(struct sim_setup *setup, struct bv_backend *backend, struct fixture *fixture)
{
    int pair[2], fds[2];
    tap_ok(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0, "a datagram pair");
    int closed = dup(pair[0]);
    (void)close(closed);
    fds[0] = pair[0] < closed ? pair[0] : closed;
    fds[1] = pair[0] < closed ? closed : pair[0];
    int32_t kept[2] = { fds[0], fds[1] };
    struct bv_plan *plan = NULL;
    struct bv_refusal *refusal = NULL;
    struct bv_error error = { 0 };
    fixture_add_capability(fixture, (struct bv_capability){ .kind = BV_CAP_INHERITED_FDS,
                                                            .u.inherited_fds = { kept, 2 } });
    tap_ok(bv_plan_create(backend, &fixture->spec, &plan, &refusal, &error) == BV_OK,
           "a plan that keeps two descriptors: %s", error.text);
    *setup->started = false;
    struct started s = start(backend, plan, NULL, NULL);
    tap_ok(s.status == BV_E_REFUSED && bv_refusal_count(s.refusal) == 2 && !*setup->started,
           "both are refused before anything is started");
    bool not_open = false, datagram = false;
    for (size_t i = 0; s.refusal && i < bv_refusal_count(s.refusal); i++) {
        not_open = not_open || strstr(bv_refusal_why(s.refusal, i), "is not open");
        datagram = datagram || strstr(bv_refusal_why(s.refusal, i), "AF_UNIX datagram");
    }
    tap_ok(not_open && datagram, "one is not open, one is a datagram socket");
    drop(&s);
    bv_plan_free(plan);
    (void)close(pair[0]);
    (void)close(pair[1]);

    int pipe_fds[2];
    tap_ok(pipe(pipe_fds) == 0, "a pipe");
    kept[0] = pipe_fds[0];
    kept[1] = pipe_fds[1];
    plan = NULL;
    tap_ok(bv_plan_create(backend, &fixture->spec, &plan, &refusal, NULL) == BV_OK,
           "a plan that keeps both its ends");
    s = start(backend, plan, NULL, NULL);
    tap_ok(s.status == BV_OK && *setup->started, "starts: %s", s.error.text);
    drop(&s);
    bv_plan_free(plan);
    (void)close(pipe_fds[0]);
    (void)close(pipe_fds[1]);
    fixture->spec.capability_count--;
}

/* Closes the descriptor. why NULL: it may be kept. */
static void keep_one(struct sim_setup *setup, struct bv_backend *backend, struct fixture *fixture,
                     const char *what, int fd, const char *why)
{
    if (fd < 0) {
        tap_skip("%s: none can be made here", what);
        return;
    }
    const int32_t kept = fd;
    struct bv_plan *plan = NULL;
    struct bv_refusal *refusal = NULL;
    fixture_add_capability(fixture, (struct bv_capability){ .kind = BV_CAP_INHERITED_FDS,
                                                            .u.inherited_fds = { &kept, 1 } });
    tap_ok(bv_plan_create(backend, &fixture->spec, &plan, &refusal, NULL) == BV_OK,
           "a plan that keeps %s", what);
    *setup->started = false;
    struct started s = start(backend, plan, NULL, NULL);
    const char *said = s.refusal ? bv_refusal_why(s.refusal, 0) : "kept";
    tap_ok(why ? s.status == BV_E_REFUSED && !*setup->started && strstr(said, why) &&
                     strcmp(bv_refusal_what(s.refusal, 0), "inherited_fds_only") == 0
               : s.status == BV_OK && *setup->started,
           "%s: %s", what, said);
    drop(&s);
    bv_plan_free(plan);
    fixture->spec.capability_count--;
    (void)close(fd);
}

static int ring(void)
{
    uint8_t parameters[256] = { 0 };
    return (int)syscall(SYS_io_uring_setup, 1, parameters);
}

static void test_kinds(struct sim_setup *setup, struct bv_backend *backend, struct fixture *fixture)
{
    int pair[2];
    tap_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "a stream pair");
    keep_one(setup, backend, fixture, "a stream socket", pair[0], NULL);
    (void)close(pair[1]);
    keep_one(setup, backend, fixture, "a file", open(fixture->exe, O_RDONLY | O_CLOEXEC), NULL);
    keep_one(setup, backend, fixture, "a device", open("/dev/null", O_RDWR | O_CLOEXEC), NULL);
    keep_one(setup, backend, fixture, "an event", eventfd(0, EFD_CLOEXEC), NULL);
    keep_one(setup, backend, fixture, "a directory", open("/", O_RDONLY | O_CLOEXEC),
             "is a directory");
    keep_one(setup, backend, fixture, "a directory's path", open("/", O_PATH | O_CLOEXEC),
             "is a directory");
    keep_one(setup, backend, fixture, "a file's path", open(fixture->exe, O_PATH | O_CLOEXEC),
             "opened with O_PATH");
    keep_one(setup, backend, fixture, "a ring", ring(), "is an io_uring");
    static const struct {
        int family, type;
        const char *what;
    } sockets[] = {
        { AF_INET, SOCK_STREAM, "a TCP socket" },     { AF_INET6, SOCK_DGRAM, "a UDP socket" },
        { AF_NETLINK, SOCK_RAW, "a netlink socket" }, { AF_VSOCK, SOCK_STREAM, "a VM socket" },
        { AF_PACKET, SOCK_RAW, "a packet socket" },
    };
    for (size_t i = 0; i < BV_COUNT(sockets); i++) {
        const int fd = socket(sockets[i].family, sockets[i].type | SOCK_CLOEXEC, 0);
        keep_one(setup, backend, fixture, sockets[i].what, fd, "the network is denied");
    }
    fixture_add_capability(
        fixture, (struct bv_capability){ .kind = BV_CAP_NETWORK,
                                         .u.network = { .policy = BV_NETWORK_ALLOW_ALL } });
    keep_one(setup, backend, fixture, "a TCP socket where the network is granted",
             socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), NULL);
    fixture->spec.capability_count--;
}

int main(void)
{
    bool started = false;
    struct sim_setup setup = {
        .lie = SIM_HONEST, .script = script, .script_length = BV_COUNT(script), .started = &started
    };
    struct fixture fixture;
    struct bv_backend *backend = NULL;
    fixture_init(&fixture);
    tap_ok(sim_backend_new(&setup, &backend, NULL) == BV_OK, "a backend");
    test_secrets(&setup, backend, &fixture);
    test_kept(&setup, backend, &fixture);
    test_kinds(&setup, backend, &fixture);
    bv_backend_free(backend);
    fixture_done(&fixture);
    return tap_done();
}
