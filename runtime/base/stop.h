/*
 * Being stopped, for commands that make a file and have nothing to save: a
 * signal is noticed where work is done in pieces, the piece fails with
 * ST_SIGNAL, and what was begun is removed like after any failure. (Training
 * saves first: runtime/train/run.h.)
 *
 * A registry of one flag, set by the handler. stop_catch is called once, by a
 * command, from the main thread; stop_check from any thread.
 */
#ifndef WEFT_BASE_STOP_H
#define WEFT_BASE_STOP_H

#include "runtime/base/status.h"

/* Takes over SIGINT, SIGTERM and, unless it is ignored (nohup), SIGHUP. A
 * second SIGINT ends the process at once. Local. */
void stop_catch(void);

/* ST_SIGNAL once a signal has come. Without stop_catch always ST_OK. */
MUST_USE status stop_check(void);

#endif
