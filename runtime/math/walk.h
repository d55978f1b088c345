/*
 * The walk over a tree sum's segments, shared by all kernels that sum by
 * leaves (tree_sum, col_sum, norm_grad, rows_grad, xent_loss).
 *
 * It keeps the stack of entries that runtime/base/tree.h describes and tells
 * the kernel what to do with the numbers, which it never sees:
 *
 *     walk_begin(&w, stack);
 *     for each segment s:
 *         top = walk_push(&w, s);               entry to work on
 *         beta = walk_fill(&w);                 if s has summands
 *         if s is last:
 *             while ((how = walk_join(&w)) != JOIN_NONE):
 *                 entry depth - 1  (+)=  entry depth, as `how` says
 *
 * Entries are numbered from the bottom of the stack. An entry that got no
 * summand is empty: joined with another it gives the other (JOIN_KEEP,
 * JOIN_MOVE); if it is still there at the end, it is zeros.
 *
 * Pure, on the caller's storage. Any thread; each thread walks for itself.
 */
#ifndef WEFT_MATH_WALK_H
#define WEFT_MATH_WALK_H

#include <stdbool.h>

#include "runtime/math/math.h"

/* Entries left of a range of leaves plus those within it. */
enum { WALK_ENTRIES = 2 * TREE_DEPTH_MAX };

typedef enum walk_how {
    JOIN_NONE, /* the two topmost entries are not siblings               */
    JOIN_KEEP, /* the upper one was empty: the lower stays as it is      */
    JOIN_MOVE, /* the lower one was empty: copy the upper over it        */
    JOIN_ADD   /* lower += upper                                         */
} walk_how;

typedef struct walk {
    int leaves;
    int depth;
    tree_span spans[WALK_ENTRIES];
    bool empty[WALK_ENTRIES];
} walk;

/* Starts with the entries that `stack` holds, none of them empty. */
void walk_begin(walk *w, const math_stack *stack);

/* Starts with no entries. */
void walk_clear(walk *w, int leaves);

/* Pushes an empty entry where the segment begins its leaf; returns the entry
 * the segment works on. */
int walk_push(walk *w, const math_seg *seg);

/* The top entry gets summands: returns 0 if it held none (write), else 1
 * (add). */
float walk_fill(walk *w);

/* Joins the two topmost entries if they are siblings. Call only between
 * leaves. Afterwards entry w->depth is the one that went. */
walk_how walk_join(walk *w);

/* True if `seg` is a whole leaf that, once pushed, would be added at once to
 * the entry now on top, which is not empty. */
bool walk_adds_to_top(const walk *w, const math_seg *seg);

#endif
