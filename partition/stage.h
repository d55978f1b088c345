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

/* The program of stage `index` for a rank of this shape. Owns: *out,
 * prog_fini. */
MUST_USE status stage_compile(const arch *a, const params *ps, const plan *p,
                              const gpt_shape *sh, int index, program *out);

#endif
