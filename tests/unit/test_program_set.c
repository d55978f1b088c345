/*
 * Sets of ranks: a small grid that passes, and for each thing that
 * prog_set_check finds, one that is wrong in just that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/program/program.h"

enum { N = 96, LEAVES = 4 };

static void expect(const program_set *s, const char *part)
{
    status got = prog_set_check(s);
    if (got != ST_INTERNAL || strstr(status_text(), part) == NULL) {
        fail_msg("got %d \"%s\", expected \"%s\"", got,
                 got == ST_OK ? "" : status_text(), part);
    }
}

static void expect_ok(const program_set *s)
{
    if (prog_set_check(s) != ST_OK) {
        fail_msg("%s", status_text());
    }
}

/* --- programs of one rank ------------------------------------------------- */

static int32_t new_buf(program *p, int64_t floats)
{
    return prog_buffer(p, "x", BUF_WORKING, -1, floats, false);
}

static int32_t message(program *p, op_kind kind, int32_t peer, int64_t tag,
                       int32_t buf)
{
    bool send = kind == OP_SEND;
    int32_t i = prog_add(p, kind, send ? STREAM_PIPE_OUT : STREAM_PIPE_IN, -1);
    prog_last(p)->peer = peer;
    prog_last(p)->arg = tag;
    prog_last(p)->bytes = 4.0 * N;
    prog_use(p, prog_whole(p, buf, 1, N, N), send ? VIEW_R : VIEW_W);
    return i;
}

static void fill(program *p, int32_t buf)
{
    prog_add(p, OP_ZERO, STREAM_COMPUTE, -1);
    prog_use(p, prog_whole(p, buf, 1, N, N), VIEW_W);
}

/* Sum of buf, of which this rank has `pieces` pieces. */
static void reduce(program *p, op_group group, int size, int pieces,
                   int32_t buf)
{
    int64_t work = (int64_t)tree_exchange_bytes(size, LEAVES, N) / 4;
    int32_t scratch = new_buf(p, work);
    op_stream stream = group == GROUP_TENSOR ? STREAM_TENSOR : STREAM_DATA;
    prog_stack s = {.planes = pieces, .plane = N};
    prog_add(p, OP_ALLREDUCE, stream, -1);
    prog_last(p)->group = (uint8_t)group;
    prog_last(p)->arg = size;
    prog_last(p)->rows = LEAVES;
    prog_use(p, prog_whole(p, scratch, 1, work, work), VIEW_W);
    prog_use(p, prog_whole(p, buf, 1, N, N), VIEW_RW);
    prog_accumulate(p, &s);
}

static void clip(program *p)
{
    p->phase = PHASE_UPDATE;
    prog_add(p, OP_CLIP, STREAM_HOST, -1);
    prog_last(p)->group = GROUP_WORLD;
}

/* Stage `pipe` of 2: forward, backward, two micro-batches, with a reduction
 * in the tensor group a message, in the data and tie groups at the end. */
static void stage(program *p, int pipe)
{
    int32_t x[2];
    prog_init(p);
    for (int mb = 0; mb < 2; mb++) {
        x[mb] = new_buf(p, N);
        if (pipe == 0) {
            fill(p, x[mb]);
            reduce(p, GROUP_TENSOR, 2, 1, x[mb]);
            message(p, OP_SEND, 1, 2 * mb, x[mb]);
        } else {
            message(p, OP_RECV, -1, 2 * mb, x[mb]);
            reduce(p, GROUP_TENSOR, 2, 1, x[mb]);
        }
    }
    p->phase = PHASE_BACKWARD;
    int32_t sum = -1;
    for (int mb = 0; mb < 2; mb++) {
        int32_t dx = new_buf(p, N);
        if (pipe == 0) {
            message(p, OP_RECV, 1, 2 * mb + 1, dx);
        } else {
            fill(p, dx);
            message(p, OP_SEND, -1, 2 * mb + 1, dx);
        }
        sum = dx;
    }
    reduce(p, GROUP_DATA, 2, 1, sum);
    reduce(p, GROUP_TIE, 2, 1, sum);
    clip(p);
    assert_int_equal(prog_finish(p), ST_OK);
    if (prog_check(p, 0) != ST_OK) {
        fail_msg("%s", status_text());
    }
}

static void grid(program_set *s, int classes, int data, int pipe, int tensor)
{
    memset(s, 0, sizeof(*s));
    s->nclasses = classes;
    s->nranks = data * pipe * tensor;
    assert_int_equal(MEM_NEW(&s->classes, s->nclasses, "test"), ST_OK);
    assert_int_equal(MEM_NEW(&s->places, s->nranks, "test"), ST_OK);
    for (int32_t r = 0; r < s->nranks; r++) {
        int k = r / tensor % pipe;
        s->places[r] = (prog_place){.class_index = k % classes,
                                    .data = r / tensor / pipe,
                                    .pipe = k,
                                    .tensor = r % tensor,
                                    .prev = k > 0 ? r - tensor : -1,
                                    .next = k + 1 < pipe ? r + tensor : -1};
    }
}

/* 8 ranks, data 2 x pipe 2 x tensor 2; class k is stage k. Rank 2 is (0, 1,
 * 0). */
static void cube(program_set *s)
{
    grid(s, 2, 2, 2, 2);
    stage(&s->classes[0], 0);
    stage(&s->classes[1], 1);
}

static prog_op *nth(program *p, op_kind kind, int n)
{
    for (int32_t i = 0; i < p->nops; i++) {
        if (p->ops[i].kind == kind && n-- == 0) {
            return &p->ops[i];
        }
    }
    fail_msg("no such operation");
    return NULL;
}

static void test_cube(void **state)
{
    (void)state;
    program_set s;
    cube(&s);
    expect_ok(&s);
    program_set_fini(&s);
    grid(&s, 1, 1, 1, 1); /* a rank alone */
    program *p = &s.classes[0];
    prog_init(p);
    fill(p, new_buf(p, N));
    assert_int_equal(prog_finish(p), ST_OK);
    expect_ok(&s);
    program_set_fini(&s);
}

static void test_allocation_fails(void **state)
{
    (void)state;
    program_set s;
    cube(&s);
    int64_t live = mem_live();
    status st = ST_SYSTEM;
    for (int64_t n = 1; st != ST_OK; n++) {
        mem_fail_after(n);
        st = prog_set_check(&s);
        mem_fail_after(0);
        assert_true(st == ST_SYSTEM || (st == ST_OK && n > 10));
        assert_int_equal(mem_live(), live);
    }
    program_set_fini(&s);
}

static void test_places(void **state)
{
    (void)state;
    program_set s;
    cube(&s);
    prog_place right = s.places[3];
    s.places[3].class_index = 2;
    expect(&s, "rank 3: class 2 of 2");
    s.places[3] = right;
    s.places[3].tensor = 0;
    expect(&s, "ranks 2 and 3 have the same place");
    s.places[3] = right;
    s.places[3].tensor = 2;
    expect(&s, "8 ranks do not fill a grid of 2 x 2 x 3");
    s.places[3].tensor = -1;
    expect(&s, "rank 3: negative place");
    s.places[3] = right;
    s.places[3].prev = 0;
    expect(&s, "rank 3: the stage before it is said to be on rank 0, by the "
               "grid it is on rank 1");
    s.places[3].prev = 1;
    s.places[3].next = 1;
    expect(&s, "rank 3: the stage after it is said to be on rank 1");
    program_set_fini(&s);
}

/* --- messages ------------------------------------------------------------- */

static void test_messages(void **state)
{
    (void)state;
    program_set s;
    cube(&s);
    program *p = &s.classes[0];
    program *q = &s.classes[1];
    nth(p, OP_SEND, 1)->arg = 4;
    expect(&s, "sends 384 bytes with tag 4, rank 2 (class 1), operation 2 "
               "(recv on pipe_in) receives 384 bytes with tag 2");
    nth(p, OP_SEND, 1)->arg = 2;
    prog_op *r = nth(q, OP_RECV, 0);
    q->view[r->view0].cols = q->view[r->view0].ld = N - 1;
    r->bytes = 4.0 * (N - 1);
    expect(&s, "sends 384 bytes with tag 0, rank 2 (class 1), operation 0 "
               "(recv on pipe_in) receives 380 bytes");
    r->bytes = 4.0 * N;
    expect(&s, "its cost says 384 bytes, its view has 380");
    q->view[r->view0].cols = q->view[r->view0].ld = N;
    r->phase = PHASE_BACKWARD;
    expect(&s, "belong to different parts of the step");
    r->phase = PHASE_FORWARD;
    r->peer = 1;
    expect(&s, "rank 2 (class 1), operation 0 (recv on pipe_in): there is no "
               "stage after this one");
    r->peer = -1;
    expect_ok(&s);
    /* One message less at one end. */
    prog_op keep = *nth(q, OP_RECV, 1);
    nth(q, OP_RECV, 1)->kind = OP_ZERO;
    expect(&s, "rank 0 (class 0), operation 5 (send on pipe_out) is received "
               "by nobody on rank 2");
    q->ops[2] = keep;
    keep = *nth(q, OP_SEND, 0);
    prog_op *send = nth(q, OP_SEND, 0);
    nth(q, OP_SEND, 1)->arg = send->arg;
    send->kind = OP_ZERO;
    nth(p, OP_RECV, 0)->arg = keep.arg;
    expect(&s, "rank 0 (class 0), operation 7 (recv on pipe_in) is sent by "
               "nobody on rank 2");
    program_set_fini(&s);
}

/* --- collectives ---------------------------------------------------------- */

static void test_collectives(void **state)
{
    (void)state;
    program_set s;
    cube(&s);
    program *p = &s.classes[0];
    prog_op *r = nth(p, OP_ALLREDUCE, 0);
    r->arg = 3;
    expect(&s, "rank 0 (class 0), operation 1 (allreduce on tensor): says its "
               "tensor group has 3 ranks, it has 2");
    r->arg = 2;
    prog_stack *k = &p->stack[r->stack0];
    k->planes = 2;
    expect(&s, "brings 2 pieces 96 floats apart, member 0 of 2 owns 1 of 96");
    k->planes = 1;
    prog_view *work = &p->view[r->view0];
    work->cols--;
    expect(&s, "bytes of work memory, it needs");
    work->cols++;
    r->rows = 0;
    expect(&s, "a tree of 0 leaves");
    r->rows = LEAVES;
    r->group = GROUP_DATA;
    expect_ok(&s); /* also a group of 2, and all ranks do the same */
    r->group = GROUP_TENSOR;
    /* The tie group joins stages, that is, two programs. */
    prog_op *tie = nth(p, OP_ALLREDUCE, 3);
    assert_int_equal(tie->group, GROUP_TIE);
    tie->param = 5;
    expect(&s, "in their tie group, but kind, parameter (-1, 5)");
    tie->param = -1;
    tie->rows = 2;
    expect(&s, "leaves (4, 2)");
    tie->rows = LEAVES;
    p->view[tie->view0 + 1].cols = N - 1;
    expect(&s, "floats (96, 95) differ");
    p->view[tie->view0 + 1].cols = N;
    tie->group = GROUP_DATA;
    expect(&s, "rank 2 (class 1), operation 9 (allreduce on data) has no "
               "counterpart on rank 0 of its tie group");
    tie->group = GROUP_TIE;
    expect_ok(&s);
    nth(p, OP_CLIP, 0)->kind = OP_LOSS;
    expect(&s, "is no collective");
    program_set_fini(&s);
}

/* Members of a data group with different pieces of one tree; and a middle
 * stage, which is in no tie group. */
static void test_pieces(void **state)
{
    (void)state;
    program_set s;
    grid(&s, 3, 3, 1, 1);
    static const int pieces[] = {1, 1, 1}; /* leaves 0 | 1 | 2 3 */
    for (int r = 0; r < 3; r++) {
        program *p = &s.classes[r];
        s.places[r].class_index = r;
        prog_init(p);
        int32_t x = new_buf(p, 2 * N);
        fill(p, x);
        reduce(p, GROUP_DATA, 3, pieces[r], x);
        assert_int_equal(prog_finish(p), ST_OK);
    }
    expect_ok(&s);
    s.classes[2].stack[0].planes = 2;
    expect(&s, "rank 2 (class 2), operation 1 (allreduce on data): brings 2 "
               "pieces");
    program_set_fini(&s);
    grid(&s, 1, 1, 3, 1);
    program *p = &s.classes[0];
    prog_init(p);
    int32_t x = new_buf(p, N);
    fill(p, x);
    reduce(p, GROUP_TIE, 2, 1, x);
    assert_int_equal(prog_finish(p), ST_OK);
    expect(&s, "rank 1 (class 0), operation 1 (allreduce on data): the rank "
               "is in no tie group");
    program_set_fini(&s);
}

/* --- deadlock ------------------------------------------------------------- */

/* Two stages that both receive before they send. */
static void test_deadlock_messages(void **state)
{
    (void)state;
    program_set s;
    grid(&s, 2, 1, 2, 1);
    for (int k = 0; k < 2; k++) {
        program *p = &s.classes[k];
        int peer = k == 0 ? 1 : -1;
        prog_init(p);
        int32_t x = new_buf(p, N);
        int32_t y = new_buf(p, N);
        message(p, OP_RECV, peer, 0, y);
        fill(p, x);
        message(p, OP_SEND, peer, 0, x);
        assert_int_equal(prog_finish(p), ST_OK);
        assert_int_equal(prog_check(p, 0), ST_OK);
    }
    expect(&s, "deadlock: 2 of 2 ranks wait forever; rank "
               "0 (class 0), operation 1 (zero on compute); rank 1 (class 1), "
               "operation 1 (zero on compute)");
    program_set_fini(&s);
}

/* Both send first; fine, unless both then wait for their own send, because
 * its buffer is to be used again, before they receive. */
static void test_deadlock_sends(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        program_set s;
        grid(&s, 2, 1, 2, 1);
        for (int k = 0; k < 2; k++) {
            program *p = &s.classes[k];
            int peer = k == 0 ? 1 : -1;
            prog_init(p);
            int32_t x = new_buf(p, N);
            int32_t y = new_buf(p, N);
            fill(p, x);
            message(p, OP_SEND, peer, 0, x);
            if (again) {
                fill(p, x);
            }
            message(p, OP_RECV, peer, 0, y);
            /* x lives on, or y would be received where x was. */
            prog_add(p, OP_ACT, STREAM_COMPUTE, -1);
            prog_use(p, prog_whole(p, x, 1, N, N), VIEW_R);
            assert_int_equal(prog_finish(p), ST_OK);
        }
        if (again) {
            expect(&s, "deadlock: 2 of 2 ranks wait forever; rank 0 (class "
                       "0), operation 2 (zero on compute); rank 1");
        } else {
            expect_ok(&s);
        }
        program_set_fini(&s);
    }
}

/* A grid of 2 x 1 x 2 where half the ranks reduce over data first, the others
 * over tensor: each group's own sequence is right. */
static void test_deadlock_groups(void **state)
{
    (void)state;
    program_set s;
    grid(&s, 2, 2, 1, 2);
    for (int k = 0; k < 2; k++) {
        program *p = &s.classes[k];
        prog_init(p);
        int32_t x = new_buf(p, N);
        int32_t y = new_buf(p, N);
        fill(p, x);
        fill(p, y);
        reduce(p, k == 0 ? GROUP_TENSOR : GROUP_DATA, 2, 1, x);
        reduce(p, k == 0 ? GROUP_DATA : GROUP_TENSOR, 2, 1, y);
        assert_int_equal(prog_finish(p), ST_OK);
    }
    expect_ok(&s); /* all are of class 0 */
    s.places[1].class_index = s.places[2].class_index = 1;
    expect(&s, "deadlock: 4 of 4 ranks wait forever; rank 0 (class 0), "
               "operation 2 (allreduce on tensor); rank 1 (class 1), "
               "operation 2 (allreduce on data)");
    program_set_fini(&s);
}

/* What is sent in the forward part is received there, or validation would
 * wait for a message that only a whole step sends. */
static void test_forward_part(void **state)
{
    (void)state;
    program_set s;
    grid(&s, 2, 1, 2, 1);
    for (int k = 0; k < 2; k++) {
        program *p = &s.classes[k];
        int peer = k == 0 ? 1 : -1;
        prog_init(p);
        int32_t x = new_buf(p, N);
        fill(p, x);
        if (k == 0) {
            message(p, OP_RECV, peer, 0, new_buf(p, N));
            message(p, OP_SEND, peer, 0, x);
        } else {
            message(p, OP_SEND, peer, 0, x);
            message(p, OP_RECV, peer, 0, new_buf(p, N));
        }
        clip(p);
        assert_int_equal(prog_finish(p), ST_OK);
    }
    expect_ok(&s);
    s.classes[1].ops[1].phase = PHASE_BACKWARD;
    expect(&s, "belong to different parts of the step");
    program_set_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cube),
        cmocka_unit_test(test_allocation_fails),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_collectives),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_deadlock_messages),
        cmocka_unit_test(test_deadlock_sends),
        cmocka_unit_test(test_deadlock_groups),
        cmocka_unit_test(test_forward_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
