/*
 * The report compares only like with like: runs of one task with each other,
 * bit for bit where both have numbers, and no run with that of another task.
 */
#include "tests/unit/report_make.h"

static void make_task(const char *name, const run_info *info, int steps)
{
    runfile *f = NULL;
    OK(runfile_create(path_of(name), info, &f));
    for (int64_t step = 0; step < steps; step++) {
        put_step(f, step);
    }
    put_ends(f);
    OK(runfile_close(&f, true));
}

static run_info task_of(const char *config)
{
    static char text[160];
    run_info info = info_of();
    snprintf(text, sizeof(text), "%s", config);
    info.config = text;
    return info;
}

static void headlines(const char *first, const char *second)
{
    OK(report(first, second, "page.html", NULL));
    read_text("page.html", &page);
}

/* Its second loss is another. */
static void make_other(const char *name, const run_info *info)
{
    runfile *f = NULL;
    OK(runfile_create(path_of(name), info, &f));
    for (int64_t step = 0; step < 3; step++) {
        run_step s = step_of(step);
        s.loss += step == 1 ? 0.5 : 0;
        OK(runfile_step(f, &s, two_ledgers, 2));
    }
    put_ends(f);
    OK(runfile_close(&f, true));
}

/* Its second loss is no number, the third is as ever. */
static void make_broken(const char *name, const run_info *info)
{
    runfile *f = NULL;
    OK(runfile_create(path_of(name), info, &f));
    for (int64_t step = 0; step < 3; step++) {
        run_step s = step_of(step);
        s.loss = step == 1 ? (double)NAN : s.loss;
        OK(runfile_step(f, &s, two_ledgers, 2));
    }
    put_ends(f);
    OK(runfile_close(&f, true));
}

static json_kinds kind_of(json_val obj, const char *key)
{
    json_val v;
    OK(json_get(obj, key, &v));
    return json_kind(v);
}

static void test_same_task(void **state)
{
    static const char config[] =
        "{\"data\": \"a.txt\", \"steps\": 3, \"layers\": 0}";
    (void)state;
    run_info info = task_of(config);
    make_task("same.h5", &info, 3);
    make_task("other.h5", &info, 3);
    headlines("same.h5", "other.h5");
    has("<h2>gpt-neo-tiny</h2>", 1);
    has("The losses of all 2 are the same in every step, bit for bit: dp2.tp2 "
        "(same.h5), and 1 other compared with it.",
        1);
    has("Fastest by", 1);
    mem_free(page);

    /* Other losses, and sums that promise nothing. */
    info.exact_sums = false;
    make_other("other.h5", &info);
    headlines("same.h5", "other.h5");
    has("0 of 1 other has the losses of dp2.tp2 (same.h5) bit for bit; the "
        "largest difference is 0.5. 1 of these set-ups sums fast",
        1);
    mem_free(page);
}

/* A loss that is no number is no difference of 0, also where the steps behind
 * it agree; in both runs it is the same. */
static void test_no_number(void **state)
{
    (void)state;
    run_info info = task_of("{\"data\": \"a.txt\", \"steps\": 3}");
    make_task("same.h5", &info, 3);
    make_broken("other.h5", &info);
    headlines("same.h5", "other.h5");
    has("0 of 1 other has the losses of dp2.tp2 (same.h5) bit for bit; 1 has a "
        "loss that is no number.",
        1);
    has("1 has a loss that is no number.", 3);
    has("Largest difference to", 0);
    json_doc *doc = data_of(page);
    json_val setups;
    OK(json_get_arr(json_root(doc), "setups", &setups));
    assert_int_equal(kind_of(json_at(setups, 1), "largest_loss_difference"),
                     JSON_KIND_NULL);
    json_close(doc);
    mem_free(page);

    make_broken("same.h5", &info);
    headlines("same.h5", "other.h5");
    has("The losses of all 2 are the same in every step", 1);
    mem_free(page);
}

/* One that was stopped: what there is of it is the same, and what there is
 * not is not known. */
static void test_stopped(void **state)
{
    (void)state;
    run_info info = task_of("{\"data\": \"a.txt\", \"steps\": 3}");
    run_setup setup = {.messages = 40, .switch_distance = -1};
    runfile *f = NULL;
    make_task("same.h5", &info, 3);
    OK(runfile_create(path_of("other.h5"), &info, &f));
    put_step(f, 0);
    put_step(f, 1);
    OK(runfile_setup(f, &setup));
    OK(runfile_close(&f, false));
    headlines("same.h5", "other.h5");
    has("1 of 1 other has the losses of dp2.tp2 (same.h5) bit for bit in the "
        "2 steps that both have.",
        1);
    has("Largest difference to dp2.tp2 (same.h5) in the steps that both "
        "have: 0.",
        2);
    has("sums fast", 0);
    has("<td>40</td><td>–</td>", 1);
    json_doc *doc = data_of(page);
    json_val setups;
    OK(json_get_arr(json_root(doc), "setups", &setups));
    assert_true(number(json_at(setups, 0), "tensor_bytes") > 0);
    assert_int_equal(kind_of(json_at(setups, 1), "world_bytes"),
                     JSON_KIND_NULL);
    assert_int_equal(kind_of(json_at(setups, 1), "loaded_bytes"),
                     JSON_KIND_NULL);
    json_close(doc);
    mem_free(page);
}

/* Every way to be another task gets its own section and no comparison. */
static void test_other_task(void **state)
{
    static const char *const configs[] = {
        "{\"data\": \"b.txt\", \"steps\": 3, \"layers\": 0}",
        "{\"data\": \"a.txt\", \"steps\": 9, \"layers\": 0}",
        "{\"data\": \"a.txt\", \"steps\": 3, \"layers\": 0, \"lr\": 0.5}",
        "{\"data\": \"a.txt\", \"steps\": 3, \"layers\": 1}",
        "{\"data\": \"a.txt\", \"steps\": 3, \"layers\": 0}",
        "{\"data\": \"a.txt\", \"steps\": 3, \"layers\": 0}"};
    static const char *const heads[] = {"<h2>gpt-neo-tiny: data b.txt</h2>",
                                        "<h2>gpt-neo-tiny: steps 9</h2>",
                                        "<h2>gpt-neo-tiny: lr 0.5</h2>",
                                        "<h2>gpt-neo-tiny: layers 1</h2>",
                                        "<h2>gpt-neo-tiny: seq 32, seed 2</h2>",
                                        "<h2>gpt-neo-tiny: batch 16</h2>"};
    (void)state;
    run_info info = task_of(configs[4]);
    make_task("same.h5", &info, 3);
    for (int i = 0; i < 6; i++) {
        info = task_of(configs[i]);
        info.data_hash += i == 0;
        info.arch_hash += i == 3;
        info.seq = i == 4 ? 32 : info.seq;
        info.seed = i == 4 ? 2 : info.seed;
        info.batch = i == 5 ? 16 : info.batch;
        make_task("other.h5", &info, 3);
        headlines("same.h5", "other.h5");
        has("<h2>gpt-neo-tiny", 2);
        has(heads[i], 1);
        has("bit for bit", 0);
        has("Fastest by", 0);
        has("times less", 0);
        has("nothing to compare it with", 4);
        mem_free(page);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_same_task, no_leak),
        cmocka_unit_test_teardown(test_no_number, no_leak),
        cmocka_unit_test_teardown(test_stopped, no_leak),
        cmocka_unit_test_teardown(test_other_task, no_leak),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_files) != 0;
}
