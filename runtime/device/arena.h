/*
 * The device's memory: one block of exactly the budget, and nothing else.
 *
 * Every tensor of a step lies in it at an offset that the compiler planned.
 * The page after the block is not accessible, so a kernel that runs past the
 * budget dies at once instead of taking memory that was not granted.
 *
 * Owned by one executor. Local.
 */
#ifndef WEFT_DEVICE_ARENA_H
#define WEFT_DEVICE_ARENA_H

#include <stdint.h>

#include "runtime/base/status.h"

typedef struct arena {
    void *base; /* 64-byte aligned */
    int64_t bytes;
    void *map;
    int64_t map_bytes;
    int64_t page_bytes;
} arena;

/* The memory is zero, and taken from the machine as it is touched: by large
 * pages where the first `planned` bytes fill them, by small ones behind, so
 * that whatever goes beyond its plan is seen. Fails with ST_SYSTEM. */
MUST_USE status arena_init(arena *a, int64_t bytes, int64_t planned);
void arena_fini(arena *a);
/* Bytes up to the end of the highest page that was ever touched: asked of the
 * system, whatever anybody had planned. That is the last touched byte rounded
 * up to a page; to a large page (2 MiB) where it lies so far below the planned
 * end. A page that was swapped out counts as untouched. -1: the system does not
 * say. */
int64_t arena_touched(const arena *a);

#endif
