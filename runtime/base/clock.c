/*
 * The three clocks are one system call with different names; none of them
 * can fail on Linux, so a failure is our bug.
 */
#include "runtime/base/clock.h"

#include <time.h>

#include "runtime/base/status.h"

static int64_t now_ns(clockid_t id)
{
    struct timespec t;
    ASSERT(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_wall_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

int64_t clock_cpu_process_ns(void)
{
    return now_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t clock_cpu_thread_ns(void)
{
    return now_ns(CLOCK_THREAD_CPUTIME_ID);
}
