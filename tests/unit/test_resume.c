/* Which run a checkpoint may go on as, and what changes its course. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/train/resume.h"

static arch tiny;

static ckpt_info saved(void)
{
    return (ckpt_info){.model = "gpt-neo-tiny",
                       .arch_hash = arch_hash(&tiny),
                       .layers = tiny.L,
                       .step = 3,
                       .seed = 1,
                       .data_leaves = 8,
                       .tensor_leaves = 4,
                       .exact_sums = true,
                       .batch = 8,
                       .seq = 16,
                       .data_hash = 77,
                       .data_path = "a.txt",
                       .config = ""};
}

static resume_run same(void)
{
    return (resume_run){.a = &tiny,
                        .steps = 4,
                        .seed = 1,
                        .batch = 8,
                        .seq = 16,
                        .data = "a.txt",
                        .data_hash = 77};
}

static void refuse(const ckpt_info *was, const resume_run *now,
                   const char *text)
{
    assert_int_equal(resume_check("c.h5", was, now), ST_CONFIG);
    assert_string_equal(status_text(), text);
}

static void test_same_run(void **state)
{
    ckpt_info was = saved();
    resume_run now = same();
    (void)state;

    assert_int_equal(resume_check("c.h5", &was, &now), ST_OK);
    now.data_leaves = 8;
    now.tensor_leaves = 4;
    assert_int_equal(resume_check("c.h5", &was, &now), ST_OK);
    now.data_leaves = 2;
    refuse(&was, &now,
           "c.h5 is of another run: --data-leaves 8, not 2; resume with what "
           "it has, or start a new run from its weights: --init c.h5");
    was.exact_sums = false; /* these have none */
    assert_int_equal(resume_check("c.h5", &was, &now), ST_OK);
    now.steps = 3;
    refuse(&was, &now,
           "c.h5 has done 3 steps already: --steps 3 has nothing to do");
    was.weights_only = true;
    refuse(&was, &now,
           "c.h5 has weights only: start a new run with --init c.h5");
    assert_int_equal(mem_live(), 0);
}

static void test_all_that_differs(void **state)
{
    ckpt_info was = saved();
    resume_run now = same();
    arch other = tiny;
    (void)state;

    other.L = 2;
    now = (resume_run){.a = &other,
                       .steps = 2,
                       .seed = 9,
                       .batch = 4,
                       .seq = 16,
                       .data = "b.txt",
                       .data_hash = 78,
                       .data_leaves = 4,
                       .tensor_leaves = 2};
    refuse(&was, &now,
           "c.h5 is of another run: holds gpt-neo-tiny with 4 layers, not "
           "gpt-neo-tiny: it is another model; --seed 1, not 9; --batch 8 "
           "--seq 16, not 4 and 16; other data (a.txt) than b.txt; "
           "--data-leaves 8, not 4; --tensor-leaves 4, not 2; resume with "
           "what it has");
    assert_int_equal(mem_live(), 0);
}

static void expect_changes(const char *was, const char *now, const char *want)
{
    strbuf b = {0};
    assert_int_equal(resume_changes(was, now, &b), ST_OK);
    assert_string_equal(strbuf_view(&b), want);
    strbuf_fini(&b);
    assert_int_equal(mem_live(), 0);
}

static void test_changes(void **state)
{
    (void)state;

    expect_changes("{\"lr\": 0.001, \"steps\": 8, \"plan\": null}",
                   "{\"lr\": 1e-3, \"steps\": 8, \"plan\": \"dp2\"}", "");
    expect_changes("{\"lr\": 0.001, \"steps\": 8, \"sums\": \"exact\", "
                   "\"reference_kernels\": false}",
                   "{\"lr\": 5, \"steps\": 9, \"sums\": \"fast\", "
                   "\"reference_kernels\": true, \"beta1\": 0.5}",
                   "steps 9 (was 8), lr 5 (was 0.001), sums fast (was exact), "
                   "reference_kernels true (was false)");
    expect_changes("", "{\"lr\": 5}", "");
    expect_changes("[]", "{\"lr\": 5}", "");
    expect_changes("{\"lr\": [1]}", "{\"lr\": 5}", "");
}

static int open_tiny(void **state)
{
    (void)state;
    return arch_open("gpt-neo-tiny", &tiny) != ST_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_run),
        cmocka_unit_test(test_all_that_differs),
        cmocka_unit_test(test_changes),
    };
    return cmocka_run_group_tests(tests, open_tiny, NULL) != 0;
}
