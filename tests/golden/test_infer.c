/*
 * Logits against Hugging Face in float64: a greedy continuation of every case
 * has the same tokens, and each row of logits differs by at most 1e-5 of its
 * norm, for the plain and the fast kernels. The fast ones have the same bits
 * whatever the size of the program, the threads and the device memory.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/io/h5.h"
#include "runtime/results/convert.h"
#include "ws/infer.h"

enum { PROMPT = 3, FOLLOWING = 8, ALL = PROMPT + FOLLOWING, V_MAX = 64 };

static const char *const cases[] = {
    "gpt_neo_local",           "gpt_neo_odd_heads_untied",
    "gpt_neo_odd_inner",       "gptj_partial_rotary",
    "gptj_full_rotary",        "gptj_one_head_tied",
    "gpt2_three_heads",        "gpt2_exact_untied",
    "gpt_neox_partial_rotary", "gpt_neox_sequential_tied",
};

static comm *world;
static char folder[200];

typedef struct follow {
    char ckpt[300];
    int64_t V;
    int32_t tokens[ALL];
    double logits[FOLLOWING * V_MAX];
} follow;

static void must(status st)
{
    if (st != ST_OK) {
        fail_msg("%s (%s)", status_text(), status_where());
    }
}

static void open_case(const char *name, follow *f)
{
    char path[400];
    h5_file *file = NULL;
    h5_info info;
    (void)snprintf(path, sizeof(path), "tests/golden/%s/logits.h5", name);
    must(h5_open(path, &file));
    must(h5_data_info(file, "/logits", &info));
    assert_int_equal(info.dim[0], FOLLOWING);
    f->V = info.dim[1];
    assert_true(f->V <= V_MAX);
    must(h5_data_read_all(file, "/tokens", H5_I32, ALL, f->tokens));
    must(
        h5_data_read_all(file, "/logits", H5_F64, FOLLOWING * f->V, f->logits));
    must(h5_close(&file));
    (void)snprintf(path, sizeof(path), "tests/golden/%s", name);
    (void)snprintf(f->ckpt, sizeof(f->ckpt), "%s/%s.h5", folder, name);
    must(convert_from_hf(path, f->ckpt, NULL));
}

/* All rows of logits, each from the tokens before it. */
static void run(const follow *f, const infer_options *o, float *out)
{
    infer *m = NULL;
    must(infer_open(f->ckpt, o, world, &m));
    assert_int_equal(infer_arch(m)->V, f->V);
    for (int i = 0; i < FOLLOWING; i++) {
        const float *logits;
        must(infer_logits(m, f->tokens, PROMPT + i, &logits));
        memcpy(out + i * f->V, logits, (size_t)f->V * sizeof(float));
    }
    infer_close(m);
}

static double row_error(const float *have, const double *want, int64_t n)
{
    double diff = 0;
    double size = 0;
    for (int64_t i = 0; i < n; i++) {
        diff += ((double)have[i] - want[i]) * ((double)have[i] - want[i]);
        size += want[i] * want[i];
    }
    return sqrt(diff / size);
}

static int32_t largest(const float *row, int64_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++) {
        best = row[i] > row[best] ? i : best;
    }
    return best;
}

static void compare(const follow *f, const char *name, const char *how,
                    const float *have)
{
    double worst = 0;
    for (int i = 0; i < FOLLOWING; i++) {
        double e = row_error(have + i * f->V, f->logits + i * f->V, f->V);
        worst = !(e <= worst) ? e : worst;
        assert_int_equal(largest(have + i * f->V, f->V), f->tokens[PROMPT + i]);
    }
    print_message("%-26s %-6s %.2e\n", name, how, worst);
    assert_true(worst <= 1e-5);
}

static void test_hugging_face(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        follow f;
        float plain[FOLLOWING * V_MAX];
        float fast[FOLLOWING * V_MAX];
        open_case(cases[c], &f);
        run(&f, &(infer_options){.threads = 1, .reference = true}, plain);
        run(&f, &(infer_options){.threads = 1}, fast);
        compare(&f, cases[c], "plain", plain);
        compare(&f, cases[c], "fast", fast);
    }
}

/* With and without a cache; least 1: sizes 4, 8, 11 or 16 for these prompts;
 * none: the context. */
static void test_same_bits(void **state)
{
    static const infer_options ways[] = {
        {.threads = 2},
        {.threads = 1, .context = ALL},
        {.threads = 1, .no_cache = true, .least = 1},
        {.threads = 2, .no_cache = true, .least = 5},
        {.threads = 3, .no_cache = true},
        {.threads = 2, .no_cache = true, .context = ALL},
    };
    (void)state;
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        follow f;
        float want[FOLLOWING * V_MAX];
        float have[FOLLOWING * V_MAX];
        open_case(cases[c], &f);
        run(&f, &(infer_options){.threads = 1}, want);
        for (size_t w = 0; w < sizeof(ways) / sizeof(*ways); w++) {
            run(&f, &ways[w], have);
            for (int i = 0; i < FOLLOWING; i++) {
                if (memcmp(have + i * f.V, want + i * f.V,
                           (size_t)f.V * sizeof(float)) != 0) {
                    fail_msg("%s: way %d, row %d has other bits", cases[c],
                             (int)w, i);
                }
            }
        }
    }
}

static void test_refusals(void **state)
{
    (void)state;
    follow f;
    infer *m = NULL;
    const float *logits;
    open_case("gpt_neo_local", &f);
    assert_int_equal(
        infer_open(f.ckpt, &(infer_options){.context = 25}, world, &m),
        ST_CONFIG);
    assert_non_null(strstr(status_text(), "--context 25"));
    assert_non_null(strstr(status_text(), "24 positions"));
    assert_int_equal(
        infer_open(f.ckpt, &(infer_options){.device_memory = 4096}, world, &m),
        ST_BUDGET);
    assert_non_null(strstr(status_text(), "has 4KiB; raise it"));
    must(infer_open(f.ckpt, &(infer_options){.threads = 1}, world, &m));
    assert_int_equal(infer_context(m), 24);
    int32_t ids[2] = {1, 50};
    assert_int_equal(infer_logits(m, ids, 2, &logits), ST_CONFIG);
    assert_non_null(strstr(status_text(), "token 50 is outside"));
    ids[1] = -1;
    assert_int_equal(infer_logits(m, ids, 2, &logits), ST_CONFIG);
    must(infer_logits(m, ids, 1, &logits)); /* still fine */
    infer_close(m);
}

/* Every allocation of opening and of the first call fails once: a status,
 * and nothing is lost. */
static void test_no_memory(void **state)
{
    (void)state;
    follow f;
    infer *m = NULL;
    const float *logits;
    open_case("gptj_partial_rotary", &f);
    int64_t live = mem_live();
    status st = ST_SYSTEM;
    int n = 0;
    for (; st != ST_OK && n < 2000; n++) {
        mem_fail_after(n + 1);
        st = infer_open(f.ckpt, &(infer_options){.threads = 1}, world, &m);
        if (st == ST_OK) {
            st = infer_logits(m, f.tokens, PROMPT, &logits);
            infer_close(m);
        }
        mem_fail_after(0);
        assert_int_equal(mem_live(), live);
    }
    print_message("%d allocations\n", n - 1);
    assert_true(n > 50);
    assert_int_equal(st, ST_OK);
}

static int start(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(folder, sizeof(folder), "%s/weft-infer-XXXXXX",
                   tmp != NULL ? tmp : "/tmp");
    return comm_init(&world) != ST_OK || mkdtemp(folder) == NULL ? -1 : 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        char path[400];
        (void)snprintf(path, sizeof(path), "%s/%s.h5", folder, cases[c]);
        (void)unlink(path);
    }
    comm_fini(world);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hugging_face),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, start, end) != 0;
}
