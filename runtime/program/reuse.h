/*
 * Who had which bytes of the arena: for any range, the newest operation of each
 * stream that touched a buffer there, in a step and in its forward part alone.
 *
 * plan.c notes a buffer when its last operation is through, and asks for the
 * bytes of one that comes after it. A binary tree over the addresses where
 * buffers begin and end: both take a logarithm of their number.
 *
 * Local. Owned by its creator, reuse_destroy.
 */
#ifndef WEFT_PROGRAM_REUSE_H
#define WEFT_PROGRAM_REUSE_H

#include "runtime/program/program.h"

/* A step, or its forward part alone. */
enum { RUNS = 2 };

/* By run and stream; -1: none. */
typedef struct reuse_ops {
    int32_t newest[RUNS][STREAM_COUNT];
} reuse_ops;

typedef struct reuse reuse;

/* p has been arranged. Fails with ST_SYSTEM only. */
MUST_USE status reuse_create(const program *p, reuse **out);
/* NULL is fine. */
void reuse_destroy(reuse *r);

/* The bytes of buffer b had these operations. */
void reuse_note(reuse *r, const prog_buf *b, const reuse_ops *ops);
/* All that was noted of any of the bytes of buffer b. */
void reuse_find(const reuse *r, const prog_buf *b, reuse_ops *out);

#endif
