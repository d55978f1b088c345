/*
 * One direction of the link between device and store, with an optional
 * throttle: on a CPU a store in the same RAM is too fast to ever show an
 * exposed transfer.
 *
 * A transfer occupies the link for latency + bytes / rate; transfers follow
 * each other. Used by one thread. Local.
 */
#ifndef WEFT_DEVICE_LINK_H
#define WEFT_DEVICE_LINK_H

#include <stdint.h>

typedef struct link_dir {
    double bytes_per_s; /* 0: not throttled */
    double latency_s;
    int64_t free_at_ns;
} link_dir;

/* Bytes a second: below it the weights of the smallest model take minutes, and
 * commands refuse it. */
enum { LINK_RATE_LEAST = 64000 };

/* Books a transfer that begins now; returns when it ends (monotonic ns). */
int64_t link_book(link_dir *l, int64_t bytes);

/* Sleeps until the booked end, if that is still to come. */
void link_wait(int64_t until_ns);

#endif
