/*
 * A numbered set of byte strings: 0, 1, 2, ... in the order they came. Token
 * strings of a vocabulary; the different words of a text with their counts
 * beside it.
 *
 * Open addressing over 64-bit hashes, strings in one block. Nothing is ever
 * removed. Local; one thread at a time, reading from any once filled.
 */
#ifndef WEFT_TEXT_WORDMAP_H
#define WEFT_TEXT_WORDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct word {
    const uint8_t *bytes;
    int64_t len;
} word;

/* An all-zero one is empty and ready. */
typedef struct wordmap {
    int32_t *slots;   /* number + 1, 0: free; 2^k of them              */
    uint64_t *hashes; /* of word i                                     */
    int64_t *ends;    /* word i is pool[ends[i - 1]] to pool[ends[i]]  */
    uint8_t *pool;
    int64_t nslots, n;
    int64_t hashes_room, ends_room, pool_room;
} wordmap;

void wordmap_fini(wordmap *m);

/* The number of a string, which is added if it is new. Fails with ST_SYSTEM,
 * also beyond 2^30 strings. */
MUST_USE status wordmap_add(wordmap *m, const void *bytes, int64_t len,
                            int32_t *number, bool *is_new);

/* The number of a string, -1: not there. */
int32_t wordmap_find(const wordmap *m, const void *bytes, int64_t len);

/* Lends until the next wordmap_add. */
word wordmap_at(const wordmap *m, int32_t number);

#endif
