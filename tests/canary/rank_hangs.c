/* Must be ended and reported as a time-out: one rank never comes to the
 * barrier. */
#include <stdio.h>
#include <unistd.h>

#include "runtime/comm/comm.h"

int main(void)
{
    comm *world = NULL;
    if (comm_init(&world) != ST_OK) {
        return 0;
    }
    printf("waiting\n");
    fflush(stdout);
    while (comm_rank(world) == 1) {
        pause();
    }
    comm_barrier(world);
    comm_fini(world);
    return 0;
}
