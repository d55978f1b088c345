#include "runtime/app/binding.h"

#include <stdint.h>

#include "runtime/base/threads.h"

binding binding_of(const comm *world, int threads)
{
    return (binding){.ranks = comm_node_size(world),
                     .threads = threads,
                     .usable = threads_usable(),
                     .together = comm_node_cores(world),
                     .online = threads_online()};
}

bool binding_is_tight(const binding *b)
{
    int64_t wanted =
        b->threads > 0 ? (int64_t)b->ranks * b->threads : (int64_t)b->ranks + 1;
    return b->usable < b->online && b->together < b->online &&
           b->together < wanted;
}

bool binding_is_crowded(const binding *b)
{
    int64_t each = b->threads > 0 ? b->threads : 1;
    return b->ranks * each > b->together;
}

void binding_write_tight(const binding *b, strbuf *out)
{
    strbuf_printf(out,
                  "ranks are bound to %d of %d cores; add --bind-to none to "
                  "mpirun",
                  b->together, b->online);
}
