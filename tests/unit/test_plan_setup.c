/* Plans as set-ups meet them: with options beside them, in memory that a
 * compile measures, and with streaming as the other way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "benchmarks/setup.h"
#include "partition/compile.h"
#include "runtime/base/mem.h"

enum { KIB = 1024 };

static setup_options options_of(const char *cut, int64_t batch, int64_t seq,
                                int64_t kib)
{
    return (setup_options){.model = "gpt-neo-tiny",
                           .plan = cut,
                           .batch = batch,
                           .seq = seq,
                           .device_memory = kib * KIB,
                           .threads = 1};
}

static void assert_opens(const setup_options *o, setup *s)
{
    if (setup_open(o, 0, s) != ST_OK) {
        fail_msg("%s", status_text());
    }
}

static void assert_said(const char *part, bool there)
{
    if ((strstr(status_text(), part) != NULL) != there) {
        fail_msg("\"%s\" is%s in \"%s\"", part, there ? " not" : "",
                 status_text());
    }
}

static int64_t fullest(const setup *s, int *stage)
{
    int64_t most = 0;
    for (int r = 0; r < s->set.nranks; r++) {
        const prog_place *at = &s->set.places[r];
        int64_t bytes = s->set.classes[at->class_index].peak_bytes;
        *stage = bytes > most ? at->pipe : *stage;
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Rank 0 has 15 of 31 sequences, others 16: a plan that leaves its micro-batch
 * open fits where micro-batches of 1 do. */
static void test_open_micro_batch(void **state)
{
    (void)state;
    setup s;
    int64_t least = 0;
    int64_t most = 0;
    int stage = 0;
    setup_options o = options_of("dp2.pp2.mb1.1f1b", 31, 128, 0);
    assert_opens(&o, &s);
    int64_t need = fullest(&s, &stage);
    assert_int_equal(setup_shares(&s, &least, &most), ST_OK);
    assert_int_equal(least, 15);
    assert_int_equal(most, 16);
    setup_close(&s);
    o.plan = "dp2.pp2.1f1b";
    assert_opens(&o, &s);
    assert_true(fullest(&s, &stage) > need); /* two at a time, unlimited */
    setup_close(&s);
    o.device_memory = need;
    assert_opens(&o, &s);
    assert_int_equal(s.plan.micro_batch, 1);
    assert_int_equal(fullest(&s, &stage), need);
    setup_close(&s);
    assert_int_equal(mem_live(), 0);
}

/* A plan is found where there is one, though it is far. */
static void test_far_plan(void **state)
{
    (void)state;
    setup s;
    setup_options o = options_of("pp2.mb4", 8, 128, 3 * KIB);
    assert_int_equal(setup_open(&o, 0, &s), ST_BUDGET);
    assert_said("; nearest plan that works: the file {", true);
}

/* Of a given micro-batch a part, before activations are computed twice. */
static void test_smaller_micro_batch(void **state)
{
    (void)state;
    setup s;
    setup_options o = options_of("pp2.mb8.1f1b", 16, 128, 18 * KIB);
    assert_int_equal(setup_open(&o, 0, &s), ST_BUDGET);
    assert_said("; nearest plan that works: pp2.mb", true);
    assert_said(".1f1b", true);
    assert_said("recompute", false);
}

/* The plan that is named goes with the same options. */
static void test_options(void **state)
{
    (void)state;
    setup s;
    setup_options o = options_of("dp2.pp3", 6, 128, 0);
    o.micro_batch = 5;
    assert_int_equal(setup_open(&o, 0, &s), ST_CONFIG);
    assert_said("; nearest plan that works: tp3.pp2.mb5", true);
    o.plan = "tp3.pp2.mb5";
    assert_opens(&o, &s);
    setup_close(&s);
    o = options_of("dp1.mb8", 8, 128, 26 * KIB);
    o.recompute = SETUP_RECOMPUTE_NONE;
    assert_int_equal(setup_open(&o, 0, &s), ST_BUDGET);
    assert_said("; nearest plan that works: ", true);
    assert_said("\"recompute\"", false);
    o.recompute = SETUP_RECOMPUTE_FULL;
    o.device_memory = 16 * KIB * KIB;
    assert_int_equal(setup_open(&o, 0, &s), ST_BUDGET);
    assert_said("; nearest plan that works: ", true);
    assert_said("the file", false);
}

/* Streaming is advised only where it fits, and where it fits well. */
static void test_streaming(void **state)
{
    (void)state;
    setup s;
    int advised = 0;
    int asked = 0;
    for (int64_t kib = 1024; kib <= 4096; kib += 256, asked++) {
        setup_options o = options_of("dp3.mb1", 6, 32, kib);
        o.data_leaves = 3;
        o.tensor_leaves = 1; /* so that no plan fits */
        assert_int_equal(setup_open(&o, 0, &s), ST_BUDGET);
        assert_said("no plan fits", true);
        assert_said("; raise --device-memory", true);
        bool said = strstr(status_text(), "or stream: no --plan") != NULL;
        o.plan = NULL;
        bool opens = setup_open(&o, 0, &s) == ST_OK;
        assert_true(opens || !said);
        if (opens) {
            setup_close(&s);
        }
        advised += said;
    }
    assert_in_range(advised, asked / 3, asked - 1);
    setup_options o = options_of("dp3.mb1", 6, 32, 512);
    o.store = SETUP_STORE_NULL;
    assert_int_equal(setup_open(&o, 0, &s), ST_BUDGET);
    assert_said("stream", false);
}

/* The refusal of a compile names the fullest stage, not the first over. */
static void test_fullest_is_named(void **state)
{
    (void)state;
    setup s;
    program_set set;
    int stage = -1;
    setup_options o = options_of("pp2.mb1.1f1b", 2, 4, 0);
    o.vocab = 4096;
    assert_opens(&o, &s);
    (void)fullest(&s, &stage);
    assert_int_equal(stage, 1); /* both parts of a wide head */
    assert_int_equal(partition_compile(&s.a, &s.ps, &s.plan, s.sh, 1, &set),
                     ST_BUDGET);
    assert_said("on the ranks of stage 1", true);
    setup_close(&s);
    assert_int_equal(mem_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_micro_batch),
        cmocka_unit_test(test_far_plan),
        cmocka_unit_test(test_smaller_micro_batch),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_fullest_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
