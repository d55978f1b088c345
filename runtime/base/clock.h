/*
 * Clocks. Wall time is CLOCK_MONOTONIC; CPU time is per process or thread
 * and is what is reported where ranks share cores. Nanoseconds. Any thread.
 */
#ifndef WEFT_BASE_CLOCK_H
#define WEFT_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ns(void);
int64_t clock_cpu_process_ns(void);
int64_t clock_cpu_thread_ns(void);

#endif
