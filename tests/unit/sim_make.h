/*
 * What the tests of the virtual clock have in common: a machine on which
 * nothing costs anything by itself, programs built by hand whose operations
 * take what the test says, and a run of them. Included by one test program
 * each.
 */
#ifndef WEFT_TESTS_UNIT_SIM_MAKE_H
#define WEFT_TESTS_UNIT_SIM_MAKE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/sim/clock.h"

enum { N = 64, RANKS_MAX = 8, OPS_MAX = 256 };

static inline void check(status st, int line)
{
    if (st != ST_OK) {
        fail_msg("line %d: %s", line, status_text());
    }
}
#define OK(call) check((call), __LINE__)

#define CLOSE(a, b)                                                            \
    do {                                                                       \
        if (!(fabs((a) - (b)) <= 1e-9)) {                                      \
            fail_msg("line %d: %.12g, expected %.12g", __LINE__, (double)(a),  \
                     (double)(b));                                             \
        }                                                                      \
    } while (0)

/* A machine on which nothing costs anything by itself. */
static inline machine free_machine(void)
{
    machine m;
    machine_init(&m);
    m.overlap_store =
        1U << STREAM_LOAD | 1U << STREAM_DRAIN | 1U << STREAM_HOST;
    m.nlinks = 1;
    m.link[0].ranks = 2;
    return m;
}

/* Costs given by the test: class, operation. */
typedef struct costs {
    sim_work work[RANKS_MAX][OPS_MAX];
    sim_work *list[RANKS_MAX];
} costs;

static inline sim_work *const *costs_of(costs *c)
{
    for (int i = 0; i < RANKS_MAX; i++) {
        c->list[i] = c->work[i];
    }
    return c->list;
}

/* --- programs ------------------------------------------------------------- */

static inline int32_t buffer(program *p)
{
    return prog_buffer(p, "x", BUF_WORKING, -1, N, false);
}

static inline void use(program *p, int32_t buf, view_mode mode)
{
    prog_use(p, prog_whole(p, buf, 1, N, N), mode);
}

/* An operation of `kind` that writes `out` and takes `seconds`. */
static inline int32_t work(program *p, costs *c, int cls, op_kind kind,
                           op_stream stream, int32_t out, view_mode mode,
                           double s)
{
    int32_t i = prog_add(p, kind, stream, -1);
    use(p, out, mode);
    assert_true(i < OPS_MAX);
    c->work[cls][i].s = s;
    c->work[cls][i].cpu_s = s;
    return i;
}

static inline int32_t message(program *p, costs *c, int cls, op_kind kind,
                              int peer, int64_t tag, int32_t buf, double s)
{
    bool send = kind == OP_SEND;
    int32_t i = work(p, c, cls, kind, send ? STREAM_PIPE_OUT : STREAM_PIPE_IN,
                     buf, send ? VIEW_R : VIEW_W, s);
    prog_last(p)->peer = peer;
    prog_last(p)->arg = tag;
    prog_last(p)->bytes = 4.0 * N;
    return i;
}

static inline void clip(program *p, costs *c, int cls, double s)
{
    p->phase = PHASE_UPDATE;
    int32_t i = prog_add(p, OP_CLIP, STREAM_HOST, -1);
    prog_last(p)->group = GROUP_WORLD;
    c->work[cls][i].s = s;
}

static inline program_set set_of(program *p, prog_place *places, int ranks)
{
    return (program_set){
        .classes = p, .nclasses = ranks, .places = places, .nranks = ranks};
}

static inline void run(const machine *m, bool streamed, const program_set *set,
                       costs *c, sim_result *out)
{
    sim_setup in = {
        .m = m, .ranks = set->nranks, .threads = 1, .store = streamed};
    OK(sim_run_costs(&in, set, costs_of(c), out));
}

static inline double sum_of(const sim_ledger *l)
{
    return l->compute + l->load + l->comm + l->bubble + l->optimizer + l->other;
}

static inline int no_leak(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

#endif
