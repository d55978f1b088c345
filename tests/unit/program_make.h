/*
 * Programs of one rank built by hand, for the tests of programs: the parts,
 * two small whole ones, and what to expect of a check.
 */
#ifndef WEFT_TESTS_UNIT_PROGRAM_MAKE_H
#define WEFT_TESTS_UNIT_PROGRAM_MAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/program/program.h"

enum { N = 1008 }; /* floats; with its padding 4096 bytes */

static inline int32_t new_buf(program *p, const char *name, int64_t floats)
{
    return prog_buffer(p, name, BUF_WORKING, -1, floats, false);
}

static inline int32_t op(program *p, op_kind kind, op_stream stream)
{
    return prog_add(p, kind, stream, -1);
}

/* Uses a part of a buffer as one row. */
static inline void use(program *p, int32_t buf, int64_t off, int64_t n,
                       view_mode m)
{
    prog_use(p, prog_sub(prog_whole(p, buf, 1, N, N), 0, 1, off, n), m);
}

/* An operation that reads one buffer and writes another, -1: none. */
static inline int32_t map(program *p, op_stream stream, int32_t from,
                          int32_t to)
{
    int32_t i = op(p, OP_ACT, stream);
    if (from >= 0) {
        use(p, from, 0, N, VIEW_R);
    }
    if (to >= 0) {
        use(p, to, 0, N, VIEW_W);
    }
    return i;
}

/* A load of parameter `par` into a new buffer. */
static inline int32_t load(program *p, int32_t par)
{
    int32_t b = new_buf(p, "panel", N);
    op(p, OP_LOAD, STREAM_LOAD);
    prog_last(p)->param = par;
    prog_last(p)->bytes = 4.0 * N;
    use(p, b, 0, N, VIEW_W);
    return b;
}

static inline int32_t drain(program *p, int32_t par, int32_t buf)
{
    int32_t i = op(p, OP_DRAIN, STREAM_DRAIN);
    prog_last(p)->param = par;
    prog_last(p)->bytes = 4.0 * N;
    use(p, buf, 0, N, VIEW_R);
    return i;
}

static inline void finish(program *p)
{
    assert_int_equal(prog_finish(p), ST_OK);
}

static inline void finish_ok(program *p)
{
    finish(p);
    if (prog_check(p, 0) != ST_OK) {
        fail_msg("%s", status_text());
    }
}

static inline void expect(status got, status want, const char *part)
{
    if (got != want || strstr(status_text(), part) == NULL) {
        fail_msg("got %d \"%s\", expected %d \"%s\"", got,
                 got == ST_OK ? "" : status_text(), want, part);
    }
}

static inline void expect_fail(const program *p, const char *part)
{
    expect(prog_check(p, 0), ST_INTERNAL, part);
}

/* Operation i waits for exactly these of its step (distance 0) or of the step
 * before (1), in any order. */
static inline void assert_waits_at(const program *p, int distance, int32_t i,
                                   int n, const int32_t *on)
{
    const prog_op *o = &p->ops[i];
    int have = 0;
    for (int d = 0; d < o->deps; d++) {
        have += p->dep[o->dep0 + d].distance == distance;
    }
    assert_int_equal(have, n);
    for (int k = 0; k < n; k++) {
        bool found = false;
        for (int d = 0; d < o->deps; d++) {
            const prog_dep *dep = &p->dep[o->dep0 + d];
            found = found || (dep->distance == distance && dep->op == on[k]);
        }
        assert_true(found);
        assert_int_equal(p->ops[on[k]].awaited, 1);
    }
}

static inline void assert_waits(const program *p, int32_t i, int n,
                                const int32_t *on)
{
    assert_waits_at(p, 0, i, n, on);
}

static inline void assert_waits_before(const program *p, int32_t i, int n,
                                       const int32_t *on)
{
    assert_waits_at(p, 1, i, n, on);
}

/* x = load; y = act(x), by the right waits. */
static inline void simple(program *p)
{
    prog_init(p);
    int32_t x = load(p, 0);
    int32_t y = new_buf(p, "y", N);
    map(p, STREAM_COMPUTE, x, y);
    map(p, STREAM_COMPUTE, y, -1);
    finish_ok(p);
}

typedef struct product {
    program p;
    int32_t x, w, y;
} product;

/* y[6][4] = x[6][3] w[4][3]^T */
static inline void expand(product *t)
{
    program *p = &t->p;
    prog_init(p);
    t->x = new_buf(p, "x", 18);
    t->w = new_buf(p, "w", 12);
    t->y = new_buf(p, "y", 24);
    op(p, OP_ZERO, STREAM_COMPUTE);
    prog_use(p, prog_whole(p, t->x, 6, 3, 3), VIEW_W);
    prog_use(p, prog_whole(p, t->w, 4, 3, 3), VIEW_W);
    op(p, OP_FORWARD, STREAM_COMPUTE);
    prog_last(p)->form = FORM_EXPAND;
    prog_use(p, prog_whole(p, t->x, 6, 3, 3), VIEW_R);
    prog_use(p, prog_whole(p, t->w, 4, 3, 3), VIEW_R);
    prog_use(p, prog_whole(p, t->y, 6, 4, 4), VIEW_W);
    finish_ok(p);
}

#endif
