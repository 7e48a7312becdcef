/* tests/unit/test_place.c - JSON pointers: order, escapes, prefix, cut. */
#include "canon/place.h"

#include "support/tap.h"

int main(void)
{
    char text[192];
    struct bv_place root = BV_PLACE_ROOT("");
    struct bv_place list = BV_PLACE_KEY(&root, "a~b/c");
    struct bv_place item = BV_PLACE_INDEX(&list, 12);
    struct bv_place name = BV_PLACE_KEY(&item, "");
    bv_place_text(&root, text, sizeof(text));
    tap_text(text, "", "the root is the empty pointer");
    bv_place_text(&name, text, sizeof(text));
    tap_text(text, "/a~0b~1c/12/", "steps in order, escaped by RFC 6901");
    struct bv_place below = BV_PLACE_ROOT("/spec/x~1y");
    struct bv_place member = BV_PLACE_KEY(&below, "k");
    bv_place_text(&member, text, sizeof(text));
    tap_text(text, "/spec/x~1y/k", "a prefix is put before as it is");
    bv_place_text(NULL, text, sizeof(text));
    tap_text(text, "", "no place is empty");
    bv_place_text(&name, text, 5);
    tap_text(text, "/a~0", "cut to the room there is");
    struct bv_error error = { 0 };
    tap_ok(bv_fail_at(&error, BV_E_INVALID, &item, "wrong by %d", 3) == BV_E_INVALID,
           "bv_fail_at returns the status");
    tap_text(error.place, "/a~0b~1c/12", "and records the place");
    tap_text(error.text, "wrong by 3", "and the text");
    return tap_done();
}
