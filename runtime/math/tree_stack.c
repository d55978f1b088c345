#include "runtime/base/status.h"
#include "runtime/math/walk.h"

void walk_clear(walk *w, int leaves)
{
    ASSERT(leaves >= 1 && leaves <= TREE_LEAVES_MAX);
    w->leaves = leaves;
    w->depth = 0;
}

void walk_begin(walk *w, const math_stack *stack)
{
    ASSERT(stack->depth >= 0 && stack->depth <= TREE_DEPTH_MAX);
    walk_clear(w, stack->leaves);
    w->depth = stack->depth;
    for (int i = 0; i < stack->depth; i++) {
        w->spans[i] = stack->spans[i];
        w->empty[i] = false;
    }
}

int walk_push(walk *w, const math_seg *seg)
{
    if (seg->first) {
        ASSERT(w->depth < WALK_ENTRIES);
        w->spans[w->depth] = (tree_span){seg->leaf, seg->leaf + 1};
        w->empty[w->depth] = true;
        w->depth++;
    }
    ASSERT(w->depth >= 1 && w->spans[w->depth - 1].lo == seg->leaf &&
           w->spans[w->depth - 1].hi == seg->leaf + 1);
    return w->depth - 1;
}

float walk_fill(walk *w)
{
    bool was_empty = w->empty[w->depth - 1];
    w->empty[w->depth - 1] = false;
    return was_empty ? 0.0F : 1.0F;
}

walk_how walk_join(walk *w)
{
    int top = w->depth - 1;
    if (top < 1 ||
        !tree_can_join(w->leaves, w->spans[top - 1], w->spans[top])) {
        return JOIN_NONE;
    }
    walk_how how = w->empty[top]       ? JOIN_KEEP
                   : w->empty[top - 1] ? JOIN_MOVE
                                       : JOIN_ADD;
    w->spans[top - 1].hi = w->spans[top].hi;
    w->empty[top - 1] = w->empty[top - 1] && w->empty[top];
    w->depth = top;
    return how;
}

bool walk_adds_to_top(const walk *w, const math_seg *seg)
{
    tree_span leaf = {seg->leaf, seg->leaf + 1};
    return seg->first && seg->last && seg->k1 > seg->k0 && w->depth >= 1 &&
           !w->empty[w->depth - 1] &&
           tree_can_join(w->leaves, w->spans[w->depth - 1], leaf);
}
