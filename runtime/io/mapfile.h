/*
 * A whole file mapped read-only. Used by tokens and safetensors.
 *
 * Plain struct in the caller's storage; `data` stays valid until
 * mapfile_close. Reading what another process has cut off meanwhile ends this
 * process, as with any map: with one line and exit code ST_IO. Local; reading
 * from any thread.
 * Fails with ST_NOINPUT (missing), ST_LOCKED (no permission), ST_BADFILE (a
 * folder or device, empty), ST_SYSTEM (no address space).
 */
#ifndef WEFT_IO_MAPFILE_H
#define WEFT_IO_MAPFILE_H

#include <stdint.h>

#include "runtime/base/status.h"

typedef struct mapfile {
    char *path;
    const uint8_t *data;
    int64_t bytes; /* >= 1 */
} mapfile;

/* Owns: *out, mapfile_close. */
MUST_USE status mapfile_open(const char *path, mapfile *out);
/* A zeroed struct is fine. */
void mapfile_close(mapfile *f);

#endif
