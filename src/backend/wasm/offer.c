/* backend/wasm/offer.c - what is given for each of the seven budgets. Pure: all seven are enforced and counted exactly, by the
 * engine or by its outside. CONTRACT.md 5. */
#include "backend/wasm/guest.h"

#include "base/check.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

static void name(struct bv_offer *offer, const char *mechanism)
{
    bv_copy_text(offer->mechanism, sizeof(offer->mechanism), mechanism);
}

static void offer_cpu(const struct bv_profile *profile, struct bv_offer *offer)
{
    (void)snprintf(offer->mechanism, sizeof(offer->mechanism),
                   "wasm:fuel, %llu units a microsecond",
                   (unsigned long long)profile->word[GUEST_FUEL_PER_MICRO]);
    bv_copy_text(offer->note, sizeof(offer->note),
                 "microseconds are units of work, the same on every machine, not time on this one");
}

static void offer_handles(const struct bv_intent *intent, struct bv_offer *offer)
{
    name(offer, "wasm:wasi_descriptor_table");
    offer->floor =
        guest_first_handles(intent) + intent->fd_count; /* what the guest begins with must fit */
}

static void offer_storage(const struct bv_intent *intent, struct bv_offer *offer)
{
    if (guest_writes(intent)) {
        name(offer, "wasm:bytes by which the guest's writes grow its roots");
        return;
    }
    name(offer, "wasm:no writable place");
    offer->structural = true;
}

void guest_offer(void *context, const struct bv_profile *profile, const struct bv_intent *intent,
                 enum bv_dimension dimension, struct bv_offer *ret_offer)
{
    (void)context;
    memset(ret_offer, 0, sizeof(*ret_offer));
    ret_offer->available = BV_JSON_MAX_INTEGER;
    const struct bv_verdict *launch = &profile->ceiling[BV_REQ_LAUNCH_WORKLOAD];
    if (launch->enforcement == BV_UNSUPPORTED) { /* where no guest runs nothing is bounded either */
        name(ret_offer, "wasm:none");
        bv_copy_text(ret_offer->why, sizeof(ret_offer->why), launch->why);
        bv_copy_text(ret_offer->remedy, sizeof(ret_offer->remedy), launch->remedy);
        return;
    }
    ret_offer->can_bound = true;
    ret_offer->guarantee = BV_GUARANTEE_ENFORCED;
    ret_offer->evidence = BV_CLAIM_RESOURCE_USAGE | BV_CLAIM_TERMINAL_OUTCOME;
    switch (dimension) {
    case BV_WALL_MICROS: name(ret_offer, "wasm:deadline between slices of the interpreter"); break;
    case BV_CPU_MICROS: offer_cpu(profile, ret_offer); break;
    case BV_RESIDENT_BYTES: name(ret_offer, "wasm:allocator of the engine"); break;
    case BV_PROCESS_COUNT:
        name(ret_offer, "wasm:no_instruction_makes_a_task");
        ret_offer->structural = true;
        break;
    case BV_HANDLE_COUNT: offer_handles(intent, ret_offer); break;
    case BV_STORAGE_BYTES: offer_storage(intent, ret_offer); break;
    case BV_NETWORK_BYTES:
        name(ret_offer, "wasm:no_socket_exists");
        ret_offer->structural = true;
        break;
    }
    BV_ASSERT(ret_offer->mechanism[0] != '\0');
}
