#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "runtime/train/run.h"

/* Only ever set by the handler; read at step boundaries. */
static volatile sig_atomic_t stop_asked;

/* Set once, before a handler may read it; the length is set first. */
static volatile size_t answer_bytes;
static volatile sig_atomic_t answer_not_to; /* a signal, or 0              */
static const char *volatile answer;

/* write is safe in a handler; nobody to hear it is no error. */
static void say_answer(void)
{
    int kept = errno; /* of what was interrupted */
    if (answer != NULL && write(STDERR_FILENO, answer, answer_bytes) < 0) {
        answer = NULL;
    }
    errno = kept;
}

static void on_signal(int sig)
{
    if (stop_asked && sig == SIGINT) {
        _exit(128 + SIGINT);
    }
    if (!stop_asked && sig != answer_not_to) {
        say_answer();
    }
    stop_asked = 1;
}

void train_answer_signals(const char *line, bool alone)
{
    answer_bytes = strlen(line);
    answer_not_to = alone ? 0 : SIGTERM;
    answer = line;
    if (stop_asked) {
        say_answer();
    }
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
