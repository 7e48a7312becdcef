/* tests/unit/test_canary.c - the table of canaries: which apply to which policy, never more than
 * five that a listener hears. */
#include "launchwire/canary.h"

#include "support/tap.h"

static uint64_t bit(enum bv_canary canary)
{
    return UINT64_C(1) << canary;
}

/* All 128 policies: the cap holds, and a stricter policy never drops what an unconditional row
 * tries. */
static void test_all_policies(void)
{
    const struct bv_canary_policy none = { 0 };
    uint64_t always = bv_canary_set(&none) & ~bv_canary_notified();
    int most = 0;
    bool kept = true;

    for (unsigned i = 0; i < 128; i++) {
        const struct bv_canary_policy policy = {
            .deny_network = i & 1,
            .deny_tasks = i & 2,
            .deny_processes = i & 4,
            .outside_path = i & 8,
            .listener_port = i & 16,
            .listener_socket = i & 32,
            .signal_scope = i & 64,
        };
        uint64_t set = bv_canary_set(&policy);
        int notified = __builtin_popcountll(set & bv_canary_notified());

        most = notified > most ? notified : most;
        kept = kept && (set & always) == always;
    }
    tap_ok(most == BV_CANARY_NOTIFIED_MAX, "at most five are heard by a listener (%d)", most);
    tap_ok(kept, "what needs no condition is always tried");
}

static void test_conditions(void)
{
    struct bv_canary_policy policy = {
        .deny_network = true, .deny_tasks = true, .outside_path = true, .listener_socket = true
    };
    uint64_t set = bv_canary_set(&policy);

    tap_ok(set & bit(BV_CANARY_CONNECT_TCP) && set & bit(BV_CANARY_CLONE_PROCESS) &&
               set & bit(BV_CANARY_OPEN_OUTSIDE) && set & bit(BV_CANARY_CONNECT_ABSTRACT),
           "the strictest policy tries network, tasks and outside paths");
    tap_ok(!(set & bit(BV_CANARY_CLONE_USERNS)) && !(set & bit(BV_CANARY_SOCKET_MPTCP)) &&
               !(set & bit(BV_CANARY_SIGNAL_INIT)),
           "and nothing that another row covers or that no layer holds");
    policy = (struct bv_canary_policy){ .signal_scope = true };
    set = bv_canary_set(&policy);
    tap_ok(!(set & bit(BV_CANARY_CONNECT_TCP)) && !(set & bit(BV_CANARY_CLONE_PROCESS)) &&
               !(set & bit(BV_CANARY_OPEN_OUTSIDE)) && !(set & bit(BV_CANARY_CONNECT_ABSTRACT)),
           "what a policy allows is not tried");
    tap_ok(set & bit(BV_CANARY_CLONE_USERNS) && set & bit(BV_CANARY_SOCKET_MPTCP) &&
               set & bit(BV_CANARY_SIGNAL_INIT),
           "what it still forbids is");
}

static void test_texts(void)
{
    bool named = true;

    for (unsigned i = 0; i < BV_CANARY_COUNT; i++) {
        named = named && bv_canary_text((enum bv_canary)i)[0] != '\0';
    }
    tap_ok(named, "every canary has a text");
    tap_text(bv_canary_text((enum bv_canary)BV_CANARY_COUNT), "unknown canary",
             "a number behind the table has none");
}

int main(void)
{
    test_all_policies();
    test_conditions();
    test_texts();
    return tap_done();
}
