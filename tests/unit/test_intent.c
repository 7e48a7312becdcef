/* tests/unit/test_intent.c - from a spec to decisions: every family decided, roots united, requirements listed. */
#include "contract/intent.h"

#include "base/check.h"
#include "support/fake.h"
#include "support/tap.h"

static struct bv_arena *arena;

static struct bv_intent build(const struct request *request)
{
    struct bv_intent intent;
    memset(&intent, 0, sizeof(intent));
    tap_ok(bv_intent_build(arena, &request->spec, &intent), "an intent");
    return intent;
}

static void test_nothing_granted(void)
{
    static struct request request;
    request_init(&request);
    struct bv_intent intent = build(&request);
    tap_ok(intent.launch && intent.root_count == 0 && intent.env_count == 0 &&
               intent.fd_count == 0 && intent.expose_count == 0,
           "nothing is granted that was not asked for");
    tap_ok(intent.network == BV_NETWORK_DENY_ALL && intent.spawn == BV_SPAWN_DENY_NEW_TASKS &&
               !intent.temp_root && !intent.staged,
           "the strictest policies");
    tap_ok(intent.capture.out && intent.capture.err && !intent.capture.in && intent.kill_atomic,
           "controls are taken over");
    tap_ok(intent.workload == &request.spec.workload, "the workload is the spec's");
    tap_ok(intent.budgets[BV_HANDLE_COUNT].limit == 64, "so are the budgets");
}

static void test_roots(void)
{
    static struct request request;
    static const char *const first[] = { "/usr", "/a" }, *const second[] = { "/a/b", "/usr" };
    request_init(&request);
    request_capability(&request, (struct bv_capability){
                                     .kind = BV_CAP_FILESYSTEM,
                                     .u.filesystem = { BV_ACCESS_READ, true, false, first, 2 } });
    request_capability(&request, (struct bv_capability){
                                     .kind = BV_CAP_FILESYSTEM,
                                     .u.filesystem = { BV_ACCESS_WRITE, false, true, second, 2 } });
    struct bv_intent intent = build(&request);
    tap_ok(intent.root_count == 3, "equal roots unite");
    tap_text(intent.roots[0].path, "/a", "sorted");
    tap_text(intent.roots[1].path, "/a/b", "sorted");
    const struct bv_root *usr = &intent.roots[2];
    tap_ok(usr->access == BV_ACCESS_READ_WRITE && usr->execute && usr->recursive,
           "in access, execute and recursion");
    tap_ok(bv_intent_root_of(&intent, "/a/b/c") == &intent.roots[1],
           "the most specific root decides");
    tap_ok(bv_intent_root_of(&intent, "/a/bc") == &intent.roots[0], "by whole components");
    tap_ok(bv_intent_root_of(&intent, "/ab") == NULL && bv_intent_root_of(&intent, "/") == NULL,
           "outside is outside");
    tap_ok(bv_intent_writes_roots(&intent) && !bv_intent_writes_exposed(&intent),
           "write access counts as writing");
    tap_ok(bv_path_is_inside("/x", "/") && bv_path_is_inside("/x", "/x") &&
               !bv_path_is_inside("/x", "/x/y"),
           "inside means inside");
}

static void test_controls(void)
{
    static struct request request;
    static const char *const root[] = { "/srv/out" };
    static const int32_t fds[] = { 9, 3, 5 };
    request_init(&request);
    request_drop(&request, BV_CTL_KILL);
    request_capability(&request, (struct bv_capability){ .kind = BV_CAP_INHERITED_FDS,
                                                         .u.inherited_fds = { fds, 3 } });
    request_control(&request,
                    (struct bv_control){ .kind = BV_CTL_EXPOSE_PATH,
                                         .u.expose = { "/data", "/z", BV_ACCESS_READ_WRITE } });
    request_control(&request, (struct bv_control){ .kind = BV_CTL_EXPOSE_PATH,
                                                   .u.expose = { "/data", "/b", BV_ACCESS_READ } });
    request_control(&request, (struct bv_control){ .kind = BV_CTL_LIST_OUTPUTS });
    struct bv_intent intent = build(&request);
    tap_ok(intent.fd_count == 3 && intent.fds[0] == 3 && intent.fds[2] == 9, "descriptors ascend");
    tap_ok(intent.expose_count == 2 && strcmp(intent.exposes[0].dest, "/b") == 0,
           "exposed paths are sorted by destination");
    tap_ok(bv_intent_writes_exposed(&intent), "a writable exposed path is seen");
    tap_ok(intent.list_outputs && !intent.staged, "without a writable root nothing is staged");
    tap_ok(!intent.kill_atomic, "no kill control, no demand");
    request_grant(&request, root, BV_ACCESS_READ_WRITE, false);
    request_capability(&request,
                       (struct bv_capability){ .kind = BV_CAP_CHILD_SPAWN,
                                               .u.child_spawn = BV_SPAWN_ALLOW_DESCENDANTS });
    intent = build(&request);
    tap_ok(intent.staged, "with one it is");
    tap_ok(intent.kill_atomic, "descendants demand an atomic kill");
}

static void test_temp_root(void)
{
    static struct request request;
    request_init(&request);
    request_control(&request, (struct bv_control){ .kind = BV_CTL_TEMP_ROOT });
    tap_ok(build(&request).temp_bytes == 1u << 20, "an unsized temp root has the storage limit");
    request.spec.budgets[BV_STORAGE_BYTES].limit = BV_UNLIMITED;
    tap_ok(build(&request).temp_bytes == BV_TEMP_DEFAULT_BYTES, "or 256 MiB at most");
    request_drop(&request, BV_CTL_TEMP_ROOT);
    request_control(&request,
                    (struct bv_control){ .kind = BV_CTL_TEMP_ROOT, .u.temp_root = { true, 5000 } });
    tap_ok(build(&request).temp_bytes == 5000, "a size that is asked for");
    request.spec.budgets[BV_STORAGE_BYTES].limit = 4000;
    tap_ok(build(&request).temp_bytes == 4000, "is bounded by the storage limit");
}

static void test_empty_list(void)
{
    static struct request request;
    struct requirement_list list;
    request_init(&request);
    request_capability(&request,
                       (struct bv_capability){ .kind = BV_CAP_NETWORK,
                                               .u.network = { BV_NETWORK_ALLOW_LIST, NULL, 0 } });
    tap_ok(build(&request).network == BV_NETWORK_DENY_ALL, "an empty allow list allows nothing");
    tap_ok(bv_requirements_list(arena, &request.spec, NULL, &list) &&
               list.item[0].kind == BV_REQ_NETWORK_DENY_ALL,
           "and is judged so");
}

static size_t count_of(const struct requirement_list *list, enum bv_requirement_kind kind,
                       bool implied)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        count += list->item[i].kind == kind && list->item[i].implied == implied;
    }
    return count;
}

static void test_requirements(void)
{
    static struct request request;
    static const char *const root[] = { "/usr" };
    struct requirement_list list;
    request_init(&request);
    tap_ok(bv_requirements_list(arena, &request.spec, "/opt/app/bin/tool-1.2", &list), "a list");
    tap_ok(list.count == 3 + 6, "three controls and six implied denials");
    tap_ok(count_of(&list, BV_REQ_LAUNCH_WORKLOAD, false) == 1, "the launch is explicit");
    tap_ok(count_of(&list, BV_REQ_FILESYSTEM, true) == 2, "no path but the program's");
    tap_ok(count_of(&list, BV_REQ_NETWORK_DENY_ALL, true) == 1 &&
               count_of(&list, BV_REQ_SPAWN_DENY_NEW_TASKS, true) == 1 &&
               count_of(&list, BV_REQ_ENVIRONMENT, true) == 1 &&
               count_of(&list, BV_REQ_INHERITED_FDS_NONE, true) == 1,
           "the rest denied");
    const struct bv_requirement *exe = &list.item[list.count - 1];
    tap_ok(exe->capability->u.filesystem.execute && !exe->capability->u.filesystem.recursive,
           "the program may be executed");
    tap_text(exe->capability->u.filesystem.roots[0], "/opt/app/bin/tool-1.2", "at its own path");
    request_grant(&request, root, BV_ACCESS_READ, true);
    tap_ok(bv_requirements_list(arena, &request.spec, "/usr/bin/tool", &list) &&
               count_of(&list, BV_REQ_FILESYSTEM, true) == 1,
           "the program is implied even below a root");
    request_drop(&request, BV_CTL_LAUNCH_WORKLOAD);
    tap_ok(bv_requirements_list(arena, &request.spec, "", &list) && list.count == 3 &&
               !bv_spec_launches(&request.spec),
           "without a launch nothing is implied");
}

int main(void)
{
    arena = bv_arena_new(4u << 20);
    test_nothing_granted();
    test_roots();
    test_controls();
    test_temp_root();
    test_empty_list();
    test_requirements();
    bv_arena_free(arena);
    return tap_done();
}
