/* tests/unit/test_observation.c - what a backend says is kept, bounded and cleaned; what cannot be kept is never lost silently. */
#include "contract/observation.h"

#include "base/check.h"
#include "contract/contract.h"
#include "support/tap.h"

static void test_facts(void)
{
    struct bv_observation *o = bv_observation_new();
    char long_text[500];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    tap_ok(bv_observe_fact(o, "workload_launched", "%s %d", "/bin/\033[31m\n", 7), "a fact");
    tap_text(o->facts.first->detail, "/bin/?[31m? 7", "is one clean line");
    tap_ok(bv_observe_fact(o, "tree_empty", "%s", long_text) &&
               strlen(o->facts.first->next->detail) == 400,
           "cut at 400 bytes");
    tap_ok(bv_observe_fact(o, "tree_empty", "again"), "kinds may repeat");
    tap_ok(bv_observation_fact(o, "tree_empty") == o->facts.first->next &&
               !bv_observation_fact(o, "tree"),
           "the first of a kind is found");
    tap_ok(bv_observe_finding(o, "survivors_killed", "%d", 2) && o->findings.count == 1 &&
               o->facts.count == 3,
           "findings are apart");
    tap_ok(!o->failure, "nothing is missing so far");
    tap_ok(!bv_observe_fact(o, "Bad Kind", "x") && o->failure,
           "a kind that is no word marks the observation");
    bv_observation_free(o);
    o = bv_observation_new();
    bool ok = true;
    for (int i = 0; i < BV_FACTS_MAX; i++) {
        ok = bv_observe_fact(o, "f", "%s", long_text) &&
             bv_observe_finding(o, "g", "%s", long_text) && ok;
    }
    tap_ok(ok && !o->failure, "%d facts and findings fit", BV_FACTS_MAX);
    tap_ok(!bv_observe_fact(o, "f", "x") && o->failure && o->facts.count == BV_FACTS_MAX,
           "one more marks the observation");
    bv_observation_free(o);
    bv_observation_free(NULL);
}

static void test_denied(void)
{
    struct bv_observation *o = bv_observation_new();
    char detail[64];
    bool ok = bv_observe_denied(o, BV_REQ_NETWORK_DENY_ALL, "connect", 1) &&
              bv_observe_denied(o, BV_REQ_FILESYSTEM, "connect", 1) &&
              bv_observe_denied(o, BV_REQ_NETWORK_DENY_ALL, "connect", 2) &&
              bv_observe_denied(o, BV_REQ_KILL, "nothing", 0);
    tap_ok(ok && o->denial_count == 2 && o->denials->count == 3,
           "equal pairs are united, none denied is none");
    for (int i = 0; i < 2 * BV_DENIED_MAX; i++) {
        (void)snprintf(detail, sizeof(detail), "open /%d", i);
        ok = bv_observe_denied(o, BV_REQ_FILESYSTEM, detail, 1) && ok;
    }
    tap_ok(ok && o->denial_count == BV_DENIED_MAX + 1, "past the cap they are united");
    const struct observed_denial *last = o->denials;
    while (last->next) {
        last = last->next;
    }
    tap_text(last->detail, "(more)", "as one item");
    tap_ok(last->count == BV_DENIED_MAX + 2 && !o->failure, "that counts them (%llu)",
           (unsigned long long)last->count);
    tap_ok(bv_observe_denied(o, BV_REQ_FILESYSTEM, "connect", UINT64_MAX) &&
               o->denials->next->count == BV_JSON_MAX_INTEGER,
           "counts saturate");
    tap_ok(!bv_observe_denied(o, (enum bv_requirement_kind)99, "x", 1) && o->failure,
           "an unknown kind marks the observation");
    bv_observation_free(o);
}

static void test_streams(void)
{
    struct bv_observation *o = bv_observation_new();
    tap_ok(bv_observe_stream(o, 1, "ab", 2, 0, false) &&
               bv_observe_stream(o, 1, "cd", 2, 4, false) &&
               bv_observe_stream(o, 1, NULL, 0, 900, true),
           "a stream in parts");
    tap_ok(o->stream[0].kept.size == 4 && memcmp(o->stream[0].kept.data, "abcd", 4) == 0 &&
               o->stream[0].total_bytes == 900 && o->stream[0].truncated && o->stream[0].seen &&
               !o->stream[1].seen,
           "is put together");
    tap_ok(!bv_observe_stream(o, 0, "x", 1, 1, false) && o->failure, "stdin is not captured");
    bv_observation_free(o);
    o = bv_observation_new();
    tap_ok(!bv_observe_stream(o, 2, NULL, 0, UINT64_MAX, false) && o->failure,
           "a total that no document holds marks the observation");
    bv_observation_free(o);
    o = bv_observation_new();
    const size_t size = 8u << 20;
    char *bytes = calloc(1, size);
    bool ok = bytes != NULL;
    for (size_t i = 0; ok && i < BV_CAPTURE_MAX_BYTES / size; i++) {
        ok = bv_observe_stream(o, 1, bytes, size, (i + 1) * size, false);
    }
    tap_ok(ok && !o->failure, "64 MiB are kept");
    tap_ok(!bv_observe_stream(o, 1, "x", 1, BV_CAPTURE_MAX_BYTES + 1, false) && o->failure,
           "a byte more marks the observation");
    free(bytes);
    bv_observation_free(o);
}

static void test_usage(void)
{
    struct bv_observation *o = bv_observation_new();
    const uint64_t value = 42, huge = UINT64_MAX;
    tap_ok(bv_observe_usage(o, BV_CPU_MICROS, &value, true, "cpu.stat, %s", "exact") &&
               o->usage[BV_CPU_MICROS].measured && o->usage[BV_CPU_MICROS].value == 42 &&
               o->usage[BV_CPU_MICROS].limit_reached,
           "a figure");
    tap_text(o->usage[BV_CPU_MICROS].source, "cpu.stat, exact", "and its source");
    tap_ok(bv_observe_usage(o, BV_CPU_MICROS, NULL, false, "lost") &&
               !o->usage[BV_CPU_MICROS].measured && o->usage[BV_CPU_MICROS].limit_reached,
           "the last word counts, but a limit once reached stays reached");
    tap_ok(!o->usage[BV_WALL_MICROS].told, "of the others nothing was said");
    tap_ok(!bv_observe_usage(o, BV_WALL_MICROS, &huge, false, "x") && o->failure &&
               !o->usage[BV_WALL_MICROS].measured,
           "2^64-1 is no figure");
    tap_ok(!bv_observe_usage(o, (enum bv_dimension)7, &value, false, "x"), "there are seven");
    bv_observation_free(o);
}

static void test_outcome(void)
{
    struct bv_exit code = { .kind = BV_EXIT_CODE, .value = 3 }, trap = { .kind = BV_EXIT_TRAP };
    struct bv_observation *o = bv_observation_new();
    tap_ok(!bv_observation_has_outcome(o), "no outcome yet");
    tap_ok(bv_observe_outcome(o, BV_OUTCOME_FAILED, code, -1, "said\n so") &&
               bv_observation_has_outcome(o),
           "one");
    tap_text(o->detail, "said? so", "its detail is cleaned");
    tap_ok(!bv_observe_outcome(o, BV_OUTCOME_COMPLETED, code, -1, NULL) && o->outcome_count == 2 &&
               o->outcome == BV_OUTCOME_FAILED,
           "a second one is refused, and counted");
    bv_observation_free(o);
    o = bv_observation_new();
    memset(trap.trap, 't', sizeof(trap.trap)); /* not terminated */
    tap_ok(bv_observe_outcome(o, BV_OUTCOME_FAILED, trap, -1, NULL) &&
               strlen(o->exit.trap) == sizeof(trap.trap) - 1,
           "a trap's text is ended");
    bv_observation_free(o);
    static const struct {
        int outcome, kind, cause;
    } bad[] = { { 7, 0, -1 }, { -1, 0, -1 }, { 0, 4, -1 }, { 3, 0, 7 }, { 3, 0, -2 } };
    for (size_t i = 0; i < BV_COUNT(bad); i++) {
        o = bv_observation_new();
        struct bv_exit exit = { .kind = (enum bv_exit_kind)bad[i].kind };
        tap_ok(!bv_observe_outcome(o, (enum bv_outcome)bad[i].outcome, exit, bad[i].cause, "") &&
                   o->failure && !bv_observation_has_outcome(o),
               "outcome %d, exit %d, cause %d have no meaning", bad[i].outcome, bad[i].kind,
               bad[i].cause);
        bv_observation_free(o);
    }
}

int main(void)
{
    test_facts();
    test_denied();
    test_streams();
    test_usage();
    test_outcome();
    return tap_done();
}
