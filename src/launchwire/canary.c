/* launchwire/canary.c - which canaries apply to a policy, and what they are called.
 *
 * Pure: both sides of a launch link it. The supervisor chooses the set, the launcher tries exactly
 * that set and says what it tried. The table is canary.def. */
#include "launchwire/canary.h"

#include "base/check.h"

enum bv_canary_when {
    BV_WHEN_ALWAYS,
    BV_WHEN_OUTSIDE_PATH,
    BV_WHEN_DENY_NETWORK,
    BV_WHEN_ALLOW_NETWORK,
    BV_WHEN_LISTENER_SOCKET,
    BV_WHEN_DENY_PROCESSES,
    BV_WHEN_ALLOW_PROCESSES,
    BV_WHEN_SIGNAL_SCOPE,
    BV_WHEN_X86,
};

struct row {
    const char *text;
    enum bv_canary_when when;
    bool notified;
};

static const struct row ROWS[BV_CANARY_COUNT] = {
#define BV_CANARY(name, text, when, notified)                                                      \
    [BV_CANARY_##name] = { text, BV_WHEN_##when, notified },
#include "launchwire/canary.def"
#undef BV_CANARY
};

static bool applies(enum bv_canary_when when, const struct bv_canary_policy *policy)
{
    switch (when) {
    case BV_WHEN_ALWAYS: return true;
    case BV_WHEN_OUTSIDE_PATH: return policy->outside_path;
    case BV_WHEN_DENY_NETWORK: return policy->deny_network;
    case BV_WHEN_ALLOW_NETWORK: return !policy->deny_network;
    case BV_WHEN_LISTENER_SOCKET: return policy->listener_socket;
    case BV_WHEN_DENY_PROCESSES: return policy->deny_tasks || policy->deny_processes;
    case BV_WHEN_ALLOW_PROCESSES: return !policy->deny_tasks && !policy->deny_processes;
    case BV_WHEN_SIGNAL_SCOPE: return policy->signal_scope;
    case BV_WHEN_X86:
#if defined(__x86_64__)
        return true;
#else
        return false;
#endif
    }
    BV_UNREACHABLE();
}

uint64_t bv_canary_notified(void)
{
    uint64_t set = 0;

    for (unsigned i = 0; i < BV_CANARY_COUNT; i++) {
        set |= ROWS[i].notified ? UINT64_C(1) << i : 0;
    }
    return set;
}

uint64_t bv_canary_set(const struct bv_canary_policy *policy)
{
    uint64_t set = 0;

    for (unsigned i = 0; i < BV_CANARY_COUNT; i++) {
        set |= applies(ROWS[i].when, policy) ? UINT64_C(1) << i : 0;
    }
    BV_ASSERT(__builtin_popcountll(set & bv_canary_notified()) <= BV_CANARY_NOTIFIED_MAX);
    return set;
}

const char *bv_canary_text(enum bv_canary canary)
{
    return (unsigned)canary < BV_CANARY_COUNT ? ROWS[canary].text : "unknown canary";
}
