/*
 * Attention, one query and one key at a time. Probabilities are never stored:
 * p(i, j) = exp(scale q_i.k_j - lse_i) is computed again wherever it is used.
 */
#include <math.h>

#include "runtime/math/ref/ref.h"

/* One head of one sequence; q begins with query `first`. */
typedef struct head {
    int64_t D;
    int64_t window;
    double scale;
    const float *q, *k, *v;
    int64_t ldq, ldk;
    int64_t first;
} head;

static head head_at(const math_attn *at, int64_t row0, int64_t h,
                    const float *qkv, int64_t ld)
{
    int64_t D = at->head_dim;
    head hd = {.D = D,
               .window = at->window,
               .scale = (double)at->scale,
               .q = qkv + row0 * ld + h * 3 * D,
               .ldq = ld,
               .first = at->first};
    hd.k = at->cache != NULL ? at->cache + h * 2 * D : hd.q + D;
    hd.v = hd.k + D;
    hd.ldk = at->cache != NULL ? at->ldc : ld;
    return hd;
}

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

static double score(const head *hd, int64_t i, int64_t j)
{
    return hd->scale *
           dot(hd->q + (i - hd->first) * hd->ldq, hd->k + j * hd->ldk, hd->D);
}

/* The first key that query i sees. */
static int64_t first_key(const head *hd, int64_t i)
{
    return hd->window > 0 && i >= hd->window ? i - hd->window + 1 : 0;
}

static double log_sum_exp(const head *hd, int64_t i)
{
    double max = -INFINITY;
    double sum = 0;
    for (int64_t j = first_key(hd, i); j <= i; j++) {
        max = fmax(max, score(hd, i, j));
    }
    for (int64_t j = first_key(hd, i); j <= i; j++) {
        sum += exp(score(hd, i, j) - max);
    }
    return max + log(sum);
}

/* n <= REF_STRIP dims from d on of what query i sees. */
static void values(const head *hd, int64_t i, double norm, int64_t d, int64_t n,
                   float *out)
{
    double sums[REF_STRIP] = {0};
    for (int64_t j = first_key(hd, i); j <= i; j++) {
        double p = exp(score(hd, i, j) - norm);
        for (int64_t k = 0; k < n; k++) {
            sums[k] += p * (double)hd->v[j * hd->ldk + d + k];
        }
    }
    for (int64_t k = 0; k < n; k++) {
        out[k] = (float)sums[k];
    }
}

void ref_attn_fwd(const math_ctx *ctx, const math_attn *at, int64_t B,
                  int64_t T, const float *qkv, int64_t ld, float *out,
                  int64_t ldo, float *lse)
{
    (void)ctx;
    for (int64_t n = 0; n < B * at->heads * T; n++) {
        int64_t i = n % T;
        int64_t h = n / T % at->heads;
        int64_t row0 = n / T / at->heads * T;
        if (i < at->first) {
            continue;
        }
        head hd = head_at(at, row0, h, qkv, ld);
        double norm = log_sum_exp(&hd, i);
        int64_t row = row0 + i - at->first;
        lse[row * at->heads + h] = (float)norm;
        for (int64_t d = 0; d < hd.D; d += REF_STRIP) {
            int64_t dims = hd.D - d < REF_STRIP ? hd.D - d : REF_STRIP;
            values(&hd, i, norm, d, dims, out + row * ldo + h * hd.D + d);
        }
    }
}

/* to[d] += by * from[d]. */
static void add_scaled(float *to, const float *from, double by, int64_t n)
{
    for (int64_t d = 0; d < n; d++) {
        to[d] = (float)((double)to[d] + by * (double)from[d]);
    }
}

static void zero_head(float *dq, int64_t lddq, int64_t T, int64_t D)
{
    for (int64_t t = 0; t < T; t++) {
        for (int64_t d = 0; d < 3 * D; d++) {
            dq[t * lddq + d] = 0;
        }
    }
}

void ref_attn_bwd(const math_ctx *ctx, const math_attn *at, int64_t B,
                  int64_t T, const float *qkv, int64_t ld, const float *out,
                  int64_t ldo, const float *lse, const float *dout,
                  int64_t lddo, float *dqkv, int64_t lddq)
{
    (void)ctx;
    int64_t D = at->head_dim;
    for (int64_t n = 0; n < B * at->heads; n++) {
        int64_t h = n % at->heads;
        int64_t row0 = n / at->heads * T;
        head hd = head_at(at, row0, h, qkv, ld);
        float *dq = dqkv + row0 * lddq + h * 3 * D;
        zero_head(dq, lddq, T, D);
        for (int64_t i = 0; i < T; i++) {
            const float *o = out + (row0 + i) * ldo + h * D;
            const float *go = dout + (row0 + i) * lddo + h * D;
            double norm = (double)lse[(row0 + i) * at->heads + h];
            double delta = dot(go, o, D);
            for (int64_t j = first_key(&hd, i); j <= i; j++) {
                double p = exp(score(&hd, i, j) - norm);
                double ds = p * (dot(go, hd.v + j * ld, D) - delta) * hd.scale;
                add_scaled(dq + i * lddq, hd.k + j * ld, ds, D);
                add_scaled(dq + j * lddq + D, hd.q + i * ld, ds, D);
                add_scaled(dq + j * lddq + 2 * D, go, p, D);
            }
        }
    }
}
