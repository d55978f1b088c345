/*
 * Megatron's indexed data set: PREFIX.bin holds tokens and nothing else,
 * PREFIX.idx says what they are. GPT-NeoX's preprocess_data.py writes it too.
 *
 *   offset 0   9 bytes  "MMIDIDX\0\0"
 *          9   u64      version, 1
 *         17   u8       type: 1 u8, 8 u16, 4 i32; others are refused
 *         18   u64      S, number of sequences
 *         26   u64      D, number of document marks
 *         34   i32[S]   tokens of each sequence
 *      + 4 S   i64[S]   offset of each in PREFIX.bin, bytes
 *      + 8 S   i64[D]   sequence with which a document begins; the last is S
 *      + 8 D   i8[S]    modes, of multimodal data alone; not looked at
 *
 * Source: Megatron-LM, megatron/core/datasets/indexed_dataset.py. Nothing in
 * it is aligned. Sequences must lie one after another in .bin, as Megatron's
 * builder writes and merges them: then the tokens are one stream in order.
 *
 * Pure. Local. Fails with ST_BADFILE; every number is checked before use.
 */
#ifndef WEFT_IO_MEGATRON_H
#define WEFT_IO_MEGATRON_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/io/mapfile.h"

typedef struct megatron_index {
    int item_bytes; /* of a token: 1, 2, 4 (signed) */
    int64_t count;  /* tokens                       */
} megatron_index;

/* True for the first bytes of an index, of any version. */
bool megatron_is_index(const mapfile *f);

/* Those of an index before MMIDIDX ("lazy", "cached", fairseq's). */
bool megatron_is_old_index(const mapfile *f);

/* Checks all of an index against the length of its .bin, named `bin`. */
MUST_USE status megatron_read(const mapfile *idx, const char *bin,
                              int64_t bin_bytes, megatron_index *out);

#endif
