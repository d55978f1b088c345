/*
 * Version 2 has one tree and files memory.max, cpu.max; version 1 a tree a
 * controller and files memory.limit_in_bytes, cpu.cfs_quota_us. Inside of a
 * container /proc may name a path that its /sys does not show: then the top
 * of the tree is the container's own group.
 */
#include "runtime/base/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Version 1 says "no limit" by the largest number of whole pages. */
static const int64_t unlimited = INT64_C(1) << 60;

typedef struct files {
    const char *limit, *used, *reclaimable;
} files;

static const files v2 = {"memory.max", "memory.current", "inactive_file "};
static const files v1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                         "total_inactive_file "};

/* The first line of dir/name; "" if it cannot be read. */
static void first_line(const char *dir, const char *name, char out[128])
{
    char path[PATH_MAX];
    out[0] = '\0';
    int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = n > 0 && n < (int)sizeof(path) ? fopen(path, "r") : NULL;
    if (f != NULL) {
        if (fgets(out, 128, f) == NULL) {
            out[0] = '\0';
        }
        (void)fclose(f);
    }
}

/* A number, or -1 for "max" and for nothing. */
static int64_t number_in(const char *dir, const char *name)
{
    char line[128];
    first_line(dir, name, line);
    return line[0] >= '0' && line[0] <= '9' ? strtoll(line, NULL, 10) : -1;
}

/* Pages of files, which the kernel takes back when it needs them. */
static int64_t reclaimable(const char *dir, const char *key)
{
    char path[PATH_MAX];
    char line[128];
    int64_t bytes = 0;
    int n = snprintf(path, sizeof(path), "%s/memory.stat", dir);
    FILE *f = n > 0 && n < (int)sizeof(path) ? fopen(path, "r") : NULL;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            bytes = strtoll(line + strlen(key), NULL, 10);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return bytes;
}

static void add_memory(const char *dir, const files *names, cgroup_limits *l)
{
    int64_t limit = number_in(dir, names->limit);
    if (limit < 0 || limit >= unlimited) {
        return;
    }
    int64_t used = number_in(dir, names->used);
    used -= reclaimable(dir, names->reclaimable);
    int64_t left = limit - (used > 0 ? used : 0);
    left = left > 0 ? left : 0;
    l->memory_limit = limit < l->memory_limit ? limit : l->memory_limit;
    l->memory_free = left < l->memory_free ? left : l->memory_free;
}

static void add_cores(const char *dir, cgroup_limits *l)
{
    char line[128];
    long long quota = number_in(dir, "cpu.cfs_quota_us");
    long long period = number_in(dir, "cpu.cfs_period_us");
    first_line(dir, "cpu.max", line);
    if (sscanf(line, "%lld %lld", &quota, &period) != 2 && line[0] != '\0') {
        return; /* "max 100000" */
    }
    if (quota > 0 && period > 0) {
        double cores = (double)quota / (double)period;
        l->cores = l->cores == 0 || cores < l->cores ? cores : l->cores;
    }
}

/* Every group from `path` up to the top of the tree. */
static void walk_up(const char *top, const char *path, const files *memory,
                    bool cpu, cgroup_limits *l)
{
    char dir[PATH_MAX];
    size_t least = strlen(top);
    int n = snprintf(dir, sizeof(dir), "%s%s", top, path);
    if (n < 0 || n >= (int)sizeof(dir)) {
        return;
    }
    for (;;) {
        if (memory != NULL) {
            add_memory(dir, memory, l);
        }
        if (cpu) {
            add_cores(dir, l);
        }
        char *slash = strrchr(dir, '/');
        if (slash == NULL || (size_t)(slash - dir) < least) {
            return;
        }
        *slash = '\0';
    }
}

/* "memory" in "cpu,memory". */
static bool has_controller(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; *at != '\0';) {
        size_t len = strcspn(at, ",");
        if (len == n && strncmp(at, name, n) == 0) {
            return true;
        }
        at += len + (at[len] == ',' ? 1 : 0);
    }
    return false;
}

/* "4:memory:/group": number, controllers, path. */
static void read_line(const char *root, char *line, cgroup_limits *l)
{
    char top[PATH_MAX];
    line[strcspn(line, "\n")] = '\0';
    char *list = strchr(line, ':');
    char *path = list != NULL ? strchr(list + 1, ':') : NULL;
    if (path == NULL) {
        return;
    }
    *path++ = '\0';
    list++;
    if (*list == '\0') {
        (void)snprintf(top, sizeof(top), "%s/sys/fs/cgroup", root);
        walk_up(top, path, &v2, true, l);
    }
    if (has_controller(list, "memory")) {
        (void)snprintf(top, sizeof(top), "%s/sys/fs/cgroup/memory", root);
        walk_up(top, path, &v1, false, l);
    }
    if (has_controller(list, "cpu")) {
        (void)snprintf(top, sizeof(top), "%s/sys/fs/cgroup/cpu", root);
        walk_up(top, path, NULL, true, l);
    }
}

cgroup_limits cgroup_read(const char *root)
{
    cgroup_limits l = {.memory_limit = INT64_MAX, .memory_free = INT64_MAX};
    char name[PATH_MAX];
    char line[PATH_MAX];
    int n = snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
    FILE *f = n > 0 && n < (int)sizeof(name) ? fopen(name, "r") : NULL;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        read_line(root, line, &l);
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return l;
}
