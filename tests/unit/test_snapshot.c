/* tests/unit/test_snapshot.c - the table of probed facts: order, replacement, bounds, and the digest that drift compares. */
#include "contract/snapshot.h"

#include "base/check.h"
#include "contract/contract.h"
#include "support/tap.h"

static void test_rules(struct bv_snapshot *snapshot)
{
    static const char *const bad_keys[] = { "", "UPPER", "sp ace", "dash-ed",
                                            "0123456789012345678901234567890123456789012345678" };
    static const char *const bad_values[] = { "tab\t", "line\n", "\303\251", "\177" };
    char long_value[202];
    memset(long_value, 'v', 201);
    long_value[201] = '\0';
    for (size_t i = 0; i < BV_COUNT(bad_keys); i++) {
        tap_ok(bv_snapshot_set(snapshot, bad_keys[i], "v", NULL) == BV_E_INVALID,
               "key \"%s\" is refused", bad_keys[i]);
    }
    tap_ok(bv_snapshot_set(snapshot, NULL, "v", NULL) == BV_E_INVALID, "no key is refused");
    for (size_t i = 0; i < BV_COUNT(bad_values); i++) {
        tap_ok(bv_snapshot_set(snapshot, "key", bad_values[i], NULL) == BV_E_INVALID,
               "bad value %zu is refused", i);
    }
    tap_ok(bv_snapshot_set(snapshot, "key", long_value, NULL) == BV_E_INVALID,
           "a value of 201 bytes is refused");
    tap_ok(bv_snapshot_set(snapshot, "key", NULL, NULL) == BV_E_INVALID, "no value is refused");
    long_value[200] = '\0';
    tap_ok(bv_snapshot_set(snapshot, "long.value", long_value, NULL) == BV_OK,
           "a value of 200 bytes is not");
    tap_ok(bv_snapshot_get(snapshot, "key") == NULL, "what was refused is not there");
}

static void test_table(struct bv_snapshot *snapshot)
{
    tap_ok(bv_snapshot_set(snapshot, "b", "2", NULL) == BV_OK &&
               bv_snapshot_set(snapshot, "a", "1", NULL) == BV_OK &&
               bv_snapshot_set(snapshot, "c", "", NULL) == BV_OK,
           "facts in any order");
    tap_ok(bv_snapshot_set(snapshot, "b", "two", NULL) == BV_OK, "and again");
    tap_text(bv_snapshot_get(snapshot, "a"), "1", "found");
    tap_text(bv_snapshot_get(snapshot, "b"), "two", "replaced");
    tap_text(bv_snapshot_get(snapshot, "c"), "", "an empty value is a value");
    tap_ok(bv_snapshot_get(snapshot, "d") == NULL && bv_snapshot_get(snapshot, NULL) == NULL,
           "what was not probed is NULL");
    json_t *tree = bv_snapshot_to_json(snapshot);
    tap_ok(json_object_size(tree) == 4, "four facts in the document");
    json_decref(tree);
    struct bv_arena *arena = bv_arena_new(1u << 20);
    struct bv_snapshot *copy = bv_snapshot_copy(arena, snapshot);
    tap_ok(copy && copy->arena == NULL, "a copy lives in the arena that it was given");
    tap_text(bv_snapshot_get(copy, "b"), "two", "and holds the same");
    bv_arena_free(arena);
}

static void test_digest(void)
{
    char first[BV_DIGEST_TEXT_SIZE], second[BV_DIGEST_TEXT_SIZE], wanted[BV_DIGEST_TEXT_SIZE];
    static const char canonical[] = "{\"backend\":\"fake\",\"probed\":{\"a\":\"1\",\"b\":\"2\"}}";
    struct bv_snapshot *one = bv_snapshot_new(), *two = bv_snapshot_new();
    bool ok = bv_snapshot_set(one, "a", "1", NULL) == BV_OK &&
              bv_snapshot_set(one, "b", "2", NULL) == BV_OK &&
              bv_snapshot_set(two, "b", "2", NULL) == BV_OK &&
              bv_snapshot_set(two, "a", "1", NULL) == BV_OK;
    tap_ok(ok && bv_profile_digest("fake", one, first) && bv_profile_digest("fake", two, second),
           "two digests");
    tap_text(second, first, "the order of probing does not matter");
    bv_digest_bytes(canonical, sizeof(canonical) - 1, wanted);
    tap_text(first, wanted, "it is the hash of {backend, probed}");
    tap_ok(bv_profile_digest("other", one, second) && strcmp(first, second) != 0,
           "the backend matters");
    tap_ok(bv_snapshot_set(one, "a", "2", NULL) == BV_OK &&
               bv_profile_digest("fake", one, second) && strcmp(first, second) != 0,
           "a fact matters");
    bv_snapshot_free(one);
    bv_snapshot_free(two);
}

static void test_bound(void)
{
    struct bv_snapshot *snapshot = bv_snapshot_new();
    char key[16];
    bool ok = true;
    for (int i = 0; i < BV_SNAPSHOT_MAX_FACTS; i++) {
        (void)snprintf(key, sizeof(key), "k%d", (i * 37) % BV_SNAPSHOT_MAX_FACTS);
        ok = bv_snapshot_set(snapshot, key, "v", NULL) == BV_OK && ok;
    }
    tap_ok(ok, "%d facts fit", BV_SNAPSHOT_MAX_FACTS);
    tap_ok(bv_snapshot_set(snapshot, "one.more", "v", NULL) == BV_E_LIMIT, "one more does not");
    tap_ok(bv_snapshot_set(snapshot, "k0", "again", NULL) == BV_OK, "replacing still does");
    for (size_t i = 1; i < snapshot->count; i++) {
        ok = strcmp(bv_snapshot_at(snapshot, i - 1)->key, bv_snapshot_at(snapshot, i)->key) < 0 &&
             ok;
    }
    tap_ok(ok, "sorted and unique");
    bv_snapshot_free(snapshot);
    bv_snapshot_free(NULL);
}

int main(void)
{
    struct bv_snapshot *snapshot = bv_snapshot_new();
    test_rules(snapshot);
    test_table(snapshot);
    test_digest();
    test_bound();
    bv_snapshot_free(snapshot);
    return tap_done();
}
