/*
 * Being stopped. A signal is noticed where work is done in pieces: training
 * asks at a step's boundary and saves (runtime/train/run.h); of commands that
 * make a file and have nothing to save, the piece fails with ST_SIGNAL, and
 * what was begun is removed like after any failure.
 *
 * A registry of one flag, set by the handler. stop_catch is called once, by a
 * command, from the main thread; what is asked from any thread. Local.
 */
#ifndef WEFT_BASE_STOP_H
#define WEFT_BASE_STOP_H

#include <stdbool.h>

#include "runtime/base/status.h"

/* Takes over SIGINT, SIGTERM, SIGUSR1 and, unless it is ignored (nohup),
 * SIGHUP of this process. A second SIGINT ends it at once. */
void stop_catch(void);

/* What this process says at the first of them, since a step may be long: a
 * whole line. A rank of several (alone: false) is silent at SIGTERM, by which
 * mpirun ends a job that has lost a rank. Borrows the line for good. */
void stop_answer(const char *line, bool alone);

/* From now on this process outlives who reads its standard output (head,
 * less): a write fails and no longer kills, and what it would have said is
 * dropped (runtime/base/log.h). What it starts by exec does not inherit that.
 * From the main thread, before there are others. */
void stop_outlast_reader(void);

/* Without stop_catch: never. */
bool stop_asked(void);

/* ST_SIGNAL once a signal has come. */
MUST_USE status stop_check(void);

#endif
