/* Shared by the files of a run; see run.h. */
#ifndef WEFT_TRAIN_RUN_IMPL_H
#define WEFT_TRAIN_RUN_IMPL_H

#include "runtime/exec/exec.h"
#include "runtime/math/pace.h"
#include "runtime/results/checkpoint.h"
#include "runtime/train/data.h"
#include "runtime/train/predict.h"
#include "runtime/train/run.h"
#include "runtime/train/state.h"

/* Bytes that a rank has moved so far. */
typedef struct train_traffic {
    int64_t loaded, drained;
    int64_t sent[GROUP_COUNT], received[GROUP_COUNT];
    int64_t *to; /* to each rank                                          */
} train_traffic;

typedef struct train {
    train_job *job;
    exec *e;
    train_data data;
    train_state state;
    runfile *file;   /* rank 0 */
    int64_t updates; /* steps that changed weights                        */
    int64_t first;   /* step to begin with                                  */
    int64_t step_allocs;
    run_ledger *ledgers; /* rank 0: one a rank                            */
    exec_ledger *gathered;
    train_traffic moved; /* by steps, once they are left                  */
    int64_t begin_ns;
    double wall_done; /* seconds in the steps so far, without the first    */
    int64_t timed;    /* how many those are                                */
    run_step *kept;   /* rank 0, for predictions: the steps after the first */
    int64_t nkept, kept_room;
    pace *pace; /* likewise: of products, now and then in these steps      */
    double pace_sum;
    int pace_count;   /* in this step so far                              */
    int64_t paced_ns; /* when the last was taken                          */
    double *paces;    /* means of steps                                   */
    int64_t npaces, paces_room;
} train;

/* report.c: terminal and results. */
MUST_USE status report_begin(train *t);
MUST_USE status report_step(train *t, int64_t step, const exec_result *r);
MUST_USE status report_validation(train *t, int64_t step, double loss);
MUST_USE status report_first_step(train *t, double seconds);
/* `ended`: how the steps did. Fails with that unless they were stopped in
 * order, or with what fails now. */
MUST_USE status report_end(train *t, status ended);

/* traffic.c. What is moved from traffic_leave to traffic_return, between steps
 * that are settled, is none of the steps'; after the last leave t->moved is
 * theirs. Local. */
MUST_USE status traffic_init(train *t);
void traffic_fini(train *t);
void traffic_leave(train *t);
void traffic_return(train *t);

/* predict.c: what the virtual clock says of the run. predict_between: takes
 * the pace of products, an exec_between of the train. predict_note: after each
 * step; the first is not compared. predict_run: collective; rank 0 gets *out,
 * the others zeros. Owns: *out, predict_fini. */
MUST_USE status predict_begin(train *t);
void predict_between(void *self, const prog_op *o);
MUST_USE status predict_note(train *t, bool first);
/* Rank 0, before a step is added to t->kept. */
MUST_USE status predict_room(train *t);
MUST_USE status predict_run(train *t, predicted *out);
/* Rank 0: fills the predictions of rows of rank r's trace. */
void predict_trace(const predicted *p, int r, run_trace *rows, int64_t n);

/* resume.c: weights from a seed or a file, and back. */
MUST_USE status resume_begin(train *t);
MUST_USE status resume_save(train *t, int64_t steps_done);

#endif
