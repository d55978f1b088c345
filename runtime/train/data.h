/*
 * The data of a run: a token file, its split, and which sequences a step
 * trains on. The order is a function of (seed, step) alone, so every rank
 * under every plan picks the same sequences. Local.
 */
#ifndef WEFT_TRAIN_DATA_H
#define WEFT_TRAIN_DATA_H

#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/io/tokens.h"

typedef struct train_data {
    tokens *file;
    tokens_split split;
    uint64_t seed;
    int64_t N, T;
    int32_t *window; /* T + 1 tokens, scratch */
} train_data;

/* Opens, checks every token against the vocabulary, splits off val_fraction
 * of the tokens at the end. Owns: train_data_close. */
MUST_USE status train_data_open(const char *path, int64_t vocab, int64_t N,
                                int64_t T, double val_fraction, uint64_t seed,
                                train_data *out);
void train_data_close(train_data *d);

/* An exec_batch. Steps >= 0 train; step -1 - k is validation batch k, whose
 * sequences are the validation windows in order (and begin again). */
MUST_USE status train_data_batch(void *self, int64_t step, int64_t seq0,
                                 int64_t seqs, int32_t *ids, int32_t *targets);

/* Batches that take no validation window twice; 1 where the windows are fewer
 * than a batch, 0 where there are none. */
int64_t train_data_val_batches(const train_data *d);

#endif
