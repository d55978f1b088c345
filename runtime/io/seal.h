/*
 * Seals: what tells that a file still is what its writer wrote.
 *
 * A seal is a record behind the end of a finished file. It holds a hash of
 * the file's bytes but for stated ranges, which are those that carry
 * checksums of their own and may be gigabytes (raw data of tensors). Behind
 * an HDF5 file it is out of sight: the library stops at the end that its
 * superblock names, and who changes the file with it cuts the seal off, so
 * that a changed file has none rather than a wrong one.
 *
 *   skipped ranges   n x { offset, bytes }                    int64 each
 *   length of the file without seal, n                        int64 each
 *   hash of the bytes that are not skipped, hash of this seal so far
 *   "weftseal"
 *
 * All little-endian. A file without a seal is one that is being written, or
 * whose writer was killed, or that something else wrote: nothing is known of
 * it. Against accidents, not malice: anybody can seal. Local, any thread.
 */
#ifndef WEFT_IO_SEAL_H
#define WEFT_IO_SEAL_H

#include <stdint.h>

#include "runtime/base/status.h"

enum {
    SEAL_SKIPS_MAX = 1 << 20, /* 16 MiB of ranges                         */
    SEAL_KEPT_MIB_MAX = 256   /* bytes that are hashed at each opening: a
                                 tenth of a second                         */
};

typedef struct seal_range {
    int64_t offset, bytes; /* bytes > 0 */
} seal_range;

/* Seals the file that is open for reading and writing at fd. Ranges are
 * sorted here; they must lie in the file and not overlap. A file with more
 * to hash than SEAL_KEPT_MIB_MAX stays without. Fails with ST_IO, the file
 * then being as it was. Blocks on the disk; does not sync. */
MUST_USE status seal_write(int fd, const char *path, seal_range *skip, int n);

/* Length of the file without its seal in *bytes, -1 if it has none. Fails
 * with ST_CORRUPT (file or seal changed), ST_IO. */
MUST_USE status seal_check(int fd, const char *path, int64_t *bytes);

/* Takes the seal off, before the file is changed; one without is fine. Does
 * not look whether it is right. Fails with ST_IO. */
MUST_USE status seal_cut(int fd, const char *path);

#endif
