/*
 * The matrix product: is it right, does it have the property that the same
 * bits rest on, and how fast is it. The shapes are those of GPT-Neo 125M and
 * GPT-J layers with few tokens, so that a plain loop can follow.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/app/doctor.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/base/threads.h"
#include "runtime/math/matmul.h"
#include "runtime/train/host.h"

typedef struct shape {
    int64_t m, n, k;
    bool ta, tb;
} shape;

static const shape shapes[] = {
    {48, 768, 768, false, true},   /* qkv, out of GPT-Neo 125M            */
    {40, 3072, 768, false, true},  /* fc_in                               */
    {40, 768, 3072, false, false}, /* fc_out                              */
    {768, 768, 48, true, false},   /* gradient of a weight                */
    {17, 1024, 4096, false, true}, /* of GPT-J                            */
    {37, 53, 601, false, false},   /* nothing is a whole tile or block    */
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

typedef struct product {
    const shape *s;
    float *a, *b, *c, *other;
    int64_t lda, ldb;
} product;

static status product_init(const shape *s, product *p)
{
    *p = (product){
        .s = s, .lda = s->ta ? s->m : s->k, .ldb = s->tb ? s->k : s->n};
    TRY(MEM_NEW(&p->a, s->m * s->k, "doctor"));
    TRY(MEM_NEW(&p->b, s->k * s->n, "doctor"));
    TRY(MEM_NEW(&p->c, s->m * s->n, "doctor"));
    TRY(MEM_NEW(&p->other, s->m * s->n, "doctor"));
    rng_uniform_fill(11, 0, 0, s->m * s->k, -1, 1, p->a);
    rng_uniform_fill(11, 1, 0, s->k * s->n, -1, 1, p->b);
    return ST_OK;
}

static void product_fini(product *p)
{
    mem_free(p->a);
    mem_free(p->b);
    mem_free(p->c);
    mem_free(p->other);
}

/* Largest error of c against loops in double, in units of what k roundings
 * may add up to; above 1 is wrong. Every third row and fifth column. */
static double worst_error(const product *p)
{
    const shape *s = p->s;
    double worst = 0;
    for (int64_t i = 0; i < s->m; i += 3) {
        for (int64_t j = 0; j < s->n; j += 5) {
            double sum = 0;
            double size = 0;
            for (int64_t k = 0; k < s->k; k++) {
                double x =
                    (double)p->a[s->ta ? k * p->lda + i : i * p->lda + k] *
                    (double)p->b[s->tb ? j * p->ldb + k : k * p->ldb + j];
                sum += x;
                size += fabs(x);
            }
            double bound = size * (double)(s->k + 8) * 0x1p-24;
            double error = fabs((double)p->c[i * s->n + j] - sum) / bound;
            error = isfinite(error) ? error : INFINITY;
            worst = error > worst ? error : worst;
        }
    }
    return worst;
}

/* The box [i0, i1) x [j0, j1) of the result by a call of its own, summands in
 * two stretches if `chained`. */
static void one_box(const product *p, int64_t i0, int64_t i1, int64_t j0,
                    int64_t j1, bool chained)
{
    const shape *s = p->s;
    int64_t cut = chained && s->k > matmul_kblock() ? matmul_kblock() : s->k;
    for (int64_t k0 = 0; k0 < s->k; k0 = k0 == 0 ? cut : s->k) {
        int64_t len = k0 == 0 ? cut : s->k - cut;
        matmul_one(s->ta, s->tb, i1 - i0, j1 - j0, len,
                   p->a + (s->ta ? k0 * p->lda + i0 : i0 * p->lda + k0), p->lda,
                   p->b + (s->tb ? j0 * p->ldb + k0 : k0 * p->ldb + j0), p->ldb,
                   k0 == 0 ? 0.0F : 1.0F, p->other + i0 * s->n + j0, s->n);
    }
}

static int64_t differing(const product *p)
{
    int64_t n = 0;
    for (int64_t i = 0; i < p->s->m * p->s->n; i++) {
        n += memcmp(&p->c[i], &p->other[i], sizeof(float)) != 0 ? 1 : 0;
    }
    return n;
}

/* Elements that differ when rows, columns, summands or threads are split. */
static int64_t split_differs(const product *p)
{
    const shape *s = p->s;
    int64_t n = 0;
    for (int64_t parts = 2; parts <= 3; parts++) {
        for (int64_t i = 0; i < parts; i++) {
            one_box(p, s->m * i / parts, s->m * (i + 1) / parts, 0, s->n,
                    false);
        }
        n += differing(p);
        for (int64_t i = 0; i < parts; i++) {
            one_box(p, 0, s->m, s->n * i / parts, s->n * (i + 1) / parts, true);
        }
        n += differing(p);
    }
    for (int threads = 2; threads <= 4; threads++) {
        matmul(threads, s->ta, s->tb, s->m, s->n, s->k, p->a, p->lda, p->b,
               p->ldb, 0, p->other, s->n);
        n += differing(p);
    }
    return n;
}

static void check_products(doctor *d)
{
    double worst = 0;
    int64_t differ = 0;
    for (int i = 0; i < SHAPES; i++) {
        product p;
        status st = product_init(&shapes[i], &p);
        if (st == ST_OK) {
            const shape *s = p.s;
            matmul_one(s->ta, s->tb, s->m, s->n, s->k, p.a, p.lda, p.b, p.ldb,
                       0, p.c, s->n);
            double error = worst_error(&p);
            worst = error > worst ? error : worst;
            differ += split_differs(&p);
        }
        product_fini(&p);
        if (st != ST_OK) {
            doctor_add(d, DOCTOR_PROBLEM, "products", "free some memory", "%s",
                       status_text());
            return;
        }
    }
    bool right = worst <= 1;
    doctor_add(d, right ? DOCTOR_OK : DOCTOR_PROBLEM, "products",
               right ? NULL : "install Debian's libblis4-openmp anew",
               "%d shapes against plain loops: largest error %.2g of what "
               "rounding allows",
               SHAPES, worst);
    doctor_add(d, differ == 0 ? DOCTOR_OK : DOCTOR_PROBLEM, "same bits",
               differ == 0 ? NULL
                           : "use the BLIS of Debian; with this library plans "
                             "agree to rounding only",
               "%d shapes split by rows, columns, summands and threads: %lld "
               "elements differ",
               SHAPES, (long long)differ);
}

static void check_library(doctor *d)
{
    bool generic = strstr(matmul_library(), "generic") != NULL;
    doctor_add(d, generic ? DOCTOR_WARNING : DOCTOR_OK, "matmul",
               generic ? "a newer BLIS may have fast kernels for this CPU; "
                         "this one is right, but slow"
                       : NULL,
               "%s, k in blocks of %lld", matmul_library(),
               (long long)matmul_kblock());
}

static void check_rate(doctor *d)
{
    int threads = d->nranks > 1 ? d->ranks[0].threads : threads_usable();
    double one = host_matmul_rate(1, 1024, 3) * 1e-9;
    double all = threads > 1 ? host_matmul_rate(threads, 1024, 3) * 1e-9 : one;
    bool poor = threads > 1 && all < 1.3 * one;
    doctor_add(d, poor ? DOCTOR_WARNING : DOCTOR_OK, "matmul rate",
               poor ? "stop what else runs here; threads of one core "
                      "(hyper-threads) add little: try --threads with fewer"
                    : NULL,
               "%.1f GF/s on one thread, %.1f on %d", one, all, threads);
}

void doctor_math(doctor *d)
{
    check_library(d);
    check_products(d);
    check_rate(d);
}
