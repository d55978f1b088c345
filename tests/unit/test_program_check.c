/*
 * For each thing that prog_check finds, a small program that is wrong in just
 * that. Sets of ranks are in test_program_set.c.
 */
#include "tests/unit/program_make.h"

/* --- what the check of one program finds ---------------------------------- */

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

/* What a step is made without. */
typedef enum flaw {
    SOUND,
    NO_DRAIN_WAIT,
    NO_LOSS_WAIT,
    LATE_LOAD,
    NO_UPDATE_BEFORE
} flaw;

static void make_step(step *s, flaw without)
{
    program *p = &s->p;
    prog_init(p);
    int32_t w = load(p, 0);
    int32_t first = p->nops - 1;
    int32_t g = new_buf(p, "g", N);
    s->loss = op(p, OP_LOSS, STREAM_COMPUTE);
    use(p, w, 0, N, VIEW_R);
    p->phase = PHASE_BACKWARD;
    map(p, STREAM_COMPUTE, w, g);
    s->drain = drain(p, 0, g);
    p->phase = PHASE_UPDATE;
    if (without == LATE_LOAD) {
        load(p, 0);
    }
    s->norm = op(p, OP_GRAD_NORM, STREAM_HOST);
    prog_last(p)->param = 0;
    s->clip = op(p, OP_CLIP, STREAM_HOST);
    s->update = op(p, OP_UPDATE, STREAM_HOST);
    prog_last(p)->param = 0;
    if (without != NO_DRAIN_WAIT) {
        prog_wait(p, s->norm, s->drain, 0);
    }
    if (without != NO_LOSS_WAIT) {
        prog_wait(p, s->clip, s->loss, 0);
    }
    if (without != NO_UPDATE_BEFORE) {
        prog_wait(p, first, s->update, 1);
    }
    finish(p);
}

static void expect_flaw(flaw without, const char *part)
{
    step s;
    make_step(&s, without);
    expect_fail(&s.p, part);
    prog_fini(&s.p);
}

static void test_check_store_order(void **state)
{
    (void)state;
    step s;
    make_step(&s, SOUND);
    assert_int_equal(prog_check(&s.p, 0), ST_OK);
    assert_waits(&s.p, s.norm, 1, &s.drain);
    prog_fini(&s.p);
    expect_flaw(NO_DRAIN_WAIT,
                "(grad_norm on host) reads the gradient in the store without "
                "waiting for operation 3 (drain on drain), which writes the "
                "gradient in the store");
    expect_flaw(NO_LOSS_WAIT,
                "forward part alone: operation 5 (clip on host) writes the "
                "sums of the loss without waiting for operation 1 (loss on "
                "compute)");
    expect_flaw(LATE_LOAD, "(update on host) writes the weights in the store "
                           "without waiting for operation 4 (load on load)");
    expect_flaw(NO_UPDATE_BEFORE,
                "operation 0 (load on load) reads the weights in the store "
                "without waiting for operation 6 (update on host) of the step "
                "before, which writes the weights in the store");
}

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
    prog_wait(&p, b, l, 1);
    map(&p, STREAM_COMPUTE, ids, -1); /* so that they do not share bytes */
    finish_ok(&p);
    int32_t deps = p.ops[l].deps;
    p.ops[l].deps = 0;
    expect_fail(&p, "reads the batch's list of rows without waiting for "
                    "operation 0 (batch on compute)");
    p.ops[l].deps = deps;
    p.ops[b].deps = 0;
    expect_fail(&p, "writes the batch's list of rows without waiting for "
                    "operation 1 (load_rows on load) of the step before");
    prog_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
