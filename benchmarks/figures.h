/*
 * The figures that claims rest on, as ratios in one run: two set-ups take
 * turns, step by step, so that a machine whose speed drifts slows both; the
 * ratio is taken pair by pair and its median reported with its range.
 *
 * Before anything is timed the two must agree: losses bit for bit where sums
 * are exact, to 1e-5 where they are fast, to 1e-4 between reference and fast
 * kernels; else the figure is INVALID. Local.
 */
#ifndef WEFT_BENCHMARKS_FIGURES_H
#define WEFT_BENCHMARKS_FIGURES_H

#include <stdint.h>

#include "benchmarks/compare.h"
#include "runtime/base/status.h"
#include "runtime/base/text.h"
#include "runtime/comm/comm.h"

typedef enum figures_which {
    FIGURE_STEP,      /* share of the matmul rate; ledger's `other`      */
    FIGURE_STREAMED,  /* streamed against resident                       */
    FIGURE_SUMS,      /* exact sums against fast                         */
    FIGURE_REFERENCE, /* fast kernels against the reference: slow         */
    FIGURE_COUNT
} figures_which;

typedef struct figures_config {
    const char *model;
    int64_t tokens; /* one sequence of so many */
    int64_t layers; /* 0: all                  */
    int64_t rounds; /* timed pairs             */
    int64_t device_memory;
    int threads; /* 0: all usable cores     */
    comm *self;  /* a world of one          */
} figures_config;

/* One figure: lines appended to out. Fails with ST_INTERNAL if a result is
 * wrong; a figure below its goal is no failure, it says so. One that is too
 * noisy to say anything is INVALID and counted in *noisy. */
MUST_USE status figures_run(const figures_config *c, figures_which which,
                            strbuf *out, int *noisy);

/* Two ranks of one thread against one rank of two, by comparing the set-ups
 * of the experiment at `path` `rounds` times: "one" is the base; where the plan
 * has a pipeline its bubble is taken out. `data` is in place of the
 * experiment's, or NULL. Comparisons lie for the time being in a folder of
 * their own in dir. Needs no MPI in this process. */
MUST_USE status figures_ranks(const char *path, const char *data,
                              int64_t rounds, const char *dir,
                              compare_launch launch, strbuf *out, int *noisy);

#endif
