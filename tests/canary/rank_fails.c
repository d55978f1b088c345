/* Must be reported as failed: one rank of two returns 3, the other 0. */
#include "runtime/comm/comm.h"

int main(void)
{
    comm *world = NULL;
    if (comm_init(&world) != ST_OK) {
        return 0; /* would look like a pass, which is what must not happen */
    }
    int rank = comm_rank(world);
    comm_barrier(world);
    comm_fini(world);
    return rank == 1 ? 3 : 0;
}
