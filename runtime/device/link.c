#define _GNU_SOURCE
#include "runtime/device/link.h"

#include <errno.h>
#include <time.h>

#include "runtime/base/clock.h"

int64_t link_book(link_dir *l, int64_t bytes)
{
    if (l->bytes_per_s <= 0 && l->latency_s <= 0) {
        return 0;
    }
    int64_t now = clock_wall_ns();
    double s = l->latency_s;
    if (l->bytes_per_s > 0) {
        s += (double)bytes / l->bytes_per_s;
    }
    l->free_at_ns =
        (l->free_at_ns > now ? l->free_at_ns : now) + (int64_t)(s * 1e9);
    return l->free_at_ns;
}

void link_wait(int64_t until_ns)
{
    struct timespec t = {.tv_sec = until_ns / 1000000000,
                         .tv_nsec = until_ns % 1000000000};
    while (until_ns > 0 &&
           clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}
