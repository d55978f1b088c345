/*
 * Machine files: what is written is read back, wrong ones are refused with
 * the key and the nearest one. Costs by laws, and laws found again from
 * costs.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "benchmarks/calibrate.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/sim/cost.h"

static void check(status st, int line)
{
    if (st != ST_OK) {
        fail_msg("line %d: %s", line, status_text());
    }
}
#define OK(call) check((call), __LINE__)

#define NEAR(a, b, tolerance)                                                  \
    do {                                                                       \
        if (!(fabs((a) - (b)) <= (tolerance))) {                               \
            fail_msg("line %d: %.12g, expected %.12g", __LINE__, (double)(a),  \
                     (double)(b));                                             \
        }                                                                      \
    } while (0)

static machine example(void)
{
    machine m;
    machine_init(&m);
    snprintf(m.name, sizeof(m.name), "a box");
    snprintf(m.source, sizeof(m.source), "made up");
    snprintf(m.date, sizeof(m.date), "2026-01-31T12:34:56Z");
    snprintf(m.dispatch_source, sizeof(m.dispatch_source), "guessed");
    m.cores = 8;
    m.memory_bytes = (int64_t)1 << 40;
    m.tile_m = 6;
    m.tile_n = 16;
    m.tile_k = 256;
    m.query_block = 96;
    m.serial_items = 1000;
    m.sum_floats = 1 << 18;
    m.overlap = 1U << STREAM_DATA;
    m.overlap_store = 1U << STREAM_DATA | 1U << STREAM_LOAD;
    m.async_messages = true;
    m.dispatch_s = 1e-6;
    m.wake_s = 2e-6;
    m.side_rate = 0.75;
    m.side_loss = 0.5;
    m.store_latency_s = 1e-5;
    m.store_bytes_per_s = 1e10;
    m.nlevels = 3;
    m.level[0].threads = 1;
    m.level[1].threads = 4;
    m.level[2].threads = 1;
    m.level[2].ranks = 8;
    m.level[2].pace = 3e-4;
    m.level[2].law[KERNEL_EXPAND] = (sim_law){.known = true,
                                              .term = {[TERM_FLOP] = 2e-11},
                                              .spread = (double)NAN,
                                              .misfit = (double)NAN};
    m.level[0].law[KERNEL_EXPAND] =
        (sim_law){.known = true,
                  .term = {[TERM_FLOP] = 1e-11, [TERM_CALL] = 1e-6},
                  .spread = 0.125,
                  .misfit = (double)NAN};
    m.level[1].law[KERNEL_NORM] =
        (sim_law){.known = true,
                  .items = {2, {1000, 100000}, {1e-10, 3e-10}},
                  .spread = (double)NAN,
                  .misfit = 0.25};
    m.nlinks = 1;
    m.link[0] =
        (sim_link){.ranks = 4,
                   .shared_cores = true,
                   .p2p = {.op = 1e-6, .message = 2e-6, .byte = 3e-10},
                   .tree = {4e-6, 5e-6, 6e-10, {2, {1e6, 1e8}, {0, 2e-10}}},
                   .at_work = {2, {1e-4, 1e-2}, {1e-5, 3e-5}},
                   .sum = {.op = 7e-6, .message = 8e-6, .byte = 9e-10},
                   .spin = 1e-4,
                   .waiting = 0.5};
    return m;
}

static void test_round_trip(void **state)
{
    machine m = example();
    static machine back;
    char *text = NULL;
    char *again = NULL;
    (void)state;
    OK(machine_text(&m, &text));
    OK(machine_parse(text, "a.json", &back));
    OK(machine_text(&back, &again));
    assert_string_equal(text, again);
    assert_string_equal(back.name, "a box");
    assert_string_equal(back.dispatch_source, "guessed");
    assert_true(back.cores == 8 && back.memory_bytes == (int64_t)1 << 40);
    assert_true(back.tile_m == 6 && back.tile_n == 16 && back.tile_k == 256);
    assert_true(back.overlap == m.overlap);
    assert_true(back.overlap_store == m.overlap_store);
    assert_true(back.async_messages && !back.steps_overlap);
    assert_true(back.side_loss == 0.5 && back.side_rate == 0.75);
    assert_true(back.store_bytes_per_s == 1e10);
    assert_true(back.store_latency_s == 1e-5);
    assert_int_equal(back.nlevels, 3);
    assert_true(back.level[1].ranks == 1 && back.level[2].ranks == 8);
    assert_true(back.level[1].pace == 0 && back.level[2].pace == 3e-4);
    assert_true(back.link[0].tree.far.y[1] == 2e-10);
    assert_true(back.link[0].at_work.x[0] == 1e-4);
    assert_int_equal(back.link[0].p2p.far.points, 0);
    const sim_law *law = &back.level[0].law[KERNEL_EXPAND];
    assert_true(law->known && law->term[TERM_FLOP] == 1e-11);
    assert_true(law->spread == 0.125 && isnan(law->misfit));
    assert_false(back.level[0].law[KERNEL_NORM].known);
    law = &back.level[1].law[KERNEL_NORM];
    assert_true(law->items.points == 2 && law->items.y[1] == 3e-10);
    assert_true(back.link[0].shared_cores && back.link[0].spin == 1e-4);
    assert_true(back.link[0].sum.byte == 9e-10);
    mem_free(text);
    mem_free(again);
}

/* --- refusals ------------------------------------------------------------- */

/* What no reader takes is not written. */
static void refuse_number(machine *m, double *at, double value,
                          const char *want)
{
    char *text = NULL;
    double was = *at;
    *at = value;
    assert_int_equal(machine_text(m, &text), ST_NUMERIC);
    assert_null(text);
    if (strstr(status_text(), want) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", want, status_text());
    }
    *at = was;
}

static void test_not_finite(void **state)
{
    static machine m;
    char *text = NULL;
    const double nan = (double)NAN;
    const double inf = (double)INFINITY;
    (void)state;
    m = example();
    refuse_number(&m, &m.side_rate, nan, "rate is not a finite number");
    refuse_number(&m, &m.side_loss, -inf, "loss is not");
    refuse_number(&m, &m.late_s, nan, "late is not");
    refuse_number(&m, &m.link[0].waiting, nan, "waiting is not");
    refuse_number(&m, &m.link[0].tree.byte, inf, "byte is not");
    refuse_number(&m, &m.link[0].at_work.y[1], nan, "a point of a curve is");
    refuse_number(&m, &m.level[2].pace, inf, "pace is not");
    refuse_number(&m, &m.level[0].law[KERNEL_EXPAND].term[TERM_CALL], inf,
                  "call is not");
    refuse_number(&m, &m.level[0].law[KERNEL_EXPAND].term[TERM_CALL], nan,
                  "call is not");
    OK(machine_text(&m, &text));
    mem_free(text);
}

static const char good[] =
    "{\"format\": \"weft-machine-1\", \"name\": \"x\", \"source\": \"s\","
    "\"cores\": 1, \"tile\": {\"m\": 1, \"n\": 1, \"k\": 1,"
    "\"query_block\": 1}, \"dispatch\": {\"op\": 0, \"source\": \"s\"},"
    "\"levels\": [{\"threads\": 1, \"source\": \"s\", \"kernels\":"
    "{\"norm\": {\"op\": 1e-6}}}]}";

/* The good text with `from` replaced must be refused by a text with `want`. */
static void refuse(const char *from, const char *to, const char *want)
{
    static machine m;
    char text[2048];
    const char *at = strstr(good, from);
    assert_non_null(at);
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, to,
             at + strlen(from));
    status st = machine_parse(text, "m.json", &m);
    if (st != ST_CONFIG || strstr(status_text(), want) == NULL) {
        fail_msg("got %d \"%s\", expected \"%s\"", st,
                 st == ST_OK ? "" : status_text(), want);
    }
}

static void test_refusals(void **state)
{
    static machine m;
    (void)state;
    OK(machine_parse(good, "m.json", &m));
    assert_int_equal(machine_open("/nowhere/m.json", &m), ST_NOINPUT);
    refuse("\"cores\"", "\"cors\"", "did you mean \"cores\"");
    refuse("\"norm\"", "\"nrom\"", "did you mean \"norm\"");
    refuse("{\"op\": 1e-6}", "{\"flops\": 1e-6}", "did you mean \"flop\"");
    refuse("weft-machine-1", "weft-machine-2", "weft-machine-1");
    refuse("\"cores\": 1", "\"cores\": 0", "cores");
    refuse("\"op\": 1e-6", "\"op\": -1e-6", "levels[0].kernels.norm.op");
    refuse("\"op\": 1e-6", "\"items\": [[8, 1e-9], [8, 1e-9]]", "must rise");
    refuse("\"op\": 1e-6", "\"items\": [[8]]", "a point is");
    refuse("\"op\": 1e-6", "\"items\": []", "0 points");
    refuse("\"threads\": 1, \"source\": \"s\"", "\"threads\": 1", "source");
    refuse("\"cores\": 1", "\"cores\": 1, \"overlap\": [\"compute\"]",
           "what others run beside");
    refuse("\"cores\": 1", "\"cores\": 1, \"overlap\": [\"lode\"]", "load");
    refuse("\"levels\": [{", "\"levels\": [], \"x\": [{", "x: unknown key");
}

/* Levels: threads rise, then ranks at once on one thread. */
static void test_level_order(void **state)
{
    const char *first = "\"levels\": [";
    const char *of = "\"source\": \"s\", \"kernels\": {}}";
    static machine m;
    char text[512];
    (void)state;
    OK(machine_parse(good, "m.json", &m));
    assert_int_equal(m.level[0].ranks, 1);
    snprintf(text, sizeof(text), "%s{\"threads\": 1, \"ranks\": 2, %s, ", first,
             of);
    refuse(first, text, "levels[0]");
    snprintf(text, sizeof(text), "%s{\"threads\": 1, %s, ", first, of);
    refuse(first, text, "threads must rise");
    snprintf(text, sizeof(text),
             "%s{\"threads\": 1, %s, {\"threads\": 2, \"ranks\": 2, %s, ",
             first, of, of);
    refuse(first, text, "has \"threads\" 1");
    snprintf(text, sizeof(text),
             "%s{\"threads\": 1, %s, {\"threads\": 1, \"ranks\": 4, %s, "
             "{\"threads\": 1, \"ranks\": 4, %s, ",
             first, of, of, of);
    refuse(first, text, "\"ranks\" must rise");
    snprintf(text, sizeof(text),
             "%s{\"threads\": 1, %s, {\"threads\": 1, \"ranks\": 2, %s, ",
             first, of, of);
    refuse(first, text, "levels[2]");
}

/* Ranks that work at once: the level of as many, or the most there are; on
 * several threads as many times more as on one. */
static void test_at_once(void **state)
{
    static machine m;
    program p;
    sim_work w[1];
    params ps = {0};
    (void)state;
    machine_init(&m);
    m.nlevels = 4;
    m.level[0].threads = m.level[2].threads = m.level[3].threads = 1;
    m.level[1].threads = 2;
    m.level[2].ranks = 2;
    m.level[3].ranks = 4;
    for (int l = 0; l < 4; l++) {
        static const double item[] = {1e-9, 0.75e-9, 2e-9, 3e-9};
        m.level[l].law[KERNEL_ZERO] =
            (sim_law){.known = true, .items = {1, {1}, {item[l]}}};
    }
    prog_init(&p);
    int32_t x = prog_buffer(&p, "x", BUF_WORKING, -1, 64000, false);
    prog_add(&p, OP_ZERO, STREAM_COMPUTE, -1);
    prog_use(&p, prog_whole(&p, x, 1, 64000, 64000), VIEW_W);
    OK(prog_finish(&p));
    static const struct {
        int ranks, threads;
        double s;
    } want[] = {{1, 1, 64e-6},  {2, 1, 128e-6}, {3, 1, 192e-6}, {4, 1, 192e-6},
                {8, 1, 192e-6}, {1, 2, 48e-6},  {2, 2, 96e-6}};
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        sim_setup in = {.m = &m,
                        .ps = &ps,
                        .ranks = want[i].ranks,
                        .threads = want[i].threads};
        OK(sim_costs(&in, &p, w));
        NEAR(w[0].s, want[i].s, 1e-12);
    }
    /* A machine that does not say: as alone. */
    m.nlevels = 2;
    sim_setup in = {.m = &m, .ps = &ps, .ranks = 4, .threads = 1};
    OK(sim_costs(&in, &p, w));
    NEAR(w[0].s, 64e-6, 1e-12);
    prog_fini(&p);
}

/* Products follow the pace of the run; without one, the machine's own of that
 * many ranks; other kernels do not. */
static void test_pace(void **state)
{
    static machine m;
    program p;
    sim_work w[2];
    params ps = {0};
    (void)state;
    machine_init(&m);
    m.nlevels = 3;
    m.level[0].threads = m.level[2].threads = 1;
    m.level[1].threads = 2;
    m.level[2].ranks = 2;
    m.level[0].pace = 1e-3;
    m.level[1].pace = 2e-3;
    m.level[2].pace = 3e-3;
    for (int l = 0; l < 3; l++) {
        m.level[l].law[KERNEL_EXPAND] = m.level[l].law[KERNEL_ZERO] =
            (sim_law){.known = true, .term = {1e-6}};
    }
    prog_init(&p);
    int32_t x = prog_buffer(&p, "x", BUF_WORKING, -1, 64, false);
    prog_add(&p, OP_FORWARD, STREAM_COMPUTE, -1);
    p.ops[0].form = FORM_EXPAND;
    for (int i = 0; i < 3; i++) {
        prog_use(&p, prog_whole(&p, x, 8, 8, 8), i == 2 ? VIEW_W : VIEW_R);
    }
    prog_add(&p, OP_ZERO, STREAM_COMPUTE, -1);
    prog_use(&p, prog_whole(&p, x, 1, 64, 64), VIEW_W);
    OK(prog_finish(&p));
    static const struct {
        int ranks, threads;
        double pace, slower;
    } want[] = {{1, 1, 0, 1},    {1, 1, 5e-4, 0.5}, {1, 2, 4e-3, 2},
                {1, 3, 4e-3, 2}, {2, 1, 0, 3},      {2, 1, 2e-3, 2}};
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        sim_setup in = {.m = &m,
                        .ps = &ps,
                        .ranks = want[i].ranks,
                        .threads = want[i].threads,
                        .pace = want[i].pace};
        NEAR(sim_slower_pace(&in), want[i].slower, 1e-12);
        OK(sim_costs(&in, &p, w));
        NEAR(w[0].s, want[i].slower * 1e-6, 1e-15);
        NEAR(w[1].s, 1e-6, 1e-15);
    }
    m.level[0].pace = 0; /* a machine that does not say */
    sim_setup in = {.m = &m, .ps = &ps, .ranks = 1, .threads = 1, .pace = 1};
    assert_true(isnan(sim_slower_pace(&in)));
    OK(sim_costs(&in, &p, w));
    NEAR(w[0].s, 1e-6, 1e-15);
    prog_fini(&p);
}

/* The items of a product are its operands and its result: 16 x 24 of sums over
 * 8 are 16 * 8 + 24 * 8 + 16 * 24. Here a cache holds all of it. */
static void test_product_items(void **state)
{
    static machine m;
    program p;
    sim_work w[1];
    sim_shape shape;
    params ps = {0};
    (void)state;
    machine_init(&m);
    m.nlevels = 1;
    m.level[0].threads = 1;
    m.level[0].law[KERNEL_EXPAND] = (sim_law){
        .known = true, .term = {1e-6}, .items = {2, {1e5, 1e6}, {0, 1e-9}}};
    prog_init(&p);
    int32_t x = prog_buffer(&p, "x", BUF_WORKING, -1, 128, false);
    int32_t matrix = prog_buffer(&p, "w", BUF_WORKING, -1, 192, false);
    int32_t y = prog_buffer(&p, "y", BUF_WORKING, -1, 384, false);
    prog_add(&p, OP_FORWARD, STREAM_COMPUTE, -1);
    p.ops[0].form = FORM_EXPAND;
    prog_use(&p, prog_whole(&p, x, 16, 8, 8), VIEW_R);
    prog_use(&p, prog_whole(&p, matrix, 24, 8, 8), VIEW_R);
    prog_use(&p, prog_whole(&p, y, 16, 24, 24), VIEW_W);
    OK(prog_finish(&p));
    sim_setup in = {.m = &m, .ps = &ps, .ranks = 1, .threads = 1};
    OK(sim_shapes(&in, &p, &shape));
    NEAR(shape.items, 704, 1e-9);
    OK(sim_costs(&in, &p, w));
    NEAR(w[0].s, 1e-6, 1e-15);
    m.level[0].law[KERNEL_EXPAND].items.y[0] = 1e-9;
    OK(sim_costs(&in, &p, w));
    NEAR(w[0].s, 1e-6 + 704e-9, 1e-15);
    prog_fini(&p);
}

/* Bytes that no cache holds cost more. */
static void test_far_bytes(void **state)
{
    const sim_transfer t = {1e-6, 2e-6, 3e-10, {2, {1e6, 1e8}, {0, 2e-10}}};
    double ago[SIM_AGO] = {0};
    (void)state;
    ago[0] = 0.5; /* 4 KiB ago */
    ago[20] = 0.5;
    NEAR(sim_transfer_seconds(&t, 3, 1e4, ago), 7e-6 + 1e4 * 4e-10, 1e-15);
    ago[0] = 1;
    ago[20] = 0;
    NEAR(sim_transfer_seconds(&t, 3, 1e4, ago), 7e-6 + 1e4 * 3e-10, 1e-15);
}

/* A machine that lacks a law says which. */
static void test_no_law(void **state)
{
    static machine m;
    program p;
    sim_work w[1];
    params ps = {0};
    (void)state;
    OK(machine_parse(good, "m.json", &m));
    prog_init(&p);
    int32_t x = prog_buffer(&p, "x", BUF_WORKING, -1, 64, false);
    prog_add(&p, OP_ZERO, STREAM_COMPUTE, -1);
    prog_use(&p, prog_whole(&p, x, 1, 64, 64), VIEW_W);
    OK(prog_finish(&p));
    sim_setup in = {.m = &m, .ps = &ps, .ranks = 1, .threads = 1};
    assert_int_equal(sim_costs(&in, &p, w), ST_CONFIG);
    assert_non_null(strstr(status_text(), "no law for the kernel zero"));
    prog_fini(&p);
}

/* --- laws ----------------------------------------------------------------- */

static void test_curve(void **state)
{
    sim_curve law = {3, {1e4, 1e6, 1e8}, {1, 2, 10}};
    (void)state;
    NEAR(sim_curve_at(&law, 1), 1, 0);
    NEAR(sim_curve_at(&law, 1e5), 1.5, 1e-12);
    NEAR(sim_curve_at(&law, 1e7), 6, 1e-12);
    NEAR(sim_curve_at(&law, 1e12), 10, 0);
    law.points = 0;
    NEAR(sim_curve_at(&law, 1e5), 0, 0);
}

static void test_product_counts(void **state)
{
    machine m = example();
    const sim_law *law = &m.level[0].law[KERNEL_EXPAND];
    tree_seg segs[4];
    double count[TERM_COUNT] = {0};
    (void)state;
    segs[0] = (tree_seg){.k1 = 300, .first = 1, .last = 1};
    sim_product p = {.m = 10, .n = 20, .segs = segs, .nsegs = 1};
    sim_product_counts(&m, law, &p, 1, count);
    NEAR(count[TERM_OP], 1, 0);
    NEAR(count[TERM_CALL], 1, 0);
    NEAR(count[TERM_FLOP], 2.0 * 12 * 32 * 300, 0); /* whole tiles */
    NEAR(count[TERM_A], 10 * 300, 0);
    NEAR(count[TERM_B], 20 * 300, 0);
    NEAR(count[TERM_C], 10 * 20 * 2, 0); /* two blocks of 256 */
    /* Two threads: halves of 102 x 16 in tiles, less than 54 x 32. */
    p.m = 100;
    sim_product_counts(&m, law, &p, 2, count);
    NEAR(count[TERM_FLOP], 2.0 * 102 * 16 * 300, 0);
    /* Four leaves that are short: ((0+1)+(2+3)) has one join of its own. */
    for (int i = 0; i < 4; i++) {
        segs[i] = (tree_seg){i, 0, 64 * i, 64 * (i + 1), 1, 1};
    }
    p = (sim_product){.m = 12,
                      .n = 16,
                      .segs = segs,
                      .nsegs = 4,
                      .state = {.leaves = 4},
                      .sum = true};
    sim_product_counts(&m, law, &p, 1, count);
    NEAR(count[TERM_CALL], 4, 0);
    NEAR(count[TERM_JOIN], 12 * 16, 0);
    NEAR(count[TERM_FLOP], 2.0 * 12 * 16 * 256, 0);
}

static void test_attention_counts(void **state)
{
    machine m = example();
    double count[TERM_COUNT] = {0};
    (void)state;
    /* 200 positions: blocks of 96, 96, 8 queries see 96, 192, 200 keys. */
    sim_attention_counts(&m, 200, 0, 32, 3, false, 1, count);
    double scores = 96 * 96 + 96 * 192 + 8 * 200;
    NEAR(count[TERM_CALL], 3 * 3, 0);
    NEAR(count[TERM_C], 3 * scores, 0);
    NEAR(count[TERM_FLOP], 3 * 2 * 2 * 32 * scores, 0);
    /* Backward heads are whole tasks: 2 threads do 2 and 1 of 3. */
    sim_attention_counts(&m, 200, 0, 32, 3, true, 2, count);
    NEAR(count[TERM_C], 2 * scores, 1e-9);
    /* A window of 50 cuts the keys of later blocks. */
    sim_attention_counts(&m, 200, 50, 32, 1, false, 1, count);
    NEAR(count[TERM_C], 96 * 96 + 96 * (192 - 47) + 8 * (200 - 143), 0);
}

/* The law that samples were made by is found again, through noise and a few
 * samples that are far off. */
static void test_fit(void **state)
{
    enum { SAMPLES = 300 };
    static calibrate_sample s[SAMPLES];
    sim_law law = {
        .term = {[TERM_OP] = 3e-6, [TERM_ROW] = 2e-8},
        .items = {5,
                  {65536.0, 524288.0, 4194304.0, 33554432.0, 268435456.0},
                  {1e-10, 1e-10, 4e-10, 9e-10, 9e-10}}};
    sim_law found = {0};
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t at = (uint64_t)i;
        sim_shape *t = &s[i].shape;
        t->kernel = KERNEL_NORM;
        t->threads = i % 10 == 9 ? 2 : 1; /* of another law */
        t->count[TERM_OP] = 1;
        t->count[TERM_ROW] = (double)rng_below(1, 0, at, 500);
        t->items = t->count[TERM_ROW] * (1 + (double)rng_below(1, 1, at, 900));
        int bin = 4 + (int)rng_below(1, 2, at, 13);
        t->ago[bin] = 1;
        double noise = 0.96 + 0.0001 * (double)rng_below(1, 3, at, 800);
        double item = sim_curve_at(&law.items, sim_ago_bytes(bin));
        s[i].seconds = sim_law_seconds(&law, t->count, t->items, item) * noise;
        s[i].seconds *= i % 31 == 30 ? 3 : 1;
        s[i].spread = 0.5;
    }
    OK(calibrate_fit(s, SAMPLES, KERNEL_BIAS, 1, &found));
    assert_false(found.known);
    OK(calibrate_fit(s, SAMPLES, KERNEL_NORM, 1, &found));
    assert_true(found.known && found.spread == 0.5);
    NEAR(found.term[TERM_OP], 3e-6, 0.3e-6);
    NEAR(found.term[TERM_ROW], 2e-8, 0.4e-8);
    NEAR(found.items.y[0], 1e-10, 0.1e-10);
    NEAR(found.items.y[2], 4e-10, 0.2e-10);
    NEAR(found.items.y[3], 9e-10, 0.4e-10);
    assert_true(found.misfit < 0.04);
    assert_true(found.term[TERM_FLOP] == 0);
}

/* What samples take more with others at work is found again: twice the price
 * of far items, a tenth more of the rest; and never less than alone. */
static void test_fit_more(void **state)
{
    enum { SAMPLES = 200 };
    static calibrate_sample s[SAMPLES];
    const sim_law alone = {.known = true,
                           .term = {[TERM_ROW] = 1e-7},
                           .items = {2, {4194304.0, 33554432.0}, {0, 1e-9}}};
    sim_law found = {0};
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        sim_shape *t = &s[i].shape;
        t->kernel = KERNEL_NORM;
        t->threads = 1;
        t->count[TERM_ROW] = 1 + i % 17;
        t->items = (double)(100 + 37 * (i % 23)) * 10;
        t->ago[i % 2 == 0 ? 4 : 13] = 1; /* 64 KiB, 32 MiB */
        double terms = t->count[TERM_ROW] * 1e-7;
        double items = i % 2 == 0 ? 0 : t->items * 1e-9;
        s[i].seconds = 5; /* of another hour: only `times` counts */
        s[i].times = (1.1 * terms + 2 * items) / (terms + items);
    }
    OK(calibrate_fit_more(s, SAMPLES, KERNEL_NORM, &alone, &found));
    NEAR(found.term[TERM_ROW], 1.1e-7, 0.01e-7);
    NEAR(sim_curve_at(&found.items, 65536), 0, 1e-12);
    NEAR(sim_curve_at(&found.items, 33554432), 2e-9, 0.02e-9);
    OK(calibrate_fit_more(s, SAMPLES, KERNEL_BIAS, &alone, &found));
    assert_true(found.term[TERM_ROW] == 1e-7 && found.items.y[1] == 1e-9);
    for (int i = 0; i < SAMPLES; i++) {
        s[i].times = 0.8;
    }
    OK(calibrate_fit_more(s, SAMPLES, KERNEL_NORM, &alone, &found));
    NEAR(found.term[TERM_ROW], 1e-7, 0);
    NEAR(sim_curve_at(&found.items, 33554432), 1e-9, 0);
}

/* Some job shares cores, up to 8 ranks. */
static void test_jobs(void **state)
{
    (void)state;
    for (int cores = 1; cores < 20; cores++) {
        int ranks[CALIBRATE_JOBS];
        int n = calibrate_jobs(cores, ranks);
        assert_in_range(n, 2, CALIBRATE_JOBS);
        assert_int_equal(ranks[0], 2);
        assert_int_equal(ranks[1], 4);
        assert_true(ranks[n - 1] <= 8);
        assert_int_equal(ranks[n - 1] > cores, cores < 8);
        assert_int_equal(n, cores >= 4 && cores < 8 ? 3 : 2);
    }
}

/* Threads whose laws stand for others. */
static void test_law_threads(void **state)
{
    (void)state;
    machine m;
    machine_init(&m);
    m.nlevels = 3;
    m.level[0].threads = 2;
    m.level[1].threads = 4;
    m.level[2] = (sim_level){.threads = 1, .ranks = 8};
    assert_int_equal(sim_law_threads(&m, 1), 2);
    assert_int_equal(sim_law_threads(&m, 2), 2);
    assert_int_equal(sim_law_threads(&m, 3), 3); /* between two laws */
    assert_int_equal(sim_law_threads(&m, 4), 4);
    assert_int_equal(sim_law_threads(&m, 5), 4);
}

static int no_leak(void **state)
{
    (void)state;
    return mem_live() == 0 ? 0 : -1;
}

/* --- copies beside compute ------------------------------------------------ */

/* Rounds: two of three lack copies, or all do, or the first is not made. */
typedef struct rounds {
    int taken;
    bool starved, stopped;
} rounds;

static status any_round(void *self, calibrate_round *out)
{
    rounds *r = self;
    int k = r->taken++;
    if (r->stopped) {
        return FAIL(ST_SIGNAL, "stopped");
    }
    *out = (calibrate_round){200, 100, 150, 80};
    if (r->starved || k % 3 == 0) {
        out->copies = 0;
    } else if (k % 3 == 1) {
        out->copies_beside = 0;
    }
    return ST_OK;
}

static void test_side_rounds(void **state)
{
    static machine m;
    rounds some = {.taken = 0};
    rounds none = {.starved = true};
    rounds stop = {.stopped = true};
    (void)state;
    machine_init(&m);
    OK(calibrate_side_rounds(any_round, &some, 5, &m));
    assert_int_equal(some.taken, 15);
    NEAR(m.side_rate, 0.8, 1e-12);
    NEAR(m.side_loss, 0.25 / 0.8, 1e-12);

    assert_int_equal(calibrate_side_rounds(any_round, &none, 5, &m), ST_SYSTEM);
    assert_non_null(strstr(status_text(), "got no core"));
    assert_in_range(none.taken, 2, 100);
    assert_int_equal(calibrate_side_rounds(any_round, &stop, 5, &m), ST_SIGNAL);
    NEAR(m.side_rate, 0.8, 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_round_trip, no_leak),
        cmocka_unit_test_teardown(test_not_finite, no_leak),
        cmocka_unit_test_teardown(test_refusals, no_leak),
        cmocka_unit_test_teardown(test_level_order, no_leak),
        cmocka_unit_test_teardown(test_at_once, no_leak),
        cmocka_unit_test_teardown(test_pace, no_leak),
        cmocka_unit_test_teardown(test_product_items, no_leak),
        cmocka_unit_test_teardown(test_far_bytes, no_leak),
        cmocka_unit_test_teardown(test_no_law, no_leak),
        cmocka_unit_test_teardown(test_curve, no_leak),
        cmocka_unit_test_teardown(test_product_counts, no_leak),
        cmocka_unit_test_teardown(test_attention_counts, no_leak),
        cmocka_unit_test_teardown(test_fit, no_leak),
        cmocka_unit_test_teardown(test_fit_more, no_leak),
        cmocka_unit_test(test_side_rounds),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_law_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
