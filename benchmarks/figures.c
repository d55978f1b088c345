#include "benchmarks/figures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/ratio.h"
#include "benchmarks/runner.h"
#include "runtime/base/clock.h"
#include "runtime/base/log.h"
#include "runtime/base/mem.h"
#include "runtime/base/threads.h"
#include "runtime/base/units.h"
#include "runtime/train/host.h"

static status open_runner(const figures_config *c, setup_options o, runner *r)
{
    arch a;
    memset(r, 0, sizeof(*r));
    TRY(arch_open(c->model, &a));
    TRY(arch_fit(&a, c->layers, 0));
    o.batch = 1;
    o.seq = c->tokens;
    o.threads = c->threads > 0 ? c->threads : threads_usable();
    return runner_open(&a, &o, c->self, r);
}

/* b's steps against a's: a's time over b's, pair by pair. */
static status pairs(runner *a, runner *b, int64_t rounds, double tolerance,
                    ratio *out)
{
    double v[RATIO_MAX];
    for (int64_t i = -1; i < rounds; i++) {
        double ta;
        double tb;
        TRY(runner_step(a, &ta));
        TRY(runner_step(b, &tb));
        double d = fabs(a->last.loss - b->last.loss) / a->last.loss;
        REQUIRE(d <= tolerance, ST_INTERNAL,
                "INVALID: losses %.17g and %.17g differ at step %lld",
                a->last.loss, b->last.loss, (long long)i + 2);
        if (i >= 0) {
            v[i] = ta / tb;
        }
    }
    *out = ratio_of(v, rounds);
    return ST_OK;
}

/* Steps and products of 2048 cubed take turns. */
static status matmul_rounds(const figures_config *c, runner *r, strbuf *out,
                            int *noisy)
{
    double v[RATIO_MAX];
    double other[RATIO_MAX];
    double seconds;
    int threads = r->s.sh.threads;
    double flops = arch_flops_per_token(&r->s.a, c->tokens) * (double)c->tokens;
    TRY(runner_step(r, &seconds));
    for (int64_t i = 0; i < c->rounds; i++) {
        double rate = host_matmul_rate(threads, 2048, 3);
        TRY(runner_step(r, &seconds));
        double after = host_matmul_rate(threads, 2048, 3);
        rate = after > rate ? after : rate;
        v[i] = flops / seconds / rate;
        const exec_ledger *l = &r->last.ledger;
        other[i] = (double)l->other / (double)l->wall;
        strbuf_printf(out, "  step %s, %.1f GF/s; matmul %.1f GF/s\n",
                      units_seconds(seconds).s, flops / seconds * 1e-9,
                      rate * 1e-9);
    }
    *noisy += ratio_line(out, "resident step, share of the matmul rate",
                         ratio_of(v, c->rounds), 0.70);
    ratio o = ratio_of(other, c->rounds);
    strbuf_printf(out,
                  "%-52s %6.2f %%  (%.2f to %.2f)  goal at most 3 %%: %s\n",
                  "ledger: other", 100 * o.median, 100 * o.least, 100 * o.most,
                  o.median <= 0.03 ? "reached" : "NOT reached");
    return ST_OK;
}

static status against_matmul(const figures_config *c, strbuf *out, int *noisy)
{
    runner r;
    status st = open_runner(c, (setup_options){.plan = "dp1"}, &r);
    if (st == ST_OK) {
        st = matmul_rounds(c, &r, out, noisy);
    }
    runner_close(&r);
    return st;
}

static status two(const figures_config *c, setup_options a, setup_options b,
                  double tolerance, ratio *out)
{
    runner ra;
    runner rb;
    memset(&rb, 0, sizeof(rb));
    status st = open_runner(c, a, &ra);
    if (st == ST_OK) {
        st = open_runner(c, b, &rb);
    }
    if (st == ST_OK) {
        st = pairs(&ra, &rb, c->rounds, tolerance, out);
    }
    runner_close(&ra);
    runner_close(&rb);
    return st;
}

static status streamed(const figures_config *c, strbuf *out, int *noisy)
{
    ratio r;
    setup_options resident = {.plan = "dp1", .recompute = SETUP_RECOMPUTE_FULL};
    setup_options here = {.device_memory = c->device_memory,
                          .recompute = SETUP_RECOMPUTE_FULL};
    TRY(two(c, resident, here, 0, &r));
    char what[80];
    (void)snprintf(what, sizeof(what), "streamed in %s against resident",
                   units_bytes((double)c->device_memory).s);
    *noisy += ratio_line(out, what, r, 0.90);
    return ST_OK;
}

static status sums(const figures_config *c, strbuf *out, int *noisy)
{
    ratio r;
    setup_options fast = {.plan = "dp1", .fast_sums = true};
    setup_options exact = {.plan = "dp1"};
    TRY(two(c, fast, exact, 1e-5, &r));
    *noisy += ratio_line(out, "exact sums (leaves) against fast", r, 1 / 1.10);
    return ST_OK;
}

/* Seconds that the plain kernels take for as many flops at least: as if all
 * were as fast as a product of rows that lie in the cache. */
static status reference_seconds(double flops, double *out)
{
    enum { SIDE = 512 };
    float *x = NULL;
    TRY(MEM_NEW(&x, 3 * SIDE * SIDE, "bench"));
    const math_ctx ctx = {.threads = 1};
    int64_t begin = clock_wall_ns();
    math_ref.expand(&ctx, SIDE, SIDE, SIDE, x, SIDE, x + SIDE * SIDE, SIDE,
                    x + 2 * SIDE * SIDE, SIDE);
    double seconds = (double)(clock_wall_ns() - begin) * 1e-9;
    mem_free(x);
    *out = seconds * flops / (2.0 * SIDE * SIDE * SIDE);
    return ST_OK;
}

/* One step of the reference, which needs no other to warm up: it takes
 * minutes. Of the fast kernels the first, for its loss, and those after it. */
static status reference_pair(const figures_config *c, runner *plain,
                             runner *fast, ratio *out)
{
    double slow;
    double first;
    double quick[RATIO_MAX];
    double guess;
    double flops =
        arch_flops_per_token(&fast->s.a, c->tokens) * (double)c->tokens;
    TRY(reference_seconds(flops, &guess));
    log_info("one step of the reference: %s or more", units_seconds(guess).s);
    TRY(runner_step(plain, &slow));
    TRY(runner_step(fast, &first));
    double a = plain->last.loss;
    double b = fast->last.loss;
    REQUIRE(fabs(a - b) / a <= 1e-4, ST_INTERNAL,
            "INVALID: losses %.17g and %.17g differ", a, b);
    for (int64_t i = 0; i < c->rounds; i++) {
        TRY(runner_step(fast, &quick[i]));
        quick[i] = slow / quick[i];
    }
    *out = ratio_of(quick, c->rounds);
    log_info("it took %s", units_seconds(slow).s);
    return ST_OK;
}

static status reference(const figures_config *c, strbuf *out, int *noisy)
{
    ratio r;
    runner plain;
    runner fast;
    memset(&fast, 0, sizeof(fast));
    status st = open_runner(
        c, (setup_options){.plan = "dp1", .reference = true}, &plain);
    if (st == ST_OK) {
        st = open_runner(c, (setup_options){.plan = "dp1"}, &fast);
    }
    if (st == ST_OK) {
        st = reference_pair(c, &plain, &fast, &r);
    }
    runner_close(&plain);
    runner_close(&fast);
    TRY(st);
    *noisy += ratio_line(out, "fast kernels against the reference", r, 10);
    return ST_OK;
}

status figures_run(const figures_config *c, figures_which which, strbuf *out,
                   int *noisy)
{
    static status (*const run[FIGURE_COUNT])(const figures_config *, strbuf *,
                                             int *) = {
        [FIGURE_STEP] = against_matmul,
        [FIGURE_STREAMED] = streamed,
        [FIGURE_SUMS] = sums,
        [FIGURE_REFERENCE] = reference};
    REQUIRE(c->rounds >= 1 && c->rounds <= RATIO_MAX, ST_USAGE,
            "--rounds %lld is not possible, allowed is 1 to %d",
            (long long)c->rounds, RATIO_MAX);
    return run[which](c, out, noisy);
}
