#define _GNU_SOURCE /* cpu_set_t */
#include "runtime/base/threads.h"

#include <sched.h>
#include <unistd.h>

int threads_online(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (int)n;
}

/* cpu_set_t holds 1,024 cores. On a larger machine the call fails with
 * EINVAL, and then all online cores is the best answer. */
int threads_usable(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return threads_online();
    }
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n;
}
