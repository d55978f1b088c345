/* Must trip the leak checker. */
#include <stdio.h>

#include "runtime/base/mem.h"

int main(void)
{
    char *lost = NULL;
    if (MEM_NEW(&lost, 777, "lost") != ST_OK) {
        return 0;
    }
    printf("%d\n", lost[0]);
    lost = NULL;
    return lost != NULL;
}
