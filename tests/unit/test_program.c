/*
 * Programs built by hand: live ranges, placement, waits, prefetch, printing.
 * What prog_check finds is in test_program_check.c, sets of ranks are in
 * test_program_set.c.
 */
#include "tests/unit/program_make.h"

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

/* A program made in the memory of another is the same. */
static void test_clear(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    for (int turn = 0; turn < 3; turn++) {
        int64_t count = mem_count();
        int n = turn == 0 ? 200 : 100;
        for (int i = 0; i < n; i++) {
            map(&p, STREAM_COMPUTE, -1, new_buf(&p, "x", N));
        }
        assert_int_equal(mem_count() > count, turn == 0);
        prog_guard(&p, TAIL_SOUND);
        finish_ok(&p);
        assert_int_equal(p.nops, n);
        assert_int_equal(p.nbufs, n);
        assert_int_equal(p.peak_bytes, 4096);
        prog_clear(&p);
        assert_int_equal(p.nops + p.nbufs + p.nviews + p.ndeps, 0);
        assert_int_equal(p.guard, -1);
        assert_int_equal(p.tail, TAIL_ALWAYS);
        assert_int_equal(p.peak_bytes, 0);
    }
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
    /* The next step's panels lie where this step's last two do. */
    assert_waits_before(&p, 1, 1, (const int32_t[]){ops[2]});
    assert_waits_before(&p, 2, 1, (const int32_t[]){ops[3]});
    for (int i = 0; i < 6; i++) {
        assert_waits_before(&p, ops[i], 0, NULL);
    }
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
    prog_wait(&p, z, 1, 1); /* of the step before: known, too */
    finish_ok(&p);
    assert_waits(&p, 1, 1, (const int32_t[]){0});
    assert_waits(&p, z, 1, (const int32_t[]){1});
    /* The next step's first, which comes after z, has the rest known. */
    assert_waits_before(&p, 0, 1, (const int32_t[]){z});
    assert_waits_before(&p, 1, 0, NULL);
    assert_waits_before(&p, z, 0, NULL);
    prog_fini(&p);
}

/* Weights that an update writes on another stream; x lies where y will. */
static void test_waits_before(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    int32_t w[2];
    for (int i = 0; i < 2; i++) {
        w[i] = prog_buffer(&p, "w", BUF_WEIGHT, -1, N, true);
    }
    int32_t y = new_buf(&p, "y", N);
    map(&p, STREAM_COMPUTE, w[0], -1); /* 0, 1: read what 3, 4 wrote */
    map(&p, STREAM_COMPUTE, w[1], -1);
    map(&p, STREAM_COMPUTE, -1, y); /* 2 */
    map(&p, STREAM_HOST, y, w[0]);  /* 3 waits for 2 */
    map(&p, STREAM_HOST, y, w[1]);  /* 4 */
    finish_ok(&p);
    assert_waits(&p, 3, 1, (const int32_t[]){2});
    assert_waits_before(&p, 0, 1, (const int32_t[]){3});
    assert_waits_before(&p, 1, 1, (const int32_t[]){4});
    assert_waits_before(&p, 2, 0, NULL); /* 1 has waited for all of it */
    assert_waits_before(&p, 3, 0, NULL);
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
    prog_wait(p, p->nops - 2, p->nops - 1, 1);
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
        /* The waits that were asked for went along. */
        assert_waits(&p, 12, 1, (const int32_t[]){11});
        assert_waits_before(&p, 11, 1, (const int32_t[]){12});
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

/* Of both ends of a message the sender's counts. */
static void test_count_messages(void **state)
{
    (void)state;
    program p;
    prog_totals t;
    prog_init(&p);
    prog_add(&p, OP_RECV, STREAM_PIPE_IN, -1);
    prog_last(&p)->bytes = 7;
    prog_add(&p, OP_SEND, STREAM_PIPE_OUT, -1);
    prog_last(&p)->bytes = 20;
    prog_add(&p, OP_ALLREDUCE, STREAM_TENSOR, -1);
    prog_last(&p)->bytes = 300;
    prog_count(&p, &t);
    assert_int_equal(t.ops[OP_RECV], 1);
    assert_int_equal(t.messages, 2);
    assert_true(t.pipe_bytes == 20 && t.tensor_bytes == 300);
    prog_fini(&p);
}

static void test_set_peak(void **state)
{
    (void)state;
    program classes[3] = {
        {.peak_bytes = 5}, {.peak_bytes = 9}, {.peak_bytes = 7}};
    assert_int_equal(
        prog_set_peak(&(program_set){.classes = classes, .nclasses = 3}), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_clear),
        cmocka_unit_test(test_build_fails),
        cmocka_unit_test(test_live_ranges),
        cmocka_unit_test(test_persistent),
        cmocka_unit_test(test_reuse_waits),
        cmocka_unit_test(test_no_waits),
        cmocka_unit_test(test_no_double_waits),
        cmocka_unit_test(test_waits_before),
        cmocka_unit_test(test_forward_waits),
        cmocka_unit_test(test_prefetch),
        cmocka_unit_test(test_prefetch_memory),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_count_messages),
        cmocka_unit_test(test_set_peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
