/*
 * The ready configurations: every file of configs/models is in the table, has
 * the published number of parameters, and the mathematics of its family. And
 * config.json files as versions 4 and 5 of transformers save them mean the
 * same. Run from the top of the repository.
 */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/base/text.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/params.h"

/* Parameters: the sums of the published shapes, a tied head counted once,
 * worked out apart from this program; they agree with the published totals.
 * Sources of the shapes:
 *   openai   openai-community/gpt2*: config.json
 *   eleuther EleutherAI/gpt-neo-*, gpt-j-6B: config.json; gpt-neox: 20B.yml;
 *            pythia: its models folder, a .yml each
 *   cerebras Cerebras/modelzoo, Cerebras-GPT configurations
 *   own      the small models of this repository
 * GPT-J's README has 6,053,381,344, with some that transformers leaves out. */
static const struct model {
    const char *name;
    const char *source;
    int64_t parameters;
    int L, C, H, D, V, positions;
    int rotary; /* dimensions of a head; 0: learned positions */
    math_act act;
    arch_residual residual;
    bool tied;
} models[] = {
    {"gpt2", "openai", 124439808, 12, 768, 12, 64, 50257, 1024, 0,
     ACT_GELU_TANH, RES_SEQUENTIAL, true},
    {"gpt2-medium", "openai", 354823168, 24, 1024, 16, 64, 50257, 1024, 0,
     ACT_GELU_TANH, RES_SEQUENTIAL, true},
    {"gpt2-large", "openai", 774030080, 36, 1280, 20, 64, 50257, 1024, 0,
     ACT_GELU_TANH, RES_SEQUENTIAL, true},
    {"gpt2-xl", "openai", 1557611200, 48, 1600, 25, 64, 50257, 1024, 0,
     ACT_GELU_TANH, RES_SEQUENTIAL, true},
    {"cerebras-gpt-111m", "cerebras", 111050496, 10, 768, 12, 64, 50257, 2048,
     0, ACT_GELU_ERF, RES_SEQUENTIAL, true},
    {"cerebras-gpt-256m", "cerebras", 255977024, 14, 1088, 17, 64, 50257, 2048,
     0, ACT_GELU_ERF, RES_SEQUENTIAL, true},
    {"cerebras-gpt-590m", "cerebras", 590310912, 18, 1536, 12, 128, 50257, 2048,
     0, ACT_GELU_ERF, RES_SEQUENTIAL, true},
    {"cerebras-gpt-1.3b", "cerebras", 1315723264, 24, 2048, 16, 128, 50257,
     2048, 0, ACT_GELU_ERF, RES_SEQUENTIAL, true},
    {"cerebras-gpt-2.7b", "cerebras", 2651553280, 32, 2560, 32, 80, 50257, 2048,
     0, ACT_GELU_ERF, RES_SEQUENTIAL, true},
    {"cerebras-gpt-6.7b", "cerebras", 6658404352, 32, 4096, 32, 128, 50257,
     2048, 0, ACT_GELU_ERF, RES_SEQUENTIAL, true},
    {"cerebras-gpt-13b", "cerebras", 12853386240, 40, 5120, 40, 128, 50257,
     2048, 0, ACT_GELU_ERF, RES_SEQUENTIAL, true},
    {"gpt-neo-125m", "eleuther", 125198592, 12, 768, 12, 64, 50257, 2048, 0,
     ACT_GELU_TANH, RES_SEQUENTIAL, true},
    {"gpt-neo-1.3b", "eleuther", 1315575808, 24, 2048, 16, 128, 50257, 2048, 0,
     ACT_GELU_TANH, RES_SEQUENTIAL, true},
    {"gpt-neo-2.7b", "eleuther", 2651307520, 32, 2560, 20, 128, 50257, 2048, 0,
     ACT_GELU_TANH, RES_SEQUENTIAL, true},
    {"gpt-j-6b", "eleuther", 6050882784, 28, 4096, 16, 256, 50400, 2048, 64,
     ACT_GELU_TANH, RES_PARALLEL_ONE, false},
    {"gpt-neox-20b", "eleuther", 20554567680, 44, 6144, 64, 96, 50432, 2048, 24,
     ACT_GELU_TANH, RES_PARALLEL_TWO, false},
    {"pythia-14m", "eleuther", 14067712, 6, 128, 4, 32, 50304, 2048, 8,
     ACT_GELU_ERF, RES_PARALLEL_TWO, false},
    {"pythia-31m", "eleuther", 30494720, 6, 256, 8, 32, 50304, 2048, 8,
     ACT_GELU_ERF, RES_PARALLEL_TWO, false},
    {"pythia-70m", "eleuther", 70426624, 6, 512, 8, 64, 50304, 2048, 16,
     ACT_GELU_ERF, RES_PARALLEL_TWO, false},
    {"pythia-160m", "eleuther", 162322944, 12, 768, 12, 64, 50304, 2048, 16,
     ACT_GELU_ERF, RES_PARALLEL_TWO, false},
    {"pythia-410m", "eleuther", 405334016, 24, 1024, 16, 64, 50304, 2048, 16,
     ACT_GELU_ERF, RES_PARALLEL_TWO, false},
    {"pythia-1b", "eleuther", 1011781632, 16, 2048, 8, 256, 50304, 2048, 64,
     ACT_GELU_ERF, RES_PARALLEL_TWO, false},
    {"pythia-1.4b", "eleuther", 1414647808, 24, 2048, 16, 128, 50304, 2048, 32,
     ACT_GELU_ERF, RES_PARALLEL_TWO, false},
    {"pythia-2.8b", "eleuther", 2775208960, 32, 2560, 32, 80, 50304, 2048, 20,
     ACT_GELU_ERF, RES_PARALLEL_TWO, false},
    {"pythia-6.9b", "eleuther", 6857302016, 32, 4096, 32, 128, 50432, 2048, 32,
     ACT_GELU_ERF, RES_PARALLEL_TWO, false},
    {"pythia-12b", "eleuther", 11846072320, 36, 5120, 40, 128, 50688, 2048, 32,
     ACT_GELU_ERF, RES_PARALLEL_TWO, false},
    {"gpt-neo-tiny", "own", 857344, 4, 128, 4, 32, 256, 256, 0, ACT_GELU_TANH,
     RES_SEQUENTIAL, true},
    {"gpt-neo-mini", "own", 6509056, 8, 256, 8, 32, 256, 512, 0, ACT_GELU_TANH,
     RES_SEQUENTIAL, true},
    {"gpt-j-tiny", "own", 856064, 4, 128, 4, 32, 256, 256, 16, ACT_GELU_TANH,
     RES_PARALLEL_ONE, false},
    {"gpt-j-mini", "own", 6437632, 8, 256, 8, 32, 256, 512, 16, ACT_GELU_TANH,
     RES_PARALLEL_ONE, false},
};
enum { MODELS = sizeof(models) / sizeof(models[0]) };

static arch open_ok(const char *model)
{
    arch a;
    if (arch_open(model, &a) != ST_OK) {
        fail_msg("%s: %s", model, status_text());
    }
    return a;
}

static int64_t count_of(const arch *a)
{
    params ps;
    assert_int_equal(params_init(a, &ps), ST_OK);
    const int64_t total = ps.total;
    params_fini(&ps);
    return total;
}

static void check_model(const struct model *m)
{
    arch a = open_ok(m->name);
    print_message("%-18s %lld (%s)\n", m->name, (long long)count_of(&a),
                  m->source);
    assert_string_equal(a.name, m->name);
    assert_int_equal(count_of(&a), m->parameters);
    assert_int_equal(a.L, m->L);
    assert_int_equal(a.C, m->C);
    assert_int_equal(a.H, m->H);
    assert_int_equal(a.D, m->D);
    assert_int_equal(a.F, 4 * m->C);
    assert_int_equal(a.V, m->V);
    assert_int_equal(a.positions, m->positions);
    assert_int_equal(a.pos, m->rotary > 0 ? POS_ROTARY : POS_LEARNED);
    assert_int_equal(a.rotary_dims, m->rotary);
    assert_int_equal(a.act, m->act);
    assert_int_equal(a.residual, m->residual);
    assert_int_equal(a.tied, m->tied);
    assert_true(a.norm_eps == 1e-5F && a.init_std == 0.02F);
    /* GPT-Neo alone does not scale scores, and looks through windows. */
    const bool neo = text_starts(m->name, "gpt-neo-");
    assert_true(fabs(a.score_scale - (neo ? 1 : 1 / sqrt(a.D))) < 1e-7);
    assert_int_equal(a.window[1] > 0, neo);
    const bool neox = m->residual == RES_PARALLEL_TWO;
    const bool gptj = m->residual == RES_PARALLEL_ONE;
    assert_int_equal(a.bias_qkv, !neo && !gptj);
    assert_int_equal(a.bias_out, !gptj);
    assert_true(a.bias_mlp);
    assert_int_equal(a.head_bias, gptj);
    assert_int_equal(a.file_transposed, !neo && !gptj && !neox);
    if (m->rotary > 0) {
        assert_int_equal(a.rotary_pairing,
                         gptj ? PAIR_NEIGHBOURS : PAIR_HALVES);
    }
}

static void test_models(void **state)
{
    (void)state;
    for (int i = 0; i < MODELS; i++) {
        check_model(&models[i]);
    }
}

/* A file that the table does not know was not checked by anybody. */
static void test_table_is_complete(void **state)
{
    int files = 0;
    (void)state;
    DIR *dir = opendir("configs/models");
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        bool known = false;
        if (!text_ends(e->d_name, ".json")) {
            continue;
        }
        files++;
        for (int i = 0; i < MODELS; i++) {
            const size_t n = strlen(models[i].name);
            known = known || (strncmp(e->d_name, models[i].name, n) == 0 &&
                              strcmp(e->d_name + n, ".json") == 0);
        }
        if (!known) {
            fail_msg("configs/models/%s is not in the table", e->d_name);
        }
    }
    closedir(dir);
    assert_int_equal(files, MODELS);
}

/* ---- as transformers saves them ------------------------------------------ */

static void test_saved_configs(void **state)
{
    static const char *const families[] = {"gpt2", "gpt_neo", "gptj",
                                           "gpt_neox"};
    static const char *const tags[] = {"v4", "v5", "v5_full"};
    (void)state;
    for (int f = 0; f < 4; f++) {
        uint64_t first = 0;
        for (int t = 0; t < 3; t++) {
            char path[96];
            snprintf(path, sizeof(path), "tests/configs/%s_%s.json",
                     families[f], tags[t]);
            arch a = open_ok(path);
            first = t == 0 ? arch_hash(&a) : first;
            assert_true(arch_hash(&a) == first);
            assert_int_equal(a.L, 2);
            assert_int_equal(a.C, 24);
        }
    }
    arch a = open_ok("tests/configs/gpt_neox_v4.json");
    assert_int_equal(a.rotary_dims, 4);
    assert_true(a.rotary_base == 500.0F);
    a = open_ok("tests/configs/gpt_neo_v5.json");
    assert_int_equal(a.window[1], 5);
    a = open_ok("tests/configs/gptj_v5.json");
    assert_int_equal(a.rotary_dims, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_table_is_complete),
        cmocka_unit_test(test_saved_configs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
