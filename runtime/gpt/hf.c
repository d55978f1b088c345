/*
 * The table of families. Everything in it is Hugging Face's choice: names,
 * defaults of the config classes, which layout a family's files have. The
 * names gpt2, gpt_neo, gptj and gpt_neox stand nowhere else in the code.
 */
#include "runtime/gpt/hf.h"

#include <stdio.h>
#include <string.h>

/* What any config may carry. They steer generation, fine-tuning and
 * loading; none changes what is trained. The class's own keys come first, so
 * a key here may be overruled by a family. */
static const hf_key common_keys[] = {
    {"model_type", HF_IGNORE}, /* has been read when keys are looked at */
    {"tie_word_embeddings", HF_TIED},
    {"is_encoder_decoder", HF_FALSE},
    {"add_cross_attention", HF_FALSE},
    {"pruned_heads", HF_FALSE},
    {"per_layer_config", HF_FALSE},
    {"quantization_config", HF_FALSE},
    {"architectures", HF_IGNORE},
    {"attn_implementation", HF_IGNORE},
    {"auto_map", HF_IGNORE},
    {"bad_words_ids", HF_IGNORE},
    {"begin_suppress_tokens", HF_IGNORE},
    {"bos_token_id", HF_IGNORE},
    {"chunk_size_feed_forward", HF_IGNORE},
    {"classifier_dropout", HF_IGNORE}, /* of a head for classification */
    {"cross_attention_hidden_size", HF_IGNORE},
    {"custom_pipelines", HF_IGNORE}, /* Dolly v2: names of Python files */
    {"decoder_start_token_id", HF_IGNORE},
    {"diversity_penalty", HF_IGNORE},
    {"do_sample", HF_IGNORE},
    {"dtype", HF_IGNORE},
    {"early_stopping", HF_IGNORE},
    {"encoder_no_repeat_ngram_size", HF_IGNORE},
    {"eos_token_id", HF_IGNORE},
    {"exponential_decay_length_penalty", HF_IGNORE},
    {"finetuning_task", HF_IGNORE},
    {"forced_bos_token_id", HF_IGNORE},
    {"forced_eos_token_id", HF_IGNORE},
    {"gradient_checkpointing", HF_IGNORE},
    {"id2label", HF_IGNORE},
    {"is_decoder", HF_IGNORE},
    {"label2id", HF_IGNORE},
    {"length_penalty", HF_IGNORE},
    {"max_length", HF_IGNORE},
    {"min_length", HF_IGNORE},
    {"name_or_path", HF_IGNORE},
    {"no_repeat_ngram_size", HF_IGNORE},
    {"num_beam_groups", HF_IGNORE},
    {"num_beams", HF_IGNORE},
    {"num_labels", HF_IGNORE},
    {"num_return_sequences", HF_IGNORE},
    {"num_steps", HF_IGNORE}, /* Polyglot-Ko: where training had come to */
    {"output_attentions", HF_IGNORE},
    {"output_hidden_states", HF_IGNORE},
    {"output_scores", HF_IGNORE},
    {"pad_token_id", HF_IGNORE},
    {"prefix", HF_IGNORE},
    {"problem_type", HF_IGNORE},
    {"remove_invalid_values", HF_IGNORE},
    {"repetition_penalty", HF_IGNORE},
    {"return_dict", HF_IGNORE},
    {"return_dict_in_generate", HF_IGNORE},
    {"sep_token_id", HF_IGNORE},
    {"summary_activation", HF_IGNORE},
    {"summary_first_dropout", HF_IGNORE},
    {"summary_proj_to_labels", HF_IGNORE},
    {"summary_type", HF_IGNORE},
    {"summary_use_proj", HF_IGNORE},
    {"suppress_tokens", HF_IGNORE},
    {"task_specific_params", HF_IGNORE},
    {"temperature", HF_IGNORE},
    {"tf_legacy_loss", HF_IGNORE},
    {"tie_encoder_decoder", HF_IGNORE},
    {"tie_last_hidden_states", HF_IGNORE}, /* which one is handed out */
    {"tokenizer_class", HF_IGNORE},
    {"top_k", HF_IGNORE},
    {"top_p", HF_IGNORE},
    {"torch_dtype", HF_IGNORE},
    {"torchscript", HF_IGNORE},
    {"transformers_version", HF_IGNORE},
    {"typical_p", HF_IGNORE},
    {"use_bfloat16", HF_IGNORE},
    {"use_cache", HF_IGNORE},
    {NULL, HF_IGNORE},
};

static const hf_key gpt2_keys[] = {
    {"n_embd", HF_WIDTH},
    {"hidden_size", HF_WIDTH},
    {"n_layer", HF_LAYERS},
    {"num_hidden_layers", HF_LAYERS},
    {"n_head", HF_HEADS},
    {"num_attention_heads", HF_HEADS},
    {"n_inner", HF_INNER},
    {"n_positions", HF_POSITIONS},
    {"max_position_embeddings", HF_POSITIONS},
    {"n_ctx", HF_IGNORE}, /* old files repeat n_positions here */
    {"vocab_size", HF_VOCAB},
    {"activation_function", HF_ACT},
    {"layer_norm_epsilon", HF_EPS},
    {"initializer_range", HF_STD},
    {"resid_pdrop", HF_DROPOUT},
    {"embd_pdrop", HF_DROPOUT},
    {"attn_pdrop", HF_DROPOUT},
    {"scale_attn_weights", HF_SCALED},
    {"scale_attn_by_inverse_layer_idx", HF_FALSE},
    {"reorder_and_upcast_attn", HF_IGNORE}, /* all is fp32 here anyway */
    {"n_special", HF_IGNORE},               /* of the first published files */
    {"predict_special_tokens", HF_IGNORE},
    {"output_past", HF_IGNORE},
    {NULL, HF_IGNORE},
};

static const hf_key gpt_neo_keys[] = {
    {"hidden_size", HF_WIDTH},
    {"num_layers", HF_LAYERS},
    {"num_hidden_layers", HF_LAYERS},
    {"num_heads", HF_HEADS},
    {"num_attention_heads", HF_HEADS},
    {"intermediate_size", HF_INNER},
    {"max_position_embeddings", HF_POSITIONS},
    {"vocab_size", HF_VOCAB},
    {"activation_function", HF_ACT},
    {"layer_norm_epsilon", HF_EPS},
    {"initializer_range", HF_STD},
    {"attention_types", HF_ATTENTION_TYPES},
    {"attention_layers", HF_ATTENTION_LAYERS},
    {"window_size", HF_WINDOW},
    {"resid_dropout", HF_DROPOUT},
    {"embed_dropout", HF_DROPOUT},
    {"attention_dropout", HF_DROPOUT},
    {NULL, HF_IGNORE},
};

static const hf_key gptj_keys[] = {
    {"n_embd", HF_WIDTH},
    {"hidden_size", HF_WIDTH},
    {"n_layer", HF_LAYERS},
    {"num_hidden_layers", HF_LAYERS},
    {"n_head", HF_HEADS},
    {"num_attention_heads", HF_HEADS},
    {"n_inner", HF_INNER},
    {"n_positions", HF_POSITIONS},
    {"max_position_embeddings", HF_POSITIONS},
    {"n_ctx", HF_IGNORE},
    {"vocab_size", HF_VOCAB},
    {"activation_function", HF_ACT},
    {"layer_norm_epsilon", HF_EPS},
    {"initializer_range", HF_STD},
    {"rotary_dim", HF_ROTARY_DIM},
    {"rotary", HF_TRUE},
    {"scale_attn_weights", HF_TRUE},
    {"resid_pdrop", HF_DROPOUT},
    {"embd_pdrop", HF_DROPOUT},
    {"attn_pdrop", HF_DROPOUT},
    {NULL, HF_IGNORE},
};

static const hf_key gpt_neox_keys[] = {
    {"hidden_size", HF_WIDTH},
    {"num_hidden_layers", HF_LAYERS},
    {"num_attention_heads", HF_HEADS},
    {"intermediate_size", HF_INNER},
    {"max_position_embeddings", HF_POSITIONS},
    {"vocab_size", HF_VOCAB},
    {"hidden_act", HF_ACT},
    {"layer_norm_eps", HF_EPS},
    {"initializer_range", HF_STD},
    {"use_parallel_residual", HF_PARALLEL},
    {"attention_bias", HF_ATTENTION_BIAS},
    {"rotary_pct", HF_ROTARY_PART},
    {"partial_rotary_factor", HF_ROTARY_PART_COPY},
    {"rotary_emb_base", HF_ROTARY_BASE},
    {"rope_theta", HF_ROTARY_BASE_COPY},
    {"rope_parameters", HF_ROPE},
    {"rope_scaling", HF_ROPE},
    {"hidden_dropout", HF_DROPOUT},
    {"hidden_dropout_prob", HF_DROPOUT}, /* of the first published files */
    {"attention_dropout", HF_DROPOUT},
    {"attention_probs_dropout_prob", HF_DROPOUT},
    {NULL, HF_IGNORE},
};

/* No bias flag: false. No key of these families can change the flags here,
 * but where a use above says so. */
static const hf_family families[] = {
    {
        .model_type = "gpt2",
        .class_name = "GPT2LMHeadModel",
        .keys = gpt2_keys,
        .base = {.L = 12,
                 .C = 768,
                 .H = 12,
                 .V = 50257,
                 .positions = 1024,
                 .pos = POS_LEARNED,
                 .residual = RES_SEQUENTIAL,
                 .bias_qkv = true,
                 .bias_out = true,
                 .bias_mlp = true,
                 .qkv = QKV_FUSED,
                 .file_transposed = true,
                 .act = ACT_GELU_TANH,
                 .tied = true,
                 .norm_eps = 1e-5F,
                 .init_std = 0.02F,
                 .init_residual_scaled = true},
        .bos = 50256,
        .eos = 50256,
        .scaled = true,
        .dropout = 0.1,
        .modules = {[HF_MOD_WTE] = {"transformer.wte"},
                    [HF_MOD_WPE] = {"transformer.wpe"},
                    [HF_MOD_LN1] = {"transformer.h.#.ln_1"},
                    [HF_MOD_QKV] = {"transformer.h.#.attn.c_attn"},
                    [HF_MOD_OUT] = {"transformer.h.#.attn.c_proj"},
                    [HF_MOD_LN2] = {"transformer.h.#.ln_2"},
                    [HF_MOD_FCIN] = {"transformer.h.#.mlp.c_fc"},
                    [HF_MOD_FCOUT] = {"transformer.h.#.mlp.c_proj"},
                    [HF_MOD_LNF] = {"transformer.ln_f"},
                    [HF_MOD_HEAD] = {"lm_head"}},
        .aliases = {{"transformer.", "", false}},
    },
    {
        .model_type = "gpt_neo",
        .class_name = "GPTNeoForCausalLM",
        .keys = gpt_neo_keys,
        .base = {.L = 24,
                 .C = 2048,
                 .H = 16,
                 .V = 50257,
                 .positions = 2048,
                 .pos = POS_LEARNED,
                 .residual = RES_SEQUENTIAL,
                 .bias_out = true,
                 .bias_mlp = true,
                 .qkv = QKV_SEPARATE,
                 .act = ACT_GELU_TANH,
                 .tied = true,
                 .norm_eps = 1e-5F,
                 .init_std = 0.02F},
        .bos = 50256,
        .eos = 50256,
        .window = 256,
        .alternating = 24,
        .modules = {[HF_MOD_WTE] = {"transformer.wte"},
                    [HF_MOD_WPE] = {"transformer.wpe"},
                    [HF_MOD_LN1] = {"transformer.h.#.ln_1"},
                    [HF_MOD_QKV] = {"transformer.h.#.attn.attention.q_proj",
                                    "transformer.h.#.attn.attention.k_proj",
                                    "transformer.h.#.attn.attention.v_proj"},
                    [HF_MOD_OUT] = {"transformer.h.#.attn.attention.out_proj"},
                    [HF_MOD_LN2] = {"transformer.h.#.ln_2"},
                    [HF_MOD_FCIN] = {"transformer.h.#.mlp.c_fc"},
                    [HF_MOD_FCOUT] = {"transformer.h.#.mlp.c_proj"},
                    [HF_MOD_LNF] = {"transformer.ln_f"},
                    [HF_MOD_HEAD] = {"lm_head"}},
        .aliases = {{"transformer.", "", false}},
    },
    {
        .model_type = "gptj",
        .class_name = "GPTJForCausalLM",
        .keys = gptj_keys,
        .base = {.L = 28,
                 .C = 4096,
                 .H = 16,
                 .V = 50400,
                 .positions = 2048,
                 .pos = POS_ROTARY,
                 .rotary_dims = 64,
                 .rotary_pairing = PAIR_NEIGHBOURS,
                 .rotary_base = 10000.0F,
                 .residual = RES_PARALLEL_ONE,
                 .bias_mlp = true,
                 .qkv = QKV_SEPARATE,
                 .act = ACT_GELU_TANH,
                 .head_bias = true,
                 .norm_eps = 1e-5F,
                 .init_std = 0.02F},
        .bos = 50256,
        .eos = 50256,
        .scaled = true,
        .modules = {[HF_MOD_WTE] = {"transformer.wte"},
                    [HF_MOD_LN1] = {"transformer.h.#.ln_1"},
                    [HF_MOD_QKV] = {"transformer.h.#.attn.q_proj",
                                    "transformer.h.#.attn.k_proj",
                                    "transformer.h.#.attn.v_proj"},
                    [HF_MOD_OUT] = {"transformer.h.#.attn.out_proj"},
                    [HF_MOD_FCIN] = {"transformer.h.#.mlp.fc_in"},
                    [HF_MOD_FCOUT] = {"transformer.h.#.mlp.fc_out"},
                    [HF_MOD_LNF] = {"transformer.ln_f"},
                    [HF_MOD_HEAD] = {"lm_head"}},
        .aliases = {{"transformer.", "", false}},
    },
    {
        .model_type = "gpt_neox",
        .class_name = "GPTNeoXForCausalLM",
        .keys = gpt_neox_keys,
        .base = {.L = 44,
                 .C = 6144,
                 .H = 64,
                 .F = 24576,
                 .V = 50432,
                 .positions = 2048,
                 .pos = POS_ROTARY,
                 .rotary_pairing = PAIR_HALVES,
                 .rotary_base = 10000.0F,
                 .residual = RES_PARALLEL_TWO,
                 .bias_qkv = true,
                 .bias_out = true,
                 .bias_mlp = true,
                 .qkv = QKV_FUSED_PER_HEAD,
                 .act = ACT_GELU_ERF,
                 .norm_eps = 1e-5F,
                 .init_std = 0.02F},
        .eos = 2,
        .scaled = true,
        .rotary_part = 0.25,
        .modules =
            {[HF_MOD_WTE] = {"gpt_neox.embed_in"},
             [HF_MOD_LN1] = {"gpt_neox.layers.#.input_layernorm"},
             [HF_MOD_QKV] = {"gpt_neox.layers.#.attention.query_key_value"},
             [HF_MOD_OUT] = {"gpt_neox.layers.#.attention.dense"},
             [HF_MOD_LN2] = {"gpt_neox.layers.#.post_attention_layernorm"},
             [HF_MOD_FCIN] = {"gpt_neox.layers.#.mlp.dense_h_to_4h"},
             [HF_MOD_FCOUT] = {"gpt_neox.layers.#.mlp.dense_4h_to_h"},
             [HF_MOD_LNF] = {"gpt_neox.final_layer_norm"},
             [HF_MOD_HEAD] = {"lm_head"}},
        /* Published files have the older name of the head. */
        .aliases = {{"lm_head.", "embed_out.", true}, {"gpt_neox.", "", false}},
    },
};

int hf_families(void)
{
    return (int)(sizeof(families) / sizeof(families[0]));
}

const hf_family *hf_family_at(int32_t family)
{
    ASSERT(family >= 0 && family < hf_families());
    return &families[family];
}

const hf_key *hf_common_keys(void)
{
    return common_keys;
}

/* Which module a role belongs to, and whether it is the bias of it. */
static const struct {
    hf_module module;
    bool bias;
} role_modules[PARAM_ROLES] = {
    [PARAM_WTE] = {HF_MOD_WTE, false},
    [PARAM_WPE] = {HF_MOD_WPE, false},
    [PARAM_LN1_W] = {HF_MOD_LN1, false},
    [PARAM_LN1_B] = {HF_MOD_LN1, true},
    [PARAM_QKV_W] = {HF_MOD_QKV, false},
    [PARAM_QKV_B] = {HF_MOD_QKV, true},
    [PARAM_OUT_W] = {HF_MOD_OUT, false},
    [PARAM_OUT_B] = {HF_MOD_OUT, true},
    [PARAM_LN2_W] = {HF_MOD_LN2, false},
    [PARAM_LN2_B] = {HF_MOD_LN2, true},
    [PARAM_FCIN_W] = {HF_MOD_FCIN, false},
    [PARAM_FCIN_B] = {HF_MOD_FCIN, true},
    [PARAM_FCOUT_W] = {HF_MOD_FCOUT, false},
    [PARAM_FCOUT_B] = {HF_MOD_FCOUT, true},
    [PARAM_LNF_W] = {HF_MOD_LNF, false},
    [PARAM_LNF_B] = {HF_MOD_LNF, true},
    [PARAM_HEAD_W] = {HF_MOD_HEAD, false},
    [PARAM_HEAD_B] = {HF_MOD_HEAD, true},
};

void hf_tensor_name(const arch *a, param_role role, int layer, int part,
                    char out[ARCH_NAME_MAX])
{
    ASSERT(part >= 0 && part < PARAM_PARTS_MAX);
    const hf_family *fam = hf_family_at(a->family);
    const char *module = fam->modules[role_modules[role].module][part];
    ASSERT(module != NULL);
    const char *end = role_modules[role].bias ? ".bias" : ".weight";
    const char *hash = strchr(module, '#');
    int n = 0;
    if (hash == NULL) {
        n = snprintf(out, ARCH_NAME_MAX, "%s%s", module, end);
    } else {
        n = snprintf(out, ARCH_NAME_MAX, "%.*s%d%s%s", (int)(hash - module),
                     module, layer, hash + 1, end);
    }
    ASSERT(n > 0 && n < ARCH_NAME_MAX);
}

bool hf_tensor_alias(const arch *a, const char *name, int k,
                     char out[ARCH_NAME_MAX])
{
    const hf_family *fam = hf_family_at(a->family);
    for (int i = 0; i < HF_ALIASES_MAX; i++) {
        const struct hf_alias *alias = &fam->aliases[i];
        if (alias->ours == NULL) {
            break;
        }
        size_t len = strlen(alias->ours);
        if (strncmp(name, alias->ours, len) != 0 || k-- > 0) {
            continue;
        }
        int n = snprintf(out, ARCH_NAME_MAX, "%s%s", alias->theirs, name + len);
        ASSERT(n > 0 && n < ARCH_NAME_MAX);
        return true;
    }
    return false;
}

void hf_tensor_published(const arch *a, const char *name,
                         char out[ARCH_NAME_MAX])
{
    const hf_family *fam = hf_family_at(a->family);
    const char *start = "";
    for (int i = 0; i < HF_ALIASES_MAX && fam->aliases[i].ours != NULL; i++) {
        const struct hf_alias *alias = &fam->aliases[i];
        size_t len = strlen(alias->ours);
        if (alias->published && strncmp(name, alias->ours, len) == 0) {
            start = alias->theirs;
            name += len;
            break;
        }
    }
    int n = snprintf(out, ARCH_NAME_MAX, "%s%s", start, name);
    ASSERT(n > 0 && n < ARCH_NAME_MAX);
}
