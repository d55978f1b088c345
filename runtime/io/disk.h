/*
 * How fast a folder's disk is: bytes written with fsync, and read again past
 * the page cache. The file has no name (it is unlinked, or never had one), so
 * that nothing stays whatever happens. Local, blocks.
 */
#ifndef WEFT_IO_DISK_H
#define WEFT_IO_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct disk_rates {
    int64_t bytes;      /* that were written                               */
    double write_per_s; /* bytes a second, the fsync at the end included   */
    double fsync_s;     /* that fsync alone                                */
    double read_per_s;  /* bytes a second                                  */
    bool direct;        /* read past the page cache (O_DIRECT)             */
    int64_t free_bytes; /* on that file system, for ordinary users         */
    const char *kind;   /* "tmpfs", "nfs", "ext"; "" for others            */
    bool in_memory;     /* tmpfs or ramfs: no disk at all                  */
} disk_rates;

/* A file without a name in dir, open for both. Owns: *fd, close. Fails with
 * ST_LOCKED (no permission, read-only), ST_IO (no room), ST_CANTCREATE. */
MUST_USE status disk_scratch(const char *dir, int *fd);

/* Writes at most `bytes` (whole MiB), for at most `seconds`, and reads what it
 * wrote for as long at most. Fails as above, ST_CANTCREATE for a disk that
 * fails. */
MUST_USE status disk_measure(const char *dir, int64_t bytes, double seconds,
                             disk_rates *out);

#endif
