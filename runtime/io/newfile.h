/*
 * New files: an output that appears whole or not at all, and the right to
 * write it.
 *
 * newfile_create makes an empty file `<path>.tmp` beside the target and locks
 * it, so that a left-over of a crash is simply used again while two runs that
 * write one target at the same time are told apart. What is ours and
 * unfinished has its sticky bit set; a file of that name without it is
 * somebody's, and refused. The caller fills it
 * through `temp` or `fd`; newfile_commit makes it durable and gives it its
 * name (fsync, rename, fsync of the folder); newfile_abandon removes it. A
 * reader of `path` sees the old file or the new one, never a part.
 *
 * A file that is to be read while it is written gets its name early, by
 * newfile_show: its own if that is free; if an older file has it,
 * `<path>.part` until newfile_commit. So an older file is there until the new
 * one is whole.
 *
 * A run that writes at its end, or again and again, holds a claim all the
 * time, a locked file `<path>.lock`: a second run is refused before it has
 * computed anything. The claimed file itself is never locked, as HDF5's
 * readers lock what they read. A left-over of a crash holds nobody up.
 *
 * A symbolic link is followed: the file that it leads to is replaced, beside
 * which the others lie.
 *
 * Plain structs in the caller's storage. Local; one thread at a time each.
 * Fails with ST_CANTCREATE (folder missing or not writable, target is no
 * regular file, somebody's file has the name of a temporary), ST_LOCKED
 * (another run is writing it, it is read-only), ST_IO (disk full), ST_USAGE
 * ("-").
 */
#ifndef WEFT_IO_NEWFILE_H
#define WEFT_IO_NEWFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct newfile {
    char *path;   /* as the caller named it; in messages            */
    char *target; /* the same, links followed                       */
    char *temp;   /* its name now: `<target>.tmp`, locked, at first */
    int fd;       /* of temp, for reading and writing               */
    bool shown;   /* by newfile_show; no longer locked              */
} newfile;

/* Says now what newfile_create would say later: there is a folder that may
 * be written, nothing in the way, nobody at work. Creates nothing. Local. */
MUST_USE status newfile_check(const char *path);

/* Owns: *out, until newfile_commit, newfile_abandon or newfile_leave. Local,
 * blocks. */
MUST_USE status newfile_create(const char *path, newfile *out);

/* Gives it the name under which others may read it from now on. Once. What a
 * failed run left as `<path>.part` is replaced; fails with ST_CANTCREATE if it
 * is somebody's. Local. */
MUST_USE status newfile_show(newfile *f);

/* Releases everything, also on failure (the temporary is then removed, one
 * that was shown stays as it is; an older file of that name is untouched).
 * Local, blocks on the disk. */
MUST_USE status newfile_commit(newfile *f);

/* Removes the file, shown or not. Local. A zeroed or finished struct is fine.
 */
void newfile_abandon(newfile *f);

/* Leaves a file that was shown where it is; removes another. As abandon. */
void newfile_leave(newfile *f);

typedef struct newfile_claim {
    char *lock; /* `<target>.lock`; NULL: nothing is claimed */
    int fd;
} newfile_claim;

/* Claims `path` for this process until newfile_claim_drop, and tries the
 * output out: its temporary can be made (and is removed), and `bytes` more
 * have room there. newfile_create of this process goes through, that of
 * others fails with ST_LOCKED. Owns: *out. Local, blocks. */
MUST_USE status newfile_claim_take(const char *path, int64_t bytes,
                                   newfile_claim *out);
/* Removes the lock. A zeroed struct is fine. */
void newfile_claim_drop(newfile_claim *c);

#endif
