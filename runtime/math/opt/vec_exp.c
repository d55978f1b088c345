#include <string.h>

#include "runtime/math/math.h"
#include "runtime/math/opt/vec.h"

/* Vectors handled at once: enough to hide the latency of a call. */
enum { CHUNK = 4 * MATH_LANES };

/* Smallest argument whose exp is a normal float. */
static const float EXP_MIN = -87.0F;

static inline void exp_chunk(float scale, float sub, float *restrict t)
{
    float e[CHUNK];
    for (int j = 0; j < CHUNK; j++) {
        float x = scale * t[j] - sub;
        e[j] = x < EXP_MIN ? EXP_MIN : x;
        t[j] = x;
    }
    for (int j = 0; j < CHUNK; j++) {
        e[j] = expf(e[j]);
    }
    for (int j = 0; j < CHUNK; j++) {
        t[j] = t[j] < EXP_MIN ? 0.0F : e[j];
    }
}

void vec_exp(int64_t n, float scale, float sub, float *x)
{
    int64_t j = 0;
    for (; j + CHUNK <= n; j += CHUNK) {
        /* The copies have a known size: they stay in registers. */
        float t[CHUNK];
        memcpy(t, x + j, sizeof t);
        exp_chunk(scale, sub, t);
        memcpy(x + j, t, sizeof t);
    }
    if (j < n) {
        float t[CHUNK] = {0};
        memcpy(t, x + j, sizeof(float) * (size_t)(n - j));
        exp_chunk(scale, sub, t);
        memcpy(x + j, t, sizeof(float) * (size_t)(n - j));
    }
}
