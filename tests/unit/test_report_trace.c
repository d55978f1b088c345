/*
 * Traces in the report: they nest, messages have two ends, measured and
 * predicted times stand apart, and a large step is thinned.
 */
#include "tests/unit/report_make.h"

/* --- the trace ------------------------------------------------------------ */

static run_trace message(int rank, int op, const char *kind, int peer, int tag,
                         int64_t from, int64_t to)
{
    run_trace t = {.rank = rank,
                   .op = op,
                   .layer = -1,
                   .peer = peer,
                   .tag = tag,
                   .start_ns = from,
                   .end_ns = to,
                   .predicted_ns = 10,
                   .predicted_start_ns = (double)from};
    snprintf(t.kind, sizeof(t.kind), "%s", kind);
    snprintf(t.stream, sizeof(t.stream), "%s",
             strcmp(kind, "send") == 0 ? "pipe_out" : "pipe_in");
    return t;
}

/* Two messages on their way at once, received in the other order, and one
 * whose other end is not there. */
static void make_pipe(void)
{
    const run_trace rows[] = {
        message(0, 0, "send", 1, 5, 1000, 5000),
        message(0, 1, "send", 1, 6, 2000, 6000),
        message(0, 2, "send", 1, 9, 7000, 8000),
        message(1, 0, "recv", 0, 6, 1500, 6500),
        message(1, 1, "recv", 0, 5, 3000, 5500),
    };
    runfile *f = create("pipe.h5");
    put_step(f, 0);
    OK(runfile_trace(f, 0, rows, 5));
    OK(runfile_close(&f, true));
}

typedef struct event {
    double from, to;
    int pid, tid;
    char phase;
    int id;
} event;

static int read_events(json_val list, event *out)
{
    int n = 0;
    for (size_t i = 0; i < json_len(list); i++) {
        json_val e = json_at(list, i);
        event *o = &out[n];
        o->phase = word(e, "ph")[0];
        if (o->phase == 'M') {
            continue;
        }
        o->pid = (int)number(e, "pid");
        o->tid = (int)number(e, "tid");
        o->from = number(e, "ts");
        o->to = o->phase == 'X' ? o->from + number(e, "dur") : o->from;
        o->id = o->phase == 'X' ? -1 : (int)number(e, "id");
        n++;
    }
    return n;
}

/* One of them contains the other, or they do not touch. */
static bool nest(const event *a, const event *b)
{
    return a->to <= b->from || b->to <= a->from ||
           (a->from <= b->from && b->to <= a->to) ||
           (b->from <= a->from && a->to <= b->to);
}

static const event *slice_around(const event *list, int n, const event *e)
{
    for (int i = 0; i < n; i++) {
        if (list[i].phase == 'X' && list[i].pid == e->pid &&
            list[i].tid == e->tid && list[i].from <= e->from &&
            e->from <= list[i].to) {
            return &list[i];
        }
    }
    return NULL;
}

static void test_trace(void **state)
{
    event e[64];
    json_doc *doc = NULL;
    json_val list;
    int phases[128] = {0};
    (void)state;
    make_pipe();
    OK(report("pipe.h5", NULL, NULL, "trace.json"));
    OK(json_open(path_of("trace.json"), &doc));
    OK(json_get_arr(json_root(doc), "traceEvents", &list));
    assert_true(json_len(list) < 64);
    int n = read_events(list, e);
    for (int i = 0; i < n; i++) {
        phases[(int)e[i].phase]++;
        for (int k = 0; k < i; k++) {
            assert_true(e[i].phase != 'X' || e[k].phase != 'X' ||
                        e[i].pid != e[k].pid || e[i].tid != e[k].tid ||
                        nest(&e[i], &e[k]));
        }
    }
    /* Five slices and their predictions, two arrows of two ends. */
    assert_int_equal(phases['X'], 10);
    assert_int_equal(phases['s'], 2);
    assert_int_equal(phases['f'], 2);
    for (int i = 0; i < n; i++) {
        if (e[i].phase == 's' || e[i].phase == 'f') {
            const event *s = slice_around(e, n, &e[i]);
            assert_non_null(s);
            /* Tags 5 and 6: arrows 0 and 1, sent and received so. */
            double sent = e[i].id == 0 ? 1 : 2;
            double got = e[i].id == 0 ? 3 : 1.5;
            assert_true(s->from == (e[i].phase == 's' ? sent : got));
            assert_int_equal(s->pid, e[i].phase == 'f');
        }
    }
    json_close(doc);
}

/* --- measured and predicted, apart ---------------------------------------- */

enum { MS = 1000000 };

static run_trace row_of(int op, const char *kind, const char *stream,
                        int64_t from, int64_t to, double predicted_from,
                        double predicted)
{
    run_trace t = message(0, op, kind, -1, -1, from, to);
    snprintf(t.stream, sizeof(t.stream), "%s", stream);
    t.predicted_start_ns = predicted_from;
    t.predicted_ns = predicted;
    return t;
}

/* A step of 250 ms whose prediction ends after 600 ms. */
static void test_long_prediction(void **state)
{
    const run_trace rows[] = {
        row_of(0, "norm", "compute", 0, 100 * MS, 0, 400 * MS),
        row_of(1, "dnorm", "compute", 100 * MS, 240 * MS, 400 * MS, 200 * MS),
    };
    (void)state;
    runfile *f = create("late.h5");
    put_step(f, 0);
    put_prediction(f);
    OK(runfile_trace(f, 0, rows, 2));
    OK(runfile_close(&f, true));
    OK(report("late.h5", NULL, "page.html", NULL));
    read_text("page.html", &page);
    has("Step 1 took 250 ms, predicted 125 ms with a core a thread; 2 oper", 2);
    has("The vertical line is where the step returned.", 2);
    has("ran on into the next", 0);
    has("<td>96.0 %</td>", 1);
    has("<td>240 ms</td>", 1);
    check_nesting(page);
    mem_free(page);
}

/* The page of a run of one step, with the trace of step `traced`. */
static void open_late_page(const run_trace *rows, int64_t n, int64_t traced,
                           int64_t store_bytes)
{
    run_rank rank = {.peak_bytes = 1 << 20, .store_bytes = store_bytes};
    runfile *f = create("late.h5");
    rank.class_bytes[BUF_WEIGHT] = 1 << 20;
    put_step(f, 0);
    OK(runfile_trace(f, traced, rows, n));
    OK(runfile_ranks(f, &rank, 1));
    OK(runfile_close(&f, true));
    OK(report("late.h5", NULL, "page.html", NULL));
    read_text("page.html", &page);
}

/* Two messages at once count once; an update ends 50 ms after the step. */
static void test_updates_run_on(void **state)
{
    const double nan = (double)NAN;
    const run_trace rows[] = {
        row_of(0, "norm", "compute", 0, 200 * MS, nan, nan),
        row_of(1, "send", "pipe_out", 0, 100 * MS, nan, nan),
        row_of(2, "send", "pipe_out", 50 * MS, 150 * MS, nan, nan),
        row_of(3, "update", "host", 240 * MS, 300 * MS, nan, nan),
    };
    (void)state;
    open_late_page(rows, 4, 0, 1);
    has("Step 1 took 250 ms; 4 operations.", 2);
    has("The vertical line is where the step returned: its updates ran on into "
        "the next one, until 300 ms.",
        2);
    has("<td>80.0 %</td>", 1);
    has("<td>60.0 %</td>", 1);
    has("<td>60.0 ms</td><td>50.0 ms</td><td>4.0 %</td>", 1);
    mem_free(page);

    /* Not of a rank without a store: it began late. */
    open_late_page(rows, 4, 0, 0);
    has("The vertical line is where the step returned.", 2);
    has("ran on into", 0);
    mem_free(page);

    /* Of a step that is not in /steps nothing is claimed. */
    open_late_page(rows, 4, 1, 1);
    has("Step 2, whose wall time was not recorded; its last operation ended "
        "after 300 ms; 4 operations.",
        2);
    has("<td>60.0 ms</td><td>–</td><td>–</td></tr>", 1);
    has("vertical line", 0);
    mem_free(page);
}

/* --- a large step --------------------------------------------------------- */

enum { LARGE_RANKS = 4, LARGE_OPS = 20000 };

/* Kinds take turns, so that equal neighbours are rare. */
static void make_large(const char *name)
{
    static run_trace rows[LARGE_OPS];
    runfile *f = create(name);
    put_step(f, 0);
    for (int r = 0; r < LARGE_RANKS; r++) {
        for (int i = 0; i < LARGE_OPS; i++) {
            rows[i] = message(r, i, i % 2 == 0 ? "norm" : "dnorm", -1, -1,
                              1000 * i, 1000 * i + 900);
            snprintf(rows[i].stream, sizeof(rows[i].stream), "compute");
        }
        OK(runfile_trace(f, 0, rows, LARGE_OPS));
    }
    OK(runfile_close(&f, true));
}

/* Thinned, so that a browser can show it; what was left out is said in
 * numbers. */
static void test_large(void **state)
{
    (void)state;
    make_large("large.h5");
    OK(report("large.h5", NULL, "page.html", NULL));
    read_text("page.html", &page);
    assert_in_range(strlen(page), 50000, 600000);
    has("80,000 operations", 2); /* to those who see it, and to others */
    check_nesting(page);
    mem_free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_trace, no_leak),
        cmocka_unit_test_teardown(test_long_prediction, no_leak),
        cmocka_unit_test_teardown(test_updates_run_on, no_leak),
        cmocka_unit_test_teardown(test_large, no_leak),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_files) != 0;
}
