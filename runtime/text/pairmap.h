/*
 * A map from pairs of token ids to a 64-bit number: rank and result of a
 * merge, the count of a pair in training.
 *
 * Open addressing, at most half full; nothing is removed but by clearing.
 * Local; one thread at a time, reading from any once filled.
 */
#ifndef WEFT_TEXT_PAIRMAP_H
#define WEFT_TEXT_PAIRMAP_H

#include <stdint.h>

#include "runtime/base/status.h"

typedef struct pairmap_entry {
    uint64_t key; /* pair_key + 1; 0: free */
    int64_t value;
} pairmap_entry;

/* An all-zero one is empty and ready. */
typedef struct pairmap {
    pairmap_entry *slots;
    int64_t nslots; /* 2^k */
    int64_t n;
} pairmap;

/* Ids are below 2^31, so that a key + 1 is never 0. */
static inline uint64_t pair_key(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static inline uint64_t pair_hash(uint64_t key)
{
    key = (key ^ key >> 31) * 0x9e3779b97f4a7c15u;
    return key ^ key >> 29;
}

void pairmap_fini(pairmap *m);
/* Empties it, keeps its memory. */
void pairmap_clear(pairmap *m);

/* The place of the pair's value, 0 where it is new. Lends until the next
 * call. Fails with ST_SYSTEM. */
MUST_USE status pairmap_at(pairmap *m, int32_t left, int32_t right,
                           int64_t **value);

/* The value of a pair, or `none`. */
static inline int64_t pairmap_find(const pairmap *m, int32_t left,
                                   int32_t right, int64_t none)
{
    const uint64_t key = pair_key(left, right);
    const uint64_t mask = (uint64_t)m->nslots - 1;

    if (m->n == 0) {
        return none;
    }
    for (uint64_t at = pair_hash(key) & mask;; at = (at + 1) & mask) {
        const pairmap_entry *e = &m->slots[at];
        if (e->key == key + 1) {
            return e->value;
        }
        if (e->key == 0) {
            return none;
        }
    }
}

#endif
