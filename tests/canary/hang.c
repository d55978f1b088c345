/* Must be ended and reported as a time-out, although it ignores SIGTERM. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    signal(SIGTERM, SIG_IGN);
    printf("waiting\n");
    fflush(stdout);
    for (;;) {
        pause();
    }
}
