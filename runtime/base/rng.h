/*
 * Random numbers that have no state: Philox4x32-10 (Salmon et al., 2011).
 *
 * A number is a function of (seed, stream, counter) alone, so ranks, threads
 * and restarts draw the same values in any order and any split. A stream is
 * one use (a tensor's initialisation, dropout of a layer, the data order):
 * whoever draws picks the streams so that no two uses share one.
 *
 * Pure. Local, any thread.
 */
#ifndef WEFT_BASE_RNG_H
#define WEFT_BASE_RNG_H

#include <stdint.h>

/* Four independent 32-bit words. */
void rng_block(uint64_t seed, uint64_t stream, uint64_t counter,
               uint32_t out[4]);

/* 64 random bits. */
uint64_t rng_u64(uint64_t seed, uint64_t stream, uint64_t counter);

/* Uniform in [0, 1), 53 bits. */
double rng_uniform(uint64_t seed, uint64_t stream, uint64_t counter);

/* Uniform in [0, n), n >= 1. */
int64_t rng_below(uint64_t seed, uint64_t stream, uint64_t counter, int64_t n);

/* out[k] = element first_index + k of the stream's normal values with this
 * mean and standard deviation (Box-Muller; at most 6.8 deviations out). */
void rng_normal_fill(uint64_t seed, uint64_t stream, int64_t first_index,
                     int64_t n, double mean, double std, float *out);

/* out[k] = element first_index + k of uniform values in [lo, hi). */
void rng_uniform_fill(uint64_t seed, uint64_t stream, int64_t first_index,
                      int64_t n, double lo, double hi, float *out);

/*
 * Image of i under the epoch's pseudo-random permutation of [0, n): the
 * shuffled order of a data set without storing it. 0 <= i < n <= 2^62.
 */
int64_t rng_permute(uint64_t seed, uint64_t epoch, int64_t n, int64_t i);

#endif
