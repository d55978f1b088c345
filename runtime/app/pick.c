#include "runtime/app/pick.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/base/rng.h"

/* Apart from other uses of a seed: "sample" in ASCII. */
#define PICK_STREAM 0x73616d706c65ULL

static int by_logit(const void *a, const void *b)
{
    const pick_item *x = a;
    const pick_item *y = b;
    if (x->logit != y->logit) {
        return x->logit < y->logit ? 1 : -1;
    }
    return (x->id > y->id) - (x->id < y->id);
}

static status find_largest(const float *logits, int64_t n, int32_t *out)
{
    int32_t best = 0;
    for (int64_t i = 0; i < n; i++) {
        REQUIRE(isfinite(logits[i]), ST_NUMERIC,
                "the logit of token %lld is %g: the weights of this "
                "checkpoint are broken",
                (long long)i, (double)logits[i]);
        best = logits[i] > logits[best] ? (int32_t)i : best;
    }
    *out = best;
    return ST_OK;
}

/* Sums weights in order until `part` of them is reached; returns how many. */
static int64_t take(const pick_item *work, int64_t n, double part, double *sum)
{
    int64_t i = 0;
    *sum = 0;
    while (i < n && *sum < part) {
        *sum += work[i++].weight;
    }
    return i;
}

status pick_token(const pick_rule *r, const float *logits, int64_t n,
                  int64_t index, pick_item *work, int32_t *out)
{
    int32_t best = 0;
    TRY(find_largest(logits, n, &best));
    if (r->temperature <= 0) {
        *out = best;
        return ST_OK;
    }
    for (int64_t i = 0; i < n; i++) {
        double x = ((double)logits[i] - (double)logits[best]) / r->temperature;
        work[i] = (pick_item){(int32_t)i, logits[i], exp(x)};
    }
    bool some = (r->top_k > 0 && r->top_k < n) || r->top_p < 1;
    if (some) {
        qsort(work, (size_t)n, sizeof(*work), by_logit);
        n = r->top_k > 0 && r->top_k < n ? r->top_k : n;
    }
    double sum = 0;
    (void)take(work, n, INFINITY, &sum);
    if (r->top_p < 1) {
        n = take(work, n, r->top_p * sum, &sum);
    }
    /* The first item whose running sum is beyond u; weights may be 0 at the
     * end, the largest never is. */
    double u = rng_uniform(r->seed, PICK_STREAM, (uint64_t)index) * sum;
    double run = 0;
    int64_t i = -1;
    do {
        i++;
        run += work[i].weight;
    } while (run <= u && i + 1 < n);
    *out = work[i].id;
    return ST_OK;
}
