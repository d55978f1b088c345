/*
 * io_uring, the kernel's asynchronous I/O: whether it works here. Kernels can
 * be built without it, and containers and clusters often forbid it. Local,
 * blocks on the disk.
 */
#ifndef WEFT_IO_URING_H
#define WEFT_IO_URING_H

#include "runtime/base/status.h"

/* Sets up a ring, writes a block of 4 KiB to fd at offset 0 through it, reads
 * it back and compares. fd is open for both, and ours to write to. Fails with
 * ST_SYSTEM (no ring), ST_IO. */
MUST_USE status uring_try(int fd);

#endif
