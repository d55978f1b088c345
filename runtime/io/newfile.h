/*
 * New files: an output that appears whole or not at all.
 *
 * newfile_create makes an empty file `<path>.tmp` beside the target and locks
 * it, so that a left-over of a crash is simply used again while two runs that
 * write one target at the same time are told apart. The caller fills it
 * through `temp` or `fd`; newfile_commit makes it durable and gives it its
 * name (fsync, rename, fsync of the folder); newfile_abandon removes it. A
 * reader of `path` sees the old file or the new one, never a part.
 *
 * Plain struct in the caller's storage. Local; one thread at a time each.
 * Fails with ST_CANTCREATE (folder missing or not writable, target is no
 * regular file), ST_LOCKED (another run is writing it), ST_IO (disk full).
 */
#ifndef WEFT_IO_NEWFILE_H
#define WEFT_IO_NEWFILE_H

#include "runtime/base/status.h"

typedef struct newfile {
    char *path; /* the target, as the caller named it */
    char *temp; /* `<path>.tmp`, open and locked      */
    int fd;     /* of temp, for reading and writing   */
} newfile;

/* Says now what newfile_create would say later: there is a folder that may
 * be written, and no folder, device or pipe in the way. Creates nothing.
 * Local. */
MUST_USE status newfile_check(const char *path);

/* Owns: *out, until newfile_commit or newfile_abandon. Local, blocks. */
MUST_USE status newfile_create(const char *path, newfile *out);

/* Releases everything, also on failure (the temporary is then removed and an
 * older file of that name is untouched). Local, blocks on the disk. */
MUST_USE status newfile_commit(newfile *f);

/* Removes the temporary. Local. A zeroed or finished struct is fine. */
void newfile_abandon(newfile *f);

#endif
