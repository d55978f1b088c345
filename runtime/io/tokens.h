/*
 * Token sources: what a run reads its data from, and in which order.
 *
 * A tokens is one file, mapped read-only. What kind it is follows from its
 * content first and its name second:
 *
 *   megatron PREFIX.idx or PREFIX.bin where both are there (megatron.h);
 *            uint8, uint16 or int32 tokens, documents in order; an index of
 *            the older TNTIDX format is refused
 *   llm.c    256 int32 of header, magic 20240520 (uint16 tokens) or 20240801
 *            (uint32); the length must be exactly header + tokens
 *   nanogpt  any other name ending in .bin: uint16 tokens, no header
 *   text     everything else: each byte is a token (vocabulary 256)
 *
 * (The llm.c magics read as nanoGPT tokens would be id 55432 or 55713, which
 * GPT-2's vocabulary of 50257 does not have.) Files that are surely neither
 * (HDF5, archives, model checkpoints) are refused.
 *
 * Windows. A source is cut at the end into training and validation part;
 * each is cut into windows of seq + 1 tokens at a stride of seq, so that
 * every token but the first of a part is predicted exactly once an epoch.
 * Training draws windows in an order that is a function of (seed, step)
 * alone: nothing has to be saved to resume.
 *
 *   tokens     0 1 2 3 4 5 6 7 8 9 10 11 12     seq 3
 *   window 0   |-----|                          inputs 0 1 2, targets 1 2 3
 *   window 1         |-----|
 *
 * Local. Reading is safe from any number of threads once open; tokens_open,
 * tokens_check, tokens_max and tokens_close belong to one. A file that is
 * cut while mapped ends the process (SIGBUS): do not write to data in use.
 * Fails with ST_NOINPUT (missing), ST_LOCKED (no permission), ST_BADFILE
 * (folder, empty, truncated, foreign), ST_CONFIG (vocabulary or sequence
 * length do not fit the data).
 */
#ifndef WEFT_IO_TOKENS_H
#define WEFT_IO_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct tokens tokens;

typedef enum tokens_kinds {
    TOKENS_TEXT,
    TOKENS_NANOGPT,
    TOKENS_LLMC,   /* uint16 */
    TOKENS_LLMC32, /* uint32 */
    TOKENS_MEGATRON
} tokens_kinds;

/* Owns: *out, tokens_close. Reads only the start of the file. */
MUST_USE status tokens_open(const char *path, tokens **out);
/* NULL is fine. */
void tokens_close(tokens *t);

tokens_kinds tokens_kind(const tokens *t);
/* "text, one token a byte", "nanoGPT uint16", ... */
const char *tokens_kind_name(const tokens *t);
/* Tokens in the file, >= 1. */
int64_t tokens_count(const tokens *t);

/* A .bin is read as nanoGPT's though an .idx that is no Megatron index is
 * beside it: somebody else's, or a damaged one. */
bool tokens_index_ignored(const tokens *t);
/* Logs a warning then, for who opens it to say it once. */
void tokens_warn(const tokens *t);

/* Fails with ST_CONFIG unless all tokens are below `vocab`; names the first
 * that is not. Reads the whole file, about 2 GB/s. */
MUST_USE status tokens_check(const tokens *t, int64_t vocab);
/* The largest token: the smallest vocabulary is one more. Reads all. */
int64_t tokens_max(const tokens *t);
/* hash64 of the whole file, for the record. Reads all. */
uint64_t tokens_hash(const tokens *t);

/* out[k] = token first + k, k < n. Fails with ST_INTERNAL outside the file
 * and with ST_BADFILE for a token beyond int32. */
MUST_USE status tokens_get(const tokens *t, int64_t first, int64_t n,
                           int32_t *out);

/* Where windows are. A part that cannot hold one window has none. */
typedef struct tokens_split {
    int64_t seq;           /* positions; a window is seq + 1 tokens       */
    int64_t train_windows; /* >= 1; window w starts at token w * seq      */
    int64_t val_windows;   /* window w starts at val_first + w * seq      */
    int64_t val_first;     /* first token of the validation part          */
} tokens_split;

/* The last val_fraction (0 <= f < 1) of `count` tokens is the validation
 * part; where that would not hold a window, all tokens train. Fails with
 * ST_CONFIG if there is no window to train on. Pure. */
MUST_USE status tokens_split_make(int64_t count, int64_t seq,
                                  double val_fraction, tokens_split *out);

/* The training window of sequence `index` in the global batch of `batch`
 * sequences at `step` (from 0): sequence i = step * batch + index is number
 * i % windows of epoch i / windows, each epoch in its own order. Pure. */
int64_t tokens_window(uint64_t seed, int64_t step, int64_t index, int64_t batch,
                      int64_t windows);

#endif
