/* Experiments: leaves that serve what can run, and where a plan was said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "benchmarks/experiment.h"
#include "runtime/base/mem.h"

static arch tiny; /* 4 layers, 4 heads */

/* Opens an experiment of these set-ups and this batch. */
static void open_with(const char *setups, int batch, experiment *e)
{
    static const char path[] = "test_experiment.json";
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "{\"models\": [\"gpt-neo-tiny\"], \"data\": \"x\",\n"
            "\"common\": {\"batch\": %d, \"seq\": 16},\n\"setups\": [%s]}\n",
            batch, setups);
    assert_int_equal(fclose(f), 0);
    status st = experiment_open(path, e);
    remove(path);
    if (st != ST_OK) {
        fail_msg("%s", status_text());
    }
}

static void expect_on(const char *setups, int batch, int ranks, int data,
                      int tensor)
{
    static experiment e; /* large for a stack */
    int leaves[2] = {0, 0};
    open_with(setups, batch, &e);
    assert_int_equal(
        experiment_leaves(&e, &tiny, ranks, &leaves[0], &leaves[1]), ST_OK);
    if (leaves[0] != data || leaves[1] != tensor) {
        fail_msg("%s, batch %d: %d and %d leaves, wanted %d and %d", setups,
                 batch, leaves[0], leaves[1], data, tensor);
    }
    experiment_close(&e);
    assert_int_equal(mem_live(), 0);
}

static void expect_leaves(const char *setups, int batch, int data, int tensor)
{
    expect_on(setups, batch, 0, data, tensor);
}

#define PLAN(text) "{\"plan\": \"" text "\"}"

static void test_leaves(void **state)
{
    (void)state;

    expect_leaves(PLAN("dp1"), 8, 4, 4);
    expect_leaves(PLAN("dp1") ", {}", 8, 4, 4);
    expect_leaves(PLAN("dp8"), 8, 8, 4);
    expect_leaves(PLAN("dp3"), 8, 6, 4);
    expect_leaves(PLAN("dp2") ", " PLAN("dp3"), 12, 6, 4);
    expect_leaves(PLAN("dp5") ", " PLAN("dp8"), 40, 8, 4);
    /* Six leaves of five sequences would cut one. */
    expect_leaves(PLAN("dp3"), 5, 4, 4);
    expect_leaves(PLAN("dp3"), 3, 6, 4);
    /* Four heads: never more leaves, whatever would divide. */
    expect_leaves(PLAN("tp3"), 8, 4, 4);
    expect_leaves(PLAN("tp3") ", " PLAN("tp4"), 8, 4, 4);
    tiny.H = 3;
    expect_leaves(PLAN("tp3"), 8, 4, 3);
    expect_leaves(PLAN("tp2"), 8, 4, 3);
    tiny.H = 12;
    expect_leaves(PLAN("tp3"), 8, 4, 6);
    tiny.H = 4;
}

/* What is refused, or has sums or leaves of its own, changes nothing. */
static void test_leaves_of_others(void **state)
{
    (void)state;

    expect_leaves(PLAN("dp4") ", " PLAN("dp7.pp9"), 8, 4, 4);
    expect_leaves(PLAN("dp4") ", " PLAN("dp7.tp5"), 8, 4, 4);
    expect_leaves(PLAN("dp4") ", " PLAN("dp7"), 6, 4, 4);
    expect_leaves(PLAN("dp4") ", " PLAN("dp7.mb9"), 8, 4, 4);
    expect_leaves(PLAN("dp4") ", {\"plan\": \"dp7\", \"device_memory\": "
                              "\"1MiB\"}",
                  8, 4, 4);
    expect_leaves(PLAN("dp4") ", {\"plan\": \"dp7\", \"device_memory\": "
                              "\"state/1000\"}",
                  8, 4, 4);
    expect_leaves(PLAN("dp4") ", {\"plan\": \"dp7.mb1\", \"micro_batch\": 2}",
                  28, 4, 4);
    expect_leaves(PLAN("dp4") ", {\"plan\": \"dp7\", \"sums\": \"fast\"}", 28,
                  4, 4);
    expect_on(PLAN("dp4") ", " PLAN("dp7"), 28, 4, 4, 4);
    expect_on(PLAN("dp4") ", " PLAN("dp7"), 28, 7, 7, 4);
}

static void test_plan_at(void **state)
{
    static experiment e;
    (void)state;

    open_with("{}, " PLAN("dp2"), 8, &e);
    assert_int_equal(json_kind(experiment_plan_at(&e, 0)), JSON_KIND_NONE);
    assert_int_equal(json_fail(experiment_plan_at(&e, 1), ST_CONFIG, "no"),
                     ST_CONFIG);
    assert_non_null(strstr(status_text(), ": setups[1].plan: no"));
    assert_int_equal(e.nsetups, 3); /* and the judge */
    assert_int_equal(json_kind(experiment_plan_at(&e, 2)), JSON_KIND_NONE);
    experiment_close(&e);
    assert_int_equal(mem_live(), 0);
}

/* The judge, and what each set-up promises, one letter each: same bits, Fast,
 * Null, Kernels. */
static void expect_promises(const char *setups, int judge, const char *promises)
{
    static experiment e;
    open_with(setups, 8, &e);
    assert_int_equal(e.judge, judge);
    assert_int_equal(e.nsetups, strlen(promises));
    for (int i = 0; i < e.nsetups; i++) {
        int letter = "sFNK"[experiment_promise(&e, i)];
        if (letter != promises[i]) {
            fail_msg("%s: set-up %d promises %c", setups, i, letter);
        }
    }
    experiment_close(&e);
}

static void test_promises(void **state)
{
    (void)state;

    expect_promises("{}, " PLAN("tp2"), 2, "sss");
    expect_promises("{}, " PLAN("dp1"), 1, "ss");
    expect_promises("{\"store\": \"check\"}, " PLAN("dp1"), 1, "ss");
    expect_promises("{\"store\": \"null\"}, " PLAN("dp1"), 1, "Ns");
    expect_promises("{\"sums\": \"fast\"}, " PLAN("dp1"), 1, "Fs");
    expect_promises("{\"reference_kernels\": true}, " PLAN("dp1"), 1, "Ks");
    /* Who has other kernels, or fast sums, is no judge of the others. */
    expect_promises("{\"plan\": \"dp1\", \"reference_kernels\": true}, {}", 2,
                    "Kss");
    expect_promises("{\"plan\": \"dp1\", \"sums\": \"fast\"}, {}", 2, "Fss");
}

static int open_tiny(void **state)
{
    (void)state;
    return arch_open("gpt-neo-tiny", &tiny) != ST_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_leaves_of_others),
        cmocka_unit_test(test_plan_at),
        cmocka_unit_test(test_promises),
    };
    return cmocka_run_group_tests(tests, open_tiny, NULL) != 0;
}
