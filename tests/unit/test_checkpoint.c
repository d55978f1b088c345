/*
 * Checkpoints: what is saved is loaded, bit for bit, under Hugging Face names,
 * into the same model and no other. Run from the top of the repository.
 */
#include "runtime/io/h5.h"
#include "tests/unit/checkpoint_make.h"

/* ---- saving and loading -------------------------------------------------- */

static const char *const models[] = {
    "gpt-neo-tiny",
    "gpt-j-tiny",
    "tests/golden/gpt2_three_heads",
    "tests/golden/gpt_neo_odd_heads_untied",
    "tests/golden/gpt_neox_partial_rotary",
    "tests/golden/gptj_one_head_tied",
};

static void test_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        model m;
        model_init(&m, models[i], 0);
        const ckpt_info info = info_of(&m);
        OK(save(&m, path_of("a.h5"), &info));
        OK(load(&m, path_of("a.h5"), CKPT_ALL));
        assert_int_equal(m.wrong, 0);
        for (int which = 0; which < 3; which++) {
            assert_int_equal(m.got[which], m.ps.n);
        }
        OK(load(&m, path_of("a.h5"), CKPT_WEIGHTS));
        assert_int_equal(m.got[STORE_WEIGHT], m.ps.n);
        assert_int_equal(m.got[STORE_M], 0);
        assert_int_equal(m.wrong, 0);
        model_fini(&m);
    }
}

static void test_peek(void **state)
{
    model m;
    ckpt_info got;
    (void)state;

    model_init(&m, "gpt-neo-tiny", 0);
    const ckpt_info info = info_of(&m);
    OK(save(&m, path_of("a.h5"), &info));
    OK(ckpt_peek(path_of("a.h5"), &got));
    assert_string_equal(got.model, "gpt-neo-tiny");
    assert_true(got.arch_hash == arch_hash(&m.a));
    assert_int_equal(got.layers, m.a.L);
    assert_false(got.weights_only);
    assert_int_equal(got.step, 7);
    assert_int_equal(got.adam_step, 6);
    assert_true(got.seed == info.seed);
    assert_int_equal(got.data_leaves, 4);
    assert_int_equal(got.tensor_leaves, 2);
    assert_true(got.exact_sums);
    assert_int_equal(got.batch, 8);
    assert_int_equal(got.seq, 64);
    assert_true(got.tokens == info.tokens);
    assert_true(got.data_hash == 0xff);
    assert_string_equal(got.data_path, "data/kjv.txt");
    assert_string_equal(got.config, m.config);
    assert_string_equal(got.run_config, info.run_config);
    assert_true(text_starts(got.software, "weft "));
    ckpt_info_fini(&got);
    assert_null(got.config);
    model_fini(&m);
}

/* The same for a copy; another for other weights, another step, and, where
 * they are asked for, other moments. */
static void test_hash(void **state)
{
    model m;
    uint64_t one = 0, two = 0, weights = 0;
    const int64_t live = mem_live();
    (void)state;

    model_init(&m, "gpt-neo-tiny", 0);
    ckpt_info info = info_of(&m);
    OK(save(&m, path_of("a.h5"), &info));
    OK(ckpt_hash(path_of("a.h5"), CKPT_ALL, &one));
    OK(ckpt_hash(path_of("a.h5"), CKPT_WEIGHTS, &weights));
    assert_true(one != weights);
    OK(save(&m, path_of("b.h5"), &info));
    OK(ckpt_hash(path_of("b.h5"), CKPT_ALL, &two));
    assert_true(one == two);
    info.step++;
    OK(save(&m, path_of("b.h5"), &info));
    OK(ckpt_hash(path_of("b.h5"), CKPT_ALL, &two));
    assert_true(one != two);
    info.step--;
    info.weights_only = true;
    OK(save(&m, path_of("b.h5"), &info));
    OK(ckpt_hash(path_of("b.h5"), CKPT_WEIGHTS, &two));
    assert_true(weights == two);
    assert_int_equal(ckpt_hash(path_of("none.h5"), CKPT_ALL, &two), ST_NOINPUT);
    unlink(path_of("b.h5"));
    model_fini(&m);
    assert_int_equal(mem_live(), live);
}

/* Names, shapes and values on disk are Hugging Face's. */
static void test_layout(void **state)
{
    model m;
    h5_file *f = NULL;
    const int64_t qkv[2] = {24, 72}; /* gpt2: [in][out] */
    float *part = NULL, *full = NULL, *back = NULL;
    (void)state;

    model_init(&m, "tests/golden/gpt2_three_heads", 0);
    const ckpt_info info = info_of(&m);
    OK(save(&m, path_of("a.h5"), &info));
    const int par = params_find(&m.ps, 1, PARAM_QKV_W);
    OK(MEM_NEW(&part, 24 * 72, "test"));
    OK(MEM_NEW(&full, 24 * 72, "test"));
    OK(MEM_NEW(&back, 24 * 72, "test"));
    OK(h5_open(path_of("a.h5"), &f));
    static const char name[] = "/adam_v/transformer.h.1.attn.c_attn.weight";
    OK(h5_data_check(f, name, H5_KIND_FLOAT, 2, qkv));
    OK(h5_checksum_verify(f, name));
    OK(h5_data_read_all(f, name, H5_F32, 24 * 72, part));
    OK(source_read(&m, par, STORE_V, full));
    param_to_part(&m.a, &m.ps, par, 0, full, back);
    assert_memory_equal(part, back, 24 * 72 * sizeof(float));
    assert_true(memcmp(full, back, 24 * 72 * sizeof(float)) != 0);
    OK(h5_close(&f));
    mem_free(part);
    mem_free(full);
    mem_free(back);
    model_fini(&m);
}

static void test_weights_only(void **state)
{
    model m;
    h5_file *f = NULL;
    (void)state;

    model_init(&m, "gpt-j-tiny", 0);
    ckpt_info info = info_of(&m);
    info.weights_only = true;
    info.exact_sums = false;
    const ckpt_source source = {&m, source_read};
    OK(ckpt_save(NULL, path_of("a.h5"), &m.a, &m.ps, &info, &source));
    OK(load(&m, path_of("a.h5"), CKPT_WEIGHTS));
    assert_int_equal(m.got[STORE_WEIGHT], m.ps.n);
    assert_int_equal(m.wrong, 0);
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_ALL), ST_CONFIG);
    has_text("has weights alone");
    assert_int_equal(m.got[STORE_WEIGHT], 0);
    OK(h5_open(path_of("a.h5"), &f));
    assert_false(h5_has(f, "/adam_m"));
    OK(h5_close(&f));
    ckpt_info got;
    OK(ckpt_peek(path_of("a.h5"), &got));
    assert_true(got.weights_only && !got.exact_sums);
    ckpt_info_fini(&got);
    model_fini(&m);
}

/* ---- which model --------------------------------------------------------- */

static void test_cut_model(void **state)
{
    model cut, whole;
    arch a;
    (void)state;

    make("a.h5", "gpt-neo-tiny", 2);
    model_init(&cut, "gpt-neo-tiny", 2);
    model_init(&whole, "gpt-neo-tiny", 0);
    OK(load(&cut, path_of("a.h5"), CKPT_ALL));
    assert_int_equal(cut.wrong, 0);
    assert_int_equal(load(&whole, path_of("a.h5"), CKPT_ALL), ST_CONFIG);
    has_text("holds gpt-neo-tiny with 2 layers, not gpt-neo-tiny: layers 2 "
             "(wanted 4)");
    assert_int_equal(whole.got[STORE_WEIGHT], 0);
    OK(ckpt_arch(path_of("a.h5"), &a));
    assert_true(arch_hash(&a) == arch_hash(&cut.a));
    assert_string_equal(a.name, "gpt-neo-tiny");
    assert_int_equal(a.L, 2);
    model_fini(&cut);
    model_fini(&whole);
}

static void test_other_model(void **state)
{
    model m;
    h5_file *f = NULL;
    (void)state;

    make("a.h5", "gpt-neo-tiny", 0);
    model_init(&m, "gpt-j-tiny", 0);
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_WEIGHTS), ST_CONFIG);
    has_text("residual kind");
    model_fini(&m);

    model_init(&m, "gpt-neo-tiny", 0);
    m.a.norm_eps = 1e-6F;
    m.a.window[2] = 5;
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_WEIGHTS), ST_CONFIG);
    has_text("norm epsilon 9.99999975e-06 (wanted 9.99999997e-07), attention "
             "window 0 (wanted 5)");
    /* Kinds are called by their names. */
    model_fini(&m);
    model_init(&m, "gpt-neo-tiny", 0);
    m.a.act = ACT_GELU_ERF;
    m.a.pos = POS_ROTARY;
    m.a.rotary_pairing = PAIR_HALVES;
    m.a.residual = RES_PARALLEL_TWO;
    m.a.tied = false;
    m.a.bias_qkv = true;
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_WEIGHTS), ST_CONFIG);
    has_text(": rotary positions no (wanted yes), rotary pairing neighbours "
             "(wanted halves), residual kind sequential (wanted parallel with "
             "two norms), qkv bias no (wanted yes), activation tanh GELU "
             "(wanted exact GELU), tied head yes (wanted no); name");
    /* Without a readable /config the reason is shorter. */
    OK(h5_live_open(path_of("a.h5"), &f));
    OK(h5_attr_set_i64(f, "/", "layers", 400));
    OK(h5_close(&f));
    assert_int_equal(load(&m, path_of("a.h5"), CKPT_WEIGHTS), ST_CONFIG);
    has_text("it is another model");
    model_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),  TEST(test_peek),         TEST(test_hash),
        TEST(test_layout),      TEST(test_weights_only), TEST(test_cut_model),
        TEST(test_other_model),
    };

    return cmocka_run_group_tests(tests, begin, end) != 0;
}
