/*
 * What a job says on standard error: lines of its ranks, which go on to ours
 * as they come, and boxes of mpirun between two lines of dashes, which are
 * kept. A box tells which rank was ended by which signal, which no rank can;
 * of a job that has said why it ended it repeats that at length. What mpirun
 * says of signals that it hands on is kept, too.
 *
 * Plain struct in the caller's storage, words_fini. Local, one thread.
 */
#ifndef WEFT_APP_LAUNCH_WORDS_H
#define WEFT_APP_LAUNCH_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/text.h"

typedef struct job_words {
    strbuf line; /* begun, not ended                                       */
    strbuf box;  /* what mpirun has said so far                            */
    strbuf said; /* first line that is an error, without "weft: "          */
    bool in_box;
} job_words;

/* Takes `len` bytes; appends to `on` what is to go on. */
void words_take(job_words *w, const char *bytes, size_t len, strbuf *on);
/* The job has ended: a line without an end goes on, too. */
void words_end(job_words *w, strbuf *on);
/* Appends "rank 1 on node7 was ended by signal 9 (Killed)", if mpirun said so;
 * false if not. */
bool words_death(const job_words *w, strbuf *out);
void words_fini(job_words *w);

#endif
