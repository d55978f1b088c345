/*
 * What the report claims is so: data is told apart by what is in it, nothing
 * that trains nothing or was cut short is the fastest of anything, and what is
 * not compared is named with the reason.
 */
#include "tests/unit/runfile_make.h"

#include "benchmarks/report.h"
#include "runtime/base/text.h"

enum { FILES = 4, STEPS = 3 };

static char *page; /* of the test at hand */

/* --- files ---------------------------------------------------------------- */

static const char *name_of(int i)
{
    static const char *const names[FILES] = {"a.h5", "b.h5", "c.h5", "d.h5"};
    return names[i];
}

/* A run: how it was set up, and what became of it. */
typedef struct made {
    const char *plan, *data, *store, *kernels;
    uint64_t hash;
    double off;  /* of its losses from those of the others                 */
    bool is_cut; /* before its end                                         */
} made;

static void make(int i, const made *m)
{
    char config[128];
    runfile *f = NULL;
    run_info info = info_of();
    snprintf(config, sizeof(config), "{\"data\": \"%s\", \"steps\": %d}",
             m->data != NULL ? m->data : "d.txt", STEPS);
    info.config = config;
    info.plan = (char *)m->plan;
    info.store = (char *)(m->store != NULL ? m->store : "");
    info.kernels = (char *)(m->kernels != NULL ? m->kernels : "opt");
    info.data_hash = m->hash;
    OK(runfile_create(path_of(name_of(i)), &info, &f));
    for (int64_t step = 0; step < STEPS; step++) {
        run_step s = step_of(step);
        s.loss += m->off;
        OK(runfile_step(f, &s, two_ledgers, 2));
    }
    if (!m->is_cut) {
        put_ends(f);
    }
    OK(runfile_close(&f, !m->is_cut));
}

static void open_page(int n)
{
    char path[FILES + 1][256];
    const char *files[FILES + 1] = {NULL};
    for (int i = 0; i < n; i++) {
        snprintf(path[i], sizeof(path[i]), "%s", path_of(name_of(i)));
        files[i] = path[i];
    }
    snprintf(path[FILES], sizeof(path[FILES]), "%s", path_of("page.html"));
    OK(report_run(&(report_config){.files = files, .out = path[FILES]}));
    OK(text_read_file(path[FILES], 1 << 26, &page, NULL));
}

/* The page of n runs. */
static void page_of(const made *runs, int n)
{
    for (int i = 0; i < n; i++) {
        make(i, &runs[i]);
    }
    open_page(n);
}

static void has(const char *part, int times)
{
    int n = 0;
    for (const char *s = page; (s = strstr(s, part)) != NULL; s++) {
        n++;
    }
    if (n != times) {
        fail_msg("\"%s\" is there %d times, not %d", part, n, times);
    }
}

static void close_page(void)
{
    mem_free(page);
    page = NULL;
}

/* --- data ----------------------------------------------------------------- */

/* The same under two paths, and two under one path. */
static void test_data(void **state)
{
    const made runs[] = {
        {.plan = "dp1", .data = "d.txt", .hash = 0x11},
        {.plan = "tp2", .data = "./d.txt", .hash = 0x11},
        {.plan = "tp2", .data = "d.txt", .hash = 0x22, .off = 1},
    };
    (void)state;
    page_of(runs, 3);
    has("<h2>gpt-neo-tiny", 2);
    has("<h2>gpt-neo-tiny: data d.txt (hash 0000000000000011)</h2>", 1);
    has("<h2>gpt-neo-tiny: data d.txt (hash 0000000000000022)</h2>", 1);
    has("The losses of all 2 are the same in every step, bit for bit: dp1, and "
        "1 other compared with it.",
        1);
    has("0 of 1 other", 0);
    close_page();
}

/* Paths that tell the data apart are enough, and are not said where nothing
 * but they differs. */
static void test_paths(void **state)
{
    made runs[] = {
        {.plan = "dp1", .data = "d.txt", .hash = 0x11},
        {.plan = "tp2", .data = "e.txt", .hash = 0x22},
    };
    (void)state;
    page_of(runs, 2);
    has("<h2>gpt-neo-tiny: data d.txt</h2>", 1);
    has("<h2>gpt-neo-tiny: data e.txt</h2>", 1);
    close_page();
    runs[1].hash = runs[0].hash;
    page_of(runs, 2);
    has("<h2>gpt-neo-tiny</h2>", 1);
    close_page();
}

/* Files of before tell the path alone. One of them is like two that are not
 * like each other: these are apart whichever comes first. */
static void test_older(void **state)
{
    const made runs[] = {
        {.plan = "dp1", .data = "d.txt"},
        {.plan = "tp2", .data = "d.txt", .hash = 0x11},
        {.plan = "pp2", .data = "d.txt", .hash = 0x22},
        {.plan = "dp2", .data = "e.txt"},
    };
    (void)state;
    page_of(runs, 4);
    has("<h2>gpt-neo-tiny", 3);
    has("<h2>gpt-neo-tiny: data d.txt (hash 0000000000000011)</h2>", 1);
    has("<h2>gpt-neo-tiny: data d.txt (hash 0000000000000022)</h2>", 1);
    has("<h2>gpt-neo-tiny: data e.txt</h2>", 1);
    has("The losses of all 2 are the same", 1);
    close_page();
}

/* --- cut short ------------------------------------------------------------ */

/* It is drawn, as far as it came, but it did not run, is no winner, and stands
 * in the list that the headline names. */
static void test_cut(void **state)
{
    const made runs[] = {
        {.plan = "dp1", .is_cut = true},
        {.plan = "tp2", .is_cut = true},
        {.plan = "pp2"},
        {.plan = "dp2"},
    };
    (void)state;
    page_of(runs, 2);
    has("<li>0 of 2 set-ups ran to the end; the others are listed below with "
        "their reasons.</li>",
        1);
    has("cut short after 3 steps</dd>", 2);
    has("The losses of all 2 are the same in every step", 1);
    has("Fastest by", 0);
    has("tokens/s with", 0);
    has("<figure id=\"m1-loss\"", 1);
    has("<figure id=\"m1-pareto\"", 0);
    close_page();
    page_of(runs, 3);
    has("<li>1 of 3 set-ups ran to the end; the others", 1);
    has("Fastest by", 0);
    has(" 2 set-ups did not run to the end, see the list above.", 2);
    close_page();
    page_of(runs, 4);
    has("Fastest by CPU time: pp2, ", 1);
    close_page();
}

/* --- what promises nothing ------------------------------------------------ */

/* A store that keeps nothing is fast, and that is no merit. */
static void test_null_store(void **state)
{
    const made runs[] = {
        {.plan = "dp1"},
        {.plan = "streamed", .store = "ram"},
        {.plan = "nowhere", .store = "null", .off = 2},
    };
    (void)state;
    page_of(runs, 3);
    has("<li>3 of 3 set-ups ran to the end.</li>", 1);
    has("The losses of all 2 are the same in every step, bit for bit: dp1, and "
        "1 other compared with it.",
        1);
    has("All 2 curves lie on one line", 2);
    has("<li>nowhere trains nothing: store null keeps no weights. Its losses "
        "are compared with nobody&#39;s, and what is best here is best of the "
        "others.</li>",
        1);
    has("by CPU time: nowhere", 0);
    has("least memory with nowhere", 0);
    has(" 1 with store null trains nothing, and has no point.", 2);
    has("largest difference is 2", 0);
    has("\"largest_loss_difference\": null", 1);
    close_page();

    /* The first file, whose losses would be those to agree with. */
    const made first[] = {runs[2], runs[1]};
    page_of(first, 2);
    has("bit for bit", 0);
    has("Fastest by", 0);
    close_page();
    page_of(first, 1);
    has("<li>nowhere trains nothing: ", 1);
    has("<figure id=\"m1-loss\"", 0);
    has("<figure id=\"m1-ledger\"", 1);
    close_page();
}

static void test_kernels(void **state)
{
    const made runs[] = {
        {.plan = "dp1", .kernels = "ref", .off = 0.5},
        {.plan = "pp1", .kernels = "ref", .off = 0.5},
        {.plan = "tp2"},
        {.plan = "pp2"},
    };
    (void)state;
    page_of(runs, 4);
    has("The losses of all 2 are the same in every step, bit for bit: tp2, and "
        "1 other compared with it.",
        1);
    has("<li>dp1 and pp1 compute with other kernels than tp2, which promises "
        "no equal bits; the largest difference is 0.5.</li>",
        1);
    close_page();
    page_of(runs, 2);
    has("The losses of all 2 are the same in every step, bit for bit: dp1, and "
        "1 other compared with it.",
        1);
    has("other kernels", 0);
    close_page();
}

/* --- one answer for the drawing and the data ------------------------------ */

static void put_row(run_trace *t, int op, const char *stream)
{
    *t = (run_trace){.op = op,
                     .layer = -1,
                     .peer = -1,
                     .tag = -1,
                     .start_ns = 1000 * op,
                     .end_ns = 1000 * op + 500,
                     .predicted_ns = (double)NAN,
                     .predicted_start_ns = (double)NAN};
    snprintf(t->kind, sizeof(t->kind), "norm");
    snprintf(t->stream, sizeof(t->stream), "%s", stream);
}

/* A stream of another writer is not taken for one of ours. */
static void test_stream_and_gaps(void **state)
{
    run_rank rank = {.peak_bytes = 1 << 20};
    run_trace rows[2];
    runfile *f = create(name_of(0));
    (void)state;
    rank.class_bytes[BUF_WEIGHT] = (1 << 20) - 4096;
    put_row(&rows[0], 0, "compute");
    put_row(&rows[1], 1, "warp");
    put_step(f, 0);
    OK(runfile_ranks(f, &rank, 1));
    OK(runfile_trace(f, 0, rows, 2));
    OK(runfile_close(&f, true));
    open_page(1);
    has("<th scope=\"row\">0, compute</th><td>1</td>", 1);
    has("<th scope=\"row\">0, unknown</th><td>1</td>", 1);
    has("\"gaps\": 4096", 1);
    has("<td>1020 KiB</td><td>4 KiB</td><td>1 MiB</td>", 1);
    close_page();
}

static int drop_files(void **state)
{
    (void)state;
    for (int i = 0; i < FILES; i++) {
        unlink(path_of(name_of(i)));
    }
    unlink(path_of("page.html"));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_data, no_leak),
        cmocka_unit_test_teardown(test_paths, no_leak),
        cmocka_unit_test_teardown(test_older, no_leak),
        cmocka_unit_test_teardown(test_cut, no_leak),
        cmocka_unit_test_teardown(test_null_store, no_leak),
        cmocka_unit_test_teardown(test_kernels, no_leak),
        cmocka_unit_test_teardown(test_stream_and_gaps, no_leak),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_files) != 0;
}
