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
} arena;

/* Fails with ST_SYSTEM. The memory is zero. */
MUST_USE status arena_init(arena *a, int64_t bytes);
void arena_fini(arena *a);

#endif
