/*
 * Programs built by hand: live ranges, placement, waits, prefetch, printing;
 * and for each thing that prog_check finds, a small program that is wrong in
 * just that. Sets of ranks are in test_program_set.c.
 */
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

static int32_t new_buf(program *p, const char *name, int64_t floats)
{
    return prog_buffer(p, name, BUF_WORKING, -1, floats, false);
}

static int32_t op(program *p, op_kind kind, op_stream stream)
{
    return prog_add(p, kind, stream, -1);
}

/* Uses a part of a buffer as one row. */
static void use(program *p, int32_t buf, int64_t off, int64_t n, view_mode m)
{
    prog_use(p, prog_sub(prog_whole(p, buf, 1, N, N), 0, 1, off, n), m);
}

/* An operation that reads one buffer and writes another, -1: none. */
static int32_t map(program *p, op_stream stream, int32_t from, int32_t to)
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
static int32_t load(program *p, int32_t par)
{
    int32_t b = new_buf(p, "panel", N);
    op(p, OP_LOAD, STREAM_LOAD);
    prog_last(p)->param = par;
    prog_last(p)->bytes = 4.0 * N;
    use(p, b, 0, N, VIEW_W);
    return b;
}

static int32_t drain(program *p, int32_t par, int32_t buf)
{
    int32_t i = op(p, OP_DRAIN, STREAM_DRAIN);
    prog_last(p)->param = par;
    prog_last(p)->bytes = 4.0 * N;
    use(p, buf, 0, N, VIEW_R);
    return i;
}

static void finish(program *p)
{
    assert_int_equal(prog_finish(p), ST_OK);
}

static void finish_ok(program *p)
{
    finish(p);
    if (prog_check(p, 0) != ST_OK) {
        fail_msg("%s", status_text());
    }
}

static void expect(status got, status want, const char *part)
{
    if (got != want || strstr(status_text(), part) == NULL) {
        fail_msg("got %d \"%s\", expected %d \"%s\"", got,
                 got == ST_OK ? "" : status_text(), want, part);
    }
}

static void expect_fail(const program *p, const char *part)
{
    expect(prog_check(p, 0), ST_INTERNAL, part);
}

/* Operation i waits for exactly these, in any order. */
static void assert_waits(const program *p, int32_t i, int n, const int32_t *on)
{
    assert_int_equal(p->ops[i].deps, n);
    for (int k = 0; k < n; k++) {
        bool found = false;
        for (int d = 0; d < n; d++) {
            found = found || p->dep[p->ops[i].dep0 + d].op == on[k];
        }
        assert_true(found);
        assert_int_equal(p->ops[on[k]].awaited, 1);
    }
}

/* --- building ------------------------------------------------------------- */

static void test_build(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    p.phase = PHASE_BACKWARD;
    int32_t b = prog_buffer(&p, "x", BUF_ACTIVATION, 3, 60, false);
    assert_int_equal(b, 0);
    assert_int_equal(op(&p, OP_ZERO, STREAM_COMPUTE), 0);
    prog_view v = prog_whole(&p, b, 6, 8, 10);
    prog_use(&p, v, VIEW_W);
    assert_int_equal(op(&p, OP_ACT, STREAM_HOST), 1);
    prog_view part = prog_sub(prog_sub(v, 2, 3, 1, 7), 1, 2, 2, 4);
    prog_use(&p, part, VIEW_RW);
    const prog_op *o = prog_last(&p);
    assert_int_equal(o->views, 1);
    assert_int_equal(o->view0, 1);
    assert_int_equal(o->phase, PHASE_BACKWARD);
    assert_int_equal(o->param, -1);
    const prog_view *w = &p.view[1];
    assert_int_equal(w->off, 2 * 10 + 1 + 10 + 2);
    assert_int_equal(w->rows, 2);
    assert_int_equal(w->cols, 4);
    assert_int_equal(w->ld, 10);
    assert_int_equal(w->mode, VIEW_RW);
    finish_ok(&p);
    assert_int_equal(p.bufs[b].first, 0);
    assert_int_equal(p.bufs[b].last, 1);
    assert_int_equal(p.class_bytes[BUF_ACTIVATION], p.peak_bytes);
    prog_fini(&p);
}

/* Many operations, so that all arrays grow; then each allocation fails. */
static void test_build_fails(void **state)
{
    (void)state;
    int64_t live = mem_live();
    int failures = 0;
    for (int64_t n = 1; n < 100; n++) {
        program p;
        prog_init(&p);
        mem_fail_after(n);
        for (int i = 0; i < 200; i++) {
            int32_t b = new_buf(&p, "x", N);
            map(&p, i % 2 == 0 ? STREAM_COMPUTE : STREAM_TENSOR, -1, b);
            prog_last(&p)->rows = 7;
            tree_seg seg = {.leaf = 0, .k1 = 1, .first = 1, .last = 1};
            prog_stack st = {.state = {.leaves = 1}, .planes = 1};
            prog_segments(&p, &seg, 1);
            prog_accumulate(&p, &st);
            prog_wait(&p, i, 0, 1);
        }
        prog_prefetch(&p, 1000, 1000);
        status st = prog_finish(&p);
        if (st == ST_OK) {
            st = prog_check(&p, 0);
        }
        mem_fail_after(0);
        assert_true(st == ST_OK || st == ST_SYSTEM);
        failures += st == ST_SYSTEM;
        prog_fini(&p);
        assert_int_equal(mem_live(), live);
    }
    assert_true(failures > 30 && failures < 99);
}

/* --- memory plan ---------------------------------------------------------- */

/* A chain: every third buffer lies where the first did. */
static void test_live_ranges(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t b[5];
    for (int i = 0; i < 5; i++) {
        b[i] = new_buf(&p, "link", N);
        map(&p, STREAM_COMPUTE, i > 0 ? b[i - 1] : -1, b[i]);
    }
    finish_ok(&p);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(p.bufs[b[i]].first, i);
        assert_int_equal(p.bufs[b[i]].last, i < 4 ? i + 1 : 4);
    }
    assert_int_equal(p.peak_bytes, 2 * 4096);
    assert_int_equal(p.bufs[b[0]].offset, p.bufs[b[2]].offset);
    assert_int_equal(p.bufs[b[2]].offset, p.bufs[b[4]].offset);
    assert_int_equal(p.bufs[b[1]].offset, p.bufs[b[3]].offset);
    assert_int_equal(p.ndeps, 0); /* one stream */
    prog_fini(&p);
}

static void test_persistent(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t a = new_buf(&p, "a", N);
    int32_t w = prog_buffer(&p, "w", BUF_WEIGHT, -1, N, true);
    int32_t unused = new_buf(&p, "unused", N);
    map(&p, STREAM_COMPUTE, -1, a);
    map(&p, STREAM_COMPUTE, w, -1); /* was written in a step before */
    int32_t b = new_buf(&p, "b", 2 * N);
    op(&p, OP_ZERO, STREAM_COMPUTE);
    prog_use(&p, prog_whole(&p, b, 1, 2 * N, 2 * N), VIEW_W);
    finish_ok(&p);
    assert_int_equal(p.bufs[w].offset, 0);
    assert_int_equal(p.bufs[w].first, 0);
    assert_int_equal(p.bufs[w].last, 2);
    assert_int_equal(p.bufs[unused].offset, -1);
    assert_int_equal(p.bufs[a].offset, p.bufs[b].offset);
    assert_int_equal(p.class_bytes[BUF_WEIGHT], 4096);
    expect(prog_check(&p, p.peak_bytes), ST_OK, "");
    expect(prog_check(&p, p.peak_bytes - 1), ST_BUDGET, "raise");
    prog_fini(&p);
}

/* --- waits ---------------------------------------------------------------- */

/* The picture in plan.c: a window of two panels. */
static void test_reuse_waits(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t x = new_buf(&p, "x", N);
    int32_t b[4];
    int32_t ops[8];
    map(&p, STREAM_COMPUTE, -1, x);
    b[0] = load(&p, 0);
    b[1] = load(&p, 1);
    for (int i = 0; i < 4; i++) {
        ops[i] = op(&p, OP_ACT, STREAM_COMPUTE);
        use(&p, b[i], 0, N, VIEW_R);
        use(&p, x, 0, N, VIEW_RW);
        if (i < 2) {
            b[i + 2] = load(&p, i + 2);
            ops[4 + i] = p.nops - 1;
        }
    }
    finish_ok(&p);
    assert_int_equal(p.peak_bytes, 3 * 4096);
    assert_int_equal(p.bufs[b[0]].offset, p.bufs[b[2]].offset);
    assert_int_equal(p.bufs[b[1]].offset, p.bufs[b[3]].offset);
    assert_waits(&p, 1, 0, NULL);
    assert_waits(&p, 2, 0, NULL);
    assert_waits(&p, ops[0], 1, (const int32_t[]){1});
    assert_waits(&p, ops[4], 1, (const int32_t[]){ops[0]});
    assert_waits(&p, ops[1], 1, (const int32_t[]){2});
    assert_waits(&p, ops[5], 1, (const int32_t[]){ops[1]});
    assert_waits(&p, ops[2], 1, (const int32_t[]){ops[4]});
    assert_waits(&p, ops[3], 1, (const int32_t[]){ops[5]});
    prog_fini(&p);
}

/* Readers do not wait for each other; disjoint parts do not either. */
static void test_no_waits(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t x = new_buf(&p, "x", N);
    map(&p, STREAM_COMPUTE, -1, x);
    int32_t a = map(&p, STREAM_TENSOR, x, -1);
    int32_t b = map(&p, STREAM_DATA, x, -1);
    int32_t y = new_buf(&p, "y", N);
    op(&p, OP_ZERO, STREAM_COMPUTE);
    use(&p, y, 0, 500, VIEW_W);
    int32_t c = op(&p, OP_ZERO, STREAM_TENSOR);
    use(&p, y, 500, N - 500, VIEW_W);
    map(&p, STREAM_COMPUTE, x, -1); /* so that y does not lie where x was */
    finish_ok(&p);
    assert_waits(&p, a, 1, (const int32_t[]){0});
    assert_waits(&p, b, 1, (const int32_t[]){0});
    assert_waits(&p, c, 0, NULL);
    prog_fini(&p);
}

/* What the newest has waited for is not waited for again. */
static void test_no_double_waits(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t x = new_buf(&p, "x", N);
    map(&p, STREAM_HOST, -1, x); /* 0 */
    int32_t y = new_buf(&p, "y", N);
    map(&p, STREAM_COMPUTE, x, y);           /* 1 waits for 0 */
    int32_t z = op(&p, OP_ADD, STREAM_DATA); /* 2 waits for 1 alone */
    use(&p, x, 0, N, VIEW_R);
    use(&p, y, 0, N, VIEW_R);
    prog_wait(&p, z, 0, 0); /* known already */
    prog_wait(&p, z, 1, 1); /* of the step before: kept */
    finish_ok(&p);
    assert_int_equal(p.ops[z].deps, 2);
    for (int d = 0; d < 2; d++) {
        assert_int_equal(p.dep[p.ops[z].dep0 + d].op, 1);
    }
    assert_waits(&p, 1, 1, (const int32_t[]){0});
    prog_fini(&p);
}

/* Validation leaves out the middle operation, so the last needs a wait of its
 * own for the first. */
static void test_forward_waits(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t x = new_buf(&p, "x", N);
    map(&p, STREAM_LOAD, -1, x); /* 0 */
    p.phase = PHASE_BACKWARD;
    int32_t y = new_buf(&p, "y", N);
    map(&p, STREAM_COMPUTE, x, y); /* 1 */
    p.phase = PHASE_FORWARD;
    int32_t last = op(&p, OP_ADD, STREAM_TENSOR); /* 2 */
    use(&p, x, 0, N, VIEW_RW);
    finish_ok(&p);
    assert_waits(&p, last, 2, (const int32_t[]){0, 1});
    prog_dep *dep = &p.dep[p.ops[last].dep0];
    if (dep->op == 0) {
        *dep = dep[1];
    }
    p.ops[last].deps = 1;
    expect_fail(&p, "forward part alone: operation 2 (add on tensor) writes "
                    "buffer 0 (x, working) without waiting for operation 0");
    prog_fini(&p);
}

/* --- prefetch ------------------------------------------------------------- */

/* Names operations by their `arg`. */
static void assert_sequence(const program *p, const char *want)
{
    char got[64] = "";
    for (int32_t i = 0; i < p->nops; i++) {
        got[i] = (char)p->ops[i].arg;
    }
    assert_string_equal(got, want);
}

/* Loads a b c d used by computes 1 2 3 4, whose results w x y z drain. */
static void streamed(program *p)
{
    prog_init(p);
    for (int i = 0; i < 4; i++) {
        int32_t w = load(p, i);
        prog_last(p)->arg = 'a' + i;
        int32_t g = new_buf(p, "g", N);
        map(p, STREAM_COMPUTE, w, g);
        prog_last(p)->arg = '1' + i;
        drain(p, i, g);
        prog_last(p)->arg = 'w' + i;
    }
    op(p, OP_GRAD_NORM, STREAM_HOST);
    prog_last(p)->param = 3;
    prog_last(p)->arg = 'N';
    prog_wait(p, p->nops - 1, p->nops - 2, 0);
}

static void test_prefetch(void **state)
{
    static const struct {
        double window;
        const char *want;
    } cases[] = {
        /* Nothing fits: as it was, but a drain may not wait either. */
        {0, "a1wb2xc3yd4zN"},
        /* One panel ahead; one drain is put off. */
        {4.0 * N, "ab1c2wd3x4yzN"},
        {8.0 * N, "abc1d23w4xyzN"},
        {1e9, "abcd1234wxyzN"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        program p;
        streamed(&p);
        prog_prefetch(&p, cases[i].window, cases[i].window);
        finish_ok(&p);
        assert_sequence(&p, cases[i].want);
        /* The wait that was asked for went along. */
        assert_waits(&p, 12, 1, (const int32_t[]){11});
        prog_fini(&p);
    }
}

/* More window is more memory, never less. */
static void test_prefetch_memory(void **state)
{
    (void)state;
    int64_t before = 0;
    for (int w = 0; w < 5; w++) {
        program p;
        streamed(&p);
        prog_prefetch(&p, 4.0 * N * w, 4.0 * N * w);
        finish_ok(&p);
        assert_true(p.peak_bytes >= before);
        before = p.peak_bytes;
        prog_fini(&p);
    }
    assert_int_equal(before, 8 * 4096 - 4 * 4096 + 4096);
}

/* --- what the check of one program finds ---------------------------------- */

/* x = load; y = act(x), by the right waits. */
static void simple(program *p)
{
    prog_init(p);
    int32_t x = load(p, 0);
    int32_t y = new_buf(p, "y", N);
    map(p, STREAM_COMPUTE, x, y);
    map(p, STREAM_COMPUTE, y, -1);
    finish_ok(p);
}

static void test_check_views(void **state)
{
    (void)state;
    program p;
    simple(&p);
    prog_view *v = &p.view[2]; /* operation 1 writes y */
    const prog_view right = *v;
    v->off = 1;
    expect_fail(&p, "operation 1 (act on compute): view 1 covers floats "
                    "[1, 1009) of buffer 1 (y, working), which has 1008");
    *v = right;
    v->buf = 2;
    expect_fail(&p, "names buffer 2 of 2");
    *v = right;
    v->mode = 0;
    expect_fail(&p, "has no mode");
    *v = right;
    v->ld = N - 1;
    expect_fail(&p, "wrong shape");
    *v = right;
    v->rows = 0;
    expect_fail(&p, "wrong shape");
    *v = right;
    p.bufs[1].last = 0;
    expect_fail(&p, "lives from operation 1 to 0");
    p.bufs[1].last = 2;
    p.ops[2].kind = OP_KIND_COUNT;
    expect_fail(&p, "operation 2: kind");
    prog_fini(&p);
}

/* A view with an accumulator covers all planes; a message whole rows. */
static void test_check_view_ends(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t b = new_buf(&p, "g", 3 * 8);
    int32_t x = new_buf(&p, "x", 4 * 8);
    tree_seg segs[2] = {{.leaf = 0, .k1 = 2, .first = 1, .last = 1},
                        {.leaf = 1, .k0 = 2, .k1 = 4, .first = 1, .last = 1}};
    prog_stack s = {.state = {.leaves = 3}, .planes = 3, .plane = 8};
    op(&p, OP_ZERO, STREAM_COMPUTE);
    prog_use(&p, prog_whole(&p, x, 4, 8, 8), VIEW_W);
    op(&p, OP_DBIAS, STREAM_COMPUTE);
    prog_use(&p, prog_whole(&p, x, 4, 8, 8), VIEW_R);
    prog_use(&p, prog_whole(&p, b, 1, 8, 8), VIEW_W);
    prog_segments(&p, segs, 2);
    prog_accumulate(&p, &s);
    finish_ok(&p);
    p.stack[0].planes = 4;
    expect_fail(&p, "operation 1 (dbias on compute): view 1 covers floats "
                    "[0, 32) of buffer 0 (g, working), which has 24");
    prog_fini(&p);
    prog_init(&p);
    b = new_buf(&p, "x", 36);
    op(&p, OP_RECV, STREAM_PIPE_IN);
    prog_use(&p, prog_whole(&p, b, 4, 8, 9), VIEW_W);
    finish_ok(&p);
    p.bufs[b].floats = 35;
    expect_fail(&p, "floats [0, 36)");
    prog_fini(&p);
}

/* Guarded tails: the guard comes first, and nobody outside a tail waits for
 * what may not run. */
static void test_check_tails(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    (void)op(&p, OP_CLIP, STREAM_HOST);
    prog_guard(&p, TAIL_SOUND);
    int32_t update = op(&p, OP_UPDATE, STREAM_HOST);
    finish(&p);
    assert_int_equal(p.guard, 0);
    assert_int_equal(p.ops[0].tail, TAIL_ALWAYS);
    assert_int_equal(p.ops[update].tail, TAIL_SOUND);
    assert_int_equal(prog_check(&p, 0), ST_OK);
    p.guard = update;
    assert_int_equal(prog_check(&p, 0), ST_INTERNAL);
    assert_non_null(strstr(status_text(), "before its guard"));
    prog_fini(&p);

    (void)op(&p, OP_CLIP, STREAM_HOST);
    prog_guard(&p, TAIL_SOUND);
    update = op(&p, OP_UPDATE, STREAM_HOST);
    p.tail = TAIL_ALWAYS;
    int32_t late = op(&p, OP_LOAD, STREAM_LOAD);
    prog_wait(&p, late, update, 0);
    finish(&p);
    assert_int_equal(prog_check(&p, 0), ST_INTERNAL);
    prog_fini(&p);
}

static void test_check_waits(void **state)
{
    (void)state;
    program p;
    simple(&p);
    assert_int_equal(p.ops[1].deps, 1);
    prog_dep *dep = &p.dep[p.ops[1].dep0];
    dep->op = 2;
    expect_fail(&p, "waits for the later operation 2");
    dep->op = 1;
    expect_fail(&p, "waits for the later operation 1");
    dep->op = 3;
    expect_fail(&p, "is for operation 3 of 3");
    *dep = (prog_dep){1, 0, 2};
    expect_fail(&p, "(distance 2)");
    dep->distance = 0;
    p.ops[0].awaited = 0;
    expect_fail(&p, "not marked as awaited");
    p.ops[0].awaited = 1;
    assert_int_equal(prog_check(&p, 0), ST_OK);
    p.ops[1].deps = 0;
    expect_fail(&p, "operation 1 (act on compute) reads buffer 0 (panel, "
                    "working) without waiting for operation 0 (load on load), "
                    "which writes buffer 0");
    prog_fini(&p);
}

static void test_check_places(void **state)
{
    (void)state;
    program p;
    simple(&p);
    prog_buf *y = &p.bufs[1];
    int64_t right = y->offset;
    y->offset = p.bufs[0].offset;
    expect_fail(&p, "share bytes while both live");
    y->offset = right == 0 ? 64 : right - 64;
    expect_fail(&p, right == 0 ? "outside" : "share bytes while both live");
    y->offset = right + 4;
    expect_fail(&p, "outside the plan's 8192 bytes or not at a multiple");
    y->offset = 8192;
    expect_fail(&p, "outside the plan's 8192 bytes");
    y->offset = -64;
    expect_fail(&p, "outside the plan's 8192 bytes");
    y->offset = right;
    p.peak_bytes = 8191;
    expect_fail(&p, "outside the plan's 8191 bytes");
    p.peak_bytes = 8192;
    y->persistent = 1;
    expect_fail(&p, "is persistent but lives from operation 1 to 2");
    prog_fini(&p);
}

/* Buffers that follow each other at one place: the wait for the reader before
 * is the one that is easily forgotten. */
static void test_check_reuse(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t x = load(&p, 0);
    int32_t y = new_buf(&p, "y", N);
    map(&p, STREAM_COMPUTE, x, y);
    int32_t z = load(&p, 1);
    map(&p, STREAM_COMPUTE, z, -1);
    finish_ok(&p);
    assert_int_equal(p.bufs[x].offset, p.bufs[z].offset);
    assert_int_equal(p.ops[2].deps, 1);
    p.ops[2].deps = 0;
    expect_fail(&p, "operation 2 (load on load) writes buffer 2 (panel, "
                    "working) without waiting for operation 1 (act on "
                    "compute), which reads buffer 0 (panel, working)");
    prog_fini(&p);
}

/* --- reads of what was not written ---------------------------------------- */

/* A matrix of 8 x 12 (rows 16 apart), written in panels and rows. */
static void written(program *p, const int (*parts)[4], int n)
{
    prog_init(p);
    int32_t b = new_buf(p, "m", 8 * 16);
    prog_view m = prog_whole(p, b, 8, 12, 16);
    for (int i = 0; i < n; i++) {
        op(p, OP_ZERO, STREAM_COMPUTE);
        prog_use(
            p, prog_sub(m, parts[i][0], parts[i][1], parts[i][2], parts[i][3]),
            VIEW_W);
    }
    op(p, OP_ACT, STREAM_COMPUTE);
    prog_use(p, m, VIEW_R);
    finish(p);
}

static void test_check_written(void **state)
{
    /* row, rows, column, columns */
    static const int whole[][4] = {{0, 4, 0, 5}, {4, 4, 0, 5}, {0, 8, 5, 7}};
    static const int stairs[][4] = {
        {0, 8, 0, 4}, {0, 3, 4, 8}, {3, 5, 4, 4}, {2, 6, 8, 4}};
    static const int no_panel[][4] = {{0, 8, 0, 5}, {0, 8, 6, 6}};
    static const int no_rows[][4] = {{0, 3, 0, 12}, {4, 4, 0, 12}};
    static const int no_corner[][4] = {{0, 8, 0, 11}, {0, 7, 11, 1}};
    (void)state;
    program p;
    written(&p, whole, 3);
    assert_int_equal(prog_check(&p, 0), ST_OK);
    prog_fini(&p);
    written(&p, stairs, 4);
    assert_int_equal(prog_check(&p, 0), ST_OK);
    prog_fini(&p);
    written(&p, no_panel, 2);
    expect_fail(&p, "operation 2 (act on compute): reads buffer 0 (m, "
                    "working), of which rows [0, 8), columns [5, 6) were "
                    "never written");
    prog_fini(&p);
    written(&p, no_rows, 2);
    expect_fail(&p, "rows [3, 4), columns [0, 12)");
    prog_fini(&p);
    written(&p, no_corner, 2);
    expect_fail(&p, "rows [7, 8), columns [11, 12)");
    prog_fini(&p);
    written(&p, whole, 0);
    expect_fail(&p, "rows [0, 8), columns [0, 12)");
    prog_fini(&p);
}

/* An operation that reads and writes does not read its own result. */
static void test_check_read_first(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t b = new_buf(&p, "x", N);
    op(&p, OP_ROPE, STREAM_COMPUTE);
    use(&p, b, 0, N, VIEW_RW);
    finish(&p);
    expect_fail(&p, "operation 0 (rope on compute): reads buffer 0");
    prog_fini(&p);
}

/* What only the backward part writes is not there in validation. */
static void test_check_written_forward(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t b = new_buf(&p, "x", N);
    p.phase = PHASE_BACKWARD;
    map(&p, STREAM_COMPUTE, -1, b);
    map(&p, STREAM_COMPUTE, b, -1);
    finish_ok(&p);
    p.ops[1].phase = PHASE_FORWARD;
    expect_fail(&p, "operation 1 (act on compute): reads buffer 0");
    prog_fini(&p);
}

/* Vectors that are whole runs, written in pieces across rows of a grid. */
static void test_check_written_runs(void **state)
{
    (void)state;
    for (int hole = 0; hole < 2; hole++) {
        program p;
        prog_init(&p);
        int32_t b = new_buf(&p, "m", 40);
        prog_view run = prog_whole(&p, b, 1, 40, 40);
        static const int at[] = {0, 7, 13, 29, 40};
        for (int i = 0; i < 4; i++) {
            op(&p, OP_ZERO, STREAM_COMPUTE);
            prog_use(&p,
                     prog_sub(run, 0, 1, at[i],
                              at[i + 1] - at[i] - (hole && i == 1)),
                     VIEW_W);
        }
        op(&p, OP_ACT, STREAM_COMPUTE);
        prog_use(&p, prog_whole(&p, b, 4, 9, 10), VIEW_R);
        finish(&p);
        if (hole) {
            expect_fail(&p, "rows [1, 2), columns [2, 3)");
        } else {
            assert_int_equal(prog_check(&p, 0), ST_OK);
        }
        prog_fini(&p);
    }
}

/* --- products and sums ---------------------------------------------------- */

typedef struct product {
    program p;
    int32_t x, w, y;
} product;

/* y[6][4] = x[6][3] w[4][3]^T */
static void expand(product *t)
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

static void test_check_products(void **state)
{
    (void)state;
    product t;
    expand(&t);
    t.p.view[2].cols = 2;
    expect_fail(&t.p, "operation 1 (forward on compute): the shapes of its "
                      "matrices do not fit together");
    t.p.view[2].cols = 3;
    t.p.view[4].rows = 5;
    expect_fail(&t.p, "do not fit together");
    t.p.view[4].rows = 6;
    t.p.ops[1].views = 2;
    expect_fail(&t.p, "2 views and 0 accumulators do not make a product");
    prog_fini(&t.p);
}

/* Column sums of 6 tokens by three leaves in two operations, 4 + 2 tokens,
 * then read. Leaf 1 is cut by the operations. */
static void summed(program *p)
{
    static const tree_seg segs[4] = {
        {.leaf = 0, .k0 = 0, .k1 = 2, .first = 1, .last = 1},
        {.leaf = 1, .k0 = 2, .k1 = 4, .first = 1},
        {.leaf = 1, .k0 = 0, .k1 = 1, .last = 1},
        {.leaf = 2, .k0 = 1, .k1 = 2, .first = 1, .last = 1}};
    prog_init(p);
    int32_t x = new_buf(p, "dy", 6 * 16);
    int32_t g = new_buf(p, "gradient", 2 * 16);
    prog_view dy = prog_whole(p, x, 6, 16, 16);
    prog_view plane = prog_whole(p, g, 1, 16, 16);
    prog_stack s = {.state = {.leaves = 3}, .planes = 2, .plane = 16};
    op(p, OP_ZERO, STREAM_COMPUTE);
    prog_use(p, dy, VIEW_W);
    for (int i = 0; i < 2; i++) {
        op(p, OP_DBIAS, STREAM_COMPUTE);
        prog_use(p, prog_sub(dy, i * 4, i == 0 ? 4 : 2, 0, 16), VIEW_R);
        prog_use(p, plane, i == 0 ? VIEW_W : VIEW_RW);
        prog_segments(p, segs + 2 * i, 2);
        prog_accumulate(p, &s);
        tree_state_after(&s.state, segs + 2 * i, 2);
    }
    op(p, OP_GRAD_NORM, STREAM_COMPUTE);
    prog_use(p, plane, VIEW_R);
    finish(p);
}

static void test_check_segments(void **state)
{
    (void)state;
    program p;
    summed(&p);
    assert_int_equal(prog_check(&p, 0), ST_OK);
    tree_seg right = p.seg[1];
    p.seg[1].k0 = 3;
    expect_fail(&p, "operation 1 (dbias on compute): segment 1 covers "
                    "summands [3, 4) of source 0, expected from 2");
    p.seg[1] = right;
    p.seg[1].k1 = 3;
    expect_fail(&p, "its segments cover 3 of 4 summands of source 0");
    p.seg[1] = right;
    p.seg[1].src = 1;
    expect_fail(&p, "of source 1");
    p.seg[1] = right;
    p.seg[1].leaf = 0;
    expect_fail(&p, "segment 1 of leaf 0 of 3 comes out of order");
    p.seg[1].leaf = 3;
    expect_fail(&p, "segment 1 of leaf 3 of 3 comes out of order");
    p.seg[1] = right;
    p.seg[1].first = 0;
    expect_fail(&p, "segment 1 of leaf 1 of 3 comes out of order");
    p.seg[1] = right;
    p.seg[2].first = 1;
    expect_fail(&p, "operation 2 (dbias on compute): segment 0 of leaf 1");
    prog_fini(&p);
}

static void test_check_sums(void **state)
{
    (void)state;
    program p;
    summed(&p);
    /* The last leaf is not ended, so nothing is joined. */
    p.seg[3].last = 0;
    expect_fail(&p, "operation 3 (grad_norm on compute): reads buffer 1 "
                    "(gradient, working) before its sum is whole (2 entries, "
                    "the first spans leaves [0, 2) of 3)");
    p.seg[3].last = 1;
    p.stack[1].state.spans[0].hi = 2;
    expect_fail(&p, "operation 2 (dbias on compute): expects 2 entries");
    p.stack[1].state.spans[0].hi = 1;
    p.stack[1].state.depth = 1;
    expect_fail(&p, "expects 1 entries in the sum in buffer 1 (gradient, "
                    "working), the operation before left 2");
    p.stack[1].state.depth = 2;
    p.view[4].mode = VIEW_W;
    expect_fail(&p, "adds to the sum in buffer 1 (gradient, working) but its "
                    "view does not read it");
    p.view[4].mode = VIEW_R;
    expect_fail(&p, "view does not write it");
    p.view[4].mode = VIEW_RW;
    p.stack[0].planes = p.stack[1].planes = 1;
    expect_fail(&p, "needs 2 planes for the sum in buffer 1");
    p.stack[0].planes = p.stack[1].planes = 2;
    assert_int_equal(prog_check(&p, 0), ST_OK);
    /* Read between the two operations. */
    prog_op early = p.ops[3];
    p.ops[3] = p.ops[2];
    p.ops[2] = early;
    p.bufs[0].last = 3;
    expect_fail(&p, "operation 2 (grad_norm on compute): reads buffer 1");
    prog_fini(&p);
}

/* Two entries are what a reduction over 3 ranks expects, of this one. */
static void test_check_reduced(void **state)
{
    (void)state;
    program p;
    summed(&p);
    p.ops[3] = (prog_op){.kind = OP_ALLREDUCE,
                         .stream = STREAM_COMPUTE,
                         .layer = -1,
                         .view0 = p.ops[3].view0,
                         .views = 1,
                         .stack0 = 1,
                         .stacks = 1};
    p.view[p.ops[3].view0].mode = VIEW_RW;
    p.stack[1].planes = 2;
    expect_fail(&p, "operation 3 (allreduce on compute): reduces 2 pieces of "
                    "buffer 1 (gradient, working), the sum there has 1");
    prog_fini(&p);
}

/* --- order through the store ---------------------------------------------- */

/* A step of one parameter: load, gradient, drain, norm, clip, update. */
typedef struct step {
    program p;
    int32_t loss, drain, norm, clip, update;
} step;

static void make_step(step *s, bool wait_drain, bool wait_loss, bool load_late)
{
    program *p = &s->p;
    prog_init(p);
    int32_t w = load(p, 0);
    int32_t g = new_buf(p, "g", N);
    s->loss = op(p, OP_LOSS, STREAM_COMPUTE);
    use(p, w, 0, N, VIEW_R);
    p->phase = PHASE_BACKWARD;
    map(p, STREAM_COMPUTE, w, g);
    s->drain = drain(p, 0, g);
    p->phase = PHASE_UPDATE;
    if (load_late) {
        load(p, 0);
    }
    s->norm = op(p, OP_GRAD_NORM, STREAM_HOST);
    prog_last(p)->param = 0;
    s->clip = op(p, OP_CLIP, STREAM_HOST);
    s->update = op(p, OP_UPDATE, STREAM_HOST);
    prog_last(p)->param = 0;
    if (wait_drain) {
        prog_wait(p, s->norm, s->drain, 0);
    }
    if (wait_loss) {
        prog_wait(p, s->clip, s->loss, 0);
    }
    finish(p);
}

static void test_check_store_order(void **state)
{
    (void)state;
    step s;
    make_step(&s, true, true, false);
    assert_int_equal(prog_check(&s.p, 0), ST_OK);
    assert_waits(&s.p, s.norm, 1, &s.drain);
    prog_fini(&s.p);
    make_step(&s, false, true, false);
    expect_fail(&s.p, "(grad_norm on host) reads the gradient in the store "
                      "without waiting for operation 3 (drain on drain), "
                      "which writes the gradient in the store");
    prog_fini(&s.p);
    make_step(&s, true, false, false);
    expect_fail(&s.p, "forward part alone: operation 5 (clip on host) writes "
                      "the sums of the loss without waiting for operation 1 "
                      "(loss on compute)");
    prog_fini(&s.p);
    make_step(&s, true, true, true);
    expect_fail(&s.p, "(update on host) writes the weights in the store "
                      "without waiting for operation 4 (load on load)");
    prog_fini(&s.p);
}

/* Rows of the batch: who loads them needs the list that batch makes. */
static void test_check_rows_order(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t ids = new_buf(&p, "ids", N);
    int32_t b = op(&p, OP_BATCH, STREAM_COMPUTE);
    use(&p, ids, 0, N, VIEW_W);
    int32_t table = new_buf(&p, "table", N);
    int32_t l = op(&p, OP_LOAD_ROWS, STREAM_LOAD);
    prog_last(&p)->param = 0;
    use(&p, table, 0, N, VIEW_W);
    prog_wait(&p, l, b, 0);
    map(&p, STREAM_COMPUTE, ids, -1); /* so that they do not share bytes */
    finish_ok(&p);
    p.ops[l].deps = 0;
    expect_fail(&p, "reads the batch's list of rows without waiting for "
                    "operation 0 (batch on compute)");
    prog_fini(&p);
}

/* --- looking -------------------------------------------------------------- */

static void assert_names(const char *(*name)(int), int n)
{
    for (int i = 0; i < n; i++) {
        assert_non_null(name(i));
        assert_true(strcmp(name(i), "unknown") != 0);
        for (int j = 0; j < i; j++) {
            assert_true(strcmp(name(i), name(j)) != 0);
        }
    }
    assert_string_equal(name(n), "unknown");
    assert_string_equal(name(-1), "unknown");
}

static const char *kind_name(int i)
{
    return op_kind_name((op_kind)i);
}

static const char *stream_name(int i)
{
    return op_stream_name((op_stream)i);
}

static const char *group_name(int i)
{
    return op_group_name((op_group)i);
}

static const char *class_name(int i)
{
    return buf_class_name((buf_class)i);
}

static void test_names(void **state)
{
    (void)state;
    assert_names(kind_name, OP_KIND_COUNT);
    assert_names(stream_name, STREAM_COUNT);
    assert_names(group_name, GROUP_COUNT);
    assert_names(class_name, BUF_CLASS_COUNT);
    assert_string_equal(op_kind_name(OP_DWEIGHT), "dweight");
    assert_string_equal(op_kind_name(OP_UPDATE), "update");
}

static char *printed(const program *p, int max_ops)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    prog_print(p, f, max_ops);
    assert_int_equal(fclose(f), 0);
    return text;
}

static int lines_of(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++) {
        n += *text == '\n';
    }
    return n;
}

static void test_print(void **state)
{
    (void)state;
    product t;
    expand(&t);
    prog_op *o = &t.p.ops[1];
    o->layer = 7;
    o->seq0 = 2;
    o->seqs = 3;
    o->param = 11;
    o->rows = 4;
    o->flops = 144;
    o->bytes = 2048;
    char *text = printed(&t.p, 0);
    assert_int_equal(lines_of(text), 4);
    assert_non_null(strstr(text, "2 operations, 3 buffers"));
    const char *line = strstr(text, "     1  compute");
    assert_non_null(line);
    char kind[32], mb[32], flops[32], bytes[32];
    int layer, param, rows;
    assert_int_equal(sscanf(line, "%*d compute %31s %d %31s %d %d %31s %31s",
                            kind, &layer, mb, &param, &rows, flops, bytes),
                     7);
    assert_string_equal(kind, "forward/expand");
    assert_int_equal(layer, 7);
    assert_string_equal(mb, "2+3");
    assert_int_equal(param, 11);
    assert_int_equal(rows, 4);
    assert_string_equal(flops, "144");
    assert_string_equal(bytes, "2");
    free(text);
    text = printed(&t.p, 1);
    assert_int_equal(lines_of(text), 4);
    assert_non_null(strstr(text, "... 1 more"));
    free(text);
    prog_fini(&t.p);
    simple(&t.p);
    text = printed(&t.p, 0);
    line = strstr(text, "     1  compute");
    assert_non_null(line);
    assert_non_null(strstr(line, " 0\n")); /* waits for operation 0 */
    free(text);
    prog_fini(&t.p);
}

static void test_count(void **state)
{
    (void)state;
    program p;
    streamed(&p);
    prog_last(&p)->flops = 5;
    prog_totals t;
    prog_count(&p, &t);
    assert_int_equal(t.ops[OP_LOAD], 4);
    assert_int_equal(t.ops[OP_DRAIN], 4);
    assert_int_equal(t.ops[OP_GRAD_NORM], 1);
    assert_true(t.load_bytes == 16.0 * N && t.drain_bytes == 16.0 * N);
    assert_true(t.flops[OP_GRAD_NORM] == 5);
    assert_int_equal(t.messages, 0);
    prog_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_build_fails),
        cmocka_unit_test(test_live_ranges),
        cmocka_unit_test(test_persistent),
        cmocka_unit_test(test_reuse_waits),
        cmocka_unit_test(test_no_waits),
        cmocka_unit_test(test_no_double_waits),
        cmocka_unit_test(test_forward_waits),
        cmocka_unit_test(test_prefetch),
        cmocka_unit_test(test_prefetch_memory),
        cmocka_unit_test(test_check_views),
        cmocka_unit_test(test_check_view_ends),
        cmocka_unit_test(test_check_waits),
        cmocka_unit_test(test_check_tails),
        cmocka_unit_test(test_check_places),
        cmocka_unit_test(test_check_reuse),
        cmocka_unit_test(test_check_written),
        cmocka_unit_test(test_check_read_first),
        cmocka_unit_test(test_check_written_forward),
        cmocka_unit_test(test_check_written_runs),
        cmocka_unit_test(test_check_products),
        cmocka_unit_test(test_check_segments),
        cmocka_unit_test(test_check_sums),
        cmocka_unit_test(test_check_reduced),
        cmocka_unit_test(test_check_store_order),
        cmocka_unit_test(test_check_rows_order),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
