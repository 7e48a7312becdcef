/* tests/unit/test_copy.c - a copied spec says the same and shares nothing with its source. */
#include "contract/copy.h"

#include "support/fake.h"
#include "support/tap.h"

/* Texts and lists on the heap, so that they can be spoiled after copying. */
static char texts[12][32];

static const char *text(unsigned index, const char *source)
{
    (void)snprintf(texts[index], sizeof(texts[index]), "%s", source);
    return texts[index];
}

int main(void)
{
    static struct request request;
    request_init(&request);
    const char *roots[] = { text(0, "/srv/in"), text(1, "/srv/out") },
               *args[] = { text(2, "one"), text(3, "two") };
    struct bv_destination destinations[] = { { text(4, "example.org"), 443 } };
    struct bv_env_entry env[] = { { text(5, "LANG"), text(6, "C"), NULL },
                                  { text(7, "TOKEN"), NULL, text(8, "ci/token") } };
    int32_t fds[] = { 7, 3 };
    request.spec.workload.args = args;
    request.spec.workload.path = text(9, "/bin/tool");
    request_capability(&request, (struct bv_capability){
                                     .kind = BV_CAP_FILESYSTEM,
                                     .u.filesystem = { BV_ACCESS_READ, true, true, roots, 2 } });
    request_capability(&request, (struct bv_capability){
                                     .kind = BV_CAP_NETWORK,
                                     .u.network = { BV_NETWORK_ALLOW_LIST, destinations, 1 } });
    request_capability(&request, (struct bv_capability){ .kind = BV_CAP_ENVIRONMENT,
                                                         .u.environment = { env, 2 } });
    request_capability(&request, (struct bv_capability){ .kind = BV_CAP_INHERITED_FDS,
                                                         .u.inherited_fds = { fds, 2 } });
    request_capability(&request, (struct bv_capability){ .kind = BV_CAP_CHILD_SPAWN,
                                                         .u.child_spawn = BV_SPAWN_ALLOW_THREADS });
    request_control(&request, (struct bv_control){ .kind = BV_CTL_EXPOSE_PATH,
                                                   .u.expose = { text(10, "/data"), text(11, "/in"),
                                                                 BV_ACCESS_READ } });

    struct bv_arena *arena = bv_arena_new(1u << 20);
    struct bv_spec copy;
    struct bv_buf before, after;
    bv_buf_init(&before, 1u << 20);
    bv_buf_init(&after, 1u << 20);
    bv_spec_emit(&before, &request.spec);
    tap_ok(bv_spec_copy(arena, &request.spec, &copy), "copied");
    memset(texts, 'x', sizeof(texts) - 1);
    memset(fds, 0, sizeof(fds));
    memset(&request, 0, sizeof(request));
    memset(destinations, 0, sizeof(destinations));
    memset(env, 0, sizeof(env));
    bv_spec_emit(&after, &copy);
    tap_ok(!before.failed && !after.failed && strcmp(before.data, after.data) == 0,
           "the copy says what the source said, which is gone");
    bv_buf_done(&before);
    bv_buf_done(&after);

    static const unsigned char module[] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };
    struct bv_spec wasm = { .workload = { .kind = BV_WORKLOAD_WASM,
                                          .module_bytes = module,
                                          .module_size = sizeof(module) } };
    tap_ok(bv_spec_copy(arena, &wasm, &copy) && copy.workload.module_bytes != module &&
               memcmp(copy.workload.module_bytes, module, sizeof(module)) == 0,
           "module bytes are copied, too");
    struct bv_arena *small = bv_arena_new(16);
    tap_ok(!bv_spec_copy(small, &wasm, &copy) || wasm.workload.module_size <= 16,
           "an arena that is full says so");
    struct bv_spec large = { .workload = { .path = "/a/path/of/more/than/sixteen/bytes" } };
    tap_ok(!bv_spec_copy(small, &large, &copy), "for a text as well");
    bv_arena_free(small);
    bv_arena_free(arena);
    return tap_done();
}
