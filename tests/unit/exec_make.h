/*
 * What the tests of the executor on one rank have in common: their world,
 * calls that must succeed, the set-ups they go through, and what comes of the
 * plain one. Included by one test program each.
 */
#ifndef WEFT_TESTS_UNIT_EXEC_MAKE_H
#define WEFT_TESTS_UNIT_EXEC_MAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/common/rig.h"

enum { STEPS = 3 };

static comm *world;

/* Before the tests; comm_fini(world) after them. */
static inline bool open_world(void)
{
    if (comm_init(&world) != ST_OK) {
        fprintf(stderr, "%s\n", status_text());
        return false;
    }
    return true;
}

static inline void open_ok(const setup_options *o, const rig_more *more, rig *r)
{
    status st = rig_open(o, more, world, r);
    if (st != ST_OK) {
        print_error("%s\n", status_text());
    }
    assert_int_equal(st, ST_OK);
}

static inline exec_result step_ok(rig *r, int64_t step)
{
    exec_result res;
    status st = rig_step(r, step, &res);
    if (st != ST_OK) {
        print_error("step %lld: %s\n", (long long)step, status_text());
    }
    assert_int_equal(st, ST_OK);
    return res;
}

static inline uint64_t hash_of(rig *r)
{
    uint64_t hash = 0;
    assert_int_equal(rig_hash(r, &hash), ST_OK);
    return hash;
}

static inline double evaluate_ok(rig *r, int64_t step)
{
    double loss = 0;
    assert_int_equal(exec_evaluate(r->e, step, &loss), ST_OK);
    return loss;
}

/* The set-ups that tests go through: resident; streamed, tight; streamed
 * with everything that makes programs long. */
enum { SETUPS = 3 };

static inline setup_options option_of(int i)
{
    setup_options o = rig_options(i == 0 ? "dp1" : NULL);
    if (i == 1) {
        o.device_memory = 2300 << 10;
    }
    if (i == 2) {
        o.micro_batch = 1;
        o.recompute = SETUP_RECOMPUTE_FULL;
        o.threads = 2;
    }
    return o;
}

/* Loss bits and weights after STEPS steps, the same for all set-ups. */
typedef struct outcome {
    double loss[STEPS], norm[STEPS];
    uint64_t hash;
} outcome;

static inline outcome plain_outcome(void)
{
    rig r;
    outcome out;
    memset(&out, 0, sizeof(out));
    setup_options o = option_of(0);
    open_ok(&o, NULL, &r);
    for (int i = 0; i < STEPS; i++) {
        exec_result res = step_ok(&r, i);
        out.loss[i] = res.loss;
        out.norm[i] = res.grad_norm;
    }
    out.hash = hash_of(&r);
    rig_close(&r);
    return out;
}

#endif
