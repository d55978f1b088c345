/*
 * How many cores there are, and how many of them we may use. Local.
 */
#ifndef WEFT_BASE_THREADS_H
#define WEFT_BASE_THREADS_H

/* Cores in this process's affinity mask (mpirun --bind-to, taskset, cgroup
 * cpusets); at least 1. */
int threads_usable(void);

/* Cores of the machine that are online; at least 1. */
int threads_online(void);

#endif
