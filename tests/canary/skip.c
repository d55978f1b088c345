/* Must be reported as failed: it skips, but no line of skip.list allows it. */
#include <stdio.h>

int main(void)
{
    printf("skipping\n");
    return 77;
}
