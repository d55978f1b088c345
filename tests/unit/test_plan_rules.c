/* Plans against a model: every rule, and the bound on memory. */
#include "partition/compile.h"
#include "runtime/gpt/params.h"
#include "tests/unit/plan_make.h"

/* --- rules ------------------------------------------------------------- */

/* Leaves of a row that are the plan's own. */
enum { OPEN = -1 };

/* What a row changes of: 8 sequences of 64 tokens, 4 and 4 leaves. */
typedef struct rule_case {
    const char *plan;
    int n; /* rules violated */
    const char *part, *part2;
    int64_t N, T;
    int D, S, ranks;
    bool fast;
    const char *leaves_of;
} rule_case;

static int leaves_of_row(int n)
{
    return n == OPEN ? 0 : n > 0 ? n : 4;
}

static void check_case(const rule_case *c)
{
    plan p = parsed(c->plan);
    plan_job job = job_of(c->N ? c->N : 8, c->ranks);
    strbuf why = {0};
    job.T = c->T ? c->T : 64;
    job.D = leaves_of_row(c->D);
    job.S = leaves_of_row(c->S);
    job.fast_sums = c->fast;
    job.leaves_of = c->leaves_of;
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
         .n = 1,
         .part = "more than the model has heads (4), allowed is 1 to 4"},
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
         .n = 1,
         .part = "data: 9 is more than the batch has sequences (8)",
         .part2 = "allowed is 1 to 4,"},
        /* Leaves of the plan's own: judged by those it would run with. */
        {.plan = "dp8.tp4", .D = OPEN, .S = OPEN},
        {.plan = "dp9",
         .n = 1,
         .part = "more than the batch has sequences (8), allowed is 1 to 8,",
         .D = OPEN},
        {.plan = "dp3", .N = 4, .D = OPEN},
        {.plan = "dp5",
         .n = 1,
         .part = "more than the batch has sequences (4), allowed is 1 to 4,",
         .N = 4,
         .D = OPEN},
        {.plan = "tp5",
         .n = 1,
         .part = "more than the model has heads (4), allowed is 1 to 4,",
         .S = OPEN},
        {.plan = "dp65",
         .n = 1,
         .part = "65 is more than the 64 data leaves that a run may have, "
                 "allowed is 1 to 64",
         .N = 100,
         .D = OPEN},
        {.plan = "dp3",
         .n = 1,
         .part = "allowed is 1, because data share 0 of 3 would cut a "
                 "sequence",
         .part2 = "raise --batch to 4; --data-leaves 3 makes it work",
         .N = 3,
         .D = OPEN},
        {.plan = "dp6.tp3", .D = OPEN, .S = OPEN, .fast = true},
        {.plan = "dp9",
         .n = 1,
         .part = "allowed is 1 to 8,",
         .D = OPEN,
         .fast = true},
        {.plan = "dp5",
         .n = 1,
         .part = "5 is more than the 4 data leaves of a.h5, allowed is 1 to 4",
         .part2 = "a new run from its weights may: --init a.h5 "
                  "--data-leaves 5",
         .leaves_of = "a.h5"},
        {.plan = "dp4",
         .n = 1,
         .part = "cut a sequence: 4 sequences in 7 data leaves; raise --batch "
                 "to 7; a new run may: --data-leaves 4",
         .N = 4,
         .D = 7},
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
         .n = 6,
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
    tiny.H = 3;
    check_case(&(rule_case){
        .plan = "tp3",
        .n = 1,
        .part = "not possible, allowed is 1, 2, because with 4 tensor leaves "
                "rank 0 would own no head; --tensor-leaves 3 makes it work",
        .S = OPEN});
    check_case(&(rule_case){.plan = "tp3", .S = 3});
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
    assert_int_equal(plan_least_bytes(&p, &job),
                     16 * all + 4 * WTE + 4 * C * 4 * 8);
    /* Two stages: the first has positions besides, the last only the norm. */
    p.pipe = 2;
    int64_t first = 2 * (int64_t)LAYER + WTE + WPE;
    assert_int_equal(plan_least_bytes(&p, &job), 16 * first + 4 * C * 4 * 8);
    /* Many tokens: all activations and the gradients of the head. */
    p.pipe = 1;
    job.N = 64;
    job.T = 256;
    int64_t tokens = 64 * 256;
    int64_t kept = C + 3 * C + C + C + 4 * C;
    assert_int_equal(plan_least_bytes(&p, &job),
                     12 * all + 4 * ((4 * kept + C) * tokens + WTE + LNF));
    p.tensor = 4;
    int64_t cut = 4 * ((int64_t)3 * C * C + 4 * C + 3 * C) + WTE / 4 + WPE +
                  LNF; /* norms and biases of sums stay whole */
    kept = 2 * C + C + 4 * C / 4;
    assert_int_equal(plan_least_bytes(&p, &job),
                     12 * cut + 4 * ((4 * kept + C) * tokens + WTE / 4 + LNF));
    p.tensor = 1;
    p.data = 4;
    p.recompute = true;
    assert_int_equal(plan_least_bytes(&p, &job),
                     12 * all + 4 * (5 * (int64_t)C * tokens / 4 + WTE + LNF));
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

/* An open micro-batch may also become one sequence. */
static int64_t compiled_least(plan p, const plan_job *job)
{
    int64_t most = compiled_bytes(&p, job);
    if (p.micro_batch > 0) {
        return most;
    }
    p.micro_batch = 1;
    int64_t small = compiled_bytes(&p, job);
    return small < most ? small : most;
}

static void test_least_below_compiled(void **state)
{
    static const char *const models[] = {"gpt-neo-tiny", "gpt-j-tiny"};
    static const char *const plans[] = {
        "dp1",      "dp1.mb1",  "dp4",          "tp4",          "pp4",
        "dp3",      "tp2.pp2",  "dp2.tp2",      "dp2.tp2.pp2",  "pp2.mb8",
        "pp4.mb1",  "tp3",      "pp4.mb1.1f1b", "pp2.mb2.1f1b", "dp2.mb1.1f1b",
        "dp1.1f1b", "tp2.1f1b", "pp2.1f1b",     "dp1.mb3.1f1b"};
    static const int64_t batches[][2] = {
        {8, 16}, {8, 64}, {32, 256}, {4, 4}, {2, 128}};
    enum {
        PLANS = sizeof(plans) / sizeof(plans[0]),
        BATCHES = sizeof(batches) / sizeof(batches[0])
    };
    (void)state;

    for (int i = 0; i < 2 * PLANS * BATCHES * 2; i++) {
        const int64_t *batch = batches[i / 2 % BATCHES];
        plan p = parsed(plans[i / (2 * BATCHES) % PLANS]);
        arch a;
        plan_job job = job_of(batch[0], 0);
        strbuf why = {0};
        job.T = batch[1];
        job.a = &a;
        p.recompute = i % 2;
        assert_int_equal(arch_open(models[i / (2 * BATCHES * PLANS)], &a),
                         ST_OK);
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
        int64_t real = compiled_least(p, &job);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_rules_vocabulary),
        cmocka_unit_test(test_degrees_below_one),
        cmocka_unit_test(test_least_by_hand),
        cmocka_unit_test(test_least_below_compiled),
        cmocka_unit_test(test_least_deep),
    };
    return cmocka_run_group_tests(tests, open_tiny, NULL) != 0;
}
