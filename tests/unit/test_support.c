/* tests/unit/test_support.c - the laws of the verdict lattice over every value, and what becomes of a backend's answers. */
#include "contract/support.h"

#include "base/check.h"
#include "support/fake.h"
#include "support/tap.h"

#define GRADES (3 * (BV_CLAIMS_ALL + 1))

static struct grade grade_of(unsigned index)
{
    return (struct grade){ (enum bv_enforcement)(index / (BV_CLAIMS_ALL + 1)),
                           index % (BV_CLAIMS_ALL + 1) };
}

static bool same(struct grade a, struct grade b)
{
    return a.enforcement == b.enforcement && a.evidence == b.evidence;
}

static const struct grade top = { BV_ENFORCED, BV_CLAIMS_ALL }, bottom = { BV_UNSUPPORTED, 0 };

static void test_pairs(void)
{
    bool idempotent = true, has_top = true, has_bottom = true, commutative = true, lower = true,
         order = true;
    for (unsigned i = 0; i < GRADES; i++) {
        struct grade a = grade_of(i);
        idempotent = idempotent && same(grade_meet(a, a), a);
        has_top = has_top && same(grade_meet(a, top), a) && grade_at_most(a, top);
        has_bottom = has_bottom && same(grade_meet(a, bottom), bottom) && grade_at_most(bottom, a);
        for (unsigned j = 0; j < GRADES; j++) {
            struct grade b = grade_of(j), meet = grade_meet(a, b);
            commutative = commutative && same(meet, grade_meet(b, a));
            lower = lower && grade_at_most(meet, a) && grade_at_most(meet, b);
            order = order && grade_at_most(a, b) == same(meet, a); /* the order is the meet's */
        }
    }
    tap_ok(idempotent, "idempotent over all %u values", GRADES);
    tap_ok(has_top, "top is neutral");
    tap_ok(has_bottom, "bottom absorbs");
    tap_ok(commutative, "commutative over all pairs");
    tap_ok(lower, "the meet is a lower bound of both");
    tap_ok(order, "a is at most b exactly when their meet is a");
}

/* Three claims stand for ten here: the meet of sets works bit by bit. */
static void test_triples(void)
{
    bool associative = true, monotone = true, greatest = true;
    for (unsigned i = 0; i < 24 * 24 * 24; i++) {
        struct grade a = { (enum bv_enforcement)(i % 3), i / 3 % 8 },
                     b = { (enum bv_enforcement)(i / 24 % 3), i / 72 % 8 },
                     c = { (enum bv_enforcement)(i / 576 % 3), i / 1728 % 8 };
        associative =
            associative && same(grade_meet(grade_meet(a, b), c), grade_meet(a, grade_meet(b, c)));
        monotone =
            monotone && (!grade_at_most(a, b) || grade_at_most(grade_meet(a, c), grade_meet(b, c)));
        greatest = greatest && (!(grade_at_most(c, a) && grade_at_most(c, b)) ||
                                grade_at_most(c, grade_meet(a, b)));
    }
    tap_ok(associative, "associative over all triples");
    tap_ok(monotone, "monotone over all triples");
    tap_ok(greatest, "the meet is the greatest lower bound over all triples");
}

static void test_texts(void)
{
    struct bv_verdict best = { BV_ENFORCED, BV_CLAIMS_ALL, "the mechanism", "", "", "" };
    struct bv_verdict ceiling = { BV_MEDIATED,     BV_CLAIM_RESOURCE_USAGE, "ceiling",
                                  "an old kernel", "a newer kernel",        "mind the gap" };
    struct bv_verdict met;
    bv_verdict_meet(&best, &ceiling, &met);
    tap_ok(met.enforcement == BV_MEDIATED && met.evidence == BV_CLAIM_RESOURCE_USAGE,
           "both axes are met");
    tap_text(met.mechanism, "the mechanism", "the mechanism is the family's");
    tap_text(met.why, "an old kernel", "why comes from the side that reduced");
    tap_text(met.remedy, "a newer kernel", "and so does the remedy");
    tap_text(met.note, "mind the gap", "a note is kept");
    struct bv_verdict weak = { BV_UNSUPPORTED,  0,         "", "not asked for like this",
                               "ask otherwise", "own note" };
    bv_verdict_meet(&weak, &ceiling, &met);
    tap_text(met.why, "not asked for like this", "the weaker side explains");
    tap_text(met.note, "own note", "its own note first");
}

static struct bv_verdict judge(struct fake *fake, enum bv_requirement_kind kind)
{
    static struct bv_profile profile;
    struct bv_intent intent = { .launch = true };
    struct bv_capability capability = { .kind = BV_CAP_NETWORK };
    struct bv_requirement requirement = { .kind = kind, .capability = &capability };
    struct bv_verdict verdict;
    bv_support_profile(&fake_ops, fake, NULL, &profile);
    bv_support_judge(&fake_ops, fake, &profile, &intent, &requirement, &verdict);
    return verdict;
}

static void test_judge(void)
{
    static struct fake fake;
    const enum bv_requirement_kind kind = BV_REQ_NETWORK_DENY_ALL;
    fake_init(&fake);
    struct bv_verdict verdict = judge(&fake, kind);
    tap_ok(verdict.enforcement == BV_ENFORCED && verdict.evidence == BV_CLAIMS_ALL,
           "an answer stands");
    fake.best[kind].mechanism[0] = '\0';
    tap_ok(judge(&fake, kind).enforcement == BV_UNSUPPORTED, "enforced by nothing is unsupported");
    fake_init(&fake);
    fake.best[kind] = (struct bv_verdict){ .enforcement = BV_UNSUPPORTED };
    verdict = judge(&fake, kind);
    tap_text(verdict.why, "the backend has no answer for this requirement",
             "a missing answer says so");
    fake_init(&fake);
    memset(&fake.ceiling[kind], 0, sizeof(fake.ceiling[kind]));
    verdict = judge(&fake, kind);
    tap_ok(verdict.enforcement == BV_UNSUPPORTED && verdict.why[0] && verdict.evidence == 0,
           "a row that was not written holds nothing");
    fake_init(&fake);
    fake.best[kind].evidence = 1u << BV_CLAIM_COUNT;
    tap_ok(judge(&fake, kind).enforcement == BV_UNSUPPORTED, "an unknown claim makes it no answer");
    fake_init(&fake);
    memset(fake.best[kind].note, 'n', sizeof(fake.best[kind].note)); /* not terminated */
    fake.best[kind].note[3] = '\n';
    verdict = judge(&fake, kind);
    tap_ok(strlen(verdict.note) == sizeof(verdict.note) - 1 && verdict.note[3] == '?',
           "texts are terminated and cleaned");
}

static void test_offer(void)
{
    static struct fake fake;
    struct bv_intent intent = { .network = BV_NETWORK_DENY_ALL };
    struct bv_offer offer;
    fake_init(&fake);
    fake.offer[BV_WALL_MICROS].available = UINT64_MAX;
    bv_support_offer(&fake_ops, &fake, NULL, &intent, BV_WALL_MICROS, &offer);
    tap_ok(offer.available == BV_JSON_MAX_INTEGER, "a figure is held to what a document can say");
    fake.offer[BV_WALL_MICROS].mechanism[0] = '\0';
    bv_support_offer(&fake_ops, &fake, NULL, &intent, BV_WALL_MICROS, &offer);
    tap_ok(!offer.can_bound && !offer.structural && offer.why[0],
           "an offer without a mechanism is none");
    fake.offer[BV_NETWORK_BYTES].guarantee = BV_GUARANTEE_MEDIATED;
    bv_support_offer(&fake_ops, &fake, NULL, &intent, BV_NETWORK_BYTES, &offer);
    tap_ok(offer.structural && offer.guarantee == BV_GUARANTEE_ENFORCED && offer.max_overshoot == 0,
           "structural is enforced");
}

static void test_claims(void)
{
    char text[256];
    bv_claims_text(0, text, sizeof(text));
    tap_text(text, "none", "the empty set");
    bv_claims_text(BV_CLAIM_TERMINAL_OUTCOME | BV_CLAIM_CAPTURED_STREAMS, text, sizeof(text));
    tap_text(text, "captured_streams, terminal_outcome", "sorted by name");
    bv_claims_text(BV_CLAIMS_ALL, text, sizeof(text));
    tap_ok(strlen(text) < sizeof(text) - 1, "all ten fit");
    json_t *list = bv_claims_to_json(BV_CLAIMS_ALL);
    bool sorted = json_array_size(list) == BV_CLAIM_COUNT;
    for (size_t i = 1; i < json_array_size(list); i++) {
        sorted = sorted && strcmp(json_string_value(json_array_get(list, i - 1)),
                                  json_string_value(json_array_get(list, i))) < 0;
    }
    tap_ok(sorted, "ten claims, sorted");
    json_decref(list);
}

int main(void)
{
    test_pairs();
    test_triples();
    test_texts();
    test_judge();
    test_offer();
    test_claims();
    return tap_done();
}
