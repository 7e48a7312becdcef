/* tests/support/step_hook.c - the strong bv_step_hook(): counts the marks of base/step.h and, at the one that BVISOR_STEP names, kills this process
 * or its children. Only programs of the crash tests are linked with it.
 *
 * BVISOR_STEP=N:self|launcher: at the Nth mark. BVISOR_STEP_LOG: a file that gets the name of each mark, before anything is killed. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/step.h"

static void say(const char *name)
{
    static int fd = -1; /* opened once: a process that runs a guest confines itself, and opens nothing any more */
    const char *path = getenv("BVISOR_STEP_LOG");
    if (path && fd < 0) {
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        const int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 700); /* out of the way of the numbers that tests count */
        (void)close(fd);
        fd = high;
    }
    if (fd >= 0) {
        char line[100];
        int size = snprintf(line, sizeof line, "%s\n", name);
        (void)!write(fd, line, (size_t)size);
    }
}

static void kill_children(void)
{
    char text[4096] = "";
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (size < 0) {
        say("children cannot be read");
        return;
    }
    for (char *save = NULL, *item = strtok_r(text, " \n", &save); item; item = strtok_r(NULL, " \n", &save)) {
        say("killed");
        (void)kill((pid_t)strtol(item, NULL, 10), SIGKILL);
    }
}

void bv_step_hook(const char *name)
{
    static int count;
    const char *wanted = getenv("BVISOR_STEP");
    char *who = NULL;
    say(name);
    if (wanted && strtol(wanted, &who, 10) == ++count) {
        if (strcmp(who, ":launcher") == 0) {
            kill_children();
        } else {
            (void)raise(SIGKILL);
            __builtin_trap(); /* where the filter of a guest's process lets nobody signal */
        }
    }
}
