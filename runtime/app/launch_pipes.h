/*
 * Where a job's words go: pipes from the process that runs it to this one,
 * which writes them on. mpirun does not say that its standard output is full
 * or closed, so that is a pipe unless it goes nowhere; and its standard error
 * is one, because its own boxes are kept (launch_words.h).
 *
 * Plain struct in the caller's storage, pipes_fini. Local; one thread, and
 * the child for pipes_become.
 */
#ifndef WEFT_APP_LAUNCH_PIPES_H
#define WEFT_APP_LAUNCH_PIPES_H

#include <stdbool.h>

#include "runtime/app/launch_words.h"
#include "runtime/base/status.h"

typedef struct job_pipes {
    int out[2], err[2]; /* to read, to write; -1: there is none             */
    job_words said;     /* after pipes_pass_on                             */
    int unwritten;      /* errno of the first write to stdout that failed  */
} job_pipes;

/* out: stdout is passed on, else it goes nowhere. err: stderr is heard, else
 * the child keeps ours. Owns: *p. Fails with ST_SYSTEM. */
MUST_USE status pipes_init(job_pipes *p, bool out, bool err);
/* In the child: its standard output and error; `null` where stdout goes if
 * nowhere. */
void pipes_become(const job_pipes *p, int null);
/* In this process: blocks until the child and all of its own have closed
 * them. After a failed write it still reads, so that the job ends as it would
 * have. */
void pipes_pass_on(job_pipes *p);
void pipes_fini(job_pipes *p);

#endif
