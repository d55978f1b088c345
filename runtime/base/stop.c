#define _GNU_SOURCE
#include "runtime/base/stop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Only ever set by the handler. */
static volatile sig_atomic_t stopped_by;

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
    if (stopped_by != 0 && sig == SIGINT) {
        _exit(128 + SIGINT);
    }
    if (stopped_by == 0 && sig != answer_not_to) {
        say_answer();
    }
    stopped_by = sig;
}

void stop_catch(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
    struct sigaction sa;
    struct sigaction old;

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_signal;
    sa.sa_flags = SA_RESTART;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        const bool ignored =
            sigaction(signals[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN;
        if (signals[i] != SIGHUP || !ignored) {
            (void)sigaction(signals[i], &sa, NULL);
        }
    }
}

static void on_pipe(int sig)
{
    (void)sig; /* the write fails with EPIPE, that says it */
}

void stop_outlast_reader(void)
{
    struct sigaction sa;

    /* A handler, since SIG_IGN would be inherited. */
    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_pipe;
    sa.sa_flags = SA_RESTART;
    (void)sigaction(SIGPIPE, &sa, NULL);
}

void stop_answer(const char *line, bool alone)
{
    answer_bytes = strlen(line);
    answer_not_to = alone ? 0 : SIGTERM;
    answer = line;
    if (stopped_by != 0) {
        say_answer();
    }
}

bool stop_asked(void)
{
    return stopped_by != 0;
}

status stop_check(void)
{
    REQUIRE(stopped_by == 0, ST_SIGNAL,
            "stopped by a signal (%s); what was unfinished is removed",
            strsignal(stopped_by));
    return ST_OK;
}
