/*
 * The limits that a container or a batch system has put around this process
 * through control groups, version 1 or 2. A limit of any group on the way up
 * counts; what cannot be read sets none. Local, any thread.
 */
#ifndef WEFT_BASE_CGROUP_H
#define WEFT_BASE_CGROUP_H

#include <stdint.h>

typedef struct cgroup_limits {
    int64_t memory_limit; /* bytes; INT64_MAX: none                         */
    int64_t memory_free;  /* bytes still to be had; INT64_MAX: no limit     */
    double cores;         /* processor time a second; 0: no limit           */
} cgroup_limits;

/* Reads <root>/proc/self/cgroup and <root>/sys/fs/cgroup; root is "" but in
 * tests. */
cgroup_limits cgroup_read(const char *root);

#endif
