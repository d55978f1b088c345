#include "runtime/app/binding.h"

#include <stdint.h>
#include <strings.h>

#include "runtime/app/launch.h"
#include "runtime/base/threads.h"

binding binding_of(const comm *world, int threads)
{
    return (binding){.ranks = comm_node_size(world),
                     .threads = threads,
                     .usable = threads_usable(),
                     .together = comm_node_cores(world),
                     .online = threads_online()};
}

int binding_share(const binding *b)
{
    int part = b->together / (b->ranks > 0 ? b->ranks : 1);
    int each = part < b->usable ? part : b->usable;
    return each > 0 ? each : 1;
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

const char *binding_variable(void)
{
    static const char *const names[] = {"OMP_PROC_BIND", "OMP_PLACES",
                                        "GOMP_CPU_AFFINITY"};
    const char *bind = launch_variable(names[0]);
    if (bind != NULL && strcasecmp(bind, "false") == 0) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (launch_variable(names[i]) != NULL) {
            return names[i];
        }
    }
    return NULL;
}

binding_cause binding_cause_of(bool mpirun)
{
    if (binding_variable() != NULL) {
        return BOUND_BY_VARIABLE;
    }
    return mpirun ? BOUND_BY_MPIRUN : BOUND_FROM_OUTSIDE;
}

void binding_write_repair(binding_cause cause, strbuf *out)
{
    const char *variable = binding_variable();
    switch (cause) {
    case BOUND_BY_MPIRUN:
        strbuf_add(out, "add --bind-to none to mpirun");
        break;
    case BOUND_BY_VARIABLE:
        strbuf_printf(out, "unset %s", variable != NULL ? variable : "");
        break;
    case BOUND_FROM_OUTSIDE:
        strbuf_add(out, "start it without taskset, or in a job or container "
                        "with more cores");
        break;
    }
}

void binding_write_tight(const binding *b, binding_cause cause, strbuf *out)
{
    strbuf_printf(out, "%s bound to %d of %d cores; ",
                  b->ranks > 1 ? "ranks are" : "this process is", b->together,
                  b->online);
    binding_write_repair(cause, out);
}
