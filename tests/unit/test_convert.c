/*
 * Conversion of Hugging Face folders: every golden model arrives bit for bit,
 * under any of the names that published files use; anything that is not
 * exactly the model is refused with the tensor's name and leaves no file. Run
 * from the top of the repository.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "runtime/base/text.h"
#include "runtime/gpt/arch.h"
#include "runtime/gpt/params.h"
#include "runtime/io/h5.h"
#include "runtime/io/safetensors.h"
#include "runtime/results/checkpoint.h"
#include "runtime/results/convert.h"
#include "tests/common/scratch.h"

/* ---- folders made from a golden ------------------------------------------ */

/* A tensor to add: values of the golden's tensor `like`, the first changed by
 * `off`. */
typedef struct extra {
    const char *name;
    const char *like;
    float off;
} extra;

typedef struct variant {
    const char *golden;
    const char *strip;  /* beginning of names to drop                    */
    const char *prefix; /* to put in its place, NULL: nothing            */
    const char *skip;   /* tensor to leave out                           */
    extra extras[2];
    int64_t from, to; /* tensors in the file: a shard; 0, 0: all         */
} variant;

enum { MANY = 128 };

static float *floats_of(const safetensors_info *info)
{
    float *data = NULL;

    OK(MEM_NEW(&data, info->count, "test"));
    OK(safetensors_read_all(info, info->count, data));
    return data;
}

static void name_for(const variant *v, const char *name, char out[256])
{
    const bool strips = v->strip != NULL && text_starts(name, v->strip);

    snprintf(out, 256, "%s%s", strips && v->prefix != NULL ? v->prefix : "",
             name + (strips ? strlen(v->strip) : 0));
}

static void copy_config(const variant *v)
{
    char path[160];
    char *text = NULL;
    size_t len = 0;

    snprintf(path, sizeof(path), "%s/config.json", v->golden);
    OK(text_read_file(path, 1 << 20, &text, &len));
    OK(text_write_file(path_of("model/config.json"), text, len));
    mem_free(text);
}

/* Writes the variant as model/<file>, with its config.json. */
static void make(const variant *v, const char *file)
{
    static char names[MANY][256];
    safetensors_entry entries[MANY];
    const safetensors_info *sources[MANY];
    float offs[MANY] = {0};
    safetensors *in = NULL;
    safetensors_writer *out = NULL;
    int64_t n = 0;

    OK(text_make_dirs(path_of("model")));
    copy_config(v);
    OK(safetensors_open(v->golden, &in));
    const int64_t to = v->to > 0 ? v->to : safetensors_count(in);
    for (int64_t i = v->from; i < to && i < safetensors_count(in); i++) {
        const safetensors_info *info = safetensors_at(in, i);
        if (v->skip == NULL || strcmp(info->name, v->skip) != 0) {
            name_for(v, info->name, names[n]);
            sources[n++] = info;
        }
    }
    for (int e = 0; e < 2 && v->extras[e].name != NULL; e++) {
        snprintf(names[n], sizeof(names[n]), "%s", v->extras[e].name);
        offs[n] = v->extras[e].off;
        sources[n++] = safetensors_find(in, v->extras[e].like);
        assert_non_null(sources[n - 1]);
    }
    for (int64_t i = 0; i < n; i++) {
        entries[i].name = names[i];
        entries[i].n_dims = sources[i]->n_dims;
        memcpy(entries[i].dim, sources[i]->dim, sizeof(entries[i].dim));
    }
    char path[192];
    snprintf(path, sizeof(path), "%s/model/%s", folder, file);
    OK(safetensors_create(path, entries, n, &out));
    for (int64_t i = 0; i < n; i++) {
        float *data = floats_of(sources[i]);
        data[0] += offs[i];
        OK(safetensors_write(out, data, sources[i]->count));
        mem_free(data);
    }
    OK(safetensors_commit(&out));
    safetensors_close(in);
}

static status convert_variant(const variant *v)
{
    make(v, "model.safetensors");
    return convert_from_hf(path_of("model"), path_of("out.h5"), NULL);
}

/* Every tensor of the golden is in the checkpoint, and nothing else. */
static void check_same(const char *golden)
{
    safetensors *in = NULL;
    h5_file *f = NULL;
    int64_t count = 0;

    OK(safetensors_open(golden, &in));
    OK(h5_open(path_of("out.h5"), &f));
    OK(h5_group_count(f, "/weights", &count));
    assert_int_equal(count, safetensors_count(in));
    for (int64_t i = 0; i < count; i++) {
        const safetensors_info *info = safetensors_at(in, i);
        char path[256];
        float *have = NULL;
        float *want = floats_of(info);
        snprintf(path, sizeof(path), "/weights/%s", info->name);
        OK(h5_data_check(f, path, H5_KIND_FLOAT, info->n_dims, info->dim));
        OK(h5_checksum_verify(f, path));
        OK(MEM_NEW(&have, info->count, "test"));
        OK(h5_data_read_all(f, path, H5_F32, info->count, have));
        assert_memory_equal(have, want, (size_t)info->count * sizeof(float));
        mem_free(have);
        mem_free(want);
    }
    OK(h5_close(&f));
    safetensors_close(in);
}

/* ---- what is taken ------------------------------------------------------- */

static const char *const goldens[] = {
    "tests/golden/gpt2_three_heads",
    "tests/golden/gpt_neo_local",
    "tests/golden/gpt_neo_odd_heads_untied",
    "tests/golden/gpt_neo_odd_inner",
    "tests/golden/gpt_neox_partial_rotary",
    "tests/golden/gptj_full_rotary",
    "tests/golden/gptj_one_head_tied",
    "tests/golden/gptj_partial_rotary",
    "tests/golden/gpt2_exact_untied",
    "tests/golden/gpt_neox_sequential_tied",
};

static void test_goldens(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++) {
        ckpt_info info;
        arch a, b;
        char path[128];
        char *config = NULL;
        OK(convert_from_hf(goldens[i], path_of("out.h5"), NULL));
        check_same(goldens[i]);
        OK(ckpt_peek(path_of("out.h5"), &info));
        assert_true(info.weights_only && info.step == 0);
        assert_string_equal(info.model, text_path_base(goldens[i]));
        snprintf(path, sizeof(path), "%s/config.json", goldens[i]);
        OK(text_read_file(path, 1 << 20, &config, NULL));
        assert_string_equal(info.config, config);
        mem_free(config);
        ckpt_info_fini(&info);
        OK(arch_open(goldens[i], &a));
        OK(ckpt_arch(path_of("out.h5"), &b));
        assert_true(arch_hash(&a) == arch_hash(&b));
        assert_string_equal(a.name, b.name);
    }
}

/* Fused q, k and v of head h, as the parameter table has them, from the
 * golden's own three matrices. */
static status check_qkv(void *self, int par, store_state which,
                        const float *full)
{
    static const char *const qkv[3] = {"q_proj", "k_proj", "v_proj"};
    safetensors *in = self;
    arch a;
    params ps;

    assert_int_equal(which, STORE_WEIGHT);
    OK(arch_open("tests/golden/gptj_partial_rotary", &a));
    OK(params_init(&a, &ps));
    if (par == params_find(&ps, 0, PARAM_QKV_W)) {
        for (int part = 0; part < 3; part++) {
            char name[96];
            snprintf(name, sizeof(name), "transformer.h.0.attn.%s.weight",
                     qkv[part]);
            float *file = floats_of(safetensors_find(in, name));
            for (int64_t h = 0; h < a.H; h++) {
                const float *mem = full + (h * 3 + part) * a.D * a.C;
                assert_memory_equal(mem, file + h * a.D * a.C,
                                    (size_t)(a.D * a.C) * sizeof(float));
            }
            mem_free(file);
        }
    }
    params_fini(&ps);
    return ST_OK;
}

static void test_loads_as_model(void **state)
{
    static const char golden[] = "tests/golden/gptj_partial_rotary";
    safetensors *in = NULL;
    arch a;
    params ps;
    (void)state;

    OK(convert_from_hf(golden, path_of("out.h5"), NULL));
    OK(safetensors_open(golden, &in));
    OK(arch_open(golden, &a));
    OK(params_init(&a, &ps));
    const ckpt_sink sink = {in, check_qkv};
    OK(ckpt_load(path_of("out.h5"), &a, &ps, CKPT_WEIGHTS, &sink));
    assert_int_equal(ckpt_load(path_of("out.h5"), &a, &ps, CKPT_ALL, &sink),
                     ST_CONFIG);
    params_fini(&ps);
    safetensors_close(in);
}

/* Without the model's prefix, with the older name of the head, with buffers
 * and with a copy of the tied embedding as head. */
static void test_published_names(void **state)
{
    static const variant variants[] = {
        {.golden = "tests/golden/gpt2_three_heads", .strip = "transformer."},
        {.golden = "tests/golden/gpt_neo_local", .strip = "transformer."},
        {.golden = "tests/golden/gpt_neox_partial_rotary",
         .strip = "lm_head.",
         .prefix = "embed_out."},
        {.golden = "tests/golden/gpt2_three_heads",
         .extras = {{"transformer.h.0.attn.bias", "transformer.wpe.weight", 0},
                    {"lm_head.weight", "transformer.wte.weight", 0}}},
        {.golden = "tests/golden/gpt_neo_local",
         .extras = {{"transformer.h.1.attn.attention.bias",
                     "transformer.wpe.weight", 0},
                    {"transformer.h.1.attn.attention.masked_bias",
                     "transformer.ln_f.bias", 0}}},
        {.golden = "tests/golden/gpt_neox_partial_rotary",
         .extras = {{"gpt_neox.layers.0.attention.rotary_emb.inv_freq",
                     "gpt_neox.final_layer_norm.bias", 0},
                    {"gpt_neox.layers.0.attention.masked_bias",
                     "gpt_neox.final_layer_norm.bias", 0}}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        OK(convert_variant(&variants[i]));
        check_same(variants[i].golden);
    }
}

/* What safetensors.torch.save_model leaves of a tied model: the head. */
static void test_tied_by_head(void **state)
{
    static const variant variants[] = {
        {.golden = "tests/golden/gpt2_three_heads",
         .skip = "transformer.wte.weight",
         .extras = {{"lm_head.weight", "transformer.wte.weight", 0}}},
        {.golden = "tests/golden/gpt_neo_local",
         .skip = "transformer.wte.weight",
         .extras = {{"lm_head.weight", "transformer.wte.weight", 0}}},
        {.golden = "tests/golden/gptj_one_head_tied",
         .skip = "transformer.wte.weight",
         .extras = {{"lm_head.weight", "transformer.wte.weight", 0}}},
        {.golden = "tests/golden/gpt_neox_sequential_tied",
         .skip = "gpt_neox.embed_in.weight",
         .extras = {{"lm_head.weight", "gpt_neox.embed_in.weight", 0}}},
        {.golden = "tests/golden/gpt_neox_sequential_tied",
         .skip = "gpt_neox.embed_in.weight",
         .extras = {{"embed_out.weight", "gpt_neox.embed_in.weight", 0}}},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
        OK(convert_variant(&variants[i]));
        check_same(variants[i].golden);
    }
}

static void test_shards(void **state)
{
    static const char golden[] = "tests/golden/gpt_neo_odd_heads_untied";
    static const variant halves[] = {
        {.golden = golden, .from = 0, .to = 5},
        {.golden = golden, .from = 5},
    };
    static const char *const files[] = {"model-1.safetensors",
                                        "model-2.safetensors"};
    strbuf index = {0};
    safetensors *in = NULL;
    (void)state;

    for (int i = 0; i < 2; i++) {
        make(&halves[i], files[i]);
    }
    OK(safetensors_open(golden, &in));
    strbuf_add(&index, "{\"metadata\": {}, \"weight_map\": {");
    for (int64_t i = 0; i < safetensors_count(in); i++) {
        strbuf_printf(&index, "%s\"%s\": \"%s\"", i > 0 ? ", " : "",
                      safetensors_at(in, i)->name, files[i >= 5]);
    }
    strbuf_add(&index, "}}\n");
    safetensors_close(in);
    OK(text_write_file(path_of("model/model.safetensors.index.json"),
                       strbuf_view(&index), index.len));
    strbuf_fini(&index);
    OK(convert_from_hf(path_of("model"), path_of("out.h5"), NULL));
    check_same(golden);
}

/* ---- what is refused ----------------------------------------------------- */

static void test_refused(void **state)
{
    static const struct {
        variant v;
        const char *reason;
    } cases[] = {
        {{.golden = "tests/golden/gpt2_three_heads",
          .skip = "transformer.h.1.ln_2.bias"},
         "transformer.h.1.ln_2.bias is missing"},
        {{.golden = "tests/golden/gpt2_three_heads",
          .skip = "transformer.h.1.ln_2.bias",
          .extras = {{"transformer.h.1.ln_2.biass", "transformer.ln_f.bias",
                      0}}},
         "nearest that nobody asked for is transformer.h.1.ln_2.biass"},
        {{.golden = "tests/golden/gpt2_three_heads",
          .extras = {{"transformer.h.2.ln_1.bias", "transformer.ln_f.bias",
                      0}}},
         "transformer.h.2.ln_1.bias is none of a model as config.json "
         "describes it; the nearest is transformer.h."},
        {{.golden = "tests/golden/gpt2_three_heads",
          .extras = {{"wpe.weight", "transformer.wpe.weight", 0}}},
         "transformer.wpe.weight and wpe.weight are the same one"},
        {{.golden = "tests/golden/gpt2_three_heads",
          .skip = "transformer.ln_f.bias",
          .extras = {{"transformer.ln_f.bias", "transformer.wpe.weight", 0}}},
         "transformer.ln_f.bias: shape is (18, 24), by config.json it is (24)"},
        {{.golden = "tests/golden/gpt2_three_heads",
          .extras = {{"lm_head.weight", "transformer.wte.weight", 1}}},
         "lm_head.weight differs from transformer.wte.weight"},
        {{.golden = "tests/golden/gpt2_three_heads",
          .extras = {{"lm_head.weight", "transformer.wpe.weight", 0}}},
         "lm_head.weight: shape is (18, 24)"},
        {{.golden = "tests/golden/gptj_partial_rotary",
          .strip = "transformer.",
          .prefix = "model."},
         "is missing"},
        {{.golden = "tests/golden/gpt2_exact_untied",
          .skip = "transformer.wte.weight"},
         "transformer.wte.weight is missing"},
        {{.golden = "tests/golden/gpt2_three_heads",
          .skip = "transformer.wte.weight"},
         "transformer.wte.weight is missing"},
        {{.golden = "tests/golden/gpt2_three_heads",
          .skip = "transformer.wte.weight",
          .extras = {{"lm_head.weight", "transformer.wpe.weight", 0}}},
         "lm_head.weight: shape is (18, 24), by config.json it is ("},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(convert_variant(&cases[i].v), ST_BADFILE);
        has_text(cases[i].reason);
        assert_false(text_path_exists(path_of("out.h5")));
        assert_false(text_path_exists(path_of("out.h5.tmp")));
    }
}

/* Sizes that no memory holds: the tensors are what is wrong. */
static void test_too_wide(void **state)
{
    static const char config[] =
        "{\"model_type\": \"gpt2\", \"n_embd\": 1048576, \"n_head\": 4,"
        " \"n_layer\": 2, \"vocab_size\": 16777216, \"n_positions\": 18}";
    const variant v = {.golden = "tests/golden/gpt2_three_heads"};
    (void)state;

    make(&v, "model.safetensors");
    OK(text_write_file(path_of("model/config.json"), config, strlen(config)));
    assert_int_equal(convert_from_hf(path_of("model"), path_of("out.h5"), NULL),
                     ST_BADFILE);
    has_text("transformer.wte.weight: shape is (");
    has_text("24), by config.json it is (16777216, 1048576)");
}

/* The same bytes said to be whole numbers. */
static void test_wrong_type(void **state)
{
    const variant v = {.golden = "tests/golden/gptj_one_head_tied"};
    char *file = NULL;
    size_t len = 0;
    (void)state;

    make(&v, "model.safetensors");
    OK(text_read_file(path_of("model/model.safetensors"), 1 << 20, &file,
                      &len));
    char *at = strstr(file + 8, "\"F32\"");
    assert_non_null(at);
    at[1] = 'I';
    OK(text_write_file(path_of("model/model.safetensors"), file, len));
    mem_free(file);
    assert_int_equal(convert_from_hf(path_of("model"), path_of("out.h5"), NULL),
                     ST_BADFILE);
    has_text("type is I32, allowed is F64, F32, F16, BF16");
}

static void test_folders(void **state)
{
    const variant v = {.golden = "tests/golden/gptj_one_head_tied"};
    (void)state;

    assert_int_equal(convert_from_hf(path_of("none"), path_of("out.h5"), NULL),
                     ST_NOINPUT);
    has_text("no such folder");
    make(&v, "model.safetensors");
    assert_int_equal(
        convert_from_hf(path_of("model"), path_of("x/out.h5"), NULL),
        ST_CANTCREATE);
    unlink(path_of("model/model.safetensors"));
    assert_int_equal(convert_from_hf(path_of("model"), path_of("out.h5"), NULL),
                     ST_NOINPUT);
    has_text("model.safetensors");
    unlink(path_of("model/config.json"));
    assert_int_equal(convert_from_hf(path_of("model"), path_of("out.h5"), NULL),
                     ST_NOINPUT);
    has_text("config.json");
    assert_false(text_path_exists(path_of("out.h5")));
}

/* ---- frame --------------------------------------------------------------- */

static int drop_files(void **state)
{
    static const char *const names[] = {
        "out.h5",
        "model/config.json",
        "model/model.safetensors",
        "model/model-1.safetensors",
        "model/model-2.safetensors",
        "model/model.safetensors.index.json",
    };
    (void)state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        unlink(path_of(names[i]));
    }
    rmdir(path_of("model"));
    return mem_live() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_goldens, drop_files),
        cmocka_unit_test_teardown(test_loads_as_model, drop_files),
        cmocka_unit_test_teardown(test_published_names, drop_files),
        cmocka_unit_test_teardown(test_tied_by_head, drop_files),
        cmocka_unit_test_teardown(test_shards, drop_files),
        cmocka_unit_test_teardown(test_refused, drop_files),
        cmocka_unit_test_teardown(test_too_wide, drop_files),
        cmocka_unit_test_teardown(test_wrong_type, drop_files),
        cmocka_unit_test_teardown(test_folders, drop_files),
    };

    return cmocka_run_group_tests(tests, make_folder, drop_folder) != 0;
}
