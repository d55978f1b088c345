/*
 * Micro-benchmark of the fast kernels at the shapes of gpt-neo-125m.
 *
 *     bench_math [THREADS ...]        default 1 2
 *
 * Products are shown in GF/s and as a share of a 2048-cubed product with the
 * same threads, measured next to each; the median of pairs taken one after
 * the other, because a busy machine slows both. The target is 85 %.
 */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/status.h"
#include "runtime/math/math.h"
#include "runtime/math/matmul.h"

enum { TOKENS = 1024, WIDTH = 768, VOCAB = 50257, CUBE = 2048, PAIRS = 7 };

typedef struct bench {
    math_ctx ctx;
    float *a, *b, *c, *d;
    int64_t floats; /* in each of them */
} bench;

typedef void run_fn(bench *, const void *arg);

static double seconds(bench *be, run_fn *run, const void *arg)
{
    int64_t start = clock_wall_ns();
    run(be, arg);
    return (double)(clock_wall_ns() - start) * 1e-9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run_cube(bench *be, const void *arg)
{
    (void)arg;
    matmul(be->ctx.threads, false, false, CUBE, CUBE, CUBE, be->a, CUBE, be->b,
           CUBE, 0.0F, be->c, CUBE);
}

/* Prints one line; `work` is flops, or elements where unit is "ns". */
static void report(bench *be, const char *name, double work, const char *unit,
                   run_fn *run, const void *arg)
{
    double rate[PAIRS];
    double share[PAIRS];
    run(be, arg);
    for (int i = 0; i < PAIRS; i++) {
        double cube = 2.0 * CUBE * CUBE * CUBE / seconds(be, run_cube, NULL);
        double time = seconds(be, run, arg);
        rate[i] = unit[0] == 'n' ? time / work * 1e9 : work / time * 1e-9;
        share[i] = work / time / cube * 100;
    }
    qsort(rate, PAIRS, sizeof(double), by_value);
    qsort(share, PAIRS, sizeof(double), by_value);
    printf("%-34s %d thr %9.2f %-5s", name, be->ctx.threads, rate[PAIRS / 2],
           unit);
    if (unit[0] == 'G') {
        printf(" %6.1f %% of 2048 cubed (%.1f to %.1f)", share[PAIRS / 2],
               share[0], share[PAIRS - 1]);
    }
    printf("\n");
    fflush(stdout);
}

static void run_expand(bench *be, const void *arg)
{
    int64_t R = *(const int64_t *)arg;
    math_opt.expand(&be->ctx, TOKENS, R, WIDTH, be->a, WIDTH, be->b, WIDTH,
                    be->c, R);
}

typedef struct sum {
    const char *name;
    bool trans_a;
    int64_t m, cols, k;
    int leaves;
} sum;

static void run_sum(bench *be, const void *arg)
{
    const sum *s = arg;
    math_src src[2] = {
        {be->a, s->trans_a ? s->m : s->k, be->b, s->cols},
    };
    math_seg segs[TREE_LEAVES_MAX];
    for (int i = 0; i < s->leaves; i++) {
        segs[i] = (math_seg){i,
                             0,
                             leaf_start(s->k, s->leaves, i),
                             leaf_start(s->k, s->leaves, i + 1),
                             1,
                             1};
    }
    math_stack stack = {be->c, 0, 1, s->leaves, 0, {{0, 0}}};
    math_opt.tree_sum(&be->ctx, s->trans_a, s->m, s->cols, src, segs, s->leaves,
                      &stack, s->cols);
}

typedef struct attn {
    const char *name;
    int64_t B, T;
    math_attn at;
    bool backward;
} attn;

static void run_attn(bench *be, const void *arg)
{
    const attn *t = arg;
    int64_t C = (int64_t)t->at.heads * t->at.head_dim;
    float *out = be->b;
    float *lse = be->b + t->B * t->T * C;
    if (!t->backward) {
        math_opt.attn_fwd(&be->ctx, &t->at, t->B, t->T, be->a, 3 * C, out, C,
                          lse);
    } else {
        math_opt.attn_bwd(&be->ctx, &t->at, t->B, t->T, be->a, 3 * C, out, C,
                          lse, be->d, C, be->c, 3 * C);
    }
}

/* Flops that the mask leaves: 2 products forward, 5 backward. */
static double attn_flops(const attn *t)
{
    double pairs = 0;
    for (int64_t i = 0; i < t->T; i++) {
        int64_t w = t->at.window;
        pairs += (double)(w > 0 && i + 1 > w ? w : i + 1);
    }
    return pairs * (double)(t->B * t->at.heads * t->at.head_dim) * 2 *
           (t->backward ? 5 : 2);
}

static void run_gelu(bench *be, const void *arg)
{
    math_opt.act_fwd(&be->ctx, *(const math_act *)arg, TOKENS, 4 * WIDTH, be->a,
                     4 * WIDTH, be->c, 4 * WIDTH);
}

static void run_gelu_bwd(bench *be, const void *arg)
{
    math_opt.act_bwd(&be->ctx, *(const math_act *)arg, TOKENS, 4 * WIDTH, be->a,
                     4 * WIDTH, be->d, 4 * WIDTH);
}

static void run_norm(bench *be, const void *arg)
{
    (void)arg;
    math_opt.norm_fwd(&be->ctx, TOKENS, WIDTH, 1e-5F, be->a, WIDTH, be->b,
                      be->b, be->c, WIDTH, be->d);
}

static void run_col_sum(bench *be, const void *arg)
{
    (void)arg;
    math_seg seg = {0, 0, 0, TOKENS, 1, 1};
    math_stack stack = {be->c, 0, 1, 1, 0, {{0, 0}}};
    math_opt.col_sum(&be->ctx, 4 * WIDTH, be->a, 4 * WIDTH, &seg, 1, &stack);
}

static void run_xent(bench *be, const void *arg)
{
    (void)arg;
    math_opt.xent_stats(&be->ctx, TOKENS / 4, VOCAB, 0, be->c, VOCAB, be->d, 2);
}

static void run_adamw(bench *be, const void *arg)
{
    (void)arg;
    math_adamw p = {1e-3F, 0.9F, 0.99F, 1e-8F, 0.1F, 0.1F, 0.01F, 1.0F};
    math_opt.adamw(&be->ctx, &p, TOKENS, 4 * WIDTH, 4 * WIDTH, be->a, be->b,
                   be->c, be->d);
}

static void report_products(bench *be)
{
    static const int64_t widths[] = {WIDTH, 3 * WIDTH, 4 * WIDTH, VOCAB};
    static const sum sums[] = {
        {"y = a W, k 3072, 1 leaf", false, TOKENS, WIDTH, 3072, 1},
        {"y = a W, k 3072, 4 leaves", false, TOKENS, WIDTH, 3072, 4},
        {"y = a W, k 768, 4 leaves", false, TOKENS, WIDTH, 768, 4},
        {"dW, m 3072, k 1024, 1 leaf", true, 3072, WIDTH, TOKENS, 1},
        {"dW, m 3072, k 1024, 4 leaves", true, 3072, WIDTH, TOKENS, 4},
        {"dW, m 768, k 1024, 4 leaves", true, 768, WIDTH, TOKENS, 4},
        {"dW, m 3072, k 2048, 4 leaves", true, 3072, WIDTH, 2048, 4},
        {"dW, m 3072, k 1024, 8 leaves", true, 3072, WIDTH, TOKENS, 8},
    };
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        char name[64];
        snprintf(name, sizeof name, "expand, R %lld", (long long)widths[i]);
        report(be, name, 2.0 * TOKENS * WIDTH * (double)widths[i], "GF/s",
               run_expand, &widths[i]);
    }
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        const sum *s = &sums[i];
        report(be, s->name, 2.0 * (double)(s->m * s->cols * s->k), "GF/s",
               run_sum, s);
    }
}

static void report_attention(bench *be)
{
    static const attn cases[] = {
        {"attention forward, T 1024",
         1,
         1024,
         {.heads = 12, .head_dim = 64, .scale = 1.0F},
         false},
        {"attention backward, T 1024",
         1,
         1024,
         {.heads = 12, .head_dim = 64, .scale = 1.0F},
         true},
        {"attention forward, window 256",
         1,
         1024,
         {.heads = 12, .head_dim = 64, .window = 256, .scale = 1.0F},
         false},
        {"attention backward, window 256",
         1,
         1024,
         {.heads = 12, .head_dim = 64, .window = 256, .scale = 1.0F},
         true},
        {"attention forward, 4 x T 256",
         4,
         256,
         {.heads = 12, .head_dim = 64, .scale = 1.0F},
         false},
        {"attention backward, 4 x T 256",
         4,
         256,
         {.heads = 12, .head_dim = 64, .scale = 1.0F},
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        report(be, cases[i].name, attn_flops(&cases[i]), "GF/s", run_attn,
               &cases[i]);
    }
}

static void report_elements(bench *be)
{
    static const math_act tanh_form = ACT_GELU_TANH;
    static const math_act erf_form = ACT_GELU_ERF;
    double inner = (double)TOKENS * 4 * WIDTH;
    report(be, "gelu tanh", inner, "ns", run_gelu, &tanh_form);
    report(be, "gelu tanh backward", inner, "ns", run_gelu_bwd, &tanh_form);
    report(be, "gelu erf", inner, "ns", run_gelu, &erf_form);
    report(be, "gelu erf backward", inner, "ns", run_gelu_bwd, &erf_form);
    report(be, "norm forward", (double)TOKENS * WIDTH, "ns", run_norm, NULL);
    report(be, "column sum", inner, "ns", run_col_sum, NULL);
    report(be, "softmax statistics", (double)TOKENS / 4 * VOCAB, "ns", run_xent,
           NULL);
    report(be, "adamw", inner, "ns", run_adamw, NULL);
}

static status prepare(bench *be)
{
    be->floats = (int64_t)TOKENS * VOCAB;
    float **all[] = {&be->a, &be->b, &be->c, &be->d};
    for (int i = 0; i < 4; i++) {
        TRY(MEM_NEW(all[i], be->floats, "bench"));
        for (int64_t j = 0; j < be->floats; j++) {
            (*all[i])[j] = (float)((j * 2654435761 >> 7) % 1000) * 1e-4F;
        }
    }
    be->ctx.work_bytes = math_work_bytes(64, 2048, 1 << 24, 8);
    return mem_alloc(be->ctx.work_bytes, 1, "bench", &be->ctx.work);
}

int main(int argc, char **argv)
{
    bench be = {0};
    status st = prepare(&be);
    if (st != ST_OK) {
        fprintf(stderr, "bench_math: %s\n", status_text());
        return st;
    }
    printf("%s, k block %lld\n", matmul_library(), (long long)matmul_kblock());
    for (int i = 1; i < (argc > 1 ? argc : 3); i++) {
        be.ctx.threads = argc > 1 ? atoi(argv[i]) : i;
        if (be.ctx.threads < 1 || be.ctx.threads > 64) {
            fprintf(stderr, "bench_math: threads must be 1 to 64\n");
            return ST_USAGE;
        }
        report(&be, "matmul 2048 cubed", 2.0 * CUBE * CUBE * CUBE, "GF/s",
               run_cube, NULL);
        report_products(&be);
        report_attention(&be);
        report_elements(&be);
    }
    mem_free(be.a);
    mem_free(be.b);
    mem_free(be.c);
    mem_free(be.d);
    mem_free(be.ctx.work);
    return ST_OK;
}
