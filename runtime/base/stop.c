#define _GNU_SOURCE
#include "runtime/base/stop.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stopped_by;

static void on_signal(int sig)
{
    if (stopped_by != 0 && sig == SIGINT) {
        _exit(128 + SIGINT);
    }
    stopped_by = sig;
}

void stop_catch(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa;
    struct sigaction old;

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_signal;
    sa.sa_flags = SA_RESTART;
    for (int i = 0; i < 3; i++) {
        const bool ignored =
            sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN;
        if (signals[i] != SIGHUP || !ignored) {
            (void)sigaction(signals[i], &sa, NULL);
        }
    }
}

status stop_check(void)
{
    REQUIRE(stopped_by == 0, ST_SIGNAL,
            "stopped by a signal (%s); what was unfinished is removed",
            strsignal(stopped_by));
    return ST_OK;
}
