/* tests/unit/test_shape.c - the shapes of hashes, ids and objects that come from outside. */
#include "contract/shape.h"

#include "support/tap.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

int main(void)
{
    static const char *const keys[] = { "a", "b" };
    tap_ok(bv_shape_digest("sha256:" HEX64), "a digest");
    tap_ok(!bv_shape_digest(NULL) && !bv_shape_digest("") && !bv_shape_digest(HEX64), "no digest");
    tap_ok(!bv_shape_digest("sha256:" HEX64 "0") && !bv_shape_digest("sha512:" HEX64),
           "too long, another hash");
    tap_ok(
        !bv_shape_digest("sha256:A123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        "upper case");
    tap_ok(bv_shape_hex("00ff", 4) && !bv_shape_hex("00fg", 4) && !bv_shape_hex("00f", 4) &&
               !bv_shape_hex(NULL, 0),
           "hex digits");
    json_t *object = json_pack("{s:i}", "a", 1);
    tap_ok(bv_shape_keys(object, keys, 2), "a key may be absent");
    (void)json_object_set_new(object, "c", json_null());
    tap_ok(!bv_shape_keys(object, keys, 2), "an unknown key is seen");
    tap_ok(!bv_shape_keys(NULL, keys, 2) && !bv_shape_keys(json_null(), keys, 2), "no object");
    json_decref(object);
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        { "{\"a\":[1,true,null,\"\\n\",{}]}", true },
        { "[\"\177\"]", false },
        { "{\"\303\251\":1}", false },
        { "{\"\177\":1}", false },
        { "[[{\"a\":\"\\u007f\"}]]", false },
        { "[1.5]", false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *value = json_loads(rows[i].text, 0, NULL);
        tap_ok(value && bv_shape_canonical(value) == rows[i].good, "value %zu %s a canonical form",
               i, rows[i].good ? "has" : "has not");
        json_decref(value);
    }
    return tap_done();
}
