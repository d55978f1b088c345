/*
 * Shared by the files of the checks. Each check trusts nothing that the
 * planner derived: it reads the finished program alone.
 *
 *   check.c         shapes of views, waits, sums by leaves
 *   check_written.c nothing is read that was not written
 *   check_order.c   placement, and order between streams
 *   check_set.c     messages and collectives of a set
 *   check_run.c     deadlock
 */
#ifndef WEFT_PROGRAM_CHECK_IMPL_H
#define WEFT_PROGRAM_CHECK_IMPL_H

#include "runtime/program/program.h"

/* What a message says about an operation or buffer; use it in the same
 * expression. */
typedef struct check_text {
    char s[160];
} check_text;
check_text check_op_text(const program *p, int32_t i);
check_text check_buf_text(const program *p, int32_t b);

/* What a run executes: the whole step, or, for validation, the operations of
 * PHASE_FORWARD and the clip operation, which also adds up the loss. */
typedef enum check_run { RUN_STEP, RUN_FORWARD } check_run;
bool check_takes(const prog_op *o, check_run run);

/* The accumulator of an operation's view v, or NULL. */
const prog_stack *check_stack_of(const program *p, const prog_op *o, int32_t v);
/* Planes in use before and after the operation: the first are read, the
 * second written. Of a view without accumulator: 1 where it is read or
 * written, else 0. */
int check_planes_read(const program *p, const prog_op *o, int32_t v);
int check_planes_written(const program *p, const prog_op *o, int32_t v);
/* One past the last float that view v touches, all planes; messages also
 * carry the padding of their last row. */
int64_t check_view_end(const program *p, const prog_op *o, int32_t v);

MUST_USE status check_written(const program *p, check_run run);
MUST_USE status check_places(const program *p, int64_t budget_bytes);
MUST_USE status check_order(const program *p, check_run run);

/* --- a set of ranks --- */

/* A rank's place in one of its groups. */
typedef struct check_member {
    int32_t group; /* number among groups of its kind, -1: in none */
    int32_t index;
    int32_t size;
} check_member;

typedef struct check_grid {
    const program_set *set;
    int32_t data, pipe, tensor;
    int32_t *rank_at; /* by (d * pipe + k) * tensor + t */
} check_grid;

const program *check_program_of(const program_set *set, int32_t r);
/* "rank 3 (class 1), operation 7 (send on pipe_out)". */
check_text check_where(const program_set *set, int32_t r, int32_t i);
check_member check_member_of(const check_grid *g, int32_t r, op_group kind);
/* Runs all ranks symbolically to the end of the run; fails where they get
 * stuck. */
MUST_USE status check_run_set(const check_grid *g, check_run run);

#endif
