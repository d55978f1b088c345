/*
 * Bytes of a run's steps: all that its rank has moved, less what its
 * preparation, validation and checkpoints have.
 */
#include "runtime/base/mem.h"
#include "runtime/train/run_impl.h"

status traffic_init(train *t)
{
    return MEM_NEW(&t->moved.to, comm_size(t->job->world), "traffic");
}

void traffic_fini(train *t)
{
    mem_free(t->moved.to);
}

/* Adds all that was moved so far, `sign` times. */
static void add_all(const train *t, int sign, train_traffic *to)
{
    int64_t loaded = 0;
    int64_t drained = 0;
    exec_store_bytes(t->e, &loaded, &drained);
    to->loaded += sign * loaded;
    to->drained += sign * drained;
    for (int g = 0; g < GROUP_COUNT; g++) {
        int64_t sent = 0;
        int64_t received = 0;
        exec_comm_bytes(t->e, (op_group)g, &sent, &received);
        to->sent[g] += sign * sent;
        to->received[g] += sign * received;
    }
    /* Its sign is that of all, since exec can only add. */
    int n = comm_size(t->job->world);
    for (int i = 0; i < n; i++) {
        to->to[i] *= sign;
    }
    exec_comm_to(t->e, to->to);
    for (int i = 0; i < n; i++) {
        to->to[i] *= sign;
    }
}

void traffic_leave(train *t)
{
    add_all(t, 1, &t->moved);
}

void traffic_return(train *t)
{
    add_all(t, -1, &t->moved);
}
