/* Must trip the leak checker on one rank of two: shows that the suppressions
 * for MPI's own leaks do not hide ours. */
#include <stdio.h>

#include "runtime/base/mem.h"
#include "runtime/comm/comm.h"

int main(void)
{
    comm *world = NULL;
    if (comm_init(&world) != ST_OK) {
        return 0;
    }
    char *lost = NULL;
    if (comm_rank(world) == 1 && MEM_NEW(&lost, 777, "lost") == ST_OK) {
        printf("%d\n", lost[0]);
        lost = NULL;
    }
    comm_fini(world);
    return lost != NULL;
}
