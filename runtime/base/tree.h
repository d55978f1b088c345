/*
 * Leaves and the fixed sum tree: why a sum has the same bits under every plan.
 *
 * A sum that a plan may spread over ranks is cut into n leaves before anybody
 * asks who computes it. Every leaf is summed in one fixed order, and leaves
 * are added by one fixed binary tree: the node over leaves [lo, hi) splits at
 * the largest power of two below its size, so over 6 leaves
 *
 *          [0,6)
 *         /     \
 *      [0,4)   [4,6)         ((0+1)+(2+3)) + (4+5)
 *      /   \    / \
 *   [0,2) [2,4) 4  5
 *    / \   / \
 *   0   1 2   3
 *
 * A rank owns a contiguous range of leaves and contributes its maximal
 * complete subtrees (its pieces): leaves 1..4 of 6 are the pieces 1, [2,4)
 * and 4. Pushing leaves from left to right on a stack and joining the two
 * topmost entries while they are children of one node visits the tree with a
 * stack of at most tree_depth(n) entries; that is how kernels, accumulators
 * and reductions all do it.
 *
 * A leaf that holds no unit (fewer units than leaves) is left out: its node
 * is its sibling. In code: its span is joined, nothing is added.
 *
 * Pure: no state, no allocation. Local, any thread.
 */
#ifndef WEFT_BASE_TREE_H
#define WEFT_BASE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TREE_LEAVES_MAX = 64, /* more leaves cost time and serve no plan we know */
    TREE_DEPTH_MAX = 12   /* entries of any stack, also of a part of a tree */
};

/* Leaves [lo, hi) of a tree. */
typedef struct tree_span {
    int lo;
    int hi;
} tree_span;

/* First unit of leaf i of n over `total` units: floor(i * total / n). */
static inline int64_t leaf_start(int64_t total, int n, int i)
{
    return total * i / n;
}

/* First leaf of rank r of `ranks`: ranks own leaves as leaves own units. */
static inline int leaf_of_rank(int n, int ranks, int r)
{
    return (int)leaf_start(n, ranks, r);
}

/* True if s is a node of the tree over n leaves (a leaf is one). */
bool tree_is_node(int n, tree_span s);

/* True if `left` and `right` are the two children of one node. */
bool tree_can_join(int n, tree_span left, tree_span right);

/* Most entries the stack ever holds when leaves 0..n-1 are pushed. */
int tree_depth(int n);

/* The maximal complete subtrees of leaves [lo, hi), left to right, into
 * out[TREE_DEPTH_MAX * 2]; returns how many. */
int tree_pieces(int n, int lo, int hi, tree_span *out);

/* A stretch of consecutive summands (tokens, or rows of a weight matrix) that
 * belongs to one leaf. A leaf may come in several segments, also over several
 * operations; segments come in order of leaves. `src` picks the operand pair
 * of a matrix product. k0 == k1 with first and last set is an empty leaf. */
typedef struct tree_seg {
    int32_t leaf;  /* leaf index in the whole tree                         */
    int32_t src;   /* 0 or 1                                               */
    int64_t k0;    /* first summand                                        */
    int64_t k1;    /* one past the last                                    */
    int32_t first; /* 1: this segment begins its leaf                      */
    int32_t last;  /* 1: this segment ends its leaf                        */
} tree_seg;

/* The stack of a tree sum that several operations make one after another:
 * entry i is kept in plane i of an accumulator. An open leaf (begun, not
 * ended) is the top entry. */
typedef struct tree_state {
    int32_t leaves; /* n of the tree                                       */
    int32_t depth;  /* entries in use                                      */
    tree_span spans[TREE_DEPTH_MAX];
} tree_state;

/* Scratch bytes that a reduction of `count` floats over `size` ranks needs at
 * most (comm_tree_allreduce), for planning before there is any rank. */
size_t tree_exchange_bytes(int size, int leaves, int64_t count);

/* Reductions run in chunks of this many floats (4 MiB), so that scratch stays
 * small and slices still fill a link. */
enum { TREE_CHUNK_FLOATS = 1024 * 1024 };

/* The state after these segments. Returns the number of entries left. */
int tree_state_after(tree_state *s, const tree_seg *segs, int nsegs);

#endif
