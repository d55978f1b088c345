/*
 * The partition compiler: step programs from a model and a plan.
 *
 * Ranks form a grid data x pipe x tensor; the tensor coordinate runs fastest,
 * so tensor groups are neighbours. A rank holds weights, gradients and
 * optimizer state of its shard of its stage, all in its arena. The trivial
 * plan (one rank) is the judge that every other set-up is compared with.
 *
 * Pure. Local.
 */
#ifndef WEFT_PARTITION_COMPILE_H
#define WEFT_PARTITION_COMPILE_H

#include "partition/plan.h"
#include "runtime/base/status.h"
#include "runtime/gpt/build.h"
#include "runtime/gpt/params.h"
#include "runtime/program/program.h"

/* The shape of rank (d, t) of a plan: sh with N, T, D, S, threads, kblock
 * set. */
MUST_USE status partition_shape(const plan *p, int d, int t, gpt_shape *sh);

/* Layers [*l0, *l1) of stage k. */
void partition_stage(const arch *a, const plan *p, int k, int *l0, int *l1);

/* World rank of grid coordinates. */
int partition_rank(const plan *p, int d, int k, int t);

/* Programs of all ranks, one per class. sh: N, T, D, S, threads, kblock. The
 * plan has passed plan_check. budget_bytes 0: no limit. Fails with ST_BUDGET
 * naming the stage of the fullest rank. Owns: *out, program_set_fini. */
MUST_USE status partition_compile(const arch *a, const params *ps,
                                  const plan *p, gpt_shape sh,
                                  int64_t budget_bytes, program_set *out);

/* What the programs of a plan need: arena bytes of the fullest rank, and its
 * stage. */
typedef struct partition_need {
    int64_t bytes;
    int stage;
} partition_need;

/* Without waits, and one program at a time. Of stages of equal length the
 * first and the last are looked at. budget_bytes > 0: ends as soon as a rank
 * needs more; it is then that rank, and the bytes that it needs at least.
 * scratch: a program whose memory serves for all of them; the caller's, also
 * to call again. */
MUST_USE status partition_measure(const arch *a, const params *ps,
                                  const plan *p, gpt_shape sh,
                                  int64_t budget_bytes, program *scratch,
                                  partition_need *out);

#endif
