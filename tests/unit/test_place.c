/*
 * The memory plan against its rule written down plainly: persistent buffers
 * first, then by size, each in the smallest gap that is free all its life.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/program/program.h"

enum { OPS = 300, BUFS = 200 };

static bool goes_before(const program *p, int32_t a, int32_t b)
{
    const prog_buf *x = &p->bufs[a];
    const prog_buf *y = &p->bufs[b];
    if (x->persistent != y->persistent) {
        return x->persistent;
    }
    return x->floats != y->floats ? x->floats > y->floats : a < b;
}

/* Numbers drawn so far of a stream of random ones. */
typedef struct draw {
    uint64_t stream, n;
} draw;

static int32_t below(draw *d, int n)
{
    return (int32_t)rng_below(1, d->stream, d->n++, n);
}

static bool live_together(const prog_buf *a, const prog_buf *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Bytes [lo, hi) are free of the first n buffers of `order` that live with
 * b. */
static bool is_free(const program *p, const int32_t *order, int n,
                    const prog_buf *b, int64_t lo, int64_t hi)
{
    for (int i = 0; i < n; i++) {
        const prog_buf *o = &p->bufs[order[i]];
        if (live_together(o, b) && o->offset < hi &&
            lo < o->offset + prog_buf_bytes(o)) {
            return false;
        }
    }
    return true;
}

/* Where the n-th buffer of the order belongs: every gap begins at 0 or where
 * a buffer that lives with it ends, and ends where one begins or never. */
static int64_t plain_offset(const program *p, const int32_t *order, int n)
{
    const prog_buf *b = &p->bufs[order[n]];
    int64_t bytes = prog_buf_bytes(b);
    int64_t best = -1;
    int64_t best_gap = INT64_MAX;
    for (int i = -1; i < n; i++) {
        const prog_buf *o = i < 0 ? NULL : &p->bufs[order[i]];
        int64_t lo = i < 0 ? 0 : o->offset + prog_buf_bytes(o);
        if ((i >= 0 && !live_together(o, b)) ||
            !is_free(p, order, n, b, lo, lo + bytes)) {
            continue;
        }
        int64_t gap = INT64_MAX - 1;
        for (int k = 0; k < n; k++) {
            const prog_buf *next = &p->bufs[order[k]];
            bool behind = !is_free(p, order + k, 1, b, lo, INT64_MAX);
            if (behind && next->offset - lo < gap) {
                gap = next->offset - lo;
            }
        }
        if (gap < best_gap || (gap == best_gap && lo < best)) {
            best = lo;
            best_gap = gap;
        }
    }
    return best;
}

static void compare(const program *p)
{
    int32_t order[BUFS];
    int64_t peak = 0;
    for (int n = 0; n < p->nbufs; n++) {
        int at = n;
        while (at > 0 && goes_before(p, n, order[at - 1])) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = n;
    }
    for (int n = 0; n < p->nbufs; n++) {
        const prog_buf *b = &p->bufs[order[n]];
        int64_t end = b->offset + prog_buf_bytes(b);
        assert_int_equal(b->offset, plain_offset(p, order, n));
        peak = end > peak ? end : peak;
    }
    assert_int_equal(p->peak_bytes, peak);
}

static void touch(program *p, int32_t i, view_mode mode)
{
    const prog_buf *b = &p->bufs[i];
    prog_use(p, prog_whole(p, i, 1, b->floats, b->floats), mode);
}

/* Buffers of few or many sizes with short or long lives; several begin at one
 * operation, none at others. */
static void make(program *p, draw *d)
{
    int sizes = 1 + below(d, 40);
    int longest = 1 + below(d, OPS);
    int32_t begin[BUFS];
    int32_t end[BUFS];
    int bufs = 1 + below(d, BUFS);
    prog_init(p);
    for (int i = 0; i < bufs; i++) {
        prog_buffer(p, "x", BUF_WORKING, -1, 16 * (1 + below(d, sizes)),
                    below(d, 20) == 0);
        begin[i] = below(d, OPS);
        end[i] = begin[i] + below(d, longest);
        end[i] = end[i] < OPS ? end[i] : OPS - 1;
    }
    for (int32_t i = 0; i < OPS; i++) {
        prog_add(p, OP_ACT, STREAM_COMPUTE, -1);
        for (int32_t b = 0; b < bufs; b++) {
            if (begin[b] == i || end[b] == i) {
                touch(p, b, begin[b] == i ? VIEW_W : VIEW_R);
            }
        }
    }
}

static void test_rule(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        program p;
        draw d = {.stream = (uint64_t)i};
        make(&p, &d);
        assert_int_equal(prog_arrange(&p), ST_OK);
        compare(&p);
        int64_t peak = p.peak_bytes;
        assert_int_equal(prog_finish(&p), ST_OK);
        assert_int_equal(prog_check(&p, 0), ST_OK);
        assert_int_equal(p.peak_bytes, peak);
        prog_fini(&p);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    assert_int_equal(prog_arrange(&p), ST_OK);
    assert_int_equal(p.peak_bytes, 0);
    prog_fini(&p);
}

/* A buffer that nobody touches has no place. */
static void test_untouched(void **state)
{
    (void)state;
    program p;
    prog_init(&p);
    prog_buffer(&p, "x", BUF_WORKING, -1, 100, false);
    int32_t b = prog_buffer(&p, "y", BUF_WORKING, -1, 100, false);
    prog_add(&p, OP_ACT, STREAM_COMPUTE, -1);
    touch(&p, b, VIEW_W);
    assert_int_equal(prog_arrange(&p), ST_OK);
    assert_int_equal(p.bufs[0].offset, -1);
    assert_int_equal(p.bufs[b].offset, 0);
    assert_int_equal(p.peak_bytes, prog_buf_bytes(&p.bufs[b]));
    prog_fini(&p);
}

/* Each allocation fails once, and none is taken for a plan. */
static void test_fails(void **state)
{
    (void)state;
    int64_t live = mem_live();
    bool done = false;
    for (int64_t n = 1; !done; n++) {
        program p;
        draw d = {.stream = 1000};
        make(&p, &d);
        int64_t count = mem_count();
        mem_fail_after(n);
        status st = prog_arrange(&p);
        mem_fail_after(0);
        done = mem_count() - count < n;
        assert_int_equal(st, done ? ST_OK : ST_SYSTEM);
        assert_int_equal(prog_arrange(&p), ST_OK);
        compare(&p);
        prog_fini(&p);
        assert_int_equal(mem_live(), live);
        assert_true(done ? n > 4 : n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
