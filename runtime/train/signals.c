#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "runtime/train/run.h"

/* Only ever set by the handler; read at step boundaries. */
static volatile sig_atomic_t stop_asked;

static void on_signal(int sig)
{
    if (stop_asked && sig == SIGINT) {
        _exit(128 + SIGINT);
    }
    stop_asked = 1;
}

void train_catch_signals(void)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_signal;
    sa.sa_flags = SA_RESTART;
    (void)sigaction(SIGINT, &sa, NULL);
    (void)sigaction(SIGTERM, &sa, NULL);
    (void)sigaction(SIGUSR1, &sa, NULL);
    /* A terminal that is closed; nohup has asked to ignore that. */
    struct sigaction old;
    if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
        (void)sigaction(SIGHUP, &sa, NULL);
    }
}

bool train_stop_asked(void)
{
    return stop_asked != 0;
}
