/*
 * The comparison: the same model, data and bits, trained by every set-up of
 * an experiment, each in a job of its own, side by side.
 *
 * A set-up is checked first (rules, memory bound, compile); what cannot run
 * is a row with its reasons. The others are launched one after another, so
 * that none disturbs another, and their run files are read back: loss curve,
 * agreement with the judge (plan dp1), memory, throughput, bytes, ledger and
 * what it took to set up. Where ranks share cores a rate of wall time would
 * be the machine's, not the set-up's: such rows count tokens per second of
 * CPU time, and say so.
 *
 * Local, in a process that is not a rank.
 */
#ifndef WEFT_BENCHMARKS_COMPARE_H
#define WEFT_BENCHMARKS_COMPARE_H

#include "benchmarks/experiment.h"
#include "runtime/base/status.h"

/* Runs `weft words...` (NULL-terminated) as that many ranks. */
typedef status (*compare_launch)(const char *const *words, int ranks,
                                 bool quiet, int *code);

typedef struct compare_config {
    const char *experiment; /* JSON file */
    const char *out;        /* comparison file */
    const char *cmdline;
    compare_launch launch;
} compare_config;

/* Runs everything, prints tables as results come, writes the file. Fails if
 * a set-up that was not refused fails, or disagrees with the judge though its
 * sums are exact. */
MUST_USE status compare_run(const compare_config *c);

#endif
