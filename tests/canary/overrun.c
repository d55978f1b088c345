/* Must trip the address sanitizer: writes one byte behind a block. The block's
 * size is a multiple of 64, so no padding takes the byte. */
#include <stdio.h>

#include "runtime/base/mem.h"

int main(int argc, char **argv)
{
    (void)argv;
    char *block = NULL;
    if (MEM_NEW(&block, 128, "block") != ST_OK) {
        return 0;
    }
    block[127 + argc] = 1;
    printf("%d\n", block[127]);
    mem_free(block);
    return 0;
}
