/*
 * The architecture descriptor: every model and golden config parses to the
 * fields it must have, and every kind of mistake gets its one clear line.
 * Run from the top of the repository.
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
#include "runtime/base/text.h"
#include "runtime/gpt/arch.h"

static char folder[] = "/tmp/weft_test_arch_XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static arch open_ok(const char *model)
{
    arch a;
    status st = arch_open(model, &a);
    if (st != ST_OK) {
        fail_msg("%s: %s", model, status_text());
    }
    return a;
}

/* Writes the text as x.json and opens it. */
static status open_text(const char *text, arch *out)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/x.json", folder);
    assert_int_equal(text_write_file(path, text, strlen(text)), ST_OK);
    int64_t live = mem_live();
    status st = arch_open(path, out);
    assert_int_equal(mem_live(), live);
    assert_int_equal(unlink(path), 0);
    return st;
}

static arch text_ok(const char *text)
{
    arch a;
    if (open_text(text, &a) != ST_OK) {
        fail_msg("%s: %s", text, status_text());
    }
    return a;
}

/* A config must be refused with all of these words in the line. */
static void refuse(const char *text, status code, const char *one,
                   const char *two, const char *three)
{
    const char *words[] = {one, two, three};
    arch a;
    memset(&a, 0x5a, sizeof(a));
    status st = open_text(text, &a);
    if (st != code) {
        fail_msg("%s: status %d, \"%s\"", text, (int)st, status_text());
    }
    for (int i = 0; i < 3; i++) {
        if (words[i] != NULL && strstr(status_text(), words[i]) == NULL) {
            fail_msg("\"%s\" is not in \"%s\"", words[i], status_text());
        }
    }
    assert_null(strchr(status_text(), '\n'));
    assert_int_equal(a.L, 0x5a5a5a5a); /* untouched */
}

/* --- real files -------------------------------------------------------- */

static void test_gpt_neo(void **state)
{
    (void)state;
    arch a = open_ok("configs/models/gpt-neo-125m.json");
    assert_string_equal(a.name, "gpt-neo-125m");
    assert_int_equal(a.L, 12);
    assert_int_equal(a.C, 768);
    assert_int_equal(a.H, 12);
    assert_int_equal(a.D, 64);
    assert_int_equal(a.F, 3072);
    assert_int_equal(a.V, 50257);
    assert_int_equal(a.positions, 2048);
    assert_int_equal(a.pos, POS_LEARNED);
    assert_int_equal(a.residual, RES_SEQUENTIAL);
    assert_int_equal(arch_norms(&a), 2);
    assert_int_equal(a.window[0], 0);
    assert_int_equal(a.window[1], 256);
    assert_int_equal(a.window[11], 256);
    assert_true(a.score_scale == 1.0F);
    assert_false(a.bias_qkv);
    assert_true(a.bias_out && a.bias_mlp);
    assert_int_equal(a.qkv, QKV_SEPARATE);
    assert_false(a.file_transposed);
    assert_int_equal(a.act, ACT_GELU_TANH);
    assert_true(a.tied);
    assert_false(a.head_bias);
    assert_true(a.norm_eps == 1e-5F && a.init_std == 0.02F);
    assert_false(a.init_residual_scaled);
    assert_int_equal(open_ok("configs/models/gpt-neo-2.7b.json").D, 128);

    a = open_ok("tests/golden/gpt_neo_odd_inner");
    assert_string_equal(a.name, "gpt_neo_odd_inner");
    assert_int_equal(a.F, 37);
    assert_int_equal(a.window[0], 0);
    assert_int_equal(a.window[1], 2);
    assert_int_equal(a.window[2], 2);
    a = open_ok("tests/golden/gpt_neo_odd_heads_untied/config.json");
    assert_string_equal(a.name, "gpt_neo_odd_heads_untied");
    assert_false(a.tied);
    assert_int_equal(a.act, ACT_GELU_ERF);
}

static void test_gptj(void **state)
{
    (void)state;
    arch a = open_ok("configs/models/gpt-j-6b.json");
    assert_int_equal(a.L, 28);
    assert_int_equal(a.D, 256);
    assert_int_equal(a.F, 16384);
    assert_int_equal(a.pos, POS_ROTARY);
    assert_int_equal(a.rotary_dims, 64);
    assert_int_equal(a.rotary_pairing, PAIR_NEIGHBOURS);
    assert_true(a.rotary_base == 10000.0F);
    assert_int_equal(a.residual, RES_PARALLEL_ONE);
    assert_int_equal(arch_norms(&a), 1);
    assert_true(a.score_scale == 0.0625F);
    assert_false(a.bias_qkv || a.bias_out);
    assert_true(a.bias_mlp && a.head_bias);
    assert_false(a.tied);
    assert_int_equal(a.window[27], 0);

    a = open_ok("tests/golden/gptj_one_head_tied/");
    assert_string_equal(a.name, "gptj_one_head_tied");
    assert_true(a.tied && a.head_bias);
    assert_int_equal(a.F, 27);
    a = text_ok("{\"model_type\":\"gptj\",\"n_embd\":64,\"n_head\":4,"
                "\"rotary_dim\":null,\"n_layer\":1}");
    assert_int_equal(a.rotary_dims, 16);
}

static void test_gpt2(void **state)
{
    (void)state;
    arch a = open_ok("tests/golden/gpt2_three_heads");
    assert_int_equal(a.H, 3);
    assert_int_equal(a.F, 96);
    assert_true(a.bias_qkv && a.bias_out && a.bias_mlp);
    assert_int_equal(a.qkv, QKV_FUSED);
    assert_true(a.file_transposed && a.tied && a.init_residual_scaled);
    assert_true(fabs(a.score_scale - 1 / sqrt(8)) < 1e-7);
    /* All of HF's defaults, and the aliases of its attribute map. */
    a = text_ok("{\"model_type\": \"gpt2\"}");
    assert_string_equal(a.name, "x");
    assert_int_equal(a.L, 12);
    assert_int_equal(a.V, 50257);
    assert_int_equal(a.positions, 1024);
    a = text_ok("{\"model_type\":\"gpt2\",\"hidden_size\":32,"
                "\"num_hidden_layers\":3,\"num_attention_heads\":2,"
                "\"max_position_embeddings\":9,\"scale_attn_weights\":false,"
                "\"tie_word_embeddings\":false,\"_comment\":1}");
    assert_int_equal(a.C, 32);
    assert_int_equal(a.L, 3);
    assert_int_equal(a.D, 16);
    assert_int_equal(a.positions, 9);
    assert_true(a.score_scale == 1.0F);
    assert_false(a.tied);
}

#define NEOX                                                                   \
    "{\"model_type\":\"gpt_neox\",\"hidden_size\":96,"                         \
    "\"num_attention_heads\":2,\"num_hidden_layers\":2"

static void test_gpt_neox(void **state)
{
    (void)state;
    arch a = open_ok("tests/golden/gpt_neox_partial_rotary");
    assert_int_equal(a.rotary_dims, 4);
    assert_int_equal(a.rotary_pairing, PAIR_HALVES);
    assert_int_equal(a.residual, RES_PARALLEL_TWO);
    assert_int_equal(arch_norms(&a), 2);
    assert_int_equal(a.qkv, QKV_FUSED_PER_HEAD);
    assert_int_equal(a.act, ACT_GELU_ERF);
    assert_true(a.bias_qkv && a.bias_out && a.bias_mlp);
    assert_false(a.tied || a.head_bias || a.file_transposed);

    a = text_ok(NEOX "}");
    assert_int_equal(a.rotary_dims, 12);
    assert_int_equal(a.F, 24576);
    a = text_ok(NEOX ",\"use_parallel_residual\":false,\"attention_bias\":false"
                     ",\"tie_word_embeddings\":true,\"rope_scaling\":null,"
                     "\"rope_parameters\":{\"rope_type\":\"default\","
                     "\"rope_theta\":500.0,\"partial_rotary_factor\":0.5}}");
    assert_int_equal(a.residual, RES_SEQUENTIAL);
    assert_false(a.bias_qkv || a.bias_out);
    assert_true(a.bias_mlp && a.tied);
    assert_int_equal(a.rotary_dims, 24);
    assert_true(a.rotary_base == 500.0F);
    /* Of Dolly v2 and of Polyglot-Ko. */
    a = text_ok(NEOX ",\"custom_pipelines\":{\"text-generation\":{\"impl\":"
                     "\"instruct_pipeline.InstructionTextGenerationPipeline\","
                     "\"pt\":\"AutoModelForCausalLM\"}},"
                     "\"num_steps\":\"global_step320000\"}");
    assert_int_equal(a.rotary_dims, 12);
    /* Copies that say the same, of what is given and of defaults. */
    a = text_ok(NEOX ",\"rope_theta\":77,\"rotary_emb_base\":77,"
                     "\"partial_rotary_factor\":0.25}");
    assert_true(a.rotary_base == 77.0F);
    assert_int_equal(a.rotary_dims, 12);
    assert_int_equal(text_ok(NEOX ",\"hidden_act\":\"gelu_python\"}").act,
                     ACT_GELU_ERF);
    assert_int_equal(text_ok(NEOX ",\"hidden_act\":\"gelu_accurate\"}").act,
                     ACT_GELU_TANH);
    a = text_ok(NEOX ",\"hidden_act\":\"gelu_fast\",\"rotary_pct\":1,"
                     "\"rotary_emb_base\":1e4,\"intermediate_size\":null}");
    assert_int_equal(a.act, ACT_GELU_TANH);
    assert_int_equal(a.rotary_dims, 48);
    assert_int_equal(a.F, 384);
}

static void test_all_files_open(void **state)
{
    (void)state;
    static const char *const models[] = {
        "gpt-j-6b",     "gpt-j-mini",   "gpt-j-tiny",   "gpt-neo-1.3b",
        "gpt-neo-125m", "gpt-neo-2.7b", "gpt-neo-mini", "gpt-neo-tiny"};
    static const char *const goldens[] = {
        "gpt2_three_heads",    "gpt_neo_local",
        "gpt_neo_odd_inner",   "gpt_neo_odd_heads_untied",
        "gptj_full_rotary",    "gptj_one_head_tied",
        "gptj_partial_rotary", "gpt_neox_partial_rotary"};
    for (int i = 0; i < 8; i++) {
        char path[128];
        assert_string_equal(open_ok(models[i]).name, models[i]);
        snprintf(path, sizeof(path), "tests/golden/%s", goldens[i]);
        assert_string_equal(open_ok(path).name, goldens[i]);
    }
    assert_string_equal(open_ok("gpt-j-tiny.json").name, "gpt-j-tiny");
}

/* --- finding ----------------------------------------------------------- */

static void test_unknown_names(void **state)
{
    (void)state;
    arch a;
    assert_int_equal(arch_open("gpt-neo-125", &a), ST_NOINPUT);
    assert_non_null(strstr(status_text(), "did you mean \"gpt-neo-125m\"?"));
    assert_non_null(strstr(status_text(), "gpt-j-6b, gpt-j-mini"));
    assert_int_equal(arch_open("zebra", &a), ST_NOINPUT);
    assert_null(strstr(status_text(), "did you mean"));
    assert_int_equal(arch_open("no/such/file.json", &a), ST_NOINPUT);
    assert_int_equal(arch_open(folder, &a), ST_NOINPUT);
    assert_non_null(strstr(status_text(), "has no config.json"));
    assert_int_equal(arch_open("", &a), ST_NOINPUT);
    /* A folder that is no model's, called without a slash. */
    assert_int_equal(arch_open("tests", &a), ST_NOINPUT);
    assert_non_null(strstr(status_text(), "tests: this folder has no config"));
}

static void test_dot_is_named_after_folder(void **state)
{
    (void)state;
    char here[4096];
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir("tests/golden/gpt2_three_heads"), 0);
    arch dot = open_ok(".");
    arch file = open_ok("config.json");
    assert_int_equal(chdir(here), 0);
    assert_string_equal(dot.name, "gpt2_three_heads");
    assert_string_equal(file.name, "gpt2_three_heads");
}

/* Fails the n-th allocation for all n: always an error, never a leak. */
static void test_failed_allocations(void **state)
{
    (void)state;
    static const char *const models[] = {"gpt-neo-tiny", "gpt-neo-tinny"};
    static const status ends[] = {ST_OK, ST_NOINPUT};
    for (int m = 0; m < 2; m++) {
        int64_t live = mem_live();
        arch a;
        int n = 0;
        status st = ST_SYSTEM;
        while (st != ends[m] && n < 10000) {
            mem_fail_after(++n);
            st = arch_open(models[m], &a);
            mem_fail_after(0);
            assert_int_equal(mem_live(), live);
        }
        assert_int_equal(st, ends[m]);
        assert_true(n > 3);
    }
}

/* --- mistakes ---------------------------------------------------------- */

#define GPT2 "{\"model_type\":\"gpt2\""
#define GPTJ "{\"model_type\":\"gptj\",\"n_embd\":64,\"n_head\":4"
#define NEO  "{\"model_type\":\"gpt_neo\",\"num_layers\":3"

static void test_mistakes_in_keys(void **state)
{
    (void)state;
    refuse("{\"model_type\":\"gpt2\",", ST_BADFILE, "x.json", NULL, NULL);
    refuse("[1]", ST_CONFIG, "x.json", "an object", NULL);
    refuse("{}", ST_CONFIG, "model_type", NULL, NULL);
    refuse("{\"model_type\":\"llama\"}", ST_CONFIG, "model_type", "\"llama\"",
           "gpt2, gpt_neo, gptj, gpt_neox");
    refuse(GPT2 ",\"n_layers\":2}", ST_CONFIG, "x.json", "n_layers",
           "did you mean \"n_layer\"?");
    refuse(GPT2 ",\"rotary_dim\":2}", ST_CONFIG, "rotary_dim", NULL, NULL);
    refuse(GPT2 ",\"n_layer\":2,\"num_hidden_layers\":3}", ST_CONFIG,
           "n_layer is 2", "num_hidden_layers is 3", NULL);
    refuse(GPT2 ",\"scale_attn_by_inverse_layer_idx\":true}", ST_CONFIG,
           "scale_attn_by_inverse_layer_idx", "allowed is false", NULL);
    refuse(GPTJ ",\"rotary\":false}", ST_CONFIG, "rotary", "allowed is true",
           NULL);
    refuse(GPT2 ",\"zebra\":1}", ST_CONFIG, "zebra: unknown key for gpt2",
           "may change the model", "_zebra");
    refuse(GPT2 ",\"per_layer_config\":{\"1\":{\"n_head\":2}}}", ST_CONFIG,
           "per_layer_config", "not supported", "allowed is null");
    refuse(GPT2 ",\"pruned_heads\":{\"1\":[0]}}", ST_CONFIG, "pruned_heads",
           "not supported", NULL);
    refuse(GPT2 ",\"quantization_config\":{\"bits\":4}}", ST_CONFIG,
           "quantization_config", "not supported", NULL);
    refuse(GPT2 ",\"add_cross_attention\":true}", ST_CONFIG,
           "add_cross_attention", NULL, NULL);
    refuse(NEOX ",\"rotary_pct\":0.5,\"partial_rotary_factor\":0.25}",
           ST_CONFIG, "partial_rotary_factor: is 0.25",
           "reads rotary_pct, which is 0.5;", NULL);
    refuse(NEOX ",\"partial_rotary_factor\":0.5}", ST_CONFIG,
           "partial_rotary_factor: is 0.5",
           "reads rotary_pct, which is 0.25 by default",
           "remove partial_rotary_factor");
    refuse(NEOX ",\"rope_theta\":77}", ST_CONFIG, "rope_theta: is 77",
           "reads rotary_emb_base, which is 10000 by default",
           "write the right value as rotary_emb_base");
    refuse(NEOX ",\"rope_theta\":77,\"rope_parameters\":{\"rope_type\":"
                "\"default\",\"rope_theta\":500}}",
           ST_CONFIG, "rope_theta: is 77",
           "reads rope_parameters.rope_theta, which is 500;", NULL);
    refuse(NEOX ",\"rope_theta\":\"77\"}", ST_CONFIG, "rope_theta", "number",
           NULL);
    refuse(NEOX ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}",
           ST_CONFIG, "rope_scaling.type", "linear", "default");
    refuse(NEOX ",\"rope_parameters\":{\"rope_type\":\"yarn\",\"factor\":2}}",
           ST_CONFIG, "rope_parameters.rope_type", "yarn", "default");
    refuse(NEOX ",\"rotary_pct\":0.5,\"rope_parameters\":{\"rope_type\":"
                "\"default\",\"partial_rotary_factor\":0.25}}",
           ST_CONFIG, "rotary_pct is 0.5",
           "rope_parameters.partial_rotary_factor is 0.25", NULL);
    refuse(NEOX ",\"hidden_act\":\"quick_gelu\"}", ST_CONFIG, "hidden_act",
           "quick_gelu", "gelu_python");
    refuse(NEOX ",\"rope_parameters\":{\"rope_thetta\":2}}", ST_CONFIG,
           "rope_thetta", "rope_theta", NULL);
}

static void test_mistakes_in_sizes(void **state)
{
    (void)state;
    refuse(GPT2 ",\"n_layer\":\"2\"}", ST_CONFIG, "n_layer", "\"2\"", NULL);
    refuse(GPT2 ",\"n_layer\":null}", ST_CONFIG, "n_layer", "null", NULL);
    refuse(GPT2 ",\"n_layer\":0}", ST_CONFIG, "n_layer", "1 to 256", NULL);
    refuse(GPT2 ",\"n_layer\":257}", ST_CONFIG, "n_layer", "1 to 256", NULL);
    refuse(GPT2 ",\"n_embd\":100,\"n_head\":7}", ST_CONFIG, "n_head 7",
           "n_embd 100", "is 5");
    refuse(GPT2 ",\"n_embd\":8,\"n_head\":12}", ST_CONFIG, "n_head 12", "is 8",
           NULL);
    refuse(GPT2 ",\"vocab_size\":0}", ST_CONFIG, "vocab_size", NULL, NULL);
    refuse(GPT2 ",\"n_positions\":-1}", ST_CONFIG, "n_positions", NULL, NULL);
    refuse(GPT2 ",\"n_inner\":1.5}", ST_CONFIG, "n_inner", "whole number",
           NULL);
    refuse(GPT2 ",\"layer_norm_epsilon\":0}", ST_CONFIG, "layer_norm_epsilon",
           NULL, NULL);
    refuse(GPT2 ",\"initializer_range\":-1}", ST_CONFIG, "initializer_range",
           NULL, NULL);
    refuse(GPT2 ",\"tie_word_embeddings\":1}", ST_CONFIG, "tie_word_embeddings",
           "true or false", NULL);
    refuse(GPT2 ",\"attn_pdrop\":\"no\"}", ST_CONFIG, "attn_pdrop", NULL, NULL);
    refuse(GPT2 ",\"activation_function\":\"relu\"}", ST_CONFIG,
           "activation_function", "\"relu\"",
           "gelu_new, gelu_fast, gelu_pytorch_tanh, gelu");
    refuse(GPTJ ",\"rotary_dim\":18}", ST_CONFIG, "rotary_dim", "18", "16");
    refuse(GPTJ ",\"rotary_dim\":7}", ST_CONFIG, "rotary_dim", "7", "even");
    refuse(GPTJ ",\"rotary_dim\":0}", ST_CONFIG, "rotary_dim", "0", NULL);
    refuse(GPTJ "}", ST_CONFIG, "rotary_dim", "64", "16");
    refuse(NEOX ",\"rotary_pct\":0.07}", ST_CONFIG, "rotary_pct", "3", "even");
    refuse(NEOX ",\n\"rope_parameters\":{\"rope_type\":\"default\",\n"
                "\"partial_rotary_factor\":0.07}}",
           ST_CONFIG, ":3: rope_parameters.partial_rotary_factor: rotates 3",
           "to the head's 48", NULL);
    refuse("{\"model_type\":\"gpt_neox\",\"hidden_size\":48,"
           "\"num_attention_heads\":4,\"num_hidden_layers\":2}",
           ST_CONFIG, "rotary_pct, 0.25 by default, rotates 3", NULL, NULL);
    refuse(NEOX ",\"rotary_pct\":1.5}", ST_CONFIG, "rotary_pct", "1.5", NULL);
}

static void test_mistakes_in_attention(void **state)
{
    (void)state;
    refuse(NEO "}", ST_CONFIG, "attention_types", "24", "num_layers is 3");
    refuse(NEO ",\"attention_types\":[[[\"global\",\"local\"],2]]}", ST_CONFIG,
           "attention_types", "4 layers", "num_layers is 3");
    refuse(NEO ",\"attention_types\":[[[\"global\",\"wide\"],2]]}", ST_CONFIG,
           "attention_types[0][0][1]", "\"wide\"", "global, local");
    refuse(NEO ",\"attention_types\":[[\"global\",3]]}", ST_CONFIG,
           "attention_types[0][0]", "an array", NULL);
    refuse(NEO ",\"attention_types\":[[[\"global\"]]]}", ST_CONFIG,
           "attention_types[0]", "COUNT", NULL);
    refuse(NEO ",\"attention_types\":[[[],3]]}", ST_CONFIG, "attention_types",
           "0 layers", NULL);
    refuse(NEO ",\"attention_types\":[[[\"global\"],0]]}", ST_CONFIG,
           "attention_types[0][1]", "1 to 256", NULL);
    refuse(NEO ",\"window_size\":0,\"attention_types\":[[[\"local\"],3]]}",
           ST_CONFIG, "window_size", "0", NULL);
    refuse(NEO ",\"attention_types\":[[[\"local\"],3]],"
               "\"attention_layers\":[\"local\",\"global\",\"local\"]}",
           ST_CONFIG, "attention_layers[1]", "attention_types", NULL);
    refuse(NEO ",\"attention_types\":[[[\"local\"],3]],"
               "\"attention_layers\":[\"local\"]}",
           ST_CONFIG, "attention_layers", "num_layers is 3", NULL);
    arch a = text_ok("{\"model_type\":\"gpt_neo\",\"window_size\":7}");
    assert_int_equal(a.window[22], 0);
    assert_int_equal(a.window[23], 7);
}

/* What is said of training by this text. Owns: the caller. */
static char *note_of(const char *text)
{
    char path[128];
    char *said = NULL;
    strbuf b = {0};
    snprintf(path, sizeof(path), "%s/x.json", folder);
    assert_int_equal(text_write_file(path, text, strlen(text)), ST_OK);
    assert_int_equal(arch_dropout(path, &b), ST_OK);
    assert_int_equal(unlink(path), 0);
    assert_true(b.len == 0 || text_starts(b.text, path));
    assert_int_equal(strbuf_take(&b, &said), ST_OK);
    return said;
}

static void test_dropout_is_noted(void **state)
{
    (void)state;
    char *said = note_of(GPT2 ",\"attn_pdrop\":0.1,\"embd_pdrop\":0,"
                              "\"resid_pdrop\":0.2,"
                              "\"summary_first_dropout\":0.1}");
    assert_non_null(strstr(said, "resid_pdrop 0.2, attn_pdrop 0.1: ignored"));
    assert_null(strstr(said, "embd_pdrop"));
    assert_null(strstr(said, "summary"));
    mem_free(said);
    /* GPT-2's class drops where nothing is said, the others do not. */
    said = note_of(GPT2 ",\"attn_pdrop\":0}");
    assert_non_null(strstr(said, "embd_pdrop 0.1 (the default)"));
    assert_null(strstr(said, "attn_pdrop"));
    mem_free(said);
    said = note_of(NEOX "}");
    assert_string_equal(said, "");
    mem_free(said);
    /* What has a name is published so; nobody asked for its dropout. */
    strbuf none = {0};
    assert_int_equal(arch_dropout("gpt2", &none), ST_OK);
    assert_int_equal(none.len, 0);
}

/* The config in a checkpoint is a text; errors name it as the caller does. */
static void test_texts(void **state)
{
    (void)state;
    static const char good[] = NEOX "}";
    arch a;
    arch b = text_ok(good);
    assert_int_equal(arch_open_text(good, "a.h5: /config", &a), ST_OK);
    assert_true(arch_hash(&a) == arch_hash(&b));
    assert_string_equal(a.name, "");
    assert_int_equal(arch_open_text("{\"model_type\": 3}", "a.h5: /config", &a),
                     ST_CONFIG);
    assert_true(text_starts(status_text(), "a.h5: /config: model_type"));
}

/* --- what the fields imply --------------------------------------------- */

/* A model of another vocabulary, and the config.json that says so. */
static void test_vocab(void **state)
{
    char *config = NULL;
    char *changed = NULL;
    (void)state;
    arch a = open_ok("gpt-neo-tiny");
    assert_int_equal(arch_set_vocab(&a, 0), ST_CONFIG);
    assert_int_equal(arch_set_vocab(&a, ARCH_VOCAB_MAX + 1), ST_CONFIG);
    assert_non_null(strstr(status_text(), "allowed is 1 to 16777216"));
    assert_int_equal(a.V, 256);
    const uint64_t before = arch_hash(&a);
    assert_int_equal(arch_fit(&a, 0, 0), ST_OK);
    assert_true(arch_hash(&a) == before);
    assert_int_equal(arch_fit(&a, 0, 1024), ST_OK);
    assert_int_equal(a.V, 1024);
    assert_true(arch_hash(&a) != before);
    assert_int_equal(arch_config_text("gpt-neo-tiny", &config), ST_OK);
    assert_int_equal(arch_config_with_vocab(config, 1024, &changed), ST_OK);
    arch same = text_ok(changed);
    assert_true(arch_hash(&a) == arch_hash(&same));
    mem_free(changed);
    mem_free(config);
    assert_int_equal(arch_fit(&a, 2, 512), ST_OK);
    assert_int_equal(a.L, 2);
    assert_int_equal(a.V, 512);
}

static void test_cut(void **state)
{
    (void)state;
    arch a = open_ok("gpt-neo-tiny");
    assert_int_equal(arch_cut(&a, 5), ST_CONFIG);
    assert_non_null(strstr(status_text(), "1 to 4"));
    assert_int_equal(arch_cut(&a, 0), ST_CONFIG);
    assert_int_equal(a.L, 4);
    assert_int_equal(arch_cut(&a, 2), ST_OK);
    assert_int_equal(a.L, 2);
    assert_int_equal(a.window[1], 32);
    assert_int_equal(a.window[3], 0);
    /* The same as a file with two layers. */
    arch two = text_ok(
        "{\"model_type\":\"gpt_neo\",\"num_layers\":2,\"hidden_size\":128,"
        "\"num_heads\":4,\"vocab_size\":256,\"max_position_embeddings\":256,"
        "\"window_size\":32,\"attention_types\":[[[\"global\",\"local\"],1]]}");
    assert_true(arch_hash(&a) == arch_hash(&two));
}

static void test_hash(void **state)
{
    (void)state;
    arch a = open_ok("gpt-neo-tiny");
    uint64_t h = arch_hash(&a);
    arch b = a;
    memcpy(b.name, "other", 6);
    b.qkv = QKV_FUSED;
    b.init_std = 1;
    assert_true(arch_hash(&b) == h);
    b = a;
    b.window[3] = 31;
    assert_true(arch_hash(&b) != h);
    b = a;
    b.tied = false;
    assert_true(arch_hash(&b) != h);
    b = a;
    b.norm_eps = 1e-6F;
    assert_true(arch_hash(&b) != h);
    b = open_ok("gpt-j-tiny");
    assert_true(arch_hash(&b) != h);
}

static void test_flops(void **state)
{
    (void)state;
    arch a = open_ok("gpt-neo-125m");
    assert_true(arch_flops_per_token(&a, 0) == 741192192.0);
    assert_true(arch_flops_per_token(&a, 2048) == 967684608.0);
    a = open_ok("gpt-j-6b");
    assert_true(arch_flops_per_token(&a, 0) == 35061497856.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt_neo),
        cmocka_unit_test(test_gptj),
        cmocka_unit_test(test_gpt2),
        cmocka_unit_test(test_gpt_neox),
        cmocka_unit_test(test_all_files_open),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_dot_is_named_after_folder),
        cmocka_unit_test(test_failed_allocations),
        cmocka_unit_test(test_mistakes_in_keys),
        cmocka_unit_test(test_mistakes_in_sizes),
        cmocka_unit_test(test_mistakes_in_attention),
        cmocka_unit_test(test_dropout_is_noted),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_vocab),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_flops),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder) != 0;
}
