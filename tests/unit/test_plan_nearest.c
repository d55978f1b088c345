/* The nearest plan that works, and who is let in. */
#include <limits.h>

#include "runtime/base/clock.h"
#include "runtime/base/rng.h"
#include "tests/unit/plan_make.h"

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

/* Leaves that nobody gave: each plan has its own. */
static void test_nearest_own_leaves(void **state)
{
    plan_job job = job_of(4, 0);
    (void)state;

    job.D = 0;
    job.S = 0;
    expect_nearest("dp5", job, "dp4");
    expect_nearest("tp5", job, "tp4");
    expect_nearest("dp5.pp3.tp7.mb9", job, "dp4.tp4.pp4.mb1");
    job.N = 12;
    expect_nearest("dp6.tp5", job, "dp5.tp3.pp2"); /* not dp10.tp3 */
    expect_nearest("dp9.tp5", job, "dp7.tp3.pp2");
    job.ranks = 11;
    expect_nearest("dp2", job, "dp11");
    job.ranks = 0;
    job.fast_sums = true;
    expect_nearest("dp6.tp5", job, "dp5.tp3.pp2");
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
    for (int i = 0; i < 12 * 4 * 8 * 2 * 2; i++) {
        bool any_schedule = job->device_memory > 0;
        plan q = {.data = i % 12 + 1,
                  .pipe = i / 12 % 4 + 1,
                  .tensor = i / 48 % 8 + 1,
                  .micro_batch = p->micro_batch > 0,
                  .recompute = i / 384 % 2,
                  .schedule =
                      any_schedule && i / 768 ? SCHEDULE_1F1B : SCHEDULE_GPIPE};
        bool far = job->D == 0 && job->ranks == 0 && q.data > 8 &&
                   q.data > p->data; /* nobody means so many */
        int d = far ? INT_MAX : abs(plan_ranks(&q) - want);
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
        job.D = pick(i, 2, 0, 8);
        job.S = pick(i, 3, 0, 6);
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
    refuse("dp1", job, ST_BUDGET, "raise --device-memory");
    job.N = 64;
    job.D = 0; /* up to 64, but nobody means so many */
    refuse("dp1", job, ST_BUDGET, "no plan near it fits, the leanest needs");
    job = job_of(8, 0);
    refuse("tp8", job_of(8, 0), ST_CONFIG,
           "plan tp8: tensor: 8 is more than the model has heads (4)");
    refuse("tp8", job_of(8, 0), ST_CONFIG, "works: dp2.tp4");
    refuse("dp2", job_of(8, 5), ST_CONFIG, "needs 2 ranks");
    refuse("dp2", job_of(8, 5), ST_CONFIG,
           "no plan works on 5 ranks, nearest on 2: dp2");
    job = job_of(8, 7);
    job.T = 1000;
    refuse("dp99.tp99.pp99.mb99", job, ST_CONFIG,
           "no plan works with sequences so long");
    job.T = 0;
    refuse("dp1", job, ST_CONFIG, "no plan works with sequences so short");
    job = job_of(0, 0);
    refuse("dp1", job, ST_CONFIG, "no plan works with this batch");
    job = job_of(8, 0);
    job.D = -1;
    refuse("dp1", job, ST_CONFIG, "no plan works with these leaves");
    assert_int_equal(mem_live(), 0);
}

/* A plan that only a file can express is shown as one, unless an option says
 * what the file would. */
static void test_admit_recompute(void **state)
{
    plan_job job = job_of(64, 0);
    plan p = parsed("dp1.mb1.1f1b");
    (void)state;

    job.T = 256;
    job.device_memory = plan_least_bytes(&p, &job) - 1;
    refuse("dp1.mb1.1f1b", job, ST_BUDGET,
           "works: the file {\"micro_batch\": 1, \"schedule\": \"1f1b\", "
           "\"recompute\": \"full\"}");
    p.schedule = SCHEDULE_GPIPE;
    p.recompute = true;
    job.recompute_given = true;
    job.device_memory = plan_least_bytes(&p, &job) - 1;
    assert_int_equal(plan_admit(&p, &job), ST_BUDGET);
    assert_has(status_text(), "; nearest plan that works: dp1.mb1.1f1b");
}

/* Where memory is short a given micro-batch is halved before anything is
 * computed twice: half of 64 sequences are kept, not their inputs alone. */
static void test_nearest_micro_batch(void **state)
{
    plan_job job = job_of(64, 0);
    plan p = parsed("dp1.mb64.1f1b");
    (void)state;

    job.T = 256;
    job.device_memory = plan_least_bytes(&p, &job) - 1;
    expect_nearest("dp1.mb64.1f1b", job, "dp1.mb32.1f1b");
    p.micro_batch = 4;
    job.device_memory = plan_least_bytes(&p, &job);
    expect_nearest("dp1.mb64.1f1b", job, "dp1.mb4.1f1b");
    job.device_memory--;
    expect_nearest("dp1.mb64.1f1b", job, "dp1.mb2.1f1b");
    p = parsed("dp1.mb64.1f1b");
    p.recompute = true;
    job.device_memory = plan_least_bytes(&p, &job);
    expect_nearest("dp1.mb64.1f1b", job, "dp1.mb4.1f1b");
    job.micro_batch_given = true;
    expect_nearest("dp1.mb64.1f1b", job, "dp1.mb64.1f1b"); /* recomputed */
    job.recompute_given = true;
    expect_nearest("dp1.mb64.1f1b", job, "tp4.pp4.mb64.1f1b");
}

/* What options say is kept to; where nothing else works, told to leave out. */
static void test_admit_options(void **state)
{
    plan_job job = job_of(6, 0);
    (void)state;

    job.micro_batch_given = true;
    refuse("dp2.pp3.mb5", job, ST_CONFIG,
           "; nearest plan that works: tp3.pp2.mb5");
    refuse("dp2.pp3.mb7", job, ST_CONFIG,
           "; nearest plan that works: dp3.pp2.mb1, and leave --micro-batch "
           "out");
    job.ranks = 6;
    refuse("dp2.pp3.mb7", job, ST_CONFIG,
           "works: dp3.pp2.mb1, and leave --micro-batch out");
    job.ranks = 5;
    refuse("dp2.mb7", job, ST_CONFIG,
           "no plan works on 5 ranks, nearest on 2: ");
    assert_has(status_text(), "dp2.mb3, and leave --micro-batch out");
    job = job_of(64, 1);
    job.T = 256;
    plan p = parsed("dp1.mb1.1f1b");
    job.device_memory = plan_least_bytes(&p, &job) - 1;
    job.recompute_given = true;
    refuse("dp1.mb1.1f1b", job, ST_BUDGET,
           "\"recompute\": \"full\"}, and leave "
           "--recompute out");
    job.micro_batch_given = true;
    job.ranks = 0;
    refuse("dp1.mb1.1f1b", job, ST_BUDGET, "works: dp2.mb1.1f1b");
    assert_null(strstr(status_text(), "leave"));
}

static bool streams(void *self)
{
    return *(bool *)self;
}

/* Streaming is advised only where it works. */
static void test_admit_streaming(void **state)
{
    plan_job job = job_of(8, 0);
    bool works = true;
    (void)state;

    job.device_memory = 1000;
    refuse("dp1", job, ST_BUDGET, "; raise --device-memory");
    assert_null(strstr(status_text(), "stream"));
    job.streams = streams;
    job.self = &works;
    refuse("dp1", job, ST_BUDGET, "; raise --device-memory, or stream: no --");
    job.ranks = 2;
    refuse("dp2", job, ST_BUDGET, ", or stream on one rank: no --plan");
    works = false;
    job.ranks = 0;
    refuse("dp1", job, ST_BUDGET, "; raise --device-memory");
    assert_null(strstr(status_text(), "stream"));
}

/* Only the leanest fits, by a compiler that needs twice the bound else. */
static int64_t only_leanest(const plan *p, void *self)
{
    compiler *c = self;
    c->calls++;
    int64_t least = plan_least_bytes(p, c->job);
    return plan_ranks(p) == 64 && p->recompute ? least : INT64_MAX;
}

static int64_t never(const plan *p, void *self)
{
    compiler *c = self;
    (void)p;
    c->calls++;
    return c->job->device_memory + 1;
}

static void test_nearest_last_try(void **state)
{
    plan_job job = job_of(64, 0);
    compiler c = {&job, 0};
    plan p = parsed("dp1");
    (void)state;

    job.T = 256;
    job.device_memory = plan_least_bytes(&p, &job) / 2;
    job.peak = only_leanest;
    job.self = &c;
    expect_nearest("dp1", job, "dp4.tp4.pp4.1f1b");
    job.peak = never;
    c.calls = 0;
    char text[64];
    refuse("dp1", job, ST_BUDGET, "; none was found that fits, in ");
    snprintf(text, sizeof(text), "in %d tries; raise --device-", c.calls);
    assert_has(status_text(), text);
    assert_in_range(c.calls, 3, 5);
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
        int64_t t0 = clock_cpu_thread_ns();
        assert_int_equal(plan_admit(&p, &job), ST_BUDGET);
        double s = 1e-9 * (double)(clock_cpu_thread_ns() - t0);
        best = s < best ? s : best;
    }
    assert_true(best < 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_nearest_own_leaves),
        cmocka_unit_test(test_nearest_memory),
        cmocka_unit_test(test_nearest_confirmed),
        cmocka_unit_test(test_nearest_random),
        cmocka_unit_test(test_nearest_micro_batch),
        cmocka_unit_test(test_nearest_last_try),
        cmocka_unit_test(test_admit),
        cmocka_unit_test(test_admit_recompute),
        cmocka_unit_test(test_admit_options),
        cmocka_unit_test(test_admit_streaming),
        cmocka_unit_test(test_admit_out_of_memory),
        cmocka_unit_test(test_admit_is_fast),
    };
    return cmocka_run_group_tests(tests, open_tiny, NULL) != 0;
}
