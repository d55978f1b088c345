/*
 * The report, from files made up here: its numbers are those of the files, no
 * set-up is dropped, no name becomes markup, and memory adds up.
 */
#include "runtime/results/comparison.h"
#include "tests/unit/report_make.h"

#define HOSTILE "<script>alert(1)</script>'`touch x`\\"
#define REASON  "</script><b onclick=\"x\">&amp; 'no' \xff\x01"

/* --- files ---------------------------------------------------------------- */

/* Three steps, no end: as a run that was killed. */
static void make_cut(const char *name)
{
    runfile *f = create(name);
    for (int64_t step = 0; step < 3; step++) {
        put_step(f, step);
    }
    OK(runfile_close(&f, false));
}

static void add_row(comparison *c, const char *name, const char *word,
                    const char *reasons, const char *run)
{
    comparison_row row;
    comparison_row_init(&row);
    snprintf(row.name, sizeof(row.name), "%s", name);
    snprintf(row.model, sizeof(row.model), "gpt-neo-tiny");
    snprintf(row.status, sizeof(row.status), "%s", word);
    snprintf(row.reasons, sizeof(row.reasons), "%s", reasons);
    if (run != NULL) {
        snprintf(row.clock, sizeof(row.clock), "cpu");
        row.tokens_per_s = 1234.5;
        row.peak_bytes = 777;
        row.decisions = 2;
        row.devices = 2;
    }
    OK(comparison_add(c, &row, run != NULL ? path_of(run) : NULL));
}

static void make_files(void)
{
    comparison *c = NULL;
    make_run("run.h5");
    make_cut("cut.h5");
    OK(comparison_create(path_of("cmp.h5"), "weft compare <x>", NULL, NULL,
                         &c));
    add_row(c, "dp2.tp2", "ok", "", "run.h5");
    add_row(c, HOSTILE, "ok", "", "run.h5");
    add_row(c, "too big", "refused", REASON, NULL);
    add_row(c, "broken", "failed", "", NULL);
    OK(comparison_close(&c, true));
}

/* --- the page ------------------------------------------------------------- */

static void test_page(void **state)
{
    (void)state;
    OK(report("cmp.h5", "cut.h5", "page.html", NULL));
    read_text("page.html", &page);
    check_nesting(page);
    has("<script", 1);
    has("</script", 1);
    has("onclick=\"", 0);
    assert_true(count(page, "<th scope=\"row\">&lt;script&gt;alert(1)&lt;"
                            "/script&gt;&#39;`touch x`\\</th>") > 5);
    /* In a drawing, cut in its middle. */
    assert_true(count(page, "<text>&lt;script>ale…`touch x`") +
                    count(page, "<text>&lt;script&gt;ale…`touch x`") >
                1);
    has("&lt;/script&gt;&lt;b onclick=&quot;x&quot;&gt;&amp;amp; "
        "&#39;no&#39; ? </dd>",
        1);
    has("<dd>weft compare &lt;x&gt;</dd>", 1);
    has("no reason was recorded</dd>", 1);
    has("cut short after 3 steps</dd>", 1);
    has("http", 0); /* nothing from elsewhere, not even a name space */
    has("src=", 0);
    has("role=\"img\"", 7);
    assert_int_equal(access("x", F_OK), -1);
    mem_free(page);
}

/* --- its numbers ---------------------------------------------------------- */

static void check_curve(json_val setup)
{
    json_val steps, losses;
    OK(json_get_arr(setup, "step", &steps));
    OK(json_get_arr(setup, "loss", &losses));
    assert_int_equal(json_len(steps), 3);
    for (size_t i = 0; i < 3; i++) {
        const run_step want = step_of((int64_t)i);
        double x = 0;
        OK(json_as_f64(json_at(losses, i), 0, 100, &x));
        assert_true(x == want.loss);
        OK(json_as_f64(json_at(steps, i), 0, 100, &x));
        assert_true(x == (double)want.step);
    }
}

static void test_numbers(void **state)
{
    static const char *const words[] = {"ok", "ok", "refused", "failed", "cut"};
    json_val setups, made, bytes;
    (void)state;
    OK(report("cmp.h5", "cut.h5", "page.html", NULL));
    read_text("page.html", &page);
    json_doc *doc = data_of(page);
    OK(json_get_arr(json_root(doc), "setups", &setups));
    assert_int_equal(json_len(setups), 5);
    for (size_t i = 0; i < 5; i++) {
        json_val s = json_at(setups, i);
        assert_string_equal(word(s, "status"), words[i]);
        if (json_has(s, "loss")) {
            check_curve(s);
            assert_true(number(s, "largest_loss_difference") == 0);
        }
    }
    assert_string_equal(word(json_at(setups, 1), "name"), HOSTILE);
    assert_true(json_has(json_at(setups, 4), "loss"));
    json_val s = json_at(setups, 0);
    assert_true(number(s, "tokens_per_s") == 1234.5);
    assert_true(number(s, "peak_bytes") == 777);
    OK(json_get_arr(s, "decisions_made", &made));
    assert_int_equal(json_len(made), 2);
    OK(json_get_obj(s, "fullest_rank_bytes", &bytes));
    assert_true(number(bytes, "logits") == 77);
    OK(json_get_obj(s, "step_ledger_s", &bytes));
    assert_true(number(bytes, "compute") == 2 && number(bytes, "other") == 12);
    /* Of a cut run its own numbers: 512 tokens in 0.9 s of processors. */
    assert_true(number(json_at(setups, 4), "tokens_per_s") == 512 / 0.9);
    json_close(doc);
    mem_free(page);
}

static void test_same_again(void **state)
{
    (void)state;
    OK(report("cmp.h5", NULL, "page.html", NULL));
    OK(report("cmp.h5", NULL, "again.html", NULL));
    char *a = NULL, *b = NULL;
    read_text("page.html", &a);
    read_text("again.html", &b);
    assert_string_equal(a, b);
    mem_free(a);
    mem_free(b);
}

static void test_refuses(void **state)
{
    const char *files[] = {NULL, NULL};
    comparison *c = NULL;
    (void)state;
    assert_int_equal(report("none.h5", NULL, "again.html", NULL), ST_NOINPUT);
    OK(comparison_create(path_of("old.h5"), "x", NULL, NULL, &c));
    OK(comparison_close(&c, true));
    unlink(path_of("again.html"));
    assert_int_equal(report("old.h5", NULL, "again.html", NULL), ST_CONFIG);
    has_text("no set-up has ended yet");
    assert_int_equal(access(path_of("again.html"), F_OK), -1);
    assert_int_equal(report("cut.h5", NULL, NULL, "trace.json"), ST_CONFIG);
    has_text("no set-up has a trace");
    char file[128], out[128];
    snprintf(file, sizeof(file), "%s", path_of("cmp.h5"));
    snprintf(out, sizeof(out), "%s", path_of("again.html"));
    files[0] = file;
    const char *const wanted[] = {"dp2.tp2", "tp9", NULL};
    const report_config c2 = {.files = files, .setups = wanted, .out = out};
    assert_int_equal(report_run(&c2), ST_CONFIG);
    has_text("--setup tp9: no set-up has this name; there is dp2.tp2, ");
    assert_int_equal(access(out, F_OK), -1);
}

/* --- memory adds up ------------------------------------------------------- */

static void test_gaps(void **state)
{
    (void)state;
    run_rank rank = {.peak_bytes = 1 << 20,
                     .touched_bytes = 3 << 20,
                     .library_bytes = 5 << 20};
    rank.class_bytes[BUF_WEIGHT] = 1 << 19;
    runfile *f = create("late.h5");
    put_step(f, 0);
    OK(runfile_ranks(f, &rank, 1));
    OK(runfile_close(&f, true));
    OK(report("late.h5", NULL, "page.html", NULL));
    read_text("page.html", &page);
    has("<td>512 KiB</td><td>512 KiB</td><td>1 MiB</td></tr>", 1);
    has(">gaps</th>", 1);
    has("<td>1 MiB</td><td>3 MiB</td><td>–</td><td>–</td><td>5 MiB</td>", 1);
    mem_free(page);

    /* Nothing in any class: no bar. */
    rank = (run_rank){0};
    f = create("late.h5");
    put_step(f, 0);
    OK(runfile_ranks(f, &rank, 1));
    OK(runfile_close(&f, true));
    OK(report("late.h5", NULL, "page.html", NULL));
    read_text("page.html", &page);
    has("Memory of a device", 0);
    mem_free(page);
}

/* --- frame ---------------------------------------------------------------- */

static int set_up(void **state)
{
    if (make_folder(state) != 0) {
        return -1;
    }
    make_files();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_page, no_leak),
        cmocka_unit_test_teardown(test_numbers, no_leak),
        cmocka_unit_test_teardown(test_same_again, no_leak),
        cmocka_unit_test_teardown(test_refuses, no_leak),
        cmocka_unit_test_teardown(test_gaps, no_leak),
    };
    return cmocka_run_group_tests(tests, set_up, drop_files) != 0;
}
