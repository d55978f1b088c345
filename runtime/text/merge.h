/*
 * Byte-pair encoding of one piece: of all neighbours the pair of lowest rank
 * is joined, the leftmost of equal ones, until no pair has a rank.
 *
 * A list of symbols and a heap of candidates: n log n, so that a piece of a
 * million letters is no trap (going through the list for each merge would
 * take n^2: 100,000 letters 7 s instead of 9 ms). An entry of the heap whose
 * symbol has changed since is stale, and skipped: the symbol's rank then is
 * another one.
 *
 * A merger is scratch memory, all zero at first; one thread at a time.
 */
#ifndef WEFT_TEXT_MERGE_H
#define WEFT_TEXT_MERGE_H

#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/text/pairmap.h"

typedef struct merge_symbol {
    int32_t id;
    int32_t prev, next; /* places in the piece; -1, and its length: none   */
    int32_t rank;       /* of the pair with the next one; INT32_MAX: none  */
    int32_t made;       /* what that pair makes                            */
} merge_symbol;

typedef struct merger {
    merge_symbol *symbols;
    uint64_t *heap; /* rank << 32 | place, smallest first */
    int32_t *ids;   /* the result                         */
    int64_t symbols_room, heap_room, ids_room;
    int64_t nheap;
} merger;

/* What a pair has in the map of merges. */
static inline int64_t merge_value(int32_t rank, int32_t made)
{
    return (int64_t)((uint64_t)(uint32_t)rank << 32 | (uint32_t)made);
}

void merger_fini(merger *m);

/* Ids of `len` >= 1 bytes, lent until the next call. Fails with ST_SYSTEM,
 * also for a piece of 2 GiB. */
MUST_USE status merge_piece(merger *m, const pairmap *merges,
                            const int32_t byte_ids[256], const uint8_t *piece,
                            int64_t len, const int32_t **ids, int64_t *n);

#endif
