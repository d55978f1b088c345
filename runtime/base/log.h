/*
 * What Weft says, and where.
 *
 *   log_out    the product of a command (tables, step lines): stdout, rank 0
 *   log_error  "weft: ..."           stderr, every rank
 *   log_warn   "weft: warning: ..."  stderr, every rank
 *   log_info   plain line            stderr, rank 0
 *   log_debug  "weft: debug: ..."    stderr, every rank
 *
 * Ranks other than 0 name themselves ("weft: rank 2: ..."). All but log_out
 * obey the level and add the newline themselves; log_out prints exactly what
 * it is given. Every call writes whole lines, so that lines of several ranks
 * do not mix. Local, any thread. log_init is called once, early; before it,
 * rank is 0 and the level LOG_INFO.
 */
#ifndef WEFT_BASE_LOG_H
#define WEFT_BASE_LOG_H

#include <stdbool.h>

#include "runtime/base/status.h"

typedef enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG } log_level;

#define LOG_PRINTF __attribute__((format(printf, 1, 2)))

void log_init(int rank, log_level level);

void log_out(const char *fmt, ...) LOG_PRINTF;
void log_error(const char *fmt, ...) LOG_PRINTF;
void log_warn(const char *fmt, ...) LOG_PRINTF;
void log_info(const char *fmt, ...) LOG_PRINTF;
void log_debug(const char *fmt, ...) LOG_PRINTF;

/* A line that the next one overwrites (progress), only where stderr is a
 * terminal and on rank 0; elsewhere nothing. */
void log_progress(const char *fmt, ...) LOG_PRINTF;
/* True on rank 0 if stderr is a terminal: log_progress shows something. */
bool log_has_progress(void);

/* Standard output took no more, for this reason (errno). If nobody reads it
 * any more that is said, once, and is no failure: the work goes on. log_out
 * calls it; others who write there by themselves do. */
void log_lost(int why);
/* At the end: writes what is left in the buffer. Fails with ST_IO if anything
 * was lost that somebody waits for. */
MUST_USE status log_finish(void);

/* Prints "weft: <text of st>" once for the whole job: rank 0 prints, other
 * ranks only if the error is theirs alone (not handed over by status_set, as
 * comm_agree does). Nothing for ST_OK, and nothing for an error handed over
 * without a text: who handed it over has said it. */
void log_error_line(status st);

#endif
