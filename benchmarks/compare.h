/*
 * The comparison: the same model, data and bits, trained by every set-up of
 * an experiment, one after another, side by side.
 *
 * A set-up is checked first (rules, memory bound, compile); what cannot run
 * is a row with its reasons. The others are launched one after another, so
 * that none disturbs another, each as a job of its own or on the first ranks
 * of a job that is there, and their run files are read back: loss curve,
 * agreement with the judge (plan dp1), memory, throughput, bytes, ledger and
 * what it took to set up. Where ranks share cores a rate of wall time would
 * be the machine's, not the set-up's: such rows count tokens per second of
 * CPU time, and say so.
 *
 * Local, in one process; of a job, on rank 0 alone.
 */
#ifndef WEFT_BENCHMARKS_COMPARE_H
#define WEFT_BENCHMARKS_COMPARE_H

#include "benchmarks/experiment.h"
#include "runtime/base/status.h"

/* Runs `weft words...` (NULL-terminated) as that many ranks; what it ended
 * with goes into *code. Is that not 0, status_text() is the line that it said
 * of it, "" if there is none. */
typedef status (*compare_launch)(void *self, const char *const *words,
                                 int ranks, int *code);

typedef struct compare_config {
    const char *experiment; /* JSON file */
    const char *data;       /* in place of the experiment's, or NULL */
    const char *out;        /* comparison file */
    const char *machine;    /* in place of the experiment's, or NULL */
    const char *cmdline;
    compare_launch launch;
    void *self;    /* handed to launch                                     */
    int ranks_max; /* that launch can have; 0: any number                  */
} compare_config;

/* Runs everything, prints tables as results come, writes the file. Fails if
 * a set-up that was not refused fails, or disagrees with the judge though it
 * promises its bits (experiment_promise): with the first one's code, or with
 * ST_INTERNAL. A model of which this machine has no memory for the judge has
 * rows that say so. */
MUST_USE status compare_run(const compare_config *c);

#endif
