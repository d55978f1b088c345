/*
 * All questions about the tree are answered by walking down from the root:
 * at most TREE_DEPTH_MAX steps, no table, nothing to keep in step with n.
 */
#include "runtime/base/tree.h"

#include "runtime/base/status.h"

/* Where the node s (two leaves or more) splits: its left child is
 * [s.lo, split), its right child [split, s.hi). */
static int split_of(tree_span s)
{
    int size = s.hi - s.lo;
    int part = 1;
    while (part * 2 < size) {
        part *= 2;
    }
    return s.lo + part;
}

/* Goes from the root towards `s` and stops at the smallest node that still
 * contains it. */
static tree_span smallest_around(int n, tree_span s)
{
    tree_span node = {0, n};
    while (node.hi - node.lo > 1) {
        int split = split_of(node);
        if (s.hi <= split) {
            node.hi = split;
        } else if (s.lo >= split) {
            node.lo = split;
        } else {
            break;
        }
    }
    return node;
}

static bool inside(int n, tree_span s)
{
    return s.lo >= 0 && s.lo < s.hi && s.hi <= n;
}

bool tree_is_node(int n, tree_span s)
{
    if (!inside(n, s)) {
        return false;
    }
    tree_span node = smallest_around(n, s);
    return node.lo == s.lo && node.hi == s.hi;
}

bool tree_can_join(int n, tree_span left, tree_span right)
{
    tree_span both = {left.lo, right.hi};
    return left.lo < left.hi && left.hi == right.lo && right.lo < right.hi &&
           tree_is_node(n, both) && split_of(both) == left.hi;
}

/*
 * Leaves are pushed from left to right and joined at once, so before leaf i
 * is pushed the stack holds the left siblings on the path to it. The most
 * entries are there at some right-most path: count them by pushing.
 */
int tree_depth(int n)
{
    ASSERT(n >= 1 && n <= TREE_LEAVES_MAX);
    tree_span stack[TREE_LEAVES_MAX];
    int used = 0;
    int most = 0;
    for (int i = 0; i < n; i++) {
        stack[used] = (tree_span){i, i + 1};
        used++;
        most = used > most ? used : most;
        while (used > 1 && tree_can_join(n, stack[used - 2], stack[used - 1])) {
            stack[used - 2].hi = stack[used - 1].hi;
            used--;
        }
    }
    return most;
}

int tree_pieces(int n, int lo, int hi, tree_span *out)
{
    ASSERT(n >= 1 && n <= TREE_LEAVES_MAX);
    ASSERT(lo >= 0 && lo <= hi && hi <= n);
    int pieces = 0;
    while (lo < hi) {
        /* The largest node that starts at lo and ends at or before hi: walk
         * down to the nodes that start at lo. */
        tree_span node = {0, n};
        while (node.lo != lo || node.hi > hi) {
            int split = split_of(node);
            if (lo >= split) {
                node.lo = split;
            } else {
                node.hi = split;
            }
        }
        ASSERT(pieces < TREE_DEPTH_MAX * 2);
        out[pieces] = node;
        pieces++;
        lo = node.hi;
    }
    return pieces;
}
