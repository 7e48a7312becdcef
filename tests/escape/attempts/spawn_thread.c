/* spawn_thread NAME - makes a thread; it wears NAME for half a second. ATTACKS 58 and 59. */
#include "../attempt.h"

#include <pthread.h>

static void *body(void *name)
{
    wear_name(name);
    pause_millis(500);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    attempt_runs();
    errno = pthread_create(&thread, NULL, body, argc > 1 ? argv[1] : argv[0]);
    note("pthread_create", errno == 0 ? 0 : -1);
    if (errno == 0) {
        (void)pthread_join(thread, NULL);
    }
    return 0;
}
