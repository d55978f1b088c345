/*
 * Philox: ten rounds, each two 32x32 -> 64 bit products, mixed with a key
 * that steps by two odd constants. The constants are those of the paper, so
 * that the published test vectors apply.
 */
#include "runtime/base/rng.h"

#include <math.h>

#include "runtime/base/status.h"

enum { ROUNDS = 10, FEISTEL_ROUNDS = 8 };

#define MUL_0 0xD2511F53U
#define MUL_1 0xCD9E8D57U
#define KEY_0 0x9E3779B9U
#define KEY_1 0xBB67AE85U

/* Sets uses of one (seed, stream) inside this file apart from callers'. */
#define PERMUTE_SALT 0x7065726d75746521ULL

void rng_block(uint64_t seed, uint64_t stream, uint64_t counter,
               uint32_t out[4])
{
    uint32_t k0 = (uint32_t)seed;
    uint32_t k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)counter;
    uint32_t c1 = (uint32_t)(counter >> 32);
    uint32_t c2 = (uint32_t)stream;
    uint32_t c3 = (uint32_t)(stream >> 32);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)MUL_0 * c0;
        uint64_t p1 = (uint64_t)MUL_1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += KEY_0;
        k1 += KEY_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint64_t rng_u64(uint64_t seed, uint64_t stream, uint64_t counter)
{
    uint32_t w[4];
    rng_block(seed, stream, counter, w);
    return (uint64_t)w[1] << 32 | w[0];
}

double rng_uniform(uint64_t seed, uint64_t stream, uint64_t counter)
{
    return (double)(rng_u64(seed, stream, counter) >> 11) * 0x1p-53;
}

int64_t rng_below(uint64_t seed, uint64_t stream, uint64_t counter, int64_t n)
{
    ASSERT(n >= 1);
    /* The high word of n times a 64-bit fraction. */
    unsigned __int128 product =
        (unsigned __int128)rng_u64(seed, stream, counter) * (uint64_t)n;
    return (int64_t)(product >> 64);
}

/* In (0, 1): never 0, whose logarithm is infinite. */
static double open_unit(uint32_t word)
{
    return ((double)word + 0.5) * 0x1p-32;
}

/* One block makes four normal values: two pairs. */
static void normal_block(uint64_t seed, uint64_t stream, uint64_t counter,
                         double z[4])
{
    uint32_t w[4];
    rng_block(seed, stream, counter, w);
    for (int pair = 0; pair < 2; pair++) {
        double radius = sqrt(-2.0 * log(open_unit(w[2 * pair])));
        double angle = 2.0 * M_PI * open_unit(w[2 * pair + 1]);
        z[2 * pair] = radius * cos(angle);
        z[2 * pair + 1] = radius * sin(angle);
    }
}

void rng_normal_fill(uint64_t seed, uint64_t stream, int64_t first_index,
                     int64_t n, double mean, double std, float *out)
{
    int64_t k = 0;
    while (k < n) {
        int64_t i = first_index + k;
        double z[4];
        normal_block(seed, stream, (uint64_t)i / 4, z);
        for (int64_t j = i % 4; j < 4 && k < n; j++) {
            out[k] = (float)(mean + std * z[j]);
            k++;
        }
    }
}

void rng_uniform_fill(uint64_t seed, uint64_t stream, int64_t first_index,
                      int64_t n, double lo, double hi, float *out)
{
    for (int64_t k = 0; k < n; k++) {
        int64_t i = first_index + k;
        uint32_t w[4];
        rng_block(seed, stream, (uint64_t)i / 4, w);
        /* 24 bits: a float holds them all, so the value stays below hi. */
        double u = (double)(w[i % 4] >> 8) * 0x1p-24;
        out[k] = (float)(lo + (hi - lo) * u);
    }
}

/* A permutation of [0, 2^(2 half)): each round changes one half by a random
 * function of the other, which can be undone whatever the function is. */
static uint64_t feistel(uint64_t seed, uint64_t epoch, int half, uint64_t x)
{
    uint64_t mask = (1ULL << half) - 1;
    uint64_t left = x >> half;
    uint64_t right = x & mask;
    for (uint64_t round = 0; round < FEISTEL_ROUNDS; round++) {
        uint64_t f = rng_u64(seed ^ PERMUTE_SALT, epoch, round << 32 | right);
        uint64_t next = left ^ (f & mask);
        left = right;
        right = next;
    }
    return left << half | right;
}

int64_t rng_permute(uint64_t seed, uint64_t epoch, int64_t n, int64_t i)
{
    ASSERT(n >= 1 && n <= (int64_t)1 << 62 && i >= 0 && i < n);
    int half = 1;
    while ((uint64_t)1 << 2 * half < (uint64_t)n) {
        half++;
    }
    /* Walk the cycle until it is back inside [0, n): at most 4 steps on
     * average, and still a permutation because every cycle has one way in. */
    uint64_t x = (uint64_t)i;
    do {
        x = feistel(seed, epoch, half, x);
    } while (x >= (uint64_t)n);
    return (int64_t)x;
}
