/* The runner must take this for a pass: the control of the other canaries. */
#include <stdio.h>

int main(void)
{
    printf("ok\n");
    return 0;
}
