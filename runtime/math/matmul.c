/*
 * The matrix product over BLIS: the only file that includes blis.h.
 *
 * BLIS is always called for one thread. Its own division over threads is
 * uneven for some of our shapes (108 instead of 180 GF/s on two cores), so
 * matmul() divides the result itself, in whole micro-tiles.
 *
 * Why the bits do not depend on the division: the micro-kernel computes every
 * element of its MR x NR tile by the same chain of fused multiply-adds over k
 * from zero, and adds the result to c once for each block of KC summands.
 * Rows and columns past the edge are packed as zeros and dropped. The path
 * for small matrices has other kernels and is switched off.
 *
 * Two properties follow that runtime/math/opt builds on:
 *  - beta = 1 over consecutive stretches of KC equals one call;
 *  - for k <= KC, c += a b by beta = 1 equals a product of its own that is
 *    added to c afterwards: both round a b, then one sum.
 */
#include "runtime/math/matmul.h"

#include <blis.h>
#include <omp.h>
#include <stdio.h>

#include "runtime/base/status.h"

/* Packing one float costs about as much time as this many multiply-adds
 * (measured: 0.3 ns against 21 ps). Only the shape of the grid depends on it.
 */
enum { PACK_COST = 14 };

static int64_t blocksize(bszid_t which)
{
    return bli_cntx_get_blksz_def_dt(BLIS_FLOAT, which, bli_gks_query_cntx());
}

int64_t matmul_kblock(void)
{
    return blocksize(BLIS_KC);
}

void matmul_tile(int64_t *rows, int64_t *cols)
{
    *rows = blocksize(BLIS_MR);
    *cols = blocksize(BLIS_NR);
}

const char *matmul_library(void)
{
    static _Thread_local char name[64];
    snprintf(name, sizeof name, "BLIS %s %s", bli_info_get_version_str(),
             bli_arch_string(bli_arch_query_id()));
    return name;
}

/* One call of the library. Strides express the transposes. */
static void call(bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                 const float *a, int64_t lda, const float *b, int64_t ldb,
                 float beta, float *c, int64_t ldc)
{
    rntm_t rntm = BLIS_RNTM_INITIALIZER;
    bli_rntm_set_num_threads(1, &rntm);
    bli_rntm_disable_l3_sup(&rntm);
    float one = 1.0F;
    /* The prototype is not const-correct; a and b are only read. */
    bli_sgemm_ex(BLIS_NO_TRANSPOSE, BLIS_NO_TRANSPOSE, m, n, k, &one,
                 (float *)(uintptr_t)a, ta ? 1 : lda, ta ? lda : 1,
                 (float *)(uintptr_t)b, tb ? 1 : ldb, tb ? ldb : 1, &beta, c,
                 ldc, 1, NULL, &rntm);
}

void matmul_one(bool ta, bool tb, int64_t m, int64_t n, int64_t k,
                const float *a, int64_t lda, const float *b, int64_t ldb,
                float beta, float *c, int64_t ldc)
{
    ASSERT(beta == 0.0F || beta == 1.0F);
    if (m <= 0 || n <= 0 || (k <= 0 && beta == 1.0F)) {
        return;
    }
    /* On some CPUs BLIS lets the last block of k be longer than KC, which
     * would make one call differ from a chain. There we chain ourselves. */
    int64_t kc = k;
    if (bli_cntx_get_blksz_max_dt(BLIS_FLOAT, BLIS_KC, bli_gks_query_cntx()) !=
        matmul_kblock()) {
        kc = matmul_kblock();
    }
    int64_t k0 = 0;
    do {
        int64_t len = k - k0 < kc ? k - k0 : kc;
        call(ta, tb, m, n, len, a + (ta ? k0 * lda : k0), lda,
             b + (tb ? k0 : k0 * ldb), ldb, k0 == 0 ? beta : 1.0F, c, ldc);
        k0 += len;
    } while (k0 < k);
}

/* Units of `unit` in `total`, the last one perhaps not full. */
static int64_t units_of(int64_t total, int64_t unit)
{
    return (total + unit - 1) / unit;
}

/* Multiply-adds (per summand) that the largest box of a grid of pm x pn
 * costs, packing included. */
static int64_t grid_cost(int64_t pm, int64_t pn, int64_t m, int64_t n,
                         int64_t mr, int64_t nr)
{
    int64_t rows = units_of(units_of(m, mr), pm) * mr;
    int64_t cols = units_of(units_of(n, nr), pn) * nr;
    return rows * cols + PACK_COST * (rows + cols);
}

/* Part p of `parts` of [0, total) in whole units. */
static void share(int64_t parts, int64_t p, int64_t total, int64_t unit,
                  int64_t *lo, int64_t *hi)
{
    int64_t units = units_of(total, unit);
    *lo = units * p / parts * unit;
    *hi = units * (p + 1) / parts * unit;
    *hi = *hi < total ? *hi : total;
}

matmul_box matmul_part(int64_t parts, int64_t p, int64_t m, int64_t n)
{
    int64_t mr = blocksize(BLIS_MR);
    int64_t nr = blocksize(BLIS_NR);
    int64_t best = 1;
    for (int64_t pm = 2; pm <= parts; pm++) {
        if (parts % pm == 0 &&
            grid_cost(pm, parts / pm, m, n, mr, nr) <
                grid_cost(best, parts / best, m, n, mr, nr)) {
            best = pm;
        }
    }
    matmul_box box;
    share(best, p % best, m, mr, &box.i0, &box.i1);
    share(parts / best, p / best, n, nr, &box.j0, &box.j1);
    return box;
}

void matmul(int threads, bool ta, bool tb, int64_t m, int64_t n, int64_t k,
            const float *a, int64_t lda, const float *b, int64_t ldb,
            float beta, float *c, int64_t ldc)
{
    if (threads <= 1) {
        matmul_one(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        /* The runtime may give fewer threads than asked for. */
        matmul_box box =
            matmul_part(omp_get_num_threads(), omp_get_thread_num(), m, n);
        matmul_one(ta, tb, box.i1 - box.i0, box.j1 - box.j0, k,
                   a + (ta ? box.i0 : box.i0 * lda), lda,
                   b + (tb ? box.j0 * ldb : box.j0), ldb, beta,
                   c + box.i0 * ldc + box.j0, ldc);
    }
}
