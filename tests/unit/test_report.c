/*
 * The report, from files made up here: its numbers are those of the files, no
 * set-up is dropped, no name becomes markup, and the trace nests.
 */
#include "tests/unit/runfile_make.h"

#include "benchmarks/report.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"
#include "runtime/results/comparison.h"

#define HOSTILE "<script>alert(1)</script>'`touch x`\\"
#define REASON  "</script><b onclick=\"x\">&amp; 'no' \xff\x01"

static char *page; /* of the test at hand */

static const char *const names[] = {
    "run.h5",  "cut.h5", "cmp.h5",   "page.html", "again.html", "trace.json",
    "pipe.h5", "old.h5", "large.h5", "late.h5",   "same.h5",    "other.h5"};

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

static status report(const char *file, const char *more, const char *out,
                     const char *trace)
{
    const char *files[3] = {path_of(file), NULL, NULL};
    char first[128], second[128], to[128], perfetto[128];
    report_config c = {.files = files};
    snprintf(first, sizeof(first), "%s", path_of(file));
    files[0] = first;
    if (more != NULL) {
        snprintf(second, sizeof(second), "%s", path_of(more));
        files[1] = second;
    }
    if (out != NULL) {
        snprintf(to, sizeof(to), "%s", path_of(out));
        c.out = to;
    }
    if (trace != NULL) {
        snprintf(perfetto, sizeof(perfetto), "%s", path_of(trace));
        c.perfetto = perfetto;
    }
    return report_run(&c);
}

static char *read_text(const char *name)
{
    char *text = NULL;
    OK(text_read_file(path_of(name), 1 << 26, &text, NULL));
    return text;
}

/* --- the page ------------------------------------------------------------- */

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *s = text; (s = strstr(s, part)) != NULL; s++) {
        n++;
    }
    return n;
}

static void has(const char *part, int times)
{
    if (count(page, part) != times) {
        fail_msg("\"%s\" is there %d times, not %d", part, count(page, part),
                 times);
    }
}

/* Every tag that opens closes, in order: well-formed but for entities. */
static void check_nesting(const char *html)
{
    const char *open[256];
    size_t length[256];
    int depth = 0;
    for (const char *s = strchr(html, '<'); s != NULL; s = strchr(s, '<')) {
        const char *end = strchr(s, '>');
        assert_non_null(end);
        size_t n = strcspn(s + 1, " \n/>");
        if (s[1] == '/') {
            n = strcspn(s + 2, ">");
            assert_true(depth > 0);
            depth--;
            if (length[depth] != n || strncmp(open[depth], s + 2, n) != 0) {
                fail_msg("%.*s is closed by %.*s", (int)length[depth],
                         open[depth], (int)n + 3, s);
            }
        } else if (s[1] != '!' && end[-1] != '/') {
            assert_true(depth < 256);
            open[depth] = s + 1;
            length[depth++] = n;
        }
        s = end;
    }
    assert_int_equal(depth, 0);
}

static void test_page(void **state)
{
    (void)state;
    OK(report("cmp.h5", "cut.h5", "page.html", NULL));
    page = read_text("page.html");
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

static json_doc *data_of(const char *html)
{
    static const char mark[] = "id=\"weft-data\">";
    json_doc *doc = NULL;
    const char *from = strstr(html, mark);
    assert_non_null(from);
    from += strlen(mark);
    OK(json_parse(from, (size_t)(strstr(from, "</script>") - from), "data",
                  &doc));
    return doc;
}

static double number(json_val obj, const char *key)
{
    double x = 0;
    OK(json_get_f64(obj, key, -1e300, 1e300, &x));
    return x;
}

static const char *word(json_val obj, const char *key)
{
    const char *text = NULL;
    OK(json_get_str(obj, key, &text));
    return text;
}

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
    page = read_text("page.html");
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
    char *a = read_text("page.html");
    char *b = read_text("again.html");
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
    const report_config c2 = {.files = files, .setup = "tp9", .out = out};
    assert_int_equal(report_run(&c2), ST_CONFIG);
    has_text("there is dp2.tp2, <script>");
    assert_int_equal(access(out, F_OK), -1);
}

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
    page = read_text("page.html");
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
    page = read_text("page.html");
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

/* --- only like with like -------------------------------------------------- */

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
    page = read_text("page.html");
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
    page = read_text("page.html");
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
    page = read_text("page.html");
    has("Memory of a device", 0);
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
    page = read_text("page.html");
    assert_in_range(strlen(page), 50000, 600000);
    has("80,000 operations", 2); /* to those who see it, and to others */
    check_nesting(page);
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

static int drop_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(path_of(names[i]));
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_page, no_leak),
        cmocka_unit_test_teardown(test_numbers, no_leak),
        cmocka_unit_test_teardown(test_same_again, no_leak),
        cmocka_unit_test_teardown(test_refuses, no_leak),
        cmocka_unit_test_teardown(test_trace, no_leak),
        cmocka_unit_test_teardown(test_long_prediction, no_leak),
        cmocka_unit_test_teardown(test_updates_run_on, no_leak),
        cmocka_unit_test_teardown(test_same_task, no_leak),
        cmocka_unit_test_teardown(test_no_number, no_leak),
        cmocka_unit_test_teardown(test_stopped, no_leak),
        cmocka_unit_test_teardown(test_other_task, no_leak),
        cmocka_unit_test_teardown(test_gaps, no_leak),
        cmocka_unit_test_teardown(test_large, no_leak),
    };
    return cmocka_run_group_tests(tests, set_up, drop_files) != 0;
}
