/*
 * The figures that claims rest on, as ratios in one run: two set-ups take
 * turns, step by step, so that a machine whose speed drifts slows both; the
 * ratio is taken pair by pair and its median reported with its range.
 *
 * Before anything is timed the two must agree: losses bit for bit where sums
 * are exact, to 1e-5 where they are fast; else the figure is INVALID.
 * Local: no MPI.
 */
#ifndef WEFT_BENCHMARKS_FIGURES_H
#define WEFT_BENCHMARKS_FIGURES_H

#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/base/text.h"
#include "runtime/comm/comm.h"

typedef struct figures_config {
    const char *model;
    int64_t tokens; /* one sequence of so many */
    int64_t layers; /* 0: all                  */
    int64_t rounds; /* timed pairs             */
    int64_t device_memory;
    int threads; /* 0: all usable cores     */
    comm *self;  /* a world of one          */
} figures_config;

/* Share of the matmul rate, streamed against resident, exact sums against
 * fast, ledger's `other`: lines appended to out. Fails with ST_INTERNAL if a
 * result is wrong; a figure below its goal is no failure, it says so. */
MUST_USE status figures_run(const figures_config *c, strbuf *out);

#endif
