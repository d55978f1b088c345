/*
 * One stage of a plan: the operations of a rank's step, micro-batch by
 * micro-batch, on parameters that are all resident.
 *
 * Pure. Local. Called by partition/compile.c alone.
 */
#ifndef WEFT_PARTITION_STAGE_H
#define WEFT_PARTITION_STAGE_H

#include "partition/plan.h"
#include "runtime/base/status.h"
#include "runtime/gpt/build.h"
#include "runtime/gpt/params.h"
#include "runtime/program/program.h"

/* Adds all operations of stage `index` for a rank of this shape to an empty
 * program; prog_arrange and prog_finish are the caller's. */
MUST_USE status stage_emit(const arch *a, const params *ps, const plan *p,
                           const gpt_shape *sh, int index, program *out);

#endif
