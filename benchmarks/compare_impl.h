/* Shared by the files of the comparison; see compare.h. */
#ifndef WEFT_BENCHMARKS_COMPARE_IMPL_H
#define WEFT_BENCHMARKS_COMPARE_IMPL_H

#include "benchmarks/compare.h"
#include "benchmarks/setup.h"
#include "runtime/io/newfile.h"
#include "runtime/results/comparison.h"
#include "runtime/results/runfile.h"

typedef struct comparing {
    const compare_config *config;
    experiment e;
    newfile_claim claim; /* of the output */
    comparison *file;
    arch a;                         /* the model at hand                   */
    int data_leaves, tensor_leaves; /* of it                               */
    char run_path[4096]; /* a name that nobody else has; "": none yet      */
    int64_t judge_steps;
    double *judge_loss; /* of the model at hand */
    double *judge_norm;
    comparison_row *rows;
    int nrows;
    bool no_room[EXPERIMENT_MODELS_MAX]; /* models that nothing runs of    */
    int failed, disagree;
    int why;   /* code of the first that failed                              */
    int agree; /* the judge apart                                */
    /* Of those that ran without that promise (experiment_bits), how many and
     * their largest loss difference. */
    int loose[EXPERIMENT_BITS_COUNT];
    double differs[EXPERIMENT_BITS_COUNT];
    int cores;          /* of this host                                   */
    double matmul_rate; /* best with all of them, flop/s                  */
} comparing;

/* Fills what a run says of itself: losses, speed, shares, traffic, measures.
 * matmul_rate: of the host, flop/s, with all its cores; NaN: not known. */
MUST_USE status compare_describe(const run_summary *s, double matmul_rate,
                                 int cores, comparison_row *row);

/* Reads the run file into the row and compares with the judge; of the judge
 * itself it keeps the curve. */
MUST_USE status compare_measure(comparing *c, int index, comparison_row *row);
void compare_forget_judge(comparing *c);

/* Characters of the command that change from this model to the next one of
 * the experiment under the same set-up (Levenshtein); where the plan is
 * refused for the other model, under the nearest plan that works. -1: there
 * is no other model. */
int64_t compare_switch_distance(const comparing *c, int model, int index);

/* Adds the row to those that tables are printed from. */
MUST_USE status compare_keep(comparing *c, const comparison_row *row);
/* Between two losses: 0 for the same bits and for two that are no number,
 * whose sign and payload are nobody's result; NaN if one is. */
double compare_difference(double a, double b);
/* The larger one; a NaN is larger than any number. */
double compare_larger(double a, double b);

/* One line as soon as a set-up has been through. */
void compare_print_row(const comparing *c, int index,
                       const comparison_row *row);
MUST_USE status compare_print_model(const comparing *c, int model);
/* The closing line. */
void compare_print_end(const comparing *c);

#endif
