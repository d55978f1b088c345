/* Plans: shorthand, files, every rule, the bound, the nearest plan. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "partition/compile.h"
#include "partition/plan.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/rng.h"
#include "runtime/gpt/params.h"

/* gpt-neo-tiny: 4 layers, 4 heads, width 128, inner width 512, 256 tokens,
 * 256 positions, sequential, tied. */
static arch tiny;

static plan_job job_of(int64_t N, int ranks)
{
    return (plan_job){
        .a = &tiny, .N = N, .T = 64, .D = 4, .S = 4, .ranks = ranks};
}

static plan parsed(const char *text)
{
    plan p;
    assert_int_equal(plan_parse(text, &p), ST_OK);
    return p;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, text);
    }
}

/* --- shorthand --------------------------------------------------------- */

static void test_parse(void **state)
{
    static const struct {
        const char *text, *canonical;
        int data, pipe, tensor, micro_batch;
    } cases[] = {
        {"dp2.tp2.pp2", "dp2.tp2.pp2", 2, 2, 2, 0},
        {"pp4.mb1", "pp4.mb1", 1, 4, 1, 1},
        {"mb3.pp2.tp5.dp7", "dp7.tp5.pp2.mb3", 7, 2, 5, 3},
        {"tp3", "tp3", 1, 1, 3, 0},
        {"dp1", "dp1", 1, 1, 1, 0},
        {"dp1.tp1.pp1", "dp1", 1, 1, 1, 0},
        {"mb2", "dp1.mb2", 1, 1, 1, 2},
        {"1f1b.mb1.pp4", "pp4.mb1.1f1b", 1, 4, 1, 1},
        {"pp2.gpipe", "pp2", 1, 2, 1, 0},
        {"dp1048576", "dp1048576", 1048576, 1, 1, 0},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        plan p = parsed(cases[i].text);
        assert_int_equal(p.data, cases[i].data);
        assert_int_equal(p.pipe, cases[i].pipe);
        assert_int_equal(p.tensor, cases[i].tensor);
        assert_int_equal(p.micro_batch, cases[i].micro_batch);
        assert_false(p.recompute);
        assert_string_equal(p.name, cases[i].canonical);
        plan again = parsed(p.name);
        assert_memory_equal(&again, &p, sizeof(p));
    }
}

static void test_parse_wrong(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "empty part"},
        {"dp2.", "understood dp2, but \"\" is an empty part"},
        {"dp2..tp2", "empty part"},
        {"dp2.tx2", "understood dp2, but \"tx2\" is no part"},
        {"dp2.tp2,pp2", "\"tp2,pp2\" has no whole number"},
        {"dp", "\"dp\" has no whole number"},
        {"d", "\"d\" is no part"},
        {"dp0", "\"dp0\" has no whole number from 1"},
        {"dp-1", "has no whole number"},
        {"dp2x", "has no whole number"},
        {"dp1048577", "has no whole number"},
        {"dp99999999999999999999999999", "has no whole number"},
        {"tp2.dp2.tp3", "understood tp2.dp2, but \"tp3\" is there twice"},
        {"2x2x2", "is no part"},
        {"tp1.tp1", "there twice"},
    };
    plan p = {.data = 77};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(plan_parse(cases[i].text, &p), ST_CONFIG);
        assert_has(status_text(), cases[i].part);
        assert_has(status_text(), "dp2.tp2.pp2"); /* the example */
        assert_int_equal(p.data, 77);
    }
}

static void test_parse_long(void **state)
{
    char text[5000];
    plan p;
    (void)state;

    memset(text, 'd', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(plan_parse(text, &p), ST_CONFIG);
    memcpy(text, "dp2.", 4);
    assert_int_equal(plan_parse(text, &p), ST_CONFIG);
    assert_has(status_text(), "understood dp2, but");
}

static void test_shorthand_room(void **state)
{
    const plan p = {.data = INT32_MIN,
                    .pipe = INT32_MIN,
                    .tensor = INT32_MIN,
                    .micro_batch = INT64_MIN};
    char name[PLAN_NAME_MAX];
    char small[6];
    (void)state;

    plan_shorthand(&p, name, sizeof(name));
    assert_string_equal(name, "dp-2147483648.tp-2147483648.pp-2147483648."
                              "mb-9223372036854775808");
    const plan q = parsed("dp2.tp2");
    plan_shorthand(&q, small, sizeof(small));
    assert_string_equal(small, "dp2.t");
}

static void test_ranks(void **state)
{
    plan p = parsed("dp2.tp3.pp4");
    (void)state;

    assert_int_equal(plan_ranks(&p), 24);
    p.pipe = p.tensor = p.data = PLAN_DEGREE_MAX;
    assert_int_equal(plan_ranks(&p), INT_MAX);
    p.data = -1;
    assert_int_equal(plan_ranks(&p), 0);
}

static void test_micro_batch(void **state)
{
    plan p = parsed("dp1");
    (void)state;

    assert_int_equal(plan_micro_batch(&p, 12), 12);
    p.pipe = 2;
    assert_int_equal(plan_micro_batch(&p, 32), 4);
    assert_int_equal(plan_micro_batch(&p, 9), 1);
    assert_int_equal(plan_micro_batch(&p, 1), 1);
    p.micro_batch = 3;
    assert_int_equal(plan_micro_batch(&p, 32), 3);
}

/* --- files ------------------------------------------------------------- */

static char folder[] = "/tmp/weft_plan_XXXXXX";

static const char *put(const char *text)
{
    static char path[64];
    snprintf(path, sizeof(path), "%s/my.json", folder);
    assert_int_equal(text_write_file(path, text, strlen(text)), ST_OK);
    return path;
}

static void test_file(void **state)
{
    plan p;
    (void)state;

    assert_int_equal(
        plan_open(put("{\"data\": 2, \"pipe\": 3, \"tensor\": 4, "
                      "\"micro_batch\": 5, \"schedule\": \"gpipe\", "
                      "\"recompute\": \"full\", \"_why\": 1}"),
                  &p),
        ST_OK);
    assert_string_equal(p.name, "my");
    assert_int_equal(p.data, 2);
    assert_int_equal(p.pipe, 3);
    assert_int_equal(p.tensor, 4);
    assert_int_equal(p.micro_batch, 5);
    assert_true(p.recompute);
    assert_int_equal(plan_open(put("{\"recompute\": \"none\"}"), &p), ST_OK);
    assert_int_equal(plan_ranks(&p), 1);
    assert_int_equal(p.micro_batch, 0);
    assert_false(p.recompute);
    assert_int_equal(p.schedule, SCHEDULE_GPIPE);
    assert_int_equal(p.nstages, 0);
}

static void test_stages(void **state)
{
    static const char text[] =
        "{\"data\": 2, \"stages\": [1, 3], \"schedule\": \"1f1b\"}";
    plan_job job = job_of(8, 0);
    strbuf b = {0};
    plan p;
    (void)state;

    assert_int_equal(plan_open(put(text), &p), ST_OK);
    assert_int_equal(p.pipe, 2);
    assert_int_equal(plan_ranks(&p), 4);
    assert_int_equal(p.schedule, SCHEDULE_1F1B);
    assert_int_equal(plan_stage_start(&p, 4, 0), 0);
    assert_int_equal(plan_stage_start(&p, 4, 1), 1);
    assert_int_equal(plan_stage_start(&p, 4, 2), 4);
    assert_int_equal(plan_check(&p, &job, &b), 0);
    plan_json(&p, &b);
    assert_string_equal(strbuf_view(&b), text);
    strbuf_fini(&b);
    p.stages[1] = 2;
    assert_int_equal(plan_check(&p, &job, &b), 1);
    assert_has(strbuf_view(&b), "stages: 2 stages hold 3 layers together, the "
                                "model has 4; add or take 1");
    strbuf_fini(&b);
}

static void test_in_flight(void **state)
{
    plan p = parsed("pp4.mb1.1f1b");
    (void)state;

    assert_int_equal(plan_in_flight(&p, 0, 8), 4);
    assert_int_equal(plan_in_flight(&p, 3, 8), 1);
    assert_int_equal(plan_in_flight(&p, 0, 3), 3);
    p.schedule = SCHEDULE_GPIPE;
    assert_int_equal(plan_in_flight(&p, 3, 8), 8);
}

static void test_file_wrong(void **state)
{
    static const struct {
        const char *text, *part;
        status st;
    } cases[] = {
        {"{\"tensr\": 2}", "did you mean \"tensor\"?", ST_CONFIG},
        {"{\"data\": 0}", "data: 0 is out of range", ST_CONFIG},
        {"{\"pipe\": 1048577}", "allowed is 1 to 1048576", ST_CONFIG},
        {"{\"micro_batch\": 0}", "micro_batch: 0 is out", ST_CONFIG},
        {"{\"tensor\": \"2\"}", "tensor: ", ST_CONFIG},
        {"{\"schedule\": \"1f2b\"}", "did you mean \"1f1b\"?", ST_CONFIG},
        {"{\"stages\": []}", "stages: has 0 stages", ST_CONFIG},
        {"{\"stages\": [2, 0]}", "stages[1]: 0 is out of range", ST_CONFIG},
        {"{\"stages\": 4}", "stages: ", ST_CONFIG},
        {"{\"pipe\": 3, \"stages\": [2, 2]}", "but pipe is 3", ST_CONFIG},
        {"{\"recompute\": \"some\"}", "one of none, full", ST_CONFIG},
        {"[1]", "an object", ST_CONFIG},
        {"{\"data\": 2", "my.json", ST_BADFILE},
        {"{\"data\": 2, \"data\": 3}", "my.json", ST_BADFILE},
    };
    plan p = {.data = 77};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(plan_open(put(cases[i].text), &p), cases[i].st);
        assert_has(status_text(), cases[i].part);
        assert_int_equal(p.data, 77);
    }
    assert_int_equal(plan_open("nowhere/x.json", &p), ST_NOINPUT);
    assert_int_equal(plan_open("/tmp", &p), ST_CONFIG);
    assert_int_equal(mem_live(), 0);
}

static void test_open_shorthand(void **state)
{
    plan p;
    (void)state;

    assert_int_equal(plan_open("dp2.tp2", &p), ST_OK);
    assert_int_equal(plan_ranks(&p), 4);
    assert_int_equal(plan_open("dp2.tq2", &p), ST_CONFIG);
    assert_has(status_text(), "path of a plan file");
}

/* The files that come along are what they are called, in canonical form. */
static void test_shipped_files(void **state)
{
    static const char *const names[] = {"dp4",     "pp4",     "tp4",
                                        "tp2.pp2", "dp2.tp2", "dp2.tp2.pp2"};
    (void)state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[64];
        char *text = NULL;
        char shorthand[PLAN_NAME_MAX];
        strbuf json = {0};
        plan p;
        snprintf(path, sizeof(path), "configs/plans/%s.json", names[i]);
        assert_int_equal(plan_open(path, &p), ST_OK);
        assert_string_equal(p.name, names[i]);
        plan_shorthand(&p, shorthand, sizeof(shorthand));
        assert_string_equal(shorthand, names[i]);
        plan_json(&p, &json);
        strbuf_add(&json, "\n");
        assert_int_equal(text_read_file(path, 4096, &text, NULL), ST_OK);
        assert_string_equal(text, strbuf_view(&json));
        mem_free(text);
        strbuf_fini(&json);
    }
}

static void test_json(void **state)
{
    plan p = parsed("dp1");
    plan q;
    strbuf b = {0};
    (void)state;

    plan_json(&p, &b);
    assert_string_equal(strbuf_view(&b), "{}");
    strbuf_fini(&b);
    p = (plan){.data = 2, .pipe = 1, .tensor = 3};
    p.micro_batch = 4;
    p.recompute = true;
    plan_json(&p, &b);
    assert_string_equal(strbuf_view(&b),
                        "{\"data\": 2, \"tensor\": 3, \"micro_batch\": 4, "
                        "\"recompute\": \"full\"}");
    assert_int_equal(plan_open(put(strbuf_view(&b)), &q), ST_OK);
    strcpy(p.name, "my");
    assert_memory_equal(&p, &q, sizeof(p));
    strbuf_fini(&b);
}

static void test_decisions(void **state)
{
    plan_decision list[PLAN_DECISIONS_MAX];
    plan p = parsed("dp1");
    (void)state;

    assert_int_equal(plan_decisions(&p, list), 0);
    p = parsed("tp2.pp4.mb1");
    p.recompute = true;
    assert_int_equal(plan_decisions(&p, list), 4);
    assert_string_equal(list[0].key, "pipe");
    assert_string_equal(list[0].value, "4");
    assert_string_equal(list[0].rules, "ranks layers memory");
    assert_string_equal(list[1].key, "tensor");
    assert_has(list[1].rules, "heads");
    assert_string_equal(list[2].key, "micro_batch");
    assert_string_equal(list[3].key, "recompute");
    assert_string_equal(list[3].value, "full");
}

/* --- rules ------------------------------------------------------------- */

/* What a row changes of: 8 sequences of 64 tokens, 4 and 4 leaves. */
typedef struct rule_case {
    const char *plan;
    int n; /* rules violated */
    const char *part, *part2;
    int64_t N, T;
    int D, S, ranks;
} rule_case;

static void check_case(const rule_case *c)
{
    plan p = parsed(c->plan);
    plan_job job = job_of(c->N ? c->N : 8, c->ranks);
    strbuf why = {0};
    job.T = c->T ? c->T : 64;
    job.D = c->D ? c->D : 4;
    job.S = c->S ? c->S : 4;
    int n = plan_check(&p, &job, &why);
    int lines = 0;
    for (size_t i = 0; i < why.len; i++) {
        lines += why.text[i] == '\n';
    }
    if (n != c->n || lines != n) {
        fail_msg("%s: %d rules in %d lines, wanted %d: %s", c->plan, n, lines,
                 c->n, strbuf_view(&why));
    }
    assert_has(strbuf_view(&why), c->part ? c->part : "");
    assert_has(strbuf_view(&why), c->part2 ? c->part2 : "");
    strbuf_fini(&why);
}

static void test_rules(void **state)
{
    static const rule_case cases[] = {
        {.plan = "dp1"},
        {.plan = "dp2.tp2.pp2", .ranks = 8},
        {.plan = "dp4.tp4.pp4.mb2"},
        {.plan = "tp3"}, /* uneven shares are fine */
        {.plan = "dp3"},
        {.plan = "dp3", .N = 4},
        {.plan = "dp2.tp2",
         .n = 1,
         .part = "ranks: plan dp2.tp2 needs 4 ranks",
         .part2 = "got 3; try `mpirun -np 4`",
         .ranks = 3},
        {.plan = "tp5",
         .n = 2,
         .part = "more than the model has heads (4), allowed is 1 to 4",
         .part2 = "more than this run's 4 tensor leaves, allowed is 1 to 4"},
        {.plan = "tp3",
         .n = 1,
         .part = "3 is more than this run's 2 tensor leaves, allowed is "
                 "1, 2",
         .part2 = "--tensor-leaves 3",
         .S = 2},
        {.plan = "tp4", .S = 8}, /* leaves of half a head are empty */
        {.plan = "dp5",
         .n = 1,
         .part = "data: 5 is more than this run's 4 data leaves",
         .part2 = "--data-leaves 5"},
        {.plan = "dp9",
         .n = 2,
         .part = "data: 9 is more than the batch has sequences (8)",
         .part2 = "this run's 4 data leaves"},
        {.plan = "dp3",
         .n = 1,
         .part = "data: 3 is more than the batch has sequences (2)",
         .part2 = "allowed is 1, 2,",
         .N = 2},
        {.plan = "dp3",
         .n = 1,
         .part = "data: 3 is not possible, allowed is 1, 2, 4, because",
         .part2 = "cut a sequence",
         .N = 4,
         .D = 8},
        {.plan = "dp2",
         .n = 1,
         .part = "data: 2 is not possible, allowed is 1, because",
         .part2 = "cut a sequence",
         .N = 3,
         .D = 5},
        {.plan = "pp3",
         .n = 1,
         .part = "pipe: 3 does not divide 4 layers, allowed is 1, 2, 4"},
        {.plan = "pp8",
         .n = 1,
         .part = "pipe: 8 is more than the model has layers (4), allowed "
                 "is 1, 2, 4"},
        {.plan = "dp2.mb4"},
        {.plan = "dp2.mb5",
         .n = 1,
         .part = "micro_batch: 5 is out of range, allowed is 1 to 4",
         .part2 = "smallest data share"},
        {.plan = "dp3.mb3",
         .n = 1,
         .part = "allowed is 1 to 2",
         .N = 8,
         .D = 4},
        {.plan = "mb9",
         .n = 1,
         .part = "allowed is 1 to 8",
         .part2 = "the batch"},
        {.plan = "dp1",
         .n = 1,
         .part = "seq: 257 tokens is out of range, allowed is 1 to 256",
         .part2 = "--seq",
         .T = 257},
        {.plan = "dp1", .T = 256},
        {.plan = "dp1", .n = 1, .part = "batch: -1 sequences", .N = -1},
        {.plan = "dp1",
         .n = 1,
         .part = "data_leaves: 65 is out of range, allowed is 1 to 64",
         .D = 65},
        {.plan = "dp1", .n = 1, .part = "tensor_leaves: 100 is", .S = 100},
        {.plan = "dp9.tp9.pp3.mb9",
         .n = 8,
         .part = "ranks: plan dp9.tp9.pp3.mb9 needs 243",
         .part2 = "seq: 999",
         .T = 999,
         .ranks = 2},
        {.plan = "dp1",
         .n = 1,
         .part = "cannot be cut into 4 data leaves",
         .part2 = "allowed is none",
         .N = 1,
         .T = 2},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_case(&cases[i]);
    }
}

/* Leaves of ceil(V / S) rows can leave the last rank without a row. */
static void test_rules_vocabulary(void **state)
{
    const arch old = tiny;
    (void)state;

    tiny.V = 9;
    tiny.H = 8;
    check_case(&(rule_case){.plan = "tp8",
                            .n = 1,
                            .part = "tensor: 8 is not possible, allowed is "
                                    "1, 2, because with 8 tensor leaves "
                                    "rank 5 would own no vocabulary row",
                            .S = 8});
    check_case(&(rule_case){.plan = "tp2", .S = 8});
    tiny = old;
    tiny.F = 3;
    check_case(&(rule_case){
        .plan = "tp4", .n = 1, .part = "rank 0 would own no ffn column"});
    tiny = old;
    tiny.H = 2;
    check_case(&(rule_case){
        .plan = "tp3", .n = 1, .part = "has heads (2), allowed is 1, 2,"});
    tiny = old;
}

static void test_degrees_below_one(void **state)
{
    const plan p = {.data = 0, .pipe = -1, .tensor = 0, .micro_batch = -1};
    const plan_job job = job_of(8, 4);
    strbuf why = {0};
    (void)state;

    assert_int_equal(plan_check(&p, &job, &why), 4);
    assert_has(strbuf_view(&why), "data: 0 is out of range, allowed is 1 to");
    assert_has(strbuf_view(&why), "pipe: -1 is out of range, allowed is 1, 2");
    assert_has(strbuf_view(&why), "tensor: 0 is out of range");
    assert_has(strbuf_view(&why), "micro_batch: -1 is out of range");
    strbuf_fini(&why);
    assert_true(plan_least_bytes(&p, &job) > 0);
}

/* --- memory ------------------------------------------------------------ */

enum {
    C = 128,
    LAYER = 12 * C * C + 4 * C + C + 4 * C + C, /* no bias on qkv */
    WTE = 256 * C,
    WPE = 256 * C,
    LNF = 2 * C
};

static void test_least_by_hand(void **state)
{
    plan_job job = job_of(8, 0);
    plan p = parsed("dp1");
    (void)state;

    /* Few tokens: the moment when all gradients are there. */
    job.N = 4;
    job.T = 8;
    int64_t all = 4 * (int64_t)LAYER + WTE + WPE + LNF;
    assert_int_equal(plan_least_bytes(&p, &job), 16 * all + 4 * WTE);
    /* Two stages: the first has positions besides, the last only the norm. */
    p.pipe = 2;
    int64_t first = 2 * (int64_t)LAYER + WTE + WPE;
    assert_int_equal(plan_least_bytes(&p, &job), 16 * first);
    /* Many tokens: all activations and the gradients of the head. */
    p.pipe = 1;
    job.N = 64;
    job.T = 256;
    int64_t tokens = 64 * 256;
    int64_t kept = C + 3 * C + C + C + 4 * C;
    assert_int_equal(plan_least_bytes(&p, &job),
                     12 * all + 4 * (4 * kept * tokens + WTE + LNF));
    p.tensor = 4;
    int64_t cut = 4 * ((int64_t)3 * C * C + 4 * C + 3 * C) + WTE / 4 + WPE +
                  LNF; /* norms and biases of sums stay whole */
    kept = 2 * C + C + 4 * C / 4;
    assert_int_equal(plan_least_bytes(&p, &job),
                     12 * cut + 4 * (4 * kept * tokens + WTE / 4 + LNF));
    p.tensor = 1;
    p.data = 4;
    p.recompute = true;
    assert_int_equal(plan_least_bytes(&p, &job),
                     12 * all + 4 * (4 * (int64_t)C * tokens / 4 + WTE + LNF));
}

/* Compiles a plan; the arena bytes of the fullest rank. */
static int64_t compiled_bytes(const plan *p, const plan_job *job)
{
    params ps;
    program_set set;
    gpt_shape sh = {.N = job->N,
                    .T = job->T,
                    .D = job->D,
                    .S = job->S,
                    .kblock = 256,
                    .threads = 1};
    int64_t most = 0;
    assert_int_equal(params_init(job->a, &ps), ST_OK);
    assert_int_equal(partition_compile(job->a, &ps, p, sh, 0, &set), ST_OK);
    for (int i = 0; i < set.nclasses; i++) {
        int64_t peak = set.classes[i].peak_bytes;
        most = peak > most ? peak : most;
    }
    program_set_fini(&set);
    params_fini(&ps);
    return most;
}

static void test_least_below_compiled(void **state)
{
    static const char *const models[] = {"gpt-neo-tiny", "gpt-j-tiny"};
    static const char *const plans[] = {
        "dp1",     "dp1.mb1", "dp4",          "tp4",          "pp4",
        "dp3",     "tp2.pp2", "dp2.tp2",      "dp2.tp2.pp2",  "pp2.mb8",
        "pp4.mb1", "tp3",     "pp4.mb1.1f1b", "pp2.mb2.1f1b", "dp2.mb1.1f1b"};
    enum { PLANS = sizeof(plans) / sizeof(plans[0]) };
    static const int64_t batches[][2] = {{8, 16}, {8, 64}, {32, 256}, {4, 4}};
    (void)state;

    for (int i = 0; i < 2 * PLANS * 4 * 2; i++) {
        const int64_t *batch = batches[i / 2 % 4];
        plan p = parsed(plans[i / 8 % PLANS]);
        arch a;
        plan_job job = job_of(batch[0], 0);
        strbuf why = {0};
        job.T = batch[1];
        job.a = &a;
        p.recompute = i % 2;
        assert_int_equal(arch_open(models[i / (8 * PLANS)], &a), ST_OK);
        if (i % 3 == 0 && p.pipe > 1) {
            p.nstages = p.pipe;
            for (int k = 0; k < p.pipe; k++) {
                p.stages[k] = k + 1 < p.pipe ? 1 : a.L - (p.pipe - 1);
            }
        }
        int broken = plan_check(&p, &job, &why);
        strbuf_fini(&why);
        if (broken > 0) {
            continue; /* a micro-batch of 8 from 4 sequences */
        }
        int64_t least = plan_least_bytes(&p, &job);
        int64_t real = compiled_bytes(&p, &job);
        if (least > real || least < real / 8) {
            fail_msg("%s %s, batch %lld x %lld: bound %lld, compiled %lld",
                     a.name, p.name, (long long)job.N, (long long)job.T,
                     (long long)least, (long long)real);
        }
    }
    assert_int_equal(mem_live(), 0);
}

/* Many layers: gradients and activations are as much, but not at once. */
static void test_least_deep(void **state)
{
    static const char *const plans[] = {"dp1", "pp4.mb1", "dp1.mb1", "tp2"};
    arch deep = tiny;
    plan_job job = job_of(2, 0);
    (void)state;

    deep.L = 64;
    job.a = &deep;
    job.D = 1;
    for (int i = 0; i < 8; i++) {
        plan p = parsed(plans[i / 2]);
        p.recompute = i % 2;
        int64_t least = plan_least_bytes(&p, &job);
        int64_t real = compiled_bytes(&p, &job);
        assert_true(least <= real);
        assert_true(least >= real - real / 5);
    }
}

/* --- the nearest plan -------------------------------------------------- */

static void expect_nearest(const char *text, plan_job job, const char *near)
{
    plan p = parsed(text);
    plan out = {.data = 77};
    bool found = plan_nearest(&p, &job, &out);
    assert_int_equal(found, near != NULL);
    if (found) {
        char name[PLAN_NAME_MAX];
        plan_shorthand(&out, name, sizeof(name));
        assert_string_equal(name, near);
        assert_string_equal(out.name, near);
    } else {
        assert_int_equal(out.data, 77);
    }
}

static void test_nearest(void **state)
{
    plan_job job = job_of(8, 0);
    (void)state;

    expect_nearest("dp2.tp2", job, "dp2.tp2"); /* itself, if it works */
    expect_nearest("pp8", job, "dp2.pp4");     /* 8 ranks, two fields */
    expect_nearest("pp3", job, "dp3");         /* 3 ranks, data is easiest */
    expect_nearest("tp5", job, "tp4");         /* no 5: 4 before 6 */
    expect_nearest("dp2.mb8", job, "dp2.mb4"); /* the share's */
    expect_nearest("dp1000.pp1000", job, "dp4.tp4.pp4");
    expect_nearest("dp2.tp2", job_of(8, 3), "dp3");
    expect_nearest("tp2.pp3", job_of(8, 4), "tp2.pp2");
    expect_nearest("dp2", job_of(8, 5), NULL);
    job.T = 257;
    expect_nearest("dp2", job, NULL);
}

static void test_nearest_memory(void **state)
{
    plan_job job = job_of(64, 0);
    plan p = parsed("dp1");
    plan out;
    (void)state;

    job.T = 256;
    job.device_memory = plan_least_bytes(&p, &job);
    assert_true(plan_nearest(&p, &job, &out));
    assert_string_equal(out.name, "dp1");
    assert_false(out.recompute);
    job.device_memory--;
    assert_true(plan_nearest(&p, &job, &out)); /* one field, same ranks */
    assert_int_equal(plan_ranks(&out), 1);
    assert_int_equal(out.schedule, SCHEDULE_1F1B);
    assert_false(out.recompute);
    out.recompute = true; /* and nothing is left to give */
    job.device_memory = plan_least_bytes(&out, &job) - 1;
    assert_true(plan_nearest(&p, &job, &out));
    assert_int_equal(plan_ranks(&out), 2);
    assert_true(plan_least_bytes(&out, &job) <= job.device_memory);
    job.device_memory = 1;
    assert_false(plan_nearest(&p, &job, &out));
}

/* A compile that finds the bound short by a fifth, and by half with tp. */
typedef struct compiler {
    const plan_job *job;
    int calls;
} compiler;

static int64_t short_bound(const plan *p, void *self)
{
    compiler *c = self;
    c->calls++;
    int64_t least = plan_least_bytes(p, c->job);
    return p->tensor > 1 ? 2 * least : least + least / 5;
}

static void test_nearest_confirmed(void **state)
{
    plan_job job = job_of(64, 0);
    compiler c = {&job, 0};
    plan p = parsed("dp4");
    plan out;
    (void)state;

    job.T = 256;
    job.device_memory = plan_least_bytes(&p, &job);
    job.peak = short_bound;
    job.self = &c;
    assert_true(plan_nearest(&p, &job, &out)); /* dp4 is within the bound */
    assert_true(strcmp(out.name, "dp4") != 0 || out.recompute);
    assert_true(short_bound(&out, &c) <= job.device_memory);
    assert_in_range(c.calls, 2, 5);
    job.device_memory *= 2;
    assert_true(plan_nearest(&p, &job, &out));
    assert_string_equal(out.name, "dp4");
}

/* Whether a plan passes everything. */
static bool works(const plan *p, const plan_job *job)
{
    strbuf why = {0};
    int n = plan_check(p, job, &why);
    strbuf_fini(&why);
    return n == 0 && (job->device_memory == 0 ||
                      plan_least_bytes(p, job) <= job->device_memory);
}

/* Distance in ranks of the nearest of all plans, by trying each. */
static int brute_distance(const plan *p, const plan_job *job)
{
    int best = INT_MAX;
    int want = job->ranks > 0 ? job->ranks : plan_ranks(p);
    for (int i = 0; i < 8 * 8 * 8 * 2; i++) {
        plan q = {.data = i % 8 + 1,
                  .pipe = i / 8 % 8 + 1,
                  .tensor = i / 64 % 8 + 1,
                  .micro_batch = p->micro_batch > 0,
                  .recompute = i / 512};
        int d = abs(plan_ranks(&q) - want);
        if (d < best && works(&q, job)) {
            best = d;
        }
    }
    return best;
}

static int pick(uint64_t index, int what, int lo, int hi)
{
    uint64_t r = rng_u64(7, (uint64_t)what, index);
    return lo + (int)(r % (uint64_t)(hi - lo + 1));
}

static void test_nearest_random(void **state)
{
    int found = 0;
    (void)state;

    for (uint64_t i = 0; i < 60; i++) {
        plan_job job = job_of(pick(i, 0, 1, 12), 0);
        job.T = 1 << pick(i, 1, 2, 8);
        job.D = pick(i, 2, 1, 8);
        job.S = pick(i, 3, 1, 6);
        job.ranks = pick(i, 4, 0, 1) * pick(i, 5, 1, 9);
        job.device_memory = pick(i, 6, 0, 1) * (int64_t)pick(i, 7, 1, 1 << 25);
        plan p = {.data = pick(i, 8, 1, 9),
                  .pipe = pick(i, 9, 1, 6),
                  .tensor = pick(i, 10, 1, 6),
                  .micro_batch = pick(i, 11, 0, 3)};
        plan near, again;
        int best = brute_distance(&p, &job);
        int want = job.ranks > 0 ? job.ranks : plan_ranks(&p);
        assert_int_equal(plan_nearest(&p, &job, &near), best < INT_MAX);
        if (best < INT_MAX) {
            found++;
            assert_true(works(&near, &job));
            assert_int_equal(abs(plan_ranks(&near) - want), best);
            assert_true(plan_nearest(&p, &job, &again));
            assert_memory_equal(&near, &again, sizeof(near));
        }
    }
    assert_in_range(found, 20, 59); /* both answers were seen */
    assert_int_equal(mem_live(), 0);
}

/* --- admission --------------------------------------------------------- */

static void refuse(const char *text, plan_job job, status st, const char *part)
{
    plan p = parsed(text);
    assert_int_equal(plan_admit(&p, &job), st);
    assert_has(status_text(), part);
    assert_null(strchr(status_text(), '\n'));
    assert_true(strlen(status_text()) < STATUS_TEXT_MAX - 1);
}

static void test_admit(void **state)
{
    plan_job job = job_of(8, 0);
    plan p = parsed("dp2.tp2");
    (void)state;

    assert_int_equal(plan_admit(&p, &job), ST_OK);
    job.device_memory = plan_least_bytes(&p, &job);
    assert_int_equal(plan_admit(&p, &job), ST_OK);
    job.device_memory--;
    refuse("dp2.tp2", job, ST_BUDGET, "the fullest rank needs at least");
    refuse("dp2.tp2", job, ST_BUDGET,
           "; nearest plan that works: dp2.tp2.1f1b");
    job.device_memory = 1000;
    refuse("dp1", job, ST_BUDGET, "no plan fits, the leanest needs at least");
    refuse("dp1", job, ST_BUDGET, "stream");
    refuse("tp8", job_of(8, 0), ST_CONFIG,
           "plan tp8: tensor: 8 is more than the model has heads (4)");
    refuse("tp8", job_of(8, 0), ST_CONFIG, "works: dp2.tp4");
    refuse("dp2", job_of(8, 5), ST_CONFIG, "needs 2 ranks");
    refuse("dp2", job_of(8, 5), ST_CONFIG,
           "no plan works on 5 ranks, nearest on 2: dp2");
    job = job_of(8, 7);
    job.T = 1000;
    refuse("dp99.tp99.pp99.mb99", job, ST_CONFIG,
           "no plan works with this batch and these leaves");
    assert_int_equal(mem_live(), 0);
}

/* A plan that only a file can express is shown as one. */
static void test_admit_recompute(void **state)
{
    plan_job job = job_of(64, 0);
    plan p = parsed("dp1.mb64.1f1b");
    (void)state;

    job.T = 256;
    job.device_memory = plan_least_bytes(&p, &job) - 1;
    refuse("dp1.mb64.1f1b", job, ST_BUDGET,
           "works: the file {\"micro_batch\": 64, \"schedule\": \"1f1b\", "
           "\"recompute\": \"full\"}");
}

static void test_admit_out_of_memory(void **state)
{
    plan_job job = job_of(8, 0);
    plan p = parsed("tp8.dp3.pp3");
    (void)state;

    for (int n = 1; n < 40; n++) {
        mem_fail_after(n);
        status st = plan_admit(&p, &job);
        mem_fail_after(0);
        assert_true(st == ST_CONFIG || st == ST_SYSTEM);
        assert_int_equal(mem_live(), 0);
    }
}

static void test_admit_is_fast(void **state)
{
    arch a;
    plan_job job = job_of(64, 0);
    double best = 1;
    (void)state;

    assert_int_equal(arch_open("gpt-j-6b", &a), ST_OK);
    job.a = &a;
    job.T = 2048;
    job.device_memory = 1;
    plan p = parsed("dp4.tp4.pp28");
    for (int i = 0; i < 20; i++) {
        int64_t t0 = clock_wall_ns();
        assert_int_equal(plan_admit(&p, &job), ST_BUDGET);
        double s = 1e-9 * (double)(clock_wall_ns() - t0);
        best = s < best ? s : best;
    }
    assert_true(best < 1e-3);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || arch_open("gpt-neo-tiny", &tiny) != ST_OK;
}

static int tear_down(void **state)
{
    char path[64];
    (void)state;
    snprintf(path, sizeof(path), "%s/my.json", folder);
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_wrong),
        cmocka_unit_test(test_parse_long),
        cmocka_unit_test(test_shorthand_room),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_micro_batch),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_in_flight),
        cmocka_unit_test(test_file_wrong),
        cmocka_unit_test(test_open_shorthand),
        cmocka_unit_test(test_shipped_files),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_rules_vocabulary),
        cmocka_unit_test(test_degrees_below_one),
        cmocka_unit_test(test_least_by_hand),
        cmocka_unit_test(test_least_below_compiled),
        cmocka_unit_test(test_least_deep),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_nearest_memory),
        cmocka_unit_test(test_nearest_confirmed),
        cmocka_unit_test(test_nearest_random),
        cmocka_unit_test(test_admit),
        cmocka_unit_test(test_admit_recompute),
        cmocka_unit_test(test_admit_out_of_memory),
        cmocka_unit_test(test_admit_is_fast),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
