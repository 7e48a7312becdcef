/* test_cgroup_home.c - who may be moved down: only a process that is alone, only into a child that
 * tells its owner, and back again when no leaf needs it there. The moves themselves need root and a
 * v2 hierarchy; they are made by a child in a cgroup of its own. */
#include "backend/linux/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/tap.h"

static void test_alone(void)
{
    tap_ok(linux_only_process("", 5) && linux_only_process("5\n", 5), "nobody, or only itself");
    tap_ok(!linux_only_process("6\n", 5) && !linux_only_process("5\n6\n", 5) &&
               !linux_only_process("4\n5\n", 5) && !linux_only_process("55\n", 5),
           "anybody else counts");
    tap_ok(!linux_only_process("0\n", 5), "a process of another pid namespace shows as 0");
    tap_ok(!linux_only_process("5", 5), "a list that was cut off is not the whole list");
}

static void test_names(void)
{
    char name[128], dir[400], other[400];
    tap_ok(linux_leaf_name("host", name, sizeof(name)) == 0, "the child's name: %s", name);
    snprintf(dir, sizeof(dir), "/sys/fs/cgroup/a/%s", name);
    linux_cgroup_home_of(dir);
    tap_ok(strcmp(dir, "/sys/fs/cgroup/a") == 0, "the own cgroup is the one above: %s", dir);
    snprintf(other, sizeof(other), "/sys/fs/cgroup/a/%s1", name);
    snprintf(dir, sizeof(dir), "%s", other);
    linux_cgroup_home_of(dir);
    tap_ok(strcmp(dir, other) == 0, "another process's is not ours");
    snprintf(dir, sizeof(dir), "/sys/fs/cgroup/%s/b", name);
    snprintf(other, sizeof(other), "%s", dir);
    linux_cgroup_home_of(dir);
    tap_ok(strcmp(dir, other) == 0, "nor is one below it");
    tap_ok(linux_leaf_is_home(name) && !linux_leaf_is_home("bvisor-0123.4.5.6"),
           "and a leaf is none of these");
}

/* What the child found, told by its exit status. */
enum { MOVED, NO_PLACE, NOT_ALONE, NOT_DOWN, NOT_FOUND, MOVED_WHILE_HELD, NOT_BACK, LITTER };

static bool same_dir(const char *dir)
{
    struct linux_cgroups cgroups;
    return linux_cgroups_find_raw(&cgroups) == 0 &&
           strcmp(cgroups.at[CGROUP_CORE].dir, dir) == 0;
}

static int move(const char *dir)
{
    struct linux_cgroups cgroups;
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || linux_write_at(fd, "cgroup.procs", "0") != 0) {
        return NO_PLACE;
    }
    if (linux_cgroup_may_divide(fd) != 0) {
        return NOT_ALONE;
    }
    if (linux_cgroup_move_down(dir) != 0 || linux_cgroup_move_down(dir) != 0 || same_dir(dir)) {
        return NOT_DOWN;
    }
    if (linux_cgroups_find(&cgroups) != 0 || strcmp(cgroups.at[CGROUP_CORE].dir, dir) != 0) {
        return NOT_FOUND;
    }
    const int held = linux_cgroup_hold_home();
    linux_cgroup_move_back();
    if (held < 0 || same_dir(dir)) {
        return MOVED_WHILE_HELD;
    }
    close(held);
    linux_cgroup_move_back();
    if (!same_dir(dir)) {
        return NOT_BACK;
    }
    struct stat status;
    /* The link count of a cgroup is 2 and one for each child. */
    return stat(dir, &status) == 0 && status.st_nlink == 2 ? MOVED : LITTER;
}

static void test_moves(void)
{
    struct linux_cgroups cgroups;
    char dir[600], name[64];
    int status = 0;
    snprintf(name, sizeof(name), "bvt-home-%d", (int)getpid());
    if (geteuid() != 0 || linux_cgroups_find(&cgroups) != 0 ||
        cgroups.at[CGROUP_CORE].version != LINUX_CONTROLLER_V2) {
        tap_skip("moving down needs root and a v2 hierarchy");
        return;
    }
    snprintf(dir, sizeof(dir), "%s/%s", cgroups.at[CGROUP_CORE].dir, name);
    if (mkdir(dir, 0755) != 0) {
        tap_skip("no cgroup can be made here: %s", strerror(errno));
        return;
    }
    const int own = open(cgroups.at[CGROUP_CORE].dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const bool root = faccessat(own, "cgroup.type", F_OK, 0) != 0;
    tap_ok(root || linux_cgroup_may_divide(own) == -EBUSY || linux_cgroup_may_divide(own) == 0,
           "a cgroup with others in it is busy, not taken");
    close(own);
    const pid_t pid = fork();
    if (pid == 0) {
        _exit(move(dir));
    }
    (void)waitpid(pid, &status, 0);
    tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == MOVED,
           "alone it moves down, stays while a leaf lives, moves back and leaves nothing (%d)",
           WEXITSTATUS(status));
    tap_ok(linux_leaf_rmdir(cgroups.at[CGROUP_CORE].dir, name, 2000) == 0, "its cgroup is empty");
}

int main(void)
{
    test_alone();
    test_names();
    test_moves();
    return tap_done();
}
