/*
 * Rotary positions. The angles are computed in double and shared by all
 * sequences and heads: T * dims / 2 sines, little beside any product.
 */
#include <math.h>

#include "runtime/base/status.h"
#include "runtime/math/opt/opt.h"

enum { MAX_PAIRS = 512 };

typedef struct angles {
    float cos[MAX_PAIRS];
    float sin[MAX_PAIRS];
} angles;

static void angles_at(const math_rope *rope, int64_t pos, bool inverse,
                      angles *a)
{
    for (int i = 0; i < rope->dims / 2; i++) {
        double angle =
            (double)pos * pow((double)rope->base, -2.0 * i / rope->dims);
        a->cos[i] = (float)cos(angle);
        a->sin[i] = (float)(inverse ? -sin(angle) : sin(angle));
    }
}

/* Rotates one head's q or k. */
static void rotate(const math_rope *rope, const angles *a, float *p)
{
    int pairs = rope->dims / 2;
    bool near = rope->pairing == PAIR_NEIGHBOURS;
    for (int i = 0; i < pairs; i++) {
        float *x = p + (near ? 2 * i : i);
        float *y = p + (near ? 2 * i + 1 : i + pairs);
        float x0 = *x;
        *x = x0 * a->cos[i] - *y * a->sin[i];
        *y = *y * a->cos[i] + x0 * a->sin[i];
    }
}

void opt_rope(const math_ctx *ctx, const math_rope *rope, int64_t B, int64_t T,
              bool inverse, float *qkv, int64_t ld)
{
    ASSERT(rope->dims % 2 == 0 && rope->dims <= 2 * MAX_PAIRS);
    int threads = opt_threads(ctx, B * T * rope->heads * rope->dims);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < T; t++) {
        angles a;
        angles_at(rope, rope->first + t, inverse, &a);
        for (int64_t b = 0; b < B; b++) {
            for (int64_t h = 0; h < rope->heads; h++) {
                float *q = qkv + (b * T + t) * ld + h * 3 * rope->head_dim;
                rotate(rope, &a, q);
                rotate(rope, &a, q + rope->head_dim);
            }
        }
    }
}
