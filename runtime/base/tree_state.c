#include "runtime/base/status.h"
#include "runtime/base/tree.h"

int tree_state_after(tree_state *s, const tree_seg *segs, int nsegs)
{
    for (int i = 0; i < nsegs; i++) {
        if (segs[i].first) {
            ASSERT(s->depth < TREE_DEPTH_MAX);
            s->spans[s->depth++] = (tree_span){segs[i].leaf, segs[i].leaf + 1};
        }
        while (segs[i].last && s->depth >= 2 &&
               tree_can_join(s->leaves, s->spans[s->depth - 2],
                             s->spans[s->depth - 1])) {
            s->spans[s->depth - 2].hi = s->spans[s->depth - 1].hi;
            s->depth--;
        }
    }
    return s->depth;
}

/* One slot for each piece (never more pieces than leaves), two cache lines
 * of slack, and pointers for all requests that can be open at once. */
size_t tree_exchange_bytes(int size, int leaves, int64_t count)
{
    if (size == 1) {
        return 64;
    }
    int64_t chunk = count < TREE_CHUNK_FLOATS ? count : TREE_CHUNK_FLOATS;
    int64_t slice = ((chunk + 15) / 16 + size - 1) / size * 16;
    size_t most = (size_t)leaves * TREE_DEPTH_MAX + (size_t)size * 4;
    size_t pieces = leaves > size ? (size_t)leaves : (size_t)size;
    return 192 + most * sizeof(void *) + pieces * (size_t)slice * 4;
}
