/*
 * Shared by the files of the checks. Each check trusts nothing that the
 * planner derived: it reads the finished program alone.
 *
 *   check.c         shapes of views, waits, sums by leaves
 *   check_written.c nothing is read that was not written
 *   check_order.c   placement, and order between streams
 *   check_set.c     messages, collectives, deadlock
 */
#ifndef WEFT_PROGRAM_CHECK_IMPL_H
#define WEFT_PROGRAM_CHECK_IMPL_H

#include "runtime/program/program.h"

/* What a message says about an operation or buffer; use it in the same
 * expression. */
typedef struct check_text {
    char s[112];
} check_text;
check_text check_op_text(const program *p, int32_t i);
check_text check_buf_text(const program *p, int32_t b);

/* What a run executes: the whole step, or, for validation, the operations of
 * PHASE_FORWARD and the clip operation, which also adds up the loss. */
typedef enum check_run { RUN_STEP, RUN_FORWARD } check_run;
bool check_takes(const prog_op *o, check_run run);

/* The accumulator of an operation's view v, or NULL. */
const prog_stack *check_stack_of(const program *p, const prog_op *o,
                                 int32_t v);
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

#endif
