/*
 * The config.json that Weft writes: for transformers, with all that any of its
 * versions would else take from defaults, and for a run with another
 * vocabulary. Each reads back as the same model. Run from the top of the
 * repository.
 */
#include "runtime/base/text.h"
#include "runtime/gpt/arch.h"
#include "tests/common/scratch.h"

static char *hf_config(const char *model, int layers)
{
    char *text = NULL, *out = NULL;
    arch a;

    OK(arch_open(model, &a));
    if (layers > 0) {
        OK(arch_cut(&a, layers));
    }
    OK(arch_config_text(model, &text));
    OK(arch_hf_config(&a, text, &out));
    mem_free(text);
    return out;
}

static void config_has(const char *config, const char *part, bool wanted)
{
    if ((strstr(config, part) != NULL) != wanted) {
        fail_msg("'%s' is %s in\n%s", part, wanted ? "not" : "still", config);
    }
}

static void test_config(void **state)
{
    char *c = hf_config("gpt-neo-125m", 3);
    arch a, b;
    (void)state;

    config_has(c, "\"architectures\": [\"GPTNeoForCausalLM\"]", true);
    config_has(c, "\"num_layers\": 3", true);
    config_has(c, "\"intermediate_size\": 3072", true);
    config_has(c, "[[[\"global\"], 1], [[\"local\"], 1], [[\"global\"], 1]]",
               true);
    config_has(c, "\"attention_layers\": [\"global\", \"local\", \"global\"]",
               true);
    config_has(c, "\"torch_dtype\": \"float32\"", true);
    config_has(c, "\"bos_token_id\": 50256", true);
    config_has(c, "\"embed_dropout\": 0.0", true);
    OK(text_write_file(path_of("config.json"), c, strlen(c)));
    OK(arch_open(path_of("config.json"), &b));
    OK(arch_open("gpt-neo-125m", &a));
    OK(arch_cut(&a, 3));
    assert_true(arch_hash(&a) == arch_hash(&b));
    mem_free(c);

    /* What its keys left to defaults is written out. */
    static const char *const bare =
        "{\"model_type\": \"gptj\", \"n_layer\": 2, \"auto_map\": {\"A\": 1},"
        " \"custom_pipelines\": {\"a\": {}}, \"num_steps\": \"global_step1\","
        " \"dtype\": \"float16\", \"_name_or_path\": \"x\", \"_note\": 1}";
    OK(text_write_file(path_of("config.json"), bare, strlen(bare)));
    c = hf_config(path_of("config.json"), 0);
    config_has(c, "GPTJForCausalLM", true);
    config_has(c, "\"rotary_dim\": 64", true);
    config_has(c, "\"n_inner\": 16384", true);
    config_has(c, "\"tie_word_embeddings\": false", true);
    config_has(c, "float16", false);
    config_has(c, "auto_map", false);
    config_has(c, "custom_pipelines", false); /* its Python is not written */
    config_has(c, "num_steps", true);
    config_has(c, "_name_or_path", false);
    config_has(c, "_note", true);
    config_has(c, "token_id", false); /* the class's are in its vocabulary */
    mem_free(c);
    unlink(path_of("config.json"));
}

/* Without these keys transformers would take 50256, of 256 tokens. */
static void test_config_tokens(void **state)
{
    static const char bare[] = "{\"model_type\": \"gpt2\", \"vocab_size\": "
                               "256, \"eos_token_id\": 7}";
    (void)state;

    OK(text_write_file(path_of("config.json"), bare, strlen(bare)));
    char *c = hf_config(path_of("config.json"), 0);
    config_has(c, "\"bos_token_id\": null", true);
    config_has(c, "\"eos_token_id\": 7", true);
    mem_free(c);
    unlink(path_of("config.json"));
}

/* transformers 4 knows nothing of rope_parameters: the keys it reads are
 * written too, with the very values, not with what they come to. */
static void test_config_rotary(void **state)
{
    static const char *const texts[] = {
        "\"rope_parameters\": {\"rope_type\": \"default\","
        " \"rope_theta\": 500.0, \"partial_rotary_factor\": 0.33}",
        "\"rotary_pct\": 0.33, \"rope_scaling\": {\"type\": \"default\","
        " \"rope_theta\": 500}",
        "\"rotary_emb_base\": 500.0, \"partial_rotary_factor\": 0.33,"
        " \"rotary_pct\": 0.33",
    };
    arch a, b;
    (void)state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "{\"model_type\": \"gpt_neox\", \"num_hidden_layers\": 2,"
                 " \"hidden_size\": 60, \"num_attention_heads\": 3, %s}",
                 texts[i]);
        OK(text_write_file(path_of("config.json"), text, strlen(text)));
        OK(arch_open(path_of("config.json"), &a));
        assert_int_equal(a.rotary_dims, 6);
        char *c = hf_config(path_of("config.json"), 0);
        config_has(c, "\n  \"rotary_pct\": 0.33", true);
        config_has(c, "\n  \"rotary_emb_base\": 500", true);
        OK(arch_open_text(c, "config.json", &b));
        assert_true(arch_hash(&a) == arch_hash(&b));
        mem_free(c);
    }
    char *c = hf_config("pythia-14m", 0);
    config_has(c, "\"rotary_emb_base\": 10000", true);
    mem_free(c);
    unlink(path_of("config.json"));
}

/* Ids of tokens that a smaller vocabulary has not are gone: as null, since
 * without the key transformers takes 50256 of its own. */
static void test_vocab_tokens(void **state)
{
    static const char config[] =
        "{\"model_type\":\"gpt2\",\"bos_token_id\":50256,\"eos_token_id\":[256,"
        "3,50256],"
        "\"pad_token_id\":255,\"sep_token_id\":null,"
        "\"decoder_start_token_id\":[256],"
        "\"bad_words_ids\":[[1,300],[7]],\"suppress_tokens\":[1,2],"
        "\"vocab_size\":50257}";
    static const char *const wanted[] = {
        "\"bos_token_id\": null",   "\"eos_token_id\": [3]",
        "\"pad_token_id\": 255",    "\"decoder_start_token_id\": null",
        "\"bad_words_ids\": [[7]]", "\"vocab_size\": 256",
        "\"sep_token_id\": null",
    };
    char *changed = NULL;
    arch a;
    (void)state;
    OK(arch_config_with_vocab(config, 256, &changed));
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        config_has(changed, wanted[i], true);
    }
    OK(arch_open_text(changed, "config.json", &a));
    assert_int_equal(a.V, 256);
    mem_free(changed);
    /* A larger one keeps all. */
    OK(arch_config_with_vocab(config, 60000, &changed));
    config_has(changed, "\"bos_token_id\": 50256", true);
    config_has(changed, "300", true);
    config_has(changed, "null", true); /* sep_token_id */
    mem_free(changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_config_tokens),
        cmocka_unit_test(test_config_rotary),
        cmocka_unit_test(test_vocab_tokens),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder) != 0;
}
